/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting claims: who may say what, and what follows.
 *
 * A claim of another host goes through, in order of cost: is the zone here
 * (else refuse), is it newer than what is stored (else nothing changes, so
 * nothing is checked), is the owner known and its certificate valid, does the
 * certificate permit it, is the signature good.  A tree of claims costs one
 * signature check: that its owner has signed this root is remembered.
 *
 * Claims of this host are staged until the flush, then signed in trees of
 * eight.
 *
 * A claim of this host that it does not remember is a ghost of an earlier
 * life: if the VMN is here, it is renewed with a higher version, otherwise
 * ended; but not in the first seconds of a life, when VMNs may not have been
 * found again. */
#include "mat-engine.h"
#include "mat-mem.h"

enum { STAGED_MAX = 512 };

/* Checks. */

static bool
is_revoked(const struct mat_gossip *g, const struct mat_cert *cert)
{
    struct mat_key key = mat_key_revoke(cert->host);
    const struct mat_claim *revoke = mat_store_find(&g->store, &key);

    return revoke && revoke->version.seq >= cert->serial;
}

static bool
cert_is_current(const struct mat_gossip *g, const struct mat_cert *cert)
{
    return cert->not_after_s >= g->wall_s && !is_revoked(g, cert);
}

/* Whether the certificate in a host claim still counts. */
bool
mat_accept_host_is_good(struct mat_gossip *g, const struct mat_claim *host)
{
    struct mat_host_info info;
    struct mat_cert cert;

    return (mat_host_decode(host->body, host->body_size, &info)
            && mat_cert_parse(info.cert, info.cert_size, &cert)
            && cert_is_current(g, &cert));
}

/* Makes room to remember 'n_trees', a power of 2, that were found good. */
void
mat_accept_remember(struct mat_gossip *g, size_t n_trees)
{
    if (n_trees > g->n_verified) {
        free(g->verified);
        g->verified = mat_xcalloc(n_trees, sizeof *g->verified);
        g->n_verified = n_trees;
    }
}

/* Tells a signed tree from all others, also from the same tree with another
 * signature: that of a cached tree must not be passed on unchecked. */
static void
mark_tree(const struct mat_gossip *g, const uint8_t root[MAT_HASH_SIZE],
          const uint8_t *signature, struct mat_verified *mark)
{
    uint8_t text[MAT_HASH_SIZE + MAT_SIGNATURE_SIZE];
    uint8_t digest[MAT_DIGEST_SIZE];

    memcpy(text, root, MAT_HASH_SIZE);
    memcpy(text + MAT_HASH_SIZE, signature, MAT_SIGNATURE_SIZE);
    g->config.crypto.hash(g->config.crypto.aux, digest, text, sizeof text);
    memcpy(mark->mark, digest, sizeof mark->mark);
}

static bool
is_same_tree(const struct mat_verified *a, const struct mat_verified *b)
{
    return a->host == b->host && !memcmp(a->mark, b->mark, sizeof a->mark);
}

static bool
tree_is_good(struct mat_gossip *g, const uint8_t public_key[],
             const struct mat_claim *claim)
{
    struct mat_verified tree = { .host = claim->version.host };
    struct mat_verified *two;   /* Where it may be cached. */
    uint8_t root[MAT_HASH_SIZE];

    mat_accept_remember(g, MAT_VERIFIED);
    mat_tree_root(&g->config.crypto, claim, root);
    mark_tree(g, root, claim->signature, &tree);
    two = &g->verified[(tree.mark[0] | (size_t) tree.mark[1] << 8)
                       & (g->n_verified - 2)];
    if (is_same_tree(&two[0], &tree) || is_same_tree(&two[1], &tree)) {
        return true;
    }
    mat_count(g, MAT_C_VERIFIED);
    if (!mat_tree_verify(&g->config.crypto, public_key, claim->signature,
                         root)) {
        mat_count(g, MAT_C_REFUSE_SIGNATURE);
        return false;
    }
    two[1] = two[0];
    two[0] = tree;
    return true;
}

/* Whether the member is known already by this very certificate. */
static bool
has_same_cert(const struct mat_gossip *g, const struct mat_host_info *info,
              uint64_t host)
{
    const struct mat_member *m = mat_member_find(g, host);
    struct mat_host_info old;

    return (m && mat_host_decode(m->host->body, m->host->body_size, &old)
            && old.cert_size == info->cert_size
            && !memcmp(old.cert, info->cert, info->cert_size));
}

