/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_SERVER_H
#define MATX_SERVER_H 1

/* The update server of this process, without its socket: what both the update
 * thread and the commands of ovs-appctl talk to, and the counters of
 * everything.
 *
 * Threads: any; one request at a time. */

#include "mat-server.h"

struct matx_client;

void matx_server_init(void);
void matx_server_destroy(void);

/* See mat_server_handle(). */
struct mat_server_reply matx_server_handle(struct matx_client *,
                                           const void *message, size_t size,
                                           void *buffer);
unsigned int matx_server_do(const struct mat_op *);
void matx_server_flush(void);

/* Counter number 'i' of all there are, or false. */
bool matx_server_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                         uint64_t *value);
void matx_server_clear_counters(void);

#endif /* matx-server.h */
