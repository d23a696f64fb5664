/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-packet.h"

/* Extension headers that are walked over. */
enum {
    EXT_HOP_BY_HOP = 0,
    EXT_ROUTING = 43,
    EXT_FRAGMENT = 44,
    EXT_AUTH = 51,              /* Also in IPv4. */
    EXT_NONE = 59,
    EXT_DEST_OPTS = 60,
    EXT_MIN_LEN = 8             /* Of each of the above but EXT_NONE. */
};

enum {
    OPT_END = 0,
    OPT_NOP = 1,
    OPT_LSRR = 131,
    OPT_SSRR = 137
};

static bool parse_l2(struct mat_packet *);
static bool parse_ipv4(struct mat_packet *);
static bool parse_ipv6(struct mat_packet *);
static bool l4_is_whole(const struct mat_packet *);
static bool quote_ipv4(struct mat_packet *);
static bool quote_ipv6(struct mat_packet *);
static uint32_t quote_size_max(const struct mat_packet *);
static bool walk_ipv4(struct mat_packet *);
static bool walk_headers(struct mat_packet *, uint32_t ofs, uint8_t proto);
static void note_addresses(struct mat_packet *);
static bool is_icmp_error(const struct mat_packet *);

enum mat_packet_kind
mat_packet_parse(struct mat_packet *p, void *data, uint32_t size)
{
    bool ok;

    *p = (struct mat_packet) {
        .data = data, .size = size, .end = size, .l4_ofs = MAT_PACKET_NO_L4
    };
    ok = parse_l2(p);
    if (ok && p->eth_type == MAT_ETH_IPV4) {
        p->kind = MAT_PACKET_IPV4;
        ok = parse_ipv4(p) && l4_is_whole(p);
    } else if (ok && p->eth_type == MAT_ETH_IPV6) {
        p->kind = MAT_PACKET_IPV6;
        ok = parse_ipv6(p) && l4_is_whole(p);
    } else {
        p->kind = (p->eth_type == MAT_ETH_ARP ? MAT_PACKET_ARP
                   : p->eth_type == MAT_ETH_RARP ? MAT_PACKET_RARP
                   : MAT_PACKET_OTHER);
    }
    if (!ok) {
        p->kind = MAT_PACKET_MALFORMED;
    } else if (mat_packet_is_ip(p)) {
        note_addresses(p);
        p->flags |= is_icmp_error(p) ? MAT_PACKET_ICMP_ERROR : 0;
    }
    return p->kind;
}

bool
mat_packet_quote(const struct mat_packet *p, struct mat_packet *quote)
{
    uint32_t ofs, size_max;

    if (!(p->flags & MAT_PACKET_ICMP_ERROR)) {
        return false;
    }

    ofs = (uint32_t) p->l4_ofs + MAT_ICMP_LEN;
    size_max = quote_size_max(p);
    *quote = *p;
    quote->l3_ofs = (uint16_t) ofs;
    quote->l4_ofs = MAT_PACKET_NO_L4;
    quote->end = size_max < p->end - ofs ? ofs + size_max : p->end;
    quote->flags = 0;
    quote->proto = 0;
    return p->kind == MAT_PACKET_IPV4 ? quote_ipv4(quote) : quote_ipv6(quote);
}

enum mat_addr_scope
mat_addr_scope(const struct mat_addr *a)
{
    const uint8_t *b = a->b;

    if (mat_addr_is_v4(a)) {
        b += 12;
        return (b[0] == 0 ? MAT_SCOPE_UNSPECIFIED
                : b[0] == 127 ? MAT_SCOPE_LOOPBACK
                : b[0] == 169 && b[1] == 254 ? MAT_SCOPE_LINK_LOCAL
                : b[0] < 224 ? MAT_SCOPE_HOST
                : b[0] < 240 ? MAT_SCOPE_MULTICAST
                : mat_get_be32(b) == UINT32_MAX ? MAT_SCOPE_BROADCAST
                : MAT_SCOPE_RESERVED);
    } else if (b[0] == 0xff) {
        return MAT_SCOPE_MULTICAST;
    } else if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) {
        return MAT_SCOPE_LINK_LOCAL;
    } else {
        static const uint8_t zeros[15];

        return (memcmp(b, zeros, sizeof zeros) || b[15] > 1 ? MAT_SCOPE_HOST
                : b[15] ? MAT_SCOPE_LOOPBACK
                : MAT_SCOPE_UNSPECIFIED);
    }
}

static bool
parse_l2(struct mat_packet *p)
{
    uint32_t ofs = MAT_ETH_LEN;

    if (p->size < ofs) {
        return false;
    }
    p->flags = p->data[0] & 1 ? MAT_PACKET_L2_MULTI : 0;
    p->eth_type = mat_get_be16(p->data + ofs - 2);
    while ((p->eth_type == MAT_ETH_VLAN || p->eth_type == MAT_ETH_QINQ)
           && p->n_vlans < MAT_PACKET_VLANS_MAX) {
        ofs += MAT_VLAN_LEN;
        if (p->size < ofs) {
            return false;
        }
        p->eth_type = mat_get_be16(p->data + ofs - 2);
        p->n_vlans++;
    }
    p->l3_ofs = (uint16_t) ofs;
    return true;
}

