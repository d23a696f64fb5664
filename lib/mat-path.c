/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-path.h"

#include "mat-channel.h"
#include "mat-frame.h"
#include "mat-mem.h"
#include "mat-rng.h"

enum {
    ETH_LEN = 14,
    UDP_LEN = 8,
    SIGNED_SIZE = MAT_PATH_MESSAGE_SIZE - MAT_TAG_SIZE,
    TTL = 64,
    RTT_GAP_US = 50000,         /* Between plain probes. */
    FIRST_TIMEOUT_US = 1000000, /* For them, as nothing is known yet. */
    TIMEOUT_MIN_US = 50000      /* The other host may be busy. */
};

/* Messages. */

/* Like the key of the channel between the two hosts, but of no start of
 * theirs: a probe that is replayed does no harm. */
bool
mat_path_key(const struct mat_crypto *crypto,
             const uint8_t public_key[MAT_PUBLIC_KEY_SIZE], uint16_t label,
             uint64_t a, uint64_t b, uint8_t key[MAT_SECRET_SIZE])
{
    uint64_t low = a < b ? a : b, high = a < b ? b : a;

    return mat_channel_key(crypto, public_key, label,
                           mat_mix64(low ^ UINT64_C(0x70617468206c6f77)),
                           mat_mix64(high ^ UINT64_C(0x7061746820686967)),
                           key);
}

/* BLAKE2b, which the hash is, may be keyed by a prefix. */
static void
make_tag(const struct mat_crypto *crypto, const uint8_t key[MAT_SECRET_SIZE],
         const uint8_t *bytes, uint8_t tag[MAT_TAG_SIZE])
{
    uint8_t input[MAT_SECRET_SIZE + SIGNED_SIZE], digest[MAT_DIGEST_SIZE];

    memcpy(input, key, MAT_SECRET_SIZE);
    memcpy(input + MAT_SECRET_SIZE, bytes, SIGNED_SIZE);
    crypto->hash(crypto->aux, digest, input, sizeof input);
    memcpy(tag, digest, MAT_TAG_SIZE);
}

void
mat_path_encode(const struct mat_path_message *m,
                const struct mat_crypto *crypto,
                const uint8_t key[MAT_SECRET_SIZE],
                uint8_t bytes[MAT_PATH_MESSAGE_SIZE])
{
    struct mat_writer w = { .bytes = bytes, .max = MAT_PATH_MESSAGE_SIZE };

    mat_put_u8(&w, MAT_PATH_MAGIC);
    mat_put_u8(&w, (uint8_t) m->kind);
    mat_put_u16(&w, m->label);
    mat_put_u64(&w, m->sender);
    mat_put_u64(&w, m->session);
    mat_put_u32(&w, m->number);
    mat_put_u16(&w, m->source.port);
    mat_put_u16(&w, m->size);
    mat_put_bytes(&w, m->source.addr.b, sizeof m->source.addr.b);
    MAT_ASSERT(w.n == SIGNED_SIZE);
    make_tag(crypto, key, bytes, bytes + SIGNED_SIZE);
}

bool
mat_path_decode(const uint8_t *bytes, size_t size,
                struct mat_path_message *m)
{
    struct mat_reader r = { .bytes = bytes, .left = size };
    const uint8_t *addr;
    uint8_t magic, kind;

    if (size < MAT_PATH_MESSAGE_SIZE) {
        return false;
    }
    magic = mat_get_u8(&r);
    kind = mat_get_u8(&r);
    m->kind = kind;
    m->label = mat_get_u16(&r);
    m->sender = mat_get_u64(&r);
    m->session = mat_get_u64(&r);
    m->number = mat_get_u32(&r);
    m->source.port = mat_get_u16(&r);
    m->size = mat_get_u16(&r);
    addr = mat_get_bytes(&r, sizeof m->source.addr.b);
    memcpy(m->source.addr.b, addr, sizeof m->source.addr.b);
    return (magic == MAT_PATH_MAGIC
            && kind >= MAT_PATH_PROBE && kind <= MAT_PATH_KNOWS);
}

bool
mat_path_verify(const uint8_t *bytes, size_t size,
                const struct mat_crypto *crypto,
                const uint8_t key[MAT_SECRET_SIZE])
{
    uint8_t tag[MAT_TAG_SIZE], differences = 0;

    if (size < MAT_PATH_MESSAGE_SIZE) {
        return false;
    }
    make_tag(crypto, key, bytes, tag);
    for (int i = 0; i < MAT_TAG_SIZE; i++) {
        differences |= tag[i] ^ bytes[SIGNED_SIZE + i];
    }
    return !differences;
}

static size_t
header_size(const struct mat_addr *addr)
{
    return UDP_LEN + (size_t) (mat_addr_is_v4(addr) ? MAT_IPV4_LEN
                               : MAT_IPV6_LEN);
}

size_t
mat_path_ip_size(const struct mat_addr *addr, size_t size)
{
    return header_size(addr) + size;
}

