/* SPDX-License-Identifier: Apache-2.0 */

/* Feeds the agent a sequence of inputs: events with any content, hints, items
 * of dumps, claims, ports, routes, time, restarts of the switch.
 *
 * Addresses come from a small world, so that they meet.  Whatever comes, the
 * outputs must end, every operation must be one that the update socket's codec
 * accepts, and no MoA may be wanted for two home addresses. */

#include <stdlib.h>

#include "mat-agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

enum { INPUTS_MAX = 400, OUTPUTS_MAX = 100000, ZONE = 7 };

struct input {
    const uint8_t *data;
    size_t left;
};

static uint8_t
take(struct input *in)
{
    if (!in->left) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

static void
take_bytes(struct input *in, void *to, size_t size)
{
    uint8_t *p = to;

    while (size--) {
        *p++ = take(in);
    }
}

/* The world. */

static struct mat_addr
take_hoa(struct input *in)
{
    uint8_t b = take(in), v4[4] = { 10, 0, 0, b & 15 };
    uint8_t v6[16] = { 0xfd, [15] = b & 15 };

    return b & 16 ? mat_addr_from_v6(v6) : mat_addr_from_v4(v4);
}

/* One that is like 'hoa'; of this host for small numbers. */
static struct mat_addr
take_moa(struct input *in, const struct mat_addr *hoa)
{
    uint8_t b = take(in), v4[4] = { 172, 16, b >> 4 & 3, 64 + (b & 15) };
    uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8, [7] = b >> 4 & 3, [15] = b & 15 };

    return (mat_addr_is_v4(hoa) ? mat_addr_from_v4(v4)
            : mat_addr_from_v6(v6));
}

static struct mat_mac
take_mac(struct input *in)
{
    return (struct mat_mac) { { 2, [5] = take(in) & 7 } };
}

static const char *
take_port(struct input *in)
{
    static const char *const names[] = { "vm0", "vm1", "vm2", "eth0" };

    return names[take(in) & 3];
}

static void
copy_port(struct input *in, char name[MAT_PORT_NAME_SIZE])
{
    const char *port = take_port(in);

    memset(name, 0, MAT_PORT_NAME_SIZE);
    memcpy(name, port, strlen(port));
}

/* Inputs. */

static void
feed_event(struct mat_agent *a, struct input *in, int64_t now_us)
{
    struct mat_event event = {
        .zone = ZONE, .type = take(in) % (MAT_N_EVENTS + 1),
        .odp_port = take(in) & 7, .time_ns = (uint64_t) now_us * 1000,
        .suppressed = take(in)
    };
    const char *port;

    event.addr = take_hoa(in);
    if (event.type == MAT_EVENT_REDIRECTED) {
        event.addr = take_moa(in, &event.addr);
    }
    if (event.type >= MAT_EVENT_PORT_ATTACHED) {
        port = take_port(in);
        event.head_size = (uint16_t) strlen(port);
        memcpy(event.head, port, event.head_size);
    } else {
        event.head_size = take(in) % (MAT_EVENT_HEAD_SIZE + 1);
        take_bytes(in, event.head, event.head_size);
    }
    mat_agent_event(a, now_us, &event);
}

static void
feed_hint(struct mat_agent *a, struct input *in, int64_t now_us)
{
    uint8_t flags = take(in);
    struct mat_agent_hint hint = {
        .kind = (enum mat_agent_hint_kind) (take(in) % 8 % 7),
        .zone = ZONE, .has_hoa = flags & 1, .has_mac = flags & 2,
        .any_zone = flags & 4
    };

    hint.hoa = take_hoa(in);
    hint.mac = take_mac(in);
    if (flags & 8) {
        copy_port(in, hint.port);
    }
    mat_agent_hint(a, now_us, &hint);
}

