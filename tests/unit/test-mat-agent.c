/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of VMNs that come, move and go. */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define VM "10.1.0.5"
#define OTHER "10.1.0.6"

static struct fleet *
given_fleet(int n_hosts)
{
    struct fleet *f = malloc(sizeof *f);

    fleet_init(f, n_hosts);
    return f;
}

static void
end(struct fleet *f)
{
    fleet_expect_consistent(f);
    fleet_destroy(f);
    free(f);
}

/* Coming. */

static void
test_a_guest_is_learned_and_told(void **state)
{
    struct fleet *f = given_fleet(3);
    struct mat_agent_migration m;

    (void) state;
    fleet_plug(f, 1, "vm5", 5, NULL);
    fleet_plug(f, 2, "vm9", 9, NULL);   /* So that the zone is there. */
    fleet_plug(f, 0, "vm8", 8, NULL);
    fleet_say(f, 1, "vm5", MAT_EVENT_GARP, 5, VM);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5", VM);
    m = fleet_migration(f, 1, 0);
    assert_int_equal(m.kind, MAT_MIGRATION_APPEARED);
    assert_int_equal(m.outcome, MAT_MIGRATION_DONE);
    assert_int_equal(m.n_failed, 0);
    end(f);
}

static void
test_a_configured_address_needs_no_word(void **state)
{
    struct fleet *f = given_fleet(2);

    (void) state;
    fleet_plug(f, 1, "vm9", 9, NULL);
    fleet_plug(f, 0, "vm5", 5, VM);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    end(f);
}

static void
test_a_host_alone_serves_its_own(void **state)
{
    struct fleet *f = given_fleet(1);

    (void) state;
    mat_agent_set_gossip(f->hosts[0].agent, f->now_us, NULL, NULL, 0);
    fleet_boot(f, 0, "vm5", 5, VM);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_int_equal(fleet_migration(f, 0, 0).outcome, MAT_MIGRATION_DONE);
    end(f);
}

/* Moving. */

static struct fleet *
given_guest_on_first_of(int n_hosts)
{
    struct fleet *f = given_fleet(n_hosts);

    for (int i = 0; i < n_hosts; i++) {
        char port[8] = { 'm', (char) ('0' + i), 0 };
        char hoa[24];

        snprintf(hoa, sizeof hoa, "10.1.1.%d", i + 1);
        fleet_boot(f, i, port, 50 + (unsigned int) i, hoa);
    }
    fleet_boot(f, 0, "vm5", 5, VM);
    fleet_expect_at(f, 0, "vm5", VM);
    return f;
}

static void
test_a_move_by_rarp(void **state)
{
    struct fleet *f = given_guest_on_first_of(3);
    struct mat_addr old = fleet_moa(f, 0, VM);
    struct mat_agent_migration m;
    struct mat_entry e;

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    assert_int_equal(fleet_state(f, 1, VM), MAT_LIFE_PREPARED);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LIVE);
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, 3 * FLEET_DELAY_US);
    fleet_expect_at(f, 1, "vm5b", VM);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_GONE);
    assert_true(fleet_by_moa(f, 0, &old, &e));
    assert_int_equal(e.state, MAT_STATE_DEPARTED);
    fleet_run(f, SIM_S);
    m = fleet_migration(f, 1, 0);
    assert_int_equal(m.kind, MAT_MIGRATION_IN);
    assert_int_equal(m.outcome, MAT_MIGRATION_DONE);
    assert_int_equal(m.from, 1);
    assert_int_equal(m.to, 2);
    assert_true(m.at_us[MAT_MIGRATION_PREPARED] > 0);
    assert_true(m.at_us[MAT_MIGRATION_CLAIMED]
                >= m.at_us[MAT_MIGRATION_PREPARED]);
    assert_true(m.at_us[MAT_MIGRATION_PUSHED]
                > m.at_us[MAT_MIGRATION_CLAIMED]);
    m = fleet_migration(f, 0, 0);
    assert_int_equal(m.kind, MAT_MIGRATION_OUT);
    assert_int_equal(m.to, 2);
    /* Late packets are sent on for half a minute; then it is forgotten. */
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, 40 * SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_ABSENT);
    assert_false(fleet_by_moa(f, 0, &old, &e));
    fleet_expect_at(f, 1, "vm5b", VM);
    end(f);
}

