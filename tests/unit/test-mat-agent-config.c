/* SPDX-License-Identifier: Apache-2.0 */

/* Texts of external_ids as an operator writes them, right and wrong. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-agent-config.h"

/* Configurations are large, so they are not on the stack. */
static struct mat_agent_config config, last;
static struct mat_agent_problems problems;
static struct mat_agent_port_config port, last_port;

static int
setup(void **state)
{
    (void) state;
    mat_agent_config_default(&last);
    memset(&config, 0xa5, sizeof config);
    memset(&last_port, 0, sizeof last_port);
    memset(&port, 0xa5, sizeof port);
    problems.n = 0;
    return 0;
}

static void
build(size_t n, const struct mat_agent_pair pairs[])
{
    problems.n = 0;
    mat_agent_config_build(&config, &last, pairs, n, &problems);
}

/* One key, in a configuration that is whole otherwise. */
static void
set(const char *key, const char *value)
{
    const struct mat_agent_pair pairs[] = {
        { "hostname", "somewhere" }, { "mat-bridge", "br0" },
        { "mat-pool4", "10.0.0.128/25" }, { "mat-uplink", "eth0" },
        { key, value },
    };

    build(sizeof pairs / sizeof pairs[0], pairs);
}

static void
set_port(const char *key, const char *value)
{
    const struct mat_agent_pair pair = { key, value };

    problems.n = 0;
    mat_agent_port_config_build(&port, &last_port, &config, "tap0", &pair, 1,
                                &problems);
}

static void
assert_problem(const char *part)
{
    assert_int_equal(problems.n, 1);
    if (!strstr(problems.text[0], part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, problems.text[0]);
    }
}

static void
assert_addr(const struct mat_addr *addr, const char *expected)
{
    char text[MAT_ADDR_STRLEN];

    assert_string_equal(mat_addr_format(addr, text), expected);
}

static void
assert_endpoint(const char *text, const char *addr, uint16_t expected_port)
{
    struct mat_endpoint endpoint;

    assert_true(mat_agent_endpoint_parse(text, &endpoint));
    assert_addr(&endpoint.addr, addr);
    assert_int_equal(endpoint.port, expected_port);
}

static void
test_nothing_set_is_the_defaults(void **state)
{
    struct mat_agent_config defaults;

    (void) state;
    build(0, NULL);
    mat_agent_config_default(&defaults);
    assert_memory_equal(&config, &defaults, sizeof config);
    assert_int_equal(problems.n, 0);
    assert_int_equal(config.mode, MAT_AGENT_ACTIVE);
    assert_true(config.learn);
    assert_true(config.home);
    assert_false(config.all_ports);
    assert_false(config.outside);
    assert_int_equal(config.hoas_max, 16);
    assert_int_equal(config.macs_max, 4);
    assert_int_equal(config.age_s, 0);
    assert_int_equal(config.quarantine_s, 300);
    assert_int_equal(config.stock, 8);
    assert_int_equal(config.parked_s, 604800);
    assert_int_equal(config.bind.port, MAT_AGENT_UDP_PORT);
}

static void
test_every_key_sets_its_value(void **state)
{
    (void) state;
    set("mat-seeds", "192.0.2.1, [2001:db8::1]:1000,2001:db8::2");
    assert_int_equal(problems.n, 0);
    assert_string_equal(config.bridge, "br0");
    assert_int_equal(config.uplinks.n, 1);
    assert_string_equal(config.uplinks.name[0], "eth0");
    assert_int_equal(config.pools[0].n, 1);
    assert_int_equal(config.seeds.n, 3);
    assert_int_equal(config.seeds.item[1].port, 1000);
    assert_addr(&config.seeds.item[2].addr, "2001:db8::2");
    set("mat-uplink", "eth0, eth1");
    assert_int_equal(config.uplinks.n, 2);
    set("mat-mode", "shadow");
    assert_int_equal(config.mode, MAT_AGENT_SHADOW);
    set("mat-ports", "all");
    assert_true(config.all_ports);
    set("mat-learn", "configured");
    assert_false(config.learn);
    set("mat-home", "false");
    assert_false(config.home);
    set("mat-zone", "16777215");
    assert_int_equal(config.zone, 16777215);
    set("mat-age", "0");
    assert_int_equal(config.age_s, 0);
    set("mat-metrics", "[::1]:9100");
    assert_int_equal(config.metrics.port, 9100);
    set("mat-metrics", "127.0.0.1:9100");
    assert_addr(&config.metrics.addr, "127.0.0.1");
    assert_int_equal(problems.n, 0);
}

