/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-dhcp.h"

#include "mat-frame.h"
#include "mat-nd.h"

enum {
    SERVER_PORT = 547,
    CLIENT_PORT = 546,
    UDP_LEN = 8,
    MESSAGE_LEN = 4,            /* Type and transaction ID. */
    OPTION_LEN = 4,             /* Code and size. */
    DUID_LL_LEN = 10
};

/* Options (RFC 8415, 21; RFC 3646). */
enum {
    OPT_CLIENT_ID = 1,
    OPT_SERVER_ID = 2,
    OPT_IA_NA = 3,
    OPT_IA_ADDR = 5,
    OPT_STATUS = 13,
    OPT_RAPID_COMMIT = 14,
    OPT_DNS = 23,
    IA_NA_LEN = 12,             /* Before the options in it. */
    IA_ADDR_LEN = 24,           /* The same. */
    OPTIONS_MAX = 320           /* Ours take less than 140, plus the ID. */
};

struct option {
    uint16_t code;
    uint16_t size;
    const uint8_t *value;
};

static bool next_option(const uint8_t **, const uint8_t *end,
                        struct option *);
static bool store_option(struct mat_dhcp6 *, const struct option *);
static bool store_ia(struct mat_dhcp6 *, const struct option *);
static bool wants_us(const struct mat_dhcp6 *, const struct mat_dhcp_offer *);
static bool asks_for_address(const struct mat_dhcp6 *);
static void fill_duid(uint8_t duid[static DUID_LL_LEN],
                      const struct mat_mac *);
static size_t fill_options(uint8_t *, const struct mat_dhcp6 *,
                           const struct mat_dhcp_offer *);

bool
mat_packet_is_dhcp6(const struct mat_packet *p)
{
    return p->kind == MAT_PACKET_IPV6 && p->proto == MAT_PROTO_UDP
           && mat_packet_has_l4(p)
           && mat_get_be16(mat_packet_l4(p) + 2) == SERVER_PORT;
}

bool
mat_dhcp6_parse(const struct mat_packet *p, struct mat_dhcp6 *msg)
{
    const uint8_t *b, *end;
    struct option option;
    uint32_t udp_size;

    if (!mat_packet_is_dhcp6(p) || p->flags & MAT_PACKET_FRAG_FIRST) {
        return false;
    }
    b = mat_packet_l4(p) + UDP_LEN;
    udp_size = mat_get_be16(mat_packet_l4(p) + 4);
    if (udp_size > p->end - p->l4_ofs || udp_size < UDP_LEN + MESSAGE_LEN) {
        return false;
    }
    end = b + udp_size - UDP_LEN;

    *msg = (struct mat_dhcp6) { .type = b[0] };
    memcpy(msg->xid, b + 1, sizeof msg->xid);
    b += MESSAGE_LEN;
    while (b < end) {
        if (!next_option(&b, end, &option) || !store_option(msg, &option)) {
            return false;
        }
    }
    switch (msg->type) {
    case MAT_DHCP6_SOLICIT:
    case MAT_DHCP6_REQUEST:
    case MAT_DHCP6_CONFIRM:
    case MAT_DHCP6_RENEW:
    case MAT_DHCP6_REBIND:
    case MAT_DHCP6_RELEASE:
    case MAT_DHCP6_DECLINE:
        return msg->client_id_size > 0;
    case MAT_DHCP6_INFORMATION:
        return true;
    case MAT_DHCP6_ADVERTISE:
    case MAT_DHCP6_REPLY:
    default:
        return false;
    }
}

size_t
mat_reply_dhcp6(const struct mat_packet *request, const struct mat_dhcp6 *msg,
                const struct mat_dhcp_offer *offer, void *buf, size_t cap)
{
    struct mat_mac eth_dst = mat_packet_eth_src(request);
    struct mat_addr src = mat_link_local(&offer->mac);
    struct mat_addr dst = mat_packet_src(request);
    bool advertise = msg->type == MAT_DHCP6_SOLICIT && !msg->rapid_commit;
    uint8_t options[OPTIONS_MAX];
    size_t options_size, size, l3_size;
    uint8_t *ip, *udp, *b;

    if (!wants_us(msg, offer) || mat_addr_is_zero(&dst)) {
        return 0;
    }
    options_size = fill_options(options, msg, offer);
    size = UDP_LEN + MESSAGE_LEN + options_size;
    l3_size = MAT_IPV6_LEN + size;
    ip = mat_frame_start(request, &offer->mac, &eth_dst, l3_size, buf, cap);
    if (!ip) {
        return 0;
    }
    udp = ip + MAT_IPV6_LEN;
    mat_put_be16(udp, SERVER_PORT);
    mat_put_be16(udp + 2, CLIENT_PORT);
    mat_put_be16(udp + 4, (uint16_t) size);
    b = udp + UDP_LEN;
    b[0] = advertise ? MAT_DHCP6_ADVERTISE : MAT_DHCP6_REPLY;
    memcpy(b + 1, msg->xid, sizeof msg->xid);
    memcpy(b + MESSAGE_LEN, options, options_size);
    mat_frame_ip(ip, &src, &dst, MAT_PROTO_UDP, MAT_FRAME_TTL, l3_size);
    mat_frame_csum(ip, l3_size);
    return request->l3_ofs + l3_size;
}

/* Reads the option at '*p' and advances '*p' after it.  Returns false if it is
 * not whole. */
static bool
next_option(const uint8_t **p, const uint8_t *end, struct option *option)
{
    if (end - *p < OPTION_LEN) {
        return false;
    }
    option->code = mat_get_be16(*p);
    option->size = mat_get_be16(*p + 2);
    option->value = *p + OPTION_LEN;
    if (end - option->value < option->size) {
        return false;
    }
    *p = option->value + option->size;
    return true;
}

