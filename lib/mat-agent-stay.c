/* SPDX-License-Identifier: Apache-2.0 */
/* The stay of a home address on this host: what follows from each step. */
#include "mat-agent-impl.h"

#include <inttypes.h>
#include <stdio.h>

/* Making and ending. */

void
mat_stay_set_dock(struct mat_agent *a, struct mat_stay *stay,
                  struct mat_dock *dock)
{
    struct mat_dock *old = stay->dock;

    if (old == dock) {
        return;
    }
    if (dock) {
        mat_dock_ref(dock);
    }
    if (old) {
        if (stay->prev) {
            stay->prev->next = stay->next;
        } else {
            old->stays = stay->next;
        }
        if (stay->next) {
            stay->next->prev = stay->prev;
        }
        stay->next = stay->prev = NULL;
    }
    stay->dock = dock;
    if (dock) {
        stay->next = dock->stays;
        if (stay->next) {
            stay->next->prev = stay;
        }
        dock->stays = stay;
    }
    if (old) {
        mat_dock_unref(a, old);
    }
}

static void
set_state(struct mat_agent *a, struct mat_stay *stay, enum mat_life state)
{
    if (stay->state == MAT_LIFE_LIVE && stay->has_moa) {
        /* At home, another host may speak for it next. */
        mat_moa_hush(a->moa, a->now_us, &stay->moa);
    }
    a->n_stays[stay->state]--;
    a->n_stays[state]++;
    stay->state = state;
    stay->since_us = a->now_us;
    stay->hold_until_us = 0;
    a->is_dirty = true;
}

struct mat_stay *
mat_stay_create(struct mat_agent *a, struct mat_home *home,
                enum mat_life state, struct mat_dock *dock,
                const struct mat_addr *moa)
{
    struct mat_stay *stay = mat_xcalloc(1, sizeof *stay);

    MAT_ASSERT(!home->stay);
    stay->home = home;
    stay->timer.kind = MAT_AGENT_TIMER_STAY;
    home->stay = stay;
    stay->state = state;
    stay->since_us = a->now_us;
    a->n_stays[state]++;
    if (moa) {
        stay->moa = *moa;
        stay->has_moa = true;
    }
    mat_stay_set_dock(a, stay, dock);
    a->is_dirty = true;
    return stay;
}

static void
forget_ack(struct mat_agent *a, const struct mat_stay *stay)
{
    for (size_t i = 0; i < a->n_unacked; i++) {
        if (a->unacked[i] == stay) {
            a->unacked[i] = NULL;
        }
    }
}

/* Its MoA, if any, is the caller's to release. */
void
mat_stay_destroy(struct mat_agent *a, struct mat_stay *stay)
{
    forget_ack(a, stay);
    mat_heap_cancel(&a->heap, &stay->timer);
    mat_stay_set_dock(a, stay, NULL);
    a->n_stays[stay->state]--;
    stay->home->stay = NULL;
    a->is_dirty = true;
    free(stay);
}

/* MoAs. */

static struct mat_moa_owner
owner_of(const struct mat_home *home)
{
    return (struct mat_moa_owner) { home->key.zone, home->key.addr };
}

static void
complain_of_moa(struct mat_agent *a, struct mat_home *home,
                enum mat_moa_result result)
{
    char name[MAT_HOME_STRLEN], text[MAT_AGENT_TEXT_SIZE];

    mat_agent_count(a, MAT_AGENT_C_NO_MOA);
    snprintf(text, sizeof text,
             "%s cannot be served, there is no MoA for it: %s",
             mat_home_format(home, name), mat_moa_strerror(result));
    mat_agent_log(a, MAT_AGENT_ALARM, "%s", text);
    mat_agent_problem(a, mat_key_hash(&home->key), text);
    home->is_noted = true;
}

/* Has it a MoA that is good enough as long as there is no better one? */
static bool
is_served(const struct mat_agent *a, const struct mat_stay *stay)
{
    struct mat_moa_info info;
    size_t i;

    if (!stay->has_moa || !mat_moa_find(a->moa, &stay->moa, &info)
        || info.draining) {
        return false;
    }
    i = mat_agent_find_uplink(a, info.uplink);
    return i < a->n_uplinks && a->uplinks[i].up;
}

/* One of the uplink by which VMNs send, if it has any, else as wanted. */
static enum mat_moa_result
take_of_active(struct mat_agent *a, const struct mat_moa_want *want,
               struct mat_moa_info *info)
{
    struct mat_moa_want active = *want;

