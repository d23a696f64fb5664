/* SPDX-License-Identifier: Apache-2.0 */
/* Repair: comparing digests with a random peer.
 *
 *     A                                      B
 *     |-- ROOT: one digest a zone ---------->|   every second or so
 *     |<- SUMS: 256 sums of a zone ----------|   if it differs
 *     |-- LEAF: keys and versions ---------->|   for each differing part,
 *     |<- CLAIMS that A lacks, NEED, DONE ---|   up to 96 parts at once
 *     |-- CLAIMS that B needs -------------->|
 *
 * In step that costs one datagram a second.  Parts are chosen so that a leaf
 * fits one datagram; a leaf that got lost is sent again with what has arrived
 * meanwhile, so catching up resumes where it stopped, with any peer.  What a
 * host gives to those who lag has a rate of its own, so that a new host's
 * 100,000 records hold up no move. */
#include "mat-engine.h"
#include "mat-mem.h"

enum {
    ROOT_ZONES_MAX = 64,
    ROOT_SIZE = MAT_WIRE_IP_UDP + MAT_WIRE_HEAD_SIZE + MAT_WIRE_TAG_SIZE
                + MAT_WIRE_MESSAGE_HEAD + 8 + 16,       /* Without zones. */
    EAGER_US = 2000000,
    EAGER_PERIOD_US = 200000,
    NEARER_US = 5000,
    EAGER_PEERS = 3,            /* The nearest answers first. */
    SUMS_PER_ROOT_MAX = 4,
    LEAF_BITS_MAX = 24,
    LEAF_TRIES = 5,
    LEAF_REPEATS = 2,           /* If its answer came in part. */
    LEAF_SCAN_MAX = 512,        /* Claims given for one leaf. */
    CLAIM_COST = 120            /* Bytes, for the rate. */
};

/* Roots. */

static void
put_root(const struct mat_gossip *g, struct mat_writer *w, uint32_t zone)
{
    const struct mat_store_zone *z = mat_store_zone(&g->store, zone);

    mat_put_u32(w, zone);
    mat_put_u32(w, z ? z->n : 0);
    mat_put_u64(w, z ? z->root : 0);
}

/* The zones of this host from 'first' on, in a circle. */
static uint32_t
zone_at(const struct mat_gossip *g, size_t i)
{
    return (g->config.all_zones ? g->store.zones[i % g->store.n_zones]->zone
            : g->zones[i % g->n_zones].zone);
}

static size_t
n_zones(const struct mat_gossip *g)
{
    return g->config.all_zones ? g->store.n_zones : g->n_zones;
}

void
mat_sync_with(struct mat_gossip *g, struct mat_peer *peer)
{
    uint8_t bytes[8 + 16 * (ROOT_ZONES_MAX + 1)];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    size_t n = n_zones(g), first = mat_rng_below(&g->rng, (uint32_t) n);

    mat_put_u64(&w, mat_member_digest(g));
    put_root(g, &w, MAT_ZONE_ALL);
    for (size_t i = 0; i < n && i < ROOT_ZONES_MAX; i++) {
        if (zone_at(g, first + i) != MAT_ZONE_ALL) {
            put_root(g, &w, zone_at(g, first + i));
        }
    }
    peer->root_us = peer->root_us ? -1 : g->now_us;
    mat_post(g, peer, MAT_MSG_SYNC_ROOT, &w, false);
}

void
mat_sync_timer(struct mat_gossip *g)
{
    int64_t period = g->config.tuning.sync_us;
    size_t n = n_zones(g);
    uint32_t zone = MAT_ZONE_ALL;
    int n_peers = 1;

    if (g->now_us < g->sync.eager_until_us && period > EAGER_PERIOD_US) {
        period = EAGER_PERIOD_US;
        n_peers = EAGER_PEERS;
    }
    mat_timer_set(g, &g->sync.timer, MAT_TIMER_SYNC,
                  period * 3 / 4
                  + mat_rng_below(&g->rng, (uint32_t) (period / 2)));
    if (n && mat_rng_below(&g->rng, 4)) {
        zone = zone_at(g, mat_rng_below(&g->rng, (uint32_t) n));
    }
    n = n < ROOT_ZONES_MAX ? n : ROOT_ZONES_MAX;
    for (int i = 0; i < n_peers; i++) {
        struct mat_member *m = mat_member_random(g, zone, 0);

        if (m && mat_peer_may_idle(g, ROOT_SIZE + 16 * n)) {
            mat_sync_with(g, mat_peer_get(g, m));
        }
    }
}

