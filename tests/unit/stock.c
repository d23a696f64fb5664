/* SPDX-License-Identifier: Apache-2.0 */
#include "stock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mat-nd.h"
#include "mat-neighbor.h"
#include "mat-packet.h"
#include "mat-reply.h"

struct mat_moa *moa;
struct mat_moa_config stock_config;
int64_t now_us;
char stock_lines[65536];
unsigned int stock_frames;

struct mat_addr
stock_addr(const char *text)
{
    struct mat_addr a;

    assert_true(mat_addr_parse(text, &a));
    return a;
}

struct mat_mac
stock_mac(unsigned int n)
{
    return (struct mat_mac) { { 2, 9, 9, 9, (uint8_t) (n >> 8),
                                (uint8_t) n } };
}

struct mat_moa_owner
stock_owner(uint32_t zone, const char *hoa)
{
    return (struct mat_moa_owner) { zone, stock_addr(hoa) };
}

void
stock_set_pools(const char *pool4, const char *pool6)
{
    char error[MAT_MOA_TEXT_MAX];

    if (!mat_moa_parse(pool4, false, &stock_config.pools[0], error)
        || !mat_moa_parse(pool6, true, &stock_config.pools[1], error)) {
        fail_msg("%s", error);
    }
}

static struct mat_moa_prefix
prefix(const char *text)
{
    struct mat_moa_prefix p;
    unsigned int plen;

    assert_true(mat_prefix_parse(text, &p.addr, &plen));
    p.plen = (uint8_t) plen;
    return p;
}

void
stock_begin(const char *pool4, const char *pool6, unsigned int n_uplinks,
            unsigned int ready)
{
    struct mat_moa_uplink *u = stock_config.uplinks;

    mat_moa_config_default(&stock_config);
    stock_set_pools(pool4, pool6);
    stock_config.stock = ready;
    stock_config.n_uplinks = n_uplinks;
    for (unsigned int i = 0; i < n_uplinks; i++) {
        snprintf(u[i].name, sizeof u[i].name, "eth%u", i);
        u[i].up = true;
        u[i].mac = (struct mat_mac) { { 2, 0, 0, 0, 0, (uint8_t) i } };
        u[i].n_routers[0] = 1;
    }
    u[0].subnets[u[0].n_subnets++] = prefix("10.0.0.1/24");
    u[0].subnets[u[0].n_subnets++] = prefix("2001:db8::1/64");
    u[0].routers[0][0] = stock_addr("10.0.0.254");
    u[0].routers[1][u[0].n_routers[1]++] = stock_addr("fe80::fe");
    u[0].advertised[u[0].n_advertised++] = prefix("2001:db8::/64");
    if (n_uplinks > 1) {
        u[1].subnets[u[1].n_subnets++] = prefix("10.1.0.1/24");
        u[1].routers[0][0] = stock_addr("10.1.0.254");
    }
    now_us = 1000 * S;
    stock_clear();
    moa = mat_moa_create(&stock_config, 7, now_us);
    stock_drain();
}

void
stock_end(void)
{
    mat_moa_destroy(moa);
    moa = NULL;
}

void
stock_clear(void)
{
    stock_lines[0] = '\0';
    stock_frames = 0;
}

void
stock_reconfigure(void)
{
    mat_moa_configure(moa, now_us, &stock_config);
    stock_drain();
}

static void
add_line(const char *what, const struct mat_addr *a, const struct mat_addr *b,
         const char *text)
{
    size_t used = strlen(stock_lines);
    char one[MAT_ADDR_STRLEN], other[MAT_ADDR_STRLEN];

    if (used > sizeof stock_lines - 1000) {
        used = 0;               /* Nobody reads that much. */
    }
    snprintf(stock_lines + used, sizeof stock_lines - used, "%s%s%s%s%s%s\n",
             what, a ? " " : "", a ? mat_addr_format(a, one) : "",
             b ? " > " : "", b ? mat_addr_format(b, other) : "", text);
}

