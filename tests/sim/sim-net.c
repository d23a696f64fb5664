/* SPDX-License-Identifier: Apache-2.0 */
/* Time and network: a heap of events, and what becomes of a datagram. */
#include <inttypes.h>
#include <stdarg.h>

#include "mat-mem.h"
#include "sim.h"

uint32_t
sim_below(struct sim *s, uint32_t n)
{
    return mat_rng_below(&s->rng, n);
}

bool
sim_chance(struct sim *s, uint32_t per_10000)
{
    return per_10000 && sim_below(s, 10000) < per_10000;
}

/* Trace. */

void
sim_trace(struct sim *s, const char *format, ...)
{
    char *line = s->trace[s->n_trace++ % SIM_TRACE_LINES];
    va_list args;
    int n = snprintf(line, sizeof *s->trace, "[%9.3f ms] ",
                     (double) s->now_us / 1000);

    va_start(args, format);
    vsnprintf(line + n, sizeof *s->trace - (size_t) n, format, args);
    va_end(args);
    if (s->verbose) {
        printf("# %s\n", line);
    }
}

void
sim_fail(struct sim *s, const char *format, ...)
{
    uint64_t first = s->n_trace > SIM_TRACE_LINES
                     ? s->n_trace - SIM_TRACE_LINES : 0;
    va_list args;

    if (s->n_trace - first > 60 && !s->verbose) {
        first = s->n_trace - 60;
    }
    fflush(stdout);
    fprintf(stderr, "# trace, last %" PRIu64 " of %" PRIu64 " lines:\n",
            s->n_trace - first, s->n_trace);
    for (uint64_t i = first; i < s->n_trace; i++) {
        fprintf(stderr, "#   %s\n", s->trace[i % SIM_TRACE_LINES]);
    }
    fprintf(stderr, "# FAILED at %.3f ms, event %" PRIu64 ": ",
            (double) s->now_us / 1000, s->n_events);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n# seed %" PRIu64 ", %d hosts; again with: %s\n",
            s->seed, s->n_hosts, s->replay ? s->replay : "(this test)");
    exit(1);
}

/* Events. */

static bool
is_earlier(const struct sim_event *a, const struct sim_event *b)
{
    return (a->at_us != b->at_us ? a->at_us < b->at_us
            : a->order < b->order);
}

void
sim_push_event(struct sim *s, struct sim_event *event)
{
    size_t i = s->n_queued++;

    if (s->n_queued > s->events_allocated) {
        s->events_allocated = s->events_allocated * 2 + 64;
        s->events = mat_xrealloc(s->events, s->events_allocated
                                            * sizeof *s->events);
    }
    event->order = s->next_order++;
    while (i && is_earlier(event, &s->events[(i - 1) / 2])) {
        s->events[i] = s->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->events[i] = *event;
}

static struct sim_event
pop_event(struct sim *s)
{
    struct sim_event first = s->events[0];
    struct sim_event last = s->events[--s->n_queued];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= s->n_queued) {
            break;
        }
        if (child + 1 < s->n_queued
            && is_earlier(&s->events[child + 1], &s->events[child])) {
            child++;
        }
        if (!is_earlier(&s->events[child], &last)) {
            break;
        }
        s->events[i] = s->events[child];
        i = child;
    }
    s->events[i] = last;
    return first;
}

void
sim_run_until(struct sim *s, int64_t at_us)
{
    while (s->n_queued && s->events[0].at_us <= at_us) {
        struct sim_event event = pop_event(s);

        s->now_us = event.at_us;
        s->n_events++;
        sim_dispatch(s, &event);
        free(event.data);
    }
    s->now_us = at_us;
}

void
sim_run(struct sim *s, int64_t for_us)
{
    sim_run_until(s, s->now_us + for_us);
}

void
sim_at(struct sim *s, int64_t after_us, sim_callback *call, uint64_t a,
       uint64_t b)
{
    struct sim_event event = {
        .kind = SIM_CALL, .at_us = s->now_us + after_us, .call = call,
        .a = a, .b = b
    };

    sim_push_event(s, &event);
}

/* Datagrams. */

static uint64_t
address_number(const struct mat_endpoint *endpoint)
{
    uint64_t number;

    memcpy(&number, endpoint->addr.b + 8, 8);
    return mat_mix64(number ^ endpoint->port);
}

