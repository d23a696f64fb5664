/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_AGENT_IMPL_H
#define MAT_AGENT_IMPL_H 1

/* The agent's parts, for its sources only.
 *
 *     home    a home address in a zone, with what is known of it: where it
 *             is live, who has prepared for it
 *     stay    what this host has to do with a home address, if anything
 *     guest   a MAC in a zone: the homes that move together
 *     dock    a port of the bridge, by name, whether it is there or not
 *     slot    an entry that the switch should have: the mirror of its table
 *     way     a next hop: how MoAs of one prefix of a peer are reached
 *
 * Each part has its source, listed with its functions below.  The order of
 * things is always: change what is known, mat_home_refresh(), which emits what
 * the switch lacks, then tell the gossip engine. */

#include "mat-agent.h"
#include "mat-call.h"
#include "mat-heap.h"
#include "mat-index.h"
#include "mat-learn.h"
#include "mat-mem.h"
#include "mat-rng.h"

#define MAT_AGENT_S INT64_C(1000000)
#define MAT_AGENT_MS INT64_C(1000)

enum {
    MAT_AGENT_PREPS_MAX = 4,    /* MAT_STORE_PREPS_MAX. */
    MAT_AGENT_WANTS_MAX = MAT_AGENT_PREPS_MAX + 3,
    MAT_AGENT_GUEST_MAX = 64,   /* Homes of one guest that move together. */
    MAT_AGENT_NOTICES_MAX = 8,  /* Late senders remembered per stay. */
    MAT_AGENT_PENDING_MAX = 1024,       /* Events of ports not yet known. */
    MAT_AGENT_KEPT_MAX = 4,     /* Of one port that is not told of yet. */
    MAT_AGENT_PROBLEMS_KEPT = 64,
    MAT_AGENT_AWAITED_MAX = 16,
    MAT_AGENT_ZONES_KEPT = 4096
};

/* Durations. */
#define MAT_AGENT_ACK_US (20 * MAT_AGENT_MS)    /* A claim waits no longer
                                                 * for the own switch. */
#define MAT_AGENT_LATE_US (30 * MAT_AGENT_S)    /* Late packets come so
                                                 * long; more if seen. */
#define MAT_AGENT_GRACE_US (10 * MAT_AGENT_S)   /* A port that went may come
                                                 * back, or another host may
                                                 * claim. */
#define MAT_AGENT_HOLD_US (2 * MAT_AGENT_S)     /* Packets for a VM that is
                                                 * about to stop. */
#define MAT_AGENT_TAIL_US (5 * MAT_AGENT_MS)    /* After its stop, for what it
                                                 * said last. */
#define MAT_AGENT_LEAVE_US (60 * MAT_AGENT_S)   /* A VM that stopped to move
                                                 * starts somewhere, or the
                                                 * hint was wrong. */
#define MAT_AGENT_PREPARE_US (120 * MAT_AGENT_S)        /* Without port. */
#define MAT_AGENT_ASK_US (1 * MAT_AGENT_S)      /* An answer of peers. */
#define MAT_AGENT_ASK_AGAIN_US (250 * MAT_AGENT_MS)
#define MAT_AGENT_MEET_US (2500 * MAT_AGENT_MS) /* Two knocks at a seed may be
                                                 * lost... */
#define MAT_AGENT_JOIN_US (3 * MAT_AGENT_S)     /* ...after the start of the
                                                 * engine, as it knows no
                                                 * peers yet. */
#define MAT_AGENT_WARN_US (60 * MAT_AGENT_S)    /* Between warnings of one
                                                 * port. */
#define MAT_AGENT_PORTS_US (200 * MAT_AGENT_MS) /* Between dumps of ports. */
#define MAT_AGENT_SETTLE_US (60 * MAT_AGENT_S)  /* After a start. */
#define MAT_AGENT_HARVEST_US (2 * MAT_AGENT_S)
#define MAT_AGENT_ECHO_US (100 * MAT_AGENT_MS)  /* What a VMN said before it
                                                 * went may be heard after. */
#define MAT_AGENT_HEARD_US (5 * MAT_AGENT_S)    /* What was said before it was
                                                 * known what it means. */
#define MAT_AGENT_NOTICE_US (50 * MAT_AGENT_MS) /* Between notices to one
                                                 * late sender. */
