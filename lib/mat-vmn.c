/* SPDX-License-Identifier: Apache-2.0 */
/* VMNs of this host: claiming, losing, challenging.
 *
 *     (none) --prepare--> PREPARED --claim--> LIVE --another's--> DEPARTED
 *        \------------------claim-------------^   ^----claim--------/
 *
 * A claim goes to the old owner and the correspondents first.  Their list is
 * with the old owner; it gives it to whoever prepares or claims, and if the
 * claim came without preparation it passes that on itself, so that nobody
 * waits for the list to travel.  mat-correspond.c keeps the lists.
 *
 * A claim made without knowledge of the latest one (after the loss of a disk,
 * a restore, in a partition) has too low a version, so a ghost may beat it.
 * So whoever loses a VMN while its port is live challenges the winner, which
 * concedes unless it has the VM on a live port itself.  A winner that is dead
 * does not answer: then the challenger takes over.  Before it is declared dead
 * it may just be slow, so the challenger waits for that. */
#include "mat-engine.h"
#include "mat-mem.h"

enum { CHALLENGE_SLOW_US = 1000000 };

struct mat_vmn *
mat_vmn_find(const struct mat_gossip *g, const struct mat_key *key)
{
    return mat_index_find(&g->vmns, mat_key_hash(key));
}

/* Zones: a host has those of its VMNs. */

static struct mat_zone_use *
find_zone(const struct mat_gossip *g, uint32_t zone, size_t *where)
{
    size_t i = 0;

    while (i < g->n_zones && g->zones[i].zone < zone) {
        i++;
    }
    *where = i;
    return i < g->n_zones && g->zones[i].zone == zone ? &g->zones[i] : NULL;
}

bool
mat_vmn_wants_zone(const struct mat_gossip *g, uint32_t zone)
{
    size_t where;

    return g->config.all_zones || find_zone(g, zone, &where);
}

static void
ref_zone(struct mat_gossip *g, uint32_t zone)
{
    size_t i;
    struct mat_zone_use *use = find_zone(g, zone, &i);

    if (use) {
        use->n++;
        return;
    }
    g->zones = mat_xrealloc(g->zones, (g->n_zones + 1) * sizeof *g->zones);
    memmove(&g->zones[i + 1], &g->zones[i],
            (g->n_zones - i) * sizeof *g->zones);
    g->zones[i] = (struct mat_zone_use) { zone, 1 };
    g->n_zones++;
    if (!g->config.all_zones) {
        mat_stage_host(g);
        mat_sync_soon(g);
    }
}

static void
unref_zone(struct mat_gossip *g, uint32_t zone)
{
    size_t i;
    struct mat_zone_use *use = find_zone(g, zone, &i);

    MAT_ASSERT(use && use->n);
    if (--use->n) {
        return;
    }
    g->n_zones--;
    memmove(&g->zones[i], &g->zones[i + 1],
            (g->n_zones - i) * sizeof *g->zones);
    if (!g->config.all_zones) {
        /* What was staged goes out while the zone's records are still
         * here. */
        mat_stage_flush(g);
        mat_spread_flush(g);
        mat_accept_drop_zone(g, zone);
        mat_stage_host(g);
    }
}

void
mat_gossip_zone(struct mat_gossip *g, int64_t now_us, uint32_t zone,
                bool present)
{
    size_t where;

    g->now_us = now_us;
    if (present) {
        ref_zone(g, zone);
    } else if (find_zone(g, zone, &where)) {
        unref_zone(g, zone);
    }
}

static struct mat_vmn *
get_vmn(struct mat_gossip *g, const struct mat_key *key)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);

    if (vmn) {
        return vmn;
    }
    if (g->vmns.n == MAT_GOSSIP_VMNS_MAX) {
        mat_count(g, MAT_C_LIMIT_VMNS);
        return NULL;
    }
    vmn = mat_xcalloc(1, sizeof *vmn);
    vmn->key = *key;
    mat_index_insert(&g->vmns, mat_key_hash(key), vmn);
    ref_zone(g, key->zone);
    return vmn;
}

