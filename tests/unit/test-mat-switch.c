/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch.h"
#include "mat-table-read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-packet.h"
#include "mat-reply.h"

/* The switch: one host with VMNs on ports 1 and 2 of zone 7, one on port 3 of
 * zone 8, and an uplink on port 9; others elsewhere.
 *
 *   zone  HoA                    MoA           where
 *   7     10.0.0.1, 2001:db8::1  172.16.1.1    port 1 (vm1)
 *   7     10.0.0.2, 2001:db8::2  172.16.1.2    port 2 (vm2)
 *   8     10.0.0.1               172.16.1.3    port 3 (vm3)
 *   7     10.0.0.5, 2001:db8::5  172.16.2.5    remote
 *   7     10.0.1.6               172.16.2.6    remote, another HoA subnet
 *   8     10.0.0.5               172.16.2.7    remote
 *   7     10.0.0.8               172.16.1.8    departed, now 172.16.2.8
 */

enum { VM1 = 1, VM2, VM3, UPLINK = 9, OUT7 = 7, OUT8 = 8 };

enum { EMITTED_MAX = 4 };

struct world {
    struct mat_table *table;
    struct mat_switch_thread *thread;
    bool can_hold;
    bool dry_run;

    /* What the last call did besides. */
    unsigned int n_emitted, n_held, n_events;
    uint32_t emitted_port;
    uint8_t emitted[EMITTED_MAX][FRAME_SIZE_MAX];
    size_t emitted_size[EMITTED_MAX];
    struct mat_hold_key key;
    struct mat_event event;
};

static void *
table_alloc(size_t size)
{
    void *p;

    return posix_memalign(&p, 64, size) ? NULL : memset(p, 0, size);
}

static void
table_free(void *p, size_t size)
{
    (void) size;
    free(p);
}

static void
synchronize(void *aux)
{
    (void) aux;
}

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

static struct mat_addr
addr(const char *text)
{
    struct mat_addr a;

    assert_true(mat_addr_parse(text, &a));
    return a;
}

/* The MAC of whoever ends with 'n' in zone 'zone'. */
static struct mat_mac
mac(uint32_t zone, uint8_t n)
{
    return (struct mat_mac) { { 0x02, (uint8_t) zone, 0, 0, 0, n } };
}

static const struct mat_mac router_mac = { { 0x02, 0xee, 0, 0, 0, 1 } };
static const struct mat_mac uplink_mac = { { 0x02, 0xee, 0, 0, 0, 2 } };
static const struct mat_mac gateway_mac = MAT_GATEWAY_MAC;

static void
put(struct world *w, enum mat_state state, uint32_t zone, const char *hoa,
    const char *moa, uint8_t n, const char *port)
{
    struct mat_entry e = {
        .zone = zone,
        .hoa = addr(hoa),
        .moa = addr(moa),
        .state = state,
        .mac = mac(zone, n),
        .nexthop = state == MAT_STATE_REMOTE ? 1 : 0,
    };

    e.plen = (uint8_t) mat_addr_bits(&e.hoa);
    strcpy(e.port, port);
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
            { addr("10.0.0.0"), 24, addr("10.0.0.254") },
            { addr("10.0.1.0"), 24, addr("10.0.1.254") },
            { addr("2001:db8::"), 64, addr("2001:db8::fe") },
        },
    };

    assert_int_equal(mat_table_put_zone(w->table, &zone), MAT_TABLE_OK);
}

static void
attach(struct world *w, const char *name, uint32_t odp_port, uint16_t mtu)
{
    mat_table_port_attached(w->table, name, odp_port, &uplink_mac, mtu);
}

