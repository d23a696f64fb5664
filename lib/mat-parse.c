/* SPDX-License-Identifier: Apache-2.0 */

/* Each command has a table of the words it takes.  A word is "key=value" or,
 * for a flag, just its key; its parser stores the value in 'struct args',
 * from which the operation is made once all words are in. */

#include "mat-parse.h"

#include <stdio.h>

enum verb {
    VERB_NONE,
    VERB_ON,
    VERB_OFF,
    VERB_RELEASE,
    VERB_FLUSH
};

struct args {
    struct mat_entry entry;
    struct mat_port port;
    struct mat_nexthop nexthop;
    struct mat_zone zone;
    struct mat_pool pool;
    enum verb verb;
    bool has_nexthop;
};

struct key {
    const char *name;
    bool (*parse)(const char *value, struct args *);
    const char *form;               /* What the value should be; null for a
                                     * flag. */
    bool required;
    bool repeated;
};

struct command {
    const char *name;
    const char *sub;                /* "add", "del", or null. */
    enum mat_update_op_type type;
    bool (*parse_id)(const char *, struct args *);  /* The word after 'sub'. */
    const char *id_form;
    const struct key *keys;
    void (*finish)(const struct args *, struct mat_op *);
    const char *usage;
};

static bool parse_id(const struct command *, int n, const char *const words[],
                     struct args *, char *error);
static bool parse_keys(const struct command *, int n,
                       const char *const words[], struct args *, char *error);
static bool check_finish(const struct command *, const struct args *,
                         char *error);
static const struct command *find_command(int n, const char *const words[],
                                          char *error);
static const struct key *find_key(const struct key *, const char *word,
                                  const char **value);

/* Values. */

bool
mat_parse_number(const char *s, uint64_t max, uint64_t *value)
{
    bool hex = s[0] == '0' && s[1] == 'x';
    uint64_t base = hex ? 16 : 10, n = 0;

    s += hex ? 2 : 0;
    if (!*s) {
        return false;
    }
    for (; *s; s++) {
        uint64_t digit = (*s >= '0' && *s <= '9' ? (uint64_t) (*s - '0')
                          : *s >= 'a' && *s <= 'f' ? (uint64_t) (*s - 'a') + 10
                          : 16);

        if (digit >= base || digit > max || n > (max - digit) / base) {
            return false;
        }
        n = n * base + digit;
    }
    *value = n;
    return true;
}

static bool
parse_zone_number(const char *s, uint32_t *zone)
{
    uint64_t n;

    if (!mat_parse_number(s, MAT_ZONE_MAX, &n)) {
        return false;
    }
    *zone = (uint32_t) n;
    return true;
}

static bool
parse_u16(const char *s, uint16_t *value)
{
    uint64_t n;

    if (!mat_parse_number(s, UINT16_MAX, &n)) {
        return false;
    }
    *value = (uint16_t) n;
    return true;
}

static bool
parse_name(const char *s, char name[static MAT_PORT_NAME_SIZE])
{
    size_t n = strlen(s);

    if (!n || n >= MAT_PORT_NAME_SIZE) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~') {
            return false;
        }
    }
    memcpy(name, s, n + 1);
    return true;
}

static bool
parse_prefix(const char *s, struct mat_addr *addr, uint8_t *plen)
{
    unsigned int n;

    if (!mat_prefix_parse(s, addr, &n)) {
        return false;
    }
    *plen = (uint8_t) n;
    return true;
}

static bool
parse_entry_zone(const char *s, struct args *a)
{
    return parse_zone_number(s, &a->entry.zone);
}

static bool
parse_hoa(const char *s, struct args *a)
{
    return parse_prefix(s, &a->entry.hoa, &a->entry.plen);
}

static bool
parse_moa(const char *s, struct args *a)
{
    return mat_addr_parse(s, &a->entry.moa);
}

static bool
parse_entry_mac(const char *s, struct args *a)
{
    return mat_mac_parse(s, &a->entry.mac);
}

