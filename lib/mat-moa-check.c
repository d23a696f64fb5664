/* SPDX-License-Identifier: Apache-2.0 */

/* Does a pool fit the links of the host? */

#include "mat-moa-range.h"

#include <stdio.h>

#include "mat-mem.h"

/* One item being looked at. */
struct look {
    const struct mat_moa_config *config;
    const struct mat_moa_item *item;
    char *error;
};

static bool check_item(struct look *);
static bool check_advertised(struct look *);
static bool check_link(struct look *);
static bool check_contents(struct look *);

static bool
contains(const struct mat_moa_item *item, mat_number number)
{
    return mat_number_from_addr(&item->first) <= number
           && mat_number_from_addr(&item->last) >= number;
}

bool
mat_moa_check(const struct mat_moa_config *config,
              char error[static MAT_MOA_TEXT_MAX])
{
    struct mat_moa_ranges *ranges = mat_xmalloc(sizeof *ranges);
    bool ok = true;

    error[0] = '\0';
    mat_moa_ranges_build(ranges, config);
    if (ranges->is_cut) {
        snprintf(error, MAT_MOA_TEXT_MAX, "the pools fall into more than %d "
                 "ranges: the rest is not used", MAT_MOA_RANGES_MAX);
        ok = false;
    }
    free(ranges);
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < config->pools[v6].n; i++) {
            struct look look = { config, &config->pools[v6].items[i], error };

            ok = ok && check_item(&look);
        }
    }
    return ok;
}

/* Whether the host has an address of the family of 'like' on the uplink. */
static bool
has_family(const struct mat_moa_uplink *uplink, const struct mat_addr *like)
{
    for (size_t i = 0; i < uplink->n_subnets; i++) {
        if (mat_addr_is_v4(&uplink->subnets[i].addr) == mat_addr_is_v4(like)) {
            return true;
        }
    }
    return false;
}

/* An only uplink without addresses of the family must be the one. */
int
mat_moa_item_uplink(const struct mat_moa_config *config,
                    const struct mat_moa_item *item)
{
    const struct mat_moa_prefix *subnet;
    int uplink;

    if (item->uplink[0]) {
        return mat_moa_uplink_find(config, item->uplink);
    } else if (item->kind != MAT_MOA_ITEM_LINK) {
        return MAT_MOA_ANY;
    }
    uplink = mat_moa_uplink_of(config, &item->first, &subnet);
    return (uplink == MAT_MOA_ANY && config->n_uplinks == 1
            && !has_family(&config->uplinks[0], &item->first) ? 0 : uplink);
}

bool
mat_moa_advertised_fits(const struct mat_moa_item *item,
                        const struct mat_moa_prefix *prefix)
{
    return !mat_addr_is_v4(&prefix->addr)
           && prefix->plen && prefix->plen < 128
           && !(mat_number_from_addr(&item->last) >> (128 - prefix->plen));
}

static bool
complain(const struct look *look, const char *what, const char *name,
         const char *instead)
{
    char text[MAT_MOA_TEXT_MAX];

    mat_moa_item_format(look->item, text);
    snprintf(look->error, MAT_MOA_TEXT_MAX, "'%.110s' %s%.63s%s", text, what,
             name, instead);
    return false;
}

static bool
check_item(struct look *look)
{
    const struct mat_moa_item *item = look->item;

    if (item->uplink[0]
        && mat_moa_uplink_find(look->config, item->uplink) == MAT_MOA_ANY) {
        return complain(look, "names uplink ", item->uplink,
                        ", which is not in mat-uplink");
    }
    switch (item->kind) {
    case MAT_MOA_ITEM_ADVERTISED:
        return check_advertised(look);
    case MAT_MOA_ITEM_LINK:
        return check_link(look) && check_contents(look);
    case MAT_MOA_ITEM_ROUTED:
        return check_contents(look);
    case MAT_MOA_ITEM_EXCLUDE:
        break;
    }
    return true;
}