static void
remove_vmn(struct mat_gossip *g, struct mat_vmn *vmn)
{
    uint32_t zone = vmn->key.zone;

    mat_timer_cancel(g, &vmn->timer);
    mat_index_remove(&g->vmns, mat_key_hash(&vmn->key));
    free(vmn->correspondents);
    free(vmn);
    unref_zone(g, zone);
}

/* Speaking. */

static bool
is_permitted(const struct mat_gossip *g, const struct mat_key *key,
             const uint8_t *body)
{
    const struct mat_claim claim = {
        .key = *key, .version = { .host = g->config.id },
        .body = body, .body_size = MAT_VMN_BODY_SIZE
    };

    return mat_key_is_valid(key) && mat_cert_permits(&g->own_cert, &claim);
}

/* The stored claim of 'key', after what is staged of it has got there. */
static const struct mat_claim *
current(struct mat_gossip *g, const struct mat_key *key)
{
    mat_stage_flush_key(g, key);
    return mat_store_find(&g->store, key);
}

/* The epoch of the next move of 'key' to this host. */
static uint32_t
next_epoch(const struct mat_gossip *g, const struct mat_key *key)
{
    struct mat_key prep_key = mat_key_prep(key, g->config.id);
    const struct mat_claim *live = mat_store_find(&g->store, key);
    const struct mat_claim *prep = mat_store_find(&g->store, &prep_key);
    uint32_t epoch = (!live ? 1
                      : live->version.host == g->config.id
                        ? live->version.epoch
                      : live->version.epoch + 1);

    return prep && prep->version.epoch > epoch ? prep->version.epoch : epoch;
}

static void
stage_vmn(struct mat_gossip *g, const struct mat_vmn *vmn,
          const struct mat_key *key, enum mat_claim_state state,
          uint8_t flags, uint32_t epoch)
{
    uint8_t body[MAT_VMN_BODY_SIZE];

    mat_vmn_body(body, &vmn->moa, &vmn->mac);
    mat_stage(g, key, state, flags, body, sizeof body, epoch);
}

enum mat_gossip_result
mat_gossip_prepare(struct mat_gossip *g, int64_t now_us,
                   const struct mat_key *key, const struct mat_addr *moa,
                   const struct mat_mac *mac)
{
    struct mat_key prep = mat_key_prep(key, g->config.id);
    const struct mat_claim *live;
    uint8_t body[MAT_VMN_BODY_SIZE];
    struct mat_vmn *vmn;

    g->now_us = now_us;
    mat_vmn_body(body, moa, mac);
    if (!is_permitted(g, key, body)) {
        return MAT_GOSSIP_FORBIDDEN;
    }
    vmn = get_vmn(g, key);
    if (!vmn) {
        return MAT_GOSSIP_LIMIT;
    }
    live = current(g, key);
    if (vmn->phase == MAT_PHASE_LIVE) {
        return MAT_GOSSIP_OK;
    }
    vmn->phase = MAT_PHASE_PREPARED;
    vmn->moa = *moa;
    vmn->mac = *mac;
    mat_timer_cancel(g, &vmn->timer);
    stage_vmn(g, vmn, &prep, MAT_CLAIM_LIVE, 0,
              live ? live->version.epoch + 1 : 1);
    return MAT_GOSSIP_OK;
}

static void
end_prep(struct mat_gossip *g, struct mat_vmn *vmn)
{
    struct mat_key prep = mat_key_prep(&vmn->key, g->config.id);
    const struct mat_claim *claim = current(g, &prep);

    if (claim && claim->state == MAT_CLAIM_LIVE) {
        stage_vmn(g, vmn, &prep, MAT_CLAIM_GONE, 0, claim->version.epoch);
    }
}

