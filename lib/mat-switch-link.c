/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch-internal.h"

#include "mat-dhcp.h"

/* What a VMN and a host's link need besides IP: ARP, Neighbor Discovery,
 * router solicitations and DHCP, all answered from the table, so that they
 * work as long as the switch does and whatever the caches of guests have
 * forgotten.  Nothing of a VMN's goes further than this switch. */

static const struct mat_mac gateway_mac = MAT_GATEWAY_MAC;

/* Out: what a VMN asks or announces. */

/* What the table says of somebody who claims 'addr' with 'mac' on the port
 * where the frame came in. */
enum claim {
    CLAIM_OWN,                  /* It is its own. */
    CLAIM_NEW,                  /* Nobody has it. */
    CLAIM_MOVED,                /* A VMN with this MAC, so far elsewhere. */
    CLAIM_FOREIGN               /* Somebody else has it. */
};

static enum claim
judge_claim(const struct mat_work *work, const struct mat_addr *addr,
            const struct mat_mac *mac)
{
    struct mat_found found;

    if (!mat_find_hoa(work, work->zone, addr, false, &found)) {
        return CLAIM_NEW;
    } else if (!mat_mac_equal(mac, &found.mac)) {
        return CLAIM_FOREIGN;
    } else if (!found.has_port) {
        return CLAIM_MOVED;
    }
    return (mat_vmn_odp_port(mat_table_vmn(work->call->table, found.hit.aux))
            == work->call->in_port ? CLAIM_OWN : CLAIM_FOREIGN);
}

/* True unless 'addr' is somebody else's, which gives the verdict. */
static bool
check_claim(struct mat_work *work, const struct mat_addr *addr,
            const struct mat_mac *mac)
{
    if (judge_claim(work, addr, mac) == CLAIM_FOREIGN) {
        mat_tell(work, MAT_EVENT_SPOOF, work->zone, addr);
        mat_judge(work, MAT_V_SPOOF);
        return false;
    }
    return true;
}

/* Tells of an announcement for 'addr'. */
static void
announced(struct mat_work *work, enum mat_event_type type,
          const struct mat_addr *addr)
{
    mat_tell(work, type, work->zone, addr);
    mat_judge(work, MAT_V_ANNOUNCED);
}

/* True if 'addr' is the virtual gateway's in a subnet of this zone. */
static bool
is_gateway(const struct mat_work *work, const struct mat_addr *addr)
{
    const struct mat_subnet *subnet = mat_gateway_subnet(work, work->zone,
                                                         addr);

    return subnet && mat_addr_equal(&subnet->gateway, addr);
}

/* The MAC of whoever has 'addr' in the zone of 'work', the virtual gateway
 * included. */
static bool
resolve(const struct mat_work *work, const struct mat_addr *addr,
        struct mat_mac *mac)
{
    struct mat_found found;

    if (mat_find_hoa(work, work->zone, addr, false, &found)) {
        *mac = found.mac;
        return true;
    } else if (is_gateway(work, addr)) {
        *mac = gateway_mac;
        return true;
    }
    return false;
}

/* Answers with what 'size' bytes of 'buf' hold, if they hold anything. */
static void
answer(struct mat_work *work, enum mat_verdict verdict, const void *buf,
       size_t size)
{
    if (size) {
        mat_send_back(work, buf, size);
        mat_judge(work, verdict);
    } else {
        mat_judge(work, MAT_V_ARP_IGNORED);
    }
}

static void
out_arp_request(struct mat_work *work, const struct mat_arp *arp)
{
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_mac mac;
    size_t size = 0;

    if (!resolve(work, &arp->tpa, &mac)) {
        mat_tell(work, MAT_EVENT_MISS_HOA, work->zone, &arp->tpa);
        mat_judge(work, MAT_V_MISS);
        return;
    }
    /* Nobody is told that its own address is taken. */
    if (!mat_mac_equal(&mac, &arp->sha)) {
        size = mat_reply_arp(&work->packet, arp, &mac, buf, sizeof buf);
    }
    answer(work, MAT_V_ARP_ANSWERED, buf, size);
}

static void
out_arp_probe(struct mat_work *work, const struct mat_arp *arp)
{
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_mac mac;
    size_t size = 0;

    mat_tell(work, MAT_EVENT_ARP_PROBE, work->zone, &arp->tpa);
    if (resolve(work, &arp->tpa, &mac) && !mat_mac_equal(&mac, &arp->sha)) {
        size = mat_reply_arp(&work->packet, arp, &mac, buf, sizeof buf);
    }
    answer(work, MAT_V_ARP_ANSWERED, buf, size);
}

