/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_SWITCH_INTERNAL_H
#define MAT_SWITCH_INTERNAL_H 1

/* What the parts of the switch share: mat-switch.c has the batch,
 * mat-switch-fast.c its fast path, mat-switch-ip.c every IP packet that the
 * fast path leaves over, and mat-switch-link.c ARP, ND and DHCP. */

#include "mat-nd.h"
#include "mat-packet.h"
#include "mat-reply.h"
#include "mat-switch.h"
#include "mat-table-read.h"

enum {
    MAT_ECHO_MAX = 9600         /* Pings of the gateway: any jumbo frame. */
};

/* One frame off the fast path. */
struct mat_work {
    const struct mat_switch_call *call;
    struct mat_frame *frame;
    size_t index;               /* Of 'frame' in the batch. */
    const struct mat_port_view *port;   /* Where it came in. */
    uint32_t zone;              /* Of the action; for in, 0. */
    struct mat_packet packet;
};

/* A mapping as found, with its value as an address. */
struct mat_found {
    struct mat_map_hit hit;
    enum mat_state state;
    struct mat_addr value;
    uint32_t zone;
    bool has_port;
    bool hold;
    struct mat_mac mac;
};

/* Looks up a HoA of 'zone' or a MoA. */
bool mat_find_hoa(const struct mat_work *, uint32_t zone,
                  const struct mat_addr *hoa, bool mark, struct mat_found *);
bool mat_find_moa(const struct mat_work *, const struct mat_addr *moa,
                  bool mark, struct mat_found *);

/* What the fast path has done, to be counted at the end. */
struct mat_tally {
    size_t n;                   /* Frames. */
    size_t local;               /* Those out to VMNs of this host. */
    uint32_t ports_or, ports_and;       /* Of ports delivered to: the same
                                         * if there is only one. */
};

/* Does all that the fast path can with frames from a port that suits, and
 * returns the set of the others, a bit for each. */
uint64_t mat_switch_fast(const struct mat_switch_call *, struct mat_frame *,
                         size_t n, struct mat_tally *);

/* The verdict on a frame, and what goes with it. */
void mat_judge(struct mat_work *, enum mat_verdict);
void mat_judge_deliver(struct mat_work *, enum mat_verdict,
                       uint32_t odp_port);

/* Holds the frame, or gives it 'otherwise' if that cannot be. */
void mat_judge_hold(struct mat_work *, enum mat_hold_kind, uint32_t zone,
                    const struct mat_addr *, enum mat_verdict otherwise);

/* Tells the agent, unless there were too many. */
void mat_tell(struct mat_work *, enum mat_event_type, uint32_t zone,
              const struct mat_addr *);

/* Sends an ICMP error about the frame to where it came from, unless there
 * were too many; in any case the frame gets 'verdict'. */
void mat_judge_error(struct mat_work *, enum mat_verdict,
                     const struct mat_error *);

/* Sends a frame to the port where this one came in. */
void mat_send_back(struct mat_work *, const void *frame, size_t size);

/* The frame, whatever it is.  mat-switch-ip.c. */
void mat_switch_out_ip(struct mat_work *);
void mat_switch_in_ip(struct mat_work *);

/* Frames of the link, true if it was one.  mat-switch-link.c. */
bool mat_switch_out_link(struct mat_work *);
bool mat_switch_in_link(struct mat_work *);

/* The first subnet of 'zone' of the family of 'like' that has a gateway; if
 * 'like' is in one with a gateway, that one.  Null if there is none. */
const struct mat_subnet *mat_gateway_subnet(const struct mat_work *,
                                            uint32_t zone,
                                            const struct mat_addr *like);

#endif /* mat-switch-internal.h */
