# SPDX-License-Identifier: Apache-2.0
"""matctl and the numbers for Prometheus, with a real matd and its peers."""
import base64
import json
import re
import socket
import subprocess
import tarfile
import time

from agent_harness import test
from harness import assert_same
from switch import wait_until

METRICS_PORT = 19779


def matctl(site, *words):
    """Its status, output and complaints."""
    done = subprocess.run(
        site.switch._command(
            "env", f"OVS_RUNDIR={site.dir}", f"OVS_LOGDIR={site.dir}",
            f"OVS_MAT_SOCKET={site.switch.update_socket()}",
            site.rig.programs.matctl, f"--target={site.dir}/matd.ctl",
            f"--switch={site.dir}/ovs-vswitchd.ctl",
            f"--db={site.dir}/db.sock", f"--keys={site.keys}", *words),
        capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def ask(site, *words):
    status, output, errors = matctl(site, "--json", *words)
    assert_same(f"status of {words} ({errors})", status, 0)
    return json.loads(output)


def findings(site):
    """{check: result}, the worst of each."""
    _, output, _ = matctl(site, "--json", "check")
    worst = {}
    for one in json.loads(output)["checks"]:
        rank = ("ok", "warning", "error").index(one["result"])
        worst[one["check"]] = max(worst.get(one["check"], 0), rank)
        assert one["result"] == "ok" or one["check"] in (
            "problems", "config", "agent", "flows", "uplinks", "routes",
            "switch", "gossip", "keys", "database", "state") or one["fix"], one
    return {name: ("ok", "warning", "error")[rank]
            for name, rank in worst.items()}


@test
def matctl_shows_what_matd_knows(rig):
    vm = rig.a1
    status = ask(rig.a, "status")
    assert status["ready"] and status["in_sync"], status
    assert_same("peers", status["gossip"]["peers"]["alive"], 2)
    assert_same("problems", status["problems"], [])
    mine = {(one["zone"], one["hoa"]) for one in ask(rig.a, "vms")["vms"]
            if one["here"]}
    assert (7, vm.v4) in mine and (7, vm.v6) in mine, mine
    known = {one["hoa"] for one in ask(rig.a, "vms", "--all")["vms"]}
    assert rig.b1.v4 in known and rig.c1.v6 in known, known
    looked_up = ask(rig.a, "lookup", vm.v4, "--zone=7")
    assert_same("MAC", looked_up["mac"], vm.mac)
    by_moa = ask(rig.a, "lookup", looked_up["moa"])
    assert_same("HoA of its MoA", by_moa["hoa"], vm.v4)
    assert_same("hosts", len(ask(rig.a, "peers")["peers"]), 2)
    states = {(m["hoa"], m["zone"]): m["state"]
              for m in ask(rig.a, "mappings")["mappings"]
              if m["state"] in ("local", "remote")}
    assert_same("mapping here", states[vm.v4, 7], "local")
    assert_same("mapping there", states[rig.b1.v4, 7], "remote")
    pools = ask(rig.a, "pools")
    assert any(stock["used"] for stock in pools["stocks"]), pools
    assert {True, False} <= {pool["own"] for pool in pools["pools"]}, pools
    used = {one.get("hoa") for one in ask(rig.a, "pools", "--moas")["moas"]}
    assert vm.v4 in used, used
    keys = {one["key"]: one["value"] for one in ask(rig.a, "config")["keys"]}
    assert_same("bridge", keys["mat-bridge"], "br0")
    for command in ("status", "vms", "peers", "mappings", "pools", "config",
                    "migrations", "metrics"):
        code, output, errors = matctl(rig.a, command)
        assert code == 0 and output and not errors, (command, errors)


@test
def matctl_says_what_is_not_there(rig):
    for words in (("lookup", "192.0.2.77"),
                  ("unfreeze", "192.0.2.77"),
                  ("hint", "prepare", "mac=00:00:00:00:00:77", "--zone=7"),
                  ("hint", "stopped", "mac=00:00:00:00:00:77"),
                  ("hint", "nonsense", "hoa=1.2.3.4"),
                  ("path", "192.0.2.77"),
                  ("trace", rig.b1.v4, rig.c1.v4, "--zone=7")):
        code, output, errors = matctl(rig.a, *words)
        assert code == 1 and not output and errors.startswith("matctl: "), (
            words, code, output, errors)


@test
def a_trace_tells_both_directions(rig):
    trace = ask(rig.a, "trace", rig.a1.v4, rig.b1.v4, "--zone=7")
    assert_same("verdicts", (trace["there"]["verdict"],
                             trace["back"]["verdict"], trace["ok"]),
                ("translated", "delivered", True))
    assert rig.b.owns(trace["there"]["dst"]), trace["there"]
    assert_same("what the other host has", [
        (known["hoa"], known["here"], known["in_sync"], known["agrees"])
        for known in trace["peer"]],
        [(rig.a1.v4, False, True, True), (rig.b1.v4, True, True, True)])
    trace = ask(rig.a, "trace", rig.a1.v6, rig.m.v6, "--zone=7")
    assert_same("verdict", trace["there"]["verdict"], "local")
    code, output, _ = matctl(rig.a, "trace", rig.b1.v4, rig.a1.v4, "--zone=7")
    assert code == 0 and "there: delivered" in output, output
    assert output.count(": as here") == 2, output


@test
def a_path_is_measured(rig):
    wait_until(lambda: matctl(rig.a, "path", "b")[0] == 0, "a path")
    path = ask(rig.a, "path", "b")
    assert_same("from host to host", path["tests"]["plain"], "carried")
    assert 0 < path["rtt_min_us"] <= path["rtt_avg_us"], path
    assert_same("MTU", path["mtu"], rig.a.mtu)
    assert path["good"] and not path["translated"], path


@test
def a_check_finds_nothing_when_all_is_well(rig):
    bad = {name: result for name, result in findings(rig.a).items()
           if result != "ok" and name not in ("clock", "peer-mtu")}
    assert_same("findings", bad, {})


@test
def a_check_finds_what_is_wrong(rig):
    site = rig.c
    before = rig.settings(site)
    rig.expected.append("cannot be served")
    wrong = {
        "bridge": {"mat_bridge": "br7"},
        "uplink": {"mat_uplink": "eth7"},
        "mat-pool4": {"mat_pool4": None, "mat_pool6": None},
    }
    for name, settings in wrong.items():
        site.configure(**settings)
        assert_same(name, findings(site).get(name), "error")
        site.configure(**before)
    site.configure(mat_stock="many")
    wait_until(lambda: findings(site).get("config") == "error",
               "a wrong value is found")
    site.configure(mat_stock=None)
    wait_until(lambda: findings(site).get("config") is None,
               "the right one, too")
    # Three of these are b's, so that it will hardly want what c has had.
    site.configure(mat_pool4=f"routed:{rig.b.subnet4}.248/29")
    wait_until(lambda: findings(site).get("pools") == "error",
               "pools that overlap are found")
    site.configure(**before)
    wait_until(lambda: findings(site).get("pools") == "ok", "no more")
    code, output, _ = matctl(site, "--keys=/nowhere", "check")
    assert code == 1 and re.search(r"^error +keys .*\n +-> ", output, re.M), (
        output)
    site.stop_agent()
    assert_same("without matd", findings(site).get("matd"), "error")
    assert_same("status without matd", matctl(site, "status")[0], 3)
    site.start_agent()
    wait_until(lambda: "error" not in findings(site).values(),
               "all is well again")


@test
def an_operator_freezes_hints_and_deactivates(rig):
    vm = rig.a1
    assert_same("freeze", matctl(rig.a, "freeze", vm.v4, "--zone=7")[0], 0)
    assert ask(rig.a, "lookup", vm.v4, "--zone=7")["frozen"]
    assert_same("unfreeze", matctl(rig.a, "unfreeze", vm.v4, "--zone=7")[0],
                0)
    assert not ask(rig.a, "lookup", vm.v4, "--zone=7")["frozen"]
    assert_same("hint", matctl(rig.b, "hint", "prepare", "zone=7",
                               f"mac={vm.mac}")[0], 0)
    wait_until(lambda: ask(rig.b, "lookup", vm.v4, "--zone=7")["state"]
               == "prepared", "b is prepared")
    assert_same("hint", matctl(rig.b, "hint", "failed", "zone=7",
                               f"mac={vm.mac}")[0], 0)
    wait_until(lambda: ask(rig.b, "lookup", vm.v4, "--zone=7")["state"]
               == "absent", "b is not any more")
    assert_same("deactivate", matctl(rig.c, "deactivate")[0], 0)
    wait_until(lambda: "mat(" not in rig.c.flows(), "no flows")
    assert not ask(rig.c, "status")["active"]
    assert_same("activate", matctl(rig.c, "activate")[0], 0)
    wait_until(lambda: "mat(in)" in rig.c.flows(), "flows are back")


# Numbers.

def connect(site):
    sock = site.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(15)
    sock.connect(("127.0.0.1", METRICS_PORT))
    return sock


def http(site, request):
    """What the server says to 'request', all of it."""
    with connect(site) as sock:
        sock.sendall(request)
        answer = b""
        while True:
            data = sock.recv(65536)
            if not data:
                return answer.decode()
            answer += data


def is_served(rig):
    try:
        connect(rig.a).close()
        return True
    except ConnectionRefusedError:
        return False


def serve(rig):
    rig.a.configure(mat_metrics=f"127.0.0.1:{METRICS_PORT}")
    wait_until(lambda: is_served(rig), "a server")


@test
def prometheus_gets_numbers(rig):
    serve(rig)
    answer = http(rig.a, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, body = answer.split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.1 200 OK"), head
    assert_same("length", int(re.search(r"Content-Length: (\d+)", head)[1]),
                len(body))
    names = set()
    for line in body.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in names, f"{name} twice"
            names.add(name)
        elif not line.startswith("# TYPE "):
            match = re.fullmatch(r"(ovs_mat_\w+?)(_bucket|_sum|_count)?"
                                 r"(\{[^{}]*\})? -?[0-9.]+", line)
            assert match and (match[1] in names
                              or match[1] + match[2] in names), line
    for text in ('ovs_mat_vmns{state="live"}', "ovs_mat_members",
                 'ovs_mat_packets_total{direction="in",verdict="delivered"',
                 "ovs_mat_migration_convergence_seconds_bucket",
                 "ovs_mat_gossip_sent_total", "ovs_mat_gossip_drops_total"):
        assert text in body, text
    rig.a.configure(mat_metrics=None)
    wait_until(lambda: not is_served(rig), "no server")


@test
def the_server_of_numbers_has_limits(rig):
    serve(rig)
    for request, status in ((b"GET / HTTP/1.1\r\n\r\n", 404),
                            (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
                            (b"\x00\xff\n\n", 405),
                            (b"GET /metrics " + b"x" * 4083, 431)):
        assert http(rig.a, request).startswith(f"HTTP/1.1 {status} "), request
    idle = [connect(rig.a) for _ in range(20)]
    begun = time.monotonic()
    for sock in idle:                   # Some at once, the rest in time.
        try:
            assert_same("what the idle get", sock.recv(1), b"")
        except ConnectionResetError:
            pass
        sock.close()
    assert time.monotonic() - begun < 10
    assert "200 OK" in http(rig.a, b"GET /metrics HTTP/1.1\r\n\r\n")
    rig.a.configure(mat_metrics="0.0.0.0:19779")
    wait_until(lambda: ask(rig.a, "status")["problems"],
               "an open port is refused")
    assert is_served(rig)               # As before, on loopback.
    rig.a.configure(mat_metrics=None)
    wait_until(lambda: not ask(rig.a, "status")["problems"], "all is well")


@test
def a_bug_report_has_no_secrets(rig):
    file = f"{rig.a.dir}/report.tar.gz"
    rig.key("rotate", f"--cluster={rig.cluster}")
    code, output, errors = matctl(rig.a, "bugreport", f"--output={file}")
    assert code == 0 and file in output, errors
    texts = {}
    with tarfile.open(file) as archive:
        for member in archive.getmembers():
            if member.isfile():
                texts[member.name.split("/")[1]] = archive.extractfile(
                    member).read()
    for name in ("status.json", "vms.json", "matd.log", "ovs-vswitchd.log",
                 "switch-mat.txt", "external-ids.txt", "host-routes.txt",
                 "recording.bin"):
        assert texts.get(name), f"{name} is not in {sorted(texts)}"
    assert texts["recording.bin"].startswith(b"matrec1\n")
    for secret in secrets_of(rig.a):
        for name, text in texts.items():
            assert (secret not in text and secret.hex().encode() not in text
                    and base64.b64encode(secret)[:30] not in text), name


def secrets_of(site):
    """Every 32 bytes of its secret files that are not the head of a list."""
    for name in "host.key", "join.key":
        with open(f"{site.keys}/{name}") as file:
            data = base64.b64decode("".join(
                re.findall(r"^data: (\S+)$", file.read(), re.M)))
        assert len(data) >= 32
        yield data[-32:]
