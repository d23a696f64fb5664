/* SPDX-License-Identifier: Apache-2.0 */

/* The switch: what it sends to hosts that are behind. */

#include "mat-switch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mat-packet.h"
#include "table-config.h"
#include "world.h"

/* Hosts that hear of no moves get packets from the MoA before, others do
 * not. */
static void
hosts_behind_see_former_moas(void **state)
{
    struct world *w = *state;
    struct mat_nexthop hop = { 1, uplink_mac, router_mac, 1500, true };
    struct frame_spec spec = udp("10.0.0.1", "10.0.0.5"), want;
    struct mat_addr hoa = test_addr("10.0.0.1");
    struct mat_entry e;
    struct mat_frame f;

    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                    MAT_V_TRANSLATED);
    want = udp("172.16.1.1", "172.16.2.5");
    assert_frame(&f, &want, uplink_mac, router_mac);

    assert_true(mat_table_get_live(w->table, 7, &hoa, &e));
    e.former = test_addr("172.16.9.1");
    assert_int_equal(mat_table_put(w->table, &e), MAT_TABLE_OK);
    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                    MAT_V_TRANSLATED);
    want = udp("172.16.9.1", "172.16.2.5");
    assert_frame(&f, &want, uplink_mac, router_mac);
    spec = udp("10.0.0.2", "10.0.0.5");         /* Has always been here. */
    f = world_check(w, &spec, world_mac(7, 2), world_mac(7, 5), OUT7, VM2,
                    MAT_V_TRANSLATED);
    want = udp("172.16.1.2", "172.16.2.5");
    assert_frame(&f, &want, uplink_mac, router_mac);

    hop.is_behind = false;
    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    spec = udp("10.0.0.1", "10.0.0.5");
    f = world_check(w, &spec, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                    MAT_V_TRANSLATED);
    want = udp("172.16.1.1", "172.16.2.5");
    assert_frame(&f, &want, uplink_mac, router_mac);

    e.former = test_addr("2001:db8::9");
    assert_int_equal(mat_table_put(w->table, &e), MAT_TABLE_BAD_FAMILY);
    e.former = test_addr("224.0.0.1");
    assert_int_equal(mat_table_put(w->table, &e), MAT_TABLE_BAD_ADDRESS);
}

/* So do the errors that a VMN sends them, whichever of its HoAs they are
 * from and about. */
static void
hosts_behind_understand_errors(void **state)
{
    static const char *const hoas[] = { "10.0.0.1", "10.0.0.9" };
    static const char *const formers[] = { "172.16.9.1", "172.16.9.9" };
    struct world *w = *state;
    struct mat_nexthop hop = { 1, uplink_mac, router_mac, 1500, true };

    assert_int_equal(mat_table_put_nexthop(w->table, &hop), MAT_TABLE_OK);
    world_put(w, MAT_STATE_LOCAL, 7, "10.0.0.9", "172.16.1.9", 1, "vm1");
    for (int i = 0; i < 2; i++) {
        struct mat_addr hoa = test_addr(hoas[i]);
        struct mat_entry e;

        assert_true(mat_table_get_live(w->table, 7, &hoa, &e));
        e.former = test_addr(formers[i]);
        assert_int_equal(mat_table_put(w->table, &e), MAT_TABLE_OK);
    }
    for (int i = 0; i < 4; i++) {
        struct frame_spec quoted = udp("10.0.0.5", hoas[i / 2]);
        struct frame_spec error = udp(hoas[i % 2], "10.0.0.5"), want;
        struct mat_frame f;

        error.proto = MAT_PROTO_ICMP;
        error.icmp_type = 3;
        error.quoted = &quoted;
        error.quoted_max = 28;
        want = error;
        f = world_check(w, &error, world_mac(7, 1), world_mac(7, 5), OUT7, VM1,
                        MAT_V_TRANSLATED);
        set_addrs(&want, formers[i % 2], "172.16.2.5");
        set_addrs(&quoted, "172.16.2.5", formers[i / 2]);
        assert_frame(&f, &want, uplink_mac, router_mac);
    }
}

int
main(void)
{
#define TEST(NAME) \
    cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(hosts_behind_see_former_moas),
        TEST(hosts_behind_understand_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
