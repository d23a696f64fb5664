/* SPDX-License-Identifier: Apache-2.0 */
/* Checks: safety with every claim that a host applies, agreement at quiet. */
#include <inttypes.h>

#include "mat-mem.h"
#include "sim.h"

static bool
may_claim(const struct sim_vm *vm, int host)
{
    return host >= 0 && vm->may_claim[host / 64] >> host % 64 & 1;
}

/* No theft: only a host where the VM was, or is to be, speaks for it. */
static void
check_right(struct sim *s, struct sim_host *host, int vm,
            const struct mat_claim *claim)
{
    int owner = sim_host_of_id(s, claim->version.host);

    if (!may_claim(&s->vms[vm], owner)) {
        sim_fail(s, "h%d believes h%d about vm%d, where it never was",
                 host->index, owner, vm);
    }
    if (s->hosts[owner].is_rogue) {
        sim_fail(s, "h%d believes rogue h%d about vm%d", host->index, owner,
                 vm);
    }
}

static void
apply_live(struct sim *s, struct sim_host *host, int vm,
           const struct mat_claim *claim)
{
    struct sim_entry *e = &host->entries[vm];

    check_right(s, host, vm, claim);
    if (e->version.host
        && mat_version_compare(&claim->version, &e->version) < 0) {
        sim_fail(s, "h%d: vm%d went back from (%" PRIu32 ",%" PRIu32
                 ") to (%" PRIu32 ",%" PRIu32 ")", host->index, vm,
                 e->version.epoch, e->version.seq, claim->version.epoch,
                 claim->version.seq);
    }
    e->version = claim->version;
    e->is_live = claim->state == MAT_CLAIM_LIVE;
    e->owner = claim->version.host;
    e->moa = mat_claim_moa(claim);
}

static void
remove_prep(struct sim_entry *e, uint64_t host)
{
    for (uint8_t i = 0; i < e->n_preps; i++) {
        if (e->preps[i].host == host) {
            e->preps[i] = e->preps[--e->n_preps];
            return;
        }
    }
}

static void
apply_prep(struct sim *s, struct sim_host *host, int vm,
           const struct mat_claim *claim)
{
    struct sim_entry *e = &host->entries[vm];
    bool was_live = e->is_live;
    uint64_t owner = e->owner;

    check_right(s, host, vm, claim);
    remove_prep(e, claim->version.host);
    if (claim->state == MAT_CLAIM_LIVE) {
        if (e->n_preps == 8) {
            sim_fail(s, "h%d: vm%d is prepared by too many", host->index, vm);
        }
        e->preps[e->n_preps].host = claim->version.host;
        e->preps[e->n_preps++].moa = mat_claim_moa(claim);
    }
    if (e->is_live != was_live || e->owner != owner) {
        sim_fail(s, "h%d: preparing displaced vm%d", host->index, vm);
    }
}

void
sim_check_apply(struct sim *s, struct sim_host *host,
                const struct mat_output *out)
{
    const struct mat_claim *claim = out->claim;
    int vm;

    if (out->key.type != MAT_TYPE_VMN && out->key.type != MAT_TYPE_PREP) {
        return;
    }
    if (claim && s->on_apply) {
        s->on_apply(s, host->index, claim);
    }
    vm = sim_vm_of_key(s, &out->key);
    if (vm < 0 || !mat_key_equal(&s->vms[vm].key, &(struct mat_key) {
                                     .addr = out->key.addr,
                                     .zone = out->key.zone,
                                     .type = MAT_TYPE_VMN,
                                     .plen = out->key.plen })) {
        sim_fail(s, "h%d applies a record of no VM", host->index);
    }
    if (!host->entries || host->is_rogue) {
        return;                 /* What a rogue believes is its affair. */
    }
    if (!claim && out->key.type == MAT_TYPE_PREP) {
        remove_prep(&host->entries[vm], out->key.host);
    } else if (!claim) {
        host->entries[vm].is_live = false;
        host->entries[vm].version.host = 0;
    } else if (out->key.type == MAT_TYPE_PREP) {
        apply_prep(s, host, vm, claim);
    } else {
        apply_live(s, host, vm, claim);
    }
}

/* Agreement. */

static bool
has_zone(const struct sim_host *host, uint32_t zone)
{
    return mat_vmn_wants_zone(host->engine, zone);
}

static bool
members_agree(struct sim *s, char *why, size_t size)
{
    size_t n_up = 0;

    for (int i = 0; i < s->n_hosts; i++) {
        n_up += s->hosts[i].is_up;
    }
    for (int i = 0; i < s->n_hosts; i++) {
        const struct sim_host *host = &s->hosts[i];

        if (host->is_up && !host->engine->has_left
            && mat_gossip_n_members(host->engine, MAT_MEMBER_ALIVE) + 1
               != n_up) {
            snprintf(why, size, "h%d counts %zu alive of %zu", i,
                     mat_gossip_n_members(host->engine, MAT_MEMBER_ALIVE) + 1,
                     n_up);
            return false;
        }
    }
    return true;
}

