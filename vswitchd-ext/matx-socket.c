/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-socket.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "coverage.h"
#include "dirs.h"
#include "fatal-signal.h"
#include "matx-dpif.h"
#include "matx-events.h"
#include "matx-hold.h"
#include "matx-server.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat_socket);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

struct matx_client {
    int fd;
    unsigned int number;            /* For the log. */
    int event_fd;                   /* As a subscriber, else -1. */
    int their_event_fd;             /* To be sent with this reply, else -1. */
    uint8_t *pending;               /* A reply that could not be sent yet. */
    size_t pending_size;
    int64_t pending_since_ms;
};

static pthread_t thread;
static bool running;
static int listen_fd = -1;          /* Atomic. */
static int wake_fd = -1;
static bool exiting;                /* Atomic. */
static char *path;
static bool has_group;              /* May more than one user connect? */
static gid_t socket_gid;            /* Only if so. */

/* Of the update thread, but for the number. */
static struct matx_client clients[MATX_CLIENTS_MAX];
static unsigned int n_clients;      /* Atomic. */
static uint64_t counters[MATX_SOCKET_N_COUNTERS];       /* Atomic. */
static int64_t accept_after_ms;     /* After a failure, for lack of memory. */
static uint8_t request[MAT_UPDATE_MESSAGE_MAX + 1];
static uint8_t reply[MAT_UPDATE_MESSAGE_MAX];

static void *thread_main(void *);

static void
count(enum matx_socket_counter counter)
{
    __atomic_add_fetch(&counters[counter], 1, __ATOMIC_RELAXED);
}

bool
matx_socket_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                    uint64_t *value)
{
    static const char *const names[] = {
#define MATX_SOCKET_COUNTER(ENUM, NAME) NAME,
        MATX_SOCKET_COUNTERS
#undef MATX_SOCKET_COUNTER
    };

    if (i >= MATX_SOCKET_N_COUNTERS) {
        return false;
    }
    ovs_strlcpy(name, names[i], MAT_PORT_NAME_SIZE);
    *value = __atomic_load_n(&counters[i], __ATOMIC_RELAXED);
    return true;
}

void
matx_socket_clear_counters(void)
{
    for (int i = 0; i < MATX_SOCKET_N_COUNTERS; i++) {
        __atomic_store_n(&counters[i], 0, __ATOMIC_RELAXED);
    }
}

const char *
matx_socket_path(void)
{
    return path;
}

unsigned int
matx_socket_n_clients(void)
{
    return __atomic_load_n(&n_clients, __ATOMIC_RELAXED);
}

/* Starting and ending. */

/* The process's own group is nobody who was asked for: a daemon's may well be
 * one that many are in. */
static void
find_group(void)
{
    const char *name = getenv("OVS_MAT_SOCKET_GROUP");
    struct group *group;

    if (name) {
        group = getgrnam(name);
        if (group) {
            has_group = true;
            socket_gid = group->gr_gid;
        } else {
            VLOG_WARN("group %s of OVS_MAT_SOCKET_GROUP does not exist",
                      name);
        }
    }
}

/* Nobody can connect before listen(), by when the mode is right. */
static int
open_socket(void)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd, error;

    if (strlen(path) >= sizeof sun.sun_path) {
        return -ENAMETOOLONG;
    }
    ovs_strlcpy(sun.sun_path, path, sizeof sun.sun_path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    unlink(path);
    if (bind(fd, (struct sockaddr *) &sun, sizeof sun)
        || (has_group && chown(path, -1, socket_gid))
        || chmod(path, has_group ? 0660 : 0600)
        || listen(fd, MATX_CLIENTS_MAX)) {
        error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

void
matx_socket_init(void)
{
    const char *override = getenv("OVS_MAT_SOCKET");

    matx_server_init();
    path = override ? xstrdup(override)
                    : xasprintf("%s/mat.sock", ovs_rundir());
    find_group();
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    running = true;
    thread = ovs_thread_create("mat", thread_main, NULL);
}

void
matx_socket_listen(void)
{
    int fd = open_socket();

    if (fd < 0) {
        VLOG_ERR("%s: no updates can be received (%s)", path,
                 ovs_strerror(-fd));
        return;
    }
    fatal_signal_add_file_to_unlink(path);
    __atomic_store_n(&listen_fd, fd, __ATOMIC_RELEASE);
    matx_socket_wake();
    /* Not at a level that is shown: Open vSwitch's tests want to know every
     * line of its start. */
    VLOG_DBG("%s: listening for updates", path);
}

void
matx_socket_exit(void)
{
    if (running) {
        __atomic_store_n(&exiting, true, __ATOMIC_RELEASE);
        matx_socket_wake();
        xpthread_join(thread, NULL);
        running = false;
        if (listen_fd >= 0) {
            close(listen_fd);
            fatal_signal_unlink_file_now(path);
        }
        matx_server_destroy();
    }
}

void
matx_socket_wake(void)
{
    const uint64_t one = 1;

    ignore(write(wake_fd, &one, sizeof one));
}

/* Clients. */

static void
drop_client(struct matx_client *client)
{
    close(client->fd);
    client->fd = -1;
    free(client->pending);
    client->pending = NULL;
    if (client->event_fd >= 0) {
        matx_events_unsubscribe(client->event_fd);
        client->event_fd = -1;
    }
    __atomic_sub_fetch(&n_clients, 1, __ATOMIC_RELAXED);
    VLOG_DBG("client %u has gone", client->number);
}

/* True if the peer is in the socket's group, by its own group or another. */
static bool
is_in_group(int fd, const struct ucred *cred)
{
    gid_t groups[64];
    socklen_t size = sizeof groups;

    if (cred->gid == socket_gid) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size)) {
        return false;
    }
    for (size_t i = 0; i < size / sizeof *groups; i++) {
        if (groups[i] == socket_gid) {
            return true;
        }
    }
    return false;
}

