/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-table.h"
#include "mat-table-read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "table-config.h"

/* The table: entries through their states, what is refused and why, ports,
 * zones, next hops, pools. */

static void
set_text(char field[static MAT_PORT_NAME_SIZE], const char *text)
{
    snprintf(field, MAT_PORT_NAME_SIZE, "%s", text);
}

static struct mat_mac
mac(const char *text)
{
    struct mat_mac m;

    assert_true(mat_mac_parse(text, &m));
    return m;
}

static const struct mat_nexthop hop1 = {
    .id = 1,
    .src = { { 2, 0, 0, 0, 0, 1 } },
    .dst = { { 2, 0, 0, 0, 0, 2 } },
    .mtu = 1500,
};

static struct mat_table *
new_table(void)
{
    struct mat_table *table = test_table_create();

    assert_non_null(table);
    assert_int_equal(mat_table_put_nexthop(table, &hop1), MAT_TABLE_OK);
    return table;
}

static void
end(struct mat_table *table)
{
    mat_table_destroy(table);
    assert_int_equal(bytes_in_use, 0);
}

static struct mat_entry
entry(enum mat_state state, const char *hoa, const char *moa)
{
    struct mat_entry e = {
        .zone = 7,
        .hoa = test_addr(hoa),
        .moa = test_addr(moa),
        .state = state,
        .mac = mac("02:aa:00:00:00:01"),
    };

    e.plen = (uint8_t) mat_addr_bits(&e.hoa);
    if (state == MAT_STATE_REMOTE) {
        e.nexthop = 1;
    } else if (state == MAT_STATE_LOCAL) {
        set_text(e.port, "vm1");
    }
    return e;
}

static void
put(struct mat_table *table, const struct mat_entry *e)
{
    assert_int_equal(mat_table_put(table, e), MAT_TABLE_OK);
}

static void
assert_state(struct mat_table *table, const char *moa, enum mat_state state)
{
    struct mat_addr a = test_addr(moa);
    struct mat_entry e;

    assert_true(mat_table_get_by_moa(table, &a, &e));
    assert_int_equal(e.state, state);
}

static void
assert_live(struct mat_table *table, const char *hoa, const char *moa)
{
    struct mat_addr h = test_addr(hoa);
    struct mat_entry e;

    if (!moa) {
        assert_false(mat_table_get_live(table, 7, &h, &e));
    } else {
        struct mat_addr m = test_addr(moa);

        assert_true(mat_table_get_live(table, 7, &h, &e));
        assert_true(mat_addr_equal(&e.moa, &m));
    }
}

static size_t
count_entries(const struct mat_table *table)
{
    uint64_t cursor = 0;
    struct mat_entry e;
    size_t n = 0;

    while (mat_table_next(table, &cursor, &e)) {
        n++;
    }
    return n;
}

/* A VMN comes, leaves, and comes back: at most one mapping is ever live. */
static void
a_move_is_one_write(void **state)
{
    struct mat_table *table = new_table();
    struct mat_entry e;

    (void) state;
    e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    assert_live(table, "10.0.0.1", "172.16.1.1");

    /* Left to a remote host. */
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.2.1");
    put(table, &e);
    assert_live(table, "10.0.0.1", "172.16.2.1");
    assert_state(table, "172.16.1.1", MAT_STATE_DEPARTED);

    /* Seen from a third host, remote to remote: the old MoA is still good as
     * a source. */
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.3.1");
    put(table, &e);
    assert_state(table, "172.16.2.1", MAT_STATE_PREPARED);
    assert_live(table, "10.0.0.1", "172.16.3.1");

    /* Comes back to its old MoA. */
    e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    assert_live(table, "10.0.0.1", "172.16.1.1");
    assert_state(table, "172.16.3.1", MAT_STATE_PREPARED);
    assert_int_equal(count_entries(table), 3);

    /* Removing the live one leaves no live one. */
    assert_int_equal(mat_table_remove(table, 7, &e.hoa, 32, &e.moa),
                     MAT_TABLE_OK);
    assert_live(table, "10.0.0.1", NULL);
    assert_int_equal(mat_table_remove(table, 7, &e.hoa, 32, &e.moa),
                     MAT_TABLE_NOT_FOUND);
    assert_false(mat_table_flush(table));
    assert_int_equal(count_entries(table), 0);
    end(table);
}

