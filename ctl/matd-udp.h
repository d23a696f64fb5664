/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_UDP_H
#define MATD_UDP_H 1

/* The UDP socket of the gossip: batches in, two queues out (matd-gossip.h has
 * the story and the counters).  Never blocks. */

#include "matd-gossip.h"

enum {
    MATD_UDP_BATCH = 64,        /* Datagrams for each system call. */
    MATD_UDP_DATAGRAM_MAX = 2048,       /* Kept of a received one. */
    MATD_UDP_QUEUE_MAX = 16384, /* Datagrams that wait, in each queue: a storm
                                 * of moves of all VMNs. */
    MATD_UDP_BUFFER = 8 << 20,  /* Of the socket, if we may. */
    MATD_UDP_ERROR_MAX = 256
};

struct matd_udp;

/* 'counters' has MATD_GOSSIP_N_COUNTERS elements. */
struct matd_udp *matd_udp_create(uint64_t *counters);
void matd_udp_destroy(struct matd_udp *);

/* Closes the socket and opens one bound to 'bind', from which 'source' is
 * spoken for if 'bind' is of no address.  False with 'error' filled in. */
bool matd_udp_bind(struct matd_udp *, const struct mat_endpoint *bind,
                   const struct mat_addr *source,
                   char error[MATD_UDP_ERROR_MAX]);
void matd_udp_close(struct matd_udp *);
bool matd_udp_is_bound(const struct matd_udp *, struct mat_endpoint *);
int matd_udp_fd(const struct matd_udp *);       /* -1 if it is not bound. */

/* Hands what has arrived to 'take', until that returns false; the rest is for
 * the next time.  'size' is that of the datagram, of which at most
 * MATD_UDP_DATAGRAM_MAX bytes are there. */
void matd_udp_receive(struct matd_udp *,
                      bool (*take)(void *aux,
                                   const struct mat_endpoint *from,
                                   uint8_t *data, size_t size),
                      void *aux);
bool matd_udp_has_received(const struct matd_udp *);    /* A rest. */

/* Queues a copy; it is sent by matd_udp_flush(), as far as the socket takes
 * it. */
void matd_udp_queue(struct matd_udp *, const struct mat_endpoint *to,
                    const void *data, size_t size, bool is_urgent);
void matd_udp_flush(struct matd_udp *);
bool matd_udp_has_queued(const struct matd_udp *);

/* The last error in sending and its destination, and forgets it; 0 if there
 * was none. */
int matd_udp_take_error(struct matd_udp *, struct mat_endpoint *to);

#endif /* matd-udp.h */
