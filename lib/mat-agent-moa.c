/* SPDX-License-Identifier: Apache-2.0 */
/* The stock of MoAs: its configuration, and what it has to say. */
#include "mat-agent-impl.h"

#include <inttypes.h>
#include <stdio.h>

enum { HASH_STOCK = 8, HASH_POOLS, HASH_POOL, HASH_CLASH = 12 };

/* The prefixes of this host's pools, for the switch and for peers. */
void
mat_agent_tell_pools(struct mat_agent *a)
{
    struct mat_moa_walk walk = { 0 };
    struct mat_moa_prefix prefix;
    struct mat_basin *basin, *old;
    size_t cursor = 0;

    while ((basin = mat_index_next(&a->basins, &cursor)) != NULL) {
        basin->is_current = false;
    }
    while (mat_moa_next_prefix(a->moa, &walk, &prefix)) {
        struct mat_key key = mat_key_pool(&prefix.addr, prefix.plen);

        mat_basin_put(a, &prefix.addr, prefix.plen, true, 0);
        basin = mat_basin_find(a, &prefix.addr, prefix.plen);
        if (basin) {
            basin->is_current = true;
        }
        if (mat_agent_call(a, MAT_REC_POOL, &key, NULL, NULL, true)
            != MAT_GOSSIP_OK) {
            mat_agent_problem(a, HASH_POOL,
                              "peers are not told of all pools of MoAs: the "
                              "certificate does not permit them, or there "
                              "are more than 64 prefixes");
        }
    }
    do {
        old = NULL;
        cursor = 0;
        while ((basin = mat_index_next(&a->basins, &cursor)) != NULL) {
            if (basin->is_own && !basin->is_current) {
                old = basin;
            }
        }
        if (old) {
            struct mat_key key = mat_key_pool(&old->prefix, old->plen);

            mat_agent_call(a, MAT_REC_POOL, &key, NULL, NULL, false);
            mat_basin_remove(a, &old->prefix, old->plen, true, 0);
        }
    } while (old);
}

/* Keeps a home address that lies in this host's pools out of them.  Those of
 * other zones are other addresses, whatever they look like. */
void
mat_home_reserve(struct mat_agent *a, struct mat_home *home, bool is_known)
{
    const struct mat_addr *hoa = &home->key.addr;
    const struct mat_moa_prefix prefix = {
        *hoa, (uint8_t) mat_addr_bits(hoa)
    };
    bool wanted = (is_known && home->key.zone == a->config.zone
                   && mat_moa_overlaps(a->moa, &prefix));

    if (wanted != home->is_reserved
        && mat_moa_reserve(a->moa, a->now_us, hoa, wanted)) {
        home->is_reserved = wanted;
    }
}

/* The same for a MoA of a peer: pools should not overlap, but may by
 * mistake. */
void
mat_slot_reserve(struct mat_agent *a, struct mat_slot *slot, bool is_used)
{
    const struct mat_moa_prefix prefix = {
        slot->moa, (uint8_t) mat_addr_bits(&slot->moa)
    };
    bool wanted = (is_used && mat_moa_overlaps(a->moa, &prefix)
                   && !mat_addr_equal(&slot->moa, &slot->home->key.addr));

    if (wanted != slot->is_reserved
        && mat_moa_reserve(a->moa, a->now_us, &slot->moa, wanted)) {
        slot->is_reserved = wanted;
    }
}

static uint64_t
clash_key(const struct mat_agent *a, const struct mat_home *home)
{
    uint64_t hash = mat_key_hash(&home->key);

    return mat_agent_hash(a, HASH_CLASH, &hash, sizeof hash);
}

/* 'home', of a peer, has the MoA that 'ours' is of.  Packets to it go to this
 * host's VMN until one of the two gets another. */
void
mat_home_clashes(struct mat_agent *a, struct mat_home *home,
                 const struct mat_slot *ours)
{
    char text[MAT_AGENT_TEXT_SIZE], name[MAT_HOME_STRLEN];
    char own[MAT_HOME_STRLEN], moa[MAT_ADDR_STRLEN];
    size_t n_problems = a->n_problems;

    mat_agent_count(a, MAT_AGENT_C_MOA_CLASHES);
    home->is_clashing = true;
    snprintf(text, sizeof text,
             "%s at host %016" PRIx64 " cannot be reached: its MoA %s is also "
             "that of %s here, as pools overlap: correct mat-pool%c of one of "
             "the two hosts", mat_home_format(home, name), home->live_host,
             mat_addr_format(&ours->moa, moa),
             mat_home_format(ours->home, own),
             mat_addr_is_v4(&ours->moa) ? '4' : '6');
    mat_agent_problem(a, clash_key(a, home), text);
    if (a->n_problems > n_problems) {
        mat_agent_log(a, MAT_AGENT_ALARM, "%s", text);
    }
}

