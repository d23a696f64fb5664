/* SPDX-License-Identifier: Apache-2.0 */
#include "matctl-files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, NAME_MAX_ = 64 };

static const char registry[] = "hosts";

static bool
fail(struct matctl_key *k, const char *path, const char *why)
{
    snprintf(k->error, sizeof k->error, "%.300s: %.200s", path, why);
    return false;
}

static void
join_path(char path[PATH_SIZE], const char *dir, const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", dir, name);
}

bool
matctl_key_name_is_good(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

    return (n && n <= NAME_MAX_ && !name[n] && name[0] != '.'
            && name[0] != '-'
            && (strncmp(name, "0x", 2)
                || (n > 2 && n <= 18
                    && strspn(name + 2, "0123456789abcdefABCDEF") == n - 2)));
}

bool
matctl_key_make_folder(struct matctl_key *k, const char *dir)
{
    struct stat s;

    if (mkdir(dir, 0700) && errno != EEXIST) {
        return fail(k, dir, strerror(errno));
    }
    if (stat(dir, &s) || !S_ISDIR(s.st_mode)) {
        return fail(k, dir, "not a folder");
    }
    return true;
}

bool
matctl_key_is_there(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    struct stat s;

    join_path(path, dir, name);
    return !lstat(path, &s) || errno != ENOENT;
}

bool
matctl_key_refuse_if_there(struct matctl_key *k, const char *dir,
                           const char *name)
{
    char path[PATH_SIZE];

    join_path(path, dir, name);
    return (!matctl_key_is_there(dir, name)
            || fail(k, path, "is there already, and not overwritten"));
}

/* Writing. */

static bool
write_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno != EINTR) {
            return false;
        } else if (done > 0) {
            text += done;
            n -= (size_t) done;
        }
    }
    return true;
}

static bool
sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_good = fd >= 0 && !fsync(fd);

    if (fd >= 0) {
        close(fd);
    }
    return is_good;
}

/* Gives the complete file its name.  link() does not overwrite. */
static bool
give_name(const char *temporary, const char *path, bool may_replace)
{
    if (may_replace) {
        return !rename(temporary, path);
    }
    return !link(temporary, path) && !unlink(temporary);
}

static bool
write_file(struct matctl_key *k, const char *dir, const char *name,
           const char *text, size_t n, mode_t mode, bool may_replace)
{
    char path[PATH_SIZE], temporary[PATH_SIZE + 16];
    bool is_good;
    int fd;

    join_path(path, dir, name);
    snprintf(temporary, sizeof temporary, "%s.new-%d", path, (int) getpid());
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(k, temporary, strerror(errno));
    }
    is_good = (write_all(fd, text, n) && !fchmod(fd, mode) && !fsync(fd)
               && give_name(temporary, path, may_replace)
               && sync_folder(dir));
    if (!is_good) {
        fail(k, path, errno == EEXIST ? "is there already, and not "
             "overwritten" : strerror(errno));
        unlink(temporary);
    }
    close(fd);
    return is_good;
}

bool
matctl_key_write(struct matctl_key *k, const char *dir, const char *name,
                 enum matd_armour kind, const char *comment,
                 const void *data, size_t size, bool may_replace)
{
    char text[MATD_ARMOUR_TEXT_MAX];
    size_t n = matd_armour_encode(kind, comment, data, size, text);
    bool is_good = write_file(k, dir, name, text, n,
                              matd_armour_is_secret(kind) ? 0600 : 0644,
                              may_replace);

    sodium_memzero(text, sizeof text);
    return is_good;
}

bool
matctl_key_copy(struct matctl_key *k, const char *from, const char *to,
                const char *name)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_N_ARMOURS;
    char path[PATH_SIZE];
    bool is_good;
    size_t n;

    join_path(path, from, name);
    is_good = (matd_armour_read(path, &kind, data, &n, k->error)
               && matctl_key_write(k, to, name, kind, NULL, data, n, true));
    sodium_memzero(data, sizeof data);
    return is_good;
}

/* Reading. */

bool
matctl_key_read_seed(struct matctl_key *k, const char *dir, const char *name,
                     enum matd_armour kind,
                     uint8_t seed[MAT_SODIUM_SEED_SIZE])
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    char path[PATH_SIZE];
    size_t n;

    join_path(path, dir, name);
    if (!matd_armour_read(path, &kind, data, &n, k->error)) {
        return false;
    }
    memcpy(seed, data, MAT_SODIUM_SEED_SIZE);
    sodium_memzero(data, sizeof data);
    return (n == MAT_SODIUM_SEED_SIZE
            || fail(k, path, "not the size of a key"));
}

bool
matctl_key_read_cluster(struct matctl_key *k,
                        struct mat_sodium_identity *identity)
{
    uint8_t seed[MAT_SODIUM_SEED_SIZE];
    bool is_good;

