/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_EVENTS_H
#define MATX_EVENTS_H 1

/* The event rings of this process and who listens to them.
 *
 * The memory of mat-event.h is a memfd.  Subscribers get a descriptor of it
 * that can only be mapped for reading, and one end of a socket each, to which
 * a byte is sent after every event if there is room.  So an event costs a
 * thread of the datapath a copy of two cache lines and a system call for each
 * subscriber, and it never waits for one: not even for one that wants it to,
 * for nothing that a subscriber can do to its end makes such a send wait.
 *
 * Threads: any.  A thread with an index of MATX_EVENTS_SHARED or more, and one
 * that has none, puts its events into one ring with others of the kind, under
 * a lock. */

#include <stddef.h>
#include <stdint.h>

#include "mat-event.h"

enum {
    MATX_EVENTS_SLOTS = 1024,       /* Of each ring: 128 kB. */
    MATX_EVENTS_SHARED = MAT_EVENT_RINGS_MAX - 1,
    MATX_SUBSCRIBERS_MAX = 16
};

void matx_events_init(void);

/* Puts 'event' (sequence and time aside) into the ring of the thread with
 * 'index' (see matx-thread.h), which is inside a read section. */
void matx_events_put(unsigned int index, const struct mat_event *event);

/* Tells that something happened to a port.  For threads outside a read
 * section. */
void matx_events_port(enum mat_event_type, const char *name,
                      uint32_t odp_port);

/* Tells anything else from outside a read section. */
void matx_events_put_shared(const struct mat_event *event);

/* The descriptor of the memory, for reading. */
int matx_events_memory(size_t *size);

/* Returns our end of a new wakeup socket, for matx_events_unsubscribe(), and
 * sets '*theirs' to the other, for the caller to pass on and close; or returns
 * a negative errno. */
int matx_events_subscribe(int *theirs);
void matx_events_unsubscribe(int ours);

unsigned int matx_events_n_subscribers(void);
uint64_t matx_events_n_put(void);

#endif /* matx-events.h */
