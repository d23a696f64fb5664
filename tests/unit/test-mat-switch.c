/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch.h"
#include "mat-table-read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mat-packet.h"
#include "mat-reply.h"
#include "table-config.h"
#include "world.h"

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
        f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                  MAT_V_TRANSLATED);
        assert_int_equal(f.fate, MAT_PASS);
        assert_frame(&f, &moas, uplink_mac, router_mac);

        set_addrs(&moas, e[3], e[2]);
        set_addrs(&spec, e[1], e[0]);
        f = world_check(w, &moas, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                  MAT_V_DELIVERED);
        assert_int_equal(f.fate, MAT_DELIVER);
        assert_int_equal(f.odp_port, VM1);
        assert_frame(&f, &spec, world_mac(7, 5), world_mac(7, 1));
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
        world_compose(&spec, world_mac(7, 1), world_mac(7, 5), &frame);
        if (frame.end - frame.l3_ofs > 1400) {
            continue;
        }
        before = frame;
        f = world_run(w, frame.data, frame.size, frame.l3_ofs, OUT7, VM1,
                      fast);
        if (f.verdict != MAT_V_TRANSLATED) {
            assert_memory_equal(frame.data, before.data, frame.size);
            continue;
        }
        /* Back, as an answer would come: swap the addresses of the table. */
        world_put(w, MAT_STATE_REMOTE, 7, "10.0.0.1", "172.16.1.1", 1, "");
        world_put(w, MAT_STATE_REMOTE, 7, "2001:db8::1", "2001:db8:1::1", 1,
                  "");
        world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.5", "172.16.2.5", 5, "vm2");
        world_put(w, MAT_STATE_LOCAL, 7, "2001:db8::5", "2001:db8:2::5", 5,
                  "vm2");
        f = world_run(w, frame.data, frame.size, frame.l3_ofs, MAT_WORD_IN,
                      UPLINK,
                fast);
        assert_string_equal(mat_verdict_name(f.verdict), "delivered");
        assert_memory_equal(frame.data, before.data, frame.size);
        world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.1", "172.16.1.1", 1, "vm1");
        world_put(w, MAT_STATE_LOCAL, 7, "2001:db8::1", "2001:db8:1::1", 1,
                  "vm1");
        world_put(w, MAT_STATE_REMOTE, 7, "10.0.0.5", "172.16.2.5", 5, "");
        world_put(w, MAT_STATE_REMOTE, 7, "2001:db8::5", "2001:db8:2::5", 5,
                  "");
        mat_table_quiesce(w->table);
    }
}

static void
stays_on_the_host(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.2");
    struct mat_frame f;

    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 2), OUT7, VM1,
                    MAT_V_LOCAL);
    assert_int_equal(f.fate, MAT_DELIVER);
    assert_int_equal(f.odp_port, VM2);
    assert_frame(&f, &spec, world_mac(7, 1), world_mac(7, 2));

    /* By the gateway: a hop. */
    f = world_check(w, &spec, world_mac(7, 1), gateway_mac, OUT7, VM1,
                    MAT_V_LOCAL);
    spec.ttl--;
    assert_frame(&f, &spec, gateway_mac, world_mac(7, 2));

    spec = udp("2001:db8::1", "2001:db8::2");
    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 2), OUT7, VM1,
                    MAT_V_LOCAL);
    assert_int_equal(f.odp_port, VM2);
}

