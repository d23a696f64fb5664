# SPDX-License-Identifier: Apache-2.0
"""Where MoAs come from, and what networks do to them."""
import contextlib
import json
import struct

import frames
from agent_harness import test
from agent_rig import PATIENCE_S, reaches
from harness import assert_same, inject
from switch import wait_until
from test_agent import problems
from test_agent_matctl import ask, matctl
from test_agent_moves import assert_reaches, sessions
from traffic import ping

HOME_ZONE = 5


@contextlib.contextmanager
def settings(*sites, **changes):
    """... of these hosts, until the block ends."""
    for site in sites:
        site.configure(**changes)
    try:
        yield
    finally:
        for site in sites:
            site.configure(**{**dict.fromkeys(changes),
                              **site.rig.settings(site)})


def wait_moa(rig, vm, family, matches, what):
    """All hosts with the VM's zone have such a MoA of it."""
    hoa = vm.address(family)
    for site in rig.with_zone(vm.zone):
        wait_until(lambda: (entry := site.mapping(vm.zone, hoa))
                   and matches(entry["moa"]), lambda: (
                       f"{site.name} has {what} for {hoa}: "
                       f"{site.mapping(vm.zone, hoa)}"), PATIENCE_S)


def readdress(vm, v4, gateway4):
    """Another home address than VMs of the rig have, and no IPv6."""
    vm.namespace.ip("addr flush dev eth0", f"addr add {v4}/24 dev eth0",
                    f"route add default via {gateway4}")
    vm.v4, vm.gateway4 = v4, gateway4
    vm.hoas = lambda: [vm.v4]


@test
def a_vm_of_the_hosts_own_network_is_there_with_its_own_address(rig):
    """Home mode: at home also who knows nothing of all this reaches it."""
    net = rig.a.subnet4
    with settings(*rig.sites, mat_zone=HOME_ZONE, **{
            f"mat_zone_{HOME_ZONE}": f"subnet={net}.0/24,gateway={net}.1 "
                                     "outside=true"}):
        rig.vm("h", 70, rig.a, [rig.a, rig.b], zone=HOME_ZONE)
        rig.vm("o", 71, rig.c, zone=HOME_ZONE)
        readdress(rig.h, f"{net}.70", f"{net}.1")
        readdress(rig.o, f"{net}.71", f"{net}.1")
        try:
            for vm in rig.h, rig.o:
                vm.attach(vm.site)
                vm.announce(["garp"])
            stays_and_travels(rig)
        finally:
            for name in "h", "o":
                vm = rig.vms.pop(name)
                vm.detach(vm.site)


def stays_and_travels(rig):
    vm, home = rig.h, rig.h.v4
    wait_moa(rig, vm, 4, home.__eq__, "the HoA itself")
    wait_moa(rig, rig.o, 4, rig.c.owns, "a MoA of host c")
    wait_until(lambda: ping(rig.router.namespace, f"{rig.c.subnet4}.1", home),
               "answer to the router", PATIENCE_S)
    wait_until(lambda: ping(rig.o.namespace, rig.o.v4, home), "answer to o",
               PATIENCE_S)
    wait_until(lambda: ping(rig.o.namespace, rig.o.v4,
                            f"{rig.b.subnet4}.1"),
               "answer of a host outside to o", PATIENCE_S)
    vm.move(rig.b, kinds=("garp",))
    wait_moa(rig, vm, 4, rig.b.owns, "a MoA of host b")
    wait_until(lambda: ping(rig.o.namespace, rig.o.v4, home),
               "answer to o from b", PATIENCE_S)
    vm.move(rig.a, kinds=("garp",))
    wait_moa(rig, vm, 4, home.__eq__, "the HoA itself, again")
    wait_until(lambda: ping(rig.router.namespace, f"{rig.c.subnet4}.1", home),
               "answer to the router, again", PATIENCE_S)


@test
def moas_of_a_routed_prefix_need_no_probing(rig):
    prefix = f"10.97.{rig.a.number}.0/28"
    rig.router.namespace.ip(f"route replace {prefix} via {rig.a.address4}")
    with sessions((rig.a1, rig.c1)) as go_on, \
            settings(rig.a, mat_pool4=f"routed:{prefix}"):
        wait_moa(rig, rig.a1, 4, lambda moa: moa.startswith("10.97."),
                 "a MoA of the routed prefix")
        go_on()
    wait_moa(rig, rig.a1, 4, lambda moa: moa.startswith(rig.a.subnet4),
             "a MoA of the old pool")


