# SPDX-License-Identifier: Apache-2.0
"""matctl migrate: what is lost, and what happens when it fails."""
import contextlib
import json
import os
import signal
import subprocess

from agent_harness import test
from agent_rig import PATIENCE_S
from guest import Guest, Load, capable
from guest_rig import Keys, guest_at, new_card, standing_guest, wait_known
from harness import assert_same
from switch import wait_until

PPS = 334                       # Of three correspondents: 1000 each way.
HEARD_S = 0.25                  # From its start there until it is heard.
DISK_BYTES = 24 << 20
SECTOR = 512
COUNTER = 1 << 20               # Where the guest writes numbers that grow.


def words_of(guest, site, *more):
    """Of matctl migrate, from where the guest is to 'site'."""
    return ["migrate", guest.cards[0].v4, site.name,
            f"port={guest.port}",
            f"qmp={guest.monitor(guest.site, 'matctl')}",
            f"to-qmp={guest.monitor(site, 'matctl')}", *more]


def lengthen(guest, site):
    """Of taps the queue, which has 1000 packets: on a busy machine the guest
    may stand still for seconds."""
    for card in guest.cards:
        if not card.vhost:
            site.namespace.ip(f"link set dev {card.name} txqueuelen 10000")


def migrate(guest, site, *more):
    """What matctl says in JSON."""
    source = guest.site
    with guest.moving(site):
        for one in source, site:
            lengthen(guest, one)
        return json.loads(source.matctl(
            *words_of(guest, site, *more, "--json")))


class Numbers:
    """Numbered datagrams each way between the guest and a VM of each site."""

    def __init__(self, rig, guest, pps=PPS):
        self.loads = []
        try:
            for vm in rig.a1, rig.b1, rig.c1:
                self.loads.append(Load(guest.image, vm.namespace, "udp",
                                       guest.cards[0].v4, pps))
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.kill()

    def kill(self):
        for load in self.loads:
            load.kill()

    def end(self):
        """Sums of all ways to the guest, and of all from it; the largest
        gap."""
        counts = [load.end() for load in self.loads]
        return {way: {what: (max if what == "gap_ms" else sum)(
            count[way][what] for count in counts)
            for what in counts[0][way]} for way in counts[0]}


def moves_lose_nothing(rig, guest, n_moves, pps=PPS):
    with Numbers(rig, guest, pps) as numbers:
        for i in range(n_moves):
            said = migrate(guest, rig.sites[(i + 1) % 3])
            assert said["held"], said
            wait_known(rig, guest)
        counted = numbers.end()
    print(f"# {n_moves} moves: {counted}", flush=True)
    for way, count in counted.items():
        assert count["received"] > pps * n_moves / 4, f"{way}: {count}"
        assert_same(f"doubled {way}", count["doubled"], 0)
    for way, count in counted.items():
        assert_same(f"lost {way}, with a gap of {count['gap_ms']} ms",
                    count["lost"], 0)


@test(rig="guests")
def nothing_is_lost_when_a_guest_moves_with_a_hint(rig):
    with standing_guest(rig, rig.a) as guest:
        moves_lose_nothing(rig, guest, 3)


@test(rig="guests", full=True)
def nothing_is_lost_in_twenty_moves_with_hints(rig):
    with standing_guest(rig, rig.a) as guest:
        moves_lose_nothing(rig, guest, 20)


@test(rig="dpdk", full=True)
def nothing_is_lost_when_a_guest_with_a_vhost_user_port_moves(rig):
    """Slower: rings have 256 places, and a guest that is emulated takes its
    time."""
    with guest_at(rig, rig.a, cards=[new_card(vhost=True)]) as guest:
        moves_lose_nothing(rig, guest, 3, pps=50)


def seconds_of(qmp, name):
    """Its time by QEMU's clock."""
    qmp.wait_event(name)
    stamp = [event["timestamp"] for _, event in qmp.events
             if event["event"] == name][-1]
    return stamp["seconds"] + stamp["microseconds"] / 1e6


