/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-moa-impl.h"

enum {
    COLD_ANNOUNCEMENTS = 3,     /* Of a MoA that was not warm. */
    AGAIN_US = 1000000          /* Claims within that time count as one. */
};

/* RFC 5227, 2.4: claims that are this far apart have nothing to do with each
 * other.  Longer than its DEFEND_INTERVAL, as two hosts that both defend are
 * no better than one that insists. */
static const int64_t conflict_memory_us = INT64_C(600) * 1000000;

/* What has changed of an uplink. */
enum change {
    CHANGE_NONE,
    CHANGE_ROUTERS,             /* There is somebody to be told. */
    CHANGE_LINK                 /* It may be another link now, on which nobody
                                 * knows our addresses, or somebody has
                                 * them. */
};

static void apply_change(struct mat_moa *, struct mat_moa_record *,
                         const enum change changes[]);
static void use(struct mat_moa *, struct mat_moa_record *,
                const struct mat_moa_owner *);
static void make_conflict(struct mat_moa *, struct mat_moa_record *,
                          const struct mat_mac *);

struct mat_moa *
mat_moa_create(const struct mat_moa_config *config, uint64_t seed,
               int64_t now_us)
{
    struct mat_moa *m = mat_xcalloc(1, sizeof *m);

    m->rng.state = seed;
    m->hash_seed = mat_rng_next(&m->rng);
    m->now_us = m->credit_us = now_us;
    m->frames = mat_xmalloc(MAT_MOA_FRAMES_MAX * sizeof *m->frames);
    mat_moa_config_default(&m->config);
    mat_moa_shelves_reset(m);
    mat_moa_configure(m, now_us, config);
    return m;
}

void
mat_moa_destroy(struct mat_moa *m)
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->n_records; i++) {
        free(m->records[i]);
    }
    free(m->records);
    free(m->frames);
    mat_index_destroy(&m->by_addr);
    mat_index_destroy(&m->by_owner);
    mat_heap_destroy(&m->urgent);
    mat_heap_destroy(&m->lazy);
    mat_heap_destroy(&m->quiet);
    free(m);
}

void
mat_moa_config_default(struct mat_moa_config *config)
{
    memset(config, 0, sizeof *config);
    config->stock = 8;
    config->quarantine_us = INT64_C(300) * 1000000;
    config->conflict_us = INT64_C(600) * 1000000;
    config->refresh_us = INT64_C(30) * 1000000;
    config->used_refresh_us = INT64_C(120) * 1000000;
    config->probes = 3;
    config->frames_s = 100;
}

/* Configuration. */

static enum change
change_of(const struct mat_moa_config *old, const struct mat_moa_uplink *u)
{
    int i = mat_moa_uplink_find(old, u->name);
    const struct mat_moa_uplink *before;

    if (i == MAT_MOA_ANY) {
        return CHANGE_LINK;
    }
    before = &old->uplinks[i];
    return (u->up != before->up || !mat_mac_equal(&u->mac, &before->mac)
            ? CHANGE_LINK
            : memcmp(u->n_routers, before->n_routers, sizeof u->n_routers)
              || memcmp(u->routers, before->routers, sizeof u->routers)
              || memcmp(u->router_macs, before->router_macs,
                        sizeof u->router_macs)
            ? CHANGE_ROUTERS : CHANGE_NONE);
}

/* What a record becomes under the new configuration.  It is not in a list. */
static void
review(struct mat_moa *m, struct mat_moa_record *r,
       const enum change changes[])
{
    size_t stock = r->stock;
    bool drains;

    mat_moa_record_place(m, r);
    switch (r->list) {
    case MAT_MOA_FREE:
        if (!r->is_inside) {
            mat_moa_record_free(m, r);
        }
        break;
    case MAT_MOA_PROBING:
    case MAT_MOA_PROBED:
    case MAT_MOA_WARM:
        if (!r->is_inside || r->stock != stock
            || mat_moa_shelf_of(m, r)->routed) {
            mat_moa_record_free(m, r);
        } else {
            apply_change(m, r, changes);
        }
        break;
    case MAT_MOA_USED:
        drains = !r->is_inside && !(r->home && mat_moa_is_home(m, &r->moa));
        r->tells_renumber = drains && (r->tells_renumber || !r->draining);
        r->draining = drains;
        mat_moa_report(m, r);
        apply_change(m, r, changes);
        break;
    default:
        break;
    }
}

