/* SPDX-License-Identifier: Apache-2.0 */
/* Path measurements between two hosts on the loopback device.  Frames that the
 * switch would send go through an underlay that the test plays. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mat-packet.h"
#include "matd-path.h"
#include "pair.h"

static struct pair pair;
static struct matd_path *paths[PAIR_HOSTS];
static struct mat_path_result result;
static bool is_done, has_result;

/* The underlay. */
static uint16_t underlay_mtu;
static bool drops_foreign, translates;

static struct mat_endpoint
source_of(const struct mat_packet *p)
{
    const uint8_t *ip = mat_packet_l3(p), *udp = mat_packet_l4(p);
    bool is_v4 = ip[0] >> 4 == 4;

    return (struct mat_endpoint) {
        is_v4 ? mat_addr_from_v4(ip + 12) : mat_addr_from_v6(ip + 8),
        (uint16_t) (udp[0] << 8 | udp[1])
    };
}

/* From host A's switch to host B's gossip socket. */
static void
inject(void *aux, const uint8_t *frame, size_t size)
{
    static uint8_t copy[MAT_PATH_FRAME_MAX];
    struct mat_endpoint from;
    struct mat_packet p;

    (void) aux;
    memcpy(copy, frame, size);
    mat_packet_parse(&p, copy, (uint32_t) size);
    from = source_of(&p);
    if (size > 14U + underlay_mtu
        || (drops_foreign && from.addr.b[14] >> 4 == 1)) {
        return;
    }
    from.port = (uint16_t) (from.port + translates);
    matd_path_receive(paths[1], pair_now_us(), pair.hosts[1].keys, &from,
                      mat_packet_l4(&p) + 8, p.end - p.l4_ofs - 8U);
}

static void
take_path(void *host_, int64_t now_us, const struct mat_endpoint *from,
          const uint8_t *data, size_t size)
{
    struct pair_host *host = host_;

    matd_path_receive(paths[host - pair.hosts], now_us, host->keys, from,
                      data, size);
}

static void
take_result(void *aux, uint64_t host, const struct mat_path_result *r)
{
    (void) aux;
    assert_true(host == pair.hosts[1].keys->cert.host);
    is_done = true;
    has_result = r != NULL;
    if (r) {
        result = *r;
    }
}

static bool
run_paths(struct pair *p)
{
    (void) p;
    for (int i = 0; i < PAIR_HOSTS; i++) {
        matd_path_run(paths[i], pair_now_us());
        matd_gossip_flush(pair.hosts[i].gossip, pair_now_us());
    }
    return is_done;
}

static void tell_where(void *aux, uint32_t zone, const struct mat_addr *,
                       struct matd_path_known *);

static void
start(void **state)
{
    struct matd_path_hooks hooks = {
        .inject = inject, .where = tell_where
    };

    pair_start(&pair, *state, "127.0.0.1", NULL);
    for (int i = 0; i < PAIR_HOSTS; i++) {
        paths[i] = matd_path_create(pair.hosts[i].gossip, &hooks);
        pair.hosts[i].path = take_path;
        pair.hosts[i].path_aux = &pair.hosts[i];
    }
    assert_true(pair_run(&pair, pair_has_met, 5000));
    pair_run(&pair, NULL, 100); /* Pools have spread. */
    underlay_mtu = 1500;
    drops_foreign = translates = false;
}

static void
stop(void)
{
    for (int i = 0; i < PAIR_HOSTS; i++) {
        matd_path_destroy(paths[i]);
    }
    pair_stop(&pair);
}

static void
begin(uint16_t mtu)
{
    struct matd_path_request request = {
        .host = pair.hosts[1].keys->cert.host, .own_moa = pair_moa(0, 5),
        .src = { { 2, 1 } }, .dst = { { 2, 2 } }, .mtu = mtu
    };
    char error[MATD_GOSSIP_ERROR_MAX];

    is_done = false;
    assert_true(matd_path_start(paths[0], pair_now_us(), pair.hosts[0].keys,
                                &request, take_result, NULL, error));
}

