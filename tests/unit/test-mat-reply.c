/* SPDX-License-Identifier: Apache-2.0 */

/* Answers to ARP and echo, and ICMP errors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-reply.h"

static const struct mat_mac our_mac = { { 2, 0x4d, 0x41, 0x54, 0, 1 } };

/* An ARP request from 02:00:00:00:00:0a, 10.0.0.1, for 10.0.0.254. */
static const uint8_t arp_request[42] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xa, 8, 6,
    0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xa, 10, 0, 0, 1,
    0, 0, 0, 0, 0, 0, 10, 0, 0, 254
};

enum { ARP_OP = 21, ARP_SHA = 22, ARP_SPA = 28, ARP_TPA = 38 };

/* Parses 'frame', which stays at the end of a page. */
static struct mat_packet
parse(const void *frame, uint32_t size)
{
    struct mat_packet p;

    mat_packet_parse(&p, guarded_copy(frame, size), size);
    return p;
}

static bool
parse_arp(const uint8_t *frame, uint32_t size, struct mat_arp *arp)
{
    struct mat_packet p = parse(frame, size);

    return mat_arp_parse(&p, arp);
}

static void
test_arp_is_read(void **state)
{
    struct mat_arp arp;
    char buf[MAT_ADDR_STRLEN];

    (void) state;
    assert_true(parse_arp(arp_request, sizeof arp_request, &arp));
    assert_int_equal(arp.op, MAT_ARP_REQUEST);
    assert_memory_equal(&arp.sha, arp_request + 6, 6);
    assert_true(mat_mac_is_zero(&arp.tha));
    assert_string_equal(mat_addr_format(&arp.spa, buf), "10.0.0.1");
    assert_string_equal(mat_addr_format(&arp.tpa, buf), "10.0.0.254");
    assert_false(mat_arp_is_probe(&arp));
    assert_false(mat_arp_is_gratuitous(&arp));
}

static void
test_arp_at_every_truncation(void **state)
{
    struct mat_arp arp;

    (void) state;
    for (uint32_t size = 0; size < sizeof arp_request; size++) {
        assert_false(parse_arp(arp_request, size, &arp));
    }
}

static void
test_arp_that_is_none(void **state)
{
    static const struct { uint8_t ofs, value; } table[] = {
        { 14, 1 }, { 15, 6 }, { 16, 0x86 }, { 17, 1 }, { 18, 8 }, { 19, 16 },
        { 20, 1 }, { ARP_OP, 0 }, { ARP_OP, 3 }, { ARP_OP, 4 }, { ARP_OP, 8 },
        { ARP_SHA, 3 }, { 12, 0x88 }, { 13, 7 },
    };
    struct mat_arp arp;

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t frame[sizeof arp_request];

        memcpy(frame, arp_request, sizeof frame);
        frame[table[i].ofs] = table[i].value;
        assert_false(parse_arp(frame, sizeof frame, &arp));
    }

    uint8_t nobody[sizeof arp_request];
    memcpy(nobody, arp_request, sizeof nobody);
    memset(nobody + ARP_SHA, 0, 6);
    assert_false(parse_arp(nobody, sizeof nobody, &arp));
}

