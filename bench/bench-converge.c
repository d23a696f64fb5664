/* SPDX-License-Identifier: Apache-2.0 */
/* How fast do hosts learn of moves?  Measured in the simulator: virtual time,
 * so the figures depend on the protocol and the network only.
 *
 *     bench-converge [lan|wan|partition|join|join-single|huge]...
 *
 * Each case prints lines of a Markdown table.  In "join" hosts also need the
 * time that the real crypto and all else takes on this machine. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mat-mem.h"
#include "sim.h"

enum { SAMPLES_MAX = 4 * 1000 * 1000 };

struct bench {
    struct sim s;
    struct mat_version *want;   /* By VM: the claim that is waited for. */
    int64_t *start_us;          /* By VM: when it was made; 0: not watched. */
    uint64_t n_missing;         /* (host, VM) without it. */
    uint64_t *correspondents;   /* Bits of hosts. */
    int64_t *near, *all;        /* Samples: correspondents, all. */
    size_t n_near, n_all;
    int64_t *bound_us;          /* By host: delay and two RTOs. */
    uint64_t n_in_bound;        /* Of 'near'. */
    bool one_by_one;            /* VMs came up so: a signature each. */
    int fresh;                  /* Host whose samples are not among 'all'. */
};

/* Helpers. */

static int
compare_int64(const void *a_, const void *b_)
{
    const int64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static double
percentile_ms(int64_t *samples, size_t n, double share)
{
    size_t i = (size_t) (share * (double) (n - 1));

    if (!n) {
        return -1;
    }
    qsort(samples, n, sizeof *samples, compare_int64);
    return (double) samples[i] / 1000;
}

static void
note_apply(struct sim *s, int host, const struct mat_claim *claim)
{
    struct bench *b = s->aux;
    int vm = sim_vm_of_key(s, &claim->key);

    if (claim->key.type != MAT_TYPE_VMN || vm < 0 || !b->want[vm].host
        || mat_version_compare(&claim->version, &b->want[vm])) {
        return;
    }
    b->n_missing -= b->n_missing > 0;
    if (b->start_us[vm] && b->n_all < SAMPLES_MAX) {
        if (host != b->fresh) {
            b->all[b->n_all++] = s->now_us - b->start_us[vm];
        }
        if (b->correspondents[host / 64] >> host % 64 & 1) {
            b->near[b->n_near++] = s->now_us - b->start_us[vm];
            b->n_in_bound += s->now_us - b->start_us[vm]
                             <= b->bound_us[host];
        }
    }
}

/* Ten sites, 5 to 80 ms from each other; 0.2 ms inside. */
static void
ten_sites(struct sim *s)
{
    s->net.n_sites = 10;
    s->net.site_delay_us = mat_xcalloc(100, sizeof *s->net.site_delay_us);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 10; j++) {
            s->net.site_delay_us[i * 10 + j]
                = i == j ? 200 : 5000 + 75000 * abs(i - j) / 9;
        }
    }
    for (int i = 0; i < s->n_hosts; i++) {
        s->hosts[i].site = i % 10;
    }
}

static void
forget_outputs(struct sim *s)
{
    for (int i = 0; i < s->n_hosts; i++) {
        struct mat_output out;

        mat_claim_list_clear(&s->hosts[i].engine->spread);
        while (mat_gossip_next(s->hosts[i].engine, &out)) {
            continue;
        }
    }
}

/* What each host has said so far, in order of hosts. */
static struct mat_claim_list
collect_claims(struct sim *s)
{
    struct mat_claim_list list = { .n = 0 };

    for (int i = 0; i < s->n_hosts; i++) {
        const struct mat_claim *claim;
        size_t cursor = 0;

        while ((claim = mat_gossip_next_claim(s->hosts[i].engine,
                                              &cursor)) != NULL) {
            if (claim->version.host == s->hosts[i].id) {
                mat_claim_list_add(&list, claim);
            }
        }
    }
    return list;
}

