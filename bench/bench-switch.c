/* SPDX-License-Identifier: Apache-2.0 */

/* Cycles per packet of mat_switch() alone, without Open vSwitch.
 *
 *   bench-switch [MAPPINGS]...
 *
 * Batches of 32 UDP frames over random mappings, first copied into buffers as
 * a driver would, then timed.  For work on the fast path: it says in a second
 * what bench-cycles says in minutes, without what the rest of the datapath
 * adds to the pressure on the caches. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "mat-switch.h"
#include "mat-word.h"

enum {
    N_FRAMES = 50000,
    FRAME_STRIDE = 192,         /* Some room between frames in memory. */
    BATCH = 32,
    N_BUFFERS = 512,            /* As in a per-core cache of a mempool. */
    BUFFER_SIZE = 2496,         /* No power of two, or all frames would meet
                                 * in a few sets of the cache. */
    ROUNDS = 40,                /* Times all frames. */
    N_LOCAL = 8,
    ZONE = 7,
    VM_PORT = 3, UPLINK_PORT = 4
};

#define ARENA ((size_t) 16 << 30)   /* Of address space. */

struct input {
    uint8_t (*frames)[FRAME_STRIDE];
    uint32_t size;
};

static uint64_t random_state = 1;

static uint32_t
random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t) ((random_state >> 33) % n);
}

/* Memory in huge pages if the kernel has them, given out once.  Pages that are
 * never touched cost nothing.  As in the switch, only what is as large as a
 * cache line is aligned to one. */
static void *
alloc_zeroed(size_t size)
{
    static char *arena, *next;

    if (!arena) {
        arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arena == MAP_FAILED) {
            perror("bench-switch");
            exit(EXIT_FAILURE);
        }
        madvise(arena, ARENA, MADV_HUGEPAGE);
        next = arena;
    }
    next += -(uintptr_t) next & (size < 64 ? 15 : 63);
    if (size > (size_t) (arena + ARENA - next)) {
        return NULL;
    }
    next += size;
    return next - size;
}

static void
keep(void *p, size_t size)
{
    (void) p;
    (void) size;
}

static void
no_readers(void *aux)
{
    (void) aux;
}

static void
must(enum mat_table_error error)
{
    if (error) {
        fprintf(stderr, "bench-switch: %s\n", mat_table_strerror(error));
        exit(EXIT_FAILURE);
    }
}

/* Address 'i' of a kind, in one of the families. */
static struct mat_addr
address(bool v4, uint8_t kind, uint32_t i)
{
    uint8_t b[16] = { 0xfd, kind };

    if (v4) {
        b[12] = kind;
    }
    b[13] = (uint8_t) (i >> 16);
    b[14] = (uint8_t) (i >> 8);
    b[15] = (uint8_t) i;
    return v4 ? mat_addr_from_v4(&b[12]) : mat_addr_from_v6(b);
}

enum { LOCAL_HOA = 10, REMOTE_HOA = 11, LOCAL_MOA = 20, REMOTE_MOA = 21 };

static struct mat_mac
mac(uint8_t kind, uint32_t i)
{
    return (struct mat_mac) { { 2, kind, 0, (uint8_t) (i >> 16),
                                (uint8_t) (i >> 8), (uint8_t) i } };
}

static struct mat_table *
make_table(bool v4, uint32_t n)
{
    const struct mat_table_config config = {
        .seed = { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f },
        .alloc = alloc_zeroed,
        .free = keep,
        .synchronize = no_readers,
    };
    struct mat_table *table = mat_table_create(&config);
    struct mat_nexthop hop = { 1, mac(1, 1), mac(1, 2), 0, false };
    struct mat_port vm = { .name = "vm", .role = MAT_PORT_VM, .mtu = 1500 };
    struct mat_port up = { .name = "up", .role = MAT_PORT_UPLINK };
    struct mat_mac own = mac(1, 1);
    unsigned int plen = v4 ? 32 : 128;

    must(mat_table_put_nexthop(table, &hop));
    must(mat_table_put_port(table, &vm));
    must(mat_table_put_port(table, &up));
    mat_table_port_attached(table, "vm", VM_PORT, &own, 1500);
    mat_table_port_attached(table, "up", UPLINK_PORT, &own, 1500);
    for (uint32_t i = 0; i < n + N_LOCAL; i++) {
        bool local = i >= n;
        uint32_t j = local ? i - n : i;
        struct mat_entry e = {
            .zone = ZONE,
            .hoa = address(v4, local ? LOCAL_HOA : REMOTE_HOA, j + 1),
            .moa = address(v4, local ? LOCAL_MOA : REMOTE_MOA, j + 1),
            .plen = (uint8_t) plen,
            .state = local ? MAT_STATE_LOCAL : MAT_STATE_REMOTE,
            .mac = mac(local ? 3 : 4, j + 1),
            .nexthop = local ? 0 : 1,
        };

        if (local) {
            memcpy(e.port, "vm", 3);
        }
        must(mat_table_put(table, &e));
    }
    mat_table_quiesce(table);
    return table;
}