static void
test_a_move_without_preparation(void **state)
{
    struct fleet *f = given_guest_on_first_of(3);

    (void) state;
    fleet_plug(f, 2, "free", 0, NULL);  /* No MAC configured. */
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_state(f, 2, VM), MAT_LIFE_ABSENT);
    fleet_say(f, 2, "free", MAT_EVENT_NEW_SOURCE, 5, VM);
    fleet_run(f, 4 * FLEET_DELAY_US);
    fleet_expect_at(f, 2, "free", VM);
    end(f);
}

/* The first guest of a zone on a host comes before what is known of it. */
static void
test_a_move_to_a_host_without_the_zone(void **state)
{
    static const enum mat_event_type said[] = {
        MAT_EVENT_RARP, MAT_EVENT_GARP
    };

    (void) state;
    for (int i = 0; i < 2; i++) {
        struct fleet *f = given_fleet(2);

        fleet_boot(f, 0, "vm5", 5, VM);
        fleet_plug(f, 1, "vm5b", 5, NULL);
        fleet_say(f, 1, "vm5b", said[i], 5, i ? VM : NULL);
        fleet_run(f, SIM_S);
        fleet_expect_at(f, 1, "vm5b", VM);
        end(f);
    }
}

/* A vhost port: its link tells that the guest runs. */
static void
test_a_move_by_link(void **state)
{
    const struct mat_agent_port_config config = {
        .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
        .mac = fleet_mac(5)
    };
    const struct mat_mac mac = { { 2 } };

    (void) state;
    for (int order = 0; order < 2; order++) {
        struct fleet *f = given_guest_on_first_of(2);
        struct mat_addr moa;
        struct mat_entry e;

        mat_table_port_attached(f->hosts[1].table, "vhost", 50, &mac, 1500);
        if (order) {
            fleet_port_event(f, 1, "vhost", MAT_EVENT_PORT_ATTACHED);
        }
        mat_agent_port(f->hosts[1].agent, f->now_us, "vhost", &config, 0,
                       true);
        if (!order) {
            fleet_port_event(f, 1, "vhost", MAT_EVENT_PORT_ATTACHED);
        }
        fleet_run(f, SIM_MS);
        assert_int_equal(fleet_state(f, 1, VM), MAT_LIFE_PREPARED);
        moa = fleet_moa(f, 1, VM);
        assert_true(fleet_by_moa(f, 1, &moa, &e));
        assert_true(e.hold);
        fleet_port_event(f, 1, "vhost", MAT_EVENT_PORT_LIVE);
        fleet_run(f, SIM_MS);
        fleet_expect_at(f, 1, "vhost", VM);
        end(f);
    }
}

static void
expect_held(struct fleet *f, bool held)
{
    struct mat_entry e;

    assert_true(fleet_live(f, 0, VM, &e));
    assert_int_equal(e.state, MAT_STATE_LOCAL);
    assert_int_equal(e.hold, held);
}

static void
test_a_hint_loses_nothing(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);
    struct mat_addr old = fleet_moa(f, 0, VM), new;
    struct mat_entry e;

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    new = fleet_moa(f, 1, VM);
    assert_true(fleet_by_moa(f, 0, &new, &e));
    assert_int_equal(e.state, MAT_STATE_PREPARED);
    fleet_hint(f, 0, MAT_HINT_HOLD, 5);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LIVE);
    expect_held(f, true);
    fleet_run(f, 20 * SIM_MS);
    fleet_hint(f, 0, MAT_HINT_STOPPED, 5);
    /* For what it said last. */
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LEAVING);
    expect_held(f, true);
    /* Then packets go to where it will be. */
    fleet_run(f, 6 * SIM_MS);
    assert_true(fleet_live(f, 0, VM, &e));
    assert_int_equal(e.state, MAT_STATE_REMOTE);
    assert_true(mat_addr_equal(&e.moa, &new));
    assert_true(fleet_by_moa(f, 0, &old, &e));
    assert_int_equal(e.state, MAT_STATE_DEPARTED);
    assert_true(fleet_by_moa(f, 1, &new, &e));
    assert_int_equal(e.state, MAT_STATE_PREPARED);
    assert_string_equal(e.port, "vm5b");
    fleet_hint(f, 1, MAT_HINT_STARTED, 5);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    assert_int_equal(mat_agent_counter(f->hosts[0].agent,
                                       MAT_AGENT_C_CONFLICTS), 0);
    end(f);
}