/* There is news to be had: compares more often for a while, for any datagram
 * may get lost. */
void
mat_sync_eagerly(struct mat_gossip *g)
{
    g->sync.eager_until_us = g->now_us + EAGER_US;
}

void
mat_sync_start(struct mat_gossip *g)
{
    mat_sync_eagerly(g);
    mat_timer_set(g, &g->sync.timer, MAT_TIMER_SYNC,
                  mat_rng_below(&g->rng, (uint32_t) g->config.tuning.sync_us));
}

void
mat_sync_soon(struct mat_gossip *g)
{
    mat_sync_eagerly(g);
    mat_timer_set(g, &g->sync.timer, MAT_TIMER_SYNC, 20000);
}

/* Whether 'size' bytes may be given to a peer that lags. */
static bool
may_give(struct mat_gossip *g, size_t size)
{
    if (mat_peer_is_spent(g)) {
        mat_count(g, MAT_C_LIMIT_STORM);
        return false;
    }
    if (!mat_bucket_take(&g->sync.catchup, g->config.tuning.catchup_bytes_s,
                         (uint32_t) size, g->now_us)) {
        mat_count(g, MAT_C_LIMIT_CATCHUP);
        return false;
    }
    return true;
}

static bool
is_here(const struct mat_gossip *g, uint32_t zone)
{
    return zone == MAT_ZONE_ALL || mat_vmn_wants_zone(g, zone);
}

static void
send_sums(struct mat_gossip *g, struct mat_peer *to, uint32_t zone)
{
    const struct mat_store_zone *z = mat_store_zone(&g->store, zone);
    uint8_t bytes[8 + 4 * MAT_STORE_SUMS];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    if (!may_give(g, sizeof bytes)) {
        return;
    }
    mat_put_u32(&w, zone);
    mat_put_u32(&w, z ? z->n : 0);
    for (int i = 0; i < MAT_STORE_SUMS; i++) {
        mat_put_u32(&w, z ? z->sums[i] : 0);
    }
    mat_post(g, to, MAT_MSG_SYNC_SUMS, &w, false);
}

static void
receive_root(struct mat_gossip *g, struct mat_peer *from,
             struct mat_reader *r)
{
    int n_sums = 0;

    if (mat_get_u64(r) != mat_member_digest(g) && !r->bad) {
        mat_member_send_table(g, from);
    }
    while (r->left && !r->bad) {
        uint32_t zone = mat_get_u32(r);
        uint32_t n = mat_get_u32(r);
        uint64_t root = mat_get_u64(r);
        const struct mat_store_zone *z;

        if (r->bad || !is_here(g, zone)) {
            continue;
        }
        z = mat_store_zone(&g->store, zone);
        if ((root != (z ? z->root : 0) || n != (z ? z->n : 0))
            && n_sums++ < SUMS_PER_ROOT_MAX) {
            send_sums(g, from, zone);
        }
    }
}

/* A job: catching up with one peer about one zone. */

/* Leaves come in the order of their reversed numbers.  Else what arrives would
 * fill the table from its beginning, and one long run of slots is slow. */
static uint64_t
prefix_of(const struct mat_sync *sync, uint64_t i)
{
    uint64_t prefix = 0;

    for (uint32_t bit = 0; bit < sync->bits; bit++) {
        prefix |= (i >> bit & 1) << (63 - bit);
    }
    return prefix;
}

static void
send_leaf(struct mat_gossip *g, struct mat_peer *to, struct mat_leaf *leaf)
{
    const struct mat_claim *claims[MAT_WIRE_LEAF_MAX];
    uint8_t bytes[13 + 16 * MAT_WIRE_LEAF_MAX];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    size_t n = mat_store_scan(&g->store, g->sync.zone, leaf->prefix,
                              leaf->bits, claims, MAT_WIRE_LEAF_MAX);

    mat_put_u32(&w, g->sync.zone);
    mat_put_u8(&w, leaf->bits);
    mat_put_u64(&w, leaf->prefix);
    for (size_t i = 0; i < n && i < MAT_WIRE_LEAF_MAX; i++) {
        mat_put_u64(&w, claims[i]->hash);
        mat_put_u32(&w, claims[i]->version.epoch);
        mat_put_u32(&w, claims[i]->sum);
    }
    mat_count(g, MAT_C_SYNC_LEAVES);
    mat_post(g, to, MAT_MSG_SYNC_LEAF, &w, false);
    mat_timer_set(g, &leaf->timer, MAT_TIMER_LEAF,
                  (mat_peer_rto_us(g, to) + 100000)
                  << (leaf->tries < 3 ? leaf->tries : 3));
}