static void
out_arp(struct mat_work *work)
{
    struct mat_mac eth_src = mat_packet_eth_src(&work->packet);
    struct mat_arp arp;

    if (!mat_arp_parse(&work->packet, &arp)) {
        mat_judge(work, MAT_V_MALFORMED);
    } else if (!mat_mac_equal(&arp.sha, &eth_src)) {
        mat_tell(work, MAT_EVENT_SPOOF, work->zone, &arp.spa);
        mat_judge(work, MAT_V_SPOOF);
    } else if (work->packet.kind == MAT_PACKET_RARP) {
        /* It carries no address to judge: the agent knows the MAC. */
        announced(work, MAT_EVENT_RARP, NULL);
    } else if (mat_arp_is_probe(&arp)) {
        out_arp_probe(work, &arp);
    } else if (!check_claim(work, &arp.spa, &arp.sha)) {
        return;
    } else if (mat_arp_is_gratuitous(&arp)) {
        announced(work, MAT_EVENT_GARP, &arp.spa);
    } else {
        /* Who is asked here was asked by the agent: the rest is answered by
         * the switch. */
        if (judge_claim(work, &arp.spa, &arp.sha) != CLAIM_OWN
            || arp.op == MAT_ARP_REPLY) {
            mat_tell(work, MAT_EVENT_ARP, work->zone, &arp.spa);
        }
        if (arp.op == MAT_ARP_REQUEST) {
            out_arp_request(work, &arp);
        } else {
            mat_judge(work, MAT_V_ARP_IGNORED);
        }
    }
}

/* Link-local addresses are good on the VMN's own link, where only the gateway
 * is; they are nobody's HoA. */
static bool
is_gateway_link_local(const struct mat_addr *addr)
{
    struct mat_addr gateway = mat_link_local(&gateway_mac);

    return mat_addr_equal(addr, &gateway);
}

static void
out_ns(struct mat_work *work, const struct mat_nd *nd)
{
    bool dad = mat_nd_is_dad(nd);
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_mac eth_src = mat_packet_eth_src(&work->packet);
    struct mat_mac mac;
    size_t size = 0;

    if (dad) {
        mat_tell(work, MAT_EVENT_DAD, work->zone, &nd->target);
    } else if (mat_addr_scope(&nd->src) == MAT_SCOPE_HOST) {
        if (!check_claim(work, &nd->src, &eth_src)) {
            return;
        } else if (judge_claim(work, &nd->src, &eth_src) != CLAIM_OWN) {
            mat_tell(work, MAT_EVENT_NS, work->zone, &nd->src);
        }
    }
    if (is_gateway_link_local(&nd->target)) {
        mac = gateway_mac;
    } else if (!resolve(work, &nd->target, &mac)) {
        if (!dad && mat_addr_scope(&nd->target) == MAT_SCOPE_HOST) {
            mat_tell(work, MAT_EVENT_MISS_HOA, work->zone, &nd->target);
            mat_judge(work, MAT_V_MISS);
        } else {
            mat_judge(work, MAT_V_ARP_IGNORED);
        }
        return;
    }
    if (!mat_mac_equal(&mac, &eth_src)) {
        uint8_t flags = MAT_NA_OVERRIDE;

        if (mat_mac_equal(&mac, &gateway_mac)) {
            flags |= MAT_NA_ROUTER;
        }
        size = mat_reply_na(&work->packet, nd, &mac, flags, buf, sizeof buf);
    }
    answer(work, MAT_V_ND_ANSWERED, buf, size);
}

static void
out_na(struct mat_work *work, const struct mat_nd *nd)
{
    struct mat_mac eth_src = mat_packet_eth_src(&work->packet);

    if (mat_addr_scope(&nd->target) != MAT_SCOPE_HOST) {
        mat_judge(work, MAT_V_ARP_IGNORED);
    } else if (check_claim(work, &nd->target, &eth_src)) {
        announced(work, MAT_EVENT_NA, &nd->target);
    }
}

/* The HoA of the family of 'like' that the MAC 'mac' has on this port. */
static bool
find_hoa_of_mac(const struct mat_work *work, const struct mat_mac *mac,
                bool v4, struct mat_addr *hoa)
{
    for (size_t i = 0; i < work->port->n_vmns; i++) {
        const struct mat_port_vmn *vmn = &work->port->vmns[i];

        if (mat_mac_equal(&vmn->mac, mac) && vmn->zone == work->zone
            && mat_addr_is_v4(&vmn->hoa) == v4) {
            *hoa = vmn->hoa;
            return true;
        }
    }
    return false;
}

