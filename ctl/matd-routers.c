/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-routers.h"

#include "matd-netlink.h"
#include "util.h"

static bool
is_default(const struct matd_netlink *n)
{
    return n->is_main && !n->plen && n->has_gateway;
}

bool
matd_routers_concerns(const struct matd_netlink *n)
{
    return is_default(n) || n->is_dynamic;
}

static void
add_router(struct matd_routers *r, const struct mat_addr *router, bool v6)
{
    for (size_t i = 0; i < r->n_routers[v6]; i++) {
        if (mat_addr_equal(&r->routers[v6][i], router)) {
            return;
        }
    }
    if (r->n_routers[v6] < MAT_MOA_ROUTERS_MAX) {
        r->routers[v6][r->n_routers[v6]++] = *router;
    }
}

void
matd_routers_add_prefix(struct matd_routers *r, const struct mat_addr *addr,
                        unsigned int plen)
{
    struct mat_addr prefix = mat_addr_mask(addr, plen);

    for (size_t i = 0; i < r->n_advertised; i++) {
        if (mat_addr_equal(&r->advertised[i].addr, &prefix)) {
            return;
        }
    }
    if (r->n_advertised < MAT_MOA_ADVERTISED_MAX) {
        r->advertised[r->n_advertised].addr = prefix;
        r->advertised[r->n_advertised++].plen = plen;
    }
}

static void
each_route(void *r_, const struct matd_netlink *n)
{
    struct matd_routers *r = r_;

    if (n->kind != MATD_NETLINK_ROUTE || n->ifindex != r->ifindex) {
        return;
    }
    if (is_default(n)) {
        add_router(r, &n->gateway, !mat_addr_is_v4(&n->addr));
        for (size_t i = 0; i < n->n_others; i++) {
            add_router(r, &n->others[i], !mat_addr_is_v4(&n->addr));
        }
    } else if (n->is_dynamic && n->plen && !n->has_gateway) {
        matd_routers_add_prefix(r, &n->addr, n->plen);
    }
}

int
matd_routers_read(struct matd_routers *r, int ifindex)
{
    r->n_routers[0] = r->n_routers[1] = r->n_advertised = 0;
    r->ifindex = ifindex;
    return (ifindex ? matd_netlink_dump(MATD_NETLINK_ROUTE, each_route, r)
            : 0);
}

bool
matd_routers_prefer(struct matd_routers *r,
                    const struct mat_moa_prefix *subnets, size_t n)
{
    n = MIN(n, MAT_MOA_SUBNETS_MAX);
    if (n == r->n_preferred
        && !memcmp(r->preferred, subnets, n * sizeof *subnets)) {
        return false;
    }
    memcpy(r->preferred, subnets, n * sizeof *subnets);
    r->n_preferred = n;
    return true;
}

bool
matd_routers_is_preferred(const struct matd_routers *r,
                          const struct mat_addr *addr)
{
    for (size_t i = 0; i < r->n_preferred; i++) {
        if (mat_addr_in_prefix(addr, &r->preferred[i].addr,
                               r->preferred[i].plen)) {
            return true;
        }
    }
    return false;
}

struct mat_addr
matd_routers_better(const struct matd_routers *r, const struct mat_addr *hop)
{
    const struct mat_addr *better = hop;
    bool v6 = !mat_addr_is_v4(hop), is_ours = false;

    for (size_t i = 0; i < r->n_routers[v6]; i++) {
        const struct mat_addr *router = &r->routers[v6][i];

        is_ours |= mat_addr_equal(router, hop);
        if (better == hop && matd_routers_is_preferred(r, router)) {
            better = router;
        }
    }
    return (is_ours && !matd_routers_is_preferred(r, hop) ? *better
            : *hop);
}

const struct mat_addr *
matd_routers_default(const struct matd_routers *r)
{
    const struct mat_addr *best = NULL;

    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < r->n_routers[v6]; i++) {
            const struct mat_addr *router = &r->routers[v6][i];

            if (!best || (!matd_routers_is_preferred(r, best)
                          && matd_routers_is_preferred(r, router))) {
                best = router;
            }
        }
    }
    return best;
}
