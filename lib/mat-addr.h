/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_ADDR_H
#define MAT_ADDR_H 1

/* Addresses: IP of both families in one type, and Ethernet.
 *
 * An IPv4 address is held in its IPv4-mapped IPv6 form, ::ffff:a.b.c.d, so
 * that one 16-byte type serves home addresses (HoA) and mobile addresses (MoA)
 * of both families, in memory as on the wire.  All bytes are in network order.
 *
 * A prefix length always counts the bits of the address's own family: 0 to 32
 * for IPv4, 0 to 128 for IPv6. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mat_addr {
    uint8_t b[16];
};

struct mat_mac {
    uint8_t ea[6];
};

enum {
    MAT_ADDR_STRLEN = 48,       /* Longest text of an address, with its NUL. */
    MAT_PREFIX_STRLEN = 52,     /* Longest "address/length", with its NUL. */
    MAT_MAC_STRLEN = 18         /* "xx:xx:xx:xx:xx:xx" and its NUL. */
};

/* The MAC of the virtual gateway, the same on all hosts, so that no guest
 * ever holds a stale one after a move.  Locally administered. */
#define MAT_GATEWAY_MAC { { 0x02, 0x4d, 0x41, 0x54, 0x00, 0x01 } }

/* Making and taking apart. */
static inline struct mat_addr
mat_addr_from_v4(const void *four_bytes)
{
    struct mat_addr a = { { [10] = 0xff, [11] = 0xff } };

    memcpy(&a.b[12], four_bytes, 4);
    return a;
}

static inline struct mat_addr
mat_addr_from_v6(const void *sixteen_bytes)
{
    struct mat_addr a;

    memcpy(a.b, sixteen_bytes, 16);
    return a;
}

static inline bool
mat_addr_is_v4(const struct mat_addr *a)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    return !memcmp(a->b, mapped, sizeof mapped);
}

/* The four bytes of an IPv4 address as they stand in a packet, in a word. */
static inline uint32_t
mat_addr_v4(const struct mat_addr *a)
{
    uint32_t v4;

    memcpy(&v4, &a->b[12], 4);
    return v4;
}

/* The number of bits in an address of the family of 'a': 32 or 128. */
static inline unsigned int
mat_addr_bits(const struct mat_addr *a)
{
    return mat_addr_is_v4(a) ? 32 : 128;
}

/* Comparing. */
static inline bool
mat_addr_equal(const struct mat_addr *a, const struct mat_addr *b)
{
    return !memcmp(a, b, sizeof *a);
}

static inline bool
mat_mac_equal(const struct mat_mac *a, const struct mat_mac *b)
{
    return !memcmp(a, b, sizeof *a);
}

/* A MAC in the low 48 bits of a word, first byte lowest, and back. */
static inline uint64_t
mat_mac_to_u64(const struct mat_mac *mac)
{
    uint64_t word = 0;

    for (int i = 5; i >= 0; i--) {
        word = word << 8 | mac->ea[i];
    }
    return word;
}

static inline struct mat_mac
mat_mac_from_u64(uint64_t word)
{
    struct mat_mac mac;

    for (int i = 0; i < 6; i++) {
        mac.ea[i] = (uint8_t) (word >> (8 * i));
    }
    return mac;
}

bool mat_addr_is_zero(const struct mat_addr *);     /* 0.0.0.0 or ::. */
bool mat_mac_is_zero(const struct mat_mac *);
bool mat_mac_is_multicast(const struct mat_mac *);  /* Also broadcast. */

/* True if 'a' can be the address of a host on a network: not unspecified,
 * loopback, multicast, link-local, limited broadcast or reserved. */
bool mat_addr_is_host(const struct mat_addr *a);

/* True if 'a' and 'b' are of one family and share their first 'plen' bits. */
bool mat_addr_in_prefix(const struct mat_addr *a, const struct mat_addr *b,
                        unsigned int plen);

/* 'a' with all bits after the first 'plen' cleared. */
struct mat_addr mat_addr_mask(const struct mat_addr *a, unsigned int plen);

/* Text.  The parsers take all of 's' or return false and leave '*a' alone.
 * A prefix without "/length" is a single address. */
bool mat_addr_parse(const char *s, struct mat_addr *a);
bool mat_prefix_parse(const char *s, struct mat_addr *a, unsigned int *plen);
bool mat_mac_parse(const char *s, struct mat_mac *mac);

const char *mat_addr_format(const struct mat_addr *,
                            char buf[static MAT_ADDR_STRLEN]);
const char *mat_prefix_format(const struct mat_addr *, unsigned int plen,
                              char buf[static MAT_PREFIX_STRLEN]);
const char *mat_mac_format(const struct mat_mac *,
                           char buf[static MAT_MAC_STRLEN]);

#endif /* mat-addr.h */
