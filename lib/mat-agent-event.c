/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the switch, and hints of others. */
#include "mat-agent-impl.h"

#include <stdio.h>

#include "mat-packet.h"

enum { ETH_IPV4 = 0x0800, ETH_IPV6 = 0x86dd, ETH_VLAN = 0x8100,
       ETH_QINQ = 0x88a8 };

/* Ports. */

static bool
port_name(const struct mat_event *event, char name[MAT_PORT_NAME_SIZE])
{
    size_t size = event->head_size;

    if (!size || size >= MAT_PORT_NAME_SIZE || size > sizeof event->head) {
        return false;
    }
    memcpy(name, event->head, size);
    name[size] = '\0';
    return strlen(name) > 0;
}

static void
port_event(struct mat_agent *a, const struct mat_event *event)
{
    char name[MAT_PORT_NAME_SIZE];
    struct mat_dock *dock;

    if (!port_name(event, name)) {
        return;
    }
    /* The database may yet tell of it. */
    dock = (event->type == MAT_EVENT_PORT_DETACHED ? mat_dock_find(a, name)
            : mat_dock_get(a, name));
    if (!dock) {
        return;
    }
    switch (event->type) {
    case MAT_EVENT_PORT_ATTACHED:
        mat_dock_set_odp(a, dock, event->odp_port);
        dock->link_came = false;
        if (dock->link_tells) {
            mat_dock_set_dead(a, dock, true);
        }
        break;
    case MAT_EVENT_PORT_DETACHED:
        if (dock->odp_port == event->odp_port) {
            mat_dock_set_odp(a, dock, MAT_TABLE_NO_PORT);
            mat_dock_put(a, dock);
        }
        break;
    case MAT_EVENT_PORT_LIVE:
        mat_dock_set_odp(a, dock, event->odp_port);
        dock->link_came = true;
        mat_dock_set_dead(a, dock, false);
        break;
    case MAT_EVENT_PORT_DEAD:
        mat_dock_set_odp(a, dock, event->odp_port);
        dock->link_came = false;
        mat_dock_set_dead(a, dock, true);
        break;
    default:
        break;
    }
}

/* What guests say. */

static void guest_event(struct mat_agent *, const struct mat_event *);

/* Events of a port that the datapath has but the database has not told of. */
static void
keep(struct mat_dock *dock, const struct mat_event *event)
{
    if (!dock->kept) {
        dock->kept = mat_xcalloc(MAT_AGENT_KEPT_MAX, sizeof *dock->kept);
    }
    dock->kept[dock->n_kept++ % MAT_AGENT_KEPT_MAX] = *event;
}

/* Events of ports of which only the number is known: a dump of the ports will
 * tell, at the latest when the port has been put. */
static void
keep_pending(struct mat_agent *a, const struct mat_event *event)
{
    if (!a->pending) {
        a->pending = mat_xcalloc(MAT_AGENT_PENDING_MAX, sizeof *a->pending);
    }
    if (a->n_pending >= MAT_AGENT_PENDING_MAX) {
        mat_agent_count(a, MAT_AGENT_C_EVENTS_PORTLESS);
    }
    a->pending[a->n_pending++ % MAT_AGENT_PENDING_MAX] = *event;
    a->wants_ports |= a->now_us - a->ports_asked_us >= MAT_AGENT_PORTS_US;
}

static bool
is_recent(const struct mat_agent *a, const struct mat_event *event)
{
    return ((int64_t) (event->time_ns / 1000) + MAT_AGENT_HEARD_US
            > a->now_us);
}

/* Hears what was said on a port before it was given. */
void
mat_agent_replay(struct mat_agent *a, struct mat_dock *dock)
{
    struct mat_event *kept = dock->kept;
    unsigned int n = (dock->n_kept < MAT_AGENT_KEPT_MAX ? dock->n_kept
                      : MAT_AGENT_KEPT_MAX);

    dock->kept = NULL;
    for (unsigned int i = dock->n_kept - n; i != dock->n_kept; i++) {
        const struct mat_event *event = &kept[i % MAT_AGENT_KEPT_MAX];

        if (is_recent(a, event)) {
            guest_event(a, event);
        }
    }
    dock->n_kept = 0;
    free(kept);
}

