/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "matd-qmp.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "socket-util.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_qmp);

enum {
    OUTPUT_MAX = 4096,          /* Bytes of commands that the socket does not
                                 * take. */
    EVENTS_MAX = 64             /* VMs in one run; others in the next. */
};

struct port {
    char *name, *path;
    int fd;                     /* -1: not connected. */
    bool wants_out;             /* epoll waits for it to be writable. */
    struct matd_qmp_vm vm;
    struct ds output;
    char *error;                /* Why it was disconnected last, or null. */
    long long int timer;        /* When to connect or to poll, of time_msec();
                                 * LLONG_MAX for never. */
    int backoff_ms;
    uint64_t n_messages, n_connects, n_errors;
};

/* A hint to be given when no port is being worked on. */
struct given {
    char *port;
    enum matd_qmp_hint hint;
};

struct matd_qmp {
    struct shash ports;
    int epoll;
    long long int next_timer;   /* The least of all ports', or less. */
    void (*hint)(void *aux, const char *port, enum matd_qmp_hint);
    void *aux;
    struct given *given;
    size_t n_given, allocated_given;
};

struct matd_qmp *
matd_qmp_create(void (*hint)(void *aux, const char *port,
                             enum matd_qmp_hint), void *aux)
{
    struct matd_qmp *q = xzalloc(sizeof *q);

    shash_init(&q->ports);
    q->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (q->epoll < 0) {
        VLOG_FATAL("epoll: %s", ovs_strerror(errno));
    }
    q->next_timer = LLONG_MAX;
    q->hint = hint;
    q->aux = aux;
    return q;
}

static void
destroy_port(struct port *port)
{
    if (port->fd >= 0) {
        close(port->fd);
    }
    matd_qmp_vm_destroy(&port->vm);
    ds_destroy(&port->output);
    free(port->error);
    free(port->path);
    free(port->name);
    free(port);
}

void
matd_qmp_destroy(struct matd_qmp *q)
{
    struct shash_node *node;

    if (q) {
        SHASH_FOR_EACH (node, &q->ports) {
            destroy_port(node->data);
        }
        shash_destroy(&q->ports);
        close(q->epoll);
        free(q->given);
        free(q);
    }
}

static void
set_timer(struct matd_qmp *q, struct port *port, long long int at)
{
    port->timer = at;
    q->next_timer = MIN(q->next_timer, at);
}

bool
matd_qmp_set(struct matd_qmp *q, const char *name, const char *path)
{
    struct port *port = shash_find_data(&q->ports, name);

    if (port && path && !strcmp(port->path, path)) {
        return true;
    }
    if (port) {
        shash_find_and_delete(&q->ports, name);
        destroy_port(port);
    }
    if (!path) {
        return true;
    } else if (shash_count(&q->ports) >= MATD_QMP_PORTS_MAX) {
        return false;
    }
    port = xzalloc(sizeof *port);
    port->name = xstrdup(name);
    port->path = xstrdup(path);
    port->fd = -1;
    port->backoff_ms = MATD_QMP_BACKOFF_MIN_MS;
    matd_qmp_vm_init(&port->vm);
    ds_init(&port->output);
    shash_add(&q->ports, name, port);
    set_timer(q, port, 0);
    return true;
}

/* Hints. */

static void
keep_hints(struct matd_qmp *q, struct port *port)
{
    for (unsigned int i = 0; i < port->vm.n_hints; i++) {
        enum matd_qmp_hint hint = port->vm.hints[i];

        VLOG_INFO("%s: QEMU says %s (%s)", port->name,
                  matd_qmp_hint_name(hint),
                  port->vm.runstate[0] ? port->vm.runstate : "not asked yet");
        if (q->n_given == q->allocated_given) {
            q->given = x2nrealloc(q->given, &q->allocated_given,
                                  sizeof *q->given);
        }
        q->given[q->n_given].port = xstrdup(port->name);
        q->given[q->n_given++].hint = hint;
    }
    port->vm.n_hints = 0;
}

/* The caller may set and end ports then. */
static void
give_hints(struct matd_qmp *q)
{
    for (size_t i = 0; i < q->n_given; i++) {
        q->hint(q->aux, q->given[i].port, q->given[i].hint);
        free(q->given[i].port);
    }
    q->n_given = 0;
}

/* Connecting. */

/* Tries again later, the later the more often it failed. */
static void
disconnect(struct matd_qmp *q, struct port *port, const char *why)
{
    if (!port->error || strcmp(port->error, why)) {
        VLOG_INFO("%s: QMP at %s: %s", port->name, port->path, why);
        free(port->error);
        port->error = xstrdup(why);
    }
    port->n_errors++;
    if (port->fd >= 0) {
        close(port->fd);
        port->fd = -1;
    }
    port->wants_out = false;
    ds_clear(&port->output);
    set_timer(q, port, time_msec() + port->backoff_ms);
    port->backoff_ms = MIN(port->backoff_ms * 2, MATD_QMP_BACKOFF_MAX_MS);
    matd_qmp_vm_lost(&port->vm);
    keep_hints(q, port);
}

static void
set_events(struct matd_qmp *q, struct port *port, int operation)
{
    struct epoll_event event = {
        .events = EPOLLIN | (port->wants_out ? EPOLLOUT : 0),
        .data.ptr = port
    };

    if (epoll_ctl(q->epoll, operation, port->fd, &event)) {
        disconnect(q, port, ovs_strerror(errno));
    }
}

