/* SPDX-License-Identifier: Apache-2.0 */
#include "golden.h"

#include <string.h>

#include "mat-dhcp.h"
#include "mat-nd.h"
#include "mat-packet.h"
#include "mat-reply.h"

static const struct mat_mac mac = MAT_GATEWAY_MAC;

static size_t answer_dhcp(const struct mat_packet *, uint8_t *, size_t cap);
static size_t answer_nd(const struct mat_packet *, uint8_t *, size_t cap);
static size_t answer_error(const struct mat_packet *, uint8_t *, size_t cap);

void
golden_map(uint8_t b[16], bool v6)
{
    if (v6) {
        b[4] = 0xff;
    } else {
        uint8_t site = b[1], host = b[3];

        b[0] = 172;
        b[1] = 16;
        b[2] = site;
        b[3] = host;
    }
}

size_t
golden_answer(uint8_t *frame, uint32_t size, uint8_t *buf, size_t cap)
{
    struct mat_packet p;
    struct mat_arp arp;

    mat_packet_parse(&p, frame, size);
    if (mat_arp_parse(&p, &arp)) {
        return mat_reply_arp(&p, &arp, &mac, buf, cap);
    } else if (mat_packet_is_nd(&p)) {
        return answer_nd(&p, buf, cap);
    } else if (mat_packet_is_dhcp(&p) || mat_packet_is_dhcp6(&p)) {
        return answer_dhcp(&p, buf, cap);
    } else if (mat_packet_ttl(&p) > 1 && mat_packet_is_echo_request(&p)) {
        return mat_reply_echo(&p, MAT_CSUM_FULL, &mac, buf, cap);
    }
    return answer_error(&p, buf, cap);
}

static size_t
answer_nd(const struct mat_packet *p, uint8_t *buf, size_t cap)
{
    struct mat_ra ra = { .mac = mac, .plen = 64, .mtu = 1400 };
    struct mat_nd nd;

    if (!mat_nd_parse(p, MAT_CSUM_FULL, &nd)
        || !mat_addr_parse("2001:db8:1::", &ra.prefix)) {
        return 0;
    }
    return (nd.type == MAT_ND_RS ? mat_reply_ra(p, &nd, &ra, buf, cap)
            : mat_reply_na(p, &nd, &mac, MAT_NA_OVERRIDE, buf, cap));
}

static size_t
answer_dhcp(const struct mat_packet *p, uint8_t *buf, size_t cap)
{
    bool v6 = p->kind == MAT_PACKET_IPV6;
    struct mat_dhcp_offer offer = {
        .plen = 24, .mac = mac, .mtu = 1400, .n_dns = 1
    };
    struct mat_dhcp6 dhcp6;
    struct mat_dhcp dhcp;

    mat_addr_parse(v6 ? "2001:db8:1::5" : "10.1.0.5", &offer.addr);
    mat_addr_parse("10.1.0.254", &offer.gateway);
    mat_addr_parse(v6 ? "2001:db8:1::53" : "10.1.0.53", &offer.dns[0]);
    if (mat_dhcp_parse(p, &dhcp)) {
        return mat_reply_dhcp(p, &dhcp, &offer, buf, cap);
    } else if (mat_dhcp6_parse(p, &dhcp6)) {
        return mat_reply_dhcp6(p, &dhcp6, &offer, buf, cap);
    }
    return 0;
}

static size_t
answer_error(const struct mat_packet *p, uint8_t *buf, size_t cap)
{
    struct mat_error e = {
        .kind = (mat_packet_ttl(p) <= 1 ? MAT_ERROR_TTL
                 : mat_packet_ip_size(p) > 1400 ? MAT_ERROR_TOO_BIG
                 : MAT_ERROR_UNREACHABLE),
        .mtu = 1400,
        .mac = mac
    };

    mat_addr_parse(p->kind == MAT_PACKET_IPV6 ? "2001:db8:1::fe"
                   : "10.1.0.254", &e.src);
    return mat_reply_error(p, &e, buf, cap);
}
