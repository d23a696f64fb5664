/* SPDX-License-Identifier: Apache-2.0 */

/* Frames that we send by ourselves, byte by byte, with checksums that were
 * computed elsewhere. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-neighbor.h"

static const struct mat_mac ours = { { 2, 0, 0, 0, 0, 0x0a } };
static const struct mat_mac router_mac = { { 2, 0, 0, 0, 0, 0xfe } };
static const struct mat_mac nobody;

static struct mat_addr
addr(const char *text)
{
    struct mat_addr a;

    assert_true(mat_addr_parse(text, &a));
    return a;
}

/* Compares with the bytes wanted, checksum of ICMPv6 apart, which must be
 * right over the 'size' bytes at 'ofs'. */
static void
expect(const uint8_t *frame, size_t got, const void *bytes, size_t size,
       size_t ofs)
{
    uint8_t copy[MAT_NEIGHBOR_FRAME_MAX];

    assert_int_equal(got, size);
    memcpy(copy, frame, got);
    if (ofs) {
        uint32_t l4_size = (uint32_t) (size - ofs);
        uint32_t sum = frame_sum(58 + l4_size, copy + 22, 32);

        assert_int_equal(frame_sum(sum, copy + ofs, l4_size), 0xffff);
        copy[ofs + 2] = copy[ofs + 3] = 0;
    }
    assert_memory_equal(copy, bytes, size);
}

#define EXPECT(GOT, BYTES, OFS) \
    expect(frame, GOT, BYTES, sizeof BYTES - 1, OFS)

#define ARP(SPA, TPA) "\x08\6\0\1\x08\0\6\4\0\1\2\0\0\0\0\x0a" SPA \
    "\0\0\0\0\0\0" TPA
#define ALL "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\x0a"
#define ROUTER "\2\0\0\0\0\xfe\2\0\0\0\0\x0a"

static void
test_arp(void **state)
{
    struct mat_addr moa = addr("10.0.0.7"), router = addr("10.0.0.254");
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    (void) state;
    EXPECT(mat_neighbor_probe(&ours, &moa, frame),
           ALL ARP("\0\0\0\0", "\x0a\0\0\7"), 0);
    EXPECT(mat_neighbor_announcement(&ours, &moa, frame),
           ALL ARP("\x0a\0\0\7", "\x0a\0\0\7"), 0);
    EXPECT(mat_neighbor_question(&ours, &moa, &router, &nobody, frame),
           ALL ARP("\x0a\0\0\7", "\x0a\0\0\xfe"), 0);
    EXPECT(mat_neighbor_question(&ours, &moa, &router, &router_mac, frame),
           ROUTER ARP("\x0a\0\0\7", "\x0a\0\0\xfe"), 0);
}

#define IPV6(LEN, NEXT, HOPS) "\x86\xdd\x60\0\0\0\0" LEN NEXT HOPS
#define ZEROS8 "\0\0\0\0\0\0\0\0"
#define NONE ZEROS8 ZEROS8
#define MOA "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\1\2\3\4"
#define GROUP "\xff\2\0\0\0\0\0\0\0\0\0\1\xff\2\3\4"
#define ROUTER6 "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\xfe"
#define ROUTER_GROUP "\xff\2\0\0\0\0\0\0\0\0\0\1\xff\0\0\xfe"

static void
test_nd(void **state)
{
    struct mat_addr moa = addr("2001:db8::102:304");
    struct mat_addr router = addr("fe80::fe");
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    (void) state;
    EXPECT(mat_neighbor_probe(&ours, &moa, frame),
           "\x33\x33\xff\2\3\4\2\0\0\0\0\x0a" IPV6("\x18", "\x3a", "\xff")
           NONE GROUP "\x87\0\0\0\0\0\0\0" MOA, 54);
    EXPECT(mat_neighbor_announcement(&ours, &moa, frame),
           "\x33\x33\0\0\0\1\2\0\0\0\0\x0a" IPV6("\x20", "\x3a", "\xff")
           MOA "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\x88\0\0\0\x20\0\0\0" MOA
           "\2\1\2\0\0\0\0\x0a", 54);
    EXPECT(mat_neighbor_question(&ours, &moa, &router, &nobody, frame),
           "\x33\x33\xff\0\0\xfe\2\0\0\0\0\x0a" IPV6("\x20", "\x3a", "\xff")
           MOA ROUTER_GROUP "\x87\0\0\0\0\0\0\0" ROUTER6 "\1\1\2\0\0\0\0\x0a",
           54);
    EXPECT(mat_neighbor_question(&ours, &moa, &router, &router_mac, frame),
           ROUTER IPV6("\x20", "\x3a", "\xff") MOA ROUTER6
           "\x87\0\0\0\0\0\0\0" ROUTER6 "\1\1\2\0\0\0\0\x0a", 54);
}

static void
test_report(void **state)
{
    struct mat_addr moa = addr("2001:db8::102:304");
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    (void) state;
    EXPECT(mat_neighbor_report(&ours, &moa, frame),
           "\x33\x33\0\0\0\x16\2\0\0\0\0\x0a" IPV6("\x24", "\0", "\1")
           NONE "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\x16" "\x3a\0\5\2\0\0\1\0"
           "\x8f\0\0\0\0\0\0\1" "\4\0\0\0" GROUP, 62);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arp),
        cmocka_unit_test(test_nd),
        cmocka_unit_test(test_report)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
