/* SPDX-License-Identifier: Apache-2.0 */

/* What is kept on disk of VMNs: every record comes back as it was, and damaged
 * ones are refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mat-saved.h"

static struct mat_agent_saved
sample(const char *hoa, const char *moa, const char *port)
{
    struct mat_agent_saved s;

    memset(&s, 0, sizeof s);
    s.zone = 0x123456;
    assert_true(mat_addr_parse(hoa, &s.hoa));
    if (moa) {
        assert_true(mat_addr_parse(moa, &s.moa));
    }
    s.plen = (uint8_t) mat_addr_bits(&s.hoa);
    s.mac = (struct mat_mac) { { 0x52, 0x54, 0, 1, 2, 3 } };
    s.state = MAT_LIFE_LIVE;
    memcpy(s.port, port, strlen(port));
    return s;
}

static void
test_records_come_back(void **state)
{
    char longest[MAT_PORT_NAME_SIZE];
    uint8_t bytes[3 * MAT_SAVED_MAX];
    struct mat_agent_saved in[3], out;
    size_t size = 0, offset = 0;

    (void) state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    in[0] = sample("10.0.0.1", "192.0.2.1", "tap0");
    in[1] = sample("fd00::1", "2001:db8::1", longest);
    in[2] = sample("10.0.0.2", NULL, "");
    in[2].state = MAT_LIFE_PARKED;
    for (int i = 0; i < 3; i++) {
        size += mat_saved_encode(&in[i], bytes + size);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(mat_saved_decode(bytes, size, &offset, &out));
        assert_memory_equal(&out, &in[i], sizeof out);
    }
    assert_int_equal(offset, size);
    assert_false(mat_saved_decode(bytes, size, &offset, &out));
}

static void
test_cut_records_are_refused(void **state)
{
    struct mat_agent_saved in = sample("10.0.0.1", "192.0.2.1", "tap0"), out;
    uint8_t bytes[MAT_SAVED_MAX];
    size_t size = mat_saved_encode(&in, bytes);

    (void) state;
    assert_int_equal(size, MAT_SAVED_FIXED + 4);
    for (size_t n = 0; n < size; n++) {
        uint8_t *copy = test_malloc(n + 1);
        size_t offset = 0;

        memcpy(copy, bytes, n);
        assert_false(mat_saved_decode(copy, n, &offset, &out));
        assert_int_equal(offset, 0);
        test_free(copy);
    }
}

static void
test_damaged_records_are_refused(void **state)
{
    /* Where, and what cannot be there. */
    static const struct {
        size_t offset;
        uint8_t byte;
    } damages[] = {
        { 0, 1 },                       /* Zone of more than 24 bits. */
        { 4 + 12, 224 },                /* HoA that is multicast. */
        { 4 + 16, 1 },                  /* MoA of the other family. */
        { 36, 33 },                     /* Prefix length. */
        { 37, MAT_N_LIVES },            /* State. */
        { 38, 1 },                      /* MAC that is multicast. */
        { 44, 64 },                     /* Length of the name. */
        { 45, ' ' },                    /* In the name. */
    };
    struct mat_agent_saved in = sample("10.0.0.1", "192.0.2.1", "tap0"), out;

    (void) state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        uint8_t bytes[MAT_SAVED_MAX];
        size_t size = mat_saved_encode(&in, bytes), offset = 0;

        bytes[damages[i].offset] = damages[i].byte;
        assert_false(mat_saved_decode(bytes, size, &offset, &out));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_back),
        cmocka_unit_test(test_cut_records_are_refused),
        cmocka_unit_test(test_damaged_records_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
