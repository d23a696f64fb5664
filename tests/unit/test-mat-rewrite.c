/* SPDX-License-Identifier: Apache-2.0 */

/* Rewriting against a reference that shares no code with it: the same frame
 * composed anew with the other addresses, all checksums summed from scratch
 * (and the same error added where one was asked for). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-rewrite.h"

enum { N_RANDOM = 300000 };

/* Which addresses to change: bits. */
enum {
    CHANGE_SRC = 1,
    CHANGE_DST = 2,
    CHANGE_QUOTED_SRC = 4,
    CHANGE_QUOTED_DST = 8,
    CHANGE_ALL = 15
};

static const struct frame_addrs old_addrs[2] = {
    { { 10, 0, 0, 1 }, { 10, 0, 1, 2 } },
    { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 },
      { 0x20, 0x01, 0x0d, 0xb9, [15] = 2 } }
};
static const struct frame_addrs new_addrs[2] = {
    { { 172, 16, 200, 7 }, { 172, 31, 255, 254 } },
    { { 0xfd, 0xff, 0xff, 0xff, [14] = 0xff, 7 },
      { 0x26, 0x07, 0xf0, 0x0d, [12] = 0xff, 0xfe, 0, 9 } }
};

static struct frame_spec
plain(bool v6, uint8_t proto)
{
    return (struct frame_spec) {
        .v6 = v6, .proto = proto, .ttl = 64, .payload_size = 21,
        .addrs = old_addrs[v6], .icmp_type = 128, .seed = 99,
        .quoted_max = UINT32_MAX
    };
}

static struct mat_addr
addr(bool v6, const uint8_t *b)
{
    return v6 ? mat_addr_from_v6(b) : mat_addr_from_v4(b);
}

/* Two forms of the same checksum, 0 and 0xffff, may differ where the original
 * was wrong: the error may happen to cancel. */
static void
forgive_zero_form(uint8_t *got, const uint8_t *expected, uint32_t ofs)
{
    static const uint8_t ones[2] = { 0xff, 0xff }, zeros[2];

    if (ofs != FRAME_NONE
        && ((!memcmp(got + ofs, ones, 2) && !memcmp(expected + ofs, zeros, 2))
            || (!memcmp(got + ofs, zeros, 2)
                && !memcmp(expected + ofs, ones, 2)))) {
        memcpy(got + ofs, expected + ofs, 2);
    }
}

static void
check_same(const struct frame_spec *spec, uint8_t *got,
           const struct frame *expected)
{
    if (spec->l3_error) {
        forgive_zero_form(got, expected->data, expected->l3_csum_ofs);
    }
    if (spec->csum == FRAME_CSUM_WRONG) {
        forgive_zero_form(got, expected->data, expected->l4_csum_ofs);
    }
    assert_memory_equal(got, expected->data, expected->size);
}

/* True if the quote ends in the middle of its checksum.  Half a checksum is
 * not rewritten, and here composing anew is no reference. */
static bool
quotes_half_a_checksum(const struct frame_spec *spec)
{
    static struct frame f;

    if (!spec->quoted) {
        return false;
    }
    frame_compose(spec->quoted, &f);
    return f.l4_csum_ofs != FRAME_NONE
           && spec->quoted_max == f.l4_csum_ofs - f.l3_ofs + 1u;
}

/* Composes '*spec', rewrites what 'change' says to 'to' (and 'quoted_to'), and
 * compares with '*spec' composed with these addresses. */
