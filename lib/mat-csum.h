/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_CSUM_H
#define MAT_CSUM_H 1

/* Internet checksums: incremental updates for the data path (RFC 1624), and
 * whole sums for packets that we build or verify.
 *
 * The sum of RFC 1071 does not depend on byte order, so all words here are
 * used as they lie in memory: nothing is ever byte-swapped.
 *
 * Changing addresses in a packet costs one accumulator for everything that
 * changes, one fold, and one short apply for each checksum field that covers
 * the change:
 *
 *     uint64_t acc = 0;
 *
 *     acc = mat_csum_add32(acc, old_src, new_src);
 *     acc = mat_csum_add32(acc, old_dst, new_dst);
 *     delta = mat_csum_fold(acc);
 *     ip_csum = mat_csum_apply(ip_csum, delta);
 *     tcp_csum = mat_csum_apply(tcp_csum, delta);
 *
 * A delta is the difference itself, so a checksum that was wrong stays wrong
 * by the same amount.  Equation 3 of RFC 1624 never makes the 0xffff form out
 * of a checksum computed by RFC 1071, so the result equals a full
 * recomputation bit for bit.
 *
 * The 64-bit accumulator takes any number of 32-bit words that fits in a
 * packet without overflow; 64-bit words are added with end-around carry. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A checksum field in the packet, with regard to offloading:
 *
 *   - full: the complement of the sum over header, data and pseudo header.
 *   - partial: only the pseudo header's sum, not complemented; the device or
 *     the receiver adds the rest.
 *   - skip: the field means nothing, somebody else fills all of it. */
enum mat_csum_state {
    MAT_CSUM_FULL,
    MAT_CSUM_PARTIAL,
    MAT_CSUM_SKIP
};

/* Adding a change of a field from 'old' to 'new' to an accumulator, which
 * starts as 0.  The field must lie at an even offset of what is summed. */
static inline uint64_t
mat_csum_add16(uint64_t acc, uint16_t old, uint16_t new)
{
    return acc + (uint16_t) ~old + new;
}

static inline uint64_t
mat_csum_add32(uint64_t acc, uint32_t old, uint32_t new)
{
    return acc + (uint32_t) ~old + new;
}

static inline uint64_t
mat_csum_add64(uint64_t acc, uint64_t old, uint64_t new)
{
    acc += ~old;
    acc += acc < ~old;
    acc += new;
    acc += acc < new;
    return acc;
}

/* The same for a 16-byte address in memory. */
static inline uint64_t
mat_csum_add128(uint64_t acc, const void *old_, const void *new_)
{
    uint64_t old[2], new[2];

    memcpy(old, old_, sizeof old);
    memcpy(new, new_, sizeof new);
    return mat_csum_add64(mat_csum_add64(acc, old[0], new[0]),
                          old[1], new[1]);
}

/* Folds an accumulator to 16 bits.  Adding a word to itself with its halves
 * swapped leaves the sum of the halves, carry included, in the upper one. */
static inline uint16_t
mat_csum_fold(uint64_t acc)
{
    uint32_t word;

    acc += acc << 32 | acc >> 32;
    word = (uint32_t) (acc >> 32);
    word += word << 16 | word >> 16;
    return (uint16_t) (word >> 16);
}

/* Applying a folded 'delta' to the value of a checksum field. */

/* A partial checksum: the sum of a pseudo header, not complemented. */
static inline uint16_t
mat_csum_apply_partial(uint16_t sum, uint16_t delta)
{
    uint32_t word = (uint32_t) sum + delta;

    return (uint16_t) (word + (word >> 16));
}

/* A full checksum.  To add to a complement is to subtract: on a borrow the
 * upper half is all ones, and adding it takes the end-around one. */
static inline uint16_t
mat_csum_apply(uint16_t csum, uint16_t delta)
{
    uint32_t word = (uint32_t) csum - delta;

    return (uint16_t) (word + (word >> 16));
}

/* UDP and UDP-Lite, where 0 says that there is no checksum (or, in UDP-Lite,
 * a wrong one) and a sum of 0 is sent as 0xffff. */
static inline uint16_t
mat_csum_apply_udp(uint16_t csum, uint16_t delta)
{
    uint16_t result = mat_csum_apply(csum, delta);

    return csum ? (result ? result : 0xffff) : 0;
}

/* Whole sums, for packets built here and for verification. */

/* Adds 'size' bytes at 'data' to 'acc'.  Only the last piece of what is summed
 * may have an odd size. */
uint64_t mat_csum_sum(uint64_t acc, const void *data, size_t size);

/* Adds the pseudo header of IPv4 or IPv6 for an upper layer packet of 'size'
 * bytes.  'src' and 'dst' point to the addresses in the IP header. */
uint64_t mat_csum_pseudo_v4(uint64_t acc, const void *src, const void *dst,
                            uint8_t proto, size_t size);
uint64_t mat_csum_pseudo_v6(uint64_t acc, const void *src, const void *dst,
                            uint8_t proto, size_t size);

/* The value of a checksum field over what was summed with the field as 0.
 * Over data with the right checksum in place, the result is 0. */
static inline uint16_t
mat_csum_finish(uint64_t acc)
{
    return (uint16_t) ~mat_csum_fold(acc);
}

#endif /* mat-csum.h */
