/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds an engine with datagrams of members that have gone mad.
 *
 * The input is a script: each step is a byte that says what happens, and for a
 * datagram a length and its messages.  The crypto of this test lets everything
 * pass, so the bytes reach the handlers of messages as if members had sealed
 * them.  Nothing may crash, and limits must hold. */
#include <stdlib.h>

#include "mat-engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

enum { N_MEMBERS = 3, STEPS_MAX = 64 };

static void
any_hash(void *aux, uint8_t digest[MAT_DIGEST_SIZE], const void *data,
         size_t size)
{
    const uint8_t *p = data;
    uint64_t h = size;

    (void) aux;
    for (size_t i = 0; i < size; i++) {
        h = mat_mix64(h ^ p[i]);
    }
    for (int i = 0; i < 4; i++) {
        memcpy(digest + 8 * i, &h, 8);
    }
}

static void
any_sign(void *aux, uint8_t signature[64], const void *data, size_t size)
{
    (void) aux;
    (void) data;
    memset(signature, (int) size, 64);
}

static bool
any_verify(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
           const uint8_t signature[64], const void *data, size_t size)
{
    (void) aux;
    (void) public_key;
    (void) signature;
    (void) data;
    (void) size;
    return true;
}

static bool
any_shared(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
           uint8_t secret[MAT_SECRET_SIZE])
{
    (void) aux;
    memcpy(secret, public_key, MAT_SECRET_SIZE);
    return true;
}

static void
any_seal(void *aux, const uint8_t key[MAT_SECRET_SIZE],
         const uint8_t nonce[MAT_NONCE_SIZE], const void *ad, size_t ad_size,
         uint8_t *text, size_t size)
{
    (void) aux;
    (void) key;
    (void) nonce;
    (void) ad;
    (void) ad_size;
    memset(text + size, 0, MAT_TAG_SIZE);
}

static bool
any_unseal(void *aux, const uint8_t key[MAT_SECRET_SIZE],
           const uint8_t nonce[MAT_NONCE_SIZE], const void *ad,
           size_t ad_size, uint8_t *text, size_t size)
{
    (void) aux;
    (void) key;
    (void) nonce;
    (void) ad;
    (void) ad_size;
    (void) text;
    (void) size;
    return true;
}

static const struct mat_crypto any_crypto = {
    .hash = any_hash, .sign = any_sign, .verify = any_verify,
    .shared = any_shared, .seal = any_seal, .unseal = any_unseal
};

static struct mat_addr
addr(uint8_t a, uint8_t d)
{
    uint8_t v4[4] = { a, 0, 0, d };

    return mat_addr_from_v4(v4);
}

static size_t
certify(uint64_t id, uint8_t bytes[MAT_CERT_SIZE_MAX])
{
    struct mat_cert cert = {
        .host = id, .serial = 1, .not_after_s = 1000, .n_zones = 1,
        .zones = { { 0, 0xffffff } }, .n_hoas = 1,
        .hoas = { { addr(10, 0), 8 } }, .n_pools = 1,
        .pools = { { addr(20, 0), 8 } }
    };

    return mat_cert_issue(&cert, &any_crypto, bytes);
}

static struct mat_gossip *
create(uint64_t id, struct mat_claim_pool *pool)
{
    uint8_t cert[MAT_CERT_SIZE_MAX];
    struct mat_gossip_config config = {
        .id = id, .generation = 1, .salt = id, .seed = id,
        .endpoint = { addr(1, (uint8_t) id), 1 }, .label = 1, .cert = cert,
        .crypto = any_crypto, .pool = pool, .all_zones = true
    };

    config.cert_size = certify(id, cert);
    mat_gossip_tuning_default(&config.tuning);
    config.tuning.records_max = 200;
    return mat_gossip_create(&config, 0);
}

static void
drain(struct mat_gossip *g)
{
    struct mat_output out;
    size_t n = 0;

    while (mat_gossip_next(g, &out)) {
        CHECK(out.kind != MAT_OUT_SEND || out.size <= MAT_WIRE_DATAGRAM_MAX);
        CHECK(n++ < 100000);
    }
    CHECK(g->store.n <= 200);
    CHECK(g->n_parcels <= MAT_GOSSIP_PARCELS_MAX);
}

