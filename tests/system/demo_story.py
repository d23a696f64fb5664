# SPDX-License-Identifier: Apache-2.0
"""What the demonstration tells while it goes on: numbered steps, and on a
terminal one line below them that changes."""
import sys
import time

LIVE_S, STEADY_S = 0.25, 5              # Terminal, file.
WIDTH = 78


class Story:
    def __init__(self, n_steps):
        self.n_steps, self.number = n_steps, 0
        self.begin = self.start = time.monotonic()
        self.is_terminal = sys.stdout.isatty()
        self.drawn, self.has_line = 0, False

    def _wipe(self):
        if self.has_line:
            print("\r" + " " * WIDTH + "\r", end="")
            self.has_line = False

    def step(self, text):
        self.number += 1
        self.start = time.monotonic()
        self._wipe()
        print(f"\n[{self.number}/{self.n_steps}] {text}", flush=True)

    def say(self, text, indent=6):
        self._wipe()
        for line in text.split("\n"):
            print((" " * indent + line).rstrip(), flush=True)

    def took(self, text):
        self.say(f"{text}  ({time.monotonic() - self.start:.1f} s)")

    def live(self, line):
        """'line' is a function: it is called only when it is time."""
        now = time.monotonic()
        if now < self.drawn + (LIVE_S if self.is_terminal else STEADY_S):
            return
        self.drawn = now
        text = f"{now - self.begin:6.1f} s  {line()}"[:WIDTH]
        if self.is_terminal:
            print("\r" + text.ljust(WIDTH), end="", flush=True)
            self.has_line = True
        else:
            print(text.rstrip(), flush=True)

    def end(self):
        self._wipe()
