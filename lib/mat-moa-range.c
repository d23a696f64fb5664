/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-moa-range.h"

#include "mat-mem.h"

/* Addresses that are cut out. */
struct cut {
    mat_number first, last;
};

enum {
    CUTS_MAX = 2 * MAT_MOA_ITEMS_MAX
               + MAT_MOA_UPLINKS_MAX * (3 * MAT_MOA_SUBNETS_MAX
                                        + 2 * MAT_MOA_ROUTERS_MAX)
};

struct cuts {
    size_t n;
    struct cut cuts[CUTS_MAX];
};

static void collect_cuts(const struct mat_moa_config *, struct cuts *);
static void add_item(struct mat_moa_ranges *, const struct cuts *,
                     const struct mat_moa_config *,
                     const struct mat_moa_item *);
static void sort_and_trim(struct mat_moa_ranges *);

mat_number
mat_number_from_addr(const struct mat_addr *a)
{
    mat_number number = 0;

    for (size_t i = 0; i < sizeof a->b; i++) {
        number = number << 8 | a->b[i];
    }
    return number;
}

struct mat_addr
mat_number_to_addr(mat_number number)
{
    struct mat_addr a;

    for (size_t i = sizeof a.b; i-- > 0; number >>= 8) {
        a.b[i] = (uint8_t) number;
    }
    return a;
}

void
mat_moa_ranges_build(struct mat_moa_ranges *ranges,
                     const struct mat_moa_config *config)
{
    struct cuts *cuts = mat_xmalloc(sizeof *cuts);

    ranges->n = 0;
    ranges->is_cut = false;
    collect_cuts(config, cuts);
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < config->pools[v6].n; i++) {
            add_item(ranges, cuts, config, &config->pools[v6].items[i]);
        }
    }
    sort_and_trim(ranges);
    free(cuts);
}

bool
mat_moa_ranges_equal(const struct mat_moa_ranges *a,
                     const struct mat_moa_ranges *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++) {
        const struct mat_moa_range *r = &a->ranges[i], *s = &b->ranges[i];

        equal = (r->first == s->first && r->last == s->last
                 && r->uplink == s->uplink && r->routed == s->routed);
    }
    return equal;
}

