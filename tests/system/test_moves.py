# SPDX-License-Identifier: Apache-2.0
"""VMs that change their site, late packets, waiting packets, ports that come
and go.  'm' can be at site a and b; its correspondents are everywhere."""
import contextlib
import struct

import frames
import mappings
from capture import Capture
from harness import (FAMILIES, Counters, address, assert_reaches, assert_same,
                     moa, test)
from netns import Namespace, connect
from switch import wait_until
from traffic import TcpStream, UdpStream, bound, ping


def sessions(rig, *pairs):
    return [TcpStream(one.namespace, address(one, family), other.namespace,
                      address(other, family))
            for one, other in pairs for family in FAMILIES]


def assert_all_go_on(streams, count=20000):
    questions = [stream.arrived(count) for stream in streams]
    for stream, question in zip(streams, questions):
        wait_until(question, f"{count} more bytes", 20)
        assert_same("error of the session", stream.error, None)


def assert_all_end_well(streams):
    for stream in streams:
        assert_same("error of the session", stream.stop().error, None)


@test
def tcp_sessions_survive_a_move_and_take_the_direct_path_after_it(rig):
    streams = sessions(rig, (rig.m, rig.c1), (rig.c2, rig.m),
                       (rig.a1, rig.m), (rig.m, rig.b1))
    assert_all_go_on(streams)
    mappings.move(rig, rig.m, rig.b)
    assert_all_go_on(streams)
    with Capture((rig.router.namespace, "a")) as old, \
            Capture((rig.router.namespace, "b")) as new:
        assert_all_go_on(streams)
        used = {a for frame in new.read() for a in frame.addresses()}
        stale = [str(frame) for frame in old.read()
                 if frame.ports() and rig.a.moa4(rig.m) in frame.addresses()]
    assert {rig.b.moa4(rig.m), rig.b.moa6(rig.m)} <= used
    assert_same("packets of the old mobile address", stale, [])
    assert_all_end_well(streams)
    for other in rig.a1, rig.b1, rig.c1, rig.c2:
        assert_reaches(rig.m, other)
        assert_reaches(other, rig.m)


@test
def tcp_sessions_survive_five_moves_in_a_row(rig):
    streams = sessions(rig, (rig.m, rig.c1), (rig.b1, rig.m))
    for number in range(5):
        assert_all_go_on(streams, 10000)
        mappings.move(rig, rig.m, rig.a if number % 2 else rig.b)
    assert_all_go_on(streams)
    assert_all_end_well(streams)


@test
def no_packet_to_a_vm_is_lost_or_overtaken_in_a_move_with_a_hint(rig):
    """Numbered datagrams from all sites, counted at m.  The old host sends on
    from the moment when the VM stops, the new one holds until it runs."""
    streams = [UdpStream(one.namespace, address(one, family),
                         rig.m.namespace, address(rig.m, family), 200)
               for one in (rig.a1, rig.b1, rig.c1) for family in FAMILIES]
    for stream in streams:
        wait_until(lambda: stream.received() > 50, "50 datagrams")
    counters = Counters(*rig.sites)
    mappings.move(rig, rig.m, rig.b)
    for stream in streams:
        goal = stream.received() + 100
        wait_until(lambda: stream.received() > goal, "100 more datagrams")
    lost = [stream.stop().lost() for stream in streams]
    assert_same(f"lost (counted: {counters.all_grown()})", lost,
                [[]] * len(streams))
    for stream in streams:
        assert_same("errors of sending", stream.errors, [])
        assert stream.in_order(), "datagrams changed their order"


def leave_c_behind(rig):
    """m has moved from a to b; c knows that it may, not that it did."""
    rig.b.mat.prepared(rig.m, rig.b)
    rig.c.mat.prepared(rig.m, rig.b)
    rig.m.plug.unplug()
    rig.a.mat.remote(rig.m, rig.b)
    rig.m.plug.plug(rig.b)
    rig.b.mat.local(rig.m)


@test
def the_old_site_sends_late_packets_on(rig):
    counters = Counters(rig.a)
    leave_c_behind(rig)
    assert_reaches(rig.c1, rig.m)
    assert_reaches(rig.c2, rig.m, size=4000, fragment=True)
    counters.assert_grown("redirected", 4)
    streams = sessions(rig, (rig.c1, rig.m))
    assert_all_go_on(streams)
    rig.c.mat.remote(rig.m)
    before = counters.grown("redirected")
    assert_all_go_on(streams)
    assert_all_end_well(streams)
    flushed = counters.grown("redirected")
    assert_reaches(rig.c1, rig.m)
    assert_same("redirected since c knows", counters.grown("redirected"),
                flushed)
    assert flushed - before < 50, "c was told and still goes by the old site"


