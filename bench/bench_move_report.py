# SPDX-License-Identifier: Apache-2.0
"""What bench-move says: numbers out of moves, table, plot.

Intervals are 95 % by bootstrap of differences of medians (percentiles of 2000
resamples, seeded), as a busy machine makes a few moves of any kind long.
"""
import math
import random
import statistics

RESAMPLES = 2000
WANTED_MS = 1.0                 # Half-width of the interval.

SPREAD = ("switched_ms", "resumed_ms", "stop_ms", "qmp_stop_ms", "outage_ms",
          "beyond_stop_ms", "silence_ms", "longest_silence_ms",
          "probe_jitter_ms")
COMPARED = ("outage_ms", "beyond_stop_ms", "silence_ms")

KINDS = {"l2": "one subnet, stock", "mat": "ovs-mat, no hint",
         "mat-hint": "ovs-mat, hint", "ofc": "central controller"}

# Measured by others on other machines: (who, ms, how).  From the comparison
# in the paper of 2015 on MAT by OpenFlow (Table 5), but for NEMO (IIJ, 2009).
PUBLISHED = (
    ("OpenFlow controller, LAN", 27, "L3 less L2 outage, ping 10 ms, 10 runs"),
    ("OpenFlow controller, WAN", 63, "the same; RTT 1.7 to 12.4 ms"),
    ("LISP, improved", 50, "ping 20 ms; RTT 16.5 to 27.3 ms"),
    ("HyperMIP (Mobile IP)", 480, "application traffic"),
    ("MAT in the guest's kernel", 1571, "ping6 10 ms; RTT 28.5 to 31.7 ms"),
    ("Kagemusha (Mobile IPv6)", 2000, "ping6 100 ms; RTT 0.3 ms"),
    ("NEMO with Xen", 6000, "whole break of a stream"),
)


def values(rows, key):
    return [row[key] for row in rows if row.get(key) is not None]


def median(numbers):
    return statistics.median(numbers) if numbers else None


def percentile(numbers, percent):
    """The smallest that so many of 100 do not exceed."""
    ordered = sorted(numbers)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def difference(ours, theirs):
    """(difference of medians, low, high), or None with too few."""
    if min(len(ours), len(theirs)) < 3:
        return None
    rand = random.Random(1)
    found = sorted(
        statistics.median(rand.choices(ours, k=len(ours)))
        - statistics.median(rand.choices(theirs, k=len(theirs)))
        for _ in range(RESAMPLES))
    return (round(statistics.median(ours) - statistics.median(theirs), 2),
            round(found[int(RESAMPLES * 0.025)], 2),
            round(found[int(RESAMPLES * 0.975)], 2))


def half_width(cells, kind):
    """Of the interval of the outage's difference to L2; None if unknown."""
    found = difference(values(cells[kind], "outage_ms"),
                       values(cells["l2"], "outage_ms"))
    return (found[2] - found[1]) / 2 if found else None


def is_settled(cells):
    """All differences are known well enough."""
    return all((width := half_width(cells, kind)) is not None
               and width < WANTED_MS for kind in cells if kind != "l2")


def summary(rows, base):
    """One row of the table; 'base' are the L2 moves of the same case."""
    shares = [max(0.0, row["share_ms"]) for row in rows]
    found = {
        "moves": len(rows),
        "share_p50_ms": round(median(shares), 2),
        "share_p90_ms": round(percentile(shares, 90), 2),
        "share_max_ms": round(max(shares), 2),
        "waited": sum(row["waited"] for row in rows),
        "starved_max": max(row["starved"] for row in rows),
    }
    for key in SPREAD:
        numbers = values(rows, key)
        if numbers:
            found[key] = {"p50": round(median(numbers), 2),
                          "p90": percentile(numbers, 90),
                          "min": min(numbers), "max": max(numbers)}
    for key in COMPARED:
        found[f"less_l2_{key}"] = (difference(
            values(rows, key), values(base, key))
            if base and rows is not base else None)
    return found


# Text.

def interval(found):
    return "%+.1f (%+.1f..%+.1f)" % found if found else ""


def share(row):
    """0 if packets were there before the guest spoke."""
    return "%.2f" % row["share_p50_ms"]


HEAD = ("case", "kind", "moves", "share p50", "p90", "max", "waiting", "stop",
        "QEMU's", "silence", "outage", "starved", "outage less L2",
        "beyond stop less L2")


def table(results):
    """'results': {case: {kind: summary}}."""
    lines = [HEAD]
    for case, kinds in results.items():
        for kind, row in kinds.items():
            lines.append((
                case, KINDS[kind], str(row["moves"]), share(row),
                "%.2f" % row["share_p90_ms"], "%.2f" % row["share_max_ms"],
                str(row["waited"]), *("%.1f" % row[key]["p50"] for key in (
                    "stop_ms", "qmp_stop_ms", "silence_ms", "outage_ms")),
                str(row["starved_max"]),
                interval(row["less_l2_outage_ms"]),
                interval(row["less_l2_beyond_stop_ms"])))
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(
        cell.ljust(w) if i < 2 else cell.rjust(w)
        for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines)


MEANING = """\
Times in ms, medians if not said otherwise; from captures, on one clock.
  share     network's share: the guest's first frame at its new host, until
            the first packet of the correspondent at its port there; 0 if it
            was there before ("waiting": in so many moves)
  stop      the guest's last frame at its old host to the first at the new;
            QEMU's: its events STOP to RESUME.  With a hint packets are held
            from some time before, so that the guest has nothing to answer
  silence   the correspondent's last answer out of the old place to the first
            out of the new, with all that the guest needs to wake up
  outage    probes, one each ms, that never reached the running guest, x 1 ms
  starved   most probes of a move that did, and were not answered: the guest
            had too little CPU, or its port's queue of 1000 was full
  beyond    outage less stop: what the network adds
  less L2   the difference of medians to moves in one subnet, which took
            turns with the others, and its 95 % interval
Without a hint nobody knows of a move before the guest's first frame: then
word of it has to go one way to the correspondent's host (or to the old one)
and a packet one way from there, so that over a routed WAN no share can be
below two ways.  Here one subnet needs one way only: the announcement turns a
bridge in the middle."""