size_t
mat_path_frame(const struct mat_mac *src, const struct mat_mac *dst,
               const struct mat_endpoint *from,
               const struct mat_endpoint *to, uint16_t ip_size,
               const uint8_t message[MAT_PATH_MESSAGE_SIZE],
               uint8_t *frame, size_t cap)
{
    size_t headers = header_size(&from->addr), size = ETH_LEN + ip_size;
    uint8_t *ip = frame + ETH_LEN, *udp = ip + headers - UDP_LEN;
    bool is_v4 = mat_addr_is_v4(&from->addr);

    if (size > cap || ip_size < headers + MAT_PATH_MESSAGE_SIZE
        || is_v4 != mat_addr_is_v4(&to->addr)) {
        return 0;
    }
    memset(frame, 0, size);
    memcpy(frame, dst->ea, sizeof dst->ea);
    memcpy(frame + 6, src->ea, sizeof src->ea);
    mat_put_be16(frame + 12, is_v4 ? 0x0800 : 0x86dd);
    mat_put_be16(udp, from->port);
    mat_put_be16(udp + 2, to->port);
    mat_put_be16(udp + 4, (uint16_t) (ip_size - (headers - UDP_LEN)));
    memcpy(udp + UDP_LEN, message, MAT_PATH_MESSAGE_SIZE);
    mat_frame_ip(ip, &from->addr, &to->addr, MAT_PROTO_UDP, TTL, ip_size);
    mat_frame_csum(ip, ip_size);
    return size;
}

/* The measurement. */

static uint16_t
plain_size(const struct mat_path *p)
{
    return (uint16_t) mat_path_ip_size(&p->config.there.addr,
                                       MAT_PATH_MESSAGE_SIZE);
}

static uint16_t
size_min(const struct mat_path *p)
{
    return mat_addr_is_v4(&p->config.there.addr) ? MAT_PATH_MTU_MIN_V4
           : MAT_PATH_MTU_MIN_V6;
}

void
mat_path_start(struct mat_path *p, const struct mat_path_config *config,
               int64_t now_us)
{
    *p = (struct mat_path) {
        .config = *config, .test = MAT_PATH_PLAIN, .next_us = now_us,
        .timeout_us = FIRST_TIMEOUT_US,
        .result = { .rtt_min_us = -1, .rtt_avg_us = -1, .rtt_max_us = -1 }
    };
    p->result.tests[MAT_PATH_PLAIN] = MAT_PATH_TESTING;
}

static bool
can_test(const struct mat_path *p, enum mat_path_test test)
{
    switch (test) {
    case MAT_PATH_OWN:
        return !mat_addr_is_zero(&p->config.own_moa);
    case MAT_PATH_FOREIGN:
        return !mat_addr_is_zero(&p->config.foreign_moa);
    case MAT_PATH_MTU:
        return p->config.mtu >= size_min(p);
    case MAT_PATH_PLAIN:
    case MAT_PATH_N_TESTS:
    default:
        return false;
    }
}

/* The address that probes of the test come from. */
static struct mat_endpoint
source_of(const struct mat_path *p, enum mat_path_test test)
{
    struct mat_endpoint from = p->config.here;

    if (test == MAT_PATH_OWN
        || (test == MAT_PATH_MTU
            && p->result.tests[MAT_PATH_OWN] == MAT_PATH_CARRIED)) {
        from.addr = p->config.own_moa;
    } else if (test == MAT_PATH_FOREIGN) {
        from.addr = p->config.foreign_moa;
    }
    return from;
}

static void
begin_step(struct mat_path *p, int64_t now_us, uint16_t size)
{
    p->size = size;
    p->n_tries = p->n_answers = 0;
    p->next_us = now_us;
}

static void
begin_next_test(struct mat_path *p, int64_t now_us)
{
    do {
        p->test++;
    } while (p->test < MAT_PATH_N_TESTS && !can_test(p, p->test));
    if (p->test == MAT_PATH_N_TESTS) {
        p->is_done = true;
        return;
    }
    p->result.tests[p->test] = MAT_PATH_TESTING;
    p->good_size = 0;
    p->bad_size = (uint16_t) (p->config.mtu + 1);
    begin_step(p, now_us, p->test == MAT_PATH_MTU ? p->config.mtu
               : plain_size(p));
}

/* The whole size first, which is the answer nearly always; then the least;
 * then halves. */
static void
conclude_size(struct mat_path *p, int64_t now_us)
{
    if (p->n_answers) {
        p->good_size = p->result.mtu = p->size;
    } else {
        p->bad_size = p->size;
    }
    if (p->bad_size <= size_min(p) || p->bad_size - p->good_size <= 1) {
        p->result.tests[MAT_PATH_MTU] = p->good_size == p->config.mtu
                                        ? MAT_PATH_CARRIED
                                        : MAT_PATH_DROPPED;
        begin_next_test(p, now_us);
    } else {
        unsigned int middle = (0U + p->good_size + p->bad_size) / 2;

        begin_step(p, now_us, p->good_size ? (uint16_t) middle
                   : size_min(p));
    }
}

