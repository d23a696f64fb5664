# SPDX-License-Identifier: Apache-2.0
"""The switch itself: without an agent, with broken clients, restarted; and
whether the checks of this suite can fail at all."""
import contextlib
import json
import os
import socket

import frames
import mappings
from capture import Capture
from harness import (FAMILIES, Counters, address, assert_reaches, assert_same,
                     moa, test, underlay_faults)
from switch import wait_until
from traffic import TcpStream, bound, ping, tcp_transfer


@test
def the_checks_of_the_underlay_find_what_they_look_for(rig):
    """Faults planted on the cable; a check that cannot fail is none."""
    router, uplink = rig.b.router_mac, rig.b.uplink_mac
    good = frames.ip(router, uplink, moa(rig.a1, 4), moa(rig.b1, 4),
                     frames.UDP, frames.udp(1, 2, b"good"))
    planted = {
        "bad IPv4 checksum": good[:24] + b"\xff\xff" + good[26:],
        "bad transport checksum": good[:40] + b"\xff\xff" + good[42:],
        f"shows {rig.a1.v4}": frames.ip(
            router, uplink, rig.a1.v4, moa(rig.b1, 4), frames.UDP,
            frames.udp(1, 2, b"home")),
        "shows the MAC of a VM": frames.ip(
            rig.a1.mac, uplink, moa(rig.a1, 4), moa(rig.b1, 4), frames.UDP,
            frames.udp(1, 2, b"mac")),
        f"shows {rig.a1.v6}": frames.ip(
            router, uplink, moa(rig.a1, 6), rig.a1.v6, frames.UDP,
            frames.udp(1, 2, b"home"))}
    for fault, frame in planted.items():
        with Capture((rig.router.namespace, "b")) as cable:
            sock = rig.router.namespace.packet_socket("b")
            sock.send(frame)
            sock.close()
            found = wait_until(lambda: underlay_faults(rig, cable),
                               f"fault {fault!r}", 2)
        rig.injected.add(frame)
        assert any(fault in text for text in found), found


@test
def forwarding_goes_on_when_clients_of_the_update_socket_misbehave(rig):
    """Garbage, a half-sent message, a subscriber that never reads and dies:
    no agent is needed for anything that is in the table."""
    path = rig.a.switch.update_socket()
    stream = TcpStream(rig.a1.namespace, rig.a1.v4, rig.b1.namespace,
                       rig.b1.v4)
    for message in (b"", b"x", b"MATU", os.urandom(24), os.urandom(60000),
                    b"MATU\0\1\0\7" + bytes(16)):
        with contextlib.closing(socket.socket(
                socket.AF_UNIX, socket.SOCK_SEQPACKET)) as client:
            client.connect(path)
            with contextlib.suppress(OSError):
                client.send(message)
        wait_until(stream.arrived(5000), "5000 more bytes")
    assert_same("error", stream.stop().error, None)
    assert_reaches(rig.a1, rig.c1)


@test
def no_packet_uses_the_old_value_after_the_acknowledgement(rig):
    """c is told ever new addresses of m.  A packet that is sent after the
    reply to a change has the address of that change, or of a later one."""
    assert_reaches(rig.c1, rig.m)       # ARP is done.
    moas = [f"{rig.b.subnet6}::1:0:1:{number:x}" for number in range(300)]
    with contextlib.closing(mappings.FastMat(rig.c)) as table, \
            contextlib.closing(bound(rig.c1.namespace, rig.c1.v6)) as sock, \
            Capture((rig.router.namespace, "c")) as cable:
        for number, moa6 in enumerate(moas):
            table.remote_at(rig.m, rig.m.v6, moa6, rig.b)
            sock.sendto(b"%d" % number, (rig.m.v6, 6000))
        assert_reaches(rig.c1, rig.a1)
        seen = {int(frame.payload()): moas.index(frame.dst)
                for frame in cable.read() if frame.protocol == frames.UDP}
    assert_same("packets seen", sorted(seen), list(range(300)))
    for number, change in seen.items():
        assert change >= number, f"packet {number} used change {change}"


