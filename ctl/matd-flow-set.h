/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_FLOW_SET_H
#define MATD_FLOW_SET_H 1

/* Sets of OpenFlow flows of one table, by match and priority: between
 * matd-flows.c and itself.
 *
 * Threads: one. */

#include "mat-addr.h"
#include "openvswitch/hmap.h"
#include "openvswitch/match.h"
#include "openvswitch/ofpbuf.h"

struct ofpact;

struct matd_flow {
    struct hmap_node node;      /* In 'wanted' or 'present'. */
    struct match match;
    int priority;
    ovs_be64 cookie;
    struct ofpbuf ofpacts;

    /* Of 'wanted'. */
    int64_t sent_ms;            /* 0: not sent since it was missed. */
    int64_t window_ms;          /* Repairs are counted since... */
    unsigned int n_repairs;
};

/* Null if it is not there. */
struct matd_flow *matd_flow_find(const struct hmap *, const struct match *,
                                 int priority);

/* Instead of the one there is, if any. */
struct matd_flow *matd_flow_put(struct hmap *, const struct match *,
                                int priority, ovs_be64 cookie,
                                const struct ofpact *, size_t ofpacts_len);
void matd_flow_remove(struct hmap *, struct matd_flow *);
void matd_flow_clear(struct hmap *);

/* What the host itself sends from or in a network, or to a router, leaves by
 * 'link'. */
void matd_flow_put_source(struct hmap *, const struct mat_addr *prefix,
                          unsigned int plen, ofp_port_t link);
void matd_flow_put_router(struct hmap *, const struct mat_mac *,
                          ofp_port_t link);

bool matd_flow_same_actions(const struct matd_flow *,
                            const struct matd_flow *);

#endif /* matd-flow-set.h */
