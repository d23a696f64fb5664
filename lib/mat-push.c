/* SPDX-License-Identifier: Apache-2.0 */
/* Push: parcels of claims that are acknowledged, and who has a move.
 *
 * A parcel is what fits in a datagram for one peer.  It is sent again after
 * the peer's RTO, doubled each time, under a new datagram number, so an
 * acknowledgement always tells a true RTT.  At most a window of parcels is
 * under way to one peer; the rest waits, so a storm is paced by the peer. */
#include "mat-engine.h"
#include "mat-mem.h"

enum {
    DEAD_TRIES = 2,             /* For a peer that is thought to be dead. */
    RELAY_TRIES = 3,            /* Then another host gets its task. */
    PACE_US = 5000,             /* Until a storm goes on. */
    PARCEL_CLAIMS_BYTES = MAT_WIRE_CLAIMS_MAX
};

/* Lists. */

static void
append(struct mat_parcels *list, struct mat_parcel *parcel)
{
    parcel->next = NULL;
    parcel->prev = list->last;
    if (list->last) {
        list->last->next = parcel;
    } else {
        list->first = parcel;
    }
    list->last = parcel;
}

static void
unlink_parcel(struct mat_parcels *list, struct mat_parcel *parcel)
{
    if (parcel->next) {
        parcel->next->prev = parcel->prev;
    } else {
        list->last = parcel->prev;
    }
    if (parcel->prev) {
        parcel->prev->next = parcel->next;
    } else {
        list->first = parcel->next;
    }
}

static void
make_busy(struct mat_gossip *g, struct mat_peer *peer)
{
    if (!peer->is_busy) {
        peer->is_busy = true;
        peer->next_busy = g->busy;
        g->busy = peer;
    }
    g->is_dirty = true;
}

static struct mat_parcel *
new_parcel(struct mat_gossip *g, struct mat_peer *peer)
{
    struct mat_parcel *parcel = g->parcel_free;

    if (g->n_parcels == MAT_GOSSIP_PARCELS_MAX) {
        mat_count(g, MAT_C_LIMIT_PARCELS);
        return NULL;
    }
    g->n_parcels++;
    if (parcel) {
        g->parcel_free = parcel->next;
        memset(parcel, 0, sizeof *parcel);
    } else {
        parcel = mat_xcalloc(1, sizeof *parcel);
    }
    parcel->peer = peer;
    parcel->head = (struct mat_claims_head) {
        .flags = MAT_CLAIMS_RELIABLE, .zone = MAT_ZONE_ALL
    };
    return parcel;
}

static void
free_parcel(struct mat_gossip *g, struct mat_parcel *parcel)
{
    mat_timer_cancel(g, &parcel->timer);
    for (uint8_t i = 0; i < parcel->n; i++) {
        mat_claim_unref(parcel->claims[i]);
    }
    g->n_parcels--;
    parcel->next = g->parcel_free;
    g->parcel_free = parcel;
}

/* Adds 'claim' unless it does not fit. */
static bool
put_in(struct mat_parcel *parcel, const struct mat_claim *claim)
{
    const struct mat_claim *previous
        = parcel->n ? parcel->claims[parcel->n - 1] : NULL;
    size_t size = mat_claim_wire_size(claim, previous);

    if (parcel->n == MAT_PARCEL_CLAIMS_MAX
        || parcel->size + size > PARCEL_CLAIMS_BYTES) {
        return false;
    }
    parcel->claims[parcel->n++] = mat_claim_ref(claim);
    parcel->size = (uint16_t) (parcel->size + size);
    return true;
}

static bool
holds(const struct mat_parcel *parcel, const struct mat_claim *claim)
{
    for (uint8_t i = 0; i < parcel->n; i++) {
        if (parcel->claims[i] == claim) {
            return true;
        }
    }
    return false;
}

/* Who has a move. */

static struct mat_push *
find_push(const struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_push *push = mat_index_find(&g->pushes, claim->hash);

    return push && !mat_version_compare(&push->version, &claim->version)
           ? push : NULL;
}

static void
free_push(struct mat_push *push)
{
    free(push->hosts);
    free(push);
}

void
mat_push_start(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_push *push = mat_index_remove(&g->pushes, claim->hash);

    if (push) {
        free_push(push);
    }
    push = mat_xcalloc(1, sizeof *push);
    push->key = claim->key;
    push->version = claim->version;
    push->start_us = g->now_us;
    mat_index_insert(&g->pushes, claim->hash, push);
    mat_count(g, MAT_C_PUSHES);
    g->push_is_done = true;
    g->is_dirty = true;
}

bool
mat_push_covers(const struct mat_gossip *g, uint64_t host,
                const struct mat_claim *claim)
{
    const struct mat_push *push = find_push(g, claim);

    for (size_t i = 0; push && i < push->n_hosts; i++) {
        if (push->hosts[i] == host) {
            return true;
        }
    }
    return false;
}

