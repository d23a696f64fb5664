/* SPDX-License-Identifier: Apache-2.0 */
/* Failure detection: SWIM's probes with Lifeguard's self-awareness.
 *
 * Each period one member, in shuffled round-robin order, is probed; without
 * an answer in time three others are asked to try.  No answer by the end of
 * the period is a suspicion.  So each host sends a constant number of probes
 * whatever the size of the cluster, some host notices a death after e/(e-1) =
 * 1.6 periods on average, and each one after 2 n - 1 periods at the latest.
 *
 * A host that misses answers which others promised (NACK tells that the
 * helper lives), or that is itself suspected, is probably slow itself: its
 * health number grows and stretches its own periods and timeouts. */
#include "mat-engine.h"
#include "mat-mem.h"

enum {
    PROBE_SIZE = MAT_WIRE_IP_UDP + MAT_WIRE_HEAD_SIZE + MAT_WIRE_TAG_SIZE
                 + MAT_WIRE_MESSAGE_HEAD + 4
};

static int64_t
stretched(const struct mat_gossip *g, int64_t us)
{
    return us * (1 + g->prober.health);
}

void
mat_probe_blame_self(struct mat_gossip *g, int delta)
{
    struct mat_prober *p = &g->prober;

    if (delta > 0 && p->health < MAT_HEALTH_MAX) {
        p->health++;
    } else if (delta < 0 && p->health) {
        p->health--;
    }
}

static void
send_probe(struct mat_gossip *g, struct mat_member *m, uint32_t nonce)
{
    uint8_t bytes[4];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    mat_put_u32(&w, nonce);
    mat_post(g, mat_peer_get(g, m), MAT_MSG_PROBE, &w, true);
}

/* Choosing. */

static void
shuffle(struct mat_gossip *g)
{
    struct mat_prober *p = &g->prober;

    p->order = mat_xrealloc(p->order, g->n_members * sizeof *p->order);
    p->n_order = g->n_members;
    p->next = 0;
    for (size_t i = 0; i < p->n_order; i++) {
        size_t j = mat_rng_below(&g->rng, (uint32_t) (i + 1));

        p->order[i] = p->order[j];
        p->order[j] = g->members[i]->id;
    }
}

static struct mat_member *
next_target(struct mat_gossip *g)
{
    struct mat_prober *p = &g->prober;

    for (size_t n = 0; n <= g->n_members; n++) {
        struct mat_member *m;

        if (p->next == p->n_order) {
            shuffle(g);
            if (!p->n_order) {
                return NULL;
            }
        }
        m = mat_member_find(g, p->order[p->next++]);
        if (m && mat_member_is_usable(m)) {
            return m;
        }
    }
    return NULL;
}

/* One period. */

static void
judge_target(struct mat_gossip *g)
{
    struct mat_prober *p = &g->prober;
    struct mat_member *m = p->target ? mat_member_find(g, p->target) : NULL;

    if (m && mat_member_is_usable(m)) {
        if (p->n_helpers > p->n_nacks) {
            mat_probe_blame_self(g, 1);
        }
        mat_member_suspect(g, m);
    }
    p->target = 0;
}

static void
start_period(struct mat_gossip *g)
{
    struct mat_prober *p = &g->prober;
    struct mat_member *m;

    judge_target(g);
    mat_timer_set(g, &p->period, MAT_TIMER_PROBE_PERIOD,
                  stretched(g, g->config.tuning.probe_us));
    m = next_target(g);
    if (!m) {
        return;
    }
    p->target = m->id;
    p->nonce = ++g->next_nonce ? g->next_nonce : ++g->next_nonce;
    p->sent_us = g->now_us;
    p->n_helpers = p->n_nacks = 0;
    mat_bucket_charge(&g->idle_bucket, g->config.tuning.idle_bytes_s,
                      PROBE_SIZE, g->now_us);
    send_probe(g, m, p->nonce);
    mat_timer_set(g, &p->timeout, MAT_TIMER_PROBE_TIMEOUT,
                  stretched(g, g->config.tuning.probe_timeout_us));
}

static void
ask_helpers(struct mat_gossip *g)
{
    struct mat_prober *p = &g->prober;

    for (int i = 0; p->target && i < MAT_PROBE_HELPERS; i++) {
        struct mat_member *m = mat_member_random(g, MAT_ZONE_ALL, p->target);
        uint8_t bytes[12];
        struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

        if (!m) {
            return;
        }
        mat_put_u32(&w, p->nonce);
        mat_put_u64(&w, p->target);
        mat_post(g, mat_peer_get(g, m), MAT_MSG_PROBE_REQ, &w, true);
        p->n_helpers++;
    }
}

/* Knocks at a dead member, for after a partition nobody else would. */
static void
knock(struct mat_gossip *g)
{
    mat_timer_set(g, &g->prober.dead, MAT_TIMER_PROBE_DEAD,
                  g->config.tuning.probe_dead_us);
    if (!g->n_in_state[MAT_MEMBER_DEAD]
        || !mat_peer_may_idle(g, PROBE_SIZE)) {
        return;
    }
    for (int tries = 0; tries < 64; tries++) {
        struct mat_member *m = g->members[mat_rng_below(
            &g->rng, (uint32_t) g->n_members)];

        if (m->state == MAT_MEMBER_DEAD && !m->is_refused) {
            send_probe(g, m, 0);
            return;
        }
    }
}

