/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-learn-impl.h"

#include "mat-nd.h"

enum {
    S = 1000000,
    TELL_US = 60 * S,           /* Between reports of one violation. */
    FLIP_US = S,                /* A HoA may change its MAC that often. */
    IDLE_US = 60 * S            /* A MAC without HoAs makes room then. */
};

static const char *const verdict_names[] = {
#define MAT_LEARN_VERDICT(ENUM, NAME, TEXT) NAME,
    MAT_LEARN_VERDICTS
#undef MAT_LEARN_VERDICT
};

static const char *const verdict_texts[] = {
#define MAT_LEARN_VERDICT(ENUM, NAME, TEXT) TEXT,
    MAT_LEARN_VERDICTS
#undef MAT_LEARN_VERDICT
};

static const char *const why_texts[] = {
    [MAT_LEARN_WHY_PORT] = "port removed",
    [MAT_LEARN_WHY_CONFIG] = "configuration changed",
    [MAT_LEARN_WHY_AGE] = "not used any more",
    [MAT_LEARN_WHY_TAKEN] = "taken over",
    [MAT_LEARN_WHY_FORGET] = "moved away"
};

static const struct mat_mac gateway_mac = MAT_GATEWAY_MAC;

/* Something that was said, being judged. */
struct hearing {
    struct mat_learn *l;
    struct mat_learn_place *place;
    const struct mat_learn_said *said;
    int64_t now_us;
    struct mat_learn_place *other;      /* Who has it. */
};

static enum mat_learn_verdict judge(struct hearing *);
static enum mat_learn_verdict judge_mac(struct hearing *);
static enum mat_learn_verdict add_mac(struct hearing *);
static enum mat_learn_verdict take_over_mac(struct hearing *);
static void consider_asking(struct hearing *);
static enum mat_learn_verdict judge_hoa(struct hearing *);
static enum mat_learn_verdict judge_address(const struct hearing *);
static enum mat_learn_verdict judge_bound(struct hearing *,
                                          struct mat_learn_bind *);
static enum mat_learn_verdict bind_hoa(struct hearing *);
static bool may_take(const struct mat_learn_place *,
                     const struct mat_learn_bind *, const struct mat_mac *);
static void tell(struct hearing *, enum mat_learn_verdict);
static bool make_room(struct hearing *);
static void drop_all(struct mat_learn *, struct mat_learn_place *,
                     enum mat_learn_why);
static void bind_configured(struct mat_learn *, struct mat_learn_place *,
                            int64_t now_us);
static void review(struct mat_learn *, struct mat_learn_place *);

struct mat_learn *
mat_learn_create(uint64_t seed, int64_t age_us)
{
    struct mat_learn *l = mat_xcalloc(1, sizeof *l);

    l->seed = seed;
    l->age_us = age_us;
    return l;
}

void
mat_learn_destroy(struct mat_learn *l)
{
    size_t cursor = 0;
    void *zone;

    if (!l) {
        return;
    }
    while (l->n_places) {
        struct mat_learn_place *p = l->places[l->n_places - 1];

        drop_all(l, p, MAT_LEARN_WHY_PORT);
        mat_learn_place_free(l, p);
    }
    while ((zone = mat_index_next(&l->zones, &cursor))) {
        free(zone);
    }
    free(l->places);
    free(l->changes);
    mat_index_destroy(&l->by_name);
    mat_index_destroy(&l->by_mac);
    mat_index_destroy(&l->by_hoa);
    mat_index_destroy(&l->zones);
    free(l);
}

void
mat_learn_set_age(struct mat_learn *l, int64_t age_us)
{
    l->age_us = age_us;
    l->next_scan_us = 0;
}

const char *
mat_learn_verdict_name(enum mat_learn_verdict verdict)
{
    return verdict < MAT_LEARN_N_VERDICTS ? verdict_names[verdict] : "?";
}

