/* SPDX-License-Identifier: Apache-2.0 */

/* Commands that show one reply of matd as a table. */

#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "matctl-table.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "util.h"

/* Prints the table, or says that there is nothing, and destroys it. */
static void
finish(struct matctl_table *table, const char *nothing)
{
    matctl_table_print(table, stdout);
    if (!matctl_table_n_rows(table)) {
        puts(nothing);
    }
    matctl_table_destroy(table);
}

/* True if the reply was printed as JSON or there is none. */
static bool
is_done(const struct matctl *ctl, enum matctl_status status,
        struct json *reply)
{
    if (status == MATCTL_OK && ctl->json) {
        matctl_print_json(reply);
    }
    if (status != MATCTL_OK || ctl->json) {
        json_destroy(reply);
        return true;
    }
    return false;
}

/* Words for what is special: "home, frozen". */
static void
put_flags(struct matctl_table *table, const struct json *item,
          const char *const flags[][2], size_t n)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        if (matctl_bool(item, flags[i][0])) {
            ds_put_format(&s, "%s%s", s.length ? ", " : "", flags[i][1]);
        }
    }
    matctl_table_cell(table, ds_cstr(&s));
    ds_destroy(&s);
}

/* status. */

static void
line(const char *title, const char *format, ...)
    OVS_PRINTF_FORMAT(2, 3);

