/* SPDX-License-Identifier: Apache-2.0 */

/* The times of RFC 5227, 1.1, which do for IPv6 too: RFC 4862 asks for no more
 * than one solicitation and a second of silence. */

#include "mat-moa-impl.h"

#include <stdio.h>

enum {
    S = 1000000,
    PROBE_WAIT_US = S,          /* Up to that before the first probe. */
    PROBE_MIN_US = S, PROBE_MAX_US = 2 * S,
    ANNOUNCE_WAIT_US = 2 * S,   /* From the last probe until it is ours. */
    ANNOUNCE_INTERVAL_US = 2 * S,
    COLD_WAIT_US = S / 4,       /* From the probe of a MoA that is used before
                                 * it is known to be free, until it is told:
                                 * whoever has it answers by then. */
    QUIET_US = 60 * S           /* Between reports of a stock that sways. */
};

/* Not the 10 s of RFC 5227, which are for hosts that would give up next: the
 * neighbours shall believe us while the agent finds another MoA. */
enum { DEFEND_INTERVAL_US = S };

static const int64_t frame_cost = 1000000;  /* Of a frame, in 'credit'. */

static void fire(struct mat_moa *, struct mat_moa_record *);
static void look_at_level(struct mat_moa *, struct mat_moa_shelf *);

/* Timers. */

void
mat_moa_disarm(struct mat_moa_record *r)
{
    if (r->heap) {
        mat_heap_cancel(r->heap, &r->timer);
        r->heap = NULL;
    }
}

void
mat_moa_arm(struct mat_moa *m, struct mat_moa_record *r,
            struct mat_heap *heap, int64_t at_us)
{
    MAT_ASSERT(heap == &m->urgent || heap == &m->lazy || heap == &m->quiet);
    mat_moa_disarm(r);
    r->heap = heap;
    mat_heap_set(heap, &r->timer, at_us);
}

static struct mat_moa_record *
expire(struct mat_heap *heap, int64_t now_us)
{
    struct mat_timer *timer = mat_heap_expire(heap, now_us);
    struct mat_moa_record *r;

    if (!timer) {
        return NULL;
    }
    r = (struct mat_moa_record *) (void *)
        ((char *) timer - offsetof(struct mat_moa_record, timer));
    r->heap = NULL;
    return r;
}

int64_t
mat_moa_random_us(struct mat_moa *m, int64_t us)
{
    return us > 0 ? (int64_t) (mat_rng_next(&m->rng) % (uint64_t) (us + 1))
                  : 0;
}

/* 'us' and up to a quarter more or less, so that what began together does not
 * stay so. */
static int64_t
about(struct mat_moa *m, int64_t us)
{
    return us - us / 4 + mat_moa_random_us(m, us / 2);
}

/* Credit for frames. */

/* What may go at once: a second's worth. */
static int64_t
burst(const struct mat_moa *m)
{
    return m->config.frames_s * frame_cost;
}

static void
earn(struct mat_moa *m)
{
    int64_t us = m->now_us - m->credit_us;
    int64_t enough_us = INT64_C(3600) * S;

    us = us < enough_us ? us : enough_us;
    m->credit += us * m->config.frames_s;
    m->credit = m->credit < burst(m) ? m->credit : burst(m);
    m->credit_us = m->now_us;
}

/* When there will be more credit than 'floor'. */
static int64_t
paid_us(const struct mat_moa *m, int64_t floor)
{
    int64_t missing = floor + 1 - m->credit;

    return (missing <= 0 ? m->credit_us
            : m->credit_us + (missing + m->config.frames_s - 1)
                             / m->config.frames_s);
}

/* What can wait leaves half of the burst to what must go soon. */
static int64_t
lazy_floor(const struct mat_moa *m)
{
    return burst(m) / 2;
}

/* Sending. */

