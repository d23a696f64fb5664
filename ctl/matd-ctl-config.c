/* SPDX-License-Identifier: Apache-2.0 */

/* mat/config: the configuration in force, as the keys that would say it. */

#include <config.h>
#include "matd-ctl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mat-agent.h"
#include "matd-ctl-json.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "unixctl.h"
#include "util.h"

static void
add_key(struct json *keys, const char *key, const char *value)
{
    struct json *json = json_object_create();

    json_object_put_string(json, "key", key);
    json_object_put_string(json, "value", value);
    json_array_add(keys, json);
}

static void
add_number(struct json *keys, const char *key, uint32_t value)
{
    char *text = xasprintf("%"PRIu32, value);

    add_key(keys, key, text);
    free(text);
}

static void
put_endpoint(struct ds *s, const struct mat_endpoint *endpoint)
{
    char buf[MAT_ADDR_STRLEN];

    if (endpoint->port) {
        mat_addr_format(&endpoint->addr, buf);
        ds_put_format(s, mat_addr_is_v4(&endpoint->addr) ? "%s%s:%u"
                      : "%s[%s]:%u", s->length ? "," : "", buf,
                      endpoint->port);
    }
}

static void
add_ds(struct json *keys, const char *key, struct ds *s)
{
    add_key(keys, key, ds_cstr(s));
    ds_destroy(s);
}

static void
add_lists(struct json *keys, const struct mat_agent_config *config)
{
    struct ds uplinks = DS_EMPTY_INITIALIZER;
    struct ds seeds = DS_EMPTY_INITIALIZER;
    struct ds bind = DS_EMPTY_INITIALIZER;
    struct ds metrics = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < config->uplinks.n; i++) {
        ds_put_format(&uplinks, "%s%s", i ? "," : "",
                      config->uplinks.name[i]);
    }
    for (size_t i = 0; i < config->seeds.n; i++) {
        put_endpoint(&seeds, &config->seeds.item[i]);
    }
    put_endpoint(&bind, &config->bind);
    put_endpoint(&metrics, &config->metrics);
    add_ds(keys, "mat-uplink", &uplinks);
    add_ds(keys, "mat-seeds", &seeds);
    add_ds(keys, "mat-bind", &bind);
    add_ds(keys, "mat-metrics", &metrics);
}

static void
add_pools(struct json *keys, const struct mat_agent_config *config)
{
    for (int v6 = 0; v6 < 2; v6++) {
        const struct mat_moa_items *items = &config->pools[v6];
        struct ds s = DS_EMPTY_INITIALIZER;
        char buf[MAT_MOA_TEXT_MAX];

        for (size_t i = 0; i < items->n; i++) {
            ds_put_format(&s, "%s%s", i ? "," : "",
                          mat_moa_item_format(&items->items[i], buf));
        }
        add_ds(keys, v6 ? "mat-pool6" : "mat-pool4", &s);
    }
}

static void
add_zone(struct json *keys, const struct mat_agent_zone *zone)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    char *key = xasprintf("mat-zone-%"PRIu32, zone->zone.zone);

    for (uint8_t i = 0; i < zone->zone.n_subnets; i++) {
        const struct mat_subnet *subnet = &zone->zone.subnets[i];
        char prefix[MAT_PREFIX_STRLEN], gateway[MAT_ADDR_STRLEN];

        ds_put_format(&s, "%ssubnet=%s", s.length ? " " : "",
                      mat_prefix_format(&subnet->prefix, subnet->plen,
                                        prefix));
        if (!mat_addr_is_zero(&subnet->gateway)) {
            ds_put_format(&s, ",gateway=%s",
                          mat_addr_format(&subnet->gateway, gateway));
        }
    }
    if (zone->has_outside) {
        ds_put_format(&s, "%soutside=%s", s.length ? " " : "",
                      zone->zone.outside ? "true" : "false");
    }
    add_ds(keys, key, &s);
    free(key);
}

static struct json *
keys_to_json(const struct mat_agent_config *config)
{
    static const char *const modes[] = {
        [MAT_AGENT_ACTIVE] = "active", [MAT_AGENT_SHADOW] = "shadow",
        [MAT_AGENT_OFF] = "off"
    };
    static const char *const booleans[] = { "false", "true" };
    struct json *keys = json_array_create_empty();

    add_key(keys, "mat-bridge", config->bridge);
    add_lists(keys, config);
    add_pools(keys, config);
    add_key(keys, "mat-mode", modes[config->mode]);
    add_key(keys, "mat-ports", config->all_ports ? "all" : "opt-in");
    add_key(keys, "mat-learn", config->learn ? "arp" : "configured");
    add_key(keys, "mat-home", booleans[config->home]);
    add_key(keys, "mat-outside", booleans[config->outside]);
    add_number(keys, "mat-zone", config->zone);
    add_number(keys, "mat-hoas-max", config->hoas_max);
    add_number(keys, "mat-macs-max", config->macs_max);
    add_number(keys, "mat-age", config->age_s);
    add_number(keys, "mat-quarantine", config->quarantine_s);
    add_number(keys, "mat-stock", config->stock);
    add_number(keys, "mat-parked", config->parked_s);
    add_number(keys, "mat-failback", config->failback_s);
    for (size_t i = 0; i < config->n_zones; i++) {
        add_zone(keys, &config->zones[i]);
    }
    return keys;
}

static struct json *
port_to_json(const struct mat_agent_port_view *port)
{
    struct json *json = json_object_create();

    matd_json_string(json, "name", port->name);
    matd_json_string(json, "iface_id", port->iface_id);
    matd_json_int(json, "zone", port->zone);
    matd_json_bool(json, "enabled", port->is_enabled);
    matd_json_bool(json, "uplink", port->is_uplink);
    matd_json_bool(json, "live", port->is_live);
    matd_json_int(json, "mtu", port->mtu);
    matd_json_int(json, "macs", port->n_macs);
    matd_json_int(json, "hoas", port->n_hoas);
    matd_json_int(json, "violations", port->n_violations);
    if (port->odp_port != MAT_TABLE_NO_PORT) {
        matd_json_int(json, "datapath_port", port->odp_port);
    }
    return json;
}

/* Ports come in pages, keys and problems with the first. */
static void
unixctl_config(struct unixctl_conn *conn, int argc, const char *argv[],
               void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct mat_agent_port_view port;
    struct matd_ctl_args args;
    struct matd_ctl_page page;
    bool more = false;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    matd_ctl_page_begin(&page, "ports", args.cursor);
    if (!args.cursor) {
        struct json *problems = json_array_create_empty();

        for (size_t i = 0; ctl->problems && i < ctl->problems->n; i++) {
            json_array_add(problems,
                           json_string_create(ctl->problems->text[i]));
        }
        json_object_put(page.reply, "problems", problems);
        json_object_put(page.reply, "keys", ctl->config
                        ? keys_to_json(ctl->config)
                        : json_array_create_empty());
    }
    while (matd_ctl_page_has_room(&page)
           && (more = mat_agent_next_port(ctl->agent, &page.cursor, &port))) {
        matd_ctl_page_add(&page, port_to_json(&port));
    }
    matd_ctl_reply(conn, matd_ctl_page_end(&page, more));
}

void
matd_ctl_config_init(struct matd_ctl *ctl)
{
    unixctl_command_register("mat/config", "[cursor=N]", 0, 1, unixctl_config,
                             ctl);
}
