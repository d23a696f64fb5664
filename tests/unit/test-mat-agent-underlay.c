/* SPDX-License-Identifier: Apache-2.0 */
/* MoAs, next hops, pools, uplinks, modes; and how much work it all is. */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VM "10.1.0.5"

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

static void
configure(struct fleet *f, int host, const char *pool4, enum mat_agent_mode m)
{
    struct mat_agent_config config;
    char error[MAT_MOA_TEXT_MAX];

    fleet_config(f, host, &config);
    config.mode = m;
    assert_true(mat_moa_parse(pool4, false, &config.pools[0], error));
    mat_agent_configure(f->hosts[host].agent, f->now_us, &config);
    fleet_drain(f, &f->hosts[host]);
}

/* Next hops. */

static void
test_routes_are_asked_for_by_pool(void **state)
{
    struct fleet *f = given(3);
    unsigned int n = f->hosts[0].n_routes;

    (void) state;
    for (unsigned int i = 0; i < 20; i++) {
        char port[16], hoa[24];

        snprintf(port, sizeof port, "p%u", i);
        snprintf(hoa, sizeof hoa, "10.2.0.%u", i + 1);
        fleet_boot(f, 1, port, 100 + i, hoa);
    }
    assert_int_equal(f->hosts[0].n_routes, n);
    end(f);
}

static void
test_a_route_that_comes_late(void **state)
{
    struct fleet *f = malloc(sizeof *f);
    struct mat_agent_route route = {
        .src = { { 2, [5] = 1 } }, .dst = { { 2, [5] = 2 } }
    };
    struct mat_agent_pool_view pool;
    struct mat_entry e;
    size_t cursor = 0;

    (void) state;
    fleet_init(f, 2);
    fleet_boot(f, 0, "m0", 50, "10.1.1.1");
    fleet_boot(f, 1, "vm5", 5, VM);
    fleet_expect_at(f, 1, "vm5", VM);
    mat_agent_destroy(f->hosts[0].agent);
    mat_gossip_destroy(f->hosts[0].gossip);
    f->no_routes = true;
    f->hosts[0].is_up = false;
    fleet_start_agent(f, 0);
    mat_agent_ready(f->hosts[0].agent, f->now_us);
    mat_table_flush(f->hosts[0].table);
    mat_agent_switch_connected(f->hosts[0].agent, f->now_us, 9);
    fleet_plug(f, 0, "m0", 50, "10.1.1.1");
    fleet_run(f, SIM_S);
    /* Until then it may speak, but nobody can speak to it. */
    assert_false(fleet_live(f, 0, VM, &e));
    while (mat_agent_next_pool(f->hosts[0].agent, &cursor, &pool)) {
        if (pool.route_id) {
            mat_agent_route(f->hosts[0].agent, f->now_us, pool.route_id,
                            &route);
        }
    }
    fleet_run(f, SIM_MS);
    fleet_expect_at(f, 1, "vm5", VM);
    end(f);
}

static void
test_a_route_changes_in_one_step(void **state)
{
    struct fleet *f = given(2);
    struct mat_agent_route route = {
        .src = { { 2, [5] = 1 } }, .dst = { { 2, [5] = 77 } }, .mtu = 1400
    };
    unsigned int n = f->hosts[1].n_ops;
    struct mat_nexthop hop;
    uint64_t cursor = 0;
    struct mat_entry e;

    (void) state;
    assert_true(fleet_live(f, 1, VM, &e));
    mat_agent_route(f->hosts[1].agent, f->now_us, e.nexthop, &route);
    mat_agent_route(f->hosts[1].agent, f->now_us, e.nexthop, &route);
    mat_agent_route(f->hosts[1].agent, f->now_us, e.nexthop, NULL);
    fleet_drain(f, &f->hosts[1]);
    assert_int_equal(f->hosts[1].n_ops, n + 1);
    while (mat_table_next_nexthop(f->hosts[1].table, &cursor, &hop)) {
        if (hop.id == e.nexthop) {
            assert_int_equal(hop.mtu, 1400);
            assert_true(mat_mac_equal(&hop.dst, &route.dst));
        }
    }
    end(f);
}

/* MoAs. */

