/* SPDX-License-Identifier: Apache-2.0 */
/* The face of the engine: creation, input, output.  What happens inside is
 * told in the files that mat-engine.h lists. */
#include "mat-gossip.h"

#include "mat-engine.h"
#include "mat-mem.h"

enum {
    JOIN_US = 1000000,          /* Between knocks at the seeds. */
    HELLO_PEER_US = 100000      /* Between answers to what cannot be read. */
};

const char *
mat_counter_text(enum mat_counter counter)
{
    static const char *const texts[] = {
#define MAT_COUNTER(NAME, TEXT) TEXT,
        MAT_COUNTERS
#undef MAT_COUNTER
    };

    MAT_ASSERT(counter < MAT_N_COUNTERS);
    return texts[counter];
}

/* Life. */

void
mat_gossip_tuning_default(struct mat_gossip_tuning *t)
{
    *t = (struct mat_gossip_tuning) {
        .probe_us = 1000000,
        .probe_timeout_us = 300000,
        .probe_dead_us = 250000,
        .sync_us = 1000000,
        .rto_min_us = 10000,
        .rto_initial_us = 250000,
        .rto_max_us = 2000000,
        .interest_us = 60 * 1000000,
        .tombstone_us = INT64_C(600) * 1000000,
        .record_us = INT64_C(86400) * 1000000,
        .damp_window_us = 180 * 1000000,
        .freeze_us = INT64_C(1800) * 1000000,
        .ghost_us = 10 * 1000000,
        .damp_max = 5,
        .push_tries = 8,
        .suspicion_factor = 4,
        .spread_direct = 64,
        .spread_fanout = 16,
        .window = 32,
        .catchup_bytes_s = 8 * 1000 * 1000,
        .replies_s = 2000,
        .hellos_s = 200,
        .pulls_s = 500,
        .bytes_s = 25 * 1000 * 1000,
        .idle_bytes_s = 5000,
        .records_max = 2 * 1000 * 1000
    };
}

/* Takes a certificate of this host and cluster. */
static bool
take_cert(struct mat_gossip *g, const uint8_t *bytes, size_t size)
{
    const struct mat_gossip_config *c = &g->config;
    struct mat_cert cert;

    if (size > sizeof g->cert || !mat_cert_parse(bytes, size, &cert)
        || cert.host != c->id
        || !mat_cert_verify(bytes, size, &c->crypto, c->cluster_key)) {
        return false;
    }
    g->own_cert = cert;
    memcpy(g->cert, bytes, size);
    g->config.cert = g->cert;
    g->config.cert_size = size;
    return true;
}

static void
start(struct mat_gossip *g)
{
    mat_probe_start(g);
    mat_sync_start(g);
    mat_stage_host(g);
    mat_timer_set(g, &g->join, MAT_TIMER_JOIN, 0);
    mat_timer_set(g, &g->ghosts, MAT_TIMER_GHOSTS, g->config.tuning.ghost_us);
    mat_timer_set(g, &g->sweep, MAT_TIMER_SWEEP, 1000000);
}

struct mat_gossip *
mat_gossip_create(const struct mat_gossip_config *config, int64_t now_us)
{
    struct mat_gossip *g = mat_xcalloc(1, sizeof *g);

    g->config = *config;
    g->now_us = g->start_us = now_us;
    g->wall_s = config->wall_s;
    g->generation = config->generation;
    g->rng.state = config->seed;
    if (!take_cert(g, config->cert, config->cert_size)) {
        free(g);
        return NULL;
    }
    mat_store_init(&g->store, config->pool, config->tuning.records_max);
    g->store.dropped = mat_accept_dropped;
    g->store.aux = g;
    start(g);
    return g;
}

static void
release_output(struct mat_output *out)
{
    free((void *) (uintptr_t) out->bytes);
    mat_claim_unref(out->claim);
    mat_claim_unref(out->old);
    *out = (struct mat_output) { .size = 0 };
}