static void
push_settled(struct mat_gossip *g, const struct mat_peer *peer,
             const struct mat_claim *claim, bool reached)
{
    struct mat_push *push = find_push(g, claim);

    if (!push || !push->n_waiting
        || !mat_push_covers(g, peer->member->id, claim)) {
        return;
    }
    push->n_waiting--;
    push->n_reached += reached;
    push->n_failed += !reached;
    g->push_is_done |= !push->n_waiting;
}

static struct mat_push *
find_done(const struct mat_gossip *g)
{
    struct mat_push *push;
    size_t cursor = 0;

    while ((push = mat_index_next(&g->pushes, &cursor)) != NULL) {
        if (!push->n_waiting) {
            return push;
        }
    }
    return NULL;
}

static void
report_done(struct mat_gossip *g)
{
    struct mat_push *push;

    g->push_is_done = false;
    while ((push = find_done(g)) != NULL) {
        struct mat_output out = {
            .kind = MAT_OUT_PUSHED, .key = push->key,
            .elapsed_us = g->now_us - push->start_us,
            .n_reached = push->n_reached, .n_failed = push->n_failed
        };

        mat_output_event(g, &out);
        mat_index_remove(&g->pushes, mat_key_hash(&push->key));
        free_push(push);
    }
}

/* Sending. */

static void
put_claims(struct mat_writer *w, const struct mat_claims_head *head,
           const struct mat_claim *const *claims, size_t n)
{
    mat_put_claims_head(w, head);
    for (size_t i = 0; i < n; i++) {
        mat_put_claim(w, claims[i], i ? claims[i - 1] : NULL);
    }
}

static void
send_parcel(struct mat_gossip *g, struct mat_parcel *parcel)
{
    uint8_t bytes[MAT_WIRE_BODY_MAX];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    int64_t rto = mat_peer_rto_us(g, parcel->peer) << parcel->tries;

    put_claims(&w, &parcel->head, parcel->claims, parcel->n);
    parcel->counter = mat_post(g, parcel->peer, MAT_MSG_CLAIMS, &w, true);
    parcel->sent_us = g->now_us;
    if (rto > g->config.tuning.rto_max_us) {
        rto = g->config.tuning.rto_max_us;
    }
    mat_timer_set(g, &parcel->timer, MAT_TIMER_PARCEL, rto);
}

static bool
has_work(const struct mat_gossip *g, const struct mat_peer *peer)
{
    return peer->queued.first && peer->n_flying < g->config.tuning.window;
}

/* Sends what the window and the host's rate allow.  True if it must go on
 * later. */
static bool
pump(struct mat_gossip *g, struct mat_peer *peer)
{
    if (peer->filling) {
        append(&peer->queued, peer->filling);
        peer->filling = NULL;
    }
    while (has_work(g, peer) && !mat_peer_is_spent(g)) {
        struct mat_parcel *parcel = peer->queued.first;

        unlink_parcel(&peer->queued, parcel);
        append(&peer->flying, parcel);
        peer->n_flying++;
        send_parcel(g, parcel);
    }
    return has_work(g, peer);
}

void
mat_push_flush(struct mat_gossip *g)
{
    while (g->busy) {
        struct mat_peer *peer = g->busy;

        if (pump(g, peer)) {
            mat_count(g, MAT_C_LIMIT_STORM);
            mat_timer_set(g, &g->pace, MAT_TIMER_PACE, PACE_US);
            break;
        }
        g->busy = peer->next_busy;
        peer->is_busy = false;
    }
    if (g->push_is_done) {
        report_done(g);
    }
}

/* Sends 'claim' to 'host' for sure, with whatever else goes there. */
void
mat_push_to(struct mat_gossip *g, uint64_t host,
            const struct mat_claim *claim)
{
    struct mat_member *m = mat_member_find(g, host);
    struct mat_peer *peer;

    if (!m || m->is_refused) {
        return;
    }
    peer = mat_peer_get(g, m);
    if (peer->filling && (holds(peer->filling, claim)
                          || put_in(peer->filling, claim))) {
        return;
    }
    if (peer->filling) {
        append(&peer->queued, peer->filling);
    }
    peer->filling = new_parcel(g, peer);
    if (peer->filling) {
        put_in(peer->filling, claim);
    }
    make_busy(g, peer);
}

/* The same, and MAT_OUT_PUSHED waits for it. */
void
mat_push_tracked(struct mat_gossip *g, uint64_t host,
                 const struct mat_claim *claim)
{
    struct mat_push *push = find_push(g, claim);
    struct mat_member *m = mat_member_find(g, host);

    if (!push || !m || m->is_refused || mat_push_covers(g, host, claim)) {
        return;
    }
    if (push->n_hosts == push->allocated) {
        push->allocated = push->allocated ? push->allocated * 2 : 8;
        push->hosts = mat_xrealloc(push->hosts, push->allocated
                                   * sizeof *push->hosts);
    }
    push->hosts[push->n_hosts++] = host;
    push->n_waiting++;
    mat_push_to(g, host, claim);
}

