/* SPDX-License-Identifier: Apache-2.0 */

/* Questions about the stock. */

#include "mat-moa-impl.h"

#include <stdio.h>

enum {
    PROXY_CLAIMS = 4            /* By one MAC in a row. */
};

static const char *const state_names[] = {
    [MAT_MOA_FREE] = "free",
    [MAT_MOA_PROBING] = "probing",
    [MAT_MOA_PROBED] = "probed",
    [MAT_MOA_WARM] = "warm",
    [MAT_MOA_USED] = "used",
    [MAT_MOA_QUARANTINED] = "quarantined",
    [MAT_MOA_CONFLICT] = "conflict"
};

static const char *const result_texts[] = {
    [MAT_MOA_OK] = "no error",
    [MAT_MOA_EXHAUSTED] = "the pool has no address left",
    [MAT_MOA_NO_POOL] = "there is no pool of this family for this uplink",
    [MAT_MOA_NO_UPLINK] = "the uplink does not exist or is down",
    [MAT_MOA_TAKEN] = "another VMN has the address",
    [MAT_MOA_BAD] = "not the address of a host, or of the wrong family",
    [MAT_MOA_FULL] = "too many addresses are used or in quarantine"
};

static const char *const counter_names[] = {
#define MAT_MOA_COUNTER(ENUM, NAME, TEXT) NAME,
    MAT_MOA_COUNTERS
#undef MAT_MOA_COUNTER
};

static const char *const counter_texts[] = {
#define MAT_MOA_COUNTER(ENUM, NAME, TEXT) TEXT,
    MAT_MOA_COUNTERS
#undef MAT_MOA_COUNTER
};

const char *
mat_moa_state_name(enum mat_moa_state state)
{
    return state < MAT_MOA_N_STATES ? state_names[state] : "?";
}

const char *
mat_moa_strerror(enum mat_moa_result result)
{
    return result <= MAT_MOA_FULL ? result_texts[result] : "?";
}

const char *
mat_moa_counter_name(enum mat_moa_counter counter)
{
    return counter < MAT_MOA_N_COUNTERS ? counter_names[counter] : "?";
}

const char *
mat_moa_counter_text(enum mat_moa_counter counter)
{
    return counter < MAT_MOA_N_COUNTERS ? counter_texts[counter] : "?";
}

uint64_t
mat_moa_counter(const struct mat_moa *m, enum mat_moa_counter counter)
{
    return m->counters[counter];
}

/* Records. */

static const char *
shelf_uplink(const struct mat_moa *m, const struct mat_moa_shelf *s)
{
    return s->uplink == MAT_MOA_ANY ? "" : m->config.uplinks[s->uplink].name;
}

void
mat_moa_fill_info(const struct mat_moa *m, const struct mat_moa_record *r,
                  struct mat_moa_info *info)
{
    const struct mat_moa_shelf *s = &m->shelves[r->stock];

    memset(info, 0, sizeof *info);
    info->moa = r->moa;
    info->state = (r->list == MAT_MOA_LIST_RESERVED ? MAT_MOA_FREE
                   : (enum mat_moa_state) r->list);
    if (r->is_owned) {
        info->owner = r->owner;
    }
    snprintf(info->uplink, sizeof info->uplink, "%s", shelf_uplink(m, s));
    info->routed = s->routed;
    info->home = r->home && r->list == MAT_MOA_USED;
    info->draining = r->draining;
    info->reserved = r->reserved;
    info->n_conflicts = r->n_conflicts;
    info->since_us = r->since_us;
    if (info->state == MAT_MOA_QUARANTINED
        || info->state == MAT_MOA_CONFLICT) {
        info->until_us = r->until_us;
    }
}

bool
mat_moa_find(const struct mat_moa *m, const struct mat_addr *moa,
             struct mat_moa_info *info)
{
    const struct mat_moa_record *r = mat_moa_record_find(m, moa);

    if (r) {
        mat_moa_fill_info(m, r, info);
    }
    return r != NULL;
}

