/* SPDX-License-Identifier: Apache-2.0 */

/* The captures in tests/golden/, byte by byte: see golden.h. */

#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frames.h"
#include "golden.h"
#include "mat-rewrite.h"

/* Makes of a frame in memory of its size what is expected of it, in place or
 * in 'buf' of FRAME_SIZE_MAX bytes; returns it and stores its size. */
typedef const uint8_t *make_func(uint8_t *frame, uint32_t *size,
                                 uint8_t *buf);

static pcap_t *
open_capture(const char *name, const char *suffix)
{
    const char *top_srcdir = getenv("top_srcdir");
    char path[1024], error[PCAP_ERRBUF_SIZE];
    pcap_t *pcap;

    snprintf(path, sizeof path, "%s/tests/golden/%s%s",
             top_srcdir ? top_srcdir : ".", name, suffix);
    pcap = pcap_open_offline(path, error);
    if (!pcap) {
        fail_msg("%s", error);
    }
    return pcap;
}

static void
check_captures(const char *name, make_func *make)
{
    pcap_t *in = open_capture(name, ".pcap");
    pcap_t *expected = open_capture(name, ".expected.pcap");
    static uint8_t buf[FRAME_SIZE_MAX];
    const u_char *data, *expected_data;
    struct pcap_pkthdr *header, *expected_header;
    unsigned int n = 0;

    while (pcap_next_ex(in, &header, &data) == 1) {
        uint32_t size = header->caplen;
        const uint8_t *made = make(guarded_copy(data, size), &size, buf);

        assert_int_equal(pcap_next_ex(expected, &expected_header,
                                      &expected_data), 1);
        assert_int_equal(size, expected_header->caplen);
        assert_memory_equal(made, expected_data, size);
        n++;
    }
    assert_int_not_equal(pcap_next_ex(expected, &expected_header,
                                      &expected_data), 1);
    assert_true(n > 0);
    pcap_close(in);
    pcap_close(expected);
}

static struct mat_addr
map(struct mat_addr a)
{
    bool v6 = !mat_addr_is_v4(&a);

    golden_map(v6 ? a.b : &a.b[12], v6);
    return a;
}

static const uint8_t *
rewrite(uint8_t *frame, uint32_t *size, uint8_t *buf)
{
    struct mat_packet p, quote;
    struct mat_addr to[4];
    bool quotes;

    (void) buf;
    assert_true(mat_packet_parse(&p, frame, *size) >= MAT_PACKET_IPV4);
    quotes = mat_packet_quote(&p, &quote);
    to[0] = map(mat_packet_src(&p));
    to[1] = map(mat_packet_dst(&p));
    if (quotes) {
        to[2] = map(mat_packet_src(&quote));
        to[3] = map(mat_packet_dst(&quote));
    }

    struct mat_rewrite rw = {
        .src = &to[0], .dst = &to[1],
        .quoted_src = quotes ? &to[2] : NULL,
        .quoted_dst = quotes ? &to[3] : NULL
    };
    assert_true(mat_rewrite(&p, quotes ? &quote : NULL, &rw));
    return frame;
}

static const uint8_t *
answer(uint8_t *frame, uint32_t *size, uint8_t *buf)
{
    *size = (uint32_t) golden_answer(frame, *size, buf, FRAME_SIZE_MAX);
    return buf;
}

static void
test_rewrite_ipv4(void **state)
{
    (void) state;
    check_captures("rewrite-ipv4", rewrite);
}

static void
test_rewrite_ipv6(void **state)
{
    (void) state;
    check_captures("rewrite-ipv6", rewrite);
}

static void
test_rewrite_errors(void **state)
{
    (void) state;
    check_captures("rewrite-errors-ipv4", rewrite);
    check_captures("rewrite-errors-ipv6", rewrite);
}

static void
test_rewrite_wrong_checksums(void **state)
{
    (void) state;
    check_captures("rewrite-wrong-ipv4", rewrite);
    check_captures("rewrite-wrong-ipv6", rewrite);
}

static void
test_replies(void **state)
{
    (void) state;
    check_captures("replies", answer);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewrite_ipv4),
        cmocka_unit_test(test_rewrite_ipv6),
        cmocka_unit_test(test_rewrite_errors),
        cmocka_unit_test(test_rewrite_wrong_checksums),
        cmocka_unit_test(test_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
