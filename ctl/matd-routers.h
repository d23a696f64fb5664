/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_ROUTERS_H
#define MATD_ROUTERS_H 1

/* The default routers of one device, and the prefixes that they advertise.
 *
 * Threads: one. */

#include "mat-moa.h"

struct matd_netlink;

struct matd_routers {
    size_t n_routers[2];        /* [0] IPv4, [1] IPv6. */
    struct mat_addr routers[2][MAT_MOA_ROUTERS_MAX];
    size_t n_advertised;
    struct mat_moa_prefix advertised[MAT_MOA_ADVERTISED_MAX];
    size_t n_preferred;
    struct mat_moa_prefix preferred[MAT_MOA_SUBNETS_MAX];
    int ifindex;                /* Of the device. */
};

/* True if a route that has changed makes it necessary to read them again. */
bool matd_routers_concerns(const struct matd_netlink *route);

/* Reads the kernel's routes by device 'ifindex'.  Returns 0 or errno. */
int matd_routers_read(struct matd_routers *, int ifindex);

/* Notes an advertised prefix from an address that the kernel made of it: of
 * such a prefix there is no other sign. */
void matd_routers_add_prefix(struct matd_routers *, const struct mat_addr *,
                             unsigned int plen);

/* Routers in these networks are to be preferred.  True if that is new. */
bool matd_routers_prefer(struct matd_routers *, const struct mat_moa_prefix *,
                         size_t n);

bool matd_routers_is_preferred(const struct matd_routers *,
                               const struct mat_addr *);

/* The router to take where the kernel would take 'hop': another one if that is
 * a default router, but not a preferred one. */
struct mat_addr matd_routers_better(const struct matd_routers *,
                                    const struct mat_addr *hop);

/* The default router, a preferred one if there is, IPv4 before IPv6.  Null if
 * there is none. */
const struct mat_addr *matd_routers_default(const struct matd_routers *);

#endif /* matd-routers.h */