/* The same for those of which it is known now which port it was; others wait
 * for another while. */
void
mat_agent_replay_pending(struct mat_agent *a)
{
    struct mat_event *pending = a->pending;
    uint64_t n = a->n_pending, i;

    i = n > MAT_AGENT_PENDING_MAX ? n - MAT_AGENT_PENDING_MAX : 0;
    a->pending = NULL;
    a->n_pending = 0;
    for (; i < n; i++) {
        const struct mat_event *event = &pending[i % MAT_AGENT_PENDING_MAX];

        if (mat_index_find(&a->odp_docks, event->odp_port)) {
            guest_event(a, event);
        } else if (is_recent(a, event)) {
            keep_pending(a, event);
        } else {
            mat_agent_count(a, MAT_AGENT_C_EVENTS_PORTLESS);
        }
    }
    free(pending);
}

static void
guest_event(struct mat_agent *a, const struct mat_event *event)
{
    struct mat_dock *dock = mat_index_find(&a->odp_docks, event->odp_port);
    struct mat_learn_said said;

    if (!dock) {
        keep_pending(a, event);
        return;
    } else if (!dock->is_given) {
        keep(dock, event);
        return;
    }
    if (dock->is_given && !dock->is_uplink
        && mat_learn_decode(event, &said)) {
        mat_agent_spoke(a, dock, &said, (int64_t) (event->time_ns / 1000),
                        mat_event_name(event->type));
    }
}

static void
ask(struct mat_agent *a, const struct mat_event *event, bool is_moa)
{
    const struct mat_call call = {
        .kind = MAT_REC_ASK, .now_us = a->now_us, .zone = event->zone,
        .addr = event->addr, .flag = is_moa
    };

    if (mat_agent_has_gossip(a) && mat_addr_is_host(&event->addr)
        && (!is_moa || !mat_slot_of_moa(a, &event->addr))) {
        mat_agent_count(a, MAT_AGENT_C_ASKED);
        mat_call_make(a->gossip, a->recorder, &call);
    }
}

/* Late packets. */

/* The destination in the head of a frame. */
static bool
destination(const struct mat_event *event, struct mat_addr *dst)
{
    size_t at = 12, size = event->head_size;
    unsigned int type;

    for (int tags = 0; tags < 3; tags++, at += 4) {
        if (size > sizeof event->head || at + 2 > size) {
            return false;
        }
        type = (unsigned int) event->head[at] << 8 | event->head[at + 1];
        if (type == ETH_IPV4 && at + 2 + 20 <= size) {
            *dst = mat_addr_from_v4(event->head + at + 2 + 16);
            return true;
        } else if (type == ETH_IPV6 && at + 2 + 40 <= size) {
            *dst = mat_addr_from_v6(event->head + at + 2 + 24);
            return true;
        } else if (type != ETH_VLAN && type != ETH_QINQ) {
            return false;
        }
    }
    return false;
}

/* Tells 'host', but not for each of its packets. */
static void
notice(struct mat_agent *a, struct mat_stay *stay, uint64_t host)
{
    struct mat_notice *oldest = &stay->notices[0];
    const struct mat_call call = {
        .kind = MAT_REC_LATE, .now_us = a->now_us, .key = stay->home->key,
        .host = host
    };

    for (size_t i = 0; i < MAT_AGENT_NOTICES_MAX; i++) {
        struct mat_notice *n = &stay->notices[i];

        if (n->host == host) {
            oldest = n;
            break;
        } else if (n->at_us < oldest->at_us) {
            oldest = n;
        }
    }
    if (oldest->host == host
        && a->now_us - oldest->at_us < MAT_AGENT_NOTICE_US) {
        return;
    }
    *oldest = (struct mat_notice) { host, a->now_us };
    mat_agent_count(a, MAT_AGENT_C_NOTICES);
    mat_call_make(a->gossip, a->recorder, &call);
}