    is_good = (matctl_key_read_seed(k, k->cluster, "cluster.key",
                                    MATD_ARMOUR_CLUSTER_KEY, seed)
               && mat_sodium_identity_init(identity, seed));
    sodium_memzero(seed, sizeof seed);
    return is_good;
}

bool
matctl_key_read_join(struct matctl_key *k, const char *dir,
                     struct matd_join_keys *join)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_ARMOUR_JOIN_KEY;
    char path[PATH_SIZE];
    bool is_good;
    size_t n;

    join_path(path, dir, "join.key");
    if (!matd_armour_read(path, &kind, data, &n, k->error)) {
        return false;
    }
    is_good = matd_join_keys_decode(data, n, join);
    sodium_memzero(data, sizeof data);
    return is_good || fail(k, path, "not one or two join keys");
}

bool
matctl_key_check_cluster_of(struct matctl_key *k, const char *dir,
                            const struct mat_sodium_identity *cluster)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_ARMOUR_CLUSTER_PUBLIC;
    char path[PATH_SIZE];
    size_t n;

    if (!matctl_key_is_there(dir, "cluster.pub")) {
        return true;
    }
    join_path(path, dir, "cluster.pub");
    return (matd_armour_read(path, &kind, data, &n, k->error)
            && ((n == MAT_PUBLIC_KEY_SIZE
                 && !memcmp(data, cluster->public_key, n))
                || fail(k, path, "is of another cluster: use another --out "
                        "or move the keys there away")));
}

/* The list of certificates: "0xID SERIAL NAME END" a line. */

struct line {
    uint64_t host;
    uint32_t serial;
    char name[NAME_MAX_ + 1];
};

static bool
next_line(FILE *file, struct line *line)
{
    char text[512];

    while (fgets(text, sizeof text, file)) {
        if (sscanf(text, "0x%" SCNx64 " %" SCNu32 " %64s", &line->host,
                   &line->serial, line->name) == 3) {
            return true;
        }
    }
    return false;
}

static uint32_t
last_serial(FILE *file, uint64_t host, const char *name, bool *is_other)
{
    struct line line;
    uint32_t serial = 0;

    *is_other = false;
    while (next_line(file, &line)) {
        if (line.host == host) {
            serial = line.serial > serial ? line.serial : serial;
            *is_other |= name && strncmp(name, "0x", 2)
                         && strncmp(line.name, "0x", 2)
                         && strcmp(line.name, name);
        }
    }
    return serial;
}

uint32_t
matctl_key_last_serial(struct matctl_key *k, uint64_t host)
{
    char path[PATH_SIZE];
    FILE *file;
    uint32_t serial = 0;
    bool is_other;

    join_path(path, k->cluster, registry);
    file = fopen(path, "re");
    if (file) {
        serial = last_serial(file, host, NULL, &is_other);
        fclose(file);
    }
    return serial;
}

static void
format_date(int64_t s, char text[32])
{
    time_t t = (time_t) s;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || !strftime(text, 32, "%Y-%m-%d", &tm)) {
        snprintf(text, 32, "?");
    }
}

static bool
append_line(FILE *file, const char *name, const struct mat_cert *cert)
{
    char date[32];

    format_date(cert->not_after_s, date);
    return (fprintf(file, "0x%016" PRIx64 " %" PRIu32 " %s %s\n", cert->host,
                    cert->serial, name, date) > 0
            && !fflush(file) && !fsync(fileno(file)));
}

bool
matctl_key_register(struct matctl_key *k, const char *name,
                    struct mat_cert *cert)
{
    char path[PATH_SIZE];
    bool is_other, is_good;
    FILE *file;
    int fd;

    join_path(path, k->cluster, registry);
    fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    file = fd >= 0 && !flock(fd, LOCK_EX) ? fdopen(fd, "a+e") : NULL;
    if (!file) {
        if (fd >= 0) {
            close(fd);
        }
        return fail(k, path, strerror(errno));
    }
    rewind(file);
    cert->serial = last_serial(file, cert->host, name, &is_other) + 1;
    if (is_other) {
        is_good = fail(k, path, "another name has the same id: choose "
                       "another name");
    } else {
        is_good = append_line(file, name, cert)
                  || fail(k, path, strerror(errno));
    }
    fclose(file);
    return is_good;
}

/* Describing. */

struct text {
    char *s;
    size_t n, max;
};

static void
append(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->s + t->n, t->max - t->n, format, args);
    va_end(args);
    t->n += n < 0 ? 0 : (size_t) n;
    if (t->n >= t->max) {
        t->n = t->max - 1;
    }
}

static void
append_prefixes(struct text *t, const char *what,
                const struct mat_cert_prefix *prefixes, uint8_t n)
{
    char buf[MAT_PREFIX_STRLEN];

    append(t, "%s:", what);
    for (uint8_t i = 0; i < n; i++) {
        append(t, "%s %s", i ? "," : "",
               mat_prefix_format(&prefixes[i].addr, prefixes[i].plen, buf));
    }
    append(t, "%s\n", n ? "" : " none");
}

