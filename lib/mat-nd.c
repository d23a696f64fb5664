/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-nd.h"

#include "mat-frame.h"

enum {
    ND_HOP_LIMIT = 255,         /* Nobody off the link can send this. */
    NA_LEN = 24,
    RA_LEN = 16,
    RA_HOP_LIMIT = 64
};

/* Options: type, length in 8 bytes, value. */
enum {
    OPT_SOURCE = 1,
    OPT_TARGET = 2,
    OPT_PREFIX = 3,
    OPT_MTU = 5,
    OPT_UNIT = 8,
    OPT_PREFIX_LEN = 32
};

enum {
    RA_MANAGED = 0x80,
    RA_OTHER = 0x40,
    PREFIX_ON_LINK = 0x80,
    PREFIX_AUTONOMOUS = 0x40
};

static const struct mat_addr all_nodes = { { 0xff, 0x02, [15] = 1 } };
static const struct mat_mac all_nodes_mac = { { 0x33, 0x33, 0, 0, 0, 1 } };

static uint32_t message_len(uint8_t type);
static bool parse_options(const struct mat_packet *, uint32_t ofs,
                          struct mat_nd *);
static bool addresses_suit(const struct mat_nd *);
static size_t ra_size(const struct mat_ra *);
static void fill_ra(uint8_t *ip, const struct mat_ra *,
                    const struct mat_addr *dst);
static uint8_t *put_lladdr(uint8_t *, uint8_t type, const struct mat_mac *);

bool
mat_packet_is_nd(const struct mat_packet *p)
{
    return p->kind == MAT_PACKET_IPV6 && p->proto == MAT_PROTO_ICMPV6
           && mat_packet_has_l4(p)
           && mat_packet_icmp_type(p) >= MAT_ND_RS
           && mat_packet_icmp_type(p) <= MAT_ND_REDIRECT;
}

bool
mat_nd_parse(const struct mat_packet *p, enum mat_csum_state state,
             struct mat_nd *nd)
{
    const uint8_t *b;
    uint32_t len;

    if (!mat_packet_is_nd(p)) {
        return false;
    }
    b = mat_packet_l4(p);
    len = message_len(b[0]);
    if (p->flags & MAT_PACKET_OPTIONS || mat_packet_ttl(p) != ND_HOP_LIMIT
        || b[1] || p->end - p->l4_ofs < len
        || !mat_frame_csum_ok(p, state)) {
        return false;
    }

    *nd = (struct mat_nd) {
        .type = b[0],
        .flags = b[0] == MAT_ND_NA ? b[4] : 0,
        .src = mat_packet_src(p),
        .dst = mat_packet_dst(p)
    };
    if (nd->type == MAT_ND_NS || nd->type == MAT_ND_NA
        || nd->type == MAT_ND_REDIRECT) {
        nd->target = mat_addr_from_v6(b + 8);
        if (mat_addr_is_v4(&nd->target)) {
            return false;
        }
    }
    return parse_options(p, p->l4_ofs + len, nd) && addresses_suit(nd);
}

bool
mat_nd_is_dad(const struct mat_nd *nd)
{
    return nd->type == MAT_ND_NS && mat_addr_is_zero(&nd->src);
}

bool
mat_nd_is_unsolicited(const struct mat_nd *nd)
{
    return nd->type == MAT_ND_NA && !(nd->flags & MAT_NA_SOLICITED);
}

size_t
mat_reply_na(const struct mat_packet *request, const struct mat_nd *nd,
             const struct mat_mac *mac, uint8_t flags, void *buf, size_t cap)
{
    size_t l3_size = MAT_IPV6_LEN + NA_LEN + OPT_UNIT;
    bool dad = mat_nd_is_dad(nd);
    struct mat_mac asker = mat_packet_eth_src(request);
    uint8_t *ip, *b;

    if (nd->type != MAT_ND_NS) {
        return 0;
    }
    ip = mat_frame_start(request, mac, dad ? &all_nodes_mac : &asker,
                         l3_size, buf, cap);
    if (!ip) {
        return 0;
    }
    b = ip + MAT_IPV6_LEN;
    b[0] = MAT_ND_NA;
    b[4] = (uint8_t) (flags | (dad ? 0 : MAT_NA_SOLICITED));
    memcpy(b + 8, nd->target.b, 16);
    put_lladdr(b + NA_LEN, OPT_TARGET, mac);
    mat_frame_ip(ip, &nd->target, dad ? &all_nodes : &nd->src,
                 MAT_PROTO_ICMPV6, ND_HOP_LIMIT, l3_size);
    mat_frame_csum(ip, l3_size);
    return request->l3_ofs + l3_size;
}

size_t
mat_reply_ra(const struct mat_packet *request, const struct mat_nd *nd,
             const struct mat_ra *ra, void *buf, size_t cap)
{
    struct mat_mac asker = mat_packet_eth_src(request);
    uint8_t *ip;

    if (nd->type != MAT_ND_RS) {
        return 0;
    }
    ip = mat_frame_start(request, &ra->mac, &asker, ra_size(ra), buf, cap);
    if (!ip) {
        return 0;
    }
    fill_ra(ip, ra, mat_addr_is_zero(&nd->src) ? &all_nodes : &nd->src);
    return request->l3_ofs + ra_size(ra);
}

size_t
mat_build_ra(const struct mat_ra *ra, const struct mat_mac *dst,
             void *buf, size_t cap)
{
    uint8_t header[MAT_ETH_LEN] = { [12] = MAT_ETH_IPV6 >> 8,
                                    [13] = MAT_ETH_IPV6 & 0xff };
    struct mat_packet untagged = { .data = header, .l3_ofs = MAT_ETH_LEN };
    uint8_t *ip;

    ip = mat_frame_start(&untagged, &ra->mac, dst, ra_size(ra), buf, cap);
    if (!ip) {
        return 0;
    }
    fill_ra(ip, ra, &all_nodes);
    return MAT_ETH_LEN + ra_size(ra);
}

