/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-index.h"

#include "mat-mem.h"
#include "mat-rng.h"

static size_t
home(const struct mat_index *index, uint64_t number)
{
    return (size_t) mat_mix64(number) & index->mask;
}

void
mat_index_destroy(struct mat_index *index)
{
    free(index->slots);
    *index = (struct mat_index) { .n = 0 };
}

static struct mat_index_slot *
find_slot(const struct mat_index *index, uint64_t number)
{
    if (!index->slots) {
        return NULL;
    }
    for (size_t i = home(index, number); ; i = (i + 1) & index->mask) {
        struct mat_index_slot *slot = &index->slots[i];

        if (!slot->value || slot->number == number) {
            return slot;
        }
    }
}

void *
mat_index_find(const struct mat_index *index, uint64_t number)
{
    struct mat_index_slot *slot = find_slot(index, number);

    return slot ? slot->value : NULL;
}

static void
grow(struct mat_index *index)
{
    struct mat_index old = *index;
    size_t size = old.slots ? (old.mask + 1) * 2 : 8;

    index->slots = mat_xcalloc(size, sizeof *index->slots);
    index->mask = size - 1;
    for (size_t i = 0; old.slots && i <= old.mask; i++) {
        if (old.slots[i].value) {
            *find_slot(index, old.slots[i].number) = old.slots[i];
        }
    }
    free(old.slots);
}

void
mat_index_insert(struct mat_index *index, uint64_t number, void *value)
{
    struct mat_index_slot *slot;

    MAT_ASSERT(value);
    if (!index->slots || (index->n + 1) * 4 > (index->mask + 1) * 3) {
        grow(index);
    }
    slot = find_slot(index, number);
    if (!slot->value) {
        index->n++;
    }
    *slot = (struct mat_index_slot) { number, value };
}

void *
mat_index_remove(struct mat_index *index, uint64_t number)
{
    struct mat_index_slot *slot = find_slot(index, number);
    void *value = slot ? slot->value : NULL;
    size_t hole, i;

    if (!value) {
        return NULL;
    }
    /* Close the hole by what was pushed over it, as in Knuth 6.4, R. */
    hole = i = (size_t) (slot - index->slots);
    for (;;) {
        struct mat_index_slot *next;

        i = (i + 1) & index->mask;
        next = &index->slots[i];
        if (!next->value) {
            break;
        }
        if (((i - home(index, next->number)) & index->mask)
            >= ((i - hole) & index->mask)) {
            index->slots[hole] = *next;
            hole = i;
        }
    }
    index->slots[hole].value = NULL;
    index->n--;
    return value;
}

void *
mat_index_next(const struct mat_index *index, size_t *cursor)
{
    while (index->slots && *cursor <= index->mask) {
        void *value = index->slots[(*cursor)++].value;

        if (value) {
            return value;
        }
    }
    return NULL;
}
