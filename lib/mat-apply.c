/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-apply.h"

#include <stdlib.h>

/* What an operation has replaced. */
struct undo {
    enum mat_update_op_type type;
    bool had_old;                   /* 'old' means something. */
    bool had_live;
    union {
        struct {
            struct mat_entry new;
            struct mat_entry old;   /* The one with the same MoA. */
            struct mat_entry live;  /* The live one, if that was another. */
        } entry;
        struct mat_port port;
        struct mat_nexthop nexthop;
        struct mat_zone zone;
        struct mat_pool pool;
    };
};

struct mat_apply {
    struct mat_table *table;
    struct undo *log;
    size_t capacity;
    uint64_t n_stuck;
    mat_apply_waits *waits;
    void *aux;
    unsigned int n_kept;
};

static enum mat_table_error apply(struct mat_apply *, const struct mat_op *,
                                  struct undo *);
static enum mat_table_error revert(struct mat_table *, const struct undo *);
static unsigned int check_first(const struct mat_table *,
                                const struct mat_op *);

struct mat_apply *
mat_apply_create(struct mat_table *table, mat_apply_waits *waits, void *aux)
{
    struct mat_apply *a = calloc(1, sizeof *a);

    if (a) {
        a->table = table;
        a->waits = waits;
        a->aux = aux;
    }
    return a;
}

void
mat_apply_destroy(struct mat_apply *a)
{
    if (a) {
        free(a->log);
        free(a);
    }
}

uint64_t
mat_apply_n_stuck(const struct mat_apply *a)
{
    return a->n_stuck;
}

unsigned int
mat_apply_n_kept(const struct mat_apply *a)
{
    return a->n_kept;
}

static bool
reserve(struct mat_apply *a, size_t n)
{
    struct undo *log;

    if (n <= a->capacity) {
        return true;
    }
    log = realloc(a->log, n * sizeof *log);
    if (!log) {
        return false;
    }
    a->log = log;
    a->capacity = n;
    return true;
}

unsigned int
mat_apply_batch(struct mat_apply *a, struct mat_update_reader ops,
                uint64_t *bad)
{
    struct mat_update_reader second = ops;
    enum mat_table_error error = MAT_TABLE_OK;
    struct mat_op op;
    size_t n = 0;

    a->n_kept = 0;
    for (*bad = 0; mat_update_next(&ops, &op); ++*bad) {
        unsigned int reason = check_first(a->table, &op);

        if (reason != MAT_UPDATE_GOOD) {
            return reason;
        }
    }
    *bad = MAT_UPDATE_NO_INDEX;
    if (!reserve(a, second.left)) {
        return MAT_UPDATE_TABLE_ERRORS + MAT_TABLE_NO_MEMORY;
    }

    while (!error && mat_update_next(&second, &op)) {
        error = apply(a, &op, &a->log[n++]);
    }
    if (!error) {
        return MAT_UPDATE_GOOD;
    }
    *bad = --n;
    while (n-- > 0) {
        a->n_stuck += revert(a->table, &a->log[n]) != MAT_TABLE_OK;
    }
    return (unsigned int) MAT_UPDATE_TABLE_ERRORS + error;
}

unsigned int
mat_apply_op(struct mat_apply *a, const struct mat_op *op)
{
    unsigned int reason = check_first(a->table, op);
    enum mat_table_error error;
    struct undo undo;

    if (reason != MAT_UPDATE_GOOD) {
        return reason;
    }
    a->n_kept = 0;
    error = apply(a, op, &undo);
    return error ? (unsigned int) MAT_UPDATE_TABLE_ERRORS + error
                 : (unsigned int) MAT_UPDATE_GOOD;
}

/* Finding what is there. */

static bool
get_port(const struct mat_table *table, const char *name,
         struct mat_port *port)
{
    uint64_t cursor = 0;

    while (mat_table_next_port(table, &cursor, port)) {
        if (!strcmp(port->name, name)) {
            return true;
        }
    }
    return false;
}

static bool
get_nexthop(const struct mat_table *table, uint16_t id,
            struct mat_nexthop *nexthop)
{
    uint64_t cursor = 0;

    while (mat_table_next_nexthop(table, &cursor, nexthop)) {
        if (nexthop->id == id) {
            return true;
        }
    }
    return false;
}

static bool
get_zone(const struct mat_table *table, uint32_t number, struct mat_zone *zone)
{
    uint64_t cursor = 0;

    while (mat_table_next_zone(table, &cursor, zone)) {
        if (zone->zone == number) {
            return true;
        }
    }
    return false;
}

static bool
get_pool(const struct mat_table *table, const struct mat_pool *like,
         struct mat_pool *pool)
{
    uint64_t cursor = 0;

    while (mat_table_next_pool(table, &cursor, pool)) {
        if (pool->plen == like->plen
            && mat_addr_in_prefix(&like->prefix, &pool->prefix,
                                  pool->plen)) {
            return true;
        }
    }
    return false;
}