static int
setup(void **state)
{
    const struct mat_table_config config = {
        .seed = { 11, 13 },
        .alloc = table_alloc,
        .free = table_free,
        .synchronize = synchronize,
    };
    const struct mat_nexthop hop = { 1, uplink_mac, router_mac, 1500 };
    const struct mat_port uplink = {
        .name = "eth0", .role = MAT_PORT_UPLINK
    };
    struct world *w = calloc(1, sizeof *w);

    w->table = mat_table_create(&config);
    w->thread = calloc(1, sizeof *w->thread);
    w->can_hold = true;
    attach(w, "eth0", UPLINK, 1500);
    attach(w, "vm1", VM1, 1500);
    attach(w, "vm2", VM2, 1500);
    attach(w, "vm3", VM3, 1500);
    assert_int_equal(mat_table_put_port(w->table, &uplink), MAT_TABLE_OK);
    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    put(w, MAT_STATE_LOCAL, 7, "10.0.0.1", "172.16.1.1", 1, "vm1");
    put(w, MAT_STATE_LOCAL, 7, "2001:db8::1", "2001:db8:1::1", 1, "vm1");
    put(w, MAT_STATE_LOCAL, 7, "10.0.0.2", "172.16.1.2", 2, "vm2");
    put(w, MAT_STATE_LOCAL, 7, "2001:db8::2", "2001:db8:1::2", 2, "vm2");
    put(w, MAT_STATE_LOCAL, 8, "10.0.0.1", "172.16.1.3", 1, "vm3");
    put(w, MAT_STATE_REMOTE, 7, "10.0.0.5", "172.16.2.5", 5, "");
    put(w, MAT_STATE_REMOTE, 7, "2001:db8::5", "2001:db8:2::5", 5, "");
    put(w, MAT_STATE_REMOTE, 7, "10.0.1.6", "172.16.2.6", 6, "");
    put(w, MAT_STATE_REMOTE, 8, "10.0.0.5", "172.16.2.7", 5, "");
    put(w, MAT_STATE_LOCAL, 7, "10.0.0.8", "172.16.1.8", 8, "vm2");
    put(w, MAT_STATE_REMOTE, 7, "10.0.0.8", "172.16.2.8", 8, "");
    add_pool(w, "172.16.1.0/24", true);
    add_pool(w, "172.16.2.0/24", false);
    set_zone(w, 7, false);
    set_zone(w, 8, true);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    mat_table_destroy(w->table);
    free(w->thread);
    free(w);
    return 0;
}

