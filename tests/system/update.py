# SPDX-License-Identifier: Apache-2.0
"""A client of the update socket, written from the drawing in mat-update.h and
sharing no code with it."""
import ipaddress
import socket
import struct

MAGIC, VERSION = 0x4d415455, 1
BATCH, OK = 2, 0x81
ENTRY_PUT = 1
STATES = {"local": 1, "remote": 2, "prepared": 3, "departed": 4}


def address_octets(text):
    packed = ipaddress.ip_address(text).packed
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


def entry_put(zone, hoa, moa, mac, state, nexthop=0, port="", hold=False):
    plen = 128 if ":" in hoa else 32
    body = struct.pack(
        "!I16s16sBBBB6sHB", zone, address_octets(hoa), address_octets(moa),
        plen, STATES[state], hold, False, bytes.fromhex(mac.replace(":", "")),
        nexthop, len(port)) + port.encode()
    return struct.pack("!HH", ENTRY_PUT, 4 + len(body)) + body


class UpdateClient:
    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(10)
        self._socket.connect(path)
        self._id = 0

    def close(self):
        self._socket.close()

    def batch(self, *operations):
        """All of them are done, and no packet meets the old values any more,
        when this returns."""
        self._id += 1
        self._socket.send(struct.pack("!IBBHIIQ", MAGIC, VERSION, BATCH, 0,
                                      self._id, len(operations), 0)
                          + b"".join(operations))
        reply = self._socket.recv(1 << 16)
        magic, version, kind, _, number, _, _ = struct.unpack_from(
            "!IBBHIIQ", reply)
        assert (magic, version, number) == (MAGIC, VERSION, self._id), reply
        assert kind == OK, f"refused: {reply[24:]!r}"
