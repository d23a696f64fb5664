/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: thieves, doubles, restarts, failures. */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VM "10.1.0.5"
#define OTHER "10.1.0.6"

/* VM with MAC 5 on port "vm5" of the first host; one other guest on each. */
static struct fleet *
given(int n_hosts)
{
    struct fleet *f = malloc(sizeof *f);

    fleet_init(f, n_hosts);
    for (int i = 0; i < n_hosts; i++) {
        char port[16], hoa[24];

        snprintf(port, sizeof port, "m%d", i);
        snprintf(hoa, sizeof hoa, "10.1.1.%d", i + 1);
        fleet_boot(f, i, port, 50 + (unsigned int) i, hoa);
    }
    fleet_boot(f, 0, "vm5", 5, VM);
    fleet_expect_at(f, 0, "vm5", VM);
    return f;
}

static void
end(struct fleet *f)
{
    fleet_expect_consistent(f);
    fleet_destroy(f);
    free(f);
}

static uint64_t
counted(struct fleet *f, int host, enum mat_agent_counter counter)
{
    return mat_agent_counter(f->hosts[host].agent, counter);
}

/* Thieves and doubles. */

static void
test_a_forged_rarp_does_not_win(void **state)
{
    struct fleet *f = given(2);

    (void) state;
    /* From a port with another MAC, on both hosts. */
    fleet_say(f, 1, "m1", MAT_EVENT_RARP, 5, NULL);
    fleet_say(f, 0, "m0", MAT_EVENT_RARP, 5, NULL);
    fleet_say(f, 1, "m1", MAT_EVENT_GARP, 5, VM);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_true(counted(f, 1, MAT_AGENT_C_VIOLATIONS) >= 2);
    /* From a port without a MAC of its own, which has spoken before. */
    fleet_plug(f, 1, "open", 0, NULL);
    fleet_say(f, 1, "open", MAT_EVENT_GARP, 66, "10.1.0.66");
    fleet_run(f, SIM_S);
    fleet_say(f, 1, "open", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    fleet_expect_at(f, 1, "open", "10.1.0.66");
    end(f);
}

static void
test_an_address_of_another_is_not_taken(void **state)
{
    struct fleet *f = given(2);

    (void) state;
    fleet_say(f, 1, "m1", MAT_EVENT_GARP, 51, VM);
    fleet_say(f, 0, "m0", MAT_EVENT_GARP, 50, VM);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    fleet_expect_logged(f, 1, "not believed");
    end(f);
}

static void
test_an_unknown_address_is_asked_for_first(void **state)
{
    struct fleet *f = malloc(sizeof *f);
    struct mat_entry e;

    (void) state;
    fleet_init(f, 2);
    fleet_boot(f, 0, "vm5", 5, VM);
    /* The second host has heard nothing of this zone yet. */
    fleet_plug(f, 1, "m1", 51, NULL);
    fleet_say(f, 1, "m1", MAT_EVENT_GARP, 51, VM);
    fleet_run(f, 2 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_true(fleet_live(f, 1, VM, &e));
    assert_true(mat_mac_equal(&e.mac, &(struct mat_mac) { { 2, [5] = 5 } }));
    end(f);
}

static bool
has_problem(struct fleet *f, int host, const char *text)
{
    char problem[MAT_AGENT_TEXT_SIZE];
    size_t cursor = 0;

    while (mat_agent_next_problem(f->hosts[host].agent, &cursor, problem)) {
        if (strstr(problem, text)) {
            return true;
        }
    }
    return false;
}

/* An operator gives a port the address of another's VM. */
static void
test_a_configured_double_is_named(void **state)
{
    struct fleet *f = given(2);

    (void) state;
    fleet_plug(f, 1, "double", 7, VM);
    fleet_run(f, 5 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_true(has_problem(f, 1, "port double: zone 7 10.1.0.5 (mat-hoa)"));
    fleet_unplug(f, 1, "double");
    fleet_run(f, SIM_S);
    assert_false(has_problem(f, 1, "double"));
    /* Once more, and this time the first one goes. */
    fleet_plug(f, 1, "double", 7, VM);
    fleet_run(f, SIM_S);
    assert_true(has_problem(f, 1, "double"));
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, 20 * SIM_S);
    assert_false(has_problem(f, 1, "double"));
    fleet_expect_at(f, 1, "double", VM);
    end(f);
}

/* The same when the agent there starts, and knows nothing yet. */
static void
test_a_configured_double_at_the_start(void **state)
{
    struct fleet *f = given(2);
    struct mat_agent_port_config with_hoa = {
        .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
        .mac = fleet_mac(7), .n_hoas = 1
    };

    (void) state;
    mat_addr_parse(VM, &with_hoa.hoas[0]);
    fleet_stop_agent(f, 1);
    fleet_run(f, SIM_S);
    f->hosts[1].n_disk = 0;
    mat_table_flush(f->hosts[1].table);
    fleet_start_agent(f, 1);
    mat_agent_port(f->hosts[1].agent, f->now_us, "double", &with_hoa, 0,
                   false);
    mat_agent_ready(f->hosts[1].agent, f->now_us);
    mat_agent_switch_connected(f->hosts[1].agent, f->now_us, 1);
    fleet_run(f, 5 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_true(has_problem(f, 1, "mat-hoa"));
    assert_int_equal(counted(f, 0, MAT_AGENT_C_LOST), 0);
    end(f);
}

/* The packet overtakes the database. */
static void
test_a_guest_that_speaks_before_its_port_is_told(void **state)
{
    struct fleet *f = given(2);
    struct mat_agent_port_config config = {
        .enabled = true, .zone = FLEET_ZONE
    };
    struct mat_mac device = fleet_mac(100);

    (void) state;
    for (unsigned int i = 0; i < 200; i++) {
        char port[16], hoa[24];

        snprintf(port, sizeof port, "new%u", i);
        snprintf(hoa, sizeof hoa, "10.5.0.%u", i + 1);
        mat_table_port_attached(f->hosts[0].table, port, 100 + i, &device,
                                1500);
        if (i & 1) {
            fleet_port_event(f, 0, port, MAT_EVENT_PORT_ATTACHED);
        }
        fleet_say(f, 0, port, MAT_EVENT_GARP, 0x300 + i, hoa);
    }
    fleet_run(f, SIM_S);
    for (unsigned int i = 0; i < 60; i++) {
        char port[16];

        snprintf(port, sizeof port, "new%u", i);
        config.has_mac = true;
        config.mac = fleet_mac(0x300 + i);
        mat_agent_port(f->hosts[0].agent, f->now_us, port, &config, 0,
                       false);
    }
    fleet_run(f, SIM_S);
    for (unsigned int i = 0; i < 60; i++) {
        char port[16], hoa[24];

        snprintf(port, sizeof port, "new%u", i);
        snprintf(hoa, sizeof hoa, "10.5.0.%u", i + 1);
        fleet_expect_at(f, 0, port, hoa);
    }
    end(f);
}

static void
test_two_vms_that_are_one(void **state)
{
    struct fleet *f = given(3);
    int n_live = 0;

    (void) state;
    fleet_plug(f, 1, "clone", 5, NULL);
    for (int i = 0; i < 40; i++) {
        fleet_say(f, i % 2, i % 2 ? "clone" : "vm5", MAT_EVENT_GARP, 5, VM);
        fleet_run(f, SIM_S);
    }
    assert_true(counted(f, 0, MAT_AGENT_C_FROZEN)
                + counted(f, 1, MAT_AGENT_C_FROZEN) > 0);
    n_live += fleet_state(f, 0, VM) == MAT_LIFE_LIVE;
    n_live += fleet_state(f, 1, VM) == MAT_LIFE_LIVE;
    assert_int_equal(n_live, 1);
    end(f);
}

static void
test_the_operator_freezes(void **state)
{
    struct fleet *f = given(2);
    struct mat_addr hoa;

    (void) state;
    mat_addr_parse(VM, &hoa);
    assert_true(mat_agent_freeze(f->hosts[1].agent, f->now_us, FLEET_ZONE,
                                 &hoa));
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_true(mat_agent_unfreeze(f->hosts[1].agent, f->now_us, FLEET_ZONE,
                                   &hoa));
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    end(f);
}

static void
test_what_was_said_before_the_move_is_old(void **state)
{
    struct fleet *f = given(2);

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, SIM_MS);
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, 10 * SIM_MS);
    /* The source hears only now what the guest said there. */
    fleet_say(f, 0, "vm5", MAT_EVENT_NEW_SOURCE, 5, VM);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    assert_int_equal(counted(f, 0, MAT_AGENT_C_EVENTS_STALE), 1);
    end(f);
}

/* Ports. */

static void
test_a_port_that_goes_for_good(void **state)
{
    struct fleet *f = given(2);
    struct mat_entry e;

    (void) state;
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LEAVING);
    assert_true(fleet_live(f, 0, VM, &e));
    assert_true(e.hold);
    fleet_run(f, 20 * SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_ABSENT);
    assert_false(fleet_live(f, 0, VM, &e));
    assert_false(fleet_live(f, 1, VM, &e));
    end(f);
}