/* Runs one frame; only with 'fast' may the fast path have it. */
static struct mat_frame
run(struct world *w, uint8_t *data, size_t size, uint16_t l3_ofs,
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

static void
set_addrs(struct frame_spec *spec, const char *src, const char *dst)
{
    struct mat_addr s = addr(src), d = addr(dst);
    bool v4 = mat_addr_is_v4(&s);

    spec->v6 = !v4;
    memcpy(spec->addrs.src, &s.b[v4 ? 12 : 0], v4 ? 4 : 16);
    memcpy(spec->addrs.dst, &d.b[v4 ? 12 : 0], v4 ? 4 : 16);
}

static struct frame_spec
udp(const char *src, const char *dst)
{
    struct frame_spec spec = {
        .proto = MAT_PROTO_UDP, .ttl = 64, .payload_size = 40, .seed = 3
    };

    set_addrs(&spec, src, dst);
    return spec;
}

static void
compose(const struct frame_spec *spec, struct mat_mac src, struct mat_mac dst,
        struct frame *frame)
{
    frame_compose(spec, frame);
    memcpy(frame->data, dst.ea, 6);
    memcpy(frame->data + 6, src.ea, 6);
}

/* Sends 'spec' by the fast path if it can, and by the slow one, and checks
 * that both say 'verdict' and leave the same bytes, which are those of
 * 'expected' between 'src' and 'dst' unless that is null. */
static struct mat_frame
check(struct world *w, const struct frame_spec *spec, struct mat_mac eth_src,
      struct mat_mac eth_dst, uint32_t word, uint32_t in_port,
      enum mat_verdict verdict)
{
    static struct frame fast, slow;
    struct mat_frame f, g;

    compose(spec, eth_src, eth_dst, &fast);
    slow = fast;
    f = run(w, guarded_copy(fast.data, fast.size), fast.size, fast.l3_ofs,
            word, in_port, true);
    memcpy(fast.data, f.data, fast.size);
    g = run(w, slow.data, slow.size, slow.l3_ofs, word, in_port, false);
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
static void
assert_frame(const struct mat_frame *f, const struct frame_spec *spec,
             struct mat_mac eth_src, struct mat_mac eth_dst)
{
    static struct frame expected;

    compose(spec, eth_src, eth_dst, &expected);
    assert_int_equal(f->size, expected.size);
    assert_memory_equal(f->data, expected.data, expected.size);
}

static const uint8_t protos[] = {
    MAT_PROTO_TCP, MAT_PROTO_UDP, MAT_PROTO_UDPLITE, MAT_PROTO_SCTP,
    MAT_PROTO_ICMP, 50
};

static void
translates_both_ways(void **state)
{
    static const char *const ends[][4] = {
        { "10.0.0.1", "10.0.0.5", "172.16.1.1", "172.16.2.5" },
        { "2001:db8::1", "2001:db8::5", "2001:db8:1::1", "2001:db8:2::5" },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof protos * 2; i++) {
        const char *const *e = ends[i % 2];
        struct frame_spec spec = udp(e[0], e[1]), moas = udp(e[2], e[3]);
        struct mat_frame f;

        spec.proto = moas.proto = protos[i / 2];
        spec.icmp_type = moas.icmp_type = 8;
        f = check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1,
                  MAT_V_TRANSLATED);
        assert_int_equal(f.fate, MAT_PASS);
        assert_frame(&f, &moas, uplink_mac, router_mac);

        set_addrs(&moas, e[3], e[2]);
        set_addrs(&spec, e[1], e[0]);
        f = check(w, &moas, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                  MAT_V_DELIVERED);
        assert_int_equal(f.fate, MAT_DELIVER);
        assert_int_equal(f.odp_port, VM1);
        assert_frame(&f, &spec, mac(7, 5), mac(7, 1));
    }
}

/* Every shape of packet, out and in again at another host that knows the same
 * MoAs, comes back as it was. */
static void
random_packets_come_back(void **state)
{
    struct world *w = *state;
    uint64_t random = 5;

    for (int i = 0; i < 20000; i++) {
        static struct frame frame, before;
        struct frame_spec spec, quoted;
        struct mat_frame f;
        bool fast = i % 2;

        random_spec(&random, &spec, &quoted);
        set_addrs(&spec, spec.v6 ? "2001:db8::1" : "10.0.0.1",
                  spec.v6 ? "2001:db8::5" : "10.0.0.5");
        spec.ttl = 64;
        compose(&spec, mac(7, 1), mac(7, 5), &frame);
        if (frame.end - frame.l3_ofs > 1400) {
            continue;
        }
        before = frame;
        f = run(w, frame.data, frame.size, frame.l3_ofs, OUT7, VM1, fast);
        if (f.verdict != MAT_V_TRANSLATED) {
            assert_memory_equal(frame.data, before.data, frame.size);
            continue;
        }
        /* Back, as an answer would come: swap the addresses of the table. */
        put(w, MAT_STATE_REMOTE, 7, "10.0.0.1", "172.16.1.1", 1, "");
        put(w, MAT_STATE_REMOTE, 7, "2001:db8::1", "2001:db8:1::1", 1, "");
        put(w, MAT_STATE_LOCAL, 7, "10.0.0.5", "172.16.2.5", 5, "vm2");
        put(w, MAT_STATE_LOCAL, 7, "2001:db8::5", "2001:db8:2::5", 5, "vm2");
        f = run(w, frame.data, frame.size, frame.l3_ofs, MAT_WORD_IN, UPLINK,
                fast);
        assert_string_equal(mat_verdict_name(f.verdict), "delivered");
        assert_memory_equal(frame.data, before.data, frame.size);
        put(w, MAT_STATE_LOCAL, 7, "10.0.0.1", "172.16.1.1", 1, "vm1");
        put(w, MAT_STATE_LOCAL, 7, "2001:db8::1", "2001:db8:1::1", 1, "vm1");
        put(w, MAT_STATE_REMOTE, 7, "10.0.0.5", "172.16.2.5", 5, "");
        put(w, MAT_STATE_REMOTE, 7, "2001:db8::5", "2001:db8:2::5", 5, "");
        mat_table_quiesce(w->table);
    }
}

static void
stays_on_the_host(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.2");
    struct mat_frame f;

    f = check(w, &spec, mac(7, 1), mac(7, 2), OUT7, VM1, MAT_V_LOCAL);
    assert_int_equal(f.fate, MAT_DELIVER);
    assert_int_equal(f.odp_port, VM2);
    assert_frame(&f, &spec, mac(7, 1), mac(7, 2));

    /* By the gateway: a hop. */
    f = check(w, &spec, mac(7, 1), gateway_mac, OUT7, VM1, MAT_V_LOCAL);
    spec.ttl--;
    assert_frame(&f, &spec, gateway_mac, mac(7, 2));

    spec = udp("2001:db8::1", "2001:db8::2");
    f = check(w, &spec, mac(7, 1), mac(7, 2), OUT7, VM1, MAT_V_LOCAL);
    assert_int_equal(f.odp_port, VM2);
}

static void
explicit_only_rewrites(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.2");
    struct frame_spec in = udp("172.16.2.5", "172.16.1.1");
    struct mat_frame f;

    f = check(w, &spec, mac(7, 1), mac(7, 2), OUT7 | MAT_WORD_EXPLICIT, VM1,
              MAT_V_LOCAL);
    assert_int_equal(f.fate, MAT_PASS);
    f = check(w, &in, router_mac, uplink_mac, MAT_WORD_IN | MAT_WORD_EXPLICIT,
              UPLINK, MAT_V_DELIVERED);
    assert_int_equal(f.fate, MAT_PASS);
    spec = udp("10.0.0.5", "10.0.0.1");
    assert_frame(&f, &spec, mac(7, 5), mac(7, 1));

    /* Broadcasts are the pipeline's. */
    spec = udp("10.0.0.1", "10.0.0.255");
    f = check(w, &spec, mac(7, 1),
              (struct mat_mac) { { 255, 255, 255, 255, 255, 255 } },
              OUT7 | MAT_WORD_EXPLICIT, VM1, MAT_V_NOT_OURS);
    assert_int_equal(f.fate, MAT_PASS);
}

/* Between HoAs of one subnet TTLs stay, the gateway takes one. */
static void
only_the_gateway_counts_hops(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.5");
    struct frame_spec moas = udp("172.16.1.1", "172.16.2.5");
    struct mat_packet p;
    struct mat_frame f;

    spec.ttl = moas.ttl = 1;
    f = check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_TRANSLATED);
    assert_frame(&f, &moas, uplink_mac, router_mac);

    check(w, &spec, mac(7, 1), gateway_mac, OUT7, VM1, MAT_V_TTL);
    assert_int_equal(w->n_emitted, 1);
    assert_int_equal(w->emitted_port, VM1);
    assert_true(frame_is_right(w->emitted[0], w->emitted_size[0]));
    mat_packet_parse(&p, w->emitted[0], (uint32_t) w->emitted_size[0]);
    assert_int_equal(mat_packet_icmp_type(&p), 11);
    {
        struct mat_addr from = mat_packet_src(&p), want = addr("10.0.0.254");

        assert_true(mat_addr_equal(&from, &want));
    }

    /* To another HoA subnet. */
    spec = udp("10.0.0.1", "10.0.1.6");
    moas = udp("172.16.1.1", "172.16.2.6");
    f = check(w, &spec, mac(7, 1), gateway_mac, OUT7, VM1, MAT_V_TRANSLATED);
    moas.ttl--;
    assert_frame(&f, &moas, uplink_mac, router_mac);

    /* From there, shown with the gateway's MAC. */
    moas = udp("172.16.2.6", "172.16.1.1");
    f = check(w, &moas, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_DELIVERED);
    spec = udp("10.0.1.6", "10.0.0.1");
    assert_frame(&f, &spec, gateway_mac, mac(7, 1));
}

