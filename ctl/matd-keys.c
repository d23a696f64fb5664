/* SPDX-License-Identifier: Apache-2.0 */
#include "matd-keys.h"

#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mat-mem.h"

enum {
    N_FILES = 4,
    PATH_SIZE = 4096,
    POLL_US = 1000000,          /* How soon a changed file is seen. */
    JOIN_KEY_SIZE = 4 + MAT_SECRET_SIZE
};

static const struct {
    const char *name;
    enum matd_armour kind;
} files[N_FILES] = {
    { "cluster.pub", MATD_ARMOUR_CLUSTER_PUBLIC },
    { "host.key", MATD_ARMOUR_HOST_KEY },
    { "host.cert", MATD_ARMOUR_HOST_CERT },
    { "join.key", MATD_ARMOUR_JOIN_KEY }
};

/* What is derived from names and keys. */

static void
hash(uint8_t *digest, size_t n, const char *purpose, const void *data,
     size_t size)
{
    crypto_generichash_state state;
    uint8_t whole[crypto_generichash_BYTES];

    crypto_generichash_init(&state, NULL, 0, sizeof whole);
    crypto_generichash_update(&state, (const void *) purpose,
                              strlen(purpose) + 1);
    crypto_generichash_update(&state, data, size);
    crypto_generichash_final(&state, whole, sizeof whole);
    memcpy(digest, whole, n);
}

uint16_t
matd_keys_label(const uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE])
{
    uint8_t b[2];

    hash(b, sizeof b, "ovs-mat label", cluster_key, MAT_PUBLIC_KEY_SIZE);
    return (uint16_t) (b[0] << 8 | b[1]);
}

static bool
parse_hex_id(const char *name, uint64_t *id)
{
    size_t n = strspn(name, "0123456789abcdefABCDEF");

    if (!n || n > 16 || name[n]) {
        return false;
    }
    *id = strtoull(name, NULL, 16);
    return *id != 0;
}

uint64_t
matd_keys_host_id(const char *name)
{
    uint8_t b[8];
    struct mat_reader r = { .bytes = b, .left = sizeof b };
    uint64_t id;

    if (!strncmp(name, "0x", 2) && parse_hex_id(name + 2, &id)) {
        return id;
    }
    hash(b, sizeof b, "ovs-mat host", name, strlen(name));
    id = mat_get_u64(&r);
    return id ? id : 1;
}

/* Join keys. */

size_t
matd_join_keys_encode(const struct matd_join_keys *keys,
                      uint8_t data[MATD_ARMOUR_DATA_MAX])
{
    struct mat_writer w = { .bytes = data, .max = MATD_ARMOUR_DATA_MAX };

    MAT_ASSERT(keys->n == 1 || keys->n == 2);
    mat_put_u8(&w, (uint8_t) keys->n);
    for (unsigned int i = 0; i < keys->n; i++) {
        mat_put_u32(&w, keys->numbers[i]);
        mat_put_bytes(&w, keys->keys[i], MAT_SECRET_SIZE);
    }
    return w.n;
}

bool
matd_join_keys_decode(const uint8_t *data, size_t size,
                      struct matd_join_keys *keys)
{
    struct mat_reader r = { .bytes = data, .left = size };

    *keys = (struct matd_join_keys) { .n = mat_get_u8(&r) };
    if (keys->n < 1 || keys->n > 2 || r.left != keys->n * JOIN_KEY_SIZE) {
        return false;
    }
    for (unsigned int i = 0; i < keys->n; i++) {
        keys->numbers[i] = mat_get_u32(&r);
        memcpy(keys->keys[i], mat_get_bytes(&r, MAT_SECRET_SIZE),
               MAT_SECRET_SIZE);
    }
    return true;
}

/* Loading.  Each of these takes the bytes of one file. */

static bool
take_cluster(struct matd_keys *keys, const uint8_t *data, size_t n,
             char error[MATD_ERROR_MAX])
{
    if (n != MAT_PUBLIC_KEY_SIZE) {
        snprintf(error, MATD_ERROR_MAX, "not the size of a public key");
        return false;
    }
    memcpy(keys->cluster_key, data, n);
    keys->label = matd_keys_label(keys->cluster_key);
    return true;
}

