/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-neighbor.h"

#include "mat-frame.h"
#include "mat-nd.h"
#include "mat-reply.h"

enum {
    ARP_LEN = 28,
    ND_LEN = 24,                /* Without options. */
    ND_HOP_LIMIT = 255,
    OPT_LEN = 8,
    OPT_SOURCE = 1, OPT_TARGET = 2
};

static const struct mat_mac broadcast_mac = {
    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }
};
static const struct mat_mac all_nodes_mac = { { 0x33, 0x33, 0, 0, 0, 1 } };
static const struct mat_addr all_nodes = { { 0xff, 0x02, [15] = 1 } };
static const struct mat_addr unspecified = { { 0 } };

static uint8_t *
start(const struct mat_mac *mac, const struct mat_mac *dst,
      uint16_t eth_type, size_t l3_size, uint8_t *frame)
{
    uint8_t header[MAT_ETH_LEN] = { [12] = (uint8_t) (eth_type >> 8),
                                    [13] = (uint8_t) eth_type };
    struct mat_packet untagged = { .data = header, .l3_ofs = MAT_ETH_LEN };

    return mat_frame_start(&untagged, mac, dst, l3_size, frame,
                           MAT_NEIGHBOR_FRAME_MAX);
}

/* An ARP request. */
static size_t
build_arp(const struct mat_mac *mac, const struct mat_mac *dst,
          const struct mat_addr *spa, const struct mat_addr *tpa,
          uint8_t *frame)
{
    static const uint8_t fixed[8] = { 0, 1, 8, 0, 6, 4, 0, MAT_ARP_REQUEST };
    uint8_t *b = start(mac, dst, MAT_ETH_ARP, ARP_LEN, frame);

    memcpy(b, fixed, sizeof fixed);
    memcpy(b + 8, mac, sizeof *mac);
    memcpy(b + 14, &spa->b[12], 4);
    memcpy(b + 24, &tpa->b[12], 4);
    return MAT_ETH_LEN + ARP_LEN;
}

/* A solicitation or advertisement, with 'mac' as 'option' unless that
 * is 0. */
static size_t
build_nd(const struct mat_mac *mac, const struct mat_mac *eth_dst,
         uint8_t type, uint8_t flags, const struct mat_addr *src,
         const struct mat_addr *dst, const struct mat_addr *target,
         uint8_t option, uint8_t *frame)
{
    size_t l3_size = MAT_IPV6_LEN + ND_LEN + (option ? OPT_LEN : 0u);
    uint8_t *ip = start(mac, eth_dst, MAT_ETH_IPV6, l3_size, frame);
    uint8_t *b = ip + MAT_IPV6_LEN;

    b[0] = type;
    b[4] = flags;
    memcpy(b + 8, target->b, sizeof target->b);
    if (option) {
        b[ND_LEN] = option;
        b[ND_LEN + 1] = 1;
        memcpy(b + ND_LEN + 2, mac, sizeof *mac);
    }
    mat_frame_ip(ip, src, dst, MAT_PROTO_ICMPV6, ND_HOP_LIMIT, l3_size);
    mat_frame_csum(ip, l3_size);
    return MAT_ETH_LEN + l3_size;
}

/* The group in which whoever has 'addr' listens (RFC 4291, 2.7.1), and its
 * MAC (RFC 2464, 7). */
static struct mat_addr
solicited_node(const struct mat_addr *addr, struct mat_mac *mac)
{
    struct mat_addr group = { { 0xff, 0x02, [11] = 1, [12] = 0xff } };

    memcpy(&group.b[13], &addr->b[13], 3);
    mac->ea[0] = mac->ea[1] = 0x33;
    memcpy(&mac->ea[2], &group.b[12], 4);
    return group;
}

size_t
mat_neighbor_probe(const struct mat_mac *mac, const struct mat_addr *addr,
                   uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX])
{
    struct mat_addr group;
    struct mat_mac dst;

    if (mat_addr_is_v4(addr)) {
        return build_arp(mac, &broadcast_mac, &unspecified, addr, frame);
    }
    group = solicited_node(addr, &dst);
    return build_nd(mac, &dst, MAT_ND_NS, 0, &unspecified, &group, addr, 0,
                    frame);
}

size_t
mat_neighbor_announcement(const struct mat_mac *mac,
                          const struct mat_addr *addr,
                          uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX])
{
    if (mat_addr_is_v4(addr)) {
        return build_arp(mac, &broadcast_mac, addr, addr, frame);
    }
    return build_nd(mac, &all_nodes_mac, MAT_ND_NA, MAT_NA_OVERRIDE, addr,
                    &all_nodes, addr, OPT_TARGET, frame);
}

size_t
mat_neighbor_question(const struct mat_mac *mac, const struct mat_addr *src,
                      const struct mat_addr *target,
                      const struct mat_mac *target_mac,
                      uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX])
{
    bool is_known = !mat_mac_is_zero(target_mac);
    struct mat_addr group;
    struct mat_mac dst;

    if (mat_addr_is_v4(target)) {
        return build_arp(mac, is_known ? target_mac : &broadcast_mac, src,
                         target, frame);
    }
    group = solicited_node(target, &dst);
    return build_nd(mac, is_known ? target_mac : &dst, MAT_ND_NS, 0, src,
                    is_known ? target : &group, target, OPT_SOURCE, frame);
}

/* The source may be unspecified, just for switches (RFC 3810, 5.2.13).  Before
 * the report is a hop-by-hop header with the router alert option (RFC 2711),
 * so it is no case for mat_frame_ip(). */
size_t
mat_neighbor_report(const struct mat_mac *mac, const struct mat_addr *addr,
                    uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX])
{
    static const struct mat_mac dst_mac = { { 0x33, 0x33, 0, 0, 0, 0x16 } };
    static const struct mat_addr dst = { { 0xff, 0x02, [15] = 0x16 } };
    static const uint8_t alert[8] = { MAT_PROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };
    enum { REPORT = 143, TO_EXCLUDE = 4, REPORT_LEN = 28 };
    size_t l3_size = MAT_IPV6_LEN + sizeof alert + REPORT_LEN;
    uint8_t *ip = start(mac, &dst_mac, MAT_ETH_IPV6, l3_size, frame);
    uint8_t *b = ip + MAT_IPV6_LEN + sizeof alert;
    struct mat_mac group_mac;
    struct mat_addr group = solicited_node(addr, &group_mac);
    uint16_t csum;

    mat_frame_ip(ip, &unspecified, &dst, 0, 1, l3_size);
    memcpy(ip + MAT_IPV6_LEN, alert, sizeof alert);
    b[0] = REPORT;
    b[7] = 1;                   /* Records. */
    b[8] = TO_EXCLUDE;
    memcpy(b + 12, group.b, sizeof group.b);
    csum = mat_csum_finish(mat_csum_pseudo_v6(
        mat_csum_sum(0, b, REPORT_LEN), ip + 8, ip + 24, MAT_PROTO_ICMPV6,
        REPORT_LEN));
    memcpy(b + 2, &csum, sizeof csum);
    return MAT_ETH_LEN + l3_size;
}
