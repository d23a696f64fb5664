/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_COMPAT_H
#define MATX_COMPAT_H 1

/* What differs between the versions of Open vSwitch, in one place.
 *
 * Checksums of a packet
 * ---------------------
 *
 * 3.1 knows one kind of deferred checksum: with userspace TSO on, a flag says
 * that the TCP or UDP checksum is partial, and a device or the receiver
 * completes it.  Some devices use the pseudo header's sum in the packet, so it
 * has to be kept right.
 *
 * Later versions also set that flag, and one of its kind for the IPv4 header,
 * on packets whose checksum the receiving device found good.  That permits to
 * break a checksum and clear "good": it is then computed when the packet is
 * sent.  We keep good ones good, as the difference costs us nothing, and leave
 * alone those that another action has broken already.  A partial checksum
 * shows as "good" and "bad" at once, or, before the packet's headers have been
 * parsed, as the offsets that came with it.
 *
 * The macro tested below exists from 3.4 on, where tunnels got checksum flags
 * of their own; the functions used exist until 3.5. */

#include <stdbool.h>

#include "dp-packet.h"
#include "flow.h"
#include "mat-csum.h"

#ifdef DP_PACKET_OL_TX_ANY_CKSUM

static inline enum mat_csum_state
matx_l3_csum_state(const struct dp_packet *p)
{
    return (dp_packet_hwol_tx_ip_csum(p) && !dp_packet_ip_checksum_good(p)
            ? MAT_CSUM_SKIP : MAT_CSUM_FULL);
}

static inline enum mat_csum_state
matx_l4_csum_state(const struct dp_packet *p)
{
    if (dp_packet_ol_l4_csum_partial(p)
        || (p->csum_start && p->csum_offset)) {
        return MAT_CSUM_PARTIAL;
    }
    return (dp_packet_hwol_tx_l4_checksum(p) && !dp_packet_l4_checksum_good(p)
            ? MAT_CSUM_SKIP : MAT_CSUM_FULL);
}

/* Forgets all that is known of the checksums of 'p', whose contents have been
 * replaced by something with full ones. */
static inline void
matx_csum_forget(struct dp_packet *p)
{
    dp_packet_reset_offload(p);
    p->csum_start = 0;
    p->csum_offset = 0;
}

/* Makes a packet of 'flow' with a payload of 'size' bytes. */
static inline void
matx_flow_compose(struct dp_packet *p, const struct flow *flow, size_t size)
{
    flow_compose(p, flow, NULL, size, false);
}

#else  /* 3.1 */

static inline enum mat_csum_state
matx_l3_csum_state(const struct dp_packet *p OVS_UNUSED)
{
    return MAT_CSUM_FULL;
}

static inline enum mat_csum_state
matx_l4_csum_state(const struct dp_packet *p)
{
    return (dp_packet_hwol_tx_l4_checksum(p)
            ? MAT_CSUM_PARTIAL : MAT_CSUM_FULL);
}

/* Forgets all that is known of the checksums of 'p', whose contents have been
 * replaced by something with full ones. */
static inline void
matx_csum_forget(struct dp_packet *p)
{
    dp_packet_reset_offload(p);
}

/* Makes a packet of 'flow' with a payload of 'size' bytes. */
static inline void
matx_flow_compose(struct dp_packet *p, const struct flow *flow, size_t size)
{
    flow_compose(p, flow, NULL, size);
}

#endif

#endif /* matx-compat.h */