    if (!want->uplink && a->active[0] && a->n_uplinks > 1) {
        active.uplink = a->active;
        if (mat_moa_take(a->moa, a->now_us, &active, info) == MAT_MOA_OK) {
            return MAT_MOA_OK;
        }
    }
    return mat_moa_take(a->moa, a->now_us, want, info);
}

bool
mat_stay_take_moa_by(struct mat_agent *a, struct mat_stay *stay,
                     const char *uplink)
{
    struct mat_home *home = stay->home;
    const struct mat_moa_want want = {
        .owner = owner_of(home), .uplink = uplink,
        .home = a->config.home && home->key.zone == a->config.zone
    };
    struct mat_moa_info info;
    enum mat_moa_result result;

    result = take_of_active(a, &want, &info);
    if (result != MAT_MOA_OK) {
        if (!is_served(a, stay)) {
            complain_of_moa(a, home, result);
        }
        return false;
    }
    if (home->is_noted) {
        home->is_noted = false;
        mat_agent_no_problem(a, mat_key_hash(&home->key));
    }
    stay->moa = info.moa;
    stay->has_moa = true;
    a->is_dirty = true;
    return true;
}

/* Lets go of a MoA that is in no pool any more: it stays in the switch for
 * late packets, and is released with the entry. */
static void
leave_drained_moa(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_slot *slot = mat_home_slot(stay->home, &stay->moa);
    struct mat_moa_info info;

    if (!mat_moa_find(a->moa, &stay->moa, &info) || !info.draining) {
        return;
    }
    stay->has_moa = false;
    if (slot) {
        slot->is_own = true;
        slot->until_us = a->now_us + MAT_AGENT_LATE_US;
    } else {
        mat_moa_release(a->moa, a->now_us, &stay->moa);
    }
}

bool
mat_stay_take_moa(struct mat_agent *a, struct mat_stay *stay)
{
    if (stay->has_moa && stay->state == MAT_LIFE_GONE) {
        leave_drained_moa(a, stay);
    }
    return stay->has_moa || mat_stay_take_moa_by(a, stay, NULL);
}

/* After a restart: the MoA that it had is its own, or it gets another. */
void
mat_stay_adopt_moa(struct mat_agent *a, struct mat_stay *stay)
{
    const struct mat_moa_owner owner = owner_of(stay->home);
    enum mat_moa_result result;

    result = mat_moa_adopt(a->moa, a->now_us, &owner, &stay->moa);
    if (result != MAT_MOA_OK) {
        stay->has_moa = false;
        if (stay->state != MAT_LIFE_GONE) {
            mat_stay_take_moa_by(a, stay, NULL);
        }
    }
}

static void
release_moa(struct mat_agent *a, struct mat_stay *stay)
{
    if (stay->has_moa) {
        stay->has_moa = false;
        mat_moa_release(a->moa, a->now_us, &stay->moa);
    }
}

/* Leaves the MoA in the switch, so that packets that wait for it, or are still
 * under way, go to where the VMN is live. */
static void
linger(struct mat_agent *a, struct mat_stay *stay, int64_t for_us)
{
    struct mat_slot *slot = mat_home_slot(stay->home, &stay->moa);
    struct mat_op op;

    if (!slot || !stay->has_moa) {
        release_moa(a, stay);
        return;
    }
    slot->is_own = true;
    slot->until_us = a->now_us + for_us;
    slot->state = MAT_STATE_DEPARTED;
    slot->hold = slot->seen = false;
    mat_slot_op(slot, MAT_OP_ENTRY_PUT, &op);
    op.entry.port[0] = '\0';
    slot->sequence = mat_agent_emit(a, &op);
    slot->sequence += !slot->sequence;
    mat_slot_set_dock(a, slot, NULL);
    op = (struct mat_op) {
        .type = MAT_OP_RELEASE,
        .held = { stay->home->key.zone, stay->moa }
    };
    mat_agent_emit(a, &op);
    stay->has_moa = false;
}

/* The gossip engine. */

