/* SPDX-License-Identifier: Apache-2.0 */
/* What the gossip engine says, and what it is told. */
#include "mat-agent-impl.h"

#include <inttypes.h>
#include <stdio.h>

/* Out. */

bool
mat_agent_has_gossip(const struct mat_agent *a)
{
    return a->gossip && a->config.mode == MAT_AGENT_ACTIVE;
}

bool
mat_agent_may_ask(const struct mat_agent *a)
{
    return (mat_agent_has_gossip(a)
            || (a->config.mode == MAT_AGENT_ACTIVE
                && a->now_us < a->await_us));
}

void
mat_agent_await_gossip(struct mat_agent *a, int64_t now_us)
{
    a->now_us = now_us;
    if (!a->gossip) {
        a->gossip_us = now_us;
        a->await_us = now_us + MAT_AGENT_JOIN_US;
    }
}

enum mat_gossip_result
mat_agent_call(struct mat_agent *a, enum mat_recorder_kind kind,
               const struct mat_key *key, const struct mat_addr *moa,
               const struct mat_mac *mac, bool flag)
{
    struct mat_call call = {
        .kind = kind, .now_us = a->now_us, .key = *key, .flag = flag
    };

    if (!mat_agent_has_gossip(a)) {
        return MAT_GOSSIP_OK;
    }
    if (moa) {
        call.addr = *moa;
    }
    if (mac) {
        call.mac = *mac;
    }
    if (kind == MAT_REC_POOL) {
        call.addr = key->addr;
        call.plen = key->plen;
    }
    return mat_call_make(a->gossip, a->recorder, &call);
}

void
mat_agent_tell_zone(struct mat_agent *a, uint32_t zone, bool present)
{
    const struct mat_call call = {
        .kind = MAT_REC_ZONE, .now_us = a->now_us, .zone = zone,
        .flag = present
    };

    if (mat_agent_has_gossip(a)) {
        mat_call_make(a->gossip, a->recorder, &call);
    }
}

static void
log_host(struct mat_agent *a, const struct mat_output *out)
{
    static const char *const states[] = { "alive", "suspect", "dead", "gone" };

    mat_agent_log(a, out->state == MAT_MEMBER_DEAD ? MAT_AGENT_WARN
                  : out->state == MAT_MEMBER_SUSPECT ? MAT_AGENT_DEBUG
                  : MAT_AGENT_INFO, "host 0x%" PRIx64 " is %s", out->host,
                  out->state <= MAT_MEMBER_LEFT ? states[out->state] : "?");
}

/* In: claims. */

static void
set_live(struct mat_agent *a, struct mat_home *home, uint64_t host,
         const struct mat_addr *moa)
{
    struct mat_slot *slot;

    if (host && mat_home_is_elsewhere(a, home)
        && !mat_addr_equal(&home->live_moa, moa)) {
        slot = mat_home_slot(home, &home->live_moa);
        if (slot) {             /* Late packets come from it. */
            mat_slot_retire(a, slot);
        }
    }
    home->live_host = host;
    home->live_moa = *moa;
}

/* It spoke here a moment ago, when nothing was known of it. */
static void
start_if_heard(struct mat_agent *a, struct mat_home *home,
               struct mat_dock *dock)
{
    if (dock->heard_us && a->now_us - dock->heard_us < MAT_AGENT_HEARD_US
        && mat_mac_equal(&dock->heard_mac, &home->guest->mac)
        && mat_home_may_claim(home)) {
        mat_home_step(a, home, MAT_LIFE_STARTS, dock, "heard");
    }
}

/* 'home' has become live on another host. */
static void
live_elsewhere(struct mat_agent *a, struct mat_home *home)
{
    struct mat_stay *stay = home->stay;
    enum mat_life state = mat_home_state(home);
    const char *port;
    struct mat_dock *dock;

    if (state == MAT_LIFE_LIVE || state == MAT_LIFE_LEAVING
        || state == MAT_LIFE_PARKED) {
        mat_home_step(a, home, MAT_LIFE_TAKEN, NULL, "claim");
        return;
    }
    mat_home_refresh(a, home);
    if (stay && stay->is_asked) {
        mat_agent_answered(a, home);
        return;
    }
    if (state == MAT_LIFE_ABSENT && a->is_ready && home->guest) {
        port = mat_learn_find_mac(a->learn, home->key.zone,
                                  &home->guest->mac);
        dock = port ? mat_dock_find(a, port) : NULL;
        if (dock && dock->is_given && dock->config.has_mac) {
            mat_home_step(a, home, MAT_LIFE_PREPARE, dock, "claim");
            start_if_heard(a, home, dock);
        } else if (mat_agent_is_awaited(a, home)) {
            mat_home_step(a, home, MAT_LIFE_PREPARE, NULL, "hint");
        }
    }
}

