/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_ENGINE_H
#define MAT_ENGINE_H 1

/* The inside of the gossip engine: what its parts share.
 *
 *     mat-gossip   the face: events in, outputs out, dispatch of messages
 *     mat-member   who is in the cluster, rumors about their health
 *     mat-probe    failure detection
 *     mat-peer     sealing, RTTs, datagrams being filled
 *     mat-push     parcels: claims that must be acknowledged
 *     mat-spread   the tree to all hosts of a zone
 *     mat-sync     repair by digests
 *     mat-pull     questions about unknown addresses
 *     mat-accept   checks of claims, and what follows from accepted ones
 *     mat-vmn      VMNs of this host, challenges
 *     mat-correspond  who talks with whom
 *     mat-damp     contested claims
 *
 * Nobody outside these files includes this header. */

#include "mat-channel.h"
#include "mat-gossip.h"
#include "mat-heap.h"
#include "mat-index.h"
#include "mat-rng.h"
#include "mat-store.h"
#include "mat-tree.h"

enum mat_timer_kind {
    MAT_TIMER_PROBE_PERIOD,     /* struct mat_gossip */
    MAT_TIMER_PROBE_TIMEOUT,
    MAT_TIMER_PROBE_DEAD,
    MAT_TIMER_SYNC,
    MAT_TIMER_JOIN,
    MAT_TIMER_GHOSTS,
    MAT_TIMER_TOMBSTONES,
    MAT_TIMER_SWEEP,
    MAT_TIMER_PACE,
    MAT_TIMER_GATHER,
    MAT_TIMER_SUSPICION,        /* struct mat_peer */
    MAT_TIMER_PARCEL,           /* struct mat_parcel */
    MAT_TIMER_RELAY,            /* struct mat_relay */
    MAT_TIMER_LEAF,             /* struct mat_leaf */
    MAT_TIMER_PULL,             /* struct mat_pull */
    MAT_TIMER_VMN               /* struct mat_vmn */
};

#define MAT_CONTAINER(POINTER, TYPE, MEMBER) \
    ((TYPE *) (void *) ((char *) (POINTER) - offsetof(TYPE, MEMBER)))

/* Rates: 'rate' units a second, at most a second's worth at once. */
struct mat_bucket {
    int64_t level_micro;        /* Units times 10^6. */
    int64_t at_us;
};

bool mat_bucket_take(struct mat_bucket *, uint32_t rate, uint32_t amount,
                     int64_t now_us);
/* The same, but down below zero if need be. */
void mat_bucket_charge(struct mat_bucket *, uint32_t rate, size_t amount,
                       int64_t now_us);

/* mat-member.  There are many of these, so they are small. */
struct mat_member {
    uint64_t id;
    const struct mat_claim *host;       /* Its host claim. */
    struct mat_peer *peer;      /* Null until it was talked with. */
    int64_t since_us;           /* Of 'state'. */
    uint32_t incarnation;
    uint8_t state;              /* enum mat_member_state. */
    bool is_refused;            /* Revoked, or certificate expired. */
};

struct mat_rumor {
    uint64_t host, by;
    uint32_t n_left;            /* How often to send it still. */
};

enum {
    MAT_RUMORS_MAX = 2048,
    MAT_RUMOR_SIZE = 25,
    MAT_RUMORS_PER_DATAGRAM = 24,
    MAT_CONFIRMATIONS = 3       /* Of a suspicion; Lifeguard's k. */
};

/* mat-peer: a member that this host talks with. */
enum { MAT_PEER_ACKS_MAX = 32 };

/* A datagram that is being filled. */
struct mat_open {
    struct mat_open *next;
    struct mat_peer *peer;
    uint64_t counter;
    bool is_urgent;             /* Moves go before repair. */
    size_t n;                   /* Bytes of body. */
    uint8_t bytes[MAT_WIRE_DATAGRAM_MAX];
};

struct mat_parcel;

struct mat_parcels {
    struct mat_parcel *first, *last;
};

