/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_TABLE_H
#define MAT_TABLE_H 1

/* Everything the switch knows: mappings, ports, zones, pools, next hops.
 *
 * Mappings
 * --------
 *
 * An entry says that the VMN with home address 'hoa' in 'zone' has, or had, or
 * will have, the mobile address 'moa'.  Its identity is (zone, HoA, prefix
 * length, MoA), so that one HoA may have several entries while it moves:
 *
 *   state      (zone,HoA)->MoA   MoA->(zone,HoA)   meaning
 *   ---------  ----------------  ----------------  --------------------------
 *   local      yes               yes               runs here, on 'port'
 *   remote     yes               yes               runs behind 'nexthop'
 *   prepared   no                yes               MoA is good as a source;
 *                                                  with a 'port', it is also
 *                                                  delivered (or held) there
 *   departed   no                yes               late packets to this MoA
 *                                                  go on to the live one
 *
 * A host that hears of no moves (its agent is dead) knows a VMN that has moved
 * by the MoA that it had before.  Its next hop is marked for that, and the
 * local entry of such a VMN has that former MoA: packets to it have that as
 * their source.  They take the slow path.
 *
 * Local and remote are the "live" states, of which a HoA has at most one
 * entry.  Putting a live entry with another MoA demotes the one before in the
 * same step, local to departed and remote to prepared: a move is one write.
 *
 * Readers and the writer
 * ----------------------
 *
 * One thread at a time may call the functions that change the table (the
 * caller has the lock).  Any number of readers look things up meanwhile and
 * never wait.  A reader must be inside a read section of the caller's own
 * making from before it loads the first thing until it has forgotten the last;
 * memory that a change retires is freed in mat_table_quiesce(), after
 * 'config.synchronize' has waited for all read sections that were open.
 *
 * So "change, mat_table_quiesce(), acknowledge" makes the acknowledgement mean
 * that no reader uses the old value any more.
 *
 * Errors: functions that can refuse return a 'enum mat_table_error', with the
 * table unchanged.  Limits: see the enum below; mat_table_memory() tells what
 * is used. */

#include "mat-addr.h"

#define MAT_TABLE_NO_PORT UINT32_MAX    /* odp number of an absent port. */

enum {
    MAT_PORT_NAME_SIZE = 64,        /* With its NUL, as OVSDB names go. */
    MAT_ZONE_MAX = 0xffffff,        /* Zones are 24 bits, like a VNI. */
    MAT_TABLE_ENTRIES_MAX = 4 << 20,    /* 2.2 GB if all were IPv6. */
    MAT_TABLE_VMNS_MAX = 65535,     /* Entries with a port on this host. */
    MAT_TABLE_PORTS_MAX = 4096,     /* VM ports and uplinks of a host. */
    MAT_TABLE_ODP_PORTS_MAX = 65536,    /* Datapath port numbers. */
    MAT_TABLE_NEXTHOPS_MAX = 65535, /* One per peer host suffices. */
    MAT_TABLE_POOLS_MAX = 32768,    /* Some per peer host. */
    MAT_TABLE_ZONES_MAX = 4096, /* Of VMNs of this host. */
    MAT_TABLE_STEPS = 4096,     /* Mappings that one call of a long walk looks
                                 * at: some hundred microseconds. */
    MAT_ZONE_SUBNETS_MAX = 8,       /* HoA subnets of one zone. */
    MAT_MTU_MIN = 576,              /* Less is a mistake. */
    MAT_HOA_PER_VMN_MAX = 64        /* HoAs of one MAC on one port. */
};

enum mat_state {
    MAT_STATE_LOCAL = 1,
    MAT_STATE_REMOTE,
    MAT_STATE_PREPARED,
    MAT_STATE_DEPARTED
};

