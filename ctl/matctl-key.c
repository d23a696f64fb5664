/* SPDX-License-Identifier: Apache-2.0 */
#include "matctl-key.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "mat-gossip.h"
#include "matctl-files.h"

enum { DAYS_DEFAULT = 365, DAYS_MAX = 36500 };

const char matctl_key_usage[] =
    "  key new-cluster DIR      make the keys of a cluster\n"
    "  key issue --cluster=DIR --host=ID|NAME --hoas=PREFIX,... "
    "--pools=PREFIX,...\n"
    "            [--zones=FIRST-LAST,...] [--days=N] [--out=DIR] "
    "[--new-key]\n"
    "                           make the keys and certificate of a host\n"
    "  key show FILE...         say what a file of keys is\n"
    "  key revoke --cluster=DIR HOST [SERIAL]\n"
    "                           make a revocation of a host's certificates\n"
    "  key rotate --cluster=DIR go one step in replacing the join key\n";

struct command {
    const char *name;
    int (*run)(struct matctl_key *);
};

static int new_cluster(struct matctl_key *);
static int issue(struct matctl_key *);
static int show(struct matctl_key *);
static int revoke(struct matctl_key *);
static int rotate(struct matctl_key *);

static const struct command commands[] = {
    { "new-cluster", new_cluster },
    { "issue", issue },
    { "show", show },
    { "revoke", revoke },
    { "rotate", rotate }
};

static int
usage(struct matctl_key *k, const char *what)
{
    fprintf(k->err, "matctl key: %s\nusage: matctl\n%s", what,
            matctl_key_usage);
    return 2;
}

static int
fail(struct matctl_key *k)
{
    fprintf(k->err, "matctl key: %s\n", k->error);
    return 1;
}

/* Arguments: --name=value or --name value, in any order with the others. */

static const char **
find_option(struct matctl_key *k, const char *name, size_t n)
{
    struct { const char *name; const char **value; } options[] = {
        { "cluster", &k->cluster }, { "host", &k->host },
        { "zones", &k->zones }, { "hoas", &k->hoas }, { "pools", &k->pools },
        { "days", &k->days }, { "out", &k->out }, { "new-key", &k->new_key }
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strlen(options[i].name) == n
            && !memcmp(options[i].name, name, n)) {
            return options[i].value;
        }
    }
    return NULL;
}

static bool
parse_option(struct matctl_key *k, int argc, char *argv[], int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t) (equals - name) : strlen(name);
    const char **value = find_option(k, name, n);

    if (!value) {
        return false;
    } else if (value == &k->new_key) {
        *value = "yes";
        return !equals;
    } else if (equals) {
        *value = equals + 1;
    } else if (++*i < argc) {
        *value = argv[*i];
    } else {
        return false;
    }
    return true;
}

static bool
parse_arguments(struct matctl_key *k, int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--", 2)) {
            if (!parse_option(k, argc, argv, &i)) {
                return false;
            }
        } else if (k->n_args < MATCTL_KEY_ARGS_MAX) {
            k->args[k->n_args++] = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

int
matctl_key(int argc, char *argv[], FILE *out, FILE *err)
{
    struct matctl_key k = { .out_file = out, .err = err };

    if (sodium_init() < 0) {
        fprintf(err, "matctl key: libsodium cannot be used\n");
        return 1;
    } else if (argc < 1) {
        return usage(&k, "which command?");
    } else if (!parse_arguments(&k, argc, argv)) {
        return usage(&k, "an option or argument that it does not have");
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!strcmp(argv[0], commands[i].name)) {
            return commands[i].run(&k);
        }
    }
    return usage(&k, "no such command");
}

/* new-cluster. */

static bool
write_cluster_key(struct matctl_key *k)
{
    uint8_t seed[MAT_SODIUM_SEED_SIZE];
    struct mat_sodium_identity identity;
    bool is_good;

    randombytes_buf(seed, sizeof seed);
    is_good = (mat_sodium_identity_init(&identity, seed)
               && matctl_key_write(k, k->cluster, "cluster.key",
                                   MATD_ARMOUR_CLUSTER_KEY,
                                   "SECRET: signs certificates.  Keep it off "
                                   "the hypervisors, and a copy of it.",
                                   seed, sizeof seed, false)
               && matctl_key_write(k, k->cluster, "cluster.pub",
                                   MATD_ARMOUR_CLUSTER_PUBLIC,
                                   "On every host: who signs certificates.",
                                   identity.public_key,
                                   sizeof identity.public_key, false));
    sodium_memzero(seed, sizeof seed);
    mat_sodium_identity_clear(&identity);
    return is_good;
}