static void
apply_change(struct mat_moa *m, struct mat_moa_record *r,
             const enum change changes[])
{
    enum change change = changes[mat_moa_shelf_of(m, r)->uplink + 1];

    if (change == CHANGE_NONE || r->hushed) {
        return;
    } else if (r->list == MAT_MOA_USED || (r->list == MAT_MOA_WARM
                                           && change == CHANGE_ROUTERS)) {
        mat_moa_tell_later(m, r, AGAIN_US);
    } else if (change == CHANGE_LINK) {
        mat_moa_record_set(m, r, MAT_MOA_PROBING);
        mat_moa_start_probing(m, r);
    }
}

/* Uplinks are known by name: their places may change. */
static void
move_records(struct mat_moa *m, const struct mat_moa_config *old,
             struct mat_moa_list *all)
{
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];
        int uplink = MAT_MOA_ANY;

        if (s->uplink != MAT_MOA_ANY && (size_t) s->uplink < old->n_uplinks) {
            uplink = mat_moa_uplink_find(&m->config,
                                         old->uplinks[s->uplink].name);
        }
        for (size_t j = 0; j < MAT_MOA_N_LISTS; j++) {
            struct mat_moa_list *list = &s->lists[j];

            while (list->first) {
                struct mat_moa_record *r = list->first;

                mat_moa_list_remove(list, r, MAT_MOA_LINK_LIST);
                mat_moa_list_add(all, r, MAT_MOA_LINK_LIST);
                r->stock = (uint8_t) mat_moa_shelf_index(uplink, s->v6,
                                                         s->routed);
            }
        }
    }
}

static void
trim_stock(struct mat_moa *m)
{
    static const uint8_t order[] = {
        MAT_MOA_PROBING, MAT_MOA_PROBED, MAT_MOA_WARM
    };

    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];

        for (size_t j = 0; j < sizeof order; j++) {
            while (mat_moa_shelf_ready(s) > m->config.stock
                   && s->lists[order[j]].n) {
                mat_moa_record_free(m, s->lists[order[j]].last);
            }
        }
    }
}

/* There are other addresses than before: maybe there is one now for who got
 * none, and whether that helped is said at once. */
static void
look_again(struct mat_moa *m, const struct mat_moa_list *all)
{
    for (struct mat_moa_record *r = all->first; r;
         r = r->links[MAT_MOA_LINK_LIST].next) {
        r->draining = false;
    }
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        m->shelves[i].quiet_until_us = m->now_us;
    }
}

void
mat_moa_configure(struct mat_moa *m, int64_t now_us,
                  const struct mat_moa_config *config)
{
    struct mat_moa_config *old = mat_xmalloc(sizeof *old);
    struct mat_moa_ranges *ranges = mat_xmalloc(sizeof *ranges);
    enum change changes[MAT_MOA_UPLINKS_MAX + 1] = { CHANGE_NONE };
    struct mat_moa_list all = { .n = 0 };

    MAT_ASSERT(config->n_uplinks <= MAT_MOA_UPLINKS_MAX);
    mat_moa_tick(m, now_us);
    *old = m->config;
    m->config = *config;
    if (m->config.stock > MAT_MOA_STOCK_MAX) {
        m->config.stock = MAT_MOA_STOCK_MAX;
    }
    if (!m->config.frames_s) {
        m->config.frames_s = 1;
    } else if (m->config.frames_s > MAT_MOA_FRAMES_MAX) {
        m->config.frames_s = MAT_MOA_FRAMES_MAX;
    }
    for (size_t i = 0; i < config->n_uplinks; i++) {
        changes[i + 1] = change_of(old, &config->uplinks[i]);
    }
    m->n_frames = 0;            /* They know uplinks by their old places. */
    *ranges = m->ranges;
    mat_moa_ranges_build(&m->ranges, &m->config);
    move_records(m, old, &all);
    mat_moa_shelves_reset(m);
    if (!mat_moa_ranges_equal(&m->ranges, ranges)) {
        look_again(m, &all);
    }
    while (all.first) {
        struct mat_moa_record *r = all.first;

        mat_moa_list_remove(&all, r, MAT_MOA_LINK_LIST);
        review(m, r, changes);
    }
    trim_stock(m);
    free(ranges);
    free(old);
    mat_moa_settle(m);
}

/* Taking. */

