/* SPDX-License-Identifier: Apache-2.0 */
/* Who is where: what guests say, what ports promise.
 *
 * A guest may say anything.  mat-learn.h keeps ports of this host apart; here
 * it is decided what a port may take from other hosts:
 *
 *  - homes of a MAC that is configured on the port, or that was the first one
 *    heard there, if the port has none configured;
 *  - a home address that is live with another MAC only if it is configured on
 *    the port;
 *  - a home address that nobody here knows is asked for first: perhaps peers
 *    do. */
#include "mat-agent-impl.h"

#include <inttypes.h>
#include <stdio.h>

/* May 'dock' have what lives elsewhere with 'mac'? */
static bool
may_take(const struct mat_agent *a, const struct mat_dock *dock,
         const struct mat_mac *mac)
{
    struct mat_mac first;

    if (dock->config.has_mac) {
        return mat_mac_equal(&dock->config.mac, mac);
    }
    return (mat_learn_get_mac(a->learn, dock->name, 0, &first)
            && mat_mac_equal(&first, mac));
}

static bool
is_configured_hoa(const struct mat_dock *dock, const struct mat_addr *hoa)
{
    for (size_t i = 0; i < dock->config.n_hoas; i++) {
        if (mat_addr_equal(&dock->config.hoas[i], hoa)) {
            return true;
        }
    }
    return false;
}

static void
note_violation(struct mat_agent *a, struct mat_dock *dock,
               const struct mat_home *home, const struct mat_mac *mac)
{
    char name[MAT_HOME_STRLEN], owner[MAT_MAC_STRLEN], text[MAT_MAC_STRLEN];

    mat_agent_count(a, MAT_AGENT_C_VIOLATIONS);
    if (dock->warned_us && a->now_us - dock->warned_us < MAT_AGENT_WARN_US) {
        return;
    }
    dock->warned_us = a->now_us;
    mat_agent_log(a, MAT_AGENT_WARN,
                  "port %s (%s) says that it has %s, which belongs to %s: "
                  "not believed", dock->name, mat_mac_format(mac, text),
                  mat_home_format(home, name),
                  home->guest ? mat_mac_format(&home->guest->mac, owner)
                  : "another");
}

/* Was it said before what is known now came to pass?  Packets of a VMN that
 * has just left may still be on their way through the switch. */
static bool
is_stale(const struct mat_stay *stay, int64_t said_us)
{
    bool was_here = (stay->state == MAT_LIFE_GONE
                     || stay->state == MAT_LIFE_LEAVING);

    return said_us < stay->since_us + (was_here ? MAT_AGENT_ECHO_US : 0);
}

static void
home_starts(struct mat_agent *a, struct mat_home *home,
            struct mat_dock *dock, int64_t said_us, const char *trigger)
{
    struct mat_stay *stay = home->stay;

    mat_agent_count(a, MAT_AGENT_C_STEPS);
    if (stay && stay->state == MAT_LIFE_LIVE && stay->dock == dock) {
        return;
    } else if (stay && is_stale(stay, said_us)) {
        mat_agent_count(a, MAT_AGENT_C_EVENTS_STALE);
        return;
    } else if (!mat_home_may_claim(home)) {
        return;
    } else if (mat_home_is_elsewhere(a, home)
               && !may_take(a, dock, &home->guest->mac)) {
        note_violation(a, dock, home, &home->guest->mac);
        return;
    } else if (stay && stay->is_asked) {
        return;                 /* The answer decides. */
    }
    mat_home_step(a, home, MAT_LIFE_STARTS, dock, trigger);
}

/* An engine that has just been started knows no peers, and what it does not
 * know is no answer. */
static int64_t
join_us(const struct mat_agent *a, const struct mat_stay *stay)
{
    return a->gossip_us + (stay->has_spoken ? MAT_AGENT_MEET_US
                           : MAT_AGENT_JOIN_US);
}

/* When 'stay' may start without an answer. */
static int64_t
patience_us(const struct mat_agent *a, const struct mat_stay *stay)
{
    int64_t joined_us = join_us(a, stay);

    return (joined_us > stay->asked_until_us ? joined_us
            : stay->asked_until_us);
}

