/* SPDX-License-Identifier: Apache-2.0 */

/* The words people write: what is formatted can be parsed again, and what is
 * wrong is refused by name. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mat-parse.h"
#include "mat-text.h"
#include "update-samples.h"

static bool
parse_line(const char *line, struct mat_op *op,
           char error[static MAT_PARSE_ERROR_MAX])
{
    const char *words[MAT_PARSE_WORDS_MAX];
    char copy[MAT_TEXT_MAX];
    int n;

    snprintf(copy, sizeof copy, "%s", line);
    n = mat_parse_split(copy, words);
    assert_true(n >= 0);
    return mat_parse(n, words, op, error);
}

static void
test_dumped_items_can_be_parsed(void **state)
{
    char text[MAT_TEXT_MAX], error[MAT_PARSE_ERROR_MAX];
    struct mat_op op, parsed;

    (void) state;
    for (unsigned int i = 0; update_sample(i, &op); i++) {
        if (op.type == MAT_OP_ENTRY_PUT || op.type == MAT_OP_PORT_PUT
            || op.type == MAT_OP_NEXTHOP_PUT || op.type == MAT_OP_ZONE_PUT
            || op.type == MAT_OP_POOL_PUT) {
            mat_text_op(&op, MAT_TEXT_WORDS, text);
            if (!parse_line(text, &parsed, error)) {
                fail_msg("%s: %s", text, error);
            }
            if (op.type == MAT_OP_ENTRY_PUT) {
                op.entry.accessed = false;
            } else if (op.type == MAT_OP_PORT_PUT) {
                op.port.odp_port = MAT_TABLE_NO_PORT;
            }
            assert_true(update_equal(&op, &parsed));
        }
    }
}

static void
test_texts(void **state)
{
    static const struct {
        unsigned int sample;
        enum mat_text_style style;
        const char *text;
    } table[] = {
        { 0, MAT_TEXT_WORDS, "add zone=7 hoa=10.0.0.1 moa=172.16.1.10 "
          "mac=02:00:00:00:00:01 state=local port=vm1 hold" },
        { 0, MAT_TEXT_JSON, "{\"zone\":7,\"hoa\":\"10.0.0.1\","
          "\"moa\":\"172.16.1.10\",\"mac\":\"02:00:00:00:00:01\","
          "\"state\":\"local\",\"port\":\"vm1\",\"hold\":true,"
          "\"accessed\":false}" },
        { 3, MAT_TEXT_WORDS, "add zone=7 hoa=2001:db8::1 "
          "moa=2001:db8:1::10 mac=02:00:00:00:00:01 state=remote "
          "nexthop=65534 # accessed" },
        { 10, MAT_TEXT_WORDS, "zones add 16777215 outside=2 "
          "subnet=10.0.0.0/24,gw=10.0.0.254 "
          "subnet=2001:db8::/64,gw=2001:db8::fe" },
        { 9, MAT_TEXT_JSON, "{\"zone\":16777215,\"outside\":1,\"subnets\":["
          "{\"prefix\":\"10.0.0.0/24\",\"gw\":\"10.0.0.254\"}]}" },
        { 19, MAT_TEXT_WORDS, "nexthops add 1 src=02:00:00:00:00:03 "
          "dst=02:00:00:00:00:04 mtu=1400" },
        { 21, MAT_TEXT_WORDS, "pools add 172.16.0.0/16 own" },
        { 20, MAT_TEXT_JSON, "{\"prefix\":\"172.16.0.0/16\",\"own\":false}" },
        { 22, MAT_TEXT_WORDS, "update.messages=18446744073709551614" },
    };
    char text[MAT_TEXT_MAX];
    struct mat_op op;

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(update_sample(table[i].sample, &op));
        assert_string_equal(mat_text_op(&op, table[i].style, text),
                            table[i].text);
    }
}

static void
test_good_commands(void **state)
{
    static const struct {
        const char *line;
        enum mat_update_op_type type;
    } table[] = {
        { "add hoa=10.0.0.1 moa=172.16.1.1 mac=02:00:00:00:00:01 port=vm1",
          MAT_OP_ENTRY_PUT },
        { "add zone=0x7 hoa=10.0.0.1/32 moa=172.16.1.1 "
          "mac=02:00:00:00:00:01 nexthop=0 state=remote", MAT_OP_ENTRY_PUT },
        { "add state=departed hoa=10.0.0.1 moa=172.16.1.1 "
          "mac=02:00:00:00:00:01", MAT_OP_ENTRY_PUT },
        { "  del   zone=7\thoa=10.0.0.1  # gone", MAT_OP_ENTRY_REMOVE },
        { "del zone=7 hoa=10.0.0.1 moa=172.16.1.1", MAT_OP_ENTRY_REMOVE },
        { "hold hoa=10.0.0.1 on", MAT_OP_HOLD },
        { "hold hoa=10.0.0.1 off moa=172.16.1.1", MAT_OP_HOLD },
        { "hold hoa=10.0.0.1 release", MAT_OP_RELEASE },
        { "hold zone=1 hoa=::1 flush", MAT_OP_DISCARD },
        { "ports add vm1 role=vm", MAT_OP_PORT_PUT },
        { "ports del vm1", MAT_OP_PORT_REMOVE },
        { "nexthops add 65535 src=02:00:00:00:00:01 dst=02:00:00:00:00:02",
          MAT_OP_NEXTHOP_PUT },
        { "nexthops del 1", MAT_OP_NEXTHOP_REMOVE },
        { "zones add 16777215", MAT_OP_ZONE_PUT },
        { "zones del 0", MAT_OP_ZONE_REMOVE },
        { "pools add ::/0 own", MAT_OP_POOL_PUT },
        { "pools del 10.0.0.0/8", MAT_OP_POOL_REMOVE },
    };
    char error[MAT_PARSE_ERROR_MAX];
    struct mat_op op;

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!parse_line(table[i].line, &op, error)) {
            fail_msg("%s: %s", table[i].line, error);
        }
        assert_int_equal(op.type, table[i].type);
    }
}

/* The error names the word that is wrong, or the key that is missing. */
static void
test_bad_commands(void **state)
{
    static const struct {
        const char *line, *blamed;
    } table[] = {
        { "", "\"\"" },
        { "ad zone=7", "\"ad\"" },
        { "add zone=16777216", "\"zone=16777216\"" },
        { "add zone=-1", "\"zone=-1\"" },
        { "add zone=", "\"zone=\"" },
        { "add zone=0x", "\"zone=0x\"" },
        { "add zone=1 zone=1", "\"zone=1\" repeats zone" },
        { "add zone", "\"zone\"" },
        { "add hoa=10.0.0", "\"hoa=10.0.0\"" },
        { "add hoa=10.0.0.1/33", "\"hoa=10.0.0.1/33\"" },
        { "add hoa=10.0.0.1", "moa= is missing" },
        { "add mac=02:00:00:00:00", "\"mac=02:00:00:00:00\"" },
        { "add nexthop=65536", "\"nexthop=65536\"" },
        { "add nexthop=18446744073709551617",
          "\"nexthop=18446744073709551617\"" },
        { "add state=alive", "\"state=alive\"" },
        { "add hold=1", "\"hold=1\"" },
        { "add hoa=10.0.0.1 moa=172.16.1.1 mac=02:00:00:00:00:01",
          "one of port=" },
        { "add hoa=10.0.0.1 moa=172.16.1.1 mac=02:00:00:00:00:01 port=a "
          "nexthop=1", "one of port=" },
        { "del", "hoa= is missing" },
        { "hold hoa=10.0.0.1", "on, off, release or flush" },
        { "hold hoa=10.0.0.1 maybe", "\"maybe\"" },
        { "hold hoa=10.0.0.1 on off", "\"off\"" },
        { "ports", "\"\"" },
        { "ports put", "\"put\"" },
        { "ports add", "\"\"" },
        { "ports add vm1", "role= is missing" },
        { "ports add vm1 role=guest", "\"role=guest\"" },
        { "ports del vm1 role=vm", "\"role=vm\"" },
        { "nexthops add x", "\"x\"" },
        { "zones add 1 subnet=10.0.0.0/24,via=10.0.0.1",
          "\"subnet=10.0.0.0/24,via=10.0.0.1\"" },
        { "zones add 1 subnet=10.0.0.0/24,gw=", "\"subnet=10.0.0.0/24,gw=\"" },
        { "zones add 1 subnet=10.0.0.0/24,gw=10.0.1.1",
          "with an address of it" },
        { "pools add 10.0.0.0/8 owned", "\"owned\"" },
        { "pools add ten", "\"ten\"" },
    };
    char error[MAT_PARSE_ERROR_MAX];
    struct mat_op op;

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_false(parse_line(table[i].line, &op, error));
        if (!strstr(error, table[i].blamed)) {
            fail_msg("%s: %s", table[i].line, error);
        }
    }
}

