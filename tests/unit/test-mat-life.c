/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The picture of the header, and what it does not show. */
static void
test_steps(void **state)
{
    static const struct {
        enum mat_life from;
        enum mat_life_cause cause;
        enum mat_life to;
    } steps[] = {
        { MAT_LIFE_ABSENT, MAT_LIFE_PREPARE, MAT_LIFE_PREPARED },
        { MAT_LIFE_PREPARED, MAT_LIFE_STARTS, MAT_LIFE_LIVE },
        { MAT_LIFE_PREPARED, MAT_LIFE_FAILED, MAT_LIFE_ABSENT },
        { MAT_LIFE_LIVE, MAT_LIFE_STOPS, MAT_LIFE_LEAVING },
        { MAT_LIFE_LEAVING, MAT_LIFE_GOES_ON, MAT_LIFE_LIVE },
        { MAT_LIFE_LEAVING, MAT_LIFE_FAILED, MAT_LIFE_LIVE },
        { MAT_LIFE_LEAVING, MAT_LIFE_TAKEN, MAT_LIFE_GONE },
        { MAT_LIFE_LIVE, MAT_LIFE_TAKEN, MAT_LIFE_GONE },
        { MAT_LIFE_GONE, MAT_LIFE_QUIET, MAT_LIFE_ABSENT },
        { MAT_LIFE_GONE, MAT_LIFE_STARTS, MAT_LIFE_LIVE },
        { MAT_LIFE_LIVE, MAT_LIFE_PARK, MAT_LIFE_PARKED },
        { MAT_LIFE_PARKED, MAT_LIFE_STARTS, MAT_LIFE_LIVE },
        { MAT_LIFE_PARKED, MAT_LIFE_TAKEN, MAT_LIFE_GONE },
        /* A failed migration to here is not one of what is here. */
        { MAT_LIFE_LIVE, MAT_LIFE_FAILED, MAT_LIFE_LIVE },
        { MAT_LIFE_LIVE, MAT_LIFE_PREPARE, MAT_LIFE_LIVE },
        { MAT_LIFE_GONE, MAT_LIFE_STOPS, MAT_LIFE_GONE },
        { MAT_LIFE_ABSENT, MAT_LIFE_TAKEN, MAT_LIFE_ABSENT },
    };

    (void) state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(mat_life_next(steps[i].from, steps[i].cause),
                         steps[i].to);
    }
}

/* From every state a VMN can be released or runs out of time, and ends. */
static void
test_every_life_ends(void **state)
{
    (void) state;
    for (int from = 0; from < MAT_N_LIVES; from++) {
        enum mat_life life = (enum mat_life) from;

        life = mat_life_next(life, MAT_LIFE_RELEASE);
        life = mat_life_next(life, MAT_LIFE_QUIET);
        assert_int_equal(life, MAT_LIFE_ABSENT);
    }
}

static void
test_strange_numbers_change_nothing(void **state)
{
    (void) state;
    assert_int_equal(mat_life_next((enum mat_life) 77, MAT_LIFE_STARTS), 77);
    assert_int_equal(mat_life_next(MAT_LIFE_LIVE, (enum mat_life_cause) 77),
                     MAT_LIFE_LIVE);
    assert_string_equal(mat_life_name((enum mat_life) 77), "?");
    assert_string_equal(mat_life_text((enum mat_life) 77), "?");
    assert_string_equal(mat_life_cause_name((enum mat_life_cause) 77), "?");
}

static void
test_all_have_names(void **state)
{
    (void) state;
    for (int i = 0; i < MAT_N_LIVES; i++) {
        assert_true(strlen(mat_life_name((enum mat_life) i)) > 2);
        assert_true(strlen(mat_life_text((enum mat_life) i)) > 9);
        assert_int_equal(mat_life_has_moa((enum mat_life) i), i > 0);
    }
    for (int i = 0; i < MAT_N_LIFE_CAUSES; i++) {
        assert_true(strlen(mat_life_cause_name((enum mat_life_cause) i)) > 2);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_every_life_ends),
        cmocka_unit_test(test_strange_numbers_change_nothing),
        cmocka_unit_test(test_all_have_names),
    };

    return cmocka_run_group_tests_name("mat-life", tests, NULL, NULL);
}