static bool
same_entry(const struct mat_entry *a, const struct mat_entry *b)
{
    return a->zone == b->zone && mat_addr_equal(&a->hoa, &b->hoa)
           && mat_addr_equal(&a->moa, &b->moa);
}

/* Puts the MoA of the live entry where 'e' has none. */
static bool
complete_moa(const struct mat_table *table, struct mat_entry *e)
{
    struct mat_entry live;

    if (mat_addr_is_zero(&e->moa)) {
        if (!mat_table_get_live(table, e->zone, &e->hoa, &live)) {
            return false;
        }
        e->moa = live.moa;
    }
    return true;
}

/* The first pass. */

static unsigned int
check_entry(const struct mat_table *table, const struct mat_entry *entry)
{
    enum mat_table_error error = mat_table_check(table, entry);

    switch (error) {
    case MAT_TABLE_BAD_ADDRESS:
    case MAT_TABLE_BAD_FAMILY:
    case MAT_TABLE_BAD_PREFIX:
    case MAT_TABLE_BAD_ZONE:
    case MAT_TABLE_BAD_STATE:
    case MAT_TABLE_BAD_MAC:
        return (unsigned int) MAT_UPDATE_TABLE_ERRORS + error;
    case MAT_TABLE_BAD_PORT:
    case MAT_TABLE_BAD_NEXTHOP:
    case MAT_TABLE_BAD_MTU:
    case MAT_TABLE_MOA_TAKEN:
    case MAT_TABLE_NOT_FOUND:
    case MAT_TABLE_IN_USE:
    case MAT_TABLE_FULL:
    case MAT_TABLE_NO_MEMORY:
    case MAT_TABLE_OK:
    case MAT_TABLE_N_ERRORS:
        break;                      /* The second pass will know. */
    }
    return MAT_UPDATE_GOOD;
}

static unsigned int
check_first(const struct mat_table *table, const struct mat_op *op)
{
    struct mat_port port;

    if (op->type == MAT_OP_ENTRY_PUT) {
        return check_entry(table, &op->entry);
    }
    if (op->type == MAT_OP_INJECT
        && (!get_port(table, op->inject.port, &port)
            || port.odp_port == MAT_TABLE_NO_PORT)) {
        return MAT_UPDATE_NO_PORT;
    }
    return MAT_UPDATE_GOOD;
}

/* The second pass: doing and undoing, in pairs. */

/* Lets 'e' keep its hold if packets wait for it. */
static void
keep_hold(struct mat_apply *a, struct mat_entry *e)
{
    if (!e->hold && a->waits(a->aux, e)) {
        e->hold = true;
        a->n_kept++;
    }
}

static enum mat_table_error
apply_put(struct mat_apply *a, const struct mat_op *op, struct undo *u)
{
    struct mat_table *table = a->table;
    struct mat_entry *e = &u->entry.new;

    *e = op->entry;
    if (e->port[0]) {
        keep_hold(a, e);
    }
    u->had_old = mat_table_get_by_moa(table, &e->moa, &u->entry.old);
    u->had_live = mat_table_get_live(table, e->zone, &e->hoa, &u->entry.live)
                  && !mat_addr_equal(&u->entry.live.moa, &e->moa);
    return mat_table_put(table, e);
}

/* First makes the former live entry live again, which demotes the new one,
 * then replaces or removes the new one. */
static enum mat_table_error
revert_put(struct mat_table *table, const struct undo *u)
{
    const struct mat_entry *e = &u->entry.new;
    enum mat_table_error error = MAT_TABLE_OK;

    if (u->had_live) {
        error = mat_table_put(table, &u->entry.live);
    }
    if (!error) {
        error = u->had_old ? mat_table_put(table, &u->entry.old)
                : mat_table_remove(table, e->zone, &e->hoa, e->plen, &e->moa);
    }
    return error;
}

static enum mat_table_error
apply_remove(struct mat_table *table, const struct mat_op *op, struct undo *u)
{
    struct mat_entry e = op->entry;

    if (!complete_moa(table, &e)) {
        return MAT_TABLE_NOT_FOUND;
    }
    u->had_old = mat_table_get_by_moa(table, &e.moa, &u->entry.old);
    return mat_table_remove(table, e.zone, &e.hoa, e.plen, &e.moa);
}

static enum mat_table_error
apply_hold(struct mat_apply *a, const struct mat_op *op, struct undo *u)
{
    struct mat_table *table = a->table;
    struct mat_entry e = op->entry;

    if (!complete_moa(table, &e)
        || !mat_table_get_by_moa(table, &e.moa, &u->entry.old)
        || !same_entry(&u->entry.old, &e)) {
        return MAT_TABLE_NOT_FOUND;
    }
    u->had_old = true;
    keep_hold(a, &e);
    return mat_table_set_hold(table, e.zone, &e.hoa, &e.moa, e.hold);
}

