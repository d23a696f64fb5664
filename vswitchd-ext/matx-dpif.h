/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_DPIF_H
#define MATX_DPIF_H 1

/* Packets that go from the update thread into the datapath.
 *
 * A packet that waited goes on as the mat action would have let it go on when
 * it came:
 *
 *   mat(in)   does all that is to be done with a packet for a VMN, so it is
 *             executed again, on the packet as it saw it the first time
 *   others    leave the packet to the actions after them, so it is executed
 *             with the action "recirculate", to what the packet was
 *             recirculated to when it came, usually 0: its flow is looked up
 *             by what is in it and in its metadata, as for a packet that has
 *             just come in
 *
 * This runs in the update thread as what the datapath calls a non-PMD thread,
 * so that it may wait for the main thread while that polls its ports.
 *
 * The datapath is opened when it is first needed and closed when it has not
 * been for a second: a datapath that somebody has open cannot go away.
 *
 * Threads: the update thread only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dp_packet;
struct nlattr;

/* Opens the datapath ahead of need, for it takes longer than the rest. */
void matx_dpif_open(void);

/* Lets 'packet', which the mat action 'action' has held, go on.  It stays the
 * caller's. */
void matx_dpif_reenter(struct dp_packet *packet, const struct nlattr *action);

/* Sends 'size' bytes of 'frame' out of port 'odp_port'. */
bool matx_dpif_output(uint32_t odp_port, const void *frame, size_t size);

/* Closes it when it is time.  Returns when to call this again. */
int64_t matx_dpif_run(int64_t now_ms);
void matx_dpif_close(void);

#endif /* matx-dpif.h */
