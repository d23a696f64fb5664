/* SPDX-License-Identifier: Apache-2.0 */
/* Peers: keys, round-trip times, and the datagrams being filled.
 *
 * Messages for one peer that arise from one round of events share a datagram;
 * acknowledgements and rumors ride along in what room is left.  A datagram
 * has its number from the moment that it is opened, so that whoever puts in
 * something to be acknowledged knows for which number to wait. */
#include "mat-engine.h"
#include "mat-mem.h"

enum {
    INTRODUCTIONS = 8,
    AGE_MAX_US = 10 * 1000000   /* So that products with rates fit. */
};

static void
refill(struct mat_bucket *bucket, uint32_t rate, int64_t now_us)
{
    int64_t full = (int64_t) rate * 1000000;
    int64_t age = now_us - bucket->at_us;

    if (!bucket->at_us) {
        bucket->level_micro = full;
    } else {
        bucket->level_micro += (age < AGE_MAX_US ? age : AGE_MAX_US) * rate;
        if (bucket->level_micro > full) {
            bucket->level_micro = full;
        }
    }
    bucket->at_us = now_us;
}

bool
mat_bucket_take(struct mat_bucket *bucket, uint32_t rate, uint32_t amount,
                int64_t now_us)
{
    refill(bucket, rate, now_us);
    if (bucket->level_micro < (int64_t) amount * 1000000) {
        return false;
    }
    bucket->level_micro -= (int64_t) amount * 1000000;
    return true;
}

void
mat_bucket_charge(struct mat_bucket *bucket, uint32_t rate, size_t amount,
                  int64_t now_us)
{
    refill(bucket, rate, now_us);
    bucket->level_micro -= (int64_t) amount * 1000000;
}

bool
mat_peer_is_spent(struct mat_gossip *g)
{
    refill(&g->sent_bucket, g->config.tuning.bytes_s, g->now_us);
    return g->sent_bucket.level_micro < (int64_t) g->n_posted * 1000000;
}

bool
mat_peer_may_idle(struct mat_gossip *g, size_t size)
{
    bool may = mat_bucket_take(&g->idle_bucket, g->config.tuning.idle_bytes_s,
                               (uint32_t) size, g->now_us);

    if (!may) {
        mat_count(g, MAT_C_LIMIT_IDLE);
    }
    return may;
}

struct mat_peer *
mat_peer_get(struct mat_gossip *g, struct mat_member *member)
{
    (void) g;
    if (!member->peer) {
        member->peer = mat_xcalloc(1, sizeof *member->peer);
        member->peer->member = member;
        mat_coord_init(&member->peer->coord);
    }
    return member->peer;
}

static void
release_open(struct mat_gossip *g, struct mat_open *open)
{
    open->next = g->open_free;
    g->open_free = open;
}

void
mat_peer_destroy(struct mat_gossip *g, struct mat_peer *peer)
{
    if (!peer) {
        return;
    }
    mat_push_drop_peer(g, peer);
    mat_timer_cancel(g, &peer->suspicion);
    for (struct mat_open **p = &g->open_first; *p; ) {
        struct mat_open *open = *p;

        if (open->peer == peer) {
            *p = open->next;
            release_open(g, open);
        } else {
            p = &open->next;
        }
    }
    g->open_last = g->open_first;
    while (g->open_last && g->open_last->next) {
        g->open_last = g->open_last->next;
    }
    peer->member->peer = NULL;
    free(peer);
}

/* Keys. */

/* Derives the key of the pair, again if the peer has restarted since. */
bool
mat_peer_key(struct mat_gossip *g, struct mat_peer *peer)
{
    const struct mat_claim *host = peer->member->host;
    struct mat_host_info info;
    struct mat_cert cert;
    bool self_lower = g->config.id < peer->member->id;

    if (peer->is_keyed) {
        return true;
    }
    if (!mat_host_decode(host->body, host->body_size, &info)) {
        return false;
    }
    peer->endpoint = info.endpoint;
    if (peer->has_key && peer->key_salt == info.salt) {
        peer->is_keyed = true;
        return true;
    }
    if (!mat_cert_parse(info.cert, info.cert_size, &cert)
        || !mat_channel_key(&g->config.crypto, cert.public_key,
                            g->config.label,
                            self_lower ? g->config.salt : info.salt,
                            self_lower ? info.salt : g->config.salt,
                            peer->key)) {
        return false;
    }
    peer->has_key = peer->is_keyed = true;
    peer->key_salt = info.salt;
    peer->rx = (struct mat_replay) { .top = 0 };
    peer->n_acks = 0;
    return true;
}

/* Round-trip times: RFC 6298, without its second of minimum. */

void
mat_peer_sample_rtt(struct mat_gossip *g, struct mat_peer *peer,
                    int64_t rtt_us)
{
    int64_t deviation = peer->srtt_us - rtt_us;

    (void) g;
    if (!peer->has_rtt) {
        peer->has_rtt = true;
        peer->srtt_us = rtt_us;
        peer->rttvar_us = rtt_us / 2;
        return;
    }
    peer->rttvar_us += ((deviation < 0 ? -deviation : deviation)
                        - peer->rttvar_us) / 4;
    peer->srtt_us -= deviation / 8;
}

