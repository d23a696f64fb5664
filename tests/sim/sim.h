/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_H
#define SIM_H 1

/* Simulator: a whole cluster in one process, in virtual time.
 *
 * Each host is the gossip engine, a model of its switch's table that knows
 * only what the engine has told it, and a model of the agent: ports, pools, a
 * disk.  VMs run on hosts, move, and send packets to each other.  The network
 * between hosts delays, loses, repeats, reorders, damages and partitions.  The
 * world knows the truth (where each VM really runs), hosts do not.
 *
 * Safety is checked after every event (sim-check.c); agreement and
 * reachability when sim_settle() says that all should be quiet.  A violation
 * ends the run through sim_fail(), which prints the trace.
 *
 * Everything follows from the seed. */

#include <stdio.h>

#include "mat-call.h"
#include "mat-engine.h"

enum {
    SIM_HOSTS_MAX = 16384,
    SIM_MOAS = 4096,            /* In the pool of a host. */
    SIM_TRACE_LINES = 400
};

#define SIM_MS INT64_C(1000)
#define SIM_S INT64_C(1000000)

/* Crypto: fakes that the players of the simulation cannot forge. */
struct sim_identity {
    uint64_t number;            /* Its key pair, more or less. */
    struct mat_crypto crypto;
    uint8_t public_key[MAT_PUBLIC_KEY_SIZE];
    void *real;                 /* Of the real crypto, if that is used. */
};

void sim_identity_init(struct sim_identity *, uint64_t number, bool real);
void sim_identity_destroy(struct sim_identity *);

/* Network. */
struct sim_net {
    int64_t delay_us;           /* One way, in a site. */
    int64_t *site_delay_us;     /* n_sites squared, or null. */
    int n_sites;
    int64_t jitter_us;
    uint32_t loss, duplicate, corrupt;  /* Per 10,000. */
    uint64_t n_sent, n_bytes, n_lost;
};

/* What a host's switch has been told about a VM. */
struct sim_entry {
    bool is_live;
    struct mat_version version;
    uint64_t owner;
    struct mat_addr moa;
    uint8_t n_preps;
    struct { uint64_t host; struct mat_addr moa; } preps[8];
};

struct sim_event;

/* A host that needs time for what it does: sim-busy.c. */
struct sim_busy {
    bool is_working;
    int64_t free_at_us;         /* When it may go on. */
    int64_t cpu_ns;             /* Used so far. */
    struct sim_event *waiting;  /* Datagrams in its socket. */
    size_t n, allocated, n_bytes, bytes_max, n_bytes_most;
    uint64_t n_dropped;
};

struct sim_host {
    uint64_t id;
    int index, site;
    bool is_up;                 /* The agent runs. */
    bool is_dead;               /* The whole host is off. */
    bool is_rogue;              /* Claims whatever it is told to. */
    bool all_zones;             /* Keeps the records of all. */
    bool no_tables;             /* Big runs do without the switch model. */
    struct mat_gossip *engine;
    struct mat_recorder *recorder;
    struct sim_busy *busy;      /* Null if it needs no time. */
    struct sim_identity identity;
    struct mat_endpoint endpoint;
    uint8_t cert[MAT_CERT_SIZE_MAX];
    size_t cert_size;
    uint32_t disk_generation;
    int64_t tick_at_us;
    int64_t slow_us;            /* Delay of everything that it does. */
    uint64_t blocked_in, blocked_out;   /* Bits of groups, for partitions. */
    int group;
    struct sim_entry *entries;  /* By VM. */
    int64_t *moa_free_us;       /* When each MoA may be used again. */
    uint64_t n_out, n_out_bytes;
    int n_pushed;
    int64_t last_push_us;
    uint32_t last_push_reached, last_push_failed;
    int n_events[5];            /* By enum mat_vmn_event. */
};

struct sim_vm {
    int index;
    struct mat_key key;
    struct mat_mac mac;
    int host;                   /* Where it runs, or -1. */
    int port_host;              /* Where its port is, or -1. */
    int target;                 /* Host prepared for it, or -1. */
    bool is_doubled;            /* Runs twice: no truth to agree on. */
    struct mat_addr moa;        /* Its MoA where it runs. */
    struct mat_addr target_moa;
    uint64_t *may_claim;        /* Bits of hosts that were told to. */
};

enum sim_event_kind {
    SIM_DATAGRAM,
    SIM_TICK,
    SIM_CALL
};

struct sim;
typedef void sim_callback(struct sim *, uint64_t a, uint64_t b);

struct sim_event {
    int64_t at_us;
    uint64_t order;
    enum sim_event_kind kind;
    int host;
    int64_t tick_at_us;
    struct mat_endpoint from, to;
    uint8_t *data;
    size_t size;
    sim_callback *call;
    uint64_t a, b;
};

/* Called for each claim that a host applies: for benchmarks. */
typedef void sim_apply_hook(struct sim *, int host, const struct mat_claim *);

