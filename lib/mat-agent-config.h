/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_AGENT_CONFIG_H
#define MAT_AGENT_CONFIG_H 1

/* The agent's configuration: which keys there are and what values mean.
 *
 * An operator sets "mat-..." keys in external_ids of the Open_vSwitch row, and
 * "mat...", "attached-mac" and "iface-id" in those of an Interface; matd(8)
 * has the table for people.  Here the texts become values.
 *
 * A wrong value never stops anything: what was in force before stays, for that
 * key alone, and a sentence says which key is wrong, how it should look and
 * what is in force instead.
 *
 * Threads, ownership: none; everything works on the caller's memory. */

#include "mat-host.h"
#include "mat-moa.h"
#include "mat-table.h"

enum {
    MAT_AGENT_UPLINKS_MAX = 4,
    MAT_AGENT_SEEDS_MAX = 16,       /* MAT_GOSSIP_SEEDS_MAX. */
    MAT_AGENT_ZONES_MAX = 64,       /* Zones with a key of their own. */
    MAT_AGENT_UDP_PORT = 19777,
    MAT_AGENT_PATH_SIZE = 108,      /* As in struct sockaddr_un. */
    MAT_AGENT_ID_SIZE = 64,
    MAT_AGENT_PROBLEMS_MAX = 32,
    MAT_AGENT_PROBLEM_SIZE = 320
};

enum mat_agent_mode {
    MAT_AGENT_ACTIVE,
    MAT_AGENT_SHADOW,           /* All but the flows: no packet is touched. */
    MAT_AGENT_OFF               /* As if no bridge were named. */
};

struct mat_agent_uplinks {
    size_t n;
    char name[MAT_AGENT_UPLINKS_MAX][MAT_PORT_NAME_SIZE];
};

struct mat_agent_seeds {
    size_t n;
    struct mat_endpoint item[MAT_AGENT_SEEDS_MAX];
};

struct mat_agent_zone {
    struct mat_zone zone;       /* Subnets; 'outside' is decided. */
    bool has_outside;           /* Else it is the common mat-outside. */
};

struct mat_agent_config {
    char bridge[MAT_PORT_NAME_SIZE];        /* "": not configured. */
    struct mat_agent_uplinks uplinks;
    struct mat_moa_items pools[2];          /* [0] IPv4, [1] IPv6. */
    struct mat_agent_seeds seeds;
    struct mat_endpoint bind;               /* Zero address: the uplink's. */
    struct mat_endpoint metrics;            /* Port 0: none. */
    enum mat_agent_mode mode;
    bool all_ports;             /* mat-ports=all; else opt-in. */
    bool outside;
    bool learn;                 /* mat-learn=arp; else configured HoAs only. */
    bool home;
    uint32_t zone;              /* Of ports without mat-zone. */
    uint32_t hoas_max, macs_max;            /* Of one port. */
    uint32_t age_s;             /* 0: never. */
    uint32_t quarantine_s;
    uint32_t stock;             /* Probed MoAs ready, per family. */
    uint32_t parked_s;
    uint32_t failback_s;        /* A better uplink is up for so long before VMs
                                 * go back to it; 0: never. */
    size_t n_zones;
    struct mat_agent_zone zones[MAT_AGENT_ZONES_MAX];   /* Ascending. */
};

/* One "key=value" of a row. */
struct mat_agent_pair {
    const char *key, *value;
};

struct mat_agent_problems {
    size_t n;
    char text[MAT_AGENT_PROBLEMS_MAX][MAT_AGENT_PROBLEM_SIZE];
};

void mat_agent_config_default(struct mat_agent_config *);

/* Fills '*config' from 'pairs', of which those that do not begin with "mat-"
 * are not ours.  For a key with a wrong value '*last', which was in force,
 * has the value.  Problems are added to '*problems', to be named once. */
void mat_agent_config_build(struct mat_agent_config *config,
                            const struct mat_agent_config *last,
                            const struct mat_agent_pair *pairs, size_t n,
                            struct mat_agent_problems *problems);

/* The name of key 'i', from 0, and the form of its values; null at the end. */
const char *mat_agent_config_key(size_t i, const char **form);

/* What the configuration says for 'zone'. */
void mat_agent_config_zone(const struct mat_agent_config *, uint32_t zone,
                           struct mat_zone *);

/* A port of the bridge, other than uplinks and the bridge's own. */
struct mat_agent_port_config {
    bool enabled;               /* By mat-ports and the port's own keys. */
    uint32_t zone;
    bool has_mac;
    struct mat_mac mac;         /* attached-mac. */
    size_t n_hoas;
    struct mat_addr hoas[MAT_HOA_PER_VMN_MAX];      /* mat-hoa. */
    char iface_id[MAT_AGENT_ID_SIZE];       /* Or "". */
    char qmp[MAT_AGENT_PATH_SIZE];          /* mat-qmp, or "". */
};

/* Like mat_agent_config_build() for the port 'name'; '*last' is what was in
 * force for it, or null. */
void mat_agent_port_config_build(struct mat_agent_port_config *,
                                 const struct mat_agent_port_config *last,
                                 const struct mat_agent_config *,
                                 const char *name,
                                 const struct mat_agent_pair *pairs, size_t n,
                                 struct mat_agent_problems *);

/* Text of one endpoint: ADDR, ADDR:PORT, [V6] or [V6]:PORT. */
bool mat_agent_endpoint_parse(const char *, struct mat_endpoint *);

#endif /* mat-agent-config.h */
