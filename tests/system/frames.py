# SPDX-License-Identifier: Apache-2.0
"""Frames as a slow, independent reference sees them: decoding, checksums and
a few frames built by hand for what a socket would not send.

Nothing here shares code with the switch.  decode() never raises on bad input:
what it finds wrong is in Frame.faults, in words.
"""
import array
import ipaddress
import socket
import struct
import sys

ETH_IPV4, ETH_ARP, ETH_VLAN = 0x0800, 0x0806, 0x8100
ETH_RARP, ETH_IPV6 = 0x8035, 0x86dd
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
V6_HOP, V6_ROUTING, V6_FRAGMENT, V6_DESTINATION = 0, 43, 44, 60


def csum(data):
    """The Internet checksum of 'data': 0 over anything that carries its own
    right checksum."""
    if len(data) % 2:
        data += b"\0"
    words = array.array("H", data)
    if sys.byteorder == "little":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address):
    return ipaddress.ip_address(address).packed


def packed_mac(mac):
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(octets):
    return ":".join(f"{octet:02x}" for octet in octets)


class Frame:
    """One frame: eth_src, eth_dst, eth_type; for IP src, dst, ttl, protocol,
    l4 (bytes, None for later fragments), more; for ICMP errors 'quoted', a
    Frame of the quoted packet; 'faults'."""

    def __init__(self, data=b"", time=0.0, where=""):
        self.data, self.time, self.where = data, time, where
        self.eth_src = self.eth_dst = self.eth_type = None
        self.src = self.dst = self.ttl = self.protocol = self.l4 = None
        self.fragment = None            # (id, offset, more) or None
        self.arp = None                 # (op, sha, spa, tha, tpa) or None
        self.quoted = None
        self.faults = []

    def is_group(self):
        return bool(int(self.eth_dst[:2], 16) & 1)

    def addresses(self):
        """Every IP address that the frame shows to the network."""
        found = [a for a in (self.src, self.dst) if a]
        if self.arp:
            found += [self.arp[2], self.arp[4]]
        if self.quoted:
            found += self.quoted.addresses()
        return found

    def ports(self):
        if self.protocol in (TCP, UDP) and self.l4 and len(self.l4) >= 4:
            return struct.unpack("!HH", self.l4[:4])
        return None

    def payload(self):
        if self.protocol == UDP:
            return self.l4[8:]
        if self.protocol == TCP:
            return self.l4[(self.l4[12] >> 4) * 4:]
        return self.l4

    def __str__(self):
        if self.arp:
            op, sha, spa, tha, tpa = self.arp
            what = (f"ARP who has {tpa}, tell {spa} ({sha})" if op == 1
                    else f"ARP {spa} is at {sha}")
        elif self.src:
            what = f"{self.src} > {self.dst} {self._l4_text()}"
        else:
            what = f"type {self.eth_type:#06x}"
        if self.quoted:
            what += f" [quotes {self.quoted.src} > {self.quoted.dst}]"
        return f"{what}, {len(self.data)} bytes" + "".join(
            f" !{fault}" for fault in self.faults)

    def _l4_text(self):
        name = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP",
                ICMPV6: "ICMPv6"}.get(self.protocol, f"proto {self.protocol}")
        if self.fragment and self.fragment[1]:
            return f"{name} fragment at {self.fragment[1]}"
        if self.ports():
            return "%s %d > %d" % (name, *self.ports())
        if self.l4 and self.protocol in (ICMP, ICMPV6):
            return f"{name} type {self.l4[0]} code {self.l4[1]}"
        return name


def decode(data, time=0.0, where=""):
    frame = Frame(data, time, where)
    try:
        _ethernet(frame)
    except (struct.error, IndexError, ValueError):
        frame.faults.append("truncated")
    return frame


def _ethernet(frame):
    data = frame.data
    frame.eth_dst, frame.eth_src = mac_text(data[:6]), mac_text(data[6:12])
    offset = 12
    frame.eth_type, = struct.unpack_from("!H", data, offset)
    while frame.eth_type == ETH_VLAN:
        offset += 4
        frame.eth_type, = struct.unpack_from("!H", data, offset)
    offset += 2
    if frame.eth_type == ETH_ARP:
        op, = struct.unpack_from("!H", data, offset + 6)
        sha, spa, tha, tpa = struct.unpack_from("6s4s6s4s", data, offset + 8)
        frame.arp = (op, mac_text(sha), str(ipaddress.ip_address(spa)),
                     mac_text(tha), str(ipaddress.ip_address(tpa)))
    elif frame.eth_type == ETH_IPV4:
        _ipv4(frame, data[offset:])
    elif frame.eth_type == ETH_IPV6:
        _ipv6(frame, data[offset:])


