/* SPDX-License-Identifier: Apache-2.0 */

/* Checks of Open vSwitch: daemons, update socket, bridge, uplinks. */

#include <config.h>
#include "matctl-check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mat-switch-client.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "util.h"

static struct json *
first_row(struct json *rows)
{
    const struct json *row = rows ? matctl_item(rows, "", 0) : NULL;
    struct json *copy = row ? json_clone(row) : NULL;

    json_destroy(rows);
    return copy;
}

static void
check_database(struct matctl_check *check)
{
    char *why;

    check->ovs = first_row(matctl_select(check->ctl, "Open_vSwitch", &why));
    if (!check->ovs) {
        matctl_found(check, MATCTL_ERROR, "database",
                     "start Open vSwitch: systemctl start openvswitch-switch; "
                     "or run matctl as root",
                     "the database does not answer: %s",
                     why ? why : "it has no row in Open_vSwitch");
        free(why);
        return;
    }
    check->bridges = matctl_select(check->ctl, "Bridge", &why);
    free(why);
    check->ports = matctl_select(check->ctl, "Port", &why);
    free(why);
    check->interfaces = matctl_select(check->ctl, "Interface", &why);
    free(why);
    matctl_found(check, MATCTL_GOOD, "database", NULL, "Open vSwitch's "
                 "database answers");
}

static void
check_patched(struct matctl_check *check)
{
    char *commands, *why;
    int error = matctl_ask_daemon(check->ctl->switch_target, "list-commands",
                                  0, NULL, &commands, &why);

    if (error) {
        matctl_found(check, MATCTL_ERROR, "switch",
                     "start it: systemctl start openvswitch-switch; then see "
                     "/var/log/openvswitch/ovs-vswitchd.log",
                     "ovs-vswitchd does not answer: %s",
                     why ? why : ovs_strerror(error));
    } else if (!strstr(commands, "mat/show")) {
        matctl_found(check, MATCTL_ERROR, "switch",
                     "install the package openvswitch-mat (or put the patched "
                     "ovs-vswitchd in its place), then restart it: systemctl "
                     "restart openvswitch-switch",
                     "the ovs-vswitchd that runs does not have the mat "
                     "action");
    } else {
        matctl_found(check, MATCTL_GOOD, "switch", NULL,
                     "ovs-vswitchd runs and has the mat action");
    }
    free(commands);
    free(why);
}

static void
check_socket(struct matctl_check *check)
{
    struct mat_switch_client *client = mat_switch_client_open(NULL);
    const char *path = mat_switch_client_default_path();
    int error = errno;

    if (!client) {
        matctl_found(check, MATCTL_ERROR, "socket",
                     error == EACCES
                     ? "run matctl as root; matd needs the group that "
                       "OVS_MAT_SOCKET_GROUP names (ovs-mat(7))"
                     : "a patched ovs-vswitchd opens it with its first port: "
                       "add a bridge with datapath_type=netdev",
                     "%s: %s", path, ovs_strerror(error));
        return;
    }
    if (mat_switch_client_request(client, MAT_UPDATE_BARRIER)) {
        matctl_found(check, MATCTL_GOOD, "socket", NULL,
                     "the switch answers at %s", path);
    } else {
        matctl_found(check, MATCTL_ERROR, "socket",
                     "versions of ovs-vswitchd and matctl may differ: install "
                     "both from one build and restart ovs-vswitchd",
                     "%s: %s", path, mat_switch_client_error(client));
    }
    mat_switch_client_close(client);
}

void
matctl_check_switch(struct matctl_check *check)
{
    unsigned int before = check->n_errors;

    check_database(check);
    check_patched(check);
    if (check->n_errors == before) {
        check_socket(check);
    }
}

/* Bridge. */

/* True if 'ids', a set of references or one, has that of 'row'. */
static bool
refers_to(const struct json *ids, const struct json *row)
{
    const struct json *id = matctl_get(row, "_uuid");
    const struct json *set;

    if (!ids || !id) {
        return false;
    }
    if (json_equal(ids, id)) {
        return true;
    }
    set = matctl_item(ids, "", 1);
    for (size_t i = 0; set && i < matctl_count(set, ""); i++) {
        if (json_equal(matctl_item(set, "", i), id)) {
            return true;
        }
    }
    return false;
}

static void
check_uplink(struct matctl_check *check, const char *name)
{
    const char *bridge_name = matctl_key_value(check, "mat-bridge");
    const struct json *bridge = matctl_find_row(check->bridges, bridge_name);
    const struct json *port = matctl_find_row(check->ports, name);
    char *fix = xasprintf("ovs-vsctl add-port %s %s; or name the right port: "
                          "ovs-vsctl set Open_vSwitch . "
                          "external_ids:mat-uplink=PORT", bridge_name, name);

    if (!bridge || !port || !refers_to(matctl_get(bridge, "ports"), port)) {
        matctl_found(check, MATCTL_ERROR, "uplink", fix,
                     "bridge %s has no port \"%s\"", bridge_name, name);
    } else {
        matctl_found(check, MATCTL_GOOD, "uplink", NULL,
                     "%s is a port of %s", name, bridge_name);
    }
    free(fix);
}

static void
check_bridge_row(struct matctl_check *check, const char *name)
{
    const struct json *bridge = matctl_find_row(check->bridges, name);
    const char *type = bridge ? matctl_string(bridge, "datapath_type") : "";
    char *fix;

    if (!bridge) {
        fix = xasprintf("ovs-vsctl add-br %s -- set bridge %s "
                        "datapath_type=netdev", name, name);
        matctl_found(check, MATCTL_ERROR, "bridge", fix,
                     "there is no bridge \"%s\"", name);
    } else if (strcmp(type, "netdev")) {
        fix = xasprintf("ovs-vsctl set bridge %s datapath_type=netdev (this "
                        "interrupts its traffic for a moment)", name);
        matctl_found(check, MATCTL_ERROR, "bridge", fix, "bridge %s is of the "
                     "kernel datapath, which has no mat action", name);
    } else {
        fix = NULL;
        matctl_found(check, MATCTL_GOOD, "bridge", NULL,
                     "bridge %s is of the userspace datapath", name);
    }
    free(fix);
}

static void
check_set(struct matctl_check *check, const char *key, const char *what,
          const char *fix)
{
    if (!*matctl_key_value(check, key)) {
        matctl_found(check, MATCTL_ERROR, key, fix, "%s", what);
    }
}

void
matctl_check_bridge(struct matctl_check *check)
{
    if (!check->ovs) {
        return;
    }
    check_set(check, "mat-bridge", "no bridge is configured",
              "ovs-vsctl set Open_vSwitch . external_ids:mat-bridge=BRIDGE");
    check_set(check, "mat-uplink", "no uplink is configured",
              "ovs-vsctl set Open_vSwitch . external_ids:mat-uplink=PORT");
    if (!*matctl_key_value(check, "mat-pool4")
        && !*matctl_key_value(check, "mat-pool6")) {
        matctl_found(check, MATCTL_ERROR, "mat-pool4",
                     "ovs-vsctl set Open_vSwitch . "
                     "external_ids:mat-pool4=FIRST-LAST, addresses of the "
                     "uplink's network that nobody else uses; mat-pool6 for "
                     "IPv6", "no pool of mobile addresses is configured");
    }
    if (*matctl_key_value(check, "mat-bridge")) {
        check_bridge_row(check, matctl_key_value(check, "mat-bridge"));
        matctl_each_uplink(check, check_uplink);
    }
}