bool
mat_moa_find_owner(const struct mat_moa *m, const struct mat_moa_owner *owner,
                   const char *uplink, struct mat_moa_info *info)
{
    const struct mat_moa_record *r = mat_moa_first_of(m, owner);
    bool found = false;

    for (; r && !(found && !info->draining); r = r->owner_next) {
        if (r->list == MAT_MOA_USED && mat_moa_is_owner(r, owner)
            && (!uplink || !strcmp(uplink,
                                   shelf_uplink(m, &m->shelves[r->stock])))
            && (!found || !r->draining)) {
            mat_moa_fill_info(m, r, info);
            found = true;
        }
    }
    return found;
}

bool
mat_moa_is_home(const struct mat_moa *m, const struct mat_addr *hoa)
{
    const struct mat_moa_prefix *subnet;

    return mat_moa_uplink_of(&m->config, hoa, &subnet) != MAT_MOA_ANY
           && !mat_moa_is_somebodys(&m->config, hoa);
}

bool
mat_moa_next_info(const struct mat_moa *m, size_t *cursor,
                  struct mat_moa_info *info)
{
    if (*cursor >= m->n_records) {
        return false;
    }
    mat_moa_fill_info(m, m->records[(*cursor)++], info);
    return true;
}

bool
mat_moa_next_prefix(const struct mat_moa *m, struct mat_moa_walk *walk,
                    struct mat_moa_prefix *prefix)
{
    const struct mat_moa_range *range;
    mat_number first, last;

    if (walk->range >= m->ranges.n) {
        return false;
    }
    range = &m->ranges.ranges[walk->range];
    first = walk->is_inside ? mat_number_from_addr(&walk->next) : range->first;
    last = mat_moa_prefix_at(first, range->last, &prefix->plen);
    prefix->addr = mat_number_to_addr(first);
    walk->is_inside = last < range->last;
    if (walk->is_inside) {
        walk->next = mat_number_to_addr(last + 1);
    } else {
        walk->range++;
    }
    return true;
}

bool
mat_moa_overlaps(const struct mat_moa *m, const struct mat_moa_prefix *prefix)
{
    struct mat_addr masked = mat_addr_mask(&prefix->addr, prefix->plen);
    unsigned int host_bits = mat_addr_bits(&masked) - prefix->plen;
    mat_number first = mat_number_from_addr(&masked);
    mat_number last = first + (host_bits ? MAT_NUMBER_MAX >> (128 - host_bits)
                               : 0);
    size_t i = mat_moa_ranges_seek(&m->ranges, first);

    return i < m->ranges.n && m->ranges.ranges[i].first <= last;
}

/* Stocks. */

static uint64_t
clip(mat_number n)
{
    return n > UINT64_MAX ? UINT64_MAX : (uint64_t) n;
}

void
mat_moa_fill_stock(const struct mat_moa *m, const struct mat_moa_shelf *s,
                   struct mat_moa_stock *stock)
{
    const struct mat_moa_record *oldest
        = s->lists[MAT_MOA_QUARANTINED].first;

    memset(stock, 0, sizeof *stock);
    stock->uplink = shelf_uplink(m, s);
    stock->v6 = s->v6;
    stock->routed = s->routed;
    stock->up = mat_moa_shelf_is_up(m, s);
    stock->exhausted = s->total && !mat_moa_shelf_available(s);
    stock->low = s->reported == MAT_MOA_LEVEL_LOW;
    stock->n_total = clip(s->total);
    stock->n_free = clip(mat_moa_shelf_untracked(s)
                         + s->lists[MAT_MOA_FREE].n);
    for (size_t i = 0; i < MAT_MOA_N_STATES; i++) {
        stock->n[i] = s->lists[i].n;
    }
    stock->n[MAT_MOA_FREE] = stock->n_free;
    stock->n_reserved = s->lists[MAT_MOA_LIST_RESERVED].n;
    stock->next_free_us = oldest ? oldest->until_us : MAT_TIMER_NEVER;
    if (s->n_claims_in_row >= PROXY_CLAIMS && s->lists[MAT_MOA_CONFLICT].n) {
        stock->claimer = s->claimer;
    }
    for (const struct mat_moa_record *r = s->lists[MAT_MOA_USED].first;
         r; r = r->links[MAT_MOA_LINK_LIST].next) {
        stock->n_draining += r->draining;
    }
}