void
mat_gossip_destroy(struct mat_gossip *g)
{
    if (!g) {
        return;
    }
    release_output(&g->last);
    for (size_t i = 0; i < g->n_outputs; i++) {
        release_output(&g->outputs[(g->out_head + i)
                                   % g->outputs_allocated]);
    }
    free(g->outputs);
    mat_peer_destroy_all(g);
    mat_push_destroy(g);
    mat_pull_destroy(g);
    mat_vmn_destroy(g);
    mat_correspond_destroy(g);
    mat_damp_destroy(g);
    mat_spread_destroy(g);
    mat_claim_unref(g->replaced);
    mat_member_destroy(g);
    mat_store_destroy(&g->store);
    mat_heap_destroy(&g->heap);
    free(g->prober.order);
    free(g->staged);
    free(g->verified);
    free(g->tombstones);
    free(g);
}

/* Output. */

static void
grow_outputs(struct mat_gossip *g)
{
    size_t n = g->outputs_allocated ? g->outputs_allocated * 2 : 64;
    struct mat_output *outputs = mat_xcalloc(n, sizeof *outputs);

    for (size_t i = 0; i < g->n_outputs; i++) {
        outputs[i] = g->outputs[(g->out_head + i) % g->outputs_allocated];
    }
    free(g->outputs);
    g->outputs = outputs;
    g->outputs_allocated = n;
    g->out_head = 0;
}

void
mat_output_event(struct mat_gossip *g, const struct mat_output *out)
{
    struct mat_output copy = *out;

    if (g->n_outputs == MAT_GOSSIP_OUTPUTS_MAX) {
        mat_count(g, MAT_C_LIMIT_OUTPUTS);
        release_output(&copy);
        return;
    }
    if (g->n_outputs == g->outputs_allocated) {
        grow_outputs(g);
    }
    g->outputs[(g->out_head + g->n_outputs++) % g->outputs_allocated] = copy;
}

void
mat_output_vmn(struct mat_gossip *g, const struct mat_key *key,
               enum mat_vmn_event event, uint64_t host)
{
    struct mat_output out = {
        .kind = MAT_OUT_VMN, .key = *key, .event = event, .host = host
    };

    mat_output_event(g, &out);
}

/* Turns what has gathered into datagrams: moves to those whom they concern,
 * then to the rest, then everything else. */
static void
flush(struct mat_gossip *g)
{
    g->is_dirty = false;
    while (g->n_staged) {
        mat_stage_flush(g);
    }
    mat_push_flush(g);
    mat_spread_flush(g);
    mat_push_flush(g);
    mat_peer_flush(g);
}

bool
mat_gossip_next(struct mat_gossip *g, struct mat_output *out)
{
    release_output(&g->last);
    if (!g->n_outputs && g->is_dirty) {
        flush(g);
    }
    if (!g->n_outputs) {
        return false;
    }
    g->last = g->outputs[g->out_head];
    g->out_head = (g->out_head + 1) % g->outputs_allocated;
    g->n_outputs--;
    *out = g->last;
    return true;
}

int64_t
mat_gossip_deadline_us(const struct mat_gossip *g)
{
    return g->n_outputs || g->is_dirty ? g->now_us
           : mat_heap_deadline(&g->heap);
}

/* Time. */

static void
knock_at_seeds(struct mat_gossip *g)
{
    mat_timer_set(g, &g->join, MAT_TIMER_JOIN, JOIN_US);
    if (g->n_in_state[MAT_MEMBER_ALIVE] || g->has_left) {
        return;
    }
    mat_stage_flush(g);
    for (size_t i = 0; i < g->config.n_seeds; i++) {
        if (!mat_endpoint_equal(&g->config.seeds[i], &g->config.endpoint)) {
            mat_peer_hello(g, &g->config.seeds[i], true, 0, NULL);
        }
    }
}

static void
sweep(struct mat_gossip *g)
{
    mat_accept_sweep(g);
    mat_correspond_sweep(g);
    mat_damp_sweep(g);
}

