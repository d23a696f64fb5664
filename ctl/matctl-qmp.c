/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matctl-qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "matctl.h"
#include "openvswitch/json.h"
#include "openvswitch/list.h"
#include "socket-util.h"
#include "timeval.h"
#include "util.h"

enum {
    ANSWER_MS = 30000,          /* QEMU answers at once, unless it hangs. */
    SLICE_MS = 100,             /* How soon 'stop' is seen. */
    MESSAGE_MAX = 4 << 20,
    EVENTS_MAX = 1024           /* Kept until they are asked for. */
};

struct event {
    struct ovs_list node;
    struct json *json;
};

struct matctl_qmp {
    int fd;
    const volatile sig_atomic_t *stop;
    struct json_parser *parser; /* Of a message that has begun, or null. */
    size_t n_bytes;             /* Of it. */
    char buffer[4096];
    size_t used, size;          /* Of 'buffer'. */
    struct ovs_list events;
    size_t n_events;
    long long int id;           /* Of the last request. */
};

static int
open_socket(const char *where)
{
    int fd = -1, error;

    if (where[0] == '/' || !strchr(where, ':')) {
        fd = make_unix_socket(SOCK_STREAM, false, NULL, where);
        return fd;
    }
    error = inet_open_active(SOCK_STREAM, where, 0, NULL, &fd, 0);
    return error ? -error : fd;
}

/* Takes a whole message out of the buffer; null if there is none yet. */
static struct json *
take_message(struct matctl_qmp *qmp, char **error)
{
    struct json *json;

    while (!qmp->parser && qmp->used < qmp->size
           && strchr(" \t\r\n", qmp->buffer[qmp->used])) {
        qmp->used++;
    }
    if (qmp->used == qmp->size) {
        return NULL;
    }
    if (!qmp->parser) {
        qmp->parser = json_parser_create(0);
        qmp->n_bytes = 0;
    }
    qmp->n_bytes += qmp->size - qmp->used;
    qmp->used += json_parser_feed(qmp->parser, qmp->buffer + qmp->used,
                                  qmp->size - qmp->used);
    if (!json_parser_is_done(qmp->parser)) {
        if (qmp->n_bytes > MESSAGE_MAX) {
            *error = xstrdup("QEMU sends a message without an end");
        }
        return NULL;
    }
    json = json_parser_finish(qmp->parser);
    qmp->parser = NULL;
    if (json->type != JSON_OBJECT) {
        *error = xasprintf("not a QMP monitor: %.80s",
                           json->type == JSON_STRING ? json_string(json)
                           : "no object");
        json_destroy(json);
        return NULL;
    }
    return json;
}

/* Waits up to 'ms' for bytes.  False if there are none, or with an error. */
static bool
fill_buffer(struct matctl_qmp *qmp, int ms, char **error)
{
    struct pollfd pfd = { .fd = qmp->fd, .events = POLLIN };
    ssize_t n;

    if (poll(&pfd, 1, ms) <= 0) {
        return false;           /* Also if a signal came. */
    }
    n = recv(qmp->fd, qmp->buffer, sizeof qmp->buffer, 0);
    if (n <= 0) {
        *error = xstrdup(n ? ovs_strerror(errno) : "QEMU has ended");
        return false;
    }
    qmp->used = 0;
    qmp->size = n;
    return true;
}

/* The next message of any kind, within 'ms'. */
static struct json *
receive(struct matctl_qmp *qmp, int ms, char **error)
{
    long long int end = time_msec() + ms;

    *error = NULL;
    for (;;) {
        struct json *json = take_message(qmp, error);
        long long int left;

        if (json || *error) {
            return json;
        }
        left = end - time_msec();
        if (left < 0 || *qmp->stop) {
            return NULL;
        }
        fill_buffer(qmp, MIN(left, SLICE_MS), error);
        if (*error) {
            return NULL;
        }
    }
}

static void
keep_event(struct matctl_qmp *qmp, struct json *json)
{
    struct event *event = xmalloc(sizeof *event);

    event->json = json;
    ovs_list_push_back(&qmp->events, &event->node);
    if (qmp->n_events++ == EVENTS_MAX) {
        event = CONTAINER_OF(ovs_list_pop_front(&qmp->events), struct event,
                             node);
        json_destroy(event->json);
        free(event);
        qmp->n_events--;
    }
}

