/* SPDX-License-Identifier: Apache-2.0 */

/* Wants refer to neighbours.  A want is looked up again when a route that
 * contains it changes; it is told again when a neighbour that it refers to
 * does. */

#include <config.h>

#include "matd-routes.h"

#include <errno.h>

#include "hash.h"
#include "matd-neighbours.h"
#include "matd-netlink.h"
#include "matd-routers.h"
#include "netlink-socket.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_routes);

enum {
    LOOKUPS_PER_RUN = 256,      /* Some milliseconds. */
    LOOKUP_GAP_MS = 100,        /* Between rounds, when routes change often. */
    RETRY_MS = 1000,            /* Of what the kernel refused. */
    ADDRS_MAX = 32,
    MESSAGES_PER_RUN = 1000
};

/* A want's use of a neighbour. */
struct use {
    struct ovs_list node;       /* In its 'users'. */
    struct want *want;
    struct matd_neighbour *neighbour;   /* Or null. */
};

struct want {
    struct hmap_node node;      /* In 'wants'. */
    uint16_t id;
    struct mat_addr addr, via;
    struct use uses[2];         /* The second is tried if the first fails. */
    uint16_t mtu;
    bool is_dirty;              /* To be looked up. */
    bool is_told, is_good;
    struct mat_agent_route route;       /* As told. */
};

struct addr {
    struct mat_addr addr;
    uint8_t plen;
    bool is_dynamic;
};

struct matd_routes {
    const struct matd_routes_handler *handler;
    void *aux;
    struct nl_sock *sock;
    bool needs_resync;
    int64_t retry_ms;

    char device[MAT_PORT_NAME_SIZE];
    struct mat_mac mac;
    int ifindex;                /* 0: there is no such device (now). */
    bool is_up;
    uint16_t mtu;
    size_t n_addrs;
    struct addr addrs[ADDRS_MAX];
    struct matd_routers routers;
    bool routers_dirty;
    bool has_changed;           /* Tell the handler. */

    struct hmap wants;
    struct matd_neighbours neighbours;
    size_t n_dirty;
    int64_t lookup_ms;          /* The next round. */

    uint64_t n_lookups, n_resyncs;
    char problem[200];
};

static void handle_message(struct matd_routes *, const struct matd_netlink *);
static void resync(struct matd_routes *);
static void read_routers(struct matd_routes *);
static void look_up(struct matd_routes *, struct want *);
static void look_up_some(struct matd_routes *);
static void set_neighbour(struct matd_routes *, const struct matd_netlink *);
static void use_neighbour(struct matd_routes *, struct use *,
                          const struct mat_addr *);
static void make_dirty(struct matd_routes *, struct want *);
static void tell(struct matd_routes *, struct want *);

struct matd_routes *
matd_routes_create(const struct matd_routes_handler *handler, void *aux)
{
    struct matd_routes *r = xzalloc(sizeof *r);

    r->handler = handler;
    r->aux = aux;
    r->needs_resync = true;
    hmap_init(&r->wants);
    matd_neighbours_init(&r->neighbours);
    return r;
}

void
matd_routes_destroy(struct matd_routes *r)
{
    struct want *want;

    if (r) {
        HMAP_FOR_EACH_POP (want, node, &r->wants) {
            free(want);
        }
        hmap_destroy(&r->wants);
        matd_neighbours_destroy(&r->neighbours);
        nl_sock_destroy(r->sock);
        free(r);
    }
}

void
matd_routes_set_device(struct matd_routes *r, const char *name,
                       const struct mat_mac *mac)
{
    struct want *want;

    if (strcmp(r->device, name)) {
        ovs_strlcpy(r->device, name, sizeof r->device);
        r->needs_resync = true;
        r->retry_ms = 0;
    }
    if (!mat_mac_equal(&r->mac, mac) && !mat_mac_is_zero(mac)) {
        r->mac = *mac;
        HMAP_FOR_EACH (want, node, &r->wants) {
            tell(r, want);
        }
    }
}

/* Neighbours elsewhere may have gone with an uplink.  The kernel would go on
 * to send to them for half a minute. */
static void
doubt_others(struct matd_routes *r)
{
    const struct matd_neighbour *n;

    HMAP_FOR_EACH (n, node, &r->neighbours.all) {
        if (r->ifindex && matd_neighbour_is_used(n)
            && mat_addr_is_host(&n->addr)
            && !matd_routers_is_preferred(&r->routers, &n->addr)) {
            matd_netlink_forget(&n->addr, r->ifindex);
            matd_netlink_probe(&n->addr, r->ifindex);
        }
    }
}