static bool
take_host_key(struct matd_keys *keys, const uint8_t *data, size_t n,
              char error[MATD_ERROR_MAX])
{
    if (n != MAT_SODIUM_SEED_SIZE
        || !mat_sodium_identity_init(&keys->identity, data)) {
        snprintf(error, MATD_ERROR_MAX, "not the size of a key");
        return false;
    }
    keys->crypto = mat_sodium_crypto(&keys->identity);
    return true;
}

static bool
take_cert(struct matd_keys *keys, const uint8_t *data, size_t n,
          char error[MATD_ERROR_MAX])
{
    const char *why = NULL;

    if (!mat_cert_parse(data, n, &keys->cert)) {
        why = "not a certificate, or of a later version";
    } else if (sodium_memcmp(keys->cert.public_key,
                             keys->identity.public_key,
                             MAT_PUBLIC_KEY_SIZE)) {
        why = "is for another key than host.key: both must come from the "
            "same 'matctl key issue'";
    } else if (!mat_cert_verify(data, n, &keys->crypto, keys->cluster_key)) {
        why = "is not signed by the cluster of cluster.pub";
    }
    if (why) {
        snprintf(error, MATD_ERROR_MAX, "%s", why);
        return false;
    }
    memcpy(keys->cert_bytes, data, n);
    keys->cert_size = n;
    return true;
}

static bool
take_join_keys(struct matd_keys *keys, const uint8_t *data, size_t n,
               char error[MATD_ERROR_MAX])
{
    struct matd_join_keys join;

    if (!matd_join_keys_decode(data, n, &join)) {
        snprintf(error, MATD_ERROR_MAX, "not one or two join keys");
        return false;
    }
    keys->n_join_keys = join.n;
    memcpy(keys->join_keys[0], join.keys[0], MAT_SECRET_SIZE);
    memcpy(keys->join_keys[1], join.keys[join.n - 1], MAT_SECRET_SIZE);
    sodium_memzero(&join, sizeof join);
    return true;
}

static bool
take(struct matd_keys *keys, enum matd_armour kind, const uint8_t *data,
     size_t n, char error[MATD_ERROR_MAX])
{
    switch (kind) {
    case MATD_ARMOUR_CLUSTER_PUBLIC:
        return take_cluster(keys, data, n, error);
    case MATD_ARMOUR_HOST_KEY:
        return take_host_key(keys, data, n, error);
    case MATD_ARMOUR_HOST_CERT:
        return take_cert(keys, data, n, error);
    case MATD_ARMOUR_JOIN_KEY:
        return take_join_keys(keys, data, n, error);
    case MATD_ARMOUR_CLUSTER_KEY:
    case MATD_ARMOUR_REVOCATION:
    case MATD_N_ARMOURS:
    default:
        abort();
    }
}

static bool
load_file(struct matd_keys *keys, const char *dir, int i,
          char error[MATD_ERROR_MAX])
{
    uint8_t data[MATD_ARMOUR_DATA_MAX];
    enum matd_armour kind = files[i].kind;
    char path[PATH_SIZE], why[MATD_ERROR_MAX];
    bool is_good;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
    if (!matd_armour_read(path, &kind, data, &n, error)) {
        return false;
    }
    is_good = take(keys, kind, data, n, why);
    if (!is_good) {
        snprintf(error, MATD_ERROR_MAX, "%.200s: %.300s", path, why);
    }
    sodium_memzero(data, sizeof data);
    return is_good;
}

struct matd_keys *
matd_keys_load(const char *dir, char error[MATD_ERROR_MAX])
{
    struct matd_keys *keys;

    if (sodium_init() < 0) {
        snprintf(error, MATD_ERROR_MAX, "libsodium cannot be used");
        return NULL;
    }
    keys = mat_xcalloc(1, sizeof *keys);
    for (int i = 0; i < N_FILES; i++) {
        if (!load_file(keys, dir, i, error)) {
            matd_keys_destroy(keys);
            return NULL;
        }
    }
    return keys;
}

