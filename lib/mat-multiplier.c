/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-multiplier.h"

/* Euclid's algorithm on 2^64 and 'angle' gives the quotients one after the
 * other, and they give the denominators of the fractions that come close. */
static bool
spreads(uint64_t angle)
{
    uint64_t quotient, a, b, denominator, previous = 1;

    if (!angle) {
        return false;
    }
    quotient = UINT64_MAX / angle + (UINT64_MAX % angle == angle - 1);
    a = angle;
    b = -(quotient * angle);
    denominator = quotient;
    while (quotient <= MAT_MULTIPLIER_QUOTIENT_MAX) {
        uint64_t next;

        if (denominator >> MAT_MULTIPLIER_KEYS_LOG2) {
            return true;
        } else if (!b) {
            return false;
        }
        quotient = a / b;
        next = a % b;
        a = b;
        b = next;

        next = quotient * denominator + previous;
        previous = denominator;
        denominator = next;
    }
    return false;
}

bool
mat_multiplier_is_good(uint64_t multiplier)
{
    for (int i = 0; i <= MAT_MULTIPLIER_STRIDE_LOG2; i++) {
        uint64_t angle = multiplier << i;

        /* To turn by more than half the circle is to turn back by less. */
        if (!spreads(angle >> 63 ? -angle : angle)) {
            return false;
        }
    }
    return multiplier & 1;
}

uint64_t
mat_multiplier_next(uint64_t *state)
{
    for (;;) {
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z = (z ^ z >> 31) | 1;
        if (mat_multiplier_is_good(z)) {
            return z;
        }
    }
}