static void
preload_type(struct sim *s, const struct mat_claim_list *list, bool hosts)
{
    enum { AT_ONCE = 256 };    /* So that outputs do not fill the memory. */

    for (size_t first = 0; first < list->n; first += AT_ONCE) {
        for (int j = 0; j < s->n_hosts; j++) {
            for (size_t i = first; i < list->n && i < first + AT_ONCE; i++) {
                const struct mat_claim *claim = list->claims[i];

                if ((claim->key.type == MAT_TYPE_HOST) == hosts
                    && claim->version.host != s->hosts[j].id) {
                    mat_accept(s->hosts[j].engine, NULL, claim);
                }
            }
        }
        forget_outputs(s);
    }
}

static bool
trust(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
      const uint8_t signature[64], const void *data, size_t size)
{
    (void) aux;
    (void) public_key;
    (void) signature;
    (void) data;
    (void) size;
    return true;
}

/* Puts what each host has said into all others: a cluster that has been up
 * for long, without the hours of simulating it. */
static void
preload(struct sim *s)
{
    struct mat_claim_list list = collect_claims(s);

    for (int i = 0; i < s->n_hosts; i++) {
        s->hosts[i].engine->config.crypto.verify = trust;
    }
    preload_type(s, &list, true);
    preload_type(s, &list, false);
    for (int i = 0; i < s->n_hosts; i++) {
        s->hosts[i].engine->config.crypto.verify
            = s->hosts[i].identity.crypto.verify;
    }
    mat_claim_list_destroy(&list);
}

static void
drop_queue(struct sim *s)
{
    while (s->n_queued) {
        free(s->events[--s->n_queued].data);
    }
}

/* Without draining: the VMs of a host come up together, so their claims share
 * signatures. */
static void
create_vm(struct sim *s, struct sim_vm *vm, struct sim_host *host)
{
    vm->host = vm->port_host = host->index;
    vm->moa = sim_take_moa(s, host);
    vm->may_claim[host->index / 64] |= UINT64_C(1) << host->index % 64;
    mat_gossip_claim(host->engine, s->now_us, &vm->key, &vm->moa, &vm->mac);
}

static void
begin(struct bench *b, int n_hosts, int n_vms, bool sites, int n_empty)
{
    struct sim *s = &b->s;
    bool real_crypto = s->real_crypto, no_pools = s->no_pools;
    bool one_by_one = b->one_by_one;

    memset(b, 0, sizeof *b);
    b->one_by_one = one_by_one;
    s->one_zone = true;
    s->real_crypto = real_crypto;
    s->no_pools = no_pools;
    sim_init(s, 1, n_hosts, n_vms);
    if (sites) {
        ten_sites(s);
    }
    b->near = mat_xcalloc(SAMPLES_MAX, sizeof *b->near);
    b->all = mat_xcalloc(SAMPLES_MAX, sizeof *b->all);
    b->want = mat_xcalloc((size_t) n_vms, sizeof *b->want);
    b->bound_us = mat_xcalloc((size_t) n_hosts, sizeof *b->bound_us);
    b->correspondents = mat_xcalloc((size_t) n_hosts / 64 + 1,
                                    sizeof *b->correspondents);
    b->start_us = mat_xcalloc((size_t) n_vms, sizeof *b->start_us);
    s->aux = b;
    b->fresh = -1;
    for (int i = 0; i < n_hosts; i++) {
        s->hosts[i].no_tables = true;
        s->hosts[i].moa_free_us = mat_xcalloc(
            SIM_MOAS, sizeof *s->hosts[i].moa_free_us);
    }
    for (int i = 0; i < n_hosts - n_empty; i++) {
        sim_host_start(s, i);
    }
    for (int i = 0; i < n_vms; i++) {
        struct sim_host *host = &s->hosts[i % (n_hosts - n_empty)];

        create_vm(s, &s->vms[i], host);
        if (b->one_by_one) {
            mat_stage_flush(host->engine);
        }
    }
    for (int i = 0; i < n_hosts - n_empty; i++) {
        mat_stage_flush(s->hosts[i].engine);
    }
    drop_queue(s);              /* What was sent meanwhile is preloaded. */
    s->n_hosts -= n_empty;
    preload(s);
    s->n_hosts += n_empty;
    for (int i = 0; i < n_hosts - n_empty; i++) {
        s->hosts[i].tick_at_us = -1;
        sim_host_drain(s, &s->hosts[i]);
    }
    s->on_apply = note_apply;
}

