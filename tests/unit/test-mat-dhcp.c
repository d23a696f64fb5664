/* SPDX-License-Identifier: Apache-2.0 */

/* DHCP and DHCPv6: a guest asks, and is told what it already has. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-dhcp.h"
#include "mat-reply.h"

enum { V4_UDP = 34, V4_BOOTP = 42, V4_OPTIONS = V4_BOOTP + 240 };
enum { V6_UDP = 54, V6_MESSAGE = 62, V6_OPTIONS = 66 };

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 0xa };

static struct mat_addr
addr(const char *text)
{
    struct mat_addr a;

    assert_true(mat_addr_parse(text, &a));
    return a;
}

/* What the guest has. */
static struct mat_dhcp_offer
offer(bool v6)
{
    return (struct mat_dhcp_offer) {
        .addr = addr(v6 ? "2001:db8::5" : "10.0.0.5"),
        .plen = 24,
        .gateway = addr("10.0.0.254"),
        .mac = MAT_GATEWAY_MAC,
        .mtu = 1400,
        .dns = { addr("10.0.0.53"), addr("2001:db8::53"), addr("9.9.9.9") },
        .n_dns = 3
    };
}

/* A client's message: options as bytes, ended by 'END' or by the size. */
struct v4_spec {
    uint8_t type;
    const char *ciaddr;
    uint8_t options[16];
    uint8_t options_size;
    bool broadcast;
};

static uint32_t
compose_v4(const struct v4_spec *s, uint8_t frame[600])
{
    static const uint8_t head[42] = {
        255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0xa, 8, 0,
        0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255,
        255, 0, 68, 0, 67, 0, 0, 0, 0
    };
    uint32_t size = V4_OPTIONS + 3u + s->options_size + 1;
    uint8_t *b = frame + V4_BOOTP;
    struct mat_addr ciaddr = addr(s->ciaddr ? s->ciaddr : "0.0.0.0");

    memset(frame, 0, 600);
    memcpy(frame, head, sizeof head);
    frame[16] = (uint8_t) ((size - 14) >> 8);
    frame[17] = (uint8_t) (size - 14);
    frame[38] = (uint8_t) ((size - V4_UDP) >> 8);
    frame[39] = (uint8_t) (size - V4_UDP);
    memcpy(b, "\1\1\6\0xid!", 8);
    b[10] = s->broadcast ? 0x80 : 0;
    memcpy(b + 12, &ciaddr.b[12], 4);
    memcpy(b + 28, guest_mac, 6);
    memcpy(b + 236, "\x63\x82\x53\x63\x35\x01", 6);
    b[242] = s->type;
    memcpy(b + 243, s->options, s->options_size);
    b[243 + s->options_size] = 255;
    return size;
}

static bool
parse_v4(const uint8_t *frame, uint32_t size, struct mat_packet *p,
         struct mat_dhcp *msg)
{
    mat_packet_parse(p, guarded_copy(frame, size), size);
    return mat_dhcp_parse(p, msg);
}

static size_t
ask_v4(const struct v4_spec *s, uint8_t reply[MAT_REPLY_MAX])
{
    struct mat_dhcp_offer o = offer(false);
    struct mat_packet p;
    struct mat_dhcp msg;
    uint8_t frame[600];

    assert_true(parse_v4(frame, compose_v4(s, frame), &p, &msg));
    assert_int_equal(msg.type, s->type);
    return mat_reply_dhcp(&p, &msg, &o, reply, MAT_REPLY_MAX);
}

/* The value of option 'type' in an answer, or null. */
static const uint8_t *
find_option(const uint8_t *frame, size_t size, uint8_t type, uint8_t n)
{
    for (const uint8_t *p = frame + V4_OPTIONS; p < frame + size
         && *p != 255; p += *p ? 2 + p[1] : 1) {
        if (*p == type) {
            assert_int_equal(p[1], n);
            return p + 2;
        }
    }
    return NULL;
}

