/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_SOCKET_H
#define MATX_SOCKET_H 1

/* The update thread and its socket.
 *
 * Clients talk the protocol of mat-update.h over an AF_UNIX SOCK_SEQPACKET
 * socket, <rundir>/mat.sock unless the environment says otherwise:
 *
 *   OVS_MAT_SOCKET         path of the socket
 *   OVS_MAT_SOCKET_GROUP   group that may use it, too (default: none)
 *
 * It is served by a thread of its own, so that updates wait neither for the
 * main thread nor it for them.  The same thread lets held packets go on.
 *
 * Who may connect is decided twice: by the socket's mode (0600, or 0660 with a
 * group), and by the credentials of the peer, who must be root, the daemon's
 * own user, or in that group.
 *
 * The thread never waits for a client.  A reply that a client does not take is
 * kept, and nothing more is read from that client meanwhile; if the reply is
 * still there after MATX_CLIENT_STUCK_MS, the client is dropped.
 *
 * Threads: any. */

#include <stdbool.h>
#include <stdint.h>

#include "mat-update.h"

enum {
    MATX_CLIENTS_MAX = 64,
    MATX_CLIENT_STUCK_MS = 1000,
    MATX_ACCEPT_PAUSE_MS = 1000
};

/* MATX_SOCKET_COUNTER(ENUM, "name") */
#define MATX_SOCKET_COUNTERS                                        \
    MATX_SOCKET_COUNTER(ACCEPTED, "socket.accepted")                \
    MATX_SOCKET_COUNTER(NOT_ALLOWED, "socket.not-allowed")          \
    MATX_SOCKET_COUNTER(TOO_MANY, "socket.too-many")                \
    MATX_SOCKET_COUNTER(STUCK, "socket.dropped-stuck")              \
    MATX_SOCKET_COUNTER(FAILED, "socket.failed")

enum matx_socket_counter {
#define MATX_SOCKET_COUNTER(ENUM, NAME) MATX_SOCKET_##ENUM,
    MATX_SOCKET_COUNTERS
#undef MATX_SOCKET_COUNTER
    MATX_SOCKET_N_COUNTERS
};

struct matx_client;

/* Starts the thread; after the process has become a daemon. */
void matx_socket_init(void);

/* Opens the socket.  At most once, and only when this process has a datapath:
 * another ovs-vswitchd with the same database may be waiting to take over, and
 * must leave the socket to the one that works. */
void matx_socket_listen(void);
void matx_socket_exit(void);

/* Wakes the thread because packets are held or released. */
void matx_socket_wake(void);

/* Makes 'client' a subscriber to events.  Only within its request. */
enum mat_update_reason matx_socket_subscribe(struct matx_client *client,
                                             uint64_t *size);

bool matx_socket_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                         uint64_t *value);
void matx_socket_clear_counters(void);

const char *matx_socket_path(void);
unsigned int matx_socket_n_clients(void);

#endif /* matx-socket.h */
