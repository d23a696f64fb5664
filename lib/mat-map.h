/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MAP_H
#define MAT_MAP_H 1

/* Hash map from an address to an address, for the data path.
 *
 * A lookup costs one cache line: keys and values lie together in 64-byte
 * buckets, 3 IPv4 mappings or 1 IPv6 mapping each.  A datapath first hashes
 * and prefetches a whole batch and only then looks up.
 *
 * Readers and the writer
 * ----------------------
 *
 * One writer changes the map while any number of readers use it.  A reader
 * never waits, not even for a writer that lost its CPU in the middle:
 *
 *   - a mapping is written into a free slot and then published by its tag, so
 *     what a reader finds is whole;
 *   - a slot is free again only after mat_map_collect(), which the writer
 *     calls when all readers that may still look at it are gone;
 *   - a replacement is published before the old mapping is withdrawn, and a
 *     reader that found neither sees from 'version' that it must look again.
 *
 * The map is cut into MAT_MAP_SHARDS shards by the hash.  Each grows by itself
 * into a new array, so no single change ever moves more than a small part of
 * the mappings.  Old arrays are freed in mat_map_collect() too.
 *
 * Collisions go to the next bucket; 'n_passed' of a bucket counts the mappings
 * that did not fit into it, so most lookups, also those that find nothing, end
 * in the first.
 *
 * Rules: readers use the inline functions inside a read section (see
 * mat-table.h), all else is for the writer.  No mapping ever has an address of
 * all zeros as its key. */

#include "mat-addr.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    MAT_MAP_SHARDS = 256,       /* At 1M mappings a growth step moves 4k. */
    MAT_MAP_SLOTS4 = 3,
    MAT_MAP_PROBES_MAX = 32     /* Buckets a lookup visits at the most. */
};

/* The tag of a slot: zone << 8 | flags.  A slot whose tag lacks MAT_MAP_VALID
 * holds nothing. */
enum {
    MAT_MAP_VALID = 1,
    MAT_MAP_FLAGS = 0xff,
    MAT_MAP_ZONE_SHIFT = 8
};

struct mat_map4_bucket {
    uint8_t accessed;           /* Bit per slot, set by readers. */
    uint8_t unused;
    uint16_t n_passed;
    uint32_t key[MAT_MAP_SLOTS4];
    uint32_t value[MAT_MAP_SLOTS4];
    uint32_t tag[MAT_MAP_SLOTS4];
    uint64_t aux[MAT_MAP_SLOTS4];
};
_Static_assert(sizeof(struct mat_map4_bucket) == 64, "one cache line");

struct mat_map6_bucket {
    uint8_t accessed;
    uint8_t unused;
    uint16_t n_passed;
    uint32_t tag;
    uint64_t aux;
    uint64_t key[2];
    uint64_t value[2];
    uint64_t unused2[2];
};
_Static_assert(sizeof(struct mat_map6_bucket) == 64, "one cache line");

/* Where the home bucket of a hash is, in the form that needs the fewest
 * instructions.  A reader loads 'mask' before 'buckets', and the writer stores
 * it after: an old mask with a new, larger array gives a wrong bucket of it,
 * where the key is not, and the full search that then follows uses 'array'. */
struct mat_map_home {
    uint64_t mask;              /* Number of buckets less one, times 64. */
    char *buckets;
};

struct mat_map_shard {
    uint64_t array;             /* Address of the buckets | log2 of number. */
    uint32_t version;           /* Raised before a mapping is withdrawn. */
    uint32_t n;                 /* Writer's: slots in use or not yet free. */
};

struct mat_map {
    struct mat_map_home homes[MAT_MAP_SHARDS];
    struct mat_map_shard shards[MAT_MAP_SHARDS];
    uint64_t seed[2];
    bool is_v4;
    bool is_zoned;              /* The zone is part of the key. */
    struct mat_map_writer *writer;
};

/* What a lookup finds.  'aux' is the caller's. */
struct mat_map_hit {
    uint32_t tag;
    uint32_t value4;            /* IPv4: in network order. */
    uint64_t aux;
    uint64_t value6[2];         /* IPv6: the bytes in order. */
};

static inline uint32_t
mat_map_hit_zone(const struct mat_map_hit *hit)
{
    return hit->tag >> MAT_MAP_ZONE_SHIFT;
}

/* Reading: hash, prefetch, find.  For a map that is not zoned give zone 0.
 *
 * The hash is keyed by the seed and mixes all bits into all: neighbouring
 * addresses, the usual case, must spread over shards and buckets. */
