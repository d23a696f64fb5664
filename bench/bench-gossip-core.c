/* SPDX-License-Identifier: Apache-2.0 */
/* What one core handles of gossip, with the real crypto.
 *
 *     bench-gossip-core              wall time of all sections
 *     bench-gossip-core SECTION      one round of it, for callgrind
 *
 * A host of a cluster of 33 gets datagrams that were made before, and sends
 * its own, without network between.  bench/bench-gossip-core.sh adds the
 * instructions that callgrind counts in measured(). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mat-mem.h"
#include "sim.h"

enum { HOSTS = 33, ROUNDS = 20, N = 256, TEXT = 1300, MANY = 8 };

struct datagram {
    struct mat_endpoint from;
    size_t size;
    uint8_t bytes[MAT_WIRE_DATAGRAM_MAX];
};

struct core {
    struct sim s;
    struct sim_identity *id;    /* Of host 0. */
    struct mat_gossip *g;       /* Of host 0: who is measured. */
    struct datagram *in;        /* For it. */
    size_t n_in;
    uint32_t n_moas;
    uint8_t text[TEXT + MAT_TAG_SIZE];
    uint8_t signature[64], key[MAT_SECRET_SIZE], nonce[MAT_NONCE_SIZE];
    uint64_t n_out;
};

/* Not static, lest its name be changed. */
struct section;
void measured(const struct section *, struct core *);

struct section {
    const char *name, *what;
    void (*prepare)(struct core *);
    void (*run)(struct core *);
    int n;                      /* Of what it counts, in a run. */
};

static double
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double) ts.tv_sec * 1e6 + (double) ts.tv_nsec / 1e3;
}

/* Datagrams. */

/* Drains host 'i'; keeps what it sends to host 0. */
static void
drain_to_host_0(struct core *c, int i)
{
    struct mat_output out;

    while (mat_gossip_next(c->s.hosts[i].engine, &out)) {
        if (out.kind == MAT_OUT_SEND
            && mat_endpoint_equal(&out.to, &c->s.hosts[0].endpoint)
            && c->n_in < N) {
            struct datagram *d = &c->in[c->n_in++];

            d->from = c->s.hosts[i].endpoint;
            d->size = out.size;
            memcpy(d->bytes, out.bytes, out.size);
        }
    }
}

/* A VM of host 'i' gets another MoA: to others that is like a move. */
static void
move(struct core *c, int i, int nth)
{
    struct sim_vm *vm = &c->s.vms[i + HOSTS * nth];
    struct mat_addr moa = vm->moa;

    c->n_moas++;
    moa.b[14] = (uint8_t) ((moa.b[14] & 0xf0) | (c->n_moas >> 8 & 0xf));
    moa.b[15] = (uint8_t) c->n_moas;
    mat_gossip_claim(c->s.hosts[i].engine, c->s.now_us, &vm->key, &moa,
                     &vm->mac);
}

static void
prepare_moves(struct core *c, int n_claims)
{
    /* Host 0 has acknowledged what came before. */
    sim_run(&c->s, 3 * SIM_S);
    c->n_in = 0;
    for (int k = 0; k < N; k++) {
        int i = 1 + k % (HOSTS - 1);

        for (int j = 0; j < n_claims; j++) {
            move(c, i, j);
        }
        drain_to_host_0(c, i);
    }
    MAT_ASSERT(c->n_in == N);
}

static void
prepare_move(struct core *c)
{
    prepare_moves(c, 1);
}

static void
prepare_many(struct core *c)
{
    prepare_moves(c, MANY);
}

static void
prepare_probes(struct core *c)
{
    c->n_in = 0;
    for (int k = 0; k < N; k++) {
        int i = 1 + k % (HOSTS - 1);
        struct mat_gossip *g = c->s.hosts[i].engine;
        uint8_t bytes[4];
        struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

        mat_put_u32(&w, (uint32_t) k + 1);
        mat_post(g, mat_peer_get(g, mat_member_find(g, c->s.hosts[0].id)),
                 MAT_MSG_PROBE, &w, true);
        drain_to_host_0(c, i);
    }
}