static void
test_a_wrong_value_leaves_the_one_before(void **state)
{
    static const char *const wrong[][2] = {
        { "mat-bridge", "" }, { "mat-bridge", "br 0" },
        { "mat-uplink", "," }, { "mat-uplink", "a,a" },
        { "mat-uplink", "a,b,c,d,e" },
        { "mat-pool4", "10.0.0.0/33" }, { "mat-pool4", "2001:db8::/80" },
        { "mat-pool6", "10.0.0.0/24" },
        { "mat-seeds", "host.example" }, { "mat-seeds", "10.0.0.1:0" },
        { "mat-seeds", "224.0.0.1" },
        { "mat-bind", "10.0.0.1:65536" }, { "mat-bind", "[::1" },
        { "mat-bind", "[::1]x" }, { "mat-bind", "[]:5" },
        { "mat-mode", "Active" }, { "mat-ports", "some" },
        { "mat-zone", "16777216" }, { "mat-zone", "-1" },
        { "mat-zone", "" }, { "mat-outside", "yes" },
        { "mat-learn", "" }, { "mat-hoas-max", "0" },
        { "mat-hoas-max", "65" }, { "mat-macs-max", "17" },
        { "mat-age", "1h" }, { "mat-quarantine", "0" },
        { "mat-stock", "257" }, { "mat-home", "1" },
        { "mat-metrics", "10.0.0.1:9100" }, { "mat-metrics", "127.0.0.1" },
        { "mat-metrics", "0.0.0.0:9100" }, { "mat-parked", "x" },
    };

    (void) state;
    set("mat-zone-7", "subnet=10.9.0.0/24");
    last = config;
    last.zone = 77;
    last.age_s = 78;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mat_agent_pair pair = { wrong[i][0], wrong[i][1] };

        build(1, &pair);
        if (!problems.n || !strstr(problems.text[0], wrong[i][0])) {
            fail_msg("%s=\"%s\": %s", wrong[i][0], wrong[i][1],
                     problems.n ? problems.text[0] : "is accepted");
        }
    }
    set("mat-zone", "x");
    assert_int_equal(config.zone, 77);
    set("mat-age", "x");
    assert_int_equal(config.age_s, 78);
    assert_int_equal(config.zone, 0);
    set("mat-uplink", "a,a");
    assert_string_equal(config.uplinks.name[0], "eth0");
    assert_problem("mat-uplink=\"a,a\"");
}

static void
test_an_unknown_key_is_named(void **state)
{
    (void) state;
    set("mat-brigde", "br0");
    assert_problem("mat-brigde: there is no such key");
    set("matter", "x");
    assert_int_equal(problems.n, 0);
}

static void
test_zones(void **state)
{
    struct mat_zone zone;

    (void) state;
    set("mat-zone-7", "subnet=10.1.2.3/24,gateway=10.1.2.1 outside=true "
        "subnet=fd00:1::/64");
    assert_int_equal(problems.n, 0);
    mat_agent_config_zone(&config, 7, &zone);
    assert_int_equal(zone.zone, 7);
    assert_true(zone.outside);
    assert_int_equal(zone.n_subnets, 2);
    assert_addr(&zone.subnets[0].prefix, "10.1.2.0");
    assert_int_equal(zone.subnets[0].plen, 24);
    assert_addr(&zone.subnets[0].gateway, "10.1.2.1");
    assert_true(mat_addr_is_zero(&zone.subnets[1].gateway));

    mat_agent_config_zone(&config, 8, &zone);
    assert_int_equal(zone.zone, 8);
    assert_false(zone.outside);
    assert_int_equal(zone.n_subnets, 0);
    set("mat-outside", "true");
    mat_agent_config_zone(&config, 8, &zone);
    assert_true(zone.outside);
}

