/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_H
#define MATX_H 1

/* The mat action in Open vSwitch: what the patched files call.
 *
 * This is the only header of ours that files of Open vSwitch include.  The
 * hooks, in the order in which a packet's fate passes them:
 *
 *   OpenFlow    matx-ofp.inc    text and wire form of the OpenFlow action,
 *                               included by lib/ofp-actions.c
 *   xlate       matx-xlate.inc  OpenFlow action to datapath action, included
 *                               by ofproto/ofproto-dpif-xlate.c
 *   datapath    matx-odp.c      text form of the datapath action
 *               matx-action.c   its execution on a batch of packets
 *   vswitchd    matx.c          start, main loop, end
 *
 * All of it is compiled into libopenvswitch, so that it is also part of
 * programs that never call matx_init(): there the table stays empty and the
 * hooks are harmless. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"

struct dp_netdev_pmd_thread;
struct dp_packet_batch;
struct ds;
struct flow;
struct netdev;
struct nlattr;
struct ofpact;
struct ofpbuf;

/* The daemon's main thread.  matx_init() comes after the daemon has forked;
 * matx_exit() before the bridges are destroyed. */
void matx_init(void);
void matx_run(void);
void matx_wait(void);
void matx_exit(void);

/* How the datapath outputs 'batch' on a port.  With 'should_steal' it owns
 * the packets then, whether it could send them or not. */
typedef bool matx_output_func(struct dp_netdev_pmd_thread *,
                              struct dp_packet_batch *batch,
                              bool should_steal, odp_port_t);

/* Executes 'action', with its argument as mat-word.h says, on 'batch', at
 * 'now_us' on the clock of 'pmd', which may be that of the main thread.
 *
 * Removes from 'batch' the packets that it delivers, answers, holds or drops,
 * and owns those, whatever 'should_steal' says.  Those that it leaves, maybe
 * rewritten, stay the caller's, in their order; 'should_steal' tells only
 * that the caller will free them, as no action follows. */
void matx_execute(struct dp_netdev_pmd_thread *pmd,
                  struct dp_packet_batch *batch,
                  const struct nlattr *action, bool should_steal,
                  long long int now_us, matx_output_func *output);

/* For an execution of a single packet, which works on a copy: true unless a
 * matx_execute() of this thread since matx_packet_watch() has left something
 * in its batch. */
void matx_packet_watch(void);
bool matx_packet_is_gone(void);

/* Ports of the datapath come and go.  matx_port_deleted() returns only when
 * no packet can be sent to 'odp_port' any more on behalf of a VMN. */
void matx_port_added(const char *name, odp_port_t odp_port, struct netdev *);
void matx_port_deleted(const char *name, odp_port_t odp_port);

/* Text form of the datapath action.  matx_odp_parse() appends an attribute of
 * type 'attr' to 'actions' and returns the number of bytes it read from 's',
 * 0 if 's' is another action, or a negative errno. */
void matx_odp_format(uint32_t word, struct ds *);
int matx_odp_parse(const char *s, uint16_t attr, struct ofpbuf *actions);

/* True if there is a mat action among 'ofpacts', however deep. */
bool matx_in_ofpacts(const struct ofpact *ofpacts, size_t ofpacts_len);

/* Appends to 's', a line each, what the action with argument 'word' would do
 * now with a packet of 'flow' from 'in_port', and why.  Changes nothing,
 * counts nothing. */
void matx_trace(const struct flow *, odp_port_t in_port, uint32_t word,
                struct ds *s);

#endif /* matx.h */
