/* SPDX-License-Identifier: Apache-2.0 */

/* Requests go out from start_request(), in this order of preference: what the
 * connection needs to begin with, operations, a page of a dump.  The next one
 * starts when the reply to the one before has been dealt with, so there is no
 * queue of requests, only of operations: a list of messages already encoded,
 * of which the last is being filled. */

#include <config.h>

#include "matd-switch.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dirs.h"
#include "openvswitch/list.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "socket-util.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_switch);

enum {
    BACKOFF_MIN_MS = 20,        /* A restarted switch is back in moments... */
    BACKOFF_MAX_MS = 250,       /* ...and what it knew must be, too. */
    REPLY_TIMEOUT_MS = 5000,    /* The switch answers in microseconds. */
    EVENTS_PER_RUN = 512        /* Others want a turn. */
};

struct chunk {
    struct ovs_list node;       /* In 'chunks'. */
    struct mat_update_writer writer;
    uint64_t last;              /* The largest number it ever had. */
    uint64_t *sequences;        /* One for each operation. */
    size_t allocated;
    uint8_t bytes[MAT_UPDATE_MESSAGE_MAX];
};

/* Events first, so that none falls between them and what is dumped. */
enum phase {
    PHASE_SUBSCRIBE,
    PHASE_HELLO,
    PHASE_RUN
};

enum { N_DUMPS = MAT_UPDATE_DUMP_POOLS + 2 };

struct matd_switch {
    char *path;
    const struct matd_switch_handler *handler;
    void *aux;

    int fd;                     /* -1: not connected. */
    enum phase phase;
    int64_t retry_ms;           /* When to try to connect again... */
    int backoff_ms;             /* ...and how long to wait after that. */
    char problem[256];          /* "": connected. */

    struct mat_update_header pending;   /* What is under way; 'type' 0: none */
    bool is_sent;               /* ...and has left. */
    int64_t sent_us;
    uint32_t last_id;
    size_t request_size;
    const uint8_t *request;

    struct ovs_list chunks;     /* struct chunk, the first is under way. */
    size_t n_chunks;

    uint16_t dumps[N_DUMPS];    /* Kinds to be dumped, in order. */
    size_t n_dumps;
    uint64_t cursor;            /* In the first. */

    int event_fd;
    void *region;
    size_t region_size;
    struct mat_event_reader reader;

    struct matd_switch_stats stats;
    uint8_t small[MAT_UPDATE_HEADER_SIZE];
    uint8_t reply[MAT_UPDATE_MESSAGE_MAX];
};

static void try_connect(struct matd_switch *);
static void disconnect(struct matd_switch *, const char *why, int error);
static void start_request(struct matd_switch *);
static void send_request(struct matd_switch *);
static bool receive_reply(struct matd_switch *);
static void handle_reply(struct matd_switch *, struct mat_update_header *,
                         struct mat_update_reader *);
static void read_events(struct matd_switch *);
static void drop_chunks(struct matd_switch *);

struct matd_switch *
matd_switch_create(const char *path, const struct matd_switch_handler *handler,
                   void *aux)
{
    struct matd_switch *sw = xzalloc(sizeof *sw);
    const char *socket_path = path ? path : getenv("OVS_MAT_SOCKET");

    sw->path = (socket_path ? xstrdup(socket_path)
                : xasprintf("%s/mat.sock", ovs_rundir()));
    sw->handler = handler;
    sw->aux = aux;
    sw->fd = sw->event_fd = -1;
    sw->backoff_ms = BACKOFF_MIN_MS;
    snprintf(sw->problem, sizeof sw->problem, "not yet connected");
    ovs_list_init(&sw->chunks);
    return sw;
}

void
matd_switch_destroy(struct matd_switch *sw)
{
    if (sw) {
        sw->phase = PHASE_SUBSCRIBE;    /* Nobody is to be told. */
        disconnect(sw, "closed", 0);
        free(sw->path);
        free(sw);
    }
}

void
matd_switch_run(struct matd_switch *sw)
{
    if (sw->fd < 0 && time_msec() >= sw->retry_ms) {
        try_connect(sw);
    }
    do {
        matd_switch_flush(sw);
    } while (sw->fd >= 0 && receive_reply(sw));
    if (sw->fd >= 0 && sw->pending.type && sw->is_sent
        && time_usec() - sw->sent_us > REPLY_TIMEOUT_MS * 1000LL) {
        disconnect(sw, "it does not answer", 0);
    }
    if (sw->region) {
        read_events(sw);
    }
}

