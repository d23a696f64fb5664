/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_CONFIG_H
#define TABLE_CONFIG_H 1

/* What a table needs of its surroundings, for tests: memory that is counted,
 * spoilt when it is freed, so that what would still use it shows up, and at an
 * end when a test says so. */

#include <stdlib.h>

#include "mat-table.h"

static size_t bytes_in_use;
static bool out_of_memory;

static inline void *
test_allocate(size_t size)
{
    void *p;

    if (out_of_memory || posix_memalign(&p, 64, size)) {
        return NULL;
    }
    bytes_in_use += size;
    return memset(p, 0, size);
}

static inline void
test_release(void *p, size_t size)
{
    bytes_in_use -= size;
    memset(p, 0xa5, size);
    free(p);
}

static inline void
test_synchronize(void *aux)
{
    (void) aux;
}

/* A table without readers in other threads. */
static inline struct mat_table *
test_table_create(void)
{
    const struct mat_table_config config = {
        .seed = { UINT64_C(0x1234567890abcdef), UINT64_C(0xfedcba0987654321) },
        .alloc = test_allocate,
        .free = test_release,
        .synchronize = test_synchronize,
    };

    return mat_table_create(&config);
}

static inline struct mat_addr
test_addr(const char *text)
{
    struct mat_addr a;

    if (!mat_addr_parse(text, &a)) {
        abort();
    }
    return a;
}

#endif /* table-config.h */
