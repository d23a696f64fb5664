# SPDX-License-Identifier: Apache-2.0
"""Ordinary traffic between VMs, IPv4 and IPv6."""
import contextlib
import socket

import frames
from capture import Capture
from harness import (FAMILIES, Counters, address, assert_reaches,
                     assert_same, moa, test)
from switch import wait_until
from traffic import (TcpStream, UdpStream, bound, discover_mtu, ping,
                     tcp_transfer, udp_exchange)


@test
def every_vm_reaches_every_other_of_its_zone(rig):
    vms = list(rig.vms.values())
    for one in vms:
        for other in vms:
            if one is not other and one.zone == other.zone:
                assert_reaches(one, other)


@test
def the_underlay_sees_mobile_addresses_and_the_vms_see_home_addresses(rig):
    for family in FAMILIES:
        with Capture(*rig.router.cables()) as cables, \
                Capture(rig.b1.card()) as card:
            source, target = address(rig.a1, family), address(rig.b1, family)
            assert ping(rig.a1.namespace, source, target)
            under = {(frame.src, frame.dst) for frame in cables.read()
                     if frame.l4 and frame.l4[0] in (8, 128)}
            inside = {(frame.src, frame.dst) for frame in card.read()
                      if frame.l4 and frame.l4[0] in (8, 128)}
        assert_same("addresses on the underlay", under,
                    {(moa(rig.a1, family), moa(rig.b1, family))})
        assert_same("addresses at b1", inside, {(source, target)})


@test
def tcp_carries_bulk_data_unchanged(rig):
    for one, other in ((rig.a1, rig.b1), (rig.b1, rig.c2), (rig.a1, rig.a2)):
        for family in FAMILIES:
            assert tcp_transfer(one.namespace, address(one, family),
                                other.namespace, address(other, family),
                                4 << 20), f"{one.name} to {other.name}"


@test
def udp_of_all_sizes_goes_both_ways(rig):
    for one, other in ((rig.a1, rig.b1), (rig.c2, rig.a1), (rig.a1, rig.a2)):
        for family in FAMILIES:
            for size in (0, 1, 7, 512, 1452, 1472, 5000, 20000):
                good = udp_exchange(one.namespace, address(one, family),
                                    other.namespace, address(other, family),
                                    count=5, size=size)
                assert_same(f"echoes of {size} bytes from {one.name} by "
                            f"{other.name}, IPv{family}", good, 5)


@test
def a_udp_packet_without_checksum_stays_without(rig):
    SO_NO_CHECK = 11
    with contextlib.closing(bound(rig.b1.namespace, rig.b1.v4)) as there, \
            contextlib.closing(bound(rig.a1.namespace, rig.a1.v4)) as here, \
            Capture((rig.router.namespace, "b")) as cable:
        here.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        here.sendto(b"unchecked", there.getsockname())
        assert_same("payload", there.recv(100), b"unchecked")
        seen = [frame.l4[6:8] for frame in cable.read()
                if frame.protocol == frames.UDP]
        assert_same("checksum fields", seen, [b"\0\0"])


@test
def large_packets_cross_in_fragments(rig):
    for one, other in ((rig.a1, rig.c1), (rig.a1, rig.c2), (rig.a1, rig.a2)):
        for size in (1473, 4000, 9000):
            assert_reaches(one, other, size=size, fragment=True)


@test
def a_vm_is_reached_in_the_other_order_of_fragments(rig):
    """Later fragments have no transport header; they come first here."""
    whole = frames.ip(rig.a1.mac, rig.b1.mac, rig.a1.v4, rig.b1.v4,
                      frames.UDP, frames.udp(4000, 4001, b"x" * 992))
    pieces = frames.ipv4_fragments(whole, 504)
    with contextlib.closing(
            bound(rig.b1.namespace, rig.b1.v4, port=4001)) as there:
        card = rig.a1.namespace.packet_socket("eth0")
        for piece in reversed(pieces):
            card.send(piece)
        card.close()
        assert_same("payload", there.recv(2000), b"x" * 992)


@test
def other_transport_protocols_pass_with_their_bytes_unchanged(rig):
    SCTP, GRE, UNKNOWN = 132, 47, 253
    for protocol in (SCTP, GRE, UNKNOWN):
        for family in FAMILIES:
            source, target = address(rig.a1, family), address(rig.c1, family)
            body = bytes(range(64))
            with contextlib.closing(bound(
                    rig.c1.namespace, target, socket.SOCK_RAW,
                    protocol=protocol)) as there, \
                contextlib.closing(bound(
                    rig.a1.namespace, source, socket.SOCK_RAW,
                    protocol=protocol)) as here:
                here.sendto(body, (target, 0))
                got, sender = there.recvfrom(2000)
            assert_same("sender", sender[0], source)
            assert got.endswith(body), f"protocol {protocol}: {got.hex()}"


@test
def streams_in_both_directions_lose_nothing_and_keep_their_order(rig):
    streams = [UdpStream(one.namespace, address(one, family), other.namespace,
                         address(other, family), rate_pps=200)
               for one, other in ((rig.a1, rig.b1), (rig.b1, rig.a1),
                                  (rig.c2, rig.b1)) for family in FAMILIES]
    for stream in streams:
        wait_until(lambda: stream.received() >= 200, "200 datagrams")
    for stream in streams:
        stream.stop()
        assert_same("lost datagrams", stream.lost(), [])
        assert stream.in_order(), "datagrams changed their order"


@test
def tcp_sessions_of_both_families_run_side_by_side(rig):
    streams = [TcpStream(one.namespace, address(one, family), other.namespace,
                         address(other, family))
               for one, other in ((rig.a1, rig.b1), (rig.b1, rig.c1))
               for family in FAMILIES]
    for stream in streams:
        wait_until(stream.arrived(50000), "50000 bytes")
    for stream in streams:
        assert_same("error", stream.stop().error, None)


@test
def packets_between_vms_of_one_host_stay_there(rig):
    counters = Counters(rig.a)
    with Capture(*rig.router.cables()) as cables:
        assert_reaches(rig.a1, rig.a2)
        addresses = {a for frame in cables.read() for a in frame.addresses()}
    assert not addresses & {moa(rig.a1, 4), moa(rig.a2, 4), moa(rig.a1, 6),
                            moa(rig.a2, 6)}, "they were seen on the underlay"
    counters.assert_grown("local", 4)


@test
def hosts_keep_their_own_traffic(rig):
    for one, other in ((rig.a, rig.b), (rig.b, rig.c)):
        pairs = ((one.address4, other.address4),
                 (one.address6, other.address6))
        for source, target in pairs:
            assert ping(one.namespace, source, target), f"{source}: no ping"
            assert ping(one.namespace, source, target, size=4000,
                        fragment=True), f"{source}: no large ping"
            assert tcp_transfer(one.namespace, source, other.namespace,
                                target, 1 << 20)


@test
def the_number_of_datapath_flows_does_not_follow_the_number_of_pairs(rig):
    vms = [vm for vm in rig.vms.values() if vm.zone == 7]
    for one in vms:
        for other in vms:
            if one is not other:
                assert_reaches(one, other)
    for site in rig.sites:
        flows = [line for line in site.switch.appctl(
            "dpctl/dump-flows").splitlines() if "mat(" in line]
        shown = "\n".join(flows)
        assert flows, "no flow has the action"
        assert len(flows) <= 12 * len(site.ports), shown
        for word in ("src=", "dst=", "sport", "proto="):
            assert word not in shown.split("actions")[0], shown
