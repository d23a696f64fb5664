/* SPDX-License-Identifier: Apache-2.0 */

/* Pools as text, and the ranges that the links leave of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-moa-range.h"
#include "mat-rng.h"

/* A text, and what becomes of it: "item item ..." as formatted, or an
 * error. */
struct parse_case {
    bool v6;
    const char *text;
    const char *items;
    const char *error;
};

static const struct parse_case parse_cases[] = {
    { false, "", "", NULL },
    { false, " , ,, ", "", NULL },
    { false, "10.0.0.64/26", "10.0.0.64/26 ", NULL },
    { false, "10.0.0.64/26, 10.0.0.5", "10.0.0.64/26 10.0.0.5 ", NULL },
    { false, "10.0.0.5/32", "10.0.0.5 ", NULL },
    { false, "10.0.0.100-10.0.0.120", "10.0.0.100-10.0.0.120 ", NULL },
    { false, "10.0.0.64-10.0.0.127", "10.0.0.64/26 ", NULL },
    { false, "10.0.0.7-10.0.0.7", "10.0.0.7 ", NULL },
    { false, "routed:192.0.2.0/24", "routed:192.0.2.0/24 ", NULL },
    { false, "routed:192.0.2.0/24%eth1", "routed:192.0.2.0/24%eth1 ", NULL },
    { false, "10.0.0.8/29%dpdk-p0", "10.0.0.8/29%dpdk-p0 ", NULL },
    { false, "10.0.0.0/24 exclude:10.0.0.0/28\texclude:10.0.0.9-10.0.0.20",
      "10.0.0.0/24 exclude:10.0.0.0/28 exclude:10.0.0.9-10.0.0.20 ", NULL },
    { false, "exclude:0.0.0.0/0", "exclude:0.0.0.0/0 ", NULL },
    { false, "10.0.0.0/8", "10.0.0.0/8 ", NULL },
    { false, "1.0.0.0-126.255.255.255", NULL, "is too big" },
    { false, "223.255.255.255", "223.255.255.255 ", NULL },
    { true, "2001:db8::/80", "2001:db8::/80 ", NULL },
    { true, "2001:db8::/32", "2001:db8::/32 ", NULL },
    { true, "2001:db8::1-2001:db8::ff", "2001:db8::1-2001:db8::ff ", NULL },
    { true, "advertised:::1:0:0:0/80", "advertised:::1:0:0:0/80 ", NULL },
    { true, "advertised:::1-::ff%eth0", "advertised:::1-::ff%eth0 ", NULL },
    { true, "exclude:::/0", "exclude:::/0 ", NULL },

    { false, "10.0.0.0/33", NULL, "item 1, '10.0.0.0/33', is neither" },
    { false, "10.0.0.300", NULL, "such as 192.0.2.64/26" },
    { true, "nonsense", NULL, "such as 2001:db8:1::/80" },
    { false, "10.0.0.1/24", NULL, "perhaps 10.0.0.0/24" },
    { false, "10.0.0.1-", NULL, "FIRST-LAST" },
    { false, "10.0.0.9-10.0.0.8", NULL, "ends before it begins" },
    { false, "10.0.0.9-2001:db8::1", NULL, "two families" },
    { false, "10.0.0.1,2001:db8::1", NULL,
      "item 2, '2001:db8::1', is IPv6: put it into mat-pool6" },
    { true, "10.0.0.1", NULL, "is IPv4: put it into mat-pool4" },
    { true, "::ffff:10.0.0.1", NULL, "is IPv4" },
    { true, "advertised:10.0.0.0/8", NULL, "is IPv4" },
    { false, "advertised:::1/80", NULL, "is for mat-pool6" },
    { false, "10.0.0.0/7", NULL, "is too big: at most 2^24 addresses" },
    { true, "2001::/31", NULL, "is too big: at most 2^96 addresses" },
    { false, "127.0.0.1", NULL, "but of loopback" },
    { false, "0.0.0.0/24", NULL, "but of 'this network'" },
    { false, "126.255.255.0-127.0.0.0", NULL, "no host has: 127.0.0.0/8" },
    { false, "224.0.0.1", NULL, "multicast" },
    { false, "255.255.255.255", NULL, "multicast or reserved" },
    { false, "169.254.1.0/24", NULL, "link-local" },
    { false, "routed:169.254.1.0/24", NULL, "link-local" },
    { true, "fe80::/64", NULL, "link-local" },
    { true, "ff02::1", NULL, "multicast" },
    { true, "::1", NULL, "unspecified and loopback" },
    { true, "::fffe:0:0-::1:0:0:0", NULL, "IPv4-mapped" },
    { false, "10.0.0.0/24,10.0.0.9", NULL,
      "item 2, '10.0.0.9', overlaps item 1, 10.0.0.0/24" },
    { false, "10.0.0.9,routed:10.0.0.0/24", NULL, "overlaps item 1" },
    { true, "advertised:::1:0/112,advertised:::1:9", NULL, "overlaps" },
    { false, "10.0.0.9%", NULL, "no name of an uplink" },
    { false, "exclude:10.0.0.9%eth0", NULL, "excludes for all uplinks" },
    { false, "routed:exclude:10.0.0.9", NULL, "is neither" },
    { false, "link:10.0.0.9", NULL, "is neither" },
    { false, "10.0.0.9%"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      NULL, "no name of an uplink" },
};

