/* SPDX-License-Identifier: Apache-2.0 */

#include "mat-saved.h"

#include <assert.h>

size_t
mat_saved_encode(const struct mat_agent_saved *saved,
                 uint8_t bytes[static MAT_SAVED_MAX])
{
    size_t n = strnlen(saved->port, MAT_PORT_NAME_SIZE);
    uint8_t *p = bytes;

    assert(n < MAT_PORT_NAME_SIZE);
    for (int shift = 24; shift >= 0; shift -= 8) {
        *p++ = (uint8_t) (saved->zone >> shift);
    }
    memcpy(p, saved->hoa.b, 16);
    memcpy(p + 16, saved->moa.b, 16);
    p += 32;
    *p++ = saved->plen;
    *p++ = (uint8_t) saved->state;
    memcpy(p, saved->mac.ea, 6);
    p += 6;
    *p++ = (uint8_t) n;
    memcpy(p, saved->port, n);
    return MAT_SAVED_FIXED + n;
}

static bool
is_good(const struct mat_agent_saved *s)
{
    return (s->zone <= MAT_ZONE_MAX
            && mat_addr_is_host(&s->hoa)
            && (mat_addr_is_zero(&s->moa)
                || (mat_addr_is_host(&s->moa)
                    && mat_addr_is_v4(&s->moa) == mat_addr_is_v4(&s->hoa)))
            && s->plen <= mat_addr_bits(&s->hoa)
            && !mat_mac_is_multicast(&s->mac));
}

bool
mat_saved_decode(const uint8_t *data, size_t size, size_t *offset,
                 struct mat_agent_saved *saved)
{
    const uint8_t *p = data + *offset;
    size_t left = size - *offset, n;

    assert(*offset <= size);
    if (left < MAT_SAVED_FIXED) {
        return false;
    }
    n = p[MAT_SAVED_FIXED - 1];
    if (n >= MAT_PORT_NAME_SIZE || left < MAT_SAVED_FIXED + n) {
        return false;
    }
    memset(saved, 0, sizeof *saved);
    for (int i = 0; i < 4; i++) {
        saved->zone = saved->zone << 8 | *p++;
    }
    memcpy(saved->hoa.b, p, 16);
    memcpy(saved->moa.b, p + 16, 16);
    p += 32;
    saved->plen = *p++;
    if (*p >= MAT_N_LIVES) {
        return false;
    }
    saved->state = (enum mat_life) *p++;
    memcpy(saved->mac.ea, p, 6);
    p += 7;
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= ' ' || p[i] > '~') {
            return false;
        }
    }
    memcpy(saved->port, p, n);
    if (!is_good(saved)) {
        return false;
    }
    *offset += MAT_SAVED_FIXED + n;
    return true;
}