const char *
mat_learn_verdict_text(enum mat_learn_verdict verdict)
{
    return verdict < MAT_LEARN_N_VERDICTS ? verdict_texts[verdict] : "?";
}

const char *
mat_learn_why_text(enum mat_learn_why why)
{
    return why <= MAT_LEARN_WHY_FORGET ? why_texts[why] : "?";
}

/* Ports. */

static bool
has_mac(const struct mat_learn_port *port, const struct mat_mac *mac)
{
    for (size_t i = 0; i < port->n_macs; i++) {
        if (mat_mac_equal(&port->macs[i], mac)) {
            return true;
        }
    }
    return false;
}

static bool
has_hoa(const struct mat_learn_port *port, const struct mat_addr *hoa)
{
    for (size_t i = 0; i < port->n_hoas; i++) {
        if (mat_addr_equal(&port->hoas[i], hoa)) {
            return true;
        }
    }
    return false;
}

static void
drop_all(struct mat_learn *l, struct mat_learn_place *p,
         enum mat_learn_why why)
{
    while (p->n_binds) {
        mat_learn_bind_free(l, p->binds[0], why, NULL);
    }
    while (p->n_macs) {
        mat_learn_mac_free(l, p->macs[0]);
    }
}

/* What was kept from some port by another that has gone is free now. */
static void
bind_waiting(struct mat_learn *l, int64_t now_us)
{
    for (size_t i = 0; i < l->n_places && l->has_freed; i++) {
        bind_configured(l, l->places[i], now_us);
    }
    l->has_freed = false;
}

bool
mat_learn_put_port(struct mat_learn *l, int64_t now_us,
                   const struct mat_learn_port *port)
{
    struct mat_learn_place *p = mat_learn_place_find(l, port->name);

    MAT_ASSERT(port->n_macs <= MAT_LEARN_MACS_MAX
               && port->n_hoas <= MAT_LEARN_HOAS_MAX);
    if (!p) {
        p = mat_learn_place_add(l, port->name);
        if (!p) {
            return false;
        }
        p->port.zone = port->zone;
    }
    if (p->port.zone != port->zone) {
        drop_all(l, p, MAT_LEARN_WHY_CONFIG);
    }
    p->port = *port;
    review(l, p);
    for (size_t i = 0; i < port->n_macs; i++) {
        struct mat_learn_mac *m = mat_learn_mac_find(p, &port->macs[i]);

        if (m) {
            m->configured = true;
        } else {
            mat_learn_mac_add(l, p, &port->macs[i], true, now_us);
        }
    }
    bind_configured(l, p, now_us);
    bind_waiting(l, now_us);
    return true;
}

/* Takes away what does not fit the port's configuration: MACs and HoAs that
 * are not among the configured ones, learned ones beyond the limits. */
static void
review(struct mat_learn *l, struct mat_learn_place *p)
{
    const struct mat_learn_port *port = &p->port;

    for (size_t i = p->n_binds; i-- > 0; ) {
        struct mat_learn_bind *b = p->binds[i];

        b->configured = has_hoa(port, &b->hoa);
        if ((port->n_macs && !has_mac(port, &b->mac))
            || (!b->configured && (port->n_hoas || !port->learns
                                   || i >= port->hoas_max))) {
            mat_learn_bind_free(l, b, MAT_LEARN_WHY_CONFIG, NULL);
        }
    }
    for (size_t i = p->n_macs; i-- > 0; ) {
        struct mat_learn_mac *m = p->macs[i];

        m->configured = has_mac(port, &m->mac);
        if (!m->configured && (port->n_macs || i >= port->macs_max)) {
            for (size_t j = p->n_binds; j-- > 0; ) {
                if (mat_mac_equal(&p->binds[j]->mac, &m->mac)) {
                    mat_learn_bind_free(l, p->binds[j], MAT_LEARN_WHY_CONFIG,
                                        NULL);
                }
            }
            mat_learn_mac_free(l, m);
        }
    }
}

