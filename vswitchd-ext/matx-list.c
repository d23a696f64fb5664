/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-list.h"

#include "openvswitch/dynamic-string.h"

void
matx_list_open(struct matx_list *list, struct ds *s, bool json)
{
    list->s = s;
    list->is_empty = true;
    list->text.style = json ? MAT_TEXT_JSON : MAT_TEXT_WORDS;
    ds_put_cstr(s, json ? "[" : "");
}

void
matx_list_close(struct matx_list *list)
{
    ds_put_cstr(list->s, list->text.style == MAT_TEXT_JSON ? "]" : "");
}

static void
put_item(struct matx_list *list, const char *item)
{
    if (list->text.style == MAT_TEXT_WORDS) {
        ds_put_format(list->s, "%s\n", item);
    } else {
        ds_put_format(list->s, "%s%s", list->is_empty ? "" : ",\n ", item);
    }
    list->is_empty = false;
}

void
matx_list_op(struct matx_list *list, const struct mat_op *op)
{
    put_item(list, mat_text_op(op, list->text.style, list->buf));
}

struct mat_text *
matx_list_begin(struct matx_list *list)
{
    mat_text_open(&list->text, list->text.style, list->buf, sizeof list->buf);
    return &list->text;
}

void
matx_list_end(struct matx_list *list)
{
    put_item(list, mat_text_close(&list->text));
}