struct mat_peer {
    struct mat_member *member;
    uint8_t key[MAT_SECRET_SIZE];
    uint64_t key_salt;          /* Peer's salt in 'key'. */
    struct mat_endpoint endpoint;
    bool is_keyed;              /* 'key' and 'endpoint' are of its latest host
                                 * claim. */
    bool has_key;
    bool has_rtt;
    bool has_coord;
    uint8_t n_acks;
    uint8_t n_confirmed;
    uint64_t tx_counter;
    struct mat_replay rx;
    uint64_t acks[MAT_PEER_ACKS_MAX];
    int64_t srtt_us, rttvar_us;
    int64_t heard_us, hello_us, told_us;
    int64_t root_us;            /* A SYNC_ROOT was sent, for a first RTT. */
    struct mat_coord coord;
    struct mat_open *open;
    struct mat_parcel *filling; /* Not yet complete. */
    struct mat_parcels queued;  /* Waiting for the window. */
    struct mat_parcels flying;
    uint32_t n_flying;
    bool is_busy;               /* In the list of g->busy. */
    struct mat_peer *next_busy;
    uint64_t confirmed[MAT_CONFIRMATIONS];      /* Who suspects it. */
    struct mat_timer suspicion;
};

/* mat-push */
enum {
    MAT_PARCEL_CLAIMS_MAX = 24,
    MAT_PARCEL_REROUTES_MAX = 3 /* Of a part of the tree. */
};

struct mat_parcel {
    struct mat_parcel *next, *prev;
    struct mat_peer *peer;
    struct mat_timer timer;
    struct mat_claims_head head;
    uint64_t counter;           /* Datagram that carries it now. */
    int64_t sent_us;
    uint8_t tries, reroutes;
    uint8_t n;
    uint16_t size;              /* Of the claims, on the wire. */
    const struct mat_claim *claims[MAT_PARCEL_CLAIMS_MAX];
};

/* A parcel to be passed on along the tree. */
struct mat_gathered {
    struct mat_claims_head head;
    uint64_t from;
    size_t n;
    const struct mat_claim *claims[MAT_PARCEL_CLAIMS_MAX];
};

/* Who has a move already. */
struct mat_push {
    struct mat_key key;
    struct mat_version version;
    int64_t start_us;
    uint32_t n_waiting, n_reached, n_failed;
    uint64_t *hosts;            /* Who is to have it. */
    size_t n_hosts, allocated;
};

/* A set of claims to be spread at the next flush. */
struct mat_claim_list {
    const struct mat_claim **claims;
    size_t n, allocated;
};

void mat_claim_list_add(struct mat_claim_list *, const struct mat_claim *);
void mat_claim_list_clear(struct mat_claim_list *);     /* Unrefs. */
void mat_claim_list_destroy(struct mat_claim_list *);

/* mat-probe */
struct mat_relay {              /* A probe made for another host. */
    struct mat_timer timer;
    uint64_t asker, target;
    uint32_t asker_nonce, nonce;
    int64_t sent_us;
};

enum {
    MAT_RELAYS_MAX = 32,
    MAT_PROBE_HELPERS = 3,
    MAT_HEALTH_MAX = 8          /* Lifeguard's S. */
};

struct mat_prober {
    struct mat_timer period, timeout, dead;
    struct mat_relay relays[MAT_RELAYS_MAX];
    uint64_t *order;            /* Members, shuffled. */
    size_t n_order, next;
    uint64_t target;            /* 0 if none is being probed. */
    uint32_t nonce;
    int64_t sent_us;
    uint32_t n_helpers, n_nacks;
    uint32_t health;            /* 0 is good; slows the host's own timers. */
    struct mat_coord coord;
};

/* mat-sync */
enum {
    MAT_LEAVES_MAX = 96,        /* Digest leaves under way. */
    MAT_LEAF_CLAIMS = 48        /* Aim for the size of a leaf. */
};

struct mat_leaf {
    struct mat_timer timer;
    bool is_used;
    uint8_t bits, tries, repeats;
    uint64_t prefix;
};

