/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch-internal.h"

#include "mat-rewrite.h"

/* IP packets that the fast path leaves over, in either direction: fragments,
 * options, other protocols, ICMP errors, and everything that ends otherwise
 * than by plain translation. */

static const struct mat_mac gateway_mac = MAT_GATEWAY_MAC;

/* Rewrites the packet of 'work' as 'rewrite' says, with the checksum states of
 * the frame.  The packet has been parsed, so this cannot fail. */
static void
rewrite(struct mat_work *work, const struct mat_packet *quote,
        struct mat_rewrite *change)
{
    change->l3_csum = work->frame->l3_csum;
    change->l4_csum = work->frame->l4_csum;
    mat_rewrite(&work->packet, quote, change);
    work->frame->edited = true;
}

static void
set_macs(struct mat_work *work, const struct mat_mac *src,
         const struct mat_mac *dst)
{
    mat_rewrite_macs(&work->packet, src, dst);
    work->frame->edited = true;
}

static void
set_hop_macs(struct mat_work *work, const struct mat_hop *hop)
{
    memcpy(work->frame->data, hop->eth, sizeof hop->eth);
    work->frame->edited = true;
}

/* May the packet leave by a link with 'mtu'?  IPv4 without "don't fragment"
 * always may: routers on its way will do it. */
static bool
fits(const struct mat_work *work, uint16_t mtu)
{
    return (mat_packet_ip_size(&work->packet) <= mtu
            || work->frame->is_segmented_later
            || !(work->packet.flags & MAT_PACKET_DF));
}

/* ICMP redirects are for the first link only: from a VMN there is no router to
 * take them, and from the underlay they would lead it out of its zone. */
static bool
is_redirect(const struct mat_packet *p)
{
    return (p->kind == MAT_PACKET_IPV4 && p->proto == MAT_PROTO_ICMP
            && mat_packet_has_l4(p) && mat_packet_icmp_type(p) == 5);
}

/* Out: packets of a VMN. */

/* An error about a VMN's packet, from its virtual gateway, or in a zone
 * without one from where the packet was to go. */
static void
error_to_vmn(struct mat_work *work, enum mat_verdict verdict,
             enum mat_error_kind kind, uint16_t mtu)
{
    struct mat_addr src = mat_packet_src(&work->packet);
    const struct mat_subnet *subnet = mat_gateway_subnet(work, work->zone,
                                                         &src);
    const struct mat_error error = {
        .kind = kind,
        .mtu = mtu,
        .src = subnet ? subnet->gateway : mat_packet_dst(&work->packet),
        .mac = gateway_mac,
    };

    mat_judge_error(work, verdict, &error);
}

/* Is the sender who it says it is?  If not, this gives the verdict. */
static bool
check_source(struct mat_work *work, const struct mat_addr *src,
             struct mat_found *found)
{
    struct mat_mac eth_src = mat_packet_eth_src(&work->packet);

    if (!mat_find_hoa(work, work->zone, src, false, found)) {
        mat_tell(work, MAT_EVENT_NEW_SOURCE, work->zone, src);
        mat_judge(work, MAT_V_SPOOF);
        return false;
    }
    if (found->state == MAT_STATE_LOCAL
        && mat_vmn_odp_port(mat_table_vmn(work->call->table, found->hit.aux))
           == work->call->in_port
        && mat_mac_equal(&eth_src, &found->mac)) {
        return true;
    }
    if (found->state == MAT_STATE_REMOTE
        && mat_mac_equal(&eth_src, &found->mac)) {
        mat_tell(work, MAT_EVENT_NEW_SOURCE, work->zone, src);
        mat_judge_hold(work, MAT_HOLD_SOURCE, work->zone, src, MAT_V_SPOOF);
    } else {
        mat_tell(work, MAT_EVENT_SPOOF, work->zone, src);
        mat_judge(work, MAT_V_SPOOF);
    }
    return false;
}

/* True if the frame goes through the virtual gateway and not to the MAC of
 * the VMN 'dst' itself. */
static bool
is_routed(const struct mat_work *work, const struct mat_found *dst)
{
    struct mat_mac eth_dst = mat_packet_eth_dst(&work->packet);

    return !mat_mac_equal(&eth_dst, &dst->mac);
}

