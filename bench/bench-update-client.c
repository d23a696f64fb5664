/* SPDX-License-Identifier: Apache-2.0 */

/* The client of the script bench-update: changes the translation of the probe
 * while packets run, and notes when the sink saw it.
 *
 *   bench-update-client SHARED init N-OTHERS
 *   bench-update-client SHARED socket PATH N        a line for each change
 *   bench-update-client SHARED flow PATH N          the same by OpenFlow
 *   bench-update-client SHARED rate PATH RATE MS ROUNDS
 *
 * A line of "socket" and "flow" has, in nanoseconds: from the write to the
 * first new packet that left; to the acknowledgement; and by how much the last
 * old packet came in after the acknowledgement (never, if negative).
 *
 * "rate" alternates rounds without and with RATE changes of mappings a second
 * (0: as many as possible), each MS milliseconds long; a line has the packets
 * a second of either and the changes a second. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench-update.h"
#include "mat-switch-client.h"

enum {
    BATCH = 100,                /* Changes in a message of "rate". */
    GIVE_UP_MS = 5000
};

struct bench {
    struct bench_shared *shared;
    double ticks_per_ns;
    struct mat_switch_client *client;
    int flow_fd;
    uint32_t xid;
};

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "bench-update: %s: %s\n", what, why);
    exit(1);
}

static uint64_t
number(const char *s)
{
    char *end;
    uint64_t value = strtoull(s, &end, 10);

    if (*end || !*s) {
        die(s, "is not a number");
    }
    return value;
}

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static double
measure_ticks(void)
{
    uint64_t start_ns = now_ns(), start = bench_now();

    usleep(100000);
    return (double) (bench_now() - start) / (double) (now_ns() - start_ns);
}

static struct bench_shared *
map_shared(const char *path)
{
    struct bench_shared *shared;
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    if (fd < 0 || ftruncate(fd, sizeof *shared)) {
        die(path, strerror(errno));
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, fd, 0);
    if (shared == MAP_FAILED) {
        die(path, strerror(errno));
    }
    close(fd);
    return shared;
}

static struct mat_addr
address(uint32_t host_order)
{
    uint32_t v4 = htonl(host_order);

    return mat_addr_from_v4(&v4);
}

/* Changes through the update socket. */

static void
add(struct bench *b, const struct mat_op *op)
{
    if (!mat_switch_client_add(b->client, op)) {
        die("update", "message is full");
    }
}

static void
commit(struct bench *b)
{
    if (!mat_switch_client_commit(b->client)) {
        die("update", mat_switch_client_error(b->client));
    }
}

/* A VMN moves: a new live mapping, and the old one is forgotten. */
static void
add_move(struct bench *b, uint32_t hoa, uint32_t moa, uint32_t old_moa)
{
    struct mat_op op = { .type = MAT_OP_ENTRY_PUT };

    op.entry.hoa = address(hoa);
    op.entry.moa = address(moa);
    op.entry.plen = 32;
    op.entry.state = MAT_STATE_REMOTE;
    op.entry.nexthop = 1;
    op.entry.mac.ea[0] = 2;
    op.entry.mac.ea[5] = 9;
    add(b, &op);
    op.type = MAT_OP_ENTRY_REMOVE;
    op.entry.moa = address(old_moa);
    add(b, &op);
}

static void
socket_write(struct bench *b, uint32_t value)
{
    add_move(b, BENCH_PROBE_HOA, BENCH_VALUE_BASE + value,
             BENCH_VALUE_BASE + value - 1);
}

/* Changes through OpenFlow 1.0: flow_mod, and a barrier as acknowledgement. */

