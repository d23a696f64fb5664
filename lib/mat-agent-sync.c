/* SPDX-License-Identifier: Apache-2.0 */
/* The switch: its table compared with the mirror.
 *
 * The whole table is dumped when the switch answers for the first time or
 * again, when it has refused something, and once more a while after the start.
 * What it lacks is put, in the order in which one needs the other: ports, next
 * hops, zones, pools, entries.  What it has too much is removed in the
 * opposite order, but until the agent has settled, adopted:
 *
 *     local                 the VMN was live here when the last agent ended
 *     prepared, with port   it was expected here
 *     departed              it has left, late packets may come
 *     other                 kept until the gossip engine says what is right
 *
 * Nothing is given to a switch before its table has been compared.  While a
 * comparison goes on with one that has been compared before, operations go out
 * as always; then an item of the dump may be older than the mirror, and at
 * worst something is put that is there, or removed that is gone. */
#include "mat-agent-impl.h"

#include <inttypes.h>

static const enum mat_update_dump kinds[] = {
    MAT_UPDATE_DUMP_PORTS, MAT_UPDATE_DUMP_NEXTHOPS, MAT_UPDATE_DUMP_ZONES,
    MAT_UPDATE_DUMP_POOLS, MAT_UPDATE_DUMP_ENTRIES
};

static bool
is_serving(const struct mat_agent *a)
{
    return a->is_connected && a->config.mode == MAT_AGENT_ACTIVE;
}

static void
forget_seen(struct mat_agent *a)
{
    struct mat_zone_here *zone;
    struct mat_basin *basin;
    struct mat_slot *slot;
    struct mat_dock *dock;
    struct mat_way *way;
    size_t cursor;

    for (cursor = 0; (dock = mat_index_next(&a->docks, &cursor)); ) {
        dock->seen = false;
    }
    for (cursor = 0; (way = mat_index_next(&a->ways, &cursor)); ) {
        way->seen = false;
    }
    for (cursor = 0; (zone = mat_index_next(&a->zones, &cursor)); ) {
        zone->seen = false;
    }
    for (cursor = 0; (basin = mat_index_next(&a->basins, &cursor)); ) {
        basin->seen = false;
    }
    for (cursor = 0; (slot = mat_index_next(&a->slots, &cursor)); ) {
        slot->seen = false;
    }
}

void
mat_agent_resync(struct mat_agent *a)
{
    mat_heap_cancel(&a->heap, &a->resync);
    if (!is_serving(a) || !a->is_ready) {
        return;
    }
    if (a->is_dumping) {
        mat_agent_resync_soon(a);
        return;
    }
    mat_agent_count(a, MAT_AGENT_C_RESYNCS);
    a->is_dumping = true;
    a->n_extras = 0;
    forget_seen(a);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        mat_agent_emit_dump(a, kinds[i]);
    }
}

void
mat_agent_resync_soon(struct mat_agent *a)
{
    if (!mat_timer_is_armed(&a->resync)) {
        mat_heap_set(&a->heap, &a->resync, a->now_us + MAT_AGENT_RESYNC_US);
    }
}

void
mat_agent_switch_connected(struct mat_agent *a, int64_t now_us,
                           uint64_t instance)
{
    a->now_us = now_us;
    if (a->instance && a->instance != instance) {
        mat_agent_log(a, MAT_AGENT_INFO,
                      "the switch was restarted: all is put back");
    }
    if (a->instance != instance) {
        mat_agent_forget_odp(a);
    }
    a->instance = instance;
    a->is_connected = true;
    a->is_synced = a->is_dumping = a->asked_ports = false;
    mat_agent_resync(a);
}

void
mat_agent_switch_lost(struct mat_agent *a, int64_t now_us)
{
    a->now_us = now_us;
    if (!a->is_connected) {
        return;
    }
    mat_agent_log(a, MAT_AGENT_WARN,
                  "the switch does not answer; it goes on with what it has");
    a->is_connected = a->is_synced = a->is_dumping = a->asked_ports = false;
    a->acked = a->sequence;     /* Nobody will say. */
    mat_stay_acked(a);
}