/* Makes 'm' responsible for a branch of the tree. */
void
mat_push_branch(struct mat_gossip *g, struct mat_member *m,
                const struct mat_claims_head *head, uint8_t reroutes,
                const struct mat_claim *const *claims, size_t n)
{
    struct mat_peer *peer = mat_peer_get(g, m);
    struct mat_parcel *parcel = NULL;

    for (size_t i = 0; i < n; ) {
        if (!parcel) {
            parcel = new_parcel(g, peer);
            if (!parcel) {
                return;
            }
            parcel->head = *head;
            parcel->reroutes = reroutes;
            append(&peer->queued, parcel);
            make_busy(g, peer);
        }
        if (put_in(parcel, claims[i])) {
            i++;
        } else {
            parcel = NULL;
        }
    }
}

/* Answers with claims, not acknowledged: who misses them asks again. */
void
mat_reply_claims(struct mat_gossip *g, struct mat_peer *peer,
                 const struct mat_claim *const *claims, size_t n,
                 bool is_urgent)
{
    const struct mat_claims_head head = { .zone = MAT_ZONE_ALL };

    for (size_t i = 0; i < n; ) {
        uint8_t bytes[MAT_WIRE_BODY_MAX];
        struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
        size_t size = MAT_WIRE_MESSAGE_HEAD + MAT_WIRE_CLAIMS_HEAD, start = i;

        for (; i < n; i++) {
            size += mat_claim_wire_size(claims[i],
                                        i > start ? claims[i - 1] : NULL);
            if (size > MAT_WIRE_BODY_MAX) {
                break;
            }
        }
        put_claims(&w, &head, claims + start, i - start);
        mat_post(g, peer, MAT_MSG_CLAIMS, &w, is_urgent);
    }
}

/* Acknowledged, late, or lost. */

static void
land(struct mat_gossip *g, struct mat_parcel *parcel, bool reached)
{
    struct mat_peer *peer = parcel->peer;

    unlink_parcel(&peer->flying, parcel);
    peer->n_flying--;
    if (!(parcel->head.flags & MAT_CLAIMS_SPREAD)) {
        for (uint8_t i = 0; i < parcel->n; i++) {
            push_settled(g, peer, parcel->claims[i], reached);
        }
    }
    make_busy(g, peer);
}

void
mat_push_acked(struct mat_gossip *g, struct mat_peer *peer, uint64_t counter)
{
    struct mat_parcel *next;

    for (struct mat_parcel *parcel = peer->flying.first; parcel;
         parcel = next) {
        next = parcel->next;
        if (parcel->counter == counter) {
            mat_peer_sample_rtt(g, peer, g->now_us - parcel->sent_us);
            land(g, parcel, true);
            free_parcel(g, parcel);
        }
    }
}

void
mat_push_timer(struct mat_gossip *g, struct mat_parcel *parcel)
{
    struct mat_peer *peer = parcel->peer;
    bool may_reroute = parcel->head.flags & MAT_CLAIMS_SPREAD
                       && parcel->reroutes < MAT_PARCEL_REROUTES_MAX;
    uint32_t tries_max = (peer->member->state == MAT_MEMBER_DEAD ? DEAD_TRIES
                          : may_reroute ? RELAY_TRIES
                          : g->config.tuning.push_tries);

    if (++parcel->tries < tries_max && !peer->member->is_refused) {
        mat_count(g, MAT_C_RETRANSMITTED);
        send_parcel(g, parcel);
        return;
    }
    mat_count(g, MAT_C_PARCEL_LOST);
    land(g, parcel, false);
    if (may_reroute) {
        mat_spread_branch(g, &parcel->head, parcel->reroutes + 1,
                          peer->member->id, parcel->claims, parcel->n);
    }
    free_parcel(g, parcel);
}

static void
drop_list(struct mat_gossip *g, struct mat_parcels *list)
{
    while (list->first) {
        struct mat_parcel *parcel = list->first;

        unlink_parcel(list, parcel);
        for (uint8_t i = 0; i < parcel->n; i++) {
            push_settled(g, parcel->peer, parcel->claims[i], false);
        }
        free_parcel(g, parcel);
    }
}

void
mat_push_drop_peer(struct mat_gossip *g, struct mat_peer *peer)
{
    if (peer->filling) {
        append(&peer->queued, peer->filling);
        peer->filling = NULL;
    }
    drop_list(g, &peer->queued);
    drop_list(g, &peer->flying);
    peer->n_flying = 0;
    for (struct mat_peer **p = &g->busy; *p; p = &(*p)->next_busy) {
        if (*p == peer) {
            *p = peer->next_busy;
            break;
        }
    }
}

void
mat_push_destroy(struct mat_gossip *g)
{
    struct mat_push *push;
    size_t cursor = 0;

    while ((push = mat_index_next(&g->pushes, &cursor)) != NULL) {
        free_push(push);
    }
    mat_index_destroy(&g->pushes);
    while (g->parcel_free) {
        struct mat_parcel *parcel = g->parcel_free;

        g->parcel_free = parcel->next;
        free(parcel);
    }
}
