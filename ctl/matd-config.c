/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-config.h"

#include "flow.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "ovsdb-idl.h"
#include "smap.h"
#include "util.h"
#include "vswitch-idl.h"

VLOG_DEFINE_THIS_MODULE(matd_config);

struct port_node {
    struct matd_port port;
    unsigned int pass;          /* In which it was last seen. */
};

struct matd_config {
    struct ovsdb_idl *idl;
    unsigned int seqno;
    const struct matd_config_handler *handler;
    void *aux;

    bool is_read;
    struct mat_agent_config config;
    struct mat_agent_problems problems, problems_before;
    struct matd_bridge bridge;
    struct matd_uplink uplinks[MAT_AGENT_UPLINKS_MAX];
    struct shash ports;         /* struct port_node */
    unsigned int pass;
};

static void read_database(struct matd_config *);
static void read_bridge(struct matd_config *);
static void read_uplink(struct matd_config *, const struct ovsrec_bridge *,
                        struct matd_uplink *);
static void read_ports(struct matd_config *, const struct ovsrec_bridge *);
static void log_problems(struct matd_config *);

struct matd_config *
matd_config_create(const char *remote,
                   const struct matd_config_handler *handler, void *aux)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsrec_open_vswitch_col_external_ids,
        &ovsrec_open_vswitch_col_bridges,
        &ovsrec_bridge_col_name,
        &ovsrec_bridge_col_ports,
        &ovsrec_bridge_col_fail_mode,
        &ovsrec_bridge_col_datapath_type,
        &ovsrec_port_col_name,
        &ovsrec_port_col_interfaces,
        &ovsrec_port_col_lacp,
        &ovsrec_port_col_bond_active_slave,
        &ovsrec_interface_col_name,
        &ovsrec_interface_col_type,
        &ovsrec_interface_col_external_ids,
        &ovsrec_interface_col_ofport,
        &ovsrec_interface_col_mtu,
        &ovsrec_interface_col_link_state,
        &ovsrec_interface_col_lacp_current,
        &ovsrec_interface_col_mac_in_use,
    };
    struct matd_config *c = xzalloc(sizeof *c);

    c->idl = ovsdb_idl_create(remote, &ovsrec_idl_class, false, true);
    ovsdb_idl_add_table(c->idl, &ovsrec_table_open_vswitch);
    ovsdb_idl_add_table(c->idl, &ovsrec_table_bridge);
    ovsdb_idl_add_table(c->idl, &ovsrec_table_port);
    ovsdb_idl_add_table(c->idl, &ovsrec_table_interface);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        ovsdb_idl_add_column(c->idl, columns[i]);
    }
    c->handler = handler;
    c->aux = aux;
    mat_agent_config_default(&c->config);
    shash_init(&c->ports);
    return c;
}

void
matd_config_destroy(struct matd_config *c)
{
    if (c) {
        ovsdb_idl_destroy(c->idl);
        shash_destroy_free_data(&c->ports);
        free(c);
    }
}

void
matd_config_run(struct matd_config *c)
{
    unsigned int seqno;

    ovsdb_idl_run(c->idl);
    seqno = ovsdb_idl_get_seqno(c->idl);
    if (seqno != c->seqno && ovsdb_idl_has_ever_connected(c->idl)) {
        c->seqno = seqno;
        c->is_read = true;
        read_database(c);
        c->handler->changed(c->aux);
    }
}

void
matd_config_wait(struct matd_config *c)
{
    ovsdb_idl_wait(c->idl);
}

bool
matd_config_is_read(const struct matd_config *c)
{
    return c->is_read;
}

bool
matd_config_is_connected(const struct matd_config *c)
{
    return ovsdb_idl_is_connected(c->idl);
}

const struct mat_agent_config *
matd_config_get(const struct matd_config *c)
{
    return &c->config;
}

const struct mat_agent_problems *
matd_config_problems(const struct matd_config *c)
{
    return &c->problems;
}

const struct matd_bridge *
matd_config_bridge(const struct matd_config *c)
{
    return &c->bridge;
}

const struct matd_uplink *
matd_config_uplink(const struct matd_config *c, size_t i)
{
    return i < c->config.uplinks.n && c->bridge.name[0] ? &c->uplinks[i]
                                                        : NULL;
}

const struct matd_port *
matd_config_find_port(const struct matd_config *c, const char *name)
{
    const struct port_node *node = shash_find_data(&c->ports, name);

    return node ? &node->port : NULL;
}

void
matd_config_each_port(const struct matd_config *c,
                      void (*each)(void *aux, const struct matd_port *),
                      void *aux)
{
    const struct shash_node *node;

    SHASH_FOR_EACH (node, &c->ports) {
        each(aux, &((const struct port_node *) node->data)->port);
    }
}

/* Reading. */

/* The pairs of 'smap', to be freed. */
static struct mat_agent_pair *
copy_pairs(const struct smap *smap, size_t *n)
{
    const struct smap_node **nodes = smap_sort(smap);
    struct mat_agent_pair *pairs;

    *n = smap_count(smap);
    pairs = xmalloc((*n + 1) * sizeof *pairs);
    for (size_t i = 0; i < *n; i++) {
        pairs[i].key = nodes[i]->key;
        pairs[i].value = nodes[i]->value;
    }
    free(nodes);
    return pairs;
}

