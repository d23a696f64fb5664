/* SPDX-License-Identifier: Apache-2.0 */

/* The stock of MoAs against a naive model.
 *
 * Random VMNs take and give back, strangers claim, links fail, pools change,
 * time passes.  The model knows of each address who has it and until when it
 * must rest, and nothing else; so it can judge every answer:
 *
 *  - nobody gets what another has, what rests for another, what a stranger
 *    claims, what is reserved, what is in no pool or on a link that is down;
 *  - nobody is refused while there is something that it might get;
 *  - an owner that has something gets that;
 *  - what the stock says of its records is what the model says;
 *  - frames keep to their rate, and deadlines always lie ahead. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-rng.h"
#include "stock.h"

/* Addresses: 16 on each of two links, 8 that are routed. */
enum { LINK = 16, N_ADDRS = 2 * LINK + 8, OWNERS = 30, STEPS = 6000 };

static struct model {
    int owner;                  /* -1 for nobody. */
    int last;                   /* Who had it, while it rests. */
    int64_t rests_until_us, claimed_until_us;
    bool reserved;
} model[N_ADDRS];

/* Which half of each span is in the pool. */
static unsigned int pool_part;
static int64_t begun_us;
static unsigned int n_frames;

static struct mat_addr
nth(int i)
{
    uint8_t b[4] = { 10, 0, 0, (uint8_t) (16 + i % LINK) };

    b[1] = (uint8_t) (i / LINK);
    if (i >= 2 * LINK) {
        memcpy(b, "\xc0\0\2", 3);
        b[3] = (uint8_t) (8 + i - 2 * LINK);
    }
    return mat_addr_from_v4(b);
}

static int
find(const struct mat_addr *a)
{
    for (int i = 0; i < N_ADDRS; i++) {
        struct mat_addr b = nth(i);

        if (mat_addr_equal(a, &b)) {
            return i;
        }
    }
    return -1;
}

static struct mat_moa_owner
owner_of(int n)
{
    uint8_t b[4] = { 10, 99, 0, (uint8_t) n };

    return (struct mat_moa_owner) { (uint32_t) n % 3, mat_addr_from_v4(b) };
}

static bool
in_pool(int i)
{
    return (i >= 2 * LINK || pool_part == 2
            || (unsigned int) (i % LINK >= LINK / 2) == pool_part);
}

static int
link_of(int i)
{
    return i >= 2 * LINK ? -1 : i / LINK;
}

static bool
is_up(int i)
{
    int link = link_of(i);

    return (link >= 0 ? stock_config.uplinks[link].up
            : stock_config.uplinks[0].up || stock_config.uplinks[1].up);
}

/* Does a stranger insist on an address that is used? */
static bool
is_contested(int i)
{
    struct mat_addr a = nth(i);
    struct mat_moa_info info;

    return (model[i].owner >= 0 && mat_moa_find(moa, &a, &info)
            && info.n_conflicts >= MAT_MOA_CONTESTED);
}

/* May 'owner' get address 'i' through 'link' (-1: any)? */
static bool
may_get(int i, int owner, int link)
{
    const struct model *a = &model[i];

    return ((link < 0 || link_of(i) == link) && in_pool(i) && is_up(i)
            && !a->reserved && a->claimed_until_us <= now_us
            && !is_contested(i)
            && (a->owner < 0 || a->owner == owner)
            && (a->rests_until_us <= now_us || a->last == owner));
}

