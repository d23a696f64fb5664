/* SPDX-License-Identifier: Apache-2.0 */

/* The switch: what of DHCP it takes for itself, and what is ordinary. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* Only what a guest asks of whoever serves it stays here. */
static void
dhcp_is_from_a_client_to_us(void **state)
{
    static const struct {
        const char *src, *dst;
        uint8_t from;
        enum mat_verdict verdict;
    } cases[] = {
        { "0.0.0.0", "255.255.255.255", 68, MAT_V_DHCP_IGNORED },
        { "10.0.0.1", "10.0.0.254", 68, MAT_V_DHCP_IGNORED },
        { "0.0.0.0", "255.255.255.255", 67, MAT_V_FLOODED },
        { "10.0.0.1", "10.0.0.5", 68, MAT_V_TRANSLATED },
        { "10.0.0.1", "10.0.0.5", 67, MAT_V_TRANSLATED },
        { "10.0.0.1", "10.0.0.2", 68, MAT_V_LOCAL },
    };
    struct world *w = *state;

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct frame_spec spec = udp(cases[i / 2].src, cases[i / 2].dst);
        struct frame frame;
        struct mat_frame f;
        uint8_t *p;

        spec.csum = FRAME_CSUM_ABSENT;
        world_compose(&spec, world_mac(7, 1), gateway_mac, &frame);
        p = guarded_copy(frame.data, frame.size);
        memcpy(p + frame.l4_ofs, "\0\0\0\x43", 4);
        p[frame.l4_ofs + 1] = cases[i / 2].from;
        f = world_run(w, p, frame.size, frame.l3_ofs, OUT7, VM1, i % 2);
        assert_int_equal(f.verdict, cases[i / 2].verdict);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dhcp_is_from_a_client_to_us,
                                        world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
