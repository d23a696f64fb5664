/* SPDX-License-Identifier: Apache-2.0 */

/* The parser: every kind of frame at every truncation, and all that the
 * lengths in headers can say. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-packet.h"

enum { N_RANDOM = 100000 };

static const struct frame_addrs v4_addrs = {
    { 10, 0, 0, 1 }, { 10, 0, 1, 2 }
};
static const struct frame_addrs v6_addrs = {
    { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, { 0x20, 0x01, 0x0d, 0xb9, [15] = 2 }
};

/* All upper layers with all ways to begin the packet. */
#define ALL_PROTOS { 6, 17, 33, 136, 132, 1, 58, 135, 50, 47, 59 }

static struct frame_spec
plain(bool v6, uint8_t proto)
{
    return (struct frame_spec) {
        .v6 = v6, .proto = proto, .ttl = 64, .payload_size = 20,
        .addrs = v6 ? v6_addrs : v4_addrs, .icmp_type = 128,
        .quoted_max = UINT32_MAX
    };
}

/* Parses the first 'size' bytes of 'f' at the end of a page. */
static enum mat_packet_kind
parse_cut(const struct frame *f, uint32_t size, struct mat_packet *p)
{
    return mat_packet_parse(p, guarded_copy(f->data, size), size);
}

static void
check_parsed(const struct frame_spec *spec, const struct frame *f,
             const struct mat_packet *p)
{
    bool later = f->l4_ofs == FRAME_NONE;

    assert_int_equal(p->kind, spec->v6 ? MAT_PACKET_IPV6 : MAT_PACKET_IPV4);
    assert_int_equal(p->eth_type, spec->v6 ? 0x86dd : 0x0800);
    assert_int_equal(p->n_vlans, spec->n_vlans);
    assert_int_equal(p->l3_ofs, f->l3_ofs);
    assert_int_equal(p->end, f->end);
    assert_int_equal(p->proto, spec->proto);
    assert_int_equal(p->l4_ofs, later ? MAT_PACKET_NO_L4 : f->l4_ofs);
    assert_int_equal(mat_packet_ttl(p), spec->ttl);
    assert_int_equal(mat_packet_ip_size(p), f->end - f->l3_ofs);
    assert_int_equal(mat_packet_vid(p), spec->n_vlans ? 100 : 0);

    int csum_ofs = mat_packet_csum_ofs(p->proto, spec->v6);
    if (mat_packet_has_l4(p) && csum_ofs >= 0) {
        assert_int_equal(p->l4_ofs + csum_ofs, f->l4_csum_ofs);
    }
}

/* The frame must be malformed at every truncation but the last. */
static void
check_truncations(const struct frame_spec *spec)
{
    struct frame f;
    struct mat_packet p, quote;

    frame_compose(spec, &f);
    for (uint32_t size = 0; size < f.size; size++) {
        assert_int_equal(parse_cut(&f, size, &p), MAT_PACKET_MALFORMED);
        assert_false(mat_packet_quote(&p, &quote));
    }
    parse_cut(&f, f.size, &p);
    check_parsed(spec, &f, &p);
}

/* The same with the length in the IP header following the truncation: now
 * only cut headers are wrong, as far as IPv6 and the protocol say. */
static void
check_short_packets(const struct frame_spec *spec)
{
    uint32_t fixed_len = spec->v6 ? 40 : 20;
    struct mat_packet p;
    struct frame f;

    frame_compose(spec, &f);
    for (uint32_t size = f.l3_ofs + fixed_len; size <= f.size; size++) {
        uint32_t length = size - f.l3_ofs - (spec->v6 ? 40 : 0);
        uint8_t *field = f.data + f.l3_ofs + (spec->v6 ? 4 : 2);

        field[0] = (uint8_t) (length >> 8);
        field[1] = (uint8_t) length;
        if (size < f.headers_end) {
            assert_int_equal(parse_cut(&f, size, &p), MAT_PACKET_MALFORMED);
        } else {
            assert_int_not_equal(parse_cut(&f, size, &p),
                                 MAT_PACKET_MALFORMED);
            assert_int_equal(p.end, size);
        }
    }
}

