/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that need time: a core of their own, as fast as the one here.
 *
 * While such a host works, its virtual clock runs by the time that the
 * processor really needs; datagrams that come meanwhile wait in its socket,
 * which has a limit.  It takes up to BATCH of them at once, as an agent does
 * that drains its socket.  Such runs depend on the machine, so no seed repeats
 * them exactly. */
#include <time.h>

#include "mat-mem.h"
#include "sim.h"

enum { BATCH = 32 };

static int64_t
cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

void
sim_busy_init(struct sim_host *host, size_t socket_bytes_max)
{
    host->busy = mat_xcalloc(1, sizeof *host->busy);
    host->busy->bytes_max = socket_bytes_max;
}

void
sim_busy_destroy(struct sim_host *host)
{
    if (host->busy) {
        for (size_t i = 0; i < host->busy->n; i++) {
            free(host->busy->waiting[i].data);
        }
        free(host->busy->waiting);
        free(host->busy);
    }
}

static void
feed(struct sim *s, struct sim_host *host, struct sim_event *events, size_t n)
{
    mat_gossip_tick(host->engine, s->now_us);
    for (size_t i = 0; i < n; i++) {
        mat_gossip_receive(host->engine, s->now_us, &events[i].from,
                           events[i].data, events[i].size);
        free(events[i].data);
    }
}

static void resume(struct sim *, uint64_t host, uint64_t unused);

/* A timer has run out: it waits until the work under way is done. */
void
sim_busy_tick(struct sim *s, struct sim_host *host)
{
    struct sim_busy *busy = host->busy;

    if (!busy->is_working) {
        busy->is_working = true;
        sim_at(s, busy->free_at_us > s->now_us
                  ? busy->free_at_us - s->now_us : 0, resume,
               (uint64_t) host->index, 0);
    }
}

static void
resume(struct sim *s, uint64_t host_, uint64_t unused)
{
    struct sim_host *host = &s->hosts[host_];
    struct sim_busy *busy = host->busy;
    struct sim_event batch[BATCH];
    int64_t start_us = s->now_us, start_ns = cpu_ns();
    size_t n = busy->n < BATCH ? busy->n : BATCH;
    struct mat_output out;

    (void) unused;
    busy->is_working = false;
    for (size_t i = 0; i < n; i++) {
        batch[i] = busy->waiting[i];
        busy->n_bytes -= batch[i].size;
    }
    busy->n -= n;
    memmove(busy->waiting, busy->waiting + n,
            busy->n * sizeof *busy->waiting);
    feed(s, host, batch, n);
    while (mat_gossip_next(host->engine, &out)) {
        s->now_us = start_us + (cpu_ns() - start_ns) / 1000;
        sim_host_output(s, host, &out);
    }
    busy->cpu_ns += cpu_ns() - start_ns;
    s->now_us = start_us;
    busy->free_at_us = start_us + (cpu_ns() - start_ns) / 1000;
    if (busy->n) {
        sim_busy_tick(s, host);
    }
    sim_host_schedule(s, host);
}

/* A datagram has come. */
void
sim_busy_receive(struct sim *s, struct sim_host *host,
                 struct sim_event *event)
{
    struct sim_busy *busy = host->busy;

    if (busy->n_bytes + event->size > busy->bytes_max) {
        busy->n_dropped++;
        return;
    }
    if (busy->n == busy->allocated) {
        busy->allocated = busy->allocated * 2 + 64;
        busy->waiting = mat_xrealloc(busy->waiting, busy->allocated
                                     * sizeof *busy->waiting);
    }
    busy->waiting[busy->n++] = *event;
    event->data = NULL;         /* Taken. */
    busy->n_bytes += event->size;
    if (busy->n_bytes > busy->n_bytes_most) {
        busy->n_bytes_most = busy->n_bytes;
    }
    sim_busy_tick(s, host);
}