void
mat_gossip_withdraw(struct mat_gossip *g, int64_t now_us,
                    const struct mat_key *key)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);

    g->now_us = now_us;
    if (vmn && vmn->phase == MAT_PHASE_PREPARED) {
        end_prep(g, vmn);
        mat_stage_flush(g);
        remove_vmn(g, vmn);
    }
}

/* Publishes that 'vmn' is live here.  'insists' says that the rival has not
 * conceded. */
static void
claim_vmn(struct mat_gossip *g, struct mat_vmn *vmn, bool insists)
{
    const struct mat_claim *live = current(g, &vmn->key);
    bool is_contested = ((vmn->was_displaced
                          || (vmn->rival && !vmn->is_firstborn && insists))
                         && live && live->state == MAT_CLAIM_LIVE
                         && live->version.host != g->config.id);

    vmn->phase = MAT_PHASE_LIVE;
    vmn->port_live = true;
    vmn->is_leaving = vmn->was_displaced = false;
    vmn->is_firstborn = !live;
    vmn->rival = vmn->told = 0;
    mat_timer_cancel(g, &vmn->timer);
    stage_vmn(g, vmn, &vmn->key, MAT_CLAIM_LIVE,
              is_contested ? MAT_CLAIM_CONTESTED : 0,
              next_epoch(g, &vmn->key));
}

enum mat_gossip_result
mat_gossip_claim(struct mat_gossip *g, int64_t now_us,
                 const struct mat_key *key, const struct mat_addr *moa,
                 const struct mat_mac *mac)
{
    uint8_t body[MAT_VMN_BODY_SIZE];
    struct mat_vmn *vmn;

    g->now_us = now_us;
    mat_vmn_body(body, moa, mac);
    if (!is_permitted(g, key, body)) {
        return MAT_GOSSIP_FORBIDDEN;
    }
    if (mat_damp_is_frozen(g, key)) {
        return MAT_GOSSIP_FROZEN;
    }
    vmn = get_vmn(g, key);
    if (!vmn) {
        return MAT_GOSSIP_LIMIT;
    }
    if (vmn->phase == MAT_PHASE_LIVE && mat_addr_equal(&vmn->moa, moa)
        && mat_mac_equal(&vmn->mac, mac)) {
        vmn->port_live = true;  /* Said already, or being challenged. */
        vmn->is_leaving = false;
        return MAT_GOSSIP_OK;
    }
    vmn->moa = *moa;
    vmn->mac = *mac;
    claim_vmn(g, vmn, true);
    return MAT_GOSSIP_OK;
}

void
mat_gossip_leaving(struct mat_gossip *g, int64_t now_us,
                   const struct mat_key *key, bool leaving)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);

    g->now_us = now_us;
    if (vmn && vmn->phase == MAT_PHASE_LIVE) {
        vmn->is_leaving = leaving;
    } else if (vmn && vmn->phase == MAT_PHASE_DEPARTED && !leaving) {
        vmn->was_displaced = false;     /* A roll-back is no contest. */
    }
}

void
mat_gossip_release(struct mat_gossip *g, int64_t now_us,
                   const struct mat_key *key)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);
    const struct mat_claim *live;

    g->now_us = now_us;
    if (!vmn) {
        return;
    }
    end_prep(g, vmn);
    live = current(g, key);
    if (live && live->version.host == g->config.id
        && live->state == MAT_CLAIM_LIVE) {
        stage_vmn(g, vmn, key, MAT_CLAIM_GONE, 0, live->version.epoch);
        mat_stage_flush(g);
    }
    remove_vmn(g, vmn);
}

void
mat_gossip_port(struct mat_gossip *g, int64_t now_us,
                const struct mat_key *key, bool live)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);

    g->now_us = now_us;
    if (vmn) {
        vmn->port_live = live;
        if (!live) {
            vmn->was_displaced = false;
            vmn->rival = 0;
        }
    }
}

/* What this host has said, going out. */

