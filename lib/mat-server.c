/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-server.h"

#include <stdlib.h>

#include "mat-apply.h"

enum {
    ITEM_MAX = 512              /* No item of a dump is larger. */
};

struct mat_server_counters {
    uint64_t n_messages;
    uint64_t n_batches;
    uint64_t n_operations;      /* In batches that were applied. */
    uint64_t n_refused;
};

struct mat_server {
    struct mat_table *table;
    struct mat_apply *apply;
    struct mat_server_hooks hooks;
    uint64_t instance;
    struct mat_server_counters counters;
};

struct request {
    struct mat_update_header header;
    struct mat_update_reader ops;
    void *client;
};

static size_t reply_error(void *buffer, uint32_t id, unsigned int reason,
                          uint64_t bad);
static size_t reply_ok(void *buffer, uint32_t id, uint64_t cursor);

static size_t handle_batch(struct mat_server *, const struct request *,
                           void *buffer);
static size_t handle_hello(struct mat_server *, const struct request *,
                           void *buffer);
static size_t handle_dump(struct mat_server *, const struct request *,
                          void *buffer);
static size_t handle_stats(struct mat_server *, const struct request *,
                           void *buffer);
static void follow_up(struct mat_server *, const struct mat_op *,
                      bool some_kept);
static bool is_overtaken(struct mat_server *, const struct mat_op *,
                         struct mat_update_reader rest);

struct mat_server *
mat_server_create(struct mat_table *table,
                  const struct mat_server_hooks *hooks, uint64_t instance)
{
    struct mat_server *s = calloc(1, sizeof *s);

    if (s) {
        s->table = table;
        s->apply = mat_apply_create(table, hooks->waits, hooks->aux);
        s->hooks = *hooks;
        s->instance = instance;
        if (!s->apply) {
            free(s);
            s = NULL;
        }
    }
    return s;
}

void
mat_server_destroy(struct mat_server *s)
{
    if (s) {
        mat_apply_destroy(s->apply);
        free(s);
    }
}

static void
lock(struct mat_server *s)
{
    s->hooks.lock(s->hooks.aux);
}

/* Waits for the readers of what was changed. */
static void
quiesce_and_unlock(struct mat_server *s)
{
    mat_table_quiesce(s->table);
    s->hooks.unlock(s->hooks.aux);
}

/* Handles a request that is well formed.  Returns the size of the reply. */
static size_t
dispatch(struct mat_server *s, const struct request *r, void *buffer,
         bool *subscribed)
{
    enum mat_update_reason reason;
    uint64_t size = 0;

    switch (r->header.type) {
    case MAT_UPDATE_HELLO:
        return handle_hello(s, r, buffer);
    case MAT_UPDATE_BATCH:
        return handle_batch(s, r, buffer);
    case MAT_UPDATE_FLUSH:
        mat_server_flush(s);
        break;
    case MAT_UPDATE_BARRIER:
        lock(s);
        quiesce_and_unlock(s);
        break;
    case MAT_UPDATE_DUMP:
        return handle_dump(s, r, buffer);
    case MAT_UPDATE_STATS:
        return handle_stats(s, r, buffer);
    case MAT_UPDATE_STATS_CLEAR:
        s->hooks.clear_counters(s->hooks.aux);
        break;
    case MAT_UPDATE_SUBSCRIBE:
        reason = s->hooks.subscribe(s->hooks.aux, r->client, &size);
        *subscribed = reason == MAT_UPDATE_GOOD;
        if (!*subscribed) {
            return reply_error(buffer, r->header.id, reason,
                               MAT_UPDATE_NO_INDEX);
        }
        break;
    case MAT_UPDATE_OK:
    case MAT_UPDATE_ERROR:
    case MAT_UPDATE_ITEMS:
        return reply_error(buffer, r->header.id, MAT_UPDATE_BAD_TYPE,
                           MAT_UPDATE_NO_INDEX);
    }
    return reply_ok(buffer, r->header.id, size);
}

