/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and messages survive the wire; what is cut or bent is refused. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "claims.h"
#include "mat-cert.h"
#include "mat-host.h"
#include "mat-rng.h"
#include "mat-wire.h"

enum { N = 6 };

struct message {
    struct mat_claim claims[N];
    uint8_t bodies[N][MAT_CLAIM_BODY_MAX];
    uint8_t signatures[N][MAT_SIGNATURE_SIZE];
    uint8_t paths[N][MAT_TREE_DEPTH_MAX * MAT_HASH_SIZE];
};

static struct mat_addr
random_addr(struct mat_rng *rng)
{
    struct mat_addr a;

    for (int i = 0; i < 16; i++) {
        a.b[i] = (uint8_t) mat_rng_next(rng);
    }
    return mat_rng_below(rng, 2) ? a : mat_addr_from_v4(a.b);
}

static struct mat_key
random_key(struct mat_rng *rng, uint64_t host)
{
    struct mat_addr a = random_addr(rng);
    unsigned int plen = 1 + mat_rng_below(rng, mat_addr_bits(&a));
    struct mat_addr masked = mat_addr_mask(&a, plen);
    struct mat_key vmn = mat_key_vmn(mat_rng_below(rng, MAT_ZONE_ALL),
                                     &masked, plen);

    switch (mat_rng_below(rng, 5)) {
    case 0:
        return mat_key_host(host);
    case 1:
        return mat_key_pool(&a, plen);
    case 2:
        return mat_key_revoke(host);
    case 3:
        return mat_key_prep(&vmn, host);
    default:
        return vmn;
    }
}

static void
random_claim(struct mat_rng *rng, struct message *m, int i)
{
    struct mat_claim *c = &m->claims[i];
    uint64_t host = 1 + mat_rng_next(rng) / 2;
    struct mat_addr moa = random_addr(rng);
    struct mat_mac mac = mat_mac_from_u64(mat_rng_next(rng) >> 16);
    bool same = i && mat_rng_below(rng, 2);

    *c = (struct mat_claim) { .key = random_key(rng, host) };
    c->version = (struct mat_version) {
        mat_rng_below(rng, MAT_EPOCH_MAX), mat_rng_below(rng, 100000), host
    };
    if (c->key.type == MAT_TYPE_REVOKE) {
        c->version.host = 0;
    }
    c->state = 1 + (uint8_t) mat_rng_below(rng, 2);
    c->flags = (uint8_t) mat_rng_below(rng, 2);
    c->tree_depth = (uint8_t) mat_rng_below(rng, MAT_TREE_DEPTH_MAX + 1);
    c->tree_index = (uint8_t) mat_rng_below(rng, 1u << c->tree_depth);
    c->body = m->bodies[i];
    if (c->key.type == MAT_TYPE_VMN || c->key.type == MAT_TYPE_PREP) {
        mat_vmn_body(m->bodies[i], &moa, &mac);
        c->body_size = MAT_VMN_BODY_SIZE;
    } else {
        c->body_size = (uint16_t) mat_rng_below(rng, 80);
    }
    memset(m->signatures[i], same ? m->signatures[i - 1][0] : i + 1,
           MAT_SIGNATURE_SIZE);
    memset(m->paths[i], i, sizeof m->paths[i]);
    c->signature = m->signatures[i];
    c->path = m->paths[i];
    mat_claim_seal_sum(c);
}

static size_t
put_message(struct message *m, uint8_t *bytes, size_t max)
{
    struct mat_writer w = { .bytes = bytes, .max = max };

    for (int i = 0; i < N; i++) {
        const struct mat_claim *previous = i ? &m->claims[i - 1] : NULL;
        size_t before = w.n;

        mat_put_claim(&w, &m->claims[i], previous);
        assert_false(w.overflow);
        assert_int_equal(w.n - before,
                         mat_claim_wire_size(&m->claims[i], previous));
    }
    return w.n;
}

static void
test_claims_survive_the_wire(void **state)
{
    struct mat_rng rng = { 11 };

    (void) state;
    for (int round = 0; round < 3000; round++) {
        static struct message m;
        uint8_t bytes[4096], body[MAT_VMN_BODY_SIZE];
        const uint8_t *signature = NULL;
        struct mat_reader r = { .bytes = bytes };

        memset(&m, 0, sizeof m);
        for (int i = 0; i < N; i++) {
            random_claim(&rng, &m, i);
        }
        r.left = put_message(&m, bytes, sizeof bytes);
        for (int i = 0; i < N; i++) {
            const struct mat_claim *want = &m.claims[i];
            struct mat_claim c;

            assert_true(mat_get_claim(&r, &c, body, &signature));
            assert_true(mat_key_equal(&c.key, &want->key));
            assert_int_equal(mat_claim_compare(&c, want), 0);
            assert_int_equal(c.sum, want->sum);
            assert_int_equal(c.hash, want->hash);
            assert_memory_equal(c.signature, want->signature,
                                MAT_SIGNATURE_SIZE);
            assert_int_equal(c.tree_index, want->tree_index);
        }
        assert_int_equal(r.left, 0);
    }
}

