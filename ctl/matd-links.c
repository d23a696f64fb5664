/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-links.h"

#include "matd-switch.h"
#include "util.h"

static struct matd_bond *
find_bond(struct matd_links *links, const char *name)
{
    for (size_t i = 0; i < links->n; i++) {
        if (!strcmp(links->bonds[i].name, name)) {
            return &links->bonds[i];
        }
    }
    return NULL;
}

/* The number of the member 'name', or -1. */
static int
find_link(const struct matd_bond *bond, const char *name)
{
    for (size_t i = 0; i < bond->n; i++) {
        if (!strcmp(bond->links[i], name)) {
            return i;
        }
    }
    return -1;
}

static struct matd_bond *
find_bond_of(struct matd_links *links, const char *link, int *i)
{
    for (size_t b = 0; b < links->n; b++) {
        *i = find_link(&links->bonds[b], link);
        if (*i >= 0) {
            return &links->bonds[b];
        }
    }
    return NULL;
}

/* Does 'op', on a bond's port, for the member 'link'. */
static void
put_link(struct matd_switch *sw, uint64_t sequence, const struct mat_op *op,
         const char *link)
{
    struct mat_op copy = *op;

    ovs_strlcpy(copy.type == MAT_OP_INJECT ? copy.inject.port : copy.port.name,
                link, MAT_PORT_NAME_SIZE);
    matd_switch_put(sw, sequence, &copy);
}

/* Setting. */

static bool
is_bond(const struct matd_uplink *uplink)
{
    return (uplink->n_links > 1
            || (uplink->n_links == 1
                && strcmp(uplink->links[0].name, uplink->name)));
}

static void
remove_link(struct matd_switch *sw, const char *link)
{
    struct mat_op op;

    memset(&op, 0, sizeof op);
    op.type = MAT_OP_PORT_REMOVE;
    put_link(sw, 0, &op, link);
}

/* 'bond' was '*old', which may be null, and is now what 'uplink' says. */
static void
set_bond(struct matd_bond *bond, const struct matd_bond *old,
         const struct matd_uplink *uplink, struct matd_switch *sw)
{
    memset(bond, 0, sizeof *bond);
    ovs_strlcpy(bond->name, uplink->name, sizeof bond->name);
    if (old) {
        bond->is_put = old->is_put;
        bond->put = old->put;
    }
    bond->n = uplink->n_links;
    for (size_t i = 0; i < bond->n; i++) {
        int before;

        ovs_strlcpy(bond->links[i], uplink->links[i].name,
                    sizeof bond->links[i]);
        before = old ? find_link(old, bond->links[i]) : -1;
        bond->odp_ports[i] = (before >= 0 ? old->odp_ports[before]
                              : MAT_TABLE_NO_PORT);
        if (before < 0 && bond->is_put) {
            put_link(sw, 0, &bond->put, bond->links[i]);
        }
    }
    for (size_t i = 0; old && i < old->n; i++) {
        if (bond->is_put && find_link(bond, old->links[i]) < 0) {
            remove_link(sw, old->links[i]);
        }
    }
}

void
matd_links_set(struct matd_links *links, const struct matd_config *config,
               struct matd_switch *sw)
{
    struct matd_links old = *links;
    const struct matd_uplink *uplink;

    links->n = 0;
    for (size_t i = 0; (uplink = matd_config_uplink(config, i)); i++) {
        if (is_bond(uplink)) {
            set_bond(&links->bonds[links->n++], find_bond(&old, uplink->name),
                     uplink, sw);
        }
    }
}

/* From the agent. */

void
matd_links_put(struct matd_links *links, struct matd_switch *sw,
               uint64_t sequence, const struct mat_op *op)
{
    bool is_port = (op->type == MAT_OP_PORT_PUT
                    || op->type == MAT_OP_PORT_REMOVE);
    struct matd_bond *bond
        = (is_port ? find_bond(links, op->port.name)
           : op->type == MAT_OP_INJECT ? find_bond(links, op->inject.port)
           : NULL);

    if (!bond) {
        matd_switch_put(sw, sequence, op);
    } else if (!is_port) {
        put_link(sw, sequence, op, bond->links[0]);
    } else {
        bond->is_put = op->type == MAT_OP_PORT_PUT;
        bond->put = *op;
        for (size_t i = 0; i < bond->n; i++) {
            put_link(sw, sequence, op, bond->links[i]);
        }
    }
}

/* From the switch. */

/* What comes in by any member comes in by the first that the datapath has. */
static uint32_t
get_odp_port(const struct matd_bond *bond)
{
    for (size_t i = 0; i < bond->n; i++) {
        if (bond->odp_ports[i] != MAT_TABLE_NO_PORT) {
            return bond->odp_ports[i];
        }
    }
    return MAT_TABLE_NO_PORT;
}

static bool
is_port_event(const struct mat_event *event)
{
    return (event->type == MAT_EVENT_PORT_ATTACHED
            || event->type == MAT_EVENT_PORT_DETACHED
            || event->type == MAT_EVENT_PORT_LIVE
            || event->type == MAT_EVENT_PORT_DEAD);
}

/* A member has come or gone.  The uplink is there while any is; whether it is
 * up is told by the database. */
static bool
handle_port_event(struct matd_links *links, struct mat_event *event)
{
    char name[MAT_PORT_NAME_SIZE];
    struct matd_bond *bond;
    uint32_t before;
    int i;

    snprintf(name, sizeof name, "%.*s", (int) event->head_size,
             (const char *) event->head);
    bond = find_bond_of(links, name, &i);
    if (!bond) {
        return true;
    }
    before = get_odp_port(bond);
    if (event->type == MAT_EVENT_PORT_ATTACHED) {
        bond->odp_ports[i] = event->odp_port;
    } else if (event->type == MAT_EVENT_PORT_DETACHED) {
        bond->odp_ports[i] = MAT_TABLE_NO_PORT;
    }
    event->odp_port = get_odp_port(bond);
    if (event->odp_port == before) {
        return false;
    }
    event->type = (event->odp_port == MAT_TABLE_NO_PORT
                   ? MAT_EVENT_PORT_DETACHED : MAT_EVENT_PORT_ATTACHED);
    memset(event->head, 0, sizeof event->head);
    event->head_size = strlen(bond->name);
    memcpy(event->head, bond->name, event->head_size);
    return true;
}

bool
matd_links_event(struct matd_links *links, struct mat_event *event)
{
    if (links->n && is_port_event(event)) {
        return handle_port_event(links, event);
    }
    for (size_t b = 0; b < links->n; b++) {
        struct matd_bond *bond = &links->bonds[b];

        for (size_t i = 0; i < bond->n; i++) {
            if (bond->odp_ports[i] == event->odp_port
                && event->odp_port != MAT_TABLE_NO_PORT) {
                event->odp_port = get_odp_port(bond);
                return true;
            }
        }
    }
    return true;
}

bool
matd_links_port(struct matd_links *links, struct mat_op *op)
{
    struct matd_bond *bond;
    bool is_first;
    int i;

    for (size_t b = 0; !op && b < links->n; b++) {
        links->bonds[b].is_told = false;
    }
    bond = op ? find_bond_of(links, op->port.name, &i) : NULL;
    if (!bond) {
        return true;
    }
    is_first = !bond->is_told;
    bond->is_told = true;
    bond->odp_ports[i] = op->port.odp_port;
    op->port.odp_port = get_odp_port(bond);
    ovs_strlcpy(op->port.name, bond->name, sizeof op->port.name);
    return is_first;
}