@test
def a_redirect_takes_from_the_hop_limit_so_that_no_loop_lives(rig):
    leave_c_behind(rig)
    for family in FAMILIES:
        with Capture(rig.m.card()) as card:
            assert ping(rig.c1.namespace, address(rig.c1, family),
                        address(rig.m, family), ttl=20)
            left = {frame.ttl for frame in card.read()
                    if frame.l4 and frame.l4[0] in (8, 128)}
        assert_same("hops left: two routers and a redirect", left, {17})
    # Now b believes that m is at a: a loop.
    rig.b.mat.remote(rig.m, rig.a)
    with Capture(*rig.router.cables()) as cables:
        assert not ping(rig.c1.namespace, rig.c1.v4, rig.m.v4, ttl=30,
                        timeout_s=0.5)
        rounds = len([f for f in cables.read()
                      if f.l4 and f.protocol == frames.ICMP
                      and f.l4[0] == 8])
    assert 0 < rounds <= 62, f"the packet was seen {rounds} times"


@test
def a_departed_vm_cannot_speak_at_its_old_site(rig):
    """Its port is still there, but its address is at b now."""
    rig.b.mat.prepared(rig.m, rig.b)
    rig.c.mat.remote(rig.m, rig.b)
    rig.a.mat.remote(rig.m, rig.b)
    counters = Counters(rig.a)
    for family in FAMILIES:
        assert not ping(rig.m.namespace, address(rig.m, family),
                        address(rig.c1, family), timeout_s=0.5)
    wait_until(lambda: sum(counters.all_grown().values()), "a verdict")
    assert_same("translated", counters.grown("translated"), 0)


def numbered(rig, vm, family, source, count):
    """'count' datagrams to 'vm', sent at once."""
    with contextlib.closing(bound(source.namespace,
                                  address(source, family))) as sock:
        for number in range(count):
            sock.sendto(struct.pack("!I", number),
                        (address(vm, family), 6000))


def collected(sock, count, timeout_s):
    numbers = []
    sock.settimeout(timeout_s)
    with contextlib.suppress(TimeoutError):
        while len(numbers) < count:
            numbers.append(struct.unpack("!I", sock.recv(100))[0])
    return numbers


def prepare_at_b(rig):
    """m may move to b, where what comes for it waits; c already believes
    that it is there."""
    for site in rig.sites:
        site.mat.prepared(rig.m, rig.b, hold=site is rig.b)
    rig.router.learn(rig.a.moa4(rig.m), rig.a.moa6(rig.m),
                     rig.b.moa4(rig.m), rig.b.moa6(rig.m))
    rig.c.mat.remote(rig.m, rig.b)


@test
def packets_wait_for_a_prepared_vm_and_are_delivered_in_order(rig):
    counters = Counters(rig.b)
    prepare_at_b(rig)
    rig.m.plug.unplug()
    rig.m.plug.plug(rig.b)
    for family in FAMILIES:
        with contextlib.closing(bound(rig.m.namespace, address(
                rig.m, family), port=6000)) as sock:
            numbered(rig, rig.m, family, rig.c1, 40)
            counters.assert_grown("held", 40 if family == 4 else 80)
            assert_same("while held", collected(sock, 1, 0.05), [])
            if family == 4:
                rig.b.mat.local(rig.m, [family])
            else:
                rig.b.mat.hold(rig.m, "off", rig.b)
            assert_same("after it", collected(sock, 40, 3),
                        list(range(40)))


@test
def waiting_packets_of_a_migration_that_failed_are_dropped_and_counted(rig):
    prepare_at_b(rig)
    counters = Counters(rig.b)
    with contextlib.closing(bound(rig.m.namespace, rig.m.v4,
                                  port=6000)) as sock:
        numbered(rig, rig.m, 4, rig.c1, 20)
        counters.assert_grown("held", 20)
        rig.b.mat.hold(rig.m, "flush", rig.b)
        rig.b.mat.delete(rig.m, rig.b)
        rig.c.mat.remote(rig.m, rig.a)
        assert_same("datagrams", collected(sock, 1, 0.1), [])
    assert_reaches(rig.c1, rig.m)
    assert_reaches(rig.m, rig.a1)


