# SPDX-License-Identifier: Apache-2.0
"""What a cable carried, with the time of each frame.

A capture is a packet socket with a large buffer: it runs by itself while the
test goes on, and is read when somebody asks.  If the kernel had to leave out
a frame the capture says so by failing, because a check of half a capture
proves nothing.
"""
import errno
import socket
import struct

import frames

SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_STATISTICS = 263, 6
BUFFER_BYTES = 512 << 20
SNAPLEN = 1 << 16


class Capture:
    def __init__(self, *cables):
        """'cables' are (namespace, link) pairs."""
        self.frames = []
        self._sockets = []
        for namespace, link in cables:
            sock = namespace.packet_socket(link, buffer_bytes=BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setblocking(False)
            self._sockets.append((f"{namespace.name}/{link}", sock))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for _, sock in self._sockets:
            sock.close()
        self._sockets = []

    def read(self):
        """All frames so far, in order of time."""
        for where, sock in self._sockets:
            while True:
                try:
                    data, control, _, _ = sock.recvmsg(SNAPLEN, 64)
                except BlockingIOError:
                    break
                except OSError as error:        # Said once for a link that
                    if error.errno != errno.ENETDOWN:   # a test takes down.
                        raise
                    continue
                seconds, nanoseconds = struct.unpack("qq", control[0][2])
                self.frames.append(frames.decode(
                    data, seconds + nanoseconds / 1e9, where))
            lost = struct.unpack("II", sock.getsockopt(
                SOL_PACKET, PACKET_STATISTICS, 8))[1]
            assert not lost, f"capture on {where} lost {lost} frames"
        self.frames.sort(key=lambda frame: frame.time)
        return self.frames

    def save(self, path):
        """For Wireshark."""
        with open(path, "wb") as file:
            file.write(struct.pack("!IHHiIII", 0xa1b23c4d, 2, 4, 0, 0,
                                   SNAPLEN, 1))
            for frame in self.read():
                seconds = int(frame.time)
                nanoseconds = int((frame.time - seconds) * 1e9)
                file.write(struct.pack("!IIII", seconds, nanoseconds,
                                       len(frame.data), len(frame.data)))
                file.write(frame.data)

    def faults_except(self, own, marks):
        """Every wrong checksum and broken frame, in words, but for frames of
        'own' and those with one of the 'marks' in them."""
        seen = [frame for frame in self.read() if frame.data not in own
                and not any(mark in frame.data for mark in marks)]
        return ([f"{frame.where}: {frame}" for frame in seen if frame.faults]
                + frames.reassembly_faults(seen))
