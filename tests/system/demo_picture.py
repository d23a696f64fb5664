# SPDX-License-Identifier: Apache-2.0
"""The picture of the demonstration: a Run (demo_result.py) as SVG.  Above,
all of it in seconds; below, each move in milliseconds around its stop.  Pure
text work, no I/O."""
import math

import demo_result

WIDTH, LEFT, RIGHT = 1200, 104, 24
BIN_S = 0.05
SITES = {"a": "#2b6cb0", "b": "#2f855a", "c": "#c05621"}
INK, DIM, GRID, STOP = "#1a202c", "#718096", "#e2e8f0", "#e53e3e"
TCP, UDP, PING = "#434190", "#0b7285", "#975a16"
ZOOM_MOST_S, ZOOM_BEFORE_S, ZOOM_AFTER_S = 0.6, 0.03, 0.03
# Tops and bottoms of the panels.
RIBBON, RATE, PAUSE, TRIP = (92, 114), (132, 222), (250, 330), (358, 438)
FAN, ARRIVALS, STEPS = (560, 640), (652, 700), (714, 778)
ZOOM_NOTE, HEIGHT = 820, 876
PHASES = {"start": "stopped", "claimed": "claimed", "pushed": "peers know",
          "spoke": "it speaks"}
NICE = (1, 2, 5)


class Axis:
    """From values to pixels."""

    def __init__(self, low, high, begin, end, log=False):
        self.low, self.high, self.log = low, high, log
        self.begin, self.end = begin, end

    def __call__(self, value):
        value = min(max(value, self.low), self.high)
        share = (math.log(value / self.low) / math.log(self.high / self.low)
                 if self.log else (value - self.low) / (self.high - self.low))
        return self.begin + (self.end - self.begin) * share

    def ticks(self, most):
        """Round values."""
        if self.log:
            first = math.ceil(math.log10(self.low) - 1e-9)
            last = math.floor(math.log10(self.high) + 1e-9)
            return [10.0 ** power for power in range(first, last + 1)]
        step = nice_step((self.high - self.low) / most)
        n = math.ceil(self.low / step - 1e-9)
        found = []
        while n * step <= self.high + step * 1e-9:
            found.append(n * step)
            n += 1
        return found


def nice_step(least):
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (*NICE, 10) if n * power >= least * 0.999)


def number(value):
    return f"{value:.3f}".rstrip("0").rstrip(".") if value < 1 else (
        f"{value:g}")


def text(x, y, words, anchor="start", size=11, colour=INK, weight="normal"):
    words = (words.replace("&", "&amp;").replace("<", "&lt;")
             .replace(">", "&gt;"))
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'font-size="{size}" fill="{colour}" font-weight="{weight}">'
            f"{words}</text>")


def box(x1, y1, x2, y2, colour, opacity=1.0, radius=0):
    return (f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{max(x2 - x1, 0.8):.1f}" '
            f'height="{y2 - y1:.1f}" fill="{colour}" rx="{radius}" '
            f'fill-opacity="{opacity}"/>')


def path(commands, colour, width=1.0, fill="none", opacity=1.0):
    return (f'<path d="{commands}" stroke="{colour}" stroke-width="{width}" '
            f'fill="{fill}" stroke-opacity="{opacity}" '
            'stroke-linecap="round"/>')


def line(x1, y1, x2, y2, colour, width=1.0):
    return path(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", colour, width)


def draw(run, title, subtitle, notes):
    """The file's text.  'notes': lines at the bottom."""
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
           f'height="{HEIGHT + 16 * len(notes)}" '
           'font-family="DejaVu Sans, Helvetica, sans-serif">',
           '<rect width="100%" height="100%" fill="white"/>',
           text(24, 36, title, size=20, weight="bold"),
           text(24, 60, subtitle, size=12, colour=DIM)]
    out += overview(run) + zooms(run)
    out += [text(24, HEIGHT + 16 * i, note, size=10, colour=DIM)
            for i, note in enumerate(notes)]
    return "\n".join(out + ["</svg>"]) + "\n"


# All of it.

def overview(run):
    x = Axis(0, run.end - run.begin, LEFT, WIDTH - RIGHT)

    def at(when):
        return x(when - run.begin)

    out = ribbon(run, at)
    out += rate_panel(run, at) + pause_panel(run, at) + trip_panel(run, at)
    for tick in x.ticks(14):
        out.append(text(x(tick), TRIP[1] + 17, f"{number(tick)} s", "middle",
                        colour=DIM))
    for count, move in enumerate(run.moves, 1):
        if move.stop is not None:
            out += [line(at(move.stop), RIBBON[1], at(move.stop), TRIP[1],
                         STOP, 0.8),
                    f'<circle cx="{at(move.stop):.1f}" cy="{TRIP[1] + 36}" '
                    f'r="9" fill="{STOP}"/>',
                    text(at(move.stop), TRIP[1] + 40, str(count), "middle",
                         colour="white", weight="bold")]
    return out


