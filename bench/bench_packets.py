# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames and pcap files for the benchmarks.

    write_pcap(path, [udp(eth, src, dst, sport, dport, size) for ...])

Addresses are ipaddress objects or text of either family, right checksums
included.  'vxlan' wraps a frame.  No option, VLAN or fragment: the fast path.
"""

import ipaddress
import struct

UDP = 17


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def addr(a):
    return a if not isinstance(a, str) else ipaddress.ip_address(a)


def csum(data):
    """The Internet checksum of 'data' (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(src, dst, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000,
                       64, UDP, 0, src.packed, dst.packed)
    return head[:10] + struct.pack("!H", csum(head)) + head[12:] + payload


def ip6(src, dst, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), UDP, 64,
                       src.packed, dst.packed) + payload


def udp(eth_src, eth_dst, src, dst, sport, dport, data):
    """A frame of 42 (IPv4) or 62 (IPv6) bytes plus 'data'."""
    src, dst = addr(src), addr(dst)
    head = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    pseudo = src.packed + dst.packed + struct.pack("!HH", UDP, 8 + len(data))
    check = csum(pseudo + head + data) or 0xffff
    segment = head[:6] + struct.pack("!H", check) + data
    if src.version == 4:
        return eth_dst + eth_src + b"\x08\x00" + ip4(src, dst, segment)
    return eth_dst + eth_src + b"\x86\xdd" + ip6(src, dst, segment)


def vxlan(eth_src, eth_dst, src, dst, sport, vni, frame):
    """'frame' in VXLAN over IPv4; its UDP checksum is 0, as OVS sends it."""
    data = struct.pack("!II", 0x08000000, vni << 8) + frame
    segment = struct.pack("!HHHH", sport, 4789, 8 + len(data), 0) + data
    return (eth_dst + eth_src + b"\x08\x00"
            + ip4(addr(src), addr(dst), segment))


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("!IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        f.writelines(struct.pack("!IIII", 0, 0, len(p), len(p)) + p
                     for p in frames)
