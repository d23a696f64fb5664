/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-unixctl.h"

#include <stdio.h>
#include <string.h>

#include "mat-parse.h"
#include "mat-text.h"
#include "matx-events.h"
#include "matx-hold.h"
#include "matx-list.h"
#include "matx-server.h"
#include "matx-socket.h"
#include "matx-table.h"
#include "matx-unixctl-trace.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/util.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

enum {
    SHOW_LIMIT = 1000           /* Mappings that mat/show shows unasked. */
};

bool
matx_unixctl_take_json(int *argc, const char *argv[])
{
    int n = 0;

    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--json")) {
            argv[n++] = argv[i];
        }
    }
    n = *argc - n;
    *argc -= n;
    return n > 0;
}

/* "mat/add" is the "add" of mat-parse.h. */
static const char *
word_of(const char *command)
{
    return command + strlen("mat/");
}

static void
reply_and_destroy(struct unixctl_conn *conn, struct ds *s)
{
    unixctl_command_reply(conn, ds_cstr(s));
    ds_destroy(s);
}

/* Changes. */

static void
unixctl_change(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    const char *words[MAT_PARSE_WORDS_MAX];
    char error[MAT_PARSE_ERROR_MAX];
    unsigned int reason;
    struct mat_op op;

    if (argc > MAT_PARSE_WORDS_MAX) {
        unixctl_command_reply_error(conn, "too many words");
        return;
    }
    words[0] = word_of(argv[0]);
    for (int i = 1; i < argc; i++) {
        words[i] = argv[i];
    }
    if (!mat_parse(argc, words, &op, error)) {
        unixctl_command_reply_error(conn, error);
        return;
    }
    reason = matx_server_do(&op);
    if (reason != MAT_UPDATE_GOOD) {
        unixctl_command_reply_error(conn, mat_update_strerror(reason));
    } else {
        unixctl_command_reply(conn, NULL);
    }
}

static void
unixctl_flush(struct unixctl_conn *conn, int argc OVS_UNUSED,
              const char *argv[] OVS_UNUSED, void *aux OVS_UNUSED)
{
    matx_server_flush();
    unixctl_command_reply(conn, NULL);
}

/* Lists. */

static void
list_nexthops(struct matx_list *list)
{
    struct mat_op op = { .type = MAT_OP_NEXTHOP_PUT };
    uint64_t cursor = 0;

    while (mat_table_next_nexthop(matx_table, &cursor, &op.nexthop)) {
        matx_list_op(list, &op);
    }
}

static void
list_zones(struct matx_list *list)
{
    struct mat_op op = { .type = MAT_OP_ZONE_PUT };
    uint64_t cursor = 0;

    while (mat_table_next_zone(matx_table, &cursor, &op.zone)) {
        matx_list_op(list, &op);
    }
}

static void
list_pools(struct matx_list *list)
{
    struct mat_op op = { .type = MAT_OP_POOL_PUT };
    uint64_t cursor = 0;

    while (mat_table_next_pool(matx_table, &cursor, &op.pool)) {
        matx_list_op(list, &op);
    }
}

static void
list_ports(struct matx_list *list)
{
    struct mat_op op = { .type = MAT_OP_PORT_PUT };
    uint64_t cursor = 0;

    while (mat_table_next_port(matx_table, &cursor, &op.port)) {
        if (op.port.role) {
            matx_list_op(list, &op);
        }
    }
}

/* Returns false if there are more than 'limit'. */
static bool
list_entries(struct matx_list *list, uint64_t zone, uint64_t limit)
{
    struct mat_op op = { .type = MAT_OP_ENTRY_PUT };
    uint64_t cursor = 0, n = 0;

    while (mat_table_next(matx_table, &cursor, &op.entry)) {
        if (zone > MAT_ZONE_MAX || op.entry.zone == zone) {
            if (n++ >= limit) {
                return false;
            }
            matx_list_op(list, &op);
        }
    }
    return true;
}

