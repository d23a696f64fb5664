/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct writer {
    const struct frame_spec *spec;
    uint8_t *ip;                /* Where the IP header begins. */
    uint32_t size;              /* Of the packet so far. */
    uint32_t l4_ofs;            /* From 'ip', 0 for none. */
    uint32_t headers_end;
    uint32_t l4_csum_ofs;       /* From 'ip', 0 for none. */
    uint8_t final_dst[16];      /* In the pseudo header. */
};

static void compose_ip(const struct frame_spec *, uint8_t *ip,
                       struct writer *);
static void put_ipv4(struct writer *);
static void put_ipv6(struct writer *);
static void put_ext(struct writer *, enum frame_ext, uint8_t *next);
static void put_l4(struct writer *);
static void put_payload(struct writer *);
static void put_l4_csum(struct writer *);

static void
put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}

void
frame_compose(const struct frame_spec *spec, struct frame *f)
{
    static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa };
    struct writer w;
    uint32_t ofs = 12;

    memset(f->data, 0, 128);
    memcpy(f->data, macs, sizeof macs);
    for (int i = 0; i < spec->n_vlans; i++) {
        put16(f->data + ofs, i + 1 < spec->n_vlans ? 0x88a8 : 0x8100);
        put16(f->data + ofs + 2, 0x2000u + 100 + (uint32_t) i);
        ofs += 4;
    }
    put16(f->data + ofs, spec->v6 ? 0x86dd : 0x0800);
    ofs += 2;

    compose_ip(spec, f->data + ofs, &w);
    f->l3_ofs = (uint16_t) ofs;
    f->l4_ofs = (uint16_t) (w.l4_ofs ? ofs + w.l4_ofs : FRAME_NONE);
    f->headers_end = ofs + w.headers_end;
    f->end = f->size = ofs + w.size;
    f->l3_csum_ofs = (uint16_t) (spec->v6 ? FRAME_NONE : ofs + 10);
    f->l4_csum_ofs = (uint16_t) (w.l4_csum_ofs ? ofs + w.l4_csum_ofs
                                 : FRAME_NONE);
}

static void
compose_ip(const struct frame_spec *spec, uint8_t *ip, struct writer *w)
{
    *w = (struct writer) { .spec = spec, .ip = ip };
    if (spec->v6) {
        put_ipv6(w);
    } else {
        put_ipv4(w);
    }
}

uint32_t
frame_l4_len(uint8_t proto, bool v6)
{
    switch (proto) {
    case 6:
        return 20;
    case 33: case 132:
        return 12;
    case 17: case 136:
        return 8;
    case 1:
        return v6 ? 0 : 8;
    case 58: case 135:
        return v6 ? 8 : 0;
    default:
        return 0;
    }
}

uint16_t
frame_sum(uint32_t sum, const void *data_, size_t size)
{
    const uint8_t *data = data_;

    while (sum > 0xffff) {
        sum -= 0xffff;
    }
    for (size_t i = 0; i < size; i++) {
        sum += i & 1 ? data[i] : data[i] * 256u;
        if (sum > 0xffff) {
            sum -= 0xffff;
        }
    }
    return (uint16_t) sum;
}

bool
frame_is_right(const uint8_t *data, size_t size)
{
    size_t ofs = 14;
    uint32_t sum, l4_size;
    const uint8_t *ip;
    bool v6;

    while (ofs <= 18 && (data[ofs - 2] == 0x81 || data[ofs - 2] == 0x88)) {
        ofs += 4;
    }
    ip = data + ofs;
    v6 = data[ofs - 2] == 0x86;
    if (v6 ? ip[0] >> 4 != 6 || size != ofs + 40u + ip[4] * 256u + ip[5]
        : ip[0] != 0x45 || size != ofs + ip[2] * 256u + ip[3]
          || frame_sum(0, ip, 20) != 0xffff) {
        return false;
    }
    l4_size = (uint32_t) (size - ofs) - (v6 ? 40 : 20);
    if (v6) {
        sum = frame_sum(ip[6] + l4_size, ip + 8, 32);
    } else {
        sum = ip[9] == 1 ? 0 : frame_sum(ip[9] + l4_size, ip + 12, 8);
    }
    return frame_sum(sum, ip + (v6 ? 40 : 20), l4_size) == 0xffff;
}

