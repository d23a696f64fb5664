/* SPDX-License-Identifier: Apache-2.0 */

/* The text of a pool: items, and sentences about what is wrong with them. */

#include "mat-moa-range.h"

#include <stdio.h>

enum {
    ITEM_SIZE = 192,            /* The longest is 15 + 2 * 45 + 1 + 63. */
    POOL_BITS_V4 = 24,          /* A /8: more is a slip of the pen. */
    POOL_BITS_V6 = 96           /* A /32: likewise. */
};

static const char *const kind_prefixes[] = {
    [MAT_MOA_ITEM_LINK] = "",
    [MAT_MOA_ITEM_ROUTED] = "routed:",
    [MAT_MOA_ITEM_ADVERTISED] = "advertised:",
    [MAT_MOA_ITEM_EXCLUDE] = "exclude:"
};

/* What no pool may contain. */
static const struct block {
    const char *prefix;
    const char *what;
} blocks[] = {
    { "0.0.0.0/8", "'this network'" },
    { "127.0.0.0/8", "loopback" },
    { "169.254.0.0/16", "link-local" },
    { "224.0.0.0/3", "multicast or reserved" },
    { "::/127", "unspecified and loopback" },
    { "fe80::/10", "link-local" },
    { "ff00::/8", "multicast" },
};

/* One item being parsed. */
struct scan {
    const char *text;           /* All of it, for the error. */
    unsigned int number;        /* From 1. */
    bool v6;
    struct mat_moa_item item;
    char *error;
};

static bool parse_item(struct scan *);
static bool parse_span(struct scan *, char *span);
static bool parse_prefix(struct scan *, const char *span);
static bool check_span(struct scan *);
static bool check_blocks(struct scan *);
static bool check_overlap(struct scan *, const struct mat_moa_items *);

static bool
fail(const struct scan *scan, const char *what, const char *instead)
{
    snprintf(scan->error, MAT_MOA_TEXT_MAX, "item %u, '%.150s', %s%s",
             scan->number, scan->text, what, instead);
    return false;
}

/* The next item of '*rest' in 'text'; its length. */
static size_t
next_item(const char **rest, char text[static ITEM_SIZE])
{
    size_t n;

    *rest += strspn(*rest, ", \t\n");
    n = strcspn(*rest, ", \t\n");
    snprintf(text, ITEM_SIZE, "%.*s", (int) (n < ITEM_SIZE ? n : ITEM_SIZE),
             *rest);
    *rest += n;
    return n;
}

bool
mat_moa_parse(const char *text, bool v6, struct mat_moa_items *items,
              char error[static MAT_MOA_TEXT_MAX])
{
    char one[ITEM_SIZE];
    size_t n;

    items->n = 0;
    error[0] = '\0';
    while ((n = next_item(&text, one)) > 0) {
        struct scan scan = { .text = one, .v6 = v6, .error = error,
                             .number = (unsigned int) items->n + 1 };

        if (n >= sizeof one) {
            return fail(&scan, "is too long: separate items by commas", "");
        }
        if (items->n >= MAT_MOA_ITEMS_MAX) {
            return fail(&scan, "is one too many: at most 64 items", "");
        }
        if (!parse_item(&scan) || !check_overlap(&scan, items)) {
            return false;
        }
        items->items[items->n++] = scan.item;
    }
    return true;
}

const char *
mat_moa_item_format(const struct mat_moa_item *item,
                    char buf[static MAT_MOA_TEXT_MAX])
{
    mat_number first = mat_number_from_addr(&item->first);
    mat_number last = mat_number_from_addr(&item->last);
    char a[MAT_PREFIX_STRLEN], b[MAT_ADDR_STRLEN + 1] = "";
    uint8_t plen;

    if (mat_moa_prefix_at(first, last, &plen) == last) {
        mat_prefix_format(&item->first, plen, a);
    } else {
        mat_addr_format(&item->first, a);
        b[0] = '-';
        mat_addr_format(&item->last, b + 1);
    }
    snprintf(buf, MAT_MOA_TEXT_MAX, "%s%s%s%s%s", kind_prefixes[item->kind], a,
             b, item->uplink[0] ? "%" : "", item->uplink);
    return buf;
}

static bool
parse_item(struct scan *scan)
{
    struct mat_moa_item *item = &scan->item;
    char span[ITEM_SIZE], *percent;
    const char *s = scan->text;

    for (int kind = MAT_MOA_ITEM_ROUTED; kind <= MAT_MOA_ITEM_EXCLUDE;
         kind++) {
        size_t n = strlen(kind_prefixes[kind]);

        if (!strncmp(s, kind_prefixes[kind], n)) {
            item->kind = (enum mat_moa_item_kind) kind;
            s += n;
            break;
        }
    }
    if (item->kind == MAT_MOA_ITEM_ADVERTISED && !scan->v6) {
        return fail(scan, "is for mat-pool6: only IPv6 prefixes are "
                    "advertised", "");
    }
    snprintf(span, sizeof span, "%s", s);
    percent = strchr(span, '%');
    if (percent) {
        *percent++ = '\0';
        if (!*percent || strlen(percent) >= sizeof item->uplink) {
            return fail(scan, "has no name of an uplink after '%'", "");
        } else if (item->kind == MAT_MOA_ITEM_EXCLUDE) {
            return fail(scan, "excludes for all uplinks: leave out '%' and "
                        "what follows", "");
        }
        memcpy(item->uplink, percent, strlen(percent) + 1);
    }
    return parse_span(scan, span) && check_span(scan) && check_blocks(scan);
}

