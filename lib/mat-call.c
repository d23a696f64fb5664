/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-call.h"

#include "mat-mem.h"

enum { CALL_SIZE_MAX = 64 + 65536, JOIN_KEYS_SIZE = 2 * MAT_SECRET_SIZE };

static bool
has_key(enum mat_recorder_kind kind)
{
    return ((kind >= MAT_REC_PREPARE && kind <= MAT_REC_PORT)
            || kind == MAT_REC_UNFREEZE || kind == MAT_REC_LATE);
}

static void
put_call(struct mat_writer *w, const struct mat_call *c)
{
    if (has_key(c->kind)) {
        mat_put_vmn_key(w, &c->key);
    }
    switch (c->kind) {
    case MAT_REC_RECEIVE:
    case MAT_REC_ENDPOINT:
        mat_put_addr(w, &c->endpoint.addr);
        mat_put_u16(w, c->endpoint.port);
        mat_put_bytes(w, c->data, c->size);
        break;
    case MAT_REC_PREPARE:
    case MAT_REC_CLAIM:
        mat_put_addr(w, &c->addr);
        mat_put_bytes(w, c->mac.ea, sizeof c->mac.ea);
        break;
    case MAT_REC_LEAVING:
    case MAT_REC_PORT:
        mat_put_u8(w, c->flag);
        break;
    case MAT_REC_POOL:
        mat_put_addr(w, &c->addr);
        mat_put_u8(w, c->plen);
        mat_put_u8(w, c->flag);
        break;
    case MAT_REC_WALL:
        mat_put_u64(w, (uint64_t) c->wall_s);
        break;
    case MAT_REC_ACCESSED:
    case MAT_REC_ASK:
    case MAT_REC_ZONE:
        mat_put_u32(w, c->zone);
        mat_put_addr(w, &c->addr);
        mat_put_u8(w, c->flag);
        break;
    case MAT_REC_JOIN_KEYS:
    case MAT_REC_REVOKE:
    case MAT_REC_CERT:
    case MAT_REC_SEEDS:
        mat_put_bytes(w, c->data, c->size);
        break;
    case MAT_REC_LATE:
        mat_put_u64(w, c->host);
        break;
    case MAT_REC_CREATE:
    case MAT_REC_TICK:
    case MAT_REC_WITHDRAW:
    case MAT_REC_RELEASE:
    case MAT_REC_OUTPUTS:
    case MAT_REC_UNFREEZE:
    case MAT_REC_LEAVE:
        break;
    }
}

static void
get_data(struct mat_reader *r, struct mat_call *c,
         uint8_t datagram[MAT_WIRE_DATAGRAM_MAX])
{
    c->size = r->left;
    if (c->size > MAT_WIRE_DATAGRAM_MAX) {
        r->bad = true;
    } else if (c->size) {
        memcpy(datagram, mat_get_bytes(r, c->size), c->size);
    }
    c->data = datagram;
}

static void
get_mac(struct mat_reader *r, struct mat_mac *mac)
{
    const uint8_t *bytes = mat_get_bytes(r, sizeof mac->ea);

    if (bytes) {
        memcpy(mac->ea, bytes, sizeof mac->ea);
    }
}

bool
mat_call_read(const struct mat_recorder_entry *entry, struct mat_call *c,
              uint8_t datagram[MAT_WIRE_DATAGRAM_MAX])
{
    struct mat_reader r = { .bytes = entry->data, .left = entry->size };

    *c = (struct mat_call) { .kind = entry->kind, .now_us = entry->now_us };
    if (has_key(c->kind)) {
        c->key = mat_get_vmn_key(&r);
    }
    switch (c->kind) {
    case MAT_REC_RECEIVE:
    case MAT_REC_ENDPOINT:
        c->endpoint.addr = mat_get_addr(&r);
        c->endpoint.port = mat_get_u16(&r);
        get_data(&r, c, datagram);
        break;
    case MAT_REC_PREPARE:
    case MAT_REC_CLAIM:
        c->addr = mat_get_addr(&r);
        get_mac(&r, &c->mac);
        break;
    case MAT_REC_LEAVING:
    case MAT_REC_PORT:
        c->flag = mat_get_u8(&r) != 0;
        break;
    case MAT_REC_POOL:
        c->addr = mat_get_addr(&r);
        c->plen = mat_get_u8(&r);
        c->flag = mat_get_u8(&r) != 0;
        break;
    case MAT_REC_WALL:
        c->wall_s = (int64_t) mat_get_u64(&r);
        break;
    case MAT_REC_ACCESSED:
    case MAT_REC_ASK:
    case MAT_REC_ZONE:
        c->zone = mat_get_u32(&r);
        c->addr = mat_get_addr(&r);
        c->flag = mat_get_u8(&r) != 0;
        break;
    case MAT_REC_JOIN_KEYS:
    case MAT_REC_REVOKE:
    case MAT_REC_CERT:
    case MAT_REC_SEEDS:
        get_data(&r, c, datagram);
        break;
    case MAT_REC_LATE:
        c->host = mat_get_u64(&r);
        break;
    case MAT_REC_TICK:
    case MAT_REC_WITHDRAW:
    case MAT_REC_RELEASE:
    case MAT_REC_UNFREEZE:
    case MAT_REC_LEAVE:
        break;
    case MAT_REC_CREATE:
    case MAT_REC_OUTPUTS:
    default:
        return false;
    }
    return !r.bad && !r.left && (c->kind != MAT_REC_JOIN_KEYS
                                 || c->size == JOIN_KEYS_SIZE);
}

