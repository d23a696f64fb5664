/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx.h"

#include "dp-packet.h"
#include "dpif-netdev.h"
#include "mat-switch.h"
#include "matx-compat.h"
#include "matx-events.h"
#include "matx-hold.h"
#include "matx-table.h"
#include "matx-thread.h"
#include "netlink.h"
#include "openvswitch/vlog.h"

VLOG_DEFINE_THIS_MODULE(mat_action);

/* The action on a batch of packets of the userspace datapath: from struct
 * dp_packet to struct mat_frame and back.  What to do is decided by
 * mat_switch(). */

BUILD_ASSERT_DECL((int) NETDEV_MAX_BURST <= (int) MAT_SWITCH_BATCH_MAX);

/* One execution, for the functions that the switch calls back. */
struct execution {
    struct dp_netdev_pmd_thread *pmd;
    struct dp_packet_batch *batch;
    const struct nlattr *action;
    struct matx_thread *thread;
    matx_output_func *output;
};

static __thread bool nothing_left = true;

static void
emit(void *x_, uint32_t odp_port, const void *frame, size_t size)
{
    struct execution *x = x_;
    struct dp_packet *packet = dp_packet_clone_data_with_headroom(
        frame, size, DP_NETDEV_HEADROOM);
    struct dp_packet_batch batch;

    packet->packet_type = htonl(PT_ETH);
    dp_packet_batch_init_packet(&batch, packet);
    x->output(x->pmd, &batch, true, u32_to_odp(odp_port));
}

static bool
hold(void *x_, size_t i, const struct mat_hold_key *key)
{
    struct execution *x = x_;

    return matx_hold_packet(key, x->batch->packets[i], x->action);
}

static void
event(void *x_, const struct mat_event *e)
{
    struct execution *x = x_;

    matx_events_put(x->thread->index, e);
}

static void
frame_init(struct mat_frame *f, struct dp_packet *packet)
{
    f->data = dp_packet_data(packet);
    f->size = dp_packet_size(packet) - dp_packet_l2_pad_size(packet);
    f->l3_ofs = packet->l3_ofs;
    f->l3_csum = matx_l3_csum_state(packet);
    f->l4_csum = matx_l4_csum_state(packet);
    f->is_segmented_later = dp_packet_hwol_is_tso(packet);
}

/* Connection tracking has to look again at a packet that was edited. */
static void
forget_connection(struct dp_packet *packet)
{
    pkt_metadata_init_conn(&packet->md);
}

/* Packets by the port that they are delivered to.  There may be as many ports
 * as packets, and which one is next cannot be predicted, so 'by_port' finds
 * the group of a port without a search, unless two ports share a slot in
 * it. */
struct delivery {
    uint8_t by_port[64];        /* Group, by the lower bits of the port. */
    unsigned int n_groups;
    uint32_t ports[NETDEV_MAX_BURST];
    struct dp_packet_batch groups[NETDEV_MAX_BURST];
};

enum { NO_GROUP = 0xff };

static void
delivery_init(struct delivery *d)
{
    memset(d->by_port, NO_GROUP, sizeof d->by_port);
    d->n_groups = 0;
}

/* Finds the group of 'odp_port' the long way, or adds it. */
static unsigned int
delivery_search(struct delivery *d, uint32_t odp_port, bool trunc)
{
    unsigned int i;

    for (i = 0; i < d->n_groups && d->ports[i] != odp_port; i++) {
        continue;
    }
    if (i == d->n_groups) {
        d->n_groups++;
        d->ports[i] = odp_port;
        dp_packet_batch_init(&d->groups[i]);
        d->groups[i].trunc = trunc;
    }
    d->by_port[odp_port % ARRAY_SIZE(d->by_port)] = i;
    return i;
}

static void
delivery_add(struct delivery *d, uint32_t odp_port, struct dp_packet *packet,
             bool trunc)
{
    unsigned int i = d->by_port[odp_port % ARRAY_SIZE(d->by_port)];

    if (OVS_UNLIKELY(i == NO_GROUP || d->ports[i] != odp_port)) {
        i = delivery_search(d, odp_port, trunc);
    }
    dp_packet_batch_add(&d->groups[i], packet);
}