@test(rig="guests")
def without_a_hint_only_what_is_sent_during_the_stop_is_lost(rig):
    """... and until the guest is heard at its new place."""
    stopped_s = 0
    with standing_guest(rig, rig.a, with_qmp=False) as guest, \
            Numbers(rig, guest) as numbers:
        for target in rig.b, rig.c:
            with guest.moving(target) as there:
                here = guest.qmp
                for site in guest.site, target:
                    lengthen(guest, site)
                guest.move_now(target, there)
                stopped_s += (seconds_of(there, "RESUME")
                              - seconds_of(here, "STOP") + HEARD_S)
            wait_known(rig, guest)
        counted = numbers.end()
    print(f"# without a hint, {stopped_s} s: {counted}", flush=True)
    assert counted["to_guest"]["lost"] <= stopped_s * 3 * PPS, counted
    assert_same("lost from the guest", counted["from_guest"]["lost"], 0)
    for way, count in counted.items():
        assert_same(f"doubled {way}", count["doubled"], 0)


# What fails, or is called off.

class Stays(Exception):
    """The guest stays where it is."""


@contextlib.contextmanager
def waiting_in_vain(guest, site):
    """A QEMU at 'site' that does not get the guest.  Memory is copied: it is
    never used there."""
    with contextlib.suppress(Stays), guest.moving(site) as qmp:
        for one in guest.qmp, qmp:
            capable(one, "x-ignore-shared", False)
        try:
            yield qmp
        finally:
            capable(guest.qmp, "x-ignore-shared", guest.shares_memory())
        raise Stays


class Migration:
    """matctl migrate, that somebody interferes with."""

    def __init__(self, rig, guest, *words):
        self.guest = guest
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", guest.site.namespace.name,
             rig.programs.matctl, "-t", f"{guest.site.dir}/matd.ctl",
             *words], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)

    def wait_copying(self):
        wait_until(lambda: self.guest.qmp.command("query-migrate").get(
            "ram", {}).get("transferred", 0) > 1 << 20, "memory is copied",
            PATIENCE_S)

    def wait_mirroring(self):
        wait_until(lambda: any(job["offset"] for job in self.guest.qmp.command(
            "query-block-jobs")), "a disk is copied", PATIENCE_S)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def fails(self, *whys):
        """... and says why."""
        out, errors = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 1, (out, errors)
        for why in whys:
            assert why in errors, errors


@contextlib.contextmanager
def typing(rig, guest):
    """A function that proves that a session with a VM of each site lives."""
    sessions = [Keys(vm, guest.cards[0].v4) for vm in (rig.a1, rig.b1, rig.c1)]
    try:
        yield lambda text: [session.type(text) for session in sessions]
    finally:
        for session in sessions:
            session.kill()


@contextlib.contextmanager
def staying(rig, guest):
    """What the block does changes nothing: the guest runs where it was, with
    the MoAs that it had, and its sessions go on."""
    def moas():
        return [[site.mapping(7, hoa)["moa"] for site in rig.sites]
                for card in guest.cards for hoa in (card.v4, card.v6)]

    before = moas()
    limits = guest.qmp.command("query-migrate-parameters")
    with typing(rig, guest) as type_:
        type_(b"before")
        yield
        wait_until(lambda: guest.qmp.command("query-status")["running"],
                   "guest runs")
        type_(b"after")
    assert_same("MoAs", moas(), before)
    assert_same("holds", guest.site.switch.appctl("mat/hold").strip(), "")
    for what in "downtime-limit", "max-bandwidth":
        assert_same(what, guest.qmp.command("query-migrate-parameters")[what],
                    limits[what])