struct sim {
    uint64_t seed;
    struct mat_rng rng;
    int64_t now_us;
    uint64_t n_events, next_order;
    struct sim_event *events;   /* A heap. */
    size_t n_queued, events_allocated;
    struct sim_net net;
    struct sim_identity cluster;
    struct mat_claim_pool *pool;
    struct mat_gossip_tuning tuning;
    bool real_crypto;
    bool one_zone;              /* Instead of two with the same HoAs. */
    bool no_pools;              /* Hosts do not announce theirs. */
    bool verbose;
    int64_t wall_s;
    struct sim_host *hosts;
    int n_hosts;
    struct sim_vm *vms;
    int n_vms;
    struct mat_index by_address;        /* Endpoint -> host. */
    sim_apply_hook *on_apply;
    void *aux;
    /* The attacker's notebook. */
    struct sim_event *captured;
    size_t n_captured;
    bool is_capturing;
    uint64_t n_delivered, n_redirected, n_held, n_asked;
    char (*trace)[120];
    uint64_t n_trace;
    bool has_failed;
    const char *replay;         /* Command that repeats this run. */
};

/* The world.  Keeps the switches that are set: real_crypto, one_zone,
 * no_pools, verbose, replay. */
void sim_init(struct sim *, uint64_t seed, int n_hosts, int n_vms);
void sim_destroy(struct sim *);
void sim_trace(struct sim *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the process with the trace. */
void sim_fail(struct sim *, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Time. */
void sim_run_until(struct sim *, int64_t at_us);
void sim_run(struct sim *, int64_t for_us);
void sim_at(struct sim *, int64_t after_us, sim_callback *, uint64_t a,
            uint64_t b);
void sim_push_event(struct sim *, struct sim_event *);
void sim_dispatch(struct sim *, struct sim_event *);
uint32_t sim_below(struct sim *, uint32_t n);
bool sim_chance(struct sim *, uint32_t per_10000);

/* Network. */
void sim_net_send(struct sim *, struct sim_host *from,
                  const struct mat_endpoint *to,
                  const uint8_t *data, size_t size);
void sim_block(struct sim_host *, int group, bool in, bool out);
void sim_heal(struct sim *);
struct sim_host *sim_host_at(struct sim *, const struct mat_endpoint *);
void sim_address_changes(struct sim *, struct sim_host *,
                         const struct mat_endpoint *);

/* Hosts. */
void sim_host_certify(struct sim *, struct sim_host *, bool narrow,
                      uint32_t serial);
void sim_host_start(struct sim *, int host);
void sim_host_start_all(struct sim *);
void sim_host_stop(struct sim *, int host, bool keep_disk);   /* Agent. */
void sim_host_die(struct sim *, int host);                    /* All of it. */
void sim_host_move(struct sim *, int host);     /* To another address. */
void sim_host_drain(struct sim *, struct sim_host *);
void sim_host_output(struct sim *, struct sim_host *,
                     const struct mat_output *);
void sim_host_schedule(struct sim *, struct sim_host *);
/* Makes a call to the engine of a host that is up, and drains it. */
enum mat_gossip_result sim_call(struct sim *, struct sim_host *,
                                struct mat_call *);
struct mat_addr sim_take_moa(struct sim *, struct sim_host *);
void sim_release_moa(struct sim *, struct sim_host *,
                     const struct mat_addr *);
int sim_host_of_id(const struct sim *, uint64_t id);

/* Hosts that need time. */
void sim_busy_init(struct sim_host *, size_t socket_bytes_max);
void sim_busy_destroy(struct sim_host *);
void sim_busy_receive(struct sim *, struct sim_host *, struct sim_event *);
void sim_busy_tick(struct sim *, struct sim_host *);

/* VMs.  All of these are told to the agents concerned, if they are up. */
void sim_vm_create(struct sim *, int vm, int host);
void sim_vm_destroy(struct sim *, int vm);
void sim_vm_prepare(struct sim *, int vm, int host);
void sim_vm_stop(struct sim *, int vm, bool hint);
void sim_vm_start(struct sim *, int vm, int host);
void sim_vm_cancel(struct sim *, int vm);
void sim_vm_move(struct sim *, int vm, int host);       /* Plain, at once. */
/* The same, without draining the new host: others may move with it. */
void sim_vm_move_quietly(struct sim *, int vm, int host);
void sim_vm_double(struct sim *, int vm, int host);     /* Also runs there. */
void sim_vm_speak(struct sim *, int vm, int host);      /* The agent hears. */
void sim_vm_access(struct sim *, int vm, int other);    /* They talk. */
void sim_vm_packet(struct sim *, int vm, int other);
struct sim_entry *sim_entry(struct sim *, int host, int vm);
int sim_vm_of_key(const struct sim *, const struct mat_key *);

/* Checks. */
void sim_check_apply(struct sim *, struct sim_host *,
                     const struct mat_output *);
bool sim_is_agreed(struct sim *, char *why, size_t size);
/* Runs until all agree; fails if that takes longer. */
void sim_settle(struct sim *, int64_t at_most_us);

/* Random runs and replays. */
void sim_random_run(uint64_t seed, int n_hosts, bool real_crypto,
                    bool verbose, const char *record_file);
/* What the flight recorder of a host notes beside calls. */
void sim_record_create(struct mat_recorder *,
                       const struct mat_gossip_config *,
                       const struct sim_identity *, int64_t now_us);
void sim_record_output(struct mat_recorder *, const struct mat_output *);
void sim_record_drained(struct mat_recorder *, int64_t now_us);
void sim_record_write(const struct mat_recorder *, const char *file);
int sim_replay(const char *file, bool list);

#endif /* sim.h */
