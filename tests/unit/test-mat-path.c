/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements of paths of all kinds, in virtual time. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mat-crypto-sodium.h"
#include "mat-frame.h"
#include "mat-packet.h"
#include "mat-path.h"
#include "mat-rng.h"

/* A network between here and there. */
struct network {
    int64_t delay_us;
    uint16_t mtu;
    int loss_percent;
    bool drops_own, drops_foreign, drops_all, translates;
};

enum { FLIGHTS_MAX = 256 };

struct flight {
    int64_t at_us;
    struct mat_path_message answer;
};

static struct mat_addr
addr(const char *s)
{
    struct mat_addr a;

    assert_true(mat_addr_parse(s, &a));
    return a;
}

static struct mat_path_config
make_config(bool is_v6)
{
    return (struct mat_path_config) {
        .here = { addr(is_v6 ? "2001:db8::1" : "192.0.2.1"), 19777 },
        .there = { addr(is_v6 ? "2001:db8:1::1" : "198.51.100.1"), 19778 },
        .own_moa = addr(is_v6 ? "2001:db8::100" : "192.0.2.100"),
        .foreign_moa = addr(is_v6 ? "2001:db8:1::100" : "198.51.100.100"),
        .mtu = 1500
    };
}

static bool
is_carried(const struct network *net, struct mat_rng *rng,
           const struct mat_path_send *send)
{
    return !(net->drops_all || send->size > net->mtu
             || (net->drops_own && send->test == MAT_PATH_OWN)
             || (net->drops_foreign && send->test == MAT_PATH_FOREIGN)
             || (int) mat_rng_below(rng, 100) < net->loss_percent);
}

/* Runs a measurement to its end.  Returns how long it took. */
static int64_t
measure(struct mat_path *p, const struct mat_path_config *config,
        const struct network *net, uint64_t seed)
{
    static struct flight flights[FLIGHTS_MAX];
    struct mat_rng rng = { .state = seed };
    int n = 0, next = 0;
    int64_t now = 1000, last = now;

    mat_path_start(p, config, now);
    while (!mat_path_is_done(p)) {
        struct mat_path_send send;

        last = now;
        while (next < n && flights[next].at_us <= now) {
            mat_path_answered(p, now, &flights[next++].answer);
        }
        while (mat_path_next(p, now, &send)) {
            assert_true(n < FLIGHTS_MAX);
            assert_true(send.by_socket == (send.test == MAT_PATH_PLAIN));
            if (is_carried(net, &rng, &send)) {
                flights[n].at_us = now + 2 * net->delay_us;
                flights[n].answer = (struct mat_path_message) {
                    .kind = MAT_PATH_ANSWER, .number = send.number,
                    .source = send.from, .size = send.size
                };
                if (net->translates) {
                    flights[n].answer.source.port++;
                }
                n++;
            }
        }
        now = mat_path_deadline_us(p);
        if (next < n && flights[next].at_us < now) {
            now = flights[next].at_us;
        }
    }
    assert_int_equal(mat_path_deadline_us(p), INT64_MAX);
    assert_true(p->result.n_sent <= 64);
    return last - 1000;
}

static void
expect(const struct mat_path *p, enum mat_path_state plain,
       enum mat_path_state own, enum mat_path_state foreign, uint16_t mtu)
{
    assert_int_equal(p->result.tests[MAT_PATH_PLAIN], plain);
    assert_int_equal(p->result.tests[MAT_PATH_OWN], own);
    assert_int_equal(p->result.tests[MAT_PATH_FOREIGN], foreign);
    assert_int_equal(p->result.mtu, mtu);
}

static void
test_good_path(void **state)
{
    struct network net = { .delay_us = 2500, .mtu = 9000 };
    struct mat_path p;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct mat_path_config config = make_config(v6);

        measure(&p, &config, &net, 1);
        expect(&p, MAT_PATH_CARRIED, MAT_PATH_CARRIED, MAT_PATH_CARRIED,
               1500);
        assert_int_equal(p.result.tests[MAT_PATH_MTU], MAT_PATH_CARRIED);
        assert_int_equal(p.result.rtt_min_us, 5000);
        assert_int_equal(p.result.rtt_avg_us, 5000);
        assert_int_equal(p.result.rtt_max_us, 5000);
        assert_false(p.result.is_translated);
        assert_int_equal(p.result.n_sent, MAT_PATH_RTTS + 3);
        assert_int_equal(p.result.n_answered, p.result.n_sent);
    }
}

