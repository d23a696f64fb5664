/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MOA_H
#define MAT_MOA_H 1

/* The stock of mobile addresses (MoAs) of a host.
 *
 * A pure state machine in virtual time.  The operator names ranges of the
 * underlay's addresses; VMNs get MoAs out of them.  So that a move never waits
 * for one, a few are kept ready: already probed for duplicates and known to
 * the router.
 *
 *                  probes sent, nobody objects      router told
 *     free ──> PROBING ──────────────────> PROBED ────────────> WARM <┐
 *      ^          │ somebody has it                              │    │ told
 *      │          v                                         take │    │ again
 *      ├───── CONFLICT <── somebody claims it                    v    │
 *      │                                    take, if not      USED ───┘
 *      └── RESTED <── QUARANTINED <───── release ───────────────┘
 *
 *  - PROBING: ARP probes (RFC 5227) or DAD (RFC 4862) go out.  For IPv6, as
 *    always when something is told, after a multicast listener report, so that
 *    switches that snoop let answers and questions through.
 *  - WARM: the router has heard of it and hears again every 'refresh_us'.
 *  - USED: a VMN has it.  Also told to the router again and again, spread over
 *    'used_refresh_us'.
 *  - QUARANTINED: released; nobody but its last owner gets it until every peer
 *    must have forgotten that it meant that owner.
 *  - RESTED: free, only its age is remembered: the one that was released first
 *    is used again first, and never-used ones before.
 *
 * An address without a record is free: a range may have 2^96 addresses.
 * Ranges that are routed to this host need no probing and no telling; their
 * MoAs are taken directly, and before others.
 *
 * Pool text (mat-pool4, mat-pool6): items separated by commas or spaces,
 *
 *     PREFIX                     10.0.0.64/26
 *     FIRST-LAST                 10.0.0.100-10.0.0.120
 *     routed:...                 routed to this host, so on no link
 *     advertised:...             IPv6: inside of each prefix that routers
 *                                advertise, whose bits are zero here:
 *                                advertised:::1:0:0:0/80
 *     exclude:...                not these, whatever else is said
 *     ...%UPLINK                 by this uplink, if its addresses don't tell
 *
 * where "..." is PREFIX or FIRST-LAST.
 *
 * Each range belongs to the uplink that has it in a subnet; a routed one to
 * all of them, unless it says otherwise.
 *
 * With two uplinks a VMN may have a MoA on each: mat_moa_take() is asked for
 * each by name.  An uplink that is down gives nothing, and what is used there
 * stays; when it comes up, its stock is probed anew and its used MoAs are told
 * again.
 *
 * The caller feeds time and events, then drains mat_moa_next(), then sleeps
 * until mat_moa_deadline_us().  Same seed and events give the same outputs.
 *
 * Limits: below.  Frames: 'frames_s' a second; used MoAs are then told less
 * often.  Errors: what is asked wrongly by an operator gives a sentence.  What
 * others on the link say can cost a MoA of the stock, or make a VMN change its
 * own, no more, and is counted.
 * Threads: none; one caller at a time. */

#include "mat-addr.h"
#include "mat-event.h"
#include "mat-table.h"

enum {
    MAT_MOA_UPLINKS_MAX = 8,
    MAT_MOA_SUBNETS_MAX = 16,   /* Addresses of an uplink. */
    MAT_MOA_ROUTERS_MAX = 4,    /* Of an uplink, per family. */
    MAT_MOA_ADVERTISED_MAX = 8, /* Prefixes of an uplink. */
    MAT_MOA_ITEMS_MAX = 64,     /* Of a pool text. */
    MAT_MOA_RANGES_MAX = 1024,  /* After all exclusions. */
    MAT_MOA_RECORDS_MAX = 131072,       /* Twice the VMNs of a host: used ones
                                         * and those in quarantine. */
    MAT_MOA_RESERVED_MAX = 32768,
    MAT_MOA_CONTESTED = 2,      /* Conflicts after which a used one is given
                                 * up. */
    MAT_MOA_STOCK_MAX = 256,    /* Per family and uplink. */
    MAT_MOA_TEXT_MAX = 512
};

/* The pool text. */

enum mat_moa_item_kind {
    MAT_MOA_ITEM_LINK,          /* On the uplink's link. */
    MAT_MOA_ITEM_ROUTED,
    MAT_MOA_ITEM_ADVERTISED,
    MAT_MOA_ITEM_EXCLUDE
};

struct mat_moa_item {
    enum mat_moa_item_kind kind;
    struct mat_addr first, last;
    char uplink[MAT_PORT_NAME_SIZE];    /* "" if not said. */
};

struct mat_moa_items {
    size_t n;
    struct mat_moa_item items[MAT_MOA_ITEMS_MAX];
};

