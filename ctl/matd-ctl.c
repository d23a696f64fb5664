/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matd-ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mat-agent.h"
#include "matd-ctl-json.h"
#include "matd-metrics.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

static int64_t started_us;

struct mat_gossip *
matd_ctl_engine(const struct matd_ctl *ctl)
{
    return ctl->gossip ? matd_gossip_engine(ctl->gossip) : NULL;
}

void
matd_ctl_problem(struct json *problems, const char *part, const char *text)
{
    struct json *problem = json_object_create();

    json_object_put_string(problem, "part", part);
    json_object_put_string(problem, "text", text);
    json_array_add(problems, problem);
}

/* mat/status, part by part. */

static void
put_config(const struct matd_ctl *ctl, struct json *status,
           struct json *problems)
{
    const struct mat_agent_config *config = ctl->config;
    struct json *uplinks = json_array_create_empty();

    for (size_t i = 0; config && i < config->uplinks.n; i++) {
        json_array_add(uplinks, json_string_create(config->uplinks.name[i]));
    }
    matd_json_string(status, "bridge", config ? config->bridge : NULL);
    json_object_put(status, "uplinks", uplinks);
    for (size_t i = 0; ctl->problems && i < ctl->problems->n; i++) {
        matd_ctl_problem(problems, "config", ctl->problems->text[i]);
    }
}

static void
put_agent(const struct matd_ctl *ctl, struct json *status,
          struct json *problems)
{
    static const char *const modes[] = {
        [MAT_AGENT_ACTIVE] = "active", [MAT_AGENT_SHADOW] = "shadow",
        [MAT_AGENT_OFF] = "off"
    };
    struct json *vmns = json_object_create();
    char text[MAT_AGENT_TEXT_SIZE];
    struct mat_agent_summary s;
    size_t cursor = 0;

    mat_agent_summarize(ctl->agent, &s);
    json_object_put_string(status, "mode", modes[s.mode]);
    matd_json_host(status, "host", s.host);
    matd_json_bool(status, "ready", s.is_ready);
    matd_json_bool(status, "in_sync", s.is_in_sync);
    matd_json_int(status, "pending", s.sequence - s.acked);
    matd_json_int(status, "home_addresses", s.n_homes);
    matd_json_int(status, "ports", s.n_ports);
    matd_json_int(status, "entries", s.n_entries);
    matd_json_int(status, "routes", s.n_routes);
    matd_json_int(status, "pools", s.n_pools);
    for (int i = 0; i < MAT_N_LIVES; i++) {
        matd_json_int(vmns, mat_life_name(i), s.n_by_life[i]);
    }
    json_object_put(status, "vmns", vmns);
    while (mat_agent_next_problem(ctl->agent, &cursor, text)) {
        matd_ctl_problem(problems, "agent", text);
    }
}

static void
put_switch(const struct matd_ctl *ctl, struct json *status,
           struct json *problems)
{
    struct json *json = json_object_create();
    struct matd_switch_stats s;

    if (ctl->sw) {
        matd_switch_get_stats(ctl->sw, &s);
        matd_json_bool(json, "connected", matd_switch_is_connected(ctl->sw));
        matd_json_string(json, "socket", s.path);
        matd_json_string(json, "problem", s.problem);
        matd_json_int(json, "connections", s.n_connections);
        matd_json_int(json, "batches", s.n_batches);
        matd_json_int(json, "operations", s.n_ops);
        matd_json_int(json, "refused", s.n_refused);
        matd_json_int(json, "events", s.n_events);
        matd_json_int(json, "events_lost", s.n_events_lost);
        matd_json_int(json, "ack_us", s.ack_us);
        matd_json_int(json, "ack_max_us", s.ack_max_us);
        if (s.problem) {
            matd_ctl_problem(problems, "switch", s.problem);
        }
    }
    json_object_put(status, "switch", json);
}

static void
put_gossip(const struct matd_ctl *ctl, struct json *status,
           struct json *problems)
{
    const struct mat_gossip *engine = matd_ctl_engine(ctl);
    struct json *json = json_object_create();
    struct mat_endpoint bound;
    const char *error;

    matd_json_bool(json, "running", engine != NULL);
    if (engine) {
        struct json *peers = json_object_create();

        matd_json_int(peers, "alive",
                      mat_gossip_n_members(engine, MAT_MEMBER_ALIVE));
        matd_json_int(peers, "suspect",
                      mat_gossip_n_members(engine, MAT_MEMBER_SUSPECT));
        matd_json_int(peers, "dead",
                      mat_gossip_n_members(engine, MAT_MEMBER_DEAD));
        matd_json_int(peers, "left",
                      mat_gossip_n_members(engine, MAT_MEMBER_LEFT));
        json_object_put(json, "peers", peers);
        if (matd_gossip_bound(ctl->gossip, &bound, &error)) {
            matd_json_endpoint(json, "bound", &bound);
        } else {
            matd_json_string(json, "error", error);
            matd_ctl_problem(problems, "gossip",
                             error ? error : "the socket is not bound");
        }
    }
    json_object_put(status, "gossip", json);
}

