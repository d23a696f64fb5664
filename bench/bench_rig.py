# SPDX-License-Identifier: Apache-2.0
"""A switch with the bridges and outputs of all cases, and the measuring.

    br0     2 out (uplink)  3 vx (VXLAN)  11... vm1... (VM ports)
    br-phy  2 phyout, LOCAL has the address of the VXLAN tunnel end

The input, OpenFlow port 1 of either, exists only while a case is measured.
"""

import os
import re
import statistics
import subprocess
import time

import bench_cases as bc
import bench_table
from bench_ovs import BenchError, Ovs

WINDOWS = 7                 # Of one measurement; the median counts.
WINDOW_S = 0.12
WARM_MIN_S = 0.3
WARM_MAX_S = 30


class Rig:
    def __init__(self, host, name, build, matsw):
        self.ovs = Ovs(host, name, build)
        self.host, self.name, self.matsw = host, name, matsw
        self.has_mat = "mat/" in self.ovs.appctl("list-commands")
        self.loaded = None
        self._bridges()
        self._tunnel()
        self.ovs.pmd_realtime()

    def _bridges(self):
        self.ovs.add_bridge("br0")
        self.ovs.add_null("br0", "out", 2)
        for i in range(bc.N_VM_PORTS):
            self.ovs.add_null("br0", "vm%d" % (i + 1), 11 + i)
        self.ovs.add_bridge("br-phy")
        self.ovs.vsctl("set", "Bridge", "br-phy",
                       "other-config:hwaddr=" + bc.UPLINK_MAC)
        self.ovs.add_null("br-phy", "phyout", 2)

    def _tunnel(self):
        """br-phy's own interface is a tap in the switch's namespace: the
        tunnel end's address, the route to all others, the router's MAC."""
        net = bc.NETS["v4"]
        router = net.local_moa[254]
        self._ip("addr", "add", "%s/24" % net.local_moa[1], "dev", "br-phy")
        self._ip("link", "set", "br-phy", "up")
        self.ovs.vsctl("add-port", "br0", "vx", "--", "set", "Interface",
                       "vx", "type=vxlan", "ofport_request=3",
                       "options:remote_ip=flow", "options:key=flow")
        self.ovs.appctl("ovs/route/add", str(net.remote_moa), "br-phy",
                        str(router))
        self.ovs.appctl("tnl/neigh/set", "br-phy", str(router), bc.ROUTER_MAC)

    def _ip(self, *args):
        result = subprocess.run(["nsenter", "-n", "-t",
                                 str(self.ovs.vswitchd.pid), "ip", *args],
                                capture_output=True, text=True)
        if result.returncode:
            raise BenchError("ip %s: %s" % (" ".join(args), result.stderr))

    def load_table(self, net, n):
        if self.loaded != (net, n):
            bench_table.load(self.ovs, self.matsw, net, n)
            self.loaded = net, n

    def measure(self, case):
        """One measurement: {"cycles", "windows", "path", ...}."""
        net = bc.NETS[case.family]
        case.setup(self, net, case.mappings)
        if case.prime:
            self._play(case, case.frames, "")
            self._play(case, case.prime, "-prime")
        with Input(self, case, case.frames, ""):
            self._warm()
            return self._windows()

    def _play(self, case, frames, suffix):
        with Input(self, case, frames, suffix):
            self._warm()

    def _warm(self):
        """Until packets pass and none needs the slow path any more."""
        start = time.monotonic()
        misses, packets, calm = -1, -1, 0
        while calm < 2 or time.monotonic() < start + WARM_MIN_S:
            time.sleep(0.1)
            stats = self.ovs.pmd_stats()
            moving = stats["packets received"] > packets
            packets = stats["packets received"]
            now = stats["miss with success upcall"]
            calm = calm + 1 if moving and now == misses else 0
            misses = now
            if time.monotonic() > start + WARM_MAX_S:
                raise BenchError("flows still missing after %d s"
                                 % WARM_MAX_S)

    def _windows(self):
        values, tx = [], self._transmitted()
        first = before = self.ovs.pmd_stats()
        switches = self.ovs.pmd_switches()
        for _ in range(WINDOWS):
            after, n = self._window(before)
            values.append((after["processing cycles"]
                           - before["processing cycles"]) / n)
            before = after
        tx = self._transmitted() - tx
        delta = {k: before[k] - first[k] for k in before}
        n = delta["packets received"]
        return {"cycles": statistics.median(values), "windows": values,
                "path": main_path(delta), "forwarded": min(1.0, tx / n),
                "switches": self.ovs.pmd_switches() - switches}

    def _window(self, before):
        """The statistics after a while with packets, and their number."""
        for _ in range(20):
            time.sleep(WINDOW_S)
            after = self.ovs.pmd_stats()
            n = after["packets received"] - before["packets received"]
            if n > 0:
                return after, n
        raise BenchError("the input stands still")

    def _transmitted(self):
        """Packets sent by all ports but the input."""
        total, port = 0, None
        for line in self.ovs.appctl("dpctl/show", "-s").splitlines():
            head = re.match(r"\s+port \d+: (\S+)", line)
            if head:
                port = head.group(1)
            sent = re.match(r"\s+TX packets:(\d+)", line)
            if sent and port in self.outputs():
                total += int(sent.group(1))
        return total

    @staticmethod
    def outputs():
        return {"out", "phyout"} | {"vm%d" % (i + 1)
                                    for i in range(bc.N_VM_PORTS)}


class Input:
    """The input port, while it plays 'frames' of 'case'."""

    def __init__(self, rig, case, frames, suffix):
        self.rig, self.case = rig, case
        self.path = os.path.join(rig.host.dir, case.file_name() + suffix)
        if not os.path.exists(self.path):
            case.write_input(frames, self.path)

    def __enter__(self):
        self.rig.ovs.add_pcap(self.case.bridge, self.case.port, 1, self.path)

    def __exit__(self, *_):
        self.rig.ovs.vsctl("del-port", self.case.port)
        self.rig.ovs.appctl("revalidator/purge")


def main_path(delta):
    """Where most packets found their flow: simple, emc or megaflow."""
    return max(("simple", "emc", "megaflow"), key=lambda p: delta[
        {"simple": "simple match hits", "emc": "emc hits",
         "megaflow": "megaflow hits"}[p]])
