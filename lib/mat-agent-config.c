/* SPDX-License-Identifier: Apache-2.0 */

/* Each key has a row in a table: its name, how to parse it, how its value
 * should look, and the bytes of the configuration that it sets, so that a
 * wrong value can be answered with a copy of those bytes from before. */

#include "mat-agent-config.h"

#include <stdarg.h>
#include <stdio.h>

#include "mat-parse.h"

enum { WORD_MAX = 256 };

/* A wrong value may add to its form what exactly is wrong, in 'detail'. */
struct parse {
    struct mat_agent_config *config;
    char detail[MAT_MOA_TEXT_MAX];
};

struct key {
    const char *name;
    bool (*parse)(const char *value, struct parse *);
    const char *form;
    size_t offset, size;        /* In the configuration. */
};

static const struct key *find_key(const char *name);
static void set_key(const struct mat_agent_pair *,
                    struct mat_agent_config *,
                    const struct mat_agent_config *last,
                    struct mat_agent_problems *);
static void set_zone(const struct mat_agent_pair *, const char *number,
                     struct mat_agent_config *,
                     const struct mat_agent_config *last,
                     struct mat_agent_problems *);
static void check_whole(const struct mat_agent_config *,
                        struct mat_agent_problems *);

/* Words. */

/* Cuts the next word off '*s': what is before one of 'separators'.  False at
 * the end; an overlong word comes out as "", which no parser takes. */
static bool
next_word(const char **s, const char *separators, char word[static WORD_MAX])
{
    size_t n;

    *s += strspn(*s, separators);
    if (!**s) {
        return false;
    }
    n = strcspn(*s, separators);
    word[0] = '\0';
    if (n < WORD_MAX) {
        memcpy(word, *s, n);
        word[n] = '\0';
    }
    *s += n;
    return true;
}

static bool
is_name(const char *s, size_t size)
{
    size_t n = strlen(s);

    if (!n || n >= size) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool
parse_bool(const char *s, bool *value)
{
    *value = !strcmp(s, "true");
    return *value || !strcmp(s, "false");
}

static bool
parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *value)
{
    uint64_t n;

    if (!mat_parse_number(s, max, &n) || n < min) {
        return false;
    }
    *value = (uint32_t) n;
    return true;
}

bool
mat_agent_endpoint_parse(const char *s, struct mat_endpoint *endpoint)
{
    const char *colon = strrchr(s, ':'), *bracket = strchr(s, ']');
    char host[MAT_ADDR_STRLEN + 2];
    uint32_t port = MAT_AGENT_UDP_PORT;
    size_t n = strlen(s);

    if (s[0] == '[' && (!bracket || (bracket[1] && bracket[1] != ':'))) {
        return false;
    } else if (s[0] == '[') {
        s++;
        n = (size_t) (bracket - s);
        colon = bracket[1] ? bracket + 1 : NULL;
    } else if (colon && strchr(s, ':') != colon) {
        colon = NULL;                   /* IPv6 without brackets. */
    } else if (colon) {
        n = (size_t) (colon - s);
    }
    if (n >= sizeof host
        || (colon && !parse_u32(colon + 1, 1, UINT16_MAX, &port))) {
        return false;
    }
    memcpy(host, s, n);
    host[n] = '\0';
    if (!mat_addr_parse(host, &endpoint->addr)) {
        return false;
    }
    endpoint->port = (uint16_t) port;
    return true;
}

/* Values of the Open_vSwitch row. */

static bool
parse_bridge(const char *s, struct parse *p)
{
    if (!is_name(s, sizeof p->config->bridge)) {
        return false;
    }
    memcpy(p->config->bridge, s, strlen(s) + 1);
    return true;
}

static bool
parse_uplink(const char *s, struct parse *p)
{
    struct mat_agent_uplinks *uplinks = &p->config->uplinks;
    char word[WORD_MAX];

    uplinks->n = 0;
    while (next_word(&s, ", ", word)) {
        if (uplinks->n >= MAT_AGENT_UPLINKS_MAX
            || !is_name(word, MAT_PORT_NAME_SIZE)) {
            return false;
        }
        for (size_t i = 0; i < uplinks->n; i++) {
            if (!strcmp(uplinks->name[i], word)) {
                return false;
            }
        }
        memcpy(uplinks->name[uplinks->n++], word, strlen(word) + 1);
    }
    return uplinks->n > 0;
}

static bool
parse_pool4(const char *s, struct parse *p)
{
    return mat_moa_parse(s, false, &p->config->pools[0], p->detail);
}

static bool
parse_pool6(const char *s, struct parse *p)
{
    return mat_moa_parse(s, true, &p->config->pools[1], p->detail);
}

