/* SPDX-License-Identifier: Apache-2.0 */
/* Moves: pushes, failures, duplicates, take-overs, zones, storms. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mat-mem.h"
#include "sim-story.h"

static void
test_a_hinted_move_reaches_all_in_one_delay(void **state)
{
    struct sim s;
    int64_t start;

    (void) state;
    given_cluster(&s, 8, 8);
    without_direct_spread(&s);
    all_talk_with(&s, 0);
    sim_vm_prepare(&s, 0, 1);
    sim_run(&s, 50 * SIM_MS);
    expect_owner_everywhere(&s, 0, 0);
    assert_int_equal(sim_entry(&s, 5, 0)->n_preps, 1);
    sim_vm_stop(&s, 0, true);
    sim_run(&s, 10 * SIM_MS);
    start = s.now_us;
    sim_vm_start(&s, 0, 1);
    sim_run(&s, ONE_WAY_US);
    expect_owner_everywhere(&s, 0, 1);
    assert_int_equal(sim_entry(&s, 5, 0)->n_preps, 0);
    sim_run(&s, ONE_WAY_US);
    expect_at(&s, start, "vm0 starts on h1", 0);
    expect_at(&s, start, "h0: vm0 lost (h1)", ONE_WAY_US);
    expect_at(&s, start, "h1: vm0 pushed to 7", 2 * ONE_WAY_US);
    sim_settle(&s, SIM_S);
    sim_destroy(&s);
}

static void
test_without_hint_the_old_owner_passes_it_on(void **state)
{
    struct sim s;
    int64_t start;

    (void) state;
    given_cluster(&s, 8, 8);
    without_direct_spread(&s);
    all_talk_with(&s, 0);
    start = s.now_us;
    sim_vm_move(&s, 0, 1);
    sim_run(&s, 2 * ONE_WAY_US);
    expect_owner_everywhere(&s, 0, 1);
    sim_run(&s, 10 * SIM_MS);
    expect_by(&s, start, "h1: vm0 pushed to 7", 4 * ONE_WAY_US);
    sim_destroy(&s);
}

static void
test_a_lost_push_is_sent_again_after_the_rto(void **state)
{
    struct sim s;
    int64_t start;

    (void) state;
    given_cluster(&s, 3, 3);
    all_talk_with(&s, 0);
    sim_block(&s.hosts[2], s.hosts[1].group, true, false);
    start = s.now_us;
    sim_vm_prepare(&s, 0, 1);
    sim_run(&s, SIM_MS);
    sim_vm_start(&s, 0, 1);
    sim_run(&s, SIM_MS);
    expect_owner(&s, 0, 0, 1);
    expect_owner(&s, 2, 0, 0);
    sim_heal(&s);
    sim_run(&s, 30 * SIM_MS);
    expect_owner(&s, 2, 0, 1);
    expect_by(&s, start, "h1: vm0 pushed to 2", 50 * SIM_MS);
    assert_true(counted(&s, MAT_C_RETRANSMITTED) > 0);
    sim_destroy(&s);
}

/* Every acknowledgement of one host is lost: the claim is sent again until
 * the tries are used up, and the report says so. */
static void
test_a_deaf_correspondent_is_reported(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    all_talk_with(&s, 0);
    sim_vm_prepare(&s, 0, 1);
    sim_run(&s, 50 * SIM_MS);
    sim_block(&s.hosts[3], s.hosts[1].group, true, true);
    sim_vm_start(&s, 0, 1);
    sim_run(&s, 20 * SIM_S);
    assert_int_equal(s.hosts[1].last_push_reached, 2);
    assert_int_equal(s.hosts[1].last_push_failed, 1);
    sim_settle(&s, 30 * SIM_S);         /* Others told it. */
    sim_destroy(&s);
}

static void
test_a_failed_migration_leaves_no_trace(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 5, 5);
    sim_vm_prepare(&s, 0, 1);
    sim_run(&s, 20 * SIM_MS);
    assert_int_equal(sim_entry(&s, 4, 0)->n_preps, 1);
    sim_vm_stop(&s, 0, true);
    sim_run(&s, 20 * SIM_MS);
    sim_vm_cancel(&s, 0);
    sim_vm_start(&s, 0, 0);
    sim_run(&s, 20 * SIM_MS);
    assert_int_equal(sim_entry(&s, 4, 0)->n_preps, 0);
    expect_owner_everywhere(&s, 0, 0);
    expect_never(&s, "lost");
    sim_settle(&s, SIM_S);
    sim_destroy(&s);
}

