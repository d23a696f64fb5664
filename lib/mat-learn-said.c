/* SPDX-License-Identifier: Apache-2.0 */

/* What an event says.  Its frame may be cut off, so that of Neighbor Discovery
 * only the beginning of the target is there; the switch has seen all of it and
 * says the rest in the event's address. */

#include "mat-learn.h"

#include "mat-nd.h"
#include "mat-packet.h"
#include "mat-reply.h"

enum {
    ND_TARGET_OFS = 8,          /* In the ICMPv6 message. */
    V4_SRC_OFS = 12, V6_SRC_OFS = 8, V6_NEXT_OFS = 6
};

/* The part of a frame that there is. */
struct head {
    const uint8_t *data;
    size_t size;
    size_t ofs;                 /* Of what follows the tags. */
    uint16_t eth_type;
    struct mat_addr hint;
};

static bool skip_tags(struct head *);
static bool decode_arp(const struct head *, struct mat_learn_said *);
static bool decode_ipv4(const struct head *, struct mat_learn_said *);
static bool decode_ipv6(const struct head *, struct mat_learn_said *);

bool
mat_learn_decode(const struct mat_event *event, struct mat_learn_said *said)
{
    struct head head = { .data = event->head, .size = event->head_size,
                         .hint = event->addr };

    if ((event->type > MAT_EVENT_SPOOF && event->type != MAT_EVENT_CONFLICT)
        || head.size > sizeof event->head || !skip_tags(&head)) {
        return false;
    }
    *said = (struct mat_learn_said) { .kind = MAT_LEARN_PACKET };
    memcpy(&said->mac, head.data + sizeof said->mac, sizeof said->mac);
    if (mat_mac_is_multicast(&said->mac) || mat_mac_is_zero(&said->mac)) {
        return false;
    }
    switch (head.eth_type) {
    case MAT_ETH_ARP:
    case MAT_ETH_RARP:
        return decode_arp(&head, said);
    case MAT_ETH_IPV4:
        return decode_ipv4(&head, said);
    case MAT_ETH_IPV6:
        return decode_ipv6(&head, said);
    default:
        return true;
    }
}

static bool
skip_tags(struct head *head)
{
    head->ofs = MAT_ETH_LEN;
    for (int i = 0; i <= MAT_PACKET_VLANS_MAX; i++) {
        if (head->size < head->ofs) {
            return false;
        }
        head->eth_type = mat_get_be16(head->data + head->ofs - 2);
        if (head->eth_type != MAT_ETH_VLAN && head->eth_type != MAT_ETH_QINQ) {
            break;
        }
        head->ofs += MAT_VLAN_LEN;
    }
    return true;
}

static void
set_hoa(struct mat_learn_said *said, const struct mat_addr *hoa)
{
    if (mat_addr_is_host(hoa)) {
        said->has_hoa = true;
        said->hoa = *hoa;
    }
}

static bool
decode_arp(const struct head *head, struct mat_learn_said *said)
{
    uint8_t copy[MAT_EVENT_HEAD_SIZE];
    struct mat_packet p;
    struct mat_arp arp;

    memcpy(copy, head->data, head->size);
    mat_packet_parse(&p, copy, (uint32_t) head->size);
    if (!mat_arp_parse(&p, &arp) || !mat_mac_equal(&arp.sha, &said->mac)) {
        return false;
    }
    if (p.kind == MAT_PACKET_RARP) {
        said->kind = MAT_LEARN_RARP;
    } else if (mat_arp_is_probe(&arp)) {
        said->kind = MAT_LEARN_PROBE;
        set_hoa(said, &arp.tpa);
        return said->has_hoa;
    } else {
        said->kind = (mat_arp_is_gratuitous(&arp) ? MAT_LEARN_ANNOUNCE
                      : MAT_LEARN_SPEAK);
        set_hoa(said, &arp.spa);
    }
    return true;
}

static bool
decode_ipv4(const struct head *head, struct mat_learn_said *said)
{
    struct mat_addr src;

    if (head->size - head->ofs < MAT_IPV4_LEN
        || head->data[head->ofs] >> 4 != 4) {
        return false;
    }
    src = mat_addr_from_v4(head->data + head->ofs + V4_SRC_OFS);
    if (mat_addr_is_host(&src)) {
        said->hoa = src;
    }
    return true;
}

/* The target of the ND message at 'ofs', as far as it is there, else by the
 * hint. */
static bool
get_target(const struct head *head, size_t ofs, struct mat_addr *target)
{
    size_t n = head->size - ofs > ND_TARGET_OFS
               ? head->size - ofs - ND_TARGET_OFS : 0;

    if (n >= sizeof target->b) {
        *target = mat_addr_from_v6(head->data + ofs + ND_TARGET_OFS);
    } else if (memcmp(head->hint.b, head->data + ofs + ND_TARGET_OFS, n)) {
        return false;
    } else {
        *target = head->hint;
    }
    return !mat_addr_is_v4(target);
}

static bool
decode_ipv6(const struct head *head, struct mat_learn_said *said)
{
    const uint8_t *ip = head->data + head->ofs;
    size_t icmp = head->ofs + MAT_IPV6_LEN;
    struct mat_addr src, target;
    uint8_t type;

    if (head->size < icmp || ip[0] >> 4 != 6) {
        return false;
    }
    src = mat_addr_from_v6(ip + V6_SRC_OFS);
    if (mat_addr_is_v4(&src)) {
        return false;
    }
    type = (ip[V6_NEXT_OFS] == MAT_PROTO_ICMPV6 && head->size > icmp
            ? head->data[icmp] : 0);
    if (type == MAT_ND_NS && mat_addr_is_zero(&src)) {
        said->kind = MAT_LEARN_PROBE;
    } else if (type == MAT_ND_NA) {
        said->kind = MAT_LEARN_ANNOUNCE;
    } else if (type == MAT_ND_NS) {
        said->kind = MAT_LEARN_SPEAK;
        set_hoa(said, &src);
        return true;
    } else {
        if (mat_addr_is_host(&src)) {
            said->hoa = src;
        }
        return true;
    }
    if (!get_target(head, icmp, &target)) {
        return false;
    }
    set_hoa(said, &target);
    return said->has_hoa || said->kind == MAT_LEARN_ANNOUNCE;
}
