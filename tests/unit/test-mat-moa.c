/* SPDX-License-Identifier: Apache-2.0 */

/* The stock of MoAs, scene by scene, in virtual time. */

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

/* The one address of a pool becomes warm as RFC 5227 has it. */
static void
test_probing_and_warming(void **state)
{
    const char *p = stock_lines;

    (void) state;
    stock_begin("10.0.0.7", "", 1, 8);
    STATE("10.0.0.7", "probing eth0");
    stock_run(10 * S);
    assert_string_equal(p, "probe 10.0.0.7\nprobe 10.0.0.7\nprobe 10.0.0.7\n"
                        "announce 10.0.0.7\ntell 10.0.0.7 > 10.0.0.254\n"
                        "announce 10.0.0.7\ntell 10.0.0.7 > 10.0.0.254\n");
    STATE("10.0.0.7", "warm eth0");

    /* And is told again and again. */
    stock_clear();
    stock_run(300 * S);
    assert_in_range(stock_frames, 8, 14);
    assert_false(stock_said("probe") || stock_said("announce"));
    stock_end();
}

static void
test_ipv6(void **state)
{
    (void) state;
    stock_begin("", "advertised:::7", 1, 8);
    stock_run(10 * S);
    assert_string_equal(stock_lines,
                        "report ff02::1:ff00:7\nprobe 2001:db8::7\n"
                        "probe 2001:db8::7\nprobe 2001:db8::7\n"
                        "report ff02::1:ff00:7\nannounce 2001:db8::7\n"
                        "tell 2001:db8::7 > fe80::fe\n"
                        "report ff02::1:ff00:7\nannounce 2001:db8::7\n"
                        "tell 2001:db8::7 > fe80::fe\n");
    assert_string_equal(stock_take("2001:db8:1::1", NULL, NULL, false),
                        "2001:db8::7");
    assert_string_equal(stock_take("2001:db8:1::1", "eth0", NULL, false),
                        "2001:db8::7");
    assert_string_equal(stock_take("10.9.0.1", NULL, NULL, false),
                        mat_moa_strerror(MAT_MOA_NO_POOL));
    stock_end();
}

/* Without a router there is still an announcement; with its MAC, only it
 * hears. */
static void
test_routers(void **state)
{
    struct mat_moa_uplink *u = stock_config.uplinks;
    struct mat_moa_output out;

    (void) state;
    stock_begin("10.0.0.7", "", 1, 1);
    u->n_routers[0] = 0;
    stock_reconfigure();
    stock_run(10 * S);
    assert_false(stock_said("tell"));
    stock_clear();
    stock_run(60 * S);
    assert_true(stock_said("announce"));

    u->n_routers[0] = 1;
    u->router_macs[0][0] = stock_mac(1);
    stock_clear();
    stock_reconfigure();
    STATE("10.0.0.7", "warm eth0");     /* Not probed anew. */
    for (int i = 0; i < 20; i++) {
        now_us += S / 10;
        mat_moa_tick(moa, now_us);
        if (mat_moa_next(moa, &out)) {
            assert_memory_equal(out.frame, &u->router_macs[0][0], 6);
            stock_end();
            return;
        }
    }
    fail();
}

/* A stock of eight of each family: of a pool with 2^96 addresses too. */
static void
test_stock_is_kept(void **state)
{
    struct mat_moa_info info;
    char hoa[20];

    (void) state;
    stock_begin("10.0.0.0/24", "2001:db8::/64,exclude:2001:db8::/128", 1, 8);
    stock_run(15 * S);
    assert_int_equal(stock_count(MAT_MOA_WARM), 16);
    for (unsigned int i = 1; i <= 8; i++) {
        struct mat_moa_want want;

        snprintf(hoa, sizeof hoa, "10.9.0.%u", i);
        memset(&want, 0, sizeof want);
        want.owner = stock_owner(0, hoa);
        assert_int_equal(mat_moa_take(moa, now_us, &want, &info), MAT_MOA_OK);
        assert_int_equal(info.state, MAT_MOA_WARM);
    }
    assert_int_equal(mat_moa_counter(moa, MAT_MOA_COUNT_TAKEN_COLD), 0);
    stock_run(15 * S);
    assert_int_equal(stock_count(MAT_MOA_WARM), 16);
    assert_int_equal(stock_count(MAT_MOA_USED), 8);

    /* Less is kept when less is asked for. */
    stock_config.stock = 2;
    stock_reconfigure();
    assert_int_equal(stock_count(MAT_MOA_WARM), 4);
    stock_end();
}

