/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-table.h"
#include "mat-table-impl.h"

#include <stdlib.h>

/* Ports, VMNs and zones of the table.  What readers see of them is
 * never edited but replaced by a new copy, with two exceptions: the members of
 * struct mat_vmn that its comments call atomic. */

static size_t
zones_size(size_t n)
{
    return sizeof(struct mat_zones) + n * sizeof(struct mat_zone);
}

bool
mat_table_config_init__(struct mat_table *table)
{
    struct mat_table_writer *w = table->writer;

    table->vmns = mat_table_alloc__(table, (MAT_TABLE_VMNS_MAX + 1)
                                    * sizeof *table->vmns);
    table->hops = mat_table_alloc__(table, MAT_TABLE_NEXTHOPS_MAX
                                    * sizeof *table->hops);
    table->ports = mat_table_alloc__(table, MAT_TABLE_ODP_PORTS_MAX
                                     * sizeof *table->ports);
    table->zones = mat_table_alloc__(table, zones_size(0));
    table->pools = mat_table_alloc__(table, sizeof *table->pools);
    w->free_vmns = calloc(MAT_TABLE_VMNS_MAX, sizeof *w->free_vmns);
    w->retired_vmns = calloc(MAT_TABLE_VMNS_MAX, sizeof *w->retired_vmns);
    w->macs = calloc(MAT_TABLE_VMNS_MAX, sizeof *w->macs);
    w->links = calloc(MAT_TABLE_VMNS_MAX, sizeof *w->links);
    w->hop_refs = calloc(MAT_TABLE_NEXTHOPS_MAX, sizeof *w->hop_refs);
    w->ports = calloc(MAT_TABLE_PORTS_MAX, sizeof *w->ports);
    return (table->vmns && table->hops && table->ports && table->zones
            && table->pools && w->free_vmns && w->retired_vmns && w->macs
            && w->links && w->hop_refs && w->ports);
}

void
mat_table_config_destroy__(struct mat_table *table)
{
    struct mat_table_writer *w = table->writer;

    for (size_t i = 0; table->hops && i < MAT_TABLE_NEXTHOPS_MAX; i++) {
        mat_table_free__(table, (void *) (uintptr_t) table->hops[i],
                         sizeof *table->hops[i]);
    }
    for (size_t i = 0; table->ports && i < MAT_TABLE_ODP_PORTS_MAX; i++) {
        mat_table_free__(table, (void *) (uintptr_t) table->ports[i],
                         sizeof *table->ports[i]);
    }
    if (table->zones) {
        mat_table_free__(table, (void *) (uintptr_t) table->zones,
                         zones_size(table->zones->n));
    }
    mat_table_pools_destroy__(table);
    mat_table_free__(table, table->vmns,
                     (MAT_TABLE_VMNS_MAX + 1) * sizeof *table->vmns);
    mat_table_free__(table, table->hops,
                     MAT_TABLE_NEXTHOPS_MAX * sizeof *table->hops);
    mat_table_free__(table, table->ports,
                     MAT_TABLE_ODP_PORTS_MAX * sizeof *table->ports);
    free(w->free_vmns);
    free(w->retired_vmns);
    free(w->macs);
    free(w->links);
    free(w->hop_refs);
    free(w->ports);
}

bool
mat_table_mtu_ok__(uint16_t mtu)
{
    return !mtu || mtu >= MAT_MTU_MIN;
}

/* Ports by name. */

static uint16_t *
name_bucket(struct mat_table_writer *w, const char *name)
{
    uint32_t hash = UINT32_C(2166136261);

    for (; *name; name++) {
        hash = (hash ^ (uint8_t) *name) * UINT32_C(16777619);
    }
    return &w->name_hash[hash % PORT_NAME_HASH];
}

bool
mat_table_port_name_ok__(const char *name)
{
    return name[0] && memchr(name, '\0', MAT_PORT_NAME_SIZE);
}

