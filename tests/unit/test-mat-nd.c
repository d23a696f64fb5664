/* SPDX-License-Identifier: Apache-2.0 */

/* Neighbor Discovery: what is valid, and the answers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-nd.h"

static const struct mat_mac our_mac = { { 2, 0x4d, 0x41, 0x54, 0, 1 } };

/* A message to build: addresses as text, null for none. */
struct nd_spec {
    uint8_t type;
    const char *src, *dst, *target;
    uint8_t flags;              /* Of a neighbor advertisement. */
    uint8_t option;             /* 0 for none, or its type. */
    uint8_t hop_limit;          /* 0 for 255. */
    uint8_t code;
};

static void
set(uint8_t *b, const char *text)
{
    struct mat_addr a;

    assert_true(mat_addr_parse(text, &a));
    memcpy(b, a.b, 16);
}

static void
fix_csum(uint8_t *frame, size_t size)
{
    uint8_t *ip = frame + 14, *icmp = ip + 40;
    uint32_t l4_size = (uint32_t) size - 54;
    uint16_t csum;

    icmp[2] = icmp[3] = 0;
    csum = (uint16_t) ~frame_sum(frame_sum(58 + l4_size, ip + 8, 32), icmp,
                                 l4_size);
    icmp[2] = (uint8_t) (csum >> 8);
    icmp[3] = (uint8_t) csum;
}

/* Writes the frame and returns its size. */
static uint32_t
compose(const struct nd_spec *s, uint8_t frame[128])
{
    static const uint8_t lens[5] = { 8, 16, 24, 24, 40 };
    uint8_t *ip = frame + 14, *icmp = ip + 40;
    uint32_t len = lens[s->type - 133];

    memset(frame, 0, 128);
    memcpy(frame, "\x33\x33\xff\0\0\xfe\x02\0\0\0\0\x0a\x86\xdd", 14);
    ip[0] = 0x60;
    ip[5] = (uint8_t) (len + (s->option ? 8 : 0));
    ip[6] = 58;
    ip[7] = s->hop_limit ? s->hop_limit : 255;
    set(ip + 8, s->src);
    set(ip + 24, s->dst);
    icmp[0] = s->type;
    icmp[1] = s->code;
    icmp[4] = s->flags;
    if (s->target) {
        set(icmp + 8, s->target);
    }
    if (s->option) {
        memcpy(icmp + len, "\0\1\x02\0\0\0\0\x0b", 8);
        icmp[len] = s->option;
    }
    fix_csum(frame, 54u + ip[5]);
    return 54u + ip[5];
}

static bool
parse_frame(const uint8_t *frame, uint32_t size, struct mat_nd *nd)
{
    struct mat_packet p;

    mat_packet_parse(&p, guarded_copy(frame, size), size);
    return mat_nd_parse(&p, MAT_CSUM_FULL, nd);
}

static bool
is_valid(const struct nd_spec *s)
{
    uint8_t frame[128];
    uint32_t size = compose(s, frame);
    struct mat_nd nd;

    return parse_frame(frame, size, &nd);
}

static const struct nd_spec rs = {
    133, "fe80::1", "ff02::2", NULL, 0, 1, 0, 0
};
static const struct nd_spec ra = {
    134, "fe80::1", "ff02::1", NULL, 0, 1, 0, 0
};
static const struct nd_spec ns = {
    135, "2001::1", "ff02::1:ff00:fe", "2001::fe", 0, 1, 0, 0
};
static const struct nd_spec dad = {
    135, "::", "ff02::1:ff00:fe", "2001::fe", 0, 0, 0, 0
};
static const struct nd_spec na = {
    136, "2001::fe", "2001::1", "2001::fe", 0x60, 2, 0, 0
};
static const struct nd_spec redirect = {
    137, "fe80::1", "2001::1", "2001::fe", 0, 2, 0, 0
};
static const struct nd_spec *const all[] = {
    &rs, &ra, &ns, &dad, &na, &redirect
};
enum { N_ALL = sizeof all / sizeof *all };

static void
test_good_ones_are_read(void **state)
{
    (void) state;
    for (int i = 0; i < N_ALL; i++) {
        char buf[MAT_ADDR_STRLEN];
        uint8_t frame[128];
        uint32_t size = compose(all[i], frame);
        struct mat_nd nd;

        assert_true(parse_frame(frame, size, &nd));
        assert_int_equal(nd.type, all[i]->type);
        assert_int_equal(nd.flags, all[i]->type == 136 ? 0x60 : 0);
        assert_string_equal(mat_addr_format(&nd.src, buf), all[i]->src);
        assert_string_equal(mat_addr_format(&nd.dst, buf), all[i]->dst);
        assert_string_equal(mat_addr_format(&nd.target, buf),
                            all[i]->target ? all[i]->target : "::");
        assert_int_equal(nd.has_lladdr, all[i]->option != 0);
        if (nd.has_lladdr) {
            assert_int_equal(nd.lladdr.ea[5], 0x0b);
        }
        assert_int_equal(mat_nd_is_dad(&nd), all[i] == &dad);
        assert_false(mat_nd_is_unsolicited(&nd));
    }
}