void
mat_home_clashes_no_more(struct mat_agent *a, const struct mat_home *home)
{
    mat_agent_no_problem(a, clash_key(a, home));
}

static void
reserve_homes(struct mat_agent *a)
{
    struct mat_home *home;
    size_t cursor = 0;

    while ((home = mat_index_next(&a->homes, &cursor)) != NULL) {
        mat_home_reserve(a, home, true);
    }
}

void
mat_agent_configure_moa(struct mat_agent *a)
{
    struct mat_moa_config *config = mat_xcalloc(1, sizeof *config);
    char text[MAT_MOA_TEXT_MAX];

    mat_moa_config_default(config);
    memcpy(config->pools, a->config.pools, sizeof config->pools);
    config->n_uplinks = a->n_uplinks;
    memcpy(config->uplinks, a->uplinks, a->n_uplinks * sizeof *a->uplinks);
    config->stock = a->config.stock;
    config->quarantine_us = a->config.quarantine_s * MAT_AGENT_S;
    if (mat_moa_check(config, text)) {
        mat_agent_no_problem(a, HASH_POOLS);
    } else {
        mat_agent_problem(a, HASH_POOLS, text);
        mat_agent_log(a, MAT_AGENT_WARN, "%s", text);
    }
    mat_moa_configure(a->moa, a->now_us, config);
    free(config);
    reserve_homes(a);
    mat_agent_tell_pools(a);
}

/* What it says. */

static struct mat_stay *
stay_of(const struct mat_agent *a, const struct mat_moa_info *info)
{
    struct mat_home *home = mat_home_find(a, info->owner.zone,
                                          &info->owner.hoa);

    return (home && home->stay && home->stay->has_moa
            && mat_addr_equal(&home->stay->moa, &info->moa)
            ? home->stay : NULL);
}

static void
note_conflict(struct mat_agent *a, const struct mat_moa_output *out)
{
    struct mat_stay *stay = stay_of(a, &out->info);
    char mac[MAT_MAC_STRLEN], moa[MAT_ADDR_STRLEN];

    mat_agent_log(a, MAT_AGENT_WARN,
                  "MoA %s is also claimed by %s on %s: it must not be used "
                  "elsewhere", mat_addr_format(&out->info.moa, moa),
                  mat_mac_format(&out->mac, mac), out->uplink);
    if (stay && out->info.n_conflicts >= 2) {
        mat_stay_renumber(a, stay);
    }
}

static void
note_stock(struct mat_agent *a, const struct mat_moa_output *out)
{
    uint64_t key = mat_agent_hash(a, HASH_STOCK + out->v6 * 16u, out->uplink,
                                  strnlen(out->uplink, MAT_PORT_NAME_SIZE));

    mat_agent_log(a, out->kind == MAT_MOA_OUT_EXHAUSTED ? MAT_AGENT_ALARM
                  : out->kind == MAT_MOA_OUT_LOW ? MAT_AGENT_WARN
                  : MAT_AGENT_INFO, "%s", out->text);
    if (out->kind == MAT_MOA_OUT_ENOUGH) {
        mat_agent_no_problem(a, key);
    } else {
        mat_agent_problem(a, key, out->text);
    }
}

void
mat_agent_drain_moa(struct mat_agent *a)
{
    struct mat_moa_output out;

    while (mat_moa_next(a->moa, &out)) {
        struct mat_stay *stay;

        switch (out.kind) {
        case MAT_MOA_OUT_FRAME:
            mat_agent_emit_frame(a, out.uplink, out.frame, out.size);
            break;
        case MAT_MOA_OUT_CONFLICT:
            note_conflict(a, &out);
            break;
        case MAT_MOA_OUT_RENUMBER:
            stay = stay_of(a, &out.info);
            if (stay) {
                mat_stay_renumber(a, stay);
            }
            break;
        case MAT_MOA_OUT_EXHAUSTED:
        case MAT_MOA_OUT_LOW:
        case MAT_MOA_OUT_ENOUGH:
            note_stock(a, &out);
            break;
        }
    }
}