/* The port goes with the VM: there is nothing to wait for. */
static void
test_a_port_that_goes_as_the_vm_stops(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);
    struct mat_entry e;

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    fleet_hint(f, 0, MAT_HINT_STOPPED, 5);
    expect_held(f, true);
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, SIM_MS);
    assert_true(fleet_live(f, 0, VM, &e));
    assert_int_equal(e.state, MAT_STATE_REMOTE);
    fleet_run(f, 11 * SIM_S);
    assert_int_not_equal(fleet_state(f, 0, VM), MAT_LIFE_LEAVING);
    fleet_hint(f, 1, MAT_HINT_STARTED, 5);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    end(f);
}

static void
test_a_hold_without_a_stop(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);

    (void) state;
    fleet_hint(f, 0, MAT_HINT_HOLD, 5);
    expect_held(f, true);
    fleet_hint(f, 0, MAT_HINT_FAILED, 5);
    expect_held(f, false);
    fleet_hint(f, 0, MAT_HINT_HOLD, 5);
    fleet_run(f, 1900 * SIM_MS);
    expect_held(f, true);
    fleet_hint(f, 0, MAT_HINT_HOLD, 5);
    fleet_run(f, 1900 * SIM_MS);
    expect_held(f, true);
    fleet_run(f, 200 * SIM_MS);
    expect_held(f, false);
    assert_int_equal(mat_agent_counter(f->hosts[0].agent, MAT_AGENT_C_HELD),
                     3);
    /* Where it does not run nothing is held. */
    fleet_hint(f, 1, MAT_HINT_HOLD, 5);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    end(f);
}

static void
test_a_cancelled_migration(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);
    struct mat_agent_migration m;
    struct mat_addr new;
    struct mat_entry e;

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    new = fleet_moa(f, 1, VM);
    fleet_hint(f, 0, MAT_HINT_STOPPED, 5);
    fleet_run(f, SIM_MS);
    fleet_hint(f, 0, MAT_HINT_FAILED, 5);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LIVE);
    fleet_unplug(f, 1, "vm5b");
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    /* What went to the other is sent back. */
    assert_true(fleet_by_moa(f, 1, &new, &e));
    assert_int_equal(e.state, MAT_STATE_DEPARTED);
    m = fleet_migration(f, 0, 0);
    assert_int_equal(m.kind, MAT_MIGRATION_OUT);
    assert_int_equal(m.outcome, MAT_MIGRATION_FAILED);
    m = fleet_migration(f, 1, 0);
    assert_int_equal(m.outcome, MAT_MIGRATION_FAILED);
    fleet_run(f, 60 * SIM_S);
    assert_false(fleet_by_moa(f, 1, &new, &e));
    end(f);
}

static void
test_a_stopped_guest_that_goes_nowhere(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);
    struct mat_entry e;

    (void) state;
    fleet_hint(f, 0, MAT_HINT_STOPPED, 5);
    assert_true(fleet_live(f, 0, VM, &e));
    assert_true(e.hold);
    fleet_run(f, 61 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    end(f);
}

static void
test_there_and_back(void **state)
{
    struct fleet *f = given_guest_on_first_of(3);

    (void) state;
    for (int i = 0; i < 6; i++) {
        int to = 1 - i % 2, from = i % 2;

        fleet_unplug(f, from, "vm5");
        fleet_plug(f, to, "vm5", 5, NULL);
        fleet_run(f, 10 * SIM_MS);
        fleet_say(f, to, "vm5", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, SIM_S);
        fleet_expect_at(f, to, "vm5", VM);
    }
    assert_int_equal(mat_agent_counter(f->hosts[0].agent,
                                       MAT_AGENT_C_FROZEN), 0);
    end(f);
}

static void
test_back_while_the_old_port_stays(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    for (int i = 0; i < 3; i++) {
        fleet_run(f, SIM_S);
        fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, SIM_S);
        fleet_expect_at(f, 1, "vm5b", VM);
        fleet_say(f, 0, "vm5", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, SIM_S);
        fleet_expect_at(f, 0, "vm5", VM);
    }
    end(f);
}

static void
test_two_guests_swap_hosts(void **state)
{
    struct fleet *f = given_guest_on_first_of(3);

    (void) state;
    fleet_boot(f, 1, "vm6", 6, OTHER);
    fleet_plug(f, 0, "new6", 6, NULL);
    fleet_plug(f, 1, "new5", 5, NULL);
    fleet_run(f, SIM_S);
    fleet_say(f, 0, "new6", MAT_EVENT_RARP, 6, NULL);
    fleet_say(f, 1, "new5", MAT_EVENT_RARP, 5, NULL);
    fleet_unplug(f, 0, "vm5");
    fleet_unplug(f, 1, "vm6");
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "new5", VM);
    fleet_expect_at(f, 0, "new6", OTHER);
    end(f);
}

