/* SPDX-License-Identifier: Apache-2.0 */
/* Two engines with libsodium over real sockets on the loopback device. */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "mat-path.h"
#include "mat-rng.h"
#include "mat-wire.h"
#include "matd-recording.h"
#include "matd-udp.h"
#include "pair.h"

/* The wrapped calls. */
static bool has_no_ipv6;
static int n_sends_blocked;

int __real_socket(int, int, int);
int __wrap_socket(int, int, int);
int
__wrap_socket(int domain, int type, int protocol)
{
    if (has_no_ipv6 && domain == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return __real_socket(domain, type, protocol);
}

int __real_sendmmsg(int, struct mmsghdr *, unsigned int, int);
int __wrap_sendmmsg(int, struct mmsghdr *, unsigned int, int);
int
__wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags)
{
    if (n_sends_blocked) {
        n_sends_blocked--;
        errno = EAGAIN;
        return -1;
    }
    return __real_sendmmsg(fd, m, n, flags);
}

static struct pair pair;
static int expected_vmn;
static uint64_t expected_owner;

static bool
is_applied_at_a(struct pair *p)
{
    return p->hosts[0].owner[expected_vmn] == expected_owner;
}

static bool
is_applied_at_b(struct pair *p)
{
    return p->hosts[1].owner[expected_vmn] == expected_owner;
}

static bool
is_pushed_by_b(struct pair *p)
{
    return p->hosts[1].pushed_us[expected_vmn] && is_applied_at_a(p);
}

static void
on_vmn(struct pair *p, int host, enum mat_recorder_kind kind, int vmn)
{
    pair_call(&p->hosts[host], (struct mat_call) {
        .kind = kind, .key = pair_key(vmn), .addr = pair_moa(host, vmn),
        .mac = { { 2, 0, 0, 0, (uint8_t) (vmn >> 8), (uint8_t) vmn } },
        .flag = true
    });
}

/* VMN lives at A, and then B knows it. */
static void
live_at_a(struct pair *p, int vmn)
{
    on_vmn(p, 0, MAT_REC_CLAIM, vmn);
    expected_vmn = vmn;
    expected_owner = p->hosts[0].keys->cert.host;
    assert_true(pair_run(p, is_applied_at_b, 5000));
}

/* A hinted move from A to B.  Returns the time from the claim until A has
 * applied it. */
static int64_t
move_to_b(struct pair *p, int vmn)
{
    int64_t start_us;

    on_vmn(p, 1, MAT_REC_PREPARE, vmn);
    pair_run(p, NULL, 2);
    on_vmn(p, 0, MAT_REC_LEAVING, vmn);
    pair_run(p, NULL, 2);
    expected_vmn = vmn;
    expected_owner = p->hosts[1].keys->cert.host;
    start_us = pair_now_us();
    on_vmn(p, 1, MAT_REC_CLAIM, vmn);
    assert_true(pair_run(p, is_pushed_by_b, 5000));
    on_vmn(p, 0, MAT_REC_RELEASE, vmn);
    return p->hosts[0].applied_us[vmn] - start_us;
}

