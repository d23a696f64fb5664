/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_TRACE_H
#define MATX_TRACE_H 1

/* What the action would do with a frame, and why: found out by letting it, on
 * a copy, with nothing sent, counted, marked or held.  So what a trace says is
 * what a packet gets.
 *
 * Callers hold matx_mutex. */

#include "mat-switch.h"

struct ds;

struct matx_trace {
    enum mat_verdict verdict;
    enum mat_fate fate;
    uint32_t odp_port;          /* MAT_DELIVER: where to. */
    bool has_before, has_after; /* Is there an IP packet, before and after? */
    struct mat_addr src[2], dst[2];     /* [0] before, [1] after. */
    struct mat_mac eth_src[2], eth_dst[2];
    uint8_t ttl[2];
    unsigned int n_emitted;     /* Frames that the switch would send... */
    size_t emitted_size;        /* ...and how big the first is. */
    unsigned int n_events;
    unsigned int event;         /* enum mat_event_type of the first. */
    bool is_waiting;            /* Its key would be 'key'. */
    struct mat_hold_key key;
};

/* Traces 'size' bytes of 'frame', which end up changed as by the action. */
void matx_trace_frame(void *frame, size_t size, uint32_t word,
                      uint32_t in_port, struct matx_trace *);

/* The same for people, a line for each thing to say. */
void matx_trace_format(const struct matx_trace *, struct ds *);

#endif /* matx-trace.h */
