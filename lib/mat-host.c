/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-host.h"

#include "mat-mem.h"
#include "mat-wire.h"

size_t
mat_host_encode(const struct mat_host_info *info,
                uint8_t body[MAT_CLAIM_BODY_MAX])
{
    struct mat_writer w = { .bytes = body, .max = MAT_CLAIM_BODY_MAX };

    mat_put_u16(&w, info->endpoint.port);
    mat_put_u16(&w, info->mtu);
    mat_put_u64(&w, info->salt);
    mat_put_addr(&w, &info->endpoint.addr);
    mat_put_u8(&w, info->n_zones);
    if (info->n_zones != MAT_HOST_ZONES_ALL) {
        for (uint8_t i = 0; i < info->n_zones; i++) {
            mat_put_u24(&w, info->zones[i]);
        }
    }
    mat_put_bytes(&w, info->cert, info->cert_size);
    MAT_ASSERT(!w.overflow);
    return w.n;
}

static void
get_zones(struct mat_reader *r, struct mat_host_info *info)
{
    info->n_zones = mat_get_u8(r);
    if (info->n_zones == MAT_HOST_ZONES_ALL) {
        return;
    } else if (info->n_zones > MAT_HOST_ZONES_MAX) {
        r->bad = true;
        return;
    }
    for (uint8_t i = 0; i < info->n_zones; i++) {
        info->zones[i] = mat_get_u24(r);
        if (i && info->zones[i] <= info->zones[i - 1]) {
            r->bad = true;
        }
    }
}

bool
mat_host_decode(const uint8_t *body, size_t size, struct mat_host_info *info)
{
    struct mat_reader r = { .bytes = body, .left = size };

    info->endpoint.port = mat_get_u16(&r);
    info->mtu = mat_get_u16(&r);
    info->salt = mat_get_u64(&r);
    info->endpoint.addr = mat_get_addr(&r);
    get_zones(&r, info);
    info->cert = r.bytes;
    info->cert_size = r.left;
    return !r.bad;
}

bool
mat_host_has_zone(const struct mat_host_info *info, uint32_t zone)
{
    if (zone == MAT_ZONE_ALL || info->n_zones == MAT_HOST_ZONES_ALL) {
        return true;
    }
    for (uint8_t i = 0; i < info->n_zones; i++) {
        if (info->zones[i] == zone) {
            return true;
        }
    }
    return false;
}