static void
redirected(struct mat_agent *a, const struct mat_event *event)
{
    struct mat_agent_migration *m;
    struct mat_slot *slot, *sender;
    struct mat_addr moa;
    struct mat_stay *stay;

    mat_agent_count(a, MAT_AGENT_C_REDIRECTED);
    if (!destination(event, &moa)) {
        return;
    }
    slot = mat_slot_of_moa(a, &moa);
    stay = slot ? slot->home->stay : NULL;
    if (!stay || stay->state != MAT_LIFE_GONE) {
        return;
    }
    stay->heard_us = a->now_us;
    m = mat_migration_last(a, slot->home);
    if (m && m->kind == MAT_MIGRATION_OUT) {
        m->n_redirected += 1 + event->suppressed;
    }
    sender = mat_slot_of_moa(a, &event->addr);
    if (sender && mat_agent_has_gossip(a)
        && mat_home_is_elsewhere(a, sender->home)) {
        notice(a, stay, sender->home->live_host);
    }
}

void
mat_agent_event(struct mat_agent *a, int64_t now_us,
                const struct mat_event *event)
{
    a->now_us = now_us;
    mat_agent_count(a, MAT_AGENT_C_EVENTS);
    if (!a->is_ready) {
        return;
    }
    switch (event->type) {
    case MAT_EVENT_RARP:
    case MAT_EVENT_GARP:
    case MAT_EVENT_ARP_PROBE:
    case MAT_EVENT_ARP:
    case MAT_EVENT_NA:
    case MAT_EVENT_DAD:
    case MAT_EVENT_NS:
    case MAT_EVENT_RS:
    case MAT_EVENT_DHCP:
    case MAT_EVENT_NEW_SOURCE:
        guest_event(a, event);
        break;
    case MAT_EVENT_SPOOF:
        mat_agent_count(a, MAT_AGENT_C_VIOLATIONS);
        guest_event(a, event);
        break;
    case MAT_EVENT_MISS_HOA:
        ask(a, event, false);
        break;
    case MAT_EVENT_MISS_MOA:
        ask(a, event, true);
        break;
    case MAT_EVENT_REDIRECTED:
        redirected(a, event);
        break;
    case MAT_EVENT_CONFLICT:
        mat_moa_hear_event(a->moa, now_us, event);
        break;
    case MAT_EVENT_PORT_ATTACHED:
    case MAT_EVENT_PORT_DETACHED:
    case MAT_EVENT_PORT_LIVE:
    case MAT_EVENT_PORT_DEAD:
        port_event(a, event);
        break;
    default:
        break;
    }
}

void
mat_agent_events_lost(struct mat_agent *a, int64_t now_us, uint64_t n)
{
    a->now_us = now_us;
    a->counters[MAT_AGENT_C_EVENTS_LOST] += n;
    a->wants_ports = true;
}

/* Hints. */

const char *
mat_agent_hint_name(enum mat_agent_hint_kind kind)
{
    static const char *const names[] = {
        "prepare", "hold", "stopped", "started", "failed", "done", "park",
        "release"
    };

    return (int) kind < MAT_N_HINTS ? names[kind] : "?";
}

static void
hint_home(struct mat_agent *a, struct mat_home *home,
          enum mat_agent_hint_kind kind, struct mat_dock *dock)
{
    static const enum mat_life_cause causes[] = {
        [MAT_HINT_PREPARE] = MAT_LIFE_PREPARE,
        [MAT_HINT_STOPPED] = MAT_LIFE_STOPS,
        [MAT_HINT_STARTED] = MAT_LIFE_STARTS,
        [MAT_HINT_FAILED] = MAT_LIFE_FAILED,
        [MAT_HINT_DONE] = MAT_LIFE_STOPS,
        [MAT_HINT_PARK] = MAT_LIFE_PARK,
        [MAT_HINT_RELEASE] = MAT_LIFE_RELEASE
    };
    enum mat_life state = mat_home_state(home);

    if (state == MAT_LIFE_LIVE
        && (kind == MAT_HINT_HOLD || kind == MAT_HINT_STARTED
            || kind == MAT_HINT_FAILED)) {
        mat_stay_hold(a, home->stay, kind == MAT_HINT_HOLD);
    }
    if (kind == MAT_HINT_HOLD) {
        return;
    }
    if (kind == MAT_HINT_STARTED && state == MAT_LIFE_LEAVING
        && mat_home_is_elsewhere(a, home)) {
        return;
    }
    if ((kind == MAT_HINT_STARTED || kind == MAT_HINT_PREPARE)
        && (!mat_home_may_claim(home) || !home->guest)) {
        return;
    }
    if (kind == MAT_HINT_STARTED && !dock
        && !(home->stay && home->stay->dock)) {
        return;                 /* Nobody knows where. */
    }
    mat_home_step(a, home, causes[kind],
                  dock ? dock : home->stay ? home->stay->dock : NULL,
                  mat_agent_hint_name(kind));
}

