# SPDX-License-Identifier: Apache-2.0
"""Applications that survive every move of a real VM, and how long they stood
still: a table, also in applications.txt of the build folder.  In what runs
every day, random moves do this with some of them: test_soak_move.py."""
import time

from agent_harness import test
from apps import (App, Apps, Desktop, DesktopGuest, Download, move,
                  percentile)
from guest_rig import guest_at, wait_known

SPAN_S = 3.0                    # That is looked at, at least; moves are short.
ROUNDS = 3
RTP_MS = 20


class Table:
    """A column for each span of time, a row for each thing measured."""

    def __init__(self):
        self.columns, self.rows = [], {}

    def put(self, row, column, value):
        if column not in self.columns:
            self.columns.append(column)
        self.rows.setdefault(row, {})[column] = value

    def measure(self, column, apps, spans):
        """Of all spans (begin, end) together."""
        def inside(values):
            return [value for then, value in values
                    if any(begin <= then < end for begin, end in spans)]

        for app in apps:
            stalls = [app.stall_ms(*span) for span in spans]
            self.put(f"{app.name}: stall, ms", column,
                     " ".join(f"{stall:.0f}" for stall in stalls))
            if app.name == "RTP":
                self.put("RTP: packets late", column,
                         str(len(inside(app.late))))
                self.put("RTP: packets lost", column, str(len(inside(
                    (then, None) for then in app.lost))))
            if app.name == "keystrokes":
                took = inside(app.keys)
                for name, part in (("median", 0.5), ("99 %", 0.99),
                                   ("worst", 1)):
                    self.put(f"keystrokes: echo, {name}, ms", column,
                             f"{percentile(took, part):.1f}")

    def lines(self):
        table = [["", *self.columns]] + [
            [name, *(row.get(column, "") for column in self.columns)]
            for name, row in self.rows.items()]
        widths = [max(map(len, column)) for column in zip(*table)]
        table.insert(1, ["-" * width for width in widths])
        for row in table:
            yield "| " + " | ".join(
                cell.ljust(width) if not i else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths))) + " |"


def go_round(rig, guest, apps, moves):
    """No move, then the moves to (site, hint): [(name, begin, end)]."""
    spans = [("no move", *span(apps, lambda: None))]
    for to, hint in moves:
        name = f"{guest.site.name} to {to.name}" + ("" if hint else
                                                    ", no hint")
        spans.append((name, *span(apps, lambda: move(guest, to, hint))))
        wait_known(rig, guest)
    return spans


def span(apps, what):
    """From the begin of 'what' until all have gone on after it."""
    begin = apps.all_go_on()
    what()
    end = apps.all_go_on()
    time.sleep(max(0, begin + SPAN_S - end))
    return begin, apps.all_go_on()


def live_through(rig, guest, opened, moves, table):
    """Applications of the functions 'opened' are there during the moves; what
    they counted."""
    with Apps() as apps:
        for open_some in opened:
            open_some(rig, guest, apps)
        spans = {}
        for _ in range(ROUNDS):
            for name, *times in go_round(rig, guest, apps, moves):
                spans.setdefault(name, []).append(times)
        counts = {app.name: app.end() for app in apps.all}
        for name, times in spans.items():
            table.measure(name, apps.all, times)
    for name, count in counts.items():
        assert count["count"] > 0 and not count.get("doubled"), (
            f"{name}: {count}")
    return counts


def bulk(rig, guest, apps):
    card, image = guest.cards[0], guest.image
    apps.add(App(rig, image, "bulk TCP from the guest", rig.b1.namespace,
                 "pull", card.v6, 0))
    apps.add(App(rig, image, "bulk TCP to the guest", rig.c1.namespace,
                 "push", card.v4, 0))


def download(rig, guest, apps):
    apps.add(Download(rig.a1.namespace, guest.cards[0].v4))


def talk(rig, guest, apps):
    card, image = guest.cards[0], guest.image
    apps.add(App(rig, image, "keystrokes", rig.a1.namespace, "keys", card.v6,
                 1))
    apps.add(App(rig, image, "RTP", rig.c1.namespace, "rtp", card.v4, RTP_MS))


def desktop(rig, guest, apps):
    apps.add(Desktop(rig, guest.image, rig.b1.namespace, guest.cards[0].v4))


def report(rig, table, counts):
    lines = list(table.lines())
    lines += [f"{name}: " + ", ".join(f"{what} {number}" for what, number
                                      in count.items() if what != "wrong")
              for name, count in counts.items()]
    with open(f"{rig.programs.build_dir}/applications.txt", "w") as file:
        file.write("\n".join(lines) + "\n")
    for line in lines:
        print("# " + line, flush=True)


@test(full=True, capture=False)
def all_applications_live_through_every_move(rig):
    """Those that take all they get, and those that want it at once, not at
    the same time."""
    table, counts = Table(), {}
    with guest_at(rig, rig.a, kind=DesktopGuest) as guest:
        for opened in [bulk, download], [talk, desktop]:
            counts |= live_through(
                rig, guest, opened,
                [(rig.b, True), (rig.c, True), (rig.a, True), (rig.b, False),
                 (rig.a, False)], table)
    report(rig, table, counts)