/* It is live here, says the engine. */
static void
live_here(struct mat_agent *a, struct mat_home *home)
{
    struct mat_stay *stay = home->stay;

    if (!stay || stay->state != MAT_LIFE_GONE) {
        mat_home_refresh(a, home);      /* The MoA before it ages. */
        return;
    }
    if (stay->dock && stay->dock->is_given) {
        /* The other has conceded: it never had it. */
        mat_home_step(a, home, MAT_LIFE_GOES_ON, stay->dock, "conceded");
    } else {
        mat_agent_call(a, MAT_REC_PORT, &home->key, NULL, NULL, false);
    }
}

/* Nobody has it any more.  If it is expected here and could run, it does: its
 * last host would not have let it go otherwise. */
static void
live_nowhere(struct mat_agent *a, struct mat_home *home, bool was_elsewhere)
{
    const struct mat_stay *stay = home->stay;

    mat_home_refresh(a, home);
    if (was_elsewhere && stay && stay->state == MAT_LIFE_PREPARED
        && stay->dock && stay->dock->is_given && !stay->dock->is_dead
        && mat_home_may_claim(home)) {
        mat_home_step(a, home, MAT_LIFE_STARTS, stay->dock, "released");
    }
}

static void
apply_vmn(struct mat_agent *a, const struct mat_key *key,
          const struct mat_claim *claim)
{
    bool is_live = claim && claim->state == MAT_CLAIM_LIVE;
    struct mat_addr moa = { { 0 } };
    struct mat_home *home;
    struct mat_mac mac;
    bool was_elsewhere;

    home = (is_live ? mat_home_get(a, key->zone, &key->addr)
            : mat_home_find(a, key->zone, &key->addr));
    if (!home || key->plen != home->key.plen) {
        return;
    }
    was_elsewhere = mat_home_is_elsewhere(a, home);
    if (is_live) {
        moa = mat_claim_moa(claim);
        mac = mat_claim_mac(claim);
        if (!mat_home_set_mac(a, home, &mac)) {
            mat_home_put(a, home);
            return;
        }
    }
    set_live(a, home, is_live ? claim->version.host : 0, &moa);
    if (!is_live) {
        live_nowhere(a, home, was_elsewhere);
    } else if (home->live_host == a->host) {
        live_here(a, home);
    } else {
        live_elsewhere(a, home);
    }
    mat_agent_check_double(a, home);
    mat_home_put(a, home);
}

static void
remove_prep(struct mat_home *home, uint64_t host)
{
    for (uint8_t i = 0; i < home->n_preps; i++) {
        if (home->preps[i].host == host) {
            home->preps[i] = home->preps[--home->n_preps];
            break;
        }
    }
    if (!home->n_preps) {
        free(home->preps);
        home->preps = NULL;
    }
}

static void
add_prep(struct mat_agent *a, struct mat_home *home,
         const struct mat_claim *claim)
{
    struct mat_agent_migration *m;
    struct mat_mac mac = mat_claim_mac(claim);

    remove_prep(home, claim->key.host);
    if (home->n_preps == MAT_AGENT_PREPS_MAX) {
        return;                 /* The engine keeps no more either. */
    }
    if (!home->guest && !mat_home_set_mac(a, home, &mac)) {
        return;
    }
    if (!home->preps) {
        home->preps = mat_xcalloc(MAT_AGENT_PREPS_MAX, sizeof *home->preps);
    }
    home->preps[home->n_preps++] = (struct mat_prep) {
        claim->key.host, mat_claim_moa(claim), claim->version
    };
    if (mat_home_state(home) == MAT_LIFE_LIVE && !mat_migration_of(a, home)
        && mat_mac_equal(&mac, &home->guest->mac)) {
        m = mat_migration_start(a, home, MAT_MIGRATION_OUT, "prepared");
        mat_migration_phase(a, m, MAT_MIGRATION_PREPARED);
        m->from = a->host;
        m->to = claim->key.host;
    }
}

