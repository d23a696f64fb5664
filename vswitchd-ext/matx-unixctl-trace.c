/* SPDX-License-Identifier: Apache-2.0 */

/* From two addresses to the packet that a VMN or the underlay would send: who
 * could have sent it is found in the table, and the rest is made up. */

#include <config.h>
#include "matx-unixctl-trace.h"

#include <netinet/in.h>
#include <stdio.h>

#include "dp-packet.h"
#include "flow.h"
#include "mat-parse.h"
#include "mat-table-read.h"
#include "mat-text.h"
#include "mat-word.h"
#include "matx-compat.h"
#include "matx-table.h"
#include "matx-trace.h"
#include "matx-unixctl.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/util.h"
#include "packets.h"
#include "unixctl.h"

enum { DEFAULT_SIZE = 64 };

struct question {
    struct mat_addr src, dst;
    uint64_t zone;
    const char *port;           /* Null: find out. */
    uint64_t size;              /* Of the packet's payload. */
    uint64_t ttl;

    /* Found in the table. */
    uint32_t in_port;
    bool in;                    /* By an uplink. */
    struct mat_mac eth_src, eth_dst;
};

static bool
parse_option(const char *w, struct question *q)
{
    if (!strncmp(w, "port=", 5)) {
        q->port = w + 5;
        return w[5] != '\0';
    }
    return ((!strncmp(w, "zone=", 5)
             && mat_parse_number(w + 5, MAT_ZONE_MAX, &q->zone))
            || (!strncmp(w, "size=", 5)
                && mat_parse_number(w + 5, 9000, &q->size))
            || (!strncmp(w, "ttl=", 4)
                && mat_parse_number(w + 4, 255, &q->ttl)));
}

static bool
parse_question(int argc, const char *argv[], struct question *q,
               char error[static MAT_PARSE_ERROR_MAX])
{
    int n_addrs = 0;

    *q = (struct question) { .size = DEFAULT_SIZE, .ttl = 64 };
    for (int i = 1; i < argc; i++) {
        if (n_addrs < 2
            && mat_addr_parse(argv[i], n_addrs ? &q->dst : &q->src)) {
            n_addrs++;
        } else if (!parse_option(argv[i], q)) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is neither an "
                     "address nor one of zone=N, port=NAME, size=BYTES and "
                     "ttl=N", argv[i]);
            return false;
        }
    }
    if (n_addrs < 2 || mat_addr_is_v4(&q->src) != mat_addr_is_v4(&q->dst)) {
        snprintf(error, MAT_PARSE_ERROR_MAX,
                 "two addresses of one family are needed");
        return false;
    }
    return true;
}

/* Finds a port: the one called 'name', or with null the first of 'role'. */
static bool
find_port(const char *name, enum mat_port_role role, struct mat_port *port)
{
    uint64_t cursor = 0;

    while (mat_table_next_port(matx_table, &cursor, port)) {
        if (port->odp_port != MAT_TABLE_NO_PORT
            && (name ? !strcmp(port->name, name) : port->role == role)) {
            return true;
        }
    }
    return false;
}

/* Would the VMN with HoA 'src' send to 'dst' directly, rather than to the
 * gateway? */
static bool
is_on_link(const struct question *q)
{
    const struct mat_zone *zone = mat_table_zone(matx_table, q->zone);
    const struct mat_subnet *subnet;

    if (!zone || !zone->n_subnets) {
        return true;
    }
    subnet = mat_zone_subnet(zone, &q->src);
    return subnet && mat_addr_in_prefix(&q->dst, &subnet->prefix,
                                        subnet->plen);
}

/* Who sends it, where does it come in, and with which Ethernet addresses? */
static bool
find_sender(struct question *q, char error[static MAT_PARSE_ERROR_MAX])
{
    static const struct mat_mac gateway = MAT_GATEWAY_MAC;
    struct mat_entry src, dst;
    struct mat_port port;
    bool is_vmn;

    is_vmn = (mat_table_get_live(matx_table, q->zone, &q->src, &src)
              && src.port[0]);
    if (!q->port && !is_vmn
        && !mat_table_get_by_moa(matx_table, &q->dst, &dst)) {
        snprintf(error, MAT_PARSE_ERROR_MAX, "no VMN of this host has the "
                 "first address in zone %"PRIu64", and no mapping has the "
                 "second as its MoA: give zone= or port=", q->zone);
        return false;
    }
    if (!find_port(q->port ? q->port : is_vmn ? src.port : NULL,
                   MAT_PORT_UPLINK, &port)) {
        snprintf(error, MAT_PARSE_ERROR_MAX, "the datapath has no such port");
        return false;
    }
    q->in_port = port.odp_port;
    q->in = port.role == MAT_PORT_UPLINK;
    if (q->in) {
        q->eth_dst = port.used_mac;
        return true;
    }
    q->eth_src = is_vmn ? src.mac : port.used_mac;
    q->eth_dst = (is_on_link(q)
                  && mat_table_get_live(matx_table, q->zone, &q->dst, &dst)
                  ? dst.mac : gateway);
    return true;
}

