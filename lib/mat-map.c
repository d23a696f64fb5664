/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-map.h"

#include <assert.h>
#include <stdlib.h>

#include "mat-csum.h"
#include "mat-multiplier.h"

/* Memory orders, in one place.
 *
 * A mapping is published by a release store of its tag, which readers load
 * with acquire before they believe the rest of the slot.  'version' is raised
 * between the publication of a replacement and the withdrawal of the old
 * mapping; a reader that loaded the withdrawn tag (acquire) therefore also
 * sees the raised version, and tries again. */

enum {
    /* A shard is at most this full, in percent, before it doubles.  At these,
     * 4 of 100 IPv4 mappings and 7 of 100 IPv6 mappings are not at home. */
    FULL_PERCENT = 40,

    /* A shard that is emptier than this does not grow: if keys collide all the
     * same, a larger one would not help. */
    EMPTY_PERCENT = 2,
    SMALL_SLOTS = 1024,         /* Where percents mean little. */

    WITHDRAWN_MAX = 4096,       /* Slots that wait for mat_map_collect(). */
    WITHDRAWN_SPARE = 8,        /* For one change of the table, once it has
                                 * found that there is room. */
    BYTES_RETIRED_MAX = 16 << 20,       /* The same for arrays. */
    LOG2_MAX = 40               /* Of the buckets of a shard. */
};

/* Where a mapping is: 'tag' leads to its slot. */
struct place {
    uint32_t *tag;
    uint64_t bucket;            /* Index in its shard. */
    unsigned int slot;
};

struct retired_array {
    struct retired_array *next;
    void *buckets;
    size_t size;
};

struct mat_map_writer {
    struct mat_map_memory_ops memory;
    size_t n_mappings;
    size_t bytes;
    size_t bytes_retired;
    struct retired_array *retired;

    /* Tags of slots that no reader will find any more, and their shards. */
    uint32_t *withdrawn[WITHDRAWN_MAX];
    struct mat_map_shard *withdrawn_shard[WITHDRAWN_MAX];
    uint64_t withdrawn_array[WITHDRAWN_MAX];
    size_t n_withdrawn;
};

/* A withdrawn slot is neither valid nor free.  The rest of its tag stays, for
 * a reader that has just found the mapping may load the tag once more: with
 * another zone, it would take the mapping for one of that zone. */
#define TAG_FREE 0u

static unsigned int
slots_per_bucket(const struct mat_map *map)
{
    return map->is_v4 ? MAT_MAP_SLOTS4 : MAT_MAP_SLOTS6;
}

/* Log2 of the size of a bucket. */
static unsigned int
bucket_log2(const struct mat_map *map)
{
    return map->is_v4 ? 6 : 7;
}

/* Log2 of the number of buckets, from the shift in the word, and back. */
static unsigned int
array_log2(const struct mat_map *map, uint64_t array)
{
    return 64 - bucket_log2(map) - (unsigned int) (array & 63);
}

static uint64_t
n_buckets(const struct mat_map *map, uint64_t array)
{
    return UINT64_C(1) << array_log2(map, array);
}

static void *
buckets_of(uint64_t array)
{
    return (void *) (uintptr_t) (array & ~UINT64_C(63));
}

static void *
bucket_of(const struct mat_map *map, uint64_t array, uint64_t bucket)
{
    return (char *) buckets_of(array) + (bucket << bucket_log2(map));
}

/* Both kinds of bucket begin alike. */
_Static_assert(offsetof(struct mat_map4_bucket, n_passed)
               == offsetof(struct mat_map6_bucket, n_passed), "alike");
_Static_assert(offsetof(struct mat_map4_bucket, accessed)
               == offsetof(struct mat_map6_bucket, accessed), "alike");

static uint16_t *
n_passed_of(const struct mat_map *map, uint64_t array, uint64_t bucket)
{
    struct mat_map4_bucket *b = bucket_of(map, array, bucket);

    return &b->n_passed;
}

static uint8_t *
accessed_of(const struct mat_map *map, uint64_t array, uint64_t bucket)
{
    struct mat_map4_bucket *b = bucket_of(map, array, bucket);

    return &b->accessed;
}

/* The number of the bucket 'i' after the home of 'hash'. */
static uint64_t
probe(const struct mat_map *map, uint64_t array, uint64_t hash, uint64_t i)
{
    return (((hash << 8 >> (array & 63) >> bucket_log2(map)) + i)
            & (n_buckets(map, array) - 1));
}