static void
test_texts(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof parse_cases / sizeof *parse_cases; i++) {
        const struct parse_case *c = &parse_cases[i];
        char error[MAT_MOA_TEXT_MAX], item[MAT_MOA_TEXT_MAX], all[4096] = "";
        struct mat_moa_items items;
        bool ok = mat_moa_parse(c->text, c->v6, &items, error);

        for (size_t j = 0; ok && j < items.n; j++) {
            size_t used = strlen(all);

            snprintf(all + used, sizeof all - used, "%s ",
                     mat_moa_item_format(&items.items[j], item));
        }
        if (c->error && (ok || !strstr(error, c->error))) {
            fail_msg("'%s': wanted '%s', got '%s'", c->text, c->error,
                     ok ? all : error);
        } else if (c->items && (!ok || strcmp(all, c->items))) {
            fail_msg("'%s': wanted '%s', got '%s'", c->text, c->items,
                     ok ? all : error);
        }
    }
}

static void
test_many_items(void **state)
{
    char text[4096] = "", error[MAT_MOA_TEXT_MAX];
    struct mat_moa_items items;

    (void) state;
    for (unsigned int i = 0; i < MAT_MOA_ITEMS_MAX; i++) {
        snprintf(text + strlen(text), 20, "10.0.%u.0/24,", i);
    }
    assert_true(mat_moa_parse(text, false, &items, error));
    assert_int_equal(items.n, MAT_MOA_ITEMS_MAX);
    snprintf(text + strlen(text), 20, "10.1.0.0/24");
    assert_false(mat_moa_parse(text, false, &items, error));
    assert_non_null(strstr(error, "at most 64 items"));
    memset(text, 'a', 1000);
    text[1000] = '\0';
    assert_false(mat_moa_parse(text, false, &items, error));
    assert_non_null(strstr(error, "too long"));
}

/* Links. */

static struct mat_moa_prefix
prefix(const char *text)
{
    struct mat_moa_prefix p;
    unsigned int plen;

    assert_true(mat_prefix_parse(text, &p.addr, &plen));
    p.plen = (uint8_t) plen;
    return p;
}

/* Adds an uplink by its subnets ("a" for addresses, "r" for routers, "p" for
 * advertised prefixes). */
static void
add_uplink(struct mat_moa_config *config, const char *name, const char *what)
{
    struct mat_moa_uplink *u = &config->uplinks[config->n_uplinks++];
    char copy[400], *word, *save;

    memset(u, 0, sizeof *u);
    snprintf(u->name, sizeof u->name, "%s", name);
    u->up = true;
    u->mac.ea[0] = 2;
    u->mac.ea[5] = (uint8_t) config->n_uplinks;
    snprintf(copy, sizeof copy, "%s", what);
    for (word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        struct mat_moa_prefix p = prefix(word + 1);
        bool v6 = !mat_addr_is_v4(&p.addr);

        switch (*word) {
        case 'a':
            u->subnets[u->n_subnets++] = p;
            break;
        case 'r':
            u->routers[v6][u->n_routers[v6]++] = p.addr;
            break;
        default:
            u->advertised[u->n_advertised++] = p;
            break;
        }
    }
}

static void
set_pools(struct mat_moa_config *config, const char *pool4, const char *pool6)
{
    char error[MAT_MOA_TEXT_MAX];

    if (!mat_moa_parse(pool4, false, &config->pools[0], error)
        || !mat_moa_parse(pool6, true, &config->pools[1], error)) {
        fail_msg("%s", error);
    }
}