static bool
write_join_keys(struct matctl_key *k, const struct matd_join_keys *join,
                bool may_replace)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    size_t n = matd_join_keys_encode(join, data);
    bool is_good = matctl_key_write(k, k->cluster, "join.key",
                                    MATD_ARMOUR_JOIN_KEY,
                                    "SECRET: the same on every host.",
                                    data, n, may_replace);

    sodium_memzero(data, sizeof data);
    return is_good;
}

static int
new_cluster(struct matctl_key *k)
{
    struct matd_join_keys join = { .n = 1, .numbers = { 1 } };
    bool is_good;

    if (k->n_args != 1 || k->cluster) {
        return usage(k, "new-cluster wants one folder");
    }
    k->cluster = k->args[0];
    randombytes_buf(join.keys[0], sizeof join.keys[0]);
    is_good = (matctl_key_make_folder(k, k->cluster)
               && matctl_key_refuse_if_there(k, k->cluster, "cluster.key")
               && matctl_key_refuse_if_there(k, k->cluster, "join.key")
               && write_cluster_key(k)
               && write_join_keys(k, &join, false));
    sodium_memzero(&join, sizeof join);
    if (!is_good) {
        return fail(k);
    }
    fprintf(k->out_file, "%s: a new cluster.  Now, for each host:\n"
            "  matctl key issue --cluster=%s --host=NAME --hoas=... "
            "--pools=...\n", k->cluster, k->cluster);
    return 0;
}

/* issue. */

/* Takes the items of a list apart and hands each to 'take'. */
static bool
for_each_item(struct matctl_key *k, const char *what, const char *list,
              bool (*take)(struct mat_cert *, const char *item),
              struct mat_cert *cert)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        char item[128];

        snprintf(item, sizeof item, "%.*s", (int) n, list);
        if (n >= sizeof item || !take(cert, item)) {
            snprintf(k->error, sizeof k->error, "--%s: '%s' is not good, or "
                     "one more than the %d that a certificate can have",
                     what, item, MAT_CERT_RANGES_MAX);
            return false;
        }
        list += n + (list[n] == ',');
    }
    return true;
}

static bool
take_prefix(struct mat_cert_prefix *prefixes, uint8_t *n, const char *item)
{
    struct mat_cert_prefix *p = &prefixes[*n];
    unsigned int plen;

    if (*n >= MAT_CERT_RANGES_MAX
        || !mat_prefix_parse(item, &p->addr, &plen)) {
        return false;
    }
    p->plen = (uint8_t) plen;
    p->addr = mat_addr_mask(&p->addr, plen);
    ++*n;
    return true;
}

static bool
take_hoa(struct mat_cert *cert, const char *item)
{
    return take_prefix(cert->hoas, &cert->n_hoas, item);
}

static bool
take_pool(struct mat_cert *cert, const char *item)
{
    return take_prefix(cert->pools, &cert->n_pools, item);
}

static bool
take_zones(struct mat_cert *cert, const char *item)
{
    unsigned long first, last;
    char *end;

    errno = 0;
    first = last = strtoul(item, &end, 10);
    if (end != item && *end == '-') {
        const char *second = end + 1;

        last = strtoul(second, &end, 10);
        if (end == second) {
            return false;
        }
    }
    if (end == item || *end || errno || strchr(item + 1, '+')
        || item[0] == '-' || item[0] == ' ' || first > last
        || last > 0xffffff || cert->n_zones >= MAT_CERT_RANGES_MAX) {
        return false;
    }
    cert->zones[cert->n_zones].first = (uint32_t) first;
    cert->zones[cert->n_zones].last = (uint32_t) last;
    cert->n_zones++;
    return true;
}

static bool
take_days(struct matctl_key *k, struct mat_cert *cert)
{
    char *end = NULL;
    long days = k->days ? strtol(k->days, &end, 10) : DAYS_DEFAULT;

    if (days < 1 || days > DAYS_MAX || (end && (*end || end == k->days))) {
        snprintf(k->error, sizeof k->error, "--days: '%s' is not a number "
                 "from 1 to %d", k->days, DAYS_MAX);
        return false;
    }
    cert->not_after_s = (int64_t) time(NULL) + days * INT64_C(86400);
    return true;
}

