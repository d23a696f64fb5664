/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_EVENT_H
#define MAT_EVENT_H 1

/* Events: what the datapath tells whoever wants to know, and the rings that
 * carry it.
 *
 * The datapath must never wait for a listener, so an event is put into a ring
 * that overwrites its oldest slot.  A ring has one producer, a thread of the
 * datapath; any number of consumers read it, each with cursors of its own that
 * the producer knows nothing of.  A consumer that was too slow learns how many
 * events it has lost.
 *
 * All rings lie in one region of memory, which the producer's process makes
 * and shares with consumers, who may map it read-only:
 *
 *   0        +-----------------------------------------------+
 *            | magic "MATE" | version      | n_rings         |  u32 each
 *            | n_slots      | slot_size    | ring_size       |
 *            | zeros up to 64 bytes                          |
 *   64       +-----------------------------------------------+
 *            | ring 0:  u64 head, the number of events ever  |
 *            |          put; zeros up to 64 bytes            |
 *            |          n_slots of struct mat_event          |
 *            +-----------------------------------------------+
 *            | ring 1 ...                                    |
 *
 * All numbers are in the host's byte order: a region never leaves its host.
 *
 * Event number n, from 0, goes to slot n % n_slots, whose 'sequence' becomes
 * n + 1; it is 0 while the producer writes.  A consumer that finds the same
 * sequence before and after it copied the slot has a whole event.
 *
 * Threads: mat_event_put() by one thread per ring; everything of a reader by
 * one thread per reader. */

#include "mat-addr.h"

enum {
    MAT_EVENT_MAGIC = 0x4d415445,   /* "MATE". */
    MAT_EVENT_VERSION = 1,
    MAT_EVENT_HEAD_SIZE = 72,       /* Ethernet, VLAN, IPv6, and the start of
                                     * what follows; or a port's name. */
    MAT_EVENT_RINGS_MAX = 64,       /* More threads than that share one. */
    MAT_EVENT_SLOTS_MAX = 1 << 20
};

/* MAT_EVENT(ENUM, "name", "meaning") */
#define MAT_EVENTS                                                          \
    MAT_EVENT(RARP, "rarp", "RARP of a VMN, sent after a move")             \
    MAT_EVENT(GARP, "garp", "gratuitous ARP of a VMN")                      \
    MAT_EVENT(ARP_PROBE, "arp-probe", "VMN asks if its HoA is free")        \
    MAT_EVENT(ARP, "arp", "other ARP of a VMN")                             \
    MAT_EVENT(NA, "na", "unsolicited neighbour advertisement of a VMN")     \
    MAT_EVENT(DAD, "dad", "VMN asks if its IPv6 HoA is free")               \
    MAT_EVENT(NS, "ns", "other neighbour solicitation of a VMN")            \
    MAT_EVENT(RS, "rs", "router solicitation of a VMN")                     \
    MAT_EVENT(DHCP, "dhcp", "DHCP of a VMN")                                \
    MAT_EVENT(NEW_SOURCE, "new-source", "MAC or HoA not known on its port") \
    MAT_EVENT(SPOOF, "spoof", "source address that is another's")           \
    MAT_EVENT(MISS_HOA, "miss-hoa", "no mapping for a destination HoA")     \
    MAT_EVENT(MISS_MOA, "miss-moa", "no mapping for a source MoA")          \
    MAT_EVENT(UNASSIGNED, "unassigned", "packet to a MoA that no VMN has")  \
    MAT_EVENT(REDIRECTED, "redirected", "packet to a VMN that has left")    \
    MAT_EVENT(CONFLICT, "conflict", "somebody claims a MoA of our pool")     \
    MAT_EVENT(HELD, "held", "first packet held for a VMN or a mapping")     \
    MAT_EVENT(HOLD_EXPIRED, "hold-expired", "held packets were dropped")    \
    MAT_EVENT(PORT_ATTACHED, "port-attached", "the datapath has a port")    \
    MAT_EVENT(PORT_DETACHED, "port-detached", "the datapath lost a port")   \
    MAT_EVENT(PORT_LIVE, "port-live", "link or guest's rings are up")       \
    MAT_EVENT(PORT_DEAD, "port-dead", "link or guest's rings are down")

enum mat_event_type {
#define MAT_EVENT(ENUM, NAME, TEXT) MAT_EVENT_##ENUM,
    MAT_EVENTS
#undef MAT_EVENT
    MAT_N_EVENTS
};

/* One event, also as it lies in a ring.  Members that mean nothing for a type
 * are zero. */
struct mat_event {
    uint64_t sequence;          /* Set by mat_event_put(). */
    uint64_t time_ns;           /* CLOCK_MONOTONIC. */
    uint32_t zone;
    uint32_t odp_port;          /* Where the packet came in. */
    struct mat_addr addr;       /* The address it is about. */
    struct mat_mac mac;         /* The source's. */
    uint16_t type;              /* enum mat_event_type. */
    uint16_t frame_size;        /* Of the whole packet. */
    uint16_t head_size;         /* Bytes used of 'head'. */
    uint32_t suppressed;        /* Events not put before this one, for there
                                 * were too many. */
    uint8_t head[MAT_EVENT_HEAD_SIZE];  /* The packet's first bytes; for events
                                         * of ports, the name. */
};

/* "?" for a number that is no type. */
const char *mat_event_name(unsigned int type);
const char *mat_event_text(unsigned int type);

/* Keeps the first bytes of 'frame' in the event. */
void mat_event_set_frame(struct mat_event *, const void *frame, size_t size);

/* The producer's side.  'n_slots' is a power of two. */
size_t mat_event_region_size(unsigned int n_rings, unsigned int n_slots);
void mat_event_region_init(void *region, unsigned int n_rings,
                           unsigned int n_slots);

/* Puts 'event' into ring 'index' of 'region', made with 'n_slots'.  Never
 * waits.  Whatever others may have written to the region, nothing outside of
 * the ring is touched. */
void mat_event_put(void *region, unsigned int n_slots, unsigned int index,
                   const struct mat_event *event);

/* The consumer's side. */
struct mat_event_reader {
    const void *region;
    unsigned int n_rings, n_slots;
    unsigned int turn;          /* The ring to look at next. */
    uint64_t n_lost;            /* Events that were overwritten unread. */
    uint64_t cursors[MAT_EVENT_RINGS_MAX];
};

/* Begins to read with the next event that is put, or, if 'from_oldest', with
 * the oldest there is.  False if the region is not one of ours: nothing of it
 * is trusted. */
bool mat_event_reader_init(struct mat_event_reader *, const void *region,
                           size_t size, bool from_oldest);

/* Takes the next event from any ring, the rings in turn.  False if there is
 * none. */
bool mat_event_reader_next(struct mat_event_reader *, struct mat_event *);

#endif /* mat-event.h */