static void
test_kinds_of_arp(void **state)
{
    static const struct {
        uint8_t op, spa, tpa;   /* Last bytes of 10.0.0.x, 0 for 0.0.0.0. */
        bool probe, gratuitous;
    } table[] = {
        { 1, 1, 254, false, false }, { 1, 0, 1, true, false },
        { 1, 0, 0, false, false }, { 1, 1, 1, false, true },
        { 2, 1, 1, false, true }, { 2, 0, 1, false, false },
        { 2, 1, 2, false, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t frame[sizeof arp_request];
        struct mat_arp arp;

        memcpy(frame, arp_request, sizeof frame);
        frame[ARP_OP] = table[i].op;
        frame[ARP_SPA] = table[i].spa ? 10 : 0;
        frame[ARP_SPA + 3] = table[i].spa;
        frame[ARP_TPA] = table[i].tpa ? 10 : 0;
        frame[ARP_TPA + 3] = table[i].tpa;
        assert_true(parse_arp(frame, sizeof frame, &arp));
        assert_int_equal(mat_arp_is_probe(&arp), table[i].probe);
        assert_int_equal(mat_arp_is_gratuitous(&arp), table[i].gratuitous);
    }
}

static void
test_rarp_is_read(void **state)
{
    uint8_t frame[60] = { 0 };
    struct mat_arp arp;

    (void) state;
    memcpy(frame, arp_request, sizeof arp_request);
    frame[12] = 0x80;
    frame[13] = 0x35;
    frame[ARP_OP] = 3;
    assert_true(parse_arp(frame, sizeof frame, &arp));
    assert_int_equal(arp.op, MAT_RARP_REQUEST);
    assert_memory_equal(&arp.sha, arp_request + 6, 6);
    frame[ARP_OP] = 4;
    assert_true(parse_arp(frame, sizeof frame, &arp));
    assert_false(mat_arp_is_gratuitous(&arp));
    frame[ARP_OP] = 1;
    assert_false(parse_arp(frame, sizeof frame, &arp));
}

/* With any number of tags, in a buffer that is exactly large enough. */
static void
test_arp_reply(void **state)
{
    (void) state;
    for (uint32_t n_vlans = 0; n_vlans <= 2; n_vlans++) {
        static const uint8_t tags[8] = { 0x88, 0xa8, 0, 7, 0x81, 0, 0xe0, 9 };
        uint32_t tags_size = 4 * n_vlans, size = 42 + tags_size;
        uint8_t request[50], expected[50], reply[64];
        struct mat_packet p;
        struct mat_arp arp;

        memcpy(request, arp_request, 12);
        memcpy(request + 12, tags + 8 - tags_size, tags_size);
        memcpy(request + 12 + tags_size, arp_request + 12, 30);
        p = parse(request, size);
        assert_true(mat_arp_parse(&p, &arp));

        memcpy(expected, request, size);
        memcpy(expected, request + 6, 6);
        memcpy(expected + 6, &our_mac, 6);
        uint8_t *b = expected + 14 + tags_size;
        b[7] = 2;
        memcpy(b + 8, &our_mac, 6);
        memcpy(b + 14, arp_request + ARP_TPA, 4);
        memcpy(b + 18, arp_request + 6, 6);
        memcpy(b + 24, arp_request + ARP_SPA, 4);

        for (uint32_t cap = 0; cap < size; cap++) {
            assert_int_equal(mat_reply_arp(&p, &arp, &our_mac, reply, cap),
                             0);
        }
        assert_int_equal(mat_reply_arp(&p, &arp, &our_mac, reply, size),
                         size);
        assert_memory_equal(reply, expected, size);
        arp.op = MAT_ARP_REPLY;
        assert_int_equal(mat_reply_arp(&p, &arp, &our_mac, reply, size), 0);
    }
}

static struct frame_spec
plain(bool v6, uint8_t proto)
{
    static const struct frame_addrs addrs[2] = {
        { { 10, 0, 0, 1 }, { 10, 0, 0, 254 } },
        { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 254 } }
    };

    return (struct frame_spec) {
        .v6 = v6, .proto = proto, .ttl = 9, .payload_size = 56,
        .addrs = addrs[v6], .frag = 0x4000, .icmp_type = v6 ? 128 : 8,
        .quoted_max = UINT32_MAX
    };
}

static size_t
echo(const struct frame *f, enum mat_csum_state csum, uint8_t *buf,
     size_t cap)
{
    struct mat_packet p = parse(f->data, f->size);

    return mat_reply_echo(&p, csum, &our_mac, buf, cap);
}

static void
test_echo_is_answered(void **state)
{
    static struct frame f, expected;
    static uint8_t reply[FRAME_SIZE_MAX];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        for (uint32_t size = 0; size < 9000; size += size < 65 ? 1 : 745) {
            spec.payload_size = size;
            spec.n_vlans = (uint8_t) (size % 3);
            frame_compose(&spec, &f);

            struct frame_spec answer = spec;
            memcpy(answer.addrs.src, spec.addrs.dst, 16);
            memcpy(answer.addrs.dst, spec.addrs.src, 16);
            answer.icmp_type = v6 ? 129 : 0;
            answer.ttl = 64;
            frame_compose(&answer, &expected);
            memcpy(expected.data, f.data + 6, 6);
            memcpy(expected.data + 6, &our_mac, 6);
            assert_int_equal(echo(&f, MAT_CSUM_FULL, reply, f.size - 1), 0);
            assert_int_equal(echo(&f, MAT_CSUM_FULL, reply, f.size), f.size);
            assert_memory_equal(reply, expected.data, expected.size);
        }
    }
}