/* Items. */

void
mat_agent_add_extra(struct mat_agent *a, const struct mat_op *op,
                    enum mat_update_op_type type)
{
    if (a->n_extras == a->extras_allocated) {
        a->extras_allocated = a->n_extras ? a->n_extras * 2 : 64;
        a->extras = mat_xrealloc(a->extras, a->extras_allocated
                                 * sizeof *a->extras);
    }
    a->extras[a->n_extras] = *op;
    a->extras[a->n_extras++].type = type;
}

static void
item_port(struct mat_agent *a, const struct mat_op *op)
{
    struct mat_dock *dock = mat_dock_find(a, op->port.name);
    struct mat_op wanted;

    if (!dock) {
        if (op->port.role) {
            mat_agent_add_extra(a, op, MAT_OP_PORT_REMOVE);
        }
        return;
    }
    mat_dock_set_odp(a, dock, op->port.odp_port);
    if (!dock->is_given && !dock->is_put && op->port.role) {
        dock->is_put = true;    /* Of an adopted entry. */
        dock->is_uplink = op->port.role == MAT_PORT_UPLINK;
        dock->uplink_mac = op->port.mac;
        dock->mtu = op->port.mtu;
    }
    mat_dock_op(dock, MAT_OP_PORT_PUT, &wanted);
    /* Zero is the device's own, which the switch tells in its place. */
    dock->seen = (wanted.port.role == op->port.role
                  && (!wanted.port.mtu || wanted.port.mtu == op->port.mtu)
                  && (mat_mac_is_zero(&wanted.port.mac)
                      || mat_mac_equal(&wanted.port.mac, &op->port.mac)));
}

static void
item_nexthop(struct mat_agent *a, const struct mat_op *op)
{
    uint16_t id = op->nexthop.id;
    struct mat_way *way = mat_index_find(&a->ways, id);
    struct mat_op wanted;

    if (!way && id && !a->is_settled) {
        mat_way_adopt(a, &op->nexthop);
        return;
    } else if (!way) {
        mat_agent_add_extra(a, op, MAT_OP_NEXTHOP_REMOVE);
        return;
    }
    mat_way_op(way, MAT_OP_NEXTHOP_PUT, &wanted);
    way->seen = (mat_mac_equal(&wanted.nexthop.src, &op->nexthop.src)
                 && mat_mac_equal(&wanted.nexthop.dst, &op->nexthop.dst)
                 && wanted.nexthop.mtu == op->nexthop.mtu
                 && wanted.nexthop.is_behind == op->nexthop.is_behind);
}

static bool
is_same_zone(const struct mat_zone *a, const struct mat_zone *b)
{
    if (a->outside != b->outside || a->n_subnets != b->n_subnets
        || a->outside_nexthop != b->outside_nexthop) {
        return false;
    }
    for (uint8_t i = 0; i < a->n_subnets; i++) {
        if (memcmp(&a->subnets[i], &b->subnets[i], sizeof *a->subnets)) {
            return false;
        }
    }
    return true;
}

static void
item_zone(struct mat_agent *a, const struct mat_op *op)
{
    struct mat_zone_here *here = mat_agent_zone(a, op->zone.zone);

    if (here) {
        here->seen = is_same_zone(&here->zone, &op->zone);
    } else {
        mat_agent_add_extra(a, op, MAT_OP_ZONE_REMOVE);
    }
}

static void
item_pool(struct mat_agent *a, const struct mat_op *op)
{
    struct mat_basin *basin = mat_basin_find(a, &op->pool.prefix,
                                             op->pool.plen);

    if (basin) {
        basin->seen = basin->is_own == op->pool.own;
    } else {
        mat_agent_add_extra(a, op, MAT_OP_POOL_REMOVE);
    }
}

/* Entries. */

/* An entry with a MoA that the VMN had before: it goes when nobody sends to it
 * any more. */
