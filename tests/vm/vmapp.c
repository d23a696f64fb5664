/* SPDX-License-Identifier: Apache-2.0 */
/* Applications of a VM, for tests: the same program in the guest and outside.
 * Unlike vmload it writes down when each of them went on, so that what a move
 * did can be told from what the next one did.
 *
 *     vmapp serve
 *         in the guest: answers all of the below but watch
 *     vmapp pull ADDRESS KBPS
 *     vmapp push ADDRESS KBPS
 *         bulk TCP from and to the guest, as fast as it goes if KBPS
 *         (kilobytes a second) is 0.  Each byte follows from its place and is
 *         checked
 *     vmapp keys ADDRESS SEED
 *         somebody types: a byte each 20 to 50 ms, whether the last one's echo
 *         has come or not
 *     vmapp rtp ADDRESS MS
 *         a packet like those of RTP each MS ms, which the guest gives back.
 *         Late is what comes after a jitter buffer of 60 ms would have played
 *         it, lost what does not come at all
 *     vmapp paint SOCKET FPS
 *         paints an X server's screen, all of it in the colour that is the
 *         number of the frame, but for some rectangles
 *     vmapp watch SOCKET X Y
 *         reads that number off another X server's screen, where a viewer of
 *         the first has its window
 *
 * They go on until standard input ends.  Standard output is line by line
 *
 *     started
 *     at TIME COUNT           the application went on (every 100 ms at most)
 *     gap TIME TIME           ... and not between these, GAP_MS or more
 *     key TIME MS             a byte was typed, and its echo took so long
 *     lost TIME               a packet was sent then and never came back
 *     late TIME MS
 *     end WORD=NUMBER...      counts
 *
 * where times are CLOCK_MONOTONIC in seconds: other programs of the machine
 * have the same. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    PULL_PORT = 7010, PUSH_PORT, KEYS_PORT, RTP_PORT,
    BLOCK = 8192,               /* The guest tells of each that came. */
    GAP_MS = 10,
    AT_MS = 100,
    KEYS_MAX = 4096,            /* That wait for their echo. */
    RTP_BYTES = 172,            /* G.711, 20 ms. */
    RTP_WINDOW = 1 << 16,
    RTP_PEERS = 32,
    JITTER_MS = 60,
    LOST_MS = 5000,
    QUIET_MS = 1000             /* So long nothing comes when all have come. */
};

#define MS UINT64_C(1000000)

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("vmapp: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static double
seconds(uint64_t ns)
{
    return (double) ns / 1e9;
}

static void
say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* When an application went on. */
static struct {
    uint64_t count, last_ns, said_ns;
} progress;

static void
go_on(uint64_t count)
{
    uint64_t now = now_ns();

    progress.count += count;
    if (progress.last_ns && now - progress.last_ns >= GAP_MS * MS) {
        say("gap %.6f %.6f", seconds(progress.last_ns), seconds(now));
    }
    progress.last_ns = now;
    if (now - progress.said_ns >= AT_MS * MS) {
        say("at %.6f %llu", seconds(now), (unsigned long long) progress.count);
        progress.said_ns = now;
    }
}

/* Sockets. */

static struct sockaddr_in6
address_of(const char *text, uint16_t port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(port),
    };
    char mapped[64];

    snprintf(mapped, sizeof mapped, "%s%s", strchr(text, ':') ? ""
             : "::ffff:", text);
    if (inet_pton(AF_INET6, mapped, &address.sin6_addr) != 1) {
        die("%s: not an address", text);
    }
    return address;
}

static int
connect_to(const char *text, uint16_t port, int kind)
{
    struct sockaddr_in6 address = address_of(text, port);
    int fd = socket(AF_INET6, kind, 0);

    if (connect(fd, (struct sockaddr *) &address, sizeof address)) {
        die("%s port %d: %s", text, port, strerror(errno));
    }
    return fd;
}

static int
bound(uint16_t port, int kind)
{
    struct sockaddr_in6 address = address_of("::", port);
    int fd = socket(AF_INET6, kind, 0), yes = 1, no = 0;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(fd, (struct sockaddr *) &address, sizeof address)
        || (kind == SOCK_STREAM && listen(fd, 16))) {
        die("port %d: %s", port, strerror(errno));
    }
    return fd;
}

