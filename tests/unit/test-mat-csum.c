/* SPDX-License-Identifier: Apache-2.0 */

/* Checksums: each incremental update against a sum from scratch, and the laws
 * of partial, absent and wrong checksums. */

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "mat-csum.h"

enum { N_RANDOM = 200000 };

/* The sum of all 16-bit words, as a field in memory. */
static uint16_t
slow_csum(const void *data, size_t size)
{
    return htons((uint16_t) ~frame_sum(0, data, size));
}

static void
test_fold_of_boundaries(void **state)
{
    static const struct {
        uint64_t acc;
        uint16_t folded;
    } table[] = {
        { 0, 0 },
        { 1, 1 },
        { 0xfffe, 0xfffe },
        { 0xffff, 0xffff },
        { 0x10000, 1 },
        { 0x1ffff, 1 },
        { 0xfffeffff, 0xfffe },
        { 0xffffffff, 0xffff },
        { UINT64_C(0x100000000), 1 },
        { UINT64_C(0xffffffff00000000), 0xffff },
        { UINT64_C(0xffff0000ffff0001), 1 },
        { UINT64_C(0x0001000100010001), 4 },
        { UINT64_C(0x8000800080008000), 2 },
        { UINT64_MAX - 1, 0xfffe },
        { UINT64_MAX, 0xffff },
    };

    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(mat_csum_fold(table[i].acc), table[i].folded);
    }
}

static void
test_fold_is_the_remainder(void **state)
{
    uint64_t seed = 1;

    (void) state;
    for (int i = 0; i < N_RANDOM; i++) {
        uint64_t acc = random64(&seed) >> random_below(&seed, 64);

        assert_int_equal(mat_csum_fold(acc) % 0xffff, acc % 0xffff);
        assert_true(!acc == !mat_csum_fold(acc));
    }
}

/* Changes some field in random data and compares with summing again. */
static void
test_change_equals_full_sum(void **state)
{
    uint8_t data[256], new[16];
    uint64_t seed = 2;

    (void) state;
    for (int i = 0; i < N_RANDOM; i++) {
        uint32_t size = 24 + random_below(&seed, sizeof data - 24);
        uint32_t width = 2u << random_below(&seed, 4);
        uint32_t ofs = 2 * random_below(&seed, (size - width) / 2 + 1);
        uint64_t acc = 0;
        uint16_t csum, old16, new16;
        uint32_t old32, new32;
        uint64_t old64, new64;

        random_bytes(&seed, data, size);
        random_bytes(&seed, new, sizeof new);
        if (!random_below(&seed, 8)) {
            memset(random_below(&seed, 2) ? &data[ofs] : new,
                   random_below(&seed, 2) ? 0xff : 0, width);
        }
        csum = slow_csum(data, size);
        switch (width) {
        case 2:
            memcpy(&old16, data + ofs, 2);
            memcpy(&new16, new, 2);
            acc = mat_csum_add16(0, old16, new16);
            break;
        case 4:
            memcpy(&old32, data + ofs, 4);
            memcpy(&new32, new, 4);
            acc = mat_csum_add32(0, old32, new32);
            break;
        case 8:
            memcpy(&old64, data + ofs, 8);
            memcpy(&new64, new, 8);
            acc = mat_csum_add64(0, old64, new64);
            break;
        case 16:
            acc = mat_csum_add128(0, data + ofs, new);
            break;
        }
        memcpy(data + ofs, new, width);
        assert_int_equal(mat_csum_apply(csum, mat_csum_fold(acc)),
                         slow_csum(data, size));
    }
}

/* One accumulator for two addresses, applied to two checksums. */
static void
test_one_delta_serves_two_fields(void **state)
{
    uint64_t seed = 3;

    (void) state;
    for (int i = 0; i < N_RANDOM; i++) {
        uint32_t header[5], segment[12], addrs[2];
        uint16_t ip_csum, l4_csum, delta;
        uint64_t acc;

        random_bytes(&seed, header, sizeof header);
        random_bytes(&seed, segment, sizeof segment);
        random_bytes(&seed, addrs, sizeof addrs);
        memcpy(segment, &header[3], 8);     /* The pseudo header. */
        ip_csum = slow_csum(header, sizeof header);
        l4_csum = slow_csum(segment, sizeof segment);
        acc = mat_csum_add32(0, header[3], addrs[0]);
        acc = mat_csum_add32(acc, header[4], addrs[1]);
        delta = mat_csum_fold(acc);
        memcpy(&header[3], addrs, 8);
        memcpy(segment, addrs, 8);
        assert_int_equal(mat_csum_apply(ip_csum, delta),
                         slow_csum(header, sizeof header));
        assert_int_equal(mat_csum_apply(l4_csum, delta),
                         slow_csum(segment, sizeof segment));
    }
}

