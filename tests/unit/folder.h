/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H 1

/* A folder of its own for each test, under $TMPDIR or /tmp, and files in it.
 * What fails here fails the test program. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FOLDER_PATH_MAX = 512, FOLDER_FILE_MAX = 1 << 16 };

/* cmocka's setup and teardown: '*state' is the path. */
int folder_setup(void **state);
int folder_teardown(void **state);

/* 'dir'/'name', in one of four buffers that take turns. */
const char *folder_path(const char *dir, const char *name);

size_t folder_read(const char *dir, const char *name,
                   uint8_t bytes[FOLDER_FILE_MAX]);
void folder_write(const char *dir, const char *name, const void *,
                  size_t size, mode_t mode);

/* How many files' names start with 'prefix'. */
int folder_count(const char *dir, const char *prefix);

#endif /* folder.h */
