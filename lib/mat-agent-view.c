/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of people: walks, counters, what goes to disk. */
#include "mat-agent-impl.h"

#include <stdio.h>

static void
fill_vmn(const struct mat_agent *a, const struct mat_home *home,
         struct mat_agent_vmn *v)
{
    const struct mat_stay *stay = home->stay;
    struct mat_agent_migration *m;

    *v = (struct mat_agent_vmn) {
        .zone = home->key.zone, .hoa = home->key.addr, .plen = home->key.plen,
        .state = mat_home_state(home), .host = home->live_host,
        .moa = home->live_moa, .is_frozen = home->is_frozen
                                            || home->is_stopped,
        .is_in_conflict = home->is_in_conflict || home->is_doubled,
        .is_waiting_for_route = home->is_waiting,
        .n_prepared = home->n_preps,
        .prepared_host = home->n_preps ? home->preps[0].host : 0,
        .is_reachable = true
    };
    if (home->guest) {
        v->mac = home->guest->mac;
        m = mat_migration_last((struct mat_agent *) a, home);
        v->migration = m ? m->id : 0;
    }
    v->is_here = (v->state == MAT_LIFE_LIVE || v->state == MAT_LIFE_LEAVING
                  || v->state == MAT_LIFE_PARKED);
    if (stay) {
        v->since_us = stay->since_us;
        v->is_configured = stay->is_configured;
        if (stay->has_moa) {
            v->own_moa = stay->moa;
            v->is_home = mat_addr_equal(&stay->moa, &home->key.addr);
        }
        if (stay->dock) {
            memcpy(v->port, stay->dock->name, sizeof v->port);
        }
    }
    if (v->is_here) {
        v->host = a->host;
        v->moa = v->own_moa;
    } else if (a->gossip && v->host) {
        v->is_reachable = mat_gossip_is_reachable(a->gossip, v->host);
    }
}

bool
mat_agent_next_vmn(const struct mat_agent *a, size_t *cursor, bool here_only,
                   struct mat_agent_vmn *v)
{
    const struct mat_home *home;

    while ((home = mat_index_next(&a->homes, cursor)) != NULL) {
        if (home->stay || (!here_only && home->guest)) {
            fill_vmn(a, home, v);
            return true;
        }
    }
    return false;
}

bool
mat_agent_lookup(const struct mat_agent *a, uint32_t zone,
                 const struct mat_addr *addr, struct mat_agent_vmn *v)
{
    const struct mat_home *home = mat_home_find(a, zone, addr);
    const struct mat_slot *slot;

    if (!home) {
        slot = mat_slot_of_moa(a, addr);
        home = slot ? slot->home : NULL;
    }
    if (home) {
        fill_vmn(a, home, v);
    }
    return home != NULL;
}

bool
mat_agent_next_entry(const struct mat_agent *a, size_t *cursor,
                     struct mat_entry *entry)
{
    const struct mat_slot *slot = mat_index_next(&a->slots, cursor);
    struct mat_op op;

    if (!slot) {
        return false;
    }
    mat_slot_op(slot, MAT_OP_ENTRY_PUT, &op);
    *entry = op.entry;
    return true;
}

static uint32_t
count_bound(const struct mat_agent *a, const char *port, bool macs)
{
    struct mat_learn_binding binding;
    struct mat_mac mac;
    uint32_t n = 0;

    while (macs ? mat_learn_get_mac(a->learn, port, n, &mac)
           : mat_learn_get(a->learn, port, n, &binding)) {
        n++;
    }
    return n;
}

bool
mat_agent_next_port(const struct mat_agent *a, size_t *cursor,
                    struct mat_agent_port_view *v)
{
    const struct mat_dock *dock;

    do {
        dock = mat_index_next(&a->docks, cursor);
    } while (dock && !dock->is_given && !dock->n_refs);
    if (!dock) {
        return false;
    }
    *v = (struct mat_agent_port_view) {
        .zone = dock->config.zone, .odp_port = dock->odp_port,
        .is_enabled = dock->is_given, .is_uplink = dock->is_uplink,
        .is_live = !dock->is_dead, .mtu = dock->mtu,
        .n_macs = count_bound(a, dock->name, true),
        .n_hoas = count_bound(a, dock->name, false)
    };
    memcpy(v->name, dock->name, sizeof v->name);
    memcpy(v->iface_id, dock->config.iface_id, sizeof v->iface_id);
    for (int i = MAT_LEARN_MAC_ONLY + 1; i < MAT_LEARN_N_VERDICTS; i++) {
        v->n_violations += mat_learn_count(a->learn, dock->name,
                                           (enum mat_learn_verdict) i);
    }
    return true;
}