static void
list_holds(struct matx_list *list)
{
    struct mat_hold_queue queue;
    unsigned int cursor = 0;
    int64_t now_ms = time_msec();

    while (matx_hold_next(&cursor, &queue)) {
        struct mat_text *text = matx_list_begin(list);
        int64_t left_ms = queue.deadline_ms - now_ms;

        mat_text_string(text, "waits_for",
                        mat_hold_kind_name(queue.key.kind));
        mat_text_number(text, "zone", queue.key.zone);
        mat_text_addr(text, "addr", &queue.key.addr);
        mat_text_number(text, "packets", queue.n_packets);
        mat_text_number(text, "bytes", queue.n_bytes);
        mat_text_number(text, "expires_ms", MAX(left_ms, 0));
        matx_list_end(list);
    }
}

static const struct {
    const char *word;
    void (*list)(struct matx_list *);
} lists[] = {
    { "ports", list_ports },
    { "nexthops", list_nexthops },
    { "zones", list_zones },
    { "pools", list_pools },
    { "hold", list_holds },
};

/* Without words, lists; with words, changes. */
static void
unixctl_list_or_change(struct unixctl_conn *conn, int argc,
                       const char *argv[], void *aux)
{
    bool json = matx_unixctl_take_json(&argc, argv);
    struct ds s = DS_EMPTY_INITIALIZER;
    struct matx_list list;

    if (argc > 1) {
        unixctl_change(conn, argc, argv, aux);
        return;
    }
    matx_list_open(&list, &s, json);
    ovs_mutex_lock(&matx_mutex);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        if (!strcmp(lists[i].word, word_of(argv[0]))) {
            lists[i].list(&list);
        }
    }
    ovs_mutex_unlock(&matx_mutex);
    matx_list_close(&list);
    ds_put_cstr(&s, json ? "\n" : "");
    reply_and_destroy(conn, &s);
}

/* mat/show. */

static void
show_summary(struct ds *s, bool json)
{
    char buf[MAT_TEXT_MAX];
    struct mat_table_memory m;
    struct mat_text text;

    mat_table_memory(matx_table, &m);
    mat_text_open(&text, json ? MAT_TEXT_JSON : MAT_TEXT_WORDS, buf,
                  sizeof buf);
    mat_text_literal(&text, "#");
    mat_text_string(&text, "socket", matx_socket_path());
    mat_text_number(&text, "clients", matx_socket_n_clients());
    mat_text_number(&text, "subscribers", matx_events_n_subscribers());
    mat_text_number(&text, "ipv4", m.n_entries[0]);
    mat_text_number(&text, "ipv6", m.n_entries[1]);
    mat_text_number(&text, "vmns", m.n_vmns);
    ds_put_format(s, json ? "{\"summary\":%s" : "%s\n",
                  mat_text_close(&text));
}

/* Parses "zone=N" and "limit=N". */
static bool
parse_show(int argc, const char *argv[], uint64_t *zone, uint64_t *limit,
           char error[static MAT_PARSE_ERROR_MAX])
{
    *zone = UINT64_MAX;
    *limit = SHOW_LIMIT;
    for (int i = 1; i < argc; i++) {
        const char *w = argv[i];

        if (!((!strncmp(w, "zone=", 5)
               && mat_parse_number(w + 5, MAT_ZONE_MAX, zone))
              || (!strncmp(w, "limit=", 6)
                  && mat_parse_number(w + 6, UINT64_MAX - 1, limit)))) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is neither "
                     "zone=N nor limit=N", w);
            return false;
        }
    }
    *limit = *limit ? *limit : UINT64_MAX;
    return true;
}