static void
end(struct bench *b)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr, "# %d hosts, %d VMNs: %" PRIu64 " events, %.0f MB so far,"
            " claims %.0f MB\n", b->s.n_hosts, b->s.n_vms, b->s.n_events,
            (double) usage.ru_maxrss / 1024,
            (double) mat_claim_pool_bytes(b->s.pool) / 1e6);
    free(b->near);
    free(b->all);
    free(b->want);
    free(b->start_us);
    free(b->bound_us);
    free(b->correspondents);
    sim_destroy(&b->s);
}

static int
random_host(struct bench *b, int except)
{
    int host;

    do {
        host = (int) sim_below(&b->s, (uint32_t) b->s.n_hosts);
    } while (host == except);
    return host;
}

/* The hosts of 'n' VMs of its zone talk with 'vm', for a second: the agents
 * see twice that the mapping is used. */
static void
draw_correspondents(struct bench *b, int vm, int n)
{
    enum { MAX = 256 };
    struct sim *s = &b->s;
    int others[MAX];

    MAT_ASSERT(n <= MAX);
    memset(b->correspondents, 0, (size_t) s->n_hosts / 64 * 8 + 8);
    for (int i = 0; i < n; i++) {
        others[i] = (int) sim_below(s, (uint32_t) s->n_vms);
        sim_vm_access(s, others[i], vm);
    }
    sim_run(s, 500 * SIM_MS);
    for (int i = 0; i < n; i++) {
        int host = s->vms[others[i]].host;

        sim_vm_access(s, others[i], vm);
        if (host != s->vms[vm].host) {
            b->correspondents[host / 64] |= UINT64_C(1) << host % 64;
        }
    }
    sim_run(s, 500 * SIM_MS);
}

static int64_t
site_delay_us(const struct sim *s, int from, int to)
{
    return (s->net.site_delay_us
            ? s->net.site_delay_us[s->hosts[from].site * s->net.n_sites
                                   + s->hosts[to].site]
            : s->net.delay_us);
}

/* By when each host should have a move from 'from' to 'to': the way, over the
 * old host if that must pass it on, and two of the sender's RTOs. */
static void
set_bounds(struct bench *b, int from, int to, bool hint)
{
    struct sim *s = &b->s;
    struct mat_gossip *g = s->hosts[to].engine;

    for (int i = 0; i < s->n_hosts; i++) {
        struct mat_member *m = mat_member_find(g, s->hosts[i].id);

        if (m) {
            b->bound_us[i] = 2 * mat_peer_rto_us(g, mat_peer_get(g, m))
                             + (hint ? site_delay_us(s, to, i)
                                : site_delay_us(s, to, from)
                                  + site_delay_us(s, from, i));
        }
    }
}

static void
start_move(struct bench *b, int vm, int to, bool watch)
{
    struct sim *s = &b->s;
    const struct mat_claim *claim;

    b->start_us[vm] = watch ? s->now_us : 0;
    claim = mat_gossip_find(s->hosts[to].engine, &s->vms[vm].key);
    b->want[vm] = (struct mat_version) {
        claim->version.epoch + 1, 1, s->hosts[to].id
    };
    sim_vm_start(s, vm, to);
}

/* Moves 'n' VMs, one after the other, prepared if 'hint'. */
static void
moves(struct bench *b, int n, int n_correspondents, bool hint,
      int64_t wait_us)
{
    struct sim *s = &b->s;

    for (int i = 0; i < n; i++) {
        int vm = (int) sim_below(s, (uint32_t) s->n_vms);
        int to = random_host(b, s->vms[vm].host);

        draw_correspondents(b, vm, n_correspondents);
        if (hint) {
            sim_vm_prepare(s, vm, to);
            sim_run(s, SIM_S);
        }
        set_bounds(b, s->vms[vm].host, to, hint);
        start_move(b, vm, to, true);
        sim_run(s, wait_us);
        b->want[vm].host = 0;
    }
}