#define ASK_OURS { 50, 4, 10, 0, 0, 5 }, 6
#define ASK_OTHER { 50, 4, 10, 0, 0, 6 }, 6
#define OUR_SERVER { 50, 4, 10, 0, 0, 5, 54, 4, 10, 0, 0, 254 }, 12
#define OTHER_SERVER { 50, 4, 10, 0, 0, 5, 54, 4, 10, 0, 0, 253 }, 12

static void
test_who_is_answered(void **state)
{
    static const struct {
        struct v4_spec spec;
        uint8_t answer;         /* Type, or 0. */
    } table[] = {
        { { 1, NULL, { 0 }, 0, false }, 2 },
        { { 1, NULL, ASK_OURS, false }, 2 },
        { { 1, NULL, ASK_OTHER, false }, 2 },
        { { 3, NULL, OUR_SERVER, false }, 5 },      /* Selecting. */
        { { 3, NULL, OTHER_SERVER, false }, 0 },
        { { 3, NULL, ASK_OURS, false }, 5 },        /* After a reboot. */
        { { 3, NULL, ASK_OTHER, false }, 0 },       /* Never a NAK. */
        { { 3, "10.0.0.5", { 0 }, 0, false }, 5 },  /* Renewing. */
        { { 3, "10.0.0.6", { 0 }, 0, false }, 0 },
        { { 3, NULL, { 0 }, 0, false }, 0 },        /* Asks for nothing. */
        { { 4, NULL, OUR_SERVER, false }, 0 },
        { { 7, "10.0.0.5", { 0 }, 0, false }, 0 },
        { { 8, "10.0.0.5", { 0 }, 0, false }, 5 },
        { { 8, "10.0.0.6", { 0 }, 0, false }, 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t reply[MAT_REPLY_MAX];
        size_t size = ask_v4(&table[i].spec, reply);

        assert_int_equal(size > 0, table[i].answer > 0);
        if (size) {
            assert_int_equal(*find_option(reply, size, 53, 1),
                             table[i].answer);
        }
    }
}

static void
test_what_an_offer_says(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 61, 3, 0xff, 1, 2 }, 5,
                                         false };
    uint8_t reply[MAT_REPLY_MAX];
    size_t size = ask_v4(&spec, reply);
    const uint8_t *b = reply + V4_BOOTP;

    (void) state;
    assert_true(frame_is_right(reply, size));
    assert_true(size >= V4_BOOTP + 300);
    assert_memory_equal(reply, guest_mac, 6);
    assert_memory_equal(reply + 6, "\x02\x4d\x41\x54\x00\x01", 6);
    assert_memory_equal(reply + 26, "\x0a\0\0\xfe", 4);
    assert_memory_equal(reply + 30, "\x0a\0\0\x05", 4);
    assert_memory_equal(reply + V4_UDP, "\0\x43\0\x44", 4);
    assert_memory_equal(b, "\2\1\6\0xid!\0\0\0\0", 12);
    assert_memory_equal(b + 12, "\0\0\0\0", 4);
    assert_memory_equal(b + 16, "\x0a\0\0\x05", 4);
    assert_memory_equal(b + 20, "\0\0\0\0\0\0\0\0", 8);
    assert_memory_equal(b + 28, guest_mac, 6);
    assert_memory_equal(find_option(reply, size, 54, 4), "\x0a\0\0\xfe", 4);
    assert_memory_equal(find_option(reply, size, 51, 4), "\0\x09\x3a\x80", 4);
    assert_non_null(find_option(reply, size, 58, 4));
    assert_non_null(find_option(reply, size, 59, 4));
    assert_memory_equal(find_option(reply, size, 1, 4), "\xff\xff\xff\0", 4);
    assert_memory_equal(find_option(reply, size, 3, 4), "\x0a\0\0\xfe", 4);
    assert_memory_equal(find_option(reply, size, 26, 2), "\x05\x78", 2);
    assert_memory_equal(find_option(reply, size, 6, 8),
                        "\x0a\0\0\x35\x09\x09\x09\x09", 8);
    assert_memory_equal(find_option(reply, size, 61, 3), "\xff\1\2", 3);
}

