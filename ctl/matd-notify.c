/* SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "matd-notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

static struct sockaddr_un address;
static socklen_t address_size;          /* 0: nobody wants to know. */
static int fd = -1;
static int64_t period_ms;               /* 0: no watchdog. */
static int64_t next_ms;

void
matd_notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *watchdog = getenv("WATCHDOG_USEC");
    long long int usec;

    if (!path || (path[0] != '/' && path[0] != '@')
        || strlen(path) >= sizeof address.sun_path) {
        return;
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0';     /* The abstract name space. */
    }
    address_size = offsetof(struct sockaddr_un, sun_path) + strlen(path);
    if (watchdog && str_to_llong(watchdog, 10, &usec) && usec > 0) {
        period_ms = MAX(usec / 2000, 1);        /* Half of what is allowed. */
    }
}

static void
notify(const char *text)
{
    if (address_size) {
        ignore(0 <= sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                           (struct sockaddr *) &address, address_size));
    }
}

void
matd_notify_ready(const char *status)
{
    char *text = xasprintf("READY=1\nMAINPID=%ld\nSTATUS=%s",
                           (long int) getpid(), status);

    notify(text);
    free(text);
}

void
matd_notify_stopping(void)
{
    notify("STOPPING=1");
}

void
matd_notify_run(void)
{
    if (period_ms && time_msec() >= next_ms) {
        next_ms = time_msec() + period_ms;
        notify("WATCHDOG=1");
    }
}

void
matd_notify_wait(void)
{
    if (period_ms) {
        poll_timer_wait_until(next_ms);
    }
}