static double
idle_bytes_per_s(struct bench *b)
{
    uint64_t before = b->s.net.n_bytes;

    sim_run(&b->s, 20 * SIM_S);
    return (double) (b->s.net.n_bytes - before) / 20 / b->s.n_hosts;
}

/* The rules of memberlist, on the same network: each host that has the event
 * tells 3 random ones every 200 ms, 4 ceil(log10(n + 1)) times. */
static void
memberlist(struct bench *b, int n_rounds, const char *name)
{
    int n = b->s.n_hosts, limit = 4;
    int64_t *heard = mat_xcalloc((size_t) n, sizeof *heard);
    int *left = mat_xcalloc((size_t) n, sizeof *left);
    uint64_t n_sent = 0;

    for (int64_t power = 10; power < n + 1; power *= 10) {
        limit += 4;
    }
    b->n_all = 0;
    for (int round = 0; round < n_rounds; round++) {
        for (int i = 0; i < n; i++) {
            heard[i] = INT64_MAX;
            left[i] = limit;
        }
        heard[0] = 0;
        for (int64_t t = 0; t < 6 * SIM_S; t += SIM_MS) {
            for (int i = 0; i < n; i++) {
                /* Each host has its own phase of 200 ms. */
                if (heard[i] > t || left[i] <= 0
                    || (t / SIM_MS + (int64_t) i * 7919) % 200) {
                    continue;
                }
                for (int k = 0; k < 3; k++) {
                    int j = random_host(b, i);
                    const struct sim_net *net = &b->s.net;
                    int64_t delay = site_delay_us(&b->s, i, j);

                    left[i]--;
                    n_sent++;
                    if (!sim_chance(&b->s, net->loss)
                        && t + delay < heard[j]) {
                        heard[j] = t + delay;
                    }
                }
            }
        }
        for (int i = 1; i < n && b->n_all < SAMPLES_MAX; i++) {
            b->all[b->n_all++] = heard[i] == INT64_MAX ? 30 * SIM_S
                                 : heard[i];
        }
    }
    printf("| %s: memberlist's rules | - | - | %.0f | %.0f | %.0f messages a "
           "move |\n", name, percentile_ms(b->all, b->n_all, .5),
           percentile_ms(b->all, b->n_all, .99), (double) n_sent / n_rounds);
    free(heard);
    free(left);
}

static void
report(struct bench *b, const char *name, const char *note)
{
    char share[80] = "";

    if (b->n_in_bound) {
        snprintf(share, sizeof share, "; %.2f %% of %zu correspondents within "
                 "delay + 2 RTO", 100.0 * (double) b->n_in_bound
                 / (double) b->n_near, b->n_near);
    }
    printf("| %s |", name);
    if (b->n_near) {
        printf(" %.2f | %.2f |", percentile_ms(b->near, b->n_near, .5),
               percentile_ms(b->near, b->n_near, .99));
    } else {
        printf(" - | - |");
    }
    printf(" %.2f | %.2f | %s%s |\n", percentile_ms(b->all, b->n_all, .5),
           percentile_ms(b->all, b->n_all, .99), note, share);
    fflush(stdout);
    b->n_near = b->n_all = b->n_in_bound = 0;
}

/* 'n' VMs move at the same instant: to one host, or each to another one.  How
 * many datagrams does that take, acknowledgements included? */
static void
storm(struct bench *b, int n, bool scatter)
{
    struct sim *s = &b->s;
    uint64_t before = s->net.n_sent, idle;
    char note[120];
    int to = random_host(b, -1);

    memset(b->correspondents, 0, (size_t) s->n_hosts / 64 * 8 + 8);
    sim_run(s, 5 * SIM_S);
    idle = s->net.n_sent - before;
    before = s->net.n_sent;
    for (int i = 0; i < n; i++) {
        int vm = (int) sim_below(s, (uint32_t) s->n_vms);

        to = scatter ? random_host(b, s->vms[vm].host) : to;
        if (s->vms[vm].host == to || b->start_us[vm]) {
            i--;
            continue;
        }
        b->start_us[vm] = s->now_us;
        b->want[vm] = (struct mat_version) {
            mat_gossip_find(s->hosts[to].engine,
                            &s->vms[vm].key)->version.epoch + 1, 1,
            s->hosts[to].id
        };
        sim_vm_move_quietly(s, vm, to);
    }
    for (int i = 0; i < s->n_hosts; i++) {
        sim_host_drain(s, &s->hosts[i]);
    }
    sim_run(s, 5 * SIM_S);
    snprintf(note, sizeof note, "%d datagrams; one by one it would be %d",
             (int) (s->net.n_sent - before - idle), 2 * n * s->n_hosts);
    report(b, scatter ? "same, 200 VMs at once, to random hosts"
           : "same, 200 VMs at once, to one host", note);
    memset(b->start_us, 0, (size_t) s->n_vms * sizeof *b->start_us);
}

