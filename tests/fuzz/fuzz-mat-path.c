/* SPDX-License-Identifier: Apache-2.0 */
/* A measurement whose answers, times and message are the input.  It ends, and
 * sends no more than its bound, whatever is answered. */
#include <stdlib.h>

#include "mat-path.h"
#include "mat-wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(CONDITION) ((CONDITION) ? (void) 0 : abort())

/* Four bytes each: which probe is answered, its size, later by how much. */
static void
measure(struct mat_reader *r)
{
    struct mat_path_config config = {
        .here = { .port = 1 }, .there = { .port = 2 },
        .mtu = mat_get_u16(r)
    };
    struct mat_path_send send;
    struct mat_path p;
    int64_t now = 0;

    config.here.addr.b[0] = config.there.addr.b[0] = 0x20;
    config.own_moa.b[0] = mat_get_u8(r);
    config.foreign_moa.b[0] = mat_get_u8(r);
    mat_path_start(&p, &config, now);
    while (!mat_path_is_done(&p)) {
        uint32_t what = mat_get_u8(r);
        struct mat_path_message m = {
            .number = what & 0x7f,
            .size = (uint16_t) (what & 0x80 ? 100 : mat_get_u16(r))
        };

        while (mat_path_next(&p, now, &send)) {
            CHECK(send.number < MAT_PATH_PROBES_MAX);
            CHECK(send.size <= config.mtu || send.size == 108);
        }
        if (!r->bad) {
            mat_path_answered(&p, now, &m);
            now += mat_get_u8(r);
        } else if (!mat_path_is_done(&p)) {
            now = mat_path_deadline_us(&p);
        }
        CHECK(p.n_probes <= MAT_PATH_PROBES_MAX);
    }
    CHECK(p.result.mtu <= config.mtu);
    CHECK(p.result.n_answered <= p.result.n_sent);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mat_reader r = { .bytes = data, .left = size };
    struct mat_path_message m;

    if (mat_path_decode(data, size, &m)) {
        CHECK(size >= MAT_PATH_MESSAGE_SIZE);
    }
    measure(&r);
    return 0;
}
