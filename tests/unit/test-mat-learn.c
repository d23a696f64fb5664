/* SPDX-License-Identifier: Apache-2.0 */

/* Who is on a port.  A scene is a story: ports are put, guests speak, and
 * what comes out is compared with a text, a line for each change. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-learn.h"
#include "mat-nd.h"
#include "mat-packet.h"
#include "mat-rng.h"

#define S INT64_C(1000000)

static struct mat_learn *learn;
static int64_t now_us;

static int
set_up(void **state)
{
    (void) state;
    learn = mat_learn_create(1, 0);
    now_us = 1000 * S;
    return 0;
}

static int
tear_down(void **state)
{
    (void) state;
    mat_learn_destroy(learn);
    return 0;
}

static struct mat_mac
mac(unsigned int n)
{
    return (struct mat_mac) { { 2, 0, 0, 0, (uint8_t) (n >> 8),
                                (uint8_t) n } };
}

static struct mat_addr
addr(const char *text)
{
    struct mat_addr a = { { 0 } };

    assert_true(!*text || mat_addr_parse(text, &a));
    return a;
}

/* Puts a port: 'm' is the number of its configured MAC or 0, 'hoas' the
 * configured ones, separated by spaces. */
static void
put_zone_port(const char *name, uint32_t zone, unsigned int m,
              const char *hoas)
{
    struct mat_learn_port port = {
        .zone = zone, .live = true, .learns = true, .hoas_max = 4,
        .macs_max = 2
    };
    char copy[200], *word, *save;

    snprintf(port.name, sizeof port.name, "%s", name);
    if (m) {
        port.macs[port.n_macs++] = mac(m);
    }
    snprintf(copy, sizeof copy, "%s", hoas);
    for (word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        port.hoas[port.n_hoas++] = addr(word);
    }
    assert_true(mat_learn_put_port(learn, now_us, &port));
}

static void
put_port(const char *name, unsigned int m, const char *hoas)
{
    put_zone_port(name, 0, m, hoas);
}

static const char *
hear(const char *port, enum mat_learn_kind kind, unsigned int m,
     const char *hoa)
{
    struct mat_learn_said said = {
        .kind = kind, .mac = mac(m), .hoa = addr(hoa),
        .has_hoa = *hoa && kind != MAT_LEARN_PACKET
    };

    return mat_learn_verdict_name(mat_learn_hear(learn, now_us, port, &said));
}

/* A gratuitous ARP or its like. */
#define HEAR(PORT, MAC, HOA, VERDICT) \
    assert_string_equal(hear(PORT, MAT_LEARN_ANNOUNCE, MAC, HOA), VERDICT)
#define RARP(PORT, MAC, VERDICT) \
    assert_string_equal(hear(PORT, MAT_LEARN_RARP, MAC, ""), VERDICT)

static const char *
changes(void)
{
    static char text[4096];
    struct mat_learn_change c;
    char hoa[MAT_ADDR_STRLEN];

    text[0] = '\0';
    while (mat_learn_next(learn, &c)) {
        size_t used = strlen(text);

        mat_addr_format(&c.binding.hoa, hoa);
        switch (c.kind) {
        case MAT_LEARN_CHANGE_BOUND:
            snprintf(text + used, sizeof text - used, "+%s %u %s%s\n",
                     c.binding.port, c.binding.mac.ea[5], hoa,
                     c.binding.configured ? " configured" : "");
            break;
        case MAT_LEARN_CHANGE_UNBOUND:
            snprintf(text + used, sizeof text - used, "-%s %u %s: %s%s%s\n",
                     c.binding.port, c.binding.mac.ea[5], hoa,
                     mat_learn_why_text(c.why), c.other[0] ? " by " : "",
                     c.other);
            break;
        case MAT_LEARN_CHANGE_VIOLATION:
            snprintf(text + used, sizeof text - used, "!%s %u %s %s x%d%s%s\n",
                     c.binding.port, c.binding.mac.ea[5], hoa,
                     mat_learn_verdict_name(c.verdict), (int) c.n,
                     c.other[0] ? " of " : "", c.other);
            break;
        case MAT_LEARN_CHANGE_ASK:
            snprintf(text + used, sizeof text - used, "?%s %u %s\n",
                     c.binding.port, c.binding.mac.ea[5], hoa);
            break;
        }
    }
    return text;
}