/* Cases. */

static void
lan(void)
{
    struct bench b = { .n_all = 0 };
    char note[80];

    begin(&b, 50, 500, false, 0);
    sim_run(&b.s, 60 * SIM_S);
    snprintf(note, sizeof note, "idle %.1f kB/s a host",
             idle_bytes_per_s(&b) / 1000);
    moves(&b, 200, 20, true, 500 * SIM_MS);
    report(&b, "50 hosts, LAN 0.2 ms, hinted", note);
    moves(&b, 200, 20, false, 500 * SIM_MS);
    report(&b, "same, no hint", "");
    b.s.net.loss = 500;
    moves(&b, 500, 20, true, 500 * SIM_MS);
    report(&b, "same, hinted, 5 % loss", "");
    memberlist(&b, 20, "same");
    end(&b);
}

static void
wan(void)
{
    struct bench b = { .n_all = 0 };
    char note[80];

    begin(&b, 1000, 10000, true, 0);
    b.s.net.loss = 500;
    sim_run(&b.s, 20 * SIM_S);
    snprintf(note, sizeof note, "idle %.1f kB/s a host",
             idle_bytes_per_s(&b) / 1000);
    moves(&b, 40, 20, true, 2 * SIM_S);
    report(&b, "1000 hosts, 10 sites 5-80 ms, 5 % loss, hinted", note);
    moves(&b, 40, 20, false, 2 * SIM_S);
    report(&b, "same, no hint", "");
    storm(&b, 200, false);
    storm(&b, 200, true);
    memberlist(&b, 5, "same");
    end(&b);
}

static int64_t
time_until_known(struct bench *b, int64_t at_most_us)
{
    int64_t start = b->s.now_us;

    while (b->n_missing && b->s.now_us - start < at_most_us) {
        sim_run(&b->s, 10 * SIM_MS);
    }
    return b->n_missing ? -1 : b->s.now_us - start;
}

static void
partition(void)
{
    struct bench b = { .n_all = 0 };
    struct sim *s = &b.s;
    char note[120];
    int64_t took;

    begin(&b, 1000, 10000, true, 0);
    sim_run(s, 30 * SIM_S);
    for (int i = 0; i < 1000; i++) {
        s->hosts[i].group = i % 2;
        sim_block(&s->hosts[i], 1 - i % 2, true, true);
    }
    sim_run(s, 30 * SIM_S);
    b.n_missing = UINT64_MAX / 2;
    for (int vm = 0; vm < 1000; vm++) {
        int to = (s->vms[vm].host + 2 * (int) sim_below(s, 400) + 2) % 1000;

        start_move(&b, vm, to, false);
        b.n_missing += 1000;
        sim_run(s, 25 * SIM_MS);
    }
    sim_run(s, 5 * SIM_S);
    b.n_missing -= UINT64_MAX / 2;
    sim_heal(s);
    snprintf(note, sizeof note, "%" PRIu64 " (host, move) pairs were open",
             b.n_missing);
    took = time_until_known(&b, 60 * SIM_S);
    printf("| 60 s partition of half of 1000 hosts, 1000 moves: healed after "
           "| - | - | - | %.0f | %s |\n", (double) took / 1000, note);
    if (took < 0) {
        fprintf(stderr, "# still open: %" PRIu64 "\n", b.n_missing);
    }
    end(&b);
}