struct port_slot *
mat_table_find_port__(const struct mat_table *table, const char *name)
{
    struct mat_table_writer *w = table->writer;

    for (uint16_t i = *name_bucket(w, name); i; i = w->ports[i - 1].next) {
        if (!strcmp(w->ports[i - 1].name, name)) {
            return &w->ports[i - 1];
        }
    }
    return NULL;
}

/* Finds the port 'name' or makes it, which fails if there are too many. */
static struct port_slot *
get_port(struct mat_table *table, const char *name)
{
    struct mat_table_writer *w = table->writer;
    struct port_slot *port = mat_table_find_port__(table, name);
    uint16_t *bucket = name_bucket(w, name);

    if (port) {
        return port;
    }
    for (uint16_t i = 0; i < MAT_TABLE_PORTS_MAX; i++) {
        port = &w->ports[i];
        if (!port->name[0]) {
            memset(port, 0, sizeof *port);
            memcpy(port->name, name, strlen(name) + 1);
            port->odp_port = MAT_TABLE_NO_PORT;
            port->next = *bucket;
            *bucket = (uint16_t) (i + 1);
            w->n_ports++;
            return port;
        }
    }
    return NULL;
}

/* Forgets 'port' if nothing needs it any more. */
static void
put_port(struct mat_table *table, struct port_slot *port)
{
    struct mat_table_writer *w = table->writer;

    if (!port->is_configured && !port->n_vmns
        && port->odp_port == MAT_TABLE_NO_PORT) {
        uint16_t *link = name_bucket(w, port->name);

        while (&w->ports[*link - 1] != port) {
            link = &w->ports[*link - 1].next;
        }
        *link = port->next;
        port->name[0] = '\0';
        w->n_ports--;
    }
}

static uint16_t
port_index(const struct mat_table *table, const struct port_slot *port)
{
    return (uint16_t) (port - table->writer->ports);
}

static uint16_t
port_mtu(const struct port_slot *port)
{
    return port->mtu ? port->mtu : port->device_mtu;
}

/* What a VMN on 'port' can take, for comparison. */
static uint16_t
vmn_mtu(const struct port_slot *port)
{
    return port_mtu(port) ? port_mtu(port) : UINT16_MAX;
}

static struct mat_mac
port_mac(const struct port_slot *port)
{
    return mat_mac_is_zero(&port->mac) ? port->device_mac : port->mac;
}

/* Publishes 'view', which may be null, for 'odp_port'. */
static void
set_view(struct mat_table *table, uint32_t odp_port,
         const struct mat_port_view *view)
{
    const struct mat_port_view *old = table->ports[odp_port];

    __atomic_store_n(&table->ports[odp_port], view, __ATOMIC_RELEASE);
    mat_table_retire__(table, old, sizeof *old);
}

/* Brings what readers know of 'port' itself up to date. */
static bool
publish_view(struct mat_table *table, const struct port_slot *port)
{
    struct mat_port_view *view;

    if (port->odp_port == MAT_TABLE_NO_PORT) {
        return true;
    }
    view = mat_table_alloc__(table, sizeof *view);
    if (!view) {
        return false;
    }
    view->role = port->role;
    view->mac = port_mac(port);
    view->mtu = port_mtu(port);
    view->slot = port_index(table, port);
    view->n_vmns = port->n_listed;
    memcpy(view->vmns, port->listed, sizeof view->vmns);
    set_view(table, port->odp_port, view);
    return true;
}

/* The same for the VMNs on 'port'. */
static void
publish_vmns(struct mat_table *table, const struct port_slot *port)
{
    uint16_t index = port_index(table, port);

    for (size_t i = 0; port->n_vmns && i < table->writer->n_vmns_touched;
         i++) {
        struct mat_vmn *vmn = &table->vmns[i];

        if (vmn->port == index) {
            __atomic_store_n(&vmn->mtu, vmn_mtu(port), __ATOMIC_RELAXED);
            __atomic_store_n(&vmn->odp_port, port->odp_port,
                             __ATOMIC_RELAXED);
        }
    }
}

