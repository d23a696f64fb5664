/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-table.h"
#include "mat-table-impl.h"

#include <assert.h>
#include <stdlib.h>

/* Order of the steps of a change: what lets packets in (the reverse mapping)
 * comes before what makes packets go there (the forward mapping), and the old
 * mapping goes last.  So at no moment does a reader find a mapping that leads
 * to one that is not there yet. */

#define RETIRED_MAX ((size_t) 16 << 20)

static unsigned int
family_of(const struct mat_addr *a)
{
    return mat_addr_is_v4(a) ? MAT_V4 : MAT_V6;
}

static bool
is_live(enum mat_state state)
{
    return state == MAT_STATE_LOCAL || state == MAT_STATE_REMOTE;
}

static uint8_t
make_flags(enum mat_state state, bool hold, bool has_port)
{
    return (uint8_t) (MAT_MAP_VALID
                      | ((unsigned int) state - 1) << MAT_FLAG_STATE_SHIFT
                      | (hold ? MAT_FLAG_HOLD : 0)
                      | (has_port ? MAT_FLAG_PORT : 0));
}

static uint64_t
make_aux(const struct mat_mac *mac, uint16_t index)
{
    return mat_mac_to_u64(mac) | (uint64_t) index << MAT_AUX_INDEX_SHIFT;
}

static bool
has_port(const struct mat_mapping *m)
{
    return m->flags & MAT_FLAG_PORT;
}

/* True if 'm' counts as a use of the next hop that its index names. */
static bool
has_hop(const struct mat_mapping *m)
{
    return mat_flags_state(m->flags) == MAT_STATE_REMOTE;
}

/* Creation. */

struct mat_table *
mat_table_create(const struct mat_table_config *config)
{
    const struct mat_map_memory_ops memory = { config->alloc, config->free };
    struct mat_table *table = calloc(1, sizeof *table);

    if (!table) {
        return NULL;
    }
    table->writer = calloc(1, sizeof *table->writer);
    if (!table->writer) {
        free(table);
        return NULL;
    }
    table->writer->config = *config;
    for (int i = 0; i < MAT_N_FAMILIES; i++) {
        bool is_v4 = i == MAT_V4;

        if (!mat_map_init(&table->forward[i], is_v4, true, config->seed,
                          &memory)
            || !mat_map_init(&table->reverse[i], is_v4, false, config->seed,
                             &memory)) {
            mat_table_destroy(table);
            return NULL;
        }
    }
    if (!mat_table_config_init__(table)) {
        mat_table_destroy(table);
        return NULL;
    }
    return table;
}

static void
free_retired(struct mat_table *table)
{
    struct mat_table_writer *writer = table->writer;

    while (writer->retired) {
        struct retired *retired = writer->retired;

        writer->retired = retired->next;
        writer->retired_bytes -= retired->size;
        writer->config.free(retired->p, retired->size);
        free(retired);
    }
}

void
mat_table_destroy(struct mat_table *table)
{
    if (table) {
        for (int i = 0; i < MAT_N_FAMILIES; i++) {
            mat_map_destroy(&table->forward[i]);
            mat_map_destroy(&table->reverse[i]);
        }
        mat_table_config_destroy__(table);
        free_retired(table);
        free(table->writer);
        free(table);
    }
}

/* Memory. */

void *
mat_table_alloc__(struct mat_table *table, size_t size)
{
    void *p = table->writer->config.alloc(size);

    if (p) {
        table->writer->other_bytes += size;
    }
    return p;
}

void
mat_table_free__(struct mat_table *table, void *p, size_t size)
{
    if (p) {
        table->writer->other_bytes -= size;
        table->writer->config.free(p, size);
    }
}

void
mat_table_retire__(struct mat_table *table, const void *p, size_t size)
{
    struct mat_table_writer *writer = table->writer;
    struct retired *retired;

    if (!p) {
        return;
    }
    writer->other_bytes -= size;
    retired = malloc(sizeof *retired);
    if (retired) {
        retired->p = (void *) (uintptr_t) p;
        retired->size = size;
        retired->next = writer->retired;
        writer->retired = retired;
        writer->retired_bytes += size;
    } else {
        writer->config.synchronize(writer->config.aux);
        writer->config.free((void *) (uintptr_t) p, size);
    }
}

void
mat_table_bound_retired__(struct mat_table *table)
{
    if (table->writer->retired_bytes > RETIRED_MAX) {
        mat_table_quiesce(table);
    }
}

