# SPDX-License-Identifier: Apache-2.0
"""Where bench-move moves its guest: three hosts, three networks between them.

    card  bridge  network                               correspondent, at c
    q0    br0     routed, ovs-mat and its agents        c1
    q1    br1     one subnet, NORMAL on all hosts       l2, by a bridge between
    q2    br2     routed, flows of a central controller ofc

The same guest has a card in each, so that moves of all kinds take turns while
nothing else changes.  It moves between a and b; whom it talks to is at c.
With a distance every cable is a wide-area line of half of that (tests/relay),
so that any two hosts, and a host and the controller, are one distance apart.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys

from agent_rig import Agents
from guest import MIGRATION_PORT, Card, Guest
from netns import Namespace, connect
from relay import Relay
from switch import wait_until
from traffic import ping

MAC = "02:00:00:07:0{}:4d"
OFC_PORT = 6653
WARM_S = 60
CARDS = [Card("q0", MAC.format(0), "172.16.7.77", "172.16.7.1", "fd16:7::77",
              "fd16:7::1"),
         Card("q1", MAC.format(1), "172.17.7.77", "172.17.7.1", "fd17:7::77",
              "fd17:7::1"),
         Card("q2", MAC.format(2), "172.18.7.77", "172.18.7.1", "fd18:7::77",
              "fd18:7::1")]


def fill(rig):
    for number, site in enumerate(rig.sites, 1):
        rig.vm(f"{site.name}1", 10 * number + 1, site)


class Line:
    """A cable, or a wide-area line that can be made longer."""

    def __init__(self, rig, first, second, name):
        self.relay = None
        if rig.one_way_ms is None:
            connect(*first, *second)
            return
        between = Namespace(f"{rig.prefix}-{name}")
        between.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        connect(*first, between, "one")
        connect(between, "two", *second)
        self.relay = Relay(rig.programs.relay, (between, "one"),
                           (between, "two"), half(rig.one_way_ms))


def half(one_way_ms):
    return f"delay={one_way_ms / 2}ms"


class MoveRig(Agents):
    """'one_way_ms' is None for a LAN, else what distance() changes."""

    def __init__(self, programs, one_way_ms):
        self.one_way_ms = one_way_ms
        self.more_lines, self.controller, self.guest = [], None, None
        lines = {} if one_way_ms is None else {
            name: half(one_way_ms) for name in "abc"}
        super().__init__(programs, fill=fill, lines=lines)

    def _build_all(self):
        super()._build_all()
        self.hub = Namespace(f"{self.prefix}-h")
        self.hub.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        self.hub.ip("link add hub type bridge", "link set dev hub up")
        for site in self.sites:
            self._join_subnet(site)
            self._join_flows(site)
        self.l2 = self._correspondent("l2", "br1", "172.17.7.31")
        self.ofc = self._correspondent("ofc", "br2", "172.18.7.31")
        self._start_controller()
        self._answer_arp()

    def _line(self, *ends):
        self.more_lines.append(Line(self, *ends))

    def _join_subnet(self, site):
        """One bridge, as an ordinary cloud has it."""
        self._line((site.namespace, "wire"), (self.hub, site.name),
                   f"h{site.name}")
        self.hub.ip(f"link set dev {site.name} master hub")
        site.switch.add_bridge("br1", f"02:77:01:00:00:{site.number:02x}")
        site.switch.vsctl("set", "bridge", "br1", "fail_mode=standalone")
        site.switch.add_port("br1", "wire")
        site.switch.ofctl("add-flow", "br1", "actions=NORMAL")

    def _join_flows(self, site):
        router, link = self.router.namespace, f"{site.name}2"
        self._line((site.namespace, "far"), (router, link), f"o{site.name}")
        router.ip(f"addr add 10.78.{site.number}.1/24 dev {link}")
        for number in 77, 31:
            router.ip(f"neigh replace 10.78.{site.number}.{number} lladdr "
                      f"{self._far_mac(site)} dev {link} nud permanent")
        site.switch.add_bridge("br2", f"02:77:02:00:00:{site.number:02x}")
        site.switch.vsctl("set", "bridge", "br2", "other_config:datapath-id="
                          f"{site.number:016x}")
        self._add_numbered(site, "far", 1)

    @staticmethod
    def _far_mac(site):
        return site.namespace.mac("far")

    @staticmethod
    def _add_numbered(site, link, number):
        site.switch.vsctl("add-port", "br2", link, "--", "set", "interface",
                          link, f"ofport_request={number}")
        got = site.switch.vsctl("get", "interface", link, "ofport").strip()
        assert got == str(number), f"{link}: OpenFlow number {got}"

    def _correspondent(self, name, bridge, address):
        namespace = Namespace(f"{self.prefix}-p{name}")
        namespace.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        connect(self.c.namespace, name, namespace, "eth0")
        namespace.ip(f"addr add {address}/24 dev eth0")
        if bridge == "br2":
            self._add_numbered(self.c, name, 3)
        else:
            self.c.switch.add_port(bridge, name)
        return namespace

    def _answer_arp(self):
        """By flows, once for all; moves do not change what ARP says."""
        for address, mac in ((CARDS[2].v4, CARDS[2].mac),
                             ("172.18.7.31", self.ofc.mac("eth0"))):
            number = int.from_bytes(bytes(map(int, address.split("."))))
            for site in self.sites:
                site.switch.ofctl(
                    "add-flow", "br2", f"arp,arp_op=1,arp_tpa={address},"
                    "actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
                    f"mod_dl_src:{mac},load:2->NXM_OF_ARP_OP[],"
                    "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
                    f"load:0x{mac.replace(':', '')}->NXM_NX_ARP_SHA[],"
                    "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
                    f"load:{number:#x}->NXM_OF_ARP_SPA[],in_port")

    def _start_controller(self):
        namespace = Namespace(f"{self.prefix}-o")
        self._line((namespace, "eth0"), (self.router.namespace, "ofc"), "ow")
        self.router.namespace.ip("addr add 10.79.0.1/24 dev ofc")
        namespace.ip("addr add 10.79.0.2/24 dev eth0",
                     "route add default via 10.79.0.1")
        self.controller = subprocess.Popen(
            ["ip", "netns", "exec", namespace.name, sys.executable, "-B",
             os.path.join(os.path.dirname(os.path.realpath(__file__)),
                          "bench_move_ofc.py"), str(OFC_PORT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1, start_new_session=True)
        self.tell_controller(json.dumps(self._controller_config()))
        assert self.controller.stdout.readline() == "listening\n"
        for site in self.sites:
            site.switch.vsctl(
                "set-controller", "br2", f"tcp:10.79.0.2:{OFC_PORT}", "--",
                "set", "controller", "br2", "max_backoff=1000",
                "connection_mode=out-of-band")
            # In a step of its own, or Open vSwitch takes no notice of it.
            site.switch.vsctl("set", "controller", "br2",
                              "inactivity_probe=600000")
        assert self.controller.stdout.readline() == "ready\n"

    def _controller_config(self):
        sites = {site.number: {
            "guest_moa": f"10.78.{site.number}.77",
            "peer_moa": f"10.78.{site.number}.31",
            "mac": self._far_mac(site), "uplink": 1,
            "router": self.router.namespace.mac(f"{site.name}2")}
            for site in self.sites}
        return {"guest": {"mac": CARDS[2].mac, "hoa": CARDS[2].v4, "port": 2},
                "peer": {"mac": self.ofc.mac("eth0"), "hoa": "172.18.7.31",
                         "port": 3, "site": self.c.number},
                "sites": sites}

    def tell_controller(self, line):
        assert self.controller.poll() is None, "the controller has died"
        self.controller.stdin.write(line + "\n")

    def controller_works(self, works):
        """While it is not measured it must not take the CPU from what is."""
        os.kill(self.controller.pid,
                signal.SIGCONT if works else signal.SIGSTOP)

    def distance(self, one_way_ms):
        self.one_way_ms = one_way_ms
        for relay in ([site.line for site in self.sites]
                      + [line.relay for line in self.more_lines]):
            relay.shape(half(one_way_ms))

    # The guest.

    def plug(self, _, site):
        site.switch.add_port("br0", "q0", attached_mac=CARDS[0].mac,
                             mat_zone=7)
        site.switch.add_port("br1", "q1")
        self._add_numbered(site, "q2", 2)

    @staticmethod
    def unplug(_, site):
        for card in CARDS:
            site.switch.vsctl("--if-exists", "del-port", card.name)

    @contextlib.contextmanager
    def guest_of(self, image, memory_mb, copies):
        """It has booted at a, and all correspondents reach it."""
        guest = (Copied if copies else Shared)(
            image, self.dir, f"g{memory_mb}{'c' if copies else 's'}", CARDS,
            memory_mb=memory_mb, plug=self.plug, unplug=self.unplug)
        try:
            guest.boot(self.a)
            self.tell_controller(f"at {self.a.number}")
            self.wait_reached(guest)
            yield guest
        finally:
            guest.destroy()

    def correspondents(self):
        """kind of network -> (namespace, its address, card)."""
        return {"mat": (self.c1.namespace, self.c1.v4, CARDS[0]),
                "l2": (self.l2, "172.17.7.31", CARDS[1]),
                "ofc": (self.ofc, "172.18.7.31", CARDS[2])}

    def wait_reached(self, guest):
        """Everybody has the guest where it is."""
        for hoa in CARDS[0].v4, CARDS[0].v6:
            wait_until(lambda: all(
                (entry := site.mapping(7, hoa))
                and guest.site.owns(entry["moa"]) for site in self.sites),
                lambda: f"{hoa} at {guest.site.name} in all tables", WARM_S)
        for kind, (namespace, own, card) in self.correspondents().items():
            wait_until(lambda: ping(namespace, own, card.v4),
                       f"answer of the guest by {kind}", WARM_S)

    def delete(self):
        if self.controller:
            self.controller_works(True)
            self.controller.stdin.close()
            self.controller.wait(10)
        for line in self.more_lines:
            if line.relay:
                line.relay.close()
        super().delete()


class Shared(Guest):
    """Its memory is copied only where KVM does it: see guest.py."""

    @staticmethod
    def must_stand_still():
        return False

    @staticmethod
    def address_at(site):
        return f"tcp:{site.address4}:{MIGRATION_PORT}"


class Copied(Guest):
    """Its memory is copied in any case.  QEMU's TCG loses what a guest writes
    meanwhile, with a millisecond's probes in nearly every move; so without
    KVM it is stopped for the copy, which does not go over the network, since
    that is slower here than between real hosts."""

    def shares_memory(self):
        return False

    def must_stand_still(self):
        return self.image.accel == "tcg"

    def address_at(self, site):
        return f"unix:{self.monitor(site, 'copy')}"
