# SPDX-License-Identifier: Apache-2.0
"""200 VMs that move at once, as when a host is emptied.

Each is a cable to a and one to b, whose other ends lie in one namespace and
are spoken for by packet sockets; a real VM at c sends to all of them."""
import contextlib
import socket
import time

import frames
from agent_harness import test
from agent_rig import PATIENCE_S
from harness import assert_same
from netns import Namespace, run
from switch import external_ids, wait_until

N, ZONE = 200, 11
SUBNET = "subnet=172.16.9.0/24,gateway=172.16.9.254"


class Crowd:
    def __init__(self, rig):
        self.rig = rig
        self.namespace = Namespace(f"{rig.prefix}-crowd")
        self.namespace.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        lines = []
        for site in rig.a, rig.b:
            for i in range(N):
                lines += [f"link add k{i} up netns {site.namespace.name} type "
                          f"veth peer name {site.name}{i} netns "
                          f"{self.namespace.name}"]
        run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")
        self.namespace.ip(*(f"link set {site.name}{i} up"
                            for site in (rig.a, rig.b) for i in range(N)))
        self.socket = self.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                            socket.htons(frames.ETH_IPV4))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    def close(self):
        self.socket.close()
        for site in self.rig.a, self.rig.b:
            self.detach(site)
            site.namespace.ip(*(f"link del k{i}" for i in range(N)))
        self.namespace.delete()

    @staticmethod
    def mac(i):
        return f"02:00:00:0b:00:{i:02x}"

    @staticmethod
    def hoa(i):
        return f"172.16.9.{i + 1}"

    def attach(self, site):
        words = []
        for i in range(N):
            words += ["--", "add-port", "br0", f"k{i}", "--", "set",
                      "interface", f"k{i}", *external_ids({
                          "attached_mac": self.mac(i), "mat_zone": ZONE,
                          "iface_id": f"vif-k{i}"})]
        site.switch.vsctl(*words[1:])

    def detach(self, site):
        words = []
        for i in range(N):
            words += ["--", "--if-exists", "del-port", "br0", f"k{i}"]
        site.switch.vsctl(*words[1:])

    def speak(self, site, make):
        for i in range(N):
            self.socket.sendto(make(i), (f"{site.name}{i}", 0))

    def garp(self, i):
        return frames.arp(1, self.mac(i), self.hoa(i), "ff:ff:ff:ff:ff:ff",
                          self.hoa(i))

    def rarp(self, i):
        return frames.rarp(self.mac(i))

    def count_at(self, site, by):
        """How many of them the table of 'by' has at 'site'."""
        return sum(entry["zone"] == ZONE and site.owns(entry["moa"])
                   and entry["state"] == ("local" if by is site else "remote")
                   for entry in by.table()["mappings"])

    def wait_at(self, site, *tables):
        for by in tables:
            wait_until(lambda: self.count_at(site, by) == N, lambda:
                       f"{N} VMs at {site.name} for {by.name}: "
                       f"{self.count_at(site, by)}", 2 * PATIENCE_S, 0.005)

    def receivers(self, namespace, source):
        """The cables by which a datagram to each of them comes out."""
        with contextlib.closing(namespace.socket(
                socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            sender.bind((source, 0))
            for i in range(N):
                sender.sendto(b"to you", (self.hoa(i), 9))
        found = {}
        self.socket.settimeout(3)
        with contextlib.suppress(TimeoutError):
            while len(found) < N:
                data, where = self.socket.recvfrom(2048)
                if data.endswith(b"to you"):
                    found[where[0]] = frames.mac_text(data[:6])
        return found


def make_room(rig):
    """MoAs of a prefix that is routed to the host need not be probed."""
    for site in rig.sites:
        prefix = f"10.99.{site.number}.0/24"
        rig.router.namespace.ip(
            f"route replace {prefix} via {site.address4}")
        site.configure(**{f"mat_zone_{ZONE}": SUBNET,
                          "mat_pool4": f"{rig.settings(site)['mat_pool4']},"
                          f"routed:{prefix}"})


def has_ports(site):
    """True if each has its flow."""
    return site.flows().count(f"mat(out,zone={ZONE})") >= N


@test
def two_hundred_vms_move_at_once(rig):
    make_room(rig)
    rig.vm("k", 200, rig.c, zone=ZONE, subnet=9, host=250)
    rig.k.namespace.ip("route replace default via 172.16.9.254")
    rig.k.attach(rig.c)
    crowd = Crowd(rig)
    try:
        move_all(rig, crowd)
    finally:
        crowd.close()
        rig.k.detach(rig.c)
        del rig.vms["k"]
        rig.k.namespace.delete()
        for site in rig.sites:
            site.configure(**rig.settings(site))


def move_all(rig, crowd):
    rig.k.announce(("garp",))
    crowd.attach(rig.a)
    wait_until(lambda: has_ports(rig.a), "ports at a", PATIENCE_S)
    crowd.speak(rig.a, crowd.garp)
    crowd.wait_at(rig.a, rig.a, rig.c)
    crowd.attach(rig.b)
    wait_until(lambda: has_ports(rig.b), "ports at b", PATIENCE_S)
    begun = time.monotonic()
    crowd.speak(rig.b, crowd.rarp)
    crowd.wait_at(rig.b, rig.a, rig.b, rig.c)
    print(f"# {N} VMs known everywhere after "
          f"{time.monotonic() - begun:.3f} s", flush=True)
    crowd.detach(rig.a)
    found = crowd.receivers(rig.k.namespace, rig.k.v4)
    assert_same("where datagrams come out", found,
                {f"b{i}": crowd.mac(i) for i in range(N)})
