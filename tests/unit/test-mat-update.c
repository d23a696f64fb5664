/* SPDX-License-Identifier: Apache-2.0 */

/* The update codec: everything survives the way there and back, and nothing
 * else is accepted. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-update.h"
#include "update-samples.h"

static uint8_t buffer[MAT_UPDATE_MESSAGE_MAX];

/* Encodes 'op' alone, in a batch or as an item. */
static size_t
encode(const struct mat_op *op, void *to)
{
    struct mat_update_header header = {
        .type = op->type == MAT_OP_NUMBER ? MAT_UPDATE_ITEMS
                : op->type == MAT_OP_TEXT ? MAT_UPDATE_ERROR
                : MAT_UPDATE_BATCH,
        .id = 0x12345678,
    };
    struct mat_update_writer w;

    mat_update_begin(&w, to, MAT_UPDATE_MESSAGE_MAX);
    assert_true(mat_update_add(&w, op));
    return mat_update_end(&w, &header);
}

static enum mat_update_reason
open_message(const void *message, size_t size, uint64_t *bad)
{
    struct mat_update_reader reader;
    struct mat_update_header header;

    return mat_update_open(&reader, &header, message, size, bad);
}

static void
test_round_trip(void **state)
{
    struct mat_op op;

    (void) state;
    for (unsigned int i = 0; update_sample(i, &op); i++) {
        size_t size = encode(&op, buffer);
        struct mat_update_reader reader;
        struct mat_update_header header;
        struct mat_op decoded;
        uint64_t bad;

        assert_int_equal(mat_update_open(&reader, &header, buffer, size, &bad),
                         MAT_UPDATE_GOOD);
        assert_int_equal(header.id, 0x12345678);
        assert_int_equal(header.count, 1);
        assert_true(mat_update_next(&reader, &decoded));
        assert_true(update_equal(&op, &decoded));
        assert_false(mat_update_next(&reader, &decoded));
    }
}

static void
test_every_type_has_a_sample(void **state)
{
    bool seen[MAT_OP_END] = { false };
    struct mat_op op;

    (void) state;
    for (unsigned int i = 0; update_sample(i, &op); i++) {
        seen[op.type] = true;
    }
    for (int type = 1; type < MAT_OP_END; type++) {
        assert_true(seen[type] || type == MAT_OP_TEXT);
    }
}

/* A message cut anywhere, or longer than it should be, is refused. */
static void
test_wrong_lengths(void **state)
{
    struct mat_op op;

    (void) state;
    for (unsigned int i = 0; update_sample(i, &op); i++) {
        size_t size = encode(&op, buffer);
        uint64_t bad;

        for (size_t n = 0; n < size; n++) {
            uint8_t *exact = malloc(n ? n : 1);

            memcpy(exact, buffer, n);
            assert_int_not_equal(open_message(exact, n, &bad),
                                 MAT_UPDATE_GOOD);
            assert_true(n < MAT_UPDATE_HEADER_SIZE ? bad == MAT_UPDATE_NO_INDEX
                        : bad == 0);
            free(exact);
        }
        buffer[size] = 0;
        assert_int_equal(open_message(buffer, size + 1, &bad),
                         MAT_UPDATE_LONG);
    }
}

/* Whatever one byte is changed to, a message that is accepted has exactly one
 * encoding: its own. */
static void
test_accepted_means_canonical(void **state)
{
    static uint8_t again[MAT_UPDATE_MESSAGE_MAX];
    struct mat_op op;

    (void) state;
    for (unsigned int i = 0; update_sample(i, &op); i++) {
        size_t size = encode(&op, buffer);

        for (size_t j = 0; j < size * 256; j++) {
            uint8_t good = buffer[j / 256];
            struct mat_update_reader reader;
            struct mat_update_header header;
            uint64_t bad;

            buffer[j / 256] = (uint8_t) j;
            if (mat_update_open(&reader, &header, buffer, size, &bad)
                == MAT_UPDATE_GOOD) {
                struct mat_update_writer w;
                struct mat_op decoded;

                mat_update_begin(&w, again, sizeof again);
                while (mat_update_next(&reader, &decoded)) {
                    assert_true(mat_update_add(&w, &decoded));
                }
                assert_int_equal(mat_update_end(&w, &header), size);
                assert_memory_equal(again, buffer, size);
            }
            buffer[j / 256] = good;
        }
    }
}

static void
test_bad_headers(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
        enum mat_update_reason reason;
    } table[] = {
        { 0, 'm', MAT_UPDATE_BAD_MAGIC },
        { 4, 0, MAT_UPDATE_BAD_VERSION },
        { 4, 2, MAT_UPDATE_BAD_VERSION },
        { 5, 0, MAT_UPDATE_BAD_TYPE },
        { 5, MAT_UPDATE_BARRIER + 1, MAT_UPDATE_BAD_TYPE },
        { 5, 0x80, MAT_UPDATE_BAD_TYPE },
        { 5, 0x84, MAT_UPDATE_BAD_TYPE },
        { 5, 0xff, MAT_UPDATE_BAD_TYPE },
        { 5, MAT_UPDATE_DUMP, MAT_UPDATE_BAD_KIND },
        { 6, 1, MAT_UPDATE_BAD_KIND },
        { 7, 1, MAT_UPDATE_BAD_KIND },
        { 16, 1, MAT_UPDATE_BAD_CURSOR },
        { 23, 1, MAT_UPDATE_BAD_CURSOR },
        { 15, 1, MAT_UPDATE_BAD_COUNT },
        { 12, 1, MAT_UPDATE_BAD_COUNT },
    };
    struct mat_update_header header = { .type = MAT_UPDATE_HELLO };
    struct mat_update_writer w;
    uint64_t bad;

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        mat_update_begin(&w, buffer, sizeof buffer);
        assert_int_equal(mat_update_end(&w, &header), MAT_UPDATE_HEADER_SIZE);
        assert_int_equal(open_message(buffer, w.size, &bad), MAT_UPDATE_GOOD);
        buffer[table[i].offset] = table[i].value;
        assert_int_equal(open_message(buffer, w.size, &bad), table[i].reason);
        assert_true(bad == MAT_UPDATE_NO_INDEX);
    }
}

