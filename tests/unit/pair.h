/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H 1

/* Hosts of a cluster in one process: keys made by "matctl key", real
 * libsodium, real sockets on the loopback device, one poll loop.  What fails
 * here fails the test program. */

#include "folder.h"
#include "matd-gossip.h"

enum { PAIR_HOSTS = 2, PAIR_VMNS_MAX = 1024 };

struct pair_host {
    const char *name;           /* "a", "b". */
    char dir[FOLDER_PATH_MAX];  /* Of its keys. */
    struct matd_keys *keys;
    struct matd_gossip *gossip;
    struct matd_gossip_config config;

    /* What the hooks were told. */
    int64_t applied_us[PAIR_VMNS_MAX];  /* By the last bytes of the HoA. */
    int64_t pushed_us[PAIR_VMNS_MAX], push_took_us[PAIR_VMNS_MAX];
    uint64_t owner[PAIR_VMNS_MAX];
    int n_errors, n_path;
    size_t path_size;
    struct mat_endpoint path_from;
    uint32_t generation;
    char line[MATD_GOSSIP_ERROR_MAX];   /* Of the log, the last. */
    void (*path)(void *aux, int64_t now_us, const struct mat_endpoint *from,
                 const uint8_t *data, size_t size);
    void *path_aux;
};

struct pair {
    char cluster[FOLDER_PATH_MAX];
    struct pair_host hosts[PAIR_HOSTS];
};

int64_t pair_now_us(void);
struct mat_addr pair_addr(const char *);
struct mat_key pair_key(int vmn);
struct mat_addr pair_moa(int host, int vmn);
uint16_t pair_free_port(const struct mat_addr *);

/* Runs "matctl key" with arguments up to a null; it must succeed. */
void pair_matctl(const char *first, ...);

/* Makes keys in 'dir' and starts both hosts, bound to 'bind' (null: to what
 * they advertise) and advertised at 'addr', with free ports. */
void pair_start(struct pair *, const char *dir, const char *addr,
                const char *bind);
void pair_stop(struct pair *);
void pair_start_engine(struct pair_host *, uint32_t generation);

/* Runs until 'is_so' or for 'ms'; returns whether it is so. */
bool pair_run(struct pair *, bool (*is_so)(struct pair *), int ms);
bool pair_has_met(struct pair *);

/* Calls of the engine, as the agent makes them. */
void pair_call(struct pair_host *, struct mat_call);

#endif /* pair.h */
