/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes bytes as the messages of a datagram, as a certificate and as a host
 * claim's body.  A claim that is accepted must encode to the same bytes. */
#include <stdlib.h>

#include "mat-cert.h"
#include "mat-channel.h"
#include "mat-host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

static void
decode_claims(struct mat_reader *r)
{
    uint8_t bodies[2][MAT_VMN_BODY_SIZE];
    struct mat_claim claims[2];
    const uint8_t *signature = NULL;
    int n = 0;

    mat_get_claims_head(r);
    while (!r->bad && r->left) {
        struct mat_claim *c = &claims[n % 2];
        const uint8_t *start = r->bytes;
        uint8_t again[2048];
        struct mat_writer w = { .bytes = again, .max = sizeof again };

        if (!mat_get_claim(r, c, bodies[n % 2], &signature)) {
            return;
        }
        mat_put_claim(&w, c, n ? &claims[(n + 1) % 2] : NULL);
        CHECK(!w.overflow && w.n == (size_t) (r->bytes - start));
        CHECK(!memcmp(again, start, w.n));
        n++;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mat_reader body = { .bytes = data, .left = size }, payload;
    uint8_t cert_again[MAT_CERT_SIZE_MAX];
    struct mat_datagram_head head;
    struct mat_host_info info;
    struct mat_cert cert;
    uint8_t type;

    if (mat_channel_parse(data, size, &head)) {
        CHECK(size >= mat_channel_head_size(head.kind) + MAT_TAG_SIZE);
    }
    if (mat_cert_parse(data, size, &cert)) {
        CHECK(size <= sizeof cert_again);
    }
    if (mat_host_decode(data, size, &info) && size <= MAT_CLAIM_BODY_MAX) {
        uint8_t again[MAT_CLAIM_BODY_MAX];

        CHECK(mat_host_encode(&info, again) == size);
        CHECK(!memcmp(again, data, size));
    }
    while (mat_get_message(&body, &type, &payload)) {
        if (type == MAT_MSG_CLAIMS) {
            decode_claims(&payload);
        } else {
            mat_get_vmn_key(&payload);
        }
    }
    return 0;
}
