/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-wire.h"

#include "mat-mem.h"

enum claim_bits {
    BITS_STATE = 0x03,
    BITS_CONTESTED = 0x04,
    BITS_RESERVED = 0x18,
    BITS_DEPTH_SHIFT = 5,
    BITS_SAME = 0x80
};

/* Numbers. */

void
mat_put_bytes(struct mat_writer *w, const void *bytes, size_t n)
{
    if (w->overflow || n > w->max - w->n) {
        w->overflow = true;
    } else if (n) {
        memcpy(w->bytes + w->n, bytes, n);
        w->n += n;
    }
}

static void
put_be(struct mat_writer *w, uint64_t x, size_t n)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t) (x >> (8 * (n - 1 - i)));
    }
    mat_put_bytes(w, bytes, n);
}

void
mat_put_u8(struct mat_writer *w, uint8_t x)
{
    put_be(w, x, 1);
}

void
mat_put_u16(struct mat_writer *w, uint16_t x)
{
    put_be(w, x, 2);
}

void
mat_put_u24(struct mat_writer *w, uint32_t x)
{
    put_be(w, x, 3);
}

void
mat_put_u32(struct mat_writer *w, uint32_t x)
{
    put_be(w, x, 4);
}

void
mat_put_u64(struct mat_writer *w, uint64_t x)
{
    put_be(w, x, 8);
}

const uint8_t *
mat_get_bytes(struct mat_reader *r, size_t n)
{
    const uint8_t *bytes = r->bytes;

    if (r->bad || n > r->left) {
        r->bad = true;
        return NULL;
    }
    r->bytes += n;
    r->left -= n;
    return bytes;
}

static uint64_t
get_be(struct mat_reader *r, size_t n)
{
    const uint8_t *bytes = mat_get_bytes(r, n);
    uint64_t x = 0;

    for (size_t i = 0; bytes && i < n; i++) {
        x = x << 8 | bytes[i];
    }
    return x;
}

uint8_t
mat_get_u8(struct mat_reader *r)
{
    return (uint8_t) get_be(r, 1);
}

uint16_t
mat_get_u16(struct mat_reader *r)
{
    return (uint16_t) get_be(r, 2);
}

uint32_t
mat_get_u24(struct mat_reader *r)
{
    return (uint32_t) get_be(r, 3);
}

uint32_t
mat_get_u32(struct mat_reader *r)
{
    return (uint32_t) get_be(r, 4);
}

uint64_t
mat_get_u64(struct mat_reader *r)
{
    return get_be(r, 8);
}

/* Addresses and keys. */

void
mat_put_addr(struct mat_writer *w, const struct mat_addr *a)
{
    uint8_t size = (uint8_t) (mat_addr_bits(a) / 8);

    mat_put_u8(w, size);
    mat_put_bytes(w, a->b + 16 - size, size);
}

struct mat_addr
mat_get_addr(struct mat_reader *r)
{
    uint8_t size = mat_get_u8(r);
    struct mat_addr a = { { 0 } };
    const uint8_t *bytes;

    if (size != 4 && size != 16) {
        r->bad = true;
        return a;
    }
    bytes = mat_get_bytes(r, size);
    if (bytes) {
        a = size == 4 ? mat_addr_from_v4(bytes) : mat_addr_from_v6(bytes);
        if (size == 16 && mat_addr_is_v4(&a)) {
            r->bad = true;      /* Only one way to write each address. */
        }
    }
    return a;
}

void
mat_put_vmn_key(struct mat_writer *w, const struct mat_key *key)
{
    mat_put_u24(w, key->zone);
    mat_put_u8(w, key->plen);
    mat_put_addr(w, &key->addr);
}

struct mat_key
mat_get_vmn_key(struct mat_reader *r)
{
    struct mat_key key = { .type = MAT_TYPE_VMN };

    key.zone = mat_get_u24(r);
    key.plen = mat_get_u8(r);
    key.addr = mat_get_addr(r);
    if (!r->bad && !mat_key_is_valid(&key)) {
        r->bad = true;
    }
    return key;
}

