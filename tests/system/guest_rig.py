# SPDX-License-Identifier: Apache-2.0
"""Guests at the sites of agent_rig.py, and what goes on while they move."""
import contextlib
import socket

from agent_rig import PATIENCE_S, Agents
from guest import Card, Guest, GuestLoad, Image, Load
from harness import assert_same
from switch import external_ids, wait_until
from traffic import ping

PPS = 200                       # Of numbered datagrams, each way.
RECEIVE_BYTES = 8 << 20


def new_card(number=0, zone=7, **kind):
    """Of guest 'number', in a subnet of the zone's number."""
    host = 77 + number
    return Card(f"{'qrst'[number]}{zone if zone != 7 else ''}",
                f"02:00:00:{zone:02x}:00:{host:02x}",
                f"172.16.{zone}.{host}", f"172.16.{zone}.1",
                f"fd16:{zone}::{host}", f"fd16:{zone}::1", zone, **kind)


class Guests(Agents):
    """A rig with a guest that stays from test to test, since it takes longer
    to boot one than to move it."""
    standing = None

    def _build_all(self):
        raise_receive_buffers()
        super()._build_all()

    def delete(self):
        if self.standing:
            self.standing.destroy()
        super().delete()


def raise_receive_buffers():
    """... of sockets that are opened from now on; never lowers them.  With the
    kernel's default the memory of a guest on its way overflows the switch's
    sockets of the uplinks, and what is sent to it is lost there."""
    path = "/proc/sys/net/core/rmem_default"
    with open(path) as file:
        now = int(file.read())
    if now < RECEIVE_BYTES:
        with open(path, "w") as file:
            file.write(str(RECEIVE_BYTES))


@contextlib.contextmanager
def standing_guest(rig, site, with_qmp=True):
    """It is at 'site' and known everywhere.  No test is done with one that
    another has broken."""
    try:
        if not rig.standing:
            rig.standing = make_guest(rig)
            rig.standing.boot(site)
        elif rig.standing.site is not site:
            rig.standing.migrate(site)
        tell_monitors(rig.standing, with_qmp)
        wait_known(rig, rig.standing)
        yield rig.standing
    except BaseException:
        guest, rig.standing = rig.standing, None
        if guest:
            guest.destroy()
        raise


@contextlib.contextmanager
def guest_at(rig, site, with_qmp=True, **options):
    """A VM that has booted at 'site' and is known everywhere.  The standing
    one, which has the same name and addresses, ends."""
    guest = make_guest(rig, **options)
    guest.with_qmp = with_qmp
    if getattr(rig, "standing", None):
        standing, rig.standing = rig.standing, None
        standing.destroy()
    try:
        guest.boot(site)
        wait_known(rig, guest)
        yield guest
    finally:
        guest.destroy()


def make_guest(rig, cards=None, number=0, announces=True, kind=Guest):
    cards = cards or [new_card(number)]
    guest = kind(Image(rig.programs.build_dir), rig.dir, cards[0].name,
                 cards, announces=announces, plug=plug, unplug=unplug,
                 number=number)
    guest.with_qmp = True
    return guest


def plug(guest, site):
    words = []
    for card in guest.cards:
        ids = {"attached_mac": card.mac, "mat_zone": card.zone}
        words += ["--", "add-port", "br0", card.name, "--", "set",
                  "interface", card.name, "mtu_request=1500",
                  *external_ids(ids), *qmp_ids(guest, site, card)]
        if card.vhost:
            words += ["type=dpdkvhostuserclient", "options:vhost-server-path="
                      + guest.vhost_socket(site, card)]
    site.switch.vsctl(*words[1:])


def unplug(guest, site):
    for card in guest.cards:
        site.switch.vsctl("--if-exists", "del-port", "br0", card.name)


def qmp_ids(guest, site, card):
    number = guest.cards.index(card)
    return external_ids({"mat_qmp": guest.monitor(
        site, f"matd{number or ''}")}) if guest.with_qmp else []


def tell_monitors(guest, with_qmp):
    """From now on, also where it is, matd listens to QEMU or does not."""
    guest.with_qmp = with_qmp
    for card in guest.cards:
        guest.site.switch.vsctl(
            "remove", "interface", card.name, "external_ids", "mat-qmp",
            *(["--", "set", "interface", card.name,
               *qmp_ids(guest, guest.site, card)] if with_qmp else []))


def vms_of(rig, zone):
    """One at each site; those that move stay out of this."""
    return [vm for vm in rig.vms.values() if vm.zone == zone and not vm.plug]


