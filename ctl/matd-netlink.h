/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_NETLINK_H
#define MATD_NETLINK_H 1

/* Messages of rtnetlink as values: what the kernel says of one device's
 * neighbours, addresses and routes.
 *
 * Requests are answered by the kernel itself, at once.  Threads: one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"

struct nl_sock;
struct ofpbuf;

enum matd_netlink_kind {
    MATD_NETLINK_OTHER,         /* Nothing of interest. */
    MATD_NETLINK_LINK,
    MATD_NETLINK_ADDR,
    MATD_NETLINK_ROUTE,
    MATD_NETLINK_NEIGHBOUR
};

enum { MATD_NETLINK_OTHERS_MAX = 7 };

/* A message of the kernel, of whatever kind. */
struct matd_netlink {
    enum matd_netlink_kind kind;
    bool is_removed;
    int ifindex;

    struct mat_addr addr;       /* ADDR, NEIGHBOUR; ROUTE: its prefix. */
    uint8_t plen;               /* ADDR, ROUTE. */
    bool is_dynamic;            /* ADDR: by router advertisements, and not
                                 * deprecated.  ROUTE: likewise. */
    bool is_tentative;          /* ADDR: not usable (yet). */
    bool is_main;               /* ROUTE: unicast, of the main table. */

    bool has_gateway;           /* ROUTE */
    struct mat_addr gateway;
    size_t n_others;            /* ROUTE: more gateways by the same device. */
    struct mat_addr others[MATD_NETLINK_OTHERS_MAX];
    uint16_t mtu;               /* ROUTE, LINK: 0 if not said. */

    struct mat_mac mac;         /* NEIGHBOUR, LINK; zero if not known. */
    bool is_valid;              /* NEIGHBOUR: 'mac' may be used... */
    bool is_stale;              /* ...but was not confirmed for a while. */
    bool is_failed;             /* NEIGHBOUR: it does not answer. */

    bool is_up;                 /* LINK */
    char name[16];              /* LINK */
};

/* A socket that gets notifications of all kinds.  Returns 0 or errno. */
int matd_netlink_listen(struct nl_sock **);

void matd_netlink_parse(struct ofpbuf *, struct matd_netlink *);

/* Calls 'each' with all there is of a kind.  Returns 0 or errno. */
int matd_netlink_dump(enum matd_netlink_kind,
                      void (*each)(void *aux, const struct matd_netlink *),
                      void *aux);

/* The way to 'addr', as the kernel would route, or by 'ifindex' if that is not
 * 0.  Returns 0 or errno: ENETUNREACH if there is none. */
int matd_netlink_route(const struct mat_addr *addr, int ifindex,
                       struct matd_netlink *);

/* Has the kernel find out, or confirm, the MAC of a neighbour. */
int matd_netlink_probe(const struct mat_addr *addr, int ifindex);

/* Has the kernel forget a neighbour. */
int matd_netlink_forget(const struct mat_addr *addr, int ifindex);

#endif /* matd-netlink.h */
