/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_SWITCH_H
#define MATD_SWITCH_H 1

/* The agent's end of the update socket, never waiting.
 *
 * Operations are queued with matd_switch_put() and go out from
 * matd_switch_run(), all that have come together in one batch.  One request is
 * under way at a time: while the switch works on a batch the next one fills,
 * and order is kept.  Operations go before dumps, which proceed a page at a
 * time.
 *
 * A batch is done whole or not at all, so an operation that the switch refuses
 * is told to the handler and the batch is sent again without it.
 *
 * Operations and dumps that were still queued when the connection broke are
 * gone: after 'connected' is the time to ask what is missing.
 *
 * Handlers are called from matd_switch_run() only.  They may put operations.
 *
 * Limits: MATD_SWITCH_QUEUE_MAX bytes of operations, beyond which the
 * connection is begun anew.  Threads: one. */

#include "mat-event.h"
#include "mat-update.h"

struct matd_switch;

struct matd_switch_handler {
    /* The switch answers; 'instance' is another one after it has restarted. */
    void (*connected)(void *aux, uint64_t instance);
    void (*disconnected)(void *aux);

    void (*event)(void *aux, const struct mat_event *);
    void (*events_lost)(void *aux, uint64_t n);

    /* All operations up to number 'sequence' are in effect or refused. */
    void (*acked)(void *aux, uint64_t sequence);
    void (*refused)(void *aux, uint64_t sequence, const struct mat_op *,
                    unsigned int reason, const char *why);

    /* An item of a dump; then, with null, its end. */
    void (*dumped)(void *aux, enum mat_update_dump, const struct mat_op *);
};

enum {
    MATD_SWITCH_QUEUE_MAX = 64 << 20
};

/* A dump of the switch's counters: operations of type MAT_OP_NUMBER. */
#define MATD_SWITCH_NUMBERS ((enum mat_update_dump) 0)

/* 'path' is that of the socket; null for the usual one. */
struct matd_switch *matd_switch_create(const char *path,
                                       const struct matd_switch_handler *,
                                       void *aux);
void matd_switch_destroy(struct matd_switch *);

void matd_switch_run(struct matd_switch *);
void matd_switch_wait(struct matd_switch *);

/* Sends what has been put since, without waiting for the next run. */
void matd_switch_flush(struct matd_switch *);

/* Queues an operation, with a number that is larger than those before; or 0
 * for one of which nobody wants to hear again.  Nothing happens while there is
 * no connection. */
void matd_switch_put(struct matd_switch *, uint64_t sequence,
                     const struct mat_op *);

/* Queues a dump, to be made after the operations put so far.  One that has
 * not begun yet is enough. */
void matd_switch_dump(struct matd_switch *, enum mat_update_dump);

bool matd_switch_is_connected(const struct matd_switch *);

struct matd_switch_stats {
    uint64_t n_connections;
    uint64_t n_batches, n_ops, n_refused;
    uint64_t n_events, n_events_lost;
    int64_t ack_us;             /* Of the last batch, and the longest. */
    int64_t ack_max_us;
    const char *path;
    const char *problem;        /* Why there is no connection, or null. */
};

void matd_switch_get_stats(const struct matd_switch *,
                           struct matd_switch_stats *);

#endif /* matd-switch.h */
