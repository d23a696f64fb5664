# SPDX-License-Identifier: Apache-2.0
"""Real VMs that move: QEMU, live migration, and agents beside it."""
from agent_harness import test
from guest_rig import Sessions, guest_at, matctl_migrate, wait_known


@test
def a_real_vm_goes_round_all_sites_by_matctl_under_tcp_and_udp(rig):
    with guest_at(rig, rig.a) as guest, Sessions(rig, guest) as sessions:
        for target in rig.b, rig.c, rig.a:
            matctl_migrate(guest, target)
            wait_known(rig, guest)
            sessions.type()


@test
def a_real_vm_moves_without_a_hint(rig):
    """What QEMU and the guest's kernel announce is enough."""
    with guest_at(rig, rig.b, with_qmp=False) as guest, \
            Sessions(rig, guest) as sessions:
        for target in rig.a, rig.c:
            guest.migrate(target)
            sessions.type()
            wait_known(rig, guest)
