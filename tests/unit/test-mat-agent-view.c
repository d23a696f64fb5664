/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told, how hints find their VMN, zones. */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VM "10.1.0.5"

static struct fleet *
given(void)
{
    struct fleet *f = malloc(sizeof *f);

    fleet_init(f, 2);
    fleet_boot(f, 1, "m1", 51, "10.1.1.2");
    fleet_boot(f, 0, "vm5", 5, VM);
    fleet_run(f, SIM_S);
    return f;
}

static void
end(struct fleet *f)
{
    fleet_expect_consistent(f);
    fleet_destroy(f);
    free(f);
}

static void
test_all_have_names(void **state)
{
    (void) state;
    for (int i = 0; i < MAT_AGENT_N_COUNTERS; i++) {
        enum mat_agent_counter c = (enum mat_agent_counter) i;

        assert_true(strlen(mat_agent_counter_name(c)) > 2);
        assert_true(strlen(mat_agent_counter_text(c)) > 5);
    }
    assert_string_equal(mat_agent_counter_name(MAT_AGENT_N_COUNTERS), "?");
    for (int i = 0; i < MAT_N_MIGRATION_PHASES; i++) {
        assert_true(strlen(mat_migration_phase_name(
                               (enum mat_migration_phase) i)) > 2);
    }
    for (int i = 0; i < MAT_N_HINTS; i++) {
        assert_true(strlen(mat_agent_hint_name(
                               (enum mat_agent_hint_kind) i)) > 2);
    }
    assert_string_equal(mat_migration_outcome_name(MAT_MIGRATION_LOST),
                        "lost");
    assert_string_equal(mat_migration_kind_name(MAT_MIGRATION_RENUMBERED),
                        "renumbered");
    assert_string_equal(mat_migration_kind_name((enum mat_migration_kind) 9),
                        "?");
}

static void
test_vmns_are_shown(void **state)
{
    struct fleet *f = given();
    struct mat_agent_vmn v;
    struct mat_addr hoa, moa = fleet_moa(f, 0, VM);
    size_t cursor = 0, n = 0;

    (void) state;
    mat_addr_parse(VM, &hoa);
    /* By home address, by MoA, on either host; only the one here. */
    assert_true(mat_agent_lookup(f->hosts[1].agent, FLEET_ZONE, &hoa, &v));
    assert_int_equal(v.host, 1);
    assert_false(v.is_here);
    assert_true(v.is_reachable);
    assert_true(mat_addr_equal(&v.moa, &moa));
    assert_true(mat_agent_lookup(f->hosts[1].agent, 0, &moa, &v));
    assert_true(mat_addr_equal(&v.hoa, &hoa));
    assert_false(mat_agent_lookup(f->hosts[1].agent, 8, &hoa, &v));
    while (mat_agent_next_vmn(f->hosts[0].agent, &cursor, true, &v)) {
        assert_true(v.is_here);
        assert_string_equal(v.port, "vm5");
        assert_true(v.since_us > 0);
        assert_int_equal(v.migration, 1);
        n++;
    }
    assert_int_equal(n, 1);
    cursor = 0;
    while (mat_agent_next_vmn(f->hosts[0].agent, &cursor, false, &v)) {
        n++;
    }
    assert_int_equal(n, 3);
    end(f);
}