static void
test_echo_past_options(void **state)
{
    static struct frame f;
    uint8_t reply[512];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        spec.options_len = 16;
        spec.n_ext = (uint8_t) v6;
        spec.ext[0] = FRAME_DEST_OPTS;
        frame_compose(&spec, &f);
        assert_int_equal(echo(&f, MAT_CSUM_FULL, reply, sizeof reply),
                         f.size - (v6 ? 8 : 16));
        assert_true(frame_is_right(reply, f.size - (v6 ? 8u : 16u)));
    }
}

static void
check_no_echo(struct frame_spec spec)
{
    static struct frame f;
    uint8_t reply[512];

    frame_compose(&spec, &f);
    assert_int_equal(echo(&f, MAT_CSUM_FULL, reply, sizeof reply), 0);
}

static void
test_echo_that_is_not_answered(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        uint8_t proto = v6 ? 58 : 1;
        struct frame_spec spec = plain(v6, proto);

        spec.csum = FRAME_CSUM_WRONG;
        spec.l4_error = 1;
        check_no_echo(spec);
        spec = plain(v6, proto);
        spec.icmp_type = v6 ? 129 : 0;
        check_no_echo(spec);
        spec = plain(v6, proto);
        spec.icmp_code = 1;
        check_no_echo(spec);
        spec = plain(v6, v6 ? 1 : 58);
        check_no_echo(spec);
        spec = plain(v6, 17);
        check_no_echo(spec);
        spec = plain(v6, proto);
        memset(spec.addrs.dst, 0xff, 16);
        check_no_echo(spec);
        spec = plain(v6, proto);
        memset(spec.addrs.src, 0, 16);
        check_no_echo(spec);
        spec = plain(v6, proto);
        memset(spec.addrs.src, 0xff, 16);
        check_no_echo(spec);
        for (int i = 0; i < 3; i++) {
            static const enum frame_ext exts[] = {
                FRAME_FRAG_FIRST, FRAME_FRAG_LATER, FRAME_ROUTE_PENDING
            };

            spec = plain(v6, proto);
            spec.n_ext = (uint8_t) v6;
            spec.ext[0] = exts[i];
            spec.frag = i == 0 ? 0x2000 : i == 1 ? 100 : 0;
            spec.route_pending = i == 2 && !v6;
            check_no_echo(spec);
        }
    }
}

/* Judged by what the state of the checksum says. */
static void
test_echo_with_a_checksum_not_yet_there(void **state)
{
    static struct frame f;
    uint8_t reply[512];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        spec.csum = v6 ? FRAME_CSUM_PARTIAL : FRAME_CSUM_ABSENT;
        frame_compose(&spec, &f);
        assert_int_equal(echo(&f, MAT_CSUM_FULL, reply, sizeof reply), 0);
        assert_int_equal(echo(&f, MAT_CSUM_PARTIAL, reply, sizeof reply),
                         f.size);
        assert_true(frame_is_right(reply, f.size));
        assert_int_equal(echo(&f, MAT_CSUM_SKIP, reply, sizeof reply),
                         f.size);
        assert_true(frame_is_right(reply, f.size));
    }
}

static struct mat_error
error_from(bool v6, enum mat_error_kind kind)
{
    struct mat_error e = { .kind = kind, .mtu = 1400, .mac = our_mac };

    assert_true(mat_addr_parse(v6 ? "2001::fe" : "10.0.0.254", &e.src));
    return e;
}

static size_t
error(const struct frame *f, const struct mat_error *e, uint8_t *buf,
      size_t cap)
{
    struct mat_packet p = parse(f->data, f->size);

    return mat_reply_error(&p, e, buf, cap);
}

