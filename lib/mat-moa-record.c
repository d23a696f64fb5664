/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-moa-impl.h"

static uint64_t
hash_addr(const struct mat_moa *m, const struct mat_addr *a)
{
    uint64_t words[2];

    memcpy(words, a, sizeof words);
    return mat_mix64(mat_mix64(words[0] ^ m->hash_seed) ^ words[1]);
}

static uint64_t
hash_owner(const struct mat_moa *m, const struct mat_moa_owner *owner)
{
    return mat_mix64(hash_addr(m, &owner->hoa) ^ owner->zone);
}

/* Lists. */

void
mat_moa_list_add(struct mat_moa_list *list, struct mat_moa_record *r,
                 int which)
{
    r->links[which].prev = list->last;
    r->links[which].next = NULL;
    if (list->last) {
        list->last->links[which].next = r;
    } else {
        list->first = r;
    }
    list->last = r;
    list->n++;
}

void
mat_moa_list_remove(struct mat_moa_list *list, struct mat_moa_record *r,
                    int which)
{
    struct mat_moa_record *prev = r->links[which].prev;
    struct mat_moa_record *next = r->links[which].next;

    MAT_ASSERT(list->n > 0);
    if (prev) {
        prev->links[which].next = next;
    } else {
        list->first = next;
    }
    if (next) {
        next->links[which].prev = prev;
    } else {
        list->last = prev;
    }
    list->n--;
}

/* Shelves. */

size_t
mat_moa_shelf_index(int uplink, bool v6, bool routed)
{
    return (size_t) (uplink + 1) * 4 + (v6 ? 2u : 0u) + (routed ? 1u : 0u);
}

struct mat_moa_shelf *
mat_moa_shelf_of(struct mat_moa *m, const struct mat_moa_record *r)
{
    return &m->shelves[r->stock];
}

bool
mat_moa_shelf_is_up(const struct mat_moa *m, const struct mat_moa_shelf *s)
{
    if (s->uplink != MAT_MOA_ANY) {
        return (size_t) s->uplink < m->config.n_uplinks
               && m->config.uplinks[s->uplink].up;
    }
    for (size_t i = 0; i < m->config.n_uplinks; i++) {
        if (m->config.uplinks[i].up) {
            return true;
        }
    }
    return false;
}

static bool
shelf_has(const struct mat_moa_shelf *s, const struct mat_moa_range *range)
{
    return range->uplink == s->uplink && range->routed == s->routed
           && mat_number_is_v4(range->first) == !s->v6;
}

/* The address at 'offset' of those in the ranges of the shelf. */
static mat_number
at_offset(const struct mat_moa *m, const struct mat_moa_shelf *s,
          mat_number offset)
{
    for (size_t i = 0; i < m->ranges.n; i++) {
        const struct mat_moa_range *range = &m->ranges.ranges[i];
        mat_number size = range->last - range->first + 1;

        if (!shelf_has(s, range)) {
            continue;
        } else if (offset < size) {
            return range->first + offset;
        }
        offset -= size;
    }
    abort();
}

/* Uniform in 0 to n - 1, without a division of 128 bits. */
static mat_number
random_below(struct mat_moa *m, mat_number n)
{
    mat_number mask = MAT_NUMBER_MAX, number;

    while (mask >> 1 >= n - 1 && mask) {
        mask >>= 1;
    }
    do {
        number = mat_rng_next(&m->rng);
        number = (number << 64 | mat_rng_next(&m->rng)) & mask;
    } while (number >= n);
    return number;
}

void
mat_moa_shelves_reset(struct mat_moa *m)
{
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];

        s->uplink = (int) (i / 4) - 1;
        s->v6 = i & 2;
        s->routed = i & 1;
        s->total = 0;
        s->n_inside = 0;
        memset(s->lists, 0, sizeof s->lists);
        if (s->uplink != MAT_MOA_ANY
            && (size_t) s->uplink >= m->config.n_uplinks) {
            s->is_pending = false;
            s->reported = MAT_MOA_LEVEL_ENOUGH;
        }
    }
    for (size_t i = 0; i < m->ranges.n; i++) {
        const struct mat_moa_range *range = &m->ranges.ranges[i];

        m->shelves[mat_moa_shelf_index(range->uplink,
                                       !mat_number_is_v4(range->first),
                                       range->routed)].total
            += range->last - range->first + 1;
    }
    /* Beginning anywhere makes it unlikely that what was forgotten in a
     * restart is given to somebody else at once. */
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];
        const struct mat_moa_range *range = mat_moa_ranges_find(&m->ranges,
                                                                s->cursor);

        if (s->total && !(range && shelf_has(s, range))) {
            s->cursor = at_offset(m, s, random_below(m, s->total));
        }
    }
}