static bool
is_allowed(int fd, struct ucred *cred)
{
    socklen_t size = sizeof *cred;

    return (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &size)
            && (!cred->uid || cred->uid == geteuid()
                || (has_group && is_in_group(fd, cred))));
}

static struct matx_client *
find_free_client(void)
{
    for (int i = 0; i < MATX_CLIENTS_MAX; i++) {
        if (clients[i].fd < 0) {
            return &clients[i];
        }
    }
    return NULL;
}

static void
accept_client(void)
{
    static unsigned int last_number;
    struct matx_client *client;
    struct ucred cred = { 0 };
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            VLOG_WARN_RL(&rl, "cannot accept (%s)", ovs_strerror(errno));
            accept_after_ms = time_msec() + MATX_ACCEPT_PAUSE_MS;
        }
        return;
    }
    client = find_free_client();
    if (!client) {
        count(MATX_SOCKET_TOO_MANY);
        VLOG_WARN_RL(&rl, "refused a client, %d are enough",
                     MATX_CLIENTS_MAX);
        close(fd);
    } else if (!is_allowed(fd, &cred)) {
        count(MATX_SOCKET_NOT_ALLOWED);
        VLOG_WARN_RL(&rl, "refused process %ld of user %ld, who is neither "
                     "root nor in the group of the socket",
                     (long) cred.pid, (long) cred.uid);
        close(fd);
    } else {
        *client = (struct matx_client) {
            .fd = fd, .event_fd = -1, .their_event_fd = -1,
            .number = ++last_number,
        };
        __atomic_add_fetch(&n_clients, 1, __ATOMIC_RELAXED);
        count(MATX_SOCKET_ACCEPTED);
        VLOG_INFO_RL(&rl, "client %u: process %ld of user %ld",
                     client->number, (long) cred.pid, (long) cred.uid);
    }
}

enum mat_update_reason
matx_socket_subscribe(struct matx_client *client, uint64_t *size)
{
    size_t region_size;
    int fd;

    if (client->event_fd >= 0) {
        return MAT_UPDATE_TOO_MANY;
    }
    fd = matx_events_subscribe(&client->their_event_fd);
    if (fd < 0) {
        return (fd == -ENOSPC || fd == -EMFILE ? MAT_UPDATE_TOO_MANY
                : MAT_UPDATE_NO_EVENTS);
    }
    client->event_fd = fd;
    matx_events_memory(&region_size);
    *size = region_size;
    return MAT_UPDATE_GOOD;
}

/* Sends 'size' bytes without waiting, with two descriptors if 'fds' is
 * nonnull.  Returns 0 or an errno. */
static int
send_reply(const struct matx_client *client, const void *data, size_t size,
           const int *fds)
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { .iov_base = (void *) data, .iov_len = size };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fds) {
        struct cmsghdr *cmsg;

        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, 2 * sizeof(int));
    }
    return (sendmsg(client->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
            ? errno : 0);
}

static void
fail_client(struct matx_client *client, const char *what, int error)
{
    count(MATX_SOCKET_FAILED);
    VLOG_INFO_RL(&rl, "client %u: %s (%s)", client->number, what,
                 ovs_strerror(error));
    drop_client(client);
}

/* Sends a reply, or keeps it if the client does not take it now.  Descriptors
 * are not kept: a client that asks for them reads first. */
static void
deliver_reply(struct matx_client *client, size_t size, bool subscribed)
{
    size_t region_size;
    int fds[2] = { matx_events_memory(&region_size), client->their_event_fd };
    int error = send_reply(client, reply, size, subscribed ? fds : NULL);

    if (client->their_event_fd >= 0) {
        close(client->their_event_fd);
        client->their_event_fd = -1;
    }
    if (!error) {
        return;
    }
    if (error != EAGAIN || subscribed) {
        fail_client(client, "cannot send", error);
        return;
    }
    client->pending = xmemdup(reply, size);
    client->pending_size = size;
    client->pending_since_ms = time_msec();
}