@test
def waiting_packets_of_a_migration_that_failed_can_be_sent_back(rig):
    """The new site makes what it had prepared a departed address: what
    waits there, and what still comes, goes to the old site again."""
    prepare_at_b(rig)
    counters = Counters(rig.b)
    for family in FAMILIES:
        with contextlib.closing(bound(rig.m.namespace, address(
                rig.m, family), port=6000)) as sock:
            before = counters.grown("held")
            numbered(rig, rig.m, family, rig.c1, 20)
            counters.assert_grown("held", before + 20)
            rig.b.mat.departed(rig.m, rig.b, [family])
            rig.b.mat.release(rig.m, family)
            assert_same("datagrams", collected(sock, 20, 3),
                        list(range(20)))
    counters.assert_grown("redirected", 40)
    rig.c.mat.remote(rig.m, rig.a)
    assert_reaches(rig.c1, rig.m)


@test
def a_move_that_is_rolled_back_leaves_sessions_alive(rig):
    """The VM was stopped and packets went to the new site; then it runs at
    the old one after all."""
    streams = sessions(rig, (rig.m, rig.c1), (rig.b1, rig.m))
    assert_all_go_on(streams)
    for _ in range(3):
        mappings.move(rig, rig.m, rig.b)
        mappings.move(rig, rig.m, rig.a)
    assert_all_go_on(streams)
    assert_all_end_well(streams)


@test
def an_uplink_that_goes_and_comes_back_works_again(rig):
    rig.a.switch.del_port("br0", "uplink")
    rig.a.add_port("uplink")
    mappings.pipeline(rig.a, rig.vms.values())
    assert_reaches(rig.a1, rig.b1)
    assert_reaches(rig.c1, rig.a1)


@test
def a_reused_port_number_gets_no_packet_of_the_vm_that_had_it(rig):
    number = rig.a.switch.port_number("a2")
    stranger = Namespace(f"{rig.prefix}-x")
    try:
        connect(rig.a.namespace, "x", stranger, "eth0")
        rig.a.switch.del_port("br0", "a2")
        rig.a.add_port("x")
        assert_same("the new port's number", rig.a.switch.port_number("x"),
                    number)
        counters = Counters(rig.a)
        with Capture((stranger, "eth0")) as card:
            for one in rig.a1, rig.b1:
                for family in FAMILIES:
                    assert not ping(one.namespace, address(one, family),
                                    address(rig.a2, family), timeout_s=0.3)
            assert_reaches(rig.b1, rig.a1)
            seen = [str(frame) for frame in card.read()
                    if frame.eth_dst == rig.a2.mac
                    or rig.a2.v4 in frame.addresses()]
        assert_same("frames of a2 at the stranger", seen, [])
        counters.assert_grown("port-gone", 2)
        rig.a.switch.del_port("br0", "x")
        rig.a.add_port("a2")
        mappings.pipeline(rig.a, rig.vms.values())
        assert_reaches(rig.b1, rig.a2)
        assert_reaches(rig.a2, rig.a1)
    finally:
        stranger.delete()


@test
def a_port_that_comes_back_under_another_number_is_found_by_its_name(rig):
    rig.a.switch.del_port("br0", "a2")
    rig.a.switch.del_port("br0", "a1")
    rig.a.add_port("a2")
    rig.a.add_port("a1")
    mappings.pipeline(rig.a, rig.vms.values())
    for vm in rig.a1, rig.a2:
        assert_reaches(rig.b1, vm)
        assert_reaches(vm, rig.c1)
    assert_reaches(rig.a1, rig.a2)


@test
def without_mappings_nothing_passes_and_nothing_leaks(rig):
    counters = Counters(rig.a)
    rig.a.mat.flush()
    for family in FAMILIES:
        assert not ping(rig.a1.namespace, address(rig.a1, family),
                        address(rig.b1, family), timeout_s=0.3)
        assert not ping(rig.b1.namespace, address(rig.b1, family),
                        address(rig.a1, family), timeout_s=0.3)
    assert sum(counters.all_grown().values()) >= 4, counters.all_grown()
    mappings.fill(rig)
    assert_reaches(rig.a1, rig.b1)
    assert_same("MoA of a1", moa(rig.a1, 4), rig.a.moa4(rig.a1))