static void
test_renumbering_breaks_no_session(void **state)
{
    struct fleet *f = given(2);
    struct mat_addr old = fleet_moa(f, 0, VM), new;
    struct mat_entry e;

    (void) state;
    configure(f, 0, "172.16.1.192/27", MAT_AGENT_ACTIVE);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    new = fleet_moa(f, 0, VM);
    assert_false(mat_addr_equal(&old, &new));
    assert_int_equal(new.b[15] >> 5, 192 >> 5);
    /* Who still sends to the old one reaches it, and is heard by it. */
    assert_true(fleet_by_moa(f, 0, &old, &e));
    assert_int_equal(e.state, MAT_STATE_DEPARTED);
    assert_true(fleet_by_moa(f, 1, &old, &e));
    assert_int_equal(e.state, MAT_STATE_PREPARED);
    assert_int_equal(fleet_migration(f, 0, 0).kind, MAT_MIGRATION_RENUMBERED);
    fleet_run(f, 400 * SIM_S);
    assert_false(fleet_by_moa(f, 0, &old, &e));
    assert_false(fleet_by_moa(f, 1, &old, &e));
    fleet_expect_at(f, 0, "vm5", VM);
    end(f);
}

static void
test_no_moa_is_said_and_mended(void **state)
{
    struct fleet *f = malloc(sizeof *f);
    char text[MAT_AGENT_TEXT_SIZE];
    size_t cursor = 0;
    struct mat_entry e;

    (void) state;
    fleet_init(f, 2);
    configure(f, 0, "172.16.1.100-172.16.1.100", MAT_AGENT_ACTIVE);
    fleet_boot(f, 0, "m0", 50, "10.1.1.1");
    fleet_boot(f, 0, "vm5", 5, VM);
    assert_false(fleet_live(f, 0, VM, &e));
    assert_true(mat_agent_counter(f->hosts[0].agent, MAT_AGENT_C_NO_MOA) > 0);
    assert_true(mat_agent_next_problem(f->hosts[0].agent, &cursor, text));
    configure(f, 0, "172.16.1.100-172.16.1.120", MAT_AGENT_ACTIVE);
    fleet_say(f, 0, "vm5", MAT_EVENT_GARP, 5, VM);
    fleet_run(f, SIM_S);
    assert_true(fleet_live(f, 0, VM, &e));
    end(f);
}

static void
test_at_home_nothing_is_rewritten(void **state)
{
    struct fleet *f = given(2);
    struct mat_addr moa, hoa;

    (void) state;
    mat_addr_parse("172.16.1.30", &hoa);
    fleet_boot(f, 0, "home", 30, "172.16.1.30");
    fleet_expect_at(f, 0, "home", "172.16.1.30");
    moa = fleet_moa(f, 0, "172.16.1.30");
    assert_true(mat_addr_equal(&moa, &hoa));
    /* Away it has a MoA as all others. */
    fleet_plug(f, 1, "away", 30, NULL);
    fleet_run(f, SIM_MS);
    fleet_say(f, 1, "away", MAT_EVENT_RARP, 30, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 1, "away", "172.16.1.30");
    moa = fleet_moa(f, 1, "172.16.1.30");
    assert_int_equal(moa.b[14], 2);
    /* And back, with its own again. */
    fleet_say(f, 0, "home", MAT_EVENT_RARP, 30, NULL);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "home", "172.16.1.30");
    moa = fleet_moa(f, 0, "172.16.1.30");
    assert_true(mat_addr_equal(&moa, &hoa));
    end(f);
}

static void
test_another_uplink_takes_over(void **state)
{
    struct fleet *f = given(2);
    struct mat_moa_uplink second = {
        .name = "eth1", .up = true, .mac = { { 2, 0xee, 0, 0, 1, 0 } },
        .n_subnets = 1
    };
    struct mat_moa_uplink first = {
        .name = "eth0", .up = false, .mac = { { 2, 0xee, 0, 0, 0, 0 } },
        .n_subnets = 1
    };
    struct mat_addr old = fleet_moa(f, 0, VM), new;
    struct mat_entry e;

    (void) state;
    mat_addr_parse("172.17.1.1", &second.subnets[0].addr);
    mat_addr_parse("172.16.1.1", &first.subnets[0].addr);
    second.subnets[0].plen = first.subnets[0].plen = 24;
    configure(f, 0, "172.16.1.64/26,172.17.1.64/26", MAT_AGENT_ACTIVE);
    mat_table_port_attached(f->hosts[0].table, "eth1", 40, &second.mac, 1500);
    mat_agent_uplink(f->hosts[0].agent, f->now_us, &second, 1500);
    fleet_run(f, 5 * SIM_S);
    mat_agent_uplink(f->hosts[0].agent, f->now_us, &first, 1500);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    new = fleet_moa(f, 0, VM);
    assert_int_equal(new.b[13], 17);
    assert_true(fleet_by_moa(f, 0, &old, &e));
    end(f);
}

