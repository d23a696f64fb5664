/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of MoAs, and how those of peers are reached.
 *
 * A way is a next hop with a number of its own for each prefix of a peer, so
 * that a route that changes is one change of the switch whatever the number of
 * mappings that use it.  MoAs outside of their host's pools (VMNs that are at
 * home) go the way to the host itself, or if that is of the other family, each
 * its own way. */
#include "mat-agent-impl.h"

#include <inttypes.h>
#include <stdio.h>

enum { HASH_BASIN = 5, HASH_WAY, HASH_OVERLAP = 11 };

static uint64_t
prefix_hash(const struct mat_agent *a, uint32_t kind,
            const struct mat_addr *prefix, uint8_t plen, uint64_t host)
{
    uint8_t bytes[32] = { 0 };

    memcpy(bytes, prefix, 16);
    memcpy(bytes + 16, &host, 8);
    bytes[24] = plen;
    return mat_agent_hash(a, kind, bytes, sizeof bytes);
}

static int
family(const struct mat_addr *addr)
{
    return mat_addr_is_v4(addr) ? 0 : 1;
}

/* Ways. */

/* 0 if all are in use. */
static uint16_t
new_id(struct mat_agent *a)
{
    if (a->ways.n >= MAT_AGENT_ROUTES_MAX - 1) {
        return 0;
    }
    for (uint32_t i = 1; i < MAT_AGENT_ROUTES_MAX; i++) {
        a->next_way = (uint16_t) (a->next_way % (MAT_AGENT_ROUTES_MAX - 1)
                                  + 1);
        if (!mat_index_find(&a->ways, a->next_way)) {
            return a->next_way;
        }
    }
    return 0;
}

static struct mat_way *
get_way(struct mat_agent *a, const struct mat_addr *prefix, uint8_t plen,
        uint64_t host, const struct mat_addr *addr)
{
    uint64_t hash = prefix_hash(a, HASH_WAY, prefix, plen, host);
    struct mat_way *way = mat_index_find(&a->ways_by_prefix, hash);
    uint16_t id;

    if (way) {
        return way;
    }
    id = new_id(a);
    if (!id) {
        mat_agent_count(a, MAT_AGENT_C_LIMITS);
        return NULL;
    }
    way = mat_xcalloc(1, sizeof *way);
    way->id = id;
    way->prefix = *prefix;
    way->plen = plen;
    way->addr = *addr;
    way->host = host;
    mat_index_insert(&a->ways_by_prefix, hash, way);
    mat_index_insert(&a->ways, id, way);
    mat_way_start_lost(a, way);
    mat_agent_emit_route(a, MAT_AGENT_WANT_ROUTE, id);
    return way;
}

void
mat_way_op(const struct mat_way *way, enum mat_update_op_type type,
           struct mat_op *op)
{
    *op = (struct mat_op) { .type = type, .nexthop = { .id = way->id } };
    if (type == MAT_OP_NEXTHOP_PUT) {
        op->nexthop.src = way->route.src;
        op->nexthop.dst = way->route.dst;
        op->nexthop.mtu = way->route.mtu;
        op->nexthop.is_behind = way->is_behind;
    }
}

static void
put_way(struct mat_agent *a, struct mat_way *way)
{
    struct mat_op op;

    if (way->n_refs || way->n_pools || way->waiting || way == a->outside) {
        return;
    }
    if (!way->is_adopted) {
        mat_agent_emit_route(a, MAT_AGENT_DROP_ROUTE, way->id);
        mat_index_remove(&a->ways_by_prefix,
                         prefix_hash(a, HASH_WAY, &way->prefix, way->plen,
                                     way->host));
    }
    if (way->is_known) {
        mat_way_op(way, MAT_OP_NEXTHOP_REMOVE, &op);
        mat_agent_emit(a, &op);
    }
    mat_index_remove(&a->ways, way->id);
    mat_way_end_lost(a, way);
    free(way);
}

void
mat_way_adopt(struct mat_agent *a, const struct mat_nexthop *hop)
{
    struct mat_way *way = mat_xcalloc(1, sizeof *way);

    way->id = hop->id;
    way->is_adopted = way->is_known = way->seen = true;
    way->route = (struct mat_agent_route) { hop->src, hop->dst, hop->mtu };
    way->is_behind = hop->is_behind;
    mat_index_insert(&a->ways, way->id, way);
}

void
mat_way_sweep(struct mat_agent *a)
{
    struct mat_way *way, *unused;
    size_t cursor;

    do {
        unused = NULL;
        for (cursor = 0; !unused
             && (way = mat_index_next(&a->ways, &cursor)) != NULL; ) {
            unused = way->is_adopted && !way->n_refs ? way : NULL;
        }
        if (unused) {
            put_way(a, unused);
        }
    } while (unused);
}

