/* SPDX-License-Identifier: Apache-2.0 */
/* Attackers: replay, theft, revoked and expired certificates. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mat-mem.h"
#include "sim-story.h"

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
    uint64_t before, replays;
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    s.is_capturing = true;
    for (int i = 0; i < 40; i++) {
        sim_vm_move(&s, 0, i % 3 + 1);
        sim_run(&s, 200 * SIM_MS);
    }
    replays = counted(&s, MAT_C_DROP_REPLAY);
    before = s.n_captured;
    assert_true(before > 10);
    replay_captured(&s, -1);
    assert_int_equal(counted(&s, MAT_C_DROP_REPLAY) - replays, before);
    expect_owner_everywhere(&s, 0, s.vms[0].host);
    sim_destroy(&s);
}

/* What was said to a host in its earlier life means nothing to it now. */
static void
test_replay_to_the_next_life_is_refused(void **state)
{
    uint64_t dropped, n = 0;
    struct sim s;

    (void) state;
    given_cluster(&s, 4, 4);
    s.is_capturing = true;
    sim_run(&s, 60 * SIM_S);
    s.is_capturing = false;
    sim_host_stop(&s, 1, true);
    sim_host_start(&s, 1);
    sim_run(&s, 5 * SIM_S);
    for (size_t i = 0; i < s.n_captured; i++) {
        n += s.captured[i].host == 1;
    }
    assert_true(n > 3);
    dropped = mat_gossip_counter(s.hosts[1].engine, MAT_C_DROP_UNOPENED);
    replay_captured(&s, 1);
    assert_int_equal(mat_gossip_counter(s.hosts[1].engine,
                                        MAT_C_DROP_UNOPENED) - dropped, n);
    sim_destroy(&s);
}

/* A member makes up a claim of another host and passes it on. */
static void
test_a_relay_cannot_forge(void **state)
{
    struct sim s = { .real_crypto = true };
    uint8_t body[MAT_VMN_BODY_SIZE];
    struct mat_claim forged, *leaf = &forged;
    const struct mat_claim *claim = &forged;
    struct mat_gossip *g;
    struct mat_tree tree;

    (void) state;
    sim_init(&s, 1, 4, 4);
    sim_host_start_all(&s);
    for (int i = 0; i < 4; i++) {
        sim_vm_create(&s, i, i);
    }
    sim_run(&s, 5 * SIM_S);
    g = s.hosts[3].engine;
    forged = *mat_gossip_find(g, &s.vms[0].key);
    mat_vmn_body(body, &s.vms[0].moa, &s.vms[1].mac);
    forged.body = body;
    forged.version.seq++;
    mat_tree_sign(&tree, &s.hosts[3].identity.crypto, &leaf, 1);
    mat_claim_seal_sum(&forged);
    mat_reply_claims(g, mat_peer_get(g, mat_member_find(g, s.hosts[2].id)),
                     &claim, 1, true);
    sim_host_drain(&s, &s.hosts[3]);
    sim_run(&s, SIM_S);
    assert_int_equal(mat_gossip_counter(s.hosts[2].engine,
                                        MAT_C_REFUSE_SIGNATURE), 1);
    /* Nor with a signature that has been seen to be good. */
    forged.signature = mat_gossip_find(g, &s.vms[0].key)->signature;
    mat_reply_claims(g, mat_peer_get(g, mat_member_find(g, s.hosts[2].id)),
                     &claim, 1, true);
    sim_host_drain(&s, &s.hosts[3]);
    sim_run(&s, SIM_S);
    assert_int_equal(mat_gossip_counter(s.hosts[2].engine,
                                        MAT_C_REFUSE_SIGNATURE), 2);
    assert_int_equal(sim_entry(&s, 2, 0)->version.seq + 1,
                     forged.version.seq);
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
    assert_int_equal(mat_gossip_n_members(s.hosts[3].engine,
                                          MAT_MEMBER_ALIVE), 3);
    mat_gossip_set_join_keys(s.hosts[3].engine,
                             (const uint8_t (*)[MAT_SECRET_SIZE]) keys);
    sim_settle(&s, 20 * SIM_S);
    sim_destroy(&s);
}

/* Claims that share a signed tree, of which a host remembers that it is good:
 * still none gets in, to be handed on, with another signature. */
static void
test_a_known_tree_needs_its_signature(void **state)
{
    const struct mat_claim *claims[2];
    struct mat_gossip *from, *to;
    uint8_t signature[MAT_SIGNATURE_SIZE];
    struct mat_claim bent;
    struct sim s;

    (void) state;
    given_cluster(&s, 3, 3);
    from = s.hosts[0].engine;
    to = s.hosts[1].engine;
    for (int i = 0; i < 2; i++) {
        struct mat_addr moa = sim_take_moa(&s, &s.hosts[0]);
        struct mat_key key = s.vms[0].key;

        key.addr.b[14] = (uint8_t) (100 + i);
        assert_int_equal(mat_gossip_claim(from, s.now_us, &key, &moa,
                                          &s.vms[0].mac), MAT_GOSSIP_OK);
    }
    mat_stage_flush(from);
    for (int i = 0; i < 2; i++) {
        struct mat_key key = s.vms[0].key;

        key.addr.b[14] = (uint8_t) (100 + i);
        claims[i] = mat_gossip_find(from, &key);
        assert_non_null(claims[i]);
    }
    assert_memory_equal(claims[0]->signature, claims[1]->signature,
                        sizeof signature);
    assert_int_equal(mat_accept(to, NULL, claims[0]), MAT_MERGE_NEW);
    bent = *claims[1];
    memcpy(signature, bent.signature, sizeof signature);
    signature[5] ^= 1;
    bent.signature = signature;
    assert_int_equal(mat_accept(to, NULL, &bent), MAT_MERGE_INERT);
    assert_int_equal(mat_gossip_counter(to, MAT_C_REFUSE_SIGNATURE), 1);
    assert_int_equal(mat_accept(to, NULL, claims[1]), MAT_MERGE_NEW);
    sim_destroy(&s);
}

static void
test_another_cluster_is_not_heard(void **state)
{
    struct sim s;

    (void) state;
    given_cluster(&s, 3, 3);
    s.hosts[2].engine->config.label++;
    sim_vm_move(&s, 0, 2);
    sim_run(&s, 2 * SIM_S);
    expect_owner(&s, 0, 0, 0);
    expect_owner(&s, 1, 0, 0);
    assert_true(mat_gossip_counter(s.hosts[0].engine, MAT_C_DROP_LABEL) > 0);
    sim_destroy(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_translation_is_refused),
        cmocka_unit_test(test_replayed_datagrams_change_nothing),
        cmocka_unit_test(test_replay_to_the_next_life_is_refused),
        cmocka_unit_test(test_a_relay_cannot_forge),
        cmocka_unit_test(test_a_rogue_with_a_good_key_steals_nothing),
        cmocka_unit_test(test_a_revoked_host_is_shut_out),
        cmocka_unit_test(test_an_expired_certificate_ends),
        cmocka_unit_test(test_join_keys_rotate),
        cmocka_unit_test(test_a_known_tree_needs_its_signature),
        cmocka_unit_test(test_another_cluster_is_not_heard)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
