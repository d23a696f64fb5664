/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_INDEX_H
#define MAT_INDEX_H 1

/* A small hash table from a 64-bit number to a pointer.
 *
 * For the engine's tables that are not the record store: local VMNs, pushes,
 * pulls, damping.  The numbers are hashes or sequential, so they are mixed
 * here once more.  One entry a number. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mat_index_slot {
    uint64_t number;
    void *value;                /* Null if the slot is free. */
};

struct mat_index {
    struct mat_index_slot *slots;
    size_t n, mask;             /* 'mask' + 1 slots, if there are any. */
};

void mat_index_destroy(struct mat_index *);     /* Not the values. */
void *mat_index_find(const struct mat_index *, uint64_t number);
void mat_index_insert(struct mat_index *, uint64_t number, void *value);
void *mat_index_remove(struct mat_index *, uint64_t number);

/* Walks all values: '*cursor' starts at 0; null at the end.  The table must
 * not change meanwhile. */
void *mat_index_next(const struct mat_index *, size_t *cursor);

#endif /* mat-index.h */
