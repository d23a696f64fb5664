/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_HOLD_H
#define MATX_HOLD_H 1

/* Packets that wait, in this process.
 *
 * Threads of the datapath put copies of packets here; the update thread takes
 * them out again and lets them enter the datapath a second time, from the port
 * they came in by, as if they had just arrived (see matx-dpif.h).
 *
 * Threads: matx_hold_run() only by the update thread, the rest by any. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-hold.h"

struct dp_packet;

void matx_hold_init(void);

/* Keeps a copy of 'packet'.  False if a limit is reached. */
bool matx_hold_packet(const struct mat_hold_key *, const struct dp_packet *);

/* What waits for 'entry', whatever the reason, can go on. */
void matx_hold_ready(const struct mat_entry *entry);

/* What waits for 'addr', whatever the reason, shall go on or be dropped. */
void matx_hold_release(uint32_t zone, const struct mat_addr *addr);
void matx_hold_discard(uint32_t zone, const struct mat_addr *addr);

/* Does what is due.  Returns when it wants to be called again, on the clock of
 * time_msec(); INT64_MAX for when the next packet is held. */
int64_t matx_hold_run(int64_t now_ms);

/* For people. */
bool matx_hold_next(unsigned int *cursor, struct mat_hold_queue *);
bool matx_hold_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                       uint64_t *value);
void matx_hold_clear_counters(void);

#endif /* matx-hold.h */