static void
test_errors(void **state)
{
    static const uint8_t types[4][2][2] = {
        [MAT_ERROR_TTL] = { { 11, 0 }, { 3, 0 } },
        [MAT_ERROR_TOO_BIG] = { { 3, 4 }, { 2, 0 } },
        [MAT_ERROR_UNREACHABLE] = { { 3, 1 }, { 1, 3 } },
        [MAT_ERROR_PROHIBITED] = { { 3, 13 }, { 1, 1 } }
    };
    static struct frame f;
    uint8_t reply[MAT_REPLY_MAX];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        uint32_t header_len = (v6 ? 40 : 20) + 8;
        uint32_t max = v6 ? 1280 : 576;
        struct frame_spec spec = plain(v6, 17);

        for (int kind = 0; kind < 4; kind++) {
            struct mat_error e = error_from(v6, kind);

            for (uint32_t size = 0; size < 2000; size += 13) {
                spec.payload_size = size;
                spec.n_vlans = (uint8_t) (size % 3);
                frame_compose(&spec, &f);
                uint32_t l3_size = header_len + f.size - f.l3_ofs;
                l3_size = l3_size < max ? l3_size : max;
                uint32_t expected = f.l3_ofs + l3_size;

                assert_int_equal(error(&f, &e, reply, expected - 1), 0);
                assert_int_equal(error(&f, &e, reply, sizeof reply),
                                 expected);
                assert_true(frame_is_right(reply, expected));

                const uint8_t *ip = reply + f.l3_ofs;
                const uint8_t *icmp = ip + header_len - 8;
                assert_memory_equal(reply, f.data + 6, 6);
                assert_memory_equal(reply + 6, &our_mac, 6);
                assert_memory_equal(reply + 12, f.data + 12, f.l3_ofs - 12u);
                assert_memory_equal(ip + (v6 ? 8 : 12), spec.addrs.dst,
                                    v6 ? 16 : 4);
                assert_memory_equal(ip + (v6 ? 24 : 16), spec.addrs.src,
                                    v6 ? 16 : 4);
                assert_int_equal(icmp[0], types[kind][v6][0]);
                assert_int_equal(icmp[1], types[kind][v6][1]);
                assert_int_equal(icmp[6] * 256 + icmp[7],
                                 kind == MAT_ERROR_TOO_BIG ? 1400 : 0);
                assert_memory_equal(icmp + 8, f.data + f.l3_ofs,
                                    l3_size - header_len);
            }
        }
    }
}

static void
test_mtu_in_errors(void **state)
{
    static struct frame f;
    uint8_t reply[MAT_REPLY_MAX];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, 17);
        struct mat_error e = error_from(v6, MAT_ERROR_TOO_BIG);
        const uint8_t *icmp = reply + 14 + (v6 ? 40 : 20);

        e.mtu = 576;
        frame_compose(&spec, &f);
        assert_int_not_equal(error(&f, &e, reply, sizeof reply), 0);
        assert_int_equal(icmp[6] * 256 + icmp[7], v6 ? 1280 : 576);

        /* IPv4 without DF would be fragmented, not complained about. */
        spec.frag = 0;
        frame_compose(&spec, &f);
        assert_int_equal(!error(&f, &e, reply, sizeof reply), !v6);
    }
}

static void
check_no_error(const struct frame_spec *spec, int eth_dst)
{
    static struct frame f;
    uint8_t reply[MAT_REPLY_MAX];
    struct mat_packet p;

    frame_compose(spec, &f);
    if (eth_dst >= 0) {
        f.data[0] = (uint8_t) eth_dst;
    }
    p = parse(f.data, f.size);
    assert_false(mat_error_allowed(&p));
    for (int kind = 0; kind < 4; kind++) {
        struct mat_error e = error_from(spec->v6, kind);

        assert_int_equal(mat_reply_error(&p, &e, reply, sizeof reply), 0);
    }
}

