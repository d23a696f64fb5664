/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_TEXT_H
#define MAT_TEXT_H 1

/* Operations and events for people and scripts to read: as words, in the
 * grammar of mat-parse.h, or as one JSON object.
 *
 * What an operation cannot say (a port's number, an accessed mark) follows its
 * words as a comment, so that what is dumped can be loaded. */

#include "mat-event.h"
#include "mat-update.h"

enum {
    MAT_TEXT_MAX = 2048         /* The longest text of anything here. */
};

enum mat_text_style {
    MAT_TEXT_WORDS,
    MAT_TEXT_JSON
};

/* Formats an item of a dump, or an event.  No newline. */
const char *mat_text_op(const struct mat_op *, enum mat_text_style,
                        char buf[static MAT_TEXT_MAX]);
const char *mat_text_event(const struct mat_event *, enum mat_text_style,
                           char buf[static MAT_TEXT_MAX]);

const char *mat_text_state(enum mat_state);

/* Building a text of "key=value" words or a JSON object.  A text that does not
 * fit is cut off at its end. */
struct mat_text {
    char *s;
    size_t size;
    size_t length;
    enum mat_text_style style;
};

void mat_text_open(struct mat_text *, enum mat_text_style, char *buf,
                   size_t size);
const char *mat_text_close(struct mat_text *);

void mat_text_number(struct mat_text *, const char *key, uint64_t);
void mat_text_string(struct mat_text *, const char *key, const char *);
void mat_text_flag(struct mat_text *, const char *key, bool);
void mat_text_addr(struct mat_text *, const char *key,
                   const struct mat_addr *);
void mat_text_prefix(struct mat_text *, const char *key,
                     const struct mat_addr *, unsigned int plen);
void mat_text_mac(struct mat_text *, const char *key, const struct mat_mac *);

/* Words: 'word' without its key.  JSON: like mat_text_string(). */
void mat_text_bare(struct mat_text *, const char *key, const char *word);

/* Words: a literal.  JSON: nothing. */
void mat_text_literal(struct mat_text *, const char *word);

#endif /* mat-text.h */
