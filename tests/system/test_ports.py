# SPDX-License-Identifier: Apache-2.0
"""What ports can differ in: size of frames, offloads, vhost-user."""
import contextlib
import os
import shutil

import mappings
from harness import (FAMILIES, Counters, address, assert_reaches, assert_same,
                     test_with)
from netns import Namespace, run
from rig import Vm, free_hugepages
from switch import DPDK_LIMIT_MB, Switch, end_process, wait_until
from traffic import bound, discover_mtu, ping, tcp_transfer, udp_exchange


@test_with("kernel")
def jumbo_frames_pass_where_both_ends_take_them(rig):
    """And are told to be too big where one does not."""
    big = [rig.a1, rig.b1]
    set_mtu(rig, big, 9000)
    try:
        for family, overhead in ((4, 28), (6, 48)):
            source = address(rig.a1, family)
            assert ping(rig.a1.namespace, source, address(rig.b1, family),
                        size=9000 - overhead, fragment=False), "to b1"
            assert_same("MTU to a2", discover_mtu(
                rig.a1.namespace, source, address(rig.a2, family), 9000)[0],
                1500)
            assert_same("MTU to c1", discover_mtu(
                rig.a1.namespace, source, address(rig.c1, family), 9000)[0],
                1500)
            assert tcp_transfer(rig.a1.namespace, source, rig.b1.namespace,
                                address(rig.b1, family), 4 << 20)
    finally:
        set_mtu(rig, big, 1500)


def set_mtu(rig, vms, mtu):
    """Of some VMs, their ports, and the cables between their sites."""
    sites = {vm.site for vm in vms}
    for site in sites:
        for link in ["uplink"] + [vm.name for vm in vms if vm.site is site]:
            site.namespace.ip(f"link set dev {link} mtu {mtu}")
            site.switch.vsctl("set", "interface", link, f"mtu_request={mtu}")
        rig.router.namespace.ip(f"link set dev {site.name} mtu {mtu}")
        for other in sites - {site}:
            site.mat.nexthop(other.number, mtu)
    for vm in vms:
        vm.namespace.ip(f"link set dev eth0 mtu {mtu}")
        vm.site.mat.vm_port(vm.name, mtu)


@contextlib.contextmanager
def segmentation_offload(sites, vms):
    """The switches cut segments later than the action sees them."""
    for site in sites:
        site.switch.vsctl("set", "Open_vSwitch", ".",
                          "other_config:userspace-tso-enable=true")
        site.switch.restart()
    for vm in vms:
        set_offloads(vm, "on")
    try:
        yield
    finally:
        for vm in vms:
            set_offloads(vm, "off")
        for site in sites:
            site.switch.vsctl("remove", "Open_vSwitch", ".", "other_config",
                              "userspace-tso-enable")
            site.switch.restart()


def set_offloads(vm, state):
    vm.namespace.run("ethtool", "-K", "eth0", "tx", state, "sg", state, "tso",
                     state, "gso", state)


def received(site, link):
    """Frames and bytes that came in by a port."""
    counts = site.switch.vsctl("get", "interface", link,
                               "statistics:rx_packets",
                               "statistics:rx_bytes").split()
    return [int(count) for count in counts]


@test_with("kernel")
def segments_that_are_cut_later_are_translated_whole(rig):
    vms = [rig.a1, rig.a2, rig.b1]
    try:
        with segmentation_offload([rig.a, rig.b], vms):
            mappings.configure(rig)
            mappings.fill(rig)
            for one, other in (rig.a1, rig.b1), (rig.a1, rig.a2):
                for family in FAMILIES:
                    assert_reaches(one, other)
                    assert tcp_transfer(one.namespace, address(one, family),
                                        other.namespace,
                                        address(other, family), 16 << 20), (
                        f"{one.name} to {other.name}, IPv{family}")
            packets, size = wait_until(
                lambda: next((seen for seen in [received(rig.a, "a1")]
                              if seen[1] > 64 << 20), None),
                "statistics of 64 MB")
            assert size > 3000 * packets, (
                f"{size} bytes came in {packets} frames: nothing was left to "
                "be cut")
    finally:
        mappings.configure(rig)
        mappings.fill(rig)