void
mat_table_quiesce(struct mat_table *table)
{
    struct mat_table_writer *writer = table->writer;

    writer->config.synchronize(writer->config.aux);
    for (int i = 0; i < MAT_N_FAMILIES; i++) {
        mat_map_collect(&table->forward[i]);
        mat_map_collect(&table->reverse[i]);
    }
    free_retired(table);
    memcpy(&writer->free_vmns[writer->n_free_vmns], writer->retired_vmns,
           writer->n_retired_vmns * sizeof *writer->retired_vmns);
    writer->n_free_vmns += writer->n_retired_vmns;
    writer->n_retired_vmns = 0;
}

/* Makes room for the few slots that one change may withdraw. */
static void
quiesce_if_crowded(struct mat_table *table)
{
    mat_table_bound_retired__(table);
    for (int i = 0; i < MAT_N_FAMILIES; i++) {
        if (mat_map_wants_collect(&table->forward[i])
            || mat_map_wants_collect(&table->reverse[i])) {
            mat_table_quiesce(table);
            return;
        }
    }
}

/* Mappings to entries and back. */

static void
mapping_to_entry(const struct mat_table *table, const struct mat_mapping *m,
                 struct mat_entry *e)
{
    memset(e, 0, sizeof *e);
    e->zone = m->zone;
    e->moa = m->key;
    e->hoa = m->value;
    e->plen = (uint8_t) mat_addr_bits(&m->value);
    e->state = mat_flags_state(m->flags);
    e->hold = m->flags & MAT_FLAG_HOLD;
    e->mac = mat_mac_from_u64(m->aux & MAT_AUX_MAC);
    if (has_port(m)) {
        const struct mat_vmn *vmn = mat_table_vmn(table, m->aux);

        memcpy(e->port, table->writer->ports[vmn->port].name, sizeof e->port);
        e->former = vmn->former;
    } else if (has_hop(m)) {
        e->nexthop = (uint16_t) mat_aux_index(m->aux);
    }
}

bool
mat_table_get_by_moa(const struct mat_table *table,
                     const struct mat_addr *moa, struct mat_entry *entry)
{
    struct mat_mapping m;

    if (!mat_map_get(&table->reverse[family_of(moa)], 0, moa, &m)) {
        return false;
    }
    mapping_to_entry(table, &m, entry);
    return true;
}

bool
mat_table_get_live(const struct mat_table *table, uint32_t zone,
                   const struct mat_addr *hoa, struct mat_entry *entry)
{
    struct mat_mapping m;

    return (mat_map_get(&table->forward[family_of(hoa)], zone, hoa, &m)
            && mat_table_get_by_moa(table, &m.value, entry));
}

/* Checking. */

static enum mat_table_error
check_where(const struct mat_table *table, const struct mat_entry *e)
{
    switch (e->state) {
    case MAT_STATE_LOCAL:
        return (mat_table_port_name_ok__(e->port) ? MAT_TABLE_OK
                : MAT_TABLE_BAD_PORT);
    case MAT_STATE_REMOTE:
        return (e->port[0] || e->hold ? MAT_TABLE_BAD_PORT
                : e->nexthop >= MAT_TABLE_NEXTHOPS_MAX
                  || !table->hops[e->nexthop] ? MAT_TABLE_BAD_NEXTHOP
                : MAT_TABLE_OK);
    case MAT_STATE_PREPARED:
        return (e->port[0] && !mat_table_port_name_ok__(e->port)
                ? MAT_TABLE_BAD_PORT
                : !e->port[0] && e->hold ? MAT_TABLE_BAD_PORT
                : MAT_TABLE_OK);
    case MAT_STATE_DEPARTED:
        return e->port[0] || e->hold ? MAT_TABLE_BAD_PORT : MAT_TABLE_OK;
    default:
        return MAT_TABLE_BAD_STATE;
    }
}

/* Does 'e' have a former MoA that cannot be? */
static bool
former_is_bad(const struct mat_entry *e)
{
    return (!mat_addr_is_zero(&e->former)
            && (e->state != MAT_STATE_LOCAL || !mat_addr_is_host(&e->former)));
}

static bool
mac_ok(const struct mat_mac *mac)
{
    static const struct mat_mac gateway = MAT_GATEWAY_MAC;

    return (!mat_mac_is_zero(mac) && !mat_mac_is_multicast(mac)
            && !mat_mac_equal(mac, &gateway));
}

