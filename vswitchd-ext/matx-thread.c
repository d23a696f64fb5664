/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-thread.h"

#include <sched.h>

#include "openvswitch/thread.h"
#include "ovs-thread.h"
#include "util.h"

static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct matx_thread *threads[MATX_THREADS_MAX] OVS_GUARDED_BY(mutex);
static struct matx_counters gone OVS_GUARDED_BY(mutex);
static struct matx_counters cleared OVS_GUARDED_BY(mutex);
static uint64_t n_refused;              /* Atomic. */

static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;
static ovsthread_key_t key;
static __thread struct matx_thread *self;

static uint64_t
load(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void
add_counters(struct matx_counters *sum, const struct mat_switch_thread *t)
{
    for (int in = 0; in < 2; in++) {
        for (int i = 0; i < MAT_N_VERDICTS; i++) {
            sum->n_packets[in][i] += load(&t->n_packets[in][i]);
        }
    }
    sum->n_errors_suppressed += load(&t->n_errors_suppressed);
    sum->n_events_suppressed += load(&t->n_events_suppressed);
}

static void
matx_thread_destroy(void *thread_)
{
    struct matx_thread *thread = thread_;

    ovs_mutex_lock(&mutex);
    add_counters(&gone, &thread->switching);
    threads[thread->index] = NULL;
    ovs_mutex_unlock(&mutex);
    free_cacheline(thread);
    self = NULL;
}

static struct matx_thread *
matx_thread_create(void)
{
    struct matx_thread *thread = NULL;

    if (ovsthread_once_start(&once)) {
        ovsthread_key_create(&key, matx_thread_destroy);
        ovsthread_once_done(&once);
    }
    ovs_mutex_lock(&mutex);
    for (unsigned int i = 0; i < MATX_THREADS_MAX; i++) {
        if (!threads[i]) {
            thread = xzalloc_cacheline(sizeof *thread);
            thread->index = i;
            threads[i] = thread;
            break;
        }
    }
    ovs_mutex_unlock(&mutex);
    if (thread) {
        ovsthread_setspecific(key, thread);
    }
    return thread;
}

struct matx_thread *
matx_thread_self(void)
{
    if (OVS_UNLIKELY(!self)) {
        self = matx_thread_create();
    }
    return self;
}

/* Waits for the end of the read section that 'thread' is in, if any. */
static void
wait_for(struct matx_thread *thread)
{
    enum { SPINS = 2000 };      /* Some microseconds: about one batch. */
    uint64_t epoch = __atomic_fetch_add(&thread->epoch, 0, __ATOMIC_ACQ_REL);

    for (int i = 0; epoch & 1; i++) {
        if (__atomic_load_n(&thread->epoch, __ATOMIC_ACQUIRE) != epoch) {
            break;
        } else if (i >= SPINS) {
            /* It is not running: perhaps it waits for this CPU. */
            sched_yield();
        }
    }
}

/* A thread of the registry does not go away meanwhile, as its end needs the
 * lock too; nor does a thread end within a read section. */
void
matx_threads_synchronize(void *aux OVS_UNUSED)
{
    ovs_mutex_lock(&mutex);
    for (int i = 0; i < MATX_THREADS_MAX; i++) {
        if (threads[i]) {
            wait_for(threads[i]);
        }
    }
    ovs_mutex_unlock(&mutex);
}

static void
sum_all(struct matx_counters *sum)
    OVS_REQUIRES(mutex)
{
    *sum = gone;
    sum->n_no_thread = load(&n_refused);
    for (int i = 0; i < MATX_THREADS_MAX; i++) {
        if (threads[i]) {
            add_counters(sum, &threads[i]->switching);
        }
    }
}

void
matx_threads_sum(struct matx_counters *sum)
{
    ovs_mutex_lock(&mutex);
    sum_all(sum);
    for (int in = 0; in < 2; in++) {
        for (int i = 0; i < MAT_N_VERDICTS; i++) {
            sum->n_packets[in][i] -= cleared.n_packets[in][i];
        }
    }
    sum->n_errors_suppressed -= cleared.n_errors_suppressed;
    sum->n_events_suppressed -= cleared.n_events_suppressed;
    sum->n_no_thread -= cleared.n_no_thread;
    ovs_mutex_unlock(&mutex);
}

void
matx_threads_clear(void)
{
    ovs_mutex_lock(&mutex);
    sum_all(&cleared);
    ovs_mutex_unlock(&mutex);
}

void
matx_threads_count_refused(size_t n_packets)
{
    __atomic_add_fetch(&n_refused, n_packets, __ATOMIC_RELAXED);
}