static void
ask(struct mat_agent *a, struct mat_stay *stay)
{
    const struct mat_call call = {
        .kind = MAT_REC_ASK, .now_us = a->now_us,
        .zone = stay->home->key.zone, .addr = stay->home->key.addr
    };
    int64_t again_us = a->now_us + MAT_AGENT_ASK_AGAIN_US;
    int64_t until_us = patience_us(a, stay);

    mat_heap_set(&a->heap, &stay->timer,
                 again_us < until_us ? again_us : until_us);
    mat_agent_count(a, MAT_AGENT_C_ASKED);
    if (mat_agent_has_gossip(a)) {
        mat_call_make(a->gossip, a->recorder, &call);
    }
}

/* Nothing is known of 'home': asks peers, and prepares meanwhile.  Just after
 * a start a VMN that has spoken waits a little for an answer, one that is only
 * configured longer. */
static void
ask_first(struct mat_agent *a, struct mat_home *home, struct mat_dock *dock,
          bool has_spoken, const char *trigger)
{
    mat_home_step(a, home, MAT_LIFE_PREPARE, dock, trigger);
    if (!home->stay) {
        return;
    }
    home->stay->is_asked = true;
    home->stay->has_spoken = has_spoken;
    home->stay->asked_until_us = a->now_us + MAT_AGENT_ASK_US;
    ask(a, home->stay);
}

static void
start_asked(struct mat_agent *a, struct mat_stay *stay)
{
    stay->is_asked = false;
    mat_heap_cancel(&a->heap, &stay->timer);
    if (mat_home_may_claim(stay->home) && stay->dock
        && !stay->dock->is_dead) {
        mat_home_step(a, stay->home, MAT_LIFE_STARTS, stay->dock, "unknown");
    }
}

void
mat_agent_ask_again(struct mat_agent *a, struct mat_stay *stay)
{
    if (a->now_us >= patience_us(a, stay)) {
        start_asked(a, stay);
    } else {
        ask(a, stay);
    }
}

/* Unless it is too early to tell. */
void
mat_agent_unanswered(struct mat_agent *a, struct mat_stay *stay)
{
    if (a->now_us >= join_us(a, stay)
        || (stay->has_spoken && a->gossip
            && mat_gossip_n_members(a->gossip, MAT_MEMBER_ALIVE) > 0)) {
        start_asked(a, stay);
    }
}

/* A port has 'home' configured, but another VMN has it. */
static void
note_double(struct mat_agent *a, const struct mat_dock *dock,
            struct mat_home *home)
{
    char name[MAT_HOME_STRLEN], mac[MAT_MAC_STRLEN];
    char text[MAT_AGENT_TEXT_SIZE];
    size_t n;

    n = (size_t) snprintf(text, sizeof text,
                          "port %s: %s (mat-hoa) is in use by %s", dock->name,
                          mat_home_format(home, name),
                          mat_mac_format(&home->guest->mac, mac));
    if (mat_home_is_elsewhere(a, home) && n < sizeof text) {
        n += (size_t) snprintf(text + n, sizeof text - n,
                               " at host 0x%" PRIx64, home->live_host);
    }
    if (n < sizeof text) {
        snprintf(text + n, sizeof text - n,
                 ": give one of them another address");
    }
    mat_agent_problem(a, ~mat_key_hash(&home->key), text);
    if (!home->is_doubled) {
        home->is_doubled = true;
        mat_agent_log(a, MAT_AGENT_ALARM, "%s", text);
    }
}

static void
forget_double(struct mat_agent *a, struct mat_home *home)
{
    home->is_doubled = false;
    mat_agent_no_problem(a, ~mat_key_hash(&home->key));
}

static bool
is_unknown(const struct mat_home *home)
{
    return !home->live_host && !home->stay && !home->n_preps;
}