static void
send_frame(struct mat_moa *m, const struct mat_moa_record *r,
           const uint8_t *bytes, size_t size, enum mat_moa_counter counter)
{
    struct mat_moa_frame *frame;

    MAT_ASSERT(size <= sizeof frame->bytes);
    m->credit -= frame_cost;
    if (m->n_frames >= MAT_MOA_FRAMES_MAX) {
        return;                 /* Nobody drains them. */
    }
    frame = &m->frames[(m->frames_head + m->n_frames++) % MAT_MOA_FRAMES_MAX];
    frame->uplink = (uint8_t) mat_moa_shelf_of(m, r)->uplink;
    frame->size = (uint8_t) size;
    memcpy(frame->bytes, bytes, size);
    m->counters[counter]++;
}

static const struct mat_moa_uplink *
uplink_of(struct mat_moa *m, const struct mat_moa_record *r)
{
    const struct mat_moa_shelf *s = mat_moa_shelf_of(m, r);

    return (s->routed || s->uplink == MAT_MOA_ANY
            || !m->config.uplinks[s->uplink].up
            ? NULL : &m->config.uplinks[s->uplink]);
}

static void
send_probe(struct mat_moa *m, struct mat_moa_record *r)
{
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    send_frame(m, r, frame,
               mat_neighbor_probe(&uplink_of(m, r)->mac, &r->moa, frame),
               MAT_MOA_COUNT_PROBES);
}

static void
send_announcement(struct mat_moa *m, struct mat_moa_record *r,
                  enum mat_moa_counter counter)
{
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    send_frame(m, r, frame,
               mat_neighbor_announcement(&uplink_of(m, r)->mac, &r->moa,
                                         frame),
               counter);
}

/* Lets switches that snoop know where questions for an IPv6 MoA should go. */
static void
send_report(struct mat_moa *m, struct mat_moa_record *r)
{
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    if (!mat_addr_is_v4(&r->moa)) {
        send_frame(m, r, frame,
                   mat_neighbor_report(&uplink_of(m, r)->mac, &r->moa, frame),
                   MAT_MOA_COUNT_REPORTED);
    }
}

/* Asks the routers for themselves, in the name of the MoA: from that they
 * learn where it is, which many do not from an announcement. */
static void
tell_routers(struct mat_moa *m, struct mat_moa_record *r)
{
    const struct mat_moa_uplink *u = uplink_of(m, r);
    bool v6 = !mat_addr_is_v4(&r->moa);
    uint8_t frame[MAT_NEIGHBOR_FRAME_MAX];

    if (!u->n_routers[v6]) {
        send_announcement(m, r, MAT_MOA_COUNT_TOLD);
    }
    for (size_t i = 0; i < u->n_routers[v6]; i++) {
        send_frame(m, r, frame,
                   mat_neighbor_question(&u->mac, &r->moa, &u->routers[v6][i],
                                         &u->router_macs[v6][i], frame),
                   MAT_MOA_COUNT_TOLD);
    }
}

/* What records do in time. */

void
mat_moa_start_probing(struct mat_moa *m, struct mat_moa_record *r)
{
    r->n_sent = 0;
    mat_moa_arm(m, r, &m->urgent,
                m->now_us + mat_moa_random_us(m, PROBE_WAIT_US));
}

void
mat_moa_start_telling(struct mat_moa *m, struct mat_moa_record *r,
                      unsigned int n_announcements, bool is_cold)
{
    r->n_left = (uint8_t) n_announcements;
    r->n_sent = 0;
    r->is_cold = is_cold;
    if (!mat_moa_shelf_of(m, r)->routed) {
        mat_moa_arm(m, r, &m->urgent, m->now_us);
    }
}

void
mat_moa_tell_later(struct mat_moa *m, struct mat_moa_record *r,
                   int64_t within_us)
{
    if (!mat_moa_shelf_of(m, r)->routed) {
        mat_moa_arm(m, r, &m->lazy,
                    m->now_us + mat_moa_random_us(m, within_us));
    }
}

