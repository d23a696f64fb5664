/* SPDX-License-Identifier: Apache-2.0 */
/* Members: death, refutation, restarts, partitions, addresses. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mat-mem.h"
#include "sim-story.h"

static void
test_an_agent_that_forgot_renews_its_claims(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 5, 10);
    for (int i = 0; i < 3; i++) {
        sim_vm_move(&s, 1, i % 2 ? 1 : 2);
        sim_run(&s, 100 * SIM_MS);
    }
    sim_host_stop(&s, 2, false);
    sim_run(&s, SIM_S);
    s.vms[1].moa = sim_take_moa(&s, &s.hosts[2]);       /* Another one. */
    sim_host_start(&s, 2);
    sim_run(&s, 2 * SIM_S);
    assert_true(s.hosts[2].disk_generation > 1);
    sim_settle(&s, 30 * SIM_S);
    sim_destroy(&s);
}

static void
test_ghosts_of_a_restarted_host_are_ended(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 8);
    sim_host_stop(&s, 0, true);
    sim_vm_destroy(&s, 0);      /* While nobody looks. */
    sim_run(&s, SIM_S);
    sim_host_start(&s, 0);
    sim_run(&s, 15 * SIM_S);
    for (int i = 1; i < 4; i++) {
        assert_false(sim_entry(&s, i, 0)->is_live);
    }
    assert_true(counted(&s, MAT_C_GHOSTS) > 0);
    sim_settle(&s, 10 * SIM_S);
    sim_destroy(&s);
}

/* A host that hears of an end late must not keep it alive in the others. */
static void
test_ended_claims_are_forgotten_by_all(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 8);
    for (int i = 0; i < 3; i++) {
        sim_block(&s.hosts[3], i, true, true);
    }
    sim_vm_destroy(&s, 0);
    sim_run(&s, 250 * SIM_S);
    sim_heal(&s);
    sim_run(&s, 20 * SIM_S);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mat_gossip_find(s.hosts[i].engine,
                                         &s.vms[0].key)->state,
                         MAT_CLAIM_GONE);
    }
    sim_run(&s, 350 * SIM_S);
    for (int i = 0; i < 3; i++) {
        assert_null(mat_gossip_find(s.hosts[i].engine, &s.vms[0].key));
    }
    assert_non_null(mat_gossip_find(s.hosts[3].engine, &s.vms[0].key));
    sim_run(&s, 300 * SIM_S);
    assert_null(mat_gossip_find(s.hosts[3].engine, &s.vms[0].key));
    sim_settle(&s, SIM_S);
    sim_destroy(&s);
}

static void
test_death_is_detected_and_records_stay(void **state)
{
    struct sim s;
    int64_t start;

    (void) state;
    given_cluster(&s, 8, 8);
    start = s.now_us;
    sim_host_die(&s, 3);
    sim_run(&s, 40 * SIM_S);
    for (int i = 0; i < 8; i++) {
        char line[40];

        snprintf(line, sizeof line, "h%d: h3 is dead", i);
        if (i != 3) {
            expect_by(&s, start, line, 30 * SIM_S);
            assert_true(sim_entry(&s, i, 3)->is_live);
            assert_false(mat_gossip_is_reachable(s.hosts[i].engine,
                                                 s.hosts[3].id));
        }
    }
    sim_destroy(&s);
}

static void
test_records_of_the_dead_time_out_at_last(void **state)
{
    struct sim s;

    (void) state;
    memset(&s, 0, sizeof s);
    sim_init(&s, 1, 4, 4);
    s.tuning.record_us = 300 * SIM_S;
    sim_host_start_all(&s);
    for (int i = 0; i < 4; i++) {
        sim_vm_create(&s, i, i);
    }
    sim_run(&s, 10 * SIM_S);
    sim_host_die(&s, 3);
    sim_run(&s, 250 * SIM_S);
    assert_true(sim_entry(&s, 0, 3)->is_live);
    sim_run(&s, 300 * SIM_S);
    for (int i = 0; i < 3; i++) {
        assert_false(sim_entry(&s, i, 3)->is_live);
        assert_int_equal(s.hosts[i].engine->n_members, 2);
    }
    assert_true(counted(&s, MAT_C_EXPIRED_RECORDS) > 0);
    sim_destroy(&s);
}

