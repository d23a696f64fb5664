/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util.h"

enum {
    CHUNK_LOG2 = 21,            /* A huge page. */
    BLOCK_LOG2_MIN = 12         /* Smaller ones are malloc's. */
};

#define CHUNK ((size_t) 1 << CHUNK_LOG2)

struct free_block {
    struct free_block *next;
};

static struct free_block *free_blocks[CHUNK_LOG2 + 1];

/* Maps 'size' bytes, a multiple of CHUNK, aligned to CHUNK. */
static void *
map_aligned(size_t size)
{
    uint8_t *p = mmap(NULL, size + CHUNK, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t before;

    if (p == MAP_FAILED) {
        return NULL;
    }
    before = -(uintptr_t) p & (CHUNK - 1);
    if (before) {
        munmap(p, before);
    }
    munmap(p + before + size, CHUNK - before);
    /* Without huge pages it is only slower. */
    madvise(p + before, size, MADV_HUGEPAGE);
    return p + before;
}

static unsigned int
block_log2(size_t size)
{
    return log_2_ceil(size);
}

static bool
refill(unsigned int log2)
{
    uint8_t *chunk = map_aligned(CHUNK);

    if (!chunk) {
        return false;
    }
    for (size_t ofs = 0; ofs < CHUNK; ofs += (size_t) 1 << log2) {
        struct free_block *block = ALIGNED_CAST(struct free_block *,
                                                chunk + ofs);

        block->next = free_blocks[log2];
        free_blocks[log2] = block;
    }
    return true;
}

static void *
small_alloc(size_t size)
{
    void *p;

    if (posix_memalign(&p, size < CACHE_LINE_SIZE ? 16 : CACHE_LINE_SIZE,
                       size)) {
        return NULL;
    }
    return memset(p, 0, size);
}

static size_t
big_size(size_t size)
{
    return ROUND_UP(size, CHUNK);
}

void *
matx_memory_alloc(size_t size)
{
    unsigned int log2 = block_log2(size);
    struct free_block *block;

    if (log2 < BLOCK_LOG2_MIN) {
        return small_alloc(size);
    } else if (log2 > CHUNK_LOG2) {
        return map_aligned(big_size(size));
    } else if (!free_blocks[log2] && !refill(log2)) {
        return NULL;
    }
    block = free_blocks[log2];
    free_blocks[log2] = block->next;
    return memset(block, 0, size);
}

void
matx_memory_free(void *p, size_t size)
{
    unsigned int log2 = block_log2(size);

    if (!p) {
        return;
    } else if (log2 < BLOCK_LOG2_MIN) {
        free(p);
    } else if (log2 > CHUNK_LOG2) {
        munmap(p, big_size(size));
    } else {
        struct free_block *block = p;

        block->next = free_blocks[log2];
        free_blocks[log2] = block;
    }
}
