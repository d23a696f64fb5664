/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-core-impl.h"

#include <errno.h>

#include "entropy.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

#include "mat-saved.h"

VLOG_DEFINE_THIS_MODULE(matd_core);

enum {
    SAVE_DELAY_MS = 200,        /* What changes together is saved together. */
    SECTION_VMNS = 1            /* Of the state: mat-saved.h. */
};

static void restore(struct matd_core *);
static void save(struct matd_core *);
static void feed(struct matd_core *);
static void pump(struct matd_core *, int64_t now_us);

static const struct matd_switch_handler switch_handler;
static const struct matd_config_handler config_handler;
static const struct matd_routes_handler routes_handler;
static void handle_gossip(void *, int64_t, const struct mat_output *);
static void keep_generation(void *, uint32_t);
static void handle_path(void *, int64_t, const struct mat_endpoint *,
                        const uint8_t *, size_t);
static void log_gossip(void *, bool is_error, const char *line);
static void inject_path(void *, const uint8_t *frame, size_t size);
static void tell_where(void *, uint32_t zone, const struct mat_addr *,
                       struct matd_path_known *);
static void handle_qmp(void *, const char *port, enum matd_qmp_hint);

struct matd_core *
matd_core_create(const struct matd_core_options *options)
{
    struct matd_core *core = xzalloc(sizeof *core);
    const struct matd_gossip_hooks gossip_hooks = {
        .aux = core, .output = handle_gossip,
        .keep_generation = keep_generation, .path = handle_path,
        .log = log_gossip
    };
    const struct matd_path_hooks path_hooks = {
        .aux = core, .inject = inject_path, .where = tell_where
    };
    char error[MATD_STATE_ERROR_MAX], warning[MATD_STATE_ERROR_MAX] = "";
    uint64_t seed;

    get_entropy_or_die(&seed, sizeof seed);
    core->state = matd_state_open(options->state_dir, error, warning);
    if (!core->state) {
        VLOG_ERR("state: %s", error);
        free(core);
        return NULL;
    } else if (warning[0]) {
        VLOG_WARN("state: %s", warning);
    }
    core->is_active = true;
    core->save_ms = core->failback_ms = INT64_MAX;
    core->config = matd_config_create(options->database, &config_handler,
                                      core);
    core->agent = mat_agent_create(seed, matd_config_get(core->config),
                                   time_usec());
    restore(core);
    core->flows = matd_flows_create();
    core->routes = matd_routes_create(&routes_handler, core);
    core->sw = matd_switch_create(options->switch_path, &switch_handler, core);
    core->qmp = matd_qmp_create(handle_qmp, core);
    core->keys = matd_keys_open(options->keys_dir);
    core->gossip = matd_gossip_create(&gossip_hooks);
    core->path = matd_path_create(core->gossip, &path_hooks);
    matd_core_status_init(core);
    return core;
}

void
matd_core_destroy(struct matd_core *core)
{
    if (core) {
        if (core->save_ms != INT64_MAX) {
            save(core);
        }
        matd_metrics_destroy(core->metrics);
        matd_path_destroy(core->path);
        matd_gossip_stop(core->gossip, time_usec(), false);
        mat_agent_set_gossip(core->agent, time_usec(), NULL, NULL, 0);
        matd_gossip_destroy(core->gossip);
        matd_keys_close(core->keys);
        matd_qmp_destroy(core->qmp);
        matd_switch_destroy(core->sw);
        matd_routes_destroy(core->routes);
        matd_flows_destroy(core->flows);
        mat_agent_destroy(core->agent);
        matd_config_destroy(core->config);
        matd_state_close(core->state);
        free(core);
    }
}

bool
matd_core_is_ready(const struct matd_core *core)
{
    return core->is_ready;
}

void
matd_core_run(struct matd_core *core)
{
    int64_t now_us;

    matd_config_run(core->config);
    matd_routes_run(core->routes);
    if (core->is_ready) {
        matd_switch_run(core->sw);
        matd_qmp_run(core->qmp);
    }
    now_us = time_usec();
    matd_core_gossip_run(core, now_us);
    matd_path_run(core->path, now_us);
    if (now_us >= mat_agent_deadline_us(core->agent)) {
        mat_agent_tick(core->agent, now_us);
    }
    pump(core, now_us);
    feed(core);
    matd_core_uplinks_run(core);
    matd_flows_run(core->flows);
    matd_metrics_run(core->metrics, now_us);
    if (time_msec() >= core->save_ms) {
        save(core);
    }
    if (matd_state_run(core->state, &core->state_status)
        && core->state_status.last_errno != core->save_errno) {
        core->save_errno = core->state_status.last_errno;
        if (core->save_errno) {
            VLOG_ERR("state: cannot be written: %s (tried again every %d s)",
                     ovs_strerror(core->save_errno),
                     MATD_STATE_RETRY_MS / 1000);
        } else {
            VLOG_INFO("state: can be written again");
        }
    }
}

