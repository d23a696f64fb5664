/* SPDX-License-Identifier: Apache-2.0 */
#include "sim-story.h"

#include <stdlib.h>

#include "mat-mem.h"

/* A quiet cluster where all know each other and VM i runs on host i. */
void
given_cluster(struct sim *s, int n_hosts, int n_vms)
{
    memset(s, 0, sizeof *s);
    sim_init(s, 1, n_hosts, n_vms);
    sim_host_start_all(s);
    for (int i = 0; i < n_vms; i++) {
        sim_vm_create(s, i, i % n_hosts);
    }
    sim_run(s, 5 * SIM_S);
    sim_settle(s, 30 * SIM_S);
    s->n_trace = 0;
}

void
without_direct_spread(struct sim *s)
{
    for (int i = 0; i < s->n_hosts; i++) {
        s->hosts[i].engine->config.tuning.spread_direct = 0;
        s->hosts[i].engine->config.tuning.spread_fanout = 2;
    }
}

void
all_talk_with(struct sim *s, int vm)
{
    for (int i = 0; i < s->n_vms; i++) {
        if (i != vm) {
            sim_vm_access(s, i, vm);
        }
    }
    sim_run(s, 100 * SIM_MS);
}

/* All VMs of a zone come up on one host, in one event. */
void
evacuate_to(struct sim *s, int host, uint32_t zone)
{
    for (int i = 0; i < s->n_vms; i++) {
        if (s->vms[i].key.zone == zone && s->vms[i].host != host) {
            sim_vm_move_quietly(s, i, host);
        }
    }
    sim_host_drain(s, &s->hosts[host]);
}

/* The time since 'start' at which 'line' stands in the trace, or -1. */
static int64_t
heard_at(struct sim *s, int64_t start, const char *line)
{
    for (uint64_t i = 0; i < s->n_trace && i < SIM_TRACE_LINES; i++) {
        if (strstr(s->trace[i], line)) {
            return (int64_t) (strtod(s->trace[i] + 1, NULL) * 1000 + 0.5)
                   - start;
        }
    }
    return -1;
}

void
expect_at(struct sim *s, int64_t start, const char *line, int64_t at_us)
{
    int64_t heard = heard_at(s, start, line);

    if (heard != at_us) {
        sim_fail(s, "\"%s\" at %lld us instead of %lld", line,
                 (long long) heard, (long long) at_us);
    }
}

void
expect_by(struct sim *s, int64_t start, const char *line, int64_t by_us)
{
    int64_t heard = heard_at(s, start, line);

    if (heard < 0 || heard > by_us) {
        sim_fail(s, "\"%s\" at %lld us, not by %lld", line,
                 (long long) heard, (long long) by_us);
    }
}

void
expect_never(struct sim *s, const char *line)
{
    if (heard_at(s, 0, line) >= 0) {
        sim_fail(s, "\"%s\" should not have happened", line);
    }
}

void
expect_owner(struct sim *s, int host, int vm, int owner)
{
    const struct sim_entry *e = sim_entry(s, host, vm);

    if (!e->is_live || sim_host_of_id(s, e->owner) != owner) {
        sim_fail(s, "h%d thinks that vm%d is on h%d, not on h%d", host, vm,
                 e->is_live ? sim_host_of_id(s, e->owner) : -1, owner);
    }
}

/* ... that has the zone, and is honest. */
void
expect_owner_everywhere(struct sim *s, int vm, int owner)
{
    for (int i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].is_up && !s->hosts[i].is_rogue
            && mat_vmn_wants_zone(s->hosts[i].engine,
                                  s->vms[vm].key.zone)) {
            expect_owner(s, i, vm, owner);
        }
    }
}

void
replay_captured(struct sim *s, int host)
{
    s->is_capturing = false;
    for (size_t i = 0; i < s->n_captured; i++) {
        struct sim_event event = s->captured[i];

        if (host >= 0 && event.host != host) {
            continue;
        }
        event.kind = SIM_DATAGRAM;
        event.at_us = s->now_us;
        event.data = mat_xmalloc(event.size);
        memcpy(event.data, s->captured[i].data, event.size);
        sim_push_event(s, &event);
    }
    sim_run(s, 10);
}

uint64_t
counted(struct sim *s, enum mat_counter counter)
{
    uint64_t n = 0;

    for (int i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].is_up) {
            n += mat_gossip_counter(s->hosts[i].engine, counter);
        }
    }
    return n;
}