/* More at once than there are in stock: nobody waits, all are probed and
 * announced soon. */
static void
test_cold(void **state)
{
    char hoa[20], lines[20][60];

    (void) state;
    stock_begin("10.0.0.0/24", "", 1, 2);
    stock_run(15 * S);
    stock_clear();
    for (unsigned int i = 1; i <= 20; i++) {
        snprintf(hoa, sizeof hoa, "10.9.0.%u", i);
        snprintf(lines[i - 1], sizeof lines[0], "probe %s",
                 stock_take(hoa, NULL, NULL, false));
        assert_non_null(strstr(lines[i - 1], "10.0.0."));
    }
    stock_run(0);
    for (unsigned int i = 2; i < 20; i++) {
        assert_true(stock_said(lines[i]));
    }
    stock_run(S / 2);
    for (unsigned int i = 2; i < 20; i++) {
        char line[70];

        snprintf(line, sizeof line, "announce %s", lines[i] + 6);
        assert_true(stock_said(line));
    }
    assert_int_equal(mat_moa_counter(moa, MAT_MOA_COUNT_TAKEN_COLD), 18);
    stock_end();
}

static void
test_exhaustion(void **state)
{
    struct mat_moa_stock stock;
    size_t cursor = 0;
    char text[MAT_MOA_TEXT_MAX];

    (void) state;
    stock_begin("10.0.0.8/30", "", 1, 8);
    stock_run(10 * S);
    stock_clear();
    for (unsigned int i = 1; i <= 4; i++) {
        char hoa[20];

        snprintf(hoa, sizeof hoa, "10.9.0.%u", i);
        stock_take(hoa, NULL, NULL, false);
    }
    assert_true(stock_said("! low "));
    assert_true(stock_said("! exhausted IPv4 pool of eth0: 0 of 4 left, 4 "
                           "used, 0 in quarantine, 0 in conflict; add "
                           "addresses to mat-pool4"));
    TAKE("10.9.0.9", "the pool has no address left");
    assert_int_equal(mat_moa_counter(moa, MAT_MOA_COUNT_REFUSED), 1);
    TAKE("2001:db8:9::9", "there is no pool of this family for this uplink");
    for (unsigned int i = 8; i < 11; i++) {
        char m[20];

        snprintf(m, sizeof m, "10.0.0.%u", i);
        assert_true(stock_release(m));
    }
    TAKE("10.9.0.9", "the pool has no address left");
    assert_true(mat_moa_next_stock(moa, &cursor, &stock));
    assert_string_equal(mat_moa_advice(moa, &stock, text),
                        "IPv4 pool of eth0: 0 of 4 left, 1 used, 3 in "
                        "quarantine, 0 in conflict; the first leaves "
                        "quarantine in 300 s; add addresses to mat-pool4 or "
                        "shorten mat-quarantine");
    assert_false(mat_moa_next_stock(moa, &cursor, &stock));
    stock_clear();
    stock_run(400 * S);
    assert_true(stock_said("! enough IPv4 pool of eth0: 3 of 4 left"));
    TAKE("10.9.0.9", stock_take("10.9.0.9", NULL, NULL, false));
    stock_end();
}

/* A pool that sways about its limit is not reported each time. */
static void
test_reports_are_few(void **state)
{
    char last[MAT_ADDR_STRLEN];
    unsigned int n = 0;

    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 8);
    stock_config.quarantine_us = S;
    stock_reconfigure();
    stock_run(10 * S);
    for (unsigned int i = 1; i <= 6; i++) {
        char hoa[20];

        snprintf(hoa, sizeof hoa, "10.9.0.%u", i);
        snprintf(last, sizeof last, "%s", stock_take(hoa, NULL, NULL, false));
    }
    stock_clear();
    for (unsigned int i = 0; i < 60; i++) {
        assert_true(stock_release(last));
        stock_run(S);
        snprintf(last, sizeof last, "%s",
                 stock_take("10.9.0.6", NULL, NULL, false));
        stock_run(S);
    }
    for (const char *p = stock_lines; (p = strstr(p, "\n! ")); p++) {
        n++;
    }
    assert_in_range(n, 1, 4);
    stock_end();
}

