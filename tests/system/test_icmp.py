# SPDX-License-Identifier: Apache-2.0
"""Errors on the way: hops, path MTU, unreachable ports; the gateway."""
import contextlib
import time

import frames
import mappings
from capture import Capture
from harness import (FAMILIES, Counters, address, assert_reaches, assert_same,
                     inject, moa, test)
from switch import wait_until
from traffic import (PMTUDISC_DO, bound, discover_mtu, error_of, path_mtu,
                     ping, set_pmtu_discovery, tcp_transfer, traceroute)


def gateway(vm, family):
    return vm.gateway4 if family == 4 else vm.gateway6


@test
def traceroute_within_a_subnet_shows_only_the_router_as_the_gateway(rig):
    for family in FAMILIES:
        path = traceroute(rig.a1.namespace, address(rig.a1, family),
                          address(rig.b1, family))
        assert_same(f"path, IPv{family}", path,
                    [gateway(rig.a1, family), address(rig.b1, family)])
        path = traceroute(rig.a1.namespace, address(rig.a1, family),
                          address(rig.a2, family))
        assert_same(f"path to a neighbour on the same host, IPv{family}",
                    path, [address(rig.a2, family)])


@test
def traceroute_to_another_subnet_shows_the_virtual_gateway_too(rig):
    for family in FAMILIES:
        path = traceroute(rig.a1.namespace, address(rig.a1, family),
                          address(rig.c2, family))
        first = gateway(rig.a1, family)
        assert_same(f"path, IPv{family}", path,
                    [first, first, address(rig.c2, family)])


@test
def the_virtual_gateway_answers_pings(rig):
    for vm in rig.a1, rig.c2:
        for family in FAMILIES:
            assert ping(vm.namespace, address(vm, family),
                        gateway(vm, family)), f"{vm.name}, IPv{family}"


@test
def only_the_routers_take_from_the_hop_limit(rig):
    """A bump in the wire within a subnet; one hop more between subnets."""
    for other, hops in ((rig.b1, 1), (rig.c2, 2), (rig.a2, 0)):
        for family in FAMILIES:
            with Capture(other.card()) as card:
                assert ping(rig.a1.namespace, address(rig.a1, family),
                            address(other, family), ttl=20)
                left = {frame.ttl for frame in card.read()
                        if frame.l4 and frame.l4[0] in (8, 128)}
            assert_same(f"hops left at {other.name}", left, {20 - hops})


@test
def a_closed_port_is_told_to_the_sender(rig):
    """The error quotes the packet: both its headers must be rewritten."""
    for other in rig.b1, rig.c2, rig.a2:
        for family in FAMILIES:
            with contextlib.closing(bound(
                    rig.a1.namespace, address(rig.a1, family))) as sock:
                sock.connect((address(other, family), 9))
                sock.send(b"anybody there?")
                try:
                    sock.recv(100)
                    refused = False
                except ConnectionRefusedError:
                    refused = True
                assert refused, f"{other.name}, IPv{family}: not refused"


@test
def the_switch_tells_the_mtu_of_a_path_to_another_host(rig):
    """Site a knows that the path to site c takes only 1400 bytes."""
    rig.a.mat.nexthop(rig.c.number, 1400)
    try:
        counters = Counters(rig.a)
        for family in FAMILIES:
            source, target = address(rig.a1, family), address(rig.c1, family)
            mtu, teller = discover_mtu(rig.a1.namespace, source, target, 1500)
            assert_same(f"path MTU, IPv{family}", mtu, 1400)
            assert_same("who told", teller, gateway(rig.a1, family))
            assert tcp_transfer(rig.a1.namespace, source, rig.c1.namespace,
                                target, 1 << 20)
            with contextlib.closing(bound(rig.a1.namespace, source)) as sock:
                set_pmtu_discovery(sock, PMTUDISC_DO)
                sock.connect((address(rig.b1, family), 9))
                assert_same("path MTU to site b", path_mtu(sock), 1500)
        counters.assert_grown("too-big", 2)
    finally:
        rig.a.mat.nexthop(rig.c.number, 1500)


