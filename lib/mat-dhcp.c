/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-dhcp.h"

#include "mat-frame.h"

enum {
    SERVER_PORT = 67,
    CLIENT_PORT = 68,
    UDP_LEN = 8
};

/* The fixed part of a message (RFC 2131, figure 1), and its offsets. */
enum {
    BOOTP_HTYPE = 1,
    BOOTP_HLEN = 2,
    BOOTP_XID = 4,
    BOOTP_FLAGS = 10,
    BOOTP_CIADDR = 12,
    BOOTP_YIADDR = 16,
    BOOTP_GIADDR = 24,
    BOOTP_CHADDR = 28,
    BOOTP_MAGIC = 236,
    BOOTP_OPTIONS = 240,
    BOOTP_MIN_LEN = 300         /* Old clients drop less (RFC 1542, 2.1). */
};

/* Options (RFC 2132). */
enum {
    OPT_PAD = 0,
    OPT_NETMASK = 1,
    OPT_ROUTER = 3,
    OPT_DNS = 6,
    OPT_MTU = 26,
    OPT_REQUESTED = 50,
    OPT_LEASE = 51,
    OPT_TYPE = 53,
    OPT_SERVER = 54,
    OPT_T1 = 58,
    OPT_T2 = 59,
    OPT_CLIENT_ID = 61,
    OPT_END = 255,
    OPTIONS_MAX = 384           /* Ours take less than 70, plus the ID. */
};

static const uint8_t magic[4] = { 99, 130, 83, 99 };

static bool parse_options(const uint8_t *, const uint8_t *end,
                          struct mat_dhcp *);
static void store_option(struct mat_dhcp *, const uint8_t *option);
static bool wants_us(const struct mat_dhcp *, const struct mat_dhcp_offer *);
static size_t fill_options(uint8_t *, const struct mat_dhcp *,
                           const struct mat_dhcp_offer *);
static void fill_message(uint8_t *, const struct mat_dhcp *,
                         const struct mat_dhcp_offer *);

bool
mat_packet_is_dhcp(const struct mat_packet *p)
{
    return p->kind == MAT_PACKET_IPV4 && p->proto == MAT_PROTO_UDP
           && mat_packet_has_l4(p)
           && mat_get_be16(mat_packet_l4(p)) == CLIENT_PORT
           && mat_get_be16(mat_packet_l4(p) + 2) == SERVER_PORT;
}

bool
mat_dhcp_parse(const struct mat_packet *p, struct mat_dhcp *msg)
{
    static const uint8_t request_ethernet[3] = { 1, 1, 6 };
    static const uint8_t no_addr[4];
    const uint8_t *b;
    uint32_t udp_size;

    if (!mat_packet_is_dhcp(p) || p->flags & MAT_PACKET_FRAG_FIRST) {
        return false;
    }
    b = mat_packet_l4(p) + UDP_LEN;
    udp_size = mat_get_be16(mat_packet_l4(p) + 4);
    if (udp_size > p->end - p->l4_ofs || udp_size < UDP_LEN + BOOTP_OPTIONS
        || memcmp(b, request_ethernet, sizeof request_ethernet)
        || memcmp(b + BOOTP_GIADDR, no_addr, sizeof no_addr)
        || memcmp(b + BOOTP_MAGIC, magic, sizeof magic)) {
        return false;
    }

    *msg = (struct mat_dhcp) {
        .broadcast = b[BOOTP_FLAGS] & 0x80,
        .ciaddr = mat_addr_from_v4(b + BOOTP_CIADDR),
        .requested = mat_addr_from_v4(no_addr),
        .server = mat_addr_from_v4(no_addr)
    };
    memcpy(msg->xid, b + BOOTP_XID, sizeof msg->xid);
    memcpy(&msg->chaddr, b + BOOTP_CHADDR, sizeof msg->chaddr);
    return !mat_mac_is_multicast(&msg->chaddr)
           && !mat_mac_is_zero(&msg->chaddr)
           && parse_options(b + BOOTP_OPTIONS, b + udp_size - UDP_LEN, msg);
}

