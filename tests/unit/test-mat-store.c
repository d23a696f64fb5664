/* SPDX-License-Identifier: Apache-2.0 */
/* The merge is a join: any order, any repetition, any grouping of the same
 * claims gives the same store.  Shown for all sets of four claims out of a
 * small world in all orders, and for random sets in a larger one, against a
 * naive reading of the rules. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "claims.h"
#include "mat-rng.h"
#include "mat-store.h"

enum { WORLD_MAX = 64, SCAN_MAX = 4096 };

struct world {
    size_t n;
    struct mat_claim claims[WORLD_MAX];
    uint8_t bodies[WORLD_MAX][MAT_VMN_BODY_SIZE];
};

static void
add(struct world *w, bool prep, uint32_t epoch, uint32_t seq, uint64_t host,
    enum mat_claim_state state)
{
    struct mat_claim *c = &w->claims[w->n];

    *c = claims_vmn(w->bodies[w->n], 1, prep, epoch, seq, host);
    c->state = (uint8_t) state;
    mat_claim_seal_sum(c);
    w->n++;
}

static void
small_world(struct world *w)
{
    w->n = 0;
    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        for (uint64_t host = 1; host <= 2; host++) {
            add(w, false, epoch, 1, host, MAT_CLAIM_LIVE);
            add(w, true, epoch + 1, 1, host, MAT_CLAIM_LIVE);
            add(w, true, epoch + 1, 2, host, MAT_CLAIM_GONE);
        }
        add(w, false, epoch, 2, 1, MAT_CLAIM_GONE);
        add(w, false, epoch, 2, 1, MAT_CLAIM_LIVE);
    }
}

/* Equal content, as digest and claim by claim. */
static void
assert_same(const struct mat_store *a, const struct mat_store *b)
{
    const struct mat_store_zone *za = mat_store_zone(a, 7);
    const struct mat_store_zone *zb = mat_store_zone(b, 7);
    const struct mat_claim *c;
    size_t cursor = 0;

    assert_int_equal(a->n, b->n);
    assert_int_equal(za ? za->root : 0, zb ? zb->root : 0);
    while ((c = mat_store_next(a, &cursor)) != NULL) {
        const struct mat_claim *d = mat_store_find(b, &c->key);

        assert_non_null(d);
        assert_int_equal(mat_claim_compare(c, d), 0);
    }
}

/* The rules, read naively. */
static bool
expected(const struct world *w, const size_t *set, size_t n, size_t i)
{
    const struct mat_claim *c = &w->claims[set[i]];
    unsigned int better = 0;
    uint32_t live_epoch = 0;

    for (size_t j = 0; j < n; j++) {
        const struct mat_claim *d = &w->claims[set[j]];

        if (mat_key_equal(&c->key, &d->key) && mat_claim_compare(d, c) > 0) {
            return false;
        }
        if (d->key.type == MAT_TYPE_VMN && d->version.epoch > live_epoch) {
            live_epoch = d->version.epoch;
        }
    }
    if (c->key.type == MAT_TYPE_VMN) {
        return true;
    }
    for (uint64_t host = 1; host <= 16; host++) {
        bool is_better = false;

        for (size_t j = 0; j < n; j++) {
            const struct mat_claim *d = &w->claims[set[j]];

            is_better |= d->key.type == MAT_TYPE_PREP && d->key.host == host
                         && host != c->key.host
                         && mat_version_compare(&d->version, &c->version) > 0;
        }
        better += is_better;
    }
    return c->version.epoch > live_epoch && better < MAT_STORE_PREPS_MAX;
}

static void
assert_expected(const struct mat_store *s, const struct world *w,
                const size_t *set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct mat_claim *c = &w->claims[set[i]];
        const struct mat_claim *here = mat_store_find(s, &c->key);
        bool is_here = here && !mat_claim_compare(here, c);

        assert_int_equal(is_here, expected(w, set, n, i));
    }
}

static void
put_all(struct mat_store *s, const struct world *w, const size_t *set,
        size_t n)
{
    mat_store_init(s, NULL, 1000);
    for (size_t i = 0; i < n; i++) {
        mat_store_put(s, &w->claims[set[i]]);
    }
}

static void
swap(size_t *a, size_t *b)
{
    size_t t = *a;

    *a = *b;
    *b = t;
}