static void
line(const char *title, const char *format, ...)
{
    va_list args;

    printf("%-12s", title);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void
show_vmns(const struct json *status)
{
    const struct json *vmns = matctl_get(status, "vmns");
    struct ds s = DS_EMPTY_INITIALIZER;

    if (vmns && vmns->type == JSON_OBJECT) {
        const struct shash_node **nodes = shash_sort(vmns->object);

        for (size_t i = 0; i < shash_count(vmns->object); i++) {
            int64_t n = matctl_integer(nodes[i]->data, "");

            if (n) {
                ds_put_format(&s, "%s%"PRId64" %s", s.length ? ", " : "", n,
                              nodes[i]->name);
            }
        }
        free(nodes);
    }
    line("VMs here", "%s (%"PRId64" home addresses known of all hosts)",
         s.length ? ds_cstr(&s) : "none",
         matctl_integer(status, "home_addresses"));
    ds_destroy(&s);
}

static void
show_switch(const struct json *status)
{
    char last[MATCTL_DURATION_MAX], worst[MATCTL_DURATION_MAX];

    if (!matctl_bool(status, "switch.connected")) {
        line("switch", "NOT CONNECTED: %s",
             matctl_string(status, "switch.problem"));
        return;
    }
    line("switch", "connected, %s; %"PRId64" mappings; last change took %s, "
         "longest %s", matctl_bool(status, "in_sync") ? "in step"
         : "being brought in step", matctl_integer(status, "entries"),
         matctl_duration(matctl_integer(status, "switch.ack_us"), last),
         matctl_duration(matctl_integer(status, "switch.ack_max_us"),
                         worst));
}

static void
show_gossip(const struct json *status)
{
    if (!matctl_bool(status, "gossip.running")) {
        line("gossip", "NOT RUNNING: this host is alone");
        return;
    }
    line("gossip", "%s; peers: %"PRId64" alive, %"PRId64" suspect, %"PRId64
         " dead, %"PRId64" left",
         *matctl_string(status, "gossip.bound")
         ? matctl_string(status, "gossip.bound")
         : matctl_string(status, "gossip.error"),
         matctl_integer(status, "gossip.peers.alive"),
         matctl_integer(status, "gossip.peers.suspect"),
         matctl_integer(status, "gossip.peers.dead"),
         matctl_integer(status, "gossip.peers.left"));
}

static void
show_problems(const struct json *status)
{
    size_t n = matctl_count(status, "problems");

    for (size_t i = 0; i < n; i++) {
        const struct json *p = matctl_item(status, "problems", i);

        line(i ? "" : "PROBLEMS", "%s: %s", matctl_string(p, "part"),
             matctl_string(p, "text"));
    }
    if (!n) {
        line("problems", "none");
    }
}

static void
show_status(const struct json *status)
{
    char up[MATCTL_DURATION_MAX];
    char *uplinks = matctl_text(status, "uplinks");

    line("matd", "%s, up %s, process %"PRId64,
         matctl_string(status, "version"),
         matctl_duration(matctl_integer(status, "uptime_us"), up),
         matctl_integer(status, "pid"));
    line("host", "%s", *matctl_string(status, "host")
         ? matctl_string(status, "host") : "no identity yet");
    line("mode", "%s%s", matctl_string(status, "mode"),
         matctl_bool(status, "active") ? ""
         : ", deactivated (\"matctl activate\" ends that)");
    line("bridge", "%s, uplinks %s", *matctl_string(status, "bridge")
         ? matctl_string(status, "bridge") : "none",
         *uplinks ? uplinks : "none");
    show_vmns(status);
    show_switch(status);
    show_gossip(status);
    show_problems(status);
    free(uplinks);
}

enum matctl_status
matctl_status(struct matctl *ctl, int argc OVS_UNUSED, char *argv[] OVS_UNUSED)
{
    struct json *reply;
    enum matctl_status status = matctl_ask(ctl, &reply, "mat/status", NULL);

    if (!is_done(ctl, status, reply)) {
        show_status(reply);
        json_destroy(reply);
    }
    return status;
}

/* vms, mappings, lookup. */

static const char *const by_hoa[] = { "zone", "hoa", "moa", NULL };

static void
put_vmn_notes(struct matctl_table *table, const struct json *vm)
{
    static const char *const flags[][2] = {
        { "home", "home" },
        { "configured", "configured" },
        { "frozen", "FROZEN" },
        { "conflict", "CONFLICT" },
        { "waiting_for_route", "no route" },
        { "unreachable", "host unreachable" },
    };

    put_flags(table, vm, flags, ARRAY_SIZE(flags));
}

/* Of VMs that have nothing to do with this host. */
static void
put_state(struct matctl_table *table, const struct json *vm)
{
    if (!strcmp(matctl_string(vm, "state"), "absent")
        && *matctl_string(vm, "host")) {
        matctl_table_cell(table, "elsewhere");
    } else {
        matctl_put(table, vm, "state");
    }
}

enum matctl_status
matctl_vms(struct matctl *ctl, int argc OVS_UNUSED, char *argv[] OVS_UNUSED)
{
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(
        ctl, &reply, "mat/vms", ctl->all ? "all" : NULL, NULL);
    struct matctl_table *table;

    matctl_sort(reply, "vms", by_hoa);
    if (is_done(ctl, status, reply)) {
        return status;
    }
    table = matctl_table_create(">ZONE", "HOA", "MOA", "MAC", "STATE", "PORT",
                                "HOST", ">SINCE", "NOTES", NULL);
    for (size_t i = 0; i < matctl_count(reply, "vms"); i++) {
        const struct json *vm = matctl_item(reply, "vms", i);

        matctl_put(table, vm, "zone");
        matctl_put(table, vm, "hoa");
        matctl_put(table, vm, "moa");
        matctl_put(table, vm, "mac");
        put_state(table, vm);
        matctl_put(table, vm, "port");
        matctl_put(table, vm, "host");
        matctl_put_us(table, vm, "since_us");
        put_vmn_notes(table, vm);
    }
    finish(table, ctl->all ? "No VM is known."
           : "No VM on this host is known.  Ports take part with mat-zone, "
             "mat-hoa or mat=true in their external_ids.");
    json_destroy(reply);
    return MATCTL_OK;
}

enum matctl_status
matctl_mappings(struct matctl *ctl, int argc OVS_UNUSED,
                char *argv[] OVS_UNUSED)
{
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(ctl, &reply, "mat/mappings",
                                                 NULL);
    struct matctl_table *table;

    matctl_sort(reply, "mappings", by_hoa);
    if (is_done(ctl, status, reply)) {
        return status;
    }
    table = matctl_table_create(">ZONE", "HOA", "MOA", "STATE", "MAC", "PORT",
                                ">NEXTHOP", "NOTES", NULL);
    for (size_t i = 0; i < matctl_count(reply, "mappings"); i++) {
        static const char *const flags[][2] = { { "hold", "held" } };
        const struct json *m = matctl_item(reply, "mappings", i);

        matctl_put(table, m, "zone");
        matctl_put(table, m, "hoa");
        matctl_put(table, m, "moa");
        matctl_put(table, m, "state");
        matctl_put(table, m, "mac");
        matctl_put(table, m, "port");
        matctl_put(table, m, "nexthop");
        put_flags(table, m, flags, ARRAY_SIZE(flags));
    }
    finish(table, "The switch has no mappings.");
    json_destroy(reply);
    return MATCTL_OK;
}

static void
show_lookup(const struct json *vm)
{
    static const char *const lines[][2] = {
        { "home address", "hoa" },
        { "zone", "zone" },
        { "MAC", "mac" },
        { "mobile", "moa" },
        { "host", "host" },
        { "here", "here" },
        { "state here", "state" },
        { "port", "port" },
        { "version", "version.text" },
        { "frozen", "frozen" },
        { "conflict", "conflict" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char *text = matctl_text(vm, lines[i][1]);

        printf("%-14s%s\n", lines[i][0], *text ? text : "-");
        free(text);
    }
}

enum matctl_status
matctl_lookup(struct matctl *ctl, int argc OVS_UNUSED, char *argv[])
{
    struct json *reply;
    enum matctl_status status = matctl_ask(ctl, &reply, "mat/lookup", argv[1],
                                           ctl->zone, NULL);

    if (!is_done(ctl, status, reply)) {
        show_lookup(reply);
        json_destroy(reply);
    }
    return status;
}

/* peers. */

static void
put_expiry(struct matctl_table *table, const struct json *peer)
{
    time_t at = matctl_integer(peer, "not_after_s");
    char text[32] = "";
    struct tm tm;

    if (at && gmtime_r(&at, &tm)) {
        strftime(text, sizeof text, "%Y-%m-%d", &tm);
    }
    matctl_table_cell(table, text);
}

enum matctl_status
matctl_peers(struct matctl *ctl, int argc OVS_UNUSED, char *argv[] OVS_UNUSED)
{
    static const char *const by_host[] = { "host", NULL };
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(ctl, &reply, "mat/peers",
                                                 NULL);
    struct matctl_table *table;

    matctl_sort(reply, "peers", by_host);
    if (is_done(ctl, status, reply)) {
        return status;
    }
    table = matctl_table_create("HOST", "ADDRESS", "STATE", ">RTT", ">MTU",
                                "ZONES", "CERTIFICATE ENDS", NULL);
    for (size_t i = 0; i < matctl_count(reply, "peers"); i++) {
        const struct json *peer = matctl_item(reply, "peers", i);

        matctl_put(table, peer, "host");
        matctl_put(table, peer, "address");
        matctl_put(table, peer, "state");
        matctl_put_us(table, peer, "rtt_us");
        matctl_put(table, peer, "mtu");
        matctl_put(table, peer, "zones");
        put_expiry(table, peer);
    }
    finish(table, "No other host is known.  \"matctl check\" may say why.");
    json_destroy(reply);
    return MATCTL_OK;
}

/* config, metrics. */

enum matctl_status
matctl_config(struct matctl *ctl, int argc OVS_UNUSED, char *argv[] OVS_UNUSED)
{
    static const char *const by_name[] = { "name", NULL };
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(ctl, &reply, "mat/config",
                                                 NULL);
    struct matctl_table *table;

    matctl_sort(reply, "ports", by_name);
    if (is_done(ctl, status, reply)) {
        return status;
    }
    table = matctl_table_create("KEY", "IN FORCE", NULL);
    for (size_t i = 0; i < matctl_count(reply, "keys"); i++) {
        const struct json *key = matctl_item(reply, "keys", i);

        matctl_put(table, key, "key");
        matctl_put(table, key, "value");
    }
    finish(table, "Nothing is configured.");
    table = matctl_table_create("PORT", ">ZONE", "ON", "LIVE", ">MACS",
                                ">HOAS", ">REFUSED", ">MTU", "IFACE-ID", NULL);
    for (size_t i = 0; i < matctl_count(reply, "ports"); i++) {
        const struct json *port = matctl_item(reply, "ports", i);

        matctl_put(table, port, "name");
        matctl_put(table, port, "zone");
        matctl_put(table, port, "enabled");
        matctl_put(table, port, "live");
        matctl_put(table, port, "macs");
        matctl_put(table, port, "hoas");
        matctl_put(table, port, "violations");
        matctl_put(table, port, "mtu");
        matctl_put(table, port, "iface_id");
    }
    putchar('\n');
    finish(table, "No port takes part.");
    for (size_t i = 0; i < matctl_count(reply, "problems"); i++) {
        char *text = matctl_text(matctl_item(reply, "problems", i), "");

        printf("%sWRONG: %s\n", i ? "" : "\n", text);
        free(text);
    }
    json_destroy(reply);
    return MATCTL_OK;
}

enum matctl_status
matctl_metrics(struct matctl *ctl, int argc OVS_UNUSED,
               char *argv[] OVS_UNUSED)
{
    struct json *reply;
    enum matctl_status status = matctl_ask(ctl, &reply, "mat/metrics", NULL);

    if (!is_done(ctl, status, reply)) {
        fputs(matctl_string(reply, "text"), stdout);
        json_destroy(reply);
    }
    return status;
}