struct mat_server_reply
mat_server_handle(struct mat_server *s, void *client, const void *message,
                  size_t size, void *buffer)
{
    struct mat_server_reply reply = { 0, false };
    struct request r = { .client = client };
    enum mat_update_reason reason;
    uint64_t bad;

    s->counters.n_messages++;
    reason = mat_update_open(&r.ops, &r.header, message, size, &bad);
    if (reason != MAT_UPDATE_GOOD) {
        s->counters.n_refused++;
        reply.size = reply_error(buffer, r.header.id, reason, bad);
    } else {
        reply.size = dispatch(s, &r, buffer, &reply.subscribed);
    }
    return reply;
}

unsigned int
mat_server_do(struct mat_server *s, const struct mat_op *op)
{
    unsigned int reason;
    bool kept;

    lock(s);
    reason = mat_apply_op(s->apply, op);
    kept = mat_apply_n_kept(s->apply);
    quiesce_and_unlock(s);
    if (reason == MAT_UPDATE_GOOD) {
        s->counters.n_operations++;
        follow_up(s, op, kept);
    } else {
        s->counters.n_refused++;
    }
    return reason;
}

void
mat_server_flush(struct mat_server *s)
{
    bool more;

    do {
        lock(s);
        more = mat_table_flush(s->table);
        quiesce_and_unlock(s);
    } while (more);
}

/* Counters. */

static const struct {
    const char *name;
    size_t offset;
} counter_table[] = {
    { "update.messages", offsetof(struct mat_server_counters, n_messages) },
    { "update.batches", offsetof(struct mat_server_counters, n_batches) },
    { "update.operations",
      offsetof(struct mat_server_counters, n_operations) },
    { "update.refused", offsetof(struct mat_server_counters, n_refused) },
};

bool
mat_server_counter(const struct mat_server *s, unsigned int i,
                   char name[static MAT_PORT_NAME_SIZE], uint64_t *value)
{
    if (i >= sizeof counter_table / sizeof *counter_table) {
        return false;
    }
    memcpy(name, counter_table[i].name, strlen(counter_table[i].name) + 1);
    memcpy(value, (const char *) &s->counters + counter_table[i].offset,
           sizeof *value);
    return true;
}

void
mat_server_clear_counters(struct mat_server *s)
{
    memset(&s->counters, 0, sizeof s->counters);
}

/* Replies. */

static size_t
reply_ok(void *buffer, uint32_t id, uint64_t cursor)
{
    struct mat_update_header header = {
        .type = MAT_UPDATE_OK, .id = id, .cursor = cursor
    };
    struct mat_update_writer w;

    mat_update_begin(&w, buffer, MAT_UPDATE_MESSAGE_MAX);
    return mat_update_end(&w, &header);
}

static size_t
reply_error(void *buffer, uint32_t id, unsigned int reason, uint64_t bad)
{
    struct mat_update_header header = {
        .type = MAT_UPDATE_ERROR,
        .kind = (uint16_t) reason,
        .id = id,
        .cursor = bad,
    };
    struct mat_op op = { .type = MAT_OP_TEXT };
    struct mat_update_writer w;

    op.text.s = mat_update_strerror(reason);
    op.text.size = (uint16_t) strlen(op.text.s);
    mat_update_begin(&w, buffer, MAT_UPDATE_MESSAGE_MAX);
    mat_update_add(&w, &op);
    return mat_update_end(&w, &header);
}

static void
add_number(struct mat_update_writer *w, const char *name, uint64_t value)
{
    struct mat_op op = { .type = MAT_OP_NUMBER };

    op.number.value = value;
    memcpy(op.number.name, name, strlen(name) + 1);
    mat_update_add(w, &op);
}

/* Requests. */