void
mat_vmn_published(struct mat_gossip *g, const struct mat_claim *claim,
                  const struct mat_claim *old)
{
    struct mat_key key = claim->key;
    const struct mat_claim *live;
    struct mat_vmn *vmn;

    if (key.type != MAT_TYPE_VMN && key.type != MAT_TYPE_PREP) {
        return;
    }
    key.type = MAT_TYPE_VMN;
    key.host = 0;
    vmn = mat_vmn_find(g, &key);
    if (claim->key.type == MAT_TYPE_PREP) {
        live = mat_store_find(&g->store, &key);
        if (live) {
            mat_push_to(g, live->version.host, claim);
        }
        return;
    }
    if (claim->state == MAT_CLAIM_LIVE) {
        mat_push_start(g, claim);
        if (old && old->version.host != g->config.id) {
            mat_push_tracked(g, old->version.host, claim);
        }
    }
    for (size_t i = 0; vmn && i < vmn->n_correspondents; i++) {
        const struct mat_correspondent *c = &vmn->correspondents[i];

        if (c->until_us > g->now_us && c->host != g->config.id) {
            mat_push_tracked(g, c->host, claim);
        }
    }
}

/* Losing. */

static void
challenge(struct mat_gossip *g, struct mat_vmn *vmn)
{
    struct mat_member *m = mat_member_find(g, vmn->rival);
    uint8_t bytes[32];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    struct mat_peer *peer;
    int64_t wait;

    if (!m || !mat_member_is_usable(m)) {
        claim_vmn(g, vmn, false);
        return;
    }
    peer = mat_peer_get(g, m);
    mat_put_vmn_key(&w, &vmn->key);
    mat_post(g, peer, MAT_MSG_CHALLENGE, &w, true);
    mat_count(g, MAT_C_CHALLENGES);
    wait = mat_peer_rto_us(g, peer) << vmn->tries;
    if (vmn->tries < MAT_CHALLENGE_TRIES) {
        vmn->tries++;
    } else {
        mat_count(g, MAT_C_CHALLENGE_LOST);
        wait = CHALLENGE_SLOW_US;
    }
    mat_timer_set(g, &vmn->timer, MAT_TIMER_VMN, wait);
}

/* Asks 'host', whose claim is better, whether it has the VM too. */
static void
start_challenge(struct mat_gossip *g, struct mat_vmn *vmn, uint64_t host)
{
    vmn->rival = host;
    vmn->tries = 0;
    challenge(g, vmn);
}

/* Another host's claim has replaced this host's, or that of its rival. */
void
mat_vmn_superseded(struct mat_gossip *g, struct mat_vmn *vmn,
                   const struct mat_claim *claim)
{
    uint64_t host = claim->version.host;

    if (vmn->phase == MAT_PHASE_LIVE) {
        bool was_told = vmn->told == host;

        mat_correspond_hand_over(g, vmn, host);
        if (!was_told) {
            mat_correspond_relay(g, vmn, claim);
        }
        vmn->phase = MAT_PHASE_DEPARTED;
        mat_timer_set(g, &vmn->timer, MAT_TIMER_VMN,
                      g->config.tuning.interest_us);
        mat_output_vmn(g, &vmn->key, MAT_VMN_LOST, host);
        if (vmn->port_live && !vmn->is_leaving) {
            start_challenge(g, vmn, host);
        }
    } else if (vmn->rival && vmn->rival != host) {
        start_challenge(g, vmn, host);
    }
}

/* A host says that it prepares for a VMN. */
void
mat_vmn_preparing(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_key key = claim->key;
    struct mat_vmn *vmn;

    key.type = MAT_TYPE_VMN;
    key.host = 0;
    vmn = mat_vmn_find(g, &key);
    if (vmn && vmn->phase == MAT_PHASE_LIVE
        && claim->version.host != g->config.id) {
        mat_correspond_hand_over(g, vmn, claim->version.host);
    }
}