static bool
publish_port(struct mat_table *table, const struct port_slot *port)
{
    if (!publish_view(table, port)) {
        return false;
    }
    publish_vmns(table, port);
    return true;
}

uint16_t
mat_table_uplink_mtu__(const struct mat_table *table)
{
    const struct mat_table_writer *w = table->writer;
    uint16_t mtu = UINT16_MAX;

    for (size_t i = 0, n = 0; n < w->n_ports && i < MAT_TABLE_PORTS_MAX; i++) {
        const struct port_slot *port = &w->ports[i];

        n += port->name[0] != '\0';
        if (port->name[0] && port->role == MAT_PORT_UPLINK && port_mtu(port)
            && port_mtu(port) < mtu) {
            mtu = port_mtu(port);
        }
    }
    return mtu;
}

enum mat_table_error
mat_table_put_port(struct mat_table *table, const struct mat_port *conf)
{
    struct port_slot *port, old;

    if (!mat_table_port_name_ok__(conf->name)
        || (conf->role != MAT_PORT_VM && conf->role != MAT_PORT_UPLINK)) {
        return MAT_TABLE_BAD_PORT;
    } else if (mat_mac_is_multicast(&conf->mac)) {
        return MAT_TABLE_BAD_MAC;
    } else if (!mat_table_mtu_ok__(conf->mtu)) {
        return MAT_TABLE_BAD_MTU;
    }
    port = get_port(table, conf->name);
    if (!port) {
        return MAT_TABLE_FULL;
    } else if (port->n_vmns && conf->role != MAT_PORT_VM) {
        return MAT_TABLE_IN_USE;
    }
    old = *port;
    port->is_configured = true;
    port->role = conf->role;
    port->mac = conf->mac;
    port->mtu = conf->mtu;
    if (!publish_port(table, port)) {
        *port = old;
        put_port(table, port);
        return MAT_TABLE_NO_MEMORY;
    }
    if (port->role == MAT_PORT_UPLINK || old.role == MAT_PORT_UPLINK) {
        mat_table_uplinks_changed__(table);
    }
    return MAT_TABLE_OK;
}

enum mat_table_error
mat_table_remove_port(struct mat_table *table, const char *name)
{
    struct port_slot *port;

    port = (mat_table_port_name_ok__(name)
            ? mat_table_find_port__(table, name) : NULL);
    if (!port || !port->is_configured) {
        return MAT_TABLE_NOT_FOUND;
    } else if (port->n_vmns) {
        return MAT_TABLE_IN_USE;
    }
    port->is_configured = false;
    port->role = 0;
    port->mac = (struct mat_mac) { { 0 } };
    port->mtu = 0;
    publish_port(table, port);
    put_port(table, port);
    mat_table_uplinks_changed__(table);
    return MAT_TABLE_OK;
}

void
mat_table_port_attached(struct mat_table *table, const char *name,
                        uint32_t odp_port, const struct mat_mac *mac,
                        uint16_t mtu)
{
    struct port_slot *port;

    if (odp_port >= MAT_TABLE_ODP_PORTS_MAX
        || !mat_table_port_name_ok__(name)) {
        return;
    }
    port = get_port(table, name);
    if (port && !(port->odp_port == odp_port
                  && mat_mac_equal(&port->device_mac, mac)
                  && port->device_mtu == mtu)) {
        if (port->odp_port != odp_port) {
            mat_table_port_detached(table, name, port->odp_port);
        }
        port = get_port(table, name);
        port->odp_port = odp_port;
        port->device_mac = *mac;
        port->device_mtu = mtu;
        publish_port(table, port);
        if (port->role == MAT_PORT_UPLINK) {
            mat_table_uplinks_changed__(table);
        }
    }
}

/* Another datapath may have a port of the same number, but not of the same
 * name. */