static void
test_every_mtu_is_found(void **state)
{
    struct mat_path p;

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct mat_path_config config = make_config(v6);
        uint16_t min = v6 ? MAT_PATH_MTU_MIN_V6 : MAT_PATH_MTU_MIN_V4;

        config.mtu = 9000;
        for (uint16_t mtu = 500; mtu <= 9000;
             mtu = (uint16_t) (mtu + (mtu < 1600 ? 1 : 37))) {
            struct network net = { .delay_us = 100, .mtu = mtu };

            measure(&p, &config, &net, 1);
            assert_int_equal(p.result.mtu, mtu < min ? 0 : mtu);
            assert_int_equal(p.result.tests[MAT_PATH_MTU],
                             mtu == 9000 ? MAT_PATH_CARRIED
                             : MAT_PATH_DROPPED);
        }
    }
}

static void
test_what_networks_drop(void **state)
{
    struct mat_path_config config = make_config(false), less = config;
    struct network net = { .delay_us = 100, .mtu = 1500 };
    struct mat_path p;

    (void) state;
    net.drops_foreign = true;
    measure(&p, &config, &net, 1);
    expect(&p, MAT_PATH_CARRIED, MAT_PATH_CARRIED, MAT_PATH_DROPPED, 1500);
    net.drops_own = true;
    measure(&p, &config, &net, 1);
    expect(&p, MAT_PATH_CARRIED, MAT_PATH_DROPPED, MAT_PATH_DROPPED, 1500);
    net.drops_all = true;
    assert_true(measure(&p, &config, &net, 1) < 2000000);
    expect(&p, MAT_PATH_DROPPED, MAT_PATH_UNTESTED, MAT_PATH_UNTESTED, 0);

    memset(&less.own_moa, 0, sizeof less.own_moa);
    memset(&less.foreign_moa, 0, sizeof less.foreign_moa);
    less.mtu = 0;
    net = (struct network) { .delay_us = 100, .mtu = 1500,
                             .translates = true };
    measure(&p, &less, &net, 1);
    expect(&p, MAT_PATH_CARRIED, MAT_PATH_UNTESTED, MAT_PATH_UNTESTED, 0);
    assert_int_equal(p.result.tests[MAT_PATH_MTU], MAT_PATH_UNTESTED);
    assert_true(p.result.is_translated);
    assert_int_equal(p.result.seen_as.port, 19778);
    assert_int_equal(p.result.sent_as.port, 19777);
}

/* With 10 % loss, hardly ever is a drop seen that is none. */
static void
test_loss_is_no_check_of_sources(void **state)
{
    enum { RUNS = 2000 };
    struct mat_path_config config = make_config(false);
    struct network net = {
        .delay_us = 20000, .mtu = 1500, .loss_percent = 10
    };
    int n_wrong = 0, n_wrong_mtu = 0;
    int64_t longest = 0;

    (void) state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct mat_path p;
        int64_t took = measure(&p, &config, &net, seed);

        longest = took > longest ? took : longest;
        n_wrong += p.result.tests[MAT_PATH_OWN] != MAT_PATH_CARRIED
                   || p.result.tests[MAT_PATH_FOREIGN] != MAT_PATH_CARRIED;
        n_wrong_mtu += p.result.mtu != 1500;
    }
    print_message("# 10 %% loss: %d of %d wrong about sources, %d about the "
                  "MTU; at most %lld ms\n", n_wrong, RUNS, n_wrong_mtu,
                  (long long) longest / 1000);
    assert_true(n_wrong <= 4 && n_wrong_mtu <= 10);
}

static void
test_late_and_false_answers(void **state)
{
    struct mat_path_config config = make_config(false);
    struct mat_path_message m = { .number = 1000 };
    struct mat_path_send send;
    struct mat_path p;

    (void) state;
    mat_path_start(&p, &config, 0);
    mat_path_answered(&p, 0, &m);
    assert_true(mat_path_next(&p, 0, &send));
    m = (struct mat_path_message) {
        .number = send.number, .source = send.from, .size = 1400
    };
    mat_path_answered(&p, 10, &m);      /* Of another size. */
    assert_int_equal(p.result.n_answered, 0);
    m.size = send.size;
    for (int i = 0; i < 10; i++) {
        mat_path_answered(&p, 10, &m);  /* Repeated. */
    }
    assert_int_equal(p.result.n_answered, 1);
    assert_int_equal(p.result.rtt_avg_us, 10);
}