void
mat_probe_start(struct mat_gossip *g)
{
    int64_t period = g->config.tuning.probe_us;

    mat_coord_init(&g->prober.coord);
    mat_timer_set(g, &g->prober.period, MAT_TIMER_PROBE_PERIOD,
                  mat_rng_below(&g->rng, (uint32_t) period));
    mat_timer_set(g, &g->prober.dead, MAT_TIMER_PROBE_DEAD,
                  mat_rng_below(&g->rng, (uint32_t) period));
}

/* Relays. */

static void
send_nonce(struct mat_gossip *g, uint64_t to, uint8_t type, uint32_t nonce)
{
    struct mat_member *m = mat_member_find(g, to);
    uint8_t bytes[4];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    if (m) {
        mat_put_u32(&w, nonce);
        mat_post(g, mat_peer_get(g, m), type, &w, true);
    }
}

static void
send_ack(struct mat_gossip *g, struct mat_peer *to, uint32_t nonce,
         const struct mat_coord *coord)
{
    uint8_t bytes[24];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    mat_put_u32(&w, nonce);
    mat_put_coord(&w, coord);
    mat_post(g, to, MAT_MSG_PROBE_ACK, &w, true);
}

static void
relay_probe(struct mat_gossip *g, struct mat_peer *from, uint32_t nonce,
            uint64_t target)
{
    struct mat_member *m = mat_member_find(g, target);

    for (int i = 0; m && i < MAT_RELAYS_MAX; i++) {
        struct mat_relay *relay = &g->prober.relays[i];

        if (!mat_timer_is_armed(&relay->timer)) {
            relay->asker = from->member->id;
            relay->asker_nonce = nonce;
            relay->target = target;
            relay->nonce = ++g->next_nonce ? g->next_nonce : ++g->next_nonce;
            relay->sent_us = g->now_us;
            mat_timer_set(g, &relay->timer, MAT_TIMER_RELAY,
                          g->config.tuning.probe_timeout_us * 4 / 5);
            send_probe(g, m, relay->nonce);
            return;
        }
    }
    send_nonce(g, from->member->id, MAT_MSG_NACK, nonce);
}

void
mat_probe_timer(struct mat_gossip *g, struct mat_timer *timer)
{
    struct mat_relay *relay;

    switch (timer->kind) {
    case MAT_TIMER_PROBE_PERIOD:
        start_period(g);
        break;
    case MAT_TIMER_PROBE_TIMEOUT:
        ask_helpers(g);
        break;
    case MAT_TIMER_PROBE_DEAD:
        knock(g);
        break;
    default:
        relay = MAT_CONTAINER(timer, struct mat_relay, timer);
        send_nonce(g, relay->asker, MAT_MSG_NACK, relay->asker_nonce);
        break;
    }
}

/* Answers. */

static void
measured(struct mat_gossip *g, struct mat_peer *peer, int64_t rtt_us)
{
    mat_peer_sample_rtt(g, peer, rtt_us);
    mat_coord_update(&g->prober.coord, &peer->coord, rtt_us,
                     mat_rng_next(&g->rng));
}

static void
receive_ack(struct mat_gossip *g, struct mat_peer *from, uint32_t nonce,
            const struct mat_coord *coord)
{
    struct mat_prober *p = &g->prober;

    from->coord = *coord;
    from->has_coord = true;
    if (p->target && nonce == p->nonce) {
        if (from->member->id == p->target) {
            measured(g, from, g->now_us - p->sent_us);
        }
        p->target = 0;
        mat_timer_cancel(g, &p->timeout);
        mat_probe_blame_self(g, -1);
        return;
    }
    for (int i = 0; i < MAT_RELAYS_MAX; i++) {
        struct mat_relay *relay = &p->relays[i];
        struct mat_member *asker;

        if (mat_timer_is_armed(&relay->timer) && relay->nonce == nonce
            && relay->target == from->member->id) {
            measured(g, from, g->now_us - relay->sent_us);
            mat_timer_cancel(g, &relay->timer);
            asker = mat_member_find(g, relay->asker);
            if (asker) {
                send_ack(g, mat_peer_get(g, asker), relay->asker_nonce,
                         &p->coord);
            }
        }
    }
}

bool
mat_probe_receive(struct mat_gossip *g, struct mat_peer *from, uint8_t type,
                  struct mat_reader *r)
{
    uint32_t nonce = mat_get_u32(r);
    uint64_t target = type == MAT_MSG_PROBE_REQ ? mat_get_u64(r) : 0;
    struct mat_coord coord = { .error = 0 };

    if (type == MAT_MSG_PROBE_ACK) {
        coord = mat_get_coord(r);
    }
    if (r->bad || r->left) {
        return false;
    }
    switch (type) {
    case MAT_MSG_PROBE:
        send_ack(g, from, nonce, &g->prober.coord);
        break;
    case MAT_MSG_PROBE_ACK:
        receive_ack(g, from, nonce, &coord);
        break;
    case MAT_MSG_PROBE_REQ:
        relay_probe(g, from, nonce, target);
        break;
    default:
        if (g->prober.target && nonce == g->prober.nonce) {
            g->prober.n_nacks++;
        }
        break;
    }
    return true;
}