static void
prepared_displaces_nobody(void **state)
{
    struct mat_table *table = new_table();
    struct mat_entry e;

    (void) state;
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    e = entry(MAT_STATE_PREPARED, "10.0.0.1", "172.16.2.1");
    set_text(e.port, "vm9");
    e.hold = true;
    put(table, &e);
    assert_live(table, "10.0.0.1", "172.16.1.1");
    assert_state(table, "172.16.2.1", MAT_STATE_PREPARED);
    assert_int_equal(mat_table_set_hold(table, 7, &e.hoa, &e.moa, false),
                     MAT_TABLE_OK);

    /* The live one becoming prepared leaves none live. */
    e = entry(MAT_STATE_PREPARED, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    assert_live(table, "10.0.0.1", NULL);
    end(table);
}

static void
zones_are_apart(void **state)
{
    struct mat_table *table = new_table();
    struct mat_entry e;

    (void) state;
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    e.zone = 8;
    assert_int_equal(mat_table_put(table, &e), MAT_TABLE_MOA_TAKEN);
    e.moa = test_addr("172.16.1.2");
    put(table, &e);
    assert_int_equal(count_entries(table), 2);
    assert_live(table, "10.0.0.1", "172.16.1.1");
    end(table);
}

/* Every reason to refuse an entry, and that nothing changes then. */
static void
bad_entries_are_refused(void **state)
{
    struct mat_table *table = new_table();
    const struct mat_entry good = entry(MAT_STATE_REMOTE, "10.0.0.1",
                                        "172.16.1.1");
    struct mat_entry e;

    (void) state;
#define REFUSED(ERROR, CHANGE)                                          \
    do {                                                                \
        e = good;                                                       \
        CHANGE;                                                         \
        assert_int_equal(mat_table_check(table, &e), ERROR);            \
        assert_int_equal(mat_table_put(table, &e), ERROR);              \
        assert_int_equal(count_entries(table), 0);                      \
    } while (0)

    REFUSED(MAT_TABLE_BAD_ADDRESS, e.hoa = test_addr("224.0.0.1"));
    REFUSED(MAT_TABLE_BAD_ADDRESS, e.moa = test_addr("127.0.0.1"));
    REFUSED(MAT_TABLE_BAD_ADDRESS, e.moa = test_addr("0.0.0.0"));
    REFUSED(MAT_TABLE_BAD_FAMILY, e.moa = test_addr("2001:db8::1"));
    REFUSED(MAT_TABLE_BAD_PREFIX, e.plen = 24);
    REFUSED(MAT_TABLE_BAD_PREFIX, e.plen = 128);
    REFUSED(MAT_TABLE_BAD_ZONE, e.zone = MAT_ZONE_MAX + 1);
    REFUSED(MAT_TABLE_BAD_STATE, e.state = 0);
    REFUSED(MAT_TABLE_BAD_STATE, e.state = MAT_STATE_DEPARTED + 1);
    REFUSED(MAT_TABLE_BAD_MAC, e.mac = mac("00:00:00:00:00:00"));
    REFUSED(MAT_TABLE_BAD_MAC, e.mac = mac("01:00:5e:00:00:01"));
    REFUSED(MAT_TABLE_BAD_MAC, e.mac = mac("02:4d:41:54:00:01"));
    REFUSED(MAT_TABLE_BAD_NEXTHOP, e.nexthop = 2);
    REFUSED(MAT_TABLE_BAD_PORT, set_text(e.port, "vm1"));
    REFUSED(MAT_TABLE_BAD_PORT, e.hold = true);
    REFUSED(MAT_TABLE_BAD_PORT, e.state = MAT_STATE_LOCAL);
    REFUSED(MAT_TABLE_BAD_PORT, (e.state = MAT_STATE_PREPARED,
                                 e.hold = true));
    REFUSED(MAT_TABLE_BAD_PORT, (e.state = MAT_STATE_LOCAL,
                                 memset(e.port, 'x', sizeof e.port)));
    REFUSED(MAT_TABLE_BAD_PORT, (e.state = MAT_STATE_DEPARTED,
                                 set_text(e.port, "vm1")));
#undef REFUSED
    for (int i = 0; i < MAT_TABLE_N_ERRORS; i++) {
        assert_true(strlen(mat_table_strerror(i)) > 1);
    }
    end(table);
}

static const struct mat_vmn *
vmn_of(const struct mat_table *table, const char *moa)
{
    struct mat_addr a = test_addr(moa);
    struct mat_map_hit hit;

    assert_true(mat_map4_find(&table->reverse[MAT_V4], 0, mat_addr_v4(&a),
                              false, &hit));
    assert_true(hit.tag & MAT_FLAG_PORT);
    return mat_table_vmn(table, hit.aux);
}

/* A number that is used again must not get the traffic of the port before. */
static void
a_deleted_port_gets_nothing(void **state)
{
    struct mat_mac device = mac("02:bb:00:00:00:01");
    struct mat_table *table = new_table();
    struct mat_entry e;

    (void) state;
    e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port,
                     MAT_TABLE_NO_PORT);
    mat_table_port_attached(table, "vm1", 5, &device, 9000);
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port, 5);
    assert_int_equal(vmn_of(table, "172.16.1.1")->mtu, 9000);
    mat_table_port_detached(table, "other", 5);
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port, 5);
    mat_table_port_detached(table, "vm1", 5);
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port,
                     MAT_TABLE_NO_PORT);
    assert_null(mat_table_port(table, 5));
    mat_table_port_attached(table, "other", 5, &device, 1500);
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port,
                     MAT_TABLE_NO_PORT);
    mat_table_port_attached(table, "vm1", 6, &device, 1500);
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port, 6);

    /* The same name at another number: the old one is nobody's. */
    mat_table_port_attached(table, "vm1", 7, &device, 1500);
    assert_null(mat_table_port(table, 6));
    assert_int_equal(vmn_of(table, "172.16.1.1")->odp_port, 7);
    end(table);
}