static bool
store_option(struct mat_dhcp6 *msg, const struct option *option)
{
    switch (option->code) {
    case OPT_CLIENT_ID:
        msg->client_id = option->value;
        msg->client_id_size = option->size;
        return option->size > 0 && option->size <= MAT_DHCP_DUID_MAX;
    case OPT_SERVER_ID:
        msg->server_id = option->value;
        msg->server_id_size = option->size;
        return option->size > 0 && option->size <= MAT_DHCP_DUID_MAX;
    case OPT_RAPID_COMMIT:
        msg->rapid_commit = true;
        return true;
    case OPT_IA_NA:
        return msg->has_ia || store_ia(msg, option);
    default:
        return true;
    }
}

static bool
store_ia(struct mat_dhcp6 *msg, const struct option *ia)
{
    const uint8_t *p = ia->value + IA_NA_LEN;
    const uint8_t *end = ia->value + ia->size;
    struct option option;

    if (ia->size < IA_NA_LEN) {
        return false;
    }
    msg->has_ia = true;
    memcpy(msg->iaid, ia->value, sizeof msg->iaid);
    while (p < end) {
        if (!next_option(&p, end, &option)) {
            return false;
        }
        if (option.code == OPT_IA_ADDR && option.size >= IA_ADDR_LEN
            && mat_addr_is_zero(&msg->requested)) {
            msg->requested = mat_addr_from_v6(option.value);
        }
    }
    return true;
}

static bool
wants_us(const struct mat_dhcp6 *msg, const struct mat_dhcp_offer *offer)
{
    uint8_t duid[DUID_LL_LEN];

    fill_duid(duid, &offer->mac);
    if (mat_addr_is_v4(&offer->addr)
        || (msg->server_id_size
            && (msg->server_id_size != sizeof duid
                || memcmp(msg->server_id, duid, sizeof duid)))) {
        return false;
    }
    return (asks_for_address(msg) ? msg->has_ia
            : msg->type != MAT_DHCP6_CONFIRM
              || mat_addr_equal(&msg->requested, &offer->addr));
}

static bool
asks_for_address(const struct mat_dhcp6 *msg)
{
    return msg->type == MAT_DHCP6_SOLICIT || msg->type == MAT_DHCP6_REQUEST
           || msg->type == MAT_DHCP6_RENEW || msg->type == MAT_DHCP6_REBIND;
}

/* A DUID of the form that is a link layer address (RFC 8415, 11.4). */
static void
fill_duid(uint8_t duid[static DUID_LL_LEN], const struct mat_mac *mac)
{
    mat_put_be16(duid, 3);
    mat_put_be16(duid + 2, 1);
    memcpy(duid + 4, mac, sizeof *mac);
}

/* Appends an option with room for 'size' bytes and returns that room. */
static uint8_t *
add_option(uint8_t **p, uint16_t code, uint16_t size)
{
    uint8_t *value = *p + OPTION_LEN;

    mat_put_be16(*p, code);
    mat_put_be16(*p + 2, size);
    *p = value + size;
    return value;
}

static void
add_ia(uint8_t **p, const struct mat_dhcp6 *msg,
       const struct mat_dhcp_offer *offer)
{
    uint8_t *ia = add_option(p, OPT_IA_NA,
                             IA_NA_LEN + OPTION_LEN + IA_ADDR_LEN);
    uint8_t *inner = ia + IA_NA_LEN;
    uint8_t *addr = add_option(&inner, OPT_IA_ADDR, IA_ADDR_LEN);

    memcpy(ia, msg->iaid, sizeof msg->iaid);
    mat_put_be32(ia + 4, MAT_DHCP_LEASE_S / 2);
    mat_put_be32(ia + 8, MAT_DHCP_LEASE_S / 5 * 4);
    memcpy(addr, offer->addr.b, 16);
    mat_put_be32(addr + 16, MAT_DHCP_LEASE_S);
    mat_put_be32(addr + 20, MAT_DHCP_LEASE_S);
}

static void
add_dns(uint8_t **p, const struct mat_dhcp_offer *offer)
{
    uint8_t b[16 * MAT_DHCP_DNS_MAX];
    uint16_t size = 0;

    for (int i = 0; i < offer->n_dns && i < MAT_DHCP_DNS_MAX; i++) {
        if (!mat_addr_is_v4(&offer->dns[i])) {
            memcpy(b + size, offer->dns[i].b, 16);
            size = (uint16_t) (size + 16);
        }
    }
    if (size) {
        memcpy(add_option(p, OPT_DNS, size), b, size);
    }
}

static size_t
fill_options(uint8_t *options, const struct mat_dhcp6 *msg,
             const struct mat_dhcp_offer *offer)
{
    uint8_t *p = options;

    fill_duid(add_option(&p, OPT_SERVER_ID, DUID_LL_LEN), &offer->mac);
    if (msg->client_id_size) {
        memcpy(add_option(&p, OPT_CLIENT_ID, msg->client_id_size),
               msg->client_id, msg->client_id_size);
    }
    if (asks_for_address(msg)) {
        add_ia(&p, msg, offer);
    } else if (msg->type != MAT_DHCP6_INFORMATION) {
        mat_put_be16(add_option(&p, OPT_STATUS, 2), 0);     /* Success. */
    }
    if (msg->type == MAT_DHCP6_SOLICIT && msg->rapid_commit) {
        add_option(&p, OPT_RAPID_COMMIT, 0);
    }
    add_dns(&p, offer);
    return (size_t) (p - options);
}