bool
mat_moa_next_stock(const struct mat_moa *m, size_t *cursor,
                   struct mat_moa_stock *stock)
{
    while (*cursor < MAT_MOA_STOCKS_MAX) {
        const struct mat_moa_shelf *s = &m->shelves[(*cursor)++];
        bool has_records = false;

        for (size_t i = 0; i < MAT_MOA_N_LISTS; i++) {
            has_records |= s->lists[i].n > 0;
        }
        if (s->total || has_records) {
            mat_moa_fill_stock(m, s, stock);
            return true;
        }
    }
    return false;
}

static size_t
add_text(char buf[static MAT_MOA_TEXT_MAX], size_t used, const char *text)
{
    snprintf(buf + used, MAT_MOA_TEXT_MAX - used, "%s", text);
    return used + strlen(buf + used);
}

/* What the operator could do about a stock that is used up. */
static void
add_remedies(const struct mat_moa_stock *s, int64_t now_us,
             char buf[static MAT_MOA_TEXT_MAX], size_t used)
{
    char text[200], mac[MAT_MAC_STRLEN];

    if (s->n[MAT_MOA_QUARANTINED] && s->next_free_us > now_us) {
        snprintf(text, sizeof text, "; the first leaves quarantine in %lld s",
                 (long long) ((s->next_free_us - now_us + 999999) / 1000000));
        used = add_text(buf, used, text);
    }
    if (!mat_mac_is_zero(&s->claimer)) {
        snprintf(text, sizeof text, "; %s claims one after the other: if it "
                 "is a router, switch off its proxy ARP, or route the range "
                 "to this host and say 'routed:'",
                 mat_mac_format(&s->claimer, mac));
        used = add_text(buf, used, text);
    }
    snprintf(text, sizeof text, "; add addresses to mat-pool%c",
             s->v6 ? '6' : '4');
    used = add_text(buf, used, text);
    if (s->n[MAT_MOA_QUARANTINED] > s->n[MAT_MOA_USED]) {
        add_text(buf, used, " or shorten mat-quarantine");
    }
}

const char *
mat_moa_advice(const struct mat_moa *m, const struct mat_moa_stock *s,
               char buf[static MAT_MOA_TEXT_MAX])
{
    uint64_t ready = s->n[MAT_MOA_PROBING] + s->n[MAT_MOA_PROBED]
                     + s->n[MAT_MOA_WARM];
    size_t used;

    snprintf(buf, MAT_MOA_TEXT_MAX, "%s%s%s pool%s%.63s: %llu of %llu left, "
             "%llu used, %llu in quarantine, %llu in conflict",
             s->routed ? "routed " : "", s->v6 ? "IPv6" : "IPv4",
             s->n_total ? "" : " (removed)", s->uplink[0] ? " of " : "",
             s->uplink, (unsigned long long) (s->n_free + ready < ready
                                              ? UINT64_MAX
                                              : s->n_free + ready),
             (unsigned long long) s->n_total,
             (unsigned long long) s->n[MAT_MOA_USED],
             (unsigned long long) s->n[MAT_MOA_QUARANTINED],
             (unsigned long long) s->n[MAT_MOA_CONFLICT]);
    used = strlen(buf);
    if (s->n_draining) {
        snprintf(buf + used, MAT_MOA_TEXT_MAX - used, ", %llu to be "
                 "renumbered", (unsigned long long) s->n_draining);
        used = strlen(buf);
    }
    if (s->exhausted || s->low) {
        add_remedies(s, m->now_us, buf, used);
    }
    return buf;
}