static void
ports_have_roles(void **state)
{
    struct mat_port p = { .name = "eth0", .role = MAT_PORT_UPLINK };
    struct mat_mac device = mac("02:bb:00:00:00:01");
    struct mat_table *table = new_table();
    struct mat_entry e;
    uint64_t cursor = 0;

    (void) state;
    mat_table_port_attached(table, "eth0", 1, &device, 1500);
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_OK);
    assert_int_equal(mat_table_port(table, 1)->role, MAT_PORT_UPLINK);
    assert_true(mat_mac_equal(&mat_table_port(table, 1)->mac, &device));
    p.mac = mac("02:bb:00:00:00:02");
    p.mtu = 1400;
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_OK);
    assert_true(mat_mac_equal(&mat_table_port(table, 1)->mac, &p.mac));
    assert_int_equal(mat_table_port(table, 1)->mtu, 1400);

    /* No VMN on an uplink, and no uplink where VMNs are. */
    e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");
    set_text(e.port, "eth0");
    assert_int_equal(mat_table_put(table, &e), MAT_TABLE_BAD_PORT);
    set_text(e.port, "vm1");
    put(table, &e);
    set_text(p.name, "vm1");
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_IN_USE);
    p.role = MAT_PORT_VM;
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_OK);
    assert_int_equal(mat_table_remove_port(table, "vm1"), MAT_TABLE_IN_USE);
    assert_int_equal(mat_table_remove(table, 7, &e.hoa, 32, &e.moa),
                     MAT_TABLE_OK);
    assert_int_equal(mat_table_remove_port(table, "vm1"), MAT_TABLE_OK);
    assert_int_equal(mat_table_remove_port(table, "vm1"),
                     MAT_TABLE_NOT_FOUND);
    p.mtu = 100;
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_BAD_MTU);
    p.name[0] = '\0';
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_BAD_PORT);
    assert_true(mat_table_next_port(table, &cursor, &p));
    assert_string_equal(p.name, "eth0");
    assert_false(mat_table_next_port(table, &cursor, &p));
    end(table);
}

