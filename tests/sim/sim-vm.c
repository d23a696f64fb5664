/* SPDX-License-Identifier: Apache-2.0 */
/* VMs: where they really are, and what agents hear about it. */
#include "mat-mem.h"
#include "sim.h"

static void
allow(struct sim_vm *vm, int host)
{
    vm->may_claim[host / 64] |= UINT64_C(1) << host % 64;
}

static void
tell(struct sim *s, int host, enum mat_recorder_kind kind,
     const struct sim_vm *vm, bool flag)
{
    struct mat_call call = { .kind = kind, .key = vm->key, .flag = flag };

    sim_call(s, &s->hosts[host], &call);
}

static void
tell_moa(struct sim *s, int host, enum mat_recorder_kind kind,
         struct sim_vm *vm, const struct mat_addr *moa)
{
    struct mat_call call = {
        .kind = kind, .key = vm->key, .addr = *moa, .mac = vm->mac
    };

    allow(vm, host);
    sim_call(s, &s->hosts[host], &call);
}

/* The port of 'vm' on its host goes away. */
static void
unplug(struct sim *s, struct sim_vm *vm)
{
    if (vm->port_host >= 0) {
        sim_release_moa(s, &s->hosts[vm->port_host], &vm->moa);
        tell(s, vm->port_host, MAT_REC_PORT, vm, false);
        vm->port_host = -1;
    }
}

static void
run_on(struct sim *s, struct sim_vm *vm, int host,
       const struct mat_addr *moa)
{
    unplug(s, vm);
    vm->host = vm->port_host = host;
    vm->moa = *moa;
    vm->target = -1;
    tell_moa(s, host, MAT_REC_CLAIM, vm, &vm->moa);
}

void
sim_vm_create(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];
    struct mat_addr moa = sim_take_moa(s, &s->hosts[host]);

    MAT_ASSERT(vm->host < 0);
    sim_trace(s, "vm%d is created on h%d", i, host);
    run_on(s, vm, host, &moa);
}

void
sim_vm_destroy(struct sim *s, int i)
{
    struct sim_vm *vm = &s->vms[i];

    sim_trace(s, "vm%d is destroyed on h%d", i, vm->host);
    if (vm->target >= 0) {
        sim_vm_cancel(s, i);
    }
    if (vm->port_host >= 0) {
        int host = vm->port_host;

        unplug(s, vm);
        tell(s, host, MAT_REC_RELEASE, vm, false);
    }
    vm->host = -1;
}

void
sim_vm_prepare(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];

    MAT_ASSERT(vm->target < 0 && host != vm->port_host);
    sim_trace(s, "vm%d is prepared on h%d", i, host);
    vm->target = host;
    vm->target_moa = sim_take_moa(s, &s->hosts[host]);
    tell_moa(s, host, MAT_REC_PREPARE, vm, &vm->target_moa);
}

void
sim_vm_stop(struct sim *s, int i, bool hint)
{
    struct sim_vm *vm = &s->vms[i];

    sim_trace(s, "vm%d stops on h%d", i, vm->host);
    vm->host = -1;
    if (hint && vm->port_host >= 0) {
        tell(s, vm->port_host, MAT_REC_LEAVING, vm, true);
    }
}

void
sim_vm_start(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];
    struct mat_addr moa;

    sim_trace(s, "vm%d starts on h%d", i, host);
    if (host == vm->port_host) {
        vm->host = host;        /* Rolled back. */
        tell(s, host, MAT_REC_LEAVING, vm, false);
        tell_moa(s, host, MAT_REC_CLAIM, vm, &vm->moa);
        return;
    }
    moa = vm->target == host ? vm->target_moa
          : sim_take_moa(s, &s->hosts[host]);
    run_on(s, vm, host, &moa);
}

