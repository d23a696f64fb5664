/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: short stories with a timed trace as expectation.
 *
 * Each sets up a cluster, lets something happen and states what the hosts
 * must have heard when.  Times are one-way delays of the simulated network,
 * so they are exact. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mat-mem.h"
#include "sim.h"

/* A quiet cluster where all know each other and VM i runs on host i. */
static void
given_cluster(struct sim *s, int n_hosts, int n_vms)
{
    memset(s, 0, sizeof *s);
    sim_init(s, 1, n_hosts, n_vms);
    sim_host_start_all(s);
    for (int i = 0; i < n_vms; i++) {
        sim_vm_create(s, i, i % n_hosts);
    }
    sim_run(s, 5 * SIM_S);
    sim_settle(s, 30 * SIM_S);
    s->n_trace = 0;
}

static void
all_talk_with(struct sim *s, int vm)
{
    for (int i = 0; i < s->n_vms; i++) {
        if (i != vm) {
            sim_vm_access(s, i, vm);
        }
    }
    sim_run(s, 100 * SIM_MS);
}

/* The time since 'start' at which 'line' stands in the trace, or -1. */
static int64_t
heard_at(struct sim *s, int64_t start, const char *line)
{
    for (uint64_t i = 0; i < s->n_trace && i < SIM_TRACE_LINES; i++) {
        if (strstr(s->trace[i], line)) {
            return (int64_t) (strtod(s->trace[i] + 1, NULL) * 1000 + 0.5)
                   - start;
        }
    }
    return -1;
}

static void
expect_at(struct sim *s, int64_t start, const char *line, int64_t at_us)
{
    int64_t heard = heard_at(s, start, line);

    if (heard != at_us) {
        sim_fail(s, "\"%s\" at %lld us instead of %lld", line,
                 (long long) heard, (long long) at_us);
    }
}

static void
expect_by(struct sim *s, int64_t start, const char *line, int64_t by_us)
{
    int64_t heard = heard_at(s, start, line);

    if (heard < 0 || heard > by_us) {
        sim_fail(s, "\"%s\" at %lld us, not by %lld", line,
                 (long long) heard, (long long) by_us);
    }
}

static void
expect_never(struct sim *s, const char *line)
{
    if (heard_at(s, 0, line) >= 0) {
        sim_fail(s, "\"%s\" should not have happened", line);
    }
}

static void
expect_owner(struct sim *s, int host, int vm, int owner)
{
    const struct sim_entry *e = sim_entry(s, host, vm);

    if (!e->is_live || sim_host_of_id(s, e->owner) != owner) {
        sim_fail(s, "h%d thinks that vm%d is on h%d, not on h%d", host, vm,
                 e->is_live ? sim_host_of_id(s, e->owner) : -1, owner);
    }
}

/* ... that has the zone, and is honest. */
static void
expect_owner_everywhere(struct sim *s, int vm, int owner)
{
    for (int i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].is_up && !s->hosts[i].is_rogue
            && mat_vmn_wants_zone(s->hosts[i].engine,
                                  s->vms[vm].key.zone)) {
            expect_owner(s, i, vm, owner);
        }
    }
}

static uint64_t
counted(struct sim *s, enum mat_counter counter)
{
    uint64_t n = 0;

    for (int i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].is_up) {
            n += mat_gossip_counter(s->hosts[i].engine, counter);
        }
    }
    return n;
}

/* One-way delay in given_cluster(). */
enum { ONE_WAY_US = 200 };