static void
test_unsolicited_advertisement(void **state)
{
    struct nd_spec s = na;
    uint8_t frame[128];
    struct mat_nd nd;
    uint32_t size;

    (void) state;
    s.dst = "ff02::1";
    s.flags = 0x20;
    size = compose(&s, frame);
    assert_true(parse_frame(frame, size, &nd));
    assert_true(mat_nd_is_unsolicited(&nd));
}

static void
test_every_truncation(void **state)
{
    (void) state;
    for (int i = 0; i < N_ALL; i++) {
        uint8_t frame[128];
        uint32_t size = compose(all[i], frame);
        uint32_t without_option = size - (all[i]->option ? 8 : 0);
        struct mat_nd nd;

        for (uint32_t cut = 0; cut < size; cut++) {
            assert_false(parse_frame(frame, cut, &nd));
        }
        /* With a payload length to match, only the option may be missing. */
        for (uint32_t cut = 54; cut <= size; cut++) {
            frame[19] = (uint8_t) (cut - 54);
            fix_csum(frame, cut < 58 ? 58 : cut);
            assert_int_equal(parse_frame(frame, cut, &nd),
                             cut == size || cut == without_option);
        }
    }
}

static void
test_what_makes_all_of_them_invalid(void **state)
{
    (void) state;
    for (int i = 0; i < N_ALL; i++) {
        struct nd_spec s = *all[i];
        uint8_t frame[128];
        struct mat_packet p;
        struct mat_nd nd;
        uint32_t size;

        for (s.hop_limit = 254; s.hop_limit > 0; s.hop_limit--) {
            assert_false(is_valid(&s));
        }
        s.hop_limit = 255;
        s.code = 1;
        assert_false(is_valid(&s));
        s.code = 0;
        s.src = "ff02::1";
        assert_false(is_valid(&s));

        size = compose(all[i], frame);
        frame[57] ^= 1;
        assert_false(parse_frame(frame, size, &nd));
        mat_packet_parse(&p, frame, size);
        assert_true(mat_packet_is_nd(&p));
        assert_true(mat_nd_parse(&p, MAT_CSUM_PARTIAL, &nd));
        assert_true(mat_nd_parse(&p, MAT_CSUM_SKIP, &nd));
    }
}

static void
test_rules_on_addresses(void **state)
{
    static const struct {
        struct nd_spec spec;
        bool valid;
    } table[] = {
        { { 133, "::", "ff02::2", NULL, 0, 0, 0, 0 }, true },
        { { 133, "::", "ff02::2", NULL, 0, 1, 0, 0 }, false },
        { { 133, "2001::1", "ff02::2", NULL, 0, 1, 0, 0 }, true },
        { { 134, "2001::1", "ff02::1", NULL, 0, 1, 0, 0 }, false },
        { { 134, "::", "ff02::1", NULL, 0, 0, 0, 0 }, false },
        { { 135, "2001::1", "2001::fe", "2001::fe", 0, 1, 0, 0 }, true },
        { { 135, "2001::1", "2001::fe", "2001::fe", 0, 0, 0, 0 }, true },
        { { 135, "2001::1", "ff02::1", "ff02::1", 0, 0, 0, 0 }, false },
        { { 135, "2001::1", "2001::fe", "::ffff:1.2.3.4", 0, 0, 0, 0 },
          false },
        { { 135, "::", "2001::fe", "2001::fe", 0, 0, 0, 0 }, false },
        { { 135, "::", "ff02::1:ff00:fd", "2001::fe", 0, 0, 0, 0 }, false },
        { { 135, "::", "ff02::1:ff00:fe", "2001::fe", 0, 1, 0, 0 }, false },
        { { 136, "2001::fe", "ff02::1", "2001::fe", 0x40, 2, 0, 0 }, false },
        { { 136, "2001::fe", "ff02::1", "2001::fe", 0xa0, 2, 0, 0 }, true },
        { { 136, "2001::fe", "ff02::1", "2001::fe", 0xa0, 0, 0, 0 }, true },
        { { 136, "2001::fe", "2001::1", "ff02::1", 0x40, 2, 0, 0 }, false },
        { { 136, "::", "ff02::1", "2001::fe", 0x20, 2, 0, 0 }, false },
        { { 137, "2001::1", "2001::2", "2001::3", 0, 2, 0, 0 }, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(is_valid(&table[i].spec), table[i].valid);
    }
}

static void
test_options(void **state)
{
    static const struct {
        uint8_t type, length, last_byte_of_first;
        bool valid, has_lladdr;
    } table[] = {
        { 1, 1, 0, true, true }, { 2, 1, 0, true, false },
        { 14, 1, 0, true, false }, { 1, 0, 0, false, false },
        { 1, 2, 0, false, false }, { 14, 255, 0, false, false },
        { 1, 1, 1, false, false },      /* A group as an address. */
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t frame[128];
        uint32_t size = compose(&ns, frame);
        struct mat_nd nd;

        frame[78] = table[i].type;
        frame[79] = table[i].length;
        frame[80] |= table[i].last_byte_of_first;
        fix_csum(frame, size);
        assert_int_equal(parse_frame(frame, size, &nd), table[i].valid);
        if (table[i].valid) {
            assert_int_equal(nd.has_lladdr, table[i].has_lladdr);
        }
    }
}

static void
test_extension_headers_are_not_accepted(void **state)
{
    static struct frame f;

    (void) state;
    for (int i = 0; i < FRAME_N_EXT; i++) {
        struct frame_spec spec = {
            .v6 = true, .proto = 58, .ttl = 255, .payload_size = 0,
            .addrs = { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 2 } },
            .icmp_type = 133, .n_ext = 1, .ext = { i }
        };
        struct mat_nd nd;

        frame_compose(&spec, &f);
        assert_false(parse_frame(f.data, f.size, &nd));
        spec.n_ext = 0;
        frame_compose(&spec, &f);
        assert_true(parse_frame(f.data, f.size, &nd));
    }
}

