/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRAMES_H
#define FRAMES_H 1

/* Frames for tests, and the truth about them.
 *
 * A struct frame_spec says what a frame shall be; frame_compose() writes it,
 * byte by byte and with checksums summed from scratch, and notes where things
 * are.  Nothing here uses the code under test.  So "rewrite these addresses"
 * has a reference that shares nothing with it: compose the same spec with the
 * other addresses.
 *
 * Also: memory that ends at a page that must not be touched, and random
 * numbers that a seed repeats. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* IPv6 extension headers (AH also in IPv4). */
enum frame_ext {
    FRAME_HOP_BY_HOP,
    FRAME_DEST_OPTS,
    FRAME_ROUTE_DONE,           /* Routing header, no segments left. */
    FRAME_ROUTE_PENDING,        /* One segment left: its address counts. */
    FRAME_FRAG_ATOMIC,
    FRAME_FRAG_FIRST,
    FRAME_FRAG_LATER,
    FRAME_AH,
    FRAME_N_EXT
};

/* What is in a checksum field of the upper layer. */
enum frame_csum {
    FRAME_CSUM_RIGHT,
    FRAME_CSUM_WRONG,           /* Right plus 'l4_error'. */
    FRAME_CSUM_ABSENT,          /* 0. */
    FRAME_CSUM_PARTIAL          /* The pseudo header, not complemented. */
};

enum {
    FRAME_EXT_MAX = 10,
    FRAME_SIZE_MAX = 10240,
    FRAME_NONE = UINT16_MAX     /* For offsets in struct frame. */
};

struct frame_addrs {
    uint8_t src[16], dst[16];   /* IPv4: the first 4 bytes. */
};

struct frame_spec {
    bool v6;
    uint8_t n_vlans;
    uint8_t proto;
    uint8_t ttl;
    struct frame_addrs addrs;

    uint8_t options_len;        /* IPv4: bytes of NOP, a multiple of 4. */
    bool route_pending;         /* IPv4: 12 bytes more, of LSRR and NOP. */
    uint16_t frag;              /* IPv4: the field with DF, MF and offset. */
    uint8_t n_ext;
    enum frame_ext ext[FRAME_EXT_MAX];

    uint32_t payload_size;      /* After the fixed upper layer header. */
    uint32_t seed;              /* For the payload. */
    uint16_t l3_error;          /* Added to the right IPv4 checksum. */
    uint16_t l4_error;
    enum frame_csum csum;

    uint8_t icmp_type, icmp_code;
    uint8_t icmp_length;        /* RFC 4884, in the units of the family. */
    const struct frame_spec *quoted;    /* Payload, or null. */
    uint32_t quoted_max;        /* As much of it as there is room for. */
};

struct frame {
    uint32_t size, end;
    uint16_t l3_ofs;
    uint16_t l4_ofs;            /* FRAME_NONE in a later fragment. */
    uint32_t headers_end;       /* A cut before this cuts a header. */
    uint16_t l3_csum_ofs;       /* FRAME_NONE if there is none. */
    uint16_t l4_csum_ofs;
    uint8_t data[FRAME_SIZE_MAX];
};

void frame_compose(const struct frame_spec *, struct frame *);

/* The fixed size of the header of 'proto', the least that a packet has. */
uint32_t frame_l4_len(uint8_t proto, bool v6);

/* RFC 1071 by 16-bit words in network order: the sum, folded. */
uint16_t frame_sum(uint32_t sum, const void *data, size_t size);

/* True if 'data' is a whole frame without padding, with up to two tags and an
 * IP packet without options whose lengths and checksums (of UDP, ICMP and
 * ICMPv6) are right. */
bool frame_is_right(const uint8_t *data, size_t size);

/* Memory of 'size' bytes that ends where a page begins that faults, up to
 * FRAME_SIZE_MAX.  Each call reuses the same memory. */
uint8_t *guarded(size_t size);

/* A copy of 'data' in such memory. */
uint8_t *guarded_copy(const void *data, size_t size);

/* Random numbers. */
uint64_t random64(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t n);
void random_bytes(uint64_t *state, void *, size_t size);

/* Some frame that the code under test must accept: any kind, any checksum
 * state but partial.  '*quoted' is for what it quotes. */
void random_spec(uint64_t *state, struct frame_spec *,
                 struct frame_spec *quoted);

#endif /* frames.h */
