/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_SWITCH_CLIENT_H
#define MAT_SWITCH_CLIENT_H 1

/* The client's end of the update socket (see mat-update.h), blocking.
 *
 * Functions that ask the switch something return true, or false with
 * mat_switch_client_error() telling why.  If the switch refused the request
 * the connection goes on as before; if it was lost, every later request fails
 * and the client is to be closed.
 *
 *     struct mat_switch_client *c = mat_switch_client_open(NULL);
 *
 *     mat_switch_client_begin(c);
 *     mat_switch_client_add(c, &op1);
 *     mat_switch_client_add(c, &op2);
 *     if (!mat_switch_client_commit(c)) {
 *         ...neither was done...
 *     }
 *
 * Threads: one at a time for each client. */

#include "mat-event.h"
#include "mat-update.h"

struct mat_switch_client;

/* Connects to the switch at 'path', by default $OVS_MAT_SOCKET or
 * $OVS_RUNDIR/mat.sock or the usual place.  Null with errno set. */
struct mat_switch_client *mat_switch_client_open(const char *path);
void mat_switch_client_close(struct mat_switch_client *);

const char *mat_switch_client_default_path(void);

/* For poll(): readable once the switch has closed the connection. */
int mat_switch_client_fd(const struct mat_switch_client *);

/* A sentence about the last failure. */
const char *mat_switch_client_error(const struct mat_switch_client *);

/* What the switch said about the last request that it refused: the reason, 0
 * if it is the connection that failed; and the operation to blame, or
 * MAT_UPDATE_NO_INDEX. */
unsigned int mat_switch_client_reason(const struct mat_switch_client *);
uint64_t mat_switch_client_bad_index(const struct mat_switch_client *);

/* A batch: all of it is done and seen by the whole datapath when
 * mat_switch_client_commit() returns true, or nothing is.  A batch that
 * mat_switch_client_add() cannot add to is full.  Committing an empty batch
 * does nothing. */
void mat_switch_client_begin(struct mat_switch_client *);
bool mat_switch_client_add(struct mat_switch_client *, const struct mat_op *);
bool mat_switch_client_commit(struct mat_switch_client *);
uint32_t mat_switch_client_n_added(const struct mat_switch_client *);

/* Requests without operations: flush, barrier, stats-clear. */
bool mat_switch_client_request(struct mat_switch_client *,
                               enum mat_update_type);

/* Calls 'each' with every item of the reply to 'type', until it returns
 * false: the numbers of hello or stats, or for a dump what 'kind' says. */
bool mat_switch_client_list(struct mat_switch_client *,
                            enum mat_update_type type, uint16_t kind,
                            bool (*each)(const struct mat_op *, void *aux),
                            void *aux);

/* Subscribes to events.  '*reader' reads from memory that belongs to the
 * client, and 'mat_switch_client_event_fd()' becomes readable when there are
 * more, until mat_switch_client_drain() or the end of the switch. */
bool mat_switch_client_subscribe(struct mat_switch_client *,
                                 struct mat_event_reader *reader,
                                 bool from_oldest);
int mat_switch_client_event_fd(const struct mat_switch_client *);

/* Forgets the wakeups so far.  To be followed by a look at the events. */
void mat_switch_client_drain(const struct mat_switch_client *);

#endif /* mat-switch-client.h */