/* RFC 1122, 3.2.2; RFC 1812, 4.3.2.7; RFC 4443, 2.4 (e). */
static void
test_what_never_causes_an_error(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        static const uint8_t errors[] = { 3, 4, 5, 11, 12 };
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        for (size_t i = 0; !v6 && i < sizeof errors; i++) {
            spec.icmp_type = errors[i];
            check_no_error(&spec, -1);
        }
        for (int type = 0; v6 && type < 128; type++) {
            spec.icmp_type = (uint8_t) type;
            check_no_error(&spec, -1);
        }
        if (v6) {
            spec.icmp_type = 137;
            check_no_error(&spec, -1);
        }

        spec = plain(v6, 17);
        spec.frag = 100;
        spec.n_ext = (uint8_t) v6;
        spec.ext[0] = FRAME_FRAG_LATER;
        check_no_error(&spec, -1);
        spec = plain(v6, 17);
        check_no_error(&spec, 0xff);
        check_no_error(&spec, 0x33);

        static const char *const bad[2][6] = {
            { "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255",
              "240.0.0.1", "169.254.1.1" },
            { "::", "::1", "ff02::1", "fe80::1", "ff05::2", "ff0e::1" }
        };
        for (int i = 0; i < 6; i++) {
            struct mat_addr a;

            assert_true(mat_addr_parse(bad[v6][i], &a));
            spec = plain(v6, 17);
            memcpy(spec.addrs.src, v6 ? a.b : &a.b[12], v6 ? 16 : 4);
            check_no_error(&spec, -1);
            spec = plain(v6, 17);
            memcpy(spec.addrs.dst, v6 ? a.b : &a.b[12], v6 ? 16 : 4);
            check_no_error(&spec, -1);
        }
    }
}

static void
test_what_may_cause_an_error(void **state)
{
    static struct frame f;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        static const uint8_t protos[] = { 6, 17, 132, 1, 58, 50, 47, 59 };

        for (size_t i = 0; i < sizeof protos; i++) {
            for (int first = 0; first < 2; first++) {
                struct frame_spec spec = plain(v6, protos[i]);
                struct mat_packet p;

                spec.n_ext = (uint8_t) (v6 && first);
                spec.ext[0] = FRAME_FRAG_FIRST;
                spec.frag = first ? 0x2000 : 0;
                frame_compose(&spec, &f);
                p = parse(f.data, f.size);
                assert_true(mat_error_allowed(&p));
            }
        }
    }
}

static void
test_error_of_the_other_family(void **state)
{
    static struct frame f;
    uint8_t reply[MAT_REPLY_MAX];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, 17);
        struct mat_error e = error_from(!v6, MAT_ERROR_TTL);

        frame_compose(&spec, &f);
        assert_int_equal(error(&f, &e, reply, sizeof reply), 0);
    }
}

static void
test_not_ip_at_all(void **state)
{
    struct mat_packet p = parse(arp_request, sizeof arp_request);
    struct mat_error e = error_from(false, MAT_ERROR_TTL);
    uint8_t reply[MAT_REPLY_MAX];

    (void) state;
    assert_false(mat_error_allowed(&p));
    assert_int_equal(mat_reply_error(&p, &e, reply, sizeof reply), 0);
    assert_false(mat_packet_is_echo_request(&p));
    assert_int_equal(mat_reply_echo(&p, MAT_CSUM_FULL, &our_mac, reply,
                                    sizeof reply), 0);
    for (uint32_t size = 0; size < 14; size++) {
        p = parse(arp_request, size);
        assert_int_equal(p.kind, MAT_PACKET_MALFORMED);
        assert_false(mat_error_allowed(&p));
        assert_int_equal(mat_reply_error(&p, &e, reply, sizeof reply), 0);
        assert_false(mat_packet_is_echo_request(&p));
        assert_int_equal(mat_reply_echo(&p, MAT_CSUM_FULL, &our_mac, reply,
                                        sizeof reply), 0);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arp_is_read),
        cmocka_unit_test(test_arp_at_every_truncation),
        cmocka_unit_test(test_arp_that_is_none),
        cmocka_unit_test(test_kinds_of_arp),
        cmocka_unit_test(test_rarp_is_read),
        cmocka_unit_test(test_arp_reply),
        cmocka_unit_test(test_echo_is_answered),
        cmocka_unit_test(test_echo_past_options),
        cmocka_unit_test(test_echo_that_is_not_answered),
        cmocka_unit_test(test_echo_with_a_checksum_not_yet_there),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_mtu_in_errors),
        cmocka_unit_test(test_what_never_causes_an_error),
        cmocka_unit_test(test_what_may_cause_an_error),
        cmocka_unit_test(test_error_of_the_other_family),
        cmocka_unit_test(test_not_ip_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