void
matd_routes_prefer(struct matd_routes *r, const struct mat_moa_prefix *subnets,
                   size_t n)
{
    bool is_first = !r->routers.n_preferred;
    struct want *want;

    if (!matd_routers_prefer(&r->routers, subnets, n)) {
        return;
    }
    if (!is_first) {
        doubt_others(r);
    }
    matd_neighbours_hurry(&r->neighbours);
    r->lookup_ms = 0;
    HMAP_FOR_EACH (want, node, &r->wants) {
        make_dirty(r, want);
    }
}

/* Wants. */

static struct want *
find_want(const struct matd_routes *r, uint16_t id)
{
    struct want *want;

    HMAP_FOR_EACH_WITH_HASH (want, node, hash_int(id, 0), &r->wants) {
        if (want->id == id) {
            return want;
        }
    }
    return NULL;
}

static void
make_dirty(struct matd_routes *r, struct want *want)
{
    r->n_dirty += !want->is_dirty;
    want->is_dirty = true;
}

void
matd_routes_want(struct matd_routes *r, uint16_t id,
                 const struct mat_addr *addr, const struct mat_addr *via)
{
    struct want *want = find_want(r, id);

    if (!want) {
        want = xzalloc(sizeof *want);
        want->id = id;
        want->uses[0].want = want->uses[1].want = want;
        hmap_insert(&r->wants, &want->node, hash_int(id, 0));
    }
    want->addr = *addr;
    want->via = *via;
    want->is_told = false;
    make_dirty(r, want);
    r->lookup_ms = 0;
}

void
matd_routes_drop(struct matd_routes *r, uint16_t id)
{
    struct want *want = find_want(r, id);

    if (want) {
        r->n_dirty -= want->is_dirty;
        use_neighbour(r, &want->uses[0], NULL);
        use_neighbour(r, &want->uses[1], NULL);
        hmap_remove(&r->wants, &want->node);
        free(want);
    }
}

/* Running. */

static void
complain(struct matd_routes *r, const char *what, int error)
{
    char text[sizeof r->problem];

    snprintf(text, sizeof text, "%s: %s", what, ovs_strerror(error));
    if (strcmp(text, r->problem)) {
        memcpy(r->problem, text, sizeof text);
        VLOG_WARN("routes: %s", r->problem);
    }
}

static void
receive(struct matd_routes *r)
{
    uint64_t stub[4096 / 8];
    struct ofpbuf buf;

    ofpbuf_use_stub(&buf, stub, sizeof stub);
    for (int i = 0; i < MESSAGES_PER_RUN; i++) {
        struct matd_netlink n;
        int error = nl_sock_recv(r->sock, &buf, NULL, false);

        if (error == EAGAIN) {
            break;
        } else if (error) {
            r->needs_resync = true;     /* ENOBUFS: some were lost. */
            break;
        }
        matd_netlink_parse(&buf, &n);
        handle_message(r, &n);
    }
    ofpbuf_uninit(&buf);
}

void
matd_routes_run(struct matd_routes *r)
{
    if (!r->device[0]) {
        return;
    }
    if (r->sock) {
        receive(r);
    }
    if (r->needs_resync && time_msec() >= r->retry_ms) {
        resync(r);
    }
    if (r->routers_dirty && time_msec() >= r->lookup_ms) {
        read_routers(r);
    }
    if (r->n_dirty && time_msec() >= r->lookup_ms) {
        look_up_some(r);
    }
    if (r->ifindex) {
        int error = matd_neighbours_probe(&r->neighbours, r->ifindex);

        if (error) {
            complain(r, "neighbours cannot be probed", error);
        }
    }
    if (r->has_changed) {
        r->has_changed = false;
        r->handler->changed(r->aux);
    }
}

void
matd_routes_wait(struct matd_routes *r)
{
    if (!r->device[0]) {
        return;
    }
    if (r->sock) {
        nl_sock_wait(r->sock, POLLIN);
    }
    if (r->needs_resync) {
        poll_timer_wait_until(r->retry_ms);
    }
    if ((r->n_dirty || r->routers_dirty) && r->ifindex) {
        poll_timer_wait_until(r->lookup_ms);
    }
    if (r->ifindex) {
        matd_neighbours_wait(&r->neighbours);
    }
}

/* What the kernel says. */