static void
retry_pending(struct matx_client *client)
{
    int error = send_reply(client, client->pending, client->pending_size,
                           NULL);

    if (!error) {
        free(client->pending);
        client->pending = NULL;
    } else if (error != EAGAIN) {
        fail_client(client, "cannot send", error);
    }
}

static void
receive_request(struct matx_client *client)
{
    struct mat_server_reply r;
    ssize_t n = recv(client->fd, request, sizeof request, MSG_DONTWAIT);

    if (n > 0) {
        r = matx_server_handle(client, request, n, reply);
        deliver_reply(client, r.size, r.subscribed);
    } else if (!n) {
        drop_client(client);
    } else if (errno != EAGAIN && errno != EINTR) {
        fail_client(client, "cannot receive", errno);
    }
}

static void
drop_if_stuck(struct matx_client *client, int64_t now_ms)
{
    if (client->pending
        && now_ms - client->pending_since_ms >= MATX_CLIENT_STUCK_MS) {
        count(MATX_SOCKET_STUCK);
        VLOG_WARN_RL(&rl, "client %u does not read its replies, dropped",
                     client->number);
        drop_client(client);
    }
}

/* The thread. */

/* Fills 'pfds' and returns their number; 'who' is the client of each, or null
 * for the first two. */
static nfds_t
make_pollfds(struct pollfd *pfds, struct matx_client **who)
{
    nfds_t n = 0;

    pfds[n++] = (struct pollfd) { .fd = wake_fd, .events = POLLIN };
    pfds[n++] = (struct pollfd) {
        .fd = (time_msec() < accept_after_ms
               ? -1 : __atomic_load_n(&listen_fd, __ATOMIC_ACQUIRE)),
        .events = POLLIN,
    };
    for (int i = 0; i < MATX_CLIENTS_MAX; i++) {
        struct matx_client *client = &clients[i];

        if (client->fd >= 0) {
            who[n] = client;
            pfds[n++] = (struct pollfd) {
                .fd = client->fd,
                .events = client->pending ? POLLOUT : POLLIN,
            };
        }
    }
    return n;
}

/* One request of each client that has one, so that all get their turn. */
static void
serve_clients(const struct pollfd *pfds, struct matx_client **who, nfds_t n)
{
    int64_t now_ms = time_msec();

    for (nfds_t i = 2; i < n; i++) {
        if (pfds[i].revents && who[i]->pending) {
            retry_pending(who[i]);
        } else if (pfds[i].revents) {
            receive_request(who[i]);
        }
        if (who[i]->fd >= 0) {
            drop_if_stuck(who[i], now_ms);
        }
    }
    if (pfds[1].revents) {
        accept_client();
    }
}

static bool
has_pending(void)
{
    for (int i = 0; i < MATX_CLIENTS_MAX; i++) {
        if (clients[i].fd >= 0 && clients[i].pending) {
            return true;
        }
    }
    return false;
}

/* How long to sleep, given when held packets and the datapath want attention
 * next. */
static int
poll_timeout(int64_t deadline_ms)
{
    int64_t now_ms = time_msec();

    if (has_pending() || now_ms < accept_after_ms) {
        deadline_ms = MIN(deadline_ms, now_ms + MATX_CLIENT_STUCK_MS / 4);
    }
    return (deadline_ms == INT64_MAX ? -1
            : deadline_ms <= now_ms ? 0
            : MIN(deadline_ms - now_ms, INT_MAX));
}

static void *
thread_main(void *aux OVS_UNUSED)
{
    struct matx_client *who[MATX_CLIENTS_MAX + 2];
    struct pollfd pfds[MATX_CLIENTS_MAX + 2];

    for (int i = 0; i < MATX_CLIENTS_MAX; i++) {
        clients[i].fd = -1;
    }
    while (!__atomic_load_n(&exiting, __ATOMIC_ACQUIRE)) {
        int64_t now_ms = time_msec();
        int64_t hold_ms = matx_hold_run(now_ms);
        int64_t dpif_ms = matx_dpif_run(now_ms);
        nfds_t n = make_pollfds(pfds, who);
        uint64_t value;

        coverage_try_clear();
        ovsrcu_quiesce_start();
        poll(pfds, n, poll_timeout(MIN(hold_ms, dpif_ms)));
        ovsrcu_quiesce_end();

        if (pfds[0].revents) {
            ignore(read(wake_fd, &value, sizeof value));
        }
        serve_clients(pfds, who, n);
    }
    for (int i = 0; i < MATX_CLIENTS_MAX; i++) {
        if (clients[i].fd >= 0) {
            drop_client(&clients[i]);
        }
    }
    matx_dpif_close();
    return NULL;
}