static inline uint64_t
mat_map_mix(const struct mat_map *map, uint64_t x)
{
    x = (x ^ map->seed[0]) * map->seed[1];
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static inline uint64_t
mat_map_hash4(const struct mat_map *map, uint32_t zone, uint32_t key)
{
    return mat_map_mix(map, (uint64_t) zone << 32 | key);
}

static inline uint64_t
mat_map_hash6(const struct mat_map *map, uint32_t zone,
              const uint64_t key[static 2])
{
    return mat_map_mix(map, mat_map_mix(map, key[0] ^ zone) ^ key[1]);
}

/* The bucket where the search for 'hash' begins. */
static inline void *
mat_map_home(const struct mat_map *map, uint64_t hash)
{
    const struct mat_map_home *home = &map->homes[hash % MAT_MAP_SHARDS];
    uint64_t mask = __atomic_load_n(&home->mask, __ATOMIC_ACQUIRE);

    return (__atomic_load_n(&home->buckets, __ATOMIC_ACQUIRE)
            + (hash / (MAT_MAP_SHARDS / 64) & mask));
}

/* Marks the mapping in 'slot' of a bucket as used, if it is not yet. */
static inline void
mat_map_mark__(uint8_t *accessed, unsigned int slot)
{
    if (!(__atomic_load_n(accessed, __ATOMIC_RELAXED) & (1u << slot))) {
        __atomic_fetch_or(accessed, (uint8_t) (1u << slot), __ATOMIC_RELAXED);
    }
}

/* Finds the value of 'key' and, if 'mark', notes that it was used.  These
 * search everything. */
bool mat_map4_find(const struct mat_map *, uint32_t zone, uint32_t key,
                   bool mark, struct mat_map_hit *);
bool mat_map6_find(const struct mat_map *, uint32_t zone,
                   const uint64_t key[static 2], bool mark,
                   struct mat_map_hit *);

/* The tag that a slot must have under 'mask' to be the one looked for. */
static inline uint32_t
mat_map_wanted__(bool is_zoned, uint32_t zone, uint32_t *mask)
{
    *mask = is_zoned ? ~(uint32_t) MAT_MAP_FLAGS | MAT_MAP_VALID
                          : MAT_MAP_VALID;
    return zone << MAT_MAP_ZONE_SHIFT | MAT_MAP_VALID;
}

/* The slots of 'b', as bits, that hold what is wanted.  Tags are loaded before
 * keys: a slot may be filled anew at any time until its tag is seen to be
 * valid.  (On x86, loads are not reordered; the compiler must not either.) */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__) \
    && !MAT_MAP_NO_VECTORS
static inline unsigned int
mat_map4_slots__(const struct mat_map4_bucket *b, uint32_t key,
                 uint32_t wanted, uint32_t mask)
{
    __m128i tags, keys;

    tags = _mm_loadu_si128((const __m128i *) (const void *) b->tag);
    __atomic_signal_fence(__ATOMIC_ACQUIRE);
    keys = _mm_loadu_si128((const __m128i *) (const void *) b->key);
    tags = _mm_and_si128(tags, _mm_set1_epi32((int) mask));
    tags = _mm_cmpeq_epi32(tags, _mm_set1_epi32((int) wanted));
    keys = _mm_cmpeq_epi32(keys, _mm_set1_epi32((int) key));
    return (unsigned int) _mm_movemask_ps(
        _mm_castsi128_ps(_mm_and_si128(tags, keys))) & 7;
}
#else
static inline unsigned int
mat_map4_slots__(const struct mat_map4_bucket *b, uint32_t key,
                 uint32_t wanted, uint32_t mask)
{
    unsigned int slots = 0;

    for (unsigned int i = 0; i < MAT_MAP_SLOTS4; i++) {
        uint32_t tag = __atomic_load_n(&b->tag[i], __ATOMIC_ACQUIRE);
        uint32_t k = __atomic_load_n(&b->key[i], __ATOMIC_RELAXED);

        slots |= (unsigned int) (!((tag & mask) ^ wanted)
                                 & !(k ^ key)) << i;
    }
    return slots;
}
#endif

/* Finds in one bucket.  Which slot it is cannot be predicted, so there is no
 * branch on it.  A mapping that is withdrawn under our eyes is not found, and
 * then its replacement is looked for. */
static inline bool
mat_map4_match__(struct mat_map4_bucket *b, uint32_t key, uint32_t wanted,
                 uint32_t mask, bool mark, struct mat_map_hit *hit)
{
    unsigned int slots = mat_map4_slots__(b, key, wanted, mask);
    unsigned int i;

    if (!slots) {
        return false;
    }
    i = (unsigned int) __builtin_ctz(slots);
    hit->tag = __atomic_load_n(&b->tag[i], __ATOMIC_ACQUIRE);
    hit->value4 = __atomic_load_n(&b->value[i], __ATOMIC_RELAXED);
    hit->aux = __atomic_load_n(&b->aux[i], __ATOMIC_RELAXED);
    if (mark) {
        mat_map_mark__(&b->accessed, i);
    }
    return hit->tag & MAT_MAP_VALID;
}

