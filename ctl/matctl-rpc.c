/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "dirs.h"
#include "jsonrpc.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "svec.h"
#include "unixctl.h"
#include "util.h"

enum { PAGES_MAX = 100000 };    /* A cursor that never ends is a bug. */

/* Where matd.service has it, since matd's user may not write to the folder of
 * Open vSwitch. */
static const char service_socket[] = "/run/ovs-mat/matd.ctl";

/* "matd" becomes the path of its socket, a path stays.  Null with '*error',
 * a positive errno value. */
static char *
find_socket(const char *target, int *error)
{
    char *pidfile;
    pid_t pid;

    if (strchr(target, '/')) {
        return xstrdup(target);
    }
    pidfile = xasprintf("%s/%s.pid", ovs_rundir(), target);
    pid = read_pidfile(pidfile);
    free(pidfile);
    if (pid < 0 && !strcmp(target, "matd") && !getenv("OVS_RUNDIR")
        && !access(service_socket, F_OK)) {
        return xstrdup(service_socket);
    } else if (pid < 0) {
        *error = -pid;
        return NULL;
    }
    return xasprintf("%s/%s.%ld.ctl", ovs_rundir(), target, (long int) pid);
}

int
matctl_ask_daemon(const char *target, const char *command, int argc,
                  char *argv[], char **text, char **why)
{
    struct jsonrpc *rpc;
    int error = ENOENT;
    char *path = find_socket(target, &error);

    *text = *why = NULL;
    if (!path) {
        return error;
    }
    error = unixctl_client_create(path, &rpc);
    free(path);
    if (error) {
        return error;
    }
    error = unixctl_client_transact(rpc, command, argc, argv, text, why);
    jsonrpc_close(rpc);
    if (*why) {
        size_t n = strlen(*why);

        if (n && (*why)[n - 1] == '\n') {
            (*why)[n - 1] = '\0';     /* Of the protocol, not of the text. */
        }
    }
    return error ? error : *why ? EPROTO : 0;
}

/* Says why matd cannot be asked, and what to do. */
static enum matctl_status
explain(const struct matctl *ctl, int error)
{
    bool path = strchr(ctl->target, '/');

    if (error == EACCES || error == EPERM) {
        return matctl_error("%s%s: permission denied: run matctl as root or "
                            "as the user of matd",
                            path ? "" : ovs_rundir(),
                            path ? ctl->target : "");
    }
    if (path) {
        matctl_error("%s: %s: is that the socket of a running matd?",
                     ctl->target, ovs_strerror(error));
    } else {
        matctl_error("%s does not run on this host (%s/%s.pid: %s): start it "
                     "with \"systemctl start matd\"; if it does not stay up, "
                     "\"journalctl -u matd\" and \"matctl check\" say why",
                     ctl->target, ovs_rundir(), ctl->target,
                     error == ESRCH ? "left behind" : ovs_strerror(error));
    }
    return MATCTL_NO_MATD;
}

static enum matctl_status
parse_reply(const char *text, const char *from, struct json **reply)
{
    *reply = json_from_string(text);
    if ((*reply)->type == JSON_STRING) {
        matctl_error("%s: not the JSON of a matd of this version: %.200s",
                     from, json_string(*reply));
        json_destroy(*reply);
        *reply = NULL;
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

static enum matctl_status
ask_file(const char *name, struct json **reply)
{
    *reply = json_from_file(name);
    if ((*reply)->type == JSON_STRING) {
        matctl_error("%s: %s", name, json_string(*reply));
        json_destroy(*reply);
        *reply = NULL;
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

static enum matctl_status
ask(const struct matctl *ctl, const char *command, struct svec *args,
    struct json **reply)
{
    enum matctl_status status;
    char *text, *why;
    int error;

    *reply = NULL;
    if (ctl->input) {
        return ask_file(ctl->input, reply);
    }
    error = matctl_ask_daemon(ctl->target, command, args->n, args->names,
                              &text, &why);
    if (!error) {
        status = parse_reply(text ? text : "", command, reply);
    } else if (why) {
        status = matctl_error("%s", why);
    } else {
        status = explain(ctl, error);
    }
    free(text);
    free(why);
    return status;
}

static void
collect(struct svec *args, va_list list)
{
    const char *arg;

    svec_init(args);
    while ((arg = va_arg(list, const char *))) {
        svec_add(args, arg);
    }
}

enum matctl_status
matctl_ask(const struct matctl *ctl, struct json **reply,
           const char *command, ...)
{
    enum matctl_status status;
    struct svec args;
    va_list list;

    va_start(list, command);
    collect(&args, list);
    va_end(list);
    status = ask(ctl, command, &args, reply);
    svec_destroy(&args);
    return status;
}

/* Appends the arrays of 'page' to those of 'all'. */
static void
join(struct json *all, const struct json *page)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, page->object) {
        const struct json *more = node->data;
        struct json *array = shash_find_data(all->object, node->name);

        if (more->type == JSON_ARRAY && array && array->type == JSON_ARRAY) {
            for (size_t i = 0; i < more->array.n; i++) {
                json_array_add(array, json_clone(more->array.elems[i]));
            }
        }
    }
}

static enum matctl_status
ask_pages(const struct matctl *ctl, const char *command, struct svec *args,
          struct json **all)
{
    enum matctl_status status = ask(ctl, command, args, all);
    const struct json *next = *all ? matctl_get(*all, "next") : NULL;
    char *cursor = next ? matctl_text(*all, "next") : NULL;

    for (int i = 0; cursor && i < PAGES_MAX && !ctl->input; i++) {
        char *word = xasprintf("cursor=%s", cursor);
        struct json *page;

        free(cursor);
        cursor = NULL;
        svec_add_nocopy(args, word);
        status = ask(ctl, command, args, &page);
        free(args->names[--args->n]);
        if (status == MATCTL_OK && page->type == JSON_OBJECT) {
            join(*all, page);
            cursor = (matctl_get(page, "next")
                      ? matctl_text(page, "next") : NULL);
        }
        json_destroy(page);
    }
    free(cursor);
    return status;
}

enum matctl_status
matctl_ask_pages(const struct matctl *ctl, struct json **reply,
                 const char *command, ...)
{
    enum matctl_status status;
    struct svec args;
    va_list list;

    va_start(list, command);
    collect(&args, list);
    va_end(list);
    status = ask_pages(ctl, command, &args, reply);
    if (status == MATCTL_OK && (*reply)->type == JSON_OBJECT) {
        struct shash_node *node = shash_find((*reply)->object, "next");

        if (node) {
            json_destroy(node->data);
            shash_delete((*reply)->object, node);
        }
    } else if (status != MATCTL_OK) {
        json_destroy(*reply);
        *reply = NULL;
    }
    svec_destroy(&args);
    return status;
}