struct take {
    const struct mat_moa_want *want;
    int uplink;                 /* MAT_MOA_ANY for all that are up. */
    bool v6;
    bool has_pool;
};

static bool
suits(const struct mat_moa *m, const struct take *take,
      const struct mat_moa_shelf *s)
{
    return s->v6 == take->v6 && mat_moa_shelf_is_up(m, s)
           && (take->uplink == MAT_MOA_ANY || take->uplink == s->uplink);
}

/* Somebody insists on having it: its owner gets another when it asks. */
static bool
is_contested(const struct mat_moa_record *r)
{
    return r->list == MAT_MOA_USED && !r->home
           && r->n_conflicts >= MAT_MOA_CONTESTED;
}

/* What the owner has already, or had last ('list' is USED or QUARANTINED). */
static struct mat_moa_record *
take_own(struct mat_moa *m, const struct take *take, uint8_t list)
{
    struct mat_moa_record *r = mat_moa_first_of(m, &take->want->owner);

    for (; r; r = r->owner_next) {
        if (r->list == list && mat_moa_is_owner(r, &take->want->owner)
            && suits(m, take, mat_moa_shelf_of(m, r))
            && (list == MAT_MOA_USED ? !r->draining && !is_contested(r)
                : r->is_inside && !r->reserved)) {
            return r;
        }
    }
    return NULL;
}

/* The record of 'addr', if this owner may have it. */
static struct mat_moa_record *
take_this(struct mat_moa *m, const struct take *take,
          const struct mat_addr *addr)
{
    struct mat_moa_record *r = mat_moa_record_find(m, addr);
    bool is_home = take->want->home && mat_addr_equal(addr,
                                                      &take->want->owner.hoa);
    bool is_inside;

    if (!suits(m, take,
               &m->shelves[mat_moa_shelf_for(m, addr, &is_inside)])
        || (!is_inside && !is_home)) {
        return NULL;
    }
    if (r && (is_contested(r)
              || ((r->list == MAT_MOA_USED || r->list == MAT_MOA_QUARANTINED)
                  && !mat_moa_is_owner(r, &take->want->owner))
              || ((r->list == MAT_MOA_CONFLICT || r->reserved)
                  && !is_home))) {
        return NULL;
    }
    return mat_moa_record_get(m, addr);
}

static struct mat_moa_record *
take_home(struct mat_moa *m, const struct take *take)
{
    return (take->want->home && mat_moa_is_home(m, &take->want->owner.hoa)
            ? take_this(m, take, &take->want->owner.hoa) : NULL);
}

static struct mat_moa_record *
take_preferred(struct mat_moa *m, const struct take *take)
{
    const struct mat_addr *moa = &take->want->preferred;

    if (mat_addr_is_zero(moa) || mat_addr_is_v4(moa) == take->v6) {
        return NULL;
    }
    return take_this(m, take, moa);
}

/* One that is just free. */
static struct mat_moa_record *
take_free(struct mat_moa *m, struct mat_moa_shelf *s)
{
    struct mat_addr addr;

    if (!mat_moa_shelf_untracked(s)) {
        return s->lists[MAT_MOA_FREE].first;
    }
    addr = mat_moa_shelf_pick(m, s);
    return mat_moa_record_get(m, &addr);
}

/* The best there is on the shelves: routed, then what is readiest. */
static struct mat_moa_record *
take_from_shelf(struct mat_moa *m, struct take *take)
{
    static const uint8_t order[] = {
        MAT_MOA_WARM, MAT_MOA_PROBED, MAT_MOA_PROBING, MAT_MOA_FREE
    };
    struct mat_moa_record *r = NULL;

    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX && !r; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];

        if (suits(m, take, s) && s->total) {
            take->has_pool = true;
            r = s->routed ? take_free(m, s) : NULL;
        }
    }
    for (size_t j = 0; j < sizeof order && !r; j++) {
        for (size_t i = 0; i < MAT_MOA_STOCKS_MAX && !r; i++) {
            struct mat_moa_shelf *s = &m->shelves[i];

            if (suits(m, take, s) && !s->routed) {
                r = (order[j] == MAT_MOA_FREE ? take_free(m, s)
                     : s->lists[order[j]].first);
            }
        }
    }
    return r;
}

static bool
any_is_up(const struct mat_moa *m)
{
    return mat_moa_shelf_is_up(m, &m->shelves[0]);
}