mat_number
mat_moa_shelf_untracked(const struct mat_moa_shelf *s)
{
    return s->total - s->n_inside;
}

size_t
mat_moa_shelf_ready(const struct mat_moa_shelf *s)
{
    return s->lists[MAT_MOA_PROBING].n + s->lists[MAT_MOA_PROBED].n
           + s->lists[MAT_MOA_WARM].n;
}

mat_number
mat_moa_shelf_available(const struct mat_moa_shelf *s)
{
    return mat_moa_shelf_untracked(s) + s->lists[MAT_MOA_FREE].n
           + mat_moa_shelf_ready(s);
}

/* Moves the cursor to an address of the shelf if it is not at one. */
static void
seek(struct mat_moa *m, struct mat_moa_shelf *s)
{
    size_t i = mat_moa_ranges_seek(&m->ranges, s->cursor);

    for (size_t n = 0; n <= m->ranges.n; n++, i++) {
        const struct mat_moa_range *range;

        if (i >= m->ranges.n) {
            i = 0;
            s->cursor = 0;
        }
        range = &m->ranges.ranges[i];
        if (shelf_has(s, range)) {
            if (s->cursor < range->first) {
                s->cursor = range->first;
            }
            return;
        }
    }
    abort();
}

struct mat_addr
mat_moa_shelf_pick(struct mat_moa *m, struct mat_moa_shelf *s)
{
    MAT_ASSERT(mat_moa_shelf_untracked(s));
    for (;;) {
        struct mat_addr addr;

        seek(m, s);
        addr = mat_number_to_addr(s->cursor++);
        if (!mat_moa_record_find(m, &addr)) {
            return addr;
        }
    }
}

/* Records. */

struct mat_moa_record *
mat_moa_record_find(const struct mat_moa *m, const struct mat_addr *addr)
{
    struct mat_moa_record *r = mat_index_find(&m->by_addr, hash_addr(m, addr));

    while (r && !mat_addr_equal(&r->moa, addr)) {
        r = r->hash_next;
    }
    return r;
}

/* Makes room by forgetting the age of the one that rests longest. */
static bool
make_room(struct mat_moa *m)
{
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX
         && m->n_records >= MAT_MOA_RECORDS_MAX; i++) {
        struct mat_moa_list *list = &m->shelves[i].lists[MAT_MOA_FREE];

        if (list->n) {
            mat_moa_record_free(m, list->first);
        }
    }
    return m->n_records < MAT_MOA_RECORDS_MAX;
}

struct mat_moa_record *
mat_moa_record_get(struct mat_moa *m, const struct mat_addr *addr)
{
    struct mat_moa_record *r = mat_moa_record_find(m, addr);
    uint64_t hash = hash_addr(m, addr);

    if (r || !make_room(m)) {
        return r;
    }
    if (m->n_records >= m->allocated) {
        m->allocated = m->allocated ? m->allocated * 2 : 64;
        m->records = mat_xrealloc(m->records, m->allocated
                                  * sizeof *m->records);
    }
    r = mat_xcalloc(1, sizeof *r);
    r->moa = *addr;
    r->list = MAT_MOA_FREE;
    r->since_us = m->now_us;
    r->slot = m->n_records;
    m->records[m->n_records++] = r;
    r->hash_next = mat_index_remove(&m->by_addr, hash);
    mat_index_insert(&m->by_addr, hash, r);
    mat_moa_record_place(m, r);
    return r;
}