@test(rig="guests")
def a_migration_that_is_interrupted_or_fails_changes_nothing(rig):
    with standing_guest(rig, rig.a) as guest:
        words = words_of(guest, rig.b, "bandwidth=1")
        with staying(rig, guest), waiting_in_vain(guest, rig.b):
            migration = Migration(rig, guest, *words)
            migration.wait_copying()
            migration.interrupt()
            migration.fails("interrupted", "stays here")
        with staying(rig, guest), waiting_in_vain(guest, rig.b) as there:
            migration = Migration(rig, guest, *words)
            migration.wait_copying()
            os.kill(guest.pid(rig.b), signal.SIGKILL)
            migration.fails("failed")
        migrate(guest, rig.c)
        wait_known(rig, guest)


@test(rig="guests")
def a_migration_that_cannot_be_is_refused(rig):
    def refused(why, *words, host=rig.b.address4):
        Migration(rig, guest, "migrate", guest.cards[0].v4, host,
                  *words).fails(why)

    with standing_guest(rig, rig.a) as guest, staying(rig, guest):
        here = f"qmp={guest.monitor(rig.a, 'matctl')}"
        there = f"qmp={guest.monitor(rig.b, 'matctl')}"
        refused("no host of the cluster", here, host="nowhere")
        refused("has not prepared", here, "wait=1")
        with waiting_in_vain(guest, rig.b):
            refused("has no VM", there)
            refused("does not wait", here,
                    f"to-qmp={guest.monitor(rig.a, 'spare')}")
            refused("does not greet", here,
                    f"to-qmp={guest.monitor(rig.b, 'matd')}")
            refused("of the disks", here, f"to-{there}", "disk=nothing")
            refused("Connection refused", here, "uri=tcp:127.0.0.1:9")


# Disks.

class DiskGuest(Guest):
    """With a local disk at each site."""

    def disk(self, site):
        return self._file(site, "disk")

    def _command(self, site, incoming):
        with open(self.disk(site), "wb") as file:
            file.write(bytes(DISK_BYTES) if incoming
                       else os.urandom(DISK_BYTES))
        return super()._command(site, incoming) + [
            "-blockdev", "driver=raw,node-name=disk,file.driver=file,"
            f"file.filename={self.disk(site)}",
            "-device", "virtio-blk-pci,drive=disk"]

    def content(self, site):
        """All but the counter, and that."""
        with open(self.disk(site), "rb") as file:
            whole = file.read()
        number = whole[COUNTER:COUNTER + SECTOR].split()
        return (whole[:COUNTER] + whole[COUNTER + SECTOR:],
                int(number[0]) if number and number[0].isdigit() else 0)


def assert_no_copying(guest, there):
    assert_same("jobs", guest.qmp.command("query-block-jobs"), [])
    assert_same("exports", there.command("query-block-exports"), [])
    assert "mat-disk" not in {node["node-name"] for node in guest.qmp.command(
        "query-named-block-nodes")}


def interrupted_copying(rig, guest, site):
    with staying(rig, guest), waiting_in_vain(guest, site) as there:
        migration = Migration(rig, guest, *words_of(
            guest, site, "disks", "bandwidth=1"))
        migration.wait_mirroring()
        migration.interrupt()
        migration.fails("interrupted", "stays here")
        assert_no_copying(guest, there)


@test(rig="guests")
def a_guest_moves_with_its_disk(rig):
    with guest_at(rig, rig.a, kind=DiskGuest) as guest:
        interrupted_copying(rig, guest, rig.b)
        wait_until(lambda: guest.content(rig.a)[1], "guest writes")
        with typing(rig, guest) as type_:
            type_(b"before")
            assert_same("disks", migrate(guest, rig.b, "disk=disk")["disks"],
                        1)
            type_(b"after")
        there = guest.content(rig.b)
        here = guest.content(rig.a)
        assert there[0] == here[0], "the disk's copy is not the same"
        assert there[1] >= here[1] > 0, (here[1], there[1])
        wait_until(lambda: guest.content(rig.b)[1] > here[1],
                   "guest writes at its new place", PATIENCE_S)
        # QEMU calls a migration completed: that by which the guest came.
        interrupted_copying(rig, guest, rig.c)