static void
check_spec(struct frame_spec spec)
{
    for (spec.n_vlans = 0; spec.n_vlans <= 2; spec.n_vlans++) {
        check_truncations(&spec);
        check_short_packets(&spec);
    }
}

static void
test_ipv4_at_every_truncation(void **state)
{
    static const uint8_t protos[] = ALL_PROTOS;
    static const uint16_t frags[] = { 0, 0x4000, 0x2000, 0x2001, 0x1fff };

    (void) state;
    for (size_t i = 0; i < sizeof protos; i++) {
        for (size_t j = 0; j < sizeof frags / sizeof *frags; j++) {
            for (int ah = 0; ah < 2; ah++) {
                struct frame_spec spec = plain(false, protos[i]);

                if (ah && frags[j] & 0x1fff) {
                    continue;
                }
                spec.frag = frags[j];
                spec.n_ext = (uint8_t) ah;
                spec.ext[0] = FRAME_AH;
                check_spec(spec);
                spec.options_len = 4;
                check_spec(spec);
                spec.options_len = 40;
                check_spec(spec);
            }
        }
    }
}

static void
test_ipv6_at_every_truncation(void **state)
{
    static const uint8_t protos[] = ALL_PROTOS;

    (void) state;
    for (size_t i = 0; i < sizeof protos; i++) {
        struct frame_spec spec = plain(true, protos[i]);

        check_spec(spec);
        for (int a = 0; a < FRAME_N_EXT; a++) {
            spec.n_ext = 1;
            spec.ext[0] = a;
            check_spec(spec);
            for (int b = 0; b < FRAME_N_EXT; b++) {
                bool frag_a = a >= FRAME_FRAG_ATOMIC && a <= FRAME_FRAG_LATER;
                bool frag_b = b >= FRAME_FRAG_ATOMIC && b <= FRAME_FRAG_LATER;

                if (!(frag_a && frag_b)) {
                    spec.n_ext = 2;
                    spec.ext[1] = b;
                    check_spec(spec);
                }
            }
        }
    }
}

static void
test_flags(void **state)
{
    struct mat_packet p;
    struct frame f;

    (void) state;
    struct frame_spec spec = plain(false, 17);
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, 0);

    spec.frag = 0x4000;
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, MAT_PACKET_DF);

    spec.frag = 0x2000;
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, MAT_PACKET_FRAG_FIRST);

    spec.frag = 0x2001;
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, MAT_PACKET_FRAG_LATER);

    spec.frag = 0;
    spec.route_pending = true;
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, MAT_PACKET_OPTIONS | MAT_PACKET_ROUTED);

    spec.route_pending = false;
    f.data[0] = 0x33;
    spec.addrs.dst[0] = 239;
    frame_compose(&spec, &f);
    f.data[0] = 0x01;
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, MAT_PACKET_L2_MULTI | MAT_PACKET_L3_MULTI
                              | MAT_PACKET_MARTIAN);

    struct frame_spec v6 = plain(true, 17);
    frame_compose(&v6, &f);
    parse_cut(&f, f.size, &p);
    assert_int_equal(p.flags, MAT_PACKET_DF);

    static const uint16_t by_ext[FRAME_N_EXT] = {
        [FRAME_ROUTE_PENDING] = MAT_PACKET_ROUTED,
        [FRAME_FRAG_FIRST] = MAT_PACKET_FRAG_FIRST,
        [FRAME_FRAG_LATER] = MAT_PACKET_FRAG_LATER
    };
    for (int i = 0; i < FRAME_N_EXT; i++) {
        v6.n_ext = 1;
        v6.ext[0] = i;
        frame_compose(&v6, &f);
        parse_cut(&f, f.size, &p);
        assert_int_equal(p.flags,
                         MAT_PACKET_DF | MAT_PACKET_OPTIONS | by_ext[i]);
    }
}