/* The ranges as text: "FIRST-LAST@UPLINK[r] ...". */
static const char *
ranges_of(const struct mat_moa_config *config, char *buf, size_t size)
{
    struct mat_moa_ranges *ranges = malloc(sizeof *ranges);

    buf[0] = '\0';
    mat_moa_ranges_build(ranges, config);
    for (size_t i = 0; i < ranges->n; i++) {
        const struct mat_moa_range *r = &ranges->ranges[i];
        struct mat_addr first = mat_number_to_addr(r->first);
        struct mat_addr last = mat_number_to_addr(r->last);
        char a[MAT_ADDR_STRLEN], b[MAT_ADDR_STRLEN];
        size_t used = strlen(buf);

        snprintf(buf + used, size - used, "%s-%s@%d%s ",
                 mat_addr_format(&first, a), mat_addr_format(&last, b),
                 r->uplink, r->routed ? "r" : "");
    }
    free(ranges);
    return buf;
}

struct link_case {
    const char *pool4, *pool6;
    const char *eth0, *eth1;    /* Null: there is none. */
    const char *ranges;
    const char *error;          /* Null: it fits. */
};

#define ETH0 "a10.0.0.1/24 r10.0.0.254 a2001:db8::1/64 rfe80::1"
#define ETH1 "a10.1.0.1/24 r10.1.0.254"

static const struct link_case link_cases[] = {
    { "10.0.0.64/26", "", ETH0, NULL, "10.0.0.64-10.0.0.127@0 ", NULL },
    { "10.0.0.64/26,10.1.0.64/26", "", ETH0, ETH1,
      "10.0.0.64-10.0.0.127@0 10.1.0.64-10.1.0.127@1 ", NULL },
    { "10.0.0.64/26%eth1", "", ETH0, ETH1, "10.0.0.64-10.0.0.127@1 ", NULL },
    { "routed:192.0.2.0/24", "", ETH0, ETH1, "192.0.2.0-192.0.2.255@-1r ",
      NULL },
    { "routed:192.0.2.0/24%eth1", "", ETH0, ETH1,
      "192.0.2.0-192.0.2.255@1r ", NULL },

    /* What is on the link already. */
    { "10.0.0.0/24", "", ETH0, NULL, "10.0.0.2-10.0.0.253@0 ",
      "contains the host's own address, 10.0.0.1" },
    { "10.0.0.2-10.0.0.255", "", ETH0, NULL, "10.0.0.2-10.0.0.253@0 ",
      "contains the broadcast address, 10.0.0.255" },
    { "10.0.0.0", "", ETH0, NULL, "", "contains the network address" },
    { "10.0.0.250-10.0.0.254", "", ETH0, NULL, "10.0.0.250-10.0.0.253@0 ",
      "contains the router, 10.0.0.254 (leave it out, or add "
      "'exclude:10.0.0.254')" },
    { "10.0.0.0/24,exclude:10.0.0.0/30,exclude:10.0.0.254/31", "", ETH0, NULL,
      "10.0.0.4-10.0.0.253@0 ", NULL },
    { "10.0.0.4/30,exclude:10.0.0.5", "", ETH0, NULL,
      "10.0.0.4-10.0.0.4@0 10.0.0.6-10.0.0.7@0 ", NULL },
    { "10.0.0.4/30,exclude:10.0.0.4/30", "", ETH0, NULL, "", NULL },
    { "10.0.0.4/30,exclude:10.0.0.4,exclude:10.0.0.7", "", ETH0, NULL,
      "10.0.0.5-10.0.0.6@0 ", NULL },
    { "10.9.0.0/31", "", "a10.9.0.0/31", NULL, "10.9.0.1-10.9.0.1@0 ",
      "the host's own address, 10.9.0.0" },

    /* Which uplink? */
    { "10.9.0.0/24", "", ETH0, NULL, "", "is in no subnet of an uplink" },
    { "10.9.0.0/24%eth0", "", ETH0, NULL, "10.9.0.0-10.9.0.255@0 ", NULL },
    { "10.9.0.0/24", "", ETH0, ETH1, "", "is in no subnet of an uplink" },
    { "10.9.0.0/24", "", "", NULL, "10.9.0.0-10.9.0.255@0 ", NULL },
    { "10.9.0.0/24", "", "a2001:db8::1/64", NULL, "10.9.0.0-10.9.0.255@0 ",
      NULL },
    { "10.9.0.0/24%eth9", "", ETH0, ETH1, "",
      "names uplink eth9, which is not in mat-uplink" },
    { "10.0.0.128-10.0.1.127", "", ETH0, ETH1,
      "10.0.0.128-10.0.0.253@0 10.0.1.0-10.0.1.127@0 ",
      "reaches beyond the subnet 10.0.0.0/24" },
    { "10.0.0.130-10.0.0.140", "", "a10.0.0.129/25", "a10.0.0.1/24",
      "10.0.0.130-10.0.0.140@0 ", NULL },
    { "10.0.0.130-10.0.0.140", "", "a10.0.0.1/24", "a10.0.0.129/25",
      "10.0.0.130-10.0.0.140@1 ", NULL },

    /* IPv6. */
    { "", "2001:db8::/112", ETH0, NULL, "2001:db8::2-2001:db8::ffff@0 ",
      "the host's own address, 2001:db8::1" },
    { "", "2001:db8::/127", "a2001:db8::9/64", NULL,
      "2001:db8::1-2001:db8::1@0 ", "the anycast address of routers" },
    { "", "advertised:::1:0:0:0/80", "a2001:db8::1/64 p2001:db8::/64", NULL,
      "2001:db8:0:0:1::-2001:db8::1:ffff:ffff:ffff@0 ", NULL },
    { "", "advertised:::1:0/112", "p2001:db8::/64 p2001:db8:1::/64",
      "p2001:db8:2::/64",
      "2001:db8::1:0-2001:db8::1:ffff@0 "
      "2001:db8:1::1:0-2001:db8:1::1:ffff@0 "
      "2001:db8:2::1:0-2001:db8:2::1:ffff@1 ", NULL },
    { "", "advertised:::1:0/112%eth1", "p2001:db8::/64", "p2001:db8:2::/64",
      "2001:db8:2::1:0-2001:db8:2::1:ffff@1 ", NULL },
    { "", "advertised:::1:0/112", "p2001:db8::/64", "p2001:db8::/64",
      "2001:db8::1:0-2001:db8::1:ffff@0 ", NULL },
    { "", "advertised:0:0:0:1::/80", "p2001:db8::/64", NULL, "",
      "belong to the advertised prefix 2001:db8::/64" },
    { "", "advertised:::1:0/112,2001:db8::1:8000/116", "p2001:db8::/64", NULL,
      "2001:db8::1:0-2001:db8::1:ffff@0 ", NULL },
    { "", "advertised:::1:0/112", "", NULL, "", NULL },
};

