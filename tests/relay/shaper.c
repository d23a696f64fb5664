/* SPDX-License-Identifier: Apache-2.0 */
#include "shaper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text. */

struct unit {
    const char *name;
    double factor;
};

static const struct unit time_units[] = {
    { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { NULL, 0 }
};
static const struct unit rate_units[] = {
    { "bit", 1 }, { "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 },
    { NULL, 0 }
};
static const struct unit share_units[] = {
    { "%", SHAPER_PPM / 100 }, { NULL, 0 }
};
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };

/* A number, zero or more and at most 'max', with one of 'units'; zero needs
 * none. */
static bool
parse_number(const char *text, const struct unit *units, double max,
             double *value)
{
    char *end;

    errno = 0;
    double number = strtod(text, &end);
    if (end == text || errno || !(number >= 0)) {
        return false;
    }
    if (!*end && number == 0) {
        *value = 0;
        return true;
    }
    for (; units->name; units++) {
        if (!strcmp(end, units->name)) {
            *value = number * units->factor + 0.5;
            return *value <= max;
        }
    }
    return false;
}

static bool
parse_u32(const char *text, const struct unit *units, uint32_t max,
          uint32_t *value)
{
    double number;

    if (!parse_number(text, units, max + 0.9, &number)) {
        return false;
    }
    *value = (uint32_t) number;
    return true;
}

static bool
parse_time(const char *text, int64_t *ns)
{
    double number;

    if (!parse_number(text, time_units, 3600e9, &number)) {
        return false;
    }
    *ns = (int64_t) number;
    return true;
}

static bool
parse_u64(const char *text, const struct unit *units, uint64_t *value)
{
    double number;

    if (!parse_number(text, units, 1e15, &number)) {
        return false;
    }
    *value = (uint64_t) number;
    return true;
}

static const char *
parse_item(struct shaper_config *c, const char *key, const char *value)
{
    if (!strcmp(key, "delay")) {
        return parse_time(value, &c->delay_ns)
               ? NULL : "delay: a time such as 10ms, at most 3600s";
    } else if (!strcmp(key, "jitter")) {
        return parse_time(value, &c->jitter_ns)
               ? NULL : "jitter: a time such as 500us, at most 3600s";
    } else if (!strcmp(key, "loss")) {
        return parse_u32(value, share_units, SHAPER_PPM, &c->loss_ppm)
               ? NULL : "loss: 0% to 100%";
    } else if (!strcmp(key, "duplicate")) {
        return parse_u32(value, share_units, SHAPER_PPM, &c->duplicate_ppm)
               ? NULL : "duplicate: 0% to 100%";
    } else if (!strcmp(key, "reorder")) {
        return parse_u32(value, share_units, SHAPER_PPM, &c->reorder_ppm)
               ? NULL : "reorder: 0% to 100%";
    } else if (!strcmp(key, "rate")) {
        return parse_u64(value, rate_units, &c->rate_bps)
               ? NULL : "rate: a rate such as 100mbit";
    } else if (!strcmp(key, "limit")) {
        return parse_u32(value, count_units, SHAPER_LIMIT_MAX, &c->limit)
               && c->limit ? NULL : "limit: 1 to 1000000 frames";
    } else if (!strcmp(key, "seed")) {
        return parse_u64(value, count_units, &c->seed)
               ? NULL : "seed: a number";
    }
    return "known are delay, jitter, loss, duplicate, reorder, rate, limit "
           "and seed, each with '='";
}

const char *
shaper_parse(struct shaper_config *config, const char *text)
{
    struct shaper_config new = *config;
    char copy[256], *save = NULL;

    if (snprintf(copy, sizeof copy, "%s", text) >= (int) sizeof copy) {
        return "too long";
    }
    for (char *item = strtok_r(copy, ",", &save); item;
         item = strtok_r(NULL, ",", &save)) {
        char *value = strchr(item, '=');
        if (value) {
            *value++ = '\0';
        }
        const char *error = parse_item(&new, value ? item : "", value);
        if (error) {
            return error;
        }
    }
    if (new.jitter_ns > new.delay_ns) {
        return "jitter: not more than the delay";
    }
    if (new.reorder_ppm && !new.delay_ns) {
        return "reorder: needs a delay that frames can skip";
    }
    *config = new;
    return NULL;
}

/* Frames. */

void
shaper_init(struct shaper *shaper, const struct shaper_config *config)
{
    memset(shaper, 0, sizeof *shaper);
    TAILQ_INIT(&shaper->frames);
    shaper->config = *config;
    shaper->rng.state = config->seed;
    shaper->idle_ns = shaper->last_due_ns = INT64_MIN;
}

void
shaper_destroy(struct shaper *shaper)
{
    struct shaper_frame *frame;

    while ((frame = TAILQ_FIRST(&shaper->frames)) != NULL) {
        TAILQ_REMOVE(&shaper->frames, frame, node);
        free(frame);
    }
}

void
shaper_configure(struct shaper *shaper, const struct shaper_config *config)
{
    if (config->seed != shaper->config.seed) {
        shaper->rng.state = config->seed;
    }
    shaper->config = *config;
}

static void
insert(struct shaper *shaper, struct shaper_frame *frame)
{
    struct shaper_frame *before = TAILQ_LAST(&shaper->frames, shaper_frames);

    while (before && before->due_ns > frame->due_ns) {
        before = TAILQ_PREV(before, shaper_frames, node);
    }
    if (before) {
        TAILQ_INSERT_AFTER(&shaper->frames, before, frame, node);
    } else {
        TAILQ_INSERT_HEAD(&shaper->frames, frame, node);
    }
}

static void
enqueue(struct shaper *shaper, int64_t due_ns, const void *data, size_t size)
{
    struct shaper_frame *frame = malloc(sizeof *frame + size);

    if (!frame) {
        shaper->stats.overflowed++;
        return;
    }
    frame->due_ns = due_ns;
    frame->size = size;
    memcpy(frame->data, data, size);
    insert(shaper, frame);
    shaper->stats.waiting++;
    shaper->bytes += size;
}

/* When the transmitter has sent it. */
static int64_t
transmit(struct shaper *shaper, int64_t now_ns, size_t size)
{
    if (shaper->config.rate_bps) {
        int64_t start = now_ns > shaper->idle_ns ? now_ns : shaper->idle_ns;

        shaper->idle_ns = start + (int64_t) ((double) size * 8e9
                                       / (double) shaper->config.rate_bps);
        return shaper->idle_ns;
    }
    return now_ns;
}

static bool
happens(uint64_t random, uint32_t ppm)
{
    return (random >> 32) * SHAPER_PPM >> 32 < ppm;
}

static bool
has_room(const struct shaper *shaper, size_t size)
{
    return shaper->stats.waiting < shaper->config.limit
           && shaper->bytes + size <= SHAPER_BYTES_MAX;
}

/* When it is at the other end. */
static int64_t
propagate(struct shaper *shaper, int64_t sent_ns, uint64_t random)
{
    const struct shaper_config *c = &shaper->config;
    int64_t due = sent_ns + c->delay_ns - c->jitter_ns
                  + (int64_t) ((double) (random >> 11) * 0x1p-53 * 2
                               * (double) c->jitter_ns);

    if (due < shaper->last_due_ns) {
        due = shaper->last_due_ns;
    }
    return shaper->last_due_ns = due;
}

void
shaper_put(struct shaper *shaper, int64_t now_ns, const void *data,
           size_t size)
{
    const struct shaper_config *c = &shaper->config;
    uint64_t loss = mat_rng_next(&shaper->rng);
    uint64_t duplicate = mat_rng_next(&shaper->rng);
    uint64_t reorder = mat_rng_next(&shaper->rng);
    uint64_t jitter = mat_rng_next(&shaper->rng);

    shaper->stats.taken++;
    if (happens(loss, c->loss_ppm)) {
        shaper->stats.lost++;
        return;
    }
    for (int i = 0; i <= happens(duplicate, c->duplicate_ppm); i++) {
        shaper->stats.duplicated += (uint64_t) i;
        if (!has_room(shaper, size)) {
            shaper->stats.overflowed++;
            continue;
        }
        int64_t due = transmit(shaper, now_ns, size);
        if (happens(reorder, c->reorder_ppm)) {
            shaper->stats.reordered++;
        } else {
            due = propagate(shaper, due, jitter);
        }
        enqueue(shaper, due, data, size);
    }
}

struct shaper_frame *
shaper_next(struct shaper *shaper, int64_t now_ns)
{
    struct shaper_frame *frame = TAILQ_FIRST(&shaper->frames);

    if (!frame || frame->due_ns > now_ns) {
        return NULL;
    }
    TAILQ_REMOVE(&shaper->frames, frame, node);
    shaper->stats.waiting--;
    shaper->stats.delivered++;
    shaper->bytes -= frame->size;
    return frame;
}

int64_t
shaper_deadline(const struct shaper *shaper)
{
    const struct shaper_frame *frame = TAILQ_FIRST(&shaper->frames);

    return frame ? frame->due_ns : SHAPER_NEVER;
}
