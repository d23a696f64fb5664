/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_QMP_H
#define MATCTL_QMP_H 1

/* A monitor of QEMU, for a command that waits: one request at a time, and
 * events in between.
 *
 * QEMU serves one client on each monitor, and matd is that of mat-qmp, so this
 * needs another one: a second -qmp option.
 *
 * Waiting ends early when 'stop', a flag of the caller's (of a signal
 * handler), becomes true.  Messages are at most 4 MB.  Errors are sentences in
 * 'error', the caller's to free, and false or null as the result. */

#include <stdbool.h>
#include <signal.h>

struct json;
struct matctl_qmp;

/* Connects to a unix socket or to ADDRESS:PORT, and negotiates. */
struct matctl_qmp *matctl_qmp_open(const char *where,
                                   const volatile sig_atomic_t *stop,
                                   char **error);
void matctl_qmp_close(struct matctl_qmp *);

/* Sends 'command' with 'arguments' (taken over; may be null).  The result is
 * the caller's. */
struct json *matctl_qmp_execute(struct matctl_qmp *, const char *command,
                                struct json *arguments, char **error);

/* The next event, or null with '*error' null if none came within 'ms'. */
struct json *matctl_qmp_event(struct matctl_qmp *, int ms, char **error);

#endif /* matctl-qmp.h */