/* Whether the part with this leaf differs now: what was missing may have come
 * from others. */
static bool
differs(const struct mat_gossip *g, uint64_t i)
{
    const struct mat_store_zone *z = mat_store_zone(&g->store, g->sync.zone);
    uint64_t part = prefix_of(&g->sync, i) >> 56;

    return g->sync.sums[part] != (z ? z->sums[part] : 0);
}

static void
end_job(struct mat_gossip *g, struct mat_peer *peer, bool again)
{
    struct mat_sync *sync = &g->sync;

    sync->peer = 0;
    for (int i = 0; i < MAT_LEAVES_MAX; i++) {
        mat_timer_cancel(g, &sync->leaves[i].timer);
        sync->leaves[i].is_used = false;
    }
    sync->n_leaves = 0;
    if (g->n_merged != sync->n_before) {
        mat_sync_eagerly(g);
    }
    if (again && g->n_merged != sync->n_before) {
        mat_sync_with(g, peer);     /* Other zones may differ too. */
    }
}

static void
pump(struct mat_gossip *g, struct mat_peer *peer)
{
    struct mat_sync *sync = &g->sync;
    uint64_t end = UINT64_C(1) << sync->bits;

    for (int i = 0; i < MAT_LEAVES_MAX && sync->next < end; i++) {
        struct mat_leaf *leaf = &sync->leaves[i];

        if (leaf->is_used) {
            continue;
        }
        while (sync->next < end && !differs(g, sync->next)) {
            sync->next++;
        }
        if (sync->next < end) {
            leaf->is_used = true;
            leaf->tries = leaf->repeats = 0;
            leaf->bits = (uint8_t) sync->bits;
            leaf->prefix = prefix_of(sync, sync->next++);
            sync->n_leaves++;
            send_leaf(g, peer, leaf);
        }
    }
    if (!sync->n_leaves) {
        end_job(g, peer, true);
    }
}

void
mat_sync_leaf_timer(struct mat_gossip *g, struct mat_leaf *leaf)
{
    struct mat_member *m = mat_member_find(g, g->sync.peer);

    if (!m || !mat_member_is_usable(m) || ++leaf->tries == LEAF_TRIES) {
        end_job(g, NULL, false);    /* The next round finds another peer. */
    } else {
        send_leaf(g, mat_peer_get(g, m), leaf);
    }
}

/* Whether the job under way would go on faster with 'peer'. */
static bool
is_better(const struct mat_gossip *g, const struct mat_peer *peer,
          uint32_t zone)
{
    const struct mat_member *now = mat_member_find(g, g->sync.peer);
    int64_t rtt = mat_peer_rtt_us(g, peer);

    return (zone == g->sync.zone && rtt >= 0 && now && now->peer
            && (mat_peer_rtt_us(g, now->peer) > 2 * rtt + NEARER_US));
}

/* So deep that a leaf has MAT_LEAF_CLAIMS claims at most, or half of it. */
static uint32_t
choose_bits(uint32_t n)
{
    uint32_t bits = 8;

    while (bits < LEAF_BITS_MAX && n >> bits > MAT_LEAF_CLAIMS) {
        bits++;
    }
    return bits;
}

static void
receive_sums(struct mat_gossip *g, struct mat_peer *from,
             struct mat_reader *r)
{
    struct mat_sync *sync = &g->sync;
    uint32_t zone = mat_get_u32(r), n = mat_get_u32(r);
    const struct mat_store_zone *z = mat_store_zone(&g->store, zone);
    uint32_t n_here = z ? z->n : 0;

    if (r->bad || r->left != 4 * MAT_STORE_SUMS) {
        r->bad = true;
        return;
    }
    if (!from->has_rtt && from->root_us > 0) {
        mat_peer_sample_rtt(g, from, g->now_us - from->root_us);
    }
    if (!is_here(g, zone) || (sync->peer && !is_better(g, from, zone))) {
        r->left = 0;
        return;
    }
    end_job(g, NULL, false);
    for (int i = 0; i < MAT_STORE_SUMS; i++) {
        sync->sums[i] = mat_get_u32(r);
    }
    if (n > n_here + MAT_MANY_CLAIMS) {
        mat_accept_remember(g, MAT_VERIFIED_MANY);
    }
    sync->peer = from->member->id;
    sync->zone = zone;
    sync->bits = choose_bits(n > n_here ? n : n_here);
    sync->next = 0;
    sync->n_before = g->n_merged;
    pump(g, from);
}

