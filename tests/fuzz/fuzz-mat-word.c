/* SPDX-License-Identifier: Apache-2.0 */

/* The text of the action, as flows and ovs-ofctl bring it: what is accepted
 * means something, and is printed so that it means the same again. */

#include <stdlib.h>
#include <string.h>

#include "mat-word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[MAT_WORD_TEXT_SIZE], *copy = malloc(size ? size : 1);
    uint32_t word = UINT32_MAX, again = UINT32_MAX;

    CHECK(copy);
    if (size) {
        memcpy(copy, data, size);
    }
    if (mat_word_parse(copy, size, &word)) {
        CHECK(word == UINT32_MAX);
    } else {
        CHECK(mat_word_is_valid(word));
        mat_word_format(word, text);
        CHECK(!mat_word_parse(text, strlen(text), &again));
        CHECK(again == word);
    }
    free(copy);
    return 0;
}
