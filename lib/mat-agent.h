/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_AGENT_H
#define MAT_AGENT_H 1

/* The agent of a host: learns which VMNs are here, moves them, and keeps the
 * switch's table as the gossip engine and this host say.
 *
 * A pure state machine, like the gossip engine that it stands on.  The caller
 * has the sockets, clock and files; it feeds inputs stamped with 'now_us'
 * (CLOCK_MONOTONIC, as in struct mat_event) and drains outputs.  After each
 * turn of its main loop:
 *
 *     do {
 *         while (mat_agent_next(agent, &a)) {
 *             ...switch operations drained together go in one batch...
 *         }
 *         while (mat_gossip_next(gossip, &g)) {
 *             ...send MAT_OUT_SEND, keep MAT_OUT_GENERATION...
 *             mat_agent_gossip(agent, now_us, &g);    all others
 *         }
 *     } while (anything came);
 *     sleep until mat_agent_deadline_us() and mat_gossip_deadline_us()
 *
 * in this order, so that this host's own switch hears of a move first.  The
 * agent itself calls mat_gossip_prepare(), _claim() and so on; nobody else
 * does.  The caller calls mat_gossip_receive(), _tick() and so on.
 *
 * Starting
 * --------
 *
 *     agent = mat_agent_create(seed, &config, now_us);
 *     mat_agent_restore()               for each VMN that was on disk
 *     mat_agent_set_gossip()            if there are keys
 *     mat_agent_uplink(), mat_agent_port()      what the database has
 *     mat_agent_ready()                 that was all of it
 *     mat_agent_switch_connected()      when the switch answers, any time
 *
 * Until it is ready, and for a while after, what the switch has is adopted
 * and nothing of it removed: a restart of the agent stops no packet.
 *
 * What it does
 * ------------
 *
 *  - A VMN is a MAC in a zone with its home addresses; they move together.
 *    Where it is said to be is decided by mat-learn.h (who may speak on a
 *    port), mat-life.h (what then) and the gossip engine (which of two hosts).
 *  - For each home address it knows which entries the switch should have, and
 *    emits what differs.  So whatever happens, table and knowledge meet again.
 *  - Next hops: one number for each prefix of a peer's MoAs, changed in place
 *    when the route changes.
 *
 * Bounded: the work of one input depends on the addresses of one VMN, never
 * on how many there are; except mat_agent_configure() when the mode changes,
 * mat_agent_set_gossip(), the end of a dump, an uplink that fails (its own
 * VMNs) and the first answer for a route (the mappings that wait for it).
 *
 * Threads: none; one caller at a time. */

#include "mat-agent-config.h"
#include "mat-event.h"
#include "mat-gossip.h"
#include "mat-life.h"
#include "mat-moa.h"
#include "mat-update.h"

struct mat_agent;
struct mat_recorder;

enum {
    MAT_AGENT_MIGRATIONS_MAX = 256,     /* The last ones are kept. */
    MAT_AGENT_ROUTES_MAX = 32768,       /* Next hops in the switch. */
    MAT_AGENT_HOMES_MAX = 4 << 20,      /* Home addresses known. */
    MAT_AGENT_TEXT_SIZE = 400
};

/* 'seed' is random and secret: hash tables are keyed by it. */
struct mat_agent *mat_agent_create(uint64_t seed,
                                   const struct mat_agent_config *,
                                   int64_t now_us);
void mat_agent_destroy(struct mat_agent *);

/* Inputs: configuration.  mat_agent_configure() may come at any time. */
void mat_agent_configure(struct mat_agent *, int64_t now_us,
                         const struct mat_agent_config *);
void mat_agent_ready(struct mat_agent *, int64_t now_us);

/* Inputs: ports of the bridge that may have VMNs; a port that is given again
 * is changed.  'mtu' 0 is the device's own.  'link_tells' is true of ports
 * whose link comes up when the guest runs, and only then: vhost-user.  A port
 * that is not enabled is as one that is not there. */
void mat_agent_port(struct mat_agent *, int64_t now_us, const char *name,
                    const struct mat_agent_port_config *, uint16_t mtu,
                    bool link_tells);
void mat_agent_port_removed(struct mat_agent *, int64_t now_us,
                            const char *name);

/* Inputs: uplinks, with their addresses, subnets and routers. */
void mat_agent_uplink(struct mat_agent *, int64_t now_us,
                      const struct mat_moa_uplink *, uint16_t mtu);
