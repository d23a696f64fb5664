/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-hold.h"

#include <stdio.h>

#include "dp-packet.h"
#include "matx-dpif.h"
#include "matx-events.h"
#include "matx-socket.h"
#include "matx-table.h"
#include "netlink.h"
#include "openvswitch/thread.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "random.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat_hold);

/* A packet that waits, and the action that it met. */
struct held {
    struct held *next;          /* Among those to be dropped. */
    struct dp_packet *packet;
    struct nlattr action[2];    /* With its argument of 32 bits. */
};

BUILD_ASSERT_DECL(sizeof ((struct held *) 0)->action
                  == NLA_HDRLEN + sizeof(uint32_t));

/* What waits must not hurt those who do not: in sum 32 MB, and for one VMN no
 * more than what a tap keeps for a guest that is paused (1000 packets).  Two
 * seconds are longer than any switchover worth the name; a TCP that has waited
 * so long has sent again. */
static const struct mat_hold_limits limits = {
    .n_keys = 1024,
    .n_packets = 16384,
    .n_bytes = 32 << 20,
    .n_key_packets = 1000,
    .n_key_bytes = 2 << 20,
    .timeout_ms = 2000,
};

static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct mat_hold *queues OVS_GUARDED_BY(mutex);
static bool has_released OVS_GUARDED_BY(mutex);
static uint64_t n_busy;                 /* Atomic. */

/* VMNs whose hold is to be taken off when nothing waits for them any more. */
static struct drain {
    bool is_used;
    uint32_t zone;
    struct mat_addr hoa, moa;
    unsigned int n_rounds;
    int64_t end_ms;             /* By when it is to be done. */
} drains[MATX_HOLD_DRAINS_MAX] OVS_GUARDED_BY(mutex);

static __thread bool releasing;

void
matx_hold_init(void)
{
    ovs_mutex_lock(&mutex);
    queues = mat_hold_create(&limits, random_uint64());
    if (!queues) {
        VLOG_ERR("no memory for packets that wait, so none will");
    }
    ovs_mutex_unlock(&mutex);
}

static struct held *
held_create(const struct dp_packet *packet, const struct nlattr *action)
{
    struct held *held = xmalloc(sizeof *held);

    held->packet = dp_packet_clone(packet);

    /* A connection is good only for as long as the datapath works on a batch:
     * this one may be gone when the packet goes on. */
    pkt_metadata_init_conn(&held->packet->md);
    memcpy(held->action, action, sizeof held->action);
    return held;
}

static void
held_destroy(struct held *held)
{
    if (held) {
        dp_packet_delete(held->packet);
        free(held);
    }
}

/* Packets take long to free, so this is done without the lock. */
static void
held_destroy_all(struct held *held)
{
    while (held) {
        struct held *next = held->next;

        held_destroy(held);
        held = next;
    }
}

static void
tell(enum mat_event_type type, const struct mat_hold_key *key,
     const struct dp_packet *packet, uint32_t n_more)
{
    struct mat_event event = {
        .type = type,
        .zone = key->zone,
        .addr = key->addr,
        .odp_port = odp_to_u32(packet->md.in_port.odp_port),
        .suppressed = n_more,
    };

    mat_event_set_frame(&event, dp_packet_data(packet),
                        dp_packet_size(packet));
    matx_events_put_shared(&event);
}

/* Takes the lock for a thread of the datapath.  That may wait for the sake of
 * a VMN that moves, but not of what anybody can cause. */
static bool
lock_for(const struct mat_hold_key *key)
    OVS_TRY_LOCK(true, mutex)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    if (key->kind == MAT_HOLD_VMN) {
        ovs_mutex_lock(&mutex);
    } else if (ovs_mutex_trylock(&mutex)) {
        __atomic_add_fetch(&n_busy, 1, __ATOMIC_RELAXED);
        return false;
    }
    return true;
}

static bool
has_room(const struct mat_hold_key *key, size_t size)
{
    bool ok = false;

    if (lock_for(key)) {
        ok = queues && mat_hold_check(queues, key, size) == MAT_HOLD_HELD;
        ovs_mutex_unlock(&mutex);
    }
    return ok;
}