static int
compare(const void *a_, const void *b_)
{
    const int64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
replay(struct pair_host *host)
{
    struct mat_recorder *rec = matd_gossip_recorder(host->gossip);
    size_t size = mat_recorder_size(rec);
    uint8_t *bytes = malloc(size);
    uint64_t n_calls, n_outputs;
    char error[MATD_ERROR_MAX];

    mat_recorder_write(rec, bytes);
    if (!matd_recording_replay(bytes, size, host->keys, &n_calls, &n_outputs,
                               error)) {
        print_error("%s\n", error);
        fail();
    }
    print_message("# %s replayed: %llu inputs, %llu outputs, the same\n",
                  host->name, (unsigned long long) n_calls,
                  (unsigned long long) n_outputs);
    assert_true(n_calls > 100 && n_outputs > 100);
    free(bytes);
}

static void
test_moves_and_their_time(void **state)
{
    enum { N = 200 };
    int64_t one_way[N], pushed[N];

    pair_start(&pair, *state, "127.0.0.1", NULL);
    assert_true(pair_run(&pair, pair_has_met, 5000));
    for (int i = 0; i < N; i++) {
        live_at_a(&pair, i);
        one_way[i] = move_to_b(&pair, i);
        pushed[i] = pair.hosts[1].push_took_us[i];
    }
    qsort(one_way, N, sizeof *one_way, compare);
    qsort(pushed, N, sizeof *pushed, compare);
    print_message("# %d moves, libsodium, loopback: claim to applied at the "
                  "old host p50 %lld us, p99 %lld us; acknowledged p50 %lld "
                  "us, p99 %lld us\n", N, (long long) one_way[N / 2],
                  (long long) one_way[N * 99 / 100],
                  (long long) pushed[N / 2],
                  (long long) pushed[N * 99 / 100]);
    assert_true(matd_gossip_counter(pair.hosts[1].gossip,
                                    MATD_GOSSIP_TX_URGENT) >= N);
    for (int i = 0; i < PAIR_HOSTS; i++) {
        replay(&pair.hosts[i]);
    }
    pair_stop(&pair);
}

/* IPv6; bound to all addresses, in both families; without IPv6. */
static void
test_families(void **state)
{
    static const struct { const char *addr, *bind; bool no_ipv6; } ways[] = {
        { "::1", NULL, false }, { "::1", "::", false },
        { "127.0.0.1", "::", false }, { "127.0.0.9", "0.0.0.0", false },
        { "127.0.0.1", NULL, true }, { "127.0.0.9", "0.0.0.0", true }
    };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char dir[FOLDER_PATH_MAX];

        snprintf(dir, sizeof dir, "%.400s/%zu", (char *) *state, i);
        pair_matctl("new-cluster", dir, NULL);  /* Makes the folder. */
        pair_start(&pair, dir, ways[i].addr, ways[i].bind);
        if (ways[i].no_ipv6) {
            has_no_ipv6 = true;
            for (int j = 0; j < PAIR_HOSTS; j++) {
                struct matd_gossip_config none = pair.hosts[j].config;

                none.bind.port = 0;
                matd_gossip_configure(pair.hosts[j].gossip, pair_now_us(),
                                      &none);
                matd_gossip_configure(pair.hosts[j].gossip, pair_now_us(),
                                      &pair.hosts[j].config);
            }
        }
        if (!pair_run(&pair, pair_has_met, 5000)) {
            print_error("not with address %s bound to %s\n", ways[i].addr,
                        ways[i].bind ? ways[i].bind : "it");
            fail();
        }
        live_at_a(&pair, 1);
        assert_int_equal(pair.hosts[0].n_errors + pair.hosts[1].n_errors, 0);
        has_no_ipv6 = false;
        pair_stop(&pair);
    }
}

static bool
b_is_elsewhere(struct pair *p)
{
    struct mat_key key = mat_key_host(p->hosts[1].keys->cert.host);
    const struct mat_claim *claim
        = mat_gossip_find(matd_gossip_engine(p->hosts[0].gossip), &key);
    struct mat_host_info info;

    return (claim && mat_host_decode(claim->body, claim->body_size, &info)
            && mat_endpoint_equal(&info.endpoint,
                                  &p->hosts[1].config.advertised));
}

static void
test_address_changes(void **state)
{
    struct pair_host *b = &pair.hosts[1];
    struct mat_endpoint bound;
    const char *error;

    pair_start(&pair, *state, "127.0.0.1", NULL);
    assert_true(pair_run(&pair, pair_has_met, 5000));

    /* An address that this machine does not have: it fails, and goes on
     * failing quietly. */
    b->config.bind.addr = pair_addr("192.0.2.1");
    matd_gossip_configure(b->gossip, pair_now_us(), &b->config);
    assert_false(matd_gossip_bound(b->gossip, &bound, &error));
    assert_non_null(strstr(error, "192.0.2.1"));
    assert_int_equal(b->n_errors, 1);
    pair_run(&pair, NULL, 2500);
    assert_true(matd_gossip_counter(b->gossip, MATD_GOSSIP_BIND_ERRORS) >= 3);
    assert_int_equal(b->n_errors, 1);
    assert_int_equal(matd_gossip_fd(b->gossip), -1);

    b->config.advertised.addr = b->config.bind.addr = pair_addr("127.0.0.2");
    matd_gossip_configure(b->gossip, pair_now_us(), &b->config);
    assert_true(matd_gossip_bound(b->gossip, &bound, &error));
    assert_true(mat_endpoint_equal(&bound, &b->config.bind));
    assert_true(pair_run(&pair, b_is_elsewhere, 5000));
    live_at_a(&pair, 3);
    pair_stop(&pair);
}

static void
reload(struct pair_host *host)
{
    char error[MATD_ERROR_MAX];
    struct matd_keys *keys = matd_keys_load(host->dir, error);

    assert_non_null(keys);
    assert_true(matd_gossip_set_keys(host->gossip, pair_now_us(), keys));
    matd_keys_destroy(host->keys);
    host->keys = keys;
}