static void
test_moves_there_and_back_are_not_contested(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    for (int i = 0; i < 12; i++) {
        sim_vm_move(&s, 0, i % 2 ? 0 : 1);
        sim_run(&s, 300 * SIM_MS);
        expect_owner_everywhere(&s, 0, i % 2 ? 0 : 1);
        assert_int_equal(sim_entry(&s, 3, 0)->version.epoch, 2 + i);
    }
    assert_int_equal(counted(&s, MAT_C_CONTESTED), 0);
    expect_never(&s, "frozen");
    sim_destroy(&s);
}

static void
test_a_doubled_vm_is_frozen_and_can_be_cleared(void **state)
{
    struct sim s;
    struct mat_key key;

    (void) state;
    given_cluster(&s, 4, 4);
    key = s.vms[0].key;
    sim_vm_double(&s, 0, 1);
    for (int i = 0; i < 20; i++) {
        sim_run(&s, 500 * SIM_MS);
        sim_vm_speak(&s, 0, i % 2);
    }
    assert_true(mat_gossip_is_frozen(s.hosts[0].engine, &key));
    assert_true(mat_gossip_is_frozen(s.hosts[1].engine, &key));
    assert_true(s.hosts[0].n_events[MAT_VMN_FROZEN] == 1);
    assert_true(s.hosts[2].n_events[MAT_VMN_FROZEN] == 1);
    assert_true(counted(&s, MAT_C_CONTESTED) <= 4 * 6);
    sim_settle(&s, 10 * SIM_S);         /* Frozen, yet all agree. */
    mat_gossip_unfreeze(s.hosts[0].engine, s.now_us, &key);
    assert_false(mat_gossip_is_frozen(s.hosts[0].engine, &key));
    sim_destroy(&s);
}

static void
test_freezing_ends_by_itself(void **state)
{
    struct sim s;
    struct mat_key key;

    (void) state;
    given_cluster(&s, 3, 3);
    key = s.vms[0].key;
    sim_vm_double(&s, 0, 1);
    for (int i = 0; i < 20; i++) {
        sim_run(&s, 500 * SIM_MS);
        sim_vm_speak(&s, 0, i % 2);
    }
    assert_true(mat_gossip_is_frozen(s.hosts[0].engine, &key));
    sim_run(&s, 1700 * SIM_S);
    assert_true(mat_gossip_is_frozen(s.hosts[0].engine, &key));
    sim_run(&s, 200 * SIM_S);
    assert_false(mat_gossip_is_frozen(s.hosts[0].engine, &key));
    sim_destroy(&s);
}

static void
test_a_restored_vm_wins_over_a_dead_host(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 5, 5);
    sim_host_die(&s, 0);
    sim_run(&s, 2 * SIM_S);
    sim_vm_create(&s, 0, 1);
    sim_run(&s, ONE_WAY_US);
    for (int i = 1; i < 5; i++) {
        expect_owner(&s, i, 0, 1);
    }
    sim_run(&s, 20 * SIM_S);
    sim_host_start(&s, 0);      /* Without its VM: its claim is a ghost. */
    sim_run(&s, 20 * SIM_S);
    sim_settle(&s, 10 * SIM_S);
    expect_owner_everywhere(&s, 0, 1);
    sim_destroy(&s);
}

/* Host 3 has lost its disk and claims what it knows nothing about. */
static void
test_a_claim_without_history_challenges(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 5, 5);
    for (int i = 0; i < 4; i++) {
        sim_vm_move(&s, 0, 1 + i % 2);
        sim_run(&s, 100 * SIM_MS);
    }
    sim_host_stop(&s, 3, false);
    sim_vm_destroy(&s, 3);
    sim_vm_stop(&s, 0, false);
    sim_host_start(&s, 3);
    s.vms[0].port_host = -1;    /* Its old host is not told of its end. */
    {
        struct mat_call call = {
            .kind = MAT_REC_PORT, .key = s.vms[0].key, .flag = false
        };

        sim_call(&s, &s.hosts[2], &call);
    }
    sim_vm_create(&s, 0, 3);
    sim_run(&s, 5 * SIM_S);
    expect_owner_everywhere(&s, 0, 3);
    assert_true(counted(&s, MAT_C_CHALLENGES) > 0);
    assert_int_equal(counted(&s, MAT_C_CONTESTED), 0);
    sim_settle(&s, 10 * SIM_S);
    sim_destroy(&s);
}