enum mat_table_error
mat_table_check(const struct mat_table *table, const struct mat_entry *e)
{
    struct mat_mapping old;

    if (e->zone > MAT_ZONE_MAX) {
        return MAT_TABLE_BAD_ZONE;
    } else if (mat_addr_is_v4(&e->hoa) != mat_addr_is_v4(&e->moa)
               || (!mat_addr_is_zero(&e->former)
                   && (mat_addr_is_v4(&e->hoa)
                       != mat_addr_is_v4(&e->former)))) {
        return MAT_TABLE_BAD_FAMILY;
    } else if (!mat_addr_is_host(&e->hoa) || !mat_addr_is_host(&e->moa)
               || former_is_bad(e)) {
        return MAT_TABLE_BAD_ADDRESS;
    } else if (e->plen != mat_addr_bits(&e->hoa)) {
        return MAT_TABLE_BAD_PREFIX;
    } else if (!mac_ok(&e->mac)) {
        return MAT_TABLE_BAD_MAC;
    }
    if (mat_map_get(&table->reverse[family_of(&e->moa)], 0, &e->moa, &old)) {
        if (old.zone != e->zone || !mat_addr_equal(&old.value, &e->hoa)) {
            return MAT_TABLE_MOA_TAKEN;
        }
    } else if (mat_map_count(&table->reverse[MAT_V4])
               + mat_map_count(&table->reverse[MAT_V6])
               >= MAT_TABLE_ENTRIES_MAX) {
        return MAT_TABLE_FULL;
    }
    return check_where(table, e);
}

const char *
mat_table_strerror(enum mat_table_error error)
{
    static const char *const texts[MAT_TABLE_N_ERRORS] = {
        [MAT_TABLE_OK] = "no error",
        [MAT_TABLE_BAD_ADDRESS] = "HoA or MoA is not the address of a host",
        [MAT_TABLE_BAD_FAMILY] = "HoA and MoA are not of one family",
        [MAT_TABLE_BAD_PREFIX] = "prefix length does not fit the address",
        [MAT_TABLE_BAD_ZONE] = "zone is more than 16777215",
        [MAT_TABLE_BAD_STATE] = "state is not known",
        [MAT_TABLE_BAD_MAC]
            = "MAC is zero, multicast or the virtual gateway's",
        [MAT_TABLE_BAD_PORT]
            = "port or hold is missing, or does not go with the state or role",
        [MAT_TABLE_BAD_NEXTHOP] = "next hop is not in the table",
        [MAT_TABLE_BAD_MTU] = "MTU is neither 0 nor at least 576",
        [MAT_TABLE_MOA_TAKEN] = "MoA belongs to another HoA",
        [MAT_TABLE_NOT_FOUND] = "not in the table",
        [MAT_TABLE_IN_USE] = "entries still refer to it",
        [MAT_TABLE_FULL] = "table is full",
        [MAT_TABLE_NO_MEMORY] = "out of memory",
    };

    return (unsigned int) error < MAT_TABLE_N_ERRORS ? texts[error] : "?";
}

/* Changing. */

static enum mat_table_error
map_put(struct mat_map *map, const struct mat_mapping *m)
{
    switch (mat_map_put(map, m)) {
    case MAT_MAP_NO_MEMORY:
        return MAT_TABLE_NO_MEMORY;
    case MAT_MAP_CROWDED:
        return MAT_TABLE_FULL;
    case MAT_MAP_OK:
    default:
        return MAT_TABLE_OK;
    }
}

/* Gives back what the index of 'm', no longer in the table, stands for. */
static void
release_index(struct mat_table *table, const struct mat_mapping *m)
{
    uint16_t index = (uint16_t) mat_aux_index(m->aux);

    if (has_port(m)) {
        mat_table_vmn_release__(table, index);
    } else if (has_hop(m)) {
        mat_table_hop_unref__(table, index);
    }
}

/* A live mapping has been overtaken by one with another MoA. */
static void
demote(struct mat_table *table, const struct mat_mapping *live)
{
    struct mat_map *reverse = &table->reverse[family_of(&live->value)];
    struct mat_mapping m;

    if (mat_map_get(reverse, 0, &live->value, &m)) {
        bool was_local = mat_flags_state(m.flags) == MAT_STATE_LOCAL;

        mat_map_set_flags(reverse, 0, &m.key,
                          make_flags(was_local ? MAT_STATE_DEPARTED
                                     : MAT_STATE_PREPARED, false, false));
        release_index(table, &m);
    }
}

