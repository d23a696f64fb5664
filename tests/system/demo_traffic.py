# SPDX-License-Identifier: Apache-2.0
"""What goes on between the guest and the correspondents of the demonstration
while it moves, and when what of it arrived.

The times are those of the kernel for packets on the correspondents' cards:
however busy this program is, they are right.
"""
import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import threading
import time

import frames
from capture import Capture
from guest import Load
from switch import wait_until

ECHO_PORT, NUMBERS_PORT = 7001, 7000
TCP_BYTES_PER_S = 1_000_000             # Each way.
UDP_PPS = 500                           # Each way.
PING_S = 0.005
PATIENCE_S = 10
SO_MAX_PACING_RATE = 47
VMLOAD = struct.Struct("!IIQ")          # Magic, kind, number.
DATA = 1


class Transfer:
    """A TCP session: random bytes to the guest and back, in order, each of
    them compared by hash.  'patience_s' without any, and it is given up."""

    def __init__(self, vm, address, patience_s):
        # The guest's server may not have started yet.
        wait_until(lambda: not connects(vm, address), "the guest's server", 30)
        self.sock = vm.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(patience_s)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE,
                             TCP_BYTES_PER_S)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        self.sock.connect((address, ECHO_PORT))
        self.patience_s = patience_s
        self.sent, self.got = hashlib.sha256(), hashlib.sha256()
        self.bytes, self.error, self.ending = 0, None, False
        self.threads = [threading.Thread(target=run, daemon=True)
                        for run in (self._send, self._receive)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        with contextlib.suppress(OSError):      # The receiver says why.
            while not self.ending and not self.error:
                piece = os.urandom(1 << 14)
                self.sock.sendall(piece)
                self.sent.update(piece)
            self.sock.shutdown(socket.SHUT_WR)

    def _receive(self):
        try:
            while piece := self.sock.recv(1 << 16):
                self.got.update(piece)
                self.bytes += len(piece)
        except TimeoutError:
            self.error = f"given up after {self.patience_s} s without a byte"
        except OSError as error:
            self.error = error.strerror

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()
        self.sock.close()
        if not self.error and self.sent.digest() != self.got.digest():
            self.error = "the bytes that came back are not those sent"

    def kill(self):
        self.ending = True
        self.sock.close()


class Pinger:
    """Ends with this program, whatever happens."""

    def __init__(self, vm, address):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", vm.namespace.name, "setpriv",
             "--pdeathsig", "KILL", "ping", "-n", "-q", "-i", str(PING_S),
             address], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Traffic:
    """All of it; use as a context.  take() brings the lists up to date:

    tcp    (time, bytes that are new)           arrived at b1
    udp    (time, number)                       arrived at c1
    asked, answered   {sequence number: time}   pings of a1
    """

    def __init__(self, rig, guest, patience_s):
        self.address = guest.cards[0].v4
        self.tcp, self.udp, self.asked, self.answered = [], [], {}, {}
        self.top = None                 # TCP's sequence number so far.
        self.running, self.watches = [], []
        self.counted = None             # By vmload, both ways.
        self.missed = []                # What could not be had, in words.
        try:
            self._start(rig, guest, patience_s)
        except BaseException:
            self.kill()
            raise

    def _start(self, rig, guest, patience_s):
        for vm, take in ((rig.b1, self._take_tcp), (rig.c1, self._take_udp),
                         (rig.a1, self._take_ping)):
            self.watches.append((Capture(vm.card()), vm.mac, take))
        self.started = time.time()
        self.transfer = Transfer(rig.b1, self.address, patience_s)
        self.running.append(self.transfer)
        self.numbers = Load(guest.image, rig.c1.namespace, "udp",
                            self.address, UDP_PPS)
        self.running.append(self.numbers)
        self.pinger = Pinger(rig.a1, self.address)
        self.running.append(self.pinger)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.kill()

    def kill(self):
        for one in self.running:
            one.kill()
        for capture, _, _ in self.watches:
            capture.__exit__()

    def end(self):
        """All that is on its way arrives; the sessions are at their end."""
        self.ended = time.time()
        self.pinger.kill()
        self.transfer.end()
        try:
            self.counted = self.numbers.end()
        except (AssertionError, ValueError) as error:
            self.missed.append(f"no report of the guest: {error}")
        self.take()

    def take(self):
        """A bridge may flood: what has another MAC is not for the VM."""
        for capture, mac, take in self.watches:
            n = len(capture.frames)
            for frame in capture.read()[n:]:
                if (self.address in (frame.src, frame.dst)
                        and mac in (frame.eth_src, frame.eth_dst)):
                    take(frame)

    def _take_tcp(self, frame):
        if (frame.protocol != frames.TCP or frame.src != self.address
                or frame.ports()[0] != ECHO_PORT):
            return
        size = len(frame.payload())
        end = struct.unpack_from("!I", frame.l4, 4)[0] + size
        new = (size if self.top is None else
               (end - self.top + (1 << 31)) % (1 << 32) - (1 << 31))
        if size and new > 0:            # Otherwise it comes once more.
            self.top = end
            self.tcp.append((frame.time, new))

    def _take_udp(self, frame):
        if (frame.protocol == frames.UDP and frame.src == self.address
                and frame.ports()[0] == NUMBERS_PORT):
            _, kind, number = VMLOAD.unpack_from(frame.payload())
            if kind == DATA:
                self.udp.append((frame.time, number))

    def _take_ping(self, frame):
        if frame.protocol == frames.ICMP and frame.l4[0] in (0, 8):
            number, = struct.unpack_from("!H", frame.l4, 6)
            times = self.asked if frame.dst == self.address else self.answered
            times.setdefault(number, frame.time)

    def udp_sizes(self):
        """{payload: size of the frame} at c1, both ways."""
        return {frame.payload(): len(frame.data)
                for capture, _, take in self.watches
                if take == self._take_udp for frame in capture.frames
                if frame.protocol == frames.UDP and frame.ports()}

    def flows(self, seconds=0.5):
        """All three do, at about the rate that they should have."""
        since = time.time() - seconds
        n = len(last(self.udp, since))
        return (last(self.tcp, since) and n > 0.8 * seconds * UDP_PPS
                and self.answered
                and next(reversed(self.answered.values())) > since)

    def now(self, seconds=0.5):
        """What came in the last moments, in words."""
        since = time.time() - seconds
        rate = sum(n for when, n in last(self.tcp, since)) / seconds
        count = len(last(self.udp, since)) / seconds
        number = next(reversed(self.answered), None)
        recent = number is not None and self.answered[number] > since
        trip = ("%.1f ms" % (1000 * (self.answered[number]
                                     - self.asked[number]))
                if recent and number in self.asked else "no answer")
        return (f"TCP {rate / 1e6:4.2f} MB/s   UDP {count:3.0f}/s   "
                f"ping {trip}")


def last(pairs, since):
    """Those at the end that are not older."""
    n = len(pairs)
    while n and pairs[n - 1][0] >= since:
        n -= 1
    return pairs[n:]


def connects(vm, address, timeout_s=PATIENCE_S):
    """None, or why not."""
    with contextlib.closing(vm.namespace.socket(
            socket.AF_INET, socket.SOCK_STREAM)) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect((address, ECHO_PORT))
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return error.strerror
    return None
