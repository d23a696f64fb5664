/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "matx-thread.h"
#include "openvswitch/thread.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat_events);

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010      /* Linux 5.1. */
#endif

/* Protects the ring that threads share, and changes of 'subscribers'. */
static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;

static void *region;                    /* Null if there is no memory. */
static size_t region_size;
static int region_fd = -1;              /* For reading. */
static uint64_t n_shared OVS_GUARDED_BY(mutex);
static uint64_t n_put[MATX_EVENTS_SHARED];

/* Our ends of the wakeup sockets, or -1.  Written with 'mutex'. */
static int subscribers[MATX_SUBSCRIBERS_MAX];

/* Keeps others from writing to the memory by the descriptor they get: neither
 * directly, nor by opening it anew.  Kernels before 5.1 lack the seal against
 * later writers, but there, too, only our own user and root can open it. */
static int
protect(int fd)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW;

    return (fchmod(fd, S_IRUSR)
            || (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE)
                && fcntl(fd, F_ADD_SEALS, seals)) ? -1 : 0);
}

static int
create_memfd(void)
{
    char path[64];
    int fd = memfd_create("mat-events", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error;

    if (fd < 0 || ftruncate(fd, region_size)) {
        goto error;
    }
    region = mmap(NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  0);
    if (region == MAP_FAILED) {
        goto error;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (protect(fd)
        || (region_fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        goto error;
    }
    close(fd);
    return 0;

error:
    error = errno;
    if (region && region != MAP_FAILED) {
        munmap(region, region_size);
    }
    region = NULL;
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

void
matx_events_init(void)
{
    int error;

    for (int i = 0; i < MATX_SUBSCRIBERS_MAX; i++) {
        subscribers[i] = -1;
    }
    region_size = ROUND_UP(mat_event_region_size(MAT_EVENT_RINGS_MAX,
                                                 MATX_EVENTS_SLOTS),
                           sysconf(_SC_PAGESIZE));
    error = create_memfd();
    if (error) {
        VLOG_ERR("no memory for events, so there will be none (%s)",
                 ovs_strerror(error));
        return;
    }
    mat_event_region_init(region, MAT_EVENT_RINGS_MAX, MATX_EVENTS_SLOTS);
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static void
wake_subscribers(void)
{
    for (int i = 0; i < MATX_SUBSCRIBERS_MAX; i++) {
        int fd = __atomic_load_n(&subscribers[i], __ATOMIC_ACQUIRE);

        if (fd >= 0) {
            /* If there is no room, a wakeup is pending anyway. */
            ignore(send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
        }
    }
}

void
matx_events_put(unsigned int index, const struct mat_event *event)
{
    struct mat_event e = *event;

    if (!region) {
        return;
    }
    e.time_ns = now_ns();
    if (index < MATX_EVENTS_SHARED) {
        __atomic_store_n(&n_put[index], n_put[index] + 1, __ATOMIC_RELAXED);
        mat_event_put(region, MATX_EVENTS_SLOTS, index, &e);
    } else {
        ovs_mutex_lock(&mutex);
        n_shared++;
        mat_event_put(region, MATX_EVENTS_SLOTS, MATX_EVENTS_SHARED, &e);
        ovs_mutex_unlock(&mutex);
    }
    wake_subscribers();
}

void
matx_events_put_shared(const struct mat_event *event)
{
    struct mat_event e = *event;

    if (region) {
        e.time_ns = now_ns();
        ovs_mutex_lock(&mutex);
        n_shared++;
        mat_event_put(region, MATX_EVENTS_SLOTS, MATX_EVENTS_SHARED, &e);
        wake_subscribers();
        ovs_mutex_unlock(&mutex);
    }
}

void
matx_events_port(enum mat_event_type type, const char *name,
                 uint32_t odp_port)
{
    struct mat_event e = { .type = type, .odp_port = odp_port };

    mat_event_set_frame(&e, name, strlen(name));
    matx_events_put_shared(&e);
}

int
matx_events_memory(size_t *size)
{
    *size = region_size;
    return region_fd;
}

/* Makes the two ends of a wakeup socket.  Not an eventfd: whoever has one of
 * these could make our writes to it wait.  The buffer is as small as can be,
 * for one byte is enough, and nothing can be sent to our end. */
static int
make_wakeup(int fds[2])
{
    const int size = 1;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   fds)) {
        return errno;
    }
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    shutdown(fds[0], SHUT_RD);
    return 0;
}

int
matx_events_subscribe(int *theirs)
{
    int fds[2], error;

    if (!region) {
        return -ENOMEM;
    }
    error = make_wakeup(fds);
    if (error) {
        return -error;
    }
    error = ENOSPC;
    ovs_mutex_lock(&mutex);
    for (int i = 0; error && i < MATX_SUBSCRIBERS_MAX; i++) {
        if (subscribers[i] < 0) {
            __atomic_store_n(&subscribers[i], fds[0], __ATOMIC_RELEASE);
            error = 0;
        }
    }
    ovs_mutex_unlock(&mutex);
    if (error) {
        close(fds[0]);
        close(fds[1]);
        return -error;
    }
    *theirs = fds[1];
    return fds[0];
}

void
matx_events_unsubscribe(int fd)
{
    ovs_mutex_lock(&mutex);
    for (int i = 0; i < MATX_SUBSCRIBERS_MAX; i++) {
        if (subscribers[i] == fd) {
            __atomic_store_n(&subscribers[i], -1, __ATOMIC_RELEASE);
        }
    }
    ovs_mutex_unlock(&mutex);

    /* Somebody may be about to send to it. */
    matx_threads_synchronize(NULL);
    close(fd);
}

unsigned int
matx_events_n_subscribers(void)
{
    unsigned int n = 0;

    ovs_mutex_lock(&mutex);
    for (int i = 0; i < MATX_SUBSCRIBERS_MAX; i++) {
        n += subscribers[i] >= 0;
    }
    ovs_mutex_unlock(&mutex);
    return n;
}

uint64_t
matx_events_n_put(void)
{
    uint64_t n;

    ovs_mutex_lock(&mutex);
    n = n_shared;
    ovs_mutex_unlock(&mutex);
    for (int i = 0; i < MATX_EVENTS_SHARED; i++) {
        n += __atomic_load_n(&n_put[i], __ATOMIC_RELAXED);
    }
    return n;
}