void
mat_table_port_detached(struct mat_table *table, const char *name,
                        uint32_t odp_port)
{
    struct port_slot *port = mat_table_find_port__(table, name);

    if (port && port->odp_port == odp_port
        && odp_port != MAT_TABLE_NO_PORT) {
        port->odp_port = MAT_TABLE_NO_PORT;
        publish_port(table, port);
        set_view(table, odp_port, NULL);
        put_port(table, port);
    }
}

bool
mat_table_next_port(const struct mat_table *table, uint64_t *cursor,
                    struct mat_port *conf)
{
    for (; *cursor < MAT_TABLE_PORTS_MAX; ++*cursor) {
        const struct port_slot *port = &table->writer->ports[*cursor];

        if (port->name[0]) {
            memcpy(conf->name, port->name, sizeof conf->name);
            conf->role = port->role;
            conf->mac = port->mac;
            conf->mtu = port->mtu;
            conf->odp_port = port->odp_port;
            conf->used_mac = port_mac(port);
            conf->used_mtu = port_mtu(port);
            ++*cursor;
            return true;
        }
    }
    return false;
}

/* VMNs. */

/* Sets what counts as on link for 'vmn', from the subnets of its zone. */
static void
set_on_link(const struct mat_table *table, struct mat_vmn *vmn)
{
    const struct mat_zone *zone = mat_table_zone(table, vmn->zone);
    const struct mat_subnet *subnet;
    struct mat_addr ones, mask = { { 0 } };
    uint64_t words[2];
    uint32_t mask4;

    subnet = zone ? mat_zone_subnet(zone, &vmn->hoa) : NULL;
    if (subnet) {
        memset(&ones, 0xff, sizeof ones);
        mask = mat_addr_mask(&ones, subnet->plen);
        if (mat_addr_is_v4(&vmn->hoa)) {
            struct mat_addr ones4 = mat_addr_from_v4(ones.b);

            mask = mat_addr_mask(&ones4, subnet->plen);
        }
    }
    mask4 = mat_addr_v4(&mask);
    memcpy(words, mask.b, sizeof words);
    __atomic_store_n(&vmn->mask4, mask4, __ATOMIC_RELAXED);
    __atomic_store_n(&vmn->mask6[0], words[0], __ATOMIC_RELAXED);
    __atomic_store_n(&vmn->mask6[1], words[1], __ATOMIC_RELAXED);
}

/* Adds VMN 'index' to those of 'port' that are not listed, or takes it out. */
static void
link_vmn(struct mat_table_writer *w, struct port_slot *port, uint16_t index)
{
    w->links[index] = (struct vmn_link) { .next = port->unlisted };
    if (port->unlisted) {
        w->links[port->unlisted - 1].prev = (uint16_t) (index + 1);
    }
    port->unlisted = (uint16_t) (index + 1);
}

static void
unlink_vmn(struct mat_table_writer *w, struct port_slot *port, uint16_t index)
{
    const struct vmn_link *link = &w->links[index];

    *(link->prev ? &w->links[link->prev - 1].next
      : &port->unlisted) = link->next;
    if (link->next) {
        w->links[link->next - 1].prev = link->prev;
    }
}

/* Adds VMN 'index' to the list of its port, if there is room. */
static void
list_vmn(struct mat_table *table, struct port_slot *port, uint16_t index)
{
    const struct mat_vmn *vmn = &table->vmns[index];

    if (port->n_listed == MAT_PORT_VMNS_MAX) {
        link_vmn(table->writer, port, index);
        return;
    }
    port->listed[port->n_listed++] = (struct mat_port_vmn) {
        .mac = table->writer->macs[index],
        .index = index,
        .zone = vmn->zone,
        .hoa = vmn->hoa,
    };
    publish_view(table, port);
}

/* Takes it out.  Another one that had no place so far gets its place. */
static void
unlist_vmn(struct mat_table *table, struct port_slot *port, uint16_t index)
{
    uint16_t i = 0;

    while (i < port->n_listed && port->listed[i].index != index) {
        i++;
    }
    if (i == port->n_listed) {
        unlink_vmn(table->writer, port, index);
        return;
    }
    port->listed[i] = port->listed[--port->n_listed];
    if (port->unlisted) {
        uint16_t other = (uint16_t) (port->unlisted - 1);

        unlink_vmn(table->writer, port, other);
        list_vmn(table, port, other);
    } else {
        publish_view(table, port);
    }
}