static inline bool
mat_map6_match__(struct mat_map6_bucket *b, const uint64_t key[static 2],
                 uint32_t wanted, uint32_t mask, bool mark,
                 struct mat_map_hit *hit)
{
    uint32_t tag = __atomic_load_n(&b->tag, __ATOMIC_ACQUIRE);

    if (__atomic_load_n(&b->key[0], __ATOMIC_RELAXED) == key[0]
        && __atomic_load_n(&b->key[1], __ATOMIC_RELAXED) == key[1]
        && !((tag ^ wanted) & mask)) {
        hit->tag = tag;
        hit->value6[0] = __atomic_load_n(&b->value[0], __ATOMIC_RELAXED);
        hit->value6[1] = __atomic_load_n(&b->value[1], __ATOMIC_RELAXED);
        hit->aux = __atomic_load_n(&b->aux, __ATOMIC_RELAXED);
        if (mark) {
            mat_map_mark__(&b->accessed, 0);
        }
        return true;
    }
    return false;
}

/* The same, for whoever has the key's bucket from mat_map_home() in the same
 * read section, and has prefetched it.  'is_zoned' is that of the map, best as
 * a constant. */
static inline bool
mat_map4_find_at(const struct mat_map *map, bool is_zoned, void *home,
                 uint32_t zone, uint32_t key, bool mark,
                 struct mat_map_hit *hit)
{
    uint32_t mask, wanted = mat_map_wanted__(is_zoned, zone, &mask);

    return (mat_map4_match__(home, key, wanted, mask, mark, hit)
            || mat_map4_find(map, zone, key, mark, hit));
}

static inline bool
mat_map6_find_at(const struct mat_map *map, bool is_zoned, void *home,
                 uint32_t zone, const uint64_t key[static 2], bool mark,
                 struct mat_map_hit *hit)
{
    uint32_t mask, wanted = mat_map_wanted__(is_zoned, zone, &mask);

    return (mat_map6_match__(home, key, wanted, mask, mark, hit)
            || mat_map6_find(map, zone, key, mark, hit));
}

/* Writing. */
struct mat_map_memory_ops {
    void *(*alloc)(size_t size);        /* Zeroed, aligned to 64 bytes. */
    void (*free)(void *, size_t size);
};

enum mat_map_error {
    MAT_MAP_OK,
    MAT_MAP_NO_MEMORY,
    MAT_MAP_CROWDED             /* Too many keys collide. */
};

/* One mapping as the writer sees it. */
struct mat_mapping {
    struct mat_addr key;
    struct mat_addr value;
    uint32_t zone;              /* Part of the key only if the map is zoned. */
    uint8_t flags;              /* With MAT_MAP_VALID or without, no matter. */
    uint64_t aux;
};

/* False if there is no memory. */
bool mat_map_init(struct mat_map *, bool is_v4, bool is_zoned,
                  const uint64_t seed[static 2],
                  const struct mat_map_memory_ops *);
void mat_map_destroy(struct mat_map *);

/* Adds a mapping or replaces the one with the same key. */
enum mat_map_error mat_map_put(struct mat_map *, const struct mat_mapping *);

/* Changes only the flags of the mapping of a key that is there. */
void mat_map_set_flags(struct mat_map *, uint32_t zone,
                       const struct mat_addr *key, uint8_t flags);
bool mat_map_remove(struct mat_map *, uint32_t zone,
                    const struct mat_addr *key);
bool mat_map_get(const struct mat_map *, uint32_t zone,
                 const struct mat_addr *key, struct mat_mapping *);

/* Tells whether a reader has used the mapping of 'key' since its mark was last
 * cleared, and clears it if 'clear'. */
bool mat_map_mark(const struct mat_map *, uint32_t zone,
                  const struct mat_addr *key, bool clear);

/* Walks all mappings; '*cursor' is 0 at first.  One that stays in the map
 * throughout is shown at least once. */
bool mat_map_next(const struct mat_map *, uint64_t *cursor,
                  struct mat_mapping *);

/* Number of mappings, bytes of arrays in use, bytes that wait for
 * mat_map_collect(). */
size_t mat_map_count(const struct mat_map *);
size_t mat_map_bytes(const struct mat_map *);
size_t mat_map_bytes_retired(const struct mat_map *);

/* True if so much was withdrawn that mat_map_collect() should come soon. */
bool mat_map_wants_collect(const struct mat_map *);

/* Frees slots and arrays that were withdrawn.  Every reader that was reading
 * when they were must have ended its read section since. */
void mat_map_collect(struct mat_map *);

#endif /* mat-map.h */
