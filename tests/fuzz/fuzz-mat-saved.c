/* SPDX-License-Identifier: Apache-2.0 */

/* Records of VMNs as a damaged disk may have them: what is accepted must be
 * written again as it was read. */

#include <stdlib.h>

#include "mat-saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mat_agent_saved saved;
    size_t offset = 0, before = 0;

    while (mat_saved_decode(data, size, &offset, &saved)) {
        uint8_t bytes[MAT_SAVED_MAX];
        size_t n = mat_saved_encode(&saved, bytes);

        CHECK(offset > before && offset <= size);
        CHECK(n == offset - before);
        CHECK(!memcmp(bytes, data + before, n));
        CHECK(mat_addr_is_host(&saved.hoa));
        before = offset;
    }
    CHECK(offset == before);
    return 0;
}