struct mat_sync {
    struct mat_timer timer;
    uint64_t peer;              /* Whom this host catches up from, or 0. */
    uint32_t zone;
    uint32_t bits;              /* Depth of the leaves to compare. */
    uint64_t next;              /* Next leaf of 2^bits. */
    uint32_t sums[MAT_STORE_SUMS];      /* Of that peer. */
    struct mat_leaf leaves[MAT_LEAVES_MAX];
    uint32_t n_leaves;
    size_t n_before;            /* Merges when this job began. */
    int64_t eager_until_us;     /* Until then it compares more often. */
    struct mat_bucket catchup;
};

/* mat-pull */
enum { MAT_PULLS_MAX = 512, MAT_PULL_TRIES = 4 };

struct mat_pull {
    struct mat_timer timer;
    struct mat_addr addr;
    uint32_t zone;
    uint32_t nonce;
    bool is_moa;
    uint8_t tries;
    uint64_t asked;             /* Host asked last. */
};

struct mat_pool_entry {
    struct mat_addr addr;
    uint8_t plen;
    uint64_t host;
};

enum { MAT_POOLS_MAX = 32768, MAT_OWN_POOLS_MAX = 64 };

/* mat-vmn */
enum mat_vmn_phase {
    MAT_PHASE_PREPARED = 1,
    MAT_PHASE_LIVE,
    MAT_PHASE_DEPARTED          /* Was live here; answers for late-comers. */
};

struct mat_correspondent {
    uint64_t host;
    int64_t until_us;
};

struct mat_vmn {
    struct mat_key key;
    struct mat_addr moa;
    struct mat_mac mac;
    uint8_t phase;
    bool is_leaving;            /* Stopped for a migration. */
    bool port_live;
    bool is_firstborn;          /* Claimed without knowing of any before. */
    bool was_displaced;         /* Lost while live: next claim is contested. */
    uint8_t tries;              /* Of the challenge. */
    uint64_t told;              /* Host that has the correspondents. */
    uint64_t rival;             /* Host that is challenged, or 0. */
    struct mat_timer timer;
    uint16_t n_correspondents, allocated;
    struct mat_correspondent *correspondents;
};

struct mat_interest {
    struct mat_key key;
    int64_t until_us, sent_us;
    uint64_t told;              /* Owner that was told. */
    uint8_t n_told;             /* How often. */
};

struct mat_zone_use {
    uint32_t zone, n;
};

enum { MAT_INTERESTS_MAX = 65536, MAT_CHALLENGE_TRIES = 6 };

/* mat-damp */
enum { MAT_DAMP_MAX = 16, MAT_DAMPS_MAX = 4096 };

struct mat_damp {
    struct mat_key key;
    int64_t at_us[MAT_DAMP_MAX];
    uint32_t n;
    int64_t frozen_until_us;    /* 0 if not frozen. */
};

/* mat-accept */
struct mat_staged {             /* Own claim, not yet signed. */
    struct mat_claim claim;
    uint8_t body[MAT_CLAIM_BODY_MAX];
};

struct mat_verified {           /* 'host' has signed this tree. */
    uint64_t host;
    uint8_t mark[MAT_HASH_SIZE];        /* Hash of root and signature. */
};

struct mat_tombstone {
    struct mat_key key;
    int64_t at_us;
};

enum {
    MAT_VERIFIED = 64,          /* Trees remembered; powers of 2. */
    MAT_VERIFIED_MANY = 65536,  /* ... when catching up with very much. */
    MAT_MANY_CLAIMS = 1000,
    MAT_SEEN_MAX = 256
};

struct mat_gossip {
    struct mat_gossip_config config;
    uint8_t cert[MAT_CERT_SIZE_MAX];
    struct mat_cert own_cert;
    struct mat_rng rng;
    int64_t now_us, start_us, wall_s;
    uint32_t generation, incarnation;
    bool has_left;
    struct mat_heap heap;
    struct mat_store store;
    uint64_t counters[MAT_N_COUNTERS];

    /* Outputs: a ring, and datagrams to be sealed. */
    struct mat_output *outputs;
    size_t out_head, n_outputs, outputs_allocated;
    struct mat_output last;     /* Given out; to be released. */
    struct mat_open *open_first, *open_last, *open_free;
    uint64_t hello_counter;
    bool is_dirty;

