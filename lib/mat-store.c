/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-store.h"

#include "mat-mem.h"
#include "mat-rng.h"

/* A hidden claim is marked in the lowest bit of its slot's pointer. */
#define HIDDEN ((uintptr_t) 1)

static const struct mat_claim *
slot_claim(const struct mat_store_slot *slot)
{
    return (const struct mat_claim *) ((uintptr_t) slot->claim & ~HIDDEN);
}

static bool
slot_is_hidden(const struct mat_store_slot *slot)
{
    return ((uintptr_t) slot->claim & HIDDEN) != 0;
}

static size_t
mask(const struct mat_store *s)
{
    return ((size_t) 1 << s->bits) - 1;
}

static size_t
home(const struct mat_store *s, uint64_t hash)
{
    return (size_t) (hash >> (64 - s->bits));
}

void
mat_store_init(struct mat_store *s, struct mat_claim_pool *pool, size_t n_max)
{
    *s = (struct mat_store) { .pool = pool, .n_max = n_max };
}

void
mat_store_destroy(struct mat_store *s)
{
    for (size_t i = 0; s->slots && i <= mask(s); i++) {
        mat_claim_unref(slot_claim(&s->slots[i]));
    }
    for (size_t i = 0; i < s->n_zones; i++) {
        free(s->zones[i]);
    }
    free(s->zones);
    free(s->slots);
    *s = (struct mat_store) { .n = 0 };
}

/* Finding. */

/* The slot of 'key', or the free slot where it belongs. */
static struct mat_store_slot *
find_slot(const struct mat_store *s, const struct mat_key *key, uint64_t hash)
{
    if (!s->slots) {
        return NULL;
    }
    for (size_t i = home(s, hash); ; i = (i + 1) & mask(s)) {
        struct mat_store_slot *slot = &s->slots[i];

        if (!slot->claim || (slot->hash == hash
                             && mat_key_equal(&slot_claim(slot)->key, key))) {
            return slot;
        }
    }
}

const struct mat_claim *
mat_store_find(const struct mat_store *s, const struct mat_key *key)
{
    struct mat_store_slot *slot = find_slot(s, key, mat_key_hash(key));

    return slot ? slot_claim(slot) : NULL;
}

const struct mat_claim *
mat_store_find_hash(const struct mat_store *s, uint64_t hash)
{
    if (!s->slots) {
        return NULL;
    }
    for (size_t i = home(s, hash); s->slots[i].claim; i = (i + 1) & mask(s)) {
        if (s->slots[i].hash == hash) {
            return slot_claim(&s->slots[i]);
        }
    }
    return NULL;
}

static bool
is_prep_of(const struct mat_claim *c, const struct mat_key *vmn)
{
    return (c->key.type == MAT_TYPE_PREP && c->key.zone == vmn->zone
            && c->key.plen == vmn->plen
            && mat_addr_equal(&c->key.addr, &vmn->addr));
}

/* All PREP claims of the HoA of 'vmn', greatest version first, at most
 * MAT_STORE_PREPS_MAX + 1. */
static size_t
collect_preps(const struct mat_store *s, const struct mat_key *vmn,
              const struct mat_claim *preps[MAT_STORE_PREPS_MAX + 1])
{
    uint64_t group = mat_key_hash(vmn) & MAT_HASH_GROUP_MASK;
    size_t n = 0;

    if (!s->slots) {
        return 0;
    }
    for (size_t i = home(s, group); s->slots[i].claim; i = (i + 1) & mask(s)) {
        const struct mat_claim *c = slot_claim(&s->slots[i]);
        size_t j;

        if ((c->hash & MAT_HASH_GROUP_MASK) != group || !is_prep_of(c, vmn)) {
            continue;
        }
        MAT_ASSERT(n <= MAT_STORE_PREPS_MAX);
        for (j = n++; j && mat_version_compare(&preps[j - 1]->version,
                                               &c->version) < 0; j--) {
            preps[j] = preps[j - 1];
        }
        preps[j] = c;
    }
    return n;
}

size_t
mat_store_preps(const struct mat_store *s, const struct mat_key *vmn,
                const struct mat_claim *preps[MAT_STORE_PREPS_MAX])
{
    const struct mat_claim *all[MAT_STORE_PREPS_MAX + 1];
    size_t n = collect_preps(s, vmn, all), n_live = 0;

    for (size_t i = 0; i < n; i++) {
        if (all[i]->state == MAT_CLAIM_LIVE) {
            preps[n_live++] = all[i];
        }
    }
    return n_live;
}

/* Digests. */