void mat_agent_uplink_removed(struct mat_agent *, int64_t now_us,
                              const char *name);
/* VMNs send by this one now: those with MoAs of others get MoAs of it. */
void mat_agent_use_uplink(struct mat_agent *, int64_t now_us,
                          const char *name);

/* Inputs: the gossip engine.  'gossip' null: this host is alone.  'recorder'
 * may be null.  Both are the caller's and must stay until replaced. */
void mat_agent_set_gossip(struct mat_agent *, int64_t now_us,
                          struct mat_gossip *gossip,
                          struct mat_recorder *recorder, uint64_t host);
/* There are keys, so that an engine will come in some seconds: until then no
 * address that nobody here knows is taken. */
void mat_agent_await_gossip(struct mat_agent *, int64_t now_us);
void mat_agent_gossip(struct mat_agent *, int64_t now_us,
                      const struct mat_output *);

/* Inputs: the switch.  connected: answers, by 'instance' of its hello; lost:
 * does not any more.  dump_item, dump_end: the answer to MAT_AGENT_DUMP.
 * acked: all operations up to 'sequence' are done, or were refused; refused:
 * this one was (a batch with a refused operation is to be sent again without
 * it).  accessed: an item of the dump "harvest" comes by dump_item. */
void mat_agent_switch_connected(struct mat_agent *, int64_t now_us,
                                uint64_t instance);
void mat_agent_switch_lost(struct mat_agent *, int64_t now_us);
void mat_agent_dump_item(struct mat_agent *, int64_t now_us,
                         enum mat_update_dump, const struct mat_op *);
void mat_agent_dump_end(struct mat_agent *, int64_t now_us,
                        enum mat_update_dump);
void mat_agent_acked(struct mat_agent *, int64_t now_us, uint64_t sequence);
void mat_agent_refused(struct mat_agent *, int64_t now_us, uint64_t sequence,
                       const struct mat_op *, unsigned int reason);
void mat_agent_event(struct mat_agent *, int64_t now_us,
                     const struct mat_event *);
void mat_agent_events_lost(struct mat_agent *, int64_t now_us, uint64_t n);

/* Inputs: routes, as answers to MAT_AGENT_WANT_ROUTE; again when they
 * change.  'route' null: there is none (what was known stays in use). */
struct mat_agent_route {
    struct mat_mac src, dst;    /* The uplink's; the router's or the peer's. */
    uint16_t mtu;               /* Of the path; 0: not known. */
};

void mat_agent_route(struct mat_agent *, int64_t now_us, uint16_t id,
                     const struct mat_agent_route *route);

/* Inputs: hints of QEMU, libvirt, an orchestrator or an operator.  By home
 * address and zone, or MAC (and zone, unless 'any_zone'), or iface-id. */
enum mat_agent_hint_kind {
    MAT_HINT_PREPARE,           /* It may soon run here. */
    MAT_HINT_HOLD,              /* It is about to stop here, within one: its
                                 * packets wait, for 2 s at the most. */
    MAT_HINT_STOPPED,           /* It stopped here, within a migration. */
    MAT_HINT_STARTED,           /* It runs here. */
    MAT_HINT_FAILED,            /* The migration failed: it goes on here if it
                                 * was here, and does not come if not. */
    MAT_HINT_DONE,              /* It has left for good. */
    MAT_HINT_PARK,              /* It is saved. */
    MAT_HINT_RELEASE            /* It is destroyed. */
};
enum { MAT_N_HINTS = MAT_HINT_RELEASE + 1 };

struct mat_agent_hint {
    enum mat_agent_hint_kind kind;
    uint32_t zone;
    bool any_zone, has_hoa, has_mac;
    struct mat_addr hoa;
    struct mat_mac mac;
    char iface_id[MAT_AGENT_ID_SIZE];   /* Or "". */
    char port[MAT_PORT_NAME_SIZE];      /* Or "". */
};

#define MAT_HINT_AWAITED INT32_MAX

/* The number of home addresses that were concerned, or -1 for a hint that
 * names nothing.  MAT_HINT_AWAITED: the zone is not on this host, so its
 * records are asked for, and the VM is prepared if they tell of it (without
 * 'any_zone', or in the zone of ports without mat-zone). */
int mat_agent_hint(struct mat_agent *, int64_t now_us,
                   const struct mat_agent_hint *);
