/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MULTIPLIER_H
#define MAT_MULTIPLIER_H 1

/* Secret numbers to hash with by multiplication.
 *
 * key * multiplier, of which the uppermost bits are used, costs one
 * instruction and spreads keys that follow each other, as addresses do, more
 * evenly than chance: like marks on a circle, always the same angle apart.
 *
 * Unless that angle is close to a fraction p/q of the circle.  Then the marks
 * come in q heaps.  How close shows in the continued fraction of
 * multiplier / 2^64: a large partial quotient 'a' after the denominator q
 * means heaps of up to 'a' keys.  About one odd number in 20 is good enough,
 * here also for keys that are powers of two apart; the others are passed
 * over. */

#include <stdbool.h>
#include <stdint.h>

enum {
    MAT_MULTIPLIER_QUOTIENT_MAX = 64,   /* Keys in a heap. */
    MAT_MULTIPLIER_KEYS_LOG2 = 26,      /* Up to so many keys... */
    MAT_MULTIPLIER_STRIDE_LOG2 = 16     /* ...that are so far apart. */
};

/* True if 'multiplier' spreads well. */
bool mat_multiplier_is_good(uint64_t multiplier);

/* The next good number in the sequence that '*state' stands for. */
uint64_t mat_multiplier_next(uint64_t *state);

#endif /* mat-multiplier.h */
