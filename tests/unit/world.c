/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mat-packet.h"
#include "table-config.h"

static void
world_emit(void *w_, uint32_t odp_port, const void *frame, size_t size)
{
    struct world *w = w_;

    assert_true(w->n_emitted < EMITTED_MAX);
    memcpy(w->emitted[w->n_emitted], frame, size);
    w->emitted_size[w->n_emitted++] = size;
    w->emitted_port = odp_port;
}

static bool
world_hold(void *w_, size_t i, const struct mat_hold_key *key)
{
    struct world *w = w_;

    (void) i;
    w->n_held++;
    w->key = *key;
    return w->can_hold;
}

static void
world_event(void *w_, const struct mat_event *event)
{
    struct world *w = w_;

    w->n_events++;
    w->event = *event;
}

/* The MAC of whoever ends with 'n' in zone 'zone'. */
struct mat_mac
world_mac(uint32_t zone, uint8_t n)
{
    return (struct mat_mac) { { 0x02, (uint8_t) zone, 0, 0, 0, n } };
}

const struct mat_mac router_mac = { { 0x02, 0xee, 0, 0, 0, 1 } };
const struct mat_mac uplink_mac = { { 0x02, 0xee, 0, 0, 0, 2 } };
const struct mat_mac gateway_mac = MAT_GATEWAY_MAC;

void
world_put(struct world *w, enum mat_state state, uint32_t zone,
          const char *hoa,
    const char *moa, uint8_t n, const char *port)
{
    struct mat_entry e = {
        .zone = zone,
        .hoa = test_addr(hoa),
        .moa = test_addr(moa),
        .state = state,
        .mac = world_mac(zone, n),
        .nexthop = state == MAT_STATE_REMOTE ? 1 : 0,
    };

    e.plen = (uint8_t) mat_addr_bits(&e.hoa);
    snprintf(e.port, sizeof e.port, "%s", port);
    assert_int_equal(mat_table_put(w->table, &e), MAT_TABLE_OK);
}

static void
add_pool(struct world *w, const char *prefix, bool own)
{
    struct mat_pool pool = { .own = own };
    unsigned int plen;

    assert_true(mat_prefix_parse(prefix, &pool.prefix, &plen));
    pool.plen = (uint8_t) plen;
    assert_int_equal(mat_table_put_pool(w->table, &pool), MAT_TABLE_OK);
}

static void
set_zone(struct world *w, uint32_t number, bool outside)
{
    struct mat_zone zone = {
        .zone = number,
        .outside = outside,
        .outside_nexthop = outside ? 1 : 0,
        .n_subnets = 3,
        .subnets = {
            { test_addr("10.0.0.0"), 24, test_addr("10.0.0.254") },
            { test_addr("10.0.1.0"), 24, test_addr("10.0.1.254") },
            { test_addr("2001:db8::"), 64, test_addr("2001:db8::fe") },
        },
    };

    assert_int_equal(mat_table_put_zone(w->table, &zone), MAT_TABLE_OK);
}

void
world_attach(struct world *w, const char *name, uint32_t odp_port,
             uint16_t mtu)
{
    mat_table_port_attached(w->table, name, odp_port, &uplink_mac, mtu);
}

int
world_setup(void **state)
{
    const struct mat_nexthop hop = { 1, uplink_mac, router_mac, 1500, false };
    const struct mat_port uplink = {
        .name = "eth0", .role = MAT_PORT_UPLINK
    };
    struct world *w = calloc(1, sizeof *w);

    w->table = test_table_create();
    w->thread = calloc(1, sizeof *w->thread);
    w->can_hold = true;
    world_attach(w, "eth0", UPLINK, 1500);
    world_attach(w, "vm1", VM1, 1500);
    world_attach(w, "vm2", VM2, 1500);
    world_attach(w, "vm3", VM3, 1500);
    assert_int_equal(mat_table_put_port(w->table, &uplink), MAT_TABLE_OK);
    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.1", "172.16.1.1", 1, "vm1");
    world_put(w, MAT_STATE_LOCAL, 7, "2001:db8::1", "2001:db8:1::1", 1, "vm1");
    world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.2", "172.16.1.2", 2, "vm2");
    world_put(w, MAT_STATE_LOCAL, 7, "2001:db8::2", "2001:db8:1::2", 2, "vm2");
    world_put(w, MAT_STATE_LOCAL, 8, "10.0.0.1", "172.16.1.3", 1, "vm3");
    world_put(w, MAT_STATE_REMOTE, 7, "10.0.0.5", "172.16.2.5", 5, "");
    world_put(w, MAT_STATE_REMOTE, 7, "2001:db8::5", "2001:db8:2::5", 5, "");
    world_put(w, MAT_STATE_REMOTE, 7, "10.0.1.6", "172.16.2.6", 6, "");
    world_put(w, MAT_STATE_REMOTE, 8, "10.0.0.5", "172.16.2.7", 5, "");
    world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.8", "172.16.1.8", 8, "vm2");
    world_put(w, MAT_STATE_REMOTE, 7, "10.0.0.8", "172.16.2.8", 8, "");
    add_pool(w, "172.16.1.0/24", true);
    add_pool(w, "172.16.2.0/24", false);
    set_zone(w, 7, false);
    set_zone(w, 8, true);
    *state = w;
    return 0;
}