#define MAT_AGENT_RESYNC_US (5 * MAT_AGENT_S)   /* Between repairs. */
#define MAT_AGENT_AGAIN_US (60 * MAT_AGENT_S)   /* Until a VMN in conflict
                                                 * is heard again. */

enum mat_agent_timer {
    MAT_AGENT_TIMER_STAY,       /* In struct mat_stay. */
    MAT_AGENT_TIMER_HOME,       /* In struct mat_home: slots that age. */
    MAT_AGENT_TIMER_SETTLE,     /* These in struct mat_agent. */
    MAT_AGENT_TIMER_HARVEST,
    MAT_AGENT_TIMER_RESYNC,
    MAT_AGENT_TIMER_LOST,
    MAT_AGENT_TIMER_AWAIT
};

struct mat_dock {
    char name[MAT_PORT_NAME_SIZE];
    struct mat_agent_port_config config;
    struct mat_mac uplink_mac;
    uint16_t mtu;
    bool is_given;              /* The database has it, and it is enabled. */
    bool is_uplink;
    bool link_tells;
    bool is_dead;               /* The switch says so. */
    bool link_came;             /* ...or that it is live. */
    bool in_zone;               /* Counted in its zone. */
    bool is_put;                /* The switch should have its role. */
    bool seen;                  /* In the dump that comes in. */
    uint32_t odp_port;
    uint32_t n_refs;            /* Slots and stays. */
    struct mat_mac heard_mac;   /* Who spoke last, and when. */
    int64_t heard_us;
    int64_t warned_us;
    struct mat_event *kept;     /* What was said before it was given: the last
                                 * of 'n_kept' in a ring, or null. */
    unsigned int n_kept;
    struct mat_stay *stays;
};

struct mat_slot {
    struct mat_slot *next;      /* Of the home. */
    struct mat_home *home;
    struct mat_addr moa;
    enum mat_state state;
    bool hold;
    bool seen;                  /* In the dump that comes in, as it is here. */
    bool is_own;                /* The MoA is this host's and is released with
                                 * the slot. */
    bool is_adopted;            /* The switch had it before the agent knew. */
    bool is_reserved;           /* In the stock, as a peer's. */
    bool is_former;             /* It was live until another took its place. */
    struct mat_addr former;     /* As in struct mat_entry. */
    struct mat_mac mac;
    uint16_t nexthop;
    struct mat_dock *dock;
    int64_t until_us;           /* Kept so long though nothing wants it. */
    uint64_t sequence;          /* Of the operation that put it. */
};

struct mat_prep {
    uint64_t host;
    struct mat_addr moa;
    struct mat_version version;
};

struct mat_home {
    struct mat_key key;
    struct mat_guest *guest;    /* Null as long as no MAC is known. */
    struct mat_home *next, *prev;       /* Of the guest. */
    struct mat_stay *stay;
    struct mat_slot *slots;
    struct mat_prep *preps;     /* Of other hosts. */
    struct mat_addr live_moa;
    uint64_t live_host;         /* 0: not live anywhere that is known. */
    struct mat_timer timer;
    uint8_t n_preps;
    bool is_frozen;             /* By the engine's damping. */
    bool is_stopped;            /* By the operator. */
    bool is_in_conflict;
    bool is_doubled;            /* Configured here, live elsewhere with another
                                 * MAC; in a problem. */
    bool is_waiting;            /* For a route: in 'waiting' of its way. */
    bool is_noted;              /* In a problem. */
    bool is_reserved;           /* In the stock, as no MoA. */
    bool is_clashing;           /* Its MoA is also one of this host. */
    struct mat_home *next_waiting;
};

struct mat_notice {
    uint64_t host;
    int64_t at_us;
};

