# SPDX-License-Identifier: Apache-2.0
"""One move of bench-move, and what captures say about it.

Echo requests with numbers go from the correspondent to the guest, one each
millisecond; packet sockets record them, with the kernel's time, at the
correspondent's card, at its host's uplink, and at the guest's port on both
hosts.  All are on one machine, so on one clock.
"""
import contextlib
import datetime
import json
import socket
import struct
import subprocess
import time

from capture import SO_TIMESTAMPNS
from guest import read_text
from switch import wait_until

INTERVAL_US = 1000
WARM_PROBES = 150               # Answered before a move, and after it.
PATIENCE_S = 30
OUTGOING = 4                    # PACKET_OUTGOING
SNAP = 128                      # Bytes of a frame that are looked at.
BUFFER_BYTES = 64 << 20
REQUEST, REPLY = 8, 0
ICMP = 1
PAYLOAD = 8                     # Of an echo message, from its start.


class Tape:
    """What one link carried: (time, sent out of it, source MAC, ethertype,
    type of an echo message or None, number, IPv4 destination)."""

    def __init__(self, namespace, link):
        self.where = f"{namespace.name}/{link}"
        self.sock = namespace.packet_socket(link, buffer_bytes=BUFFER_BYTES)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setblocking(False)
        self.rows = []

    def close(self):
        self.sock.close()

    def read(self):
        while True:
            try:
                data, control, _, source = self.sock.recvmsg(SNAP, 64)
            except BlockingIOError:
                break
            except OSError:             # Said once when the link goes.
                continue
            seconds, nanoseconds = struct.unpack("qq", control[0][2])
            self.rows.append((seconds + nanoseconds / 1e9,
                              source[2] == OUTGOING, *parse(data)))
        lost = struct.unpack("II", self.sock.getsockopt(263, 6, 8))[1]
        assert not lost, f"the capture on {self.where} lost {lost} frames"
        return self.rows

    def echoes(self, kind):
        """number -> time of the first."""
        found = {}
        for when, _, _, _, echo, number, _ in self.rows:
            if echo == kind:
                found.setdefault(number, when)
        return found

    def from_guest(self):
        """[(time, ethertype)] of what came out of it, as it is its port.  (A
        bridge may also flood there what the guest says elsewhere.)"""
        return [(row[0], row[3]) for row in self.rows if not row[1]]


def parse(data):
    ethertype, = struct.unpack_from("!H", data, 12)
    source = data[6:12].hex(":")
    if ethertype != 0x0800 or data[23] != ICMP:
        return source, ethertype, None, None, None
    start = 14 + (data[14] & 15) * 4
    if data[start] not in (REQUEST, REPLY) or len(data) < start + 16:
        return source, ethertype, None, None, None
    number, = struct.unpack_from("!Q", data, start + PAYLOAD)
    return (source, ethertype, data[start], number,
            ".".join(map(str, data[30:34])))


class Probe:
    def __init__(self, program, namespace, address):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace.name, program, address,
             str(INTERVAL_US)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout.readline() == "started\n"

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Lost(AssertionError):
    """The guest did not answer any more."""


def has_crashed(guest, site):
    """A kernel that goes on has nothing to say on its console."""
    text = read_text(guest.monitor(site, "console"))
    return any(word in text for word in ("panic", "BUG:", "Oops", "READY"))