static bool
send_all(int fd, const void *data, size_t n)
{
    for (size_t done = 0; done < n; ) {
        ssize_t sent = send(fd, (const char *) data + done, n - done,
                            MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        done += (size_t) sent;
    }
    return true;
}

static bool
recv_all(int fd, void *data, size_t n)
{
    return recv(fd, data, n, MSG_WAITALL) == (ssize_t) n;
}

/* True if 'input', which is standard input, has ended. */
static bool
ended(const struct pollfd *input)
{
    char buffer[256];

    return input->revents && read(input->fd, buffer, sizeof buffer) <= 0;
}

/* Bulk TCP. */

static uint8_t
pattern(uint64_t offset)
{
    uint64_t x = (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint8_t) (x >> (56 - 8 * (offset % 8)));
}

static void
pace(int fd, uint32_t kbps)
{
    uint64_t rate = (uint64_t) kbps * 1000;

    if (kbps && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate,
                           sizeof rate)) {
        die("SO_MAX_PACING_RATE: %s", strerror(errno));
    }
}

/* Sends until 'fd' is closed. */
static void
send_pattern(int fd)
{
    uint8_t block[BLOCK];
    uint64_t offset = 0;

    do {
        for (size_t i = 0; i < BLOCK; i++) {
            block[i] = pattern(offset++);
        }
    } while (send_all(fd, block, BLOCK));
}

/* How many of the bytes are not those that belong there. */
static uint64_t
n_wrong(const uint8_t *bytes, size_t n, uint64_t offset)
{
    uint64_t wrong = 0;

    for (size_t i = 0; i < n; i++) {
        wrong += bytes[i] != pattern(offset + i);
    }
    return wrong;
}

static void
serve_pull(int fd)
{
    uint32_t kbps;

    if (recv_all(fd, &kbps, sizeof kbps)) {
        pace(fd, ntohl(kbps));
        send_pattern(fd);
    }
}

/* Tells of each block how many bytes were wrong until then. */
static void
serve_push(int fd)
{
    uint8_t block[BLOCK];
    uint64_t offset = 0, wrong = 0, told;

    while (recv_all(fd, block, BLOCK)) {
        wrong += n_wrong(block, BLOCK, offset);
        offset += BLOCK;
        told = htobe64(wrong);
        if (!send_all(fd, &told, sizeof told)) {
            return;
        }
    }
}

static void
pull(const char *address, uint32_t kbps)
{
    int fd = connect_to(address, PULL_PORT, SOCK_STREAM);
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
    uint32_t asked = htonl(kbps);
    uint64_t wrong = 0;
    uint8_t block[BLOCK * 8];

    if (!send_all(fd, &asked, sizeof asked)) {
        die("%s: %s", address, strerror(errno));
    }
    say("started");
    do {
        poll(fds, 2, -1);
        if (fds[0].revents) {
            ssize_t n = recv(fd, block, sizeof block, 0);

            if (n <= 0) {
                die("%s: %s", address, n ? strerror(errno) : "closed");
            }
            wrong += n_wrong(block, (size_t) n, progress.count);
            go_on((uint64_t) n);
        }
    } while (!ended(&fds[1]));
    say("end count=%llu wrong=%llu", (unsigned long long) progress.count,
        (unsigned long long) wrong);
}

static void
push(const char *address, uint32_t kbps)
{
    int fd = connect_to(address, PUSH_PORT, SOCK_STREAM);
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
    uint64_t wrong = 0;
    pid_t sender;

    pace(fd, kbps);
    say("started");
    sender = fork();
    if (!sender) {
        send_pattern(fd);
        _exit(0);
    }
    do {
        poll(fds, 2, -1);
        if (fds[0].revents) {
            if (!recv_all(fd, &wrong, sizeof wrong)) {
                die("%s: %s", address, strerror(errno));
            }
            go_on(BLOCK);
        }
    } while (!ended(&fds[1]));
    kill(sender, SIGKILL);
    say("end count=%llu wrong=%llu", (unsigned long long) progress.count,
        (unsigned long long) be64toh(wrong));
}

/* Keystrokes. */

static void
no_delay(int fd)
{
    int yes = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void
serve_keys(int fd)
{
    char buffer[4096];
    ssize_t n;

    no_delay(fd);
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0
           && send_all(fd, buffer, (size_t) n)) {
        continue;
    }
}

