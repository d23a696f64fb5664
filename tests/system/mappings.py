# SPDX-License-Identifier: Apache-2.0
"""What an agent would tell the switches, said by 'ovs-appctl mat/...'.

The only place in the system tests that knows how those commands are spelt.
"""
import contextlib
import json
import time

import update

FAMILIES = (4, 6)
GATEWAY_MAC = "02:4d:41:54:00:01"


class Mat:
    """The table of one site's switch."""

    def __init__(self, site):
        self.site = site

    def command(self, name, *words):
        return self.site.switch.appctl(f"mat/{name}", *words)

    # Mappings.  'site' is where the MoA is, by default where the VM is.

    def local(self, vm, families=FAMILIES):
        """The VM runs at this very site."""
        self._put(vm, families, self.site, "local")

    def remote(self, vm, site=None):
        self._put(vm, FAMILIES, site or vm.site, "remote")

    def prepared(self, vm, site=None, hold=False):
        """The VM will be at 'site'; if that is here, its port is known."""
        self._put(vm, FAMILIES, site or vm.site, "prepared", hold)

    def departed(self, vm, site=None, families=FAMILIES):
        """Packets to that address go to the live one."""
        self._put(vm, families, site or vm.site, "departed")

    def _put(self, vm, families, site, state, hold=False):
        for family in families:
            hoa, moa = addresses(vm, family, site)
            words = [f"zone={vm.zone}", f"hoa={hoa}", f"moa={moa}",
                     f"mac={vm.mac}", f"state={state}"]
            if site is self.site and state != "departed":
                words.append(f"port={vm.name}")
            elif state == "remote":
                words.append(f"nexthop={site.number}")
            self.command("add", *words, *(["hold"] if hold else []))

    def delete(self, vm, site=None):
        for family in FAMILIES:
            hoa, moa = addresses(vm, family, site or vm.site)
            self.command("del", f"zone={vm.zone}", f"hoa={hoa}",
                         f"moa={moa}")

    def hold(self, vm, what, site=None):
        """'what' is on, off, release or flush."""
        for family in FAMILIES:
            hoa, moa = addresses(vm, family, site or vm.site)
            self.command("hold", f"zone={vm.zone}", f"hoa={hoa}", what,
                         f"moa={moa}")

    def release(self, vm, family):
        """What waits for the VM tries again."""
        self.command("hold", f"zone={vm.zone}",
                     f"hoa={addresses(vm, family)[0]}", "release")

    def flush(self):
        self.command("flush")

    # The rest of the table.

    def vm_port(self, link, mtu=0):
        self.command("ports", "add", link, "role=vm",
                     *([f"mtu={mtu}"] if mtu else []))

    def uplink(self, link, mac):
        self.command("ports", "add", link, "role=uplink", f"mac={mac}")

    def nexthop(self, number, mtu):
        self.command("nexthops", "add", number, f"src={self.site.uplink_mac}",
                     f"dst={self.site.router_mac}", f"mtu={mtu}")

    def zone(self, zone, subnets, outside=None):
        self.command("zones", "add", zone,
                     *([f"outside={outside}"] if outside else []),
                     *(f"subnet={prefix},gw={gateway}"
                       for prefix, gateway in subnets))

    def pool(self, prefix, own):
        self.command("pools", "add", prefix, *(["own"] if own else []))

    # Questions.

    def stats(self):
        """Packets by verdict, both directions together."""
        counts = {}
        for name, value in json.loads(self.command("stats",
                                                   "--json")).items():
            direction, _, verdict = name.partition(".")
            if direction in ("in", "out"):
                counts[verdict] = counts.get(verdict, 0) + value
        return counts

    def count(self, verdict):
        return self.stats().get(verdict, 0)

    def memory(self):
        return self.command("memory")


class FastMat(Mat):
    """The same by the update socket: both families in one message."""

    def __init__(self, site):
        super().__init__(site)
        self._client = update.UpdateClient(site.switch.update_socket())

    def close(self):
        self._client.close()

    def remote_at(self, vm, hoa, moa, site):
        self.remote_many([(vm.zone, hoa, moa, vm.mac)], site)

    def remote_many(self, mappings, site):
        """Mappings as (zone, HoA, MoA, MAC), in one message."""
        self._client.batch(*(update.entry_put(*mapping, "remote",
                                              nexthop=site.number)
                             for mapping in mappings))

    def _put(self, vm, families, site, state, hold=False):
        here = site is self.site
        self._client.batch(*(
            update.entry_put(vm.zone, *addresses(vm, family, site), vm.mac,
                             state, hold=hold,
                             nexthop=0 if here or state == "prepared"
                             else site.number,
                             port=vm.name if here else "")
            for family in families))


