/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_MEM_H
#define MAT_MEM_H 1

/* Allocation that cannot fail: a daemon without memory aborts and is started
 * again by its supervisor, while the switch forwards by its last table.  All
 * that grows by what peers send has a limit of its own, so that no peer can
 * bring this about. */

#include <stdlib.h>

static inline void *
mat_xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q) {
        abort();
    }
    return q;
}

static inline void *
mat_xmalloc(size_t size)
{
    return mat_xrealloc(NULL, size);
}

static inline void *
mat_xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p) {
        abort();
    }
    return p;
}

/* A caller's mistake, never a peer's: stop before more is damaged. */
#define MAT_ASSERT(COND) ((COND) ? (void) 0 : abort())

#endif /* mat-mem.h */