static void
check_rewrite(const struct frame_spec *spec, unsigned int change,
              const struct frame_addrs *to,
              const struct frame_addrs *quoted_to)
{
    static struct frame before, expected;
    struct mat_addr src = addr(spec->v6, to->src);
    struct mat_addr dst = addr(spec->v6, to->dst);
    struct mat_addr quoted_src = addr(spec->v6, quoted_to->src);
    struct mat_addr quoted_dst = addr(spec->v6, quoted_to->dst);
    struct frame_spec after = *spec, after_quoted;
    struct mat_packet p, quote;
    uint8_t *data;
    bool has_quote;

    frame_compose(spec, &before);
    data = guarded_copy(before.data, before.size);
    assert_true(mat_packet_parse(&p, data, before.size)
                >= MAT_PACKET_IPV4);
    has_quote = mat_packet_quote(&p, &quote);
    if (!has_quote) {
        change &= CHANGE_SRC | CHANGE_DST;
    }

    if (change & CHANGE_SRC) {
        memcpy(after.addrs.src, to->src, 16);
    }
    if (change & CHANGE_DST) {
        memcpy(after.addrs.dst, to->dst, 16);
    }
    if (has_quote) {
        after_quoted = *spec->quoted;
        after.quoted = &after_quoted;
        if (change & CHANGE_QUOTED_SRC) {
            memcpy(after_quoted.addrs.src, quoted_to->src, 16);
        }
        if (change & CHANGE_QUOTED_DST) {
            memcpy(after_quoted.addrs.dst, quoted_to->dst, 16);
        }
    }
    frame_compose(&after, &expected);

    struct mat_rewrite rw = {
        .src = change & CHANGE_SRC ? &src : NULL,
        .dst = change & CHANGE_DST ? &dst : NULL,
        .quoted_src = change & CHANGE_QUOTED_SRC ? &quoted_src : NULL,
        .quoted_dst = change & CHANGE_QUOTED_DST ? &quoted_dst : NULL,
        .l4_csum = (spec->csum == FRAME_CSUM_PARTIAL ? MAT_CSUM_PARTIAL
                    : MAT_CSUM_FULL)
    };
    assert_true(mat_rewrite(&p, has_quote ? &quote : NULL, &rw));
    if (has_quote && after_quoted.csum == FRAME_CSUM_WRONG) {
        forgive_zero_form(data, expected.data,
                          (uint32_t) (p.l4_ofs + 8) + 10);
    }
    check_same(spec, data, &expected);
}

static void
check_all_changes(const struct frame_spec *spec)
{
    for (unsigned int change = 0; change <= CHANGE_ALL; change++) {
        check_rewrite(spec, change, &new_addrs[spec->v6],
                      &new_addrs[spec->v6]);
    }
}

static const uint8_t all_protos[] = { 6, 17, 33, 136, 132, 1, 58, 135, 50,
                                      47, 59 };

static void
test_every_protocol_and_checksum(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < sizeof all_protos; i++) {
            struct frame_spec spec = plain(v6, all_protos[i]);

            for (spec.n_vlans = 0; spec.n_vlans <= 2; spec.n_vlans++) {
                spec.csum = FRAME_CSUM_RIGHT;
                check_all_changes(&spec);
                spec.csum = FRAME_CSUM_WRONG;
                spec.l4_error = 0x1234;
                spec.l3_error = 0x4321;
                check_all_changes(&spec);
                spec.l3_error = 0;
                if (spec.proto == 17 || spec.proto == 136) {
                    spec.csum = FRAME_CSUM_ABSENT;
                    check_all_changes(&spec);
                }
                if (spec.proto != 1) {
                    spec.csum = FRAME_CSUM_PARTIAL;
                    check_all_changes(&spec);
                }
            }
        }
    }
}

static void
test_every_ipv4_form(void **state)
{
    static const uint16_t frags[] = { 0, 0x4000, 0x2000, 0x2001, 0x1fff };

    (void) state;
    for (size_t i = 0; i < sizeof all_protos; i++) {
        for (size_t j = 0; j < sizeof frags / sizeof *frags; j++) {
            for (uint8_t options = 0; options <= 28; options += 4) {
                struct frame_spec spec = plain(false, all_protos[i]);

                spec.frag = frags[j];
                spec.options_len = options;
                check_all_changes(&spec);
                spec.route_pending = true;
                check_all_changes(&spec);
                spec.n_ext = 1;
                spec.ext[0] = FRAME_AH;
                check_all_changes(&spec);
            }
        }
    }
}

static void
test_every_pair_of_extension_headers(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof all_protos; i++) {
        for (int a = 0; a < FRAME_N_EXT; a++) {
            for (int b = 0; b < FRAME_N_EXT; b++) {
                struct frame_spec spec = plain(true, all_protos[i]);
                bool frag_a = a >= FRAME_FRAG_ATOMIC && a <= FRAME_FRAG_LATER;
                bool frag_b = b >= FRAME_FRAG_ATOMIC && b <= FRAME_FRAG_LATER;

                spec.ext[0] = a;
                spec.ext[1] = b;
                spec.n_ext = frag_a && frag_b ? 1 : 2;
                check_all_changes(&spec);
            }
        }
    }
}

