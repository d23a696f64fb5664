/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_CORE_IMPL_H
#define MATD_CORE_IMPL_H 1

/* The inside of matd-core: what its sources share. */

#include "mat-agent.h"
#include "matd-config.h"
#include "matd-core.h"
#include "matd-ctl.h"
#include "matd-flows.h"
#include "matd-gossip.h"
#include "matd-keys.h"
#include "matd-links.h"
#include "matd-metrics.h"
#include "matd-path.h"
#include "matd-qmp.h"
#include "matd-routes.h"
#include "matd-state.h"
#include "matd-switch.h"

/* What the agent was told of an uplink. */
struct matd_told {
    struct mat_moa_uplink uplink;
    uint16_t mtu;
};

struct matd_core {
    struct mat_agent *agent;
    struct matd_config *config;
    struct matd_flows *flows;
    struct matd_routes *routes;
    struct matd_switch *sw;
    struct matd_links links;
    struct matd_qmp *qmp;
    struct matd_state *state;
    struct matd_keys_store *keys;
    struct matd_gossip *gossip;
    struct matd_path *path;
    struct matd_metrics *metrics;

    bool is_ready;
    bool is_active;             /* Else: "matctl deactivate". */
    bool must_feed, must_configure;
    struct matd_told told[MAT_AGENT_UPLINKS_MAX];
    char active[MAT_PORT_NAME_SIZE];    /* The uplink by which VMNs send. */
    char better[MAT_PORT_NAME_SIZE];    /* One before it that is up, or "". */
    int64_t failback_ms;        /* When they go back to that, or INT64_MAX. */

    int64_t save_ms;            /* When to save, or INT64_MAX. */
    int save_errno;             /* As logged. */
    struct matd_state_status state_status;

    char gossip_error[MATD_GOSSIP_ERROR_MAX];   /* Why there is no engine. */
    int64_t gossip_retry_us;

    struct matd_ctl ctl;
    struct matd_ctl_hooks ctl_hooks;
};

/* matd-core-gossip.c: the engine's beginning and end. */
void matd_core_gossip_configure(struct matd_core *);
void matd_core_gossip_run(struct matd_core *, int64_t now_us);
void matd_core_gossip_wait(struct matd_core *);

/* matd-core-uplinks.c: tells agent, flows and routes about the uplinks, and
 * the flows about the ports. */
void matd_core_feed_uplinks(struct matd_core *);
void matd_core_uplinks_run(struct matd_core *);
void matd_core_uplinks_wait(const struct matd_core *);

/* matd-core-status.c: what matctl asks. */
void matd_core_status_init(struct matd_core *);

#endif /* matd-core-impl.h */