void
mat_stay_claim(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_home *home = stay->home;
    struct mat_agent_migration *m = mat_migration_of(a, home);
    char name[MAT_HOME_STRLEN], text[MAT_AGENT_TEXT_SIZE];
    enum mat_gossip_result result;

    stay->is_claim_due = false;
    if (m && m->kind != MAT_MIGRATION_OUT) {
        mat_migration_phase(a, m, MAT_MIGRATION_CLAIMED);
    }
    if (!mat_agent_has_gossip(a)) {
        return;
    }
    result = mat_agent_call(a, MAT_REC_CLAIM, &home->key, &stay->moa,
                            &home->guest->mac, false);
    stay->is_claimed = result == MAT_GOSSIP_OK;
    if (!stay->is_claimed) {
        mat_agent_count(a, MAT_AGENT_C_REFUSED_CLAIMS);
        snprintf(text, sizeof text, "%s: peers are not told of it, %s",
                 mat_home_format(home, name),
                 result == MAT_GOSSIP_FROZEN ? "it is frozen"
                 : result == MAT_GOSSIP_LIMIT ? "there are too many VMNs here"
                 : "the certificate of this host does not permit it");
        mat_agent_log(a, MAT_AGENT_ALARM, "%s", text);
        if (m) {
            mat_migration_end(a, m, MAT_MIGRATION_LOST);
        }
    }
}

static void
await_ack(struct mat_agent *a, struct mat_stay *stay)
{
    if (a->n_unacked == a->unacked_allocated) {
        a->unacked_allocated = a->n_unacked ? a->n_unacked * 2 : 16;
        a->unacked = mat_xrealloc(a->unacked, a->unacked_allocated
                                  * sizeof *a->unacked);
    }
    a->unacked[a->n_unacked++] = stay;
    stay->sequence = a->sequence;
}

/* The switch has done something: claims that waited for it go out. */
void
mat_stay_acked(struct mat_agent *a)
{
    size_t done = 0;

    while (done < a->n_unacked) {
        struct mat_stay *stay = a->unacked[done];
        struct mat_agent_migration *m;

        if (stay && stay->sequence > a->acked) {
            break;
        }
        done++;
        if (!stay) {
            continue;
        }
        m = mat_migration_last(a, stay->home);
        if (m) {
            mat_migration_phase(a, m, MAT_MIGRATION_TABLE);
        }
        if (stay->is_claim_due) {
            mat_heap_cancel(&a->heap, &stay->timer);
            mat_stay_claim(a, stay);
        }
        if (m && m->kind != MAT_MIGRATION_OUT && !mat_agent_has_gossip(a)) {
            mat_migration_end(a, m, MAT_MIGRATION_DONE);
        }
    }
    a->n_unacked -= done;
    if (done) {
        memmove(a->unacked, a->unacked + done,
                a->n_unacked * sizeof *a->unacked);
    }
}

void
mat_stay_tell(struct mat_agent *a, struct mat_stay *stay)
{
    const struct mat_key *key = &stay->home->key;

    if (!stay->home->guest || !stay->has_moa) {
        return;
    }
    switch (stay->state) {
    case MAT_LIFE_LIVE:
    case MAT_LIFE_LEAVING:
    case MAT_LIFE_PARKED:
        mat_stay_claim(a, stay);
        if (stay->state == MAT_LIFE_LEAVING) {
            mat_agent_call(a, MAT_REC_LEAVING, key, NULL, NULL, true);
        }
        if (stay->state == MAT_LIFE_PARKED || !stay->dock
            || !stay->dock->is_given) {
            mat_agent_call(a, MAT_REC_PORT, key, NULL, NULL, false);
        }
        break;
    case MAT_LIFE_PREPARED:
        mat_agent_call(a, MAT_REC_PREPARE, key, &stay->moa,
                       &stay->home->guest->mac, false);
        break;
    case MAT_LIFE_GONE:
    case MAT_LIFE_ABSENT:
        break;
    }
}

/* Steps. */

static void
log_step(struct mat_agent *a, const struct mat_stay *stay, enum mat_life from,
         enum mat_life to, enum mat_life_cause cause, const char *trigger)
{
    const struct mat_home *home = stay->home;
    struct mat_agent_migration *m = mat_migration_last(a, home);
    char name[MAT_HOME_STRLEN], moa[MAT_ADDR_STRLEN], mac[MAT_MAC_STRLEN];
    const struct mat_mac zero = { { 0 } };