/* Takes echos. */
static void
see_echos(int fd, const uint64_t *typed_ns, uint64_t *n_seen, uint64_t *wrong)
{
    uint8_t buffer[KEYS_MAX];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);

    if (n <= 0) {
        die("keys: %s", n ? strerror(errno) : "closed");
    }
    for (ssize_t i = 0; i < n; i++) {
        uint64_t then = typed_ns[*n_seen % KEYS_MAX];

        *wrong += buffer[i] != (uint8_t) *n_seen;
        ++*n_seen;
        say("key %.6f %.3f", seconds(then), (double) (now_ns() - then) / 1e6);
    }
    go_on((uint64_t) n);
}

static void
keys(const char *address, unsigned int seed)
{
    static uint64_t typed_ns[KEYS_MAX];
    int fd = connect_to(address, KEYS_PORT, SOCK_STREAM);
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
    uint64_t n_typed = 0, n_seen = 0, wrong = 0, due = now_ns();

    no_delay(fd);
    say("started");
    do {
        uint64_t now = now_ns();

        if (now >= due && n_typed - n_seen < KEYS_MAX) {
            uint8_t key = (uint8_t) n_typed;

            typed_ns[n_typed++ % KEYS_MAX] = now;
            if (!send_all(fd, &key, 1)) {
                die("keys: %s", strerror(errno));
            }
            due = now + (20 + (uint64_t) rand_r(&seed) % 31) * MS;
        }
        poll(fds, 2, now >= due ? 1 : (int) ((due - now) / MS) + 1);
        if (fds[0].revents) {
            see_echos(fd, typed_ns, &n_seen, &wrong);
        }
    } while (!ended(&fds[1]));
    say("end count=%llu wrong=%llu typed=%llu", (unsigned long long) n_seen,
        (unsigned long long) wrong, (unsigned long long) n_typed);
}

/* A real-time stream. */

/* In network order. */
struct rtp {
    uint8_t version, type;
    uint16_t sequence;
    uint32_t timestamp, source;
    uint8_t payload[4];
    uint64_t number;            /* From 1; the sequence has 16 bits. */
    uint64_t came;              /* How many had come to the guest. */
    uint8_t rest[RTP_BYTES - 32];
};

static void
serve_rtp(int fd)
{
    static struct {
        struct sockaddr_in6 address;
        uint64_t came;
    } peers[RTP_PEERS];
    struct sockaddr_in6 from;
    struct rtp packet;
    size_t next = 0;

    for (;;) {
        socklen_t size = sizeof from;
        size_t i;

        if (recvfrom(fd, &packet, sizeof packet, 0, (struct sockaddr *) &from,
                     &size) != sizeof packet) {
            continue;
        }
        for (i = 0; i < RTP_PEERS; i++) {
            if (!memcmp(&peers[i].address, &from, sizeof from)) {
                break;
            }
        }
        if (i == RTP_PEERS) {
            i = next++ % RTP_PEERS;
            peers[i].address = from;
            peers[i].came = 0;
        }
        packet.came = htobe64(++peers[i].came);
        sendto(fd, &packet, sizeof packet, 0, (struct sockaddr *) &from, size);
    }
}

static struct {
    uint64_t sent_ns[RTP_WINDOW];
    bool has_come[RTP_WINDOW];
    uint64_t n_sent, n_came, n_doubled, n_late, n_lost;
    uint64_t first_unsure;      /* All before have come, or are lost. */
    uint64_t least_ns;          /* There and back. */
    uint64_t lost_there;
} stream;

static void
rtp_send(int fd, uint32_t interval_ms)
{
    uint64_t number = ++stream.n_sent;
    struct rtp packet = {
        .version = 0x80,
        .sequence = htons((uint16_t) number),
        .timestamp = htonl((uint32_t) (number * interval_ms * 8)),
        .number = htobe64(number),
    };

    stream.sent_ns[number % RTP_WINDOW] = now_ns();
    stream.has_come[number % RTP_WINDOW] = false;
    /* What cannot be sent is lost. */
    send(fd, &packet, sizeof packet, MSG_DONTWAIT);
}

