/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_MEMORY_H
#define MATX_MEMORY_H 1

/* Memory for the table, in huge pages where the kernel has them.
 *
 * A table of a million mappings is read at random, so with small pages nearly
 * every lookup would also miss in the TLB.  Blocks of one page or more are cut
 * from aligned chunks of 2 MB for which transparent huge pages are requested;
 * the pages of hugetlbfs are left to DPDK.
 *
 * Blocks are powers of two.  Freed ones are kept for the next request of their
 * size, until no other of the same chunk is in use: then the chunk is given
 * back.
 *
 * Threads: one at a time (the writer of the table). */

#include <stddef.h>

/* Zeroed; aligned to a cache line, unless it is smaller than one: so that many
 * small things lie close together.  Null if there is no memory. */
void *matx_memory_alloc(size_t size);
void matx_memory_free(void *, size_t size);

#endif /* matx-memory.h */