void
mat_way_ref(struct mat_agent *a, uint16_t id)
{
    struct mat_way *way = mat_index_find(&a->ways, id);

    if (way) {
        way->n_refs++;
    }
}

void
mat_way_unref(struct mat_agent *a, uint16_t id)
{
    struct mat_way *way = mat_index_find(&a->ways, id);

    if (way && way->n_refs) {
        way->n_refs--;
        put_way(a, way);
    }
}

void
mat_way_await(struct mat_way *way, struct mat_home *home)
{
    if (!home->is_waiting) {
        home->is_waiting = true;
        home->next_waiting = way->waiting;
        way->waiting = home;
    }
}

static void
wake(struct mat_agent *a, struct mat_way *way)
{
    struct mat_home *home = way->waiting, *next;

    way->waiting = NULL;
    way->n_refs++;
    for (; home; home = next) {
        next = home->next_waiting;
        home->is_waiting = false;
        home->next_waiting = NULL;
        mat_home_refresh(a, home);
        mat_home_put(a, home);
    }
    way->n_refs--;
    put_way(a, way);
}

/* The longest of the host's pools that has 'moa'. */
static struct mat_way *
way_of_pool(struct mat_agent *a, uint64_t host, const struct mat_addr *moa)
{
    for (int plen = (int) mat_addr_bits(moa); plen >= 0; plen--) {
        struct mat_addr prefix;
        struct mat_basin *basin;

        if (!a->n_by_plen[family(moa)][plen]) {
            continue;
        }
        prefix = mat_addr_mask(moa, (unsigned int) plen);
        basin = mat_basin_find(a, &prefix, (uint8_t) plen);
        if (basin && basin->way && basin->host == host) {
            return basin->way;
        }
    }
    return NULL;
}

static bool
endpoint_of(const struct mat_agent *a, uint64_t host, struct mat_addr *addr)
{
    struct mat_key key = mat_key_host(host);
    const struct mat_claim *claim;
    struct mat_host_info info;

    claim = a->gossip ? mat_gossip_find(a->gossip, &key) : NULL;
    if (!claim || !mat_host_decode(claim->body, claim->body_size, &info)) {
        return false;
    }
    *addr = info.endpoint.addr;
    return true;
}

struct mat_way *
mat_way_for(struct mat_agent *a, uint64_t host, const struct mat_addr *moa)
{
    struct mat_way *way = way_of_pool(a, host, moa);
    struct mat_addr addr;

    if (!way) {
        if (!endpoint_of(a, host, &addr)
            || mat_addr_is_v4(&addr) != mat_addr_is_v4(moa)) {
            addr = *moa;
        }
        return get_way(a, &addr, (uint8_t) mat_addr_bits(&addr), host, &addr);
    }
    if (!way->is_known && mat_addr_equal(&way->addr, &way->prefix)
        && way->plen < mat_addr_bits(moa)) {
        way->addr = *moa;       /* One that somebody answers for. */
        mat_agent_emit_route(a, MAT_AGENT_WANT_ROUTE, way->id);
    }
    return way;
}

static bool
is_same_route(const struct mat_agent_route *a, const struct mat_agent_route *b)
{
    return (a->mtu == b->mtu && mat_mac_equal(&a->src, &b->src)
            && mat_mac_equal(&a->dst, &b->dst));
}

void
mat_agent_route(struct mat_agent *a, int64_t now_us, uint16_t id,
                const struct mat_agent_route *route)
{
    struct mat_way *way = mat_index_find(&a->ways, id);
    struct mat_op op;

    a->now_us = now_us;
    if (!way || way->is_adopted || !route
        || (way->is_known && is_same_route(&way->route, route))) {
        return;
    }
    way->is_known = true;
    way->seen = false;
    way->route = *route;
    mat_way_op(way, MAT_OP_NEXTHOP_PUT, &op);
    mat_agent_emit(a, &op);
    if (way == a->outside) {
        mat_agent_configure_zones(a);
    }
    wake(a, way);
}

void
mat_agent_want_outside(struct mat_agent *a, bool wanted)
{
    const uint8_t any[4] = { 0 };
    struct mat_addr prefix = mat_addr_from_v4(any);
    struct mat_way *way = a->outside;

    if (wanted && !way) {
        a->outside = get_way(a, &prefix, 0, 0, &prefix);
    } else if (!wanted && way) {
        a->outside = NULL;
        put_way(a, way);
    }
}

/* Basins. */