/* 'dock' says that it has 'hoa'.  The home if it may. */
static struct mat_home *
claim_hoa(struct mat_agent *a, struct mat_dock *dock,
          const struct mat_learn_said *said, const char *trigger)
{
    struct mat_home *home = mat_home_get(a, dock->config.zone, &said->hoa);
    bool is_same, is_held;

    if (!home) {
        return NULL;
    }
    is_same = !home->guest || mat_mac_equal(&home->guest->mac, &said->mac);
    is_held = (mat_home_is_elsewhere(a, home)
               || (home->stay && home->stay->state == MAT_LIFE_LIVE
                   && home->stay->dock && home->stay->dock->is_given));
    if (!is_same && is_held && !is_configured_hoa(dock, &said->hoa)) {
        note_violation(a, dock, home, &said->mac);
        mat_learn_forget(a->learn, a->now_us, home->key.zone, &said->hoa);
        return NULL;
    }
    if (!mat_home_set_mac(a, home, &said->mac)) {
        mat_home_put(a, home);
        return NULL;
    }
    if (is_unknown(home) && mat_agent_may_ask(a)) {
        ask_first(a, home, dock, true, trigger);
    }
    return home;
}

void
mat_agent_spoke(struct mat_agent *a, struct mat_dock *dock,
                const struct mat_learn_said *said, int64_t said_us,
                const char *trigger)
{
    struct mat_home *homes[MAT_AGENT_GUEST_MAX], *first = NULL, *home;
    enum mat_learn_verdict verdict;
    struct mat_guest *guest;
    size_t n = 0;

    verdict = mat_learn_hear(a->learn, a->now_us, dock->name, said);
    if (mat_learn_is_violation(verdict)) {
        mat_agent_count(a, MAT_AGENT_C_VIOLATIONS);
        return;
    }
    dock->heard_mac = said->mac;
    dock->heard_us = said_us;
    if (said->has_hoa && (said->kind == MAT_LEARN_ANNOUNCE
                          || said->kind == MAT_LEARN_SPEAK)) {
        first = claim_hoa(a, dock, said, trigger);
    }
    if (first) {
        home_starts(a, first, dock, said_us, trigger);
    }
    guest = mat_guest_find(a, dock->config.zone, &said->mac);
    for (home = guest ? guest->homes : NULL;
         home && n < MAT_AGENT_GUEST_MAX; home = home->next) {
        homes[n++] = home;
    }
    while (n) {
        if (homes[--n] != first) {
            home_starts(a, homes[n], dock, said_us, trigger);
        }
    }
}

/* If it is the guest that has spoken, it has moved here; else it is another's
 * and stays so. */
void
mat_agent_answered(struct mat_agent *a, struct mat_home *home)
{
    struct mat_stay *stay = home->stay;
    struct mat_dock *dock = stay->dock;

    stay->is_asked = false;
    mat_heap_cancel(&a->heap, &stay->timer);
    if (!dock || !may_take(a, dock, &home->guest->mac)) {
        if (dock && is_configured_hoa(dock, &home->key.addr)) {
            note_double(a, dock, home);
        }
        mat_learn_forget(a->learn, a->now_us, home->key.zone,
                         &home->key.addr);
        mat_home_step(a, home, MAT_LIFE_FAILED, NULL, "another's");
    } else if (stay->has_spoken && mat_home_may_claim(home)) {
        mat_home_step(a, home, MAT_LIFE_STARTS, dock, "asked");
    }
}

/* Ports that promise. */

static void
expect_home(struct mat_agent *a, struct mat_home *home,
            struct mat_dock *dock)
{
    enum mat_life state = mat_home_state(home);

    if (state == MAT_LIFE_LEAVING && home->stay->dock == dock) {
        mat_home_step(a, home, MAT_LIFE_GOES_ON, dock, "port");
    } else if (state == MAT_LIFE_PREPARED
               || (state != MAT_LIFE_LIVE && state != MAT_LIFE_LEAVING
                   && mat_home_may_claim(home)
                   && (mat_home_is_elsewhere(a, home) || home->stay))) {
        mat_home_step(a, home, MAT_LIFE_PREPARE, dock, "port");
    }
}

/* A port has come that has 'mac': what lives elsewhere with that MAC may soon
 * be here. */