struct flow_mod {
    uint8_t version, type;
    uint16_t size;
    uint32_t xid;
    uint32_t wildcards;
    uint8_t in_port[2], eth[12], vlan[4];
    uint16_t eth_type;
    uint8_t tos, protocol, pad[2];
    uint32_t nw_src, nw_dst;
    uint16_t tp_src, tp_dst;
    uint64_t cookie;
    uint16_t command, idle, hard, priority;
    uint32_t buffer_id;
    uint16_t out_port, flags;
    uint16_t set_type, set_size;
    uint32_t set_dst;
    uint16_t output_type, output_size, output_port, output_max;
    uint8_t barrier_version, barrier_type;
    uint16_t barrier_size;
    uint32_t barrier_xid;
} __attribute__((packed));

static void
flow_open(struct bench *b, const char *path)
{
    static const uint8_t hello_and_barrier[16] = {
        1, 0, 0, 8, [8] = 1, 18, 0, 8
    };
    struct sockaddr_un sun = { .sun_family = AF_UNIX };

    snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    b->flow_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(b->flow_fd, (struct sockaddr *) &sun, sizeof sun)
        || send(b->flow_fd, hello_and_barrier, sizeof hello_and_barrier, 0)
           != sizeof hello_and_barrier) {
        die(path, strerror(errno));
    }
}

static void
flow_write(struct bench *b, uint32_t value)
{
    struct flow_mod m = {
        .version = 1, .type = 14,
        .size = htons(offsetof(struct flow_mod, barrier_version)),
        /* All but the Ethernet type and the destination. */
        .wildcards = htonl(0x3fffff & ~(1u << 4) & ~(0x3fu << 14)),
        .eth_type = htons(0x0800),
        .nw_dst = htonl(BENCH_PROBE_HOA),
        .command = htons(2), .priority = htons(100),    /* Modify strictly. */
        .buffer_id = UINT32_MAX,
        .out_port = UINT16_MAX,
        .set_type = htons(7), .set_size = htons(8),
        .set_dst = htonl(BENCH_VALUE_BASE + value),
        .output_size = htons(8), .output_port = htons(2),
        .barrier_version = 1, .barrier_type = 18,
        .barrier_size = htons(8), .barrier_xid = htonl(++b->xid),
    };

    if (send(b->flow_fd, &m, sizeof m, 0) != sizeof m) {
        die("flow_mod", strerror(errno));
    }
}

static void
receive_all(int fd, void *data, size_t size)
{
    if (recv(fd, data, size, MSG_WAITALL) != (ssize_t) size) {
        die("OpenFlow", "connection was closed");
    }
}

/* Waits for the reply to the barrier. */
static void
flow_wait(struct bench *b)
{
    struct {
        uint8_t version, type;
        uint16_t size;
        uint32_t xid;
    } header;
    uint8_t rest[65536];

    do {
        receive_all(b->flow_fd, &header, sizeof header);
        if (ntohs(header.size) > sizeof header) {
            receive_all(b->flow_fd, rest, ntohs(header.size) - sizeof header);
        }
        if (header.type == 1) {
            die("OpenFlow", "flow_mod was refused");
        }
    } while (header.type != 19);
}

/* Latency. */

static const struct bench_value *
wait_visible(const struct bench *b, uint32_t value)
{
    const struct bench_value *v = &b->shared->values[value];
    uint64_t give_up_ns = now_ns() + GIVE_UP_MS * UINT64_C(1000000);

    while (!__atomic_load_n(&v->first_out, __ATOMIC_ACQUIRE)) {
        if (now_ns() > give_up_ns) {
            die("change", "no packet has shown it for 5 s");
        }
        _mm_pause();
    }
    return v;
}

static int64_t
ticks_to_ns(const struct bench *b, uint64_t later, uint64_t earlier)
{
    return (int64_t) ((double) (int64_t) (later - earlier) / b->ticks_per_ns);
}