static void
conclude_plain(struct mat_path *p, int64_t now_us)
{
    if (!p->n_answers) {
        p->result.tests[MAT_PATH_PLAIN] = MAT_PATH_DROPPED;
        p->is_done = true;
        return;
    }
    p->result.tests[MAT_PATH_PLAIN] = MAT_PATH_CARRIED;
    p->timeout_us = 4 * p->result.rtt_max_us + TIMEOUT_MIN_US;
    if (p->timeout_us > FIRST_TIMEOUT_US) {
        p->timeout_us = FIRST_TIMEOUT_US;
    }
    begin_next_test(p, now_us);
}

static void
conclude(struct mat_path *p, int64_t now_us)
{
    if (p->test == MAT_PATH_PLAIN) {
        conclude_plain(p, now_us);
    } else if (p->test == MAT_PATH_MTU) {
        conclude_size(p, now_us);
    } else {
        p->result.tests[p->test] = p->n_answers ? MAT_PATH_CARRIED
                                   : MAT_PATH_DROPPED;
        begin_next_test(p, now_us);
    }
}

static bool
may_send(const struct mat_path *p)
{
    uint32_t tries = p->test == MAT_PATH_PLAIN ? MAT_PATH_RTTS
                     : p->test == MAT_PATH_MTU ? MAT_PATH_SIZE_TRIES
                     : MAT_PATH_TRIES;

    return (p->n_tries < tries && p->n_probes < MAT_PATH_PROBES_MAX
            && (p->test == MAT_PATH_PLAIN || !p->n_answers));
}

static void
send_probe(struct mat_path *p, int64_t now_us, struct mat_path_send *send)
{
    bool is_plain = p->test == MAT_PATH_PLAIN;

    *send = (struct mat_path_send) {
        .number = p->n_probes, .test = p->test, .by_socket = is_plain,
        .from = source_of(p, p->test), .to = p->config.there,
        .size = is_plain ? plain_size(p) : p->size
    };
    p->probes[p->n_probes].sent_us = now_us;
    p->probes[p->n_probes].test = p->test;
    p->probes[p->n_probes].from = send->from;
    p->probes[p->n_probes].size = send->size;
    p->n_probes++;
    p->n_tries++;
    p->result.n_sent++;
    p->next_us = now_us + (is_plain && p->n_tries < MAT_PATH_RTTS
                           ? RTT_GAP_US : p->timeout_us);
}

bool
mat_path_next(struct mat_path *p, int64_t now_us, struct mat_path_send *send)
{
    while (!p->is_done && now_us >= p->next_us) {
        if (may_send(p)) {
            send_probe(p, now_us, send);
            return true;
        }
        conclude(p, now_us);
    }
    return false;
}

static void
take_rtt(struct mat_path *p, int64_t rtt_us)
{
    struct mat_path_result *r = &p->result;

    if (p->n_answers == 1) {
        r->rtt_min_us = r->rtt_max_us = rtt_us;
    }
    r->rtt_min_us = rtt_us < r->rtt_min_us ? rtt_us : r->rtt_min_us;
    r->rtt_max_us = rtt_us > r->rtt_max_us ? rtt_us : r->rtt_max_us;
    p->rtt_sum_us += rtt_us;
    r->rtt_avg_us = p->rtt_sum_us / p->n_answers;
}

void
mat_path_answered(struct mat_path *p, int64_t now_us,
                  const struct mat_path_message *m)
{
    uint32_t i = m->number;

    if (p->is_done || i >= p->n_probes || p->probes[i].is_answered
        || m->size != p->probes[i].size) {
        return;
    }
    p->probes[i].is_answered = true;
    p->result.n_answered++;
    if (!p->result.is_translated
        && !mat_endpoint_equal(&m->source, &p->probes[i].from)) {
        p->result.is_translated = true;
        p->result.sent_as = p->probes[i].from;
        p->result.seen_as = m->source;
    }
    if (p->probes[i].test != p->test
        || (p->test == MAT_PATH_MTU && p->probes[i].size != p->size)) {
        return;
    }
    p->n_answers++;
    if (p->test == MAT_PATH_PLAIN) {
        take_rtt(p, now_us - p->probes[i].sent_us);
    }
    if (!may_send(p) && (p->test != MAT_PATH_PLAIN
                         || p->n_answers == MAT_PATH_RTTS)) {
        p->next_us = now_us;
    }
}

bool
mat_path_is_done(const struct mat_path *p)
{
    return p->is_done;
}

int64_t
mat_path_deadline_us(const struct mat_path *p)
{
    return p->is_done ? INT64_MAX : p->next_us;
}

const struct mat_path_result *
mat_path_result(const struct mat_path *p)
{
    return &p->result;
}

const char *
mat_path_test_name(enum mat_path_test test)
{
    static const char *const names[] = { "plain", "own", "foreign", "mtu" };

    return test < MAT_PATH_N_TESTS ? names[test] : "?";
}

const char *
mat_path_state_name(enum mat_path_state state)
{
    static const char *const names[] = {
        "untested", "testing", "carried", "dropped"
    };

    return state <= MAT_PATH_DROPPED ? names[state] : "?";
}