/* Takes the VMN or next hop that 'e' needs; '*index' is for its mapping. */
static enum mat_table_error
acquire_index(struct mat_table *table, const struct mat_entry *e,
              uint16_t *index)
{
    *index = 0;
    if (e->port[0]) {
        return mat_table_vmn_acquire__(table, e, index);
    } else if (e->state == MAT_STATE_REMOTE) {
        mat_table_hop_ref__(table, e->nexthop);
        *index = e->nexthop;
    }
    return MAT_TABLE_OK;
}

static void
forward_mapping(const struct mat_mapping *reverse, struct mat_mapping *forward)
{
    *forward = *reverse;
    forward->key = reverse->value;
    forward->value = reverse->key;
}

/* Puts 'new' in both maps or, if there is no memory, neither.  'old' is what
 * the reverse map has now, if 'had_old'. */
static enum mat_table_error
put_both(struct mat_table *table, const struct mat_mapping *new,
         bool had_old, const struct mat_mapping *old)
{
    unsigned int family = family_of(&new->key);
    struct mat_mapping forward;
    enum mat_table_error error;

    error = map_put(&table->reverse[family], new);
    if (error || !is_live(mat_flags_state(new->flags))) {
        return error;
    }
    forward_mapping(new, &forward);
    error = map_put(&table->forward[family], &forward);
    if (error) {
        if (had_old) {
            quiesce_if_crowded(table);
            map_put(&table->reverse[family], old);
        } else {
            mat_map_remove(&table->reverse[family], 0, &new->key);
        }
    }
    return error;
}

enum mat_table_error
mat_table_put(struct mat_table *table, const struct mat_entry *e)
{
    struct mat_map *forward = &table->forward[family_of(&e->hoa)];
    struct mat_map *reverse = &table->reverse[family_of(&e->hoa)];
    struct mat_mapping new, old, live;
    enum mat_table_error error;
    bool had_old, had_live;
    uint16_t index;

    error = mat_table_check(table, e);
    if (error) {
        return error;
    }
    quiesce_if_crowded(table);
    error = acquire_index(table, e, &index);
    if (error) {
        return error;
    }
    new = (struct mat_mapping) {
        .key = e->moa,
        .value = e->hoa,
        .zone = e->zone,
        .flags = make_flags(e->state, e->hold, e->port[0]),
        .aux = make_aux(&e->mac, index),
    };
    had_old = mat_map_get(reverse, 0, &e->moa, &old);
    had_live = mat_map_get(forward, e->zone, &e->hoa, &live);
    error = put_both(table, &new, had_old, &old);
    if (error) {
        release_index(table, &new);
        return error;
    }
    if (had_live) {
        bool same_moa = mat_addr_equal(&live.value, &e->moa);

        if (is_live(e->state) && !same_moa) {
            demote(table, &live);
        } else if (!is_live(e->state) && same_moa) {
            mat_map_remove(forward, e->zone, &e->hoa);
        }
    }
    if (had_old) {
        release_index(table, &old);
    }
    return MAT_TABLE_OK;
}

/* Finds the mapping from 'moa' if it belongs to 'hoa' in 'zone'. */
static bool
find_entry(const struct mat_table *table, uint32_t zone,
           const struct mat_addr *hoa, const struct mat_addr *moa,
           struct mat_mapping *m)
{
    return (mat_map_get(&table->reverse[family_of(moa)], 0, moa, m)
            && m->zone == zone && mat_addr_equal(&m->value, hoa));
}

enum mat_table_error
mat_table_remove(struct mat_table *table, uint32_t zone,
                 const struct mat_addr *hoa, uint8_t plen,
                 const struct mat_addr *moa)
{
    struct mat_mapping m;

    if (plen != mat_addr_bits(hoa)) {
        return MAT_TABLE_BAD_PREFIX;
    } else if (!find_entry(table, zone, hoa, moa, &m)) {
        return MAT_TABLE_NOT_FOUND;
    }
    quiesce_if_crowded(table);
    if (is_live(mat_flags_state(m.flags))) {
        mat_map_remove(&table->forward[family_of(hoa)], zone, hoa);
    }
    mat_map_remove(&table->reverse[family_of(moa)], 0, moa);
    release_index(table, &m);
    return MAT_TABLE_OK;
}

