/* SPDX-License-Identifier: Apache-2.0 */

/* The probes of bench-move: echo requests at an even pace.
 *
 *     bench-move-probe ADDRESS INTERVAL_US
 *
 * until standard input ends.  Each carries its number (64 bits, network
 * order, from 1) as the first eight bytes of its payload.  Ticks that this
 * process slept through are made up for at once, so that numbers tell time;
 * the answers are thrown away: captures see them. */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct probe {
    struct icmphdr icmp;
    uint64_t number;
    uint8_t padding[48];
} __attribute__((packed));

static void __attribute__((noreturn))
die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static int
open_socket(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_ICMP);

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
        fprintf(stderr, "%s: not an IPv4 address\n", address);
        exit(EXIT_FAILURE);
    }
    if (fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof to)) {
        die(address);
    }
    return fd;
}

static int
open_timer(long interval_us)
{
    struct timespec t = { interval_us / 1000000,
                          interval_us % 1000000 * 1000 };
    struct itimerspec spec = { t, t };
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);

    if (fd < 0 || timerfd_settime(fd, 0, &spec, NULL)) {
        die("timer");
    }
    return fd;
}

static void
send_one(int fd, uint64_t number)
{
    struct probe probe = {
        .icmp = { .type = ICMP_ECHO },
        .number = htobe64(number),
    };

    probe.icmp.un.echo.sequence = htons((uint16_t) number);
    /* What cannot be sent is a probe that gets no answer. */
    if (send(fd, &probe, sizeof probe, 0) < 0) {
        return;
    }
}

static void
discard(int fd)
{
    char buffer[256];

    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) >= 0) {
        continue;
    }
}

int
main(int argc, char *argv[])
{
    struct sched_param first = { .sched_priority = 1 };
    uint64_t number = 0, ticks;
    struct pollfd fds[2];
    char *end;

    if (argc != 3) {
        fputs("usage: bench-move-probe ADDRESS INTERVAL_US\n", stderr);
        return EXIT_FAILURE;
    }
    /* A pace is all this is for; without the right to it, it does its best. */
    sched_setscheduler(0, SCHED_FIFO, &first);

    int fd = open_socket(argv[1]);
    long interval_us = strtol(argv[2], &end, 10);

    if (*end || interval_us < 1) {
        fprintf(stderr, "%s: not an interval\n", argv[2]);
        return EXIT_FAILURE;
    }
    fds[0] = (struct pollfd) { open_timer(interval_us), POLLIN, 0 };
    fds[1] = (struct pollfd) { STDIN_FILENO, POLLIN, 0 };
    puts("started");
    fflush(stdout);
    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        if (read(fds[0].fd, &ticks, sizeof ticks) != sizeof ticks) {
            die("timer");
        }
        while (ticks--) {
            send_one(fd, ++number);
        }
        discard(fd);
    }
    printf("%llu\n", (unsigned long long) number);
    return EXIT_SUCCESS;
}
