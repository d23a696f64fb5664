/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_LIST_H
#define MATX_LIST_H 1

/* A list of operations or other things, in a dynamic string: a line each, or a
 * JSON array of objects. */

#include "mat-text.h"

struct ds;

struct matx_list {
    struct ds *s;
    bool is_empty;
    struct mat_text text;       /* Of the item that is being made. */
    char buf[MAT_TEXT_MAX];
};

void matx_list_open(struct matx_list *, struct ds *, bool json);
void matx_list_close(struct matx_list *);

void matx_list_op(struct matx_list *, const struct mat_op *);

/* An item of another kind: fill what this returns, then end it. */
struct mat_text *matx_list_begin(struct matx_list *);
void matx_list_end(struct matx_list *);

#endif /* matx-list.h */
