/* SPDX-License-Identifier: Apache-2.0 */
/* Pull: asking for a mapping that a packet needs now.
 *
 * An unknown MoA is asked of the host whose pool it is from, an unknown HoA of
 * any host that has the zone.  One question is under way for each address; a
 * lost one is asked again of another host.  Answers are ordinary claims.
 *
 * Also here: the pools of all hosts. */
#include "mat-engine.h"
#include "mat-mem.h"

/* Pools. */

static size_t
find_pool(const struct mat_gossip *g, const struct mat_key *key)
{
    size_t i;

    for (i = 0; i < g->n_pools; i++) {
        if (g->pools[i].plen == key->plen
            && mat_addr_equal(&g->pools[i].addr, &key->addr)) {
            break;
        }
    }
    return i;
}

void
mat_pull_pool_changed(struct mat_gossip *g, const struct mat_claim *claim)
{
    size_t i = find_pool(g, &claim->key);

    if (claim->state == MAT_CLAIM_GONE) {
        if (i < g->n_pools) {
            g->pools[i] = g->pools[--g->n_pools];
        }
        return;
    }
    if (i == g->n_pools) {
        if (i == MAT_POOLS_MAX) {
            mat_count(g, MAT_C_LIMIT_POOLS);
            return;
        }
        if (i == g->pools_allocated) {
            g->pools_allocated = i ? i * 2 : 8;
            g->pools = mat_xrealloc(g->pools, g->pools_allocated
                                    * sizeof *g->pools);
        }
        g->n_pools++;
    }
    g->pools[i] = (struct mat_pool_entry) {
        claim->key.addr, claim->key.plen, claim->version.host
    };
}

static uint64_t
owner_of_moa(const struct mat_gossip *g, const struct mat_addr *moa)
{
    int best = -1;
    uint64_t host = 0;

    for (size_t i = 0; i < g->n_pools; i++) {
        const struct mat_pool_entry *p = &g->pools[i];

        if (p->plen > best && mat_addr_in_prefix(moa, &p->addr, p->plen)) {
            best = p->plen;
            host = p->host;
        }
    }
    return host;
}

bool
mat_pull_pool_is_own(const struct mat_gossip *g, const struct mat_key *key)
{
    for (size_t i = 0; i < g->n_own_pools; i++) {
        if (mat_key_equal(&g->own_pools[i], key)) {
            return true;
        }
    }
    return false;
}

enum mat_gossip_result
mat_gossip_pool(struct mat_gossip *g, int64_t now_us,
                const struct mat_addr *addr, unsigned int plen, bool present)
{
    struct mat_key key = mat_key_pool(addr, plen);
    const struct mat_claim claim = {
        .key = key, .version = { .host = g->config.id }
    };
    bool is_own = mat_pull_pool_is_own(g, &key);

    g->now_us = now_us;
    if (!mat_key_is_valid(&key) || !mat_cert_permits(&g->own_cert, &claim)) {
        return MAT_GOSSIP_FORBIDDEN;
    }
    if (present == is_own) {
        return MAT_GOSSIP_OK;
    }
    if (present) {
        if (g->n_own_pools == MAT_OWN_POOLS_MAX) {
            return MAT_GOSSIP_LIMIT;
        }
        g->own_pools[g->n_own_pools++] = key;
    } else {
        for (size_t i = 0; i < g->n_own_pools; i++) {
            if (mat_key_equal(&g->own_pools[i], &key)) {
                g->own_pools[i] = g->own_pools[--g->n_own_pools];
            }
        }
    }
    mat_stage(g, &key, present ? MAT_CLAIM_LIVE : MAT_CLAIM_GONE, 0, NULL, 0,
              1);
    return MAT_GOSSIP_OK;
}

/* Asking. */

static void
end_pull(struct mat_gossip *g, struct mat_pull *pull)
{
    mat_timer_cancel(g, &pull->timer);
    mat_index_remove(&g->pulls, pull->nonce);
    free(pull);
}

static void
give_up(struct mat_gossip *g, struct mat_pull *pull)
{
    struct mat_key key = mat_key_vmn(pull->zone, &pull->addr,
                                     mat_addr_bits(&pull->addr));

    mat_output_vmn(g, &key, MAT_VMN_UNKNOWN, 0);
    end_pull(g, pull);
}

static void
ask(struct mat_gossip *g, struct mat_pull *pull)
{
    uint64_t owner = pull->is_moa ? owner_of_moa(g, &pull->addr) : 0;
    struct mat_member *m = (pull->is_moa ? mat_member_find(g, owner)
                            : mat_member_random(g, pull->zone, pull->asked));
    uint8_t bytes[32];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    if (!m || m->is_refused || pull->tries++ == MAT_PULL_TRIES) {
        give_up(g, pull);
        return;
    }
    pull->asked = m->id;
    mat_put_u32(&w, pull->nonce);
    mat_put_u8(&w, pull->is_moa);
    mat_put_u32(&w, pull->zone);
    mat_put_addr(&w, &pull->addr);
    mat_post(g, mat_peer_get(g, m), MAT_MSG_PULL, &w, true);
    mat_timer_set(g, &pull->timer, MAT_TIMER_PULL,
                  mat_peer_rto_us(g, mat_peer_get(g, m)));
}

