# SPDX-License-Identifier: Apache-2.0
"""The sites of the demonstration: with ovs-mat, or as stock bridges; with a
guest that can move, and a correspondent at each.

    a1               b1               c1      correspondents (namespaces)
     |    guest       |    guest       |    guest         ... at one of them
   [site a] - - - > [site b] - - - > [site c]     Open vSwitch, matd, QEMU
       |                |                |
   10.77.1.0/24     10.77.2.0/24     10.77.3.0/24
       +------------- router ------------+
"""
import contextlib
import json
import os
import signal
import subprocess
import time

from agent_rig import PATIENCE_S, Agents, Site, Vm
from capture import Capture
from frames import ETH_RARP
from guest import Card, Guest
from netns import CommandError, run
from rig import Router
from switch import end_process, external_ids, is_alive, wait_until
from traffic import ping

# Of the line between each site and the router: two of them on the way.
WAN = "delay=5ms,jitter=500us,loss=0.02%"
MEMORY_MB = 96


class MatSites(Agents):
    """With a matd each; the guest keeps its home address everywhere."""

    moves = "bca"                       # From a.

    def __init__(self, programs, mode, line):
        super().__init__(programs, mode, fill=self._fill,
                         lines={name: line for name in "abc" if line})
        self.missed = []                # What should have come and did not.

    @staticmethod
    def _fill(rig):
        for number, site in enumerate(rig.sites, 1):
            rig.vm(f"{site.name}1", 10 * number + 1, site)

    def new_card(self):
        return Card("q", "02:00:00:07:00:4d", "172.16.7.77", "172.16.7.1",
                    "fd16:7::77", "fd16:7::1")

    @contextlib.contextmanager
    def guest_at(self, image, site):
        """A VM that has booted and that everybody reaches; it is left running
        if the sites are kept."""
        card = self.new_card()
        guest = Guest(image, self.dir, card.name, [card], MEMORY_MB,
                      plug=self.plug, unplug=self.unplug)
        try:
            guest.boot(site)
            self.wait_reachable(guest)
            yield guest
        finally:
            if not self.keep:
                guest.destroy()

    def plug(self, guest, site):
        card = guest.cards[0]
        site.switch.vsctl(
            "add-port", "br0", card.name, "--", "set", "interface", card.name,
            "mtu_request=1500", *external_ids({
                "attached_mac": card.mac, "mat_zone": card.zone,
                "mat_qmp": guest.monitor(site, "matd")}))

    @staticmethod
    def unplug(guest, site):
        site.switch.vsctl("--if-exists", "del-port", "br0",
                          guest.cards[0].name)

    def wait_reachable(self, guest):
        """All switches have it where it is, and all correspondents reach
        it."""
        card = guest.cards[0]
        for hoa in card.v4, card.v6:
            wait_until(lambda: all(
                (entry := site.mapping(7, hoa))
                and guest.site.owns(entry["moa"]) for site in self.sites),
                f"{hoa} known at {guest.site.name} by all", PATIENCE_S)
        wait_answers(self, card.v4)

    def move(self, guest, target, say, tick):
        """By matctl; when the guest stopped and when it ran again.  'say' is
        told what is done, 'tick' called all the time."""
        source = guest.site
        words = ["migrate", guest.cards[0].v4, target.address4,
                 f"qmp={guest.monitor(source, 'matctl')}",
                 f"to-qmp={guest.monitor(target, 'matctl')}",
                 f"port={guest.port}"]
        say(f"at {source.name}: matctl migrate {words[1]} {words[2]} qmp=...")
        with guest.moving(target) as incoming:
            guest.qmp.forget()
            self.tap = Capture((target.namespace, guest.cards[0].name))
            with self._matctl(source, words) as process:
                while process.poll() is None:
                    tick(lambda: progress(guest.qmp))
                said = process.stdout.read().strip()
                if process.returncode:
                    raise CommandError(f"matctl migrate: {said}")
            say(said.splitlines()[-1])
            return (event_time(guest.qmp, "STOP"),
                    event_time(incoming, "RESUME"))

    @contextlib.contextmanager
    def _matctl(self, site, words):
        """In a session of its own: interrupts are for us, who end it, and it
        takes the migration back then."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", site.namespace.name,
             self.programs.matctl, "-t", f"{site.dir}/matd.ctl", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            yield process
        finally:
            end_process(process.pid)
            process.wait()
            process.stdout.close()

    def phases(self, guest, target):
        """Times by the record of the host that it came to, and of the first
        packet that the guest itself sent there."""
        mac = guest.cards[0].mac
        with self.tap:
            said = [frame.time for frame in self.tap.read()
                    if frame.eth_src == mac and frame.eth_type != ETH_RARP]
        records = json.loads(target.matctl("--json", "migrations"))
        record = next(one for one in records["migrations"]
                      if one["mac"] == mac and one["kind"] == "in")
        seen = (record["seen_monotonic_us"] / 1e6 + time.time()
                - time.monotonic())
        return {"spoke": min(said, default=None),
                **{name: seen + record["phases_us"][name] / 1e6
                   for name in ("claimed", "table", "pushed")
                   if name in record["phases_us"]}}

    def lost_by_lines(self):
        """Frames that the wide-area lines have lost, as they were told to."""
        stats = [stats[way] for site in self.sites if site.line
                 for stats in [site.line.stats()] for way in ("there", "back")]
        return sum(way["lost"] for way in stats), sum(
            way["taken"] for way in stats)

    def keep_up(self):
        super().keep_up()
        for site in self.sites:
            if site.line:
                site.line.outlive(site.dir)

    def delete(self):
        """Also what was being started when somebody interrupted."""
        for site in self.sites:
            if site.switch:
                site.switch.stop()
        kill_rest(self.prefix, self.dir)
        super().delete()


class StockVm(Vm):
    """With an address of its site's subnet, as VMs on a bridge have."""

    def _configure(self):
        self.v4 = f"{self.site.subnet4}.31"
        self.v6 = f"{self.site.subnet6}::31"
        self.gateway4 = f"{self.site.subnet4}.1"
        self.gateway6 = f"{self.site.subnet6}::1"
        super()._configure()