/* A refusal costs no copy; the copy is made without the lock. */
bool
matx_hold_packet(const struct mat_hold_key *key,
                 const struct dp_packet *packet, const struct nlattr *action)
{
    enum mat_hold_counter result = MAT_HOLD_PACKETS;
    bool first = false, wake = false;
    struct held *copy;

    if (!has_room(key, dp_packet_size(packet))) {
        return false;
    }
    copy = held_create(packet, action);
    if (lock_for(key)) {
        wake = !mat_hold_n_packets(queues);
        result = mat_hold_add(queues, key, copy, dp_packet_size(packet),
                              time_msec(), &first);
        ovs_mutex_unlock(&mutex);
    }
    if (result != MAT_HOLD_HELD) {
        held_destroy(copy);
        return false;
    }
    if (first && key->kind == MAT_HOLD_VMN) {
        /* The other kinds are told as misses. */
        tell(MAT_EVENT_HELD, key, packet, 0);
    }
    if (wake) {
        matx_socket_wake();
    }
    return true;
}

static void
release(enum mat_hold_kind kind, uint32_t zone, const struct mat_addr *addr)
    OVS_REQUIRES(mutex)
{
    const struct mat_hold_key key = {
        .kind = kind, .zone = zone, .addr = *addr
    };

    if (mat_hold_release(queues, &key)) {
        has_released = true;
    }
}

static void
release_all(uint32_t zone, const struct mat_addr *hoa,
            const struct mat_addr *moa)
    OVS_REQUIRES(mutex)
{
    if (queues && mat_hold_n_packets(queues)) {
        release(MAT_HOLD_VMN, zone, hoa);
        release(MAT_HOLD_SOURCE, zone, hoa);
        release(MAT_HOLD_HOA, zone, hoa);
        release(MAT_HOLD_MOA, 0, moa);
        if (has_released) {
            matx_socket_wake();
        }
    }
}

/* Ends the drain of 'entry', if there is one; or begins it, if 'begin'.  False
 * if there is no room for that. */
static bool
set_drain(const struct mat_entry *entry, bool begin)
    OVS_REQUIRES(mutex)
{
    struct drain *free_one = NULL;

    for (int i = 0; i < MATX_HOLD_DRAINS_MAX; i++) {
        struct drain *d = &drains[i];

        if (d->is_used && d->zone == entry->zone
            && mat_addr_equal(&d->hoa, &entry->hoa)
            && mat_addr_equal(&d->moa, &entry->moa)) {
            d->is_used = begin;
            return true;
        }
        free_one = d->is_used ? free_one : d;
    }
    if (begin && free_one) {
        *free_one = (struct drain) {
            .is_used = true, .zone = entry->zone,
            .hoa = entry->hoa, .moa = entry->moa,
            .end_ms = time_msec() + MATX_HOLD_DRAIN_MS,
        };
    }
    return !begin || free_one;
}

static bool
vmn_waits(uint32_t zone, const struct mat_addr *hoa)
    OVS_REQUIRES(mutex)
{
    const struct mat_hold_key key = {
        .kind = MAT_HOLD_VMN, .zone = zone, .addr = *hoa
    };

    return queues && mat_hold_n_waiting(queues, &key);
}

bool
matx_hold_waits(const struct mat_entry *entry)
{
    bool waits;

    ovs_mutex_lock(&mutex);
    waits = vmn_waits(entry->zone, &entry->hoa);
    ovs_mutex_unlock(&mutex);
    return waits;
}

static void
set_table_hold(uint32_t zone, const struct mat_addr *hoa,
               const struct mat_addr *moa, bool hold)
{
    ovs_mutex_lock(&matx_mutex);
    mat_table_set_hold(matx_table, zone, hoa, moa, hold);
    mat_table_quiesce(matx_table);
    ovs_mutex_unlock(&matx_mutex);
}

void
matx_hold_changed(const struct mat_entry *entry, bool kept)
{
    bool ok;

    ovs_mutex_lock(&mutex);
    ok = set_drain(entry, kept);
    if (!entry->hold) {
        release_all(entry->zone, &entry->hoa, &entry->moa);
    }
    ovs_mutex_unlock(&mutex);
    if (kept) {
        matx_socket_wake();
    }
    if (!ok || entry->hold) {
        /* Nobody will take the hold off, so do it now; or a drain has done so
         * between the put and its end. */
        set_table_hold(entry->zone, &entry->hoa, &entry->moa, entry->hold);
    }
}

bool
matx_hold_is_releasing(void)
{
    return releasing;
}

void
matx_hold_release(uint32_t zone, const struct mat_addr *addr)
{
    ovs_mutex_lock(&mutex);
    release_all(zone, addr, addr);
    ovs_mutex_unlock(&mutex);
}