static void
test_a_port_that_comes_back(void **state)
{
    struct fleet *f = given(2);
    struct mat_addr moa = fleet_moa(f, 0, VM), now;

    (void) state;
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, SIM_S);
    fleet_plug(f, 0, "vm5", 5, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    now = fleet_moa(f, 0, VM);
    assert_true(mat_addr_equal(&moa, &now));
    end(f);
}

static void
test_a_port_is_reused_by_another_guest(void **state)
{
    struct fleet *f = given(2);

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_unplug(f, 0, "vm5");
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, 100 * SIM_MS);
    fleet_plug(f, 0, "vm5", 6, NULL);
    fleet_say(f, 0, "vm5", MAT_EVENT_GARP, 6, OTHER);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    fleet_expect_at(f, 0, "vm5", OTHER);
    end(f);
}

static void
test_a_dead_port_holds(void **state)
{
    struct fleet *f = given(2);
    struct mat_entry e;

    (void) state;
    fleet_port_event(f, 0, "vm5", MAT_EVENT_PORT_DEAD);
    assert_true(fleet_live(f, 0, VM, &e));
    assert_true(e.hold);
    fleet_port_event(f, 0, "vm5", MAT_EVENT_PORT_LIVE);
    fleet_expect_at(f, 0, "vm5", VM);
    end(f);
}

