/* SPDX-License-Identifier: Apache-2.0 */

/* Encoding and decoding stand side by side, one pair for each operation, so
 * that one can be read against the other.
 *
 * 'struct out' does not write past its end and 'struct in' does not read past
 * it: both remember instead that they should have, and nobody looks at the
 * rest of the result then. */

#include "mat-update.h"

struct out {
    uint8_t *p;
    size_t left;
    bool full;
};

struct in {
    const uint8_t *p;
    size_t left;
    enum mat_update_reason reason;  /* The first thing that was wrong. */
};

static bool op_allowed(enum mat_update_type, enum mat_update_op_type);
static enum mat_update_reason check_header(const struct mat_update_header *);
static bool encode_op(struct out *, const struct mat_op *);
static enum mat_update_reason decode_op(const uint8_t *, size_t left,
                                        struct mat_op *, size_t *size);

static const char *const reason_texts[] = {
#define MAT_UPDATE_REASON(ENUM, TEXT) TEXT,
    MAT_UPDATE_REASONS
#undef MAT_UPDATE_REASON
};

const char *
mat_update_strerror(unsigned int reason)
{
    if (reason >= MAT_UPDATE_TABLE_ERRORS) {
        unsigned int e = reason - MAT_UPDATE_TABLE_ERRORS;

        return e < MAT_TABLE_N_ERRORS
               ? mat_table_strerror((enum mat_table_error) e)
               : "reason is not known";
    }
    return reason < MAT_UPDATE_N_REASONS ? reason_texts[reason]
                                         : "reason is not known";
}

/* Numbers, addresses and names. */

static void
put_bytes(struct out *out, const void *bytes, size_t n)
{
    if (n > out->left) {
        out->full = true;
        return;
    }
    if (n) {
        memcpy(out->p, bytes, n);
    }
    out->p += n;
    out->left -= n;
}

static void
put_number(struct out *out, uint64_t value, size_t n)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t) (value >> (8 * (n - 1 - i)));
    }
    put_bytes(out, bytes, n);
}

static void
put_name(struct out *out, const char *name)
{
    size_t n = strlen(name);

    put_number(out, n, 1);
    put_bytes(out, name, n);
}

static void
refuse(struct in *in, enum mat_update_reason reason)
{
    if (in->reason == MAT_UPDATE_GOOD) {
        in->reason = reason;
    }
}

/* 'n' bytes, or null. */
static const uint8_t *
get_bytes(struct in *in, size_t n)
{
    const uint8_t *p = in->p;

    if (n > in->left) {
        refuse(in, MAT_UPDATE_BAD_OP_SIZE);
        return NULL;
    }
    in->p += n;
    in->left -= n;
    return p;
}

static void
get_copy(struct in *in, void *to, size_t n)
{
    const uint8_t *p = get_bytes(in, n);

    if (p) {
        memcpy(to, p, n);
    }
}

