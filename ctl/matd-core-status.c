/* SPDX-License-Identifier: Apache-2.0 */

/* What matctl asks of the core: see struct matd_ctl_hooks. */

#include <config.h>

#include "matd-core-impl.h"

#include "matd-ctl-json.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_core_status);

static void
put_database(const struct matd_core *core, struct json *status,
             struct json *problems)
{
    struct json *json = json_object_create();
    bool connected = matd_config_is_connected(core->config);

    matd_json_bool(json, "connected", connected);
    json_object_put(status, "database", json);
    if (!connected) {
        matd_ctl_problem(problems, "database", "Open vSwitch's database does "
                         "not answer; what it said before stays in force");
    }
}

static void
put_flows(const struct matd_core *core, struct json *status,
          struct json *problems)
{
    struct json *json = json_object_create();
    struct matd_flows_status s;

    matd_flows_get_status(core->flows, &s);
    matd_json_string(json, "bridge", s.bridge);
    matd_json_bool(json, "connected", s.is_connected);
    matd_json_bool(json, "good", s.is_good);
    matd_json_int(json, "wanted", s.n_wanted);
    matd_json_int(json, "installed", s.n_installed);
    matd_json_int(json, "repaired", s.n_repaired);
    matd_json_int(json, "removed", s.n_removed);
    matd_json_bool(json, "shared_bridge",
                   matd_config_bridge(core->config)->is_shared);
    json_object_put(status, "flows", json);
    if (s.problem) {
        matd_ctl_problem(problems, "flows", s.problem);
    }
}

static void
put_routes(const struct matd_core *core, struct json *status,
           struct json *problems)
{
    struct json *json = json_object_create();
    struct matd_routes_status s;

    matd_routes_get_status(core->routes, &s);
    matd_json_string(json, "device", s.device);
    matd_json_bool(json, "up", s.is_up);
    matd_json_int(json, "mtu", s.mtu);
    matd_json_int(json, "next_hops", s.n_wanted);
    matd_json_int(json, "next_hops_known", s.n_good);
    matd_json_int(json, "neighbours", s.n_neighbours);
    matd_json_int(json, "probes", s.n_probes);
    json_object_put(status, "next_hops", json);
    if (s.problem) {
        matd_ctl_problem(problems, "routes", s.problem);
    }
    if (s.device[0] && !s.is_up) {
        char *text = xasprintf("device %s, the bridge's own port, is not up; "
                               "give it the host's address: ip link set %s up",
                               s.device, s.device);

        matd_ctl_problem(problems, "routes", text);
        free(text);
    }
}

static struct json *
uplink_to_json(const struct matd_uplink *uplink)
{
    struct json *json = json_object_create();
    struct json *links = json_array_create_empty();

    matd_json_string(json, "name", uplink->name);
    matd_json_bool(json, "up", uplink->is_up);
    matd_json_int(json, "mtu", uplink->mtu);
    for (size_t i = 0; i < uplink->n_links; i++) {
        struct json *link = json_object_create();

        matd_json_string(link, "name", uplink->links[i].name);
        matd_json_bool(link, "up", uplink->links[i].is_up);
        json_array_add(links, link);
    }
    json_object_put(json, "links", links);
    return json;
}

static void
put_uplinks(const struct matd_core *core, struct json *status,
            struct json *problems)
{
    struct json *uplinks = json_array_create_empty();
    const struct matd_uplink *uplink;

    for (size_t i = 0; (uplink = matd_config_uplink(core->config, i)); i++) {
        json_array_add(uplinks, uplink_to_json(uplink));
        if (uplink->n_links && !uplink->is_up) {
            char *text = xasprintf("uplink %s is down", uplink->name);

            matd_ctl_problem(problems, "uplinks", text);
            free(text);
        }
    }
    json_object_put(status, "uplink_state", uplinks);
}

static void
hook_status(void *core_, struct json *status, struct json *problems)
{
    const struct matd_core *core = core_;

    put_database(core, status, problems);
    put_flows(core, status, problems);
    put_routes(core, status, problems);
    put_uplinks(core, status, problems);
    if (core->gossip_error[0] && !matd_gossip_engine(core->gossip)) {
        matd_ctl_problem(problems, "gossip", core->gossip_error);
    }
}

static void
hook_activate(void *core_, bool active)
{
    struct matd_core *core = core_;

    if (core->is_active != active) {
        VLOG_INFO("%s by command", active ? "activated" : "deactivated");
        core->is_active = active;
        core->must_feed = core->must_configure = true;
    }
}

static bool
hook_is_active(void *core_)
{
    const struct matd_core *core = core_;

    return core->is_active;
}

/* A warm MoA of the family of 'like', which nobody has. */
static struct mat_addr
find_free_moa(const struct matd_core *core, const struct mat_addr *like)
{
    const struct mat_moa *moa = mat_agent_moa(core->agent);
    struct mat_moa_info info;
    struct mat_addr none;
    size_t cursor = 0;

    while (moa && mat_moa_next_info(moa, &cursor, &info)) {
        if (info.state == MAT_MOA_WARM
            && mat_addr_is_v4(&info.moa) == mat_addr_is_v4(like)) {
            return info.moa;
        }
    }
    memset(&none, 0, sizeof none);
    return none;
}

static bool
hook_path(void *core_, uint64_t host, struct matd_path_request *request,
          char error[MATD_GOSSIP_ERROR_MAX] OVS_UNUSED)
{
    const struct matd_core *core = core_;
    const struct matd_uplink *uplink = matd_config_uplink(core->config, 0);
    const struct mat_addr *here
        = &matd_gossip_get_config(core->gossip)->advertised.addr;
    struct mat_agent_pool_view pool;
    size_t cursor = 0;

    while (mat_agent_next_pool(core->agent, &cursor, &pool)) {
        if (pool.host == host && !pool.is_own && pool.has_route
            && mat_addr_is_v4(&pool.prefix) == mat_addr_is_v4(here)) {
            request->own_moa = find_free_moa(core, &pool.prefix);
            request->src = pool.route.src;
            request->dst = pool.route.dst;
            request->mtu = uplink ? uplink->mtu : 0;
            break;
        }
    }
    return true;
}

void
matd_core_status_init(struct matd_core *core)
{
    core->ctl_hooks = (struct matd_ctl_hooks) {
        .aux = core,
        .status = hook_status,
        .activate = hook_activate,
        .is_active = hook_is_active,
        .path = hook_path,
    };
    core->ctl = (struct matd_ctl) {
        .agent = core->agent,
        .gossip = core->gossip,
        .path = core->path,
        .sw = core->sw,
        .keys = core->keys,
        .state = &core->state_status,
        .qmp = core->qmp,
        .config = matd_config_get(core->config),
        .problems = matd_config_problems(core->config),
        .hooks = &core->ctl_hooks,
    };
    core->metrics = matd_metrics_create(&core->ctl);
    core->ctl.metrics = core->metrics;
    matd_ctl_init(&core->ctl);
}