static void
feed_port(struct mat_agent *a, struct input *in, int64_t now_us)
{
    const char *name = take_port(in);
    uint8_t flags = take(in);
    struct mat_agent_port_config config = {
        .enabled = true, .zone = ZONE + (flags >> 7), .has_mac = flags & 1
    };

    config.mac = take_mac(in);
    if (flags & 2) {
        config.hoas[config.n_hoas++] = take_hoa(in);
    }
    if (flags & 4) {
        mat_agent_port(a, now_us, name, &config, 0, flags & 8);
    } else {
        mat_agent_port_removed(a, now_us, name);
    }
}

static void
feed_claim(struct mat_agent *a, struct input *in, int64_t now_us)
{
    uint8_t flags = take(in), body[MAT_VMN_BODY_SIZE];
    struct mat_addr hoa = take_hoa(in), moa = take_moa(in, &hoa);
    struct mat_mac mac = take_mac(in);
    struct mat_claim claim = {
        .key = mat_key_vmn(ZONE, &hoa, mat_addr_bits(&hoa)),
        .version = { take(in), 1, 1 + (flags >> 4 & 3) },
        .state = flags & 1 ? MAT_CLAIM_LIVE : MAT_CLAIM_GONE,
        .body = body, .body_size = sizeof body
    };
    struct mat_output out = { .kind = MAT_OUT_APPLY, .claim = &claim };

    mat_vmn_body(body, &moa, &mac);
    if (flags & 2) {
        claim.key = mat_key_prep(&claim.key, claim.version.host);
    } else if (flags & 4) {
        claim.key = mat_key_pool(&moa, flags & 8 ? 24 : 16);
    }
    out.key = claim.key;
    if (flags & 64) {
        out.claim = NULL;
    }
    if (flags & 128) {
        out.kind = MAT_OUT_VMN;
        out.event = (enum mat_vmn_event) (take(in) % 5);
    }
    mat_agent_gossip(a, now_us, &out);
}

static void
feed_item(struct mat_agent *a, struct input *in, int64_t now_us)
{
    enum mat_update_dump kind
        = (enum mat_update_dump) (1 + take(in) % MAT_UPDATE_DUMP_POOLS);
    struct mat_op op = { .type = MAT_OP_ENTRY_PUT };
    struct mat_entry *e = &op.entry;

    switch (kind) {
    case MAT_UPDATE_DUMP_ENTRIES:
    case MAT_UPDATE_DUMP_HARVEST:
        e->zone = ZONE;
        e->hoa = take_hoa(in);
        e->moa = take_moa(in, &e->hoa);
        e->plen = (uint8_t) mat_addr_bits(&e->hoa);
        e->state = (enum mat_state) (1 + take(in) % 4);
        e->mac = take_mac(in);
        e->nexthop = take(in) & 7;
        e->accessed = true;
        if (e->state == MAT_STATE_LOCAL || take(in) & 1) {
            copy_port(in, e->port);
        }
        break;
    case MAT_UPDATE_DUMP_PORTS:
        copy_port(in, op.port.name);
        op.port.role = take(in) & 1 ? MAT_PORT_VM : MAT_PORT_UPLINK;
        op.port.odp_port = take(in) & 7;
        break;
    case MAT_UPDATE_DUMP_NEXTHOPS:
        op.nexthop.id = take(in) & 7;
        op.nexthop.dst = take_mac(in);
        break;
    case MAT_UPDATE_DUMP_ZONES:
        op.zone.zone = ZONE + (take(in) & 3);
        break;
    case MAT_UPDATE_DUMP_POOLS:
        op.pool.prefix = take_hoa(in);
        op.pool.plen = (uint8_t) mat_addr_bits(&op.pool.prefix);
        break;
    }
    mat_agent_dump_item(a, now_us, kind, &op);
}

static void
feed_route(struct mat_agent *a, struct input *in, int64_t now_us)
{
    struct mat_agent_pool_view pool;
    struct mat_agent_route route = { .dst = take_mac(in), .mtu = 1500 };
    size_t cursor = 0;
    uint8_t n = take(in);

    while (n-- && mat_agent_next_pool(a, &cursor, &pool)) {
        mat_agent_route(a, now_us, pool.route_id, n & 1 ? &route : NULL);
    }
}

/* Checks. */

