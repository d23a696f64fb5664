/* SPDX-License-Identifier: Apache-2.0 */

/* Tables and durations for people. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../ctl/matctl-table.h"

/* What is printed, for the caller to free. */
static char *
print(const struct matctl_table *table)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    matctl_table_print(table, stream);
    fclose(stream);
    return text;
}

static void
assert_prints(struct matctl_table *table, const char *expected)
{
    char *text = print(table);

    assert_string_equal(text, expected);
    free(text);
    matctl_table_destroy(table);
}

static void
test_columns(void **state)
{
    struct matctl_table *t = matctl_table_create("NAME", ">BYTES", "NOTE",
                                                 NULL);

    (void) state;
    matctl_table_cell(t, "vm1");
    matctl_table_cell(t, "9");
    matctl_table_cell(t, "x");
    matctl_table_cell(t, "a-longer-name");
    matctl_table_cell(t, "1234567");
    matctl_table_cell(t, "");
    assert_int_equal(matctl_table_n_rows(t), 2);
    assert_prints(t,
                  "NAME             BYTES  NOTE\n"
                  "vm1                  9  x\n"
                  "a-longer-name  1234567  -\n");
}

static void
test_empty(void **state)
{
    (void) state;
    assert_prints(matctl_table_create("A", "B", NULL), "");
}

static void
test_missing_cell(void **state)
{
    struct matctl_table *t = matctl_table_create("A", NULL);

    (void) state;
    matctl_table_cell(t, NULL);
    assert_prints(t, "A\n-\n");
}

/* What comes from a database must not steer the terminal; what is not ASCII
 * takes the room that it takes. */
static void
test_text_of_others(void **state)
{
    struct matctl_table *t = matctl_table_create("A", "B", NULL);

    (void) state;
    matctl_table_cell(t, "\033[2Jx\n\x7f");
    matctl_table_cell(t, "1");
    matctl_table_cell(t, "h\xc3\xb6st");
    matctl_table_cell(t, "2");
    assert_prints(t, "A        B\n?[2Jx??  1\nh\xc3\xb6st     2\n");
}

static void
test_many_rows(void **state)
{
    struct matctl_table *t = matctl_table_create(">N", NULL);
    char *text;

    (void) state;
    for (int i = 0; i < 1000; i++) {
        matctl_table_cell(t, "7");
    }
    text = print(t);
    assert_int_equal(matctl_table_n_rows(t), 1000);
    assert_string_equal(text + 2 * 1000, "7\n");
    free(text);
    matctl_table_destroy(t);
}

static void
test_durations(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        { -1, "-" }, { 0, "0 us" }, { 999, "999 us" }, { 1000, "1.0 ms" },
        { 99949, "99.9 ms" }, { 100000, "100 ms" }, { 999999, "999 ms" },
        { 1250000, "1.25 s" }, { 60 * 1000000LL, "1m00s" },
        { 3599 * 1000000LL, "59m59s" }, { 3600 * 1000000LL, "1h00m" },
        { 47 * 3600 * 1000000LL, "47h00m" },
        { 48 * 3600 * 1000000LL, "2d" }, { INT64_MAX, "106751991d" },
    };
    char buf[MATCTL_DURATION_MAX];

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(matctl_duration(cases[i].us, buf),
                            cases[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_missing_cell),
        cmocka_unit_test(test_text_of_others),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