static void
expire(struct mat_gossip *g, struct mat_timer *t)
{
    switch ((enum mat_timer_kind) t->kind) {
    case MAT_TIMER_PROBE_PERIOD:
    case MAT_TIMER_PROBE_TIMEOUT:
    case MAT_TIMER_PROBE_DEAD:
    case MAT_TIMER_RELAY:
        mat_probe_timer(g, t);
        break;
    case MAT_TIMER_SYNC:
        mat_sync_timer(g);
        break;
    case MAT_TIMER_JOIN:
        knock_at_seeds(g);
        break;
    case MAT_TIMER_GHOSTS:
        mat_accept_ghosts(g);
        break;
    case MAT_TIMER_TOMBSTONES:
        mat_accept_tombstones(g);
        break;
    case MAT_TIMER_SWEEP:
        sweep(g);
        break;
    case MAT_TIMER_GATHER:
        mat_spread_gathered(g);
        break;
    case MAT_TIMER_PACE:
        g->is_dirty = true;
        break;
    case MAT_TIMER_SUSPICION:
        mat_member_suspicion_timer(g, MAT_CONTAINER(t, struct mat_peer,
                                                    suspicion));
        break;
    case MAT_TIMER_PARCEL:
        mat_push_timer(g, MAT_CONTAINER(t, struct mat_parcel, timer));
        break;
    case MAT_TIMER_LEAF:
        mat_sync_leaf_timer(g, MAT_CONTAINER(t, struct mat_leaf, timer));
        break;
    case MAT_TIMER_PULL:
        mat_pull_timer(g, MAT_CONTAINER(t, struct mat_pull, timer));
        break;
    case MAT_TIMER_VMN:
        mat_vmn_timer(g, MAT_CONTAINER(t, struct mat_vmn, timer));
        break;
    }
}

void
mat_gossip_tick(struct mat_gossip *g, int64_t now_us)
{
    struct mat_timer *t;

    g->now_us = now_us;
    while ((t = mat_heap_expire(&g->heap, now_us)) != NULL) {
        expire(g, t);
    }
}

void
mat_gossip_set_wall(struct mat_gossip *g, int64_t wall_s)
{
    g->wall_s = wall_s;
    mat_accept_sweep_members(g);
}

/* Claims that came. */

static void
receive_claims(struct mat_gossip *g, struct mat_peer *from, uint64_t counter,
               struct mat_reader *r)
{
    const struct mat_claim *now_here[MAT_PARCEL_CLAIMS_MAX];
    struct mat_claims_head head = mat_get_claims_head(r);
    const uint8_t *signature = NULL;
    size_t n = 0;

    while (r->left && !r->bad) {
        uint8_t body[MAT_VMN_BODY_SIZE];
        const struct mat_claim *here;
        struct mat_claim claim;
        enum mat_merge merge;

        if (!mat_get_claim(r, &claim, body, &signature)) {
            break;
        }
        merge = mat_accept(g, from, &claim);
        here = mat_store_find(&g->store, &claim.key);
        if (merge == MAT_MERGE_OLDER
            && mat_bucket_take(&g->reply_bucket, g->config.tuning.replies_s,
                               1, g->now_us)) {
            mat_reply_claims(g, from, &here, 1, true);
        }
        if (here && merge != MAT_MERGE_INERT && n < MAT_PARCEL_CLAIMS_MAX) {
            now_here[n++] = mat_claim_ref(here);
        }
    }
    if (!r->bad && head.flags & MAT_CLAIMS_RELIABLE) {
        mat_peer_ack(g, from, counter);
    }
    if (head.flags & MAT_CLAIMS_SPREAD && n
        && mat_spread_is_new(g, &head, now_here, n)) {
        mat_spread_relay(g, &head, from->member->id, now_here, n);
    }
    while (n) {
        mat_claim_unref(now_here[--n]);
    }
}

static bool
receive_acks(struct mat_gossip *g, struct mat_peer *from,
             struct mat_reader *r)
{
    while (r->left && !r->bad) {
        uint64_t counter = mat_get_u64(r);

        if (!r->bad) {
            mat_push_acked(g, from, counter);
        }
    }
    return !r->bad;
}

