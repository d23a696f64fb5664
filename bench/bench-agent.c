/* SPDX-License-Identifier: Apache-2.0 */
/* How long the agent takes from an event of the switch to the operation that
 * it gives back, by how many home addresses it knows.
 *
 *     bench-agent KNOWN...
 *
 * For each number: so many VMNs live on other hosts, with the addresses as
 * claims bring them; a tenth, but 1000 at the most, have a port here and are
 * prepared.  Those then say RARP, each once, and the time is taken until the
 * agent has given out all operations that this causes.  One core, no I/O: the
 * switch and the network come on top. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mat-agent.h"
#include "mat-mem.h"

enum { ZONE = 7, MOVES_MAX = 1000, ETH_RARP = 0x8035 };

static int64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int64_t
now_us(void)
{
    return now_ns() / 1000;
}

static struct mat_mac
mac_of(uint32_t i)
{
    return (struct mat_mac) {
        { 2, 0, (uint8_t) (i >> 24), (uint8_t) (i >> 16), (uint8_t) (i >> 8),
          (uint8_t) i }
    };
}

static struct mat_addr
addr_of(uint8_t first, uint32_t i)
{
    uint8_t bytes[4] = {
        first, (uint8_t) (1 + (i >> 16)), (uint8_t) (i >> 8), (uint8_t) i
    };

    return mat_addr_from_v4(bytes);
}

/* The switch does as it is told, at once, and all next hops are known. */
static unsigned int
drain(struct mat_agent *a)
{
    const struct mat_agent_route route = { .dst = mac_of(1), .mtu = 1500 };
    struct mat_agent_output out;
    uint64_t sequence = 0;
    unsigned int n = 0;

    while (mat_agent_next(a, &out)) {
        if (out.kind == MAT_AGENT_SWITCH) {
            sequence = out.sequence;
            n++;
        } else if (out.kind == MAT_AGENT_WANT_ROUTE) {
            mat_agent_route(a, now_us(), out.route_id, &route);
        } else if (out.kind == MAT_AGENT_DUMP) {
            mat_agent_dump_end(a, now_us(), out.dump);
        }
    }
    if (sequence) {
        mat_agent_acked(a, now_us(), sequence);
    }
    return n;
}

static struct mat_agent *
create(void)
{
    struct mat_moa_uplink uplink = {
        .name = "eth0", .up = true, .mac = { { 2, 1 } }, .n_subnets = 1
    };
    struct mat_agent_config config;
    char error[MAT_MOA_TEXT_MAX];
    struct mat_agent *a;

    mat_agent_config_default(&config);
    config.zone = ZONE;
    mat_addr_parse("172.16.0.1", &uplink.subnets[0].addr);
    uplink.subnets[0].plen = 16;
    MAT_ASSERT(mat_moa_parse("172.16.128.0/18", false, &config.pools[0],
                             error));
    a = mat_agent_create(1, &config, now_us());
    mat_agent_set_gossip(a, now_us(), NULL, NULL, 1);
    mat_agent_uplink(a, now_us(), &uplink, 1500);
    mat_agent_ready(a, now_us());
    mat_agent_switch_connected(a, now_us(), 1);
    drain(a);
    return a;
}

static void
learn(struct mat_agent *a, uint32_t i)
{
    struct mat_addr hoa = addr_of(10, i), moa = addr_of(100, i);
    struct mat_mac mac = mac_of(i);
    uint8_t body[MAT_VMN_BODY_SIZE];
    const struct mat_claim claim = {
        .key = mat_key_vmn(ZONE, &hoa, 32), .version = { 1, 1, 2 + i % 100 },
        .state = MAT_CLAIM_LIVE, .body = body, .body_size = sizeof body
    };
    const struct mat_output out = {
        .kind = MAT_OUT_APPLY, .key = claim.key, .claim = &claim
    };

    mat_vmn_body(body, &moa, &mac);
    mat_agent_gossip(a, now_us(), &out);
}

static void
plug(struct mat_agent *a, uint32_t i)
{
    const struct mat_agent_port_config config = {
        .enabled = true, .zone = ZONE, .has_mac = true, .mac = mac_of(i)
    };
    struct mat_event event = {
        .type = MAT_EVENT_PORT_ATTACHED, .odp_port = 10 + i,
        .time_ns = (uint64_t) now_ns()
    };
    char name[32];

    snprintf(name, sizeof name, "vm%" PRIu32, i);
    mat_agent_port(a, now_us(), name, &config, 0, false);
    event.head_size = (uint16_t) strlen(name);
    memcpy(event.head, name, strlen(name));
    mat_agent_event(a, now_us(), &event);
}

/* A RARP of the VMN; the nanoseconds until all operations are out. */
static int64_t
move(struct mat_agent *a, uint32_t i)
{
    struct mat_mac mac = mac_of(i);
    uint8_t frame[42] = {
        [12] = ETH_RARP >> 8, [13] = ETH_RARP & 0xff, [15] = 1, [16] = 8,
        [18] = 6, [19] = 4, [21] = 3
    };
    struct mat_event event = {
        .type = MAT_EVENT_RARP, .odp_port = 10 + i, .zone = ZONE, .mac = mac,
        .time_ns = (uint64_t) now_ns()
    };
    int64_t start;
    unsigned int n;

    memset(frame, 0xff, 6);
    memcpy(frame + 6, mac.ea, 6);
    memcpy(frame + 22, mac.ea, 6);
    memcpy(frame + 32, mac.ea, 6);
    mat_event_set_frame(&event, frame, sizeof frame);
    start = now_ns();
    mat_agent_event(a, start / 1000, &event);
    n = drain(a);
    start = now_ns() - start;
    MAT_ASSERT(n);
    return start;
}

static int
compare(const void *a_, const void *b_)
{
    const int64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
run(uint32_t n_known)
{
    static int64_t times[MOVES_MAX];
    struct mat_agent *a = create();
    uint32_t n = n_known < 10 * MOVES_MAX ? n_known / 10 : MOVES_MAX;

    n = n ? n : 1;
    for (uint32_t i = 0; i < n_known; i++) {
        learn(a, i);
        if (i % 1024 == 0) {
            drain(a);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        plug(a, i);
        drain(a);
    }
    for (uint32_t i = 0; i < n; i++) {
        times[i] = move(a, i);
    }
    MAT_ASSERT(mat_agent_counter(a, MAT_AGENT_C_MOVES_IN) == n);
    qsort(times, n, sizeof *times, compare);
    printf("%9" PRIu32 " %7" PRIu32 " %9.1f %9.1f %9.1f\n", n_known, n,
           (double) times[n / 2] / 1e3, (double) times[n * 99 / 100] / 1e3,
           (double) times[n - 1] / 1e3);
    mat_agent_destroy(a);
}

int
main(int argc, char *argv[])
{
    printf("    known   moves    p50 us    p99 us    max us\n");
    for (int i = 1; i < argc; i++) {
        run((uint32_t) strtoul(argv[i], NULL, 10));
    }
    return 0;
}
