/* SPDX-License-Identifier: Apache-2.0 */

/* Frames of the stock: what it says to a link, and what it hears there. */

#include "mat-moa-impl.h"

#include "mat-frame.h"
#include "mat-learn.h"
#include "mat-nd.h"
#include "mat-reply.h"

enum {
    ARP_LEN = 28,
    ND_LEN = 24,                /* Without options. */
    ND_HOP_LIMIT = 255,
    OPT_LEN = 8,
    OPT_SOURCE = 1, OPT_TARGET = 2,
    HEARD_MAX = 512             /* Longer ARP or ND is not of this world. */
};

static const struct mat_mac broadcast_mac = {
    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }
};
static const struct mat_mac all_nodes_mac = { { 0x33, 0x33, 0, 0, 0, 1 } };
static const struct mat_addr all_nodes = { { 0xff, 0x02, [15] = 1 } };
static const struct mat_addr unspecified = { { 0 } };

static uint8_t *
start(const struct mat_moa_uplink *u, const struct mat_mac *dst,
      uint16_t eth_type, size_t l3_size, uint8_t *frame)
{
    uint8_t header[MAT_ETH_LEN] = { [12] = (uint8_t) (eth_type >> 8),
                                    [13] = (uint8_t) eth_type };
    struct mat_packet untagged = { .data = header, .l3_ofs = MAT_ETH_LEN };

    return mat_frame_start(&untagged, &u->mac, dst, l3_size, frame,
                           MAT_MOA_FRAME_MAX);
}

/* An ARP request. */
static size_t
build_arp(const struct mat_moa_uplink *u, const struct mat_mac *dst,
          const struct mat_addr *spa, const struct mat_addr *tpa,
          uint8_t *frame)
{
    static const uint8_t fixed[8] = { 0, 1, 8, 0, 6, 4, 0, MAT_ARP_REQUEST };
    uint8_t *b = start(u, dst, MAT_ETH_ARP, ARP_LEN, frame);

    memcpy(b, fixed, sizeof fixed);
    memcpy(b + 8, &u->mac, sizeof u->mac);
    memcpy(b + 14, &spa->b[12], 4);
    memcpy(b + 24, &tpa->b[12], 4);
    return MAT_ETH_LEN + ARP_LEN;
}

/* A solicitation or advertisement, with the uplink's MAC as 'option' unless
 * that is 0. */
static size_t
build_nd(const struct mat_moa_uplink *u, const struct mat_mac *eth_dst,
         uint8_t type, uint8_t flags, const struct mat_addr *src,
         const struct mat_addr *dst, const struct mat_addr *target,
         uint8_t option, uint8_t *frame)
{
    size_t l3_size = MAT_IPV6_LEN + ND_LEN + (option ? OPT_LEN : 0u);
    uint8_t *ip = start(u, eth_dst, MAT_ETH_IPV6, l3_size, frame);
    uint8_t *b = ip + MAT_IPV6_LEN;

    b[0] = type;
    b[4] = flags;
    memcpy(b + 8, target->b, sizeof target->b);
    if (option) {
        b[ND_LEN] = option;
        b[ND_LEN + 1] = 1;
        memcpy(b + ND_LEN + 2, &u->mac, sizeof u->mac);
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
mat_moa_build_probe(const struct mat_moa_uplink *u, const struct mat_addr *moa,
                    uint8_t *frame)
{
    struct mat_addr group;
    struct mat_mac mac;

    if (mat_addr_is_v4(moa)) {
        return build_arp(u, &broadcast_mac, &unspecified, moa, frame);
    }
    group = solicited_node(moa, &mac);
    return build_nd(u, &mac, MAT_ND_NS, 0, &unspecified, &group, moa, 0,
                    frame);
}

size_t
mat_moa_build_announcement(const struct mat_moa_uplink *u,
                           const struct mat_addr *moa, uint8_t *frame)
{
    if (mat_addr_is_v4(moa)) {
        return build_arp(u, &broadcast_mac, moa, moa, frame);
    }
    return build_nd(u, &all_nodes_mac, MAT_ND_NA, MAT_NA_OVERRIDE, moa,
                    &all_nodes, moa, OPT_TARGET, frame);
}

size_t
mat_moa_build_question(const struct mat_moa_uplink *u,
                       const struct mat_addr *moa,
                       const struct mat_addr *router,
                       const struct mat_mac *router_mac, uint8_t *frame)
{
    bool is_known = !mat_mac_is_zero(router_mac);
    struct mat_addr group;
    struct mat_mac mac;

    if (mat_addr_is_v4(moa)) {
        return build_arp(u, is_known ? router_mac : &broadcast_mac, moa,
                         router, frame);
    }
    group = solicited_node(router, &mac);
    return build_nd(u, is_known ? router_mac : &mac, MAT_ND_NS, 0, moa,
                    is_known ? router : &group, router, OPT_SOURCE, frame);
}

/* Hearing. */

static void
hear_arp(struct mat_moa *m, int64_t now_us, const struct mat_arp *arp)
{
    if (mat_arp_is_probe(arp)) {
        mat_moa_claimed(m, now_us, &arp->tpa, &arp->sha, true);
    } else if (mat_addr_v4(&arp->spa)) {
        mat_moa_claimed(m, now_us, &arp->spa, &arp->sha, false);
    }
}

static void
hear_nd(struct mat_moa *m, int64_t now_us, const struct mat_nd *nd,
        const struct mat_mac *mac)
{
    if (mat_nd_is_dad(nd)) {
        mat_moa_claimed(m, now_us, &nd->target, mac, true);
    } else if (nd->type == MAT_ND_NA) {
        mat_moa_claimed(m, now_us, &nd->target, mac, false);
    } else if (nd->type == MAT_ND_NS) {
        mat_moa_claimed(m, now_us, &nd->src, mac, false);
    }
}

void
mat_moa_hear(struct mat_moa *m, int64_t now_us, const void *frame, size_t size)
{
    uint8_t copy[HEARD_MAX];
    struct mat_packet p;
    struct mat_arp arp;
    struct mat_mac mac;
    struct mat_nd nd;

    if (size > sizeof copy) {
        return;
    }
    memcpy(copy, frame, size);
    switch (mat_packet_parse(&p, copy, (uint32_t) size)) {
    case MAT_PACKET_ARP:
        if (mat_arp_parse(&p, &arp) && arp.op <= MAT_ARP_REPLY) {
            hear_arp(m, now_us, &arp);
        }
        break;
    case MAT_PACKET_IPV6:
        if (mat_nd_parse(&p, MAT_CSUM_FULL, &nd)) {
            mac = mat_packet_eth_src(&p);
            hear_nd(m, now_us, &nd, &mac);
        }
        break;
    default:
        break;
    }
}

void
mat_moa_hear_event(struct mat_moa *m, int64_t now_us,
                   const struct mat_event *event)
{
    struct mat_learn_said said;

    if (event->type == MAT_EVENT_CONFLICT && mat_learn_decode(event, &said)
        && said.has_hoa) {
        mat_moa_claimed(m, now_us, &said.hoa, &said.mac,
                        said.kind == MAT_LEARN_PROBE);
    }
}