@test
def the_switch_tells_the_mtu_of_the_port_of_a_vm(rig):
    """The host of the receiver tells, the sender's host translates."""
    rig.c.mat.vm_port("c1", 1300)
    try:
        for family in FAMILIES:
            source, target = address(rig.a1, family), address(rig.c1, family)
            mtu, teller = discover_mtu(rig.a1.namespace, source, target, 1500)
            assert_same(f"path MTU, IPv{family}", mtu, 1300)
            assert_same("who told", teller, target)
    finally:
        rig.c.mat.vm_port("c1")


@test
def an_error_about_a_packet_that_nobody_sent_is_not_believed(rig):
    """Forged on the underlay: it quotes a packet of another VM, or none."""
    def forged(quoted_source):
        quoted = frames.ip(rig.a.router_mac, rig.a.uplink_mac, quoted_source,
                           moa(rig.c1, 4), frames.UDP,
                           frames.udp(1, 2, b"forged"))[14:]
        return frames.ip(rig.a.router_mac, rig.a.uplink_mac, "192.0.2.9",
                         moa(rig.a1, 4), frames.ICMP,
                         b"\3\4\0\0\0\0\2\x40" + quoted)
    with Capture(rig.a1.card()) as card:
        for source in moa(rig.b1, 4), moa(rig.a2, 4), "203.0.113.5":
            inject(rig, rig.router.namespace, "a", forged(source))
        assert_reaches(rig.b1, rig.a1)
        assert_reaches(rig.c1, rig.a1)
        believed = [str(frame) for frame in card.read()
                    if b"forged" in frame.data]
        assert_same("forged errors at a1", believed, [])
        inject(rig, rig.router.namespace, "a", forged(moa(rig.a1, 4)))
        seen = wait_until(lambda: [frame for frame in card.read()
                                   if b"forged" in frame.data],
                          "the error about its own packet", 3)
    assert_same("its source", seen[0].src, rig.a1.gateway4)
    assert_same("what it quotes", (seen[0].quoted.src, seen[0].quoted.dst),
                (rig.a1.v4, rig.c1.v4))
    assert_same("its faults", seen[0].faults, [])


@test
def a_packet_as_large_as_the_path_passes(rig):
    rig.a.mat.nexthop(rig.c.number, 1400)
    try:
        for family, overhead in ((4, 28), (6, 48)):
            source, target = address(rig.a1, family), address(rig.c1, family)
            assert ping(rig.a1.namespace, source, target, fragment=False,
                        size=1400 - overhead), f"IPv{family}: no answer"
            assert not ping(rig.a1.namespace, source, target, fragment=False,
                            size=1401 - overhead, timeout_s=0.5)
    finally:
        rig.a.mat.nexthop(rig.c.number, 1500)


@test
def too_big_errors_of_routers_reach_the_vm_as_the_gateways(rig):
    """The switches do not know that the router's way to c is narrow."""
    with rig.router.narrow(rig.c, 1300):
        for family in FAMILIES:
            source, target = address(rig.a1, family), address(rig.c1, family)
            mtu, teller = discover_mtu(rig.a1.namespace, source, target, 1500)
            assert_same(f"path MTU, IPv{family}", mtu, 1300)
            assert_same("who told", teller, gateway(rig.a1, family))
            assert tcp_transfer(rig.a1.namespace, source, rig.c1.namespace,
                                target, 1 << 20)


@test
def ipv4_packets_that_may_be_fragmented_pass_a_narrow_router(rig):
    with rig.router.narrow(rig.c, 1300):
        for other in rig.c1, rig.c2:
            for size in 1472, 6000:
                assert ping(rig.a1.namespace, rig.a1.v4, other.v4, size=size,
                            fragment=True), f"{size} bytes to {other.name}"


@test
def arp_and_nd_are_answered_after_every_cache_has_been_flushed(rig):
    for _ in range(2):
        for vm in rig.vms.values():
            vm.forget_neighbours()
        rig.router.forget_neighbours()
        counters = Counters(*rig.sites)
        for one, other in ((rig.a1, rig.b1), (rig.c2, rig.a1),
                           (rig.a9, rig.b9), (rig.a1, rig.a2)):
            assert_reaches(one, other)
        counters.assert_grown("arp-answered")
        counters.assert_grown("nd-answered")