struct mat_addr
mat_link_local(const struct mat_mac *mac)
{
    const uint8_t *ea = mac->ea;

    return (struct mat_addr) { {
        0xfe, 0x80, 0, 0, 0, 0, 0, 0,
        ea[0] ^ 2, ea[1], ea[2], 0xff, 0xfe, ea[3], ea[4], ea[5]
    } };
}

/* The size of a message before its options. */
static uint32_t
message_len(uint8_t type)
{
    switch (type) {
    case MAT_ND_RS:
        return 8;
    case MAT_ND_RA:
        return RA_LEN;
    case MAT_ND_REDIRECT:
        return 40;
    default:
        return NA_LEN;          /* Also a solicitation. */
    }
}

/* Walks the options from 'ofs' to the end and stores the first link layer
 * address that suits the type of '*nd'.  Returns false if any is broken. */
static bool
parse_options(const struct mat_packet *p, uint32_t ofs, struct mat_nd *nd)
{
    uint8_t wanted = (nd->type == MAT_ND_NA || nd->type == MAT_ND_REDIRECT
                      ? OPT_TARGET : OPT_SOURCE);

    while (ofs < p->end) {
        const uint8_t *opt = p->data + ofs;
        uint32_t left = p->end - ofs;
        uint32_t len;

        if (left < OPT_UNIT) {
            return false;
        }
        len = opt[1] * (uint32_t) OPT_UNIT;
        if (!len || len > left) {
            return false;
        }
        if (opt[0] == wanted && len == OPT_UNIT && !nd->has_lladdr) {
            memcpy(&nd->lladdr, opt + 2, sizeof nd->lladdr);
            nd->has_lladdr = true;
            if (mat_mac_is_multicast(&nd->lladdr)) {
                return false;
            }
        }
        ofs += len;
    }
    return true;
}

static bool
is_solicited_node(const struct mat_addr *dst, const struct mat_addr *target)
{
    static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 1, [12] = 0xff };

    return !memcmp(dst->b, prefix, sizeof prefix)
           && !memcmp(&dst->b[13], &target->b[13], 3);
}

/* The rules of RFC 4861, 6.1 and 7.1, on addresses. */
static bool
addresses_suit(const struct mat_nd *nd)
{
    enum mat_addr_scope src = mat_addr_scope(&nd->src);
    bool nobody = src == MAT_SCOPE_UNSPECIFIED;
    bool to_group = mat_addr_scope(&nd->dst) == MAT_SCOPE_MULTICAST;
    bool bad_target = mat_addr_scope(&nd->target) == MAT_SCOPE_MULTICAST;

    if (src == MAT_SCOPE_MULTICAST) {
        return false;
    }
    switch (nd->type) {
    case MAT_ND_RS:
        return !(nobody && nd->has_lladdr);
    case MAT_ND_NS:
        return !bad_target
               && (!nobody || (!nd->has_lladdr
                               && is_solicited_node(&nd->dst, &nd->target)));
    case MAT_ND_NA:
        return !bad_target && !nobody
               && !(to_group && nd->flags & MAT_NA_SOLICITED);
    default:                    /* Only routers speak, by this address. */
        return src == MAT_SCOPE_LINK_LOCAL;
    }
}

static size_t
ra_size(const struct mat_ra *ra)
{
    return MAT_IPV6_LEN + RA_LEN + OPT_UNIT + (ra->mtu ? OPT_UNIT : 0u)
           + (ra->plen ? OPT_PREFIX_LEN : 0u);
}

static void
put_prefix(uint8_t *b, const struct mat_ra *ra)
{
    struct mat_addr prefix = mat_addr_mask(&ra->prefix, ra->plen);

    b[0] = OPT_PREFIX;
    b[1] = OPT_PREFIX_LEN / OPT_UNIT;
    b[2] = ra->plen;
    b[3] = (uint8_t) (PREFIX_ON_LINK
                      | (ra->autonomous ? PREFIX_AUTONOMOUS : 0));
    mat_put_be32(b + 4, UINT32_MAX);    /* Valid and preferred for ever. */
    mat_put_be32(b + 8, UINT32_MAX);
    memcpy(b + 16, prefix.b, 16);
}

static void
fill_ra(uint8_t *ip, const struct mat_ra *ra, const struct mat_addr *dst)
{
    struct mat_addr src = mat_link_local(&ra->mac);
    uint8_t *b = ip + MAT_IPV6_LEN;

    b[0] = MAT_ND_RA;
    b[4] = RA_HOP_LIMIT;
    b[5] = ra->managed ? RA_MANAGED | RA_OTHER : 0;
    mat_put_be16(b + 6, MAT_RA_LIFETIME_S);
    b = put_lladdr(b + RA_LEN, OPT_SOURCE, &ra->mac);
    if (ra->mtu) {
        b[0] = OPT_MTU;
        b[1] = 1;
        mat_put_be32(b + 4, ra->mtu);
        b += OPT_UNIT;
    }
    if (ra->plen) {
        put_prefix(b, ra);
    }
    mat_frame_ip(ip, &src, dst, MAT_PROTO_ICMPV6, ND_HOP_LIMIT, ra_size(ra));
    mat_frame_csum(ip, ra_size(ra));
}

static uint8_t *
put_lladdr(uint8_t *b, uint8_t type, const struct mat_mac *mac)
{
    b[0] = type;
    b[1] = 1;
    memcpy(b + 2, mac, sizeof *mac);
    return b + OPT_UNIT;
}