static void
key_words(const struct mat_addr *key, uint64_t words[static 2])
{
    memcpy(words, key->b, 16);
}

static uint64_t
hash_key(const struct mat_map *map, uint32_t zone, const struct mat_addr *key)
{
    uint32_t key_zone = map->is_zoned ? zone : 0;
    uint64_t words[2];

    if (map->is_v4) {
        return mat_map_hash4(map, key_zone, mat_addr_v4(key));
    }
    key_words(key, words);
    return mat_map_hash6(map, key_zone, words);
}

/* Reading beyond the home bucket. */

/* Returns true if the search is over: 'b' sent no mapping further. */
static bool
search_ends(const uint16_t *n_passed)
{
    return !__atomic_load_n(n_passed, __ATOMIC_ACQUIRE);
}

static uint32_t
shard_version(const struct mat_map *map, uint64_t hash)
{
    return __atomic_load_n(&map->shards[mat_map_shard__(hash)].version,
                           __ATOMIC_ACQUIRE);
}

/* Looks for 'key', in the form of the family, in one bucket. */
static bool
find_in(const struct mat_map *map, void *bucket, uint32_t zone,
        const void *key, bool mark, struct mat_map_hit *hit)
{
    uint32_t tag = zone << MAT_MAP_ZONE_SHIFT | MAT_MAP_VALID;
    uint32_t mask = (map->is_zoned ? ~(uint32_t) MAT_MAP_FLAGS | MAT_MAP_VALID
                     : MAT_MAP_VALID);

    return (map->is_v4
            ? mat_map4_find_in(bucket, tag, mask, *(const uint32_t *) key,
                               mark, hit)
            : mat_map6_read__(bucket, 0, tag, mask, key, mark, hit)
              || mat_map6_read__(bucket, 1, tag, mask, key, mark, hit));
}

/* Finds the mapping of 'key' and returns its bucket. */
static void *
find(const struct mat_map *map, uint64_t hash, uint32_t zone, const void *key,
     bool mark, struct mat_map_hit *hit)
{
    uint32_t version;

    do {
        version = shard_version(map, hash);

        uint64_t array = mat_map_array__(map, hash);

        for (uint64_t i = 0; i < MAT_MAP_PROBES_MAX; i++) {
            uint64_t index = probe(map, array, hash, i);
            void *bucket = bucket_of(map, array, index);

            if (find_in(map, bucket, zone, key, mark, hit)) {
                return bucket;
            }
            if (search_ends(n_passed_of(map, array, index))) {
                break;
            }
        }
    } while (version != shard_version(map, hash));
    return NULL;
}

void *
mat_map4_find(const struct mat_map *map, uint32_t zone, uint32_t key,
              bool mark, struct mat_map_hit *hit)
{
    return find(map, mat_map_hash4(map, zone, key), zone, &key, mark, hit);
}

void *
mat_map6_find(const struct mat_map *map, uint32_t zone,
              const uint64_t key[static 2], bool mark,
              struct mat_map_hit *hit)
{
    return find(map, mat_map_hash6(map, zone, key), zone, key, mark, hit);
}

/* Slots, the same for both families. */

static uint32_t *
tag_of(const struct mat_map *map, uint64_t array, uint64_t bucket,
       unsigned int slot)
{
    if (map->is_v4) {
        struct mat_map4_bucket *b = bucket_of(map, array, bucket);

        return &b->tag[slot];
    } else {
        struct mat_map6_bucket *b = bucket_of(map, array, bucket);

        return &b->tag[slot];
    }
}

static void
slot_get(const struct mat_map *map, uint64_t array, const struct place *place,
         struct mat_mapping *m)
{
    uint32_t tag = __atomic_load_n(place->tag, __ATOMIC_RELAXED);

    m->zone = tag >> MAT_MAP_ZONE_SHIFT;
    m->flags = (uint8_t) (tag & MAT_MAP_FLAGS);
    if (map->is_v4) {
        struct mat_map4_bucket *b = bucket_of(map, array, place->bucket);

        m->key = mat_addr_from_v4(&b->key[place->slot]);
        m->value = mat_addr_from_v4(&b->value[place->slot]);
        m->aux = b->aux[place->slot];
    } else {
        struct mat_map6_bucket *b = bucket_of(map, array, place->bucket);

        m->key = mat_addr_from_v6(b->key[place->slot]);
        m->value = mat_addr_from_v6(b->value[place->slot]);
        m->aux = b->aux[place->slot];
    }
}