static bool
parse_entry_port(const char *s, struct args *a)
{
    return parse_name(s, a->entry.port);
}

static bool
parse_entry_nexthop(const char *s, struct args *a)
{
    a->has_nexthop = true;
    return parse_u16(s, &a->entry.nexthop);
}

static bool
parse_former(const char *s, struct args *a)
{
    return mat_addr_parse(s, &a->entry.former);
}

static bool
parse_state(const char *s, struct args *a)
{
    static const char *const names[] = {
        "local", "remote", "prepared", "departed"
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(s, names[i])) {
            a->entry.state = (enum mat_state) (MAT_STATE_LOCAL + i);
            return true;
        }
    }
    return false;
}

static bool
set_entry_hold(const char *s, struct args *a)
{
    a->entry.hold = true;
    return !*s;
}

/* Only one of them. */
static bool
set_verb(struct args *a, enum verb verb)
{
    bool first = a->verb == VERB_NONE;

    a->verb = verb;
    return first;
}

static bool
set_on(const char *s, struct args *a)
{
    return !*s && set_verb(a, VERB_ON);
}

static bool
set_off(const char *s, struct args *a)
{
    return !*s && set_verb(a, VERB_OFF);
}

static bool
set_release(const char *s, struct args *a)
{
    return !*s && set_verb(a, VERB_RELEASE);
}

static bool
set_flush(const char *s, struct args *a)
{
    return !*s && set_verb(a, VERB_FLUSH);
}

static bool
parse_port_id(const char *s, struct args *a)
{
    return parse_name(s, a->port.name);
}

static bool
parse_role(const char *s, struct args *a)
{
    a->port.role = !strcmp(s, "vm") ? MAT_PORT_VM : MAT_PORT_UPLINK;
    return !strcmp(s, "vm") || !strcmp(s, "uplink");
}

static bool
parse_port_mac(const char *s, struct args *a)
{
    return mat_mac_parse(s, &a->port.mac);
}

static bool
parse_port_mtu(const char *s, struct args *a)
{
    return parse_u16(s, &a->port.mtu);
}

static bool
parse_nexthop_id(const char *s, struct args *a)
{
    return parse_u16(s, &a->nexthop.id);
}

static bool
parse_src(const char *s, struct args *a)
{
    return mat_mac_parse(s, &a->nexthop.src);
}

static bool
parse_dst(const char *s, struct args *a)
{
    return mat_mac_parse(s, &a->nexthop.dst);
}

static bool
parse_nexthop_mtu(const char *s, struct args *a)
{
    return parse_u16(s, &a->nexthop.mtu);
}

static bool
set_behind(const char *s, struct args *a)
{
    a->nexthop.is_behind = true;
    return !*s;
}

static bool
parse_zone_id(const char *s, struct args *a)
{
    return parse_zone_number(s, &a->zone.zone);
}

static bool
parse_outside(const char *s, struct args *a)
{
    a->zone.outside = true;
    return parse_u16(s, &a->zone.outside_nexthop);
}

/* PREFIX[,gw=A] */
static bool
parse_subnet(const char *s, struct args *a)
{
    struct mat_subnet *subnet = &a->zone.subnets[a->zone.n_subnets];
    const char *comma = strchr(s, ',');
    size_t n = comma ? (size_t) (comma - s) : strlen(s);
    char prefix[MAT_PREFIX_STRLEN];

    if (a->zone.n_subnets >= MAT_ZONE_SUBNETS_MAX || n >= sizeof prefix) {
        return false;
    }
    memcpy(prefix, s, n);
    prefix[n] = '\0';
    if (!parse_prefix(prefix, &subnet->prefix, &subnet->plen)
        || (comma && (strncmp(comma, ",gw=", 4)
                      || !mat_addr_parse(comma + 4, &subnet->gateway)
                      || !mat_addr_in_prefix(&subnet->gateway,
                                             &subnet->prefix,
                                             subnet->plen)))) {
        return false;
    }
    a->zone.n_subnets++;
    return true;
}

