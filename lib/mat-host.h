/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_HOST_H
#define MAT_HOST_H 1

/* The body of a host claim: how to reach a host and what it has.
 *
 *     | UDP port (2) | MTU (2) | salt (8) | underlay address |
 *     | n (1) | n x zone (3), ascending | certificate to the end |
 *
 * n = 255 says that the host wants all zones.  The salt is random at every
 * start and goes into the keys that others share with the host, so nothing
 * said to its earlier life can be replayed to it. */

#include "mat-cert.h"
#include "mat-record.h"

struct mat_endpoint {
    struct mat_addr addr;
    uint16_t port;
};

enum {
    MAT_HOST_ZONES_MAX = 32,    /* Beyond that a host takes all zones. */
    MAT_HOST_ZONES_ALL = 255
};

struct mat_host_info {
    struct mat_endpoint endpoint;
    uint16_t mtu;
    uint64_t salt;
    uint8_t n_zones;            /* Or MAT_HOST_ZONES_ALL. */
    uint32_t zones[MAT_HOST_ZONES_MAX];
    const uint8_t *cert;
    size_t cert_size;
};

static inline bool
mat_endpoint_equal(const struct mat_endpoint *a, const struct mat_endpoint *b)
{
    return a->port == b->port && mat_addr_equal(&a->addr, &b->addr);
}

size_t mat_host_encode(const struct mat_host_info *,
                       uint8_t body[MAT_CLAIM_BODY_MAX]);

/* '*info' then points into 'body'.  False if it is not well formed. */
bool mat_host_decode(const uint8_t *body, size_t size, struct mat_host_info *);

bool mat_host_has_zone(const struct mat_host_info *, uint32_t zone);

#endif /* mat-host.h */