/* All orders of set[i..n) after what is fixed. */
static void
check_orders(const struct world *w, size_t *set, size_t n, size_t i,
             const struct mat_store *reference)
{
    if (i == n) {
        struct mat_store s;

        put_all(&s, w, set, n);
        assert_same(&s, reference);
        mat_store_destroy(&s);
        return;
    }
    for (size_t j = i; j < n; j++) {
        swap(&set[i], &set[j]);
        check_orders(w, set, n, i + 1, reference);
        swap(&set[i], &set[j]);
    }
}

static void
test_all_orders_of_small_sets_agree(void **state)
{
    struct world w;
    size_t set[4];

    (void) state;
    small_world(&w);
    for (set[0] = 0; set[0] < w.n; set[0]++) {
        for (set[1] = 0; set[1] < set[0]; set[1]++) {
            for (set[2] = 0; set[2] < set[1]; set[2]++) {
                for (set[3] = 0; set[3] < set[2]; set[3]++) {
                    struct mat_store s;

                    put_all(&s, &w, set, 4);
                    assert_expected(&s, &w, set, 4);
                    check_orders(&w, set, 4, 0, &s);
                    mat_store_destroy(&s);
                }
            }
        }
    }
}

static void
random_world(struct mat_rng *rng, struct world *w)
{
    w->n = 0;
    while (w->n < 40) {
        add(w, mat_rng_below(rng, 3) != 0, 1 + mat_rng_below(rng, 4),
            1 + mat_rng_below(rng, 3), 1 + mat_rng_below(rng, 8),
            mat_rng_below(rng, 4) ? MAT_CLAIM_LIVE : MAT_CLAIM_GONE);
    }
}

static void
merge(struct mat_store *into, const struct mat_store *from)
{
    const struct mat_claim *c;
    size_t cursor = 0;

    while ((c = mat_store_next(from, &cursor)) != NULL) {
        mat_store_put(into, c);
    }
}

/* (a + b) + c = a + (b + c), a + b = b + a, a + a = a, for random parts. */
static void
test_merging_stores_is_a_join(void **state)
{
    struct mat_rng rng = { 1 };

    (void) state;
    for (int round = 0; round < 3000; round++) {
        struct mat_store a, b, left, right;
        size_t set[40], cut;
        struct world w;

        random_world(&rng, &w);
        for (size_t i = 0; i < 40; i++) {
            set[i] = i;
        }
        cut = mat_rng_below(&rng, 41);
        put_all(&a, &w, set, cut);
        put_all(&b, &w, set + cut, 40 - cut);
        mat_store_init(&left, NULL, 1000);
        merge(&left, &a);
        merge(&left, &b);
        merge(&left, &left);
        mat_store_init(&right, NULL, 1000);
        merge(&right, &b);
        merge(&right, &a);
        merge(&right, &b);
        assert_same(&left, &right);
        assert_expected(&left, &w, set, 40);
        mat_store_destroy(&a);
        mat_store_destroy(&b);
        mat_store_destroy(&left);
        mat_store_destroy(&right);
    }
}

static void
test_versions_are_totally_ordered(void **state)
{
    struct world w;

    (void) state;
    small_world(&w);
    for (size_t i = 0; i < w.n; i++) {
        for (size_t j = 0; j < w.n; j++) {
            int ij = mat_claim_compare(&w.claims[i], &w.claims[j]);
            int ji = mat_claim_compare(&w.claims[j], &w.claims[i]);

            assert_true((ij < 0) == (ji > 0) && (ij == 0) == (ji == 0));
            for (size_t k = 0; k < w.n; k++) {
                if (ij < 0 && mat_claim_compare(&w.claims[j],
                                                &w.claims[k]) < 0) {
                    assert_true(mat_claim_compare(&w.claims[i],
                                                  &w.claims[k]) < 0);
                }
            }
        }
    }
}

static void
test_preparing_does_not_displace(void **state)
{
    const struct mat_claim *preps[MAT_STORE_PREPS_MAX];
    uint8_t live_body[MAT_VMN_BODY_SIZE], prep_body[MAT_VMN_BODY_SIZE];
    struct mat_claim live = claims_vmn(live_body, 1, false, 3, 1, 1);
    struct mat_claim prep = claims_vmn(prep_body, 1, true, 4, 1, 2);
    struct mat_store s;

    (void) state;
    mat_store_init(&s, NULL, 10);
    assert_int_equal(mat_store_put(&s, &live), MAT_MERGE_NEW);
    assert_int_equal(mat_store_put(&s, &prep), MAT_MERGE_NEW);
    assert_int_equal(mat_store_find(&s, &live.key)->version.host, 1);
    assert_int_equal(mat_store_preps(&s, &live.key, preps), 1);
    live.version = (struct mat_version) { 4, 1, 2 };
    mat_claim_seal_sum(&live);
    assert_int_equal(mat_store_put(&s, &live), MAT_MERGE_NEWER);
    assert_int_equal(mat_store_preps(&s, &live.key, preps), 0);
    assert_int_equal(mat_store_put(&s, &prep), MAT_MERGE_INERT);
    mat_store_destroy(&s);
}