static bool
parse_pool_id(const char *s, struct args *a)
{
    return parse_prefix(s, &a->pool.prefix, &a->pool.plen);
}

static bool
set_own(const char *s, struct args *a)
{
    a->pool.own = true;
    return !*s;
}

/* Commands. */

#define ZONE_FORM "a number up to 16777215"
#define ADDR_FORM "an IPv4 or IPv6 address"
#define MAC_FORM "a MAC like 02:00:00:00:00:01"
#define NAME_FORM "a name of at most 63 characters"
#define NUMBER_FORM "a number up to 65535"
#define PREFIX_FORM "a prefix like 172.16.1.0/24"
#define SUBNET_FORM "PREFIX, or PREFIX,gw=ADDRESS with an address of it, " \
                    "at most 8 of them"

static const struct key add_keys[] = {
    { "zone", parse_entry_zone, ZONE_FORM, false, false },
    { "hoa", parse_hoa, ADDR_FORM, true, false },
    { "moa", parse_moa, ADDR_FORM, true, false },
    { "mac", parse_entry_mac, MAC_FORM, true, false },
    { "port", parse_entry_port, NAME_FORM, false, false },
    { "nexthop", parse_entry_nexthop, NUMBER_FORM, false, false },
    { "state", parse_state, "local, remote, prepared or departed", false,
      false },
    { "former", parse_former, ADDR_FORM, false, false },
    { "hold", set_entry_hold, NULL, false, false },
    { 0 },
};

static const struct key del_keys[] = {
    { "zone", parse_entry_zone, ZONE_FORM, false, false },
    { "hoa", parse_hoa, ADDR_FORM, true, false },
    { "moa", parse_moa, ADDR_FORM, false, false },
    { 0 },
};

static const struct key hold_keys[] = {
    { "zone", parse_entry_zone, ZONE_FORM, false, false },
    { "hoa", parse_hoa, ADDR_FORM, true, false },
    { "moa", parse_moa, ADDR_FORM, false, false },
    { "on", set_on, NULL, false, false },
    { "off", set_off, NULL, false, false },
    { "release", set_release, NULL, false, false },
    { "flush", set_flush, NULL, false, false },
    { 0 },
};

static const struct key port_keys[] = {
    { "role", parse_role, "vm or uplink", true, false },
    { "mac", parse_port_mac, MAC_FORM, false, false },
    { "mtu", parse_port_mtu, NUMBER_FORM, false, false },
    { 0 },
};

static const struct key nexthop_keys[] = {
    { "src", parse_src, MAC_FORM, true, false },
    { "dst", parse_dst, MAC_FORM, true, false },
    { "mtu", parse_nexthop_mtu, NUMBER_FORM, false, false },
    { "behind", set_behind, NULL, false, false },
    { 0 },
};

static const struct key zone_keys[] = {
    { "outside", parse_outside, "the number of a next hop", false, false },
    { "subnet", parse_subnet, SUBNET_FORM, false, true },
    { 0 },
};

static const struct key pool_keys[] = {
    { "own", set_own, NULL, false, false },
    { 0 },
};

static const struct key no_keys[] = { { 0 } };

static void
finish_entry(const struct args *a, struct mat_op *op)
{
    op->entry = a->entry;
    if (!a->entry.state) {
        op->entry.state = a->has_nexthop ? MAT_STATE_REMOTE : MAT_STATE_LOCAL;
    }
}

static void
finish_hold(const struct args *a, struct mat_op *op)
{
    switch (a->verb) {
    case VERB_RELEASE:
    case VERB_FLUSH:
        op->type = (a->verb == VERB_RELEASE ? MAT_OP_RELEASE
                    : MAT_OP_DISCARD);
        op->held.zone = a->entry.zone;
        op->held.addr = a->entry.hoa;
        break;
    case VERB_ON:
    case VERB_OFF:
    case VERB_NONE:
        op->entry = a->entry;
        op->entry.plen = 0;
        op->entry.hold = a->verb == VERB_ON;
        break;
    }
}