static void
vmns_speak_only_for_themselves(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.2", "10.0.0.5");

    /* Another's HoA; own HoA with another's MAC, from another port, in
     * another zone; nobody's HoA. */
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_SPOOF);
    assert_int_equal(w->event.type, MAT_EVENT_SPOOF);
    spec = udp("10.0.0.1", "10.0.0.5");
    check(w, &spec, mac(7, 2), mac(7, 5), OUT7, VM1, MAT_V_SPOOF);
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM2, MAT_V_SPOOF);
    check(w, &spec, mac(7, 1), mac(7, 5), OUT8, VM1, MAT_V_SPOOF);
    spec = udp("10.0.0.77", "10.0.0.5");
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_SPOOF);
    assert_int_equal(w->event.type, MAT_EVENT_NEW_SOURCE);

    /* From an uplink, or a port nobody knows, there are no VMNs. */
    spec = udp("10.0.0.1", "10.0.0.5");
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, UPLINK, MAT_V_PORT_UNKNOWN);
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, 55, MAT_V_PORT_UNKNOWN);

    /* A VMN that lives elsewhere speaks here: it has moved, so wait. */
    spec = udp("10.0.0.8", "10.0.0.5");
    check(w, &spec, mac(7, 8), mac(7, 5), OUT7, VM2, MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_SOURCE);
    w->can_hold = false;
    check(w, &spec, mac(7, 8), mac(7, 5), OUT7, VM2, MAT_V_SPOOF);
}

