/* SPDX-License-Identifier: Apache-2.0 */
/* VMs that are announced before their zone is on this host.
 *
 * Records of zones without ports here are not kept, so nothing is known of
 * such a VM.  A hint makes this host ask for the records of its zone for a
 * while; when those of the VM come, it is prepared. */
#include "mat-agent-impl.h"

static bool
is_of(const struct mat_awaited *w, const struct mat_home *home)
{
    return (w->zone == home->key.zone
            && (w->has_hoa ? mat_addr_equal(&w->hoa, &home->key.addr)
                : mat_mac_equal(&w->mac, &home->guest->mac)));
}

static struct mat_awaited *
find(struct mat_agent *a, const struct mat_awaited *w)
{
    for (size_t i = 0; i < a->n_awaited; i++) {
        struct mat_awaited *o = &a->awaited[i];

        if (o->zone == w->zone && o->has_hoa == w->has_hoa
            && mat_addr_equal(&o->hoa, &w->hoa)
            && mat_mac_equal(&o->mac, &w->mac)) {
            return o;
        }
    }
    return NULL;
}

/* A hint "prepare" that fits nothing here.  False if there is nothing to wait
 * for. */
bool
mat_agent_await_guest(struct mat_agent *a, const struct mat_agent_hint *hint)
{
    struct mat_awaited new = {
        .zone = hint->any_zone ? a->config.zone : hint->zone,
        .has_hoa = hint->has_hoa
    }, *w;

    if (hint->kind != MAT_HINT_PREPARE || !(hint->has_hoa || hint->has_mac)
        || new.zone > MAT_ZONE_MAX || mat_agent_zone(a, new.zone)
        || !mat_agent_has_gossip(a)) {
        return false;
    }
    if (hint->has_hoa) {
        new.hoa = hint->hoa;
    } else {
        new.mac = hint->mac;
    }
    w = find(a, &new);
    if (!w) {
        if (a->n_awaited == MAT_AGENT_AWAITED_MAX) {
            mat_agent_count(a, MAT_AGENT_C_LIMITS);
            return false;
        }
        w = &a->awaited[a->n_awaited++];
        *w = new;
        mat_agent_tell_zone(a, w->zone, true);
    }
    w->until_us = a->now_us + MAT_AGENT_PREPARE_US;
    if (!mat_timer_is_armed(&a->await)) {
        mat_heap_set(&a->heap, &a->await, w->until_us);
    }
    return true;
}

/* Is 'home', which has become live elsewhere, awaited? */
bool
mat_agent_is_awaited(const struct mat_agent *a, const struct mat_home *home)
{
    for (size_t i = 0; home->guest && i < a->n_awaited; i++) {
        if (is_of(&a->awaited[i], home)) {
            return true;
        }
    }
    return false;
}

/* There is another engine. */
void
mat_agent_tell_awaited(struct mat_agent *a)
{
    for (size_t i = 0; i < a->n_awaited; i++) {
        mat_agent_tell_zone(a, a->awaited[i].zone, true);
    }
}

void
mat_agent_await_timer(struct mat_agent *a)
{
    int64_t next_us = MAT_TIMER_NEVER;

    for (size_t i = a->n_awaited; i-- > 0; ) {
        struct mat_awaited *w = &a->awaited[i];

        if (w->until_us <= a->now_us) {
            mat_agent_tell_zone(a, w->zone, false);
            *w = a->awaited[--a->n_awaited];
        } else if (w->until_us < next_us) {
            next_us = w->until_us;
        }
    }
    if (next_us != MAT_TIMER_NEVER) {
        mat_heap_set(&a->heap, &a->await, next_us);
    }
}
