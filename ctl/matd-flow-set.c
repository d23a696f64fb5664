/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-flow-set.h"

#include <netinet/icmp6.h>

#include "byte-order.h"
#include "flow.h"
#include "matd-flows.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "util.h"

struct matd_flow *
matd_flow_find(const struct hmap *flows, const struct match *match,
               int priority)
{
    struct matd_flow *e;

    HMAP_FOR_EACH_WITH_HASH (e, node, match_hash(match, priority), flows) {
        if (e->priority == priority && match_equal(&e->match, match)) {
            return e;
        }
    }
    return NULL;
}

void
matd_flow_remove(struct hmap *flows, struct matd_flow *e)
{
    hmap_remove(flows, &e->node);
    ofpbuf_uninit(&e->ofpacts);
    free(e);
}

void
matd_flow_clear(struct hmap *flows)
{
    struct matd_flow *e;

    HMAP_FOR_EACH_SAFE (e, node, flows) {
        matd_flow_remove(flows, e);
    }
}

struct matd_flow *
matd_flow_put(struct hmap *flows, const struct match *match, int priority,
              ovs_be64 cookie, const struct ofpact *ofpacts,
              size_t ofpacts_len)
{
    struct matd_flow *e = matd_flow_find(flows, match, priority);

    if (e) {
        matd_flow_remove(flows, e);
    }
    e = xzalloc(sizeof *e);
    e->match = *match;
    e->priority = priority;
    e->cookie = cookie;
    ofpbuf_init(&e->ofpacts, ofpacts_len);
    ofpbuf_put(&e->ofpacts, ofpacts, ofpacts_len);
    hmap_insert(flows, &e->node, match_hash(match, priority));
    return e;
}

bool
matd_flow_same_actions(const struct matd_flow *a, const struct matd_flow *b)
{
    return ofpacts_equal(a->ofpacts.data, a->ofpacts.size,
                         b->ofpacts.data, b->ofpacts.size);
}

/* The host's own traffic. */

static void
want_match(struct hmap *flows, const struct match *match,
           const struct ofpbuf *ofpacts)
{
    matd_flow_put(flows, match, MATD_FLOWS_SOURCE,
                  htonll(MATD_FLOWS_COOKIE), ofpacts->data, ofpacts->size);
}

/* IPv4 from 'prefix', and ARP from there or for somebody there. */
static void
want_source4(struct hmap *flows, ovs_be32 prefix, ovs_be32 mask,
             const struct ofpbuf *ofpacts)
{
    struct match match;

    match_init_catchall(&match);
    match_set_in_port(&match, OFPP_LOCAL);
    match_set_dl_type(&match, htons(ETH_TYPE_IP));
    match_set_nw_src_masked(&match, prefix, mask);
    want_match(flows, &match, ofpacts);
    match_set_dl_type(&match, htons(ETH_TYPE_ARP));
    want_match(flows, &match, ofpacts);
    match_set_nw_src_masked(&match, 0, 0);
    match_set_nw_dst_masked(&match, prefix, mask);
    want_match(flows, &match, ofpacts);
}

/* IPv6 from 'prefix', and solicitations of somebody there. */
static void
want_source6(struct hmap *flows, const struct in6_addr *prefix,
             const struct in6_addr *mask, const struct ofpbuf *ofpacts)
{
    struct match match;

    match_init_catchall(&match);
    match_set_in_port(&match, OFPP_LOCAL);
    match_set_dl_type(&match, htons(ETH_TYPE_IPV6));
    match_set_ipv6_src_masked(&match, prefix, mask);
    want_match(flows, &match, ofpacts);
    match_set_ipv6_src_masked(&match, &in6addr_any, &in6addr_any);
    match_set_nw_proto(&match, IPPROTO_ICMPV6);
    match_set_icmp_type(&match, ND_NEIGHBOR_SOLICIT);
    match_set_icmp_code(&match, 0);
    match_set_nd_target_masked(&match, prefix, mask);
    want_match(flows, &match, ofpacts);
}

void
matd_flow_put_source(struct hmap *flows, const struct mat_addr *prefix,
                     unsigned int plen, ofp_port_t link)
{
    uint64_t stub[64 / 8];
    struct ofpbuf ofpacts = OFPBUF_STUB_INITIALIZER(stub);
    struct in6_addr addr, mask;

    ofpact_put_OUTPUT(&ofpacts)->port = link;
    if (mat_addr_is_v4(prefix)) {
        want_source4(flows, mat_addr_v4(prefix), be32_prefix_mask(plen),
                     &ofpacts);
    } else {
        mask = ipv6_create_mask(plen);
        memcpy(&addr, prefix->b, sizeof addr);
        want_source6(flows, &addr, &mask, &ofpacts);
    }
    ofpbuf_uninit(&ofpacts);
}

void
matd_flow_put_router(struct hmap *flows, const struct mat_mac *mac,
                     ofp_port_t link)
{
    uint64_t stub[64 / 8];
    struct ofpbuf ofpacts = OFPBUF_STUB_INITIALIZER(stub);
    struct eth_addr ea;
    struct match match;

    memcpy(ea.ea, mac->ea, sizeof ea.ea);
    match_init_catchall(&match);
    match_set_in_port(&match, OFPP_LOCAL);
    match_set_dl_dst(&match, ea);
    ofpact_put_OUTPUT(&ofpacts)->port = link;
    want_match(flows, &match, &ofpacts);
    ofpbuf_uninit(&ofpacts);
}