/* Puts what waits for 'addr' into the list 'dropped'. */
static void
discard(enum mat_hold_kind kind, uint32_t zone, const struct mat_addr *addr,
        struct held **dropped)
    OVS_REQUIRES(mutex)
{
    const struct mat_hold_key key = {
        .kind = kind, .zone = zone, .addr = *addr
    };
    struct held *held;

    while ((held = mat_hold_pop(queues, &key)) != NULL) {
        held->next = *dropped;
        *dropped = held;
    }
}

void
matx_hold_discard(uint32_t zone, const struct mat_addr *addr)
{
    struct held *dropped = NULL;

    ovs_mutex_lock(&mutex);
    if (queues) {
        discard(MAT_HOLD_VMN, zone, addr, &dropped);
        discard(MAT_HOLD_SOURCE, zone, addr, &dropped);
        discard(MAT_HOLD_HOA, zone, addr, &dropped);
        discard(MAT_HOLD_MOA, 0, addr, &dropped);
    }
    ovs_mutex_unlock(&mutex);
    held_destroy_all(dropped);
}

/* What came from a port, and is dropped with it. */
struct port_drop {
    odp_port_t odp_port;
    struct held *dropped;
};

static bool
takes_from_port(void *held_, void *drop_)
{
    struct held *held = held_;
    struct port_drop *drop = drop_;

    if (held->packet->md.in_port.odp_port != drop->odp_port) {
        return false;
    }
    held->next = drop->dropped;
    drop->dropped = held;
    return true;
}

void
matx_hold_port_changed(odp_port_t odp_port)
{
    struct port_drop drop = { .odp_port = odp_port };

    ovs_mutex_lock(&mutex);
    if (queues && mat_hold_n_packets(queues)) {
        mat_hold_discard_if(queues, takes_from_port, &drop);
    }
    ovs_mutex_unlock(&mutex);
    held_destroy_all(drop.dropped);
}

/* How much may be done before others have their turn. */
struct budget {
    unsigned int n_packets;
    int64_t end_ms;
};

static struct budget
new_budget(void)
{
    return (struct budget) {
        MATX_HOLD_RUN_PACKETS, time_msec() + MATX_HOLD_RUN_MS
    };
}

static bool
spend(struct budget *budget)
{
    if (!budget->n_packets || time_msec() >= budget->end_ms) {
        return false;
    }
    budget->n_packets--;
    return true;
}

static struct held *
pop_released(void)
{
    struct held *held = NULL;

    ovs_mutex_lock(&mutex);
    if (has_released) {
        held = mat_hold_pop_released(queues);
        has_released = held != NULL;
    }
    ovs_mutex_unlock(&mutex);
    return held;
}

static struct held *
pop_expired(int64_t now_ms, struct mat_hold_key *key)
{
    struct held *held = NULL;

    ovs_mutex_lock(&mutex);
    if (queues) {
        held = mat_hold_pop_expired(queues, now_ms, key);
    }
    ovs_mutex_unlock(&mutex);
    return held;
}

/* Drops what has waited too long, and tells so once for each run of packets of
 * one key. */
static void
expire(int64_t now_ms)
{
    struct held *held, *last = NULL;
    struct mat_hold_key key, last_key;
    struct budget budget = new_budget();
    uint32_t n = 0;

    while (spend(&budget)
           && (held = pop_expired(now_ms, &key)) != NULL) {
        if (last && memcmp(&key, &last_key, sizeof key)) {
            tell(MAT_EVENT_HOLD_EXPIRED, &last_key, last->packet, n - 1);
            n = 0;
        }
        held_destroy(last);
        last = held;
        last_key = key;
        n++;
    }
    if (last) {
        tell(MAT_EVENT_HOLD_EXPIRED, &last_key, last->packet, n - 1);
        held_destroy(last);
    }
}

/* False if the budget is used up. */
static bool
reenter_released(struct budget *budget)
{
    bool more = true;

    releasing = true;
    while (more && spend(budget)) {
        struct held *held = pop_released();

        if (held) {
            matx_dpif_reenter(held->packet, held->action);
            held_destroy(held);
        }
        more = held != NULL;
    }
    releasing = false;
    return !more;
}

/* Releases what waits for the VMN of 'drain'. */
static void
release_vmn(const struct drain *drain)
{
    ovs_mutex_lock(&mutex);
    if (drain->is_used && vmn_waits(drain->zone, &drain->hoa)) {
        release(MAT_HOLD_VMN, drain->zone, &drain->hoa);
    }
    ovs_mutex_unlock(&mutex);
}