/* Leaves, at the other side. */

struct leaf_entry {
    uint64_t hash;
    uint32_t epoch, sum;
    bool is_known;
};

static size_t
get_entries(struct mat_reader *r, struct leaf_entry *entries)
{
    size_t n = 0;

    while (r->left && !r->bad) {
        if (n == MAT_WIRE_LEAF_MAX) {
            r->bad = true;
            break;
        }
        entries[n].hash = mat_get_u64(r);
        entries[n].epoch = mat_get_u32(r);
        entries[n].sum = mat_get_u32(r);
        entries[n].is_known = false;
        n++;
    }
    return n;
}

static struct leaf_entry *
find_entry(struct leaf_entry *entries, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++) {
        if (entries[i].hash == hash) {
            return &entries[i];
        }
    }
    return NULL;
}

/* One number for the content of a leaf. */
static uint64_t
leaf_sum(const struct mat_claim *const *claims, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum ^= mat_mix64(claims[i]->hash ^ mat_mix64(claims[i]->sum));
    }
    return sum;
}

static size_t
scan_leaf(const struct mat_gossip *g, uint32_t zone, uint64_t prefix,
          uint8_t bits, const struct mat_claim *claims[LEAF_SCAN_MAX])
{
    size_t n = mat_store_scan(&g->store, zone, prefix, bits, claims,
                              LEAF_SCAN_MAX);

    return n < LEAF_SCAN_MAX ? n : LEAF_SCAN_MAX;
}

static void
send_done(struct mat_gossip *g, struct mat_peer *to, uint32_t zone,
          uint8_t bits, uint64_t prefix, uint64_t sum)
{
    uint8_t bytes[21];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    mat_put_u32(&w, zone);
    mat_put_u8(&w, bits);
    mat_put_u64(&w, prefix);
    mat_put_u64(&w, sum);
    mat_post(g, to, MAT_MSG_SYNC_DONE, &w, false);
}

/* Whether another host gives what 'to' has: once is enough. */
static bool
is_given(const struct mat_gossip *g, const struct mat_peer *to,
         uint32_t zone)
{
    return (g->sync.peer && g->sync.peer != to->member->id
            && g->sync.zone == zone);
}

/* Compares a leaf, one of 2^bits, with the claims here: gives what is newer
 * here, asks for what is not; both if only the merge can tell. */
static void
answer_leaf(struct mat_gossip *g, struct mat_peer *to, uint32_t zone,
            uint8_t bits, struct leaf_entry *entries, size_t n_entries,
            const struct mat_claim **claims, size_t n_claims)
{
    uint8_t bytes[8 * MAT_WIRE_LEAF_MAX];
    struct mat_writer need = { .bytes = bytes, .max = sizeof bytes };
    size_t n_give = 0;

    for (size_t i = 0; i < n_claims; i++) {
        struct leaf_entry *e = find_entry(entries, n_entries,
                                          claims[i]->hash);
        bool same = e && e->sum == claims[i]->sum
                    && e->epoch == claims[i]->version.epoch;

        if (e) {
            e->is_known = same || e->epoch < claims[i]->version.epoch;
        }
        if (!same && (!e || e->epoch <= claims[i]->version.epoch)) {
            claims[n_give++] = claims[i];
        }
    }
    for (size_t i = 0; i < n_entries; i++) {
        if (!entries[i].is_known) {
            mat_put_u64(&need, entries[i].hash);
        }
    }
    if (need.n / 8 << bits > MAT_MANY_CLAIMS) {
        mat_accept_remember(g, MAT_VERIFIED_MANY);      /* As many lack. */
    }
    mat_reply_claims(g, to, claims, n_give, false);
    if (need.n && !is_given(g, to, zone)) {
        mat_post(g, to, MAT_MSG_SYNC_NEED, &need, false);
    }
}