static void
test_a_silent_guest_starts_when_its_owner_gives_up(void **state)
{
    struct fleet *f = given(2);

    (void) state;
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_run(f, SIM_S);
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, 12 * SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    end(f);
}

static void
test_a_saved_vm_wakes_elsewhere(void **state)
{
    struct fleet *f = given(2);
    struct mat_entry e;

    (void) state;
    fleet_hint(f, 0, MAT_HINT_PARK, 5);
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, 3600 * SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_PARKED);
    assert_false(fleet_live(f, 0, VM, &e));
    assert_true(fleet_live(f, 1, VM, &e));
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_say(f, 1, "vm5b", MAT_EVENT_GARP, 5, VM);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    assert_int_equal(counted(f, 0, MAT_AGENT_C_CONFLICTS), 0);
    end(f);
}

/* Restarts. */

static void
test_the_switch_starts_anew(void **state)
{
    struct fleet *f = given(3);

    (void) state;
    fleet_plug(f, 1, "vm6", 6, NULL);
    fleet_restart_switch(f, 0);
    fleet_run(f, SIM_MS);
    fleet_expect_at(f, 0, "vm5", VM);
    fleet_expect_at(f, 1, "m1", "10.1.1.2");
    fleet_expect_consistent(f);
    fleet_expect_logged(f, 0, "all is put back");
    end(f);
}