    /* Members in order of id. */
    struct mat_member **members;
    size_t n_members, members_allocated;
    size_t n_in_state[4];
    uint64_t members_sum;       /* See mat_member_digest(). */
    struct mat_rumor rumors[MAT_RUMORS_MAX];
    size_t n_rumors, next_rumor;

    struct mat_prober prober;
    struct mat_sync sync;
    struct mat_timer join, ghosts, tombstone_timer, sweep, pace, gather;
    size_t sweep_cursor;

    struct mat_parcel *parcel_free;
    size_t n_parcels;
    struct mat_index pushes;    /* By hash of key. */
    bool push_is_done;          /* Some push has nobody to wait for. */
    struct mat_peer *busy;      /* With parcels that may be sent. */
    struct mat_claim_list spread;       /* Own news for all. */
    struct mat_gathered *gathered;      /* To be passed on together. */
    size_t n_gathered;
    int64_t relayed_us;         /* When something was passed on. */
    uint64_t seen[MAT_SEEN_MAX];        /* Spread parcels passed on. */
    size_t next_seen;

    struct mat_staged *staged;
    size_t n_staged, staged_allocated;
    struct mat_verified *verified;
    size_t n_verified;          /* Size of the table. */
    struct mat_tombstone *tombstones;   /* Oldest first. */
    size_t tombstones_head, tombstones_hidden, n_tombstones;
    size_t tombstones_allocated;
    const struct mat_claim *replaced;   /* By the latest put. */
    size_t n_merged;            /* Claims of others that were news. */

    struct mat_index pulls;     /* By nonce. */
    uint32_t next_nonce;
    struct mat_pool_entry *pools;
    size_t n_pools, pools_allocated;
    struct mat_key own_pools[MAT_OWN_POOLS_MAX];
    size_t n_own_pools;
    uint8_t plens[17];          /* Lengths of HoAs in use, v6 bits. */

    struct mat_index vmns;      /* Local, by hash of key. */
    struct mat_index interests; /* By hash of key. */
    struct mat_index damps;     /* By hash of key. */
    struct mat_zone_use *zones; /* Of local VMNs. */
    size_t interest_cursor;
    size_t n_zones;

    struct mat_bucket hello_bucket, reply_bucket, pull_bucket;
    struct mat_bucket sent_bucket, idle_bucket;
    size_t n_posted;            /* Bytes that the next flush will send. */
};

static inline void
mat_count(struct mat_gossip *g, enum mat_counter counter)
{
    g->counters[counter]++;
}

static inline void
mat_timer_set(struct mat_gossip *g, struct mat_timer *timer,
              enum mat_timer_kind kind, int64_t after_us)
{
    timer->kind = kind;
    mat_heap_set(&g->heap, timer, g->now_us + after_us);
}

static inline void
mat_timer_cancel(struct mat_gossip *g, struct mat_timer *timer)
{
    mat_heap_cancel(&g->heap, timer);
}

/* mat-gossip: outputs. */
void mat_output_event(struct mat_gossip *, const struct mat_output *);
void mat_output_vmn(struct mat_gossip *, const struct mat_key *,
                    enum mat_vmn_event, uint64_t host);

/* mat-member. */
struct mat_member *mat_member_find(const struct mat_gossip *, uint64_t id);
void mat_member_host_claim(struct mat_gossip *, const struct mat_claim *);
void mat_member_refuse(struct mat_gossip *, struct mat_member *, bool refuse);
void mat_member_heard(struct mat_gossip *, struct mat_member *);
void mat_member_suspect(struct mat_gossip *, struct mat_member *);
void mat_member_suspicion_timer(struct mat_gossip *, struct mat_peer *);
void mat_member_receive_rumors(struct mat_gossip *, struct mat_peer *from,
                               struct mat_reader *);
/* A random member of 'zone' that may be alive, not 'except'; or null. */
struct mat_member *mat_member_random(struct mat_gossip *, uint32_t zone,
                                     uint64_t except);
bool mat_member_has_zone(const struct mat_member *, uint32_t zone);
bool mat_member_is_usable(const struct mat_member *);
uint64_t mat_member_digest(const struct mat_gossip *);
uint64_t mat_member_print(uint64_t id, uint32_t gen, uint32_t inc,
                          enum mat_member_state);