static size_t
handle_hello(struct mat_server *s, const struct request *r, void *buffer)
{
    struct mat_update_header header = {
        .type = MAT_UPDATE_ITEMS, .id = r->header.id
    };
    struct mat_update_writer w;

    mat_update_begin(&w, buffer, MAT_UPDATE_MESSAGE_MAX);
    add_number(&w, "version", MAT_UPDATE_VERSION);
    add_number(&w, "instance", s->instance);
    add_number(&w, "entries_max", MAT_TABLE_ENTRIES_MAX);
    add_number(&w, "vmns_max", MAT_TABLE_VMNS_MAX);
    return mat_update_end(&w, &header);
}

static size_t
handle_stats(struct mat_server *s, const struct request *r, void *buffer)
{
    struct mat_update_header header = {
        .type = MAT_UPDATE_ITEMS, .id = r->header.id
    };
    char name[MAT_PORT_NAME_SIZE];
    struct mat_update_writer w;
    uint64_t value;

    mat_update_begin(&w, buffer, MAT_UPDATE_MESSAGE_MAX);
    for (unsigned int i = 0;
         s->hooks.counter(s->hooks.aux, i, name, &value); i++) {
        add_number(&w, name, value);
    }
    return mat_update_end(&w, &header);
}

static size_t
handle_batch(struct mat_server *s, const struct request *r, void *buffer)
{
    struct mat_update_reader ops = r->ops;
    unsigned int reason;
    struct mat_op op;
    uint64_t bad;
    bool kept;

    lock(s);
    reason = mat_apply_batch(s->apply, r->ops, &bad);
    kept = mat_apply_n_kept(s->apply);
    quiesce_and_unlock(s);
    if (reason != MAT_UPDATE_GOOD) {
        s->counters.n_refused++;
        return reply_error(buffer, r->header.id, reason, bad);
    }
    s->counters.n_batches++;
    s->counters.n_operations += ops.left;
    while (mat_update_next(&ops, &op)) {
        if (!is_overtaken(s, &op, ops)) {
            follow_up(s, &op, kept);
        }
    }
    return reply_ok(buffer, r->header.id, 0);
}

/* The MoA that 'e' means: if it has none, that of the live entry. */
static struct mat_addr
moa_of(struct mat_server *s, const struct mat_entry *e)
{
    struct mat_addr moa = e->moa;
    struct mat_entry live;

    if (mat_addr_is_zero(&moa)) {
        lock(s);
        if (mat_table_get_live(s->table, e->zone, &e->hoa, &live)) {
            moa = live.moa;
        }
        s->hooks.unlock(s->hooks.aux);
    }
    return moa;
}

/* Is the hold that 'op' puts changed again in the 'rest' of its batch?  Then
 * nobody is told of it, who would have to set it in the table once more. */
static bool
is_overtaken(struct mat_server *s, const struct mat_op *op,
             struct mat_update_reader rest)
{
    const struct mat_entry *e = &op->entry;
    struct mat_addr moa, other_moa;
    struct mat_op other;

    if ((op->type != MAT_OP_ENTRY_PUT && op->type != MAT_OP_HOLD)
        || !e->hold) {
        return false;
    }
    moa = moa_of(s, e);
    while (mat_update_next(&rest, &other)) {
        if ((other.type == MAT_OP_ENTRY_PUT || other.type == MAT_OP_HOLD)
            && other.entry.zone == e->zone
            && mat_addr_equal(&other.entry.hoa, &e->hoa)) {
            other_moa = moa_of(s, &other.entry);
            if (mat_addr_equal(&other_moa, &moa)) {
                return true;
            }
        }
    }
    return false;
}

/* Tells that the entry of 'op' was put or its hold changed.  If the batch has
 * kept holds, looks if this is one. */
static void
tell_changed(struct mat_server *s, const struct mat_op *op, bool some_kept)
{
    struct mat_entry e = op->entry, now;
    bool kept = false;

    if (some_kept || mat_addr_is_zero(&e.moa)) {
        lock(s);
        if (mat_addr_is_zero(&e.moa)
            ? mat_table_get_live(s->table, e.zone, &e.hoa, &now)
            : mat_table_get_by_moa(s->table, &e.moa, &now)) {
            kept = some_kept && !e.hold && now.hold;
            e.moa = now.moa;
        }
        s->hooks.unlock(s->hooks.aux);
    }
    s->hooks.changed(s->hooks.aux, &e, kept);
}

