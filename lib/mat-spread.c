/* SPDX-License-Identifier: Apache-2.0 */
/* Spread: news to all hosts of a zone, along a tree that nobody maintains.
 *
 * The ids of hosts are a line.  Who has news for the hosts from lo to hi cuts
 * that stretch into as many parts as the tree has branches, and makes one host
 * of each part responsible for it: by parcel, so it is acknowledged, and if it
 * is not, another host of the part gets the task.  So each host gets each
 * piece of news about once, after log(n) hops; a relay decides by its own
 * knowledge of members, and what it does not know, repair finds.
 *
 * Up to 'spread_direct' hosts are sent to directly: one hop. */
#include "mat-engine.h"
#include "mat-mem.h"

enum {
    RELAYS = 4,                 /* Of a part of the tree. */
    GATHER_US = 10000,
    GATHERED_MAX = 1024         /* Parcels. */
};

void
mat_claim_list_add(struct mat_claim_list *list, const struct mat_claim *c)
{
    if (list->n == list->allocated) {
        list->allocated = list->allocated ? list->allocated * 2 : 16;
        list->claims = mat_xrealloc(list->claims, list->allocated
                                    * sizeof *list->claims);
    }
    list->claims[list->n++] = mat_claim_ref(c);
}

void
mat_claim_list_clear(struct mat_claim_list *list)
{
    while (list->n) {
        mat_claim_unref(list->claims[--list->n]);
    }
}

void
mat_claim_list_destroy(struct mat_claim_list *list)
{
    mat_claim_list_clear(list);
    free(list->claims);
    *list = (struct mat_claim_list) { .n = 0 };
}

void
mat_spread_add(struct mat_gossip *g, const struct mat_claim *claim)
{
    mat_claim_list_add(&g->spread, claim);
    g->is_dirty = true;
}

/* Members from head->lo to head->hi that have the zone and may live. */
static size_t
collect(const struct mat_gossip *g, const struct mat_claims_head *head,
        uint64_t except, struct mat_member **members)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_members; i++) {
        struct mat_member *m = g->members[i];

        if (m->id >= head->lo && m->id <= head->hi && m->id != except
            && mat_member_is_usable(m) && mat_member_has_zone(m, head->zone)) {
            members[n++] = m;
        }
    }
    return n;
}

static void
send_directly(struct mat_gossip *g, const struct mat_member *m,
              const struct mat_claim *const *claims, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (claims[i]->version.host != m->id
            && !mat_push_covers(g, m->id, claims[i])) {
            mat_push_to(g, m->id, claims[i]);
        }
    }
}

/* Better as a relay: lower. */
static int64_t
cost_of(const struct mat_gossip *g, const struct mat_member *m)
{
    int64_t rtt = m->peer ? mat_peer_rtt_us(g, m->peer) : -1;

    return ((m->state == MAT_MEMBER_ALIVE ? 0 : INT64_MAX / 2)
            + (rtt < 0 ? INT64_MAX / 4 : rtt));
}

/* Of a few members that all hosts would think of (those of the least hashed
 * ids) the nearest.  What many hosts say at once so goes through few relays,
 * where it can share datagrams. */
static struct mat_member *
choose_relay(const struct mat_gossip *g, struct mat_member **members,
             size_t n)
{
    struct mat_member *few[RELAYS] = { NULL }, *best;
    size_t n_few = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t hash = mat_mix64(members[i]->id);
        size_t at = n_few;

        if (n_few < RELAYS) {
            n_few++;
        } else if (hash < mat_mix64(few[at - 1]->id)) {
            at--;
        } else {
            continue;
        }
        for (; at && hash < mat_mix64(few[at - 1]->id); at--) {
            few[at] = few[at - 1];
        }
        few[at] = members[i];
    }
    best = few[0];
    for (size_t i = 1; i < n_few; i++) {
        if (cost_of(g, few[i]) < cost_of(g, best)) {
            best = few[i];
        }
    }
    return best;
}

static void
send_branches(struct mat_gossip *g, const struct mat_claims_head *head,
              uint8_t reroutes, struct mat_member **members, size_t n_members,
              const struct mat_claim *const *claims, size_t n)
{
    size_t fanout = g->config.tuning.spread_fanout;

    for (size_t i = 0; i < fanout; i++) {
        size_t first = n_members * i / fanout;
        size_t end = n_members * (i + 1) / fanout;
        struct mat_claims_head part = {
            .flags = MAT_CLAIMS_RELIABLE | MAT_CLAIMS_SPREAD,
            .zone = head->zone,
            .lo = i ? members[first]->id : head->lo,
            .hi = i + 1 < fanout ? members[end]->id - 1 : head->hi
        };

        mat_push_branch(g, choose_relay(g, members + first, end - first),
                        &part, reroutes, claims, n);
    }
}

