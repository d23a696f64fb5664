# SPDX-License-Identifier: Apache-2.0
"""The wide-area line of other tests, with real packets: what it is told to do
shows in captures on both sides of it."""
import contextlib
import time

from agent_harness import test
from capture import Capture
from harness import assert_same
from netns import Namespace, connect
from relay import Relay
from switch import wait_until
from traffic import UdpStream, bound, ping, tcp_transfer

LEFT, RIGHT = "192.0.2.1", "192.0.2.2"


class Ends:
    """left ---- l [line] r ---- right"""

    def __init__(self, prefix, program, shape, offloads):
        self.left, self.line, self.right = [
            Namespace(f"{prefix}-{name}") for name in ("wl", "w", "wr")]
        for namespace in self.left, self.line, self.right:
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        for end, leg, address in ((self.left, "l", LEFT),
                                  (self.right, "r", RIGHT)):
            connect(end, "eth0", self.line, leg)
            end.ip(f"addr add {address}/24 dev eth0")
            if offloads:
                end.run("ethtool", "-K", "eth0", "tx", "on", "sg", "on",
                        "tso", "on", "gso", "on")
        for end, other, address in ((self.left, self.right, RIGHT),
                                    (self.right, self.left, LEFT)):
            end.ip(f"neigh replace {address} lladdr {other.mac('eth0')} "
                   "dev eth0")       # So that all frames are the tests'.
        self.relay = Relay(program, (self.line, "l"), (self.line, "r"), shape)
        wait_until(lambda: ping(self.left, LEFT, RIGHT, timeout_s=1),
                   "a first answer")

    def close(self):
        self.relay.close()
        for namespace in self.left, self.line, self.right:
            namespace.delete()


@contextlib.contextmanager
def ends(rig, shape, offloads=False):
    both = Ends(rig.prefix, rig.programs.relay, shape, offloads)
    try:
        yield both
    finally:
        both.close()


def stream(both, seconds, rate_pps=1000):
    """Numbered datagrams from left to right; the stream and what the line
    counted of it."""
    before = both.relay.stats()["there"]
    running = UdpStream(both.left, LEFT, both.right, RIGHT, rate_pps)
    wait_until(lambda: running.sent > seconds * rate_pps, "datagrams", 60)
    running.stop()
    after = both.relay.stats()["there"]
    return running, {key: after[key] - before[key] for key in after}


def times(capture):
    """When each of the numbered datagrams was seen first."""
    seen = {}
    for frame in capture.read():
        if frame.ports():
            seen.setdefault(frame.data[42:46], frame.time)
    return seen


@test(rig="bare")
def a_line_delays_each_packet_by_what_it_was_told(rig):
    with ends(rig, "delay=30ms,jitter=10ms,seed=1") as both, \
            Capture((both.left, "eth0")) as sent, \
            Capture((both.right, "eth0")) as got:
        running, _ = stream(both, 1, 200)
        assert_same("lost", running.lost(), [])
        assert running.in_order(), "jitter changed the order"
        out, came = times(sent), times(got)
    took = sorted(came[number] - out[number] for number in came)
    assert took[0] >= 0.0199, f"a packet took {took[0]} s"
    middle = took[len(took) // 2]
    assert 0.025 < middle < 0.045, f"the median is {middle} s"
    assert took[0] < 0.028 < 0.032 < took[-1], f"no jitter: {took}"


@test(rig="bare")
def a_line_loses_and_doubles_as_many_as_it_says(rig):
    with ends(rig, "loss=5%,duplicate=5%,seed=2") as both:
        running, counted = stream(both, 2)
    numbers = [number for number, _ in running.arrivals]
    assert_same("lost", len(running.lost()), counted["lost"])
    assert_same("doubled", len(numbers) - len(set(numbers)),
                counted["duplicated"])
    assert_same("accounts", counted["taken"] + counted["duplicated"],
                counted["lost"] + counted["delivered"])
    for what in "lost", "duplicated":
        assert 60 < counted[what] < 140, f"of 2000: {counted}"


@test(rig="bare")
def a_line_lets_packets_overtake_if_it_is_told_to(rig):
    with ends(rig, "delay=20ms,reorder=3%,seed=3") as both:
        running, counted = stream(both, 1)
    assert_same("lost", running.lost(), [])
    assert not running.in_order()
    assert counted["reordered"] > 10


@test(rig="bare")
def a_line_carries_no_more_than_its_rate_and_all_of_tcp(rig):
    with ends(rig, "rate=80mbit,limit=200") as both:
        size, start = 2_000_000, time.monotonic()
        assert tcp_transfer(both.left, LEFT, both.right, RIGHT, size)
        took = time.monotonic() - start
        assert took > size * 8 / 80e6, f"{size} bytes in {took} s"
    with ends(rig, "delay=1ms", offloads=True) as both:
        assert tcp_transfer(both.left, LEFT, both.right, RIGHT, 20_000_000)


@test(rig="bare")
def a_line_is_cut_and_mended_under_way(rig):
    with ends(rig, "delay=1ms") as both:
        both.relay.shape("loss=100%")
        assert ping(both.left, LEFT, RIGHT, timeout_s=0.3) is None
        both.relay.shape("loss=0", "there")
        with contextlib.closing(bound(both.left, LEFT)) as one, \
                contextlib.closing(bound(both.right, RIGHT)) as other:
            one.sendto(b"one way", other.getsockname())
            assert_same("what came", other.recv(100), b"one way")
        assert ping(both.left, LEFT, RIGHT, timeout_s=0.3) is None
        both.relay.shape("loss=0")
        assert ping(both.left, LEFT, RIGHT) is not None


@test(rig="bare")
def a_line_ends_when_its_test_does(rig):
    with ends(rig, "") as both:
        assert_same("how it ended", both.relay.close(), 0)

