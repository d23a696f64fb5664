# SPDX-License-Identifier: Apache-2.0
"""Whatever ends, starts again or breaks around an agent: no packet is lost by
it, and what it knew it knows."""
import contextlib
import os
import shutil
import time

from agent_harness import test
from agent_rig import FAMILIES, PATIENCE_S
from harness import assert_same
from netns import run
from switch import end_process, wait_until
from test_agent_moves import assert_reaches, sessions, to_all
from traffic import UdpStream

SHORT_S, LONG_S = 8, 90


@contextlib.contextmanager
def streams(pps, *pairs, ways=2):
    """Numbered datagrams each way, of both families; assert_none_lost() tells
    of them after the block."""
    running = [UdpStream(x.namespace, x.address(family), y.namespace,
                         y.address(family), pps / len(FAMILIES))
               for one, other in pairs for family in FAMILIES
               for x, y in ((one, other), (other, one))[:ways]]
    for stream in running:
        wait_until(lambda: stream.received() > 20, "datagrams", PATIENCE_S)
    try:
        yield running
        for stream in running:
            goal = stream.sent
            wait_until(lambda: stream.received() and
                       stream.arrivals[-1][0] >= goal, "later datagrams",
                       PATIENCE_S)
    finally:
        for stream in running:
            stream.stop()


def assert_none_lost(running):
    for stream in running:
        assert_same("errors of sending", stream.errors, [])
    assert_same("lost", [stream.lost() for stream in running],
                [[] for _ in running])


def forget_fast(rig):
    """ARP and ND entries of router and VMs live a second or so."""
    for namespace in [rig.router.namespace] + [
            vm.namespace for vm in rig.vms.values()]:
        for family in "ipv4", "ipv6":
            namespace.sysctl(*(
                f"net.{family}.neigh.{link}.{what}"
                for link in links_of(namespace)
                for what in ("base_reachable_time_ms=500", "gc_stale_time=1",
                             "delay_first_probe_time=1")))


def links_of(namespace):
    return [line.split(":")[1].split("@")[0].strip() for line in
            namespace.ip_show("-o", "link").splitlines() if "lo:" not in line]


def outlive_the_agent(rig, seconds, pps):
    """While the agent of a is dead, m moves from b to c.  VMs that stay lose
    nothing, what a goes on to send to the old place comes to the new one, and
    what m says there is understood at a: it comes from the MoA that a knows.
    When the agent is back, a learns the new one, and nothing is lost by it."""
    forget_fast(rig)
    rig.m.move(rig.b)
    rig.wait_seen(rig.m)
    with streams(pps, (rig.a1, rig.b1)) as steady, \
            streams(100, (rig.a1, rig.c1)) as more:
        rig.a.kill_agent()
        dead = time.monotonic()
        rig.m.move(rig.c)
        rig.wait_seen(rig.m, by=[rig.b, rig.c])
        wait_until(lambda: is_behind(rig.c, rig.a1), "a suspicion",
                   PATIENCE_S)
        with streams(pps, (rig.a1, rig.m)) as moved:
            wait_until(lambda: time.monotonic() > dead + seconds,
                       f"{seconds} s without an agent", seconds + 5)
            rig.a.start_agent()
            rig.wait_seen(rig.m)
            wait_until(lambda: not is_behind(rig.c, rig.a1), "trust",
                       PATIENCE_S)
    assert_none_lost(steady + more + moved)


def is_behind(site, vm):
    """Does 'site' send to the host of 'vm' as to one that hears of no moves?
    """
    hops = [hop for hop in site.table()["nexthops"] if hop["behind"]]
    used = {int(site.mapping(vm.zone, hoa)["nexthop"]) for hoa in vm.hoas()}
    return used <= {hop["id"] for hop in hops}


@test
def an_agent_is_killed_and_stays_dead_and_no_packet_is_lost_by_it(rig):
    outlive_the_agent(rig, SHORT_S, 100)


