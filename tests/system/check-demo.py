#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the demonstration works out and draws from its measurements, with
measurements made up here.  Output is TAP."""
import os
import re
import sys
import traceback
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."),
                                "tests/system"))

import demo_picture                                     # noqa: E402
import demo_result                                      # noqa: E402
from demo_result import Move, Run                       # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def a_run(lost=(), dead_from=None, moves=None):
    """20 s, a datagram each 10 ms and a ping each 20 ms, but for 30 ms from
    10.0 on; what is in 'lost' or after 'dead_from' does not come."""
    udp, asked, answered = [], {}, {}
    for i in range(2000):
        when = i / 100
        alive = dead_from is None or when < dead_from
        if i % 2 == 0:
            asked[i // 2] = when
            if alive:
                answered[i // 2] = max(when, 10.03 if 10 <= when < 10.03
                                       else 0) + 0.001
        if i not in lost and alive and not 1000 <= i < 1003:
            udp.append((when, i + 1 - (3 if i >= 1003 else 0)))
    if moves is None:
        moves = [Move("a", "b", 9.5, 10.0, 10.03, 10.031, 10.032, 10.034,
                      10.035, 10.2)]
    tcp = [(when, 1000) for when, _ in udp]
    return Run(tcp, udp, asked, answered, moves, 0.0, 20.0, "a",
               {"to_guest": {"sent": 2000, "lost": 4},
                "from_guest": {"sent": 1997, "lost": len(lost)}})


def a_pause_is_the_longest_time_without_an_arrival():
    times = [1.0, 1.1, 1.5, 1.6, 3.0]
    assert demo_result.longest_pause(times, 1.05, 1.65) == (1.6, 3.0)
    assert demo_result.longest_pause(times, 1.05, 1.4) == (1.1, 1.5)
    assert demo_result.longest_pause([], 1.0, 2.0) == (1.0, None)


def a_pause_without_an_end_lasts_until_nobody_watches():
    assert demo_result.longest_pause([1.0, 1.1], 1.05, 9.0) == (1.1, None)
    assert demo_result.pause_text((1.0, None), 9.0) == "> 8000.0 ms"
    assert demo_result.pause_text((1.0, None), 31.0) == "> 30.0 s"


def what_did_not_come_is_missing_where_it_was_due():
    numbered = [(0.1, 1), (0.2, 2), (0.4, 4), (0.5, 5), (0.9, 9)]
    assert demo_result.missing(numbered, 0.25, 0.45) == 1
    assert demo_result.missing(numbered, 0.45, 0.6) == 3    # Until the next.
    assert demo_result.missing(numbered, 0.1, 0.3) == 1
    assert demo_result.missing([], 0.1, 0.3) == 0


def a_datagram_that_was_overtaken_is_not_missing():
    numbered = [(0.1, 1), (0.2, 3), (0.3, 2), (0.4, 4)]
    assert demo_result.missing(numbered, 0.15, 0.35) == 0


def a_move_is_held_responsible_until_the_next_one():
    second = Move("b", "a", 10.5, 10.6, 10.7, over=10.8)
    run = a_run()
    assert run.window(run.moves[0]) == (9.5, 10.2 + demo_result.SETTLE_S)
    run.moves.append(second)
    assert run.window(run.moves[0]) == (9.5, 10.5)
    assert [stay[0] for stay in run.stays()] == ["a", "b", "a"]


def the_table_says_what_was_measured():
    lines = demo_result.table(a_run(lost={1010, 1020}))
    assert max(map(len, lines)) < 78, lines
    text = "\n".join(lines)
    text = re.sub(" +", " ", text)
    for line in ("guest stopped (QEMU) 30.0 ms",
                 "claimed by its new host +31.0 ms",
                 "the guest's first packet +35.0 ms",
                 "longest pause, UDP 40.0 ms",
                 "lost, UDP from the guest 2 2 of 1997",
                 "lost, UDP to the guest 4 of 2000"):
        assert line in text, f"{line!r} is not in\n{text}"


def what_was_not_measured_is_not_in_the_table():
    move = Move("a", "b", 9.5, 10.0, 10.03, over=10.2)
    text = "\n".join(demo_result.table(a_run(moves=[move])))
    assert "claimed" not in text, text


def parsed(run):
    return xml.etree.ElementTree.fromstring(
        demo_picture.draw(run, "A <title> & more", "below", ["a note"]))


def the_picture_is_xml_and_names_what_it_shows():
    words = [node.text for node in parsed(a_run()).iter(f"{SVG}text")]
    for word in ("A <title> & more", "site a", "site b", "site a to site b",
                 "30.0 ms", "a note"):
        assert word in words, f"{word}: not in {words}"


def everything_in_the_picture_is_within_it():
    for run in (a_run(), a_run(lost={1010}), a_run(dead_from=10.0)):
        root = parsed(run)
        for node in root.iter(f"{SVG}rect"):
            if node.get("width") != "100%":
                right = float(node.get("x")) + float(node.get("width"))
                assert 0 <= right <= demo_picture.WIDTH, node.attrib
        for node in root.iter(f"{SVG}text"):
            assert 0 <= float(node.get("x")) <= demo_picture.WIDTH
            assert 0 <= float(node.get("y")) <= float(root.get("height"))


def a_session_that_dies_can_be_drawn_too():
    assert "&gt; " in demo_picture.draw(a_run(dead_from=10.0), "", "", [])
    empty = Run([], [], {}, {}, [], 0.0, 1.0, "a", {})
    assert "</svg>" in demo_picture.draw(empty, "", "", [])


def ticks_are_round_and_within_the_axis():
    axis = demo_picture.Axis(-30, 512, 0, 400)
    assert axis.ticks(6) == [0, 100, 200, 300, 400, 500]
    axis = demo_picture.Axis(0.1, 100, 0, 90, log=True)
    assert [round(tick, 9) for tick in axis.ticks(4)] == [0.1, 1, 10, 100]
    assert (axis(0.1), axis(100), axis(1e9)) == (0, 90, 90)


def main():
    tests = [one for name, one in list(globals().items())
             if callable(one) and getattr(one, "__module__", "") == "__main__"
             and name not in ("main", "parsed", "a_run")]
    print(f"1..{len(tests)}")
    failed = 0
    for number, one in enumerate(tests, 1):
        try:
            one()
            print(f"ok {number} - {one.__name__.replace('_', ' ')}")
        except Exception:
            failed += 1
            print(f"not ok {number} - {one.__name__.replace('_', ' ')}")
            print("# " + traceback.format_exc().replace("\n", "\n# "))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
