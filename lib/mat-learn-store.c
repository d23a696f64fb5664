/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-learn-impl.h"

#include "mat-rng.h"

static uint64_t
hash_name(const struct mat_learn *l, const char *name)
{
    uint64_t hash = l->seed;

    for (; *name; name++) {
        hash = mat_mix64(hash ^ (uint8_t) *name);
    }
    return hash;
}

static uint64_t
hash_mac(const struct mat_learn *l, uint32_t zone, const struct mat_mac *mac)
{
    return mat_mix64(mat_mix64(l->seed ^ zone) ^ mat_mac_to_u64(mac));
}

static uint64_t
hash_hoa(const struct mat_learn *l, uint32_t zone, const struct mat_addr *hoa)
{
    uint64_t words[2];

    memcpy(words, hoa, sizeof words);
    return mat_mix64(mat_mix64(mat_mix64(l->seed ^ zone) ^ words[0])
                     ^ words[1]);
}

/* Places. */

struct mat_learn_place *
mat_learn_place_find(const struct mat_learn *l, const char *name)
{
    struct mat_learn_place *p = mat_index_find(&l->by_name,
                                               hash_name(l, name));

    while (p && strcmp(p->port.name, name)) {
        p = p->hash_next;
    }
    return p;
}

struct mat_learn_place *
mat_learn_place_add(struct mat_learn *l, const char *name)
{
    size_t size = strnlen(name, MAT_PORT_NAME_SIZE - 1);
    struct mat_learn_place *p;
    uint64_t hash;

    if (l->n_places >= MAT_LEARN_PORTS_MAX) {
        return NULL;
    }
    if (l->n_places >= l->allocated) {
        l->allocated = l->allocated ? l->allocated * 2 : 16;
        l->places = mat_xrealloc(l->places, l->allocated * sizeof *l->places);
    }
    p = mat_xcalloc(1, sizeof *p);
    memcpy(p->port.name, name, size);
    p->slot = l->n_places;
    l->places[l->n_places++] = p;
    hash = hash_name(l, p->port.name);
    p->hash_next = mat_index_remove(&l->by_name, hash);
    mat_index_insert(&l->by_name, hash, p);
    return p;
}

void
mat_learn_place_free(struct mat_learn *l, struct mat_learn_place *p)
{
    uint64_t hash = hash_name(l, p->port.name);
    struct mat_learn_place *first = mat_index_remove(&l->by_name, hash);
    struct mat_learn_place **q = &first;

    MAT_ASSERT(!p->n_binds);
    while (p->n_macs) {
        mat_learn_mac_free(l, p->macs[p->n_macs - 1]);
    }
    while (*q != p) {
        MAT_ASSERT(*q);
        q = &(*q)->hash_next;
    }
    *q = p->hash_next;
    if (first) {
        mat_index_insert(&l->by_name, hash, first);
    }
    l->places[p->slot] = l->places[--l->n_places];
    l->places[p->slot]->slot = p->slot;
    free(p);
}

/* MACs. */

struct mat_learn_mac *
mat_learn_mac_find(const struct mat_learn_place *p, const struct mat_mac *mac)
{
    for (size_t i = 0; i < p->n_macs; i++) {
        if (mat_mac_equal(&p->macs[i]->mac, mac)) {
            return p->macs[i];
        }
    }
    return NULL;
}

struct mat_learn_mac *
mat_learn_mac_add(struct mat_learn *l, struct mat_learn_place *p,
                  const struct mat_mac *mac, bool configured, int64_t now_us)
{
    struct mat_learn_mac *m = mat_xcalloc(1, sizeof *m);
    uint64_t hash = hash_mac(l, p->port.zone, mac);

    MAT_ASSERT(p->n_macs < MAT_LEARN_MACS_MAX);
    m->place = p;
    m->mac = *mac;
    m->configured = configured;
    m->heard_us = now_us;
    p->macs[p->n_macs++] = m;
    m->hash_next = mat_index_remove(&l->by_mac, hash);
    mat_index_insert(&l->by_mac, hash, m);
    return m;
}

