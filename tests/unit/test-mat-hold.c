/* SPDX-License-Identifier: Apache-2.0 */

/* Held packets: order, expiry, each limit, and a long random run against a
 * slow model. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-hold.h"

static const struct mat_hold_limits limits = {
    .n_keys = 5,
    .n_packets = 20,
    .n_bytes = 2000,
    .n_key_packets = 8,
    .n_key_bytes = 1000,
    .timeout_ms = 100,
};

/* A generator of our own, so that a run can be repeated anywhere. */
static uint64_t random_state;

static uint32_t
next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1;
    return (uint32_t) (random_state >> 33);
}

static struct mat_hold_key
key_number(unsigned int n)
{
    struct mat_hold_key key;

    memset(&key, 0, sizeof key);
    key.kind = MAT_HOLD_VMN;
    key.zone = n;
    key.addr.b[15] = (uint8_t) n;
    return key;
}

static void *
packet(uintptr_t n)
{
    return (void *) n;
}

static enum mat_hold_counter
add(struct mat_hold *hold, unsigned int key, uintptr_t n, size_t size,
    int64_t now_ms)
{
    struct mat_hold_key k = key_number(key);
    bool first;

    return mat_hold_add(hold, &k, packet(n), size, now_ms, &first);
}

static void
empty(struct mat_hold *hold)
{
    struct mat_hold_key key;

    while (mat_hold_pop_expired(hold, INT64_MAX - 1, &key)) {
        continue;
    }
    assert_int_equal(mat_hold_n_packets(hold), 0);
    assert_int_equal(mat_hold_n_bytes(hold), 0);
}

static void
test_released_in_order(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);
    struct mat_hold_key key = key_number(1);

    (void) state;
    for (uintptr_t n = 1; n <= 6; n++) {
        assert_int_equal(add(hold, 1, n, 10, 0), MAT_HOLD_HELD);
        assert_int_equal(add(hold, 2, 100 + n, 10, 0), MAT_HOLD_HELD);
    }
    assert_null(mat_hold_pop_released(hold));
    assert_int_equal(mat_hold_release(hold, &key), 6);
    for (uintptr_t n = 1; n <= 6; n++) {
        assert_ptr_equal(mat_hold_pop_released(hold), packet(n));
    }
    assert_null(mat_hold_pop_released(hold));
    assert_int_equal(mat_hold_release(hold, &key), 0);
    assert_int_equal(mat_hold_n_packets(hold), 6);
    assert_int_equal(mat_hold_count(hold, MAT_HOLD_RELEASED), 6);
    empty(hold);
    mat_hold_destroy(hold);
}

/* Packets that come back while a release goes on wait for the next one. */
static void
test_release_ends(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);
    struct mat_hold_key key = key_number(1);

    (void) state;
    for (uintptr_t n = 1; n <= 3; n++) {
        add(hold, 1, n, 10, 0);
    }
    assert_int_equal(mat_hold_release(hold, &key), 3);
    for (uintptr_t n = 1; n <= 3; n++) {
        assert_ptr_equal(mat_hold_pop_released(hold), packet(n));
        assert_int_equal(add(hold, 1, n, 10, 0), MAT_HOLD_HELD);
    }
    assert_null(mat_hold_pop_released(hold));
    assert_int_equal(mat_hold_n_packets(hold), 3);
    assert_int_equal(mat_hold_release(hold, &key), 3);
    assert_ptr_equal(mat_hold_pop_released(hold), packet(1));
    empty(hold);
    assert_null(mat_hold_pop_released(hold));
    mat_hold_destroy(hold);
}

