/* SPDX-License-Identifier: Apache-2.0 */

/* Which uplink is used for what.
 *
 * VMNs send by one uplink, the active one: the first that is up, until it goes
 * down, or one before it has been up for mat-failback seconds.  The agent
 * gives VMNs MoAs of that, and flows and next hops must fit.  All of the
 * host's addresses are on the bridge's own port; which network is behind which
 * uplink is told by the pools that name one
 * (ITEM%UPLINK), and what no pool tells is behind the first. */

#include <config.h>

#include "matd-core-impl.h"

#include "openvswitch/ofp-port.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_core_uplinks);

/* The name of the uplink that has 'prefix'. */
static const char *
find_owner(const struct matd_core *core, const struct mat_addr *prefix,
           unsigned int plen)
{
    const struct mat_agent_config *config = matd_config_get(core->config);

    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < config->pools[v6].n; i++) {
            const struct mat_moa_item *item = &config->pools[v6].items[i];

            if (item->uplink[0] && item->kind == MAT_MOA_ITEM_LINK
                && mat_addr_in_prefix(&item->first, prefix, plen)) {
                return item->uplink;
            }
        }
    }
    return config->uplinks.name[0];
}

static bool
is_in_subnets(const struct mat_moa_uplink *uplink, const struct mat_addr *addr)
{
    for (size_t i = 0; i < uplink->n_subnets; i++) {
        if (mat_addr_in_prefix(addr, &uplink->subnets[i].addr,
                               uplink->subnets[i].plen)) {
            return true;
        }
    }
    return false;
}

static size_t
keep_owned(const struct matd_core *core, const char *name,
           struct mat_moa_prefix *prefixes, size_t n)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (!strcmp(find_owner(core, &prefixes[i].addr, prefixes[i].plen),
                    name)) {
            prefixes[n_kept++] = prefixes[i];
        }
    }
    return n_kept;
}

/* Leaves of what the bridge's own port has what is of this uplink.  A
 * link-local router may be behind any. */
static void
keep_own(const struct matd_core *core, struct mat_moa_uplink *uplink)
{
    uplink->n_subnets = keep_owned(core, uplink->name, uplink->subnets,
                                   uplink->n_subnets);
    uplink->n_advertised = keep_owned(core, uplink->name, uplink->advertised,
                                      uplink->n_advertised);
    for (int v6 = 0; v6 < 2; v6++) {
        size_t n = 0;

        for (size_t i = 0; i < uplink->n_routers[v6]; i++) {
            const struct mat_addr *router = &uplink->routers[v6][i];

            if (!mat_addr_is_host(router) || is_in_subnets(uplink, router)) {
                uplink->routers[v6][n] = *router;
                uplink->router_macs[v6][n++] = uplink->router_macs[v6][i];
            }
        }
        uplink->n_routers[v6] = n;
    }
}

/* Fills in what 'uplink' is now.  False if that cannot be told yet. */
static bool
describe(const struct matd_core *core, const struct matd_uplink *uplink,
         struct matd_told *told)
{
    const struct matd_bridge *bridge = matd_config_bridge(core->config);

    memset(told, 0, sizeof *told);
    if (mat_mac_is_zero(&bridge->mac)) {
        return false;                   /* It comes (back) soon. */
    }
    memcpy(told->uplink.name, uplink->name, sizeof told->uplink.name);
    told->uplink.up = uplink->is_up;
    told->uplink.mac = bridge->mac;
    told->mtu = uplink->mtu;
    matd_routes_get_uplink(core->routes, &told->uplink);
    if (matd_config_get(core->config)->uplinks.n > 1) {
        keep_own(core, &told->uplink);
    }
    return true;
}

static void
feed_uplink(struct matd_core *core, size_t i)
{
    const struct matd_uplink *uplink = matd_config_uplink(core->config, i);
    struct matd_told *told = &core->told[i];
    struct matd_told next;

    memset(&next, 0, sizeof next);
    if (uplink && !describe(core, uplink, &next)) {
        return;
    }
    if (told->uplink.name[0] && strcmp(told->uplink.name, next.uplink.name)) {
        mat_agent_uplink_removed(core->agent, time_usec(), told->uplink.name);
    }
    if (next.uplink.name[0] && memcmp(told, &next, sizeof next)) {
        mat_agent_uplink(core->agent, time_usec(), &next.uplink, next.mtu);
    }
    *told = next;
}

/* The active uplink. */

static const struct matd_uplink *
find_uplink(const struct matd_core *core, const char *name)
{
    const struct matd_uplink *uplink;

    for (size_t i = 0; (uplink = matd_config_uplink(core->config, i)); i++) {
        if (!strcmp(uplink->name, name)) {
            return uplink;
        }
    }
    return NULL;
}

/* The first before 'active' that is up, or null. */
static const struct matd_uplink *
find_better(const struct matd_core *core, const struct matd_uplink *active)
{
    const struct matd_uplink *uplink;

    for (size_t i = 0; (uplink = matd_config_uplink(core->config, i)); i++) {
        if (uplink == active) {
            break;
        } else if (uplink->is_up) {
            return uplink;
        }
    }
    return NULL;
}

/* Watches whether an uplink before the active one stays up. */
static void
await_failback(struct matd_core *core, const struct matd_uplink *active)
{
    uint32_t failback_s = matd_config_get(core->config)->failback_s;
    const struct matd_uplink *better = find_better(core, active);

    if (!better || !failback_s) {
        core->better[0] = '\0';
        core->failback_ms = INT64_MAX;
    } else if (strcmp(core->better, better->name)) {
        ovs_strlcpy(core->better, better->name, sizeof core->better);
        core->failback_ms = time_msec() + failback_s * INT64_C(1000);
    } else if (time_msec() >= core->failback_ms) {
        VLOG_INFO("uplink %s is up for %"PRIu32" s: VMs send by it again",
                  better->name, failback_s);
        ovs_strlcpy(core->active, better->name, sizeof core->active);
        await_failback(core, better);
    }
}