@test
def a_session_with_a_vm_that_moved_while_the_agent_was_dead_goes_on(rig):
    with sessions((rig.a1, rig.m)):
        rig.a.kill_agent()
        rig.m.move(rig.c)
        rig.wait_seen(rig.m, by=[rig.b, rig.c])
        rig.a.start_agent()
        rig.wait_seen(rig.m)


@test(rig="dpdk", full=True, capture=False)
def an_agent_is_dead_for_90_s_at_1000_packets_a_second_each_way(rig):
    outlive_the_agent(rig, LONG_S, 1000)


@test
def an_agent_is_stopped_and_started_and_no_packet_is_lost_by_it(rig):
    with streams(100, (rig.a1, rig.b1), (rig.m, rig.c1)) as running:
        before = mappings_at(rig.a, rig)
        rig.a.stop_agent()
        rig.a.start_agent()
        wait_until(lambda: ready(rig.a), "an agent that is ready", PATIENCE_S)
        rig.wait_seen(rig.a1)
        rig.wait_seen(rig.m)
    assert_none_lost(running)
    after = mappings_at(rig.a, rig)
    assert_same("mappings at a that are different", after - before, set())


def mappings_at(site, rig):
    """But for the numbers of next hops."""
    return {(vm.name, hoa, *(entry.get(key) for key in ("moa", "mac", "state",
                                                        "port")))
            for vm in rig.vms.values() for hoa in vm.hoas()
            if (entry := site.mapping(vm.zone, hoa))}


def ready(site):
    status = site.agent("status")
    return status["ready"] and status["in_sync"]


@test
def a_switch_that_restarts_has_table_and_flows_again_within_a_second(rig):
    with to_all(rig, rig.m) as go_on:
        rig.a.switch.restart()
        answers = time.monotonic()
        rig.wait_seen(rig.a1, by=[rig.a])
        rig.wait_seen(rig.c1, by=[rig.a])
        rig.wait_seen(rig.m, by=[rig.a])
        wait_until(lambda: "mat(out" in rig.a.flows(), "flows", PATIENCE_S)
        took = time.monotonic() - answers
        print(f"# table and flows after {took:.2f} s")
        go_on()
    assert took < 5, f"{took} s on a busy machine"


@test
def a_database_that_restarts_costs_nothing(rig):
    with streams(100, (rig.a1, rig.c1), (rig.m, rig.b1)) as running:
        end_process(rig.a.switch.pids["ovsdb-server"])
        rig.a.switch.start_database()
        rig.a.configure(mat_age="77")
        wait_until(lambda: "77" in str(rig.a.agent("config")), "the change",
                   PATIENCE_S)
        rig.a.configure(mat_age=None)
    assert_none_lost(running)
    rig.m.move(rig.b)
    rig.wait_seen(rig.m)


@test
def an_uplink_that_goes_down_and_up_again_is_used_again(rig):
    rig.expected.append("error receiving data from uplink: Network is down")
    with sessions((rig.a1, rig.c1), (rig.m, rig.b1)) as go_on:
        rig.a.namespace.ip("link set dev uplink down")
        rig.m.move(rig.b)
        rig.wait_seen(rig.m, by=[rig.b, rig.c])
        rig.a.namespace.ip("link set dev uplink up")
        rig.wait_seen(rig.m)
        go_on()


@test
def a_full_disk_is_named_and_stops_nothing(rig):
    rig.expected.append("No space left on device")
    rig.b.stop_agent()
    with small_disk(rig.b.state) as fill:
        rig.b.start_agent()
        wait_until(lambda: rig.b.agent("status")["gossip"]["running"]
                   and ready(rig.b), "an agent that is ready", PATIENCE_S)
        fill()
        with to_all(rig, rig.m) as go_on:
            rig.m.move(rig.b)
            rig.wait_seen(rig.m)
            go_on()
            wait_until(lambda: "No space left" in str(
                rig.b.agent("status")["problems"]), "the problem is named",
                PATIENCE_S)
            fill(0)
            wait_until(lambda: "No space left" not in str(
                rig.b.agent("status")["problems"]), "it was written",
                PATIENCE_S)
            rig.m.move(rig.a)
            rig.wait_seen(rig.m)
        rig.b.stop_agent()
    rig.b.start_agent()


