/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "netlink-socket.h"
#include "netlink.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

enum {
    USABLE = (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE
              | NUD_DELAY)
};

int
matd_netlink_listen(struct nl_sock **sock)
{
    static const unsigned int groups[] = {
        RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
        RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE
    };
    int error = nl_sock_create(NETLINK_ROUTE, sock);

    for (size_t i = 0; !error && i < ARRAY_SIZE(groups); i++) {
        error = nl_sock_join_mcgroup(*sock, groups[i]);
        if (error) {
            nl_sock_destroy(*sock);
            *sock = NULL;
        }
    }
    return error;
}

/* Parsing. */

/* False if the attribute is missing or has not the size of an address. */
static bool
get_addr(const struct nlattr *a, struct mat_addr *addr)
{
    if (a && nl_attr_get_size(a) == 4) {
        *addr = mat_addr_from_v4(nl_attr_get(a));
        return true;
    } else if (a && nl_attr_get_size(a) == 16) {
        *addr = mat_addr_from_v6(nl_attr_get(a));
        return true;
    }
    return false;
}

static uint32_t
get_u32(const struct nlattr *a)
{
    return a && nl_attr_get_size(a) == 4 ? nl_attr_get_u32(a) : 0;
}

static uint16_t
get_mtu(const struct nlattr *a)
{
    uint32_t mtu = get_u32(a);

    return mtu <= UINT16_MAX ? mtu : UINT16_MAX;
}

static void
get_mac(const struct nlattr *a, struct mat_mac *mac)
{
    if (a && nl_attr_get_size(a) == sizeof mac->ea) {
        memcpy(mac->ea, nl_attr_get(a), sizeof mac->ea);
    }
}

/* The attributes behind a header of 'size' bytes. */
static const struct nlattr *
find(const struct ofpbuf *msg, size_t size, uint16_t type)
{
    return nl_attr_find(msg, NLMSG_HDRLEN + NLMSG_ALIGN(size), type);
}

static void
parse_link(const struct ofpbuf *msg, struct matd_netlink *n)
{
    const struct ifinfomsg *ifi = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *ifi);
    const struct nlattr *name = find(msg, sizeof *ifi, IFLA_IFNAME);

    if (!ifi) {
        return;
    }
    n->kind = MATD_NETLINK_LINK;
    n->ifindex = ifi->ifi_index;
    n->is_up = (ifi->ifi_flags & (IFF_UP | IFF_RUNNING))
               == (IFF_UP | IFF_RUNNING);
    n->mtu = get_mtu(find(msg, sizeof *ifi, IFLA_MTU));
    get_mac(find(msg, sizeof *ifi, IFLA_ADDRESS), &n->mac);
    if (name) {
        ovs_strlcpy(n->name, nl_attr_get_string(name),
                    MIN(sizeof n->name, nl_attr_get_size(name)));
    }
}

static void
parse_addr(const struct ofpbuf *msg, struct matd_netlink *n)
{
    const struct ifaddrmsg *ifa = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *ifa);
    const struct nlattr *local, *flags_attr;
    uint32_t flags;

    if (!ifa) {
        return;
    }
    local = find(msg, sizeof *ifa, IFA_LOCAL);
    flags_attr = find(msg, sizeof *ifa, IFA_FLAGS);
    flags = flags_attr ? get_u32(flags_attr) : ifa->ifa_flags;
    if (get_addr(local ? local : find(msg, sizeof *ifa, IFA_ADDRESS),
                 &n->addr)) {
        n->kind = MATD_NETLINK_ADDR;
        n->ifindex = ifa->ifa_index;
        n->plen = ifa->ifa_prefixlen;
        n->is_dynamic = (ifa->ifa_family == AF_INET6
                         && !(flags & (IFA_F_PERMANENT | IFA_F_DEPRECATED)));
        n->is_tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
    }
}

static bool
get_gateway(const struct ofpbuf *msg, struct mat_addr *gateway)
{
    const struct nlattr *via = find(msg, sizeof(struct rtmsg), RTA_VIA);

    if (get_addr(find(msg, sizeof(struct rtmsg), RTA_GATEWAY), gateway)) {
        return true;
    }
    /* An IPv6 gateway of an IPv4 route: a family, then the address. */
    if (via && nl_attr_get_size(via) == 18) {
        *gateway = mat_addr_from_v6((const char *) nl_attr_get(via) + 2);
        return true;
    }
    return false;
}