/* Every frame must be well-formed by the parsers of the switch. */
static void
note_frame(const struct mat_moa_output *out)
{
    uint8_t copy[MAT_NEIGHBOR_FRAME_MAX];
    struct mat_mac src;
    struct mat_packet p;
    struct mat_arp arp;
    struct mat_nd nd;
    bool known = false;

    stock_frames++;
    memcpy(copy, out->frame, out->size);
    mat_packet_parse(&p, copy, (uint32_t) out->size);
    src = mat_packet_eth_src(&p);
    for (size_t i = 0; i < stock_config.n_uplinks; i++) {
        known |= (!strcmp(stock_config.uplinks[i].name, out->uplink)
                  && mat_mac_equal(&stock_config.uplinks[i].mac, &src));
    }
    assert_true(known);
    if (out->v6 && !mat_packet_is_nd(&p)) {
        const uint8_t *report = mat_packet_l4(&p);
        struct mat_addr group = mat_addr_from_v6(report + 12);

        assert_int_equal(report[0], 143);
        assert_int_equal(mat_packet_ttl(&p), 1);
        add_line("report", &group, NULL, "");
        return;
    } else if (out->v6) {
        assert_true(mat_nd_parse(&p, MAT_CSUM_FULL, &nd));
        if (nd.type == MAT_ND_NA) {
            assert_true(nd.has_lladdr && nd.flags == MAT_NA_OVERRIDE);
            add_line("announce", &nd.target, NULL, "");
        } else if (mat_nd_is_dad(&nd)) {
            add_line("probe", &nd.target, NULL, "");
        } else {
            assert_true(nd.has_lladdr);
            add_line("tell", &nd.src, &nd.target, "");
        }
        return;
    }
    assert_true(mat_arp_parse(&p, &arp) && arp.op == MAT_ARP_REQUEST);
    assert_memory_equal(&arp.sha, &src, sizeof src);
    if (mat_arp_is_probe(&arp)) {
        add_line("probe", &arp.tpa, NULL, "");
    } else if (mat_arp_is_gratuitous(&arp)) {
        add_line("announce", &arp.tpa, NULL, "");
    } else {
        add_line("tell", &arp.spa, &arp.tpa, "");
    }
}

void
stock_drain(void)
{
    static const char *const kinds[] = {
        "", "! conflict ", "! renumber ", "! exhausted ", "! low ",
        "! enough "
    };
    struct mat_moa_output out;

    while (mat_moa_next(moa, &out)) {
        if (out.kind == MAT_MOA_OUT_FRAME) {
            note_frame(&out);
        } else {
            add_line(kinds[out.kind], NULL, NULL, out.text);
        }
    }
}

void
stock_run(int64_t us)
{
    int64_t end_us = now_us + us;

    for (;;) {
        int64_t at_us = mat_moa_deadline_us(moa);

        if (at_us > end_us) {
            break;
        }
        now_us = at_us > now_us ? at_us : now_us;
        mat_moa_tick(moa, now_us);
        stock_drain();
    }
    now_us = end_us;
    mat_moa_tick(moa, now_us);
    stock_drain();
}

bool
stock_said(const char *line)
{
    const char *p = stock_lines;
    size_t n = strlen(line);

    while (p && strncmp(p, line, n)) {
        p = strchr(p, '\n');
        p = p && p[1] ? p + 1 : NULL;
    }
    return p != NULL;
}

const char *
stock_take(const char *hoa, const char *uplink, const char *preferred,
           bool home)
{
    static char text[MAT_ADDR_STRLEN];
    struct mat_moa_want want = { .owner = stock_owner(0, hoa),
                                 .uplink = uplink, .home = home };
    struct mat_moa_info info;
    enum mat_moa_result result;

    if (preferred) {
        want.preferred = stock_addr(preferred);
    }
    result = mat_moa_take(moa, now_us, &want, &info);
    stock_drain();
    return (result == MAT_MOA_OK ? mat_addr_format(&info.moa, text)
            : mat_moa_strerror(result));
}

bool
stock_release(const char *text)
{
    struct mat_addr a = stock_addr(text);
    bool ok = mat_moa_release(moa, now_us, &a);

    stock_drain();
    return ok;
}

void
stock_claim(const char *text, unsigned int mac, bool asks)
{
    struct mat_addr a = stock_addr(text);
    struct mat_mac m = stock_mac(mac);

    mat_moa_claimed(moa, now_us, &a, &m, asks);
    stock_drain();
}

const char *
stock_state(const char *text)
{
    static char buf[200];
    struct mat_addr a = stock_addr(text);
    struct mat_moa_info info;

    if (!mat_moa_find(moa, &a, &info)) {
        return "none";
    }
    snprintf(buf, sizeof buf, "%s %s%s%s%s%s", mat_moa_state_name(info.state),
             info.uplink, info.routed ? " routed" : "",
             info.home ? " home" : "", info.draining ? " draining" : "",
             info.reserved ? " reserved" : "");
    return buf;
}

unsigned int
stock_count(enum mat_moa_state state)
{
    struct mat_moa_info info;
    size_t cursor = 0;
    unsigned int n = 0;

    while (mat_moa_next_info(moa, &cursor, &info)) {
        n += info.state == state;
    }
    return n;
}