OVS_PRINTF_FORMAT(2, 3)
static void
complain(struct matd_config *c, const char *format, ...)
{
    struct mat_agent_problems *p = &c->problems;
    va_list args;

    if (p->n < MAT_AGENT_PROBLEMS_MAX) {
        va_start(args, format);
        vsnprintf(p->text[p->n++], MAT_AGENT_PROBLEM_SIZE, format, args);
        va_end(args);
    }
}

static void
read_database(struct matd_config *c)
{
    const struct ovsrec_open_vswitch *row;
    struct mat_agent_config *last = xmemdup(&c->config, sizeof c->config);

    c->problems_before = c->problems;
    c->problems.n = 0;
    row = ovsrec_open_vswitch_first(c->idl);
    if (row) {
        size_t n;
        struct mat_agent_pair *pairs = copy_pairs(&row->external_ids, &n);

        mat_agent_config_build(&c->config, last, pairs, n, &c->problems);
        free(pairs);
    }
    free(last);
    read_bridge(c);
    log_problems(c);
}

static bool
was_said(const struct mat_agent_problems *problems, const char *text)
{
    for (size_t i = 0; i < problems->n; i++) {
        if (!strcmp(problems->text[i], text)) {
            return true;
        }
    }
    return false;
}

static void
log_problems(struct matd_config *c)
{
    for (size_t i = 0; i < c->problems.n; i++) {
        if (!was_said(&c->problems_before, c->problems.text[i])) {
            VLOG_WARN("configuration: %s", c->problems.text[i]);
        }
    }
    if (!c->problems.n && c->problems_before.n) {
        VLOG_INFO("configuration: nothing is wrong any more");
    }
}

/* The bridge. */

static const struct ovsrec_bridge *
find_bridge(const struct matd_config *c, const char *name)
{
    const struct ovsrec_bridge *bridge;

    OVSREC_BRIDGE_FOR_EACH (bridge, c->idl) {
        if (!strcmp(bridge->name, name)) {
            return bridge;
        }
    }
    return NULL;
}

static const struct ovsrec_port *
find_port(const struct ovsrec_bridge *bridge, const char *name)
{
    for (size_t i = 0; bridge && i < bridge->n_ports; i++) {
        if (!strcmp(bridge->ports[i]->name, name)) {
            return bridge->ports[i];
        }
    }
    return NULL;
}

static ofp_port_t
get_ofport(const struct ovsrec_interface *iface)
{
    int64_t n = iface->n_ofport ? *iface->ofport : 0;

    return n > 0 && n < UINT16_MAX ? u16_to_ofp(n) : OFPP_NONE;
}

static bool
is_link_up(const struct ovsrec_interface *iface)
{
    return !iface->link_state || strcmp(iface->link_state, "down");
}

static void
read_bridge(struct matd_config *c)
{
    const struct ovsrec_bridge *row = NULL;
    const struct ovsrec_port *own;

    memset(&c->bridge, 0, sizeof c->bridge);
    memset(c->uplinks, 0, sizeof c->uplinks);
    if (c->config.bridge[0] && c->config.mode != MAT_AGENT_OFF) {
        row = find_bridge(c, c->config.bridge);
        if (!row) {
            complain(c, "mat-bridge=%s: there is no such bridge",
                     c->config.bridge);
        } else if (strcmp(row->datapath_type, "netdev")) {
            complain(c, "mat-bridge=%s: its datapath_type must be netdev",
                     c->config.bridge);
        }
    }
    if (row) {
        ovs_strlcpy(c->bridge.name, row->name, sizeof c->bridge.name);
        c->bridge.is_up = true;
        own = find_port(row, row->name);
        if (own && own->n_interfaces && own->interfaces[0]->mac_in_use) {
            mat_mac_parse(own->interfaces[0]->mac_in_use, &c->bridge.mac);
        }
    }
    for (size_t i = 0; row && i < c->config.uplinks.n; i++) {
        struct matd_uplink *uplink = &c->uplinks[i];

        ovs_strlcpy(uplink->name, c->config.uplinks.name[i],
                    sizeof uplink->name);
        read_uplink(c, row, uplink);
        c->bridge.is_up &= (uplink->n_links
                            && uplink->links[0].ofport != OFPP_NONE);
    }
    read_ports(c, row);
}

static bool
is_lacp_current(const struct ovsrec_interface *iface)
{
    return iface->n_lacp_current && *iface->lacp_current;
}

/* Of a bond whose other end speaks LACP, a member that does not hear it is of
 * no use, even if its link is up. */
static bool
needs_lacp(const struct ovsrec_port *port)
{
    for (size_t i = 0; i < port->n_interfaces; i++) {
        if (is_lacp_current(port->interfaces[i])) {
            return true;
        }
    }
    return false;
}

