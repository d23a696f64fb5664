/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_LEARN_IMPL_H
#define MAT_LEARN_IMPL_H 1

/* What the parts of learning share: mat-learn.c has the rules, and
 * mat-learn-store.c what is known: ports, their MACs, bindings.
 *
 * A HoA of a zone has at most one binding; a MAC may be on several ports. */

#include "mat-index.h"
#include "mat-learn.h"
#include "mat-mem.h"

enum {
    MAT_LEARN_PORTS_MAX = MAT_TABLE_PORTS_MAX
};

struct mat_learn_place;

/* A MAC on a port: configured, or heard there. */
struct mat_learn_mac {
    struct mat_learn_place *place;
    struct mat_mac mac;
    bool configured;
    int64_t heard_us;
    struct mat_learn_mac *hash_next;
};

struct mat_learn_bind {
    struct mat_learn_place *place;
    struct mat_mac mac;
    struct mat_addr hoa;
    bool configured;
    uint8_t n_asked;            /* Since it was used. */
    int64_t bound_us, used_us;
    struct mat_learn_bind *hash_next;
};

/* A port and what it has, in the order in which it came. */
struct mat_learn_place {
    struct mat_learn_port port;
    size_t n_macs, n_binds;
    struct mat_learn_mac *macs[MAT_LEARN_MACS_MAX];
    struct mat_learn_bind *binds[MAT_LEARN_HOAS_MAX];
    uint64_t counts[MAT_LEARN_N_VERDICTS];
    uint64_t untold[MAT_LEARN_N_VERDICTS];
    int64_t told_us[MAT_LEARN_N_VERDICTS];
    bool has_asked;
    int64_t asked_us;
    struct mat_learn_place *hash_next;
    size_t slot;
};

struct mat_learn {
    uint64_t seed;
    int64_t age_us;
    int64_t next_scan_us;
    size_t scan;                /* The place to look at next. */
    bool is_asking;             /* Some guest, in this round. */
    struct mat_learn_place **places;
    size_t n_places, allocated;
    struct mat_index by_name, by_mac, by_hoa;
    struct mat_index zones;     /* Zone plus 1 to struct mat_zone. */
    struct mat_learn_change *changes;   /* A queue from 'changes_head'. */
    size_t changes_head, n_changes, changes_allocated;
    uint64_t n_no_port;
    bool has_freed;             /* Some binding, so that a port that was
                                 * refused it may get it now. */
};

struct mat_learn_place *mat_learn_place_find(const struct mat_learn *,
                                             const char *name);
struct mat_learn_place *mat_learn_place_add(struct mat_learn *,
                                            const char *name);
void mat_learn_place_free(struct mat_learn *, struct mat_learn_place *);

struct mat_learn_mac *mat_learn_mac_find(const struct mat_learn_place *,
                                         const struct mat_mac *);

/* The place must have room. */
struct mat_learn_mac *mat_learn_mac_add(struct mat_learn *,
                                        struct mat_learn_place *,
                                        const struct mat_mac *,
                                        bool configured, int64_t now_us);
void mat_learn_mac_free(struct mat_learn *, struct mat_learn_mac *);

/* The MACs of all ports with that hash: follow 'hash_next', compare both. */
struct mat_learn_mac *mat_learn_first_mac(const struct mat_learn *,
                                          uint32_t zone,
                                          const struct mat_mac *);
bool mat_learn_is_mac(const struct mat_learn_mac *, uint32_t zone,
                      const struct mat_mac *);

struct mat_learn_bind *mat_learn_bind_find(const struct mat_learn *,
                                           uint32_t zone,
                                           const struct mat_addr *hoa);

/* Adds a binding (the place must have room), or takes one away, and says
 * so. */
struct mat_learn_bind *mat_learn_bind_add(struct mat_learn *,
                                          struct mat_learn_place *,
                                          const struct mat_mac *,
                                          const struct mat_addr *hoa,
                                          bool configured, int64_t now_us);
void mat_learn_bind_use(struct mat_learn_bind *, int64_t now_us);
void mat_learn_bind_free(struct mat_learn *, struct mat_learn_bind *,
                         enum mat_learn_why, const char *other);

/* A new change at the end of the queue, with zeros. */
struct mat_learn_change *mat_learn_change_add(struct mat_learn *);

const struct mat_zone *mat_learn_zone_find(const struct mat_learn *,
                                           uint32_t zone);

/* Questions to the guest of a port, not too many: "where is 'hoa'?" */
bool mat_learn_may_ask(const struct mat_learn_place *, int64_t now_us);
void mat_learn_ask(struct mat_learn *, struct mat_learn_place *,
                   const struct mat_mac *, const struct mat_addr *hoa,
                   int64_t now_us);

/* Whether a learned HoA is not used any more while another one is. */
bool mat_learn_is_old(const struct mat_learn *, const struct mat_learn_bind *,
                      int64_t now_us);

#endif /* mat-learn-impl.h */
