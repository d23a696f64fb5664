/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds: bytes per second, memory, what is lost; and the flight recorder. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include <malloc.h>
#include <unistd.h>

#include "mat-mem.h"
#include "sim-story.h"

/* The most bytes that 'host' sends in a second, of the next 'seconds'. */
static uint64_t
most_bytes_a_second(struct sim *s, int host, int seconds)
{
    uint64_t most = 0;

    for (int i = 0; i < seconds; i++) {
        uint64_t before = s->hosts[host].n_out_bytes;

        sim_run(s, SIM_S);
        before = s->hosts[host].n_out_bytes - before;
        most = before > most ? before : most;
    }
    return most;
}

static void
test_a_storm_keeps_to_its_bytes_per_second(void **state)
{
    enum { CAP = 50000 };
    struct sim s;

    (void) state;
    given_cluster(&s, 30, 400);
    s.hosts[0].engine->config.tuning.bytes_s = CAP;
    sim_run(&s, 2 * SIM_S);
    evacuate_to(&s, 0, 7);
    /* What was saved up in a second may come on top; and what cannot wait,
     * which is charged and so held back later. */
    assert_true(most_bytes_a_second(&s, 0, 1) < 2 * CAP + 10000);
    assert_true(most_bytes_a_second(&s, 0, 20) < CAP + 10000);
    assert_true(mat_gossip_counter(s.hosts[0].engine,
                                   MAT_C_LIMIT_STORM) > 0);
    sim_settle(&s, 60 * SIM_S);
    for (int i = 0; i < 400; i += 2) {
        expect_owner_everywhere(&s, i, 0);
    }
    sim_destroy(&s);
}

static void
test_an_idle_host_keeps_to_its_bytes_per_second(void **state)
{
    struct sim s;
    uint64_t before;

    (void) state;
    given_cluster(&s, 30, 60);
    sim_run(&s, 20 * SIM_S);
    before = counted(&s, MAT_C_LIMIT_IDLE);
    assert_true(most_bytes_a_second(&s, 0, 60) < 5000);
    assert_int_equal(counted(&s, MAT_C_LIMIT_IDLE), before);
    s.hosts[0].engine->config.tuning.idle_bytes_s = 100;
    sim_run(&s, 2 * SIM_S);
    before = s.hosts[0].n_out_bytes;
    sim_run(&s, 60 * SIM_S);
    /* Its probes and rounds; and as much for answers to those of others. */
    assert_true(s.hosts[0].n_out_bytes - before < 60 * 2 * 110);
    assert_true(mat_gossip_counter(s.hosts[0].engine, MAT_C_LIMIT_IDLE) > 0);
    sim_settle(&s, 60 * SIM_S);
    sim_destroy(&s);
}

static size_t
allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* What docs/gossip.md says of memory: a record and its part of the table. */
static void
test_a_record_takes_at_most_320_bytes(void **state)
{
    enum { RECORDS = 100000 };
    struct mat_store store;
    size_t before = allocated(), bytes;
    uint8_t body[MAT_VMN_BODY_SIZE] = { 1 }, signature[64] = { 1 };
    uint8_t path[MAT_TREE_DEPTH_MAX * MAT_HASH_SIZE] = { 1 };

    (void) state;
    mat_store_init(&store, NULL, RECORDS);
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint8_t v4[4] = { 10, (uint8_t) (i >> 16), (uint8_t) (i >> 8),
                          (uint8_t) i };
        struct mat_addr hoa = mat_addr_from_v4(v4);
        struct mat_claim claim = {
            .key = mat_key_vmn(7, &hoa, 32), .state = MAT_CLAIM_LIVE,
            .version = { 1, 1, 1 }, .body = body, .body_size = sizeof body,
            .signature = signature, .tree_depth = MAT_TREE_DEPTH_MAX,
            .path = path
        };

        mat_claim_seal_sum(&claim);
        assert_int_equal(mat_store_put(&store, &claim), MAT_MERGE_NEW);
    }
    bytes = (allocated() - before) / RECORDS;
    print_message("# %zu bytes a record\n", bytes);
    assert_true(bytes <= 320);
    mat_store_destroy(&store);
}