static void
test_the_rest_is_shown(void **state)
{
    struct fleet *f = given();
    const struct mat_agent *a = f->hosts[0].agent;
    struct mat_agent_port_view port;
    struct mat_agent_pool_view pool;
    struct mat_agent_summary s;
    int n_uplinks = 0, n_own = 0, n_routes = 0;
    size_t cursor = 0;

    (void) state;
    while (mat_agent_next_port(a, &cursor, &port)) {
        n_uplinks += port.is_uplink;
        assert_true(port.is_enabled);
        assert_true(port.is_live);
        assert_int_not_equal(port.odp_port, MAT_TABLE_NO_PORT);
        if (!port.is_uplink) {
            assert_string_equal(port.name, "vm5");
            assert_int_equal(port.n_macs, 1);
            assert_int_equal(port.n_hoas, 1);
        }
    }
    assert_int_equal(n_uplinks, 1);
    cursor = 0;
    while (mat_agent_next_pool(a, &cursor, &pool)) {
        n_own += pool.is_own;
        n_routes += pool.has_route;
        assert_int_equal(pool.host, pool.is_own ? 1 : 2);
    }
    assert_int_equal(n_own, 2);
    assert_int_equal(n_routes, 2);
    mat_agent_summarize(a, &s);
    assert_true(s.is_ready && s.is_connected && s.is_in_sync
                && s.has_gossip);
    assert_int_equal(s.n_by_life[MAT_LIFE_LIVE], 1);
    assert_int_equal(s.n_homes, 2);
    assert_int_equal(s.n_entries, 2);
    assert_int_equal(s.sequence, s.acked);
    assert_non_null(mat_agent_moa(a));
    end(f);
}

static void
test_the_last_migrations_are_kept(void **state)
{
    struct fleet *f = given();
    struct mat_agent_migration m;
    size_t cursor = 0, n = 0;
    uint64_t last = 0;

    (void) state;
    fleet_plug(f, 0, "vm5b", 5, NULL);
    for (int i = 0; i < 300; i++) {
        fleet_say(f, 0, i % 2 ? "vm5" : "vm5b", MAT_EVENT_RARP, 5, NULL);
        fleet_run(f, SIM_MS);
    }
    while (mat_agent_next_migration(f->hosts[0].agent, &cursor, &m)) {
        assert_true(!last || m.id == last - 1);
        last = m.id;
        n++;
    }
    assert_int_equal(n, MAT_AGENT_MIGRATIONS_MAX);
    assert_int_equal(mat_agent_counter(f->hosts[0].agent,
                                       MAT_AGENT_C_MOVES_LOCAL), 300);
    end(f);
}

/* A hint to a host that has no port in the VM's zone: its records are fetched
 * first, and for a while. */
static void
test_a_vm_of_a_zone_that_is_not_here_is_awaited(void **state)
{
    struct mat_agent_hint hint = {
        .kind = MAT_HINT_PREPARE, .has_mac = true, .any_zone = true,
        .mac = fleet_mac(5)
    };
    struct fleet *f = malloc(sizeof *f);
    struct mat_agent *a;
    struct mat_entry e;

    (void) state;
    fleet_init(f, 3);
    fleet_boot(f, 0, "vm5", 5, VM);
    fleet_boot(f, 2, "m2", 52, "10.1.1.3");
    a = f->hosts[1].agent;
    assert_int_equal(mat_agent_hint(a, f->now_us, &hint), MAT_HINT_AWAITED);
    fleet_drain(f, &f->hosts[1]);
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_state(f, 1, VM), MAT_LIFE_PREPARED);
    assert_true(fleet_by_moa(f, 2, &(struct mat_addr[]) {
        fleet_moa(f, 1, VM) }[0], &e));
    assert_int_equal(e.state, MAT_STATE_PREPARED);
    fleet_unplug(f, 0, "vm5");
    fleet_plug(f, 1, "vm5", 5, NULL);
    fleet_say(f, 1, "vm5", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "vm5", VM);

    /* By HoA, and it does not come. */
    fleet_unplug(f, 1, "vm5");
    fleet_plug(f, 0, "vm5", 5, NULL);
    fleet_say(f, 0, "vm5", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, 400 * SIM_S);
    hint.any_zone = hint.has_mac = false;
    hint.zone = FLEET_ZONE;
    hint.has_hoa = mat_addr_parse(VM, &hint.hoa);
    assert_int_equal(mat_agent_hint(a, f->now_us, &hint), MAT_HINT_AWAITED);
    fleet_drain(f, &f->hosts[1]);
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_state(f, 1, VM), MAT_LIFE_PREPARED);
    fleet_run(f, 200 * SIM_S);
    assert_int_equal(fleet_state(f, 1, VM), MAT_LIFE_ABSENT);
    assert_false(fleet_live(f, 1, VM, &e));
    end(f);
}