static bool
check_host(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_host_info info;
    struct mat_cert cert;

    if (!mat_host_decode(claim->body, claim->body_size, &info)
        || !mat_cert_parse(info.cert, info.cert_size, &cert)
        || cert.host != claim->version.host) {
        mat_count(g, MAT_C_REFUSE_CERT);
        return false;
    }
    if (!cert_is_current(g, &cert)) {
        mat_count(g, MAT_C_REFUSE_EXPIRED);
        return false;
    }
    if (!has_same_cert(g, &info, cert.host)) {
        mat_count(g, MAT_C_VERIFIED);
        if (!mat_cert_verify(info.cert, info.cert_size, &g->config.crypto,
                             g->config.cluster_key)) {
            mat_count(g, MAT_C_REFUSE_CERT);
            return false;
        }
    }
    return tree_is_good(g, cert.public_key, claim);
}

static bool
cert_of(const struct mat_gossip *g, uint64_t host, struct mat_cert *cert)
{
    const struct mat_member *m = mat_member_find(g, host);
    struct mat_host_info info;

    if (host == g->config.id) {
        *cert = g->own_cert;
        return true;
    }
    return (m && mat_host_decode(m->host->body, m->host->body_size, &info)
            && mat_cert_parse(info.cert, info.cert_size, cert));
}

static bool
check(struct mat_gossip *g, struct mat_peer *from,
      const struct mat_claim *claim)
{
    struct mat_cert cert;

    if (claim->key.type == MAT_TYPE_REVOKE) {
        return tree_is_good(g, g->config.cluster_key, claim);
    } else if (claim->key.type == MAT_TYPE_HOST) {
        return check_host(g, claim);
    } else if (!cert_of(g, claim->version.host, &cert)) {
        mat_count(g, MAT_C_REFUSE_UNKNOWN);
        mat_sync_need_owner(g, from, claim);
        return false;
    } else if (!cert_is_current(g, &cert)) {
        mat_count(g, MAT_C_REFUSE_EXPIRED);
        return false;
    } else if (!mat_cert_permits(&cert, claim)) {
        mat_count(g, MAT_C_REFUSE_RIGHT);
        return false;
    }
    return tree_is_good(g, cert.public_key, claim);
}

/* Consequences. */

static void
output_apply(struct mat_gossip *g, const struct mat_claim *claim,
             const struct mat_claim *old)
{
    struct mat_output out = {
        .kind = MAT_OUT_APPLY,
        .key = claim ? claim->key : old->key,
        .claim = claim ? mat_claim_ref(claim) : NULL,
        .old = old ? mat_claim_ref(old) : NULL
    };

    mat_output_event(g, &out);
}

/* The store's report of a claim that leaves it. */
void
mat_accept_dropped(void *g_, const struct mat_claim *old,
                   const struct mat_claim *new)
{
    struct mat_gossip *g = g_;

    if (new) {
        mat_claim_unref(g->replaced);
        g->replaced = mat_claim_ref(old);
    } else {
        output_apply(g, NULL, old);
    }
}

static void
bury(struct mat_gossip *g, const struct mat_key *key)
{
    if (g->tombstones_head
        && g->tombstones_head * 2 >= g->n_tombstones) {
        g->n_tombstones -= g->tombstones_head;
        g->tombstones_hidden -= g->tombstones_head;
        memmove(g->tombstones, g->tombstones + g->tombstones_head,
                g->n_tombstones * sizeof *g->tombstones);
        g->tombstones_head = 0;
    }
    if (g->n_tombstones == g->tombstones_allocated) {
        g->tombstones_allocated = g->n_tombstones ? g->n_tombstones * 2 : 16;
        g->tombstones = mat_xrealloc(g->tombstones, g->tombstones_allocated
                                     * sizeof *g->tombstones);
    }
    g->tombstones[g->n_tombstones++] = (struct mat_tombstone) {
        *key, g->now_us
    };
    if (!mat_timer_is_armed(&g->tombstone_timer)) {
        mat_timer_set(g, &g->tombstone_timer, MAT_TIMER_TOMBSTONES,
                      g->config.tuning.tombstone_us / 2);
    }
}

