/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_HOLD_H
#define MAT_HOLD_H 1

/* Packets that wait: bounded queues of opaque packets, one for each thing that
 * is waited for (a struct mat_hold_key).
 *
 * A packet leaves in one of three ways: it is released, in the order in which
 * packets of its key came; it expires, when it has waited too long; or it is
 * discarded.  Releasing a key releases what waits there now: a packet that is
 * held again while it is on its way waits for the next release, so that a
 * mistaken release ends.
 *
 * Every limit is a number in struct mat_hold_limits and a counter of what it
 * refused.  What waits for a mapping, which anybody can cause by sending to
 * addresses that do not exist, gets at most half of the limits for all queues
 * together, so that a VMN that moves has the rest for certain.  No function
 * does more work than a constant, but for those that say so, since threads of
 * the datapath wait for the caller's lock.
 *
 * Threads: one at a time.  Packets are the caller's pointers and are never
 * looked at. */

#include "mat-switch.h"

struct mat_hold_limits {
    unsigned int n_keys;
    unsigned int n_packets;         /* In all queues together... */
    size_t n_bytes;
    unsigned int n_key_packets;     /* ...and of one key. */
    size_t n_key_bytes;
    int64_t timeout_ms;
};

/* MAT_HOLD_COUNTER(ENUM, "name", "meaning") */
#define MAT_HOLD_COUNTERS                                                   \
    MAT_HOLD_COUNTER(HELD, "held", "packets that began to wait")            \
    MAT_HOLD_COUNTER(RELEASED, "released", "packets that went on")          \
    MAT_HOLD_COUNTER(EXPIRED, "expired", "packets that waited too long")    \
    MAT_HOLD_COUNTER(DISCARDED, "discarded", "packets that were flushed")   \
    MAT_HOLD_COUNTER(NO_KEY, "refused-keys", "too many queues")             \
    MAT_HOLD_COUNTER(KEY_PACKETS, "refused-key-packets",                    \
                     "too many packets in one queue")                       \
    MAT_HOLD_COUNTER(KEY_BYTES, "refused-key-bytes",                        \
                     "too many bytes in one queue")                         \
    MAT_HOLD_COUNTER(PACKETS, "refused-packets",                            \
                     "too many packets in all queues")                      \
    MAT_HOLD_COUNTER(BYTES, "refused-bytes", "too many bytes in all queues")

enum mat_hold_counter {
#define MAT_HOLD_COUNTER(ENUM, NAME, TEXT) MAT_HOLD_##ENUM,
    MAT_HOLD_COUNTERS
#undef MAT_HOLD_COUNTER
    MAT_HOLD_N_COUNTERS
};

const char *mat_hold_counter_name(enum mat_hold_counter);
const char *mat_hold_kind_name(enum mat_hold_kind);

struct mat_hold;

/* Null if there is no memory.  'seed' is random. */
struct mat_hold *mat_hold_create(const struct mat_hold_limits *,
                                 uint64_t seed);

/* The caller has popped all packets. */
void mat_hold_destroy(struct mat_hold *);

/* Which limit would refuse a packet of 'size' bytes now, and counts that it
 * did; or MAT_HOLD_HELD. */
enum mat_hold_counter mat_hold_check(struct mat_hold *,
                                     const struct mat_hold_key *, size_t size);

/* Holds 'packet' of 'size' bytes.  Returns MAT_HOLD_HELD, or which limit
 * refused it.  '*first' says whether it is the only one of its key. */
enum mat_hold_counter mat_hold_add(struct mat_hold *,
                                   const struct mat_hold_key *, void *packet,
                                   size_t size, int64_t now_ms, bool *first);

/* Releases what waits for 'key' and returns the number of packets; then
 * mat_hold_pop_released() returns them one by one, null at the end. */
size_t mat_hold_release(struct mat_hold *, const struct mat_hold_key *);
void *mat_hold_pop_released(struct mat_hold *);

/* How many packets wait for 'key'. */
unsigned int mat_hold_n_waiting(const struct mat_hold *,
                                const struct mat_hold_key *);

/* Takes the oldest packet of 'key', to be discarded. */
void *mat_hold_pop(struct mat_hold *, const struct mat_hold_key *);

/* Asks 'takes' about each packet; those that it takes are discarded.  Works
 * through all there are. */
void mat_hold_discard_if(struct mat_hold *,
                         bool (*takes)(void *packet, void *aux), void *aux);

/* Takes a packet that has waited too long, and its key. */
void *mat_hold_pop_expired(struct mat_hold *, int64_t now_ms,
                           struct mat_hold_key *);

/* When mat_hold_pop_expired() will have something; INT64_MAX for never. */
int64_t mat_hold_deadline_ms(const struct mat_hold *);

/* What waits.  Begin with '*cursor' 0. */
struct mat_hold_queue {
    struct mat_hold_key key;
    unsigned int n_packets;
    size_t n_bytes;
    int64_t deadline_ms;            /* Of its oldest packet. */
};

bool mat_hold_next(const struct mat_hold *, unsigned int *cursor,
                   struct mat_hold_queue *);

unsigned int mat_hold_n_packets(const struct mat_hold *);
size_t mat_hold_n_bytes(const struct mat_hold *);

uint64_t mat_hold_count(const struct mat_hold *, enum mat_hold_counter);
void mat_hold_clear_counters(struct mat_hold *);

#endif /* mat-hold.h */