static void
step_take(struct mat_rng *rng)
{
    static const char *const names[] = { "eth0", "eth1" };
    int owner = (int) mat_rng_below(rng, OWNERS);
    int link = (int) mat_rng_below(rng, 3) - 1;
    struct mat_moa_want want = {
        .owner = owner_of(owner), .uplink = link < 0 ? NULL : names[link]
    };
    struct mat_moa_info info;
    enum mat_moa_result result;
    bool has = false;
    int i;

    if (mat_rng_below(rng, 2)) {
        want.preferred = nth((int) mat_rng_below(rng, N_ADDRS));
    }
    for (i = 0; i < N_ADDRS; i++) {
        has |= model[i].owner == owner && may_get(i, owner, link);
    }
    result = mat_moa_take(moa, now_us, &want, &info);
    if (result != MAT_MOA_OK) {
        for (i = 0; i < N_ADDRS; i++) {
            assert_false(may_get(i, owner, link));
        }
        return;
    }
    i = find(&info.moa);
    assert_true(i >= 0);
    assert_true(may_get(i, owner, link));
    if (has) {
        assert_int_equal(model[i].owner, owner);
        assert_int_equal(info.state, MAT_MOA_USED);
    }
    model[i].owner = owner;
    model[i].rests_until_us = 0;
}

static void
step_release(struct mat_rng *rng)
{
    int i = (int) mat_rng_below(rng, N_ADDRS);
    struct mat_addr a = nth(i);
    struct mat_moa_info info;

    assert_int_equal(mat_moa_release(moa, now_us, &a), model[i].owner >= 0);
    if (model[i].owner < 0) {
        return;
    }
    model[i].last = model[i].owner;
    model[i].owner = -1;
    assert_true(mat_moa_find(moa, &a, &info));
    if (info.state == MAT_MOA_CONFLICT) {
        model[i].claimed_until_us = info.until_us;
        assert_true(info.until_us >= now_us + stock_config.conflict_us);
    } else {
        model[i].rests_until_us = now_us + stock_config.quarantine_us;
    }
}

static void
step_claim(struct mat_rng *rng)
{
    int i = (int) mat_rng_below(rng, N_ADDRS);
    struct mat_addr a = nth(i);
    struct mat_mac mac = stock_mac(mat_rng_below(rng, 3));
    bool asks = mat_rng_below(rng, 2);
    struct mat_moa_info info;

    mat_moa_claimed(moa, now_us, &a, &mac, asks);
    if (mat_moa_find(moa, &a, &info) && info.state == MAT_MOA_CONFLICT
        && info.until_us > model[i].claimed_until_us) {
        assert_true(model[i].owner < 0 && link_of(i) >= 0);
        model[i].claimed_until_us = info.until_us;
        model[i].last = -1;
    } else {
        assert_true(asks || model[i].owner >= 0 || !in_pool(i)
                    || link_of(i) < 0 || model[i].reserved
                    || info.state == MAT_MOA_CONFLICT);
    }
}

static void
step_reserve(struct mat_rng *rng)
{
    int i = (int) mat_rng_below(rng, N_ADDRS);
    struct mat_addr a = nth(i);
    bool reserved = mat_rng_below(rng, 3) == 0;

    if (mat_moa_reserve(moa, now_us, &a, reserved)) {
        model[i].reserved = reserved;
    } else {
        assert_true(reserved && model[i].owner >= 0);
    }
}

static void
set_pool(unsigned int part)
{
    static const char *const texts[] = {
        "10.0.0.16/29,10.1.0.16/29,routed:192.0.2.8/29",
        "10.0.0.24/29,10.1.0.24/29,routed:192.0.2.8/29",
        "10.0.0.16-10.0.0.31,10.1.0.16/28,routed:192.0.2.8/29"
    };

    pool_part = part;
    stock_set_pools(texts[part], "");
}

static void
step_configure(struct mat_rng *rng)
{
    switch (mat_rng_below(rng, 4)) {
    case 0:
        set_pool(mat_rng_below(rng, 3));
        break;
    case 1:
        stock_config.stock = mat_rng_below(rng, 5);
        break;
    default:
        stock_config.uplinks[mat_rng_below(rng, 2)].up
            = mat_rng_below(rng, 4);
        break;
    }
    mat_moa_configure(moa, now_us, &stock_config);
}

