/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-map.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mat-csum.h"
#include "mat-multiplier.h"
#include "table-config.h"

/* The map against a plain array, and its promises to readers. */

enum { N_KEYS = 3000 };

static const struct mat_map_memory_ops memory = {
    test_allocate, test_release
};
static const uint64_t seed[2] = { 0x1234567890abcdef, 0xfedcba0987654321 };

static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static struct mat_addr
make_addr(bool v4, uint64_t n)
{
    uint8_t b[16] = { 0x20, 0x01, 0x0d, 0xb8 };

    for (int i = 0; i < 4; i++) {
        b[v4 ? i : 12 + i] = (uint8_t) (n >> (24 - 8 * i));
    }
    return v4 ? mat_addr_from_v4(b) : mat_addr_from_v6(b);
}

static struct mat_mapping
make_mapping(bool v4, uint32_t zone, uint32_t key, uint32_t value)
{
    return (struct mat_mapping) {
        .key = make_addr(v4, 0x0a000000 + key),
        .value = make_addr(v4, 0x64400000 + value),
        .zone = zone,
        .flags = MAT_MAP_VALID | 2,
        .aux = (uint64_t) value << 20 | 7,
    };
}

/* Looks up as the datapath does. */
static bool
find(const struct mat_map *map, uint32_t zone, const struct mat_addr *key,
     bool mark, struct mat_map_hit *hit)
{
    uint32_t tag = zone << MAT_MAP_ZONE_SHIFT | MAT_MAP_VALID;
    uint32_t mask = (map->is_zoned ? ~(uint32_t) MAT_MAP_FLAGS | MAT_MAP_VALID
                     : MAT_MAP_VALID);

    if (map->is_v4) {
        uint32_t v4 = mat_addr_v4(key);
        struct mat_map4_bucket *home
            = mat_map_home4(map, mat_map_hash4(map, zone, v4));

        return (mat_map4_find_in(home, tag, mask, v4, mark, hit)
                || mat_map4_find(map, zone, v4, mark, hit));
    } else {
        struct mat_map6_bucket *home;
        uint64_t words[2];

        memcpy(words, key->b, 16);
        home = mat_map_home6(map, mat_map_hash6(map, zone, words));
        return (mat_map6_find_in(home, tag, mask, words, mark, hit)
                || mat_map6_find(map, zone, words, mark, hit));
    }
}

static void
assert_value(const struct mat_map *map, const struct mat_mapping *m,
             const struct mat_map_hit *hit)
{
    if (map->is_v4) {
        assert_int_equal(hit->value4, mat_addr_v4(&m->value));
    } else {
        assert_memory_equal(hit->value6, m->value.b, 16);
        assert_int_equal(hit->delta6, mat_csum_fold(
            mat_csum_add128(0, m->key.b, m->value.b)));
    }
    assert_int_equal(hit->aux, m->aux);
    assert_int_equal(mat_map_hit_zone(hit), m->zone);
}

/* Random changes, each followed by a look at the key and, now and then, at
 * all. */
static void
check_against_array(bool v4, bool zoned)
{
    static uint32_t values[2][N_KEYS];  /* 0: not in the map. */
    uint64_t random = 1;
    struct mat_map map;
    size_t n = 0;

    memset(values, 0, sizeof values);
    assert_true(mat_map_init(&map, v4, zoned, seed, &memory));
    for (int round = 0; round < 60000; round++) {
        uint32_t zone = zoned ? next_random(&random) % 2 : 0;
        uint32_t key = (uint32_t) (next_random(&random) % N_KEYS);
        uint32_t value = (uint32_t) (next_random(&random) % 100000) + 1;
        uint32_t *slot = &values[zone][key];
        struct mat_mapping m = make_mapping(v4, zone, key, value);
        struct mat_map_hit hit;

        if (mat_map_wants_collect(&map)) {
            mat_map_collect(&map);
        }
        if (next_random(&random) % 3) {
            assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
            n += !*slot;
            *slot = value;
            assert_true(find(&map, zone, &m.key, false, &hit));
            assert_value(&map, &m, &hit);
        } else {
            assert_int_equal(mat_map_remove(&map, zone, &m.key), *slot != 0);
            n -= *slot != 0;
            *slot = 0;
            assert_false(find(&map, zone, &m.key, false, &hit));
        }
        assert_int_equal(mat_map_count(&map), n);
        for (uint32_t i = 0; round % 3000 == 0 && i < 2 * N_KEYS; i++) {
            uint32_t k = i / 2, z = i % 2;

            if (z && !zoned) {
                continue;
            }
            m = make_mapping(v4, z, k, values[z][k]);
            assert_int_equal(find(&map, z, &m.key, false, &hit),
                             values[z][k] != 0);
            if (values[z][k]) {
                assert_value(&map, &m, &hit);
            }
        }
    }
    mat_map_destroy(&map);
    assert_int_equal(bytes_in_use, 0);
}