static void
test_first_of_its_key(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);
    struct mat_hold_key key = key_number(3);
    bool first;

    (void) state;
    for (int round = 0; round < 3; round++) {
        mat_hold_add(hold, &key, packet(1), 10, 0, &first);
        assert_true(first);
        mat_hold_add(hold, &key, packet(2), 10, 0, &first);
        assert_false(first);
        if (round) {
            mat_hold_release(hold, &key);
            assert_ptr_equal(mat_hold_pop_released(hold), packet(1));
            assert_ptr_equal(mat_hold_pop_released(hold), packet(2));
        } else {
            assert_ptr_equal(mat_hold_pop(hold, &key), packet(1));
            assert_ptr_equal(mat_hold_pop(hold, &key), packet(2));
            assert_null(mat_hold_pop(hold, &key));
        }
    }
    assert_int_equal(mat_hold_count(hold, MAT_HOLD_DISCARDED), 2);
    mat_hold_destroy(hold);
}

static void
test_expiry_is_by_age(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);
    struct mat_hold_key key;

    (void) state;
    assert_true(mat_hold_deadline_ms(hold) == INT64_MAX);
    add(hold, 1, 1, 10, 1000);
    add(hold, 2, 2, 10, 1001);
    add(hold, 1, 3, 10, 1002);
    assert_int_equal(mat_hold_deadline_ms(hold), 1100);
    assert_null(mat_hold_pop_expired(hold, 1099, &key));
    assert_ptr_equal(mat_hold_pop_expired(hold, 1101, &key), packet(1));
    assert_int_equal(key.zone, 1);
    assert_ptr_equal(mat_hold_pop_expired(hold, 1101, &key), packet(2));
    assert_int_equal(key.zone, 2);
    assert_null(mat_hold_pop_expired(hold, 1101, &key));
    assert_int_equal(mat_hold_deadline_ms(hold), 1102);
    assert_ptr_equal(mat_hold_pop_expired(hold, 1102, &key), packet(3));
    assert_int_equal(mat_hold_count(hold, MAT_HOLD_EXPIRED), 3);
    mat_hold_destroy(hold);
}

static void
test_limits(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);

    (void) state;
    for (unsigned int n = 0; n < limits.n_key_packets; n++) {
        assert_int_equal(add(hold, 0, n + 1, 1, 0), MAT_HOLD_HELD);
    }
    assert_int_equal(add(hold, 0, 99, 1, 0), MAT_HOLD_KEY_PACKETS);
    assert_int_equal(add(hold, 1, 99, 1001, 0), MAT_HOLD_KEY_BYTES);
    assert_int_equal(add(hold, 1, 99, 1000, 0), MAT_HOLD_HELD);
    assert_int_equal(add(hold, 1, 99, 1, 0), MAT_HOLD_KEY_BYTES);
    assert_int_equal(add(hold, 2, 99, 993, 0), MAT_HOLD_BYTES);
    assert_int_equal(add(hold, 2, 99, 900, 0), MAT_HOLD_HELD);
    assert_int_equal(add(hold, 3, 99, 1, 0), MAT_HOLD_HELD);
    assert_int_equal(add(hold, 4, 99, 1, 0), MAT_HOLD_HELD);
    assert_int_equal(add(hold, 5, 99, 1, 0), MAT_HOLD_NO_KEY);
    for (unsigned int n = mat_hold_n_packets(hold); n < limits.n_packets;
         n++) {
        assert_int_equal(add(hold, n % 2 ? 3 : 4, 99, 1, 0), MAT_HOLD_HELD);
    }
    assert_int_equal(add(hold, 2, 99, 1, 0), MAT_HOLD_PACKETS);
    for (int i = MAT_HOLD_NO_KEY; i < MAT_HOLD_N_COUNTERS; i++) {
        assert_true(mat_hold_count(hold, (enum mat_hold_counter) i) > 0);
        assert_string_not_equal(
            mat_hold_counter_name((enum mat_hold_counter) i), "?");
    }
    mat_hold_clear_counters(hold);
    assert_int_equal(mat_hold_count(hold, MAT_HOLD_PACKETS), 0);
    empty(hold);
    mat_hold_destroy(hold);
}

