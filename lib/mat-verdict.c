/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-verdict.h"

static const struct {
    const char *name;
    const char *text;
    enum mat_fate fate;
} verdicts[MAT_N_VERDICTS] = {
#define MAT_VERDICT(ENUM, NAME, FATE, TEXT) \
    [MAT_V_##ENUM] = { NAME, TEXT, FATE },
    MAT_VERDICTS
#undef MAT_VERDICT
};

const char *
mat_verdict_name(enum mat_verdict verdict)
{
    return verdicts[verdict].name;
}

const char *
mat_verdict_text(enum mat_verdict verdict)
{
    return verdicts[verdict].text;
}

enum mat_fate
mat_verdict_fate(enum mat_verdict verdict)
{
    return verdicts[verdict].fate;
}
