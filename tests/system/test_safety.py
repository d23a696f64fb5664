# SPDX-License-Identifier: Apache-2.0
"""Zones, forged sources, and what must stay away from the underlay."""
import contextlib

import frames
import mappings
from capture import Capture
from harness import (FAMILIES, Counters, address, assert_reaches, assert_same,
                     inject, moa, test)
from traffic import bound, ping, tcp_transfer, udp_exchange

MARK = b"this must not arrive"


def udp_frame(eth_src, eth_dst, source, target, payload=MARK):
    return frames.ip(eth_src, eth_dst, source, target, frames.UDP,
                     frames.udp(5000, 5001, payload))


def assert_nothing_arrives(rig, action, victims, path=()):
    """'action' sends frames with MARK in them; no card of a VM of 'victims'
    sees one, and what was in flight has been waited for."""
    cards = [vm.card() for vm in victims]
    with Capture(*cards, *path) as watched:
        action()
        flush_pipes(rig)
        seen = [f"{f.where}: {f}" for f in watched.read() if MARK in f.data]
    assert not seen, "arrived: " + "; ".join(seen)


def flush_pipes(rig):
    """Pings over all cables: whatever was sent before has arrived."""
    for _ in range(2):
        assert_reaches(rig.a1, rig.b1)
        assert_reaches(rig.b1, rig.c1)
        assert_reaches(rig.c1, rig.a1)
        assert_reaches(rig.a2, rig.a1)


@test
def two_zones_with_equal_home_addresses_do_not_mix(rig):
    for family in FAMILIES:
        source, target = address(rig.a1, family), address(rig.b1, family)
        with contextlib.closing(bound(rig.b1.namespace, target,
                                      port=7000)) as seven, \
            contextlib.closing(bound(rig.b9.namespace, target,
                                     port=7000)) as nine:
            for vm, text in ((rig.a1, b"seven"), (rig.a9, b"nine")):
                with contextlib.closing(bound(vm.namespace, source)) as sock:
                    sock.sendto(text, (target, 7000))
            assert_same("zone 7 got", seven.recv(100), b"seven")
            assert_same("zone 9 got", nine.recv(100), b"nine")
        for one, other in ((rig.a1, rig.b1), (rig.a9, rig.b9)):
            assert tcp_transfer(one.namespace, source, other.namespace,
                                target, 1 << 20)


@test
def a_vm_does_not_reach_another_zone(rig):
    """c1 is in zone 7 only, and a9 in zone 9."""
    def ask():
        for family in FAMILIES:
            target = address(rig.c1, family)
            assert not ping(rig.a9.namespace, address(rig.a9, family), target,
                            timeout_s=0.3), f"zone 9 reaches {target}"
            rig.a9.card_send(udp_frame(rig.a9.mac, rig.c1.mac,
                                       address(rig.a9, family), target))
    assert_nothing_arrives(rig, ask, [rig.c1, rig.a1, rig.b1])


@test
def mobile_addresses_of_two_zones_do_not_talk(rig):
    """From the underlay: a MoA of zone 9 sends to a MoA of zone 7."""
    counters = Counters(rig.b)

    def forge():
        for family in FAMILIES:
            inject(rig, rig.router.namespace, "b", udp_frame(
                rig.b.router_mac, rig.b.uplink_mac, moa(rig.a9, family),
                moa(rig.b1, family)))
    assert_nothing_arrives(rig, forge, [rig.b1, rig.b9])
    counters.assert_grown("zone", 2)


@test
def a_vm_cannot_send_with_the_address_of_another(rig):
    counters = Counters(rig.a)

    def forge():
        for stolen in rig.a2, rig.c1, rig.b1:
            for family in FAMILIES:
                rig.a1.card_send(udp_frame(
                    rig.a1.mac, rig.b1.mac, address(stolen, family),
                    address(rig.b1, family)))
        rig.a1.card_send(udp_frame(rig.a1.mac, rig.b1.mac, "172.16.7.200",
                                   rig.b1.v4))
    assert_nothing_arrives(rig, forge, [rig.b1, rig.a2, rig.c1],
                           rig.router.cables())
    counters.assert_grown("spoof", 7)


