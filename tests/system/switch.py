# SPDX-License-Identifier: Apache-2.0
"""One host's Open vSwitch: own directory, database, daemons and ports.

Two ways to get at the host's cables:

* "dpdk": each is a net_af_packet device, polled by a PMD thread as a
  physical or vhost port would be.
* "kernel": each is a netdev-linux port of the same userspace datapath, polled
  by the daemon's main thread; for builds and machines without DPDK.
"""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

from netns import CommandError, run

DPDK_MEMORY_MB = 128
DPDK_LIMIT_MB = 256

# Errors in logs that say nothing: the database has not yet seen that the
# daemon before has ended.
HARMLESS = ["another ovs-vswitchd process is running"]


def wait_until(question, what, timeout_s=15, step_s=0.02):
    """Wait for a state, not for a time: ask until the answer is true.  'what'
    may be a function, asked when all is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(step_s)


def external_ids(settings):
    """Words for ovs-vsctl from {"mat_zone": 7}."""
    return [f'external_ids:{key.replace("_", "-")}="{value}"'
            for key, value in settings.items()]


class Build:
    """A tree where Open vSwitch was built; nothing needs to be installed."""

    def __init__(self, build_dir):
        self.dir = os.path.abspath(build_dir)
        self.vswitchd = self._program("vswitchd/ovs-vswitchd")
        self.ovsdb_server = self._program("ovsdb/ovsdb-server")
        self.ovsdb_tool = self._program("ovsdb/ovsdb-tool")
        self.vsctl = self._program("utilities/ovs-vsctl")
        self.ofctl = self._program("utilities/ovs-ofctl")
        self.appctl = self._program("utilities/ovs-appctl")
        self.schema = os.path.join(self._source(),
                                   "vswitchd/vswitch.ovsschema")

    def _program(self, name):
        path = os.path.join(self.dir, name)
        if not os.access(path, os.X_OK):
            raise CommandError(f"{path}: not there; build Open vSwitch first")
        return path

    def _source(self):
        with open(os.path.join(self.dir, "Makefile")) as makefile:
            found = re.search(r"^srcdir = (.*)$", makefile.read(), re.M)
        return os.path.normpath(os.path.join(self.dir, found.group(1)))

    def has_dpdk(self):
        return "DPDK" in run(self.vswitchd, "--version")

    def knows_mat(self):
        return "mat(out" in run(self.ofctl, "parse-flow",
                                "actions=mat(out),output:1", check=False)


class Switch:
    def __init__(self, build, namespace, directory, mode, cpu,
                 dpdk_extra=""):
        self.build = build
        self.namespace = namespace
        self.dir = directory
        self.mode = mode
        self.cpu = cpu
        self.dpdk_extra = dpdk_extra
        self.pids = {}
        os.makedirs(directory)
        self._create_database()
        self.start_daemon()

    # Starting and stopping.

    def _environment(self):
        return {"OVS_RUNDIR": self.dir, "OVS_LOGDIR": self.dir,
                "OVS_DBDIR": self.dir, "OVS_SYSCONFDIR": self.dir,
                "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
                "UBSAN_OPTIONS": "print_stacktrace=1"}

    def _command(self, *argv):
        settings = [f"{k}={v}" for k, v in self._environment().items()]
        return ["ip", "netns", "exec", self.namespace.name, "env", *settings,
                *argv]

    def exec(self, *argv, **options):
        return run(*self._command(*argv), **options)

    def launch(self, name, *argv):
        """Not with --detach, which would close standard error: there the
        sanitizers speak."""
        control = f"{self.dir}/{name}.ctl"
        words = [*argv, f"--pidfile={self.dir}/{name}.pid",
                 f"--log-file={self.dir}/{name}.log",
                 f"--unixctl={control}", "-vconsole:off"]
        with open(f"{self.dir}/{name}.stderr", "a") as errors:
            process = subprocess.Popen(
                self._command(*words), stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, start_new_session=True)
        self.pids[name] = process.pid
        wait_until(lambda: process.poll() is not None
                   or self._answers(control), f"answer of {name}", 30)
        if process.poll() is not None:
            with open(f"{self.dir}/{name}.stderr") as errors:
                raise CommandError(f"{name} does not start: {errors.read()}")

    @staticmethod
    def _answers(control):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            return probe.connect_ex(control) == 0

    def start_database(self):
        self.launch("ovsdb-server", self.build.ovsdb_server,
                    f"{self.dir}/conf.db",
                    f"--remote=punix:{self.dir}/db.sock")

    def _create_database(self):
        self.exec(self.build.ovsdb_tool, "create", f"{self.dir}/conf.db",
                   self.build.schema)
        self.start_database()
        config = ["external-ids:hostname=" + self.namespace.name]
        if self.mode == "dpdk":
            extra = ("--no-pci --in-memory --no-telemetry --file-prefix="
                     f"{self.namespace.name} {self.dpdk_extra}")
            config += ["other_config:dpdk-init=true",
                       f"other_config:dpdk-socket-mem={DPDK_MEMORY_MB}",
                       f"other_config:dpdk-socket-limit={DPDK_LIMIT_MB}",
                       f'other_config:dpdk-extra="{extra}"',
                       f"other_config:dpdk-lcore-mask={1 << self.cpu:#x}",
                       f"other_config:pmd-cpu-mask={1 << self.cpu:#x}",
                       "other_config:pmd-maxsleep=100"]
        self.vsctl("--no-wait", "init", "--",
                   "set", "Open_vSwitch", ".", *config)

    def start_daemon(self):
        preload = []
        if self.mode == "dpdk":
            shim = f"{self.dir}/keep-fragments.so"
            run("cc", "-shared", "-fPIC", "-O2", "-o", shim,
                os.path.join(os.path.dirname(__file__), "keep-fragments.c"))
            preload = ["env", f"LD_PRELOAD={shim}"]
        self.launch("ovs-vswitchd", *preload, self.build.vswitchd,
                    f"unix:{self.dir}/db.sock")
        for bridge in self.vsctl("list-br").split():
            wait_until(lambda: self._answers(f"{self.dir}/{bridge}.mgmt"),
                       f"OpenFlow at {bridge}", 30)

    def restart(self):
        """The daemon only; its configuration is in the database."""
        end_process(self.pids["ovs-vswitchd"])
        self.start_daemon()

    def stop(self):
        for name, pid in reversed(self.pids.items()):
            end_process(pid)
        self.pids = {}

    # Configuration.

    def vsctl(self, *argv):
        return self.exec(self.build.vsctl, "--timeout=30",
                          f"--db=unix:{self.dir}/db.sock", *argv)

    def ofctl(self, *argv, stdin=None):
        return self.exec(self.build.ofctl, *argv, stdin=stdin)

    def appctl(self, command, *argv, daemon="ovs-vswitchd"):
        """What ovs-appctl does, without the time to start a program: one
        JSON-RPC request to the daemon's control socket."""
        request = {"method": command, "params": [str(arg) for arg in argv],
                   "id": 0}
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as control:
            control.settimeout(30)
            control.connect(f"{self.dir}/{daemon}.ctl")
            control.sendall(json.dumps(request).encode())
            reply, answer = None, b""
            while reply is None:
                piece = control.recv(1 << 16)
                if not piece:
                    raise CommandError(f"{command}: the daemon hung up")
                answer += piece
                with contextlib.suppress(ValueError):
                    reply = json.loads(answer)
        if reply["error"]:
            raise CommandError(f"{command} {' '.join(request['params'])}: "
                               f"{reply['error'].strip()}")
        return reply["result"]

    def add_bridge(self, name, mac):
        self.vsctl("add-br", name, "--", "set", "bridge", name,
                   "datapath_type=netdev", "fail_mode=secure",
                   f"other_config:hwaddr={mac}")

    def add_port(self, bridge, link, mtu=1500, **ids):
        """Take a cable of the host into the bridge, with external_ids whose
        names have _ for -; its OpenFlow number."""
        words = ["add-port", bridge, link, "--", "set", "interface", link,
                 f"mtu_request={mtu}", *external_ids(ids)]
        if self.mode == "dpdk":
            words += ["type=dpdk", "options:dpdk-devargs="
                      f"net_af_packet_{link},iface={link},framecnt=1024"]
        self.vsctl(*words)
        error, number = self.vsctl("get", "interface", link, "error",
                                   "ofport").splitlines()
        if error not in ("[]", '""'):
            raise CommandError(f"port {link}: {error}")
        return int(number)

    def del_port(self, bridge, link):
        self.vsctl("del-port", bridge, link)

    def port_number(self, link):
        """The datapath's number of a port, not OpenFlow's."""
        shown = self.appctl("dpif/show")
        return int(re.search(rf"^ +{link} \d+/(\d+):", shown, re.M).group(1))

    def update_socket(self):
        return f"{self.dir}/mat.sock"

    # Health.

    def complaints(self):
        """What no healthy run leaves behind: dead daemons, reports of a
        sanitizer, errors in the log."""
        found = [f"{name} of {self.namespace.name} died"
                 for name, pid in self.pids.items() if not is_alive(pid)]
        for name in sorted(os.listdir(self.dir)):
            path = os.path.join(self.dir, name)
            if name.endswith(".stderr"):
                with open(path, errors="replace") as file:
                    text = file.read()
                if "runtime error" in text or "Sanitizer" in text:
                    found.append(f"{path}: {text[:2000]}")
            elif name.endswith(".log"):
                with open(path, errors="replace") as file:
                    found += [f"{name}: {line.strip()}" for line in file
                              if re.search(r"\|(EMER|ERR)\|", line)
                              and not any(text in line for text in HARMLESS)]
        return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end_process(pid, patience_s=5):
    """Ask a process to end; kill it when it does not."""
    for number in signal.SIGTERM, signal.SIGKILL:
        try:
            os.kill(pid, number)
            wait_until(lambda: not is_alive(pid), f"end of {pid}", patience_s)
            return
        except ProcessLookupError:
            return
        except AssertionError:
            continue