static void
test_all_addresses_move_together(void **state)
{
    struct fleet *f = given_guest_on_first_of(3);

    (void) state;
    fleet_say(f, 0, "vm5", MAT_EVENT_NA, 5, "fd00::5");
    fleet_say(f, 0, "vm5", MAT_EVENT_GARP, 5, OTHER);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", "fd00::5");
    fleet_plug(f, 2, "vm5b", 5, NULL);
    fleet_run(f, SIM_MS);
    fleet_say(f, 2, "vm5b", MAT_EVENT_NEW_SOURCE, 5, VM);
    fleet_run(f, 3 * FLEET_DELAY_US);
    fleet_expect_at(f, 2, "vm5b", VM);
    fleet_expect_at(f, 2, "vm5b", OTHER);
    fleet_expect_at(f, 2, "vm5b", "fd00::5");
    end(f);
}

static void
test_a_move_on_one_host(void **state)
{
    struct fleet *f = given_guest_on_first_of(2);
    struct mat_addr moa = fleet_moa(f, 0, VM), now;

    (void) state;
    fleet_plug(f, 0, "vm5b", 5, NULL);
    fleet_run(f, SIM_MS);
    fleet_say(f, 0, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5b", VM);
    now = fleet_moa(f, 0, VM);
    assert_true(mat_addr_equal(&moa, &now));
    assert_int_equal(fleet_migration(f, 0, 0).kind, MAT_MIGRATION_LOCAL);
    end(f);
}

static void
test_an_unknown_peer_first_hears_of_it_by_redirect(void **state)
{
    struct fleet *f = given_guest_on_first_of(3);
    struct mat_addr old = fleet_moa(f, 0, VM);
    struct mat_event event = {
        .type = MAT_EVENT_REDIRECTED, .odp_port = 1, .zone = FLEET_ZONE,
        .head_size = 34
    };

    (void) state;
    f->hosts[2].is_cut = true;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    f->hosts[2].is_cut = false;
    /* A packet of 10.1.1.3 on host 2 to the old MoA. */
    event.time_ns = (uint64_t) f->now_us * 1000;
    event.addr = fleet_moa(f, 2, "10.1.1.3");
    event.head[12] = 8;
    memcpy(event.head + 14 + 16, &old.b[12], 4);
    mat_agent_event(f->hosts[0].agent, f->now_us, &event);
    mat_agent_event(f->hosts[0].agent, f->now_us, &event);
    fleet_run(f, 2 * FLEET_DELAY_US);
    assert_int_equal(mat_agent_counter(f->hosts[0].agent,
                                       MAT_AGENT_C_NOTICES), 1);
    fleet_expect_at(f, 1, "vm5b", VM);
    assert_int_equal(fleet_migration(f, 0, 0).n_redirected, 2);
    /* Such packets prolong the time in which they are sent on. */
    fleet_run(f, 25 * SIM_S);
    mat_agent_event(f->hosts[0].agent, f->now_us, &event);
    fleet_run(f, 25 * SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_GONE);
    fleet_run(f, 10 * SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_ABSENT);
    end(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_guest_is_learned_and_told),
        cmocka_unit_test(test_a_configured_address_needs_no_word),
        cmocka_unit_test(test_a_host_alone_serves_its_own),
        cmocka_unit_test(test_a_move_by_rarp),
        cmocka_unit_test(test_a_move_without_preparation),
        cmocka_unit_test(test_a_move_to_a_host_without_the_zone),
        cmocka_unit_test(test_a_move_by_link),
        cmocka_unit_test(test_a_hint_loses_nothing),
        cmocka_unit_test(test_a_port_that_goes_as_the_vm_stops),
        cmocka_unit_test(test_a_hold_without_a_stop),
        cmocka_unit_test(test_a_cancelled_migration),
        cmocka_unit_test(test_a_stopped_guest_that_goes_nowhere),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_back_while_the_old_port_stays),
        cmocka_unit_test(test_two_guests_swap_hosts),
        cmocka_unit_test(test_all_addresses_move_together),
        cmocka_unit_test(test_a_move_on_one_host),
        cmocka_unit_test(test_an_unknown_peer_first_hears_of_it_by_redirect),
    };

    return cmocka_run_group_tests_name("mat-agent", tests, NULL, NULL);
}
