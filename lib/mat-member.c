/* SPDX-License-Identifier: Apache-2.0 */
/* Members: who is in the cluster, and rumors about their health.
 *
 * A member is known by its host claim, which spreads and is repaired like any
 * record.  Its health is a rumor: (generation, incarnation, state), compared
 * in that order, as in SWIM (Das et al., DSN 2002).  Only the member itself
 * raises the incarnation, to refute a rumor of its illness; the generation is
 * the epoch of its host claim, kept on its disk, so that a restarted host is
 * never older than its own ghost.
 *
 * Suspicion lasts shorter the more members confirm it (Lifeguard, Dadgar et
 * al., 2018): from 6 times the minimum with none to the minimum with three.
 * Whoever hears from a member directly believes its ears, not the rumor, but
 * tells the member of the rumor, for it alone can end it. */
#include "mat-engine.h"
#include "mat-mem.h"

uint32_t
mat_log2(size_t n)
{
    uint32_t log = 0;

    while (n >>= 1) {
        log++;
    }
    return log;
}

/* The table. */

static size_t
lower_bound(const struct mat_gossip *g, uint64_t id)
{
    size_t lo = 0, hi = g->n_members;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (g->members[mid]->id < id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

struct mat_member *
mat_member_find(const struct mat_gossip *g, uint64_t id)
{
    size_t i = lower_bound(g, id);

    return i < g->n_members && g->members[i]->id == id ? g->members[i] : NULL;
}

static struct mat_member *
insert(struct mat_gossip *g, uint64_t id)
{
    size_t i = lower_bound(g, id);

    if (g->n_members == MAT_GOSSIP_MEMBERS_MAX) {
        mat_count(g, MAT_C_LIMIT_MEMBERS);
        return NULL;
    }
    if (g->n_members == g->members_allocated) {
        g->members_allocated = g->n_members ? g->n_members * 2 : 16;
        g->members = mat_xrealloc(g->members, g->members_allocated
                                  * sizeof *g->members);
    }
    memmove(&g->members[i + 1], &g->members[i],
            (g->n_members - i) * sizeof *g->members);
    g->members[i] = mat_xcalloc(1, sizeof *g->members[i]);
    g->members[i]->id = id;
    g->members[i]->since_us = g->now_us;
    g->n_members++;
    g->n_in_state[MAT_MEMBER_ALIVE]++;
    return g->members[i];
}

static uint32_t
generation(const struct mat_member *m)
{
    return m->host->version.epoch;
}

bool
mat_member_is_usable(const struct mat_member *m)
{
    return m->state <= MAT_MEMBER_SUSPECT && !m->is_refused;
}

bool
mat_member_has_zone(const struct mat_member *m, uint32_t zone)
{
    struct mat_host_info info;

    return (zone == MAT_ZONE_ALL
            || (mat_host_decode(m->host->body, m->host->body_size, &info)
                && mat_host_has_zone(&info, zone)));
}

/* Reservoir sampling would look at all; a few throws find one fast in the
 * usual case that most will do. */
struct mat_member *
mat_member_random(struct mat_gossip *g, uint32_t zone, uint64_t except)
{
    for (int tries = 0; tries < 32 && g->n_members; tries++) {
        struct mat_member *m = g->members[mat_rng_below(
            &g->rng, (uint32_t) g->n_members)];

        if (m->id != except && mat_member_is_usable(m)
            && mat_member_has_zone(m, zone)) {
            return m;
        }
    }
    for (size_t i = 0; i < g->n_members; i++) {
        struct mat_member *m = g->members[i];

        if (m->id != except && mat_member_is_usable(m)
            && mat_member_has_zone(m, zone)) {
            return m;
        }
    }
    return NULL;
}

/* Rumors to pass on. */

static uint32_t
rumor_transmissions(const struct mat_gossip *g)
{
    return 4 + 2 * mat_log2(g->n_members + 1);
}

static void
add_rumor(struct mat_gossip *g, uint64_t host, uint64_t by)
{
    struct mat_rumor *rumor = NULL;

    for (size_t i = 0; i < g->n_rumors; i++) {
        if (g->rumors[i].host == host) {
            rumor = &g->rumors[i];
            break;
        }
    }
    if (!rumor) {
        if (g->n_rumors == MAT_RUMORS_MAX) {
            mat_count(g, MAT_C_LIMIT_RUMORS);
            return;
        }
        rumor = &g->rumors[g->n_rumors++];
    }
    *rumor = (struct mat_rumor) { host, by, rumor_transmissions(g) };
}

static void
put_rumor_as(struct mat_writer *w, uint64_t host, uint64_t by, uint32_t gen,
             uint32_t inc, enum mat_member_state state)
{
    mat_put_u64(w, host);
    mat_put_u64(w, by);
    mat_put_u32(w, gen);
    mat_put_u32(w, inc);
    mat_put_u8(w, (uint8_t) state);
}

static void
put_rumor(struct mat_gossip *g, struct mat_writer *w, uint64_t host,
          uint64_t by)
{
    const struct mat_member *m;

    if (host == g->config.id) {
        put_rumor_as(w, host, by, g->generation, g->incarnation,
                     g->has_left ? MAT_MEMBER_LEFT : MAT_MEMBER_ALIVE);
        return;
    }
    m = mat_member_find(g, host);
    MAT_ASSERT(m);
    put_rumor_as(w, host, by, generation(m), m->incarnation, m->state);
}

static void
put_rumors_message(struct mat_writer *w, const struct mat_writer *rumors)
{
    mat_put_u8(w, MAT_MSG_RUMORS);
    mat_put_u16(w, (uint16_t) rumors->n);
    mat_put_bytes(w, rumors->bytes, rumors->n);
}

/* Fills what room is left in a datagram with rumors, in turn. */
void
mat_member_put_rumors(struct mat_gossip *g, struct mat_writer *w)
{
    uint8_t bytes[MAT_RUMORS_PER_DATAGRAM * MAT_RUMOR_SIZE];
    struct mat_writer rumors = { .bytes = bytes, .max = sizeof bytes };
    size_t room = w->max - w->n, n = g->n_rumors;

    if (!n || room < MAT_WIRE_MESSAGE_HEAD + MAT_RUMOR_SIZE) {
        return;
    }
    if (rumors.max > room - MAT_WIRE_MESSAGE_HEAD) {
        rumors.max = room - MAT_WIRE_MESSAGE_HEAD;
    }
    while (n-- && g->n_rumors && rumors.max - rumors.n >= MAT_RUMOR_SIZE) {
        struct mat_rumor *rumor;

        g->next_rumor %= g->n_rumors;
        rumor = &g->rumors[g->next_rumor];
        put_rumor(g, &rumors, rumor->host, rumor->by);
        if (--rumor->n_left) {
            g->next_rumor++;
        } else {
            *rumor = g->rumors[--g->n_rumors];
        }
    }
    put_rumors_message(w, &rumors);
}

static void
drop_rumor(struct mat_gossip *g, uint64_t host)
{
    for (size_t i = 0; i < g->n_rumors; i++) {
        if (g->rumors[i].host == host) {
            g->rumors[i] = g->rumors[--g->n_rumors];
            return;
        }
    }
}

static void
tell(struct mat_gossip *g, struct mat_peer *to, uint64_t about, uint64_t by)
{
    uint8_t bytes[MAT_RUMOR_SIZE];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    put_rumor(g, &w, about, by);
    mat_post(g, to, MAT_MSG_RUMORS, &w, false);
}

/* What all members are said to be, as one number: a sum that is kept up to
 * date, since with many members it would take long to make. */

uint64_t
mat_member_print(uint64_t id, uint32_t gen, uint32_t inc,
                 enum mat_member_state state)
{
    uint64_t what = (uint64_t) state << 60 ^ (uint64_t) gen << 32 ^ inc;

    return mat_mix64(id ^ mat_mix64(what));
}

uint64_t
mat_member_digest(const struct mat_gossip *g)
{
    return g->members_sum ^ mat_member_print(g->config.id, g->generation,
                                             g->incarnation,
                                             MAT_MEMBER_ALIVE);
}

/* To be called before and after each change of 'm'. */
static void
toggle(struct mat_gossip *g, const struct mat_member *m)
{
    if (m->host) {
        g->members_sum ^= mat_member_print(m->id, generation(m),
                                           m->incarnation, m->state);
    }
}

static void
set_incarnation(struct mat_gossip *g, struct mat_member *m, uint32_t inc)
{
    toggle(g, m);
    m->incarnation = inc;
    toggle(g, m);
}

/* Tells 'to' about a random stretch of the table: after some rounds of
 * repair everybody has heard everything. */
void
mat_member_send_table(struct mat_gossip *g, struct mat_peer *to)
{
    uint8_t bytes[48 * MAT_RUMOR_SIZE];
    size_t n = g->n_members < 144 ? g->n_members : 144;
    size_t at = mat_rng_below(&g->rng, (uint32_t) g->n_members);

    if (!mat_peer_may_idle(g, n * MAT_RUMOR_SIZE)) {
        return;
    }
    tell(g, to, g->config.id, g->config.id);
    while (n) {
        struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

        for (; n && w.max - w.n >= MAT_RUMOR_SIZE; n--, at++) {
            put_rumor(g, &w, g->members[at % g->n_members]->id, g->config.id);
        }
        mat_post(g, to, MAT_MSG_RUMORS, &w, false);
    }
}

/* States. */

static int64_t
suspicion_us(const struct mat_gossip *g, uint32_t n_confirmed)
{
    /* 1000 log(c + 1) / log(k + 1) for k = 3. */
    static const int64_t shorter[MAT_CONFIRMATIONS + 1]
        = { 0, 500, 792, 1000 };
    int64_t log10_milli = (int64_t) mat_log2(g->n_members + 1) * 301;
    int64_t min = (int64_t) g->config.tuning.suspicion_factor
                  * g->config.tuning.probe_us
                  * (log10_milli < 1000 ? 1000 : log10_milli) / 1000;

    return min * (6000 - 5 * shorter[n_confirmed]) / 1000;
}

static void
set_state(struct mat_gossip *g, struct mat_member *m,
          enum mat_member_state state)
{
    struct mat_output out = {
        .kind = MAT_OUT_MEMBER, .host = m->id, .state = state
    };

    if (m->state == state) {
        return;
    }
    g->n_in_state[m->state]--;
    g->n_in_state[state]++;
    toggle(g, m);
    m->state = (uint8_t) state;
    toggle(g, m);
    m->since_us = g->now_us;
    if (state != MAT_MEMBER_SUSPECT && m->peer) {
        mat_timer_cancel(g, &m->peer->suspicion);
        m->peer->n_confirmed = 0;
    }
    mat_output_event(g, &out);
    if (state >= MAT_MEMBER_DEAD) {
        mat_vmn_member_died(g, m->id);
    }
}

/* Notes that 'by' suspects 'm'.  True if that is news. */
static bool
confirm(struct mat_gossip *g, struct mat_member *m, uint64_t by)
{
    struct mat_peer *peer = mat_peer_get(g, m);
    int64_t left;

    for (uint8_t i = 0; i < peer->n_confirmed; i++) {
        if (peer->confirmed[i] == by) {
            return false;
        }
    }
    if (peer->n_confirmed == MAT_CONFIRMATIONS) {
        return false;
    }
    peer->confirmed[peer->n_confirmed++] = by;
    /* The first accuser is not a confirmation. */
    left = m->since_us + suspicion_us(g, peer->n_confirmed - 1u) - g->now_us;
    mat_timer_set(g, &peer->suspicion, MAT_TIMER_SUSPICION,
                  left > 0 ? left : 0);
    return true;
}

static void
suspect(struct mat_gossip *g, struct mat_member *m, uint64_t by)
{
    set_state(g, m, MAT_MEMBER_SUSPECT);
    if (confirm(g, m, by)) {
        add_rumor(g, m->id, by);
        tell(g, mat_peer_get(g, m), m->id, by);
    }
}

/* This host's own probe found no life in 'm'. */
void
mat_member_suspect(struct mat_gossip *g, struct mat_member *m)
{
    if (m->state <= MAT_MEMBER_SUSPECT) {
        mat_count(g, MAT_C_SUSPICIONS);
        suspect(g, m, g->config.id);
    }
}

void
mat_member_suspicion_timer(struct mat_gossip *g, struct mat_peer *peer)
{
    if (peer->member->state == MAT_MEMBER_SUSPECT) {
        set_state(g, peer->member, MAT_MEMBER_DEAD);
        add_rumor(g, peer->member->id, g->config.id);
    }
}

/* An authentic datagram came from 'm' itself. */
void
mat_member_heard(struct mat_gossip *g, struct mat_member *m)
{
    enum mat_member_state before = m->state;
    struct mat_peer *peer = mat_peer_get(g, m);

    peer->heard_us = g->now_us;
    if (before == MAT_MEMBER_ALIVE) {
        return;
    }
    /* The rumor as it was, so that it is refuted. */
    tell(g, peer, m->id, g->config.id);
    if (before == MAT_MEMBER_LEFT) {
        return;
    }
    set_state(g, m, MAT_MEMBER_ALIVE);
    drop_rumor(g, m->id);
    if (before == MAT_MEMBER_DEAD) {
        mat_sync_with(g, peer);
    }
}

/* Rumors heard. */

static void
refute(struct mat_gossip *g, struct mat_peer *from, uint32_t rumored_gen,
       uint32_t rumored_inc)
{
    if (rumored_gen > g->generation) {
        /* This host's disk has forgotten a life of which others know. */
        struct mat_output out = { .kind = MAT_OUT_GENERATION };

        g->generation = out.generation = rumored_gen + 1;
        g->incarnation = 0;
        mat_output_event(g, &out);
        mat_stage_host(g);
    } else if (rumored_inc < UINT32_MAX) {
        g->incarnation = rumored_inc + 1;
    }
    mat_count(g, MAT_C_REFUTATIONS);
    mat_probe_blame_self(g, 1);
    add_rumor(g, g->config.id, g->config.id);
    tell(g, from, g->config.id, g->config.id);
}

static void
hear_of_self(struct mat_gossip *g, struct mat_peer *from, uint32_t gen,
             uint32_t inc, enum mat_member_state state)
{
    if (gen > MAT_EPOCH_MAX - 1 || g->has_left) {
        return;
    }
    if (gen > g->generation
        || (gen == g->generation
            && (inc > g->incarnation
                || (inc == g->incarnation && state != MAT_MEMBER_ALIVE)))) {
        refute(g, from, gen, inc);
    }
}

static bool
heard_lately(const struct mat_gossip *g, const struct mat_member *m)
{
    return m->peer && m->peer->heard_us
           && g->now_us - m->peer->heard_us < g->config.tuning.probe_us;
}

/* Tells 'm' what is said about it, not too often. */
static void
pass_on(struct mat_gossip *g, struct mat_member *m, uint64_t by, uint32_t inc,
        enum mat_member_state state)
{
    uint8_t bytes[MAT_RUMOR_SIZE];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    if (g->now_us - m->peer->told_us > g->config.tuning.probe_us) {
        m->peer->told_us = g->now_us;
        put_rumor_as(&w, m->id, by, generation(m), inc, state);
        mat_post(g, m->peer, MAT_MSG_RUMORS, &w, false);
    }
}

static void
hear(struct mat_gossip *g, struct mat_member *m, uint64_t by, uint32_t inc,
     enum mat_member_state state)
{
    if (inc < m->incarnation || m->is_refused) {
        return;
    }
    if (state == MAT_MEMBER_SUSPECT && inc == m->incarnation
        && m->state == MAT_MEMBER_SUSPECT) {
        if (confirm(g, m, by)) {
            add_rumor(g, m->id, by);
        }
        return;
    }
    if (inc == m->incarnation && state <= m->state) {
        return;
    }
    if ((state == MAT_MEMBER_SUSPECT || state == MAT_MEMBER_DEAD)
        && heard_lately(g, m)) {
        /* Believe the ears; let the member refute it. */
        pass_on(g, m, by, inc, state);
        return;
    }
    set_incarnation(g, m, inc);
    if (state == MAT_MEMBER_SUSPECT) {
        suspect(g, m, by);
    } else {
        set_state(g, m, state);
        add_rumor(g, m->id, by);
    }
}

void
mat_member_receive_rumors(struct mat_gossip *g, struct mat_peer *from,
                          struct mat_reader *r)
{
    while (r->left && !r->bad) {
        uint64_t host = mat_get_u64(r), by = mat_get_u64(r);
        uint32_t gen = mat_get_u32(r), inc = mat_get_u32(r);
        uint8_t state = mat_get_u8(r);
        struct mat_member *m;

        if (r->bad || state > MAT_MEMBER_LEFT) {
            r->bad = true;
        } else if (host == g->config.id) {
            hear_of_self(g, from, gen, inc, state);
        } else if ((m = mat_member_find(g, host)) != NULL
                   && gen == generation(m)) {
            hear(g, m, by, inc, state);
        }
    }
}

/* Coming and going. */

/* Takes in an accepted host claim. */
void
mat_member_host_claim(struct mat_gossip *g, const struct mat_claim *claim)
{
    uint64_t id = claim->version.host;
    struct mat_member *m;
    uint32_t old_generation = 0;

    if (id == g->config.id) {
        return;
    }
    m = mat_member_find(g, id);
    if (m) {
        old_generation = generation(m);
    } else {
        struct mat_output out = {
            .kind = MAT_OUT_MEMBER, .host = id, .state = MAT_MEMBER_ALIVE
        };

        m = insert(g, id);
        if (!m) {
            return;
        }
        mat_output_event(g, &out);
    }
    toggle(g, m);
    mat_claim_unref(m->host);
    m->host = mat_claim_ref(claim);
    toggle(g, m);
    if (m->peer) {
        m->peer->is_keyed = false;
    }
    if (claim->version.epoch > old_generation) {
        set_incarnation(g, m, 0);
        set_state(g, m, MAT_MEMBER_ALIVE);
        drop_rumor(g, id);
    }
}

void
mat_member_refuse(struct mat_gossip *g, struct mat_member *m, bool refuse)
{
    m->is_refused = refuse;
    if (refuse && m->state < MAT_MEMBER_DEAD) {
        set_state(g, m, MAT_MEMBER_DEAD);
    }
}

/* Says good-bye: by rumor, to a few at once. */
void
mat_member_leave(struct mat_gossip *g)
{
    g->has_left = true;
    g->incarnation++;
    add_rumor(g, g->config.id, g->config.id);
    for (int i = 0; i < 8; i++) {
        struct mat_member *m = mat_member_random(g, MAT_ZONE_ALL, 0);

        if (m) {
            tell(g, mat_peer_get(g, m), g->config.id, g->config.id);
        }
    }
}

static void
destroy(struct mat_gossip *g, struct mat_member *m)
{
    mat_peer_destroy(g, m->peer);
    mat_claim_unref(m->host);
    free(m);
}

void
mat_member_forget(struct mat_gossip *g, struct mat_member *m)
{
    size_t i = lower_bound(g, m->id);

    MAT_ASSERT(g->members[i] == m);
    drop_rumor(g, m->id);
    toggle(g, m);
    g->n_in_state[m->state]--;
    g->n_members--;
    memmove(&g->members[i], &g->members[i + 1],
            (g->n_members - i) * sizeof *g->members);
    destroy(g, m);
}

void
mat_member_destroy(struct mat_gossip *g)
{
    for (size_t i = 0; i < g->n_members; i++) {
        destroy(g, g->members[i]);
    }
    free(g->members);
}