/* To a VMN on this host, both HoAs stay. */
static void
out_local(struct mat_work *work, const struct mat_addr *dst,
          const struct mat_found *found)
{
    const struct mat_vmn *vmn = mat_table_vmn(work->call->table,
                                              found->hit.aux);
    uint32_t odp_port = mat_vmn_odp_port(vmn);

    if (found->hold && !work->call->ignores_hold) {
        mat_judge_hold(work, MAT_HOLD_VMN, work->zone, dst, MAT_V_PORT_GONE);
    } else if (odp_port == MAT_TABLE_NO_PORT) {
        mat_judge(work, MAT_V_PORT_GONE);
    } else if (!fits(work, mat_vmn_mtu(vmn))) {
        error_to_vmn(work, MAT_V_TOO_BIG, MAT_ERROR_TOO_BIG,
                     mat_vmn_mtu(vmn));
    } else if (!is_routed(work, found)) {
        mat_judge_deliver(work, MAT_V_LOCAL, odp_port);
    } else if (!mat_rewrite_dec_ttl(&work->packet, work->frame->l3_csum)) {
        error_to_vmn(work, MAT_V_TTL, MAT_ERROR_TTL, 0);
    } else {
        set_macs(work, &gateway_mac, &found->mac);
        mat_judge_deliver(work, MAT_V_LOCAL, odp_port);
    }
}

/* Whom a host that is behind takes 'src' for, a VMN of this host: its switch
 * drops what comes from a MoA that nobody has told it of. */
static void
show_former(const struct mat_work *work, struct mat_found *src)
{
    const struct mat_vmn *vmn = mat_table_vmn(work->call->table, src->hit.aux);

    if (!mat_addr_is_zero(&vmn->former)) {
        src->value = vmn->former;
    }
}

/* The addresses quoted in an ICMP error from a VMN, as far as they can be
 * translated: usually both ends of the packet that it complains about, whose
 * destination need not be the HoA that the error comes from. */
static void
translate_quote_out(struct mat_work *work, const struct mat_packet *quote,
                    bool is_behind, struct mat_addr moas[static 2],
                    struct mat_rewrite *change)
{
    struct mat_addr src = mat_packet_src(quote), dst = mat_packet_dst(quote);
    struct mat_found found;

    if (mat_find_hoa(work, work->zone, &src, false, &found)) {
        moas[0] = found.value;
        change->quoted_src = &moas[0];
    }
    if (mat_find_hoa(work, work->zone, &dst, false, &found)) {
        if (is_behind && found.state == MAT_STATE_LOCAL) {
            show_former(work, &found);
        }
        moas[1] = found.value;
        change->quoted_dst = &moas[1];
    }
}

static void
translate_out(struct mat_work *work, struct mat_found src, bool is_behind,
              const struct mat_addr *new_dst)
{
    struct mat_rewrite change = { .src = &src.value, .dst = new_dst };
    struct mat_packet quote;
    struct mat_addr quoted_moas[2];
    bool quotes = mat_packet_quote(&work->packet, &quote);

    if (is_behind) {
        show_former(work, &src);
    }
    if (quotes) {
        translate_quote_out(work, &quote, is_behind, quoted_moas, &change);
    }
    rewrite(work, quotes ? &quote : NULL, &change);
}

/* Sends the packet from 'src' on by next hop 'id'; if 'routed', as a router
 * would. */
static void
out_by_hop(struct mat_work *work, enum mat_verdict verdict, unsigned int id,
           bool routed, const struct mat_found *src,
           const struct mat_addr *new_dst)
{
    const struct mat_hop *hop = mat_table_hop(work->call->table, id);

    if (!hop) {
        mat_judge(work, MAT_V_NO_NEXTHOP);
    } else if (!fits(work, mat_hop_mtu(hop))) {
        error_to_vmn(work, MAT_V_TOO_BIG, MAT_ERROR_TOO_BIG,
                     mat_hop_mtu(hop));
    } else if (routed
               && !mat_rewrite_dec_ttl(&work->packet, work->frame->l3_csum)) {
        error_to_vmn(work, MAT_V_TTL, MAT_ERROR_TTL, 0);
    } else {
        translate_out(work, *src, hop->is_behind, new_dst);
        set_hop_macs(work, hop);
        mat_judge(work, verdict);
    }
}

/* To a HoA without a mapping: one that nobody told us of, or an address of
 * the world outside. */
