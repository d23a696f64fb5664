/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_UPDATE_H
#define BENCH_UPDATE_H 1

/* What the generator and the sink of bench-update share with its client, in a
 * file that all map.
 *
 * Half of the packets are probes: they go to one address, whose translation
 * the client changes.  Translation number k of it is 172.16.0.0 + k, or
 * 172.16/12 with k in its last 20 bits.  A time is a reading of the time stamp
 * counter, which all cores share.  Zero means "not yet". */

#include <stdint.h>
#include <x86intrin.h>

enum {
    BENCH_VALUES = 1 << 20,         /* Translations of the probe. */
    BENCH_VALUE_MASK = BENCH_VALUES - 1,
    BENCH_MAGIC = 0x62756d61
};

#define BENCH_PROBE_HOA 0x0a400001  /* 10.64.0.1 */
#define BENCH_OTHER_HOA 0x0a800000  /* 10.128.0.0 plus a number. */
#define BENCH_VALUE_BASE 0xac100000 /* 172.16.0.0 */
#define BENCH_HOME_MOA 0xc6120000   /* 198.18.0.0 plus the number. */
#define BENCH_AWAY_MOA 0x64400000   /* 100.64.0.0 plus the number. */

/* What the sink knows of a translation.  Times written by the PMD. */
struct bench_value {
    uint64_t first_out;             /* When the first packet left. */
    uint64_t first_in;              /* When that packet had come in. */
    uint64_t last_in;               /* When the last packet had come in. */
    uint64_t first_sequence;        /* Of the first packet. */
};

struct bench_shared {
    uint32_t magic;                 /* Set by the client. */
    uint32_t n_others;              /* Other addresses; set by the client. */
    uint64_t n_in, n_out;           /* Packets, of the PMD. */
    uint64_t n_reordered;           /* Probes that overtook one another. */
    struct bench_value values[BENCH_VALUES];

    /* Of the client, from one run of it to the next. */
    uint32_t next_mover;            /* Which of the others moves next. */
    uint8_t is_away[BENCH_VALUES];  /* Which of its two MoAs has each? */
};

/* What a packet carries after its UDP header. */
struct bench_payload {
    uint32_t magic;
    uint32_t is_probe;
    uint64_t sequence;
    uint64_t time_in;
} __attribute__((packed));

static inline uint64_t
bench_now(void)
{
    return __rdtsc();
}

#endif /* bench-update.h */