static void
wait_until_us(int64_t when_us)
{
    if (when_us < INT64_MAX - 1000000) {
        poll_timer_wait_until(when_us / 1000 + 1);
    }
}

void
matd_core_wait(struct matd_core *core)
{
    matd_config_wait(core->config);
    matd_routes_wait(core->routes);
    if (core->is_ready) {
        matd_switch_wait(core->sw);
        matd_qmp_wait(core->qmp);
    }
    matd_core_gossip_wait(core);
    wait_until_us(matd_path_deadline_us(core->path));
    wait_until_us(mat_agent_deadline_us(core->agent));
    matd_core_uplinks_wait(core);
    matd_flows_wait(core->flows);
    matd_metrics_wait(core->metrics);
    poll_fd_wait(matd_state_fd(core->state), POLLIN);
    if (core->save_ms != INT64_MAX) {
        poll_timer_wait_until(core->save_ms);
    }
    if (core->must_feed) {
        poll_immediate_wake();
    }
}

/* State on disk. */

static void
restore(struct matd_core *core)
{
    const struct matd_state_contents *contents
        = matd_state_contents(core->state);
    size_t n = 0;

    for (size_t i = 0; contents && i < contents->n_sections; i++) {
        const struct matd_state_section *section = &contents->sections[i];
        struct mat_agent_saved saved;
        size_t offset = 0;

        if (section->type != SECTION_VMNS) {
            continue;
        }
        while (mat_saved_decode(section->data, section->size, &offset,
                                &saved)) {
            mat_agent_restore(core->agent, time_usec(), &saved);
            n++;
        }
        if (offset != section->size) {
            VLOG_WARN("state: what follows the first %"PRIuSIZE" records is "
                      "damaged and ignored", n);
        }
    }
    VLOG_INFO("state: %"PRIuSIZE" home addresses restored, generation %u", n,
              matd_state_generation(core->state));
}

static void
save(struct matd_core *core)
{
    struct matd_state_section section = { .type = SECTION_VMNS };
    struct mat_agent_saved saved;
    uint8_t *data = NULL;
    size_t allocated = 0, cursor = 0;

    core->save_ms = INT64_MAX;
    while (mat_agent_next_saved(core->agent, &cursor, &saved)) {
        if (section.size + MAT_SAVED_MAX > allocated) {
            allocated = MAX(4096, 2 * allocated);
            data = xrealloc(data, allocated);
        }
        section.size += mat_saved_encode(&saved, data + section.size);
    }
    section.data = data;
    if (!matd_state_save(core->state, &section, 1)) {
        VLOG_ERR("state: too large to be saved");
    }
    free(data);
}

/* From the database and the kernel to the agent and the flows. */

static void
handle_port(void *core_, const struct matd_port *port)
{
    struct matd_core *core = core_;

    mat_agent_port(core->agent, time_usec(), port->name, &port->config, 0,
                   port->link_tells);
    matd_qmp_set(core->qmp, port->name,
                 port->config.enabled && port->config.qmp[0] ? port->config.qmp
                                                             : NULL);
}

static void
handle_port_removed(void *core_, const char *name)
{
    struct matd_core *core = core_;

    mat_agent_port_removed(core->agent, time_usec(), name);
    matd_qmp_set(core->qmp, name, NULL);
}

static void
handle_config(void *core_)
{
    struct matd_core *core = core_;

    core->must_feed = core->must_configure = true;
}

static void
handle_routes_changed(void *core_)
{
    struct matd_core *core = core_;

    core->must_feed = true;
}

static void
handle_route(void *core_, uint16_t id, const struct mat_agent_route *route)
{
    struct matd_core *core = core_;

    mat_agent_route(core->agent, time_usec(), id, route);
}

static const struct matd_config_handler config_handler = {
    .port = handle_port,
    .port_removed = handle_port_removed,
    .changed = handle_config,
};

static const struct matd_routes_handler routes_handler = {
    .route = handle_route,
    .changed = handle_routes_changed,
};