enum mat_table_error
mat_table_vmn_acquire__(struct mat_table *table, const struct mat_entry *e,
                        uint16_t *index)
{
    struct mat_table_writer *w = table->writer;
    struct port_slot *port;
    struct mat_vmn *vmn;

    if (!w->n_free_vmns && w->n_vmns_touched == MAT_TABLE_VMNS_MAX) {
        mat_table_quiesce(table);
        if (!w->n_free_vmns) {
            return MAT_TABLE_FULL;
        }
    }
    port = get_port(table, e->port);
    if (!port) {
        return MAT_TABLE_FULL;
    } else if (port->role == MAT_PORT_UPLINK) {
        return MAT_TABLE_BAD_PORT;
    }
    port->role = MAT_PORT_VM;
    *index = (w->n_free_vmns ? w->free_vmns[--w->n_free_vmns]
              : (uint16_t) w->n_vmns_touched++);
    vmn = &table->vmns[*index];
    vmn->port = port_index(table, port);
    vmn->zone = e->zone;
    vmn->hoa = e->hoa;
    vmn->former = e->former;
    w->macs[*index] = e->mac;
    __atomic_store_n(&vmn->mtu, vmn_mtu(port), __ATOMIC_RELAXED);
    __atomic_store_n(&vmn->odp_port, port->odp_port, __ATOMIC_RELAXED);
    set_on_link(table, vmn);
    port->n_vmns++;
    list_vmn(table, port, *index);
    return MAT_TABLE_OK;
}

void
mat_table_vmn_release__(struct mat_table *table, uint16_t index)
{
    struct mat_table_writer *w = table->writer;
    struct port_slot *port = &w->ports[table->vmns[index].port];

    w->retired_vmns[w->n_retired_vmns++] = index;
    table->vmns[index].port = UINT16_MAX;
    port->n_vmns--;
    if (!port->n_vmns && !port->is_configured) {
        port->role = 0;
    }
    unlist_vmn(table, port, index);
    put_port(table, port);
}

/* Zones. */

