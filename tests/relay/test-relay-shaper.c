/* SPDX-License-Identifier: Apache-2.0 */
/* A line does to frames what its settings say, in virtual time. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shaper.h"

#define MS INT64_C(1000000)
enum { N = 20000, SIZE = 1000 };

/* What became of N frames, numbered, put at a steady interval. */
struct result {
    uint32_t order[2 * N];      /* Numbers, as they arrived. */
    int64_t took_ns[2 * N];
    uint32_t n;
    int64_t end_ns;
    struct shaper_stats stats;
};

static void
drain(struct shaper *shaper, struct result *result, int64_t interval_ns,
      int64_t until_ns)
{
    struct shaper_frame *frame;
    int64_t at;

    while ((at = shaper_deadline(shaper)) <= until_ns && at != SHAPER_NEVER) {
        uint32_t number;

        assert_null(shaper_next(shaper, at - 1));
        frame = shaper_next(shaper, at);
        assert_non_null(frame);
        assert_int_equal(frame->size, SIZE);
        memcpy(&number, frame->data, sizeof number);
        assert_true(result->n < 2 * N);
        result->took_ns[result->n] = at - number * interval_ns;
        result->order[result->n++] = number;
        result->end_ns = at;
        free(frame);
    }
}

static struct result *
run(const char *text, int64_t interval_ns)
{
    struct shaper_config config = { .limit = SHAPER_LIMIT_DEFAULT };
    struct shaper shaper;
    struct result *result = calloc(1, sizeof *result);
    uint8_t data[SIZE] = { 0 };

    assert_null(shaper_parse(&config, text));
    shaper_init(&shaper, &config);
    for (uint32_t i = 0; i < N; i++) {
        drain(&shaper, result, interval_ns, i * interval_ns);
        memcpy(data, &i, sizeof i);
        shaper_put(&shaper, i * interval_ns, data, SIZE);
    }
    result->stats = shaper.stats;
    assert_int_equal(shaper.stats.taken + shaper.stats.duplicated,
                     shaper.stats.lost + shaper.stats.overflowed
                     + shaper.stats.delivered + shaper.stats.waiting);
    drain(&shaper, result, interval_ns, SHAPER_NEVER - 1);
    assert_int_equal(shaper.stats.waiting, 0);
    assert_int_equal(shaper.bytes, 0);
    result->stats = shaper.stats;
    shaper_destroy(&shaper);
    return result;
}

static uint32_t
count_overtaken(const struct result *result)
{
    uint32_t n = 0, highest = 0;

    for (uint32_t i = 0; i < result->n; i++) {
        if (result->order[i] < highest) {
            n++;
        } else {
            highest = result->order[i];
        }
    }
    return n;
}

static void
test_nothing_happens_without_settings(void **state)
{
    struct result *result = run("", 1000);

    (void) state;
    assert_int_equal(result->n, N);
    assert_int_equal(count_overtaken(result), 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(result->took_ns[i], 0);
    }
    free(result);
}

static void
test_each_frame_takes_the_delay(void **state)
{
    struct result *result = run("delay=40ms", MS);

    (void) state;
    assert_int_equal(result->n, N);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(result->took_ns[i], 40 * MS);
    }
    free(result);
}

static void
test_jitter_is_even_and_keeps_the_order(void **state)
{
    /* Farther apart than the jitter, so that none waits for another. */
    struct result *result = run("delay=10ms,jitter=4ms,seed=3", 9 * MS);
    uint32_t quarters[4] = { 0 };

    (void) state;
    for (uint32_t i = 0; i < N; i++) {
        assert_in_range(result->took_ns[i], 6 * MS, 14 * MS);
        quarters[(result->took_ns[i] - 6 * MS) * 4 / (8 * MS + 1)]++;
    }
    for (int i = 0; i < 4; i++) {
        assert_in_range(quarters[i], N / 4 * 0.95, N / 4 * 1.05);
    }
    free(result);

    result = run("delay=10ms,jitter=10ms,seed=3", MS / 10);
    assert_int_equal(result->n, N);
    assert_int_equal(count_overtaken(result), 0);
    free(result);
}

static void
test_loss_is_as_often_as_asked_for(void **state)
{
    struct result *result = run("loss=2.5%,seed=4", 1000);

    (void) state;
    assert_in_range(result->stats.lost, N * 0.022, N * 0.028);
    assert_int_equal(result->n + result->stats.lost, N);
    free(result);

    result = run("loss=100%", 1000);
    assert_int_equal(result->n, 0);
    free(result);
}

static void
test_duplicates_are_as_often_as_asked_for(void **state)
{
    struct result *result = run("duplicate=10%,delay=1ms,seed=5", 1000);
    uint32_t n_twice = 0;

    (void) state;
    for (uint32_t i = 1; i < result->n; i++) {
        n_twice += result->order[i] == result->order[i - 1];
    }
    assert_int_equal(n_twice, result->stats.duplicated);
    assert_int_equal(result->n, N + n_twice);
    assert_in_range(n_twice, N * 0.09, N * 0.11);
    free(result);
}