static void
test_links(void **state)
{
    struct mat_moa_config *config = malloc(sizeof *config);

    (void) state;
    for (size_t i = 0; i < sizeof link_cases / sizeof *link_cases; i++) {
        const struct link_case *c = &link_cases[i];
        char ranges[1000], error[MAT_MOA_TEXT_MAX];
        bool ok;

        mat_moa_config_default(config);
        set_pools(config, c->pool4, c->pool6);
        add_uplink(config, "eth0", c->eth0);
        if (c->eth1) {
            add_uplink(config, "eth1", c->eth1);
        }
        assert_string_equal(ranges_of(config, ranges, sizeof ranges),
                            c->ranges);
        ok = mat_moa_check(config, error);
        if (ok != !c->error || (c->error && !strstr(error, c->error))) {
            fail_msg("'%s%s': wanted '%s', got '%s'", c->pool4, c->pool6,
                     c->error ? c->error : "", error);
        }
    }
    free(config);
}

/* Exclusions may cut a pool into more ranges than there is room for. */
static void
test_too_many_ranges(void **state)
{
    struct mat_moa_config *config = malloc(sizeof *config);
    char error[MAT_MOA_TEXT_MAX];

    (void) state;
    mat_moa_config_default(config);
    set_pools(config, "", "advertised:::1:0/112");
    for (unsigned int i = 0; i < MAT_MOA_UPLINKS_MAX; i++) {
        char name[20], prefixes[400] = "";

        for (unsigned int j = 0; j < MAT_MOA_ADVERTISED_MAX; j++) {
            snprintf(prefixes + strlen(prefixes), 40, "p2001:db8:%x:%x::/64 ",
                     i, j);
        }
        snprintf(name, sizeof name, "eth%u", i);
        add_uplink(config, name, prefixes);
    }
    assert_true(mat_moa_check(config, error));
    for (unsigned int i = 0; i < 63; i++) {
        struct mat_moa_item *item
            = &config->pools[1].items[config->pools[1].n++];

        memset(item, 0, sizeof *item);
        item->kind = MAT_MOA_ITEM_ADVERTISED;
        item->first = item->last = mat_number_to_addr(0x20000 + 2 * i);
    }
    assert_false(mat_moa_check(config, error));
    assert_non_null(strstr(error, "more than 1024 ranges"));
    free(config);
}