/* Every way to quote, with the quote cut off anywhere. */
static void
test_every_quote_at_every_length(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < sizeof all_protos; i++) {
            for (int form = 0; form < 5; form++) {
                struct frame_spec inner = plain(v6, all_protos[i]);
                struct frame_spec spec = plain(v6, v6 ? 58 : 1);

                spec.icmp_type = v6 ? 3 : 11;
                spec.quoted = &inner;
                spec.payload_size = 0;
                inner.csum = (form == 1 ? FRAME_CSUM_WRONG
                              : form == 2 && inner.proto == 17
                              ? FRAME_CSUM_ABSENT : FRAME_CSUM_RIGHT);
                inner.l4_error = 7;
                if (form == 3) {
                    inner.frag = v6 ? 0 : 0x00b9;
                    inner.n_ext = (uint8_t) v6;
                    inner.ext[0] = FRAME_FRAG_LATER;
                } else if (form == 4) {
                    inner.options_len = v6 ? 0 : 12;
                    inner.n_ext = (uint8_t) v6;
                    inner.ext[0] = FRAME_ROUTE_PENDING;
                }
                for (uint32_t max = 0; max < 112; max++) {
                    spec.quoted_max = max;
                    if (!quotes_half_a_checksum(&spec)) {
                        check_all_changes(&spec);
                    }
                }
            }
        }
    }
}

/* The checksum of what lies after the quoted packet is none of ours. */
static void
test_extension_after_the_quote(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        inner.payload_size = 300;
        spec.icmp_type = v6 ? 1 : 3;
        spec.icmp_length = v6 ? 16 : 32;
        spec.quoted = &inner;
        spec.quoted_max = 128;
        spec.payload_size = 16;
        check_all_changes(&spec);

        /* So short that the quoted checksum is behind its end. */
        spec.icmp_length = v6 ? 5 : 6;
        static struct frame f;
        struct mat_addr dst = addr(v6, new_addrs[v6].dst);
        struct mat_rewrite rw = { .quoted_dst = &dst };
        struct mat_packet p, quote;
        uint8_t csum[2];

        frame_compose(&spec, &f);
        mat_packet_parse(&p, f.data, f.size);
        assert_true(mat_packet_quote(&p, &quote));
        memcpy(csum, mat_packet_l3(&quote) + (v6 ? 46 : 26), 2);
        assert_true(mat_rewrite(&p, &quote, &rw));
        assert_memory_equal(csum, mat_packet_l3(&quote) + (v6 ? 46 : 26), 2);
    }
}

static void
test_half_a_quoted_checksum(void **state)
{
    static struct frame f;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);
        struct mat_addr dst = addr(v6, new_addrs[v6].dst);
        struct mat_rewrite rw = { .quoted_dst = &dst };
        struct mat_packet p, quote;
        uint8_t half;

        spec.icmp_type = v6 ? 1 : 3;
        spec.quoted = &inner;
        spec.quoted_max = v6 ? 47 : 27;
        spec.payload_size = 0;
        assert_true(quotes_half_a_checksum(&spec));
        frame_compose(&spec, &f);
        half = f.data[f.size - 1];
        mat_packet_parse(&p, f.data, f.size);
        assert_true(mat_packet_quote(&p, &quote));
        assert_true(mat_rewrite(&p, &quote, &rw));
        assert_int_equal(f.data[f.size - 1], half);

        /* The outer one is right all the same. */
        uint8_t icmp[128] = { 0 };
        uint32_t size = f.size - f.l4_ofs, sum = 0;
        memcpy(icmp, f.data + f.l4_ofs, size);
        if (v6) {
            sum = frame_sum(58 + size, f.data + f.l3_ofs + 8, 32);
        }
        assert_int_equal(frame_sum(sum, icmp, size), 0xffff);
    }
}

static void
test_jumbo_frames(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec spec = plain(v6, 6);

        spec.payload_size = 8960;
        check_all_changes(&spec);
    }
}