uint8_t *
guarded(size_t size)
{
    static uint8_t *end;

    if (!end) {
        size_t page = (size_t) sysconf(_SC_PAGESIZE);
        size_t room = (FRAME_SIZE_MAX + page - 1) / page * page;
        uint8_t *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE)) {
            abort();
        }
        end = p + room;
    }
    return end - size;
}

uint8_t *
guarded_copy(const void *data, size_t size)
{
    return memcpy(guarded(size), data, size);
}

/* xorshift64*. */
uint64_t
random64(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

uint32_t
random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t) ((random64(state) >> 32) * n >> 32);
}

void
random_bytes(uint64_t *state, void *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *) p)[i] = (uint8_t) (random64(state) >> 56);
    }
}

static void
put_ipv4(struct writer *w)
{
    const struct frame_spec *s = w->spec;
    uint32_t header_len = 20u + s->options_len + (s->route_pending ? 12 : 0);
    uint8_t *ip = w->ip;
    uint8_t *next = ip + 9;
    uint32_t sum;

    memset(ip, 0, header_len);
    ip[0] = (uint8_t) (0x40 | header_len / 4);
    put16(ip + 4, s->seed);
    put16(ip + 6, s->frag);
    ip[8] = s->ttl;
    memcpy(ip + 12, s->addrs.src, 4);
    memcpy(ip + 16, s->addrs.dst, 4);
    memcpy(w->final_dst, s->addrs.dst, 4);
    memset(ip + 20, 1, header_len - 20);
    if (s->route_pending) {
        static const uint8_t lsrr[7] = { 131, 7, 4, 192, 0, 2, 77 };

        memcpy(ip + 20 + s->options_len, lsrr, sizeof lsrr);
        memcpy(w->final_dst, lsrr + 3, 4);
    }
    w->size = header_len;
    *next = s->proto;
    if (!(s->frag & 0x1fff)) {
        for (int i = 0; i < s->n_ext; i++) {
            put_ext(w, s->ext[i], next);
            next = ip + w->size - 12;
        }
    }
    *next = s->proto;
    w->headers_end = w->size;
    if (s->frag & 0x1fff) {
        put_payload(w);
    } else {
        put_l4(w);
    }
    put16(ip + 2, w->size);
    sum = frame_sum(0, ip, header_len);
    put16(ip + 10, frame_sum((uint16_t) ~sum + (uint32_t) s->l3_error,
                             NULL, 0));
    if (w->l4_csum_ofs) {
        put_l4_csum(w);
    }
}

static void
put_ipv6(struct writer *w)
{
    const struct frame_spec *s = w->spec;
    bool later = false;
    uint8_t *ip = w->ip;
    uint8_t *next = ip + 6;

    memset(ip, 0, 40);
    ip[0] = 0x60;
    put16(ip + 2, s->seed);
    ip[7] = s->ttl;
    memcpy(ip + 8, s->addrs.src, 16);
    memcpy(ip + 24, s->addrs.dst, 16);
    memcpy(w->final_dst, s->addrs.dst, 16);
    w->size = 40;
    for (int i = 0; i < s->n_ext && !later; i++) {
        uint8_t *ext = ip + w->size;

        put_ext(w, s->ext[i], next);
        next = ext;
        later = s->ext[i] == FRAME_FRAG_LATER;
    }
    *next = s->proto;
    w->headers_end = w->size;
    if (later) {
        put_payload(w);
    } else {
        put_l4(w);
    }
    put16(ip + 4, w->size - 40);
    if (w->l4_csum_ofs) {
        put_l4_csum(w);
    }
}

