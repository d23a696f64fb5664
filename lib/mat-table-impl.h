/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_TABLE_IMPL_H
#define MAT_TABLE_IMPL_H 1

/* The writer's side of the table, shared by mat-table.c (mappings),
 * mat-table-config.c (ports, zones), mat-table-hops.c and mat-table-pools.c.
 * For nobody else. */

#include "mat-table-read.h"

enum { PORT_NAME_HASH = 1024 };

/* A port that the datapath has, or that somebody configured or refers to. */
struct port_slot {
    char name[MAT_PORT_NAME_SIZE];      /* "" if the slot is free. */
    uint16_t next;                      /* In its hash chain, +1. */
    bool is_configured;
    enum mat_port_role role;
    struct mat_mac mac;
    uint16_t mtu;
    struct mat_mac device_mac;
    uint16_t device_mtu;
    uint32_t odp_port;
    uint32_t n_vmns;                    /* That refer to it. */
    uint16_t n_listed;
    struct mat_port_vmn listed[MAT_PORT_VMNS_MAX];  /* Some of them. */
    uint16_t unlisted;                  /* First of the others, +1. */
};

/* The place of a VMN among those that their port has not listed: the VMNs
 * after and before it, +1. */
struct vmn_link {
    uint16_t next, prev;
};

/* Memory that readers may still look at. */
struct retired {
    struct retired *next;
    void *p;
    size_t size;
};

struct mat_table_writer {
    struct mat_table_config config;
    size_t other_bytes;
    struct retired *retired;
    size_t retired_bytes;

    uint16_t *free_vmns, *retired_vmns;         /* Stacks. */
    size_t n_free_vmns, n_retired_vmns;
    size_t n_vmns_touched;      /* Those above were never used. */

    struct mat_mac *macs;       /* Of the VMNs. */
    struct vmn_link *links;     /* The same. */

    uint16_t uplink_mtu;        /* Known to the next hops; 0: none yet. */
    uint32_t *hop_refs;
    size_t n_hops;

    struct port_slot *ports;
    uint16_t name_hash[PORT_NAME_HASH];         /* Slot + 1. */
    size_t n_ports;
};

/* Memory of readers: allocate, and free once they are gone. */
void *mat_table_alloc__(struct mat_table *, size_t);
void mat_table_free__(struct mat_table *, void *, size_t);
void mat_table_retire__(struct mat_table *, const void *, size_t);

/* Waits for the readers now if much has been retired: a batch that changes
 * zones or pools over and over retires a copy of all of them each time. */
void mat_table_bound_retired__(struct mat_table *);

bool mat_table_config_init__(struct mat_table *);
void mat_table_config_destroy__(struct mat_table *);
void mat_table_pools_destroy__(struct mat_table *);

/* Ports and VMNs on them.  A VMN's index is good until it is released, and
 * for readers until mat_table_quiesce() after that. */
struct port_slot *mat_table_find_port__(const struct mat_table *,
                                        const char *name);
bool mat_table_port_name_ok__(const char *name);
enum mat_table_error mat_table_vmn_acquire__(struct mat_table *,
                                             const struct mat_entry *,
                                             uint16_t *index);
void mat_table_vmn_release__(struct mat_table *, uint16_t index);

/* The smallest MTU of an uplink; UINT16_MAX if none is known.  Next hops are
 * limited by it, and have to hear of changes. */
uint16_t mat_table_uplink_mtu__(const struct mat_table *);
void mat_table_uplinks_changed__(struct mat_table *);
bool mat_table_mtu_ok__(uint16_t mtu);

/* Next hops in use. */
void mat_table_hop_ref__(struct mat_table *, uint16_t id);
void mat_table_hop_unref__(struct mat_table *, uint16_t id);

#endif /* mat-table-impl.h */