static void
test_where_answers_go(void **state)
{
    static const struct {
        struct v4_spec spec;
        uint8_t eth_dst[6], ip_dst[4];
    } table[] = {
        { { 1, NULL, { 0 }, 0, false }, { 2, 0, 0, 0, 0, 0xa },
          { 10, 0, 0, 5 } },
        { { 1, NULL, { 0 }, 0, true }, { 255, 255, 255, 255, 255, 255 },
          { 255, 255, 255, 255 } },
        { { 3, "10.0.0.5", { 0 }, 0, true }, { 2, 0, 0, 0, 0, 0xa },
          { 10, 0, 0, 5 } },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t reply[MAT_REPLY_MAX];
        size_t size = ask_v4(&table[i].spec, reply);

        assert_true(frame_is_right(reply, size));
        assert_memory_equal(reply, table[i].eth_dst, 6);
        assert_memory_equal(reply + 30, table[i].ip_dst, 4);
    }
}

static void
test_inform_gets_no_address(void **state)
{
    static const struct v4_spec spec = { 8, "10.0.0.5", { 0 }, 0, false };
    uint8_t reply[MAT_REPLY_MAX];
    size_t size = ask_v4(&spec, reply);

    (void) state;
    assert_memory_equal(reply + V4_BOOTP + 12, "\x0a\0\0\5\0\0\0\0", 8);
    assert_null(find_option(reply, size, 51, 4));
    assert_null(find_option(reply, size, 58, 4));
}

static void
test_every_netmask(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
    struct mat_dhcp_offer o = offer(false);
    uint8_t frame[600], reply[MAT_REPLY_MAX];
    struct mat_packet p;
    struct mat_dhcp msg;

    (void) state;
    assert_true(parse_v4(frame, compose_v4(&spec, frame), &p, &msg));
    for (o.plen = 0; o.plen <= 32; o.plen++) {
        size_t size = mat_reply_dhcp(&p, &msg, &o, reply, sizeof reply);
        const uint8_t *mask = find_option(reply, size, 1, 4);

        for (int bit = 0; bit < 32; bit++) {
            assert_int_equal(!!(mask[bit / 8] & 0x80 >> bit % 8),
                             bit < o.plen);
        }
    }
}

static void
test_number_of_name_servers(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
    static const uint8_t n_fit[] = { 0, 1, 1, 2, 2, 2 };
    struct mat_dhcp_offer o = offer(false);
    uint8_t frame[600], reply[MAT_REPLY_MAX];
    struct mat_packet p;
    struct mat_dhcp msg;

    (void) state;
    assert_true(parse_v4(frame, compose_v4(&spec, frame), &p, &msg));
    for (o.n_dns = 0; o.n_dns < sizeof n_fit; o.n_dns++) {
        uint8_t n = n_fit[o.n_dns];
        size_t size = mat_reply_dhcp(&p, &msg, &o, reply, sizeof reply);
        const uint8_t *value = find_option(reply, size, 6,
                                           (uint8_t) (4 * n));

        assert_int_equal(value != NULL, n > 0);
    }
}

