/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-reply.h"

#include "mat-frame.h"

enum {
    ARP_LEN = 28,               /* Ethernet and IPv4. */
    ICMPV6_REDIRECT = 137       /* Not in the range of errors, but as bad. */
};

/* The most that an error says: RFC 1812, 4.3.2.3 and RFC 4443, 3. */
enum {
    ERROR_MAX_V4 = 576,
    ERROR_MAX_V6 = 1280
};

static void error_type(const struct mat_packet *, enum mat_error_kind,
                       uint8_t *type, uint8_t *code);
static uint16_t error_mtu(const struct mat_packet *, const struct mat_error *);

bool
mat_arp_parse(const struct mat_packet *p, struct mat_arp *arp)
{
    static const uint8_t ethernet_ipv4[6] = { 0, 1, 8, 0, 6, 4 };
    bool rarp = p->kind == MAT_PACKET_RARP;
    const uint8_t *b = mat_packet_l3(p);

    if ((p->kind != MAT_PACKET_ARP && !rarp) || p->end - p->l3_ofs < ARP_LEN
        || memcmp(b, ethernet_ipv4, sizeof ethernet_ipv4)) {
        return false;
    }
    arp->op = mat_get_be16(b + 6);
    memcpy(&arp->sha, b + 8, sizeof arp->sha);
    arp->spa = mat_addr_from_v4(b + 14);
    memcpy(&arp->tha, b + 18, sizeof arp->tha);
    arp->tpa = mat_addr_from_v4(b + 24);
    return (rarp ? arp->op == MAT_RARP_REQUEST || arp->op == MAT_RARP_REPLY
            : arp->op == MAT_ARP_REQUEST || arp->op == MAT_ARP_REPLY)
           && !mat_mac_is_multicast(&arp->sha) && !mat_mac_is_zero(&arp->sha);
}

bool
mat_arp_is_probe(const struct mat_arp *arp)
{
    return arp->op == MAT_ARP_REQUEST && !mat_addr_v4(&arp->spa)
           && mat_addr_v4(&arp->tpa);
}

bool
mat_arp_is_gratuitous(const struct mat_arp *arp)
{
    return (arp->op == MAT_ARP_REQUEST || arp->op == MAT_ARP_REPLY)
           && mat_addr_v4(&arp->spa) && mat_addr_equal(&arp->spa, &arp->tpa);
}

size_t
mat_reply_arp(const struct mat_packet *request, const struct mat_arp *arp,
              const struct mat_mac *mac, void *buf, size_t cap)
{
    struct mat_mac dst = mat_packet_eth_src(request);
    uint8_t *b;

    if (arp->op != MAT_ARP_REQUEST) {
        return 0;
    }
    b = mat_frame_start(request, mac, &dst, ARP_LEN, buf, cap);
    if (!b) {
        return 0;
    }
    memcpy(b, mat_packet_l3(request), 6);
    mat_put_be16(b + 6, MAT_ARP_REPLY);
    memcpy(b + 8, mac, sizeof *mac);
    memcpy(b + 14, &arp->tpa.b[12], 4);
    memcpy(b + 18, &arp->sha, sizeof arp->sha);
    memcpy(b + 24, &arp->spa.b[12], 4);
    return request->l3_ofs + (size_t) ARP_LEN;
}

bool
mat_packet_is_echo_request(const struct mat_packet *p)
{
    static const uint16_t unfit = MAT_PACKET_FRAG_FIRST | MAT_PACKET_ROUTED
                                  | MAT_PACKET_L2_MULTI | MAT_PACKET_L3_MULTI;

    return mat_packet_is_ip(p) && mat_packet_has_l4(p) && !(p->flags & unfit)
           && (p->kind == MAT_PACKET_IPV4
               ? p->proto == MAT_PROTO_ICMP && mat_packet_icmp_type(p) == 8
               : p->proto == MAT_PROTO_ICMPV6
                 && mat_packet_icmp_type(p) == 128)
           && !mat_packet_icmp_code(p);
}