static void
nexthops_in_use_stay(void **state)
{
    struct mat_table *table = new_table();
    struct mat_nexthop nh = hop1;
    struct mat_entry e;
    uint64_t cursor = 0;

    (void) state;
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    assert_int_equal(mat_table_remove_nexthop(table, 1), MAT_TABLE_IN_USE);

    /* Another remote place by the same hop, then local: the count holds. */
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.2.1");
    put(table, &e);
    put(table, &e);
    assert_int_equal(mat_table_remove_nexthop(table, 1), MAT_TABLE_IN_USE);
    e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.3.1");
    put(table, &e);
    assert_int_equal(mat_table_remove_nexthop(table, 1), MAT_TABLE_OK);
    assert_int_equal(mat_table_remove_nexthop(table, 1), MAT_TABLE_NOT_FOUND);
    nh.mtu = 10;
    assert_int_equal(mat_table_put_nexthop(table, &nh), MAT_TABLE_BAD_MTU);
    nh.mtu = 0;
    nh.dst = mac("ff:ff:ff:ff:ff:ff");
    assert_int_equal(mat_table_put_nexthop(table, &nh), MAT_TABLE_BAD_MAC);
    nh = hop1;
    nh.id = MAT_TABLE_NEXTHOPS_MAX;
    assert_int_equal(mat_table_put_nexthop(table, &nh),
                     MAT_TABLE_BAD_NEXTHOP);
    assert_false(mat_table_next_nexthop(table, &cursor, &nh));
    end(table);
}

/* A packet that the uplink cannot take is told of, not lost. */
static void
nexthops_take_what_uplinks_take(void **state)
{
    struct mat_port up = { .name = "eth0", .role = MAT_PORT_UPLINK };
    struct mat_mac device = mac("02:bb:00:00:00:01");
    struct mat_table *table = new_table();
    struct mat_nexthop nh = hop1;
    uint64_t cursor = 0;

    (void) state;
    nh.id = 2;
    nh.mtu = 0;
    assert_int_equal(mat_table_put_nexthop(table, &nh), MAT_TABLE_OK);
    assert_int_equal(table->hops[1]->mtu, 1500);
    assert_int_equal(table->hops[2]->mtu, UINT16_MAX);

    assert_int_equal(mat_table_put_port(table, &up), MAT_TABLE_OK);
    assert_int_equal(table->hops[2]->mtu, UINT16_MAX);
    mat_table_port_attached(table, "eth0", 1, &device, 9000);
    assert_int_equal(table->hops[1]->mtu, 1500);
    assert_int_equal(table->hops[2]->mtu, 9000);
    mat_table_port_attached(table, "eth0", 1, &device, 1400);
    assert_int_equal(table->hops[1]->mtu, 1400);
    assert_int_equal(table->hops[2]->mtu, 1400);
    nh.id = 3;
    assert_int_equal(mat_table_put_nexthop(table, &nh), MAT_TABLE_OK);
    assert_int_equal(table->hops[3]->mtu, 1400);

    /* Also when there is no memory. */
    up.mtu = 1300;
    mat_table_port_detached(table, "eth0", 1);
    out_of_memory = true;
    assert_int_equal(mat_table_put_port(table, &up), MAT_TABLE_OK);
    out_of_memory = false;
    assert_int_equal(table->hops[1]->mtu, 1300);
    assert_int_equal(table->hops[3]->mtu, 1300);

    /* What was asked for is kept beside what is done. */
    assert_true(mat_table_next_nexthop(table, &cursor, &nh));
    assert_int_equal(nh.mtu, 1500);
    assert_true(mat_table_next_nexthop(table, &cursor, &nh));
    assert_int_equal(nh.mtu, 0);
    assert_int_equal(mat_table_remove_port(table, "eth0"), MAT_TABLE_OK);
    assert_int_equal(table->hops[1]->mtu, 1500);
    assert_int_equal(table->hops[3]->mtu, UINT16_MAX);
    end(table);
}

