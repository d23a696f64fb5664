# SPDX-License-Identifier: Apache-2.0
"""A private Open vSwitch for benchmarks: own database, own run directory.

    with OvsHost(pmd_core=1) as host:           # hugepages, scratch folder
        ovs = Ovs(host, "patched", "/path/to/ovs/build")
        ovs.vsctl("add-br", "br0", ...)
        ovs.appctl("dpif-netdev/pmd-stats-show")

Nothing of the machine's own Open vSwitch is touched.  The daemons run as
children in the foreground and get SIGKILL from the kernel when this process
dies, however it dies, and have a network namespace of their own; DPDK runs
with --in-memory, so that no hugepage file outlives it.  Only nr_hugepages
stays raised after a SIGKILL of this process.

Cores: the measured PMD has 'pmd_core' for itself, everything else (main
thread, handler, revalidator, database, this program) shares the others.  On
one of those a second PMD polls the output ports, which never receive: polling
them on the measured core would cost each packet a few cycles per port; it
sleeps between polls (pmd-maxsleep).  Several switches may live side by side:
a PMD without a receive queue sleeps, so only the one with an input runs.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HUGE_DIR = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000


class BenchError(Exception):
    """Something that the person who runs the benchmark must know."""


class OvsHost:
    """What the switches of one run share: cores, hugepages, scratch."""

    def __init__(self, pmd_core=None, hugepages=2048):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchError("two CPU cores are needed, one for the PMD")
        self.pmd_core = cores[-1] if pmd_core is None else pmd_core
        self.other_cores = [c for c in cores if c != self.pmd_core]
        self.hugepages = hugepages
        self.switches = []

    def __enter__(self):
        if os.geteuid() != 0:
            raise BenchError("run as root: hugepages and tap devices")
        for sig in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self._on_signal)
        self.old_hugepages = self._read_hugepages()
        self._write_hugepages(max(self.hugepages, self.old_hugepages))
        self.dir = tempfile.mkdtemp(prefix="mat-bench-")
        self.old_affinity = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.other_cores)
        return self

    def __exit__(self, *_):
        for switch in list(self.switches):
            switch.stop()
        os.sched_setaffinity(0, self.old_affinity)
        self._write_hugepages(self.old_hugepages)
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def _on_signal(signum, _frame):
        raise SystemExit(128 + signum)

    @staticmethod
    def _read_hugepages():
        with open(HUGE_DIR) as f:
            return int(f.read())

    def _write_hugepages(self, n):
        with open(HUGE_DIR, "w") as f:
            f.write(str(n))
        if self._read_hugepages() < n:
            raise BenchError("the kernel gives only %d of %d hugepages"
                             % (self._read_hugepages(), n))


LIBC = ctypes.CDLL(None, use_errno=True)


class Ovs:
    """One ovsdb-server and one ovs-vswitchd with DPDK, from 'build'."""

    def __init__(self, host, name, build, socket_mem=1024):
        self.name = name
        self.build = build
        self.host = host
        self.dir = tempfile.mkdtemp(prefix=name + "-", dir=host.dir)
        self.db = "unix:" + os.path.join(self.dir, "db.sock")
        self.ctl = os.path.join(self.dir, "vswitchd.ctl")
        self.log = os.path.join(self.dir, "vswitchd.log")
        self.env = dict(os.environ, OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir,
                        OVS_DBDIR=self.dir, OVS_SYSCONFDIR=self.dir)
        self.children = []
        host.switches.append(self)
        self._start_database()
        self._configure(socket_mem)
        self._start_switch()

    def path(self, program):
        """The program in the build tree, else beside an installed one."""
        for folder in ("utilities", "vswitchd", "ovsdb", "bin", "sbin"):
            candidate = os.path.join(self.build, folder, program)
            if os.access(candidate, os.X_OK):
                return candidate
        raise BenchError("%s: no %s there" % (self.build, program))

    def run(self, program, *args, data=None):
        return self.command([self.path(program), *args], data)

    def command(self, argv, data=None):
        """Runs a program that finds this switch by OVS_RUNDIR."""
        result = subprocess.run(argv, env=self.env, input=data, text=True,
                                capture_output=True)
        if result.returncode:
            raise BenchError("%s: %s" % (" ".join(argv),
                                         result.stderr.strip()))
        return result.stdout

    def vsctl(self, *args):
        return self.run("ovs-vsctl", "--db=" + self.db, "--timeout=30",
                        *args).strip()

    def ofctl(self, *args, data=None):
        return self.run("ovs-ofctl", "-O", "OpenFlow15", *args, data=data)

    def add_bridge(self, bridge):
        self.vsctl("add-br", bridge, "--", "set", "Bridge", bridge,
                   "datapath_type=netdev", "fail-mode=secure")

    def add_null(self, bridge, port, ofport):
        """An output that frees what it is given (net_null)."""
        self._add_dpdk(bridge, port, ofport, "net_null_%s,no-rx=1" % port,
                       self.host.other_cores[0])

    def add_pcap(self, bridge, port, ofport, path):
        """An input that replays the file 'path' for ever (net_pcap)."""
        self._add_dpdk(bridge, port, ofport, "net_pcap_%s,rx_pcap=%s,"
                       "infinite_rx=1" % (port, path), self.host.pmd_core)

    def _add_dpdk(self, bridge, port, ofport, devargs, core):
        self.vsctl("add-port", bridge, port, "--", "set", "Interface", port,
                   "type=dpdk", "ofport_request=%d" % ofport,
                   'options:dpdk-devargs="%s"' % devargs,
                   'other_config:pmd-rxq-affinity="0:%d"' % core)
        error = self.vsctl("get", "Interface", port, "error")
        if error != "[]":
            raise BenchError("%s: %s" % (port, error))

    def flows(self, bridge, flows):
        """Replaces the flow table of 'bridge' by the list 'flows'."""
        self.ofctl("--bundle", "replace-flows", bridge, "-",
                   data="\n".join(flows) + "\n")

    def appctl(self, method, *args):
        """ovs-appctl without a process: one JSON-RPC call to vswitchd."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(self.ctl)
            sock.sendall(json.dumps({"id": 0, "method": method,
                                     "params": list(args)}).encode())
            text, decoder = "", json.JSONDecoder()
            while True:
                data = sock.recv(65536)
                if not data:
                    raise BenchError("%s: vswitchd hung up" % method)
                text += data.decode()
                try:
                    reply, _ = decoder.raw_decode(text)
                    break
                except ValueError:
                    continue
        if reply["error"] is not None:
            raise BenchError("%s %s: %s" % (method, " ".join(args),
                                            str(reply["error"]).strip()))
        return reply["result"]

    def pmd_stats(self):
        """{"packets received": N, ...}: counters of the measured PMD."""
        wanted = "core_id %d:" % self.host.pmd_core
        stats, section = {}, False
        for line in self.appctl("dpif-netdev/pmd-stats-show").splitlines():
            if not line.startswith(" "):
                section = line.endswith(wanted)
            elif section:
                key, _, value = line.strip().partition(": ")
                number = value.split(" ")[0].rstrip(",")
                stats[key] = float(number) if "." in number else int(number)
        return stats

    def pmd_thread(self):
        """The thread id of the measured PMD; it exists while ports do."""
        name = "pmd-c%02d/" % self.host.pmd_core
        for tid in os.listdir("/proc/%d/task" % self.vswitchd.pid):
            with open("/proc/%s/comm" % tid) as f:
                if f.read().startswith(name):
                    return int(tid)
        raise BenchError("no PMD thread on core %d" % self.host.pmd_core)

    def pmd_realtime(self):
        """Lets the measured PMD be preempted only by the kernel's real-time
        throttling: a busy neighbour then spoils one window in eight."""
        os.sched_setscheduler(self.pmd_thread(), os.SCHED_FIFO,
                              os.sched_param(1))

    def pmd_switches(self):
        """Involuntary context switches of the measured PMD so far."""
        with open("/proc/%d/status" % self.pmd_thread()) as f:
            for line in f:
                if line.startswith("nonvoluntary_ctxt_switches"):
                    return int(line.split()[1])
        return 0

    def stop(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self.host.switches.remove(self)

    def _spawn(self, program, *args):
        cores = self.host.other_cores

        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cores)
            if LIBC.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")

        with open(os.path.join(self.dir, program + ".out"), "w") as out:
            child = subprocess.Popen([self.path(program), *args],
                                     env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out,
                                     preexec_fn=prepare)
        self.children.append(child)
        return child

    def _wait_for(self, child, path):
        for _ in range(600):
            if os.path.exists(path):
                return
            if child.poll() is not None:
                break
            time.sleep(0.05)
        with open(os.path.join(self.dir, "vswitchd.log")) as f:
            raise BenchError("%s does not start:\n%s"
                             % (path, f.read()[-2000:]))

    def _source(self):
        """The folder with vswitch.ovsschema: beside the build, or in it."""
        for folder in (self.build, self._srcdir(),
                       os.path.join(self.build, "share/openvswitch")):
            for sub in ("vswitchd", ""):
                schema = os.path.join(folder, sub, "vswitch.ovsschema")
                if os.path.exists(schema):
                    return schema
        raise BenchError("%s: vswitch.ovsschema not found" % self.build)

    def _srcdir(self):
        try:
            with open(os.path.join(self.build, "Makefile")) as f:
                for line in f:
                    if line.startswith("abs_top_srcdir ="):
                        return line.split("=", 1)[1].strip()
        except OSError:
            pass
        return self.build

    def _start_database(self):
        conf = os.path.join(self.dir, "conf.db")
        self.run("ovsdb-tool", "create", conf, self._source())
        server = self._spawn("ovsdb-server", conf, "--remote=p" + self.db,
                             "--unixctl=%s/ovsdb.ctl" % self.dir,
                             "-vconsole:off", "--log-file")
        self._wait_for(server, self.db[len("unix:"):])
        self.vsctl("--no-wait", "init")

    def _configure(self, socket_mem):
        mask = hex(1 << self.host.pmd_core | 1 << self.host.other_cores[0])
        extra = "--no-pci --in-memory --file-prefix=mat-bench-%d-%s" % (
            os.getpid(), self.name)
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true",
                   "other_config:dpdk-socket-mem=%d" % socket_mem,
                   'other_config:dpdk-extra="%s"' % extra,
                   "other_config:pmd-cpu-mask=" + mask,
                   "other_config:pmd-maxsleep=10000",
                   "other_config:n-handler-threads=1",
                   "other_config:n-revalidator-threads=1")

    def _start_switch(self):
        self.vswitchd = self._spawn(
            "ovs-vswitchd", self.db, "--unixctl=" + self.ctl,
            "--pidfile=%s/vswitchd.pid" % self.dir,
            "-vconsole:off", "--log-file=" + self.log)
        self._wait_for(self.vswitchd, self.ctl)
        try:
            self.vsctl("wait-until", "Open_vSwitch", ".",
                       "dpdk_initialized=true")
        except BenchError:
            with open(self.log) as f:
                raise BenchError("DPDK does not start:\n" + f.read()[-2000:])
