/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-hold.h"

#include <stdio.h>

#include "dp-packet.h"
#include "matx-dpif.h"
#include "matx-events.h"
#include "matx-socket.h"
#include "matx-table.h"
#include "openvswitch/thread.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "random.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat_hold);

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

/* VMNs whose hold is to be taken off when nothing waits for them any more. */
static struct drain {
    bool is_used;
    uint32_t zone;
    struct mat_addr hoa, moa;
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

bool
matx_hold_packet(const struct mat_hold_key *key,
                 const struct dp_packet *packet)
{
    struct dp_packet *copy = dp_packet_clone(packet);
    enum mat_hold_counter result = MAT_HOLD_PACKETS;
    bool first = false, wake = false;

    ovs_mutex_lock(&mutex);
    if (queues) {
        wake = !mat_hold_n_packets(queues);
        result = mat_hold_add(queues, key, copy, dp_packet_size(packet),
                              time_msec(), &first);
    }
    ovs_mutex_unlock(&mutex);
    if (result != MAT_HOLD_HELD) {
        dp_packet_delete(copy);
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
            true, entry->zone, entry->hoa, entry->moa
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

static void
discard(enum mat_hold_kind kind, uint32_t zone, const struct mat_addr *addr)
    OVS_REQUIRES(mutex)
{
    const struct mat_hold_key key = {
        .kind = kind, .zone = zone, .addr = *addr
    };
    struct dp_packet *packet;

    while ((packet = mat_hold_pop(queues, &key)) != NULL) {
        dp_packet_delete(packet);
    }
}

void
matx_hold_discard(uint32_t zone, const struct mat_addr *addr)
{
    ovs_mutex_lock(&mutex);
    if (queues) {
        discard(MAT_HOLD_VMN, zone, addr);
        discard(MAT_HOLD_SOURCE, zone, addr);
        discard(MAT_HOLD_HOA, zone, addr);
        discard(MAT_HOLD_MOA, 0, addr);
    }
    ovs_mutex_unlock(&mutex);
}

static struct dp_packet *
pop_released(void)
{
    struct dp_packet *packet = NULL;

    ovs_mutex_lock(&mutex);
    if (has_released) {
        packet = mat_hold_pop_released(queues);
        has_released = packet != NULL;
    }
    ovs_mutex_unlock(&mutex);
    return packet;
}

static struct dp_packet *
pop_expired(int64_t now_ms, struct mat_hold_key *key)
{
    struct dp_packet *packet = NULL;

    ovs_mutex_lock(&mutex);
    if (queues) {
        packet = mat_hold_pop_expired(queues, now_ms, key);
    }
    ovs_mutex_unlock(&mutex);
    return packet;
}

/* Drops what has waited too long, and tells so once for each run of packets of
 * one key. */
static void
expire(int64_t now_ms)
{
    struct dp_packet *packet, *last = NULL;
    struct mat_hold_key key, last_key;
    uint32_t n = 0;

    while ((packet = pop_expired(now_ms, &key)) != NULL) {
        if (last && memcmp(&key, &last_key, sizeof key)) {
            tell(MAT_EVENT_HOLD_EXPIRED, &last_key, last, n - 1);
            n = 0;
        }
        dp_packet_delete(last);
        last = packet;
        last_key = key;
        n++;
    }
    if (last) {
        tell(MAT_EVENT_HOLD_EXPIRED, &last_key, last, n - 1);
        dp_packet_delete(last);
    }
}

static void
reenter_released(void)
{
    struct dp_packet *packet;

    releasing = true;
    while ((packet = pop_released()) != NULL) {
        matx_dpif_reenter(packet);
        dp_packet_delete(packet);
    }
    releasing = false;
}

/* Releases what waits for the VMN of 'drain'.  True if that was anything. */
static bool
run_round(const struct drain *drain)
{
    bool waits;

    ovs_mutex_lock(&mutex);
    waits = drain->is_used && vmn_waits(drain->zone, &drain->hoa);
    if (waits) {
        release(MAT_HOLD_VMN, drain->zone, &drain->hoa);
    }
    ovs_mutex_unlock(&mutex);
    reenter_released();
    return waits;
}

/* Takes the hold off, unless the drain has been ended meanwhile. */
static void
end_drain(struct drain *drain)
{
    struct drain copy;

    ovs_mutex_lock(&matx_mutex);
    ovs_mutex_lock(&mutex);
    copy = *drain;
    drain->is_used = false;
    ovs_mutex_unlock(&mutex);
    if (copy.is_used) {
        mat_table_set_hold(matx_table, copy.zone, &copy.hoa, &copy.moa, false);
        mat_table_quiesce(matx_table);
    }
    ovs_mutex_unlock(&matx_mutex);

    if (copy.is_used) {
        ovs_mutex_lock(&mutex);
        release(MAT_HOLD_VMN, copy.zone, &copy.hoa);
        ovs_mutex_unlock(&mutex);
        reenter_released();
    }
}

/* The next drain there is, or null. */
static struct drain *
find_drain(void)
{
    struct drain *drain = NULL;

    ovs_mutex_lock(&mutex);
    for (int i = 0; i < MATX_HOLD_DRAINS_MAX; i++) {
        if (drains[i].is_used) {
            drain = &drains[i];
            break;
        }
    }
    ovs_mutex_unlock(&mutex);
    return drain;
}

static void
run_drains(void)
{
    struct drain *drain;

    while ((drain = find_drain()) != NULL) {
        int rounds = 0;

        while (run_round(drain) && ++rounds < MATX_HOLD_ROUNDS) {
            continue;
        }
        end_drain(drain);
    }
}

int64_t
matx_hold_run(int64_t now_ms)
{
    int64_t deadline_ms;

    reenter_released();
    run_drains();
    expire(now_ms);

    ovs_mutex_lock(&mutex);
    deadline_ms = queues ? mat_hold_deadline_ms(queues) : INT64_MAX;
    ovs_mutex_unlock(&mutex);
    if (deadline_ms != INT64_MAX) {
        matx_dpif_open();           /* It will be needed soon. */
    }
    return deadline_ms;
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

bool
matx_hold_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                  uint64_t *value)
{
    if (i >= MAT_HOLD_N_COUNTERS + 2) {
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
}
