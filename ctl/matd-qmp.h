/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_QMP_H
#define MATD_QMP_H 1

/* What QEMU says about the VM on a port, by QMP on a unix socket.
 *
 * One connection for each port with "mat-qmp"; it never blocks, is made again
 * when it is lost, and asks for nothing that changes the VM but the events of
 * migrations.  What is in the stream is told by matd-qmp-vm.h; this is the
 * socket around it.  A peer that sends more than MATD_QMP_MESSAGE_MAX bytes
 * without an end, or no JSON, is disconnected and tried again later.  Ports
 * that have nothing to say cost nothing.
 *
 * Threads: one caller at a time. */

#include <stdint.h>

#include "matd-qmp-vm.h"

enum {
    MATD_QMP_PORTS_MAX = 4096,
    MATD_QMP_BACKOFF_MIN_MS = 500,      /* Between attempts to connect. */
    MATD_QMP_BACKOFF_MAX_MS = 8000,
    MATD_QMP_POLL_MS = 1000,    /* While a migration is under way. */
    MATD_QMP_RUN_MAX = 1 << 16  /* Bytes of a VM, then it is others' turn. */
};

struct matd_qmp;

/* 'hint' is called at the end of matd_qmp_run() only, and may set ports. */
struct matd_qmp *matd_qmp_create(void (*hint)(void *aux, const char *port,
                                              enum matd_qmp_hint),
                                 void *aux);
void matd_qmp_destroy(struct matd_qmp *);

/* Connects to the VM of 'port' at socket 'path', instead of another one if
 * that was so; null ends it.  False if there are too many. */
bool matd_qmp_set(struct matd_qmp *, const char *port, const char *path);

void matd_qmp_run(struct matd_qmp *);
void matd_qmp_wait(struct matd_qmp *);

struct matd_qmp_status {
    const char *port, *path;
    bool is_connected;          /* Greeted, and asked. */
    const char *error;          /* Why not, or null. */
    const char *runstate;       /* As QEMU calls it, or "". */
    enum matd_qmp_hint last;    /* The last hint. */
    uint64_t n_messages, n_connects, n_errors;
};

/* Goes through the ports: '*cursor' starts as null.  False at the end. */
bool matd_qmp_next(const struct matd_qmp *, void **cursor,
                   struct matd_qmp_status *);

#endif /* matd-qmp.h */
