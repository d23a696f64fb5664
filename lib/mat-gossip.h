/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_GOSSIP_H
#define MAT_GOSSIP_H 1

/* Gossip engine: keeps the mappings of all hypervisors converging.
 *
 * A pure state machine.  It owns no socket, clock or thread: the caller feeds
 * it events stamped with 'now_us' (monotonic), then drains outputs with
 * mat_gossip_next() until it returns false, then sleeps until
 * mat_gossip_deadline_us().  Same seed, same events and draining at the same
 * points give the same outputs, byte for byte; tests/sim/ and the flight
 * recorder depend on this.
 *
 * What happens with a move (docs/gossip.md has the whole story):
 *
 *   push    the claim goes at once, by unicast, to the old owner and to the
 *           hosts whose VMNs talk with this one; they acknowledge, and
 *           MAT_OUT_PUSHED reports when the last one has
 *   spread  all other hosts that have the zone get it along a tree
 *   repair  whoever missed it finds out by comparing digests
 *
 * Events that come together (a drained socket, 200 moves) should be fed
 * together before draining: what goes to one peer then shares datagrams, and
 * claims share signatures.
 *
 * Limits: below and in struct mat_gossip_tuning; each has a counter of what it
 * refused (mat-counter.h).
 * Threads: none; one caller at a time.  Errors: a bad datagram is counted by
 * reason and otherwise ignored; nothing a peer sends can fail an assertion. */

#include "mat-coord.h"
#include "mat-counter.h"
#include "mat-host.h"

struct mat_gossip;

enum {
    MAT_GOSSIP_MEMBERS_MAX = 16384,
    MAT_GOSSIP_VMNS_MAX = 16384,        /* Local ones. */
    MAT_GOSSIP_CORRESPONDENTS_MAX = 256,        /* Of one VMN. */
    MAT_GOSSIP_PARCELS_MAX = 16384,     /* Waiting for an acknowledgement. */
    MAT_GOSSIP_OUTPUTS_MAX = 1 << 20,
    MAT_GOSSIP_SEEDS_MAX = 16
};

/* Durations and rates.  mat_gossip_tuning_default() gives the values that
 * docs/gossip.md measures. */
struct mat_gossip_tuning {
    int64_t probe_us;           /* Period of probing: one member each. */
    int64_t probe_timeout_us;   /* Until others are asked to probe too. */
    int64_t probe_dead_us;      /* Period of knocking at a dead member. */
    int64_t sync_us;            /* Period of comparing digests. */
    int64_t rto_min_us, rto_initial_us, rto_max_us;
    int64_t interest_us;        /* How long an interest lasts. */
    int64_t tombstone_us;       /* How long an ended claim is kept. */
    int64_t record_us;          /* ... and a claim of a dead host. */
    int64_t damp_window_us, freeze_us;
    int64_t ghost_us;           /* After a start, until claims that this host
                                 * has forgotten are ended. */
    uint32_t damp_max;          /* Contested claims in the window. */
    uint32_t push_tries;
    uint32_t suspicion_factor;  /* Of log10(members) probe periods. */
    uint32_t spread_direct;     /* Up to this many hosts without a tree. */
    uint32_t spread_fanout;     /* Branches of the tree. */
    uint32_t window;            /* Parcels under way to one peer. */
    uint32_t catchup_bytes_s;   /* What peers that lag may draw from here. */
    uint32_t replies_s, hellos_s, pulls_s;
    uint32_t bytes_s;           /* Of all that this host sends: in a storm of
                                 * moves, claims and repair wait. */
    uint32_t idle_bytes_s;      /* Of what it says without any news. */
    size_t records_max;
};

struct mat_gossip_config {
    uint64_t id;                /* This host, as in its certificate. */
    uint32_t generation;        /* Kept on disk, one more at every start. */
    uint64_t salt;              /* Secret-grade random at every start. */
    uint64_t seed;              /* For choices that need no secrecy. */
    struct mat_endpoint endpoint;
    uint16_t mtu;
    bool all_zones;             /* Keep the records of all zones. */
    uint16_t label;             /* Of the cluster. */
    const uint8_t *cert;        /* Copied. */
    size_t cert_size;
    uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE];
    uint8_t join_keys[2][MAT_SECRET_SIZE];      /* First: send; both: take. */
    struct mat_endpoint seeds[MAT_GOSSIP_SEEDS_MAX];
    size_t n_seeds;
    int64_t wall_s;             /* For the end of certificates. */
    struct mat_crypto crypto;
    struct mat_claim_pool *pool;        /* Shared by engines, or null. */
    struct mat_gossip_tuning tuning;
};