static void
keep_old_moa(struct mat_agent *a, struct mat_home *home,
             const struct mat_entry *e)
{
    const struct mat_moa_owner owner = { home->key.zone, home->key.addr };
    struct mat_slot *slot = mat_home_slot(home, &e->moa);

    if (slot && mat_moa_adopt(a->moa, a->now_us, &owner, &e->moa)
                == MAT_MOA_OK) {
        slot->is_own = true;
    }
}

/* A stay for an entry of the last agent.  What was on disk may be older. */
static void
adopt_stay(struct mat_agent *a, struct mat_home *home,
           const struct mat_entry *e, struct mat_dock *dock)
{
    enum mat_life state = (e->state == MAT_STATE_LOCAL ? MAT_LIFE_LIVE
                           : e->state == MAT_STATE_PREPARED
                           ? MAT_LIFE_PREPARED : MAT_LIFE_GONE);
    struct mat_stay *stay = home->stay;
    bool has_port = dock && dock->is_given;
    bool was_other = (stay && stay->has_moa
                      && !mat_addr_equal(&stay->moa, &e->moa));

    if (was_other && (stay->state == MAT_LIFE_LIVE
                      || state != MAT_LIFE_LIVE)) {
        keep_old_moa(a, home, e);
        return;
    }
    if (stay) {
        if (was_other) {
            mat_moa_release(a->moa, a->now_us, &stay->moa);
        }
        mat_stay_destroy(a, stay);
    }
    stay = mat_stay_create(a, home, state, dock, &e->moa);
    mat_stay_adopt_moa(a, stay);
    if (!stay->has_moa) {
        mat_stay_destroy(a, stay);
        return;
    }
    if (has_port && dock->config.has_mac
        && !mat_mac_equal(&dock->config.mac, &e->mac)) {
        has_port = false;       /* The port has another guest now. */
    }
    if (state == MAT_LIFE_LIVE && has_port) {
        mat_learn_restore(a->learn, a->now_us, dock->name, &e->mac, &e->hoa);
        mat_stay_claim(a, stay);
    } else if (state == MAT_LIFE_LIVE) {
        mat_home_step(a, home, MAT_LIFE_STOPS, NULL, "port is gone");
    } else if (state == MAT_LIFE_PREPARED && has_port) {
        mat_stay_tell(a, stay);
    } else if (state == MAT_LIFE_PREPARED) {
        mat_home_step(a, home, MAT_LIFE_FAILED, NULL, "port is gone");
    } else {
        stay->heard_us = a->now_us;
        mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_LATE_US);
    }
}

static bool
is_slot_as(const struct mat_slot *slot, const struct mat_entry *e)
{
    struct mat_op op;

    mat_slot_op(slot, MAT_OP_ENTRY_PUT, &op);
    return (op.entry.state == e->state && op.entry.hold == e->hold
            && (op.entry.nexthop == e->nexthop
                || e->state != MAT_STATE_REMOTE)
            && mat_addr_equal(&op.entry.former, &e->former)
            && mat_mac_equal(&op.entry.mac, &e->mac)
            && !strcmp(op.entry.port, e->port));
}

static bool
is_of_this_host(const struct mat_agent *a, const struct mat_entry *e)
{
    struct mat_moa_info info;

    return (e->state == MAT_STATE_LOCAL
            || (e->state == MAT_STATE_PREPARED && e->port[0])
            || (e->state == MAT_STATE_DEPARTED
                && !mat_moa_find(a->moa, &e->moa, &info)));
}