size_t
mat_moa_ranges_seek(const struct mat_moa_ranges *ranges, mat_number number)
{
    size_t low = 0, high = ranges->n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (ranges->ranges[middle].last < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct mat_moa_range *
mat_moa_ranges_find(const struct mat_moa_ranges *ranges, mat_number number)
{
    size_t i = mat_moa_ranges_seek(ranges, number);

    return (i < ranges->n && ranges->ranges[i].first <= number
            ? &ranges->ranges[i] : NULL);
}

mat_number
mat_moa_prefix_at(mat_number first, mat_number last, uint8_t *plen)
{
    unsigned int family_bits = mat_number_is_v4(first) ? 32 : 128;
    unsigned int bits = 0;

    while (bits < family_bits && !(first >> bits & 1)
           && last - first >= (MAT_NUMBER_MAX >> (127 - bits))) {
        bits++;
    }
    *plen = (uint8_t) (family_bits - bits);
    return bits ? first + (MAT_NUMBER_MAX >> (128 - bits)) : first;
}

int
mat_moa_uplink_find(const struct mat_moa_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_uplinks; i++) {
        if (!strcmp(config->uplinks[i].name, name)) {
            return (int) i;
        }
    }
    return MAT_MOA_ANY;
}

int
mat_moa_uplink_of(const struct mat_moa_config *config,
                  const struct mat_addr *addr,
                  const struct mat_moa_prefix **subnet)
{
    int found = MAT_MOA_ANY;

    for (size_t i = 0; i < config->n_uplinks; i++) {
        const struct mat_moa_uplink *uplink = &config->uplinks[i];

        for (size_t j = 0; j < uplink->n_subnets; j++) {
            const struct mat_moa_prefix *p = &uplink->subnets[j];

            if (mat_addr_in_prefix(addr, &p->addr, p->plen)
                && (found == MAT_MOA_ANY || p->plen > (*subnet)->plen)) {
                found = (int) i;
                *subnet = p;
            }
        }
    }
    return found;
}

bool
mat_moa_is_somebodys(const struct mat_moa_config *config,
                     const struct mat_addr *addr)
{
    for (size_t i = 0; i < config->n_uplinks; i++) {
        const struct mat_moa_uplink *uplink = &config->uplinks[i];

        for (size_t j = 0; j < uplink->n_subnets; j++) {
            if (mat_addr_equal(addr, &uplink->subnets[j].addr)) {
                return true;
            }
        }
        for (int v6 = 0; v6 < 2; v6++) {
            for (size_t j = 0; j < uplink->n_routers[v6]; j++) {
                if (mat_addr_equal(addr, &uplink->routers[v6][j])) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void
add_cut(struct cuts *cuts, mat_number first, mat_number last)
{
    MAT_ASSERT(cuts->n < CUTS_MAX);
    cuts->cuts[cuts->n++] = (struct cut) { first, last };
}

/* The host's address in a subnet, and those that are no host's: the network's
 * and the broadcast address (but not in a /31, RFC 3021), or the anycast
 * address of IPv6 routers (RFC 4291, 2.6.1; not in a /127, RFC 6164). */
static void
cut_subnet(struct cuts *cuts, const struct mat_moa_prefix *subnet)
{
    struct mat_addr network = mat_addr_mask(&subnet->addr, subnet->plen);
    unsigned int host_bits = mat_addr_bits(&network) - subnet->plen;
    mat_number own = mat_number_from_addr(&subnet->addr);
    mat_number first = mat_number_from_addr(&network), last;

    add_cut(cuts, own, own);
    if (host_bits < 2) {
        return;
    }
    add_cut(cuts, first, first);
    if (mat_addr_is_v4(&network)) {
        last = first + (MAT_NUMBER_MAX >> (128 - host_bits));
        add_cut(cuts, last, last);
    }
}

static int
compare_cuts(const void *a_, const void *b_)
{
    const struct cut *a = a_, *b = b_;

    return a->first < b->first ? -1 : a->first > b->first;
}

static void
collect_cuts(const struct mat_moa_config *config, struct cuts *cuts)
{
    cuts->n = 0;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < config->pools[v6].n; i++) {
            const struct mat_moa_item *item = &config->pools[v6].items[i];

            if (item->kind == MAT_MOA_ITEM_EXCLUDE) {
                add_cut(cuts, mat_number_from_addr(&item->first),
                        mat_number_from_addr(&item->last));
            }
        }
    }
    for (size_t i = 0; i < config->n_uplinks; i++) {
        const struct mat_moa_uplink *uplink = &config->uplinks[i];

        for (size_t j = 0; j < uplink->n_subnets; j++) {
            cut_subnet(cuts, &uplink->subnets[j]);
        }
        for (int v6 = 0; v6 < 2; v6++) {
            for (size_t j = 0; j < uplink->n_routers[v6]; j++) {
                mat_number router
                    = mat_number_from_addr(&uplink->routers[v6][j]);

                add_cut(cuts, router, router);
            }
        }
    }
    qsort(cuts->cuts, cuts->n, sizeof *cuts->cuts, compare_cuts);
}

static void
add_range(struct mat_moa_ranges *ranges, const struct mat_moa_range *range)
{
    if (ranges->n < MAT_MOA_RANGES_MAX) {
        ranges->ranges[ranges->n++] = *range;
    } else {
        ranges->is_cut = true;
    }
}

/* Adds what the cuts leave of 'range'. */
static void
add_cut_range(struct mat_moa_ranges *ranges, const struct cuts *cuts,
              struct mat_moa_range range)
{
    for (size_t i = 0; i < cuts->n; i++) {
        const struct cut *cut = &cuts->cuts[i];

        if (cut->last < range.first || cut->first > range.last) {
            continue;
        }
        if (cut->first > range.first) {
            struct mat_moa_range before = range;

            before.last = cut->first - 1;
            add_range(ranges, &before);
        }
        if (cut->last >= range.last) {
            return;
        }
        range.first = cut->last + 1;
    }
    add_range(ranges, &range);
}

/* The range inside of an advertised prefix, if the item leaves the bits of
 * the prefix to it. */
static void
add_advertised(struct mat_moa_ranges *ranges, const struct cuts *cuts,
               const struct mat_moa_config *config,
               const struct mat_moa_item *item, int uplink)
{
    const struct mat_moa_uplink *u = &config->uplinks[uplink];

    for (size_t i = 0; i < u->n_advertised; i++) {
        const struct mat_moa_prefix *p = &u->advertised[i];
        struct mat_addr masked = mat_addr_mask(&p->addr, p->plen);
        mat_number base = mat_number_from_addr(&masked);
        struct mat_moa_range range = {
            .first = base | mat_number_from_addr(&item->first),
            .last = base | mat_number_from_addr(&item->last),
            .uplink = uplink
        };

        if (!mat_moa_advertised_fits(item, p)) {
            continue;
        }
        add_cut_range(ranges, cuts, range);
    }
}

static void
add_item(struct mat_moa_ranges *ranges, const struct cuts *cuts,
         const struct mat_moa_config *config, const struct mat_moa_item *item)
{
    struct mat_moa_range range = {
        .first = mat_number_from_addr(&item->first),
        .last = mat_number_from_addr(&item->last),
        .uplink = mat_moa_item_uplink(config, item),
        .routed = item->kind == MAT_MOA_ITEM_ROUTED
    };

    switch (item->kind) {
    case MAT_MOA_ITEM_LINK:
        if (range.uplink != MAT_MOA_ANY) {
            add_cut_range(ranges, cuts, range);
        }
        break;
    case MAT_MOA_ITEM_ROUTED:
        if (range.uplink != MAT_MOA_ANY || !item->uplink[0]) {
            add_cut_range(ranges, cuts, range);
        }
        break;
    case MAT_MOA_ITEM_ADVERTISED:
        for (size_t i = 0; i < config->n_uplinks; i++) {
            if (!item->uplink[0] || range.uplink == (int) i) {
                add_advertised(ranges, cuts, config, item, (int) i);
            }
        }
        break;
    case MAT_MOA_ITEM_EXCLUDE:
        break;
    }
}

static int
compare_ranges(const void *a_, const void *b_)
{
    const struct mat_moa_range *a = a_, *b = b_;

    return (a->first != b->first ? (a->first < b->first ? -1 : 1)
            : a->uplink != b->uplink ? (a->uplink < b->uplink ? -1 : 1)
            : 0);
}

/* Two uplinks with one advertised prefix, or an advertised one that another
 * item names too: an address belongs to the range that begins first. */
static void
sort_and_trim(struct mat_moa_ranges *ranges)
{
    mat_number next = 0;
    size_t n = 0;

    qsort(ranges->ranges, ranges->n, sizeof *ranges->ranges, compare_ranges);
    for (size_t i = 0; i < ranges->n; i++) {
        struct mat_moa_range range = ranges->ranges[i];

        if (range.last < next) {
            continue;
        } else if (range.first < next) {
            range.first = next;
        }
        ranges->ranges[n++] = range;
        next = range.last + 1;
    }
    ranges->n = n;
}