/* Scans of all depths against a walk over everything. */
static void
test_scan_finds_what_has_the_prefix(void **state)
{
    static uint8_t bodies[1000][MAT_VMN_BODY_SIZE];
    static const struct mat_claim *found[SCAN_MAX];
    struct mat_rng rng = { 5 };
    struct mat_store s;

    (void) state;
    mat_store_init(&s, NULL, 2000);
    for (unsigned int i = 0; i < 1000; i++) {
        struct mat_claim c = claims_vmn(bodies[i], i, i % 3 == 0, 1, 1, 1);

        mat_store_put(&s, &c);
    }
    for (int round = 0; round < 2000; round++) {
        unsigned int bits = mat_rng_below(&rng, 20);
        uint64_t prefix = mat_rng_next(&rng);
        size_t n = mat_store_scan(&s, 7, prefix, bits, found, SCAN_MAX);
        const struct mat_claim *c;
        size_t cursor = 0, n_want = 0;

        while ((c = mat_store_next(&s, &cursor)) != NULL) {
            n_want += !bits || c->hash >> (64 - bits) == prefix >> (64 - bits);
        }
        assert_int_equal(n, n_want);
        for (size_t i = 1; i < n; i++) {
            assert_true(found[i - 1]->hash <= found[i]->hash);
        }
    }
    mat_store_destroy(&s);
}

static void
test_limits_and_removal(void **state)
{
    uint8_t bodies[20][MAT_VMN_BODY_SIZE];
    struct mat_claim claims[20];
    struct mat_store s;

    (void) state;
    mat_store_init(&s, NULL, 19);
    for (unsigned int i = 0; i < 20; i++) {
        claims[i] = claims_vmn(bodies[i], i, false, 1, 1, 1);
        assert_int_equal(mat_store_put(&s, &claims[i]),
                         i < 19 ? MAT_MERGE_NEW : MAT_MERGE_FULL);
    }
    claims[0].version.seq = 2;
    mat_claim_seal_sum(&claims[0]);
    assert_int_equal(mat_store_put(&s, &claims[0]), MAT_MERGE_NEWER);
    mat_store_hide(&s, &claims[1].key, true);
    assert_int_equal(mat_store_zone(&s, 7)->n, 18);
    mat_store_hide(&s, &claims[1].key, false);
    assert_int_equal(mat_store_zone(&s, 7)->n, 19);
    mat_store_hide(&s, &claims[2].key, true);
    for (unsigned int i = 0; i < 19; i++) {
        assert_non_null(mat_store_find(&s, &claims[i].key));
        assert_ptr_equal(mat_store_find_hash(&s, claims[i].hash),
                         mat_store_find(&s, &claims[i].key));
        mat_store_remove(&s, &claims[i].key);
        assert_null(mat_store_find(&s, &claims[i].key));
    }
    assert_null(mat_store_zone(&s, 7));
    mat_store_destroy(&s);
}

static void
test_a_pool_shares_equal_claims(void **state)
{
    struct mat_claim_pool *pool = mat_claim_pool_create();
    uint8_t body[MAT_VMN_BODY_SIZE];
    struct mat_claim c = claims_vmn(body, 1, false, 1, 1, 1);
    const struct mat_claim *a = mat_claim_copy(pool, &c);
    const struct mat_claim *b = mat_claim_copy(pool, &c);

    (void) state;
    assert_ptr_equal(a, b);
    mat_claim_unref(a);
    assert_int_equal(b->version.epoch, 1);
    mat_claim_unref(b);
    mat_claim_pool_destroy(pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_orders_of_small_sets_agree),
        cmocka_unit_test(test_merging_stores_is_a_join),
        cmocka_unit_test(test_versions_are_totally_ordered),
        cmocka_unit_test(test_preparing_does_not_displace),
        cmocka_unit_test(test_scan_finds_what_has_the_prefix),
        cmocka_unit_test(test_limits_and_removal),
        cmocka_unit_test(test_a_pool_shares_equal_claims)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