static void
drain(struct core *c)
{
    struct mat_output out;

    while (mat_gossip_next(c->g, &out)) {
        c->n_out += out.kind == MAT_OUT_SEND;
    }
}

static void
run_in(struct core *c)
{
    for (size_t i = 0; i < c->n_in; i++) {
        struct datagram *d = &c->in[i];

        mat_gossip_receive(c->g, c->s.now_us, &d->from, d->bytes, d->size);
        drain(c);
    }
}

/* Moves of host 0. */

static void
settle(struct core *c)
{
    sim_run(&c->s, 3 * SIM_S);
}

static void
run_out(struct core *c)
{
    for (int k = 0; k < 16; k++) {
        move(c, 0, k % 10);
        drain(c);
    }
}

/* Crypto. */

static void
run_sign(struct core *c)
{
    for (int i = 0; i < N; i++) {
        c->id->crypto.sign(c->id->crypto.aux, c->signature, c->text, 24);
    }
}

static void
run_verify(struct core *c)
{
    for (int i = 0; i < N; i++) {
        c->id->crypto.verify(c->id->crypto.aux, c->id->public_key,
                             c->signature, c->text, 24);
    }
}

static void
run_seal(struct core *c)
{
    for (int i = 0; i < N; i++) {
        c->id->crypto.seal(c->id->crypto.aux, c->key, c->nonce, c->nonce, 20,
                           c->text, TEXT);
    }
}

static void
run_shared(struct core *c)
{
    for (int i = 0; i < N; i++) {
        c->id->crypto.shared(c->id->crypto.aux, c->s.hosts[1].identity
                             .public_key, c->key);
    }
}

static const struct section sections[] = {
    { "sign", "a signature", NULL, run_sign, N },
    { "verify", "a check of a signature", NULL, run_verify, N },
    { "seal", "sealing 1300 bytes", NULL, run_seal, N },
    { "shared", "the key of a new peer", NULL, run_shared, N },
    { "probe", "a datagram with a probe, and the answer", prepare_probes,
      run_in, N },
    { "move", "a datagram with a move, and its acknowledgement",
      prepare_move, run_in, N },
    { "many", "a move of 8 in a datagram", prepare_many, run_in, N * MANY },
    { "out", "a move made here, told to 32 hosts", settle, run_out, 16 }
};

__attribute__((noinline)) void
measured(const struct section *section, struct core *c)
{
    section->run(c);
}

static void
run_section(struct core *c, const struct section *section, int rounds)
{
    double best = 1e18;

    for (int i = 0; i < rounds; i++) {
        double start;

        if (section->prepare) {
            section->prepare(c);
        }
        start = now_us();
        measured(section, c);
        start = now_us() - start;
        best = start < best ? start : best;
    }
    best /= section->n;
    printf("%s\t%d\t%.2f\t%.0f\t%s\n", section->name, section->n, best,
           1e6 / best, section->what);
}

int
main(int argc, char *argv[])
{
    struct core c = { .s = { .real_crypto = true, .one_zone = true } };

    sim_init(&c.s, 1, HOSTS, HOSTS * 10);
    sim_host_start_all(&c.s);
    for (int i = 0; i < HOSTS * 10; i++) {
        sim_vm_create(&c.s, i, i % HOSTS);
    }
    sim_run(&c.s, 10 * SIM_S);
    c.g = c.s.hosts[0].engine;
    c.id = &c.s.hosts[0].identity;
    c.in = mat_xcalloc(N, sizeof *c.in);
    run_sign(&c);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (argc == 1 || !strcmp(argv[1], sections[i].name)) {
            run_section(&c, &sections[i], argc == 1 ? ROUNDS : 1);
        }
    }
    free(c.in);
    sim_destroy(&c.s);
    return 0;
}