/* Steps of 5 ms, as the pair's poll loop does not know of the paths. */
static void
finish(void)
{
    for (int i = 0; i < 2000 && !is_done; i++) {
        pair_run(&pair, run_paths, 5);
    }
    assert_true(is_done && has_result);
}

static const char *
explain(void)
{
    static char text[2048];
    size_t n = matd_path_explain(&result, text, sizeof text);

    assert_int_equal(n, strlen(text));
    return text;
}

static void
test_measurements(void **state)
{
    start(state);
    begin(1500);
    finish();
    for (int i = 0; i < MAT_PATH_N_TESTS; i++) {
        assert_int_equal(result.tests[i], MAT_PATH_CARRIED);
    }
    assert_int_equal(result.mtu, 1500);
    assert_true(result.rtt_min_us > 0 && result.rtt_avg_us < 100000);
    assert_string_equal(explain(), "");

    underlay_mtu = 1450;
    drops_foreign = true;
    begin(1500);
    finish();
    assert_int_equal(result.tests[MAT_PATH_OWN], MAT_PATH_CARRIED);
    assert_int_equal(result.tests[MAT_PATH_FOREIGN], MAT_PATH_DROPPED);
    assert_int_equal(result.mtu, 1450);
    assert_non_null(strstr(explain(), "uRPF"));
    assert_non_null(strstr(explain(), "to 1450."));

    underlay_mtu = 0;           /* The switch sends nothing. */
    begin(1500);
    finish();
    assert_int_equal(result.tests[MAT_PATH_PLAIN], MAT_PATH_CARRIED);
    assert_int_equal(result.tests[MAT_PATH_OWN], MAT_PATH_DROPPED);
    assert_int_equal(result.mtu, 0);

    underlay_mtu = 1500;
    drops_foreign = false;
    translates = true;
    begin(1500);
    finish();
    assert_true(result.is_translated);
    assert_non_null(strstr(explain(), "translated"));

    begin(0);                   /* No next hop: by the socket only. */
    finish();
    assert_int_equal(result.tests[MAT_PATH_OWN], MAT_PATH_UNTESTED);
    stop();
}

static void
test_what_cannot_begin(void **state)
{
    struct matd_path_request request = { .host = 12345 };
    char error[MATD_GOSSIP_ERROR_MAX];

    start(state);
    assert_false(matd_path_start(paths[0], 0, pair.hosts[0].keys, &request,
                                 take_result, NULL, error));
    assert_string_equal(error, "no such host is known");
    request.host = pair.hosts[0].keys->cert.host;
    assert_false(matd_path_start(paths[0], 0, pair.hosts[0].keys, &request,
                                 take_result, NULL, error));
    for (int i = 0; i < MATD_PATH_RUNNING_MAX; i++) {
        begin(0);
    }
    request.host = pair.hosts[1].keys->cert.host;
    assert_false(matd_path_start(paths[0], 0, pair.hosts[0].keys, &request,
                                 take_result, NULL, error));
    assert_string_equal(error, "too many measurements at a time");
    stop();                     /* Ends them, without a result. */
    assert_true(is_done && !has_result);
}

