# SPDX-License-Identifier: Apache-2.0
"""Real VMs: QEMU guests at sites, and their live migration.

A guest is Debian's kernel for clouds with busybox and the program
tests/vm/vmload; tests/vm/make-guest makes it.  Its network card is a tap or
vhost-user port of its site's switch.  QEMU runs in the network namespace of
the host, so that migration goes over the underlay, as everything does.

Without KVM the guest's memory is not copied but shared by both QEMUs, which
run on this machine after all: QEMU 7.2's TCG now and then loses what a guest
writes while its memory is copied (one move in twenty ended in a panic), which
has nothing to do with the network.  All else is as in any migration.  What is
saved to a file is copied, as the guest stands still then.
"""
import contextlib
import json
import os
import select
import socket
import subprocess
import time

from netns import connect, run
from switch import end_process, is_alive, wait_until

QEMU = "qemu-system-x86_64"
MIGRATION_PORT = 49152          # And more, a guest each.
COMMAND_PORT = 7002             # Of vmload.
BOOT_S = 60                     # With TCG on a busy machine.


class QmpError(Exception):
    pass


class Qmp:
    """A connection to QEMU's monitor; events are kept with their times."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        wait_until(lambda: os.path.exists(path)
                   and self.sock.connect_ex(path) == 0, f"monitor {path}")
        self.buffer, self.events = b"", []
        self._read(5)           # The greeting.
        self.command("qmp_capabilities")

    def close(self):
        self.sock.close()

    def _read(self, timeout_s):
        """One object, or None."""
        end = time.monotonic() + timeout_s
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.sock], [], [],
                                             max(left, 0))[0]:
                return None
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise QmpError("QEMU has ended")
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def command(self, name, **arguments):
        request = {"execute": name}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): value for key, value
                                    in arguments.items()}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read(30)
            if answer is None:
                raise QmpError(f"{name}: no answer")
            if "event" in answer:
                self.events.append((time.monotonic(), answer))
            elif "error" in answer:
                raise QmpError(f"{name}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def poll(self, timeout_s=0.0):
        """Take events that have come."""
        while answer := self._read(timeout_s):
            self.events.append((time.monotonic(), answer))
            timeout_s = 0.0

    def wait_event(self, name, matches=lambda data: True, timeout_s=60):
        """Time of the next event of this kind, also if it came already since
        the last call of forget()."""
        end = time.monotonic() + timeout_s
        while True:
            for when, event in self.events:
                if event["event"] == name and matches(event.get("data", {})):
                    return when
            if time.monotonic() > end:
                raise AssertionError(f"no {name} within {timeout_s} s; seen: "
                                     f"{[e['event'] for _, e in self.events]}")
            self.poll(0.2)

    def forget(self):
        self.events = []


def capable(qmp, name, state=True):
    qmp.command("migrate-set-capabilities", capabilities=[
        {"capability": name, "state": state}])


class Image:
    """Kernel and root of all guests, made when it is first needed."""

    def __init__(self, build_dir):
        self.dir = f"{os.path.abspath(build_dir)}/guest"
        self.vmload = f"{os.path.abspath(build_dir)}/tests/vm/vmload"
        here = os.path.dirname(os.path.realpath(__file__))
        run(f"{here}/../vm/make-guest", self.dir, self.vmload, timeout=300)
        self.accel = self._accel()

    def boot_words(self):
        return ["-kernel", f"{self.dir}/vmlinuz",
                "-initrd", f"{self.dir}/initramfs"]

    def _accel(self):
        """Is found out once after each start of the machine."""
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot_id = file.read().strip()
        known = read_text(f"{self.dir}/accel").split()
        if known[:1] != [boot_id]:
            known = [boot_id, self._probe()]
            with open(f"{self.dir}/accel.new", "w") as file:
                file.write(" ".join(known) + "\n")
            os.rename(f"{self.dir}/accel.new", f"{self.dir}/accel")
        return known[1]

    def _probe(self):
        """KVM where a guest boots with it: it may open and yet not work."""
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return "tcg"
        console = f"{self.dir}/kvm-probe.log"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(console)
        probe = subprocess.Popen(
            [QEMU, "-machine", "pc,accel=kvm", "-m", "128", *self.boot_words(),
             "-append", "console=ttyS0 quiet", "-display", "none", "-net",
             "none", "-serial", f"file:{console}", "-monitor", "none"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: probe.poll() is not None
                       or "READY" in read_text(console), "guest", 8, 0.1)
            return "kvm" if probe.poll() is None else "tcg"
        except AssertionError:
            return "tcg"
        finally:
            end_process(probe.pid)
            probe.wait()


def read_text(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Card:
    """A network card of a guest; the same port name at every site.  A tap, or
    with 'vhost' a vhost-user port, of which QEMU is the server.  What QEMU
    itself says for the guest after a move is dropped if 'rarp' is false."""

    def __init__(self, name, mac, v4, gateway4, v6, gateway6, zone=7,
                 vhost=False, rarp=True):
        self.name, self.mac, self.zone = name, mac, zone
        self.v4, self.v6 = v4, v6
        self.gateway4, self.gateway6 = gateway4, gateway6
        self.vhost, self.rarp = vhost, rarp

    def tap(self):
        return self.name if self.rarp else f"{self.name}-tap"

    def lay(self, namespace):
        """The tap, and if need be a cable from it that carries no RARP."""
        if self.vhost:
            return
        namespace.ip(f"tuntap add dev {self.tap()} mode tap",
                     f"link set dev {self.tap()} up")
        if not self.rarp:
            connect(namespace, self.name, namespace, f"{self.name}-far")
            ends = (self.tap(), f"{self.name}-far")
            run("tc", "-n", namespace.name, "-batch", "-", stdin="".join(
                f"qdisc add dev {one} clsact\n" + "".join(
                    f"filter add dev {one} ingress prio {prio} protocol "
                    f"{kind} u32 match u32 0 0 action mirred egress redirect "
                    f"dev {other}\n"
                    for prio, kind in enumerate(("ip", "ipv6", "arp"), 1))
                for one, other in (ends, ends[::-1])))

    def remove(self, namespace):
        if not self.vhost:
            for link in {self.tap(), self.name}:
                run("ip", "-n", namespace.name, "link", "del", "dev", link,
                    check=False)

    def words(self, number):
        """... of the kernel's command line."""
        return (f"mat.{number}={self.v4}/24,{self.gateway4},{self.v6}/64,"
                f"{self.gateway6}")