static void
test_dhcp_at_every_truncation(void **state)
{
    static const struct v4_spec spec = { 3, NULL, OUR_SERVER, false };
    uint8_t frame[600], reply[MAT_REPLY_MAX];
    uint32_t size = compose_v4(&spec, frame);
    struct mat_dhcp_offer o = offer(false);
    struct mat_packet p;
    struct mat_dhcp msg;

    (void) state;
    for (uint32_t cut = 0; cut < size; cut++) {
        assert_false(parse_v4(frame, cut, &p, &msg));
    }
    /* With lengths to match, a cut between options is fine once the type is
     * there, and a missing end mark too. */
    for (uint32_t cut = V4_UDP + 8; cut <= size; cut++) {
        uint32_t past = cut - V4_OPTIONS;
        bool whole = cut > V4_OPTIONS
                     && (past == 3 || past == 9 || past >= 15);

        frame[16] = (uint8_t) ((cut - 14) >> 8);
        frame[17] = (uint8_t) (cut - 14);
        frame[38] = (uint8_t) ((cut - V4_UDP) >> 8);
        frame[39] = (uint8_t) (cut - V4_UDP);
        assert_int_equal(parse_v4(frame, cut, &p, &msg), whole);
    }
    size_t full = mat_reply_dhcp(&p, &msg, &o, reply, sizeof reply);
    assert_true(full > 0);
    for (size_t cap = 0; cap < full; cap++) {
        assert_int_equal(mat_reply_dhcp(&p, &msg, &o, reply, cap), 0);
    }
}

