/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_HISTOGRAM_H
#define MATD_HISTOGRAM_H 1

/* Histograms of durations, as Prometheus counts: buckets are cumulative when
 * they are read, not here.  Needs no Open vSwitch.  Threads: none. */

#include <stdint.h>

enum { MATD_HISTOGRAM_BUCKETS = 17 };

struct matd_histogram {
    uint64_t counts[MATD_HISTOGRAM_BUCKETS + 1];        /* The last: beyond. */
    uint64_t n;
    int64_t sum_us;
};

/* Negative durations count as 0. */
void matd_histogram_add(struct matd_histogram *, int64_t us);

/* The upper bound of bucket 'i', inclusive, and its text in seconds. */
int64_t matd_histogram_bound_us(unsigned int i);
const char *matd_histogram_bound_text(unsigned int i);

#endif /* matd-histogram.h */
