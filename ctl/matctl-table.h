/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATCTL_TABLE_H
#define MATCTL_TABLE_H 1

/* Tables for people: cells are added row by row, and columns get the width of
 * their widest cell.
 *
 *     struct matctl_table *t = matctl_table_create("NAME", ">BYTES", NULL);
 *
 *     matctl_table_cell(t, "vm1");
 *     matctl_table_cell(t, "1500");
 *     matctl_table_print(t, stdout);
 *     matctl_table_destroy(t);
 *
 * A title that begins with '>' is that of a column aligned to the right.
 * Control characters in cells are shown as '?', so that what a database holds
 * cannot steer a terminal.  An empty cell is shown as "-".
 *
 * Needs no Open vSwitch.  Threads: none. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct matctl_table;

/* Titles up to a null. */
struct matctl_table *matctl_table_create(const char *title, ...)
    __attribute__((sentinel));
void matctl_table_destroy(struct matctl_table *);

void matctl_table_cell(struct matctl_table *, const char *text);
size_t matctl_table_n_rows(const struct matctl_table *);

/* Prints titles and rows; nothing if there are no rows. */
void matctl_table_print(const struct matctl_table *, FILE *);

/* Times for people: "250 us", "3.2 ms", "1.25 s", "4m10s", "3h02m", "12d". */
enum { MATCTL_DURATION_MAX = 32 };
const char *matctl_duration(int64_t us, char buf[static MATCTL_DURATION_MAX]);

#endif /* matctl-table.h */