static void
explicit_only_rewrites(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.2");
    struct frame_spec in = udp("172.16.2.5", "172.16.1.1");
    struct mat_frame f;

    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 2),
                    OUT7 | MAT_WORD_EXPLICIT, VM1,
              MAT_V_LOCAL);
    assert_int_equal(f.fate, MAT_PASS);
    f = world_check(w, &in, router_mac, uplink_mac,
                    MAT_WORD_IN | MAT_WORD_EXPLICIT,
              UPLINK, MAT_V_DELIVERED);
    assert_int_equal(f.fate, MAT_PASS);
    spec = udp("10.0.0.5", "10.0.0.1");
    assert_frame(&f, &spec, world_mac(7, 5), world_mac(7, 1));

    /* Broadcasts are the pipeline's. */
    spec = udp("10.0.0.1", "10.0.0.255");
    f = world_check(w, &spec, world_mac(7, 1),
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
    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                    MAT_V_TRANSLATED);
    assert_frame(&f, &moas, uplink_mac, router_mac);

    world_check(w, &spec, world_mac(7, 1), gateway_mac, OUT7, VM1, MAT_V_TTL);
    assert_int_equal(w->n_emitted, 1);
    assert_int_equal(w->emitted_port, VM1);
    assert_true(frame_is_right(w->emitted[0], w->emitted_size[0]));
    mat_packet_parse(&p, w->emitted[0], (uint32_t) w->emitted_size[0]);
    assert_int_equal(mat_packet_icmp_type(&p), 11);
    {
        struct mat_addr from = mat_packet_src(&p),
        want = test_addr("10.0.0.254");

        assert_true(mat_addr_equal(&from, &want));
    }

    /* To another HoA subnet. */
    spec = udp("10.0.0.1", "10.0.1.6");
    moas = udp("172.16.1.1", "172.16.2.6");
    f = world_check(w, &spec, world_mac(7, 1), gateway_mac, OUT7, VM1,
                    MAT_V_TRANSLATED);
    moas.ttl--;
    assert_frame(&f, &moas, uplink_mac, router_mac);

    /* From there, shown with the gateway's MAC. */
    moas = udp("172.16.2.6", "172.16.1.1");
    f = world_check(w, &moas, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_DELIVERED);
    spec = udp("10.0.1.6", "10.0.0.1");
    assert_frame(&f, &spec, gateway_mac, world_mac(7, 1));
}

static void
vmns_speak_only_for_themselves(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.2", "10.0.0.5");

    /* Another's HoA; own HoA with another's MAC, from another port, in
     * another zone; nobody's HoA. */
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_SPOOF);
    assert_int_equal(w->event.type, MAT_EVENT_SPOOF);
    spec = udp("10.0.0.1", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 2), world_mac(7, 5), OUT7, VM1,
                MAT_V_SPOOF);
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM2,
                MAT_V_SPOOF);
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT8, VM1,
                MAT_V_SPOOF);
    spec = udp("10.0.0.77", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_SPOOF);
    assert_int_equal(w->event.type, MAT_EVENT_NEW_SOURCE);

    /* From an uplink, or a port nobody knows, there are no VMNs. */
    spec = udp("10.0.0.1", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, UPLINK,
                MAT_V_PORT_UNKNOWN);
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, 55,
                MAT_V_PORT_UNKNOWN);

    /* A VMN that lives elsewhere speaks here: it has moved, so wait. */
    spec = udp("10.0.0.8", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 8), world_mac(7, 5), OUT7, VM2,
                MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_SOURCE);
    w->can_hold = false;
    world_check(w, &spec, world_mac(7, 8), world_mac(7, 5), OUT7, VM2,
                MAT_V_SPOOF);
}

static void
the_underlay_is_not_trusted(void **state)
{
    struct world *w = *state;
    struct frame_spec spec;

    /* A HoA as a source. */
    spec = udp("10.0.0.5", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_SPOOF);
    /* A MoA of our own: that was redirected to where it came from, unless it
     * is of another zone. */
    spec = udp("172.16.1.2", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_DELIVERED);
    spec = udp("172.16.1.3", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_ZONE);
    /* Another zone's. */
    spec = udp("172.16.2.7", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_ZONE);
    /* In a pool, but not known: asked, never delivered as it is. */
    spec = udp("172.16.2.99", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_MOA);
    assert_int_equal(w->event.type, MAT_EVENT_MISS_MOA);
    w->can_hold = false;
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_MISS);
    /* The world outside, where the zone allows it or not. */
    spec = udp("198.51.100.1", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_FORBIDDEN);
    spec = udp("198.51.100.1", "172.16.1.3");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_OUTSIDE);
    /* Nobody's MoA, and the host's own traffic. */
    spec = udp("172.16.2.5", "172.16.1.200");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_UNASSIGNED);
    spec = udp("192.0.2.1", "192.0.2.2");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_NOT_OURS);
    /* Not from a VM's port. */
    spec = udp("172.16.2.5", "172.16.1.1");
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, VM1,
          MAT_V_PORT_UNKNOWN);
}

