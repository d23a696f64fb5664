# SPDX-License-Identifier: Apache-2.0
"""Network namespaces as machines, and sockets that live in them.

A namespace is entered only for the moment in which a socket is opened, a
sysctl written or a program started: the socket stays there afterwards, while
the test goes on in its own namespace.  So one process can hold both ends of a
session, and needs no helper programs on the "machines".
"""
import contextlib
import ctypes
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class CommandError(Exception):
    """A program that a test needs has failed; the text says which and why."""


def run(*argv, stdin=None, check=True, timeout=60):
    """Run a program and return what it printed."""
    argv = [str(arg) for arg in argv]
    try:
        done = subprocess.run(argv, input=stdin, text=True, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise CommandError(f"{argv[0]}: not installed")
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(argv)}: no end after {timeout} s")
    if check and done.returncode:
        raise CommandError(f"{' '.join(argv)}: exit {done.returncode}: "
                           f"{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, "setns: " + os.strerror(error))


class Namespace:
    """One machine: its links, addresses, sysctls, sockets and programs."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.ip("link set dev lo up")
        self.sysctl("net.ipv4.ping_group_range=0 2147483647")

    def delete(self):
        run("ip", "netns", "del", self.name, check=False)

    @contextlib.contextmanager
    def entered(self):
        """This thread works in the namespace until the block ends."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/var/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(there)
            yield
        finally:
            _setns(home)
            os.close(there)
            os.close(home)

    def socket(self, family, kind, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)

    def ip(self, *lines):
        """One 'ip' command a line, in one process; stops at the first bad."""
        run("ip", "-n", self.name, "-batch", "-",
            stdin="\n".join(lines) + "\n")

    def ip_show(self, *argv):
        return run("ip", "-n", self.name, *argv)

    def run(self, *argv, **options):
        return run("ip", "netns", "exec", self.name, *argv, **options)

    def sysctl(self, *settings):
        """sysctl("net.ipv4.ip_forward=1", ...)"""
        with self.entered():
            for setting in settings:
                key, _, value = setting.partition("=")
                with open("/proc/sys/" + key.replace(".", "/"), "w") as file:
                    file.write(value)

    def mac(self, link):
        with self.entered():
            probe = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            probe.bind((link, 0))
            mac = probe.getsockname()[4]
            probe.close()
        return ":".join(f"{octet:02x}" for octet in mac)

    def packet_socket(self, link, protocol=0x0003, buffer_bytes=0):
        """A socket that sees and sends whole frames of 'link'."""
        sock = self.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        if buffer_bytes:
            SO_RCVBUFFORCE = 33
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
        sock.bind((link, protocol))
        return sock


def connect(first, first_link, second, second_link, mtu=1500):
    """Lay a cable between two namespaces; both plugs are up."""
    run("ip", "-n", first.name, "link", "add", "name", first_link,
        "mtu", mtu, "type", "veth", "peer", "name", second_link,
        "mtu", mtu, "netns", second.name)
    for namespace, link in (first, first_link), (second, second_link):
        no_offloads(namespace, link)
        namespace.ip(f"link set dev {link} up")


def no_offloads(namespace, link):
    """Frames must be on the cable as they would be on a real one: with right
    checksums, and none longer than the MTU."""
    namespace.run("ethtool", "-K", link, "rx", "off", "tx", "off", "sg", "off",
                  "tso", "off", "gso", "off", "gro", "off",
                  "txvlan", "off", "rxvlan", "off", check=False)
    features = namespace.run("ethtool", "-k", link)
    for name in ("tx-checksumming", "tcp-segmentation-offload",
                 "generic-segmentation-offload"):
        if f"{name}: off" not in features:
            raise CommandError(f"{link}: {name} cannot be switched off")
