/* SPDX-License-Identifier: Apache-2.0 */
/* Random runs: a seed draws the cluster, its troubles and its moves.
 *
 * Each run has its own mixture of troubles (some runs have none of one kind
 * and much of another), as in swarm testing.  After the troubles the network
 * heals and all must agree. */
#include <inttypes.h>

#include "mat-mem.h"
#include "sim.h"

struct mix {
    uint32_t move, hinted, fail, destroy, create, storm;
    uint32_t partition, heal, stop, lose_disk, die, readdress, slow;
    uint32_t clock, attack, access, packet;
    bool has_rogue;
};

static uint32_t
some(struct sim *s, uint32_t max)
{
    return sim_below(s, 3) ? sim_below(s, max) : 0;
}

static struct mix
draw_mix(struct sim *s)
{
    struct mix m = {
        .move = 20 + sim_below(s, 60), .hinted = sim_below(s, 10000),
        .fail = some(s, 2000), .destroy = some(s, 6), .create = 10,
        .storm = some(s, 3), .partition = some(s, 6), .heal = 4,
        .stop = some(s, 6), .lose_disk = some(s, 5000), .die = some(s, 3),
        .readdress = some(s, 3), .slow = some(s, 3), .clock = some(s, 2),
        .attack = some(s, 60), .access = 60, .packet = 60,
        .has_rogue = !sim_below(s, 3)
    };

    s->net.delay_us = sim_below(s, 2) ? 200 : 1000 + sim_below(s, 40000);
    s->net.jitter_us = some(s, 20000);
    s->net.loss = some(s, 2000);
    s->net.duplicate = some(s, 500);
    s->net.corrupt = some(s, 300);
    return m;
}

/* Moves, in their steps. */

static void
finish_move(struct sim *s, uint64_t i, uint64_t host_)
{
    struct sim_vm *vm = &s->vms[i];
    int host = (int) host_;

    if (vm->host >= 0 || vm->is_doubled) {
        return;
    }
    if (!s->hosts[host].is_dead && s->hosts[host].is_up) {
        sim_vm_start(s, (int) i, host);
    } else if (vm->port_host >= 0) {
        sim_vm_cancel(s, (int) i);
        sim_vm_start(s, (int) i, vm->port_host);
    }
}

static void
fail_move(struct sim *s, uint64_t i, uint64_t unused)
{
    struct sim_vm *vm = &s->vms[i];

    (void) unused;
    sim_vm_cancel(s, (int) i);
    if (vm->host < 0 && vm->port_host >= 0) {
        sim_vm_start(s, (int) i, vm->port_host);
    }
}

static void
stop_and_finish(struct sim *s, uint64_t i, uint64_t host)
{
    struct sim_vm *vm = &s->vms[i];

    if (vm->host < 0 || vm->target != (int) host) {
        return;
    }
    sim_vm_stop(s, (int) i, true);
    sim_at(s, 1000 + sim_below(s, 300000), finish_move, i, host);
}

static void
stop_and_fail(struct sim *s, uint64_t i, uint64_t host)
{
    struct sim_vm *vm = &s->vms[i];

    if (vm->host < 0 || vm->target != (int) host) {
        return;
    }
    sim_vm_stop(s, (int) i, true);
    sim_at(s, 1000 + sim_below(s, 300000), fail_move, i, 0);
}

static void
move(struct sim *s, const struct mix *m, int i)
{
    struct sim_vm *vm = &s->vms[i];
    int to = (int) sim_below(s, (uint32_t) s->n_hosts);
    int64_t while_us = 1000 + sim_below(s, 2000000);

    if (vm->host < 0 || vm->target >= 0 || to == vm->port_host
        || !s->hosts[to].is_up || s->hosts[to].is_rogue) {
        return;
    }
    if (!sim_chance(s, m->hinted)) {
        sim_vm_stop(s, i, false);
        sim_at(s, 1000 + sim_below(s, 300000), finish_move, (uint64_t) i,
               (uint64_t) to);
        return;
    }
    sim_vm_prepare(s, i, to);
    if (!sim_chance(s, m->fail)) {
        sim_at(s, while_us, stop_and_finish, (uint64_t) i, (uint64_t) to);
    } else if (sim_below(s, 2)) {
        sim_at(s, while_us, stop_and_fail, (uint64_t) i, (uint64_t) to);
    } else {
        sim_at(s, while_us, fail_move, (uint64_t) i, 0);
    }
}

static void
create_or_restore(struct sim *s, int i)
{
    int host = (int) sim_below(s, (uint32_t) s->n_hosts);

    /* Also a VM of a dead host is restored elsewhere. */
    if (s->vms[i].host < 0 && s->vms[i].port_host < 0
        && s->vms[i].target < 0 && s->hosts[host].is_up
        && !s->hosts[host].is_rogue) {
        sim_vm_create(s, i, host);
    }
}

