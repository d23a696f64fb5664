/* SPDX-License-Identifier: Apache-2.0 */

/* Update sockets for the script bench-fifty: switches without a datapath, and
 * taps on those of real ones.
 *
 *   bench-fifty-switches ZONE HOA[,HOA] HOST...
 *
 *   HOST is  stand:NAME:PATH:MAC:VM-HOA    a table of its own behind PATH,
 *                                          with the ports "uplink" and "v";
 *                                          on v a VMN with MAC announces
 *                                          itself until it is in the table
 *        or  tap:NAME:PATH:REAL            what comes to PATH goes to REAL
 *
 * Whenever a host has acknowledged that a HoA of the zone is somewhere, as a
 * live mapping, this writes a line: NAME, CLOCK_MONOTONIC in nanoseconds when
 * the reply has been sent, HOA, MOA.  The VMNs of stand-ins are taken to talk
 * with these HoAs: each harvest of accessed mappings finds them.
 *
 * Table, protocol and memory of events are those of lib/, as in the switch. */

#define _GNU_SOURCE             /* accept4(), memfd_create(), strsep(). */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "mat-event.h"
#include "mat-server.h"
#include "mat-table-read.h"

enum {
    HOSTS_MAX = 256,
    WATCHED_MAX = 4,
    EVENT_SLOTS = 64,
    ANNOUNCE_MS = 500,
    UPLINK_PORT = 1, VM_PORT = 2,
    TYPE_OFS = 5, ID_OFS = 8    /* In a message. */
};

struct host {
    const char *name, *real;    /* 'real' null for a stand-in. */
    int listen_fd;
    int client_fd, real_fd;     /* -1: none. */

    /* A stand-in. */
    struct mat_table *table;
    struct mat_server *server;
    struct mat_addr vm_hoa;
    struct mat_mac vm_mac;
    void *region;
    size_t region_size;
    int region_fd, wake_fds[2];

    /* What the request under way says of watched HoAs. */
    size_t n_noted;
    uint8_t noted_id[4];
    struct mat_entry noted[WATCHED_MAX];
};

static struct host hosts[HOSTS_MAX];
static size_t n_hosts;
static uint32_t zone;
static struct mat_addr watched[WATCHED_MAX];
static size_t n_watched;
static uint8_t message[MAT_UPDATE_MESSAGE_MAX], reply[MAT_UPDATE_MESSAGE_MAX];

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "bench-fifty-switches: %s: %s\n", what, why);
    exit(1);
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

/* What is watched. */

static void
note(struct host *h, const struct mat_op *op)
{
    const struct mat_entry *e = &op->entry;

    if (op->type != MAT_OP_ENTRY_PUT || e->zone != zone
        || (e->state != MAT_STATE_LOCAL && e->state != MAT_STATE_REMOTE)) {
        return;
    }
    for (size_t i = 0; i < n_watched; i++) {
        if (mat_addr_equal(&watched[i], &e->hoa)
            && h->n_noted < WATCHED_MAX) {
            h->noted[h->n_noted++] = *e;
        }
    }
}

/* Looks at a request before it is handled or goes on. */
static void
look_at_request(struct host *h, size_t size)
{
    struct mat_update_header header;
    struct mat_update_reader reader;
    struct mat_op op;
    uint64_t bad;

    h->n_noted = 0;
    if (mat_update_open(&reader, &header, message, size, &bad)) {
        return;
    }
    memcpy(h->noted_id, message + ID_OFS, sizeof h->noted_id);
    while (mat_update_next(&reader, &op)) {
        note(h, &op);
    }
    if (!h->real && header.type == MAT_UPDATE_DUMP
        && header.kind == MAT_UPDATE_DUMP_HARVEST) {
        for (size_t i = 0; i < n_watched; i++) {
            struct mat_map_hit hit;
            uint64_t words[2];

            memcpy(words, watched[i].b, sizeof words);
            if (mat_addr_is_v4(&watched[i])) {
                mat_map4_find(&h->table->forward[MAT_V4], zone,
                              mat_addr_v4(&watched[i]), true, &hit);
            } else {
                mat_map6_find(&h->table->forward[MAT_V6], zone, words, true,
                              &hit);
            }
        }
    }
}

/* Tells what 'answer', which has just been sent, has acknowledged. */
static void
tell(struct host *h, const uint8_t *answer)
{
    uint64_t ns = now_ns();

    if (answer[TYPE_OFS] != MAT_UPDATE_OK
        || memcmp(answer + ID_OFS, h->noted_id, sizeof h->noted_id)) {
        return;
    }
    for (size_t i = 0; i < h->n_noted; i++) {
        char hoa[MAT_ADDR_STRLEN], moa[MAT_ADDR_STRLEN];

        printf("%s %llu %s %s\n", h->name, (unsigned long long) ns,
               mat_addr_format(&h->noted[i].hoa, hoa),
               mat_addr_format(&h->noted[i].moa, moa));
    }
    h->n_noted = 0;
}