@test
def a_vm_cannot_send_with_the_mac_of_another(rig):
    counters = Counters(rig.a)

    def forge():
        for family in FAMILIES:
            for other in rig.b1, rig.a2:
                rig.a1.card_send(udp_frame(
                    rig.a2.mac, other.mac, address(rig.a1, family),
                    address(other, family)))
    assert_nothing_arrives(rig, forge, [rig.b1, rig.a2], rig.router.cables())
    counters.assert_grown("spoof", 4)


@test
def a_vm_cannot_take_over_an_address_with_forged_arp_or_nd(rig):
    """Gratuitous ARP, answers, requests, RARP and advertisements of a1 for
    the addresses of others: nobody believes them, nobody sees them."""
    broadcast = "ff:ff:ff:ff:ff:ff"

    def forge():
        for victim in rig.a2, rig.b1:
            rig.a1.card_send(
                frames.arp(1, rig.a1.mac, victim.v4, broadcast, victim.v4),
                frames.arp(2, rig.a1.mac, victim.v4, broadcast, victim.v4),
                frames.arp(1, victim.mac, victim.v4, broadcast, rig.a1.v4),
                frames.arp(2, rig.a1.mac, victim.v4, rig.a2.mac, rig.a2.v4,
                           eth_dst=rig.a2.mac),
                frames.rarp(victim.mac),
                frames.advertisement(rig.a1.mac, victim.v6),
                frames.solicitation(rig.a1.mac, victim.v6, rig.a1.v6))
    with Capture(rig.a2.card(), rig.b1.card()) as cards:
        forge()
        flush_pipes(rig)
        believed = [str(frame) for frame in cards.read()
                    if frame.eth_src == rig.a1.mac and (
                        frame.arp or frame.is_group())]
    assert_same("forged frames that arrived", believed, [])
    for victim in rig.a2, rig.b1:
        assert_reaches(rig.c1, victim)
        neighbours = rig.a2.namespace.ip_show("neigh")
        for line in neighbours.splitlines():
            if line.startswith((rig.b1.v4 + " ", rig.b1.v6 + " ")):
                assert rig.a1.mac not in line, line


@test
def a_home_address_as_source_on_the_underlay_is_dropped(rig):
    counters = Counters(rig.b)

    def forge():
        for claimed in rig.a1, rig.b1, rig.a9:
            for family in FAMILIES:
                inject(rig, rig.router.namespace, "b", udp_frame(
                    rig.b.router_mac, rig.b.uplink_mac,
                    address(claimed, family), moa(rig.b1, family)))
    assert_nothing_arrives(rig, forge, [rig.b1, rig.b9])
    forged = (counters.grown("spoof") + counters.grown("forbidden"))
    assert forged >= 6, counters.all_grown()


@test
def an_unknown_source_of_a_known_pool_is_never_delivered_as_it_is(rig):
    """A guest would answer with a reset that kills the real session."""
    counters = Counters(rig.b)

    def forge():
        for source, family in ((rig.a.subnet4 + ".250", 4),
                               (rig.a.subnet6 + ":0:0:1::beef", 6)):
            inject(rig, rig.router.namespace, "b", udp_frame(
                rig.b.router_mac, rig.b.uplink_mac, source,
                moa(rig.b1, family)))
    assert_nothing_arrives(rig, forge, [rig.b1])
    unknown = counters.grown("miss") + counters.grown("held")
    assert unknown >= 2, counters.all_grown()


@test
def a_source_outside_all_pools_is_dropped_unless_the_zone_allows_it(rig):
    counters = Counters(rig.b)
    outside = {4: "192.0.2.7", 6: "2001:db8::7"}

    def forge():
        for family in FAMILIES:
            inject(rig, rig.router.namespace, "b", udp_frame(
                rig.b.router_mac, rig.b.uplink_mac, outside[family],
                moa(rig.b1, family)))
    assert_nothing_arrives(rig, forge, [rig.b1])
    counters.assert_grown("forbidden", 2)


@test
def a_zone_that_allows_it_talks_with_hosts_outside(rig):
    """The router stands for the outside; only the VM's side is rewritten."""
    for site in rig.sites:
        site.mat.zone(7, mappings.SUBNETS[7], outside=site.number)
    try:
        router = rig.router.namespace
        for outside, family in ((rig.c.subnet4 + ".1", 4),
                                (rig.c.subnet6 + "::1", 6)):
            good = udp_exchange(rig.a1.namespace, address(rig.a1, family),
                                router, outside,
                                seen_as=moa(rig.a1, family))
            assert_same(f"exchanges with {outside}", good, 20)
            assert ping(rig.b1.namespace, address(rig.b1, family), outside)
    finally:
        for site in rig.sites:
            site.mat.zone(7, mappings.SUBNETS[7])