def ribbon(run, at):
    out = [text(LEFT - 10, RIBBON[1] - 7, "the guest is at", "end")]
    for site, begin, end in run.stays():
        out.append(box(at(begin), RIBBON[0], at(end), RIBBON[1], SITES[site],
                       radius=3))
        if at(end) - at(begin) > 60:
            out.append(text((at(begin) + at(end)) / 2, RIBBON[1] - 7,
                            f"site {site}", "middle", colour="white",
                            weight="bold"))
    return out


def panel(name, unit, colour, place, y, most=4):
    """Its name and grid."""
    top, bottom = place
    out = [text(LEFT - 44, (top + bottom) / 2 - 4, name, "end", colour=colour,
                weight="bold"),
           text(LEFT - 44, (top + bottom) / 2 + 10, unit, "end", 9, DIM)]
    for tick in y.ticks(most):
        out += [line(LEFT, y(tick), WIDTH - RIGHT, y(tick), GRID),
                text(LEFT - 6, y(tick) + 4, number(tick), "end", 10, DIM)]
    return out


def bins(run, pairs):
    """{number of a bin: [values]} of (time, value)."""
    found = {}
    for when, value in pairs:
        if run.begin <= when <= run.end:
            found.setdefault(int((when - run.begin) / BIN_S), []).append(value)
    return found


def rate_panel(run, at):
    rates = {i: sum(sizes) / BIN_S / 1e6
             for i, sizes in bins(run, run.tcp).items()}
    n = int((run.end - run.begin) / BIN_S)
    y = Axis(0, max(rates.values(), default=1) * 1.05, RATE[1], RATE[0])
    steps = f"M{at(run.begin):.1f} {RATE[1]}"
    for i in range(n):
        steps += (f"V{y(rates.get(i, 0)):.1f}"
                  f"H{at(run.begin + (i + 1) * BIN_S):.1f}")
    return panel("TCP", "MB/s back", TCP, RATE, y) + [
        f'<path d="{steps}V{RATE[1]}Z" fill="{TCP}" fill-opacity="0.75"/>']


def pause_panel(run, at):
    """In each bin the longest time that ended there."""
    times = run.arrivals("udp")
    longest = {i: max(values) for i, values in bins(run, (
        (b, b - a) for a, b in zip(times, times[1:]))).items()}
    y = Axis(1, log_top(longest.values()), PAUSE[1], PAUSE[0], log=True)
    bars = "".join(
        f"M{at(run.begin + (i + 0.5) * BIN_S):.1f} {PAUSE[1]}"
        f"V{y(1000 * value):.1f}" for i, value in sorted(longest.items()))
    return panel("UDP", "ms pause", UDP, PAUSE, y) + [path(bars, UDP, 1.6)]


def log_top(seconds):
    return max(10 ** math.ceil(math.log10(1000 * max(seconds, default=0.1))),
               100)


def trip_panel(run, at):
    """Round trips, least to most in each bin; red: without an answer."""
    trips = bins(run, ((when, run.answered[number] - when)
                       for number, when in run.asked.items()
                       if number in run.answered))
    most = max((max(values) for values in trips.values()), default=0.1)
    y = Axis(0.1, log_top([most]), TRIP[1], TRIP[0], log=True)
    bars = "".join(
        f"M{at(run.begin + (i + 0.5) * BIN_S):.1f} "
        f"{y(1000 * min(values)):.1f}V{y(1000 * max(values)) - 0.1:.1f}"
        for i, values in sorted(trips.items()))
    lost = "".join(f"M{at(when):.1f} {TRIP[0] - 3}v8"
                   for number, when in run.asked.items()
                   if number not in run.answered)
    return panel("ping", "ms, from a", PING, TRIP, y) + [
        path(bars, PING, 1.8)] + ([path(lost, STOP, 1.2)] if lost else [])


# Each move.

def zooms(run):
    moves = [move for move in run.moves if move.stop is not None]
    if not moves:
        return []
    out = [text(24, 520, "The moves, by the millisecond", size=15,
                weight="bold")]
    out += zoom_names()
    width = (WIDTH - RIGHT - LEFT - 24 * (len(moves) - 1)) / len(moves)
    for i, move in enumerate(moves):
        left = LEFT + i * (width + 24)
        out += zoom(run, move, i + 1, left, left + width)
    return out