void
matctl_key_describe_cert(const struct mat_cert *cert, char *s, size_t max)
{
    struct text t = { .s = s, .max = max };
    char date[32], key[2 * MAT_PUBLIC_KEY_SIZE + 1];

    s[0] = '\0';
    format_date(cert->not_after_s, date);
    sodium_bin2hex(key, sizeof key, cert->public_key,
                   sizeof cert->public_key);
    append(&t, "host: 0x%016" PRIx64 "\nserial: %" PRIu32 "\nends: %s\n"
           "key: %s\nzones:", cert->host, cert->serial, date, key);
    for (uint8_t i = 0; i < cert->n_zones; i++) {
        append(&t, "%s %" PRIu32 "-%" PRIu32, i ? "," : "",
               cert->zones[i].first, cert->zones[i].last);
    }
    append(&t, "\n");
    append_prefixes(&t, "hoas", cert->hoas, cert->n_hoas);
    append_prefixes(&t, "pools", cert->pools, cert->n_pools);
}

static void
describe_key(struct text *t, const uint8_t *seed)
{
    char key[2 * MAT_PUBLIC_KEY_SIZE + 1];
    struct mat_sodium_identity identity;

    if (mat_sodium_identity_init(&identity, seed)) {
        sodium_bin2hex(key, sizeof key, identity.public_key,
                       sizeof identity.public_key);
        append(t, "public key: %s\n", key);
        mat_sodium_identity_clear(&identity);
    }
}

/* Says which keys they are, not what: a hash of each. */
static void
describe_join(struct text *t, const struct matd_join_keys *join)
{
    for (unsigned int i = 0; i < join->n; i++) {
        uint8_t digest[crypto_generichash_BYTES_MIN];
        char hex[2 * 8 + 1];

        crypto_generichash(digest, sizeof digest, join->keys[i],
                           sizeof join->keys[i], NULL, 0);
        sodium_bin2hex(hex, sizeof hex, digest, 8);
        append(t, "join key %" PRIu32 ": hash %s, %s\n", join->numbers[i],
               hex, i ? "accepted" : "used and accepted");
    }
}

static bool
describe_revocation(struct text *t, const uint8_t *data, size_t n)
{
    struct mat_reader r = { .bytes = data, .left = n };
    uint8_t scratch[MAT_VMN_BODY_SIZE];
    const uint8_t *signature = NULL;
    struct mat_claim claim;

    if (!mat_get_claim(&r, &claim, scratch, &signature)
        || claim.key.type != MAT_TYPE_REVOKE) {
        return false;
    }
    append(t, "host: 0x%016" PRIx64 "\nup to serial: %" PRIu32 "\n",
           mat_key_host_id(&claim.key), claim.version.seq);
    return true;
}

static bool
describe(struct text *t, enum matd_armour kind, const uint8_t *data,
         size_t n)
{
    char s[MATCTL_KEY_COMMENT_MAX];
    struct matd_join_keys join;
    struct mat_cert cert;
    bool is_good;

    switch (kind) {
    case MATD_ARMOUR_HOST_KEY:
    case MATD_ARMOUR_CLUSTER_KEY:
        if (n == MAT_SODIUM_SEED_SIZE) {
            describe_key(t, data);
        }
        return n == MAT_SODIUM_SEED_SIZE;
    case MATD_ARMOUR_HOST_CERT:
        is_good = mat_cert_parse(data, n, &cert);
        if (is_good) {
            matctl_key_describe_cert(&cert, s, sizeof s);
            append(t, "%s", s);
        }
        return is_good;
    case MATD_ARMOUR_JOIN_KEY:
        is_good = matd_join_keys_decode(data, n, &join);
        if (is_good) {
            describe_join(t, &join);
        }
        sodium_memzero(&join, sizeof join);
        return is_good;
    case MATD_ARMOUR_CLUSTER_PUBLIC:
        sodium_bin2hex(s, sizeof s, data, n);
        append(t, "public key: %s\nlabel: %04x\n", s,
               n == MAT_PUBLIC_KEY_SIZE ? matd_keys_label(data) : 0);
        return n == MAT_PUBLIC_KEY_SIZE;
    case MATD_ARMOUR_REVOCATION:
        return describe_revocation(t, data, n);
    case MATD_N_ARMOURS:
    default:
        return false;
    }
}

bool
matctl_key_show(struct matctl_key *k, const char *path)
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = MATD_N_ARMOURS;
    char s[MATCTL_KEY_COMMENT_MAX] = "";
    struct text t = { .s = s, .max = sizeof s };
    bool is_good;
    size_t n;

    if (!matd_armour_read(path, &kind, data, &n, k->error)) {
        return false;
    }
    is_good = describe(&t, kind, data, n);
    sodium_memzero(data, sizeof data);
    if (!is_good) {
        return fail(k, path, "the content is not what the first line says");
    }
    fprintf(k->out_file, "%s: %s\n%s", path, matd_armour_name(kind), s);
    return true;
}