static void
test_other_messages(void **state)
{
    static struct frame f;

    (void) state;
    for (int type = 0; type < 256; type++) {
        struct frame_spec spec = {
            .v6 = true, .proto = 58, .ttl = 255, .payload_size = 0,
            .addrs = { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 2 } },
            .icmp_type = (uint8_t) type
        };
        struct mat_packet p;
        struct mat_nd nd;

        frame_compose(&spec, &f);
        mat_packet_parse(&p, f.data, f.size);
        assert_int_equal(mat_packet_is_nd(&p), type >= 133 && type <= 137);
        if (!mat_packet_is_nd(&p)) {
            assert_false(mat_nd_parse(&p, MAT_CSUM_FULL, &nd));
        }
    }
}

/* A request that is ready to be answered, with or without a tag. */
struct asked {
    uint8_t frame[132];
    struct mat_packet p;
    struct mat_nd nd;
};

static void
ask(const struct nd_spec *spec, bool tagged, struct asked *a)
{
    uint32_t size = compose(spec, a->frame);

    if (tagged) {
        memmove(a->frame + 16, a->frame + 12, size - 12);
        memcpy(a->frame + 12, "\x81\0\0\x2a", 4);
        size += 4;
    }
    mat_packet_parse(&a->p, a->frame, size);
    assert_true(mat_nd_parse(&a->p, MAT_CSUM_FULL, &a->nd));
}

static void
test_neighbor_advertisement(void **state)
{
    (void) state;
    for (int tagged = 0; tagged < 2; tagged++) {
        for (int i = 0; i < 2; i++) {
            uint8_t reply[128], flags = MAT_NA_OVERRIDE | MAT_NA_ROUTER;
            uint32_t size = 86 + (tagged ? 4 : 0);
            struct asked a;

            ask(i ? &dad : &ns, tagged, &a);
            assert_int_equal(mat_reply_na(&a.p, &a.nd, &our_mac, flags, reply,
                                          size - 1), 0);
            assert_int_equal(mat_reply_na(&a.p, &a.nd, &our_mac, flags, reply,
                                          size), size);
            assert_true(frame_is_right(reply, size));
            assert_memory_equal(reply,
                                i ? "\x33\x33\0\0\0\1" : "\x02\0\0\0\0\x0a",
                                6);
            assert_memory_equal(reply + 6, &our_mac, 6);
            assert_memory_equal(reply + 12, a.frame + 12,
                                tagged ? 6 : 2);

            struct mat_packet p;
            struct mat_nd nd;
            mat_packet_parse(&p, reply, size);
            assert_true(mat_nd_parse(&p, MAT_CSUM_FULL, &nd));
            assert_int_equal(nd.type, MAT_ND_NA);
            assert_int_equal(nd.flags, flags | (i ? 0 : MAT_NA_SOLICITED));
            assert_true(mat_addr_equal(&nd.target, &a.nd.target));
            assert_true(mat_addr_equal(&nd.src, &a.nd.target));
            assert_true(nd.has_lladdr);
            assert_true(mat_mac_equal(&nd.lladdr, &our_mac));
            if (i) {
                char buf[MAT_ADDR_STRLEN];

                assert_string_equal(mat_addr_format(&nd.dst, buf), "ff02::1");
            } else {
                assert_true(mat_addr_equal(&nd.dst, &a.nd.src));
            }
        }
    }
}

