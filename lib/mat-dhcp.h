/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_DHCP_H
#define MAT_DHCP_H 1

/* DHCP (RFC 2131) and DHCPv6 (RFC 8415) for guests: tells a guest what it
 * already has.  The rules on builders are those of mat-reply.h.
 *
 * A guest that got its home address by DHCP renews it, and asks again when it
 * reboots, wherever it is by then.  The switch answers for the virtual
 * gateway, always with the guest's own home address, so it needs neither a
 * server nor state.  The lease is MAT_DHCP_LEASE_S.
 *
 * A guest that asks for an address that is not its own gets no answer, never
 * a refusal (NAK), which would make it drop its address at once: after some
 * tries it asks for any address, and gets its own.  The same for a request
 * meant for another server. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"
#include "mat-csum.h"
#include "mat-packet.h"

enum {
    /* A week.  The address is the guest's for good, so this only bounds how
     * long a guest keeps what else it was told; clients cope better with a
     * number than with "infinite".  Renewed after half of it. */
    MAT_DHCP_LEASE_S = 7 * 24 * 3600,

    MAT_DHCP_DNS_MAX = 3,       /* As many as a resolver uses. */
    MAT_DHCP_DUID_MAX = 130     /* Longest identity in DHCPv6. */
};

enum mat_dhcp_type {
    MAT_DHCP_DISCOVER = 1,
    MAT_DHCP_OFFER = 2,
    MAT_DHCP_REQUEST = 3,
    MAT_DHCP_DECLINE = 4,
    MAT_DHCP_ACK = 5,
    MAT_DHCP_NAK = 6,
    MAT_DHCP_RELEASE = 7,
    MAT_DHCP_INFORM = 8
};

enum mat_dhcp6_type {
    MAT_DHCP6_SOLICIT = 1,
    MAT_DHCP6_ADVERTISE = 2,
    MAT_DHCP6_REQUEST = 3,
    MAT_DHCP6_CONFIRM = 4,
    MAT_DHCP6_RENEW = 5,
    MAT_DHCP6_REBIND = 6,
    MAT_DHCP6_REPLY = 7,
    MAT_DHCP6_RELEASE = 8,
    MAT_DHCP6_DECLINE = 9,
    MAT_DHCP6_INFORMATION = 11
};

/* True if 'p' goes from a DHCP client's port to a server's (IPv4) or to the
 * port of DHCPv6 servers and relays (IPv6, where a client may use any), valid
 * or not. */
bool mat_packet_is_dhcp(const struct mat_packet *p);
bool mat_packet_is_dhcp6(const struct mat_packet *p);

/* A client's message.  An address that it does not have is 0.0.0.0. */
struct mat_dhcp {
    enum mat_dhcp_type type;
    uint8_t xid[4];
    bool broadcast;             /* Client cannot get unicast yet. */
    struct mat_mac chaddr;      /* Client's MAC. */
    struct mat_addr ciaddr;     /* Its address, when it has one. */
    struct mat_addr requested;  /* What it would like. */
    struct mat_addr server;     /* The server it means. */
    const uint8_t *client_id;   /* In the packet: to be sent back. */
    uint8_t client_id_size;     /* 0 if there is none. */
};

struct mat_dhcp6 {
    enum mat_dhcp6_type type;
    uint8_t xid[3];
    bool rapid_commit;
    bool has_ia;
    uint8_t iaid[4];            /* Of the first IA_NA, if 'has_ia'. */
    struct mat_addr requested;  /* First address in it, :: if there is none. */
    const uint8_t *client_id;   /* In the packet: to be sent back. */
    const uint8_t *server_id;   /* In the packet: the server meant. */
    uint16_t client_id_size;    /* 0 if there is none. */
    uint16_t server_id_size;    /* 0 if there is none. */
};

/* What guests are told. */
struct mat_dhcp_offer {
    struct mat_addr addr;       /* The guest's home address. */
    uint8_t plen;               /* Of its subnet; not used in DHCPv6. */
    struct mat_addr gateway;    /* Router and server; not used in DHCPv6. */
    struct mat_mac mac;         /* Of the gateway. */
    uint16_t mtu;               /* 0 to say nothing. */
    struct mat_addr dns[MAT_DHCP_DNS_MAX];
    uint8_t n_dns;
};

/* Reads a client's message.  Returns false if it is not whole, is not by a
 * client on Ethernet, passed a relay, or has no type.  The UDP checksum is
 * not verified. */
bool mat_dhcp_parse(const struct mat_packet *p, struct mat_dhcp *);

/* Answers 'msg' in 'request': DISCOVER with an OFFER, REQUEST and INFORM with
 * an ACK.  Returns 0 for the others, and where there is nothing to say (see
 * above). */
size_t mat_reply_dhcp(const struct mat_packet *request,
                      const struct mat_dhcp *msg,
                      const struct mat_dhcp_offer *, void *buf, size_t cap);

/* The same for DHCPv6: SOLICIT gets an ADVERTISE (or with rapid commit a
 * REPLY), all others a REPLY.  The server is known by a DUID made of the
 * gateway's MAC; a message meant for another server, or a CONFIRM of another
 * address, gets no answer.  (A client away from home that renews with its
 * server of home therefore goes on to REBIND, and is answered then.) */
bool mat_dhcp6_parse(const struct mat_packet *p, struct mat_dhcp6 *);
size_t mat_reply_dhcp6(const struct mat_packet *request,
                       const struct mat_dhcp6 *msg,
                       const struct mat_dhcp_offer *, void *buf, size_t cap);

#endif /* mat-dhcp.h */
