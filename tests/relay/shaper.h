/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHAPER_H
#define SHAPER_H 1

/* One direction of a wide-area line: what happens to frames on their way.
 *
 *      put --> loss? --> duplicate? --> transmitter --> propagation --> next
 *                                       (rate)          (delay, jitter,
 *                                                        reorder)
 *
 * A pure state machine: it owns no socket or clock.  The caller gives it
 * frames stamped with 'now_ns', and takes those that are due.  The same seed
 * and the same frames at the same times give the same result.  Each frame
 * takes the same number of random values whatever the settings are, so that
 * the frames that a seed loses do not change with, say, the delay.
 *
 * - rate: a frame leaves the transmitter when it and those before it have been
 *   clocked out.
 * - delay, jitter: it arrives after a time that is uniform in delay -+ jitter,
 *   yet never before the one that left before it.  Jitter alone does not
 *   change the order.
 * - reorder: a frame that is picked skips the propagation, and so overtakes
 *   all that are on their way.
 * - limit: a frame is dropped if so many are waiting, in the transmitter or on
 *   their way.  Independently, SHAPER_BYTES_MAX bounds their sizes.
 *
 * Text, as shaper_parse() takes it: items separated by commas,
 *
 *      delay=10ms  jitter=500us  loss=1%  duplicate=0.1%  reorder=2%
 *      rate=100mbit  limit=1000  seed=7
 *
 * with ns, us, ms or s for times and bit, kbit, mbit or gbit for rates.  Zero
 * is off, for the rate, too. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "mat-rng.h"

enum {
    SHAPER_LIMIT_DEFAULT = 10000,
    SHAPER_LIMIT_MAX = 1000000,
    SHAPER_FRAME_MAX = 1 << 17,
    SHAPER_BYTES_MAX = 64 << 20,
    SHAPER_PPM = 1000000        /* Probabilities are in millionths. */
};
#define SHAPER_NEVER INT64_MAX

struct shaper_config {
    int64_t delay_ns, jitter_ns;
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm;
    uint64_t rate_bps;
    uint32_t limit;
    uint64_t seed;
};

/* taken + duplicated = lost + overflowed + delivered + waiting. */
struct shaper_stats {
    uint64_t taken, delivered, lost, duplicated, reordered, overflowed;
    uint64_t waiting;
};

struct shaper_frame {
    TAILQ_ENTRY(shaper_frame) node;
    int64_t due_ns;
    size_t size;
    uint8_t data[];
};
TAILQ_HEAD(shaper_frames, shaper_frame);

struct shaper {
    struct shaper_config config;
    struct shaper_stats stats;
    struct shaper_frames frames;    /* In order of 'due_ns'. */
    size_t bytes;
    struct mat_rng rng;
    int64_t idle_ns;                /* The transmitter is busy until then. */
    int64_t last_due_ns;            /* Of those that were not reordered. */
};

/* Changes the settings that 'text' names and keeps the others.  NULL, or what
 * is wrong, and then '*config' is as it was. */
const char *shaper_parse(struct shaper_config *config, const char *text);

void shaper_init(struct shaper *, const struct shaper_config *);
void shaper_destroy(struct shaper *);

/* Other settings from now on.  The frames on their way stay; random values
 * begin anew if the seed is another. */
void shaper_configure(struct shaper *, const struct shaper_config *);

void shaper_put(struct shaper *, int64_t now_ns, const void *data,
                size_t size);

/* The next frame that is due, which the caller frees, or NULL. */
struct shaper_frame *shaper_next(struct shaper *, int64_t now_ns);

/* When the next frame is due, or SHAPER_NEVER. */
int64_t shaper_deadline(const struct shaper *);

#endif /* shaper.h */