/* Appends an extension header.  '*next' is the field that announces it. */
static void
put_ext(struct writer *w, enum frame_ext ext, uint8_t *next)
{
    static const uint8_t types[FRAME_N_EXT] = {
        [FRAME_HOP_BY_HOP] = 0, [FRAME_DEST_OPTS] = 60,
        [FRAME_ROUTE_DONE] = 43, [FRAME_ROUTE_PENDING] = 43,
        [FRAME_FRAG_ATOMIC] = 44, [FRAME_FRAG_FIRST] = 44,
        [FRAME_FRAG_LATER] = 44, [FRAME_AH] = 51
    };
    uint8_t *b = w->ip + w->size;

    *next = types[ext];
    memset(b, 0, 24);
    switch (ext) {
    case FRAME_HOP_BY_HOP:
    case FRAME_DEST_OPTS:
        b[2] = 1;               /* PadN of 4 bytes. */
        b[3] = 4;
        w->size += 8;
        break;
    case FRAME_ROUTE_DONE:
    case FRAME_ROUTE_PENDING:
        b[1] = 2;
        b[2] = 2;               /* Type 2, of Mobile IPv6. */
        b[3] = ext == FRAME_ROUTE_PENDING;
        b[8] = 0x20;
        b[9] = 0x01;
        b[23] = 0x77;
        if (b[3]) {
            memcpy(w->final_dst, b + 8, 16);
        }
        w->size += 24;
        break;
    case FRAME_FRAG_ATOMIC:
    case FRAME_FRAG_FIRST:
    case FRAME_FRAG_LATER:
        put16(b + 2, ext == FRAME_FRAG_FIRST ? 1
              : ext == FRAME_FRAG_LATER ? 1400 : 0);
        put16(b + 6, 4711);
        w->size += 8;
        break;
    case FRAME_AH:
        b[1] = 1;               /* No check value at all. */
        w->size += 12;
        break;
    case FRAME_N_EXT:
    default:
        abort();
    }
}

static void
put_l4(struct writer *w)
{
    const struct frame_spec *s = w->spec;
    uint32_t len = frame_l4_len(s->proto, s->v6);
    uint32_t l4_ofs = w->size;
    uint8_t *l4 = w->ip + l4_ofs;
    uint32_t size;

    memset(l4, 0, len);
    w->size += len;
    w->headers_end = w->size;
    put_payload(w);
    size = w->size - l4_ofs;
    w->l4_ofs = size && s->proto != 59 ? l4_ofs : 0;
    if (len >= 8 && s->proto != 1 && s->proto != 58) {
        put16(l4, 40000);       /* Ports. */
        put16(l4 + 2, 9);
    }
    switch (s->proto) {
    case 6:
        put16(l4 + 6, s->seed);
        l4[12] = 0x50;
        l4[13] = 0x10;
        w->l4_csum_ofs = l4_ofs + 16;
        break;
    case 17:
        put16(l4 + 4, size);
        w->l4_csum_ofs = l4_ofs + 6;
        break;
    case 136:
        put16(l4 + 4, 8);       /* Only the header is covered. */
        w->l4_csum_ofs = l4_ofs + 6;
        break;
    case 33:
        l4[4] = 3;              /* Header of 12 bytes. */
        l4[8] = 2 << 1;         /* Data. */
        w->l4_csum_ofs = l4_ofs + 6;
        break;
    case 1: case 58:
        if (len) {
            l4[0] = s->icmp_type;
            l4[1] = s->icmp_code;
            l4[s->v6 ? 4 : 5] = s->icmp_length;
            w->l4_csum_ofs = l4_ofs + 2;
        }
        break;
    case 132:
        if (s->payload_size >= 20 && s->payload_size % 4 == 0) {
            l4[12] = 0;         /* One chunk, all data. */
            l4[13] = 3;
            put16(l4 + 14, s->payload_size);
        }
        break;
    case 135:
        if (len) {
            l4[0] = 59;
            l4[2] = 1;
            w->l4_csum_ofs = l4_ofs + 4;
        }
        break;
    }
}

static void
put_payload(struct writer *w)
{
    const struct frame_spec *s = w->spec;
    uint64_t state = s->seed + UINT64_C(88172645463325252);
    uint8_t *b = w->ip + w->size;

    if (s->quoted) {
        static uint8_t inner[FRAME_SIZE_MAX];
        struct writer iw;
        uint32_t size;

        compose_ip(s->quoted, inner, &iw);
        size = iw.size < s->quoted_max ? iw.size : s->quoted_max;
        memcpy(b, inner, size);
        w->size += size;
        b += size;
    }
    random_bytes(&state, b, s->payload_size);
    w->size += s->payload_size;
}

