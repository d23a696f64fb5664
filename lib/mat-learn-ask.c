/* SPDX-License-Identifier: Apache-2.0 */

/* Questions to guests: whether a source is their own, and whether they still
 * have what they do not seem to use. */

#include "mat-learn-impl.h"

#include <string.h>

#include "mat-nd.h"

enum {
    S = 1000000,
    ASK_US = S / 4,             /* Between questions to a port. */
    ASK_MAX = 3,                /* Until no answer is one. */
    SCAN_PLACES = 64,           /* Looked at in one tick. */
    SCAN_PAUSE_US = S / 100     /* Until the next of them. */
};

static const struct mat_mac gateway_mac = MAT_GATEWAY_MAC;

/* A gateway of the zone for the family of 'hoa', zero if there is none. */
static struct mat_addr
gateway_for(const struct mat_learn *l, uint32_t zone_id,
            const struct mat_addr *hoa)
{
    const struct mat_zone *zone = mat_learn_zone_find(l, zone_id);
    static const uint8_t zeros[4];
    bool v4 = mat_addr_is_v4(hoa);

    for (size_t i = 0; v4 && zone && i < zone->n_subnets; i++) {
        const struct mat_subnet *s = &zone->subnets[i];

        if (mat_addr_is_v4(&s->gateway)
            && mat_addr_in_prefix(hoa, &s->prefix, s->plen)) {
            return s->gateway;
        }
    }
    return v4 ? mat_addr_from_v4(zeros) : mat_link_local(&gateway_mac);
}

bool
mat_learn_may_ask(const struct mat_learn_place *p, int64_t now_us)
{
    return !p->has_asked || now_us - p->asked_us >= ASK_US;
}

void
mat_learn_ask(struct mat_learn *l, struct mat_learn_place *p,
              const struct mat_mac *mac, const struct mat_addr *hoa,
              int64_t now_us)
{
    struct mat_addr src = gateway_for(l, p->port.zone, hoa);
    struct mat_learn_change *change = mat_learn_change_add(l);

    p->has_asked = true;
    p->asked_us = now_us;
    change->kind = MAT_LEARN_CHANGE_ASK;
    memcpy(change->binding.port, p->port.name, sizeof change->binding.port);
    change->binding.zone = p->port.zone;
    change->binding.mac = *mac;
    change->binding.hoa = *hoa;
    change->frame_size = mat_neighbor_question(&gateway_mac, &src, hoa, mac,
                                               change->frame);
}

/* Age. */

void
mat_learn_bind_use(struct mat_learn_bind *b, int64_t now_us)
{
    b->used_us = now_us;
    b->n_asked = 0;
}

/* Looks at what a port has.  Returns true if a question is under way. */
static bool
age_place(struct mat_learn *l, struct mat_learn_place *p, int64_t now_us)
{
    bool asks = false;

    for (size_t i = p->n_binds; p->port.live && i-- > 0; ) {
        struct mat_learn_bind *b = p->binds[i];

        if (!mat_learn_is_old(l, b, now_us)) {
            continue;
        } else if (b->n_asked < ASK_MAX) {
            if (mat_learn_may_ask(p, now_us)) {
                mat_learn_ask(l, p, &b->mac, &b->hoa, now_us);
                b->n_asked++;
            }
            asks = true;
        } else if (mat_learn_may_ask(p, now_us)) {
            mat_learn_bind_free(l, b, MAT_LEARN_WHY_AGE, NULL);
        }
    }
    return asks;
}

void
mat_learn_tick(struct mat_learn *l, int64_t now_us)
{
    if (!l->age_us || now_us < l->next_scan_us) {
        return;
    }
    for (size_t i = 0; i < SCAN_PLACES && l->scan < l->n_places; i++) {
        l->is_asking |= age_place(l, l->places[l->scan++], now_us);
    }
    if (l->scan < l->n_places) {
        l->next_scan_us = now_us + SCAN_PAUSE_US;
    } else {
        l->scan = 0;
        l->next_scan_us = now_us + (l->is_asking ? S : l->age_us / 4 + S);
        l->is_asking = false;
    }
}

int64_t
mat_learn_deadline_us(const struct mat_learn *l)
{
    return l->age_us && l->n_places ? l->next_scan_us : INT64_MAX;
}
