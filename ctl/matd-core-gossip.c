/* SPDX-License-Identifier: Apache-2.0 */

/* When there is a gossip engine: while there are keys, and the host has an
 * address that peers can be told. */

#include <config.h>

#include "matd-core-impl.h"

#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_core_gossip);

enum { RETRY_US = 5000000 };

/* Fills in '*config'.  False if there is no address yet.  Unless an address is
 * configured the socket takes both families, for seeds may be of either; peers
 * are told one, IPv4 if there is any. */
static bool
get_config(const struct matd_core *core, struct matd_gossip_config *config)
{
    const struct mat_agent_config *c = matd_config_get(core->config);
    const struct matd_uplink *uplink = matd_config_uplink(core->config, 0);

    memset(config, 0, sizeof *config);
    config->bind = config->advertised = c->bind;
    if (mat_addr_is_zero(&c->bind.addr)) {
        struct mat_addr addr;

        if (!matd_routes_get_addr(core->routes, false, &addr)
            && !matd_routes_get_addr(core->routes, true, &addr)) {
            return false;
        }
        config->advertised.addr = addr;
    }
    config->mtu = uplink ? uplink->mtu : 0;
    config->n_seeds = MIN(c->seeds.n, MAT_GOSSIP_SEEDS_MAX);
    memcpy(config->seeds, c->seeds.item,
           config->n_seeds * sizeof config->seeds[0]);
    return true;
}

static void
set_engine(struct matd_core *core, int64_t now_us)
{
    const struct matd_keys *keys = matd_keys_get(core->keys);

    mat_agent_set_gossip(core->agent, now_us, matd_gossip_engine(core->gossip),
                         matd_gossip_recorder(core->gossip),
                         keys ? keys->cert.host : 0);
}

static void
complain(struct matd_core *core, const char *error)
{
    if (strcmp(core->gossip_error, error)) {
        ovs_strlcpy(core->gossip_error, error, sizeof core->gossip_error);
        if (error[0]) {
            VLOG_WARN("gossip: %s", error);
        }
    }
}

static void
start(struct matd_core *core, int64_t now_us)
{
    char error[MATD_GOSSIP_ERROR_MAX];
    uint32_t generation = matd_state_next_generation(core->state, 0, error);

    if (generation
        && matd_gossip_start(core->gossip, now_us, matd_keys_get(core->keys),
                             generation, error)) {
        complain(core, "");
        VLOG_INFO("gossip: begins as host %#"PRIx64", generation %u",
                  matd_keys_get(core->keys)->cert.host, generation);
        set_engine(core, now_us);
    } else {
        complain(core, error);
        core->gossip_retry_us = now_us + RETRY_US;
    }
}

static void
stop(struct matd_core *core, int64_t now_us)
{
    mat_agent_set_gossip(core->agent, now_us, NULL, NULL, 0);
    matd_gossip_stop(core->gossip, now_us, false);
}

/* Starts or ends the engine as it should be. */
void
matd_core_gossip_configure(struct matd_core *core)
{
    bool wanted = (matd_keys_get(core->keys)
                   && matd_config_bridge(core->config)->name[0]);
    struct matd_gossip_config config;
    int64_t now_us = time_usec();

    if (matd_keys_error(core->keys)) {
        complain(core, matd_keys_error(core->keys));
    }
    if (wanted && get_config(core, &config)) {
        matd_gossip_configure(core->gossip, now_us, &config);
        if (!matd_gossip_engine(core->gossip)
            && now_us >= core->gossip_retry_us) {
            start(core, now_us);
        }
    } else if (!wanted && matd_gossip_engine(core->gossip)) {
        VLOG_INFO("gossip: ends");
        stop(core, now_us);
    }
}

static void
handle_keys(struct matd_core *core, int64_t now_us)
{
    const struct matd_keys *keys = matd_keys_get(core->keys);

    VLOG_INFO("gossip: keys have changed");
    if (keys) {
        mat_agent_await_gossip(core->agent, now_us);
    }
    complain(core, "");
    if (matd_gossip_engine(core->gossip)
        && (!keys || !matd_gossip_set_keys(core->gossip, now_us, keys))) {
        stop(core, now_us);
    }
    core->must_feed = true;
}

void
matd_core_gossip_run(struct matd_core *core, int64_t now_us)
{
    if (matd_keys_run(core->keys, now_us)) {
        handle_keys(core, now_us);
    }
    if (core->gossip_retry_us && now_us >= core->gossip_retry_us) {
        core->gossip_retry_us = 0;
        core->must_feed = true;
    }
    matd_gossip_run(core->gossip, now_us);
}

void
matd_core_gossip_wait(struct matd_core *core)
{
    poll_timer_wait_until(matd_keys_deadline_us(core->keys) / 1000 + 1);
    if (core->gossip_retry_us) {
        poll_timer_wait_until(core->gossip_retry_us / 1000 + 1);
    }
    matd_gossip_wait(core->gossip, time_usec());
}
