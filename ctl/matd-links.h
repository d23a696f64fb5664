/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_LINKS_H
#define MATD_LINKS_H 1

/* Bonds: many ports for the switch, one uplink for the agent.
 *
 * The datapath knows the members of a bond, not the bond.  The agent knows the
 * uplink by the one name that the operator gave.  In between, operations on an
 * uplink are made operations on its members, and what the switch says of a
 * member is said of the uplink.  An uplink that is a port of its own passes
 * unchanged.
 *
 * Threads: one. */

#include "matd-config.h"
#include "mat-event.h"
#include "mat-update.h"

struct matd_switch;

struct matd_bond {
    char name[MAT_PORT_NAME_SIZE];
    size_t n;
    char links[MATD_LINKS_MAX][MAT_PORT_NAME_SIZE];     /* First: to send. */
    uint32_t odp_ports[MATD_LINKS_MAX]; /* Of the datapath. */
    bool is_told;               /* In the dump that is under way. */
    bool is_put;                /* The agent has put it into the table... */
    struct mat_op put;          /* ...by this. */
};

struct matd_links {
    size_t n;
    struct matd_bond bonds[MAT_AGENT_UPLINKS_MAX];
};

/* The uplinks are now these.  Members that have come or gone are put into or
 * removed from the switch's table. */
void matd_links_set(struct matd_links *, const struct matd_config *,
                    struct matd_switch *);

/* Does 'op' of the agent. */
void matd_links_put(struct matd_links *, struct matd_switch *,
                    uint64_t sequence, const struct mat_op *op);

/* Makes '*event', or '*op', which is a dumped port, one of the agent's
 * uplinks.  False if it does not concern the agent.  A dump ends with null. */
bool matd_links_event(struct matd_links *, struct mat_event *event);
bool matd_links_port(struct matd_links *, struct mat_op *op);

#endif /* matd-links.h */