/* The index of 'zone', or of the first one after it. */
static size_t
zone_index(const struct mat_zones *zones, uint32_t zone)
{
    size_t low = 0, high = zones->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (zones->zones[mid].zone < zone) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

const struct mat_zone *
mat_table_zone(const struct mat_table *table, uint32_t zone)
{
    const struct mat_zones *zones = __atomic_load_n(&table->zones,
                                                    __ATOMIC_ACQUIRE);
    size_t i = zone_index(zones, zone);

    return (i < zones->n && zones->zones[i].zone == zone ? &zones->zones[i]
            : NULL);
}

const struct mat_subnet *
mat_zone_subnet(const struct mat_zone *zone, const struct mat_addr *hoa)
{
    const struct mat_subnet *best = NULL;

    for (size_t i = 0; i < zone->n_subnets; i++) {
        const struct mat_subnet *s = &zone->subnets[i];

        if (mat_addr_in_prefix(hoa, &s->prefix, s->plen)
            && (!best || s->plen > best->plen)) {
            best = s;
        }
    }
    return best;
}

static enum mat_table_error
check_zone(const struct mat_table *table, const struct mat_zone *zone)
{
    if (zone->zone > MAT_ZONE_MAX) {
        return MAT_TABLE_BAD_ZONE;
    } else if (zone->n_subnets > MAT_ZONE_SUBNETS_MAX) {
        return MAT_TABLE_FULL;
    } else if (zone->outside
               && (zone->outside_nexthop >= MAT_TABLE_NEXTHOPS_MAX
                   || !table->hops[zone->outside_nexthop])) {
        return MAT_TABLE_BAD_NEXTHOP;
    }
    for (size_t i = 0; i < zone->n_subnets; i++) {
        const struct mat_subnet *s = &zone->subnets[i];

        if (s->plen > mat_addr_bits(&s->prefix)) {
            return MAT_TABLE_BAD_PREFIX;
        } else if (!mat_addr_is_zero(&s->gateway)
                   && (!mat_addr_is_host(&s->gateway)
                       || !mat_addr_in_prefix(&s->gateway, &s->prefix,
                                              s->plen))) {
            return MAT_TABLE_BAD_ADDRESS;
        }
    }
    return MAT_TABLE_OK;
}

/* Replaces what readers see, and what follows from it for the VMNs of
 * 'zone'. */
static void
publish_zones(struct mat_table *table, const struct mat_zones *new,
              uint32_t zone)
{
    const struct mat_zones *old = table->zones;

    __atomic_store_n(&table->zones, new, __ATOMIC_RELEASE);
    mat_table_retire__(table, old, zones_size(old->n));
    for (size_t i = 0; i < table->writer->n_vmns_touched; i++) {
        struct mat_vmn *vmn = &table->vmns[i];

        if (vmn->port != UINT16_MAX && vmn->zone == zone) {
            set_on_link(table, vmn);
        }
    }
}

/* A copy of the zones without number 'zone', with 'add' if that is nonnull. */
static struct mat_zones *
copy_zones(struct mat_table *table, uint32_t zone, const struct mat_zone *add)
{
    const struct mat_zones *old = table->zones;
    size_t i = zone_index(old, zone);
    bool had = i < old->n && old->zones[i].zone == zone;
    size_t n_after = old->n - i - had;
    size_t n = i + (add != NULL) + n_after;
    struct mat_zones *new;

    new = n <= MAT_TABLE_ZONES_MAX ? mat_table_alloc__(table, zones_size(n))
                                   : NULL;
    if (new) {
        new->n = n;
        memcpy(new->zones, old->zones, i * sizeof *new->zones);
        if (add) {
            new->zones[i] = *add;
        }
        memcpy(&new->zones[n - n_after], &old->zones[old->n - n_after],
               n_after * sizeof *new->zones);
    }
    return new;
}

enum mat_table_error
mat_table_put_zone(struct mat_table *table, const struct mat_zone *zone)
{
    const struct mat_zone *old = mat_table_zone(table, zone->zone);
    enum mat_table_error error = check_zone(table, zone);
    struct mat_zones *zones;

    mat_table_bound_retired__(table);
    if (error) {
        return error;
    } else if (!old && table->zones->n >= MAT_TABLE_ZONES_MAX) {
        return MAT_TABLE_FULL;
    }
    zones = copy_zones(table, zone->zone, zone);
    if (!zones) {
        return MAT_TABLE_NO_MEMORY;
    }
    if (zone->outside) {
        mat_table_hop_ref__(table, zone->outside_nexthop);
    }
    if (old && old->outside) {
        mat_table_hop_unref__(table, old->outside_nexthop);
    }
    publish_zones(table, zones, zone->zone);
    return MAT_TABLE_OK;
}

enum mat_table_error
mat_table_remove_zone(struct mat_table *table, uint32_t zone)
{
    const struct mat_zone *old = mat_table_zone(table, zone);
    struct mat_zones *zones;

    if (!old) {
        return MAT_TABLE_NOT_FOUND;
    }
    mat_table_bound_retired__(table);
    zones = copy_zones(table, zone, NULL);
    if (!zones) {
        return MAT_TABLE_NO_MEMORY;
    }
    if (old->outside) {
        mat_table_hop_unref__(table, old->outside_nexthop);
    }
    publish_zones(table, zones, zone);
    return MAT_TABLE_OK;
}

bool
mat_table_next_zone(const struct mat_table *table, uint64_t *cursor,
                    struct mat_zone *zone)
{
    if (*cursor >= table->zones->n) {
        return false;
    }
    *zone = table->zones->zones[(*cursor)++];
    return true;
}