static void
test_wrong_zones(void **state)
{
    static const char *const wrong[] = {
        "subnet=10.0.0.0/33", "subnet=10.0.0.0/24,gateway=10.0.1.1",
        "subnet=10.0.0.0/24,gateway=fd00::1", "subnet=10.0.0.0/0",
        "subnet=10.0.0.0/24,gateway=10.0.0.1,x", "outside=maybe",
        "outside=true outside=true", "gateway=10.0.0.1", "subnet=",
        "subnet=10.0.0.0/24,gw=10.0.0.1",
        "subnet=10.0.0.0/24 subnet=10.0.1.0/24 subnet=10.0.2.0/24 "
        "subnet=10.0.3.0/24 subnet=10.0.4.0/24 subnet=10.0.5.0/24 "
        "subnet=10.0.6.0/24 subnet=10.0.7.0/24 subnet=10.0.8.0/24",
    };
    struct mat_zone zone;

    (void) state;
    set("mat-zone-7", "subnet=10.9.0.0/24");
    last = config;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set("mat-zone-7", wrong[i]);
        assert_problem("mat-zone-7");
        mat_agent_config_zone(&config, 7, &zone);
        assert_int_equal(zone.n_subnets, 1);
        assert_addr(&zone.subnets[0].prefix, "10.9.0.0");
    }
    set("mat-zone-x", "subnet=10.0.0.0/24");
    assert_problem("mat-zone-x");
    set("mat-zone-16777216", "subnet=10.0.0.0/24");
    assert_problem("mat-zone-16777216");
}

static void
test_zones_are_sorted_and_limited(void **state)
{
    static char keys[MAT_AGENT_ZONES_MAX + 2][32];
    static struct mat_agent_pair pairs[MAT_AGENT_ZONES_MAX + 2];
    size_t n = MAT_AGENT_ZONES_MAX + 1;

    (void) state;
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "mat-zone-%zu", 1000 - i);
        pairs[i] = (struct mat_agent_pair) { keys[i], "" };
    }
    build(n, pairs);
    assert_problem("not more than 64 zones");
    assert_int_equal(config.n_zones, MAT_AGENT_ZONES_MAX);
    for (size_t i = 1; i < config.n_zones; i++) {
        assert_true(config.zones[i - 1].zone.zone
                    < config.zones[i].zone.zone);
    }
    pairs[0] = (struct mat_agent_pair) { "mat-zone-7", "" };
    pairs[1] = (struct mat_agent_pair) { "mat-zone-0x7", "" };
    build(2, pairs);
    assert_problem("only once");
}

static void
test_what_is_missing_is_named(void **state)
{
    const struct mat_agent_pair bridge = { "mat-bridge", "br0" };
    const struct mat_agent_pair uplink = { "mat-uplink", "eth0" };
    const struct mat_agent_pair both[] = { bridge, uplink };

    (void) state;
    build(1, &bridge);
    assert_problem("mat-uplink");
    build(1, &uplink);
    assert_problem("mat-bridge");
    build(2, both);
    assert_problem("mat-pool4");
}

static void
test_endpoints(void **state)
{
    struct mat_endpoint endpoint;

    (void) state;
    assert_endpoint("10.0.0.1", "10.0.0.1", 19777);
    assert_endpoint("10.0.0.1:1", "10.0.0.1", 1);
    assert_endpoint("fd00::1", "fd00::1", 19777);
    assert_endpoint("[fd00::1]", "fd00::1", 19777);
    assert_endpoint("[fd00::1]:65535", "fd00::1", 65535);
    assert_endpoint("::", "::", 19777);
    assert_false(mat_agent_endpoint_parse("", &endpoint));
    assert_false(mat_agent_endpoint_parse(":5", &endpoint));
    assert_false(mat_agent_endpoint_parse("10.0.0.1:", &endpoint));
    assert_false(mat_agent_endpoint_parse("[10.0.0.1", &endpoint));
    assert_false(mat_agent_endpoint_parse("fd00::1]:5", &endpoint));
}