static void
unixctl_show(struct unixctl_conn *conn, int argc, const char *argv[],
             void *aux OVS_UNUSED)
{
    bool json = matx_unixctl_take_json(&argc, argv), complete;
    struct ds s = DS_EMPTY_INITIALIZER;
    char error[MAT_PARSE_ERROR_MAX];
    uint64_t zone, limit;
    struct matx_list list;

    if (!parse_show(argc, argv, &zone, &limit, error)) {
        unixctl_command_reply_error(conn, error);
        return;
    }
    ovs_mutex_lock(&matx_mutex);
    show_summary(&s, json);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        if (lists[i].list != list_holds) {
            if (json) {
                ds_put_format(&s, ",\"%s\":", lists[i].word);
            }
            matx_list_open(&list, &s, json);
            lists[i].list(&list);
            matx_list_close(&list);
        }
    }
    ds_put_cstr(&s, json ? ",\"mappings\":" : "");
    matx_list_open(&list, &s, json);
    complete = list_entries(&list, zone, limit);
    matx_list_close(&list);
    ovs_mutex_unlock(&matx_mutex);
    if (json) {
        ds_put_format(&s, ",\"complete\":%s}\n", complete ? "true" : "false");
    } else if (!complete) {
        ds_put_cstr(&s, "# ...and more: use limit=0 for all\n");
    }
    reply_and_destroy(conn, &s);
}

/* mat/lookup. */

static bool
parse_lookup(int argc, const char *argv[], uint64_t *zone,
             struct mat_addr *addr, bool *by_moa,
             char error[static MAT_PARSE_ERROR_MAX])
{
    bool has_addr = false;

    *zone = 0;
    for (int i = 1; i < argc; i++) {
        const char *w = argv[i];
        bool hoa = !strncmp(w, "hoa=", 4), moa = !strncmp(w, "moa=", 4);

        if (!((!strncmp(w, "zone=", 5)
               && mat_parse_number(w + 5, MAT_ZONE_MAX, zone))
              || ((hoa || moa) && mat_addr_parse(w + 4, addr)))) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is not zone=N, "
                     "hoa=ADDRESS or moa=ADDRESS", w);
            return false;
        }
        *by_moa = moa || (*by_moa && !hoa);
        has_addr |= hoa || moa;
    }
    if (!has_addr) {
        snprintf(error, MAT_PARSE_ERROR_MAX, "hoa= or moa= is missing");
    }
    return has_addr;
}

static void
unixctl_lookup(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    bool json = matx_unixctl_take_json(&argc, argv), by_moa = false, found;
    struct mat_op op = { .type = MAT_OP_ENTRY_PUT };
    char error[MAT_PARSE_ERROR_MAX], buf[MAT_TEXT_MAX];
    struct mat_addr addr;
    uint64_t zone;

    if (!parse_lookup(argc, argv, &zone, &addr, &by_moa, error)) {
        unixctl_command_reply_error(conn, error);
        return;
    }
    ovs_mutex_lock(&matx_mutex);
    found = (by_moa ? mat_table_get_by_moa(matx_table, &addr, &op.entry)
             : mat_table_get_live(matx_table, zone, &addr, &op.entry));
    ovs_mutex_unlock(&matx_mutex);
    if (found) {
        mat_text_op(&op, json ? MAT_TEXT_JSON : MAT_TEXT_WORDS, buf);
        unixctl_command_reply(conn, buf);
    } else {
        unixctl_command_reply_error(conn, by_moa ? "no mapping has this MoA"
                                    : "no live mapping has this HoA");
    }
}

/* Numbers. */

/* What a counter of a verdict means, or "". */
static const char *
explain(const char *name)
{
    const char *dot = strchr(name, '.');

    if (!strncmp(name, "in.", 3) || !strncmp(name, "out.", 4)) {
        for (int i = 0; i < MAT_N_VERDICTS; i++) {
            if (!strcmp(mat_verdict_name(i), dot + 1)) {
                return mat_verdict_text(i);
            }
        }
    }
    return "";
}

static void
put_number(struct ds *s, bool json, const char *name, uint64_t value,
           const char *text)
{
    if (json) {
        ds_put_format(s, "%c\"%s\":%"PRIu64, s->length ? ',' : '{', name,
                      value);
    } else {
        ds_put_format(s, "%-28s %12"PRIu64"%s%s\n", name, value,
                      *text ? "  " : "", text);
    }
}

/* People see what has happened, programs everything. */
static void
unixctl_stats(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    bool json = matx_unixctl_take_json(&argc, argv);
    struct ds s = DS_EMPTY_INITIALIZER;
    char name[MAT_PORT_NAME_SIZE];
    uint64_t value;

    for (unsigned int i = 0; matx_server_counter(i, name, &value); i++) {
        if (json || value) {
            put_number(&s, json, name, value, explain(name));
        }
    }
    ds_put_cstr(&s, json ? "}\n" : "");
    reply_and_destroy(conn, &s);
}

