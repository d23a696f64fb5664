/* SPDX-License-Identifier: Apache-2.0 */

/* Parses lines as `matsw load` does.  What is accepted must be fit to be sent,
 * and what is printed of it must be accepted again as the same. */

#include <stdlib.h>

#include "mat-parse.h"
#include "mat-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

enum { LINE_MAX_SIZE = 1000 };

static bool
parse(char *line, struct mat_op *op)
{
    const char *words[MAT_PARSE_WORDS_MAX];
    char error[MAT_PARSE_ERROR_MAX];
    int n = mat_parse_split(line, words);

    if (n < 0) {
        return false;
    }
    error[0] = '\0';
    if (!mat_parse(n, words, op, error)) {
        CHECK(error[0] && memchr(error, '\0', sizeof error));
        return false;
    }
    return true;
}

/* Sends 'op' to ourselves. */
static size_t
encode(const struct mat_op *op, uint8_t message[static 4096])
{
    const struct mat_update_header header = { .type = MAT_UPDATE_BATCH };
    struct mat_update_header received;
    struct mat_update_reader reader;
    struct mat_update_writer w;
    uint64_t bad;

    mat_update_begin(&w, message, 4096);
    CHECK(mat_update_add(&w, op));
    mat_update_end(&w, &header);
    CHECK(mat_update_open(&reader, &received, message, w.size, &bad)
          == MAT_UPDATE_GOOD);
    return w.size;
}

static void
check_line(char *line)
{
    uint8_t first[4096], second[4096];
    char text[MAT_TEXT_MAX];
    struct mat_op op, again;
    size_t size;

    if (!parse(line, &op)) {
        return;
    }
    size = encode(&op, first);
    mat_text_op(&op, MAT_TEXT_JSON, text);
    mat_text_op(&op, MAT_TEXT_WORDS, text);
    if (text[0]) {
        CHECK(parse(text, &again));
        CHECK(encode(&again, second) == size);
        CHECK(!memcmp(first, second, size));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t) (end - data) : size;
        size_t used = end ? n + 1 : n;

        if (n < LINE_MAX_SIZE) {
            char line[LINE_MAX_SIZE];

            memcpy(line, data, n);
            line[n] = '\0';
            check_line(line);
        }
        data += used;
        size -= used;
    }
    return 0;
}
