/* SPDX-License-Identifier: Apache-2.0 */

/* Events of guests that may be anything: decoded from memory that ends where
 * they do, and heard on four ports, with ports that come and go between. */

#include <stdlib.h>
#include <string.h>

#include "mat-learn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

enum { HOAS_MAX = 3, MACS_MAX = 2 };

static const char *const names[] = { "a", "b", "c", "d" };

static void
put_port(struct mat_learn *l, int64_t now_us, uint8_t how)
{
    struct mat_learn_port port = {
        .zone = how >> 7, .live = how & 4, .learns = how & 8,
        .hoas_max = HOAS_MAX, .macs_max = MACS_MAX
    };

    memcpy(port.name, names[how & 3], 2);
    if (how & 16) {
        port.n_macs = 1;
        port.macs[0] = (struct mat_mac) { { 2, 0, 0, 0, 0, how & 3 } };
    }
    if (how & 32) {
        port.n_hoas = 1;
        mat_addr_parse("10.0.0.5", &port.hoas[0]);
    }
    CHECK(mat_learn_put_port(l, now_us, &port));
}

/* A decoded event makes sense whatever the frame was. */
static bool
decode(const uint8_t *data, size_t size, uint8_t type,
       struct mat_learn_said *said)
{
    struct mat_event event = { .type = type % (MAT_N_EVENTS + 1u) };

    mat_event_set_frame(&event, data, size);
    memset(event.head + event.head_size, 0xaa,
           sizeof event.head - event.head_size);
    if (!mat_learn_decode(&event, said)) {
        return false;
    }
    CHECK(!mat_mac_is_zero(&said->mac) && !mat_mac_is_multicast(&said->mac));
    CHECK(!said->has_hoa || mat_addr_is_host(&said->hoa));
    return true;
}

static void
check_bindings(const struct mat_learn *l)
{
    for (size_t i = 0; i < 4; i++) {
        struct mat_learn_binding b, found;
        size_t n;

        for (n = 0; mat_learn_get(l, names[i], n, &b); n++) {
            CHECK(mat_learn_find(l, b.zone, &b.hoa, &found));
            CHECK(!strcmp(found.port, names[i]));
            CHECK(mat_learn_find_mac(l, b.zone, &b.mac));
        }
        CHECK(n <= HOAS_MAX);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mat_learn *l = mat_learn_create(1, 1000000);
    struct mat_learn_change change;
    struct mat_learn_said said;
    int64_t now_us = 1;

    for (uint8_t i = 0; i < 4; i++) {
        put_port(l, now_us, i | 12);
    }
    while (size >= 3) {
        uint8_t what = data[0], type = data[1], n = data[2];

        data += 3;
        size -= 3;
        n = n < size ? n : (uint8_t) size;
        now_us += what & 64 ? 1200000 : 1000;
        if ((what & 60) == 60) {
            put_port(l, now_us, type);
        } else if ((what & 60) == 56) {
            mat_learn_remove_port(l, now_us, names[what & 3]);
        } else if (decode(data, n, type, &said)) {
            mat_learn_hear(l, now_us, names[what & 3], &said);
        }
        mat_learn_tick(l, now_us);
        while (mat_learn_next(l, &change)) {
            CHECK(change.frame_size <= sizeof change.frame);
        }
        check_bindings(l);
        data += n;
        size -= n;
    }
    mat_learn_destroy(l);
    return 0;
}