/* Released ones rest, and the one that was released first comes first. */
static void
test_quarantine(void **state)
{
    static const char *const order[] = { "10.0.0.10", "10.0.0.8",
                                         "10.0.0.11", "10.0.0.9" };

    (void) state;
    stock_begin("10.0.0.8/30", "", 1, 0);
    for (unsigned int i = 0; i < 4; i++) {
        char hoa[20];

        snprintf(hoa, sizeof hoa, "10.9.0.%u", i + 1);
        stock_take(hoa, NULL, NULL, false);
    }
    for (unsigned int i = 0; i < 4; i++) {
        assert_true(stock_release(order[i]));
        assert_false(stock_release(order[i]));
        now_us += 10 * S;
    }
    STATE("10.0.0.10", "quarantined eth0");
    TAKE("10.9.1.1", "the pool has no address left");
    stock_run(259 * S);
    TAKE("10.9.1.1", "the pool has no address left");
    stock_run(1 * S);
    TAKE("10.9.1.1", "10.0.0.10");
    stock_run(100 * S);
    TAKE("10.9.1.2", "10.0.0.8");
    TAKE("10.9.1.3", "10.0.0.11");
    TAKE("10.9.1.4", "10.0.0.9");
    stock_end();
}

/* Its last owner may have it back at once: it means the same VMN. */
static void
test_owner_comes_back(void **state)
{
    char first[MAT_ADDR_STRLEN];

    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 2);
    stock_run(10 * S);
    snprintf(first, sizeof first, "%s",
             stock_take("10.9.0.1", NULL, NULL, false));
    TAKE("10.9.0.1", first);
    assert_int_equal(stock_count(MAT_MOA_USED), 1);
    stock_release(first);
    assert_string_not_equal(stock_take("10.9.0.2", NULL, first, false), first);
    TAKE("10.9.0.1", first);
    stock_release(first);
    stock_run(301 * S);
    assert_string_equal(stock_take("10.9.0.3", NULL, first, false), first);
    assert_string_not_equal(stock_take("10.9.0.1", NULL, NULL, false), first);
    stock_end();
}

static void
test_preferred(void **state)
{
    (void) state;
    stock_begin("10.0.0.8/29,routed:192.0.2.0/30", "", 1, 2);
    stock_run(10 * S);
    assert_string_equal(stock_take("10.9.0.1", NULL, "10.0.0.13", false),
                        "10.0.0.13");
    /* Not what another has, what is in no pool, or of the other family. */
    assert_string_not_equal(stock_take("10.9.0.2", NULL, "10.0.0.13", false),
                            "10.0.0.13");
    assert_string_not_equal(stock_take("10.9.0.3", NULL, "10.0.0.77", false),
                            "10.0.0.77");
    assert_non_null(strchr(stock_take("10.9.0.4", NULL, "2001:db8::7", false),
                           '.'));
    assert_string_equal(stock_take("10.9.0.5", NULL, "10.0.0.12", false),
                        "10.0.0.12");
    STATE("10.0.0.77", "none");
    stock_end();
}

/* A pool that is routed needs no frames and comes before the others. */
static void
test_routed(void **state)
{
    (void) state;
    stock_begin("10.0.0.8/29,routed:192.0.2.8/31", "", 1, 2);
    stock_run(10 * S);
    stock_clear();
    assert_non_null(strstr(stock_take("10.9.0.1", NULL, NULL, false),
                           "192.0.2."));
    assert_non_null(strstr(stock_take("10.9.0.2", NULL, NULL, false),
                           "192.0.2."));
    STATE("192.0.2.8", "used  routed");
    assert_true(stock_said("! low routed IPv4 pool: 1 of 2 left")
                || stock_said("! exhausted routed IPv4 pool: 0 of 2"));
    assert_non_null(strstr(stock_take("10.9.0.3", NULL, NULL, false),
                           "10.0.0."));
    stock_claim("192.0.2.9", 1, true);
    stock_run(100 * S);
    assert_false(stock_said("tell 192") || stock_said("announce 192"));
    stock_end();
}

