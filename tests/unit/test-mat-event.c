/* SPDX-License-Identifier: Apache-2.0 */

/* Event rings: what a consumer sees of them when it is in time, when it is
 * late, and while a producer runs at full speed beside it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "mat-event.h"

enum {
    N_SLOTS = 8,
    N_RACED = 200000
};

/* An event whose every member follows from 'n', so that a torn one shows. */
static struct mat_event
make_event(uint64_t n)
{
    struct mat_event event;

    memset(&event, 0, sizeof event);
    event.time_ns = n;
    event.zone = (uint32_t) n;
    event.odp_port = (uint32_t) ~n;
    event.type = (uint16_t) (n % MAT_N_EVENTS);
    for (size_t i = 0; i + 8 <= sizeof event.head; i += 8) {
        memcpy(event.head + i, &n, 8);
    }
    memcpy(event.addr.b, &n, 8);
    memcpy(event.addr.b + 8, &n, 8);
    return event;
}

static void
assert_event(const struct mat_event *event, uint64_t n)
{
    struct mat_event expected = make_event(n);

    expected.sequence = event->sequence;
    assert_memory_equal(event, &expected, sizeof expected);
}

static void *
make_region(unsigned int n_rings, unsigned int n_slots)
{
    void *region = aligned_alloc(64, mat_event_region_size(n_rings, n_slots));

    assert_non_null(region);
    mat_event_region_init(region, n_rings, n_slots);
    return region;
}

static void
put(void *region, unsigned int ring, uint64_t n)
{
    struct mat_event event = make_event(n);

    mat_event_put(region, N_SLOTS, ring, &event);
}

static void
open_reader(struct mat_event_reader *reader, const void *region,
            unsigned int n_rings, unsigned int n_slots, bool from_oldest)
{
    assert_true(mat_event_reader_init(reader, region,
                                      mat_event_region_size(n_rings, n_slots),
                                      from_oldest));
}

static void
test_events_come_in_order(void **state)
{
    void *region = make_region(1, N_SLOTS);
    struct mat_event_reader reader;
    struct mat_event event;

    (void) state;
    open_reader(&reader, region, 1, N_SLOTS, false);
    assert_false(mat_event_reader_next(&reader, &event));
    for (uint64_t n = 0; n < 5 * N_SLOTS; n += 2) {
        put(region, 0, n);
        put(region, 0, n + 1);
        assert_true(mat_event_reader_next(&reader, &event));
        assert_event(&event, n);
        assert_true(mat_event_reader_next(&reader, &event));
        assert_event(&event, n + 1);
        assert_false(mat_event_reader_next(&reader, &event));
    }
    assert_int_equal(reader.n_lost, 0);
    free(region);
}

/* A consumer may have found a way to write to the memory. */
static void
test_header_is_not_trusted(void **state)
{
    const size_t size = mat_event_region_size(2, N_SLOTS);
    char *block = malloc(3 * size);
    char *region = block + size;
    char *expected = malloc(size);

    (void) state;
    assert_non_null(block);
    assert_non_null(expected);
    memset(block, 0xff, 3 * size);
    memset(expected, 0xff, size);
    for (uint64_t n = 0; n < 3 * N_SLOTS; n++) {
        put(region, 1, n);
        memset(region, 0xff, 64);
    }
    assert_memory_equal(block, expected, size);
    assert_memory_equal(block + 2 * size, expected, size);
    free(expected);
    free(block);
}

static void
test_each_consumer_sees_all(void **state)
{
    void *region = make_region(1, N_SLOTS);
    struct mat_event_reader a, b;
    struct mat_event event;

    (void) state;
    open_reader(&a, region, 1, N_SLOTS, false);
    put(region, 0, 1);
    open_reader(&b, region, 1, N_SLOTS, false);
    put(region, 0, 2);
    assert_true(mat_event_reader_next(&a, &event));
    assert_event(&event, 1);
    assert_true(mat_event_reader_next(&b, &event));
    assert_event(&event, 2);
    assert_true(mat_event_reader_next(&a, &event));
    assert_event(&event, 2);
    assert_false(mat_event_reader_next(&a, &event));
    free(region);
}

static void
test_slow_consumer_counts_its_losses(void **state)
{
    (void) state;
    for (unsigned int n_put = 0; n_put <= 4 * N_SLOTS; n_put++) {
        void *region = make_region(1, N_SLOTS);
        struct mat_event_reader reader;
        struct mat_event event;
        uint64_t n_got = 0, last = 0;

        open_reader(&reader, region, 1, N_SLOTS, false);
        for (uint64_t n = 0; n < n_put; n++) {
            put(region, 0, n);
        }
        while (mat_event_reader_next(&reader, &event)) {
            last = event.time_ns;
            assert_event(&event, last);
            n_got++;
        }
        assert_int_equal(n_got + reader.n_lost, n_put);
        assert_true(!n_put || last == n_put - 1);
        assert_int_equal(reader.n_lost > 0, n_put > N_SLOTS);
        free(region);
    }
}