void
matd_keys_destroy(struct matd_keys *keys)
{
    if (keys) {
        mat_sodium_identity_clear(&keys->identity);
        sodium_memzero(keys, sizeof *keys);
        free(keys);
    }
}

/* The store. */

/* What tells that a file is not the one that was read. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified, changed;
    bool is_there;
};

struct matd_keys_store {
    char *dir;
    struct matd_keys *keys, *old;
    struct stamp stamps[N_FILES];
    char error[MATD_ERROR_MAX];
    int64_t next_us;
    unsigned int n_changes;
};

struct matd_keys_store *
matd_keys_open(const char *dir)
{
    struct matd_keys_store *store = mat_xcalloc(1, sizeof *store);

    store->dir = mat_xmalloc(strlen(dir) + 1);
    memcpy(store->dir, dir, strlen(dir) + 1);
    matd_keys_reload(store);
    return store;
}

void
matd_keys_close(struct matd_keys_store *store)
{
    if (store) {
        matd_keys_destroy(store->keys);
        matd_keys_destroy(store->old);
        free(store->dir);
        free(store);
    }
}

static struct stamp
take_stamp(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    struct stat s;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (stat(path, &s)) {
        return (struct stamp) { .is_there = false };
    }
    return (struct stamp) {
        .dev = s.st_dev, .ino = s.st_ino, .size = s.st_size,
        .modified = s.st_mtim, .changed = s.st_ctim, .is_there = true
    };
}

static bool
time_equal(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return (a->is_there == b->is_there && a->dev == b->dev
            && a->ino == b->ino && a->size == b->size
            && time_equal(&a->modified, &b->modified)
            && time_equal(&a->changed, &b->changed));
}

/* True if a file is not the one that was looked at last. */
static bool
take_stamps(struct matd_keys_store *store)
{
    bool is_changed = false;

    for (int i = 0; i < N_FILES; i++) {
        struct stamp stamp = take_stamp(store->dir, files[i].name);

        if (!stamp_equal(&stamp, &store->stamps[i])) {
            store->stamps[i] = stamp;
            is_changed = true;
        }
    }
    return is_changed;
}

static bool
keys_equal(const struct matd_keys *a, const struct matd_keys *b)
{
    return (a->cert_size == b->cert_size && a->n_join_keys == b->n_join_keys
            && !memcmp(a->cert_bytes, b->cert_bytes, a->cert_size)
            && !sodium_memcmp(a->join_keys, b->join_keys,
                              sizeof a->join_keys)
            && !memcmp(a->cluster_key, b->cluster_key,
                       sizeof a->cluster_key));
}

/* The set may be half written; then it is bad, and looked at again when the
 * rest is there. */
static bool
load(struct matd_keys_store *store)
{
    struct matd_keys *keys = matd_keys_load(store->dir, store->error);

    if (!keys) {
        return false;
    }
    store->error[0] = '\0';
    if (store->keys && keys_equal(keys, store->keys)) {
        matd_keys_destroy(keys);
        return false;
    }
    store->old = store->keys;
    store->keys = keys;
    store->n_changes++;
    return true;
}

bool
matd_keys_run(struct matd_keys_store *store, int64_t now_us)
{
    matd_keys_destroy(store->old);
    store->old = NULL;
    if (now_us < store->next_us) {
        return false;
    }
    store->next_us = now_us + POLL_US;
    return take_stamps(store) && load(store);
}

int64_t
matd_keys_deadline_us(const struct matd_keys_store *store)
{
    return store->next_us;
}

/* No file has a size of -1, so all seem to have changed. */
void
matd_keys_reload(struct matd_keys_store *store)
{
    for (int i = 0; i < N_FILES; i++) {
        store->stamps[i].size = -1;
    }
    store->next_us = 0;
}

const struct matd_keys *
matd_keys_get(const struct matd_keys_store *store)
{
    return store->keys;
}

const char *
matd_keys_error(const struct matd_keys_store *store)
{
    return store->error[0] ? store->error : NULL;
}

unsigned int
matd_keys_n_changes(const struct matd_keys_store *store)
{
    return store->n_changes;
}
