/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_COORD_H
#define MAT_COORD_H 1

/* Network coordinates: each host is a point such that distances predict
 * round-trip times, learned from the RTTs of probes alone (Dabek et al.,
 * "Vivaldi", SIGCOMM 2004): three dimensions and a height, which stands for
 * the access link.  Integers throughout, so that runs repeat everywhere.
 *
 * On the wire (20 bytes): x, y, z, height, error, each 4 bytes. */

#include <stdint.h>

#include "mat-wire.h"

enum { MAT_COORD_ERROR_MAX = 1500 };    /* Per mille. */

struct mat_coord {
    int32_t x_us[3];
    int32_t height_us;
    int32_t error;              /* Expected relative error, per mille. */
};

void mat_coord_init(struct mat_coord *);

/* Predicted round-trip time. */
int64_t mat_coord_rtt_us(const struct mat_coord *, const struct mat_coord *);

/* Moves 'self' after a probe of 'peer' took 'rtt_us'.  'noise' decides the
 * direction when both are at one point. */
void mat_coord_update(struct mat_coord *self, const struct mat_coord *peer,
                      int64_t rtt_us, uint64_t noise);

void mat_put_coord(struct mat_writer *, const struct mat_coord *);
struct mat_coord mat_get_coord(struct mat_reader *);

#endif /* mat-coord.h */
