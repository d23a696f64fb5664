/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_SERVER_H
#define MAT_SERVER_H 1

/* The update server without its socket: a request in, its reply out.
 *
 * Every message, whatever is in it, gets one reply.  A request that is refused
 * has changed nothing.  The reply to one that changed the table is made after
 * mat_table_quiesce(): whoever reads it knows that no reader of the table uses
 * the old values any more.
 *
 * What the table cannot do itself is done through hooks.  They are called
 * after the whole batch was applied, in the order of its operations, without
 * the lock.
 *
 * Threads: one at a time may call mat_server_handle().  It takes the table's
 * lock by the hooks 'lock' and 'unlock' where it needs it. */

#include "mat-update.h"

struct mat_server_hooks {
    void (*lock)(void *aux);
    void (*unlock)(void *aux);

    /* Do packets wait for the VMN of 'entry'?  Under the lock. */
    bool (*waits)(void *aux, const struct mat_entry *entry);

    /* 'entry' was put, or its hold was changed.  Unless it has a hold, what
     * waits for its HoA, and what came from its MoA and waits, can go on.
     * With 'kept' the table still has the hold since packets wait, and it is
     * to be taken off when they have gone. */
    void (*changed)(void *aux, const struct mat_entry *entry, bool kept);

    /* What waits for 'addr' shall go on, or be dropped. */
    void (*release)(void *aux, uint32_t zone, const struct mat_addr *addr);
    void (*discard)(void *aux, uint32_t zone, const struct mat_addr *addr);

    /* Sends a frame out of a port.  Best effort. */
    void (*inject)(void *aux, const char *port, const void *frame,
                   size_t size);

    /* The counter number 'i', from 0, or false if there is none. */
    bool (*counter)(void *aux, unsigned int i,
                    char name[static MAT_PORT_NAME_SIZE], uint64_t *value);
    void (*clear_counters)(void *aux);

    /* Makes 'client' (an argument of mat_server_handle()) a subscriber and
     * sets '*size' to the size of the event memory, or gives a reason. */
    enum mat_update_reason (*subscribe)(void *aux, void *client,
                                        uint64_t *size);
    void *aux;
};

struct mat_server;

/* Null if there is no memory.  'instance' tells one run of the switch from
 * another. */
struct mat_server *mat_server_create(struct mat_table *,
                                     const struct mat_server_hooks *,
                                     uint64_t instance);
void mat_server_destroy(struct mat_server *);

struct mat_server_reply {
    size_t size;                /* Of the message in the buffer. */
    bool subscribed;            /* To be sent with two file descriptors. */
};

/* Handles 'message' and writes the reply to 'buffer', which has room for
 * MAT_UPDATE_MESSAGE_MAX bytes. */
struct mat_server_reply mat_server_handle(struct mat_server *, void *client,
                                          const void *message, size_t size,
                                          void *buffer);

/* Does one operation for somebody in the same process, like a batch of one.
 * Returns MAT_UPDATE_GOOD or a reason. */
unsigned int mat_server_do(struct mat_server *, const struct mat_op *);
void mat_server_flush(struct mat_server *);

/* What was handled and refused, for people: like the hook 'counter'. */
bool mat_server_counter(const struct mat_server *, unsigned int i,
                        char name[static MAT_PORT_NAME_SIZE],
                        uint64_t *value);
void mat_server_clear_counters(struct mat_server *);

#endif /* mat-server.h */
