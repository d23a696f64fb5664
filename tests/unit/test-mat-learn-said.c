/* SPDX-License-Identifier: Apache-2.0 */

/* What events of the switch say of their senders. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mat-learn.h"
#include "mat-nd.h"

static struct mat_addr
addr(const char *text)
{
    struct mat_addr a = { { 0 } };

    assert_true(!*text || mat_addr_parse(text, &a));
    return a;
}

static struct mat_event
event(enum mat_event_type type, const void *frame, size_t size,
      const char *hint)
{
    struct mat_event e = { .type = (uint16_t) type, .addr = addr(hint) };

    mat_event_set_frame(&e, frame, size);
    return e;
}

#define ARP_TO_ALL "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1"
#define ARP_FIXED "\0\1\x08\0\6\4\0"
#define SHA "\2\0\0\0\0\1"
#define NOBODY "\0\0\0\0\0\0"

static const struct frame_case {
    enum mat_event_type type;
    const char *frame;
    size_t size;
    const char *hint;
    int kind;                   /* -1: not decoded. */
    const char *hoa;
} frame_cases[] = {
#define FRAME(TYPE, BYTES, HINT, KIND, HOA) \
    { MAT_EVENT_##TYPE, BYTES, sizeof BYTES - 1, HINT, KIND, HOA },
    FRAME(RARP, ARP_TO_ALL "\x80\x35" ARP_FIXED "\3" SHA "\0\0\0\0" SHA
          "\0\0\0\0", "", MAT_LEARN_RARP, "")
    FRAME(GARP, ARP_TO_ALL "\x08\6" ARP_FIXED "\1" SHA "\x0a\0\0\5" NOBODY
          "\x0a\0\0\5", "10.0.0.5", MAT_LEARN_ANNOUNCE, "10.0.0.5")
    FRAME(ARP_PROBE, ARP_TO_ALL "\x08\6" ARP_FIXED "\1" SHA "\0\0\0\0" NOBODY
          "\x0a\0\0\5", "", MAT_LEARN_PROBE, "10.0.0.5")
    FRAME(ARP, ARP_TO_ALL "\x08\6" ARP_FIXED "\1" SHA "\x0a\0\0\5" NOBODY
          "\x0a\0\0\1", "", MAT_LEARN_SPEAK, "10.0.0.5")
    FRAME(ARP, ARP_TO_ALL "\x81\0\0\7\x08\6" ARP_FIXED "\2" SHA "\x0a\0\0\5"
          SHA "\x0a\0\0\1", "", MAT_LEARN_SPEAK, "10.0.0.5")
    FRAME(ARP, ARP_TO_ALL "\x08\6" ARP_FIXED "\1" "\2\0\0\0\0\2" "\x0a\0\0\5"
          NOBODY "\x0a\0\0\1", "", -1, "")      /* Another's MAC inside. */
    FRAME(ARP, ARP_TO_ALL "\x08\6" ARP_FIXED "\1" SHA "\x0a\0\0\5" NOBODY
          "\x0a\0\0", "", -1, "")               /* Cut off. */
    FRAME(ARP, "\xff\xff\xff\xff\xff\xff\3\0\0\0\0\1\x08\6" ARP_FIXED "\1"
          "\3\0\0\0\0\1" "\x0a\0\0\5" NOBODY "\x0a\0\0\1", "", -1, "")
    FRAME(ARP, ARP_TO_ALL, "", -1, "")
    FRAME(RS, ARP_TO_ALL "\x08\1", "", MAT_LEARN_PACKET, "")
    FRAME(PORT_LIVE, ARP_TO_ALL "\x08\1", "", -1, "")
    FRAME(MISS_HOA, ARP_TO_ALL "\x08\1", "", -1, "")
    FRAME(NEW_SOURCE, ARP_TO_ALL "\x08\0\x45\0\0\x14\0\0\0\0\x40\1\0\0"
          "\x0a\0\0\5\x0a\0\0\6", "", MAT_LEARN_PACKET, "10.0.0.5")
    FRAME(NEW_SOURCE, ARP_TO_ALL "\x08\0\x45\0\0\x14\0\0\0\0\x40\1\0\0"
          "\0\0\0\0\x0a\0\0\6", "", MAT_LEARN_PACKET, "")
    FRAME(NEW_SOURCE, ARP_TO_ALL "\x08\0\x45\0\0\x14\0\0\0\0\x40\1\0\0"
          "\x0a\0\0\5\x0a\0\0", "", -1, "")
#undef FRAME
};

static void
test_decode(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof frame_cases / sizeof *frame_cases; i++) {
        const struct frame_case *c = &frame_cases[i];
        struct mat_event e = event(c->type, c->frame, c->size, c->hint);
        struct mat_learn_said said;
        bool ok = mat_learn_decode(&e, &said);
        struct mat_addr hoa = addr(c->hoa);

        if (ok != (c->kind >= 0)
            || (ok && ((int) said.kind != c->kind
                       || !mat_addr_equal(&said.hoa, &hoa)
                       || said.has_hoa != (*c->hoa
                                           && c->kind != MAT_LEARN_PACKET)
                       || said.mac.ea[5] != 1))) {
            fail_msg("frame %d: %d", (int) i, ok ? (int) said.kind : -1);
        }
    }
}

/* An advertisement or solicitation is longer than the head: the event says
 * the rest, but must not contradict what is there. */
static void
test_decode_nd(void **state)
{
    uint8_t frame[86] = "\x33\x33\0\0\0\1\2\0\0\0\0\1\x86\xdd\x60";
    struct mat_addr hoa = addr("2001:db8::5"), other = addr("2001:dead::5");
    struct mat_learn_said said;
    struct mat_event e;

    (void) state;
    frame[19] = 32;
    frame[20] = 58;
    frame[21] = 255;
    memcpy(frame + 22, &hoa, 16);
    frame[54] = MAT_ND_NA;
    memcpy(frame + 62, &hoa, 16);
    e = event(MAT_EVENT_NA, frame, sizeof frame, "2001:db8::5");
    assert_true(mat_learn_decode(&e, &said));
    assert_int_equal(said.kind, MAT_LEARN_ANNOUNCE);
    assert_memory_equal(&said.hoa, &hoa, sizeof hoa);
    e.addr = other;
    assert_false(mat_learn_decode(&e, &said));

    frame[54] = MAT_ND_NS;
    e = event(MAT_EVENT_NS, frame, sizeof frame, "2001:db8::5");
    assert_true(mat_learn_decode(&e, &said));
    assert_int_equal(said.kind, MAT_LEARN_SPEAK);
    memset(frame + 22, 0, 16);
    e = event(MAT_EVENT_DAD, frame, sizeof frame, "2001:db8::5");
    assert_true(mat_learn_decode(&e, &said));
    assert_int_equal(said.kind, MAT_LEARN_PROBE);
    assert_memory_equal(&said.hoa, &hoa, sizeof hoa);
    for (uint16_t size = 0; size <= MAT_EVENT_HEAD_SIZE; size++) {
        struct mat_event *cut = malloc(sizeof *cut);

        *cut = e;
        memset(cut->head + size, 0xee, sizeof cut->head - size);
        cut->head_size = size;
        mat_learn_decode(cut, &said);
        free(cut);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_nd)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