static void
start_connecting(struct matd_qmp *q, struct port *port)
{
    int fd = make_unix_socket(SOCK_STREAM, true, NULL, port->path);

    if (fd < 0) {
        disconnect(q, port, ovs_strerror(-fd));
        return;
    }
    port->fd = fd;
    port->n_connects++;
    port->timer = LLONG_MAX;
    set_events(q, port, EPOLL_CTL_ADD);
}

/* Talking. */

static void
send_output(struct matd_qmp *q, struct port *port)
{
    bool wants_out;

    while (port->fd >= 0 && port->output.length) {
        ssize_t n = send(port->fd, ds_cstr(&port->output),
                         port->output.length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN && port->output.length <= OUTPUT_MAX) {
            break;
        } else if (n < 0 && errno != EINTR) {
            disconnect(q, port, errno == EAGAIN ? "it does not read"
                       : ovs_strerror(errno));
            return;
        } else if (n > 0) {
            port->output.length -= n;
            memmove(port->output.string, port->output.string + n,
                    port->output.length);
        }
    }
    wants_out = port->output.length > 0;
    if (port->fd >= 0 && wants_out != port->wants_out) {
        port->wants_out = wants_out;
        set_events(q, port, EPOLL_CTL_MOD);
    }
}

static void
take_commands(struct matd_qmp *q, struct port *port)
{
    for (unsigned int i = 0; i < port->vm.n_commands; i++) {
        ds_put_cstr(&port->output, port->vm.commands[i]);
    }
    port->vm.n_commands = 0;
    send_output(q, port);
}

/* After a whole message. */
static void
take_message(struct matd_qmp *q, struct port *port)
{
    port->n_messages++;
    keep_hints(q, port);
    if (port->vm.phase == MATD_QMP_READY) {
        port->backoff_ms = MATD_QMP_BACKOFF_MIN_MS;
        if (port->error) {
            VLOG_INFO("%s: QMP at %s: connected", port->name, port->path);
            free(port->error);
            port->error = NULL;
        }
        set_timer(q, port, matd_qmp_vm_is_waiting(&port->vm)
                  ? time_msec() + MATD_QMP_POLL_MS : LLONG_MAX);
    }
    take_commands(q, port);
}

static void
take_bytes(struct matd_qmp *q, struct port *port, const char *bytes,
           size_t n)
{
    for (size_t used = 0; used < n && port->fd >= 0; ) {
        used += matd_qmp_vm_feed(&port->vm, bytes + used, n - used);
        if (port->vm.error) {
            disconnect(q, port, port->vm.error);
        } else if (!port->vm.parser) {
            take_message(q, port);
        }
    }
}

static void
receive(struct matd_qmp *q, struct port *port)
{
    char buffer[4096];
    ssize_t n = sizeof buffer;

    for (size_t total = 0; port->fd >= 0 && total < MATD_QMP_RUN_MAX;
         total += n) {
        n = recv(port->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) {
            take_bytes(q, port, buffer, n);
        } else if (!n) {
            disconnect(q, port, "closed by QEMU");
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            disconnect(q, port, ovs_strerror(errno));
        } else {
            n = 0;
        }
    }
}

static void
run_timers(struct matd_qmp *q)
{
    long long int now = time_msec();
    struct shash_node *node;

    if (now < q->next_timer) {
        return;
    }
    q->next_timer = LLONG_MAX;
    SHASH_FOR_EACH (node, &q->ports) {
        struct port *port = node->data;

        if (now < port->timer) {
            q->next_timer = MIN(q->next_timer, port->timer);
        } else if (port->fd < 0) {
            start_connecting(q, port);
        } else {
            matd_qmp_vm_poll(&port->vm);
            set_timer(q, port, now + MATD_QMP_POLL_MS);
            take_commands(q, port);
        }
    }
}

void
matd_qmp_run(struct matd_qmp *q)
{
    struct epoll_event events[EVENTS_MAX];
    int n;

    run_timers(q);
    n = epoll_wait(q->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        struct port *port = events[i].data.ptr;

        if (events[i].events & ~EPOLLOUT) {
            receive(q, port);
        }
        send_output(q, port);
    }
    give_hints(q);
}

void
matd_qmp_wait(struct matd_qmp *q)
{
    poll_fd_wait(q->epoll, POLLIN);
    if (q->next_timer != LLONG_MAX) {
        poll_timer_wait_until(q->next_timer);
    }
}

bool
matd_qmp_next(const struct matd_qmp *q, void **cursor,
              struct matd_qmp_status *status)
{
    const struct hmap *map = &q->ports.map;
    struct hmap_node *node = *cursor ? hmap_next(map, *cursor)
                             : hmap_first(map);
    const struct port *port;

    *cursor = node;
    if (!node) {
        return false;
    }
    port = CONTAINER_OF(node, struct shash_node, node)->data;
    *status = (struct matd_qmp_status) {
        .port = port->name, .path = port->path,
        .is_connected = port->vm.phase == MATD_QMP_READY,
        .error = port->error, .runstate = port->vm.runstate,
        .last = port->vm.last, .n_messages = port->n_messages,
        .n_connects = port->n_connects, .n_errors = port->n_errors
    };
    return true;
}