static void
equals_an_array(void **state)
{
    (void) state;
    check_against_array(true, true);
    check_against_array(true, false);
    check_against_array(false, true);
    check_against_array(false, false);
}

static void
grows_to_a_million(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    enum { N = 100000 };        /* Sanitizers are slow. */
#else
    enum { N = 1000000 };
#endif

    (void) state;
    for (int v4 = 0; v4 < 2; v4++) {
        uint32_t n = v4 ? N : N / 4;
        struct mat_map map;

        assert_true(mat_map_init(&map, v4, true, seed, &memory));
        for (uint32_t i = 0; i < n; i++) {
            struct mat_mapping m = make_mapping(v4, i % 5, i, i + 1);

            assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
        }
        mat_map_collect(&map);
        assert_int_equal(mat_map_count(&map), n);
        assert_int_equal(mat_map_bytes_retired(&map), 0);
        /* What docs/design.md promises. */
        assert_true(mat_map_bytes(&map) <= (size_t) n * (v4 ? 110 : 330));
        for (uint32_t i = 0; i < n; i++) {
            struct mat_mapping m = make_mapping(v4, i % 5, i, i + 1);
            struct mat_map_hit hit;

            assert_true(find(&map, i % 5, &m.key, false, &hit));
            assert_value(&map, &m, &hit);
            assert_false(find(&map, 5, &m.key, false, &hit));
        }
        mat_map_destroy(&map);
    }
    assert_int_equal(bytes_in_use, 0);
}

static void
marks_what_was_used(void **state)
{
    struct mat_mapping m = make_mapping(true, 1, 5, 6);
    struct mat_map_hit hit;
    struct mat_map map;

    (void) state;
    assert_true(mat_map_init(&map, true, true, seed, &memory));
    assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
    assert_true(find(&map, 1, &m.key, false, &hit));
    assert_false(mat_map_mark(&map, 1, &m.key, true));
    assert_true(find(&map, 1, &m.key, true, &hit));
    assert_true(mat_map_mark(&map, 1, &m.key, false));
    assert_true(mat_map_mark(&map, 1, &m.key, true));
    assert_false(mat_map_mark(&map, 1, &m.key, true));
    mat_map_destroy(&map);
}

static void
walks_over_all(void **state)
{
    static uint8_t seen[N_KEYS];
    struct mat_mapping m;
    struct mat_map map;
    uint64_t cursor = 0;
    uint32_t added = N_KEYS;

    (void) state;
    assert_true(mat_map_init(&map, true, false, seed, &memory));
    for (uint32_t i = 0; i < N_KEYS; i++) {
        m = make_mapping(true, 3, i, i);
        assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
    }
    /* Shards grow under the walk. */
    while (mat_map_next(&map, &cursor, &m)) {
        uint32_t value = (uint32_t) (m.aux >> 20);

        if (value < N_KEYS) {
            seen[value]++;
        }
        if (added < 4 * N_KEYS) {
            m = make_mapping(true, 3, added, added);
            assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
            added++;
        }
    }
    for (uint32_t i = 0; i < N_KEYS; i++) {
        assert_true(seen[i] >= 1);
    }
    mat_map_destroy(&map);
}

/* Keys that all collide, which no choice of multipliers here can cause, are
 * refused before they cost memory without end. */
static void
colliding_keys_are_refused(void **state)
{
    enum mat_map_error error = MAT_MAP_OK;
    struct mat_map map;
    uint32_t n;

    (void) state;
    assert_true(mat_map_init(&map, true, true, seed, &memory));
    map.multipliers[0] = 1;
    for (n = 0; n < 100000 && !error; n++) {
        struct mat_mapping m = make_mapping(true, 1, n, n);

        error = mat_map_put(&map, &m);
    }
    assert_int_equal(error, MAT_MAP_CROWDED);
    assert_int_equal(mat_map_count(&map), n - 1);
    assert_true(mat_map_bytes(&map) + mat_map_bytes_retired(&map) < 1 << 20);
    mat_map_destroy(&map);
    assert_int_equal(bytes_in_use, 0);
}

/* The most marks of 2^log2 that fall into one of as many arcs of the circle,
 * each 'multiplier' << 'stride' after the one before. */