static bool
receive_message(struct mat_gossip *g, struct mat_peer *from,
                uint64_t counter, uint8_t type, struct mat_reader *r)
{
    switch (type) {
    case MAT_MSG_PROBE:
    case MAT_MSG_PROBE_ACK:
    case MAT_MSG_PROBE_REQ:
    case MAT_MSG_NACK:
        return mat_probe_receive(g, from, type, r);
    case MAT_MSG_RUMORS:
        mat_member_receive_rumors(g, from, r);
        return !r->bad;
    case MAT_MSG_ACKS:
        return receive_acks(g, from, r);
    case MAT_MSG_CLAIMS:
        receive_claims(g, from, counter, r);
        return !r->bad;
    case MAT_MSG_SYNC_ROOT:
    case MAT_MSG_SYNC_SUMS:
    case MAT_MSG_SYNC_LEAF:
    case MAT_MSG_SYNC_DONE:
    case MAT_MSG_SYNC_NEED:
        return mat_sync_receive(g, from, type, r);
    case MAT_MSG_PULL:
    case MAT_MSG_PULL_MISS:
        return mat_pull_receive(g, from, type, r);
    case MAT_MSG_INTEREST:
    case MAT_MSG_CORRESPONDENTS:
        return mat_correspond_receive(g, from, type, r);
    case MAT_MSG_CHALLENGE:
    case MAT_MSG_KEEP:
    case MAT_MSG_CONCEDE:
        return mat_vmn_receive(g, from, type, r);
    default:
        return false;
    }
}

/* Datagrams. */

static void
greet(struct mat_gossip *g, struct mat_peer *peer,
      const struct mat_endpoint *to)
{
    if (peer) {
        if (peer->hello_us
            && g->now_us - peer->hello_us < HELLO_PEER_US) {
            return;
        }
        peer->hello_us = g->now_us;
    }
    mat_peer_hello(g, to, true, 0, NULL);
}

/* A host greets: it says where and who it is.  The answer is sealed by the
 * join key that it used: it may not have the newer one yet. */
static void
accept_hello(struct mat_gossip *g, const struct mat_endpoint *from,
             const struct mat_claim *claim, bool want, int join_key)
{
    struct mat_host_info info;
    enum mat_merge merge;
    struct mat_member *m;

    if (!mat_host_decode(claim->body, claim->body_size, &info)) {
        mat_count(g, MAT_C_DROP_MESSAGE);
        return;
    }
    if (!mat_endpoint_equal(&info.endpoint, from)) {
        mat_count(g, MAT_C_DROP_TRANSLATED);
        return;
    }
    merge = mat_accept(g, NULL, claim);
    m = mat_member_find(g, claim->version.host);
    if (!m || m->is_refused) {
        return;
    }
    if (merge == MAT_MERGE_NEW || merge == MAT_MERGE_NEWER) {
        mat_spread_add(g, m->host);
        mat_sync_with(g, mat_peer_get(g, m));
    }
    if (want || merge == MAT_MERGE_OLDER) {
        mat_peer_hello(g, from, false, join_key,
                       merge == MAT_MERGE_OLDER ? m->host : NULL);
    }
}

static bool
receive_introduction(struct mat_gossip *g, const struct mat_endpoint *from,
                     uint64_t sender, int join_key, struct mat_reader *r)
{
    struct mat_claims_head head = mat_get_claims_head(r);
    const uint8_t *signature = NULL;
    uint8_t body[MAT_VMN_BODY_SIZE];
    struct mat_claim claim;

    if (r->bad || !mat_get_claim(r, &claim, body, &signature)
        || claim.key.type != MAT_TYPE_HOST || claim.version.host != sender) {
        return false;
    }
    accept_hello(g, from, &claim, (head.flags & MAT_CLAIMS_WANT_HELLO) != 0,
                 join_key);
    if (!r->left) {
        return true;
    }
    if (!mat_get_claim(r, &claim, body, &signature) || r->left
        || claim.key.type != MAT_TYPE_HOST
        || claim.version.host != g->config.id) {
        return false;
    }
    mat_accept(g, NULL, &claim);        /* This host's own ghost. */
    return true;
}

static void
receive_hello(struct mat_gossip *g, const struct mat_endpoint *from,
              const struct mat_datagram_head *head,
              uint8_t *data, size_t size)
{
    uint8_t copy[MAT_WIRE_DATAGRAM_MAX];
    struct mat_reader body, payload;
    int join_key = 0;
    uint8_t type;

    memcpy(copy, data, size);
    if (!mat_channel_open(&g->config.crypto, g->config.join_keys[0], head, 0,
                          data, size, &body)) {
        join_key = 1;
        if (!mat_channel_open(&g->config.crypto, g->config.join_keys[1], head,
                              0, copy, size, &body)) {
            mat_count(g, MAT_C_DROP_UNOPENED);
            return;
        }
    }
    if (!mat_get_message(&body, &type, &payload) || type != MAT_MSG_CLAIMS) {
        mat_count(g, MAT_C_DROP_MESSAGE);
        return;
    }
    if (!receive_introduction(g, from, head->sender, join_key, &payload)) {
        mat_count(g, MAT_C_DROP_MESSAGE);
    }
}