/* Tells the agent and others what the database and the kernel have said. */
static void
feed(struct matd_core *core)
{
    const struct matd_bridge *bridge = matd_config_bridge(core->config);

    if (!core->must_feed || !matd_config_is_read(core->config)) {
        return;
    }
    core->must_feed = false;
    if (core->must_configure) {
        core->must_configure = false;
        mat_agent_configure(core->agent, time_usec(),
                            matd_config_get(core->config));
        matd_routes_set_device(core->routes, bridge->name, &bridge->mac);
        matd_links_set(&core->links, core->config, core->sw);
        matd_metrics_listen(core->metrics,
                            &matd_config_get(core->config)->metrics);
    }
    matd_core_feed_uplinks(core);
    matd_core_gossip_configure(core);
    if (!core->is_ready) {
        core->is_ready = true;
        mat_agent_ready(core->agent, time_usec());
    }
}

/* From the switch to the agent. */

static void
handle_connected(void *core_, uint64_t instance)
{
    struct matd_core *core = core_;

    mat_agent_switch_connected(core->agent, time_usec(), instance);
    matd_flows_hurry(core->flows);
}

static void
handle_disconnected(void *core_)
{
    struct matd_core *core = core_;

    mat_agent_switch_lost(core->agent, time_usec());
}

static void
handle_event(void *core_, const struct mat_event *event)
{
    struct matd_core *core = core_;
    struct mat_event copy = *event;

    if (matd_links_event(&core->links, &copy)) {
        mat_agent_event(core->agent, time_usec(), &copy);
    }
}

static void
handle_events_lost(void *core_, uint64_t n)
{
    struct matd_core *core = core_;

    mat_agent_events_lost(core->agent, time_usec(), n);
}

static void
handle_acked(void *core_, uint64_t sequence)
{
    struct matd_core *core = core_;

    mat_agent_acked(core->agent, time_usec(), sequence);
}

static void
handle_refused(void *core_, uint64_t sequence, const struct mat_op *op,
               unsigned int reason, const char *why)
{
    struct matd_core *core = core_;
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 10);

    VLOG_WARN_RL(&rl, "switch: refuses operation %"PRIu64": %s", sequence,
                 why);
    mat_agent_refused(core->agent, time_usec(), sequence, op, reason);
}

static void
handle_dumped(void *core_, enum mat_update_dump dump, const struct mat_op *op)
{
    struct matd_core *core = core_;

    struct mat_op copy;

    if (dump == MATD_SWITCH_NUMBERS) {
        matd_metrics_number(core->metrics, op);
        return;
    }
    if (op) {
        copy = *op;
    }
    if (dump == MAT_UPDATE_DUMP_PORTS
        && !matd_links_port(&core->links, op ? &copy : NULL)) {
        return;
    }
    if (op) {
        mat_agent_dump_item(core->agent, time_usec(), dump, &copy);
    } else {
        mat_agent_dump_end(core->agent, time_usec(), dump);
    }
}

static const struct matd_switch_handler switch_handler = {
    .connected = handle_connected,
    .disconnected = handle_disconnected,
    .event = handle_event,
    .events_lost = handle_events_lost,
    .acked = handle_acked,
    .refused = handle_refused,
    .dumped = handle_dumped,
};

/* What QEMU says. */

static void
handle_qmp(void *core_, const char *port, enum matd_qmp_hint said)
{
    static const int kinds[MATD_QMP_N_HINTS] = {
        [MATD_QMP_NONE] = -1,
        [MATD_QMP_INCOMING] = MAT_HINT_PREPARE,
        [MATD_QMP_RUNNING] = MAT_HINT_STARTED,
        [MATD_QMP_PAUSED] = -1,
        [MATD_QMP_STOPPING] = MAT_HINT_HOLD,
        [MATD_QMP_STOPPED] = MAT_HINT_STOPPED,
        [MATD_QMP_MOVED] = MAT_HINT_DONE,
        [MATD_QMP_FAILED] = MAT_HINT_FAILED,
        [MATD_QMP_RESET] = -1,
        [MATD_QMP_SHUTDOWN] = MAT_HINT_RELEASE,
        [MATD_QMP_LOST] = -1,
    };
    struct matd_core *core = core_;
    struct mat_agent_hint hint;

    VLOG_INFO("qmp: port %s: %s", port, matd_qmp_hint_name(said));
    if (kinds[said] < 0) {
        return;
    }
    memset(&hint, 0, sizeof hint);
    hint.kind = kinds[said];
    hint.any_zone = true;
    ovs_strlcpy(hint.port, port, sizeof hint.port);
    mat_agent_hint(core->agent, time_usec(), &hint);
}