const char *mat_agent_hint_name(enum mat_agent_hint_kind);

/* Lets a home address be claimed again that is frozen or in conflict. */
bool mat_agent_unfreeze(struct mat_agent *, int64_t now_us, uint32_t zone,
                        const struct mat_addr *hoa);
/* Makes no claims for it, until unfreeze. */
bool mat_agent_freeze(struct mat_agent *, int64_t now_us, uint32_t zone,
                      const struct mat_addr *hoa);

/* Inputs: time. */
void mat_agent_tick(struct mat_agent *, int64_t now_us);
int64_t mat_agent_deadline_us(const struct mat_agent *);

/* What is kept on disk: one for each home address with a MoA of this host,
 * and one in state ABSENT for each MoA that rests after its use. */
struct mat_agent_saved {
    uint32_t zone;
    struct mat_addr hoa, moa;
    uint8_t plen;
    struct mat_mac mac;
    enum mat_life state;
    char port[MAT_PORT_NAME_SIZE];
};

bool mat_agent_next_saved(const struct mat_agent *, size_t *cursor,
                          struct mat_agent_saved *);
/* Before mat_agent_ready(). */
void mat_agent_restore(struct mat_agent *, int64_t now_us,
                       const struct mat_agent_saved *);

/* Outputs. */
enum mat_agent_output_kind {
    MAT_AGENT_SWITCH,           /* Do 'op'; it is number 'sequence'. */
    MAT_AGENT_DUMP,             /* Dump 'dump' of the switch, after the
                                 * operations before. */
    MAT_AGENT_WANT_ROUTE,       /* Watch the way to 'addr' for next hop
                                 * 'route_id', until DROP_ROUTE.  Given again
                                 * with another address: replace. */
    MAT_AGENT_DROP_ROUTE,
    MAT_AGENT_LOG,              /* 'level', 'text'. */
    MAT_AGENT_STATE             /* What is to be kept on disk has changed. */
};

enum mat_agent_level {
    MAT_AGENT_DEBUG,
    MAT_AGENT_INFO,
    MAT_AGENT_WARN,             /* Somebody should look at it. */
    MAT_AGENT_ALARM             /* Something does not work for a VMN. */
};

/* Pointers, also in 'op', are good until the next call of mat_agent_next(). */
struct mat_agent_output {
    enum mat_agent_output_kind kind;
    uint64_t sequence;
    struct mat_op op;
    enum mat_update_dump dump;
    uint16_t route_id;
    struct mat_addr addr;       /* A MoA of the peer that is in use, or the
                                 * first address of its prefix. */
    struct mat_addr prefix;     /* All this is reached the same way... */
    uint8_t plen;
    struct mat_endpoint via;    /* ...as the peer's own address, if 'addr' is
                                 * on link and does not answer; zero if not
                                 * known. */
    enum mat_agent_level level;
    const char *text;
};

bool mat_agent_next(struct mat_agent *, struct mat_agent_output *);

/* Questions.  All walks: '*cursor' starts at 0; false at the end; inputs
 * between calls may make a walk miss or repeat something. */
struct mat_agent_vmn {
    uint32_t zone;
    struct mat_addr hoa, moa;   /* 'moa': the live one; zero if there is
                                 * none. */
    struct mat_addr own_moa;    /* This host's, also while it is not live. */
    uint8_t plen;
    struct mat_mac mac;
    enum mat_life state;        /* On this host. */
    uint64_t host;              /* Where it is live; 0: nowhere, or alone. */
    bool is_here;
    bool is_home;               /* MoA = HoA. */
    bool is_configured;         /* By mat-hoa of its port. */
    bool is_frozen, is_in_conflict;
    bool is_reachable;          /* Its host is. */
    bool is_waiting_for_route;
    char port[MAT_PORT_NAME_SIZE];
    int64_t since_us;           /* Of 'state'. */
    uint64_t migration;         /* The last one, or 0. */
    uint32_t n_prepared;        /* Other hosts that have prepared. */
    uint64_t prepared_host;     /* One of them. */
};

/* All home addresses, or those that have or had to do with this host. */
bool mat_agent_next_vmn(const struct mat_agent *, size_t *cursor,
                        bool here_only, struct mat_agent_vmn *);
