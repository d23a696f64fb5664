/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_HEAP_H
#define MAT_HEAP_H 1

/* Deadlines: a binary heap of timers embedded in the objects that they wake.
 *
 * A timer knows its place in the heap, so moving or removing it costs
 * O(log n).  A zeroed timer is one that is not armed.  The 'kind' is for the
 * owner, to find the object around the timer. */

#include <stdbool.h>
#include <stdint.h>

struct mat_timer {
    int64_t at_us;
    uint32_t pos;               /* Place in the heap from 1, 0 if none. */
    uint32_t kind;
};

struct mat_heap {
    struct mat_timer **timers;
    uint32_t n, allocated;
};

#define MAT_TIMER_NEVER INT64_MAX

void mat_heap_destroy(struct mat_heap *);

/* Arms 'timer' for 'at_us', whether it was armed or not. */
void mat_heap_set(struct mat_heap *, struct mat_timer *, int64_t at_us);

/* Disarms 'timer' if it was armed. */
void mat_heap_cancel(struct mat_heap *, struct mat_timer *);

/* Takes out the earliest timer if it is due at 'now_us', else null. */
struct mat_timer *mat_heap_expire(struct mat_heap *, int64_t now_us);

static inline int64_t
mat_heap_deadline(const struct mat_heap *heap)
{
    return heap->n ? heap->timers[1]->at_us : MAT_TIMER_NEVER;
}

static inline bool
mat_timer_is_armed(const struct mat_timer *timer)
{
    return timer->pos != 0;
}

#endif /* mat-heap.h */
