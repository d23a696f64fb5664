/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of the bridge, uplinks, and the zones that they are in. */
#include "mat-agent-impl.h"

#include <stdio.h>

enum { HASH_DOCK = 4 };

static uint64_t
dock_hash(const struct mat_agent *a, const char *name)
{
    return mat_agent_hash(a, HASH_DOCK, name,
                          strnlen(name, MAT_PORT_NAME_SIZE));
}

struct mat_dock *
mat_dock_find(const struct mat_agent *a, const char *name)
{
    struct mat_dock *dock = mat_index_find(&a->docks, dock_hash(a, name));

    return dock && !strcmp(dock->name, name) ? dock : NULL;
}

struct mat_dock *
mat_dock_get(struct mat_agent *a, const char *name)
{
    uint64_t hash = dock_hash(a, name);
    struct mat_dock *dock = mat_index_find(&a->docks, hash);

    if (dock) {
        return mat_dock_find(a, name);
    } else if (a->docks.n >= MAT_TABLE_PORTS_MAX || !name[0]
               || strnlen(name, MAT_PORT_NAME_SIZE) == MAT_PORT_NAME_SIZE) {
        mat_agent_count(a, MAT_AGENT_C_LIMITS);
        return NULL;
    }
    dock = mat_xcalloc(1, sizeof *dock);
    snprintf(dock->name, sizeof dock->name, "%s", name);
    dock->odp_port = MAT_TABLE_NO_PORT;
    mat_index_insert(&a->docks, hash, dock);
    return dock;
}

void
mat_dock_ref(struct mat_dock *dock)
{
    dock->n_refs++;
}

void
mat_dock_op(const struct mat_dock *dock, enum mat_update_op_type type,
            struct mat_op *op)
{
    *op = (struct mat_op) { .type = type };
    memcpy(op->port.name, dock->name, sizeof op->port.name);
    if (type == MAT_OP_PORT_PUT) {
        op->port.role = dock->is_uplink ? MAT_PORT_UPLINK : MAT_PORT_VM;
        op->port.mac = dock->uplink_mac;
        op->port.mtu = dock->mtu;
    }
    op->port.odp_port = MAT_TABLE_NO_PORT;
}

void
mat_dock_put(struct mat_agent *a, struct mat_dock *dock)
{
    struct mat_op op;

    if (dock->is_given || dock->n_refs) {
        return;
    }
    if (dock->is_put) {
        dock->is_put = false;
        mat_dock_op(dock, MAT_OP_PORT_REMOVE, &op);
        mat_agent_emit(a, &op);
    }
    if (dock->odp_port == MAT_TABLE_NO_PORT) {
        mat_index_remove(&a->docks, dock_hash(a, dock->name));
        free(dock->kept);
        free(dock);
    }
}

void
mat_dock_unref(struct mat_agent *a, struct mat_dock *dock)
{
    MAT_ASSERT(dock->n_refs);
    dock->n_refs--;
    mat_dock_put(a, dock);
}

void
mat_dock_set_odp(struct mat_agent *a, struct mat_dock *dock, uint32_t odp)
{
    struct mat_dock *other;

    if (dock->odp_port == odp) {
        return;
    }
    if (dock->odp_port != MAT_TABLE_NO_PORT) {
        mat_index_remove(&a->odp_docks, dock->odp_port);
    }
    dock->odp_port = odp;
    if (odp != MAT_TABLE_NO_PORT) {
        other = mat_index_remove(&a->odp_docks, odp);
        if (other) {
            other->odp_port = MAT_TABLE_NO_PORT;
        }
        mat_index_insert(&a->odp_docks, odp, dock);
    }
}

void
mat_agent_forget_odp(struct mat_agent *a)
{
    struct mat_dock *dock, *unused;
    size_t cursor;

    mat_index_destroy(&a->odp_docks);
    a->odp_docks = (struct mat_index) { .slots = NULL };
    for (cursor = 0; (dock = mat_index_next(&a->docks, &cursor)); ) {
        dock->odp_port = MAT_TABLE_NO_PORT;
    }
    do {
        unused = NULL;
        for (cursor = 0; !unused
             && (dock = mat_index_next(&a->docks, &cursor)) != NULL; ) {
            unused = !dock->is_given && !dock->n_refs ? dock : NULL;
        }
        if (unused) {
            mat_dock_put(a, unused);
        }
    } while (unused);
}

