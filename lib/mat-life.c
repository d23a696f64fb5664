/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-life.h"

/* What is not here changes nothing: rows are states, as are the values. */
#define TO(STATE) (MAT_LIFE_##STATE + 1)

static const uint8_t steps[MAT_N_LIVES][MAT_N_LIFE_CAUSES] = {
    [MAT_LIFE_ABSENT] = {
        [MAT_LIFE_PREPARE] = TO(PREPARED),
        [MAT_LIFE_STARTS] = TO(LIVE),
    },
    [MAT_LIFE_PREPARED] = {
        [MAT_LIFE_STARTS] = TO(LIVE),
        [MAT_LIFE_FAILED] = TO(ABSENT),
        [MAT_LIFE_RELEASE] = TO(ABSENT),
        [MAT_LIFE_QUIET] = TO(ABSENT),
    },
    [MAT_LIFE_LIVE] = {
        [MAT_LIFE_STOPS] = TO(LEAVING),
        [MAT_LIFE_TAKEN] = TO(GONE),
        [MAT_LIFE_PARK] = TO(PARKED),
        [MAT_LIFE_RELEASE] = TO(ABSENT),
    },
    [MAT_LIFE_LEAVING] = {
        [MAT_LIFE_STARTS] = TO(LIVE),
        [MAT_LIFE_GOES_ON] = TO(LIVE),
        [MAT_LIFE_FAILED] = TO(LIVE),
        [MAT_LIFE_TAKEN] = TO(GONE),
        [MAT_LIFE_PARK] = TO(PARKED),
        [MAT_LIFE_RELEASE] = TO(ABSENT),
        [MAT_LIFE_QUIET] = TO(ABSENT),
    },
    /* It may come back while late packets are still being sent on. */
    [MAT_LIFE_GONE] = {
        [MAT_LIFE_PREPARE] = TO(PREPARED),
        [MAT_LIFE_STARTS] = TO(LIVE),
        [MAT_LIFE_GOES_ON] = TO(LIVE),
        [MAT_LIFE_QUIET] = TO(ABSENT),
    },
    [MAT_LIFE_PARKED] = {
        [MAT_LIFE_PREPARE] = TO(PREPARED),
        [MAT_LIFE_STARTS] = TO(LIVE),
        [MAT_LIFE_GOES_ON] = TO(LIVE),
        [MAT_LIFE_TAKEN] = TO(GONE),
        [MAT_LIFE_RELEASE] = TO(ABSENT),
        [MAT_LIFE_QUIET] = TO(ABSENT),
    },
};

enum mat_life
mat_life_next(enum mat_life state, enum mat_life_cause cause)
{
    uint8_t to = ((int) state < MAT_N_LIVES && (int) cause < MAT_N_LIFE_CAUSES
                  ? steps[state][cause] : 0);

    return to ? (enum mat_life) (to - 1) : state;
}

bool
mat_life_has_moa(enum mat_life state)
{
    return state != MAT_LIFE_ABSENT;
}

const char *
mat_life_name(enum mat_life state)
{
    static const char *const names[] = {
#define MAT_LIFE(ENUM, NAME, TEXT) NAME,
        MAT_LIVES
#undef MAT_LIFE
    };

    return (int) state < MAT_N_LIVES ? names[state] : "?";
}

const char *
mat_life_text(enum mat_life state)
{
    static const char *const texts[] = {
#define MAT_LIFE(ENUM, NAME, TEXT) TEXT,
        MAT_LIVES
#undef MAT_LIFE
    };

    return (int) state < MAT_N_LIVES ? texts[state] : "?";
}

const char *
mat_life_cause_name(enum mat_life_cause cause)
{
    static const char *const names[] = {
#define MAT_LIFE_CAUSE(ENUM, NAME, TEXT) NAME,
        MAT_LIFE_CAUSES
#undef MAT_LIFE_CAUSE
    };

    return (int) cause < MAT_N_LIFE_CAUSES ? names[cause] : "?";
}