int64_t
mat_peer_rtt_us(const struct mat_gossip *g, const struct mat_peer *peer)
{
    return (peer->has_rtt ? peer->srtt_us
            : peer->has_coord && g->prober.coord.error < 500
              ? mat_coord_rtt_us(&g->prober.coord, &peer->coord)
            : -1);
}

int64_t
mat_peer_rto_us(const struct mat_gossip *g, const struct mat_peer *peer)
{
    const struct mat_gossip_tuning *t = &g->config.tuning;
    int64_t rtt = mat_peer_rtt_us(g, peer), rto;

    if (rtt < 0) {
        return t->rto_initial_us;
    }
    rto = peer->has_rtt ? rtt + 4 * peer->rttvar_us : 2 * rtt;
    return (rto < rtt + t->rto_min_us ? rtt + t->rto_min_us
            : rto > t->rto_max_us ? t->rto_max_us : rto);
}

/* Filling. */

static struct mat_open *
open_datagram(struct mat_gossip *g, struct mat_peer *peer)
{
    struct mat_open *open = g->open_free;

    if (open) {
        g->open_free = open->next;
    } else {
        open = mat_xmalloc(sizeof *open);
    }
    open->next = NULL;
    open->peer = peer;
    open->counter = ++peer->tx_counter;
    open->is_urgent = false;
    open->n = 0;
    if (g->open_first) {
        g->open_last->next = open;
    } else {
        g->open_first = open;
    }
    g->open_last = open;
    peer->open = open;
    return open;
}

static size_t
body_max(void)
{
    return MAT_WIRE_BODY_MAX;
}

static struct mat_writer
open_writer(struct mat_open *open)
{
    return (struct mat_writer) {
        .bytes = open->bytes + MAT_WIRE_HEAD_SIZE, .n = open->n,
        .max = body_max()
    };
}

static void
put_message(struct mat_writer *w, uint8_t type,
            const struct mat_writer *payload)
{
    mat_put_u8(w, type);
    mat_put_u16(w, (uint16_t) payload->n);
    mat_put_bytes(w, payload->bytes, payload->n);
}

uint64_t
mat_post(struct mat_gossip *g, struct mat_peer *peer, uint8_t type,
         const struct mat_writer *payload, bool is_urgent)
{
    size_t size = MAT_WIRE_MESSAGE_HEAD + payload->n;
    struct mat_open *open = peer->open;
    struct mat_writer w;

    if (payload->overflow || size > body_max()) {
        mat_count(g, MAT_C_DROP_OVERFLOW);
        return 0;
    }
    if (peer->member->is_refused || !mat_peer_key(g, peer)) {
        return 0;
    }
    if (!open || open->n + size > body_max()) {
        open = open_datagram(g, peer);
    }
    w = open_writer(open);
    put_message(&w, type, payload);
    open->n = w.n;
    open->is_urgent |= is_urgent;
    g->n_posted += size;
    g->is_dirty = true;
    return open->counter;
}

static void
put_acks(struct mat_peer *peer, struct mat_writer *w)
{
    uint8_t bytes[8 * MAT_PEER_ACKS_MAX];
    struct mat_writer acks = { .bytes = bytes, .max = sizeof bytes };
    size_t room = w->max - w->n;

    for (uint8_t i = 0; i < peer->n_acks; i++) {
        mat_put_u64(&acks, peer->acks[i]);
    }
    if (acks.n && room >= MAT_WIRE_MESSAGE_HEAD + acks.n) {
        put_message(w, MAT_MSG_ACKS, &acks);
        peer->n_acks = 0;
    }
}

static void
post_acks(struct mat_gossip *g, struct mat_peer *peer)
{
    uint8_t bytes[8 * MAT_PEER_ACKS_MAX];
    struct mat_writer acks = { .bytes = bytes, .max = sizeof bytes };

    for (uint8_t i = 0; i < peer->n_acks; i++) {
        mat_put_u64(&acks, peer->acks[i]);
    }
    peer->n_acks = 0;
    mat_post(g, peer, MAT_MSG_ACKS, &acks, true);
}

/* Opens a datagram at least, so that the acknowledgement gets away. */
void
mat_peer_ack(struct mat_gossip *g, struct mat_peer *peer, uint64_t counter)
{
    peer->acks[peer->n_acks++] = counter;
    if (peer->n_acks == MAT_PEER_ACKS_MAX) {
        post_acks(g, peer);
    } else if (!peer->open && mat_peer_key(g, peer)) {
        open_datagram(g, peer);
        peer->open->is_urgent = true;
    }
    g->is_dirty = true;
}

/* Sealing. */

static void
send(struct mat_gossip *g, const struct mat_endpoint *to,
     const uint8_t *bytes, size_t size, bool is_urgent)
{
    struct mat_output out = {
        .kind = MAT_OUT_SEND, .to = *to, .size = size, .is_urgent = is_urgent
    };
    uint8_t *copy = mat_xmalloc(size);

    memcpy(copy, bytes, size);
    out.bytes = copy;
    mat_count(g, MAT_C_SENT);
    g->counters[MAT_C_SENT_BYTES] += size;
    mat_bucket_charge(&g->sent_bucket, g->config.tuning.bytes_s,
                      size + MAT_WIRE_IP_UDP, g->now_us);
    mat_output_event(g, &out);
}