static void
test_icmp_types_that_are_errors(void **state)
{
    struct mat_packet p;
    struct frame f;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        for (int type = 0; type < 256; type++) {
            bool error = v6 ? type < 128
                         : type == 3 || type == 4 || type == 5 || type == 11
                           || type == 12;

            spec.icmp_type = (uint8_t) type;
            frame_compose(&spec, &f);
            parse_cut(&f, f.size, &p);
            assert_int_equal(!!(p.flags & MAT_PACKET_ICMP_ERROR), error);
        }
        /* The other family's ICMP is just some protocol. */
        spec.proto = v6 ? 1 : 58;
        spec.icmp_type = 3;
        frame_compose(&spec, &f);
        parse_cut(&f, f.size, &p);
        assert_false(p.flags & MAT_PACKET_ICMP_ERROR);
    }
}

static void
test_padding_is_not_part_of_the_packet(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, 17);
        struct mat_packet p;
        struct frame f;

        spec.payload_size = 0;
        frame_compose(&spec, &f);
        for (uint32_t pad = 0; pad < 64; pad++) {
            memset(f.data + f.size, 0xee, pad);
            parse_cut(&f, f.size + pad, &p);
            check_parsed(&spec, &f, &p);
            assert_int_equal(p.size, f.size + pad);
        }
    }
}

static void
test_jumbo_frames(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, 6);
        struct mat_packet p;
        struct frame f;

        spec.payload_size = 9000;
        frame_compose(&spec, &f);
        parse_cut(&f, f.size, &p);
        check_parsed(&spec, &f, &p);
    }
}

static void
test_ethertypes(void **state)
{
    static const struct {
        uint16_t eth_type;
        enum mat_packet_kind kind;
    } table[] = {
        { 0x0000, MAT_PACKET_OTHER }, { 0x0026, MAT_PACKET_OTHER },
        { 0x05dc, MAT_PACKET_OTHER }, { 0x0806, MAT_PACKET_ARP },
        { 0x8035, MAT_PACKET_RARP }, { 0x8847, MAT_PACKET_OTHER },
        { 0x88cc, MAT_PACKET_OTHER }, { 0x0800, MAT_PACKET_MALFORMED },
        { 0x86dd, MAT_PACKET_MALFORMED }, { 0xffff, MAT_PACKET_OTHER },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (uint32_t n_vlans = 0; n_vlans <= 3; n_vlans++) {
            uint8_t data[26] = { 0 };
            uint32_t size = 14 + 4 * n_vlans;
            struct mat_packet p;

            for (uint32_t v = 0; v < n_vlans; v++) {
                data[12 + 4 * v] = v ? 0x81 : 0x88;
                data[13 + 4 * v] = v ? 0x00 : 0xa8;
            }
            data[size - 2] = (uint8_t) (table[i].eth_type >> 8);
            data[size - 1] = (uint8_t) table[i].eth_type;
            /* A third tag is not looked into. */
            assert_int_equal(mat_packet_parse(&p, guarded_copy(data, size),
                                              size),
                             n_vlans > 2 ? MAT_PACKET_OTHER : table[i].kind);
            for (uint32_t cut = 0; cut < size; cut++) {
                uint32_t whole_tags = cut < 14 ? 0 : (cut - 14) / 4;
                bool ok = n_vlans > 2 && whole_tags >= 2;

                assert_int_equal(
                    mat_packet_parse(&p, guarded_copy(data, cut), cut),
                    ok ? MAT_PACKET_OTHER : MAT_PACKET_MALFORMED);
            }
        }
    }
}

