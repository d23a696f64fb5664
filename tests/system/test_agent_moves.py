# SPDX-License-Identifier: Apache-2.0
"""VMs that change their host, and agents that find out by themselves."""
import contextlib

from agent_harness import test
from agent_rig import FAMILIES, PATIENCE_S, reaches
from harness import assert_same
from switch import wait_until
from traffic import TcpStream, bound


def assert_reaches(one, other):
    """Soon: what is on its way while hosts still learn may be lost."""
    wait_until(lambda: reaches(one, other),
               f"answers to {one.name} from {other.name}", PATIENCE_S)


@contextlib.contextmanager
def sessions(*pairs, families=FAMILIES):
    """TCP of these families; all of it must arrive, and the block may ask that
    it goes on now: go_on()."""
    streams = [TcpStream(one.namespace, one.address(family), other.namespace,
                         other.address(family), interval_s=0.004,
                         patience_s=2 * PATIENCE_S)
               for one, other in pairs for family in families]

    def go_on(count=5000):
        questions = [stream.arrived(count) for stream in streams]
        for stream, question in zip(streams, questions):
            wait_until(question, f"{count} more bytes", PATIENCE_S)
            assert_same("error of the session", stream.error, None)

    try:
        go_on()
        yield go_on
        go_on()
    finally:
        for stream in streams:
            stream.stop()
    for stream in streams:
        assert_same("error of the session", stream.error, None)


def to_all(rig, vm):
    return sessions((vm, rig.a1), (rig.b1, vm), (vm, rig.c1))


@test
def tcp_sessions_survive_a_move_that_a_rarp_tells_of(rig):
    with to_all(rig, rig.m) as go_on:
        rig.m.move(rig.b, ("rarp",))
        rig.wait_seen(rig.m)
        go_on()


@test
def a_move_is_told_by_gratuitous_arp_or_an_advertisement_alone(rig):
    with to_all(rig, rig.m) as go_on:
        rig.m.move(rig.b, ("garp",))
        rig.wait_seen(rig.m)
        go_on()
        rig.m.move(rig.c, ("na",))
        rig.wait_seen(rig.m)
        go_on()


@test
def a_move_is_seen_by_the_vms_next_packet_if_it_announces_nothing(rig):
    with to_all(rig, rig.m) as go_on:
        rig.m.move(rig.b, ())
        rig.wait_seen(rig.m)
        go_on()


@test
def a_vm_moves_back_and_forth_and_its_sessions_go_on(rig):
    with to_all(rig, rig.m) as go_on:
        for to in (rig.b, rig.a, rig.b, rig.c, rig.a, rig.b):
            rig.m.move(to)
            rig.wait_seen(rig.m)
            go_on(2000)


@test
def two_vms_swap_their_hosts_at_the_same_time(rig):
    with sessions((rig.m, rig.n), (rig.m, rig.c1), (rig.a1, rig.n)) as go_on:
        rig.m.attach(rig.b)
        rig.n.attach(rig.a)
        rig.m.plug.move(rig.b)
        rig.n.plug.move(rig.a)
        rig.m.announce()
        rig.n.announce()
        rig.m.detach(rig.a)
        rig.n.detach(rig.b)
        rig.wait_seen(rig.m)
        rig.wait_seen(rig.n)
        go_on()


@test
def vms_of_one_host_part_and_meet_again(rig):
    """Local to remote, and remote to local."""
    with sessions((rig.m, rig.a1), (rig.m, rig.b1)) as go_on:
        rig.m.move(rig.b)
        rig.wait_seen(rig.m)
        go_on()
        rig.m.move(rig.a)
        rig.wait_seen(rig.m)
        go_on()


@test
def a_host_that_was_cut_off_during_a_move_learns_of_it_afterwards(rig):
    with sessions((rig.m, rig.c1), (rig.m, rig.a1)) as go_on:
        with rig.partition(rig.c):
            rig.m.move(rig.b)
            rig.wait_seen(rig.m, by=[rig.a, rig.b])
        rig.wait_seen(rig.m)
        go_on()


@test
def a_vm_leaves_a_host_that_is_cut_off(rig):
    """It is taken from a host that cannot be told."""
    with sessions((rig.m, rig.c1), (rig.b1, rig.m)) as go_on:
        with rig.partition(rig.a):
            rig.m.move(rig.b)
            rig.wait_seen(rig.m, by=[rig.b, rig.c])
            go_on()
        rig.wait_seen(rig.m)
        go_on()


@test
def a_failed_move_leaves_everything_as_it_was(rig):
    """The port was there, the VM never came."""
    before = [site.mapping(7, hoa) for site in rig.sites
              for hoa in rig.m.hoas()]
    with to_all(rig, rig.m) as go_on:
        rig.m.attach(rig.b)
        wait_until(lambda: prepared(rig.b, rig.m), "preparations at b",
                   PATIENCE_S)
        go_on()
        rig.m.detach(rig.b)
        go_on()
    after = [site.mapping(7, hoa) for site in rig.sites
             for hoa in rig.m.hoas()]
    assert_same("mappings", [e and e["moa"] for e in after],
                [e and e["moa"] for e in before])
    wait_until(lambda: not prepared(rig.b, rig.m), "the end of preparations",
               PATIENCE_S)


def prepared(site, vm):
    """The mappings that 'site' has ready for a VM that is to come."""
    return [entry for entry in site.table()["mappings"]
            if entry["zone"] == vm.zone and entry["hoa"] in vm.hoas()
            and entry["state"] == "prepared" and site.owns(entry["moa"])]


@test
def a_vm_without_a_session_is_found_at_its_new_place(rig):
    """Datagrams of one who has not heard of it, each a new try."""
    rig.m.move(rig.c)
    with contextlib.closing(bound(rig.b1.namespace, rig.b1.v4)) as there, \
            contextlib.closing(bound(rig.m.namespace, rig.m.v4)) as here:
        here.settimeout(0.2)

        def arrives():
            there.sendto(b"hello", here.getsockname())
            with contextlib.suppress(TimeoutError):
                return here.recv(100)
        wait_until(arrives, "a datagram", PATIENCE_S)
    assert_reaches(rig.b1, rig.m)
