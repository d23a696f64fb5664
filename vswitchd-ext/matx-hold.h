/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_HOLD_H
#define MATX_HOLD_H 1

/* Packets that wait, in this process.
 *
 * Threads of the datapath put copies of packets here; the update thread takes
 * them out again and lets them enter the datapath a second time (see
 * matx-dpif.h).
 *
 * Packets that come in meanwhile must not overtake them.  So when the hold of
 * a VMN is to be taken off and packets wait, the table keeps it while they are
 * released, round by round, with what has come after them; packets that are
 * being released ignore it.  It is taken off when nothing waits any more.
 * What came in the very moment of that goes next, so it is at most a batch
 * that others can overtake.  Since more could come for ever, the hold is taken
 * off anyway after MATX_HOLD_ROUNDS rounds or MATX_HOLD_DRAIN_MS.
 *
 * Whatever the datapath sends, a call of matx_hold_run() does a limited amount
 * of work, so that clients of the update thread are served meanwhile.
 *
 * Threads: matx_hold_run() only by the update thread, the rest by any. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-hold.h"
#include "openvswitch/types.h"

struct dp_packet;
struct nlattr;

enum {
    MATX_HOLD_DRAINS_MAX = 64,      /* VMNs at a time; others go at once. */
    MATX_HOLD_ROUNDS = 50,
    MATX_HOLD_DRAIN_MS = 500,

    MATX_HOLD_RUN_PACKETS = 256,    /* For each call of matx_hold_run(). */
    MATX_HOLD_RUN_MS = 5,

    MATX_HOLD_N_COUNTERS = MAT_HOLD_N_COUNTERS + 3
};

void matx_hold_init(void);

/* Keeps a copy of 'packet', to which the mat action 'action' was applied.
 * False if a limit is reached, or, unless it waits for a VMN, if another
 * thread has the lock. */
bool matx_hold_packet(const struct mat_hold_key *, const struct dp_packet *,
                      const struct nlattr *action);

/* Do packets wait for the VMN of 'entry'? */
bool matx_hold_waits(const struct mat_entry *entry);

/* 'entry' was put or its hold changed: see struct mat_server_hooks. */
void matx_hold_changed(const struct mat_entry *entry, bool kept);

/* Is this thread releasing packets, which ignore holds? */
bool matx_hold_is_releasing(void);

/* What waits for 'addr', whatever the reason, shall go on or be dropped. */
void matx_hold_release(uint32_t zone, const struct mat_addr *addr);
void matx_hold_discard(uint32_t zone, const struct mat_addr *addr);

/* Drops what came in by 'odp_port', for that is another port from now on. */
void matx_hold_port_changed(odp_port_t odp_port);

/* Does what is due.  Returns when it wants to be called again, on the clock of
 * time_msec(); INT64_MAX for when the next packet is held. */
int64_t matx_hold_run(int64_t now_ms);

/* For people. */
bool matx_hold_next(unsigned int *cursor, struct mat_hold_queue *);
void matx_hold_now(size_t *n_packets, size_t *n_bytes);
bool matx_hold_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                       uint64_t *value);
void matx_hold_clear_counters(void);

#endif /* matx-hold.h */