static bool
parse_seeds(const char *s, struct parse *p)
{
    struct mat_agent_seeds *seeds = &p->config->seeds;
    char word[WORD_MAX];

    seeds->n = 0;
    while (next_word(&s, ", ", word)) {
        struct mat_endpoint seed;

        if (seeds->n >= MAT_AGENT_SEEDS_MAX
            || !mat_agent_endpoint_parse(word, &seed)
            || !mat_addr_is_host(&seed.addr)) {
            return false;
        }
        seeds->item[seeds->n++] = seed;
    }
    return true;
}

static bool
parse_bind(const char *s, struct parse *p)
{
    return mat_agent_endpoint_parse(s, &p->config->bind);
}

/* Whoever can reach it can read it: so only from this host. */
static bool
parse_metrics(const char *s, struct parse *p)
{
    static const uint8_t any4[4] = { 127 };
    static const struct mat_addr loopback6 = { { [15] = 1 } };
    struct mat_addr loopback4 = mat_addr_from_v4(any4);
    struct mat_endpoint *metrics = &p->config->metrics;

    if (!strcmp(s, "off")) {
        memset(metrics, 0, sizeof *metrics);
        return true;
    }
    return (strchr(s, ':') && mat_agent_endpoint_parse(s, metrics)
            && (mat_addr_in_prefix(&metrics->addr, &loopback4, 8)
                || mat_addr_equal(&metrics->addr, &loopback6)));
}

static bool
parse_mode(const char *s, struct parse *p)
{
    static const char *const names[] = {
        [MAT_AGENT_ACTIVE] = "active",
        [MAT_AGENT_SHADOW] = "shadow",
        [MAT_AGENT_OFF] = "off",
    };

    for (unsigned int i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strcmp(s, names[i])) {
            p->config->mode = (enum mat_agent_mode) i;
            return true;
        }
    }
    return false;
}

static bool
parse_ports(const char *s, struct parse *p)
{
    p->config->all_ports = !strcmp(s, "all");
    return p->config->all_ports || !strcmp(s, "opt-in");
}

static bool
parse_learn(const char *s, struct parse *p)
{
    p->config->learn = !strcmp(s, "arp");
    return p->config->learn || !strcmp(s, "configured");
}

static bool
parse_zone(const char *s, struct parse *p)
{
    return parse_u32(s, 0, MAT_ZONE_MAX, &p->config->zone);
}

static bool
parse_outside(const char *s, struct parse *p)
{
    return parse_bool(s, &p->config->outside);
}

static bool
parse_home(const char *s, struct parse *p)
{
    return parse_bool(s, &p->config->home);
}

static bool
parse_hoas_max(const char *s, struct parse *p)
{
    return parse_u32(s, 1, MAT_HOA_PER_VMN_MAX, &p->config->hoas_max);
}

static bool
parse_macs_max(const char *s, struct parse *p)
{
    return parse_u32(s, 1, 16, &p->config->macs_max);
}

static bool
parse_age(const char *s, struct parse *p)
{
    return parse_u32(s, 0, 31536000, &p->config->age_s);
}

static bool
parse_quarantine(const char *s, struct parse *p)
{
    return parse_u32(s, 1, 86400, &p->config->quarantine_s);
}

static bool
parse_stock(const char *s, struct parse *p)
{
    return parse_u32(s, 0, MAT_MOA_STOCK_MAX, &p->config->stock);
}

static bool
parse_parked(const char *s, struct parse *p)
{
    return parse_u32(s, 0, 315360000, &p->config->parked_s);
}

static bool
parse_failback(const char *s, struct parse *p)
{
    return parse_u32(s, 0, 86400, &p->config->failback_s);
}

