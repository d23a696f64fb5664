/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_STATE_FILE_H
#define MATD_STATE_FILE_H 1

/* The files of matd-state.h: reading, setting aside, and writing so that after
 * a crash there is the old one or the new one. */

#include "matd-state.h"

enum {
    MATD_STATE_GENERATION = 1,  /* Kinds of file, as in their header. */
    MATD_STATE_STATE = 2,
    MATD_STATE_SPARE = 3,       /* A generation, too. */
    MATD_STATE_EMPTY_SIZE = 8 + 2 + 2 + 4 + 4 + 16,
    MATD_STATE_SECTION_HEAD = 8
};

/* Reads the file of 'kind' in folder 'dir'.  One that is not there, or not
 * good and therefore set aside, gives empty contents; then 'warning' is added
 * to.  '*bytes' is to be freed.  False with 'error' filled in if it cannot be
 * read or set aside. */
bool matd_state_read(int dir, uint16_t kind, uint8_t **bytes,
                     struct matd_state_contents *, uint64_t *n_damaged,
                     char error[MATD_STATE_ERROR_MAX],
                     char warning[MATD_STATE_ERROR_MAX]);

/* Puts a file on disk.  Returns 0 or an errno; then the old one is there. */
int matd_state_write(int dir, uint16_t kind, const void *bytes, size_t size);

/* Overwrites a file of the same size, which takes no room.  After a crash it
 * may be torn. */
int matd_state_overwrite(int dir, uint16_t kind, const void *bytes,
                         size_t size);

#endif /* matd-state-file.h */
