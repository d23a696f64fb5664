/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-coord.h"

enum {
    AXIS_MAX_US = 2000000,      /* No host is farther than 2 s. */
    HEIGHT_MIN_US = 10,
    RTT_MAX_US = 4000000
};

static int64_t
clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* Integer square root by Newton's method; converges from above. */
static int64_t
isqrt(int64_t x)
{
    int64_t r = x, next;

    if (x < 2) {
        return x;
    }
    for (next = x / 2 + 1; next < r; next = (r + x / r) / 2) {
        r = next;
    }
    return r;
}

void
mat_coord_init(struct mat_coord *c)
{
    *c = (struct mat_coord) {
        .height_us = HEIGHT_MIN_US, .error = MAT_COORD_ERROR_MAX
    };
}

static int64_t
distance_us(const struct mat_coord *a, const struct mat_coord *b)
{
    int64_t sum = 0;

    for (int i = 0; i < 3; i++) {
        int64_t d = (int64_t) a->x_us[i] - b->x_us[i];

        sum += d * d;
    }
    return isqrt(sum);
}

int64_t
mat_coord_rtt_us(const struct mat_coord *a, const struct mat_coord *b)
{
    return distance_us(a, b) + a->height_us + b->height_us;
}

/* A vector of about 1000 us away from 'peer', or in any direction. */
static void
direction(const struct mat_coord *self, const struct mat_coord *peer,
          uint64_t noise, int64_t unit[3])
{
    int64_t distance = distance_us(self, peer);

    for (int i = 0; i < 3; i++) {
        unit[i] = (distance
                   ? ((int64_t) self->x_us[i] - peer->x_us[i]) * 1000
                     / distance
                   : (int64_t) (noise >> (16 * i) & 0x3ff) - 512);
    }
}

void
mat_coord_update(struct mat_coord *self, const struct mat_coord *peer,
                 int64_t rtt_us, uint64_t noise)
{
    int64_t rtt = clamp(rtt_us, 1, RTT_MAX_US);
    int64_t predicted = mat_coord_rtt_us(self, peer);
    int64_t off = rtt - predicted;
    int64_t sample = clamp((off < 0 ? -off : off) * 1000 / rtt, 0,
                           MAT_COORD_ERROR_MAX);
    /* Who is surer moves less. */
    int64_t weight = (int64_t) self->error * 1000
                     / (self->error + peer->error + 1);
    int64_t force = off * weight / 4000, unit[3];

    direction(self, peer, noise, unit);
    for (int i = 0; i < 3; i++) {
        self->x_us[i] = (int32_t) clamp(self->x_us[i]
                                        + force * unit[i] / 1000,
                                        -AXIS_MAX_US, AXIS_MAX_US);
    }
    self->height_us = (int32_t) clamp(
        self->height_us + force * (self->height_us + peer->height_us)
                          / (predicted + 1),
        HEIGHT_MIN_US, AXIS_MAX_US);
    self->error = (int32_t) clamp(
        self->error + (sample - self->error) * weight / 4000,
        1, MAT_COORD_ERROR_MAX);
}

void
mat_put_coord(struct mat_writer *w, const struct mat_coord *c)
{
    for (int i = 0; i < 3; i++) {
        mat_put_u32(w, (uint32_t) c->x_us[i]);
    }
    mat_put_u32(w, (uint32_t) c->height_us);
    mat_put_u32(w, (uint32_t) c->error);
}

struct mat_coord
mat_get_coord(struct mat_reader *r)
{
    struct mat_coord c;

    for (int i = 0; i < 3; i++) {
        c.x_us[i] = (int32_t) mat_get_u32(r);
        c.x_us[i] = (int32_t) clamp(c.x_us[i], -AXIS_MAX_US, AXIS_MAX_US);
    }
    c.height_us = (int32_t) mat_get_u32(r);
    c.height_us = (int32_t) clamp(c.height_us, HEIGHT_MIN_US, AXIS_MAX_US);
    c.error = (int32_t) mat_get_u32(r);
    c.error = (int32_t) clamp(c.error, 1, MAT_COORD_ERROR_MAX);
    return c;
}
