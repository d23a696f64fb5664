# SPDX-License-Identifier: Apache-2.0
"""A host whose two cables are one LACP bond, to another Open vSwitch that
stands for the switch of the rack."""
import contextlib
import json
import time

import agent_rig
from agent_harness import RIGS, test
from agent_rig import FAMILIES
from netns import Namespace, connect
from switch import Switch, wait_until
from test_agent_moves import sessions
from test_agent_uplinks import Uplinks, down, wait_answer
from traffic import bound

N_DATAGRAMS = 60                # Few enough for a port's buffers.
BOND = ("lacp=active", "bond_mode=balance-tcp", "other_config:lacp-time=fast")


class LacpSite(agent_rig.Site):
    """Site a; the others have one cable."""

    def lay_cable(self):
        if self.number != 1:
            return super().lay_cable()
        self.rack = Namespace(f"{self.namespace.name}w")
        self.rack.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        connect(self.namespace, "uplink", self.rack, "s1")
        connect(self.namespace, "uplink2", self.rack, "s2")
        connect(self.rack, "s3", self.router.namespace, self.name)
        for namespace in self.namespace, self.rack:
            namespace.ip("link add sink up type veth peer name sunk")
        return None

    def start(self, rig):
        if self.number == 1:
            self.far = Switch(rig.programs.ovs, self.rack,
                              f"{rig.dir}/rack", "kernel", 0)
            self.far.vsctl("add-br", "rack", "--", "set", "bridge", "rack",
                           "datapath_type=netdev", "--", "add-bond", "rack",
                           "bond0", "s1", "s2", *BOND, "--", "add-port",
                           "rack", "s3")
        super().start(rig)

    def add_port(self, link):
        if self.number == 1 and link == "uplink":
            return self.switch.vsctl("add-bond", "br0", "bond0", "uplink",
                                     "uplink2", *BOND)
        return super().add_port(link)

    def members(self):
        """The cables that LACP has in use."""
        shown = self.switch.appctl("bond/show", "bond0")
        if "lacp_status: negotiated" not in shown:
            return []
        return [link for link in ("uplink", "uplink2")
                if f"member {link}: enabled" in shown]

    def wait_members(self, *links):
        wait_until(lambda: self.members() == list(links),
                   lambda: f"{links} in use: "
                   + self.switch.appctl("bond/show", "bond0"), 45)

    def sent(self):
        """Packets that left by each cable."""
        return {link: json.loads(self.namespace.ip_show(
            "-j", "-s", "link", "show", "dev", link))[0]["stats64"]["tx"][
                "packets"] for link in ("uplink", "uplink2")}

    @contextlib.contextmanager
    def silent(self, number):
        """A cable that carries nothing any more, with its link still up."""
        ends = ((self.namespace, "uplink" + str(number if number > 1 else "")),
                (self.rack, f"s{number}"))
        for namespace, link in ends:
            namespace.run("tc", "qdisc", "add", "dev", link, "clsact")
            namespace.run("tc", "filter", "add", "dev", link, "egress", "prio",
                          "1", "protocol", "all", "u32", "match", "u32", "0",
                          "0", "action", "mirred", "egress", "redirect", "dev",
                          "sink")
        try:
            yield time.monotonic()
        finally:
            for namespace, link in ends:
                namespace.run("tc", "qdisc", "del", "dev", link, "clsact")


class Lacp(Uplinks):
    make_site = LacpSite

    def settings(self, site):
        settings = super().settings(site)
        if site.number == 1:
            settings["mat_uplink"] = "bond0"
        return settings

    def restore(self):
        self.a.wait_members("uplink", "uplink2")
        super().restore()

    def delete(self):
        if hasattr(self, "a") and hasattr(self.a, "far"):
            self.a.far.stop()
        super().delete()


RIGS["lacp"] = Lacp


def cable_of(rig, vm):
    """The one by which most of the VM's datagrams leave."""
    before = rig.a.sent()
    for family in FAMILIES:
        with contextlib.closing(bound(vm.namespace,
                                      vm.address(family))) as sock:
            for _ in range(N_DATAGRAMS):
                sock.sendto(b"x", (rig.b1.address(family), 9))
    wait_until(lambda: sum(rig.a.sent().values()) - sum(before.values())
               >= N_DATAGRAMS, "datagrams on the cables")
    return max(before, key=lambda link: rig.a.sent()[link] - before[link])


def spread(rig):
    """True if the VMs of a use both cables."""
    return len({cable_of(rig, vm) for vm in rig.vms.values()
                if vm.site is rig.a}) == 2


@test(rig="lacp")
def vms_spread_over_the_cables_of_an_lacp_bond(rig):
    assert spread(rig)
    with sessions((rig.a1, rig.b1), (rig.b1, rig.a2)) as go_on:
        rig.m.move(rig.b)
        rig.wait_seen(rig.m)
        go_on()


@test(rig="lacp")
def a_cable_of_an_lacp_bond_fails_and_comes_back(rig):
    with sessions((rig.a1, rig.b1), (rig.m, rig.b1)) as go_on:
        with down(rig.a.rack, "s1") as since:
            rig.a.wait_members("uplink2")
            wait_answer(rig, since)
            rig.m.move(rig.b)
            rig.wait_seen(rig.m)
            go_on()
        rig.a.wait_members("uplink", "uplink2")
        go_on()
    wait_until(lambda: spread(rig), "VMs on both cables")


@test(rig="lacp")
def a_cable_of_an_lacp_bond_that_is_up_but_silent_is_left(rig):
    """The database tells of it after twice the time of LACP, 6 s; when it
    speaks again, it may take 30 s until both ends have noticed."""
    with sessions((rig.a1, rig.b1), (rig.m, rig.b1)) as go_on:
        with rig.a.silent(2) as since:
            rig.a.wait_members("uplink")
            wait_answer(rig, since)
            go_on()