void
matd_switch_flush(struct matd_switch *sw)
{
    if (sw->fd >= 0) {
        if (!sw->pending.type) {
            start_request(sw);
        }
        send_request(sw);
    }
}

void
matd_switch_wait(struct matd_switch *sw)
{
    if (sw->fd < 0) {
        poll_timer_wait_until(sw->retry_ms);
        return;
    }
    if (!sw->pending.type && (sw->n_dumps
                              || !ovs_list_is_empty(&sw->chunks))) {
        poll_immediate_wake();
    }
    poll_fd_wait(sw->fd, (sw->pending.type && !sw->is_sent
                          ? POLLIN | POLLOUT : POLLIN));
    if (sw->event_fd >= 0) {
        poll_fd_wait(sw->event_fd, POLLIN);
    }
    if (sw->pending.type && sw->is_sent) {
        poll_timer_wait_until(sw->sent_us / 1000 + REPLY_TIMEOUT_MS + 1);
    }
}

static struct chunk *
make_chunk(void)
{
    struct chunk *chunk = xmalloc(sizeof *chunk);

    mat_update_begin(&chunk->writer, chunk->bytes, sizeof chunk->bytes);
    chunk->sequences = NULL;
    chunk->allocated = 0;
    chunk->last = 0;
    return chunk;
}

static void
free_chunk(struct chunk *chunk)
{
    free(chunk->sequences);
    free(chunk);
}

static bool
add_to_chunk(struct chunk *chunk, uint64_t sequence, const struct mat_op *op)
{
    size_t i = chunk->writer.count;

    if (!mat_update_add(&chunk->writer, op)) {
        return false;
    }
    if (i >= chunk->allocated) {
        chunk->sequences = x2nrealloc(chunk->sequences, &chunk->allocated,
                                      sizeof *chunk->sequences);
    }
    chunk->sequences[i] = sequence;
    chunk->last = MAX(chunk->last, sequence);
    return true;
}

/* The chunk to fill: the last, unless it is under way. */
static struct chunk *
open_chunk(struct matd_switch *sw, bool must_be_new)
{
    bool first_is_busy = sw->pending.type == MAT_UPDATE_BATCH;
    struct chunk *chunk;

    if (!must_be_new && sw->n_chunks > first_is_busy) {
        return CONTAINER_OF(ovs_list_back(&sw->chunks), struct chunk, node);
    }
    chunk = make_chunk();
    ovs_list_push_back(&sw->chunks, &chunk->node);
    sw->n_chunks++;
    return chunk;
}

void
matd_switch_put(struct matd_switch *sw, uint64_t sequence,
                const struct mat_op *op)
{
    if (!matd_switch_is_connected(sw)) {
        return;
    }
    if (!add_to_chunk(open_chunk(sw, false), sequence, op)) {
        if (sw->n_chunks * sizeof(struct chunk) >= MATD_SWITCH_QUEUE_MAX) {
            disconnect(sw, "it is too slow", 0);
            return;
        }
        if (!add_to_chunk(open_chunk(sw, true), sequence, op)) {
            OVS_NOT_REACHED();          /* No operation is that long. */
        }
    }
    sw->stats.n_ops++;
}

void
matd_switch_dump(struct matd_switch *sw, enum mat_update_dump kind)
{
    bool has_begun = sw->cursor || sw->pending.type == MAT_UPDATE_DUMP;

    for (size_t i = has_begun; i < sw->n_dumps; i++) {
        if (sw->dumps[i] == kind) {
            return;
        }
    }
    if (matd_switch_is_connected(sw) && sw->n_dumps < N_DUMPS) {
        sw->dumps[sw->n_dumps++] = kind;
    }
}

bool
matd_switch_is_connected(const struct matd_switch *sw)
{
    return sw->fd >= 0 && sw->phase == PHASE_RUN;
}

void
matd_switch_get_stats(const struct matd_switch *sw,
                      struct matd_switch_stats *stats)
{
    *stats = sw->stats;
    stats->n_events_lost += sw->reader.n_lost;
    stats->path = sw->path;
    stats->problem = sw->problem[0] ? sw->problem : NULL;
}

/* Connection. */

static void
retry_later(struct matd_switch *sw)
{
    sw->retry_ms = time_msec() + sw->backoff_ms;
    sw->backoff_ms = MIN(2 * sw->backoff_ms, BACKOFF_MAX_MS);
}