/* Takes a record out of the chain that begins in 'index' with 'hash'. */
static void
unchain(struct mat_index *index, uint64_t hash, struct mat_moa_record *r,
        bool by_owner)
{
    struct mat_moa_record *first = mat_index_remove(index, hash);
    struct mat_moa_record **p = &first;

    while (*p != r) {
        MAT_ASSERT(*p);
        p = by_owner ? &(*p)->owner_next : &(*p)->hash_next;
    }
    *p = by_owner ? r->owner_next : r->hash_next;
    if (first) {
        mat_index_insert(index, hash, first);
    }
}

void
mat_moa_record_free(struct mat_moa *m, struct mat_moa_record *r)
{
    struct mat_moa_shelf *s = mat_moa_shelf_of(m, r);

    mat_moa_disarm(r);
    mat_moa_record_disown(m, r);
    if (r->is_reported) {
        mat_moa_list_remove(&m->reports, r, MAT_MOA_LINK_REPORT);
    }
    mat_moa_list_remove(&s->lists[r->list], r, MAT_MOA_LINK_LIST);
    s->n_inside -= r->is_inside;
    m->n_reserved -= r->reserved;
    unchain(&m->by_addr, hash_addr(m, &r->moa), r, false);
    m->records[r->slot] = m->records[--m->n_records];
    m->records[r->slot]->slot = r->slot;
    free(r);
}

size_t
mat_moa_shelf_for(const struct mat_moa *m, const struct mat_addr *addr,
                  bool *is_inside)
{
    const struct mat_moa_range *range
        = mat_moa_ranges_find(&m->ranges, mat_number_from_addr(addr));
    const struct mat_moa_prefix *subnet;
    int uplink;

    *is_inside = range != NULL;
    if (range) {
        return mat_moa_shelf_index(range->uplink, !mat_addr_is_v4(addr),
                                   range->routed);
    }
    uplink = mat_moa_uplink_of(&m->config, addr, &subnet);
    return mat_moa_shelf_index(uplink, !mat_addr_is_v4(addr),
                               uplink == MAT_MOA_ANY);
}

void
mat_moa_record_place(struct mat_moa *m, struct mat_moa_record *r)
{
    struct mat_moa_shelf *s;

    r->stock = (uint8_t) mat_moa_shelf_for(m, &r->moa, &r->is_inside);
    s = mat_moa_shelf_of(m, r);
    s->n_inside += r->is_inside;
    mat_moa_list_add(&s->lists[r->list], r, MAT_MOA_LINK_LIST);
}

void
mat_moa_record_set(struct mat_moa *m, struct mat_moa_record *r, uint8_t list)
{
    struct mat_moa_shelf *s = mat_moa_shelf_of(m, r);

    mat_moa_disarm(r);
    mat_moa_list_remove(&s->lists[r->list], r, MAT_MOA_LINK_LIST);
    r->list = list;
    r->since_us = m->now_us;
    mat_moa_list_add(&s->lists[list], r, MAT_MOA_LINK_LIST);
}

void
mat_moa_record_own(struct mat_moa *m, struct mat_moa_record *r,
                   const struct mat_moa_owner *owner)
{
    uint64_t hash = hash_owner(m, owner);

    mat_moa_record_disown(m, r);
    r->owner = *owner;
    r->is_owned = true;
    r->owner_next = mat_index_remove(&m->by_owner, hash);
    mat_index_insert(&m->by_owner, hash, r);
}

void
mat_moa_record_disown(struct mat_moa *m, struct mat_moa_record *r)
{
    if (r->is_owned) {
        unchain(&m->by_owner, hash_owner(m, &r->owner), r, true);
        r->is_owned = false;
        r->owner_next = NULL;
        memset(&r->owner, 0, sizeof r->owner);
    }
}

struct mat_moa_record *
mat_moa_first_of(const struct mat_moa *m, const struct mat_moa_owner *owner)
{
    return mat_index_find(&m->by_owner, hash_owner(m, owner));
}

bool
mat_moa_is_owner(const struct mat_moa_record *r,
                 const struct mat_moa_owner *owner)
{
    return r->is_owned && r->owner.zone == owner->zone
           && mat_addr_equal(&r->owner.hoa, &owner->hoa);
}