/* VMNs go back to an uplink when told, new ones get MoAs of the one that is
 * used, and late packets come to both. */
static void
test_vmns_follow_the_uplink_that_is_used(void **state)
{
    struct fleet *f = given(2);
    struct mat_moa_uplink second = {
        .name = "eth1", .up = true, .mac = { { 2, 0xee, 0, 0, 1, 0 } },
        .n_subnets = 1
    };
    struct mat_addr old = fleet_moa(f, 0, VM), new;
    struct mat_agent *a = f->hosts[0].agent;
    struct mat_entry e;

    (void) state;
    mat_addr_parse("172.17.1.1", &second.subnets[0].addr);
    second.subnets[0].plen = 24;
    configure(f, 0, "172.16.1.64/26,172.17.1.64/26", MAT_AGENT_ACTIVE);
    mat_table_port_attached(f->hosts[0].table, "eth1", 40, &second.mac, 1500);
    mat_agent_use_uplink(a, f->now_us, "eth0");
    mat_agent_uplink(a, f->now_us, &second, 1500);
    fleet_run(f, 5 * SIM_S);
    new = fleet_moa(f, 0, VM);
    assert_true(mat_addr_equal(&new, &old));
    mat_agent_use_uplink(a, f->now_us, "eth1");
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    new = fleet_moa(f, 0, VM);
    assert_int_equal(new.b[13], 17);
    assert_true(fleet_by_moa(f, 0, &old, &e));
    fleet_boot(f, 0, "vm6", 6, "10.1.0.6");
    assert_int_equal(fleet_moa(f, 0, "10.1.0.6").b[13], 17);

    mat_agent_use_uplink(a, f->now_us, "eth0");
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    fleet_expect_at(f, 0, "vm6", "10.1.0.6");
    assert_int_equal(fleet_moa(f, 0, VM).b[13], 16);
    assert_true(fleet_by_moa(f, 0, &new, &e));
    end(f);
}

/* Who gets none there keeps the one that is as good. */
static void
test_a_vmn_without_a_moa_of_the_uplink_that_is_used(void **state)
{
    struct fleet *f = given(2);
    struct mat_moa_uplink second = {
        .name = "eth1", .up = true, .mac = { { 2, 0xee, 0, 0, 1, 0 } },
        .n_subnets = 1
    };
    struct mat_agent *a = f->hosts[0].agent;
    int n;

    (void) state;
    mat_addr_parse("172.17.1.1", &second.subnets[0].addr);
    second.subnets[0].plen = 24;
    configure(f, 0, "172.16.1.64/26,172.17.1.64/32", MAT_AGENT_ACTIVE);
    mat_table_port_attached(f->hosts[0].table, "eth1", 40, &second.mac, 1500);
    mat_agent_uplink(a, f->now_us, &second, 1500);
    fleet_run(f, 5 * SIM_S);
    mat_agent_use_uplink(a, f->now_us, "eth1");
    fleet_run(f, SIM_S);
    n = (fleet_moa(f, 0, VM).b[13] == 17)
        + (fleet_moa(f, 0, "10.1.1.1").b[13] == 17);
    assert_int_equal(n, 1);
    fleet_expect_at(f, 0, "vm5", VM);
    fleet_expect_at(f, 0, "m0", "10.1.1.1");
    assert_int_equal(mat_agent_counter(a, MAT_AGENT_C_NO_MOA), 0);
    end(f);
}

static void
tell_port(struct fleet *f, const char *name, unsigned int mac)
{
    const struct mat_agent_port_config config = {
        .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
        .mac = fleet_mac(mac)
    };

    mat_agent_port(f->hosts[0].agent, f->now_us, name, &config, 0, false);
}

