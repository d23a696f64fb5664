/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-heap.h"

#include "mat-mem.h"

static void
place(struct mat_heap *heap, struct mat_timer *timer, uint32_t pos)
{
    heap->timers[pos] = timer;
    timer->pos = pos;
}

static void
sift_up(struct mat_heap *heap, struct mat_timer *timer, uint32_t pos)
{
    while (pos > 1 && heap->timers[pos / 2]->at_us > timer->at_us) {
        place(heap, heap->timers[pos / 2], pos);
        pos /= 2;
    }
    place(heap, timer, pos);
}

static void
sift_down(struct mat_heap *heap, struct mat_timer *timer, uint32_t pos)
{
    for (;;) {
        uint32_t child = pos * 2;

        if (child > heap->n) {
            break;
        }
        if (child < heap->n && (heap->timers[child + 1]->at_us
                                < heap->timers[child]->at_us)) {
            child++;
        }
        if (heap->timers[child]->at_us >= timer->at_us) {
            break;
        }
        place(heap, heap->timers[child], pos);
        pos = child;
    }
    place(heap, timer, pos);
}

void
mat_heap_destroy(struct mat_heap *heap)
{
    free(heap->timers);
    *heap = (struct mat_heap) { .n = 0 };
}

void
mat_heap_set(struct mat_heap *heap, struct mat_timer *timer, int64_t at_us)
{
    mat_heap_cancel(heap, timer);
    if (heap->n + 2 > heap->allocated) {
        heap->allocated = heap->allocated ? heap->allocated * 2 : 16;
        heap->timers = mat_xrealloc(heap->timers, heap->allocated
                                    * sizeof *heap->timers);
    }
    timer->at_us = at_us;
    heap->n++;
    sift_up(heap, timer, heap->n);
}

void
mat_heap_cancel(struct mat_heap *heap, struct mat_timer *timer)
{
    uint32_t pos = timer->pos;
    struct mat_timer *last;

    if (!pos) {
        return;
    }
    MAT_ASSERT(heap->timers[pos] == timer);
    last = heap->timers[heap->n--];
    timer->pos = 0;
    if (last == timer) {
        return;
    }
    if (pos > 1 && heap->timers[pos / 2]->at_us > last->at_us) {
        sift_up(heap, last, pos);
    } else {
        sift_down(heap, last, pos);
    }
}

struct mat_timer *
mat_heap_expire(struct mat_heap *heap, int64_t now_us)
{
    struct mat_timer *timer;

    if (mat_heap_deadline(heap) > now_us) {
        return NULL;
    }
    timer = heap->timers[1];
    mat_heap_cancel(heap, timer);
    return timer;
}
