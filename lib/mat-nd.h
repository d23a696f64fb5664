/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_ND_H
#define MAT_ND_H 1

/* IPv6 Neighbor Discovery (RFC 4861, RFC 4862): recognising, and answering
 * neighbor and router solicitations.  The rules on builders are those of
 * mat-reply.h.
 *
 * A guest away from home must not be told about the place it is at, or it
 * would renumber.  The advertisement of the virtual gateway tells it instead
 * what its home told it: a default router, the MTU, and that its home prefix
 * is on the link.  The prefix does not expire, but the default router does,
 * after MAT_RA_LIFETIME_S or what a router at home said; so guests must get
 * an unsolicited one from mat_build_ra() now and then.
 * The autonomous flag is the caller's choice: unset, a guest makes no address
 * from the prefix (right for static and DHCPv6 addresses); set, one that made
 * its home address by SLAAC keeps it for ever instead of losing it when the
 * lifetime learned at home ends, but it may also make temporary addresses
 * that nobody knows. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"
#include "mat-csum.h"
#include "mat-packet.h"

enum {
    MAT_RA_LIFETIME_S = 65535   /* The most that fits (RFC 8319): 18 h. */
};

enum {
    MAT_ND_RS = 133,            /* Router solicitation. */
    MAT_ND_RA = 134,            /* Router advertisement. */
    MAT_ND_NS = 135,            /* Neighbor solicitation. */
    MAT_ND_NA = 136,            /* Neighbor advertisement. */
    MAT_ND_REDIRECT = 137
};

/* Flags of a neighbor advertisement. */
enum {
    MAT_NA_ROUTER = 0x80,
    MAT_NA_SOLICITED = 0x40,
    MAT_NA_OVERRIDE = 0x20
};

struct mat_nd {
    uint8_t type;               /* MAT_ND_*. */
    uint8_t flags;              /* MAT_NA_*, of a neighbor advertisement. */
    bool has_lladdr;
    struct mat_mac lladdr;      /* The option for the source (RS, NS, RA) or
                                 * target (NA, redirect), if 'has_lladdr'. */
    struct mat_addr src, dst;   /* From the IPv6 header. */
    struct mat_addr target;     /* NS, NA, redirect; otherwise ::. */
};

/* True if 'p' is of a Neighbor Discovery type, valid or not.  Such packets
 * never leave their link. */
bool mat_packet_is_nd(const struct mat_packet *p);

/* Reads a Neighbor Discovery packet.  Returns false unless it is valid by RFC
 * 4861 and RFC 6980: hop limit 255, right checksum (judged by 'state'), code
 * 0, whole, no extension headers (only fragmenting is forbidden, but nobody
 * sends others), whole options, target and addresses that suit its type. */
bool mat_nd_parse(const struct mat_packet *p, enum mat_csum_state state,
                  struct mat_nd *);

/* A solicitation for an address before its use (duplicate detection). */
bool mat_nd_is_dad(const struct mat_nd *);

/* An advertisement that nobody asked for: "I have this address". */
bool mat_nd_is_unsolicited(const struct mat_nd *);

/* Answers neighbor solicitation 'nd' in 'request': 'nd->target' is at 'mac'.
 * 'flags' are MAT_NA_ROUTER and MAT_NA_OVERRIDE as wanted.  Goes to the
 * asker, or for duplicate detection to all nodes. */
size_t mat_reply_na(const struct mat_packet *request, const struct mat_nd *nd,
                    const struct mat_mac *mac, uint8_t flags,
                    void *buf, size_t cap);

struct mat_ra {
    struct mat_mac mac;         /* Of the router; its link-local address is
                                 * mat_link_local() of this. */
    struct mat_addr prefix;     /* On the link, with 'plen' > 0. */
    uint8_t plen;               /* 0 for no prefix information. */
    bool autonomous;            /* May addresses be made from the prefix? */
    bool managed;               /* Should the guest ask by DHCPv6? */
    uint16_t mtu;               /* 0 for no MTU option. */
};

/* Answers router solicitation 'nd' in 'request' for its sender alone, or to
 * all nodes if it has no address yet (then the frame goes to the asker's MAC
 * all the same, since others hear of routers by themselves). */
size_t mat_reply_ra(const struct mat_packet *request, const struct mat_nd *nd,
                    const struct mat_ra *, void *buf, size_t cap);

/* The same unasked, untagged, to all nodes in a frame to 'dst' alone. */
size_t mat_build_ra(const struct mat_ra *, const struct mat_mac *dst,
                    void *buf, size_t cap);

/* The link-local address made from 'mac' (modified EUI-64). */
struct mat_addr mat_link_local(const struct mat_mac *mac);

#endif /* mat-nd.h */
