/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-record.h"

#include "mat-mem.h"
#include "mat-rng.h"

/* Keys. */

struct mat_key
mat_key_vmn(uint32_t zone, const struct mat_addr *hoa, unsigned int plen)
{
    return (struct mat_key) {
        .addr = *hoa, .zone = zone, .type = MAT_TYPE_VMN,
        .plen = (uint8_t) plen
    };
}

struct mat_key
mat_key_prep(const struct mat_key *vmn, uint64_t host)
{
    struct mat_key key = *vmn;

    MAT_ASSERT(vmn->type == MAT_TYPE_VMN);
    key.type = MAT_TYPE_PREP;
    key.host = host;
    return key;
}

struct mat_key
mat_key_pool(const struct mat_addr *addr, unsigned int plen)
{
    return (struct mat_key) {
        .addr = mat_addr_mask(addr, plen), .zone = MAT_ZONE_ALL,
        .type = MAT_TYPE_POOL, .plen = (uint8_t) plen
    };
}

static struct mat_key
key_of_id(uint64_t id, enum mat_type type)
{
    struct mat_key key = {
        .zone = MAT_ZONE_ALL, .type = (uint8_t) type, .plen = 128
    };

    for (int i = 0; i < 8; i++) {
        key.addr.b[8 + i] = (uint8_t) (id >> (56 - 8 * i));
    }
    return key;
}

struct mat_key
mat_key_host(uint64_t host)
{
    return key_of_id(host, MAT_TYPE_HOST);
}

struct mat_key
mat_key_revoke(uint64_t host)
{
    return key_of_id(host, MAT_TYPE_REVOKE);
}

uint64_t
mat_key_host_id(const struct mat_key *key)
{
    uint64_t id = 0;

    for (int i = 0; i < 8; i++) {
        id = id << 8 | key->addr.b[8 + i];
    }
    return id;
}

bool
mat_key_equal(const struct mat_key *a, const struct mat_key *b)
{
    return a->type == b->type && a->plen == b->plen && a->zone == b->zone
           && a->host == b->host && mat_addr_equal(&a->addr, &b->addr);
}

static bool
is_id(const struct mat_key *key)
{
    static const uint8_t zeros[8];

    return key->plen == 128 && !memcmp(key->addr.b, zeros, sizeof zeros);
}

bool
mat_key_is_valid(const struct mat_key *key)
{
    struct mat_addr masked;

    switch (key->type) {
    case MAT_TYPE_HOST:
    case MAT_TYPE_REVOKE:
        return key->zone == MAT_ZONE_ALL && !key->host && is_id(key);
    case MAT_TYPE_POOL:
        if (key->zone != MAT_ZONE_ALL || key->host) {
            return false;
        }
        break;
    case MAT_TYPE_VMN:
    case MAT_TYPE_PREP:
        if (key->zone >= MAT_ZONE_ALL
            || (key->type == MAT_TYPE_PREP) != (key->host != 0)) {
            return false;
        }
        break;
    default:
        return false;
    }
    if (!key->plen || key->plen > mat_addr_bits(&key->addr)) {
        return false;
    }
    masked = mat_addr_mask(&key->addr, key->plen);
    return mat_addr_equal(&masked, &key->addr);
}

static uint64_t
load64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, 8);
    return x;
}

uint64_t
mat_key_hash(const struct mat_key *key)
{
    /* VMN and PREP of one HoA must fall together. */
    uint64_t kind = key->type == MAT_TYPE_PREP ? MAT_TYPE_VMN : key->type;
    uint64_t h = kind << 40 | (uint64_t) key->plen << 32 | key->zone;

    h = mat_mix64(h ^ UINT64_C(0x6d61742d6b657931));
    h = mat_mix64(h ^ load64(&key->addr.b[0]));
    h = mat_mix64(h ^ load64(&key->addr.b[8]));
    return ((h & MAT_HASH_GROUP_MASK)
            | (mat_mix64(h ^ key->host) & ~MAT_HASH_GROUP_MASK));
}

/* Order. */