static bool
is_gone(const struct mat_gossip *g, const struct mat_key *key)
{
    const struct mat_claim *claim = mat_store_find(&g->store, key);

    return claim && claim->state == MAT_CLAIM_GONE;
}

/* Hides ended claims at half of their time and forgets them at its end. */
void
mat_accept_tombstones(struct mat_gossip *g)
{
    int64_t half = g->config.tuning.tombstone_us / 2;
    int64_t next = MAT_TIMER_NEVER;

    for (; g->tombstones_head < g->n_tombstones; g->tombstones_head++) {
        const struct mat_tombstone *t = &g->tombstones[g->tombstones_head];

        if (t->at_us + 2 * half > g->now_us) {
            next = t->at_us + 2 * half;
            break;
        }
        if (is_gone(g, &t->key)) {
            mat_store_remove(&g->store, &t->key);
        }
    }
    if (g->tombstones_hidden < g->tombstones_head) {
        g->tombstones_hidden = g->tombstones_head;
    }
    for (; g->tombstones_hidden < g->n_tombstones; g->tombstones_hidden++) {
        const struct mat_tombstone *t = &g->tombstones[g->tombstones_hidden];

        if (t->at_us + half > g->now_us) {
            next = t->at_us + half < next ? t->at_us + half : next;
            break;
        }
        if (is_gone(g, &t->key)) {
            mat_store_hide(&g->store, &t->key, true);
        }
    }
    if (next != MAT_TIMER_NEVER) {
        mat_timer_set(g, &g->tombstone_timer, MAT_TIMER_TOMBSTONES,
                      next - g->now_us);
    }
}

static void
end_ghost(struct mat_gossip *g, const struct mat_claim *claim)
{
    mat_count(g, MAT_C_GHOSTS);
    mat_stage(g, &claim->key, MAT_CLAIM_GONE, 0, claim->body,
              claim->body_size, claim->version.epoch);
}

static bool
renew(struct mat_gossip *g, const struct mat_claim *ghost)
{
    if (ghost->key.type != MAT_TYPE_POOL) {
        return mat_vmn_renew(g, ghost);
    } else if (!mat_pull_pool_is_own(g, &ghost->key)) {
        return false;
    }
    mat_stage(g, &ghost->key, MAT_CLAIM_LIVE, 0, NULL, 0,
              ghost->version.epoch);
    return true;
}

/* Someone knows a claim of this host that is newer than its own. */
static void
meet_ghost(struct mat_gossip *g, const struct mat_claim *claim)
{
    if (claim->key.type == MAT_TYPE_HOST) {
        struct mat_output out = { .kind = MAT_OUT_GENERATION };

        if (claim->version.epoch >= g->generation) {
            g->generation = out.generation = claim->version.epoch + 1;
            g->incarnation = 0;
            mat_output_event(g, &out);
        }
        mat_stage_host(g);
        mat_peer_introduce(g);
    } else if (!renew(g, claim) && claim->state == MAT_CLAIM_LIVE
               && !mat_timer_is_armed(&g->ghosts)) {
        end_ghost(g, claim);
    }
}

static bool
is_forgotten(const struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_key vmn = claim->key;

    if (claim->key.type == MAT_TYPE_POOL) {
        return !mat_pull_pool_is_own(g, &claim->key);
    } else if (claim->key.type != MAT_TYPE_VMN
               && claim->key.type != MAT_TYPE_PREP) {
        return false;
    }
    vmn.type = MAT_TYPE_VMN;
    vmn.host = 0;
    return !mat_vmn_find(g, &vmn);
}

/* The first seconds are over: what was not found again is not there. */
void
mat_accept_ghosts(struct mat_gossip *g)
{
    struct mat_claim_list ghosts = { .n = 0 };
    const struct mat_claim *claim;
    size_t cursor = 0;

    while ((claim = mat_store_next(&g->store, &cursor)) != NULL) {
        if (claim->version.host == g->config.id
            && claim->state == MAT_CLAIM_LIVE && is_forgotten(g, claim)) {
            mat_claim_list_add(&ghosts, claim);
        }
    }
    for (size_t i = 0; i < ghosts.n; i++) {
        end_ghost(g, ghosts.claims[i]);
    }
    mat_claim_list_destroy(&ghosts);
}