static void
out_unknown(struct mat_work *work, const struct mat_found *src,
            const struct mat_addr *dst)
{
    const struct mat_zone *zone = mat_table_zone(work->call->table,
                                                 work->zone);

    if (!zone || !zone->n_subnets || mat_zone_subnet(zone, dst)
        || mat_table_pool(work->call->table, dst)) {
        mat_tell(work, MAT_EVENT_MISS_HOA, work->zone, dst);
        mat_judge_hold(work, MAT_HOLD_HOA, work->zone, dst, MAT_V_MISS);
    } else if (!zone->outside) {
        error_to_vmn(work, MAT_V_FORBIDDEN, MAT_ERROR_PROHIBITED, 0);
    } else {
        out_by_hop(work, MAT_V_OUTSIDE, zone->outside_nexthop, true, src,
                   NULL);
    }
}

/* To the virtual gateway's own address. */
static bool
out_gateway(struct mat_work *work, const struct mat_addr *dst)
{
    const struct mat_subnet *subnet = mat_gateway_subnet(work, work->zone,
                                                         dst);
    uint8_t buf[MAT_ECHO_MAX];
    size_t size;

    if (!subnet || !mat_addr_equal(&subnet->gateway, dst)) {
        return false;
    }
    size = mat_reply_echo(&work->packet, work->frame->l4_csum, &gateway_mac,
                          buf, sizeof buf);
    if (size) {
        mat_send_back(work, buf, size);
        mat_judge(work, MAT_V_ECHO_ANSWERED);
    } else {
        error_to_vmn(work, MAT_V_FORBIDDEN, MAT_ERROR_PROHIBITED, 0);
    }
    return true;
}

void
mat_switch_out_ip(struct mat_work *work)
{
    struct mat_addr src = mat_packet_src(&work->packet);
    struct mat_addr dst = mat_packet_dst(&work->packet);
    struct mat_found src_found, found;

    if (work->packet.flags & (MAT_PACKET_L2_MULTI | MAT_PACKET_L3_MULTI)) {
        mat_judge(work, MAT_V_FLOODED);
    } else if (work->packet.flags & MAT_PACKET_MARTIAN) {
        mat_judge(work, MAT_V_ADDRESS);
    } else if (is_redirect(&work->packet)) {
        mat_judge(work, MAT_V_FORBIDDEN);
    } else if (!check_source(work, &src, &src_found)) {
        return;
    } else if (!mat_find_hoa(work, work->zone, &dst, true, &found)) {
        if (!out_gateway(work, &dst)) {
            out_unknown(work, &src_found, &dst);
        }
    } else if (found.has_port) {
        out_local(work, &dst, &found);
    } else {
        out_by_hop(work, MAT_V_TRANSLATED, mat_aux_index(found.hit.aux),
                   is_routed(work, &found), &src_found, &found.value);
    }
}

/* In: packets from the underlay. */

/* Who a packet from the underlay comes from. */
struct sender {
    struct mat_addr shown;      /* What the VMN shall see as its source. */
    struct mat_mac mac;         /* The same for Ethernet. */
    bool is_vmn;                /* A VMN of the zone... */
    enum mat_verdict verdict;   /* ...or what else to count it as. */
};

/* If the packet is an ICMP error about a packet that MoA 'moa' has sent,
 * stores what it quotes. */
static bool
quotes_sender(const struct mat_work *work, const struct mat_addr *moa,
              struct mat_packet *quote)
{
    struct mat_addr src;

    if (!mat_packet_quote(&work->packet, quote)) {
        return false;
    }
    src = mat_packet_src(quote);
    return mat_addr_equal(&src, moa);
}

/* Shows a router, which a VMN of 'zone' cannot know, as the virtual gateway.
 * False if there is none. */
static bool
show_gateway(const struct mat_work *work, uint32_t zone,
             const struct mat_addr *hoa, struct sender *sender)
{
    const struct mat_subnet *subnet = mat_gateway_subnet(work, zone, hoa);

    if (subnet) {
        sender->shown = subnet->gateway;
    }
    return subnet;
}

/* Neither a VMN nor in a pool: may it speak to 'dst', and as whom? */
static bool
check_outsider(struct mat_work *work, const struct mat_found *dst,
               const struct mat_addr *dst_moa, struct sender *sender)
{
    const struct mat_zone *zone = mat_table_zone(work->call->table, dst->zone);
    struct mat_packet quote;
    struct mat_found as_hoa;
    bool is_error = quotes_sender(work, dst_moa, &quote);

    if (is_error && show_gateway(work, dst->zone, &dst->value, sender)) {
        return true;
    } else if (mat_find_hoa(work, dst->zone, &sender->shown, false, &as_hoa)) {
        mat_judge(work, MAT_V_SPOOF);
        return false;
    } else if (is_error) {
        return true;
    } else if (!zone || !zone->outside
               || mat_zone_subnet(zone, &sender->shown)) {
        mat_judge(work, MAT_V_FORBIDDEN);
        return false;
    }
    sender->verdict = MAT_V_OUTSIDE;
    return true;
}

