# SPDX-License-Identifier: Apache-2.0
"""Planted bugs: each must be caught by some test.  A test of the tests.

    mutants.py SRCDIR BUILDDIR [NAME]...      (make check-mutants)

Each mutant is one file with some text replaced.  It is compiled alone and
linked before libsim.a and libmat.a, whose member of that name is then left
out.  The tests run in order until one fails.  Output is TAP.

To plant another one, add a line to MUTANTS: name, file, what is there (it
must stand there exactly once), what is put in its place.
"""

import os
import subprocess
import sys
import tempfile

MUTANTS = [
    ("older seq wins", "lib/mat-record.c",
     "return a->seq < b->seq ? -1 : 1;", "return a->seq < b->seq ? 1 : -1;"),
    ("ties are broken by arrival", "lib/mat-record.c",
     "    if (cmp) {\n        return cmp;\n    } else if (a->state",
     "    if (a->version.epoch != b->version.epoch\n"
     "        || a->version.seq != b->version.seq) {\n        return cmp;\n"
     "    } else {\n        return 1;\n    }\n    if (a->state"),
    ("a move does not raise the epoch", "lib/mat-vmn.c",
     ": live->version.epoch + 1);", ": live->version.epoch);"),
    ("acknowledgements are not sent", "lib/mat-gossip.c",
     "if (!r->bad && head.flags & MAT_CLAIMS_RELIABLE) {", "if (false) {"),
    ("acknowledgements are not heard", "lib/mat-push.c",
     "if (parcel->counter == counter) {", "if (false) {"),
    ("nothing is sent again", "lib/mat-push.c",
     "if (++parcel->tries < tries_max", "if (false && ++parcel->tries"
     " < tries_max"),
    ("no refutation", "lib/mat-member.c",
     "        refute(g, from, gen, inc);\n", "        (void) refute;\n"),
    ("suspicion never ends in death", "lib/mat-member.c",
     "set_state(g, peer->member, MAT_MEMBER_DEAD);", ";"),
    ("no replay window", "lib/mat-gossip.c",
     "if (!mat_replay_accept(&peer->rx, head->counter)) {",
     "if (false) {"),
    ("the replay window forgets what it slid over", "lib/mat-channel.c",
     "if (window->seen[word % n_words] & bit) {", "if (false) {"),
    ("keys outlive a restart", "lib/mat-channel.c",
     "    mat_put_u64(&w, salt_of_lower_id);\n"
     "    mat_put_u64(&w, salt_of_higher_id);",
     "    mat_put_u64(&w, salt_of_lower_id * 0);\n"
     "    mat_put_u64(&w, salt_of_higher_id * 0);"),
    ("signatures are not checked", "lib/mat-accept.c",
     "if (!mat_tree_verify(&g->config.crypto, public_key, "
     "claim->signature,\n                         root)) {",
     "if (!public_key) {"),
    ("certificates do not limit claims", "lib/mat-accept.c",
     "} else if (!mat_cert_permits(&cert, claim)) {", "} else if (false) {"),
    ("zones of a certificate do not count", "lib/mat-cert.c",
     "return (covers_zone(cert, c->key.zone)\n                && covers",
     "return ((covers_zone(cert, c->key.zone) || true)\n"
     "                && covers"),
    ("certificates do not expire", "lib/mat-accept.c",
     "return cert->not_after_s >= g->wall_s && !is_revoked(g, cert);",
     "return !is_revoked(g, cert);"),
    ("revocation has no effect", "lib/mat-accept.c",
     "return revoke && revoke->version.seq >= cert->serial;",
     "return false && revoke;"),
    ("translated addresses pass", "lib/mat-gossip.c",
     "if (!mat_endpoint_equal(&peer->endpoint, from)) {", "if (false) {"),
    ("prepared displaces live", "lib/mat-vmn.c",
     "stage_vmn(g, vmn, &prep, MAT_CLAIM_LIVE, 0,",
     "stage_vmn(g, vmn, key, MAT_CLAIM_LIVE, 0,"),
    ("inert preparations stay", "lib/mat-store.c",
     "                 || (live && preps[n - 1]->version.epoch\n"
     "                             <= live->version.epoch))) {",
     "                 )) {"),
    ("a withdrawn preparation stays", "lib/mat-vmn.c",
     "        end_prep(g, vmn);\n        mat_stage_flush(g);\n"
     "        remove_vmn",
     "        remove_vmn"),
    ("correspondents do not go with the VMN", "lib/mat-correspond.c",
     "        send_list(g, vmn, mat_peer_get(g, m));\n",
     "        (void) send_list;\n"),
    ("the old owner does not pass a claim on", "lib/mat-vmn.c",
     "            mat_correspond_relay(g, vmn, claim);\n", ""),
    ("interests are not noted", "lib/mat-correspond.c",
     "if (add(g, vmn, from->member->id) && vmn->told) {",
     "if (vmn->told) {"),
    ("no challenge", "lib/mat-vmn.c",
     "if (vmn->port_live && !vmn->is_leaving) {\n"
     "            start_challenge(g, vmn, host);",
     "if (false) {\n            start_challenge(g, vmn, host);"),
    ("everybody concedes", "lib/mat-vmn.c",
     "keep = vmn && vmn->phase == MAT_PHASE_LIVE && vmn->port_live;",
     "keep = false && vmn;"),
    ("nobody concedes", "lib/mat-vmn.c",
     "keep = vmn && vmn->phase == MAT_PHASE_LIVE && vmn->port_live;",
     "keep = !vmn || vmn;"),
    ("a dead rival is asked for ever", "lib/mat-vmn.c",
     "if (!m || !mat_member_is_usable(m)) {\n"
     "        claim_vmn(g, vmn, false);\n        return;",
     "if (!m || !mat_member_is_usable(m)) {\n        return;"),
    ("no damping", "lib/mat-damp.c",
     "if (damp->n >= g->config.tuning.damp_max && !damp->frozen_until_us) {",
     "if (false) {"),
    ("ordinary moves count as contested", "lib/mat-vmn.c",
     "bool is_contested = ((vmn->was_displaced",
     "bool is_contested = ((true || vmn->was_displaced"),
    ("frozen for ever", "lib/mat-damp.c",
     "damp->frozen_until_us = g->now_us + g->config.tuning.freeze_us;",
     "damp->frozen_until_us = INT64_MAX;"),
    ("ghosts are not renewed", "lib/mat-accept.c",
     "return mat_vmn_renew(g, ghost);", "return false;"),
    ("ghosts are not ended", "lib/mat-accept.c",
     "            && claim->state == MAT_CLAIM_LIVE && "
     "is_forgotten(g, claim)) {",
     "            && false && is_forgotten(g, claim)) {"),
    ("a lost generation is not found again", "lib/mat-accept.c",
     "g->generation = out.generation = claim->version.epoch + 1;",
     "out.generation = g->generation;"),
    ("ended claims are forgotten at once", "lib/mat-gossip.c",
     ".tombstone_us = INT64_C(600) * 1000000,", ".tombstone_us = 1000,"),
    ("ended claims are advertised to the end", "lib/mat-accept.c",
     "            mat_store_hide(&g->store, &t->key, true);\n",
     "            ;\n"),
    ("no repair", "lib/mat-sync.c",
     "            send_sums(g, from, zone);\n",
     "            (void) send_sums;\n"),
    ("digests miss replaced claims", "lib/mat-store.c",
     "        if (!slot_is_hidden(slot)) {\n"
     "            toggle_sums(s, old, false);\n        }\n    } else {",
     "    } else {"),
    ("repair sends only what is missing", "lib/mat-sync.c",
     "if (!same && (!e || e->epoch <= claims[i]->version.epoch)) {",
     "if (!same && !e) {"),
    ("nobody knocks at the dead", "lib/mat-probe.c",
     "            send_probe(g, m, 0);\n", "            ;\n"),
    ("all zones are taken", "lib/mat-accept.c",
     "            || mat_vmn_wants_zone(g, claim->key.zone));",
     "            || true);"),
    ("zones are not dropped", "lib/mat-vmn.c",
     "        mat_accept_drop_zone(g, zone);\n", ""),
    ("the same is asked again and again", "lib/mat-pull.c",
     "if (is_asked(g, zone, addr, is_moa)) {", "if (false) {"),
    ("a host does not say that it moved", "lib/mat-gossip.c",
     "    mat_stage_host(g);\n    mat_peer_introduce(g);\n}",
     "}"),
    ("old join keys are refused", "lib/mat-gossip.c",
     "        if (!mat_channel_open(&g->config.crypto, "
     "g->config.join_keys[1], head,\n"
     "                              0, copy, size, &body)) {",
     "        if (copy[0]) {"),
    ("the dead are forgotten with their records", "lib/mat-accept.c",
     "g->now_us - m->since_us > record_us) {",
     "g->now_us - m->since_us > 0) {"),
    ("a known tree needs no signature", "lib/mat-accept.c",
     "    memcpy(text + MAT_HASH_SIZE, signature, MAT_SIGNATURE_SIZE);\n",
     "    memset(text + MAT_HASH_SIZE, signature == NULL, "
     "MAT_SIGNATURE_SIZE);\n"),
    ("what is asked for is not expected", "lib/mat-sync.c",
     "    if (need.n / 8 << bits > MAT_MANY_CLAIMS) {", "    if (false) {"),
    ("storms are not paced", "lib/mat-push.c",
     "has_work(g, peer) && !mat_peer_is_spent(g)", "has_work(g, peer)"),
    ("idle rounds have no limit", "lib/mat-sync.c",
     "if (m && mat_peer_may_idle(g, ROOT_SIZE + 16 * n)) {", "if (m) {"),
    ("an interest is told once", "lib/mat-correspond.c",
     "(interest->n_told < TOLD_AT_FIRST ? TOLD_AGAIN_US",
     "(false ? TOLD_AGAIN_US"),
    ("a revocation is not recorded", "lib/mat-call.c",
     "    case MAT_REC_REVOKE:\n    case MAT_REC_CERT:\n"
     "    case MAT_REC_SEEDS:\n        mat_put_bytes",
     "    case MAT_REC_REVOKE:\n        break;\n    case MAT_REC_CERT:\n"
     "    case MAT_REC_SEEDS:\n        mat_put_bytes"),
    ("leaves come in the order of the table", "lib/mat-sync.c",
     "prefix |= (i >> bit & 1) << (63 - bit);",
     "prefix = i << (64 - sync->bits);"),
    ("a host that lags is in no hurry", "lib/mat-sync.c",
     "g->sync.eager_until_us = g->now_us + EAGER_US;",
     "g->sync.eager_until_us = 0 * EAGER_US;"),
    ("incarnations are not in the digest", "lib/mat-member.c",
     "    toggle(g, m);\n    m->incarnation = inc;\n",
     "    m->incarnation = inc;\n"),
    ("the relay forgets what it gathers", "lib/mat-spread.c",
     "        mat_spread_branch(g, &t->head, 0, t->from, t->claims, t->n);\n",
     "        ;\n"),
    ("no self-awareness", "lib/mat-probe.c",
     "return us * (1 + g->prober.health);",
     "return us * (1 + 0 * g->prober.health);"),
    ("pulls have no rate", "lib/mat-pull.c",
     "        || !mat_bucket_take(&g->pull_bucket, "
     "g->config.tuning.pulls_s, 1,\n                            now_us)) {",
     "        ) {"),
    ("labels do not count", "lib/mat-gossip.c",
     "} else if (head.label != g->config.label) {", "} else if (false) {"),
    ("MoAs are reused at once", "tests/sim/sim-host.c",
     "QUARANTINE_S = 90", "QUARANTINE_S = 0"),
]