/* Every address is in the ranges exactly if a plain reading says so. */
static void
test_ranges_against_reading(void **state)
{
    struct mat_moa_config *config = malloc(sizeof *config);
    struct mat_moa_ranges *ranges = malloc(sizeof *ranges);
    char error[MAT_MOA_TEXT_MAX];

    (void) state;
    for (unsigned int seed = 0; seed < 300; seed++) {
        struct mat_rng rng = { seed };
        char text[1000] = "";
        bool in[256] = { false };

        for (int i = 0; i < 12; i++) {
            unsigned int a = mat_rng_below(&rng, 256);
            unsigned int b = a + mat_rng_below(&rng, 24);
            bool excludes = mat_rng_below(&rng, 2);
            char old[1000];

            b = b > 255 ? 255 : b;
            memcpy(old, text, sizeof old);
            snprintf(text + strlen(text), 60, "%s10.0.0.%u-10.0.0.%u,",
                     excludes ? "exclude:" : "", a, b);
            if (!mat_moa_parse(text, false, &config->pools[0], error)) {
                memcpy(text, old, sizeof text);
            }
        }
        mat_moa_config_default(config);
        set_pools(config, text, "");
        add_uplink(config, "eth0", ETH0);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < config->pools[0].n; i++) {
                const struct mat_moa_item *item = &config->pools[0].items[i];

                for (int j = item->first.b[15]; j <= item->last.b[15]; j++) {
                    if ((item->kind == MAT_MOA_ITEM_EXCLUDE) == pass) {
                        in[j] = !pass;
                    }
                }
            }
        }
        in[0] = in[1] = in[254] = in[255] = false;
        mat_moa_ranges_build(ranges, config);
        for (unsigned int i = 0; i < 256; i++) {
            struct mat_addr addr = prefix("10.0.0.0").addr;

            addr.b[15] = (uint8_t) i;
            assert_int_equal(mat_moa_ranges_find(
                ranges, mat_number_from_addr(&addr)) != NULL, in[i]);
        }
    }
    free(ranges);
    free(config);
}

/* Prefixes that make up ranges are whole, apart, and cover all of them. */
static void
test_prefixes(void **state)
{
    static const char *const pools[][3] = {
        { "10.0.0.64/26", "", "10.0.0.64/26 " },
        { "10.0.0.5-10.0.0.20", "",
          "10.0.0.5 10.0.0.6/31 10.0.0.8/29 10.0.0.16/30 10.0.0.20 " },
        { "10.0.0.8/29,exclude:10.0.0.11", "",
          "10.0.0.8/31 10.0.0.10 10.0.0.12/30 " },
        { "10.0.0.5", "2001:db8::/64",
          "10.0.0.5 2001:db8::1 2001:db8::2/127 2001:db8::4/126 " },
        { "", "", "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        struct mat_moa_config *config = malloc(sizeof *config);
        struct mat_moa_walk walk = { .range = 0 };
        struct mat_moa_prefix p;
        struct mat_moa *m;
        char all[8192] = "", text[MAT_PREFIX_STRLEN];

        mat_moa_config_default(config);
        set_pools(config, pools[i][0], pools[i][1]);
        add_uplink(config, "eth0", "a10.0.0.1/24 a2001:db8::8000:1/64");
        m = mat_moa_create(config, 1, 0);
        while (mat_moa_next_prefix(m, &walk, &p)) {
            snprintf(all + strlen(all), 60, "%s ",
                     mat_prefix_format(&p.addr, p.plen, text));
        }
        assert_int_equal(strncmp(all, pools[i][2], strlen(pools[i][2])), 0);
        assert_true(pools[i][1][0] || !strcmp(all, pools[i][2]));
        mat_moa_destroy(m);
        free(config);
    }
}

/* What a peer has must be apart from it. */
static void
test_overlaps(void **state)
{
    static const struct {
        const char *prefix;
        bool overlaps;
    } cases[] = {
        { "10.0.0.64/26", true }, { "10.0.0.0/8", true },
        { "0.0.0.0/0", true }, { "10.0.0.77/32", true },
        { "10.0.0.0/26", false }, { "10.0.0.128/25", false },
        { "2001:db8::1:0/112", true }, { "2001:db8::1:7/128", true },
        { "2001:db8::2:0/112", false }, { "::/0", true },
    };
    struct mat_moa_config *config = malloc(sizeof *config);
    struct mat_moa *m;

    (void) state;
    mat_moa_config_default(config);
    set_pools(config, "10.0.0.64/26", "2001:db8::1:0/112");
    add_uplink(config, "eth0", ETH0);
    m = mat_moa_create(config, 1, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mat_moa_prefix p = prefix(cases[i].prefix);

        assert_int_equal(mat_moa_overlaps(m, &p), cases[i].overlaps);
    }
    mat_moa_destroy(m);
    free(config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_too_many_ranges),
        cmocka_unit_test(test_ranges_against_reading),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_overlaps)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