static void
rtp_take(const struct rtp *packet)
{
    uint64_t number = be64toh(packet->number), sent_ns, took_ns;

    if (number > stream.n_sent || number + RTP_WINDOW <= stream.n_sent) {
        return;
    }
    if (stream.has_come[number % RTP_WINDOW]) {
        stream.n_doubled++;
        return;
    }
    stream.has_come[number % RTP_WINDOW] = true;
    stream.n_came++;
    stream.lost_there = number - be64toh(packet->came);
    sent_ns = stream.sent_ns[number % RTP_WINDOW];
    took_ns = now_ns() - sent_ns;
    if (!stream.least_ns || took_ns < stream.least_ns) {
        stream.least_ns = took_ns;
    }
    if (took_ns > stream.least_ns + JITTER_MS * MS) {
        stream.n_late++;
        say("late %.6f %.3f", seconds(sent_ns), (double) took_ns / 1e6);
    }
    go_on(1);
}

/* Gives up those that were sent 'age_ms' ago and have not come. */
static void
rtp_give_up(uint64_t age_ms)
{
    uint64_t now = now_ns();

    while (stream.first_unsure < stream.n_sent) {
        uint64_t number = stream.first_unsure + 1;
        uint64_t sent_ns = stream.sent_ns[number % RTP_WINDOW];

        if (!stream.has_come[number % RTP_WINDOW]) {
            if (now - sent_ns < age_ms * MS) {
                return;
            }
            stream.n_lost++;
            say("lost %.6f", seconds(sent_ns));
        }
        stream.first_unsure = number;
    }
}

static void
rtp_receive(int fd, int timeout_ms, struct pollfd *input)
{
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, *input };
    struct rtp packet;

    poll(fds, 2, timeout_ms);
    while (recv(fd, &packet, sizeof packet, MSG_DONTWAIT) == sizeof packet) {
        rtp_take(&packet);
    }
    input->revents = fds[1].revents;
}

static void
rtp(const char *address, uint32_t interval_ms)
{
    int fd = connect_to(address, RTP_PORT, SOCK_DGRAM);
    struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
    struct pollfd nothing = { -1, 0, 0 };
    uint64_t due = now_ns();

    say("started");
    do {
        uint64_t now = now_ns();

        if (now >= due) {
            rtp_send(fd, interval_ms);
            /* After a pause of its own it does not send all at once. */
            due = (now - due > 50 * MS ? now : due) + interval_ms * MS;
        }
        now = now_ns();
        rtp_receive(fd, now >= due ? 0 : (int) ((due - now) / MS) + 1, &input);
        rtp_give_up(LOST_MS);
    } while (!ended(&input));
    while (stream.n_came + stream.n_lost < stream.n_sent
           && now_ns() - progress.last_ns < QUIET_MS * MS) {
        rtp_receive(fd, 10, &nothing);
    }
    rtp_give_up(0);
    say("end count=%llu sent=%llu lost=%llu lost_there=%llu late=%llu "
        "doubled=%llu", (unsigned long long) stream.n_came,
        (unsigned long long) stream.n_sent, (unsigned long long) stream.n_lost,
        (unsigned long long) stream.lost_there,
        (unsigned long long) stream.n_late,
        (unsigned long long) stream.n_doubled);
}

/* Screens: as much of the X protocol as is needed. */

struct screen {
    int fd;
    uint32_t root, id_base;
    uint16_t width, height;
};

static uint32_t
u32_at(const uint8_t *p)
{
    return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16
           | (uint32_t) p[3] << 24;
}

static struct screen
open_screen(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct screen s = { .fd = socket(AF_UNIX, SOCK_STREAM, 0) };
    const uint8_t hello[12] = { 'l', 0, 11 };
    uint8_t head[8], body[65535], *at;
    size_t n;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(s.fd, (struct sockaddr *) &address, sizeof address)
        || !send_all(s.fd, hello, sizeof hello)
        || !recv_all(s.fd, head, sizeof head) || head[0] != 1) {
        die("%s: no X server", path);
    }
    n = 4u * (head[6] | (size_t) head[7] << 8);
    if (n > sizeof body || !recv_all(s.fd, body, n)) {
        die("%s: no setup", path);
    }
    s.id_base = u32_at(body + 4);
    /* After the vendor's name and the formats comes the first screen. */
    at = body + 32 + ((body[16] + 3u) & ~3u) + 8u * body[21];
    s.root = u32_at(at);
    s.width = (uint16_t) u32_at(at + 20);
    s.height = (uint16_t) (u32_at(at + 20) >> 16);
    return s;
}

static void
x_send(const struct screen *s, const uint32_t *words, uint8_t opcode,
       uint8_t detail, size_t n)
{
    uint32_t request[8];

    request[0] = opcode | (uint32_t) detail << 8 | (uint32_t) (n + 1) << 16;
    memcpy(request + 1, words, n * 4);
    if (!send_all(s->fd, request, (n + 1) * 4)) {
        die("the X server has gone");
    }
}