#define CHANGES(TEXT) assert_string_equal(changes(), TEXT)

static void
put_zone(uint32_t number, const char *subnet, const char *gateway)
{
    struct mat_zone zone = { .zone = number, .n_subnets = 1 };
    unsigned int plen;

    assert_true(mat_prefix_parse(subnet, &zone.subnets[0].prefix, &plen));
    zone.subnets[0].plen = (uint8_t) plen;
    zone.subnets[0].gateway = addr(gateway);
    mat_learn_put_zone(learn, now_us, &zone);
}

/* Scenes. */

static void
test_learns_from_arp(void **state)
{
    (void) state;
    put_port("vm1", 1, "");
    CHANGES("");
    HEAR("vm1", 1, "10.0.0.5", "bound");
    HEAR("vm1", 1, "10.0.0.5", "known");
    HEAR("vm1", 1, "2001:db8::5", "bound");
    CHANGES("+vm1 1 10.0.0.5\n+vm1 1 2001:db8::5\n");
    HEAR("vm9", 1, "10.0.0.5", "no-port");
    assert_int_equal(mat_learn_count(learn, NULL, MAT_LEARN_NO_PORT), 1);
    assert_int_equal(mat_learn_count(learn, "vm1", MAT_LEARN_KNOWN), 1);
    assert_int_equal(mat_learn_count(learn, NULL, MAT_LEARN_BOUND), 2);
    assert_true(mat_learn_remove_port(learn, now_us, "vm1"));
    assert_false(mat_learn_remove_port(learn, now_us, "vm1"));
    CHANGES("-vm1 1 10.0.0.5: port removed\n"
            "-vm1 1 2001:db8::5: port removed\n");
}

static void
test_probe_and_packet_bind_nothing(void **state)
{
    (void) state;
    put_port("vm1", 1, "");
    assert_string_equal(hear("vm1", MAT_LEARN_PROBE, 1, "10.0.0.5"),
                        "mac-only");
    CHANGES("");
    assert_string_equal(hear("vm1", MAT_LEARN_PACKET, 1, ""), "mac-only");
    CHANGES("");
    assert_string_equal(hear("vm1", MAT_LEARN_PACKET, 1, "10.0.0.5"),
                        "mac-only");
    CHANGES("?vm1 1 10.0.0.5\n");
    assert_string_equal(hear("vm1", MAT_LEARN_PACKET, 1, "10.0.0.6"),
                        "mac-only");
    CHANGES("");                /* Not that fast. */
    now_us += S;
    HEAR("vm1", 1, "10.0.0.5", "bound");
    assert_string_equal(hear("vm1", MAT_LEARN_PACKET, 1, "10.0.0.5"),
                        "mac-only");
    CHANGES("+vm1 1 10.0.0.5\n");
    assert_string_equal(hear("vm1", MAT_LEARN_PROBE, 1, "10.0.0.5"), "known");
    assert_string_equal(hear("vm1", MAT_LEARN_PACKET, 2, "10.0.0.5"),
                        "other-mac");
}