static void
close_datagram(struct mat_gossip *g, struct mat_open *open)
{
    struct mat_peer *peer = open->peer;
    bool is_urgent = open->is_urgent || peer->n_acks;
    struct mat_writer w = open_writer(open);
    struct mat_datagram_head head = {
        .kind = MAT_DATAGRAM_DATA, .label = g->config.label,
        .sender = g->config.id, .counter = open->counter
    };

    put_acks(peer, &w);
    mat_member_put_rumors(g, &w);
    if (peer->open == open) {
        peer->open = NULL;
    }
    if (w.n) {
        send(g, &peer->endpoint, open->bytes,
             mat_channel_seal(&g->config.crypto, peer->key, &head,
                              peer->member->id, open->bytes, w.n),
             is_urgent);
    }
    release_open(g, open);
    if (peer->n_acks && !peer->open) {
        post_acks(g, peer);     /* They found no room. */
    }
}

static bool
has_acks(const struct mat_open *open)
{
    return open->peer->n_acks && open == open->peer->open;
}

/* Seals all that is open, moves and acknowledgements first.  Acknowledgements
 * that found no room get a datagram of their own in the next round. */
void
mat_peer_flush(struct mat_gossip *g)
{
    while (g->open_first) {
        struct mat_open *all = g->open_first, *later = NULL;
        struct mat_open **tail = &later;

        g->open_first = g->open_last = NULL;
        for (struct mat_open *open = all, *next; open; open = next) {
            next = open->next;
            if (open->is_urgent || has_acks(open)) {
                close_datagram(g, open);
            } else {
                open->next = NULL;
                *tail = open;
                tail = &open->next;
            }
        }
        for (struct mat_open *open = later, *next; open; open = next) {
            next = open->next;
            close_datagram(g, open);
        }
    }
    g->n_posted = 0;
}

/* Says who and where this host is, sealed by the first or second join key.
 * 'ghost', unless null, is what the cluster remembers of the receiver, who
 * seems to have forgotten it. */
void
mat_peer_hello(struct mat_gossip *g, const struct mat_endpoint *to, bool want,
               int join_key, const struct mat_claim *ghost)
{
    uint8_t datagram[MAT_WIRE_DATAGRAM_MAX];
    struct mat_datagram_head head = {
        .kind = MAT_DATAGRAM_HELLO, .label = g->config.label,
        .sender = g->config.id, .counter = ++g->hello_counter,
        .salt = mat_mix64(g->config.salt ^ UINT64_C(0x68656c6c6f))
    };
    size_t head_size = mat_channel_head_size(head.kind);
    struct mat_writer body = {
        .bytes = datagram + head_size, .max = MAT_WIRE_BODY_MAX
    };
    uint8_t bytes[MAT_WIRE_BODY_MAX];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    struct mat_claims_head claims = {
        .flags = want ? MAT_CLAIMS_WANT_HELLO : 0, .zone = MAT_ZONE_ALL
    };
    struct mat_key key = mat_key_host(g->config.id);
    const struct mat_claim *self = mat_store_find(&g->store, &key);

    if (!self) {
        return;
    }
    if (!mat_bucket_take(&g->hello_bucket, g->config.tuning.hellos_s, 1,
                         g->now_us)) {
        mat_count(g, MAT_C_LIMIT_HELLO);
        return;
    }
    mat_put_claims_head(&w, &claims);
    mat_put_claim(&w, self, NULL);
    if (ghost && w.n + mat_claim_wire_size(ghost, self)
                 <= w.max - MAT_WIRE_MESSAGE_HEAD) {
        mat_put_claim(&w, ghost, self);
    }
    put_message(&body, MAT_MSG_CLAIMS, &w);
    MAT_ASSERT(!w.overflow && !body.overflow);
    send(g, to, datagram, mat_channel_seal(&g->config.crypto,
                                           g->config.join_keys[join_key],
                                           &head, 0,
                                           datagram, body.n), false);
}

/* Tells some members at once that this host's own claim has changed so that
 * they cannot read what it sends. */
void
mat_peer_introduce(struct mat_gossip *g)
{
    mat_stage_flush(g);
    for (int i = 0; i < INTRODUCTIONS; i++) {
        struct mat_member *m = mat_member_random(g, MAT_ZONE_ALL, 0);

        if (m && mat_peer_key(g, mat_peer_get(g, m))) {
            mat_peer_hello(g, &m->peer->endpoint, true, 0, NULL);
        }
    }
}

void
mat_peer_destroy_all(struct mat_gossip *g)
{
    for (size_t i = 0; i < g->n_members; i++) {
        mat_peer_destroy(g, g->members[i]->peer);
    }
    while (g->open_free) {
        struct mat_open *open = g->open_free;

        g->open_free = open->next;
        free(open);
    }
}