@test
def a_pool_that_is_used_up_is_reported_with_what_to_do(rig):
    n_vms = sum(vm.site is rig.a for vm in rig.vms.values())
    rig.expected += ["cannot be served", "IPv4 pool of uplink"]
    first = 40
    with settings(rig.a, mat_pool4=f"{rig.a.subnet4}.{first}-"
                                   f"{rig.a.subnet4}.{first + n_vms - 2}"):
        wait_until(lambda: "mat-pool4" in problems(rig.a),
                   lambda: f"a word on the pool in {problems(rig.a)}",
                   PATIENCE_S)
        stock = [one for one in ask(rig.a, "pools")["stocks"]
                 if one.get("exhausted")]
        assert len(stock) == 1, ask(rig.a, "pools")
        rig.a.configure(mat_pool4=f"{rig.a.subnet4}.{first}-"
                                  f"{rig.a.subnet4}.{first + n_vms + 20}")
        wait_until(lambda: "mat-pool4" not in problems(rig.a),
                   lambda: f"no word on the pool: {problems(rig.a)}",
                   PATIENCE_S)
        for vm in rig.vms.values():
            rig.wait_seen(vm)


@test
def a_silent_vm_keeps_its_addresses_and_an_unused_one_is_forgotten(rig):
    """mat-age is for addresses that a VM no longer uses while it uses
    others."""
    spare, kept = "172.16.7.201", "172.16.7.202"
    rig.a1.namespace.ip(f"addr add {kept}/32 dev eth0")
    for hoa in spare, kept:
        rig.a1.card_send(frames.arp(1, rig.a1.mac, hoa, "ff:ff:ff:ff:ff:ff",
                                    hoa))
    rig.c1.namespace.ip("link set dev eth0 down")
    try:
        wait_until(lambda: rig.b.mapping(7, spare), f"{spare} is known at b",
                   PATIENCE_S)
        with settings(*rig.sites, mat_age="2"):
            wait_until(lambda: not (rig.a1.announce(["garp"])
                                    or rig.a.mapping(7, spare)),
                       f"{spare} is forgotten", 2 * PATIENCE_S, 0.5)
            assert rig.a.mapping(7, kept), f"{kept} is gone, too"
            rig.wait_seen(rig.c1)
    finally:
        rig.a1.namespace.ip(f"addr del {kept}/32 dev eth0")
        rig.c1.namespace.ip(
            "link set dev eth0 up",
            f"route replace default via {rig.c1.gateway4}",
            f"addr replace {rig.c1.v6}/64 dev eth0 nodad",
            f"route replace default via {rig.c1.gateway6}")
    wait_until(lambda: reaches(rig.b1, rig.c1), "answers of c1", PATIENCE_S)


@test
def agents_gossip_by_ipv6_where_there_is_nothing_else(rig):
    """IPv4 is cut at the router; IPv6 sessions of a VM that moves go on."""
    filters = [f"filter add dev {site.name} ingress prio 1 protocol ip u32 "
               "match u32 0 0 action mirred egress redirect dev sink"
               for site in rig.sites]
    for site in rig.sites:
        others = [other.address6 for other in rig.sites if other is not site]
        site.configure(mat_bind=f"[{site.address6}]:19777",
                       mat_seeds=",".join(others))
    try:
        for site in rig.sites:
            wait_until(lambda: n_alive(site, "[") == 2, lambda: (
                f"{site.name} has IPv6 peers: {ask(site, 'peers')['peers']}"),
                PATIENCE_S)
        wait_until(lambda: reaches(rig.m, rig.c1), "answers of c1", PATIENCE_S)
        with cut(rig, filters), sessions((rig.m, rig.c1),
                                         families=[6]) as go_on:
            for target in rig.b, rig.c, rig.a:
                rig.m.move(target)
                rig.wait_seen(rig.m)
                go_on()
    finally:
        for site in rig.sites:
            site.configure(mat_bind=None, **rig.settings(site))
        for site in rig.sites:
            wait_until(lambda: n_alive(site, "10.") == 2, lambda: (
                f"{site.name} has IPv4 peers: {ask(site, 'peers')['peers']}"),
                2 * PATIENCE_S)


def n_alive(site, prefix):
    """Peers that are alive, at such an address."""
    return sum(peer["address"].startswith(prefix) and peer["state"] == "alive"
               for peer in ask(site, "peers")["peers"])


