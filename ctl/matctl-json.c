/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "matctl-table.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "util.h"

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