/* Fills the free slot at 'place' and publishes it. */
static void
slot_publish(const struct mat_map *map, uint64_t array,
             const struct place *place, const struct mat_mapping *m)
{
    uint8_t unmarked = (uint8_t) ~(1u << place->slot);

    if (map->is_v4) {
        struct mat_map4_bucket *b = bucket_of(map, array, place->bucket);

        __atomic_store_n(&b->key[place->slot], mat_addr_v4(&m->key),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&b->value[place->slot], mat_addr_v4(&m->value),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&b->aux[place->slot], m->aux, __ATOMIC_RELAXED);
    } else {
        struct mat_map6_bucket *b = bucket_of(map, array, place->bucket);
        unsigned int i = place->slot;
        uint64_t key[2], value[2];

        key_words(&m->key, key);
        key_words(&m->value, value);
        __atomic_store_n(&b->key[i][0], key[0], __ATOMIC_RELAXED);
        __atomic_store_n(&b->key[i][1], key[1], __ATOMIC_RELAXED);
        __atomic_store_n(&b->value[i][0], value[0], __ATOMIC_RELAXED);
        __atomic_store_n(&b->value[i][1], value[1], __ATOMIC_RELAXED);
        __atomic_store_n(&b->delta[i],
                         mat_csum_fold(mat_csum_add128(0, key, value)),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&b->aux[i], m->aux, __ATOMIC_RELAXED);
    }
    __atomic_fetch_and(accessed_of(map, array, place->bucket), unmarked,
                       __ATOMIC_RELAXED);
    __atomic_store_n(place->tag,
                     m->zone << MAT_MAP_ZONE_SHIFT | m->flags | MAT_MAP_VALID,
                     __ATOMIC_RELEASE);
}

static bool
slot_has_key(const struct mat_map *map, uint64_t array,
             const struct place *place, uint32_t zone,
             const struct mat_addr *key)
{
    struct mat_mapping m;

    if (!(*place->tag & MAT_MAP_VALID)) {
        return false;
    }
    slot_get(map, array, place, &m);
    return (mat_addr_equal(&m.key, key)
            && (!map->is_zoned || m.zone == zone));
}

/* Looks for a mapping of 'key' (or, if 'key' is null, for a free slot) along
 * the buckets that 'hash' leads to. */
static bool
find_place(const struct mat_map *map, uint64_t array, uint64_t hash,
           uint32_t zone, const struct mat_addr *key, struct place *place)
{
    for (uint64_t i = 0; i < MAT_MAP_PROBES_MAX && i < n_buckets(map, array);
         i++) {
        place->bucket = probe(map, array, hash, i);
        for (unsigned int j = 0; j < slots_per_bucket(map); j++) {
            place->slot = j;
            place->tag = tag_of(map, array, place->bucket, j);
            if (key ? slot_has_key(map, array, place, zone, key)
                    : *place->tag == TAG_FREE) {
                return true;
            }
        }
        if (key && !*n_passed_of(map, array, place->bucket)) {
            return false;
        }
    }
    return false;
}

/* Counts, by 'change' of 1 or -1, a mapping at 'place' in all the buckets that
 * it had to pass. */
static void
count_passed(const struct mat_map *map, uint64_t array, uint64_t hash,
             const struct place *place, int change)
{
    uint64_t mask = n_buckets(map, array) - 1;

    for (uint64_t i = probe(map, array, hash, 0); i != place->bucket;
         i = (i + 1) & mask) {
        uint16_t *n_passed = n_passed_of(map, array, i);

        __atomic_store_n(n_passed, (uint16_t) (*n_passed + change),
                         __ATOMIC_RELEASE);
    }
}

static bool
insert(const struct mat_map *map, uint64_t array, uint64_t hash,
       const struct mat_mapping *m)
{
    struct place place;

    if (!find_place(map, array, hash, 0, NULL, &place)) {
        return false;
    }
    count_passed(map, array, hash, &place, 1);
    slot_publish(map, array, &place, m);
    return true;
}

/* Arrays. */

static size_t
array_size(const struct mat_map *map, uint64_t array)
{
    return n_buckets(map, array) << bucket_log2(map);
}

