/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as a whole: start, configuration, time, end. */
#include "mat-agent-impl.h"

struct mat_agent *
mat_agent_create(uint64_t seed, const struct mat_agent_config *config,
                 int64_t now_us)
{
    struct mat_agent *a = mat_xcalloc(1, sizeof *a);
    struct mat_moa_config *moa = mat_xcalloc(1, sizeof *moa);

    a->now_us = now_us;
    a->seed = seed;
    /* Likely not the numbers that the agent before had. */
    a->next_way = (uint16_t) (mat_mix64(seed ^ 3)
                              % (MAT_AGENT_ROUTES_MAX - 1));
    a->config = *config;
    mat_moa_config_default(moa);
    a->moa = mat_moa_create(moa, mat_mix64(seed ^ 1), now_us);
    free(moa);
    a->learn = mat_learn_create(mat_mix64(seed ^ 2),
                                config->age_s * MAT_AGENT_S);
    a->settle.kind = MAT_AGENT_TIMER_SETTLE;
    a->harvest.kind = MAT_AGENT_TIMER_HARVEST;
    a->resync.kind = MAT_AGENT_TIMER_RESYNC;
    a->lost.kind = MAT_AGENT_TIMER_LOST;
    a->await.kind = MAT_AGENT_TIMER_AWAIT;
    return a;
}

static void
destroy_values(struct mat_index *index)
{
    size_t cursor = 0;
    void *value;

    while ((value = mat_index_next(index, &cursor)) != NULL) {
        free(value);
    }
    mat_index_destroy(index);
}

void
mat_agent_destroy(struct mat_agent *a)
{
    struct mat_home *home;
    struct mat_dock *dock;
    size_t cursor = 0;

    if (!a) {
        return;
    }
    while ((home = mat_index_next(&a->homes, &cursor)) != NULL) {
        free(home->stay);
        free(home->preps);
    }
    cursor = 0;
    while ((dock = mat_index_next(&a->docks, &cursor)) != NULL) {
        free(dock->kept);
    }
    destroy_values(&a->homes);
    destroy_values(&a->guests);
    destroy_values(&a->slots);
    destroy_values(&a->docks);
    destroy_values(&a->ways);
    destroy_values(&a->basins);
    destroy_values(&a->zones);
    mat_index_destroy(&a->odp_docks);
    mat_index_destroy(&a->ways_by_prefix);
    mat_heap_destroy(&a->heap);
    mat_agent_output_destroy(a);
    mat_moa_destroy(a->moa);
    mat_learn_destroy(a->learn);
    free(a->extras);
    free(a->pending);
    free(a->unacked);
    free(a);
}

/* Starting. */

void
mat_agent_restore(struct mat_agent *a, int64_t now_us,
                  const struct mat_agent_saved *saved)
{
    struct mat_home *home;
    struct mat_dock *dock;
    struct mat_stay *stay;

    a->now_us = now_us;
    if (a->is_ready || (int) saved->state >= MAT_N_LIVES
        || saved->plen != mat_addr_bits(&saved->hoa)
        || !mat_addr_is_host(&saved->moa)
        || mat_addr_is_v4(&saved->moa) != mat_addr_is_v4(&saved->hoa)) {
        return;
    } else if (saved->state == MAT_LIFE_ABSENT) {
        const struct mat_moa_owner owner = { saved->zone, saved->hoa };

        mat_moa_restore(a->moa, now_us, &owner, &saved->moa,
                        a->config.quarantine_s * MAT_AGENT_S);
        return;
    }
    home = mat_home_get(a, saved->zone, &saved->hoa);
    if (!home || home->stay) {
        return;
    }
    if (!mat_home_set_mac(a, home, &saved->mac)) {
        mat_home_put(a, home);
        return;
    }
    dock = saved->port[0] ? mat_dock_get(a, saved->port) : NULL;
    stay = mat_stay_create(a, home, saved->state, dock, &saved->moa);
    stay->is_restored = true;
}

static void
start_docks(struct mat_agent *a)
{
    struct mat_dock *dock;
    size_t cursor = 0;

    /* Uplinks first: the others want MoAs. */
    while ((dock = mat_index_next(&a->docks, &cursor)) != NULL) {
        if (dock->is_given && dock->is_uplink) {
            mat_dock_start(a, dock);
        }
    }
    cursor = 0;
    while ((dock = mat_index_next(&a->docks, &cursor)) != NULL) {
        if (dock->is_given && !dock->is_uplink) {
            mat_dock_start(a, dock);
        }
    }
}