static bool
b_has_serial_2(struct pair *p)
{
    struct mat_key key = mat_key_host(p->hosts[1].keys->cert.host);
    const struct mat_claim *claim
        = mat_gossip_find(matd_gossip_engine(p->hosts[0].gossip), &key);
    struct mat_host_info info;
    struct mat_cert cert;

    return (claim && mat_host_decode(claim->body, claim->body_size, &info)
            && mat_cert_parse(info.cert, info.cert_size, &cert)
            && cert.serial == 2);
}

static bool
a_is_known(struct pair *p)
{
    return mat_gossip_n_members(matd_gossip_engine(p->hosts[1].gossip),
                                MAT_MEMBER_ALIVE);
}

static void
issue(struct pair *p, int host)
{
    char cluster[FOLDER_PATH_MAX + 16], out[FOLDER_PATH_MAX + 16];

    snprintf(cluster, sizeof cluster, "--cluster=%s", p->cluster);
    snprintf(out, sizeof out, "--out=%s", p->hosts[host].dir);
    pair_matctl("issue", cluster, "--host", p->hosts[host].name,
                "--hoas=10.0.0.0/8", "--pools=192.168.0.0/16", out, NULL);
}

static void
copy_join_key(struct pair *p, int host)
{
    uint8_t bytes[FOLDER_FILE_MAX];
    size_t n = folder_read(p->cluster, "join.key", bytes);

    folder_write(p->hosts[host].dir, "join.key", bytes, n, 0600);
}

/* A certificate renewed, and join keys rotated, under the running engines; a
 * host that comes fresh gets in at every step. */
static void
test_keys_change_live(void **state)
{
    char cluster[FOLDER_PATH_MAX + 16];

    pair_start(&pair, *state, "127.0.0.1", NULL);
    assert_true(pair_run(&pair, pair_has_met, 5000));
    issue(&pair, 1);
    reload(&pair.hosts[1]);
    assert_true(pair_run(&pair, b_has_serial_2, 5000));
    live_at_a(&pair, 1);

    snprintf(cluster, sizeof cluster, "--cluster=%s", pair.cluster);
    for (int step = 0; step < 3; step++) {
        pair_matctl("rotate", cluster, NULL);
        for (int i = 0; i < PAIR_HOSTS; i++) {
            copy_join_key(&pair, i);
            reload(&pair.hosts[i]);

            /* Where only one of them has the new file yet. */
            matd_gossip_stop(pair.hosts[1].gossip, pair_now_us(), false);
            pair_start_engine(&pair.hosts[1],
                              (uint32_t) (2 + 2 * step + i));
            assert_true(pair_run(&pair, a_is_known, 5000));
        }
    }
    pair_stop(&pair);
}

static void
test_other_identity_wants_another_engine(void **state)
{
    struct matd_keys *other;
    char error[MATD_ERROR_MAX];

    pair_start(&pair, *state, "127.0.0.1", NULL);
    other = matd_keys_load(pair.hosts[1].dir, error);
    assert_false(matd_gossip_set_keys(pair.hosts[0].gossip, pair_now_us(),
                                      other));
    matd_keys_destroy(other);
    assert_false(matd_gossip_start(pair.hosts[0].gossip, pair_now_us(),
                                   pair.hosts[0].keys, 2, error));
    matd_gossip_stop(pair.hosts[0].gossip, pair_now_us(), true);
    assert_null(matd_gossip_engine(pair.hosts[0].gossip));
    assert_false(matd_gossip_start(pair.hosts[0].gossip, pair_now_us(),
                                   pair.hosts[0].keys, 0, error));
    pair_stop(&pair);
}

/* Certificates that end soon are told, each step once. */
static void
test_end_is_told(void **state)
{
    static const struct { const char *days, *told; } cases[] = {
        { "--days=31", NULL }, { "--days=30", "within a month" },
        { "--days=7", "within a week" }, { "--days=1", "within a day" }
    };

    pair_start(&pair, *state, "127.0.0.1", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair_host *a = &pair.hosts[0];
        char cluster[FOLDER_PATH_MAX + 16], out[FOLDER_PATH_MAX + 16];

        snprintf(cluster, sizeof cluster, "--cluster=%s", pair.cluster);
        snprintf(out, sizeof out, "--out=%s", a->dir);
        pair_matctl("issue", cluster, "--host=a", "--hoas=10.0.0.0/8",
                    "--pools=192.168.0.0/16", cases[i].days, out, NULL);
        matd_gossip_stop(a->gossip, pair_now_us(), false);
        matd_keys_destroy(a->keys);
        a->keys = matd_keys_load(a->dir, a->line);
        pair_start_engine(a, (uint32_t) i + 2);
        a->n_errors = 0;
        pair_run(&pair, NULL, 5);
        assert_int_equal(a->n_errors, cases[i].told != NULL);
        assert_true(!cases[i].told || strstr(a->line, cases[i].told));
    }
    pair_stop(&pair);
}

