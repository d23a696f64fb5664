/* SPDX-License-Identifier: Apache-2.0 */
/* Correspondents: which hosts have VMNs that now talk with a VMN.
 *
 * The switch marks the mappings that it uses; for each mapping of a remote
 * VMN that was used, its host tells the owner that it is interested, twice
 * lest the first time was lost, and again before that runs out.  So each owner
 * knows whom a move of its VMN concerns at once.  The list goes with the VMN
 * from owner to owner. */
#include "mat-engine.h"
#include "mat-mem.h"

enum {
    TOLD_AT_FIRST = 2,          /* Times, as nobody acknowledges it. */
    TOLD_AGAIN_US = 250000
};

static struct mat_correspondent *
find(const struct mat_vmn *vmn, uint64_t host)
{
    for (uint16_t i = 0; i < vmn->n_correspondents; i++) {
        if (vmn->correspondents[i].host == host) {
            return &vmn->correspondents[i];
        }
    }
    return NULL;
}

/* The entry that ends first, if it has ended. */
static struct mat_correspondent *
find_ended(struct mat_gossip *g, struct mat_vmn *vmn)
{
    for (uint16_t i = 0; i < vmn->n_correspondents; i++) {
        if (vmn->correspondents[i].until_us <= g->now_us) {
            return &vmn->correspondents[i];
        }
    }
    return NULL;
}

/* Notes that 'host' corresponds with 'vmn'.  True if that is news. */
static bool
add(struct mat_gossip *g, struct mat_vmn *vmn, uint64_t host)
{
    struct mat_correspondent *c = find(vmn, host);
    bool is_new = !c || c->until_us <= g->now_us;

    c = c ? c : find_ended(g, vmn);
    if (!c) {
        if (vmn->n_correspondents == MAT_GOSSIP_CORRESPONDENTS_MAX) {
            mat_count(g, MAT_C_LIMIT_CORRESPONDENTS);
            return false;
        }
        if (vmn->n_correspondents == vmn->allocated) {
            vmn->allocated = (uint16_t) (vmn->allocated
                                         ? vmn->allocated * 2 : 4);
            vmn->correspondents = mat_xrealloc(
                vmn->correspondents,
                vmn->allocated * sizeof *vmn->correspondents);
        }
        c = &vmn->correspondents[vmn->n_correspondents++];
    }
    *c = (struct mat_correspondent) {
        host, g->now_us + g->config.tuning.interest_us
    };
    return is_new;
}

/* Handing the list on. */

static void
send_list(struct mat_gossip *g, struct mat_vmn *vmn, struct mat_peer *to)
{
    uint8_t bytes[MAT_WIRE_BODY_MAX - MAT_WIRE_MESSAGE_HEAD];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    mat_put_vmn_key(&w, &vmn->key);
    for (uint16_t i = 0; i < vmn->n_correspondents; i++) {
        const struct mat_correspondent *c = &vmn->correspondents[i];

        if (c->until_us <= g->now_us || c->host == to->member->id) {
            continue;
        }
        if (w.max - w.n < 8) {
            mat_post(g, to, MAT_MSG_CORRESPONDENTS, &w, true);
            w.n = 0;
            mat_put_vmn_key(&w, &vmn->key);
        }
        mat_put_u64(&w, c->host);
    }
    /* This host has other VMNs that may talk with it: it stays informed by
     * being the old owner. */
    mat_post(g, to, MAT_MSG_CORRESPONDENTS, &w, true);
}

void
mat_correspond_hand_over(struct mat_gossip *g, struct mat_vmn *vmn,
                         uint64_t host)
{
    struct mat_member *m = mat_member_find(g, host);

    if (m) {
        vmn->told = host;
        send_list(g, vmn, mat_peer_get(g, m));
    }
}

/* Passes on a claim of a new owner that did not have the list in time. */
void
mat_correspond_relay(struct mat_gossip *g, const struct mat_vmn *vmn,
                     const struct mat_claim *claim)
{
    for (uint16_t i = 0; i < vmn->n_correspondents; i++) {
        const struct mat_correspondent *c = &vmn->correspondents[i];
        struct mat_member *m = mat_member_find(g, c->host);

        if (m && c->until_us > g->now_us
            && c->host != claim->version.host) {
            mat_reply_claims(g, mat_peer_get(g, m), &claim, 1, true);
        }
    }
}