int
world_teardown(void **state)
{
    struct world *w = *state;

    mat_table_destroy(w->table);
    free(w->thread);
    free(w);
    return 0;
}

/* Runs one frame; only with 'fast' may the fast path have it. */
struct mat_frame
world_run(struct world *w, uint8_t *data, size_t size, uint16_t l3_ofs,
    uint32_t word, uint32_t in_port, bool fast)
{
    const struct mat_switch_io io = {
        world_emit, world_hold, world_event, w
    };
    const struct mat_switch_call call = {
        .table = w->table,
        .thread = w->thread,
        .io = &io,
        .word = word,
        .in_port = in_port,
        .now_ms = 100000,
        .dry_run = w->dry_run,
    };
    struct mat_frame f = {
        .data = data,
        .size = (uint32_t) size,
        .l3_ofs = fast ? l3_ofs : MAT_FRAME_NO_L3,
    };

    w->n_emitted = w->n_held = w->n_events = 0;
    mat_switch(&call, &f, 1);
    return f;
}

void
set_addrs(struct frame_spec *spec, const char *src, const char *dst)
{
    struct mat_addr s = test_addr(src), d = test_addr(dst);
    bool v4 = mat_addr_is_v4(&s);

    spec->v6 = !v4;
    memcpy(spec->addrs.src, &s.b[v4 ? 12 : 0], v4 ? 4 : 16);
    memcpy(spec->addrs.dst, &d.b[v4 ? 12 : 0], v4 ? 4 : 16);
}

struct frame_spec
udp(const char *src, const char *dst)
{
    struct frame_spec spec = {
        .proto = MAT_PROTO_UDP, .ttl = 64, .payload_size = 40, .seed = 3
    };

    set_addrs(&spec, src, dst);
    return spec;
}

void
world_compose(const struct frame_spec *spec, struct mat_mac src,
              struct mat_mac dst,
        struct frame *frame)
{
    frame_compose(spec, frame);
    memcpy(frame->data, dst.ea, 6);
    memcpy(frame->data + 6, src.ea, 6);
}

/* Sends 'spec' by the fast path if it can, and by the slow one, and checks
 * that both say 'verdict' and leave the same bytes, which are those of
 * 'expected' between 'src' and 'dst' unless that is null. */
struct mat_frame
world_check(struct world *w, const struct frame_spec *spec,
            struct mat_mac eth_src,
      struct mat_mac eth_dst, uint32_t word, uint32_t in_port,
      enum mat_verdict verdict)
{
    static struct frame fast, slow;
    struct mat_frame f, g;

    world_compose(spec, eth_src, eth_dst, &fast);
    slow = fast;
    f = world_run(w, guarded_copy(fast.data, fast.size), fast.size,
                  fast.l3_ofs,
            word, in_port, true);
    memcpy(fast.data, f.data, fast.size);
    g = world_run(w, slow.data, slow.size, slow.l3_ofs, word, in_port, false);
    assert_string_equal(mat_verdict_name(f.verdict),
                        mat_verdict_name(verdict));
    assert_int_equal(g.verdict, verdict);
    assert_int_equal(f.fate, g.fate);
    if (f.fate == MAT_DELIVER) {
        assert_int_equal(f.odp_port, g.odp_port);
    }
    assert_memory_equal(fast.data, slow.data, fast.size);
    f.data = slow.data;
    return f;
}

/* Is 'f' what 'spec' looks like between these MACs? */
void
assert_frame(const struct mat_frame *f, const struct frame_spec *spec,
             struct mat_mac eth_src, struct mat_mac eth_dst)
{
    static struct frame expected;

    world_compose(spec, eth_src, eth_dst, &expected);
    assert_int_equal(f->size, expected.size);
    assert_memory_equal(f->data, expected.data, expected.size);
}