static void
test_a_move_while_the_switch_is_away(void **state)
{
    struct fleet *f = given(2);
    struct mat_entry e;

    (void) state;
    mat_agent_switch_lost(f->hosts[0].agent, f->now_us);
    fleet_plug(f, 1, "vm5b", 5, NULL);
    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, SIM_S);
    assert_true(fleet_live(f, 0, VM, &e));
    assert_int_equal(e.state, MAT_STATE_LOCAL);
    mat_agent_switch_connected(f->hosts[0].agent, f->now_us, 1);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5b", VM);
    end(f);
}

/* Gives a new agent the ports of the first host. */
static void
tell_ports(struct fleet *f, bool with_vm)
{
    static const struct { const char *name; unsigned int mac; } ports[] = {
        { "m0", 50 }, { "vm5", 5 }
    };

    for (size_t i = 0; i < (with_vm ? 2 : 1); i++) {
        const struct mat_agent_port_config config = {
            .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
            .mac = fleet_mac(ports[i].mac)
        };

        mat_agent_port(f->hosts[0].agent, f->now_us, ports[i].name, &config,
                       0, false);
    }
    mat_agent_ready(f->hosts[0].agent, f->now_us);
}

static void
restart(struct fleet *f, bool with_disk, bool with_vm, bool switch_first)
{
    struct fleet_host *host = &f->hosts[0];

    if (!with_disk) {
        host->n_disk = 0;
    }
    fleet_start_agent(f, 0);
    if (switch_first) {
        mat_agent_switch_connected(host->agent, f->now_us, host->instance);
        tell_ports(f, with_vm);
    } else {
        tell_ports(f, with_vm);
        mat_agent_switch_connected(host->agent, f->now_us, host->instance);
    }
}

static void
test_the_agent_starts_anew(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct fleet *f = given(2);
        struct mat_addr moa = fleet_moa(f, 0, VM), now;
        unsigned int n_ops = f->hosts[0].n_ops;
        struct mat_entry e;

        (void) state;
        fleet_stop_agent(f, 0);
        fleet_run(f, 2 * SIM_S);
        restart(f, i & 1, true, i & 2);
        fleet_run(f, 100);
        /* No packet has met another table meanwhile. */
        assert_true(fleet_live(f, 0, VM, &e));
        assert_int_equal(e.state, MAT_STATE_LOCAL);
        assert_true(fleet_live(f, 0, "10.1.1.2", &e));
        assert_int_equal(e.state, MAT_STATE_REMOTE);
        fleet_run(f, 5 * SIM_S);
        fleet_expect_at(f, 0, "vm5", VM);
        fleet_expect_at(f, 1, "m1", "10.1.1.2");
        now = fleet_moa(f, 0, VM);
        assert_true(mat_addr_equal(&moa, &now));
        fleet_run(f, 100 * SIM_S);
        fleet_expect_at(f, 0, "vm5", VM);
        fleet_expect_at(f, 1, "m1", "10.1.1.2");
        assert_true(f->hosts[0].n_ops - f->hosts[0].n_frames < n_ops + 20);
        end(f);
    }
}

static void
test_a_move_while_the_agent_is_dead(void **state)
{
    for (int i = 0; i < 8; i++) {
        struct fleet *f = given(3);

        (void) state;
        fleet_stop_agent(f, 0);
        fleet_plug(f, 1, "vm5b", 5, NULL);
        fleet_run(f, SIM_S);
        fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, 90 * SIM_S);
        restart(f, i & 1, i & 4, i & 2);
        fleet_run(f, 20 * SIM_S);
        fleet_expect_at(f, 1, "vm5b", VM);
        assert_int_not_equal(fleet_state(f, 0, VM), MAT_LIFE_LIVE);
        fleet_run(f, 100 * SIM_S);
        fleet_expect_at(f, 1, "vm5b", VM);
        end(f);
    }
}

