/* SPDX-License-Identifier: Apache-2.0 */
/* Replay of a flight recording: the same inputs to a fresh engine must give
 * the same outputs, byte for byte. */
#include <inttypes.h>

#include "mat-mem.h"
#include "sim.h"

/* The configuration as the recording has it: the structure itself, for the
 * program that replays is the one that recorded, and what it points to. */
struct recorded_config {
    struct mat_gossip_config config;
    uint8_t cert[MAT_CERT_SIZE_MAX];
    uint64_t identity;
};

/* Hash of the outputs since the last note of it, kept beside the recorder. */
static uint64_t outputs_hash;
static const struct mat_recorder *outputs_of;

static uint64_t
hash_bytes(uint64_t h, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

static uint64_t
hash_output(uint64_t h, const struct mat_output *out)
{
    h = (h ^ out->kind) * UINT64_C(0x100000001b3);
    if (out->kind == MAT_OUT_SEND) {
        h = hash_bytes(h, out->to.addr.b, sizeof out->to.addr.b);
        h = hash_bytes(h, out->bytes, out->size);
    } else {
        h ^= out->claim ? out->claim->sum : 0;
        h ^= out->host ^ (uint64_t) out->elapsed_us << 20;
    }
    return h;
}

static void
put_hash(uint8_t bytes[8], uint64_t hash)
{
    struct mat_writer w = { .bytes = bytes, .max = 8 };

    mat_put_u64(&w, hash);
}

void
sim_record_create(struct mat_recorder *rec,
                  const struct mat_gossip_config *config, uint64_t identity,
                  int64_t now_us)
{
    struct recorded_config recorded;

    memset(&recorded, 0, sizeof recorded);
    memcpy(&recorded.config, config, sizeof *config);
    memcpy(recorded.cert, config->cert, config->cert_size);
    recorded.identity = identity;
    mat_recorder_note(rec, now_us, MAT_REC_CREATE, &recorded,
                      sizeof recorded);
    outputs_hash = 0;
    outputs_of = rec;
}

void
sim_record_output(struct mat_recorder *rec, int64_t now_us,
                  const struct mat_output *out)
{
    uint8_t bytes[8];

    MAT_ASSERT(rec == outputs_of);      /* One recorder at a time. */
    outputs_hash = hash_output(outputs_hash, out);
    put_hash(bytes, outputs_hash);
    mat_recorder_note(rec, now_us, MAT_REC_OUTPUTS, bytes, sizeof bytes);
}

struct player {
    struct sim_identity identity;
    struct mat_gossip *engine;
    uint64_t hash;
    uint64_t n_calls, n_outputs;
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
    sim_identity_init(&p->identity, recorded.identity, false);
    recorded.config.crypto = p->identity.crypto;
    recorded.config.cert = recorded.cert;
    recorded.config.pool = NULL;
    p->hash = 0;
    p->engine = mat_gossip_create(&recorded.config, entry->now_us);
    return p->engine != NULL;
}

static bool
play_output(struct player *p, const struct mat_recorder_entry *entry)
{
    struct mat_output out;
    uint8_t bytes[8];

    if (!mat_gossip_next(p->engine, &out)) {
        fprintf(stderr, "an output is missing\n");
        return false;
    }
    p->n_outputs++;
    p->hash = hash_output(p->hash, &out);
    put_hash(bytes, p->hash);
    return entry->size == sizeof bytes
           && !memcmp(entry->data, bytes, sizeof bytes);
}

static bool
play(struct player *p, const struct mat_recorder_entry *entry)
{
    uint8_t datagram[MAT_WIRE_DATAGRAM_MAX];
    struct mat_output out;
    struct mat_call call;

    if (entry->kind == MAT_REC_CREATE) {
        return play_create(p, entry);
    } else if (entry->kind == MAT_REC_OUTPUTS) {
        return p->engine && play_output(p, entry);
    }
    if (!p->engine || !mat_call_read(entry, &call, datagram)) {
        return false;
    }
    if (mat_gossip_next(p->engine, &out)) {
        fprintf(stderr, "an output too many\n");
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
    good = good && cursor == size;
    if (good && !list) {
        printf("%s: %" PRIu64 " inputs, %" PRIu64 " outputs, all the same\n",
               name, p.n_calls, p.n_outputs);
    }
    mat_gossip_destroy(p.engine);
    sim_identity_destroy(&p.identity);
    free(bytes);
    return good ? 0 : 1;
}
