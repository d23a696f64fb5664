/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_METRICS_H
#define MATD_METRICS_H 1

/* Numbers for Prometheus: counters of agent, gossip and switch, and histograms
 * of the phases of moves, in its text format 0.0.4, by "mat/metrics" and, if
 * mat-metrics is set, by HTTP on a TCP port of the loopback interface.
 *
 * Who asks is answered when the switch has told its counters, which takes
 * less than a millisecond, or after MATD_METRICS_WAIT_MS with older ones.
 *
 * The server answers "GET /metrics" only.  It has at most
 * MATD_METRICS_CONNECTIONS_MAX connections, each with a request of at most
 * MATD_METRICS_REQUEST_MAX bytes and MATD_METRICS_TIMEOUT_MS of time; what is
 * beyond is closed and counted.
 *
 * matd.c creates it, calls _run() and _wait() in its loop, _listen() when the
 * configuration changes, _number() with what matd-switch.h dumps for
 * MATD_SWITCH_NUMBERS, and puts it into struct matd_ctl.
 *
 * Threads: the one of the poll loop. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-host.h"

struct ds;
struct mat_op;
struct matd_ctl;
struct matd_metrics;

enum {
    MATD_METRICS_CONNECTIONS_MAX = 8,
    MATD_METRICS_REQUEST_MAX = 4096,
    MATD_METRICS_TIMEOUT_MS = 5000,
    MATD_METRICS_WAIT_MS = 500,
    MATD_METRICS_ASKS_MAX = 32
};

struct matd_metrics *matd_metrics_create(const struct matd_ctl *);
void matd_metrics_destroy(struct matd_metrics *);

/* Listens at 'endpoint', or with port 0 at none.  What hinders it is in
 * matd_metrics_error(), or null; it is tried again. */
void matd_metrics_listen(struct matd_metrics *, const struct mat_endpoint *);
const char *matd_metrics_error(const struct matd_metrics *);

void matd_metrics_run(struct matd_metrics *, int64_t now_us);
void matd_metrics_wait(struct matd_metrics *);

/* A counter of the switch; then, with null, the end. */
void matd_metrics_number(struct matd_metrics *, const struct mat_op *);

/* Calls 'answer' once with all numbers, soon, unless matd_metrics_forget() is
 * called with 'aux' before.  'text' is null if too many ask. */
void matd_metrics_ask(struct matd_metrics *,
                      void (*answer)(void *aux, const char *text), void *aux);
void matd_metrics_forget(struct matd_metrics *, void *aux);

#endif /* matd-metrics.h */