/* Every way to say whom a hint is about. */
static void
test_hints_find_their_vmn(void **state)
{
    struct fleet *f = given();
    struct mat_agent *a = f->hosts[0].agent;
    struct mat_agent_port_config config = {
        .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
        .mac = fleet_mac(5), .iface_id = "0b5c"
    };
    struct mat_agent_hint hints[5] = {
        { .zone = FLEET_ZONE, .has_hoa = true },
        { .zone = FLEET_ZONE, .has_mac = true, .mac = fleet_mac(5) },
        { .any_zone = true, .has_mac = true, .mac = fleet_mac(5) },
        { .iface_id = "0b5c" }, { .port = "vm5" }
    };
    struct mat_agent_hint nothing = { .kind = MAT_HINT_STOPPED };

    (void) state;
    mat_addr_parse(VM, &hints[0].hoa);
    mat_agent_port(a, f->now_us, "vm5", &config, 0, false);
    for (int i = 0; i < 5; i++) {
        hints[i].kind = MAT_HINT_STOPPED;
        assert_int_equal(mat_agent_hint(a, f->now_us, &hints[i]), 1);
        assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LEAVING);
        hints[i].kind = MAT_HINT_FAILED;
        assert_int_equal(mat_agent_hint(a, f->now_us, &hints[i]), 1);
        assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LIVE);
    }
    assert_int_equal(mat_agent_hint(a, f->now_us, &nothing), -1);
    hints[3].iface_id[0] = 'x';
    assert_int_equal(mat_agent_hint(a, f->now_us, &hints[3]), 0);
    hints[0].kind = MAT_HINT_RELEASE;
    assert_int_equal(mat_agent_hint(a, f->now_us, &hints[0]), 1);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_ABSENT);
    fleet_run(f, SIM_S);
    end(f);
}

static bool
find_zone(struct fleet *f, uint32_t number, struct mat_zone *zone)
{
    uint64_t cursor = 0;

    while (mat_table_next_zone(f->hosts[0].table, &cursor, zone)) {
        if (zone->zone == number) {
            return true;
        }
    }
    return false;
}

static void
test_zones_follow_ports_and_configuration(void **state)
{
    struct fleet *f = given();
    struct mat_agent_config config;
    struct mat_zone zone;

    (void) state;
    assert_true(find_zone(f, FLEET_ZONE, &zone));
    assert_false(zone.outside);
    fleet_config(f, 0, &config);
    config.outside = true;
    config.n_zones = 1;
    config.zones[0].zone.zone = FLEET_ZONE;
    config.zones[0].zone.n_subnets = 1;
    mat_addr_parse("10.1.0.0", &config.zones[0].zone.subnets[0].prefix);
    config.zones[0].zone.subnets[0].plen = 16;
    mat_agent_configure(f->hosts[0].agent, f->now_us, &config);
    fleet_run(f, SIM_S);
    assert_true(find_zone(f, FLEET_ZONE, &zone));
    assert_true(zone.outside);
    assert_int_not_equal(zone.outside_nexthop, 0);
    assert_int_equal(zone.n_subnets, 1);
    /* An address in no subnet of the zone is not believed. */
    fleet_say(f, 0, "vm5", MAT_EVENT_GARP, 5, "10.2.0.5");
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_state(f, 0, "10.2.0.5"), MAT_LIFE_ABSENT);
    fleet_unplug(f, 0, "vm5");
    fleet_run(f, 20 * SIM_S);
    assert_false(find_zone(f, FLEET_ZONE, &zone));
    end(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_have_names),
        cmocka_unit_test(test_vmns_are_shown),
        cmocka_unit_test(test_the_rest_is_shown),
        cmocka_unit_test(test_the_last_migrations_are_kept),
        cmocka_unit_test(test_a_vm_of_a_zone_that_is_not_here_is_awaited),
        cmocka_unit_test(test_hints_find_their_vmn),
        cmocka_unit_test(test_zones_follow_ports_and_configuration),
    };

    return cmocka_run_group_tests_name("mat-agent-view", tests, NULL, NULL);
}
