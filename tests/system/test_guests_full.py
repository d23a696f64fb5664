# SPDX-License-Identifier: Apache-2.0
"""Real VMs that move: what is too long for every day.  The word "guest" is
in all of their names."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from agent_harness import test
from agent_rig import PATIENCE_S
from guest_rig import (Keys, Sessions, Talk, guest_at, matctl_migrate,
                       new_card, standing_guest, wait_known)
from harness import assert_same
from netns import run
from rig import reap
from switch import is_alive, wait_until

ZONE8 = ("subnet=172.16.8.0/24,gateway=172.16.8.1 "
         "subnet=fd16:8::/64,gateway=fd16:8::1")
LATE_S = 30                     # So long a host stays "gone", at least.
REST_S = 60


def cause_of_start(site, hoa, since):
    """What told of the VM's start here; 'since' is where the log ended."""
    pattern = rf"{re.escape(hoa)} .*-> live, starts \(([\w-]+)\)"
    return wait_until(lambda: re.findall(pattern, site.log()[since:]),
                      f"start of {hoa} in the log of {site.name}")[-1]


def state_of(site, hoa):
    return next((vm["state"] for vm in site.agent("vms")["vms"]
                 if vm["hoa"] == hoa), None)


def goes_round(rig, guest, type_, causes):
    """Without a hint, seen by one of 'causes'."""
    for target in [site for site in rig.sites
                   if site is not guest.site] + [guest.site]:
        since = len(target.log())
        guest.migrate(target)
        type_()
        wait_known(rig, guest)
        for hoa in guest.cards[0].v4, guest.cards[0].v6:
            cause = cause_of_start(target, hoa, since)
            assert cause in causes, f"{hoa} at {target.name}: {cause}"


@test(rig="guests", full=True)
def a_guest_that_announces_nothing_is_seen_by_rarp(rig):
    with guest_at(rig, rig.a, with_qmp=False, announces=False) as guest, \
            Sessions(rig, guest) as sessions:
        goes_round(rig, guest, sessions.type, ["rarp"])


@test(rig="guests", full=True)
def a_guest_is_seen_by_what_its_kernel_announces(rig):
    """And nothing else, as QEMU's RARP is taken out and no session keeps it
    busy; with sessions it may be seen by what they send."""
    with guest_at(rig, rig.a, with_qmp=False,
                  cards=[new_card(rarp=False)]) as guest, \
            contextlib.closing(Keys(rig.a1, guest.cards[0].v4)) as keys:
        goes_round(rig, guest, lambda: keys.type(b"still there?"),
                   ["garp", "na"])
        with Sessions(rig, guest) as sessions:
            goes_round(rig, guest, sessions.type,
                       ["garp", "na", "arp", "ns", "new-source"])


@test(rig="dpdk", full=True)
def a_guest_without_announcements_moves_between_vhost_user_ports(rig):
    """And is reset there, and goes on at once."""
    with guest_at(rig, rig.a, with_qmp=False, announces=False,
                  cards=[new_card(vhost=True)]) as guest:
        with Sessions(rig, guest) as sessions:
            for target in rig.b, rig.c, rig.a, rig.b:
                guest.migrate(target)
            sessions.type()
            wait_known(rig, guest)
        guest.reset()
        wait_known(rig, guest)
        with Sessions(rig, guest) as sessions:
            goes_round(rig, guest, sessions.type,
                       ["link", "rarp", "new-source"])


@contextlib.contextmanager
def second_zone(rig):
    """With a VM at each site."""
    names = []
    try:
        for site in rig.sites:
            site.configure(mat_zone_8=ZONE8)
            names.append(f"{site.name}8")
            rig.vm(names[-1], 50 + site.number, site, zone=8, subnet=8)
            rig.vms[names[-1]].attach(site)
        rig.settle()
        yield
    finally:
        for name in names:
            vm = rig.vms.pop(name)
            vm.detach(vm.site)
            vm.namespace.delete()
        for site in rig.sites:
            site.configure(mat_zone_8=None)


