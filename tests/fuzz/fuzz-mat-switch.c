/* SPDX-License-Identifier: Apache-2.0 */

/* Gives the switch any bytes as a frame, from any port in either direction.
 *
 * The first byte of the input chooses; the rest is the frame.  Whatever it
 * holds, these must hold:
 *
 *   - Nothing outside of the frame is touched (the sanitizers tell).
 *   - A frame that is not passed on or delivered has not been changed.
 *   - What is counted as translated has MoAs as its addresses; what is
 *     delivered as from a VMN has HoAs; both parse, and differ from before
 *     only in addresses, checksums, TTL and MACs.
 *   - Frames go to ports that exist, and what the switch says by itself is a
 *     right frame, sent back to where the question came from.
 *   - The fast path does what the slow one does. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mat-packet.h"
#include "mat-switch.h"
#include "../unit/table-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VM1 = 1, VM2, UPLINK = 9, ZONE = 7, SIZE_MAX_ = 2048 };

enum {
    CHOOSE_IN = 1,
    CHOOSE_EXPLICIT = 2,
    CHOOSE_OTHER_PORT = 4,
    CHOOSE_NO_HOLD = 8,
    CHOOSE_PARTIAL = 16,
    CHOOSE_BEHIND = 32          /* The next hop takes former MoAs. */
};

static struct mat_table *table;
static struct mat_switch_thread *thread;
static uint32_t in_port;
static bool can_hold;

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
emit(void *aux, uint32_t odp_port, const void *frame, size_t size)
{
    uint8_t copy[10240];
    struct mat_packet p;

    (void) aux;
    require(odp_port == in_port);
    require(size <= sizeof copy);
    memcpy(copy, frame, size);
    require(mat_packet_parse(&p, copy, (uint32_t) size)
            != MAT_PACKET_MALFORMED);
}

static bool
hold(void *aux, size_t i, const struct mat_hold_key *key)
{
    (void) aux;
    (void) key;
    require(!i);
    return can_hold;
}

static void
event(void *aux, const struct mat_event *e)
{
    (void) aux;
    require(e->type < MAT_N_EVENTS);
    require(e->odp_port == in_port);
}

static void
put(enum mat_state state, const char *hoa, const char *moa, uint8_t n,
    const char *port)
{
    struct mat_entry e = {
        .zone = ZONE,
        .hoa = test_addr(hoa),
        .moa = test_addr(moa),
        .state = state,
        .mac = { { 0x02, 0, 0, 0, 0, n } },
        .nexthop = state == MAT_STATE_REMOTE ? 1 : 0,
    };

    e.plen = (uint8_t) mat_addr_bits(&e.hoa);
    memcpy(e.port, port, strlen(port) + 1);
    require(!mat_table_put(table, &e));
}

static void
put_former(const char *hoa_, const char *former)
{
    struct mat_addr hoa = test_addr(hoa_);
    struct mat_entry e;

    require(mat_table_get_live(table, ZONE, &hoa, &e));
    e.former = test_addr(former);
    require(!mat_table_put(table, &e));
}

static void
put_hop(bool is_behind)
{
    const struct mat_mac mac = { { 0x02, 0xee, 0, 0, 0, 1 } };
    const struct mat_nexthop hop = { 1, mac, mac, 1500, is_behind };

    require(!mat_table_put_nexthop(table, &hop));
    mat_table_quiesce(table);
}

/* HoAs are 10.0.0.N and 2001:db8::N, MoAs 172.16.0.N and 2001:db8:1::N; those
 * of VM 1 had N + 100 before. */
static void
make_world(void)
{
    const struct mat_mac mac = { { 0x02, 0xee, 0, 0, 0, 1 } };
    const struct mat_port uplink = { .name = "up", .role = MAT_PORT_UPLINK };
    const struct mat_zone zone = {
        .zone = ZONE,
        .n_subnets = 2,
        .subnets = {
            { test_addr("10.0.0.0"), 24, test_addr("10.0.0.254") },
            { test_addr("2001:db8::"), 64, test_addr("2001:db8::fe") },
        },
    };
    const struct mat_pool pool = { test_addr("172.16.0.0"), 24, true };

    table = test_table_create();
    thread = calloc(1, sizeof *thread);
    require(!mat_table_put_port(table, &uplink));
    put_hop(false);
    require(!mat_table_put_zone(table, &zone));
    require(!mat_table_put_pool(table, &pool));
    put(MAT_STATE_LOCAL, "10.0.0.1", "172.16.0.1", 1, "vm1");
    put(MAT_STATE_LOCAL, "2001:db8::1", "2001:db8:1::1", 1, "vm1");
    put(MAT_STATE_LOCAL, "10.0.0.2", "172.16.0.2", 2, "vm2");
    put(MAT_STATE_REMOTE, "10.0.0.5", "172.16.0.5", 5, "");
    put(MAT_STATE_REMOTE, "2001:db8::5", "2001:db8:1::5", 5, "");
    put(MAT_STATE_LOCAL, "10.0.0.8", "172.16.0.8", 8, "vm2");
    put(MAT_STATE_REMOTE, "10.0.0.8", "172.16.0.9", 8, "");
    put_former("10.0.0.1", "172.16.0.101");
    put_former("2001:db8::1", "2001:db8:1::101");
    mat_table_port_attached(table, "vm1", VM1, &mac, 1500);
    mat_table_port_attached(table, "vm2", VM2, &mac, 1500);
    mat_table_port_attached(table, "up", UPLINK, &mac, 1500);
}