/* Troubles. */

static void
restart(struct sim *s, uint64_t host, uint64_t unused)
{
    (void) unused;
    if (!s->hosts[host].is_up) {
        sim_host_start(s, (int) host);
    }
}

static int
n_up(const struct sim *s)
{
    int n = 0;

    for (int i = 0; i < s->n_hosts; i++) {
        n += s->hosts[i].is_up;
    }
    return n;
}

static void
stop_host(struct sim *s, const struct mix *m, int i, bool die)
{
    if (!s->hosts[i].is_up || n_up(s) <= s->n_hosts / 2
        || s->hosts[i].is_rogue) {
        return;
    }
    if (die) {
        sim_host_die(s, i);
    } else {
        sim_host_stop(s, i, !sim_chance(s, m->lose_disk));
    }
    sim_at(s, 500000 + sim_below(s, 15000000), restart, (uint64_t) i, 0);
}

static void
partition(struct sim *s)
{
    uint32_t kind = sim_below(s, 3);

    for (int i = 0; i < s->n_hosts; i++) {
        for (int j = 0; j < s->n_hosts && j < 64; j++) {
            bool apart = (kind == 0 ? i % 2 != j % 2
                          : kind == 1 ? (i < s->n_hosts / 2) != (j
                                                             < s->n_hosts / 2)
                          : !sim_below(s, 8));

            if (apart && i != j) {
                sim_block(&s->hosts[i], j, kind != 2 || sim_below(s, 2),
                          kind != 2);
            }
        }
    }
    sim_trace(s, "partition of kind %" PRIu32, kind);
}

static void
unblock(struct sim *s)
{
    for (int i = 0; i < s->n_hosts; i++) {
        s->hosts[i].blocked_in = s->hosts[i].blocked_out = 0;
    }
    sim_trace(s, "partition heals");
}

/* Someone on the way with neither keys nor scruples. */
static void
attack(struct sim *s)
{
    const struct sim_event *seen;
    struct sim_event event;

    s->is_capturing = true;
    if (!s->n_captured) {
        return;
    }
    seen = &s->captured[sim_below(s, (uint32_t) s->n_captured)];
    event = *seen;
    event.kind = SIM_DATAGRAM;
    event.at_us = s->now_us + sim_below(s, 50000);
    event.data = mat_xmalloc(seen->size + 1);
    memcpy(event.data, seen->data, seen->size);
    switch (sim_below(s, 4)) {
    case 0:                     /* Replayed as it was. */
        break;
    case 1:                     /* To another host. */
        event.host = (int) sim_below(s, (uint32_t) s->n_hosts);
        event.to = s->hosts[event.host].endpoint;
        break;
    case 2:                     /* As if from another host. */
        event.from = s->hosts[sim_below(s, (uint32_t) s->n_hosts)].endpoint;
        break;
    default:                    /* With another text. */
        for (int i = 0; i < 4; i++) {
            event.data[sim_below(s, (uint32_t) event.size)]
                = (uint8_t) sim_below(s, 256);
        }
        break;
    }
    sim_push_event(s, &event);
}

/* A host with a good key claims what its certificate does not cover. */
static void
rogue_claims(struct sim *s)
{
    struct sim_host *rogue = &s->hosts[s->n_hosts - 1];
    struct sim_vm *vm = &s->vms[sim_below(s, (uint32_t) s->n_vms)];
    struct mat_call call = {
        .kind = sim_below(s, 2) ? MAT_REC_CLAIM : MAT_REC_PREPARE,
        .key = vm->key, .mac = vm->mac
    };

    if (rogue->is_rogue && rogue->is_up && mat_addr_is_v4(&vm->key.addr)) {
        call.addr = sim_take_moa(s, rogue);
        sim_call(s, rogue, &call);
    }
}

static void
step_clock(struct sim *s)
{
    struct mat_call call = { .kind = MAT_REC_WALL };
    uint32_t host = sim_below(s, (uint32_t) s->n_hosts);

    call.wall_s = s->wall_s + (int64_t) sim_below(s, 86400) - 43200;
    sim_trace(s, "h%" PRIu32 "'s wall clock steps", host);
    sim_call(s, &s->hosts[host], &call);
}

/* One action. */

static bool
drawn(uint32_t *lot, uint32_t weight)
{
    if (*lot < weight) {
        return true;
    }
    *lot -= weight;
    return false;
}

