/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch.h"
#include "mat-switch-internal.h"

#include <assert.h>

/* The fast path handles what nearly all packets are: unicast, unfragmented TCP
 * or UDP without options, between VMNs that are where they should be.  It has
 * two passes over the batch.  The first looks at the headers and prefetches
 * the buckets of both addresses, the second looks them up and rewrites.  As
 * soon as anything is not as expected the frame is left, untouched, to the
 * slow path, which finds out why.
 *
 * Forms of the fast path differ by family and direction; each is an always
 * inlined function with constant arguments. */

#define FAST static inline __attribute__((always_inline))

enum {
    /* Exactly these flags on a mapping, or it is for the slow path. */
    FLAGS_REMOTE = MAT_MAP_VALID
                   | (MAT_STATE_REMOTE - 1) << MAT_FLAG_STATE_SHIFT,
    FLAGS_PREPARED = MAT_MAP_VALID
                     | (MAT_STATE_PREPARED - 1) << MAT_FLAG_STATE_SHIFT,
    FLAGS_LOCAL = MAT_MAP_VALID | MAT_FLAG_PORT
                  | (MAT_STATE_LOCAL - 1) << MAT_FLAG_STATE_SHIFT
};

enum { IPPROTO_TCP_ = 6, IPPROTO_UDP_ = 17 };

/* What pass 1 finds out for pass 2. */
enum shape { SLOW, FAST4, FAST6 };

struct preview {
    void *src_home, *dst_home;  /* Buckets. */
    enum shape shape;
};

/* What the fast path counts on its own, to add up at the end. */
struct tally {
    uint32_t translated, delivered, local;
};