struct mat_stay {
    struct mat_home *home;
    struct mat_dock *dock;      /* Or null. */
    struct mat_stay *next, *prev;       /* Of the dock. */
    struct mat_timer timer;
    enum mat_life state;
    int64_t since_us;
    int64_t heard_us;           /* The last late packet; start of asking. */
    int64_t hold_until_us;      /* LIVE, LEAVING: packets for it wait until
                                 * then; 0: they do not. */
    struct mat_addr moa;
    bool has_moa;               /* In the stock. */
    bool is_asked;              /* PREPARED: if nobody has it, it is here. */
    int64_t asked_until_us;
    bool has_spoken;            /* Asked since it spoke, not since it is
                                 * configured. */
    bool is_claim_due;          /* LIVE: as soon as 'sequence' is acked. */
    bool is_claimed;            /* The engine has been told. */
    bool is_configured;
    bool is_restored;           /* From disk: the switch may know better. */
    uint64_t sequence;
    struct mat_notice notices[MAT_AGENT_NOTICES_MAX];
};

struct mat_guest {
    uint32_t zone;
    struct mat_mac mac;
    struct mat_home *homes;
    uint32_t n_homes;
    uint64_t migration;         /* The last one. */
};

struct mat_way {
    uint16_t id;
    bool is_known, seen;
    bool is_adopted;            /* The switch had it: nobody knows whose it
                                 * is. */
    struct mat_agent_route route;
    struct mat_addr prefix, addr;
    uint8_t plen;
    uint64_t host;
    bool is_lost;               /* The host is not reached, or was not... */
    int64_t back_us;            /* ...until now, and counts as that until
                                 * then. */
    bool is_behind;             /* As in struct mat_nexthop. */
    uint32_t n_refs;            /* Slots that use it. */
    uint32_t n_pools;           /* Pool claims for it. */
    struct mat_home *waiting;
};

/* A pool of a peer, or of this host. */
struct mat_basin {
    struct mat_addr prefix;
    uint8_t plen;
    bool is_own, seen;
    bool is_current;            /* Own: the stock still has it. */
    uint64_t host;
    struct mat_way *way;        /* Null if own. */
};

struct mat_zone_here {
    struct mat_zone zone;
    uint32_t n_docks;
    bool seen;
};

struct mat_agent_item {
    enum mat_agent_output_kind kind;
    enum mat_agent_level level;
    enum mat_update_dump dump;
    uint16_t route_id;
    uint64_t sequence;
    union {
        struct mat_op op;
        char *text;
    };
    uint8_t *frame;             /* Of an inject. */
};

struct mat_problem {
    uint64_t key;
    char text[MAT_AGENT_TEXT_SIZE];
};

/* A VM that is announced by its HoA or else its MAC, of a zone that is not on
 * this host. */
struct mat_awaited {
    uint32_t zone;
    bool has_hoa;
    struct mat_addr hoa;
    struct mat_mac mac;
    int64_t until_us;
};

struct mat_agent {
    int64_t now_us;
    uint64_t seed;
    struct mat_agent_config config;
    uint64_t host;
    struct mat_gossip *gossip;
    struct mat_recorder *recorder;
    struct mat_moa *moa;
    struct mat_learn *learn;
    struct mat_moa_uplink uplinks[MAT_MOA_UPLINKS_MAX];
    size_t n_uplinks;
    char active[MAT_PORT_NAME_SIZE];    /* The uplink by which VMNs send; "" if
                                         * nobody has told. */

    struct mat_index homes;     /* By zone and HoA. */
    struct mat_index guests;    /* By zone and MAC. */
    struct mat_index slots;     /* By MoA. */
    struct mat_index docks;     /* By name. */
    struct mat_index odp_docks; /* By port number of the datapath. */
    struct mat_index ways;      /* By id. */
    struct mat_index ways_by_prefix;    /* By prefix and host. */
    struct mat_index basins;    /* By prefix. */
    struct mat_index zones;     /* By number. */
    struct mat_heap heap;
    uint32_t n_by_plen[2][129]; /* Pools of peers by length. */
    size_t n_stays[MAT_N_LIVES];
    struct mat_way *outside;
    uint16_t next_way;

    bool is_ready, is_settled, is_dirty;
    struct mat_timer settle, harvest, resync, lost, await;
    struct mat_awaited awaited[MAT_AGENT_AWAITED_MAX];
    size_t n_awaited;
    size_t n_formers;           /* Slots with a former MoA. */
    size_t n_lost_ways;

