/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matctl-check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/json.h"
#include "util.h"

static const char *const levels[] = {
    [MATCTL_GOOD] = "ok", [MATCTL_WARNING] = "warning",
    [MATCTL_ERROR] = "error"
};

void
matctl_found(struct matctl_check *check, enum matctl_level level,
             const char *name, const char *fix, const char *format, ...)
{
    struct json *finding = json_object_create();
    va_list args;
    char *text;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    json_object_put_string(finding, "check", name);
    json_object_put_string(finding, "result", levels[level]);
    json_object_put_string(finding, "text", text);
    if (fix) {
        json_object_put_string(finding, "fix", fix);
    }
    json_array_add(check->findings, finding);
    check->n_warnings += level == MATCTL_WARNING;
    check->n_errors += level == MATCTL_ERROR;
    free(text);
}

const struct json *
matctl_find_row(const struct json *rows, const char *name)
{
    for (size_t i = 0; rows && i < matctl_count(rows, ""); i++) {
        const struct json *row = matctl_item(rows, "", i);

        if (!strcmp(matctl_string(row, "name"), name)) {
            return row;
        }
    }
    return NULL;
}

const char *
matctl_key_value(const struct matctl_check *check, const char *key)
{
    const char *value = (check->ovs
                         ? matctl_map_get(check->ovs, "external_ids", key)
                         : NULL);

    return value ? value : "";
}

void
matctl_each_uplink(struct matctl_check *check,
                   void (*each)(struct matctl_check *, const char *name))
{
    char *names = xstrdup(matctl_key_value(check, "mat-uplink"));
    char *save = NULL;

    for (char *name = strtok_r(names, ", ", &save); name;
         name = strtok_r(NULL, ", ", &save)) {
        each(check, name);
    }
    free(names);
}

static void
show(const struct matctl_check *check)
{
    for (size_t i = 0; i < check->findings->array.n; i++) {
        const struct json *f = matctl_item(check->findings, "", i);
        const char *result = matctl_string(f, "result");

        printf("%-8s %-16s %s\n", strcmp(result, "ok") ? result : "ok",
               matctl_string(f, "check"), matctl_string(f, "text"));
        if (*matctl_string(f, "fix")) {
            printf("%25s -> %s\n", "", matctl_string(f, "fix"));
        }
    }
    printf("\n%u errors, %u warnings\n", check->n_errors, check->n_warnings);
}

static void
show_json(const struct matctl_check *check)
{
    struct json *all = json_object_create();

    json_object_put(all, "checks", json_clone(check->findings));
    json_object_put(all, "errors", json_integer_create(check->n_errors));
    json_object_put(all, "warnings", json_integer_create(check->n_warnings));
    matctl_print_json(all);
    json_destroy(all);
}

enum matctl_status
matctl_check(struct matctl *ctl, int argc OVS_UNUSED, char *argv[] OVS_UNUSED)
{
    struct matctl_check check = {
        .ctl = ctl,
        .findings = json_array_create_empty(),
    };

    matctl_check_switch(&check);
    matctl_check_bridge(&check);
    matctl_check_links(&check);
    matctl_check_keys(&check);
    matctl_check_clock(&check);
    matctl_check_agent(&check);
    if (ctl->json) {
        show_json(&check);
    } else {
        show(&check);
    }
    json_destroy(check.findings);
    json_destroy(check.ovs);
    json_destroy(check.bridges);
    json_destroy(check.ports);
    json_destroy(check.interfaces);
    json_destroy(check.status);
    json_destroy(check.pools);
    json_destroy(check.peers);
    return check.n_errors ? MATCTL_FAILED : MATCTL_OK;
}