static bool
make_cert(struct matctl_key *k, struct mat_cert *cert)
{
    *cert = (struct mat_cert) { .host = matd_keys_host_id(k->host) };
    return (for_each_item(k, "zones", k->zones ? k->zones : "0-16777215",
                          take_zones, cert)
            && for_each_item(k, "hoas", k->hoas, take_hoa, cert)
            && for_each_item(k, "pools", k->pools, take_pool, cert)
            && take_days(k, cert));
}

static bool
take_host_key(struct matctl_key *k, struct mat_cert *cert, bool *is_new)
{
    struct mat_sodium_identity identity;
    uint8_t seed[MAT_SODIUM_SEED_SIZE];
    bool is_good = true;

    *is_new = k->new_key || !matctl_key_is_there(k->out, "host.key");
    if (*is_new) {
        randombytes_buf(seed, sizeof seed);
        is_good = matctl_key_write(k, k->out, "host.key",
                                   MATD_ARMOUR_HOST_KEY,
                                   "SECRET: who this host is.  On no other.",
                                   seed, sizeof seed, k->new_key != NULL);
    } else {
        is_good = matctl_key_read_seed(k, k->out, "host.key",
                                       MATD_ARMOUR_HOST_KEY, seed);
    }
    is_good = is_good && mat_sodium_identity_init(&identity, seed);
    if (is_good) {
        memcpy(cert->public_key, identity.public_key,
               sizeof cert->public_key);
        mat_sodium_identity_clear(&identity);
    }
    sodium_memzero(seed, sizeof seed);
    return is_good;
}

static bool
write_cert(struct matctl_key *k, struct mat_sodium_identity *cluster,
           const struct mat_cert *cert)
{
    struct mat_crypto crypto = mat_sodium_crypto(cluster);
    uint8_t bytes[MAT_CERT_SIZE_MAX];
    char comment[MATCTL_KEY_COMMENT_MAX];
    size_t n = mat_cert_issue(cert, &crypto, bytes);

    matctl_key_describe_cert(cert, comment, sizeof comment);
    return matctl_key_write(k, k->out, "host.cert", MATD_ARMOUR_HOST_CERT,
                            comment, bytes, n, true);
}

static bool
issue_to(struct matctl_key *k, struct mat_cert *cert, bool *is_new)
{
    struct mat_sodium_identity cluster;
    bool is_good;

    if (!matctl_key_read_cluster(k, &cluster)) {
        return false;
    }
    is_good = (matctl_key_make_folder(k, k->out)
               && matctl_key_check_cluster_of(k, k->out, &cluster)
               && take_host_key(k, cert, is_new)
               && matctl_key_register(k, k->host, cert)
               && write_cert(k, &cluster, cert)
               && matctl_key_copy(k, k->cluster, k->out, "cluster.pub")
               && matctl_key_copy(k, k->cluster, k->out, "join.key"));
    mat_sodium_identity_clear(&cluster);
    return is_good;
}

static int
issue(struct matctl_key *k)
{
    char folder[4096];
    struct mat_cert cert;
    bool is_new;

    if (!k->cluster || !k->host || !k->hoas || !k->pools || k->n_args) {
        return usage(k, "issue wants --cluster, --host, --hoas and --pools");
    } else if (!matctl_key_name_is_good(k->host)) {
        return usage(k, "--host: a name has letters, digits, '.', '-', '_', "
                     "and an id is 0x with up to 16 hexadecimal digits");
    }
    if (!k->out) {
        snprintf(folder, sizeof folder, "%s/%s", k->cluster, k->host);
        k->out = folder;
    }
    if (!make_cert(k, &cert) || !issue_to(k, &cert, &is_new)) {
        return fail(k);
    }
    fprintf(k->out_file, "%s: host %s is 0x%016" PRIx64 ", certificate %"
            PRIu32 " for %s key.\nCopy host.key, host.cert, join.key and "
            "cluster.pub to %s on that host; a running matd takes them "
            "over.\n", k->out, k->host, cert.host, cert.serial,
            is_new ? "a new" : "the same", MATD_KEYS_DIR);
    return 0;
}

/* show. */

static int
show(struct matctl_key *k)
{
    int status = 0;

    if (!k->n_args) {
        return usage(k, "show wants files");
    }
    for (int i = 0; i < k->n_args; i++) {
        if (!matctl_key_show(k, k->args[i])) {
            status = fail(k);
        }
    }
    return status;
}

/* revoke. */