FAST uint16_t
load16(const void *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

FAST uint32_t
load32(const void *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

FAST void
load128(uint64_t x[static 2], const void *p)
{
    memcpy(x, p, 16);
}

/* A MAC in the form of mat_mac_to_u64(), from 8 readable bytes at 'p'. */
FAST uint64_t
load_mac(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x & MAT_AUX_MAC;
}

/* Writes two such MACs as an Ethernet header's. */
FAST void
store_macs(uint8_t *eth, uint64_t dst, uint64_t src)
{
    uint64_t first = dst | src << 48;
    uint32_t rest = (uint32_t) (src >> 16);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    first = __builtin_bswap64(first);
    rest = __builtin_bswap32(rest);
#endif
    memcpy(eth, &first, 8);
    memcpy(eth + 8, &rest, 4);
}

/* The gateway's MAC in the same form. */
#define GATEWAY UINT64_C(0x010054414d02)

/* Pass 1. */

/* Is the upper layer there, and one that the fast path knows? */
FAST bool
is_fast_l4(uint8_t proto, uint32_t l4_size)
{
    return ((proto == IPPROTO_UDP_ && l4_size >= 8)
            || (proto == IPPROTO_TCP_ && l4_size >= 20));
}

/* Are the EtherType before 'ip' and the first bytes of 'ip' as in 'wanted',
 * under 'mask'? */
FAST bool
begins(const uint8_t *ip, const char wanted[static 4],
       const char mask[static 4])
{
    return !((load32(ip - 2) ^ load32(wanted)) & load32(mask));
}

FAST enum shape
shape_of(const struct mat_frame *f)
{
    const uint8_t *ip = f->data + f->l3_ofs;
    uint32_t room = f->size - f->l3_ofs;

    if (f->l3_ofs == MAT_FRAME_NO_L3 || f->size < f->l3_ofs + UINT32_C(28)
        || (f->l3_csum | f->l4_csum) != MAT_CSUM_FULL || f->data[0] & 1) {
        return SLOW;
    } else if (begins(ip, "\x08\0\x45\0", "\xff\xff\xff\0")) {
        uint32_t size = mat_get_be16(ip + 2);

        /* No fragment; "don't fragment" may be set or not. */
        return (size <= room && size >= 20 && is_fast_l4(ip[9], size - 20)
                && !(load16(ip + 6) & load16("\xbf\xff"))
                ? FAST4 : SLOW);
    } else if (begins(ip, "\x86\xdd\x60\0", "\xff\xff\xf0\0")
               && room >= 48) {
        uint32_t size = mat_get_be16(ip + 4);

        return (size + 40 <= room && is_fast_l4(ip[6], size)
                ? FAST6 : SLOW);
    }
    return SLOW;
}

FAST void *
prefetch4(const struct mat_map *map, uint32_t zone, const uint8_t *addr)
{
    void *home = mat_map_home4(map, mat_map_hash4(map, zone, load32(addr)));

    __builtin_prefetch(home);
    return home;
}

FAST void *
prefetch6(const struct mat_map *map, uint32_t zone, const uint8_t *addr)
{
    uint64_t words[2];
    struct mat_map6_bucket *home;

    load128(words, addr);
    home = mat_map_home6(map, mat_map_hash6(map, zone, words));
    __builtin_prefetch(home);
    __builtin_prefetch(home->value);
    return home;
}

FAST void
preview(const struct mat_map maps[static MAT_N_FAMILIES], uint32_t zone,
        const struct mat_frame *f, struct preview *pre)
{
    const uint8_t *ip = f->data + f->l3_ofs;

    pre->shape = shape_of(f);
    if (pre->shape == FAST4) {
        pre->src_home = prefetch4(&maps[MAT_V4], zone, ip + 12);
        pre->dst_home = prefetch4(&maps[MAT_V4], zone, ip + 16);
    } else if (pre->shape == FAST6) {
        pre->src_home = prefetch6(&maps[MAT_V6], zone, ip + 8);
        pre->dst_home = prefetch6(&maps[MAT_V6], zone, ip + 24);
    }
}

/* Pass 2. */

FAST bool
find(const struct mat_map maps[static MAT_N_FAMILIES], bool is_zoned, bool v4,
     void *home, uint32_t zone, const uint8_t *addr, bool mark,
     struct mat_map_hit *hit)
{
    if (v4) {
        return mat_map4_find_at(&maps[MAT_V4], home, is_zoned, zone,
                                load32(addr), mark, hit);
    } else {
        uint64_t words[2];

        load128(words, addr);
        return mat_map6_find_at(&maps[MAT_V6], home, is_zoned, zone, words,
                                mark, hit);
    }
}

/* Makes the checksum of TCP or UDP right again. */
FAST void
adjust_l4(uint8_t proto, uint8_t *l4, uint16_t delta)
{
    uint16_t csum;

    if (proto == IPPROTO_TCP_) {
        csum = mat_csum_apply(load16(l4 + 16), delta);
        memcpy(l4 + 16, &csum, 2);
    } else {
        csum = mat_csum_apply_udp(load16(l4 + 6), delta);
        memcpy(l4 + 6, &csum, 2);
    }
}

/* Puts the addresses of 'src' and 'dst' into the IP header, and right
 * checksums; also takes one from the TTL if 'dec_ttl'. */
FAST void
rewrite4(uint8_t *ip, const struct mat_map_hit *src,
         const struct mat_map_hit *dst, bool dec_ttl)
{
    uint64_t acc;
    uint16_t delta, csum;

    acc = mat_csum_add32(0, load32(ip + 12), src->value4);
    acc = mat_csum_add32(acc, load32(ip + 16), dst->value4);
    delta = mat_csum_fold(acc);
    memcpy(ip + 12, &src->value4, 4);
    memcpy(ip + 16, &dst->value4, 4);
    adjust_l4(ip[9], ip + 20, delta);
    if (dec_ttl) {
        /* In one piece with the protocol: to store a byte and load the two
         * for the checksum would stall. */
        uint16_t old = load16(ip + 8);
        uint16_t new = (uint16_t) (old - load16("\1\0"));

        memcpy(ip + 8, &new, 2);
        delta = mat_csum_fold(mat_csum_add16(acc, old, new));
    }
    csum = mat_csum_apply(load16(ip + 10), delta);
    memcpy(ip + 10, &csum, 2);
}

FAST void
rewrite6(uint8_t *ip, const struct mat_map_hit *src,
         const struct mat_map_hit *dst, bool dec_ttl)
{
    uint64_t acc;
    uint16_t delta;

    acc = mat_csum_add128(0, ip + 8, src->value6);
    delta = mat_csum_fold(acc);
    acc = mat_csum_add128(0, ip + 24, dst->value6);
    delta = mat_csum_apply_partial(delta, mat_csum_fold(acc));
    memcpy(ip + 8, src->value6, 16);
    memcpy(ip + 24, dst->value6, 16);
    adjust_l4(ip[6], ip + 40, delta);
    if (dec_ttl) {
        ip[7]--;
    }
}

FAST void
finish(struct mat_frame *f, enum mat_verdict verdict, enum mat_fate fate,
       uint32_t odp_port)
{
    f->verdict = (uint8_t) verdict;
    f->fate = (uint8_t) fate;
    f->edited = true;
    f->odp_port = odp_port;
}

/* A packet of one VMN of this host to another. */
FAST bool
fast_local(const struct mat_switch_call *call, struct mat_frame *f,
           const struct mat_map_hit *dst, bool routed, uint32_t size,
           struct tally *tally)
{
    const struct mat_vmn *vmn = mat_table_vmn(call->table, dst->aux);
    uint32_t odp_port = mat_vmn_odp_port(vmn);

    if (routed || odp_port == MAT_TABLE_NO_PORT
        || mat_vmn_mtu(vmn) < size) {
        return false;
    }
    tally->local++;
    finish(f, MAT_V_LOCAL,
           call->word & MAT_WORD_EXPLICIT ? MAT_PASS : MAT_DELIVER,
           odp_port);
    f->edited = false;
    return true;
}

FAST bool
fast_out(const struct mat_switch_call *call, struct mat_frame *f, bool v4,
         const struct preview *pre, struct tally *tally)
{
    const struct mat_map *maps = call->table->forward;
    uint8_t *ip = f->data + f->l3_ofs;
    uint32_t zone = call->word & MAT_WORD_ZONE_MASK;
    uint32_t size = f->size - f->l3_ofs;
    struct mat_map_hit src, dst;
    const struct mat_hop *hop;
    bool routed;

    if (!find(maps, true, v4, pre->src_home, zone, ip + (v4 ? 12 : 8), false,
              &src)
        || (src.tag & MAT_MAP_FLAGS) != FLAGS_LOCAL
        || load_mac(f->data + 6) != (src.aux & MAT_AUX_MAC)
        || (mat_vmn_odp_port(mat_table_vmn(call->table, src.aux))
            != call->in_port)
        || !find(maps, true, v4, pre->dst_home, zone, ip + (v4 ? 16 : 24),
                 !call->dry_run, &dst)) {
        return false;
    }
    routed = load_mac(f->data) != (dst.aux & MAT_AUX_MAC);
    if ((dst.tag & MAT_MAP_FLAGS) == FLAGS_LOCAL) {
        return fast_local(call, f, &dst, routed, size, tally);
    } else if ((dst.tag & MAT_MAP_FLAGS) != FLAGS_REMOTE
               || (routed && ip[v4 ? 8 : 7] <= 1)) {
        return false;
    }
    hop = mat_table_hop(call->table, mat_aux_index(dst.aux));
    if (!hop || (size > hop->mtu && !f->is_segmented_later)) {
        return false;
    }
    if (v4) {
        rewrite4(ip, &src, &dst, routed);
    } else {
        rewrite6(ip, &src, &dst, routed);
    }
    memcpy(f->data, hop->eth, sizeof hop->eth);
    tally->translated++;
    finish(f, MAT_V_TRANSLATED, MAT_PASS, MAT_TABLE_NO_PORT);
    return true;
}

/* May packets come from a mapping with 'tag'?  One that is or will be at
 * another host. */
FAST bool
is_peer(uint32_t tag)
{
    uint32_t flags = tag & MAT_MAP_FLAGS;

    return flags == FLAGS_REMOTE || flags == FLAGS_PREPARED;
}

FAST bool
on_link(const struct mat_vmn *vmn, bool v4, const struct mat_map_hit *a,
        const struct mat_map_hit *b)
{
    return (v4 ? mat_vmn_on_link4(vmn, a->value4, b->value4)
            : mat_vmn_on_link6(vmn, a->value6, b->value6));
}

FAST bool
fast_in(const struct mat_switch_call *call, struct mat_frame *f, bool v4,
        const struct preview *pre, struct tally *tally)
{
    const struct mat_map *maps = call->table->reverse;
    uint8_t *ip = f->data + f->l3_ofs;
    struct mat_map_hit src, dst;
    const struct mat_vmn *vmn;
    uint32_t odp_port;

    if (!find(maps, false, v4, pre->dst_home, 0, ip + (v4 ? 16 : 24), false,
              &dst)
        || (dst.tag & MAT_MAP_FLAGS) != FLAGS_LOCAL
        || !find(maps, false, v4, pre->src_home, 0, ip + (v4 ? 12 : 8),
                 !call->dry_run, &src)
        || !is_peer(src.tag)
        || mat_map_hit_zone(&src) != mat_map_hit_zone(&dst)) {
        return false;
    }
    vmn = mat_table_vmn(call->table, dst.aux);
    odp_port = mat_vmn_odp_port(vmn);
    if (odp_port == MAT_TABLE_NO_PORT
        || (f->size - f->l3_ofs > mat_vmn_mtu(vmn)
            && !f->is_segmented_later)) {
        return false;
    }
    if (v4) {
        rewrite4(ip, &src, &dst, false);
    } else {
        rewrite6(ip, &src, &dst, false);
    }
    store_macs(f->data, dst.aux & MAT_AUX_MAC,
               on_link(vmn, v4, &src, &dst) ? src.aux & MAT_AUX_MAC : GATEWAY);
    tally->delivered++;
    finish(f, MAT_V_DELIVERED,
           call->word & MAT_WORD_EXPLICIT ? MAT_PASS : MAT_DELIVER,
           odp_port);
    return true;
}

/* Off the fast path. */

/* True if packets that come in at 'port' may go in this direction. */
static bool
port_suits(const struct mat_port_view *port, bool in)
{
    return port && port->role != (in ? MAT_PORT_VM : MAT_PORT_UPLINK);
}

static void
slow(const struct mat_switch_call *call, struct mat_frame *frame, size_t index)
{
    bool in = call->word & MAT_WORD_IN;
    struct mat_work work = {
        .call = call,
        .frame = frame,
        .index = index,
        .port = mat_table_port(call->table, call->in_port),
        .zone = call->word & MAT_WORD_ZONE_MASK,
    };

    frame->edited = false;
    frame->odp_port = MAT_TABLE_NO_PORT;
    if (!port_suits(work.port, in)) {
        mat_judge(&work, MAT_V_PORT_UNKNOWN);
    } else if (mat_packet_parse(&work.packet, frame->data, frame->size)
               == MAT_PACKET_MALFORMED) {
        mat_judge(&work, MAT_V_MALFORMED);
    } else if (in) {
        if (!mat_switch_in_link(&work)) {
            mat_switch_in_ip(&work);
        }
    } else if (!mat_switch_out_link(&work)) {
        mat_switch_out_ip(&work);
    }
}

static void
count(struct mat_switch_thread *thread, bool in, enum mat_verdict verdict,
      uint64_t n)
{
    uint64_t *counter = &thread->n_packets[in][verdict];

    /* Only this thread writes it, others may read it. */
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void
count_all(const struct mat_switch_call *call, const struct tally *tally)
{
    if (!call->dry_run) {
        if (tally->translated) {
            count(call->thread, false, MAT_V_TRANSLATED, tally->translated);
        }
        if (tally->local) {
            count(call->thread, false, MAT_V_LOCAL, tally->local);
        }
        if (tally->delivered) {
            count(call->thread, true, MAT_V_DELIVERED, tally->delivered);
        }
    }
}

static void
slow_and_count(const struct mat_switch_call *call, struct mat_frame *frame,
               size_t index, bool in)
{
    slow(call, frame, index);
    if (!call->dry_run) {
        count(call->thread, in, frame->verdict, 1);
    }
}

static void
switch_slowly(const struct mat_switch_call *call, struct mat_frame *frames,
              size_t n, bool in)
{
    for (size_t i = 0; i < n; i++) {
        slow_and_count(call, &frames[i], i, in);
    }
}

FAST bool
fast(const struct mat_switch_call *call, struct mat_frame *f, bool in,
     const struct preview *pre, struct tally *tally)
{
    switch (pre->shape) {
    case FAST4:
        return (in ? fast_in(call, f, true, pre, tally)
                : fast_out(call, f, true, pre, tally));
    case FAST6:
        return (in ? fast_in(call, f, false, pre, tally)
                : fast_out(call, f, false, pre, tally));
    case SLOW:
    default:
        return false;
    }
}

FAST void
switch_batch(const struct mat_switch_call *call, struct mat_frame *frames,
             size_t n, bool in)
{
    /* A copy, which what is written to frames cannot change, as far as the
     * compiler knows: it stays in registers. */
    const struct mat_switch_call fixed = *call;
    const struct mat_map *maps = in ? fixed.table->reverse
                                    : fixed.table->forward;
    struct preview previews[MAT_SWITCH_BATCH_MAX];
    struct tally tally = { 0, 0, 0 };

    if (!port_suits(mat_table_port(call->table, call->in_port), in)) {
        switch_slowly(call, frames, n, in);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        preview(maps, fixed.word & MAT_WORD_ZONE_MASK, &frames[i],
                &previews[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (__builtin_expect(!fast(&fixed, &frames[i], in, &previews[i],
                                   &tally), false)) {
            slow_and_count(call, &frames[i], i, in);
        }
    }
    count_all(call, &tally);
}

void
mat_switch(const struct mat_switch_call *call, struct mat_frame *frames,
           size_t n)
{
    assert(n <= MAT_SWITCH_BATCH_MAX);
    if (call->word & MAT_WORD_IN) {
        switch_batch(call, frames, n, true);
    } else {
        switch_batch(call, frames, n, false);
    }
}

/* Verdicts off the fast path. */

void
mat_judge(struct mat_work *work, enum mat_verdict verdict)
{
    enum mat_fate fate = mat_verdict_fate(verdict);

    work->frame->verdict = (uint8_t) verdict;
    work->frame->fate = (uint8_t) fate;
}

void
mat_judge_deliver(struct mat_work *work, enum mat_verdict verdict,
                  uint32_t odp_port)
{
    work->frame->verdict = (uint8_t) verdict;
    work->frame->fate = (work->call->word & MAT_WORD_EXPLICIT
                         && verdict != MAT_V_REDIRECTED
                         ? MAT_PASS : MAT_DELIVER);
    work->frame->odp_port = odp_port;
}

void
mat_judge_hold(struct mat_work *work, enum mat_hold_kind kind, uint32_t zone,
               const struct mat_addr *addr, enum mat_verdict otherwise)
{
    const struct mat_switch_io *io = work->call->io;
    const struct mat_hold_key key = {
        .kind = kind,
        .zone = zone,
        .addr = *addr,
    };

    mat_judge(work, io->hold(io->aux, work->index, &key) ? MAT_V_HELD
                                                         : otherwise);
}

/* Rates: a token is TOKEN_MS of time in which nothing happened. */

static bool
take_token(const struct mat_switch_call *call, struct mat_bucket *bucket,
           uint32_t ms_per_token, uint32_t burst)
{
    uint32_t now = (uint32_t) call->now_ms;
    uint32_t passed = now - bucket->last_ms;
    uint64_t tokens = (uint64_t) bucket->tokens + passed;
    uint64_t max = (uint64_t) ms_per_token * burst;

    if (call->dry_run) {
        return true;
    }
    bucket->last_ms = now;
    bucket->tokens = (uint32_t) (tokens < max ? tokens : max);
    if (bucket->tokens < ms_per_token) {
        return false;
    }
    bucket->tokens -= ms_per_token;
    return true;
}

enum {
    /* Events of a port and thread.  A VM needs few; an uplink tells of all
     * peers.  At the limit the agent spends some percent of a core. */
    EVENT_MS_VM = 5, EVENT_BURST_VM = 100,
    EVENT_MS_UPLINK = 1, EVENT_BURST_UPLINK = 1000,

    /* ICMP errors back to a port: enough for traceroutes and a PMTU discovery
     * of many sessions at once. */
    ERROR_MS = 5, ERROR_BURST = 100
};

void
mat_tell(struct mat_work *work, enum mat_event_type type, uint32_t zone,
         const struct mat_addr *addr)
{
    const struct mat_switch_call *call = work->call;
    struct mat_switch_thread *thread = call->thread;
    uint16_t slot = work->port->slot;
    bool uplink = work->port->role == MAT_PORT_UPLINK;
    struct mat_event event = {
        .zone = zone,
        .odp_port = call->in_port,
        .mac = mat_packet_eth_src(&work->packet),
        .type = (uint16_t) type,
    };

    if (!take_token(call, &thread->events[slot],
                    uplink ? EVENT_MS_UPLINK : EVENT_MS_VM,
                    uplink ? EVENT_BURST_UPLINK : EVENT_BURST_VM)) {
        thread->suppressed[slot]++;
        thread->n_events_suppressed++;
        return;
    }
    if (addr) {
        event.addr = *addr;
    }
    event.suppressed = thread->suppressed[slot];
    if (!call->dry_run) {
        thread->suppressed[slot] = 0;
    }
    mat_event_set_frame(&event, work->frame->data, work->frame->size);
    call->io->event(call->io->aux, &event);
}

void
mat_send_back(struct mat_work *work, const void *frame, size_t size)
{
    const struct mat_switch_io *io = work->call->io;

    io->emit(io->aux, work->call->in_port, frame, size);
}

void
mat_judge_error(struct mat_work *work, enum mat_verdict verdict,
                const struct mat_error *error)
{
    struct mat_switch_thread *thread = work->call->thread;
    uint8_t buf[MAT_REPLY_MAX];
    size_t size;

    mat_judge(work, verdict);
    if (!mat_error_allowed(&work->packet)) {
        return;
    }
    if (!take_token(work->call, &thread->errors[work->port->slot], ERROR_MS,
                    ERROR_BURST)) {
        thread->n_errors_suppressed++;
        return;
    }
    size = mat_reply_error(&work->packet, error, buf, sizeof buf);
    if (size) {
        mat_send_back(work, buf, size);
    }
}

/* Lookups off the fast path. */

static void
set_found(const struct mat_map_hit *hit, bool v4, struct mat_found *found)
{
    found->hit = *hit;
    found->state = mat_flags_state(hit->tag);
    found->value = (v4 ? mat_addr_from_v4(&hit->value4)
                    : mat_addr_from_v6(hit->value6));
    found->zone = mat_map_hit_zone(hit);
    found->has_port = hit->tag & MAT_FLAG_PORT;
    found->hold = hit->tag & MAT_FLAG_HOLD;
    found->mac = mat_mac_from_u64(hit->aux & MAT_AUX_MAC);
}

static bool
find_any(const struct mat_map maps[static MAT_N_FAMILIES], uint32_t zone,
         const struct mat_addr *addr, bool mark, struct mat_found *found)
{
    bool v4 = mat_addr_is_v4(addr);
    struct mat_map_hit hit;
    uint64_t words[2];

    load128(words, addr->b);
    if (!(v4 ? mat_map4_find(&maps[MAT_V4], zone, mat_addr_v4(addr), mark,
                             &hit)
          : mat_map6_find(&maps[MAT_V6], zone, words, mark, &hit))) {
        return false;
    }
    set_found(&hit, v4, found);
    return true;
}

bool
mat_find_hoa(const struct mat_work *work, uint32_t zone,
             const struct mat_addr *hoa, bool mark, struct mat_found *found)
{
    return find_any(work->call->table->forward, zone, hoa,
                    mark && !work->call->dry_run, found);
}

bool
mat_find_moa(const struct mat_work *work, const struct mat_addr *moa,
             bool mark, struct mat_found *found)
{
    return find_any(work->call->table->reverse, 0, moa,
                    mark && !work->call->dry_run, found);
}

const struct mat_subnet *
mat_gateway_subnet(const struct mat_work *work, uint32_t zone_id,
                   const struct mat_addr *like)
{
    const struct mat_zone *zone = mat_table_zone(work->call->table, zone_id);
    const struct mat_subnet *subnet;

    if (!zone) {
        return NULL;
    }
    subnet = mat_zone_subnet(zone, like);
    if (subnet && !mat_addr_is_zero(&subnet->gateway)) {
        return subnet;
    }
    for (size_t i = 0; i < zone->n_subnets; i++) {
        subnet = &zone->subnets[i];
        if (!mat_addr_is_zero(&subnet->gateway)
            && mat_addr_is_v4(&subnet->gateway) == mat_addr_is_v4(like)) {
            return subnet;
        }
    }
    return NULL;
}
