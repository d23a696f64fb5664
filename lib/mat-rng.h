/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_RNG_H
#define MAT_RNG_H 1

/* Random numbers from a seed: splitmix64.
 *
 * For choices that need no secrecy (which peer, how much jitter), so that the
 * same seed gives the same run.  Keys and salts come from the caller. */

#include <stdint.h>

struct mat_rng {
    uint64_t state;
};

/* A bijective scramble of 64 bits, the finalizer of splitmix64. */
static inline uint64_t
mat_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t
mat_rng_next(struct mat_rng *rng)
{
    rng->state += UINT64_C(0x9e3779b97f4a7c15);
    return mat_mix64(rng->state);
}

/* Uniform in 0 to n - 1; 0 for n = 0.  The bias, n / 2^32, does not matter
 * here. */
static inline uint32_t
mat_rng_below(struct mat_rng *rng, uint32_t n)
{
    return (uint32_t) ((mat_rng_next(rng) >> 32) * n >> 32);
}

#endif /* mat-rng.h */