static void
follow_revoke(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_member *m = mat_member_find(g, mat_key_host_id(&claim->key));

    if (m) {
        mat_member_refuse(g, m, !mat_accept_host_is_good(g, m->host));
    }
}

static void
note_plen(struct mat_gossip *g, const struct mat_key *key)
{
    unsigned int plen = key->plen + (mat_addr_is_v4(&key->addr) ? 96u : 0u);

    g->plens[plen / 8] = (uint8_t) (g->plens[plen / 8] | 1u << plen % 8);
}

static void
follow_vmn(struct mat_gossip *g, const struct mat_claim *claim,
           const struct mat_claim *old)
{
    struct mat_vmn *vmn;

    note_plen(g, &claim->key);
    if (claim->flags & MAT_CLAIM_CONTESTED) {
        mat_damp_contested(g, claim);
    }
    if (claim->version.host == g->config.id) {
        return;
    }
    vmn = mat_vmn_find(g, &claim->key);
    if (vmn && (vmn->rival || (old && old->version.host == g->config.id))) {
        mat_vmn_superseded(g, vmn, claim);
    }
}

/* What follows from a claim that is now in the store. */
static void
follow(struct mat_gossip *g, const struct mat_claim *claim,
       const struct mat_claim *old)
{
    output_apply(g, claim, old);
    if (claim->state == MAT_CLAIM_GONE) {
        bury(g, &claim->key);
    }
    switch (claim->key.type) {
    case MAT_TYPE_HOST:
        mat_member_host_claim(g, claim);
        break;
    case MAT_TYPE_REVOKE:
        follow_revoke(g, claim);
        break;
    case MAT_TYPE_POOL:
        mat_pull_pool_changed(g, claim);
        break;
    case MAT_TYPE_VMN:
        follow_vmn(g, claim, old);
        break;
    default:
        if (claim->state == MAT_CLAIM_LIVE) {
            mat_vmn_preparing(g, claim);
        }
        break;
    }
    mat_pull_answered(g, claim);
}

static const struct mat_claim *
take_replaced(struct mat_gossip *g)
{
    const struct mat_claim *old = g->replaced;

    g->replaced = NULL;
    return old;
}

static bool
is_wanted(const struct mat_gossip *g, const struct mat_claim *claim)
{
    /* Of other zones only what this host itself is said to have claimed. */
    return (claim->key.zone == MAT_ZONE_ALL
            || claim->version.host == g->config.id
            || mat_vmn_wants_zone(g, claim->key.zone));
}

enum mat_merge
mat_accept(struct mat_gossip *g, struct mat_peer *from,
           const struct mat_claim *candidate)
{
    const struct mat_claim *claim, *old;
    enum mat_merge merge;

    if (!is_wanted(g, candidate)) {
        mat_count(g, MAT_C_REFUSE_ZONE);
        return MAT_MERGE_INERT;
    }
    merge = mat_store_judge(&g->store, candidate);
    if (merge == MAT_MERGE_FULL) {
        mat_count(g, MAT_C_REFUSE_FULL);
    }
    if (merge != MAT_MERGE_NEW && merge != MAT_MERGE_NEWER) {
        return merge;
    }
    if (!check(g, from, candidate)) {
        return MAT_MERGE_INERT;
    }
    g->n_merged++;
    mat_store_put(&g->store, candidate);
    old = take_replaced(g);
    claim = mat_claim_ref(mat_store_find(&g->store, &candidate->key));
    if (claim->version.host == g->config.id) {
        output_apply(g, claim, old);
        meet_ghost(g, claim);
    } else {
        follow(g, claim, old);
    }
    mat_claim_unref(claim);
    mat_claim_unref(old);
    return merge;
}

/* Claims of this host. */

/* Flushes only if a claim of 'key' waits: others may still share a tree. */
void
mat_stage_flush_key(struct mat_gossip *g, const struct mat_key *key)
{
    for (size_t i = 0; i < g->n_staged; i++) {
        if (mat_key_equal(&g->staged[i].claim.key, key)) {
            mat_stage_flush(g);
        }
    }
}