static void
set_frame(uint8_t *f, bool v4, const struct mat_addr *src,
          const struct mat_addr *dst, const struct mat_mac *eth_src)
{
    const struct mat_mac gateway = MAT_GATEWAY_MAC;

    memcpy(f, &gateway, 6);
    memcpy(f + 6, eth_src, 6);
    memcpy(f + 12, v4 ? "\x08\0" : "\x86\xdd", 2);
    if (v4) {
        memcpy(f + 14, "\x45\0\0\x2e\0\0\x40\0\x40\x11", 10);
        memcpy(f + 26, &src->b[12], 4);
        memcpy(f + 30, &dst->b[12], 4);
        memcpy(f + 34, "\x12\x34\0\x50\0\x1a\x55\x55", 8);
    } else {
        memcpy(f + 14, "\x60\0\0\0\0\x0a\x11\x40", 8);
        memcpy(f + 22, src->b, 16);
        memcpy(f + 38, dst->b, 16);
        memcpy(f + 54, "\x12\x34\0\x50\0\x0a\x55\x55", 8);
    }
}

static struct input
make_input(bool v4, bool in, uint32_t n)
{
    struct input input = { alloc_zeroed(N_FRAMES * FRAME_STRIDE),
                           v4 ? 60 : 64 };

    for (size_t i = 0; i < N_FRAMES; i++) {
        uint32_t l = random_below(N_LOCAL) + 1, r = random_below(n) + 1;
        struct mat_addr local = address(v4, in ? LOCAL_MOA : LOCAL_HOA, l);
        struct mat_addr remote = address(v4, in ? REMOTE_MOA : REMOTE_HOA, r);
        struct mat_mac eth_src = mac(3, l);

        set_frame(input.frames[i], v4, in ? &remote : &local,
                  in ? &local : &remote, &eth_src);
    }
    return input;
}

/* One batch: the driver's copy, and the timed switch.  Returns cycles. */
static uint64_t
run_batch(const struct mat_switch_call *call, const struct input *input,
          size_t first, uint8_t (*buffers)[BUFFER_SIZE])
{
    static size_t next_buffer;
    struct mat_frame frames[BATCH];
    uint64_t start;

    for (size_t i = 0; i < BATCH; i++) {
        uint8_t *data = buffers[next_buffer++ % N_BUFFERS] + 128;

        memcpy(data, input->frames[(first + i) % N_FRAMES], 64);
        frames[i] = (struct mat_frame) { .data = data, .size = input->size,
                                         .l3_ofs = 14 };
    }
    start = __rdtsc();
    mat_switch(call, frames, BATCH);
    start = __rdtsc() - start;
    for (size_t i = 0; i < BATCH; i++) {
        if (frames[i].verdict != MAT_V_TRANSLATED
            && frames[i].verdict != MAT_V_DELIVERED) {
            fprintf(stderr, "bench-switch: verdict %d\n", frames[i].verdict);
            exit(EXIT_FAILURE);
        }
    }
    return start;
}

static int
compare(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static double
measure(const struct mat_table *table, bool v4, bool in, uint32_t n)
{
    static struct mat_switch_thread thread;
    const struct mat_switch_call call = {
        .table = table,
        .thread = &thread,
        .word = in ? MAT_WORD_IN : ZONE,
        .in_port = in ? UPLINK_PORT : VM_PORT,
    };
    struct input input = make_input(v4, in, n);
    uint8_t (*buffers)[BUFFER_SIZE] = alloc_zeroed(N_BUFFERS
                                                   * sizeof *buffers);
    double rounds[ROUNDS];

    for (size_t r = 0; r < ROUNDS; r++) {
        uint64_t cycles = 0;

        for (size_t i = 0; i < N_FRAMES; i += BATCH) {
            cycles += run_batch(&call, &input, i, buffers);
        }
        rounds[r] = (double) cycles / N_FRAMES;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    return rounds[ROUNDS / 2];
}

int
main(int argc, char *argv[])
{
    printf("family  mappings     out      in   (cycles per packet)\n");
    for (int family = 0; family < 2; family++) {
        for (int i = 1; i < argc; i++) {
            uint32_t n = (uint32_t) strtoul(argv[i], NULL, 10);
            struct mat_table *table = make_table(!family, n);

            printf("%-6s  %8u  %6.1f  %6.1f\n", family ? "v6" : "v4", n,
                   measure(table, !family, false, n),
                   measure(table, !family, true, n));
            mat_table_destroy(table);
        }
    }
    return 0;
}