static void
outside_is_by_zone(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "198.51.100.1"), out;
    struct mat_frame f;

    world_check(w, &spec, world_mac(7, 1), gateway_mac, OUT7, VM1,
                MAT_V_FORBIDDEN);
    assert_int_equal(w->n_emitted, 1);
    f = world_check(w, &spec, world_mac(8, 1), gateway_mac, OUT8, VM3,
                    MAT_V_OUTSIDE);
    assert_int_equal(f.fate, MAT_PASS);
    out = udp("172.16.1.3", "198.51.100.1");
    out.ttl--;
    assert_frame(&f, &out, uplink_mac, router_mac);

    /* A HoA of the zone that nobody knows is never sent outside. */
    spec = udp("10.0.0.99", "10.0.0.5");
    set_addrs(&spec, "10.0.0.1", "10.0.0.99");
    world_check(w, &spec, world_mac(8, 1), gateway_mac, OUT8, VM3, MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_HOA);
}

static void
late_packets_go_on(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("172.16.2.5", "172.16.1.8"), want;
    struct mat_frame f;

    f = world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_REDIRECTED);
    assert_int_equal(f.fate, MAT_DELIVER);
    assert_int_equal(f.odp_port, UPLINK);
    want = udp("172.16.2.5", "172.16.2.8");
    want.ttl--;
    assert_frame(&f, &want, uplink_mac, router_mac);
    assert_int_equal(w->event.type, MAT_EVENT_REDIRECTED);

    /* So no loop lives. */
    spec.ttl = 1;
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_TTL);

    /* It came back, with another MoA: delivered. */
    world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.8", "172.16.1.9", 8, "vm2");
    spec.ttl = 64;
    f = world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_DELIVERED);
    want = udp("10.0.0.5", "10.0.0.8");
    assert_frame(&f, &want, world_mac(7, 5), world_mac(7, 8));
}

static void
waits_for_a_vmn_that_is_not_ready(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("172.16.2.5", "172.16.1.1");
    struct mat_addr hoa = test_addr("10.0.0.1"), moa = test_addr("172.16.1.1");

    assert_int_equal(mat_table_set_hold(w->table, 7, &hoa, &moa, true),
                     MAT_TABLE_OK);
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
                MAT_V_HELD);
    assert_int_equal(w->key.kind, MAT_HOLD_VMN);
    assert_true(mat_addr_equal(&w->key.addr, &hoa));
    spec = udp("10.0.0.2", "10.0.0.1");
    world_check(w, &spec, world_mac(7, 2), world_mac(7, 1), OUT7, VM2,
                MAT_V_HELD);
    assert_int_equal(mat_table_set_hold(w->table, 7, &hoa, &moa, false),
                     MAT_TABLE_OK);
    world_check(w, &spec, world_mac(7, 2), world_mac(7, 1), OUT7, VM2,
                MAT_V_LOCAL);
    mat_table_port_detached(w->table, "vm1", VM1);
    world_check(w, &spec, world_mac(7, 2), world_mac(7, 1), OUT7, VM2,
                MAT_V_PORT_GONE);
}