static struct mat_slot *
adopt_slot(struct mat_agent *a, struct mat_home *home,
           const struct mat_entry *e, struct mat_dock *dock)
{
    struct mat_slot *slot;

    if ((e->port[0] && !dock)
        || (e->state == MAT_STATE_REMOTE
            && !mat_index_find(&a->ways, e->nexthop))
        || (!home->guest && !mat_home_set_mac(a, home, &e->mac))) {
        return NULL;
    }
    slot = mat_slot_create(a, home, &e->moa);
    if (!slot) {
        return NULL;
    }
    slot->state = e->state;
    slot->hold = e->hold;
    slot->mac = e->mac;
    if (e->state == MAT_STATE_REMOTE) {
        slot->nexthop = e->nexthop;
        mat_way_ref(a, e->nexthop);
    }
    slot->is_adopted = slot->seen = true;
    slot->sequence = 1;
    slot->until_us = a->now_us + MAT_AGENT_SETTLE_US;
    mat_slot_set_dock(a, slot, dock);
    return slot;
}

/* The last agent let hosts that hear of no moves go on to know the VMN by the
 * MoA that it had before. */
static void
adopt_former(struct mat_agent *a, struct mat_home *home,
             const struct mat_entry *e)
{
    struct mat_slot *slot = mat_home_slot(home, &e->former);

    if (mat_addr_is_zero(&e->former) || mat_home_state(home) != MAT_LIFE_LIVE
        || mat_slot_of_moa(a, &e->former) != slot) {
        return;
    }
    if (!slot) {
        slot = mat_slot_create(a, home, &e->former);
        if (!slot) {
            return;
        }
        slot->mac = e->mac;
        slot->is_adopted = true;
        slot->sequence = 1;
    }
    if (!slot->is_former) {
        mat_slot_retire(a, slot);
        mat_home_refresh(a, home);
    }
}

/* Takes over an entry that nobody has asked for yet. */
static bool
adopt(struct mat_agent *a, const struct mat_entry *e)
{
    struct mat_home *home = mat_home_get(a, e->zone, &e->hoa);
    struct mat_dock *dock = e->port[0] ? mat_dock_get(a, e->port) : NULL;
    bool is_adopted = home && adopt_slot(a, home, e, dock);

    if (dock) {
        mat_dock_ref(dock);
    }
    if (is_adopted) {
        if (is_of_this_host(a, e)) {
            adopt_stay(a, home, e, dock);
        }
        adopt_former(a, home, e);
        mat_home_refresh(a, home);
    }
    if (home) {
        mat_home_put(a, home);
    }
    if (dock) {
        mat_dock_unref(a, dock);
    }
    return is_adopted;
}

/* The disk may not have heard of the last step. */
static void
confirm(struct mat_agent *a, struct mat_home *home, const struct mat_entry *e)
{
    struct mat_stay *stay = home->stay;

    if (stay && stay->is_restored && mat_addr_equal(&stay->moa, &e->moa)) {
        stay->is_restored = false;
        if (e->state == MAT_STATE_DEPARTED && stay->state != MAT_LIFE_GONE) {
            adopt_stay(a, home, e, stay->dock);
            mat_home_refresh(a, home);
        }
    }
}

static void
item_entry(struct mat_agent *a, const struct mat_op *op)
{
    const struct mat_entry *e = &op->entry;
    struct mat_slot *slot = mat_slot_of_moa(a, &e->moa);
    struct mat_op remove = { .type = MAT_OP_ENTRY_REMOVE };

    if (slot && slot->home->key.zone == e->zone
        && mat_addr_equal(&slot->home->key.addr, &e->hoa)) {
        confirm(a, slot->home, e);
        slot = mat_slot_of_moa(a, &e->moa);
        if (slot && !a->is_settled) {
            adopt_former(a, slot->home, e);
        }
        if (slot) {
            slot->seen = is_slot_as(slot, e);
        }
    } else if (slot || a->is_settled || !adopt(a, e)) {
        remove.entry = (struct mat_entry) {
            .zone = e->zone, .hoa = e->hoa, .moa = e->moa, .plen = e->plen
        };
        mat_agent_add_extra(a, &remove, MAT_OP_ENTRY_REMOVE);
    }
}

