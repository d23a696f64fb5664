/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_NEIGHBOURS_H
#define MATD_NEIGHBOURS_H 1

/* The neighbours of one device, as the kernel knows them, and the probing of
 * those in use: whenever the kernel is in doubt about one, it is made to ask.
 * One that does not answer is asked again at growing intervals.
 *
 * Threads: one. */

#include "mat-addr.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"

struct matd_netlink;

struct matd_neighbour {
    struct hmap_node node;      /* In 'all'. */
    struct mat_addr addr;
    struct mat_mac mac;         /* If 'is_valid'. */
    bool is_valid, is_stale, is_failed;

    /* Of the user, who calls matd_neighbours_update() after a change. */
    struct ovs_list users;      /* In use while there are any... */
    bool is_pinned;             /* ...or this is true. */

    struct ovs_list doubt;      /* In 'doubtful', or empty. */
    int64_t probe_ms;           /* When next. */
    int gap_ms;
};

struct matd_neighbours {
    struct hmap all;
    struct ovs_list doubtful;
    uint64_t n_probes;
};

void matd_neighbours_init(struct matd_neighbours *);
void matd_neighbours_destroy(struct matd_neighbours *);

/* Null if nothing is known of it; get: makes it then. */
struct matd_neighbour *matd_neighbours_find(const struct matd_neighbours *,
                                            const struct mat_addr *);
struct matd_neighbour *matd_neighbours_get(struct matd_neighbours *,
                                           const struct mat_addr *);

bool matd_neighbour_is_used(const struct matd_neighbour *);

/* Takes what the kernel says.  Null if the neighbour is neither in use nor
 * known any more. */
struct matd_neighbour *matd_neighbours_set(struct matd_neighbours *,
                                           const struct matd_netlink *);

/* Forgets what the kernel has said, for it will say it again; then, when it
 * has, all are to be updated. */
void matd_neighbours_forget(struct matd_neighbours *);
void matd_neighbours_update_all(struct matd_neighbours *);
void matd_neighbours_update(struct matd_neighbours *, struct matd_neighbour *);

/* Probes those that are due.  Returns 0, or errno if the kernel refuses. */
int matd_neighbours_probe(struct matd_neighbours *, int ifindex);

/* Probes all that are in doubt at once: they may be reached another way. */
void matd_neighbours_hurry(struct matd_neighbours *);
void matd_neighbours_wait(const struct matd_neighbours *);

size_t matd_neighbours_n_used(const struct matd_neighbours *);

#endif /* matd-neighbours.h */