/* Finds out who sends to the VMN 'dst'; false if that got a verdict.
 *
 * The sender may be of this very host: its packet went to where 'dst' was
 * before, which redirected it to here, where 'dst' has just come. */
static bool
check_sender(struct mat_work *work, const struct mat_found *dst,
             const struct mat_addr *dst_moa, struct sender *sender)
{
    struct mat_addr src = mat_packet_src(&work->packet);
    struct mat_found found;

    *sender = (struct sender) {
        .shown = src,
        .mac = gateway_mac,
        .verdict = MAT_V_DELIVERED,
    };
    if (work->packet.flags & MAT_PACKET_MARTIAN) {
        mat_judge(work, MAT_V_ADDRESS);
        return false;
    } else if (is_redirect(&work->packet)) {
        mat_judge(work, MAT_V_FORBIDDEN);
        return false;
    } else if (!mat_find_moa(work, &src, true, &found)) {
        struct mat_packet quote;

        if (!mat_table_pool(work->call->table, &src)
            || quotes_sender(work, dst_moa, &quote)) {
            return check_outsider(work, dst, dst_moa, sender);
        }
        mat_tell(work, MAT_EVENT_MISS_MOA, 0, &src);
        mat_judge_hold(work, MAT_HOLD_MOA, 0, &src, MAT_V_MISS);
        return false;
    } else if (found.zone != dst->zone) {
        mat_judge(work, MAT_V_ZONE);
        return false;
    }
    sender->shown = found.value;
    sender->mac = found.mac;
    sender->is_vmn = true;
    return true;
}

/* True if VMN 'dst' sees the sender on its own link. */
static bool
sender_on_link(const struct mat_vmn *vmn, const struct sender *sender,
               const struct mat_addr *hoa)
{
    uint64_t a[2], b[2];

    if (!sender->is_vmn) {
        return false;
    } else if (mat_addr_is_v4(hoa)) {
        return mat_vmn_on_link4(vmn, mat_addr_v4(&sender->shown),
                                mat_addr_v4(hoa));
    }
    memcpy(a, sender->shown.b, sizeof a);
    memcpy(b, hoa->b, sizeof b);
    return mat_vmn_on_link6(vmn, a, b);
}

/* An error to the sender of a packet to the MoA 'from'.  The other side
 * translates it like any packet of the VMN. */
static void
error_to_underlay(struct mat_work *work, enum mat_verdict verdict,
                  enum mat_error_kind kind, uint16_t mtu,
                  const struct mat_addr *from)
{
    const struct mat_error error = {
        .kind = kind,
        .mtu = mtu,
        .src = *from,
        .mac = work->port->mac,
    };

    mat_judge_error(work, verdict, &error);
}

/* The addresses that an ICMP error to a VMN quotes. */
static void
translate_quote_in(struct mat_work *work, const struct mat_packet *quote,
                   uint32_t zone, struct mat_addr hoas[static 2],
                   struct mat_rewrite *change)
{
    struct mat_addr src = mat_packet_src(quote), dst = mat_packet_dst(quote);
    struct mat_found found;

    if (mat_find_moa(work, &src, false, &found) && found.zone == zone) {
        hoas[0] = found.value;
        change->quoted_src = &hoas[0];
    }
    if (mat_find_moa(work, &dst, false, &found) && found.zone == zone) {
        hoas[1] = found.value;
        change->quoted_dst = &hoas[1];
    }
}

static void
translate_in(struct mat_work *work, const struct mat_found *dst,
             const struct sender *sender)
{
    struct mat_rewrite change = {
        .src = &sender->shown,
        .dst = &dst->value,
    };
    struct mat_packet quote;
    struct mat_addr quoted_hoas[2];
    bool quotes = mat_packet_quote(&work->packet, &quote);

    if (quotes) {
        translate_quote_in(work, &quote, dst->zone, quoted_hoas, &change);
    }
    rewrite(work, quotes ? &quote : NULL, &change);
}