def _ipv4(frame, data, quoted=False):
    header_len = (data[0] & 15) * 4
    total, ident, offset = struct.unpack_from("!HHH", data, 2)
    frame.ttl, frame.protocol = data[8], data[9]
    frame.src = str(ipaddress.ip_address(data[12:16]))
    frame.dst = str(ipaddress.ip_address(data[16:20]))
    if csum(data[:header_len]):
        frame.faults.append("bad IPv4 checksum")
    if len(data) < total and not quoted:
        frame.faults.append("shorter than its IPv4 length")
    if offset & 0x3fff:
        frame.fragment = (ident, (offset & 0x1fff) * 8, bool(offset & 0x2000))
    body = data[header_len:total]
    if not offset & 0x1fff:
        frame.l4 = body
        _transport(frame, quoted or len(body) < total - header_len)
    else:
        frame.fragment_body = body
    if frame.fragment and not frame.fragment[1]:
        frame.fragment_body = body


def _ipv6(frame, data, quoted=False):
    length, following, frame.ttl = struct.unpack_from("!HBB", data, 4)
    frame.src = str(ipaddress.ip_address(data[8:24]))
    frame.dst = str(ipaddress.ip_address(data[24:40]))
    if len(data) < 40 + length and not quoted:
        frame.faults.append("shorter than its IPv6 length")
    cut = len(data) < 40 + length
    body = data[40:40 + length]
    while following in (V6_HOP, V6_ROUTING, V6_DESTINATION):
        following, size = body[0], (body[1] + 1) * 8
        body = body[size:]
    if following == V6_FRAGMENT:
        following = body[0]
        offset, ident = struct.unpack_from("!HI", body, 2)
        frame.fragment = (ident, offset & 0xfff8, bool(offset & 1))
        body = body[8:]
        frame.fragment_body = body
    frame.protocol = following
    if not frame.fragment or not frame.fragment[1]:
        frame.l4 = body
        _transport(frame, quoted or cut)


def _transport(frame, cut):
    """Checks the checksum of a whole packet; looks into ICMP errors."""
    whole = not cut and not frame.fragment
    if whole and transport_csum(frame):
        frame.faults.append("bad transport checksum")
    error = (frame.protocol == ICMP and frame.l4[0] in (3, 4, 5, 11, 12)
             or frame.protocol == ICMPV6 and frame.l4[0] in (1, 2, 3, 4))
    if error:
        frame.quoted = Frame()
        try:
            (_ipv4 if frame.protocol == ICMP else _ipv6)(
                frame.quoted, frame.l4[8:], quoted=True)
        except (struct.error, IndexError):
            frame.quoted.faults.append("truncated quote")
        frame.faults += [f"quoted: {f}" for f in frame.quoted.faults
                         if "IPv4" in f]


def pseudo(src, dst, protocol, length):
    src, dst = packed(src), packed(dst)
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, protocol, length)
    return src + dst + struct.pack("!IHBB", length, 0, 0, protocol)


def transport_csum(frame, l4=None):
    """0 if the transport checksum of the frame is right."""
    l4 = frame.l4 if l4 is None else l4
    if frame.protocol == ICMP:
        return csum(l4)
    if frame.protocol == UDP and l4[6:8] == b"\0\0" and ":" not in frame.src:
        return 0
    if frame.protocol in (TCP, UDP, ICMPV6):
        return csum(pseudo(frame.src, frame.dst, frame.protocol, len(l4)) + l4)
    return 0


def reassembly_faults(frames):
    """The transport checksums of all packets that came in fragments."""
    packets, faults = {}, []
    for frame in frames:
        if frame.fragment:
            ident, offset, more = frame.fragment
            key = (frame.where, frame.src, frame.dst, ident, frame.protocol)
            packets.setdefault(key, {})[offset] = (more, frame)
    for pieces in packets.values():
        body, more = b"", True
        while more and len(body) in pieces:
            more, frame = pieces[len(body)]
            body += frame.fragment_body
        if not more and transport_csum(frame, body):
            faults.append(f"{frame}: bad transport checksum over fragments")
    return faults


# Frames that no socket would send.

def ethernet(src, dst, kind, body):
    frame = packed_mac(dst) + packed_mac(src) + struct.pack("!H", kind) + body
    return frame.ljust(60, b"\0")


def arp(op, sha, spa, tha, tpa, eth_src=None, eth_dst="ff:ff:ff:ff:ff:ff"):
    body = (struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, op) + packed_mac(sha)
            + packed(spa) + packed_mac(tha) + packed(tpa))
    return ethernet(eth_src or sha, eth_dst, ETH_ARP, body)


