/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch-internal.h"

/* The fast path handles what nearly all packets are: unicast, unfragmented TCP
 * or UDP without options, between VMNs that are where they should be.  It has
 * two passes over the batch.  The first looks at the headers, sorts frames by
 * family and prefetches the buckets of both addresses; the second looks them
 * up and rewrites.  Frames whose mapping is not in the bucket where it should
 * be get a second try, with the right one.
 *
 * As soon as anything is not as expected a frame is left, untouched, to the
 * slow path, which finds out why.
 *
 * What costs here is instructions, and branches that cannot be predicted: on
 * data that differ from packet to packet there are none.  Forms of the second
 * pass differ by family and direction; each is made of always inlined
 * functions with constant arguments. */

#define FAST static inline __attribute__((always_inline))

enum {
    /* Exactly these flags on a mapping, or it is for the slow path. */
    FLAGS_REMOTE = MAT_MAP_VALID
                   | (MAT_STATE_REMOTE - 1) << MAT_FLAG_STATE_SHIFT,
    FLAGS_LOCAL = MAT_MAP_VALID | MAT_FLAG_PORT
                  | (MAT_STATE_LOCAL - 1) << MAT_FLAG_STATE_SHIFT
};

/* A frame between the passes. */
struct task {
    struct mat_frame *frame;
    uint8_t *ip;                /* Its IP header. */
    void *src, *dst;            /* Where the mappings of its addresses should
                                 * be. */
};

