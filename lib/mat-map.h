/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MAP_H
#define MAT_MAP_H 1

/* Hash map from an address to an address, for the data path.
 *
 * A lookup costs one cache line of an IPv4 map, two of an IPv6 one: keys and
 * values lie together in buckets, 3 IPv4 mappings in 64 bytes or 2 IPv6
 * mappings in 128.  A datapath first hashes and prefetches a whole batch and
 * only then looks up.
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
 * in the first.  A mapping that is not in its home bucket costs a reader a
 * mispredicted branch and a line that nobody prefetched, more than all the
 * rest, so arrays are kept rather empty.
 *
 * Rules: readers use the inline functions inside a read section (see
 * mat-table.h), all else is for the writer.  No mapping ever has an address of
 * all zeros as its key. */

#include "mat-addr.h"

#if defined __SSE2__ && !defined __SANITIZE_THREAD__
#include <emmintrin.h>
#endif

enum {
    MAT_MAP_SHARDS = 256,       /* 8 bits of the hash.  At 1M mappings a growth
                                 * step moves 4k. */
    MAT_MAP_SLOTS4 = 3,
    MAT_MAP_SLOTS6 = 2,
    MAT_MAP_PROBES_MAX = 32     /* Buckets a lookup visits at the most. */
};

/* The tag of a slot: zone << 8 | flags.  A slot whose tag lacks MAT_MAP_VALID
 * holds nothing.  These two flags are the map's, the others the caller's. */
enum {
    MAT_MAP_VALID = 1,
    MAT_MAP_WITHDRAWN = 0x80,
    MAT_MAP_FLAGS = 0xff,
    MAT_MAP_ZONE_SHIFT = 8
};

struct mat_map4_bucket {
    uint8_t accessed;           /* Bit per slot, set by readers. */
    uint8_t unused;
    uint16_t n_passed;
    uint32_t key[MAT_MAP_SLOTS4];
    uint32_t tag[MAT_MAP_SLOTS4];
    uint32_t value[MAT_MAP_SLOTS4];
    uint64_t aux[MAT_MAP_SLOTS4];
};
_Static_assert(sizeof(struct mat_map4_bucket) == 64, "one cache line");

struct mat_map6_bucket {
    uint8_t accessed;
    uint8_t unused;
    uint16_t n_passed;
    uint32_t tag[MAT_MAP_SLOTS6];
    uint16_t delta[MAT_MAP_SLOTS6];     /* See struct mat_map_hit. */
    uint64_t aux[MAT_MAP_SLOTS6];
    uint64_t key[MAT_MAP_SLOTS6][2];
    uint64_t value[MAT_MAP_SLOTS6][2];  /* In the second line. */
    uint64_t unused3[4];
};
_Static_assert(sizeof(struct mat_map6_bucket) == 128, "two cache lines");
_Static_assert(offsetof(struct mat_map6_bucket, value) == 64, "second line");

struct mat_map_shard {
    uint64_t array;             /* Address of the buckets | shift, see
                                 * mat_map_home4(). */
    uint32_t version;           /* Raised before a mapping is withdrawn. */
    uint32_t n;                 /* Writer's: slots in use or not yet free. */
};

struct mat_map {
    struct mat_map_shard shards[MAT_MAP_SHARDS];
    uint64_t multipliers[3];
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
    uint16_t delta6;            /* IPv6: the change of a checksum when the
                                 * value takes the key's place. */
};

static inline uint32_t
mat_map_hit_zone(const struct mat_map_hit *hit)
{
    return hit->tag >> MAT_MAP_ZONE_SHIFT;
}

static inline uint32_t
mat_map_host32__(uint32_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap32(x);
#else
    return x;
#endif
}

static inline uint64_t
mat_map_host64__(uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(x);
#else
    return x;
#endif
}

/* Reading: hash, prefetch, find.  For a map that is not zoned give zone 0.
 *
 * The hash is a sum of products with secret numbers (mat-multiplier.h), of
 * which the upper bits are used: which keys collide cannot be known from
 * outside, and neighbouring addresses, the usual case, spread more evenly than
 * at random (as numbers, so in host byte order). */