static void
test_a_hinted_move_reaches_all_in_one_delay(void **state)
{
    struct sim s;
    int64_t start;

    (void) state;
    given_cluster(&s, 8, 8);
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
    s.tuning.spread_direct = 0;
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

/* A translator rewrites source addresses: refused, with a reason. */
static void
test_address_translation_is_refused(void **state)
{
    struct sim_event event = { .kind = SIM_DATAGRAM };
    struct sim s;

    (void) state;
    given_cluster(&s, 3, 3);
    s.is_capturing = true;
    sim_run(&s, 60 * SIM_S);
    s.is_capturing = false;
    for (size_t i = 0; i < s.n_captured; i++) {
        event = s.captured[i];
        event.kind = SIM_DATAGRAM;
        event.from.port++;
        event.at_us = s.now_us;
        event.data = mat_xmalloc(event.size);
        memcpy(event.data, s.captured[i].data, event.size);
        sim_push_event(&s, &event);
    }
    sim_run(&s, SIM_S);
    assert_true(counted(&s, MAT_C_DROP_TRANSLATED) > 0);
    sim_settle(&s, 20 * SIM_S);
    sim_destroy(&s);
}

static void
test_replayed_datagrams_change_nothing(void **state)
{
    struct sim_event event = { .kind = SIM_DATAGRAM };
    uint64_t before, replays;
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    s.is_capturing = true;
    for (int i = 0; i < 40; i++) {
        sim_vm_move(&s, 0, i % 3 + 1);
        sim_run(&s, 200 * SIM_MS);
    }
    s.is_capturing = false;
    replays = counted(&s, MAT_C_DROP_REPLAY);
    before = s.n_captured;
    assert_true(before > 10);
    for (size_t i = 0; i < s.n_captured; i++) {
        event = s.captured[i];
        event.kind = SIM_DATAGRAM;
        event.at_us = s.now_us;
        event.data = mat_xmalloc(event.size);
        memcpy(event.data, s.captured[i].data, event.size);
        sim_push_event(&s, &event);
    }
    sim_run(&s, 10);
    assert_int_equal(counted(&s, MAT_C_DROP_REPLAY) - replays, before);
    expect_owner_everywhere(&s, 0, s.vms[0].host);
    sim_destroy(&s);
}

static void
test_a_rogue_with_a_good_key_steals_nothing(void **state)
{
    struct mat_call call = { .kind = MAT_REC_CLAIM };
    struct sim s = { .real_crypto = true };

    (void) state;
    sim_init(&s, 1, 4, 4);
    s.hosts[3].is_rogue = true;
    sim_host_certify(&s, &s.hosts[3], true, 1);
    sim_host_start_all(&s);
    for (int i = 0; i < 3; i++) {
        sim_vm_create(&s, i, i);
    }
    sim_run(&s, 5 * SIM_S);
    call.key = s.vms[0].key;
    call.addr = sim_take_moa(&s, &s.hosts[3]);
    sim_call(&s, &s.hosts[3], &call);
    call.kind = MAT_REC_PREPARE;
    call.key = s.vms[1].key;
    sim_call(&s, &s.hosts[3], &call);
    sim_run(&s, 10 * SIM_S);
    expect_owner_everywhere(&s, 0, 0);
    assert_true(counted(&s, MAT_C_REFUSE_RIGHT) > 0);
    sim_destroy(&s);
}

static void
test_a_revoked_host_is_shut_out(void **state)
{
    uint8_t claim[MAT_WIRE_DATAGRAM_MAX];
    struct sim s = { .real_crypto = true };
    size_t n;

    (void) state;
    sim_init(&s, 1, 5, 5);
    sim_host_start_all(&s);
    for (int i = 0; i < 5; i++) {
        sim_vm_create(&s, i, i);
    }
    sim_run(&s, 5 * SIM_S);
    n = mat_gossip_make_revocation(&s.cluster.crypto, s.hosts[4].id, 1,
                                   claim);
    assert_true(mat_gossip_revoke(s.hosts[0].engine, s.now_us, claim, n));
    sim_host_drain(&s, &s.hosts[0]);
    sim_run(&s, SIM_S);
    sim_vm_move(&s, 0, 4);
    sim_run(&s, 5 * SIM_S);
    for (int i = 0; i < 4; i++) {
        expect_owner(&s, i, 0, 0);
        assert_false(mat_gossip_is_reachable(s.hosts[i].engine,
                                             s.hosts[4].id));
    }
    assert_true(counted(&s, MAT_C_DROP_REVOKED) > 0);
    /* A new certificate with a higher serial lets it in again. */
    sim_host_stop(&s, 4, true);
    sim_host_certify(&s, &s.hosts[4], false, 2);
    sim_host_start(&s, 4);
    sim_run(&s, 5 * SIM_S);
    sim_settle(&s, 30 * SIM_S);
    expect_owner_everywhere(&s, 0, 4);
    sim_destroy(&s);
}

static void
test_an_expired_certificate_ends(void **state)
{
    struct mat_call call = { .kind = MAT_REC_WALL };
    struct sim s;

    (void) state;
    given_cluster(&s, 3, 3);
    call.wall_s = s.wall_s + 366 * 86400;
    sim_call(&s, &s.hosts[0], &call);
    sim_vm_move(&s, 1, 2);
    sim_run(&s, SIM_S);
    expect_owner(&s, 0, 1, 1);
    assert_false(mat_gossip_is_reachable(s.hosts[0].engine, s.hosts[1].id));
    call.wall_s = s.wall_s;     /* The clock was wrong. */
    sim_call(&s, &s.hosts[0], &call);
    sim_settle(&s, 30 * SIM_S);
    sim_destroy(&s);
}

static void
test_join_keys_rotate(void **state)
{
    uint8_t keys[2][MAT_SECRET_SIZE];
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    memset(keys[0], 'n', sizeof keys[0]);
    memset(keys[1], 'j', sizeof keys[1]);
    for (int i = 0; i < 3; i++) {
        mat_gossip_set_join_keys(s.hosts[i].engine,
                                 (const uint8_t (*)[MAT_SECRET_SIZE]) keys);
    }
    sim_host_stop(&s, 3, true);
    sim_host_start(&s, 3);      /* Still with the old one. */
    sim_run(&s, 3 * SIM_S);
    mat_gossip_set_join_keys(s.hosts[3].engine,
                             (const uint8_t (*)[MAT_SECRET_SIZE]) keys);
    sim_settle(&s, 20 * SIM_S);
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

/* All VMs of a zone come up on one host, in one event. */
static void
evacuate_to(struct sim *s, int host, uint32_t zone)
{
    for (int i = 0; i < s->n_vms; i++) {
        struct sim_vm *vm = &s->vms[i];
        struct mat_call call = { .kind = MAT_REC_PORT, .key = vm->key };

        if (vm->key.zone != zone || vm->host == host) {
            continue;
        }
        sim_call(s, &s->hosts[vm->host], &call);
        vm->may_claim[host / 64] |= UINT64_C(1) << host % 64;
        vm->host = vm->port_host = host;
        vm->moa = sim_take_moa(s, &s->hosts[host]);
        mat_gossip_claim(s->hosts[host].engine, s->now_us, &vm->key,
                         &vm->moa, &vm->mac);
    }
    sim_host_drain(s, &s->hosts[host]);
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
        cmocka_unit_test(test_an_agent_that_forgot_renews_its_claims),
        cmocka_unit_test(test_ghosts_of_a_restarted_host_are_ended),
        cmocka_unit_test(test_death_is_detected_and_records_stay),
        cmocka_unit_test(test_records_of_the_dead_time_out_at_last),
        cmocka_unit_test(test_a_suspicion_of_the_living_is_refuted),
        cmocka_unit_test(test_a_host_that_leaves_is_not_missed),
        cmocka_unit_test(test_a_partition_heals),
        cmocka_unit_test(test_an_address_change_is_followed),
        cmocka_unit_test(test_address_translation_is_refused),
        cmocka_unit_test(test_replayed_datagrams_change_nothing),
        cmocka_unit_test(test_a_rogue_with_a_good_key_steals_nothing),
        cmocka_unit_test(test_a_revoked_host_is_shut_out),
        cmocka_unit_test(test_an_expired_certificate_ends),
        cmocka_unit_test(test_join_keys_rotate),
        cmocka_unit_test(test_zones_do_not_mix),
        cmocka_unit_test(test_hosts_keep_only_their_zones),
        cmocka_unit_test(test_pulls_find_what_is_not_known_yet),
        cmocka_unit_test(test_a_storm_shares_datagrams),
        cmocka_unit_test(test_coordinates_predict_rtts)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
