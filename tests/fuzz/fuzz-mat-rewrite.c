/* SPDX-License-Identifier: Apache-2.0 */

/* Parses any bytes as a frame and rewrites addresses in it.
 *
 * The first byte of the input says which addresses change, the second what
 * state the checksums are in; the rest is the frame.  Whatever it holds, these
 * must hold:
 *
 *   - Nothing outside of the frame is touched (the sanitizers tell).
 *   - A refused rewrite changes nothing.
 *   - A rewrite changes no byte but addresses and checksums; it sets the
 *     former as asked, and what each of the latter is wrong by stays.
 *   - The reverse rewrite restores the frame. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mat-rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CHANGE_SRC = 1,
    CHANGE_DST = 2,
    CHANGE_QUOTED_SRC = 4,
    CHANGE_QUOTED_DST = 8,
    OTHER_FAMILY = 16           /* Of the new source. */
};

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* What a checksum is wrong by, where right is 0xffff and 0 the same. */
static uint16_t
error_of(uint64_t acc)
{
    return mat_csum_fold(acc) % 0xffff;
}

static uint64_t
pseudo_sum(const struct mat_packet *p)
{
    struct mat_addr src = mat_packet_src(p), dst = mat_packet_dst(p);
    uint64_t acc = mat_csum_sum(0, src.b, sizeof src.b);

    if (!(p->flags & MAT_PACKET_ROUTED)) {
        acc = mat_csum_sum(acc, dst.b, sizeof dst.b);
    }
    return acc;
}

/* The errors of all checksums that are full and rewritten. */
struct errors {
    uint16_t l3, l4, quoted_l3, quoted_l4;
};

static uint16_t
l3_error(const struct mat_packet *p)
{
    return (p->kind != MAT_PACKET_IPV4 ? 0
            : error_of(mat_csum_sum(0, mat_packet_l3(p), MAT_IPV4_LEN)));
}

static uint16_t
l4_error(const struct mat_packet *p, bool whole)
{
    int ofs = mat_packet_csum_ofs(p->proto, p->kind == MAT_PACKET_IPV6);
    const uint8_t *l4 = mat_packet_l4(p);
    uint64_t acc = 0;

    if (!mat_packet_has_l4(p)
        || (ofs < 0 && !(p->flags & MAT_PACKET_ICMP_ERROR))
        || (ofs >= 0 && p->end - p->l4_ofs < (uint32_t) ofs + 2)) {
        return 0;
    }
    if ((p->proto == MAT_PROTO_UDP || p->proto == MAT_PROTO_UDPLITE)
        && !l4[6] && !l4[7]) {
        return 0;
    }
    if (ofs >= 0) {
        acc = pseudo_sum(p);
    }
    /* Of a quote only the field, since its data does not change. */
    return error_of(whole || ofs < 0
                    ? mat_csum_sum(acc, l4, p->end - p->l4_ofs)
                    : mat_csum_sum(acc, l4 + ofs, 2));
}

static struct errors
errors_of(const struct mat_packet *p, const struct mat_packet *quote,
          const struct mat_rewrite *rw)
{
    struct errors e = { 0, 0, 0, 0 };

    if (rw->l3_csum == MAT_CSUM_FULL) {
        e.l3 = l3_error(p);
    }
    if (rw->l4_csum == MAT_CSUM_FULL) {
        e.l4 = l4_error(p, true);
    }
    if (quote) {
        e.quoted_l3 = l3_error(quote);
        e.quoted_l4 = l4_error(quote, false);
    }
    return e;
}

static void
check_address(struct mat_addr got, const struct mat_addr *asked,
              const struct mat_addr *old)
{
    require(mat_addr_equal(&got, asked ? asked : old));
}

/* True if the frames are the same but for the two forms of zero. */
static bool
same_but_zero_forms(const uint8_t *a, const uint8_t *b, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        if (a[i] != b[i] && (a[i] ^ b[i]) != 0xff) {
            return false;
        }
    }
    return true;
}

