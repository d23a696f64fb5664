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

/* The action on a batch of packets of the userspace datapath: from struct
 * dp_packet to struct mat_frame and back.  What to do is decided by
 * mat_switch(). */

BUILD_ASSERT_DECL((int) NETDEV_MAX_BURST <= (int) MAT_SWITCH_BATCH_MAX);

/* One execution, for the functions that the switch calls back. */
struct execution {
    struct dp_netdev_pmd_thread *pmd;
    struct dp_packet_batch *batch;
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

    return matx_hold_packet(key, x->batch->packets[i]);
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

/* Sends the packets from number 'first' on that go to the port of number
 * 'first', and marks them as gone by a null pointer in 'packets'. */
static void
deliver(struct execution *x, const struct mat_frame *frames,
        struct dp_packet *packets[], size_t first, size_t n)
{
    uint32_t odp_port = frames[first].odp_port;
    struct dp_packet_batch out;

    dp_packet_batch_init(&out);
    out.trunc = x->batch->trunc;
    for (size_t i = first; i < n; i++) {
        if (packets[i] && frames[i].fate == MAT_DELIVER
            && frames[i].odp_port == odp_port) {
            dp_packet_batch_add(&out, packets[i]);
            packets[i] = NULL;
        }
    }
    x->output(x->pmd, &out, true, u32_to_odp(odp_port));
}

/* Does with every packet what its frame says.  Those that pass stay in the
 * batch, in their order. */
static void
dispatch(struct execution *x, const struct mat_frame *frames, size_t n)
{
    struct dp_packet *packets[NETDEV_MAX_BURST];
    size_t i;

    memcpy(packets, x->batch->packets, n * sizeof *packets);
    dp_packet_batch_refill_init(x->batch);
    for (i = 0; i < n; i++) {
        if (frames[i].fate == MAT_PASS) {
            if (frames[i].edited) {
                /* Connection tracking has to look again. */
                pkt_metadata_init_conn(&packets[i]->md);
            }
            dp_packet_batch_refill(x->batch, packets[i], i);
        } else if (frames[i].fate != MAT_DELIVER) {
            dp_packet_delete(packets[i]);
        } else if (packets[i]) {
            deliver(x, frames, packets, i, n);
        }
    }
}

static void
execute(struct execution *x, uint32_t word, long long int now_us)
{
    size_t n = dp_packet_batch_size(x->batch);
    const struct mat_switch_io io = { emit, hold, event, x };
    const struct mat_switch_call call = {
        .table = matx_table,
        .thread = &x->thread->switching,
        .io = &io,
        .word = word,
        .in_port = odp_to_u32(x->batch->packets[0]->md.in_port.odp_port),
        .now_ms = now_us / 1000,
    };
    struct mat_frame frames[NETDEV_MAX_BURST];

    for (size_t i = 0; i < n; i++) {
        frame_init(&frames[i], x->batch->packets[i]);
    }
    /* Delivery is inside the read section, so that a port that was deleted is
     * not sent to any more once matx_port_deleted() has waited. */
    matx_thread_enter(x->thread);
    mat_switch(&call, frames, n);
    dispatch(x, frames, n);
    matx_thread_leave(x->thread);
}

void
matx_execute(struct dp_netdev_pmd_thread *pmd, struct dp_packet_batch *batch,
             uint32_t word, bool should_steal OVS_UNUSED,
             long long int now_us, matx_output_func *output)
{
    struct execution x = {
        .pmd = pmd,
        .batch = batch,
        .thread = matx_table ? matx_thread_self() : NULL,
        .output = output,
    };

    if (dp_packet_batch_is_empty(batch)) {
        return;
    } else if (OVS_LIKELY(x.thread)) {
        execute(&x, word, now_us);
    } else {
        dp_packet_delete_batch(batch, true);
        dp_packet_batch_init(batch);
    }
    nothing_left = dp_packet_batch_is_empty(batch);
}

bool
matx_packet_is_gone(void)
{
    bool gone = nothing_left;

    nothing_left = true;
    return gone;
}
