# SPDX-License-Identifier: Apache-2.0
"""Fills the table of a patched switch for the mat cases.

Always there: 1,024 peer hosts with a next hop and a pool for each family, two
HoA subnets a family, 3 groups of 8 VMNs here (behind the port vmin; behind
vm1; behind vm1 to vm8).  On top, 'n' mappings of remote VMNs of one family,
spread over the hosts.  What is loaded is a file of 'matsw load'.
"""

import os
import time

import bench_cases as bc

N_HOSTS = 1024


def prefixed(kind, lines):
    return ["%s add %s" % (kind, line) for line in lines]


def base_lines(nets):
    """Ports, next hops, zone, pools and the VMNs of this host."""
    subnets = ["subnet=%s,gw=%s" % (p, p[-2 if p.version == 4 else 0xfffe])
               for net in nets for p in (net.local_hoa, net.remote_hoa)]
    pools = ["%s own" % net.local_moa for net in nets]
    pools += [pool for net in nets for pool in net.pools()]
    return (prefixed("nexthops", ("%d src=%s dst=%s" % (
                h + 1, bc.UPLINK_MAC, bc.ROUTER_MAC) for h in range(N_HOSTS)))
            + prefixed("ports", ["vmin role=vm",
                                 "upin role=uplink mac=" + bc.UPLINK_MAC,
                                 "out role=uplink mac=" + bc.UPLINK_MAC])
            + prefixed("ports", ("vm%d role=vm" % (i + 1)
                                 for i in range(bc.N_VM_PORTS)))
            + ["zones add %d %s" % (bc.ZONE, " ".join(subnets))]
            + prefixed("pools", pools))


def local_lines(nets):
    lines = []
    for net in nets:
        for group in range(3):
            for j in range(bc.N_LOCAL):
                port = ("vmin", "vm1", "vm%d" % (j + 1))[group]
                i = 16 * group + j
                lines.append("add zone=%d hoa=%s moa=%s mac=%s port=%s" % (
                    bc.ZONE, net.local_hoa[i + 1], net.local_moa[i + 1],
                    bc.VM_MAC % i, port))
    return lines


def remote_lines(net, n):
    """Mapping 'i' belongs to the host whose pool has its MoA."""
    hoa, moa = int(net.remote_hoa[1]), int(net.remote_moa[1])
    make = type(net.remote_hoa[0])
    per_host = 1 << (net.remote_moa.max_prefixlen - net.pool_plen)
    for i in range(n):
        yield ("add zone=%d hoa=%s moa=%s mac=02:01:%02x:%02x:%02x:%02x "
               "nexthop=%d" % (bc.ZONE, make(hoa + i), make(moa + i),
                               i >> 24, i >> 16 & 255, i >> 8 & 255, i & 255,
                               (i + 1) // per_host % N_HOSTS + 1))


def load(ovs, matsw, net, n):
    """Replaces all mappings.  Returns the seconds that the loading took."""
    path = os.path.join(ovs.host.dir, "table-%s-%d" % (net.family, n))
    if not os.path.exists(path):
        nets = list(bc.NETS.values())
        with open(path, "w") as f:
            for line in base_lines(nets) + local_lines(nets):
                f.write(line + "\n")
            f.writelines(line + "\n" for line in remote_lines(net, n))
    ovs.appctl("mat/flush")
    start = time.monotonic()
    ovs.command([matsw, "load", path])
    return time.monotonic() - start
