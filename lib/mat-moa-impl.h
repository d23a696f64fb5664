/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MOA_IMPL_H
#define MAT_MOA_IMPL_H 1

/* What the parts of the stock share:
 *
 *   mat-moa.c          events: configuration, taking, giving back, claims
 *   mat-moa-record.c   records of addresses: indexes, lists, numbers
 *   mat-moa-timer.c    time: probing, telling, ends of quarantines; outputs
 *   mat-moa-hear.c     what others say on the links
 *   mat-moa-show.c     questions
 *
 * A record is in one list of one stock: that of its state, or that of the
 * reserved ones.  Lists are in the order of entry, so that what is first has
 * been there longest. */

#include "mat-heap.h"
#include "mat-index.h"
#include "mat-mem.h"
#include "mat-moa-range.h"
#include "mat-neighbor.h"
#include "mat-rng.h"

enum {
    MAT_MOA_LIST_RESERVED = MAT_MOA_N_STATES,
    MAT_MOA_N_LISTS
};

enum {
    MAT_MOA_STOCKS_MAX = (MAT_MOA_UPLINKS_MAX + 1) * 4,
    MAT_MOA_RESTED_MAX = 8192,  /* Of a stock: beyond that the age of the
                                 * oldest is forgotten. */
    MAT_MOA_CLAIMS_MAX = 4096,  /* Of a stock: addresses that nobody here had
                                 * but others claim. */
    MAT_MOA_FRAMES_MAX = 1024   /* That wait to be drained. */
};

/* Which link of a record. */
enum {
    MAT_MOA_LINK_LIST,          /* The list of its state. */
    MAT_MOA_LINK_REPORT,        /* Records to report about. */
    MAT_MOA_N_LINKS
};

struct mat_moa_record {
    struct mat_addr moa;
    struct mat_moa_owner owner; /* If 'is_owned'. */
    uint8_t list;               /* enum mat_moa_state, or RESERVED. */
    uint8_t stock;              /* Index. */
    bool is_inside;             /* In a range. */
    bool is_owned;              /* USED or QUARANTINED, and in the index. */
    bool reserved;
    bool home;
    bool hushed;
    bool is_cold;               /* USED, but nobody knows yet if it is free:
                                 * probed while it is told. */
    bool draining;
    bool tells_conflict, tells_renumber;        /* Reports to make. */
    bool is_reported;           /* In the list of reports. */
    uint8_t n_sent;             /* Probes. */
    uint8_t n_left;             /* Announcements to make. */
    uint32_t n_conflicts;
    int64_t since_us, until_us;
    int64_t conflict_us;        /* The last one counted. */
    int64_t defended_us;
    struct mat_mac conflict_mac;
    struct mat_timer timer;
    struct mat_heap *heap;      /* Of the timer, if it is armed. */
    struct mat_moa_record *hash_next, *owner_next;
    struct {
        struct mat_moa_record *prev, *next;
    } links[MAT_MOA_N_LINKS];
    size_t slot;                /* In 'records'. */
};

struct mat_moa_list {
    struct mat_moa_record *first, *last;
    size_t n;
};

enum mat_moa_level {
    MAT_MOA_LEVEL_ENOUGH,
    MAT_MOA_LEVEL_LOW,
    MAT_MOA_LEVEL_EXHAUSTED
};

/* The addresses of one family by one uplink, on its link or routed. */
struct mat_moa_shelf {
    int uplink;
    bool v6, routed;
    mat_number total;           /* In ranges. */
    size_t n_inside;            /* Of these, with a record. */
    mat_number cursor;          /* Where to look for one without. */
    struct mat_moa_list lists[MAT_MOA_N_LISTS];

    /* Reports. */
    enum mat_moa_level reported, worst;
    bool is_pending;
    int64_t quiet_until_us;

    /* Who claims: one MAC for everything is a router with proxy ARP. */
    struct mat_mac claimer;
    uint32_t n_claims_in_row;
};

struct mat_moa_frame {
    uint8_t uplink;
    uint8_t size;
    uint8_t bytes[MAT_NEIGHBOR_FRAME_MAX];
};

struct mat_moa {
    struct mat_moa_config config;
    struct mat_moa_ranges ranges;
    struct mat_rng rng;
    uint64_t hash_seed;
    int64_t now_us;

    struct mat_moa_record **records;
    size_t n_records, allocated;
    struct mat_index by_addr, by_owner;
    size_t n_reserved;
    struct mat_moa_shelf shelves[MAT_MOA_STOCKS_MAX];

