/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_TABLE_READ_H
#define MAT_TABLE_READ_H 1

/* The table as the data path reads it: lock-free, inside a read section (see
 * mat-table.h).  For mat-switch, and for nobody else.
 *
 * Forward maps lead from (zone, HoA) to MoA, reverse maps from MoA to HoA.
 * The flags of a mapping hold the state of its entry.  'aux' holds the MAC of
 * the VMN and an index: of a struct mat_vmn if the mapping has a port of this
 * host, else of a struct mat_hop if it is live, else nothing.
 *
 * What an index leads to does not change, but for 'odp_port', while a reader
 * may have it. */

#include "mat-map.h"
#include "mat-table.h"

enum {
    MAT_FLAG_STATE_SHIFT = 1,   /* Two bits: enum mat_state - 1. */
    MAT_FLAG_STATE_MASK = 3 << MAT_FLAG_STATE_SHIFT,
    MAT_FLAG_HOLD = 1 << 3,
    MAT_FLAG_PORT = 1 << 4      /* Index is of a VMN of this host. */
};

enum { MAT_V4, MAT_V6, MAT_N_FAMILIES };

enum {
    MAT_PORT_VMNS_MAX = 16      /* HoAs that a port's own list has room for:
                                 * only for DHCP and router solicitations. */
};

#define MAT_AUX_MAC (((uint64_t) 1 << 48) - 1)
#define MAT_AUX_INDEX_SHIFT 48

/* A VMN of this host: where to deliver, and which sources count as being on
 * its own HoA subnet, hence are shown with their own MAC. */
struct mat_vmn {
    uint32_t odp_port;          /* Atomic; MAT_TABLE_NO_PORT when absent. */
    uint16_t mtu;               /* Atomic; UINT16_MAX: not known. */
    uint16_t port;              /* Writer's: which port. */
    uint32_t mask4;             /* Atomic; network order. */
    uint32_t zone;              /* Writer's. */
    uint64_t mask6[2];          /* Atomic. */
    struct mat_addr hoa;        /* Writer's. */
    struct mat_addr former;     /* MoA for hosts that are behind, or zero. */
};
_Static_assert(sizeof(struct mat_vmn) == 64, "one cache line");

/* A next hop as the data path wants it. */
struct mat_hop {
    uint8_t eth[12];            /* Destination and source MAC. */
    uint16_t fast_mtu;          /* Atomic.  'mtu', or 0 if all packets are for
                                 * the slow path. */
    uint16_t mtu;               /* Atomic.  Of path and uplink; UINT16_MAX if
                                 * it is not limited. */
    uint16_t conf_mtu;          /* Writer's: of the path, or 0. */
    bool is_behind;             /* VMNs that have moved are known there by
                                 * their former MoAs. */
};

/* A HoA of a VMN on a port, for those who know only its MAC. */
struct mat_port_vmn {
    struct mat_mac mac;
    uint16_t index;             /* Of its struct mat_vmn. */
    uint32_t zone;
    struct mat_addr hoa;
};

struct mat_port_view {
    enum mat_port_role role;    /* 0 if nobody gave it one. */
    struct mat_mac mac;
    uint16_t mtu;               /* 0: not known. */
    uint16_t slot;              /* Small number of the port, for counters. */
    uint16_t n_vmns;            /* Of which there may be more. */
    struct mat_port_vmn vmns[MAT_PORT_VMNS_MAX];
};

struct mat_zones {
    size_t n;
    struct mat_zone zones[];    /* Sorted. */
};

struct mat_pools {
    size_t n;
    struct mat_pools_node {
        struct mat_pool pool;
        uint32_t parent;        /* The next shorter one around it, or itself
                                 * if there is none. */
    } nodes[];                  /* Sorted by prefix, shorter ones first. */
};

struct mat_table {
    struct mat_map forward[MAT_N_FAMILIES];
    struct mat_map reverse[MAT_N_FAMILIES];
    struct mat_vmn *vmns;
    struct mat_hop **hops;      /* By id; null if unknown. */
    const struct mat_port_view **ports; /* By odp number; null if unknown. */
    const struct mat_zones *zones;
    const struct mat_pools *pools;
    struct mat_table_writer *writer;
};

static inline enum mat_state
mat_flags_state(uint32_t tag)
{
    return (enum mat_state) (((tag & MAT_FLAG_STATE_MASK)
                              >> MAT_FLAG_STATE_SHIFT) + 1);
}

static inline unsigned int
mat_aux_index(uint64_t aux)
{
    return (unsigned int) (aux >> MAT_AUX_INDEX_SHIFT);
}

static inline const struct mat_vmn *
mat_table_vmn(const struct mat_table *table, uint64_t aux)
{
    return &table->vmns[mat_aux_index(aux)];
}

static inline uint32_t
mat_vmn_odp_port(const struct mat_vmn *vmn)
{
    return __atomic_load_n(&vmn->odp_port, __ATOMIC_RELAXED);
}

static inline uint16_t
mat_vmn_mtu(const struct mat_vmn *vmn)
{
    return __atomic_load_n(&vmn->mtu, __ATOMIC_RELAXED);
}

/* True if HoA 'a' is on the HoA subnet of 'vmn', whose HoA is 'b'; so it is,
 * too, in a zone without subnets, which is one link. */
static inline bool
mat_vmn_on_link4(const struct mat_vmn *vmn, uint32_t a, uint32_t b)
{
    return !((a ^ b) & __atomic_load_n(&vmn->mask4, __ATOMIC_RELAXED));
}

static inline bool
mat_vmn_on_link6(const struct mat_vmn *vmn, const uint64_t a[static 2],
                 const uint64_t b[static 2])
{
    return !(((a[0] ^ b[0])
              & __atomic_load_n(&vmn->mask6[0], __ATOMIC_RELAXED))
             | ((a[1] ^ b[1])
                & __atomic_load_n(&vmn->mask6[1], __ATOMIC_RELAXED)));
}

static inline const struct mat_hop *
mat_table_hop(const struct mat_table *table, unsigned int id)
{
    return __atomic_load_n(&table->hops[id], __ATOMIC_ACQUIRE);
}

static inline uint16_t
mat_hop_fast_mtu(const struct mat_hop *hop)
{
    return __atomic_load_n(&hop->fast_mtu, __ATOMIC_RELAXED);
}

static inline uint16_t
mat_hop_mtu(const struct mat_hop *hop)
{
    return __atomic_load_n(&hop->mtu, __ATOMIC_RELAXED);
}

static inline const struct mat_port_view *
mat_table_port(const struct mat_table *table, uint32_t odp_port)
{
    return (odp_port < MAT_TABLE_ODP_PORTS_MAX
            ? __atomic_load_n(&table->ports[odp_port], __ATOMIC_ACQUIRE)
            : NULL);
}

/* The zone's configuration, or null if it has none. */
const struct mat_zone *mat_table_zone(const struct mat_table *, uint32_t zone);

/* The subnet of 'zone' that 'hoa' is on (the longest), or null. */
const struct mat_subnet *mat_zone_subnet(const struct mat_zone *,
                                         const struct mat_addr *hoa);

/* The longest pool prefix around 'addr', or null. */
const struct mat_pool *mat_table_pool(const struct mat_table *,
                                      const struct mat_addr *addr);

#endif /* mat-table-read.h */
