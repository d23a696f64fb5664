# SPDX-License-Identifier: Apache-2.0
"""What the demonstration has measured, worked out: pauses, losses, phases.
No I/O; times are seconds of one clock, in increasing order.

A Run is all that table and picture are made of.  A Move is one of its moves:
when it was asked for, when QEMU said that the guest stopped and ran again,
when matd's record has it claimed, in the switch's table and known to all that
it talks with (None: not measured), and when it was over.
"""
import bisect
import dataclasses

SETTLE_S = 1.0                          # After a move, still held against it.


@dataclasses.dataclass
class Move:
    source: str
    target: str
    asked: float
    stop: float = None
    start: float = None
    claimed: float = None
    table: float = None
    pushed: float = None
    spoke: float = None
    over: float = None

    def title(self):
        return f"{self.source} -> {self.target}"

    def since_stop_ms(self, what):
        when = getattr(self, what)
        return None if when is None else 1000 * (when - self.stop)


@dataclasses.dataclass
class Run:
    tcp: list                           # (time, bytes), as they arrived.
    udp: list                           # (time, number), as they arrived.
    asked: dict                         # Pings: {sequence number: time}.
    answered: dict
    moves: list
    begin: float
    end: float
    home: str                           # The guest's first site.
    counted: dict                       # By vmload: {way: {"lost": ...}}.

    def arrivals(self, kind):
        """Times at which something of this kind came."""
        if kind == "ping":
            return sorted(self.answered.values())
        return [when for when, _ in getattr(self, kind)]

    def window(self, move):
        """What is held against a move: until it is settled, or the next."""
        later = [other.asked for other in self.moves
                 if other.asked > move.asked]
        return move.asked, min([move.over + SETTLE_S, self.end, *later])

    def pause(self, kind, move):
        return longest_pause(self.arrivals(kind), *self.window(move))

    def lost_udp(self, move):
        """Those that the guest sent to c1, and that did not come."""
        return missing(self.udp, *self.window(move))

    def lost_pings(self, move):
        begin, end = self.window(move)
        return sum(begin <= when < end and number not in self.answered
                   for number, when in self.asked.items())

    def stays(self):
        """(site, from, until) as QEMU saw it; on its way it is nowhere."""
        place, since, found = self.home, self.begin, []
        for move in self.moves:
            if move.stop is not None and move.start is not None:
                found.append((place, since, move.stop))
                place, since = move.target, move.start
        return found + [(place, since, self.end)]


def longest_pause(times, begin, end):
    """(from, until) of the longest time without an arrival that has a part in
    the window; 'until' is None if nothing came any more in it."""
    first = max(bisect.bisect_left(times, begin) - 1, 0)
    inside = times[first:bisect.bisect_right(times, end) + 1]
    if not inside:
        return begin, None
    pauses = list(zip(inside, inside[1:]))
    if inside[-1] < end:
        pauses.append((inside[-1], None))
    return max(pauses, key=lambda pause: (pause[1] or end) - pause[0])


def missing(numbered, begin, end):
    """How many numbers of (time, number) did not come between those that came
    last before the window and first after it."""
    before = [number for when, number in numbered if when < begin]
    inside = [number for when, number in numbered if begin <= when < end]
    after = [number for when, number in numbered if when >= end]
    low = max(before, default=min(inside + after, default=1) - 1)
    high = (min(after) if after else max(inside, default=low) + 1)
    came = {number for _, number in numbered if low < number < high}
    return max(high - low - 1 - len(came), 0)


def milliseconds(seconds):
    return f"{1000 * seconds:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def pause_text(pause, end):
    """A dead session's pause is as long as somebody watched."""
    begin, until = pause
    return (milliseconds(until - begin) if until is not None
            else f"> {milliseconds(end - begin)}")


def rows(run):
    """The table: [(name, [a cell for each move], cell for all)]."""
    def each(cell):
        return [cell(move) for move in run.moves]

    def phase(what):
        return each(lambda move: "" if move.since_stop_ms(what) is None
                    else f"+{move.since_stop_ms(what):.1f} ms")

    def pauses(kind):
        return each(lambda move: pause_text(run.pause(kind, move),
                                            run.window(move)[1]))

    udp = [run.lost_udp(move) for move in run.moves]
    pings = [run.lost_pings(move) for move in run.moves]
    there, back = (run.counted[way] for way in ("to_guest", "from_guest"))
    unanswered = len(run.asked.keys() - run.answered.keys())
    return [
        ("guest stopped (QEMU)", [cell[1:] for cell in phase("start")], ""),
        ("  claimed by its new host", phase("claimed"), ""),
        ("  in the new host's switch", phase("table"), ""),
        ("  all correspondents switched", phase("pushed"), ""),
        ("  the guest's first packet", phase("spoke"), ""),
        (None, [], ""),
        ("longest pause, UDP", pauses("udp"), ""),
        ("longest pause, ping", pauses("ping"), ""),
        ("longest pause, TCP", pauses("tcp"), ""),
        (None, [], ""),
        ("lost, pings", each_text(pings), f"{unanswered} of "
         f"{len(run.asked)}"),
        ("lost, UDP from the guest", each_text(udp), share(back)),
        ("lost, UDP to the guest", [""] * len(run.moves), share(there)),
    ]


def share(way):
    """Nothing if nobody has counted."""
    return f"{way['lost']} of {way['sent']}" if way["sent"] else ""


def each_text(numbers):
    return [str(number) for number in numbers]


def table(run):
    """Lines of text; rows without any value are left out."""
    heads = [move.title() for move in run.moves] + ["in all"]
    def cut(cells):
        return "".join(f" {cell:>{width - 1}}" for cell, width in zip(
            cells, [11] * len(run.moves) + [14])).rstrip()

    lines = [f"{'':<30}{cut(heads)}"]
    for name, cells, total in rows(run):
        if name is None:
            lines.append("")
        elif any(cells) or total:
            lines.append(f"{name:<30}{cut([*cells, total])}")
    return lines