bool
mat_agent_next_pool(const struct mat_agent *a, size_t *cursor,
                    struct mat_agent_pool_view *v)
{
    const struct mat_basin *basin = mat_index_next(&a->basins, cursor);

    if (!basin) {
        return false;
    }
    *v = (struct mat_agent_pool_view) {
        .prefix = basin->prefix, .plen = basin->plen,
        .is_own = basin->is_own,
        .host = basin->is_own ? a->host : basin->host
    };
    if (basin->way) {
        v->route_id = basin->way->id;
        v->has_route = basin->way->is_known;
        v->route = basin->way->route;
    }
    return true;
}

const struct mat_moa *
mat_agent_moa(const struct mat_agent *a)
{
    return a->moa;
}

void
mat_agent_summarize(const struct mat_agent *a, struct mat_agent_summary *s)
{
    *s = (struct mat_agent_summary) {
        .mode = a->config.mode, .is_ready = a->is_ready,
        .is_connected = a->is_connected, .is_in_sync = a->is_synced,
        .has_gossip = a->gossip != NULL, .host = a->host,
        .n_homes = a->homes.n, .n_ports = a->docks.n,
        .n_entries = a->slots.n, .n_routes = a->ways.n,
        .n_pools = a->basins.n, .sequence = a->sequence, .acked = a->acked
    };
    memcpy(s->n_by_life, a->n_stays, sizeof s->n_by_life);
}

/* The disk. */

/* MoAs that must rest: a stale peer may still send to them.  '*cursor' has
 * passed all homes. */
static bool
next_resting(const struct mat_agent *a, size_t *cursor,
             struct mat_agent_saved *s)
{
    size_t first = a->homes.slots ? a->homes.mask + 1 : 0;
    struct mat_moa_info info;
    bool found = false;

    *cursor -= first;
    while (!found && mat_moa_next_info(a->moa, cursor, &info)) {
        found = info.state == MAT_MOA_QUARANTINED;
    }
    *cursor += first;
    if (found) {
        *s = (struct mat_agent_saved) {
            .zone = info.owner.zone, .hoa = info.owner.hoa, .moa = info.moa,
            .plen = (uint8_t) mat_addr_bits(&info.moa),
            .state = MAT_LIFE_ABSENT
        };
    }
    return found;
}

bool
mat_agent_next_saved(const struct mat_agent *a, size_t *cursor,
                     struct mat_agent_saved *s)
{
    const struct mat_home *home;

    while ((home = mat_index_next(&a->homes, cursor)) != NULL) {
        const struct mat_stay *stay = home->stay;

        if (!stay || !stay->has_moa || !home->guest) {
            continue;
        }
        *s = (struct mat_agent_saved) {
            .zone = home->key.zone, .hoa = home->key.addr, .moa = stay->moa,
            .plen = home->key.plen, .mac = home->guest->mac,
            .state = stay->state
        };
        if (stay->dock) {
            memcpy(s->port, stay->dock->name, sizeof s->port);
        }
        return true;
    }
    return next_resting(a, cursor, s);
}

/* Counters. */

uint64_t
mat_agent_counter(const struct mat_agent *a, enum mat_agent_counter counter)
{
    return counter < MAT_AGENT_N_COUNTERS ? a->counters[counter] : 0;
}

const char *
mat_agent_counter_name(enum mat_agent_counter counter)
{
    static const char *const names[] = {
#define MAT_AGENT_COUNTER(ENUM, NAME, TEXT) NAME,
        MAT_AGENT_COUNTERS
#undef MAT_AGENT_COUNTER
    };

    return counter < MAT_AGENT_N_COUNTERS ? names[counter] : "?";
}

const char *
mat_agent_counter_text(enum mat_agent_counter counter)
{
    static const char *const texts[] = {
#define MAT_AGENT_COUNTER(ENUM, NAME, TEXT) TEXT,
        MAT_AGENT_COUNTERS
#undef MAT_AGENT_COUNTER
    };

    return counter < MAT_AGENT_N_COUNTERS ? texts[counter] : "?";
}
