# SPDX-License-Identifier: Apache-2.0
"""Agents that share their link with others: what somebody has, they do not
give to VMs."""
from agent_harness import test
from agent_rig import PATIENCE_S
from switch import wait_until
from test_agent_moves import assert_reaches


def moas(rig):
    """The last byte of the IPv4 MoA of each VM of host a."""
    entries = [rig.a.mapping(vm.zone, vm.v4) for vm in rig.vms.values()
               if vm.site is rig.a]
    return sorted(int(entry["moa"].rsplit(".", 1)[1]) if entry else 0
                  for entry in entries)


@test
def an_address_that_somebody_has_is_not_given_to_a_vm(rig):
    """The router has two addresses of the pool; the agent finds out by its
    probes, before or after VMs got them."""
    taken = [f"{rig.a.subnet4}.{n}" for n in (61, 63)]
    for address in taken:
        rig.router.namespace.ip(f"addr add {address}/32 dev {rig.a.name}")
    try:
        rig.a.configure(mat_pool4=f"{rig.a.subnet4}.61-{rig.a.subnet4}.66")
        wait_until(lambda: set(moas(rig)) <= {62, 64, 65, 66},
                   lambda: f"VMs have what is free: {moas(rig)}", PATIENCE_S)
        wait_until(lambda: all(f"{address} is" in rig.a.log()
                               for address in taken),
                   f"{taken} are named in the log", PATIENCE_S)
        rig.wait_seen(rig.a1)
        assert_reaches(rig.a1, rig.b1)
    finally:
        for address in taken:
            rig.router.namespace.ip(f"addr del {address}/32 dev {rig.a.name}")
        rig.a.configure(**rig.settings(rig.a))
    wait_until(lambda: min(moas(rig)) >= 128,
               lambda: f"MoAs of the old pool: {moas(rig)}", PATIENCE_S)