static void
receive_data(struct mat_gossip *g, const struct mat_endpoint *from,
             const struct mat_datagram_head *head,
             uint8_t *data, size_t size)
{
    struct mat_member *m = mat_member_find(g, head->sender);
    struct mat_reader body, payload;
    struct mat_peer *peer;
    uint8_t type;

    if (!m) {
        mat_count(g, MAT_C_DROP_UNKNOWN);
        greet(g, NULL, from);
        return;
    }
    if (m->is_refused) {
        mat_count(g, MAT_C_DROP_REVOKED);
        return;
    }
    peer = mat_peer_get(g, m);
    if (!mat_peer_key(g, peer)
        || !mat_channel_open(&g->config.crypto, peer->key, head,
                             g->config.id, data, size, &body)) {
        mat_count(g, MAT_C_DROP_UNOPENED);
        greet(g, peer, from);
        return;
    }
    if (!mat_endpoint_equal(&peer->endpoint, from)) {
        mat_count(g, MAT_C_DROP_TRANSLATED);
        greet(g, peer, from);
        return;
    }
    if (!mat_replay_accept(&peer->rx, head->counter)) {
        mat_count(g, MAT_C_DROP_REPLAY);
        return;
    }
    mat_member_heard(g, m);
    while (mat_get_message(&body, &type, &payload)) {
        if (!receive_message(g, peer, head->counter, type, &payload)) {
            body.bad = true;
        }
    }
    if (body.bad) {
        mat_count(g, MAT_C_DROP_MESSAGE);
    }
}

void
mat_gossip_receive(struct mat_gossip *g, int64_t now_us,
                   const struct mat_endpoint *from,
                   uint8_t *data, size_t size)
{
    struct mat_datagram_head head;

    g->now_us = now_us;
    mat_count(g, MAT_C_RECEIVED);
    g->counters[MAT_C_RECEIVED_BYTES] += size;
    if (!mat_channel_parse(data, size, &head)) {
        mat_count(g, MAT_C_DROP_MALFORMED);
    } else if (head.label != g->config.label) {
        mat_count(g, MAT_C_DROP_LABEL);
    } else if (head.sender == g->config.id) {
        mat_count(g, MAT_C_DROP_SELF);
    } else if (head.kind == MAT_DATAGRAM_HELLO) {
        receive_hello(g, from, &head, data, size);
    } else {
        receive_data(g, from, &head, data, size);
    }
}

/* This host and its operator. */

void
mat_gossip_set_endpoint(struct mat_gossip *g, int64_t now_us,
                        const struct mat_endpoint *endpoint)
{
    g->now_us = now_us;
    if (mat_endpoint_equal(&g->config.endpoint, endpoint)) {
        return;
    }
    g->config.endpoint = *endpoint;
    mat_stage_host(g);
    mat_peer_introduce(g);
}

void
mat_gossip_set_join_keys(struct mat_gossip *g,
                         const uint8_t keys[2][MAT_SECRET_SIZE])
{
    memcpy(g->config.join_keys, keys, sizeof g->config.join_keys);
}

void
mat_gossip_set_seeds(struct mat_gossip *g, const struct mat_endpoint *seeds,
                     size_t n)
{
    MAT_ASSERT(n <= MAT_GOSSIP_SEEDS_MAX);
    for (size_t i = 0; i < n; i++) {
        g->config.seeds[i] = seeds[i];
    }
    g->config.n_seeds = n;
}

bool
mat_gossip_set_cert(struct mat_gossip *g, int64_t now_us,
                    const uint8_t *bytes, size_t size)
{
    struct mat_cert cert;

    if (!mat_cert_parse(bytes, size, &cert)
        || memcmp(cert.public_key, g->own_cert.public_key,
                  sizeof cert.public_key)
        || !take_cert(g, bytes, size)) {
        return false;
    }
    g->now_us = now_us;
    mat_stage_host(g);
    return true;
}

void
mat_gossip_leave(struct mat_gossip *g, int64_t now_us)
{
    g->now_us = now_us;
    mat_member_leave(g);
}