/* What pass 1 finds out for pass 2. */
struct plan {
    size_t n[MAT_N_FAMILIES];
    struct task tasks[MAT_N_FAMILIES][MAT_SWITCH_BATCH_MAX];
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

FAST uint64_t
load64(const void *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

FAST void
load128(uint64_t x[static 2], const void *p)
{
    memcpy(x, p, 16);
}

/* Is the MAC at 'p', where 8 bytes are readable, that of 'aux', which has the
 * form of mat_mac_to_u64()? */
FAST bool
same_mac(const uint8_t *p, uint64_t aux)
{
    uint64_t x = load64(p);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return !((x ^ aux) << 16);
}

/* Writes two such MACs as an Ethernet header's. */
FAST void
store_macs(uint8_t *eth, uint64_t dst, uint64_t src)
{
    uint64_t first = (dst & MAT_AUX_MAC) | src << 48;
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

/* Offsets of the addresses in the IP header. */
FAST unsigned int
src_ofs(bool v4)
{
    return v4 ? 12 : 8;
}

FAST unsigned int
dst_ofs(bool v4)
{
    return v4 ? 16 : 24;
}

/* Pass 1. */

/* Is the upper layer, behind 'header' of 'size' bytes, there, and one that the
 * fast path knows? */
FAST bool
is_fast_l4(uint8_t proto, uint32_t size, uint32_t header)
{
    return ((proto == MAT_PROTO_UDP && size >= header + 8)
            || (proto == MAT_PROTO_TCP && size >= header + 20));
}

/* Are the EtherType before 'ip' and the first bytes of 'ip' as in 'wanted',
 * under 'mask'? */
FAST bool
begins(const uint8_t *ip, const char wanted[static 4],
       const char mask[static 4])
{
    return !((load32(ip - 2) ^ load32(wanted)) & load32(mask));
}

/* True if the frame is unicast, has room for an IP header and the least upper
 * layer, and asks for nothing special. */
FAST bool
is_plain(const struct mat_frame *f)
{
    return (f->l3_ofs != MAT_FRAME_NO_L3
            && f->size >= f->l3_ofs + UINT32_C(28)
            && !(f->l3_csum | f->l4_csum | f->is_segmented_later)
            && !(f->data[0] & 1));
}
_Static_assert(!MAT_CSUM_FULL, "see is_plain()");

FAST bool
is_fast4(const uint8_t *ip, uint32_t room)
{
    uint32_t size = mat_get_be16(ip + 2);

    /* No fragment; "don't fragment" may be set or not. */
    return (begins(ip, "\x08\0\x45\0", "\xff\xff\xff\0")
            && size <= room && is_fast_l4(ip[9], size, MAT_IPV4_LEN)
            && !(load16(ip + 6) & load16("\xbf\xff")));
}

FAST bool
is_fast6(const uint8_t *ip, uint32_t room)
{
    uint32_t size = MAT_IPV6_LEN + (uint32_t) mat_get_be16(ip + 4);

    return (begins(ip, "\x86\xdd\x60\0", "\xff\xff\xf0\0")
            && room >= 48 && size <= room
            && is_fast_l4(ip[6], size, MAT_IPV6_LEN));
}

/* The hash of an address is a sum, of which 'zone_hash' is the part of the
 * zone, the same for all. */
FAST void *
prefetch4(const struct mat_map *map, uint64_t zone_hash, const uint8_t *addr)
{
    uint64_t hash = zone_hash + mat_map_hash4(map, 0, load32(addr));
    void *home = mat_map_home4(map, hash);

    __builtin_prefetch(home);
    return home;
}

FAST void *
prefetch6(const struct mat_map *map, uint64_t zone_hash, const uint8_t *addr)
{
    struct mat_map6_bucket *home;
    uint64_t words[2];

    load128(words, addr);
    home = mat_map_home6(map, zone_hash + mat_map_hash6(map, 0, words));
    __builtin_prefetch(home);
    __builtin_prefetch(home->value);
    return home;
}

/* Returns the set of frames that have no place in the plan, by bits. */
static uint64_t
make_plan(const struct mat_map maps[static MAT_N_FAMILIES], uint32_t zone,
          struct mat_frame *frames, size_t n, struct plan *plan)
{
    const struct mat_map *map4 = &maps[MAT_V4], *map6 = &maps[MAT_V6];
    uint64_t zone4 = mat_map_hash4(map4, zone, 0);
    uint64_t zone6 = mat_map_hash6(map6, zone, (uint64_t[]) { 0, 0 });
    struct task *t4 = plan->tasks[MAT_V4], *t6 = plan->tasks[MAT_V6];
    uint64_t others = 0;

    for (struct mat_frame *f = frames; f < &frames[n]; f++) {
        uint8_t *ip = f->data + f->l3_ofs;

        if (is_plain(f) && is_fast4(ip, f->size - f->l3_ofs)) {
            t4->frame = f;
            t4->ip = ip;
            t4->src = prefetch4(map4, zone4, ip + src_ofs(true));
            t4->dst = prefetch4(map4, zone4, ip + dst_ofs(true));
            t4++;
        } else if (is_plain(f) && is_fast6(ip, f->size - f->l3_ofs)) {
            t6->frame = f;
            t6->ip = ip;
            t6->src = prefetch6(map6, zone6, ip + src_ofs(false));
            t6->dst = prefetch6(map6, zone6, ip + dst_ofs(false));
            t6++;
        } else {
            others |= UINT64_C(1) << (f - frames);
        }
    }
    plan->n[MAT_V4] = (size_t) (t4 - plan->tasks[MAT_V4]);
    plan->n[MAT_V6] = (size_t) (t6 - plan->tasks[MAT_V6]);
    return others;
}

/* Pass 2. */

FAST bool
find(bool v4, void *bucket, uint32_t tag, uint32_t mask, const uint8_t *addr,
     bool mark, struct mat_map_hit *hit)
{
    if (v4) {
        return mat_map4_find_in(bucket, tag, mask, load32(addr), mark, hit);
    } else {
        uint64_t words[2];

        load128(words, addr);
        return mat_map6_find_in(bucket, tag, mask, words, mark, hit);
    }
}

/* What load64() would load where 'a' is followed by 'b'. */
FAST uint64_t
pair(uint32_t a, uint32_t b)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (uint64_t) a << 32 | b;
#else
    return a | (uint64_t) b << 32;
#endif
}

/* Makes the checksum of TCP or UDP right again.  Which of the two it is cannot
 * be predicted. */
FAST void
adjust_l4(bool is_tcp, uint8_t *l4, uint16_t delta)
{
    uint8_t *field = l4 + (is_tcp ? 16 : 6);
    uint16_t old = load16(field);
    uint16_t tcp = mat_csum_apply(old, delta);
    uint16_t udp = mat_csum_apply_udp(old, delta);
    uint16_t csum = is_tcp ? tcp : udp;

    memcpy(field, &csum, 2);
}

/* Puts the addresses of 'src' and 'dst' into the IP header, and right
 * checksums; also takes one from the TTL if 'dec_ttl'. */
FAST void
rewrite4(uint8_t *ip, const struct mat_map_hit *src,
         const struct mat_map_hit *dst, bool dec_ttl)
{
    uint64_t old = load64(ip + 12), new = pair(src->value4, dst->value4);
    uint16_t delta = mat_csum_fold(mat_csum_add64(0, old, new));
    uint16_t one = dec_ttl ? load16("\1\0") : 0;
    uint16_t csum;

    memcpy(ip + 12, &new, 8);
    adjust_l4(ip[9] == MAT_PROTO_TCP, ip + 20, delta);
    csum = mat_csum_apply(load16(ip + 10), mat_csum_apply(delta, one));
    memcpy(ip + 10, &csum, 2);
    ip[8] = (uint8_t) (ip[8] - dec_ttl);
}

FAST void
rewrite6(uint8_t *ip, const struct mat_map_hit *src,
         const struct mat_map_hit *dst, bool dec_ttl)
{
    uint16_t delta = mat_csum_apply_partial(src->delta6, dst->delta6);

    memcpy(ip + 8, src->value6, 16);
    memcpy(ip + 24, dst->value6, 16);
    adjust_l4(ip[6] == MAT_PROTO_TCP, ip + 40, delta);
    ip[7] = (uint8_t) (ip[7] - dec_ttl);
}

FAST void
rewrite(bool v4, uint8_t *ip, const struct mat_map_hit *src,
        const struct mat_map_hit *dst, bool dec_ttl)
{
    if (v4) {
        rewrite4(ip, src, dst, dec_ttl);
    } else {
        rewrite6(ip, src, dst, dec_ttl);
    }
}

FAST void
finish(struct mat_frame *f, enum mat_verdict verdict, enum mat_fate fate,
       bool edited, uint32_t odp_port)
{
    f->verdict = (uint8_t) verdict;
    f->fate = (uint8_t) fate;
    f->edited = edited;
    f->odp_port = odp_port;
}

/* Notes that a frame goes to 'odp_port'. */
FAST void
tally_port(struct mat_tally *tally, uint32_t odp_port)
{
    tally->ports_or |= odp_port;
    tally->ports_and &= odp_port;
}

/* A packet of one VMN of this host to another. */
FAST bool
out_local(const struct mat_switch_call *call, const struct task *t, bool v4,
          struct mat_tally *tally)
{
    uint32_t zone = call->word & MAT_WORD_ZONE_MASK;
    struct mat_frame *f = t->frame;
    const struct mat_vmn *vmn;
    struct mat_map_hit dst;
    uint32_t odp_port;

    if (!find(v4, t->dst, zone << MAT_MAP_ZONE_SHIFT | FLAGS_LOCAL, UINT32_MAX,
              t->ip + dst_ofs(v4), !call->dry_run, &dst)
        || !same_mac(f->data, dst.aux)) {
        return false;
    }
    vmn = mat_table_vmn(call->table, dst.aux);
    odp_port = mat_vmn_odp_port(vmn);
    if (odp_port == MAT_TABLE_NO_PORT
        || mat_vmn_mtu(vmn) < f->size - f->l3_ofs) {
        return false;
    }
    tally->local++;
    tally_port(tally, odp_port);
    finish(f, MAT_V_LOCAL,
           call->word & MAT_WORD_EXPLICIT ? MAT_PASS : MAT_DELIVER, false,
           odp_port);
    return true;
}

/* Not inlined: registers are needed for packets that go further. */
static __attribute__((noinline)) bool
out_local4(const struct mat_switch_call *call, const struct task *t,
           struct mat_tally *tally)
{
    return out_local(call, t, true, tally);
}

static __attribute__((noinline)) bool
out_local6(const struct mat_switch_call *call, const struct task *t,
           struct mat_tally *tally)
{
    return out_local(call, t, false, tally);
}

FAST bool
out(const struct mat_switch_call *call, const struct task *t, bool v4,
    const struct mat_switch_call *call_in_memory, struct mat_tally *tally)
{
    uint32_t tag = (call->word & MAT_WORD_ZONE_MASK) << MAT_MAP_ZONE_SHIFT;
    struct mat_frame *f = t->frame;
    uint8_t *data = f->data;
    uint8_t *ip = t->ip;
    struct mat_map_hit src, dst;
    const struct mat_hop *hop;
    bool routed;

    if (!find(v4, t->src, tag | FLAGS_LOCAL, UINT32_MAX, ip + src_ofs(v4),
              false, &src)
        || !same_mac(data + 6, src.aux)
        || (mat_vmn_odp_port(mat_table_vmn(call->table, src.aux))
            != call->in_port)) {
        return false;
    }
    if (!find(v4, t->dst, tag | FLAGS_REMOTE, UINT32_MAX, ip + dst_ofs(v4),
              !call->dry_run, &dst)) {
        return (v4 ? out_local4(call_in_memory, t, tally)
                : out_local6(call_in_memory, t, tally));
    }
    routed = !same_mac(data, dst.aux);
    hop = mat_table_hop(call->table, mat_aux_index(dst.aux));
    if (ip[v4 ? 8 : 7] <= routed || !hop
        || f->size - f->l3_ofs > mat_hop_fast_mtu(hop)) {
        return false;
    }
    memcpy(data, hop->eth, sizeof hop->eth);
    rewrite(v4, ip, &src, &dst, routed);
    finish(f, MAT_V_TRANSLATED, MAT_PASS, true, MAT_TABLE_NO_PORT);
    return true;
}

FAST bool
on_link(const struct mat_vmn *vmn, bool v4, const struct mat_map_hit *a,
        const struct mat_map_hit *b)
{
    return (v4 ? mat_vmn_on_link4(vmn, a->value4, b->value4)
            : mat_vmn_on_link6(vmn, a->value6, b->value6));
}

/* The sender may be anybody of the zone, as it may have just left its host or
 * just come to another. */
FAST bool
in(const struct mat_switch_call *call, const struct task *t, bool v4,
   struct mat_tally *tally)
{
    struct mat_frame *f = t->frame;
    uint8_t *data = f->data;
    uint8_t *ip = t->ip;
    struct mat_map_hit src, dst;
    const struct mat_vmn *vmn;
    uint32_t odp_port;

    if (!find(v4, t->dst, FLAGS_LOCAL, MAT_MAP_FLAGS, ip + dst_ofs(v4), false,
              &dst)
        || !find(v4, t->src, MAT_MAP_VALID, MAT_MAP_VALID, ip + src_ofs(v4),
                 !call->dry_run, &src)
        || mat_map_hit_zone(&src) != mat_map_hit_zone(&dst)) {
        return false;
    }
    vmn = mat_table_vmn(call->table, dst.aux);
    odp_port = mat_vmn_odp_port(vmn);
    if (odp_port == MAT_TABLE_NO_PORT
        || f->size - f->l3_ofs > mat_vmn_mtu(vmn)) {
        return false;
    }
    store_macs(data, dst.aux,
               on_link(vmn, v4, &src, &dst) ? src.aux : GATEWAY);
    rewrite(v4, ip, &src, &dst, false);
    tally_port(tally, odp_port);
    finish(f, MAT_V_DELIVERED,
           call->word & MAT_WORD_EXPLICIT ? MAT_PASS : MAT_DELIVER, true,
           odp_port);
    return true;
}

/* Prefetches the bucket after 'bucket', where a mapping usually is if it is
 * not at home. */
FAST void
prefetch_next(bool v4, const void *bucket)
{
    const char *next = ((const char *) bucket
                        + (v4 ? sizeof(struct mat_map4_bucket)
                           : sizeof(struct mat_map6_bucket)));

    __builtin_prefetch(next);
    if (!v4) {
        __builtin_prefetch(next + offsetof(struct mat_map6_bucket, value));
    }
}

/* Runs pass 2 on 'n' tasks and returns how many are left over, which are then
 * the first. */
FAST size_t
run(const struct mat_switch_call *call_in_memory, struct task *tasks, size_t n,
    bool is_in, bool v4, struct mat_tally *tally)
{
    /* A copy, which what is written to frames cannot change, as far as the
     * compiler knows: it stays in registers. */
    const struct mat_switch_call call = *call_in_memory;
    struct task *left = tasks;

    for (const struct task *t = tasks; t < &tasks[n]; t++) {
        if (__builtin_expect(!(is_in ? in(&call, t, v4, tally)
                               : out(&call, t, v4, call_in_memory, tally)),
                             false)) {
            prefetch_next(v4, t->src);
            prefetch_next(v4, t->dst);
            *left++ = *t;
        }
    }
    return (size_t) (left - tasks);
}

typedef size_t run_func(const struct mat_switch_call *, struct task *,
                        size_t n, struct mat_tally *);

static size_t
run_out4(const struct mat_switch_call *call, struct task *tasks, size_t n,
         struct mat_tally *tally)
{
    return run(call, tasks, n, false, true, tally);
}

static size_t
run_out6(const struct mat_switch_call *call, struct task *tasks, size_t n,
         struct mat_tally *tally)
{
    return run(call, tasks, n, false, false, tally);
}

static size_t
run_in4(const struct mat_switch_call *call, struct task *tasks, size_t n,
        struct mat_tally *tally)
{
    return run(call, tasks, n, true, true, tally);
}

static size_t
run_in6(const struct mat_switch_call *call, struct task *tasks, size_t n,
        struct mat_tally *tally)
{
    return run(call, tasks, n, true, false, tally);
}

static run_func *const runs[2][MAT_N_FAMILIES] = {
    { run_out4, run_out6 },
    { run_in4, run_in6 }
};

_Static_assert(MAT_V4 == 0 && MAT_V6 == 1, "order of runs[][]");

/* The second try. */

static void *
bucket_of(const struct mat_map *map, bool v4, uint32_t zone,
          const uint8_t *addr)
{
    struct mat_map_hit hit;
    uint64_t words[2];

    if (v4) {
        return mat_map4_find(map, zone, load32(addr), false, &hit);
    }
    load128(words, addr);
    return mat_map6_find(map, zone, words, false, &hit);
}

/* Finds out where the mappings of a frame's addresses are.  False if that
 * gives no hope. */
static bool
relocate(const struct mat_map *map, bool v4, uint32_t zone, struct task *t)
{
    void *src = bucket_of(map, v4, zone, t->ip + src_ofs(v4));
    void *dst = bucket_of(map, v4, zone, t->ip + dst_ofs(v4));
    bool moved = src != t->src || dst != t->dst;

    t->src = src;
    t->dst = dst;
    return src && dst && moved;
}

/* Runs pass 2 on all tasks of a family, and once more on those with mappings
 * elsewhere.  Returns the set of frames that are left over. */
static uint64_t
run_twice(const struct mat_switch_call *call, const struct mat_frame *frames,
          struct plan *plan, unsigned int family, struct mat_tally *tally)
{
    bool is_in = call->word & MAT_WORD_IN;
    const struct mat_map *map = (is_in ? &call->table->reverse[family]
                                 : &call->table->forward[family]);
    struct task *tasks = plan->tasks[family];
    run_func *run_it = runs[is_in][family];
    size_t n = run_it(call, tasks, plan->n[family], tally);
    size_t n_again = 0;
    uint64_t left = 0;

    tally->n += plan->n[family] - n;
    for (size_t i = 0; i < n; i++) {
        struct task t = tasks[i];

        if (relocate(map, family == MAT_V4, call->word & MAT_WORD_ZONE_MASK,
                     &t)) {
            tasks[n_again++] = t;
        } else {
            left |= UINT64_C(1) << (t.frame - frames);
        }
    }
    n = n_again ? run_it(call, tasks, n_again, tally) : 0;
    tally->n += n_again - n;
    for (size_t i = 0; i < n; i++) {
        left |= UINT64_C(1) << (tasks[i].frame - frames);
    }
    return left;
}

uint64_t
mat_switch_fast(const struct mat_switch_call *call, struct mat_frame *frames,
                size_t n, struct mat_tally *tally)
{
    const struct mat_map *maps = (call->word & MAT_WORD_IN
                                  ? call->table->reverse
                                  : call->table->forward);
    struct plan plan;
    uint64_t left;

    left = make_plan(maps, call->word & MAT_WORD_ZONE_MASK, frames, n, &plan);
    for (unsigned int family = 0; family < MAT_N_FAMILIES; family++) {
        if (plan.n[family]) {
            left |= run_twice(call, frames, &plan, family, tally);
        }
    }
    return left;
}