/* PREFIX or FIRST-LAST. */
static bool
parse_span(struct scan *scan, char *span)
{
    struct mat_moa_item *item = &scan->item;
    char *dash = strchr(span, '-');

    if (!dash) {
        if (!parse_prefix(scan, span)) {
            return false;
        }
    } else {
        *dash = '\0';
        if (!mat_addr_parse(span, &item->first)
            || !mat_addr_parse(dash + 1, &item->last)) {
            return fail(scan, "is not FIRST-LAST with two addresses", "");
        }
    }
    if (mat_addr_is_v4(&item->first) != mat_addr_is_v4(&item->last)) {
        return fail(scan, "has addresses of two families", "");
    } else if (mat_addr_is_v4(&item->first) == scan->v6) {
        return fail(scan, scan->v6 ? "is IPv4: put it into mat-pool4"
                    : "is IPv6: put it into mat-pool6", "");
    }
    return true;
}

static bool
parse_prefix(struct scan *scan, const char *span)
{
    struct mat_moa_item *item = &scan->item;
    struct mat_addr masked;
    unsigned int plen, host_bits;
    mat_number ones;

    if (!mat_prefix_parse(span, &item->first, &plen)) {
        return fail(scan, "is neither FIRST-LAST nor a prefix such as ",
                    scan->v6 ? "2001:db8:1::/80" : "192.0.2.64/26");
    }
    masked = mat_addr_mask(&item->first, plen);
    if (!mat_addr_equal(&masked, &item->first)) {
        char right[MAT_PREFIX_STRLEN];

        return fail(scan, "has bits set after its length: perhaps ",
                    mat_prefix_format(&masked, plen, right));
    }
    host_bits = mat_addr_bits(&masked) - plen;
    ones = host_bits ? MAT_NUMBER_MAX >> (128 - host_bits) : 0;
    item->last = mat_number_to_addr(mat_number_from_addr(&masked) + ones);
    return true;
}

static bool
check_span(struct scan *scan)
{
    mat_number first = mat_number_from_addr(&scan->item.first);
    mat_number last = mat_number_from_addr(&scan->item.last);
    unsigned int bits = scan->v6 ? POOL_BITS_V6 : POOL_BITS_V4;

    if (last < first) {
        return fail(scan, "ends before it begins", "");
    } else if (scan->item.kind != MAT_MOA_ITEM_EXCLUDE
               && (last - first) >> bits) {
        return fail(scan, "is too big: at most ",
                    scan->v6 ? "2^96 addresses, a /32"
                    : "2^24 addresses, a /8");
    }
    return true;
}

/* Items must not touch what is no host's.  What is inside of an advertised
 * prefix may be anything. */
static bool
check_blocks(struct scan *scan)
{
    mat_number first = mat_number_from_addr(&scan->item.first);
    mat_number last = mat_number_from_addr(&scan->item.last);

    if (scan->item.kind == MAT_MOA_ITEM_ADVERTISED
        || scan->item.kind == MAT_MOA_ITEM_EXCLUDE) {
        return true;
    }
    if (scan->v6 && first >> 32 <= 0xffff && last >> 32 >= 0xffff) {
        return fail(scan, "contains IPv4-mapped addresses", "");
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        struct mat_addr prefix;
        mat_number block, size;
        unsigned int plen;

        mat_prefix_parse(blocks[i].prefix, &prefix, &plen);
        block = mat_number_from_addr(&prefix);
        size = (mat_number) 1 << (mat_addr_bits(&prefix) - plen);
        if (mat_addr_is_v4(&prefix) != scan->v6 && first - block < size) {
            return fail(scan, "is no range of hosts' addresses but of ",
                        blocks[i].what);
        } else if (mat_addr_is_v4(&prefix) != scan->v6 && first <= block
                   && last >= block) {
            return fail(scan, "contains addresses that no host has: ",
                        blocks[i].prefix);
        }
    }
    return true;
}

/* Items of one sort must be apart: an address in two of them is a mistake. */
static bool
check_overlap(struct scan *scan, const struct mat_moa_items *items)
{
    const struct mat_moa_item *b = &scan->item;
    bool advertised = b->kind == MAT_MOA_ITEM_ADVERTISED;

    if (b->kind == MAT_MOA_ITEM_EXCLUDE) {
        return true;
    }
    for (size_t i = 0; i < items->n; i++) {
        const struct mat_moa_item *a = &items->items[i];
        char text[MAT_MOA_TEXT_MAX], what[80];

        if (a->kind != MAT_MOA_ITEM_EXCLUDE
            && (a->kind == MAT_MOA_ITEM_ADVERTISED) == advertised
            && !(advertised && strcmp(a->uplink, b->uplink))
            && mat_number_from_addr(&a->first)
               <= mat_number_from_addr(&b->last)
            && mat_number_from_addr(&b->first)
               <= mat_number_from_addr(&a->last)) {
            snprintf(what, sizeof what, "overlaps item %u, ",
                     (unsigned int) i + 1);
            return fail(scan, what, mat_moa_item_format(a, text));
        }
    }
    return true;
}
