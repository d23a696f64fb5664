/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_FLOWS_H
#define MATD_FLOWS_H 1

/* The agent's OpenFlow flows in the bridge, and their upkeep.
 *
 *     in_port=VM      actions=mat(out,zone=N),output:UPLINK
 *     in_port=UPLINK  actions=mat(in),LOCAL
 *     in_port=LOCAL   actions=output:UPLINK
 *
 * or, in a bridge that also switches for others ('normal' below),
 *
 *     in_port=UPLINK  actions=mat(in),NORMAL
 *
 * and none for LOCAL; and what NORMAL floods is kept from the VMs, who would
 * otherwise hear router advertisements of the underlay.
 *
 * All are in table 0 with MATD_FLOWS_PRIORITY and MATD_FLOWS_COOKIE, by which
 * they are known to be ours: what has the cookie and should not be there is
 * removed, whoever put it there; what has another cookie is never touched, and
 * if it has the place of one of ours that is a problem to be told.
 *
 * A flow monitor of the bridge tells of every change, so a flow that somebody
 * deletes is back at once (but not more often than a few times a second: the
 * problem is told then).
 *
 * When the bridge changes, the flows in the old one are removed; when this is
 * destroyed they stay.  Threads: one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"
#include "openvswitch/types.h"

enum {
    MATD_FLOWS_COOKIE = 0x6d617400,
    MATD_FLOWS_PRIORITY = 1000,     /* Room above and below for others'... */
    MATD_FLOWS_SOURCE = 1001,       /* ...and of those for the host's traffic
                                     * by other uplinks. */
    MATD_FLOWS_LINKS_MAX = 8        /* Of a bond. */
};

struct matd_flows;

struct matd_flows *matd_flows_create(void);
void matd_flows_destroy(struct matd_flows *);

/* An uplink: one port, or the members of a bond.  VMs are spread over the
 * first 'n_spread' links; the host's own traffic goes by the first. */
struct matd_flows_uplink {
    size_t n_links, n_spread;
    ofp_port_t links[MATD_FLOWS_LINKS_MAX];
};

/* Which flows should be.  To be called whenever something of that may have
 * changed: begin, then the rest in any order, then end.  The uplink named
 * first is the one by which packets leave.
 *
 * 'bridge' is the name of the bridge, or null for none.  With 'install' false
 * there should be no flows: those of ours are removed. */
void matd_flows_begin(struct matd_flows *, const char *bridge, bool install,
                      bool normal);
void matd_flows_add_uplink(struct matd_flows *,
                           const struct matd_flows_uplink *);
void matd_flows_add_vm(struct matd_flows *, ofp_port_t, uint32_t zone,
                       const struct mat_mac *device);
/* What the host itself sends from a network, or to a router, leaves by this
 * link. */
void matd_flows_add_source(struct matd_flows *, const struct mat_addr *prefix,
                           unsigned int plen, ofp_port_t link);
void matd_flows_add_router(struct matd_flows *, const struct mat_mac *,
                           ofp_port_t link);
void matd_flows_end(struct matd_flows *);

/* Try to connect at once: the switch is back. */
void matd_flows_hurry(struct matd_flows *);

void matd_flows_run(struct matd_flows *);
void matd_flows_wait(struct matd_flows *);

struct matd_flows_status {
    const char *bridge;         /* Null: none. */
    bool is_connected;
    bool is_good;               /* Just the flows that should be are there. */
    size_t n_wanted, n_installed;
    uint64_t n_repaired, n_removed;     /* Deleted by others; left over. */
    const char *problem;        /* Or null. */
};

void matd_flows_get_status(const struct matd_flows *,
                           struct matd_flows_status *);

#endif /* matd-flows.h */
