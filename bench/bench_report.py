# SPDX-License-Identifier: Apache-2.0
"""Rows of bench-cycles out of its samples; table, JSON and SVG out of rows.

A sample is one measurement; it carries the plain forwarding of its family
that was measured just before it on the same switch.  A row is the median of
a case's samples; "added" and "ratio_to_plain" are medians of the samples'
own differences and ratios, so that slow drifts of the machine cancel out.
"""

import statistics

import bench_svg

# What the deployed pipeline has to reach: see docs/performance.md.
GOALS = {("v4", False): (35, 1.5), ("v4", True): (45, 1.65),
         ("v6", False): (None, 1.7), ("v6", True): (None, 1.7)}
DEPLOYED = ("mat-out", "mat-in", "mat-in-8")
FLOOR_PERCENT = 5
NOT_PLOTTED = ("plain-unpatched", "rules", "rules-8")


def make_rows(samples):
    """'samples': {(case, family, mappings): [sample, ...]} in table order."""
    return [make_row(key, group) for key, group in samples.items()]


def make_row(key, samples):
    cycles = [s["cycles"] for s in samples]
    plain = [s["plain"] for s in samples]
    return {
        "case": key[0], "family": key[1], "mappings": key[2],
        "cycles": round(statistics.median(cycles), 1),
        "added": round(statistics.median(c - p for c, p
                                         in zip(cycles, plain)), 1),
        "ratio_to_plain": round(statistics.median(c / p for c, p
                                                  in zip(cycles, plain)), 3),
        "spread": round(max(cycles) - min(cycles), 1),
        "iqr": round(iqr([w for s in samples for w in s["windows"]]), 1),
        "repetitions": len(samples),
        "path": samples[0]["path"],
        "forwarded": round(min(s["forwarded"] for s in samples), 4),
    }


def iqr(values):
    quarters = statistics.quantiles(values, n=4)
    return quarters[2] - quarters[0]


def table(rows):
    head = ("case", "family", "mappings", "cycles", "added", "x plain",
            "spread", "iqr", "path")
    lines = [head]
    for r in rows:
        lines.append((r["case"], r["family"], short(r["mappings"]),
                      "%.1f" % r["cycles"], "%+.1f" % r["added"],
                      "%.2f" % r["ratio_to_plain"], "%.1f" % r["spread"],
                      "%.1f" % r["iqr"], r["path"]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(
        cell.ljust(w) if i in (0, 1, 8) else cell.rjust(w)
        for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines)


def short(n):
    for unit, name in ((1000000, "M"), (1000, "k")):
        if n >= unit:
            return "%d%s" % (n // unit, name)
    return str(n)


def find(rows, case, family, mappings):
    for row in rows:
        if (row["case"], row["family"], row["mappings"]) == (
                case, family, mappings):
            return row
    return None


def verdicts(rows):
    """[(reached, sentence), ...] for the floor and each goal measured."""
    result = []
    for family in ("v4", "v6"):
        row = find(rows, "plain-unpatched", family, 1)
        if row:
            percent = (1 / row["ratio_to_plain"] - 1) * 100
            result.append((abs(percent) <= FLOOR_PERCENT,
                           "floor %s: patched %+.1f %% of unpatched "
                           "(within %d %%)" % (family, percent,
                                               FLOOR_PERCENT)))
    for row in rows:
        if row["case"] in DEPLOYED:
            result += goal_verdicts(rows, row)
    return result


def goal_verdicts(rows, row):
    added, ratio = GOALS[row["family"], row["mappings"] > 100000]
    name = "%s %s %s" % (row["case"], row["family"], short(row["mappings"]))
    result = [(row["ratio_to_plain"] <= ratio, "%s: %.2f x plain (<= %.2f)"
               % (name, row["ratio_to_plain"], ratio))]
    if added is not None:
        result.append((row["added"] <= added, "%s: adds %.1f (<= %d)"
                       % (name, row["added"], added)))
    push = [r for r in rows if r["case"] == "vxlan-push"
            and r["family"] == row["family"]
            and r["mappings"] <= row["mappings"]]
    if push:
        best = max(push, key=lambda r: r["mappings"])
        result.append((row["cycles"] < best["cycles"],
                       "%s: %.1f, VXLAN push at %s %.1f" % (
                           name, row["cycles"], short(best["mappings"]),
                           best["cycles"])))
    return result


def svg(rows, title):
    """Cycles over mappings, a panel for each family."""
    panels = []
    for family, text in (("v4", "IPv4"), ("v6", "IPv6")):
        lines = {}
        for row in rows:
            if row["family"] == family and row["case"] not in NOT_PLOTTED:
                lines.setdefault(row["case"], []).append(
                    (row["mappings"], row["cycles"]))
        if lines:
            panels.append((text, lines))
    return bench_svg.plot(title, panels, "mappings, pairs, peers or "
                          "connections", "cycles per packet")