bool
mat_learn_remove_port(struct mat_learn *l, int64_t now_us, const char *name)
{
    struct mat_learn_place *p = mat_learn_place_find(l, name);

    if (!p) {
        return false;
    }
    drop_all(l, p, MAT_LEARN_WHY_PORT);
    mat_learn_place_free(l, p);
    bind_waiting(l, now_us);
    return true;
}

bool
mat_learn_set_live(struct mat_learn *l, int64_t now_us, const char *name,
                   bool live)
{
    struct mat_learn_place *p = mat_learn_place_find(l, name);

    (void) now_us;
    if (!p) {
        return false;
    }
    p->port.live = live;
    return true;
}

/* Binds the configured HoAs that nobody else has, if it is clear to which
 * MAC. */
static void
bind_configured(struct mat_learn *l, struct mat_learn_place *p, int64_t now_us)
{
    const struct mat_learn_port *port = &p->port;

    for (size_t i = 0; i < port->n_hoas && p->n_macs == 1; i++) {
        struct mat_learn_bind *b = mat_learn_bind_find(l, port->zone,
                                                       &port->hoas[i]);

        if (b && (b->place == p || b->configured)) {
            continue;
        } else if (b) {
            mat_learn_bind_free(l, b, MAT_LEARN_WHY_TAKEN, port->name);
        }
        mat_learn_bind_add(l, p, &p->macs[0]->mac, &port->hoas[i], true,
                           now_us);
    }
}

/* Zones. */

void
mat_learn_put_zone(struct mat_learn *l, int64_t now_us,
                   const struct mat_zone *zone)
{
    struct mat_zone *copy = mat_xmalloc(sizeof *copy);

    *copy = *zone;
    mat_learn_remove_zone(l, zone->zone);
    mat_index_insert(&l->zones, (uint64_t) zone->zone + 1, copy);
    for (size_t i = 0; i < l->n_places; i++) {
        struct mat_learn_place *p = l->places[i];

        for (size_t j = p->port.zone == zone->zone ? p->n_binds : 0;
             j-- > 0; ) {
            const struct mat_learn_said said = { .hoa = p->binds[j]->hoa };
            const struct hearing h = { .l = l, .place = p, .said = &said };

            if (judge_address(&h) != MAT_LEARN_KNOWN) {
                mat_learn_bind_free(l, p->binds[j], MAT_LEARN_WHY_CONFIG,
                                    NULL);
            }
        }
    }
    bind_waiting(l, now_us);
}

/* Hearing. */

enum mat_learn_verdict
mat_learn_hear(struct mat_learn *l, int64_t now_us, const char *port,
               const struct mat_learn_said *said)
{
    struct hearing h = { .l = l, .said = said, .now_us = now_us,
                         .place = mat_learn_place_find(l, port) };
    enum mat_learn_verdict verdict;

    if (!h.place) {
        l->n_no_port++;
        return MAT_LEARN_NO_PORT;
    }
    verdict = judge(&h);
    h.place->counts[verdict]++;
    if (mat_learn_is_violation(verdict)) {
        tell(&h, verdict);
    }
    return verdict;
}

static enum mat_learn_verdict
judge(struct hearing *h)
{
    enum mat_learn_verdict verdict = judge_mac(h);
    bool has = (h->said->has_hoa && h->said->kind != MAT_LEARN_RARP
                && h->said->kind != MAT_LEARN_PACKET);

    if (mat_learn_is_violation(verdict)) {
        return verdict;
    } else if (has) {
        return judge_hoa(h);
    } else if (h->said->kind == MAT_LEARN_RARP) {
        return take_over_mac(h);
    } else if (h->said->kind == MAT_LEARN_PACKET) {
        consider_asking(h);
    }
    return verdict;
}

/* The source of a packet is new here: let its guest say that it is its
 * own. */
