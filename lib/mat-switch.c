/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-switch.h"
#include "mat-switch-internal.h"

#include <assert.h>

/* The batch, and what the parts of the slow path share. */

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

/* Counts what the fast path has done. */
static void
count_fast(struct mat_switch_thread *thread, bool in,
           const struct mat_tally *tally)
{
    if (tally->n > tally->local) {
        count(thread, in, in ? MAT_V_DELIVERED : MAT_V_TRANSLATED,
              tally->n - tally->local);
    }
    if (tally->local) {
        count(thread, false, MAT_V_LOCAL, tally->local);
    }
}

/* The same question as that of mat_switch(), if there was only the fast
 * path. */
static bool
is_uniform(const struct mat_switch_call *call, const struct mat_tally *tally)
{
    bool one_port = tally->ports_or == tally->ports_and;

    return (call->word & MAT_WORD_IN ? one_port
            : !tally->local || (tally->local == tally->n && one_port
                                && !(call->word & MAT_WORD_EXPLICIT)));
}

bool
mat_switch(const struct mat_switch_call *call, struct mat_frame *frames,
           size_t n)
{
    bool in = call->word & MAT_WORD_IN;
    const struct mat_port_view *port = mat_table_port(call->table,
                                                      call->in_port);
    struct mat_tally tally = { .ports_and = UINT32_MAX };
    uint64_t left;

    assert(n && n <= MAT_SWITCH_BATCH_MAX);
    left = (port_suits(port, in) ? mat_switch_fast(call, frames, n, &tally)
            : UINT64_MAX >> (MAT_SWITCH_BATCH_MAX - n));
    if (!call->dry_run) {
        count_fast(call->thread, in, &tally);
    }
    if (!left) {
        return is_uniform(call, &tally);
    }
    for (; left; left &= left - 1) {
        size_t i = (size_t) __builtin_ctzll(left);

        slow(call, &frames[i], i);
        if (!call->dry_run) {
            count(call->thread, in, frames[i].verdict, 1);
        }
    }
    return false;
}

_Static_assert(MAT_SWITCH_BATCH_MAX == 64, "a bit for each frame");

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

    memcpy(words, addr->b, sizeof words);
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