enum mat_table_error {
    MAT_TABLE_OK,
    MAT_TABLE_BAD_ADDRESS,      /* HoA or MoA is not a host's address. */
    MAT_TABLE_BAD_FAMILY,       /* HoA and MoAs differ in family. */
    MAT_TABLE_BAD_PREFIX,       /* Prefix length wrong or not yet possible. */
    MAT_TABLE_BAD_ZONE,         /* More than 24 bits. */
    MAT_TABLE_BAD_STATE,
    MAT_TABLE_BAD_MAC,          /* Zero, multicast or the gateway's. */
    MAT_TABLE_BAD_PORT,         /* Port missing, empty, too long, or not for
                                 * this state or role. */
    MAT_TABLE_BAD_NEXTHOP,      /* Next hop is not in the table. */
    MAT_TABLE_BAD_MTU,
    MAT_TABLE_MOA_TAKEN,        /* Another HoA has this MoA. */
    MAT_TABLE_NOT_FOUND,
    MAT_TABLE_IN_USE,           /* Entries still refer to it. */
    MAT_TABLE_FULL,             /* A limit of the enum above is reached. */
    MAT_TABLE_NO_MEMORY,
    MAT_TABLE_N_ERRORS
};

struct mat_entry {
    uint32_t zone;
    struct mat_addr hoa;
    struct mat_addr moa;
    uint8_t plen;               /* The family's full length; less is for
                                 * records of whole prefixes, later. */
    enum mat_state state;
    bool hold;                  /* Packets to it wait (with a port only). */
    bool accessed;              /* Out: used since the last harvest. */
    struct mat_mac mac;         /* The VMN's own. */
    uint16_t nexthop;           /* Remote: where its host is. */
    struct mat_addr former;     /* Local: its MoA for hosts behind next hops
                                 * that are 'behind'; zero if it has none. */
    char port[MAT_PORT_NAME_SIZE];  /* Local, or prepared here; else "". */
};

enum mat_port_role {
    MAT_PORT_VM = 1,
    MAT_PORT_UPLINK
};

struct mat_port {
    char name[MAT_PORT_NAME_SIZE];
    enum mat_port_role role;
    struct mat_mac mac;         /* Uplink: what answers ARP for our MoAs; zero
                                 * means the device's own. */
    uint16_t mtu;               /* Largest IP packet; 0: the device's own. */
    uint32_t odp_port;          /* Out: MAT_TABLE_NO_PORT while absent. */
    struct mat_mac used_mac;    /* Out: 'mac', or the device's. */
    uint16_t used_mtu;          /* Out: 'mtu', or the device's. */
};

struct mat_nexthop {
    uint16_t id;
    struct mat_mac src;         /* The uplink's. */
    struct mat_mac dst;         /* The router's or the peer's. */
    uint16_t mtu;               /* Of the path; 0: that of the uplink. */
    bool is_behind;             /* The host does not hear of moves: what comes
                                 * to it has former MoAs. */
};

struct mat_subnet {
    struct mat_addr prefix;
    uint8_t plen;
    struct mat_addr gateway;    /* Zero: this subnet has none. */
};

struct mat_zone {
    uint32_t zone;
    bool outside;               /* May talk to hosts outside all pools... */
    uint16_t outside_nexthop;   /* ...by this next hop. */
    uint8_t n_subnets;
    struct mat_subnet subnets[MAT_ZONE_SUBNETS_MAX];
};

struct mat_pool {
    struct mat_addr prefix;
    uint8_t plen;
    bool own;                   /* MoAs of this very host. */
};

struct mat_table_config {
    uint64_t seed[2];           /* Random: the order in the hash table. */

    /* Zeroed memory, aligned to 64 bytes, and its return. */
    void *(*alloc)(size_t size);
    void (*free)(void *, size_t size);

    /* Waits until every read section open now has ended. */
    void (*synchronize)(void *aux);
    void *aux;
};

struct mat_table;

struct mat_table *mat_table_create(const struct mat_table_config *);
void mat_table_destroy(struct mat_table *);

/* Changes.  A change is visible to readers when the function returns. */
enum mat_table_error mat_table_put(struct mat_table *,
                                   const struct mat_entry *);