/* Bent bytes either fail or are what some claim is encoded to. */
static void
test_decoding_is_exact(void **state)
{
    struct mat_rng rng = { 12 };

    (void) state;
    for (int round = 0; round < 20000; round++) {
        static struct message m;
        uint8_t bytes[1024], again[1024], body[MAT_VMN_BODY_SIZE];
        struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };
        struct mat_writer w2 = { .bytes = again, .max = sizeof again };
        const uint8_t *signature = NULL;
        struct mat_reader r = { .bytes = bytes };
        struct mat_claim c;

        random_claim(&rng, &m, 0);
        mat_put_claim(&w, &m.claims[0], NULL);
        bytes[mat_rng_below(&rng, 40)] ^= (uint8_t) mat_rng_next(&rng);
        r.left = w.n - (mat_rng_below(&rng, 4) ? 0 : mat_rng_below(&rng, 9));
        if (mat_get_claim(&r, &c, body, &signature)) {
            mat_put_claim(&w2, &c, NULL);
            assert_memory_equal(bytes, again, w2.n);
        } else {
            assert_true(r.bad);
        }
    }
}

static void
test_reading_stops_at_the_end(void **state)
{
    const uint8_t bytes[3] = { 1, 2, 3 };
    struct mat_reader r = { .bytes = bytes, .left = sizeof bytes };
    struct mat_writer w = { .bytes = (uint8_t[2]) { 0 }, .max = 2 };

    (void) state;
    assert_int_equal(mat_get_u16(&r), 0x102);
    assert_int_equal(mat_get_u16(&r), 0);
    assert_true(r.bad);
    assert_int_equal(mat_get_u8(&r), 0);
    mat_put_u16(&w, 7);
    assert_false(w.overflow);
    mat_put_u8(&w, 7);
    assert_true(w.overflow);
    assert_int_equal(w.n, 2);
}

static void
test_host_claims_hold_zones_and_certificate(void **state)
{
    struct mat_host_info info = {
        .endpoint = { claims_addr(9), 1234 }, .mtu = 9000, .salt = 42,
        .n_zones = 3, .zones = { 1, 7, 0xffffff },
        .cert = (const uint8_t *) "cert", .cert_size = 4
    }, back;
    uint8_t body[MAT_CLAIM_BODY_MAX];
    size_t n = mat_host_encode(&info, body);

    (void) state;
    assert_true(mat_host_decode(body, n, &back));
    assert_true(mat_endpoint_equal(&back.endpoint, &info.endpoint));
    assert_int_equal(back.mtu, 9000);
    assert_int_equal(back.salt, 42);
    assert_true(mat_host_has_zone(&back, 7));
    assert_false(mat_host_has_zone(&back, 8));
    assert_int_equal(back.cert_size, 4);
    assert_memory_equal(back.cert, "cert", 4);
    for (size_t i = 0; i < n - 4; i++) {
        assert_false(mat_host_decode(body, i, &back));
    }
}

/* The largest of everything fits where it must. */
static void
test_limits_fit_together(void **state)
{
    struct mat_host_info info = {
        .n_zones = MAT_HOST_ZONES_MAX, .cert_size = MAT_CERT_SIZE_MAX
    };
    uint8_t cert[MAT_CERT_SIZE_MAX] = { 0 }, body[MAT_CLAIM_BODY_MAX];

    (void) state;
    for (uint32_t i = 0; i < MAT_HOST_ZONES_MAX; i++) {
        info.zones[i] = i;
    }
    info.cert = cert;
    info.endpoint.addr.b[0] = 0xfd;
    assert_true(mat_host_encode(&info, body) <= MAT_CLAIM_BODY_MAX);
    assert_true(3 + 8 + 16 + 2 + MAT_CLAIM_BODY_MAX + MAT_SIGNATURE_SIZE
                + MAT_TREE_DEPTH_MAX * MAT_HASH_SIZE <= MAT_WIRE_CLAIMS_MAX);
    assert_true(8 + 4 * 256 + MAT_WIRE_MESSAGE_HEAD <= MAT_WIRE_BODY_MAX);
    assert_true(13 + 16 * MAT_WIRE_LEAF_MAX + MAT_WIRE_MESSAGE_HEAD
                <= MAT_WIRE_BODY_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_survive_the_wire),
        cmocka_unit_test(test_decoding_is_exact),
        cmocka_unit_test(test_reading_stops_at_the_end),
        cmocka_unit_test(test_host_claims_hold_zones_and_certificate),
        cmocka_unit_test(test_limits_fit_together)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