int
mat_version_compare(const struct mat_version *a, const struct mat_version *b)
{
    if (a->epoch != b->epoch) {
        return a->epoch < b->epoch ? -1 : 1;
    } else if (a->seq != b->seq) {
        return a->seq < b->seq ? -1 : 1;
    } else if (a->host != b->host) {
        return a->host < b->host ? -1 : 1;
    }
    return 0;
}

int
mat_claim_compare(const struct mat_claim *a, const struct mat_claim *b)
{
    int cmp = mat_version_compare(&a->version, &b->version);

    if (cmp) {
        return cmp;
    } else if (a->state != b->state) {
        return a->state < b->state ? -1 : 1;
    } else if (a->flags != b->flags) {
        return a->flags < b->flags ? -1 : 1;
    } else if (a->body_size != b->body_size) {
        return a->body_size < b->body_size ? -1 : 1;
    }
    return a->body_size ? memcmp(a->body, b->body, a->body_size) : 0;
}

/* Content as bytes. */

static uint8_t *
put_be(uint8_t *p, uint64_t x, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        *p++ = (uint8_t) (x >> (8 * i));
    }
    return p;
}

size_t
mat_claim_canon(const struct mat_claim *c, uint8_t *buf)
{
    uint8_t *p = buf;

    MAT_ASSERT(c->body_size <= MAT_CLAIM_BODY_MAX);
    *p++ = c->key.type;
    *p++ = c->key.plen;
    *p++ = c->state;
    *p++ = c->flags;
    p = put_be(p, c->key.zone, 4);
    memcpy(p, c->key.addr.b, 16);
    p = put_be(p + 16, c->key.host, 8);
    p = put_be(p, c->version.epoch, 4);
    p = put_be(p, c->version.seq, 4);
    p = put_be(p, c->version.host, 8);
    if (c->body_size) {
        memcpy(p, c->body, c->body_size);
    }
    return (size_t) (p - buf) + c->body_size;
}

void
mat_claim_seal_sum(struct mat_claim *c)
{
    uint8_t canon[MAT_CLAIM_CANON_MAX + 8] = { 0 };
    size_t n = mat_claim_canon(c, canon);
    uint64_t sum = n;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t x = 0;

        memcpy(&x, canon + i, n - i < 8 ? n - i : 8);
        sum = mat_mix64(sum ^ x) + UINT64_C(0x9e3779b97f4a7c15);
    }
    c->sum = (uint32_t) (sum ^ sum >> 32);
    c->hash = mat_key_hash(&c->key);
}

struct mat_addr
mat_claim_moa(const struct mat_claim *c)
{
    MAT_ASSERT(c->body_size == MAT_VMN_BODY_SIZE);
    return mat_addr_from_v6(c->body);
}

struct mat_mac
mat_claim_mac(const struct mat_claim *c)
{
    struct mat_mac mac;

    MAT_ASSERT(c->body_size == MAT_VMN_BODY_SIZE);
    memcpy(mac.ea, c->body + 16, sizeof mac.ea);
    return mac;
}

void
mat_vmn_body(uint8_t body[MAT_VMN_BODY_SIZE], const struct mat_addr *moa,
             const struct mat_mac *mac)
{
    memcpy(body, moa->b, 16);
    memcpy(body + 16, mac->ea, 6);
}

/* Keeping. */

struct kept_claim {
    struct mat_claim claim;     /* First, so that a claim can be cast back. */
    uint32_t refs;
    uint32_t chain_hash;
    struct kept_claim *next;    /* In the chain of its pool. */
    struct mat_claim_pool *pool;
    uint8_t bytes[];            /* Body, signature, path. */
};

struct mat_claim_pool {
    struct kept_claim **chains;
    size_t n, mask;
    size_t bytes;
};

struct mat_claim_pool *
mat_claim_pool_create(void)
{
    struct mat_claim_pool *pool = mat_xcalloc(1, sizeof *pool);

    pool->mask = 1023;
    pool->chains = mat_xcalloc(pool->mask + 1, sizeof *pool->chains);
    return pool;
}

void
mat_claim_pool_destroy(struct mat_claim_pool *pool)
{
    if (pool) {
        MAT_ASSERT(!pool->n);
        free(pool->chains);
        free(pool);
    }
}

size_t
mat_claim_pool_bytes(const struct mat_claim_pool *pool)
{
    return pool->bytes + (pool->mask + 1) * sizeof *pool->chains;
}