static void
put_keys(const struct matd_ctl *ctl, struct json *status,
         struct json *problems)
{
    const struct matd_keys *keys = ctl->keys ? matd_keys_get(ctl->keys) : NULL;
    const char *error = ctl->keys ? matd_keys_error(ctl->keys) : NULL;
    struct json *json = json_object_create();

    matd_json_bool(json, "present", keys != NULL);
    if (keys) {
        matd_json_int(json, "serial", keys->cert.serial);
        matd_json_int(json, "not_after_s", keys->cert.not_after_s);
        matd_json_int(json, "join_keys", keys->n_join_keys);
        if (keys->cert.not_after_s <= time_wall()) {
            matd_ctl_problem(problems, "keys", "this host's certificate has "
                             "ended, peers refuse it: issue another "
                             "(\"matctl key issue\")");
        }
    }
    if (error) {
        matd_json_string(json, "error", error);
        matd_ctl_problem(problems, "keys", error);
    }
    json_object_put(status, "keys", json);
}

static void
put_state(const struct matd_ctl *ctl, struct json *status,
          struct json *problems)
{
    struct json *json = json_object_create();

    if (ctl->state) {
        matd_json_int(json, "written", ctl->state->n_written);
        matd_json_int(json, "failed", ctl->state->n_failed);
        matd_json_int(json, "damaged", ctl->state->n_damaged);
        matd_json_int(json, "last_write_us", ctl->state->last_written_us);
        matd_json_bool(json, "pending", ctl->state->is_pending);
        if (ctl->state->last_errno) {
            char *text = xasprintf(
                "cannot keep its state on disk: %s: until that is mended, a "
                "restart would remember what was kept last",
                ovs_strerror(ctl->state->last_errno));

            matd_ctl_problem(problems, "state", text);
            free(text);
        }
    }
    json_object_put(status, "state", json);
}

static void
put_qmp(const struct matd_ctl *ctl, struct json *status,
        struct json *problems)
{
    struct json *list = json_array_create_empty();
    struct matd_qmp_status s;
    void *cursor = NULL;
    size_t n = 0;

    while (ctl->qmp && n++ < MATD_CTL_PAGE
           && matd_qmp_next(ctl->qmp, &cursor, &s)) {
        struct json *json = json_object_create();

        matd_json_string(json, "port", s.port);
        matd_json_string(json, "socket", s.path);
        matd_json_bool(json, "connected", s.is_connected);
        matd_json_string(json, "error", s.error);
        matd_json_string(json, "runstate", s.runstate);
        json_object_put_string(json, "last_hint", matd_qmp_hint_name(s.last));
        json_array_add(list, json);
        if (s.error) {
            char *text = xasprintf("port %s: %s: %s", s.port, s.path,
                                   s.error);

            matd_ctl_problem(problems, "qmp", text);
            free(text);
        }
    }
    json_object_put(status, "qmp", list);
}

static void
unixctl_status(struct unixctl_conn *conn, int argc OVS_UNUSED,
               const char *argv[] OVS_UNUSED, void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct json *status = json_object_create();
    struct json *problems = json_array_create_empty();
    const struct matd_ctl_hooks *hooks = ctl->hooks;

    json_object_put_string(status, "version", MAT_VERSION);
    matd_json_int(status, "pid", getpid());
    matd_json_age(status, "uptime_us", started_us);
    matd_json_bool(status, "active", !hooks || !hooks->is_active
                   || hooks->is_active(hooks->aux));
    put_config(ctl, status, problems);
    put_agent(ctl, status, problems);
    put_switch(ctl, status, problems);
    put_gossip(ctl, status, problems);
    put_keys(ctl, status, problems);
    put_state(ctl, status, problems);
    put_qmp(ctl, status, problems);
    if (hooks && hooks->status) {
        hooks->status(hooks->aux, status, problems);
    }
    if (ctl->metrics && matd_metrics_error(ctl->metrics)) {
        matd_ctl_problem(problems, "metrics",
                         matd_metrics_error(ctl->metrics));
    }
    json_object_put(status, "problems", problems);
    matd_ctl_reply(conn, status);
}

static void
reply_metrics(void *conn, const char *text)
{
    struct json *reply = json_object_create();

    json_object_put_string(reply, "text", text ? text : "");
    matd_ctl_reply(conn, reply);
}

static void
unixctl_metrics(struct unixctl_conn *conn, int argc OVS_UNUSED,
                const char *argv[] OVS_UNUSED, void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;

    if (ctl->metrics) {
        matd_metrics_ask(ctl->metrics, reply_metrics, conn);
    } else {
        unixctl_command_reply_error(conn, "matd is only starting");
    }
}

void
matd_ctl_init(struct matd_ctl *ctl)
{
    started_us = time_usec();
    unixctl_command_register("mat/status", "", 0, 0, unixctl_status, ctl);
    unixctl_command_register("mat/metrics", "", 0, 0, unixctl_metrics, ctl);
    matd_ctl_show_init(ctl);
    matd_ctl_pools_init(ctl);
    matd_ctl_config_init(ctl);
    matd_ctl_change_init(ctl);
}