/* KEY("name", member, parse function, "form") */
#define KEYS                                                                  \
    KEY("mat-bridge", bridge, parse_bridge, "the name of a bridge")           \
    KEY("mat-uplink", uplinks, parse_uplink,                                  \
        "up to 4 names of ports, separated by commas")                        \
    KEY("mat-pool4", pools[0], parse_pool4,                                   \
        "items like 192.0.2.64/26, 192.0.2.10-192.0.2.20 or "                 \
        "routed:198.51.100.0/24, separated by commas")                        \
    KEY("mat-pool6", pools[1], parse_pool6,                                   \
        "items like 2001:db8:0:0:1::/80, routed:2001:db8:1::/64 or "          \
        "advertised:::1:0:0:0/80, separated by commas")                       \
    KEY("mat-seeds", seeds, parse_seeds,                                      \
        "up to 16 of ADDRESS, ADDRESS:PORT or [IPV6]:PORT, separated by "     \
        "commas")                                                             \
    KEY("mat-bind", bind, parse_bind, "ADDRESS, ADDRESS:PORT or [IPV6]:PORT") \
    KEY("mat-mode", mode, parse_mode, "active, shadow or off")                \
    KEY("mat-ports", all_ports, parse_ports, "opt-in or all")                 \
    KEY("mat-zone", zone, parse_zone, "a number from 0 to 16777215")          \
    KEY("mat-outside", outside, parse_outside, "true or false")               \
    KEY("mat-learn", learn, parse_learn, "arp or configured")                 \
    KEY("mat-hoas-max", hoas_max, parse_hoas_max, "a number from 1 to 64")    \
    KEY("mat-macs-max", macs_max, parse_macs_max, "a number from 1 to 16")    \
    KEY("mat-age", age_s, parse_age, "seconds, or 0 for never")               \
    KEY("mat-quarantine", quarantine_s, parse_quarantine,                     \
        "seconds, from 1 to 86400")                                           \
    KEY("mat-stock", stock, parse_stock, "a number from 0 to 256")            \
    KEY("mat-failback", failback_s, parse_failback,                           \
        "seconds, up to 86400, or 0 for never")                               \
    KEY("mat-home", home, parse_home, "true or false")                        \
    KEY("mat-metrics", metrics, parse_metrics,                                \
        "127.0.0.1:PORT, [::1]:PORT or off")                                  \
    KEY("mat-parked", parked_s, parse_parked, "seconds")

static const struct key keys[] = {
#define KEY(NAME, MEMBER, PARSE, FORM)                                        \
    { NAME, PARSE, FORM, offsetof(struct mat_agent_config, MEMBER),           \
      sizeof(((struct mat_agent_config *) 0)->MEMBER) },
    KEYS
#undef KEY
};

enum { N_KEYS = sizeof keys / sizeof keys[0] };

#define ZONE_FORM "words like subnet=10.0.0.0/24,gateway=10.0.0.1, up to 8 " \
                  "of them, and outside=true or outside=false"

void
mat_agent_config_default(struct mat_agent_config *c)
{
    memset(c, 0, sizeof *c);
    c->bind.port = MAT_AGENT_UDP_PORT;
    c->mode = MAT_AGENT_ACTIVE;
    c->learn = true;
    c->home = true;
    c->hoas_max = 16;
    c->macs_max = 4;
    c->quarantine_s = 300;
    c->stock = 8;
    c->parked_s = 604800;
}

void
mat_agent_config_build(struct mat_agent_config *config,
                       const struct mat_agent_config *last,
                       const struct mat_agent_pair *pairs, size_t n,
                       struct mat_agent_problems *problems)
{
    mat_agent_config_default(config);
    for (size_t i = 0; i < n; i++) {
        if (!strncmp(pairs[i].key, "mat-zone-", 9)) {
            set_zone(&pairs[i], pairs[i].key + 9, config, last, problems);
        } else if (!strncmp(pairs[i].key, "mat-", 4)) {
            set_key(&pairs[i], config, last, problems);
        }
    }
    check_whole(config, problems);
}

const char *
mat_agent_config_key(size_t i, const char **form)
{
    if (i < N_KEYS) {
        *form = keys[i].form;
        return keys[i].name;
    } else if (i == N_KEYS) {
        *form = ZONE_FORM;
        return "mat-zone-N";
    }
    return NULL;
}

/* Problems. */

__attribute__((format(printf, 2, 3)))
static void
complain(struct mat_agent_problems *problems, const char *format, ...)
{
    va_list args;

    if (problems->n < MAT_AGENT_PROBLEMS_MAX) {
        va_start(args, format);
        vsnprintf(problems->text[problems->n++], MAT_AGENT_PROBLEM_SIZE,
                  format, args);
        va_end(args);
    }
}

/* 'where' is "" or a port's name. */
static void
complain_value(struct mat_agent_problems *problems, const char *where,
               const struct mat_agent_pair *pair, const char *form,
               const char *detail)
{
    complain(problems, "%s%s%s=\"%.60s\": %s%.110s; should be %.110s; the "
             "value before stays in force", where, where[0] ? ": " : "",
             pair->key, pair->value, detail[0] ? "" : "wrong value", detail,
             form);
}

/* Setting. */

static const struct key *
find_key(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        if (!strcmp(keys[i].name, name)) {
            return &keys[i];
        }
    }
    return NULL;
}

static void
set_key(const struct mat_agent_pair *pair, struct mat_agent_config *config,
        const struct mat_agent_config *last,
        struct mat_agent_problems *problems)
{
    const struct key *key = find_key(pair->key);
    struct parse parse = { .config = config };