void mat_member_send_table(struct mat_gossip *, struct mat_peer *);
void mat_member_put_rumors(struct mat_gossip *, struct mat_writer *);
void mat_member_leave(struct mat_gossip *);
void mat_member_forget(struct mat_gossip *, struct mat_member *);
void mat_member_destroy(struct mat_gossip *);
uint32_t mat_log2(size_t n);

/* mat-peer. */
struct mat_peer *mat_peer_get(struct mat_gossip *, struct mat_member *);
void mat_peer_destroy(struct mat_gossip *, struct mat_peer *);
bool mat_peer_key(struct mat_gossip *, struct mat_peer *);
void mat_peer_sample_rtt(struct mat_gossip *, struct mat_peer *,
                         int64_t rtt_us);
int64_t mat_peer_rtt_us(const struct mat_gossip *, const struct mat_peer *);
int64_t mat_peer_rto_us(const struct mat_gossip *, const struct mat_peer *);
/* Puts a message into the open datagram of 'peer'.  Returns the counter of
 * the datagram, 0 if there is no way to send. */
uint64_t mat_post(struct mat_gossip *, struct mat_peer *, uint8_t type,
                  const struct mat_writer *payload, bool is_urgent);
/* Whether this host has sent all that it may for now. */
bool mat_peer_is_spent(struct mat_gossip *);
/* Whether 'size' bytes may be sent without news; counted if not. */
bool mat_peer_may_idle(struct mat_gossip *, size_t size);
void mat_peer_ack(struct mat_gossip *, struct mat_peer *, uint64_t counter);
void mat_peer_hello(struct mat_gossip *, const struct mat_endpoint *,
                    bool want, int join_key, const struct mat_claim *ghost);
void mat_peer_introduce(struct mat_gossip *);
void mat_peer_flush(struct mat_gossip *);
void mat_peer_destroy_all(struct mat_gossip *);

/* mat-push. */
void mat_push_to(struct mat_gossip *, uint64_t host, const struct mat_claim *);
void mat_push_tracked(struct mat_gossip *, uint64_t host,
                      const struct mat_claim *);
void mat_push_branch(struct mat_gossip *, struct mat_member *,
                     const struct mat_claims_head *, uint8_t reroutes,
                     const struct mat_claim *const *, size_t n);
void mat_push_start(struct mat_gossip *, const struct mat_claim *);
bool mat_push_covers(const struct mat_gossip *, uint64_t host,
                     const struct mat_claim *);
void mat_push_acked(struct mat_gossip *, struct mat_peer *, uint64_t counter);
void mat_push_timer(struct mat_gossip *, struct mat_parcel *);
void mat_push_flush(struct mat_gossip *);
void mat_push_drop_peer(struct mat_gossip *, struct mat_peer *);
void mat_push_destroy(struct mat_gossip *);
void mat_reply_claims(struct mat_gossip *, struct mat_peer *,
                      const struct mat_claim *const *, size_t n,
                      bool is_urgent);

/* mat-spread. */
void mat_spread_add(struct mat_gossip *, const struct mat_claim *);
void mat_spread_flush(struct mat_gossip *);
void mat_spread_branch(struct mat_gossip *, const struct mat_claims_head *,
                       uint8_t reroutes, uint64_t except,
                       const struct mat_claim *const *, size_t n);
void mat_spread_relay(struct mat_gossip *, const struct mat_claims_head *,
                      uint64_t from, const struct mat_claim *const *claims,
                      size_t n);
void mat_spread_gathered(struct mat_gossip *);
void mat_spread_destroy(struct mat_gossip *);
bool mat_spread_is_new(struct mat_gossip *, const struct mat_claims_head *,
                       const struct mat_claim *const *, size_t n);

/* mat-sync. */
void mat_sync_start(struct mat_gossip *);
void mat_sync_timer(struct mat_gossip *);
void mat_sync_soon(struct mat_gossip *);
void mat_sync_eagerly(struct mat_gossip *);
void mat_sync_leaf_timer(struct mat_gossip *, struct mat_leaf *);
void mat_sync_with(struct mat_gossip *, struct mat_peer *);
void mat_sync_need_owner(struct mat_gossip *, struct mat_peer *,
                         const struct mat_claim *);