size_t
mat_reply_dhcp(const struct mat_packet *request, const struct mat_dhcp *msg,
               const struct mat_dhcp_offer *offer, void *buf, size_t cap)
{
    static const struct mat_mac eth_broadcast = { { 255, 255, 255,
                                                    255, 255, 255 } };
    static const uint8_t ip_broadcast[4] = { 255, 255, 255, 255 };
    bool has_addr = !mat_addr_is_zero(&msg->ciaddr);
    bool broadcast = msg->broadcast && !has_addr;
    uint8_t options[OPTIONS_MAX];
    size_t options_size, size, l3_size;
    struct mat_addr dst;
    uint8_t *ip, *udp;

    if (!wants_us(msg, offer)) {
        return 0;
    }
    options_size = fill_options(options, msg, offer);
    size = BOOTP_OPTIONS + options_size;
    size = size < BOOTP_MIN_LEN ? BOOTP_MIN_LEN : size;
    l3_size = MAT_IPV4_LEN + UDP_LEN + size;
    ip = mat_frame_start(request, &offer->mac,
                         broadcast ? &eth_broadcast : &msg->chaddr,
                         l3_size, buf, cap);
    if (!ip) {
        return 0;
    }
    udp = ip + MAT_IPV4_LEN;
    mat_put_be16(udp, SERVER_PORT);
    mat_put_be16(udp + 2, CLIENT_PORT);
    mat_put_be16(udp + 4, (uint16_t) (UDP_LEN + size));
    fill_message(udp + UDP_LEN, msg, offer);
    memcpy(udp + UDP_LEN + BOOTP_OPTIONS, options, options_size);
    dst = (has_addr ? msg->ciaddr
           : broadcast ? mat_addr_from_v4(ip_broadcast)
           : offer->addr);
    mat_frame_ip(ip, &offer->gateway, &dst, MAT_PROTO_UDP, MAT_FRAME_TTL,
                 l3_size);
    mat_frame_csum(ip, l3_size);
    return request->l3_ofs + l3_size;
}

/* Walks the options, which must be whole up to their end mark.  Options in the
 * fields for a file and a server name (RFC 2132, 9.3) are not looked for: no
 * client needs the room. */
static bool
parse_options(const uint8_t *p, const uint8_t *end, struct mat_dhcp *msg)
{
    while (p < end && *p != OPT_END) {
        if (*p == OPT_PAD) {
            p++;
            continue;
        }
        if (end - p < 2 || end - p < 2 + p[1]) {
            return false;
        }
        store_option(msg, p);
        p += 2 + p[1];
    }
    return msg->type == MAT_DHCP_DISCOVER || msg->type == MAT_DHCP_REQUEST
           || msg->type == MAT_DHCP_DECLINE || msg->type == MAT_DHCP_RELEASE
           || msg->type == MAT_DHCP_INFORM;
}

static void
store_option(struct mat_dhcp *msg, const uint8_t *option)
{
    uint8_t size = option[1];
    const uint8_t *value = option + 2;

    if (option[0] == OPT_TYPE && size == 1) {
        msg->type = value[0];
    } else if (option[0] == OPT_REQUESTED && size == 4) {
        msg->requested = mat_addr_from_v4(value);
    } else if (option[0] == OPT_SERVER && size == 4) {
        msg->server = mat_addr_from_v4(value);
    } else if (option[0] == OPT_CLIENT_ID && size) {
        msg->client_id = value;
        msg->client_id_size = size;
    }
}

static bool
is_or_zero(const struct mat_addr *a, const struct mat_addr *b)
{
    return mat_addr_is_zero(a) || mat_addr_equal(a, b);
}

/* True if 'msg' gets an answer: it means this server, or any, and the guest's
 * own address, or any. */
static bool
wants_us(const struct mat_dhcp *msg, const struct mat_dhcp_offer *offer)
{
    if (!mat_addr_is_v4(&offer->addr) || !mat_addr_is_v4(&offer->gateway)) {
        return false;
    }
    switch (msg->type) {
    case MAT_DHCP_DISCOVER:
        return is_or_zero(&msg->ciaddr, &offer->addr);
    case MAT_DHCP_INFORM:
        return mat_addr_equal(&msg->ciaddr, &offer->addr);
    case MAT_DHCP_REQUEST:
        return is_or_zero(&msg->server, &offer->gateway)
               && is_or_zero(&msg->requested, &offer->addr)
               && is_or_zero(&msg->ciaddr, &offer->addr)
               && !(mat_addr_is_zero(&msg->requested)
                    && mat_addr_is_zero(&msg->ciaddr));
    case MAT_DHCP_OFFER:
    case MAT_DHCP_DECLINE:
    case MAT_DHCP_ACK:
    case MAT_DHCP_NAK:
    case MAT_DHCP_RELEASE:
    default:
        return false;
    }
}

