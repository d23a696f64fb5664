/* SPDX-License-Identifier: Apache-2.0 */
/* Renumbering: VMNs get other MoAs, as the uplink's addresses have changed, it
 * has failed, or VMNs send by another one. */
#include "mat-agent-impl.h"

#include <stdio.h>

/* The active uplink, or the first that is up, unless the MoA is there
 * already. */
static const char *
better_uplink(const struct mat_agent *a, const struct mat_stay *stay)
{
    const char *first = NULL;
    struct mat_moa_info info;

    if (!mat_moa_find(a->moa, &stay->moa, &info)) {
        return NULL;
    }
    for (size_t i = a->n_uplinks; i-- > 0; ) {
        const struct mat_moa_uplink *uplink = &a->uplinks[i];

        if (uplink->up && strcmp(uplink->name, info.uplink)
            && (!first || strcmp(first, a->active))) {
            first = uplink->name;
        }
    }
    return first;
}

/* Gives it another MoA.  The old one stays good as a destination for as long
 * as a peer may not know better. */
void
mat_stay_renumber(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_addr old = stay->moa;
    struct mat_moa_info info;
    struct mat_agent_migration *m;
    struct mat_slot *slot;
    char name[MAT_HOME_STRLEN], from[MAT_ADDR_STRLEN], to[MAT_ADDR_STRLEN];

    if (!stay->has_moa || (stay->state != MAT_LIFE_LIVE
                           && stay->state != MAT_LIFE_PREPARED)) {
        return;
    }
    mat_moa_find(a->moa, &old, &info);
    if (!mat_stay_take_moa_by(a, stay, info.draining ? NULL
                              : better_uplink(a, stay))
        || mat_addr_equal(&old, &stay->moa)) {
        return;
    }
    mat_agent_count(a, MAT_AGENT_C_RENUMBERED);
    slot = mat_home_slot(stay->home, &old);
    if (slot) {
        mat_slot_retire(a, slot);
    }
    mat_agent_log(a, MAT_AGENT_INFO, "%s: MoA %s -> %s, renumbered",
                  mat_home_format(stay->home, name),
                  mat_addr_format(&old, from),
                  mat_addr_format(&stay->moa, to));
    mat_home_refresh(a, stay->home);
    if (slot) {
        slot->is_own = true;
    } else {
        mat_moa_release(a->moa, a->now_us, &old);
    }
    if (stay->state == MAT_LIFE_LIVE) {
        m = mat_migration_start(a, stay->home, MAT_MIGRATION_RENUMBERED,
                                "uplink");
        mat_stay_claim(a, stay);
        if (m && !mat_agent_has_gossip(a)) {
            mat_migration_end(a, m, MAT_MIGRATION_DONE);
        }
    } else {
        mat_stay_tell(a, stay);
    }
}

/* The number of VMNs that have got another MoA. */
static size_t
renumber_some(struct mat_agent *a, const char *name, bool leaves)
{
    struct mat_moa_info info;
    size_t cursor = 0, n = 0;

    while (mat_moa_next_info(a->moa, &cursor, &info)) {
        struct mat_home *home;

        if (info.state != MAT_MOA_USED || !info.uplink[0] || info.home
            || !strcmp(info.uplink, name) != leaves) {
            continue;
        }
        home = mat_home_find(a, info.owner.zone, &info.owner.hoa);
        if (home && home->stay && home->stay->has_moa
            && mat_addr_equal(&home->stay->moa, &info.moa)) {
            mat_stay_renumber(a, home->stay);
            n += !mat_addr_equal(&home->stay->moa, &info.moa);
        }
    }
    return n;
}

/* VMNs with MoAs of uplink 'name', or if that is not 'leaves', of others, get
 * MoAs of another.  Taking MoAs moves others within the stock, so that some
 * may be passed over at first. */
void
mat_agent_renumber_all(struct mat_agent *a, const char *name, bool leaves)
{
    while (renumber_some(a, name, leaves)) {
        continue;
    }
}

/* The VMNs by the active uplink, if that is up. */
void
mat_agent_follow_active(struct mat_agent *a)
{
    size_t i = mat_agent_find_uplink(a, a->active);

    if (a->is_ready && i < a->n_uplinks && a->uplinks[i].up) {
        mat_agent_renumber_all(a, a->active, false);
    }
}

void
mat_agent_use_uplink(struct mat_agent *a, int64_t now_us, const char *name)
{
    a->now_us = now_us;
    if (strcmp(a->active, name)) {
        snprintf(a->active, sizeof a->active, "%s", name);
        mat_agent_follow_active(a);
    }
}