static void
try_connect(struct matd_switch *sw)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd, error;

    if (strlen(sw->path) >= sizeof sun.sun_path) {
        snprintf(sw->problem, sizeof sw->problem, "%s: path is too long",
                 sw->path);
        retry_later(sw);
        return;
    }
    memcpy(sun.sun_path, sw->path, strlen(sw->path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    error = fd < 0 || connect(fd, (struct sockaddr *) &sun, sizeof sun)
            ? errno : 0;
    if (error) {
        if (fd >= 0) {
            close(fd);
        }
        snprintf(sw->problem, sizeof sw->problem, "%s: %s%s", sw->path,
                 ovs_strerror(error),
                 error == EACCES ? " (see OVS_MAT_SOCKET_GROUP in ovs-mat(7))"
                 : error == ENOENT || error == ECONNREFUSED
                 ? " (does a patched ovs-vswitchd run, with a port?)" : "");
        retry_later(sw);
        return;
    }
    sw->fd = fd;
    sw->phase = PHASE_SUBSCRIBE;
    sw->problem[0] = '\0';
}

static void
close_events(struct matd_switch *sw)
{
    if (sw->event_fd >= 0) {
        close(sw->event_fd);
        sw->event_fd = -1;
    }
    if (sw->region) {
        munmap(sw->region, sw->region_size);
        sw->region = NULL;
        sw->stats.n_events_lost += sw->reader.n_lost;
        sw->reader.n_lost = 0;
    }
}

static void
disconnect(struct matd_switch *sw, const char *why, int error)
{
    bool was_running = sw->phase == PHASE_RUN;

    if (sw->fd >= 0) {
        close(sw->fd);
        sw->fd = -1;
    }
    close_events(sw);
    drop_chunks(sw);
    memset(&sw->pending, 0, sizeof sw->pending);
    sw->n_dumps = 0;
    sw->cursor = 0;
    sw->phase = PHASE_SUBSCRIBE;
    snprintf(sw->problem, sizeof sw->problem, "%s: %s%s%s", sw->path, why,
             error ? ": " : "", error ? ovs_strerror(error) : "");
    retry_later(sw);
    if (was_running) {
        VLOG_WARN("switch: connection lost: %s", sw->problem);
        sw->handler->disconnected(sw->aux);
    }
}

static void
drop_first_chunk(struct matd_switch *sw)
{
    free_chunk(CONTAINER_OF(ovs_list_pop_front(&sw->chunks), struct chunk,
                            node));
    sw->n_chunks--;
}

static void
drop_chunks(struct matd_switch *sw)
{
    while (!ovs_list_is_empty(&sw->chunks)) {
        drop_first_chunk(sw);
    }
}

/* Requests. */

static void
start(struct matd_switch *sw, enum mat_update_type type, uint16_t kind,
      uint64_t cursor, struct mat_update_writer *writer)
{
    struct mat_update_writer empty;

    sw->pending = (struct mat_update_header) {
        .type = type, .kind = kind, .id = ++sw->last_id, .cursor = cursor
    };
    if (!writer) {
        writer = &empty;
        mat_update_begin(writer, sw->small, sizeof sw->small);
    }
    sw->request_size = mat_update_end(writer, &sw->pending);
    sw->request = writer->data;
    sw->is_sent = false;
}

static void
start_request(struct matd_switch *sw)
{
    if (sw->phase == PHASE_SUBSCRIBE) {
        start(sw, MAT_UPDATE_SUBSCRIBE, 0, 0, NULL);
    } else if (sw->phase == PHASE_HELLO) {
        start(sw, MAT_UPDATE_HELLO, 0, 0, NULL);
    } else if (!ovs_list_is_empty(&sw->chunks)) {
        struct chunk *chunk = CONTAINER_OF(ovs_list_front(&sw->chunks),
                                           struct chunk, node);

        start(sw, MAT_UPDATE_BATCH, 0, 0, &chunk->writer);
        sw->stats.n_batches++;
    } else if (sw->n_dumps && sw->dumps[0] == MATD_SWITCH_NUMBERS) {
        start(sw, MAT_UPDATE_STATS, 0, 0, NULL);
    } else if (sw->n_dumps) {
        start(sw, MAT_UPDATE_DUMP, sw->dumps[0], sw->cursor, NULL);
    }
}

static void
send_request(struct matd_switch *sw)
{
    if (!sw->pending.type || sw->is_sent) {
        return;
    }
    if (send(sw->fd, sw->request, sw->request_size,
             MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
        sw->is_sent = true;
        sw->sent_us = time_usec();
    } else if (errno != EAGAIN && errno != EINTR) {
        disconnect(sw, "cannot send", errno);
    }
}

/* Replies. */

/* Takes the descriptors of a subscription. */
static bool
take_events(struct matd_switch *sw, int memory_fd, int event_fd, size_t size)
{
    void *region = mmap(NULL, size, PROT_READ, MAP_SHARED, memory_fd, 0);

    close(memory_fd);
    if (region == MAP_FAILED) {
        close(event_fd);
        return false;
    }
    close_events(sw);
    sw->region = region;
    sw->region_size = size;
    sw->event_fd = event_fd;
    set_nonblocking(event_fd);
    return mat_event_reader_init(&sw->reader, region, size, false);
}

static ssize_t
receive_message(struct matd_switch *sw, int fds[2])
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { .iov_base = sw->reply, .iov_len = sizeof sw->reply };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n = recvmsg(sw->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    fds[0] = fds[1] = -1;
    if (cmsg && cmsg->cmsg_level == SOL_SOCKET
        && cmsg->cmsg_type == SCM_RIGHTS
        && cmsg->cmsg_len == CMSG_LEN(2 * sizeof(int))) {
        memcpy(fds, CMSG_DATA(cmsg), 2 * sizeof(int));
    }
    return n;
}

/* True if there was a reply, so that the next request can start. */
static bool
receive_reply(struct matd_switch *sw)
{
    struct mat_update_reader reader;
    struct mat_update_header header;
    enum mat_update_reason reason;
    uint64_t bad;
    int fds[2];
    ssize_t n = receive_message(sw, fds);

    if (n <= 0) {
        if (!n || (errno != EAGAIN && errno != EINTR)) {
            disconnect(sw, n ? "cannot receive" : "it closed the connection",
                       n ? errno : 0);
        }
        return false;
    }
    reason = mat_update_open(&reader, &header, sw->reply, n, &bad);
    if (reason == MAT_UPDATE_GOOD && fds[0] >= 0
        && !take_events(sw, fds[0], fds[1], header.cursor)) {
        disconnect(sw, "its event memory cannot be used", 0);
    } else if (reason != MAT_UPDATE_GOOD) {
        disconnect(sw, mat_update_strerror(reason), 0);
    } else if (!sw->pending.type || !sw->is_sent
               || header.id != sw->pending.id) {
        disconnect(sw, "it answered what was not asked", 0);
    } else {
        handle_reply(sw, &header, &reader);
    }
    return sw->fd >= 0;
}

static void
handle_hello(struct matd_switch *sw, struct mat_update_reader *reader)
{
    uint64_t instance = 0;
    struct mat_op op;

    while (mat_update_next(reader, &op)) {
        if (op.type == MAT_OP_NUMBER && !strcmp(op.number.name, "instance")) {
            instance = op.number.value;
        }
    }
    sw->phase = PHASE_RUN;
    sw->backoff_ms = BACKOFF_MIN_MS;
    sw->stats.n_connections++;
    VLOG_INFO("switch: connected to %s, instance %016"PRIx64, sw->path,
              instance);
    sw->handler->connected(sw->aux, instance);
}

static void
handle_dump_page(struct matd_switch *sw, uint64_t cursor,
                 struct mat_update_reader *reader)
{
    enum mat_update_dump kind = sw->dumps[0];
    struct mat_op op;

    while (sw->fd >= 0 && mat_update_next(reader, &op)) {
        sw->handler->dumped(sw->aux, kind, &op);
    }
    if (sw->fd >= 0) {
        sw->cursor = cursor;
        if (!cursor) {
            sw->n_dumps--;
            memmove(sw->dumps, sw->dumps + 1,
                    sw->n_dumps * sizeof *sw->dumps);
            sw->handler->dumped(sw->aux, kind, NULL);
        }
    }
}

static void
handle_ack(struct matd_switch *sw)
{
    struct chunk *chunk = CONTAINER_OF(ovs_list_front(&sw->chunks),
                                       struct chunk, node);
    uint64_t last = chunk->last;

    drop_first_chunk(sw);
    sw->stats.ack_us = time_usec() - sw->sent_us;
    sw->stats.ack_max_us = MAX(sw->stats.ack_max_us, sw->stats.ack_us);
    if (last) {
        sw->handler->acked(sw->aux, last);
    }
}

static bool
is_refused(uint64_t i, uint64_t bad)
{
    return i == bad || bad == MAT_UPDATE_NO_INDEX;
}

/* The operations of 'old' without 'bad'. */
static struct chunk *
copy_chunk(const struct chunk *old, uint64_t bad)
{
    struct chunk *new = make_chunk();
    struct mat_update_header header;
    struct mat_update_reader reader;
    struct mat_op op;
    uint64_t unused;

    mat_update_open(&reader, &header, old->bytes, old->writer.size, &unused);
    for (size_t i = 0; mat_update_next(&reader, &op); i++) {
        if (!is_refused(i, bad)) {
            add_to_chunk(new, old->sequences[i], &op);
        }
    }
    new->last = old->last;
    return new;
}

/* Sends the first batch again without the operation 'bad', or without any if
 * there is no such, and tells about those. */
static void
handle_refusal(struct matd_switch *sw, unsigned int reason, uint64_t bad,
               const char *why)
{
    struct chunk *old = CONTAINER_OF(ovs_list_pop_front(&sw->chunks),
                                     struct chunk, node);
    struct mat_update_header header;
    struct mat_update_reader reader;
    struct chunk *new;
    struct mat_op op;
    uint64_t unused;

    if (bad >= old->writer.count) {
        bad = MAT_UPDATE_NO_INDEX;
    }
    new = copy_chunk(old, bad);
    ovs_list_push_front(&sw->chunks, &new->node);
    mat_update_open(&reader, &header, old->bytes, old->writer.size, &unused);
    for (size_t i = 0; mat_update_next(&reader, &op); i++) {
        if (is_refused(i, bad)) {
            sw->stats.n_refused++;
            if (old->sequences[i]) {
                sw->handler->refused(sw->aux, old->sequences[i], &op, reason,
                                     why);
            }
        }
    }
    free_chunk(old);
    if (sw->fd >= 0 && !new->writer.count) {
        handle_ack(sw);
    }
}

static void
handle_error(struct matd_switch *sw, const struct mat_update_header *request,
             const struct mat_update_header *header,
             struct mat_update_reader *reader)
{
    char why[MAT_UPDATE_TEXT_MAX + 1];
    struct mat_op op;

    snprintf(why, sizeof why, "%s", mat_update_strerror(header->kind));
    if (mat_update_next(reader, &op) && op.type == MAT_OP_TEXT) {
        snprintf(why, sizeof why, "%.*s", (int) op.text.size, op.text.s);
    }
    if (request->type == MAT_UPDATE_BATCH) {
        handle_refusal(sw, header->kind, header->cursor, why);
    } else {
        disconnect(sw, why, 0);
    }
}

static void
handle_reply(struct matd_switch *sw, struct mat_update_header *header,
             struct mat_update_reader *reader)
{
    struct mat_update_header request = sw->pending;

    sw->pending.type = 0;
    if (header->type == MAT_UPDATE_ERROR) {
        handle_error(sw, &request, header, reader);
    } else if (request.type == MAT_UPDATE_BATCH) {
        handle_ack(sw);
    } else if (request.type == MAT_UPDATE_SUBSCRIBE) {
        sw->phase = PHASE_HELLO;
    } else if (request.type == MAT_UPDATE_HELLO) {
        handle_hello(sw, reader);
    } else {
        handle_dump_page(sw, header->cursor, reader);
    }
}

static void
read_events(struct matd_switch *sw)
{
    uint64_t n_lost = sw->reader.n_lost;
    struct mat_event event;
    char bytes[256];
    int n = 0;

    while (recv(sw->event_fd, bytes, sizeof bytes, MSG_DONTWAIT)
           == (ssize_t) sizeof bytes) {
        continue;
    }
    while (sw->region && n < EVENTS_PER_RUN
           && mat_event_reader_next(&sw->reader, &event)) {
        sw->stats.n_events++;
        n++;
        sw->handler->event(sw->aux, &event);
    }
    if (n == EVENTS_PER_RUN) {
        poll_immediate_wake();
    }
    if (sw->region && sw->reader.n_lost != n_lost) {
        n_lost = sw->reader.n_lost - n_lost;
        VLOG_WARN("switch: %"PRIu64" events lost: too many at once", n_lost);
        sw->handler->events_lost(sw->aux, n_lost);
    }
}
