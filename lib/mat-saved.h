/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_SAVED_H
#define MAT_SAVED_H 1

/* What the agent keeps on disk of its VMNs, as bytes: records one after the
 * other, numbers big-endian.
 *
 *     | zone (4) | hoa (16) | moa (16) | plen (1) | state (1) | mac (6) |
 *     | n (1) | n bytes of the port's name |
 *
 * 'moa' is zero if there is none (any more).  There is one encoding of each
 * record, and what cannot be the agent's is refused: a file may be damaged in
 * ways that its check does not tell.
 *
 * Threads, ownership: none. */

#include "mat-agent.h"

enum {
    MAT_SAVED_FIXED = 45,
    MAT_SAVED_MAX = MAT_SAVED_FIXED + MAT_PORT_NAME_SIZE - 1
};

/* Returns the size of the record. */
size_t mat_saved_encode(const struct mat_agent_saved *,
                        uint8_t bytes[static MAT_SAVED_MAX]);

/* Reads the record at '*offset' and goes on to the next one.  False at the end
 * of 'data', or, with '*offset' less than 'size', if there is no good one. */
bool mat_saved_decode(const uint8_t *data, size_t size, size_t *offset,
                      struct mat_agent_saved *);

#endif /* mat-saved.h */