void
mat_agent_expect(struct mat_agent *a, struct mat_dock *dock, uint32_t zone,
                 const struct mat_mac *mac)
{
    struct mat_guest *guest = mat_guest_find(a, zone, mac);
    struct mat_home *homes[MAT_AGENT_GUEST_MAX], *home;
    size_t n = 0;

    for (home = guest ? guest->homes : NULL;
         home && n < MAT_AGENT_GUEST_MAX; home = home->next) {
        homes[n++] = home;
    }
    while (n) {
        expect_home(a, homes[--n], dock);
    }
}

/* A home address is configured on a port, of which the MAC is known. */
static void
bound_by_config(struct mat_agent *a, const struct mat_learn_binding *b)
{
    struct mat_dock *dock = mat_dock_find(a, b->port);
    struct mat_home *home = mat_home_get(a, b->zone, &b->hoa);

    if (!dock || !dock->is_given || !home) {
        return;
    }
    if (!home->guest || is_unknown(home)) {
        mat_home_set_mac(a, home, &b->mac);
    }
    if (!home->guest || !mat_home_may_claim(home)) {
        mat_home_refresh(a, home);
        return;
    } else if (!mat_mac_equal(&home->guest->mac, &b->mac)) {
        note_double(a, dock, home);     /* Until the VMN speaks. */
        return;
    }
    if (is_unknown(home)) {
        if (mat_agent_may_ask(a)) {
            ask_first(a, home, dock, false, "configured");
        } else {
            mat_home_step(a, home, dock->is_dead ? MAT_LIFE_PREPARE
                          : MAT_LIFE_STARTS, dock, "configured");
        }
    } else {
        expect_home(a, home, dock);
    }
    if (home->stay) {
        home->stay->is_configured = true;
    }
}

void
mat_agent_check_double(struct mat_agent *a, struct mat_home *home)
{
    struct mat_learn_binding b;

    if (!home->is_doubled) {
        return;
    }
    forget_double(a, home);
    if (mat_learn_find(a->learn, home->key.zone, &home->key.addr, &b)
        && b.configured) {
        if (!home->live_host && !home->stay) {
            mat_home_set_mac(a, home, &b.mac);
        }
        bound_by_config(a, &b);
    }
}

static void
unbound(struct mat_agent *a, const struct mat_learn_change *change)
{
    const struct mat_learn_binding *b = &change->binding;
    struct mat_home *home = mat_home_find(a, b->zone, &b->hoa);

    if (home && home->is_doubled) {
        forget_double(a, home);
    }

    if ((change->why == MAT_LEARN_WHY_AGE
         || change->why == MAT_LEARN_WHY_CONFIG)
        && home && home->stay && home->stay->dock
        && !strcmp(home->stay->dock->name, b->port)) {
        mat_home_step(a, home, MAT_LIFE_RELEASE, NULL,
                      mat_learn_why_text(change->why));
    }
}

static void
note_change(struct mat_agent *a, const struct mat_learn_change *change)
{
    const struct mat_learn_binding *b = &change->binding;
    char mac[MAT_MAC_STRLEN], hoa[MAT_ADDR_STRLEN];

    switch (change->kind) {
    case MAT_LEARN_CHANGE_BOUND:
        if (b->configured) {
            bound_by_config(a, b);
        }
        break;
    case MAT_LEARN_CHANGE_UNBOUND:
        unbound(a, change);
        break;
    case MAT_LEARN_CHANGE_VIOLATION:
        mat_agent_log(a, MAT_AGENT_WARN,
                      "port %s: %s, MAC %s, HoA %s%s%s; %" PRIu64 " times",
                      b->port, mat_learn_verdict_text(change->verdict),
                      mat_mac_format(&b->mac, mac),
                      mat_addr_format(&b->hoa, hoa),
                      change->other[0] ? ", of port " : "", change->other,
                      change->n);
        break;
    case MAT_LEARN_CHANGE_ASK:
        mat_agent_emit_frame(a, b->port, change->frame, change->frame_size);
        break;
    }
}

void
mat_agent_drain_learn(struct mat_agent *a)
{
    struct mat_learn_change change;

    while (mat_learn_next(a->learn, &change)) {
        note_change(a, &change);
    }
}
