/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch-client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef MAT_RUNDIR
#define MAT_RUNDIR "/var/run/openvswitch"
#endif

struct mat_switch_client {
    int fd;
    uint32_t last_id;
    struct mat_update_writer writer;
    struct mat_update_header header;    /* Of the last reply. */
    struct mat_update_reader items;     /* Of the last reply. */
    unsigned int reason;
    uint64_t bad_index;
    char error[MAT_UPDATE_TEXT_MAX + 128];

    int memory_fd, event_fd;            /* From the last reply; else -1. */
    void *region;
    size_t region_size;

    uint8_t request[MAT_UPDATE_MESSAGE_MAX];
    uint8_t reply[MAT_UPDATE_MESSAGE_MAX];
};

static bool exchange(struct mat_switch_client *, enum mat_update_type,
                     uint16_t kind, uint64_t cursor);
static bool receive(struct mat_switch_client *);
static void take_fds(struct mat_switch_client *, struct msghdr *);
static bool check_reply(struct mat_switch_client *, size_t size);
static bool fail(struct mat_switch_client *, const char *what, int error);

const char *
mat_switch_client_default_path(void)
{
    static char path[108];
    const char *socket_path = getenv("OVS_MAT_SOCKET");
    const char *rundir = getenv("OVS_RUNDIR");

    if (socket_path) {
        return socket_path;
    }
    snprintf(path, sizeof path, "%s/mat.sock", rundir ? rundir : MAT_RUNDIR);
    return path;
}

struct mat_switch_client *
mat_switch_client_open(const char *path)
{
    struct mat_switch_client *c = calloc(1, sizeof *c);
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int n, error;

    if (!c) {
        return NULL;
    }
    c->memory_fd = c->event_fd = -1;
    mat_switch_client_begin(c);
    n = snprintf(sun.sun_path, sizeof sun.sun_path, "%s",
                 path ? path : mat_switch_client_default_path());
    if (n < 0 || (size_t) n >= sizeof sun.sun_path) {
        free(c);
        errno = ENAMETOOLONG;
        return NULL;
    }
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *) &sun, sizeof sun)) {
        error = errno;
        mat_switch_client_close(c);
        errno = error;
        return NULL;
    }
    return c;
}

void
mat_switch_client_close(struct mat_switch_client *c)
{
    if (c) {
        if (c->fd >= 0) {
            close(c->fd);
        }
        if (c->memory_fd >= 0) {
            close(c->memory_fd);
        }
        if (c->event_fd >= 0) {
            close(c->event_fd);
        }
        if (c->region) {
            munmap(c->region, c->region_size);
        }
        free(c);
    }
}

int
mat_switch_client_fd(const struct mat_switch_client *c)
{
    return c->fd;
}

const char *
mat_switch_client_error(const struct mat_switch_client *c)
{
    return c->error;
}

unsigned int
mat_switch_client_reason(const struct mat_switch_client *c)
{
    return c->reason;
}

uint64_t
mat_switch_client_bad_index(const struct mat_switch_client *c)
{
    return c->bad_index;
}

void
mat_switch_client_begin(struct mat_switch_client *c)
{
    mat_update_begin(&c->writer, c->request, sizeof c->request);
}

bool
mat_switch_client_add(struct mat_switch_client *c, const struct mat_op *op)
{
    return mat_update_add(&c->writer, op);
}

uint32_t
mat_switch_client_n_added(const struct mat_switch_client *c)
{
    return c->writer.count;
}

bool
mat_switch_client_commit(struct mat_switch_client *c)
{
    bool ok = !c->writer.count || exchange(c, MAT_UPDATE_BATCH, 0, 0);

    mat_switch_client_begin(c);
    return ok;
}

bool
mat_switch_client_request(struct mat_switch_client *c,
                          enum mat_update_type type)
{
    mat_switch_client_begin(c);
    return exchange(c, type, 0, 0);
}