/* The gossip engine; see also matd-core-gossip.c. */

static void
handle_gossip(void *core_, int64_t now_us, const struct mat_output *output)
{
    struct matd_core *core = core_;

    mat_agent_gossip(core->agent, now_us, output);
}

static void
keep_generation(void *core_, uint32_t generation)
{
    struct matd_core *core = core_;
    char error[MATD_STATE_ERROR_MAX];

    if (!matd_state_next_generation(core->state, generation, error)) {
        VLOG_ERR("state: %s", error);
    }
}

static void
handle_path(void *core_, int64_t now_us, const struct mat_endpoint *from,
            const uint8_t *data, size_t size)
{
    struct matd_core *core = core_;

    if (matd_keys_get(core->keys)) {
        matd_path_receive(core->path, now_us, matd_keys_get(core->keys), from,
                          data, size);
    }
}

static void
log_gossip(void *core_ OVS_UNUSED, bool is_error, const char *line)
{
    if (is_error) {
        VLOG_WARN("%s", line);
    } else {
        VLOG_INFO("%s", line);
    }
}

/* What this host knows of a HoA, for others. */
static void
tell_where(void *core_, uint32_t zone, const struct mat_addr *hoa,
           struct matd_path_known *known)
{
    const struct matd_core *core = core_;
    struct mat_agent_summary summary;
    struct mat_agent_vmn vmn;

    mat_agent_summarize(core->agent, &summary);
    if (summary.is_in_sync) {
        known->flags |= MAT_PATH_KNOWS_IN_SYNC;
    }
    if (mat_agent_lookup(core->agent, zone, hoa, &vmn)
        && mat_addr_equal(&vmn.hoa, hoa)) {
        known->moa = vmn.moa;
        known->flags |= vmn.is_here ? MAT_PATH_KNOWS_HERE : 0;
        known->flags |= vmn.is_frozen ? MAT_PATH_KNOWS_FROZEN : 0;
    }
}

static void
inject_path(void *core_, const uint8_t *frame, size_t size)
{
    struct matd_core *core = core_;
    const struct matd_uplink *uplink = matd_config_uplink(core->config, 0);
    struct mat_op op;

    if (uplink && uplink->n_links && size <= MAT_UPDATE_FRAME_MAX) {
        memset(&op, 0, sizeof op);
        op.type = MAT_OP_INJECT;
        ovs_strlcpy(op.inject.port, uplink->links[0].name,
                    sizeof op.inject.port);
        op.inject.frame = frame;
        op.inject.size = size;
        matd_switch_put(core->sw, 0, &op);
    }
}

/* What the agent says. */

static void
log_agent(const struct mat_agent_output *output)
{
    static const enum vlog_level levels[] = {
        [MAT_AGENT_DEBUG] = VLL_DBG,
        [MAT_AGENT_INFO] = VLL_INFO,
        [MAT_AGENT_WARN] = VLL_WARN,
        [MAT_AGENT_ALARM] = VLL_ERR,
    };

    VLOG(levels[output->level], "%s", output->text);
}

static void
handle_output(struct matd_core *core, const struct mat_agent_output *output)
{
    switch (output->kind) {
    case MAT_AGENT_SWITCH:
        matd_links_put(&core->links, core->sw, output->sequence,
                       &output->op);
        break;
    case MAT_AGENT_DUMP:
        matd_switch_dump(core->sw, output->dump);
        break;
    case MAT_AGENT_WANT_ROUTE:
        matd_routes_want(core->routes, output->route_id, &output->addr,
                         &output->via.addr);
        break;
    case MAT_AGENT_DROP_ROUTE:
        matd_routes_drop(core->routes, output->route_id);
        break;
    case MAT_AGENT_LOG:
        log_agent(output);
        break;
    case MAT_AGENT_STATE:
        core->save_ms = MIN(core->save_ms, time_msec() + SAVE_DELAY_MS);
        break;
    }
}

/* Passes on what the agent says, the switch's part at once, and has the
 * engine say what follows from it, until both are quiet. */
static void
pump(struct matd_core *core, int64_t now_us)
{
    struct mat_agent_output output;
    bool any;

    do {
        any = false;
        while (mat_agent_next(core->agent, &output)) {
            any = true;
            handle_output(core, &output);
        }
        matd_switch_flush(core->sw);
        if (any) {
            matd_gossip_flush(core->gossip, now_us);
        }
    } while (any);
}