static bool
take_serial(struct matctl_key *k, uint64_t host, uint32_t *serial)
{
    char *end;
    unsigned long n;

    if (k->n_args < 2) {
        *serial = matctl_key_last_serial(k, host);
        if (!*serial) {
            snprintf(k->error, sizeof k->error, "%s has no certificate of "
                     "this cluster; give a serial number to revoke it "
                     "nevertheless", k->args[0]);
        }
        return *serial != 0;
    }
    n = strtoul(k->args[1], &end, 10);
    if (k->args[1][0] < '0' || k->args[1][0] > '9' || *end
        || n > UINT32_MAX) {
        snprintf(k->error, sizeof k->error, "'%s' is not a serial number",
                 k->args[1]);
        return false;
    }
    *serial = (uint32_t) n;
    return true;
}

static bool
write_revocation(struct matctl_key *k, uint64_t host, uint32_t serial,
                 char *name, size_t name_size)
{
    uint8_t claim[MAT_WIRE_DATAGRAM_MAX];
    struct mat_sodium_identity cluster;
    struct mat_crypto crypto;
    char comment[256];
    size_t n;

    if (!matctl_key_read_cluster(k, &cluster)) {
        return false;
    }
    crypto = mat_sodium_crypto(&cluster);
    n = mat_gossip_make_revocation(&crypto, host, serial, claim);
    mat_sodium_identity_clear(&cluster);
    snprintf(name, name_size, "revoke-%016" PRIx64 "-%" PRIu32, host, serial);
    snprintf(comment, sizeof comment, "Ends the certificates of host "
             "0x%016" PRIx64 " (%s) up to serial %" PRIu32 ".\n"
             "Not a secret: matctl revoke FILE on any host spreads it.",
             host, k->args[0], serial);
    return matctl_key_write(k, k->cluster, name, MATD_ARMOUR_REVOCATION,
                            comment, claim, n, true);
}

static int
revoke(struct matctl_key *k)
{
    uint32_t serial;
    char name[64];
    uint64_t host;

    if (!k->cluster || k->n_args < 1 || k->n_args > 2
        || !matctl_key_name_is_good(k->args[0])) {
        return usage(k, "revoke wants --cluster, a host and at most a serial "
                     "number");
    }
    host = matd_keys_host_id(k->args[0]);
    if (!take_serial(k, host, &serial)
        || !write_revocation(k, host, serial, name, sizeof name)) {
        return fail(k);
    }
    fprintf(k->out_file, "%s/%s: ends the certificates of %s (0x%016" PRIx64
            ") up to serial %" PRIu32 ".\nNothing has happened yet; on any "
            "host of the cluster:\n  matctl revoke %s/%s\n", k->cluster, name,
            k->args[0], host, serial, k->cluster, name);
    return 0;
}

/* rotate.  With the key that is used first:
 *
 *     [1]    -> [1, 2]   all accept the new one
 *     [1, 2] -> [2, 1]   it is used
 *     [2, 1] -> [2]      the old one ends */

static const char *
rotate_step(struct matd_join_keys *join)
{
    if (join->n == 1) {
        join->n = 2;
        join->numbers[1] = join->numbers[0] + 1;
        randombytes_buf(join->keys[1], sizeof join->keys[1]);
        return "Step 1 of 3: hosts will accept a new join key beside the "
               "old one.";
    } else if (join->numbers[0] < join->numbers[1]) {
        struct matd_join_keys old = *join;

        for (int i = 0; i < 2; i++) {
            join->numbers[i] = old.numbers[!i];
            memcpy(join->keys[i], old.keys[!i], sizeof join->keys[i]);
        }
        sodium_memzero(&old, sizeof old);
        return "Step 2 of 3: hosts will use the new join key and still "
               "accept the old one.";
    }
    join->n = 1;
    return "Step 3 of 3: hosts will forget the old join key.";
}

static int
rotate(struct matctl_key *k)
{
    struct matd_join_keys join;
    const char *step;
    bool is_last;

    if (!k->cluster || k->n_args) {
        return usage(k, "rotate wants --cluster");
    }
    if (!matctl_key_read_join(k, k->cluster, &join)) {
        return fail(k);
    }
    step = rotate_step(&join);
    is_last = join.n == 1;
    if (!write_join_keys(k, &join, true)) {
        sodium_memzero(&join, sizeof join);
        return fail(k);
    }
    sodium_memzero(&join, sizeof join);
    fprintf(k->out_file, "%s\nCopy %s/join.key to %s/join.key on every host"
            "%s.\n", step, k->cluster, MATD_KEYS_DIR,
            is_last ? "" : ", and when all have it run this again");
    return 0;
}
