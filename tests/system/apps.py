# SPDX-License-Identifier: Apache-2.0
"""Applications of guests: what vmapp does outside, a desktop and a download.

Each of them knows when it went on (Progress), by the clock of time.monotonic()
outside of the guest, which does not stop when the guest does."""
import hashlib
import os
import subprocess
import threading
import time

from agent_rig import PATIENCE_S
from guest import Guest, read_text
from guest_rig import matctl_migrate, tell_monitors
from netns import run
from switch import end_process, wait_until

SERVE_S = 180                   # A desktop starts slowly with TCG.
SCREEN = "800x600"


def percentile(values, part):
    values = sorted(values)
    return values[min(int(part * len(values)), len(values) - 1)]


class AppImage:
    """Like Image, with applications: "apps" or "desktop" of make-apps."""

    def __init__(self, image, contents):
        self.dir, self.accel = image.dir, image.accel
        self.vmapp = f"{os.path.dirname(image.vmload)}/vmapp"
        here = os.path.dirname(os.path.realpath(__file__))
        run(f"{here}/../vm/make-apps", self.dir, self.vmapp, contents,
            timeout=300)
        self.initramfs = f"{self.dir}/initramfs-{contents}"
        new = f"{self.initramfs}.{os.getpid()}"
        with open(new, "wb") as whole:
            for part in "initramfs", contents:
                with open(f"{self.dir}/{part}", "rb") as file:
                    whole.write(file.read())
        os.rename(new, self.initramfs)

    def boot_words(self):
        return ["-kernel", f"{self.dir}/vmlinuz", "-initrd", self.initramfs]


class AppGuest(Guest):
    contents = "apps"

    def __init__(self, image, *words, **options):
        super().__init__(AppImage(image, self.contents), *words, **options)


class DesktopGuest(AppGuest):
    contents = "desktop"

    def __init__(self, *words, **options):
        super().__init__(*words, memory_mb=256, **options)


# Moves.

def watches(site, port):
    """True if the agent has the monitor of the QEMU behind 'port', False if
    it does not try to, else None."""
    return next((one["connected"] or None
                 for one in site.agent("status")["qmp"]
                 if one["port"] == port), False)


def move(guest, to, hint):
    """By "matctl migrate", with QEMU's monitors for the agents, too, or with
    nothing that tells an agent of it."""
    source, port = guest.site, guest.cards[0].name
    tell_monitors(guest, hint)
    wait_until(lambda: watches(source, port) is hint,
               f"agent of {source.name} {'with' if hint else 'without'} the "
               f"monitor of {port}", PATIENCE_S)
    if hint:
        matctl_migrate(guest, to)
    else:
        guest.migrate(to)


# Applications.

class Progress:
    """When something went on."""

    STEP_S = 0.010              # Less is no gap.

    def __init__(self, name):
        self.name, self.error = name, None
        self.gaps, self.last = [], 0.0

    def poll(self):
        """Take what has come since."""

    def went_on(self):
        """A question: has it, since now?"""
        since = time.monotonic()

        def question():
            self.poll()
            assert not self.error, f"{self.name}: {self.error}"
            return self.last > since
        return question

    def stall_ms(self, begin, end):
        """The longest time without progress that touches the span."""
        self.poll()
        return 1000 * max((b - a for a, b in self.gaps if b > begin
                           and a < end), default=0.0)


class App(Progress):
    """vmapp outside of the guest.  It writes into a file."""

    def __init__(self, rig, image, name, namespace, *words):
        super().__init__(name)
        self.keys, self.lost, self.late = [], [], []    # (time, ms), times
        self.counts = {}
        path = f"{rig.dir}/{name}.out".replace(" ", "-")
        with open(path, "w") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", namespace.name, image.vmapp,
                 *(str(word) for word in words)], stdin=subprocess.PIPE,
                stdout=out, stderr=out, start_new_session=True)
        self.file = open(path)
        self.rest, self.is_started = "", False
        wait_until(self._has_started, f"start of {name}", PATIENCE_S)

    def _has_started(self):
        self.poll()
        assert not self.error, f"{self.name}: {self.error}"
        return self.is_started

    def poll(self):
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        for line in lines:
            self._take(*line.split())
        if self.process.poll() and not self.error:
            self.error = f"ended with {self.process.returncode}"

    def _take(self, kind, *words):
        if kind == "started":
            self.is_started = True
        elif kind == "end":
            self.counts = {key: int(value) for key, value in
                           (word.split("=") for word in words)}
        elif kind == "vmapp:":
            self.error = " ".join(words)
        else:
            numbers = [float(word) for word in words]
            if kind == "at":
                self.last = numbers[0]
            elif kind == "gap":
                self.gaps.append(numbers)
                self.last = numbers[1]
            elif kind == "key":
                self.keys.append(numbers)
            elif kind == "late":
                self.late.append(numbers)
            elif kind == "lost":
                self.lost += numbers

    def end(self):
        """What it counted."""
        self.process.stdin.close()
        status = self.process.wait(PATIENCE_S)
        self.poll()
        assert status == 0 and self.counts, f"{self.name}: {self.error}"
        assert not self.counts.get("wrong"), f"{self.name}: {self.counts}"
        return self.counts

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.file.close()