enum mat_table_error
mat_table_set_hold(struct mat_table *table, uint32_t zone,
                   const struct mat_addr *hoa, const struct mat_addr *moa,
                   bool hold)
{
    struct mat_mapping m;
    uint8_t flags;

    if (!find_entry(table, zone, hoa, moa, &m)) {
        return MAT_TABLE_NOT_FOUND;
    } else if (!has_port(&m)) {
        return MAT_TABLE_BAD_PORT;
    }
    flags = make_flags(mat_flags_state(m.flags), hold, true);
    mat_map_set_flags(&table->reverse[family_of(moa)], 0, moa, flags);
    if (is_live(mat_flags_state(m.flags))) {
        mat_map_set_flags(&table->forward[family_of(hoa)], zone, hoa, flags);
    }
    return MAT_TABLE_OK;
}

bool
mat_table_flush(struct mat_table *table)
{
    size_t n = 0;

    for (int i = 0; i < MAT_N_FAMILIES; i++) {
        struct mat_mapping m;
        uint64_t cursor = 0;

        while (mat_map_next(&table->reverse[i], &cursor, &m)) {
            if (n++ == MAT_TABLE_STEPS) {
                return true;
            }
            mat_table_remove(table, m.zone, &m.value,
                             (uint8_t) mat_addr_bits(&m.value), &m.key);
        }
    }
    return false;
}

/* Walking: first IPv4, then IPv6. */

#define CURSOR_V6 ((uint64_t) 1 << 63)

static bool
next_mapping(const struct mat_table *table, uint64_t *cursor,
             struct mat_mapping *m)
{
    unsigned int family = *cursor & CURSOR_V6 ? MAT_V6 : MAT_V4;
    uint64_t position = *cursor & ~CURSOR_V6;

    if (!mat_map_next(&table->reverse[family], &position, m)) {
        if (family == MAT_V6) {
            return false;
        }
        family = MAT_V6;
        position = 0;
        if (!mat_map_next(&table->reverse[family], &position, m)) {
            return false;
        }
    }
    *cursor = position | (family == MAT_V6 ? CURSOR_V6 : 0);
    return true;
}

/* Reads and, if 'clear', clears the mark of the forward mapping of 'm'. */
static bool
forward_mark(const struct mat_table *table, const struct mat_mapping *m,
             bool clear)
{
    return (is_live(mat_flags_state(m->flags))
            && mat_map_mark(&table->forward[family_of(&m->value)], m->zone,
                            &m->value, clear));
}

static bool
mark_of(const struct mat_table *table, const struct mat_mapping *m, bool clear)
{
    bool reverse = mat_map_mark(&table->reverse[family_of(&m->key)], 0,
                                &m->key, clear);
    bool forward = forward_mark(table, m, clear);

    return reverse || forward;
}

bool
mat_table_next(const struct mat_table *table, uint64_t *cursor,
               struct mat_entry *entry)
{
    struct mat_mapping m;

    if (!next_mapping(table, cursor, &m)) {
        return false;
    }
    mapping_to_entry(table, &m, entry);
    entry->accessed = mark_of(table, &m, false);
    return true;
}

bool
mat_table_harvest(struct mat_table *table, uint64_t *cursor,
                  struct mat_entry *entry)
{
    struct mat_mapping m;
    size_t n = 0;

    entry->accessed = false;
    while (next_mapping(table, cursor, &m)) {
        if (mark_of(table, &m, true)) {
            mapping_to_entry(table, &m, entry);
            entry->accessed = true;
            return true;
        } else if (++n == MAT_TABLE_STEPS) {
            return true;
        }
    }
    return false;
}

void
mat_table_memory(const struct mat_table *table,
                 struct mat_table_memory *memory)
{
    const struct mat_table_writer *writer = table->writer;

    memset(memory, 0, sizeof *memory);
    for (int i = 0; i < MAT_N_FAMILIES; i++) {
        const struct mat_map *f = &table->forward[i];
        const struct mat_map *r = &table->reverse[i];

        memory->n_entries[i] = mat_map_count(r);
        memory->map_bytes[i] = mat_map_bytes(f) + mat_map_bytes(r);
        memory->retired_bytes += (mat_map_bytes_retired(f)
                                  + mat_map_bytes_retired(r));
    }
    memory->other_bytes = writer->other_bytes;
    memory->retired_bytes += writer->retired_bytes;
    memory->n_vmns = (writer->n_vmns_touched - writer->n_free_vmns
                      - writer->n_retired_vmns);
    memory->n_ports = writer->n_ports;
    memory->n_nexthops = writer->n_hops;
    memory->n_zones = table->zones->n;
    memory->n_pools = table->pools->n;
}
