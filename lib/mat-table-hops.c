/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-table.h"
#include "mat-table-impl.h"

/* Next hops of the table.  What readers see of one is never edited but
 * replaced by a new copy, with one exception: the MTU, which follows that of
 * the uplinks also when there is no memory for copies. */

static uint16_t
hop_mtu(const struct mat_table *table, uint16_t conf_mtu)
{
    uint16_t mtu = table->writer->uplink_mtu;

    return conf_mtu && (!mtu || conf_mtu < mtu) ? conf_mtu
           : mtu ? mtu : UINT16_MAX;
}

static void
set_mtu(const struct mat_table *table, struct mat_hop *hop)
{
    uint16_t mtu = hop_mtu(table, hop->conf_mtu);

    __atomic_store_n(&hop->mtu, mtu, __ATOMIC_RELAXED);
    __atomic_store_n(&hop->fast_mtu, hop->is_behind ? 0 : mtu,
                     __ATOMIC_RELAXED);
}

/* Brings the next hops up to date with the uplinks. */
void
mat_table_uplinks_changed__(struct mat_table *table)
{
    struct mat_table_writer *w = table->writer;
    uint16_t mtu = mat_table_uplink_mtu__(table);
    size_t n_left = w->n_hops;

    if (mtu == w->uplink_mtu) {
        return;
    }
    w->uplink_mtu = mtu;
    for (size_t i = 0; n_left && i < MAT_TABLE_NEXTHOPS_MAX; i++) {
        struct mat_hop *hop = table->hops[i];

        if (hop) {
            set_mtu(table, hop);
            n_left--;
        }
    }
}

void
mat_table_hop_ref__(struct mat_table *table, uint16_t id)
{
    table->writer->hop_refs[id]++;
}

void
mat_table_hop_unref__(struct mat_table *table, uint16_t id)
{
    table->writer->hop_refs[id]--;
}

enum mat_table_error
mat_table_put_nexthop(struct mat_table *table, const struct mat_nexthop *nh)
{
    const struct mat_hop *old;
    struct mat_hop *hop;

    if (nh->id >= MAT_TABLE_NEXTHOPS_MAX) {
        return MAT_TABLE_BAD_NEXTHOP;
    } else if (mat_mac_is_zero(&nh->dst) || mat_mac_is_multicast(&nh->dst)
               || mat_mac_is_zero(&nh->src)
               || mat_mac_is_multicast(&nh->src)) {
        return MAT_TABLE_BAD_MAC;
    } else if (!mat_table_mtu_ok__(nh->mtu)) {
        return MAT_TABLE_BAD_MTU;
    }
    hop = mat_table_alloc__(table, sizeof *hop);
    if (!hop) {
        return MAT_TABLE_NO_MEMORY;
    }
    memcpy(&hop->eth[0], nh->dst.ea, 6);
    memcpy(&hop->eth[6], nh->src.ea, 6);
    hop->conf_mtu = nh->mtu;
    hop->is_behind = nh->is_behind;
    set_mtu(table, hop);
    old = table->hops[nh->id];
    __atomic_store_n(&table->hops[nh->id], hop, __ATOMIC_RELEASE);
    mat_table_retire__(table, old, sizeof *old);
    table->writer->n_hops += !old;
    return MAT_TABLE_OK;
}

enum mat_table_error
mat_table_remove_nexthop(struct mat_table *table, uint16_t id)
{
    const struct mat_hop *old;

    old = id < MAT_TABLE_NEXTHOPS_MAX ? table->hops[id] : NULL;
    if (!old) {
        return MAT_TABLE_NOT_FOUND;
    } else if (table->writer->hop_refs[id]) {
        return MAT_TABLE_IN_USE;
    }
    __atomic_store_n(&table->hops[id], NULL, __ATOMIC_RELEASE);
    mat_table_retire__(table, old, sizeof *old);
    table->writer->n_hops--;
    return MAT_TABLE_OK;
}

bool
mat_table_next_nexthop(const struct mat_table *table, uint64_t *cursor,
                       struct mat_nexthop *nh)
{
    for (; *cursor < MAT_TABLE_NEXTHOPS_MAX; ++*cursor) {
        const struct mat_hop *hop = table->hops[*cursor];

        if (hop) {
            nh->id = (uint16_t) *cursor;
            memcpy(nh->dst.ea, &hop->eth[0], 6);
            memcpy(nh->src.ea, &hop->eth[6], 6);
            nh->mtu = hop->conf_mtu;
            nh->is_behind = hop->is_behind;
            ++*cursor;
            return true;
        }
    }
    return false;
}