class VhostGuest:
    """A VM behind a vhost-user port of site 'a'.  The place of QEMU is taken
    by a second switch, which has the other end of the rings as a virtio-user
    device, and the VM's cable."""

    def __init__(self, rig):
        self.site = rig.a
        self.namespace = Namespace(f"{rig.prefix}-g")
        self.vm = Vm(rig.prefix, "v1", 13, [self], self)
        self.vm.site = rig.a
        self.path = f"{rig.dir}/v1.sock"
        assert free_hugepages(DPDK_LIMIT_MB // 2 + 2), "no hugepages"
        self.switch = Switch(rig.build, self.namespace, f"{rig.dir}/g",
                             "dpdk", rig.a.switch.cpu,
                             dpdk_extra="--single-file-segments")
        self.switch.add_bridge("br0", "02:77:00:00:00:99")
        self.switch.add_port("br0", "v1")
        self.switch.vsctl("set-fail-mode", "br0", "standalone")

    def start(self):
        """The guest boots: its rings come into being."""
        if "rings" in self.switch.vsctl("list-ports", "br0"):
            return self.switch.start_daemon()
        self.switch.vsctl(
            "add-port", "br0", "rings", "--", "set", "interface", "rings",
            "type=dpdk", "options:dpdk-devargs="
            f"net_virtio_user0,path={self.path},server=1,queues=1")

    def stop(self):
        end_process(self.switch.pids.pop("ovs-vswitchd"))
        self._forget_socket()

    def _forget_socket(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def plug(self):
        self.site.switch.vsctl(
            "add-port", "br0", "v1", "--", "set", "interface", "v1",
            "type=dpdkvhostuserclient",
            f"options:vhost-server-path={self.path}")
        self.site.switch.ofctl("add-flow", "br0", "in_port=v1,"
                               f"actions=mat(out,zone={self.vm.zone}),"
                               "output:uplink")
        self.site.mat.vm_port("v1")

    def unplug(self):
        self.site.switch.ofctl("del-flows", "br0", "in_port=v1")
        self.site.switch.del_port("br0", "v1")
        self.switch.stop()
        self._forget_socket()
        for namespace in self.namespace, self.vm.namespace:
            run("ip", "netns", "del", namespace.name)
        shutil.rmtree(self.switch.dir)

    def is_up(self):
        return self.site.switch.vsctl("get", "interface", "v1",
                                      "link_state").strip() == "up"


@contextlib.contextmanager
def vhost_guest(rig):
    guest = VhostGuest(rig)
    guest.plug()
    try:
        guest.start()
        wait_until(guest.is_up, "rings")
        rig.a.mat.local(guest.vm)
        for site in rig.b, rig.c:
            site.mat.remote(guest.vm)
        yield guest
    finally:
        for site in rig.sites:
            with contextlib.suppress(Exception):
                site.mat.delete(guest.vm)
        guest.unplug()


@test_with("dpdk")
def a_vm_on_a_vhost_user_port_is_like_any_other(rig):
    with vhost_guest(rig) as guest:
        vm = guest.vm
        for other in rig.a1, rig.b1, rig.c2:
            assert_reaches(vm, other)
            assert_reaches(other, vm)
        for family in FAMILIES:
            for one, other in (vm, rig.b1), (rig.b1, vm), (rig.a1, vm):
                assert tcp_transfer(one.namespace, address(one, family),
                                    other.namespace, address(other, family),
                                    2 << 20), f"{one.name} to {other.name}"
            assert_same("echoes", udp_exchange(
                vm.namespace, address(vm, family), rig.b1.namespace,
                address(rig.b1, family), count=5, size=5000), 5)


@test_with("dpdk")
def packets_for_a_guest_without_rings_wait_for_them(rig):
    """For two seconds, which a guest that boots may exceed; the last ones
    come in any case."""
    with vhost_guest(rig) as guest:
        vm = guest.vm
        assert_reaches(rig.b1, vm)
        guest.stop()
        wait_until(lambda: not guest.is_up(), "end of the rings")
        rig.a.mat.hold(vm, "on")
        held = Counters(rig.a)
        vm.forget_neighbours()
        with contextlib.closing(bound(vm.namespace, vm.v4)) as there, \
                contextlib.closing(bound(rig.b1.namespace, rig.b1.v4)) as here:
            here.sendto(b"too early to be sure", there.getsockname())
            held.assert_grown("held")
            guest.start()
            wait_until(lambda: speaks(there, here), "rings")
            for number in range(5):
                here.sendto(bytes([number]), there.getsockname())
            held.assert_grown("held", 6)
            rig.a.mat.hold(vm, "off")
            there.settimeout(2)
            came = []
            while came[-5:] != [0, 1, 2, 3, 4] and len(came) < 6:
                came.append(there.recv(100)[0])
            assert_same("what came", came[-5:], [0, 1, 2, 3, 4])


def speaks(one, other):
    """Does a datagram get from one socket to another?  If the sender had no
    neighbour entry, its rings work both ways then."""
    one.sendto(b"?", other.getsockname())
    other.settimeout(0.05)
    with contextlib.suppress(OSError):
        return other.recv(100)
    return False