static void
test_a_dead_winner_is_taken_over(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 5, 5);
    sim_vm_move(&s, 0, 1);
    sim_run(&s, SIM_S);
    sim_host_stop(&s, 3, false);
    sim_host_die(&s, 1);
    sim_host_start(&s, 3);
    s.vms[0].port_host = -1;
    sim_vm_create(&s, 0, 3);    /* Knows nothing; h1 cannot answer. */
    sim_run(&s, 60 * SIM_S);
    expect_owner_everywhere(&s, 0, 3);
    sim_destroy(&s);
}

/* Two VMs of the two zones have the same HoA. */
static void
test_zones_do_not_mix(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 12);
    assert_true(mat_addr_equal(&s.vms[0].key.addr, &s.vms[1].key.addr));
    sim_vm_move(&s, 0, 3);
    sim_run(&s, SIM_S);
    expect_owner(&s, 3, 0, 3);
    expect_owner(&s, 1, 1, 1);
    for (int i = 0; i < 12; i++) {
        for (int j = 0; j < 12; j++) {
            sim_vm_packet(&s, i, j);
        }
    }
    assert_true(s.n_delivered > 0);
    sim_destroy(&s);
}

static void
test_hosts_keep_only_their_zones(void **state)
{
    struct sim s;

    (void) state;
    memset(&s, 0, sizeof s);
    sim_init(&s, 1, 4, 12);
    sim_host_start_all(&s);
    for (int i = 0; i < 12; i++) {
        sim_vm_create(&s, i, i % 2);    /* Zone 7 on h0, zone 8 on h1. */
    }
    sim_run(&s, 5 * SIM_S);
    assert_int_equal(mat_gossip_digest(s.hosts[0].engine, 8), 0);
    assert_int_equal(mat_gossip_digest(s.hosts[2].engine, 7), 0);
    assert_true(mat_gossip_digest(s.hosts[0].engine, 7) != 0);
    sim_vm_move(&s, 1, 0);              /* Now h0 needs zone 8 as well. */
    sim_run(&s, 3 * SIM_S);
    expect_owner(&s, 0, 3, 1);
    sim_vm_move(&s, 1, 1);
    sim_run(&s, 150 * SIM_S);
    assert_int_equal(mat_gossip_digest(s.hosts[0].engine, 8), 0);
    sim_settle(&s, SIM_S);
    sim_destroy(&s);
}

static void
test_pulls_find_what_is_not_known_yet(void **state)
{
    struct mat_call call = { .kind = MAT_REC_ASK };
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    /* h1 misses a claim: nobody can tell it but by being asked. */
    call.zone = s.vms[0].key.zone;
    call.addr = s.vms[0].moa;
    call.flag = true;
    mat_store_remove(&s.hosts[1].engine->store, &s.vms[0].key);
    s.hosts[1].entries[0].is_live = false;
    sim_call(&s, &s.hosts[1], &call);
    sim_call(&s, &s.hosts[1], &call);   /* Asked once. */
    sim_run(&s, 2 * ONE_WAY_US);
    expect_owner(&s, 1, 0, 0);
    assert_int_equal(counted(&s, MAT_C_PULLS), 1);
    call.addr = s.vms[0].key.addr;
    call.flag = false;
    mat_store_remove(&s.hosts[1].engine->store, &s.vms[0].key);
    s.hosts[1].entries[0].is_live = false;
    sim_call(&s, &s.hosts[1], &call);
    sim_run(&s, 2 * ONE_WAY_US);
    expect_owner(&s, 1, 0, 0);
    mat_addr_parse("10.0.77.1", &call.addr);
    sim_call(&s, &s.hosts[1], &call);
    sim_run(&s, 5 * SIM_S);
    assert_int_equal(s.hosts[1].n_events[MAT_VMN_UNKNOWN], 1);
    sim_destroy(&s);
}

