/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-addr.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Offset of the first bit of the family's own address in the 128. */
static unsigned int
first_bit(const struct mat_addr *a)
{
    return 128 - mat_addr_bits(a);
}

bool
mat_addr_is_zero(const struct mat_addr *a)
{
    static const uint8_t zeros[16];

    return !memcmp(&a->b[first_bit(a) / 8], zeros, mat_addr_bits(a) / 8);
}

bool
mat_mac_is_zero(const struct mat_mac *mac)
{
    return !mat_mac_to_u64(mac);
}

bool
mat_mac_is_multicast(const struct mat_mac *mac)
{
    return mac->ea[0] & 1;
}

static bool
v4_is_host(const uint8_t b[4])
{
    return b[0] != 0 && b[0] != 127 && b[0] < 224
           && !(b[0] == 169 && b[1] == 254);
}

static bool
v6_is_host(const uint8_t b[16])
{
    static const uint8_t zeros[15];

    return b[0] != 0xff
           && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
           && !(!memcmp(b, zeros, sizeof zeros) && b[15] <= 1);
}

bool
mat_addr_is_host(const struct mat_addr *a)
{
    return mat_addr_is_v4(a) ? v4_is_host(&a->b[12]) : v6_is_host(a->b);
}

struct mat_addr
mat_addr_mask(const struct mat_addr *a, unsigned int plen)
{
    unsigned int keep = first_bit(a) + plen;
    struct mat_addr masked = *a;

    for (unsigned int i = keep / 8; i < 16; i++) {
        unsigned int bits = i == keep / 8 ? keep % 8 : 0;

        masked.b[i] = (uint8_t) (masked.b[i] & (0xff00u >> bits));
    }
    return masked;
}

bool
mat_addr_in_prefix(const struct mat_addr *a, const struct mat_addr *b,
                   unsigned int plen)
{
    struct mat_addr a_masked, b_masked;

    if (mat_addr_is_v4(a) != mat_addr_is_v4(b)) {
        return false;
    }
    a_masked = mat_addr_mask(a, plen);
    b_masked = mat_addr_mask(b, plen);
    return mat_addr_equal(&a_masked, &b_masked);
}

bool
mat_addr_parse(const char *s, struct mat_addr *a)
{
    uint8_t b[16];

    if (inet_pton(AF_INET, s, b) == 1) {
        *a = mat_addr_from_v4(b);
        return true;
    } else if (inet_pton(AF_INET6, s, b) == 1) {
        *a = mat_addr_from_v6(b);
        return true;
    }
    return false;
}

/* Reads 's' as a decimal number of at most 'max', nothing before or after. */
static bool
parse_length(const char *s, unsigned int max, unsigned int *length)
{
    unsigned int n = 0;

    if (!*s || strlen(s) > 3) {
        return false;
    }
    for (; *s; s++) {
        if (*s < '0' || *s > '9') {
            return false;
        }
        n = n * 10 + (unsigned int) (*s - '0');
    }
    if (n > max) {
        return false;
    }
    *length = n;
    return true;
}

bool
mat_prefix_parse(const char *s, struct mat_addr *a, unsigned int *plen)
{
    const char *slash = strchr(s, '/');
    char text[MAT_ADDR_STRLEN];
    struct mat_addr addr;
    size_t n = slash ? (size_t) (slash - s) : strlen(s);

    if (n >= sizeof text) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = '\0';
    if (!mat_addr_parse(text, &addr)) {
        return false;
    }
    if (!slash) {
        *plen = mat_addr_bits(&addr);
    } else if (!parse_length(slash + 1, mat_addr_bits(&addr), plen)) {
        return false;
    }
    *a = addr;
    return true;
}

static int
hex_digit(char c)
{
    return (c >= '0' && c <= '9' ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
            : -1);
}

bool
mat_mac_parse(const char *s, struct mat_mac *mac)
{
    struct mat_mac m;

    if (strlen(s) != MAT_MAC_STRLEN - 1) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        int hi = hex_digit(s[3 * i]), lo = hex_digit(s[3 * i + 1]);

        if (hi < 0 || lo < 0 || s[3 * i + 2] != (i < 5 ? ':' : '\0')) {
            return false;
        }
        m.ea[i] = (uint8_t) (hi << 4 | lo);
    }
    *mac = m;
    return true;
}

const char *
mat_addr_format(const struct mat_addr *a, char buf[static MAT_ADDR_STRLEN])
{
    return mat_addr_is_v4(a)
           ? inet_ntop(AF_INET, &a->b[12], buf, MAT_ADDR_STRLEN)
           : inet_ntop(AF_INET6, a->b, buf, MAT_ADDR_STRLEN);
}

const char *
mat_prefix_format(const struct mat_addr *a, unsigned int plen,
                  char buf[static MAT_PREFIX_STRLEN])
{
    char text[MAT_ADDR_STRLEN];

    mat_addr_format(a, text);
    if (plen == mat_addr_bits(a)) {
        snprintf(buf, MAT_PREFIX_STRLEN, "%s", text);
    } else {
        snprintf(buf, MAT_PREFIX_STRLEN, "%s/%u", text, plen & 0xff);
    }
    return buf;
}

const char *
mat_mac_format(const struct mat_mac *mac, char buf[static MAT_MAC_STRLEN])
{
    snprintf(buf, MAT_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x",
             mac->ea[0], mac->ea[1], mac->ea[2],
             mac->ea[3], mac->ea[4], mac->ea[5]);
    return buf;
}