enum mat_moa_result
mat_moa_take(struct mat_moa *m, int64_t now_us,
             const struct mat_moa_want *want, struct mat_moa_info *info)
{
    struct take take = { .want = want, .uplink = MAT_MOA_ANY,
                         .v6 = !mat_addr_is_v4(&want->owner.hoa) };
    struct mat_moa_record *r;
    enum mat_moa_state was;

    if (!mat_addr_is_host(&want->owner.hoa)) {
        return MAT_MOA_BAD;
    }
    mat_moa_tick(m, now_us);
    if (want->uplink) {
        take.uplink = mat_moa_uplink_find(&m->config, want->uplink);
    }
    if (want->uplink ? take.uplink == MAT_MOA_ANY
        || !m->config.uplinks[take.uplink].up : !any_is_up(m)) {
        return MAT_MOA_NO_UPLINK;
    }
    r = take_own(m, &take, MAT_MOA_USED);
    r = r ? r : take_home(m, &take);
    r = r ? r : take_preferred(m, &take);
    r = r ? r : take_own(m, &take, MAT_MOA_QUARANTINED);
    r = r ? r : take_from_shelf(m, &take);
    if (!r) {
        m->counters[MAT_MOA_COUNT_REFUSED]++;
        return (m->n_records >= MAT_MOA_RECORDS_MAX ? MAT_MOA_FULL
                : take.has_pool ? MAT_MOA_EXHAUSTED : MAT_MOA_NO_POOL);
    }
    was = (enum mat_moa_state) r->list;
    if (r->list != MAT_MOA_USED) {
        use(m, r, &want->owner);
    }
    mat_moa_fill_info(m, r, info);
    info->state = was;
    mat_moa_settle(m);
    return MAT_MOA_OK;
}

/* Makes 'r' the owner's, and does what it lacks of being known. */
static void
use(struct mat_moa *m, struct mat_moa_record *r,
    const struct mat_moa_owner *owner)
{
    uint8_t was = r->list == MAT_MOA_LIST_RESERVED ? MAT_MOA_FREE : r->list;

    mat_moa_record_set(m, r, MAT_MOA_USED);
    mat_moa_record_own(m, r, owner);
    r->home = mat_addr_equal(&r->moa, &owner->hoa);
    r->hushed = r->home;
    r->is_cold = false;
    r->n_conflicts = 0;
    r->draining = false;
    m->counters[MAT_MOA_COUNT_TAKEN]++;
    if (mat_moa_shelf_of(m, r)->routed || r->home) {
        return;
    } else if (was == MAT_MOA_WARM) {
        mat_moa_tell_later(m, r, m->config.used_refresh_us);
    } else {
        m->counters[MAT_MOA_COUNT_TAKEN_COLD] += was != MAT_MOA_PROBED;
        mat_moa_start_telling(m, r, COLD_ANNOUNCEMENTS,
                              was != MAT_MOA_PROBED);
    }
}

enum mat_moa_result
mat_moa_adopt(struct mat_moa *m, int64_t now_us,
              const struct mat_moa_owner *owner, const struct mat_addr *moa)
{
    struct mat_moa_record *r;

    if (!mat_addr_is_host(moa) || !mat_addr_is_host(&owner->hoa)
        || mat_addr_is_v4(moa) != mat_addr_is_v4(&owner->hoa)) {
        return MAT_MOA_BAD;
    }
    mat_moa_tick(m, now_us);
    r = mat_moa_record_get(m, moa);
    if (!r) {
        return MAT_MOA_FULL;
    } else if (r->list == MAT_MOA_USED) {
        return (mat_moa_is_owner(r, owner) ? MAT_MOA_OK : MAT_MOA_TAKEN);
    }
    mat_moa_record_set(m, r, MAT_MOA_USED);
    mat_moa_record_own(m, r, owner);
    r->home = mat_addr_equal(moa, &owner->hoa);
    r->hushed = r->home;
    r->n_conflicts = 0;
    r->draining = !r->is_inside && !(r->home && mat_moa_is_home(m, moa));
    r->tells_renumber = r->draining;
    mat_moa_report(m, r);
    if (!r->hushed) {
        mat_moa_tell_later(m, r, m->config.used_refresh_us / 4);
    }
    mat_moa_settle(m);
    return MAT_MOA_OK;
}