static unsigned int
highest_heap(uint64_t multiplier, unsigned int stride, unsigned int log2)
{
    static uint16_t heaps[1 << 16];
    unsigned int highest = 0;

    memset(heaps, 0, sizeof heaps);
    for (uint64_t i = 0; i < UINT64_C(1) << log2; i++) {
        unsigned int heap = ++heaps[(i << stride) * multiplier >> (64 - log2)];

        if (heap > highest) {
            highest = heap;
        }
    }
    return highest;
}

static void
multipliers_spread(void **state)
{
    uint64_t random = 7;

    (void) state;
    /* Close to 16/225, to 1/2^32, even, and one whose 2^16th is close. */
    assert_false(mat_multiplier_is_good(UINT64_C(0x1234567890abcdef)));
    assert_false(mat_multiplier_is_good(UINT64_C(0x100000001)));
    assert_false(mat_multiplier_is_good(UINT64_C(0xe099ec6cd7363ca4)));
    assert_false(mat_multiplier_is_good(UINT64_C(0x9e37000000000001)));
    assert_true(highest_heap(UINT64_C(0x1234567890abcdef), 0, 16) > 100);
    for (int i = 0; i < 20; i++) {
        uint64_t multiplier = mat_multiplier_next(&random);

        assert_true(mat_multiplier_is_good(multiplier));
        for (unsigned int stride = 0; stride <= 16; stride += 4) {
            assert_true(highest_heap(multiplier, stride, 10) <= 10);
            assert_true(highest_heap(multiplier, stride, 16) <= 10);
        }
    }
}

/* A key that moves all the time must not make the map grow. */
static void
replacing_takes_no_memory(void **state)
{
    struct mat_map map;

    (void) state;
    for (int v4 = 0; v4 < 2; v4++) {
        assert_true(mat_map_init(&map, v4, true, seed, &memory));
        for (uint32_t i = 0; i < 20000; i++) {
            struct mat_mapping m = make_mapping(v4, 1, 7, i);

            if (mat_map_wants_collect(&map)) {
                mat_map_collect(&map);
            }
            assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
        }
        assert_true(mat_map_bytes(&map) <= (MAT_MAP_SHARDS + 256) * 128);
        mat_map_destroy(&map);
    }
    assert_int_equal(bytes_in_use, 0);
}

static bool fails;

static void *
failing_alloc(size_t size)
{
    return fails ? NULL : test_allocate(size);
}

static void
no_memory_changes_nothing(void **state)
{
    static const struct mat_map_memory_ops failing = {
        failing_alloc, test_release
    };
    struct mat_mapping m;
    struct mat_map map;
    uint32_t n = 0;

    (void) state;
    fails = false;
    assert_true(mat_map_init(&map, true, true, seed, &failing));
    fails = true;
    do {
        m = make_mapping(true, 1, n, n);
        n++;
    } while (mat_map_put(&map, &m) == MAT_MAP_OK);
    assert_true(n > 1);
    assert_int_equal(mat_map_count(&map), n - 1);
    for (uint32_t i = 0; i < n; i++) {
        struct mat_map_hit hit;

        m = make_mapping(true, 1, i, i);
        assert_int_equal(find(&map, 1, &m.key, false, &hit), i < n - 1);
    }
    fails = false;
    assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
    mat_map_destroy(&map);
    assert_int_equal(bytes_in_use, 0);
}

/* Readers beside a writer that inserts, replaces, removes and grows.  A value
 * is always one of two that belong to its key, and keys that stay are always
 * found.  Under TSan this also shows that there is no race. */

enum { N_READERS = 2, N_STABLE = 500, N_CHURN = 20000 };

struct arena {
    struct mat_map map;
    uint64_t epochs[N_READERS];
    bool done;
};

struct reader {
    struct arena *arena;
    int index;
    uint64_t n_found, n_wrong;
};

static void
read_some(struct reader *r, uint64_t *random)
{
    const struct mat_map *map = &r->arena->map;

    for (int i = 0; i < 32; i++) {
        uint32_t key = (uint32_t) (next_random(random)
                                   % (N_STABLE + N_CHURN));
        struct mat_mapping a = make_mapping(map->is_v4, 9, key, key);
        struct mat_mapping b = make_mapping(map->is_v4, 9, key,
                                            key + 1000000);
        struct mat_map_hit hit;

        if (find(map, 9, &a.key, true, &hit)) {
            bool is_a = hit.aux == a.aux, is_b = hit.aux == b.aux;
            const struct mat_mapping *m = is_a ? &a : &b;

            r->n_wrong += !is_a && !is_b;
            r->n_wrong += (map->is_v4
                           ? hit.value4 != mat_addr_v4(&m->value)
                           : memcmp(hit.value6, m->value.b, 16) != 0);
            r->n_found++;
        } else {
            r->n_wrong += key < N_STABLE;
        }
    }
}