    bool is_connected, is_synced, is_dumping, wants_ports, asked_ports;
    uint64_t instance;
    uint64_t sequence, acked;
    struct mat_op *extras;      /* Of the dump that comes in: to remove. */
    size_t n_extras, extras_allocated;
    struct mat_stay **unacked;  /* Claims that wait, oldest first. */
    size_t n_unacked, unacked_allocated;
    struct mat_event *pending;  /* A ring; the last of 'n_pending'. */
    uint64_t n_pending;
    int64_t ports_asked_us;
    int64_t gossip_us;          /* When the engine came. */
    int64_t await_us;           /* Until when it may yet come, or 0. */

    struct mat_agent_item *items;       /* Outputs: a ring. */
    size_t items_head, n_items, items_allocated;
    struct mat_agent_item last; /* What mat_agent_next() gave out. */

    struct mat_agent_migration migrations[MAT_AGENT_MIGRATIONS_MAX];
    uint64_t last_migration;
    struct mat_problem problems[MAT_AGENT_PROBLEMS_KEPT];
    size_t n_problems;
    uint64_t counters[MAT_AGENT_N_COUNTERS];
};

static inline void
mat_agent_count(struct mat_agent *a, enum mat_agent_counter counter)
{
    a->counters[counter]++;
}

/* mat-agent-output.c */
uint64_t mat_agent_emit(struct mat_agent *, const struct mat_op *);
void mat_agent_emit_frame(struct mat_agent *, const char *port,
                          const uint8_t *frame, size_t size);
void mat_agent_emit_dump(struct mat_agent *, enum mat_update_dump);
void mat_agent_emit_route(struct mat_agent *, enum mat_agent_output_kind,
                          uint16_t id);