static void
consider_asking(struct hearing *h)
{
    struct mat_learn_place *p = h->place;

    if (mat_addr_is_zero(&h->said->hoa)
        || judge_address(h) != MAT_LEARN_KNOWN
        || mat_learn_bind_find(h->l, p->port.zone, &h->said->hoa)
        || !mat_learn_may_ask(p, h->now_us)) {
        return;
    }
    mat_learn_ask(h->l, p, &h->said->mac, &h->said->hoa, h->now_us);
}

static enum mat_learn_verdict
judge_mac(struct hearing *h)
{
    const struct mat_mac *mac = &h->said->mac;
    struct mat_learn_place *p = h->place;
    struct mat_learn_mac *mine = mat_learn_mac_find(p, mac);
    bool is_ours = mine && mine->configured;

    if (mat_mac_is_zero(mac) || mat_mac_is_multicast(mac)
        || mat_mac_equal(mac, &gateway_mac)) {
        return MAT_LEARN_BAD_MAC;
    } else if (p->port.n_macs && !is_ours) {
        return MAT_LEARN_OTHER_MAC;
    }
    for (struct mat_learn_mac *m = mat_learn_first_mac(h->l, p->port.zone,
                                                       mac);
         m && !is_ours; m = m->hash_next) {
        if (m->place != p && mat_learn_is_mac(m, p->port.zone, mac)
            && m->place->port.live && (m->configured || !mine)) {
            h->other = m->place;
            return MAT_LEARN_STOLEN_MAC;
        }
    }
    if (mine) {
        mine->heard_us = h->now_us;
        return MAT_LEARN_MAC_ONLY;
    }
    return add_mac(h);
}

static bool
mac_has_hoas(const struct mat_learn_mac *m)
{
    for (size_t i = 0; i < m->place->n_binds; i++) {
        if (mat_mac_equal(&m->place->binds[i]->mac, &m->mac)) {
            return true;
        }
    }
    return false;
}

/* Learns a MAC, if need be instead of one that nothing depends on. */
static enum mat_learn_verdict
add_mac(struct hearing *h)
{
    struct mat_learn_place *p = h->place;
    size_t max = (p->port.macs_max < MAT_LEARN_MACS_MAX
                  ? p->port.macs_max : (size_t) MAT_LEARN_MACS_MAX);

    for (size_t i = 0; i < p->n_macs && p->n_macs >= max; i++) {
        struct mat_learn_mac *m = p->macs[i];

        if (!m->configured && !mac_has_hoas(m)
            && h->now_us - m->heard_us >= IDLE_US) {
            mat_learn_mac_free(h->l, m);
            break;
        }
    }
    if (p->n_macs >= max) {
        return MAT_LEARN_MACS;
    }
    mat_learn_mac_add(h->l, p, &h->said->mac, false, h->now_us);
    bind_configured(h->l, p, h->now_us);
    return MAT_LEARN_MAC_ONLY;
}

/* A RARP moves everything of its MAC that other ports of the zone have. */
static enum mat_learn_verdict
take_over_mac(struct hearing *h)
{
    enum mat_learn_verdict verdict = MAT_LEARN_MAC_ONLY;
    struct mat_learn_place *p = h->place;
    const struct mat_mac *mac = &h->said->mac;

    for (struct mat_learn_mac *m = mat_learn_first_mac(h->l, p->port.zone,
                                                       mac);
         m; m = m->hash_next) {
        if (m->place == p || !mat_learn_is_mac(m, p->port.zone, mac)) {
            continue;
        }
        for (size_t i = m->place->n_binds; i-- > 0; ) {
            struct mat_learn_bind *b = m->place->binds[i];
            const struct mat_learn_said said = {
                .kind = MAT_LEARN_ANNOUNCE, .mac = *mac,
                .has_hoa = true, .hoa = b->hoa
            };
            struct hearing claim = *h;

            claim.said = &said;
            if (mat_mac_equal(&b->mac, mac) && may_take(p, b, mac)
                && judge_hoa(&claim) == MAT_LEARN_BOUND) {
                verdict = MAT_LEARN_BOUND;
            }
        }
    }
    return verdict;
}