void
mat_moa_defend(struct mat_moa *m, struct mat_moa_record *r)
{
    if (uplink_of(m, r)
        && (!r->defended_us
            || m->now_us - r->defended_us >= DEFEND_INTERVAL_US)) {
        r->defended_us = m->now_us;
        send_announcement(m, r, MAT_MOA_COUNT_DEFENDED);
    }
}

void
mat_moa_record_rest(struct mat_moa *m, struct mat_moa_record *r)
{
    struct mat_moa_shelf *s = mat_moa_shelf_of(m, r);

    mat_moa_record_disown(m, r);
    r->n_conflicts = 0;
    r->n_left = 0;
    r->home = r->hushed = r->is_cold = false;
    if (r->reserved) {
        mat_moa_record_set(m, r, MAT_MOA_LIST_RESERVED);
    } else if (!r->is_inside) {
        mat_moa_record_free(m, r);
    } else {
        mat_moa_record_set(m, r, MAT_MOA_FREE);
        if (s->lists[MAT_MOA_FREE].n > MAT_MOA_RESTED_MAX) {
            mat_moa_record_free(m, s->lists[MAT_MOA_FREE].first);
        }
    }
}

static void
fire_probing(struct mat_moa *m, struct mat_moa_record *r)
{
    if (r->n_sent >= m->config.probes) {
        mat_moa_record_set(m, r, MAT_MOA_PROBED);
        mat_moa_arm(m, r, &m->urgent, m->now_us);
        return;
    }
    if (!r->n_sent) {
        send_report(m, r);
    }
    send_probe(m, r);
    r->n_sent++;
    mat_moa_arm(m, r, &m->urgent, m->now_us
                + (r->n_sent >= m->config.probes ? ANNOUNCE_WAIT_US
                   : PROBE_MIN_US
                     + mat_moa_random_us(m, PROBE_MAX_US - PROBE_MIN_US)));
}

static void
fire_telling(struct mat_moa *m, struct mat_moa_record *r)
{
    send_report(m, r);
    if (r->is_cold) {
        send_probe(m, r);
        if (!r->n_sent++) {
            mat_moa_arm(m, r, &m->urgent, m->now_us + COLD_WAIT_US);
            return;
        }
        r->is_cold = r->n_left > 1;
    }
    if (r->n_left) {
        r->n_left--;
        send_announcement(m, r, MAT_MOA_COUNT_ANNOUNCED);
    }
    tell_routers(m, r);
    if (r->n_left) {
        mat_moa_arm(m, r, &m->urgent, m->now_us + ANNOUNCE_INTERVAL_US);
    } else {
        mat_moa_arm(m, r, &m->lazy, m->now_us
                    + about(m, r->list == MAT_MOA_USED
                            ? m->config.used_refresh_us
                            : m->config.refresh_us));
    }
}

static void
fire(struct mat_moa *m, struct mat_moa_record *r)
{
    if (r->list == MAT_MOA_QUARANTINED || r->list == MAT_MOA_CONFLICT) {
        mat_moa_record_rest(m, r);
        return;
    } else if (!uplink_of(m, r)) {
        return;                 /* Begins again when the uplink is up. */
    }
    switch (r->list) {
    case MAT_MOA_PROBING:
        fire_probing(m, r);
        break;
    case MAT_MOA_PROBED:
        r->n_left = 2;          /* ANNOUNCE_NUM. */
        mat_moa_record_set(m, r, MAT_MOA_WARM);
        fire_telling(m, r);
        break;
    case MAT_MOA_WARM:
    case MAT_MOA_USED:
        fire_telling(m, r);
        break;
    default:
        abort();
    }
}