/* A list of ports can be put back as it was read. */
static void
ports_are_listed_as_asked_for(void **state)
{
    struct mat_port p = { .name = "eth0", .role = MAT_PORT_UPLINK };
    struct mat_mac device = mac("02:bb:00:00:00:01");
    struct mat_table *table = new_table();
    uint64_t cursor = 0;

    (void) state;
    mat_table_port_attached(table, "eth0", 1, &device, 1400);
    assert_int_equal(mat_table_put_port(table, &p), MAT_TABLE_OK);
    assert_true(mat_table_next_port(table, &cursor, &p));
    assert_true(mat_mac_is_zero(&p.mac));
    assert_int_equal(p.mtu, 0);
    assert_true(mat_mac_equal(&p.used_mac, &device));
    assert_int_equal(p.used_mtu, 1400);
    end(table);
}

/* The list of a port stays full as long as there are enough VMNs. */
static void
a_port_lists_those_left(void **state)
{
    enum { N = MAT_PORT_VMNS_MAX + 5 };
    struct mat_mac device = mac("02:bb:00:00:00:01");
    struct mat_table *table = new_table();
    const struct mat_port_view *view;
    struct mat_entry e[N];

    (void) state;
    mat_table_port_attached(table, "vm1", 1, &device, 1500);
    for (uint8_t i = 0; i < N; i++) {
        e[i] = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");
        e[i].hoa.b[15] = e[i].moa.b[15] = e[i].mac.ea[5] = (uint8_t) (i + 1);
        put(table, &e[i]);
    }
    assert_int_equal(mat_table_port(table, 1)->n_vmns, MAT_PORT_VMNS_MAX);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(mat_table_remove(table, 7, &e[i].hoa, 32, &e[i].moa),
                         MAT_TABLE_OK);
    }
    view = mat_table_port(table, 1);
    assert_int_equal(view->n_vmns, MAT_PORT_VMNS_MAX);
    for (size_t i = 5; i < N; i++) {
        size_t n = 0;

        for (size_t j = 0; j < view->n_vmns; j++) {
            n += (mat_addr_equal(&view->vmns[j].hoa, &e[i].hoa)
                  && mat_mac_equal(&view->vmns[j].mac, &e[i].mac)
                  && view->vmns[j].zone == 7);
        }
        assert_int_equal(n, 1);
    }
    end(table);
}

/* Gives 'e' the 'n'th pair of addresses. */
static void
number_entry(struct mat_entry *e, uint32_t n)
{
    e->hoa.b[14] = e->moa.b[14] = (uint8_t) (n >> 8);
    e->hoa.b[15] = e->moa.b[15] = (uint8_t) n;
}

/* Many HoAs on one port: each that goes costs as much as when it came. */
static void
a_port_may_have_many(void **state)
{
    const uint32_t n = MAT_TABLE_VMNS_MAX - 1;
    struct mat_mac device = mac("02:bb:00:00:00:01");
    struct mat_table *table = new_table();
    struct mat_entry e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");
    clock_t start = clock(), half = start;

    (void) state;
    mat_table_port_attached(table, "vm1", 1, &device, 1500);
    for (uint32_t i = 0; i < 2 * n; i++) {
        /* Every other one goes first, in the order of their coming. */
        uint32_t k = i - n < n / 2 ? (i - n) * 2 : (i - n - n / 2) * 2 + 1;

        number_entry(&e, 1 + (i < n ? i : k));
        if (i < n) {
            put(table, &e);
        } else {
            assert_int_equal(mat_table_port(table, 1)->n_vmns,
                             2 * n - i < MAT_PORT_VMNS_MAX ? 2 * n - i
                             : MAT_PORT_VMNS_MAX);
            assert_int_equal(mat_table_remove(table, 7, &e.hoa, 32, &e.moa),
                             MAT_TABLE_OK);
        }
        half = i + 1 == n ? clock() : half;
    }
    assert_int_equal(mat_table_port(table, 1)->n_vmns, 0);
    assert_true(clock() - half < 10 * (half - start));
    end(table);
}