static void
test_what_is_no_client_message(void **state)
{
    static const struct { uint16_t ofs; uint8_t value; } table[] = {
        { 37, 68 }, { 23, 6 }, { 20, 0x20 }, { 21, 1 }, { 38, 9 }, { 39, 7 },
        { V4_BOOTP, 2 }, { V4_BOOTP + 1, 6 }, { V4_BOOTP + 2, 8 },
        { V4_BOOTP + 24, 10 }, { V4_BOOTP + 28, 1 }, { V4_BOOTP + 236, 0 },
        { V4_OPTIONS, 255 }, { V4_OPTIONS + 1, 2 }, { V4_OPTIONS + 2, 0 },
        { V4_OPTIONS + 2, 2 }, { V4_OPTIONS + 2, 5 }, { V4_OPTIONS + 2, 6 },
        { V4_OPTIONS + 2, 9 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
        struct mat_packet p;
        struct mat_dhcp msg;
        uint8_t frame[600];
        uint32_t size = compose_v4(&spec, frame);

        frame[table[i].ofs] = table[i].value;
        assert_false(parse_v4(frame, size, &p, &msg));
    }
}

/* A UDP length that says more than there is, by one. */
static void
test_udp_length_past_the_packet(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
    struct mat_packet p;
    struct mat_dhcp msg;
    uint8_t frame[600];
    uint32_t size = compose_v4(&spec, frame);

    (void) state;
    frame[39]++;
    assert_false(parse_v4(frame, size, &p, &msg));
    frame[39] = (uint8_t) (frame[39] - 2);      /* One less: no end mark. */
    assert_true(parse_v4(frame, size, &p, &msg));
}

/* The largest answer there is still fits in MAT_REPLY_MAX. */
static void
test_longest_client_id(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
    struct mat_dhcp_offer o = offer(false);
    uint8_t frame[600], reply[MAT_REPLY_MAX];
    uint8_t id[UINT8_MAX];
    struct mat_packet p;
    struct mat_dhcp msg;

    (void) state;
    memset(id, 0xcc, sizeof id);
    o.dns[1] = addr("8.8.8.8");
    assert_true(parse_v4(frame, compose_v4(&spec, frame), &p, &msg));
    msg.client_id = id;
    msg.client_id_size = sizeof id;
    size_t size = mat_reply_dhcp(&p, &msg, &o, reply, sizeof reply);
    assert_true(frame_is_right(reply, size));
    assert_memory_equal(find_option(reply, size, 61, 255), id, sizeof id);
}

/* One of these answers sums to 0, which UDP must send as 0xffff. */
static void
test_udp_checksum_is_never_0(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
    struct mat_dhcp_offer o = offer(false);
    uint8_t frame[600], reply[MAT_REPLY_MAX];
    unsigned int n_ones = 0;
    struct mat_packet p;
    struct mat_dhcp msg;

    (void) state;
    assert_true(parse_v4(frame, compose_v4(&spec, frame), &p, &msg));
    for (uint32_t xid = 0; xid <= 0xffff; xid++) {
        msg.xid[0] = (uint8_t) (xid >> 8);
        msg.xid[1] = (uint8_t) xid;
        mat_reply_dhcp(&p, &msg, &o, reply, sizeof reply);
        const uint8_t *csum = reply + V4_UDP + 6;
        assert_true(csum[0] || csum[1]);
        n_ones += csum[0] == 0xff && csum[1] == 0xff;
    }
    assert_true(n_ones > 0);
}

static void
test_offer_of_the_other_family(void **state)
{
    static const struct v4_spec spec = { 1, NULL, { 0 }, 0, false };
    struct mat_dhcp_offer o = offer(true);
    uint8_t frame[600], reply[MAT_REPLY_MAX];
    struct mat_packet p;
    struct mat_dhcp msg;

    (void) state;
    assert_true(parse_v4(frame, compose_v4(&spec, frame), &p, &msg));
    assert_int_equal(mat_reply_dhcp(&p, &msg, &o, reply, sizeof reply), 0);
}

/* DHCPv6. */

static const uint8_t client_id[14] = "\0\1\0\x0a\0\3\0\1\2\0\0\0\0\x0a";
static const uint8_t our_id[14] = "\0\2\0\x0a\0\3\0\1\2\x4d\x41\x54\0\1";
static const uint8_t other_id[14] = "\0\2\0\x0a\0\3\0\1\2\x4d\x41\x54\0\2";
static const uint8_t empty_ia[16] = "\0\3\0\x0c" "IAID";
static const uint8_t ia_ours[44] =
    "\0\3\0\x28" "IAID\0\0\0\0\0\0\0\0\0\5\0\x18"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\5";
static const uint8_t ia_other[44] =
    "\0\3\0\x28" "IAID\0\0\0\0\0\0\0\0\0\5\0\x18"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\6";
static const uint8_t rapid[4] = "\0\x0e\0\0";

enum { CLIENT = 1, OURS = 2, OTHER = 4, IA = 8, IA_OURS = 16, IA_OTHER = 32,
       RAPID = 64 };

static uint32_t
compose_v6(uint8_t type, unsigned int options, uint8_t frame[400])
{
    static const uint8_t head[62] =
        "\x33\x33\0\1\0\2\2\0\0\0\0\x0a\x86\xdd\x60\0\0\0\0\0\x11\1"
        "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a"
        "\xff\x02\0\0\0\0\0\0\0\0\0\0\0\1\0\2\2\x22\2\x23";
    static const struct {
        unsigned int bit;
        const uint8_t *bytes;
        uint32_t size;
    } all[] = {
        { CLIENT, client_id, 14 }, { OURS, our_id, 14 },
        { OTHER, other_id, 14 }, { IA, empty_ia, 16 },
        { IA_OURS, ia_ours, 44 }, { IA_OTHER, ia_other, 44 },
        { RAPID, rapid, 4 }
    };
    uint32_t size = V6_OPTIONS;

    memset(frame, 0, 400);
    memcpy(frame, head, sizeof head);
    frame[V6_MESSAGE] = type;
    memcpy(frame + V6_MESSAGE + 1, "tid", 3);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (options & all[i].bit) {
            memcpy(frame + size, all[i].bytes, all[i].size);
            size += all[i].size;
        }
    }
    frame[19] = (uint8_t) (size - V6_UDP);
    frame[V6_UDP + 5] = (uint8_t) (size - V6_UDP);
    return size;
}

static bool
parse_v6(const uint8_t *frame, uint32_t size, struct mat_packet *p,
         struct mat_dhcp6 *msg)
{
    mat_packet_parse(p, guarded_copy(frame, size), size);
    return mat_dhcp6_parse(p, msg);
}

/* The value of option 'code' among those from 'ofs', or null. */
static const uint8_t *
find_option6(const uint8_t *frame, size_t ofs, size_t size, uint8_t code)
{
    while (ofs + 4 <= size) {
        if (frame[ofs + 1] == code) {
            return frame + ofs + 4;
        }
        ofs += 4u + frame[ofs + 3];
    }
    return NULL;
}

