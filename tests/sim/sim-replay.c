/* SPDX-License-Identifier: Apache-2.0 */
/* Replay of a flight recording: the same inputs to a fresh engine must give
 * the same outputs, byte for byte. */
#include <inttypes.h>
#include <stdlib.h>

#include "mat-mem.h"
#include "sim.h"

/* The configuration as the recording has it: the structure itself, for the
 * program that replays is the one that recorded, and what it points to. */
struct recorded_config {
    struct mat_gossip_config config;
    uint8_t cert[MAT_CERT_SIZE_MAX];
    uint64_t identity;
    bool real_crypto;
};

/* The outputs so far, kept beside the recorder. */
struct outputs {
    uint64_t n, hash;
};

enum { OUTPUTS_SIZE = 16 };

static struct outputs recorded_outputs;
static const struct mat_recorder *outputs_of;

static uint64_t
hash_u64(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

static uint64_t
hash_bytes(uint64_t h, const uint8_t *bytes, size_t n)
{
    h = hash_u64(h, n);
    for (size_t i = 0; i < n; i++) {
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

static void
add_output(struct outputs *outputs, const struct mat_output *out)
{
    uint64_t h = hash_u64(outputs->hash, out->kind);

    h = hash_bytes(h, out->to.addr.b, sizeof out->to.addr.b);
    h = hash_u64(h, out->to.port);
    h = hash_bytes(h, out->bytes, out->size);
    h = hash_u64(h, out->claim ? out->claim->sum : 0);
    h = hash_u64(h, out->old ? out->old->sum : 0);
    h = hash_u64(h, mat_key_hash(&out->key));
    h = hash_u64(h, out->host);
    h = hash_u64(h, out->state);
    h = hash_u64(h, out->event);
    h = hash_u64(h, out->generation);
    h = hash_u64(h, (uint64_t) out->elapsed_us);
    h = hash_u64(h, out->n_reached);
    outputs->hash = hash_u64(h, out->n_failed);
    outputs->n++;
}

static void
put_outputs(uint8_t bytes[OUTPUTS_SIZE], const struct outputs *outputs)
{
    struct mat_writer w = { .bytes = bytes, .max = OUTPUTS_SIZE };

    mat_put_u64(&w, outputs->n);
    mat_put_u64(&w, outputs->hash);
}

void
sim_record_create(struct mat_recorder *rec,
                  const struct mat_gossip_config *config,
                  const struct sim_identity *identity, int64_t now_us)
{
    struct recorded_config recorded;

    memset(&recorded, 0, sizeof recorded);
    memcpy(&recorded.config, config, sizeof *config);
    memcpy(recorded.cert, config->cert, config->cert_size);
    recorded.identity = identity->number;
    recorded.real_crypto = identity->real != NULL;
    mat_recorder_note(rec, now_us, MAT_REC_CREATE, &recorded,
                      sizeof recorded);
    recorded_outputs = (struct outputs) { .n = 0 };
    outputs_of = rec;
}

void
sim_record_output(struct mat_recorder *rec, const struct mat_output *out)
{
    MAT_ASSERT(rec == outputs_of);      /* One recorder at a time. */
    add_output(&recorded_outputs, out);
}

void
sim_record_drained(struct mat_recorder *rec, int64_t now_us)
{
    uint8_t bytes[OUTPUTS_SIZE];

    MAT_ASSERT(rec == outputs_of);
    put_outputs(bytes, &recorded_outputs);
    mat_recorder_note(rec, now_us, MAT_REC_OUTPUTS, bytes, sizeof bytes);
}

void
sim_record_write(const struct mat_recorder *rec, const char *name)
{
    size_t size = mat_recorder_size(rec);
    uint8_t *bytes = mat_xmalloc(size);
    FILE *file = fopen(name, "wb");

    mat_recorder_write(rec, bytes);
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
        perror(name);
        exit(1);
    }
    free(bytes);
}

struct player {
    struct sim_identity identity;
    struct mat_gossip *engine;
    struct outputs outputs;
    uint64_t n_calls, n_outputs;        /* Of all lives. */
};

static bool
play_create(struct player *p, const struct mat_recorder_entry *entry)
{
    struct recorded_config recorded;

    if (entry->size != sizeof recorded) {
        fprintf(stderr, "the recording is of another version\n");
        return false;
    }
    memcpy(&recorded, entry->data, sizeof recorded);
    mat_gossip_destroy(p->engine);
    sim_identity_destroy(&p->identity);
    sim_identity_init(&p->identity, recorded.identity, recorded.real_crypto);
    recorded.config.crypto = p->identity.crypto;
    recorded.config.cert = recorded.cert;
    recorded.config.pool = NULL;
    p->outputs = (struct outputs) { .n = 0 };
    p->engine = mat_gossip_create(&recorded.config, entry->now_us);
    return p->engine != NULL;
}

/* Drains where the recorded caller did, and only there: what is fed between
 * two drains shares datagrams and signatures. */
static bool
play_outputs(struct player *p, const struct mat_recorder_entry *entry)
{
    struct mat_output out;
    uint8_t bytes[OUTPUTS_SIZE];

    while (mat_gossip_next(p->engine, &out)) {
        add_output(&p->outputs, &out);
        p->n_outputs++;
    }
    put_outputs(bytes, &p->outputs);
    return entry->size == sizeof bytes
           && !memcmp(entry->data, bytes, sizeof bytes);
}

static bool
play(struct player *p, const struct mat_recorder_entry *entry)
{
    uint8_t datagram[MAT_WIRE_DATAGRAM_MAX];
    struct mat_call call;

    if (entry->kind == MAT_REC_CREATE) {
        return play_create(p, entry);
    } else if (!p->engine) {
        return false;
    } else if (entry->kind == MAT_REC_OUTPUTS) {
        return play_outputs(p, entry);
    } else if (!mat_call_read(entry, &call, datagram)) {
        return false;
    }
    p->n_calls++;
    mat_call_make(p->engine, NULL, &call);
    return true;
}

static uint8_t *
read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    uint8_t *bytes = NULL;
    size_t n = 0;

    if (!file) {
        perror(name);
        return NULL;
    }
    do {
        bytes = mat_xrealloc(bytes, *size = n + (1 << 20));
        *size = fread(bytes + n, 1, 1 << 20, file);
        n += *size;
    } while (*size);
    fclose(file);
    *size = n;
    return bytes;
}

int
sim_replay(const char *name, bool list)
{
    struct player p = { .n_calls = 0 };
    struct mat_recorder_entry entry;
    size_t size, cursor = 0;
    uint8_t *bytes = read_file(name, &size);
    uint64_t n_lost = 0;
    bool good = bytes != NULL;

    while (good && mat_recorder_next(bytes, size, &cursor, &n_lost, &entry)) {
        if (list) {
            printf("%12.3f ms %s, %zu bytes\n",
                   (double) entry.now_us / 1000, mat_call_name(entry.kind),
                   entry.size);
        } else if (n_lost) {
            fprintf(stderr, "%s: the beginning is lost; --list shows the "
                    "rest\n", name);
            good = false;
        } else if (!play(&p, &entry)) {
            fprintf(stderr, "%s: differs at %.3f ms (%s)\n", name,
                    (double) entry.now_us / 1000, mat_call_name(entry.kind));
            good = false;
        }
    }
    good = good && cursor == size && (list || p.engine);
    if (good && !list) {
        printf("%s: %" PRIu64 " inputs, %" PRIu64 " outputs, all the same\n",
               name, p.n_calls, p.n_outputs);
    }
    mat_gossip_destroy(p.engine);
    sim_identity_destroy(&p.identity);
    free(bytes);
    return good ? 0 : 1;
}