/* Sums everything from scratch, with the length of what is there. */
static void
put_l4_csum(struct writer *w)
{
    const struct frame_spec *s = w->spec;
    uint32_t size = w->size - w->l4_ofs;
    uint32_t covered = s->proto == 136 ? 8 : size;
    uint8_t *field = w->ip + w->l4_csum_ofs;
    uint32_t alen = s->v6 ? 16 : 4;
    bool udp = s->proto == 17 || s->proto == 136;
    uint32_t sum = 0;

    if (s->csum == FRAME_CSUM_ABSENT) {
        return;
    }
    if (s->v6 || s->proto != 1) {
        sum = frame_sum(sum, s->addrs.src, alen);
        sum = frame_sum(sum, w->final_dst, alen);
        sum = frame_sum(sum + s->proto + size, NULL, 0);
    }
    if (s->csum == FRAME_CSUM_PARTIAL) {
        put16(field, sum);
        return;
    }
    sum = (uint16_t) ~frame_sum(sum, w->ip + w->l4_ofs, covered);
    if (s->csum == FRAME_CSUM_WRONG) {
        sum = frame_sum(sum + s->l4_error, NULL, 0);
    }
    put16(field, udp && !sum ? 0xffff : sum);
}

static void
random_addrs(uint64_t *state, struct frame_addrs *a, bool v6)
{
    random_bytes(state, a, sizeof *a);
    if (v6) {
        a->src[0] = a->dst[0] = 0x20;
    } else {
        a->src[0] = a->dst[0] = 10;
    }
}

static void
random_plain(uint64_t *state, struct frame_spec *s, bool v6)
{
    static const uint8_t protos[] = { 6, 17, 33, 136, 132, 1, 58, 135, 50,
                                      47, 59 };

    *s = (struct frame_spec) {
        .v6 = v6,
        .n_vlans = (uint8_t) random_below(state, 3),
        .proto = protos[random_below(state, sizeof protos)],
        .ttl = (uint8_t) random_below(state, 256),
        .payload_size = random_below(state, random_below(state, 8) ? 64
                                     : 1400),
        .seed = (uint32_t) random64(state),
        .icmp_type = 128,       /* Or later, to be no error. */
        .quoted_max = UINT32_MAX
    };
    random_addrs(state, &s->addrs, v6);
    if (!random_below(state, 4)) {
        s->l3_error = (uint16_t) random_below(state, 0xffff);
    }
    if (!random_below(state, 3)) {
        s->csum = (s->proto == 17 && random_below(state, 2)
                   ? FRAME_CSUM_ABSENT : FRAME_CSUM_WRONG);
        s->l4_error = (uint16_t) random_below(state, 0xffff);
    }
    if (v6 && !random_below(state, 2)) {
        bool had_frag = false;

        s->n_ext = (uint8_t) random_below(state, 9);
        for (int i = 0; i < s->n_ext; i++) {
            enum frame_ext ext = random_below(state, FRAME_N_EXT);
            bool frag = ext >= FRAME_FRAG_ATOMIC && ext <= FRAME_FRAG_LATER;

            s->ext[i] = frag && had_frag ? FRAME_DEST_OPTS : ext;
            had_frag |= frag;
        }
    } else if (!v6 && !random_below(state, 2)) {
        static const uint16_t frags[] = { 0, 0x4000, 0x2000, 0x20b9, 0x00b9 };

        s->options_len = (uint8_t) (4 * random_below(state, 8));
        s->route_pending = s->options_len <= 24 && !random_below(state, 4);
        s->frag = frags[random_below(state, 5)];
        s->n_ext = !random_below(state, 4);
        s->ext[0] = FRAME_AH;
    }
}

void
random_spec(uint64_t *state, struct frame_spec *s, struct frame_spec *quoted)
{
    bool v6 = random_below(state, 2);

    random_plain(state, s, v6);
    if (!random_below(state, 3)) {
        static const uint8_t v4_types[] = { 3, 4, 11, 12 };

        random_plain(state, quoted, v6);
        s->proto = v6 ? 58 : 1;
        s->icmp_type = (uint8_t) (v6 ? 1 + random_below(state, 4)
                                  : v4_types[random_below(state, 4)]);
        s->csum = s->csum == FRAME_CSUM_ABSENT ? FRAME_CSUM_RIGHT : s->csum;
        s->quoted = quoted;
        s->quoted_max = (v6 ? 40 : 20) + random_below(state, 600);
        s->payload_size = 0;
    }
}