/* Messages. */

bool
mat_get_message(struct mat_reader *body, uint8_t *type,
                struct mat_reader *payload)
{
    const uint8_t *bytes;
    size_t size;

    if (!body->left || body->bad) {
        return false;
    }
    *type = mat_get_u8(body);
    size = mat_get_u16(body);
    bytes = mat_get_bytes(body, size);
    *payload = (struct mat_reader) { .bytes = bytes, .left = size };
    return bytes != NULL;
}

void
mat_put_claims_head(struct mat_writer *w, const struct mat_claims_head *head)
{
    mat_put_u8(w, head->flags);
    mat_put_u32(w, head->zone);
    mat_put_u64(w, head->lo);
    mat_put_u64(w, head->hi);
}

struct mat_claims_head
mat_get_claims_head(struct mat_reader *r)
{
    struct mat_claims_head head;

    head.flags = mat_get_u8(r);
    head.zone = mat_get_u32(r);
    head.lo = mat_get_u64(r);
    head.hi = mat_get_u64(r);
    if (head.flags & ~MAT_CLAIMS_ALL_FLAGS || head.zone > MAT_ZONE_ALL
        || head.lo > head.hi) {
        r->bad = true;
    }
    return head;
}

/* Claims. */

static bool
is_vmn_or_prep(uint8_t type)
{
    return type == MAT_TYPE_VMN || type == MAT_TYPE_PREP;
}

static void
put_claim_key(struct mat_writer *w, const struct mat_key *key)
{
    if (key->type == MAT_TYPE_HOST || key->type == MAT_TYPE_REVOKE) {
        mat_put_u64(w, mat_key_host_id(key));
        return;
    }
    mat_put_u8(w, key->plen);
    if (is_vmn_or_prep(key->type)) {
        mat_put_u24(w, key->zone);
    }
    mat_put_addr(w, &key->addr);
}

static struct mat_key
get_claim_key(struct mat_reader *r, uint8_t type)
{
    struct mat_key key = { .zone = MAT_ZONE_ALL, .type = type };

    if (type == MAT_TYPE_HOST) {
        return mat_key_host(mat_get_u64(r));
    } else if (type == MAT_TYPE_REVOKE) {
        return mat_key_revoke(mat_get_u64(r));
    }
    key.plen = mat_get_u8(r);
    if (is_vmn_or_prep(type)) {
        key.zone = mat_get_u24(r);
    }
    key.addr = mat_get_addr(r);
    return key;
}

static void
put_claim_body(struct mat_writer *w, const struct mat_claim *c)
{
    if (is_vmn_or_prep(c->key.type)) {
        struct mat_addr moa = mat_claim_moa(c);

        mat_put_addr(w, &moa);
        mat_put_bytes(w, c->body + 16, 6);
    } else {
        mat_put_u16(w, c->body_size);
        mat_put_bytes(w, c->body, c->body_size);
    }
}

static void
get_claim_body(struct mat_reader *r, struct mat_claim *c,
               uint8_t scratch[MAT_VMN_BODY_SIZE])
{
    if (is_vmn_or_prep(c->key.type)) {
        struct mat_addr moa = mat_get_addr(r);
        const uint8_t *mac = mat_get_bytes(r, 6);

        memcpy(scratch, moa.b, 16);
        if (mac) {
            memcpy(scratch + 16, mac, 6);
        }
        c->body = scratch;
        c->body_size = MAT_VMN_BODY_SIZE;
    } else {
        c->body_size = mat_get_u16(r);
        if (c->body_size > MAT_CLAIM_BODY_MAX) {
            r->bad = true;
        }
        c->body = mat_get_bytes(r, c->body_size);
    }
}

static bool
same_signature(const struct mat_claim *c, const struct mat_claim *previous)
{
    return previous && !memcmp(c->signature, previous->signature,
                               MAT_SIGNATURE_SIZE);
}