static void
test_reader_can_begin_with_the_oldest(void **state)
{
    void *region = make_region(1, N_SLOTS);
    struct mat_event_reader reader;
    struct mat_event event;

    (void) state;
    for (uint64_t n = 0; n < 3 * N_SLOTS; n++) {
        put(region, 0, n);
    }
    open_reader(&reader, region, 1, N_SLOTS, true);
    for (uint64_t n = 2 * N_SLOTS; n < 3 * N_SLOTS; n++) {
        assert_true(mat_event_reader_next(&reader, &event));
        assert_event(&event, n);
    }
    assert_false(mat_event_reader_next(&reader, &event));
    free(region);
}

static void
test_rings_are_read_in_turn(void **state)
{
    void *region = make_region(3, N_SLOTS);
    struct mat_event_reader reader;
    struct mat_event event;

    (void) state;
    open_reader(&reader, region, 3, N_SLOTS, false);
    for (unsigned int ring = 0; ring < 3; ring++) {
        put(region, ring, ring);
        put(region, ring, ring + 10);
    }
    for (unsigned int i = 0; i < 6; i++) {
        assert_true(mat_event_reader_next(&reader, &event));
        assert_event(&event, i % 3 + 10 * (i / 3));
    }
    assert_false(mat_event_reader_next(&reader, &event));
    free(region);
}

static void
test_strange_regions_are_refused(void **state)
{
    size_t size = mat_event_region_size(2, N_SLOTS);
    uint32_t *region = make_region(2, N_SLOTS);
    struct mat_event_reader reader;

    (void) state;
    assert_true(mat_event_reader_init(&reader, region, size, false));
    for (size_t short_by = 1; short_by <= size; short_by += 63) {
        assert_false(mat_event_reader_init(&reader, region, size - short_by,
                                           false));
    }
    for (size_t word = 0; word < 6; word++) {
        uint32_t good = region[word];

        region[word] = good + 1;
        assert_false(mat_event_reader_init(&reader, region, size, false));
        region[word] = 0;
        assert_false(mat_event_reader_init(&reader, region, size, false));
        region[word] = good;
    }
    free(region);
}

static void
test_frame_heads(void **state)
{
    static const size_t sizes[] = {
        0, 1, 60, MAT_EVENT_HEAD_SIZE - 1, MAT_EVENT_HEAD_SIZE,
        MAT_EVENT_HEAD_SIZE + 1, 9000, 65535, 65536, 100000
    };
    uint8_t *frame = calloc(1, 100000);

    (void) state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct mat_event event = make_event(0);

        mat_event_set_frame(&event, frame, sizes[i]);
        assert_int_equal(event.frame_size,
                         sizes[i] < 65535 ? sizes[i] : 65535);
        assert_int_equal(event.head_size,
                         sizes[i] < MAT_EVENT_HEAD_SIZE ? sizes[i]
                         : MAT_EVENT_HEAD_SIZE);
    }
    free(frame);
}

static void
test_every_type_has_a_name(void **state)
{
    (void) state;
    for (unsigned int i = 0; i < MAT_N_EVENTS; i++) {
        assert_string_not_equal(mat_event_name(i), "?");
        assert_string_not_equal(mat_event_text(i), "?");
    }
    assert_string_equal(mat_event_name(MAT_N_EVENTS), "?");
    assert_string_equal(mat_event_text(MAT_N_EVENTS), "?");
}

static void *
produce(void *region)
{
    for (uint64_t n = 0; n < N_RACED; n++) {
        put(region, 0, n);
    }
    return NULL;
}

static void *
consume(void *region)
{
    struct mat_event_reader reader;
    uint64_t n_got = 0, next = 0;
    struct mat_event event;

    open_reader(&reader, region, 1, N_SLOTS, true);
    n_got = reader.cursors[0];
    while (next < N_RACED) {
        if (mat_event_reader_next(&reader, &event)) {
            assert_true(event.time_ns >= next);
            assert_event(&event, event.time_ns);
            next = event.time_ns + 1;
            n_got++;
        }
    }
    assert_int_equal(n_got + reader.n_lost, N_RACED);
    return NULL;
}

/* The ring is tiny, so that the producer laps the consumers all the time. */
static void
test_consumers_never_see_a_torn_event(void **state)
{
    void *region = make_region(1, N_SLOTS);
    pthread_t producer, consumers[2];

    (void) state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, region),
                         0);
    }
    assert_int_equal(pthread_create(&producer, NULL, produce, region), 0);
    pthread_join(producer, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(consumers[i], NULL);
    }
    free(region);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_come_in_order),
        cmocka_unit_test(test_each_consumer_sees_all),
        cmocka_unit_test(test_header_is_not_trusted),
        cmocka_unit_test(test_slow_consumer_counts_its_losses),
        cmocka_unit_test(test_reader_can_begin_with_the_oldest),
        cmocka_unit_test(test_rings_are_read_in_turn),
        cmocka_unit_test(test_strange_regions_are_refused),
        cmocka_unit_test(test_frame_heads),
        cmocka_unit_test(test_every_type_has_a_name),
        cmocka_unit_test(test_consumers_never_see_a_torn_event),
    };

    return cmocka_run_group_tests_name("mat-event", tests, NULL, NULL);
}
