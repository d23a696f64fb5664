/* SPDX-License-Identifier: Apache-2.0 */
/* A wide-area line between two network interfaces; see usage().
 *
 * Two packet sockets and two shapers.  Virtio headers go along with the
 * frames, so that what a guest's kernel left to its card (checksums,
 * segmentation) is still left to it behind the line. */
#define _GNU_SOURCE 1
#include "shaper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_MAX = 64,             /* Frames of one end before the other's. */
    LINE_MAX_BYTES = 512,
    SOCKET_BUFFER_BYTES = 32 << 20
};

struct line {
    struct shaper there, back;  /* From the first to the second; back. */
    int fds[2];
    uint64_t unsent;            /* Refused by an interface: down, full. */
};

static volatile sig_atomic_t is_ending;

static void
usage(void)
{
    puts("relay: a wide-area line between two network interfaces\n"
         "usage: relay [OPTION]... INTERFACE INTERFACE\n"
         "Takes the frames that come in at one and sends them out of the "
         "other, later,\nor not, or twice.  An interface is NAME, or "
         "NETNS/NAME in a namespace of\n\"ip netns\".\n"
         "\n"
         "  --both=SHAPE   for both directions (if given first, the others "
         "change it)\n"
         "  --there=SHAPE  from the first interface to the second\n"
         "  --back=SHAPE   from the second to the first\n"
         "  --control      take commands from standard input, and end with "
         "it\n"
         "  --help         this text\n"
         "\n"
         "SHAPE is a list such as delay=40ms,loss=1% of\n"
         "  delay=TIME     how long a frame is on its way\n"
         "  jitter=TIME    ... more or less, evenly; the order is kept\n"
         "  loss=SHARE     frames that never arrive\n"
         "  duplicate=SHARE   ... that arrive twice\n"
         "  reorder=SHARE  ... that skip the delay and so overtake others\n"
         "  rate=RATE      of the transmitter; 0 for a line without limit\n"
         "  limit=FRAMES   that wait, before more are dropped (10000)\n"
         "  seed=NUMBER    of the random numbers: the same ones each time\n"
         "with times in ns, us, ms or s, shares in %, rates in bit, kbit, "
         "mbit or gbit.\n"
         "\n"
         "Commands, one a line, each answered by one line:\n"
         "  both|there|back SHAPE   change what SHAPE names: ok, or error: "
         "WHY\n"
         "  stats                   counters, as JSON\n"
         "\n"
         "The interfaces should have no addresses: what comes in there is "
         "for the other\nend.  VLAN tags are not kept.  Needs CAP_NET_RAW, "
         "and CAP_SYS_ADMIN for NETNS/.");
}

__attribute__((format(printf, 1, 2), noreturn)) static void
fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("relay: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Interfaces. */

static void
enter_namespace(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || setns(fd, CLONE_NEWNET)) {
        fail("%s: %s", path, strerror(errno));
    }
    close(fd);
}

static void
set_option(int fd, int level, int option, int value, const char *what)
{
    if (setsockopt(fd, level, option, &value, sizeof value)) {
        fail("%s: %s", what, strerror(errno));
    }
}

/* Takes in frames of the interface in this thread's namespace, but not those
 * that the socket itself has sent. */
static int
open_interface(const char *name)
{
    unsigned int index = if_nametoindex(name);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int) index,
    };
    struct packet_mreq promiscuous = {
        .mr_ifindex = (int) index,
        .mr_type = PACKET_MR_PROMISC,
    };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (!index) {
        fail("%s: no such interface", name);
    } else if (fd < 0) {
        fail("socket: %s", strerror(errno));
    }
    set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, name);
    set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1, name);
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES, name);
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES, name);
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
                   sizeof promiscuous)
        || bind(fd, (struct sockaddr *) &address, sizeof address)) {
        fail("%s: %s", name, strerror(errno));
    }
    return fd;
}

/* 'name' is NAME or NETNS/NAME. */
static int
open_end(const char *name)
{
    const char *slash = strchr(name, '/');
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    char path[256];

    if (!slash) {
        return open_interface(name);
    }
    snprintf(path, sizeof path, "/run/netns/%.*s", (int) (slash - name), name);
    enter_namespace(path);
    int fd = open_interface(slash + 1);
    if (setns(home, CLONE_NEWNET)) {
        fail("setns: %s", strerror(errno));
    }
    close(home);
    return fd;
}

/* Frames. */

static void
take(int fd, struct shaper *shaper)
{
    static uint8_t buffer[SHAPER_FRAME_MAX];

    for (int i = 0; i < BATCH_MAX; i++) {
        ssize_t size = recv(fd, buffer, sizeof buffer, 0);
        if (size <= 0) {
            return;             /* Nothing there, or the interface is down. */
        }
        shaper_put(shaper, now_ns(), buffer, (size_t) size);
    }
}

static void
deliver(struct line *line, struct shaper *shaper, int fd)
{
    struct shaper_frame *frame;

    while ((frame = shaper_next(shaper, now_ns())) != NULL) {
        if (send(fd, frame->data, frame->size, 0) < 0) {
            line->unsent++;
        }
        free(frame);
    }
}

/* Commands. */