enum mat_member_state {
    MAT_MEMBER_ALIVE,
    MAT_MEMBER_SUSPECT,
    MAT_MEMBER_DEAD,            /* Its records count as unreachable. */
    MAT_MEMBER_LEFT
};

enum mat_vmn_event {
    MAT_VMN_LOST,               /* It is now live on host 'host'. */
    MAT_VMN_CONFLICT,           /* It is live here and on 'host', which has
                                 * the better claim and insists. */
    MAT_VMN_FROZEN,             /* Contested too often: claims are refused
                                 * until mat_gossip_unfreeze() or recovery. */
    MAT_VMN_THAWED,
    MAT_VMN_UNKNOWN             /* mat_gossip_ask(): nobody knows it. */
};

enum mat_output_kind {
    MAT_OUT_SEND,               /* Send 'bytes' to 'to'. */
    MAT_OUT_APPLY,              /* 'old' (or null) became 'claim' (or null). */
    MAT_OUT_MEMBER,             /* Member 'host' is now in 'state'. */
    MAT_OUT_PUSHED,             /* All correspondents have 'key'. */
    MAT_OUT_VMN,                /* 'event' for 'key'. */
    MAT_OUT_GENERATION          /* Keep 'generation' on disk. */
};

/* Pointers are good until the next call of mat_gossip_next(). */
struct mat_output {
    enum mat_output_kind kind;
    struct mat_endpoint to;
    const uint8_t *bytes;
    size_t size;
    bool is_urgent;             /* SEND: a move or an acknowledgement. */
    const struct mat_claim *claim, *old;
    struct mat_key key;
    uint64_t host;
    enum mat_member_state state;
    enum mat_vmn_event event;
    uint32_t generation;
    int64_t elapsed_us;         /* PUSHED: since the claim. */
    uint32_t n_reached, n_failed;       /* PUSHED: hosts. */
};

enum mat_gossip_result {
    MAT_GOSSIP_OK,
    MAT_GOSSIP_FROZEN,          /* The HoA is frozen: see MAT_VMN_FROZEN. */
    MAT_GOSSIP_LIMIT,           /* Table full. */
    MAT_GOSSIP_FORBIDDEN,       /* Outside this host's certificate. */
    MAT_GOSSIP_UNKNOWN          /* No such VMN here. */
};

void mat_gossip_tuning_default(struct mat_gossip_tuning *);

/* Null if the configuration is wrong: certificate not of this host and
 * cluster. */
struct mat_gossip *mat_gossip_create(const struct mat_gossip_config *,
                                     int64_t now_us);
void mat_gossip_destroy(struct mat_gossip *);

/* Events in: network and time.  'data' is overwritten. */
void mat_gossip_receive(struct mat_gossip *, int64_t now_us,
                        const struct mat_endpoint *from,
                        uint8_t *data, size_t size);
void mat_gossip_tick(struct mat_gossip *, int64_t now_us);
void mat_gossip_set_wall(struct mat_gossip *, int64_t wall_s);

/* Events in: VMNs of this host.  'key' is a mat_key_vmn().
 *
 * prepare: it may soon run here, 'moa' is taken for it.  withdraw: it will
 * not.  claim: it runs here.  leaving: it has stopped for a migration (or,
 * with false, goes on here after all).  release: it is destroyed.  port:
 * whether the port that it was on still lives, which decides who is right
 * when two hosts claim it; a claim implies it. */
enum mat_gossip_result mat_gossip_prepare(struct mat_gossip *, int64_t now_us,
                                          const struct mat_key *key,
                                          const struct mat_addr *moa,
                                          const struct mat_mac *);
void mat_gossip_withdraw(struct mat_gossip *, int64_t now_us,
                         const struct mat_key *key);