static uint64_t
array_create(const struct mat_map *map, unsigned int log2)
{
    struct mat_map_writer *writer = map->writer;
    size_t size = (size_t) 1 << bucket_log2(map) << log2;
    void *buckets = log2 <= LOG2_MAX ? writer->memory.alloc(size) : NULL;

    if (!buckets) {
        return 0;
    }
    assert(!((uintptr_t) buckets & 63));
    writer->bytes += size;
    return (uint64_t) (uintptr_t) buckets | (64 - bucket_log2(map) - log2);
}

static void
array_free(const struct mat_map *map, uint64_t array)
{
    map->writer->bytes -= array_size(map, array);
    map->writer->memory.free(buckets_of(array), array_size(map, array));
}

/* Copies every mapping of 'old' to 'new', which is not yet published.  Fails
 * if too many collide there. */
static bool
array_copy(const struct mat_map *map, uint64_t old, uint64_t new, uint32_t *n)
{
    struct mat_mapping m;
    struct place p;

    *n = 0;
    for (p.bucket = 0; p.bucket < n_buckets(map, old); p.bucket++) {
        for (p.slot = 0; p.slot < slots_per_bucket(map); p.slot++) {
            p.tag = tag_of(map, old, p.bucket, p.slot);
            if (*p.tag & MAT_MAP_VALID) {
                slot_get(map, old, &p, &m);
                if (!insert(map, new, hash_key(map, m.zone, &m.key), &m)) {
                    return false;
                }
                ++*n;
            }
        }
    }
    return true;
}

/* Would 'n' mappings be too many for 'shard' as it is? */
static bool
is_too_full(const struct mat_map *map, const struct mat_map_shard *shard,
            uint64_t n)
{
    uint64_t n_slots = n_buckets(map, shard->array) * slots_per_bucket(map);

    return n * 100 > n_slots * FULL_PERCENT;
}

/* Size of the array that 'shard' needs for one mapping more.  It stays as it
 * is if a new one of the same size has room, as it leaves behind the slots
 * that were withdrawn: a key that is replaced over and over must not make the
 * map grow. */
static unsigned int
next_log2(const struct mat_map *map, const struct mat_map_shard *shard)
{
    unsigned int log2 = array_log2(map, shard->array);
    struct place p;
    uint32_t n = 0;

    for (p.bucket = 0; p.bucket < n_buckets(map, shard->array); p.bucket++) {
        for (p.slot = 0; p.slot < slots_per_bucket(map); p.slot++) {
            n += *tag_of(map, shard->array, p.bucket, p.slot) & MAT_MAP_VALID;
        }
    }
    return (n == shard->n
            || is_too_full(map, shard, n + UINT64_C(1))
            ? log2 + 1 : log2);
}

static bool
is_nearly_empty(const struct mat_map *map, const struct mat_map_shard *shard)
{
    uint64_t n_slots = n_buckets(map, shard->array) * slots_per_bucket(map);

    return (n_slots > SMALL_SLOTS
            && shard->n * UINT64_C(100) < n_slots * EMPTY_PERCENT);
}

/* Moves the mappings of 'shard' to a new array. */
static enum mat_map_error
grow(struct mat_map *map, struct mat_map_shard *shard)
{
    struct mat_map_writer *writer = map->writer;
    struct retired_array *retired = malloc(sizeof *retired);
    uint64_t old = shard->array;
    unsigned int log2 = next_log2(map, shard);
    uint64_t new;
    uint32_t n;

    if (is_nearly_empty(map, shard)) {
        free(retired);
        return MAT_MAP_CROWDED;
    }
    new = retired ? array_create(map, log2) : 0;
    if (!new || !array_copy(map, old, new, &n)) {
        if (new) {
            array_free(map, new);
        }
        free(retired);
        return new ? MAT_MAP_CROWDED : MAT_MAP_NO_MEMORY;
    }
    shard->n = n;
    __atomic_store_n(&shard->array, new, __ATOMIC_RELEASE);

    retired->buckets = buckets_of(old);
    retired->size = array_size(map, old);
    retired->next = writer->retired;
    writer->retired = retired;
    writer->bytes -= retired->size;
    writer->bytes_retired += retired->size;
    return MAT_MAP_OK;
}

static bool
is_full(const struct mat_map *map, const struct mat_map_shard *shard)
{
    return is_too_full(map, shard, shard->n + UINT64_C(1));
}

/* The map. */