/* One byte of a good header at a time. */
static void
test_contradictions_in_headers(void **state)
{
    static const struct {
        bool v6;
        uint8_t ofs, value;     /* From the IP header. */
    } table[] = {
        { false, 0, 0x44 }, { false, 0, 0x65 }, { false, 0, 0x40 },
        { false, 0, 0x4f }, { false, 0, 0x05 }, { false, 2, 0x01 },
        { false, 3, 19 }, { false, 3, 0 }, { false, 3, 27 }, { false, 3, 49 },
        { true, 0, 0x40 }, { true, 0, 0x50 }, { true, 4, 1 }, { true, 5, 0 },
        { true, 5, 7 }, { true, 5, 29 }, { true, 6, 0 }, { true, 6, 44 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct frame_spec spec = plain(table[i].v6, 17);
        struct mat_packet p;
        struct frame f;

        frame_compose(&spec, &f);
        f.data[f.l4_ofs] = 255;     /* Bad as a length or next header. */
        f.data[f.l4_ofs + 1] = 255;
        f.data[f.l3_ofs + table[i].ofs] = table[i].value;
        if (table[i].v6 && table[i].value == 44) {
            f.size = f.end = f.l4_ofs + 7u;
            f.data[f.l3_ofs + 5] = 7;
        }
        assert_int_equal(parse_cut(&f, f.size, &p), MAT_PACKET_MALFORMED);
    }
}

static void
test_ipv4_options(void **state)
{
    static const struct {
        uint8_t bytes[8];
        bool ok, routed;
    } table[] = {
        { { 0 }, true, false },                         /* End at once. */
        { { 0, 131, 1 }, true, false },                 /* After the end. */
        { { 1, 1, 1, 1, 1, 1, 1, 1 }, true, false },
        { { 131, 7, 4, 1, 2, 3, 4, 0 }, true, true },
        { { 131, 7, 8, 1, 2, 3, 4, 0 }, true, false },  /* Used up. */
        { { 137, 7, 4, 1, 2, 3, 4, 0 }, true, true },
        { { 1, 137, 7, 4, 1, 2, 3, 4 }, true, true },
        { { 7, 7, 4, 1, 2, 3, 4, 0 }, true, false },    /* Record route. */
        { { 148, 4, 0, 0, 148, 4, 0, 0 }, true, false },
        { { 131, 2, 0 }, true, false },
        { { 131, 3, 3, 0 }, true, true },
        { { 131, 3, 4, 0 }, true, false },
        { { 7, 0, 0, 0 }, false, false },               /* Length 0, 1. */
        { { 7, 1, 0, 0 }, false, false },
        { { 7, 9, 0, 0 }, false, false },               /* Too long. */
        { { 1, 1, 1, 1, 1, 1, 1, 7 }, false, false },   /* No length. */
        { { 1, 1, 1, 1, 1, 1, 7, 3 }, false, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct frame_spec spec = plain(false, 17);
        struct mat_packet p;
        struct frame f;

        spec.options_len = 8;
        frame_compose(&spec, &f);
        memcpy(f.data + f.l3_ofs + 20, table[i].bytes, 8);
        assert_int_equal(parse_cut(&f, f.size, &p),
                         table[i].ok ? MAT_PACKET_IPV4
                         : MAT_PACKET_MALFORMED);
        if (table[i].ok) {
            assert_int_equal(!!(p.flags & MAT_PACKET_ROUTED),
                             table[i].routed);
        }
    }
}

static void
test_number_of_extension_headers(void **state)
{
    (void) state;
    for (uint8_t n = 0; n <= FRAME_EXT_MAX; n++) {
        struct frame_spec spec = plain(true, 17);
        struct mat_packet p;
        struct frame f;

        spec.n_ext = n;
        for (int i = 0; i < n; i++) {
            spec.ext[i] = FRAME_DEST_OPTS;
        }
        frame_compose(&spec, &f);
        assert_int_equal(parse_cut(&f, f.size, &p),
                         n <= MAT_PACKET_EXT_MAX ? MAT_PACKET_IPV6
                         : MAT_PACKET_MALFORMED);
    }
}

static void
test_second_fragment_header(void **state)
{
    struct frame_spec spec = plain(true, 17);
    struct mat_packet p;
    struct frame f;

    (void) state;
    spec.n_ext = 2;
    spec.ext[0] = FRAME_FRAG_FIRST;
    spec.ext[1] = FRAME_FRAG_ATOMIC;
    frame_compose(&spec, &f);
    assert_int_equal(parse_cut(&f, f.size, &p), MAT_PACKET_MALFORMED);
}

static void
test_mapped_addresses_in_ipv6(void **state)
{
    static const struct frame_addrs mapped = {
        { [10] = 0xff, 0xff, 10, 0, 0, 1 }, { [10] = 0xff, 0xff, 10, 0, 0, 2 }
    };
    struct frame_spec spec = plain(true, 17);
    struct mat_packet p;
    struct frame f;

    (void) state;
    memcpy(spec.addrs.src, mapped.src, 16);
    frame_compose(&spec, &f);
    assert_int_equal(parse_cut(&f, f.size, &p), MAT_PACKET_MALFORMED);
    spec.addrs = v6_addrs;
    memcpy(spec.addrs.dst, mapped.dst, 16);
    frame_compose(&spec, &f);
    assert_int_equal(parse_cut(&f, f.size, &p), MAT_PACKET_MALFORMED);
}

static void
test_scopes(void **state)
{
    static const struct {
        const char *text;
        enum mat_addr_scope scope;
    } table[] = {
        { "0.0.0.0", MAT_SCOPE_UNSPECIFIED },
        { "0.255.255.255", MAT_SCOPE_UNSPECIFIED },
        { "1.0.0.0", MAT_SCOPE_HOST }, { "10.1.2.3", MAT_SCOPE_HOST },
        { "126.255.255.255", MAT_SCOPE_HOST },
        { "127.0.0.0", MAT_SCOPE_LOOPBACK },
        { "127.255.255.255", MAT_SCOPE_LOOPBACK },
        { "128.0.0.0", MAT_SCOPE_HOST },
        { "169.253.255.255", MAT_SCOPE_HOST },
        { "169.254.0.0", MAT_SCOPE_LINK_LOCAL },
        { "169.254.255.255", MAT_SCOPE_LINK_LOCAL },
        { "169.255.0.0", MAT_SCOPE_HOST },
        { "223.255.255.255", MAT_SCOPE_HOST },
        { "224.0.0.0", MAT_SCOPE_MULTICAST },
        { "239.255.255.255", MAT_SCOPE_MULTICAST },
        { "240.0.0.0", MAT_SCOPE_RESERVED },
        { "255.255.255.254", MAT_SCOPE_RESERVED },
        { "255.255.255.255", MAT_SCOPE_BROADCAST },
        { "::", MAT_SCOPE_UNSPECIFIED }, { "::1", MAT_SCOPE_LOOPBACK },
        { "::2", MAT_SCOPE_HOST }, { "2001:db8::1", MAT_SCOPE_HOST },
        { "fd00::1", MAT_SCOPE_HOST }, { "fe7f::1", MAT_SCOPE_HOST },
        { "fe80::1", MAT_SCOPE_LINK_LOCAL },
        { "febf:ffff::1", MAT_SCOPE_LINK_LOCAL },
        { "fec0::1", MAT_SCOPE_HOST }, { "ff02::1", MAT_SCOPE_MULTICAST },
        { "feff::1", MAT_SCOPE_HOST },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct mat_addr a;

        assert_true(mat_addr_parse(table[i].text, &a));
        assert_int_equal(mat_addr_scope(&a), table[i].scope);
        assert_int_equal(mat_addr_is_host(&a),
                         table[i].scope == MAT_SCOPE_HOST);
    }
}

/* Quotes: every length, and the length attribute of RFC 4884. */
static void
test_quotes_at_every_length(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        uint32_t fixed_len = v6 ? 40 : 20;
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);
        struct mat_packet p, quote;
        struct frame f;

        inner.options_len = v6 ? 0 : 8;
        spec.icmp_type = v6 ? 1 : 3;
        spec.quoted = &inner;
        spec.payload_size = 0;
        for (uint32_t max = 0; max < 80; max++) {
            spec.quoted_max = max;
            frame_compose(&spec, &f);
            parse_cut(&f, f.size, &p);
            assert_int_equal(mat_packet_quote(&p, &quote), max >= fixed_len);
            if (max >= fixed_len) {
                uint32_t l4 = p.l4_ofs + 8u + fixed_len + (v6 ? 0 : 8);

                assert_int_equal(quote.kind, p.kind);
                assert_int_equal(quote.l3_ofs, p.l4_ofs + 8);
                assert_int_equal(quote.end, f.end);
                assert_int_equal(quote.l4_ofs,
                                 f.end > l4 ? l4 : MAT_PACKET_NO_L4);
            }
        }
    }
}

