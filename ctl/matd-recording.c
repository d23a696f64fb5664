/* SPDX-License-Identifier: Apache-2.0 */
#include "matd-recording.h"

#include <inttypes.h>
#include <stdio.h>

#include "mat-call.h"
#include "mat-mem.h"

enum { VERSION = 1, OUTPUTS_SIZE = 16 };

/* Outputs. */

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

/* A datagram ends in the tag of its sealing, which depends on all of it. */
void
matd_outputs_add(struct matd_outputs *outputs, const struct mat_output *out)
{
    size_t n = out->size < MAT_TAG_SIZE ? out->size : MAT_TAG_SIZE;
    uint64_t h = hash_u64(outputs->hash, out->kind);

    h = hash_bytes(h, out->to.addr.b, sizeof out->to.addr.b);
    h = hash_u64(h, out->to.port);
    h = hash_u64(h, out->size);
    h = hash_bytes(h, out->bytes + (out->size - n), n);
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
put_outputs(uint8_t bytes[OUTPUTS_SIZE], const struct matd_outputs *outputs)
{
    struct mat_writer w = { .bytes = bytes, .max = OUTPUTS_SIZE };

    mat_put_u64(&w, outputs->n);
    mat_put_u64(&w, outputs->hash);
}

void
matd_recording_drained(struct mat_recorder *recorder, int64_t now_us,
                       const struct matd_outputs *outputs)
{
    uint8_t bytes[OUTPUTS_SIZE];

    put_outputs(bytes, outputs);
    mat_recorder_note(recorder, now_us, MAT_REC_OUTPUTS, bytes,
                      sizeof bytes);
}

/* The configuration. */

static void
put_endpoint(struct mat_writer *w, const struct mat_endpoint *e)
{
    mat_put_addr(w, &e->addr);
    mat_put_u16(w, e->port);
}

static struct mat_endpoint
get_endpoint(struct mat_reader *r)
{
    struct mat_endpoint e = { .addr = mat_get_addr(r) };

    e.port = mat_get_u16(r);
    return e;
}

void
matd_recording_create(struct mat_recorder *recorder, int64_t now_us,
                      const struct mat_gossip_config *c)
{
    uint8_t bytes[MATD_RECORDING_CREATE_MAX];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    mat_put_u8(&w, VERSION);
    mat_put_u64(&w, c->id);
    mat_put_u32(&w, c->generation);
    mat_put_u64(&w, c->salt);
    mat_put_u64(&w, c->seed);
    put_endpoint(&w, &c->endpoint);
    mat_put_u16(&w, c->mtu);
    mat_put_u8(&w, c->all_zones);
    mat_put_u16(&w, c->label);
    mat_put_u64(&w, (uint64_t) c->wall_s);
    mat_put_bytes(&w, c->cluster_key, sizeof c->cluster_key);
    mat_put_u16(&w, (uint16_t) c->cert_size);
    mat_put_bytes(&w, c->cert, c->cert_size);
    mat_put_u8(&w, (uint8_t) c->n_seeds);
    for (size_t i = 0; i < c->n_seeds; i++) {
        put_endpoint(&w, &c->seeds[i]);
    }
    MAT_ASSERT(!w.overflow);
    mat_recorder_note(recorder, now_us, MAT_REC_CREATE, bytes, w.n);
}

static bool
get_config(struct mat_reader *r, struct mat_gossip_config *c)
{
    const uint8_t *key;

    *c = (struct mat_gossip_config) { .mtu = 0 };
    mat_gossip_tuning_default(&c->tuning);
    if (mat_get_u8(r) != VERSION) {
        return false;
    }
    c->id = mat_get_u64(r);
    c->generation = mat_get_u32(r);
    c->salt = mat_get_u64(r);
    c->seed = mat_get_u64(r);
    c->endpoint = get_endpoint(r);
    c->mtu = mat_get_u16(r);
    c->all_zones = mat_get_u8(r) != 0;
    c->label = mat_get_u16(r);
    c->wall_s = (int64_t) mat_get_u64(r);
    key = mat_get_bytes(r, sizeof c->cluster_key);
    if (key) {
        memcpy(c->cluster_key, key, sizeof c->cluster_key);
    }
    c->cert_size = mat_get_u16(r);
    c->cert = mat_get_bytes(r, c->cert_size);
    c->n_seeds = mat_get_u8(r);
    if (c->n_seeds > MAT_GOSSIP_SEEDS_MAX) {
        return false;
    }
    for (size_t i = 0; i < c->n_seeds; i++) {
        c->seeds[i] = get_endpoint(r);
    }
    return !r->bad && !r->left;
}

/* Replay. */

struct player {
    const struct matd_keys *keys;
    struct mat_gossip *engine;
    struct matd_outputs outputs;
    uint64_t n_calls, n_outputs;
    const char *why;
};

static bool
play_create(struct player *p, const struct mat_recorder_entry *entry)
{
    struct mat_reader r = { .bytes = entry->data, .left = entry->size };
    struct mat_gossip_config config;

    if (!get_config(&r, &config)) {
        p->why = "the recording is of another version";
        return false;
    }
    config.crypto = p->keys->crypto;
    memcpy(config.join_keys, p->keys->join_keys, sizeof config.join_keys);
    mat_gossip_destroy(p->engine);
    p->outputs = (struct matd_outputs) { .n = 0 };
    p->engine = mat_gossip_create(&config, entry->now_us);
    if (!p->engine) {
        p->why = "the certificate in the recording is not good";
    }
    return p->engine != NULL;
}

static bool
play_outputs(struct player *p, const struct mat_recorder_entry *entry)
{
    uint8_t bytes[OUTPUTS_SIZE];
    struct mat_output out;

    while (mat_gossip_next(p->engine, &out)) {
        matd_outputs_add(&p->outputs, &out);
        p->n_outputs++;
    }
    put_outputs(bytes, &p->outputs);
    if (entry->size != sizeof bytes
        || memcmp(entry->data, bytes, sizeof bytes)) {
        p->why = "the outputs differ";
        return false;
    }
    return true;
}

static bool
play(struct player *p, const struct mat_recorder_entry *entry)
{
    uint8_t datagram[MAT_WIRE_DATAGRAM_MAX];
    struct mat_call call;

    if (entry->kind == MAT_REC_CREATE) {
        return play_create(p, entry);
    } else if (!p->engine) {
        p->why = "the beginning is not there";
        return false;
    } else if (entry->kind == MAT_REC_OUTPUTS) {
        return play_outputs(p, entry);
    } else if (!mat_call_read(entry, &call, datagram)) {
        p->why = "the entry is damaged";
        return false;
    }
    p->n_calls++;
    mat_call_make(p->engine, NULL, &call);
    return true;
}

bool
matd_recording_replay(const uint8_t *recording, size_t size,
                      const struct matd_keys *keys, uint64_t *n_calls,
                      uint64_t *n_outputs, char error[MATD_ERROR_MAX])
{
    struct player p = { .keys = keys };
    struct mat_recorder_entry entry = { .now_us = 0 };
    uint64_t n_lost = 0;
    size_t cursor = 0;

    while (!p.why && mat_recorder_next(recording, size, &cursor, &n_lost,
                                       &entry)) {
        if (n_lost) {
            p.why = "its beginning was overwritten";
        } else {
            play(&p, &entry);
        }
    }
    if (!p.why && (cursor != size || !p.engine)) {
        p.why = "it is damaged, or has no beginning";
    }
    if (p.why) {
        snprintf(error, MATD_ERROR_MAX, "recording at %.6f s, %s: %s",
                 (double) entry.now_us / 1e6, mat_call_name(entry.kind),
                 p.why);
    }
    mat_gossip_destroy(p.engine);
    *n_calls = p.n_calls;
    *n_outputs = p.n_outputs;
    return !p.why;
}
