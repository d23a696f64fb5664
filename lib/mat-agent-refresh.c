/* SPDX-License-Identifier: Apache-2.0 */
/* From what is known of a home address to the entries of the switch.
 *
 *     state here   own MoA          the live MoA of another host
 *     ----------   --------------   ----------------------------
 *     absent                        remote
 *     prepared     prepared, port   remote
 *     live         local, port      prepared, while late packets may come
 *     leaving      departed         and the MoA prepared there is remote; as
 *                                   long as nobody has prepared, and the
 *                                   first moment: local, held
 *     gone         departed         remote
 *     parked                        remote
 *
 * Besides, all MoAs that other hosts have prepared are "prepared": good as
 * sources.  A remote entry needs a next hop: until that is known its MoA is
 * good as a source, and what was live before stays so.
 *
 * Here the switch's own rule is followed in the mirror: a live entry demotes
 * the live one before it. */
#include "mat-agent-impl.h"

#define RETRY_US (5 * MAT_AGENT_S)      /* As long as this host has a MoA that
                                         * is a peer's, too. */

struct want {
    struct mat_addr moa;
    enum mat_state state;
    bool hold;
    struct mat_dock *dock;
    uint16_t nexthop;
    struct mat_addr former;     /* Or zero. */
};

struct wants {
    struct want w[MAT_AGENT_WANTS_MAX];
    size_t n;
};

static bool
is_live(enum mat_state state)
{
    return state == MAT_STATE_LOCAL || state == MAT_STATE_REMOTE;
}

static void
add_want(struct wants *wants, const struct want *want)
{
    for (size_t i = 0; i < wants->n; i++) {
        if (mat_addr_equal(&wants->w[i].moa, &want->moa)) {
            return;             /* The first to say something is right. */
        }
    }
    MAT_ASSERT(wants->n < MAT_AGENT_WANTS_MAX);
    wants->w[wants->n++] = *want;
}

/* Wants 'moa' of 'host' as remote, if the way there is known. */
static bool
want_remote(struct mat_agent *a, struct mat_home *home, struct wants *wants,
            uint64_t host, const struct mat_addr *moa)
{
    struct mat_slot *slot = mat_home_slot(home, moa);
    struct mat_way *way = mat_way_for(a, host, moa);
    struct want want = { .moa = *moa, .state = MAT_STATE_REMOTE };

    if (way && way->is_known) {
        want.nexthop = way->id;
    } else {
        if (way) {
            mat_way_await(way, home);
        }
        if (slot && slot->state == MAT_STATE_REMOTE) {
            want.nexthop = slot->nexthop;
        } else {
            want.state = MAT_STATE_PREPARED;
        }
    }
    add_want(wants, &want);
    return want.state == MAT_STATE_REMOTE;
}

static const struct mat_prep *
newest_prep(const struct mat_home *home)
{
    const struct mat_prep *best = NULL;

    for (uint8_t i = 0; i < home->n_preps; i++) {
        const struct mat_prep *p = &home->preps[i];

        if (!best || mat_version_compare(&p->version, &best->version) > 0) {
            best = p;
        }
    }
    return best;
}

static void
want_own(struct mat_agent *a, struct mat_home *home, struct wants *wants)
{
    const struct mat_stay *stay = home->stay;
    const struct mat_prep *prep = newest_prep(home);
    const struct mat_addr *former;
    bool can_take = stay->dock && stay->dock->is_given && !stay->dock->is_dead;
    struct want want = {
        .moa = stay->moa, .dock = stay->dock, .hold = !can_take
    };

    switch (stay->state) {
    case MAT_LIFE_LIVE:
        want.state = MAT_STATE_LOCAL;
        want.hold = want.hold || stay->hold_until_us;
        former = mat_home_former(a, home);
        want.former = former ? *former : want.former;
        break;
    case MAT_LIFE_PREPARED:
        want.state = MAT_STATE_PREPARED;
        want.hold = want.hold && stay->dock;
        break;
    case MAT_LIFE_LEAVING:
        want.state = MAT_STATE_LOCAL;
        want.hold = true;
        if (prep && !stay->hold_until_us
            && want_remote(a, home, wants, prep->host, &prep->moa)) {
            want.state = MAT_STATE_DEPARTED;
        }
        break;
    case MAT_LIFE_GONE:
        want.state = MAT_STATE_DEPARTED;
        break;
    case MAT_LIFE_PARKED:
    case MAT_LIFE_ABSENT:
        return;
    }
    if (want.state == MAT_STATE_DEPARTED) {
        want.dock = NULL;
        want.hold = false;
    } else if (want.state == MAT_STATE_LOCAL && !want.dock) {
        return;                 /* Nothing to deliver it to. */
    }
    add_want(wants, &want);
}