static void *
reader_main(void *reader_)
{
    struct reader *r = reader_;
    uint64_t *epoch = &r->arena->epochs[r->index];
    uint64_t random = (uint64_t) r->index + 77;

    while (!__atomic_load_n(&r->arena->done, __ATOMIC_ACQUIRE)) {
        __atomic_fetch_add(epoch, 1, __ATOMIC_ACQ_REL);
        read_some(r, &random);
        __atomic_fetch_add(epoch, 1, __ATOMIC_ACQ_REL);
    }
    return NULL;
}

static void
wait_for_readers(struct arena *arena)
{
    for (int i = 0; i < N_READERS; i++) {
        uint64_t epoch = __atomic_fetch_add(&arena->epochs[i], 0,
                                            __ATOMIC_ACQ_REL);

        while (epoch & 1
               && __atomic_load_n(&arena->epochs[i], __ATOMIC_ACQUIRE)
                  == epoch) {
            continue;
        }
    }
}

static void
put_stable(struct arena *arena, bool v4, uint32_t shift)
{
    for (uint32_t i = 0; i < N_STABLE; i++) {
        struct mat_mapping m = make_mapping(v4, 9, i, i + shift);

        assert_int_equal(mat_map_put(&arena->map, &m), MAT_MAP_OK);
    }
}

static void
check_with_readers(bool v4)
{
    struct arena *arena = calloc(1, sizeof *arena);
    struct reader readers[N_READERS];
    pthread_t threads[N_READERS];
    uint64_t n_found = 0;

    assert_true(mat_map_init(&arena->map, v4, true, seed, &memory));
    put_stable(arena, v4, 0);
    for (int i = 0; i < N_READERS; i++) {
        readers[i] = (struct reader) { .arena = arena, .index = i };
        pthread_create(&threads[i], NULL, reader_main, &readers[i]);
    }
    for (int round = 0; round < 6; round++) {
        put_stable(arena, v4, round % 2 ? 0 : 1000000);
        for (uint32_t i = 0; i < N_CHURN; i++) {
            struct mat_mapping m = make_mapping(v4, 9, N_STABLE + i,
                                                N_STABLE + i);

            if (round % 2) {
                mat_map_remove(&arena->map, 9, &m.key);
            } else {
                assert_int_equal(mat_map_put(&arena->map, &m), MAT_MAP_OK);
            }
            if (i % 100 == 0) {
                wait_for_readers(arena);
                mat_map_collect(&arena->map);
            }
        }
        wait_for_readers(arena);
        mat_map_collect(&arena->map);
    }
    __atomic_store_n(&arena->done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < N_READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].n_wrong, 0);
        n_found += readers[i].n_found;
    }
    assert_true(n_found > 0);
    mat_map_destroy(&arena->map);
    free(arena);
}

static void
readers_see_whole_values(void **state)
{
    (void) state;
    check_with_readers(true);
    check_with_readers(false);
}

/* A reader loads the tag once more after it has found a mapping.  One that was
 * withdrawn in between must not seem to be of another zone. */
static void
a_withdrawn_mapping_keeps_its_zone(void **state)
{
    struct mat_mapping m = make_mapping(true, 7, 1, 2);
    struct mat_map4_bucket *home;
    struct mat_map_hit hit;
    struct mat_map map;

    (void) state;
    assert_true(mat_map_init(&map, true, false, seed, &memory));
    assert_int_equal(mat_map_put(&map, &m), MAT_MAP_OK);
    home = mat_map_home4(&map, mat_map_hash4(&map, 0, mat_addr_v4(&m.key)));
    assert_int_equal(home->tag[0], 7u << MAT_MAP_ZONE_SHIFT | m.flags);
    assert_true(mat_map_remove(&map, 7, &m.key));
    hit.tag = home->tag[0];
    assert_int_equal(mat_map_hit_zone(&hit), 7);
    assert_int_equal(hit.tag & MAT_MAP_FLAGS,
                     (m.flags & ~MAT_MAP_VALID) | MAT_MAP_WITHDRAWN);
    assert_false(find(&map, 7, &m.key, false, &hit));
    mat_map_collect(&map);
    assert_int_equal(home->tag[0], 0);
    mat_map_destroy(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_an_array),
        cmocka_unit_test(grows_to_a_million),
        cmocka_unit_test(marks_what_was_used),
        cmocka_unit_test(walks_over_all),
        cmocka_unit_test(multipliers_spread),
        cmocka_unit_test(colliding_keys_are_refused),
        cmocka_unit_test(replacing_takes_no_memory),
        cmocka_unit_test(no_memory_changes_nothing),
        cmocka_unit_test(readers_see_whole_values),
        cmocka_unit_test(a_withdrawn_mapping_keeps_its_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
