/* SPDX-License-Identifier: Apache-2.0 */

/* Feeds the update server a sequence of messages, each of which is two bytes
 * of size and that many of message.
 *
 * The codec must accept only what it would write itself; every message must
 * get a reply that it accepts; and a batch that is refused must leave as many
 * of everything in the table as there were. */

#include <stdlib.h>

#include "mat-server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

static uint8_t buffer[MAT_UPDATE_MESSAGE_MAX];

/* Zeroed memory, aligned to 64 bytes, that costs little until it is used. */
static void *
alloc_zeroed(size_t size)
{
    char *raw = calloc(1, size + 128);
    char *p;

    CHECK(raw);
    p = raw + 128 - (uintptr_t) raw % 64;
    p -= p - raw > 64 ? 64 : 0;
    memcpy(p - sizeof raw, &raw, sizeof raw);
    return p;
}

static void
free_sized(void *p, size_t size)
{
    char *raw;

    (void) size;
    memcpy(&raw, (char *) p - sizeof raw, sizeof raw);
    free(raw);
}

static void
nothing(void *aux)
{
    (void) aux;
}

/* So that there are both kinds. */
static bool
some_wait(void *aux, const struct mat_entry *entry)
{
    (void) aux;
    return entry->hoa.b[15] & 1;
}

static void
no_change(void *aux, const struct mat_entry *entry, bool kept)
{
    (void) aux;
    CHECK(!kept || entry->zone <= MAT_ZONE_MAX);
}

static void
no_release(void *aux, uint32_t zone, const struct mat_addr *addr)
{
    (void) aux;
    (void) zone;
    (void) addr;
}

static void
no_inject(void *aux, const char *port, const void *frame, size_t size)
{
    const uint8_t *bytes = frame;
    uint8_t sum = 0;

    (void) aux;
    CHECK(port[0] && size && size <= MAT_UPDATE_FRAME_MAX);
    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t) (sum + bytes[i]);
    }
    *(volatile uint8_t *) buffer = sum;
}

static bool
no_counter(void *aux, unsigned int i, char name[static MAT_PORT_NAME_SIZE],
           uint64_t *value)
{
    (void) aux;
    memcpy(name, "x", 2);
    *value = i;
    return i < 3;
}

static enum mat_update_reason
no_subscribe(void *aux, void *client, uint64_t *size)
{
    (void) aux;
    (void) client;
    *size = 1;
    return MAT_UPDATE_GOOD;
}

/* What was accepted is what would be written. */
static void
check_canonical(const uint8_t *message, size_t size)
{
    struct mat_update_reader reader;
    struct mat_update_header header;
    struct mat_update_writer w;
    struct mat_op op;
    uint64_t bad;

    if (mat_update_open(&reader, &header, message, size, &bad)
        == MAT_UPDATE_GOOD) {
        mat_update_begin(&w, buffer, sizeof buffer);
        while (mat_update_next(&reader, &op)) {
            CHECK(mat_update_add(&w, &op));
        }
        CHECK(mat_update_end(&w, &header) == size);
        CHECK(!memcmp(buffer, message, size));
    }
}

static void
handle(struct mat_server *server, struct mat_table *table,
       const uint8_t *message, size_t size)
{
    struct mat_table_memory before, after;
    struct mat_update_reader reader;
    struct mat_update_header header;
    uint64_t bad;
    size_t n;

    mat_table_memory(table, &before);
    n = mat_server_handle(server, NULL, message, size, buffer).size;
    CHECK(mat_update_open(&reader, &header, buffer, n, &bad)
          == MAT_UPDATE_GOOD);
    CHECK(header.type >= MAT_UPDATE_OK);
    if (header.type == MAT_UPDATE_ERROR) {
        mat_table_memory(table, &after);
        CHECK(before.n_entries[0] == after.n_entries[0]
              && before.n_entries[1] == after.n_entries[1]
              && before.n_nexthops == after.n_nexthops
              && before.n_zones == after.n_zones
              && before.n_pools == after.n_pools);
    }
}

static void
create(struct mat_table **table, struct mat_server **server)
{
    const struct mat_table_config config = {
        .seed = { UINT64_C(0x9e3779b97f4a7c15),
                  UINT64_C(0xbf58476d1ce4e5b9) },
        .alloc = alloc_zeroed,
        .free = free_sized,
        .synchronize = nothing,
    };
    const struct mat_server_hooks hooks = {
        .lock = nothing,
        .unlock = nothing,
        .waits = some_wait,
        .changed = no_change,
        .release = no_release,
        .discard = no_release,
        .inject = no_inject,
        .counter = no_counter,
        .clear_counters = nothing,
        .subscribe = no_subscribe,
    };
    struct mat_mac mac = { { 2, 0, 0, 0, 0, 1 } };

    *table = mat_table_create(&config);
    *server = mat_server_create(*table, &hooks, 1);
    CHECK(*table && *server);
    mat_table_port_attached(*table, "vm1", 1, &mac, 1500);
}

/* Empties the table, for a new one takes a hundred times as long. */
static void
reset(struct mat_table *table)
{
    struct mat_nexthop nexthop;
    struct mat_zone zone;
    struct mat_pool pool;
    struct mat_port port;
    uint64_t cursor;

    while (mat_table_flush(table)) {
        continue;
    }
    for (cursor = 0; mat_table_next_zone(table, &cursor, &zone); cursor = 0) {
        CHECK(!mat_table_remove_zone(table, zone.zone));
    }
    for (cursor = 0; mat_table_next_pool(table, &cursor, &pool); cursor = 0) {
        CHECK(!mat_table_remove_pool(table, &pool.prefix, pool.plen));
    }
    for (cursor = 0; mat_table_next_nexthop(table, &cursor, &nexthop); ) {
        CHECK(!mat_table_remove_nexthop(table, nexthop.id));
    }
    for (cursor = 0; mat_table_next_port(table, &cursor, &port); ) {
        mat_table_remove_port(table, port.name);
    }
    mat_table_quiesce(table);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mat_table *table;
    static struct mat_server *server;

    if (!table) {
        create(&table, &server);
    }
    while (size >= 2) {
        size_t n = (size_t) data[0] << 8 | data[1];

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        check_canonical(data, n);
        handle(server, table, data, n);
        data += n;
        size -= n;
    }
    reset(table);
    return 0;
}
