/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_ROUTES_H
#define MATD_ROUTES_H 1

/* Next hops: the host's routes and neighbours, for the switch to use.
 *
 * The host's own address is on the bridge's own port (LOCAL), so the kernel's
 * routes and neighbours of that device tell where packets to a peer go by the
 * uplink.  But the kernel sees none of the switch's traffic: it would let the
 * neighbours expire.  So each that is in use is probed again when the kernel
 * begins to doubt it.
 *
 * Everything follows the kernel's notifications; nothing is polled but
 * neighbours that do not answer, which are asked again now and then.
 *
 * If an address is on the link and does not answer by itself, the MAC of
 * 'via', the peer's own address, is used.  If the kernel would take another
 * device than the bridge's, the way by the bridge's is asked for.
 *
 * Handlers are called from matd_routes_run() only.  Threads: one. */

#include "mat-agent.h"

struct matd_routes;

struct matd_routes_handler {
    /* An answer to matd_routes_want(), again when it changes; null: none. */
    void (*route)(void *aux, uint16_t id, const struct mat_agent_route *);

    /* Addresses, routers or the MTU of the device have changed. */
    void (*changed)(void *aux);
};

struct matd_routes *matd_routes_create(const struct matd_routes_handler *,
                                       void *aux);
void matd_routes_destroy(struct matd_routes *);

/* The device, by which all goes: the bridge's own port, with its MAC, which
 * becomes the source of all next hops.  "": none. */
void matd_routes_set_device(struct matd_routes *, const char *name,
                            const struct mat_mac *);

/* Routers in these networks come first: where the kernel would take a default
 * router elsewhere, one of these is taken, if there is any. */
void matd_routes_prefer(struct matd_routes *, const struct mat_moa_prefix *,
                        size_t n);

/* 'via' may have a zero address.  The answer comes from matd_routes_run(). */
void matd_routes_want(struct matd_routes *, uint16_t id,
                      const struct mat_addr *addr,
                      const struct mat_addr *via);
void matd_routes_drop(struct matd_routes *, uint16_t id);

void matd_routes_run(struct matd_routes *);
void matd_routes_wait(struct matd_routes *);

/* Fills in the subnets, routers and advertised prefixes of '*uplink', and
 * leaves the rest. */
void matd_routes_get_uplink(const struct matd_routes *,
                            struct mat_moa_uplink *uplink);

/* The host's own address of a family, for peers; false if there is none. */
bool matd_routes_get_addr(const struct matd_routes *, bool v6,
                          struct mat_addr *);

struct matd_routes_status {
    const char *device;
    bool is_up;
    uint16_t mtu;
    size_t n_wanted, n_good;    /* Next hops. */
    size_t n_neighbours;        /* In use. */
    uint64_t n_lookups, n_probes, n_resyncs;
    const char *problem;        /* Or null. */
};

void matd_routes_get_status(const struct matd_routes *,
                            struct matd_routes_status *);

/* Walks the next hops. */
struct matd_routes_view {
    uint16_t id;
    struct mat_addr addr, gateway;      /* 'gateway': 'addr' if on the link. */
    bool is_good;
    struct mat_agent_route route;       /* If 'is_good'. */
};

bool matd_routes_next(const struct matd_routes *, uint32_t *cursor,
                      struct matd_routes_view *);

#endif /* matd-routes.h */