/* By home or mobile address; a MoA is found in any zone. */
bool mat_agent_lookup(const struct mat_agent *, uint32_t zone,
                      const struct mat_addr *, struct mat_agent_vmn *);

/* What the switch should have. */
bool mat_agent_next_entry(const struct mat_agent *, size_t *cursor,
                          struct mat_entry *);

struct mat_agent_port_view {
    char name[MAT_PORT_NAME_SIZE];
    char iface_id[MAT_AGENT_ID_SIZE];
    uint32_t zone;
    uint32_t odp_port;          /* MAT_TABLE_NO_PORT: not in the datapath. */
    bool is_enabled, is_uplink, is_live;
    uint16_t mtu;
    uint32_t n_macs, n_hoas;
    uint64_t n_violations;
};

bool mat_agent_next_port(const struct mat_agent *, size_t *cursor,
                         struct mat_agent_port_view *);

struct mat_agent_pool_view {
    struct mat_addr prefix;
    uint8_t plen;
    bool is_own;
    uint64_t host;
    uint16_t route_id;          /* 0: own. */
    bool has_route;
    struct mat_agent_route route;
};

bool mat_agent_next_pool(const struct mat_agent *, size_t *cursor,
                         struct mat_agent_pool_view *);
const struct mat_moa *mat_agent_moa(const struct mat_agent *);

/* Migrations, newest first from '*cursor' 0.  Times are 0 if the phase was
 * not reached. */
enum mat_migration_phase {
    MAT_MIGRATION_SEEN,         /* The first sign of it. */
    MAT_MIGRATION_PREPARED,     /* MoA taken, peers told. */
    MAT_MIGRATION_STOPPED,      /* The VM stopped (at the source). */
    MAT_MIGRATION_CLAIMED,      /* It runs here; or, at the source, there. */
    MAT_MIGRATION_TABLE,        /* The own switch has done it. */
    MAT_MIGRATION_PUSHED,       /* All correspondents have acknowledged. */
    MAT_MIGRATION_ENDED,
    MAT_N_MIGRATION_PHASES
};

enum mat_migration_outcome {
    MAT_MIGRATION_RUNNING,
    MAT_MIGRATION_DONE,
    MAT_MIGRATION_FAILED,       /* It did not come, or did not go. */
    MAT_MIGRATION_LOST          /* Another host has the better claim. */
};

enum mat_migration_kind {
    MAT_MIGRATION_APPEARED,     /* Nobody had it before. */
    MAT_MIGRATION_IN,
    MAT_MIGRATION_OUT,
    MAT_MIGRATION_LOCAL,        /* From port to port of this host. */
    MAT_MIGRATION_RENUMBERED    /* Another MoA on this host. */
};

struct mat_agent_migration {
    uint64_t id;                /* From 1, on this host. */
    enum mat_migration_kind kind;
    enum mat_migration_outcome outcome;
    const char *trigger;        /* "rarp", "garp", "hint", "port", ... */
    uint32_t zone;
    struct mat_addr hoa;        /* One of them. */
    uint32_t n_hoas;
    struct mat_mac mac;
    uint64_t from, to;          /* Hosts; 0: not known. */
    int64_t at_us[MAT_N_MIGRATION_PHASES];
    uint32_t n_reached, n_failed;       /* PUSHED: hosts. */
    uint64_t n_redirected;      /* Late packets that were noticed. */
};

bool mat_agent_next_migration(const struct mat_agent *, size_t *cursor,
                              struct mat_agent_migration *);
const char *mat_migration_phase_name(enum mat_migration_phase);
const char *mat_migration_outcome_name(enum mat_migration_outcome);
const char *mat_migration_kind_name(enum mat_migration_kind);

