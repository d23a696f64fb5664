# SPDX-License-Identifier: Apache-2.0
"""Real VMs that move: QEMU, live migration, and agents beside it."""
from agent_harness import test
from guest_rig import (Sessions, guest_at, matctl_migrate, new_card,
                       standing_guest, wait_known)


@test(rig="guests")
def a_real_vm_goes_round_all_sites_by_matctl_under_tcp_and_udp(rig):
    with standing_guest(rig, rig.a) as guest, \
            Sessions(rig, guest) as sessions:
        for target in rig.b, rig.c, rig.a:
            matctl_migrate(guest, target)
            wait_known(rig, guest)
            sessions.type()


@test(rig="guests")
def a_real_vm_moves_without_a_hint(rig):
    """What QEMU and the guest's kernel announce is enough."""
    with standing_guest(rig, rig.b, with_qmp=False) as guest, \
            Sessions(rig, guest) as sessions:
        for target in rig.a, rig.c:
            guest.migrate(target)
            sessions.type()
            wait_known(rig, guest)


@test(rig="guests")
def a_real_vm_moves_on_and_back_while_late_packets_are_sent_on(rig):
    """Nobody waits for anything but QEMU."""
    with standing_guest(rig, rig.a, with_qmp=False) as guest, \
            Sessions(rig, guest) as sessions:
        for target in rig.b, rig.c, rig.b, rig.a, rig.b, rig.a:
            guest.migrate(target)
        sessions.type()
        wait_known(rig, guest)


@test(rig="guests")
def a_real_vm_is_reset_where_it_has_moved_to(rig):
    with standing_guest(rig, rig.a) as guest:
        matctl_migrate(guest, rig.b)
        guest.reset()
        wait_known(rig, guest)
        with Sessions(rig, guest) as sessions:
            matctl_migrate(guest, rig.c)
            wait_known(rig, guest)
            sessions.type()


@test(rig="dpdk")
def a_real_vm_with_vhost_user_ports_moves_with_and_without_hints(rig):
    card = new_card(vhost=True)
    with guest_at(rig, rig.a, cards=[card]) as guest, \
            Sessions(rig, guest) as sessions:
        for target in rig.b, rig.c:
            matctl_migrate(guest, target)
            wait_known(rig, guest)
            sessions.type()
        guest.with_qmp = False
        for target in rig.a, rig.b:
            guest.migrate(target)
            sessions.type()
            wait_known(rig, guest)
