/* SPDX-License-Identifier: Apache-2.0 */
/* Replay window, hash trees, certificates and sealing, with libsodium. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "claims.h"
#include "mat-cert.h"
#include "mat-channel.h"
#include "mat-crypto-sodium.h"
#include "mat-tree.h"

static struct mat_sodium_identity alice_id, bob_id, cluster_id;
static struct mat_crypto alice, bob, cluster;

static int
setup(void **state)
{
    const uint8_t seeds[3][MAT_SODIUM_SEED_SIZE] = { "a", "b", "c" };

    (void) state;
    if (!mat_sodium_identity_init(&alice_id, seeds[0])
        || !mat_sodium_identity_init(&bob_id, seeds[1])
        || !mat_sodium_identity_init(&cluster_id, seeds[2])) {
        return -1;
    }
    alice = mat_sodium_crypto(&alice_id);
    bob = mat_sodium_crypto(&bob_id);
    cluster = mat_sodium_crypto(&cluster_id);
    return 0;
}

/* Boundaries as a table: which counters pass, in this order. */
static void
test_replay_window(void **state)
{
    enum { W = MAT_REPLAY_WINDOW };
    static const struct { uint64_t counter; bool good; } steps[] = {
        { 0, false }, { 1, true }, { 1, false }, { 3, true }, { 2, true },
        { 2, false }, { 3, false }, { W, true }, { 4, false },
        { 64, true }, { 64, false },
        { 2 * W, true }, { 2 * W, false }, { 2 * W - 1, true },
        { W + 64, true }, { W + 64, false }, { W, false }, { W - 1, false },
        { 100 * W, true }, { 2 * W + 1, false }, { 99 * W + 64, true },
        { 99 * W + 64, false }, { 99 * W - 1, false },
        { UINT64_MAX, false }, { UINT64_MAX / 2, true },
        { UINT64_MAX / 2, false }, { 100 * W + 1, false }
    };
    struct mat_replay window = { .top = 0 };

    (void) state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(mat_replay_accept(&window, steps[i].counter),
                         steps[i].good);
    }
}

static void
test_trees_of_all_sizes(void **state)
{
    (void) state;
    for (size_t n = 1; n <= MAT_TREE_LEAVES_MAX; n++) {
        uint8_t bodies[MAT_TREE_LEAVES_MAX][MAT_VMN_BODY_SIZE];
        uint8_t root[MAT_HASH_SIZE];
        struct mat_claim claims[MAT_TREE_LEAVES_MAX];
        struct mat_claim *leaves[MAT_TREE_LEAVES_MAX];
        struct mat_tree tree;

        for (size_t i = 0; i < n; i++) {
            claims[i] = claims_vmn(bodies[i], (unsigned int) i, false, 1, 1,
                                   1);
            leaves[i] = &claims[i];
        }
        mat_tree_sign(&tree, &alice, leaves, n);
        for (size_t i = 0; i < n; i++) {
            mat_tree_root(&bob, &claims[i], root);
            assert_true(mat_tree_verify(&bob, alice_id.public_key,
                                        claims[i].signature, root));
            assert_false(mat_tree_verify(&bob, bob_id.public_key,
                                         claims[i].signature, root));
            claims[i].version.epoch++;
            mat_tree_root(&bob, &claims[i], root);
            assert_false(mat_tree_verify(&bob, alice_id.public_key,
                                         claims[i].signature, root));
        }
    }
}

static struct mat_cert
alices_cert(void)
{
    struct mat_cert cert = {
        .host = 1, .serial = 5, .not_after_s = 1000, .attributes = 3,
        .n_zones = 1, .zones = { { 5, 9 } },
        .n_hoas = 1, .hoas = { { claims_addr(0), 24 } },
        .n_pools = 1, .pools = { { claims_addr(0x100), 24 } }
    };

    memcpy(cert.public_key, alice_id.public_key, sizeof cert.public_key);
    return cert;
}