static inline uint64_t
mat_map_hash4(const struct mat_map *map, uint32_t zone, uint32_t key)
{
    return (zone * map->multipliers[2]
            + mat_map_host32__(key) * map->multipliers[0]);
}

static inline uint64_t
mat_map_hash6(const struct mat_map *map, uint32_t zone,
              const uint64_t key[static 2])
{
    return (zone * map->multipliers[2]
            + mat_map_host64__(key[0]) * map->multipliers[1]
            + mat_map_host64__(key[1]) * map->multipliers[0]);
}

/* The uppermost bits of a hash choose the shard. */
static inline unsigned int
mat_map_shard__(uint64_t hash)
{
    return (unsigned int) (hash >> 56);
}

static inline uint64_t
mat_map_array__(const struct mat_map *map, uint64_t hash)
{
    return __atomic_load_n(&map->shards[mat_map_shard__(hash)].array,
                           __ATOMIC_ACQUIRE);
}

/* The bucket where the search for 'hash' begins: where its mapping is, unless
 * the bucket was full when that came.  Good for the read section.
 *
 * The bits below those of the shard choose it: the shift leaves as many of
 * them as there are buckets, and below them as many as an offset in a bucket
 * has, which are cut off. */
static inline struct mat_map4_bucket *
mat_map_home4(const struct mat_map *map, uint64_t hash)
{
    uint64_t array = mat_map_array__(map, hash);
    uint64_t address = (array & ~UINT64_C(63))
                       + (hash << 8 >> (array & 63) & ~UINT64_C(63));

    return (struct mat_map4_bucket *) (uintptr_t) address;
}

static inline struct mat_map6_bucket *
mat_map_home6(const struct mat_map *map, uint64_t hash)
{
    uint64_t array = mat_map_array__(map, hash);
    uint64_t address = (array & ~UINT64_C(63))
                       + (hash << 8 >> (array & 63) & ~UINT64_C(127));

    return (struct mat_map6_bucket *) (uintptr_t) address;
}

/* Marks the mapping in 'slot' of a bucket as used, if it is not yet. */
static inline void
mat_map_mark__(uint8_t *accessed, unsigned int slot)
{
    if (__builtin_expect(!(__atomic_load_n(accessed, __ATOMIC_RELAXED)
                           & (1u << slot)), false)) {
        __atomic_fetch_or(accessed, (uint8_t) (1u << slot), __ATOMIC_RELAXED);
    }
}

/* Finds the value of 'key' and, if 'mark', notes that it was used.  Returns
 * the bucket where it is, or null.  These search everything. */
void *mat_map4_find(const struct mat_map *, uint32_t zone, uint32_t key,
                    bool mark, struct mat_map_hit *);
void *mat_map6_find(const struct mat_map *, uint32_t zone,
                    const uint64_t key[static 2], bool mark,
                    struct mat_map_hit *);

/* Set of the slots, in the lowest bits, whose tag is 'tag' under 'mask', with
 * MAT_MAP_VALID, and which hold 'key'.  Which slot it is cannot be predicted,
 * so there is no branch on it.
 *
 * Keys are compared after tags were loaded: a slot may be filled anew at any
 * time until its tag is seen to be valid. */