class Guest:
    """A VM.  'plug' and 'unplug', given by the rig, put its ports into the
    bridge of a site and take them out."""

    def __init__(self, image, directory, name, cards, memory_mb=96,
                 announces=True, plug=None, unplug=None, number=0):
        self.image, self.name, self.cards = image, name, cards
        self.dir, self.memory_mb = f"{directory}/{name}", memory_mb
        self.announces, self.port = announces, MIGRATION_PORT + number
        self._plug, self._unplug = plug, unplug
        self.site = self.process = self.qmp = None
        os.makedirs(f"{self.dir}/memory", exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=700", "guest",
            f"{self.dir}/memory")

    def shares_memory(self):
        return self.image.accel == "tcg"

    # One QEMU.

    def _command(self, site, incoming):
        append = " ".join(["console=ttyS0 quiet panic=-1"] + [
            card.words(i) for i, card in enumerate(self.cards)])
        words = [QEMU, "-name", self.name, "-object", self._memory(),
                 "-machine",
                 f"pc,accel={self.image.accel},memory-backend=memory",
                 "-m", str(self.memory_mb), *self.image.boot_words(),
                 "-append", append,
                 "-display", "none", "-monitor", "none", "-nodefaults",
                 "-serial", f"file:{self._file(site, 'console')}",
                 *self._monitors(site)]
        for i, card in enumerate(self.cards):
            words += self._card_words(site, card, i)
        return words + (["-incoming", "defer"] if incoming else [])

    def _memory(self):
        shape = f"id=memory,size={self.memory_mb}M"
        if self.shares_memory():
            return (f"memory-backend-file,{shape},"
                    f"mem-path={self.dir}/memory/ram,share=on")
        if any(card.vhost for card in self.cards):
            return f"memory-backend-memfd,{shape},share=on"
        return f"memory-backend-ram,{shape}"

    def _card_words(self, site, card, number):
        device = (f"virtio-net-pci,netdev=n{number},mac={card.mac},"
                  f"guest_announce={'on' if self.announces else 'off'},"
                  "romfile=")
        if not card.vhost:
            return ["-netdev", f"tap,id=n{number},ifname={card.tap()},"
                    "script=no,downscript=no,vnet_hdr=off", "-device", device]
        # Without vectors: QEMU 7.2's TCG crashes when it hands interrupts of
        # a vhost-user device to the guest.
        return ["-chardev", f"socket,id=c{number},server=on,"
                f"path={self.vhost_socket(site, card)}",
                "-netdev", f"vhost-user,id=n{number},chardev=c{number}",
                "-device", device + ",vectors=0"]

    def _monitors(self, site):
        """QEMU serves one client on each: the test, matctl, and matd for each
        of the cards' ports; and one for whom it was not meant."""
        kinds = ["qmp", "matctl", "spare"] + [
            f"matd{i or ''}" for i, _ in enumerate(self.cards)]
        return [word for kind in kinds for word in
                ("-qmp", f"unix:{self._file(site, kind)},server=on,wait=off")]

    def monitor(self, site, whose):
        return self._file(site, whose)

    def pid(self, site):
        """Of its QEMU there."""
        return int(read_text(self._file(site, "pid")))

    def vhost_socket(self, site, card):
        return self._file(site, f"{card.name}.vhost")

    def _file(self, site, kind):
        return f"{self.dir}/{site.name}.{kind}"

    def _launch(self, site, incoming=False):
        """A QEMU, its ports in the bridge, and its monitor."""
        for kind in "qmp", "console":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(site, kind))
        process = None
        try:
            for card in self.cards:
                card.lay(site.namespace)
            process = self._start(site, self._command(site, incoming))
            return process, self._wait_up(site, process)
        except BaseException as error:
            self._end(site, process)
            raise QmpError(f"QEMU at {site.name}: {error}; "
                           f"{self._stderr(site)}") from error

    def _start(self, site, command):
        with open(self._file(site, "stderr"), "w") as errors:
            process = subprocess.Popen(
                ["ip", "netns", "exec", site.namespace.name, *command],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                start_new_session=True)
        with open(self._file(site, "pid"), "w") as file:
            file.write(str(process.pid))
        return process

    def _wait_up(self, site, process):
        """QEMU serves no monitor until the other end of each vhost-user
        socket has come, which is the port."""
        for card in self.cards:
            wait_until(lambda: not card.vhost or process.poll() is not None
                       or os.path.exists(self.vhost_socket(site, card)),
                       "vhost-user socket")
        if any(card.vhost for card in self.cards):
            self._plug(self, site)
        qmp = Qmp(self._file(site, "qmp"))
        if not any(card.vhost for card in self.cards):
            self._plug(self, site)
        capable(qmp, "events")
        if self.shares_memory():
            capable(qmp, "x-ignore-shared")
        return qmp

    def _end(self, site, process, qmp=None):
        try:
            self._unplug(self, site)
        finally:
            if qmp:
                qmp.close()
            if process:
                end_process(process.pid)
                process.wait()
        for card in self.cards:
            card.remove(site.namespace)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file(site, "pid"))

    # The VM.

    def boot(self, site):
        """It runs when this returns."""
        self.process, self.qmp = self._launch(site)
        self.site = site
        self.wait_ready()

    def wait_ready(self, times=1):
        """It has booted here so often."""
        console = self._file(self.site, "console")
        wait_until(lambda: read_text(console).count("READY") >= times
                   or self.process.poll() is not None,
                   lambda: f"guest's READY; {read_text(console)[-500:]}",
                   BOOT_S)
        assert self.process.poll() is None, self._stderr(self.site)

    def reset(self):
        """As by its button; it has booted again when this returns."""
        times = read_text(self._file(self.site, "console")).count("READY")
        self.qmp.command("system_reset")
        self.wait_ready(times + 1)

    def _stderr(self, site):
        return read_text(self._file(site, "stderr"))

    def destroy(self):
        self._leave()
        run("umount", f"{self.dir}/memory", check=False)

    def _leave(self):
        """It is nowhere then."""
        if self.qmp:
            site, process, qmp = self.site, self.process, self.qmp
            self.site = self.process = self.qmp = None
            self._end(site, process, qmp)

    @contextlib.contextmanager
    def moving(self, site):
        """QEMU waits at 'site', its port in the bridge, and has the VM when
        the block ends; the old one is ended then."""
        process, qmp = self._launch(site, incoming=True)
        try:
            yield qmp
        except BaseException:
            self._end(site, process, qmp)
            raise
        self._leave()
        self.site, self.process, self.qmp = site, process, qmp

    def save(self, path, before_end=None):
        """Stopped, into a file.  'before_end' is called when it is there and
        QEMU with its ports is still here."""
        self.qmp.command("stop")
        self.qmp.forget()
        capable(self.qmp, "x-ignore-shared", False)
        self.qmp.command("migrate", uri=f"exec:cat > {path}")
        self.qmp.wait_event("MIGRATION",
                            lambda data: data["status"] == "completed")
        if before_end:
            before_end()
        self._leave()

    def restore(self, site, path):
        """From a file, in memory that never was its own.  It runs when this
        returns."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.dir}/memory/ram")
        self.process, self.qmp = self._launch(site, incoming=True)
        self.site = site
        capable(self.qmp, "x-ignore-shared", False)
        self.qmp.command("migrate-incoming", uri=f"exec:cat {path}")
        self.qmp.wait_event("MIGRATION",
                            lambda data: data["status"] == "completed")
        self.qmp.command("cont")
        self.qmp.wait_event("RESUME")
        if self.shares_memory():
            capable(self.qmp, "x-ignore-shared")

    def migrate(self, site, stopped=None, started=None, bandwidth=None):
        """Live, to 'site'.  'stopped' is called when the guest has stopped
        and before it can run there, 'started' as soon as it does.  Returns
        the times of both."""
        with self.moving(site) as qmp:
            return self.move_now(site, qmp, stopped, started, bandwidth)

    def move_now(self, site, qmp, stopped=None, started=None, bandwidth=None):
        """... to the QEMU that waits there."""
        qmp.command("migrate-incoming",
                    uri=f"tcp:{site.address4}:{self.port}")
        self.qmp.forget()
        if stopped:
            capable(self.qmp, "pause-before-switchover")
        self.qmp.command("migrate-set-parameters", downtime_limit=50,
                         max_bandwidth=bandwidth or 1 << 30)
        self.qmp.command("migrate",
                         uri=f"tcp:{site.address4}:{self.port}")
        stop_time = self.qmp.wait_event("STOP")
        if stopped:
            self.qmp.wait_event("MIGRATION", lambda data: data["status"]
                                == "pre-switchover")
            stopped()
            self.qmp.command("migrate-continue", state="pre-switchover")
        start_time = qmp.wait_event("RESUME")
        if started:
            started()
        self.qmp.wait_event("MIGRATION",
                            lambda data: data["status"] == "completed")
        return stop_time, start_time


class Load:
    """vmload beside a guest: numbered datagrams or bulk TCP."""

    def __init__(self, image, namespace, *words):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace.name, image.vmload,
             *(str(word) for word in words)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True)
        line = self.process.stdout.readline()
        assert line == "started\n", f"vmload {words}: {line!r}"

    def end(self):
        """What it counted."""
        self.process.stdin.close()
        answer = self.process.stdout.read()
        assert self.process.wait(30) == 0, "vmload failed"
        return json.loads(answer)

    def kill(self):
        if self.process.poll() is None and is_alive(self.process.pid):
            self.process.kill()
            self.process.wait()


class GuestLoad:
    """The same in a guest, as the client of another: vmload's words and what
    it counted go by a TCP session from 'namespace', which so is one more that
    has to live."""

    def __init__(self, namespace, guest, *words):
        self.sock = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(BOOT_S)
        self.sock.connect((guest.cards[0].v4, COMMAND_PORT))
        self.sock.sendall((" ".join(str(word) for word in words) + "\n")
                          .encode())
        self.answer = self.sock.makefile()
        line = self.answer.readline()
        assert line == "started\n", f"vmload {words} in a guest: {line!r}"

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)
        return json.loads(self.answer.read())

    def kill(self):
        self.answer.close()
        self.sock.close()