/* The question to a guest is one that it answers. */
static void
test_question(void **state)
{
    static const char *const hoas[] = { "10.0.0.5", "2001:db8::5" };
    struct mat_learn_change c;
    struct mat_packet p;
    struct mat_nd nd;

    (void) state;
    put_port("vm1", 1, "");
    put_zone(0, "10.0.0.0/24", "10.0.0.1");
    for (int i = 0; i < 2; i++) {
        struct mat_mac dst, guest = mac(1);

        now_us += S;
        hear("vm1", MAT_LEARN_PACKET, 1, hoas[i]);
        assert_true(mat_learn_next(learn, &c));
        mat_packet_parse(&p, c.frame, (uint32_t) c.frame_size);
        dst = mat_packet_eth_dst(&p);
        assert_memory_equal(&dst, &guest, sizeof dst);
        if (i) {
            struct mat_addr a = addr(hoas[i]);

            assert_true(mat_nd_parse(&p, MAT_CSUM_FULL, &nd));
            assert_memory_equal(&nd.target, &a, sizeof a);
            assert_true(nd.has_lladdr);
        } else {
            assert_int_equal(p.kind, MAT_PACKET_ARP);
            assert_memory_equal(c.frame + 28, "\x0a\0\0\1", 4);
            assert_memory_equal(c.frame + 38, "\x0a\0\0\5", 4);
        }
    }
}

static void
test_configured_mac(void **state)
{
    (void) state;
    put_port("vm1", 1, "");
    put_port("vm2", 0, "");
    HEAR("vm1", 2, "10.0.0.5", "other-mac");
    HEAR("vm2", 1, "10.0.0.5", "stolen-mac");
    RARP("vm2", 1, "stolen-mac");
    CHANGES("!vm1 2 10.0.0.5 other-mac x1\n"
            "!vm2 1 10.0.0.5 stolen-mac x1 of vm1\n");
    HEAR("vm2", 2, "10.0.0.6", "bound");
    HEAR("vm1", 2, "10.0.0.6", "other-mac");
    CHANGES("+vm2 2 10.0.0.6\n");
    now_us += 61 * S;
    HEAR("vm1", 2, "10.0.0.6", "other-mac");
    CHANGES("!vm1 2 10.0.0.6 other-mac x2\n");
}

static void
test_bad_macs(void **state)
{
    struct mat_learn_said said = { .kind = MAT_LEARN_RARP };
    static const struct mat_mac bad[] = {
        { { 0 } }, { { 1, 0, 0x5e, 0, 0, 1 } },
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } }, MAT_GATEWAY_MAC
    };

    (void) state;
    put_port("vm1", 0, "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        said.mac = bad[i];
        assert_int_equal(mat_learn_hear(learn, now_us, "vm1", &said),
                         MAT_LEARN_BAD_MAC);
    }
}

static void
test_configured_hoas(void **state)
{
    (void) state;
    put_port("vm1", 1, "10.0.0.5 2001:db8::5");
    CHANGES("+vm1 1 10.0.0.5 configured\n+vm1 1 2001:db8::5 configured\n");
    HEAR("vm1", 1, "10.0.0.5", "known");
    HEAR("vm1", 1, "10.0.0.6", "other-hoa");
    CHANGES("!vm1 1 10.0.0.6 other-hoa x1\n");

    /* Without a MAC: when it is known. */
    put_port("vm2", 0, "10.0.0.7");
    CHANGES("");
    RARP("vm2", 2, "mac-only");
    CHANGES("+vm2 2 10.0.0.7 configured\n");

    /* Reconfigured. */
    put_port("vm1", 1, "10.0.0.5 10.0.0.8");
    CHANGES("-vm1 1 2001:db8::5: configuration changed\n"
            "+vm1 1 10.0.0.8 configured\n");
    put_port("vm1", 3, "10.0.0.5 10.0.0.8");
    CHANGES("-vm1 1 10.0.0.8: configuration changed\n"
            "-vm1 1 10.0.0.5: configuration changed\n"
            "+vm1 3 10.0.0.5 configured\n+vm1 3 10.0.0.8 configured\n");
    put_port("vm1", 3, "");
    CHANGES("");                /* They are as if learned now. */
    HEAR("vm1", 3, "10.0.0.9", "bound");
    CHANGES("+vm1 3 10.0.0.9\n");
}

