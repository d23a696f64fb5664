/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts whose agent is dead while VMNs move between the others. */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define VM "10.1.0.5"
#define QUARANTINE_S 300

enum { LAST = 2 };              /* The host that falls silent. */

/* VM on host 0, another on the last; the agent of that is dead, and known to
 * be. */
static struct fleet *
given(int n_hosts)
{
    struct fleet *f = malloc(sizeof *f);

    fleet_init(f, n_hosts);
    fleet_boot(f, 0, "m0", 50, "10.1.1.1");
    fleet_boot(f, 1, "m1", 51, "10.1.1.2");
    fleet_boot(f, LAST, "m2", 52, "10.1.1.3");
    if (n_hosts > LAST + 1) {
        fleet_boot(f, LAST + 1, "m3", 53, "10.1.1.4");
    }
    fleet_boot(f, 0, "vm5", 5, VM);
    fleet_run(f, 2 * SIM_S);
    fleet_expect_at(f, 0, "vm5", VM);
    fleet_stop_agent(f, LAST);
    fleet_run(f, 30 * SIM_S);
    assert_false(mat_gossip_is_reachable(f->hosts[1].gossip, LAST + 1));
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
move(struct fleet *f, int from, int to)
{
    fleet_unplug(f, from, "vm5");
    fleet_plug(f, to, "vm5", 5, NULL);
    fleet_say(f, to, "vm5", MAT_EVENT_GARP, 5, VM);
    fleet_run(f, SIM_S);
}

/* Does 'host' send to the next hop of VMN 'hoa' as to one that is behind? */
static bool
is_behind(struct fleet *f, int host, const char *hoa)
{
    struct mat_nexthop hop;
    struct mat_entry e;
    uint64_t cursor = 0;

    assert_true(fleet_live(f, host, hoa, &e));
    while (mat_table_next_nexthop(f->hosts[host].table, &cursor, &hop)) {
        if (hop.id == e.nexthop) {
            return hop.is_behind;
        }
    }
    return false;
}

static void
expect_former(struct fleet *f, int host, const struct mat_addr *former)
{
    struct mat_entry e;

    assert_true(fleet_live(f, host, VM, &e));
    assert_int_equal(e.state, MAT_STATE_LOCAL);
    assert_memory_equal(&e.former, former, sizeof *former);
}

static const struct mat_addr none;

/* The agent of 'host' starts again, with port 'guest' and perhaps that of the
 * VM. */
static void
restart(struct fleet *f, int host, const char *guest, unsigned int mac,
        bool with_vm)
{
    struct mat_agent_port_config config = {
        .enabled = true, .zone = FLEET_ZONE, .has_mac = true,
        .mac = fleet_mac(mac)
    };

    fleet_start_agent(f, host);
    mat_agent_port(f->hosts[host].agent, f->now_us, guest, &config, 0, false);
    if (with_vm) {
        config.mac = fleet_mac(5);
        mat_agent_port(f->hosts[host].agent, f->now_us, "vm5", &config, 0,
                       false);
    }
    mat_agent_ready(f->hosts[host].agent, f->now_us);
    mat_agent_switch_connected(f->hosts[host].agent, f->now_us,
                               f->hosts[host].instance);
}

static void
test_it_is_shown_the_moa_it_knows(void **state)
{
    struct fleet *f = given(3);
    struct mat_addr moa = fleet_moa(f, 0, VM);
    struct mat_entry e;

    (void) state;
    assert_false(is_behind(f, 1, "10.1.1.3"));
    move(f, 0, 1);
    expect_former(f, 1, &moa);
    assert_true(is_behind(f, 1, "10.1.1.3"));
    assert_false(is_behind(f, 1, "10.1.1.1"));
    assert_false(is_behind(f, 0, "10.1.1.3"));
    /* That is what the silent host takes it by, and where it sends. */
    assert_true(fleet_live(f, LAST, VM, &e));
    assert_memory_equal(&e.moa, &moa, sizeof moa);
    assert_true(fleet_by_moa(f, 0, &moa, &e));
    assert_int_equal(e.state, MAT_STATE_DEPARTED);

    /* It comes back: for a while nothing changes, as it must learn first. */
    restart(f, LAST, "m2", 52, false);
    fleet_run(f, 5 * SIM_S);
    assert_true(is_behind(f, 1, "10.1.1.3"));
    fleet_run(f, 30 * SIM_S);
    assert_false(is_behind(f, 1, "10.1.1.3"));
    fleet_expect_at(f, 1, "vm5", VM);
    /* Both MoAs are good as a source. */
    assert_true(fleet_by_moa(f, LAST, &moa, &e));
    assert_int_equal(e.state, MAT_STATE_PREPARED);
    end(f);
}

static void
test_after_two_moves(void **state)
{
    struct fleet *f = given(4);
    struct mat_addr moa = fleet_moa(f, 0, VM);

    (void) state;
    move(f, 0, 1);
    fleet_run(f, 10 * SIM_S);
    move(f, 1, 3);
    expect_former(f, 3, &moa);
    assert_true(is_behind(f, 3, "10.1.1.3"));
    /* Home again: its old MoA is its own. */
    move(f, 3, 0);
    assert_memory_equal(&moa, &(struct mat_addr[]) { fleet_moa(f, 0, VM) },
                        sizeof moa);
    end(f);
}

static void
test_it_ends(void **state)
{
    struct fleet *f = given(3);
    struct mat_addr moa = fleet_moa(f, 0, VM);
    struct mat_entry e;

    (void) state;
    move(f, 0, 1);
    expect_former(f, 1, &moa);
    fleet_run(f, (QUARANTINE_S + 2) * SIM_S);
    expect_former(f, 1, &none);
    assert_false(is_behind(f, 1, "10.1.1.3"));
    assert_false(fleet_by_moa(f, 1, &moa, &e));
    end(f);
}

static void
test_the_agent_is_restarted_meanwhile(void **state)
{
    struct fleet *f = given(3);
    struct mat_addr moa = fleet_moa(f, 0, VM);

    (void) state;
    move(f, 0, 1);
    fleet_stop_agent(f, 1);
    restart(f, 1, "m1", 51, true);
    fleet_run(f, 5 * SIM_S);
    expect_former(f, 1, &moa);
    assert_true(is_behind(f, 1, "10.1.1.3"));
    fleet_restart_switch(f, 1);
    fleet_run(f, 5 * SIM_S);
    expect_former(f, 1, &moa);
    assert_true(is_behind(f, 1, "10.1.1.3"));
    fleet_run(f, (QUARANTINE_S + 5) * SIM_S);
    expect_former(f, 1, &none);
    end(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_shown_the_moa_it_knows),
        cmocka_unit_test(test_after_two_moves),
        cmocka_unit_test(test_it_ends),
        cmocka_unit_test(test_the_agent_is_restarted_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
