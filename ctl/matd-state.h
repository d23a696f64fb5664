/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_STATE_H
#define MATD_STATE_H 1

/* What matd must know after a restart, on disk.
 *
 * Files in one folder (/var/lib/ovs-mat by default):
 *
 *     generation   how often the host has started; never goes back, and is on
 *                  disk before it is used
 *     generation.spare   overwritten in place when the disk is full, so that
 *                  matd can start even then; the greater one counts
 *     state        sections that the agent fills: it alone knows what is in
 *                  them
 *
 * They are written whole to a temporary file, synced, renamed, and the folder
 * is synced: after a crash at any point there is the old one or the new one.
 * A file that is torn is renamed to NAME.damaged-N, one that is not ours or of
 * a later version to NAME.foreign-N, and told about, never deleted and never
 * in the way.  Numbers big-endian:
 *
 *     | "matstat\n" | version (2) | kind (2) | generation (4) |
 *     | number of sections (4) |
 *     | n x { type (4), size (4), bytes } | BLAKE2b of all before (16) |
 *
 * The state is written by a thread of its own, since a sync can take as long
 * as the disk likes: matd_state_save() takes a copy and returns; of several
 * that wait the last one counts.  A write that fails is counted and tried
 * again, and the last good file stays.  Putting all state together is not for
 * free: save when something has changed, nothing is pending and the last time
 * is some 100 ms ago, not at every change.
 *
 * Needs no Open vSwitch.  Threads: one caller at a time.  To be opened after
 * daemonize(), which loses threads. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATD_STATE_DIR "/var/lib/ovs-mat"

enum {
    MATD_STATE_ERROR_MAX = 512,
    MATD_STATE_SECTIONS_MAX = 16,
    MATD_STATE_SIZE_MAX = 16 << 20,     /* 16384 VMNs of a kilobyte. */
    MATD_STATE_RETRY_MS = 5000          /* After a write that failed. */
};

struct matd_state_section {
    uint32_t type;
    const uint8_t *data;
    size_t size;
};

/* What a file has, pointing into its bytes. */
struct matd_state_contents {
    uint32_t generation;
    struct matd_state_section sections[MATD_STATE_SECTIONS_MAX];
    size_t n_sections;
};

struct matd_state;

struct matd_state_status {
    uint64_t n_written, n_failed, n_damaged;
    int64_t last_written_us;    /* How long the last good write took. */
    int last_errno;             /* Of the last write, 0 if it was good. */
    bool is_pending;            /* Something is not on disk yet. */
};

/* Opens the folder, making it if it is not there, and locks it: two agents
 * must not share it.  Null with 'error' filled in.  'warning' tells what was
 * set aside, or is empty. */
struct matd_state *matd_state_open(const char *dir,
                                   char error[MATD_STATE_ERROR_MAX],
                                   char warning[MATD_STATE_ERROR_MAX]);

/* Writes what waits, for at most a second, and closes. */
void matd_state_close(struct matd_state *);

/* What was on disk when it was opened; good until the state is closed. */
const struct matd_state_contents *
matd_state_contents(const struct matd_state *);

/* Sets the generation on disk to the next one, or to 'at_least' if that is
 * more.  Blocks until it is there.  Returns the generation, or 0 with 'error'
 * filled in: then it must not be used. */
uint32_t matd_state_next_generation(struct matd_state *, uint32_t at_least,
                                    char error[MATD_STATE_ERROR_MAX]);
uint32_t matd_state_generation(const struct matd_state *);

/* Has the sections written, soon.  False if they are too large. */
bool matd_state_save(struct matd_state *, const struct matd_state_section *,
                     size_t n);

/* True if the status has changed since the last call: written, or failed.
 * matd_state_fd() becomes readable then. */
bool matd_state_run(struct matd_state *, struct matd_state_status *);
int matd_state_fd(const struct matd_state *);

/* The format, for tests and bug reports. */
size_t matd_state_encode(uint16_t kind, uint32_t generation,
                         const struct matd_state_section *, size_t n,
                         uint8_t *bytes, size_t max);
bool matd_state_decode(const uint8_t *bytes, size_t size, uint16_t kind,
                       struct matd_state_contents *,
                       char error[MATD_STATE_ERROR_MAX]);

#endif /* matd-state.h */
