/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MOA_RANGE_H
#define MAT_MOA_RANGE_H 1

/* The ranges that remain of a configuration: what the items of its pools name,
 * without what they exclude, and without the addresses on the links that are
 * somebody's (the host's own, routers', network and broadcast addresses).
 * Sorted, and apart from each other.
 *
 * Addresses are numbers here, in the 128 bits of struct mat_addr, so that IPv4
 * is just one more stretch. */

#include "mat-moa.h"

__extension__ typedef unsigned __int128 mat_number;

#define MAT_NUMBER_MAX (~(mat_number) 0)

enum { MAT_MOA_ANY = -1 };      /* For an uplink: all, or none. */

struct mat_moa_range {
    mat_number first, last;
    int uplink;                 /* Index in the configuration. */
    bool routed;
};

struct mat_moa_ranges {
    size_t n;
    bool is_cut;                /* There were more than fit. */
    struct mat_moa_range ranges[MAT_MOA_RANGES_MAX];
};

mat_number mat_number_from_addr(const struct mat_addr *);
struct mat_addr mat_number_to_addr(mat_number);

static inline bool
mat_number_is_v4(mat_number number)
{
    return number >> 32 == 0xffff;
}

void mat_moa_ranges_build(struct mat_moa_ranges *,
                          const struct mat_moa_config *);

bool mat_moa_ranges_equal(const struct mat_moa_ranges *,
                          const struct mat_moa_ranges *);

/* The range with 'number', or null. */
const struct mat_moa_range *mat_moa_ranges_find(const struct mat_moa_ranges *,
                                                mat_number number);

/* The first range that ends at 'number' or after it: its place, 'n' if there
 * is none. */
size_t mat_moa_ranges_seek(const struct mat_moa_ranges *, mat_number number);

/* The longest prefix that begins with 'first' and does not pass 'last':
 * returns its last number and sets '*plen', of the family. */
mat_number mat_moa_prefix_at(mat_number first, mat_number last, uint8_t *plen);

/* The uplink of that name, or MAT_MOA_ANY. */
int mat_moa_uplink_find(const struct mat_moa_config *, const char *name);

/* The uplink with 'addr' in the longest subnet, or MAT_MOA_ANY; '*subnet' is
 * then that. */
int mat_moa_uplink_of(const struct mat_moa_config *, const struct mat_addr *,
                      const struct mat_moa_prefix **subnet);

/* The uplink of an item's addresses, or MAT_MOA_ANY. */
int mat_moa_item_uplink(const struct mat_moa_config *,
                        const struct mat_moa_item *);

/* Whether 'item' leaves the bits of 'prefix' to it. */
bool mat_moa_advertised_fits(const struct mat_moa_item *,
                             const struct mat_moa_prefix *prefix);

/* Whether 'addr' is a router's or one of the host's own. */
bool mat_moa_is_somebodys(const struct mat_moa_config *,
                          const struct mat_addr *);

#endif /* mat-moa-range.h */