static void
collect(struct mat_agent *a, struct mat_home *home, struct wants *wants)
{
    enum mat_life state = mat_home_state(home);

    wants->n = 0;
    if (home->stay && home->stay->has_moa && home->guest) {
        want_own(a, home, wants);
    }
    if (mat_home_is_elsewhere(a, home) && home->guest) {
        if (state != MAT_LIFE_LIVE && state != MAT_LIFE_LEAVING) {
            want_remote(a, home, wants, home->live_host, &home->live_moa);
        } else {
            add_want(wants, &(struct want) {
                .moa = home->live_moa, .state = MAT_STATE_PREPARED
            });
        }
    }
    for (uint8_t i = 0; home->guest && i < home->n_preps; i++) {
        add_want(wants, &(struct want) {
            .moa = home->preps[i].moa, .state = MAT_STATE_PREPARED
        });
    }
}

/* Doing. */

static void
set_nexthop(struct mat_agent *a, struct mat_slot *slot, uint16_t nexthop)
{
    if (slot->nexthop != nexthop) {
        if (nexthop) {
            mat_way_ref(a, nexthop);
        }
        if (slot->nexthop) {
            mat_way_unref(a, slot->nexthop);
        }
        slot->nexthop = nexthop;
    }
}

static void
remove_slot(struct mat_agent *a, struct mat_slot *slot)
{
    struct mat_op op;

    mat_slot_op(slot, MAT_OP_ENTRY_REMOVE, &op);
    mat_agent_emit(a, &op);
    if (slot->is_own) {
        mat_moa_release(a->moa, a->now_us, &slot->moa);
    }
    mat_slot_destroy(a, slot);
}

/* What the switch does by itself when 'live' becomes so. */
static void
demote_others(struct mat_agent *a, const struct mat_slot *live)
{
    for (struct mat_slot *s = live->home->slots; s; s = s->next) {
        if (s != live && is_live(s->state)) {
            s->state = (s->state == MAT_STATE_LOCAL ? MAT_STATE_DEPARTED
                        : MAT_STATE_PREPARED);
            s->hold = s->seen = false;
            set_nexthop(a, s, 0);
            mat_slot_set_dock(a, s, NULL);
            mat_slot_set_former(a, s, NULL);
        }
    }
}

static bool
is_as_wanted(const struct mat_slot *slot, const struct want *want)
{
    return (slot->sequence && slot->state == want->state
            && slot->hold == want->hold && slot->dock == want->dock
            && slot->nexthop == want->nexthop
            && mat_addr_equal(&slot->former, &want->former)
            && mat_mac_equal(&slot->mac, &slot->home->guest->mac));
}

static void
take_slot(struct mat_agent *a, struct mat_slot *slot)
{
    struct mat_home *home = slot->home;
    bool is_former = slot->is_former;

    remove_slot(a, slot);
    if (is_former) {
        mat_home_refresh(a, home);      /* It may speak by it no more. */
    }
}

/* Does this host have the MoA of 'slot', for its VMNs or for late packets? */
static bool
is_ours(const struct mat_agent *a, const struct mat_slot *slot)
{
    const struct mat_stay *stay = slot->home->stay;
    struct mat_moa_info info;

    if (slot->is_own) {
        return !mat_moa_find(a->moa, &slot->moa, &info) || !info.draining;
    }
    return stay && stay->has_moa && mat_addr_equal(&stay->moa, &slot->moa);
}

/* The slot of 'want', taken from another home if that has no right to it. */
static struct mat_slot *
slot_for(struct mat_agent *a, struct mat_home *home, const struct want *want)
{
    struct mat_slot *slot = mat_home_slot(home, &want->moa), *other;

    if (slot) {
        return slot;
    }
    other = mat_slot_of_moa(a, &want->moa);
    if (other) {
        if (is_ours(a, other)) {
            mat_home_clashes(a, home, other);
            return NULL;
        }
        if (is_live(other->state)) {
            mat_agent_count(a, MAT_AGENT_C_MOA_CLASHES);
        }
        take_slot(a, other);
    }
    return mat_slot_create(a, home, &want->moa);
}

