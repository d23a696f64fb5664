# SPDX-License-Identifier: Apache-2.0
"""How a system test is written and run.

A test is a function of the rig, marked with @test; its name is the sentence
that it proves.  The rig's state before each is the same: every VM at home and
known everywhere.  What holds for all of them is not in any of them: whatever
a test does, the cables of the router may show only right checksums, no home
address, no MAC of a VM and none of its broadcasts; no daemon may die, log an
error or make a sanitizer speak.
"""
import ipaddress
import os
import re
import time
import traceback

import frames
import mappings
from capture import Capture
from switch import wait_until
from traffic import ping

FAMILIES = (4, 6)
HOME = [ipaddress.ip_network(prefix) for prefix in
        ("172.16.0.0/12", "fd16::/16")]
TESTS = []


class Skip(Exception):
    """The test cannot run here; the text says why."""


def test(function):
    TESTS.append(function)
    return function


def test_with(mode):
    """A test of what only one kind of port has: "dpdk" or "kernel"."""
    def mark(function):
        function.mode = mode
        return test(function)
    return mark


def address(vm, family):
    return vm.v4 if family == 4 else vm.v6


def moa(vm, family, site=None):
    return mappings.addresses(vm, family, site)[1]


def assert_reaches(one, other, **options):
    for family in FAMILIES:
        source, target = address(one, family), address(other, family)
        assert ping(one.namespace, source, target, **options) is not None, (
            f"no answer to a ping from {one.name} ({source}) to {other.name} "
            f"({target}) {options or ''}")


def assert_same(what, got, expected):
    assert got == expected, (f"{what}: got {str(got):.300}, "
                             f"expected {str(expected):.300}")


class Counters:
    """How often a verdict was given since this was made."""

    def __init__(self, *sites):
        self.sites = sites
        self.before = [site.mat.stats() for site in sites]

    def grown(self, verdict):
        return sum(site.mat.stats().get(verdict, 0) - before.get(verdict, 0)
                   for site, before in zip(self.sites, self.before))

    def assert_grown(self, verdict, at_least=1):
        wait_until(lambda: self.grown(verdict) >= at_least,
                   f"{at_least} packets counted as {verdict!r}; "
                   f"counted: {self.all_grown()}", 3)

    def all_grown(self):
        names = {name for site in self.sites for name in site.mat.stats()}
        return {name: grown for name in sorted(names)
                if (grown := self.grown(name))}


def inject(rig, namespace, link, *whole_frames):
    """Send frames as they are; what the test itself puts on a cable is not
    held against the switch."""
    sock = namespace.packet_socket(link)
    for frame in whole_frames:
        rig.injected.add(frame)
        sock.send(frame)
    sock.close()


def underlay_faults(rig, capture):
    """What no cable between hosts may show, in words."""
    macs = {vm.mac for vm in rig.vms.values()}
    own = {frames.link_local(vm.mac) for vm in rig.vms.values()}
    faults = []
    for frame in capture.read():
        if frame.data in rig.injected or any(
                mark in frame.data for mark in rig.tainted):
            continue
        if frame.eth_src in macs or frame.eth_dst in macs:
            faults.append(f"shows the MAC of a VM: {frame.where}: {frame}")
        for shown in frame.addresses():
            if shown in own or any(ipaddress.ip_address(shown) in network
                                   for network in HOME):
                faults.append(f"shows {shown}: {frame.where}: {frame}")
    return faults + capture.faults_except(rig.injected, rig.tainted)


def run_one(rig, function):
    """Run a test between the checks that hold for all; None or what failed."""
    restore(rig)
    rig.injected, rig.tainted = set(), []
    known = set(rig.complaints())
    failed = None
    with Capture(*rig.router.cables()) as capture:
        try:
            function(rig)
        except Skip:
            raise
        except Exception as error:
            failed = describe(error)
        try:
            faults = underlay_faults(rig, capture)
            if faults and not failed:
                failed = "the underlay " + "\n".join(faults[:5])
        except Exception as error:
            failed = failed or describe(error)
        new = [text for text in rig.complaints() if text not in known]
        if new:
            failed = "\n".join([failed or "the daemons complain:"] + new[:5])
        if failed:
            failed += "\nunderlay: " + evidence(rig, capture, function)
    return failed


def describe(error):
    text = str(error) or type(error).__name__
    place = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}"
                       for f in reversed(place[-3:]))
    return f"{text}\n({type(error).__name__} at {where})"


def evidence(rig, capture, function):
    path = os.path.join(rig.evidence_dir, function.__name__ + ".pcap")
    os.makedirs(rig.evidence_dir, exist_ok=True)
    try:
        capture.save(path)
    except Exception as error:
        return f"no capture: {error}"
    return path


def restore(rig):
    """Every VM at home and known everywhere, as before each test."""
    if rig.m.site is not rig.a:
        rig.m.plug.move(rig.a)
    mappings.fill(rig)
    for vm in rig.vms.values():
        vm.forget_routes()


def run_all(rig, chosen, out):
    """TAP lines for all tests; (passed, failed, skipped)."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for number, function in enumerate(chosen, 1):
        sentence = re.sub("_", " ", function.__name__)
        start = time.monotonic()
        try:
            failed = run_one(rig, function)
        except Skip as why:
            counts["skipped"] += 1
            out(f"ok {number} - {sentence} # SKIP {why}")
            continue
        took = f"({time.monotonic() - start:.1f} s)"
        counts["failed" if failed else "passed"] += 1
        out(f"{'not ' if failed else ''}ok {number} - {sentence} {took}")
        for line in (failed or "").splitlines():
            out("#   " + line)
    return counts