/* Does what follows from an operation that was applied. */
static void
follow_up(struct mat_server *s, const struct mat_op *op, bool some_kept)
{
    const struct mat_server_hooks *h = &s->hooks;

    switch (op->type) {
    case MAT_OP_ENTRY_PUT:
    case MAT_OP_HOLD:
        tell_changed(s, op, some_kept);
        break;
    case MAT_OP_RELEASE:
        h->release(h->aux, op->held.zone, &op->held.addr);
        break;
    case MAT_OP_DISCARD:
        h->discard(h->aux, op->held.zone, &op->held.addr);
        break;
    case MAT_OP_INJECT:
        h->inject(h->aux, op->inject.port, op->inject.frame, op->inject.size);
        break;
    case MAT_OP_ENTRY_REMOVE:
    case MAT_OP_PORT_PUT:
    case MAT_OP_PORT_REMOVE:
    case MAT_OP_NEXTHOP_PUT:
    case MAT_OP_NEXTHOP_REMOVE:
    case MAT_OP_ZONE_PUT:
    case MAT_OP_ZONE_REMOVE:
    case MAT_OP_POOL_PUT:
    case MAT_OP_POOL_REMOVE:
    case MAT_OP_NUMBER:
    case MAT_OP_TEXT:
    case MAT_OP_END:
        break;
    }
}

/* The next item of a dump. */
static bool
next_item(struct mat_server *s, uint16_t kind, uint64_t *cursor,
          struct mat_op *op)
{
    memset(op, 0, sizeof *op);
    switch ((enum mat_update_dump) kind) {
    case MAT_UPDATE_DUMP_ENTRIES:
        op->type = MAT_OP_ENTRY_PUT;
        return mat_table_next(s->table, cursor, &op->entry);
    case MAT_UPDATE_DUMP_HARVEST:
        op->type = MAT_OP_ENTRY_PUT;
        return mat_table_harvest(s->table, cursor, &op->entry);
    case MAT_UPDATE_DUMP_PORTS:
        op->type = MAT_OP_PORT_PUT;
        while (mat_table_next_port(s->table, cursor, &op->port)) {
            if (op->port.role) {
                return true;        /* Others nobody has asked for. */
            }
        }
        return false;
    case MAT_UPDATE_DUMP_NEXTHOPS:
        op->type = MAT_OP_NEXTHOP_PUT;
        return mat_table_next_nexthop(s->table, cursor, &op->nexthop);
    case MAT_UPDATE_DUMP_ZONES:
        op->type = MAT_OP_ZONE_PUT;
        return mat_table_next_zone(s->table, cursor, &op->zone);
    case MAT_UPDATE_DUMP_POOLS:
        op->type = MAT_OP_POOL_PUT;
        return mat_table_next_pool(s->table, cursor, &op->pool);
    }
    return false;
}

/* Items are taken only while there is room for the largest, since a harvest
 * cannot be taken back. */
static size_t
handle_dump(struct mat_server *s, const struct request *r, void *buffer)
{
    struct mat_update_header header = {
        .type = MAT_UPDATE_ITEMS,
        .id = r->header.id,
        .cursor = r->header.cursor,
    };
    struct mat_update_writer w;
    struct mat_op op;

    mat_update_begin(&w, buffer, MAT_UPDATE_MESSAGE_MAX);
    lock(s);
    while (w.size + ITEM_MAX <= MAT_UPDATE_MESSAGE_MAX) {
        if (!next_item(s, r->header.kind, &header.cursor, &op)) {
            header.cursor = 0;
            break;
        }
        if (r->header.kind == MAT_UPDATE_DUMP_HARVEST && !op.entry.accessed) {
            break;              /* Nothing so far, but there is more. */
        }
        mat_update_add(&w, &op);
    }
    s->hooks.unlock(s->hooks.aux);
    return mat_update_end(&w, &header);
}