static void
print_change(const struct bench *b, uint32_t value, uint64_t written,
             uint64_t acknowledged)
{
    const struct bench_value *v = wait_visible(b, value);
    uint64_t last_old = __atomic_load_n(&b->shared->values[value - 1].last_in,
                                        __ATOMIC_RELAXED);

    printf("%"PRId64" %"PRId64" %"PRId64"\n",
           ticks_to_ns(b, v->first_out, written),
           ticks_to_ns(b, acknowledged, written),
           ticks_to_ns(b, last_old, acknowledged));
}

static void
run_latency(struct bench *b, bool flow, uint32_t n)
{
    for (uint32_t value = 1; value <= n; value++) {
        uint64_t written, acknowledged;

        if (flow) {
            written = bench_now();
            flow_write(b, value);
            flow_wait(b);
        } else {
            socket_write(b, value);
            written = bench_now();
            commit(b);
        }
        acknowledged = bench_now();
        print_change(b, value, written, acknowledged);
    }
}

/* Rate. */

static void
send_batch(struct bench *b)
{
    struct bench_shared *shared = b->shared;

    for (int i = 0; i < BATCH; i++) {
        uint32_t k = shared->next_mover++ % shared->n_others;
        uint32_t home = BENCH_HOME_MOA + k, away = BENCH_AWAY_MOA + k;
        bool is_away = shared->is_away[k];

        add_move(b, BENCH_OTHER_HOA + k, is_away ? home : away,
                 is_away ? away : home);
        shared->is_away[k] = !is_away;
    }
    commit(b);
}

/* Changes until 'end_ns', 'rate' a second; returns how many. */
static uint64_t
change(struct bench *b, uint64_t rate, uint64_t end_ns)
{
    uint64_t start_ns = now_ns(), now, n = 0;

    while ((now = now_ns()) < end_ns) {
        uint64_t due = (rate ? (now - start_ns) * rate / 1000000000 + BATCH
                        : UINT64_MAX);

        if (n + BATCH <= due) {
            send_batch(b);
            n += BATCH;
        } else {
            usleep(50);
        }
    }
    return n;
}

static double
per_second(uint64_t n, uint64_t ns)
{
    return (double) n * 1e9 / (double) ns;
}

static void
run_round(struct bench *b, uint64_t rate, uint64_t ns)
{
    uint64_t start_ns = now_ns(), start = b->shared->n_out, middle_ns, n;
    double quiet;

    usleep((useconds_t) (ns / 1000));
    middle_ns = now_ns();
    quiet = per_second(b->shared->n_out - start, middle_ns - start_ns);
    start = b->shared->n_out;
    n = change(b, rate, middle_ns + ns);
    ns = now_ns() - middle_ns;
    printf("%.0f %.0f %.0f\n", quiet,
           per_second(b->shared->n_out - start, ns), per_second(n, ns));
}

static void
run_rate(struct bench *b, uint64_t rate, uint64_t ms, uint64_t rounds)
{
    while (rounds--) {
        run_round(b, rate, ms * 1000000);
    }
}

int
main(int argc, char *argv[])
{
    struct bench b = { .xid = 0 };
    struct rusage usage;

    if (argc < 4) {
        die("usage", "see the head of bench-update-client.c");
    }
    b.shared = map_shared(argv[1]);
    if (!strcmp(argv[2], "init")) {
        memset(b.shared, 0, sizeof *b.shared);
        b.shared->n_others = (uint32_t) number(argv[3]);
        return 0;
    }
    b.ticks_per_ns = measure_ticks();
    if (!strcmp(argv[2], "flow")) {
        flow_open(&b, argv[3]);
        flow_wait(&b);
    } else {
        b.client = mat_switch_client_open(argv[3]);
        if (!b.client) {
            die(argv[3], strerror(errno));
        }
    }
    if (!strcmp(argv[2], "rate") && argc == 7) {
        run_rate(&b, number(argv[4]), number(argv[5]), number(argv[6]));
    } else if (argc == 5) {
        run_latency(&b, !b.client, (uint32_t) number(argv[4]));
    }
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr, "involuntary %ld\n", usage.ru_nivcsw);
    return 0;
}