static bool
digests_agree(struct sim *s, uint32_t zone, char *why, size_t size)
{
    const struct sim_host *first = NULL;

    for (int i = 0; i < s->n_hosts; i++) {
        const struct sim_host *host = &s->hosts[i];

        if (!host->is_up || host->is_rogue
            || (zone != MAT_ZONE_ALL && !has_zone(host, zone))) {
            continue;
        }
        if (!first) {
            first = host;
        } else if (mat_gossip_digest(host->engine, zone)
                   != mat_gossip_digest(first->engine, zone)) {
            snprintf(why, size, "h%d and h%d differ about zone %" PRIu32,
                     first->index, host->index, zone);
            return false;
        }
    }
    return true;
}

/* Whether the owner of 'vm' has seen its port go, but has not been told that
 * it was destroyed: it may have moved to a host that died.  What to do then is
 * for the agent to decide. */
static bool
is_missing(struct sim *s, int vm, uint64_t owner)
{
    const struct sim_host *host = &s->hosts[sim_host_of_id(s, owner)];
    const struct mat_vmn *vmn = (host->is_up
                                 ? mat_vmn_find(host->engine,
                                                &s->vms[vm].key)
                                 : NULL);

    return !host->is_up || (vmn && !vmn->port_live);
}

/* What was destroyed, or went down with its host, is live nowhere. */
static bool
vm_is_gone(struct sim *s, int vm, char *why, size_t size)
{
    for (int i = 0; i < s->n_hosts; i++) {
        const struct sim_host *host = &s->hosts[i];

        if (host->is_up && host->entries && !host->is_rogue
            && host->entries[vm].is_live
            && !is_missing(s, vm, host->entries[vm].owner)) {
            snprintf(why, size, "h%d: vm%d is on h%d, but is no more", i, vm,
                     sim_host_of_id(s, host->entries[vm].owner));
            return false;
        }
    }
    return true;
}

static bool
vm_is_known(struct sim *s, int vm, char *why, size_t size)
{
    const struct sim_vm *v = &s->vms[vm];

    if (v->is_doubled) {
        return true;
    } else if (v->host < 0 && v->port_host < 0) {
        return vm_is_gone(s, vm, why, size);
    } else if (v->host < 0 || !s->hosts[v->host].is_up) {
        return true;
    }
    for (int i = 0; i < s->n_hosts; i++) {
        const struct sim_host *host = &s->hosts[i];
        const struct sim_entry *e;

        if (!host->is_up || !host->entries || host->is_rogue
            || !has_zone(host, v->key.zone)) {
            continue;
        }
        e = &host->entries[vm];
        if (!e->is_live || e->owner != s->hosts[v->host].id
            || !mat_addr_equal(&e->moa, &v->moa)) {
            snprintf(why, size, "h%d: vm%d is %s h%d, truly on h%d", i, vm,
                     e->is_live ? "on" : "gone from",
                     sim_host_of_id(s, e->owner), v->host);
            return false;
        }
    }
    return true;
}

bool
sim_is_agreed(struct sim *s, char *why, size_t size)
{
    if (!members_agree(s, why, size)
        || !digests_agree(s, MAT_ZONE_ALL, why, size)
        || !digests_agree(s, 7, why, size)
        || !digests_agree(s, 8, why, size)) {
        return false;
    }
    for (int i = 0; i < s->n_vms; i++) {
        if (!vm_is_known(s, i, why, size)) {
            return false;
        }
    }
    return true;
}

/* The sum that is kept of a table is that of the table. */
static void
check_members_sum(struct sim *s, const struct sim_host *host)
{
    const struct mat_gossip *g = host->engine;
    uint64_t sum = 0;

    for (size_t i = 0; i < g->n_members; i++) {
        const struct mat_member *m = g->members[i];

        sum ^= mat_member_print(m->id, m->host->version.epoch,
                                m->incarnation, m->state);
    }
    if (sum != g->members_sum) {
        sim_fail(s, "h%d has a wrong sum of its members", host->index);
    }
}

void
sim_settle(struct sim *s, int64_t at_most_us)
{
    int64_t until = s->now_us + at_most_us;
    char why[120];

    while (!sim_is_agreed(s, why, sizeof why)) {
        if (s->now_us >= until) {
            sim_fail(s, "no agreement after %" PRId64 " s: %s",
                     at_most_us / SIM_S, why);
        }
        sim_run(s, 250 * SIM_MS);
    }
    for (int i = 0; i < s->n_hosts; i++) {
        if (s->hosts[i].is_up) {
            check_members_sum(s, &s->hosts[i]);
        }
    }
    sim_trace(s, "all agree");
}