void
mat_put_claim(struct mat_writer *w, const struct mat_claim *c,
              const struct mat_claim *previous)
{
    bool same = same_signature(c, previous);

    mat_put_u8(w, c->key.type);
    mat_put_u8(w, (uint8_t) (c->state
                             | (c->flags & MAT_CLAIM_CONTESTED
                                ? BITS_CONTESTED : 0)
                             | c->tree_depth << BITS_DEPTH_SHIFT
                             | (same ? BITS_SAME : 0)));
    mat_put_u8(w, c->tree_index);
    put_claim_key(w, &c->key);
    mat_put_u64(w, c->version.host);
    mat_put_u32(w, c->version.epoch);
    mat_put_u32(w, c->version.seq);
    put_claim_body(w, c);
    if (!same) {
        mat_put_bytes(w, c->signature, MAT_SIGNATURE_SIZE);
    }
    mat_put_bytes(w, c->path, (size_t) c->tree_depth * MAT_HASH_SIZE);
}

size_t
mat_claim_wire_size(const struct mat_claim *c,
                    const struct mat_claim *previous)
{
    uint8_t scratch[MAT_CLAIM_BODY_MAX + 256];
    struct mat_writer w = { .bytes = scratch, .max = sizeof scratch };

    mat_put_claim(&w, c, previous);
    MAT_ASSERT(!w.overflow);
    return w.n;
}

static void
get_claim_bits(struct mat_reader *r, struct mat_claim *c, bool *same)
{
    uint8_t bits = mat_get_u8(r);

    c->state = bits & BITS_STATE;
    c->flags = bits & BITS_CONTESTED ? MAT_CLAIM_CONTESTED : 0;
    c->tree_depth = (bits >> BITS_DEPTH_SHIFT) & 3;
    c->tree_index = mat_get_u8(r);
    *same = (bits & BITS_SAME) != 0;
    if (bits & BITS_RESERVED || c->tree_index >= 1u << c->tree_depth
        || (c->state != MAT_CLAIM_LIVE && c->state != MAT_CLAIM_GONE)) {
        r->bad = true;
    }
}

static void
get_signature(struct mat_reader *r, struct mat_claim *c, bool same,
              const uint8_t **signature)
{
    const uint8_t *bytes = same ? *signature
                           : mat_get_bytes(r, MAT_SIGNATURE_SIZE);

    if (!bytes || (!same && *signature
                   && !memcmp(bytes, *signature, MAT_SIGNATURE_SIZE))) {
        r->bad = true;
        return;
    }
    *signature = bytes;
    c->signature = bytes;
    c->path = mat_get_bytes(r, (size_t) c->tree_depth * MAT_HASH_SIZE);
}

static bool
version_is_valid(const struct mat_claim *c)
{
    if (c->version.epoch > MAT_EPOCH_MAX) {
        return false;
    }
    return (c->key.type == MAT_TYPE_REVOKE ? !c->version.host
            : c->key.type == MAT_TYPE_HOST
              ? c->version.host == mat_key_host_id(&c->key)
            : c->version.host != 0);
}

bool
mat_get_claim(struct mat_reader *r, struct mat_claim *c,
              uint8_t body[MAT_VMN_BODY_SIZE], const uint8_t **signature)
{
    uint8_t type = mat_get_u8(r);
    bool same;

    *c = (struct mat_claim) { .state = 0 };
    get_claim_bits(r, c, &same);
    c->key = get_claim_key(r, type);
    c->version.host = mat_get_u64(r);
    c->version.epoch = mat_get_u32(r);
    c->version.seq = mat_get_u32(r);
    if (type == MAT_TYPE_PREP) {
        c->key.host = c->version.host;
    }
    get_claim_body(r, c, body);
    get_signature(r, c, same, signature);
    if (!r->bad && (!mat_key_is_valid(&c->key) || !version_is_valid(c))) {
        r->bad = true;
    }
    if (!r->bad) {
        mat_claim_seal_sum(c);
    }
    return !r->bad;
}