    if (!key) {
        complain(problems, "%.80s: there is no such key; see matd(8)",
                 pair->key);
    } else if (!key->parse(pair->value, &parse)) {
        memcpy((char *) config + key->offset,
               (const char *) last + key->offset, key->size);
        complain_value(problems, "", pair, key->form, parse.detail);
    }
}

/* "PREFIX[,gateway=ADDR]" */
static bool
parse_subnet(const char *s, struct mat_subnet *subnet)
{
    char word[WORD_MAX];
    unsigned int plen;

    memset(subnet, 0, sizeof *subnet);
    if (!next_word(&s, ",", word)
        || !mat_prefix_parse(word, &subnet->prefix, &plen) || !plen) {
        return false;
    }
    subnet->plen = (uint8_t) plen;
    subnet->prefix = mat_addr_mask(&subnet->prefix, plen);
    if (!next_word(&s, ",", word)) {
        return true;
    }
    return (!strncmp(word, "gateway=", 8)
            && mat_addr_parse(word + 8, &subnet->gateway)
            && mat_addr_is_v4(&subnet->gateway)
               == mat_addr_is_v4(&subnet->prefix)
            && mat_addr_in_prefix(&subnet->gateway, &subnet->prefix, plen)
            && !next_word(&s, ",", word));
}

static bool
parse_zone_words(const char *s, struct mat_agent_zone *zone)
{
    struct mat_zone *z = &zone->zone;
    char word[WORD_MAX];

    while (next_word(&s, " ", word)) {
        if (!strncmp(word, "outside=", 8) && !zone->has_outside) {
            zone->has_outside = true;
            if (!parse_bool(word + 8, &z->outside)) {
                return false;
            }
        } else if (strncmp(word, "subnet=", 7)
                   || z->n_subnets >= MAT_ZONE_SUBNETS_MAX
                   || !parse_subnet(word + 7, &z->subnets[z->n_subnets])) {
            return false;
        } else {
            z->n_subnets++;
        }
    }
    return true;
}

static const struct mat_agent_zone *
find_zone(const struct mat_agent_config *config, uint32_t number)
{
    for (size_t i = 0; i < config->n_zones; i++) {
        if (config->zones[i].zone.zone == number) {
            return &config->zones[i];
        }
    }
    return NULL;
}

static void
insert_zone(struct mat_agent_config *config, const struct mat_agent_zone *zone)
{
    size_t i = config->n_zones++;

    for (; i > 0 && config->zones[i - 1].zone.zone > zone->zone.zone; i--) {
        config->zones[i] = config->zones[i - 1];
    }
    config->zones[i] = *zone;
}

static void
set_zone(const struct mat_agent_pair *pair, const char *number,
         struct mat_agent_config *config, const struct mat_agent_config *last,
         struct mat_agent_problems *problems)
{
    const struct mat_agent_zone *before;
    struct mat_agent_zone zone;

    memset(&zone, 0, sizeof zone);
    if (!parse_u32(number, 0, MAT_ZONE_MAX, &zone.zone.zone)
        || find_zone(config, zone.zone.zone)) {
        complain(problems, "%.80s: the zone must be a number from 0 to "
                 "16777215, and only once", pair->key);
    } else if (config->n_zones >= MAT_AGENT_ZONES_MAX) {
        complain(problems, "%.80s: not more than %d zones can have keys",
                 pair->key, MAT_AGENT_ZONES_MAX);
    } else if (parse_zone_words(pair->value, &zone)) {
        insert_zone(config, &zone);
    } else {
        complain_value(problems, "", pair, ZONE_FORM, "");
        before = find_zone(last, zone.zone.zone);
        if (before) {
            insert_zone(config, before);
        }
    }
}

static void
check_whole(const struct mat_agent_config *config,
            struct mat_agent_problems *problems)
{
    if (config->bridge[0] && !config->uplinks.n) {
        complain(problems, "mat-bridge is set but not mat-uplink: nothing can "
                 "leave this host");
    } else if (config->uplinks.n && !config->bridge[0]) {
        complain(problems, "mat-uplink is set but not mat-bridge: nothing is "
                 "done");
    } else if (config->bridge[0]
               && !config->pools[0].n && !config->pools[1].n) {
        complain(problems, "neither mat-pool4 nor mat-pool6 is set: VMNs of "
                 "this host can get no mobile addresses");
    }
}

void
mat_agent_config_zone(const struct mat_agent_config *config, uint32_t number,
                      struct mat_zone *zone)
{
    const struct mat_agent_zone *found = find_zone(config, number);