def is_known(rig, guest, card, hoa):
    return all((entry := site.mapping(card.zone, hoa))
               and guest.site.owns(entry["moa"])
               for site in rig.with_zone(card.zone))


def wait_known(rig, guest):
    """Every host has the VM where it is, and its VMs reach it."""
    for card in guest.cards:
        for hoa in card.v4, card.v6:
            wait_until(lambda: is_known(rig, guest, card, hoa), lambda: (
                f"{hoa} known at {guest.site.name}; it is at "
                f"{[site.mapping(card.zone, hoa) for site in rig.sites]}"),
                PATIENCE_S)
        for vm in vms_of(rig, card.zone):
            for source, target in (vm.v4, card.v4), (vm.v6, card.v6):
                wait_until(lambda: ping(vm.namespace, source, target),
                           f"answer to {vm.name} from {target}", PATIENCE_S)


def matctl_migrate(guest, site, *words):
    """From the host where it is, with the ports' own monitors for matd."""
    source = guest.site
    with guest.moving(site):
        source.matctl("migrate", guest.cards[0].v4, site.address4,
                      f"port={guest.port}",
                      f"qmp={guest.monitor(source, 'matctl')}",
                      f"to-qmp={guest.monitor(site, 'matctl')}", *words)


class Keys:
    """A TCP session that gives back what it gets."""

    def __init__(self, vm, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.name = f"{vm.name} to {address}"
        self.sock = vm.namespace.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect((address, 7001))

    def type(self, text):
        self.sock.sendall(text)
        got = b""
        while len(got) < len(text):
            piece = self.sock.recv(100)
            assert piece, f"{self.name}: the guest has hung up"
            got += piece
        assert_same(f"echo, {self.name}", got, text)

    def close(self):
        self.sock.close()

    kill = close


class Sessions:
    """Of VMs of all sites with a guest, so that some are always remote, and
    each once on the guest's own host if it goes round: bulk TCP, numbered
    datagrams, keystrokes by both families.  Use as a context; what they
    counted is checked at the end; that little was lost, unless the guest
    rests, for 'rests' seconds."""

    def __init__(self, rig, guest, card=None, rests=0, bulk=True):
        self.guest, self.card = guest, card or guest.cards[0]
        self.vms = vms_of(rig, self.card.zone)
        self.rests, self.has_bulk = rests, bulk
        self.opened, self.n_typed = [], 0

    def __enter__(self):
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def _open(self):
        a, b, c = (vm.namespace for vm in self.vms)
        image, card = self.guest.image, self.card
        self.keys = [self._keep(Keys(vm, hoa)) for vm in self.vms
                     for hoa in (card.v4, card.v6)]
        self.counts = [self._keep(Load(image, c, "udp", card.v4, PPS)),
                       self._keep(Load(image, a, "udp", card.v6, PPS))]
        if self.has_bulk:
            self.bulk = self._keep(Load(image, b, "tcp", card.v6, 0))

    def _keep(self, session):
        self.opened.append(session)
        return session

    def _close(self):
        for session in self.opened:
            session.kill()

    def type(self):
        """All sessions go on."""
        self.n_typed += 1
        for keys in self.keys:
            keys.type(f"line {self.n_typed} of {keys.name}".encode())

    def __exit__(self, kind, *unused):
        try:
            if kind is None:
                self.type()
                self._check()
        finally:
            self._close()

    def _check(self):
        if self.has_bulk:
            check_bulk(self.bulk.end(), self.rests)
        check_counts([load.end() for load in self.counts], self.rests)


def check_counts(counts, rests=0):
    for count in counts:
        for way, seen in count.items():
            assert seen["received"] > 10, f"{way}: {count}"
            assert_same(f"doubled {way}", seen["doubled"], 0)
            assert rests or seen["lost"] * 2 < seen["sent"], (
                f"{way}: {count}")


def check_bulk(streamed, rests=0):
    """All was right, and it went on after the rest."""
    assert_same("wrong bytes", streamed["wrong"], 0)
    assert streamed["bytes"] > 1 << 16, streamed
    assert streamed["gap_ms"] >= rests * 1000, streamed


class Talk:
    """Of two guests with each other: numbered datagrams and bulk TCP."""

    def __init__(self, vm, one, other):
        card = other.cards[0]
        self.loads = []
        try:
            self.loads.append(GuestLoad(vm.namespace, one, "udp", card.v4,
                                        PPS))
            self.loads.append(GuestLoad(vm.namespace, one, "tcp", card.v6, 0))
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        try:
            if kind is None:
                check_bulk(self.loads[1].end())
                check_counts([self.loads[0].end()])
        finally:
            self.kill()

    def kill(self):
        for load in self.loads:
            load.kill()