void
mat_learn_mac_free(struct mat_learn *l, struct mat_learn_mac *m)
{
    struct mat_learn_place *p = m->place;
    uint64_t hash = hash_mac(l, p->port.zone, &m->mac);
    struct mat_learn_mac *first = mat_index_remove(&l->by_mac, hash);
    struct mat_learn_mac **q = &first;
    size_t i = 0;

    while (*q != m) {
        MAT_ASSERT(*q);
        q = &(*q)->hash_next;
    }
    *q = m->hash_next;
    if (first) {
        mat_index_insert(&l->by_mac, hash, first);
    }
    while (p->macs[i] != m) {
        i++;
    }
    p->n_macs--;
    memmove(&p->macs[i], &p->macs[i + 1],
            (p->n_macs - i) * sizeof p->macs[0]);
    free(m);
}

struct mat_learn_mac *
mat_learn_first_mac(const struct mat_learn *l, uint32_t zone,
                    const struct mat_mac *mac)
{
    return mat_index_find(&l->by_mac, hash_mac(l, zone, mac));
}

bool
mat_learn_is_mac(const struct mat_learn_mac *m, uint32_t zone,
                 const struct mat_mac *mac)
{
    return m->place->port.zone == zone && mat_mac_equal(&m->mac, mac);
}

/* Bindings. */

struct mat_learn_bind *
mat_learn_bind_find(const struct mat_learn *l, uint32_t zone,
                    const struct mat_addr *hoa)
{
    struct mat_learn_bind *b = mat_index_find(&l->by_hoa,
                                              hash_hoa(l, zone, hoa));

    while (b && !(b->place->port.zone == zone
                  && mat_addr_equal(&b->hoa, hoa))) {
        b = b->hash_next;
    }
    return b;
}

static void
fill_binding(const struct mat_learn_bind *b, struct mat_learn_binding *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->port, b->place->port.name, sizeof out->port);
    out->zone = b->place->port.zone;
    out->mac = b->mac;
    out->hoa = b->hoa;
    out->configured = b->configured;
    out->bound_us = b->bound_us;
    out->used_us = b->used_us;
}

struct mat_learn_bind *
mat_learn_bind_add(struct mat_learn *l, struct mat_learn_place *p,
                   const struct mat_mac *mac, const struct mat_addr *hoa,
                   bool configured, int64_t now_us)
{
    struct mat_learn_bind *b = mat_xcalloc(1, sizeof *b);
    uint64_t hash = hash_hoa(l, p->port.zone, hoa);
    struct mat_learn_change *change;

    MAT_ASSERT(p->n_binds < MAT_LEARN_HOAS_MAX);
    MAT_ASSERT(!mat_learn_bind_find(l, p->port.zone, hoa));
    b->place = p;
    b->mac = *mac;
    b->hoa = *hoa;
    b->configured = configured;
    b->bound_us = b->used_us = now_us;
    p->binds[p->n_binds++] = b;
    b->hash_next = mat_index_remove(&l->by_hoa, hash);
    mat_index_insert(&l->by_hoa, hash, b);
    change = mat_learn_change_add(l);
    change->kind = MAT_LEARN_CHANGE_BOUND;
    fill_binding(b, &change->binding);
    return b;
}

void
mat_learn_bind_free(struct mat_learn *l, struct mat_learn_bind *b,
                    enum mat_learn_why why, const char *other)
{
    struct mat_learn_place *p = b->place;
    uint64_t hash = hash_hoa(l, p->port.zone, &b->hoa);
    struct mat_learn_bind *first = mat_index_remove(&l->by_hoa, hash);
    struct mat_learn_bind **q = &first;
    struct mat_learn_change *change = mat_learn_change_add(l);
    size_t i = 0;

    l->has_freed = true;
    change->kind = MAT_LEARN_CHANGE_UNBOUND;
    change->why = why;
    fill_binding(b, &change->binding);
    if (other) {
        memcpy(change->other, other, strlen(other) + 1);
    }
    while (*q != b) {
        MAT_ASSERT(*q);
        q = &(*q)->hash_next;
    }
    *q = b->hash_next;
    if (first) {
        mat_index_insert(&l->by_hoa, hash, first);
    }
    while (p->binds[i] != b) {
        i++;
    }
    p->n_binds--;
    memmove(&p->binds[i], &p->binds[i + 1],
            (p->n_binds - i) * sizeof p->binds[0]);
    free(b);
}