static void
show_one(const char *name, const struct shaper_stats *s)
{
    printf("\"%s\": {\"taken\": %"PRIu64", \"delivered\": %"PRIu64", "
           "\"lost\": %"PRIu64", \"duplicated\": %"PRIu64", "
           "\"reordered\": %"PRIu64", \"overflowed\": %"PRIu64", "
           "\"waiting\": %"PRIu64"}, ", name, s->taken, s->delivered, s->lost,
           s->duplicated, s->reordered, s->overflowed, s->waiting);
}

static void
show_stats(const struct line *line)
{
    putchar('{');
    show_one("there", &line->there.stats);
    show_one("back", &line->back.stats);
    printf("\"unsent\": %"PRIu64"}\n", line->unsent);
}

/* NULL, or what is wrong with it; then at least one direction is as before. */
static const char *
reshape(struct line *line, const char *which, const char *text)
{
    struct shaper *shapers[] = { &line->there, &line->back };
    bool is_both = !strcmp(which, "both");

    for (int i = 0; i < 2; i++) {
        if (is_both || !strcmp(which, i ? "back" : "there")) {
            struct shaper_config config = shapers[i]->config;
            const char *error = shaper_parse(&config, text);

            if (error) {
                return error;
            }
            shaper_configure(shapers[i], &config);
        }
    }
    return NULL;
}

static void
command(struct line *line, char *text)
{
    char *shape = strchr(text, ' ');

    if (shape) {
        *shape++ = '\0';
    }
    if (!shape && !strcmp(text, "stats")) {
        show_stats(line);
    } else if (shape && (!strcmp(text, "both") || !strcmp(text, "there")
                         || !strcmp(text, "back"))) {
        const char *error = reshape(line, text, shape);
        printf(error ? "error: %s\n" : "ok\n", error);
    } else {
        puts("error: commands are both, there or back with a SHAPE, and "
             "stats");
    }
    fflush(stdout);
}

/* Reads what is there, and does the whole lines of it. */
static void
run_commands(struct line *line)
{
    static char buffer[LINE_MAX_BYTES];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, buffer + used, sizeof buffer - 1 - used);

    if (n <= 0) {
        is_ending = 1;
        return;
    }
    used += (size_t) n;
    buffer[used] = '\0';
    char *start = buffer, *end;
    while ((end = strchr(start, '\n')) != NULL) {
        *end = '\0';
        command(line, start);
        start = end + 1;
    }
    used -= (size_t) (start - buffer);
    memmove(buffer, start, used);
    if (used == sizeof buffer - 1) {
        used = 0;
        puts("error: too long");
        fflush(stdout);
    }
}

/* All of it. */

static void
end_soon(int number)
{
    (void) number;
    is_ending = 1;
}

static struct timespec
until(int64_t deadline_ns)
{
    int64_t left = deadline_ns - now_ns();

    left = left < 0 ? 0 : left;
    return (struct timespec) { left / 1000000000, left % 1000000000 };
}

static void
run(struct line *line, bool has_control)
{
    struct pollfd polls[] = {
        { .fd = line->fds[0], .events = POLLIN },
        { .fd = line->fds[1], .events = POLLIN },
        { .fd = has_control ? STDIN_FILENO : -1, .events = POLLIN },
    };

    while (!is_ending) {
        int64_t there = shaper_deadline(&line->there);
        int64_t back = shaper_deadline(&line->back);
        int64_t deadline = there < back ? there : back;
        struct timespec left = until(deadline);

        if (ppoll(polls, 3, deadline == SHAPER_NEVER ? NULL : &left,
                  NULL) < 0) {
            continue;           /* A signal. */
        }
        if (polls[2].revents) {
            run_commands(line);
        }
        take(line->fds[0], &line->there);
        take(line->fds[1], &line->back);
        deliver(line, &line->there, line->fds[1]);
        deliver(line, &line->back, line->fds[0]);
    }
}

static bool
parse_options(int argc, char **argv, struct line *line)
{
    static const struct option options[] = {
        { "both", required_argument, NULL, 'b' },
        { "there", required_argument, NULL, 't' },
        { "back", required_argument, NULL, 'k' },
        { "control", no_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool has_control = false;
    int which, at;

    while ((which = getopt_long(argc, argv, "h", options, &at)) != -1) {
        if (which == 'c') {
            has_control = true;
        } else if (which == 'h') {
            usage();
            exit(EXIT_SUCCESS);
        } else if (which == '?') {
            exit(2);
        } else {
            const char *error = reshape(line, options[at].name, optarg);
            if (error) {
                fail("--%s=%s: %s", options[at].name, optarg, error);
            }
        }
    }
    if (argc - optind != 2) {
        fputs("relay: two interfaces are needed; see relay --help\n", stderr);
        exit(2);
    }
    return has_control;
}

int
main(int argc, char **argv)
{
    struct shaper_config config = { .limit = SHAPER_LIMIT_DEFAULT, .seed = 1 };
    struct line line = { .unsent = 0 };

    shaper_init(&line.there, &config);
    config.seed = 2;
    shaper_init(&line.back, &config);
    bool has_control = parse_options(argc, argv, &line);

    signal(SIGINT, end_soon);
    signal(SIGTERM, end_soon);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    for (int i = 0; i < 2; i++) {
        line.fds[i] = open_end(argv[optind + i]);
    }
    if (has_control) {
        puts("ok");
        fflush(stdout);
    }
    run(&line, has_control);
    show_stats(&line);
    shaper_destroy(&line.there);
    shaper_destroy(&line.back);
    return EXIT_SUCCESS;
}
