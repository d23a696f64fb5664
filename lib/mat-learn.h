/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_LEARN_H
#define MAT_LEARN_H 1

/* Who is on a port: the MACs and HoAs of the VMNs of this host.
 *
 * A binding (port, MAC, HoA) comes from the configuration, or is learned from
 * what the guest says by ARP or Neighbor Discovery.  The source of an IP
 * packet is only a hint (the guest may forward it for others): it makes us ask
 * the guest, who answers if the address is its own.
 *
 * Since a guest may say anything, a port can only speak for what is its own:
 *
 *  - A port with configured MACs speaks with no other.  A port with configured
 *    HoAs, or one that does not learn, has no other.
 *  - What another live port of the zone has, configured or learned, stays
 *    there.  A dead port's goes to who claims it with the same MAC; a live
 *    one's only to a port on which that MAC is configured: two ports of one
 *    VMN, while it moves within the host.  A RARP takes over all that its MAC
 *    has elsewhere, by the same rules.
 *  - At most 'hoas_max' HoAs and 'macs_max' MACs a port.
 *  - A HoA is a host's address, in a subnet of its zone if that has any of
 *    the family, and not the gateway's.
 *
 * What breaks these rules is a violation: counted by port and reason, and
 * reported, but not more often than once a minute each.
 *
 * Age: with 'age_us' above 0, a learned HoA that nobody used for that long
 * while the same MAC used another of the same family is asked for, and goes if
 * there is no answer three times: the guest has changed its address.  A guest
 * that is silent altogether keeps everything, as long as its port is there.
 * Use is what mat_learn_hear() and mat_learn_used() tell.
 *
 * Bindings of a dead port (link down, guest stopped) stay until the port is
 * removed or somebody else takes them.
 *
 * Pure: 'now_us' comes in, changes come out by mat_learn_next(), in order.
 * Limits: below.  Threads: none; one caller at a time. */

#include "mat-addr.h"
#include "mat-event.h"
#include "mat-neighbor.h"
#include "mat-table.h"

enum {
    MAT_LEARN_MACS_MAX = 16,    /* Of a port, whatever 'macs_max'. */
    MAT_LEARN_HOAS_MAX = MAT_HOA_PER_VMN_MAX    /* Likewise. */
};

/* What a guest said. */

enum mat_learn_kind {
    MAT_LEARN_RARP,             /* "This MAC is here": sent after a move. */
    MAT_LEARN_ANNOUNCE,         /* "I have this HoA": GARP, unsolicited NA. */
    MAT_LEARN_SPEAK,            /* Other ARP or NS of a sender. */
    MAT_LEARN_PROBE,            /* "Has anybody this HoA?" */
    MAT_LEARN_PACKET            /* Some packet of this MAC. */
};

struct mat_learn_said {
    enum mat_learn_kind kind;
    struct mat_mac mac;
    bool has_hoa;
    struct mat_addr hoa;        /* PACKET: if not zero, its source. */
};

/* What the event says, out of its first bytes as far as they are there, else
 * out of its members.  False for events of other things, and if both do not
 * go together or make no sense. */
bool mat_learn_decode(const struct mat_event *, struct mat_learn_said *);

/* Ports. */

struct mat_learn_port {
    char name[MAT_PORT_NAME_SIZE];
    uint32_t zone;
    bool live;
    bool learns;                /* HoAs by ARP and ND, if none configured. */
    uint16_t hoas_max, macs_max;
    uint8_t n_macs, n_hoas;     /* Configured. */
    struct mat_mac macs[MAT_LEARN_MACS_MAX];
    struct mat_addr hoas[MAT_LEARN_HOAS_MAX];
};

struct mat_learn;

/* 'age_us' of 0: never. */
struct mat_learn *mat_learn_create(uint64_t seed, int64_t age_us);
void mat_learn_destroy(struct mat_learn *);
void mat_learn_set_age(struct mat_learn *, int64_t age_us);

/* Adds a port, or changes it: bindings that do not fit any more go.  A
 * configured HoA is bound at once if the port has one configured MAC, or has
 * learned one; else when it speaks.  False if there are too many ports. */
bool mat_learn_put_port(struct mat_learn *, int64_t now_us,
                        const struct mat_learn_port *);
bool mat_learn_remove_port(struct mat_learn *, int64_t now_us,
                           const char *name);
bool mat_learn_set_live(struct mat_learn *, int64_t now_us, const char *name,
                        bool live);

/* The HoA subnets and gateways of a zone; a zone that was never put has
 * none. */
void mat_learn_put_zone(struct mat_learn *, int64_t now_us,
                        const struct mat_zone *);
void mat_learn_remove_zone(struct mat_learn *, uint32_t zone);

/* Hearing. */

/* MAT_LEARN_VERDICT(ENUM, "name", "meaning").  The first three are good, the
 * others violations. */