static inline unsigned int
mat_map4_slots__(const struct mat_map4_bucket *b, uint32_t tag, uint32_t mask,
                 uint32_t key)
{
#if defined __SSE2__ && !defined __SANITIZE_THREAD__
    __m128i tags = _mm_load_si128((const __m128i *) (const void *) b->tag);
    __m128i keys, same;

    __atomic_signal_fence(__ATOMIC_ACQUIRE);    /* Loads stay in order. */
    keys = _mm_loadu_si128((const __m128i *) (const void *) b->key);
    if (mask != UINT32_MAX) {
        tags = _mm_and_si128(tags, _mm_set1_epi32((int) mask));
    }
    same = _mm_and_si128(_mm_cmpeq_epi32(tags, _mm_set1_epi32((int) (tag
                                                                     & mask))),
                         _mm_cmpeq_epi32(keys, _mm_set1_epi32((int) key)));
    return (unsigned int) _mm_movemask_ps(_mm_castsi128_ps(same)) & 7;
#else
    unsigned int slots = 0;

    for (unsigned int i = 0; i < MAT_MAP_SLOTS4; i++) {
        uint32_t t = __atomic_load_n(&b->tag[i], __ATOMIC_ACQUIRE);
        uint32_t k = __atomic_load_n(&b->key[i], __ATOMIC_RELAXED);

        slots |= (unsigned int) (!((t ^ tag) & mask) && k == key) << i;
    }
    return slots;
#endif
}
_Static_assert(offsetof(struct mat_map4_bucket, tag) == 16, "aligned");

static inline bool
mat_map6_has__(const struct mat_map6_bucket *b, unsigned int i,
               const uint64_t key[static 2])
{
    return !((__atomic_load_n(&b->key[i][0], __ATOMIC_RELAXED) ^ key[0])
             | (__atomic_load_n(&b->key[i][1], __ATOMIC_RELAXED) ^ key[1]));
}

/* Looks for 'key' in one bucket only, from mat_map_home4() or mat_map4_find()
 * in the same read section, best one that was prefetched.  Finds it if its tag
 * is 'tag' under 'mask', in which MAT_MAP_VALID must be set; and sometimes
 * not, so that there remains mat_map4_find().  Likewise for IPv6. */
static inline bool
mat_map4_find_in(struct mat_map4_bucket *b, uint32_t tag, uint32_t mask,
                 uint32_t key, bool mark, struct mat_map_hit *hit)
{
    unsigned int slots = mat_map4_slots__(b, tag, mask, key);
    unsigned int i;

    if (!slots) {
        return false;
    }
    i = (unsigned int) __builtin_ctz(slots);
    hit->tag = __atomic_load_n(&b->tag[i], __ATOMIC_RELAXED);
    hit->value4 = __atomic_load_n(&b->value[i], __ATOMIC_RELAXED);
    hit->aux = __atomic_load_n(&b->aux[i], __ATOMIC_RELAXED);
    if (mark) {
        mat_map_mark__(&b->accessed, i);
    }
    return true;
}

/* Reads slot 'i'.  Its tag is loaded before the key is compared, as above. */
static inline bool
mat_map6_read__(struct mat_map6_bucket *b, unsigned int i, uint32_t tag,
                uint32_t mask, const uint64_t key[static 2], bool mark,
                struct mat_map_hit *hit)
{
    hit->tag = __atomic_load_n(&b->tag[i], __ATOMIC_ACQUIRE);
    if ((hit->tag ^ tag) & mask || !mat_map6_has__(b, i, key)) {
        return false;
    }
    hit->value6[0] = __atomic_load_n(&b->value[i][0], __ATOMIC_RELAXED);
    hit->value6[1] = __atomic_load_n(&b->value[i][1], __ATOMIC_RELAXED);
    hit->delta6 = __atomic_load_n(&b->delta[i], __ATOMIC_RELAXED);
    hit->aux = __atomic_load_n(&b->aux[i], __ATOMIC_RELAXED);
    if (mark) {
        mat_map_mark__(&b->accessed, i);
    }
    return true;
}

static inline bool
mat_map6_find_in(struct mat_map6_bucket *b, uint32_t tag, uint32_t mask,
                 const uint64_t key[static 2], bool mark,
                 struct mat_map_hit *hit)
{
    return mat_map6_read__(b, mat_map6_has__(b, 1, key), tag, mask, key, mark,
                           hit);
}

/* Writing. */
struct mat_map_memory_ops {
    void *(*alloc)(size_t size);        /* Zeroed, aligned to 64 bytes if not
                                         * smaller. */
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