bool
mat_switch_client_list(struct mat_switch_client *c, enum mat_update_type type,
                       uint16_t kind,
                       bool (*each)(const struct mat_op *, void *aux),
                       void *aux)
{
    uint64_t cursor = 0;

    do {
        struct mat_op op;

        mat_switch_client_begin(c);
        if (!exchange(c, type, kind, cursor)) {
            return false;
        }
        while (mat_update_next(&c->items, &op)) {
            if (!each(&op, aux)) {
                return true;
            }
        }
        cursor = c->header.cursor;
    } while (cursor);
    return true;
}

bool
mat_switch_client_subscribe(struct mat_switch_client *c,
                            struct mat_event_reader *reader, bool from_oldest)
{
    void *region;

    mat_switch_client_begin(c);
    if (!exchange(c, MAT_UPDATE_SUBSCRIBE, 0, 0)) {
        return false;
    }
    if (c->memory_fd < 0) {
        return fail(c, "the switch sent no event memory", 0);
    }
    c->region_size = c->header.cursor;
    region = mmap(NULL, c->region_size, PROT_READ, MAP_SHARED, c->memory_fd,
                  0);
    if (region == MAP_FAILED) {
        return fail(c, "event memory cannot be mapped", errno);
    }
    c->region = region;
    if (!mat_event_reader_init(reader, region, c->region_size, from_oldest)) {
        return fail(c, "event memory is of another version", 0);
    }
    return true;
}

int
mat_switch_client_event_fd(const struct mat_switch_client *c)
{
    return c->event_fd;
}

void
mat_switch_client_drain(const struct mat_switch_client *c)
{
    char bytes[256];
    ssize_t n;

    do {
        n = recv(c->event_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    } while (n == (ssize_t) sizeof bytes || (n < 0 && errno == EINTR));
}

/* Sends what the writer has, as a message of 'type', and gets the reply. */
static bool
exchange(struct mat_switch_client *c, enum mat_update_type type,
         uint16_t kind, uint64_t cursor)
{
    struct mat_update_header header = {
        .type = type, .kind = kind, .id = ++c->last_id, .cursor = cursor
    };
    size_t size = mat_update_end(&c->writer, &header);

    c->reason = 0;
    c->bad_index = MAT_UPDATE_NO_INDEX;
    while (send(c->fd, c->request, size, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return fail(c, "cannot send to the switch", errno);
        }
    }
    return receive(c);
}

static bool
receive(struct mat_switch_client *c)
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { .iov_base = c->reply, .iov_len = sizeof c->reply };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n;

    do {
        n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return fail(c, "cannot receive from the switch", errno);
    } else if (!n) {
        return fail(c, "the switch closed the connection", 0);
    }
    take_fds(c, &msg);
    return check_reply(c, (size_t) n);
}

static void
take_fds(struct mat_switch_client *c, struct msghdr *msg)
{
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
    int fds[2];

    if (cmsg && cmsg->cmsg_level == SOL_SOCKET
        && cmsg->cmsg_type == SCM_RIGHTS
        && cmsg->cmsg_len == CMSG_LEN(sizeof fds)) {
        memcpy(fds, CMSG_DATA(cmsg), sizeof fds);
        c->memory_fd = fds[0];
        c->event_fd = fds[1];
    }
}

static bool
check_reply(struct mat_switch_client *c, size_t size)
{
    struct mat_op op;
    uint64_t bad;
    enum mat_update_reason reason = mat_update_open(&c->items, &c->header,
                                                    c->reply, size, &bad);

    if (reason != MAT_UPDATE_GOOD) {
        return fail(c, mat_update_strerror(reason), 0);
    } else if (c->header.id != c->last_id && c->header.id) {
        return fail(c, "the switch answered another request", 0);
    } else if (c->header.type != MAT_UPDATE_ERROR) {
        return true;
    }
    c->reason = c->header.kind;
    c->bad_index = c->header.cursor;
    if (mat_update_next(&c->items, &op)) {
        snprintf(c->error, sizeof c->error, "%.*s", (int) op.text.size,
                 op.text.s);
    } else {
        fail(c, mat_update_strerror(c->reason), 0);
    }
    return false;
}

static bool
fail(struct mat_switch_client *c, const char *what, int error)
{
    snprintf(c->error, sizeof c->error, "%s%s%s%s", what, error ? " (" : "",
             error ? strerror(error) : "", error ? ")" : "");
    return false;
}
