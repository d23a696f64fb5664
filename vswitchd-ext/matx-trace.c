/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-trace.h"

#include "dp-packet.h"
#include "flow.h"
#include "mat-hold.h"
#include "mat-packet.h"
#include "matx-compat.h"
#include "matx-table.h"
#include "matx.h"
#include "openvswitch/dynamic-string.h"
#include "util.h"

static void
trace_emit(void *trace_, uint32_t odp_port OVS_UNUSED,
           const void *frame OVS_UNUSED, size_t size)
{
    struct matx_trace *trace = trace_;

    if (!trace->n_emitted++) {
        trace->emitted_size = size;
    }
}

static bool
trace_hold(void *trace_, size_t i OVS_UNUSED, const struct mat_hold_key *key)
{
    struct matx_trace *trace = trace_;

    trace->is_waiting = true;
    trace->key = *key;
    return true;
}

static void
trace_event(void *trace_, const struct mat_event *event)
{
    struct matx_trace *trace = trace_;

    if (!trace->n_events++) {
        trace->event = event->type;
    }
}

/* Notes the addresses of a frame as number 'i'; true if it is IP. */
static bool
note_addresses(void *frame, size_t size, int i, struct matx_trace *trace)
{
    struct mat_packet p;

    if (mat_packet_parse(&p, frame, size) == MAT_PACKET_MALFORMED) {
        return false;
    }
    trace->eth_src[i] = mat_packet_eth_src(&p);
    trace->eth_dst[i] = mat_packet_eth_dst(&p);
    if (!mat_packet_is_ip(&p)) {
        return false;
    }
    trace->src[i] = mat_packet_src(&p);
    trace->dst[i] = mat_packet_dst(&p);
    trace->ttl[i] = mat_packet_ttl(&p);
    return true;
}

void
matx_trace_frame(void *frame, size_t size, uint32_t word, uint32_t in_port,
                 struct matx_trace *trace)
{
    struct mat_switch_thread *thread = xzalloc(sizeof *thread);
    const struct mat_switch_io io = {
        trace_emit, trace_hold, trace_event, trace
    };
    const struct mat_switch_call call = {
        .table = matx_table,
        .thread = thread,
        .io = &io,
        .word = word,
        .in_port = in_port,
        .dry_run = true,
    };
    struct mat_frame f = {
        .data = frame,
        .size = size,
        .l3_ofs = MAT_FRAME_NO_L3,
    };

    memset(trace, 0, sizeof *trace);
    trace->has_before = note_addresses(frame, size, 0, trace);
    mat_switch(&call, &f, 1);
    trace->has_after = (f.edited
                        && note_addresses(frame, size, 1, trace));
    trace->verdict = f.verdict;
    trace->fate = f.fate;
    trace->odp_port = f.odp_port;
    free(thread);
}

static void
format_change(struct ds *s, const char *what, const struct mat_addr *before,
              const struct mat_addr *after)
{
    char a[MAT_ADDR_STRLEN], b[MAT_ADDR_STRLEN];

    ds_put_format(s, "mat: %s %s -> %s\n", what, mat_addr_format(before, a),
                  mat_addr_format(after, b));
}

static void
format_changes(const struct matx_trace *trace, struct ds *s)
{
    char a[MAT_MAC_STRLEN], b[MAT_MAC_STRLEN];

    if (!trace->has_before || !trace->has_after) {
        return;
    }
    if (!mat_addr_equal(&trace->src[0], &trace->src[1])) {
        format_change(s, "source", &trace->src[0], &trace->src[1]);
    }
    if (!mat_addr_equal(&trace->dst[0], &trace->dst[1])) {
        format_change(s, "destination", &trace->dst[0], &trace->dst[1]);
    }
    if (trace->ttl[0] != trace->ttl[1]) {
        ds_put_format(s, "mat: ttl %d -> %d\n", trace->ttl[0], trace->ttl[1]);
    }
    ds_put_format(s, "mat: Ethernet %s to %s\n",
                  mat_mac_format(&trace->eth_src[1], a),
                  mat_mac_format(&trace->eth_dst[1], b));
}

/* What becomes of the packet, in words. */
static void
format_fate(const struct matx_trace *trace, struct ds *s)
{
    char addr[MAT_ADDR_STRLEN];

    switch (trace->fate) {
    case MAT_PASS:
        ds_put_cstr(s, "mat: goes on to the actions that follow\n");
        break;
    case MAT_DELIVER:
        ds_put_format(s, "mat: sent to datapath port %"PRIu32"\n",
                      trace->odp_port);
        break;
    case MAT_REPLY:
        ds_put_format(s, "mat: answered with %"PRIuSIZE" bytes\n",
                      trace->emitted_size);
        break;
    case MAT_HOLD:
        ds_put_format(s, "mat: waits for %s %s\n",
                      mat_hold_kind_name(trace->key.kind),
                      mat_addr_format(&trace->key.addr, addr));
        break;
    case MAT_DROP:
    default:
        ds_put_cstr(s, "mat: dropped\n");
        if (trace->n_emitted) {
            ds_put_format(s, "mat: sender gets an ICMP error of %"PRIuSIZE
                          " bytes\n", trace->emitted_size);
        }
        break;
    }
}

void
matx_trace_format(const struct matx_trace *trace, struct ds *s)
{
    ds_put_format(s, "mat: verdict %s: %s\n", mat_verdict_name(trace->verdict),
                  mat_verdict_text(trace->verdict));
    format_changes(trace, s);
    format_fate(trace, s);
    if (trace->n_events) {
        ds_put_format(s, "mat: the agent is told: %s\n",
                      mat_event_text(trace->event));
    }
}

/* A flow is the headers of a packet; here it becomes one again. */
void
matx_trace(const struct flow *flow, odp_port_t in_port, uint32_t word,
           struct ds *s)
{
    struct matx_trace trace;
    struct dp_packet packet;

    dp_packet_init(&packet, 0);
    matx_flow_compose(&packet, flow, 64);
    ovs_mutex_lock(&matx_mutex);
    if (matx_table) {
        matx_trace_frame(dp_packet_data(&packet), dp_packet_size(&packet),
                         word, odp_to_u32(in_port), &trace);
        matx_trace_format(&trace, s);
    }
    ovs_mutex_unlock(&matx_mutex);
    dp_packet_uninit(&packet);
}