static void
test_only_solicitations_are_answered(void **state)
{
    struct mat_ra config = { .mac = our_mac };
    uint8_t reply[256];

    (void) state;
    for (int i = 0; i < N_ALL; i++) {
        struct asked a;

        ask(all[i], false, &a);
        assert_int_equal(!mat_reply_na(&a.p, &a.nd, &our_mac, 0, reply,
                                       sizeof reply),
                         all[i]->type != 135);
        assert_int_equal(!mat_reply_ra(&a.p, &a.nd, &config, reply,
                                       sizeof reply),
                         all[i]->type != 133);
    }
}

/* Every combination of what an advertisement may hold. */
static void
test_router_advertisement(void **state)
{
    struct nd_spec nobody = rs;

    (void) state;
    nobody.src = "::";
    nobody.option = 0;
    for (unsigned int bits = 0; bits < 64; bits++) {
        struct mat_ra config = {
            .mac = our_mac,
            .plen = bits & 1 ? 60 : 0,
            .mtu = bits & 2 ? 1400 : 0,
            .autonomous = bits & 4,
            .managed = bits & 8
        };
        bool tagged = bits & 16, unknown = bits & 32;
        uint32_t l4_ofs = 54 + (tagged ? 4 : 0);
        uint32_t size = l4_ofs + 24 + (config.mtu ? 8 : 0)
                        + (config.plen ? 32 : 0);
        struct mat_packet p;
        uint8_t reply[256];
        struct mat_nd nd;
        struct asked a;

        assert_true(mat_addr_parse("2001:db8:0:1f::99", &config.prefix));
        ask(unknown ? &nobody : &rs, tagged, &a);
        assert_int_equal(mat_reply_ra(&a.p, &a.nd, &config, reply, size - 1),
                         0);
        assert_int_equal(mat_reply_ra(&a.p, &a.nd, &config, reply, size),
                         size);
        assert_true(frame_is_right(reply, size));
        assert_memory_equal(reply, "\x02\0\0\0\0\x0a", 6);
        mat_packet_parse(&p, reply, size);
        assert_true(mat_nd_parse(&p, MAT_CSUM_FULL, &nd));
        assert_int_equal(nd.type, MAT_ND_RA);
        assert_true(mat_mac_equal(&nd.lladdr, &our_mac));

        char buf[MAT_ADDR_STRLEN];
        assert_string_equal(mat_addr_format(&nd.src, buf),
                            "fe80::4d:41ff:fe54:1");
        assert_string_equal(mat_addr_format(&nd.dst, buf),
                            unknown ? "ff02::1" : "fe80::1");
        const uint8_t *b = reply + l4_ofs;
        assert_int_equal(b[5], config.managed ? 0xc0 : 0);
        assert_int_equal(b[6] * 256 + b[7], MAT_RA_LIFETIME_S);
        b += 24;
        if (config.mtu) {
            assert_memory_equal(b, "\5\1\0\0\0\0\x05\x78", 8);
            b += 8;
        }
        if (config.plen) {
            static const uint8_t prefix[32] = {
                3, 4, 60, 0x80, 255, 255, 255, 255, 255, 255, 255, 255,
                [16] = 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0x10
            };

            assert_int_equal(b[3], config.autonomous ? 0xc0 : 0x80);
            assert_memory_equal(b, prefix, 3);
            assert_memory_equal(b + 4, prefix + 4, 28);
        }
    }
}

static void
test_unsolicited_router_advertisement(void **state)
{
    static const struct mat_mac guest = { { 2, 0, 0, 0, 0, 0xa } };
    struct mat_ra config = { .mac = our_mac, .mtu = 1500, .plen = 64 };
    struct nd_spec nobody = rs;
    uint8_t asked_for[256], reply[256];
    struct asked a;

    (void) state;
    nobody.src = "::";
    nobody.option = 0;
    assert_true(mat_addr_parse("2001:db8::", &config.prefix));
    ask(&nobody, false, &a);
    size_t size = mat_reply_ra(&a.p, &a.nd, &config, asked_for,
                               sizeof asked_for);
    assert_int_equal(mat_build_ra(&config, &guest, reply, size - 1), 0);
    assert_int_equal(mat_build_ra(&config, &guest, reply, size), size);
    assert_memory_equal(reply, asked_for, size);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones_are_read),
        cmocka_unit_test(test_unsolicited_advertisement),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_what_makes_all_of_them_invalid),
        cmocka_unit_test(test_rules_on_addresses),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_extension_headers_are_not_accepted),
        cmocka_unit_test(test_other_messages),
        cmocka_unit_test(test_neighbor_advertisement),
        cmocka_unit_test(test_only_solicitations_are_answered),
        cmocka_unit_test(test_router_advertisement),
        cmocka_unit_test(test_unsolicited_router_advertisement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