static void
check_op(const struct mat_op *op)
{
    static uint8_t buffer[MAT_UPDATE_MESSAGE_MAX];
    const struct mat_update_header header = { .type = MAT_UPDATE_BATCH };
    struct mat_update_header back;
    struct mat_update_writer w;
    struct mat_update_reader r;
    uint64_t bad;
    size_t size;

    mat_update_begin(&w, buffer, sizeof buffer);
    CHECK(mat_update_add(&w, op));
    size = mat_update_end(&w, &header);
    CHECK(mat_update_open(&r, &back, buffer, size, &bad) == MAT_UPDATE_GOOD);
    if (op->type == MAT_OP_ENTRY_PUT) {
        CHECK((op->entry.state == MAT_STATE_LOCAL) <= (op->entry.port[0]
                                                       != 0));
        CHECK((op->entry.state == MAT_STATE_REMOTE) == (op->entry.nexthop
                                                        != 0));
        CHECK(!op->entry.hold || op->entry.port[0]);
    }
}

static void
drain(struct mat_agent *a, int64_t now_us)
{
    struct mat_agent_output out;
    uint64_t sequence = 0;
    unsigned int n = 0;

    while (mat_agent_next(a, &out)) {
        CHECK(n++ < OUTPUTS_MAX);
        if (out.kind == MAT_AGENT_SWITCH) {
            check_op(&out.op);
            sequence = out.sequence;
        } else if (out.kind == MAT_AGENT_LOG) {
            CHECK(strlen(out.text) < MAT_AGENT_TEXT_SIZE);
        }
    }
    if (sequence) {
        mat_agent_acked(a, now_us, sequence);
    }
}

static void
end_dumps(struct mat_agent *a, int64_t now_us)
{
    for (int i = 1; i <= MAT_UPDATE_DUMP_POOLS; i++) {
        mat_agent_dump_end(a, now_us, (enum mat_update_dump) i);
    }
}

static void
feed(struct mat_agent *a, struct input *in, int64_t *now_us)
{
    switch (take(in) % 12) {
    case 0:
    case 1:
        feed_event(a, in, *now_us);
        break;
    case 2:
        feed_hint(a, in, *now_us);
        break;
    case 3:
        feed_port(a, in, *now_us);
        break;
    case 4:
    case 5:
        feed_claim(a, in, *now_us);
        break;
    case 6:
    case 7:
        feed_item(a, in, *now_us);
        break;
    case 8:
        end_dumps(a, *now_us);
        break;
    case 9:
        feed_route(a, in, *now_us);
        break;
    case 10:
        *now_us += INT64_C(1) << (take(in) % 28);
        mat_agent_tick(a, *now_us);
        break;
    default:
        mat_agent_switch_lost(a, *now_us);
        mat_agent_switch_connected(a, *now_us, take(in));
        break;
    }
}

static struct mat_agent *
create(int64_t now_us)
{
    struct mat_moa_uplink uplink = {
        .name = "eth0", .up = true, .mac = { { 2, 1 } }, .n_subnets = 1,
        .subnets = { { .plen = 24 } }
    };
    struct mat_agent_config config;
    char error[MAT_MOA_TEXT_MAX];
    struct mat_agent *a;

    mat_agent_config_default(&config);
    mat_addr_parse("172.16.0.1", &uplink.subnets[0].addr);
    CHECK(mat_moa_parse("172.16.0.64/26", false, &config.pools[0], error));
    CHECK(mat_moa_parse("routed:2001:db8::/120", true, &config.pools[1],
                        error));
    a = mat_agent_create(5, &config, now_us);
    mat_agent_uplink(a, now_us, &uplink, 1500);
    return a;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    int64_t now_us = 1000000;
    struct mat_agent *a = create(now_us);
    int ready_at = take(&in) % 8;

    for (int i = 0; i < INPUTS_MAX && in.left; i++) {
        if (i == ready_at) {
            mat_agent_ready(a, now_us);
        }
        feed(a, &in, &now_us);
        drain(a, now_us);
    }
    mat_agent_destroy(a);
    return 0;
}