static void
choose_active(struct matd_core *core)
{
    const struct matd_uplink *active = find_uplink(core, core->active);
    const struct matd_uplink *uplink;

    if (active && active->is_up) {
        await_failback(core, active);
        return;
    }
    core->better[0] = '\0';
    core->failback_ms = INT64_MAX;
    for (size_t i = 0; (uplink = matd_config_uplink(core->config, i)); i++) {
        if (uplink->is_up) {
            if (active) {
                VLOG_WARN("uplink %s is down: VMs send by %s", active->name,
                          uplink->name);
            }
            active = uplink;
            break;
        }
    }
    if (!active) {
        active = matd_config_uplink(core->config, 0);
    }
    ovs_strlcpy(core->active, active ? active->name : "",
                sizeof core->active);
}

/* Flows. */

static void
add_vm_flow(void *core_, const struct matd_port *port)
{
    struct matd_core *core = core_;

    if (port->config.enabled && port->ofport != OFPP_NONE) {
        matd_flows_add_vm(core->flows, port->ofport, port->config.zone,
                          &port->device);
    }
}

/* Those that are up come first. */
static void
add_uplink_flow(struct matd_core *core, const struct matd_uplink *uplink)
{
    struct matd_flows_uplink links;

    memset(&links, 0, sizeof links);
    for (int down = 0; down <= 1; down++) {
        for (size_t i = 0; i < uplink->n_links; i++) {
            const struct matd_link *link = &uplink->links[i];

            if (link->ofport != OFPP_NONE && link->is_up == !down
                && links.n_links < MATD_FLOWS_LINKS_MAX) {
                links.links[links.n_links++] = link->ofport;
                links.n_spread += uplink->is_balanced && link->is_up;
            }
        }
    }
    matd_flows_add_uplink(core->flows, &links);
}

/* What the host sends from an address of another uplink than the active one,
 * or to a router there, leaves by that.  A single address, as it is given to a
 * loopback device, belongs to none. */
static void
add_host_flows(struct matd_core *core, const struct matd_told *told)
{
    const struct matd_uplink *uplink = find_uplink(core, told->uplink.name);

    if (!uplink || !uplink->is_up || !strcmp(uplink->name, core->active)
        || uplink->links[0].ofport == OFPP_NONE) {
        return;
    }
    for (size_t i = 0; i < told->uplink.n_subnets; i++) {
        const struct mat_moa_prefix *subnet = &told->uplink.subnets[i];

        if (subnet->plen < mat_addr_bits(&subnet->addr)) {
            matd_flows_add_source(core->flows, &subnet->addr, subnet->plen,
                                  uplink->links[0].ofport);
        }
    }
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < told->uplink.n_routers[v6]; i++) {
            if (mat_addr_is_host(&told->uplink.routers[v6][i])
                && !mat_mac_is_zero(&told->uplink.router_macs[v6][i])) {
                matd_flows_add_router(core->flows,
                                      &told->uplink.router_macs[v6][i],
                                      uplink->links[0].ofport);
            }
        }
    }
}

static void
feed_flows(struct matd_core *core)
{
    const struct matd_bridge *bridge = matd_config_bridge(core->config);
    const struct mat_agent_config *config = matd_config_get(core->config);
    const struct matd_uplink *uplink;

    matd_flows_begin(core->flows, config->bridge[0] ? config->bridge : NULL,
                     config->mode == MAT_AGENT_ACTIVE && core->is_active,
                     bridge->is_shared);
    uplink = find_uplink(core, core->active);
    if (uplink) {
        add_uplink_flow(core, uplink);          /* The first is for sending. */
    }
    for (size_t i = 0; (uplink = matd_config_uplink(core->config, i)); i++) {
        if (strcmp(uplink->name, core->active)) {
            add_uplink_flow(core, uplink);
        }
    }
    for (size_t i = 0; i < MAT_AGENT_UPLINKS_MAX; i++) {
        add_host_flows(core, &core->told[i]);
    }
    matd_config_each_port(core->config, add_vm_flow, core);
    matd_flows_end(core->flows);
}

/* Routers of the active uplink's networks come first. */
static void
feed_routes(struct matd_core *core)
{
    for (size_t i = 0; i < MAT_AGENT_UPLINKS_MAX; i++) {
        const struct mat_moa_uplink *uplink = &core->told[i].uplink;

        if (uplink->name[0] && !strcmp(uplink->name, core->active)) {
            matd_routes_prefer(core->routes, uplink->subnets,
                               uplink->n_subnets);
        }
    }
}

void
matd_core_feed_uplinks(struct matd_core *core)
{
    choose_active(core);
    mat_agent_use_uplink(core->agent, time_usec(), core->active);
    for (size_t i = 0; i < MAT_AGENT_UPLINKS_MAX; i++) {
        feed_uplink(core, i);
    }
    feed_flows(core);
    feed_routes(core);
}

void
matd_core_uplinks_run(struct matd_core *core)
{
    if (core->is_ready && time_msec() >= core->failback_ms) {
        matd_core_feed_uplinks(core);
    }
}

void
matd_core_uplinks_wait(const struct matd_core *core)
{
    if (core->failback_ms != INT64_MAX) {
        poll_timer_wait_until(core->failback_ms);
    }
}