static void
handle_route(struct matd_routes *r, const struct matd_netlink *n)
{
    struct want *want;

    r->routers_dirty |= matd_routers_concerns(n);
    HMAP_FOR_EACH (want, node, &r->wants) {
        if (mat_addr_in_prefix(&want->addr, &n->addr, n->plen)
            || (mat_addr_is_v4(&want->addr) == mat_addr_is_v4(&n->addr)
                && !n->plen)
            || mat_addr_in_prefix(&want->via, &n->addr, n->plen)) {
            make_dirty(r, want);
        }
    }
    r->lookup_ms = MAX(r->lookup_ms, time_msec());
}

static void
handle_link(struct matd_routes *r, const struct matd_netlink *n)
{
    if (strcmp(n->name, r->device)
        ? n->ifindex == r->ifindex
        : n->is_removed || n->ifindex != r->ifindex) {
        r->needs_resync = true;
        r->retry_ms = 0;
    } else if (n->ifindex == r->ifindex
               && (n->is_up != r->is_up || n->mtu != r->mtu)) {
        r->is_up = n->is_up;
        r->mtu = n->mtu;
        r->has_changed = true;
    }
}

static void
handle_addr(struct matd_routes *r, const struct matd_netlink *n)
{
    struct addr *a = r->addrs, *end = r->addrs + r->n_addrs;

    while (a < end && (!mat_addr_equal(&a->addr, &n->addr)
                       || a->plen != n->plen)) {
        a++;
    }
    if (n->is_removed || n->is_tentative) {
        if (a < end) {
            r->routers_dirty |= a->is_dynamic;
            memmove(a, a + 1, (end - a - 1) * sizeof *a);
            r->n_addrs--;
            r->has_changed = true;
        }
    } else if (a < end ? a->is_dynamic != n->is_dynamic
                       : r->n_addrs < ADDRS_MAX) {
        r->n_addrs += a == end;
        a->addr = n->addr;
        a->plen = n->plen;
        a->is_dynamic = n->is_dynamic;
        r->routers_dirty = r->has_changed = true;
    }
}

static void
handle_message(struct matd_routes *r, const struct matd_netlink *n)
{
    if (n->kind == MATD_NETLINK_LINK) {
        handle_link(r, n);
    } else if (n->kind == MATD_NETLINK_ROUTE) {
        handle_route(r, n);
    } else if (!r->ifindex || n->ifindex != r->ifindex) {
        return;
    } else if (n->kind == MATD_NETLINK_ADDR) {
        handle_addr(r, n);
    } else if (n->kind == MATD_NETLINK_NEIGHBOUR) {
        set_neighbour(r, n);
    }
}

/* Everything anew. */

static void
each_link(void *r_, const struct matd_netlink *n)
{
    struct matd_routes *r = r_;

    if (n->kind == MATD_NETLINK_LINK && !strcmp(n->name, r->device)) {
        r->ifindex = n->ifindex;
        r->is_up = n->is_up;
        r->mtu = n->mtu;
    }
}

static void
each_other(void *r_, const struct matd_netlink *n)
{
    struct matd_routes *r = r_;

    if (n->ifindex == r->ifindex && n->kind == MATD_NETLINK_ADDR) {
        handle_addr(r, n);
    } else if (n->ifindex == r->ifindex
               && n->kind == MATD_NETLINK_NEIGHBOUR) {
        set_neighbour(r, n);
    }
}

static void
resync(struct matd_routes *r)
{
    struct want *want;
    int error;

    r->n_resyncs++;
    r->needs_resync = false;
    r->has_changed = r->routers_dirty = true;
    r->ifindex = 0;
    r->n_addrs = 0;
    r->lookup_ms = 0;
    nl_sock_destroy(r->sock);
    r->sock = NULL;
    matd_neighbours_forget(&r->neighbours);
    error = matd_netlink_listen(&r->sock);
    if (!error) {
        error = matd_netlink_dump(MATD_NETLINK_LINK, each_link, r);
    }
    if (!error && r->ifindex) {
        error = matd_netlink_dump(MATD_NETLINK_ADDR, each_other, r);
    }
    if (!error && r->ifindex) {
        error = matd_netlink_dump(MATD_NETLINK_NEIGHBOUR, each_other, r);
    }
    if (error) {
        complain(r, "the kernel refuses to tell", error);
        r->needs_resync = true;
        r->retry_ms = time_msec() + RETRY_MS;
    } else if (!r->ifindex) {
        VLOG_INFO("routes: there is no device %s (yet)", r->device);
    } else {
        VLOG_INFO("routes: device %s is number %d, %s, MTU %u", r->device,
                  r->ifindex, r->is_up ? "up" : "down", r->mtu);
        r->problem[0] = '\0';
    }
    matd_neighbours_update_all(&r->neighbours);
    HMAP_FOR_EACH (want, node, &r->wants) {
        make_dirty(r, want);
    }
}

