/* SPDX-License-Identifier: Apache-2.0 */

/* As much of HTTP/1.1 as a scraper needs: one request a connection, GET, no
 * body, "Connection: close". */

#include <config.h>
#include "matd-metrics-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/list.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "stream.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_metrics);

enum { RETRY_MS = 5000 };       /* Between attempts to listen. */

struct connection {
    struct ovs_list node;
    struct matd_http *http;
    struct stream *stream;
    long long int deadline_ms;
    char request[MATD_METRICS_REQUEST_MAX + 1];
    size_t n_request;
    bool is_asking;             /* matd_metrics_ask() has not answered yet. */
    char *reply;                /* Null: the request is not complete. */
    size_t n_reply, n_sent;
};

struct matd_http {
    struct matd_metrics *metrics;
    struct mat_endpoint endpoint;       /* Port 0: none. */
    struct pstream *listener;
    long long int retry_ms;
    char *error;
    struct ovs_list connections;
    size_t n_connections;
    struct matd_http_stats stats;
};

struct matd_http *
matd_http_create(struct matd_metrics *metrics)
{
    struct matd_http *http = xzalloc(sizeof *http);

    http->metrics = metrics;
    ovs_list_init(&http->connections);
    return http;
}

static void
close_connection(struct connection *c)
{
    if (c->is_asking) {
        matd_metrics_forget(c->http->metrics, c);
    }
    stream_close(c->stream);
    ovs_list_remove(&c->node);
    c->http->n_connections--;
    free(c->reply);
    free(c);
}

static void
stop(struct matd_http *http)
{
    struct connection *c;

    LIST_FOR_EACH_SAFE (c, node, &http->connections) {
        close_connection(c);
    }
    pstream_close(http->listener);
    http->listener = NULL;
    free(http->error);
    http->error = NULL;
}

void
matd_http_destroy(struct matd_http *http)
{
    stop(http);
    free(http);
}

/* Listening. */

static bool
is_loopback(const struct mat_addr *addr)
{
    static const struct mat_addr v6 = { { [15] = 1 } };

    return (mat_addr_is_v4(addr) ? addr->b[12] == 127
            : mat_addr_equal(addr, &v6));
}

static void
try_listen(struct matd_http *http)
{
    char text[MAT_ADDR_STRLEN], *name;
    bool v4 = mat_addr_is_v4(&http->endpoint.addr);
    int error;

    mat_addr_format(&http->endpoint.addr, text);
    name = xasprintf(v4 ? "ptcp:%u:%s" : "ptcp:%u:[%s]", http->endpoint.port,
                     text);
    error = pstream_open(name, &http->listener, 0);
    free(http->error);
    http->error = NULL;
    if (error) {
        http->listener = NULL;
        http->retry_ms = time_msec() + RETRY_MS;
        http->error = xasprintf("mat-metrics: cannot listen at port %u of "
                                "%s: %s", http->endpoint.port, text,
                                ovs_strerror(error));
    } else {
        VLOG_INFO("metrics at http://%s:%u/metrics", text,
                  http->endpoint.port);
    }
    free(name);
}

void
matd_http_listen(struct matd_http *http, const struct mat_endpoint *endpoint)
{
    if (mat_endpoint_equal(&http->endpoint, endpoint)) {
        return;
    }
    stop(http);
    http->endpoint = *endpoint;
    if (!endpoint->port) {
        return;
    }
    if (!is_loopback(&endpoint->addr)) {
        http->endpoint.port = 0;
        http->error = xstrdup("mat-metrics must be a port of a loopback "
                              "address, like 127.0.0.1:9777: it is not "
                              "protected");
        return;
    }
    try_listen(http);
}

const char *
matd_http_error(const struct matd_http *http)
{
    return http->error;
}

const struct matd_http_stats *
matd_http_stats(const struct matd_http *http)
{
    return &http->stats;
}

/* Replies. */

static void
set_reply(struct connection *c, const char *status, const char *type,
          const char *body)
{
    c->reply = xasprintf("HTTP/1.1 %s\r\n"
                         "Content-Type: %s\r\n"
                         "Content-Length: %"PRIuSIZE"\r\n"
                         "Connection: close\r\n"
                         "\r\n"
                         "%s", status, type, strlen(body), body);
    c->n_reply = strlen(c->reply);
}

