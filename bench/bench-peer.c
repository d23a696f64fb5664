/* SPDX-License-Identifier: Apache-2.0 */

/* A host that is only its gossip: it has many VMNs, and no switch.
 *
 *     bench-peer KEYS ADDRESS SEED ZONE N
 *
 * Joins by SEED as the host of the folder KEYS, at ADDRESS (both IPv4), and
 * has N VMNs in ZONE: number i is 172.20.0.0 + i, its MoA 10.100.0.0 + i, its
 * MAC 02:00:14:00:00:00 + i.  Ends with its standard input. */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "matd-gossip.h"

enum { N_MAX = 1 << 17, PLEN = 15 };

static void
die(const char *what)
{
    fprintf(stderr, "bench-peer: %s\n", what);
    exit(1);
}

static int64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static struct mat_addr
addr_of(uint8_t first, uint8_t second, uint32_t i)
{
    uint8_t bytes[4] = {
        first, (uint8_t) (second + (i >> 16)), (uint8_t) (i >> 8), (uint8_t) i
    };

    return mat_addr_from_v4(bytes);
}

static struct mat_endpoint
endpoint_of(const char *text)
{
    struct mat_endpoint e = { .port = MATD_GOSSIP_PORT };

    if (!mat_addr_parse(text, &e.addr)) {
        die("not an address");
    }
    return e;
}

static uint32_t
number_of(const char *text)
{
    char *end;
    unsigned long int n = strtoul(text, &end, 10);

    if (*end || n > N_MAX) {
        die("not a good number");
    }
    return (uint32_t) n;
}

static void
call(struct matd_gossip *gossip, struct mat_call c)
{
    c.now_us = now_us();
    if (mat_call_make(matd_gossip_engine(gossip), NULL, &c)
        != MAT_GOSSIP_OK) {
        die("the engine refuses");
    }
}

static void
claim_all(struct matd_gossip *gossip, uint32_t zone, uint32_t n)
{
    call(gossip, (struct mat_call) {
        .kind = MAT_REC_ZONE, .zone = zone, .flag = true
    });
    call(gossip, (struct mat_call) {
        .kind = MAT_REC_POOL, .addr = addr_of(10, 100, 0), .plen = PLEN,
        .flag = true
    });
    for (uint32_t i = 0; i < n; i++) {
        struct mat_addr hoa = addr_of(172, 20, i);

        call(gossip, (struct mat_call) {
            .kind = MAT_REC_CLAIM, .key = mat_key_vmn(zone, &hoa, 32),
            .addr = addr_of(10, 100, i),
            .mac = { { 2, 0, 20, (uint8_t) (i >> 16), (uint8_t) (i >> 8),
                       (uint8_t) i } }
        });
    }
}

/* Until nobody holds the other end of the standard input. */
static void
serve(struct matd_gossip *gossip)
{
    struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN } };

    do {
        int64_t ms = (matd_gossip_deadline_us(gossip) - now_us()) / 1000 + 1;

        fds[1] = (struct pollfd) {
            .fd = matd_gossip_fd(gossip), .events = matd_gossip_events(gossip)
        };
        poll(fds, 2, ms < 0 ? 0 : ms < 1000 ? (int) ms : 1000);
        matd_gossip_run(gossip, now_us());
    } while (!fds[0].revents);
}

static void
ignore_output(void *aux, int64_t at_us, const struct mat_output *out)
{
    (void) aux;
    (void) at_us;
    (void) out;
}

static void
ignore_generation(void *aux, uint32_t generation)
{
    (void) aux;
    (void) generation;
}

static void
show_line(void *aux, bool is_error, const char *line)
{
    (void) aux;
    if (is_error) {
        fprintf(stderr, "bench-peer: %s\n", line);
    }
}

int
main(int argc, char *argv[])
{
    const struct matd_gossip_hooks hooks = {
        .output = ignore_output, .keep_generation = ignore_generation,
        .log = show_line
    };
    struct matd_gossip *gossip = matd_gossip_create(&hooks);
    struct matd_gossip_config config = { .mtu = 1500, .n_seeds = 1 };
    char error[MATD_GOSSIP_ERROR_MAX];
    struct matd_keys *keys;

    if (argc != 6) {
        die("usage: bench-peer KEYS ADDRESS SEED ZONE N");
    }
    keys = matd_keys_load(argv[1], error);
    if (!keys) {
        die(error);
    }
    config.bind = config.advertised = endpoint_of(argv[2]);
    config.seeds[0] = endpoint_of(argv[3]);
    matd_gossip_configure(gossip, now_us(), &config);
    if (!matd_gossip_start(gossip, now_us(), keys, 1, error)) {
        die(error);
    }
    claim_all(gossip, number_of(argv[4]), number_of(argv[5]));
    serve(gossip);
    matd_gossip_stop(gossip, now_us(), true);
    matd_gossip_destroy(gossip);
    matd_keys_destroy(keys);
    return 0;
}
