/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that hear of no moves: their agent is dead, or nobody reaches it.
 *
 * Their switch goes on with what it knows.  Packets to a VMN that has moved
 * come to its old host, which redirects them.  But packets from it have a MoA
 * that such a switch was never told of, and would be dropped there.  So the
 * VMN's new host sends to these hosts from the MoA that the VMN had before.
 *
 * All hosts take a MoA as a source for mat-quarantine after it was replaced,
 * and nobody else gets it meanwhile.  The oldest of those is good for every
 * host, whenever it heard its last: if it was alive until after that MoA was
 * replaced, it still takes it; if not, it knows no other.
 *
 * Next hops are marked only as long as some VMN here has a former MoA. */
#include "mat-agent-impl.h"

#define BACK_US (10 * MAT_AGENT_S)      /* A host that comes back learns what
                                         * it has missed. */

/* The MoA by which 'home', live here, is known to hosts that have not heard
 * that it is; null if it has been here for long. */
const struct mat_addr *
mat_home_former(const struct mat_agent *a, const struct mat_home *home)
{
    const struct mat_slot *oldest = NULL;

    for (const struct mat_slot *s = home->slots; s; s = s->next) {
        if (s->is_former && s->until_us > a->now_us
            && !mat_addr_equal(&s->moa, &home->stay->moa)
            && (!oldest || s->until_us < oldest->until_us)) {
            oldest = s;
        }
    }
    if (oldest) {
        return &oldest->moa;
    }
    return (mat_home_is_elsewhere(a, home)
            && !mat_addr_equal(&home->live_moa, &home->stay->moa)
            ? &home->live_moa : NULL);
}

/* The MoA of 'slot' has been replaced just now. */
void
mat_slot_retire(const struct mat_agent *a, struct mat_slot *slot)
{
    slot->is_former = true;
    slot->until_us = a->now_us + a->config.quarantine_s * MAT_AGENT_S;
}

static void
mark_way(struct mat_agent *a, struct mat_way *way)
{
    bool is_behind = way->is_lost && a->n_formers;
    struct mat_op op;

    if (way->is_behind != is_behind) {
        way->is_behind = is_behind;
        if (way->is_known) {
            way->seen = false;
            mat_way_op(way, MAT_OP_NEXTHOP_PUT, &op);
            mat_agent_emit(a, &op);
        }
    }
}

static void
set_lost(struct mat_agent *a, struct mat_way *way, bool is_lost)
{
    if (way->is_lost != is_lost) {
        way->is_lost = is_lost;
        a->n_lost_ways += is_lost ? 1 : SIZE_MAX;
        mark_way(a, way);
    }
}

/* One that is back stays marked for a while. */
static void
set_reached(struct mat_agent *a, struct mat_way *way, bool is_reached)
{
    if (!is_reached) {
        way->back_us = 0;
        set_lost(a, way, true);
    } else if (way->is_lost && !way->back_us) {
        way->back_us = a->now_us + BACK_US;
        if (!mat_timer_is_armed(&a->lost)) {
            mat_heap_set(&a->heap, &a->lost, way->back_us);
        }
    }
}

/* A host is, or is not, what it should be.  It is enough that it is suspected:
 * an agent that is alive takes both MoAs. */
void
mat_agent_set_reached(struct mat_agent *a, uint64_t host, bool is_reached)
{
    struct mat_way *way;
    size_t cursor = 0;

    while ((way = mat_index_next(&a->ways, &cursor)) != NULL) {
        if (way->host == host) {
            set_reached(a, way, is_reached);
        }
    }
}

static bool
is_reachable(const struct mat_agent *a, const struct mat_way *way)
{
    return (!a->gossip || !way->host
            || mat_gossip_is_reachable(a->gossip, way->host));
}

/* There is another engine. */
void
mat_agent_check_reached(struct mat_agent *a)
{
    struct mat_way *way;
    size_t cursor = 0;

    while ((way = mat_index_next(&a->ways, &cursor)) != NULL) {
        set_reached(a, way, is_reachable(a, way));
    }
}

void
mat_agent_lost_timer(struct mat_agent *a)
{
    int64_t next_us = MAT_TIMER_NEVER;
    struct mat_way *way;
    size_t cursor = 0;

    while ((way = mat_index_next(&a->ways, &cursor)) != NULL) {
        if (way->back_us && way->back_us <= a->now_us) {
            way->back_us = 0;
            set_lost(a, way, false);
        } else if (way->back_us && way->back_us < next_us) {
            next_us = way->back_us;
        }
    }
    if (next_us != MAT_TIMER_NEVER) {
        mat_heap_set(&a->heap, &a->lost, next_us);
    }
}

/* A way begins, or ends. */
void
mat_way_start_lost(struct mat_agent *a, struct mat_way *way)
{
    set_lost(a, way, !is_reachable(a, way));
}

void
mat_way_end_lost(struct mat_agent *a, const struct mat_way *way)
{
    a->n_lost_ways -= way->is_lost;
}

/* 'former' null: it has none. */
void
mat_slot_set_former(struct mat_agent *a, struct mat_slot *slot,
                    const struct mat_addr *former)
{
    bool had_any = a->n_formers;
    struct mat_way *way;
    size_t cursor = 0;

    a->n_formers -= !mat_addr_is_zero(&slot->former);
    slot->former = former ? *former : (struct mat_addr) { { 0 } };
    a->n_formers += former != NULL;
    while (had_any != (a->n_formers > 0) && a->n_lost_ways
           && (way = mat_index_next(&a->ways, &cursor)) != NULL) {
        mark_way(a, way);
    }
}
