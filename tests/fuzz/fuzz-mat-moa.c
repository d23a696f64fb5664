/* SPDX-License-Identifier: Apache-2.0 */

/* A pool as text up to the first NUL, then what happens: frames heard, MoAs
 * taken and released, time.
 *
 * A text is refused with a sentence, or means what it says when it is printed;
 * whatever is heard, no MoA belongs to two, and time goes on. */

#include <stdlib.h>
#include <string.h>

#include "mat-moa.h"
#include "mat-neighbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

enum { TEXT_MAX = 4000, STEPS_MAX = 500 };

/* What is left of the input. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t
get_byte(struct input *in)
{
    if (!in->size) {
        return 0;
    }
    in->size--;
    return *in->data++;
}

static void
check_text(const struct mat_moa_items *items, bool v6)
{
    char text[MAT_MOA_TEXT_MAX], error[MAT_MOA_TEXT_MAX];

    for (size_t i = 0; i < items->n; i++) {
        struct mat_moa_items again;

        mat_moa_item_format(&items->items[i], text);
        CHECK(mat_moa_parse(text, v6, &again, error));
        CHECK(again.n == 1);
        CHECK(mat_addr_equal(&again.items[0].first, &items->items[i].first));
        CHECK(mat_addr_equal(&again.items[0].last, &items->items[i].last));
        CHECK(again.items[0].kind == items->items[i].kind);
        CHECK(!strcmp(again.items[0].uplink, items->items[i].uplink));
    }
}

static bool
parse(const char *text, struct mat_moa_config *config)
{
    char error[MAT_MOA_TEXT_MAX];
    bool any = false;

    for (int v6 = 0; v6 < 2; v6++) {
        if (mat_moa_parse(text, v6, &config->pools[v6], error)) {
            check_text(&config->pools[v6], v6);
            any = true;
        } else {
            CHECK(error[0] && memchr(error, '\0', sizeof error));
            config->pools[v6].n = 0;
        }
    }
    return any;
}

static void
add_uplink(struct mat_moa_config *config)
{
    struct mat_moa_uplink *u = &config->uplinks[config->n_uplinks++];
    unsigned int plen;

    memcpy(u->name, "eth0", 5);
    u->up = true;
    u->mac.ea[0] = 2;
    u->n_subnets = 2;
    mat_prefix_parse("10.0.0.1/24", &u->subnets[0].addr, &plen);
    u->subnets[0].plen = (uint8_t) plen;
    mat_prefix_parse("2001:db8::1/64", &u->subnets[1].addr, &plen);
    u->subnets[1].plen = (uint8_t) plen;
    u->n_routers[0] = u->n_routers[1] = 1;
    mat_addr_parse("10.0.0.254", &u->routers[0][0]);
    mat_addr_parse("fe80::fe", &u->routers[1][0]);
    u->n_advertised = 1;
    u->advertised[0] = u->subnets[1];
}

/* A HoA of one of 16 owners. */
static struct mat_moa_owner
get_owner(struct input *in)
{
    struct mat_moa_owner owner = { 0, { { 0 } } };
    uint8_t b = get_byte(in);

    mat_addr_parse(b & 16 ? "2001:db8:9::1" : b & 32 ? "10.0.0.16"
                   : "10.9.0.16", &owner.hoa);
    owner.hoa.b[15] = (uint8_t) (owner.hoa.b[15] + (b & 15));
    return owner;
}

static void
hear(struct mat_moa *m, int64_t now_us, struct input *in, bool event)
{
    size_t size = get_byte(in);
    uint8_t *frame;

    size = size < in->size ? size : in->size;
    frame = malloc(size ? size : 1);
    CHECK(frame);
    memcpy(frame, in->data, size);
    if (event) {
        struct mat_event e = { .type = MAT_EVENT_CONFLICT };

        mat_event_set_frame(&e, frame, size);
        mat_moa_hear_event(m, now_us, &e);
    } else {
        mat_moa_hear(m, now_us, frame, size);
    }
    free(frame);
    in->data += size;
    in->size -= size;
}

static void
drain(struct mat_moa *m)
{
    struct mat_moa_output out;

    while (mat_moa_next(m, &out)) {
        CHECK(out.kind == MAT_MOA_OUT_FRAME
              ? out.size >= 42 && out.size <= MAT_NEIGHBOR_FRAME_MAX
              : out.text[0] != '\0');
    }
}

static void
step(struct mat_moa *m, int64_t *now_us, struct input *in)
{
    struct mat_moa_info info, found;
    struct mat_moa_want want = { .uplink = NULL };
    uint8_t what = get_byte(in);

    switch (what % 6) {
    case 0:
        hear(m, *now_us, in, false);
        break;
    case 1:
        hear(m, *now_us, in, true);
        break;
    case 2:
        want.owner = get_owner(in);
        want.home = what & 64;
        if (mat_moa_take(m, *now_us, &want, &info) == MAT_MOA_OK) {
            CHECK(mat_moa_find(m, &info.moa, &found));
            CHECK(found.state == MAT_MOA_USED);
            CHECK(mat_addr_equal(&found.owner.hoa, &want.owner.hoa));
        }
        break;
    case 3:
        want.owner = get_owner(in);
        if (mat_moa_find_owner(m, &want.owner, NULL, &info)) {
            CHECK(mat_moa_release(m, *now_us, &info.moa));
        }
        break;
    case 4:
        want.owner = get_owner(in);
        mat_moa_reserve(m, *now_us, &want.owner.hoa, what & 64);
        break;
    default:
        *now_us += (int64_t) get_byte(in) << (what / 8);
        break;
    }
    mat_moa_tick(m, *now_us);
    drain(m);
    CHECK(mat_moa_deadline_us(m) > *now_us);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\0', size);
    size_t n = end ? (size_t) (end - data) : size;
    struct input in = { data + n, size - n };
    static struct mat_moa_config config;
    char text[TEXT_MAX], error[MAT_MOA_TEXT_MAX];
    int64_t now_us = 1;
    struct mat_moa *m;

    if (n >= sizeof text) {
        return 0;
    }
    memcpy(text, data, n);
    text[n] = '\0';
    mat_moa_config_default(&config);
    if (!parse(text, &config)) {
        return 0;
    }
    add_uplink(&config);
    mat_moa_check(&config, error);
    m = mat_moa_create(&config, n, now_us);
    get_byte(&in);
    for (int i = 0; i < STEPS_MAX && in.size; i++) {
        step(m, &now_us, &in);
    }
    mat_moa_destroy(m);
    return 0;
}
