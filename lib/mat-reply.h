/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_REPLY_H
#define MAT_REPLY_H 1

/* Answers that the switch gives by itself: ARP, echo, ICMP errors.  (See
 * mat-nd.h and mat-dhcp.h for more.)
 *
 * A builder writes a complete frame to 'buf', which has room for 'cap' bytes
 * and must not overlap the request, and returns its size.  It returns 0 if the
 * frame does not fit or if the request must not be answered.  MAT_REPLY_MAX
 * bytes suffice for everything but an echo, whose answer is never larger than
 * its request.  The answer goes to the Ethernet source of the request and
 * carries the request's VLAN tags.  No padding to the minimum of Ethernet is
 * added, and all checksums are full.
 *
 * Who is answered, what with and how often is the caller's policy; the rules
 * of RFC 1122, 1812 and 4443 on what must never cause an error are kept
 * here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"
#include "mat-csum.h"
#include "mat-packet.h"

enum {
    /* The longest: Ethernet, two tags, an IPv6 packet of the minimum MTU. */
    MAT_REPLY_MAX = MAT_ETH_LEN + 2 * MAT_VLAN_LEN + 1280
};

/* ARP. */

struct mat_arp {
    uint16_t op;                /* MAT_ARP_*. */
    struct mat_mac sha, tha;    /* Sender and target hardware address. */
    struct mat_addr spa, tpa;   /* Sender and target IPv4 address. */
};

enum {
    MAT_ARP_REQUEST = 1,
    MAT_ARP_REPLY = 2,
    MAT_RARP_REQUEST = 3,
    MAT_RARP_REPLY = 4
};

/* Reads a frame of kind ARP or RARP.  Returns false unless it is a whole ARP
 * packet for Ethernet and IPv4 with an 'op' that goes with its EtherType and
 * a unicast sender MAC. */
bool mat_arp_parse(const struct mat_packet *, struct mat_arp *);

/* A request for an address before its use, without a sender (RFC 5227).  The
 * answer "it is taken" is mat_reply_arp(). */
bool mat_arp_is_probe(const struct mat_arp *);

/* A request or reply that says "I have this address" to everybody: sender and
 * target address are the same, or (as of RFC 5227) an announcement. */
bool mat_arp_is_gratuitous(const struct mat_arp *);

/* Answers ARP request 'arp' in 'request': 'arp->tpa' is at 'mac'. */
size_t mat_reply_arp(const struct mat_packet *request,
                     const struct mat_arp *arp, const struct mat_mac *mac,
                     void *buf, size_t cap);

/* Echo. */

/* True if 'p' is an ICMP or ICMPv6 echo request that mat_reply_echo() may
 * answer: whole, to a unicast address. */
bool mat_packet_is_echo_request(const struct mat_packet *p);

/* Answers the echo request in 'request', whose destination is ours, from
 * 'mac'.  A wrong checksum (judged by 'state') is not answered. */
size_t mat_reply_echo(const struct mat_packet *request,
                      enum mat_csum_state state, const struct mat_mac *mac,
                      void *buf, size_t cap);

/* ICMP and ICMPv6 errors. */

enum mat_error_kind {
    MAT_ERROR_TTL,              /* Time exceeded in transit. */
    MAT_ERROR_TOO_BIG,          /* Packet too big; IPv4 only with DF. */
    MAT_ERROR_UNREACHABLE,      /* No such host, or it is not there. */
    MAT_ERROR_PROHIBITED        /* Administratively prohibited. */
};

struct mat_error {
    enum mat_error_kind kind;
    uint16_t mtu;               /* For MAT_ERROR_TOO_BIG. */
    struct mat_addr src;        /* The router that complains. */
    struct mat_mac mac;         /* Its MAC. */
};

/* True if an error may be sent to the source of 'p' at all.  Not about an
 * error (or redirect), a later fragment, a frame or packet to a group or
 * broadcast, or a source that is no single host. */
bool mat_error_allowed(const struct mat_packet *p);

/* Builds the error 'e' about 'p', to the source of 'p', quoting as much as
 * fits in 576 (IPv4) or 1280 (IPv6) bytes. */
size_t mat_reply_error(const struct mat_packet *p, const struct mat_error *e,
                       void *buf, size_t cap);

#endif /* mat-reply.h */