/* The last agent sent by the second uplink, the new one by the first. */
static void
test_vmns_follow_the_uplink_of_a_new_agent(void **state)
{
    struct fleet *f = given(2);
    struct mat_moa_uplink second = {
        .name = "eth1", .up = true, .mac = { { 2, 0xee, 0, 0, 1, 0 } },
        .n_subnets = 1
    };
    struct fleet_host *host = &f->hosts[0];

    (void) state;
    mat_addr_parse("172.17.1.1", &second.subnets[0].addr);
    second.subnets[0].plen = 24;
    configure(f, 0, "172.16.1.64/26,172.17.1.64/26", MAT_AGENT_ACTIVE);
    mat_table_port_attached(host->table, "eth1", 40, &second.mac, 1500);
    mat_agent_uplink(host->agent, f->now_us, &second, 1500);
    fleet_run(f, 5 * SIM_S);
    mat_agent_use_uplink(host->agent, f->now_us, "eth1");
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_moa(f, 0, VM).b[13], 17);
    fleet_stop_agent(f, 0);
    fleet_start_agent(f, 0);
    configure(f, 0, "172.16.1.64/26,172.17.1.64/26", MAT_AGENT_ACTIVE);
    mat_agent_use_uplink(host->agent, f->now_us, "eth0");
    mat_agent_uplink(host->agent, f->now_us, &second, 1500);
    tell_port(f, "m0", 50);
    tell_port(f, "vm5", 5);
    mat_agent_ready(host->agent, f->now_us);
    mat_agent_switch_connected(host->agent, f->now_us, host->instance);
    fleet_run(f, 5 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_int_equal(fleet_moa(f, 0, VM).b[13], 17);
    fleet_run(f, 60 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_int_equal(fleet_moa(f, 0, VM).b[13], 16);
    end(f);
}

/* Both uplinks fail, and the second is the first to be there again. */
static void
test_vmns_take_the_uplink_that_comes_back(void **state)
{
    struct fleet *f = given(2);
    struct mat_moa_uplink uplinks[] = {
        { .name = "eth0", .mac = { { 2, 0xee, 0, 0, 0, 0 } }, .n_subnets = 1 },
        { .name = "eth1", .mac = { { 2, 0xee, 0, 0, 1, 0 } }, .n_subnets = 1,
          .up = true }
    };
    struct mat_agent *a = f->hosts[0].agent;

    (void) state;
    mat_addr_parse("172.16.1.1", &uplinks[0].subnets[0].addr);
    mat_addr_parse("172.17.1.1", &uplinks[1].subnets[0].addr);
    uplinks[0].subnets[0].plen = uplinks[1].subnets[0].plen = 24;
    configure(f, 0, "172.16.1.64/26,172.17.1.64/26", MAT_AGENT_ACTIVE);
    mat_table_port_attached(f->hosts[0].table, "eth1", 40, &uplinks[1].mac,
                            1500);
    mat_agent_use_uplink(a, f->now_us, "eth0");
    mat_agent_uplink(a, f->now_us, &uplinks[1], 1500);
    fleet_run(f, 5 * SIM_S);
    uplinks[1].up = false;
    mat_agent_uplink(a, f->now_us, &uplinks[1], 1500);
    mat_agent_uplink(a, f->now_us, &uplinks[0], 1500);
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_moa(f, 0, VM).b[13], 16);
    uplinks[1].up = true;
    mat_agent_use_uplink(a, f->now_us, "eth1");
    mat_agent_uplink(a, f->now_us, &uplinks[1], 1500);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    assert_int_equal(fleet_moa(f, 0, VM).b[13], 17);
    end(f);
}

/* Modes. */