size_t
mat_gossip_make_revocation(const struct mat_crypto *cluster, uint64_t host,
                           uint32_t serial,
                           uint8_t claim[MAT_WIRE_DATAGRAM_MAX])
{
    struct mat_claim c = {
        .key = mat_key_revoke(host), .state = MAT_CLAIM_LIVE,
        .version = { .epoch = 1, .seq = serial }
    };
    struct mat_claim *leaf = &c;
    struct mat_writer w = { .bytes = claim, .max = MAT_WIRE_DATAGRAM_MAX };
    struct mat_tree tree;

    mat_tree_sign(&tree, cluster, &leaf, 1);
    mat_put_claim(&w, &c, NULL);
    return w.n;
}

bool
mat_gossip_revoke(struct mat_gossip *g, int64_t now_us, const uint8_t *bytes,
                  size_t size)
{
    struct mat_reader r = { .bytes = bytes, .left = size };
    uint8_t body[MAT_VMN_BODY_SIZE];
    const uint8_t *signature = NULL;
    struct mat_claim claim;
    enum mat_merge merge;

    g->now_us = now_us;
    if (!mat_get_claim(&r, &claim, body, &signature) || r.left
        || claim.key.type != MAT_TYPE_REVOKE) {
        return false;
    }
    merge = mat_accept(g, NULL, &claim);
    if (merge == MAT_MERGE_NEW || merge == MAT_MERGE_NEWER) {
        mat_spread_add(g, mat_store_find(&g->store, &claim.key));
    }
    return merge != MAT_MERGE_INERT && merge != MAT_MERGE_FULL;
}

/* Questions. */

const struct mat_claim *
mat_gossip_find(const struct mat_gossip *g, const struct mat_key *key)
{
    return mat_store_find(&g->store, key);
}

const struct mat_claim *
mat_gossip_lookup(const struct mat_gossip *g, uint32_t zone,
                  const struct mat_addr *hoa)
{
    unsigned int bits = mat_addr_bits(hoa);

    for (unsigned int plen = bits; plen; plen--) {
        unsigned int in_v6 = plen + 128 - bits;

        if (g->plens[in_v6 / 8] >> in_v6 % 8 & 1) {
            struct mat_addr masked = mat_addr_mask(hoa, plen);
            struct mat_key key = mat_key_vmn(zone, &masked, plen);
            const struct mat_claim *claim = mat_store_find(&g->store, &key);

            if (claim && claim->state == MAT_CLAIM_LIVE) {
                return claim;
            }
        }
    }
    return NULL;
}

const struct mat_claim *
mat_gossip_next_claim(const struct mat_gossip *g, size_t *cursor)
{
    return mat_store_next(&g->store, cursor);
}

bool
mat_gossip_is_reachable(const struct mat_gossip *g, uint64_t host)
{
    const struct mat_member *m = mat_member_find(g, host);

    return host == g->config.id || (m && mat_member_is_usable(m));
}

bool
mat_gossip_is_frozen(const struct mat_gossip *g, const struct mat_key *key)
{
    return mat_damp_is_frozen(g, key);
}

size_t
mat_gossip_n_members(const struct mat_gossip *g, enum mat_member_state state)
{
    return g->n_in_state[state];
}

static const struct mat_coord *
coord_of(const struct mat_gossip *g, uint64_t host)
{
    const struct mat_member *m = mat_member_find(g, host);

    return (host == g->config.id ? &g->prober.coord
            : m && m->peer && m->peer->has_coord ? &m->peer->coord : NULL);
}

int64_t
mat_gossip_rtt_us(const struct mat_gossip *g, uint64_t a, uint64_t b)
{
    const struct mat_coord *ca = coord_of(g, a), *cb = coord_of(g, b);

    return !ca || !cb ? -1 : a == b ? 0 : mat_coord_rtt_us(ca, cb);
}

uint64_t
mat_gossip_counter(const struct mat_gossip *g, enum mat_counter counter)
{
    return g->counters[counter];
}

uint64_t
mat_gossip_digest(const struct mat_gossip *g, uint32_t zone)
{
    const struct mat_store_zone *z = mat_store_zone(&g->store, zone);

    return z ? z->root : 0;
}