/* What follows the quoted packet by its own length is not part of it, unless
 * that length is nonsense. */
static void
test_quotes_end_where_they_say(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        uint32_t fixed_len = v6 ? 40 : 20;
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);
        static struct frame f;
        struct mat_packet p, quote;

        spec.icmp_type = v6 ? 1 : 3;
        spec.quoted = &inner;
        spec.payload_size = 30;
        for (inner.payload_size = 0; inner.payload_size < 600;
             inner.payload_size += 7) {
            uint32_t quoted_size = fixed_len + 8 + inner.payload_size;

            frame_compose(&spec, &f);
            parse_cut(&f, f.size, &p);
            assert_true(mat_packet_quote(&p, &quote));
            assert_int_equal(quote.end - quote.l3_ofs, quoted_size);

            if (!v6) {
                uint8_t *total_len = mat_packet_l3(&quote) + 2;

                total_len[0] = 0;
                total_len[1] = 19;
                assert_true(mat_packet_quote(&p, &quote));
                assert_int_equal(quote.end, f.end);
                total_len[0] = 0xff;
                assert_true(mat_packet_quote(&p, &quote));
                assert_int_equal(quote.end, f.end);
            }
        }
    }
}

static void
test_quotes_with_a_length_attribute(void **state)
{
    static const struct {
        bool v6;
        uint8_t type, length;
        uint32_t end;           /* Of the quote, from its beginning. */
    } table[] = {
        { false, 3, 0, 1500 }, { false, 3, 32, 128 }, { false, 11, 32, 128 },
        { false, 12, 32, 128 }, { false, 4, 32, 1500 },
        { false, 3, 6, 24 }, { false, 3, 5, 20 }, { false, 3, 4, 0 },
        { true, 1, 0, 1200 }, { true, 1, 16, 128 }, { true, 3, 16, 128 },
        { true, 2, 16, 1200 }, { true, 4, 16, 1200 }, { true, 1, 4, 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool v6 = table[i].v6;
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);
        struct mat_packet p, quote;
        struct frame f;

        inner.payload_size = 1600;
        spec.icmp_type = table[i].type;
        spec.icmp_length = table[i].length;
        spec.quoted = &inner;
        spec.quoted_max = v6 ? 1200 : 1500;
        spec.payload_size = 0;
        frame_compose(&spec, &f);
        parse_cut(&f, f.size, &p);
        assert_int_equal(mat_packet_quote(&p, &quote), table[i].end > 0);
        if (table[i].end) {
            assert_int_equal(quote.end - quote.l3_ofs, table[i].end);
        }
    }
}