    memset(zone, 0, sizeof *zone);
    zone->zone = number;
    if (found) {
        *zone = found->zone;
    }
    if (!found || !found->has_outside) {
        zone->outside = config->outside;
    }
}

/* Ports. */

static bool
parse_hoas(const char *s, struct mat_agent_port_config *port)
{
    struct mat_addr hoas[MAT_HOA_PER_VMN_MAX];
    char word[WORD_MAX];
    size_t n = 0;

    while (next_word(&s, ", ", word)) {
        if (n >= MAT_HOA_PER_VMN_MAX || !mat_addr_parse(word, &hoas[n])
            || !mat_addr_is_host(&hoas[n])) {
            return false;
        }
        n++;
    }
    memcpy(port->hoas, hoas, n * sizeof hoas[0]);
    port->n_hoas = n;
    return true;
}

static bool
copy_name(const char *s, char *dst, size_t size)
{
    if (!is_name(s, size)) {
        return false;
    }
    memcpy(dst, s, strlen(s) + 1);
    return true;
}

static bool
parse_attached_mac(const char *s, struct mat_agent_port_config *port)
{
    struct mat_mac mac;

    if (!mat_mac_parse(s, &mac) || mat_mac_is_zero(&mac)
        || mat_mac_is_multicast(&mac)) {
        return false;
    }
    port->mac = mac;
    port->has_mac = true;
    return true;
}

static bool
parse_port_zone(const char *s, struct mat_agent_port_config *port)
{
    return parse_u32(s, 0, MAT_ZONE_MAX, &port->zone);
}

static bool
parse_iface_id(const char *s, struct mat_agent_port_config *port)
{
    return copy_name(s, port->iface_id, sizeof port->iface_id);
}

static bool
parse_qmp(const char *s, struct mat_agent_port_config *port)
{
    return s[0] == '/' && copy_name(s, port->qmp, sizeof port->qmp);
}

static bool
parse_enabled(const char *s, struct mat_agent_port_config *port)
{
    return parse_bool(s, &port->enabled);
}

static const struct port_key {
    const char *name;
    bool (*parse)(const char *value, struct mat_agent_port_config *);
    const char *form;
    size_t offset, size;
    bool opts_in;               /* To set it is to opt in. */
} port_keys[] = {
#define PORT_KEY(NAME, FIRST, LAST, PARSE, FORM, OPTS_IN)                     \
    { NAME, PARSE, FORM, offsetof(struct mat_agent_port_config, FIRST),       \
      offsetof(struct mat_agent_port_config, LAST)                            \
      + sizeof(((struct mat_agent_port_config *) 0)->LAST)                    \
      - offsetof(struct mat_agent_port_config, FIRST), OPTS_IN },
    PORT_KEY("attached-mac", has_mac, mac, parse_attached_mac,
             "a MAC like 52:54:00:12:34:56", false)
    PORT_KEY("iface-id", iface_id, iface_id, parse_iface_id,
             "at most 63 characters", false)
    PORT_KEY("mat-hoa", n_hoas, hoas, parse_hoas,
             "up to 64 addresses, separated by commas", true)
    PORT_KEY("mat-zone", zone, zone, parse_port_zone,
             "a number from 0 to 16777215", true)
    PORT_KEY("mat-qmp", qmp, qmp, parse_qmp,
             "the absolute path of a socket", false)
    /* Last, since it decides. */
    PORT_KEY("mat", enabled, enabled, parse_enabled, "true or false", false)
#undef PORT_KEY
};

static const struct mat_agent_pair *
find_pair(const struct mat_agent_pair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(pairs[i].key, key)) {
            return &pairs[i];
        }
    }
    return NULL;
}

void
mat_agent_port_config_build(struct mat_agent_port_config *port,
                            const struct mat_agent_port_config *last,
                            const struct mat_agent_config *config,
                            const char *name,
                            const struct mat_agent_pair *pairs, size_t n,
                            struct mat_agent_problems *problems)
{
    memset(port, 0, sizeof *port);
    port->enabled = config->all_ports;
    port->zone = config->zone;
    for (size_t i = 0; i < sizeof port_keys / sizeof port_keys[0]; i++) {
        const struct port_key *key = &port_keys[i];
        const struct mat_agent_pair *pair = find_pair(pairs, n, key->name);

        if (!pair) {
            continue;
        }
        port->enabled |= key->opts_in;
        if (!key->parse(pair->value, port)) {
            if (last) {
                memcpy((char *) port + key->offset,
                       (const char *) last + key->offset, key->size);
            }
            complain_value(problems, name, pair, key->form, "");
        }
    }
}
