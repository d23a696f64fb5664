# SPDX-License-Identifier: Apache-2.0
"""A wide-area line between two links: tests/relay/relay with a test that
turns its knobs.  It ends with the test, however that ends, since its standard
input then does."""
import json
import subprocess

from netns import CommandError


class Relay:
    def __init__(self, program, first, second, shape=""):
        """'first' and 'second' are (namespace, link); what the line does to
        frames is said as in 'relay --help'."""
        ends = [f"{namespace.name}/{link}" for namespace, link
                in (first, second)]
        self._words = [f"--both={shape}", *ends]
        self._program = program
        self._process = subprocess.Popen(
            [program, "--control", *self._words], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=1)
        if self._process.stdout.readline() != "ok\n":
            raise CommandError(self._process.stderr.read().strip())

    def _ask(self, command):
        self._process.stdin.write(command + "\n")
        answer = self._process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise CommandError(f"relay: {command}: {answer or 'it has died'}")
        return answer

    def shape(self, shape, which="both"):
        """From now on; 'which' is there (from the first to the second), back
        or both."""
        self._ask(f"{which} {shape}")

    def stats(self):
        return json.loads(self._ask("stats"))

    def close(self):
        """Its exit status; may be called again."""
        for pipe in (self._process.stdin, self._process.stdout,
                     self._process.stderr):
            pipe.close()
        return self._process.wait(10)

    def outlive(self, directory):
        """Another one in its stead goes on when the test has ended, in the
        shape of the beginning; its pid is in a file there, where rig.reap()
        finds it."""
        self.close()
        process = subprocess.Popen(
            [f"{directory}/relay", *self._words], executable=self._program,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        with open(f"{directory}/relay.pid", "w") as file:
            file.write(str(process.pid))
