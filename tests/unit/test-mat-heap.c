/* SPDX-License-Identifier: Apache-2.0 */
/* Small parts: deadlines, index, recorder, coordinates. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mat-coord.h"
#include "mat-heap.h"
#include "mat-index.h"
#include "mat-recorder.h"
#include "mat-rng.h"

enum { N = 200 };

static void
test_timers_expire_in_order(void **state)
{
    struct mat_heap heap = { .n = 0 };
    struct mat_timer timers[N] = { { .pos = 0 } };
    struct mat_rng rng = { 3 };

    (void) state;
    for (int round = 0; round < 200; round++) {
        int64_t last = 0;
        struct mat_timer *t;
        uint32_t n_armed = 0;

        for (int i = 0; i < N * 2; i++) {
            struct mat_timer *any = &timers[mat_rng_below(&rng, N)];

            if (mat_rng_below(&rng, 3)) {
                mat_heap_set(&heap, any, mat_rng_below(&rng, 1000));
            } else {
                mat_heap_cancel(&heap, any);
            }
        }
        for (int i = 0; i < N; i++) {
            n_armed += mat_timer_is_armed(&timers[i]);
        }
        assert_int_equal(heap.n, n_armed);
        assert_null(mat_heap_expire(&heap, -1));
        while ((t = mat_heap_expire(&heap, 1000)) != NULL) {
            assert_true(t->at_us >= last);
            assert_false(mat_timer_is_armed(t));
            last = t->at_us;
            n_armed--;
        }
        assert_int_equal(n_armed, 0);
        assert_int_equal(mat_heap_deadline(&heap), MAT_TIMER_NEVER);
    }
    mat_heap_destroy(&heap);
}

static void
test_index_against_an_array(void **state)
{
    struct mat_index index = { .n = 0 };
    int values[N];
    bool is_in[N] = { false };
    struct mat_rng rng = { 4 };

    (void) state;
    for (int round = 0; round < 20000; round++) {
        uint32_t i = mat_rng_below(&rng, N);

        if (mat_rng_below(&rng, 2)) {
            mat_index_insert(&index, i, &values[i]);
            is_in[i] = true;
        } else {
            assert_ptr_equal(mat_index_remove(&index, i),
                             is_in[i] ? &values[i] : NULL);
            is_in[i] = false;
        }
        i = mat_rng_below(&rng, N);
        assert_ptr_equal(mat_index_find(&index, i),
                         is_in[i] ? &values[i] : NULL);
    }
    for (size_t cursor = 0; mat_index_next(&index, &cursor); ) {
        index.n--;
    }
    assert_int_equal(index.n, 0);
    mat_index_destroy(&index);
}

static void
test_recorder_keeps_the_latest(void **state)
{
    struct mat_recorder *rec = mat_recorder_create(1000);
    uint8_t bytes[2000], data[100];
    struct mat_recorder_entry entry;
    uint64_t n_lost = 0;
    size_t size, cursor = 0, n = 0;

    (void) state;
    for (int i = 0; i < 500; i++) {
        memset(data, i, sizeof data);
        mat_recorder_note(rec, i, MAT_REC_TICK, data, (size_t) i % 60);
    }
    mat_recorder_note(rec, 0, MAT_REC_TICK, bytes, sizeof bytes);
    size = mat_recorder_size(rec);
    assert_true(size <= sizeof bytes);
    mat_recorder_write(rec, bytes);
    while (mat_recorder_next(bytes, size, &cursor, &n_lost, &entry)) {
        int64_t i = (int64_t) (n_lost - 1 + n++);

        assert_int_equal(entry.now_us, i);
        assert_int_equal(entry.size, i % 60);
        for (size_t j = 0; j < entry.size; j++) {
            assert_int_equal(entry.data[j], (uint8_t) i);
        }
    }
    assert_int_equal(cursor, size);
    assert_int_equal(n + n_lost - 1, 500);
    cursor = 0;
    assert_false(mat_recorder_next(bytes + 1, size - 1, &cursor, &n_lost,
                                   &entry));
    mat_recorder_destroy(rec);
}

/* Hosts on a plane learn to predict RTTs that they never measured. */
static void
test_coordinates_predict(void **state)
{
    enum { HOSTS = 12 };
    struct mat_coord coords[HOSTS];
    struct mat_rng rng = { 6 };
    int64_t sum_error = 0, sum_rtt = 0;

    (void) state;
    for (int i = 0; i < HOSTS; i++) {
        mat_coord_init(&coords[i]);
    }
    for (int round = 0; round < 20000; round++) {
        int a = (int) mat_rng_below(&rng, HOSTS);
        int b = (a + 1 + (int) mat_rng_below(&rng, HOSTS - 1)) % HOSTS;
        int64_t rtt = 1000 + 10000 * llabs(a - b);

        mat_coord_update(&coords[a], &coords[b], rtt, mat_rng_next(&rng));
    }
    for (int a = 0; a < HOSTS; a++) {
        for (int b = 0; b < a; b++) {
            int64_t rtt = 1000 + 10000 * (a - b);

            sum_rtt += rtt;
            sum_error += llabs(mat_coord_rtt_us(&coords[a], &coords[b])
                               - rtt);
        }
    }
    assert_true(sum_error * 10 < sum_rtt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_expire_in_order),
        cmocka_unit_test(test_index_against_an_array),
        cmocka_unit_test(test_recorder_keeps_the_latest),
        cmocka_unit_test(test_coordinates_predict)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
