/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent gives out, in order, and what it has to complain of. */
#include "mat-agent-impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static struct mat_agent_item *
add_item(struct mat_agent *a, enum mat_agent_output_kind kind)
{
    struct mat_agent_item *item;

    if (a->n_items == a->items_allocated) {
        size_t n = a->items_allocated ? a->items_allocated * 2 : 64;
        struct mat_agent_item *items = mat_xmalloc(n * sizeof *items);

        for (size_t i = 0; i < a->n_items; i++) {
            items[i] = a->items[(a->items_head + i) % a->items_allocated];
        }
        free(a->items);
        a->items = items;
        a->items_head = 0;
        a->items_allocated = n;
    }
    item = &a->items[(a->items_head + a->n_items++) % a->items_allocated];
    memset(item, 0, sizeof *item);
    item->kind = kind;
    return item;
}

static void
free_item(struct mat_agent_item *item)
{
    if (item->kind == MAT_AGENT_LOG) {
        free(item->text);
    }
    free(item->frame);
    memset(item, 0, sizeof *item);
}

static bool
is_removal(enum mat_update_op_type type)
{
    return (type == MAT_OP_ENTRY_REMOVE || type == MAT_OP_PORT_REMOVE
            || type == MAT_OP_NEXTHOP_REMOVE || type == MAT_OP_ZONE_REMOVE
            || type == MAT_OP_POOL_REMOVE);
}

/* Gives 'op' to the switch if that has what the mirror says; else a dump will
 * show what it lacks.  Returns its number, or that of the last one. */
uint64_t
mat_agent_emit(struct mat_agent *a, const struct mat_op *op)
{
    struct mat_agent_item *item;

    if (a->config.mode != MAT_AGENT_ACTIVE) {
        mat_agent_count(a, MAT_AGENT_C_OPS_SHADOW);
        return a->sequence;
    } else if (!a->is_synced) {
        if (a->is_dumping && is_removal(op->type)) {
            mat_agent_add_extra(a, op, op->type);
        }
        return a->sequence;
    }
    mat_agent_count(a, MAT_AGENT_C_OPS);
    item = add_item(a, MAT_AGENT_SWITCH);
    item->op = *op;
    item->sequence = ++a->sequence;
    return item->sequence;
}

void
mat_agent_emit_frame(struct mat_agent *a, const char *port,
                     const uint8_t *frame, size_t size)
{
    struct mat_op op = { .type = MAT_OP_INJECT };
    struct mat_agent_item *item;
    uint64_t before = a->sequence;

    if (size > MAT_UPDATE_FRAME_MAX) {
        return;
    }
    snprintf(op.inject.port, sizeof op.inject.port, "%s", port);
    op.inject.size = (uint16_t) size;
    if (mat_agent_emit(a, &op) == before) {
        return;
    }
    item = &a->items[(a->items_head + a->n_items - 1) % a->items_allocated];
    item->frame = mat_xmalloc(size);
    memcpy(item->frame, frame, size);
}

void
mat_agent_emit_dump(struct mat_agent *a, enum mat_update_dump dump)
{
    add_item(a, MAT_AGENT_DUMP)->dump = dump;
}

void
mat_agent_emit_route(struct mat_agent *a, enum mat_agent_output_kind kind,
                     uint16_t id)
{
    add_item(a, kind)->route_id = id;
}

void
mat_agent_log(struct mat_agent *a, enum mat_agent_level level,
              const char *format, ...)
{
    char text[MAT_AGENT_TEXT_SIZE];
    struct mat_agent_item *item;
    va_list args;
    size_t size;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size = strlen(text) + 1;
    item = add_item(a, MAT_AGENT_LOG);
    item->level = level;
    item->text = mat_xmalloc(size);
    memcpy(item->text, text, size);
}

void
mat_agent_output_destroy(struct mat_agent *a)
{
    for (size_t i = 0; i < a->n_items; i++) {
        free_item(&a->items[(a->items_head + i) % a->items_allocated]);
    }
    free_item(&a->last);
    free(a->items);
}

