/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_PACKET_H
#define MAT_PACKET_H 1

/* What is in a frame: a bounded parse of Ethernet, VLAN tags and IP.
 *
 * mat_packet_parse() walks the headers of a frame once and notes where they
 * are.  It reads no byte outside of [data, data + size) and follows at most
 * MAT_PACKET_EXT_MAX extension headers.  What it returns is either
 * MAT_PACKET_MALFORMED, or headers that are wholly there: for an IP packet
 * with an 'l4_ofs', the fixed header of the upper layer too, so that readers
 * and mat_rewrite() need no further checks.
 *
 * Malformed are frames cut off anywhere in these headers, lengths that
 * contradict each other, first fragments too short for their upper layer
 * header (RFC 1858, RFC 7112), and IPv6 packets from or to an IPv4-mapped
 * address, which as struct mat_addr would pass for IPv4.
 *
 * The quoted packet in an ICMP error may end anywhere: mat_packet_quote() is
 * lenient where mat_packet_parse() is strict, and gives the quoted packet as
 * another struct mat_packet in the same frame.
 *
 * A struct mat_packet borrows the frame; it is valid until the frame moves or
 * its headers change their size. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "mat-addr.h"

enum mat_packet_kind {
    MAT_PACKET_MALFORMED,       /* Nothing else in the struct is valid. */
    MAT_PACKET_OTHER,           /* Some other EtherType, or more VLAN tags. */
    MAT_PACKET_ARP,             /* Not looked into: see mat_arp_parse(). */
    MAT_PACKET_RARP,
    MAT_PACKET_IPV4,
    MAT_PACKET_IPV6
};

enum {
    MAT_PACKET_VLANS_MAX = 2,   /* 802.1Q in 802.1ad. */
    MAT_PACKET_EXT_MAX = 8,     /* Twice what RFC 8200 has in its order. */
    MAT_PACKET_NO_L4 = 0xffff   /* For 'l4_ofs'. */
};

/* Flags. */
enum {
    MAT_PACKET_FRAG_FIRST = 1 << 0, /* More follow, this has offset 0. */
    MAT_PACKET_FRAG_LATER = 1 << 1, /* Offset is not 0: no upper layer. */
    MAT_PACKET_DF = 1 << 2,         /* IPv4 "don't fragment", all IPv6. */
    MAT_PACKET_OPTIONS = 1 << 3,    /* IPv4 options or IPv6 ext. headers. */

    /* A source route with hops to go (IPv4 LSRR or SSRR, IPv6 routing header
     * with segments left): the address in the IP header is the next hop and
     * not the one in the pseudo header. */
    MAT_PACKET_ROUTED = 1 << 4,

    MAT_PACKET_ICMP_ERROR = 1 << 5, /* ICMP or ICMPv6 error, first part. */
    MAT_PACKET_L2_MULTI = 1 << 6,   /* To an Ethernet group or broadcast. */
    MAT_PACKET_L3_MULTI = 1 << 7,   /* To an IP group or 255.255.255.255. */
    MAT_PACKET_MARTIAN = 1 << 8     /* See mat_addr_scope(): no router may
                                     * forward this, whatever its table. */
};

/* EtherTypes and protocols, in host byte order. */
enum {
    MAT_ETH_IPV4 = 0x0800,
    MAT_ETH_ARP = 0x0806,
    MAT_ETH_RARP = 0x8035,
    MAT_ETH_VLAN = 0x8100,
    MAT_ETH_QINQ = 0x88a8,
    MAT_ETH_IPV6 = 0x86dd
};

enum {
    MAT_PROTO_ICMP = 1,
    MAT_PROTO_TCP = 6,
    MAT_PROTO_UDP = 17,
    MAT_PROTO_DCCP = 33,
    MAT_PROTO_ICMPV6 = 58,
    MAT_PROTO_SCTP = 132,
    MAT_PROTO_MOBILITY = 135,
    MAT_PROTO_UDPLITE = 136
};

/* Sizes of headers without options. */
enum {
    MAT_ETH_LEN = 14,
    MAT_VLAN_LEN = 4,
    MAT_IPV4_LEN = 20,
    MAT_IPV6_LEN = 40,
    MAT_ICMP_LEN = 8            /* Of an error, before the quoted packet. */
};

struct mat_packet {
    uint8_t *data;              /* The frame, from its Ethernet header. */
    uint32_t size;              /* Of the frame, without padding known to the
                                 * caller. */
    uint32_t end;               /* Offset after the IP packet, <= size.  For
                                 * a quoted packet: after what there is. */
    uint16_t l3_ofs;            /* Offset of what follows the tags. */
    uint16_t l4_ofs;            /* Of the upper layer, or MAT_PACKET_NO_L4: a
                                 * later fragment, or nothing there. */
    uint16_t eth_type;          /* After the tags, host byte order. */
    uint16_t flags;             /* MAT_PACKET_*. */
    uint8_t kind;               /* enum mat_packet_kind. */
    uint8_t proto;              /* Of the upper layer, also in fragments. */
    uint8_t n_vlans;
};

/* Parses the frame of 'size' bytes at 'data' into '*p' and returns its
 * kind. */