void
mat_vmn_timer(struct mat_gossip *g, struct mat_vmn *vmn)
{
    if (vmn->rival) {
        challenge(g, vmn);
    } else if (vmn->phase == MAT_PHASE_DEPARTED) {
        if (vmn->port_live) {
            mat_timer_set(g, &vmn->timer, MAT_TIMER_VMN,
                          g->config.tuning.interest_us);
        } else {
            remove_vmn(g, vmn);
        }
    }
}

void
mat_vmn_member_died(struct mat_gossip *g, uint64_t host)
{
    struct mat_vmn *vmn;
    size_t cursor = 0;

    while ((vmn = mat_index_next(&g->vmns, &cursor)) != NULL) {
        if (vmn->rival == host) {
            mat_timer_set(g, &vmn->timer, MAT_TIMER_VMN, 0);
        }
    }
}

/* The ghost of a claim that holds here: says it again, above the ghost. */
bool
mat_vmn_renew(struct mat_gossip *g, const struct mat_claim *ghost)
{
    struct mat_key key = ghost->key;
    struct mat_vmn *vmn;

    key.type = MAT_TYPE_VMN;
    key.host = 0;
    vmn = mat_vmn_find(g, &key);
    if (!vmn || vmn->phase != (ghost->key.type == MAT_TYPE_VMN
                               ? MAT_PHASE_LIVE : MAT_PHASE_PREPARED)) {
        return false;
    }
    mat_count(g, MAT_C_GHOSTS);
    stage_vmn(g, vmn, &ghost->key, MAT_CLAIM_LIVE, 0, ghost->version.epoch);
    return true;
}

/* Challenges. */

static void
answer_challenge(struct mat_gossip *g, struct mat_peer *from,
                 const struct mat_key *key)
{
    const struct mat_vmn *vmn = mat_vmn_find(g, key);
    const struct mat_claim *live = mat_store_find(&g->store, key);
    uint8_t bytes[32];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
    bool keep;

    if (live && live->version.host != g->config.id) {
        mat_reply_claims(g, from, &live, 1, true);
        return;
    }
    if (!vmn && mat_timer_is_armed(&g->ghosts)) {
        return;                 /* It may be found yet; they ask again. */
    }
    keep = vmn && vmn->phase == MAT_PHASE_LIVE && vmn->port_live;
    mat_put_vmn_key(&w, key);
    mat_post(g, from, keep ? MAT_MSG_KEEP : MAT_MSG_CONCEDE, &w, true);
}

static void
challenge_answered(struct mat_gossip *g, struct mat_peer *from,
                   const struct mat_key *key, bool concede)
{
    struct mat_vmn *vmn = mat_vmn_find(g, key);

    if (!vmn || !vmn->rival || vmn->rival != from->member->id) {
        return;
    }
    if (concede) {
        claim_vmn(g, vmn, false);
        return;
    }
    vmn->rival = 0;
    vmn->was_displaced = true;
    mat_output_vmn(g, &vmn->key, MAT_VMN_CONFLICT, from->member->id);
}

bool
mat_vmn_receive(struct mat_gossip *g, struct mat_peer *from, uint8_t type,
                struct mat_reader *r)
{
    struct mat_key key = mat_get_vmn_key(r);

    if (r->bad || r->left) {
        return false;
    }
    if (type == MAT_MSG_CHALLENGE) {
        answer_challenge(g, from, &key);
    } else {
        challenge_answered(g, from, &key, type == MAT_MSG_CONCEDE);
    }
    return true;
}

void
mat_vmn_destroy(struct mat_gossip *g)
{
    struct mat_vmn *vmn;
    size_t cursor = 0;

    while ((vmn = mat_index_next(&g->vmns, &cursor)) != NULL) {
        free(vmn->correspondents);
        free(vmn);
    }
    mat_index_destroy(&g->vmns);
    free(g->zones);
}
