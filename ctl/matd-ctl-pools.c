/* SPDX-License-Identifier: Apache-2.0 */

/* Commands about mobile addresses: pools, stock, and each that is in use. */

#include <config.h>
#include "matd-ctl.h"

#include <inttypes.h>

#include "mat-agent.h"
#include "matd-ctl-json.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* JSON has no numbers beyond 2^53 that all readers take. */
static void
put_count(struct json *json, const char *name, uint64_t n)
{
    matd_json_int(json, name, MIN(n, UINT64_C(1) << 53));
}

static void
put_time_left(struct json *json, const char *name, int64_t until_us)
{
    if (until_us && until_us < INT64_MAX / 2) {
        matd_json_int(json, name, MAX(until_us - time_usec(), 0));
    }
}

static struct json *
stock_to_json(const struct mat_moa *moa, const struct mat_moa_stock *stock)
{
    struct json *json = json_object_create();
    char advice[MAT_MOA_TEXT_MAX];

    matd_json_string(json, "uplink", stock->uplink);
    json_object_put_string(json, "family", stock->v6 ? "ipv6" : "ipv4");
    matd_json_bool(json, "up", stock->up);
    matd_json_bool(json, "exhausted", stock->exhausted);
    matd_json_bool(json, "low", stock->low);
    put_count(json, "total", stock->n_total);
    put_count(json, "free", stock->n_free);
    for (int i = MAT_MOA_FREE + 1; i < MAT_MOA_N_STATES; i++) {
        put_count(json, mat_moa_state_name(i), stock->n[i]);
    }
    put_count(json, "draining", stock->n_draining);
    put_count(json, "reserved", stock->n_reserved);
    put_time_left(json, "next_free_us", stock->next_free_us);
    if (stock->exhausted || stock->low) {
        json_object_put_string(json, "advice",
                               mat_moa_advice(moa, stock, advice));
    }
    return json;
}

static struct json *
stocks_to_json(const struct mat_moa *moa)
{
    struct json *stocks = json_array_create_empty();
    struct mat_moa_stock stock;
    size_t cursor = 0;

    while (moa && mat_moa_next_stock(moa, &cursor, &stock)) {
        json_array_add(stocks, stock_to_json(moa, &stock));
    }
    return stocks;
}

static struct json *
pool_to_json(const struct mat_agent_pool_view *pool)
{
    struct json *json = json_object_create();

    matd_json_prefix(json, "prefix", &pool->prefix, pool->plen);
    matd_json_bool(json, "own", pool->is_own);
    matd_json_host(json, "host", pool->host);
    if (pool->route_id) {
        matd_json_int(json, "nexthop", pool->route_id);
    }
    if (pool->has_route) {
        struct json *route = json_object_create();

        matd_json_mac(route, "src", &pool->route.src);
        matd_json_mac(route, "dst", &pool->route.dst);
        matd_json_int(route, "mtu", pool->route.mtu);
        json_object_put(json, "route", route);
    }
    return json;
}

static void
unixctl_pools(struct unixctl_conn *conn, int argc, const char *argv[],
              void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct mat_agent_pool_view pool;
    struct matd_ctl_args args;
    struct matd_ctl_page page;
    bool more = false;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    matd_ctl_page_begin(&page, "pools", args.cursor);
    if (!args.cursor) {
        json_object_put(page.reply, "stocks",
                        stocks_to_json(mat_agent_moa(ctl->agent)));
    }
    while (matd_ctl_page_has_room(&page)
           && (more = mat_agent_next_pool(ctl->agent, &page.cursor, &pool))) {
        matd_ctl_page_add(&page, pool_to_json(&pool));
    }
    matd_ctl_reply(conn, matd_ctl_page_end(&page, more));
}

static struct json *
moa_to_json(const struct mat_moa_info *info)
{
    struct json *json = json_object_create();

    matd_json_addr(json, "moa", &info->moa);
    json_object_put_string(json, "state", mat_moa_state_name(info->state));
    matd_json_string(json, "uplink", info->uplink);
    if (!mat_addr_is_zero(&info->owner.hoa)) {
        matd_json_int(json, "zone", info->owner.zone);
        matd_json_addr(json, "hoa", &info->owner.hoa);
    }
    matd_json_bool(json, "routed", info->routed);
    matd_json_bool(json, "home", info->home);
    matd_json_bool(json, "draining", info->draining);
    matd_json_int(json, "conflicts", info->n_conflicts);
    matd_json_age(json, "since_us", info->since_us);
    put_time_left(json, "free_in_us", info->until_us);
    return json;
}

static void
unixctl_moas(struct unixctl_conn *conn, int argc, const char *argv[],
             void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    const struct mat_moa *moa = mat_agent_moa(ctl->agent);
    struct matd_ctl_args args;
    struct matd_ctl_page page;
    struct mat_moa_info info;
    bool more = false;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    matd_ctl_page_begin(&page, "moas", args.cursor);
    while (moa && matd_ctl_page_has_room(&page)
           && (more = mat_moa_next_info(moa, &page.cursor, &info))) {
        matd_ctl_page_add(&page, moa_to_json(&info));
    }
    matd_ctl_reply(conn, matd_ctl_page_end(&page, more));
}

void
matd_ctl_pools_init(struct matd_ctl *ctl)
{
    unixctl_command_register("mat/pools", "[cursor=N]", 0, 1, unixctl_pools,
                             ctl);
    unixctl_command_register("mat/moas", "[cursor=N]", 0, 1, unixctl_moas,
                             ctl);
}
