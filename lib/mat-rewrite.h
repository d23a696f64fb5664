/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_REWRITE_H
#define MAT_REWRITE_H 1

/* Rewriting addresses in a parsed packet, in place, checksums included.
 *
 * All checksums are updated by the difference (RFC 1624): right ones stay
 * right, wrong ones stay wrong by the same amount, partial ones stay partial,
 * a UDP checksum of 0 stays 0.  Later fragments have no upper layer to edit,
 * and SCTP, ESP and the like have no address in their checksum.  With a source
 * route that still has hops, the pseudo header holds the final destination and
 * not the one in the IP header, so a new destination does not touch it.
 *
 * The packet that an ICMP error quotes gets new addresses too, and with them
 * its checksums as far as they were quoted; the error's own checksum then
 * covers other bytes and follows.
 *
 * Everything is validated before the first byte changes: a call rewrites all
 * or nothing.
 *
 * What is not done: the Home Address option of Mobile IPv6, whose address
 * replaces the source in the pseudo header (RFC 6275); addresses inside of
 * payloads. */

#include <stdbool.h>
#include <stdint.h>

#include "mat-addr.h"
#include "mat-csum.h"
#include "mat-packet.h"

/* What to change.  A null address stays as it is. */
struct mat_rewrite {
    const struct mat_addr *src, *dst;
    const struct mat_addr *quoted_src, *quoted_dst; /* In an ICMP error. */
    enum mat_csum_state l3_csum;    /* IPv4 header: PARTIAL is like SKIP. */
    enum mat_csum_state l4_csum;    /* Of the packet; a quote's is full. */
};

/* Rewrites 'p'.  'quote' is from mat_packet_quote() on 'p' and needed only
 * with quoted addresses.  Returns false, with the frame unchanged, if 'p' is
 * no IP packet, a new address is of the other family, or there are quoted
 * addresses but no quote. */
bool mat_rewrite(const struct mat_packet *p, const struct mat_packet *quote,
                 const struct mat_rewrite *);

/* Takes one from the TTL or hop limit.  Returns false, with the packet
 * unchanged, if that would make it 0. */
bool mat_rewrite_dec_ttl(const struct mat_packet *p,
                         enum mat_csum_state l3_csum);

void mat_rewrite_macs(const struct mat_packet *p, const struct mat_mac *src,
                      const struct mat_mac *dst);

#endif /* mat-rewrite.h */