static bool
is_broadcast(const struct mat_addr *hoa, unsigned int plen)
{
    struct mat_addr all_ones = *hoa;

    for (unsigned int i = 96 + plen; i < 128; i++) {
        all_ones.b[i / 8] |= (uint8_t) (0x80 >> i % 8);
    }
    return mat_addr_is_v4(hoa) && mat_addr_equal(hoa, &all_ones);
}

/* The address by itself: could it be a HoA of this port? */
static enum mat_learn_verdict
judge_address(const struct hearing *h)
{
    const struct mat_learn_port *port = &h->place->port;
    const struct mat_addr *hoa = &h->said->hoa;
    const struct mat_zone *zone = mat_learn_zone_find(h->l, port->zone);
    bool has_family = false, is_inside = false;

    if (!mat_addr_is_host(hoa)) {
        return MAT_LEARN_BAD_HOA;
    } else if (has_hoa(port, hoa)) {
        return MAT_LEARN_KNOWN;
    } else if (port->n_hoas || !port->learns) {
        return MAT_LEARN_OTHER_HOA;
    }
    for (size_t i = 0; zone && i < zone->n_subnets; i++) {
        const struct mat_subnet *s = &zone->subnets[i];

        if (mat_addr_is_v4(&s->prefix) != mat_addr_is_v4(hoa)) {
            continue;
        }
        has_family = true;
        if (mat_addr_equal(&s->gateway, hoa)) {
            return MAT_LEARN_GATEWAY;
        } else if (mat_addr_in_prefix(hoa, &s->prefix, s->plen)) {
            struct mat_addr network = mat_addr_mask(hoa, s->plen);

            is_inside = true;
            if (s->plen + 1u < mat_addr_bits(hoa)
                && (mat_addr_equal(hoa, &network)
                    || is_broadcast(hoa, s->plen))) {
                return MAT_LEARN_BAD_HOA;
            }
        }
    }
    return (has_family && !is_inside ? MAT_LEARN_OTHER_SUBNET
            : MAT_LEARN_KNOWN);
}

static enum mat_learn_verdict
judge_hoa(struct hearing *h)
{
    enum mat_learn_verdict verdict = judge_address(h);
    struct mat_learn_bind *b;

    if (verdict != MAT_LEARN_KNOWN) {
        return h->said->kind == MAT_LEARN_PROBE ? MAT_LEARN_MAC_ONLY : verdict;
    }
    b = mat_learn_bind_find(h->l, h->place->port.zone, &h->said->hoa);
    if (h->said->kind == MAT_LEARN_PROBE) {
        return (b && b->place == h->place
                && mat_mac_equal(&b->mac, &h->said->mac)
                ? MAT_LEARN_KNOWN : MAT_LEARN_MAC_ONLY);
    }
    return b ? judge_bound(h, b) : bind_hoa(h);
}

/* May port 'p' with 'mac' take over 'b' of another port? */
static bool
may_take(const struct mat_learn_place *p, const struct mat_learn_bind *b,
         const struct mat_mac *mac)
{
    bool same_mac = mat_mac_equal(&b->mac, mac);
    bool configured = has_hoa(&p->port, &b->hoa);

    return (configured && !b->configured)
           || (!b->place->port.live && (same_mac || configured))
           || (same_mac && has_mac(&p->port, mac));
}