static bool
parse_ipv4(struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p);
    uint32_t left = p->end - p->l3_ofs;
    uint32_t header_len, total_len;

    if (left < MAT_IPV4_LEN || ip[0] >> 4 != 4) {
        return false;
    }
    header_len = (ip[0] & 0xfu) * 4;
    total_len = mat_get_be16(ip + 2);
    if (header_len < MAT_IPV4_LEN || total_len < header_len
        || total_len > left) {
        return false;
    }
    p->end = p->l3_ofs + total_len;
    return walk_ipv4(p);
}

static bool
is_mapped(const uint8_t b[16])
{
    struct mat_addr a = mat_addr_from_v6(b);

    return mat_addr_is_v4(&a);
}

static bool
parse_ipv6(struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p);
    uint32_t left = p->end - p->l3_ofs;
    uint32_t total_len;

    if (left < MAT_IPV6_LEN || ip[0] >> 4 != 6
        || is_mapped(ip + 8) || is_mapped(ip + 24)) {
        return false;
    }
    total_len = MAT_IPV6_LEN + (uint32_t) mat_get_be16(ip + 4);
    if (total_len > left) {
        return false;
    }
    p->end = p->l3_ofs + total_len;
    p->flags |= MAT_PACKET_DF;
    return walk_headers(p, p->l3_ofs + MAT_IPV6_LEN, ip[6]);
}

/* True unless there should be an upper layer header but it is cut off. */
static bool
l4_is_whole(const struct mat_packet *p)
{
    bool v6 = p->kind == MAT_PACKET_IPV6;
    uint32_t need;

    if (p->flags & MAT_PACKET_FRAG_LATER) {
        return true;
    }
    switch (p->proto) {
    case MAT_PROTO_TCP:
        need = 20;
        break;
    case MAT_PROTO_DCCP:
    case MAT_PROTO_SCTP:
        need = 12;
        break;
    case MAT_PROTO_UDP:
    case MAT_PROTO_UDPLITE:
        need = 8;
        break;
    case MAT_PROTO_ICMP:
        need = v6 ? 0 : 8;
        break;
    case MAT_PROTO_ICMPV6:
    case MAT_PROTO_MOBILITY:
        need = v6 ? 8 : 0;
        break;
    default:
        need = 0;
        break;
    }
    return !need || (mat_packet_has_l4(p) && p->end - p->l4_ofs >= need);
}

static bool
quote_ipv4(struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p);
    uint32_t left = p->end - p->l3_ofs;
    uint32_t header_len, total_len;

    if (left < MAT_IPV4_LEN || ip[0] >> 4 != 4) {
        return false;
    }
    header_len = (ip[0] & 0xfu) * 4;
    if (header_len < MAT_IPV4_LEN) {
        return false;
    }
    /* Some senders quote a total length that they have already changed. */
    total_len = mat_get_be16(ip + 2);
    if (total_len >= header_len && total_len < left) {
        p->end = p->l3_ofs + total_len;
    }
    if (header_len <= p->end - p->l3_ofs) {
        walk_ipv4(p);
    }
    return true;
}

static bool
quote_ipv6(struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p);
    uint32_t left = p->end - p->l3_ofs;
    uint32_t total_len;

    if (left < MAT_IPV6_LEN || ip[0] >> 4 != 6
        || is_mapped(ip + 8) || is_mapped(ip + 24)) {
        return false;
    }
    total_len = MAT_IPV6_LEN + (uint32_t) mat_get_be16(ip + 4);
    if (total_len < left) {
        p->end = p->l3_ofs + total_len;
    }
    walk_headers(p, p->l3_ofs + MAT_IPV6_LEN, ip[6]);
    return true;
}

/* The size of the quoted packet by the length attribute of RFC 4884, which
 * says where extensions begin, or UINT32_MAX if there is none. */
static uint32_t
quote_size_max(const struct mat_packet *p)
{
    const uint8_t *icmp = mat_packet_l4(p);
    uint32_t size = 0;

    if (p->kind == MAT_PACKET_IPV6) {
        if (icmp[0] == 1 || icmp[0] == 3) {
            size = icmp[4] * 8u;
        }
    } else if (icmp[0] == 3 || icmp[0] == 11 || icmp[0] == 12) {
        size = icmp[5] * 4u;
    }
    return size ? size : UINT32_MAX;
}

/* Looks for a source route with hops to go in the IPv4 options.  Returns
 * false if the options are broken. */