bool
mat_map_init(struct mat_map *map, bool is_v4, bool is_zoned,
             const uint64_t seed[static 2],
             const struct mat_map_memory_ops *memory)
{
    uint64_t state;

    memset(map, 0, sizeof *map);
    map->is_v4 = is_v4;
    map->is_zoned = is_zoned;
    state = seed[0] ^ (seed[1] << 32 | seed[1] >> 32);
    for (int i = 0; i < 3; i++) {
        map->multipliers[i] = mat_multiplier_next(&state);
    }
    map->writer = calloc(1, sizeof *map->writer);
    if (!map->writer) {
        return false;
    }
    map->writer->memory = *memory;
    for (size_t i = 0; i < MAT_MAP_SHARDS; i++) {
        map->shards[i].array = array_create(map, 0);
        if (!map->shards[i].array) {
            mat_map_destroy(map);
            return false;
        }
    }
    return true;
}

void
mat_map_destroy(struct mat_map *map)
{
    if (!map->writer) {
        return;
    }
    mat_map_collect(map);
    for (size_t i = 0; i < MAT_MAP_SHARDS; i++) {
        if (map->shards[i].array) {
            array_free(map, map->shards[i].array);
        }
    }
    free(map->writer);
    map->writer = NULL;
}

/* Takes the mapping at 'place' out of sight.  Its slot stays unused until
 * mat_map_collect(). */
static void
withdraw(struct mat_map *map, struct mat_map_shard *shard, uint64_t hash,
         const struct place *place)
{
    struct mat_map_writer *writer = map->writer;
    size_t i = writer->n_withdrawn;

    assert(i < WITHDRAWN_MAX);
    writer->n_withdrawn++;
    writer->withdrawn[i] = place->tag;
    writer->withdrawn_shard[i] = shard;
    writer->withdrawn_array[i] = shard->array;

    __atomic_store_n(&shard->version, shard->version + 1, __ATOMIC_RELEASE);
    __atomic_store_n(place->tag,
                     (*place->tag & ~(uint32_t) MAT_MAP_VALID)
                     | MAT_MAP_WITHDRAWN,
                     __ATOMIC_RELEASE);
    count_passed(map, shard->array, hash, place, -1);
}

static bool
same_mapping(const struct mat_mapping *a, const struct mat_mapping *b)
{
    return (mat_addr_equal(&a->value, &b->value) && a->zone == b->zone
            && a->aux == b->aux);
}

enum mat_map_error
mat_map_put(struct mat_map *map, const struct mat_mapping *m)
{
    uint64_t hash = hash_key(map, m->zone, &m->key);
    struct mat_map_shard *shard = &map->shards[mat_map_shard__(hash)];
    struct place old;
    bool replaces;

    assert(mat_addr_is_v4(&m->key) == map->is_v4);

    replaces = find_place(map, shard->array, hash, m->zone, &m->key, &old);
    if (replaces) {
        struct mat_mapping now;

        slot_get(map, shard->array, &old, &now);
        if (same_mapping(m, &now)) {
            mat_map_set_flags(map, m->zone, &m->key, m->flags);
            return MAT_MAP_OK;
        }
    }

    while (is_full(map, shard) || !insert(map, shard->array, hash, m)) {
        enum mat_map_error error = grow(map, shard);

        if (error) {
            return error;
        }
        replaces = find_place(map, shard->array, hash, m->zone, &m->key, &old);
    }
    shard->n++;
    if (replaces) {
        withdraw(map, shard, hash, &old);
    } else {
        map->writer->n_mappings++;
    }
    return MAT_MAP_OK;
}

void
mat_map_set_flags(struct mat_map *map, uint32_t zone,
                  const struct mat_addr *key, uint8_t flags)
{
    uint64_t hash = hash_key(map, zone, key);
    struct mat_map_shard *shard = &map->shards[mat_map_shard__(hash)];
    struct place place;

    if (find_place(map, shard->array, hash, zone, key, &place)) {
        uint32_t tag = *place.tag & ~(uint32_t) MAT_MAP_FLAGS;

        __atomic_store_n(place.tag, tag | flags | MAT_MAP_VALID,
                         __ATOMIC_RELEASE);
    }
}

bool
mat_map_remove(struct mat_map *map, uint32_t zone, const struct mat_addr *key)
{
    uint64_t hash = hash_key(map, zone, key);
    struct mat_map_shard *shard = &map->shards[mat_map_shard__(hash)];
    struct place place;

    if (!find_place(map, shard->array, hash, zone, key, &place)) {
        return false;
    }
    withdraw(map, shard, hash, &place);
    map->writer->n_mappings--;
    return true;
}