/* An entry was used: by VMNs of this host, or by the VMN itself. */
static void
item_harvest(struct mat_agent *a, const struct mat_op *op)
{
    const struct mat_call call = {
        .kind = MAT_REC_ACCESSED, .now_us = a->now_us,
        .zone = op->entry.zone, .addr = op->entry.hoa
    };

    if (!op->entry.accessed) {
        return;
    }
    if (op->entry.state == MAT_STATE_LOCAL) {
        mat_learn_used(a->learn, a->now_us, op->entry.zone, &op->entry.hoa);
    } else if (mat_agent_has_gossip(a)) {
        mat_call_make(a->gossip, a->recorder, &call);
    }
}

void
mat_agent_dump_item(struct mat_agent *a, int64_t now_us,
                    enum mat_update_dump kind, const struct mat_op *op)
{
    a->now_us = now_us;
    switch (kind) {
    case MAT_UPDATE_DUMP_HARVEST:
        item_harvest(a, op);
        break;
    case MAT_UPDATE_DUMP_PORTS:
        item_port(a, op);
        break;
    case MAT_UPDATE_DUMP_NEXTHOPS:
        item_nexthop(a, op);
        break;
    case MAT_UPDATE_DUMP_ZONES:
        item_zone(a, op);
        break;
    case MAT_UPDATE_DUMP_POOLS:
        item_pool(a, op);
        break;
    case MAT_UPDATE_DUMP_ENTRIES:
        item_entry(a, op);
        break;
    }
}

/* Ends. */

static void
repair(struct mat_agent *a, const struct mat_op *op)
{
    mat_agent_count(a, MAT_AGENT_C_REPAIRS);
    mat_agent_emit(a, op);
}

static void
put_config(struct mat_agent *a)
{
    struct mat_zone_here *zone;
    struct mat_basin *basin;
    struct mat_dock *dock;
    struct mat_way *way;
    struct mat_op op;
    size_t cursor;

    for (cursor = 0; (dock = mat_index_next(&a->docks, &cursor)); ) {
        if (dock->is_put && !dock->seen) {
            mat_dock_op(dock, MAT_OP_PORT_PUT, &op);
            repair(a, &op);
        }
    }
    for (cursor = 0; (way = mat_index_next(&a->ways, &cursor)); ) {
        if (way->is_known && !way->seen) {
            mat_way_op(way, MAT_OP_NEXTHOP_PUT, &op);
            repair(a, &op);
        }
    }
    for (cursor = 0; (zone = mat_index_next(&a->zones, &cursor)); ) {
        if (!zone->seen) {
            op = (struct mat_op) {
                .type = MAT_OP_ZONE_PUT, .zone = zone->zone
            };
            repair(a, &op);
        }
    }
    for (cursor = 0; (basin = mat_index_next(&a->basins, &cursor)); ) {
        if (!basin->seen) {
            mat_basin_op(basin, MAT_OP_POOL_PUT, &op);
            repair(a, &op);
        }
    }
}

/* Has the mirror got what was too much when it was dumped? */
static bool
is_wanted_now(const struct mat_agent *a, const struct mat_op *op)
{
    const struct mat_slot *slot;

    switch ((int) op->type) {
    case MAT_OP_ENTRY_REMOVE:
        slot = mat_slot_of_moa(a, &op->entry.moa);
        return (slot && slot->home->key.zone == op->entry.zone
                && mat_addr_equal(&slot->home->key.addr, &op->entry.hoa));
    case MAT_OP_NEXTHOP_REMOVE:
        return mat_index_find(&a->ways, op->nexthop.id) != NULL;
    case MAT_OP_PORT_REMOVE:
        return mat_dock_find(a, op->port.name) != NULL;
    case MAT_OP_ZONE_REMOVE:
        return mat_agent_zone(a, op->zone.zone) != NULL;
    case MAT_OP_POOL_REMOVE:
        return mat_basin_find(a, &op->pool.prefix, op->pool.plen) != NULL;
    default:
        return true;
    }
}