static size_t
path_size(const struct mat_claim *c)
{
    return (size_t) c->tree_depth * MAT_HASH_SIZE;
}

static size_t
kept_size(const struct mat_claim *c)
{
    return sizeof(struct kept_claim) + c->body_size + MAT_SIGNATURE_SIZE
           + path_size(c);
}

static uint32_t
chain_hash(const struct mat_claim *c)
{
    return (uint32_t) mat_mix64(c->hash ^ (uint64_t) c->sum << 32
                                ^ load64(c->signature));
}

static bool
same_bytes(const struct mat_claim *a, const struct mat_claim *b)
{
    return a->sum == b->sum && mat_key_equal(&a->key, &b->key)
           && !mat_claim_compare(a, b)
           && a->tree_depth == b->tree_depth && a->tree_index == b->tree_index
           && !memcmp(a->signature, b->signature, MAT_SIGNATURE_SIZE)
           && (!a->tree_depth || !memcmp(a->path, b->path, path_size(a)));
}

static struct kept_claim *
keep(const struct mat_claim *c)
{
    struct kept_claim *kept = mat_xmalloc(kept_size(c));
    uint8_t *p = kept->bytes;

    MAT_ASSERT(c->tree_depth <= MAT_TREE_DEPTH_MAX);
    kept->claim = *c;
    kept->refs = 1;
    kept->next = NULL;
    kept->pool = NULL;
    kept->claim.body = p;
    if (c->body_size) {
        memcpy(p, c->body, c->body_size);
    }
    p += c->body_size;
    kept->claim.signature = p;
    memcpy(p, c->signature, MAT_SIGNATURE_SIZE);
    p += MAT_SIGNATURE_SIZE;
    kept->claim.path = p;
    if (c->tree_depth) {
        memcpy(p, c->path, path_size(c));
    }
    return kept;
}

static void
grow_pool(struct mat_claim_pool *pool)
{
    size_t mask = pool->mask * 2 + 1;
    struct kept_claim **chains = mat_xcalloc(mask + 1, sizeof *chains);

    for (size_t i = 0; i <= pool->mask; i++) {
        struct kept_claim *next;

        for (struct kept_claim *k = pool->chains[i]; k; k = next) {
            next = k->next;
            k->next = chains[k->chain_hash & mask];
            chains[k->chain_hash & mask] = k;
        }
    }
    free(pool->chains);
    pool->chains = chains;
    pool->mask = mask;
}

const struct mat_claim *
mat_claim_copy(struct mat_claim_pool *pool, const struct mat_claim *c)
{
    struct kept_claim *kept;
    uint32_t hash;

    if (!pool) {
        return &keep(c)->claim;
    }
    hash = chain_hash(c);
    for (kept = pool->chains[hash & pool->mask]; kept; kept = kept->next) {
        if (kept->chain_hash == hash && same_bytes(&kept->claim, c)) {
            return mat_claim_ref(&kept->claim);
        }
    }
    if (pool->n > pool->mask) {
        grow_pool(pool);
    }
    kept = keep(c);
    kept->pool = pool;
    kept->chain_hash = hash;
    kept->next = pool->chains[hash & pool->mask];
    pool->chains[hash & pool->mask] = kept;
    pool->n++;
    pool->bytes += kept_size(c);
    return &kept->claim;
}

const struct mat_claim *
mat_claim_ref(const struct mat_claim *c)
{
    ((struct kept_claim *) (uintptr_t) c)->refs++;
    return c;
}

static void
leave_pool(struct mat_claim_pool *pool, struct kept_claim *kept)
{
    struct kept_claim **p = &pool->chains[kept->chain_hash & pool->mask];

    while (*p != kept) {
        p = &(*p)->next;
    }
    *p = kept->next;
    pool->n--;
    pool->bytes -= kept_size(&kept->claim);
}

void
mat_claim_unref(const struct mat_claim *c)
{
    struct kept_claim *kept = (struct kept_claim *) (uintptr_t) c;

    if (!kept) {
        return;
    }
    MAT_ASSERT(kept->refs);
    if (!--kept->refs) {
        if (kept->pool) {
            leave_pool(kept->pool, kept);
        }
        free(kept);
    }
}
