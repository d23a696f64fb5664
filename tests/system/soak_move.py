# SPDX-License-Identifier: Apache-2.0
"""Random moves of real guests under traffic.

Three guests at three sites, each with bulk TCP both ways, somebody who types
and a stream of packets, and each with packets to the next of them.  One or two
guests move at a time, anywhere, with a hint or without any.  After each move
every session must go on.  In the end no byte may be wrong, and no packet lost
in moves with a hint, unless this machine loses some when nothing moves.  The
same seed makes the same moves."""
import concurrent.futures
import contextlib
import random
import re
import time

from agent_rig import PATIENCE_S, Agents
from apps import App, AppGuest, Apps, move, percentile
from guest import GuestLoad
from guest_rig import guest_at, wait_known
from soak import Memory

N_GUESTS = 3
KBPS = 100                      # Kilobytes a second, each bulk session.
STREAM_MS = 20
TALK_PPS = 20
TWO_AT_ONCE = 0.2
WARM_UP = 0.3                   # Of the moves, until memory is compared.
SESSIONS = "pull", "push", "keys", "rtp"


def make_move_rig(programs):
    return Agents(programs, "kernel")


class Plan:
    """Which guests move next, where to and how: [(guest, site, hint)]."""

    def __init__(self, seed, places, sites):
        self.random = random.Random(seed)
        self.places, self.sites = dict(places), sites

    def next(self, most):
        two = self.random.random() < TWO_AT_ONCE
        chosen = self.random.sample(sorted(self.places), 2)[:2 if two else 1]
        return [self._one(name) for name in chosen[:most]]

    def _one(self, name):
        to = self.random.choice([site for site in self.sites
                                 if site != self.places[name]])
        self.places[name] = to
        return name, to, self.random.random() < 0.5


class Moved:
    """One move that was made."""

    def __init__(self, guest, kind, begin, end):
        self.guest, self.kind = guest, kind
        self.begin, self.end = begin, end