static void
finish_del(const struct args *a, struct mat_op *op)
{
    op->entry = a->entry;
}

static void
finish_port(const struct args *a, struct mat_op *op)
{
    op->port = a->port;
    op->port.odp_port = (op->type == MAT_OP_PORT_PUT ? MAT_TABLE_NO_PORT : 0);
}

static void
finish_nexthop(const struct args *a, struct mat_op *op)
{
    op->nexthop = a->nexthop;
}

static void
finish_zone(const struct args *a, struct mat_op *op)
{
    op->zone = a->zone;
}

static void
finish_pool(const struct args *a, struct mat_op *op)
{
    op->pool = a->pool;
}

#define ADD_USAGE "[zone=N] hoa=A moa=A mac=M port=NAME|nexthop=ID " \
    "[state=local|remote|prepared|departed] [former=A] [hold]"
#define DEL_USAGE "[zone=N] hoa=A [moa=A]"
#define HOLD_USAGE "[zone=N] hoa=A on|off|release|flush [moa=A]"
#define PORTS_USAGE "add NAME role=vm|uplink [mac=M] [mtu=N] | del NAME"
#define NEXTHOPS_USAGE "add ID src=M dst=M [mtu=N] [behind] | del ID"
#define ZONES_USAGE \
    "add N [outside=NEXTHOP] [subnet=PREFIX[,gw=A]]... | del N"
#define POOLS_USAGE "add PREFIX [own] | del PREFIX"

static const struct command commands[] = {
    { "add", NULL, MAT_OP_ENTRY_PUT, NULL, NULL, add_keys, finish_entry,
      ADD_USAGE },
    { "del", NULL, MAT_OP_ENTRY_REMOVE, NULL, NULL, del_keys, finish_del,
      DEL_USAGE },
    { "hold", NULL, MAT_OP_HOLD, NULL, NULL, hold_keys, finish_hold,
      HOLD_USAGE },
    { "ports", "add", MAT_OP_PORT_PUT, parse_port_id, NAME_FORM, port_keys,
      finish_port, PORTS_USAGE },
    { "ports", "del", MAT_OP_PORT_REMOVE, parse_port_id, NAME_FORM, no_keys,
      finish_port, PORTS_USAGE },
    { "nexthops", "add", MAT_OP_NEXTHOP_PUT, parse_nexthop_id, NUMBER_FORM,
      nexthop_keys, finish_nexthop, NEXTHOPS_USAGE },
    { "nexthops", "del", MAT_OP_NEXTHOP_REMOVE, parse_nexthop_id, NUMBER_FORM,
      no_keys, finish_nexthop, NEXTHOPS_USAGE },
    { "zones", "add", MAT_OP_ZONE_PUT, parse_zone_id, ZONE_FORM, zone_keys,
      finish_zone, ZONES_USAGE },
    { "zones", "del", MAT_OP_ZONE_REMOVE, parse_zone_id, ZONE_FORM, no_keys,
      finish_zone, ZONES_USAGE },
    { "pools", "add", MAT_OP_POOL_PUT, parse_pool_id, PREFIX_FORM, pool_keys,
      finish_pool, POOLS_USAGE },
    { "pools", "del", MAT_OP_POOL_REMOVE, parse_pool_id, PREFIX_FORM, no_keys,
      finish_pool, POOLS_USAGE },
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

const char *
mat_parse_usage(const char *word)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (!strcmp(commands[i].name, word)) {
            return commands[i].usage;
        }
    }
    return NULL;
}

bool
mat_parse(int n_words, const char *const words[], struct mat_op *op,
          char error[static MAT_PARSE_ERROR_MAX])
{
    const struct command *c = find_command(n_words, words, error);
    struct args args;
    int n_used;

    if (!c) {
        return false;
    }
    memset(&args, 0, sizeof args);
    if (!parse_id(c, n_words, words, &args, error)) {
        return false;
    }
    n_used = c->sub ? 3 : 1;
    if (!parse_keys(c, n_words - n_used, words + n_used, &args, error)
        || !check_finish(c, &args, error)) {
        return false;
    }
    memset(op, 0, sizeof *op);
    op->type = c->type;
    c->finish(&args, op);
    return true;
}