def addresses(vm, family, site=None):
    """(HoA, MoA) of a VM at a site."""
    site = site or vm.site
    if family == 4:
        return vm.v4, site.moa4(vm)
    return vm.v6, site.moa6(vm)


# What the whole rig needs.

SUBNETS = {7: [("172.16.7.0/24", "172.16.7.1"), ("fd16:7::/64", "fd16:7::1"),
               ("172.16.8.0/24", "172.16.8.1"), ("fd16:8::/64", "fd16:8::1")],
           9: [("172.16.7.0/24", "172.16.7.1"), ("fd16:7::/64", "fd16:7::1")]}


def configure(rig):
    """Pipelines, and everything in the tables but the mappings."""
    for site in rig.sites:
        site.mat = Mat(site)
        site.mat.uplink("uplink", site.uplink_mac)
        for other in rig.sites:
            site.mat.nexthop(other.number, min(site.mtu, other.mtu))
            for prefix in other.pool4, other.pool6:
                site.mat.pool(prefix, own=other is site)
        for zone, subnets in SUBNETS.items():
            site.mat.zone(zone, subnets)
        for vm in rig.vms.values():
            if site in vm.sites:
                site.mat.vm_port(vm.name)
        pipeline(site, rig.vms.values())


def pipeline(site, vms):
    """The deployed pipeline: two kinds of flow."""
    site.flows("in_port=uplink,actions=mat(in),LOCAL",
               "in_port=LOCAL,actions=output:uplink",
               *(f"in_port={vm.name},actions=mat(out,zone={vm.zone}),"
                 "output:uplink" for vm in vms if site in vm.sites))


def explicit_pipeline(site, vms):
    """The same for those who want other actions to see the HoAs: mat only
    rewrites, and table 1 delivers by the addresses of the rewritten packet.
    What is not IP is answered by the switch as ever."""
    here = [vm for vm in vms if vm.site is site and vm.zone == 7]
    flows = []
    for proto, field in ("ip", "nw_dst"), ("ipv6", "ipv6_dst"):
        flows.append(f"priority=10,in_port=uplink,{proto},"
                     "actions=mat(in,explicit),resubmit(,1)")
        for vm in here:
            address = vm.v4 if proto == "ip" else vm.v6
            flows += [f"priority=10,in_port={vm.name},{proto},actions="
                      f"mat(out,zone={vm.zone},explicit),resubmit(,1)",
                      f"table=1,priority=10,{proto},{field}={address},"
                      f"actions=set_field:{vm.mac}->eth_dst,"
                      f"output:{vm.name}"]
    for vm in here:
        flows += [f"priority=5,in_port={vm.name},actions="
                  f"mat(out,zone={vm.zone}),output:uplink",
                  f"priority=20,in_port={vm.name},icmp6,icmpv6_type=135,"
                  f"actions=mat(out,zone={vm.zone}),output:uplink"]
    site.flows(*flows, "priority=5,in_port=uplink,actions=mat(in),LOCAL",
               "priority=20,in_port=uplink,icmp6,icmpv6_type=135,"
               "actions=mat(in),LOCAL",
               "in_port=LOCAL,actions=output:uplink",
               "table=1,priority=1,in_port=uplink,actions=LOCAL",
               "table=1,priority=0,actions=output:uplink")


def fill(rig):
    """Every VM where it is, known everywhere: as agents would after quiet."""
    for site in rig.sites:
        site.mat.flush()
        for vm in rig.vms.values():
            if vm.site is site:
                site.mat.local(vm)
            else:
                site.mat.remote(vm)


def move(rig, vm, to):
    """The steps of a move with a hint, as agents would take them.  Returns
    for how many seconds the VM was stopped."""
    with contextlib.ExitStack() as stack:
        tables = {site: stack.enter_context(contextlib.closing(FastMat(site)))
                  for site in rig.sites}
        old = vm.site
        for site in rig.sites:          # The VM will run there: both of its
            if site is not old:         # addresses are good as a source.
                tables[site].prepared(vm, to, hold=site is to)
        rig.router.learn(to.moa4(vm), to.moa6(vm))
        stopped = time.monotonic()
        vm.plug.mute()                  # It stops...
        tables[old].remote(vm, to)      # ...packets for it go to the new
        vm.plug.move(to)                # site, and wait there...
        tables[to].local(vm)            # ...until it runs.
        runs = time.monotonic()
        for site in rig.sites:
            if site not in (old, to):
                tables[site].remote(vm)
    return runs - stopped
