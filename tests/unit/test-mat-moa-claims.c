/* SPDX-License-Identifier: Apache-2.0 */

/* The stock of MoAs when others on the link claim its addresses. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stock.h"

#define TAKE(HOA, MOA) \
    assert_string_equal(stock_take(HOA, NULL, NULL, false), MOA)
#define STATE(MOA, TEXT) assert_string_equal(stock_state(MOA), TEXT)

/* Claims of others while an address is not used. */
static void
test_conflicts_of_stock(void **state)
{
    (void) state;
    stock_begin("10.0.0.8/30", "", 1, 1);
    stock_run(10 * S);
    for (unsigned int i = 8; i < 12; i++) {
        char m[20];

        snprintf(m, sizeof m, "10.0.0.%u", i);
        if (!strcmp(stock_state(m), "warm eth0")) {
            stock_clear();
            stock_claim(m, 1, true);            /* Somebody asks. */
            STATE(m, "warm eth0");
            assert_true(stock_said("announce"));
            stock_clear();
            stock_claim(m, 1, true);            /* Not each time. */
            assert_string_equal(stock_lines, "");
            stock_claim(m, 1, false);           /* Somebody has it. */
            STATE(m, "conflict eth0");
            assert_true(stock_said("! conflict "));
            assert_string_not_equal(stock_take("10.9.0.1", NULL, m, false),
                                    m);
            break;
        }
    }
    assert_int_equal(stock_count(MAT_MOA_CONFLICT), 1);
    assert_int_equal(stock_count(MAT_MOA_PROBING), 1);
    stock_run(599 * S);
    assert_int_equal(stock_count(MAT_MOA_CONFLICT), 1);
    stock_run(S);
    assert_int_equal(stock_count(MAT_MOA_CONFLICT), 0);
    stock_end();
}

/* Two hosts probe one address at once: both leave it. */
static void
test_conflict_while_probing(void **state)
{
    (void) state;
    stock_begin("10.0.0.7", "", 1, 1);
    stock_run(2 * S);
    STATE("10.0.0.7", "probing eth0");
    stock_claim("10.0.0.7", 1, true);
    STATE("10.0.0.7", "conflict eth0");
    stock_run(650 * S);
    STATE("10.0.0.7", "warm eth0");
    stock_end();
}

/* Addresses that nobody here had are found out before they are tried. */
static void
test_claims_teach(void **state)
{
    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 0);
    for (unsigned int i = 8; i < 15; i++) {
        char m[20];

        snprintf(m, sizeof m, "10.0.0.%u", i);
        stock_claim(m, i, true);                /* A question: nothing. */
        STATE(m, "none");
        stock_claim(m, i, false);
    }
    stock_claim("10.0.0.77", 1, false);         /* In no pool. */
    STATE("10.0.0.77", "none");
    TAKE("10.9.0.1", "10.0.0.15");
    TAKE("10.9.0.2", "the pool has no address left");

    /* Our own frames, as they come back. */
    stock_clear();
    mat_moa_claimed(moa, now_us, &(struct mat_addr) { { 0 } },
                    &stock_config.uplinks[0].mac, false);
    struct mat_addr own = stock_addr("10.0.0.15");

    mat_moa_claimed(moa, now_us, &own, &stock_config.uplinks[0].mac, false);
    stock_drain();
    assert_false(stock_said("! conflict"));
    stock_end();
}

/* Taken before it was probed, and somebody has it: he keeps it, and the VMN
 * gets another at once. */
static void
test_conflict_of_cold(void **state)
{
    struct mat_addr a = stock_addr("10.0.0.7");
    struct mat_moa_info info;

    (void) state;
    stock_begin("10.0.0.7", "", 1, 0);
    TAKE("10.9.0.1", "10.0.0.7");
    stock_run(S / 10);
    assert_string_equal(stock_lines, "! exhausted IPv4 pool of eth0: 0 of 1 "
                        "left, 1 used, 0 in quarantine, 0 in conflict; add "
                        "addresses to mat-pool4\nprobe 10.0.0.7\n");
    stock_clear();
    stock_claim("10.0.0.7", 5, false);
    assert_string_equal(stock_lines, "! conflict 10.0.0.7 of eth0 is used by "
                        "02:09:09:09:00:05 too: its VMN should have "
                        "another\n");
    mat_moa_find(moa, &a, &info);
    assert_int_equal(info.n_conflicts, 2);
    stock_clear();
    stock_run(300 * S);
    assert_string_equal(stock_lines, "");
    stock_release("10.0.0.7");
    STATE("10.0.0.7", "conflict eth0");
    stock_end();

    /* Nobody has it: after some seconds it is as good as any. */
    stock_begin("10.0.0.7", "", 1, 0);
    TAKE("10.9.0.1", "10.0.0.7");
    stock_run(10 * S);
    stock_clear();
    stock_claim("10.0.0.7", 5, false);
    assert_true(stock_said("announce 10.0.0.7\n! conflict"));
    stock_end();
}

