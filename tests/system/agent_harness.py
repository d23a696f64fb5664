# SPDX-License-Identifier: Apache-2.0
"""How a test with agents is written and run.

A test is a function of a rig, marked with @test; its name is the sentence
that it proves.  @test(rig="dpdk") wants another rig than the usual one, and
@test(full=True) is too long for every day.  capture=False is for those with
so many packets that nobody could look at each.  What holds after each test is
in check_after(), not in tests: no daemon has died or logged an error, and the
router's cables have shown only what they may (harness.py)."""
import contextlib
import os
import re
import tempfile
import time

import harness
import rig as plain
import soak
from agent_rig import Agents
from capture import Capture
from guest_rig import Guests

TESTS = []


class Bare:
    """No sites: for tests that make their own namespaces."""

    def __init__(self, programs):
        self.programs = programs
        plain.reap()
        self.dir = tempfile.mkdtemp(prefix=plain.RUN_PREFIX)
        self.prefix = "mt" + self.dir[-8:].replace("_", "-")
        with open(f"{self.dir}/owner", "w") as file:
            file.write(f"{os.getpid()} {self.prefix}\n")
        self.mode = "none"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        plain.delete_namespaces(self.prefix)
        with contextlib.suppress(OSError):
            os.remove(f"{self.dir}/owner")
            os.rmdir(self.dir)


RIGS = {
    "bare": Bare,
    "usual": Agents,
    "guests": Guests,
    "soak": soak.make_rig,
    "dpdk": lambda programs: Agents(programs, "auto"),
}


def test(function=None, rig="usual", full=False, capture=True):
    def mark(marked):
        marked.rig, marked.full, marked.capture = rig, full, capture
        TESTS.append(marked)
        return marked
    return mark(function) if function else mark


def check_after(rig, capture, known):
    """What is wrong, in words."""
    faults = ["the underlay " + fault for fault in
              harness.underlay_faults(rig, capture)[:5]]
    return faults + [text for text in rig.complaints()
                     if text not in known and not any(
                         expected in text for expected in rig.expected)][:5]


def run_one(rig, function):
    """None, or what failed."""
    if isinstance(rig, Bare):
        return attempt(function, rig)
    rig.injected, rig.tainted, rig.expected = set(), [], []
    failed = attempt(rig.restore)
    if failed:
        return "before the test: " + failed
    known = set(rig.complaints())
    cables = rig.router.cables() if function.capture else ()
    with Capture(*cables) as capture:
        failed = attempt(function, rig)
        faults = []
        if not failed:
            failed = attempt(lambda: faults.extend(
                check_after(rig, capture, known)))
        if faults:
            failed = "\n".join(faults)
        if failed:
            failed += "\nunderlay: " + harness.evidence(rig, capture, function)
    return failed


def attempt(function, *arguments):
    try:
        function(*arguments)
    except harness.Skip:
        raise
    except Exception as error:
        return harness.describe(error)
    return None


def run_all(make_rig, chosen, evidence_dir, out):
    """TAP lines for all tests, rig by rig; counts by outcome."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    number, failed = 0, []
    for name in RIGS:
        mine = [function for function in chosen if function.rig == name]
        if not mine:
            continue
        with make_rig(name) as rig:
            rig.evidence_dir = evidence_dir
            out(f"# rig: {name}, ports: {rig.mode}")
            before = counts["failed"]
            for function in mine:
                number += 1
                if not run_and_tell(rig, function, number, counts, out):
                    failed.append(function)
            if counts["failed"] > before and name != "bare":
                rig.save_logs(f"{evidence_dir}/{name}")
    for function in failed:
        try_again(make_rig, function, evidence_dir, counts, out)
    return counts


def try_again(make_rig, function, evidence_dir, counts, out):
    """Alone, with sites of its own: a machine that others keep busy, or what
    another test has left, is not held against it.  What fails twice has
    failed."""
    sentence = re.sub("_", " ", function.__name__)
    with make_rig(function.rig) as rig:
        rig.evidence_dir = evidence_dir
        why = run_one(rig, function)
    if why:
        out(f"# fails again, alone: {sentence}: {why.splitlines()[0]}")
    else:
        counts["failed"] -= 1
        counts["passed"] += 1
        out(f"# passed when tried again, alone: {sentence}")


def run_and_tell(rig, function, number, counts, out):
    sentence = re.sub("_", " ", function.__name__)
    start = time.monotonic()
    try:
        failed = run_one(rig, function)
    except harness.Skip as why:
        counts["skipped"] += 1
        out(f"ok {number} - {sentence} # SKIP {why}")
        return True
    counts["failed" if failed else "passed"] += 1
    took = f"({time.monotonic() - start:.1f} s)"
    out(f"{'not ' if failed else ''}ok {number} - {sentence} {took}")
    for line in (failed or "").splitlines():
        out("#   " + line)
    return not failed