/* MAT_AGENT_COUNTER(ENUM, "name", "meaning") */
#define MAT_AGENT_COUNTERS                                                  \
    MAT_AGENT_COUNTER(APPEARED, "appeared", "VMNs that nobody had before")  \
    MAT_AGENT_COUNTER(MOVES_IN, "moves-in", "VMNs that came here")          \
    MAT_AGENT_COUNTER(MOVES_OUT, "moves-out", "VMNs that left")             \
    MAT_AGENT_COUNTER(MOVES_LOCAL, "moves-local",                           \
                      "VMNs that changed port on this host")                \
    MAT_AGENT_COUNTER(MOVES_FAILED, "moves-failed",                         \
                      "preparations and departures that came to nothing")   \
    MAT_AGENT_COUNTER(ROLLED_BACK, "rolled-back",                           \
                      "VMNs that stopped and went on here")                 \
    MAT_AGENT_COUNTER(RENUMBERED, "renumbered", "VMNs given another MoA")   \
    MAT_AGENT_COUNTER(PREPARED, "prepared", "preparations")                 \
    MAT_AGENT_COUNTER(HELD, "held", "VMNs held before their stop")          \
    MAT_AGENT_COUNTER(PARKED, "parked", "VMNs parked")                      \
    MAT_AGENT_COUNTER(RELEASED, "released", "VMNs given up")                \
    MAT_AGENT_COUNTER(LOST, "lost", "VMNs that another host took")          \
    MAT_AGENT_COUNTER(CONFLICTS, "conflicts",                               \
                      "VMNs here that another host insists on")             \
    MAT_AGENT_COUNTER(FROZEN, "frozen", "HoAs frozen")                      \
    MAT_AGENT_COUNTER(VIOLATIONS, "violations",                             \
                      "frames of a MAC or HoA that the port may not use")   \
    MAT_AGENT_COUNTER(REFUSED_CLAIMS, "refused-claims",                     \
                      "claims that the gossip engine refused")              \
    MAT_AGENT_COUNTER(NO_MOA, "no-moa", "VMNs for which there was no MoA")  \
    MAT_AGENT_COUNTER(MOA_CLASHES, "moa-clashes",                           \
                      "claims of a MoA that another VMN has")               \
    MAT_AGENT_COUNTER(EVENTS, "events", "events of the switch")             \
    MAT_AGENT_COUNTER(EVENTS_STALE, "events-stale",                         \
                      "events older than what they would change")           \
    MAT_AGENT_COUNTER(EVENTS_LOST, "events-lost", "events overwritten")     \
    MAT_AGENT_COUNTER(EVENTS_PORTLESS, "events-portless",                   \
                      "events of a port that is not known")                 \
    MAT_AGENT_COUNTER(REDIRECTED, "redirected",                             \
                      "events of late packets sent on")                     \
    MAT_AGENT_COUNTER(NOTICES, "notices", "late senders told")              \
    MAT_AGENT_COUNTER(ASKED, "asked", "mappings asked for")                 \
    MAT_AGENT_COUNTER(OPS, "ops", "operations for the switch")              \
    MAT_AGENT_COUNTER(OPS_SHADOW, "ops-shadow",                             \
                      "operations not sent in shadow mode")                 \
    MAT_AGENT_COUNTER(OPS_REFUSED, "ops-refused",                           \
                      "operations that the switch refused")                 \
    MAT_AGENT_COUNTER(RESYNCS, "resyncs",                                   \
                      "comparisons of the whole table")                     \
    MAT_AGENT_COUNTER(REPAIRS, "repairs",                                   \
                      "operations that a comparison found necessary")       \
    MAT_AGENT_COUNTER(STEPS, "steps",                                       \
                      "home addresses looked at, to show that work is "     \
                      "bounded")                                            \
    MAT_AGENT_COUNTER(LIMITS, "limits", "things refused by a limit")

enum mat_agent_counter {
#define MAT_AGENT_COUNTER(ENUM, NAME, TEXT) MAT_AGENT_C_##ENUM,
    MAT_AGENT_COUNTERS
#undef MAT_AGENT_COUNTER
    MAT_AGENT_N_COUNTERS
};

uint64_t mat_agent_counter(const struct mat_agent *, enum mat_agent_counter);
const char *mat_agent_counter_name(enum mat_agent_counter);
const char *mat_agent_counter_text(enum mat_agent_counter);

/* What is wrong now, as sentences that say what to do. */
bool mat_agent_next_problem(const struct mat_agent *, size_t *cursor,
                            char text[static MAT_AGENT_TEXT_SIZE]);

struct mat_agent_summary {
    enum mat_agent_mode mode;
    bool is_ready, is_connected, is_in_sync, has_gossip;
    uint64_t host;
    size_t n_homes, n_ports, n_entries, n_routes, n_pools;
    size_t n_by_life[MAT_N_LIVES];      /* Those of this host. */
    uint64_t sequence, acked;           /* Of switch operations. */
};

void mat_agent_summarize(const struct mat_agent *,
                         struct mat_agent_summary *);

#endif /* mat-agent.h */