/* The list of a VMN that comes, or has come, here. */
static void
receive_list(struct mat_gossip *g, struct mat_reader *r)
{
    struct mat_key key = mat_get_vmn_key(r);
    struct mat_vmn *vmn = r->bad ? NULL : mat_vmn_find(g, &key);
    const struct mat_claim *claim;
    struct mat_key prep;

    if (!vmn || vmn->phase == MAT_PHASE_DEPARTED) {
        r->bytes += r->left;
        r->left = 0;
        return;
    }
    prep = mat_key_prep(&key, g->config.id);
    claim = mat_store_find(&g->store,
                           vmn->phase == MAT_PHASE_LIVE ? &key : &prep);
    while (r->left && !r->bad) {
        uint64_t host = mat_get_u64(r);

        if (r->bad || !host || host == g->config.id
            || !add(g, vmn, host) || !claim
            || claim->version.host != g->config.id) {
            continue;
        }
        if (vmn->phase == MAT_PHASE_LIVE) {
            mat_push_tracked(g, host, claim);
        } else {
            mat_push_to(g, host, claim);
        }
    }
}

/* Interests. */

static void
receive_interest(struct mat_gossip *g, struct mat_peer *from,
                 const struct mat_key *key)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);
    const struct mat_claim *claim;

    if (vmn && vmn->phase == MAT_PHASE_LIVE) {
        if (add(g, vmn, from->member->id) && vmn->told) {
            mat_correspond_hand_over(g, vmn, vmn->told);
        }
        return;
    }
    claim = mat_store_find(&g->store, key);
    if (claim && claim->version.host != from->member->id) {
        mat_reply_claims(g, from, &claim, 1, true);
    }
}

/* 'host' does not know yet where 'key' is live. */
void
mat_gossip_late(struct mat_gossip *g, int64_t now_us,
                const struct mat_key *key, uint64_t host)
{
    const struct mat_claim *claim = mat_store_find(&g->store, key);
    struct mat_member *m = mat_member_find(g, host);

    g->now_us = now_us;
    if (m && claim && host != g->config.id && host != claim->version.host) {
        mat_reply_claims(g, mat_peer_get(g, m), &claim, 1, true);
    }
}

bool
mat_correspond_receive(struct mat_gossip *g, struct mat_peer *from,
                       uint8_t type, struct mat_reader *r)
{
    if (type == MAT_MSG_CORRESPONDENTS) {
        receive_list(g, r);
        return !r->bad;
    }
    while (r->left && !r->bad) {
        struct mat_key key = mat_get_vmn_key(r);

        if (!r->bad) {
            receive_interest(g, from, &key);
        }
    }
    return !r->bad;
}

static struct mat_interest *
get_interest(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_interest *interest = mat_index_find(&g->interests,
                                                   claim->hash);

    if (!interest) {
        if (g->interests.n == MAT_INTERESTS_MAX) {
            mat_count(g, MAT_C_LIMIT_INTERESTS);
            return NULL;
        }
        interest = mat_xcalloc(1, sizeof *interest);
        interest->key = claim->key;
        mat_index_insert(&g->interests, claim->hash, interest);
    }
    return interest;
}

void
mat_gossip_accessed(struct mat_gossip *g, int64_t now_us, uint32_t zone,
                    const struct mat_addr *hoa)
{
    const struct mat_claim *claim = mat_gossip_lookup(g, zone, hoa);
    struct mat_interest *interest;
    struct mat_member *owner;
    uint8_t bytes[32];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    g->now_us = now_us;
    if (!claim || claim->state != MAT_CLAIM_LIVE
        || claim->version.host == g->config.id) {
        return;
    }
    interest = get_interest(g, claim);
    owner = mat_member_find(g, claim->version.host);
    if (!interest || !owner) {
        return;
    }
    interest->until_us = now_us + g->config.tuning.interest_us;
    if (interest->told != owner->id) {
        interest->told = owner->id;
        interest->n_told = 0;
    } else if (now_us - interest->sent_us
               < (interest->n_told < TOLD_AT_FIRST ? TOLD_AGAIN_US
                  : g->config.tuning.interest_us / 3)) {
        return;
    }
    if (interest->n_told < TOLD_AT_FIRST) {
        interest->n_told++;
    }
    interest->sent_us = now_us;
    mat_put_vmn_key(&w, &claim->key);
    mat_post(g, mat_peer_get(g, owner), MAT_MSG_INTEREST, &w, false);
}

/* Drops interests that have ended, a few at a time. */
void
mat_correspond_sweep(struct mat_gossip *g)
{
    struct mat_interest *ended[64];
    size_t n = 0, n_looked = 0;

    while (n < 64 && n_looked++ < 4096) {
        struct mat_interest *interest = mat_index_next(&g->interests,
                                                       &g->interest_cursor);

        if (!interest) {
            g->interest_cursor = 0;
            break;
        }
        if (interest->until_us < g->now_us) {
            ended[n++] = interest;
        }
    }
    while (n) {
        struct mat_interest *interest = ended[--n];

        mat_index_remove(&g->interests, mat_key_hash(&interest->key));
        free(interest);
    }
}

void
mat_correspond_destroy(struct mat_gossip *g)
{
    struct mat_interest *interest;
    size_t cursor = 0;

    while ((interest = mat_index_next(&g->interests, &cursor)) != NULL) {
        free(interest);
    }
    mat_index_destroy(&g->interests);
}