static void
test_theft(void **state)
{
    (void) state;
    put_port("vm1", 1, "");
    put_port("vm2", 2, "");
    put_zone_port("vm3", 7, 3, "");
    HEAR("vm1", 1, "10.0.0.5", "bound");
    HEAR("vm2", 2, "10.0.0.5", "stolen-hoa");
    HEAR("vm3", 3, "10.0.0.5", "bound");        /* Another zone. */
    CHANGES("+vm1 1 10.0.0.5\n!vm2 2 10.0.0.5 stolen-hoa x1 of vm1\n"
            "+vm3 3 10.0.0.5\n");

    /* Dead, but another MAC: no. */
    assert_true(mat_learn_set_live(learn, now_us, "vm1", false));
    HEAR("vm2", 2, "10.0.0.5", "stolen-hoa");
    mat_learn_remove_port(learn, now_us, "vm1");
    HEAR("vm2", 2, "10.0.0.5", "bound");
    CHANGES("-vm1 1 10.0.0.5: port removed\n+vm2 2 10.0.0.5\n");

    /* What is configured beats what is learned. */
    put_port("vm4", 4, "10.0.0.5");
    CHANGES("-vm2 2 10.0.0.5: taken over by vm4\n"
            "+vm4 4 10.0.0.5 configured\n");
    HEAR("vm2", 2, "10.0.0.5", "stolen-hoa");
    put_port("vm5", 5, "10.0.0.5");
    HEAR("vm5", 5, "10.0.0.5", "stolen-hoa");
    changes();

    /* When the one goes, it is the other's. */
    mat_learn_remove_port(learn, now_us, "vm4");
    CHANGES("-vm4 4 10.0.0.5: port removed\n+vm5 5 10.0.0.5 configured\n");
}

/* Two ports of one VMN while it moves within the host. */
static void
test_local_move(void **state)
{
    (void) state;
    put_port("old", 1, "");
    HEAR("old", 1, "10.0.0.5", "bound");
    HEAR("old", 1, "2001:db8::5", "bound");
    changes();
    put_port("new", 1, "");
    CHANGES("");
    RARP("new", 1, "bound");
    CHANGES("-old 1 2001:db8::5: taken over by new\n+new 1 2001:db8::5\n"
            "-old 1 10.0.0.5: taken over by new\n+new 1 10.0.0.5\n");
    RARP("new", 1, "mac-only");
    HEAR("old", 1, "10.0.0.5", "bound");        /* Rolled back. */
    CHANGES("-new 1 10.0.0.5: taken over by old\n+old 1 10.0.0.5\n");
    mat_learn_remove_port(learn, now_us, "old");
    RARP("new", 1, "mac-only");
    HEAR("new", 1, "10.0.0.5", "bound");

    /* No MAC configured: only once the old port is dead. */
    put_port("a", 0, "");
    put_port("b", 0, "");
    HEAR("a", 9, "10.0.0.9", "bound");
    RARP("b", 9, "stolen-mac");
    mat_learn_set_live(learn, now_us, "a", false);
    changes();
    RARP("b", 9, "bound");
    CHANGES("-a 9 10.0.0.9: taken over by b\n+b 9 10.0.0.9\n");
    assert_string_equal(mat_learn_find_mac(learn, 0, &(struct mat_mac)
                                           { { 2, 0, 0, 0, 0, 9 } }), "b");
}

static void
test_limits(void **state)
{
    char hoa[20];

    (void) state;
    put_port("vm1", 0, "");
    for (unsigned int i = 0; i < 4; i++) {
        snprintf(hoa, sizeof hoa, "10.0.0.%u", 10 + i);
        HEAR("vm1", 1, hoa, "bound");
    }
    HEAR("vm1", 1, "10.0.0.20", "hoas");
    RARP("vm1", 2, "mac-only");
    RARP("vm1", 3, "macs");
    now_us += 60 * S;
    RARP("vm1", 3, "mac-only"); /* Instead of 2, which has nothing. */
    RARP("vm1", 2, "macs");
    HEAR("vm1", 1, "10.0.0.20", "hoas");
    changes();

    /* A HoA is not lost to a port that has no room for it. */
    put_port("vm2", 0, "");
    HEAR("vm2", 5, "10.0.0.30", "bound");
    mat_learn_set_live(learn, now_us, "vm2", false);
    put_port("vm3", 5, "");
    for (unsigned int i = 0; i < 4; i++) {
        snprintf(hoa, sizeof hoa, "10.0.1.%u", 10 + i);
        HEAR("vm3", 5, hoa, "bound");
    }
    changes();
    HEAR("vm3", 5, "10.0.0.30", "hoas");
    CHANGES("!vm3 5 10.0.0.30 hoas x1\n");

    /* Less room: the newest go. */
    struct mat_learn_port port = { .name = "vm3", .live = true,
                                   .learns = true, .hoas_max = 2,
                                   .macs_max = 1 };

    mat_learn_put_port(learn, now_us, &port);
    CHANGES("-vm3 5 10.0.1.13: configuration changed\n"
            "-vm3 5 10.0.1.12: configuration changed\n");
}