def zoom_names():
    middle = (FAN[0] + FAN[1]) / 2
    step = (STEPS[1] - STEPS[0]) / len(PHASES)
    return [
        text(LEFT - 12, FAN[0] + 6, "answered", "end", 9, DIM),
        text(LEFT - 12, middle + 3, "pings", "end", 11, PING, "bold"),
        text(LEFT - 12, FAN[1], "sent", "end", 9, DIM),
        text(LEFT - 12, ARRIVALS[0] + 16, "UDP arrives", "end", 11, UDP,
             "bold"),
        text(LEFT - 12, ARRIVALS[1] - 5, "TCP arrives", "end", 11, TCP,
             "bold"),
        *(text(LEFT - 12, STEPS[0] + step * (i + 0.75), name, "end", 10)
          for i, name in enumerate(PHASES.values()))]


def zoom_span(run, move):
    """(from, until) around the stop, so that the pauses are in it."""
    ends = [getattr(move, what) or move.stop for what in PHASES]
    ends += [until if until is not None else move.stop + ZOOM_MOST_S
             for kind in ("udp", "ping", "tcp")
             for begin, until in [run.pause(kind, move)]
             if begin < max(ends)]
    return (move.stop - ZOOM_BEFORE_S,
            min(max(ends) + ZOOM_AFTER_S, move.stop + ZOOM_MOST_S))


def zoom(run, move, count, left, right):
    begin, end = zoom_span(run, move)
    x = Axis(1000 * (begin - move.stop), 1000 * (end - move.stop), left,
             right)

    def at(when):
        return x(1000 * (when - move.stop))

    out = [f'<circle cx="{left + 9:.1f}" cy="{FAN[0] - 17}" r="9" '
           f'fill="{STOP}"/>',
           text(left + 9, FAN[0] - 13, str(count), "middle", colour="white",
                weight="bold"),
           text(left + 24, FAN[0] - 13, f"site {move.source} to site "
                f"{move.target}", size=12, weight="bold"),
           box(left, FAN[0], right, STEPS[1], "#f7fafc")]
    if move.start is not None:
        out.append(box(at(move.stop), FAN[0], at(move.start), STEPS[1], STOP,
                       0.16))
    for tick in x.ticks(6):
        out += [line(x(tick), FAN[0], x(tick), STEPS[1], GRID),
                text(x(tick), STEPS[1] + 15, number(tick) + " ms" if
                     not tick else number(tick), "middle", 10, DIM)]
    out += fan(run, at, begin, end)
    out += arrivals(run, at, begin, end) + steps_of(move, at)
    return out + [text(left, ZOOM_NOTE, zoom_note(run, move), size=11)]


def zoom_note(run, move):
    end = run.window(move)[1]
    return ("pause: UDP " + demo_result.pause_text(run.pause("udp", move), end)
            + ", ping " + demo_result.pause_text(run.pause("ping", move), end)
            + f"; lost: {run.lost_udp(move)} UDP, {run.lost_pings(move)} pings"
            )


def fan(run, at, begin, end):
    """A line for each ping, from when it was sent to its answer: those that
    wait for the guest meet where it runs again."""
    lines, lost = "", ""
    for number, when in run.asked.items():
        back = run.answered.get(number)
        if back is not None and begin <= when and back <= end:
            lines += f"M{at(when):.1f} {FAN[1]}L{at(back):.1f} {FAN[0]}"
        elif back is None and begin <= when <= end:
            lost += f"M{at(when):.1f} {FAN[1]}v-14"
    return [path(lines, PING, 1)] + ([path(lost, STOP, 1.6)] if lost else [])


def arrivals(run, at, begin, end):
    out, height = [], (ARRIVALS[1] - ARRIVALS[0]) / 2
    for i, (kind, colour) in enumerate((("udp", UDP), ("tcp", TCP))):
        top = ARRIVALS[0] + i * height
        ticks = "".join(f"M{at(when):.1f} {top + 2}v{height - 6}"
                        for when in run.arrivals(kind) if begin <= when <= end)
        out.append(path(ticks, colour, 1))
    return out


def steps_of(move, at):
    """Bars from the stop until each phase was reached."""
    out, height = [], (STEPS[1] - STEPS[0]) / len(PHASES)
    for i, what in enumerate(PHASES):
        when = getattr(move, what)
        if when is None:
            continue
        top = STEPS[0] + i * height
        out += [box(at(move.stop), top + 3, at(when), top + height - 3,
                    {"start": STOP, "spoke": DIM}.get(
                        what, SITES[move.target]), 0.9, 2),
                text(at(when) + 5, top + height - 5,
                     f"{move.since_stop_ms(what):.1f} ms", size=10)]
    return out