static void
refresh_stays(struct mat_agent *a, struct mat_dock *dock)
{
    struct mat_stay *stay, *next;

    for (stay = dock->stays; stay; stay = next) {
        next = stay->next;
        mat_home_refresh(a, stay->home);
    }
}

/* A port whose link tells has come to life: so have the guests that are
 * expected there. */
static void
guests_start(struct mat_agent *a, struct mat_dock *dock)
{
    struct mat_stay *stay, *next;

    for (stay = dock->stays; stay; stay = next) {
        next = stay->next;
        if (stay->state == MAT_LIFE_PREPARED && !stay->is_asked
            && mat_home_may_claim(stay->home)) {
            mat_home_step(a, stay->home, MAT_LIFE_STARTS, dock, "link");
        }
    }
}

void
mat_dock_set_dead(struct mat_agent *a, struct mat_dock *dock, bool is_dead)
{
    bool was_dead = dock->is_dead;

    dock->is_dead = is_dead;
    if (was_dead == is_dead || !dock->is_given || dock->is_uplink
        || !a->is_ready) {
        return;
    }
    mat_learn_set_live(a->learn, a->now_us, dock->name, !is_dead);
    if (!is_dead && dock->link_tells) {
        guests_start(a, dock);
    }
    refresh_stays(a, dock);
}

/* Zones. */

struct mat_zone_here *
mat_agent_zone(const struct mat_agent *a, uint32_t zone)
{
    return mat_index_find(&a->zones, zone);
}

static void
fill_zone(struct mat_agent *a, struct mat_zone_here *here, uint32_t zone)
{
    mat_agent_config_zone(&a->config, zone, &here->zone);
    here->zone.zone = zone;
    if (here->zone.outside) {
        mat_agent_want_outside(a, true);
    }
    if (a->outside && a->outside->is_known) {
        here->zone.outside_nexthop = a->outside->id;
    } else {
        here->zone.outside = false;     /* Until there is a way. */
    }
    if (!here->zone.outside) {
        here->zone.outside_nexthop = 0;
    }
}

static void
put_zone(struct mat_agent *a, struct mat_zone_here *here)
{
    const struct mat_op op = {
        .type = MAT_OP_ZONE_PUT, .zone = here->zone
    };

    here->seen = false;
    mat_agent_emit(a, &op);
    mat_learn_put_zone(a->learn, a->now_us, &here->zone);
}

static void
enter_zone(struct mat_agent *a, struct mat_dock *dock)
{
    uint32_t zone = dock->config.zone;
    struct mat_zone_here *here = mat_agent_zone(a, zone);

    if (dock->in_zone) {
        return;
    }
    dock->in_zone = true;
    if (!here) {
        here = mat_xcalloc(1, sizeof *here);
        fill_zone(a, here, zone);
        mat_index_insert(&a->zones, zone, here);
        put_zone(a, here);
        mat_agent_tell_zone(a, zone, true);
    }
    here->n_docks++;
}

static void
leave_zone(struct mat_agent *a, struct mat_dock *dock, uint32_t zone)
{
    struct mat_zone_here *here = mat_agent_zone(a, zone);
    const struct mat_op op = {
        .type = MAT_OP_ZONE_REMOVE, .zone = { .zone = zone }
    };

    if (!dock->in_zone) {
        return;
    }
    dock->in_zone = false;
    if (here && !--here->n_docks) {
        mat_index_remove(&a->zones, zone);
        free(here);
        mat_agent_emit(a, &op);
        mat_learn_remove_zone(a->learn, zone);
        mat_agent_tell_zone(a, zone, false);
    }
}

/* The configuration, or the way outside, has changed. */
void
mat_agent_configure_zones(struct mat_agent *a)
{
    struct mat_zone_here *here;
    size_t cursor = 0;

    while ((here = mat_index_next(&a->zones, &cursor)) != NULL) {
        struct mat_zone old = here->zone;

        fill_zone(a, here, old.zone);
        if (memcmp(&old, &here->zone, sizeof old)) {
            put_zone(a, here);
        }
    }
}

/* Coming and going. */

