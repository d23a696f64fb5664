/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-rewrite.h"

/* Offsets in IP headers. */
enum {
    IPV4_TTL = 8,
    IPV4_CSUM = 10,
    IPV4_SRC = 12,
    IPV4_DST = 16,
    IPV6_HOP_LIMIT = 7,
    IPV6_SRC = 8,
    IPV6_DST = 24,
    ICMP_CSUM = 2
};

static bool is_valid(const struct mat_packet *, const struct mat_packet *quote,
                     const struct mat_rewrite *);
static uint64_t set_addresses(const struct mat_packet *,
                              const struct mat_addr *src,
                              const struct mat_addr *dst, uint64_t *l4_acc);
static uint64_t rewrite_quote(const struct mat_packet *,
                              const struct mat_addr *src,
                              const struct mat_addr *dst);
static void fix_l4(const struct mat_packet *, enum mat_csum_state,
                   uint64_t pseudo_acc, uint64_t body_acc);
static uint64_t change_csum(uint8_t *field, uint64_t acc, bool udp_rule);
static bool uses_udp_rule(uint8_t proto);

bool
mat_rewrite(const struct mat_packet *p, const struct mat_packet *quote,
            const struct mat_rewrite *rw)
{
    uint64_t body_acc = 0;
    uint64_t header_acc, l4_acc;

    if (!is_valid(p, quote, rw)) {
        return false;
    }
    if (rw->quoted_src || rw->quoted_dst) {
        body_acc = rewrite_quote(quote, rw->quoted_src, rw->quoted_dst);
    }
    header_acc = set_addresses(p, rw->src, rw->dst, &l4_acc);
    if (p->kind == MAT_PACKET_IPV4 && rw->l3_csum == MAT_CSUM_FULL) {
        change_csum(mat_packet_l3(p) + IPV4_CSUM, header_acc, false);
    }
    if (mat_packet_has_l4(p)) {
        fix_l4(p, rw->l4_csum, l4_acc, body_acc);
    }
    return true;
}

bool
mat_rewrite_dec_ttl(const struct mat_packet *p, enum mat_csum_state l3_csum)
{
    uint8_t *ip = mat_packet_l3(p);
    uint16_t old, new;

    if (mat_packet_ttl(p) <= 1) {
        return false;
    }
    if (p->kind == MAT_PACKET_IPV6) {
        ip[IPV6_HOP_LIMIT]--;
        return true;
    }
    memcpy(&old, ip + IPV4_TTL, sizeof old);
    ip[IPV4_TTL]--;
    memcpy(&new, ip + IPV4_TTL, sizeof new);
    if (l3_csum == MAT_CSUM_FULL) {
        change_csum(ip + IPV4_CSUM, mat_csum_add16(0, old, new), false);
    }
    return true;
}

void
mat_rewrite_macs(const struct mat_packet *p, const struct mat_mac *src,
                 const struct mat_mac *dst)
{
    memcpy(p->data, dst, sizeof *dst);
    memcpy(p->data + sizeof *dst, src, sizeof *src);
}

static bool
suits(const struct mat_packet *p, const struct mat_addr *a)
{
    return !a || mat_addr_is_v4(a) == (p->kind == MAT_PACKET_IPV4);
}

static bool
is_valid(const struct mat_packet *p, const struct mat_packet *quote,
         const struct mat_rewrite *rw)
{
    return mat_packet_is_ip(p)
           && suits(p, rw->src) && suits(p, rw->dst)
           && suits(p, rw->quoted_src) && suits(p, rw->quoted_dst)
           && (quote || (!rw->quoted_src && !rw->quoted_dst));
}

/* Stores address 'a' in the header at 'field' and returns the change. */
static uint64_t
set_address(const struct mat_packet *p, uint8_t *field,
            const struct mat_addr *a)
{
    uint64_t acc;
    uint32_t old;

    if (!a) {
        return 0;
    } else if (p->kind == MAT_PACKET_IPV4) {
        memcpy(&old, field, sizeof old);
        acc = mat_csum_add32(0, old, mat_addr_v4(a));
        memcpy(field, &a->b[12], 4);
    } else {
        acc = mat_csum_add128(0, field, a->b);
        memcpy(field, a->b, 16);
    }
    return mat_csum_fold(acc);
}

