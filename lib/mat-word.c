/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-word.h"

#include <stdio.h>
#include <string.h>

/* What has been said so far. */
struct word_parse {
    uint32_t word;
    bool has_direction;
    bool has_zone;
};

static const char *parse_item(const char *item, size_t n, struct word_parse *);
static const char *parse_zone(const char *digits, size_t n,
                              struct word_parse *);
static bool is_text(const char *item, size_t n, const char *text);

bool
mat_word_is_valid(uint32_t word)
{
    if (word & ~(MAT_WORD_ZONE_MASK | MAT_WORD_IN | MAT_WORD_EXPLICIT)) {
        return false;
    }
    return !(word & MAT_WORD_IN) || !(word & MAT_WORD_ZONE_MASK);
}

char *
mat_word_format(uint32_t word, char text[MAT_WORD_TEXT_SIZE])
{
    uint32_t zone = word & MAT_WORD_ZONE_MASK;
    const char *direction = word & MAT_WORD_IN ? "in" : "out";
    const char *explicit = word & MAT_WORD_EXPLICIT ? ",explicit" : "";

    if (zone) {
        snprintf(text, MAT_WORD_TEXT_SIZE, "%s,zone=%u%s",
                 direction, (unsigned int) zone, explicit);
    } else {
        snprintf(text, MAT_WORD_TEXT_SIZE, "%s%s", direction, explicit);
    }
    return text;
}

const char *
mat_word_parse(const char *text, size_t n, uint32_t *word)
{
    struct word_parse parse = { 0, false, false };
    const char *end = text + n;

    for (;;) {
        const char *comma = memchr(text, ',', (size_t) (end - text));
        const char *item_end = comma ? comma : end;
        const char *error = parse_item(text, (size_t) (item_end - text),
                                       &parse);

        if (error) {
            return error;
        }
        if (!comma) {
            break;
        }
        text = comma + 1;
    }
    if (parse.has_zone && parse.word & MAT_WORD_IN) {
        return "zone goes with out only: with in it is that of the address";
    }
    *word = parse.word;
    return NULL;
}

static const char *
parse_item(const char *item, size_t n, struct word_parse *parse)
{
    if (!parse->has_direction) {
        if (!is_text(item, n, "in") && !is_text(item, n, "out")) {
            return "the first argument must be in or out";
        }
        parse->has_direction = true;
        parse->word = is_text(item, n, "in") ? MAT_WORD_IN : 0;
        return NULL;
    }
    if (is_text(item, n, "explicit")) {
        if (parse->word & MAT_WORD_EXPLICIT) {
            return "explicit is given twice";
        }
        parse->word |= MAT_WORD_EXPLICIT;
        return NULL;
    }
    if (n >= strlen("zone=") && !memcmp(item, "zone=", strlen("zone="))) {
        return parse_zone(item + strlen("zone="), n - strlen("zone="), parse);
    }
    return "unknown argument, only zone=N and explicit can follow";
}

static const char *
parse_zone(const char *digits, size_t n, struct word_parse *parse)
{
    uint32_t zone = 0;

    if (parse->has_zone) {
        return "zone is given twice";
    }
    if (!n) {
        return "zone has no number";
    }
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return "zone is not a decimal number";
        }
        zone = zone * 10 + (uint32_t) (digits[i] - '0');
        if (zone > MAT_WORD_ZONE_MASK) {
            return "zone is larger than 16777215";
        }
    }
    parse->has_zone = true;
    parse->word |= zone;
    return NULL;
}

static bool
is_text(const char *item, size_t n, const char *text)
{
    return n == strlen(text) && !memcmp(item, text, n);
}