static void
test_subnets(void **state)
{
    (void) state;
    put_port("vm1", 1, "");
    HEAR("vm1", 1, "10.9.0.5", "bound");
    HEAR("vm1", 1, "10.0.0.9", "bound");
    changes();
    put_zone(0, "10.0.0.0/24", "10.0.0.1");
    CHANGES("-vm1 1 10.9.0.5: configuration changed\n");
    HEAR("vm1", 1, "10.9.0.5", "other-subnet");
    HEAR("vm1", 1, "10.0.0.1", "gateway");
    HEAR("vm1", 1, "10.0.0.0", "bad-hoa");
    HEAR("vm1", 1, "10.0.0.255", "bad-hoa");
    HEAR("vm1", 1, "10.0.0.254", "bound");
    HEAR("vm1", 1, "2001:db8::1", "bound");     /* No subnet of IPv6. */
    HEAR("vm1", 1, "169.254.0.1", "bad-hoa");
    HEAR("vm1", 1, "fe80::1", "bad-hoa");
    HEAR("vm1", 1, "224.0.0.1", "bad-hoa");
    mat_learn_remove_zone(learn, 0);
    HEAR("vm1", 1, "10.9.0.5", "bound");
    put_zone(0, "10.0.0.4/31", "");
    HEAR("vm1", 1, "10.0.0.4", "bound");        /* Not the network's. */
    put_port("vm2", 2, "10.7.0.5");     /* The operator knows better. */
    HEAR("vm2", 2, "10.7.0.5", "known");
}

static void
test_flipping_macs(void **state)
{
    (void) state;
    put_port("vm1", 0, "");
    HEAR("vm1", 1, "10.0.0.5", "bound");
    HEAR("vm1", 2, "10.0.0.5", "two-macs");
    now_us += S;
    HEAR("vm1", 2, "10.0.0.5", "bound");
    CHANGES("+vm1 1 10.0.0.5\n!vm1 2 10.0.0.5 two-macs x1\n"
            "-vm1 1 10.0.0.5: taken over by vm1\n+vm1 2 10.0.0.5\n");
}

/* A guest that changed its address loses the old one; a silent guest loses
 * nothing, ever. */
