/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_STORE_H
#define MAT_STORE_H 1

/* The claims that one host holds, and digests of them for repair.
 *
 * mat_store_put() is the merge: after any sequence of puts the content depends
 * only on the set of claims that were put, not on order or repetition.  Two
 * rules beyond "greatest version of each key wins" keep it small:
 *
 *   - a PREP claim whose epoch is not above the live claim's of its HoA is
 *     inert: it is refused, and dropped when such a live claim comes;
 *   - of the PREP claims of a HoA only the MAT_STORE_PREPS_MAX greatest stay.
 *
 * Both only ever drop what a later state would drop as well, so the merge
 * stays a semilattice (tests/unit/test-mat-store.c shows it).
 *
 * Slots lie in the order of the upper bits of the key hash, so all claims of
 * one HoA, and all claims under a hash prefix, are found by walking a few
 * neighbouring slots: the leaves of the digest tree need no storage.  Of the
 * tree only the root and its 256 children are kept, for each zone.
 *
 * Ended claims are kept for a while, lest an old copy comes back, but are
 * *hidden* from digests for the second half of that time: when the first host
 * forgets one, none advertises it any more. */

#include "mat-record.h"

enum {
    MAT_STORE_PREPS_MAX = 4,    /* Hosts that may prepare for one VMN. */
    MAT_STORE_SUMS = 256        /* Children of the root: 1 kB, a datagram. */
};

enum mat_merge {
    MAT_MERGE_NEW,              /* The key was unknown. */
    MAT_MERGE_NEWER,            /* It replaced an older claim. */
    MAT_MERGE_SAME,
    MAT_MERGE_OLDER,
    MAT_MERGE_INERT,            /* A PREP claim that does not count. */
    MAT_MERGE_FULL              /* A limit forbids another key. */
};

struct mat_store_zone {
    uint32_t zone;
    uint32_t n;                 /* Claims in the sums. */
    uint64_t root;
    uint32_t sums[MAT_STORE_SUMS];
};

struct mat_store_slot {
    uint64_t hash;
    const struct mat_claim *claim;      /* Null if free. */
};

struct mat_store {
    struct mat_store_slot *slots;
    unsigned int bits;          /* 2^bits slots, if there are any. */
    size_t n, n_max;
    struct mat_store_zone **zones;      /* In order of zone number. */
    size_t n_zones;
    struct mat_claim_pool *pool;
    /* Called with each claim that leaves the store, and what replaces it. */
    void (*dropped)(void *aux, const struct mat_claim *old,
                    const struct mat_claim *new);
    void *aux;
};

void mat_store_init(struct mat_store *, struct mat_claim_pool *,
                    size_t n_max);
void mat_store_destroy(struct mat_store *);

/* What mat_store_put() would answer, without doing it: so that a signature is
 * checked only if it matters. */
enum mat_merge mat_store_judge(const struct mat_store *,
                               const struct mat_claim *);
enum mat_merge mat_store_put(struct mat_store *, const struct mat_claim *);
void mat_store_remove(struct mat_store *, const struct mat_key *);

const struct mat_claim *mat_store_find(const struct mat_store *,
                                       const struct mat_key *);
const struct mat_claim *mat_store_find_hash(const struct mat_store *,
                                            uint64_t hash);

/* The PREP claims that count for the HoA of 'vmn', newest first. */
size_t mat_store_preps(const struct mat_store *, const struct mat_key *vmn,
                       const struct mat_claim *preps[MAT_STORE_PREPS_MAX]);

/* Takes a claim out of the digests, or back in; it stays in the store. */
void mat_store_hide(struct mat_store *, const struct mat_key *, bool hide);

/* Digest of a zone, or null if it has no claims. */
const struct mat_store_zone *mat_store_zone(const struct mat_store *,
                                            uint32_t zone);

/* Collects up to 'max' claims of 'zone' that are not hidden and whose hash
 * starts with the upper 'bits' bits of 'prefix', in order of hash.  Returns
 * how many there are, which may be more than 'max'. */
size_t mat_store_scan(const struct mat_store *, uint32_t zone,
                      uint64_t prefix, unsigned int bits,
                      const struct mat_claim **claims, size_t max);

/* Walks all claims; '*cursor' starts at 0; null at the end. */
const struct mat_claim *mat_store_next(const struct mat_store *,
                                       size_t *cursor);

#endif /* mat-store.h */
