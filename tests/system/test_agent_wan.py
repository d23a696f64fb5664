# SPDX-License-Identifier: Apache-2.0
"""Five hosts, two of which are behind wide-area lines of 10 and 40 ms each
way that lose, delay unevenly and let packets overtake: they find each other,
and VMs move among them."""
import contextlib
import time

from agent_harness import RIGS, test
from agent_rig import PATIENCE_S, Agents
from test_agent_moves import assert_reaches, sessions

LINES = {"d": "delay=10ms,jitter=2ms,loss=1%,seed=4",
         "e": "delay=40ms,jitter=5ms,loss=1%,seed=5"}
BAD = ("loss=2%,reorder=2%", "loss=5%,reorder=5%,duplicate=2%")


def vms(rig):
    for site in rig.sites:
        rig.vm(f"{site.name}1", 10 * site.number + 1, site,
               configured=site.number % 2 == 0)
    rig.vm("m", 99, rig.a, rig.sites)
    rig.vm("n", 98, rig.d, rig.sites)


class FarSites(Agents):
    def __init__(self, programs):
        super().__init__(programs, n_sites=5, fill=vms, lines=LINES)


RIGS["wan"] = FarSites


@contextlib.contextmanager
def bad_lines(rig, shape):
    """Both are worse until the block ends."""
    for name in LINES:
        rig.sites["abcde".index(name)].line.shape(shape)
    try:
        yield
    finally:
        for name, usual in LINES.items():
            rig.sites["abcde".index(name)].line.shape(
                "reorder=0,duplicate=0," + usual.rpartition(",")[0])


def move(rig, vm, to, kinds=("rarp",)):
    begun = time.monotonic()
    vm.move(to, kinds)
    rig.wait_seen(vm, timeout_s=2 * PATIENCE_S)
    print(f"# {vm.name} at {to.name} is known to {len(rig.sites)} hosts after "
          f"{time.monotonic() - begun:.2f} s", flush=True)


@test(rig="wan")
def five_hosts_find_each_other_across_wide_area_lines(rig):
    stay = [rig.vms[f"{site.name}1"] for site in rig.sites]
    for one in stay:
        for other in stay:
            if one is not other:
                assert_reaches(one, other)
    for site in rig.sites:
        peers = site.agent("peers")["peers"]
        assert len(peers) == 4, f"{site.name} knows {peers}"


@test(rig="wan")
def sessions_survive_moves_across_wide_area_lines(rig):
    with sessions((rig.m, rig.a1), (rig.d1, rig.m), (rig.m, rig.e1)) as go_on:
        for to in rig.d, rig.e, rig.c, rig.a:
            move(rig, rig.m, to)
            go_on(1000)


@test(rig="wan")
def sessions_survive_moves_across_lines_that_lose_and_reorder(rig):
    """What announces a move may be lost, too."""
    with sessions((rig.m, rig.b1), (rig.m, rig.d1), (rig.e1, rig.m)) as go_on:
        for shape in BAD:
            with bad_lines(rig, shape):
                for to in rig.e, rig.d, rig.a:
                    move(rig, rig.m, to, ("garp", "na"))
                    go_on(500)


@test(rig="wan")
def two_vms_pass_each_other_on_lines_that_lose_and_reorder(rig):
    with sessions((rig.m, rig.n), (rig.n, rig.c1)) as go_on:
        with bad_lines(rig, BAD[1]):
            for home, away in (rig.a, rig.e), (rig.e, rig.d):
                rig.m.move(away)
                rig.n.move(home)
                rig.wait_seen(rig.m, timeout_s=2 * PATIENCE_S)
                rig.wait_seen(rig.n, timeout_s=2 * PATIENCE_S)
                go_on(500)


@test(rig="wan")
def an_agent_that_was_dead_behind_a_bad_line_learns_of_all_moves(rig):
    with sessions((rig.m, rig.e1), (rig.b1, rig.e1)) as go_on:
        with bad_lines(rig, BAD[1]):
            rig.e.kill_agent()
            for to in rig.d, rig.b:
                rig.m.move(to)
                rig.wait_seen(rig.m, by=rig.sites[:4],
                              timeout_s=2 * PATIENCE_S)
            rig.e.start_agent()
            rig.wait_seen(rig.m, timeout_s=2 * PATIENCE_S)
            go_on(500)