static void
test_age(void **state)
{
    struct mat_addr used = addr("10.0.0.7");

    (void) state;
    mat_learn_set_age(learn, 100 * S);
    put_port("vm1", 0, "");
    put_port("vm2", 0, "");
    HEAR("vm1", 1, "10.0.0.5", "bound");
    HEAR("vm1", 1, "2001:db8::5", "bound");
    HEAR("vm2", 2, "10.0.0.6", "bound");
    HEAR("vm2", 2, "10.0.0.7", "bound");
    changes();
    for (int i = 0; i < 1000; i++) {
        now_us += 10 * S;
        mat_learn_tick(learn, now_us);
        assert_true(mat_learn_deadline_us(learn) > now_us);
    }
    CHANGES("");
    HEAR("vm1", 1, "10.0.0.8", "bound");
    mat_learn_used(learn, now_us, 0, &used);
    CHANGES("+vm1 1 10.0.0.8\n");
    for (int i = 0; i < 3; i++) {
        now_us += 30 * S;
        mat_learn_tick(learn, now_us);
        CHANGES("?vm1 1 10.0.0.5\n?vm2 2 10.0.0.6\n");
    }
    now_us += 30 * S;
    mat_learn_tick(learn, now_us);
    CHANGES("-vm1 1 10.0.0.5: not used any more\n"
            "-vm2 2 10.0.0.6: not used any more\n");

    /* An answer keeps it. */
    HEAR("vm1", 1, "10.0.0.9", "bound");
    now_us += 100 * S;
    HEAR("vm1", 1, "10.0.0.9", "known");
    mat_learn_tick(learn, now_us);
    CHANGES("+vm1 1 10.0.0.9\n?vm1 1 10.0.0.8\n");
    HEAR("vm1", 1, "10.0.0.8", "known");
    for (int i = 0; i < 9; i++) {
        now_us += 30 * S;
        mat_learn_tick(learn, now_us);
    }
    CHANGES("");

    /* Not of a dead port. */
    changes();
    mat_learn_set_live(learn, now_us, "vm1", false);
    now_us += 150 * S;
    HEAR("vm1", 1, "10.0.0.9", "known");
    mat_learn_tick(learn, now_us);
    CHANGES("");

    /* A full port makes room by age. */
    mat_learn_set_live(learn, now_us, "vm1", true);
    HEAR("vm1", 1, "10.0.0.10", "bound");
    HEAR("vm1", 1, "10.0.0.11", "bound");
    CHANGES("+vm1 1 10.0.0.10\n-vm1 1 10.0.0.8: not used any more\n"
            "+vm1 1 10.0.0.11\n");
}

static void
test_restore_and_forget(void **state)
{
    struct mat_addr hoa = addr("10.0.0.5");
    struct mat_mac m = mac(1), other = mac(2);
    struct mat_learn_binding b;

    (void) state;
    put_port("vm1", 1, "");
    assert_true(mat_learn_restore(learn, now_us, "vm1", &m, &hoa));
    assert_false(mat_learn_restore(learn, now_us, "vm1", &other, &hoa));
    assert_false(mat_learn_restore(learn, now_us, "vm9", &m, &hoa));
    CHANGES("+vm1 1 10.0.0.5\n");
    assert_true(mat_learn_get(learn, "vm1", 0, &b));
    assert_false(mat_learn_get(learn, "vm1", 1, &b));
    assert_false(b.configured);
    assert_true(mat_learn_get_mac(learn, "vm1", 0, &m));
    assert_false(mat_learn_get_mac(learn, "vm1", 1, &m));
    assert_true(mat_learn_find(learn, 0, &hoa, &b));
    assert_false(mat_learn_find(learn, 1, &hoa, &b));
    assert_true(mat_learn_forget(learn, now_us, 0, &hoa));
    assert_false(mat_learn_forget(learn, now_us, 0, &hoa));
    CHANGES("-vm1 1 10.0.0.5: moved away\n");
    put_port("vm1", 1, "10.0.0.5");
    assert_false(mat_learn_forget(learn, now_us, 0, &hoa));
    put_zone_port("vm1", 3, 1, "10.0.0.5");
    CHANGES("+vm1 1 10.0.0.5 configured\n"
            "-vm1 1 10.0.0.5: configuration changed\n"
            "+vm1 1 10.0.0.5 configured\n");
    assert_true(mat_learn_find(learn, 3, &hoa, &b));
}

static void
test_many_ports(void **state)
{
    char name[20];

    (void) state;
    for (unsigned int i = 0; i < MAT_TABLE_PORTS_MAX; i++) {
        snprintf(name, sizeof name, "vm%u", i);
        put_port(name, i + 1, "");
    }
    struct mat_learn_port port = { .name = "one-more" };

    assert_false(mat_learn_put_port(learn, now_us, &port));
    for (unsigned int i = 0; i < MAT_TABLE_PORTS_MAX; i++) {
        snprintf(name, sizeof name, "vm%u", i);
        assert_true(mat_learn_remove_port(learn, now_us, name));
    }
}

