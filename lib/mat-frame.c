/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-frame.h"

static void fill_ipv4(uint8_t *ip, const struct mat_addr *src,
                      const struct mat_addr *dst, uint8_t proto, uint8_t ttl,
                      size_t l3_size);
static void fill_ipv6(uint8_t *ip, const struct mat_addr *src,
                      const struct mat_addr *dst, uint8_t proto, uint8_t ttl,
                      size_t l3_size);
static uint16_t l4_csum(const uint8_t *ip, uint8_t proto, const uint8_t *l4,
                        size_t size);

uint8_t *
mat_frame_start(const struct mat_packet *request, const struct mat_mac *src,
                const struct mat_mac *dst, size_t l3_size,
                void *buf, size_t cap)
{
    uint8_t *frame = buf;

    if (cap < request->l3_ofs || cap - request->l3_ofs < l3_size) {
        return NULL;
    }
    memcpy(frame, request->data, request->l3_ofs);
    memcpy(frame, dst, sizeof *dst);
    memcpy(frame + sizeof *dst, src, sizeof *src);
    return memset(frame + request->l3_ofs, 0, l3_size);
}

void
mat_frame_ip(uint8_t *ip, const struct mat_addr *src,
             const struct mat_addr *dst, uint8_t proto, uint8_t ttl,
             size_t l3_size)
{
    if (mat_addr_is_v4(src)) {
        fill_ipv4(ip, src, dst, proto, ttl, l3_size);
    } else {
        fill_ipv6(ip, src, dst, proto, ttl, l3_size);
    }
}

void
mat_frame_csum(uint8_t *ip, size_t l3_size)
{
    bool v6 = ip[0] >> 4 == 6;
    uint8_t proto = ip[v6 ? 6 : 9];
    size_t header_len = v6 ? MAT_IPV6_LEN : MAT_IPV4_LEN;
    uint8_t *l4 = ip + header_len;
    uint8_t *field = l4 + (proto == MAT_PROTO_UDP ? 6 : 2);
    uint16_t csum = l4_csum(ip, proto, l4, l3_size - header_len);

    if (!csum && proto == MAT_PROTO_UDP) {
        csum = 0xffff;
    }
    memcpy(field, &csum, sizeof csum);
}

bool
mat_frame_csum_ok(const struct mat_packet *p, enum mat_csum_state state)
{
    const uint8_t *l4 = mat_packet_l4(p);

    return state != MAT_CSUM_FULL
           || !l4_csum(mat_packet_l3(p), p->proto, l4, p->end - p->l4_ofs);
}

static void
fill_ipv4(uint8_t *ip, const struct mat_addr *src, const struct mat_addr *dst,
          uint8_t proto, uint8_t ttl, size_t l3_size)
{
    uint16_t csum;

    ip[0] = 0x45;
    mat_put_be16(ip + 2, (uint16_t) l3_size);
    mat_put_be16(ip + 6, 0x4000);   /* DF, so that an ID of 0 is right. */
    ip[8] = ttl;
    ip[9] = proto;
    memcpy(ip + 12, &src->b[12], 4);
    memcpy(ip + 16, &dst->b[12], 4);
    csum = mat_csum_finish(mat_csum_sum(0, ip, MAT_IPV4_LEN));
    memcpy(ip + 10, &csum, sizeof csum);
}

static void
fill_ipv6(uint8_t *ip, const struct mat_addr *src, const struct mat_addr *dst,
          uint8_t proto, uint8_t ttl, size_t l3_size)
{
    ip[0] = 0x60;
    mat_put_be16(ip + 4, (uint16_t) (l3_size - MAT_IPV6_LEN));
    ip[6] = proto;
    ip[7] = ttl;
    memcpy(ip + 8, src->b, 16);
    memcpy(ip + 24, dst->b, 16);
}

/* The checksum of the message of 'size' bytes at 'l4', whose checksum field is
 * 0; or 0 if that field has the right value. */
static uint16_t
l4_csum(const uint8_t *ip, uint8_t proto, const uint8_t *l4, size_t size)
{
    uint64_t acc = mat_csum_sum(0, l4, size);

    if (ip[0] >> 4 == 6) {
        acc = mat_csum_pseudo_v6(acc, ip + 8, ip + 24, proto, size);
    } else if (proto != MAT_PROTO_ICMP) {
        acc = mat_csum_pseudo_v4(acc, ip + 12, ip + 16, proto, size);
    }
    return mat_csum_finish(acc);
}
