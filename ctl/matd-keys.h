/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_KEYS_H
#define MATD_KEYS_H 1

/* The keys of a host, as files in one folder (/etc/ovs-mat by default):
 *
 *     host.key      who this host is.  Secret, mode 0600, leaves it never.
 *     host.cert     what the cluster allows it to claim
 *     join.key      one or two keys to greet with.  Secret, same on all hosts
 *     cluster.pub   by whom certificates must be signed
 *
 * Files are made by "matctl key" (matctl-key.h).  Each is armour, text that
 * survives a terminal, a mail and a careless editor:
 *
 *     ovs-mat host-key                       what it is
 *     # Comments, for people.                ignored
 *     data: 0f...                            the bytes, base64, any number
 *     data: ...                              of lines
 *     check: 5ab1c0ffee24d00d                BLAKE2b of kind and bytes
 *
 * so that a wrong, damaged or cut file is told from one that is missing, and
 * every complaint names file, line and what to do.
 *
 * A store keeps the last good set: matd_keys_run() looks about once a second
 * whether a file has changed, and if the new set is bad says why, once, and
 * goes on with the old one.  No key is ever in a message.
 *
 * Needs no Open vSwitch.  Threads: one at a time for each store. */

#include "mat-cert.h"
#include "mat-crypto-sodium.h"
#include "mat-wire.h"

#define MATD_KEYS_DIR "/etc/ovs-mat"

enum {
    MATD_ARMOUR_DATA_MAX = 2048,        /* Bytes in one file. */
    MATD_ARMOUR_TEXT_MAX = 8192,        /* Size of a file. */
    MATD_ERROR_MAX = 512                /* A sentence that says what and why,
                                         * with its NUL. */
};

/* MATD_ARMOUR(ENUM, "name", secret) */
#define MATD_ARMOURS                                                        \
    MATD_ARMOUR(HOST_KEY, "host-key", true)                                 \
    MATD_ARMOUR(HOST_CERT, "host-certificate", false)                       \
    MATD_ARMOUR(JOIN_KEY, "join-key", true)                                 \
    MATD_ARMOUR(CLUSTER_PUBLIC, "cluster-public-key", false)                \
    MATD_ARMOUR(CLUSTER_KEY, "cluster-key", true)                           \
    MATD_ARMOUR(REVOCATION, "revocation", false)

enum matd_armour {
#define MATD_ARMOUR(ENUM, NAME, SECRET) MATD_ARMOUR_##ENUM,
    MATD_ARMOURS
#undef MATD_ARMOUR
    MATD_N_ARMOURS
};

const char *matd_armour_name(enum matd_armour);
bool matd_armour_is_secret(enum matd_armour);

/* Writes armour, with 'comment' (lines, each ended by a newline; or null)
 * after the first line.  Returns the size of the text without its NUL. */
size_t matd_armour_encode(enum matd_armour, const char *comment,
                          const void *data, size_t size,
                          char text[MATD_ARMOUR_TEXT_MAX]);

/* Reads armour of any kind.  On failure '*line' is the line to blame and
 * 'error' says why. */
bool matd_armour_decode(const char *text, size_t size, enum matd_armour *kind,
                        uint8_t data[MATD_ARMOUR_DATA_MAX], size_t *n,
                        unsigned int *line, char error[MATD_ERROR_MAX]);

/* Reads a file that must be of 'kind'; of any kind and says which if '*kind'
 * is MATD_N_ARMOURS.  A secret that others may read is refused. */
bool matd_armour_read(const char *path, enum matd_armour *kind,
                      uint8_t data[MATD_ARMOUR_DATA_MAX], size_t *n,
                      char error[MATD_ERROR_MAX]);

/* A set of keys that fit each other. */
struct matd_keys {
    struct mat_sodium_identity identity;
    struct mat_crypto crypto;           /* Of 'identity'. */
    struct mat_cert cert;               /* 'cert.host' is the host's id. */
    uint8_t cert_bytes[MAT_CERT_SIZE_MAX];
    size_t cert_size;
    uint8_t join_keys[2][MAT_SECRET_SIZE];      /* Equal if there is one. */
    unsigned int n_join_keys;
    uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE];
    uint16_t label;                     /* Of the cluster, from its key. */
};

/* Loads and checks a set.  Null with 'error' filled in.  A certificate that
 * has ended is loaded: it is for the peers to refuse it, and for the caller to
 * report it (cert.not_after_s). */
struct matd_keys *matd_keys_load(const char *dir, char error[MATD_ERROR_MAX]);
void matd_keys_destroy(struct matd_keys *);     /* Wipes the secrets. */

/* The label that all datagrams of a cluster carry. */
uint16_t matd_keys_label(const uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE]);

/* The id of the host that 'name' stands for: the number itself if it is
 * hexadecimal after "0x", otherwise a hash of the name.  Never 0. */
uint64_t matd_keys_host_id(const char *name);

/* Join keys as they stand in their file: | n (1) | n x { number (4), key } |.
 * Numbers tell old from new while keys are rotated. */
struct matd_join_keys {
    unsigned int n;
    uint32_t numbers[2];
    uint8_t keys[2][MAT_SECRET_SIZE];
};

size_t matd_join_keys_encode(const struct matd_join_keys *,
                             uint8_t data[MATD_ARMOUR_DATA_MAX]);
bool matd_join_keys_decode(const uint8_t *data, size_t,
                           struct matd_join_keys *);

/* The keys in force and the files behind them. */
struct matd_keys_store;

struct matd_keys_store *matd_keys_open(const char *dir);
void matd_keys_close(struct matd_keys_store *);

/* Looks at the files if it is time to.  True if the keys in force have
 * changed; the old ones live on until the next call of matd_keys_run(). */
bool matd_keys_run(struct matd_keys_store *, int64_t now_us);
int64_t matd_keys_deadline_us(const struct matd_keys_store *);
void matd_keys_reload(struct matd_keys_store *);        /* Look at once. */

/* The keys in force, or null; what is wrong with the files, or null; and how
 * often the keys in force have changed. */
const struct matd_keys *matd_keys_get(const struct matd_keys_store *);
const char *matd_keys_error(const struct matd_keys_store *);
unsigned int matd_keys_n_changes(const struct matd_keys_store *);

#endif /* matd-keys.h */