bool mat_sync_receive(struct mat_gossip *, struct mat_peer *, uint8_t type,
                      struct mat_reader *);

/* mat-probe. */
void mat_probe_start(struct mat_gossip *);
void mat_probe_timer(struct mat_gossip *, struct mat_timer *);
bool mat_probe_receive(struct mat_gossip *, struct mat_peer *, uint8_t type,
                       struct mat_reader *);
void mat_probe_blame_self(struct mat_gossip *, int delta);

/* mat-pull. */
void mat_pull_timer(struct mat_gossip *, struct mat_pull *);
bool mat_pull_receive(struct mat_gossip *, struct mat_peer *, uint8_t type,
                      struct mat_reader *);
void mat_pull_answered(struct mat_gossip *, const struct mat_claim *);
void mat_pull_pool_changed(struct mat_gossip *, const struct mat_claim *);
bool mat_pull_pool_is_own(const struct mat_gossip *, const struct mat_key *);
void mat_pull_destroy(struct mat_gossip *);

/* mat-accept. */
enum mat_merge mat_accept(struct mat_gossip *, struct mat_peer *from,
                          const struct mat_claim *);
void mat_stage(struct mat_gossip *, const struct mat_key *,
               enum mat_claim_state, uint8_t flags, const uint8_t *body,
               size_t body_size, uint32_t epoch_min);
void mat_stage_flush(struct mat_gossip *);
void mat_stage_flush_key(struct mat_gossip *, const struct mat_key *);
void mat_stage_host(struct mat_gossip *);
void mat_accept_remember(struct mat_gossip *, size_t n_trees);
void mat_accept_ghosts(struct mat_gossip *);
void mat_accept_tombstones(struct mat_gossip *);
void mat_accept_sweep(struct mat_gossip *);
void mat_accept_sweep_members(struct mat_gossip *);
void mat_accept_drop_zone(struct mat_gossip *, uint32_t zone);
bool mat_accept_host_is_good(struct mat_gossip *, const struct mat_claim *);
void mat_accept_dropped(void *g, const struct mat_claim *old,
                        const struct mat_claim *new);

/* mat-vmn. */
struct mat_vmn *mat_vmn_find(const struct mat_gossip *,
                             const struct mat_key *);
bool mat_vmn_wants_zone(const struct mat_gossip *, uint32_t zone);
void mat_vmn_published(struct mat_gossip *, const struct mat_claim *,
                       const struct mat_claim *old);
void mat_vmn_superseded(struct mat_gossip *, struct mat_vmn *,
                        const struct mat_claim *);
void mat_vmn_preparing(struct mat_gossip *, const struct mat_claim *);
void mat_vmn_timer(struct mat_gossip *, struct mat_vmn *);
void mat_vmn_member_died(struct mat_gossip *, uint64_t host);
bool mat_vmn_receive(struct mat_gossip *, struct mat_peer *, uint8_t type,
                     struct mat_reader *);
void mat_vmn_destroy(struct mat_gossip *);
bool mat_vmn_renew(struct mat_gossip *, const struct mat_claim *ghost);

/* mat-correspond. */
void mat_correspond_hand_over(struct mat_gossip *, struct mat_vmn *,
                              uint64_t host);
void mat_correspond_relay(struct mat_gossip *, const struct mat_vmn *,
                          const struct mat_claim *);
bool mat_correspond_receive(struct mat_gossip *, struct mat_peer *,
                            uint8_t type, struct mat_reader *);
void mat_correspond_sweep(struct mat_gossip *);
void mat_correspond_destroy(struct mat_gossip *);

/* mat-damp. */
void mat_damp_contested(struct mat_gossip *, const struct mat_claim *);
bool mat_damp_is_frozen(const struct mat_gossip *, const struct mat_key *);
void mat_damp_sweep(struct mat_gossip *);
void mat_damp_destroy(struct mat_gossip *);

#endif /* mat-engine.h */