/* Strangers, forgeries and floods get no answer. */
static void
test_who_is_answered(void **state)
{
    struct mat_path_message m = {
        .kind = MAT_PATH_PROBE, .size = 88, .number = 1
    };
    uint8_t bytes[MAT_PATH_MESSAGE_SIZE], key[MAT_SECRET_SIZE];
    struct matd_keys *a, *b;
    uint64_t n_answered, n_refused;
    struct mat_endpoint from;

    start(state);
    a = pair.hosts[0].keys;
    b = pair.hosts[1].keys;
    from = pair.hosts[0].config.advertised;
    m.sender = a->cert.host;
    m.label = a->label;
    assert_true(mat_path_key(&a->crypto, b->cert.public_key, a->label,
                             a->cert.host, b->cert.host, key));
    mat_path_encode(&m, &a->crypto, key, bytes);
    for (int i = 0; i < MATD_PATH_ANSWERS_S + 10; i++) {
        matd_path_receive(paths[1], 1000000, b, &from, bytes, sizeof bytes);
    }
    matd_path_counters(paths[1], &n_answered, &n_refused);
    assert_int_equal(n_answered, MATD_PATH_ANSWERS_S);
    assert_int_equal(n_refused, 10);
    bytes[20] ^= 1;             /* Forged. */
    matd_path_receive(paths[1], 3000000, b, &from, bytes, sizeof bytes);
    m.sender = 99;              /* A stranger. */
    mat_path_encode(&m, &a->crypto, key, bytes);
    matd_path_receive(paths[1], 3000000, b, &from, bytes, sizeof bytes);
    matd_path_receive(paths[1], 3000000, b, &from, bytes, 20);
    matd_path_receive(paths[1], 3000000, NULL, &from, bytes, sizeof bytes);
    matd_path_counters(paths[1], &n_answered, &n_refused);
    assert_int_equal(n_answered, MATD_PATH_ANSWERS_S);
    assert_int_equal(n_refused, 14);
    stop();
}

/* What the other host knows of an address, for "matctl trace". */

static struct matd_path_known known;
static int n_known;

static void
tell_where(void *aux, uint32_t zone, const struct mat_addr *hoa,
           struct matd_path_known *k)
{
    (void) aux;
    if (zone == 7 && hoa->b[15] == 1) {
        mat_addr_parse("192.0.2.7", &k->moa);
        k->flags = MAT_PATH_KNOWS_HERE | MAT_PATH_KNOWS_IN_SYNC;
    }
}

static void
take_known(void *aux, const struct matd_path_known *k)
{
    (void) aux;
    n_known += k != NULL;
    is_done = true;
    if (k) {
        known = *k;
    }
}

static void
ask(uint32_t zone, const char *hoa)
{
    char error[MATD_GOSSIP_ERROR_MAX];
    struct mat_addr addr;

    mat_addr_parse(hoa, &addr);
    is_done = false;
    assert_true(matd_path_ask(paths[0], pair_now_us(), pair.hosts[0].keys,
                              pair.hosts[1].keys->cert.host, zone, &addr,
                              take_known, NULL, error));
    for (int i = 0; i < 2000 && !is_done; i++) {
        pair_run(&pair, run_paths, 5);
    }
    assert_true(is_done);
}

static void
test_what_another_host_knows(void **state)
{
    char error[MATD_GOSSIP_ERROR_MAX];
    struct mat_addr addr = { { 0 } };

    start(state);
    n_known = 0;
    ask(7, "10.0.0.1");
    assert_int_equal(n_known, 1);
    assert_int_equal(known.flags,
                     MAT_PATH_KNOWS_HERE | MAT_PATH_KNOWS_IN_SYNC);
    assert_int_equal(known.moa.b[15], 7);
    ask(7, "10.0.0.2");
    assert_int_equal(n_known, 2);
    assert_true(mat_addr_is_zero(&known.moa));
    assert_int_equal(known.flags | known.epoch, 0);
    assert_false(matd_path_ask(paths[0], pair_now_us(), pair.hosts[0].keys,
                               99, 7, &addr, take_known, NULL, error));
    assert_non_null(strstr(error, "no such other host"));
    /* Nobody answers. */
    pair.hosts[1].path = NULL;
    ask(7, "10.0.0.1");
    assert_int_equal(n_known, 2);
    stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(TEST) \
        cmocka_unit_test_setup_teardown(TEST, folder_setup, folder_teardown)
        IN_FOLDER(test_measurements),
        IN_FOLDER(test_what_cannot_begin),
        IN_FOLDER(test_who_is_answered),
        IN_FOLDER(test_what_another_host_knows)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