struct mat_basin *
mat_basin_find(const struct mat_agent *a, const struct mat_addr *prefix,
               uint8_t plen)
{
    return mat_index_find(&a->basins,
                          prefix_hash(a, HASH_BASIN, prefix, plen, 0));
}

void
mat_basin_op(const struct mat_basin *basin, enum mat_update_op_type type,
             struct mat_op *op)
{
    *op = (struct mat_op) {
        .type = type,
        .pool = { .prefix = basin->prefix, .plen = basin->plen }
    };
    if (type == MAT_OP_POOL_PUT) {
        op->pool.own = basin->is_own;
    }
}

static void
leave_way(struct mat_agent *a, struct mat_basin *basin)
{
    struct mat_way *way = basin->way;

    if (way) {
        basin->way = NULL;
        a->n_by_plen[family(&basin->prefix)][basin->plen]--;
        way->n_pools--;
        put_way(a, way);
    }
}

/* Two hosts must not give the same addresses to their VMNs.  'host' has the
 * pool, or nobody any more if that is 0. */
static void
look_for_overlap(struct mat_agent *a, const struct mat_addr *prefix,
                 uint8_t plen, uint64_t host)
{
    const struct mat_moa_prefix theirs = { *prefix, plen };
    uint64_t key = prefix_hash(a, HASH_OVERLAP, prefix, plen, 0);
    char text[MAT_AGENT_TEXT_SIZE], pool[MAT_PREFIX_STRLEN];
    size_t n_problems = a->n_problems;

    if (!host || !mat_moa_overlaps(a->moa, &theirs)) {
        mat_agent_no_problem(a, key);
        return;
    }
    snprintf(text, sizeof text, "pool %s of host %016" PRIx64 " overlaps one "
             "of this host: give each host its own addresses in mat-pool%c",
             mat_prefix_format(prefix, plen, pool), host,
             mat_addr_is_v4(prefix) ? '4' : '6');
    mat_agent_problem(a, key, text);
    if (a->n_problems > n_problems) {
        mat_agent_log(a, MAT_AGENT_WARN, "%s", text);
    }
}

static void
look_for_overlaps(struct mat_agent *a)
{
    struct mat_basin *basin;
    size_t cursor = 0;

    while ((basin = mat_index_next(&a->basins, &cursor)) != NULL) {
        if (!basin->is_own) {
            look_for_overlap(a, &basin->prefix, basin->plen, basin->host);
        }
    }
}

void
mat_basin_put(struct mat_agent *a, const struct mat_addr *prefix,
              uint8_t plen, bool is_own, uint64_t host)
{
    struct mat_basin *basin = mat_basin_find(a, prefix, plen);
    struct mat_op op;

    if (!is_own) {
        look_for_overlap(a, prefix, plen, host);
    }
    if (basin && ((basin->is_own && !is_own)
                  || (basin->is_own == is_own && basin->host == host))) {
        return;                 /* Known, or this host's own. */
    }
    if (!basin) {
        if (a->basins.n >= MAT_TABLE_POOLS_MAX) {
            mat_agent_count(a, MAT_AGENT_C_LIMITS);
            return;
        }
        basin = mat_xcalloc(1, sizeof *basin);
        basin->prefix = *prefix;
        basin->plen = plen;
        mat_index_insert(&a->basins,
                         prefix_hash(a, HASH_BASIN, prefix, plen, 0), basin);
    }
    leave_way(a, basin);
    basin->is_own = is_own;
    basin->seen = false;
    basin->host = host;
    if (!is_own) {
        basin->way = get_way(a, prefix, plen, host, prefix);
        if (basin->way) {
            basin->way->n_pools++;
            a->n_by_plen[family(prefix)][plen]++;
        }
    }
    mat_basin_op(basin, MAT_OP_POOL_PUT, &op);
    mat_agent_emit(a, &op);
    if (is_own) {
        look_for_overlaps(a);
    }
}

void
mat_basin_remove(struct mat_agent *a, const struct mat_addr *prefix,
                 uint8_t plen, bool is_own, uint64_t host)
{
    struct mat_basin *basin = mat_basin_find(a, prefix, plen);
    struct mat_op op;

    if (!basin || basin->is_own != is_own || basin->host != host) {
        return;
    }
    if (!is_own) {
        look_for_overlap(a, prefix, plen, 0);
    }
    mat_basin_op(basin, MAT_OP_POOL_REMOVE, &op);
    mat_agent_emit(a, &op);
    leave_way(a, basin);
    mat_index_remove(&a->basins,
                     prefix_hash(a, HASH_BASIN, prefix, plen, 0));
    free(basin);
    if (is_own) {
        look_for_overlaps(a);
    }
}