/* Whoever sends to addresses that do not exist gets half of the room, whatever
 * he does; and the kinds of one address do not mix. */
static void
test_guesses_leave_room(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);
    unsigned int n_held = 0;

    (void) state;
    for (unsigned int round = 0; round < 3; round++) {
        struct mat_hold_key key = key_number(0);
        bool first;

        n_held = 0;
        for (unsigned int n = 0; n < 100; n++) {
            key.kind = (enum mat_hold_kind) (MAT_HOLD_SOURCE + n % 3);
            key.addr.b[0] = (uint8_t) (round ? n : 0);
            n_held += mat_hold_add(hold, &key, packet(1), round == 2 ? 300 : 1,
                                   0, &first) == MAT_HOLD_HELD;
        }
        assert_int_equal(n_held, round == 0 ? 10 : round == 1 ? 2 : 2);
        assert_true(mat_hold_count(hold, MAT_HOLD_NO_KEY) > 0);
        for (unsigned int n = 1; n <= 3; n++) {
            assert_int_equal(add(hold, n, 1, 300, 0), MAT_HOLD_HELD);
            assert_int_equal(add(hold, n, 1, 1, 0), MAT_HOLD_HELD);
        }
        empty(hold);
    }
    mat_hold_destroy(hold);
}

static void
test_check_counts_refusals(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 1);
    struct mat_hold_key key = key_number(1);

    (void) state;
    assert_int_equal(mat_hold_check(hold, &key, 1000), MAT_HOLD_HELD);
    assert_int_equal(mat_hold_count(hold, MAT_HOLD_HELD), 0);
    assert_int_equal(mat_hold_check(hold, &key, 1001), MAT_HOLD_KEY_BYTES);
    assert_int_equal(mat_hold_count(hold, MAT_HOLD_KEY_BYTES), 1);
    add(hold, 1, 1, 600, 0);
    assert_int_equal(mat_hold_check(hold, &key, 400), MAT_HOLD_HELD);
    assert_int_equal(mat_hold_check(hold, &key, 401), MAT_HOLD_KEY_BYTES);
    empty(hold);
    mat_hold_destroy(hold);
}

static bool
takes_multiples(void *packet_, void *divisor)
{
    return !((uintptr_t) packet_ % *(uintptr_t *) divisor);
}

/* Released packets, too, and the order of the others stays. */
static void
test_some_are_discarded(void **state)
{
    struct mat_hold_key key = key_number(1);

    (void) state;
    for (uintptr_t divisor = 1; divisor <= 8; divisor++) {
        struct mat_hold *hold = mat_hold_create(&limits, 1);

        for (uintptr_t n = 1; n <= 6; n++) {
            if (n == 5) {
                mat_hold_release(hold, &key);
            }
            add(hold, 1, n, 10, (int64_t) n);
            add(hold, 2, 10 + n, 20, (int64_t) n);
        }
        mat_hold_discard_if(hold, takes_multiples, &divisor);
        add(hold, 1, 7, 10, 7);
        for (uintptr_t n = 1; n <= 4; n++) {
            if (n % divisor) {
                assert_ptr_equal(mat_hold_pop_released(hold), packet(n));
            }
        }
        assert_null(mat_hold_pop_released(hold));
        for (uintptr_t n = 5; n <= 7; n++) {
            if (n == 7 || n % divisor) {
                assert_ptr_equal(mat_hold_pop(hold, &key), packet(n));
            }
        }
        assert_null(mat_hold_pop(hold, &key));
        empty(hold);
        mat_hold_destroy(hold);
    }
}

/* The model: packets in one array, oldest first. */
struct model {
    struct model_packet {
        unsigned int key;
        uintptr_t n;
        size_t size;
        int64_t time_ms;
    } packets[20];
    unsigned int n;
};