def rarp(mac):
    body = (struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, 3)
            + (packed_mac(mac) + bytes(4)) * 2)
    return ethernet(mac, "ff:ff:ff:ff:ff:ff", ETH_RARP, body)


def ip(eth_src, eth_dst, src, dst, protocol, l4, ttl=64):
    """A whole IPv4 or IPv6 frame; 'l4' has its checksum filled in."""
    at = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}.get(protocol)
    if at is not None:
        head = b"" if protocol == ICMP else pseudo(src, dst, protocol, len(l4))
        front, back = l4[:at], l4[at + 2:]
        total = csum(head + front + b"\0\0" + back)
        l4 = front + struct.pack("!H", total) + back
    if ":" in src:
        header = (struct.pack("!IHBB", 6 << 28, len(l4), protocol, ttl)
                  + packed(src) + packed(dst))
        return ethernet(eth_src, eth_dst, ETH_IPV6, header + l4)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(l4), 0, 0x4000,
                         ttl, protocol, 0, packed(src), packed(dst))
    header = header[:10] + struct.pack("!H", csum(header)) + header[12:]
    return ethernet(eth_src, eth_dst, ETH_IPV4, header + l4)


def udp(source_port, port, payload):
    return struct.pack("!HHHH", source_port, port, 8 + len(payload),
                       0) + payload


def dhcp(mac, kind, *options):
    """A client's DHCP message as a frame; 'kind' is 1, discover, or 3."""
    body = (struct.pack("!BBBBIHH16x", 1, 1, 6, 0, 0x4d415421, 0, 0)
            + packed_mac(mac).ljust(16, b"\0") + bytes(192)
            + b"\x63\x82\x53\x63" + bytes([53, 1, kind])
            + b"".join(options) + b"\xff").ljust(300, b"\0")
    return ip(mac, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", UDP,
              udp(68, 67, body))


def dhcp_answer(frame):
    """(kind, address, {option: bytes}) of a server's message, or None."""
    if frame.ports() != (67, 68):
        return None
    body, options = frame.payload(), {}
    at = 240
    while at < len(body) and body[at] != 255:
        if body[at] == 0:
            at += 1
            continue
        size = body[at + 1]
        options[body[at]] = body[at + 2:at + 2 + size]
        at += 2 + size
    return (options[53][0], str(ipaddress.ip_address(body[16:20])), options)


def echo_request(version, ident, number, payload=b""):
    kind = 8 if version == 4 else 128
    return struct.pack("!BBHHH", kind, 0, 0, ident, number) + payload


def solicitation(mac, src, target):
    """A neighbor solicitation as a guest sends it, to the solicited node."""
    last = packed(target)[13:]
    group = socket.inet_ntop(socket.AF_INET6, packed("ff02::1:ff00:0")[:13]
                             + last)
    l4 = struct.pack("!BBHI", 135, 0, 0, 0) + packed(target)
    if src != "::":                 # RFC 4861, 4.3: no option then.
        l4 += b"\x01\x01" + packed_mac(mac)
    return ip(mac, "33:33:ff:" + mac_text(last), src, group, ICMPV6, l4, 255)


def router_solicitation(mac):
    l4 = (struct.pack("!BBHI", 133, 0, 0, 0) + b"\x01\x01"
          + packed_mac(mac))
    return ip(mac, "33:33:00:00:00:02", link_local(mac), "ff02::2", ICMPV6,
              l4, 255)


def target_of(frame):
    """The address that a neighbor solicitation or advertisement is about."""
    return str(ipaddress.ip_address(frame.l4[8:24]))


def link_local(mac):
    octets = bytearray(packed_mac(mac))
    octets[0] ^= 2
    return str(ipaddress.IPv6Address(
        b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]))


def advertisement(mac, target, dst="ff02::1", override=True):
    """An unsolicited neighbor advertisement."""
    l4 = (struct.pack("!BBHI", 136, 0, 0, 0x20000000 if override else 0)
          + packed(target) + b"\x02\x01" + packed_mac(mac))
    return ip(mac, "33:33:00:00:00:01", target, dst, ICMPV6, l4, 255)


def ipv4_fragments(whole, size):
    """The fragments of an IPv4 frame, 'size' bytes of payload each."""
    header, body = whole[14:34], whole[34:]
    pieces = []
    for at in range(0, len(body), size):
        piece = body[at:at + size]
        more = at + size < len(body)
        head = (header[:2] + struct.pack("!HHH", 20 + len(piece), 0x4d41,
                                         at // 8 | (0x2000 if more else 0))
                + header[8:10] + b"\0\0" + header[12:])
        head = head[:10] + struct.pack("!H", csum(head)) + head[12:]
        pieces.append((whole[:14] + head + piece).ljust(60, b"\0"))
    return pieces