    mat_agent_log(a, MAT_AGENT_INFO,
                  "migration %" PRIu64 ": %s (%s): %s -> %s, %s (%s)%s%s%s%s",
                  m ? m->id : 0, mat_home_format(home, name),
                  mat_mac_format(home->guest ? &home->guest->mac : &zero,
                                 mac),
                  mat_life_name(from), mat_life_name(to),
                  mat_life_cause_name(cause), trigger,
                  stay->dock ? ", port " : "",
                  stay->dock ? stay->dock->name : "",
                  stay->has_moa ? ", MoA " : "",
                  stay->has_moa ? mat_addr_format(&stay->moa, moa) : "");
}

static void
enter_prepared(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_home *home = stay->home;
    struct mat_agent_migration *m = mat_migration_of(a, home);

    mat_agent_count(a, MAT_AGENT_C_PREPARED);
    mat_home_refresh(a, home);
    if (m) {
        mat_migration_phase(a, m, MAT_MIGRATION_PREPARED);
    }
    mat_agent_call(a, MAT_REC_PREPARE, &home->key, &stay->moa,
                   &home->guest->mac, false);
    if (stay->dock) {
        mat_heap_cancel(&a->heap, &stay->timer);
    } else {
        mat_heap_set(&a->heap, &stay->timer,
                     a->now_us + MAT_AGENT_PREPARE_US);
    }
}

static void
enter_live(struct mat_agent *a, struct mat_stay *stay, enum mat_life from)
{
    struct mat_home *home = stay->home;
    const struct mat_slot *slot = mat_home_slot(home, &stay->moa);
    bool is_known = slot && slot->sequence && slot->sequence <= a->acked;

    home->is_in_conflict = false;
    mat_heap_cancel(&a->heap, &stay->timer);
    if (stay->dock) {
        mat_learn_restore(a->learn, a->now_us, stay->dock->name,
                          &home->guest->mac, &home->key.addr);
    }
    mat_home_refresh(a, home);
    if (from == MAT_LIFE_LEAVING) {
        mat_agent_call(a, MAT_REC_PORT, &home->key, NULL, NULL, true);
        mat_agent_call(a, MAT_REC_LEAVING, &home->key, NULL, NULL, false);
    }
    forget_ack(a, stay);
    if (a->is_synced && a->config.mode == MAT_AGENT_ACTIVE) {
        await_ack(a, stay);
        stay->is_claim_due = !is_known;
    }
    if (stay->is_claim_due) {
        mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_ACK_US);
    } else {
        mat_stay_claim(a, stay);
    }
    mat_moa_announce(a->moa, a->now_us, &stay->moa);
}

static void
enter_leaving(struct mat_agent *a, struct mat_stay *stay)
{
    const struct mat_key *key = &stay->home->key;
    bool has_port = stay->dock && stay->dock->is_given;
    struct mat_agent_migration *m = mat_migration_of(a, stay->home);

    if (m) {
        mat_migration_phase(a, m, MAT_MIGRATION_STOPPED);
    }
    if (has_port) {
        mat_stay_hold_tail(a, stay);
    } else {
        mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_GRACE_US);
    }
    mat_home_refresh(a, stay->home);
    if (has_port) {
        mat_agent_call(a, MAT_REC_LEAVING, key, NULL, NULL, true);
    } else {
        mat_agent_call(a, MAT_REC_PORT, key, NULL, NULL, false);
    }
}

static void
enter_gone(struct mat_agent *a, struct mat_stay *stay)
{
    struct mat_home *home = stay->home;
    struct mat_agent_migration *m = mat_migration_of(a, home);

    mat_agent_count(a, MAT_AGENT_C_MOVES_OUT);
    stay->is_claimed = stay->is_claim_due = false;
    stay->heard_us = a->now_us;
    mat_home_refresh(a, home);
    if (m) {
        mat_migration_phase(a, m, MAT_MIGRATION_CLAIMED);
        m->to = home->live_host;
    }
    forget_ack(a, stay);
    if (a->is_synced && a->config.mode == MAT_AGENT_ACTIVE) {
        await_ack(a, stay);
    }
    mat_learn_forget(a->learn, a->now_us, home->key.zone, &home->key.addr);
    mat_heap_set(&a->heap, &stay->timer, a->now_us + MAT_AGENT_LATE_US);
}

static void
enter_parked(struct mat_agent *a, struct mat_stay *stay)
{
    mat_agent_count(a, MAT_AGENT_C_PARKED);
    mat_home_refresh(a, stay->home);
    mat_agent_call(a, MAT_REC_PORT, &stay->home->key, NULL, NULL, false);
    mat_heap_set(&a->heap, &stay->timer,
                 a->now_us + a->config.parked_s * MAT_AGENT_S);
}