static void
test_who_is_answered_in_ipv6(void **state)
{
    static const struct {
        uint8_t type;
        unsigned int options;
        uint8_t answer;         /* Type, or 0. */
        bool address, status;   /* In it. */
    } table[] = {
        { 1, CLIENT | IA, 2, true, false },
        { 1, CLIENT | IA | RAPID, 7, true, false },
        { 1, CLIENT | IA_OTHER, 2, true, false },
        { 1, CLIENT, 0, false, false },
        { 3, CLIENT | OURS | IA_OURS, 7, true, false },
        { 3, CLIENT | OTHER | IA_OURS, 0, false, false },
        { 4, CLIENT | IA_OURS, 7, false, true },
        { 4, CLIENT | IA_OTHER, 0, false, false },
        { 4, CLIENT, 0, false, false },
        { 5, CLIENT | OURS | IA_OURS, 7, true, false },
        { 5, CLIENT | OTHER | IA_OURS, 0, false, false },
        { 6, CLIENT | IA_OURS, 7, true, false },
        { 6, CLIENT | IA_OURS | RAPID, 7, true, false },
        { 8, CLIENT | OURS | IA_OURS, 7, false, true },
        { 9, CLIENT | OURS | IA_OURS, 7, false, true },
        { 11, CLIENT, 7, false, false },
        { 11, 0, 7, false, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct mat_dhcp_offer o = offer(true);
        uint8_t frame[400], reply[MAT_REPLY_MAX];
        struct mat_packet p;
        struct mat_dhcp6 msg;
        uint32_t size = compose_v6(table[i].type, table[i].options, frame);

        assert_true(parse_v6(frame, size, &p, &msg));
        size_t n = mat_reply_dhcp6(&p, &msg, &o, reply, sizeof reply);
        assert_int_equal(n > 0, table[i].answer > 0);
        if (!n) {
            continue;
        }
        assert_true(frame_is_right(reply, n));
        assert_memory_equal(reply, guest_mac, 6);
        assert_memory_equal(reply + V6_UDP, "\2\x23\2\x22", 4);
        assert_int_equal(reply[V6_MESSAGE], table[i].answer);
        assert_memory_equal(reply + V6_MESSAGE + 1, "tid", 3);
        assert_memory_equal(find_option6(reply, V6_OPTIONS, n, 2),
                            our_id + 4, 10);
        if (table[i].options & CLIENT) {
            assert_memory_equal(find_option6(reply, V6_OPTIONS, n, 1),
                                client_id + 4, 10);
        }
        const uint8_t *ia = find_option6(reply, V6_OPTIONS, n, 3);
        assert_int_equal(ia != NULL, table[i].address);
        if (ia) {
            assert_memory_equal(ia, "IAID", 4);
            assert_memory_equal(ia + 12, ia_ours + 16, 20);
        }
        const uint8_t *status = find_option6(reply, V6_OPTIONS, n, 13);
        assert_int_equal(status != NULL, table[i].status);
        assert_int_equal(find_option6(reply, V6_OPTIONS, n, 14) != NULL,
                         table[i].type == 1 && table[i].options & RAPID);
        assert_memory_equal(find_option6(reply, V6_OPTIONS, n, 23),
                            addr("2001:db8::53").b, 16);
        for (size_t cap = 0; cap < n; cap++) {
            assert_int_equal(mat_reply_dhcp6(&p, &msg, &o, reply, cap), 0);
        }
    }
}

static void
test_dhcp6_at_every_truncation(void **state)
{
    uint8_t frame[400];
    uint32_t size = compose_v6(3, CLIENT | OURS | IA_OURS, frame);
    struct mat_packet p;
    struct mat_dhcp6 msg;

    (void) state;
    for (uint32_t cut = 0; cut < size; cut++) {
        assert_false(parse_v6(frame, cut, &p, &msg));
    }
    for (uint32_t cut = V6_MESSAGE; cut <= size; cut++) {
        uint32_t past = cut - V6_OPTIONS;

        frame[19] = frame[V6_UDP + 5] = (uint8_t) (cut - V6_UDP);
        assert_int_equal(parse_v6(frame, cut, &p, &msg),
                         cut > V6_OPTIONS
                         && (past == 14 || past == 28 || past == 72));
    }
}

static void
test_udp_length_past_the_packet_in_ipv6(void **state)
{
    uint8_t frame[400];
    uint32_t size = compose_v6(1, CLIENT | RAPID, frame);
    struct mat_packet p;
    struct mat_dhcp6 msg;

    (void) state;
    assert_true(parse_v6(frame, size, &p, &msg));
    assert_true(msg.rapid_commit);
    /* The last option, whole, is in the padding after the IP packet. */
    frame[19] = (uint8_t) (frame[19] - sizeof rapid);
    assert_false(parse_v6(frame, size, &p, &msg));
}

static void
test_what_is_no_client_message_in_ipv6(void **state)
{
    static const struct { uint8_t ofs, value; } table[] = {
        { V6_UDP + 3, 0x22 }, { V6_UDP + 5, 11 }, { V6_UDP + 4, 9 },
        { V6_MESSAGE, 0 }, { V6_MESSAGE, 2 }, { V6_MESSAGE, 7 },
        { V6_MESSAGE, 10 }, { V6_MESSAGE, 12 }, { V6_MESSAGE, 13 },
        { V6_OPTIONS + 2, 1 }, { V6_OPTIONS + 3, 11 }, { V6_OPTIONS + 1, 9 },
        { 20, 6 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct mat_packet p;
        struct mat_dhcp6 msg;
        uint8_t frame[400];
        uint32_t size = compose_v6(1, CLIENT | IA, frame);

        frame[table[i].ofs] = table[i].value;
        assert_false(parse_v6(frame, size, &p, &msg));
    }
}

/* Options nested in an association that end outside of it, or are too short
 * or too long for what they are. */
static void
test_broken_options_in_ipv6(void **state)
{
    static const uint8_t values[][2] = {
        { V6_OPTIONS + 14 + 3, 11 },    /* Association too short. */
        { V6_OPTIONS + 14 + 19, 25 },   /* Address longer than it. */
        { V6_OPTIONS + 14 + 18, 1 },
        { V6_OPTIONS + 3, 0 },          /* Identity of nothing. */
    };

    (void) state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct mat_packet p;
        struct mat_dhcp6 msg;
        uint8_t frame[400];
        uint32_t size = compose_v6(5, CLIENT | IA_OURS, frame);

        frame[values[i][0]] = values[i][1];
        assert_false(parse_v6(frame, size, &p, &msg));
    }

    struct mat_packet p;
    struct mat_dhcp6 msg;
    uint8_t frame[400];
    uint32_t size = compose_v6(5, CLIENT | OURS, frame);

    assert_true(parse_v6(frame, size, &p, &msg));
    memcpy(frame + V6_OPTIONS + 14, "\0\2\0\0\0\xff\0\6", 8);
    assert_false(parse_v6(frame, size, &p, &msg));
}

/* In an association only the first address counts, and nothing else. */
static void
test_what_is_asked_for_in_ipv6(void **state)
{
    static const uint8_t status[6] = "\0\x0d\0\2\0\0";
    uint8_t frame[400];
    struct mat_packet p;
    struct mat_dhcp6 msg;
    uint32_t size = compose_v6(5, CLIENT | IA, frame);
    uint8_t *ia_size = frame + V6_OPTIONS + 14 + 3;

    (void) state;
    memcpy(frame + size, status, sizeof status);
    size += sizeof status;
    *ia_size = 12 + 6;
    frame[19] = frame[V6_UDP + 5] = (uint8_t) (size - V6_UDP);
    assert_true(parse_v6(frame, size, &p, &msg));
    assert_true(msg.has_ia);
    assert_true(mat_addr_is_zero(&msg.requested));

    memcpy(frame + size, ia_ours + 16, 28);
    memcpy(frame + size + 28, ia_other + 16, 28);
    size += 56;
    *ia_size = 12 + 6 + 56;
    frame[19] = frame[V6_UDP + 5] = (uint8_t) (size - V6_UDP);
    assert_true(parse_v6(frame, size, &p, &msg));
    assert_memory_equal(msg.requested.b, ia_ours + 20, 16);
}

static void
test_number_of_name_servers_in_ipv6(void **state)
{
    static const uint8_t n_fit[] = { 0, 0, 1, 2, 2 };
    struct mat_dhcp_offer o = offer(true);
    uint8_t frame[400], reply[MAT_REPLY_MAX];
    struct mat_packet p;
    struct mat_dhcp6 msg;

    (void) state;
    o.dns[2] = addr("2001:db8::54");
    assert_true(parse_v6(frame, compose_v6(11, CLIENT, frame), &p, &msg));
    for (o.n_dns = 0; o.n_dns < sizeof n_fit; o.n_dns++) {
        size_t size = mat_reply_dhcp6(&p, &msg, &o, reply, sizeof reply);
        const uint8_t *dns = find_option6(reply, V6_OPTIONS, size, 23);

        assert_int_equal(dns ? dns[-1] : 0, 16 * n_fit[o.n_dns]);
        if (n_fit[o.n_dns] == 2) {
            assert_memory_equal(dns, o.dns[1].b, 16);
            assert_memory_equal(dns + 16, o.dns[2].b, 16);
        }
    }
}

static void
test_longest_identity_in_ipv6(void **state)
{
    struct mat_dhcp_offer o = offer(true);
    uint8_t frame[400], reply[MAT_REPLY_MAX];
    struct mat_packet p;
    struct mat_dhcp6 msg;

    (void) state;
    o.dns[0] = o.dns[2] = o.dns[1];
    for (uint32_t n = MAT_DHCP_DUID_MAX; n <= MAT_DHCP_DUID_MAX + 1u; n++) {
        uint32_t size = compose_v6(1, IA | RAPID, frame);

        memcpy(frame + size, "\0\1\0", 3);
        frame[size + 3] = (uint8_t) n;
        memset(frame + size + 4, 0xdd, n);
        size += 4 + n;
        frame[19] = frame[V6_UDP + 5] = (uint8_t) (size - V6_UDP);
        assert_int_equal(parse_v6(frame, size, &p, &msg),
                         n == MAT_DHCP_DUID_MAX);
        if (n == MAT_DHCP_DUID_MAX) {
            size_t m = mat_reply_dhcp6(&p, &msg, &o, reply, sizeof reply);

            assert_true(frame_is_right(reply, m));
        }
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_answered),
        cmocka_unit_test(test_what_an_offer_says),
        cmocka_unit_test(test_where_answers_go),
        cmocka_unit_test(test_inform_gets_no_address),
        cmocka_unit_test(test_every_netmask),
        cmocka_unit_test(test_number_of_name_servers),
        cmocka_unit_test(test_dhcp_at_every_truncation),
        cmocka_unit_test(test_what_is_no_client_message),
        cmocka_unit_test(test_udp_length_past_the_packet),
        cmocka_unit_test(test_longest_client_id),
        cmocka_unit_test(test_udp_checksum_is_never_0),
        cmocka_unit_test(test_offer_of_the_other_family),
        cmocka_unit_test(test_who_is_answered_in_ipv6),
        cmocka_unit_test(test_dhcp6_at_every_truncation),
        cmocka_unit_test(test_udp_length_past_the_packet_in_ipv6),
        cmocka_unit_test(test_what_is_no_client_message_in_ipv6),
        cmocka_unit_test(test_broken_options_in_ipv6),
        cmocka_unit_test(test_what_is_asked_for_in_ipv6),
        cmocka_unit_test(test_number_of_name_servers_in_ipv6),
        cmocka_unit_test(test_longest_identity_in_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
