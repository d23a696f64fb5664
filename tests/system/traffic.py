# SPDX-License-Identifier: Apache-2.0
"""What VMs do with the network, by ordinary sockets opened in their
namespaces: ping, UDP, TCP, traceroute, path MTU discovery."""
import contextlib
import errno
import hashlib
import os
import random
import select
import socket
import struct
import threading
import time

IP_RECVERR, IP_MTU_DISCOVER, IP_MTU = 11, 10, 14
IPV6_RECVERR, IPV6_MTU_DISCOVER, IPV6_MTU = 25, 23, 24
PMTUDISC_DONT, PMTUDISC_DO = 0, 2
MSG_ERRQUEUE = 0x2000
TIMEOUT_S = 5
LATE_S = 1.5                            # A busy machine takes its time.


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _set(sock, v4_option, v6_option, value):
    """Set one of the IP options that have a name in either family."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, v6_option, value)
    else:
        sock.setsockopt(socket.IPPROTO_IP, v4_option, value)


def set_ttl(sock, ttl):
    _set(sock, socket.IP_TTL, socket.IPV6_UNICAST_HOPS, ttl)


def set_pmtu_discovery(sock, value):
    _set(sock, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, value)


def path_mtu(sock):
    if sock.family == socket.AF_INET6:
        return sock.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
    return sock.getsockopt(socket.IPPROTO_IP, IP_MTU)


def bound(namespace, address, kind=socket.SOCK_DGRAM, port=0, protocol=0):
    sock = namespace.socket(family(address), kind, protocol)
    sock.settimeout(TIMEOUT_S)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    return sock


# Ping.

def echo_socket(namespace, source):
    protocol = (socket.IPPROTO_ICMPV6 if ":" in source
                else socket.IPPROTO_ICMP)
    sock = bound(namespace, source, protocol=protocol)
    _set(sock, IP_RECVERR, IPV6_RECVERR, 1)
    return sock


def ping(namespace, source, target, size=56, timeout_s=2.0, ttl=None,
         fragment=None):
    """Seconds until the right answer came, or None.  fragment=False forbids
    fragments (as 'ping -M do' does), True lets the sender make them."""
    with contextlib.closing(echo_socket(namespace, source)) as sock:
        if ttl:
            set_ttl(sock, ttl)
        if fragment is not None:
            set_pmtu_discovery(sock, PMTUDISC_DONT if fragment
                               else PMTUDISC_DO)
        payload = random.randbytes(size)
        kind = 128 if ":" in target else 8
        start = time.monotonic()
        try:
            sock.sendto(struct.pack("!BBHHH", kind, 0, 0, 0, 1) + payload,
                        (target, 0))
            while True:
                left = start + timeout_s - time.monotonic()
                sock.settimeout(max(left, 0.001))
                if sock.recv(1 << 16)[8:] == payload:
                    return time.monotonic() - start
        except OSError:
            return None


def error_of(sock, timeout_s=TIMEOUT_S):
    """The next ICMP error that 'sock' got: (type, code, info, offender)."""
    poll = select.poll()
    poll.register(sock, 0)
    if not poll.poll(timeout_s * 1000):
        return None
    _, control, _, _ = sock.recvmsg(1 << 16, 512, MSG_ERRQUEUE)
    for _, _, data in control:
        if len(data) < 16:
            continue
        _, origin, kind, code, _, info, _ = struct.unpack_from("IBBBBII", data)
        if origin not in (2, 3):        # Only ICMP and ICMPv6.
            continue
        if origin == 2:
            offender = socket.inet_ntop(socket.AF_INET, data[20:24])
        else:
            offender = socket.inet_ntop(socket.AF_INET6, data[24:40])
        return kind, code, info, offender
    return None


def traceroute(namespace, source, target, hops_max=8):
    """The addresses that answer for each hop, the target last."""
    path = []
    for ttl in range(1, hops_max + 1):
        with contextlib.closing(bound(namespace, source)) as sock:
            _set(sock, IP_RECVERR, IPV6_RECVERR, 1)
            set_ttl(sock, ttl)
            sock.sendto(b"probe", (target, 33434 + ttl))
            error = error_of(sock, 3)
        path.append(error[3] if error else None)
        if error and error[0] == (1 if ":" in target else 3):
            return path
    return path


# UDP.

def udp_exchange(namespace, source, other, target, count=20, size=100,
                 timeout_s=TIMEOUT_S, seen_as=None):
    """Send 'count' datagrams one by one and back; how many came back right,
    from and to the addresses that the two believe in."""
    good = 0
    with contextlib.closing(bound(namespace, source)) as here, \
            contextlib.closing(bound(other, target)) as there:
        set_pmtu_discovery(here, PMTUDISC_DONT)
        set_pmtu_discovery(there, PMTUDISC_DONT)
        here.settimeout(timeout_s)
        there.settimeout(timeout_s)
        for _ in range(count):
            payload = random.randbytes(size)
            here.sendto(payload, there.getsockname())
            try:
                data, sender = there.recvfrom(1 << 16)
                there.sendto(data, sender)
                answer, answerer = here.recvfrom(1 << 16)
            except TimeoutError:
                return good
            good += (answer == payload and sender[0] == (seen_as or source)
                     and answerer[0] == target)
    return good


class UdpStream:
    """Numbered datagrams from one VM to another at a steady rate."""

    def __init__(self, namespace, source, other, target, rate_pps=500):
        self._in = bound(other, target)
        self._out = bound(namespace, source)
        self._out.connect(self._in.getsockname())
        self._interval_s = 1 / rate_pps
        self._stopping = threading.Event()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self.sent = 0
        self.errors = []                # Of sending: nothing was sent.
        self.arrivals = []              # (number, time)
        self._sender.start()
        self._receiver.start()

    def _send(self):
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._out.send(struct.pack("!I", self.sent))
                self.sent += 1
            except OSError as error:
                self.errors.append(error)
            due += self._interval_s
            time.sleep(max(due - time.monotonic(), 0))

    def _receive(self):
        """Ends when all have come, or none for a while after the last."""
        self._in.settimeout(0.05)
        last = time.monotonic()
        while self._sender.is_alive() or (
                len(self.arrivals) < self.sent
                and time.monotonic() < last + LATE_S):
            with contextlib.suppress(TimeoutError):
                number, = struct.unpack("!I", self._in.recv(64))
                last = time.monotonic()
                self.arrivals.append((number, last))

    def stop(self):
        self._stopping.set()
        self._sender.join()
        self._receiver.join()
        self._in.close()
        self._out.close()
        return self

    def received(self):
        return len(self.arrivals)

    def lost(self):
        """The numbers that did not arrive."""
        return sorted(set(range(self.sent))
                      - {number for number, _ in self.arrivals})

    def in_order(self):
        numbers = [number for number, _ in self.arrivals]
        return numbers == sorted(set(numbers))


# TCP.

def tcp_pair(namespace, source, other, target):
    """A connected TCP session: (socket of the client, of the server)."""
    with contextlib.closing(bound(other, target, socket.SOCK_STREAM)) as door:
        door.listen(1)
        client = bound(namespace, source, socket.SOCK_STREAM)
        client.connect(door.getsockname())
        server, peer = door.accept()
    server.settimeout(TIMEOUT_S)
    assert peer[0] == source, f"the server sees {peer[0]}, not {source}"
    return client, server


def tcp_transfer(namespace, source, other, target, size):
    """Send 'size' random bytes; true if the same bytes arrived."""
    client, server = tcp_pair(namespace, source, other, target)
    block = random.randbytes(1 << 16)
    sent, got = hashlib.sha256(), hashlib.sha256()

    def send():
        left = size
        with contextlib.closing(client):
            while left:
                piece = block[:left]
                client.sendall(piece)
                sent.update(piece)
                left -= len(piece)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    with contextlib.closing(server):
        while True:
            data = server.recv(1 << 18)
            if not data:
                break
            got.update(data)
    sender.join()
    return sent.digest() == got.digest()


class TcpStream:
    """A running TCP session: a small piece each 2 ms, both ways checked by
    hash, the time of each arrival remembered."""

    PIECE = 256

    def __init__(self, namespace, source, other, target, interval_s=0.002,
                 patience_s=10):
        self.client, self.server = tcp_pair(namespace, source, other, target)
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._interval_s, self._patience_s = interval_s, patience_s
        self._stopping = threading.Event()
        self._sent, self._got = hashlib.sha256(), hashlib.sha256()
        self.bytes = 0
        self.times = []
        self.error = None
        self._threads = [threading.Thread(target=run, daemon=True)
                         for run in (self._receive, self._send)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        self.client.settimeout(self._patience_s)
        try:
            while not self._stopping.is_set():
                piece = os.urandom(self.PIECE)
                self.client.sendall(piece)
                self._sent.update(piece)
                time.sleep(self._interval_s)
            self.client.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = f"sender: {error}"

    def _receive(self):
        self.server.settimeout(self._patience_s)
        try:
            while data := self.server.recv(1 << 16):
                self._got.update(data)
                self.bytes += len(data)
                self.times.append(time.monotonic())
        except OSError as error:
            self.error = f"receiver: {error}"

    def arrived(self, count):
        """True when 'count' more bytes than now have come; a question."""
        goal = self.bytes + count
        return lambda: self.error or self.bytes >= goal

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.client.close()
        self.server.close()
        if not self.error and self._sent.digest() != self._got.digest():
            self.error = "the bytes that arrived are not those that were sent"
        return self

    def gap_s(self):
        """The longest time without an arrival."""
        return max(b - a for a, b in zip(self.times, self.times[1:]))


# Path MTU.

def discover_mtu(namespace, source, target, size, patience_s=TIMEOUT_S):
    """Send datagrams of 'size' bytes (whole packet) that must not be
    fragmented until the kernel has learned a path MTU below it; that MTU
    and who told, or (None, None)."""
    overhead = 48 if ":" in target else 28
    with contextlib.closing(bound(namespace, source)) as sock:
        set_pmtu_discovery(sock, PMTUDISC_DO)
        _set(sock, IP_RECVERR, IPV6_RECVERR, 1)
        sock.connect((target, 9))
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            try:
                sock.send(bytes(size - overhead))
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.ECONNREFUSED):
                    raise
            error = error_of(sock, 0.3)
            if error and error[0] in (2, 3) and path_mtu(sock) < size:
                return path_mtu(sock), error[3]
    return None, None
