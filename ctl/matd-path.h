/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_PATH_H
#define MATD_PATH_H 1

/* Path measurements of "matctl path HOST": the I/O around lib/mat-path.h; and
 * what other hosts know of a HoA, for "matctl trace".
 *
 * Plain probes and all answers go through the gossip socket; probes from MoAs
 * are frames that the switch sends, so that they take the way of the VMNs'
 * packets and no privilege is needed.  Every host answers the probes of
 * members, so many a second, to the address that the member has claimed: an
 * answer is shorter than a probe and never goes to a third party.
 *
 * Needs no Open vSwitch.  Threads: one caller at a time. */

#include "mat-path.h"
#include "matd-gossip.h"

enum {
    MATD_PATH_RUNNING_MAX = 16,         /* Measurements at a time. */
    MATD_PATH_ANSWERS_S = 500
};

struct matd_path_request {
    uint64_t host;
    struct mat_addr own_moa;    /* A free one of this host's stock, or zero. */
    struct mat_mac src, dst;    /* Uplink and next hop to the other host. */
    uint16_t mtu;               /* Of the uplink; 0: no next hop is known, and
                                 * only plain probes can be sent. */
};

/* What a host knows of a HoA. */
struct matd_path_known {
    struct mat_addr moa;        /* Live in its table, or zero. */
    uint32_t epoch;             /* Of the record; 0: it has none. */
    uint16_t seq;               /* Its last bits. */
    uint16_t flags;             /* MAT_PATH_KNOWS_*. */
};

struct matd_path_hooks {
    void *aux;

    /* Fills in 'moa' and 'flags' of what this host knows.  May be null. */
    void (*where)(void *aux, uint32_t zone, const struct mat_addr *hoa,
                  struct matd_path_known *);

    /* Has the switch send a frame out of the uplink. */
    void (*inject)(void *aux, const uint8_t *frame, size_t size);
};

struct matd_path;

struct matd_path *matd_path_create(struct matd_gossip *,
                                   const struct matd_path_hooks *);
void matd_path_destroy(struct matd_path *);

/* Begins a measurement; 'done' is called once, from matd_path_run() or
 * matd_path_destroy(), where 'result' is null.  False with 'error' filled in
 * if it cannot begin. */
bool matd_path_start(struct matd_path *, int64_t now_us,
                     const struct matd_keys *,
                     const struct matd_path_request *,
                     void (*done)(void *aux, uint64_t host,
                                  const struct mat_path_result *result),
                     void *aux, char error[MATD_GOSSIP_ERROR_MAX]);

/* Asks 'host' what it knows of 'hoa'.  'done' is called as above; 'known' is
 * null if it does not answer. */
bool matd_path_ask(struct matd_path *, int64_t now_us,
                   const struct matd_keys *, uint64_t host, uint32_t zone,
                   const struct mat_addr *hoa,
                   void (*done)(void *aux, const struct matd_path_known *),
                   void *aux, char error[MATD_GOSSIP_ERROR_MAX]);

/* For matd_gossip_hooks.path. */
void matd_path_receive(struct matd_path *, int64_t now_us,
                       const struct matd_keys *,
                       const struct mat_endpoint *from,
                       const uint8_t *data, size_t size);

void matd_path_run(struct matd_path *, int64_t now_us);
int64_t matd_path_deadline_us(const struct matd_path *);

/* How many probes were answered, and how many not since there were too many
 * of them, or by strangers. */
void matd_path_counters(const struct matd_path *, uint64_t *n_answered,
                        uint64_t *n_refused);

/* Sentences about a result, a line each: what is wrong and what it means.
 * Returns the size of the text, "" if all is well. */
size_t matd_path_explain(const struct mat_path_result *, char *text,
                         size_t max);

#endif /* matd-path.h */
