/* SPDX-License-Identifier: Apache-2.0 */

/* The update server on a real table: every message gets its reply, batches
 * happen whole or not at all, dumps are complete. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-parse.h"
#include "mat-server.h"
#include "mat-text.h"

enum { LINES_MAX = 2000 };

struct fixture {
    struct mat_table *table;
    struct mat_server *server;
    bool locked;
    unsigned int n_synchronized;
    unsigned int n_locked;
    unsigned int n_subscribed;
    uint32_t packets_wait;      /* For this HoA. */
    char log[1024];             /* What the hooks were told. */
};

static uint8_t request[MAT_UPDATE_MESSAGE_MAX];
static uint8_t reply[MAT_UPDATE_MESSAGE_MAX];

/* The table's and the server's surroundings. */

/* A generator of our own, so that a run can be repeated anywhere. */
static uint64_t random_state;

static uint32_t
next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1;
    return (uint32_t) (random_state >> 33);
}

static void *
alloc_zeroed(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);

    assert_non_null(p);
    memset(p, 0, size);
    return p;
}

static void
free_sized(void *p, size_t size)
{
    (void) size;
    free(p);
}

static void
synchronize(void *aux)
{
    struct fixture *f = aux;

    assert_true(f->locked);
    f->n_synchronized++;
}

static void
hook_lock(void *aux)
{
    struct fixture *f = aux;

    assert_false(f->locked);
    f->locked = true;
    f->n_locked++;
}

static void
hook_unlock(void *aux)
{
    struct fixture *f = aux;

    assert_true(f->locked);
    f->locked = false;
}

static void
hook_log(struct fixture *f, const char *what, const struct mat_addr *addr)
{
    char buf[MAT_ADDR_STRLEN];
    size_t n = strlen(f->log);

    assert_false(f->locked);
    snprintf(f->log + n, sizeof f->log - n, "%s %s;", what,
             mat_addr_format(addr, buf));
}

static bool
hook_waits(void *aux, const struct mat_entry *e)
{
    struct fixture *f = aux;

    assert_true(f->locked);
    return f->packets_wait && mat_addr_v4(&e->hoa) == f->packets_wait;
}

static void
hook_changed(void *aux, const struct mat_entry *e, bool kept)
{
    hook_log(aux, e->hold ? "held" : kept ? "kept" : "ready", &e->hoa);
}

static void
hook_release(void *aux, uint32_t zone, const struct mat_addr *addr)
{
    (void) zone;
    hook_log(aux, "release", addr);
}

static void
hook_discard(void *aux, uint32_t zone, const struct mat_addr *addr)
{
    (void) zone;
    hook_log(aux, "discard", addr);
}

static void
hook_inject(void *aux, const char *port, const void *frame, size_t size)
{
    struct fixture *f = aux;
    size_t n = strlen(f->log);

    (void) frame;
    snprintf(f->log + n, sizeof f->log - n, "inject %s %zu;", port, size);
}

static bool
hook_counter(void *aux, unsigned int i, char name[static MAT_PORT_NAME_SIZE],
             uint64_t *value)
{
    struct fixture *f = aux;

    return mat_server_counter(f->server, i, name, value);
}

static void
hook_clear(void *aux)
{
    struct fixture *f = aux;

    mat_server_clear_counters(f->server);
}

static enum mat_update_reason
hook_subscribe(void *aux, void *client, uint64_t *size)
{
    struct fixture *f = aux;

    assert_ptr_equal(client, f);
    if (f->n_subscribed) {
        return MAT_UPDATE_TOO_MANY;
    }
    f->n_subscribed++;
    *size = 4096;
    return MAT_UPDATE_GOOD;
}

static struct fixture *
fixture_create(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct mat_table_config config = {
        .seed = { UINT64_C(0x9e3779b97f4a7c15),
                  UINT64_C(0xbf58476d1ce4e5b9) },
        .alloc = alloc_zeroed,
        .free = free_sized,
        .synchronize = synchronize,
        .aux = f,
    };
    struct mat_server_hooks hooks = {
        .lock = hook_lock,
        .unlock = hook_unlock,
        .waits = hook_waits,
        .changed = hook_changed,
        .release = hook_release,
        .discard = hook_discard,
        .inject = hook_inject,
        .counter = hook_counter,
        .clear_counters = hook_clear,
        .subscribe = hook_subscribe,
        .aux = f,
    };

    f->table = mat_table_create(&config);
    f->server = mat_server_create(f->table, &hooks, 4711);
    assert_non_null(f->server);
    return f;
}