struct matctl_qmp *
matctl_qmp_open(const char *where, const volatile sig_atomic_t *stop,
                char **error)
{
    struct matctl_qmp *qmp = xzalloc(sizeof *qmp);
    struct json *json;

    qmp->stop = stop;
    ovs_list_init(&qmp->events);
    qmp->fd = open_socket(where);
    *error = NULL;
    if (qmp->fd < 0) {
        *error = xstrdup(ovs_strerror(-qmp->fd));
    } else {
        json = receive(qmp, SLICE_MS * 20, error);
        if (!json && !*error) {
            *error = xstrdup("QEMU does not greet: has another client this "
                             "monitor?  Each serves one: start QEMU with one "
                             "more -qmp");
        }
        json_destroy(json);
    }
    if (!*error) {
        json_destroy(matctl_qmp_execute(qmp, "qmp_capabilities", NULL,
                                        error));
    }
    if (*error) {
        matctl_qmp_close(qmp);
        return NULL;
    }
    return qmp;
}

void
matctl_qmp_close(struct matctl_qmp *qmp)
{
    struct event *event;

    if (!qmp) {
        return;
    }
    LIST_FOR_EACH_POP (event, node, &qmp->events) {
        json_destroy(event->json);
        free(event);
    }
    if (qmp->parser) {
        json_parser_abort(qmp->parser);
    }
    if (qmp->fd >= 0) {
        close(qmp->fd);
    }
    free(qmp);
}

static bool
send_request(struct matctl_qmp *qmp, const char *command,
             struct json *arguments, char **error)
{
    struct json *request = json_object_create();
    size_t sent;
    char *text;
    int rc;

    json_object_put_string(request, "execute", command);
    json_object_put(request, "id", json_integer_create(++qmp->id));
    if (arguments) {
        json_object_put(request, "arguments", arguments);
    }
    text = json_to_string(request, 0);
    json_destroy(request);
    rc = write_fully(qmp->fd, text, strlen(text), &sent);
    free(text);
    if (rc) {
        *error = xstrdup(ovs_strerror(rc));
    }
    return !rc;
}

/* The late answer to a request before, that was given up? */
static bool
is_late(const struct matctl_qmp *qmp, const struct json *json)
{
    return matctl_get(json, "id") && matctl_integer(json, "id") != qmp->id;
}

/* A request is finished even if 'stop' is set meanwhile: cancelling needs
 * requests, too. */
struct json *
matctl_qmp_execute(struct matctl_qmp *qmp, const char *command,
                   struct json *arguments, char **error)
{
    static const volatile sig_atomic_t go_on;
    const volatile sig_atomic_t *stop = qmp->stop;
    struct json *json = NULL, *result = NULL;

    *error = NULL;
    if (!send_request(qmp, command, arguments, error)) {
        return NULL;
    }
    qmp->stop = &go_on;
    while (!result && !*error) {
        json = receive(qmp, ANSWER_MS, error);
        if (!json && !*error) {
            *error = xasprintf("%s: QEMU does not answer", command);
        } else if (json && matctl_get(json, "event")) {
            keep_event(qmp, json);
        } else if (json && is_late(qmp, json)) {
            json_destroy(json);
        } else if (json && matctl_get(json, "error")) {
            *error = xasprintf("%s: %s", command,
                               matctl_string(json, "error.desc"));
            json_destroy(json);
        } else if (json) {
            result = json_clone(matctl_get(json, "return"));
            json_destroy(json);
        }
    }
    qmp->stop = stop;
    return result;
}

struct json *
matctl_qmp_event(struct matctl_qmp *qmp, int ms, char **error)
{
    struct json *json;

    *error = NULL;
    if (!ovs_list_is_empty(&qmp->events)) {
        struct event *event = CONTAINER_OF(ovs_list_pop_front(&qmp->events),
                                           struct event, node);

        json = event->json;
        free(event);
        qmp->n_events--;
        return json;
    }
    json = receive(qmp, ms, error);
    if (json && !matctl_get(json, "event")) {
        json_destroy(json);     /* The answer to nothing. */
        json = NULL;
    }
    return json;
}