/* To a VMN on this host. */
static void
in_deliver(struct mat_work *work, const struct mat_found *dst,
           const struct mat_addr *dst_moa)
{
    const struct mat_vmn *vmn = mat_table_vmn(work->call->table,
                                              dst->hit.aux);
    uint32_t odp_port = mat_vmn_odp_port(vmn);
    struct sender sender;

    if (!check_sender(work, dst, dst_moa, &sender)) {
        return;
    } else if (dst->hold && !work->call->ignores_hold) {
        mat_judge_hold(work, MAT_HOLD_VMN, dst->zone, &dst->value,
                       MAT_V_PORT_GONE);
    } else if (odp_port == MAT_TABLE_NO_PORT) {
        mat_judge(work, MAT_V_PORT_GONE);
    } else if (!fits(work, mat_vmn_mtu(vmn))) {
        error_to_underlay(work, MAT_V_TOO_BIG, MAT_ERROR_TOO_BIG,
                          mat_vmn_mtu(vmn), dst_moa);
    } else {
        translate_in(work, dst, &sender);
        set_macs(work, (sender_on_link(vmn, &sender, &dst->value)
                        ? &sender.mac : &gateway_mac), &dst->mac);
        mat_judge_deliver(work, sender.verdict, odp_port);
    }
}

/* Sends a packet to the old MoA 'old' of a VMN on to its new one, 'live'. */
static void
redirect(struct mat_work *work, const struct mat_addr *old,
         const struct mat_found *live)
{
    const struct mat_hop *hop = mat_table_hop(work->call->table,
                                              mat_aux_index(live->hit.aux));
    struct mat_rewrite change = { .dst = &live->value };
    struct mat_packet quote;
    bool quotes = quotes_sender(work, old, &quote);

    if (!hop) {
        mat_judge(work, MAT_V_NO_NEXTHOP);
    } else if (!fits(work, mat_hop_mtu(hop))) {
        error_to_underlay(work, MAT_V_TOO_BIG, MAT_ERROR_TOO_BIG,
                          mat_hop_mtu(hop), old);
    } else if (!mat_rewrite_dec_ttl(&work->packet, work->frame->l3_csum)) {
        error_to_underlay(work, MAT_V_TTL, MAT_ERROR_TTL, 0, old);
    } else {
        struct mat_addr src = mat_packet_src(&work->packet);

        mat_tell(work, MAT_EVENT_REDIRECTED, live->zone, &src);
        if (quotes) {
            change.quoted_src = &live->value;
        }
        rewrite(work, quotes ? &quote : NULL, &change);
        set_hop_macs(work, hop);
        mat_judge_deliver(work, MAT_V_REDIRECTED, work->call->in_port);
    }
}

/* To the MoA 'old' of a VMN that was here. */
static void
in_departed(struct mat_work *work, const struct mat_found *dst,
            const struct mat_addr *old)
{
    struct mat_found live;
    struct sender sender;

    if (!mat_find_hoa(work, dst->zone, &dst->value, false, &live)) {
        mat_tell(work, MAT_EVENT_MISS_HOA, dst->zone, &dst->value);
        mat_judge_hold(work, MAT_HOLD_HOA, dst->zone, &dst->value, MAT_V_MISS);
    } else if (live.has_port) {
        /* It came back, with another MoA. */
        struct mat_found here = live;

        here.value = dst->value;
        in_deliver(work, &here, old);
    } else if (check_sender(work, dst, old, &sender)) {
        redirect(work, old, &live);
    }
}

/* To an address that is no MoA in the table. */
static void
in_other(struct mat_work *work, const struct mat_addr *dst)
{
    const struct mat_pool *pool = NULL;

    if (!(work->packet.flags & (MAT_PACKET_L2_MULTI | MAT_PACKET_L3_MULTI))) {
        pool = mat_table_pool(work->call->table, dst);
    }
    if (pool && pool->own) {
        mat_tell(work, MAT_EVENT_UNASSIGNED, 0, dst);
        mat_judge(work, MAT_V_UNASSIGNED);
    } else {
        mat_judge(work, MAT_V_NOT_OURS);
    }
}

void
mat_switch_in_ip(struct mat_work *work)
{
    struct mat_addr dst = mat_packet_dst(&work->packet);
    struct mat_found found;

    if (!mat_find_moa(work, &dst, false, &found)) {
        in_other(work, &dst);
    } else if (found.state == MAT_STATE_DEPARTED) {
        in_departed(work, &found, &dst);
    } else if (found.has_port) {
        in_deliver(work, &found, &dst);
    } else {
        mat_judge(work, MAT_V_NOT_OURS);
    }
}