static void
test_apply_for_every_checksum(void **state)
{
    static const uint16_t deltas[] = { 0, 1, 2, 0x7fff, 0x8000, 0xfffe,
                                       0xffff };

    (void) state;
    for (size_t d = 0; d < sizeof deltas / sizeof *deltas; d++) {
        for (uint32_t c = 0; c <= 0xffff; c++) {
            uint16_t csum = (uint16_t) c, delta = deltas[d];
            uint16_t result = mat_csum_apply(csum, delta);
            uint16_t udp = mat_csum_apply_udp(csum, delta);

            /* What is wrong by 'c' stays wrong by 'c'. */
            assert_int_equal((result + delta) % 0xffff, csum % 0xffff);
            assert_int_equal(mat_csum_apply_partial(csum, delta) % 0xffff,
                             (csum + delta) % 0xffff);
            assert_int_equal(!mat_csum_apply_partial(csum, delta),
                             !csum && !delta);
            assert_int_equal(udp, !csum ? 0 : result ? result : 0xffff);
        }
    }
}

static void
test_no_change_keeps_every_value(void **state)
{
    (void) state;
    for (uint32_t c = 0; c <= 0xffff; c++) {
        assert_int_equal(mat_csum_apply((uint16_t) c, 0), c);
        assert_int_equal(mat_csum_apply_udp((uint16_t) c, 0), c);
        assert_int_equal(mat_csum_apply_partial((uint16_t) c, 0), c);
    }
}

static void
test_sum_of_every_size_and_alignment(void **state)
{
    uint8_t data[96];
    uint64_t seed = 4;

    (void) state;
    random_bytes(&seed, data, sizeof data);
    for (size_t ofs = 0; ofs < 8; ofs++) {
        for (size_t size = 0; size <= sizeof data - 8; size++) {
            assert_int_equal(mat_csum_finish(mat_csum_sum(0, data + ofs,
                                                          size)),
                             slow_csum(data + ofs, size));
        }
    }
    for (size_t size = 0; size < 64; size++) {
        const uint8_t *p = guarded_copy(data, size);

        assert_int_equal(mat_csum_finish(mat_csum_sum(0, p, size)),
                         slow_csum(data, size));
    }
}

static void
test_pseudo_headers(void **state)
{
    uint64_t seed = 5;

    (void) state;
    for (int i = 0; i < 1000; i++) {
        uint8_t v4[12], v6[40];
        uint32_t size = random_below(&seed, 65536);
        uint8_t proto = (uint8_t) random_below(&seed, 256);
        uint64_t acc;

        random_bytes(&seed, v4, 8);
        v4[8] = 0;
        v4[9] = proto;
        v4[10] = (uint8_t) (size >> 8);
        v4[11] = (uint8_t) size;
        acc = mat_csum_pseudo_v4(0, v4, v4 + 4, proto, size);
        assert_int_equal(mat_csum_finish(acc), slow_csum(v4, sizeof v4));

        random_bytes(&seed, v6, 32);
        memset(v6 + 32, 0, 8);
        v6[34] = (uint8_t) (size >> 8);
        v6[35] = (uint8_t) size;
        v6[39] = proto;
        acc = mat_csum_pseudo_v6(0, v6, v6 + 16, proto, size);
        assert_int_equal(mat_csum_finish(acc), slow_csum(v6, sizeof v6));
    }
}

/* The example in RFC 1624, section 4. */
static void
test_example_of_rfc_1624(void **state)
{
    uint16_t delta = mat_csum_fold(mat_csum_add16(0, htons(0x5555),
                                                  htons(0x3285)));

    (void) state;
    assert_int_equal(mat_csum_apply(htons(0xdd2f), delta), htons(0x0000));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold_of_boundaries),
        cmocka_unit_test(test_fold_is_the_remainder),
        cmocka_unit_test(test_change_equals_full_sum),
        cmocka_unit_test(test_one_delta_serves_two_fields),
        cmocka_unit_test(test_apply_for_every_checksum),
        cmocka_unit_test(test_no_change_keeps_every_value),
        cmocka_unit_test(test_sum_of_every_size_and_alignment),
        cmocka_unit_test(test_pseudo_headers),
        cmocka_unit_test(test_example_of_rfc_1624),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
