/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matd-metrics.h"

#include <stdlib.h>
#include <string.h>

#include "mat-agent.h"
#include "matd-ctl.h"
#include "matd-metrics-private.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

enum {
    LOOK_US = 200000,           /* Between looks at migrations... */
    MANY = 16                   /* ...if fewer begin. */
};

struct ask {
    void (*answer)(void *aux, const char *text);
    void *aux;
    long long int deadline_ms;
};

struct matd_metrics {
    const struct matd_ctl *ctl;
    struct matd_http *http;
    struct matd_moves moves;
    struct matd_numbers numbers;        /* The last complete ones... */
    struct matd_numbers incoming;       /* ...and those that come. */
    int64_t look_us;            /* When to look at migrations again. */
    uint64_t looked_id;         /* The newest one then, or some time ago. */
    struct ask asks[MATD_METRICS_ASKS_MAX];
    size_t n_asks;
};

struct matd_metrics *
matd_metrics_create(const struct matd_ctl *ctl)
{
    struct matd_metrics *m = xzalloc(sizeof *m);

    m->ctl = ctl;
    m->http = matd_http_create(m);
    return m;
}

void
matd_metrics_destroy(struct matd_metrics *m)
{
    if (m) {
        matd_http_destroy(m->http);
        free(m);
    }
}

void
matd_metrics_listen(struct matd_metrics *m,
                    const struct mat_endpoint *endpoint)
{
    matd_http_listen(m->http, endpoint);
}

const char *
matd_metrics_error(const struct matd_metrics *m)
{
    return matd_http_error(m->http);
}

/* Migrations. */

static void
count_phases(struct matd_moves *moves, const struct mat_agent_migration *m)
{
    const int64_t *at = m->at_us;

    for (int i = MAT_MIGRATION_SEEN + 1; i < MAT_N_MIGRATION_PHASES; i++) {
        if (at[i]) {
            matd_histogram_add(&moves->phases[m->kind][i],
                               at[i] - at[MAT_MIGRATION_SEEN]);
        }
    }
    if (m->kind != MAT_MIGRATION_IN) {
        return;                 /* Who appears has nobody to be told. */
    }
    if (at[MAT_MIGRATION_CLAIMED] && at[MAT_MIGRATION_TABLE]) {
        matd_histogram_add(&moves->table, at[MAT_MIGRATION_TABLE]
                           - at[MAT_MIGRATION_CLAIMED]);
    }
    if (at[MAT_MIGRATION_CLAIMED] && at[MAT_MIGRATION_PUSHED]) {
        matd_histogram_add(&moves->convergence, at[MAT_MIGRATION_PUSHED]
                           - at[MAT_MIGRATION_CLAIMED]);
    }
}

static void
look_at_migrations(struct matd_metrics *metrics)
{
    struct matd_moves *moves = &metrics->moves;
    struct mat_agent_migration m;
    size_t cursor = 0;

    while (mat_agent_next_migration(metrics->ctl->agent, &cursor, &m)) {
        uint64_t *counted = &moves->counted[m.id % MAT_AGENT_MIGRATIONS_MAX];

        if (*counted != m.id && m.outcome != MAT_MIGRATION_RUNNING
            && (int) m.kind < MATD_METRICS_KINDS
            && (int) m.outcome < MATD_METRICS_OUTCOMES) {
            *counted = m.id;
            moves->n[m.kind][m.outcome]++;
            count_phases(moves, &m);
        }
    }
}

/* So many that some may soon be forgotten unseen? */
static bool
many_began(struct matd_metrics *metrics)
{
    struct mat_agent_migration newest;
    size_t cursor = 0;

    if (!mat_agent_next_migration(metrics->ctl->agent, &cursor, &newest)
        || newest.id - metrics->looked_id < MANY) {
        return false;
    }
    metrics->looked_id = newest.id;
    return true;
}

/* Asking. */

static void
answer(struct matd_metrics *m, size_t i, const char *text)
{
    struct ask ask = m->asks[i];

    m->asks[i] = m->asks[--m->n_asks];
    ask.answer(ask.aux, text);
}

static void
answer_all(struct matd_metrics *m)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    look_at_migrations(m);
    matd_metrics_format(m->ctl, &m->moves, &m->numbers,
                        matd_http_stats(m->http), &s);
    while (m->n_asks) {
        answer(m, 0, ds_cstr(&s));
    }
    ds_destroy(&s);
}

void
matd_metrics_ask(struct matd_metrics *m,
                 void (*cb)(void *aux, const char *text), void *aux)
{
    if (m->n_asks >= MATD_METRICS_ASKS_MAX) {
        cb(aux, NULL);
        return;
    }
    m->asks[m->n_asks++] = (struct ask) {
        .answer = cb,
        .aux = aux,
        .deadline_ms = time_msec() + MATD_METRICS_WAIT_MS,
    };
    if (m->ctl->sw && matd_switch_is_connected(m->ctl->sw)) {
        matd_switch_dump(m->ctl->sw, MATD_SWITCH_NUMBERS);
    } else {
        m->asks[m->n_asks - 1].deadline_ms = time_msec();
        m->numbers.n = 0;
        poll_immediate_wake();
    }
}

void
matd_metrics_forget(struct matd_metrics *m, void *aux)
{
    for (size_t i = 0; i < m->n_asks; i++) {
        if (m->asks[i].aux == aux) {
            m->asks[i] = m->asks[--m->n_asks];
            return;
        }
    }
}

void
matd_metrics_number(struct matd_metrics *m, const struct mat_op *op)
{
    struct matd_numbers *in = &m->incoming;

    if (!op) {
        m->numbers = *in;
        in->n = 0;
        if (m->n_asks) {
            answer_all(m);
        }
    } else if (op->type == MAT_OP_NUMBER && in->n < MATD_METRICS_NUMBERS_MAX) {
        ovs_strzcpy(in->items[in->n].name, op->number.name,
                    sizeof in->items[in->n].name);
        in->items[in->n++].value = op->number.value;
    }
}

static long long int
first_deadline_ms(const struct matd_metrics *m)
{
    long long int first = LLONG_MAX;

    for (size_t i = 0; i < m->n_asks; i++) {
        first = MIN(first, m->asks[i].deadline_ms);
    }
    return first;
}

void
matd_metrics_run(struct matd_metrics *m, int64_t now_us)
{
    if (now_us >= m->look_us || many_began(m)) {
        m->look_us = now_us + LOOK_US;
        look_at_migrations(m);
    }
    matd_http_run(m->http);
    if (m->n_asks && time_msec() >= first_deadline_ms(m)) {
        answer_all(m);
    }
}

/* Migrations alone wake nobody: matd wakes often enough to see each of them
 * before MAT_AGENT_MIGRATIONS_MAX others have come, as it does so for all that
 * may begin one. */
void
matd_metrics_wait(struct matd_metrics *m)
{
    matd_http_wait(m->http);
    if (m->n_asks) {
        poll_timer_wait_until(first_deadline_ms(m));
    }
}
