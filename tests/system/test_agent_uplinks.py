# SPDX-License-Identifier: Apache-2.0
"""Hosts whose way out is more than one card: a bond, two networks, a bridge
that others use, too."""
import contextlib
import socket
import time

import agent_rig
import frames
from agent_harness import RIGS, test
from agent_rig import PATIENCE_S, Agents
from harness import assert_same
from netns import Namespace, connect
from switch import wait_until
from test_agent_moves import assert_reaches, sessions
from traffic import ping

SECOND4, SECOND6, HOST = "10.77.11", "fd77:11", "10.98.0.1"


class BondSite(agent_rig.Site):
    """Two cables to one network, which a Linux bridge makes."""

    def lay_cable(self):
        self.lan = Namespace(f"{self.namespace.name}w")
        self.lan.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        connect(self.namespace, "uplink", self.lan, "s1")
        connect(self.namespace, "uplink2", self.lan, "s2")
        connect(self.lan, "s3", self.router.namespace, self.name)
        self.lan.ip("link add bridge up type bridge",
                    *(f"link set s{i} master bridge" for i in (1, 2, 3)))

    def add_port(self, link):
        if link == "uplink":
            return self.switch.vsctl("add-bond", "br0", "bond0", "uplink",
                                     "uplink2", "bond_mode=active-backup")
        return super().add_port(link)

    def active(self):
        """The other end of the cable that is used."""
        mac = self.switch.vsctl("get", "port", "bond0", "bond_active_slave")
        return "s1" if self.uplink_mac in mac else "s2"


class TwoSite(agent_rig.Site):
    """Site a has another network, and an address that both lead to."""

    def lay_cable(self):
        super().lay_cable()
        if self.number == 1:
            connect(self.namespace, "second", self.router.namespace, "a2")
            self.router.namespace.ip(f"addr add {SECOND4}.1/24 dev a2",
                                     f"addr add {SECOND6}::1/64 dev a2 nodad")

    def start(self, rig):
        super().start(rig)
        if self.number == 1:
            self._add_network()

    def _add_network(self):
        self.add_port("second")
        self.namespace.sysctl("net.ipv4.fib_multipath_use_neigh=1")
        self.namespace.ip(
            f"addr add {SECOND4}.2/24 dev br0",
            f"addr add {SECOND6}::2/64 dev br0 nodad",
            f"addr add {HOST}/32 dev br0",
            f"route del default via {self.subnet4}.1",
            f"route add default via {SECOND6}::1 metric 2048",
            f"route add default src {HOST} nexthop via {self.subnet4}.1 "
            f"nexthop via {SECOND4}.1")
        # Else a network that comes back has no IPv6 router any more.
        self.router.namespace.sysctl(
            f"net.ipv6.conf.{self.name}.keep_addr_on_down=1")
        self.router.namespace.ip(
            f"route add {HOST} via {self.subnet4}.2 metric 1",
            f"route add {HOST} via {SECOND4}.2 metric 2")

    def owns(self, moa):
        return super().owns(moa) or (self.number == 1 and moa.startswith(
            (f"{SECOND4}.", f"{SECOND6}:")))


class Uplinks(Agents):
    def __init__(self, programs):
        super().__init__(programs, n_sites=2, fill=four_vms)


class Bonds(Uplinks):
    make_site = BondSite

    def settings(self, site):
        return {**super().settings(site), "mat_uplink": "bond0"}


class TwoNetworks(Uplinks):
    make_site = TwoSite

    def settings(self, site):
        settings = {**super().settings(site), "mat_seeds": HOST}
        if site.number == 1:
            settings.update(
                mat_uplink="uplink,second", mat_bind=HOST,
                mat_seeds=self.b.address4,
                mat_pool4=f"{site.subnet4}.128-{site.subnet4}.250%uplink,"
                f"{SECOND4}.128-{SECOND4}.250%second",
                mat_pool6=f"{site.pool6}%uplink,"
                f"{SECOND6}:0:0:1::/80%second")
        return settings


RIGS.update(bonds=Bonds, networks=TwoNetworks)


def four_vms(rig):
    a, b = rig.sites
    rig.vm("a1", 11, a)
    rig.vm("a2", 12, a)
    rig.vm("b1", 21, b)
    rig.vm("m", 99, a, rig.sites)


@contextlib.contextmanager
def down(namespace, link):
    namespace.ip(f"link set dev {link} down")
    try:
        yield time.monotonic()
    finally:
        namespace.ip(f"link set dev {link} up")


