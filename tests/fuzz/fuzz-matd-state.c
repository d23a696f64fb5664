/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a state file, as they are and with a sum that fits.  What is
 * accepted must encode to the same bytes. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "matd-state-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

static void
decode(const uint8_t *bytes, size_t size)
{
    char error[MATD_STATE_ERROR_MAX] = "";
    struct matd_state_contents c;
    uint8_t *again;

    if (!matd_state_decode(bytes, size, MATD_STATE_STATE, &c, error)) {
        CHECK(error[0] && !c.n_sections);
        return;
    }
    CHECK(c.n_sections <= MATD_STATE_SECTIONS_MAX);
    again = malloc(size);
    CHECK(again);
    CHECK(matd_state_encode(MATD_STATE_STATE, c.generation, c.sections,
                            c.n_sections, again, size) == size);
    CHECK(!memcmp(bytes, again, size));
    free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SUM_SIZE = 16 };
    uint8_t *summed = malloc(size + SUM_SIZE);

    CHECK(summed);
    decode(data, size);
    if (size) {
        memcpy(summed, data, size);
    }
    crypto_generichash(summed + size, SUM_SIZE, data, size, NULL, 0);
    decode(summed, size + SUM_SIZE);
    free(summed);
    return 0;
}