static void
test_random_frames(void **state)
{
    uint64_t seed = 21;

    (void) state;
    for (int i = 0; i < N_RANDOM; i++) {
        struct frame_spec spec, quoted;
        struct frame_addrs to, quoted_to;

        random_spec(&seed, &spec, &quoted);
        spec.quoted_max += quotes_half_a_checksum(&spec);
        random_bytes(&seed, &to, sizeof to);
        random_bytes(&seed, &quoted_to, sizeof quoted_to);
        if (!random_below(&seed, 8)) {
            memset(&to, random_below(&seed, 2) ? 0xff : 0, sizeof to);
            to.src[0] ^= 1;
        }
        check_rewrite(&spec, random_below(&seed, CHANGE_ALL + 1), &to,
                      &quoted_to);
    }
}

/* There and back again gives the frame that was sent. */
static void
test_reverse_rewrite_restores_the_frame(void **state)
{
    uint64_t seed = 22;
    static struct frame f;

    (void) state;
    for (int i = 0; i < 20000; i++) {
        struct frame_spec spec, quoted;
        struct mat_packet p, quote;
        uint8_t *data;

        random_spec(&seed, &spec, &quoted);
        spec.l3_error = 0;
        spec.csum = FRAME_CSUM_RIGHT;
        quoted.l3_error = 0;
        quoted.csum = FRAME_CSUM_RIGHT;
        frame_compose(&spec, &f);
        data = guarded_copy(f.data, f.size);
        mat_packet_parse(&p, data, f.size);
        if (!mat_packet_quote(&p, &quote)) {
            quote = p;
        }

        struct mat_addr to[4], back[4] = {
            mat_packet_src(&p), mat_packet_dst(&p),
            mat_packet_src(&quote), mat_packet_dst(&quote)
        };
        bool has_quote = quote.l3_ofs != p.l3_ofs;
        for (int j = 0; j < 4; j++) {
            uint8_t b[16];

            random_bytes(&seed, b, sizeof b);
            to[j] = addr(spec.v6, b);
        }
        struct mat_rewrite there = {
            .src = &to[0], .dst = &to[1],
            .quoted_src = has_quote ? &to[2] : NULL,
            .quoted_dst = has_quote ? &to[3] : NULL
        };
        struct mat_rewrite here = {
            .src = &back[0], .dst = &back[1],
            .quoted_src = has_quote ? &back[2] : NULL,
            .quoted_dst = has_quote ? &back[3] : NULL
        };
        assert_true(mat_rewrite(&p, has_quote ? &quote : NULL, &there));
        assert_true(mat_rewrite(&p, has_quote ? &quote : NULL, &here));
        assert_memory_equal(data, f.data, f.size);
    }
}

static void
test_skipped_checksums_stay(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < sizeof all_protos; i++) {
            struct frame_spec spec = plain(v6, all_protos[i]);
            struct mat_addr src = addr(v6, new_addrs[v6].src);
            struct mat_rewrite rw = {
                .src = &src, .l3_csum = MAT_CSUM_SKIP,
                .l4_csum = MAT_CSUM_SKIP
            };
            static struct frame f;
            uint8_t expected[256];
            struct mat_packet p;

            frame_compose(&spec, &f);
            memcpy(expected, f.data, f.size);
            memcpy(expected + f.l3_ofs + (v6 ? 8 : 12), new_addrs[v6].src,
                   v6 ? 16 : 4);
            mat_packet_parse(&p, f.data, f.size);
            assert_true(mat_rewrite(&p, NULL, &rw));
            assert_memory_equal(f.data, expected, f.size);

            rw.l3_csum = MAT_CSUM_PARTIAL;
            assert_true(mat_rewrite(&p, NULL, &rw));
            assert_memory_equal(f.data, expected, f.size);
        }
    }
}

/* With the outer checksum left to a device, only what the device does not sum
 * is corrected: the pseudo header, not the quote. */
static void
test_quote_under_a_partial_checksum(void **state)
{
    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);

        spec.icmp_type = v6 ? 1 : 3;
        spec.quoted = &inner;
        spec.csum = FRAME_CSUM_PARTIAL;
        check_all_changes(&spec);
    }
}

static void
check_refused(const struct frame *f, const struct mat_packet *p,
              const struct mat_packet *quote, const struct mat_rewrite *rw)
{
    uint8_t copy[512];

    memcpy(copy, f->data, f->size);
    assert_false(mat_rewrite(p, quote, rw));
    assert_memory_equal(f->data, copy, f->size);
}

