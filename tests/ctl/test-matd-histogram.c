/* SPDX-License-Identifier: Apache-2.0 */

/* Histograms of durations. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../ctl/matd-histogram.h"

static void
test_bounds_ascend(void **state)
{
    (void) state;
    for (unsigned int i = 0; i < MATD_HISTOGRAM_BUCKETS; i++) {
        double s = strtod(matd_histogram_bound_text(i), NULL);

        assert_true((int64_t) (s * 1e6 + .5) == matd_histogram_bound_us(i));
        if (i) {
            assert_true(matd_histogram_bound_us(i)
                        > matd_histogram_bound_us(i - 1));
        }
    }
}

/* A bound is in its own bucket, one more in the next. */
static void
test_bounds_are_inclusive(void **state)
{
    (void) state;
    for (unsigned int i = 0; i < MATD_HISTOGRAM_BUCKETS; i++) {
        struct matd_histogram h = { .n = 0 };

        matd_histogram_add(&h, matd_histogram_bound_us(i));
        matd_histogram_add(&h, matd_histogram_bound_us(i) + 1);
        assert_int_equal(h.counts[i], 1);
        assert_int_equal(h.counts[i + 1], 1);
        assert_int_equal(h.n, 2);
        assert_true(h.sum_us == 2 * matd_histogram_bound_us(i) + 1);
    }
}

static void
test_negative(void **state)
{
    struct matd_histogram h = { .n = 0 };

    (void) state;
    matd_histogram_add(&h, -5);
    assert_int_equal(h.counts[0], 1);
    assert_true(h.sum_us == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_ascend),
        cmocka_unit_test(test_bounds_are_inclusive),
        cmocka_unit_test(test_negative),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
