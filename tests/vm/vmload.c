/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic of a VM, for tests: the same program in the guest and outside.
 *
 *     vmload serve
 *         in the guest: answers all of the below, on port 7000
 *     vmload udp ADDRESS PPS [SOURCE]
 *         datagrams with numbers, both ways at once, PPS each way, until
 *         standard input ends; then prints, as JSON, what was lost, doubled
 *         and overtaken each way, and the longest time without any
 *     vmload tcp ADDRESS BYTES [SOURCE]
 *         bulk TCP: the guest sends BYTES (0: until standard input ends) of a
 *         stream in which each byte follows from its place; prints, as JSON,
 *         how many were right and the longest time without any
 *
 * TCP to port 7001 of the guest gives its bytes back: for keystrokes.  To port
 * 7002, a line like "udp ADDRESS PPS" runs the program with these words in the
 * guest, with the connection as its standard input and output.
 *
 * Loss is counted by whoever receives, by numbers, so nothing is lost that
 * was not sent.  Datagrams that are on their way when the counting ends are
 * waited for. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PORT = 7000,                /* Numbered datagrams, and bulk TCP. */
    ECHO_PORT = 7001,
    COMMAND_PORT = 7002,
    WORDS_MAX = 8,              /* Of a command. */
    PEERS_MAX = 8,              /* That the guest streams with at a time. */
    SEEN_BITS = 1 << 20,        /* Numbers told apart: 1000 s of them. */
    QUIET_MS = 300,             /* So long nothing is on its way any more. */
    CONTROL_TRIES = 1200,       /* 50 ms each: busy machines are slow. */
    BLOCK = 1 << 16
};

#define MAGIC UINT32_C(0x4d41544c)

enum kind { DATA = 1, START, STARTED, STOP, REPORT };

/* Numbers in network order. */
struct message {
    uint32_t magic;
    uint32_t kind;
    uint64_t number;            /* DATA: from 1.  START: packets a second. */
    uint64_t count;             /* REPORT: how many were sent there. */
    uint64_t received, doubled, overtaken, gap_ns;      /* REPORT. */
};

/* What came from one peer. */
struct inbox {
    uint64_t received, doubled, overtaken, top;
    uint64_t last_ns, gap_ns;
    uint8_t seen[SEEN_BITS / 8];
};

struct peer {
    struct sockaddr_storage address;
    socklen_t size;
    bool is_used, is_sending;
    uint64_t pps, n_sent, start_ns;
    struct inbox in;
};

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("vmload: ", stderr);
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

static void
inbox_take(struct inbox *in, uint64_t number)
{
    uint64_t now = now_ns(), bit = number % SEEN_BITS;
    uint8_t mask = (uint8_t) (1 << bit % 8);

    if (in->last_ns && now - in->last_ns > in->gap_ns) {
        in->gap_ns = now - in->last_ns;
    }
    in->last_ns = now;
    if (in->seen[bit / 8] & mask) {
        in->doubled++;
        return;
    }
    in->seen[bit / 8] |= mask;
    in->received++;
    in->overtaken += number < in->top;
    in->top = number > in->top ? number : in->top;
}

static void
put_report(struct message *m, const struct inbox *in, uint64_t n_sent)
{
    m->count = htobe64(n_sent);
    m->received = htobe64(in->received);
    m->doubled = htobe64(in->doubled);
    m->overtaken = htobe64(in->overtaken);
    m->gap_ns = htobe64(in->gap_ns);
}

static void
post(int fd, const struct peer *peer, enum kind kind, uint64_t number)
{
    struct message m = {
        .magic = htonl(MAGIC),
        .kind = htonl(kind),
        .number = htobe64(number),
    };

    if (kind == REPORT) {
        put_report(&m, &peer->in, peer->n_sent);
    }
    /* A packet that cannot be sent counts as sent: it is lost. */
    sendto(fd, &m, sizeof m, 0, (const struct sockaddr *) &peer->address,
           peer->size);
}

/* Sends what is due.  At most a second's worth is made up for, if the guest
 * was stopped: then what it could not send was never due. */
static void
send_due(int fd, struct peer *peer)
{
    uint64_t now = now_ns(), due;

    if (!peer->is_sending) {
        return;
    }
    due = (now - peer->start_ns) * peer->pps / 1000000000;
    if (due > peer->n_sent + 10) {
        /* It slept.  Go on at the pace from here. */
        peer->start_ns = now - (peer->n_sent + 1) * 1000000000 / peer->pps;
        due = peer->n_sent + 1;
    }
    while (peer->n_sent < due) {
        post(fd, peer, DATA, ++peer->n_sent);
    }
}