int
mat_parse_split(char *line, const char *words[static MAT_PARSE_WORDS_MAX])
{
    static const char spaces[] = " \t\r\n";
    int n = 0;

    for (;;) {
        line += strspn(line, spaces);
        if (!*line || *line == '#') {
            return n;
        }
        if (n >= MAT_PARSE_WORDS_MAX) {
            return -1;
        }
        words[n++] = line;
        line += strcspn(line, spaces);
        if (*line) {
            *line++ = '\0';
        }
    }
}

static const struct command *
find_command(int n, const char *const words[], char *error)
{
    const char *usage = n ? mat_parse_usage(words[0]) : NULL;

    if (!usage) {
        snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is no command: use "
                 "add, del, hold, ports, nexthops, zones or pools",
                 n ? words[0] : "");
        return NULL;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const struct command *c = &commands[i];

        if (!strcmp(c->name, words[0])
            && (!c->sub || (n > 1 && !strcmp(c->sub, words[1])))) {
            return c;
        }
    }
    snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is neither add nor del: "
             "use %s %s", n > 1 ? words[1] : "", words[0], usage);
    return NULL;
}

static bool
parse_id(const struct command *c, int n, const char *const words[],
         struct args *args, char *error)
{
    if (!c->parse_id || (n > 2 && c->parse_id(words[2], args))) {
        return true;
    }
    snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is not %s: use %s %s",
             n > 2 ? words[2] : "", c->id_form, c->name, c->usage);
    return false;
}

static bool
parse_keys(const struct command *c, int n, const char *const words[],
           struct args *args, char *error)
{
    unsigned int seen = 0;

    for (int i = 0; i < n; i++) {
        const char *value;
        const struct key *key = find_key(c->keys, words[i], &value);
        unsigned int bit = key ? 1u << (key - c->keys) : 0;

        if (!key) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" is not for here: "
                     "use %s %s", words[i], c->name, c->usage);
            return false;
        }
        if (seen & bit && !key->repeated) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\" repeats %s",
                     words[i], key->name);
            return false;
        }
        if (!key->parse(value, args)) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "\"%.80s\": %s%s %s",
                     words[i], key->name, key->form ? "= takes" : " goes not",
                     key->form ? key->form : "with what stands before it");
            return false;
        }
        seen |= bit;
    }
    for (const struct key *key = c->keys; key->name; key++) {
        if (key->required && !(seen & 1u << (key - c->keys))) {
            snprintf(error, MAT_PARSE_ERROR_MAX, "%s= is missing: use %s %s",
                     key->name, c->name, c->usage);
            return false;
        }
    }
    return true;
}

/* Words that are right one by one may not be so together. */
static bool
check_finish(const struct command *c, const struct args *args, char *error)
{
    if (c->type == MAT_OP_ENTRY_PUT && !args->entry.state
        && !args->entry.port[0] == !args->has_nexthop) {
        snprintf(error, MAT_PARSE_ERROR_MAX, "give one of port= (VMN on this "
                 "host), nexthop= (on another) and state=: use %s %s",
                 c->name, c->usage);
        return false;
    }
    if (c->type == MAT_OP_HOLD && args->verb == VERB_NONE) {
        snprintf(error, MAT_PARSE_ERROR_MAX, "on, off, release or flush is "
                 "missing: use %s %s", c->name, c->usage);
        return false;
    }
    return true;
}

static const struct key *
find_key(const struct key *keys, const char *word, const char **value)
{
    size_t n = strcspn(word, "=");

    for (const struct key *key = keys; key->name; key++) {
        if (strlen(key->name) == n && !strncmp(key->name, word, n)
            && (word[n] == '=') == (key->form != NULL)) {
            *value = word + n + (word[n] == '=');
            return key;
        }
    }
    return NULL;
}