/* Random guests: whatever they say, what is bound follows the rules. */
enum { PORTS = 6, MACS = 5, HOAS = 10, STEPS = 40000 };

static void
check_rules(void)
{
    for (unsigned int i = 0; i < PORTS; i++) {
        struct mat_learn_binding b, found;
        char name[8];
        size_t n;

        snprintf(name, sizeof name, "p%u", i);
        for (n = 0; mat_learn_get(learn, name, n, &b); n++) {
            struct mat_mac m;
            size_t j = 0;

            assert_string_equal(b.port, name);
            assert_true(mat_addr_is_host(&b.hoa));
            assert_true(mat_learn_find(learn, b.zone, &b.hoa, &found));
            assert_string_equal(found.port, name);
            while (mat_learn_get_mac(learn, name, j, &m)
                   && !mat_mac_equal(&m, &b.mac)) {
                j++;
            }
            assert_true(mat_learn_get_mac(learn, name, j, &m));
            assert_non_null(mat_learn_find_mac(learn, b.zone, &b.mac));
        }
        assert_true(n <= 4);
    }
}

/* What the changes say is what there is. */
static int n_bound;

static void
count_changes(void)
{
    struct mat_learn_change c;

    while (mat_learn_next(learn, &c)) {
        n_bound += c.kind == MAT_LEARN_CHANGE_BOUND;
        n_bound -= c.kind == MAT_LEARN_CHANGE_UNBOUND;
    }
}

static void
random_step(struct mat_rng *rng)
{
    unsigned int m = 1 + mat_rng_below(rng, MACS);
    char name[8], hoa[20];

    snprintf(name, sizeof name, "p%u", mat_rng_below(rng, PORTS));
    snprintf(hoa, sizeof hoa, "10.0.0.%u", mat_rng_below(rng, HOAS));
    now_us += (int64_t) mat_rng_below(rng, 1u << mat_rng_below(rng, 28));
    switch (mat_rng_below(rng, 12)) {
    case 0:
        put_zone_port(name, mat_rng_below(rng, 2),
                      mat_rng_below(rng, 2) ? m : 0,
                      mat_rng_below(rng, 3) ? "" : hoa);
        break;
    case 1:
        mat_learn_remove_port(learn, now_us, name);
        break;
    case 2:
        mat_learn_set_live(learn, now_us, name, mat_rng_below(rng, 2));
        break;
    case 3:
        put_zone(mat_rng_below(rng, 2), "10.0.0.0/28", "10.0.0.1");
        break;
    case 4:
        mat_learn_remove_zone(learn, mat_rng_below(rng, 2));
        break;
    case 5:
        mat_learn_tick(learn, now_us);
        break;
    case 6:
        mat_learn_forget(learn, now_us, 0, &(struct mat_addr) { { 0 } });
        break;
    default:
        hear(name, (enum mat_learn_kind) mat_rng_below(rng, 5), m,
             mat_rng_below(rng, 4) ? hoa : "");
        break;
    }
}

static void
test_random_guests(void **state)
{
    struct mat_rng rng = { 42 };

    (void) state;
    mat_learn_set_age(learn, 60 * S);
    for (int i = 0; i < STEPS; i++) {
        int n = 0;

        random_step(&rng);
        check_rules();
        count_changes();
        for (unsigned int j = 0; j < PORTS; j++) {
            struct mat_learn_binding b;
            char name[8];

            snprintf(name, sizeof name, "p%u", j);
            for (size_t k = 0; mat_learn_get(learn, name, k, &b); k++) {
                n++;
            }
        }
        assert_int_equal(n, n_bound);
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_learns_from_arp),
        TEST(test_probe_and_packet_bind_nothing),
        TEST(test_question),
        TEST(test_configured_mac),
        TEST(test_bad_macs),
        TEST(test_configured_hoas),
        TEST(test_theft),
        TEST(test_local_move),
        TEST(test_limits),
        TEST(test_subnets),
        TEST(test_flipping_macs),
        TEST(test_age),
        TEST(test_restore_and_forget),
        TEST(test_many_ports),
        TEST(test_random_guests)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