static void
test_bad_names(void **state)
{
    static const char *const names[] = {
        "", " ", "a b", "tab\t", "\x7f", "\xc3\xa4", "new\nline"
    };
    struct mat_op op;
    uint64_t bad;

    (void) state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        memset(&op, 0, sizeof op);
        op.type = MAT_OP_PORT_REMOVE;
        memcpy(op.port.name, names[i], strlen(names[i]) + 1);
        assert_int_equal(open_message(buffer, encode(&op, buffer), &bad),
                         MAT_UPDATE_BAD_NAME);
    }
}

static void
test_frame_sizes(void **state)
{
    static const struct {
        uint16_t size;
        enum mat_update_reason reason;
    } table[] = {
        { 0, MAT_UPDATE_BAD_VALUE },
        { 1, MAT_UPDATE_GOOD },
        { MAT_UPDATE_FRAME_MAX, MAT_UPDATE_GOOD },
        { MAT_UPDATE_FRAME_MAX + 1, MAT_UPDATE_BAD_VALUE },
    };
    static uint8_t frame[MAT_UPDATE_FRAME_MAX + 1];
    struct mat_op op = { .type = MAT_OP_INJECT };
    uint64_t bad;

    (void) state;
    memcpy(op.inject.port, "vm1", 4);
    op.inject.frame = frame;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op.inject.size = table[i].size;
        assert_int_equal(open_message(buffer, encode(&op, buffer), &bad),
                         table[i].reason);
    }
}

/* A writer fills its buffer to the last byte and no further. */
static void
test_writer_stops_at_its_end(void **state)
{
    struct mat_op op;

    (void) state;
    for (unsigned int i = 0; update_sample(i, &op); i++) {
        size_t size = encode(&op, buffer);
        uint8_t *exact = malloc(size);
        struct mat_update_writer w;

        mat_update_begin(&w, exact, size - 1);
        assert_false(mat_update_add(&w, &op));
        assert_int_equal(w.size, MAT_UPDATE_HEADER_SIZE);
        mat_update_begin(&w, exact, size);
        assert_true(mat_update_add(&w, &op));
        assert_false(mat_update_add(&w, &op));
        assert_int_equal(w.size, size);
        assert_int_equal(w.count, 1);
        free(exact);
    }
}

static void
test_index_of_the_bad_operation(void **state)
{
    struct mat_update_header header = { .type = MAT_UPDATE_BATCH };
    struct mat_update_writer w;
    uint64_t bad;
    struct mat_op op;

    (void) state;
    for (unsigned int n = 0; n < 50; n++) {
        mat_update_begin(&w, buffer, sizeof buffer);
        for (unsigned int i = 0; i < 50; i++) {
            memset(&op, 0, sizeof op);
            op.type = i == n ? MAT_OP_NUMBER : MAT_OP_NEXTHOP_REMOVE;
            memcpy(op.number.name, "x", 2);
            assert_true(mat_update_add(&w, &op));
        }
        assert_int_equal(open_message(buffer, mat_update_end(&w, &header),
                                      &bad), MAT_UPDATE_BAD_OP);
        assert_int_equal(bad, n);
    }
}

static void
test_every_reason_has_a_text(void **state)
{
    (void) state;
    for (unsigned int i = 0; i < MAT_UPDATE_N_REASONS; i++) {
        assert_string_not_equal(mat_update_strerror(i),
                                "reason is not known");
    }
    assert_string_equal(mat_update_strerror(MAT_UPDATE_N_REASONS),
                        "reason is not known");
    for (unsigned int i = 0; i < MAT_TABLE_N_ERRORS; i++) {
        assert_string_not_equal(
            mat_update_strerror(MAT_UPDATE_TABLE_ERRORS + i),
            "reason is not known");
    }
    assert_string_equal(
        mat_update_strerror(MAT_UPDATE_TABLE_ERRORS + MAT_TABLE_N_ERRORS),
        "reason is not known");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_type_has_a_sample),
        cmocka_unit_test(test_wrong_lengths),
        cmocka_unit_test(test_accepted_means_canonical),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_frame_sizes),
        cmocka_unit_test(test_writer_stops_at_its_end),
        cmocka_unit_test(test_index_of_the_bad_operation),
        cmocka_unit_test(test_every_reason_has_a_text),
    };

    return cmocka_run_group_tests_name("mat-update", tests, NULL, NULL);
}