static void
fixture_destroy(struct fixture *f)
{
    mat_server_destroy(f->server);
    mat_table_destroy(f->table);
    free(f);
}

/* Talking to it. */

static struct mat_update_header
exchange(struct fixture *f, size_t size, struct mat_update_reader *items)
{
    struct mat_server_reply r = mat_server_handle(f->server, f, request, size,
                                                  reply);
    struct mat_update_header header;
    uint64_t bad;

    assert_false(f->locked);
    assert_int_equal(mat_update_open(items, &header, reply, r.size, &bad),
                     MAT_UPDATE_GOOD);
    return header;
}

static struct mat_update_header
ask(struct fixture *f, enum mat_update_type type, uint16_t kind,
    uint64_t cursor, struct mat_update_reader *items)
{
    struct mat_update_header header = {
        .type = type, .kind = kind, .id = 77, .cursor = cursor
    };
    struct mat_update_writer w;

    mat_update_begin(&w, request, sizeof request);
    header = exchange(f, mat_update_end(&w, &header), items);
    assert_int_equal(header.id, 77);
    return header;
}

/* Sends the commands in 'lines' as one batch. */
static struct mat_update_header
batch(struct fixture *f, const char *const lines[], size_t n)
{
    struct mat_update_header header = { .type = MAT_UPDATE_BATCH, .id = 5 };
    struct mat_update_reader items;
    struct mat_update_writer w;

    mat_update_begin(&w, request, sizeof request);
    for (size_t i = 0; i < n; i++) {
        char copy[MAT_TEXT_MAX], error[MAT_PARSE_ERROR_MAX];
        const char *words[MAT_PARSE_WORDS_MAX];
        struct mat_op op;

        snprintf(copy, sizeof copy, "%s", lines[i]);
        if (!mat_parse(mat_parse_split(copy, words), words, &op, error)) {
            fail_msg("%s", error);
        }
        assert_true(mat_update_add(&w, &op));
    }
    f->log[0] = '\0';
    return exchange(f, mat_update_end(&w, &header), &items);
}

static void
assert_done(struct mat_update_header header)
{
    if (header.type != MAT_UPDATE_OK) {
        fail_msg("operation %llu: %s", (unsigned long long) header.cursor,
                 mat_update_strerror(header.kind));
    }
}

