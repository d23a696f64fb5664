/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_UNIXCTL_H
#define MATX_UNIXCTL_H 1

/* The commands of `ovs-appctl mat/...`, for people and for tests.  They run in
 * the main thread; what must be fast uses the update socket.  See ovs-mat(7)
 * for what they do and mat-parse.h for their words. */

#include <stdbool.h>

void matx_unixctl_init(void);

/* Takes "--json" out of 'argv', wherever it stands.  True if it was there. */
bool matx_unixctl_take_json(int *argc, const char *argv[]);

#endif /* matx-unixctl.h */