@contextlib.contextmanager
def small_disk(path):
    """A disk of its own there with what was there, full after fill()."""
    shutil.copytree(path, path + ".before")
    run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path)
    shutil.copytree(path + ".before", path, dirs_exist_ok=True)

    def fill(n_bytes=1 << 20):
        with contextlib.suppress(OSError), open(f"{path}/filler", "wb",
                                                buffering=0) as file:
            while n_bytes:
                n_bytes -= file.write(bytes(4096))
    try:
        yield fill
    finally:
        shutil.rmtree(path + ".before")
        shutil.copytree(path, path + ".before")
        run("umount", "--lazy", path)
        shutil.copytree(path + ".before", path, dirs_exist_ok=True)
        shutil.rmtree(path + ".before")


@test
def a_torn_state_file_is_set_aside_and_named(rig):
    with sessions((rig.a1, rig.c1), (rig.m, rig.b1)) as go_on:
        path = f"{rig.a.state}/state"
        wait_until(lambda: os.path.exists(path), "a state file", PATIENCE_S)
        rig.a.kill_agent()
        os.truncate(path, os.path.getsize(path) // 2)
        rig.a.start_agent()
        wait_until(lambda: ready(rig.a), "an agent that is ready", PATIENCE_S)
        assert any("damaged" in name for name in os.listdir(rig.a.state)), (
            os.listdir(rig.a.state))
        assert "damaged" in rig.a.log()
        go_on()
        rig.m.move(rig.b)
        rig.wait_seen(rig.m)


@test
def an_agent_that_has_lost_its_disk_is_whole_again(rig):
    """Peers remember more of it than it does itself."""
    with sessions((rig.b1, rig.c1), (rig.m, rig.b1)) as go_on:
        rig.m.move(rig.b)
        rig.wait_seen(rig.m)
        rig.b.kill_agent()
        shutil.rmtree(rig.b.state)
        rig.b.start_agent()
        wait_until(lambda: ready(rig.b), "an agent that is ready", PATIENCE_S)
        go_on()
        for to in rig.c, rig.b, rig.a:
            rig.m.move(to)
            rig.wait_seen(rig.m)
            go_on(1000)
    rig.wait_seen(rig.b1)


@test
def an_agent_that_is_killed_at_any_moment_of_a_move_knows_in_the_end(rig):
    with sessions((rig.m, rig.c1), (rig.a1, rig.m)) as go_on:
        for delay_ms in 0, 1, 3, 10, 30, 100:
            to = rig.b if rig.m.site is rig.a else rig.a
            rig.m.attach(to)
            rig.m.plug.move(to)
            rig.m.announce(("rarp",))
            time.sleep(delay_ms / 1000)
            to.kill_agent()
            to.start_agent()
            rig.m.detach(rig.a if to is rig.b else rig.b)
            rig.m.announce(("garp",))
            rig.wait_seen(rig.m)
            go_on(1000)


@test
def a_clock_that_jumps_changes_nothing(rig):
    """Only that of b, by a library that is loaded before others."""
    rig.b.stop_agent()
    jump = rig.b.start_agent_with_clock()
    with to_all(rig, rig.m) as go_on:
        for seconds in 3600, -86400, 30 * 86400, 0:
            jump(seconds)
            to = rig.b if rig.m.site is rig.a else rig.a
            rig.m.move(to)
            rig.wait_seen(rig.m)
            go_on(2000)
    rig.b.stop_agent()
    rig.b.start_agent()
    assert_reaches(rig.b1, rig.a1)


@test
def agents_that_are_told_to_end_leave_nothing_behind(rig):
    """Neither memory, of which the address sanitizer tells, nor a lock."""
    for site in rig.sites:
        site.stop_agent()
    for site in rig.sites:
        site.start_agent()
    rig.settle()