static struct mat_dock *
dock_of_hint(const struct mat_agent *a, const struct mat_agent_hint *hint)
{
    struct mat_dock *dock;
    size_t cursor = 0;

    if (hint->port[0]) {
        dock = mat_dock_find(a, hint->port);
        return dock && dock->is_given && !dock->is_uplink ? dock : NULL;
    }
    while (hint->iface_id[0]
           && (dock = mat_index_next(&a->docks, &cursor)) != NULL) {
        if (dock->is_given && !strcmp(dock->config.iface_id,
                                      hint->iface_id)) {
            return dock;
        }
    }
    return NULL;
}

static int
hint_guest(struct mat_agent *a, uint32_t zone, const struct mat_mac *mac,
           enum mat_agent_hint_kind kind, struct mat_dock *dock)
{
    struct mat_guest *guest = mat_guest_find(a, zone, mac);
    struct mat_home *homes[MAT_AGENT_GUEST_MAX], *home;
    int n = 0;

    for (home = guest ? guest->homes : NULL;
         home && n < MAT_AGENT_GUEST_MAX; home = home->next) {
        homes[n++] = home;
    }
    for (int i = 0; i < n; i++) {
        hint_home(a, homes[i], kind, dock);
    }
    return n;
}

/* All stays on 'dock'; of them only those of 'guest' if that is not null. */
static int
hint_dock(struct mat_agent *a, struct mat_dock *dock,
          enum mat_agent_hint_kind kind)
{
    struct mat_stay *stay, *next;
    int n = 0;

    if (dock->config.has_mac) {
        return hint_guest(a, dock->config.zone, &dock->config.mac, kind,
                          dock);
    }
    for (stay = dock->stays; stay; stay = next) {
        next = stay->next;
        hint_home(a, stay->home, kind, dock);
        n++;
    }
    return n;
}

static int
hint_any_zone(struct mat_agent *a, const struct mat_agent_hint *hint)
{
    struct mat_zone_here *here;
    size_t cursor = 0;
    int n = 0;

    while ((here = mat_index_next(&a->zones, &cursor)) != NULL) {
        n += hint_guest(a, here->zone.zone, &hint->mac, hint->kind, NULL);
    }
    return n;
}

static int
hint_known(struct mat_agent *a, const struct mat_agent_hint *hint)
{
    struct mat_dock *dock = dock_of_hint(a, hint);
    struct mat_home *home;
    const char *port;

    if (hint->has_hoa) {
        home = mat_home_find(a, hint->zone, &hint->hoa);
        if (!home || !home->guest) {
            return 0;
        }
        if (!dock) {
            port = mat_learn_find_mac(a->learn, hint->zone,
                                      &home->guest->mac);
            dock = port ? mat_dock_find(a, port) : NULL;
        }
        return hint_guest(a, hint->zone, &home->guest->mac, hint->kind, dock);
    } else if (hint->has_mac && hint->any_zone) {
        return hint_any_zone(a, hint);
    } else if (hint->has_mac) {
        port = mat_learn_find_mac(a->learn, hint->zone, &hint->mac);
        dock = dock ? dock : port ? mat_dock_find(a, port) : NULL;
        return hint_guest(a, hint->zone, &hint->mac, hint->kind, dock);
    }
    if (dock) {
        return hint_dock(a, dock, hint->kind);
    }
    return hint->iface_id[0] || hint->port[0] ? 0 : -1;
}

int
mat_agent_hint(struct mat_agent *a, int64_t now_us,
               const struct mat_agent_hint *hint)
{
    int n;

    a->now_us = now_us;
    n = hint_known(a, hint);
    return !n && mat_agent_await_guest(a, hint) ? MAT_HINT_AWAITED : n;
}
