/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-csum.h"

#include <arpa/inet.h>

/* A 64-bit accumulator has room for 2**32 words of 32 bits, more than any
 * packet has, so no carry is lost. */
uint64_t
mat_csum_sum(uint64_t acc, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t word;

    for (; size >= sizeof word; size -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        acc += word;
    }
    word = 0;
    memcpy(&word, p, size);     /* An odd end is padded with zeros. */
    return acc + word;
}

uint64_t
mat_csum_pseudo_v4(uint64_t acc, const void *src, const void *dst,
                   uint8_t proto, size_t size)
{
    acc = mat_csum_sum(acc, src, 4);
    acc = mat_csum_sum(acc, dst, 4);
    return acc + htonl((uint32_t) size) + htonl(proto);
}

uint64_t
mat_csum_pseudo_v6(uint64_t acc, const void *src, const void *dst,
                   uint8_t proto, size_t size)
{
    acc = mat_csum_sum(acc, src, 16);
    acc = mat_csum_sum(acc, dst, 16);
    return acc + htonl((uint32_t) size) + htonl(proto);
}