static void
test_quotes_that_are_none(void **state)
{
    struct frame_spec inner = plain(false, 17);
    struct frame_spec spec = plain(false, 1);
    struct mat_packet p, quote;
    struct frame f;

    (void) state;
    spec.icmp_type = 3;
    spec.quoted = &inner;
    frame_compose(&spec, &f);
    f.data[f.l4_ofs + 8] = 0x60;            /* Of the other family. */
    parse_cut(&f, f.size, &p);
    assert_false(mat_packet_quote(&p, &quote));
    f.data[f.l4_ofs + 8] = 0x44;            /* Header too short. */
    assert_false(mat_packet_quote(&p, &quote));

    spec.icmp_type = 8;
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_false(mat_packet_quote(&p, &quote));

    static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 };
    for (int i = 0; i < 2; i++) {
        struct frame_spec inner6 = plain(true, 17);
        struct frame_spec spec6 = plain(true, 58);

        memcpy(i ? inner6.addrs.src : inner6.addrs.dst, mapped, 16);
        spec6.icmp_type = 1;
        spec6.quoted = &inner6;
        frame_compose(&spec6, &f);
        assert_int_equal(parse_cut(&f, f.size, &p), MAT_PACKET_IPV6);
        assert_false(mat_packet_quote(&p, &quote));
    }

    spec.icmp_type = 3;
    spec.frag = 0x00b9;
    frame_compose(&spec, &f);
    parse_cut(&f, f.size, &p);
    assert_false(mat_packet_quote(&p, &quote));
}