static bool
has_prefix(struct mat_addr a, const char *v4, const char *v6)
{
    struct mat_addr p4 = test_addr(v4), p6 = test_addr(v6);

    return (mat_addr_in_prefix(&a, &p4, 24)
            || mat_addr_in_prefix(&a, &p6, 48));
}

static bool
is_moa(struct mat_addr a)
{
    return has_prefix(a, "172.16.0.0", "2001:db8:1::");
}

static bool
is_former(struct mat_addr a)
{
    struct mat_addr v4 = test_addr("172.16.0.101");
    struct mat_addr v6 = test_addr("2001:db8:1::101");

    return mat_addr_equal(&a, &v4) || mat_addr_equal(&a, &v6);
}

static bool
is_hoa(struct mat_addr a)
{
    return has_prefix(a, "10.0.0.0", "2001:db8::");
}

static struct mat_frame
run(uint8_t choice, uint8_t *data, size_t size, uint16_t l3_ofs)
{
    const struct mat_switch_io io = { emit, hold, event, NULL };
    struct mat_switch_call call = {
        .table = table,
        .thread = thread,
        .io = &io,
        .word = (choice & CHOOSE_IN ? MAT_WORD_IN : ZONE)
                | (choice & CHOOSE_EXPLICIT ? MAT_WORD_EXPLICIT : 0),
        .in_port = in_port,
        .dry_run = true,        /* The same for the same frame. */
    };
    struct mat_frame f = {
        .data = data,
        .size = (uint32_t) size,
        .l3_ofs = l3_ofs,
        .l4_csum = choice & CHOOSE_PARTIAL ? MAT_CSUM_PARTIAL : MAT_CSUM_FULL,
    };

    mat_switch(&call, &f, 1);
    return f;
}

static void
check_addresses(const struct mat_frame *f, bool is_behind)
{
    struct mat_packet p;

    if (f->verdict == MAT_V_TRANSLATED || f->verdict == MAT_V_DELIVERED
        || f->verdict == MAT_V_LOCAL || f->verdict == MAT_V_REDIRECTED) {
        require(mat_packet_parse(&p, f->data, f->size)
                != MAT_PACKET_MALFORMED);
        require(mat_packet_is_ip(&p));
        if (f->verdict == MAT_V_TRANSLATED
            || f->verdict == MAT_V_REDIRECTED) {
            require(is_moa(mat_packet_dst(&p)));
        } else {
            require(is_hoa(mat_packet_dst(&p)));
            require(is_hoa(mat_packet_src(&p)));
        }
        if (f->verdict == MAT_V_TRANSLATED) {
            require(is_moa(mat_packet_src(&p)));
            require(is_former(mat_packet_src(&p)) == is_behind);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t fast[SIZE_MAX_];
    uint8_t *slow;
    struct mat_frame f, g;
    struct mat_packet p;
    uint8_t choice;

    if (!table) {
        make_world();
    }
    if (!size || size > sizeof fast) {
        return 0;
    }
    choice = *data++;
    size--;
    in_port = ((choice & CHOOSE_IN) != 0) ^ ((choice & CHOOSE_OTHER_PORT) != 0)
              ? UPLINK : VM1;
    can_hold = !(choice & CHOOSE_NO_HOLD);
    put_hop(choice & CHOOSE_BEHIND);

    /* Of the exact size, so that the sanitizers see what is read beyond. */
    slow = malloc(size ? size : 1);
    memcpy(slow, data, size);
    memcpy(fast, data, size);
    f = run(choice, slow, size, MAT_FRAME_NO_L3);
    if (mat_packet_parse(&p, fast, (uint32_t) size) != MAT_PACKET_MALFORMED) {
        g = run(choice, fast, size, p.l3_ofs);
        require(f.verdict == g.verdict && f.fate == g.fate);
        require(f.fate != MAT_DELIVER || f.odp_port == g.odp_port);
        require(!memcmp(fast, slow, size));
    }
    require(f.verdict < MAT_N_VERDICTS);
    if (f.fate != MAT_PASS && f.fate != MAT_DELIVER) {
        require(!memcmp(slow, data, size));
    }
    if (f.fate == MAT_DELIVER) {
        require(f.odp_port == VM1 || f.odp_port == VM2
                || f.odp_port == UPLINK);
    }
    check_addresses(&f, choice & CHOOSE_BEHIND);
    free(slow);
    return 0;
}