class Move:
    """kind: l2, mat, mat-hint, ofc."""

    def __init__(self, rig, guest, kind, target, probe_program):
        self.rig, self.guest, self.kind = rig, guest, kind
        self.source, self.target = guest.site, target
        self.network = "mat" if kind.startswith("mat") else kind
        self.peer, _, self.card = rig.correspondents()[self.network]
        self.probe_program = probe_program

    def run(self):
        """The row of this move."""
        self.began = time.time()
        self.rig.controller_works(self.network == "ofc")
        with contextlib.ExitStack() as stack:
            stack.callback(self.rig.controller_works, True)
            def tape(namespace, link):
                new = Tape(namespace, link)
                stack.callback(new.close)
                return new
            self.at_peer = tape(self.peer, "eth0")
            self.at_uplink = tape(self.rig.c.namespace, {
                "mat": "uplink", "l2": "wire", "ofc": "far"}[self.network])
            self.at_old = tape(self.source.namespace, self.card.name)
            self._under_probes(tape)
        row = self._row()
        self.rig.wait_reached(self.guest)
        return row

    def _under_probes(self, tape):
        with self.guest.moving(self.target) as qmp:
            if self.network == "mat":
                self._wait_prepared()
            self.at_new = tape(self.target.namespace, self.card.name)
            probe = Probe(self.probe_program, self.peer, self.card.v4)
            try:
                self._wait_answers(0.0)
                self._migrate(qmp)
                self._wait_answers(self.start)
            finally:
                probe.end()
            time.sleep(0.1 + 4e-3 * (self.rig.one_way_ms or 0))
            for one in (self.at_peer, self.at_uplink, self.at_old,
                        self.at_new):
                one.read()

    def _wait_prepared(self):
        """What the port tells the agent has been told to all, as in a
        migration that takes its time."""
        wait_until(lambda: any(
            vm["mac"] == self.card.mac and vm["state"] == "prepared"
            for vm in self.target.agent("vms")["vms"]),
            "the target prepared for the guest", PATIENCE_S)

    def _wait_answers(self, since):
        """Answers to probes that were sent after 'since'."""
        def enough():
            if has_crashed(self.guest, self.target):
                raise Lost(f"{self.kind}: the guest's kernel crashed on its "
                           f"way to {self.target.name}")
            self.at_peer.read()
            sent = self.at_peer.echoes(REQUEST)
            return sum(sent.get(number, 0) > since for number
                       in self.at_peer.echoes(REPLY)) >= WARM_PROBES
        try:
            wait_until(enough, "answers", PATIENCE_S, 0.05)
        except Lost:
            raise
        except AssertionError:
            raise Lost(f"{self.kind}: no answers from the guest, which is "
                       f"moving to {self.target.name}") from None

    def _migrate(self, qmp):
        source = self.guest.qmp
        source.poll(0.05)               # Of its own coming here.
        source.forget()
        if self.kind == "mat-hint":
            self.source.matctl(
                "migrate", self.card.v4, self.target.address4,
                f"qmp={self.guest.monitor(self.source, 'matctl')}",
                f"to-qmp={self.guest.monitor(self.target, 'matctl')}")
        else:
            uri = self.guest.address_at(self.target)
            qmp.command("migrate-incoming", uri=uri)
            source.command("migrate-set-parameters", downtime_limit=50,
                           max_bandwidth=1 << 30)
            if self.guest.must_stand_still():
                source.command("stop")
            source.command("migrate", uri=uri)
        source.wait_event("MIGRATION",
                          lambda data: data["status"] == "completed")
        if self.guest.must_stand_still():
            qmp.wait_event("MIGRATION",
                           lambda data: data["status"] == "completed")
            qmp.command("cont")
        qmp.wait_event("RESUME")
        self.stop, self.start = stamp(source, "STOP"), stamp(qmp, "RESUME")
        self.bytes = source.command("query-migrate")["ram"]["transferred"]

    # What came of it.

    def _row(self):
        first, what = self.at_new.from_guest()[0]
        last = max(when for when, _ in self.at_old.from_guest()
                   if when < first)
        delivered = min(self.at_new.echoes(REQUEST).values())
        from_new = self.at_new.echoes(REPLY)
        sent, back = (self.at_peer.echoes(REQUEST),
                      self.at_peer.echoes(REPLY))
        answered = [number for number in from_new if number in back]
        if not answered:
            raise Lost(f"{self.kind}: no answer from {self.target.name}")
        resumed = min(back[number] for number in answered)
        before = max(when for number, when in back.items()
                     if when < resumed and number not in from_new)
        lost = [number for number in range(min(back), max(back))
                if number not in back]
        starved = self._starved(lost, last)
        missing = INTERVAL_US / 1e6 * (len(lost) - len(starved))
        row = {
            "kind": self.kind, "to": self.target.name,
            "first_frame": {0x8035: "rarp", 0x0806: "arp"}.get(what, "other"),
            "share_ms": ms(delivered - first),
            "waited": delivered <= first,
            "resumed_ms": ms(resumed - first),
            "silence_ms": ms(resumed - before),
            "longest_silence_ms": ms(longest(sorted(back.values()))),
            "outage_ms": ms(missing),
            "starved": len(starved),
            "beyond_stop_ms": ms(missing - (first - last)),
            "stop_ms": ms(first - last),
            "qmp_stop_ms": ms(self.start - self.stop),
            "first_after_resume_ms": ms(first - self.start),
            "probe_jitter_ms": ms(longest(sorted(sent.values()))),
            "bytes": self.bytes,
        }
        row.update(self._switched(first))
        if self.network == "mat":
            row.update(self._record(first))
        return row

    def _starved(self, lost, last):
        """Probes without answer that reached the guest where it ran: it had
        too little CPU for them, or its queue was full."""
        new, old = self.at_new.echoes(REQUEST), self.at_old.echoes(REQUEST)
        return [number for number in lost if number in new
                or old.get(number, last) < last]

    def _switched(self, first):
        """When the correspondent's host sent its first packet to the new
        place: seen by the address for the routed networks."""
        prefix = {"mat": self.target.subnet4 + ".",
                  "ofc": f"10.78.{self.target.number}."}.get(self.network)
        times = [row[0] for row in self.at_uplink.rows if prefix
                 and row[4] == REQUEST and row[6].startswith(prefix)]
        return {"switched_ms": ms(min(times) - first) if times else None}

    def _record(self, first):
        """The agent's own account, beside the captures'."""
        def find():
            listed = json.loads(self.target.matctl("--json", "migrations"))
            for one in listed["migrations"]:
                if (one["mac"] == self.card.mac and one["kind"] == "in"
                        and seconds(one["seen_at"]) > self.began):
                    return one if "pushed" in one["phases_us"] else None
            return None

        one = wait_until(find, "the agent's record of the move", PATIENCE_S)
        seen = seconds(one["seen_at"])
        phases = {key: value / 1e3 for key, value in one["phases_us"].items()}
        claimed = seen + phases["claimed"] / 1e3
        return {"trigger": one["trigger"],
                "phases_ms": {key: round(value - phases["claimed"], 3)
                              for key, value in phases.items()},
                "claim_after_frame_ms": ms(claimed - first),
                "told": one.get("reached"), "redirected": one["redirected"]}


def stamp(qmp, name):
    """QEMU's own time of an event."""
    for _, event in reversed(qmp.events):
        if event["event"] == name:
            at = event["timestamp"]
            return at["seconds"] + at["microseconds"] / 1e6
    raise AssertionError(f"no {name}")


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def longest(times):
    return max((b - a for a, b in zip(times, times[1:])), default=0.0)


def ms(seconds):
    return round(seconds * 1e3, 3)
