/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_CALL_H
#define MAT_CALL_H 1

/* Events for the engine as values: to be recorded, written out, replayed.
 *
 * mat_call_make() does what the mat_gossip_*() function of that kind does, and
 * notes it in 'recorder' first, unless that is null.  A caller that makes all
 * its calls this way has a flight recorder.  A revocation or certificate that
 * is refused gives MAT_GOSSIP_FORBIDDEN. */

#include "mat-gossip.h"
#include "mat-recorder.h"

struct mat_call {
    enum mat_recorder_kind kind;
    int64_t now_us;
    struct mat_key key;         /* PREPARE to PORT, UNFREEZE: a
                                 * mat_key_vmn(). */
    struct mat_addr addr;       /* MoA, prefix, or address asked for. */
    struct mat_mac mac;
    uint32_t zone;
    uint8_t plen;
    bool flag;                  /* leaving, live, present, is_moa. */
    struct mat_endpoint endpoint;       /* RECEIVE: where it came from. */
    int64_t wall_s;
    uint64_t host;              /* LATE. */
    uint8_t *data;              /* RECEIVE: the datagram; overwritten.
                                 * REVOKE: the claim.  JOIN_KEYS: both.
                                 * CERT: the certificate.  SEEDS: each as
                                 * mat_put_addr() and mat_put_u16(). */
    size_t size;
};

enum mat_gossip_result mat_call_make(struct mat_gossip *,
                                     struct mat_recorder *,
                                     const struct mat_call *);

/* Reads a recorded call.  'call->data' then points to 'datagram'.  False if
 * the entry is not a call or is damaged. */
bool mat_call_read(const struct mat_recorder_entry *, struct mat_call *call,
                   uint8_t datagram[MAT_WIRE_DATAGRAM_MAX]);

const char *mat_call_name(enum mat_recorder_kind);

#endif /* mat-call.h */
