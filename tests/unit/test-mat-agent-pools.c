/* SPDX-License-Identifier: Apache-2.0 */

/* Pools of the hosts of a cluster, side by side. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fleet.h"

static bool
has_problem(struct fleet *f, int host, const char *what)
{
    char text[MAT_AGENT_TEXT_SIZE];
    size_t cursor = 0;

    while (mat_agent_next_problem(f->hosts[host].agent, &cursor, text)) {
        if (strstr(text, what)) {
            return true;
        }
    }
    return false;
}

static void
set_pool(struct fleet *f, int host, const char *pool)
{
    struct mat_agent_config *config = malloc(sizeof *config);
    char error[MAT_MOA_TEXT_MAX];

    fleet_config(f, host, config);
    assert_true(mat_moa_parse(pool, false, &config->pools[0], error));
    mat_agent_configure(f->hosts[host].agent, f->now_us, config);
    free(config);
    fleet_run(f, 5 * SIM_S);
}

/* The commonest mistake: the settings of one host copied to the next. */
static void
test_overlap_is_a_problem(void **state)
{
    struct fleet *f = calloc(1, sizeof *f);

    (void) state;
    fleet_init(f, 2);
    fleet_run(f, 5 * SIM_S);
    assert_false(has_problem(f, 0, "overlaps"));
    assert_false(has_problem(f, 1, "overlaps"));

    set_pool(f, 1, "172.16.1.96/27%eth0");
    assert_true(has_problem(f, 0, "pool 172.16.1.96/27 of host "
                            "0000000000000002 overlaps one of this host: give "
                            "each host its own addresses in mat-pool4"));
    assert_true(has_problem(f, 1, "pool 172.16.1.64/26 of host "
                            "0000000000000001 overlaps"));
    set_pool(f, 1, "172.16.2.64/26");
    assert_false(has_problem(f, 0, "overlaps"));
    assert_false(has_problem(f, 1, "overlaps"));

    /* The very same pool: at least one is told. */
    set_pool(f, 1, "172.16.1.64/26%eth0");
    assert_true(has_problem(f, 0, "overlaps")
                || has_problem(f, 1, "overlaps"));
    fleet_destroy(f);
    free(f);
}

static bool
rests(struct fleet *f, const struct mat_addr *moa)
{
    struct mat_agent_saved saved;
    size_t cursor = 0;

    while (mat_agent_next_saved(f->hosts[0].agent, &cursor, &saved)) {
        if (mat_addr_equal(&saved.moa, moa)
            && saved.state == MAT_LIFE_ABSENT) {
            return true;
        }
    }
    return false;
}

/* A MoA that was released rests, whether the agent is started anew or not:
 * stale peers must not reach another VMN by it. */
static void
test_quarantine_survives_a_restart(void **state)
{
    struct fleet *f = calloc(1, sizeof *f);
    struct mat_addr moa;

    (void) state;
    fleet_init(f, 1);
    fleet_run(f, 10 * SIM_S);
    fleet_boot(f, 0, "vm1", 1, "10.1.1.1");
    moa = fleet_moa(f, 0, "10.1.1.1");
    assert_false(rests(f, &moa));
    fleet_unplug(f, 0, "vm1");
    for (int i = 0; i < 600 && !rests(f, &moa); i++) {
        fleet_run(f, SIM_S);
    }
    assert_true(rests(f, &moa));
    fleet_run(f, SIM_S);
    fleet_stop_agent(f, 0);
    fleet_start_agent(f, 0);
    assert_true(rests(f, &moa));
    mat_agent_ready(f->hosts[0].agent, f->now_us);
    fleet_run(f, 200 * SIM_S);
    assert_true(rests(f, &moa));
    fleet_run(f, 150 * SIM_S);
    assert_false(rests(f, &moa));
    fleet_destroy(f);
    free(f);
}

/* A home address of the underlay's zone that lies in the pool is no MoA, be
 * it of this host or of another.  In another zone it is another address. */