static void
test_numbers(void **state)
{
    static const struct {
        const char *s;
        uint64_t max;
        bool ok;
        uint64_t value;
    } table[] = {
        { "0", 0, true, 0 },
        { "1", 0, false, 0 },
        { "007", 7, true, 7 },
        { "65535", 65535, true, 65535 },
        { "65536", 65535, false, 0 },
        { "0xffff", 65535, true, 65535 },
        { "0x10000", 65535, false, 0 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "99999999999999999999", UINT64_MAX, false, 0 },
        { "", 10, false, 0 },
        { "+1", 10, false, 0 },
        { " 1", 10, false, 0 },
        { "1 ", 10, false, 0 },
        { "a", 10, false, 0 },
        { "f", 100, false, 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t value = 0;

        assert_int_equal(mat_parse_number(table[i].s, table[i].max, &value),
                         table[i].ok);
        assert_int_equal(value, table[i].value);
    }
}

static void
test_splitting(void **state)
{
    const char *words[MAT_PARSE_WORDS_MAX];
    char line[4 * MAT_PARSE_WORDS_MAX];

    (void) state;
    for (int n = 0; n <= MAT_PARSE_WORDS_MAX + 1; n++) {
        for (int i = 0; i < n; i++) {
            memcpy(line + 2 * i, " w", 2);
        }
        line[2 * n] = '\0';
        assert_int_equal(mat_parse_split(line, words),
                         n <= MAT_PARSE_WORDS_MAX ? n : -1);
    }
    snprintf(line, sizeof line, "a#b #c d");
    assert_int_equal(mat_parse_split(line, words), 1);
    assert_string_equal(words[0], "a#b");
}

static void
test_events(void **state)
{
    struct mat_event event = {
        .time_ns = 5, .zone = 7, .odp_port = 3, .type = MAT_EVENT_RARP
    };
    char text[MAT_TEXT_MAX];

    (void) state;
    event.mac = sample_mac("02:00:00:00:00:01");
    event.addr = sample_addr("10.0.0.1");
    mat_event_set_frame(&event, "\x01\xff", 2);
    assert_string_equal(mat_text_event(&event, MAT_TEXT_WORDS, text),
                        "time_ns=5 rarp odp_port=3 zone=7 addr=10.0.0.1 "
                        "mac=02:00:00:00:00:01 size=2 frame=01ff");
    event.type = MAT_EVENT_PORT_ATTACHED;
    mat_event_set_frame(&event, "v\"m", 3);
    assert_string_equal(mat_text_event(&event, MAT_TEXT_JSON, text),
                        "{\"time_ns\":5,\"event\":\"port-attached\","
                        "\"odp_port\":3,\"port\":\"v\\\"m\"}");
    event.head_size = UINT16_MAX;
    event.type = UINT16_MAX;
    mat_text_event(&event, MAT_TEXT_WORDS, text);
}

static void
test_text_is_cut_at_its_end(void **state)
{
    char text[MAT_TEXT_MAX];
    struct mat_op op;

    (void) state;
    assert_true(update_sample(0, &op));
    for (size_t size = 1; size < 40; size++) {
        struct mat_text t;

        memset(text, 'x', sizeof text);
        mat_text_open(&t, MAT_TEXT_JSON, text, size);
        mat_text_string(&t, "name", "value that is long enough");
        mat_text_close(&t);
        assert_int_equal(strlen(text), size - 1 < 36 ? size - 1 : 36);
        assert_int_equal(text[size], 'x');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dumped_items_can_be_parsed),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_good_commands),
        cmocka_unit_test(test_bad_commands),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_splitting),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_text_is_cut_at_its_end),
    };

    return cmocka_run_group_tests_name("mat-text", tests, NULL, NULL);
}