/* A stay that was on disk goes on, or ends if its port is not there. */
static void
start_stay(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_home *home = stay->home;
    bool has_port = (stay->dock && stay->dock->is_given
                     && (!stay->dock->config.has_mac
                         || mat_mac_equal(&stay->dock->config.mac,
                                          &home->guest->mac)));

    mat_home_refresh(a, home);
    switch (stay->state) {
    case MAT_LIFE_LIVE:
        if (has_port) {
            mat_learn_restore(a->learn, a->now_us, stay->dock->name,
                              &home->guest->mac, &home->key.addr);
        } else {
            mat_home_step(a, home, MAT_LIFE_STOPS, NULL, "port is gone");
        }
        break;
    case MAT_LIFE_PREPARED:
        if (!has_port) {
            mat_home_step(a, home, MAT_LIFE_FAILED, NULL, "port is gone");
        }
        break;
    case MAT_LIFE_LEAVING:
        mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_GRACE_US);
        break;
    case MAT_LIFE_GONE:
        stay->heard_us = a->now_us;
        mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_LATE_US);
        break;
    case MAT_LIFE_PARKED:
        mat_heap_set(&a->heap, &stay->timer,
                     a->now_us + a->config.parked_s * MAT_AGENT_S);
        break;
    case MAT_LIFE_ABSENT:
        break;
    }
}

/* Steps may end homes, so those that have stays are listed first. */
static struct mat_home **
list_stays(struct mat_agent *a, size_t *n)
{
    struct mat_home **homes = mat_xmalloc((a->homes.n + 1) * sizeof *homes);
    struct mat_home *home;
    size_t cursor = 0;

    *n = 0;
    while ((home = mat_index_next(&a->homes, &cursor)) != NULL) {
        if (home->stay) {
            homes[(*n)++] = home;
        }
    }
    return homes;
}

static void
start_stays(struct mat_agent *a)
{
    struct mat_home **homes;
    size_t n;

    homes = list_stays(a, &n);
    for (size_t i = 0; i < n; i++) {
        struct mat_stay *stay = homes[i]->stay;

        mat_stay_adopt_moa(a, stay);
        if (!stay->has_moa) {
            mat_stay_destroy(a, stay);
            mat_home_put(a, homes[i]);
        }
    }
    free(homes);
    homes = list_stays(a, &n);
    for (size_t i = 0; i < n; i++) {
        start_stay(a, homes[i]->stay);
    }
    free(homes);
}

void
mat_agent_ready(struct mat_agent *a, int64_t now_us)
{
    a->now_us = now_us;
    if (a->is_ready) {
        return;
    }
    a->is_ready = true;
    mat_agent_configure_moa(a);
    start_stays(a);
    start_docks(a);
    mat_agent_drain_learn(a);
    if (mat_agent_has_gossip(a)) {
        mat_agent_tell_all(a);
    }
    mat_heap_set(&a->heap, &a->settle, now_us + MAT_AGENT_SETTLE_US);
    mat_agent_resync(a);
}

/* Configuration. */

/* Takes everything out of the switch and tells peers that it is not here. */
static void
deactivate(struct mat_agent *a)
{
    struct mat_home **homes;
    size_t n;

    homes = list_stays(a, &n);
    for (size_t i = 0; i < n; i++) {
        enum mat_life state = homes[i]->stay->state;

        mat_home_step(a, homes[i], state == MAT_LIFE_GONE ? MAT_LIFE_QUIET
                      : MAT_LIFE_RELEASE, NULL, "deactivated");
    }
    free(homes);
    mat_agent_log(a, MAT_AGENT_INFO, "deactivated: VMNs are given up");
}

/* Asks the switch again: in the new mode all is put, or nothing. */
static void
change_mode(struct mat_agent *a, enum mat_agent_mode mode)
{
    struct mat_home *home;
    struct mat_slot *slot;
    struct mat_op op;
    size_t cursor = 0;

    if (mode != MAT_AGENT_ACTIVE) {
        if (a->config.mode == MAT_AGENT_ACTIVE) {
            deactivate(a);
        }
        while ((home = mat_index_next(&a->homes, &cursor)) != NULL) {
            for (slot = home->slots; slot; slot = slot->next) {
                mat_slot_op(slot, MAT_OP_ENTRY_REMOVE, &op);
                mat_agent_emit(a, &op);
            }
        }
        a->config.mode = mode;
        a->is_synced = a->is_dumping = false;
        return;
    }
    a->config.mode = mode;
    if (mat_agent_has_gossip(a)) {
        mat_agent_tell_all(a);
    }
    mat_agent_resync(a);
}