static void
assert_refused(struct mat_update_header header, uint64_t index,
               enum mat_table_error error)
{
    assert_int_equal(header.type, MAT_UPDATE_ERROR);
    assert_int_equal(header.cursor, index);
    assert_int_equal(header.kind, MAT_UPDATE_TABLE_ERRORS + (int) error);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* All that is in the table, as sorted text; the caller frees it. */
static char *
dump_all(struct fixture *f)
{
    char *lines[LINES_MAX], *all;
    size_t n = 0, length = 1, n_written = 0;

    for (uint16_t kind = MAT_UPDATE_DUMP_ENTRIES;
         kind <= MAT_UPDATE_DUMP_POOLS; kind++) {
        uint64_t cursor = 0;

        if (kind == MAT_UPDATE_DUMP_HARVEST) {
            continue;
        }
        do {
            struct mat_update_reader items;
            char text[MAT_TEXT_MAX];
            struct mat_op op;

            cursor = ask(f, MAT_UPDATE_DUMP, kind, cursor, &items).cursor;
            while (mat_update_next(&items, &op)) {
                assert_true(n < LINES_MAX);
                lines[n] = strdup(mat_text_op(&op, MAT_TEXT_WORDS, text));
                length += strlen(lines[n++]) + 1;
            }
        } while (cursor);
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    all = calloc(1, length);
    for (size_t i = 0; i < n; i++) {
        n_written += (size_t) snprintf(all + n_written, length - n_written,
                                       "%s\n", lines[i]);
        free(lines[i]);
    }
    return all;
}

#define BATCH(F, ...)                                               \
    batch(F, (const char *const []) { __VA_ARGS__ },                \
          sizeof((const char *const []) { __VA_ARGS__ }) / sizeof(char *))

#define NEXTHOP "nexthops add 1 src=02:00:00:00:00:03 dst=02:00:00:00:00:04"
#define ENTRY(HOA, MOA) \
    "add hoa=" HOA " moa=" MOA " mac=02:00:00:00:00:01 nexthop=1"
#define LOCAL(HOA, MOA) \
    "add hoa=" HOA " moa=" MOA " mac=02:00:00:00:00:01 port=vm1"

/* The tests. */

static void
test_hello(void **state)
{
    struct fixture *f = fixture_create();
    struct mat_update_reader items;
    bool version = false, instance = false;
    struct mat_op op;

    (void) state;
    assert_int_equal(ask(f, MAT_UPDATE_HELLO, 0, 0, &items).type,
                     MAT_UPDATE_ITEMS);
    while (mat_update_next(&items, &op)) {
        version |= (!strcmp(op.number.name, "version")
                    && op.number.value == MAT_UPDATE_VERSION);
        instance |= (!strcmp(op.number.name, "instance")
                     && op.number.value == 4711);
    }
    assert_true(version && instance);
    fixture_destroy(f);
}

static void
test_operation_may_need_one_before_it(void **state)
{
    struct fixture *f = fixture_create();

    (void) state;
    assert_refused(BATCH(f, ENTRY("10.0.0.1", "172.16.1.1"), NEXTHOP), 0,
                   MAT_TABLE_BAD_NEXTHOP);
    assert_done(BATCH(f, NEXTHOP, ENTRY("10.0.0.1", "172.16.1.1")));
    assert_refused(BATCH(f, ENTRY("10.0.0.2", "172.16.1.1")), 0,
                   MAT_TABLE_MOA_TAKEN);
    assert_done(BATCH(f, "del hoa=10.0.0.1", ENTRY("10.0.0.2", "172.16.1.1")));
    assert_refused(BATCH(f, "nexthops del 1"), 0, MAT_TABLE_IN_USE);
    assert_done(BATCH(f, "del hoa=10.0.0.2", "nexthops del 1"));
    fixture_destroy(f);
}

static void
test_ok_comes_after_the_readers(void **state)
{
    struct fixture *f = fixture_create();
    struct mat_update_reader items;
    unsigned int before;

    (void) state;
    before = f->n_synchronized;
    assert_done(BATCH(f, NEXTHOP, ENTRY("10.0.0.1", "172.16.1.1")));
    assert_true(f->n_synchronized > before);
    before = f->n_synchronized;
    assert_done(ask(f, MAT_UPDATE_FLUSH, 0, 0, &items));
    assert_true(f->n_synchronized > before);
    before = f->n_synchronized;
    assert_done(ask(f, MAT_UPDATE_BARRIER, 0, 0, &items));
    assert_true(f->n_synchronized > before);
    fixture_destroy(f);
}

static void
test_hooks_follow_in_order(void **state)
{
    struct fixture *f = fixture_create();

    (void) state;
    mat_table_port_attached(f->table, "vm1", 3,
                            &(struct mat_mac) { { 2, 0, 0, 0, 0, 9 } }, 1500);
    assert_done(BATCH(f, "ports add vm1 role=vm",
                      LOCAL("10.0.0.1", "172.16.1.1") " hold",
                      "hold hoa=10.0.0.1 off", "hold hoa=10.0.0.8 release",
                      "hold hoa=10.0.0.9 flush",
                      LOCAL("10.0.0.2", "172.16.1.2")));
    assert_string_equal(f->log, "ready 10.0.0.1;"
                        "release 10.0.0.8;discard 10.0.0.9;"
                        "ready 10.0.0.2;");
    assert_refused(BATCH(f, "hold hoa=10.0.0.8 release",
                         "del hoa=10.0.0.7"), 1, MAT_TABLE_NOT_FOUND);
    assert_string_equal(f->log, "");
    fixture_destroy(f);
}

/* Only what comes later for the same MoA overtakes a hold. */
static void
test_holds_are_overtaken_by_their_own(void **state)
{
    struct fixture *f = fixture_create();

    (void) state;
    assert_done(BATCH(f, LOCAL("10.0.0.1", "172.16.1.1")));
    assert_done(BATCH(f, "hold hoa=10.0.0.1 on",
                      LOCAL("10.0.0.1", "172.16.1.9") " state=prepared"));
    assert_string_equal(f->log, "held 10.0.0.1;ready 10.0.0.1;");
    assert_done(BATCH(f, "hold hoa=10.0.0.1 on",
                      "hold hoa=10.0.0.1 off moa=172.16.1.1"));
    assert_string_equal(f->log, "ready 10.0.0.1;");
    assert_done(BATCH(f, "hold hoa=10.0.0.1 moa=172.16.1.1 on",
                      "hold hoa=10.0.0.1 off"));
    assert_string_equal(f->log, "ready 10.0.0.1;");
    fixture_destroy(f);
}

/* While packets wait for a VMN, its hold stays when it is to be taken off. */
static void
test_hold_is_kept_while_packets_wait(void **state)
{
    struct mat_addr hoa;
    struct fixture *f = fixture_create();
    struct mat_entry e;

    (void) state;
    assert_true(mat_addr_parse("10.0.0.1", &hoa));
    assert_done(BATCH(f, LOCAL("10.0.0.1", "172.16.1.1") " hold"));
    f->packets_wait = mat_addr_v4(&hoa);
    assert_done(BATCH(f, LOCAL("10.0.0.2", "172.16.1.2"),
                      "hold hoa=10.0.0.1 off"));
    assert_string_equal(f->log, "ready 10.0.0.2;kept 10.0.0.1;");
    assert_true(mat_table_get_live(f->table, 0, &hoa, &e) && e.hold);
    assert_done(BATCH(f, LOCAL("10.0.0.1", "172.16.1.1")));
    assert_string_equal(f->log, "kept 10.0.0.1;");
    assert_true(mat_table_get_live(f->table, 0, &hoa, &e) && e.hold);
    f->packets_wait = 0;
    assert_done(BATCH(f, LOCAL("10.0.0.1", "172.16.1.1")));
    assert_string_equal(f->log, "ready 10.0.0.1;");
    assert_true(mat_table_get_live(f->table, 0, &hoa, &e) && !e.hold);
    fixture_destroy(f);
}

static void
test_inject(void **state)
{
    struct mat_update_header header = { .type = MAT_UPDATE_BATCH };
    static const uint8_t frame[60];
    struct mat_op op = {
        .type = MAT_OP_INJECT,
        .inject = { .port = "vm1", .frame = frame, .size = sizeof frame },
    };
    struct fixture *f = fixture_create();
    struct mat_update_reader items;
    struct mat_update_writer w;
    size_t size;

    (void) state;
    mat_update_begin(&w, request, sizeof request);
    assert_true(mat_update_add(&w, &op));
    size = mat_update_end(&w, &header);
    assert_int_equal(exchange(f, size, &items).kind, MAT_UPDATE_NO_PORT);
    assert_done(BATCH(f, "ports add vm1 role=vm"));
    mat_update_begin(&w, request, sizeof request);
    assert_true(mat_update_add(&w, &op));
    size = mat_update_end(&w, &header);
    assert_int_equal(exchange(f, size, &items).kind, MAT_UPDATE_NO_PORT);
    mat_table_port_attached(f->table, "vm1", 3,
                            &(struct mat_mac) { { 2, 0, 0, 0, 0, 9 } }, 1500);
    assert_done(exchange(f, size, &items));
    assert_string_equal(f->log, "inject vm1 60;");
    fixture_destroy(f);
}

static void
test_subscribe(void **state)
{
    struct fixture *f = fixture_create();
    struct mat_update_reader items;
    struct mat_update_header header;

    (void) state;
    header = ask(f, MAT_UPDATE_SUBSCRIBE, 0, 0, &items);
    assert_int_equal(header.type, MAT_UPDATE_OK);
    assert_int_equal(header.cursor, 4096);
    header = ask(f, MAT_UPDATE_SUBSCRIBE, 0, 0, &items);
    assert_int_equal(header.type, MAT_UPDATE_ERROR);
    assert_int_equal(header.kind, MAT_UPDATE_TOO_MANY);
    fixture_destroy(f);
}

/* A dump of more than fits in a message, with any cursor a client may send. */
static void
test_large_dump(void **state)
{
    struct fixture *f = fixture_create();
    unsigned int n_messages = 0, n_items = 0;
    uint64_t cursor = 0;

    (void) state;
    assert_done(BATCH(f, NEXTHOP));
    for (unsigned int i = 0; i < 5000; i++) {
        struct mat_entry e = { .zone = i, .plen = 32, .nexthop = 1,
                               .state = MAT_STATE_REMOTE };

        mat_addr_parse("10.0.0.1", &e.hoa);
        mat_addr_parse("172.16.0.0", &e.moa);
        e.moa.b[14] = (uint8_t) (i >> 8);
        e.moa.b[15] = (uint8_t) (i | 1);
        e.moa.b[13] = (uint8_t) (16 + i % 2);
        e.mac.ea[0] = 2;
        assert_int_equal(mat_table_put(f->table, &e), MAT_TABLE_OK);
    }
    do {
        struct mat_update_reader items;
        struct mat_update_header h = ask(f, MAT_UPDATE_DUMP,
                                         MAT_UPDATE_DUMP_ENTRIES, cursor,
                                         &items);

        n_messages++;
        n_items += h.count;
        cursor = h.cursor;
    } while (cursor);
    assert_int_equal(n_items, 5000);
    assert_true(n_messages >= 5);

    random_state = 3;
    for (int i = 0; i < 20000; i++) {
        uint16_t kind = (uint16_t) (1 + next_random() % MAT_UPDATE_DUMP_POOLS);
        struct mat_update_reader items;

        cursor = ((uint64_t) next_random() << 32 | next_random())
                 >> next_random() % 64;
        ask(f, MAT_UPDATE_DUMP, kind, cursor, &items);
    }
    fixture_destroy(f);
}

static void
test_malformed_is_answered(void **state)
{
    struct fixture *f = fixture_create();
    struct mat_update_reader items;
    struct mat_update_header header;

    (void) state;
    header = exchange(f, 0, &items);
    assert_int_equal(header.type, MAT_UPDATE_ERROR);
    assert_int_equal(header.kind, MAT_UPDATE_SHORT);
    assert_int_equal(ask(f, MAT_UPDATE_OK, 0, 0, &items).kind,
                     MAT_UPDATE_BAD_TYPE);
    assert_int_equal(f->n_locked, 0);
    fixture_destroy(f);
}

/* A random command, from so small a world that they get in each other's way
 * all the time. */
static void
random_command(char line[static 200])
{
    static const char *const states[] = {
        "state=local port=vm1", "state=remote nexthop=1",
        "state=remote nexthop=2", "state=prepared", "state=departed",
        "state=prepared port=vm2", "state=local port=vm2 hold"
    };
    unsigned int r = next_random();
    unsigned int n = r / 64 % 3 + 1, m = r / 1024 % 4 + 1, z = r / 8192 % 2;

    switch (r % 16) {
    case 0:
        snprintf(line, 200, "nexthops add %u src=02:00:00:00:00:0%u "
                 "dst=02:00:00:00:00:09", n, m);
        break;
    case 1:
        snprintf(line, 200, "nexthops del %u", n);
        break;
    case 2:
        snprintf(line, 200, "zones add %u outside=%u subnet=10.0.0.0/2%u", z,
                 n, m);
        break;
    case 3:
        snprintf(line, 200, "zones del %u", z);
        break;
    case 4:
        snprintf(line, 200, "pools add 172.16.0.0/1%u%s", m,
                 n == 1 ? " own" : "");
        break;
    case 5:
        snprintf(line, 200, "pools del 172.16.0.0/1%u", m);
        break;
    case 6:
        snprintf(line, 200, "hold zone=%u hoa=10.0.0.%u moa=172.16.1.%u %s", z,
                 n, m, r & 1 << 20 ? "on" : "off");
        break;
    case 7:
    case 8:
        snprintf(line, 200, "del zone=%u hoa=10.0.0.%u moa=172.16.1.%u", z, n,
                 m);
        break;
    case 9:
        snprintf(line, 200, "del zone=%u hoa=10.0.0.%u", z, n);
        break;
    default:
        snprintf(line, 200, "add zone=%u hoa=10.0.0.%u moa=172.16.1.%u "
                 "mac=02:00:00:00:00:0%u %s", z, n, m, n,
                 states[(r >> 20) % 7]);
        break;
    }
}

static void
test_refused_batches_change_nothing(void **state)
{
    struct fixture *f = fixture_create();
    unsigned int n_done = 0, n_refused_late = 0;
    char *before = dump_all(f);

    (void) state;
    random_state = 2;
    for (int round = 0; round < 20000; round++) {
        char lines[6][200];
        const char *pointers[6];
        size_t n = 1 + next_random() % 6;
        struct mat_update_header header;
        char *after;

        for (size_t i = 0; i < n; i++) {
            random_command(lines[i]);
            pointers[i] = lines[i];
        }
        header = batch(f, pointers, n);
        after = dump_all(f);
        if (header.type == MAT_UPDATE_OK) {
            n_done++;
        } else {
            assert_string_equal(before, after);
            n_refused_late += header.cursor > 0;
        }
        free(before);
        before = after;
    }
    free(before);
    assert_true(n_done > 1000);
    assert_true(n_refused_late > 1000);
    fixture_destroy(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_operation_may_need_one_before_it),
        cmocka_unit_test(test_ok_comes_after_the_readers),
        cmocka_unit_test(test_hooks_follow_in_order),
        cmocka_unit_test(test_holds_are_overtaken_by_their_own),
        cmocka_unit_test(test_hold_is_kept_while_packets_wait),
        cmocka_unit_test(test_inject),
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_large_dump),
        cmocka_unit_test(test_malformed_is_answered),
        cmocka_unit_test(test_refused_batches_change_nothing),
    };

    return cmocka_run_group_tests_name("mat-server", tests, NULL, NULL);
}
