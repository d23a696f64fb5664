/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-dpif.h"

#include <errno.h>

#include "dp-packet.h"
#include "dpif.h"
#include "flow.h"
#include "mat-word.h"
#include "netlink.h"
#include "odp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat_dpif);

enum { LINGER_MS = 1000 };

static struct dpif *dpif;
static int64_t close_ms;                /* When to close it. */

/* Opens the first datapath of 'type'. */
static bool
open_type(const char *type)
{
    struct sset names = SSET_INITIALIZER(&names);
    const char *name;

    if (!dp_enumerate_names(type, &names)) {
        SSET_FOR_EACH (name, &names) {
            if (!dpif_open(name, type, &dpif)) {
                break;
            }
        }
    }
    sset_destroy(&names);
    return dpif != NULL;
}

void
matx_dpif_open(void)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);
    struct sset types = SSET_INITIALIZER(&types);

    close_ms = time_msec() + LINGER_MS;
    if (dpif) {
        return;
    }
    dp_enumerate_types(&types);
    if (!open_type("netdev")
        && !(sset_contains(&types, "dummy") && open_type("dummy"))) {
        VLOG_WARN_RL(&rl, "there is no userspace datapath to send packets to");
    }
    sset_destroy(&types);
}

static int
execute(struct dp_packet *packet, const struct ofpbuf *actions)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);
    struct flow flow;
    struct dpif_execute execute = {
        .actions = actions->data,
        .actions_len = actions->size,
        .flow = &flow,
        .packet = packet,
    };
    int error;

    matx_dpif_open();
    if (!dpif) {
        return ENODEV;
    }
    flow_extract(packet, &flow);
    error = dpif_execute(dpif, &execute);
    if (error) {
        VLOG_WARN_RL(&rl, "packet was dropped by the datapath (%s)",
                     ovs_strerror(error));
    }
    return error;
}

void
matx_dpif_reenter(struct dp_packet *packet, const struct nlattr *action)
{
    uint32_t word = nl_attr_get_u32(action);
    uint64_t stub[4];
    struct ofpbuf actions;

    ofpbuf_use_stack(&actions, stub, sizeof stub);
    if (word & MAT_WORD_IN && !(word & MAT_WORD_EXPLICIT)) {
        nl_msg_put_u32(&actions, nl_attr_type(action), word);
    } else {
        nl_msg_put_u32(&actions, OVS_ACTION_ATTR_RECIRC,
                       packet->md.recirc_id);
    }
    execute(packet, &actions);
}

bool
matx_dpif_output(uint32_t odp_port, const void *frame, size_t size)
{
    struct dp_packet *packet = dp_packet_clone_data(frame, size);
    uint64_t stub[4];
    struct ofpbuf actions;
    int error;

    ofpbuf_use_stack(&actions, stub, sizeof stub);
    nl_msg_put_odp_port(&actions, OVS_ACTION_ATTR_OUTPUT,
                        u32_to_odp(odp_port));
    pkt_metadata_init(&packet->md, ODPP_NONE);
    error = execute(packet, &actions);
    dp_packet_delete(packet);
    return !error;
}

int64_t
matx_dpif_run(int64_t now_ms)
{
    if (!dpif) {
        return INT64_MAX;
    }
    if (now_ms < close_ms) {
        return close_ms;
    }
    matx_dpif_close();
    return INT64_MAX;
}

void
matx_dpif_close(void)
{
    dpif_close(dpif);
    dpif = NULL;
}
