/* SPDX-License-Identifier: Apache-2.0 */

/* Takes any bytes for a frame from a guest and asks for every answer to it:
 * ARP, ND, echo, DHCP, errors.
 *
 * Each answer must fit exactly where it says, and no less; keep the tags of
 * the request; be well-formed by our own parser; and have right checksums. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mat-csum.h"
#include "mat-dhcp.h"
#include "mat-nd.h"
#include "mat-packet.h"
#include "mat-reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mat_mac mac = MAT_GATEWAY_MAC;

/* What a builder needs besides its request. */
struct request {
    struct mat_packet p;
    enum mat_csum_state state;
    struct mat_arp arp;
    struct mat_nd nd;
    struct mat_dhcp dhcp;
    struct mat_dhcp6 dhcp6;
    struct mat_ra ra;
    struct mat_dhcp_offer offer;
    struct mat_error error;
};

typedef size_t builder(const struct request *, void *buf, size_t cap);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static size_t
build_arp(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_arp(&r->p, &r->arp, &mac, buf, cap);
}

static size_t
build_na(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_na(&r->p, &r->nd, &mac, MAT_NA_ROUTER, buf, cap);
}

static size_t
build_ra(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_ra(&r->p, &r->nd, &r->ra, buf, cap);
}

static size_t
build_echo(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_echo(&r->p, r->state, &mac, buf, cap);
}

static size_t
build_dhcp(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_dhcp(&r->p, &r->dhcp, &r->offer, buf, cap);
}

static size_t
build_dhcp6(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_dhcp6(&r->p, &r->dhcp6, &r->offer, buf, cap);
}

static size_t
build_error(const struct request *r, void *buf, size_t cap)
{
    return mat_reply_error(&r->p, &r->error, buf, cap);
}

static void
check_csums(const struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p), *l4 = mat_packet_l4(p);
    size_t size = p->end - p->l4_ofs;
    uint64_t acc = mat_csum_sum(0, l4, size);

    require(mat_packet_has_l4(p));
    if (p->kind == MAT_PACKET_IPV6) {
        acc = mat_csum_pseudo_v6(acc, ip + 8, ip + 24, p->proto, size);
    } else {
        require(!mat_csum_finish(mat_csum_sum(0, ip, MAT_IPV4_LEN)));
        if (p->proto == MAT_PROTO_UDP) {
            acc = mat_csum_pseudo_v4(acc, ip + 12, ip + 16, p->proto, size);
        }
    }
    require(!mat_csum_finish(acc));
}

/* Builds with plenty of room, with just enough and with one byte less. */
static void
check(const struct request *r, builder *build)
{
    size_t cap = r->p.size + (size_t) MAT_REPLY_MAX;
    uint8_t *roomy = malloc(cap), *tight;
    struct mat_packet answer;
    size_t size;

    require(roomy != NULL);
    size = build(r, roomy, cap);
    if (size) {
        tight = malloc(size);
        require(tight != NULL);
        require(build == build_echo || size <= MAT_REPLY_MAX);
        require(!build(r, tight, size - 1));
        require(build(r, tight, size) == size);
        require(!memcmp(tight, roomy, size));

        mat_packet_parse(&answer, tight, (uint32_t) size);
        require(answer.kind == r->p.kind);
        require(answer.end == size);
        require(answer.l3_ofs == r->p.l3_ofs);
        require(!memcmp(tight + 12, r->p.data + 12, answer.l3_ofs - 12u));
        if (mat_packet_is_ip(&answer)) {
            check_csums(&answer);
        }
        free(tight);
    }
    free(roomy);
}

static void
check_all(struct request *r)
{
    if (mat_arp_parse(&r->p, &r->arp)) {
        mat_arp_is_probe(&r->arp);
        mat_arp_is_gratuitous(&r->arp);
        check(r, build_arp);
    }
    if (mat_nd_parse(&r->p, r->state, &r->nd)) {
        require(mat_packet_is_nd(&r->p));
        check(r, build_na);
        check(r, build_ra);
    }
    if (mat_dhcp_parse(&r->p, &r->dhcp)) {
        require(mat_packet_is_dhcp(&r->p));
        check(r, build_dhcp);
    }
    if (mat_dhcp6_parse(&r->p, &r->dhcp6)) {
        require(mat_packet_is_dhcp6(&r->p));
        check(r, build_dhcp6);
    }
    check(r, build_echo);
    for (int kind = MAT_ERROR_TTL; kind <= MAT_ERROR_PROHIBITED; kind++) {
        r->error.kind = kind;
        check(r, build_error);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t v4[4] = { 10, 0, 0, 5 };
    static const uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 5 };
    struct request r = {
        .ra = { .mac = mac, .plen = 64, .mtu = 1400 },
        .offer = { .plen = 24, .mac = mac, .mtu = 1400, .n_dns = 1 },
        .error = { .mtu = 1400, .mac = mac }
    };
    uint8_t *frame;

    if (!size || size > UINT16_MAX) {
        return 0;
    }
    frame = malloc(size - 1 ? size - 1 : 1);
    require(frame != NULL);
    memcpy(frame, data + 1, size - 1);
    mat_packet_parse(&r.p, frame, (uint32_t) size - 1);
    r.state = data[0] % 3;
    r.ra.prefix = mat_addr_from_v6(v6);
    r.offer.gateway = mat_addr_from_v4(v4);
    r.offer.addr = r.error.src = r.offer.dns[0]
        = (r.p.kind == MAT_PACKET_IPV6 ? mat_addr_from_v6(v6)
           : mat_addr_from_v4(v4));
    check_all(&r);
    free(frame);
    return 0;
}