/* Parses 'text' for IPv4 or IPv6.  False with a sentence that names the item
 * and what to write instead: bad syntax, wrong family, no host addresses, too
 * big, first after last, overlap.  An empty text is an empty pool. */
bool mat_moa_parse(const char *text, bool v6, struct mat_moa_items *,
                   char error[static MAT_MOA_TEXT_MAX]);

/* Writes an item as mat_moa_parse() takes it. */
const char *mat_moa_item_format(const struct mat_moa_item *,
                                char buf[static MAT_MOA_TEXT_MAX]);

/* Configuration. */

struct mat_moa_prefix {
    struct mat_addr addr;
    uint8_t plen;
};

struct mat_moa_uplink {
    char name[MAT_PORT_NAME_SIZE];
    bool up;
    struct mat_mac mac;         /* What answers ARP for our MoAs. */
    size_t n_subnets;           /* The host's own addresses on this link, with
                                 * the prefix length of the link. */
    struct mat_moa_prefix subnets[MAT_MOA_SUBNETS_MAX];
    size_t n_routers[2];        /* [0] IPv4, [1] IPv6 (may be link-local). */
    struct mat_addr routers[2][MAT_MOA_ROUTERS_MAX];
    struct mat_mac router_macs[2][MAT_MOA_ROUTERS_MAX]; /* Zero: not known, so
                                 * what is for it goes to all. */
    size_t n_advertised;        /* On-link prefixes of advertisements. */
    struct mat_moa_prefix advertised[MAT_MOA_ADVERTISED_MAX];
};

struct mat_moa_config {
    struct mat_moa_items pools[2];      /* [0] IPv4, [1] IPv6. */
    size_t n_uplinks;
    struct mat_moa_uplink uplinks[MAT_MOA_UPLINKS_MAX];
    uint32_t stock;             /* Kept ready, per family and uplink. */
    int64_t quarantine_us;
    int64_t conflict_us;        /* How long a claimed one is left alone. */
    int64_t refresh_us;         /* Of warm ones. */
    int64_t used_refresh_us;    /* Of used ones. */
    uint32_t probes;            /* Before an address counts as free. */
    uint32_t frames_s;          /* All frames, at most. */
};

/* No pools and uplinks, and the values that mat-stock and so on have when they
 * are not set. */
void mat_moa_config_default(struct mat_moa_config *);

/* What fits badly: an item that is in no uplink's subnet, contains the
 * network or broadcast address, a router's or the host's own; an uplink that
 * does not exist.  False with a sentence about the first.  Such addresses are
 * never handed out, so the caller may go on all the same. */
bool mat_moa_check(const struct mat_moa_config *,
                   char error[static MAT_MOA_TEXT_MAX]);

struct mat_moa;

struct mat_moa *mat_moa_create(const struct mat_moa_config *, uint64_t seed,
                               int64_t now_us);
void mat_moa_destroy(struct mat_moa *);

/* Changes anything: pools, uplinks' addresses, up and down.  Used MoAs that
 * are in no range any more stay used, and each gives a MAT_MOA_OUT_RENUMBER:
 * the VMN should get another and then release it. */
void mat_moa_configure(struct mat_moa *, int64_t now_us,
                       const struct mat_moa_config *);

/* Taking and giving back. */

struct mat_moa_owner {
    uint32_t zone;
    struct mat_addr hoa;        /* Also says the family. */
};

enum mat_moa_state {
    MAT_MOA_FREE,               /* No record, or RESTED. */
    MAT_MOA_PROBING,
    MAT_MOA_PROBED,
    MAT_MOA_WARM,
    MAT_MOA_USED,
    MAT_MOA_QUARANTINED,
    MAT_MOA_CONFLICT,
    MAT_MOA_N_STATES
};

const char *mat_moa_state_name(enum mat_moa_state);

struct mat_moa_want {
    struct mat_moa_owner owner;
    const char *uplink;         /* Null: any that is up, or routed. */
    struct mat_addr preferred;  /* Zero: no preference. */
    bool home;                  /* If the HoA is in the uplink's subnet, take
                                 * it as MoA.  Let only those VMNs be at home
                                 * whose zone is the underlay's. */
};

struct mat_moa_info {
    struct mat_addr moa;
    enum mat_moa_state state;
    struct mat_moa_owner owner; /* USED, QUARANTINED; else zero. */
    char uplink[MAT_PORT_NAME_SIZE];    /* "" if routed by any. */
    bool routed;
    bool home;                  /* MoA = HoA. */
    bool draining;              /* USED, but in no range any more. */
    bool reserved;              /* See mat_moa_reserve(). */
    uint32_t n_conflicts;       /* Heard while it was used. */
    int64_t since_us;           /* In this state. */
    int64_t until_us;           /* QUARANTINED, CONFLICT: free then. */
};