static void
test_shadow_touches_nothing(void **state)
{
    struct fleet *f = given(2);
    unsigned int n;
    struct mat_entry e;

    (void) state;
    configure(f, 0, "172.16.1.64/26", MAT_AGENT_SHADOW);
    fleet_run(f, SIM_S);
    n = f->hosts[0].n_ops;
    assert_false(fleet_live(f, 0, VM, &e));
    assert_false(fleet_live(f, 1, VM, &e));
    fleet_say(f, 0, "vm5", MAT_EVENT_GARP, 5, VM);
    fleet_run(f, SIM_S);
    assert_int_equal(fleet_state(f, 0, VM), MAT_LIFE_LIVE);
    assert_int_equal(f->hosts[0].n_ops, n);
    assert_false(fleet_live(f, 1, VM, &e));
    assert_true(mat_agent_counter(f->hosts[0].agent, MAT_AGENT_C_OPS_SHADOW)
                > 0);
    configure(f, 0, "172.16.1.64/26", MAT_AGENT_ACTIVE);
    fleet_run(f, SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    end(f);
}

/* Work. */

enum { MANY = 10000 };

/* Home addresses of another host, as its claims would bring them. */
static void
learn_many(struct fleet *f, int host)
{
    struct mat_key key;

    for (unsigned int i = 0; i < MANY; i++) {
        uint8_t bytes[4] = { 10, 9, (uint8_t) (i >> 8), (uint8_t) i };
        uint8_t moa[4] = { 172, 16, 20, 0 }, body[MAT_VMN_BODY_SIZE];
        struct mat_addr hoa = mat_addr_from_v4(bytes), addr;
        struct mat_mac mac = fleet_mac(0x10000 + i);
        struct mat_claim claim;
        struct mat_output out = { .kind = MAT_OUT_APPLY };

        moa[2] = (uint8_t) (20 + (i >> 8));
        moa[3] = (uint8_t) i;
        addr = mat_addr_from_v4(moa);
        key = mat_key_vmn(FLEET_ZONE, &hoa, 32);
        mat_vmn_body(body, &addr, &mac);
        claim = (struct mat_claim) {
            .key = key, .version = { 1, 1, 2 }, .state = MAT_CLAIM_LIVE,
            .body = body, .body_size = sizeof body
        };
        out.key = key;
        out.claim = &claim;
        mat_agent_gossip(f->hosts[host].agent, f->now_us, &out);
        if (i % 64 == 0) {
            fleet_drain(f, &f->hosts[host]);
        }
    }
    fleet_drain(f, &f->hosts[host]);
}

static uint64_t
steps_of_a_move(struct fleet *f, unsigned int *n_ops)
{
    uint64_t before = mat_agent_counter(f->hosts[1].agent,
                                        MAT_AGENT_C_STEPS);
    unsigned int ops = f->hosts[1].n_ops - f->hosts[1].n_frames;

    fleet_say(f, 1, "vm5b", MAT_EVENT_RARP, 5, NULL);
    fleet_run(f, 10 * SIM_MS);
    fleet_expect_at(f, 1, "vm5b", VM);
    *n_ops = f->hosts[1].n_ops - f->hosts[1].n_frames - ops;
    return mat_agent_counter(f->hosts[1].agent, MAT_AGENT_C_STEPS) - before;
}

/* The same number of home addresses is looked at, and the same number of
 * operations given out, whether ten or ten thousand are known. */
static void
test_work_does_not_grow_with_what_is_known(void **state)
{
    uint64_t steps[2];
    unsigned int ops[2];

    (void) state;
    for (int many = 0; many < 2; many++) {
        struct fleet *f = given(2);

        if (many) {
            learn_many(f, 1);
        }
        fleet_plug(f, 1, "vm5b", 5, NULL);
        fleet_run(f, 10 * SIM_MS);
        steps[many] = steps_of_a_move(f, &ops[many]);
        end(f);
    }
    assert_int_equal(steps[0], steps[1]);
    assert_int_equal(ops[0], ops[1]);
    assert_true(steps[0] <= 8);
    assert_true(ops[0] <= 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_are_asked_for_by_pool),
        cmocka_unit_test(test_a_route_that_comes_late),
        cmocka_unit_test(test_a_route_changes_in_one_step),
        cmocka_unit_test(test_renumbering_breaks_no_session),
        cmocka_unit_test(test_no_moa_is_said_and_mended),
        cmocka_unit_test(test_at_home_nothing_is_rewritten),
        cmocka_unit_test(test_another_uplink_takes_over),
        cmocka_unit_test(test_vmns_follow_the_uplink_that_is_used),
        cmocka_unit_test(test_vmns_take_the_uplink_that_comes_back),
        cmocka_unit_test(test_a_vmn_without_a_moa_of_the_uplink_that_is_used),
        cmocka_unit_test(test_vmns_follow_the_uplink_of_a_new_agent),
        cmocka_unit_test(test_shadow_touches_nothing),
        cmocka_unit_test(test_work_does_not_grow_with_what_is_known),
    };

    return cmocka_run_group_tests_name("mat-agent-underlay", tests, NULL,
                                       NULL);
}
