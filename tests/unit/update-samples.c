/* SPDX-License-Identifier: Apache-2.0 */
#include "update-samples.h"

#include <stdlib.h>

struct mat_addr
sample_addr(const char *s)
{
    struct mat_addr addr;

    if (!mat_addr_parse(s, &addr)) {
        abort();
    }
    return addr;
}

struct mat_mac
sample_mac(const char *s)
{
    struct mat_mac mac;

    if (!mat_mac_parse(s, &mac)) {
        abort();
    }
    return mac;
}

static void
sample_entry(struct mat_op *op, enum mat_state state, bool v6)
{
    struct mat_entry *e = &op->entry;

    op->type = MAT_OP_ENTRY_PUT;
    e->zone = 7;
    e->hoa = sample_addr(v6 ? "2001:db8::1" : "10.0.0.1");
    e->moa = sample_addr(v6 ? "2001:db8:1::10" : "172.16.1.10");
    e->plen = v6 ? 128 : 32;
    e->state = state;
    e->mac = sample_mac("02:00:00:00:00:01");
    if (state == MAT_STATE_LOCAL) {
        memcpy(e->port, "vm1", 4);
        e->hold = true;
    } else if (state == MAT_STATE_REMOTE) {
        e->nexthop = 65534;
        e->accessed = true;
    }
}

static void
sample_zone(struct mat_op *op, unsigned int n_subnets)
{
    op->type = MAT_OP_ZONE_PUT;
    op->zone.zone = MAT_ZONE_MAX;
    op->zone.outside = n_subnets;
    op->zone.outside_nexthop = (uint16_t) n_subnets;
    op->zone.n_subnets = (uint8_t) n_subnets;
    for (unsigned int i = 0; i < n_subnets; i++) {
        struct mat_subnet *s = &op->zone.subnets[i];

        s->prefix = sample_addr(i % 2 ? "2001:db8::" : "10.0.0.0");
        s->plen = (uint8_t) (i % 2 ? 64 : 24);
        s->gateway = sample_addr(i % 2 ? "2001:db8::fe" : "10.0.0.254");
    }
}

static void
sample_port(struct mat_op *op, enum mat_port_role role)
{
    op->type = MAT_OP_PORT_PUT;
    memset(op->port.name, 'p', MAT_PORT_NAME_SIZE - 1);
    op->port.role = role;
    op->port.mac = sample_mac("02:00:00:00:00:02");
    op->port.mtu = 9000;
    op->port.odp_port = role == MAT_PORT_VM ? MAT_TABLE_NO_PORT : 3;
}

static void
sample_nexthop(struct mat_op *op)
{
    op->type = MAT_OP_NEXTHOP_PUT;
    op->nexthop.id = 1;
    op->nexthop.src = sample_mac("02:00:00:00:00:03");
    op->nexthop.dst = sample_mac("02:00:00:00:00:04");
    op->nexthop.mtu = 1400;
}

static void
sample_pool(struct mat_op *op, bool own)
{
    op->type = MAT_OP_POOL_PUT;
    op->pool.prefix = sample_addr("172.16.0.0");
    op->pool.plen = 16;
    op->pool.own = own;
}

static void
sample_number(struct mat_op *op)
{
    op->type = MAT_OP_NUMBER;
    memcpy(op->number.name, "update.messages", 16);
    op->number.value = UINT64_MAX - 1;
}

/* All the others. */
static bool
sample_rest(unsigned int i, struct mat_op *op)
{
    static const uint8_t frame[60] = { 1, 2, 3 };

    switch (i) {
    case 0:
        sample_entry(op, MAT_STATE_LOCAL, false);
        memset(op->entry.port, 0, sizeof op->entry.port);
        memset(&op->entry.mac, 0, sizeof op->entry.mac);
        op->entry.state = 0;
        op->entry.hold = false;
        op->type = MAT_OP_ENTRY_REMOVE;
        return true;
    case 1:
        op->type = MAT_OP_HOLD;
        op->entry.hoa = sample_addr("10.0.0.1");
        op->entry.hold = true;
        return true;
    case 2:
    case 3:
        op->type = i == 2 ? MAT_OP_RELEASE : MAT_OP_DISCARD;
        op->held.zone = 3;
        op->held.addr = sample_addr("10.0.0.9");
        return true;
    case 4:
        op->type = MAT_OP_PORT_REMOVE;
        memcpy(op->port.name, "vm1", 4);
        return true;
    case 5:
        op->type = MAT_OP_NEXTHOP_REMOVE;
        op->nexthop.id = 9;
        return true;
    case 6:
        op->type = MAT_OP_ZONE_REMOVE;
        op->zone.zone = 7;
        return true;
    case 7:
        sample_pool(op, false);
        op->type = MAT_OP_POOL_REMOVE;
        return true;
    case 8:
        op->type = MAT_OP_INJECT;
        memcpy(op->inject.port, "vm1", 4);
        op->inject.frame = frame;
        op->inject.size = sizeof frame;
        return true;
    case 9:
        sample_entry(op, MAT_STATE_LOCAL, true);
        op->entry.former = sample_addr("2001:db8:2::10");
        return true;
    case 10:
        sample_nexthop(op);
        op->nexthop.is_behind = true;
        return true;
    default:
        return false;
    }
}

bool
update_sample(unsigned int i, struct mat_op *op)
{
    memset(op, 0, sizeof *op);
    if (i < 8) {
        sample_entry(op, (enum mat_state) (1 + i / 2), i % 2);
    } else if (i < 8 + 1 + MAT_ZONE_SUBNETS_MAX) {
        sample_zone(op, i - 8);
    } else if (i < 19) {
        sample_port(op, (enum mat_port_role) (i - 16));
    } else if (i < 20) {
        sample_nexthop(op);
    } else if (i < 22) {
        sample_pool(op, i == 21);
    } else if (i < 23) {
        sample_number(op);
    } else {
        return sample_rest(i - 23, op);
    }
    return true;
}

bool
update_equal(const struct mat_op *a, const struct mat_op *b)
{
    if (a->type != b->type) {
        return false;
    }
    if (a->type == MAT_OP_INJECT) {
        return !strcmp(a->inject.port, b->inject.port)
               && a->inject.size == b->inject.size
               && !memcmp(a->inject.frame, b->inject.frame, a->inject.size);
    }
    if (a->type == MAT_OP_TEXT) {
        return a->text.size == b->text.size
               && !memcmp(a->text.s, b->text.s, a->text.size);
    }
    return !memcmp(a, b, sizeof *a);
}
