/* SPDX-License-Identifier: Apache-2.0 */
/* Text as a file of keys.  After a first byte of 1, the rest as what is in
 * such a file: it must survive armour, and be read without harm. */
#include <stdlib.h>

#include "matd-keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

static void
read_text(const char *text, size_t size)
{
    static uint8_t data[MATD_ARMOUR_DATA_MAX], again[MATD_ARMOUR_DATA_MAX];
    char error[MATD_ERROR_MAX] = "", armour[MATD_ARMOUR_TEXT_MAX];
    enum matd_armour kind, kind_again;
    size_t n, n_again;
    unsigned int line;

    if (!matd_armour_decode(text, size, &kind, data, &n, &line, error)) {
        CHECK(error[0] && memchr(error, '\0', sizeof error));
        CHECK(line <= size);
        return;
    }
    CHECK(n <= sizeof data && kind < MATD_N_ARMOURS);
    size = matd_armour_encode(kind, "again", data, n, armour);
    CHECK(matd_armour_decode(armour, size, &kind_again, again, &n_again,
                             &line, error));
    CHECK(kind == kind_again && n == n_again && !memcmp(data, again, n));
}

static void
read_data(const uint8_t *data, size_t size)
{
    uint8_t again[MATD_ARMOUR_DATA_MAX];
    char armour[MATD_ARMOUR_TEXT_MAX];
    struct matd_join_keys join;
    struct mat_cert cert;
    size_t n = matd_armour_encode(MATD_ARMOUR_JOIN_KEY, NULL, data, size,
                                  armour);

    read_text(armour, n);
    if (matd_join_keys_decode(data, size, &join)) {
        CHECK(matd_join_keys_encode(&join, again) == size);
        CHECK(!memcmp(again, data, size));
    }
    if (mat_cert_parse(data, size, &cert)) {
        CHECK(cert.n_hoas <= MAT_CERT_RANGES_MAX);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == 1 && size - 1 <= MATD_ARMOUR_DATA_MAX) {
        read_data(data + 1, size - 1);
    } else {
        read_text((const char *) data, size);
    }
    return 0;
}