void
mat_moa_tick(struct mat_moa *m, int64_t now_us)
{
    struct mat_moa_record *r;

    if (now_us > m->now_us) {
        m->now_us = now_us;
    }
    earn(m);
    while ((r = expire(&m->quiet, m->now_us))) {
        fire(m, r);
    }
    while (m->credit > 0 && (r = expire(&m->urgent, m->now_us))) {
        fire(m, r);
    }
    while (m->credit > lazy_floor(m) && (r = expire(&m->lazy, m->now_us))) {
        fire(m, r);
    }
    m->counters[MAT_MOA_COUNT_DELAYED]
        += (mat_heap_deadline(&m->urgent) <= m->now_us
            || mat_heap_deadline(&m->lazy) <= m->now_us);
    mat_moa_settle(m);
}

/* Stock. */

static void
fill(struct mat_moa *m, struct mat_moa_shelf *s)
{
    while (mat_moa_shelf_ready(s) < m->config.stock) {
        struct mat_moa_record *r = s->lists[MAT_MOA_FREE].first;

        if (mat_moa_shelf_untracked(s)) {
            struct mat_addr addr = mat_moa_shelf_pick(m, s);

            r = mat_moa_record_get(m, &addr);
        }
        if (!r) {
            break;
        }
        mat_moa_record_set(m, r, MAT_MOA_PROBING);
        mat_moa_start_probing(m, r);
    }
}

void
mat_moa_settle(struct mat_moa *m)
{
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];

        if (!s->total && !s->reported) {
            continue;
        }
        if (s->total && !s->routed && m->config.uplinks[s->uplink].up) {
            fill(m, s);
        }
        look_at_level(m, s);
    }
}

static enum mat_moa_level
level_of(const struct mat_moa *m, const struct mat_moa_shelf *s)
{
    mat_number available = mat_moa_shelf_available(s);
    mat_number few = s->total / 4 + 1;

    few = few < m->config.stock ? few : m->config.stock;
    return (!s->total ? MAT_MOA_LEVEL_ENOUGH
            : !available ? MAT_MOA_LEVEL_EXHAUSTED
            : available < few ? MAT_MOA_LEVEL_LOW
            : MAT_MOA_LEVEL_ENOUGH);
}

/* There are addresses again for those whose own are in no pool any more. */
static void
tell_draining(struct mat_moa *m, bool v6)
{
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];
        struct mat_moa_record *r = s->lists[MAT_MOA_USED].first;

        for (; s->v6 == v6 && r; r = r->links[MAT_MOA_LINK_LIST].next) {
            r->tells_renumber |= r->draining;
            mat_moa_report(m, r);
        }
    }
}

/* What gets worse is said at once, the rest when it has lasted. */
static void
look_at_level(struct mat_moa *m, struct mat_moa_shelf *s)
{
    enum mat_moa_level level = level_of(m, s);

    if (m->now_us >= s->quiet_until_us) {
        s->worst = s->reported;
    }
    if (level == s->reported
        || (level <= s->worst && m->now_us < s->quiet_until_us)) {
        return;
    }
    if (s->reported == MAT_MOA_LEVEL_EXHAUSTED) {
        tell_draining(m, s->v6);
    }
    s->reported = level;
    s->worst = level > s->worst ? level : s->worst;
    s->is_pending = true;
    s->quiet_until_us = m->now_us + QUIET_US;
}

/* Outputs. */

void
mat_moa_report(struct mat_moa *m, struct mat_moa_record *r)
{
    bool wanted = r->tells_conflict || r->tells_renumber;

    if (wanted && !r->is_reported) {
        mat_moa_list_add(&m->reports, r, MAT_MOA_LINK_REPORT);
    } else if (!wanted && r->is_reported) {
        mat_moa_list_remove(&m->reports, r, MAT_MOA_LINK_REPORT);
    }
    r->is_reported = wanted;
}

static void
output_frame(struct mat_moa *m, struct mat_moa_output *out)
{
    m->out_frame = m->frames[m->frames_head];
    m->frames_head = (m->frames_head + 1) % MAT_MOA_FRAMES_MAX;
    m->n_frames--;
    out->kind = MAT_MOA_OUT_FRAME;
    out->uplink = m->config.uplinks[m->out_frame.uplink].name;
    out->frame = m->out_frame.bytes;
    out->size = m->out_frame.size;
}