    /* Timers: what must go soon, what can wait, what sends nothing. */
    struct mat_heap urgent, lazy, quiet;
    int64_t credit;             /* In millionths of a frame. */
    int64_t credit_us;          /* As of then. */

    struct mat_moa_frame *frames;       /* A ring of MAT_MOA_FRAMES_MAX. */
    size_t frames_head, n_frames;
    struct mat_moa_list reports;
    struct mat_moa_frame out_frame;
    char out_text[MAT_MOA_TEXT_MAX];
    uint64_t counters[MAT_MOA_N_COUNTERS];
};

/* Records. */

size_t mat_moa_shelf_index(int uplink, bool v6, bool routed);
struct mat_moa_shelf *mat_moa_shelf_of(struct mat_moa *,
                                       const struct mat_moa_record *);
bool mat_moa_shelf_is_up(const struct mat_moa *, const struct mat_moa_shelf *);

/* The place of the shelf of 'addr': that of the range that has it, else of the
 * uplink with its subnet, else of what has no link. */
size_t mat_moa_shelf_for(const struct mat_moa *, const struct mat_addr *addr,
                         bool *is_inside);

/* Makes the shelves anew from 'ranges', all lists empty. */
void mat_moa_shelves_reset(struct mat_moa *);

struct mat_moa_record *mat_moa_record_find(const struct mat_moa *,
                                           const struct mat_addr *);

/* The record of 'addr', made in list FREE if there is none.  Null if there are
 * too many. */
struct mat_moa_record *mat_moa_record_get(struct mat_moa *,
                                          const struct mat_addr *);
void mat_moa_record_free(struct mat_moa *, struct mat_moa_record *);

/* Finds out where the record belongs, and puts it at the end of the list that
 * it says it is in.  It must be in none. */
void mat_moa_record_place(struct mat_moa *, struct mat_moa_record *);

/* Moves the record to the end of 'list' of its shelf; ends its timer. */
void mat_moa_record_set(struct mat_moa *, struct mat_moa_record *,
                        uint8_t list);

void mat_moa_record_own(struct mat_moa *, struct mat_moa_record *,
                        const struct mat_moa_owner *);
void mat_moa_record_disown(struct mat_moa *, struct mat_moa_record *);

/* The first record of the owner in the index; follow 'owner_next' and compare
 * with mat_moa_is_owner(). */
struct mat_moa_record *mat_moa_first_of(const struct mat_moa *,
                                        const struct mat_moa_owner *);
bool mat_moa_is_owner(const struct mat_moa_record *,
                      const struct mat_moa_owner *);

void mat_moa_list_add(struct mat_moa_list *, struct mat_moa_record *,
                      int which);
void mat_moa_list_remove(struct mat_moa_list *, struct mat_moa_record *,
                         int which);

/* Addresses of the shelf that may be given out now or after probing. */
mat_number mat_moa_shelf_untracked(const struct mat_moa_shelf *);
size_t mat_moa_shelf_ready(const struct mat_moa_shelf *);
mat_number mat_moa_shelf_available(const struct mat_moa_shelf *);

/* An address of the shelf without a record; one must be there. */
struct mat_addr mat_moa_shelf_pick(struct mat_moa *, struct mat_moa_shelf *);

/* Time. */

void mat_moa_arm(struct mat_moa *, struct mat_moa_record *,
                 struct mat_heap *, int64_t at_us);
void mat_moa_disarm(struct mat_moa_record *);

/* What a record that has just come into its list does next. */
void mat_moa_start_probing(struct mat_moa *, struct mat_moa_record *);
void mat_moa_start_telling(struct mat_moa *, struct mat_moa_record *,
                           unsigned int n_announcements, bool is_cold);
void mat_moa_tell_later(struct mat_moa *, struct mat_moa_record *,
                        int64_t within_us);
void mat_moa_defend(struct mat_moa *, struct mat_moa_record *);

/* Frees a record or lets it rest. */
void mat_moa_record_rest(struct mat_moa *, struct mat_moa_record *);

void mat_moa_report(struct mat_moa *, struct mat_moa_record *);

/* Fills up the stock and looks for what is to be reported: at the end of each
 * event. */
void mat_moa_settle(struct mat_moa *);

/* Uniform in 0 to 'us'. */
int64_t mat_moa_random_us(struct mat_moa *, int64_t us);

/* Questions. */

void mat_moa_fill_info(const struct mat_moa *, const struct mat_moa_record *,
                       struct mat_moa_info *);
void mat_moa_fill_stock(const struct mat_moa *, const struct mat_moa_shelf *,
                        struct mat_moa_stock *);

#endif /* mat-moa-impl.h */