static void
unixctl_stats_clear(struct unixctl_conn *conn, int argc OVS_UNUSED,
                    const char *argv[] OVS_UNUSED, void *aux OVS_UNUSED)
{
    matx_server_clear_counters();
    unixctl_command_reply(conn, NULL);
}

static void
unixctl_memory(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    bool json = matx_unixctl_take_json(&argc, argv);
    struct ds s = DS_EMPTY_INITIALIZER;
    size_t n_held, held_bytes, event_bytes;
    struct mat_table_memory m;

    ovs_mutex_lock(&matx_mutex);
    mat_table_memory(matx_table, &m);
    ovs_mutex_unlock(&matx_mutex);

    put_number(&s, json, "ipv4.mappings", m.n_entries[0], "");
    put_number(&s, json, "ipv4.bytes", m.map_bytes[0], "forward and reverse");
    put_number(&s, json, "ipv6.mappings", m.n_entries[1], "");
    put_number(&s, json, "ipv6.bytes", m.map_bytes[1], "forward and reverse");
    put_number(&s, json, "vmns", m.n_vmns, "mappings with a port here");
    put_number(&s, json, "ports", m.n_ports, "");
    put_number(&s, json, "nexthops", m.n_nexthops, "");
    put_number(&s, json, "zones", m.n_zones, "");
    put_number(&s, json, "pools", m.n_pools, "");
    put_number(&s, json, "other.bytes", m.other_bytes, "all of these");
    put_number(&s, json, "retired.bytes", m.retired_bytes,
               "until readers have gone");
    matx_hold_now(&n_held, &held_bytes);
    put_number(&s, json, "held.packets", n_held, "that wait");
    put_number(&s, json, "held.bytes", held_bytes, "");
    matx_events_memory(&event_bytes);
    put_number(&s, json, "events.bytes", event_bytes, "shared with agents");
    ds_put_cstr(&s, json ? "}\n" : "");
    reply_and_destroy(conn, &s);
}

/* The usage of a command of mat-parse.h, which also lists if it is one that
 * does. */
static const char *
usage_of(const char *command, unixctl_cb_func *cb)
{
    const char *usage = mat_parse_usage(word_of(command));

    return (cb == unixctl_list_or_change ? xasprintf("[--json] | %s", usage)
            : usage);
}

void
matx_unixctl_init(void)
{
    static const struct {
        const char *name;
        const char *usage;      /* Null: what mat-parse.h says. */
        int min_args;
        unixctl_cb_func *cb;
    } commands[] = {
        { "mat/show", "[zone=N] [limit=N] [--json]", 0, unixctl_show },
        { "mat/lookup", "[zone=N] hoa=A | moa=A [--json]", 1,
          unixctl_lookup },
        { "mat/add", NULL, 0, unixctl_change },
        { "mat/del", NULL, 0, unixctl_change },
        { "mat/flush", "", 0, unixctl_flush },
        { "mat/stats", "[--json]", 0, unixctl_stats },
        { "mat/stats-clear", "", 0, unixctl_stats_clear },
        { "mat/memory", "[--json]", 0, unixctl_memory },
        { "mat/ports", NULL, 0, unixctl_list_or_change },
        { "mat/nexthops", NULL, 0, unixctl_list_or_change },
        { "mat/zones", NULL, 0, unixctl_list_or_change },
        { "mat/pools", NULL, 0, unixctl_list_or_change },
        { "mat/hold", NULL, 0, unixctl_list_or_change },
    };

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const char *usage = commands[i].usage;

        if (!usage) {
            usage = usage_of(commands[i].name, commands[i].cb);
        }
        unixctl_command_register(commands[i].name, usage,
                                 commands[i].min_args,
                                 *usage ? MAT_PARSE_WORDS_MAX : 0,
                                 commands[i].cb, NULL);
    }
    matx_unixctl_trace_init();
}