#define MAT_LEARN_VERDICTS                                                   \
    MAT_LEARN_VERDICT(KNOWN, "known", "as bound")                            \
    MAT_LEARN_VERDICT(BOUND, "bound", "a new binding")                       \
    MAT_LEARN_VERDICT(MAC_ONLY, "mac-only", "the MAC is this port's")        \
    MAT_LEARN_VERDICT(NO_PORT, "no-port", "the port is not known")           \
    MAT_LEARN_VERDICT(BAD_MAC, "bad-mac", "not a MAC that a VMN can have")   \
    MAT_LEARN_VERDICT(OTHER_MAC, "other-mac", "not the configured MAC")      \
    MAT_LEARN_VERDICT(STOLEN_MAC, "stolen-mac", "MAC of another port")       \
    MAT_LEARN_VERDICT(MACS, "macs", "more MACs than mat-macs-max")           \
    MAT_LEARN_VERDICT(BAD_HOA, "bad-hoa", "not a host's address")            \
    MAT_LEARN_VERDICT(OTHER_HOA, "other-hoa", "not the configured HoA")      \
    MAT_LEARN_VERDICT(OTHER_SUBNET, "other-subnet",                          \
                      "HoA in no subnet of the zone")                        \
    MAT_LEARN_VERDICT(GATEWAY, "gateway", "HoA of the gateway")              \
    MAT_LEARN_VERDICT(STOLEN_HOA, "stolen-hoa", "HoA of another port")       \
    MAT_LEARN_VERDICT(TWO_MACS, "two-macs",                                  \
                      "HoA of another MAC, a moment ago")                    \
    MAT_LEARN_VERDICT(HOAS, "hoas", "more HoAs than mat-hoas-max")

enum mat_learn_verdict {
#define MAT_LEARN_VERDICT(ENUM, NAME, TEXT) MAT_LEARN_##ENUM,
    MAT_LEARN_VERDICTS
#undef MAT_LEARN_VERDICT
    MAT_LEARN_N_VERDICTS
};

const char *mat_learn_verdict_name(enum mat_learn_verdict);
const char *mat_learn_verdict_text(enum mat_learn_verdict);

static inline bool
mat_learn_is_violation(enum mat_learn_verdict verdict)
{
    return verdict > MAT_LEARN_MAC_ONLY;
}

/* Judges what was said on a port, and binds it if that is good.  A probe binds
 * nothing, as the answer may be no, and neither does a packet. */
enum mat_learn_verdict mat_learn_hear(struct mat_learn *, int64_t now_us,
                                      const char *port,
                                      const struct mat_learn_said *);

/* 'hoa' was used by its VMN (the switch marks mappings that are). */
void mat_learn_used(struct mat_learn *, int64_t now_us, uint32_t zone,
                    const struct mat_addr *hoa);

/* A binding that was saved: as if it had been heard, but never a violation.
 * False if the rules forbid it. */
bool mat_learn_restore(struct mat_learn *, int64_t now_us, const char *port,
                       const struct mat_mac *, const struct mat_addr *hoa);

/* Takes a learned HoA away: its VMN lives elsewhere now, for certain. */
bool mat_learn_forget(struct mat_learn *, int64_t now_us, uint32_t zone,
                      const struct mat_addr *hoa);

void mat_learn_tick(struct mat_learn *, int64_t now_us);
int64_t mat_learn_deadline_us(const struct mat_learn *);

/* Changes out. */

enum mat_learn_change_kind {
    MAT_LEARN_CHANGE_BOUND,     /* Here is a VMN. */
    MAT_LEARN_CHANGE_UNBOUND,   /* There is none any more: 'why'. */
    MAT_LEARN_CHANGE_VIOLATION, /* 'verdict', 'n' times since last told;
                                 * 'other' is the port that has it. */
    MAT_LEARN_CHANGE_ASK        /* Send 'frame' to the port. */
};

enum mat_learn_why {
    MAT_LEARN_WHY_PORT,         /* The port was removed. */
    MAT_LEARN_WHY_CONFIG,       /* It does not fit the port any more. */
    MAT_LEARN_WHY_AGE,
    MAT_LEARN_WHY_TAKEN,        /* By port 'other', see the next change. */
    MAT_LEARN_WHY_FORGET        /* mat_learn_forget(). */
};

const char *mat_learn_why_text(enum mat_learn_why);

struct mat_learn_binding {
    char port[MAT_PORT_NAME_SIZE];
    uint32_t zone;
    struct mat_mac mac;
    struct mat_addr hoa;
    bool configured;            /* The HoA is. */
    int64_t bound_us, used_us;
};

struct mat_learn_change {
    enum mat_learn_change_kind kind;
    struct mat_learn_binding binding;   /* As far as there is one. */
    enum mat_learn_why why;
    enum mat_learn_verdict verdict;
    char other[MAT_PORT_NAME_SIZE];     /* "" if none. */
    uint64_t n;
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];
    size_t frame_size;
};

bool mat_learn_next(struct mat_learn *, struct mat_learn_change *);

/* Questions. */

bool mat_learn_find(const struct mat_learn *, uint32_t zone,
                    const struct mat_addr *hoa, struct mat_learn_binding *);

/* The bindings of a port, in the order in which they came: with 'i' from 0
 * until it returns false. */
bool mat_learn_get(const struct mat_learn *, const char *port, size_t i,
                   struct mat_learn_binding *);

/* The MACs of a port, likewise, with or without HoAs. */
bool mat_learn_get_mac(const struct mat_learn *, const char *port, size_t i,
                       struct mat_mac *);

/* The port whose MAC this is: configured or learned; a live one first.  Null
 * if there is none. */
const char *mat_learn_find_mac(const struct mat_learn *, uint32_t zone,
                               const struct mat_mac *);

/* How often a verdict was given for a port (null: for all of them). */
uint64_t mat_learn_count(const struct mat_learn *, const char *port,
                         enum mat_learn_verdict);

#endif /* mat-learn.h */
