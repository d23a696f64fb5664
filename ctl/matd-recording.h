/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_RECORDING_H
#define MATD_RECORDING_H 1

/* The beginning of an engine and its outputs, as a flight recording has them
 * (mat-recorder.h leaves that to the caller).
 *
 *     CREATE   | version (1) | id (8) | generation (4) | salt (8) | seed (8) |
 *              | endpoint: address, port (2) | mtu (2) | all zones (1) |
 *              | label (2) | wall (8) | cluster key (32) |
 *              | size (2) | certificate | n (1) | n x seed: address, port |
 *     OUTPUTS  | number (8) | hash (8) |   of all outputs since CREATE
 *
 * The tuning is that of mat_gossip_tuning_default().  The key of the host and
 * the join keys are not there: who replays must bring them. */

#include "mat-gossip.h"
#include "mat-recorder.h"
#include "matd-keys.h"

enum { MATD_RECORDING_CREATE_MAX = 2048 };

struct matd_outputs {
    uint64_t n, hash;
};

void matd_recording_create(struct mat_recorder *, int64_t now_us,
                           const struct mat_gossip_config *);

/* Adds an output, and notes that all have been drained. */
void matd_outputs_add(struct matd_outputs *, const struct mat_output *);
void matd_recording_drained(struct mat_recorder *, int64_t now_us,
                            const struct matd_outputs *);

/* Plays a recording again.  True if all outputs were the same; '*n_calls' and
 * '*n_outputs' are how many there were.  Otherwise 'error' says where it
 * differs or why it cannot be replayed. */
bool matd_recording_replay(const uint8_t *recording, size_t size,
                           const struct matd_keys *, uint64_t *n_calls,
                           uint64_t *n_outputs, char error[MATD_ERROR_MAX]);

#endif /* matd-recording.h */