/* Takes in what the stock of MoAs and the learning have to say. */
static void
pump(struct mat_agent *a)
{
    mat_agent_drain_learn(a);
    mat_agent_drain_moa(a);
    if (a->wants_ports && a->is_synced && !a->asked_ports
        && a->config.mode == MAT_AGENT_ACTIVE) {
        a->wants_ports = false;
        a->asked_ports = true;
        mat_agent_emit_dump(a, MAT_UPDATE_DUMP_PORTS);
    }
    if (!a->n_items && a->is_dirty) {
        a->is_dirty = false;
        add_item(a, MAT_AGENT_STATE);
    }
}

static bool
fill_route(const struct mat_agent *a, struct mat_agent_output *out)
{
    const struct mat_way *way = mat_index_find(&a->ways, out->route_id);

    if (!way) {
        return out->kind == MAT_AGENT_DROP_ROUTE;
    }
    out->addr = way->addr;
    out->prefix = way->prefix;
    out->plen = way->plen;
    if (a->gossip && way->host) {
        struct mat_key key = mat_key_host(way->host);
        const struct mat_claim *claim = mat_gossip_find(a->gossip, &key);
        struct mat_host_info info;

        if (claim && mat_host_decode(claim->body, claim->body_size, &info)) {
            out->via = info.endpoint;
        }
    }
    return true;
}

static bool
give(struct mat_agent *a, struct mat_agent_output *out)
{
    *out = (struct mat_agent_output) {
        .kind = a->last.kind, .sequence = a->last.sequence,
        .dump = a->last.dump, .route_id = a->last.route_id,
        .level = a->last.level
    };
    switch (out->kind) {
    case MAT_AGENT_SWITCH:
        out->op = a->last.op;
        if (out->op.type == MAT_OP_INJECT) {
            out->op.inject.frame = a->last.frame;
        }
        return true;
    case MAT_AGENT_WANT_ROUTE:
    case MAT_AGENT_DROP_ROUTE:
        return fill_route(a, out);
    case MAT_AGENT_LOG:
        out->text = a->last.text;
        return true;
    case MAT_AGENT_DUMP:
    case MAT_AGENT_STATE:
        return true;
    }
    return true;
}

bool
mat_agent_next(struct mat_agent *a, struct mat_agent_output *out)
{
    for (;;) {
        free_item(&a->last);
        if (!a->n_items) {
            pump(a);
        }
        if (!a->n_items) {
            return false;
        }
        a->last = a->items[a->items_head];
        a->items_head = (a->items_head + 1) % a->items_allocated;
        a->n_items--;
        if (give(a, out)) {
            return true;
        }
    }
}

/* Problems: one text for each key. */

static size_t
find_problem(const struct mat_agent *a, uint64_t key)
{
    size_t i = 0;

    while (i < a->n_problems && a->problems[i].key != key) {
        i++;
    }
    return i;
}

void
mat_agent_problem(struct mat_agent *a, uint64_t key, const char *text)
{
    size_t i = find_problem(a, key);

    if (i == MAT_AGENT_PROBLEMS_KEPT) {
        return;
    }
    a->n_problems += i == a->n_problems;
    a->problems[i].key = key;
    snprintf(a->problems[i].text, sizeof a->problems[i].text, "%s", text);
}

void
mat_agent_no_problem(struct mat_agent *a, uint64_t key)
{
    size_t i = find_problem(a, key);

    if (i < a->n_problems) {
        a->problems[i] = a->problems[--a->n_problems];
    }
}

bool
mat_agent_next_problem(const struct mat_agent *a, size_t *cursor,
                       char text[static MAT_AGENT_TEXT_SIZE])
{
    if (*cursor >= a->n_problems) {
        return false;
    }
    memcpy(text, a->problems[(*cursor)++].text, MAT_AGENT_TEXT_SIZE);
    return true;
}

const char *
mat_home_format(const struct mat_home *home, char buf[static MAT_HOME_STRLEN])
{
    char addr[MAT_ADDR_STRLEN];

    snprintf(buf, MAT_HOME_STRLEN, "zone %" PRIu32 " %s", home->key.zone,
             mat_addr_format(&home->key.addr, addr));
    return buf;
}