/* Routers. */

static void
read_routers(struct matd_routes *r)
{
    struct matd_routers *routers = &r->routers;
    struct matd_neighbour *n;
    int error;

    r->routers_dirty = false;
    r->has_changed = true;
    error = matd_routers_read(routers, r->ifindex);
    if (error) {
        complain(r, "the kernel refuses to tell its routes", error);
        r->needs_resync = true;
        r->retry_ms = time_msec() + RETRY_MS;
    }
    for (size_t i = 0; i < r->n_addrs; i++) {
        if (r->addrs[i].is_dynamic && mat_addr_is_host(&r->addrs[i].addr)) {
            matd_routers_add_prefix(routers, &r->addrs[i].addr,
                                    r->addrs[i].plen);
        }
    }
    HMAP_FOR_EACH (n, node, &r->neighbours.all) {
        n->is_pinned = false;
    }
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < routers->n_routers[v6]; i++) {
            matd_neighbours_get(&r->neighbours,
                                &routers->routers[v6][i])->is_pinned = true;
        }
    }
    matd_neighbours_update_all(&r->neighbours);
}

/* Neighbours. */

static void
set_neighbour(struct matd_routes *r, const struct matd_netlink *message)
{
    struct matd_neighbour *n = matd_neighbours_set(&r->neighbours, message);
    struct use *use;

    if (n) {
        r->has_changed |= n->is_pinned;         /* A router's MAC. */
        LIST_FOR_EACH (use, node, &n->users) {
            tell(r, use->want);
        }
    }
}

static void
use_neighbour(struct matd_routes *r, struct use *use,
              const struct mat_addr *addr)
{
    struct matd_neighbour *old = use->neighbour;

    if (old && addr && mat_addr_equal(&old->addr, addr)) {
        return;
    }
    if (old) {
        ovs_list_remove(&use->node);
        matd_neighbours_update(&r->neighbours, old);
    }
    use->neighbour = addr ? matd_neighbours_get(&r->neighbours, addr) : NULL;
    if (addr) {
        ovs_list_push_back(&use->neighbour->users, &use->node);
        matd_neighbours_update(&r->neighbours, use->neighbour);
    }
}

/* Looking up. */

/* The neighbour by which 'addr' is reached. */
static int
find_next_hop(struct matd_routes *r, const struct mat_addr *addr,
              struct mat_addr *hop, bool *is_on_link, uint16_t *mtu)
{
    struct matd_netlink n;
    int error = matd_netlink_route(addr, 0, &n);

    r->n_lookups++;
    if (error || n.ifindex != r->ifindex) {
        error = matd_netlink_route(addr, r->ifindex, &n);
        r->n_lookups++;
    }
    if (!error && n.ifindex != r->ifindex) {
        error = ENETUNREACH;
    }
    if (!error) {
        *hop = n.has_gateway ? matd_routers_better(&r->routers,
                                                     &n.gateway) : *addr;
        *is_on_link = !n.has_gateway;
        *mtu = n.mtu;
    }
    return error;
}

/* By what all is reached that has no route of its own: of 0.0.0.0 the kernel
 * would say that it is the host itself. */
static void
look_up_default(struct matd_routes *r, struct want *want)
{
    want->mtu = 0;
    use_neighbour(r, &want->uses[0], matd_routers_default(&r->routers));
    use_neighbour(r, &want->uses[1], NULL);
}

static void
look_up(struct matd_routes *r, struct want *want)
{
    struct mat_addr hop, via;
    bool is_on_link, unused;
    uint16_t via_mtu;

    r->n_dirty -= want->is_dirty;
    want->is_dirty = false;
    if (mat_addr_is_zero(&want->addr)) {
        look_up_default(r, want);
    } else if (find_next_hop(r, &want->addr, &hop, &is_on_link, &want->mtu)) {
        use_neighbour(r, &want->uses[0], NULL);
        use_neighbour(r, &want->uses[1], NULL);
    } else {
        use_neighbour(r, &want->uses[0], &hop);
        if (is_on_link && !mat_addr_is_zero(&want->via)
            && mat_addr_is_v4(&want->via) == mat_addr_is_v4(&want->addr)
            && !find_next_hop(r, &want->via, &via, &unused, &via_mtu)) {
            use_neighbour(r, &want->uses[1], &via);
        } else {
            use_neighbour(r, &want->uses[1], NULL);
        }
    }
    tell(r, want);
}