static void
get_hop(const struct rtnexthop *hop, struct matd_netlink *n)
{
    const struct nlattr *attrs = (const void *) (hop + 1);
    struct mat_addr gateway;
    bool has_gateway = get_addr(nl_attr_find__(attrs, (hop->rtnh_len
                                                       - sizeof *hop),
                                               RTA_GATEWAY), &gateway);

    if (!n->ifindex) {
        n->ifindex = hop->rtnh_ifindex;
        n->has_gateway = has_gateway;
        n->gateway = gateway;
    } else if (has_gateway && hop->rtnh_ifindex == n->ifindex
               && n->n_others < MATD_NETLINK_OTHERS_MAX) {
        n->others[n->n_others++] = gateway;
    }
}

/* The first of several next hops, and those by the same device. */
static void
get_multipath(const struct ofpbuf *msg, struct matd_netlink *n)
{
    const struct nlattr *a = find(msg, sizeof(struct rtmsg), RTA_MULTIPATH);
    const char *p = a ? nl_attr_get(a) : NULL;
    size_t left = a ? nl_attr_get_size(a) : 0;

    while (left >= sizeof(struct rtnexthop)) {
        const struct rtnexthop *hop = (const void *) p;
        size_t size = RTNH_ALIGN(hop->rtnh_len);

        if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > left) {
            break;
        }
        get_hop(hop, n);
        p += size;
        left -= MIN(size, left);
    }
}

static void
parse_route(const struct ofpbuf *msg, struct matd_netlink *n)
{
    const struct rtmsg *rtm = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *rtm);
    const struct nlattr *metrics;

    if (!rtm || (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6)) {
        return;
    }
    n->kind = MATD_NETLINK_ROUTE;
    if (!get_addr(find(msg, sizeof *rtm, RTA_DST), &n->addr)
        && rtm->rtm_family == AF_INET) {
        static const uint8_t any[4];

        n->addr = mat_addr_from_v4(any);
    }
    n->plen = rtm->rtm_dst_len;
    n->ifindex = get_u32(find(msg, sizeof *rtm, RTA_OIF));
    n->has_gateway = get_gateway(msg, &n->gateway);
    n->is_main = (rtm->rtm_type == RTN_UNICAST
                  && rtm->rtm_table == RT_TABLE_MAIN);
    n->is_dynamic = rtm->rtm_protocol == RTPROT_RA;
    if (!n->ifindex) {
        get_multipath(msg, n);
    }
    metrics = find(msg, sizeof *rtm, RTA_METRICS);
    if (metrics) {
        n->mtu = get_mtu(nl_attr_find_nested(metrics, RTAX_MTU));
    }
    if (rtm->rtm_type != RTN_UNICAST) {
        n->ifindex = 0;
    }
}

static void
parse_neighbour(const struct ofpbuf *msg, struct matd_netlink *n)
{
    const struct ndmsg *ndm = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *ndm);

    if (ndm && (ndm->ndm_family == AF_INET || ndm->ndm_family == AF_INET6)
        && get_addr(find(msg, sizeof *ndm, NDA_DST), &n->addr)) {
        n->kind = MATD_NETLINK_NEIGHBOUR;
        n->ifindex = ndm->ndm_ifindex;
        get_mac(find(msg, sizeof *ndm, NDA_LLADDR), &n->mac);
        n->is_valid = (ndm->ndm_state & USABLE) && !mat_mac_is_zero(&n->mac);
        n->is_stale = ndm->ndm_state == NUD_STALE;
        n->is_failed = ndm->ndm_state == NUD_FAILED;
    }
}

void
matd_netlink_parse(struct ofpbuf *msg, struct matd_netlink *n)
{
    uint16_t type = nl_msg_nlmsghdr(msg)->nlmsg_type;

    memset(n, 0, sizeof *n);
    n->is_removed = (type == RTM_DELLINK || type == RTM_DELADDR
                     || type == RTM_DELROUTE || type == RTM_DELNEIGH);
    if (type == RTM_NEWLINK || type == RTM_DELLINK) {
        parse_link(msg, n);
    } else if (type == RTM_NEWADDR || type == RTM_DELADDR) {
        parse_addr(msg, n);
    } else if (type == RTM_NEWROUTE || type == RTM_DELROUTE) {
        parse_route(msg, n);
    } else if (type == RTM_NEWNEIGH || type == RTM_DELNEIGH) {
        parse_neighbour(msg, n);
    }
}

/* Requests. */