/* Moves between hosts that are up, one each 20 ms, during 'n' steps or until
 * 'fresh' has all. */
static void
moves_meanwhile(struct bench *b, int n, const struct sim_host *fresh)
{
    struct sim *s = &b->s;

    for (int i = 0; i < n; i++) {
        int vm = (int) sim_below(s, (uint32_t) s->n_vms);
        int to = (int) sim_below(s, 100);

        if (fresh && fresh->engine->store.n >= s->hosts[0].engine->store.n) {
            return;
        }
        if (to != s->vms[vm].host) {
            start_move(b, vm, to, true);
        }
        sim_run(s, 20 * SIM_MS);
    }
}

/* With the real crypto, and all hosts need time for what they do. */
static void
join_with(bool one_by_one)
{
    struct bench b = {
        .s = { .real_crypto = true }, .one_by_one = one_by_one
    };
    struct sim *s = &b.s;
    struct sim_host *fresh;
    int64_t start;
    uint64_t bytes;
    char note[200];

    begin(&b, 101, 100000, true, 1);
    s->net.loss = 500;
    fresh = &s->hosts[100];
    for (int i = 0; i < 101; i++) {
        sim_busy_init(&s->hosts[i], 4 << 20);
    }
    sim_run(s, 5 * SIM_S);
    moves_meanwhile(&b, 500, NULL);
    report(&b, one_by_one ? "100 hosts, 100,000 records signed one by one, "
                            "50 moves/s"
               : "100 hosts, 100,000 records, 50 moves/s", "");
    /* "Correspondents" are now the fresh host, if a move is made after it
     * came. */
    memset(b.start_us, 0, (size_t) s->n_vms * sizeof *b.start_us);
    b.fresh = 100;
    b.correspondents[100 / 64] |= UINT64_C(1) << 100 % 64;
    start = s->now_us;
    bytes = s->net.n_bytes;
    fresh->all_zones = true;
    sim_host_start(s, 100);
    moves_meanwhile(&b, 1500, fresh);
    snprintf(note, sizeof note, "the fresh host: %.0f ms of a core, %" PRIu64
             " signatures checked; all: %.1f MB; it had %.0f kB in its "
             "socket at most, %" PRIu64 " dropped",
             (double) fresh->busy->cpu_ns / 1e6,
             mat_gossip_counter(fresh->engine, MAT_C_VERIFIED),
             (double) (s->net.n_bytes - bytes) / 1e6,
             (double) fresh->busy->n_bytes_most / 1e3,
             fresh->busy->n_dropped);
    printf("| a fresh host joins them | - | - | - | %.0f | %s |\n",
           (double) (s->now_us - start) / 1000, note);
    report(&b, "same moves meanwhile", "");
    end(&b);
}

static void
join(void)
{
    join_with(false);
}

static void
join_single(void)
{
    join_with(true);
}

static void
huge(void)
{
    struct bench b = { .s = { .no_pools = true } };
    char note[80];

    /* 10,000 pools would take about 10 GB more. */
    begin(&b, 10000, 10000, true, 0);
    fprintf(stderr, "# 10,000 hosts know each other\n");
    b.s.net.loss = 500;
    sim_run(&b.s, 5 * SIM_S);
    snprintf(note, sizeof note, "idle %.1f kB/s a host",
             idle_bytes_per_s(&b) / 1000);
    moves(&b, 5, 20, true, 3 * SIM_S);
    report(&b, "10,000 hosts, 10 sites, 5 % loss, hinted", note);
    end(&b);
}

int
main(int argc, char *argv[])
{
    static const struct { const char *name; void (*run)(void); } cases[] = {
        { "lan", lan }, { "wan", wan }, { "partition", partition },
        { "join", join }, { "join-single", join_single },
        { "huge", huge }
    };

    printf("| case | correspondents p50 ms | p99 | all hosts p50 ms | p99 | "
           "|\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool chosen = argc == 1 && cases[i].run != huge;

        for (int j = 1; j < argc; j++) {
            chosen |= !strcmp(argv[j], cases[i].name);
        }
        if (chosen) {
            cases[i].run();
            fflush(stdout);
        }
    }
    return 0;
}