static void
out_rs(struct mat_work *work, const struct mat_nd *nd)
{
    struct mat_mac eth_src = mat_packet_eth_src(&work->packet);
    const struct mat_subnet *subnet;
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_addr hoa;
    size_t size = 0;

    mat_tell(work, MAT_EVENT_RS, work->zone, &nd->src);
    if (find_hoa_of_mac(work, &eth_src, false, &hoa)) {
        subnet = mat_gateway_subnet(work, work->zone, &hoa);
        if (subnet) {
            const struct mat_ra ra = {
                .mac = gateway_mac,
                .prefix = subnet->prefix,
                .plen = subnet->plen,
                .mtu = work->port->mtu,
            };

            size = mat_reply_ra(&work->packet, nd, &ra, buf, sizeof buf);
        }
    }
    answer(work, MAT_V_ND_ANSWERED, buf, size);
}

static void
out_nd(struct mat_work *work)
{
    struct mat_nd nd;

    if (!mat_nd_parse(&work->packet, work->frame->l4_csum, &nd)) {
        mat_judge(work, MAT_V_MALFORMED);
        return;
    }
    switch (nd.type) {
    case MAT_ND_NS:
        out_ns(work, &nd);
        break;
    case MAT_ND_NA:
        out_na(work, &nd);
        break;
    case MAT_ND_RS:
        out_rs(work, &nd);
        break;
    default:
        /* A VMN that acts as a router: there is nobody to hear it. */
        mat_judge(work, MAT_V_FLOODED);
        break;
    }
}

/* True if a VMN asks whoever is its DHCP server, or us.  What it sends to the
 * port of a server that is a VMN itself, as a relay does, is ordinary. */
static bool
is_dhcp(const struct mat_work *work)
{
    const struct mat_packet *p = &work->packet;
    struct mat_addr dst;

    if (!mat_packet_is_dhcp(p) && !mat_packet_is_dhcp6(p)) {
        return false;
    }
    dst = mat_packet_dst(p);
    return (p->flags & MAT_PACKET_L3_MULTI || is_gateway_link_local(&dst)
            || is_gateway(work, &dst));
}

/* What the VMN with HoA 'hoa' is told by DHCP of either family. */
static struct mat_dhcp_offer
make_offer(const struct mat_work *work, const struct mat_addr *hoa)
{
    const struct mat_subnet *subnet = mat_gateway_subnet(work, work->zone,
                                                         hoa);
    struct mat_dhcp_offer offer = {
        .addr = *hoa,
        .plen = (uint8_t) mat_addr_bits(hoa),
        .gateway = *hoa,
        .mac = gateway_mac,
        .mtu = work->port->mtu,
    };

    if (subnet) {
        offer.plen = subnet->plen;
        offer.gateway = subnet->gateway;
    }
    return offer;
}

static void
out_dhcp(struct mat_work *work)
{
    bool v4 = work->packet.kind == MAT_PACKET_IPV4;
    struct mat_mac mac = mat_packet_eth_src(&work->packet);
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_dhcp_offer offer;
    struct mat_dhcp6 dhcp6;
    struct mat_dhcp dhcp;
    struct mat_addr hoa;
    size_t size = 0;

    mat_judge(work, MAT_V_DHCP_IGNORED);
    if (!find_hoa_of_mac(work, &mac, v4, &hoa)) {
        mat_tell(work, MAT_EVENT_DHCP, work->zone, NULL);
        return;
    }
    offer = make_offer(work, &hoa);
    if (v4 && mat_dhcp_parse(&work->packet, &dhcp)
        && mat_mac_equal(&dhcp.chaddr, &mac)) {
        size = mat_reply_dhcp(&work->packet, &dhcp, &offer, buf, sizeof buf);
    } else if (!v4 && mat_dhcp6_parse(&work->packet, &dhcp6)) {
        size = mat_reply_dhcp6(&work->packet, &dhcp6, &offer, buf, sizeof buf);
    }
    if (size) {
        mat_send_back(work, buf, size);
        mat_judge(work, MAT_V_DHCP_ANSWERED);
    }
}

/* Echo to the gateway's link-local address, which guests use to see if their
 * IPv6 router lives. */
