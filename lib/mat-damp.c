/* SPDX-License-Identifier: Apache-2.0 */
/* Damping: a HoA that two hosts keep taking from each other.
 *
 * As RFC 7432, 15.1 does for MAC addresses: five contested claims in 180 s
 * freeze the HoA, with an alarm.  A claim is contested if it takes back what
 * was lost while the port lived and without a release or hint; ordinary moves
 * never are.  Frozen means that this host makes no claims of its own for it
 * until the operator says so or 1800 s have passed.  What others say is merged
 * as always: freezing is no part of the merge, so hosts still agree. */
#include "mat-engine.h"
#include "mat-mem.h"

static struct mat_damp *
find(const struct mat_gossip *g, const struct mat_key *key)
{
    return mat_index_find(&g->damps, mat_key_hash(key));
}

static void
forget(struct mat_gossip *g, struct mat_damp *damp)
{
    mat_index_remove(&g->damps, mat_key_hash(&damp->key));
    free(damp);
}

/* Makes room by dropping one whose window has passed. */
static bool
make_room(struct mat_gossip *g)
{
    struct mat_damp *damp;
    size_t cursor = 0;

    if (g->damps.n < MAT_DAMPS_MAX) {
        return true;
    }
    while ((damp = mat_index_next(&g->damps, &cursor)) != NULL) {
        if (damp->frozen_until_us < g->now_us
            && damp->at_us[damp->n - 1] + g->config.tuning.damp_window_us
               < g->now_us) {
            forget(g, damp);
            return true;
        }
    }
    mat_count(g, MAT_C_LIMIT_DAMPING);
    return false;
}

static void
note_time(struct mat_gossip *g, struct mat_damp *damp)
{
    int64_t since = g->now_us - g->config.tuning.damp_window_us;
    uint32_t n = 0;

    for (uint32_t i = 0; i < damp->n; i++) {
        if (damp->at_us[i] > since && (i || damp->n < MAT_DAMP_MAX)) {
            damp->at_us[n++] = damp->at_us[i];
        }
    }
    damp->at_us[n++] = g->now_us;
    damp->n = n;
}

void
mat_damp_contested(struct mat_gossip *g, const struct mat_claim *claim)
{
    struct mat_damp *damp = find(g, &claim->key);

    mat_count(g, MAT_C_CONTESTED);
    if (!damp) {
        if (!make_room(g)) {
            return;
        }
        damp = mat_xcalloc(1, sizeof *damp);
        damp->key = claim->key;
        mat_index_insert(&g->damps, mat_key_hash(&claim->key), damp);
    }
    note_time(g, damp);
    if (damp->n >= g->config.tuning.damp_max && !damp->frozen_until_us) {
        damp->frozen_until_us = g->now_us + g->config.tuning.freeze_us;
        mat_output_vmn(g, &damp->key, MAT_VMN_FROZEN, claim->version.host);
    }
}

bool
mat_damp_is_frozen(const struct mat_gossip *g, const struct mat_key *key)
{
    const struct mat_damp *damp = find(g, key);

    return damp && damp->frozen_until_us > g->now_us;
}

void
mat_gossip_unfreeze(struct mat_gossip *g, int64_t now_us,
                    const struct mat_key *key)
{
    struct mat_damp *damp = find(g, key);

    g->now_us = now_us;
    if (damp) {
        if (damp->frozen_until_us) {
            mat_output_vmn(g, key, MAT_VMN_THAWED, g->config.id);
        }
        forget(g, damp);
    }
}

/* Recovery: called now and then. */
void
mat_damp_sweep(struct mat_gossip *g)
{
    struct mat_damp *damp, *thawed = NULL;
    size_t cursor = 0;

    while ((damp = mat_index_next(&g->damps, &cursor)) != NULL) {
        if (damp->frozen_until_us && damp->frozen_until_us <= g->now_us) {
            thawed = damp;
        }
    }
    if (thawed) {
        mat_output_vmn(g, &thawed->key, MAT_VMN_THAWED, g->config.id);
        forget(g, thawed);
    }
}

void
mat_damp_destroy(struct mat_gossip *g)
{
    struct mat_damp *damp;
    size_t cursor = 0;

    while ((damp = mat_index_next(&g->damps, &cursor)) != NULL) {
        free(damp);
    }
    mat_index_destroy(&g->damps);
}