@test
def traffic_is_not_disturbed_while_the_table_grows(rig):
    """40,000 mappings come, in thousands of changes, and go at once."""
    stream = TcpStream(rig.a1.namespace, rig.a1.v4, rig.b1.namespace,
                       rig.b1.v4)
    wait_until(stream.arrived(20000), "20000 bytes")
    with contextlib.closing(mappings.FastMat(rig.a)) as table:
        for high in range(200):
            table.remote_many(
                [(5, f"10.5.{high}.{low}", f"10.78.{high}.{low}",
                  f"02:05:00:00:{high:02x}:{low:02x}")
                 for low in range(1, 201)], rig.b)
    shown = json.loads(rig.a.mat.command("memory", "--json"))
    assert shown["ipv4.mappings"] >= 40000, shown
    wait_until(stream.arrived(20000), "20000 more bytes")
    with contextlib.closing(mappings.FastMat(rig.a)) as table:
        for number in range(2000):
            table.remote_many([(5, "10.5.250.1", f"10.79.{number // 250}."
                                f"{number % 250 + 1}", "02:05:00:00:fa:01")],
                              rig.b)
    assert tcp_transfer(rig.a1.namespace, rig.a1.v6, rig.b1.namespace,
                        rig.b1.v6, 4 << 20)
    assert_same("error", stream.stop().error, None)
    mappings.fill(rig)
    assert_reaches(rig.a1, rig.b1)
    shown = json.loads(rig.a.mat.command("memory", "--json"))
    assert shown["ipv4.mappings"] < 50, shown


@test
def a_vm_that_asks_for_unknown_neighbours_does_not_harm_others(rig):
    """Queues of packets that wait for a mapping are bounded."""
    stream = TcpStream(rig.a1.namespace, rig.a1.v4, rig.b1.namespace,
                       rig.b1.v4)
    wait_until(stream.arrived(5000), "5000 bytes")
    for batch in range(40):
        rig.a2.card_send(*(frames.ip(
            rig.a2.mac, mappings.GATEWAY_MAC, rig.a2.v4,
            f"172.16.8.{64 + number % 2}", frames.UDP,
            frames.udp(1, 2, bytes(1000))) for number in range(250)))
        wait_until(stream.arrived(1000), "1000 more bytes")
    assert_same("error", stream.stop().error, None)
    held = json.loads(rig.a.mat.command("stats", "--json"))
    assert held["hold.held"] and held["hold.refused-key-packets"], held
    assert_reaches(rig.a1, rig.b1)
    assert_reaches(rig.a2, rig.b1)


@test
def the_explicit_action_leaves_delivery_to_the_flow_table(rig):
    mappings.explicit_pipeline(rig.b, rig.vms.values())
    try:
        for one in rig.a1, rig.c2:
            assert_reaches(one, rig.b1)
            assert_reaches(rig.b1, one)
        for family in FAMILIES:
            assert tcp_transfer(rig.a1.namespace, address(rig.a1, family),
                                rig.b1.namespace, address(rig.b1, family),
                                1 << 20)
        assert_reaches(rig.b1, rig.a1, size=4000, fragment=True)
        flows = rig.b.switch.ofctl("dump-flows", "br0", "table=1")
        assert "n_packets=0" not in [
            line for line in flows.splitlines()
            if f"nw_dst={rig.b1.v4}" in line][0], flows
    finally:
        mappings.pipeline(rig.b, rig.vms.values())


@test
def every_packet_has_one_verdict(rig):
    """Echo requests and answers: as many verdicts as packets, no more."""
    assert_reaches(rig.a1, rig.b1)
    counters = Counters(rig.a)
    for _ in range(10):
        for family in FAMILIES:
            assert ping(rig.a1.namespace, address(rig.a1, family),
                        address(rig.b1, family))
    assert_same("translated", counters.grown("translated"), 20)
    assert_same("delivered", counters.grown("delivered"), 20)


@test
def a_restarted_daemon_works_as_soon_as_it_is_told_again(rig):
    rig.b.switch.restart()
    for one, other in ((rig.a1, rig.b1), (rig.b1, rig.c1)):
        for family in FAMILIES:
            assert not ping(one.namespace, address(one, family),
                            address(other, family), timeout_s=0.3)
    mappings.configure(rig)
    mappings.fill(rig)
    assert_reaches(rig.a1, rig.b1)
    assert_reaches(rig.b1, rig.c1)
    assert_reaches(rig.b9, rig.a9)


@test
def the_commands_speak_json(rig):
    for command in "show", "stats", "memory", "ports", "pools":
        answer = json.loads(rig.a.mat.command(command, "--json"))
        assert answer, f"mat/{command} --json: {answer!r}"
    shown = rig.a.mat.command("lookup", "zone=7", f"hoa={rig.b1.v4}")
    assert moa(rig.b1, 4) in shown, shown