static void
enter_absent(struct mat_agent *a, struct mat_home *home, enum mat_life from)
{
    struct mat_stay *stay = home->stay;
    struct mat_agent_migration *m = mat_migration_of(a, home);
    bool failed = from == MAT_LIFE_PREPARED;

    if (m) {
        mat_migration_end(a, m, failed ? MAT_MIGRATION_FAILED
                          : MAT_MIGRATION_DONE);
    }
    if (failed) {
        mat_agent_count(a, MAT_AGENT_C_MOVES_FAILED);
        linger(a, stay, MAT_AGENT_LATE_US);
    } else {
        if (from != MAT_LIFE_GONE) {
            mat_agent_count(a, MAT_AGENT_C_RELEASED);
        }
        release_moa(a, stay);
    }
    mat_agent_call(a, MAT_REC_RELEASE, &home->key, NULL, NULL, false);
    mat_stay_destroy(a, stay);
    mat_home_refresh(a, home);
}

/* The migration that this step begins or goes on with. */
static void
note_migration(struct mat_agent *a, struct mat_home *home, enum mat_life from,
               enum mat_life to, const char *trigger)
{
    struct mat_agent_migration *m = mat_migration_of(a, home);
    bool is_out = m && m->kind == MAT_MIGRATION_OUT;

    if (to == MAT_LIFE_LIVE && from == MAT_LIFE_LEAVING) {
        mat_agent_count(a, MAT_AGENT_C_ROLLED_BACK);
        if (is_out) {
            mat_migration_end(a, m, MAT_MIGRATION_FAILED);
        }
    } else if (to == MAT_LIFE_LIVE || to == MAT_LIFE_PREPARED) {
        bool is_in = mat_home_is_elsewhere(a, home);

        if (!m || is_out) {
            if (is_out) {
                mat_migration_end(a, m, MAT_MIGRATION_DONE);
            }
            m = mat_migration_start(a, home, is_in ? MAT_MIGRATION_IN
                                    : MAT_MIGRATION_APPEARED, trigger);
        }
        if (to == MAT_LIFE_LIVE && m) {
            mat_agent_count(a, is_in ? MAT_AGENT_C_MOVES_IN
                            : MAT_AGENT_C_APPEARED);
            m->to = a->host;
        }
    } else if ((to == MAT_LIFE_LEAVING || to == MAT_LIFE_GONE) && !is_out) {
        if (m) {
            mat_migration_end(a, m, MAT_MIGRATION_LOST);
        }
        m = mat_migration_start(a, home, MAT_MIGRATION_OUT, trigger);
        if (m) {
            m->from = a->host;
        }
    }
}

/* STARTS on another port of this host. */
static void
move_locally(struct mat_agent *a, struct mat_stay *stay,
             struct mat_dock *dock, const char *trigger)
{
    struct mat_agent_migration *m;
    char name[MAT_HOME_STRLEN];

    m = mat_migration_of(a, stay->home);
    if (!m) {
        m = mat_migration_start(a, stay->home, MAT_MIGRATION_LOCAL, trigger);
    }
    mat_agent_count(a, MAT_AGENT_C_MOVES_LOCAL);
    mat_agent_log(a, MAT_AGENT_INFO,
                  "migration %" PRIu64 ": %s: port %s -> %s (%s)",
                  m ? m->id : 0, mat_home_format(stay->home, name),
                  stay->dock ? stay->dock->name : "(none)", dock->name,
                  trigger);
    mat_stay_set_dock(a, stay, dock);
    stay->since_us = a->now_us;
    a->is_dirty = true;
    mat_learn_restore(a->learn, a->now_us, dock->name,
                      &stay->home->guest->mac, &stay->home->key.addr);
    mat_home_refresh(a, stay->home);
    if (m) {
        mat_migration_phase(a, m, MAT_MIGRATION_CLAIMED);
        mat_migration_end(a, m, MAT_MIGRATION_DONE);
    }
}

