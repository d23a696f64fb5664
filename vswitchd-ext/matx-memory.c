/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "util.h"

enum {
    CHUNK_LOG2 = 21,            /* A huge page. */
    BLOCK_LOG2_MIN = 12         /* Smaller ones are malloc's. */
};

#define CHUNK ((size_t) 1 << CHUNK_LOG2)

/* A chunk, and how many of its blocks are in use. */
struct chunk {
    struct hmap_node node;      /* In 'chunks', by 'start'. */
    uint8_t *start;
    unsigned int n_used;
};

static struct hmap chunks = HMAP_INITIALIZER(&chunks);

/* Free blocks by size; each begins with its node. */
static struct ovs_list free_blocks[CHUNK_LOG2 + 1];

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

static struct ovs_list *
block_node(uint8_t *block)
{
    return ALIGNED_CAST(struct ovs_list *, block);
}

static struct chunk *
find_chunk(const void *block)
{
    uintptr_t start = (uintptr_t) block & ~(uintptr_t) (CHUNK - 1);
    struct chunk *chunk;

    HMAP_FOR_EACH_WITH_HASH (chunk, node, hash_pointer((void *) start, 0),
                             &chunks) {
        if ((uintptr_t) chunk->start == start) {
            return chunk;
        }
    }
    OVS_NOT_REACHED();
}

/* Cuts a new chunk into blocks. */
static bool
refill(unsigned int log2)
{
    uint8_t *start = map_aligned(CHUNK);
    struct chunk *chunk;

    if (!start) {
        return false;
    }
    chunk = xzalloc(sizeof *chunk);
    chunk->start = start;
    hmap_insert(&chunks, &chunk->node, hash_pointer(start, 0));
    for (size_t ofs = 0; ofs < CHUNK; ofs += (size_t) 1 << log2) {
        ovs_list_push_front(&free_blocks[log2], block_node(start + ofs));
    }
    return true;
}

/* Gives a chunk back none of whose blocks is in use. */
static void
give_back(struct chunk *chunk, unsigned int log2)
{
    for (size_t ofs = 0; ofs < CHUNK; ofs += (size_t) 1 << log2) {
        ovs_list_remove(block_node(chunk->start + ofs));
    }
    hmap_remove(&chunks, &chunk->node);
    munmap(chunk->start, CHUNK);
    free(chunk);
}

static void *
block_alloc(unsigned int log2)
{
    struct ovs_list *list = &free_blocks[log2];
    struct ovs_list *block;

    if (!list->next) {
        ovs_list_init(list);
    }
    if (ovs_list_is_empty(list) && !refill(log2)) {
        return NULL;
    }
    block = ovs_list_pop_front(list);
    find_chunk(block)->n_used++;
    return block;
}

static void
block_free(void *block, unsigned int log2)
{
    struct chunk *chunk = find_chunk(block);

    ovs_list_push_front(&free_blocks[log2], block_node(block));
    if (!--chunk->n_used) {
        give_back(chunk, log2);
    }
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
    void *block;

    if (log2 < BLOCK_LOG2_MIN) {
        return small_alloc(size);
    } else if (log2 > CHUNK_LOG2) {
        return map_aligned(big_size(size));
    }
    block = block_alloc(log2);
    return block ? memset(block, 0, size) : NULL;
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
        block_free(p, log2);
    }
}