static void
test_home_addresses_are_no_moas(void **state)
{
    struct fleet *f = calloc(1, sizeof *f);

    (void) state;
    fleet_init(f, 2);
    set_pool(f, 0, "172.16.1.64/29%eth0");
    fleet_boot(f, 0, "own", 1, "172.16.1.66");
    fleet_boot(f, 1, "other", 2, "172.16.1.67");
    for (unsigned int i = 0; i < 6; i++) {
        char port[16], hoa[24];

        snprintf(port, sizeof port, "vm%u", i);
        snprintf(hoa, sizeof hoa, "10.3.0.%u", i + 1);
        fleet_boot(f, 0, port, 10 + i, hoa);
    }
    for (uint8_t i = 64; i < 72; i++) {
        const uint8_t b[4] = { 172, 16, 1, i };
        struct mat_addr moa = mat_addr_from_v4(b);
        struct mat_entry e;

        assert_int_equal(fleet_by_moa(f, 0, &moa, &e), i != 67);
        if (i != 67) {          /* Its own VMN is at home. */
            assert_int_equal(mat_addr_equal(&e.hoa, &moa), i == 66);
        }
    }
    fleet_expect_consistent(f);
    fleet_destroy(f);
    free(f);
}

/* Two hosts have the same pool, and gave the same MoA before they knew of each
 * other. */
static void
test_a_clash_is_told_and_mended(void **state)
{
    struct fleet *f = calloc(1, sizeof *f);
    struct mat_entry e;

    (void) state;
    fleet_init(f, 2);
    f->hosts[0].is_cut = f->hosts[1].is_cut = true;
    set_pool(f, 0, "172.16.1.70%eth0");
    set_pool(f, 1, "routed:172.16.1.70");
    fleet_boot(f, 0, "vm1", 1, "10.3.0.1");
    fleet_boot(f, 1, "vm2", 2, "10.3.0.2");
    f->hosts[0].is_cut = f->hosts[1].is_cut = false;
    fleet_run(f, 60 * SIM_S);
    assert_true(has_problem(f, 0, "10.3.0.2 at host 0000000000000002 cannot "
                            "be reached: its MoA 172.16.1.70"));
    assert_true(has_problem(f, 1, "10.3.0.1 at host 0000000000000001"));
    assert_true(fleet_live(f, 0, "10.3.0.1", &e));
    assert_false(fleet_live(f, 0, "10.3.0.2", &e));

    set_pool(f, 1, "172.16.2.64/26%eth0");
    fleet_run(f, 10 * SIM_S);
    assert_false(has_problem(f, 0, "cannot be reached"));
    assert_false(has_problem(f, 1, "cannot be reached"));
    fleet_expect_at(f, 0, "vm1", "10.3.0.1");
    fleet_expect_at(f, 1, "vm2", "10.3.0.2");
    fleet_destroy(f);
    free(f);
}

/* A peer's MoA that lies in the own pool is not given out. */
static void
test_moas_of_peers_are_left_alone(void **state)
{
    struct fleet *f = calloc(1, sizeof *f);
    struct mat_addr moa;

    (void) state;
    fleet_init(f, 2);
    fleet_boot(f, 0, "m0", 50, "10.1.1.1");
    set_pool(f, 1, "routed:172.16.1.70");
    fleet_boot(f, 1, "vm2", 2, "10.3.0.2");
    moa = fleet_moa(f, 1, "10.3.0.2");
    set_pool(f, 0, "172.16.1.70-172.16.1.72%eth0");
    fleet_boot(f, 0, "vm1", 1, "10.3.0.1");
    assert_false(mat_addr_equal(&moa, &(struct mat_addr[]) {
        fleet_moa(f, 0, "10.3.0.1") }[0]));
    fleet_expect_at(f, 0, "vm1", "10.3.0.1");
    fleet_expect_at(f, 1, "vm2", "10.3.0.2");
    fleet_destroy(f);
    free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap_is_a_problem),
        cmocka_unit_test(test_home_addresses_are_no_moas),
        cmocka_unit_test(test_a_clash_is_told_and_mended),
        cmocka_unit_test(test_moas_of_peers_are_left_alone),
        cmocka_unit_test(test_quarantine_survives_a_restart)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