@test
def a_mobile_address_that_no_vm_has_gets_nothing(rig):
    counters = Counters(rig.b)

    def forge():
        for target, family in ((rig.b.subnet4 + ".251", 4),
                               (rig.b.subnet6 + ":0:0:1::b0b", 6)):
            inject(rig, rig.router.namespace, "b", udp_frame(
                rig.b.router_mac, rig.b.uplink_mac, moa(rig.a1, family),
                target))
    assert_nothing_arrives(rig, forge, [rig.b1, rig.b9, rig.m])
    counters.assert_grown("unassigned", 2)


@test
def broadcasts_and_odd_frames_of_vms_stay_off_the_underlay(rig):
    everybody = "ff:ff:ff:ff:ff:ff"
    group4, group6 = "01:00:5e:00:00:fb", "33:33:00:00:00:fb"

    def shout():
        rig.a1.card_send(
            udp_frame(rig.a1.mac, everybody, rig.a1.v4, "255.255.255.255"),
            udp_frame(rig.a1.mac, everybody, rig.a1.v4, "172.16.7.255"),
            udp_frame(rig.a1.mac, group4, rig.a1.v4, "224.0.0.251"),
            udp_frame(rig.a1.mac, group6, rig.a1.v6, "ff02::fb"),
            udp_frame(rig.a1.mac, everybody, rig.a1.v4, rig.b1.v4),
            frames.rarp(rig.a1.mac),
            frames.ethernet(rig.a1.mac, "01:80:c2:00:00:0e", 0x88cc, MARK),
            frames.ethernet(rig.a1.mac, rig.b1.mac, 0x1234, MARK),
            frames.ethernet(rig.a1.mac, rig.a2.mac, 0x1234, MARK))
    assert_nothing_arrives(rig, shout, [rig.b1, rig.c1, rig.b9],
                           rig.router.cables())


@test
def broken_packets_end_in_the_switch(rig):
    """Cut, lying or absurd; nothing dies of them and nothing arrives."""
    good = udp_frame(rig.a1.mac, rig.b1.mac, rig.a1.v4, rig.b1.v4)
    good6 = udp_frame(rig.a1.mac, rig.b1.mac, rig.a1.v6, rig.b1.v6)
    bad = [good[:cut] for cut in range(15, 34)]
    bad += [good6[:cut] for cut in range(15, 54)]
    bad += [good[:14] + bytes([first]) + good[15:]
            for first in (0x40, 0x44, 0x4f, 0x65, 0x05)]
    bad += [good[:16] + length.to_bytes(2, "big") + good[18:]
            for length in (0, 19, 20 + 7, 0xffff)]
    bad += [frames.ethernet(rig.a1.mac, rig.b1.mac, frames.ETH_ARP,
                            frames.arp(1, rig.a1.mac, rig.a1.v4, rig.a1.mac,
                                       rig.b1.v4)[14:cut])
            for cut in (15, 20, 30)]
    assert_nothing_arrives(
        rig, lambda: rig.a1.card_send(*(f for f in bad if MARK in f)),
        [rig.b1], rig.router.cables())
    rig.a1.card_send(*bad)
    for frame in bad:
        turned = (frames.packed_mac(rig.b.uplink_mac)
                  + frames.packed_mac(rig.b.router_mac) + frame[12:])
        inject(rig, rig.router.namespace, "b", turned)
    flush_pipes(rig)


@test
def a_wrong_checksum_stays_wrong(rig):
    """The switch must not repair what was broken on the way."""
    rig.tainted.append(b"broken on purpose")
    for family in FAMILIES:
        good = udp_frame(rig.a1.mac, rig.b1.mac, address(rig.a1, family),
                         address(rig.b1, family), b"broken on purpose")
        offset = 14 + (20 if family == 4 else 40) + 6
        bad = (good[:offset] + bytes([good[offset] ^ 0x5a])
               + good[offset + 1:])
        with Capture(rig.b1.card()) as card:
            rig.a1.card_send(bad)
            flush_pipes(rig)
            got = [f for f in card.read() if b"broken on purpose" in f.data]
        assert got and got[0].faults, "it arrived as right, or not at all"
