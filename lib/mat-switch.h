/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_SWITCH_H
#define MAT_SWITCH_H 1

/* The action itself: decides about a batch of frames, and rewrites them.
 *
 * This is all of `mat(out)` and `mat(in)` but for the packet buffers, ports
 * and queues, which belong to the caller.  Frames come in as bytes; for each
 * one a verdict, a fate and perhaps a port come out, in the frame.  What the
 * switch sends by itself (ARP replies, ICMP errors, ...), packets that must
 * wait, and events go to the caller's functions in struct mat_switch_io.
 *
 * A packet leaves rewritten on both sides or not at all: a frame whose fate is
 * not MAT_PASS or MAT_DELIVER has not been changed.
 *
 * Out, from a VMN:
 *
 *   ARP, ND, DHCP             answered from the table, never passed on
 *   broadcast and multicast   dropped
 *   source not the VMN's own  dropped; or held, if a VMN that lives elsewhere
 *                             speaks here, until the agent says that it moved
 *   to a VMN of this host     delivered with both HoAs
 *   to a VMN elsewhere        HoAs become MoAs, passed on
 *   to the world outside      source becomes MoA, if the zone allows it
 *
 * In, from the underlay:
 *
 *   ARP and ND for our MoAs   answered
 *   to a MoA of this host     MoAs become HoAs, delivered; redirected if the
 *                             VMN has left; held if it cannot take it yet
 *   all else                  passed on untouched
 *
 * With 'explicit', what would be delivered is passed on for the caller's next
 * actions.  Out, so is what is not unicast IP, and ND and DHCP, untouched.
 *
 * Threads: any number, each inside a read section of the table (mat-table.h)
 * and with a struct mat_switch_thread of its own. */

#include "mat-csum.h"
#include "mat-event.h"
#include "mat-table.h"
#include "mat-verdict.h"
#include "mat-word.h"

enum {
    MAT_SWITCH_BATCH_MAX = 64,  /* Frames per call. */
    MAT_FRAME_NO_L3 = 0xffff
};

struct mat_frame {
    /* In. */
    uint8_t *data;              /* From the Ethernet header. */
    uint32_t size;              /* Without padding at its end. */
    uint16_t l3_ofs;            /* After the VLAN tags, if the caller knows;
                                 * MAT_FRAME_NO_L3 if it does not. */
    uint8_t l3_csum, l4_csum;   /* enum mat_csum_state. */
    bool is_segmented_later;    /* Its size says nothing about the MTU. */

    /* Out. */
    uint8_t verdict;            /* enum mat_verdict. */
    uint8_t fate;               /* enum mat_fate. */
    bool edited;                /* Some byte was changed. */
    uint32_t odp_port;          /* MAT_DELIVER: where to. */
};

/* Why a packet waits, and so what ends it. */
enum mat_hold_kind {
    MAT_HOLD_VMN = 1,           /* VMN with HoA 'addr' cannot take it yet. */
    MAT_HOLD_SOURCE,            /* HoA 'addr' speaks here but lives elsewhere
                                 * as far as we know. */
    MAT_HOLD_HOA,               /* No mapping for HoA 'addr'. */
    MAT_HOLD_MOA                /* No mapping for MoA 'addr'; zone is 0. */
};

struct mat_hold_key {
    enum mat_hold_kind kind;
    uint32_t zone;
    struct mat_addr addr;
};

struct mat_switch_io {
    /* Sends a frame that the switch has made. */
    void (*emit)(void *aux, uint32_t odp_port, const void *frame, size_t size);

    /* Keeps a copy of frame number 'i' of the batch until what 'key' says has
     * changed.  False if it cannot; then the frame is dropped. */
    bool (*hold)(void *aux, size_t i, const struct mat_hold_key *key);

    /* Tells the agent.  'event' lacks sequence and time. */
    void (*event)(void *aux, const struct mat_event *event);
    void *aux;
};

/* How often something may happen: 'tokens' are in milliseconds of credit. */
struct mat_bucket {
    uint32_t last_ms;
    uint32_t tokens;
};

struct mat_switch_thread {
    uint64_t n_packets[2][MAT_N_VERDICTS];      /* [0] out, [1] in; written
                                                 * with atomic stores. */
    uint64_t n_errors_suppressed;
    uint64_t n_events_suppressed;
    struct mat_bucket errors[MAT_TABLE_PORTS_MAX];
    struct mat_bucket events[MAT_TABLE_PORTS_MAX];
    uint32_t suppressed[MAT_TABLE_PORTS_MAX];
};

struct mat_switch_call {
    const struct mat_table *table;
    struct mat_switch_thread *thread;
    const struct mat_switch_io *io;
    uint32_t word;              /* The action's argument, see mat-word.h. */
    uint32_t in_port;           /* odp number. */
    int64_t now_ms;
    bool dry_run;               /* Only asks what would be: no marks, no
                                 * counters, no limits on rates. */
    bool ignores_hold;          /* The frames have waited for their VMN. */
};

/* Decides about all 'n' frames, at least 1 and at most MAT_SWITCH_BATCH_MAX.
 * True says that all of them pass and were edited, or all are delivered to the
 * same port, so that the caller need not look at each. */
bool mat_switch(const struct mat_switch_call *, struct mat_frame *frames,
                size_t n);

#endif /* mat-switch.h */
