/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "matctl-key.h"

#define CHECK(CONDITION) \
    ((CONDITION) ? (void) 0 : die(__FILE__, __LINE__, #CONDITION))

static void
die(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

int64_t
pair_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct mat_addr
pair_addr(const char *s)
{
    struct mat_addr addr;

    CHECK(mat_addr_parse(s, &addr));
    return addr;
}

struct mat_key
pair_key(int vmn)
{
    struct mat_addr hoa = pair_addr("10.0.0.0");

    hoa.b[14] = (uint8_t) (vmn >> 8);
    hoa.b[15] = (uint8_t) vmn;
    return mat_key_vmn(7, &hoa, 32);
}

struct mat_addr
pair_moa(int host, int vmn)
{
    struct mat_addr moa = pair_addr("192.168.0.0");

    moa.b[14] = (uint8_t) (host << 4 | vmn >> 8);
    moa.b[15] = (uint8_t) vmn;
    return moa;
}

uint16_t
pair_free_port(const struct mat_addr *addr)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
    socklen_t length = sizeof a;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(&a.sin6_addr, addr->b, sizeof addr->b);
    CHECK(fd >= 0 && !bind(fd, (struct sockaddr *) &a, sizeof a)
          && !getsockname(fd, (struct sockaddr *) &a, &length));
    close(fd);
    return ntohs(a.sin6_port);
}

void
pair_matctl(const char *first, ...)
{
    char *argv[16] = { (char *) (uintptr_t) first };
    FILE *null = fopen("/dev/null", "we");
    int argc = 1;
    va_list args;

    va_start(args, first);
    while ((argv[argc] = va_arg(args, char *))) {
        argc++;
    }
    va_end(args);
    CHECK(!matctl_key(argc, argv, null, stderr));
    fclose(null);
}

/* Hooks. */

static int
vmn_of(const struct mat_key *key)
{
    int vmn = key->addr.b[14] << 8 | key->addr.b[15];

    return key->type == MAT_TYPE_VMN && vmn < PAIR_VMNS_MAX ? vmn : -1;
}

static void
take_output(void *host_, int64_t now_us, const struct mat_output *out)
{
    struct pair_host *host = host_;
    int vmn = vmn_of(&out->key);

    (void) now_us;
    if (vmn < 0) {
        return;
    } else if (out->kind == MAT_OUT_APPLY) {
        host->applied_us[vmn] = pair_now_us();
        host->owner[vmn] = out->claim ? out->claim->version.host : 0;
    } else if (out->kind == MAT_OUT_PUSHED && !out->n_failed) {
        host->pushed_us[vmn] = pair_now_us();
        host->push_took_us[vmn] = out->elapsed_us;
    }
}

static void
keep_generation(void *host_, uint32_t generation)
{
    struct pair_host *host = host_;

    host->generation = generation;
}

static void
take_path(void *host_, int64_t now_us, const struct mat_endpoint *from,
          const uint8_t *data, size_t size)
{
    struct pair_host *host = host_;

    host->n_path++;
    host->path_size = size;
    host->path_from = *from;
    if (host->path) {
        host->path(host->path_aux, now_us, from, data, size);
    }
}

static void
take_line(void *host_, bool is_error, const char *line)
{
    struct pair_host *host = host_;

    host->n_errors += is_error;
    snprintf(host->line, sizeof host->line, "%s", line);
}

/* Life. */

static void
make_keys(struct pair *p, struct pair_host *host, const char *dir)
{
    char cluster[FOLDER_PATH_MAX + 16], out[FOLDER_PATH_MAX + 16];
    char error[MATD_ERROR_MAX];

    snprintf(host->dir, sizeof host->dir, "%.400s/%s", dir, host->name);
    snprintf(cluster, sizeof cluster, "--cluster=%s", p->cluster);
    snprintf(out, sizeof out, "--out=%s", host->dir);
    pair_matctl("issue", cluster, "--host", host->name,
                "--hoas=10.0.0.0/8,fd00::/8",
                "--pools=192.168.0.0/16,2001:db8::/32", out, NULL);
    host->keys = matd_keys_load(host->dir, error);
    CHECK(host->keys);
}

void
pair_start_engine(struct pair_host *host, uint32_t generation)
{
    char error[MATD_GOSSIP_ERROR_MAX];

    host->generation = generation;
    CHECK(matd_gossip_start(host->gossip, pair_now_us(), host->keys,
                            generation, error));
}

void
pair_start(struct pair *p, const char *dir, const char *addr,
           const char *bind_to)
{
    memset(p, 0, sizeof *p);
    snprintf(p->cluster, sizeof p->cluster, "%.400s/cluster", dir);
    pair_matctl("new-cluster", p->cluster, NULL);
    for (int i = 0; i < PAIR_HOSTS; i++) {
        struct pair_host *host = &p->hosts[i];
        struct matd_gossip_hooks hooks = {
            .aux = host, .output = take_output,
            .keep_generation = keep_generation, .path = take_path,
            .log = take_line
        };

        host->name = i ? "b" : "a";
        make_keys(p, host, dir);
        host->gossip = matd_gossip_create(&hooks);
        host->config.mtu = 1500;
        host->config.all_zones = true;
        host->config.advertised.addr = pair_addr(addr);
        host->config.advertised.port
            = pair_free_port(&host->config.advertised.addr);
        host->config.bind = host->config.advertised;
        if (bind_to) {
            host->config.bind.addr = pair_addr(bind_to);
        }
        host->config.n_seeds = 1;
        host->config.seeds[0] = p->hosts[0].config.advertised;
        matd_gossip_configure(host->gossip, pair_now_us(), &host->config);
        pair_start_engine(host, 1);
        pair_call(host, (struct mat_call) {
            .kind = MAT_REC_POOL, .addr = pair_moa(i, 0), .plen = 20,
            .flag = true
        });
    }
}

void
pair_stop(struct pair *p)
{
    for (int i = 0; i < PAIR_HOSTS; i++) {
        matd_gossip_destroy(p->hosts[i].gossip);
        matd_keys_destroy(p->hosts[i].keys);
    }
}

void
pair_call(struct pair_host *host, struct mat_call c)
{
    c.now_us = pair_now_us();
    CHECK(mat_call_make(matd_gossip_engine(host->gossip),
                        matd_gossip_recorder(host->gossip), &c)
          == MAT_GOSSIP_OK);
}

/* The poll loop. */

static void
wait(struct pair *p, int64_t until_us)
{
    struct pollfd fds[PAIR_HOSTS];
    int64_t ms;

    for (int i = 0; i < PAIR_HOSTS; i++) {
        struct matd_gossip *g = p->hosts[i].gossip;

        fds[i] = (struct pollfd) {
            .fd = matd_gossip_fd(g), .events = matd_gossip_events(g)
        };
        if (matd_gossip_deadline_us(g) < until_us) {
            until_us = matd_gossip_deadline_us(g);
        }
    }
    ms = (until_us - pair_now_us() + 999) / 1000;
    CHECK(poll(fds, PAIR_HOSTS, ms > 0 ? (int) ms : 0) >= 0);
}

bool
pair_run(struct pair *p, bool (*is_so)(struct pair *), int ms)
{
    int64_t end_us = pair_now_us() + (int64_t) ms * 1000;

    for (;;) {
        for (int i = 0; i < PAIR_HOSTS; i++) {
            matd_gossip_run(p->hosts[i].gossip, pair_now_us());
        }
        if (is_so && is_so(p)) {
            return true;
        } else if (pair_now_us() >= end_us) {
            return false;
        }
        wait(p, end_us);
    }
}

bool
pair_has_met(struct pair *p)
{
    for (int i = 0; i < PAIR_HOSTS; i++) {
        if (mat_gossip_n_members(matd_gossip_engine(p->hosts[i].gossip),
                                 MAT_MEMBER_ALIVE) != PAIR_HOSTS - 1) {
            return false;
        }
    }
    return true;
}
