# SPDX-License-Identifier: Apache-2.0
"""Those who want what is not theirs, and keys that change or end."""
import glob

import frames
from agent_harness import test
from agent_rig import PATIENCE_S
from harness import assert_same
from switch import wait_until
from test_agent_moves import assert_reaches, sessions


def mappings_of(rig, vm):
    return [(site.name, hoa, (site.mapping(vm.zone, hoa) or {}).get("moa"))
            for site in rig.sites for hoa in vm.hoas()]


def speak_for(vm, site):
    """As if it ran there: out of the cable to that host, which is not plugged
    in."""
    sock = vm.plug.namespace.packet_socket(site.name)
    for frame in (frames.rarp(vm.mac),
                  frames.arp(1, vm.mac, vm.v4, "ff:ff:ff:ff:ff:ff", vm.v4)):
        sock.send(frame)
    sock.close()


def violations(site):
    return sum(port["violations"] for port in site.agent("config")["ports"])


@test
def a_forged_announcement_from_another_port_takes_nothing(rig):
    """RARP, gratuitous ARP and advertisements for m, which is at a, from the
    ports of c1 and a1."""
    victim, before = rig.m, mappings_of(rig, rig.m)
    broadcast = "ff:ff:ff:ff:ff:ff"
    with sessions((rig.m, rig.b1)) as go_on:
        for thief, site in (rig.c1, rig.c), (rig.a1, rig.a):
            known = violations(site)
            thief.card_send(
                frames.rarp(victim.mac),
                frames.arp(1, victim.mac, victim.v4, broadcast, victim.v4),
                frames.advertisement(victim.mac, victim.v6))
            wait_until(lambda: violations(site) > known,
                       f"violations counted at {site.name}", PATIENCE_S)
            go_on()
        thief.card_send(
            frames.arp(1, thief.mac, victim.v4, broadcast, victim.v4),
            frames.advertisement(thief.mac, victim.v6))
        go_on()
        assert_same("mappings of m", mappings_of(rig, rig.m), before)


@test
def an_address_that_another_vm_has_is_not_given_away(rig):
    """A port at c that is configured with the address of m, and an agent that
    starts again and again and has not heard of anybody yet."""
    rig.expected.append("is in use by")
    before = mappings_of(rig, rig.m)
    thief = rig.c1
    with sessions((rig.m, rig.b1)) as go_on:
        thief.detach(rig.c)
        thief.attach(rig.c, mat_hoa=f"{rig.m.v4},{thief.v4},{thief.v6}")
        thief.announce()
        rig.wait_seen(thief)
        go_on()
        for _ in range(2):
            wait_until(lambda: rig.m.v4 in str(
                rig.c.agent("status")["problems"]), "the duplicate is named",
                PATIENCE_S)
            assert_same("mappings of m", mappings_of(rig, rig.m), before)
            rig.c.stop_agent()      # It must not forget that by a restart.
            rig.c.start_agent()
        go_on()
        thief.detach(rig.c)
        thief.attach(rig.c)
        rig.wait_seen(thief)
    assert_same("mappings of m", mappings_of(rig, rig.m), before)


@test
def a_host_of_another_cluster_is_not_heard(rig):
    """c comes back with keys of a cluster of its own, and claims m."""
    other = f"{rig.dir}/other-cluster"
    rig.c.stop_agent()
    before = mappings_of(rig, rig.m)[:4]        # At a and b.
    right, rig.c.keys = rig.c.keys, f"{rig.c.dir}/other-keys"
    try:
        rig.key("new-cluster", other)
        rig.issue(rig.c, cluster=other)
        rig.c.start_agent()
        with sessions((rig.m, rig.b1)) as go_on:
            rig.m.attach(rig.c)
            speak_for(rig.m, rig.c)
            wait_until(lambda: (rig.c.mapping(7, rig.m.v4) or {}).get("state")
                       == "local", "m is at c, as c says", PATIENCE_S)
            go_on()
            assert_same("mappings of m", mappings_of(rig, rig.m)[:4], before)
            rig.m.detach(rig.c)
    finally:
        rig.c.kill_agent()
        rig.c.keys = right
        rig.c.start_agent()
    rig.wait_seen(rig.m)


@test
def keys_are_rotated_under_traffic(rig):
    """First all take the new join key too, then a host comes that has only
    that one."""
    with sessions((rig.a1, rig.c1), (rig.b1, rig.m)) as go_on:
        rig.key("rotate", f"--cluster={rig.cluster}")
        for site in rig.sites:
            rig.issue(site)
        go_on()
        rig.b.stop_agent()
        rig.b.start_agent()
        rig.m.move(rig.c)
        rig.wait_seen(rig.m)
        go_on()
    assert_reaches(rig.b1, rig.c1)


def peer_state(site, host):
    """What 'site' thinks of 'host', by its address."""
    for peer in site.agent("peers")["peers"]:
        if peer["address"].rpartition(":")[0] == host.address4:
            return peer["state"]
    return "unknown"


@test
def a_revoked_host_loses_its_say(rig):
    """What c claims is not heard any more, until it has a newer
    certificate."""
    before = mappings_of(rig, rig.m)[:4]        # At a and b.
    rig.key("revoke", f"--cluster={rig.cluster}", rig.c.name)
    file, = glob.glob(f"{rig.cluster}/revoke-*")
    assert_same("c before", peer_state(rig.a, rig.c), "alive")
    try:
        with sessions((rig.m, rig.b1)) as go_on:
            rig.a.agent("revoke", open(file, encoding="ascii").read())
            for site in rig.a, rig.b:
                wait_until(lambda: peer_state(site, rig.c) != "alive",
                           f"{site.name} drops c", PATIENCE_S)
            go_on()
            rig.m.attach(rig.c)
            speak_for(rig.m, rig.c)
            wait_until(lambda: (rig.c.mapping(7, rig.m.v4) or {}).get("state")
                       == "local", "m is at c, as c says", PATIENCE_S)
            go_on()
            assert_same("mappings of m", mappings_of(rig, rig.m)[:4], before)
            rig.m.detach(rig.c)
    finally:
        rig.issue(rig.c)
    rig.wait_seen(rig.c1)
    rig.wait_seen(rig.m)
    assert_reaches(rig.m, rig.c1)
