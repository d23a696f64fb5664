# SPDX-License-Identifier: Apache-2.0
"""Real VMs that move: QEMU, live migration, and agents beside it."""
import contextlib
import socket

from agent_harness import test
from agent_rig import PATIENCE_S
from guest import Card, Guest, Image, Load
from harness import assert_same
from switch import wait_until
from traffic import ping


def new_card():
    return Card("q", "02:00:00:07:00:4d", "172.16.7.77", "172.16.7.1",
                "fd16:7::77", "fd16:7::1")


@contextlib.contextmanager
def guest_at(rig, site, with_qmp=True):
    """A VM that has booted at 'site' and is known everywhere."""
    card = new_card()

    def plug(guest, where):
        ids = {"attached_mac": card.mac, "mat_zone": 7}
        if with_qmp:
            ids["mat_qmp"] = guest.monitor(where, "matd")
        where.switch.add_port("br0", card.name, 1500, **ids)

    def unplug(_, where):
        where.switch.vsctl("--if-exists", "del-port", "br0", card.name)

    guest = Guest(Image(rig.programs.build_dir), rig.dir, "q", [card],
                  plug=plug, unplug=unplug)
    try:
        guest.boot(site)
        wait_known(rig, guest)
        yield guest
    finally:
        guest.destroy()


def wait_known(rig, guest):
    """Every host has the VM where it is, and its VMs reach it."""
    card = guest.cards[0]
    for hoa in card.v4, card.v6:
        wait_until(lambda: all(
            (entry := site.mapping(7, hoa)) and guest.site.owns(entry["moa"])
            for site in rig.sites), lambda: (
                f"{hoa} known at {guest.site.name}; it is at "
                f"{[site.mapping(7, hoa) for site in rig.sites]}"),
            PATIENCE_S)
    for vm in rig.a1, rig.b1, rig.c1:
        for source, target in (vm.v4, card.v4), (vm.v6, card.v6):
            wait_until(lambda: ping(vm.namespace, source, target),
                       f"answer to {vm.name} from {target}", PATIENCE_S)


@contextlib.contextmanager
def keystrokes(vm, guest):
    """A TCP session that gives back what it gets; type() uses it."""
    with vm.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect((guest.cards[0].v4, 7001))

        def type_(text):
            sock.sendall(text)
            got = b""
            while len(got) < len(text):
                got += sock.recv(100)
            assert_same("echo", got, text)
        yield type_


@test
def a_real_vm_goes_round_all_sites_by_matctl_under_tcp_and_udp(rig):
    with guest_at(rig, rig.a) as guest, keystrokes(rig.a1, guest) as type_:
        bulk = Load(guest.image, rig.b1.namespace, "tcp", guest.cards[0].v6, 0)
        numbers = Load(guest.image, rig.c1.namespace, "udp",
                       guest.cards[0].v4, 200)
        for target in rig.b, rig.c, rig.a:
            source = guest.site
            with guest.moving(target):
                source.matctl("migrate", guest.cards[0].v4, target.address4,
                              f"qmp={guest.monitor(source, 'matctl')}",
                              f"to-qmp={guest.monitor(target, 'matctl')}")
            wait_known(rig, guest)
            type_(f"now at {target.name}".encode())
        counted = numbers.end()
        for way, count in counted.items():
            assert count["received"] > 50, f"{way}: {count}"
            assert_same(f"doubled {way}", count["doubled"], 0)
            assert count["lost"] * 10 < count["sent"], f"{way}: {count}"
        streamed = bulk.end()
        assert_same("wrong bytes", streamed["wrong"], 0)
        assert streamed["bytes"] > 1 << 20, streamed


@test
def a_real_vm_moves_without_a_hint(rig):
    """What QEMU and the guest's kernel announce is enough."""
    with guest_at(rig, rig.b, with_qmp=False) as guest, \
            keystrokes(rig.a1, guest) as type_:
        for target in rig.a, rig.c:
            guest.migrate(target)
            type_(b"still there?")
            wait_known(rig, guest)
        type_(b"yes")