enum mat_table_error mat_table_remove(struct mat_table *, uint32_t zone,
                                      const struct mat_addr *hoa, uint8_t plen,
                                      const struct mat_addr *moa);
enum mat_table_error mat_table_set_hold(struct mat_table *, uint32_t zone,
                                        const struct mat_addr *hoa,
                                        const struct mat_addr *moa, bool hold);

/* Removes entries, MAT_TABLE_STEPS at the most; true if there are more. */
bool mat_table_flush(struct mat_table *);

enum mat_table_error mat_table_put_port(struct mat_table *,
                                        const struct mat_port *);
enum mat_table_error mat_table_remove_port(struct mat_table *,
                                           const char *name);
enum mat_table_error mat_table_put_nexthop(struct mat_table *,
                                           const struct mat_nexthop *);
enum mat_table_error mat_table_remove_nexthop(struct mat_table *, uint16_t id);
enum mat_table_error mat_table_put_zone(struct mat_table *,
                                        const struct mat_zone *);
enum mat_table_error mat_table_remove_zone(struct mat_table *, uint32_t zone);
enum mat_table_error mat_table_put_pool(struct mat_table *,
                                        const struct mat_pool *);
enum mat_table_error mat_table_remove_pool(struct mat_table *,
                                           const struct mat_addr *prefix,
                                           uint8_t plen);

/* The datapath has, or is about to lose, a port.  Ports that nobody asked for
 * are remembered by name too, since they may be asked for later. */
void mat_table_port_attached(struct mat_table *, const char *name,
                             uint32_t odp_port, const struct mat_mac *,
                             uint16_t mtu);
void mat_table_port_detached(struct mat_table *, const char *name,
                             uint32_t odp_port);

/* Waits for the readers of whatever the changes since the last call retired,
 * and frees it. */
void mat_table_quiesce(struct mat_table *);

/* Would 'entry' be accepted now?  Changes nothing. */
enum mat_table_error mat_table_check(const struct mat_table *,
                                     const struct mat_entry *);
const char *mat_table_strerror(enum mat_table_error);

/* Questions of the control side; same lock as changes. */
bool mat_table_get_live(const struct mat_table *, uint32_t zone,
                        const struct mat_addr *hoa, struct mat_entry *);
bool mat_table_get_by_moa(const struct mat_table *,
                          const struct mat_addr *moa, struct mat_entry *);

/* Walks.  Set '*cursor' to 0 to begin; each call fills one entry and returns
 * true until the end.  Changes between calls may make a walk miss or repeat
 * what they changed, nothing else. */
bool mat_table_next(const struct mat_table *, uint64_t *cursor,
                    struct mat_entry *);
bool mat_table_next_port(const struct mat_table *, uint64_t *cursor,
                         struct mat_port *);
bool mat_table_next_nexthop(const struct mat_table *, uint64_t *cursor,
                            struct mat_nexthop *);
bool mat_table_next_zone(const struct mat_table *, uint64_t *cursor,
                         struct mat_zone *);
bool mat_table_next_pool(const struct mat_table *, uint64_t *cursor,
                         struct mat_pool *);

/* Like mat_table_next(), only entries that were accessed, and clears their
 * marks.  After MAT_TABLE_STEPS mappings that were not it returns true with
 * 'entry->accessed' false and nothing else in it, so that the caller can give
 * way to others before it goes on. */
bool mat_table_harvest(struct mat_table *, uint64_t *cursor,
                       struct mat_entry *);

struct mat_table_memory {
    size_t n_entries[2];        /* [0] IPv4, [1] IPv6. */
    size_t map_bytes[2];        /* Hash tables. */
    size_t other_bytes;         /* VMNs, ports, next hops, zones, pools. */
    size_t retired_bytes;       /* Waiting for mat_table_quiesce(). */
    size_t n_vmns, n_ports, n_nexthops, n_zones, n_pools;
};

void mat_table_memory(const struct mat_table *, struct mat_table_memory *);

#endif /* mat-table.h */