/* Time passes, and nothing spins. */
static void
step_time(struct mat_rng *rng)
{
    int64_t end_us = now_us + (int64_t) mat_rng_below(
        rng, 1u << mat_rng_below(rng, 29));
    unsigned int n = 0;

    while (mat_moa_deadline_us(moa) <= end_us) {
        int64_t at_us = mat_moa_deadline_us(moa);

        now_us = at_us > now_us ? at_us : now_us;
        mat_moa_tick(moa, now_us);
        stock_drain();
        assert_true(n++ < 100000);
        assert_true(mat_moa_deadline_us(moa) > now_us);
    }
    now_us = end_us;
    mat_moa_tick(moa, now_us);
}

static void
check_records(void)
{
    unsigned int n_used = 0, n_owned = 0;
    struct mat_moa_info info;
    size_t cursor = 0;

    while (mat_moa_next_info(moa, &cursor, &info)) {
        int i = find(&info.moa);
        struct mat_moa_info same;

        assert_true(i >= 0);
        assert_true(mat_moa_find(moa, &info.moa, &same));
        assert_int_equal(info.reserved, model[i].reserved);
        if (info.state == MAT_MOA_USED) {
            struct mat_moa_owner owner = owner_of(model[i].owner);

            n_used++;
            assert_true(model[i].owner >= 0);
            assert_memory_equal(&info.owner, &owner, sizeof owner);
            assert_int_equal(info.draining, !in_pool(i));
            assert_true(mat_moa_find_owner(moa, &owner, NULL, &same));
        } else if (info.state == MAT_MOA_QUARANTINED) {
            assert_true(info.until_us == model[i].rests_until_us);
        } else if (info.state != MAT_MOA_FREE
                   && info.state != MAT_MOA_CONFLICT) {
            assert_true(in_pool(i) && link_of(i) >= 0);
            assert_true(model[i].rests_until_us <= now_us);
        }
    }
    for (int i = 0; i < N_ADDRS; i++) {
        n_owned += model[i].owner >= 0;
    }
    assert_int_equal(n_used, n_owned);
}

/* The numbers add up, and no stock is larger than was asked for. */
static void
check_stocks(void)
{
    struct mat_moa_stock s;
    size_t cursor = 0;

    while (mat_moa_next_stock(moa, &cursor, &s)) {
        uint64_t sum = s.n_free + s.n_reserved + s.n[MAT_MOA_CONFLICT];
        uint64_t ready = s.n[MAT_MOA_PROBING] + s.n[MAT_MOA_PROBED]
                         + s.n[MAT_MOA_WARM];

        sum += ready + s.n[MAT_MOA_USED] + s.n[MAT_MOA_QUARANTINED];
        assert_true(sum >= s.n_total);
        assert_true(ready <= stock_config.stock);
        assert_true(!s.exhausted || (!s.n_free && !ready));
        assert_true(s.routed || !s.up || ready == stock_config.stock
                    || !s.n_free);
    }
}

static void
run_model(uint64_t seed)
{
    struct mat_rng rng = { seed };

    memset(model, 0, sizeof model);
    for (int i = 0; i < N_ADDRS; i++) {
        model[i].owner = model[i].last = -1;
    }
    stock_begin("", "", 2, 3);
    set_pool(0);
    stock_reconfigure();
    begun_us = now_us;
    n_frames = 0;
    for (int step = 0; step < STEPS; step++) {
        unsigned int what = mat_rng_below(&rng, 20);

        stock_clear();
        mat_moa_tick(moa, now_us);
        if (what < 8) {
            step_take(&rng);
        } else if (what < 13) {
            step_release(&rng);
        } else if (what < 14) {
            step_claim(&rng);
        } else if (what < 15) {
            step_reserve(&rng);
        } else if (what < 16) {
            step_configure(&rng);
        } else {
            step_time(&rng);
        }
        stock_drain();
        n_frames += stock_frames;
        assert_true(n_frames <= (now_us - begun_us) / S * 100 + 200);
        check_records();
        check_stocks();
    }
    stock_end();
}

static void
test_model(void **state)
{
    (void) state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        run_model(seed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