void
sim_vm_cancel(struct sim *s, int i)
{
    struct sim_vm *vm = &s->vms[i];

    if (vm->target >= 0) {
        sim_trace(s, "vm%d is withdrawn from h%d", i, vm->target);
        sim_release_moa(s, &s->hosts[vm->target], &vm->target_moa);
        tell(s, vm->target, MAT_REC_WITHDRAW, vm, false);
        vm->target = -1;
    }
}

void
sim_vm_move(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];

    sim_trace(s, "vm%d moves from h%d to h%d", i, vm->host, host);
    if (vm->port_host >= 0) {
        tell(s, vm->port_host, MAT_REC_PORT, vm, false);
    }
    sim_vm_start(s, i, host);
}

void
sim_vm_move_quietly(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];

    tell(s, vm->host, MAT_REC_PORT, vm, false);
    allow(vm, host);
    vm->host = vm->port_host = host;
    vm->moa = sim_take_moa(s, &s->hosts[host]);
    mat_gossip_claim(s->hosts[host].engine, s->now_us, &vm->key, &vm->moa,
                     &vm->mac);
}

void
sim_vm_double(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];
    struct mat_addr moa = sim_take_moa(s, &s->hosts[host]);

    sim_trace(s, "vm%d also runs on h%d", i, host);
    vm->is_doubled = true;
    vm->target_moa = moa;
    tell_moa(s, host, MAT_REC_CLAIM, vm, &moa);
}

/* A packet of the VM reaches the agent of 'host': it claims it. */
void
sim_vm_speak(struct sim *s, int i, int host)
{
    struct sim_vm *vm = &s->vms[i];

    tell_moa(s, host, MAT_REC_CLAIM, vm,
             host == vm->port_host ? &vm->moa : &vm->target_moa);
}

void
sim_vm_access(struct sim *s, int i, int other)
{
    struct mat_call call = {
        .kind = MAT_REC_ACCESSED, .zone = s->vms[other].key.zone,
        .addr = s->vms[other].key.addr
    };

    if (s->vms[i].host >= 0 && s->vms[i].key.zone == call.zone) {
        sim_call(s, &s->hosts[s->vms[i].host], &call);
    }
}

struct sim_entry *
sim_entry(struct sim *s, int host, int vm)
{
    return &s->hosts[host].entries[vm];
}

/* The VM whose port on 'host' has this MoA, or is prepared with it. */
static int
vm_with_moa(const struct sim *s, int host, const struct mat_addr *moa)
{
    for (int i = 0; i < s->n_vms; i++) {
        const struct sim_vm *vm = &s->vms[i];

        if ((vm->port_host == host && mat_addr_equal(&vm->moa, moa))
            || (vm->target == host && mat_addr_equal(&vm->target_moa, moa))) {
            return i;
        }
    }
    return -1;
}

/* A packet from 'i' to 'other', by what the switches know.  It may be lost,
 * it may not go to another VM. */
void
sim_vm_packet(struct sim *s, int i, int other)
{
    const struct sim_vm *from = &s->vms[i];
    const struct sim_entry *e;
    int at, got;

    if (from->host < 0 || !s->hosts[from->host].entries
        || from->key.zone != s->vms[other].key.zone) {
        return;
    }
    e = sim_entry(s, from->host, other);
    at = e->is_live ? sim_host_of_id(s, e->owner) : -1;
    for (int hops = 0; at >= 0 && hops < 4; hops++) {
        got = vm_with_moa(s, at, &e->moa);
        if (got >= 0 && got != other) {
            sim_fail(s, "a packet for vm%d reached vm%d on h%d", other, got,
                     at);
        }
        if (got == other && s->vms[other].host == at) {
            s->n_delivered++;
            return;
        } else if (got == other) {
            s->n_held++;
            return;
        }
        /* Departed: the old host sends it on by its own table. */
        if (!s->hosts[at].entries) {
            return;
        }
        e = sim_entry(s, at, other);
        if (!e->is_live || sim_host_of_id(s, e->owner) == at) {
            return;
        }
        at = sim_host_of_id(s, e->owner);
        s->n_redirected++;
    }
}