void
mat_stage(struct mat_gossip *g, const struct mat_key *key,
          enum mat_claim_state state, uint8_t flags, const uint8_t *body,
          size_t body_size, uint32_t epoch_min)
{
    struct mat_staged *staged;
    const struct mat_claim *old;

    MAT_ASSERT(body_size <= MAT_CLAIM_BODY_MAX);
    mat_stage_flush_key(g, key);
    if (g->n_staged == STAGED_MAX) {
        mat_stage_flush(g);
    }
    if (g->n_staged == g->staged_allocated) {
        g->staged_allocated = g->n_staged ? g->n_staged * 2 : 4;
        g->staged = mat_xrealloc(g->staged, g->staged_allocated
                                 * sizeof *g->staged);
    }
    staged = &g->staged[g->n_staged++];
    staged->claim = (struct mat_claim) {
        .key = *key, .state = (uint8_t) state, .flags = flags,
        .body_size = (uint16_t) body_size,
        .version = { .epoch = epoch_min, .seq = 1, .host = g->config.id }
    };
    if (body_size) {
        memcpy(staged->body, body, body_size);
    }
    old = mat_store_find(&g->store, key);
    if (old && old->version.epoch >= epoch_min) {
        staged->claim.version.epoch = old->version.epoch;
        staged->claim.version.seq = old->version.seq + 1;
    }
    if (staged->claim.version.epoch > MAT_EPOCH_MAX) {
        staged->claim.version.epoch = MAT_EPOCH_MAX;
    }
    g->is_dirty = true;
}

/* Another host's claim came between staging and signing, and is newer. */
static void
outrun(struct mat_gossip *g, const struct mat_claim *candidate)
{
    struct mat_vmn *vmn = (candidate->key.type == MAT_TYPE_VMN
                           ? mat_vmn_find(g, &candidate->key) : NULL);

    if (vmn) {
        mat_vmn_superseded(g, vmn, mat_store_find(&g->store,
                                                  &candidate->key));
    }
}

static void
publish(struct mat_gossip *g, const struct mat_claim *candidate)
{
    const struct mat_claim *claim, *old;
    enum mat_merge merge = mat_store_put(&g->store, candidate);

    if (merge == MAT_MERGE_OLDER) {
        outrun(g, candidate);
    } else if (merge == MAT_MERGE_FULL) {
        mat_count(g, MAT_C_REFUSE_FULL);
    }
    if (merge != MAT_MERGE_NEW && merge != MAT_MERGE_NEWER) {
        return;
    }
    old = take_replaced(g);
    claim = mat_claim_ref(mat_store_find(&g->store, &candidate->key));
    follow(g, claim, old);
    mat_vmn_published(g, claim, old);
    mat_spread_add(g, claim);
    mat_claim_unref(claim);
    mat_claim_unref(old);
}

/* Signs and publishes what was staged, in trees. */
void
mat_stage_flush(struct mat_gossip *g)
{
    struct mat_staged *staged = g->staged;
    size_t n = g->n_staged;

    if (!n) {
        return;
    }
    g->staged = NULL;           /* Publishing may stage again. */
    g->n_staged = g->staged_allocated = 0;
    for (size_t i = 0; i < n; i += MAT_TREE_LEAVES_MAX) {
        size_t n_leaves = n - i < MAT_TREE_LEAVES_MAX ? n - i
                          : MAT_TREE_LEAVES_MAX;
        struct mat_claim *leaves[MAT_TREE_LEAVES_MAX];
        struct mat_tree tree;

        for (size_t j = 0; j < n_leaves; j++) {
            leaves[j] = &staged[i + j].claim;
            leaves[j]->body = staged[i + j].body;
            mat_claim_seal_sum(leaves[j]);
        }
        mat_count(g, MAT_C_SIGNED);
        mat_tree_sign(&tree, &g->config.crypto, leaves, n_leaves);
        for (size_t j = 0; j < n_leaves; j++) {
            publish(g, leaves[j]);
        }
    }
    free(staged);
}