static void
the_underlay_is_not_trusted(void **state)
{
    struct world *w = *state;
    struct frame_spec spec;

    /* A HoA as a source. */
    spec = udp("10.0.0.5", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_SPOOF);
    /* A MoA of our own: that was redirected to where it came from, unless it
     * is of another zone. */
    spec = udp("172.16.1.2", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_DELIVERED);
    spec = udp("172.16.1.3", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_ZONE);
    /* Another zone's. */
    spec = udp("172.16.2.7", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_ZONE);
    /* In a pool, but not known: asked, never delivered as it is. */
    spec = udp("172.16.2.99", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_MOA);
    assert_int_equal(w->event.type, MAT_EVENT_MISS_MOA);
    w->can_hold = false;
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_MISS);
    /* The world outside, where the zone allows it or not. */
    spec = udp("198.51.100.1", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_FORBIDDEN);
    spec = udp("198.51.100.1", "172.16.1.3");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_OUTSIDE);
    /* Nobody's MoA, and the host's own traffic. */
    spec = udp("172.16.2.5", "172.16.1.200");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_UNASSIGNED);
    spec = udp("192.0.2.1", "192.0.2.2");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_NOT_OURS);
    /* Not from a VM's port. */
    spec = udp("172.16.2.5", "172.16.1.1");
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, VM1,
          MAT_V_PORT_UNKNOWN);
}

static void
outside_is_by_zone(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "198.51.100.1"), out;
    struct mat_frame f;

    check(w, &spec, mac(7, 1), gateway_mac, OUT7, VM1, MAT_V_FORBIDDEN);
    assert_int_equal(w->n_emitted, 1);
    f = check(w, &spec, mac(8, 1), gateway_mac, OUT8, VM3, MAT_V_OUTSIDE);
    assert_int_equal(f.fate, MAT_PASS);
    out = udp("172.16.1.3", "198.51.100.1");
    out.ttl--;
    assert_frame(&f, &out, uplink_mac, router_mac);

    /* A HoA of the zone that nobody knows is never sent outside. */
    spec = udp("10.0.0.99", "10.0.0.5");
    set_addrs(&spec, "10.0.0.1", "10.0.0.99");
    check(w, &spec, mac(8, 1), gateway_mac, OUT8, VM3, MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_HOA);
}

static void
late_packets_go_on(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("172.16.2.5", "172.16.1.8"), want;
    struct mat_frame f;

    f = check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_REDIRECTED);
    assert_int_equal(f.fate, MAT_DELIVER);
    assert_int_equal(f.odp_port, UPLINK);
    want = udp("172.16.2.5", "172.16.2.8");
    want.ttl--;
    assert_frame(&f, &want, uplink_mac, router_mac);
    assert_int_equal(w->event.type, MAT_EVENT_REDIRECTED);

    /* So no loop lives. */
    spec.ttl = 1;
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_TTL);

    /* It came back, with another MoA: delivered. */
    put(w, MAT_STATE_LOCAL, 7, "10.0.0.8", "172.16.1.9", 8, "vm2");
    spec.ttl = 64;
    f = check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_DELIVERED);
    want = udp("10.0.0.5", "10.0.0.8");
    assert_frame(&f, &want, mac(7, 5), mac(7, 8));
}

static void
waits_for_a_vmn_that_is_not_ready(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("172.16.2.5", "172.16.1.1");
    struct mat_addr hoa = addr("10.0.0.1"), moa = addr("172.16.1.1");

    assert_int_equal(mat_table_set_hold(w->table, 7, &hoa, &moa, true),
                     MAT_TABLE_OK);
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK, MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_VMN);
    assert_true(mat_addr_equal(&w->key.addr, &hoa));
    spec = udp("10.0.0.2", "10.0.0.1");
    check(w, &spec, mac(7, 2), mac(7, 1), OUT7, VM2, MAT_V_HELD);
    assert_int_equal(mat_table_set_hold(w->table, 7, &hoa, &moa, false),
                     MAT_TABLE_OK);
    check(w, &spec, mac(7, 2), mac(7, 1), OUT7, VM2, MAT_V_LOCAL);
    mat_table_port_detached(w->table, VM1);
    check(w, &spec, mac(7, 2), mac(7, 1), OUT7, VM2, MAT_V_PORT_GONE);
}