void
mat_spread_branch(struct mat_gossip *g, const struct mat_claims_head *head,
                  uint8_t reroutes, uint64_t except,
                  const struct mat_claim *const *claims, size_t n)
{
    struct mat_member **members = mat_xmalloc(g->n_members * sizeof *members);
    size_t n_members = collect(g, head, except, members);

    if (n_members <= g->config.tuning.spread_direct
        || n_members < g->config.tuning.spread_fanout) {
        for (size_t i = 0; i < n_members; i++) {
            send_directly(g, members[i], claims, n);
        }
    } else {
        send_branches(g, head, reroutes, members, n_members, claims, n);
    }
    free(members);
}

/* Relaying.  The first parcel goes on at once; what comes within the next
 * GATHER_US goes on together. */

static void
forget_gathered(struct mat_gathered *t)
{
    while (t->n) {
        mat_claim_unref(t->claims[--t->n]);
    }
}

void
mat_spread_gathered(struct mat_gossip *g)
{
    g->relayed_us = g->now_us;
    for (size_t i = 0; i < g->n_gathered; i++) {
        struct mat_gathered *t = &g->gathered[i];

        mat_spread_branch(g, &t->head, 0, t->from, t->claims, t->n);
        forget_gathered(t);
    }
    g->n_gathered = 0;
}

void
mat_spread_relay(struct mat_gossip *g, const struct mat_claims_head *head,
                 uint64_t from, const struct mat_claim *const *claims,
                 size_t n)
{
    struct mat_gathered *t;

    if (g->relayed_us && g->now_us - g->relayed_us < GATHER_US) {
        if (!mat_timer_is_armed(&g->gather)) {
            mat_timer_set(g, &g->gather, MAT_TIMER_GATHER, GATHER_US);
        }
    } else {
        mat_spread_gathered(g);
        mat_spread_branch(g, head, 0, from, claims, n);
        return;
    }
    if (g->n_gathered == GATHERED_MAX) {
        mat_spread_gathered(g);
    }
    if (!g->gathered) {
        g->gathered = mat_xcalloc(GATHERED_MAX, sizeof *g->gathered);
    }
    t = &g->gathered[g->n_gathered++];
    t->head = *head;
    t->from = from;
    for (t->n = 0; t->n < n; t->n++) {
        t->claims[t->n] = mat_claim_ref(claims[t->n]);
    }
}

void
mat_spread_destroy(struct mat_gossip *g)
{
    for (size_t i = 0; i < g->n_gathered; i++) {
        forget_gathered(&g->gathered[i]);
    }
    free(g->gathered);
    mat_claim_list_destroy(&g->spread);
}

/* Spreads what was added since the last time, zone by zone. */
void
mat_spread_flush(struct mat_gossip *g)
{
    struct mat_claim_list *list = &g->spread;
    size_t done = 0;

    while (done < list->n) {
        struct mat_claims_head head = {
            .zone = list->claims[done]->key.zone, .hi = UINT64_MAX
        };
        size_t end = done + 1;

        for (size_t i = end; i < list->n; i++) {
            if (list->claims[i]->key.zone == head.zone) {
                const struct mat_claim *c = list->claims[i];

                list->claims[i] = list->claims[end];
                list->claims[end++] = c;
            }
        }
        mat_spread_branch(g, &head, 0, 0, list->claims + done, end - done);
        done = end;
    }
    mat_claim_list_clear(list);
}

/* Whether this task has not been done before: a parcel whose acknowledgement
 * was lost comes again. */
bool
mat_spread_is_new(struct mat_gossip *g, const struct mat_claims_head *head,
                  const struct mat_claim *const *claims, size_t n)
{
    uint64_t print = mat_mix64(head->lo ^ mat_mix64(head->hi ^ head->zone));

    for (size_t i = 0; i < n; i++) {
        print = mat_mix64(print ^ claims[i]->hash ^ claims[i]->sum);
    }
    for (size_t i = 0; i < MAT_SEEN_MAX; i++) {
        if (g->seen[i] == print) {
            return false;
        }
    }
    g->seen[g->next_seen++ % MAT_SEEN_MAX] = print;
    return true;
}
