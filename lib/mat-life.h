/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_LIFE_H
#define MAT_LIFE_H 1

/* The life of a VMN's home address on one host: states, what may happen in
 * each, and what becomes of it.  A table, nothing else: mat-agent does what
 * follows from a step.
 *
 *             prepare            starts           stops
 *     ABSENT ---------> PREPARED -------> LIVE ---------> LEAVING
 *       ^ ^               |                ^ ^  goes on     | |
 *       | +---------------+                | +--------------+ |
 *       |     failed                       |                  | taken
 *       |                            starts|                  v
 *       +---------------------------------------------------- GONE
 *                            quiet
 *
 * PARKED is for a VM that was saved and may be restored, here or elsewhere,
 * much later: from LIVE or LEAVING by "park", and on by "starts", "prepare"
 * (elsewhere: "taken") or "quiet" when the time for it has passed. */

#include <stdbool.h>
#include <stdint.h>

/* MAT_LIFE(ENUM, "name", "meaning") */
#define MAT_LIVES                                                           \
    MAT_LIFE(ABSENT, "absent", "nothing of it is here")                     \
    MAT_LIFE(PREPARED, "prepared", "it may soon run here, a MoA is taken")  \
    MAT_LIFE(LIVE, "live", "it runs here")                                  \
    MAT_LIFE(LEAVING, "leaving", "it has stopped here, to run elsewhere")   \
    MAT_LIFE(GONE, "gone", "it runs elsewhere, late packets are sent on")   \
    MAT_LIFE(PARKED, "parked", "it is saved and runs nowhere")

enum mat_life {
#define MAT_LIFE(ENUM, NAME, TEXT) MAT_LIFE_##ENUM,
    MAT_LIVES
#undef MAT_LIFE
};
enum { MAT_N_LIVES = MAT_LIFE_PARKED + 1 };

/* MAT_LIFE_CAUSE(ENUM, "name", "meaning") */
#define MAT_LIFE_CAUSES                                                     \
    MAT_LIFE_CAUSE(PREPARE, "prepare", "its port, or a hint, came")         \
    MAT_LIFE_CAUSE(STARTS, "starts", "it runs here: it spoke, or a hint")   \
    MAT_LIFE_CAUSE(STOPS, "stops", "it stopped here, or its port went")     \
    MAT_LIFE_CAUSE(GOES_ON, "goes-on", "it runs here after all")            \
    MAT_LIFE_CAUSE(FAILED, "failed", "it will not come here")               \
    MAT_LIFE_CAUSE(TAKEN, "taken", "another host has it live")              \
    MAT_LIFE_CAUSE(PARK, "park", "it was saved")                            \
    MAT_LIFE_CAUSE(RELEASE, "release", "it was destroyed")                  \
    MAT_LIFE_CAUSE(QUIET, "quiet", "its time here has passed")

enum mat_life_cause {
#define MAT_LIFE_CAUSE(ENUM, NAME, TEXT) MAT_LIFE_##ENUM,
    MAT_LIFE_CAUSES
#undef MAT_LIFE_CAUSE
};
enum { MAT_N_LIFE_CAUSES = MAT_LIFE_QUIET + 1 };

/* The state after 'cause' in 'state'; the same one if 'cause' means nothing
 * then. */
enum mat_life mat_life_next(enum mat_life state, enum mat_life_cause cause);

/* True in the states in which this host has a MoA for it. */
bool mat_life_has_moa(enum mat_life);

const char *mat_life_name(enum mat_life);
const char *mat_life_text(enum mat_life);
const char *mat_life_cause_name(enum mat_life_cause);

#endif /* mat-life.h */