def wait_answer(rig, since):
    """How long until a1 gets answers of both families."""
    for family in (4, 6):
        wait_until(lambda: ping(
            rig.a1.namespace, rig.a1.address(family), rig.b1.address(family),
            timeout_s=0.05) is not None, f"an answer by IPv{family}")
    print(f"# answers after {time.monotonic() - since:.2f} s")


@test(rig="bonds")
def vms_go_on_by_the_other_link_of_a_bond(rig):
    with sessions((rig.a1, rig.b1), (rig.m, rig.b1)) as go_on:
        first = rig.a.active()
        with down(rig.a.lan, first) as since:
            wait_answer(rig, since)
            wait_until(lambda: rig.a.active() != first, "another active link")
            go_on()
            rig.m.move(rig.b)
            rig.wait_seen(rig.m)
            go_on()


@test(rig="networks")
def vms_get_addresses_of_the_other_network_when_one_fails(rig):
    with sessions((rig.a1, rig.b1), (rig.m, rig.b1)) as go_on:
        with down(rig.router.namespace, "a") as since:
            wait_answer(rig, since)
            assert rig.b.mapping(7, rig.a1.v4)["moa"].startswith(SECOND4)
            assert rig.b.mapping(7, rig.a1.v6)["moa"].startswith(SECOND6)
            go_on()
            rig.m.move(rig.b)
            rig.wait_seen(rig.m)
            go_on()
        go_on()


def wait_moa(rig, network):
    wait_until(lambda: rig.b.mapping(7, rig.a1.v4)["moa"].startswith(
        f"{network}."), f"a MoA of {network}", PATIENCE_S)


@test(rig="networks", full=True)
def vms_go_back_to_the_first_network_when_it_stays_up(rig):
    rig.a.configure(mat_failback="2")
    try:
        with sessions((rig.a1, rig.b1)) as go_on:
            with down(rig.router.namespace, "a"):
                wait_moa(rig, SECOND4)
                go_on()
            wait_moa(rig, rig.a.subnet4)
            go_on()
    finally:
        rig.a.configure(mat_failback=None)


@test(rig="networks")
def a_network_that_comes_back_changes_nothing(rig):
    with sessions((rig.a1, rig.b1), (rig.m, rig.b1)) as go_on:
        go_on()
        rig.m.move(rig.b)
        rig.wait_seen(rig.m)
        go_on()


@contextlib.contextmanager
def arps_to_others(vm, seconds):
    """A list that has, after the block and 'seconds' more, the ARP that the
    VM's card took in and that was not for it."""
    sock = vm.namespace.packet_socket("eth0", frames.ETH_ARP)
    sock.settimeout(seconds)
    seen, own = [], vm.mac.replace(":", "")
    try:
        yield seen
        with contextlib.suppress(TimeoutError):
            while True:
                frame, (_, _, kind, *_) = sock.recvfrom(100)
                if (kind != socket.PACKET_OUTGOING
                        and not frame.hex().startswith(own)):
                    seen.append(frame.hex())
    finally:
        sock.close()


@test
def a_bridge_may_switch_for_others_and_vms_hear_nothing_of_it(rig):
    a, plain = rig.a, Namespace(f"{rig.prefix}-plain")
    address = f"{a.subnet4}.77"
    try:
        connect(a.namespace, "plain", plain, "eth0")
        a.switch.vsctl("set-fail-mode", "br0", "standalone")
        a.switch.vsctl("add-port", "br0", "plain")
        plain.ip(f"addr add {address}/24 dev eth0")
        wait_until(lambda: "mat(in),NORMAL" in a.flows(), "flows to share")
        wait_until(lambda: ping(plain, address, f"{a.subnet4}.1") is not None,
                   "the router to answer")
        assert ping(plain, address, a.address4) is not None
        assert_reaches(rig.a1, rig.b1)
        with arps_to_others(rig.a1, 0.5) as floods:
            ping(plain, address, f"{a.subnet4}.99", timeout_s=0.2)
        assert_same("floods at a1", floods, [])
    finally:
        a.switch.vsctl("--if-exists", "del-port", "br0", "plain", "--",
                       "set-fail-mode", "br0", "secure")
        plain.delete()
    wait_until(lambda: "mat(in),LOCAL" in a.flows(), "flows as before")
    assert_reaches(rig.a1, rig.b1)