static void
apply_prep(struct mat_agent *a, const struct mat_key *key,
           const struct mat_claim *claim)
{
    bool is_live = claim && claim->state == MAT_CLAIM_LIVE;
    struct mat_agent_migration *m;
    struct mat_home *home;

    if (key->host == a->host || key->plen != mat_addr_bits(&key->addr)) {
        return;
    }
    home = (is_live ? mat_home_get(a, key->zone, &key->addr)
            : mat_home_find(a, key->zone, &key->addr));
    if (!home) {
        return;
    }
    if (is_live) {
        add_prep(a, home, claim);
    } else {
        remove_prep(home, key->host);
        m = mat_migration_of(a, home);
        if (claim && m && m->kind == MAT_MIGRATION_OUT
            && mat_home_state(home) == MAT_LIFE_LIVE && !home->n_preps) {
            mat_migration_end(a, m, MAT_MIGRATION_FAILED);
        }
    }
    mat_home_refresh(a, home);
    mat_home_put(a, home);
}

static void
apply_pool(struct mat_agent *a, const struct mat_output *out)
{
    const struct mat_key *key = &out->key;
    const struct mat_claim *claim = out->claim;
    const struct mat_basin *basin = mat_basin_find(a, &key->addr, key->plen);

    if (claim && claim->state == MAT_CLAIM_LIVE) {
        if (claim->version.host != a->host) {
            mat_basin_put(a, &key->addr, key->plen, false,
                          claim->version.host);
        }
    } else if (basin && !basin->is_own) {
        mat_basin_remove(a, &key->addr, key->plen, false, basin->host);
    }
}

static void
apply(struct mat_agent *a, const struct mat_output *out)
{
    switch (out->key.type) {
    case MAT_TYPE_VMN:
        apply_vmn(a, &out->key, out->claim);
        break;
    case MAT_TYPE_PREP:
        apply_prep(a, &out->key, out->claim);
        break;
    case MAT_TYPE_POOL:
        apply_pool(a, out);
        break;
    default:
        break;                  /* Hosts: asked for when needed. */
    }
}

/* In: events. */

static void
set_frozen(struct mat_agent *a, struct mat_home *home, bool is_frozen)
{
    char name[MAT_HOME_STRLEN], text[MAT_AGENT_TEXT_SIZE];

    home->is_frozen = is_frozen;
    mat_home_format(home, name);
    if (is_frozen) {
        mat_agent_count(a, MAT_AGENT_C_FROZEN);
        snprintf(text, sizeof text,
                 "%s is frozen: two hosts keep taking it from each other; "
                 "remove one of the VMs, then: matctl unfreeze %" PRIu32
                 " ADDRESS", name, home->key.zone);
        mat_agent_log(a, MAT_AGENT_ALARM, "%s", text);
        mat_agent_problem(a, mat_key_hash(&home->key), text);
    } else {
        mat_agent_log(a, MAT_AGENT_INFO, "%s is not frozen any more", name);
        mat_agent_no_problem(a, mat_key_hash(&home->key));
    }
}

/* Nobody else knows a home address that was asked for. */
static void
nobody_has(struct mat_agent *a, struct mat_home *home)
{
    if (home->stay && home->stay->is_asked) {
        mat_agent_unanswered(a, home->stay);
    }
}

/* Another host has taken it, and insists.  That is so in each move without a
 * hint; but if the VMN there has another MAC, there are two. */
static void
conflict(struct mat_agent *a, struct mat_home *home, uint64_t host)
{
    struct mat_stay *stay = home->stay;
    char name[MAT_HOME_STRLEN], text[MAT_AGENT_TEXT_SIZE];

    home->is_in_conflict = stay != NULL;
    mat_home_format(home, name);
    if (stay && stay->dock && home->guest && stay->dock->config.has_mac
        && !mat_mac_equal(&stay->dock->config.mac, &home->guest->mac)) {
        snprintf(text, sizeof text,
                 "%s is used by two VMs: that on port %s here, which is cut "
                 "off now, and one at host 0x%" PRIx64, name,
                 stay->dock->name, host);
        mat_agent_log(a, MAT_AGENT_ALARM, "%s", text);
        mat_agent_problem(a, mat_key_hash(&home->key), text);
        home->is_noted = true;
    } else {
        mat_agent_log(a, MAT_AGENT_INFO,
                      "%s: host 0x%" PRIx64 " insists that it is there", name,
                      host);
    }
}

