/* SPDX-License-Identifier: Apache-2.0 */
#include "claims.h"

static const uint8_t no_signature[MAT_SIGNATURE_SIZE];

struct mat_addr
claims_addr(unsigned int n)
{
    uint8_t v4[4] = { 10, (uint8_t) (n >> 16), (uint8_t) (n >> 8),
                      (uint8_t) n };

    return mat_addr_from_v4(v4);
}

struct mat_claim
claims_vmn(uint8_t body[MAT_VMN_BODY_SIZE], unsigned int hoa, bool prep,
           uint32_t epoch, uint32_t seq, uint64_t host)
{
    struct mat_addr addr = claims_addr(hoa);
    struct mat_addr moa = claims_addr((unsigned int) host << 8 | seq);
    struct mat_mac mac = mat_mac_from_u64(host);
    struct mat_claim c = {
        .key = mat_key_vmn(7, &addr, 32), .state = MAT_CLAIM_LIVE,
        .version = { epoch, seq, host }, .body = body,
        .body_size = MAT_VMN_BODY_SIZE, .signature = no_signature,
        .path = no_signature
    };

    if (prep) {
        c.key = mat_key_prep(&c.key, host);
    }
    mat_vmn_body(body, &moa, &mac);
    mat_claim_seal_sum(&c);
    return c;
}