static void
test_home(void **state)
{
    struct mat_addr home = stock_addr("10.0.0.50");
    struct mat_moa_info info;

    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 2);
    stock_run(10 * S);
    assert_true(mat_moa_is_home(moa, &home));
    stock_clear();
    assert_string_equal(stock_take("10.0.0.50", NULL, NULL, true),
                        "10.0.0.50");
    STATE("10.0.0.50", "used eth0 home");
    stock_run(300 * S);         /* It may live elsewhere still. */
    stock_config.uplinks[0].up = false;
    stock_reconfigure();
    stock_config.uplinks[0].up = true;
    stock_reconfigure();
    stock_run(300 * S);
    assert_false(stock_said("announce 10.0.0.50")
                 || stock_said("tell 10.0.0.50"));
    mat_moa_announce(moa, now_us, &home);
    stock_clear();
    stock_run(10 * S);
    assert_true(stock_said("announce 10.0.0.50\ntell 10.0.0.50 > "
                           "10.0.0.254\n"));
    stock_claim("10.0.0.50", 4, false); /* It has moved to a neighbour. */
    mat_moa_find(moa, &home, &info);
    assert_int_equal(info.n_conflicts, 1);
    assert_true(stock_said("! conflict 10.0.0.50 of eth0 is used by "
                           "02:09:09:09:00:04 too: its VMN may have moved "
                           "there"));
    stock_clear();
    stock_run(600 * S);
    assert_false(stock_said("announce 10.0.0.50")
                 || stock_said("tell 10.0.0.50"));
    stock_release("10.0.0.50");

    /* Not at home: elsewhere, not asked for, the host's, a router's. */
    assert_string_not_equal(stock_take("10.7.0.1", NULL, NULL, true),
                            "10.7.0.1");
    assert_string_not_equal(stock_take("10.0.0.51", NULL, NULL, false),
                            "10.0.0.51");
    assert_string_not_equal(stock_take("10.0.0.1", NULL, NULL, true),
                            "10.0.0.1");
    assert_string_not_equal(stock_take("10.0.0.254", NULL, NULL, true),
                            "10.0.0.254");

    /* Two zones with one HoA: only one can have it. */
    assert_string_equal(stock_take("10.0.0.60", NULL, NULL, true),
                        "10.0.0.60");
    struct mat_moa_want want = { .owner = stock_owner(7, "10.0.0.60"),
                                 .home = true };

    assert_int_equal(mat_moa_take(moa, now_us, &want, &info), MAT_MOA_OK);
    assert_memory_not_equal(&info.moa, &want.owner.hoa, 16);
    stock_end();
}

static void
test_hush(void **state)
{
    struct mat_addr a = stock_addr("10.0.0.7");

    (void) state;
    stock_begin("10.0.0.7", "", 1, 1);
    stock_run(10 * S);
    TAKE("10.9.0.1", "10.0.0.7");
    stock_clear();
    stock_run(400 * S);
    assert_in_range(stock_frames, 2, 6);
    mat_moa_hush(moa, now_us, &a);
    stock_clear();
    stock_run(400 * S);
    assert_int_equal(stock_frames, 0);
    mat_moa_announce(moa, now_us, &a);
    stock_run(10 * S);
    assert_int_equal(stock_frames, 6);

    /* Only its use was hushed. */
    mat_moa_hush(moa, now_us, &a);
    stock_release("10.0.0.7");
    stock_run(320 * S);
    STATE("10.0.0.7", "warm eth0");
    stock_config.uplinks[0].up = false;
    stock_reconfigure();
    stock_config.uplinks[0].up = true;
    stock_reconfigure();
    STATE("10.0.0.7", "probing eth0");
    stock_end();
}

static void
test_reserve(void **state)
{
    struct mat_addr a = stock_addr("10.0.0.9"), b = stock_addr("10.0.0.8");

    (void) state;
    stock_begin("10.0.0.8/31", "", 1, 1);
    assert_true(mat_moa_reserve(moa, now_us, &a, true));
    assert_true(mat_moa_reserve(moa, now_us, &a, true));
    STATE("10.0.0.9", "free eth0 reserved");
    assert_string_equal(stock_take("10.9.0.1", NULL, "10.0.0.9", false),
                        "10.0.0.8");
    assert_false(mat_moa_reserve(moa, now_us, &b, true));
    TAKE("10.9.0.2", "the pool has no address left");
    stock_claim("10.0.0.9", 1, false);
    STATE("10.0.0.9", "free eth0 reserved");

    /* Its own VMN may be at home with it, and it is reserved still. */
    assert_string_equal(stock_take("10.0.0.9", NULL, NULL, true), "10.0.0.9");
    STATE("10.0.0.9", "used eth0 home reserved");
    stock_release("10.0.0.9");
    STATE("10.0.0.9", "quarantined eth0 reserved");
    stock_run(301 * S);
    STATE("10.0.0.9", "free eth0 reserved");
    assert_true(mat_moa_reserve(moa, now_us, &a, false));
    assert_true(mat_moa_reserve(moa, now_us, &a, false));
    TAKE("10.9.0.2", "10.0.0.9");
    stock_end();
}