@test
def vms_learn_the_real_macs_of_their_subnet_and_the_gateways(rig):
    for vm in rig.vms.values():
        vm.forget_neighbours()
    assert_reaches(rig.a1, rig.b1)
    assert_reaches(rig.a1, rig.c2)
    learned = rig.a1.namespace.ip_show("neigh")
    for family in FAMILIES:
        for neighbour, mac in ((address(rig.b1, family), rig.b1.mac),
                               (gateway(rig.a1, family),
                                mappings.GATEWAY_MAC)):
            lines = [line for line in learned.splitlines()
                     if line.startswith(neighbour + " ")]
            assert lines and mac in lines[0], f"{neighbour}:\n{learned}"


@test
def the_router_learns_the_uplinks_mac_for_every_mobile_address(rig):
    rig.router.forget_neighbours()
    for vm in rig.b1, rig.a9, rig.c1:
        assert_reaches(rig.a1 if vm.zone == 7 else rig.b9, vm)
        learned = rig.router.namespace.ip_show("neigh")
        for family in FAMILIES:
            lines = [line for line in learned.splitlines()
                     if line.startswith(moa(vm, family) + " ")]
            assert lines and vm.site.uplink_mac in lines[0], learned


@test
def a_vm_may_ask_whether_its_own_address_is_taken(rig):
    """Duplicate detection: no answer for the own address or a free one, one
    for an address that somebody in the zone has."""
    with Capture(rig.a1.card()) as card:
        for target in rig.a1.v4, "172.16.7.200", rig.b1.v4:
            rig.a1.card_send(frames.arp(1, rig.a1.mac, "0.0.0.0",
                                        "00:00:00:00:00:00", target))
        for target in rig.a1.v6, "fd16:7::dead", rig.b1.v6:
            rig.a1.card_send(frames.solicitation(rig.a1.mac, "::", target))
        assert ping(rig.a1.namespace, rig.a1.v4, rig.b1.v4)
        assert ping(rig.a1.namespace, rig.a1.v6, rig.b1.v6)
        seen = card.read()
        probes = [f.arp[2] for f in seen if f.arp and f.arp[0] == 2
                  and f.arp[4] == "0.0.0.0"]
        claims = [frames.target_of(f) for f in seen
                  if f.protocol == frames.ICMPV6 and f.l4[0] == 136
                  and f.dst == "ff02::1"]
    assert_same("taken in IPv4", probes, [rig.b1.v4])
    assert_same("taken in IPv6", claims, [rig.b1.v6])


@test
def a_router_solicitation_gets_the_virtual_gateway(rig):
    with Capture(rig.a1.card()) as card:
        rig.a1.card_send(frames.router_solicitation(rig.a1.mac))
        assert ping(rig.a1.namespace, rig.a1.v6, rig.b1.v6)
        adverts = [f for f in card.read()
                   if f.protocol == frames.ICMPV6 and f.l4[0] == 134]
    assert adverts, "no router advertisement"
    assert_same("its sender's MAC", adverts[0].eth_src, mappings.GATEWAY_MAC)
    assert_same("its faults", adverts[0].faults, [])


@test
def dhcp_gives_a_vm_its_own_home_address_at_every_site(rig):
    """What a guest asks when it renews; nothing of it leaves the host."""
    DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
    wanted = b"\x32\x04" + frames.packed(rig.a1.v4)
    with Capture(rig.a1.card()) as card:
        def answered():
            return [frame for frame in card.read()
                    if frames.dhcp_answer(frame)]

        def asked(kind, options, n):
            """Asks again until the answer comes, as every client does."""
            rig.a1.card_send(frames.dhcp(rig.a1.mac, kind, *options))
            time.sleep(0.1)
            return len(answered()) >= n
        wait_until(lambda: asked(DISCOVER, (), 1), "an offer")
        n_offers = len(answered())
        wait_until(lambda: asked(REQUEST, (wanted,), n_offers + 1),
                   "an acknowledgement")
    faults = [str(frame) for frame in answered() if frame.faults]
    answers = [frames.dhcp_answer(frame) for frame in answered()]
    answers = [answers[0], answers[n_offers]]
    assert_same("faults", faults, [])
    assert_same("kinds", [a[0] for a in answers], [OFFER, ACK])
    for _, given, options in answers:
        assert_same("address", given, rig.a1.v4)
        assert_same("mask", options.get(1), frames.packed("255.255.255.0"))
        assert_same("router", options.get(3), frames.packed(rig.a1.gateway4))
