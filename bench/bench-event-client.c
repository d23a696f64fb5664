/* SPDX-License-Identifier: Apache-2.0 */

/* Listens to events of the switch and tells how long each was on its way.
 *
 *     bench-event-client SOCKET N
 *
 * Prints, for each of N events, the nanoseconds from when the thread of the
 * datapath put it into its ring to when it was read here; on standard error,
 * the involuntary context switches meanwhile.  It sleeps between events, as an
 * agent does. */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "mat-switch-client.h"

enum { WAIT_MS = 5000 };

static void
die(const char *what)
{
    fprintf(stderr, "bench-event-client: %s\n", what);
    exit(1);
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

/* Sleeps until there are events. */
static void
wait_for_events(const struct mat_switch_client *client)
{
    struct pollfd pfd = {
        .fd = mat_switch_client_event_fd(client), .events = POLLIN
    };

    if (poll(&pfd, 1, WAIT_MS) <= 0) {
        die("no events");
    }
    mat_switch_client_drain(client);
}

int
main(int argc, char *argv[])
{
    struct mat_switch_client *client;
    struct mat_event_reader reader;
    struct mat_event event;
    struct rusage usage;
    uint64_t *ns;
    size_t n = 0, n_max;

    if (argc != 3) {
        die("usage: bench-event-client SOCKET N");
    }
    n_max = strtoul(argv[2], NULL, 10);
    ns = calloc(n_max + 1, sizeof *ns);
    client = mat_switch_client_open(argv[1]);
    if (!ns || !client) {
        die(strerror(errno));
    }
    if (!mat_switch_client_subscribe(client, &reader, false)) {
        die(mat_switch_client_error(client));
    }
    while (n < n_max) {
        wait_for_events(client);
        while (n < n_max && mat_event_reader_next(&reader, &event)) {
            ns[n++] = now_ns() - event.time_ns;
        }
    }
    for (size_t i = 0; i < n; i++) {
        printf("%"PRIu64"\n", ns[i]);
    }
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr, "%ld\n", usage.ru_nivcsw);
    mat_switch_client_close(client);
    free(ns);
    return 0;
}