/* A host that starts again: nothing in use is probed or given away. */
static void
test_restart(void **state)
{
    struct mat_moa_owner owner = stock_owner(0, "10.9.0.1");
    struct mat_moa_owner other = stock_owner(0, "10.9.0.2");
    struct mat_addr a = stock_addr("10.0.0.8"), b = stock_addr("10.0.0.9");
    struct mat_addr outside = stock_addr("10.7.0.9");
    struct mat_addr six = stock_addr("2001:db8::7");

    (void) state;
    stock_begin("10.0.0.8/30", "", 1, 4);
    assert_int_equal(mat_moa_adopt(moa, now_us, &owner, &a), MAT_MOA_OK);
    assert_int_equal(mat_moa_adopt(moa, now_us, &owner, &a), MAT_MOA_OK);
    assert_int_equal(mat_moa_adopt(moa, now_us, &other, &a), MAT_MOA_TAKEN);
    assert_int_equal(mat_moa_adopt(moa, now_us, &other, &six), MAT_MOA_BAD);
    assert_int_equal(mat_moa_restore(moa, now_us, &other, &b, 100 * S),
                     MAT_MOA_OK);
    assert_int_equal(mat_moa_restore(moa, now_us, &other, &a, 100 * S),
                     MAT_MOA_TAKEN);
    assert_int_equal(mat_moa_restore(moa, now_us, &other, &outside, 0),
                     MAT_MOA_OK);
    STATE("10.7.0.9", "none");
    stock_clear();
    stock_run(99 * S);
    assert_false(stock_said("probe 10.0.0.8") || stock_said("probe 10.0.0.9"));
    assert_true(stock_said("tell 10.0.0.8"));
    STATE("10.0.0.9", "quarantined eth0");
    TAKE("10.9.0.1", "10.0.0.8");
    stock_run(2 * S);
    assert_string_not_equal(stock_state("10.0.0.9"), "quarantined eth0");

    /* A MoA of a pool that is no more. */
    assert_int_equal(mat_moa_adopt(moa, now_us, &other, &outside),
                     MAT_MOA_OK);
    STATE("10.7.0.9", "used  routed draining");
    stock_drain();
    assert_true(stock_said("! renumber 10.7.0.9 is in no pool any more"));
    assert_string_not_equal(stock_take("10.9.0.2", NULL, NULL, false),
                            "10.7.0.9");
    stock_release("10.7.0.9");
    stock_run(301 * S);
    STATE("10.7.0.9", "none");
    stock_end();
}

static void
test_renumbering(void **state)
{
    struct mat_moa_owner owner = stock_owner(0, "10.9.0.1");
    struct mat_moa_info info;
    char old[MAT_ADDR_STRLEN];

    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 2);
    stock_run(10 * S);
    snprintf(old, sizeof old, "%s", stock_take("10.9.0.1", NULL, NULL, false));
    stock_clear();
    stock_set_pools("10.0.0.64/29", "");
    stock_reconfigure();
    assert_true(stock_said("! renumber"));
    assert_int_equal(stock_count(MAT_MOA_USED), 1);
    assert_int_equal(stock_count(MAT_MOA_PROBING), 2);
    assert_string_equal(stock_state(old), "used eth0 draining");
    stock_clear();
    stock_reconfigure();
    assert_false(stock_said("! renumber"));     /* Once is enough. */
    stock_run(200 * S);
    assert_true(stock_said("tell 10.0.0.8 ") || stock_said("tell 10.0.0.9 ")
                || stock_said("tell 10.0.0.1"));        /* Still here. */
    assert_non_null(strstr(stock_take("10.9.0.1", NULL, NULL, false),
                           "10.0.0."));
    assert_true(mat_moa_find_owner(moa, &owner, NULL, &info));
    assert_false(info.draining);
    assert_true(info.moa.b[15] >= 64);
    assert_true(stock_release(old));
    stock_run(301 * S);
    assert_string_equal(stock_state(old), "none");

    /* The pool comes back in time. */
    snprintf(old, sizeof old, "%s", stock_take("10.9.0.1", NULL, NULL, false));
    stock_set_pools("10.0.0.8/29", "");
    stock_config.uplinks[0].n_subnets = 0;
    mat_moa_configure(moa, now_us, &stock_config);
    stock_set_pools("10.0.0.64/29", "");
    stock_clear();
    stock_reconfigure();
    assert_false(stock_said("! renumber"));
    assert_string_equal(stock_state(old), "used eth0");
    stock_end();
}