bool
mat_learn_is_old(const struct mat_learn *l, const struct mat_learn_bind *b,
                 int64_t now_us)
{
    const struct mat_learn_place *p = b->place;

    if (!l->age_us || b->configured || now_us - b->used_us < l->age_us) {
        return false;
    }
    for (size_t i = 0; i < p->n_binds; i++) {
        const struct mat_learn_bind *other = p->binds[i];

        if (mat_mac_equal(&other->mac, &b->mac)
            && mat_addr_is_v4(&other->hoa) == mat_addr_is_v4(&b->hoa)
            && other->used_us - b->used_us >= l->age_us) {
            return true;
        }
    }
    return false;
}

/* Changes. */

struct mat_learn_change *
mat_learn_change_add(struct mat_learn *l)
{
    struct mat_learn_change *change;

    if (l->n_changes >= l->changes_allocated) {
        l->changes_allocated = (l->changes_allocated
                                ? l->changes_allocated * 2 : 16);
        l->changes = mat_xrealloc(l->changes, l->changes_allocated
                                  * sizeof *l->changes);
    }
    change = &l->changes[l->n_changes++];
    memset(change, 0, sizeof *change);
    return change;
}

bool
mat_learn_next(struct mat_learn *l, struct mat_learn_change *change)
{
    if (l->changes_head >= l->n_changes) {
        l->changes_head = l->n_changes = 0;
        return false;
    }
    *change = l->changes[l->changes_head++];
    return true;
}

/* Zones. */

const struct mat_zone *
mat_learn_zone_find(const struct mat_learn *l, uint32_t zone)
{
    return mat_index_find(&l->zones, (uint64_t) zone + 1);
}

void
mat_learn_remove_zone(struct mat_learn *l, uint32_t zone)
{
    free(mat_index_remove(&l->zones, (uint64_t) zone + 1));
}

/* Questions. */

bool
mat_learn_find(const struct mat_learn *l, uint32_t zone,
               const struct mat_addr *hoa, struct mat_learn_binding *out)
{
    const struct mat_learn_bind *b = mat_learn_bind_find(l, zone, hoa);

    if (b) {
        fill_binding(b, out);
    }
    return b != NULL;
}

bool
mat_learn_get(const struct mat_learn *l, const char *port, size_t i,
              struct mat_learn_binding *out)
{
    const struct mat_learn_place *p = mat_learn_place_find(l, port);

    if (!p || i >= p->n_binds) {
        return false;
    }
    fill_binding(p->binds[i], out);
    return true;
}

bool
mat_learn_get_mac(const struct mat_learn *l, const char *port, size_t i,
                  struct mat_mac *mac)
{
    const struct mat_learn_place *p = mat_learn_place_find(l, port);

    if (!p || i >= p->n_macs) {
        return false;
    }
    *mac = p->macs[i]->mac;
    return true;
}

const char *
mat_learn_find_mac(const struct mat_learn *l, uint32_t zone,
                   const struct mat_mac *mac)
{
    const struct mat_learn_place *found = NULL;

    for (const struct mat_learn_mac *m = mat_learn_first_mac(l, zone, mac);
         m; m = m->hash_next) {
        if (mat_learn_is_mac(m, zone, mac)
            && (!found || (m->place->port.live && !found->port.live))) {
            found = m->place;
        }
    }
    return found ? found->port.name : NULL;
}

uint64_t
mat_learn_count(const struct mat_learn *l, const char *port,
                enum mat_learn_verdict verdict)
{
    const struct mat_learn_place *p;
    uint64_t n = 0;

    if (verdict == MAT_LEARN_NO_PORT) {
        return port ? 0 : l->n_no_port;
    } else if (port) {
        p = mat_learn_place_find(l, port);
        return p ? p->counts[verdict] : 0;
    }
    for (size_t i = 0; i < l->n_places; i++) {
        n += l->places[i]->counts[verdict];
    }
    return n;
}
