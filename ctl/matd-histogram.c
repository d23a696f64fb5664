/* SPDX-License-Identifier: Apache-2.0 */
#include "matd-histogram.h"

#include <assert.h>

/* From what the switch needs to what a partition lasts. */
static const struct {
    int64_t us;
    const char *text;
} bounds[MATD_HISTOGRAM_BUCKETS] = {
    { 50, "0.00005" }, { 100, "0.0001" }, { 250, "0.00025" },
    { 500, "0.0005" }, { 1000, "0.001" }, { 2500, "0.0025" },
    { 5000, "0.005" }, { 10000, "0.01" }, { 25000, "0.025" },
    { 50000, "0.05" }, { 100000, "0.1" }, { 250000, "0.25" },
    { 500000, "0.5" }, { 1000000, "1" }, { 5000000, "5" },
    { 10000000, "10" }, { 60000000, "60" },
};

void
matd_histogram_add(struct matd_histogram *histogram, int64_t us)
{
    unsigned int i = 0;

    us = us < 0 ? 0 : us;
    while (i < MATD_HISTOGRAM_BUCKETS && us > bounds[i].us) {
        i++;
    }
    histogram->counts[i]++;
    histogram->n++;
    histogram->sum_us += us;
}

int64_t
matd_histogram_bound_us(unsigned int i)
{
    assert(i < MATD_HISTOGRAM_BUCKETS);
    return bounds[i].us;
}

const char *
matd_histogram_bound_text(unsigned int i)
{
    assert(i < MATD_HISTOGRAM_BUCKETS);
    return bounds[i].text;
}