/* Takes the hold off in a moment when nothing waits, or anyway after too many
 * calls or too long a time.  Returns false if something waits.
 *
 * Threads of the datapath that have seen the hold just before may still add
 * packets, until the table has waited for them; these go last. */
static bool
end_drain(struct drain *drain)
{
    struct drain copy;
    bool ends;

    ovs_mutex_lock(&matx_mutex);
    ovs_mutex_lock(&mutex);
    copy = *drain;
    ends = (!vmn_waits(copy.zone, &copy.hoa)
            || ++drain->n_rounds > MATX_HOLD_ROUNDS
            || time_msec() >= copy.end_ms);
    if (copy.is_used && ends) {
        drain->is_used = false;
        mat_table_set_hold(matx_table, copy.zone, &copy.hoa, &copy.moa, false);
    }
    ovs_mutex_unlock(&mutex);
    if (copy.is_used && ends) {
        mat_table_quiesce(matx_table);
    }
    ovs_mutex_unlock(&matx_mutex);

    if (ends) {
        release_vmn(&copy);
    }
    return ends;
}

/* The next drain there is, in turn, or null. */
static struct drain *
find_drain(void)
{
    static unsigned int turn;
    struct drain *drain = NULL;

    ovs_mutex_lock(&mutex);
    for (int i = 0; !drain && i < MATX_HOLD_DRAINS_MAX; i++) {
        turn = (turn + 1) % MATX_HOLD_DRAINS_MAX;
        drain = drains[turn].is_used ? &drains[turn] : NULL;
    }
    ovs_mutex_unlock(&mutex);
    return drain;
}

/* Lets released packets go on, and releases those of drains.  False if there
 * was not time for all. */
static bool
run_drains(void)
{
    struct budget budget = new_budget();
    struct drain *drain;
    bool done;

    while ((done = reenter_released(&budget))
           && (drain = find_drain()) != NULL) {
        if (!end_drain(drain)) {
            release_vmn(drain);
        }
    }
    return done;
}

int64_t
matx_hold_run(int64_t now_ms)
{
    bool done = run_drains();
    int64_t deadline_ms;

    expire(now_ms);

    ovs_mutex_lock(&mutex);
    deadline_ms = queues ? mat_hold_deadline_ms(queues) : INT64_MAX;
    ovs_mutex_unlock(&mutex);
    if (deadline_ms != INT64_MAX) {
        matx_dpif_open();           /* It will be needed soon. */
    }
    return done ? deadline_ms : now_ms;
}

bool
matx_hold_next(unsigned int *cursor, struct mat_hold_queue *queue)
{
    bool more;

    ovs_mutex_lock(&mutex);
    more = queues && mat_hold_next(queues, cursor, queue);
    ovs_mutex_unlock(&mutex);
    return more;
}

void
matx_hold_now(size_t *n_packets, size_t *n_bytes)
{
    ovs_mutex_lock(&mutex);
    *n_packets = queues ? mat_hold_n_packets(queues) : 0;
    *n_bytes = queues ? mat_hold_n_bytes(queues) : 0;
    ovs_mutex_unlock(&mutex);
}

bool
matx_hold_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                  uint64_t *value)
{
    if (i >= MATX_HOLD_N_COUNTERS) {
        return false;
    }
    ovs_mutex_lock(&mutex);
    if (i < MAT_HOLD_N_COUNTERS) {
        snprintf(name, MAT_PORT_NAME_SIZE, "hold.%s",
                 mat_hold_counter_name(i));
        *value = queues ? mat_hold_count(queues, i) : 0;
    } else if (i == MAT_HOLD_N_COUNTERS) {
        snprintf(name, MAT_PORT_NAME_SIZE, "hold.now-packets");
        *value = queues ? mat_hold_n_packets(queues) : 0;
    } else if (i == MAT_HOLD_N_COUNTERS + 1) {
        snprintf(name, MAT_PORT_NAME_SIZE, "hold.refused-busy");
        *value = __atomic_load_n(&n_busy, __ATOMIC_RELAXED);
    } else {
        snprintf(name, MAT_PORT_NAME_SIZE, "hold.now-bytes");
        *value = queues ? mat_hold_n_bytes(queues) : 0;
    }
    ovs_mutex_unlock(&mutex);
    return true;
}

void
matx_hold_clear_counters(void)
{
    ovs_mutex_lock(&mutex);
    if (queues) {
        mat_hold_clear_counters(queues);
    }
    ovs_mutex_unlock(&mutex);
    __atomic_store_n(&n_busy, 0, __ATOMIC_RELAXED);
}