static int
dump_family(uint16_t type, uint8_t family, size_t header_size,
            void (*each)(void *aux, const struct matd_netlink *), void *aux)
{
    uint64_t stub[NL_DUMP_BUFSIZE / 8];
    struct ofpbuf request, reply, buf;
    struct nl_dump dump;

    ofpbuf_init(&request, 0);
    nl_msg_put_nlmsghdr(&request, header_size, type, NLM_F_REQUEST);
    /* All of these headers begin with the family. */
    *(uint8_t *) ofpbuf_put_zeros(&request, header_size) = family;
    nl_dump_start(&dump, NETLINK_ROUTE, &request);
    ofpbuf_uninit(&request);

    ofpbuf_use_stub(&buf, stub, sizeof stub);
    while (nl_dump_next(&dump, &reply, &buf)) {
        struct matd_netlink n;

        matd_netlink_parse(&reply, &n);
        each(aux, &n);
    }
    ofpbuf_uninit(&buf);
    return nl_dump_done(&dump);
}

int
matd_netlink_dump(enum matd_netlink_kind kind,
                  void (*each)(void *aux, const struct matd_netlink *),
                  void *aux)
{
    static const struct {
        uint16_t type;
        size_t size;
    } requests[] = {
        [MATD_NETLINK_LINK] = { RTM_GETLINK, sizeof(struct ifinfomsg) },
        [MATD_NETLINK_ADDR] = { RTM_GETADDR, sizeof(struct ifaddrmsg) },
        [MATD_NETLINK_ROUTE] = { RTM_GETROUTE, sizeof(struct rtmsg) },
        [MATD_NETLINK_NEIGHBOUR] = { RTM_GETNEIGH, sizeof(struct ndmsg) },
    };
    int error = dump_family(requests[kind].type, AF_INET, requests[kind].size,
                            each, aux);

    if (!error && kind != MATD_NETLINK_LINK) {
        error = dump_family(requests[kind].type, AF_INET6,
                            requests[kind].size, each, aux);
    }
    return error;
}

static void
put_addr(struct ofpbuf *msg, uint16_t type, const struct mat_addr *addr)
{
    if (mat_addr_is_v4(addr)) {
        nl_msg_put_unspec(msg, type, &addr->b[12], 4);
    } else {
        nl_msg_put_unspec(msg, type, addr->b, 16);
    }
}

int
matd_netlink_route(const struct mat_addr *addr, int ifindex,
                   struct matd_netlink *n)
{
    struct ofpbuf request, *reply;
    struct rtmsg *rtm;
    int error;

    ofpbuf_init(&request, 0);
    nl_msg_put_nlmsghdr(&request, sizeof *rtm, RTM_GETROUTE, NLM_F_REQUEST);
    rtm = ofpbuf_put_zeros(&request, sizeof *rtm);
    rtm->rtm_family = mat_addr_is_v4(addr) ? AF_INET : AF_INET6;
    rtm->rtm_dst_len = mat_addr_bits(addr);
    put_addr(&request, RTA_DST, addr);
    if (ifindex) {
        nl_msg_put_u32(&request, RTA_OIF, ifindex);
    }
    error = nl_transact(NETLINK_ROUTE, &request, &reply);
    ofpbuf_uninit(&request);
    if (!error) {
        matd_netlink_parse(reply, n);
        if (n->kind != MATD_NETLINK_ROUTE || !n->ifindex) {
            error = ENETUNREACH;
        }
    }
    ofpbuf_delete(reply);
    return error;
}

static int
change_neighbour(uint16_t type, uint16_t flags, uint8_t ndm_flags,
                 const struct mat_addr *addr, int ifindex)
{
    struct ofpbuf request;
    struct ndmsg *ndm;
    int error;

    ofpbuf_init(&request, 0);
    nl_msg_put_nlmsghdr(&request, sizeof *ndm, type,
                        NLM_F_REQUEST | NLM_F_ACK | flags);
    ndm = ofpbuf_put_zeros(&request, sizeof *ndm);
    ndm->ndm_family = mat_addr_is_v4(addr) ? AF_INET : AF_INET6;
    ndm->ndm_ifindex = ifindex;
    ndm->ndm_flags = ndm_flags;
    put_addr(&request, NDA_DST, addr);
    error = nl_transact(NETLINK_ROUTE, &request, NULL);
    ofpbuf_uninit(&request);
    return error;
}

int
matd_netlink_probe(const struct mat_addr *addr, int ifindex)
{
    return change_neighbour(RTM_NEWNEIGH, NLM_F_CREATE, NTF_USE, addr,
                            ifindex);
}

int
matd_netlink_forget(const struct mat_addr *addr, int ifindex)
{
    return change_neighbour(RTM_DELNEIGH, 0, 0, addr, ifindex);
}