def published():
    return ["PUBLISHED by others, measured on other machines: outage beyond "
            "that of a plain move"] + [
        "  %-28s %5d ms   %s" % line for line in PUBLISHED]


def goals(results, one_way):
    """[(reached or None, sentence)]."""
    found = []
    for case, kinds in results.items():
        delay = one_way.get(case)
        for kind, limit in (("mat", 3.0), ("mat-hint", 1.0)):
            row = kinds.get(kind)
            if not row:
                continue
            if not delay:
                found.append((row["share_p50_ms"] < limit,
                              f"{case}, {KINDS[kind]}: share p50 "
                              f"{share(row)} < {limit:g} ms"))
                continue
            found.append((row["share_p50_ms"] <= delay + 5,
                          f"{case}, {KINDS[kind]}: share p50 {share(row)} <= "
                          f"one way {delay} + 5 ms"))
            if kind == "mat" and "switched_ms" in row:
                found.append((row["switched_ms"]["p50"] <= delay + 5,
                              f"{case}, {KINDS[kind]}: correspondent's host "
                              f"sends to the new place after "
                              f"{row['switched_ms']['p50']:.2f} <= one way "
                              f"{delay} + 5 ms"))
    return found


def cross_check(cells):
    """The agent's record beside the captures."""
    lines = []
    for case, kinds in cells.items():
        for kind in "mat", "mat-hint":
            rows = [row for row in kinds.get(kind, ()) if "phases_ms" in row]
            if not rows:
                continue
            gap = values(rows, "claim_after_frame_ms")
            told = [row["phases_ms"]["pushed"] for row in rows]
            seen = values(rows, "switched_ms")
            own = [row["phases_ms"]["table"] for row in rows
                   if "table" in row["phases_ms"]]
            lines.append(
                f"  {case}, {KINDS[kind]}: claimed {median(gap):+.2f} ms from "
                f"the first frame ({min(gap):+.2f}..{max(gap):+.2f}); own "
                f"table {median(own) or 0:.2f}, all correspondents told "
                f"{median(told):.2f} ms after the claim"
                + (f"; the correspondent's first packet to the new place "
                   f"left {median(seen):+.2f} ms from the first frame"
                   if seen else ""))
    return (["The agent's record (rounded to 1 ms) beside the captures:"]
            + lines if lines else [])


# A plot: each move a dot, on one logarithmic scale.

COLOURS = {"l2": "#555555", "mat": "#0b6e2e", "mat-hint": "#35a853",
           "ofc": "#e08a00"}
LEFT, WIDTH, ROW, TOP, LOW, HIGH = 250, 900, 22, 64, 0.1, 10000


def x_of(value):
    part = (math.log10(max(value, LOW) / LOW) / math.log10(HIGH / LOW))
    return LEFT + (WIDTH - LEFT - 30) * min(part, 1.0)


def text(x, y, words, more=""):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>'


def axis(bottom):
    out, value = [], LOW
    while value <= HIGH:
        x = x_of(value)
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" '
                   f'y2="{bottom}" stroke="#dddddd"/>')
        label = "0 to 0.1" if value == LOW else "%g" % value
        out.append(text(x, bottom + 16, label, 'text-anchor="middle"'))
        value *= 10
    out.append(text((LEFT + WIDTH) / 2, bottom + 34, "ms (logarithmic)",
                    'text-anchor="middle"'))
    return out


def dots(label, numbers, colour, y):
    out = [text(LEFT - 10, y + 4, label, 'text-anchor="end"')]
    out += [f'<circle cx="{x_of(n):.1f}" cy="{y}" r="3" fill="{colour}" '
            'fill-opacity="0.35"/>' for n in numbers]
    x = x_of(median(numbers))
    out.append(f'<line x1="{x:.1f}" y1="{y - 8}" x2="{x:.1f}" y2="{y + 8}" '
               f'stroke="{colour}" stroke-width="3"/>')
    return out


def svg(cells, title):
    out, y = [], TOP + 14
    for what, key in (("network's share", "share_ms"),
                      ("outage in the whole", "outage_ms")):
        out.append(text(10, y + 4, what, 'font-weight="bold"'))
        y += ROW
        for case, kinds in cells.items():
            for kind, rows in kinds.items():
                if rows:
                    out += dots(f"{case}: {KINDS[kind]}", values(rows, key),
                                COLOURS[kind], y)
                    y += ROW
        y += ROW // 2
    out.append(text(10, y + 4, "published by others, on other machines: "
                    "outage beyond a plain move", 'font-weight="bold"'))
    for who, value, _ in PUBLISHED:
        y += ROW
        x = x_of(value)
        out.append(text(LEFT - 10, y + 4, who, 'text-anchor="end"'))
        out.append(f'<path d="M{x - 5:.1f} {y}l5 -5l5 5l-5 5z" fill="white" '
                   'stroke="#c62828" stroke-width="2"/>')
    bottom = y + ROW
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{bottom + 50}" font-family="sans-serif" '
            'font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            text(10, 22, title, 'font-size="14"'),
            text(10, 40, "Each dot is a move, each bar a median.")]
    return "\n".join(head + axis(bottom) + out + ["</svg>"]) + "\n"