static bool
walk_options(struct mat_packet *p, uint32_t header_len)
{
    const uint8_t *ip = mat_packet_l3(p);
    uint32_t i = MAT_IPV4_LEN;

    while (i < header_len && ip[i] != OPT_END) {
        uint32_t len;

        if (ip[i] == OPT_NOP) {
            i++;
            continue;
        }
        if (header_len - i < 2 || ip[i + 1] < 2
            || ip[i + 1] > header_len - i) {
            return false;
        }
        len = ip[i + 1];
        if ((ip[i] == OPT_LSRR || ip[i] == OPT_SSRR)
            && len >= 3 && ip[i + 2] <= len) {
            p->flags |= MAT_PACKET_ROUTED;
        }
        i += len;
    }
    return true;
}

/* Reads an IPv4 header that is whole, and what follows.  Returns false if the
 * packet is broken from somewhere on. */
static bool
walk_ipv4(struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p);
    uint32_t header_len = (ip[0] & 0xfu) * 4;
    uint16_t frag = mat_get_be16(ip + 6);

    p->proto = ip[9];
    p->flags |= frag & 0x4000 ? MAT_PACKET_DF : 0;
    p->flags |= header_len > MAT_IPV4_LEN ? MAT_PACKET_OPTIONS : 0;
    if (!walk_options(p, header_len)) {
        return false;
    }
    if (frag & 0x1fff) {
        p->flags |= MAT_PACKET_FRAG_LATER;
        return true;
    }
    p->flags |= frag & 0x2000 ? MAT_PACKET_FRAG_FIRST : 0;
    return walk_headers(p, p->l3_ofs + header_len, ip[9]);
}

static bool
is_extension(uint8_t proto, bool v6)
{
    return proto == EXT_AUTH
           || (v6 && (proto == EXT_HOP_BY_HOP || proto == EXT_ROUTING
                      || proto == EXT_FRAGMENT || proto == EXT_DEST_OPTS));
}

static uint32_t
extension_len(const uint8_t *ext, uint8_t proto)
{
    return (proto == EXT_FRAGMENT ? 8
            : proto == EXT_AUTH ? (ext[1] + 2u) * 4
            : (ext[1] + 1u) * 8);
}

/* Notes an IPv6 fragment header.  Returns false if it is not the first. */
static bool
note_fragment(struct mat_packet *p, const uint8_t *ext)
{
    uint16_t frag = mat_get_be16(ext + 2);

    if (p->flags & MAT_PACKET_FRAG_FIRST) {
        return false;
    }
    if (frag & 0xfff8) {
        p->flags |= MAT_PACKET_FRAG_LATER;
    } else if (frag & 1) {
        p->flags |= MAT_PACKET_FRAG_FIRST;
    }
    return true;
}

/* Follows the chain of extension headers from the one of type 'proto' at
 * 'ofs', to set 'proto', 'l4_ofs' and the flags of '*p'.  Returns false if the
 * chain is broken, cut off or too long. */
static bool
walk_headers(struct mat_packet *p, uint32_t ofs, uint8_t proto)
{
    bool v6 = p->kind == MAT_PACKET_IPV6;

    for (int n = 0; is_extension(proto, v6); n++) {
        const uint8_t *ext = p->data + ofs;
        uint32_t left = p->end - ofs;
        uint32_t len;

        if (n >= MAT_PACKET_EXT_MAX || left < EXT_MIN_LEN) {
            return false;
        }
        len = extension_len(ext, proto);
        if (len > left || len < EXT_MIN_LEN) {
            return false;
        }
        p->flags |= MAT_PACKET_OPTIONS;
        if (proto == EXT_ROUTING && ext[3]) {
            p->flags |= MAT_PACKET_ROUTED;
        } else if (proto == EXT_FRAGMENT && !note_fragment(p, ext)) {
            return false;
        }
        proto = ext[0];
        ofs += len;
        if (p->flags & MAT_PACKET_FRAG_LATER) {
            p->proto = proto;
            return true;
        }
    }
    p->proto = proto;
    if (proto != EXT_NONE && ofs < p->end) {
        p->l4_ofs = (uint16_t) ofs;
    }
    return true;
}

static void
note_addresses(struct mat_packet *p)
{
    struct mat_addr src = mat_packet_src(p);
    struct mat_addr dst = mat_packet_dst(p);
    enum mat_addr_scope src_scope = mat_addr_scope(&src);
    enum mat_addr_scope dst_scope = mat_addr_scope(&dst);

    if (dst_scope == MAT_SCOPE_MULTICAST || dst_scope == MAT_SCOPE_BROADCAST) {
        p->flags |= MAT_PACKET_L3_MULTI;
    }
    if (src_scope != MAT_SCOPE_HOST || dst_scope != MAT_SCOPE_HOST) {
        p->flags |= MAT_PACKET_MARTIAN;
    }
}

static bool
is_icmp_error(const struct mat_packet *p)
{
    uint8_t type;

    if (!mat_packet_has_l4(p)) {
        return false;
    }
    type = *mat_packet_l4(p);
    if (p->kind == MAT_PACKET_IPV6) {
        return p->proto == MAT_PROTO_ICMPV6 && type < 128;
    }
    return p->proto == MAT_PROTO_ICMP
           && (type == 3 || type == 4 || type == 5 || type == 11
               || type == 12);
}