/* Messages with descriptors. */

union control {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr align;
};

static void
send_with(int fd, const void *data, size_t size, const int fds[2])
{
    struct iovec iov = { .iov_base = (void *) (uintptr_t) data,
                         .iov_len = size };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    union control control;

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
    sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Receives into 'reply'; '*has_fds' if there are two descriptors. */
static ssize_t
receive_with(int fd, int fds[2], bool *has_fds)
{
    struct iovec iov = { .iov_base = reply, .iov_len = sizeof reply };
    union control control;
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    *has_fds = cmsg && cmsg->cmsg_type == SCM_RIGHTS;
    if (*has_fds) {
        memcpy(fds, CMSG_DATA(cmsg), 2 * sizeof(int));
    }
    return n;
}

/* The hooks of a stand-in's server: there is no datapath. */

static void
hook_none(void *aux)
{
    (void) aux;
}

static bool
hook_waits(void *aux, const struct mat_entry *entry)
{
    (void) aux;
    (void) entry;
    return false;
}

static void
hook_changed(void *aux, const struct mat_entry *entry, bool kept)
{
    (void) aux;
    (void) entry;
    (void) kept;
}

static void
hook_addr(void *aux, uint32_t number, const struct mat_addr *addr)
{
    (void) aux;
    (void) number;
    (void) addr;
}

static void
hook_inject(void *aux, const char *port, const void *frame, size_t size)
{
    (void) aux;
    (void) port;
    (void) frame;
    (void) size;
}

static bool
hook_counter(void *aux, unsigned int i, char name[static MAT_PORT_NAME_SIZE],
             uint64_t *value)
{
    (void) aux;
    (void) i;
    (void) name;
    (void) value;
    return false;
}

static enum mat_update_reason
hook_subscribe(void *aux, void *client, uint64_t *size)
{
    struct host *h = aux;

    (void) client;
    *size = h->region_size;
    return MAT_UPDATE_GOOD;
}

static void *
allocate(size_t size)
{
    void *p;

    return posix_memalign(&p, 64, size) ? NULL : memset(p, 0, size);
}

static void
release(void *p, size_t size)
{
    (void) size;
    free(p);
}

static void
create_stand_in(struct host *h)
{
    const struct mat_table_config config = {
        .seed = { now_ns(), now_ns() },
        .alloc = allocate, .free = release, .synchronize = hook_none,
    };
    const struct mat_server_hooks hooks = {
        .lock = hook_none, .unlock = hook_none, .waits = hook_waits,
        .changed = hook_changed, .release = hook_addr, .discard = hook_addr,
        .inject = hook_inject, .counter = hook_counter,
        .clear_counters = hook_none, .subscribe = hook_subscribe, .aux = h,
    };
    long page = sysconf(_SC_PAGESIZE);

    h->table = mat_table_create(&config);
    h->server = h->table ? mat_server_create(h->table, &hooks, now_ns())
                         : NULL;
    h->region_size = mat_event_region_size(1, EVENT_SLOTS);
    h->region_size += (size_t) page - h->region_size % (size_t) page;
    h->region_fd = memfd_create("events", MFD_CLOEXEC);
    if (!h->server || h->region_fd < 0
        || ftruncate(h->region_fd, (off_t) h->region_size)) {
        die(h->name, "no memory");
    }
    h->region = mmap(NULL, h->region_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     h->region_fd, 0);
    if (h->region == MAP_FAILED) {
        die(h->name, "no memory");
    }
    mat_event_region_init(h->region, 1, EVENT_SLOTS);
    mat_table_port_attached(h->table, "uplink", UPLINK_PORT, &h->vm_mac, 1500);
    mat_table_port_attached(h->table, "v", VM_PORT, &h->vm_mac, 1500);
}

/* The VMN of a stand-in speaks until it is heard. */
static void
announce(struct host *h)
{
    struct mat_event event = {
        .type = MAT_EVENT_GARP, .time_ns = now_ns(), .zone = zone,
        .odp_port = VM_PORT, .addr = h->vm_hoa, .mac = h->vm_mac,
    };
    struct mat_entry entry;

    if (h->client_fd >= 0 && h->wake_fds[0] >= 0
        && !mat_table_get_live(h->table, zone, &h->vm_hoa, &entry)) {
        mat_event_put(h->region, EVENT_SLOTS, 0, &event);
        send(h->wake_fds[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* Clients: one a host, the last that came. */

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void
hang_up(struct host *h)
{
    close_fd(&h->client_fd);
    close_fd(&h->real_fd);
    close_fd(&h->wake_fds[0]);
    h->n_noted = 0;
}

static struct sockaddr_un
address(const char *path)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof sun.sun_path) {
        die(path, "too long");
    }
    memcpy(sun.sun_path, path, strlen(path) + 1);
    return sun;
}

static void
accept_client(struct host *h)
{
    hang_up(h);
    h->client_fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (h->client_fd >= 0 && h->real) {
        struct sockaddr_un sun = address(h->real);

        h->real_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (connect(h->real_fd, (struct sockaddr *) &sun, sizeof sun)) {
            hang_up(h);
        }
    }
}

static void
serve(struct host *h, size_t size)
{
    struct mat_server_reply r = mat_server_handle(h->server, h, message, size,
                                                  reply);

    if (r.subscribed) {
        close_fd(&h->wake_fds[0]);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                       h->wake_fds)) {
            die(h->name, strerror(errno));
        }
        send_with(h->client_fd, reply, r.size,
                  (int[]) { h->region_fd, h->wake_fds[1] });
        close_fd(&h->wake_fds[1]);
    } else {
        send_with(h->client_fd, reply, r.size, NULL);
    }
    tell(h, reply);
}

static void
from_client(struct host *h)
{
    ssize_t n = recv(h->client_fd, message, sizeof message, 0);

    if (n <= 0) {
        hang_up(h);
        return;
    }
    look_at_request(h, (size_t) n);
    if (h->real) {
        send_with(h->real_fd, message, (size_t) n, NULL);
    } else {
        serve(h, (size_t) n);
    }
}

static void
from_real(struct host *h)
{
    bool has_fds;
    int fds[2];
    ssize_t n = receive_with(h->real_fd, fds, &has_fds);

    if (n <= 0) {
        hang_up(h);
        return;
    }
    send_with(h->client_fd, reply, (size_t) n, has_fds ? fds : NULL);
    if (has_fds) {
        close(fds[0]);
        close(fds[1]);
    }
    if (n > ID_OFS + 4) {
        tell(h, reply);
    }
}

/* Arguments. */

static char *
field(char **text)
{
    char *s = strsep(text, ":");

    if (!s || !*s) {
        die("argument", "a field is missing");
    }
    return s;
}

static void
add_host(char *text)
{
    struct host *h = &hosts[n_hosts++];
    bool is_tap = !strcmp(field(&text), "tap");
    struct sockaddr_un sun;

    *h = (struct host) {
        .name = field(&text), .client_fd = -1, .real_fd = -1,
        .wake_fds = { -1, -1 }
    };
    sun = address(field(&text));
    if (is_tap) {
        h->real = field(&text);
    } else {
        char mac[18] = "";

        for (int i = 0; i < 6; i++) {
            snprintf(mac + 3 * i, 4, "%s%s", field(&text), i < 5 ? ":" : "");
        }
        if (!mat_mac_parse(mac, &h->vm_mac)
            || !mat_addr_parse(field(&text), &h->vm_hoa)) {
            die(h->name, "bad address");
        }
        create_stand_in(h);
    }
    h->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(h->listen_fd, (struct sockaddr *) &sun, sizeof sun)
        || listen(h->listen_fd, 8)) {
        die(sun.sun_path, strerror(errno));
    }
}