static void
test_a_suspicion_of_the_living_is_refuted(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 6, 6);
    for (int i = 0; i < 5; i++) {
        sim_block(&s.hosts[5], i, false, true);
    }
    sim_run(&s, 4 * SIM_S);
    sim_heal(&s);
    sim_run(&s, 20 * SIM_S);
    assert_true(counted(&s, MAT_C_SUSPICIONS) > 0);
    assert_true(mat_gossip_counter(s.hosts[5].engine,
                                   MAT_C_REFUTATIONS) > 0);
    expect_never(&s, "h5 is dead");
    sim_settle(&s, 10 * SIM_S);
    sim_destroy(&s);
}

/* Lifeguard: whoever gets no answers in time looks for the fault in itself. */
static void
test_a_slow_host_blames_itself(void **state)
{
    struct sim s;
    int n_slowed = 0;

    (void) state;
    given_cluster(&s, 8, 8);
    s.hosts[7].slow_us = 600 * SIM_MS;
    for (int i = 0; i < 60; i++) {
        sim_run(&s, SIM_S);
        n_slowed += s.hosts[7].engine->prober.health > 0;
    }
    assert_true(n_slowed > 10);
    assert_true(mat_gossip_counter(s.hosts[7].engine, MAT_C_SUSPICIONS) < 10);
    expect_never(&s, "is dead");
    sim_heal(&s);
    sim_run(&s, 60 * SIM_S);
    assert_int_equal(s.hosts[7].engine->prober.health, 0);
    sim_settle(&s, 20 * SIM_S);
    sim_destroy(&s);
}

static void
test_a_host_that_leaves_is_not_missed(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 5, 4);
    mat_gossip_leave(s.hosts[4].engine, s.now_us);
    sim_host_drain(&s, &s.hosts[4]);
    sim_run(&s, 10 * SIM_MS);
    sim_host_stop(&s, 4, true);
    sim_run(&s, 20 * SIM_S);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mat_gossip_n_members(s.hosts[i].engine,
                                              MAT_MEMBER_LEFT), 1);
    }
    expect_never(&s, "suspect");
    sim_host_start(&s, 4);
    sim_settle(&s, 20 * SIM_S);
    sim_destroy(&s);
}

static void
test_a_partition_heals(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 10, 20);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 10; j++) {
            if (i / 5 != j / 5) {
                sim_block(&s.hosts[i], j, true, true);
            }
        }
    }
    for (int i = 0; i < 20; i++) {
        int side = s.vms[i].host / 5;

        sim_vm_move(&s, i, side * 5 + (s.vms[i].host + 1) % 5);
        sim_run(&s, SIM_S);
    }
    sim_run(&s, 40 * SIM_S);
    assert_int_equal(mat_gossip_n_members(s.hosts[0].engine,
                                          MAT_MEMBER_DEAD), 5);
    sim_heal(&s);
    sim_run(&s, 2 * SIM_S);
    for (int i = 0; i < 20; i++) {
        expect_owner_everywhere(&s, i, s.vms[i].host);
    }
    sim_settle(&s, 20 * SIM_S);
    sim_destroy(&s);
}

static void
test_an_address_change_is_followed(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 6, 6);
    sim_host_move(&s, 3);
    sim_run(&s, 500 * SIM_MS);
    sim_vm_move(&s, 3, 4);
    sim_run(&s, 500 * SIM_MS);
    expect_owner_everywhere(&s, 3, 4);
    sim_settle(&s, 20 * SIM_S);
    expect_never(&s, "h3 is dead");
    sim_destroy(&s);
}

static void
test_coordinates_predict_rtts(void **state)
{
    struct sim s;
    int64_t near, far;

    (void) state;
    memset(&s, 0, sizeof s);
    sim_init(&s, 1, 12, 2);
    s.net.n_sites = 2;
    s.net.site_delay_us = mat_xcalloc(4, sizeof *s.net.site_delay_us);
    s.net.site_delay_us[0] = s.net.site_delay_us[3] = 500;
    s.net.site_delay_us[1] = s.net.site_delay_us[2] = 20000;
    for (int i = 0; i < 12; i++) {
        s.hosts[i].site = i / 6;
    }
    sim_host_start_all(&s);
    sim_run(&s, 300 * SIM_S);
    near = mat_gossip_rtt_us(s.hosts[0].engine, s.hosts[1].id,
                             s.hosts[2].id);
    far = mat_gossip_rtt_us(s.hosts[0].engine, s.hosts[1].id,
                            s.hosts[8].id);
    assert_in_range(near, 1, 6000);
    assert_in_range(far, 34000, 46000);
    assert_int_equal(mat_gossip_rtt_us(s.hosts[0].engine, 1, 99), -1);
    sim_destroy(&s);
}