static void
receive_leaf(struct mat_gossip *g, struct mat_peer *from,
             struct mat_reader *r)
{
    const struct mat_claim *claims[LEAF_SCAN_MAX];
    struct leaf_entry entries[MAT_WIRE_LEAF_MAX];
    uint32_t zone = mat_get_u32(r);
    uint8_t bits = mat_get_u8(r);
    uint64_t prefix = mat_get_u64(r);
    size_t n_entries = get_entries(r, entries), n_claims;
    uint64_t sum;

    if (r->bad || bits < 8 || bits > LEAF_BITS_MAX) {
        r->bad = true;
        return;
    }
    if (!is_here(g, zone)) {
        return;
    }
    /* If there are more than this, the next round gives the others. */
    n_claims = scan_leaf(g, zone, prefix, bits, claims);
    sum = leaf_sum(claims, n_claims);
    if (!may_give(g, n_claims * CLAIM_COST)) {
        return;
    }
    answer_leaf(g, from, zone, bits, entries, n_entries, claims, n_claims);
    send_done(g, from, zone, bits, prefix, sum);
}

/* Whether a part of the answer to 'leaf' seems to have got lost on the way.
 * It may also be that more is known here: that costs a repetition or two. */
static bool
is_incomplete(const struct mat_gossip *g, const struct mat_leaf *leaf,
              uint64_t sum)
{
    const struct mat_claim *claims[LEAF_SCAN_MAX];
    size_t n = scan_leaf(g, g->sync.zone, leaf->prefix, leaf->bits, claims);

    return leaf_sum(claims, n) != sum;
}

static void
receive_done(struct mat_gossip *g, struct mat_peer *from,
             struct mat_reader *r)
{
    uint32_t zone = mat_get_u32(r);
    uint8_t bits = mat_get_u8(r);
    uint64_t prefix = mat_get_u64(r), sum = mat_get_u64(r);

    if (r->bad || from->member->id != g->sync.peer || zone != g->sync.zone) {
        return;
    }
    for (int i = 0; i < MAT_LEAVES_MAX; i++) {
        struct mat_leaf *leaf = &g->sync.leaves[i];

        if (!leaf->is_used || leaf->bits != bits || leaf->prefix != prefix) {
            continue;
        }
        if (leaf->repeats < LEAF_REPEATS && is_incomplete(g, leaf, sum)) {
            leaf->repeats++;
            send_leaf(g, from, leaf);
            return;
        }
        leaf->is_used = false;
        mat_timer_cancel(g, &leaf->timer);
        g->sync.n_leaves--;
        pump(g, from);
        return;
    }
}

static void
receive_need(struct mat_gossip *g, struct mat_peer *from,
             struct mat_reader *r)
{
    const struct mat_claim *claims[MAT_WIRE_LEAF_MAX];
    size_t n = 0;

    while (r->left && !r->bad && n < MAT_WIRE_LEAF_MAX) {
        const struct mat_claim *c = mat_store_find_hash(&g->store,
                                                        mat_get_u64(r));

        if (c && !r->bad) {
            claims[n++] = c;
        }
    }
    if (!may_give(g, n * CLAIM_COST)) {
        return;
    }
    mat_reply_claims(g, from, claims, n, false);
}

/* 'claim' has an owner of whom this host has not heard: asks whoever sent it
 * for both. */
void
mat_sync_need_owner(struct mat_gossip *g, struct mat_peer *from,
                    const struct mat_claim *claim)
{
    uint8_t bytes[16];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    struct mat_key owner = mat_key_host(claim->version.host);

    if (!from || !mat_bucket_take(&g->reply_bucket, g->config.tuning.replies_s,
                                  1, g->now_us)) {
        mat_count(g, MAT_C_LIMIT_REPLIES);
        return;
    }
    mat_put_u64(&w, mat_key_hash(&owner));
    mat_put_u64(&w, claim->hash);
    mat_post(g, from, MAT_MSG_SYNC_NEED, &w, false);
}

bool
mat_sync_receive(struct mat_gossip *g, struct mat_peer *from, uint8_t type,
                 struct mat_reader *r)
{
    switch (type) {
    case MAT_MSG_SYNC_ROOT:
        receive_root(g, from, r);
        break;
    case MAT_MSG_SYNC_SUMS:
        receive_sums(g, from, r);
        break;
    case MAT_MSG_SYNC_LEAF:
        receive_leaf(g, from, r);
        break;
    case MAT_MSG_SYNC_DONE:
        receive_done(g, from, r);
        break;
    default:
        receive_need(g, from, r);
        break;
    }
    return !r->bad;
}