/* Who is told of the MTU, and with which address. */
static void
too_big_is_said(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.5");
    const struct mat_nexthop hop = { 1, uplink_mac, router_mac, 1000 };
    struct mat_packet p;
    struct mat_addr src;

    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    spec.payload_size = 1000;
    spec.frag = 0x4000;
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_TOO_BIG);
    assert_int_equal(w->n_emitted, 1);
    assert_true(frame_is_right(w->emitted[0], w->emitted_size[0]));
    mat_packet_parse(&p, w->emitted[0], (uint32_t) w->emitted_size[0]);
    assert_int_equal(mat_packet_icmp_type(&p), 3);
    assert_int_equal(mat_get_be16(mat_packet_l4(&p) + 6), 1000);

    /* Routers may fragment it if the sender says so. */
    spec.frag = 0;
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_TRANSLATED);

    /* On the way in, from the VMN's MoA. */
    attach(w, "vm1", VM1, 1000);
    spec = udp("2001:db8:2::5", "2001:db8:1::1");
    spec.payload_size = 1000;
    check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_TOO_BIG);
    assert_int_equal(w->emitted_port, UPLINK);
    mat_packet_parse(&p, w->emitted[0], (uint32_t) w->emitted_size[0]);
    src = mat_packet_src(&p);
    {
        struct mat_addr moa = addr("2001:db8:1::1");

        assert_true(mat_addr_equal(&src, &moa));
    }

    /* There are only so many at a time. */
    for (int i = 0; i < 1000; i++) {
        check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_TOO_BIG);
    }
    assert_int_equal(w->n_emitted, 0);
    assert_true(w->thread->n_errors_suppressed > 0);
}

/* An error of a router on the way is shown as the gateway's, what it quotes
 * with HoAs. */
static void
errors_of_routers_are_understood(void **state)
{
    struct world *w = *state;
    struct frame_spec quoted = udp("172.16.1.1", "172.16.2.5");
    struct frame_spec error = udp("192.0.2.33", "172.16.1.1"), want;
    struct mat_frame f;

    error.proto = MAT_PROTO_ICMP;
    error.icmp_type = 11;
    error.quoted = &quoted;
    error.quoted_max = 28;
    want = error;
    f = check(w, &error, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_DELIVERED);
    set_addrs(&want, "10.0.0.254", "10.0.0.1");
    set_addrs(&quoted, "10.0.0.1", "10.0.0.5");
    assert_frame(&f, &want, gateway_mac, mac(7, 1));

    /* A redirect of a router is not for the VMN. */
    error.icmp_type = 5;
    check(w, &error, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_FORBIDDEN);
    error.icmp_type = 11;

    /* About a packet that this VMN never sent. */
    set_addrs(&quoted, "172.16.1.2", "172.16.2.5");
    check(w, &error, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_FORBIDDEN);
}

static size_t
make_arp(uint8_t *p, uint16_t op, struct mat_mac sha, const char *spa,
         const char *tpa, bool broadcast)
{
    struct mat_addr s = addr(spa), t = addr(tpa);

    memset(p, 0, 60);
    memset(p, broadcast ? 255 : 2, 6);
    memcpy(p + 6, sha.ea, 6);
    memcpy(p + 12, op >= 3 ? "\x80\x35" : "\x08\x06", 2);
    memcpy(p + 14, "\0\1\x08\0\6\4\0", 7);
    p[21] = (uint8_t) op;
    memcpy(p + 22, sha.ea, 6);
    memcpy(p + 28, &s.b[12], 4);
    memcpy(p + 38, &t.b[12], 4);
    return 42;
}

static void
check_arp(struct world *w, uint32_t word, uint32_t in_port,
          struct mat_mac sha, const char *spa, const char *tpa,
          enum mat_verdict verdict, const struct mat_mac *answer)
{
    uint8_t *p = guarded(60);
    struct mat_frame f;

    make_arp(p, 1, sha, spa, tpa, true);
    f = run(w, p, 60, 14, word, in_port, true);
    assert_string_equal(mat_verdict_name(f.verdict),
                        mat_verdict_name(verdict));
    assert_int_equal(w->n_emitted, answer != NULL);
    if (answer) {
        assert_int_equal(w->emitted_port, in_port);
        assert_memory_equal(w->emitted[0] + 22, answer->ea, 6);
    }
}