static void
fill(const struct screen *s, uint32_t colour, uint32_t x, uint32_t y,
     uint32_t width, uint32_t height)
{
    uint32_t change[3] = { s->id_base, 4, colour };
    uint32_t area[4] = { s->root, s->id_base, x | y << 16,
                         width | height << 16 };

    x_send(s, change, 56, 0, 3);        /* ChangeGC */
    x_send(s, area, 70, 0, 4);          /* PolyFillRectangle */
}

static void
paint(const char *path, uint32_t fps)
{
    struct screen s = open_screen(path);
    uint32_t gc[4] = { s.id_base, s.root, 4, 0 };
    unsigned int seed = 1;

    x_send(&s, gc, 55, 0, 4);           /* CreateGC */
    for (uint32_t number = 1;; number++) {
        fill(&s, number, 0, 0, s.width, s.height);
        for (int i = 0; i < 16; i++) {
            /* Not in the middle, where the number is read. */
            fill(&s, (uint32_t) rand_r(&seed) & 0xffffff,
                 (uint32_t) rand_r(&seed) % s.width,
                 (uint32_t) rand_r(&seed) % (s.height / 3u), 32, 16);
        }
        usleep(1000000 / fps);
    }
}

static uint32_t
pixel(const struct screen *s, uint32_t x, uint32_t y)
{
    uint32_t request[4] = { s->root, x | y << 16, 1 | 1 << 16, ~0u };
    uint8_t reply[32], data[4];

    x_send(s, request, 73, 2, 4);       /* GetImage */
    do {
        if (!recv_all(s->fd, reply, sizeof reply)) {
            die("the X server has gone");
        }
    } while (reply[0] > 1);             /* An event. */
    if (!reply[0] || !recv_all(s->fd, data, sizeof data)) {
        die("no pixel at %u, %u", x, y);
    }
    return u32_at(data) & 0xffffff;
}

static void
watch(const char *path, uint32_t x, uint32_t y)
{
    struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
    struct screen s = open_screen(path);
    uint32_t last = 0;

    say("started");
    do {
        uint32_t number = pixel(&s, x, y);

        /* Larger ones are colours of windows. */
        if (number > last && number < 1000000) {
            go_on(1);
            last = number;
        }
        poll(&input, 1, 5);
    } while (!ended(&input));
    say("end count=%llu wrong=0", (unsigned long long) progress.count);
}

static void
serve_tcp(uint16_t port, void (*serve_one)(int fd))
{
    int fd;

    if (fork()) {
        return;
    }
    fd = bound(port, SOCK_STREAM);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int peer = accept(fd, NULL, NULL);

        if (peer >= 0 && !fork()) {
            close(fd);
            serve_one(peer);
            exit(0);
        }
        close(peer);
    }
}

static uint32_t
number_of(const char *text)
{
    return (uint32_t) strtoul(text, NULL, 10);
}

int
main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "serve") && argc == 2) {
        serve_tcp(PULL_PORT, serve_pull);
        serve_tcp(PUSH_PORT, serve_push);
        serve_tcp(KEYS_PORT, serve_keys);
        serve_rtp(bound(RTP_PORT, SOCK_DGRAM));
    } else if (!strcmp(what, "pull") && argc == 4) {
        pull(argv[2], number_of(argv[3]));
    } else if (!strcmp(what, "push") && argc == 4) {
        push(argv[2], number_of(argv[3]));
    } else if (!strcmp(what, "keys") && argc == 4) {
        keys(argv[2], number_of(argv[3]));
    } else if (!strcmp(what, "rtp") && argc == 4 && number_of(argv[3])) {
        rtp(argv[2], number_of(argv[3]));
    } else if (!strcmp(what, "paint") && argc == 4 && number_of(argv[3])) {
        paint(argv[2], number_of(argv[3]));
    } else if (!strcmp(what, "watch") && argc == 5) {
        watch(argv[2], number_of(argv[3]), number_of(argv[4]));
    } else {
        die("usage: vmapp serve | pull ADDRESS KBPS | push ADDRESS KBPS | "
            "keys ADDRESS SEED | rtp ADDRESS MS | paint SOCKET FPS | "
            "watch SOCKET X Y");
    }
    return 0;
}