static void
make_packet(const struct question *q, struct dp_packet *packet)
{
    struct flow flow;

    memset(&flow, 0, sizeof flow);
    memcpy(flow.dl_src.ea, q->eth_src.ea, sizeof flow.dl_src.ea);
    memcpy(flow.dl_dst.ea, q->eth_dst.ea, sizeof flow.dl_dst.ea);
    flow.nw_proto = IPPROTO_UDP;
    flow.nw_ttl = q->ttl;
    flow.tp_src = flow.tp_dst = htons(7);
    if (mat_addr_is_v4(&q->src)) {
        flow.dl_type = htons(ETH_TYPE_IP);
        flow.nw_src = mat_addr_v4(&q->src);
        flow.nw_dst = mat_addr_v4(&q->dst);
    } else {
        flow.dl_type = htons(ETH_TYPE_IPV6);
        memcpy(&flow.ipv6_src, q->src.b, sizeof flow.ipv6_src);
        memcpy(&flow.ipv6_dst, q->dst.b, sizeof flow.ipv6_dst);
    }
    dp_packet_init(packet, 0);
    matx_flow_compose(packet, &flow, q->size);
}

static void
put_json(const struct matx_trace *trace, const struct question *q,
         struct ds *s)
{
    static const char *const fates[] = {
        [MAT_PASS] = "pass",
        [MAT_DELIVER] = "deliver",
        [MAT_REPLY] = "reply",
        [MAT_HOLD] = "hold",
        [MAT_DROP] = "drop",
    };
    char buf[MAT_TEXT_MAX];
    struct mat_text text;

    mat_text_open(&text, MAT_TEXT_JSON, buf, sizeof buf);
    mat_text_string(&text, "direction", q->in ? "in" : "out");
    mat_text_number(&text, "in_port", q->in_port);
    mat_text_string(&text, "verdict", mat_verdict_name(trace->verdict));
    mat_text_string(&text, "fate", fates[trace->fate]);
    mat_text_string(&text, "why", mat_verdict_text(trace->verdict));
    if (trace->fate == MAT_DELIVER) {
        mat_text_number(&text, "out_port", trace->odp_port);
    }
    if (trace->has_after) {
        mat_text_addr(&text, "src", &trace->src[1]);
        mat_text_addr(&text, "dst", &trace->dst[1]);
        mat_text_mac(&text, "eth_src", &trace->eth_src[1]);
        mat_text_mac(&text, "eth_dst", &trace->eth_dst[1]);
        mat_text_number(&text, "ttl", trace->ttl[1]);
    }
    mat_text_number(&text, "emitted", trace->n_emitted);
    if (trace->n_events) {
        mat_text_string(&text, "event", mat_event_name(trace->event));
    }
    ds_put_format(s, "%s\n", mat_text_close(&text));
}

static void
answer(const struct question *q, bool json, struct ds *s)
{
    uint32_t word = q->in ? MAT_WORD_IN : (uint32_t) q->zone;
    struct dp_packet packet;
    struct matx_trace trace;

    make_packet(q, &packet);
    matx_trace_frame(dp_packet_data(&packet), dp_packet_size(&packet), word,
                     q->in_port, &trace);
    if (json) {
        put_json(&trace, q, s);
    } else {
        ds_put_format(s, "mat: %s, from datapath port %"PRIu32"\n",
                      q->in ? "in" : "out", q->in_port);
        matx_trace_format(&trace, s);
    }
    dp_packet_uninit(&packet);
}

static void
unixctl_trace(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    bool json = matx_unixctl_take_json(&argc, argv), ok;
    struct ds s = DS_EMPTY_INITIALIZER;
    char error[MAT_PARSE_ERROR_MAX];
    struct question q;

    if (!parse_question(argc, argv, &q, error)) {
        unixctl_command_reply_error(conn, error);
        return;
    }
    ovs_mutex_lock(&matx_mutex);
    ok = find_sender(&q, error);
    if (ok) {
        answer(&q, json, &s);
    }
    ovs_mutex_unlock(&matx_mutex);
    if (ok) {
        unixctl_command_reply(conn, ds_cstr(&s));
    } else {
        unixctl_command_reply_error(conn, error);
    }
    ds_destroy(&s);
}

void
matx_unixctl_trace_init(void)
{
    unixctl_command_register("mat/trace", "SRC DST [zone=N] [port=NAME] "
                             "[size=BYTES] [ttl=N] [--json]", 2, 7,
                             unixctl_trace, NULL);
}
