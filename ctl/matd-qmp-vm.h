/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_QMP_VM_H
#define MATD_QMP_VM_H 1

/* What QMP messages mean for a VMN, as a pure state machine: messages in,
 * hints and commands out.
 *
 * The one question that matters: has the VM stopped *because it is moving*?
 * QEMU says STOP for a pause, a snapshot, an I/O error and the last phase of
 * a migration alike, so at a STOP it is asked for its runstate.  Rules:
 *
 *     finish-migrate, postmigrate                     moving: STOPPED
 *     any stop, and MIGRATION says device,
 *       pre-switchover, postcopy-active               moving: STOPPED
 *     paused, save-vm, io-error, ...                  not moving: PAUSED
 *     not yet known, but a migration has begun        perhaps: STOPPING
 *     MIGRATION completed on a VM that was stopped    it is elsewhere: MOVED
 *     MIGRATION failed or cancelled                   it stays here: FAILED
 *     inmigrate                                       it comes: INCOMING
 *     running, after any of these                     it runs here: RUNNING
 *     SHUTDOWN                                        it has ended: SHUTDOWN
 *       of a VM that was STOPPED or has MOVED         QEMU's end only: MOVED
 *       of one that was INCOMING                      it did not come: FAILED
 *
 * A pause during a migration is a pause, and becomes STOPPED when the
 * migration gets to its last phase.  A saved VM (virsh save) is a pause and
 * then MOVED: it is not here any more, and where it will be is not known.
 *
 * Hints are given when they change; the same one is not repeated, but for
 * RESET.  Unknown events, runstates and members are ignored.
 *
 * QEMU may not be told to send MIGRATION events while a migration goes on, so
 * the caller polls while something is under way (matd_qmp_vm_is_waiting()).
 *
 *     n = matd_qmp_vm_feed(vm, bytes, size);   one message at most
 *     ...take vm->hints, send vm->commands, look at vm->error...
 *     ...and again with what is left of the bytes... */

#include <stdbool.h>
#include <stddef.h>

struct json_parser;

/* MATD_QMP_HINT(ENUM, "name") */
#define MATD_QMP_HINTS                                                      \
    MATD_QMP_HINT(NONE, "none")                                             \
    MATD_QMP_HINT(INCOMING, "incoming") /* A migration to here began. */    \
    MATD_QMP_HINT(RUNNING, "running")   /* Runs here. */                    \
    MATD_QMP_HINT(PAUSED, "paused")     /* Stopped, but it stays. */        \
    MATD_QMP_HINT(STOPPING, "stopping") /* Stopped, perhaps to go. */       \
    MATD_QMP_HINT(STOPPED, "stopped")   /* Stopped to go elsewhere. */      \
    MATD_QMP_HINT(MOVED, "moved")       /* Has gone. */                     \
    MATD_QMP_HINT(FAILED, "failed")     /* Did not go after all. */         \
    MATD_QMP_HINT(RESET, "reset")       /* Was reset, runs on. */           \
    MATD_QMP_HINT(SHUTDOWN, "shutdown") /* Has ended. */                    \
    MATD_QMP_HINT(LOST, "lost")         /* The connection has ended. */

enum matd_qmp_hint {
#define MATD_QMP_HINT(ENUM, NAME) MATD_QMP_##ENUM,
    MATD_QMP_HINTS
#undef MATD_QMP_HINT
    MATD_QMP_N_HINTS
};

const char *matd_qmp_hint_name(enum matd_qmp_hint);

enum matd_qmp_migration {
    MATD_QMP_MIG_NONE,          /* Also: completed long ago, failed, ... */
    MATD_QMP_MIG_ACTIVE,        /* Copying, the VM may run. */
    MATD_QMP_MIG_SWITCHING,     /* The VM is stopped for it. */
    MATD_QMP_MIG_DONE
};

enum matd_qmp_phase {
    MATD_QMP_GREETING,          /* Nothing received yet. */
    MATD_QMP_NEGOTIATING,
    MATD_QMP_READY
};

enum {
    MATD_QMP_RUNSTATE_MAX = 32,
    MATD_QMP_OUT_MAX = 8,
    MATD_QMP_MESSAGE_MAX = 1 << 18      /* Bytes.  Longest seen: 4 kB. */
};

struct matd_qmp_vm {
    enum matd_qmp_phase phase;
    enum matd_qmp_migration migration;
    bool is_incoming;           /* The VM came, or comes, by a migration and
                                 * has not run here yet. */
    char runstate[MATD_QMP_RUNSTATE_MAX];       /* "" if not known. */
    enum matd_qmp_hint last;

    struct json_parser *parser; /* Of a message that has begun, or null. */
    size_t n_bytes;             /* Of it so far. */

    /* To be taken by the caller after each call. */
    enum matd_qmp_hint hints[MATD_QMP_OUT_MAX];
    unsigned int n_hints;
    const char *commands[MATD_QMP_OUT_MAX];     /* JSON, to be sent. */
    unsigned int n_commands;
    const char *error;          /* To be disconnected for it, or null. */
};

void matd_qmp_vm_init(struct matd_qmp_vm *);
void matd_qmp_vm_destroy(struct matd_qmp_vm *);

/* Takes bytes up to the end of a message, and what it means.  Returns how many
 * it took; all of them if there is an error. */
size_t matd_qmp_vm_feed(struct matd_qmp_vm *, const char *bytes, size_t n);

/* The connection has ended: as after init, but for 'last'. */
void matd_qmp_vm_lost(struct matd_qmp_vm *);

/* Whether the VM may change without an event, and asking for that. */
bool matd_qmp_vm_is_waiting(const struct matd_qmp_vm *);
void matd_qmp_vm_poll(struct matd_qmp_vm *);

#endif /* matd-qmp-vm.h */