static int
udp_socket(const char *address, uint16_t port)
{
    struct sockaddr_in6 any = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(port),
    };
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), no = 0, size = 4 << 20;

    if (fd < 0) {
        die("socket: %s", strerror(errno));
    }
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (address) {
        char mapped[64];

        snprintf(mapped, sizeof mapped, "%s%s",
                 strchr(address, ':') ? "" : "::ffff:", address);
        if (inet_pton(AF_INET6, mapped, &any.sin6_addr) != 1) {
            die("%s: not an address", address);
        }
    }
    if (bind(fd, (struct sockaddr *) &any, sizeof any)) {
        die("bind: %s", strerror(errno));
    }
    return fd;
}

/* Four times as often as packets are sent, or not at all if none are: an idle
 * guest costs nothing, which matters where its instructions are emulated. */
static void
timer_set(int fd, uint64_t pps)
{
    struct itimerspec spec = {
        .it_interval.tv_nsec = pps ? (long) (250000000 / pps) : 0,
    };

    spec.it_value = spec.it_interval;
    if (timerfd_settime(fd, 0, &spec, NULL)) {
        die("timerfd: %s", strerror(errno));
    }
}

static int
timer_create_fd(uint64_t pps)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

    if (fd < 0) {
        die("timerfd: %s", strerror(errno));
    }
    timer_set(fd, pps);
    return fd;
}

static void
timer_clear(int fd)
{
    uint64_t n;

    if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN) {
        die("timerfd: %s", strerror(errno));
    }
}

/* The guest. */

static struct peer peers[PEERS_MAX];

static struct peer *
find_peer(const struct sockaddr_storage *address, socklen_t size, bool add)
{
    struct peer *free_one = NULL;

    for (int i = 0; i < PEERS_MAX; i++) {
        struct peer *p = &peers[i];

        if (p->is_used && p->size == size
            && !memcmp(&p->address, address, size)) {
            return p;
        }
        free_one = p->is_used ? free_one : p;
    }
    if (!add || !free_one) {
        return NULL;
    }
    memset(free_one, 0, sizeof *free_one);
    free_one->is_used = true;
    free_one->address = *address;
    free_one->size = size;
    return free_one;
}

static void
serve_message(int fd, const struct message *m,
              const struct sockaddr_storage *from, socklen_t size)
{
    enum kind kind = ntohl(m->kind);
    struct peer *p = find_peer(from, size, kind == START);

    if (!p) {
        return;
    }
    if (kind == DATA) {
        inbox_take(&p->in, be64toh(m->number));
    } else if (kind == START) {
        if (!p->is_sending && !p->n_sent) {
            p->pps = be64toh(m->number);
            p->start_ns = now_ns();
            p->is_sending = p->pps > 0;
        }
        post(fd, p, STARTED, 0);
    } else if (kind == STOP) {
        p->is_sending = false;
        post(fd, p, REPORT, 0);
        p->is_used = be64toh(m->number) != 1;   /* 1: it has the report. */
    }
}

static uint64_t
greatest_pps(void)
{
    uint64_t pps = 0;

    for (int i = 0; i < PEERS_MAX; i++) {
        if (peers[i].is_sending && peers[i].pps > pps) {
            pps = peers[i].pps;
        }
    }
    return pps;
}

static void
serve_udp(void)
{
    int fd = udp_socket(NULL, PORT), timer = timer_create_fd(0);
    uint64_t pps = 0;
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { timer, POLLIN, 0 } };

    for (;;) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        struct message m;

        poll(fds, 2, -1);
        timer_clear(timer);
        while (size = sizeof from, recvfrom(fd, &m, sizeof m, MSG_DONTWAIT,
                                            (struct sockaddr *) &from, &size)
               == sizeof m) {
            if (m.magic == htonl(MAGIC)) {
                serve_message(fd, &m, &from, size);
            }
        }
        for (int i = 0; i < PEERS_MAX; i++) {
            send_due(fd, &peers[i]);
        }
        if (greatest_pps() != pps) {
            pps = greatest_pps();
            timer_set(timer, pps);
        }
    }
}

/* The byte at 'offset' of every bulk stream. */
static uint8_t
pattern(uint64_t offset)
{
    uint64_t x = (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint8_t) (x >> (56 - 8 * (offset % 8)));
}