# Object with main(), arguments.
TESTS = [
    ["tests/unit/test-mat-store"],
    ["tests/unit/test_mat_security-test-mat-security"],
    ["tests/sim/test-sim-bounds"],
    ["tests/sim/test-sim-moves"],
    ["tests/sim/test-sim-members"],
    ["tests/sim/test-sim-security"],
    ["tests/sim/sim-main", "--seed=1", "--runs=60"],
]


def main():
    srcdir, builddir = sys.argv[1:3]
    names = sys.argv[3:]
    chosen = [m for m in MUTANTS if not names or m[0] in names]
    n_bad = 0
    print(f"1..{len(chosen)}")
    for number, mutant in enumerate(chosen, 1):
        caught = try_mutant(srcdir, builddir, mutant)
        n_bad += not caught
        print(f"{'ok' if caught else 'not ok'} {number} - {mutant[0]}"
              + (f" # caught by {caught}" if caught else ""), flush=True)
    return 1 if n_bad else 0


def try_mutant(srcdir, builddir, mutant):
    """The name of the test that fails with 'mutant', or none."""
    _, file, old, new = mutant
    with open(os.path.join(srcdir, file), encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        sys.exit(f"{file} has {text.count(old)} times: {old}")
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, os.path.basename(file))
        with open(source, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        mutated = os.path.join(folder, "mutant.o")
        includes = [f"-I{os.path.join(srcdir, d)}"
                    for d in ("lib", "ctl", "tests/sim", "tests/unit")]
        compiler = os.environ.get("CC", "gcc").split()
        run(compiler + ["-std=gnu11", "-w", "-O1", "-g", "-c", *includes,
                        "-o", mutated, source])
        for test in TESTS:
            program = os.path.join(folder, "test")
            link(compiler, builddir, test[0], mutated, program)
            if fails([program] + test[1:]):
                return os.path.basename(test[0])
    return None


def link(compiler, builddir, test, mutated, program):
    def built(name):
        return os.path.join(builddir, name)

    run(compiler + ["-o", program, built(test + ".o"), mutated,
                    built("tests/sim/libsim.a"),
                    built("tests/unit/libclaims.a"),
                    built("ctl/libmatcrypto.a"), built("lib/libmat.a"),
                    "-lsodium", "-lcmocka"])


def fails(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=300,
                              check=False).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def run(command):
    subprocess.run(command, check=True)


sys.exit(main())
