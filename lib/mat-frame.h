/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_FRAME_H
#define MAT_FRAME_H 1

/* Building frames: what the answers of mat-reply, mat-nd and mat-dhcp have in
 * common.  Not for other callers.
 *
 * The size of an answer is known before it is built.  mat_frame_start() checks
 * it against the buffer once and writes the Ethernet header; then the upper
 * layers are filled in, innermost last, and mat_frame_ip() and
 * mat_frame_csum() complete them. */

#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"
#include "mat-csum.h"
#include "mat-packet.h"

enum { MAT_FRAME_TTL = 64 };        /* Of answers that may be routed. */

static inline void
mat_put_be16(void *p_, uint16_t value)
{
    uint8_t *p = p_;

    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}

static inline void
mat_put_be32(void *p, uint32_t value)
{
    mat_put_be16(p, (uint16_t) (value >> 16));
    mat_put_be16((uint8_t *) p + 2, (uint16_t) value);
}

/* Starts a frame with room for 'l3_size' bytes after the Ethernet header, as
 * an answer to 'request' with its EtherType and tags.  Returns a pointer to
 * these bytes, all zero, or null if they do not fit in 'cap'. */
uint8_t *mat_frame_start(const struct mat_packet *request,
                         const struct mat_mac *src, const struct mat_mac *dst,
                         size_t l3_size, void *buf, size_t cap);

/* Fills in the IP header at 'ip', of the family of 'src', of a packet of
 * 'l3_size' bytes.  Its own checksum is right then. */
void mat_frame_ip(uint8_t *ip, const struct mat_addr *src,
                  const struct mat_addr *dst, uint8_t proto, uint8_t ttl,
                  size_t l3_size);

/* Fills in the checksum of the UDP, ICMP or ICMPv6 message that follows the
 * IP header (without options) at 'ip', and is all there but for that. */
void mat_frame_csum(uint8_t *ip, size_t l3_size);

/* True if the checksum of the ICMP or ICMPv6 message in 'p', no fragment, is
 * right or somebody else's business. */
bool mat_frame_csum_ok(const struct mat_packet *p, enum mat_csum_state state);

#endif /* mat-frame.h */