static void
note(struct mat_recorder *recorder, const struct mat_call *c)
{
    uint8_t bytes[CALL_SIZE_MAX];
    struct mat_writer w = { .bytes = bytes, .max = sizeof bytes };

    put_call(&w, c);
    MAT_ASSERT(!w.overflow);
    mat_recorder_note(recorder, c->now_us, c->kind, bytes, w.n);
}

static void
set_join_keys(struct mat_gossip *g, const struct mat_call *c)
{
    uint8_t keys[2][MAT_SECRET_SIZE];

    MAT_ASSERT(c->size == sizeof keys);
    memcpy(keys, c->data, sizeof keys);
    mat_gossip_set_join_keys(g, keys);
}

static void
set_seeds(struct mat_gossip *g, const struct mat_call *c)
{
    struct mat_reader r = { .bytes = c->data, .left = c->size };
    struct mat_endpoint seeds[MAT_GOSSIP_SEEDS_MAX];
    size_t n;

    for (n = 0; n < MAT_GOSSIP_SEEDS_MAX && r.left; n++) {
        seeds[n].addr = mat_get_addr(&r);
        seeds[n].port = mat_get_u16(&r);
    }
    if (!r.bad) {
        mat_gossip_set_seeds(g, seeds, n);
    }
}

static enum mat_gossip_result
make(struct mat_gossip *g, const struct mat_call *c)
{
    switch (c->kind) {
    case MAT_REC_RECEIVE:
        mat_gossip_receive(g, c->now_us, &c->endpoint, c->data, c->size);
        break;
    case MAT_REC_TICK:
        mat_gossip_tick(g, c->now_us);
        break;
    case MAT_REC_PREPARE:
        return mat_gossip_prepare(g, c->now_us, &c->key, &c->addr, &c->mac);
    case MAT_REC_WITHDRAW:
        mat_gossip_withdraw(g, c->now_us, &c->key);
        break;
    case MAT_REC_CLAIM:
        return mat_gossip_claim(g, c->now_us, &c->key, &c->addr, &c->mac);
    case MAT_REC_LEAVING:
        mat_gossip_leaving(g, c->now_us, &c->key, c->flag);
        break;
    case MAT_REC_RELEASE:
        mat_gossip_release(g, c->now_us, &c->key);
        break;
    case MAT_REC_PORT:
        mat_gossip_port(g, c->now_us, &c->key, c->flag);
        break;
    case MAT_REC_POOL:
        return mat_gossip_pool(g, c->now_us, &c->addr, c->plen, c->flag);
    case MAT_REC_ENDPOINT:
        mat_gossip_set_endpoint(g, c->now_us, &c->endpoint);
        break;
    case MAT_REC_WALL:
        mat_gossip_set_wall(g, c->wall_s);
        break;
    case MAT_REC_ACCESSED:
        mat_gossip_accessed(g, c->now_us, c->zone, &c->addr);
        break;
    case MAT_REC_ASK:
        mat_gossip_ask(g, c->now_us, c->zone, &c->addr, c->flag);
        break;
    case MAT_REC_UNFREEZE:
        mat_gossip_unfreeze(g, c->now_us, &c->key);
        break;
    case MAT_REC_JOIN_KEYS:
        set_join_keys(g, c);
        break;
    case MAT_REC_LEAVE:
        mat_gossip_leave(g, c->now_us);
        break;
    case MAT_REC_REVOKE:
        return (mat_gossip_revoke(g, c->now_us, c->data, c->size)
                ? MAT_GOSSIP_OK : MAT_GOSSIP_FORBIDDEN);
    case MAT_REC_CERT:
        return (mat_gossip_set_cert(g, c->now_us, c->data, c->size)
                ? MAT_GOSSIP_OK : MAT_GOSSIP_FORBIDDEN);
    case MAT_REC_SEEDS:
        set_seeds(g, c);
        break;
    case MAT_REC_ZONE:
        mat_gossip_zone(g, c->now_us, c->zone, c->flag);
        break;
    case MAT_REC_LATE:
        mat_gossip_late(g, c->now_us, &c->key, c->host);
        break;
    case MAT_REC_CREATE:
    case MAT_REC_OUTPUTS:
        abort();                /* These are not calls. */
    }
    return MAT_GOSSIP_OK;
}

enum mat_gossip_result
mat_call_make(struct mat_gossip *g, struct mat_recorder *recorder,
              const struct mat_call *c)
{
    if (recorder) {
        note(recorder, c);
    }
    return make(g, c);
}

const char *
mat_call_name(enum mat_recorder_kind kind)
{
    static const char *const names[] = {
        "?", "create", "receive", "tick", "prepare", "withdraw", "claim",
        "leaving", "release", "port", "pool", "endpoint", "wall",
        "accessed", "ask", "outputs", "unfreeze", "join-keys", "leave",
        "revoke", "cert", "seeds", "zone", "late"
    };

    return kind < sizeof names / sizeof *names ? names[kind] : "?";
}