@test(rig="guests", full=True)
def a_guest_with_two_cards_moves_with_both(rig):
    cards = [new_card(), new_card(zone=8)]
    with second_zone(rig), guest_at(rig, rig.a, cards=cards) as guest, \
            Sessions(rig, guest) as first, \
            Sessions(rig, guest, cards[1], bulk=False) as second:
        for target in rig.b, rig.c:
            matctl_migrate(guest, target)
            wait_known(rig, guest)
            first.type()
            second.type()
        guest.with_qmp = False
        for target in rig.a, rig.b:
            guest.migrate(target)
            first.type()
            second.type()
            wait_known(rig, guest)


@test(rig="guests", full=True)
def two_guests_that_talk_move_at_the_same_moment(rig):
    """They change places, meet, and part again; with and without hints."""
    with guest_at(rig, rig.a) as one, \
            guest_at(rig, rig.b, number=1) as other, \
            Sessions(rig, one) as sessions, Talk(rig.c1, one, other), \
            ThreadPoolExecutor(2) as threads:
        for move in matctl_migrate, lambda guest, to: guest.migrate(to):
            for places in ((rig.b, rig.a), (rig.c, rig.c), (rig.a, rig.b)):
                for done in [threads.submit(move, guest, place) for
                             guest, place in zip((one, other), places)]:
                    done.result()
                for guest in one, other:
                    wait_known(rig, guest)
                sessions.type()


@test(rig="guests", full=True)
def a_guest_moves_on_when_its_first_host_has_just_forgotten_it(rig):
    with standing_guest(rig, rig.a) as guest, Sessions(rig, guest) as sessions:
        hoa = guest.cards[0].v4
        matctl_migrate(guest, rig.b)
        wait_known(rig, guest)
        wait_until(lambda: state_of(rig.a, hoa) == "gone", "gone")
        wait_until(lambda: state_of(rig.a, hoa) != "gone", "forgotten",
                   2 * LATE_S + PATIENCE_S)
        guest.migrate(rig.c)
        sessions.type()
        guest.migrate(rig.a)
        sessions.type()
        wait_known(rig, guest)


@test(rig="guests", full=True)
def a_guest_is_saved_and_goes_on_elsewhere_a_minute_later(rig):
    path = f"{rig.dir}/saved"
    with standing_guest(rig, rig.a) as guest, \
            Sessions(rig, guest, rests=REST_S) as sessions:
        card = guest.cards[0]
        guest.save(path, lambda: rig.a.matctl("hint", "park",
                                              f"mac={card.mac}"))
        for hoa in card.v4, card.v6:
            wait_until(lambda: state_of(rig.a, hoa) == "parked",
                       lambda: f"parked; it is {state_of(rig.a, hoa)}")
        kept = [rig.b.mapping(7, hoa) for hoa in (card.v4, card.v6)]
        time.sleep(REST_S)
        assert_same("what is known of a saved VM", [
            rig.b.mapping(7, hoa) for hoa in (card.v4, card.v6)], kept)
        guest.restore(rig.c, path)
        os.unlink(path)
        wait_known(rig, guest)
        sessions.type()
        matctl_migrate(guest, rig.a)
        wait_known(rig, guest)


KILLED_RUN = """
import sys, time
sys.path.insert(0, sys.argv[1])
from agent_rig import Programs
from guest_rig import Guests, standing_guest
with Guests(Programs(*sys.argv[2:5])) as rig:
    with standing_guest(rig, rig.a) as guest:
        print(rig.dir, rig.prefix, guest.process.pid, flush=True)
        time.sleep(1000)
"""


@test(rig="bare", full=True)
def a_killed_run_leaves_no_guest_after_the_next(rig):
    here = os.path.dirname(os.path.realpath(__file__))
    killed = subprocess.Popen(
        [sys.executable, "-B", "-c", KILLED_RUN, here,
         rig.programs.build_dir, rig.programs.ovs.dir,
         os.path.dirname(rig.programs.matd)],
        stdout=subprocess.PIPE, text=True)
    try:
        directory, prefix, pid = killed.stdout.readline().split()
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert is_alive(int(pid)), "QEMU has gone by itself"
    reap()
    assert not is_alive(int(pid)), "QEMU runs"
    assert not os.path.exists(directory), f"{directory} is there"
    for words in ["ip", "netns", "list"], ["mount"]:
        left = run(*words)
        assert prefix + "-" not in left and directory not in left, left