class StockSites(MatSites):
    """The same hosts with the same Open vSwitch as learning bridges, without
    agents and flows of ours."""

    moves = "ba"                        # There, and home again.

    def _build_all(self):
        self.programs.check()
        self.router = Router(self.prefix, "abc")
        for number, name in enumerate("abc", 1):
            site = Site(self.prefix, number, self.router, self.programs,
                        self.lines.get(name))
            self.sites.append(site)
            setattr(self, name, site)
            vm = StockVm(self.prefix, f"{name}1", 10 * number + 1, [site],
                         site)
            self.vms[vm.name] = vm
            setattr(self, vm.name, vm)
            site.start(self)
            site.switch.vsctl("set-fail-mode", "br0", "standalone")
            site.add_port(vm.name)

    def issue(self, site, *words, cluster=None):
        """No agents, no keys."""

    def new_card(self):
        return Card("q", "02:00:00:07:00:4d", f"{self.a.subnet4}.77",
                    f"{self.a.subnet4}.1", f"{self.a.subnet6}::77",
                    f"{self.a.subnet6}::1")

    def wait_reachable(self, guest):
        """At home; elsewhere it is not."""
        if guest.site is self.a:
            wait_answers(self, guest.cards[0].v4)

    def move(self, guest, target, say, tick):
        say(f"at {guest.site.name}: QEMU's migrate, without ovs-mat")
        ahead = time.time() - time.monotonic()
        return [when + ahead for when in guest.migrate(target)]

    def phases(self, guest, target):
        return {}


def wait_answers(rig, address):
    for vm in rig.vms.values():
        wait_until(lambda: ping(vm.namespace, vm.v4, address),
                   f"answer to {vm.name} from {address}", PATIENCE_S)


def progress(qmp):
    """How far QEMU is, in words; nothing if it copies nothing."""
    ram = qmp.command("query-migrate").get("ram", {})
    done = ram.get("total", 0) - ram.get("remaining", 0)
    return (f"{done >> 20} of {ram['total'] >> 20} MB, "
            f"{ram['mbps'] / 8:.0f} MB/s" if done >> 20 else "")


def event_time(qmp, name):
    """By QEMU's own clock, which is everybody's here."""
    qmp.wait_event(name)
    stamp = next(event["timestamp"] for _, event in qmp.events
                 if event["event"] == name)
    return stamp["seconds"] + stamp["microseconds"] / 1e6


def kill_rest(prefix, directory):
    """Every process in the namespaces of 'prefix', or whose command line names
    them or 'directory', until there is none: one may have been on its way."""
    killed = set()

    def none_left():
        pids = pids_of(prefix, directory)
        killed.update(pids)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids and not any(is_alive(pid) for pid in killed)

    with contextlib.suppress(AssertionError):   # What cannot be killed.
        wait_until(lambda: none_left() and none_left(), "end of processes")


def pids_of(prefix, directory):
    found = set()
    for line in run("ip", "netns", "list", check=False).splitlines():
        if line.startswith(prefix + "-"):
            found.update(map(int, run("ip", "netns", "pids", line.split()[0],
                                      check=False).split()))
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(entry)}/cmdline") as file:
                line = file.read()
            if f"{prefix}-" in line or directory in line:
                found.add(int(entry))
    return found - {os.getpid()}