static void
remove_extras(struct mat_agent *a, bool entries)
{
    for (size_t i = a->n_extras; i-- > 0; ) {
        const struct mat_op *op = &a->extras[i];
        bool is_entry = op->type == MAT_OP_ENTRY_REMOVE;

        if (is_entry == entries && (is_entry || a->is_settled)
            && !is_wanted_now(a, op)) {
            repair(a, op);
        }
    }
}

static void
compared(struct mat_agent *a)
{
    bool was_synced = a->is_synced;
    uint64_t before = a->counters[MAT_AGENT_C_REPAIRS];
    struct mat_home *home;
    size_t cursor = 0;

    a->is_dumping = false;
    a->is_synced = true;
    put_config(a);
    remove_extras(a, true);
    while ((home = mat_index_next(&a->homes, &cursor)) != NULL) {
        mat_home_put_unseen(a, home);
    }
    remove_extras(a, false);
    a->n_extras = 0;
    a->wants_ports = true;
    mat_agent_log(a, MAT_AGENT_INFO,
                  "the switch has been compared: %" PRIu64 " operations, "
                  "%zu entries", a->counters[MAT_AGENT_C_REPAIRS] - before,
                  a->slots.n);
    if (!was_synced) {
        mat_heap_set(&a->heap, &a->harvest,
                     a->now_us + MAT_AGENT_HARVEST_US);
    }
}

void
mat_agent_dump_end(struct mat_agent *a, int64_t now_us,
                   enum mat_update_dump kind)
{
    a->now_us = now_us;
    switch (kind) {
    case MAT_UPDATE_DUMP_PORTS:
        a->asked_ports = false;
        a->ports_asked_us = now_us;
        mat_agent_replay_pending(a);
        break;
    case MAT_UPDATE_DUMP_ENTRIES:
        if (a->is_dumping) {
            compared(a);
        }
        break;
    case MAT_UPDATE_DUMP_HARVEST:
        mat_heap_set(&a->heap, &a->harvest, now_us + MAT_AGENT_HARVEST_US);
        break;
    case MAT_UPDATE_DUMP_NEXTHOPS:
    case MAT_UPDATE_DUMP_ZONES:
    case MAT_UPDATE_DUMP_POOLS:
        break;
    }
}

/* Acknowledgements. */

void
mat_agent_acked(struct mat_agent *a, int64_t now_us, uint64_t sequence)
{
    a->now_us = now_us;
    if (sequence > a->acked && sequence <= a->sequence) {
        a->acked = sequence;
        mat_stay_acked(a);
    }
}

static bool
is_harmless(const struct mat_op *op, unsigned int reason)
{
    return ((op->type == MAT_OP_ENTRY_REMOVE || op->type == MAT_OP_PORT_REMOVE
             || op->type == MAT_OP_NEXTHOP_REMOVE
             || op->type == MAT_OP_ZONE_REMOVE
             || op->type == MAT_OP_POOL_REMOVE
             || op->type == MAT_OP_RELEASE)
            && reason == MAT_UPDATE_TABLE_ERRORS + MAT_TABLE_NOT_FOUND);
}

void
mat_agent_refused(struct mat_agent *a, int64_t now_us, uint64_t sequence,
                  const struct mat_op *op, unsigned int reason)
{
    a->now_us = now_us;
    mat_agent_count(a, MAT_AGENT_C_OPS_REFUSED);
    if (is_harmless(op, reason)) {
        return;
    }
    mat_agent_log(a, MAT_AGENT_WARN,
                  "the switch refuses operation %" PRIu64 " (type %d): %s",
                  sequence, (int) op->type, mat_update_strerror(reason));
    if (op->type != MAT_OP_INJECT) {
        mat_agent_resync_soon(a);
    }
}

/* After the start: what was adopted and has not been confirmed goes, and VMNs
 * may have MoAs of an uplink that the last agent used. */
void
mat_agent_settle(struct mat_agent *a)
{
    a->is_settled = true;
    mat_agent_follow_active(a);
    mat_way_sweep(a);
    mat_agent_resync(a);
}