/* Somebody has the HoA. */
static enum mat_learn_verdict
judge_bound(struct hearing *h, struct mat_learn_bind *b)
{
    if (b->place == h->place && mat_mac_equal(&b->mac, &h->said->mac)) {
        mat_learn_bind_use(b, h->now_us);
        return MAT_LEARN_KNOWN;
    } else if (b->place == h->place) {
        if (h->now_us - b->bound_us < FLIP_US) {
            return MAT_LEARN_TWO_MACS;
        }
    } else if (!may_take(h->place, b, &h->said->mac)) {
        h->other = b->place;
        return MAT_LEARN_STOLEN_HOA;
    } else if (!make_room(h)) {
        return MAT_LEARN_HOAS;
    }
    mat_learn_bind_free(h->l, b, MAT_LEARN_WHY_TAKEN, h->place->port.name);
    return bind_hoa(h);
}

/* Is there room for one more HoA?  If need be instead of one that is not used
 * any more. */
static bool
make_room(struct hearing *h)
{
    struct mat_learn_place *p = h->place;
    bool configured = has_hoa(&p->port, &h->said->hoa);
    size_t max = (p->port.hoas_max < MAT_LEARN_HOAS_MAX && !configured
                  ? p->port.hoas_max : (size_t) MAT_LEARN_HOAS_MAX);

    for (size_t i = 0; i < p->n_binds && p->n_binds >= max; i++) {
        if (mat_learn_is_old(h->l, p->binds[i], h->now_us)) {
            mat_learn_bind_free(h->l, p->binds[i], MAT_LEARN_WHY_AGE, NULL);
        }
    }
    return p->n_binds < max;
}

static enum mat_learn_verdict
bind_hoa(struct hearing *h)
{
    if (!make_room(h)) {
        return MAT_LEARN_HOAS;
    }
    mat_learn_bind_add(h->l, h->place, &h->said->mac, &h->said->hoa,
                       has_hoa(&h->place->port, &h->said->hoa), h->now_us);
    return MAT_LEARN_BOUND;
}

/* Reports a violation, unless one of the same kind was told lately. */
static void
tell(struct hearing *h, enum mat_learn_verdict verdict)
{
    struct mat_learn_place *p = h->place;
    struct mat_learn_change *change;

    p->untold[verdict]++;
    if (p->counts[verdict] > 1
        && h->now_us - p->told_us[verdict] < TELL_US) {
        return;
    }
    change = mat_learn_change_add(h->l);
    change->kind = MAT_LEARN_CHANGE_VIOLATION;
    change->verdict = verdict;
    change->n = p->untold[verdict];
    memcpy(change->binding.port, p->port.name, sizeof change->binding.port);
    change->binding.zone = p->port.zone;
    change->binding.mac = h->said->mac;
    if (h->said->has_hoa) {
        change->binding.hoa = h->said->hoa;
    }
    if (h->other) {
        memcpy(change->other, h->other->port.name, sizeof change->other);
    }
    p->untold[verdict] = 0;
    p->told_us[verdict] = h->now_us;
}

void
mat_learn_used(struct mat_learn *l, int64_t now_us, uint32_t zone,
               const struct mat_addr *hoa)
{
    struct mat_learn_bind *b = mat_learn_bind_find(l, zone, hoa);

    if (b) {
        mat_learn_bind_use(b, now_us);
    }
}

bool
mat_learn_restore(struct mat_learn *l, int64_t now_us, const char *port,
                  const struct mat_mac *mac, const struct mat_addr *hoa)
{
    const struct mat_learn_said said = {
        .kind = MAT_LEARN_SPEAK, .mac = *mac, .has_hoa = true, .hoa = *hoa
    };
    struct hearing h = { .l = l, .said = &said, .now_us = now_us,
                         .place = mat_learn_place_find(l, port) };

    return h.place && !mat_learn_is_violation(judge(&h));
}

bool
mat_learn_forget(struct mat_learn *l, int64_t now_us, uint32_t zone,
                 const struct mat_addr *hoa)
{
    struct mat_learn_bind *b = mat_learn_bind_find(l, zone, hoa);

    (void) now_us;
    if (!b || b->configured) {
        return false;
    }
    mat_learn_bind_free(l, b, MAT_LEARN_WHY_FORGET, NULL);
    return true;
}
