/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_MIGRATE_H
#define MATCTL_MIGRATE_H 1

/* Parts of "matctl migrate":
 *
 *     matctl-migrate.c        words, and the order of things
 *     matctl-migrate-matd.c   what matd knows, and is told
 *     matctl-migrate-qemu.c   the VM's QEMU: when it stops, progress
 *     matctl-migrate-disk.c   disks that are copied
 *
 * Functions that give a status have said what was wrong. */

#include <signal.h>

#include "matctl.h"
#include "matctl-qmp.h"

enum {
    MIGRATE_POLL_MS = 100,
    MIGRATE_TABLE_MS = 2000,    /* For the switch to do as it was told. */
    MIGRATE_NO_LIMIT = 100000,  /* MB/s. */
    MIGRATE_CARDS_MAX = 32,
    MIGRATE_DISKS_MAX = 32
};

struct migrate_card {
    char *mac;
    char *zone;                 /* "zone=N". */
};

/* Of RAM, as QEMU says. */
struct migrate_progress {
    int64_t total, left, sent;  /* Bytes. */
    int64_t rate;               /* Bytes per millisecond; 0: not known. */
    int64_t dirty;              /* Pages per second. */
    int64_t rounds;             /* How often it has looked what is dirty. */
    int64_t stop_ms;            /* How long the VM would stop, says QEMU. */
};

struct migration {
    struct matctl *ctl;
    volatile sig_atomic_t *interrupted;

    /* As asked for. */
    const char *vm, *host;
    const char *qmp_path, *to_qmp_path, *uri;
    unsigned int port, disk_port, bandwidth, downtime, wait_s;
    bool unprepared, quit, all_disks;
    const char *disks[MIGRATE_DISKS_MAX];       /* Nodes. */
    size_t n_disks;

    /* As found. */
    struct migrate_card cards[MIGRATE_CARDS_MAX];
    size_t n_cards;
    char *host_id, *address;
    char *nodes[MIGRATE_DISKS_MAX];     /* Of the disks. */
    size_t n_nodes;

    struct matctl_qmp *qmp, *to_qmp;
    bool was_running;           /* It was not paused before. */
    bool shares_ram;            /* Nothing of it is copied. */
    bool has_old;               /* These, of QEMU before: */
    int64_t old_downtime, old_bandwidth;
    bool had_events, had_pause; /* Capabilities. */
    bool is_let_go;             /* QEMU was told to go on after the stop. */
    bool is_held;               /* "hold" was said. */
    bool is_told;               /* "stopped" was said. */
    bool serves_disks;          /* The QEMU there does. */
    size_t n_mirrors;           /* Of 'nodes', the first ones. */
    long long int held_ms;      /* When. */
    int64_t held_round;         /* 'rounds' then. */
    struct migrate_progress last;
    long long int last_ms;
    long long int drawn_ms;     /* When progress was printed last. */
    bool is_drawn;              /* In a line that has no end yet. */
};

/* matctl-migrate-matd.c */
enum matctl_status migrate_find_vm(struct migration *);
/* Adds the VM's other cards, by their MACs. */
enum matctl_status migrate_add_card(struct migration *, const char *mac);
enum matctl_status migrate_find_host(struct migration *);
enum matctl_status migrate_wait_prepared(struct migration *);
/* Tells matd of all cards, and waits until the switch has done what follows
 * from it. */
enum matctl_status migrate_hint(struct migration *, const char *kind);

/* matctl-migrate-qemu.c */
/* Executes a command whose result does not matter. */
enum matctl_status migrate_execute(struct matctl_qmp *, const char *command,
                                   struct json *arguments);
/* Its result, or null if it failed. */
struct json *migrate_query(struct matctl_qmp *, const char *command,
                           struct json *arguments);
/* 'state' as query-migrate says it. */
bool migrate_is_under_way(const char *state);
/* Are these monitors those of the VM and of a QEMU that waits for one? */
enum matctl_status migrate_look(struct migration *);
enum matctl_status migrate_start(struct migration *);
/* After a failure: as it was before. */
void migrate_put_back(struct migration *);
/* To be called again and again, after '*wait_ms': holds the VM's packets just
 * before its stop, and draws. */
enum matctl_status migrate_watch(struct migration *, int *wait_ms);
void migrate_draw_disks(struct migration *, int64_t done, int64_t total);
void migrate_end_line(struct migration *);

/* matctl-migrate-disk.c */
enum matctl_status migrate_find_disks(struct migration *);
/* Returns when what was written so far is there, too. */
enum matctl_status migrate_copy_disks(struct migration *);
/* The VM has stopped: the rest, then the other QEMU has the disks. */
enum matctl_status migrate_finish_disks(struct migration *);
void migrate_cancel_disks(struct migration *);

#endif /* matctl-migrate.h */