static void
test_random_frames(void **state)
{
    uint64_t seed = 11;
    static struct frame f;

    (void) state;
    for (int i = 0; i < N_RANDOM; i++) {
        struct frame_spec spec, quoted;
        struct mat_packet p;

        random_spec(&seed, &spec, &quoted);
        frame_compose(&spec, &f);
        parse_cut(&f, f.size, &p);
        check_parsed(&spec, &f, &p);
    }
}

/* No truth here but that nothing is read outside of the frame (the guard page
 * and sanitizers would tell) and that all offsets are inside. */
static void
test_damaged_frames(void **state)
{
    uint64_t seed = 12;
    static struct frame f;

    (void) state;
    for (int i = 0; i < N_RANDOM; i++) {
        struct frame_spec spec, quoted;
        struct mat_packet p, q;
        uint32_t size;

        random_spec(&seed, &spec, &quoted);
        frame_compose(&spec, &f);
        for (uint32_t n = random_below(&seed, 6); n > 0; n--) {
            f.data[12 + random_below(&seed, 100)]
                = (uint8_t) random64(&seed);
        }
        size = random_below(&seed, 4) ? f.size
               : random_below(&seed, f.size + 1);
        if (parse_cut(&f, size, &p) != MAT_PACKET_MALFORMED) {
            assert_true(p.l3_ofs <= p.end && p.end <= p.size);
            assert_true(!mat_packet_has_l4(&p) || p.l4_ofs < p.end);
            if (mat_packet_quote(&p, &q)) {
                assert_true(q.l3_ofs < q.end && q.end <= p.end);
                assert_true(!mat_packet_has_l4(&q) || q.l4_ofs < q.end);
            }
        }
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4_at_every_truncation),
        cmocka_unit_test(test_ipv6_at_every_truncation),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_icmp_types_that_are_errors),
        cmocka_unit_test(test_padding_is_not_part_of_the_packet),
        cmocka_unit_test(test_jumbo_frames),
        cmocka_unit_test(test_ethertypes),
        cmocka_unit_test(test_contradictions_in_headers),
        cmocka_unit_test(test_ipv4_options),
        cmocka_unit_test(test_number_of_extension_headers),
        cmocka_unit_test(test_second_fragment_header),
        cmocka_unit_test(test_mapped_addresses_in_ipv6),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_quotes_at_every_length),
        cmocka_unit_test(test_quotes_end_where_they_say),
        cmocka_unit_test(test_quotes_with_a_length_attribute),
        cmocka_unit_test(test_quotes_that_are_none),
        cmocka_unit_test(test_random_frames),
        cmocka_unit_test(test_damaged_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
