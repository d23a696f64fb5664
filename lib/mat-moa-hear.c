/* SPDX-License-Identifier: Apache-2.0 */

/* What the stock hears of others on its links. */

#include "mat-moa-impl.h"

#include "mat-learn.h"
#include "mat-nd.h"
#include "mat-reply.h"

enum {
    HEARD_MAX = 512             /* Longer ARP or ND is not of this world. */
};

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
    mat_packet_parse(&p, copy, (uint32_t) size);
    if (p.kind == MAT_PACKET_ARP) {
        if (mat_arp_parse(&p, &arp)) {
            hear_arp(m, now_us, &arp);
        }
    } else if (p.kind == MAT_PACKET_IPV6) {
        if (mat_nd_parse(&p, MAT_CSUM_FULL, &nd)) {
            mac = mat_packet_eth_src(&p);
            hear_nd(m, now_us, &nd, &mac);
        }
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