static void
check_rewrite(const struct mat_packet *p, const struct mat_packet *quote,
              const struct mat_rewrite *rw, const uint8_t *original)
{
    struct mat_addr old[4] = { mat_packet_src(p), mat_packet_dst(p) };
    struct errors before = errors_of(p, quote, rw);
    struct mat_rewrite back = *rw;

    if (quote) {
        old[2] = mat_packet_src(quote);
        old[3] = mat_packet_dst(quote);
    }
    require(mat_rewrite(p, quote, rw));

    check_address(mat_packet_src(p), rw->src, &old[0]);
    check_address(mat_packet_dst(p), rw->dst, &old[1]);
    if (quote) {
        check_address(mat_packet_src(quote), rw->quoted_src, &old[2]);
        check_address(mat_packet_dst(quote), rw->quoted_dst, &old[3]);
    }
    struct errors after = errors_of(p, quote, rw);
    require(!memcmp(&before, &after, sizeof before));

    back.src = rw->src ? &old[0] : NULL;
    back.dst = rw->dst ? &old[1] : NULL;
    back.quoted_src = rw->quoted_src ? &old[2] : NULL;
    back.quoted_dst = rw->quoted_dst ? &old[3] : NULL;
    require(mat_rewrite(p, quote, &back));
    require(same_but_zero_forms(p->data, original, p->size));
}

static void
check_ttl(const struct mat_packet *p)
{
    uint16_t error = l3_error(p);
    uint8_t ttl = mat_packet_ttl(p);

    require(mat_rewrite_dec_ttl(p, MAT_CSUM_FULL) == (ttl > 1));
    require(mat_packet_ttl(p) == (ttl > 1 ? ttl - 1 : ttl));
    require(l3_error(p) == error);
}

static void
run(uint8_t change, uint8_t states, uint8_t *frame, uint32_t size,
    const uint8_t *original)
{
    static const uint8_t v4[4] = { 172, 16, 0xff, 0xfe };
    static const uint8_t v6[16] = { 0xfd, 0xff, [15] = 0x80 };
    struct mat_packet p, quote;
    bool has_quote, is_v4, refused;

    mat_packet_parse(&p, frame, size);
    has_quote = mat_packet_quote(&p, &quote);
    is_v4 = p.kind == MAT_PACKET_IPV4;

    struct mat_addr good = is_v4 ? mat_addr_from_v4(v4) : mat_addr_from_v6(v6);
    struct mat_addr bad = is_v4 ? mat_addr_from_v6(v6) : mat_addr_from_v4(v4);
    struct mat_rewrite rw = {
        .src = (!(change & CHANGE_SRC) ? NULL
                : change & OTHER_FAMILY ? &bad : &good),
        .dst = change & CHANGE_DST ? &good : NULL,
        .quoted_src = change & CHANGE_QUOTED_SRC ? &good : NULL,
        .quoted_dst = change & CHANGE_QUOTED_DST ? &good : NULL,
        .l3_csum = states % 3,
        .l4_csum = states / 3 % 3
    };

    refused = !mat_packet_is_ip(&p) || rw.src == &bad
              || (!has_quote && (rw.quoted_src || rw.quoted_dst));
    if (refused) {
        require(!mat_rewrite(&p, has_quote ? &quote : NULL, &rw));
        require(!size || !memcmp(frame, original, size));
    } else {
        check_rewrite(&p, has_quote ? &quote : NULL, &rw, original);
        check_ttl(&p);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *frame;

    if (size < 2 || size > UINT16_MAX) {
        return 0;
    }
    frame = malloc(size - 2 ? size - 2 : 1);
    require(frame != NULL);
    memcpy(frame, data + 2, size - 2);
    run(data[0], data[1], frame, (uint32_t) size - 2, data + 2);
    free(frame);
    return 0;
}
