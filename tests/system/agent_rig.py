# SPDX-License-Identifier: Apache-2.0
"""Sites with agents: the hosts of rig.py, each with a matd beside its Open
vSwitch that learns everything by itself.

          a1 a9           b1 b9             c1
           |  |            |  |              |
         [host a]        [host b]        [host c]  ...    and m and n, which
              |               |               |           have a cable to each
              +----- one router, a subnet for each -----+

Nothing here tells a switch anything: a test sets external_ids in OVSDB, plugs
VMs, has them speak, and asks the switches' tables what came of it.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time

import frames
import rig as plain
from netns import CommandError, Namespace, connect, run
from relay import Relay
from switch import Build, end_process, external_ids, is_alive, wait_until
from traffic import ping

FAMILIES = (4, 6)
PATIENCE_S = 30                 # A busy machine takes its time.
ZONES = {7: "subnet=172.16.7.0/24,gateway=172.16.7.1 "
            "subnet=fd16:7::/64,gateway=fd16:7::1",
         9: "subnet=172.16.7.0/24,gateway=172.16.7.1 "
            "subnet=fd16:7::/64,gateway=fd16:7::1"}
# What the address sanitizer is to tell, if they are built with it: also leaks.
SANITIZE = ("env", "ASAN_OPTIONS=detect_leaks=1:verify_asan_link_order=0")
LIMITS = (("hoas", "172.16.0.0/12,fd16::/16,10.77.1.64/28"),
          ("pools", "10.0.0.0/8,fd77::/16"))


class Programs:
    """What was built, in 'build_dir'; Open vSwitch may be elsewhere."""

    def __init__(self, build_dir, ovs_dir=None, bin_dir=None):
        build_dir = os.path.abspath(build_dir)
        self.build_dir = build_dir
        self.ovs = Build(ovs_dir or f"{build_dir}/ovs")
        bin_dir = os.path.abspath(bin_dir or f"{build_dir}/ctl")
        self.matd, self.matctl = f"{bin_dir}/matd", f"{bin_dir}/matctl"
        self.relay = f"{build_dir}/tests/relay/relay"

    def check(self):
        for path in self.matd, self.matctl, self.relay:
            if not os.access(path, os.X_OK):
                raise CommandError(f"{path}: not there; make it first")


class Site(plain.Site):
    """One host with its agent.  With a 'line' its cable is a wide-area one of
    that shape, and self.line turns its knobs."""

    def __init__(self, prefix, number, router, programs, line=None):
        self.programs, self.shape = programs, line
        self.line = None
        super().__init__(prefix, number, router)

    def lay_cable(self):
        if self.shape is None:
            return super().lay_cable()
        between = Namespace(f"{self.namespace.name}w")
        between.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        connect(self.namespace, "uplink", between, "s")
        connect(between, "r", self.router.namespace, self.name)
        self.line = Relay(self.programs.relay, (between, "s"), (between, "r"),
                          self.shape)
        return None

    def start(self, rig):
        self.rig = rig
        self.dir = f"{rig.dir}/{self.name}"
        super().start(rig.programs.ovs, self.dir, rig.mode)
        self.keys, self.state = f"{self.dir}/keys", f"{self.dir}/state"
        rig.issue(self)

    def configure(self, **settings):
        """mat_... keys of the Open_vSwitch row; None takes one away."""
        words = []
        for key, value in settings.items():
            name = key.replace("_", "-")
            words += ["--", "remove", "Open_vSwitch", ".", "external_ids",
                      name]
            if value is not None:
                words += ["--", "set", "Open_vSwitch", ".",
                          *external_ids({key: value})]
        self.switch.vsctl(*words[1:])

    def start_agent(self, *options, preload=()):
        self.switch.launch(
            "matd", *SANITIZE, *preload, self.rig.programs.matd,
            f"unix:{self.dir}/db.sock", f"--keys={self.keys}",
            f"--state={self.state}",
            f"--switch={self.agent_socket()}", *options)
        wait_until(lambda: "mat/status" in self.switch.appctl(
            "list-commands", daemon="matd"), "commands of matd")

    def agent_socket(self):
        """Where the agent finds the switch."""
        return self.switch.update_socket()

    def start_agent_with_clock(self):
        """... that jump(seconds) sets off from the others'."""
        shim, offset = f"{self.dir}/clock-step.so", f"{self.dir}/clock-step"
        run("cc", "-shared", "-fPIC", "-O2", "-o", shim, os.path.join(
            os.path.dirname(__file__), "clock-step.c"))

        def jump(seconds):
            with open(offset, "r+b" if os.path.exists(offset) else "wb",
                      buffering=0) as file:
                file.write(seconds.to_bytes(8, sys.byteorder, signed=True))
        jump(0)
        self.start_agent(preload=("env", f"LD_PRELOAD={shim}",
                                  f"MAT_CLOCK_STEP={offset}"))
        return jump

    def agent_pid(self):
        return self.switch.pids.get("matd")

    def kill_agent(self):
        """At once, in the middle of whatever it does."""
        pid = self.switch.pids.pop("matd")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)      # For all of its threads and their sockets.

    def stop_agent(self):
        end_process(self.switch.pids.pop("matd"), 10)

    def revive(self):
        """All daemons run again, whatever a test has done to them."""
        alive = {name for name, pid in self.switch.pids.items()
                 if is_alive(pid)}
        if "ovsdb-server" not in alive:
            self.switch.start_database()
        if "ovs-vswitchd" not in alive:
            self.switch.start_daemon()
        if "matd" not in alive:
            self.start_agent()

    def agent(self, command, *argv):
        """Ask matd; what its JSON says."""
        return json.loads(self.switch.appctl(f"mat/{command}", *argv,
                                             daemon="matd"))

    def matctl(self, *argv, check=True):
        return self.switch.exec(
            *SANITIZE, self.rig.programs.matctl,
            "-t", f"{self.dir}/matd.ctl", *argv, check=check)

    # The switch's table.

    def mapping(self, zone, hoa):
        """The live mapping of an address: {"moa": ..., "state": ...}."""
        try:
            text = self.switch.appctl("mat/lookup", f"zone={zone}",
                                      f"hoa={hoa}")
        except (CommandError, OSError):
            return None
        for line in text.splitlines():
            words = dict(re.findall(r"(\w+)=(\S+)", line))
            if words.get("state") in ("local", "remote"):
                return words
        return None

    def table(self):
        return json.loads(self.switch.appctl("mat/show", "--json"))

    def sees(self, vm, site):
        """True if the table has 'vm' at 'site', by all of its addresses."""
        for hoa in vm.hoas():
            entry = self.mapping(vm.zone, hoa)
            if (not entry or not site.owns(entry["moa"])
                    or (entry["state"] == "local") != (site is self)):
                return False
        return True

    def owns(self, moa):
        """One of its subnets, or of a prefix that is routed to it."""
        return moa.startswith((f"{self.subnet4}.", f"{self.subnet6}:",
                               f"10.99.{self.number}."))

    def flows(self):
        return self.switch.ofctl("dump-flows", "br0")

    def log(self):
        with open(f"{self.dir}/matd.log", errors="replace") as file:
            return file.read()


