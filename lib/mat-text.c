/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-text.h"

#include <stdarg.h>
#include <stdio.h>

static void append(struct mat_text *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void append_escaped(struct mat_text *, const char *);
static void key(struct mat_text *, const char *key);
static void bare_number(struct mat_text *, const char *key, uint32_t);

static void entry_text(struct mat_text *, const struct mat_entry *);
static void port_text(struct mat_text *, const struct mat_port *);
static void nexthop_text(struct mat_text *, const struct mat_nexthop *);
static void zone_text(struct mat_text *, const struct mat_zone *);
static void pool_text(struct mat_text *, const struct mat_pool *);

/* Building. */

void
mat_text_open(struct mat_text *text, enum mat_text_style style, char *buf,
              size_t size)
{
    *text = (struct mat_text) { .s = buf, .size = size, .style = style };
    buf[0] = '\0';
    if (style == MAT_TEXT_JSON) {
        append(text, "{");
    }
}

const char *
mat_text_close(struct mat_text *text)
{
    if (text->style == MAT_TEXT_JSON) {
        append(text, "}");
    }
    return text->s;
}

void
mat_text_number(struct mat_text *text, const char *name, uint64_t value)
{
    key(text, name);
    append(text, "%llu", (unsigned long long) value);
}

void
mat_text_string(struct mat_text *text, const char *name, const char *value)
{
    key(text, name);
    if (text->style == MAT_TEXT_JSON) {
        append_escaped(text, value);
    } else {
        append(text, "%s", value);
    }
}

void
mat_text_flag(struct mat_text *text, const char *name, bool value)
{
    if (text->style == MAT_TEXT_JSON) {
        key(text, name);
        append(text, "%s", value ? "true" : "false");
    } else if (value) {
        mat_text_literal(text, name);
    }
}

void
mat_text_addr(struct mat_text *text, const char *name,
              const struct mat_addr *addr)
{
    char buf[MAT_ADDR_STRLEN];

    mat_text_string(text, name, mat_addr_format(addr, buf));
}

void
mat_text_prefix(struct mat_text *text, const char *name,
                const struct mat_addr *addr, unsigned int plen)
{
    char buf[MAT_PREFIX_STRLEN];

    if (plen == mat_addr_bits(addr)) {
        mat_text_addr(text, name, addr);
    } else {
        mat_text_string(text, name, mat_prefix_format(addr, plen, buf));
    }
}

void
mat_text_mac(struct mat_text *text, const char *name,
             const struct mat_mac *mac)
{
    char buf[MAT_MAC_STRLEN];

    mat_text_string(text, name, mat_mac_format(mac, buf));
}

void
mat_text_bare(struct mat_text *text, const char *name, const char *word)
{
    if (text->style == MAT_TEXT_JSON) {
        mat_text_string(text, name, word);
    } else {
        mat_text_literal(text, word);
    }
}

void
mat_text_literal(struct mat_text *text, const char *word)
{
    if (text->style == MAT_TEXT_WORDS) {
        append(text, "%s%s", text->length ? " " : "", word);
    }
}

/* Items. */

const char *
mat_text_op(const struct mat_op *op, enum mat_text_style style,
            char buf[static MAT_TEXT_MAX])
{
    struct mat_text text;

    mat_text_open(&text, style, buf, MAT_TEXT_MAX);
    switch (op->type) {
    case MAT_OP_ENTRY_PUT:
        entry_text(&text, &op->entry);
        break;
    case MAT_OP_PORT_PUT:
        port_text(&text, &op->port);
        break;
    case MAT_OP_NEXTHOP_PUT:
        nexthop_text(&text, &op->nexthop);
        break;
    case MAT_OP_ZONE_PUT:
        zone_text(&text, &op->zone);
        break;
    case MAT_OP_POOL_PUT:
        pool_text(&text, &op->pool);
        break;
    case MAT_OP_NUMBER:
        mat_text_number(&text, op->number.name, op->number.value);
        break;
    case MAT_OP_ENTRY_REMOVE:
    case MAT_OP_HOLD:
    case MAT_OP_RELEASE:
    case MAT_OP_DISCARD:
    case MAT_OP_PORT_REMOVE:
    case MAT_OP_NEXTHOP_REMOVE:
    case MAT_OP_ZONE_REMOVE:
    case MAT_OP_POOL_REMOVE:
    case MAT_OP_INJECT:
    case MAT_OP_TEXT:
    case MAT_OP_END:
        break;                      /* Never in a dump. */
    }
    return mat_text_close(&text);
}

const char *
mat_text_event(const struct mat_event *event, enum mat_text_style style,
               char buf[static MAT_TEXT_MAX])
{
    bool of_port = event->type >= MAT_EVENT_PORT_ATTACHED;
    char head[2 * MAT_EVENT_HEAD_SIZE + 1];
    size_t n = event->head_size < MAT_EVENT_HEAD_SIZE ? event->head_size
                                                      : MAT_EVENT_HEAD_SIZE;
    struct mat_text text;

    mat_text_open(&text, style, buf, MAT_TEXT_MAX);
    mat_text_number(&text, "time_ns", event->time_ns);
    mat_text_bare(&text, "event", mat_event_name(event->type));
    mat_text_number(&text, "odp_port", event->odp_port);
    if (of_port) {
        memcpy(head, event->head, n);
        head[n] = '\0';
        mat_text_string(&text, "port", head);
    } else {
        mat_text_number(&text, "zone", event->zone);
        mat_text_addr(&text, "addr", &event->addr);
        mat_text_mac(&text, "mac", &event->mac);
        mat_text_number(&text, "size", event->frame_size);
        for (size_t i = 0; i < n; i++) {
            snprintf(head + 2 * i, 3, "%02x", event->head[i]);
        }
        head[2 * n] = '\0';
        mat_text_string(&text, "frame", head);
    }
    if (event->suppressed) {
        mat_text_number(&text, "suppressed", event->suppressed);
    }
    return mat_text_close(&text);
}

const char *
mat_text_state(enum mat_state state)
{
    switch (state) {
    case MAT_STATE_LOCAL:
        return "local";
    case MAT_STATE_REMOTE:
        return "remote";
    case MAT_STATE_PREPARED:
        return "prepared";
    case MAT_STATE_DEPARTED:
        return "departed";
    }
    return "?";
}

static void
entry_text(struct mat_text *text, const struct mat_entry *e)
{
    mat_text_literal(text, "add");
    mat_text_number(text, "zone", e->zone);
    mat_text_prefix(text, "hoa", &e->hoa, e->plen);
    mat_text_addr(text, "moa", &e->moa);
    mat_text_mac(text, "mac", &e->mac);
    mat_text_string(text, "state", mat_text_state(e->state));
    if (e->port[0]) {
        mat_text_string(text, "port", e->port);
    }
    if (e->nexthop) {
        mat_text_number(text, "nexthop", e->nexthop);
    }
    if (!mat_addr_is_zero(&e->former)) {
        mat_text_addr(text, "former", &e->former);
    }
    mat_text_flag(text, "hold", e->hold);
    if (text->style == MAT_TEXT_JSON) {
        mat_text_flag(text, "accessed", e->accessed);
    } else if (e->accessed) {
        mat_text_literal(text, "# accessed");
    }
}

static void
port_text(struct mat_text *text, const struct mat_port *port)
{
    bool absent = port->odp_port == MAT_TABLE_NO_PORT;

    mat_text_literal(text, "ports add");
    mat_text_bare(text, "name", port->name);
    mat_text_string(text, "role", port->role == MAT_PORT_VM ? "vm" : "uplink");
    if (!mat_mac_is_zero(&port->mac)) {
        mat_text_mac(text, "mac", &port->mac);
    }
    if (port->mtu) {
        mat_text_number(text, "mtu", port->mtu);
    }
    if (absent) {
        mat_text_literal(text, "# absent");
    } else {
        mat_text_literal(text, "#");
        mat_text_number(text, "odp_port", port->odp_port);
        if (mat_mac_is_zero(&port->mac)
            && !mat_mac_is_zero(&port->used_mac)) {
            mat_text_mac(text, "used_mac", &port->used_mac);
        }
        if (!port->mtu && port->used_mtu) {
            mat_text_number(text, "used_mtu", port->used_mtu);
        }
    }
}

static void
nexthop_text(struct mat_text *text, const struct mat_nexthop *nh)
{
    mat_text_literal(text, "nexthops add");
    bare_number(text, "id", nh->id);
    mat_text_mac(text, "src", &nh->src);
    mat_text_mac(text, "dst", &nh->dst);
    if (nh->mtu) {
        mat_text_number(text, "mtu", nh->mtu);
    }
    if (nh->is_behind || text->style == MAT_TEXT_JSON) {
        mat_text_flag(text, "behind", nh->is_behind);
    }
}

static void
zone_text(struct mat_text *text, const struct mat_zone *zone)
{
    bool json = text->style == MAT_TEXT_JSON;
    char prefix[MAT_PREFIX_STRLEN], gateway[MAT_ADDR_STRLEN];

    mat_text_literal(text, "zones add");
    bare_number(text, "zone", zone->zone);
    if (zone->outside) {
        mat_text_number(text, "outside", zone->outside_nexthop);
    }
    if (json) {
        append(text, ",\"subnets\":[");
    }
    for (unsigned int i = 0; i < zone->n_subnets; i++) {
        const struct mat_subnet *s = &zone->subnets[i];
        bool gw = !mat_addr_is_zero(&s->gateway);

        mat_prefix_format(&s->prefix, s->plen, prefix);
        mat_addr_format(&s->gateway, gateway);
        append(text, json ? "%s{\"prefix\":\"%s\"" : "%ssubnet=%s",
               !json ? " " : i ? "," : "", prefix);
        if (gw) {
            append(text, json ? ",\"gw\":\"%s\"" : ",gw=%s", gateway);
        }
        append(text, "%s", json ? "}" : "");
    }
    if (json) {
        append(text, "]");
    }
}

static void
pool_text(struct mat_text *text, const struct mat_pool *pool)
{
    char prefix[MAT_PREFIX_STRLEN];

    mat_text_literal(text, "pools add");
    mat_text_bare(text, "prefix",
                  mat_prefix_format(&pool->prefix, pool->plen, prefix));
    mat_text_flag(text, "own", pool->own);
}

/* Bytes. */

static void
key(struct mat_text *text, const char *name)
{
    if (text->style == MAT_TEXT_JSON) {
        append(text, "%s\"%s\":", text->length > 1 ? "," : "", name);
    } else {
        append(text, "%s%s=", text->length ? " " : "", name);
    }
}

static void
bare_number(struct mat_text *text, const char *name, uint32_t value)
{
    if (text->style == MAT_TEXT_JSON) {
        mat_text_number(text, name, value);
    } else {
        append(text, " %u", value);
    }
}

static void
append_escaped(struct mat_text *text, const char *s)
{
    append(text, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char) *s;

        if (c == '"' || c == '\\') {
            append(text, "\\%c", c);
        } else if (c < ' ' || c > '~') {
            append(text, "\\u%04x", c);
        } else {
            append(text, "%c", c);
        }
    }
    append(text, "\"");
}

static void
append(struct mat_text *text, const char *format, ...)
{
    size_t left = text->size - text->length;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text->s + text->length, left, format, args);
    va_end(args);
    if (n > 0) {
        text->length += (size_t) n < left ? (size_t) n : left - 1;
    }
}