enum mat_moa_result
mat_moa_restore(struct mat_moa *m, int64_t now_us,
                const struct mat_moa_owner *owner, const struct mat_addr *moa,
                int64_t left_us)
{
    struct mat_moa_record *r;

    if (!mat_addr_is_host(moa) || !mat_addr_is_host(&owner->hoa)
        || mat_addr_is_v4(moa) != mat_addr_is_v4(&owner->hoa)) {
        return MAT_MOA_BAD;
    }
    mat_moa_tick(m, now_us);
    if (left_us <= 0) {
        return MAT_MOA_OK;
    } else if (left_us > m->config.quarantine_us) {
        left_us = m->config.quarantine_us;
    }
    r = mat_moa_record_get(m, moa);
    if (!r) {
        return MAT_MOA_FULL;
    } else if (r->list == MAT_MOA_USED || r->list == MAT_MOA_QUARANTINED
               || r->list == MAT_MOA_CONFLICT) {
        return MAT_MOA_TAKEN;
    }
    mat_moa_record_set(m, r, MAT_MOA_QUARANTINED);
    mat_moa_record_own(m, r, owner);
    r->until_us = now_us + left_us;
    mat_moa_arm(m, r, &m->quiet, r->until_us);
    mat_moa_settle(m);
    return MAT_MOA_OK;
}

bool
mat_moa_release(struct mat_moa *m, int64_t now_us, const struct mat_addr *moa)
{
    struct mat_moa_record *r;
    bool contested;

    mat_moa_tick(m, now_us);
    r = mat_moa_record_find(m, moa);
    if (!r || r->list != MAT_MOA_USED) {
        return false;
    }
    contested = r->n_conflicts && !r->home
                && now_us - r->conflict_us < conflict_memory_us;
    m->counters[MAT_MOA_COUNT_RELEASED]++;
    r->draining = r->tells_renumber = false;
    r->n_left = 0;
    mat_moa_record_set(m, r, MAT_MOA_QUARANTINED);
    r->until_us = now_us + m->config.quarantine_us;
    if (contested) {
        make_conflict(m, r, &r->conflict_mac);
    } else {
        mat_moa_arm(m, r, &m->quiet, r->until_us);
    }
    mat_moa_settle(m);
    return true;
}

static void
stop_reserving(struct mat_moa *m, struct mat_moa_record *r)
{
    r->reserved = false;
    m->n_reserved--;
    if (r->list == MAT_MOA_LIST_RESERVED) {
        mat_moa_record_rest(m, r);
    }
}

bool
mat_moa_reserve(struct mat_moa *m, int64_t now_us,
                const struct mat_addr *addr, bool reserved)
{
    struct mat_moa_record *r = mat_moa_record_find(m, addr);

    mat_moa_tick(m, now_us);
    r = mat_moa_record_find(m, addr);
    if (r && r->reserved == reserved) {
        return true;
    } else if (!reserved) {
        if (r) {
            stop_reserving(m, r);
            mat_moa_settle(m);
        }
        return true;
    } else if (!mat_addr_is_host(addr)
               || m->n_reserved >= MAT_MOA_RESERVED_MAX
               || (r && r->list == MAT_MOA_USED && !r->home)) {
        return false;
    }
    r = mat_moa_record_get(m, addr);
    if (!r) {
        return false;
    }
    r->reserved = true;
    m->n_reserved++;
    if (r->list != MAT_MOA_USED && r->list != MAT_MOA_QUARANTINED
        && r->list != MAT_MOA_CONFLICT) {
        mat_moa_record_set(m, r, MAT_MOA_LIST_RESERVED);
    }
    mat_moa_settle(m);
    return true;
}

void
mat_moa_announce(struct mat_moa *m, int64_t now_us,
                 const struct mat_addr *moa)
{
    struct mat_moa_record *r;

    mat_moa_tick(m, now_us);
    r = mat_moa_record_find(m, moa);
    if (r && r->list == MAT_MOA_USED) {
        r->hushed = false;
        mat_moa_start_telling(m, r, COLD_ANNOUNCEMENTS, r->is_cold);
    }
}

void
mat_moa_hush(struct mat_moa *m, int64_t now_us, const struct mat_addr *moa)
{
    struct mat_moa_record *r;

    mat_moa_tick(m, now_us);
    r = mat_moa_record_find(m, moa);
    if (r && r->list == MAT_MOA_USED) {
        r->hushed = true;
        r->n_left = 0;
        mat_moa_disarm(r);
    }
}

/* Claims of others. */