size_t
mat_reply_echo(const struct mat_packet *request, enum mat_csum_state state,
               const struct mat_mac *mac, void *buf, size_t cap)
{
    bool v4 = request->kind == MAT_PACKET_IPV4;
    struct mat_mac eth_dst;
    struct mat_addr src, dst;
    enum mat_addr_scope scope;
    size_t header_len, size, l3_size;
    uint8_t *ip, *icmp;

    if (!mat_packet_is_echo_request(request)
        || !mat_frame_csum_ok(request, state)) {
        return 0;
    }
    src = mat_packet_dst(request);
    dst = mat_packet_src(request);
    scope = mat_addr_scope(&dst);
    if (scope != MAT_SCOPE_HOST && scope != MAT_SCOPE_LINK_LOCAL) {
        return 0;
    }
    header_len = v4 ? MAT_IPV4_LEN : MAT_IPV6_LEN;
    size = request->end - request->l4_ofs;
    l3_size = header_len + size;
    eth_dst = mat_packet_eth_src(request);
    ip = mat_frame_start(request, mac, &eth_dst, l3_size, buf, cap);
    if (!ip) {
        return 0;
    }
    icmp = ip + header_len;
    memcpy(icmp, mat_packet_l4(request), size);
    icmp[0] = v4 ? 0 : 129;
    mat_put_be16(icmp + 2, 0);
    mat_frame_ip(ip, &src, &dst, request->proto, MAT_FRAME_TTL, l3_size);
    mat_frame_csum(ip, l3_size);
    return request->l3_ofs + l3_size;
}

bool
mat_error_allowed(const struct mat_packet *p)
{
    static const uint16_t unfit = MAT_PACKET_ICMP_ERROR | MAT_PACKET_FRAG_LATER
                                  | MAT_PACKET_L2_MULTI | MAT_PACKET_L3_MULTI
                                  | MAT_PACKET_MARTIAN;

    return mat_packet_is_ip(p) && !(p->flags & unfit)
           && !(p->kind == MAT_PACKET_IPV6 && p->proto == MAT_PROTO_ICMPV6
                && mat_packet_icmp_type(p) == ICMPV6_REDIRECT);
}

size_t
mat_reply_error(const struct mat_packet *p, const struct mat_error *e,
                void *buf, size_t cap)
{
    bool v4 = p->kind == MAT_PACKET_IPV4;
    size_t header_len = (v4 ? MAT_IPV4_LEN : MAT_IPV6_LEN) + MAT_ICMP_LEN;
    size_t quote_max = (v4 ? ERROR_MAX_V4 : ERROR_MAX_V6) - header_len;
    size_t quote_size, l3_size;
    struct mat_mac eth_dst;
    struct mat_addr dst;
    uint8_t *ip, *icmp;

    if (!mat_error_allowed(p) || v4 != mat_addr_is_v4(&e->src)
        || (e->kind == MAT_ERROR_TOO_BIG && !(p->flags & MAT_PACKET_DF))) {
        return 0;
    }
    quote_size = mat_packet_ip_size(p);
    quote_size = quote_size < quote_max ? quote_size : quote_max;
    l3_size = header_len + quote_size;
    eth_dst = mat_packet_eth_src(p);
    ip = mat_frame_start(p, &e->mac, &eth_dst, l3_size, buf, cap);
    if (!ip) {
        return 0;
    }
    icmp = ip + header_len - MAT_ICMP_LEN;
    error_type(p, e->kind, &icmp[0], &icmp[1]);
    mat_put_be16(icmp + 6, error_mtu(p, e));
    memcpy(icmp + MAT_ICMP_LEN, mat_packet_l3(p), quote_size);
    dst = mat_packet_src(p);
    mat_frame_ip(ip, &e->src, &dst, v4 ? MAT_PROTO_ICMP : MAT_PROTO_ICMPV6,
                 MAT_FRAME_TTL, l3_size);
    mat_frame_csum(ip, l3_size);
    return p->l3_ofs + l3_size;
}

static void
error_type(const struct mat_packet *p, enum mat_error_kind kind,
           uint8_t *type, uint8_t *code)
{
    static const uint8_t v4[][2] = {
        [MAT_ERROR_TTL] = { 11, 0 },
        [MAT_ERROR_TOO_BIG] = { 3, 4 },
        [MAT_ERROR_UNREACHABLE] = { 3, 1 },
        [MAT_ERROR_PROHIBITED] = { 3, 13 }
    };
    static const uint8_t v6[][2] = {
        [MAT_ERROR_TTL] = { 3, 0 },
        [MAT_ERROR_TOO_BIG] = { 2, 0 },
        [MAT_ERROR_UNREACHABLE] = { 1, 3 },
        [MAT_ERROR_PROHIBITED] = { 1, 1 }
    };
    const uint8_t *t = p->kind == MAT_PACKET_IPV4 ? v4[kind] : v6[kind];

    *type = t[0];
    *code = t[1];
}

/* The MTU that the error reports: the low half of the last word of the header
 * in both families.  IPv6 has a least one, below which hosts do not listen. */
static uint16_t
error_mtu(const struct mat_packet *p, const struct mat_error *e)
{
    if (e->kind != MAT_ERROR_TOO_BIG) {
        return 0;
    }
    return (p->kind == MAT_PACKET_IPV6 && e->mtu < ERROR_MAX_V6
            ? ERROR_MAX_V6 : e->mtu);
}