struct sim_host *
sim_host_at(struct sim *s, const struct mat_endpoint *endpoint)
{
    struct sim_host *host = mat_index_find(&s->by_address,
                                           address_number(endpoint));

    return host && mat_endpoint_equal(&host->endpoint, endpoint) ? host
           : NULL;
}

void
sim_address_changes(struct sim *s, struct sim_host *host,
                    const struct mat_endpoint *endpoint)
{
    mat_index_remove(&s->by_address, address_number(&host->endpoint));
    host->endpoint = *endpoint;
    mat_index_insert(&s->by_address, address_number(endpoint), host);
}

static int64_t
delay_us(struct sim *s, const struct sim_host *from, const struct sim_host *to)
{
    const struct sim_net *net = &s->net;
    int64_t delay = (net->site_delay_us
                     ? net->site_delay_us[from->site * net->n_sites
                                          + to->site]
                     : net->delay_us);

    if (net->jitter_us) {
        delay += sim_below(s, (uint32_t) net->jitter_us);
    }
    return delay + from->slow_us + to->slow_us;
}

static void
deliver(struct sim *s, const struct sim_host *from, struct sim_host *to,
        const uint8_t *data, size_t size)
{
    struct sim_event event = {
        .kind = SIM_DATAGRAM, .at_us = s->now_us + delay_us(s, from, to),
        .host = to->index, .from = from->endpoint, .to = to->endpoint,
        .size = size
    };

    event.data = mat_xmalloc(size);
    memcpy(event.data, data, size);
    if (sim_chance(s, s->net.corrupt)) {
        event.data[sim_below(s, (uint32_t) size)]
            ^= (uint8_t) (1 + sim_below(s, 255));
        if (sim_chance(s, 3000)) {
            event.size = sim_below(s, (uint32_t) size + 1);
        }
    }
    sim_push_event(s, &event);
}

static bool
is_cut(const struct sim_host *from, const struct sim_host *to)
{
    return (from->blocked_out >> to->group & 1
            || to->blocked_in >> from->group & 1);
}

/* The attacker sees all that passes and keeps some of it. */
static void
capture(struct sim *s, const struct sim_host *from, const struct sim_host *to,
        const uint8_t *data, size_t size)
{
    struct sim_event *kept;

    if (s->n_captured < 256) {
        s->captured = mat_xrealloc(s->captured, (s->n_captured + 1)
                                                * sizeof *s->captured);
        kept = &s->captured[s->n_captured++];
    } else {
        kept = &s->captured[sim_below(s, 256)];
        free(kept->data);
    }
    *kept = (struct sim_event) {
        .host = to->index, .from = from->endpoint, .to = to->endpoint,
        .size = size
    };
    kept->data = mat_xmalloc(size);
    memcpy(kept->data, data, size);
}

void
sim_net_send(struct sim *s, struct sim_host *from,
             const struct mat_endpoint *endpoint,
             const uint8_t *data, size_t size)
{
    struct sim_host *to = sim_host_at(s, endpoint);

    from->n_out++;
    from->n_out_bytes += size + 28;     /* IP and UDP. */
    s->net.n_sent++;
    s->net.n_bytes += size + 28;
    if (size > MAT_WIRE_DATAGRAM_MAX) {
        sim_fail(s, "host %d sent %zu bytes", from->index, size);
    }
    if (!to) {
        return;
    }
    if (s->is_capturing && sim_chance(s, 500)) {
        capture(s, from, to, data, size);
    }
    if (is_cut(from, to) || sim_chance(s, s->net.loss)) {
        s->net.n_lost++;
        return;
    }
    deliver(s, from, to, data, size);
    if (sim_chance(s, s->net.duplicate)) {
        deliver(s, from, to, data, size);
    }
}

/* Cuts 'host' off from a group, in one direction or both. */
void
sim_block(struct sim_host *host, int group, bool in, bool out)
{
    host->blocked_in |= in ? UINT64_C(1) << group : 0;
    host->blocked_out |= out ? UINT64_C(1) << group : 0;
}

void
sim_heal(struct sim *s)
{
    for (int i = 0; i < s->n_hosts; i++) {
        s->hosts[i].blocked_in = s->hosts[i].blocked_out = 0;
        s->hosts[i].slow_us = 0;
    }
    s->net.loss = s->net.duplicate = s->net.corrupt = 0;
}
