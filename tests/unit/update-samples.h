/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UPDATE_SAMPLES_H
#define UPDATE_SAMPLES_H 1

/* One valid operation of every type, for tests of what handles them all. */

#include "mat-update.h"

/* Fills '*op' with sample number 'i' and returns true, or returns false if
 * there is none. */
bool update_sample(unsigned int i, struct mat_op *op);

/* True if the two say the same. */
bool update_equal(const struct mat_op *, const struct mat_op *);

struct mat_addr sample_addr(const char *);
struct mat_mac sample_mac(const char *);

#endif /* update-samples.h */
