/* SPDX-License-Identifier: Apache-2.0 */
/* Home addresses, the MACs that they belong to, and the mirror of the
 * switch's entries.  Everything is found by a hash that is keyed by a secret,
 * so that nobody can choose addresses that meet; two that meet all the same
 * are told apart, and the later one is refused as if a limit were reached. */
#include "mat-agent-impl.h"

enum { HASH_HOME = 1, HASH_GUEST, HASH_SLOT };

uint64_t
mat_agent_hash(const struct mat_agent *a, uint32_t kind, const void *data,
               size_t size)
{
    const uint8_t *p = data;
    uint64_t h = mat_mix64(a->seed ^ kind ^ (uint64_t) size << 32), x;

    for (; size >= 8; size -= 8, p += 8) {
        memcpy(&x, p, 8);
        h = mat_mix64(h ^ x) + x;
    }
    x = 0;
    memcpy(&x, p, size);
    return mat_mix64(h ^ x);
}

static uint64_t
home_hash(const struct mat_agent *a, uint32_t zone,
          const struct mat_addr *hoa)
{
    uint8_t bytes[24] = { 0 };

    memcpy(bytes, hoa, 16);
    memcpy(bytes + 16, &zone, 4);
    return mat_agent_hash(a, HASH_HOME, bytes, sizeof bytes);
}

struct mat_home *
mat_home_find(const struct mat_agent *a, uint32_t zone,
              const struct mat_addr *hoa)
{
    struct mat_home *home = mat_index_find(&a->homes,
                                           home_hash(a, zone, hoa));

    return (home && home->key.zone == zone
            && mat_addr_equal(&home->key.addr, hoa) ? home : NULL);
}

struct mat_home *
mat_home_get(struct mat_agent *a, uint32_t zone, const struct mat_addr *hoa)
{
    uint64_t hash = home_hash(a, zone, hoa);
    struct mat_home *home = mat_index_find(&a->homes, hash);

    if (home) {
        return mat_home_find(a, zone, hoa);
    } else if (a->homes.n >= MAT_AGENT_HOMES_MAX || zone > MAT_ZONE_MAX
               || !mat_addr_is_host(hoa)) {
        mat_agent_count(a, MAT_AGENT_C_LIMITS);
        return NULL;
    }
    home = mat_xcalloc(1, sizeof *home);
    home->key = mat_key_vmn(zone, hoa, mat_addr_bits(hoa));
    home->timer.kind = MAT_AGENT_TIMER_HOME;
    mat_index_insert(&a->homes, hash, home);
    mat_home_reserve(a, home, true);
    return home;
}

/* Guests. */

static uint64_t
guest_hash(const struct mat_agent *a, uint32_t zone,
           const struct mat_mac *mac)
{
    uint8_t bytes[16] = { 0 };

    memcpy(bytes, mac, 6);
    memcpy(bytes + 8, &zone, 4);
    return mat_agent_hash(a, HASH_GUEST, bytes, sizeof bytes);
}

struct mat_guest *
mat_guest_find(const struct mat_agent *a, uint32_t zone,
               const struct mat_mac *mac)
{
    struct mat_guest *guest = mat_index_find(&a->guests,
                                             guest_hash(a, zone, mac));

    return (guest && guest->zone == zone && mat_mac_equal(&guest->mac, mac)
            ? guest : NULL);
}

static struct mat_guest *
get_guest(struct mat_agent *a, uint32_t zone, const struct mat_mac *mac)
{
    uint64_t hash = guest_hash(a, zone, mac);
    struct mat_guest *guest = mat_index_find(&a->guests, hash);

    if (guest) {
        return mat_guest_find(a, zone, mac);
    }
    guest = mat_xcalloc(1, sizeof *guest);
    guest->zone = zone;
    guest->mac = *mac;
    mat_index_insert(&a->guests, hash, guest);
    return guest;
}

static void
leave_guest(struct mat_agent *a, struct mat_home *home)
{
    struct mat_guest *guest = home->guest;

    if (!guest) {
        return;
    }
    if (home->prev) {
        home->prev->next = home->next;
    } else {
        guest->homes = home->next;
    }
    if (home->next) {
        home->next->prev = home->prev;
    }
    home->next = home->prev = NULL;
    home->guest = NULL;
    if (!--guest->n_homes) {
        mat_index_remove(&a->guests,
                         guest_hash(a, guest->zone, &guest->mac));
        free(guest);
    }
}

/* Lets 'home' belong to 'mac'.  False if that is no MAC for a VMN. */
bool
mat_home_set_mac(struct mat_agent *a, struct mat_home *home,
                 const struct mat_mac *mac)
{
    static const struct mat_mac gateway = MAT_GATEWAY_MAC;
    struct mat_guest *guest;

    if (home->guest && mat_mac_equal(&home->guest->mac, mac)) {
        return true;
    } else if (mat_mac_is_zero(mac) || mat_mac_is_multicast(mac)
               || mat_mac_equal(mac, &gateway)) {
        return false;
    }
    guest = get_guest(a, home->key.zone, mac);
    if (!guest) {
        mat_agent_count(a, MAT_AGENT_C_LIMITS);
        return false;
    }
    leave_guest(a, home);
    home->guest = guest;
    home->next = guest->homes;
    if (home->next) {
        home->next->prev = home;
    }
    guest->homes = home;
    guest->n_homes++;
    return true;
}