static uint32_t
total(const struct mix *m)
{
    return m->move + m->destroy + m->create + m->storm + m->partition + m->heal
           + m->stop + m->die + m->readdress + m->slow + m->clock + m->attack
           + m->access + m->packet;
}

static void
storm(struct sim *s, const struct mix *m)
{
    sim_trace(s, "storm");
    for (int i = 0; i < s->n_vms; i++) {
        if (sim_below(s, 2)) {
            move(s, m, i);
        }
    }
}

static void
trouble(struct sim *s, const struct mix *m, uint32_t lot, int host)
{
    if (drawn(&lot, m->partition)) {
        partition(s);
    } else if (drawn(&lot, m->heal)) {
        unblock(s);
    } else if (drawn(&lot, m->stop)) {
        stop_host(s, m, host, false);
    } else if (drawn(&lot, m->die)) {
        stop_host(s, m, host, true);
    } else if (drawn(&lot, m->readdress)) {
        if (host) {             /* One seed stays where all look for it. */
            sim_host_move(s, host);
        }
    } else if (drawn(&lot, m->slow)) {
        s->hosts[host].slow_us = sim_below(s, 3) ? sim_below(s, 400000) : 0;
    } else if (drawn(&lot, m->clock)) {
        step_clock(s);
    } else if (m->has_rogue && !sim_below(s, 4)) {
        rogue_claims(s);
    } else {
        attack(s);
    }
}

static void
act(struct sim *s, const struct mix *m)
{
    uint32_t lot = sim_below(s, total(m));
    int vm = (int) sim_below(s, (uint32_t) s->n_vms);
    int other = (int) sim_below(s, (uint32_t) s->n_vms);
    int host = (int) sim_below(s, (uint32_t) s->n_hosts);

    if (drawn(&lot, m->move)) {
        move(s, m, vm);
    } else if (drawn(&lot, m->access)) {
        sim_vm_access(s, vm, other);
    } else if (drawn(&lot, m->packet)) {
        sim_vm_packet(s, vm, other);
    } else if (drawn(&lot, m->destroy)) {
        if (s->vms[vm].host >= 0) {
            sim_vm_destroy(s, vm);
        }
    } else if (drawn(&lot, m->create)) {
        create_or_restore(s, vm);
    } else if (drawn(&lot, m->storm)) {
        storm(s, m);
    } else {
        trouble(s, m, lot, host);
    }
}

/* What is under way comes to an end, and all hosts are there again. */
static void
calm_down(struct sim *s)
{
    struct mat_call call = { .kind = MAT_REC_WALL, .wall_s = s->wall_s };

    sim_heal(s);
    sim_run(s, 4 * SIM_S);
    for (int i = 0; i < s->n_hosts; i++) {
        if (!s->hosts[i].is_up) {
            sim_host_start(s, i);
        }
        sim_call(s, &s->hosts[i], &call);
    }
    for (int i = 0; i < s->n_vms; i++) {
        struct sim_vm *vm = &s->vms[i];

        if (vm->host < 0 && (vm->port_host >= 0 || vm->target >= 0)) {
            fail_move(s, (uint64_t) i, 0);
        } else if (vm->target >= 0) {
            sim_vm_cancel(s, i);
        }
    }
    sim_trace(s, "calm");
}

static void
make_rogue(struct sim *s)
{
    struct sim_host *rogue = &s->hosts[s->n_hosts - 1];

    rogue->is_rogue = true;
    sim_host_certify(s, rogue, true, 1);
}

void
sim_random_run(uint64_t seed, int n_hosts, bool real_crypto, bool verbose,
               const char *record_file)
{
    struct sim s = { .real_crypto = real_crypto, .verbose = verbose };
    char replay[160];
    struct mix m;

    snprintf(replay, sizeof replay,
             "make check-sim SEED=%" PRIu64 " RUNS=1 HOSTS=%d%s", seed,
             n_hosts, real_crypto ? " CRYPTO=1" : "");
    s.replay = replay;
    sim_init(&s, seed, n_hosts, n_hosts * 2);
    m = draw_mix(&s);
    if (m.has_rogue) {
        make_rogue(&s);
    }
    if (record_file) {
        s.hosts[1].recorder = mat_recorder_create(1 << 26);
    }
    sim_host_start_all(&s);
    for (int i = 0; i < s.n_vms * 3 / 4; i++) {
        create_or_restore(&s, i);
    }
    for (int n = 100 + (int) sim_below(&s, 500); n; n--) {
        sim_run(&s, 1000 + sim_below(&s, 80000));
        act(&s, &m);
    }
    calm_down(&s);
    sim_settle(&s, 90 * SIM_S);
    if (record_file) {
        sim_record_write(s.hosts[1].recorder, record_file);
    }
    sim_destroy(&s);
}