static bool
is_our_mac(const struct mat_moa *m, const struct mat_mac *mac)
{
    for (size_t i = 0; i < m->config.n_uplinks; i++) {
        if (mat_mac_equal(mac, &m->config.uplinks[i].mac)) {
            return true;
        }
    }
    return false;
}

static void
note_claimer(struct mat_moa_shelf *s, const struct mat_mac *mac)
{
    if (mat_mac_equal(&s->claimer, mac)) {
        s->n_claims_in_row++;
    } else {
        s->claimer = *mac;
        s->n_claims_in_row = 1;
    }
}

static void
make_conflict(struct mat_moa *m, struct mat_moa_record *r,
              const struct mat_mac *mac)
{
    int64_t until_us = m->now_us + m->config.conflict_us;

    if (r->list == MAT_MOA_QUARANTINED && r->until_us > until_us) {
        until_us = r->until_us;
    }
    mat_moa_record_disown(m, r);
    mat_moa_record_set(m, r, MAT_MOA_CONFLICT);
    r->conflict_mac = *mac;
    r->until_us = until_us;
    mat_moa_arm(m, r, &m->quiet, until_us);
}

/* A used MoA is claimed: defend it.  But at home the VMN may have moved to
 * another host of the same link, whose right it is; and if it was taken cold,
 * then the other was there first. */
static void
claimed_used(struct mat_moa *m, struct mat_moa_record *r,
             const struct mat_mac *mac)
{
    if (r->n_conflicts && m->now_us - r->conflict_us < AGAIN_US) {
        return;
    } else if (m->now_us - r->conflict_us > conflict_memory_us) {
        r->n_conflicts = 0;
    }
    r->n_conflicts += r->is_cold ? MAT_MOA_CONTESTED : 1;
    r->conflict_us = m->now_us;
    r->conflict_mac = *mac;
    r->tells_conflict = true;
    mat_moa_report(m, r);
    m->counters[MAT_MOA_COUNT_CONFLICTS]++;
    if (r->home || r->is_cold) {
        r->hushed = true;
        r->n_left = 0;
        mat_moa_disarm(r);
    } else if (!r->hushed) {
        mat_moa_defend(m, r);
    }
}

/* Nobody here has 'addr', but it may have been next. */
static void
claimed_unused(struct mat_moa *m, const struct mat_addr *addr,
               const struct mat_mac *mac)
{
    mat_number number = mat_number_from_addr(addr);
    const struct mat_moa_range *range = mat_moa_ranges_find(&m->ranges,
                                                            number);
    struct mat_moa_record *r = mat_moa_record_find(m, addr);
    struct mat_moa_shelf *s;

    if (!range || range->routed) {
        return;
    }
    s = &m->shelves[mat_moa_shelf_index(range->uplink,
                                        !mat_number_is_v4(number), false)];
    if (!r && s->lists[MAT_MOA_CONFLICT].n < MAT_MOA_CLAIMS_MAX) {
        r = mat_moa_record_get(m, addr);
    }
    if (!r) {
        m->counters[MAT_MOA_COUNT_IGNORED]++;
        return;
    }
    if (r->list != MAT_MOA_CONFLICT) {
        note_claimer(s, mac);
        r->tells_conflict = true;
        mat_moa_report(m, r);
        m->counters[MAT_MOA_COUNT_CONFLICTS]++;
    }
    make_conflict(m, r, mac);
}

void
mat_moa_claimed(struct mat_moa *m, int64_t now_us,
                const struct mat_addr *addr, const struct mat_mac *mac,
                bool asks)
{
    struct mat_moa_record *r;
    uint8_t list;

    mat_moa_tick(m, now_us);
    if (is_our_mac(m, mac) || mat_mac_is_zero(mac)
        || mat_mac_is_multicast(mac)) {
        return;
    }
    r = mat_moa_record_find(m, addr);
    list = r ? r->list : MAT_MOA_FREE;
    if (list == MAT_MOA_LIST_RESERVED) {
        return;
    } else if (list == MAT_MOA_USED) {
        if (!asks) {
            claimed_used(m, r, mac);
        }
    } else if (asks && (list == MAT_MOA_WARM || list == MAT_MOA_PROBED)) {
        mat_moa_defend(m, r);
    } else if (!asks || list == MAT_MOA_PROBING) {
        claimed_unused(m, addr, mac);
    }
    mat_moa_settle(m);
}
