/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-table.h"
#include "mat-table-impl.h"

/* Pools of the table: longest-prefix match over a sorted array.
 *
 * Sorted by first address and then by length, a prefix stands before all that
 * it contains.  So the longest prefix around an address is the last one that
 * does not begin after it, or one of those around that one: 'parent' leads
 * outward from each. */

static size_t
pools_size(size_t n)
{
    return sizeof(struct mat_pools) + n * sizeof(struct mat_pools_node);
}

void
mat_table_pools_destroy__(struct mat_table *table)
{
    if (table->pools) {
        mat_table_free__(table, (void *) (uintptr_t) table->pools,
                         pools_size(table->pools->n));
    }
}

/* Length among the 128 bits that an address has in memory. */
static unsigned int
full_length(const struct mat_pool *pool)
{
    return pool->plen + 128 - mat_addr_bits(&pool->prefix);
}

static int
compare(const struct mat_pool *a, const struct mat_pool *b)
{
    int cmp = memcmp(&a->prefix, &b->prefix, sizeof a->prefix);

    return cmp ? cmp : (int) full_length(a) - (int) full_length(b);
}

/* The number of pools that sort before 'key', or with it if 'or_equal'. */
static size_t
count_before(const struct mat_pools *pools, const struct mat_pool *key,
             bool or_equal)
{
    size_t low = 0, high = pools->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = compare(&pools->nodes[mid].pool, key);

        if (cmp < 0 || (or_equal && !cmp)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Compares all 128 bits: some huge IPv6 prefix may contain the form in which
 * IPv4 addresses are held, and then is the parent of IPv4 pools. */
static bool
contains(const struct mat_pool *pool, const struct mat_addr *addr)
{
    unsigned int length = full_length(pool);
    unsigned int n = length / 8, rest = 8 - length % 8;

    return (!memcmp(addr->b, pool->prefix.b, n)
            && (rest == 8 || addr->b[n] >> rest == pool->prefix.b[n] >> rest));
}

/* The longest of the first 'n' pools around 'addr', or 'n' if none is.  The
 * parents of those must be set. */
static size_t
longest(const struct mat_pools *pools, size_t n, const struct mat_addr *addr)
{
    size_t i = n;

    while (i > 0) {
        i--;
        if (contains(&pools->nodes[i].pool, addr)) {
            return i;
        } else if (pools->nodes[i].parent == i) {
            break;
        }
        i = pools->nodes[i].parent + (size_t) 1;
    }
    return n;
}

static void
set_parents(struct mat_pools *pools)
{
    for (size_t i = 0; i < pools->n; i++) {
        size_t parent = longest(pools, i, &pools->nodes[i].pool.prefix);

        pools->nodes[i].parent = (uint32_t) parent;
    }
}

const struct mat_pool *
mat_table_pool(const struct mat_table *table, const struct mat_addr *addr)
{
    const struct mat_pools *pools = __atomic_load_n(&table->pools,
                                                    __ATOMIC_ACQUIRE);
    struct mat_pool key = {
        .prefix = *addr,
        .plen = (uint8_t) mat_addr_bits(addr),
    };
    size_t n = count_before(pools, &key, true);
    size_t i = longest(pools, n, addr);

    return (i < n && mat_addr_in_prefix(addr, &pools->nodes[i].pool.prefix,
                                        pools->nodes[i].pool.plen)
            ? &pools->nodes[i].pool : NULL);
}

/* A copy of the pools without the one like 'pool', with it if 'add'. */
static struct mat_pools *
copy_pools(struct mat_table *table, const struct mat_pool *pool, bool add)
{
    const struct mat_pools *old = table->pools;
    size_t i = count_before(old, pool, false);
    bool had = i < old->n && !compare(&old->nodes[i].pool, pool);
    size_t n_after = old->n - i - had;
    size_t n = i + add + n_after;
    struct mat_pools *new = mat_table_alloc__(table, pools_size(n));

    if (new) {
        new->n = n;
        memcpy(new->nodes, old->nodes, i * sizeof *new->nodes);
        if (add) {
            new->nodes[i].pool = *pool;
        }
        memcpy(&new->nodes[n - n_after], &old->nodes[old->n - n_after],
               n_after * sizeof *new->nodes);
        set_parents(new);
    }
    return new;
}

static void
publish_pools(struct mat_table *table, const struct mat_pools *new)
{
    const struct mat_pools *old = table->pools;

    __atomic_store_n(&table->pools, new, __ATOMIC_RELEASE);
    mat_table_retire__(table, old, pools_size(old->n));
}

static bool
has_pool(const struct mat_table *table, const struct mat_pool *pool)
{
    size_t i = count_before(table->pools, pool, false);

    return (i < table->pools->n
            && !compare(&table->pools->nodes[i].pool, pool));
}

enum mat_table_error
mat_table_put_pool(struct mat_table *table, const struct mat_pool *pool)
{
    struct mat_addr masked;
    struct mat_pools *new;

    if (pool->plen > mat_addr_bits(&pool->prefix) || !pool->plen) {
        return MAT_TABLE_BAD_PREFIX;
    }
    masked = mat_addr_mask(&pool->prefix, pool->plen);
    if (!mat_addr_equal(&masked, &pool->prefix)) {
        return MAT_TABLE_BAD_PREFIX;
    } else if (!has_pool(table, pool)
               && table->pools->n >= MAT_TABLE_POOLS_MAX) {
        return MAT_TABLE_FULL;
    }
    mat_table_bound_retired__(table);
    new = copy_pools(table, pool, true);
    if (!new) {
        return MAT_TABLE_NO_MEMORY;
    }
    publish_pools(table, new);
    return MAT_TABLE_OK;
}

enum mat_table_error
mat_table_remove_pool(struct mat_table *table, const struct mat_addr *prefix,
                      uint8_t plen)
{
    const struct mat_pool pool = { .prefix = *prefix, .plen = plen };
    struct mat_pools *new;

    if (plen > mat_addr_bits(prefix) || !has_pool(table, &pool)) {
        return MAT_TABLE_NOT_FOUND;
    }
    mat_table_bound_retired__(table);
    new = copy_pools(table, &pool, false);
    if (!new) {
        return MAT_TABLE_NO_MEMORY;
    }
    publish_pools(table, new);
    return MAT_TABLE_OK;
}

bool
mat_table_next_pool(const struct mat_table *table, uint64_t *cursor,
                    struct mat_pool *pool)
{
    if (*cursor >= table->pools->n) {
        return false;
    }
    *pool = table->pools->nodes[(*cursor)++].pool;
    return true;
}
