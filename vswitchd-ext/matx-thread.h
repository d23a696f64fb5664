/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_THREAD_H
#define MATX_THREAD_H 1

/* What every thread that executes the action has for itself, and how the
 * writer of the table waits for those threads.
 *
 * A thread is inside a read section while it works on one batch of packets.
 * matx_threads_synchronize() waits until each section that is open when it is
 * called has ended: a few microseconds, unless a thread lost its CPU in the
 * middle of its batch.  (The grace periods of OVS RCU are those of a PMD's
 * main loop, 10 ms, and the main thread's may last seconds.)
 *
 * Threads come and go, since PMD threads are made anew when the datapath is
 * reconfigured; counters of those that are gone are kept in a sum. */

#include "mat-switch.h"

enum {
    MATX_THREADS_MAX = 256      /* PMD threads, the main thread, handlers. */
};

struct matx_thread {
    uint64_t epoch;             /* Odd inside a read section. */
    unsigned int index;         /* Unique among those that live. */
    struct mat_switch_thread switching;
};

/* This thread's own; null if there are MATX_THREADS_MAX others. */
struct matx_thread *matx_thread_self(void);

/* A thread enters with an atomic exchange, which the read-modify-write of
 * matx_threads_synchronize() is ordered with: either the writer sees that the
 * section is open and waits, or the section sees what the writer wrote. */
static inline void
matx_thread_enter(struct matx_thread *thread)
{
    __atomic_exchange_n(&thread->epoch, thread->epoch + 1, __ATOMIC_ACQ_REL);
}

static inline void
matx_thread_leave(struct matx_thread *thread)
{
    __atomic_store_n(&thread->epoch, thread->epoch + 1, __ATOMIC_RELEASE);
}

/* For struct mat_table_config. */
void matx_threads_synchronize(void *aux);

/* Sums over all threads since the last matx_threads_clear(). */
struct matx_counters {
    uint64_t n_packets[2][MAT_N_VERDICTS];
    uint64_t n_errors_suppressed;
    uint64_t n_events_suppressed;
    uint64_t n_no_thread;       /* Packets dropped by threads that have no
                                 * struct matx_thread. */
};

void matx_threads_sum(struct matx_counters *);
void matx_threads_clear(void);

/* Counts packets as dropped by a thread that matx_thread_self() has
 * refused. */
void matx_threads_count_refused(size_t n_packets);

#endif /* matx-thread.h */