static void
refuse(struct connection *c, const char *status)
{
    c->http->stats.n_bad++;
    set_reply(c, status, "text/plain", "see /metrics\n");
}

static void
answered(void *c_, const char *text)
{
    struct connection *c = c_;

    c->is_asking = false;
    if (text) {
        set_reply(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8",
                  text);
    } else {
        refuse(c, "503 Service Unavailable");
    }
}

/* The first line decides. */
static void
handle_request(struct connection *c)
{
    c->http->stats.n_requests++;
    if (strncmp(c->request, "GET ", 4)) {
        refuse(c, "405 Method Not Allowed");
    } else if (strncmp(c->request + 4, "/metrics ", 9)
               && strncmp(c->request + 4, "/metrics?", 9)) {
        refuse(c, "404 Not Found");
    } else {
        c->is_asking = true;
        matd_metrics_ask(c->http->metrics, answered, c);
    }
}

/* False if the connection has ended. */
static bool
receive(struct connection *c)
{
    for (;;) {
        size_t room = MATD_METRICS_REQUEST_MAX - c->n_request;
        int n = stream_recv(c->stream, c->request + c->n_request, room);

        if (n == -EAGAIN) {
            return true;
        } else if (n <= 0) {
            return false;
        }
        c->n_request += n;
        c->request[c->n_request] = '\0';
        if (memmem(c->request, c->n_request, "\r\n\r\n", 4)
            || memmem(c->request, c->n_request, "\n\n", 2)) {
            handle_request(c);
            return true;
        } else if (c->n_request == MATD_METRICS_REQUEST_MAX) {
            refuse(c, "431 Request Header Fields Too Large");
            return true;
        }
    }
}

static bool
transmit(struct connection *c)
{
    while (c->n_sent < c->n_reply) {
        int n = stream_send(c->stream, c->reply + c->n_sent,
                            c->n_reply - c->n_sent);

        if (n == -EAGAIN) {
            return true;
        } else if (n <= 0) {
            return false;
        }
        c->n_sent += n;
    }
    return false;
}

/* False if it has ended, well or not. */
static bool
run_connection(struct connection *c)
{
    if (time_msec() >= c->deadline_ms) {
        c->http->stats.n_timeouts++;
        return false;
    }
    stream_run(c->stream);
    if (!c->reply && !c->is_asking && !receive(c)) {
        return false;
    }
    return !c->reply || transmit(c);
}

static void
accept_one(struct matd_http *http, struct stream *stream)
{
    struct connection *c;

    if (http->n_connections >= MATD_METRICS_CONNECTIONS_MAX) {
        http->stats.n_refused++;
        stream_close(stream);
        return;
    }
    c = xzalloc(sizeof *c);
    c->http = http;
    c->stream = stream;
    c->deadline_ms = time_msec() + MATD_METRICS_TIMEOUT_MS;
    ovs_list_push_back(&http->connections, &c->node);
    http->n_connections++;
}

void
matd_http_run(struct matd_http *http)
{
    struct connection *c;
    struct stream *stream;

    if (http->endpoint.port && !http->listener
        && time_msec() >= http->retry_ms) {
        try_listen(http);
    }
    for (int i = 0; http->listener && i < MATD_METRICS_CONNECTIONS_MAX
         && !pstream_accept(http->listener, &stream); i++) {
        accept_one(http, stream);
    }
    LIST_FOR_EACH_SAFE (c, node, &http->connections) {
        if (!run_connection(c)) {
            close_connection(c);
        }
    }
}

void
matd_http_wait(struct matd_http *http)
{
    struct connection *c;

    if (http->listener) {
        pstream_wait(http->listener);
    } else if (http->endpoint.port) {
        poll_timer_wait_until(http->retry_ms);
    }
    LIST_FOR_EACH (c, node, &http->connections) {
        stream_run_wait(c->stream);
        poll_timer_wait_until(c->deadline_ms);
        if (c->reply) {
            stream_send_wait(c->stream);
        } else if (!c->is_asking) {
            stream_recv_wait(c->stream);
        }
    }
}
