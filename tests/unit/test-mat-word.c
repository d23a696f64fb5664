/* SPDX-License-Identifier: Apache-2.0 */

/* The action's argument: every zone as text and back, every bit that is set
 * by mistake, and texts that are nearly right. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mat-word.h"

/* Parses a copy of 'text' that ends where its memory does. */
static const char *
parse(const char *text, uint32_t *word)
{
    size_t n = strlen(text);
    char *copy = test_malloc(n + 1);
    const char *error;

    memcpy(copy + 1, text, n);
    error = mat_word_parse(copy + 1, n, word);
    test_free(copy);
    return error;
}

static void
assert_round_trip(uint32_t word)
{
    char text[MAT_WORD_TEXT_SIZE];
    uint32_t again = ~word;

    assert_true(mat_word_is_valid(word));
    assert_ptr_equal(mat_word_format(word, text), text);
    assert_true(strlen(text) < sizeof text);
    assert_null(mat_word_parse(text, strlen(text), &again));
    assert_int_equal(again, word);
}

static void
test_every_zone_comes_back(void **state)
{
    (void) state;
    for (uint32_t zone = 0; zone <= MAT_WORD_ZONE_MASK; zone++) {
        if (zone < 100000 || zone % 997 == 0
            || zone > MAT_WORD_ZONE_MASK - 1000) {
            assert_round_trip(zone);
            assert_round_trip(zone | MAT_WORD_EXPLICIT);
        }
    }
    assert_round_trip(MAT_WORD_IN);
    assert_round_trip(MAT_WORD_IN | MAT_WORD_EXPLICIT);
}

static void
test_every_other_bit_is_refused(void **state)
{
    (void) state;
    for (int bit = 26; bit < 32; bit++) {
        for (uint32_t flags = 0; flags < 4; flags++) {
            uint32_t word = flags << 24;

            assert_false(mat_word_is_valid(word | UINT32_C(1) << bit));
        }
    }
    for (int bit = 0; bit < 24; bit++) {
        uint32_t zone = UINT32_C(1) << bit;

        assert_true(mat_word_is_valid(zone));
        assert_false(mat_word_is_valid(zone | MAT_WORD_IN));
        assert_false(mat_word_is_valid(zone | MAT_WORD_IN
                                       | MAT_WORD_EXPLICIT));
    }
}

static void
test_good_texts(void **state)
{
    static const struct {
        const char *text;
        uint32_t word;
    } table[] = {
        { "out", 0 },
        { "in", MAT_WORD_IN },
        { "out,zone=0", 0 },
        { "out,zone=000000000000000007", 7 },
        { "out,zone=16777215", MAT_WORD_ZONE_MASK },
        { "out,explicit,zone=1", MAT_WORD_EXPLICIT | 1 },
        { "in,explicit", MAT_WORD_IN | MAT_WORD_EXPLICIT },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint32_t word = UINT32_MAX;

        assert_null(parse(table[i].text, &word));
        assert_int_equal(word, table[i].word);
    }
}

static void
test_bad_texts_have_a_reason(void **state)
{
    static const struct {
        const char *text;
        const char *reason;     /* A part of it. */
    } table[] = {
        { "", "in or out" },
        { ",", "in or out" },
        { "i", "in or out" },
        { "inn", "in or out" },
        { "ou", "in or out" },
        { "OUT", "in or out" },
        { " out", "in or out" },
        { "zone=1", "in or out" },
        { "out,", "unknown" },
        { "out ", "in or out" },
        { "out,,explicit", "unknown" },
        { "out,zone", "unknown" },
        { "out,explici", "unknown" },
        { "out,explicitly", "unknown" },
        { "out,zone=", "no number" },
        { "out,zone= 1", "decimal" },
        { "out,zone=+1", "decimal" },
        { "out,zone=1 ", "decimal" },
        { "out,zone=1/", "decimal" },
        { "out,zone=1:", "decimal" },
        { "out,zone=16777216", "larger" },
        { "out,zone=4294967296", "larger" },
        { "out,zone=4294967303", "larger" },
        { "out,zone=1,zone=1", "twice" },
        { "out,zone=0,zone=0", "twice" },
        { "out,explicit,explicit", "twice" },
        { "in,zone=0", "goes with out" },
        { "in,explicit,zone=7", "goes with out" },
        { "out,in", "unknown" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint32_t word = 12345;
        const char *error = parse(table[i].text, &word);

        assert_non_null(error);
        assert_non_null(strstr(error, table[i].reason));
        assert_int_equal(word, 12345);
    }
}

static void
test_a_nul_is_a_character_like_others(void **state)
{
    uint32_t word = 12345;

    (void) state;
    assert_non_null(mat_word_parse("out\0", 4, &word));
    assert_non_null(mat_word_parse("out,zone=1\0", 11, &word));
    assert_int_equal(word, 12345);
    assert_null(mat_word_parse("outside", 3, &word));
    assert_int_equal(word, 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_zone_comes_back),
        cmocka_unit_test(test_every_other_bit_is_refused),
        cmocka_unit_test(test_good_texts),
        cmocka_unit_test(test_bad_texts_have_a_reason),
        cmocka_unit_test(test_a_nul_is_a_character_like_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