static void
zones_have_subnets(void **state)
{
    struct mat_table *table = new_table();
    struct mat_zone z = {
        .zone = 7,
        .n_subnets = 2,
        .subnets = {
            { .prefix = test_addr("10.0.0.0"), .plen = 16,
              .gateway = test_addr("10.0.0.254") },
            { .prefix = test_addr("10.0.1.0"), .plen = 24,
              .gateway = test_addr("10.0.1.254") },
        },
    };
    struct mat_addr a = test_addr("10.0.1.7"), b = test_addr("10.0.2.7");
    struct mat_addr c = test_addr("10.1.0.0");
    const struct mat_zone *found;
    const struct mat_vmn *vmn;
    struct mat_entry e;

    (void) state;
    assert_null(mat_table_zone(table, 7));
    e = entry(MAT_STATE_LOCAL, "10.0.1.9", "172.16.1.1");
    put(table, &e);
    vmn = vmn_of(table, "172.16.1.1");
    assert_true(mat_vmn_on_link4(vmn, mat_addr_v4(&b), mat_addr_v4(&e.hoa)));

    assert_int_equal(mat_table_put_zone(table, &z), MAT_TABLE_OK);
    found = mat_table_zone(table, 7);
    assert_non_null(found);
    assert_int_equal(mat_zone_subnet(found, &a)->plen, 24);
    assert_int_equal(mat_zone_subnet(found, &b)->plen, 16);
    assert_null(mat_zone_subnet(found, &c));
    assert_true(mat_vmn_on_link4(vmn, mat_addr_v4(&a), mat_addr_v4(&e.hoa)));
    assert_false(mat_vmn_on_link4(vmn, mat_addr_v4(&b), mat_addr_v4(&e.hoa)));

    z.subnets[1].gateway = test_addr("10.0.2.1");
    assert_int_equal(mat_table_put_zone(table, &z), MAT_TABLE_BAD_ADDRESS);
    z.subnets[1].gateway = test_addr("0.0.0.0");
    z.outside = true;
    z.outside_nexthop = 2;
    assert_int_equal(mat_table_put_zone(table, &z), MAT_TABLE_BAD_NEXTHOP);
    z.outside_nexthop = 1;
    assert_int_equal(mat_table_put_zone(table, &z), MAT_TABLE_OK);
    assert_int_equal(mat_table_remove_nexthop(table, 1), MAT_TABLE_IN_USE);
    assert_int_equal(mat_table_remove_zone(table, 7), MAT_TABLE_OK);
    assert_int_equal(mat_table_remove_zone(table, 7), MAT_TABLE_NOT_FOUND);
    assert_int_equal(mat_table_remove_nexthop(table, 1), MAT_TABLE_OK);
    assert_true(mat_vmn_on_link4(vmn, mat_addr_v4(&b), mat_addr_v4(&e.hoa)));
    end(table);
}

/* Longest-prefix match against a look at every pool. */
static const struct mat_pool *
naive_pool(const struct mat_pool *pools, const bool *present, size_t n,
           const struct mat_addr *a)
{
    const struct mat_pool *best = NULL;

    for (size_t i = 0; i < n; i++) {
        if (present[i] && mat_addr_in_prefix(a, &pools[i].prefix,
                                             pools[i].plen)
            && (!best || pools[i].plen > best->plen)) {
            best = &pools[i];
        }
    }
    return best;
}