class Vm(plain.Vm):
    """Like those of rig.py; its port is in the database of the host where it
    is, and only there unless a test wants otherwise."""

    def __init__(self, *args, configured=False, **options):
        super().__init__(*args, **options)
        self.configured = configured

    def hoas(self):
        return [self.v4, self.v6]

    def address(self, family):
        return self.v4 if family == 4 else self.v6

    def ids(self):
        settings = {"attached_mac": self.mac, "mat_zone": self.zone,
                    "iface_id": f"vif-{self.name}"}
        if self.configured:
            settings["mat_hoa"] = ",".join(self.hoas())
        return settings

    def attach(self, site, **changes):
        site.switch.add_port("br0", self.name, site.mtu,
                             **{**self.ids(), **changes})

    def detach(self, site):
        site.switch.vsctl("--if-exists", "del-port", "br0", self.name)

    def announce(self, kinds=("garp", "na")):
        """What a kernel, or a hypervisor for it, sends after a move."""
        broadcast = "ff:ff:ff:ff:ff:ff"
        known = {"garp": frames.arp(1, self.mac, self.v4, broadcast, self.v4),
                 "na": frames.advertisement(self.mac, self.v6),
                 "rarp": frames.rarp(self.mac)}
        self.card_send(*(known[kind] for kind in kinds))

    def move(self, to, kinds=("rarp",)):
        """Without a hint: its port is there before it runs there, and is gone
        from the old host some time after; it announces itself."""
        old = self.site
        self.attach(to)
        self.plug.move(to)
        self.announce(kinds)
        self.detach(old)

    def goes_home(self):
        if self.plug and self.site is not self.home:
            self.detach(self.site)
            self.plug.move(self.home)
        return self