static void
tell_learn(struct mat_agent *a, const struct mat_dock *dock)
{
    struct mat_learn_port port = {
        .zone = dock->config.zone, .live = !dock->is_dead,
        .learns = a->config.learn,
        .hoas_max = (uint16_t) (a->config.hoas_max < MAT_LEARN_HOAS_MAX
                                ? a->config.hoas_max : MAT_LEARN_HOAS_MAX),
        .macs_max = (uint16_t) (a->config.macs_max < MAT_LEARN_MACS_MAX
                                ? a->config.macs_max : MAT_LEARN_MACS_MAX),
        .n_hoas = (uint8_t) dock->config.n_hoas
    };

    memcpy(port.name, dock->name, sizeof port.name);
    memcpy(port.hoas, dock->config.hoas,
           dock->config.n_hoas * sizeof *port.hoas);
    if (dock->config.has_mac) {
        port.n_macs = 1;
        port.macs[0] = dock->config.mac;
    }
    if (!mat_learn_put_port(a->learn, a->now_us, &port)) {
        mat_agent_count(a, MAT_AGENT_C_LIMITS);
    }
}

/* The port is there, as ever: the configuration may have changed. */
void
mat_dock_configure(struct mat_agent *a, struct mat_dock *dock)
{
    if (!dock->is_uplink) {
        enter_zone(a, dock);
        tell_learn(a, dock);
    }
}

/* The port is there, or has changed. */
void
mat_dock_start(struct mat_agent *a, struct mat_dock *dock)
{
    struct mat_op op;

    mat_dock_configure(a, dock);
    mat_dock_op(dock, MAT_OP_PORT_PUT, &op);
    mat_agent_emit(a, &op);
    dock->is_put = true;
    dock->seen = false;
    a->wants_ports |= dock->odp_port == MAT_TABLE_NO_PORT;
    if (!dock->is_uplink && dock->config.has_mac) {
        mat_agent_expect(a, dock, dock->config.zone, &dock->config.mac);
    }
    refresh_stays(a, dock);
    if (dock->kept) {
        mat_agent_replay(a, dock);
    }
}

static void
port_of_stay_went(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_home *home = stay->home;

    switch (stay->state) {
    case MAT_LIFE_LIVE:
        mat_home_step(a, home, MAT_LIFE_STOPS, NULL, "port removed");
        break;
    case MAT_LIFE_PREPARED:
        mat_home_step(a, home, MAT_LIFE_FAILED, NULL, "port removed");
        break;
    case MAT_LIFE_LEAVING:
        stay->hold_until_us = 0;        /* It says nothing any more. */
        mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_GRACE_US);
        mat_agent_call(a, MAT_REC_PORT, &home->key, NULL, NULL, false);
        mat_home_refresh(a, home);
        break;
    case MAT_LIFE_GONE:
        mat_agent_call(a, MAT_REC_PORT, &home->key, NULL, NULL, false);
        mat_stay_set_dock(a, stay, NULL);
        break;
    case MAT_LIFE_PARKED:
        mat_stay_set_dock(a, stay, NULL);
        break;
    case MAT_LIFE_ABSENT:
        break;
    }
}

/* The port is not there any more. */
void
mat_agent_drop_dock(struct mat_agent *a, struct mat_dock *dock)
{
    struct mat_stay *stay, *next;

    dock->is_given = false;
    if (!a->is_ready) {
        mat_dock_put(a, dock);
        return;
    }
    mat_dock_ref(dock);
    for (stay = dock->stays; stay; stay = next) {
        next = stay->next;
        port_of_stay_went(a, stay);
    }
    if (!dock->is_uplink) {
        mat_learn_remove_port(a->learn, a->now_us, dock->name);
        leave_zone(a, dock, dock->config.zone);
    }
    mat_dock_unref(a, dock);
}

static bool
is_same_port(const struct mat_dock *dock,
             const struct mat_agent_port_config *config, uint16_t mtu)
{
    const struct mat_agent_port_config *old = &dock->config;

    return (old->zone == config->zone && old->has_mac == config->has_mac
            && (!config->has_mac || mat_mac_equal(&old->mac, &config->mac))
            && old->n_hoas == config->n_hoas
            && !memcmp(old->hoas, config->hoas,
                       config->n_hoas * sizeof *config->hoas)
            && dock->mtu == mtu);
}