static void
run(void)
{
    uint64_t next_ms = 0;

    for (;;) {
        struct pollfd fds[HOSTS_MAX * 3];
        uint64_t now_ms = now_ns() / 1000000;

        if (now_ms >= next_ms) {
            next_ms = now_ms + ANNOUNCE_MS;
            for (size_t i = 0; i < n_hosts; i++) {
                if (!hosts[i].real) {
                    announce(&hosts[i]);
                }
            }
        }
        for (size_t i = 0; i < n_hosts; i++) {
            fds[3 * i] = (struct pollfd) { hosts[i].listen_fd, POLLIN, 0 };
            fds[3 * i + 1] = (struct pollfd) { hosts[i].client_fd, POLLIN, 0 };
            fds[3 * i + 2] = (struct pollfd) { hosts[i].real_fd, POLLIN, 0 };
        }
        poll(fds, 3 * n_hosts, (int) (next_ms - now_ms));
        for (size_t i = 0; i < n_hosts; i++) {
            if (fds[3 * i + 2].revents) {
                from_real(&hosts[i]);
            } else if (fds[3 * i + 1].revents) {
                from_client(&hosts[i]);
            } else if (fds[3 * i].revents) {
                accept_client(&hosts[i]);
            }
        }
    }
}

int
main(int argc, char *argv[])
{
    char *hoas = argc > 3 ? argv[2] : NULL, *hoa;

    if (argc < 4 || argc - 3 > HOSTS_MAX) {
        die("usage", "bench-fifty-switches ZONE HOA[,HOA] HOST...");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    zone = (uint32_t) strtoul(argv[1], NULL, 10);
    while ((hoa = strsep(&hoas, ",")) && n_watched < WATCHED_MAX) {
        if (!mat_addr_parse(hoa, &watched[n_watched++])) {
            die(hoa, "bad address");
        }
    }
    for (int i = 3; i < argc; i++) {
        add_host(argv[i]);
    }
    printf("ready\n");
    run();
}