static void
test_certificates_survive_and_cannot_be_bent(void **state)
{
    struct mat_cert cert = alices_cert(), back;
    uint8_t bytes[MAT_CERT_SIZE_MAX];
    size_t n = mat_cert_issue(&cert, &cluster, bytes);

    (void) state;
    assert_true(mat_cert_parse(bytes, n, &back));
    assert_int_equal(back.host, 1);
    assert_int_equal(back.serial, 5);
    assert_int_equal(back.zones[0].last, 9);
    assert_true(mat_cert_verify(bytes, n, &bob, cluster_id.public_key));
    assert_false(mat_cert_verify(bytes, n, &bob, bob_id.public_key));
    for (size_t i = 0; i < n; i++) {
        assert_false(mat_cert_parse(bytes, i, &back));
        bytes[i] ^= 1;
        assert_false(mat_cert_verify(bytes, n, &bob, cluster_id.public_key));
        bytes[i] ^= 1;
    }
}

static void
test_certificates_limit_claims(void **state)
{
    struct mat_cert cert = alices_cert();
    uint8_t body[MAT_VMN_BODY_SIZE];
    struct mat_claim c = claims_vmn(body, 7, false, 1, 1, 1);
    struct mat_addr home = claims_addr(7), pool = claims_addr(0x100);

    (void) state;
    assert_true(mat_cert_permits(&cert, &c));
    c.key.zone = 10;
    assert_false(mat_cert_permits(&cert, &c));
    c.key.zone = 9;
    assert_true(mat_cert_permits(&cert, &c));
    c.key.addr = claims_addr(0x107);
    assert_false(mat_cert_permits(&cert, &c));
    c.key.addr = claims_addr(7);
    c.key.plen = 23;
    assert_false(mat_cert_permits(&cert, &c));
    c.key.plen = 32;
    c.version.host = 2;
    assert_false(mat_cert_permits(&cert, &c));
    c.version.host = 1;
    memcpy(body, claims_addr(0x207).b, 16);
    assert_false(mat_cert_permits(&cert, &c));
    memcpy(body, home.b, 16);           /* At home: MoA = HoA. */
    assert_true(mat_cert_permits(&cert, &c));
    c.key = mat_key_pool(&pool, 24);
    assert_true(mat_cert_permits(&cert, &c));
    c.key = mat_key_pool(&pool, 23);
    assert_false(mat_cert_permits(&cert, &c));
    c.key = mat_key_revoke(1);
    assert_false(mat_cert_permits(&cert, &c));
}

static void
test_sealed_datagrams(void **state)
{
    struct mat_datagram_head head = {
        .kind = MAT_DATAGRAM_DATA, .label = 7, .sender = 1, .counter = 9
    }, back;
    uint8_t key_a[MAT_SECRET_SIZE], key_b[MAT_SECRET_SIZE];
    uint8_t datagram[MAT_WIRE_DATAGRAM_MAX], copy[MAT_WIRE_DATAGRAM_MAX];
    size_t at = mat_channel_head_size(head.kind), n;
    struct mat_reader body;

    (void) state;
    assert_true(mat_channel_key(&alice, bob_id.public_key, 7, 1, 2, key_a));
    assert_true(mat_channel_key(&bob, alice_id.public_key, 7, 1, 2, key_b));
    assert_memory_equal(key_a, key_b, sizeof key_a);
    assert_true(mat_channel_key(&bob, alice_id.public_key, 7, 1, 3, key_b));
    assert_memory_not_equal(key_a, key_b, sizeof key_a);

    memcpy(datagram + at, "hello", 5);
    n = mat_channel_seal(&alice, key_a, &head, 2, datagram, 5);
    assert_true(mat_channel_parse(datagram, n, &back));
    assert_int_equal(back.counter, 9);
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, datagram, n);
        copy[i] ^= 0x10;
        if (mat_channel_parse(copy, n, &back)
            && back.kind == MAT_DATAGRAM_DATA) {
            assert_false(mat_channel_open(&bob, key_a, &back, 2, copy, n,
                                          &body));
        }
        assert_false(mat_channel_parse(datagram, i, &back)
                     && i < at + MAT_TAG_SIZE);
    }
    memcpy(copy, datagram, n);
    assert_false(mat_channel_open(&bob, key_a, &head, 3, copy, n, &body));
    assert_true(mat_channel_open(&bob, key_a, &head, 2, datagram, n, &body));
    assert_int_equal(body.left, 5);
    assert_memory_equal(body.bytes, "hello", 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_window),
        cmocka_unit_test(test_trees_of_all_sizes),
        cmocka_unit_test(test_certificates_survive_and_cannot_be_bent),
        cmocka_unit_test(test_certificates_limit_claims),
        cmocka_unit_test(test_sealed_datagrams)
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