static void
arp_is_answered_from_the_table(void **state)
{
    const struct mat_mac vm2 = mac(7, 2), remote = mac(7, 5);
    struct world *w = *state;

    check_arp(w, OUT7, VM1, mac(7, 1), "10.0.0.1", "10.0.0.2",
              MAT_V_ARP_ANSWERED, &vm2);
    check_arp(w, OUT7, VM1, mac(7, 1), "10.0.0.1", "10.0.0.5",
              MAT_V_ARP_ANSWERED, &remote);
    check_arp(w, OUT7, VM1, mac(7, 1), "10.0.0.1", "10.0.0.254",
              MAT_V_ARP_ANSWERED, &gateway_mac);
    check_arp(w, OUT7, VM1, mac(7, 1), "10.0.0.1", "10.0.0.77", MAT_V_MISS,
              NULL);
    assert_int_equal(w->event.type, MAT_EVENT_MISS_HOA);

    /* Probes: for what is taken, for its own, for what is free. */
    check_arp(w, OUT7, VM1, mac(7, 1), "0.0.0.0", "10.0.0.5",
              MAT_V_ARP_ANSWERED, &remote);
    check_arp(w, OUT7, VM1, mac(7, 1), "0.0.0.0", "10.0.0.1",
              MAT_V_ARP_IGNORED, NULL);
    check_arp(w, OUT7, VM1, mac(7, 1), "0.0.0.0", "10.0.0.77",
              MAT_V_ARP_IGNORED, NULL);
    assert_int_equal(w->event.type, MAT_EVENT_ARP_PROBE);

    /* Announcements: its own, somebody else's, of one that has moved. */
    check_arp(w, OUT7, VM1, mac(7, 1), "10.0.0.1", "10.0.0.1",
              MAT_V_ANNOUNCED, NULL);
    assert_int_equal(w->event.type, MAT_EVENT_GARP);
    check_arp(w, OUT7, VM1, mac(7, 1), "10.0.0.2", "10.0.0.2", MAT_V_SPOOF,
              NULL);
    check_arp(w, OUT7, VM2, mac(7, 1), "10.0.0.1", "10.0.0.1", MAT_V_SPOOF,
              NULL);
    check_arp(w, OUT7, VM2, mac(7, 8), "10.0.0.8", "10.0.0.8",
              MAT_V_ANNOUNCED, NULL);

    /* The underlay asks for our MoAs: live, departed, another host's. */
    check_arp(w, MAT_WORD_IN, UPLINK, router_mac, "172.16.1.254",
              "172.16.1.1", MAT_V_ARP_ANSWERED, &uplink_mac);
    check_arp(w, MAT_WORD_IN, UPLINK, router_mac, "172.16.1.254",
              "172.16.1.8", MAT_V_ARP_ANSWERED, &uplink_mac);
    check_arp(w, MAT_WORD_IN, UPLINK, router_mac, "172.16.1.254",
              "172.16.2.5", MAT_V_NOT_OURS, NULL);
    check_arp(w, MAT_WORD_IN, UPLINK, router_mac, "172.16.1.1",
              "172.16.1.1", MAT_V_NOT_OURS, NULL);
    assert_int_equal(w->event.type, MAT_EVENT_CONFLICT);
}

static void
rarp_is_told(void **state)
{
    struct world *w = *state;
    uint8_t *p = guarded(60);
    struct mat_frame f;

    make_arp(p, 3, mac(7, 8), "0.0.0.0", "0.0.0.0", true);
    f = run(w, p, 60, 14, OUT7, VM2, true);
    assert_int_equal(f.verdict, MAT_V_ANNOUNCED);
    assert_int_equal(w->event.type, MAT_EVENT_RARP);
    assert_memory_equal(w->event.mac.ea, mac(7, 8).ea, 6);
    assert_int_equal(w->event.zone, 7);
    assert_int_equal(w->event.odp_port, VM2);
}

/* Events of one port are limited, of others not by it. */
static void
a_flood_of_events_is_cut(void **state)
{
    struct world *w = *state;
    uint8_t *p = guarded(60);
    unsigned int n = 0;

    for (int i = 0; i < 1000; i++) {
        make_arp(p, 3, mac(7, 1), "0.0.0.0", "0.0.0.0", true);
        run(w, p, 60, 14, OUT7, VM1, true);
        n += w->n_events;
    }
    assert_int_equal(n, 100);
    assert_int_equal(w->thread->n_events_suppressed, 900);
    make_arp(p, 3, mac(7, 2), "0.0.0.0", "0.0.0.0", true);
    run(w, p, 60, 14, OUT7, VM2, true);
    assert_int_equal(w->n_events, 1);
}

