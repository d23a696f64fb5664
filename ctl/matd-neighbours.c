/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-neighbours.h"

#include "hash.h"
#include "matd-netlink.h"
#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

enum {
    PROBE_MIN_MS = 1000,        /* The kernel itself asks three times in three
                                 * seconds. */
    PROBE_MAX_MS = 8000
};

void
matd_neighbours_init(struct matd_neighbours *ns)
{
    hmap_init(&ns->all);
    ovs_list_init(&ns->doubtful);
    ns->n_probes = 0;
}

void
matd_neighbours_destroy(struct matd_neighbours *ns)
{
    struct matd_neighbour *n;

    HMAP_FOR_EACH_POP (n, node, &ns->all) {
        free(n);
    }
    hmap_destroy(&ns->all);
}

static uint32_t
hash_addr(const struct mat_addr *addr)
{
    return hash_bytes(addr->b, sizeof addr->b, 0);
}

struct matd_neighbour *
matd_neighbours_find(const struct matd_neighbours *ns,
                     const struct mat_addr *addr)
{
    struct matd_neighbour *n;

    HMAP_FOR_EACH_WITH_HASH (n, node, hash_addr(addr), &ns->all) {
        if (mat_addr_equal(&n->addr, addr)) {
            return n;
        }
    }
    return NULL;
}

struct matd_neighbour *
matd_neighbours_get(struct matd_neighbours *ns, const struct mat_addr *addr)
{
    struct matd_neighbour *n = matd_neighbours_find(ns, addr);

    if (!n) {
        n = xzalloc(sizeof *n);
        n->addr = *addr;
        n->gap_ms = PROBE_MIN_MS;
        ovs_list_init(&n->users);
        ovs_list_init(&n->doubt);
        hmap_insert(&ns->all, &n->node, hash_addr(addr));
    }
    return n;
}

bool
matd_neighbour_is_used(const struct matd_neighbour *n)
{
    return n->is_pinned || !ovs_list_is_empty(&n->users);
}

struct matd_neighbour *
matd_neighbours_set(struct matd_neighbours *ns,
                    const struct matd_netlink *message)
{
    struct matd_neighbour *n = matd_neighbours_get(ns, &message->addr);

    n->is_valid = message->is_valid && !message->is_removed;
    n->is_stale = n->is_valid && message->is_stale;
    n->is_failed = message->is_failed && !message->is_removed;
    if (n->is_valid) {
        n->mac = message->mac;
    }
    matd_neighbours_update(ns, n);
    if (message->is_removed && !matd_neighbour_is_used(n)) {
        hmap_remove(&ns->all, &n->node);
        free(n);
        return NULL;
    }
    return n;
}

void
matd_neighbours_forget(struct matd_neighbours *ns)
{
    struct matd_neighbour *n;

    HMAP_FOR_EACH (n, node, &ns->all) {
        n->is_valid = n->is_stale = n->is_failed = false;
    }
}

void
matd_neighbours_update_all(struct matd_neighbours *ns)
{
    struct matd_neighbour *n;

    HMAP_FOR_EACH (n, node, &ns->all) {
        matd_neighbours_update(ns, n);
    }
}

void
matd_neighbours_update(struct matd_neighbours *ns, struct matd_neighbour *n)
{
    bool is_doubtful = (matd_neighbour_is_used(n)
                        && (!n->is_valid || n->is_stale));

    if (is_doubtful && ovs_list_is_empty(&n->doubt)) {
        ovs_list_push_back(&ns->doubtful, &n->doubt);
    } else if (!is_doubtful && !ovs_list_is_empty(&n->doubt)) {
        ovs_list_remove(&n->doubt);
        ovs_list_init(&n->doubt);
        n->gap_ms = PROBE_MIN_MS;
    }
}

int
matd_neighbours_probe(struct matd_neighbours *ns, int ifindex)
{
    int64_t now = time_msec();
    struct matd_neighbour *n;
    int error = 0;

    LIST_FOR_EACH (n, doubt, &ns->doubtful) {
        if (now >= n->probe_ms) {
            int retval = matd_netlink_probe(&n->addr, ifindex);

            error = retval ? retval : error;
            ns->n_probes++;
            n->probe_ms = now + n->gap_ms;
            n->gap_ms = MIN(2 * n->gap_ms, PROBE_MAX_MS);
        }
    }
    return error;
}

void
matd_neighbours_hurry(struct matd_neighbours *ns)
{
    struct matd_neighbour *n;

    LIST_FOR_EACH (n, doubt, &ns->doubtful) {
        n->probe_ms = 0;
        n->gap_ms = PROBE_MIN_MS;
    }
}

void
matd_neighbours_wait(const struct matd_neighbours *ns)
{
    const struct matd_neighbour *n;

    LIST_FOR_EACH (n, doubt, &ns->doubtful) {
        poll_timer_wait_until(n->probe_ms);
    }
}

size_t
matd_neighbours_n_used(const struct matd_neighbours *ns)
{
    const struct matd_neighbour *n;
    size_t n_used = 0;

    HMAP_FOR_EACH (n, node, &ns->all) {
        n_used += matd_neighbour_is_used(n);
    }
    return n_used;
}
