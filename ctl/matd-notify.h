/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_NOTIFY_H
#define MATD_NOTIFY_H 1

/* What systemd wants to hear from a service of Type=notify: that it is ready,
 * that it stops, and, with WatchdogSec=, that it still runs.
 *
 * Without $NOTIFY_SOCKET nothing is done.  Threads: one. */

/* Before anything that changes the user or the root folder. */
void matd_notify_init(void);

/* 'status' is one line for "systemctl status". */
void matd_notify_ready(const char *status);
void matd_notify_stopping(void);

/* From the main loop: the sign of life, in time. */
void matd_notify_run(void);
void matd_notify_wait(void);

#endif /* matd-notify.h */