/* Does with every packet what its frame says.  Those that pass stay in the
 * batch, in their order. */
static void
dispatch(struct execution *x, const struct mat_frame *frames, size_t n)
{
    struct dp_packet *packet;
    struct delivery d;
    size_t i;

    delivery_init(&d);
    DP_PACKET_BATCH_REFILL_FOR_EACH (i, n, packet, x->batch) {
        if (frames[i].fate == MAT_PASS) {
            if (frames[i].edited) {
                forget_connection(packet);
            }
            dp_packet_batch_refill(x->batch, packet, i);
        } else if (frames[i].fate == MAT_DELIVER) {
            delivery_add(&d, frames[i].odp_port, packet, x->batch->trunc);
        } else {
            dp_packet_delete(packet);
        }
    }
    for (i = 0; i < d.n_groups; i++) {
        x->output(x->pmd, &d.groups[i], true, u32_to_odp(d.ports[i]));
    }
}

/* The same if all packets pass edited, or all are delivered to one port. */
static void
dispatch_uniform(struct execution *x, const struct mat_frame *frame)
{
    struct dp_packet_batch *batch = x->batch;
    size_t n = dp_packet_batch_size(batch);

    if (frame->fate == MAT_PASS) {
        for (size_t i = 0; i < n; i++) {
            forget_connection(batch->packets[i]);
        }
    } else {
        x->output(x->pmd, batch, true, u32_to_odp(frame->odp_port));
        dp_packet_batch_init(batch);
    }
}

static void
execute(struct execution *x, long long int now_us)
{
    size_t n = dp_packet_batch_size(x->batch);
    const struct mat_switch_io io = { emit, hold, event, x };
    const struct mat_switch_call call = {
        .table = matx_table,
        .thread = &x->thread->switching,
        .io = &io,
        .word = nl_attr_get_u32(x->action),
        .in_port = odp_to_u32(x->batch->packets[0]->md.in_port.odp_port),
        .now_ms = now_us / 1000,
        .ignores_hold = matx_hold_is_releasing(),
    };
    struct mat_frame frames[NETDEV_MAX_BURST];

    for (size_t i = 0; i < n; i++) {
        frame_init(&frames[i], x->batch->packets[i]);
    }
    /* Delivery is inside the read section, so that a port that was deleted is
     * not sent to any more once matx_port_deleted() has waited. */
    matx_thread_enter(x->thread);
    if (mat_switch(&call, frames, n)) {
        dispatch_uniform(x, &frames[0]);
    } else {
        dispatch(x, frames, n);
    }
    matx_thread_leave(x->thread);
}

/* Drops packets that cannot be looked at. */
static void
refuse(struct dp_packet_batch *batch)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

    if (matx_table) {
        matx_threads_count_refused(dp_packet_batch_size(batch));
        VLOG_WARN_RL(&rl, "packets are dropped, for more than %d threads "
                     "execute the action", MATX_THREADS_MAX);
    }
    dp_packet_delete_batch(batch, true);
    dp_packet_batch_init(batch);
}

void
matx_execute(struct dp_netdev_pmd_thread *pmd, struct dp_packet_batch *batch,
             const struct nlattr *action, bool should_steal OVS_UNUSED,
             long long int now_us, matx_output_func *output)
{
    struct execution x = {
        .pmd = pmd,
        .batch = batch,
        .action = action,
        .thread = matx_table ? matx_thread_self() : NULL,
        .output = output,
    };

    if (dp_packet_batch_is_empty(batch)) {
        return;
    } else if (OVS_LIKELY(x.thread)) {
        execute(&x, now_us);
    } else {
        refuse(batch);
    }
    nothing_left = dp_packet_batch_is_empty(batch);
}

void
matx_packet_watch(void)
{
    nothing_left = true;
}

bool
matx_packet_is_gone(void)
{
    return nothing_left;
}