void
mat_agent_port(struct mat_agent *a, int64_t now_us, const char *name,
               const struct mat_agent_port_config *config, uint16_t mtu,
               bool link_tells)
{
    struct mat_dock *dock = mat_dock_find(a, name);
    bool was_given = dock && dock->is_given && !dock->is_uplink;

    a->now_us = now_us;
    if (!config->enabled || config->n_hoas > MAT_HOA_PER_VMN_MAX) {
        mat_agent_port_removed(a, now_us, name);
        return;
    }
    if (was_given && is_same_port(dock, config, mtu)) {
        dock->config = *config;
        dock->link_tells = link_tells;
        return;
    }
    if (was_given && (dock->config.zone != config->zone
                      || (dock->config.has_mac && config->has_mac
                          && !mat_mac_equal(&dock->config.mac,
                                            &config->mac)))) {
        mat_agent_drop_dock(a, dock);   /* Another guest. */
    }
    dock = mat_dock_get(a, name);
    if (!dock) {
        return;
    }
    dock->config = *config;
    dock->mtu = mtu;
    dock->link_tells = link_tells;
    dock->is_uplink = false;
    dock->is_given = true;
    if (!was_given && link_tells && dock->odp_port != MAT_TABLE_NO_PORT) {
        dock->is_dead = !dock->link_came;       /* It was attached before. */
    }
    if (a->is_ready) {
        mat_dock_start(a, dock);
    }
}

void
mat_agent_port_removed(struct mat_agent *a, int64_t now_us, const char *name)
{
    struct mat_dock *dock = mat_dock_find(a, name);

    a->now_us = now_us;
    if (dock && dock->is_given && !dock->is_uplink) {
        mat_agent_drop_dock(a, dock);
    }
}

/* Uplinks. */

size_t
mat_agent_find_uplink(const struct mat_agent *a, const char *name)
{
    size_t i = 0;

    while (i < a->n_uplinks && strcmp(a->uplinks[i].name, name)) {
        i++;
    }
    return i;
}

static bool
has_other_uplink(const struct mat_agent *a, const char *name)
{
    for (size_t i = 0; i < a->n_uplinks; i++) {
        if (a->uplinks[i].up && strcmp(a->uplinks[i].name, name)) {
            return true;
        }
    }
    return false;
}

void
mat_agent_uplink(struct mat_agent *a, int64_t now_us,
                 const struct mat_moa_uplink *uplink, uint16_t mtu)
{
    size_t i = mat_agent_find_uplink(a, uplink->name);
    struct mat_dock *dock;
    bool was_up;

    a->now_us = now_us;
    dock = (i < MAT_MOA_UPLINKS_MAX ? mat_dock_get(a, uplink->name) : NULL);
    if (!dock) {
        return;
    }
    if (dock->is_given && !dock->is_uplink) {
        mat_agent_drop_dock(a, dock);
        dock = mat_dock_get(a, uplink->name);
    }
    was_up = i < a->n_uplinks && a->uplinks[i].up;
    a->n_uplinks += i == a->n_uplinks;
    a->uplinks[i] = *uplink;
    dock->is_given = dock->is_uplink = true;
    dock->uplink_mac = uplink->mac;
    dock->mtu = mtu;
    if (a->is_ready) {
        mat_dock_start(a, dock);
        mat_agent_configure_moa(a);
        if (was_up && !uplink->up && has_other_uplink(a, uplink->name)) {
            mat_agent_renumber_all(a, uplink->name, true);
        } else if (!was_up && uplink->up && !strcmp(a->active, uplink->name)) {
            mat_agent_follow_active(a);
        }
    }
}

void
mat_agent_uplink_removed(struct mat_agent *a, int64_t now_us,
                         const char *name)
{
    size_t i = mat_agent_find_uplink(a, name);
    struct mat_dock *dock = mat_dock_find(a, name);

    a->now_us = now_us;
    if (i < a->n_uplinks) {
        a->uplinks[i] = a->uplinks[--a->n_uplinks];
    }
    if (dock && dock->is_uplink && dock->is_given) {
        mat_agent_drop_dock(a, dock);
    }
    if (a->is_ready) {
        mat_agent_configure_moa(a);
    }
}
