# SPDX-License-Identifier: Apache-2.0
"""Random moves and faults under traffic, for as long as one likes.

Four sites, one of them behind a line with delay and loss; six VMs that move
and one at each site that stays; TCP sessions of both families among them.
After each thing that happens every session must go on; in the end every table
agrees, no daemon has complained, and those that lived throughout have not
grown.  The same seed does the same things."""
import random
import time

from agent_rig import FAMILIES, PATIENCE_S, Agents
from switch import wait_until
from traffic import TcpStream

MOVERS, STAYERS = "uvwxyz", "abcd"
LINES = {"c": "delay=5ms,jitter=1ms,loss=0.1%,seed=3"}
GROWTH_MAX_KB, GROWTH_MAX = 3000, 1.10
WARM_UP = 0.3                   # Of all the time, until memory is compared.


def vms(rig):
    for site in rig.sites:
        rig.vm(f"{site.name}1", 10 * site.number + 1, site,
               configured=site.number % 2 == 0)
    for number, name in enumerate(MOVERS):
        rig.vm(name, 100 + number, rig.sites[number % len(rig.sites)],
               rig.sites)


def make_rig(programs):
    return Agents(programs, "kernel", 4, vms, LINES)


class Memory:
    """Of all daemons; those that live on must not grow."""

    def __init__(self, rig, say):
        self.rig, self.say = rig, say
        self.first_kb = {}

    def read(self):
        """{(site, daemon, pid): KB}"""
        found = {}
        for site in self.rig.sites:
            for name, pid in site.switch.pids.items():
                with open(f"/proc/{pid}/status") as file:
                    found[site.name, name, pid] = int(next(
                        line.split()[1] for line in file
                        if line.startswith("VmRSS:")))
        return found

    def start(self):
        """From now on, if not from before."""
        self.first_kb = self.first_kb or self.read()

    def compare(self):
        for key, now in self.read().items():
            if key in self.first_kb:
                before = self.first_kb[key]
                self.say(f"# {key[1]} of {key[0]}: {before} KB, then {now}")
                assert now < before * GROWTH_MAX + GROWTH_MAX_KB, (
                    f"{key[1]} of {key[0]} grew from {before} to {now} KB")


class Soak:
    def __init__(self, rig, seed, say=print):
        self.rig, self.random, self.say = rig, random.Random(seed), say
        self.counts = {}
        self.streams = []
        self.memory = Memory(rig, say)
        self.actions = [
            (8, self.a_move), (3, self.two_moves), (2, self.a_failed_move),
            (2, self.an_agent_is_killed), (1, self.an_agent_restarts),
            (1, self.a_switch_restarts), (1, self.a_site_is_cut_off),
            (1, self.the_line_gets_bad), (1, self.flows_are_deleted)]

    # What happens.

    def a_mover(self):
        return self.rig.vms[self.random.choice(MOVERS)]

    def elsewhere(self, vm):
        return self.random.choice([site for site in self.rig.sites
                                   if site is not vm.site])

    def announcement(self):
        return self.random.choice([("rarp",), ("garp",), ("na",),
                                   ("garp", "na"), ()])

    def a_move(self):
        vm = self.a_mover()
        vm.move(self.elsewhere(vm), self.announcement())
        return f"{vm.name} to {vm.site.name}"

    def two_moves(self):
        one, other = self.random.sample(MOVERS, 2)
        told = []
        for vm in self.rig.vms[one], self.rig.vms[other]:
            vm.move(self.elsewhere(vm), self.announcement())
            told.append(f"{vm.name} to {vm.site.name}")
        return ", ".join(told)

    def a_failed_move(self):
        vm = self.a_mover()
        to = self.elsewhere(vm)
        vm.attach(to)
        vm.detach(to)
        return f"{vm.name} to {to.name}"

    def mortal(self):
        """The agent of the last site lives throughout."""
        return self.random.choice(self.rig.sites[:-1])

    def an_agent_is_killed(self):
        site = self.mortal()
        site.kill_agent()
        if self.random.random() < 0.5:
            vm = self.random.choice([vm for vm in map(self.rig.vms.get, MOVERS)
                                     if vm.site is not site])
            to = self.random.choice([other for other in self.rig.sites
                                     if other not in (site, vm.site)])
            vm.move(to, ("rarp",))
            self.rig.wait_seen(vm, by=[to])
        site.start_agent()
        return site.name

    def an_agent_restarts(self):
        site = self.mortal()
        site.stop_agent()
        site.start_agent()
        return site.name

    def a_switch_restarts(self):
        site = self.mortal()
        site.switch.restart()
        return site.name

    def a_site_is_cut_off(self):
        site = self.random.choice(self.rig.sites)
        with self.rig.partition(site):
            vm = self.a_mover()
            vm.move(self.elsewhere(vm), self.announcement())
            time.sleep(self.random.random())
        return f"{site.name} while {vm.name} to {vm.site.name}"

    def the_line_gets_bad(self):
        line = self.rig.c.line
        line.shape("loss=5%,duplicate=2%,reorder=2%")
        told = self.a_move()
        time.sleep(self.random.random())
        line.shape("duplicate=0,reorder=0," + LINES["c"].rpartition(",")[0])
        return told

    def flows_are_deleted(self):
        site = self.random.choice(self.rig.sites)
        site.switch.ofctl("del-flows", "br0")
        return site.name

    # What must hold.

    def start(self):
        movers = [self.rig.vms[name] for name in MOVERS]
        stayers = [self.rig.vms[name + "1"] for name in STAYERS]
        pairs = [(movers[i], movers[(i + 1) % len(movers)])
                 for i in range(len(movers))]
        pairs += [(movers[i], stayers[i % len(stayers)])
                  for i in range(len(movers))]
        for one, other in pairs:
            for family in FAMILIES:
                self.streams.append(TcpStream(
                    one.namespace, one.address(family), other.namespace,
                    other.address(family), 0.05, 4 * PATIENCE_S))

    def all_go_on(self):
        questions = [stream.arrived(1000) for stream in self.streams]
        for stream, question in zip(self.streams, questions):
            wait_until(question, "every session to go on", 2 * PATIENCE_S)
            assert not stream.error, stream.error

    def step(self):
        weights, actions = zip(*self.actions)
        action = self.random.choices(actions, weights)[0]
        begun = time.monotonic()
        told = action()
        self.all_go_on()
        name = action.__name__.replace("_", " ")
        self.counts[name] = self.counts.get(name, 0) + 1
        self.say(f"# {name}: {told} ({time.monotonic() - begun:.1f} s)")

    def run(self, seconds):
        begun = time.monotonic()
        self.start()
        try:
            while time.monotonic() < begun + seconds:
                self.step()
                if time.monotonic() > begun + WARM_UP * seconds:
                    self.memory.start()
            for vm in self.rig.vms.values():
                self.rig.wait_seen(vm)
            self.all_go_on()
            self.memory.compare()
        finally:
            for stream in self.streams:
                stream.stop()
        errors = [stream.error for stream in self.streams if stream.error]
        assert not errors, errors
        complaints = self.rig.complaints()
        assert not complaints, complaints
        self.say(f"# {sum(self.counts.values())} things happened: "
                 + ", ".join(f"{name} {count}" for name, count
                             in sorted(self.counts.items())))


def soak(rig, seconds, seed, say=print):
    Soak(rig, seed, say).run(seconds)
