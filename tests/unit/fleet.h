/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLEET_H
#define FLEET_H 1

/* Some hosts in one process and in virtual time, as tests of the agent need
 * them: each has the agent, a real gossip engine (with fake crypto) and a real
 * table of the switch, fed by the agent's operations.  What a guest says
 * becomes an event as the switch would make it.
 *
 * Host i, from 0: id i + 1, underlay 172.16.<i + 1>.1/24 and
 * 2001:db8:f:<i + 1>::1/64, MoAs 172.16.<i + 1>.64/26 and
 * 2001:db8:f:<i + 1>::1:0/112.  A datagram takes FLEET_DELAY_US, the switch
 * FLEET_SWITCH_US. */

#include "mat-agent.h"
#include "sim.h"

enum { FLEET_HOSTS_MAX = 4, FLEET_DELAY_US = 200, FLEET_SWITCH_US = 50,
       FLEET_LOG_MAX = 512, FLEET_ZONE = 7 };

struct fleet_wire {
    int64_t at_us;
    int to;
    struct mat_endpoint from;
    uint8_t *data;
    size_t size;
};

struct fleet_host {
    int index;
    bool is_up;                 /* The agent runs. */
    bool is_cut;                /* No datagrams come or go. */
    struct sim_identity identity;
    struct mat_endpoint endpoint;
    uint8_t cert[MAT_CERT_SIZE_MAX];
    size_t cert_size;
    uint32_t generation;
    struct mat_agent *agent;
    struct mat_gossip *gossip;
    struct mat_table *table;
    struct mat_apply *apply;
    uint64_t instance;
    uint64_t sequence;          /* Last operation done, */
    int64_t acked_at_us;        /* ...and when it is acknowledged; or 0. */
    unsigned int n_refused, n_ops, n_frames, n_routes;
    struct mat_agent_saved disk[64];
    size_t n_disk;
    uint32_t next_odp;
    char log[FLEET_LOG_MAX][MAT_AGENT_TEXT_SIZE];
    size_t n_log;
};

struct fleet {
    int64_t now_us;
    struct sim_identity cluster;
    struct mat_agent_config config;
    struct fleet_host hosts[FLEET_HOSTS_MAX];
    int n_hosts;
    bool no_routes;
    struct fleet_wire *wires;
    size_t n_wires, wires_allocated;
};

/* Starts: all hosts up and quiet. */
void fleet_init(struct fleet *, int n_hosts);
void fleet_destroy(struct fleet *);
void fleet_run(struct fleet *, int64_t for_us);
/* Lets a host say what it has to say now. */
void fleet_drain(struct fleet *, struct fleet_host *);
/* The configuration that 'host' has at first. */
void fleet_config(struct fleet *, int host, struct mat_agent_config *);
void fleet_start_agent(struct fleet *, int host);
void fleet_stop_agent(struct fleet *, int host);
/* vswitchd starts anew, with an empty table and the same ports. */
void fleet_restart_switch(struct fleet *, int host);

/* Ports.  'mac' as a number, 0: not configured; 'hoa' null: learned. */
struct mat_mac fleet_mac(unsigned int mac);
void fleet_plug(struct fleet *, int host, const char *port, unsigned int mac,
                const char *hoa);
void fleet_unplug(struct fleet *, int host, const char *port);
void fleet_port_event(struct fleet *, int host, const char *port,
                      enum mat_event_type type);

/* A guest says something; 'hoa' null for RARP. */
void fleet_say(struct fleet *, int host, const char *port,
               enum mat_event_type type, unsigned int mac, const char *hoa);
void fleet_hint(struct fleet *, int host, enum mat_agent_hint_kind kind,
                unsigned int mac);

/* A guest comes up: its port, and a gratuitous ARP; runs a second. */
void fleet_boot(struct fleet *, int host, const char *port, unsigned int mac,
                const char *hoa);

/* What the switch of 'host' has. */
bool fleet_live(struct fleet *, int host, const char *hoa,
                struct mat_entry *);
bool fleet_by_moa(struct fleet *, int host, const struct mat_addr *moa,
                  struct mat_entry *);
enum mat_life fleet_state(struct fleet *, int host, const char *hoa);
struct mat_addr fleet_moa(struct fleet *, int host, const char *hoa);

/* Checks: local on 'owner' with 'port', remote to it everywhere else. */
void fleet_expect_at(struct fleet *, int owner, const char *port,
                     const char *hoa);
void fleet_expect_logged(struct fleet *, int host, const char *text);
struct mat_agent_migration fleet_migration(struct fleet *, int host,
                                           size_t n);
/* No switch has refused anything; mirror and table are equal. */
void fleet_expect_consistent(struct fleet *);

#endif /* fleet.h */