/* The old pool is still in the switch as a departed entry. */
static void
test_a_start_after_a_change_of_pools(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct fleet *f = given(2);
        struct mat_agent_config config;
        char error[MAT_MOA_TEXT_MAX];
        struct mat_addr moa, now;

        (void) state;
        fleet_config(f, 0, &config);
        assert_true(mat_moa_parse("172.16.1.200/29", false, &config.pools[0],
                                  error));
        mat_agent_configure(f->hosts[0].agent, f->now_us, &config);
        fleet_run(f, SIM_S);
        fleet_config(f, 0, &config);
        mat_agent_configure(f->hosts[0].agent, f->now_us, &config);
        fleet_run(f, SIM_S);
        /* Away and back, with a restart while it is away. */
        fleet_plug(f, 1, "vm5b", 5, NULL);
        fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, SIM_S);
        fleet_stop_agent(f, 0);
        restart(f, i & 1, true, i & 2);
        fleet_run(f, SIM_S);
        fleet_say(f, 0, "vm5", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, SIM_S);
        fleet_expect_at(f, 0, "vm5", VM);
        moa = fleet_moa(f, 0, VM);
        assert_int_equal(moa.b[15] >> 6, 1);
        fleet_stop_agent(f, 0);
        restart(f, i & 1, true, i & 2);
        fleet_run(f, SIM_S);
        fleet_expect_at(f, 0, "vm5", VM);
        now = fleet_moa(f, 0, VM);
        assert_true(mat_addr_equal(&moa, &now));
        fleet_run(f, 500 * SIM_S);
        fleet_expect_at(f, 0, "vm5", VM);
        end(f);
    }
}

static void
test_foreign_entries_go_when_all_is_settled(void **state)
{
    struct fleet *f = given(2);
    struct mat_entry e = {
        .zone = 9, .plen = 32, .state = MAT_STATE_PREPARED,
        .mac = fleet_mac(77)
    };

    (void) state;
    mat_addr_parse("10.9.0.1", &e.hoa);
    mat_addr_parse("172.16.9.9", &e.moa);
    fleet_run(f, 100 * SIM_S);
    assert_int_equal(mat_table_put(f->hosts[0].table, &e), MAT_TABLE_OK);
    mat_agent_switch_lost(f->hosts[0].agent, f->now_us);
    mat_agent_switch_connected(f->hosts[0].agent, f->now_us, 1);
    fleet_run(f, SIM_S);
    assert_false(fleet_by_moa(f, 0, &e.moa, &e));
    end(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forged_rarp_does_not_win),
        cmocka_unit_test(test_an_address_of_another_is_not_taken),
        cmocka_unit_test(test_an_unknown_address_is_asked_for_first),
        cmocka_unit_test(test_a_configured_double_is_named),
        cmocka_unit_test(test_a_configured_double_at_the_start),
        cmocka_unit_test(test_a_guest_that_speaks_before_its_port_is_told),
        cmocka_unit_test(test_two_vms_that_are_one),
        cmocka_unit_test(test_the_operator_freezes),
        cmocka_unit_test(test_what_was_said_before_the_move_is_old),
        cmocka_unit_test(test_a_port_that_goes_for_good),
        cmocka_unit_test(test_a_port_that_comes_back),
        cmocka_unit_test(test_a_port_is_reused_by_another_guest),
        cmocka_unit_test(test_a_dead_port_holds),
        cmocka_unit_test(test_a_silent_guest_starts_when_its_owner_gives_up),
        cmocka_unit_test(test_a_saved_vm_wakes_elsewhere),
        cmocka_unit_test(test_the_switch_starts_anew),
        cmocka_unit_test(test_a_move_while_the_switch_is_away),
        cmocka_unit_test(test_the_agent_starts_anew),
        cmocka_unit_test(test_a_move_while_the_agent_is_dead),
        cmocka_unit_test(test_a_start_after_a_change_of_pools),
        cmocka_unit_test(test_foreign_entries_go_when_all_is_settled),
    };

    return cmocka_run_group_tests_name("mat-agent-trouble", tests, NULL,
                                       NULL);
}