static void
configure_docks(struct mat_agent *a, bool mode_changed)
{
    struct mat_dock *dock;
    size_t cursor = 0;

    while ((dock = mat_index_next(&a->docks, &cursor)) != NULL) {
        if (dock->is_given && mode_changed) {
            mat_dock_start(a, dock);
        } else if (dock->is_given) {
            mat_dock_configure(a, dock);
        }
    }
}

void
mat_agent_configure(struct mat_agent *a, int64_t now_us,
                    const struct mat_agent_config *config)
{
    enum mat_agent_mode mode = a->config.mode;

    a->now_us = now_us;
    a->config = *config;
    a->config.mode = mode;
    mat_learn_set_age(a->learn, config->age_s * MAT_AGENT_S);
    if (a->is_ready) {
        mat_agent_configure_zones(a);
        mat_agent_configure_moa(a);
        if (config->mode != mode) {
            change_mode(a, config->mode);
        }
        configure_docks(a, config->mode != mode);
    } else {
        a->config.mode = config->mode;
    }
}

/* Freezing by the operator. */

bool
mat_agent_freeze(struct mat_agent *a, int64_t now_us, uint32_t zone,
                 const struct mat_addr *hoa)
{
    struct mat_home *home = mat_home_get(a, zone, hoa);

    a->now_us = now_us;
    if (home) {
        home->is_stopped = true;
    }
    return home != NULL;
}

bool
mat_agent_unfreeze(struct mat_agent *a, int64_t now_us, uint32_t zone,
                   const struct mat_addr *hoa)
{
    struct mat_home *home = mat_home_find(a, zone, hoa);

    a->now_us = now_us;
    if (!home) {
        return false;
    }
    home->is_stopped = home->is_in_conflict = home->is_frozen = false;
    mat_agent_no_problem(a, mat_key_hash(&home->key));
    mat_agent_call(a, MAT_REC_UNFREEZE, &home->key, NULL, NULL, false);
    mat_home_put(a, home);
    return true;
}

/* Time. */

#define CONTAINER(TIMER, TYPE) \
    ((TYPE *) (void *) ((char *) (TIMER) - offsetof(TYPE, timer)))

static void
expire(struct mat_agent *a, struct mat_timer *timer)
{
    switch ((enum mat_agent_timer) timer->kind) {
    case MAT_AGENT_TIMER_STAY:
        mat_stay_timer(a, CONTAINER(timer, struct mat_stay));
        break;
    case MAT_AGENT_TIMER_HOME:
        mat_home_timer(a, CONTAINER(timer, struct mat_home));
        break;
    case MAT_AGENT_TIMER_SETTLE:
        mat_agent_settle(a);
        break;
    case MAT_AGENT_TIMER_HARVEST:
        if (a->is_synced) {
            mat_agent_emit_dump(a, MAT_UPDATE_DUMP_HARVEST);
        }
        break;
    case MAT_AGENT_TIMER_RESYNC:
        mat_agent_resync(a);
        break;
    case MAT_AGENT_TIMER_LOST:
        mat_agent_lost_timer(a);
        break;
    case MAT_AGENT_TIMER_AWAIT:
        mat_agent_await_timer(a);
        break;
    }
}

void
mat_agent_tick(struct mat_agent *a, int64_t now_us)
{
    struct mat_timer *timer;

    a->now_us = now_us;
    mat_moa_tick(a->moa, now_us);
    mat_learn_tick(a->learn, now_us);
    while ((timer = mat_heap_expire(&a->heap, now_us)) != NULL) {
        expire(a, timer);
    }
}

int64_t
mat_agent_deadline_us(const struct mat_agent *a)
{
    int64_t at = mat_heap_deadline(&a->heap);
    int64_t moa = mat_moa_deadline_us(a->moa);
    int64_t learn = mat_learn_deadline_us(a->learn);

    at = moa < at ? moa : at;
    return learn < at ? learn : at;
}