static void
vmn_event(struct mat_agent *a, const struct mat_output *out)
{
    struct mat_home *home = mat_home_find(a, out->key.zone, &out->key.addr);

    if (!home) {
        return;
    }
    switch (out->event) {
    case MAT_VMN_LOST:
        mat_agent_count(a, MAT_AGENT_C_LOST);
        break;
    case MAT_VMN_CONFLICT:
        mat_agent_count(a, MAT_AGENT_C_CONFLICTS);
        conflict(a, home, out->host);
        break;
    case MAT_VMN_FROZEN:
        set_frozen(a, home, true);
        break;
    case MAT_VMN_THAWED:
        set_frozen(a, home, false);
        mat_home_put(a, home);
        break;
    case MAT_VMN_UNKNOWN:
        nobody_has(a, home);
        break;
    }
}

static void
pushed(struct mat_agent *a, const struct mat_output *out)
{
    struct mat_home *home = mat_home_find(a, out->key.zone, &out->key.addr);
    struct mat_agent_migration *m;

    m = home ? mat_migration_last(a, home) : NULL;
    if (m && m->kind != MAT_MIGRATION_OUT) {
        m->n_reached = out->n_reached;
        m->n_failed = out->n_failed;
        mat_migration_phase(a, m, MAT_MIGRATION_PUSHED);
        mat_migration_end(a, m, MAT_MIGRATION_DONE);
    }
}

void
mat_agent_gossip(struct mat_agent *a, int64_t now_us,
                 const struct mat_output *out)
{
    a->now_us = now_us;
    switch (out->kind) {
    case MAT_OUT_APPLY:
        apply(a, out);
        break;
    case MAT_OUT_MEMBER:
        log_host(a, out);
        mat_agent_set_reached(a, out->host, out->state == MAT_MEMBER_ALIVE);
        break;
    case MAT_OUT_PUSHED:
        pushed(a, out);
        break;
    case MAT_OUT_VMN:
        vmn_event(a, out);
        break;
    case MAT_OUT_SEND:
    case MAT_OUT_GENERATION:
        break;
    }
}

/* The engine comes or goes. */

/* Tells an engine that has just come all that is here. */
void
mat_agent_tell_all(struct mat_agent *a)
{
    struct mat_zone_here *here;
    struct mat_home *home;
    size_t cursor = 0;

    while ((here = mat_index_next(&a->zones, &cursor)) != NULL) {
        mat_agent_tell_zone(a, here->zone.zone, true);
    }
    mat_agent_tell_awaited(a);
    mat_agent_tell_pools(a);
    cursor = 0;
    while ((home = mat_index_next(&a->homes, &cursor)) != NULL) {
        if (home->stay) {
            mat_stay_tell(a, home->stay);
        }
    }
}

static void
apply_all(struct mat_agent *a)
{
    const struct mat_claim *claim;
    size_t cursor = 0;

    while ((claim = mat_gossip_next_claim(a->gossip, &cursor)) != NULL) {
        const struct mat_output out = {
            .kind = MAT_OUT_APPLY, .key = claim->key, .claim = claim
        };

        if (claim->version.host != a->host) {
            apply(a, &out);
        }
    }
}

void
mat_agent_set_gossip(struct mat_agent *a, int64_t now_us,
                     struct mat_gossip *gossip,
                     struct mat_recorder *recorder, uint64_t host)
{
    a->now_us = now_us;
    a->gossip = gossip;
    a->recorder = recorder;
    a->host = host;
    a->gossip_us = now_us;
    if (gossip) {
        mat_agent_check_reached(a);
        apply_all(a);
        if (a->is_ready && mat_agent_has_gossip(a)) {
            mat_agent_tell_all(a);
        }
    }
}
