/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_METRICS_PRIVATE_H
#define MATD_METRICS_PRIVATE_H 1

/* Between the matd-metrics*.c: what has been counted here, its text, and the
 * HTTP server. */

#include "mat-agent.h"
#include "matd-histogram.h"
#include "matd-metrics.h"

enum {
    MATD_METRICS_KINDS = MAT_MIGRATION_RENUMBERED + 1,
    MATD_METRICS_OUTCOMES = MAT_MIGRATION_LOST + 1,
    MATD_METRICS_NUMBERS_MAX = 512
};

/* What is counted of migrations once they have ended. */
struct matd_moves {
    uint64_t counted[MAT_AGENT_MIGRATIONS_MAX];     /* Ids, by id % size. */
    uint64_t n[MATD_METRICS_KINDS][MATD_METRICS_OUTCOMES];
    struct matd_histogram phases[MATD_METRICS_KINDS][MAT_N_MIGRATION_PHASES];
    struct matd_histogram table, convergence;
};

/* The switch's counters. */
struct matd_numbers {
    size_t n;
    struct {
        char name[MAT_PORT_NAME_SIZE];
        uint64_t value;
    } items[MATD_METRICS_NUMBERS_MAX];
};

struct matd_http_stats {
    uint64_t n_requests, n_refused, n_timeouts, n_bad;
};

void matd_metrics_format(const struct matd_ctl *, const struct matd_moves *,
                         const struct matd_numbers *,
                         const struct matd_http_stats *, struct ds *);

/* The server. */
struct matd_http;

struct matd_http *matd_http_create(struct matd_metrics *);
void matd_http_destroy(struct matd_http *);
void matd_http_listen(struct matd_http *, const struct mat_endpoint *);
const char *matd_http_error(const struct matd_http *);
const struct matd_http_stats *matd_http_stats(const struct matd_http *);
void matd_http_run(struct matd_http *);
void matd_http_wait(struct matd_http *);

#endif /* matd-metrics-private.h */