static void
send_bulk(int fd)
{
    static uint8_t block[BLOCK];
    uint64_t wanted, offset = 0;

    if (recv(fd, &wanted, sizeof wanted, MSG_WAITALL) != sizeof wanted) {
        return;
    }
    wanted = be64toh(wanted);
    while (!wanted || offset < wanted) {
        size_t n = (!wanted || wanted - offset > BLOCK ? BLOCK
                    : (size_t) (wanted - offset)), done = 0;

        for (size_t i = 0; i < n; i++) {
            block[i] = pattern(offset + i);
        }
        while (done < n) {
            ssize_t sent = send(fd, block + done, n - done, MSG_NOSIGNAL);

            if (sent <= 0) {
                return;
            }
            done += (size_t) sent;
        }
        offset += n;
    }
}

static void
echo(int fd)
{
    char buffer[4096];
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        if (send(fd, buffer, (size_t) n, MSG_NOSIGNAL) != n) {
            return;
        }
    }
}

static void
run_command(int fd)
{
    char line[256], *words[WORDS_MAX + 2] = { "vmload" }, *rest = line;
    size_t size = 0, n = 1;

    while (size < sizeof line - 1 && recv(fd, line + size, 1, 0) == 1
           && line[size] != '\n') {
        size++;
    }
    line[size] = '\0';
    while (n <= WORDS_MAX && (words[n] = strsep(&rest, " "))) {
        n++;
    }
    words[n] = NULL;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    execv("/proc/self/exe", words);
}

static void __attribute__((noreturn))
serve_tcp(uint16_t port, void (*serve)(int fd))
{
    struct sockaddr_in6 any = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(port),
    };
    int fd = socket(AF_INET6, SOCK_STREAM, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *) &any, sizeof any) || listen(fd, 16)) {
        die("port %d: %s", port, strerror(errno));
    }
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int peer = accept(fd, NULL, NULL);

        if (peer >= 0 && !fork()) {
            close(fd);
            serve(peer);
            exit(0);
        }
        close(peer);
    }
}

/* Outside. */

static bool
input_ended(const struct pollfd *input)
{
    char buffer[256];

    return input->revents && read(input->fd, buffer, sizeof buffer) <= 0;
}

static struct peer *
guest_peer(const char *address)
{
    struct peer *p = calloc(1, sizeof *p);
    struct sockaddr_in6 *to = (struct sockaddr_in6 *) &p->address;
    char mapped[64];

    snprintf(mapped, sizeof mapped, "%s%s", strchr(address, ':') ? ""
             : "::ffff:", address);
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(PORT);
    if (inet_pton(AF_INET6, mapped, &to->sin6_addr) != 1) {
        die("%s: not an address", address);
    }
    p->size = sizeof *to;
    return p;
}

/* Takes what has come.  True if it has 'wanted', which is copied. */
static bool
drain(int fd, struct peer *guest, enum kind wanted, struct message *answer)
{
    struct message m;
    bool found = false;

    while (recv(fd, &m, sizeof m, MSG_DONTWAIT) == sizeof m) {
        if (m.magic != htonl(MAGIC)) {
            continue;
        }
        if (ntohl(m.kind) == DATA) {
            inbox_take(&guest->in, be64toh(m.number));
        } else if (ntohl(m.kind) == wanted) {
            *answer = m;
            found = true;
        }
    }
    return found;
}

/* Says 'kind' until the guest answers with 'wanted'. */
static void
ask(int fd, struct peer *guest, enum kind kind, uint64_t number,
    enum kind wanted, struct message *answer)
{
    struct pollfd input = { fd, POLLIN, 0 };

    for (int i = 0; i < CONTROL_TRIES; i++) {
        uint64_t end = now_ns() + 50000000;

        post(fd, guest, kind, number);
        while (now_ns() < end) {
            poll(&input, 1, 10);
            if (drain(fd, guest, wanted, answer)) {
                return;
            }
        }
    }
    die("the guest does not answer");
}

static void
print_way(const char *name, uint64_t sent, uint64_t received,
          uint64_t doubled, uint64_t overtaken, uint64_t gap_ns)
{
    printf("\"%s\": {\"sent\": %llu, \"received\": %llu, \"lost\": %lld, "
           "\"doubled\": %llu, \"overtaken\": %llu, \"gap_ms\": %.3f}",
           name, (unsigned long long) sent, (unsigned long long) received,
           (long long) (sent - received), (unsigned long long) doubled,
           (unsigned long long) overtaken, (double) gap_ns / 1e6);
}

