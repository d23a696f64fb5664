/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_CORE_H
#define MATD_CORE_H 1

/* The agent with all of its I/O around it.
 *
 *     database ── matd-config ──┐             ┌── matd-flows ── OpenFlow
 *     kernel ──── matd-routes ──┤             ├── matd-switch ─ update socket
 *     switch ──── matd-switch ──┼─ mat-agent ─┤
 *     QEMU ────── matd-qmp ─────┤      │      ├── matd-state ── disk
 *     peers ───── matd-gossip ──┘      └──────┴── matd-gossip ─ UDP
 *
 * matd_core_run() lets each look at its source, then pumps what the agent and
 * the gossip engine say until neither has more, then sends: so all that came
 * together leaves together, the own switch first.
 *
 * Threads: one. */

#include <stdbool.h>

struct matd_core;

struct matd_core_options {
    const char *database;       /* As in ovs-vsctl --db. */
    const char *keys_dir, *state_dir;
    const char *switch_path;    /* Or null: the usual one. */
};

/* Null, with a message in the log, if it cannot begin. */
struct matd_core *matd_core_create(const struct matd_core_options *);

/* Flows and table stay as they are. */
void matd_core_destroy(struct matd_core *);

void matd_core_run(struct matd_core *);
void matd_core_wait(struct matd_core *);

/* True once the database has been read: from then on it does its work, as far
 * as the switch answers. */
bool matd_core_is_ready(const struct matd_core *);

#endif /* matd-core.h */