/* A claim does not cut a longer quarantine short. */
static void
test_claim_in_quarantine(void **state)
{
    (void) state;
    stock_begin("10.0.0.7", "", 1, 0);
    stock_config.quarantine_us = 1000 * S;
    stock_reconfigure();
    TAKE("10.9.0.1", "10.0.0.7");
    stock_release("10.0.0.7");
    stock_claim("10.0.0.7", 1, false);
    STATE("10.0.0.7", "conflict eth0");
    TAKE("10.9.0.1", "the pool has no address left");
    stock_run(999 * S);
    TAKE("10.9.0.2", "the pool has no address left");
    stock_run(S);
    TAKE("10.9.0.2", "10.0.0.7");
    stock_end();
}

/* A router with proxy ARP claims everything: the advice says so. */
static void
test_proxy_arp(void **state)
{
    struct mat_moa_stock stock;
    char text[MAT_MOA_TEXT_MAX], m[20];
    size_t cursor = 0;

    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 8);
    for (unsigned int i = 8; i < 16; i++) {
        snprintf(m, sizeof m, "10.0.0.%u", i);
        stock_claim(m, 1, false);
    }
    assert_true(mat_moa_next_stock(moa, &cursor, &stock));
    mat_moa_advice(moa, &stock, text);
    assert_non_null(strstr(text, "8 in conflict; 02:09:09:09:00:01 claims one "
                           "after the other: if it is a router, switch off "
                           "its proxy ARP"));
    stock_end();
}

static void
test_conflict_of_used(void **state)
{
    struct mat_addr a = stock_addr("10.0.0.7");
    struct mat_moa_info info;

    (void) state;
    stock_begin("10.0.0.7", "", 1, 1);
    stock_run(10 * S);
    TAKE("10.9.0.1", "10.0.0.7");
    stock_clear();
    stock_claim("10.0.0.7", 3, true);   /* The switch answers that. */
    assert_string_equal(stock_lines, "");
    stock_claim("10.0.0.7", 3, false);
    stock_claim("10.0.0.7", 3, false);
    assert_string_equal(stock_lines, "announce 10.0.0.7\n! conflict "
                        "10.0.0.7 of eth0 is used by 02:09:09:09:00:03 too: "
                        "defended\n");
    mat_moa_find(moa, &a, &info);
    assert_int_equal(info.n_conflicts, 1);
    stock_run(2 * S);
    stock_claim("10.0.0.7", 3, false);
    mat_moa_find(moa, &a, &info);
    assert_int_equal(info.n_conflicts, 2);
    STATE("10.0.0.7", "used eth0");

    /* Its owner gets another if there is one, whatever it prefers. */
    TAKE("10.9.0.1", "the pool has no address left");
    stock_set_pools("10.0.0.7-10.0.0.8", "");
    stock_reconfigure();
    assert_string_equal(stock_take("10.9.0.1", NULL, "10.0.0.7", false),
                        "10.0.0.8");
    TAKE("10.9.0.1", "10.0.0.8");
    stock_release("10.0.0.8");

    /* Given back, nobody gets it for longer. */
    stock_release("10.0.0.7");
    STATE("10.0.0.7", "conflict eth0");
    stock_run(599 * S);
    TAKE("10.9.0.1", "10.0.0.8");
    TAKE("10.9.0.2", "the pool has no address left");
    stock_end();
}

static void
test_hearing_frames(void **state)
{
    static const uint8_t announcement[42] =
        "\xff\xff\xff\xff\xff\xff\2\x09\x09\x09\0\1\x08\6\0\1\x08\0\6\4\0\1"
        "\2\x09\x09\x09\0\1\x0a\0\0\7\0\0\0\0\0\0\x0a\0\0\7";
    struct mat_event event = { .type = MAT_EVENT_CONFLICT };

    (void) state;
    stock_begin("10.0.0.7", "", 1, 1);
    mat_moa_hear(moa, now_us, announcement, 41);
    mat_moa_hear(moa, now_us, announcement, 0);
    STATE("10.0.0.7", "probing eth0");
    mat_moa_hear(moa, now_us, announcement, sizeof announcement);
    STATE("10.0.0.7", "conflict eth0");
    stock_run(610 * S);
    STATE("10.0.0.7", "warm eth0");
    mat_event_set_frame(&event, announcement, sizeof announcement);
    mat_moa_hear_event(moa, now_us, &event);
    STATE("10.0.0.7", "conflict eth0");
    stock_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts_of_stock),
        cmocka_unit_test(test_conflict_while_probing),
        cmocka_unit_test(test_claims_teach),
        cmocka_unit_test(test_conflict_of_cold),
        cmocka_unit_test(test_claim_in_quarantine),
        cmocka_unit_test(test_proxy_arp),
        cmocka_unit_test(test_conflict_of_used),
        cmocka_unit_test(test_hearing_frames)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
