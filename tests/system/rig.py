# SPDX-License-Identifier: Apache-2.0
"""Three sites on three subnets behind a router, and VMs at them.

         a1 a2 a9           b1 b9             c1 c2
          |  |  |            |  |              |  |
        [switch a]        [switch b]        [switch c]      a host each
             |                 |                 |
       10.77.1.0/24      10.77.2.0/24      10.77.3.0/24     the underlay
             +------------- router -------------+

Every box is a network namespace; every switch is an ovs-vswitchd with its own
database.  VMs have home addresses of 172.16.7.0/24 and fd16:7::/64 in zone 7,
except c2, which is in another subnet of the zone, and a9 and b9, which are in
zone 9 with the addresses and MACs of a1 and b1.  'm' has a cable to a and to
b, of which one is plugged in: it can move.

Mobile addresses of a site are the upper half of its subnet and ...:1::/80.
"""
import contextlib
import ipaddress
import os
import shutil
import socket
import tempfile

import mappings
from netns import CommandError, Namespace, connect, run
from switch import Build, Switch, end_process, is_alive, wait_until

RUN_PREFIX = "ovs-mat-system."
HUGEPAGES_NEEDED = 3 * 130


class Router:
    def __init__(self, prefix, sites="abc"):
        self.sites = sites
        self.namespace = Namespace(f"{prefix}-r")
        self.namespace.sysctl(
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.icmp.ratelimit=0")

    def cables(self):
        return [(self.namespace, link) for link in self.sites]

    def forget_neighbours(self):
        self.namespace.ip("neigh flush all")

    def learn(self, *addresses):
        """Have the neighbours at hand, as agents see to for their MoAs: while
        the router asks for one it may change the order of packets."""
        for address in addresses:
            with contextlib.closing(self.namespace.socket(
                    socket.AF_INET6 if ":" in address else socket.AF_INET,
                    socket.SOCK_DGRAM)) as sock:
                sock.sendto(b"", (address, 9))
            wait_until(lambda: "lladdr" in self.namespace.ip_show(
                "neigh", "show", address), f"neighbour {address}")

    @contextlib.contextmanager
    def narrow(self, site, mtu):
        """Towards 'site' the router sends no packets larger than 'mtu'.  (The
        link's own MTU would also limit what a veth takes in.)"""
        lines = (f"route replace {site.subnet4}.0/24 dev {site.name} proto "
                 f"kernel scope link src {site.subnet4}.1",
                 f"route replace {site.subnet6}::/64 dev {site.name} proto "
                 "kernel metric 256 pref medium")
        self.namespace.ip(*(f"{line} mtu lock {mtu}" for line in lines))
        try:
            yield
        finally:
            self.namespace.ip(*lines)


class Site:
    """One host: its namespace, cables and switch."""

    def __init__(self, prefix, number, router):
        self.number, self.name = number, "abcde"[number - 1]
        self.router = router
        self.namespace = Namespace(f"{prefix}-{self.name}")
        self.switch = None
        self.uplink_mac = f"02:77:00:00:00:{number:02x}"
        self.subnet4, self.subnet6 = f"10.77.{number}", f"fd77:{number}"
        self.address4 = self.subnet4 + ".2"
        self.address6 = self.subnet6 + "::2"
        self.pool4, self.pool6 = (self.subnet4 + ".128/25",
                                  self.subnet6 + ":0:0:1::/80")
        self.mtu = 1500
        self.ports = {}                 # link name -> OpenFlow number
        self._quiet_default()
        self.lay_cable()
        self.namespace.ip(f"link set dev uplink address {self.uplink_mac}")
        router.namespace.ip(
            f"addr add {self.subnet4}.1/24 dev {self.name}",
            f"addr add {self.subnet6}::1/64 dev {self.name} nodad")
        self.router_mac = router.namespace.mac(self.name)

    def lay_cable(self):
        connect(self.namespace, "uplink", self.router.namespace, self.name)

    def _quiet_default(self):
        """The host's own network stack must not answer on the cables: they
        are the switch's."""
        self.namespace.sysctl(
            "net.ipv6.conf.default.disable_ipv6=1",
            "net.ipv4.conf.default.rp_filter=1",
            "net.ipv4.conf.default.arp_ignore=8")

    def start(self, build, directory, mode):
        self.switch = Switch(build, self.namespace, directory, mode,
                             cpu=sorted(os.sched_getaffinity(0))[
                                 self.number % len(os.sched_getaffinity(0))])
        self.switch.add_bridge("br0", self.uplink_mac)
        self.add_port("uplink")
        self.namespace.sysctl(
            "net.ipv4.conf.br0.arp_ignore=0",
            "net.ipv4.conf.br0.rp_filter=0",
            "net.ipv6.conf.br0.disable_ipv6=0")
        self.namespace.ip("link set dev br0 up",
                          f"addr add {self.address4}/24 dev br0",
                          f"addr add {self.address6}/64 dev br0 nodad",
                          f"route add default via {self.subnet4}.1",
                          f"route add default via {self.subnet6}::1")

    def add_port(self, link):
        self.ports[link] = self.switch.add_port("br0", link, self.mtu)

    def flows(self, *flows):
        """Instead of those there are; in force when this returns."""
        self.switch.ofctl("--bundle", "replace-flows", "br0", "-",
                          stdin="\n".join(flows) + "\n")
        self.switch.appctl("revalidator/wait")

    def moa4(self, vm):
        return f"{self.subnet4}.{128 + vm.index}"

    def moa6(self, vm):
        return str(ipaddress.ip_address(
            f"{self.subnet6}:0:0:1::{vm.index:x}"))


class Vm:
    """A VM: a namespace with one network card."""

    def __init__(self, prefix, name, index, sites, home, zone=7, subnet=7,
                 host=None, twin=None):
        self.name, self.index, self.zone, self.twin = name, index, zone, twin
        self.subnet = subnet
        host = host or index
        self.mac = twin.mac if twin else f"02:00:00:{zone:02x}:00:{host:02x}"
        self.v4 = f"172.16.{subnet}.{host}"
        self.v6 = f"fd16:{subnet}::{host:x}"
        self.gateway4, self.gateway6 = (f"172.16.{subnet}.1",
                                        f"fd16:{subnet}::1")
        self.sites, self.site = sites, home
        self.namespace = Namespace(f"{prefix}-{name}")
        self.plug = None
        if len(sites) == 1:
            connect(home.namespace, name, self.namespace, "eth0")
        else:
            self.plug = Plug(prefix, self)
        self._configure()

    def _configure(self):
        self.namespace.sysctl(
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv6.icmp.ratelimit=0",
            "net.ipv6.conf.eth0.accept_ra=0")
        self.namespace.ip(
            f"link set dev eth0 address {self.mac}",
            f"addr add {self.v4}/24 dev eth0",
            f"addr add {self.v6}/64 dev eth0 nodad",
            f"route add default via {self.gateway4}",
            f"route add default via {self.gateway6}")

    def moa4(self):
        return self.site.moa4(self)

    def moa6(self):
        return self.site.moa6(self)

    def forget_neighbours(self):
        self.namespace.ip("neigh flush all")

    def forget_routes(self):
        """Learned path MTUs, too."""
        self.namespace.ip_show("-4", "route", "flush", "cache")
        self.namespace.ip_show("-6", "route", "flush", "cache")

    def card(self):
        return self.namespace, "eth0"

    def card_send(self, *whole_frames):
        """As if the guest's kernel had sent them."""
        sock = self.namespace.packet_socket("eth0")
        for frame in whole_frames:
            sock.send(frame)
        sock.close()


class Plug:
    """The cable of a VM that can move: eth0's other end is joined with the
    leg to one site at a time, and hangs loose while the VM is 'stopped'."""

    def __init__(self, prefix, vm):
        self.vm = vm
        self.namespace = Namespace(f"{prefix}-{vm.name}p")
        self.namespace.sysctl(
            "net.ipv6.conf.default.disable_ipv6=1")
        connect(self.namespace, "vm", vm.namespace, "eth0")
        self._tc("qdisc add dev vm clsact")
        for site in vm.sites:
            connect(site.namespace, vm.name, self.namespace, site.name)
            self._tc(f"qdisc add dev {site.name} clsact")
        self.plug(vm.site)

    def _tc(self, *lines):
        run("tc", "-n", self.namespace.name, "-batch", "-",
            stdin="\n".join(lines) + "\n")

    def mute(self):
        """A stopped VM sends nothing, but its card still takes packets."""
        self._tc("filter del dev vm ingress")

    def unplug(self):
        """Off at both ends; afterwards it is nowhere."""
        self._tc(*self._off())

    def plug(self, site):
        self._tc(*self._on(site))
        self.vm.site = site

    def move(self, site):
        """Off there and on here, in one go."""
        self._tc(*self._off(), *self._on(site))
        self.vm.site = site

    def _off(self):
        return ["filter del dev vm ingress"] + [
            f"filter del dev {site.name} ingress" for site in self.vm.sites]

    def _on(self, site):
        both = ("vm", site.name), (site.name, "vm")
        return [f"filter add dev {one} ingress prio 1 protocol all u32 match "
                f"u32 0 0 action mirred egress redirect dev {other}"
                for one, other in both]


class Rig:
    """All of it.  Use as a context: nothing is left when the block ends,
    except after keep_up()."""

    def __init__(self, build_dir, mode="auto"):
        reap()
        self.build = Build(build_dir)
        self.mode, self.why = choose_mode(self.build, mode)
        self.dir = tempfile.mkdtemp(prefix=RUN_PREFIX)
        self.prefix = "mt" + self.dir[-8:].replace("_", "-")
        self.keep = False
        with open(f"{self.dir}/owner", "w") as file:
            file.write(f"{os.getpid()} {self.prefix}\n")
        self.sites, self.vms = [], {}

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(self, *unused):
        if not self.keep:
            self.delete()

    def _build(self):
        self.router = Router(self.prefix)
        self.a, self.b, self.c = self.sites = [
            Site(self.prefix, number, self.router) for number in (1, 2, 3)]
        a, b, c = self.sites
        a1 = self._vm("a1", 11, [a], a)
        b1 = self._vm("b1", 21, [b], b)
        self._vm("a2", 12, [a], a)
        self._vm("c1", 31, [c], c)
        self._vm("c2", 32, [c], c, subnet=8)
        self._vm("m", 99, [a, b], a)
        self._vm("a9", 41, [a], a, zone=9, host=11, twin=a1)
        self._vm("b9", 42, [b], b, zone=9, host=21, twin=b1)
        for site in self.sites:
            site.start(self.build, f"{self.dir}/{site.name}", self.mode)
            for vm in self.vms.values():
                if site in vm.sites:
                    site.add_port(vm.name)
        mappings.configure(self)

    def _vm(self, name, index, sites, home, **options):
        self.vms[name] = Vm(self.prefix, name, index, sites, home, **options)
        setattr(self, name, self.vms[name])
        return self.vms[name]

    def keep_up(self):
        self.keep = True
        with open(f"{self.dir}/keep", "w"):
            pass

    def save_logs(self, directory):
        os.makedirs(directory, exist_ok=True)
        for site in self.sites:
            for kind in "log", "stderr":
                shutil.copy(f"{site.switch.dir}/ovs-vswitchd.{kind}",
                            f"{directory}/vswitchd-{site.name}.{kind}")

    def complaints(self):
        return [text for site in self.sites
                for text in site.switch.complaints()]

    def delete(self):
        for site in self.sites:
            if site.switch:
                site.switch.stop()
        delete_namespaces(self.prefix)
        delete_directory(self.dir)


def choose_mode(build, mode):
    """How the switches get at their cables, and why not the fast way."""
    if mode == "kernel":
        return mode, "asked for"
    why = None
    if not build.has_dpdk():
        why = "this Open vSwitch was built without DPDK"
    elif not free_hugepages(HUGEPAGES_NEEDED):
        why = f"no {HUGEPAGES_NEEDED} free hugepages of 2 MB"
    if why and mode == "dpdk":
        raise CommandError(why)
    return ("kernel", why) if why else ("dpdk", None)


def _hugepages(what):
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith(f"HugePages_{what}:"):
                return int(line.split()[1])
    return 0


def free_hugepages(needed):
    """Raises the number of hugepages if that is needed; never lowers it."""
    missing = needed - _hugepages("Free")
    if missing > 0:
        try:
            with open("/proc/sys/vm/nr_hugepages", "w") as file:
                file.write(str(_hugepages("Total") + missing))
        except OSError:
            return False
    return _hugepages("Free") >= needed


# Leftovers.

def delete_namespaces(prefix):
    for line in run("ip", "netns", "list").splitlines():
        if line.startswith(prefix + "-"):
            run("ip", "netns", "del", line.split()[0], check=False)


def reap(everything=False):
    """Remove what killed runs have left: their daemons by pid file, their
    namespaces, their directories.  'everything': those of kept rigs, too."""
    base = tempfile.gettempdir()
    for name in os.listdir(base):
        path = os.path.join(base, name)
        owner = _owner(path) if name.startswith(RUN_PREFIX) else None
        if not owner or is_alive(owner[0]):
            continue            # Another's, that is running.
        if os.path.exists(f"{path}/keep") and not everything:
            continue
        for pid in _daemons(path):
            end_process(pid)
        delete_namespaces(owner[1])
        delete_directory(path)


def delete_directory(path):
    """With the small disks that tests mount in it."""
    with open("/proc/mounts") as file:
        for line in file.readlines():
            where = line.split()[1]
            if where.startswith(path + "/"):
                run("umount", where, check=False)
    shutil.rmtree(path, ignore_errors=True)


def _owner(path):
    try:
        with open(f"{path}/owner") as file:
            pid, prefix = file.read().split()
        return int(pid), prefix
    except (OSError, ValueError):
        return None


def _daemons(path):
    """Pids in the pid files below 'path' that are daemons of that run."""
    for folder, _, names in os.walk(path):
        for name in names:
            if not name.endswith(".pid"):
                continue
            try:
                with open(os.path.join(folder, name)) as file:
                    pid = int(file.read())
                with open(f"/proc/{pid}/cmdline") as file:
                    if path in file.read():
                        yield pid
            except (OSError, ValueError):
                continue