enum mat_moa_result {
    MAT_MOA_OK,
    MAT_MOA_EXHAUSTED,          /* See mat_moa_advice(). */
    MAT_MOA_NO_POOL,            /* No range of this family on this uplink. */
    MAT_MOA_NO_UPLINK,          /* No such uplink, or down. */
    MAT_MOA_TAKEN,              /* Another VMN has the address. */
    MAT_MOA_BAD,                /* Not a host's address, or bad family. */
    MAT_MOA_FULL                /* MAT_MOA_RECORDS_MAX are used or rest. */
};

const char *mat_moa_strerror(enum mat_moa_result);

/* Takes a MoA.  One that the owner already has on that uplink is returned
 * again, unless it drains or is contested.  Otherwise the first that there is:
 * home, the preferred one if it is good, the one that the owner had last,
 * routed, warm, probed, and when there is nothing else one that is being
 * probed or is just free.  Such a one is probed while it is used: a conflict
 * may yet be reported of it.  '*info' is what it was before ('info->state')
 * and is now (all else). */
enum mat_moa_result mat_moa_take(struct mat_moa *, int64_t now_us,
                                 const struct mat_moa_want *,
                                 struct mat_moa_info *);

/* After a restart: 'moa' is in use by 'owner', as the switch or the disk has
 * it.  Never probed.  Outside of all ranges it drains at once. */
enum mat_moa_result mat_moa_adopt(struct mat_moa *, int64_t now_us,
                                  const struct mat_moa_owner *,
                                  const struct mat_addr *moa);

/* After a restart: 'moa' was released by 'owner' and rests for 'left_us'. */
enum mat_moa_result mat_moa_restore(struct mat_moa *, int64_t now_us,
                                    const struct mat_moa_owner *,
                                    const struct mat_addr *moa,
                                    int64_t left_us);

/* Gives it back: quarantine.  False if it was not used. */
bool mat_moa_release(struct mat_moa *, int64_t now_us,
                     const struct mat_addr *moa);

/* Never hands out 'addr' from now on (or again, with false), since it is
 * somebody's though it lies in a range: a known HoA, a peer's address.  Only
 * its owner may still have a HoA at home.  False if another VMN uses it now
 * or there are MAT_MOA_RESERVED_MAX already. */
bool mat_moa_reserve(struct mat_moa *, int64_t now_us,
                     const struct mat_addr *addr, bool reserved);

/* Tells the link that a used 'moa' is here, three times in some seconds: after
 * its VMN became live.  For a VMN at home this must be called, or nothing is
 * ever told, since until then it lives elsewhere with the same address. */
void mat_moa_announce(struct mat_moa *, int64_t now_us,
                      const struct mat_addr *moa);

/* Tells nothing of a used 'moa' any more: its VMN has left, and another host
 * may speak for it.  A claim of another host does the same at home. */
void mat_moa_hush(struct mat_moa *, int64_t now_us,
                  const struct mat_addr *moa);

/* The network. */

/* A frame came in by an uplink (or the event of the switch about one, which
 * holds its first bytes).  Only ARP and Neighbor Discovery matter. */
void mat_moa_hear(struct mat_moa *, int64_t now_us, const void *frame,
                  size_t size);
void mat_moa_hear_event(struct mat_moa *, int64_t now_us,
                        const struct mat_event *);

/* Decoded: somebody with 'mac' says that it has 'addr', or, if 'asks', would
 * like to have it. */
void mat_moa_claimed(struct mat_moa *, int64_t now_us,
                     const struct mat_addr *addr, const struct mat_mac *mac,
                     bool asks);

void mat_moa_tick(struct mat_moa *, int64_t now_us);

/* Outputs, and the time by which to call mat_moa_tick() again. */

enum mat_moa_output_kind {
    MAT_MOA_OUT_FRAME,          /* Send 'frame' by 'uplink'. */
    MAT_MOA_OUT_CONFLICT,       /* 'mac' claims 'info.moa'.  If that is USED,
                                 * at MAT_MOA_CONTESTED 'info.n_conflicts' or
                                 * more give its owner another (before, it
                                 * was defended).  At home: its VMN may have
                                 * moved to 'mac'. */
    MAT_MOA_OUT_RENUMBER,       /* 'info.owner' should get another MoA. */
    MAT_MOA_OUT_EXHAUSTED,      /* Nothing left: 'text' says what to do. */
    MAT_MOA_OUT_LOW,            /* Soon nothing left: same. */
    MAT_MOA_OUT_ENOUGH          /* The end of either. */
};