/* Nobody acknowledges an interest; the owner learns of it all the same. */
static void
test_an_interest_that_gets_lost_is_told_again(void **state)
{
    struct sim s;
    int64_t start;

    (void) state;
    given_cluster(&s, 3, 3);
    s.net.loss = 10000;
    sim_vm_access(&s, 2, 0);
    sim_run(&s, 300 * SIM_MS);
    s.net.loss = 0;
    sim_vm_access(&s, 2, 0);    /* The switch has marked it again. */
    sim_run(&s, 10 * SIM_MS);
    start = s.now_us;
    sim_vm_prepare(&s, 0, 1);
    sim_run(&s, 10 * SIM_MS);
    sim_vm_start(&s, 0, 1);
    sim_run(&s, 10 * SIM_MS);
    expect_by(&s, start, "h1: vm0 pushed to 2", 20 * SIM_MS);
    sim_destroy(&s);
}

/* The recorder. */

static void
call_operator(struct sim *s, struct sim_host *host)
{
    uint8_t revocation[MAT_WIRE_DATAGRAM_MAX];
    uint8_t keys[2 * MAT_SECRET_SIZE], seeds[MAT_WIRE_DATAGRAM_MAX];
    struct mat_writer w = { .bytes = seeds, .max = sizeof seeds };
    struct mat_call call = {
        .kind = MAT_REC_UNFREEZE, .key = s->vms[0].key
    };

    sim_call(s, host, &call);
    memset(keys, 'n', sizeof keys);
    memset(keys + MAT_SECRET_SIZE, 'j', MAT_SECRET_SIZE);
    call = (struct mat_call) {
        .kind = MAT_REC_JOIN_KEYS, .data = keys, .size = sizeof keys
    };
    sim_call(s, host, &call);
    assert_memory_equal(host->engine->config.join_keys, keys, sizeof keys);
    sim_host_certify(s, host, false, 2);
    call = (struct mat_call) {
        .kind = MAT_REC_CERT, .data = host->cert, .size = host->cert_size
    };
    assert_int_equal(sim_call(s, host, &call), MAT_GOSSIP_OK);
    mat_put_addr(&w, &s->hosts[2].endpoint.addr);
    mat_put_u16(&w, s->hosts[2].endpoint.port);
    call = (struct mat_call) {
        .kind = MAT_REC_SEEDS, .data = seeds, .size = w.n
    };
    sim_call(s, host, &call);
    assert_int_equal(host->engine->config.n_seeds, 1);
    call = (struct mat_call) { .kind = MAT_REC_REVOKE, .data = revocation };
    call.size = mat_gossip_make_revocation(&s->cluster.crypto,
                                           s->hosts[3].id, 1, revocation);
    assert_int_equal(sim_call(s, host, &call), MAT_GOSSIP_OK);
    sim_run(s, SIM_S);
    assert_false(mat_gossip_is_reachable(s->hosts[2].engine,
                                         s->hosts[3].id));
    call.size--;
    assert_int_equal(sim_call(s, host, &call), MAT_GOSSIP_FORBIDDEN);
}

/* Every kind of input, also those of the operator, which are rare. */
static void
test_what_the_operator_does_is_recorded_and_replays(void **state)
{
    static const char name[] = "test-sim-bounds.recording";
    struct mat_call leave = { .kind = MAT_REC_LEAVE };
    struct sim_host *host;
    struct sim s;

    (void) state;
    memset(&s, 0, sizeof s);
    sim_init(&s, 1, 4, 4);
    host = &s.hosts[1];
    host->recorder = mat_recorder_create(1 << 22);
    sim_host_start_all(&s);
    for (int i = 0; i < 4; i++) {
        sim_vm_create(&s, i, i);
    }
    sim_run(&s, 5 * SIM_S);
    sim_vm_double(&s, 0, 1);
    for (int i = 0; i < 20; i++) {
        sim_run(&s, 500 * SIM_MS);
        sim_vm_speak(&s, 0, i % 2);
    }
    assert_true(mat_gossip_is_frozen(host->engine, &s.vms[0].key));
    call_operator(&s, host);
    assert_false(mat_gossip_is_frozen(host->engine, &s.vms[0].key));
    sim_call(&s, host, &leave);
    sim_run(&s, SIM_S);
    assert_int_equal(mat_gossip_n_members(s.hosts[2].engine,
                                          MAT_MEMBER_LEFT), 1);
    sim_record_write(host->recorder, name);
    assert_int_equal(sim_replay(name, false), 0);
    unlink(name);
    sim_destroy(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storm_keeps_to_its_bytes_per_second),
        cmocka_unit_test(test_an_idle_host_keeps_to_its_bytes_per_second),
        cmocka_unit_test(test_a_record_takes_at_most_320_bytes),
        cmocka_unit_test(test_an_interest_that_gets_lost_is_told_again),
        cmocka_unit_test(test_what_the_operator_does_is_recorded_and_replays)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