static void
stream_udp(const char *address, uint64_t pps, const char *source)
{
    int fd = udp_socket(source, 0), timer = timer_create_fd(pps);
    struct pollfd fds[3] = { { fd, POLLIN, 0 }, { timer, POLLIN, 0 },
                             { STDIN_FILENO, POLLIN, 0 } };
    struct peer *guest = guest_peer(address);
    struct message answer;

    ask(fd, guest, START, pps, STARTED, &answer);
    guest->pps = pps;
    guest->start_ns = now_ns();
    guest->is_sending = true;
    puts("started");
    fflush(stdout);
    do {
        poll(fds, 3, -1);
        timer_clear(timer);
        drain(fd, guest, 0, &answer);
        send_due(fd, guest);
    } while (!input_ended(&fds[2]));

    ask(fd, guest, STOP, 0, REPORT, &answer);   /* It sends no more. */
    for (uint64_t end = now_ns() + QUIET_MS * 1000000ull; now_ns() < end;) {
        poll(fds, 1, 10);
        drain(fd, guest, 0, &answer);
    }
    ask(fd, guest, STOP, 1, REPORT, &answer);
    fputs("{", stdout);
    print_way("to_guest", guest->n_sent, be64toh(answer.received),
              be64toh(answer.doubled), be64toh(answer.overtaken),
              be64toh(answer.gap_ns));
    fputs(", ", stdout);
    print_way("from_guest", be64toh(answer.count), guest->in.received,
              guest->in.doubled, guest->in.overtaken, guest->in.gap_ns);
    puts("}");
}

static int
connect_to(const char *address, const char *source)
{
    struct peer *guest = guest_peer(address);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    if (source) {
        struct peer *own = guest_peer(source);

        ((struct sockaddr_in6 *) &own->address)->sin6_port = 0;
        if (bind(fd, (struct sockaddr *) &own->address, own->size)) {
            die("%s: %s", source, strerror(errno));
        }
        free(own);
    }
    if (connect(fd, (struct sockaddr *) &guest->address, guest->size)) {
        die("%s: %s", address, strerror(errno));
    }
    free(guest);
    return fd;
}

static void
receive_bulk(const char *address, uint64_t bytes, const char *source)
{
    int fd = connect_to(address, source);
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
    uint64_t wanted = htobe64(bytes), offset = 0, wrong = 0, last, gap = 0;
    uint64_t start = now_ns();
    static uint8_t block[BLOCK];
    bool ended = false;

    if (send(fd, &wanted, sizeof wanted, 0) != sizeof wanted) {
        die("%s: %s", address, strerror(errno));
    }
    puts("started");
    fflush(stdout);
    last = start;
    while (!ended) {
        poll(fds, 2, -1);
        if (fds[0].revents) {
            ssize_t n = recv(fd, block, sizeof block, 0);
            uint64_t now = now_ns();

            ended = n <= 0;
            gap = now - last > gap ? now - last : gap;
            last = now;
            for (ssize_t i = 0; i < n; i++) {
                wrong += block[i] != pattern(offset++);
            }
        }
        ended = ended || input_ended(&fds[1]);
    }
    printf("{\"bytes\": %llu, \"wrong\": %llu, \"gap_ms\": %.3f, "
           "\"seconds\": %.3f}\n", (unsigned long long) offset,
           (unsigned long long) wrong, (double) gap / 1e6,
           (double) (now_ns() - start) / 1e9);
}

static void
serve(void)
{
    if (!fork()) {
        serve_tcp(PORT, send_bulk);
    }
    if (!fork()) {
        serve_tcp(ECHO_PORT, echo);
    }
    if (!fork()) {
        serve_tcp(COMMAND_PORT, run_command);
    }
    serve_udp();
}

int
main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "serve") && argc == 2) {
        serve();
    } else if (!strcmp(what, "udp") && (argc == 4 || argc == 5)) {
        stream_udp(argv[2], strtoull(argv[3], NULL, 10), argv[4]);
    } else if (!strcmp(what, "tcp") && (argc == 4 || argc == 5)) {
        receive_bulk(argv[2], strtoull(argv[3], NULL, 10), argv[4]);
    } else {
        die("usage: vmload serve | udp ADDRESS PPS [SOURCE] | "
            "tcp ADDRESS BYTES [SOURCE]");
    }
    return 0;
}