/* Hosts 1 and 2 know many VMs of host 0; host 3 is still to come. */
static void
given_many_records(struct sim *s, uint64_t seed, int n_vms)
{
    memset(s, 0, sizeof *s);
    s->one_zone = true;
    sim_init(s, seed, 4, n_vms);
    for (int i = 0; i < 4; i++) {
        s->hosts[i].all_zones = i > 0;
    }
    for (int i = 0; i < 3; i++) {
        sim_host_start(s, i);
    }
    sim_run(s, 3 * SIM_S);
    for (int i = 0; i < n_vms; i++) {
        struct sim_vm *vm = &s->vms[i];

        vm->host = vm->port_host = 0;
        vm->may_claim[0] |= 1;
        vm->moa = sim_take_moa(s, &s->hosts[0]);
        mat_gossip_claim(s->hosts[0].engine, s->now_us, &vm->key, &vm->moa,
                         &vm->mac);
    }
    sim_host_drain(s, &s->hosts[0]);
    sim_run(s, 20 * SIM_S);
    assert_true(s->hosts[1].engine->store.n > (size_t) n_vms);
}

/* Whoever joins checks a tree of eight claims once, however the claims come
 * to it: over its own sums or over those of the host that it greeted. */
static void
test_joining_checks_each_tree_once(void **state)
{
    enum { VMS = 4000 };

    (void) state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct sim s;
        const struct mat_gossip *fresh;
        uint64_t n;

        given_many_records(&s, seed, VMS);
        sim_host_start(&s, 3);
        fresh = s.hosts[3].engine;
        sim_run(&s, 10 * SIM_S);
        assert_int_equal(fresh->store.n, s.hosts[1].engine->store.n);
        n = mat_gossip_counter(fresh, MAT_C_VERIFIED);
        assert_in_range(n, VMS / 8, VMS / 8 * 6 / 5);
        sim_destroy(&s);
    }
}

static size_t
longest_run(const struct mat_store *store)
{
    size_t longest = 0, run = 0;

    for (size_t i = 0; i < (size_t) 1 << store->bits; i++) {
        run = store->slots && store->slots[i].claim ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* One datagram in ten is lost, yet all is there in 1 s; and the table is never
 * filled from one end, which would make it slow. */
static void
test_joining_is_fast_in_spite_of_loss(void **state)
{
    (void) state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const struct mat_store *store;
        struct sim s;

        given_many_records(&s, seed, 4000);
        s.net.loss = 1000;
        sim_host_start(&s, 3);
        store = &s.hosts[3].engine->store;
        for (int ms = 0; ms < 1000; ms++) {
            sim_run(&s, SIM_MS);
            assert_true(longest_run(store) < 250);
        }
        assert_int_equal(store->n, s.hosts[1].engine->store.n);
        sim_destroy(&s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_agent_that_forgot_renews_its_claims),
        cmocka_unit_test(test_ghosts_of_a_restarted_host_are_ended),
        cmocka_unit_test(test_ended_claims_are_forgotten_by_all),
        cmocka_unit_test(test_death_is_detected_and_records_stay),
        cmocka_unit_test(test_records_of_the_dead_time_out_at_last),
        cmocka_unit_test(test_a_suspicion_of_the_living_is_refuted),
        cmocka_unit_test(test_a_slow_host_blames_itself),
        cmocka_unit_test(test_a_host_that_leaves_is_not_missed),
        cmocka_unit_test(test_a_partition_heals),
        cmocka_unit_test(test_an_address_change_is_followed),
        cmocka_unit_test(test_coordinates_predict_rtts),
        cmocka_unit_test(test_joining_checks_each_tree_once),
        cmocka_unit_test(test_joining_is_fast_in_spite_of_loss)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