static uint8_t *
put_option(uint8_t *p, uint8_t type, const void *value, uint8_t size)
{
    p[0] = type;
    p[1] = size;
    memcpy(p + 2, value, size);
    return p + 2 + size;
}

static uint8_t *
put_option_be32(uint8_t *p, uint8_t type, uint32_t value)
{
    uint8_t b[4];

    mat_put_be32(b, value);
    return put_option(p, type, b, sizeof b);
}

static uint8_t *
put_dns(uint8_t *p, const struct mat_dhcp_offer *offer)
{
    uint8_t b[4 * MAT_DHCP_DNS_MAX];
    uint8_t size = 0;

    for (int i = 0; i < offer->n_dns && i < MAT_DHCP_DNS_MAX; i++) {
        if (mat_addr_is_v4(&offer->dns[i])) {
            memcpy(b + size, &offer->dns[i].b[12], 4);
            size = (uint8_t) (size + 4);
        }
    }
    return size ? put_option(p, OPT_DNS, b, size) : p;
}

static size_t
fill_options(uint8_t *options, const struct mat_dhcp *msg,
             const struct mat_dhcp_offer *offer)
{
    static const uint8_t ones[4] = { 255, 255, 255, 255 };
    struct mat_addr all_ones = mat_addr_from_v4(ones);
    struct mat_addr netmask = mat_addr_mask(&all_ones, offer->plen);
    uint8_t *p = options;
    uint8_t type = (msg->type == MAT_DHCP_DISCOVER ? MAT_DHCP_OFFER
                    : MAT_DHCP_ACK);

    p = put_option(p, OPT_TYPE, &type, 1);
    p = put_option(p, OPT_SERVER, &offer->gateway.b[12], 4);
    if (msg->type != MAT_DHCP_INFORM) {
        p = put_option_be32(p, OPT_LEASE, MAT_DHCP_LEASE_S);
        p = put_option_be32(p, OPT_T1, MAT_DHCP_LEASE_S / 2);
        p = put_option_be32(p, OPT_T2, MAT_DHCP_LEASE_S / 8 * 7);
    }
    p = put_option(p, OPT_NETMASK, &netmask.b[12], 4);
    p = put_option(p, OPT_ROUTER, &offer->gateway.b[12], 4);
    if (offer->mtu) {
        uint8_t mtu[2];

        mat_put_be16(mtu, offer->mtu);
        p = put_option(p, OPT_MTU, mtu, sizeof mtu);
    }
    p = put_dns(p, offer);
    if (msg->client_id_size) {
        p = put_option(p, OPT_CLIENT_ID, msg->client_id, msg->client_id_size);
    }
    *p++ = OPT_END;
    return (size_t) (p - options);
}

/* Fills in the fixed part of an answer. */
static void
fill_message(uint8_t *b, const struct mat_dhcp *msg,
             const struct mat_dhcp_offer *offer)
{
    b[0] = 2;                   /* Reply. */
    b[BOOTP_HTYPE] = 1;
    b[BOOTP_HLEN] = sizeof msg->chaddr;
    memcpy(b + BOOTP_XID, msg->xid, sizeof msg->xid);
    b[BOOTP_FLAGS] = msg->broadcast ? 0x80 : 0;
    if (msg->type != MAT_DHCP_DISCOVER) {
        memcpy(b + BOOTP_CIADDR, &msg->ciaddr.b[12], 4);
    }
    if (msg->type != MAT_DHCP_INFORM) {
        memcpy(b + BOOTP_YIADDR, &offer->addr.b[12], 4);
    }
    memcpy(b + BOOTP_CHADDR, &msg->chaddr, sizeof msg->chaddr);
    memcpy(b + BOOTP_MAGIC, magic, sizeof magic);
}