/* Who is told of the MTU, and with which address. */
static void
too_big_is_said(void **state)
{
    struct world *w = *state;
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.5");
    const struct mat_nexthop hop = { 1, uplink_mac, router_mac, 1000, false };
    struct mat_packet p;
    struct mat_addr src;

    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    spec.payload_size = 1000;
    spec.frag = 0x4000;
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_TOO_BIG);
    assert_int_equal(w->n_emitted, 1);
    assert_true(frame_is_right(w->emitted[0], w->emitted_size[0]));
    mat_packet_parse(&p, w->emitted[0], (uint32_t) w->emitted_size[0]);
    assert_int_equal(mat_packet_icmp_type(&p), 3);
    assert_int_equal(mat_get_be16(mat_packet_l4(&p) + 6), 1000);

    /* Routers may fragment it if the sender says so. */
    spec.frag = 0;
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_TRANSLATED);

    /* On the way in, from the VMN's MoA. */
    world_attach(w, "vm1", VM1, 1000);
    spec = udp("2001:db8:2::5", "2001:db8:1::1");
    spec.payload_size = 1000;
    world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_TOO_BIG);
    assert_int_equal(w->emitted_port, UPLINK);
    mat_packet_parse(&p, w->emitted[0], (uint32_t) w->emitted_size[0]);
    src = mat_packet_src(&p);
    {
        struct mat_addr moa = test_addr("2001:db8:1::1");

        assert_true(mat_addr_equal(&src, &moa));
    }

    /* There are only so many at a time. */
    for (int i = 0; i < 1000; i++) {
        world_check(w, &spec, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
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
    f = world_check(w, &error, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
              MAT_V_DELIVERED);
    set_addrs(&want, "10.0.0.254", "10.0.0.1");
    set_addrs(&quoted, "10.0.0.1", "10.0.0.5");
    assert_frame(&f, &want, gateway_mac, world_mac(7, 1));

    /* A redirect of a router is not for the VMN. */
    error.icmp_type = 5;
    world_check(w, &error, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_FORBIDDEN);
    error.icmp_type = 11;

    /* About a packet that this VMN never sent. */
    set_addrs(&quoted, "172.16.1.2", "172.16.2.5");
    world_check(w, &error, router_mac, uplink_mac, MAT_WORD_IN, UPLINK,
          MAT_V_FORBIDDEN);
}

static size_t
make_arp(uint8_t *p, uint16_t op, struct mat_mac sha, const char *spa,
         const char *tpa, bool broadcast)
{
    struct mat_addr s = test_addr(spa), t = test_addr(tpa);

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
    f = world_run(w, p, 60, 14, word, in_port, true);
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
    const struct mat_mac vm2 = world_mac(7, 2), remote = world_mac(7, 5);
    struct world *w = *state;

    check_arp(w, OUT7, VM1, world_mac(7, 1), "10.0.0.1", "10.0.0.2",
              MAT_V_ARP_ANSWERED, &vm2);
    check_arp(w, OUT7, VM1, world_mac(7, 1), "10.0.0.1", "10.0.0.5",
              MAT_V_ARP_ANSWERED, &remote);
    check_arp(w, OUT7, VM1, world_mac(7, 1), "10.0.0.1", "10.0.0.254",
              MAT_V_ARP_ANSWERED, &gateway_mac);
    check_arp(w, OUT7, VM1, world_mac(7, 1), "10.0.0.1", "10.0.0.77",
              MAT_V_MISS,
              NULL);
    assert_int_equal(w->event.type, MAT_EVENT_MISS_HOA);

    /* Probes: for what is taken, for its own, for what is free. */
    check_arp(w, OUT7, VM1, world_mac(7, 1), "0.0.0.0", "10.0.0.5",
              MAT_V_ARP_ANSWERED, &remote);
    check_arp(w, OUT7, VM1, world_mac(7, 1), "0.0.0.0", "10.0.0.1",
              MAT_V_ARP_IGNORED, NULL);
    check_arp(w, OUT7, VM1, world_mac(7, 1), "0.0.0.0", "10.0.0.77",
              MAT_V_ARP_IGNORED, NULL);
    assert_int_equal(w->event.type, MAT_EVENT_ARP_PROBE);

    /* Announcements: its own, somebody else's, of one that has moved. */
    check_arp(w, OUT7, VM1, world_mac(7, 1), "10.0.0.1", "10.0.0.1",
              MAT_V_ANNOUNCED, NULL);
    assert_int_equal(w->event.type, MAT_EVENT_GARP);
    check_arp(w, OUT7, VM1, world_mac(7, 1), "10.0.0.2", "10.0.0.2",
              MAT_V_SPOOF,
              NULL);
    check_arp(w, OUT7, VM2, world_mac(7, 1), "10.0.0.1", "10.0.0.1",
              MAT_V_SPOOF,
              NULL);
    check_arp(w, OUT7, VM2, world_mac(7, 8), "10.0.0.8", "10.0.0.8",
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

/* Whoever says on the underlay that it has, or wants, an address of our own
 * pool, used or not, is told of; we ourselves are not, nor are others'
 * addresses. */
static void
claims_to_our_pool_are_told(void **state)
{
    static const struct {
        const char *spa, *tpa;
        bool told;
    } cases[] = {
        { "172.16.1.1", "172.16.1.1", true },   /* Used. */
        { "172.16.1.77", "172.16.1.254", true },        /* Not used. */
        { "172.16.1.77", "172.16.1.77", true },
        { "0.0.0.0", "172.16.1.77", true },
        { "0.0.0.0", "172.16.1.1", false },     /* Is answered. */
        { "172.16.2.5", "172.16.2.5", false },  /* Of another host. */
        { "0.0.0.0", "172.16.2.77", false },
        { "192.0.2.1", "192.0.2.1", false },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int ours = 0; ours < 2; ours++) {
            uint8_t *p = guarded(60);
            struct mat_addr spa, tpa;

            make_arp(p, 1, ours ? uplink_mac : router_mac, cases[i].spa,
                     cases[i].tpa, false);
            world_run(w, p, 60, 14, MAT_WORD_IN, UPLINK, true);
            assert_int_equal(w->n_events, !ours && cases[i].told);
            if (w->n_events) {
                assert_int_equal(w->event.type, MAT_EVENT_CONFLICT);
                assert_true(mat_addr_parse(cases[i].spa, &spa)
                            && mat_addr_parse(cases[i].tpa, &tpa));
                assert_memory_equal(&w->event.addr,
                                    mat_addr_is_zero(&spa) ? &tpa : &spa,
                                    sizeof spa);
            }
        }
    }
}

static void
rarp_and_answers_are_told(void **state)
{
    struct world *w = *state;
    uint8_t *p = guarded(60);
    struct mat_frame f;

    make_arp(p, 3, world_mac(7, 8), "0.0.0.0", "0.0.0.0", true);
    f = world_run(w, p, 60, 14, OUT7, VM2, true);
    assert_int_equal(f.verdict, MAT_V_ANNOUNCED);
    assert_int_equal(w->event.type, MAT_EVENT_RARP);
    assert_memory_equal(w->event.mac.ea, world_mac(7, 8).ea, 6);
    assert_int_equal(w->event.zone, 7);
    assert_int_equal(w->event.odp_port, VM2);

    /* So is the answer to a question, of the agent as nobody else asks. */
    make_arp(p, 2, world_mac(7, 2), "10.0.0.2", "10.0.0.254", false);
    f = world_run(w, p, 60, 14, OUT7, VM2, true);
    assert_int_equal(f.verdict, MAT_V_ARP_IGNORED);
    assert_int_equal(w->n_events, 1);
    assert_int_equal(w->event.type, MAT_EVENT_ARP);
}

/* Events of one port are limited, of others not by it. */
static void
a_flood_of_events_is_cut(void **state)
{
    struct world *w = *state;
    uint8_t *p = guarded(60);
    unsigned int n = 0;

    for (int i = 0; i < 1000; i++) {
        make_arp(p, 3, world_mac(7, 1), "0.0.0.0", "0.0.0.0", true);
        world_run(w, p, 60, 14, OUT7, VM1, true);
        n += w->n_events;
    }
    assert_int_equal(n, 100);
    assert_int_equal(w->thread->n_events_suppressed, 900);
    make_arp(p, 3, world_mac(7, 2), "0.0.0.0", "0.0.0.0", true);
    world_run(w, p, 60, 14, OUT7, VM2, true);
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

    world_check(w, &spec, world_mac(7, 1), broadcast, OUT7, VM1,
                MAT_V_FLOODED);
    spec = udp("10.0.0.1", "224.0.0.5");
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_FLOODED);
    spec = udp("169.254.1.1", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_ADDRESS);
    memset(p, 0, 60);
    memcpy(p + 6, world_mac(7, 1).ea, 6);
    memcpy(p + 12, "\x88\xcc", 2);
    f = world_run(w, p, 60, 14, OUT7, VM1, true);
    assert_int_equal(f.verdict, MAT_V_OTHER_PROTOCOL);
    memcpy(p + 12, "\x08\0\x45\0\xff\xff", 6);
    f = world_run(w, p, 60, 14, OUT7, VM1, true);
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
        world_compose(&spec, world_mac(7, 1), world_mac(7, 5), &frame);
        size = random_below(&random, frame.size < 200 ? frame.size : 200);
        copy = guarded_copy(frame.data, size);
        f = world_run(w, copy, size, (uint16_t) (frame.l3_ofs <= size
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
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_TRANSLATED);
    spec = udp("10.0.0.99", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_SPOOF);
    assert_memory_equal(before, w->thread, sizeof *before);
    cursor = 0;
    assert_false(mat_table_harvest(w->table, &cursor, &e));

    w->dry_run = false;
    spec = udp("10.0.0.1", "10.0.0.5");
    world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                MAT_V_TRANSLATED);
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
#define TEST(NAME) \
    cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)
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
        TEST(claims_to_our_pool_are_told),
        TEST(rarp_and_answers_are_told),
        TEST(a_flood_of_events_is_cut),
        TEST(the_rest_is_kept_off_the_underlay),
        TEST(cut_frames_are_harmless),
        TEST(a_dry_run_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