static void
the_rest_is_kept_off_the_underlay(void **state)
{
    const struct mat_mac broadcast = { { 255, 255, 255, 255, 255, 255 } };
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.255");
    uint8_t *p = guarded(60);
    struct mat_frame f;

    check(w, &spec, mac(7, 1), broadcast, OUT7, VM1, MAT_V_FLOODED);
    spec = udp("10.0.0.1", "224.0.0.5");
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_FLOODED);
    spec = udp("169.254.1.1", "10.0.0.5");
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_ADDRESS);
    memset(p, 0, 60);
    memcpy(p + 6, mac(7, 1).ea, 6);
    memcpy(p + 12, "\x88\xcc", 2);
    f = run(w, p, 60, 14, OUT7, VM1, true);
    assert_int_equal(f.verdict, MAT_V_OTHER_PROTOCOL);
    memcpy(p + 12, "\x08\0\x45\0\xff\xff", 6);
    f = run(w, p, 60, 14, OUT7, VM1, true);
    assert_int_equal(f.verdict, MAT_V_MALFORMED);
    assert_int_equal(f.fate, MAT_DROP);
}

/* No frame, however cut, is read past its end or changed and then dropped. */
static void
cut_frames_are_harmless(void **state)
{
    struct world *w = *state;
    uint64_t random = 9;

    for (int i = 0; i < 3000; i++) {
        static struct frame frame;
        struct frame_spec spec, quoted;
        uint32_t word = random_below(&random, 2) ? MAT_WORD_IN : OUT7;
        size_t size;
        uint8_t *copy;
        struct mat_frame f;

        random_spec(&random, &spec, &quoted);
        if (word == OUT7) {
            set_addrs(&spec, spec.v6 ? "2001:db8::1" : "10.0.0.1",
                      spec.v6 ? "2001:db8::5" : "10.0.0.5");
        } else {
            set_addrs(&spec, spec.v6 ? "2001:db8:2::5" : "172.16.2.5",
                      spec.v6 ? "2001:db8:1::1" : "172.16.1.1");
        }
        compose(&spec, mac(7, 1), mac(7, 5), &frame);
        size = random_below(&random, frame.size < 200 ? frame.size : 200);
        copy = guarded_copy(frame.data, size);
        f = run(w, copy, size, (uint16_t) (frame.l3_ofs <= size
                                           ? frame.l3_ofs : MAT_FRAME_NO_L3),
                word, word == OUT7 ? VM1 : UPLINK, true);
        if (f.fate != MAT_PASS && f.fate != MAT_DELIVER) {
            assert_memory_equal(copy, frame.data, size);
        }
    }
}

static void
a_dry_run_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.5");
    struct mat_switch_thread *before = malloc(sizeof *before);
    uint64_t cursor = 0;
    struct mat_entry e;

    while (mat_table_harvest(w->table, &cursor, &e)) {
        continue;
    }
    *before = *w->thread;
    w->dry_run = true;
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_TRANSLATED);
    spec = udp("10.0.0.99", "10.0.0.5");
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_SPOOF);
    assert_memory_equal(before, w->thread, sizeof *before);
    cursor = 0;
    assert_false(mat_table_harvest(w->table, &cursor, &e));

    w->dry_run = false;
    spec = udp("10.0.0.1", "10.0.0.5");
    check(w, &spec, mac(7, 1), mac(7, 5), OUT7, VM1, MAT_V_TRANSLATED);
    assert_int_equal(w->thread->n_packets[0][MAT_V_TRANSLATED],
                     before->n_packets[0][MAT_V_TRANSLATED] + 2);
    cursor = 0;
    assert_true(mat_table_harvest(w->table, &cursor, &e));
    assert_int_equal(e.state, MAT_STATE_REMOTE);
    free(before);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(translates_both_ways),
        TEST(random_packets_come_back),
        TEST(stays_on_the_host),
        TEST(explicit_only_rewrites),
        TEST(only_the_gateway_counts_hops),
        TEST(vmns_speak_only_for_themselves),
        TEST(the_underlay_is_not_trusted),
        TEST(outside_is_by_zone),
        TEST(late_packets_go_on),
        TEST(waits_for_a_vmn_that_is_not_ready),
        TEST(too_big_is_said),
        TEST(errors_of_routers_are_understood),
        TEST(arp_is_answered_from_the_table),
        TEST(rarp_is_told),
        TEST(a_flood_of_events_is_cut),
        TEST(the_rest_is_kept_off_the_underlay),
        TEST(cut_frames_are_harmless),
        TEST(a_dry_run_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
