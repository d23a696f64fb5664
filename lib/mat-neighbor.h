/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_NEIGHBOR_H
#define MAT_NEIGHBOR_H 1

/* What a host says on a link by itself, in ARP or Neighbor Discovery: probes,
 * announcements, questions.  (Answers are in mat-reply.h and mat-nd.h.)
 *
 * Each builder writes a whole frame from 'mac', without tags, of the family of
 * its addresses, and returns its size. */

#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"

enum {
    MAT_NEIGHBOR_FRAME_MAX = 96 /* The longest, a report, has 90. */
};

/* "Has anybody 'addr'?", without a sender (RFC 5227, RFC 4862). */
size_t mat_neighbor_probe(const struct mat_mac *mac,
                          const struct mat_addr *addr,
                          uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX]);

/* "I have 'addr'", to everybody. */
size_t mat_neighbor_announcement(const struct mat_mac *mac,
                                 const struct mat_addr *addr,
                                 uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX]);

/* "Where is 'target'?", asked by 'src' (which may be 0.0.0.0), so that the
 * target learns where 'src' is.  Only to 'target_mac', unless that is zero. */
size_t mat_neighbor_question(const struct mat_mac *mac,
                             const struct mat_addr *src,
                             const struct mat_addr *target,
                             const struct mat_mac *target_mac,
                             uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX]);

/* "I listen to the group in which others ask for 'addr'", an IPv6 address: a
 * multicast listener report (RFC 3810), without which switches that snoop keep
 * solicitations from this port. */
size_t mat_neighbor_report(const struct mat_mac *mac,
                           const struct mat_addr *addr,
                           uint8_t frame[static MAT_NEIGHBOR_FRAME_MAX]);

#endif /* mat-neighbor.h */