static bool
out_link_local_echo(struct mat_work *work)
{
    uint8_t buf[MAT_ECHO_MAX];
    struct mat_addr dst = mat_packet_dst(&work->packet);
    size_t size;

    if (!is_gateway_link_local(&dst)) {
        return false;
    }
    size = mat_reply_echo(&work->packet, work->frame->l4_csum, &gateway_mac,
                          buf, sizeof buf);
    if (!size) {
        return false;
    }
    mat_send_back(work, buf, size);
    mat_judge(work, MAT_V_ECHO_ANSWERED);
    return true;
}

bool
mat_switch_out_link(struct mat_work *work)
{
    const struct mat_packet *p = &work->packet;
    bool explicit = work->call->word & MAT_WORD_EXPLICIT;
    bool is_nd = mat_packet_is_nd(p);
    bool asks_dhcp = is_dhcp(work);

    if (mat_packet_is_ip(p) && !is_nd && !asks_dhcp
        && !(explicit && p->flags & MAT_PACKET_L2_MULTI)) {
        return out_link_local_echo(work);
    } else if (explicit) {
        mat_judge(work, MAT_V_NOT_OURS);
    } else if (is_nd) {
        out_nd(work);
    } else if (asks_dhcp) {
        out_dhcp(work);
    } else if (p->kind == MAT_PACKET_ARP || p->kind == MAT_PACKET_RARP) {
        out_arp(work);
    } else {
        mat_judge(work, MAT_V_OTHER_PROTOCOL);
    }
    return true;
}

/* In: what the underlay asks of our MoAs. */

/* True if 'moa' is one that this host answers for. */
static bool
is_our_moa(const struct mat_work *work, const struct mat_addr *moa)
{
    struct mat_found found;

    return (mat_find_moa(work, moa, false, &found)
            && (found.has_port || found.state == MAT_STATE_DEPARTED));
}

/* True if 'moa' may become one: the agent probes such before it uses them, and
 * what answers its probes is seen only here. */
static bool
is_in_our_pool(const struct mat_work *work, const struct mat_addr *moa)
{
    const struct mat_pool *pool = mat_table_pool(work->call->table, moa);

    return pool && pool->own;
}

/* Somebody on the uplink says that it has 'addr', or, if 'asks', would like to
 * have it. */
static void
note_conflict(struct mat_work *work, const struct mat_addr *addr,
              const struct mat_mac *mac, bool asks)
{
    if (!mat_mac_equal(mac, &work->port->mac)
        && (is_our_moa(work, addr) ? !asks : is_in_our_pool(work, addr))) {
        mat_tell(work, MAT_EVENT_CONFLICT, 0, addr);
    }
}

static bool
in_arp(struct mat_work *work)
{
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_arp arp;

    if (!mat_arp_parse(&work->packet, &arp)) {
        return false;
    }
    if (mat_arp_is_probe(&arp)) {
        note_conflict(work, &arp.tpa, &arp.sha, true);
    } else {
        note_conflict(work, &arp.spa, &arp.sha, false);
    }
    if (arp.op != MAT_ARP_REQUEST || mat_arp_is_gratuitous(&arp)
        || !is_our_moa(work, &arp.tpa)) {
        return false;
    }
    answer(work, MAT_V_ARP_ANSWERED, buf,
           mat_reply_arp(&work->packet, &arp, &work->port->mac, buf,
                         sizeof buf));
    return true;
}

static bool
in_nd(struct mat_work *work)
{
    uint8_t buf[MAT_REPLY_MAX];
    struct mat_mac mac;
    struct mat_nd nd;

    if (!mat_nd_parse(&work->packet, work->frame->l4_csum, &nd)) {
        return false;
    }
    mac = mat_packet_eth_src(&work->packet);
    if (mat_nd_is_dad(&nd)) {
        note_conflict(work, &nd.target, &mac, true);
    } else {
        note_conflict(work, nd.type == MAT_ND_NA ? &nd.target : &nd.src, &mac,
                      false);
    }
    if (nd.type != MAT_ND_NS || !is_our_moa(work, &nd.target)) {
        return false;
    }
    answer(work, MAT_V_ND_ANSWERED, buf,
           mat_reply_na(&work->packet, &nd, &work->port->mac, MAT_NA_OVERRIDE,
                        buf, sizeof buf));
    return true;
}

bool
mat_switch_in_link(struct mat_work *work)
{
    const struct mat_packet *p = &work->packet;

    if (p->kind == MAT_PACKET_ARP) {
        if (in_arp(work)) {
            return true;
        }
    } else if (mat_packet_is_nd(p)) {
        if (in_nd(work)) {
            return true;
        }
    } else if (mat_packet_is_ip(p)) {
        return false;
    }
    mat_judge(work, MAT_V_NOT_OURS);
    return true;
}