static void
same_state(struct mat_agent *a, struct mat_stay *stay,
           enum mat_life_cause cause, struct mat_dock *dock,
           const char *trigger)
{
    if (!stay || !dock || stay->dock == dock) {
        return;
    }
    if (stay->state == MAT_LIFE_LIVE && cause == MAT_LIFE_STARTS) {
        move_locally(a, stay, dock, trigger);
    } else if (stay->state == MAT_LIFE_PREPARED
               && cause == MAT_LIFE_PREPARE) {
        mat_stay_set_dock(a, stay, dock);
        mat_heap_cancel(&a->heap, &stay->timer);
        mat_home_refresh(a, stay->home);
    }
}

/* Does 'stay' get what the next state needs?  If not, it ends. */
static bool
can_enter(struct mat_agent *a, struct mat_stay *stay, enum mat_life to)
{
    struct mat_home *home = stay->home;

    if (to == MAT_LIFE_PREPARED || to == MAT_LIFE_LIVE) {
        if (!home->guest || !mat_stay_take_moa(a, stay)) {
            mat_stay_destroy(a, stay);
            mat_home_refresh(a, home);
            return false;
        }
    }
    return true;
}

void
mat_home_step(struct mat_agent *a, struct mat_home *home,
              enum mat_life_cause cause, struct mat_dock *dock,
              const char *trigger)
{
    enum mat_life from = mat_home_state(home);
    enum mat_life to = mat_life_next(from, cause);
    struct mat_stay *stay = home->stay;

    if (to == from) {
        same_state(a, stay, cause, dock, trigger);
        return;
    } else if (!stay) {
        stay = mat_stay_create(a, home, MAT_LIFE_ABSENT, dock, NULL);
    }
    if (!can_enter(a, stay, to)) {
        return;
    }
    if (dock && (to == MAT_LIFE_PREPARED || to == MAT_LIFE_LIVE)) {
        mat_stay_set_dock(a, stay, dock);
    }
    note_migration(a, home, from, to, trigger);
    set_state(a, stay, to);
    log_step(a, stay, from, to, cause, trigger);
    switch (to) {
    case MAT_LIFE_PREPARED:
        enter_prepared(a, stay);
        break;
    case MAT_LIFE_LIVE:
        enter_live(a, stay, from);
        break;
    case MAT_LIFE_LEAVING:
        enter_leaving(a, stay);
        break;
    case MAT_LIFE_GONE:
        enter_gone(a, stay);
        break;
    case MAT_LIFE_PARKED:
        enter_parked(a, stay);
        break;
    case MAT_LIFE_ABSENT:
        enter_absent(a, home, from);
        break;
    }
}

/* Time. */

/* A VM that has stopped started nowhere. */
static void
leaving_timer(struct mat_agent *a, struct mat_stay *stay)
{
    bool has_port = stay->dock && stay->dock->is_given;

    if (stay->hold_until_us) {
        mat_stay_end_tail(a, stay);
        return;
    }
    mat_home_step(a, stay->home,
                  has_port ? MAT_LIFE_GOES_ON : MAT_LIFE_QUIET, NULL,
                  "timeout");
}

static void
gone_timer(struct mat_agent *a, struct mat_stay *stay)
{
    int64_t quiet_us = stay->heard_us + MAT_AGENT_LATE_US;
    int64_t last_us = stay->since_us + a->config.quarantine_s * MAT_AGENT_S;

    if (quiet_us <= a->now_us || last_us <= a->now_us) {
        mat_home_step(a, stay->home, MAT_LIFE_QUIET, NULL, "quiet");
    } else {
        mat_heap_set(&a->heap, &stay->timer,
                     quiet_us < last_us ? quiet_us : last_us);
    }
}

void
mat_stay_timer(struct mat_agent *a, struct mat_stay *stay)
{
    switch (stay->state) {
    case MAT_LIFE_PREPARED:
        if (stay->is_asked) {
            mat_agent_ask_again(a, stay);
        } else if (!stay->dock) {
            mat_home_step(a, stay->home, MAT_LIFE_QUIET, NULL, "timeout");
        }
        break;
    case MAT_LIFE_LIVE:
        if (stay->is_claim_due) {
            mat_stay_claim(a, stay);
        } else {
            mat_stay_hold(a, stay, false);
        }
        break;
    case MAT_LIFE_LEAVING:
        leaving_timer(a, stay);
        break;
    case MAT_LIFE_GONE:
        gone_timer(a, stay);
        break;
    case MAT_LIFE_PARKED:
        mat_home_step(a, stay->home, MAT_LIFE_QUIET, NULL, "timeout");
        break;
    case MAT_LIFE_ABSENT:
        break;
    }
}
