/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the switch's configuration database. */

#include <config.h>
#include "matctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dirs.h"
#include "jsonrpc.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "stream.h"
#include "util.h"

static struct json *
make_request(const char *table)
{
    struct json *op = json_object_create();

    json_object_put_string(op, "op", "select");
    json_object_put_string(op, "table", table);
    json_object_put(op, "where", json_array_create_empty());
    return json_array_create_2(json_string_create("Open_vSwitch"), op);
}

/* The reply is [{"rows": [...]}]. */
static struct json *
take_rows(const struct jsonrpc_msg *reply)
{
    const struct json *first = (reply->result
                                ? matctl_item(reply->result, "", 0) : NULL);
    const struct json *rows = first ? matctl_get(first, "rows") : NULL;

    return rows ? json_clone(rows) : NULL;
}

static int
transact(struct jsonrpc *rpc, const char *table, struct json **rows)
{
    struct jsonrpc_msg *reply;
    int error = jsonrpc_transact_block(
        rpc, jsonrpc_create_request("transact", make_request(table), NULL),
        &reply);

    *rows = NULL;
    if (!error) {
        *rows = take_rows(reply);
        error = *rows ? 0 : EPROTO;
        jsonrpc_msg_destroy(reply);
    }
    return error;
}

struct json *
matctl_select(const struct matctl *ctl, const char *table, char **why)
{
    char *path = (ctl->database ? xstrdup(ctl->database)
                  : xasprintf("%s/db.sock", ovs_rundir()));
    char *name = xasprintf("unix:%s", path);
    struct json *rows = NULL;
    struct stream *stream;
    int error = stream_open_block(stream_open(name, &stream, 0), -1, &stream);

    if (!error) {
        struct jsonrpc *rpc = jsonrpc_open(stream);

        error = transact(rpc, table, &rows);
        jsonrpc_close(rpc);
    }
    *why = error ? xasprintf("%s: %s", path, ovs_strerror(error)) : NULL;
    free(name);
    free(path);
    return rows;
}

const char *
matctl_map_get(const struct json *row, const char *column, const char *key)
{
    const struct json *map = matctl_get(row, column);
    const struct json *pairs = map ? matctl_item(map, "", 1) : NULL;

    for (size_t i = 0; pairs && i < matctl_count(pairs, ""); i++) {
        const struct json *pair = matctl_item(pairs, "", i);
        const struct json *k = matctl_item(pair, "", 0);
        const struct json *v = matctl_item(pair, "", 1);

        if (k && v && k->type == JSON_STRING && v->type == JSON_STRING
            && !strcmp(json_string(k), key)) {
            return json_string(v);
        }
    }
    return NULL;
}