static void
put_want(struct mat_agent *a, struct mat_home *home, const struct want *want)
{
    struct mat_slot *slot = slot_for(a, home, want);
    struct mat_dock *old;
    uint16_t old_nexthop;
    struct mat_op op;

    if (!slot) {
        return;
    }
    slot->is_adopted = false;
    slot->is_own = false;
    if (is_as_wanted(slot, want)) {
        return;
    }
    old = slot->dock;           /* Not removed before it is unused. */
    old_nexthop = slot->nexthop;
    if (old) {
        mat_dock_ref(old);
    }
    mat_way_ref(a, old_nexthop);
    slot->state = want->state;
    slot->hold = want->hold;
    slot->mac = home->guest->mac;
    slot->seen = false;
    set_nexthop(a, slot, want->nexthop);
    if (want->state == MAT_STATE_REMOTE) {
        mat_slot_reserve(a, slot, true);
    }
    mat_slot_set_dock(a, slot, want->dock);
    mat_slot_set_former(a, slot, mat_addr_is_zero(&want->former) ? NULL
                        : &want->former);
    mat_slot_op(slot, MAT_OP_ENTRY_PUT, &op);
    slot->sequence = mat_agent_emit(a, &op);
    slot->sequence += !slot->sequence;  /* 0 is "never put". */
    if (is_live(slot->state)) {
        demote_others(a, slot);
    }
    if (old) {
        mat_dock_unref(a, old);
    }
    mat_way_unref(a, old_nexthop);
}

static bool
is_wanted(const struct wants *wants, const struct mat_slot *slot)
{
    for (size_t i = 0; i < wants->n; i++) {
        if (mat_addr_equal(&wants->w[i].moa, &slot->moa)) {
            return true;
        }
    }
    return false;
}

/* What nothing wants goes, or stays for a while for late packets. */
static void
sweep(struct mat_agent *a, struct mat_home *home, const struct wants *wants)
{
    int64_t next_us = MAT_TIMER_NEVER;
    struct mat_slot *slot, *next;

    for (slot = home->slots; slot; slot = next) {
        next = slot->next;
        if (is_wanted(wants, slot)) {
            continue;
        } else if (slot->until_us <= a->now_us) {
            remove_slot(a, slot);
        } else if (slot->until_us < next_us) {
            next_us = slot->until_us;
        }
    }
    if (mat_home_is_unused(home)) {
        next_us = a->now_us;
    } else if (home->is_clashing && next_us > a->now_us + RETRY_US) {
        next_us = a->now_us + RETRY_US;
    }
    if (next_us == MAT_TIMER_NEVER) {
        mat_heap_cancel(&a->heap, &home->timer);
    } else {
        mat_heap_set(&a->heap, &home->timer, next_us);
    }
}

/* Lets the switch have what 'home' should have there: the live entry first,
 * so that there is one at all times. */
void
mat_home_refresh(struct mat_agent *a, struct mat_home *home)
{
    bool was_clashing = home->is_clashing;
    struct wants wants;

    mat_agent_count(a, MAT_AGENT_C_STEPS);
    collect(a, home, &wants);
    home->is_clashing = false;
    for (int live = 1; live >= 0; live--) {
        for (size_t i = 0; i < wants.n; i++) {
            if (is_live(wants.w[i].state) == (live == 1)) {
                put_want(a, home, &wants.w[i]);
            }
        }
    }
    sweep(a, home, &wants);
    if (was_clashing && !home->is_clashing) {
        mat_home_clashes_no_more(a, home);
    }
}

void
mat_home_timer(struct mat_agent *a, struct mat_home *home)
{
    mat_home_refresh(a, home);
    mat_home_put(a, home);
}

void
mat_home_put_unseen(struct mat_agent *a, struct mat_home *home)
{
    struct mat_slot *slot;
    struct mat_op op;

    for (int live = 1; live >= 0; live--) {
        for (slot = home->slots; slot; slot = slot->next) {
            if (!slot->seen && is_live(slot->state) == (live == 1)) {
                mat_slot_op(slot, MAT_OP_ENTRY_PUT, &op);
                slot->sequence = mat_agent_emit(a, &op);
                slot->sequence += !slot->sequence;
                mat_agent_count(a, MAT_AGENT_C_REPAIRS);
            }
        }
    }
}
