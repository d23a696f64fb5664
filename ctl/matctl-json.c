/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mat-addr.h"
#include "matctl-table.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "sort.h"
#include "util.h"

struct sort {
    struct json_array *array;
    const char *const *keys;
};

const struct json *
matctl_get(const struct json *json, const char *path)
{
    while (json && *path) {
        size_t n = strcspn(path, ".");
        char *name = xmemdup0(path, n);

        json = (json->type == JSON_OBJECT
                ? shash_find_data(json->object, name) : NULL);
        free(name);
        path += n + (path[n] == '.');
    }
    return json;
}

const char *
matctl_string(const struct json *json, const char *path)
{
    const struct json *value = matctl_get(json, path);

    return value && value->type == JSON_STRING ? json_string(value) : "";
}

int64_t
matctl_integer(const struct json *json, const char *path)
{
    const struct json *value = matctl_get(json, path);

    return !value ? 0
           : value->type == JSON_INTEGER ? json_integer(value)
           : value->type == JSON_REAL ? (int64_t) json_real(value) : 0;
}

bool
matctl_bool(const struct json *json, const char *path)
{
    const struct json *value = matctl_get(json, path);

    return value && value->type == JSON_TRUE;
}

size_t
matctl_count(const struct json *json, const char *path)
{
    const struct json *value = matctl_get(json, path);

    return value && value->type == JSON_ARRAY ? value->array.n : 0;
}

const struct json *
matctl_item(const struct json *json, const char *path, size_t i)
{
    const struct json *value = matctl_get(json, path);

    return (value && value->type == JSON_ARRAY && i < value->array.n
            ? value->array.elems[i] : NULL);
}

/* Sorting. */

static int
compare_text(const char *a, const char *b)
{
    struct mat_addr addr_a, addr_b;
    unsigned int plen_a, plen_b;

    if (mat_prefix_parse(a, &addr_a, &plen_a)
        && mat_prefix_parse(b, &addr_b, &plen_b)) {
        int order = memcmp(&addr_a, &addr_b, sizeof addr_a);

        /* IPv4 first: it is IPv4-mapped, and begins with zeros. */
        return order ? order : (plen_a > plen_b) - (plen_a < plen_b);
    }
    return strcmp(a, b);
}

static int
compare_items(const struct json *a, const struct json *b,
              const char *const keys[])
{
    for (; *keys; keys++) {
        int64_t x = matctl_integer(a, *keys), y = matctl_integer(b, *keys);
        int order = (x != y ? (x > y) - (x < y)
                     : compare_text(matctl_string(a, *keys),
                                    matctl_string(b, *keys)));

        if (order) {
            return order;
        }
    }
    return 0;
}

static int
compare(size_t a, size_t b, void *context_)
{
    const struct sort *context = context_;

    return compare_items(context->array->elems[a], context->array->elems[b],
                         context->keys);
}

static void
swap(size_t a, size_t b, void *context_)
{
    const struct sort *context = context_;
    struct json *tmp = context->array->elems[a];

    context->array->elems[a] = context->array->elems[b];
    context->array->elems[b] = tmp;
}

void
matctl_sort(struct json *json, const char *path, const char *const keys[])
{
    struct json *value = CONST_CAST(struct json *, matctl_get(json, path));

    if (value && value->type == JSON_ARRAY) {
        struct sort context = { .array = &value->array, .keys = keys };

        sort(value->array.n, compare, swap, &context);
    }
}

static void
put_text(struct ds *s, const struct json *value)
{
    switch (value->type) {
    case JSON_STRING:
        ds_put_cstr(s, json_string(value));
        break;
    case JSON_INTEGER:
        ds_put_format(s, "%"PRId64, json_integer(value));
        break;
    case JSON_REAL:
        ds_put_format(s, "%.6g", json_real(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        ds_put_cstr(s, value->type == JSON_TRUE ? "yes" : "no");
        break;
    case JSON_ARRAY:
        for (size_t i = 0; i < value->array.n; i++) {
            ds_put_cstr(s, i ? ", " : "");
            put_text(s, value->array.elems[i]);
        }
        break;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_SERIALIZED_OBJECT:
    case JSON_N_TYPES:
        break;
    }
}

char *
matctl_text(const struct json *json, const char *path)
{
    const struct json *value = matctl_get(json, path);
    struct ds s = DS_EMPTY_INITIALIZER;

    if (value) {
        put_text(&s, value);
    }
    return ds_steal_cstr(&s);
}

void
matctl_print_json(const struct json *json)
{
    char *text = json_to_string(json, JSSF_PRETTY | JSSF_SORT);

    puts(text);
    free(text);
}

void
matctl_put(struct matctl_table *table, const struct json *json,
           const char *path)
{
    char *text = matctl_text(json, path);

    matctl_table_cell(table, text);
    free(text);
}

void
matctl_put_us(struct matctl_table *table, const struct json *json,
              const char *path)
{
    const struct json *value = matctl_get(json, path);
    char buf[MATCTL_DURATION_MAX];

    matctl_table_cell(table, value && value->type != JSON_NULL
                      ? matctl_duration(matctl_integer(json, path), buf)
                      : NULL);
}