class SoakMove:
    def __init__(self, rig, moves, seed, say):
        self.rig, self.n_moves, self.seed, self.say = rig, moves, seed, say
        self.guests, self.apps, self.talks = {}, {}, []
        self.made = []
        self.memory = Memory(rig, say)

    # Sessions.

    def open(self, stack):
        for number in range(N_GUESTS):
            site = self.rig.sites[number % len(self.rig.sites)]
            guest = stack.enter_context(guest_at(
                self.rig, site, number=number, kind=AppGuest))
            self.guests[guest.name] = guest
            self.apps[guest.name] = stack.enter_context(Apps())
            self.open_sessions(guest, number)
        for one, other in zip(self.guests.values(),
                              [*self.guests.values()][1:]
                              + [*self.guests.values()][:1]):
            talk = GuestLoad(self.rig.a1.namespace, one, "udp",
                             other.cards[0].v4, TALK_PPS)
            stack.callback(talk.kill)
            self.talks.append(talk)

    def open_sessions(self, guest, number):
        """With a VM of each site, and each family."""
        vms = [self.rig.a1, self.rig.b1, self.rig.c1]
        hoas = [guest.cards[0].v4, guest.cards[0].v6]
        last_words = {"pull": KBPS, "push": KBPS,
                      "keys": self.seed % 1000 + number, "rtp": STREAM_MS}
        for i, kind in enumerate(SESSIONS):
            vm = vms[(number + i) % len(vms)]
            app = App(self.rig, guest.image, f"{kind} {guest.name}",
                      vm.namespace, kind, hoas[i % 2], last_words[kind])
            app.kind = kind
            self.apps[guest.name].add(app)

    def all_go_on(self):
        """All are asked first."""
        questions = [(app.name, app.went_on()) for apps in
                     self.apps.values() for app in apps.all]
        for name, question in questions:
            self.wait(question, name)

    def wait(self, question, name):
        end = time.monotonic() + 4 * PATIENCE_S
        while not question():
            assert time.monotonic() < end, f"session {name} does not go on"
            time.sleep(0.02)

    # Moves.

    def step(self, plan):
        chosen = plan.next(self.n_moves - len(self.made))
        told = ", ".join(f"{name} to {to}" + ("" if hint else " without hint")
                         for name, to, hint in chosen)
        begun = time.monotonic()
        try:
            self.made += self.make(chosen)
        except BaseException:
            self.say(f"# {len(self.made)} moves were good; then {told}; for "
                     f"the same: SEED={self.seed} MOVES="
                     f"{len(self.made) + len(chosen)}")
            raise
        self.say(f"# {len(self.made)}: {told} "
                 f"({time.monotonic() - begun:.1f} s)")

    def make(self, chosen):
        """Those moves, all at once."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            done = [pool.submit(self.a_move, *one, len(chosen))
                    for one in chosen]
            moved = [one.result() for one in done]
        self.all_go_on()
        for one in moved:
            wait_known(self.rig, self.guests[one.guest])
            one.end = time.monotonic()
        return moved

    def a_move(self, name, to, hint, n_at_once):
        begin = time.monotonic()
        move(self.guests[name], getattr(self.rig, to), hint)
        kind = (("two at once, " if n_at_once > 1 else "")
                + ("hint" if hint else "no hint"))
        return Moved(name, kind, begin, time.monotonic())

    def run(self):
        self.say(f"# seed {self.seed}, {self.n_moves} moves of {N_GUESTS} "
                 "guests")
        self.known = set(self.rig.complaints())
        with contextlib.ExitStack() as stack:
            self.open(stack)
            self.all_go_on()
            plan = Plan(self.seed, {name: guest.site.name for name, guest
                                    in self.guests.items()},
                        [site.name for site in self.rig.sites])
            while len(self.made) < self.n_moves:
                self.step(plan)
                if len(self.made) >= WARM_UP * self.n_moves:
                    self.memory.start()
            self.finish()

    # What came of it.

    def finish(self):
        talked = [talk.end() for talk in self.talks]
        counts = {app.name: app.end() for apps in self.apps.values()
                  for app in apps.all}
        self.summary(talked)
        self.memory.compare()
        for name, count in counts.items():
            assert count["count"] and not count.get("doubled"), (name, count)
        lost = sum(self.lost_in(one) for one in self.made
                   if not one.kind.endswith("no hint"))
        assert not lost or self.lost_between(), f"{lost} packets lost by hints"
        complaints = set(self.rig.complaints()) - self.known
        assert not complaints, complaints

    def rtp(self, name):
        return next(app for app in self.apps[name].all if app.kind == "rtp")

    def lost_in(self, one):
        return sum(one.begin <= then < one.end
                   for then in self.rtp(one.guest).lost)

    def lost_between(self):
        """Packets that were lost while their guest did not move."""
        return (sum(len(self.rtp(name).lost) for name in self.guests)
                - sum(map(self.lost_in, self.made)))

    def stalls(self, chosen, kinds=SESSIONS):
        return [app.stall_ms(one.begin, one.end) for one in chosen
                for app in self.apps[one.guest].all if app.kind in kinds]

    def summary(self, talked):
        self.say(f"# {len(self.made)} moves, no session lost")
        self.say("#   kind of move          moves  stall of a session, ms"
                 "       packets")
        self.say("#                                  p50     p99     max"
                 "    lost  late")
        for kind in sorted({one.kind for one in self.made}):
            some = [one for one in self.made if one.kind == kind]
            late = sum(one.begin <= then < one.end for one in some
                       for then, _ in self.rtp(one.guest).late)
            self.say(self.line(kind, len(some), self.stalls(some))
                     + f"  {sum(map(self.lost_in, some)):6}{late:6}")
        for kind in SESSIONS:
            self.say(self.line(kind, len(self.made),
                               self.stalls(self.made, [kind])))
        self.say("#   packets lost while nothing moved: "
                 f"{self.lost_between()}")
        self.say("#   packets that switches had no time to take: "
                 f"{self.overrun()}")
        for count in talked:
            self.say("#   between guests: " + ", ".join(
                f"{way} {seen['sent']} sent, {seen['lost']} lost"
                for way, seen in count.items()))

    def overrun(self):
        """Those on ports that are still there."""
        return sum(int(dropped) for site in self.rig.sites for dropped in
                   re.findall(r",d(\d+)\)", site.namespace.run("ss", "-0",
                                                               "-m")))

    @staticmethod
    def line(name, count, stalls):
        return f"#   {name:20}  {count:5}" + "".join(
            f"{percentile(stalls, part):8.0f}" for part in (0.5, 0.99, 1))


def soak_move(rig, moves, seed, say=print):
    SoakMove(rig, moves, seed, say).run()