void
mat_pull_timer(struct mat_gossip *g, struct mat_pull *pull)
{
    ask(g, pull);
}

static bool
is_asked(const struct mat_gossip *g, uint32_t zone,
         const struct mat_addr *addr, bool is_moa)
{
    const struct mat_pull *pull;
    size_t cursor = 0;

    while ((pull = mat_index_next(&g->pulls, &cursor)) != NULL) {
        if (pull->zone == zone && pull->is_moa == is_moa
            && mat_addr_equal(&pull->addr, addr)) {
            return true;
        }
    }
    return false;
}

void
mat_gossip_ask(struct mat_gossip *g, int64_t now_us, uint32_t zone,
               const struct mat_addr *addr, bool is_moa)
{
    struct mat_pull *pull;

    g->now_us = now_us;
    if (is_asked(g, zone, addr, is_moa)) {
        return;
    }
    if (g->pulls.n == MAT_PULLS_MAX
        || !mat_bucket_take(&g->pull_bucket, g->config.tuning.pulls_s, 1,
                            now_us)) {
        mat_count(g, MAT_C_LIMIT_PULLS);
        return;
    }
    mat_count(g, MAT_C_PULLS);
    pull = mat_xcalloc(1, sizeof *pull);
    pull->zone = zone;
    pull->addr = *addr;
    pull->is_moa = is_moa;
    pull->nonce = ++g->next_nonce;
    mat_index_insert(&g->pulls, pull->nonce, pull);
    ask(g, pull);
}

/* Answering. */

static const struct mat_claim *
find_local_moa(const struct mat_gossip *g, const struct mat_addr *moa)
{
    const struct mat_vmn *vmn;
    size_t cursor = 0;

    while ((vmn = mat_index_next(&g->vmns, &cursor)) != NULL) {
        if (mat_addr_equal(&vmn->moa, moa)) {
            struct mat_key prep = mat_key_prep(&vmn->key, g->config.id);

            return mat_store_find(&g->store, vmn->phase == MAT_PHASE_PREPARED
                                             ? &prep : &vmn->key);
        }
    }
    return NULL;
}

static void
answer(struct mat_gossip *g, struct mat_peer *from, uint32_t nonce,
       bool is_moa, uint32_t zone, const struct mat_addr *addr)
{
    const struct mat_claim *claim;
    uint8_t bytes[4];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    if (!mat_bucket_take(&g->reply_bucket, g->config.tuning.replies_s, 1,
                         g->now_us)) {
        mat_count(g, MAT_C_LIMIT_REPLIES);
        return;
    }
    claim = is_moa ? find_local_moa(g, addr)
            : mat_gossip_lookup(g, zone, addr);
    if (claim) {
        mat_reply_claims(g, from, &claim, 1, true);
    } else {
        mat_put_u32(&w, nonce);
        mat_post(g, from, MAT_MSG_PULL_MISS, &w, true);
    }
}

static void
missed(struct mat_gossip *g, struct mat_peer *from, uint32_t nonce)
{
    struct mat_pull *pull = mat_index_find(&g->pulls, nonce);

    if (!pull || pull->asked != from->member->id) {
        return;
    }
    if (pull->is_moa) {
        give_up(g, pull);       /* The owner of the pool must know. */
    } else {
        ask(g, pull);
    }
}

bool
mat_pull_receive(struct mat_gossip *g, struct mat_peer *from, uint8_t type,
                 struct mat_reader *r)
{
    uint32_t nonce = mat_get_u32(r), zone;
    struct mat_addr addr;
    uint8_t kind;

    if (type == MAT_MSG_PULL_MISS) {
        if (!r->bad) {
            missed(g, from, nonce);
        }
        return !r->bad;
    }
    kind = mat_get_u8(r);
    zone = mat_get_u32(r);
    addr = mat_get_addr(r);
    if (r->bad || r->left || kind > 1) {
        return false;
    }
    answer(g, from, nonce, kind, zone, &addr);
    return true;
}

static bool
answers(const struct mat_claim *claim, const struct mat_pull *pull)
{
    struct mat_addr moa;

    if (pull->is_moa) {
        if (claim->key.type != MAT_TYPE_VMN
            && claim->key.type != MAT_TYPE_PREP) {
            return false;
        }
        moa = mat_claim_moa(claim);
        return mat_addr_equal(&moa, &pull->addr);
    }
    return (claim->key.type == MAT_TYPE_VMN && claim->key.zone == pull->zone
            && mat_addr_in_prefix(&pull->addr, &claim->key.addr,
                                  claim->key.plen));
}

/* A claim was accepted: perhaps someone has waited for it. */
void
mat_pull_answered(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_pull *pull, *found = NULL;
    size_t cursor = 0;

    while (g->pulls.n
           && (pull = mat_index_next(&g->pulls, &cursor)) != NULL) {
        if (answers(claim, pull)) {
            found = pull;
        }
    }
    if (found) {
        end_pull(g, found);
    }
}

void
mat_pull_destroy(struct mat_gossip *g)
{
    struct mat_pull *pull;
    size_t cursor = 0;

    while ((pull = mat_index_next(&g->pulls, &cursor)) != NULL) {
        free(pull);
    }
    mat_index_destroy(&g->pulls);
    free(g->pools);
}