/* Puts the link with 'mac', the active one of a bond, first. */
static bool
is_active(const struct ovsrec_port *port, const struct ovsrec_interface *iface)
{
    return (port->bond_active_slave && iface->mac_in_use
            && !strcasecmp(port->bond_active_slave, iface->mac_in_use));
}

static void
swap_links(struct matd_link *a, struct matd_link *b)
{
    struct matd_link swap = *a;

    *a = *b;
    *b = swap;
}

static void
read_uplink(struct matd_config *c, const struct ovsrec_bridge *bridge,
            struct matd_uplink *uplink)
{
    const struct ovsrec_port *port = find_port(bridge, uplink->name);
    bool with_lacp;

    if (!port) {
        complain(c, "mat-uplink=%s: bridge %s has no such port",
                 uplink->name, bridge->name);
        return;
    }
    with_lacp = needs_lacp(port);
    for (size_t i = 0; i < MIN(port->n_interfaces, MATD_LINKS_MAX); i++) {
        const struct ovsrec_interface *iface = port->interfaces[i];
        struct matd_link *link = &uplink->links[uplink->n_links++];

        ovs_strlcpy(link->name, iface->name, sizeof link->name);
        link->ofport = get_ofport(iface);
        link->is_up = (is_link_up(iface)
                       && (!with_lacp || is_lacp_current(iface)));
        if (iface->n_mtu && *iface->mtu > 0 && *iface->mtu <= UINT16_MAX
            && (!uplink->mtu || *iface->mtu < uplink->mtu)) {
            uplink->mtu = *iface->mtu;
        }
        uplink->is_up |= link->is_up && link->ofport != OFPP_NONE;
        if (link != uplink->links && ((is_active(port, iface) && link->is_up)
                                      || (!uplink->links[0].is_up
                                          && link->is_up))) {
            swap_links(link, uplink->links);
        }
    }
    uplink->is_balanced = port->lacp && strcmp(port->lacp, "off");
}

/* Ports. */

static bool
is_uplink(const struct matd_config *c, const char *name)
{
    for (size_t i = 0; i < c->config.uplinks.n; i++) {
        if (!strcmp(c->config.uplinks.name[i], name)) {
            return true;
        }
    }
    return false;
}

/* True if a VMN can be on it: one device, not a link to other switches. */
static bool
can_have_vmns(const struct matd_config *c, const struct ovsrec_bridge *bridge,
              const struct ovsrec_port *port)
{
    static const char *const types[] = {
        "", "system", "internal", "tap", "dpdk", "dpdkvhostuser",
        "dpdkvhostuserclient", "afxdp", "afxdp-nonpmd"
    };

    if (port->n_interfaces != 1 || !strcmp(port->name, bridge->name)
        || is_uplink(c, port->name)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (!strcmp(port->interfaces[0]->type, types[i])) {
            return true;
        }
    }
    return false;
}

static void
read_port(struct matd_config *c, const struct ovsrec_interface *iface)
{
    struct port_node *node = shash_find_data(&c->ports, iface->name);
    bool is_new = !node;
    struct matd_port port;
    struct mat_agent_pair *pairs;
    size_t n;

    memset(&port, 0, sizeof port);
    ovs_strlcpy(port.name, iface->name, sizeof port.name);
    port.ofport = get_ofport(iface);
    port.link_tells = !strncmp(iface->type, "dpdkvhostuser", 13);
    if (iface->mac_in_use) {
        mat_mac_parse(iface->mac_in_use, &port.device);
    }
    pairs = copy_pairs(&iface->external_ids, &n);
    mat_agent_port_config_build(&port.config, node ? &node->port.config : NULL,
                                &c->config, port.name, pairs, n, &c->problems);
    free(pairs);
    if (is_new) {
        node = xzalloc(sizeof *node);
        shash_add_nocopy(&c->ports, xstrdup(port.name), node);
    }
    node->pass = c->pass;
    if (is_new || memcmp(&node->port, &port, sizeof port)) {
        node->port = port;
        c->handler->port(c->aux, &node->port);
    }
}

static void
remove_old_ports(struct matd_config *c)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &c->ports) {
        struct port_node *port = node->data;

        if (port->pass != c->pass) {
            c->handler->port_removed(c->aux, port->port.name);
            shash_delete(&c->ports, node);
            free(port);
        }
    }
}

/* 'bridge' is null if there is none. */
static void
read_ports(struct matd_config *c, const struct ovsrec_bridge *bridge)
{
    bool others = false;

    c->pass++;
    for (size_t i = 0; bridge && i < bridge->n_ports; i++) {
        const struct ovsrec_port *port = bridge->ports[i];

        if (can_have_vmns(c, bridge, port)) {
            read_port(c, port->interfaces[0]);
            others |= !matd_config_find_port(c, port->interfaces[0]->name)
                       ->config.enabled;
        } else {
            others |= (strcmp(port->name, bridge->name)
                       && !is_uplink(c, port->name));
        }
    }
    c->bridge.is_shared = (bridge && others
                           && (!bridge->fail_mode
                               || strcmp(bridge->fail_mode, "secure")));
    remove_old_ports(c);
}