static void
pools_match_the_longest(void **state)
{
    enum { N = 300 };
    struct mat_table *table = new_table();
    static struct mat_pool pools[N];
    static bool present[N];
    uint32_t seed = 1;

    (void) state;
    for (size_t i = 0; i < N; i++) {
        uint8_t b[16] = { 10, 0, 0, 0 };
        bool v4 = i % 3;

        seed = seed * 1664525 + 1013904223;
        b[1] = seed >> 31;
        b[2] = (seed >> 24) % 8;
        b[3] = (uint8_t) (seed >> 16);
        pools[i].prefix = v4 ? mat_addr_from_v4(b) : mat_addr_from_v6(b);
        pools[i].plen = (uint8_t) (1 + (seed >> 8) % 32);
        pools[i].prefix = mat_addr_mask(&pools[i].prefix, pools[i].plen);
        pools[i].own = i % 2;
    }
    for (int round = 0; round < 2000; round++) {
        struct mat_addr a;
        const struct mat_pool *want, *got;
        uint8_t b[16] = { 10, 0, 0, 0 };
        size_t i, dup = 0;

        seed = seed * 1664525 + 1013904223;
        i = (seed >> 8) % N;
        for (size_t j = 0; j < N; j++) {
            dup += (j != i && present[j] && pools[j].plen == pools[i].plen
                    && mat_addr_equal(&pools[j].prefix, &pools[i].prefix));
        }
        if (present[i]) {
            assert_int_equal(mat_table_remove_pool(table, &pools[i].prefix,
                                                   pools[i].plen),
                             MAT_TABLE_OK);
            present[i] = false;
        } else if (!dup) {
            assert_int_equal(mat_table_put_pool(table, &pools[i]),
                             MAT_TABLE_OK);
            present[i] = true;
        }
        b[1] = seed >> 30 & 1;
        b[2] = (seed >> 20) % 8;
        b[3] = (uint8_t) (seed >> 10);
        a = seed & 128 ? mat_addr_from_v4(b) : mat_addr_from_v6(b);
        want = naive_pool(pools, present, N, &a);
        got = mat_table_pool(table, &a);
        assert_int_equal(!want, !got);
        if (want) {
            assert_int_equal(want->plen, got->plen);
            assert_true(mat_addr_equal(&want->prefix, &got->prefix));
        }
    }
    pools[0].prefix = test_addr("10.0.0.1");
    pools[0].plen = 24;
    assert_int_equal(mat_table_put_pool(table, &pools[0]),
                     MAT_TABLE_BAD_PREFIX);
    pools[0].plen = 0;
    assert_int_equal(mat_table_put_pool(table, &pools[0]),
                     MAT_TABLE_BAD_PREFIX);
    end(table);
}

static void
harvest_takes_marks_once(void **state)
{
    struct mat_table *table = new_table();
    struct mat_map_hit hit;
    struct mat_entry e;
    uint64_t cursor = 0;

    (void) state;
    e = entry(MAT_STATE_REMOTE, "2001:db8::1", "2001:db8:ff::1");
    put(table, &e);
    e = entry(MAT_STATE_REMOTE, "10.0.0.1", "172.16.1.1");
    put(table, &e);
    assert_false(mat_table_harvest(table, &cursor, &e));
    e.hoa = test_addr("10.0.0.1");
    assert_true(mat_map4_find(&table->forward[MAT_V4], 7, mat_addr_v4(&e.hoa),
                              true, &hit));
    cursor = 0;
    assert_true(mat_table_harvest(table, &cursor, &e));
    assert_int_equal(mat_addr_bits(&e.hoa), 32);
    assert_false(mat_table_harvest(table, &cursor, &e));
    cursor = 0;
    assert_false(mat_table_harvest(table, &cursor, &e));
    end(table);
}

/* VMNs come and go many more times than there is room for at once. */
static void
indexes_are_used_again(void **state)
{
    struct mat_table *table = new_table();
    struct mat_table_memory memory;

    (void) state;
    for (int i = 0; i < 200000; i++) {
        struct mat_entry e = entry(MAT_STATE_LOCAL, "10.0.0.1", "172.16.1.1");

        snprintf(e.port, sizeof e.port, "vm%d", i % 3);
        put(table, &e);
        if (i % 1000 == 0) {
            mat_table_quiesce(table);
        }
    }
    mat_table_memory(table, &memory);
    assert_int_equal(memory.n_vmns, 1);
    assert_int_equal(memory.n_ports, 1);
    assert_int_equal(memory.n_entries[0], 1);
    end(table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_is_one_write),
        cmocka_unit_test(prepared_displaces_nobody),
        cmocka_unit_test(zones_are_apart),
        cmocka_unit_test(bad_entries_are_refused),
        cmocka_unit_test(a_deleted_port_gets_nothing),
        cmocka_unit_test(ports_have_roles),
        cmocka_unit_test(nexthops_in_use_stay),
        cmocka_unit_test(nexthops_take_what_uplinks_take),
        cmocka_unit_test(ports_are_listed_as_asked_for),
        cmocka_unit_test(a_port_lists_those_left),
        cmocka_unit_test(a_port_may_have_many),
        cmocka_unit_test(zones_have_subnets),
        cmocka_unit_test(pools_match_the_longest),
        cmocka_unit_test(harvest_takes_marks_once),
        cmocka_unit_test(indexes_are_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