class Download(Progress):
    """busybox's wget gets a file from busybox's httpd in the guest, again and
    again; each time all of it must come, and be the same."""

    def __init__(self, namespace, address):
        super().__init__("download")
        self.command = ["ip", "netns", "exec", namespace.name, "busybox",
                        "wget", "-q", "-O", "-"]
        self.url = f"http://{address}/"
        wait_until(lambda: self._wget("sum").strip(), "checksum of the file",
                   SERVE_S, 0.5)
        self.sum = self._wget("sum").split()[0]
        self.n_good, self.n_bytes, self.process = 0, 0, None
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _wget(self, name):
        return run(*self.command, self.url + name, check=False)

    def _run(self):
        while not self.stopping and not self.error:
            self._get()

    def _get(self):
        digest = hashlib.sha256()
        self.process = subprocess.Popen([*self.command, self.url + "file"],
                                        stdout=subprocess.PIPE)
        while data := self.process.stdout.read1(1 << 16):
            now = time.monotonic()
            if self.last and now - self.last > self.STEP_S:
                self.gaps.append((self.last, now))
            self.last = now
            self.n_bytes += len(data)
            digest.update(data)
        self.process.stdout.close()
        status = self.process.wait()
        if status or digest.hexdigest() != self.sum:
            self.error = f"wget's status {status}, or the wrong bytes"
        self.n_good += 1

    def end(self):
        """After the file that is on its way."""
        self.stopping = True
        self.thread.join(4 * PATIENCE_S)
        assert not self.error, self.error
        return {"count": self.n_bytes, "files": self.n_good}

    def kill(self):
        self.stopping = True
        if self.process:
            self.process.kill()
        self.thread.join()


class Desktop(App):
    """TigerVNC's viewer shows what its server in the guest has on the screen.
    The viewer's own screen is one that nobody looks at but vmapp, which reads
    from it the number of the picture that is shown."""

    def __init__(self, rig, image, namespace, address):
        self.dir, self.namespace = rig.dir, namespace
        self.address, self.helpers = address, []
        try:
            number = self._show()
            wait_until(self._connects, lambda: "a desktop in the guest; "
                       + namespace.run("busybox", "wget", "-qO-",
                                       f"http://{address}/desktop.log",
                                       check=False),
                       SERVE_S, 0.5)
            width, height = SCREEN.split("x")
            self._view(number)
            super().__init__(rig, image, "desktop", namespace, "watch",
                             f"/tmp/.X11-unix/X{number}", int(width) // 2,
                             int(height) // 2)
            wait_until(self.went_on(), lambda: "pictures; "
                       + read_text(f"{self.dir}/viewer.log"), SERVE_S)
            self.session = self._session()
        except BaseException:
            self._end_helpers()
            raise

    def _start(self, name, *words, **options):
        """It ends with this program, however that ends."""
        with open(f"{self.dir}/{name}.log", "w") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace.name, "setpriv",
                 "--pdeathsig", "KILL", "--", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.helpers.append(process)
        return process

    def _show(self):
        """A screen with a number that is free."""
        read_end, write_end = os.pipe()
        with open(read_end) as answer:
            self._start("screen", "Xtigervnc", "-displayfd", str(write_end),
                        "-geometry", SCREEN, "-depth", "24", "-ac",
                        "-SecurityTypes", "None", "-nolisten", "tcp",
                        "-rfbport", "-1", "-rfbunixpath",
                        f"{self.dir}/screen.rfb", pass_fds=[write_end])
            os.close(write_end)
            return int(answer.readline())

    def _connects(self):
        return run("ip", "netns", "exec", self.namespace.name, "busybox",
                   "nc", "-w", "2", self.address, "5900", check=False,
                   stdin="").startswith("RFB")

    def _view(self, number):
        # Without loss, so that the number's colour arrives as it is.
        self._start("viewer", "env", f"DISPLAY=:{number}",
                    f"HOME={self.dir}", "xtigervncviewer", "-Shared",
                    "-ViewOnly", "-AutoSelect=0", "-PreferredEncoding=ZRLE",
                    "-FullColour", "-RemoteResize=0", f"{self.address}::5900")

    def _session(self):
        """Of the viewer: its address and port."""
        shown = self.namespace.run("ss", "-tnH", "state", "established",
                                   "dport", "=", ":5900").split()
        return shown[2] if len(shown) > 2 else None

    def end(self):
        assert self.session and self._session() == self.session, (
            f"the viewer has another session, {self._session()}, not "
            f"{self.session}")
        return super().end()

    def _end_helpers(self):
        for process in reversed(self.helpers):
            end_process(process.pid)
            process.wait()

    def kill(self):
        super().kill()
        self._end_helpers()


class Apps:
    """Those that are open; closed at the end of the block."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for app in self.all:
            app.kill()

    def add(self, app):
        self.all.append(app)
        return app

    def all_go_on(self, patience_s=2 * PATIENCE_S):
        """... since this was called; the time when they have."""
        questions = [(app, app.went_on()) for app in self.all]
        for app, question in questions:
            wait_until(question, f"{app.name} to go on", patience_s)
        return time.monotonic()