static bool
check_advertised(struct look *look)
{
    for (size_t i = 0; i < look->config->n_uplinks; i++) {
        const struct mat_moa_uplink *u = &look->config->uplinks[i];

        if (look->item->uplink[0] && strcmp(look->item->uplink, u->name)) {
            continue;
        }
        for (size_t j = 0; j < u->n_advertised; j++) {
            const struct mat_moa_prefix *p = &u->advertised[j];
            char text[MAT_PREFIX_STRLEN];

            if (!mat_moa_advertised_fits(look->item, p)) {
                mat_prefix_format(&p->addr, p->plen, text);
                return complain(look, "has bits set that belong to the "
                                "advertised prefix ", text,
                                ": let the bits of the prefix be zero");
            }
        }
    }
    return true;
}

static bool
knows_links(const struct mat_moa_config *config)
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_uplinks; i++) {
        n += config->uplinks[i].n_subnets;
    }
    return n > 0;
}

/* An item without a name of an uplink must be in one of its subnets, all of
 * it; with a name it may be what the host has no address in. */
static bool
check_link(struct look *look)
{
    const struct mat_moa_item *item = look->item;
    const struct mat_moa_prefix *subnet;
    char text[MAT_PREFIX_STRLEN];

    if (item->uplink[0]) {
        return true;
    }
    if (mat_moa_uplink_of(look->config, &item->first, &subnet)
        == MAT_MOA_ANY) {
        if (mat_moa_item_uplink(look->config, item) == MAT_MOA_ANY
            && knows_links(look->config)) {
            return complain(look, "is in no subnet of an uplink: add '%' and "
                            "the uplink's name if it is on that link all the "
                            "same, or begin with 'routed:' if it is routed "
                            "to this host", "", "");
        }
    } else if (!mat_addr_in_prefix(&item->last, &subnet->addr,
                                   subnet->plen)) {
        struct mat_addr network = mat_addr_mask(&subnet->addr, subnet->plen);

        mat_prefix_format(&network, subnet->plen, text);
        return complain(look, "reaches beyond the subnet ", text,
                        " of its uplink");
    }
    return true;
}

/* True if all of the cut [first, first] is excluded by an item. */
static bool
is_excluded(const struct look *look, mat_number number)
{
    for (int v6 = 0; v6 < 2; v6++) {
        const struct mat_moa_items *items = &look->config->pools[v6];

        for (size_t i = 0; i < items->n; i++) {
            if (items->items[i].kind == MAT_MOA_ITEM_EXCLUDE
                && contains(&items->items[i], number)) {
                return true;
            }
        }
    }
    return false;
}

static bool
check_address(const struct look *look, mat_number number, const char *whose)
{
    struct mat_addr addr = mat_number_to_addr(number);
    char a[MAT_ADDR_STRLEN], what[80], instead[160];

    if (!contains(look->item, number) || is_excluded(look, number)) {
        return true;
    }
    mat_addr_format(&addr, a);
    snprintf(what, sizeof what, "contains %s, ", whose);
    snprintf(instead, sizeof instead,
             " (leave it out, or add 'exclude:%s')", a);
    return complain(look, what, a, instead);
}

static bool
check_subnet(const struct look *look, const struct mat_moa_prefix *subnet)
{
    struct mat_addr network = mat_addr_mask(&subnet->addr, subnet->plen);
    mat_number first = mat_number_from_addr(&network);
    unsigned int host_bits = mat_addr_bits(&network) - subnet->plen;

    if (!check_address(look, mat_number_from_addr(&subnet->addr),
                       "the host's own address")) {
        return false;
    } else if (host_bits < 2) {
        return true;
    } else if (!mat_addr_is_v4(&network)) {
        return check_address(look, first, "the anycast address of routers");
    }
    return check_address(look, first, "the network address")
           && check_address(look, first + (MAT_NUMBER_MAX
                                           >> (128 - host_bits)),
                            "the broadcast address");
}

static bool
check_contents(struct look *look)
{
    for (size_t i = 0; i < look->config->n_uplinks; i++) {
        const struct mat_moa_uplink *u = &look->config->uplinks[i];

        for (size_t j = 0; j < u->n_subnets; j++) {
            if (!check_subnet(look, &u->subnets[j])) {
                return false;
            }
        }
        for (int v6 = 0; v6 < 2; v6++) {
            for (size_t j = 0; j < u->n_routers[v6]; j++) {
                if (!check_address(look,
                                   mat_number_from_addr(&u->routers[v6][j]),
                                   "the router")) {
                    return false;
                }
            }
        }
    }
    return true;
}