static enum mat_table_error
revert_hold(struct mat_table *table, const struct undo *u)
{
    const struct mat_entry *e = &u->entry.old;

    return mat_table_set_hold(table, e->zone, &e->hoa, &e->moa, e->hold);
}

static enum mat_table_error
apply_port(struct mat_table *table, const struct mat_op *op, struct undo *u)
{
    u->had_old = get_port(table, op->port.name, &u->port) && u->port.role;
    if (op->type == MAT_OP_PORT_REMOVE) {
        return mat_table_remove_port(table, op->port.name);
    }
    if (!u->had_old) {
        u->port = op->port;
    }
    return mat_table_put_port(table, &op->port);
}

static enum mat_table_error
apply_nexthop(struct mat_table *table, const struct mat_op *op, struct undo *u)
{
    u->had_old = get_nexthop(table, op->nexthop.id, &u->nexthop);
    if (op->type == MAT_OP_NEXTHOP_REMOVE) {
        return mat_table_remove_nexthop(table, op->nexthop.id);
    }
    if (!u->had_old) {
        u->nexthop = op->nexthop;
    }
    return mat_table_put_nexthop(table, &op->nexthop);
}

static enum mat_table_error
apply_zone(struct mat_table *table, const struct mat_op *op, struct undo *u)
{
    u->had_old = get_zone(table, op->zone.zone, &u->zone);
    if (op->type == MAT_OP_ZONE_REMOVE) {
        return mat_table_remove_zone(table, op->zone.zone);
    }
    if (!u->had_old) {
        u->zone = op->zone;
    }
    return mat_table_put_zone(table, &op->zone);
}

static enum mat_table_error
apply_pool(struct mat_table *table, const struct mat_op *op, struct undo *u)
{
    u->had_old = get_pool(table, &op->pool, &u->pool);
    if (op->type == MAT_OP_POOL_REMOVE) {
        return mat_table_remove_pool(table, &op->pool.prefix, op->pool.plen);
    }
    if (!u->had_old) {
        u->pool = op->pool;
    }
    return mat_table_put_pool(table, &op->pool);
}

static enum mat_table_error
apply(struct mat_apply *a, const struct mat_op *op, struct undo *u)
{
    struct mat_table *table = a->table;

    u->type = op->type;
    switch (op->type) {
    case MAT_OP_ENTRY_PUT:
        return apply_put(a, op, u);
    case MAT_OP_ENTRY_REMOVE:
        return apply_remove(table, op, u);
    case MAT_OP_HOLD:
        return apply_hold(a, op, u);
    case MAT_OP_PORT_PUT:
    case MAT_OP_PORT_REMOVE:
        return apply_port(table, op, u);
    case MAT_OP_NEXTHOP_PUT:
    case MAT_OP_NEXTHOP_REMOVE:
        return apply_nexthop(table, op, u);
    case MAT_OP_ZONE_PUT:
    case MAT_OP_ZONE_REMOVE:
        return apply_zone(table, op, u);
    case MAT_OP_POOL_PUT:
    case MAT_OP_POOL_REMOVE:
        return apply_pool(table, op, u);
    case MAT_OP_RELEASE:
    case MAT_OP_DISCARD:
    case MAT_OP_INJECT:
    case MAT_OP_NUMBER:
    case MAT_OP_TEXT:
    case MAT_OP_END:
        break;
    }
    return MAT_TABLE_OK;
}

static enum mat_table_error
revert(struct mat_table *table, const struct undo *u)
{
    switch (u->type) {
    case MAT_OP_ENTRY_PUT:
        return revert_put(table, u);
    case MAT_OP_ENTRY_REMOVE:
        return mat_table_put(table, &u->entry.old);
    case MAT_OP_HOLD:
        return revert_hold(table, u);
    case MAT_OP_PORT_PUT:
    case MAT_OP_PORT_REMOVE:
        return u->had_old ? mat_table_put_port(table, &u->port)
                          : mat_table_remove_port(table, u->port.name);
    case MAT_OP_NEXTHOP_PUT:
    case MAT_OP_NEXTHOP_REMOVE:
        return u->had_old ? mat_table_put_nexthop(table, &u->nexthop)
                          : mat_table_remove_nexthop(table, u->nexthop.id);
    case MAT_OP_ZONE_PUT:
    case MAT_OP_ZONE_REMOVE:
        return u->had_old ? mat_table_put_zone(table, &u->zone)
                          : mat_table_remove_zone(table, u->zone.zone);
    case MAT_OP_POOL_PUT:
    case MAT_OP_POOL_REMOVE:
        return u->had_old ? mat_table_put_pool(table, &u->pool)
                          : mat_table_remove_pool(table, &u->pool.prefix,
                                                  u->pool.plen);
    case MAT_OP_RELEASE:
    case MAT_OP_DISCARD:
    case MAT_OP_INJECT:
    case MAT_OP_NUMBER:
    case MAT_OP_TEXT:
    case MAT_OP_END:
        break;
    }
    return MAT_TABLE_OK;
}
