/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matd-ctl-json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mat-parse.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

void
matd_json_int(struct json *json, const char *name, int64_t value)
{
    json_object_put(json, name, json_integer_create(value));
}

void
matd_json_bool(struct json *json, const char *name, bool value)
{
    json_object_put(json, name, json_boolean_create(value));
}

void
matd_json_string(struct json *json, const char *name, const char *value)
{
    if (value && *value) {
        json_object_put_string(json, name, value);
    }
}

void
matd_json_addr(struct json *json, const char *name,
               const struct mat_addr *addr)
{
    static const struct mat_addr zero;
    char buf[MAT_ADDR_STRLEN];

    if (!mat_addr_is_zero(addr) && !mat_addr_equal(addr, &zero)) {
        json_object_put_string(json, name, mat_addr_format(addr, buf));
    }
}

void
matd_json_mac(struct json *json, const char *name, const struct mat_mac *mac)
{
    char buf[MAT_MAC_STRLEN];

    if (!mat_mac_is_zero(mac)) {
        json_object_put_string(json, name, mat_mac_format(mac, buf));
    }
}

void
matd_json_host(struct json *json, const char *name, uint64_t host)
{
    if (host) {
        json_object_put_format(json, name, "0x%"PRIx64, host);
    }
}

void
matd_json_prefix(struct json *json, const char *name,
                 const struct mat_addr *addr, unsigned int plen)
{
    char buf[MAT_PREFIX_STRLEN];

    json_object_put_string(json, name, mat_prefix_format(addr, plen, buf));
}

void
matd_json_endpoint(struct json *json, const char *name,
                   const struct mat_endpoint *endpoint)
{
    char buf[MAT_ADDR_STRLEN];

    if (endpoint->port) {
        mat_addr_format(&endpoint->addr, buf);
        json_object_put_format(json, name, mat_addr_is_v4(&endpoint->addr)
                               ? "%s:%u" : "[%s]:%u", buf, endpoint->port);
    }
}

void
matd_json_age(struct json *json, const char *name, int64_t then_us)
{
    if (then_us) {
        matd_json_int(json, name, MAX(time_usec() - then_us, 0));
    }
}

void
matd_json_wall(struct json *json, const char *name, int64_t then_us)
{
    long long int ms = time_wall_msec() - (time_usec() - then_us) / 1000;
    char *text = xastrftime_msec("%Y-%m-%dT%H:%M:%S.###Z", ms, true);

    json_object_put_string(json, name, text);
    free(text);
}

void
matd_ctl_reply(struct unixctl_conn *conn, struct json *json)
{
    char *text = json_to_string(json, 0);

    unixctl_command_reply(conn, text);
    free(text);
    json_destroy(json);
}

/* Arguments. */

static bool
parse_pair(const char *word, struct matd_ctl_args *args)
{
    uint64_t number;

    if (!strncmp(word, "zone=", 5)
        && mat_parse_number(word + 5, MAT_ZONE_MAX, &number)) {
        args->zone = number;
        args->has_zone = true;
    } else if (!strncmp(word, "hoa=", 4)
               && mat_addr_parse(word + 4, &args->addr)) {
        args->has_addr = true;
    } else if (!strncmp(word, "mac=", 4)
               && mat_mac_parse(word + 4, &args->mac)) {
        args->has_mac = true;
    } else if (!strncmp(word, "iface-id=", 9) && word[9]) {
        args->iface_id = word + 9;
    } else if (!strncmp(word, "port=", 5) && word[5]) {
        args->port = word + 5;
    } else if (!strncmp(word, "cursor=", 7)
               && mat_parse_number(word + 7, UINT64_MAX, &args->cursor)) {
        /* Done. */
    } else {
        return false;
    }
    return true;
}

bool
matd_ctl_parse(struct unixctl_conn *conn, int argc, const char *argv[],
               int from, struct matd_ctl_args *args)
{
    memset(args, 0, sizeof *args);
    for (int i = from; i < argc; i++) {
        if (!strcmp(argv[i], "all")) {
            args->all = true;
        } else if (mat_addr_parse(argv[i], &args->addr)) {
            args->has_addr = true;
        } else if (!parse_pair(argv[i], args)) {
            char *why = xasprintf(
                "\"%s\" is not what this takes: an address, zone=N, hoa=ADDR, "
                "mac=MAC, iface-id=ID or port=NAME", argv[i]);

            unixctl_command_reply_error(conn, why);
            free(why);
            return false;
        }
    }
    return true;
}

/* Pages. */

void
matd_ctl_page_begin(struct matd_ctl_page *page, const char *name,
                    uint64_t cursor)
{
    page->reply = json_object_create();
    page->items = json_array_create_empty();
    page->n = 0;
    page->cursor = cursor;
    json_object_put(page->reply, name, page->items);
}

bool
matd_ctl_page_has_room(const struct matd_ctl_page *page)
{
    return page->n < MATD_CTL_PAGE;
}

void
matd_ctl_page_add(struct matd_ctl_page *page, struct json *item)
{
    json_array_add(page->items, item);
    page->n++;
}

struct json *
matd_ctl_page_end(struct matd_ctl_page *page, bool more)
{
    if (more) {
        matd_json_int(page->reply, "next", page->cursor);
    }
    return page->reply;
}