/* Ends. */

void
mat_home_destroy(struct mat_agent *a, struct mat_home *home)
{
    if (home->stay) {
        mat_stay_destroy(a, home->stay);
    }
    while (home->slots) {
        mat_slot_destroy(a, home->slots);
    }
    leave_guest(a, home);
    mat_home_reserve(a, home, false);
    mat_heap_cancel(&a->heap, &home->timer);
    mat_index_remove(&a->homes,
                     home_hash(a, home->key.zone, &home->key.addr));
    free(home->preps);
    free(home);
}

bool
mat_home_is_unused(const struct mat_home *home)
{
    return (!home->stay && !home->slots && !home->n_preps && !home->live_host
            && !home->is_frozen && !home->is_stopped && !home->is_waiting);
}

void
mat_home_put(struct mat_agent *a, struct mat_home *home)
{
    if (mat_home_is_unused(home)) {
        if (home->is_doubled) {
            mat_agent_no_problem(a, ~mat_key_hash(&home->key));
        }
        if (home->is_noted) {
            mat_agent_no_problem(a, mat_key_hash(&home->key));
        }
        if (home->is_clashing) {
            mat_home_clashes_no_more(a, home);
        }
        mat_home_destroy(a, home);
    }
}

/* Questions. */

bool
mat_home_may_claim(const struct mat_home *home)
{
    return !home->is_frozen && !home->is_stopped;
}

enum mat_life
mat_home_state(const struct mat_home *home)
{
    return home->stay ? home->stay->state : MAT_LIFE_ABSENT;
}

bool
mat_home_is_elsewhere(const struct mat_agent *a, const struct mat_home *home)
{
    return home->live_host && home->live_host != a->host;
}

/* Slots. */

static uint64_t
slot_hash(const struct mat_agent *a, const struct mat_addr *moa)
{
    return mat_agent_hash(a, HASH_SLOT, moa, sizeof *moa);
}

struct mat_slot *
mat_slot_of_moa(const struct mat_agent *a, const struct mat_addr *moa)
{
    struct mat_slot *slot = mat_index_find(&a->slots, slot_hash(a, moa));

    return slot && mat_addr_equal(&slot->moa, moa) ? slot : NULL;
}

struct mat_slot *
mat_home_slot(const struct mat_home *home, const struct mat_addr *moa)
{
    struct mat_slot *slot = home->slots;

    while (slot && !mat_addr_equal(&slot->moa, moa)) {
        slot = slot->next;
    }
    return slot;
}

/* The MoA must not be anybody's. */
struct mat_slot *
mat_slot_create(struct mat_agent *a, struct mat_home *home,
                const struct mat_addr *moa)
{
    uint64_t hash = slot_hash(a, moa);
    struct mat_slot *slot;

    if (mat_index_find(&a->slots, hash)) {
        mat_agent_count(a, MAT_AGENT_C_LIMITS);
        return NULL;
    }
    slot = mat_xcalloc(1, sizeof *slot);
    slot->home = home;
    slot->moa = *moa;
    slot->state = MAT_STATE_PREPARED;
    slot->next = home->slots;
    home->slots = slot;
    mat_index_insert(&a->slots, hash, slot);
    return slot;
}

/* Forgets it, without telling the switch. */
void
mat_slot_destroy(struct mat_agent *a, struct mat_slot *slot)
{
    struct mat_slot **p = &slot->home->slots;

    while (*p != slot) {
        p = &(*p)->next;
    }
    *p = slot->next;
    mat_index_remove(&a->slots, slot_hash(a, &slot->moa));
    mat_slot_set_dock(a, slot, NULL);
    mat_slot_set_former(a, slot, NULL);
    mat_slot_reserve(a, slot, false);
    if (slot->nexthop) {
        mat_way_unref(a, slot->nexthop);
    }
    free(slot);
}

void
mat_slot_set_dock(struct mat_agent *a, struct mat_slot *slot,
                  struct mat_dock *dock)
{
    struct mat_dock *old = slot->dock;

    if (dock) {
        mat_dock_ref(dock);
    }
    slot->dock = dock;
    if (old) {
        mat_dock_unref(a, old);
    }
}

void
mat_slot_op(const struct mat_slot *slot, enum mat_update_op_type type,
            struct mat_op *op)
{
    const struct mat_home *home = slot->home;

    *op = (struct mat_op) {
        .type = type,
        .entry = {
            .zone = home->key.zone, .hoa = home->key.addr, .moa = slot->moa,
            .plen = home->key.plen
        }
    };
    if (type == MAT_OP_ENTRY_REMOVE) {
        return;
    }
    op->entry.state = slot->state;
    op->entry.hold = slot->hold;
    op->entry.mac = slot->mac;
    op->entry.nexthop = (uint16_t) (slot->state == MAT_STATE_REMOTE
                                    ? slot->nexthop : 0);
    if (slot->state == MAT_STATE_LOCAL) {
        op->entry.former = slot->former;
    }
    if (slot->dock) {
        memcpy(op->entry.port, slot->dock->name, sizeof op->entry.port);
    }
}
