#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A central controller, as earlier systems had: the baseline of bench-move.

    bench_move_ofc.py PORT < configuration and commands, a line each

It speaks OpenFlow 1.3 with the switches of all sites.  A RARP of the guest
comes to it as a packet-in; then it sets, for the pair of guest and
correspondent, flows that rewrite addresses: on the correspondent's switch, on
the guest's new one, and on its old one, which redirects what is late.

The first line of standard input is JSON:
    {"guest": {"mac", "hoa", "port"},
     "peer": {"mac", "hoa", "port", "site"},
     "sites": {DATAPATH_ID: {"guest_moa", "peer_moa", "mac", "router",
               "uplink"}}}
Others are "at DATAPATH_ID": where the guest is now.  Says "listening", "ready"
when all switches have connected, and "at DATAPATH_ID" after each move.
"""
import ipaddress
import json
import selectors
import socket
import struct
import sys

HELLO, ECHO_REQUEST, ECHO_REPLY = 0, 2, 3
FEATURES_REQUEST, FEATURES_REPLY, PACKET_IN, FLOW_MOD = 5, 6, 10, 14
ADD, DELETE_STRICT = 0, 4
IN_PORT, ETH_DST, ETH_SRC, ETH_TYPE, IPV4_SRC, IPV4_DST = 0, 3, 4, 5, 11, 12
TO_CONTROLLER, ANY = 0xfffffffd, 0xffffffff
ETH_IPV4, ETH_RARP = 0x0800, 0x8035


def message(kind, body=b""):
    return struct.pack("!BBHI", 4, kind, 8 + len(body), 0) + body


def field(number, value):
    """An OXM: ports and types are numbers, addresses text."""
    if number == IN_PORT:
        value = struct.pack("!I", value)
    elif number == ETH_TYPE:
        value = struct.pack("!H", value)
    elif number in (ETH_DST, ETH_SRC):
        value = bytes.fromhex(value.replace(":", ""))
    else:
        value = ipaddress.ip_address(value).packed
    return struct.pack("!HBB", 0x8000, number << 1, len(value)) + value


def padded(data):
    return data + bytes(-len(data) % 8)


def match(fields):
    body = b"".join(field(*item) for item in fields)
    return padded(struct.pack("!HH", 1, 4 + len(body)) + body)


def set_field(number, value):
    body = field(number, value)
    size = 4 + len(body) + -(4 + len(body)) % 8
    return (struct.pack("!HH", 25, size) + body).ljust(size, b"\0")


def output(port):
    return struct.pack("!HHIH6x", 0, 16, port, 0xffff)


def flow_mod(command, fields, actions=()):
    actions = b"".join(actions)
    instructions = (struct.pack("!HH4x", 4, 8 + len(actions)) + actions
                    if actions else b"")
    return message(FLOW_MOD, struct.pack(
        "!QQBBHHHIIIH2x", 0, 0, 0, command, 0, 0, 1000, ANY, ANY, ANY, 0)
        + match(fields) + instructions)


class Controller:
    def __init__(self, config):
        self.guest, self.peer = config["guest"], config["peer"]
        self.sites = {int(key): site for key, site
                      in config["sites"].items()}
        self.switches = {}              # datapath id -> socket
        self.at = None

    # Flows.

    def _leaving(self, site, port, src, dst, moas):
        """From a VM to the other: (match, actions)."""
        return ([(IN_PORT, port), (ETH_TYPE, ETH_IPV4), (IPV4_SRC, src),
                 (IPV4_DST, dst)],
                [set_field(IPV4_SRC, moas[0]), set_field(IPV4_DST, moas[1]),
                 set_field(ETH_SRC, site["mac"]),
                 set_field(ETH_DST, site["router"]), output(site["uplink"])])

    def _arriving(self, site, moas, one, other):
        """What comes from 'moas'[0] for [1] is from 'one' for 'other'."""
        return ([(IN_PORT, site["uplink"]), (ETH_TYPE, ETH_IPV4),
                 (IPV4_SRC, moas[0]), (IPV4_DST, moas[1])],
                [set_field(IPV4_SRC, one["hoa"]),
                 set_field(IPV4_DST, other["hoa"]),
                 set_field(ETH_SRC, one["mac"]),
                 set_field(ETH_DST, other["mac"]), output(other["port"])])

    def _redirected(self, site, moas, new_moa):
        fields, _ = self._arriving(site, moas, self.peer, self.guest)
        return fields, [set_field(IPV4_DST, new_moa),
                        set_field(ETH_SRC, site["mac"]),
                        set_field(ETH_DST, site["router"]),
                        output(0xfffffff8)]     # Where it came from.

    def _send(self, number, data):
        """A switch that is not there has it when it comes again."""
        try:
            self.switches[number].sendall(data)
        except OSError as error:
            print(f"switch {number}: {error}", file=sys.stderr, flush=True)

    def _set(self, number, fields, actions):
        self._send(number, flow_mod(ADD, fields, actions))

    def move(self, number):
        """The guest is at switch 'number'."""
        self._lead(number)
        if self.at not in (None, number):
            self._leave(self.sites[self.at], self.sites[self.peer["site"]],
                        self.sites[number])
        self.at = number
        print(f"at {number}", flush=True)

    def _lead(self, number):
        """Packets of the pair, from and to this switch."""
        new, far = self.sites[number], self.sites[self.peer["site"]]
        guest, peer = self.guest, self.peer
        there = far["peer_moa"], new["guest_moa"]
        self._set(peer["site"], *self._leaving(
            far, peer["port"], peer["hoa"], guest["hoa"], there))
        self._set(peer["site"], *self._arriving(
            far, there[::-1], guest, peer))
        self._set(number, *self._arriving(new, there, peer, guest))
        self._set(number, *self._leaving(
            new, guest["port"], guest["hoa"], peer["hoa"], there[::-1]))

    def _leave(self, old, far, new):
        self._set(self.at, *self._redirected(
            old, (far["peer_moa"], old["guest_moa"]), new["guest_moa"]))
        fields, _ = self._leaving(old, self.guest["port"], self.guest["hoa"],
                                  self.peer["hoa"], ("0.0.0.0", "0.0.0.0"))
        self._send(self.at, flow_mod(DELETE_STRICT, fields))

    # Messages.

    def connected(self, number, sock):
        again = number in self.switches
        self.switches[number] = sock
        self._set(number, [(ETH_TYPE, ETH_RARP)], [output(TO_CONTROLLER)])
        if again and self.at is not None:
            self._lead(self.at)
        elif len(self.switches) == len(self.sites) and not again:
            print("ready", flush=True)

    def packet_in(self, sock, body):
        length, = struct.unpack_from("!H", body, 18)
        data = body[16 + length + -length % 8 + 2:]
        number = next((n for n, s in self.switches.items() if s is sock), 0)
        if (number and data[6:12].hex(":") == self.guest["mac"]
                and number != self.at
                and len(self.switches) == len(self.sites)):
            self.move(number)


class Connection:
    def __init__(self, sock, controller):
        self.sock, self.controller, self.buffer = sock, controller, b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(message(HELLO) + message(FEATURES_REQUEST))

    def readable(self):
        """False at the end."""
        try:
            piece = self.sock.recv(1 << 16)
        except OSError:
            piece = b""
        self.buffer += piece
        while len(self.buffer) >= 8:
            _, kind, length, xid = struct.unpack_from("!BBHI", self.buffer)
            if len(self.buffer) < length:
                break
            body, self.buffer = self.buffer[8:length], self.buffer[length:]
            self._take(kind, xid, body)
        return bool(piece)

    def _take(self, kind, xid, body):
        if kind == ECHO_REQUEST:
            self.sock.sendall(struct.pack("!BBHI", 4, ECHO_REPLY,
                                          8 + len(body), xid) + body)
        elif kind == FEATURES_REPLY:
            number, = struct.unpack_from("!Q", body)
            self.controller.connected(number, self.sock)
        elif kind == PACKET_IN:
            self.controller.packet_in(self.sock, body)


def main():
    controller = Controller(json.loads(sys.stdin.readline()))
    server = socket.create_server(("", int(sys.argv[1])))
    print("listening", flush=True)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is server:
                sock, _ = server.accept()
                selector.register(sock, selectors.EVENT_READ,
                                  Connection(sock, controller))
            elif key.fileobj is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                controller.move(int(line.split()[1]))
            elif not key.data.readable():
                selector.unregister(key.fileobj)


if __name__ == "__main__":
    main()