@contextlib.contextmanager
def cut(rig, filters):
    def tc(*lines):
        rig.router.namespace.run("tc", "-batch", "-",
                                 stdin="\n".join(lines) + "\n")

    tc(*(f"qdisc add dev {site.name} clsact" for site in rig.sites), *filters)
    try:
        yield
    finally:
        tc(*(f"qdisc del dev {site.name} clsact" for site in rig.sites))


@test
def a_path_that_checks_sources_is_found_out(rig):
    """Strict reverse path filtering, as RFC 3704 has it."""
    wait_until(lambda: ask(rig.a, "path", "b")["good"], "a good path",
               PATIENCE_S)
    rig.router.namespace.sysctl("net.ipv4.conf.a.rp_filter=1")
    try:
        tests = ask(rig.a, "path", "b")["tests"]
    finally:
        rig.router.namespace.sysctl("net.ipv4.conf.a.rp_filter=0")
    assert_same("a MoA of its own", tests["own"], "carried")
    assert_same("a MoA of the other", tests["foreign"], "dropped")


@test
def a_narrow_path_is_measured(rig):
    with rig.router.narrow(rig.b, 1400):
        assert_same("MTU", ask(rig.a, "path", "b")["mtu"], 1400)


@test
def a_path_that_translates_addresses_is_found_out(rig):
    rig.router.namespace.run("nft", "-f", "-", stdin=(
        "table ip mat { chain post { type nat hook postrouting priority 100; "
        f'oifname "b" ip saddr {rig.a.subnet4}.0/24 snat to '
        f"{rig.b.subnet4}.1; }}; }}\n"))
    try:
        path = json.loads(matctl(rig.a, "--json", "path", "b")[1])
    finally:
        rig.router.namespace.run("nft", "delete", "table", "ip", "mat")
    assert path["translated"] and not path["good"], path


@test
def moas_follow_the_prefix_that_routers_advertise(rig):
    """The network is renumbered; a session lives through that."""
    rig.expected.append("cannot be served")     # Until the kernel has tested.
    before = {"accept_ra": 0, "autoconf": 0}
    rig.a.namespace.sysctl("net.ipv6.conf.br0.accept_ra=2",
                           "net.ipv6.conf.br0.autoconf=1")
    old, new = "fd77:71::", "fd77:72::"
    try:
        advertise(rig, **{old: 1800})
        with settings(rig.a, mat_pool6="advertised:::1:0:0:0/80"):
            wait_moa(rig, rig.a1, 6, lambda moa: moa.startswith("fd77:71:"),
                     "a MoA of the first prefix")
            with sessions((rig.a1, rig.c1), families=[6]) as go_on:
                advertise(rig, **{old: 0, new: 1800})
                wait_moa(rig, rig.a1, 6,
                         lambda moa: moa.startswith("fd77:72:"),
                         "a MoA of the second prefix")
                go_on()
        wait_moa(rig, rig.a1, 6, lambda moa: moa.startswith(rig.a.subnet6),
                 "a MoA of the usual pool")
    finally:
        advertise(rig, **{old: 0, new: 0})
        rig.a.namespace.sysctl(*(f"net.ipv6.conf.br0.{key}={value}"
                                 for key, value in before.items()))
        for prefix in old, new:
            rig.router.namespace.ip(f"route del {prefix}/64 dev a")
            forget_prefix(rig.a, prefix)


def advertise(rig, **lifetimes):
    """The router does, in seconds for each /64."""
    mac = rig.a.router_mac
    options = b"".join(
        struct.pack("!BBBBIII16s", 3, 4, 64, 0xc0, seconds, seconds, 0,
                    frames.packed(prefix))
        for prefix, seconds in lifetimes.items())
    l4 = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + options
    for prefix in lifetimes:
        rig.router.namespace.ip(f"route replace {prefix}/64 dev a")
    inject(rig, rig.router.namespace, "a", frames.ip(
        mac, "33:33:00:00:00:01", frames.link_local(mac), "ff02::1",
        frames.ICMPV6, l4, 255))


def forget_prefix(site, prefix):
    """What the kernel has made of it."""
    for line in site.namespace.ip_show("-6", "-o", "addr", "show", "dev",
                                       "br0").splitlines():
        address = line.split()[3]
        if address.startswith(prefix[:-1]):
            site.namespace.ip(f"addr del {address} dev br0")