static void
test_all_or_nothing(void **state)
{
    static struct frame f;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame_spec inner = plain(v6, 17);
        struct frame_spec spec = plain(v6, v6 ? 58 : 1);
        struct mat_addr good = addr(v6, new_addrs[v6].src);
        struct mat_addr bad = addr(!v6, new_addrs[!v6].src);
        struct mat_packet p, quote;

        spec.icmp_type = v6 ? 1 : 3;
        spec.quoted = &inner;
        frame_compose(&spec, &f);
        mat_packet_parse(&p, f.data, f.size);
        assert_true(mat_packet_quote(&p, &quote));
        for (int which = 0; which < 4; which++) {
            struct mat_rewrite rw = {
                .src = which == 0 ? &bad : &good,
                .dst = which == 1 ? &bad : &good,
                .quoted_src = which == 2 ? &bad : &good,
                .quoted_dst = which == 3 ? &bad : &good
            };

            check_refused(&f, &p, &quote, &rw);
        }
        struct mat_rewrite rw = { .src = &good, .quoted_src = &good };
        check_refused(&f, &p, NULL, &rw);
        rw = (struct mat_rewrite) { .src = &good, .quoted_dst = &good };
        check_refused(&f, &p, NULL, &rw);
        rw.quoted_dst = NULL;
        mat_packet_parse(&p, f.data, 20);
        check_refused(&f, &p, NULL, &rw);
        f.data[13] = 6;
        f.data[12] = 8;
        mat_packet_parse(&p, f.data, f.size);
        assert_int_equal(p.kind, MAT_PACKET_ARP);
        check_refused(&f, &p, NULL, &rw);
    }
}

static void
test_ttl(void **state)
{
    static struct frame f, expected;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        for (int ttl = 0; ttl < 256; ttl++) {
            for (int error = 0; error < 2; error++) {
                struct frame_spec spec = plain(v6, 17);
                struct mat_packet p;

                spec.ttl = (uint8_t) ttl;
                spec.l3_error = error ? 0x0101 : 0;
                frame_compose(&spec, &f);
                mat_packet_parse(&p, f.data, f.size);
                assert_int_equal(mat_rewrite_dec_ttl(&p, MAT_CSUM_FULL),
                                 ttl > 1);
                spec.ttl = (uint8_t) (ttl > 1 ? ttl - 1 : ttl);
                frame_compose(&spec, &expected);
                check_same(&spec, f.data, &expected);

                uint8_t csum[2];
                memcpy(csum, f.data + f.l3_ofs + 10, 2);
                mat_rewrite_dec_ttl(&p, MAT_CSUM_SKIP);
                assert_memory_equal(csum, f.data + f.l3_ofs + 10, 2);
            }
        }
    }
}

static void
test_macs(void **state)
{
    static const struct mat_mac a = { { 1, 2, 3, 4, 5, 6 } };
    static const struct mat_mac b = { { 7, 8, 9, 10, 11, 12 } };
    struct frame_spec spec = plain(false, 17);
    static struct frame f;
    struct mat_packet p;

    (void) state;
    spec.n_vlans = 1;
    frame_compose(&spec, &f);
    mat_packet_parse(&p, f.data, f.size);
    mat_rewrite_macs(&p, &a, &b);
    struct mat_mac src = mat_packet_eth_src(&p), dst = mat_packet_eth_dst(&p);
    assert_true(mat_mac_equal(&src, &a));
    assert_true(mat_mac_equal(&dst, &b));
    assert_int_equal(f.data[12], 0x81);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_protocol_and_checksum),
        cmocka_unit_test(test_every_ipv4_form),
        cmocka_unit_test(test_every_pair_of_extension_headers),
        cmocka_unit_test(test_every_quote_at_every_length),
        cmocka_unit_test(test_extension_after_the_quote),
        cmocka_unit_test(test_half_a_quoted_checksum),
        cmocka_unit_test(test_jumbo_frames),
        cmocka_unit_test(test_random_frames),
        cmocka_unit_test(test_reverse_rewrite_restores_the_frame),
        cmocka_unit_test(test_skipped_checksums_stay),
        cmocka_unit_test(test_quote_under_a_partial_checksum),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_macs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