static void
test_reordered_frames_overtake(void **state)
{
    struct result *result = run("reorder=1%,delay=5ms,seed=6", MS);
    uint32_t n_at_once = 0;

    (void) state;
    for (uint32_t i = 0; i < N; i++) {
        n_at_once += result->took_ns[i] == 0;
        assert_true(result->took_ns[i] == 0 || result->took_ns[i] == 5 * MS);
    }
    assert_int_equal(n_at_once, result->stats.reordered);
    assert_in_range(n_at_once, N * 0.008, N * 0.012);
    assert_true(count_overtaken(result) > n_at_once * 3);
    free(result);
}

static void
test_rate_clocks_out_and_the_limit_drops(void **state)
{
    /* 1000 bytes at 8 Mbit/s are 1 ms each; they come twice as fast. */
    struct result *result = run("rate=8mbit,limit=50,delay=3ms", MS / 2);

    (void) state;
    assert_int_equal(result->n + result->stats.overflowed, N);
    assert_in_range(result->n, N / 2, N / 2 + 60);
    for (uint32_t i = 1; i < result->n; i++) {
        assert_in_range(result->took_ns[i], 4 * MS, 50 * MS);
    }
    assert_in_range(result->end_ns, N / 2 * MS, (N / 2 + 60) * MS);
    free(result);

    /* A rate that suffices adds only the time to clock the frame out. */
    result = run("rate=8gbit", MS);
    assert_int_equal(result->took_ns[N - 1], 1000);
    free(result);
}

static void
test_same_seed_same_fate(void **state)
{
    static const char *texts[] = {
        "loss=5%,seed=7", "loss=5%,seed=7,delay=50ms,jitter=50ms,rate=1gbit",
        "loss=5%,seed=8"
    };
    struct result *results[3];

    (void) state;
    for (int i = 0; i < 3; i++) {
        results[i] = run(texts[i], MS);
    }
    assert_int_equal(results[0]->n, results[1]->n);
    assert_memory_equal(results[0]->order, results[1]->order,
                        results[0]->n * sizeof results[0]->order[0]);
    assert_memory_not_equal(results[0]->order, results[2]->order,
                            N / 2 * sizeof results[0]->order[0]);
    for (int i = 0; i < 3; i++) {
        free(results[i]);
    }
}

static void
test_settings_change_under_way(void **state)
{
    struct shaper_config config = { .limit = 10 };
    struct shaper shaper;
    struct shaper_frame *frame;

    (void) state;
    assert_null(shaper_parse(&config, "delay=10ms"));
    shaper_init(&shaper, &config);
    shaper_put(&shaper, 0, "a", 1);
    assert_null(shaper_parse(&config, "delay=1ms,loss=100%"));
    shaper_configure(&shaper, &config);
    shaper_put(&shaper, 0, "b", 1);
    assert_null(shaper_parse(&config, "loss=0"));
    shaper_configure(&shaper, &config);
    shaper_put(&shaper, 0, "c", 1);
    for (const char *want = "ac"; *want; want++) {
        frame = shaper_next(&shaper, 10 * MS);
        assert_int_equal(frame->data[0], *want);
        free(frame);
    }
    shaper_put(&shaper, 20 * MS, "d", 1);
    assert_int_equal(shaper_deadline(&shaper), 21 * MS);
    shaper_destroy(&shaper);
}

static void
test_wrong_text_changes_nothing(void **state)
{
    static const char *wrong[] = {
        "delay", "delay=", "delay=10", "delay=-1ms", "delay=10mss",
        "delay=nan", "delay=1e9s", "jitter=1ms", "loss=1", "loss=101%",
        "reorder=1%", "rate=10", "limit=0", "limit=9999999", "speed=1",
        "=1", "delay=1ms,loss=x", "seed=-1", "seed=abc",
    };
    struct shaper_config config = { .limit = 5 }, before = config;
    char longest[400];

    (void) state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_non_null(shaper_parse(&config, wrong[i]));
        assert_memory_equal(&config, &before, sizeof config);
    }
    memset(longest, ',', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_non_null(shaper_parse(&config, longest));

    assert_null(shaper_parse(&config, "delay=1.5ms,rate=2.5gbit,loss=0.01%,"
                             "seed=9,limit=7,,"));
    assert_int_equal(config.delay_ns, 1500000);
    assert_int_equal(config.rate_bps, 2500000000);
    assert_int_equal(config.loss_ppm, 100);
    assert_int_equal(config.limit, 7);
    assert_int_equal(config.seed, 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_happens_without_settings),
        cmocka_unit_test(test_each_frame_takes_the_delay),
        cmocka_unit_test(test_jitter_is_even_and_keeps_the_order),
        cmocka_unit_test(test_loss_is_as_often_as_asked_for),
        cmocka_unit_test(test_duplicates_are_as_often_as_asked_for),
        cmocka_unit_test(test_reordered_frames_overtake),
        cmocka_unit_test(test_rate_clocks_out_and_the_limit_drops),
        cmocka_unit_test(test_same_seed_same_fate),
        cmocka_unit_test(test_settings_change_under_way),
        cmocka_unit_test(test_wrong_text_changes_nothing),
    };

    return cmocka_run_group_tests_name("relay-shaper", tests, NULL, NULL);
}