enum mat_gossip_result mat_gossip_claim(struct mat_gossip *, int64_t now_us,
                                        const struct mat_key *key,
                                        const struct mat_addr *moa,
                                        const struct mat_mac *);
void mat_gossip_leaving(struct mat_gossip *, int64_t now_us,
                        const struct mat_key *key, bool leaving);
void mat_gossip_release(struct mat_gossip *, int64_t now_us,
                        const struct mat_key *key);
void mat_gossip_port(struct mat_gossip *, int64_t now_us,
                     const struct mat_key *key, bool live);
void mat_gossip_unfreeze(struct mat_gossip *, int64_t now_us,
                         const struct mat_key *key);

/* Events in: this host.  zone: it has, or has no more, ports in 'zone', so
 * that records of it are kept although no VMN is known yet.  Counted. */
void mat_gossip_zone(struct mat_gossip *, int64_t now_us, uint32_t zone,
                     bool present);
enum mat_gossip_result mat_gossip_pool(struct mat_gossip *, int64_t now_us,
                                       const struct mat_addr *,
                                       unsigned int plen, bool present);
void mat_gossip_set_endpoint(struct mat_gossip *, int64_t now_us,
                             const struct mat_endpoint *);
void mat_gossip_set_join_keys(struct mat_gossip *,
                              const uint8_t keys[2][MAT_SECRET_SIZE]);
/* Other seeds: at most MAT_GOSSIP_SEEDS_MAX. */
void mat_gossip_set_seeds(struct mat_gossip *, const struct mat_endpoint *,
                          size_t n);

/* A renewed certificate of the same key.  False, and nothing has changed, if
 * it is not that. */
bool mat_gossip_set_cert(struct mat_gossip *, int64_t now_us,
                         const uint8_t *cert, size_t size);
void mat_gossip_leave(struct mat_gossip *, int64_t now_us);

/* Events in: the cluster's operator.  'claim' is a REVOKE claim as
 * mat_gossip_make_revocation() made it with the cluster's identity. */
size_t mat_gossip_make_revocation(const struct mat_crypto *cluster,
                                  uint64_t host, uint32_t serial,
                                  uint8_t claim[MAT_WIRE_DATAGRAM_MAX]);
bool mat_gossip_revoke(struct mat_gossip *, int64_t now_us,
                       const uint8_t *claim, size_t size);

/* Events in: traffic.  accessed: a VMN here exchanges packets with this HoA.
 * ask: a packet is for an address of which nothing is known.  late: 'host'
 * sent a packet for 'key' here, where it was before. */
void mat_gossip_late(struct mat_gossip *, int64_t now_us,
                     const struct mat_key *key, uint64_t host);
void mat_gossip_accessed(struct mat_gossip *, int64_t now_us, uint32_t zone,
                         const struct mat_addr *hoa);
void mat_gossip_ask(struct mat_gossip *, int64_t now_us, uint32_t zone,
                    const struct mat_addr *, bool is_moa);

/* Outputs, and the time by which to call mat_gossip_tick() again. */
bool mat_gossip_next(struct mat_gossip *, struct mat_output *);
int64_t mat_gossip_deadline_us(const struct mat_gossip *);

/* Questions. */
const struct mat_claim *mat_gossip_find(const struct mat_gossip *,
                                        const struct mat_key *);
const struct mat_claim *mat_gossip_lookup(const struct mat_gossip *,
                                          uint32_t zone,
                                          const struct mat_addr *hoa);
const struct mat_claim *mat_gossip_next_claim(const struct mat_gossip *,
                                              size_t *cursor);
bool mat_gossip_is_reachable(const struct mat_gossip *, uint64_t host);
bool mat_gossip_is_frozen(const struct mat_gossip *, const struct mat_key *);
size_t mat_gossip_n_members(const struct mat_gossip *,
                            enum mat_member_state);
/* Predicted round-trip time between two hosts, or -1 if not known. */
int64_t mat_gossip_rtt_us(const struct mat_gossip *, uint64_t a, uint64_t b);
uint64_t mat_gossip_counter(const struct mat_gossip *, enum mat_counter);
/* Digest of all records that concern 'zone': equal on hosts that agree. */
uint64_t mat_gossip_digest(const struct mat_gossip *, uint32_t zone);

#endif /* mat-gossip.h */
