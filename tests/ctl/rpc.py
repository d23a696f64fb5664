#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""matctl against a matd that says what the test wants: pages, refusals,
garbage, silence.  Output is TAP."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

MATCTL = "ctl/matctl"
results = []


class Fake:
    """A unixctl server: JSON-RPC on a socket, one request a connection."""

    def __init__(self, path, answer):
        self.path, self.answer, self.asked = path, answer, []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.talk(connection)

    def talk(self, connection):
        text = b""
        while True:
            data = connection.recv(65536)
            if not data:
                return
            text += data
            try:
                request = json.loads(text)
                break
            except ValueError:
                continue
        self.asked.append((request["method"], request["params"]))
        reply = self.answer(request["method"], request["params"])
        if reply is None:
            self.silent = connection            # Kept open.
            return
        result, error = reply
        connection.sendall(json.dumps({
            "id": request["id"], "result": result, "error": error}).encode())
        connection.close()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        os.unlink(self.path)


def check(text, good, why=""):
    results.append(good)
    if not good:
        print("# " + str(why).replace("\n", "\n# "))
    print(f"{'ok' if good else 'not ok'} {len(results)} - {text}")


def matctl(folder, *words):
    return subprocess.run(
        [MATCTL, f"--target={folder}/matd.ctl", *words], text=True,
        capture_output=True, check=False, timeout=60,
        env={**os.environ, "OVS_RUNDIR": folder})


def pages(method, params):
    """1234 VMs in pages of 500, backwards."""
    start = 0
    for word in params:
        if word.startswith("cursor="):
            start = int(word[7:])
    stop = min(start + 500, 1234)
    reply = {"vms": [{"zone": 0, "hoa": f"10.1.{(1233 - i) // 256}."
                      f"{(1233 - i) % 256}", "state": "live"}
                     for i in range(start, stop)]}
    if stop < 1234:
        reply["next"] = stop
    return json.dumps(reply), None


def test_pages(folder):
    fake = Fake(f"{folder}/matd.ctl", pages)
    run = matctl(folder, "--json", "vms", "--all")
    reply = json.loads(run.stdout)
    check("pages are joined", run.returncode == 0
          and len(reply["vms"]) == 1234 and "next" not in reply, run)
    check("three pages were asked for", fake.asked == [
        ("mat/vms", ["all"]), ("mat/vms", ["all", "cursor=500"]),
        ("mat/vms", ["all", "cursor=1000"])], fake.asked)
    hoas = [vm["hoa"] for vm in reply["vms"]]
    check("addresses are sorted by value", hoas == sorted(
        hoas, key=lambda a: [int(x) for x in a.split(".")]), hoas[:20])
    run = matctl(folder, "vms")
    check("a table has them all", len(run.stdout.splitlines()) == 1235, run)
    fake.close()


def test_refusal(folder):
    fake = Fake(f"{folder}/matd.ctl",
                lambda *_: (None, "10.0.0.9: nobody has it"))
    run = matctl(folder, "lookup", "10.0.0.9", "--zone=7")
    check("a refusal is printed", (run.returncode, run.stdout, run.stderr) == (
        1, "", "matctl: 10.0.0.9: nobody has it\n"), run)
    check("the zone was said", fake.asked == [
        ("mat/lookup", ["10.0.0.9", "zone=7"])], fake.asked)
    fake.close()


def test_garbage(folder):
    for reply in "", "<html>", '{"vms":', "[]", "7", '{"vms": 7}', \
            '{"vms": [7, null, {"zone": "x", "hoa": 3}]}':
        fake = Fake(f"{folder}/matd.ctl", lambda *_: (reply, None))
        for words in ("vms",), ("status",), ("migrations",), ("pools",), \
                ("check",), ("lookup", "10.0.0.1"):
            run = matctl(folder, *words)
            if run.returncode not in (0, 1):
                check(f"garbage {reply!r} to {words[0]}", False, run)
        fake.close()
    check("garbage is survived", True)


def test_silence(folder):
    fake = Fake(f"{folder}/matd.ctl", lambda *_: None)
    run = matctl(folder, "--timeout=1", "status")
    check("silence ends", run.returncode == 1
          and "no answer within 1 s" in run.stderr, run)
    fake.close()


def test_hint(folder):
    fake = Fake(f"{folder}/matd.ctl",
                lambda *_: (json.dumps({"text": "told"}), None))
    run = matctl(folder, "hint", "prepare", "zone=7", "mac=52:54:00:00:00:01")
    check("a hint is passed on", run.returncode == 0
          and run.stdout == "told\n" and fake.asked == [
              ("mat/hint", ["prepare", "zone=7", "mac=52:54:00:00:00:01"])],
          (run, fake.asked))
    run = matctl(folder, "freeze", "10.0.0.1", "--json")
    check("a change can print JSON", json.loads(run.stdout) == {
        "text": "told"}, run)
    fake.close()


def test_revoke(folder):
    """Keys made, a certificate revoked, and what matd is sent."""
    cluster = f"{folder}/cluster"
    for words in (
            ("new-cluster", cluster),
            ("issue", f"--cluster={cluster}", "--host=hv1", "--hoas=::/0",
             "--pools=::/0"),
            ("revoke", f"--cluster={cluster}", "hv1")):
        run = matctl(folder, "key", *words)
        check(f"key {words[0]}", run.returncode == 0, run)
    file = run.stdout.split(":")[0]
    fake = Fake(f"{folder}/matd.ctl",
                lambda *_: (json.dumps({"text": "taken over"}), None))
    run = matctl(folder, "revoke", f"{cluster}/hv1/host.cert")
    check("only a revocation is sent", run.returncode == 1
          and "is a host-certificate, not a revocation" in run.stderr
          and not fake.asked, run)
    run = matctl(folder, "revoke", file)
    with open(file, encoding="ascii") as revocation:
        data = [line for line in revocation if not line.startswith("#")]
    check("a revocation is sent as armour", run.stdout == "taken over\n"
          and fake.asked == [("mat/revoke", ["".join(data)])],
          (run, fake.asked))
    fake.close()


def test_follow(folder):
    moves = [{"id": 1, "kind": "in", "outcome": "running", "trigger": "port",
              "hoa": "10.0.0.1", "seen_at": "x", "phases_us": {}}]
    rounds = []

    def answer(*_):
        rounds.append(1)
        if len(rounds) == 2:
            moves.insert(0, {**moves[0], "id": 2, "hoa": "10.0.0.2"})
        if len(rounds) == 3:
            moves[1] = {**moves[1], "outcome": "done",
                        "phases_us": {"claimed": 1000, "table": 1040}}
        return json.dumps({"migrations": moves}), None

    fake = Fake(f"{folder}/matd.ctl", answer)
    with subprocess.Popen(
            [MATCTL, f"--target={folder}/matd.ctl", "migrations", "--follow"],
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OVS_RUNDIR": folder}) as process:
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
    check("a move that begins is told, not those before",
          "#2 in 10.0.0.2" in lines[0] and "running" in lines[0], lines)
    check("and one that ends, with its phases", "#1" in lines[1]
          and "done" in lines[1] and "table +40 us" in lines[1], lines)
    fake.close()


def main():
    if not os.access(MATCTL, os.X_OK):
        print("1..0 # SKIP ctl/matctl is not built")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for test in (test_pages, test_refusal, test_garbage, test_silence,
                     test_hint, test_revoke, test_follow):
            test(folder)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


sys.exit(main())