static void
test_ports(void **state)
{
    (void) state;
    set("mat-zone", "5");
    set_port("other", "x");
    assert_false(port.enabled);
    assert_int_equal(port.zone, 5);
    set_port("mat", "true");
    assert_true(port.enabled);
    set_port("mat-zone", "7");
    assert_true(port.enabled);
    assert_int_equal(port.zone, 7);
    set_port("mat-hoa", "10.0.0.1,fd00::1");
    assert_true(port.enabled);
    assert_int_equal(port.n_hoas, 2);
    assert_addr(&port.hoas[1], "fd00::1");
    set_port("attached-mac", "52:54:00:00:00:01");
    assert_false(port.enabled);
    assert_true(port.has_mac);
    set_port("iface-id", "vif-1");
    assert_string_equal(port.iface_id, "vif-1");
    set_port("mat-qmp", "/run/vm.qmp");
    assert_string_equal(port.qmp, "/run/vm.qmp");
    assert_int_equal(problems.n, 0);

    set("mat-ports", "all");
    set_port("other", "x");
    assert_true(port.enabled);
    set_port("mat", "false");
    assert_false(port.enabled);
}

static void
test_mat_false_wins(void **state)
{
    const struct mat_agent_pair pairs[] = {
        { "mat", "false" }, { "mat-zone", "7" }
    };

    (void) state;
    build(0, NULL);
    mat_agent_port_config_build(&port, NULL, &config, "tap0", pairs, 2,
                                &problems);
    assert_false(port.enabled);
    assert_int_equal(port.zone, 7);
}

static void
test_wrong_values_of_a_port(void **state)
{
    static const char *const wrong[][2] = {
        { "attached-mac", "52:54:00:00:00" },
        { "attached-mac", "01:00:00:00:00:00" },
        { "attached-mac", "00:00:00:00:00:00" },
        { "mat-hoa", "10.0.0" }, { "mat-hoa", "224.0.0.1" },
        { "mat-zone", "x" }, { "mat", "on" }, { "mat-qmp", "vm.qmp" },
        { "iface-id", "" },
    };

    (void) state;
    build(0, NULL);
    set_port("attached-mac", "52:54:00:00:00:01");
    last_port = port;
    last_port.zone = 9;
    last_port.enabled = true;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set_port(wrong[i][0], wrong[i][1]);
        assert_problem(wrong[i][0]);
        assert_problem("tap0");
    }
    set_port("attached-mac", "x");
    assert_true(port.has_mac);
    assert_int_equal(port.mac.ea[5], 1);
    set_port("mat-zone", "x");
    assert_int_equal(port.zone, 9);
    set_port("mat", "x");
    assert_true(port.enabled);
}

static void
test_every_key_is_listed_with_its_form(void **state)
{
    const char *name, *form;
    size_t n = 0;

    (void) state;
    while ((name = mat_agent_config_key(n, &form))) {
        assert_false(strncmp(name, "mat-", 4));
        assert_true(strlen(form) > 0);
        n++;
    }
    assert_int_equal(n, 21);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_set_is_the_defaults, setup),
        cmocka_unit_test_setup(test_every_key_sets_its_value, setup),
        cmocka_unit_test_setup(test_a_wrong_value_leaves_the_one_before,
                               setup),
        cmocka_unit_test_setup(test_an_unknown_key_is_named, setup),
        cmocka_unit_test_setup(test_zones, setup),
        cmocka_unit_test_setup(test_wrong_zones, setup),
        cmocka_unit_test_setup(test_zones_are_sorted_and_limited, setup),
        cmocka_unit_test_setup(test_what_is_missing_is_named, setup),
        cmocka_unit_test_setup(test_endpoints, setup),
        cmocka_unit_test_setup(test_ports, setup),
        cmocka_unit_test_setup(test_mat_false_wins, setup),
        cmocka_unit_test_setup(test_wrong_values_of_a_port, setup),
        cmocka_unit_test_setup(test_every_key_is_listed_with_its_form, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