static uint64_t
get_number(struct in *in, size_t n)
{
    const uint8_t *p = get_bytes(in, n);
    uint64_t value = 0;

    for (size_t i = 0; p && i < n; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

static uint8_t
get_u8(struct in *in)
{
    return (uint8_t) get_number(in, 1);
}

static uint16_t
get_u16(struct in *in)
{
    return (uint16_t) get_number(in, 2);
}

static uint32_t
get_u32(struct in *in)
{
    return (uint32_t) get_number(in, 4);
}

static bool
get_bool(struct in *in)
{
    uint8_t value = get_u8(in);

    if (value > 1) {
        refuse(in, MAT_UPDATE_BAD_VALUE);
    }
    return value == 1;
}

static void
get_name(struct in *in, char name[static MAT_PORT_NAME_SIZE], bool or_empty)
{
    size_t n = get_u8(in);
    const uint8_t *p = get_bytes(in, n);

    if (!p) {
        return;
    }
    if (n >= MAT_PORT_NAME_SIZE || (!n && !or_empty)) {
        refuse(in, MAT_UPDATE_BAD_NAME);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= ' ' || p[i] > '~') {
            refuse(in, MAT_UPDATE_BAD_NAME);
            return;
        }
    }
    memcpy(name, p, n);
}

/* Operations. */

/* The common start of entry-put, entry-remove and hold. */
static void
encode_entry_key(struct out *out, const struct mat_entry *e)
{
    put_number(out, e->zone, 4);
    put_bytes(out, &e->hoa, sizeof e->hoa);
    put_bytes(out, &e->moa, sizeof e->moa);
}

static void
decode_entry_key(struct in *in, struct mat_entry *e)
{
    e->zone = get_u32(in);
    get_copy(in, &e->hoa, sizeof e->hoa);
    get_copy(in, &e->moa, sizeof e->moa);
}

static void
encode_entry(struct out *out, const struct mat_entry *e)
{
    encode_entry_key(out, e);
    put_number(out, e->plen, 1);
    put_number(out, (uint64_t) e->state, 1);
    put_number(out, e->hold, 1);
    put_number(out, e->accessed, 1);
    put_bytes(out, &e->mac, sizeof e->mac);
    put_number(out, e->nexthop, 2);
    put_name(out, e->port);
    if (!mat_addr_is_zero(&e->former)) {
        put_bytes(out, &e->former, sizeof e->former);
    }
}

static void
decode_entry(struct in *in, struct mat_entry *e)
{
    uint8_t state;

    decode_entry_key(in, e);
    e->plen = get_u8(in);
    state = get_u8(in);
    if (state < MAT_STATE_LOCAL || state > MAT_STATE_DEPARTED) {
        refuse(in, MAT_UPDATE_BAD_VALUE);
        return;
    }
    e->state = (enum mat_state) state;
    e->hold = get_bool(in);
    e->accessed = get_bool(in);
    get_copy(in, &e->mac, sizeof e->mac);
    e->nexthop = get_u16(in);
    get_name(in, e->port, true);
    if (in->left) {
        get_copy(in, &e->former, sizeof e->former);
        if (mat_addr_is_zero(&e->former)) {
            refuse(in, MAT_UPDATE_BAD_VALUE);
        }
    }
}

static void
encode_port(struct out *out, const struct mat_port *port)
{
    put_number(out, (uint64_t) port->role, 1);
    put_bytes(out, &port->mac, sizeof port->mac);
    put_number(out, port->mtu, 2);
    put_number(out, port->odp_port, 4);
    put_name(out, port->name);
}

static void
decode_port(struct in *in, struct mat_port *port)
{
    uint8_t role = get_u8(in);

    if (role != MAT_PORT_VM && role != MAT_PORT_UPLINK) {
        refuse(in, MAT_UPDATE_BAD_VALUE);
        return;
    }
    port->role = (enum mat_port_role) role;
    get_copy(in, &port->mac, sizeof port->mac);
    port->mtu = get_u16(in);
    port->odp_port = get_u32(in);
    get_name(in, port->name, false);
}

static void
encode_nexthop(struct out *out, const struct mat_nexthop *nh)
{
    put_number(out, nh->id, 2);
    put_bytes(out, &nh->src, sizeof nh->src);
    put_bytes(out, &nh->dst, sizeof nh->dst);
    put_number(out, nh->mtu, 2);
    if (nh->is_behind) {
        put_number(out, 1, 1);
    }
}

static void
decode_nexthop(struct in *in, struct mat_nexthop *nh)
{
    nh->id = get_u16(in);
    get_copy(in, &nh->src, sizeof nh->src);
    get_copy(in, &nh->dst, sizeof nh->dst);
    nh->mtu = get_u16(in);
    if (in->left) {
        nh->is_behind = get_bool(in);
        if (!nh->is_behind) {
            refuse(in, MAT_UPDATE_BAD_VALUE);
        }
    }
}

static void
encode_zone(struct out *out, const struct mat_zone *zone)
{
    put_number(out, zone->zone, 4);
    put_number(out, zone->outside, 1);
    put_number(out, zone->outside_nexthop, 2);
    put_number(out, zone->n_subnets, 1);
    for (unsigned int i = 0; i < zone->n_subnets; i++) {
        const struct mat_subnet *s = &zone->subnets[i];

        put_bytes(out, &s->prefix, sizeof s->prefix);
        put_number(out, s->plen, 1);
        put_bytes(out, &s->gateway, sizeof s->gateway);
    }
}

static void
decode_zone(struct in *in, struct mat_zone *zone)
{
    zone->zone = get_u32(in);
    zone->outside = get_bool(in);
    zone->outside_nexthop = get_u16(in);
    zone->n_subnets = get_u8(in);
    if (zone->n_subnets > MAT_ZONE_SUBNETS_MAX) {
        refuse(in, MAT_UPDATE_BAD_VALUE);
        return;
    }
    for (unsigned int i = 0; i < zone->n_subnets; i++) {
        struct mat_subnet *s = &zone->subnets[i];

        get_copy(in, &s->prefix, sizeof s->prefix);
        s->plen = get_u8(in);
        get_copy(in, &s->gateway, sizeof s->gateway);
    }
}

static void
encode_inject(struct out *out, const struct mat_op *op)
{
    put_name(out, op->inject.port);
    put_number(out, op->inject.size, 2);
    put_bytes(out, op->inject.frame, op->inject.size);
}

static void
decode_inject(struct in *in, struct mat_op *op)
{
    get_name(in, op->inject.port, false);
    op->inject.size = get_u16(in);
    if (!op->inject.size || op->inject.size > MAT_UPDATE_FRAME_MAX) {
        refuse(in, MAT_UPDATE_BAD_VALUE);
    }
    op->inject.frame = get_bytes(in, op->inject.size);
}

static void
encode_content(struct out *out, const struct mat_op *op)
{
    switch (op->type) {
    case MAT_OP_ENTRY_PUT:
        encode_entry(out, &op->entry);
        break;
    case MAT_OP_ENTRY_REMOVE:
        encode_entry_key(out, &op->entry);
        put_number(out, op->entry.plen, 1);
        break;
    case MAT_OP_HOLD:
        encode_entry_key(out, &op->entry);
        put_number(out, op->entry.hold, 1);
        break;
    case MAT_OP_RELEASE:
    case MAT_OP_DISCARD:
        put_number(out, op->held.zone, 4);
        put_bytes(out, &op->held.addr, sizeof op->held.addr);
        break;
    case MAT_OP_PORT_PUT:
        encode_port(out, &op->port);
        break;
    case MAT_OP_PORT_REMOVE:
        put_name(out, op->port.name);
        break;
    case MAT_OP_NEXTHOP_PUT:
        encode_nexthop(out, &op->nexthop);
        break;
    case MAT_OP_NEXTHOP_REMOVE:
        put_number(out, op->nexthop.id, 2);
        break;
    case MAT_OP_ZONE_PUT:
        encode_zone(out, &op->zone);
        break;
    case MAT_OP_ZONE_REMOVE:
        put_number(out, op->zone.zone, 4);
        break;
    case MAT_OP_POOL_PUT:
    case MAT_OP_POOL_REMOVE:
        put_bytes(out, &op->pool.prefix, sizeof op->pool.prefix);
        put_number(out, op->pool.plen, 1);
        if (op->type == MAT_OP_POOL_PUT) {
            put_number(out, op->pool.own, 1);
        }
        break;
    case MAT_OP_INJECT:
        encode_inject(out, op);
        break;
    case MAT_OP_NUMBER:
        put_number(out, op->number.value, 8);
        put_name(out, op->number.name);
        break;
    case MAT_OP_TEXT:
        put_number(out, op->text.size, 2);
        put_bytes(out, op->text.s, op->text.size);
        break;
    case MAT_OP_END:
        break;
    }
}

static void
decode_content(struct in *in, struct mat_op *op)
{
    switch (op->type) {
    case MAT_OP_ENTRY_PUT:
        decode_entry(in, &op->entry);
        break;
    case MAT_OP_ENTRY_REMOVE:
        decode_entry_key(in, &op->entry);
        op->entry.plen = get_u8(in);
        break;
    case MAT_OP_HOLD:
        decode_entry_key(in, &op->entry);
        op->entry.hold = get_bool(in);
        break;
    case MAT_OP_RELEASE:
    case MAT_OP_DISCARD:
        op->held.zone = get_u32(in);
        get_copy(in, &op->held.addr, sizeof op->held.addr);
        break;
    case MAT_OP_PORT_PUT:
        decode_port(in, &op->port);
        break;
    case MAT_OP_PORT_REMOVE:
        get_name(in, op->port.name, false);
        break;
    case MAT_OP_NEXTHOP_PUT:
        decode_nexthop(in, &op->nexthop);
        break;
    case MAT_OP_NEXTHOP_REMOVE:
        op->nexthop.id = get_u16(in);
        break;
    case MAT_OP_ZONE_PUT:
        decode_zone(in, &op->zone);
        break;
    case MAT_OP_ZONE_REMOVE:
        op->zone.zone = get_u32(in);
        break;
    case MAT_OP_POOL_PUT:
    case MAT_OP_POOL_REMOVE:
        get_copy(in, &op->pool.prefix, sizeof op->pool.prefix);
        op->pool.plen = get_u8(in);
        op->pool.own = op->type == MAT_OP_POOL_PUT && get_bool(in);
        break;
    case MAT_OP_INJECT:
        decode_inject(in, op);
        break;
    case MAT_OP_NUMBER:
        op->number.value = get_number(in, 8);
        get_name(in, op->number.name, false);
        break;
    case MAT_OP_TEXT:
        op->text.size = get_u16(in);
        op->text.s = (const char *) get_bytes(in, op->text.size);
        break;
    case MAT_OP_END:
        refuse(in, MAT_UPDATE_BAD_OP);
        break;
    }
}

static bool
encode_op(struct out *out, const struct mat_op *op)
{
    uint8_t *start = out->p;
    struct out size;

    put_number(out, (uint64_t) op->type, 2);
    put_number(out, 0, 2);
    encode_content(out, op);
    if (out->full) {
        return false;
    }
    size = (struct out) { .p = start + 2, .left = 2 };
    put_number(&size, (uint64_t) (out->p - start), 2);
    return true;
}

static enum mat_update_reason
decode_op(const uint8_t *p, size_t left, struct mat_op *op, size_t *size)
{
    struct in in = { .p = p, .left = left };
    uint16_t type;

    memset(op, 0, sizeof *op);
    if (left < 4) {
        return MAT_UPDATE_SHORT;
    }
    type = get_u16(&in);
    *size = get_u16(&in);
    if (!type || type >= MAT_OP_END) {
        return MAT_UPDATE_BAD_OP;
    }
    if (*size < 4) {
        return MAT_UPDATE_BAD_OP_SIZE;
    }
    if (*size > left) {
        return MAT_UPDATE_SHORT;
    }
    in.left = *size - 4;
    op->type = (enum mat_update_op_type) type;
    decode_content(&in, op);
    if (in.left) {
        refuse(&in, MAT_UPDATE_BAD_OP_SIZE);
    }
    return in.reason;
}

/* Messages. */

void
mat_update_begin(struct mat_update_writer *writer, void *buffer,
                 size_t capacity)
{
    *writer = (struct mat_update_writer) {
        .data = buffer,
        .size = MAT_UPDATE_HEADER_SIZE,
        .capacity = capacity < MAT_UPDATE_MESSAGE_MAX
                    ? capacity : MAT_UPDATE_MESSAGE_MAX,
    };
}

bool
mat_update_add(struct mat_update_writer *writer, const struct mat_op *op)
{
    struct out out = {
        .p = writer->data + writer->size,
        .left = writer->capacity - writer->size,
    };

    if (!encode_op(&out, op)) {
        return false;
    }
    writer->size = (size_t) (out.p - writer->data);
    writer->count++;
    return true;
}

size_t
mat_update_end(struct mat_update_writer *writer,
               const struct mat_update_header *header)
{
    struct out out = { .p = writer->data, .left = MAT_UPDATE_HEADER_SIZE };

    put_number(&out, MAT_UPDATE_MAGIC, 4);
    put_number(&out, MAT_UPDATE_VERSION, 1);
    put_number(&out, (uint64_t) header->type, 1);
    put_number(&out, header->kind, 2);
    put_number(&out, header->id, 4);
    put_number(&out, writer->count, 4);
    put_number(&out, header->cursor, 8);
    return writer->size;
}

enum mat_update_reason
mat_update_open(struct mat_update_reader *reader,
                struct mat_update_header *header, const void *message,
                size_t size, uint64_t *bad)
{
    struct in in = { .p = message, .left = size };
    enum mat_update_reason reason;
    uint32_t magic;
    uint8_t version, type;

    *bad = MAT_UPDATE_NO_INDEX;
    memset(header, 0, sizeof *header);
    if (size < MAT_UPDATE_HEADER_SIZE) {
        return MAT_UPDATE_SHORT;
    } else if (size > MAT_UPDATE_MESSAGE_MAX) {
        return MAT_UPDATE_LONG;
    }
    magic = get_u32(&in);
    version = get_u8(&in);
    type = get_u8(&in);
    header->type = (enum mat_update_type) type;
    header->kind = get_u16(&in);
    header->id = get_u32(&in);
    header->count = get_u32(&in);
    header->cursor = get_number(&in, 8);
    if (magic != MAT_UPDATE_MAGIC) {
        return MAT_UPDATE_BAD_MAGIC;
    }
    if (version != MAT_UPDATE_VERSION) {
        return MAT_UPDATE_BAD_VERSION;
    }
    reason = check_header(header);
    if (reason != MAT_UPDATE_GOOD) {
        return reason;
    }

    for (uint32_t i = 0; i < header->count; i++) {
        struct mat_op op;
        size_t op_size;

        reason = decode_op(in.p, in.left, &op, &op_size);
        if (reason == MAT_UPDATE_GOOD && !op_allowed(header->type, op.type)) {
            reason = MAT_UPDATE_BAD_OP;
        }
        if (reason != MAT_UPDATE_GOOD) {
            *bad = i;
            return reason;
        }
        in.p += op_size;
        in.left -= op_size;
    }
    if (in.left) {
        return MAT_UPDATE_LONG;
    }
    *reader = (struct mat_update_reader) {
        .data = message,
        .size = size,
        .offset = MAT_UPDATE_HEADER_SIZE,
        .left = header->count,
    };
    return MAT_UPDATE_GOOD;
}

bool
mat_update_next(struct mat_update_reader *reader, struct mat_op *op)
{
    size_t size = 0;

    if (!reader->left
        || decode_op(reader->data + reader->offset,
                     reader->size - reader->offset, op, &size)
           != MAT_UPDATE_GOOD) {
        return false;
    }
    reader->offset += size;
    reader->left--;
    return true;
}

/* Which operations a message may have. */
static bool
op_allowed(enum mat_update_type message, enum mat_update_op_type op)
{
    switch (message) {
    case MAT_UPDATE_BATCH:
        return op < MAT_OP_NUMBER;
    case MAT_UPDATE_ITEMS:
        return op != MAT_OP_TEXT;
    case MAT_UPDATE_ERROR:
        return op == MAT_OP_TEXT;
    case MAT_UPDATE_HELLO:
    case MAT_UPDATE_FLUSH:
    case MAT_UPDATE_DUMP:
    case MAT_UPDATE_STATS:
    case MAT_UPDATE_STATS_CLEAR:
    case MAT_UPDATE_SUBSCRIBE:
    case MAT_UPDATE_BARRIER:
    case MAT_UPDATE_OK:
    default:
        return false;
    }
}

/* Whether "kind", "cursor" and "count" are as the table in the header says. */
static enum mat_update_reason
check_header(const struct mat_update_header *header)
{
    bool kind = false, cursor = false, operations = false;

    switch (header->type) {
    case MAT_UPDATE_DUMP:
        if (header->kind < MAT_UPDATE_DUMP_ENTRIES
            || header->kind > MAT_UPDATE_DUMP_POOLS) {
            return MAT_UPDATE_BAD_KIND;
        }
        kind = cursor = true;
        break;
    case MAT_UPDATE_ERROR:
        kind = cursor = operations = true;
        break;
    case MAT_UPDATE_OK:
        cursor = true;
        break;
    case MAT_UPDATE_ITEMS:
        cursor = operations = true;
        break;
    case MAT_UPDATE_BATCH:
        operations = true;
        break;
    case MAT_UPDATE_HELLO:
    case MAT_UPDATE_FLUSH:
    case MAT_UPDATE_STATS:
    case MAT_UPDATE_STATS_CLEAR:
    case MAT_UPDATE_SUBSCRIBE:
    case MAT_UPDATE_BARRIER:
        break;
    default:
        return MAT_UPDATE_BAD_TYPE;
    }
    return (header->kind && !kind ? MAT_UPDATE_BAD_KIND
            : header->cursor && !cursor ? MAT_UPDATE_BAD_CURSOR
            : header->count && !operations ? MAT_UPDATE_BAD_COUNT
            : MAT_UPDATE_GOOD);
}
