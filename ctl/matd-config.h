/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_CONFIG_H
#define MATD_CONFIG_H 1

/* What the database of Open vSwitch says about this host: the agent's
 * configuration, the bridge, its uplinks and its ports.
 *
 * Values are parsed by mat-agent-config.h; a wrong one is logged once and
 * kept as a problem until it is mended, and the value before stays in force.
 * While the database cannot be reached, everything stays as it was.
 *
 * matd_config_run() calls the handler for what has changed, and 'changed' at
 * the end if anything has.  Threads: one. */

#include "mat-agent-config.h"
#include "openvswitch/types.h"

struct matd_config;

/* A port of the bridge that may have VMNs. */
struct matd_port {
    char name[MAT_PORT_NAME_SIZE];
    struct mat_agent_port_config config;
    ofp_port_t ofport;          /* OFPP_NONE: the bridge has not taken it. */
    bool link_tells;            /* The link is up when the guest runs. */
    struct mat_mac device;      /* The MAC of the device, not the VMN's. */
};

/* A device of an uplink: the port itself, or a member of a bond. */
struct matd_link {
    char name[MAT_PORT_NAME_SIZE];
    ofp_port_t ofport;
    bool is_up;
};

enum { MATD_LINKS_MAX = 8 };

struct matd_uplink {
    char name[MAT_PORT_NAME_SIZE];
    size_t n_links;
    struct matd_link links[MATD_LINKS_MAX];     /* First: the one to use. */
    bool is_balanced;           /* All links that are up may be used. */
    bool is_up;
    uint16_t mtu;
};

struct matd_bridge {
    char name[MAT_PORT_NAME_SIZE];      /* "": none is configured, or it does
                                         * not exist. */
    struct mat_mac mac;         /* Of its own port. */
    bool is_shared;             /* It switches for others, too: see matd(8). */
    bool is_up;                 /* All uplinks are in the datapath. */
};

struct matd_config_handler {
    void (*port)(void *aux, const struct matd_port *);
    void (*port_removed)(void *aux, const char *name);
    void (*changed)(void *aux);
};

/* 'remote' is the database's, as in ovs-vsctl --db. */
struct matd_config *matd_config_create(const char *remote,
                                       const struct matd_config_handler *,
                                       void *aux);
void matd_config_destroy(struct matd_config *);

void matd_config_run(struct matd_config *);
void matd_config_wait(struct matd_config *);

/* True once the database has been read. */
bool matd_config_is_read(const struct matd_config *);
bool matd_config_is_connected(const struct matd_config *);

/* In force.  Pointers are good until the next run. */
const struct mat_agent_config *matd_config_get(const struct matd_config *);
const struct mat_agent_problems *
matd_config_problems(const struct matd_config *);
const struct matd_bridge *matd_config_bridge(const struct matd_config *);
const struct matd_uplink *matd_config_uplink(const struct matd_config *,
                                             size_t i);
const struct matd_port *matd_config_find_port(const struct matd_config *,
                                              const char *name);

/* Calls 'each' for all ports. */
void matd_config_each_port(const struct matd_config *,
                           void (*each)(void *aux, const struct matd_port *),
                           void *aux);

#endif /* matd-config.h */