/* Pointers are good until the next call of anything. */
struct mat_moa_output {
    enum mat_moa_output_kind kind;
    const char *uplink;         /* "" for routed ranges of all. */
    bool v6;
    const uint8_t *frame;
    size_t size;
    struct mat_moa_info info;
    struct mat_mac mac;
    const char *text;           /* For the log; not for frames. */
};

bool mat_moa_next(struct mat_moa *, struct mat_moa_output *);
int64_t mat_moa_deadline_us(const struct mat_moa *);

/* Questions. */

bool mat_moa_find(const struct mat_moa *, const struct mat_addr *moa,
                  struct mat_moa_info *);

/* The MoA that 'owner' has by 'uplink' (null: by any). */
bool mat_moa_find_owner(const struct mat_moa *, const struct mat_moa_owner *,
                        const char *uplink, struct mat_moa_info *);

/* True if VMNs with this HoA may be at home: it lies in a subnet of an uplink
 * and is not the host's own nor a router's. */
bool mat_moa_is_home(const struct mat_moa *, const struct mat_addr *hoa);

/* Walks all records ('*cursor' starts at 0): for tables and for the disk. */
bool mat_moa_next_info(const struct mat_moa *, size_t *cursor,
                       struct mat_moa_info *);

/* Walks the prefixes that make up all ranges: for the switch's own pools and
 * for peers. */
struct mat_moa_walk {           /* Begins as zeros. */
    size_t range;
    struct mat_addr next;
    bool is_inside;
};

bool mat_moa_next_prefix(const struct mat_moa *, struct mat_moa_walk *,
                         struct mat_moa_prefix *);

/* Whether a prefix, another host's, has an address that is in a range. */
bool mat_moa_overlaps(const struct mat_moa *, const struct mat_moa_prefix *);

/* Numbers of one stock: the MoAs of one family by one uplink, those that are
 * routed apart. */
struct mat_moa_stock {
    const char *uplink;         /* "" for what any uplink does. */
    bool v6;
    bool routed;
    bool up;
    bool exhausted, low;
    uint64_t n_total;           /* Addresses in ranges; UINT64_MAX if more. */
    uint64_t n_free;            /* In no state of 'n', and not reserved. */
    uint64_t n[MAT_MOA_N_STATES];       /* [FREE] is the same as n_free. */
    uint64_t n_draining, n_reserved;
    int64_t next_free_us;       /* End of the oldest quarantine, or never. */
    struct mat_mac claimer;     /* That claims one after the other, or zero:
                                 * a router with proxy ARP. */
};

/* Walks the stocks that have ranges or records. */
bool mat_moa_next_stock(const struct mat_moa *, size_t *cursor,
                        struct mat_moa_stock *);

/* A sentence on how that stock is and what the operator could do. */
const char *mat_moa_advice(const struct mat_moa *,
                           const struct mat_moa_stock *,
                           char buf[static MAT_MOA_TEXT_MAX]);

/* MAT_MOA_COUNTER(ENUM, "name", "meaning") */
#define MAT_MOA_COUNTERS                                                     \
    MAT_MOA_COUNTER(PROBES, "probes", "probes sent")                         \
    MAT_MOA_COUNTER(TOLD, "told", "frames that tell the router of a MoA")    \
    MAT_MOA_COUNTER(ANNOUNCED, "announced", "announcements sent")            \
    MAT_MOA_COUNTER(REPORTED, "reported", "groups of IPv6 MoAs reported")    \
    MAT_MOA_COUNTER(DEFENDED, "defended", "claims of others answered")       \
    MAT_MOA_COUNTER(CONFLICTS, "conflicts", "claims of others heard")        \
    MAT_MOA_COUNTER(TAKEN, "taken", "MoAs given to VMNs")                    \
    MAT_MOA_COUNTER(TAKEN_COLD, "taken-cold", "of these, not yet probed")    \
    MAT_MOA_COUNTER(RELEASED, "released", "MoAs given back")                 \
    MAT_MOA_COUNTER(REFUSED, "refused", "requests without a MoA left")       \
    MAT_MOA_COUNTER(DELAYED, "delayed", "times that frames had to wait")     \
    MAT_MOA_COUNTER(IGNORED, "ignored", "claims beyond what can be kept")

enum mat_moa_counter {
#define MAT_MOA_COUNTER(ENUM, NAME, TEXT) MAT_MOA_COUNT_##ENUM,
    MAT_MOA_COUNTERS
#undef MAT_MOA_COUNTER
    MAT_MOA_N_COUNTERS
};

const char *mat_moa_counter_name(enum mat_moa_counter);
const char *mat_moa_counter_text(enum mat_moa_counter);
uint64_t mat_moa_counter(const struct mat_moa *, enum mat_moa_counter);

#endif /* mat-moa.h */
