/* SPDX-License-Identifier: Apache-2.0 */

/* matctl pools: the stock of mobile addresses, and whose pools there are. */

#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "matctl-table.h"
#include "openvswitch/json.h"
#include "util.h"

static const char *
stock_state(const struct json *stock)
{
    return (!matctl_bool(stock, "up") ? "uplink down"
            : matctl_bool(stock, "exhausted") ? "EXHAUSTED"
            : matctl_bool(stock, "low") ? "low" : "good");
}

/* How many a VMN can have without waiting. */
static void
put_ready(struct matctl_table *table, const struct json *stock)
{
    char *text = xasprintf("%"PRId64, matctl_integer(stock, "warm")
                           + matctl_integer(stock, "probed"));

    matctl_table_cell(table, text);
    free(text);
}

/* A number; of IPv6 addresses there are more than JSON counts. */
static void
put_count(struct matctl_table *table, const struct json *stock,
          const char *name)
{
    if (matctl_integer(stock, name) >= INT64_C(1) << 53) {
        matctl_table_cell(table, "2^53 or more");
    } else {
        matctl_put(table, stock, name);
    }
}

static void
show_stocks(const struct json *reply)
{
    struct matctl_table *table = matctl_table_create(
        "UPLINK", "FAMILY", ">TOTAL", ">FREE", ">READY", ">USED", ">RESTING",
        ">CONFLICT", ">DRAINING", "STATE", NULL);

    for (size_t i = 0; i < matctl_count(reply, "stocks"); i++) {
        const struct json *stock = matctl_item(reply, "stocks", i);

        matctl_put(table, stock, "uplink");
        matctl_put(table, stock, "family");
        put_count(table, stock, "total");
        put_count(table, stock, "free");
        put_ready(table, stock);
        matctl_put(table, stock, "used");
        matctl_put(table, stock, "quarantined");
        matctl_put(table, stock, "conflict");
        matctl_put(table, stock, "draining");
        matctl_table_cell(table, stock_state(stock));
    }
    matctl_table_print(table, stdout);
    if (!matctl_table_n_rows(table)) {
        puts("This host has no pool: set external_ids:mat-pool4 or mat-pool6 "
             "of Open_vSwitch.");
    }
    matctl_table_destroy(table);
    for (size_t i = 0; i < matctl_count(reply, "stocks"); i++) {
        const struct json *stock = matctl_item(reply, "stocks", i);

        if (*matctl_string(stock, "advice")) {
            printf("%s\n", matctl_string(stock, "advice"));
        }
    }
}

static void
show_pools(const struct json *reply)
{
    struct matctl_table *table = matctl_table_create(
        "POOL", "OF", ">NEXTHOP", "BY MAC", ">MTU", NULL);

    for (size_t i = 0; i < matctl_count(reply, "pools"); i++) {
        const struct json *pool = matctl_item(reply, "pools", i);

        matctl_put(table, pool, "prefix");
        if (matctl_bool(pool, "own")) {
            matctl_table_cell(table, "this host");
        } else {
            matctl_put(table, pool, "host");
        }
        matctl_put(table, pool, "nexthop");
        matctl_put(table, pool, "route.dst");
        matctl_put(table, pool, "route.mtu");
    }
    if (matctl_table_n_rows(table)) {
        putchar('\n');
    }
    matctl_table_print(table, stdout);
    matctl_table_destroy(table);
}

static void
show_moas(const struct json *reply)
{
    struct matctl_table *table = matctl_table_create(
        "MOA", "STATE", "UPLINK", ">ZONE", "HOA", ">SINCE", ">FREE IN",
        ">CONFLICTS", NULL);

    for (size_t i = 0; i < matctl_count(reply, "moas"); i++) {
        const struct json *moa = matctl_item(reply, "moas", i);

        matctl_put(table, moa, "moa");
        matctl_put(table, moa, "state");
        matctl_put(table, moa, "uplink");
        matctl_put(table, moa, "zone");
        matctl_put(table, moa, "hoa");
        matctl_put_us(table, moa, "since_us");
        matctl_put_us(table, moa, "free_in_us");
        matctl_put(table, moa, "conflicts");
    }
    matctl_table_print(table, stdout);
    if (!matctl_table_n_rows(table)) {
        puts("No mobile address of this host is in use or ready.");
    }
    matctl_table_destroy(table);
}

enum matctl_status
matctl_pools(struct matctl *ctl, int argc OVS_UNUSED, char *argv[] OVS_UNUSED)
{
    static const char *const by_prefix[] = { "host", "prefix", NULL };
    static const char *const by_moa[] = { "moa", NULL };
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(
        ctl, &reply, ctl->moas ? "mat/moas" : "mat/pools", NULL);

    if (status != MATCTL_OK) {
        return status;
    }
    matctl_sort(reply, "pools", by_prefix);
    matctl_sort(reply, "moas", by_moa);
    if (ctl->json) {
        matctl_print_json(reply);
    } else if (ctl->moas) {
        show_moas(reply);
    } else {
        show_stocks(reply);
        show_pools(reply);
    }
    json_destroy(reply);
    return MATCTL_OK;
}