/* Puts 'body' into a datagram of member 'id'. */
static void
deliver(struct mat_gossip *g, uint64_t id, uint8_t kind, uint64_t counter,
        int64_t now_us, const uint8_t *body, size_t size)
{
    struct mat_endpoint from = { addr(1, (uint8_t) id), 1 };
    struct mat_datagram_head head = {
        .kind = kind, .label = 1, .sender = id, .counter = counter
    };
    uint8_t datagram[MAT_WIRE_DATAGRAM_MAX], key[MAT_SECRET_SIZE] = { 0 };

    size = size < MAT_WIRE_BODY_MAX ? size : MAT_WIRE_BODY_MAX;
    memcpy(datagram + mat_channel_head_size(kind), body, size);
    size = mat_channel_seal(&any_crypto, key, &head, 1, datagram, size);
    mat_gossip_receive(g, now_us, &from, datagram, size);
    drain(g);
}

/* Members 2, 3 and so on greet the engine. */
static void
introduce(struct mat_gossip *g, uint64_t id)
{
    struct mat_gossip *peer = create(id, NULL);
    struct mat_endpoint to = { addr(1, 1), 1 };
    struct mat_output out;

    while (mat_gossip_next(peer, &out)) {
        continue;
    }
    mat_peer_hello(peer, &to, false, 0, NULL);
    while (mat_gossip_next(peer, &out)) {
        if (out.kind == MAT_OUT_SEND) {
            uint8_t copy[MAT_WIRE_DATAGRAM_MAX];
            struct mat_endpoint from = { addr(1, (uint8_t) id), 1 };

            memcpy(copy, out.bytes, out.size);
            mat_gossip_receive(g, 0, &from, copy, out.size);
            drain(g);
        }
    }
    mat_gossip_destroy(peer);
}

static void
local(struct mat_gossip *g, int64_t now_us, uint8_t what)
{
    struct mat_addr hoa = addr(10, what & 7), moa = addr(20, what & 7);
    struct mat_key key = mat_key_vmn(7, &hoa, 32);
    struct mat_mac mac = { { 2, 0, 0, 0, 0, what & 7 } };

    switch (what >> 3 & 7) {
    case 0:
        mat_gossip_claim(g, now_us, &key, &moa, &mac);
        break;
    case 1:
        mat_gossip_prepare(g, now_us, &key, &moa, &mac);
        break;
    case 2:
        mat_gossip_withdraw(g, now_us, &key);
        break;
    case 3:
        mat_gossip_release(g, now_us, &key);
        break;
    case 4:
        mat_gossip_port(g, now_us, &key, what & 1);
        break;
    case 5:
        mat_gossip_accessed(g, now_us, 7, &hoa);
        break;
    case 6:
        mat_gossip_ask(g, now_us, 7, what & 1 ? &moa : &hoa, what & 1);
        break;
    default:
        mat_gossip_leaving(g, now_us, &key, what & 1);
        break;
    }
    drain(g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mat_gossip *g = create(1, NULL);
    struct mat_reader r = { .bytes = data, .left = size };
    uint64_t counter = 1;
    int64_t now_us = 0;

    CHECK(g);
    drain(g);
    for (uint64_t id = 2; id < 2 + N_MEMBERS; id++) {
        introduce(g, id);
    }
    for (int step = 0; r.left && step < STEPS_MAX; step++) {
        uint8_t what = mat_get_u8(&r);
        size_t n;

        if (what < 0x40) {
            local(g, now_us, what);
        } else if (what < 0x60) {
            now_us += (int64_t) (what & 0x1f) * (what & 0x1f) * 20000;
            mat_gossip_tick(g, now_us);
            drain(g);
        } else {
            n = mat_get_u16(&r) % (MAT_WIRE_BODY_MAX + 1);
            n = n < r.left ? n : r.left;
            deliver(g, 2 + what % N_MEMBERS,
                    what < 0xf0 ? MAT_DATAGRAM_DATA : MAT_DATAGRAM_HELLO,
                    counter++, now_us, r.bytes, n);
            mat_get_bytes(&r, n);
        }
    }
    mat_gossip_destroy(g);
    return 0;
}