static bool
b_is_refused(struct pair *p)
{
    return !mat_gossip_n_members(matd_gossip_engine(p->hosts[0].gossip),
                                 MAT_MEMBER_ALIVE);
}

static void
test_revocation(void **state)
{
    char cluster[FOLDER_PATH_MAX + 16], name[64];
    char error[MATD_GOSSIP_ERROR_MAX];
    uint8_t bytes[FOLDER_FILE_MAX];
    size_t n;

    pair_start(&pair, *state, "127.0.0.1", NULL);
    assert_true(pair_run(&pair, pair_has_met, 5000));
    snprintf(cluster, sizeof cluster, "--cluster=%s", pair.cluster);
    pair_matctl("revoke", cluster, "b", NULL);
    snprintf(name, sizeof name, "revoke-%016llx-1",
             (unsigned long long) pair.hosts[1].keys->cert.host);
    n = folder_read(pair.cluster, name, bytes);
    assert_false(matd_gossip_revoke(pair.hosts[0].gossip, pair_now_us(),
                                    (char *) bytes, n - 20, error));
    assert_true(matd_gossip_revoke(pair.hosts[0].gossip, pair_now_us(),
                                   (char *) bytes, n, error));
    assert_true(pair_run(&pair, b_is_refused, 5000));

    /* A new certificate is not hit. */
    issue(&pair, 1);
    reload(&pair.hosts[1]);
    assert_true(pair_run(&pair, pair_has_met, 10000));
    n = folder_read(pair.hosts[0].dir, "host.cert", bytes);
    assert_false(matd_gossip_revoke(pair.hosts[0].gossip, pair_now_us(),
                                    (char *) bytes, n, error));
    assert_non_null(strstr(error, "not a revocation"));
    pair_stop(&pair);
}

/* The queues, on a socket of their own. */
struct catch {
    uint8_t first[64];
    int n;
};

static bool
take(void *catch_, const struct mat_endpoint *from, uint8_t *data,
     size_t size)
{
    struct catch *catch = catch_;

    (void) from;
    assert_true(size > 0 && catch->n < 64);
    catch->first[catch->n++] = data[0];
    return catch->n % 5;
}

static void
test_urgent_first(void **state)
{
    uint64_t counters[MATD_GOSSIP_N_COUNTERS] = { 0 };
    struct matd_udp *u = matd_udp_create(counters);
    struct mat_endpoint at = { .addr = pair_addr("127.0.0.1") };
    struct mat_endpoint bad = { .addr = pair_addr("240.0.0.1"), .port = 9 };
    struct mat_endpoint to;
    struct catch catch = { .n = 0 };
    char error[MATD_UDP_ERROR_MAX];

    (void) state;
    matd_udp_queue(u, &bad, "x", 1, true);      /* No socket yet. */
    assert_int_equal(counters[MATD_GOSSIP_TX_ERRORS], 1);
    assert_true(matd_udp_bind(u, &at, &at.addr, error));
    assert_true(matd_udp_is_bound(u, &at));
    for (int i = 0; i < 10; i++) {
        matd_udp_queue(u, &at, "n", 1, false);
    }
    n_sends_blocked = 1;
    matd_udp_flush(u);
    assert_true(matd_udp_has_queued(u));
    for (int i = 0; i < 5; i++) {
        matd_udp_queue(u, i == 2 ? &bad : &at, "u", 1, true);
    }
    n_sends_blocked = 1;
    matd_udp_flush(u);
    assert_int_equal(counters[MATD_GOSSIP_TX_WAITED], 15);
    matd_udp_flush(u);
    assert_false(matd_udp_has_queued(u));
    matd_udp_receive(u, take, &catch);
    assert_int_equal(catch.n, 5);
    assert_true(matd_udp_has_received(u));
    matd_udp_receive(u, take, &catch);
    matd_udp_receive(u, take, &catch);
    assert_false(matd_udp_has_received(u));
    assert_int_equal(catch.n, 14);
    assert_memory_equal(catch.first, "uuuunnnnnnnnnn", 14);
    assert_int_equal(counters[MATD_GOSSIP_TX], 14);
    assert_int_equal(counters[MATD_GOSSIP_TX_URGENT], 4);
    assert_int_equal(counters[MATD_GOSSIP_TX_ERRORS], 2);
    assert_int_not_equal(matd_udp_take_error(u, &to), 0);
    assert_true(mat_endpoint_equal(&to, &bad));
    assert_int_equal(matd_udp_take_error(u, &to), 0);

    for (int i = 0; i < MATD_UDP_QUEUE_MAX + 7; i++) {
        matd_udp_queue(u, &at, "n", 1, false);
    }
    assert_int_equal(counters[MATD_GOSSIP_TX_DROPPED], 7);
    matd_udp_destroy(u);
}

