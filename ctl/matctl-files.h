/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_FILES_H
#define MATCTL_FILES_H 1

/* The files of "matctl key": reading, writing and describing them.
 *
 * What returns bool leaves what went wrong in 'k->error'. */

#include <stdio.h>

#include "matd-keys.h"

enum {
    MATCTL_KEY_ARGS_MAX = 64,
    MATCTL_KEY_COMMENT_MAX = 4096
};

/* A command under way. */
struct matctl_key {
    FILE *out_file, *err;
    const char *cluster, *host, *zones, *hoas, *pools, *days, *out, *new_key;
    const char *args[MATCTL_KEY_ARGS_MAX];
    int n_args;
    char error[MATD_ERROR_MAX];
};

bool matctl_key_name_is_good(const char *);
bool matctl_key_make_folder(struct matctl_key *, const char *dir);
bool matctl_key_is_there(const char *dir, const char *name);
bool matctl_key_refuse_if_there(struct matctl_key *, const char *dir,
                                const char *name);

/* Writes armour.  The file has its name only when it is whole and on disk,
 * and only if there is none of that name or 'may_replace'. */
bool matctl_key_write(struct matctl_key *, const char *dir, const char *name,
                      enum matd_armour, const char *comment,
                      const void *data, size_t size, bool may_replace);

/* Copies a file as it is, over what may be there. */
bool matctl_key_copy(struct matctl_key *, const char *from, const char *to,
                     const char *name);

bool matctl_key_read_seed(struct matctl_key *, const char *dir,
                          const char *name, enum matd_armour,
                          uint8_t seed[MAT_SODIUM_SEED_SIZE]);
bool matctl_key_read_cluster(struct matctl_key *,
                             struct mat_sodium_identity *);
bool matctl_key_read_join(struct matctl_key *, const char *dir,
                          struct matd_join_keys *);

/* False if the keys in 'dir' are of another cluster. */
bool matctl_key_check_cluster_of(struct matctl_key *, const char *dir,
                                 const struct mat_sodium_identity *cluster);

/* Takes the next serial number for the host of 'cert' and writes it to the
 * cluster's list, before it is used.  Refuses two names with one id. */
bool matctl_key_register(struct matctl_key *, const char *name,
                         struct mat_cert *cert);
uint32_t matctl_key_last_serial(struct matctl_key *, uint64_t host);

void matctl_key_describe_cert(const struct mat_cert *, char *text,
                              size_t max);
bool matctl_key_show(struct matctl_key *, const char *path);

#endif /* matctl-files.h */