bool
mat_map_get(const struct mat_map *map, uint32_t zone,
            const struct mat_addr *key, struct mat_mapping *m)
{
    uint64_t hash = hash_key(map, zone, key);
    const struct mat_map_shard *shard = &map->shards[mat_map_shard__(hash)];
    struct place place;

    if (mat_addr_is_v4(key) != map->is_v4
        || !find_place(map, shard->array, hash, zone, key, &place)) {
        return false;
    }
    slot_get(map, shard->array, &place, m);
    return true;
}

bool
mat_map_mark(const struct mat_map *map, uint32_t zone,
             const struct mat_addr *key, bool clear)
{
    uint64_t hash = hash_key(map, zone, key);
    uint64_t array = map->shards[mat_map_shard__(hash)].array;
    struct place place;
    uint8_t *accessed;
    uint8_t bit;

    if (!find_place(map, array, hash, zone, key, &place)) {
        return false;
    }
    bit = (uint8_t) (1u << place.slot);
    accessed = accessed_of(map, array, place.bucket);
    if (!(__atomic_load_n(accessed, __ATOMIC_RELAXED) & bit)) {
        return false;
    }
    if (clear) {
        __atomic_fetch_and(accessed, (uint8_t) ~bit, __ATOMIC_RELAXED);
    }
    return true;
}

/* A cursor is the shard, the size of the shard then, and the next slot in it.
 * A shard that has grown meanwhile is begun again. */
enum {
    CURSOR_SLOT_BITS = 48,
    CURSOR_LOG2_BITS = 6
};

static uint64_t
cursor_make(uint64_t shard, uint64_t log2, uint64_t slot)
{
    return (shard << CURSOR_LOG2_BITS | log2) << CURSOR_SLOT_BITS | slot;
}

bool
mat_map_next(const struct mat_map *map, uint64_t *cursor,
             struct mat_mapping *m)
{
    uint64_t shard = *cursor >> (CURSOR_SLOT_BITS + CURSOR_LOG2_BITS);
    uint64_t log2 = *cursor >> CURSOR_SLOT_BITS & 63;
    uint64_t slot = *cursor & ((UINT64_C(1) << CURSOR_SLOT_BITS) - 1);
    unsigned int per_bucket = slots_per_bucket(map);

    for (; shard < MAT_MAP_SHARDS; shard++, slot = 0) {
        uint64_t array = map->shards[shard].array;

        if (slot && log2 != array_log2(map, array)) {
            slot = 0;
        }
        for (; slot < n_buckets(map, array) * per_bucket; slot++) {
            struct place p = {
                .bucket = slot / per_bucket,
                .slot = (unsigned int) (slot % per_bucket),
            };

            p.tag = tag_of(map, array, p.bucket, p.slot);
            if (*p.tag & MAT_MAP_VALID) {
                slot_get(map, array, &p, m);
                *cursor = cursor_make(shard, array_log2(map, array),
                                      slot + 1);
                return true;
            }
        }
    }
    return false;
}

size_t
mat_map_count(const struct mat_map *map)
{
    return map->writer->n_mappings;
}

size_t
mat_map_bytes(const struct mat_map *map)
{
    return map->writer->bytes;
}

size_t
mat_map_bytes_retired(const struct mat_map *map)
{
    return map->writer->bytes_retired;
}

bool
mat_map_wants_collect(const struct mat_map *map)
{
    return (map->writer->n_withdrawn >= WITHDRAWN_MAX - WITHDRAWN_SPARE
            || map->writer->bytes_retired > BYTES_RETIRED_MAX);
}

void
mat_map_collect(struct mat_map *map)
{
    struct mat_map_writer *writer = map->writer;

    for (size_t i = 0; i < writer->n_withdrawn; i++) {
        struct mat_map_shard *shard = writer->withdrawn_shard[i];

        /* The slot went away with its array if the shard has grown. */
        if (shard->array == writer->withdrawn_array[i]) {
            __atomic_store_n(writer->withdrawn[i], TAG_FREE, __ATOMIC_RELAXED);
            shard->n--;
        }
    }
    writer->n_withdrawn = 0;

    while (writer->retired) {
        struct retired_array *retired = writer->retired;

        writer->retired = retired->next;
        writer->memory.free(retired->buckets, retired->size);
        free(retired);
    }
    writer->bytes_retired = 0;
}