class Agents(plain.Rig):
    """All of it, with the agents running.  Use as a context."""

    def __init__(self, programs, mode="kernel", n_sites=3, fill=None,
                 lines=None):
        plain.reap()
        self.programs = programs
        self.mode, self.why = plain.choose_mode(programs.ovs, mode)
        self.fill = fill or default_vms
        self.n_sites, self.lines = n_sites, lines or {}
        self.dir = tempfile.mkdtemp(prefix=plain.RUN_PREFIX)
        self.prefix = "mt" + self.dir[-8:].replace("_", "-")
        self.keep = False
        with open(f"{self.dir}/owner", "w") as file:
            file.write(f"{os.getpid()} {self.prefix}\n")
        self.sites, self.vms = [], {}
        self.injected, self.tainted = set(), []

    evidence_dir = "system-evidence/agent"
    make_site = Site

    def _build(self):
        try:
            self._build_all()
        except AssertionError:
            self.save_logs(f"{self.evidence_dir}/start")
            raise

    def _build_all(self):
        self.programs.check()
        names = "abcde"[:self.n_sites]
        self.router = plain.Router(self.prefix, names)
        self.router.namespace.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        self.router.namespace.ip("link add sink up type veth peer name sunk")
        self.router.namespace.sysctl("net.ipv6.conf.default.disable_ipv6=0")
        self.cluster = f"{self.dir}/cluster"
        self.key("new-cluster", self.cluster)
        self.sites = [self.make_site(self.prefix, number, self.router,
                                     self.programs, self.lines.get(name))
                      for number, name in enumerate(names, 1)]
        for site in self.sites:
            setattr(self, site.name, site)
        self.fill(self)
        for site in self.sites:
            site.start(self)
            site.configure(**self.settings(site))
            for vm in self.vms.values():
                if vm.site is site:
                    vm.attach(site)
            site.start_agent()
        self.settle()

    def vm(self, name, index, home, sites=None, **options):
        vm = Vm(self.prefix, name, index, sites or [home], home, **options)
        vm.home = home
        self.vms[name] = vm
        setattr(self, name, vm)

    # Keys and configuration.

    def key(self, *words):
        return run(self.programs.matctl, "key", *words)

    def issue(self, site, *words, cluster=None):
        self.key("issue", f"--cluster={cluster or self.cluster}",
                 f"--host={site.name}",
                 *(f"--{key}={value}" for key, value in LIMITS),
                 f"--out={site.keys}", *words)

    def settings(self, site):
        seeds = [other.address4 if other.number % 2 else other.address6
                 for other in self.sites if other is not site]
        return {"mat_bridge": "br0", "mat_uplink": "uplink",
                "mat_pool4": f"{site.subnet4}.128-{site.subnet4}.250",
                "mat_pool6": site.pool6,
                "mat_seeds": ",".join(seeds),
                **{f"mat_zone_{zone}": text for zone, text in ZONES.items()}}

    # States to wait for.

    def with_zone(self, zone):
        """The hosts that have VMs of the zone; others need not know it."""
        return [site for site in self.sites if any(
            vm.zone == zone and vm.site is site for vm in self.vms.values())]

    def wait_seen(self, vm, site=None, by=None, timeout_s=PATIENCE_S):
        """Every table has 'vm' at 'site', by default where it is."""
        site = site or vm.site
        for one in by or self.with_zone(vm.zone):
            wait_until(lambda: one.sees(vm, site), lambda: (
                f"{one.name} sees {vm.name} at {site.name}; it has "
                f"{[one.mapping(vm.zone, hoa) for hoa in vm.hoas()]}"),
                timeout_s)

    def settle(self):
        """Every VM has spoken and is known everywhere.  Like real ones they
        speak again, since nobody may have listened yet."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and (unseen := [
                vm for vm in self.vms.values() if not all(
                    site.sees(vm, vm.site)
                    for site in self.with_zone(vm.zone))]):
            for vm in unseen:
                vm.announce()
            with contextlib.suppress(AssertionError):
                for vm in unseen:
                    self.wait_seen(vm, timeout_s=2)
        for vm in self.vms.values():
            self.wait_seen(vm)

    def restore(self):
        """As before each test: daemons up, VMs at home and known."""
        for site in self.sites:
            site.revive()
        for vm in self.vms.values():
            moved = vm.plug and vm.site is not vm.home
            vm.goes_home()
            if moved:
                vm.attach(vm.home)
                vm.announce()
            vm.forget_routes()
        self.settle()

    @contextlib.contextmanager
    def partition(self, site):
        """The underlay carries nothing from or to 'site'."""
        def tc(*lines):
            run("tc", "-n", self.router.namespace.name, "-batch", "-",
                stdin="\n".join(lines) + "\n")

        tc(f"qdisc add dev {site.name} clsact",
           *(f"filter add dev {site.name} {side} prio 1 protocol all u32 "
             "match u32 0 0 action mirred egress redirect dev sink"
             for side in ("ingress", "egress")))
        try:
            yield
        finally:
            tc(f"qdisc del dev {site.name} clsact")

    def delete(self):
        for site in self.sites:
            if site.line:
                site.line.close()
        super().delete()

    def save_logs(self, directory):
        super().save_logs(directory)
        for site in self.sites:
            for kind in "log", "stderr":
                with contextlib.suppress(OSError):
                    shutil.copy(f"{site.dir}/matd.{kind}",
                                f"{directory}/matd-{site.name}.{kind}")


def default_vms(rig):
    a, b, c = rig.sites[:3]
    rig.vm("a1", 11, a)
    rig.vm("b1", 21, b, configured=True)
    rig.vm("c1", 31, c)
    rig.vm("a9", 41, a, zone=9, host=11, twin=rig.a1)
    rig.vm("b9", 42, b, zone=9, host=21, twin=rig.b1)
    rig.vm("m", 99, a, rig.sites)
    rig.vm("n", 98, b, rig.sites)


def reaches(one, other, timeout_s=1.0):
    """True if both families get an answer."""
    return all(ping(one.namespace, one.address(family), other.address(family),
                    timeout_s=timeout_s) is not None for family in FAMILIES)
