/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_CERT_H
#define MAT_CERT_H 1

/* Certificates: what the cluster allows a host to say.
 *
 *     | version (1) | host (8) | public key (32) | serial (4) |
 *     | not after, seconds (8) | attributes (4) |
 *     | n (1) | n x zones: first (3), last (3) |
 *     | n (1) | n x HoA prefix: plen (1), address |
 *     | n (1) | n x pool prefix: plen (1), address |
 *     | signature of the cluster (64) |
 *
 * A certificate travels inside the host claim of its host.  It ends by its
 * date or by a REVOKE claim, signed by the cluster, for the host with a serial
 * not below its own; a new certificate with a higher serial is not hit. */

#include "mat-crypto.h"
#include "mat-record.h"

enum {
    MAT_CERT_RANGES_MAX = 8,    /* Of each of the three kinds. */
    MAT_CERT_SIZE_MAX = (1 + 8 + 32 + 4 + 8 + 4 + 3
                         + MAT_CERT_RANGES_MAX * (6 + 18 + 18) + 64)
};

struct mat_cert_prefix {
    struct mat_addr addr;
    uint8_t plen;
};

struct mat_cert {
    uint64_t host;
    uint8_t public_key[MAT_PUBLIC_KEY_SIZE];
    uint32_t serial;
    int64_t not_after_s;        /* Wall clock. */
    uint32_t attributes;        /* For the operator; not interpreted. */
    uint8_t n_zones, n_hoas, n_pools;
    struct { uint32_t first, last; } zones[MAT_CERT_RANGES_MAX];
    struct mat_cert_prefix hoas[MAT_CERT_RANGES_MAX];
    struct mat_cert_prefix pools[MAT_CERT_RANGES_MAX];
};

/* Writes 'cert', signed with the identity of 'cluster', to 'bytes'.  Returns
 * the size. */
size_t mat_cert_issue(const struct mat_cert *,
                      const struct mat_crypto *cluster,
                      uint8_t bytes[MAT_CERT_SIZE_MAX]);

/* Reads a certificate.  False if it is not exactly one. */
bool mat_cert_parse(const uint8_t *bytes, size_t size, struct mat_cert *);

/* Whether the cluster, known by 'cluster_key', has signed it. */
bool mat_cert_verify(const uint8_t *bytes, size_t size,
                     const struct mat_crypto *,
                     const uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE]);

/* Whether the host of the certificate may make 'claim'. */
bool mat_cert_permits(const struct mat_cert *, const struct mat_claim *);

#endif /* mat-cert.h */