static void
test_messages(void **state)
{
    const uint8_t seeds[3][MAT_SODIUM_SEED_SIZE] = { "a", "b", "c" };
    struct mat_sodium_identity ids[3];
    uint8_t keys[3][MAT_SECRET_SIZE], bytes[MAT_PATH_MESSAGE_SIZE + 10];
    struct mat_path_message m = {
        .kind = MAT_PATH_PROBE, .label = 7, .sender = 1,
        .session = UINT64_C(0x1234567890abcdef), .number = 9,
        .source = { addr("2001:db8::5"), 77 }, .size = 1500
    }, back;
    struct mat_crypto c[3];

    (void) state;
    for (int i = 0; i < 3; i++) {
        assert_true(mat_sodium_identity_init(&ids[i], seeds[i]));
        c[i] = mat_sodium_crypto(&ids[i]);
    }
    assert_true(mat_path_key(&c[0], ids[1].public_key, 7, 1, 2, keys[0]));
    assert_true(mat_path_key(&c[1], ids[0].public_key, 7, 2, 1, keys[1]));
    assert_true(mat_path_key(&c[2], ids[0].public_key, 7, 2, 1, keys[2]));
    assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
    memset(bytes, 0, sizeof bytes);
    mat_path_encode(&m, &c[0], keys[0], bytes);
    assert_true(mat_path_decode(bytes, sizeof bytes, &back));
    assert_true(mat_path_verify(bytes, sizeof bytes, &c[1], keys[1]));
    assert_false(mat_path_verify(bytes, sizeof bytes, &c[1], keys[2]));
    assert_true(back.session == m.session && back.number == 9
                && back.size == 1500 && back.sender == 1
                && mat_endpoint_equal(&back.source, &m.source));
    for (size_t i = 0; i < MAT_PATH_MESSAGE_SIZE; i++) {
        assert_false(mat_path_decode(bytes, i, &back));
        assert_false(mat_path_verify(bytes, i, &c[1], keys[1]));
        bytes[i] ^= 4;
        assert_false(mat_path_verify(bytes, sizeof bytes, &c[1], keys[1]));
        bytes[i] ^= 4;
    }
    for (unsigned int kind = 0; kind < 256; kind++) {
        bytes[1] = (uint8_t) kind;
        assert_int_equal(mat_path_decode(bytes, sizeof bytes, &back),
                         kind >= MAT_PATH_PROBE && kind <= MAT_PATH_KNOWS);
    }
}

static void
test_frames(void **state)
{
    const uint8_t message[MAT_PATH_MESSAGE_SIZE] = "what it says";
    struct mat_mac src = { { 2, 1 } }, dst = { { 2, 2 } };
    static uint8_t frame[MAT_PATH_FRAME_MAX];

    (void) state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct mat_path_config c = make_config(v6);
        uint16_t least = (uint16_t) mat_path_ip_size(&c.here.addr,
                                                     sizeof message);
        struct mat_packet p;
        size_t n;

        assert_int_equal(mat_path_frame(&src, &dst, &c.here, &c.there,
                                        (uint16_t) (least - 1), message,
                                        frame, sizeof frame), 0);
        assert_int_equal(mat_path_frame(&src, &dst, &c.here, &c.there, 9203,
                                        message, frame, 9216), 0);
        for (uint16_t size = least; size <= 9000;
             size = (uint16_t) (size * 2 + 1)) {
            n = mat_path_frame(&src, &dst, &c.here, &c.there, size, message,
                               frame, sizeof frame);
            assert_int_equal(n, 14 + size);
            assert_int_equal(mat_packet_parse(&p, frame, (uint32_t) n),
                             v6 ? MAT_PACKET_IPV6 : MAT_PACKET_IPV4);
            assert_int_equal(p.proto, MAT_PROTO_UDP);
            assert_true(mat_frame_csum_ok(&p, MAT_CSUM_FULL));
            assert_memory_equal(mat_packet_l4(&p) + 8, message,
                                sizeof message);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_path),
        cmocka_unit_test(test_every_mtu_is_found),
        cmocka_unit_test(test_what_networks_drop),
        cmocka_unit_test(test_loss_is_no_check_of_sources),
        cmocka_unit_test(test_late_and_false_answers),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_frames)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