/* The new pool is too small for all; a larger one is given, and it is said at
 * once that this helped. */
static void
test_renumbering_in_vain(void **state)
{
    (void) state;
    stock_begin("10.0.0.8/29", "", 1, 2);
    stock_run(10 * S);
    stock_take("10.9.0.1", NULL, NULL, false);
    stock_take("10.9.0.2", NULL, NULL, false);
    stock_clear();
    stock_set_pools("10.0.0.64/32", "");
    stock_reconfigure();
    assert_true(stock_said("! renumber"));
    assert_non_null(strstr(stock_take("10.9.0.1", NULL, NULL, false),
                           "10.0.0.64"));
    assert_true(stock_said("! exhausted"));
    assert_string_equal(stock_take("10.9.0.2", NULL, NULL, false),
                        "the pool has no address left");
    stock_clear();
    stock_set_pools("10.0.0.64/29", "");
    stock_reconfigure();
    assert_true(stock_said("! enough"));
    assert_true(stock_said("! renumber"));

    /* No pool at all, for a while. */
    stock_set_pools("", "");
    stock_reconfigure();
    assert_true(stock_said("! renumber"));
    stock_clear();
    stock_set_pools("10.0.0.96/29", "");
    stock_reconfigure();
    assert_true(stock_said("! renumber"));
    stock_end();
}

/* A host with two uplinks: a MoA on each, and one that fails. */
static void
test_two_uplinks(void **state)
{
    struct mat_moa_owner owner = stock_owner(0, "10.9.0.1");
    struct mat_moa_info info;

    (void) state;
    stock_begin("10.0.0.8/29,10.1.0.8/29", "", 2, 2);
    stock_run(10 * S);
    assert_int_equal(stock_count(MAT_MOA_WARM), 4);
    assert_non_null(strstr(stock_take("10.9.0.1", "eth0", NULL, false),
                           "10.0.0."));
    assert_non_null(strstr(stock_take("10.9.0.1", "eth1", NULL, false),
                           "10.1.0."));
    assert_true(mat_moa_find_owner(moa, &owner, "eth0", &info));
    assert_true(mat_moa_find_owner(moa, &owner, "eth1", &info));
    assert_false(mat_moa_find_owner(moa, &owner, "eth2", &info));
    stock_run(10 * S);

    stock_config.uplinks[0].up = false;
    stock_reconfigure();
    stock_clear();
    stock_run(300 * S);
    assert_false(stock_said("tell 10.0.0.") || stock_said("probe 10.0.0."));
    assert_true(stock_said("tell 10.1.0."));
    assert_string_equal(stock_take("10.9.0.2", "eth0", NULL, false),
                        "the uplink does not exist or is down");
    assert_non_null(strstr(stock_take("10.9.0.2", NULL, NULL, false),
                           "10.1.0."));
    assert_non_null(strstr(stock_take("10.9.0.1", NULL, NULL, false),
                           "10.1.0."));
    assert_true(mat_moa_find_owner(moa, &owner, "eth0", &info));
    assert_false(info.draining);

    /* Up again: what was free is probed anew, what is used is told. */
    stock_config.uplinks[0].up = true;
    stock_clear();
    stock_reconfigure();
    stock_run(10 * S);
    assert_true(stock_said("probe 10.0.0.") && stock_said("tell 10.0.0."));
    assert_int_equal(stock_count(MAT_MOA_WARM), 4);

    /* Named in another order: nothing is lost. */
    struct mat_moa_uplink first = stock_config.uplinks[0];

    stock_config.uplinks[0] = stock_config.uplinks[1];
    stock_config.uplinks[1] = first;
    stock_clear();
    stock_reconfigure();
    assert_false(stock_said("!"));
    assert_int_equal(stock_count(MAT_MOA_WARM), 4);
    assert_int_equal(stock_count(MAT_MOA_USED), 3);

    /* One is taken away. */
    stock_config.n_uplinks = 1;
    stock_reconfigure();
    assert_true(stock_said("! renumber"));
    assert_int_equal(stock_count(MAT_MOA_WARM), 2);
    assert_string_equal(stock_take("10.9.0.2", "eth0", NULL, false),
                        "the uplink does not exist or is down");
    stock_config.n_uplinks = 0;
    stock_reconfigure();
    assert_string_equal(stock_take("10.9.0.2", NULL, NULL, false),
                        "the uplink does not exist or is down");
    stock_end();
}