/* Sets the addresses in the IP header, of those that are not null, and returns
 * the change of the header; '*l4_acc' is that of the pseudo header. */
static uint64_t
set_addresses(const struct mat_packet *p, const struct mat_addr *src,
              const struct mat_addr *dst, uint64_t *l4_acc)
{
    bool v4 = p->kind == MAT_PACKET_IPV4;
    uint8_t *ip = mat_packet_l3(p);
    uint64_t src_acc = set_address(p, ip + (v4 ? IPV4_SRC : IPV6_SRC), src);
    uint64_t dst_acc = set_address(p, ip + (v4 ? IPV4_DST : IPV6_DST), dst);

    *l4_acc = src_acc + (p->flags & MAT_PACKET_ROUTED ? 0 : dst_acc);
    return src_acc + dst_acc;
}

/* Rewrites a quoted packet, of which any part after the fixed header may be
 * missing.  Returns the change of everything quoted. */
static uint64_t
rewrite_quote(const struct mat_packet *q, const struct mat_addr *src,
              const struct mat_addr *dst)
{
    bool v4 = q->kind == MAT_PACKET_IPV4;
    int csum_ofs = mat_packet_csum_ofs(q->proto, !v4);
    uint64_t header_acc, l4_acc, acc;

    header_acc = set_addresses(q, src, dst, &l4_acc);
    acc = header_acc;
    if (v4) {
        acc += change_csum(mat_packet_l3(q) + IPV4_CSUM, header_acc, false);
    }
    if (mat_packet_has_l4(q) && csum_ofs >= 0
        && q->end - q->l4_ofs >= (uint32_t) csum_ofs + 2) {
        acc += change_csum(mat_packet_l4(q) + csum_ofs, l4_acc,
                           uses_udp_rule(q->proto));
    }
    return acc;
}

/* Updates the checksum of the upper layer for a change of the pseudo header
 * and, for an ICMP or ICMPv6 error, of the quoted packet in its body. */
static void
fix_l4(const struct mat_packet *p, enum mat_csum_state state,
       uint64_t pseudo_acc, uint64_t body_acc)
{
    bool v6 = p->kind == MAT_PACKET_IPV6;
    int csum_ofs = mat_packet_csum_ofs(p->proto, v6);

    if (state == MAT_CSUM_SKIP) {
        return;
    }
    if (csum_ofs < 0) {
        csum_ofs = ICMP_CSUM;
        pseudo_acc = 0;
    }
    if (state == MAT_CSUM_FULL) {
        if (pseudo_acc + body_acc) {
            change_csum(mat_packet_l4(p) + csum_ofs, pseudo_acc + body_acc,
                        uses_udp_rule(p->proto));
        }
    } else if (pseudo_acc) {
        uint8_t *field = mat_packet_l4(p) + csum_ofs;
        uint16_t sum;

        memcpy(&sum, field, sizeof sum);
        sum = mat_csum_apply_partial(sum, mat_csum_fold(pseudo_acc));
        memcpy(field, &sum, sizeof sum);
    }
}

/* Applies 'acc' to the full checksum at 'field'.  Returns the change of the
 * field itself. */
static uint64_t
change_csum(uint8_t *field, uint64_t acc, bool udp_rule)
{
    uint16_t delta = mat_csum_fold(acc);
    uint16_t old, new;

    memcpy(&old, field, sizeof old);
    new = (udp_rule ? mat_csum_apply_udp(old, delta)
           : mat_csum_apply(old, delta));
    memcpy(field, &new, sizeof new);
    return mat_csum_add16(0, old, new);
}

static bool
uses_udp_rule(uint8_t proto)
{
    return proto == MAT_PROTO_UDP || proto == MAT_PROTO_UDPLITE;
}