void mat_agent_log(struct mat_agent *, enum mat_agent_level,
                   const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mat_agent_output_destroy(struct mat_agent *);
void mat_agent_problem(struct mat_agent *, uint64_t key, const char *text);
void mat_agent_no_problem(struct mat_agent *, uint64_t key);

/* "zone 7 10.0.0.1", for logs. */
enum { MAT_HOME_STRLEN = 24 + MAT_PREFIX_STRLEN };
const char *mat_home_format(const struct mat_home *,
                            char buf[static MAT_HOME_STRLEN]);

/* mat-agent-home.c */
uint64_t mat_agent_hash(const struct mat_agent *, uint32_t kind,
                        const void *, size_t);
struct mat_home *mat_home_find(const struct mat_agent *, uint32_t zone,
                               const struct mat_addr *hoa);
struct mat_home *mat_home_get(struct mat_agent *, uint32_t zone,
                              const struct mat_addr *hoa);
/* Frees it if nothing is known of it any more.  Those that a step has made so
 * are freed by their timer, so that no caller meets a home that is gone. */
bool mat_home_is_unused(const struct mat_home *);
void mat_home_put(struct mat_agent *, struct mat_home *);
void mat_home_destroy(struct mat_agent *, struct mat_home *);
struct mat_guest *mat_guest_find(const struct mat_agent *, uint32_t zone,
                                 const struct mat_mac *);
bool mat_home_set_mac(struct mat_agent *, struct mat_home *,
                      const struct mat_mac *);
bool mat_home_may_claim(const struct mat_home *);
enum mat_life mat_home_state(const struct mat_home *);
bool mat_home_is_elsewhere(const struct mat_agent *, const struct mat_home *);
struct mat_slot *mat_slot_of_moa(const struct mat_agent *,
                                 const struct mat_addr *moa);
struct mat_slot *mat_home_slot(const struct mat_home *,
                               const struct mat_addr *moa);
struct mat_slot *mat_slot_create(struct mat_agent *, struct mat_home *,
                                 const struct mat_addr *moa);
void mat_slot_destroy(struct mat_agent *, struct mat_slot *);
void mat_slot_set_dock(struct mat_agent *, struct mat_slot *,
                       struct mat_dock *);
void mat_slot_op(const struct mat_slot *, enum mat_update_op_type,
                 struct mat_op *);

/* mat-agent-refresh.c */
void mat_home_refresh(struct mat_agent *, struct mat_home *);
void mat_home_timer(struct mat_agent *, struct mat_home *);
/* Puts what the switch does not have; for the end of a dump. */
void mat_home_put_unseen(struct mat_agent *, struct mat_home *);

/* mat-agent-await.c */
bool mat_agent_await_guest(struct mat_agent *, const struct mat_agent_hint *);
bool mat_agent_is_awaited(const struct mat_agent *, const struct mat_home *);
void mat_agent_tell_awaited(struct mat_agent *);
void mat_agent_await_timer(struct mat_agent *);

/* mat-agent-behind.c */
const struct mat_addr *mat_home_former(const struct mat_agent *,
                                       const struct mat_home *);
void mat_slot_retire(const struct mat_agent *, struct mat_slot *);
void mat_slot_set_former(struct mat_agent *, struct mat_slot *,
                         const struct mat_addr *former);
void mat_agent_set_reached(struct mat_agent *, uint64_t host, bool);
void mat_agent_check_reached(struct mat_agent *);
void mat_agent_lost_timer(struct mat_agent *);
void mat_way_start_lost(struct mat_agent *, struct mat_way *);
void mat_way_end_lost(struct mat_agent *, const struct mat_way *);

/* mat-agent-stay.c: what follows from the steps of mat-life.h. */
void mat_home_step(struct mat_agent *, struct mat_home *,
                   enum mat_life_cause, struct mat_dock *,
                   const char *trigger);
struct mat_stay *mat_stay_create(struct mat_agent *, struct mat_home *,
                                 enum mat_life, struct mat_dock *,
                                 const struct mat_addr *moa);
void mat_stay_destroy(struct mat_agent *, struct mat_stay *);
void mat_stay_set_dock(struct mat_agent *, struct mat_stay *,
                       struct mat_dock *);
void mat_stay_timer(struct mat_agent *, struct mat_stay *);
bool mat_stay_take_moa(struct mat_agent *, struct mat_stay *);
/* Another one, of 'uplink' unless that is null. */
bool mat_stay_take_moa_by(struct mat_agent *, struct mat_stay *,
                          const char *uplink);
void mat_stay_adopt_moa(struct mat_agent *, struct mat_stay *);
void mat_stay_claim(struct mat_agent *, struct mat_stay *);
/* Says again all that the engine should know of it. */
void mat_stay_tell(struct mat_agent *, struct mat_stay *);
void mat_stay_acked(struct mat_agent *);

/* mat-agent-hold.c: LIVE; the stop of the VM. */
void mat_stay_hold(struct mat_agent *, struct mat_stay *, bool hold);
void mat_stay_hold_tail(struct mat_agent *, struct mat_stay *);
void mat_stay_end_tail(struct mat_agent *, struct mat_stay *);

/* mat-agent-renumber.c */
void mat_stay_renumber(struct mat_agent *, struct mat_stay *);
void mat_agent_renumber_all(struct mat_agent *, const char *uplink,
                            bool leaves);
void mat_agent_follow_active(struct mat_agent *);

/* mat-agent-hear.c: who is where. */
void mat_agent_spoke(struct mat_agent *, struct mat_dock *,
                     const struct mat_learn_said *, int64_t said_us,
                     const char *trigger);
/* Asks once more, or takes silence for an answer. */
void mat_agent_ask_again(struct mat_agent *, struct mat_stay *);
/* Nobody has what was asked for. */
void mat_agent_unanswered(struct mat_agent *, struct mat_stay *);
/* What is known of 'home' has changed: is it still doubled? */
void mat_agent_check_double(struct mat_agent *, struct mat_home *);
/* What was asked for is live elsewhere: "home" has its MAC there. */
void mat_agent_answered(struct mat_agent *, struct mat_home *);
void mat_agent_drain_learn(struct mat_agent *);
void mat_agent_expect(struct mat_agent *, struct mat_dock *, uint32_t zone,
                      const struct mat_mac *);

/* mat-agent-event.c */
void mat_agent_replay(struct mat_agent *, struct mat_dock *);
void mat_agent_replay_pending(struct mat_agent *);

/* mat-agent-port.c */
struct mat_dock *mat_dock_find(const struct mat_agent *, const char *name);
struct mat_dock *mat_dock_get(struct mat_agent *, const char *name);
/* Frees it if it is neither there nor referred to. */
void mat_dock_put(struct mat_agent *, struct mat_dock *);
void mat_dock_ref(struct mat_dock *);
void mat_dock_unref(struct mat_agent *, struct mat_dock *);
size_t mat_agent_find_uplink(const struct mat_agent *, const char *name);
void mat_dock_start(struct mat_agent *, struct mat_dock *);
void mat_dock_configure(struct mat_agent *, struct mat_dock *);
void mat_dock_set_odp(struct mat_agent *, struct mat_dock *, uint32_t);
void mat_dock_set_dead(struct mat_agent *, struct mat_dock *, bool is_dead);
void mat_dock_op(const struct mat_dock *, enum mat_update_op_type,
                 struct mat_op *);
void mat_agent_configure_zones(struct mat_agent *);
struct mat_zone_here *mat_agent_zone(const struct mat_agent *, uint32_t);
void mat_agent_drop_dock(struct mat_agent *, struct mat_dock *);
/* The switch was restarted: port numbers mean nothing any more. */
void mat_agent_forget_odp(struct mat_agent *);

/* mat-agent-moa.c */
void mat_home_reserve(struct mat_agent *, struct mat_home *, bool is_known);
void mat_slot_reserve(struct mat_agent *, struct mat_slot *, bool is_used);
void mat_home_clashes(struct mat_agent *, struct mat_home *,
                      const struct mat_slot *ours);
void mat_home_clashes_no_more(struct mat_agent *, const struct mat_home *);
void mat_agent_configure_moa(struct mat_agent *);
void mat_agent_drain_moa(struct mat_agent *);
void mat_agent_tell_pools(struct mat_agent *);

/* mat-agent-way.c */
struct mat_way *mat_way_for(struct mat_agent *, uint64_t host,
                            const struct mat_addr *moa);
void mat_way_ref(struct mat_agent *, uint16_t id);
void mat_way_unref(struct mat_agent *, uint16_t id);
/* A next hop that the switch has, of the agent before. */
void mat_way_adopt(struct mat_agent *, const struct mat_nexthop *);
/* Forgets those of them that nothing uses. */
void mat_way_sweep(struct mat_agent *);
void mat_way_await(struct mat_way *, struct mat_home *);
void mat_way_op(const struct mat_way *, enum mat_update_op_type,
                struct mat_op *);
void mat_basin_put(struct mat_agent *, const struct mat_addr *,
                   uint8_t plen, bool is_own, uint64_t host);
void mat_basin_remove(struct mat_agent *, const struct mat_addr *,
                      uint8_t plen, bool is_own, uint64_t host);
void mat_basin_op(const struct mat_basin *, enum mat_update_op_type,
                  struct mat_op *);
struct mat_basin *mat_basin_find(const struct mat_agent *,
                                 const struct mat_addr *, uint8_t plen);
void mat_agent_want_outside(struct mat_agent *, bool wanted);

/* mat-agent-claim.c: calls of the gossip engine. */
enum mat_gossip_result mat_agent_call(struct mat_agent *,
                                      enum mat_recorder_kind,
                                      const struct mat_key *,
                                      const struct mat_addr *moa,
                                      const struct mat_mac *, bool flag);
bool mat_agent_has_gossip(const struct mat_agent *);
bool mat_agent_may_ask(const struct mat_agent *);   /* Or will have. */
void mat_agent_tell_all(struct mat_agent *);
void mat_agent_tell_zone(struct mat_agent *, uint32_t zone, bool present);

/* mat-agent-sync.c */
void mat_agent_add_extra(struct mat_agent *, const struct mat_op *,
                         enum mat_update_op_type);
void mat_agent_resync(struct mat_agent *);
void mat_agent_resync_soon(struct mat_agent *);
void mat_agent_settle(struct mat_agent *);

/* mat-agent-migration.c */
struct mat_agent_migration *mat_migration_start(struct mat_agent *,
                                                struct mat_home *,
                                                enum mat_migration_kind,
                                                const char *trigger);
/* The one of 'home' that runs, or null. */
struct mat_agent_migration *mat_migration_of(struct mat_agent *,
                                             const struct mat_home *);
struct mat_agent_migration *mat_migration_last(struct mat_agent *,
                                               const struct mat_home *);
void mat_migration_phase(struct mat_agent *, struct mat_agent_migration *,
                         enum mat_migration_phase);
void mat_migration_end(struct mat_agent *, struct mat_agent_migration *,
                       enum mat_migration_outcome);

#endif /* mat-agent-impl.h */