static void
output_report(struct mat_moa *m, struct mat_moa_output *out)
{
    struct mat_moa_record *r = m->reports.first;
    char moa[MAT_ADDR_STRLEN], mac[MAT_MAC_STRLEN];

    mat_moa_fill_info(m, r, &out->info);
    mat_addr_format(&r->moa, moa);
    if (r->tells_conflict) {
        r->tells_conflict = false;
        out->kind = MAT_MOA_OUT_CONFLICT;
        out->mac = r->conflict_mac;
        mat_mac_format(&r->conflict_mac, mac);
        snprintf(m->out_text, sizeof m->out_text, "%s of %s is used by %s "
                 "too: %s", moa, out->info.uplink, mac,
                 r->list != MAT_MOA_USED ? "left alone for a while"
                 : r->is_cold ? "its VMN should have another"
                 : r->home ? "its VMN may have moved there"
                 : "defended");
    } else {
        r->tells_renumber = false;
        out->kind = MAT_MOA_OUT_RENUMBER;
        snprintf(m->out_text, sizeof m->out_text, "%s is in no pool any "
                 "more: its VMN gets another", moa);
    }
    mat_moa_report(m, r);
    out->uplink = out->info.uplink;
    out->text = m->out_text;
}

static bool
output_level(struct mat_moa *m, struct mat_moa_output *out)
{
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        struct mat_moa_shelf *s = &m->shelves[i];
        struct mat_moa_stock stock;

        if (!s->is_pending) {
            continue;
        }
        s->is_pending = false;
        mat_moa_fill_stock(m, s, &stock);
        mat_moa_advice(m, &stock, m->out_text);
        out->kind = (s->reported == MAT_MOA_LEVEL_EXHAUSTED
                     ? MAT_MOA_OUT_EXHAUSTED
                     : s->reported == MAT_MOA_LEVEL_LOW ? MAT_MOA_OUT_LOW
                     : MAT_MOA_OUT_ENOUGH);
        out->uplink = stock.uplink;
        out->v6 = s->v6;
        out->text = m->out_text;
        return true;
    }
    return false;
}

bool
mat_moa_next(struct mat_moa *m, struct mat_moa_output *out)
{
    memset(out, 0, sizeof *out);
    if (m->n_frames) {
        output_frame(m, out);
        out->v6 = out->frame[12] == 0x86;
        return true;
    } else if (m->reports.n) {
        output_report(m, out);
        out->v6 = !mat_addr_is_v4(&out->info.moa);
        return true;
    }
    return output_level(m, out);
}

int64_t
mat_moa_deadline_us(const struct mat_moa *m)
{
    int64_t deadline_us = mat_heap_deadline(&m->quiet);
    int64_t at_us = mat_heap_deadline(&m->urgent);

    if (at_us != MAT_TIMER_NEVER) {
        at_us = at_us > paid_us(m, 0) ? at_us : paid_us(m, 0);
        deadline_us = at_us < deadline_us ? at_us : deadline_us;
    }
    at_us = mat_heap_deadline(&m->lazy);
    if (at_us != MAT_TIMER_NEVER) {
        int64_t paid = paid_us(m, lazy_floor(m));

        at_us = at_us > paid ? at_us : paid;
        deadline_us = at_us < deadline_us ? at_us : deadline_us;
    }
    for (size_t i = 0; i < MAT_MOA_STOCKS_MAX; i++) {
        const struct mat_moa_shelf *s = &m->shelves[i];

        if (s->quiet_until_us > m->now_us
            && level_of(m, s) != s->reported) {
            deadline_us = (s->quiet_until_us < deadline_us
                           ? s->quiet_until_us : deadline_us);
        }
    }
    return deadline_us;
}