void
mat_stage_host(struct mat_gossip *g)
{
    struct mat_host_info info = {
        .endpoint = g->config.endpoint, .mtu = g->config.mtu,
        .salt = g->config.salt, .cert = g->cert,
        .cert_size = g->config.cert_size
    };
    uint8_t body[MAT_CLAIM_BODY_MAX];
    struct mat_key key = mat_key_host(g->config.id);

    if (g->config.all_zones || g->n_zones > MAT_HOST_ZONES_MAX) {
        info.n_zones = MAT_HOST_ZONES_ALL;
    } else {
        for (size_t i = 0; i < g->n_zones; i++) {
            info.zones[info.n_zones++] = g->zones[i].zone;
        }
    }
    mat_stage(g, &key, MAT_CLAIM_LIVE, 0, body, mat_host_encode(&info, body),
              g->generation);
}

/* Slow rounds over everything. */

enum {
    SWEEP_ROUND_S = 16,
    GHOST_TELLERS = 4           /* Hosts that tell of a ghost, about. */
};

/* A claim of a living host that does not have the zone is a ghost, of which
 * that host does not hear by spread or repair: some others tell it. */
static void
tell_of_ghost(struct mat_gossip *g, const struct mat_member *owner,
              const struct mat_claim *claim)
{
    if (!mat_member_has_zone(owner, claim->key.zone)
        && mat_rng_below(&g->rng, (uint32_t) g->n_in_state[MAT_MEMBER_ALIVE])
           < GHOST_TELLERS) {
        mat_push_to(g, owner->id, claim);
    }
}

static void
sweep_claim(struct mat_gossip *g, const struct mat_claim *claim)
{
    const struct mat_member *m = mat_member_find(g, claim->version.host);
    int64_t record_us = g->config.tuning.record_us;
    struct mat_key key = claim->key;

    if (claim->state != MAT_CLAIM_LIVE || key.type == MAT_TYPE_REVOKE
        || claim->version.host == g->config.id) {
        return;
    }
    if (m && m->state < MAT_MEMBER_DEAD) {
        mat_store_hide(&g->store, &key, false);
        tell_of_ghost(g, m, claim);
    } else if (!m || g->now_us - m->since_us > record_us) {
        mat_count(g, MAT_C_EXPIRED_RECORDS);
        output_apply(g, NULL, claim);
        mat_store_remove(&g->store, &key);
    } else if (g->now_us - m->since_us > record_us / 2) {
        /* As with ended claims: nobody advertises it any more when the first
         * host forgets it. */
        mat_store_hide(&g->store, &key, true);
    }
}

void
mat_accept_sweep_members(struct mat_gossip *g)
{
    struct mat_member *forget = NULL;

    for (size_t i = 0; i < g->n_members; i++) {
        struct mat_member *m = g->members[i];

        if (m->is_refused != !mat_accept_host_is_good(g, m->host)) {
            mat_member_refuse(g, m, !m->is_refused);
        }
        if (m->state >= MAT_MEMBER_DEAD && g->now_us - m->since_us
                                           > g->config.tuning.record_us) {
            forget = m;
        }
    }
    if (forget) {
        struct mat_key key = mat_key_host(forget->id);

        mat_store_remove(&g->store, &key);
        mat_member_forget(g, forget);
    }
}

/* Once a second: a part of the records; at each round's end the members. */
void
mat_accept_sweep(struct mat_gossip *g)
{
    size_t n = ((size_t) 1 << g->store.bits) / SWEEP_ROUND_S + 1;

    mat_timer_set(g, &g->sweep, MAT_TIMER_SWEEP, 1000000);
    while (n--) {
        const struct mat_claim *claim = mat_store_next(&g->store,
                                                       &g->sweep_cursor);

        if (!claim) {
            g->sweep_cursor = 0;
            mat_accept_sweep_members(g);
            return;
        }
        sweep_claim(g, claim);
    }
}

void
mat_accept_drop_zone(struct mat_gossip *g, uint32_t zone)
{
    struct mat_claim_list list = { .n = 0 };
    const struct mat_claim *claim;
    size_t cursor = 0;

    while ((claim = mat_store_next(&g->store, &cursor)) != NULL) {
        if (claim->key.zone == zone) {
            mat_claim_list_add(&list, claim);
        }
    }
    for (size_t i = 0; i < list.n; i++) {
        output_apply(g, NULL, list.claims[i]);
        mat_store_remove(&g->store, &list.claims[i]->key);
    }
    mat_claim_list_destroy(&list);
}