/* Garbage, what is too long, path probes, more than the socket holds. */
static void
test_strange_datagrams(void **state)
{
    static uint8_t data[9000];
    struct mat_rng rng = { .state = 1 };
    struct matd_gossip *g;
    struct mat_endpoint *to;

    pair_start(&pair, *state, "127.0.0.1", NULL);
    assert_true(pair_run(&pair, pair_has_met, 5000));
    g = pair.hosts[1].gossip;
    to = &pair.hosts[0].config.advertised;
    for (int i = 0; i < 20000; i++) {
        size_t size = mat_rng_below(&rng, i % 100 ? 1401 : sizeof data);

        for (size_t j = 0; j < size; j++) {
            data[j] = (uint8_t) mat_rng_next(&rng);
        }
        data[0] = i % 3 ? MAT_WIRE_MAGIC : data[0];
        matd_gossip_send(g, to, data, size);
        if (!(i % 500)) {
            matd_gossip_flush(g, pair_now_us());
            pair_run(&pair, NULL, 1);
        }
    }
    pair_run(&pair, NULL, 100);
    assert_true(matd_gossip_counter(pair.hosts[0].gossip,
                                    MATD_GOSSIP_RX_TRUNCATED) > 10);
    pair.hosts[0].n_path = 0;
    data[0] = MAT_PATH_MAGIC;
    matd_gossip_send(g, to, data, 8000);
    pair_run(&pair, NULL, 20);
    assert_int_equal(pair.hosts[0].n_path, 1);
    assert_int_equal(pair.hosts[0].path_size, 8000);
    assert_true(mat_endpoint_equal(&pair.hosts[0].path_from,
                                   &pair.hosts[1].config.advertised));

    /* Far more than fits, without a chance to read. */
    for (int i = 0; i < 40000; i++) {
        matd_gossip_send(g, to, data, 1400);
        if (!(i % 1000)) {
            matd_gossip_flush(g, pair_now_us());
        }
    }
    pair_run(&pair, NULL, 500);
    live_at_a(&pair, 2);
    assert_true(matd_gossip_counter(pair.hosts[0].gossip,
                                    MATD_GOSSIP_RX_OVERFLOW) > 0);
    pair_stop(&pair);
}

static bool
has_new_generation(struct pair *p)
{
    return p->hosts[1].generation > 5;
}

/* A host whose disk has forgotten its generation is told it. */
static void
test_generation_is_kept(void **state)
{
    pair_start(&pair, *state, "127.0.0.1", NULL);
    matd_gossip_stop(pair.hosts[1].gossip, pair_now_us(), false);
    pair_start_engine(&pair.hosts[1], 5);
    assert_true(pair_run(&pair, pair_has_met, 5000));
    matd_gossip_stop(pair.hosts[1].gossip, pair_now_us(), false);
    pair_start_engine(&pair.hosts[1], 1);
    assert_true(pair_run(&pair, has_new_generation, 10000));
    pair_stop(&pair);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(TEST) \
        cmocka_unit_test_setup_teardown(TEST, folder_setup, folder_teardown)
        cmocka_unit_test(test_urgent_first),
        IN_FOLDER(test_moves_and_their_time),
        IN_FOLDER(test_families),
        IN_FOLDER(test_address_changes),
        IN_FOLDER(test_keys_change_live),
        IN_FOLDER(test_other_identity_wants_another_engine),
        IN_FOLDER(test_end_is_told),
        IN_FOLDER(test_revocation),
        IN_FOLDER(test_strange_datagrams),
        IN_FOLDER(test_generation_is_kept)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