/* Where 'zone' is in the list, or where it belongs. */
static size_t
zone_index(const struct mat_store *s, uint32_t zone)
{
    size_t lo = 0, hi = s->n_zones;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (s->zones[mid]->zone < zone) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

const struct mat_store_zone *
mat_store_zone(const struct mat_store *s, uint32_t zone)
{
    size_t i = zone_index(s, zone);

    return i < s->n_zones && s->zones[i]->zone == zone ? s->zones[i] : NULL;
}

static struct mat_store_zone *
zone_for(struct mat_store *s, uint32_t zone)
{
    size_t i = zone_index(s, zone);

    if (i == s->n_zones || s->zones[i]->zone != zone) {
        s->zones = mat_xrealloc(s->zones,
                                (s->n_zones + 1) * sizeof *s->zones);
        memmove(&s->zones[i + 1], &s->zones[i],
                (s->n_zones - i) * sizeof *s->zones);
        s->zones[i] = mat_xcalloc(1, sizeof *s->zones[i]);
        s->zones[i]->zone = zone;
        s->n_zones++;
    }
    return s->zones[i];
}

/* Adds 'c' to the digest of its zone or takes it out: both are XOR. */
static void
toggle_sums(struct mat_store *s, const struct mat_claim *c, bool add)
{
    struct mat_store_zone *zone = zone_for(s, c->key.zone);
    uint64_t x = mat_mix64(c->hash ^ mat_mix64(c->sum));

    zone->root ^= x;
    zone->sums[c->hash >> 56] ^= (uint32_t) x;
    zone->n += add ? 1 : UINT32_MAX;
    if (!zone->n) {
        size_t i = zone_index(s, c->key.zone);

        MAT_ASSERT(!zone->root);
        free(zone);
        s->n_zones--;
        memmove(&s->zones[i], &s->zones[i + 1],
                (s->n_zones - i) * sizeof *s->zones);
    }
}

void
mat_store_hide(struct mat_store *s, const struct mat_key *key, bool hide)
{
    struct mat_store_slot *slot = find_slot(s, key, mat_key_hash(key));

    if (slot && slot->claim && slot_is_hidden(slot) != hide) {
        toggle_sums(s, slot_claim(slot), !hide);
        slot->claim = (const struct mat_claim *) ((uintptr_t) slot->claim
                                                  ^ HIDDEN);
    }
}

/* Merging. */

static enum mat_merge
judge_prep(const struct mat_store *s, const struct mat_claim *c)
{
    const struct mat_claim *preps[MAT_STORE_PREPS_MAX + 1];
    struct mat_key vmn = c->key;
    const struct mat_claim *live;
    size_t n;

    vmn.type = MAT_TYPE_VMN;
    vmn.host = 0;
    live = mat_store_find(s, &vmn);
    if (live && live->version.epoch >= c->version.epoch) {
        return MAT_MERGE_INERT;
    }
    n = collect_preps(s, &vmn, preps);
    if (n >= MAT_STORE_PREPS_MAX && !mat_store_find(s, &c->key)
        && mat_version_compare(&c->version, &preps[n - 1]->version) < 0) {
        return MAT_MERGE_INERT;
    }
    return MAT_MERGE_NEW;
}

enum mat_merge
mat_store_judge(const struct mat_store *s, const struct mat_claim *c)
{
    const struct mat_claim *old = mat_store_find(s, &c->key);

    if (old) {
        int cmp = mat_claim_compare(c, old);

        if (cmp <= 0) {
            return cmp ? MAT_MERGE_OLDER : MAT_MERGE_SAME;
        }
    }
    if (c->key.type == MAT_TYPE_PREP
        && judge_prep(s, c) == MAT_MERGE_INERT) {
        return MAT_MERGE_INERT;
    }
    return old ? MAT_MERGE_NEWER
           : s->n < s->n_max ? MAT_MERGE_NEW : MAT_MERGE_FULL;
}

static void
grow(struct mat_store *s)
{
    struct mat_store old = *s;

    s->bits = old.slots ? old.bits + 1 : 4;
    s->slots = mat_xcalloc(mask(s) + 1, sizeof *s->slots);
    for (size_t i = 0; old.slots && i <= mask(&old); i++) {
        if (old.slots[i].claim) {
            *find_slot(s, &slot_claim(&old.slots[i])->key,
                       old.slots[i].hash) = old.slots[i];
        }
    }
    free(old.slots);
}

static void
report_drop(struct mat_store *s, const struct mat_claim *old,
            const struct mat_claim *new)
{
    if (s->dropped) {
        s->dropped(s->aux, old, new);
    }
}

/* Frees 'slot' and closes the hole (Knuth 6.4, algorithm R). */
static void
free_slot(struct mat_store *s, struct mat_store_slot *slot)
{
    size_t hole = (size_t) (slot - s->slots);

    if (!slot_is_hidden(slot)) {
        toggle_sums(s, slot->claim, false);
    }
    mat_claim_unref(slot_claim(slot));
    for (size_t i = hole; ; ) {
        struct mat_store_slot *next;

        i = (i + 1) & mask(s);
        next = &s->slots[i];
        if (!next->claim) {
            break;
        }
        if (((i - home(s, next->hash)) & mask(s)) >= ((i - hole) & mask(s))) {
            s->slots[hole] = *next;
            hole = i;
        }
    }
    s->slots[hole].claim = NULL;
    s->n--;
}

void
mat_store_remove(struct mat_store *s, const struct mat_key *key)
{
    struct mat_store_slot *slot = find_slot(s, key, mat_key_hash(key));

    if (slot && slot->claim) {
        free_slot(s, slot);
    }
}

/* Drops the PREP claims that 'c', just stored, makes inert. */
static void
normalise(struct mat_store *s, const struct mat_claim *c)
{
    const struct mat_claim *preps[MAT_STORE_PREPS_MAX + 1];
    struct mat_key vmn = c->key;
    const struct mat_claim *live;
    size_t n;

    if (c->key.type != MAT_TYPE_VMN && c->key.type != MAT_TYPE_PREP) {
        return;
    }
    vmn.type = MAT_TYPE_VMN;
    vmn.host = 0;
    live = mat_store_find(s, &vmn);
    n = collect_preps(s, &vmn, preps);
    while (n && (n > MAT_STORE_PREPS_MAX
                 || (live && preps[n - 1]->version.epoch
                             <= live->version.epoch))) {
        struct mat_key key = preps[--n]->key;

        report_drop(s, preps[n], NULL);
        mat_store_remove(s, &key);
    }
}

enum mat_merge
mat_store_put(struct mat_store *s, const struct mat_claim *c)
{
    enum mat_merge merge = mat_store_judge(s, c);
    struct mat_store_slot *slot;
    const struct mat_claim *old = NULL;

    if (merge != MAT_MERGE_NEW && merge != MAT_MERGE_NEWER) {
        return merge;
    }
    if (!s->slots || (s->n + 1) * 4 > (mask(s) + 1) * 3) {
        grow(s);
    }
    slot = find_slot(s, &c->key, c->hash);
    if (slot->claim) {
        old = slot_claim(slot);
        if (!slot_is_hidden(slot)) {
            toggle_sums(s, old, false);
        }
    } else {
        s->n++;
    }
    *slot = (struct mat_store_slot) { c->hash, mat_claim_copy(s->pool, c) };
    toggle_sums(s, slot->claim, true);
    if (old) {
        report_drop(s, old, slot->claim);
        mat_claim_unref(old);
    }
    normalise(s, c);
    return merge;
}

/* Walking. */

static bool
has_prefix(uint64_t hash, uint64_t prefix, unsigned int bits)
{
    return !bits || !((hash ^ prefix) >> (64 - bits));
}

static void
insert_ordered(const struct mat_claim **claims, size_t n,
               const struct mat_claim *c)
{
    for (; n && claims[n - 1]->hash > c->hash; n--) {
        claims[n] = claims[n - 1];
    }
    claims[n] = c;
}

size_t
mat_store_scan(const struct mat_store *s, uint32_t zone, uint64_t prefix,
               unsigned int bits, const struct mat_claim **claims, size_t max)
{
    size_t first, n_homes, n = 0;

    MAT_ASSERT(bits <= 64);
    if (!s->slots) {
        return 0;
    }
    first = bits ? home(s, prefix & ~(bits < 64 ? UINT64_MAX >> bits : 0)) : 0;
    n_homes = bits < s->bits ? (size_t) 1 << (s->bits - bits) : 1;
    for (size_t i = 0; i <= mask(s); i++) {
        const struct mat_store_slot *slot = &s->slots[(first + i) & mask(s)];
        const struct mat_claim *c = slot_claim(slot);

        if (!c && i >= n_homes) {
            break;
        }
        if (c && has_prefix(slot->hash, prefix, bits) && !slot_is_hidden(slot)
            && c->key.zone == zone) {
            if (n < max) {
                insert_ordered(claims, n, c);
            }
            n++;
        }
    }
    return n;
}

const struct mat_claim *
mat_store_next(const struct mat_store *s, size_t *cursor)
{
    while (s->slots && *cursor <= mask(s)) {
        const struct mat_claim *c = slot_claim(&s->slots[(*cursor)++]);

        if (c) {
            return c;
        }
    }
    return NULL;
}