enum mat_packet_kind mat_packet_parse(struct mat_packet *p,
                                      void *data, uint32_t size);

/* If 'p' is an ICMP error that quotes a packet of the same family with at
 * least its fixed IP header, stores it in '*quote' and returns true.  The
 * 'l4_ofs' of a quote tells where its upper layer begins, but of that any
 * number of bytes may be missing, also all: use quote->end. */
bool mat_packet_quote(const struct mat_packet *p, struct mat_packet *quote);

/* Offset of the checksum field in the header of upper layer 'proto' if that
 * checksum covers a pseudo header with the addresses, otherwise -1.  'v6' is
 * needed as ICMPv6 in IPv4 is not ICMPv6. */
static inline int
mat_packet_csum_ofs(uint8_t proto, bool v6)
{
    switch (proto) {
    case MAT_PROTO_TCP:
        return 16;
    case MAT_PROTO_UDP:
    case MAT_PROTO_UDPLITE:
    case MAT_PROTO_DCCP:
        return 6;
    case MAT_PROTO_ICMPV6:
        return v6 ? 2 : -1;
    case MAT_PROTO_MOBILITY:
        return v6 ? 4 : -1;
    default:
        return -1;
    }
}

/* Reading fields.  The packet must have what is asked for. */

static inline uint16_t
mat_get_be16(const void *p_)
{
    const uint8_t *p = p_;

    return (uint16_t) (p[0] << 8 | p[1]);
}

static inline uint32_t
mat_get_be32(const void *p_)
{
    const uint8_t *p = p_;

    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}

static inline bool
mat_packet_is_ip(const struct mat_packet *p)
{
    return p->kind == MAT_PACKET_IPV4 || p->kind == MAT_PACKET_IPV6;
}

static inline uint8_t *
mat_packet_l3(const struct mat_packet *p)
{
    return p->data + p->l3_ofs;
}

static inline uint8_t *
mat_packet_l4(const struct mat_packet *p)
{
    return p->data + p->l4_ofs;
}

static inline bool
mat_packet_has_l4(const struct mat_packet *p)
{
    return p->l4_ofs != MAT_PACKET_NO_L4;
}

/* Size of the IP packet, what the MTU of a link limits. */
static inline uint32_t
mat_packet_ip_size(const struct mat_packet *p)
{
    return p->end - p->l3_ofs;
}

static inline struct mat_addr
mat_packet_src(const struct mat_packet *p)
{
    return p->kind == MAT_PACKET_IPV4
           ? mat_addr_from_v4(mat_packet_l3(p) + 12)
           : mat_addr_from_v6(mat_packet_l3(p) + 8);
}

static inline struct mat_addr
mat_packet_dst(const struct mat_packet *p)
{
    return p->kind == MAT_PACKET_IPV4
           ? mat_addr_from_v4(mat_packet_l3(p) + 16)
           : mat_addr_from_v6(mat_packet_l3(p) + 24);
}

static inline uint8_t
mat_packet_ttl(const struct mat_packet *p)
{
    return mat_packet_l3(p)[p->kind == MAT_PACKET_IPV4 ? 8 : 7];
}

static inline struct mat_mac
mat_packet_eth_src(const struct mat_packet *p)
{
    struct mat_mac mac;

    memcpy(&mac, p->data + 6, sizeof mac);
    return mac;
}

static inline struct mat_mac
mat_packet_eth_dst(const struct mat_packet *p)
{
    struct mat_mac mac;

    memcpy(&mac, p->data, sizeof mac);
    return mac;
}

/* VLAN ID of the outermost tag, 0 if there is none. */
static inline uint16_t
mat_packet_vid(const struct mat_packet *p)
{
    return p->n_vlans ? mat_get_be16(p->data + 14) & 0xfff : 0;
}

/* Type and code of an ICMP or ICMPv6 message with 'l4_ofs'. */
static inline uint8_t
mat_packet_icmp_type(const struct mat_packet *p)
{
    return mat_packet_l4(p)[0];
}

static inline uint8_t
mat_packet_icmp_code(const struct mat_packet *p)
{
    return mat_packet_l4(p)[1];
}

/* What kind of destination or source an address is.  Only MAT_SCOPE_HOST may
 * be forwarded by a router as source and as destination (RFC 1812, RFC 4291,
 * RFC 6890); a packet with another scope on either side has
 * MAT_PACKET_MARTIAN. */
enum mat_addr_scope {
    MAT_SCOPE_HOST,
    MAT_SCOPE_UNSPECIFIED,      /* 0.0.0.0/8, ::. */
    MAT_SCOPE_LOOPBACK,         /* 127.0.0.0/8, ::1. */
    MAT_SCOPE_LINK_LOCAL,       /* 169.254.0.0/16, fe80::/10. */
    MAT_SCOPE_MULTICAST,        /* 224.0.0.0/4, ff00::/8. */
    MAT_SCOPE_BROADCAST,        /* 255.255.255.255. */
    MAT_SCOPE_RESERVED          /* 240.0.0.0/4. */
};

enum mat_addr_scope mat_addr_scope(const struct mat_addr *);

#endif /* mat-packet.h */