/* Ten thousand used MoAs: they are told in turn, but never too fast. */
static void
test_rate(void **state)
{
    unsigned int worst = 0;

    (void) state;
    stock_begin("routed:192.0.2.0/24", "2001:db8::/64,exclude:2001:db8::/127",
                1, 8);
    for (uint32_t i = 0; i < 10000; i++) {
        struct mat_moa_owner owner = { 0, stock_addr("2001:db8:9::") };
        struct mat_moa_want want;
        struct mat_moa_info info;

        memcpy(&owner.hoa.b[12], &i, sizeof i);
        want = (struct mat_moa_want) { .owner = owner };
        assert_int_equal(mat_moa_take(moa, now_us, &want, &info), MAT_MOA_OK);
    }
    assert_true(mat_moa_counter(moa, MAT_MOA_COUNT_DELAYED) > 0);
    stock_run(1000 * S);        /* Three times each: cold. */
    for (unsigned int i = 0; i < 100; i++) {
        stock_clear();
        stock_run(S);
        worst = stock_frames > worst ? stock_frames : worst;
    }
    assert_in_range(worst, 60, 130);
    stock_end();
}

/* There is a limit to what is remembered, and it never makes anybody get what
 * must rest. */
static enum mat_moa_result
take_nth(uint32_t n, struct mat_moa_info *info)
{
    struct mat_moa_want want = { .owner = stock_owner(0, "2001:db8:9::") };

    memcpy(&want.owner.hoa.b[12], &n, sizeof n);
    return mat_moa_take(moa, now_us, &want, info);
}

static void
test_limit_of_records(void **state)
{
    struct mat_moa_info info, first;
    uint32_t n = 0;

    (void) state;
    stock_begin("", "routed:2001:db8:1::/64", 1, 8);
    assert_int_equal(take_nth(n++, &first), MAT_MOA_OK);
    while (n < MAT_MOA_RECORDS_MAX) {
        assert_int_equal(take_nth(n++, &info), MAT_MOA_OK);
    }
    assert_int_equal(take_nth(n, &info), MAT_MOA_FULL);
    assert_int_equal(take_nth(0, &info), MAT_MOA_OK);
    assert_memory_equal(&info.moa, &first.moa, sizeof info.moa);
    mat_moa_release(moa, now_us, &first.moa);
    assert_int_equal(take_nth(n, &info), MAT_MOA_FULL);
    stock_run(300 * S);
    assert_int_equal(take_nth(n, &info), MAT_MOA_OK);
    assert_memory_not_equal(&info.moa, &first.moa, sizeof info.moa);
    stock_end();
}

/* All together, twice with the same seed: the same to the byte. */
static void
test_deterministic(void **state)
{
    static char first[sizeof stock_lines];

    (void) state;
    for (int pass = 0; pass < 2; pass++) {
        stock_begin("10.0.0.0/26", "advertised:::1:0:0:0/80", 2, 4);
        stock_run(20 * S);
        stock_take("10.9.0.1", NULL, NULL, false);
        stock_claim("10.0.0.9", 1, false);
        stock_run(60 * S);
        if (pass) {
            assert_string_equal(first, stock_lines);
        }
        memcpy(first, stock_lines, sizeof first);
        stock_end();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probing_and_warming),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_routers),
        cmocka_unit_test(test_stock_is_kept),
        cmocka_unit_test(test_cold),
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_reports_are_few),
        cmocka_unit_test(test_quarantine),
        cmocka_unit_test(test_owner_comes_back),
        cmocka_unit_test(test_preferred),
        cmocka_unit_test(test_routed),
        cmocka_unit_test(test_home),
        cmocka_unit_test(test_hush),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_renumbering),
        cmocka_unit_test(test_renumbering_in_vain),
        cmocka_unit_test(test_two_uplinks),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_limit_of_records),
        cmocka_unit_test(test_deterministic)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
