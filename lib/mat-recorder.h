/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_RECORDER_H
#define MAT_RECORDER_H 1

/* Flight recorder: the inputs of an engine, kept in a bounded ring.
 *
 * The engine is pure, so its inputs are all there is to know.  The caller
 * notes each call of mat_gossip_*() here before making it, and each time that
 * it has drained the outputs, for what is fed between two drains shares
 * datagrams and signatures.  mat_recorder_write() gives all that is there.  A
 * recording that still has its beginning can be replayed byte for byte; one
 * whose beginning was overwritten can be listed.  The recorder's own format,
 * numbers big-endian:
 *
 *     | "matrec1\n" | lost entries (8) | entry ... |
 *     entry: | size of data (4) | time, us (8) | kind (1) | data |
 *
 * Entries are dropped whole, oldest first, when the ring is full. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mat_recorder_kind {
    MAT_REC_CREATE = 1,         /* Configuration, in the caller's format. */
    MAT_REC_RECEIVE,            /* Address, port (2), datagram. */
    MAT_REC_TICK,
    MAT_REC_PREPARE,            /* Key, MoA, MAC (6). */
    MAT_REC_WITHDRAW,           /* Key: zone (3), plen (1), address. */
    MAT_REC_CLAIM,              /* As PREPARE. */
    MAT_REC_LEAVING,            /* Key, flag (1). */
    MAT_REC_RELEASE,            /* Key. */
    MAT_REC_PORT,               /* Key, flag (1). */
    MAT_REC_POOL,               /* Address, plen (1), flag (1). */
    MAT_REC_ENDPOINT,           /* Address, port (2). */
    MAT_REC_WALL,               /* Seconds (8). */
    MAT_REC_ACCESSED,           /* Zone (4), address, 0 (1). */
    MAT_REC_ASK,                /* Zone (4), address, flag (1). */
    MAT_REC_OUTPUTS,            /* Drained.  Number (8) and hash (8) of all
                                 * outputs so far. */
    MAT_REC_UNFREEZE,           /* Key. */
    MAT_REC_JOIN_KEYS,          /* Both (64): keep recordings as secret. */
    MAT_REC_LEAVE,
    MAT_REC_REVOKE,             /* The claim. */
    MAT_REC_CERT,               /* The certificate. */
    MAT_REC_SEEDS,              /* n x { address, port (2) }. */
    MAT_REC_ZONE,               /* Zone (4), zero address, flag (1). */
    MAT_REC_LATE                /* Key, host (8). */
};

struct mat_recorder;

struct mat_recorder_entry {
    int64_t now_us;
    enum mat_recorder_kind kind;
    const uint8_t *data;
    size_t size;
};

struct mat_recorder *mat_recorder_create(size_t bytes_max);
void mat_recorder_destroy(struct mat_recorder *);
void mat_recorder_note(struct mat_recorder *, int64_t now_us,
                       enum mat_recorder_kind, const void *data, size_t size);

/* How many entries were noted so far. */
uint64_t mat_recorder_n_noted(const struct mat_recorder *);

/* Size of the recording, and the recording itself. */
size_t mat_recorder_size(const struct mat_recorder *);
void mat_recorder_write(const struct mat_recorder *, uint8_t *);

/* Reading a recording: '*cursor' starts at 0.  False at the end or if the
 * rest is damaged; '*n_lost' is set by the first call. */
bool mat_recorder_next(const uint8_t *recording, size_t size, size_t *cursor,
                       uint64_t *n_lost, struct mat_recorder_entry *);

#endif /* mat-recorder.h */
