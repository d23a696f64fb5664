/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_CTL_H
#define MATD_CTL_H 1

/* matd's commands: what "matctl" and "ovs-appctl -t matd mat/..." ask.
 *
 * Every reply is one JSON value, as docs/matctl-json.md has it; an error is a
 * sentence that says what to do.  Commands that list come in pages, so that
 * no question holds up a move: the reply has MATD_CTL_PAGE items and "next",
 * which is given back as "cursor=N" until there is none.
 *
 * matd.c fills in a struct matd_ctl, which it may change at any time, calls
 * matd_ctl_init() once, and unixctl_server_run() does the rest:
 *
 *     static struct matd_ctl ctl;
 *
 *     ctl.agent = agent;
 *     ctl.config = &config;
 *     ctl.hooks = &hooks;
 *     matd_ctl_init(&ctl);
 *
 * Threads: the one of the poll loop. */

#include "matd-gossip.h"
#include "matd-keys.h"
#include "matd-path.h"
#include "matd-qmp.h"
#include "matd-state.h"
#include "matd-switch.h"

struct json;
struct mat_agent;
struct mat_agent_config;
struct mat_agent_problems;
struct matd_metrics;

enum {
    MATD_CTL_PAGE = 500,        /* Items: about a millisecond's work. */
    MATD_CTL_RECORDING_CHUNK = 1 << 18
};

/* What only matd.c knows.  Any may be null. */
struct matd_ctl_hooks {
    void *aux;

    /* Adds what there is to say of flows, routes, uplinks, the database and
     * so on to the reply of mat/status: json_object_put(status, "flows", ...)
     * and what is wrong with them to 'problems': matd_ctl_problem(). */
    void (*status)(void *aux, struct json *status, struct json *problems);

    /* Removes (or puts back) flows and stops to touch any, until matd
     * restarts.  active: whether that is so. */
    void (*activate)(void *aux, bool active);
    bool (*is_active)(void *aux);

    /* Fills in all of '*request' but 'host' for a measurement to 'host'.
     * False with 'error' filled in. */
    bool (*path)(void *aux, uint64_t host, struct matd_path_request *request,
                 char error[MATD_GOSSIP_ERROR_MAX]);
};

/* Null: there is none (now). */
struct matd_ctl {
    struct mat_agent *agent;            /* Never null. */
    struct matd_gossip *gossip;
    struct matd_path *path;
    struct matd_switch *sw;
    struct matd_keys_store *keys;
    const struct matd_state_status *state;
    struct matd_qmp *qmp;
    struct matd_metrics *metrics;
    const struct mat_agent_config *config;      /* In force. */
    const struct mat_agent_problems *problems;  /* Of the configuration. */
    const struct matd_ctl_hooks *hooks;
};

/* Registers the commands.  '*ctl' is the caller's and must stay. */
void matd_ctl_init(struct matd_ctl *ctl);

/* Adds a problem to 'problems', an array: 'part' is what it is of ("flows",
 * "keys"); 'text' says what is wrong and what to do. */
void matd_ctl_problem(struct json *problems, const char *part,
                      const char *text);

#endif /* matd-ctl.h */