static void
test_pulls_are_limited_and_counted(void **state)
{
    struct mat_call call = { .kind = MAT_REC_ASK };
    struct sim s;

    (void) state;
    given_cluster(&s, 3, 3);
    call.zone = s.vms[0].key.zone;
    for (int i = 0; i < 2000; i++) {
        mat_addr_parse("10.200.0.0", &call.addr);
        call.addr.b[14] = (uint8_t) (i >> 8);
        call.addr.b[15] = (uint8_t) i;
        mat_gossip_ask(s.hosts[1].engine, s.now_us, call.zone, &call.addr,
                       false);
    }
    assert_true(mat_gossip_counter(s.hosts[1].engine, MAT_C_PULLS) <= 500);
    assert_true(mat_gossip_counter(s.hosts[1].engine, MAT_C_LIMIT_PULLS)
                >= 1500);
    sim_destroy(&s);
}

/* The longest prefix counts. */
static void
test_a_prefix_moves_like_an_address(void **state)
{
    const struct mat_gossip *g;
    struct mat_addr inside;
    struct sim s;

    (void) state;
    memset(&s, 0, sizeof s);
    sim_init(&s, 1, 3, 3);
    s.vms[0].key.plen = 24;
    sim_host_start_all(&s);
    for (int i = 0; i < 3; i++) {
        sim_vm_create(&s, i, i);
    }
    sim_run(&s, 5 * SIM_S);
    sim_vm_move(&s, 0, 1);
    sim_run(&s, 10 * SIM_MS);
    expect_owner_everywhere(&s, 0, 1);
    g = s.hosts[2].engine;
    mat_addr_parse("10.0.0.200", &inside);
    assert_ptr_equal(mat_gossip_lookup(g, 7, &inside),
                     mat_gossip_find(g, &s.vms[0].key));
    assert_ptr_equal(mat_gossip_lookup(g, 7, &s.vms[1].key.addr),
                     mat_gossip_find(g, &s.vms[1].key));
    mat_addr_parse("10.0.1.200", &inside);
    assert_null(mat_gossip_lookup(g, 7, &inside));
    sim_destroy(&s);
}

static void
test_a_storm_shares_datagrams(void **state)
{
    struct sim s;
    uint64_t before;

    (void) state;
    given_cluster(&s, 30, 400);
    before = s.net.n_sent;
    evacuate_to(&s, 0, 7);
    sim_run(&s, 100 * SIM_MS);
    for (int i = 0; i < 400; i += 2) {
        expect_owner_everywhere(&s, i, 0);
    }
    /* One by one it would be 200 * 29 and as many acknowledgements. */
    assert_true(s.net.n_sent - before < 200 * 29 / 4);
    sim_destroy(&s);
}

/* Relays send the first at once and gather the others for a moment. */
static void
test_moves_to_many_hosts_share_relays(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 16, 64);
    without_direct_spread(&s);
    for (int i = 0; i < 64; i++) {
        sim_vm_move(&s, i, (s.vms[i].host + 2 + 2 * (i % 7)) % 16);
    }
    sim_run(&s, 60 * SIM_MS);   /* Too soon for repair. */
    for (int i = 0; i < 64; i++) {
        expect_owner_everywhere(&s, i, s.vms[i].host);
    }
    sim_settle(&s, 10 * SIM_S);
    sim_destroy(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hinted_move_reaches_all_in_one_delay),
        cmocka_unit_test(test_without_hint_the_old_owner_passes_it_on),
        cmocka_unit_test(test_a_lost_push_is_sent_again_after_the_rto),
        cmocka_unit_test(test_a_deaf_correspondent_is_reported),
        cmocka_unit_test(test_a_failed_migration_leaves_no_trace),
        cmocka_unit_test(test_moves_there_and_back_are_not_contested),
        cmocka_unit_test(test_a_doubled_vm_is_frozen_and_can_be_cleared),
        cmocka_unit_test(test_freezing_ends_by_itself),
        cmocka_unit_test(test_a_restored_vm_wins_over_a_dead_host),
        cmocka_unit_test(test_a_claim_without_history_challenges),
        cmocka_unit_test(test_a_dead_winner_is_taken_over),
        cmocka_unit_test(test_zones_do_not_mix),
        cmocka_unit_test(test_hosts_keep_only_their_zones),
        cmocka_unit_test(test_pulls_find_what_is_not_known_yet),
        cmocka_unit_test(test_pulls_are_limited_and_counted),
        cmocka_unit_test(test_a_prefix_moves_like_an_address),
        cmocka_unit_test(test_a_storm_shares_datagrams),
        cmocka_unit_test(test_moves_to_many_hosts_share_relays)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