static void
look_up_some(struct matd_routes *r)
{
    struct want *want;
    int n = 0;

    if (!r->ifindex) {
        return;
    }
    HMAP_FOR_EACH (want, node, &r->wants) {
        if (want->is_dirty) {
            look_up(r, want);
            if (++n >= LOOKUPS_PER_RUN) {
                break;
            }
        }
    }
    r->lookup_ms = r->n_dirty ? 0 : time_msec() + LOOKUP_GAP_MS;
}

/* Tells what has changed.  While neighbours are being asked, nothing is told,
 * and while there is no device, what was told holds. */
static void
tell(struct matd_routes *r, struct want *want)
{
    const struct matd_neighbour *good = NULL;
    struct mat_agent_route route;
    bool is_asking = false;

    for (int i = 0; i < 2 && !good; i++) {
        const struct matd_neighbour *n = want->uses[i].neighbour;

        good = n && n->is_valid ? n : NULL;
        is_asking |= n && !n->is_valid && !n->is_failed;
    }
    if (want->is_dirty || !r->ifindex || mat_mac_is_zero(&r->mac)
        || (!good && is_asking)) {
        return;
    }
    memset(&route, 0, sizeof route);
    if (good) {
        route.src = r->mac;
        route.dst = good->mac;
        route.mtu = want->mtu;
    }
    if (!want->is_told || want->is_good != !!good
        || (good && memcmp(&route, &want->route, sizeof route))) {
        want->is_told = true;
        want->is_good = good != NULL;
        want->route = route;
        r->handler->route(r->aux, want->id, good ? &route : NULL);
    }
}

/* Questions. */

void
matd_routes_get_uplink(const struct matd_routes *r,
                       struct mat_moa_uplink *uplink)
{
    uplink->n_subnets = 0;
    for (size_t i = 0; i < r->n_addrs; i++) {
        const struct addr *a = &r->addrs[i];

        if (mat_addr_is_host(&a->addr)
            && uplink->n_subnets < MAT_MOA_SUBNETS_MAX) {
            struct mat_moa_prefix *p = &uplink->subnets[uplink->n_subnets++];

            p->addr = a->addr;
            p->plen = a->plen;
        }
    }
    memset(uplink->router_macs, 0, sizeof uplink->router_macs);
    for (int v6 = 0; v6 < 2; v6++) {
        uplink->n_routers[v6] = r->routers.n_routers[v6];
        for (size_t i = 0; i < uplink->n_routers[v6]; i++) {
            const struct matd_neighbour *n = matd_neighbours_find(
                &r->neighbours, &r->routers.routers[v6][i]);

            uplink->routers[v6][i] = r->routers.routers[v6][i];
            if (n && n->is_valid) {
                uplink->router_macs[v6][i] = n->mac;
            }
        }
    }
    uplink->n_advertised = r->routers.n_advertised;
    memcpy(uplink->advertised, r->routers.advertised,
           sizeof uplink->advertised);
}

bool
matd_routes_get_addr(const struct matd_routes *r, bool v6,
                     struct mat_addr *addr)
{
    for (size_t i = 0; i < r->n_addrs; i++) {
        if (mat_addr_is_v4(&r->addrs[i].addr) == !v6
            && mat_addr_is_host(&r->addrs[i].addr)) {
            *addr = r->addrs[i].addr;
            return true;
        }
    }
    return false;
}

void
matd_routes_get_status(const struct matd_routes *r,
                       struct matd_routes_status *status)
{
    const struct want *want;

    *status = (struct matd_routes_status) {
        .device = r->device,
        .is_up = r->ifindex && r->is_up,
        .mtu = r->mtu,
        .n_wanted = hmap_count(&r->wants),
        .n_lookups = r->n_lookups,
        .n_neighbours = matd_neighbours_n_used(&r->neighbours),
        .n_probes = r->neighbours.n_probes,
        .n_resyncs = r->n_resyncs,
        .problem = r->problem[0] ? r->problem : NULL,
    };
    HMAP_FOR_EACH (want, node, &r->wants) {
        status->n_good += want->is_good;
    }
}

bool
matd_routes_next(const struct matd_routes *r, uint32_t *cursor,
                 struct matd_routes_view *view)
{
    for (; *cursor <= UINT16_MAX; (*cursor)++) {
        const struct want *want = find_want(r, *cursor);

        if (want) {
            const struct matd_neighbour *n = want->uses[0].neighbour;

            view->id = want->id;
            view->addr = want->addr;
            view->gateway = n ? n->addr : want->addr;
            view->is_good = want->is_good;
            view->route = want->route;
            (*cursor)++;
            return true;
        }
    }
    return false;
}