static struct model_packet
model_take(struct model *m, unsigned int i)
{
    struct model_packet p = m->packets[i];

    m->n--;
    memmove(&m->packets[i], &m->packets[i + 1],
            (m->n - i) * sizeof *m->packets);
    return p;
}

static void
model_check(const struct model *m, const struct mat_hold *hold)
{
    struct mat_hold_queue queue;
    unsigned int cursor = 0, n_packets = 0;
    size_t n_bytes = 0;

    while (mat_hold_next(hold, &cursor, &queue)) {
        n_packets += queue.n_packets;
        n_bytes += queue.n_bytes;
    }
    assert_int_equal(n_packets, m->n);
    assert_int_equal(mat_hold_n_packets(hold), m->n);
    assert_int_equal(mat_hold_n_bytes(hold), n_bytes);
    for (unsigned int i = 0; i < m->n; i++) {
        n_bytes -= m->packets[i].size;
    }
    assert_int_equal(n_bytes, 0);
    assert_true(mat_hold_deadline_ms(hold)
                == (m->n ? m->packets[0].time_ms + limits.timeout_ms
                    : INT64_MAX));
}

static void
model_release(struct model *m, struct mat_hold *hold, unsigned int key)
{
    struct mat_hold_key k = key_number(key);
    size_t n = mat_hold_release(hold, &k);

    for (unsigned int i = 0; i < m->n; ) {
        if (m->packets[i].key == key) {
            assert_ptr_equal(mat_hold_pop_released(hold),
                             packet(model_take(m, i).n));
            n--;
        } else {
            i++;
        }
    }
    assert_int_equal(n, 0);
    assert_null(mat_hold_pop_released(hold));
}

static void
test_random_run_against_a_model(void **state)
{
    struct mat_hold *hold = mat_hold_create(&limits, 12345);
    struct model m = { .n = 0 };
    int64_t now_ms = 0;

    (void) state;
    random_state = 1;
    for (uintptr_t n = 1; n < 200000; n++) {
        unsigned int key = next_random() % 7;
        size_t size = 1 + next_random() % 300;
        unsigned int what = next_random() % 17;
        struct mat_hold_key k = key_number(key);

        now_ms += next_random() % 8;
        if (what < 12) {
            if (add(hold, key, n, size, now_ms) == MAT_HOLD_HELD) {
                m.packets[m.n++] = (struct model_packet) { key, n, size,
                                                           now_ms };
            }
        } else if (what < 13) {
            model_release(&m, hold, key);
        } else if (what < 14) {
            void *p = mat_hold_pop(hold, &k);

            for (unsigned int i = 0; i < m.n; i++) {
                if (m.packets[i].key == key) {
                    assert_ptr_equal(p, packet(model_take(&m, i).n));
                    p = NULL;
                    break;
                }
            }
            assert_null(p);
        } else if (what < 15) {
            uintptr_t divisor = 2 + next_random() % 9;

            mat_hold_discard_if(hold, takes_multiples, &divisor);
            for (unsigned int i = 0; i < m.n; ) {
                if (m.packets[i].n % divisor) {
                    i++;
                } else {
                    model_take(&m, i);
                }
            }
        } else {
            void *p = mat_hold_pop_expired(hold, now_ms, &k);

            assert_ptr_equal(p, m.n && m.packets[0].time_ms + limits.timeout_ms
                                <= now_ms ? packet(model_take(&m, 0).n)
                                : NULL);
        }
        model_check(&m, hold);
    }
    empty(hold);
    mat_hold_destroy(hold);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_released_in_order),
        cmocka_unit_test(test_release_ends),
        cmocka_unit_test(test_first_of_its_key),
        cmocka_unit_test(test_expiry_is_by_age),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_guesses_leave_room),
        cmocka_unit_test(test_check_counts_refusals),
        cmocka_unit_test(test_some_are_discarded),
        cmocka_unit_test(test_random_run_against_a_model),
    };

    return cmocka_run_group_tests_name("mat-hold", tests, NULL, NULL);
}
