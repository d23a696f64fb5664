/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: the engine, the agent around it, and the table of the switch. */
#include <inttypes.h>

#include "mat-mem.h"
#include "sim.h"

enum { LABEL = 0x5a5a, PORT = 19777, QUARANTINE_S = 90 };

/* Creation. */

static struct mat_endpoint
endpoint_of(int host, int life)
{
    uint8_t v4[4] = {
        192, (uint8_t) (168 + life), (uint8_t) (host >> 8), (uint8_t) host
    };

    return (struct mat_endpoint) { mat_addr_from_v4(v4), PORT };
}

/* Each host has a /20 of 100.64.0.0/10 and further on as pool. */
static struct mat_addr
moa_of(const struct sim_host *host, uint32_t i)
{
    uint32_t v = UINT32_C(0x40000000) + (uint32_t) host->index * SIM_MOAS + i;
    uint8_t v4[4] = {
        (uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8),
        (uint8_t) v
    };

    return mat_addr_from_v4(v4);
}

/* HoAs of both families; zones 7 and 8 use the same ones. */
static struct mat_key
vm_key(int vm, int zones)
{
    uint32_t zone = 7 + (uint32_t) (vm % zones), n = (uint32_t) (vm / zones);
    struct mat_addr addr;

    if (n % 4 == 3) {
        uint8_t v6[16] = {
            0xfd, [12] = (uint8_t) (n >> 24), (uint8_t) (n >> 16),
            (uint8_t) (n >> 8), (uint8_t) n
        };

        addr = mat_addr_from_v6(v6);
    } else {
        uint8_t v4[4] = {
            10, (uint8_t) (n >> 16), (uint8_t) (n >> 8), (uint8_t) n
        };

        addr = mat_addr_from_v4(v4);
    }
    return mat_key_vmn(zone, &addr, mat_addr_bits(&addr));
}

static int
n_zones(const struct sim *s)
{
    return s->n_vms > 8 && !s->one_zone ? 2 : 1;
}

static void
init_vm(struct sim *s, int i)
{
    struct sim_vm *vm = &s->vms[i];

    vm->index = i;
    vm->key = vm_key(i, n_zones(s));
    vm->mac = mat_mac_from_u64(0x2 + ((uint64_t) i << 16));
    vm->host = vm->port_host = vm->target = -1;
    vm->may_claim = mat_xcalloc((size_t) s->n_hosts / 64 + 1,
                                sizeof *vm->may_claim);
}

void
sim_host_certify(struct sim *s, struct sim_host *host, bool narrow,
                 uint32_t serial)
{
    struct mat_cert cert = {
        .host = host->id, .serial = serial,
        .not_after_s = s->wall_s + 365 * 86400,
        .n_zones = 1, .zones = { { 0, 0xffffff } },
        .n_hoas = 2, .n_pools = 1
    };

    memcpy(cert.public_key, host->identity.public_key,
           sizeof cert.public_key);
    mat_addr_parse("10.0.0.0", &cert.hoas[0].addr);
    cert.hoas[0].plen = 8;
    mat_addr_parse("fd00::", &cert.hoas[1].addr);
    cert.hoas[1].plen = 8;
    if (narrow) {
        mat_addr_parse("10.255.0.0", &cert.hoas[0].addr);
        cert.hoas[0].plen = 16;
        cert.n_hoas = 1;
    }
    cert.pools[0].addr = moa_of(host, 0);
    cert.pools[0].plen = 20;
    host->cert_size = mat_cert_issue(&cert, &s->cluster.crypto, host->cert);
}

static void
init_host(struct sim *s, int i)
{
    struct sim_host *host = &s->hosts[i];
    struct mat_endpoint endpoint = endpoint_of(i, 0);

    host->id = 1 + (uint64_t) i;
    host->index = i;
    host->group = i % 64;
    sim_identity_init(&host->identity, host->id + 1000, s->real_crypto);
    sim_host_certify(s, host, false, 1);
    sim_address_changes(s, host, &endpoint);
}

void
sim_init(struct sim *s, uint64_t seed, int n_hosts, int n_vms)
{
    bool real_crypto = s->real_crypto, verbose = s->verbose;
    bool one_zone = s->one_zone, no_pools = s->no_pools;
    const char *replay = s->replay;

    memset(s, 0, sizeof *s);
    s->real_crypto = real_crypto;
    s->one_zone = one_zone;
    s->no_pools = no_pools;
    s->verbose = verbose;
    s->replay = replay;
    s->seed = seed;
    s->rng.state = seed;
    s->wall_s = 1700000000;
    s->net.delay_us = 200;
    s->n_hosts = n_hosts;
    s->n_vms = n_vms;
    s->pool = mat_claim_pool_create();
    mat_gossip_tuning_default(&s->tuning);
    s->trace = mat_xcalloc(SIM_TRACE_LINES, sizeof *s->trace);
    s->hosts = mat_xcalloc((size_t) n_hosts, sizeof *s->hosts);
    s->vms = mat_xcalloc((size_t) n_vms, sizeof *s->vms);
    sim_identity_init(&s->cluster, 1, real_crypto);
    for (int i = 0; i < n_vms; i++) {
        init_vm(s, i);
    }
    for (int i = 0; i < n_hosts; i++) {
        init_host(s, i);
    }
}

void
sim_destroy(struct sim *s)
{
    for (int i = 0; i < s->n_hosts; i++) {
        struct sim_host *host = &s->hosts[i];

        mat_gossip_destroy(host->engine);
        mat_recorder_destroy(host->recorder);
        sim_identity_destroy(&host->identity);
        sim_busy_destroy(host);
        free(host->entries);
        free(host->moa_free_us);
    }
    for (int i = 0; i < s->n_vms; i++) {
        free(s->vms[i].may_claim);
    }
    for (size_t i = 0; i < s->n_queued; i++) {
        free(s->events[i].data);
    }
    for (size_t i = 0; i < s->n_captured; i++) {
        free(s->captured[i].data);
    }
    free(s->captured);
    free(s->events);
    free(s->hosts);
    free(s->vms);
    free(s->trace);
    free(s->net.site_delay_us);
    mat_index_destroy(&s->by_address);
    sim_identity_destroy(&s->cluster);
    mat_claim_pool_destroy(s->pool);
}

int
sim_host_of_id(const struct sim *s, uint64_t id)
{
    return id >= 1 && id <= (uint64_t) s->n_hosts ? (int) id - 1 : -1;
}

int
sim_vm_of_key(const struct sim *s, const struct mat_key *key)
{
    uint32_t zones = (uint32_t) n_zones(s), n = 0;
    int vm;

    for (int i = mat_addr_is_v4(&key->addr) ? 13 : 12; i < 16; i++) {
        n = n << 8 | key->addr.b[i];
    }
    vm = (int) (n * zones + key->zone - 7);
    return vm >= 0 && vm < s->n_vms ? vm : -1;
}

/* Life. */

static void
configure(struct sim *s, struct sim_host *host, struct mat_gossip_config *c)
{
    *c = (struct mat_gossip_config) {
        .id = host->id, .generation = host->disk_generation,
        .salt = mat_rng_next(&s->rng), .seed = mat_rng_next(&s->rng),
        .endpoint = host->endpoint, .mtu = 1500, .label = LABEL,
        .all_zones = host->all_zones,
        .cert = host->cert, .cert_size = host->cert_size,
        .n_seeds = 3, .wall_s = s->wall_s, .crypto = host->identity.crypto,
        .pool = s->pool, .tuning = s->tuning
    };
    for (int i = 0; i < 3; i++) {
        c->seeds[i] = s->hosts[i % s->n_hosts].endpoint;
    }
    memcpy(c->cluster_key, s->cluster.public_key, sizeof c->cluster_key);
    memset(c->join_keys, 'j', sizeof c->join_keys);
}

static void
find_vms_again(struct sim *s, uint64_t host_, uint64_t generation)
{
    struct sim_host *host = &s->hosts[host_];

    if (!host->is_up || host->disk_generation != generation) {
        return;
    }
    for (int i = 0; i < s->n_vms; i++) {
        if (s->vms[i].host == host->index && !s->vms[i].is_doubled) {
            sim_vm_speak(s, i, host->index);
        }
    }
}

void
sim_host_start(struct sim *s, int index)
{
    struct sim_host *host = &s->hosts[index];
    struct mat_gossip_config config;
    struct mat_call pool = {
        .kind = MAT_REC_POOL, .addr = moa_of(host, 0), .plen = 20,
        .flag = true
    };

    MAT_ASSERT(!host->is_up);
    host->disk_generation++;
    host->is_up = true;
    host->tick_at_us = -1;
    host->is_dead = false;
    if (!host->no_tables) {
        free(host->entries);
        host->entries = mat_xcalloc((size_t) s->n_vms, sizeof *host->entries);
        if (!host->moa_free_us) {
            host->moa_free_us = mat_xcalloc(SIM_MOAS,
                                            sizeof *host->moa_free_us);
        }
    }
    configure(s, host, &config);
    host->engine = mat_gossip_create(&config, s->now_us);
    MAT_ASSERT(host->engine);
    if (host->is_rogue) {
        /* Its own program does not stop it. */
        host->engine->own_cert.hoas[0].plen = 0;
    }
    if (host->recorder) {
        sim_record_create(host->recorder, &config, &host->identity,
                          s->now_us);
    }
    sim_trace(s, "h%d starts, generation %" PRIu32, index,
              host->disk_generation);
    if (!s->no_pools) {
        sim_call(s, host, &pool);
    }
    find_vms_again(s, (uint64_t) index, host->disk_generation);
}

void
sim_host_start_all(struct sim *s)
{
    for (int i = 0; i < s->n_hosts; i++) {
        sim_host_start(s, i);
    }
}

/* Stops the agent.  VMs go on, and the switch with its last table. */
void
sim_host_stop(struct sim *s, int index, bool keep_disk)
{
    struct sim_host *host = &s->hosts[index];

    MAT_ASSERT(host->is_up);
    sim_trace(s, "h%d stops%s", index, keep_disk ? "" : ", loses its disk");
    mat_gossip_destroy(host->engine);
    host->engine = NULL;
    host->is_up = false;
    if (!keep_disk) {
        host->disk_generation = 0;
    }
    for (int i = 0; i < s->n_vms; i++) {
        if (s->vms[i].target == index) {
            s->vms[i].target = -1;      /* Forgotten. */
        }
    }
}

void
sim_host_die(struct sim *s, int index)
{
    if (s->hosts[index].is_up) {
        sim_host_stop(s, index, true);
    }
    s->hosts[index].is_dead = true;
    sim_trace(s, "h%d is dead", index);
    for (int i = 0; i < s->n_vms; i++) {
        struct sim_vm *vm = &s->vms[i];

        if (vm->host == index) {
            vm->host = -1;
        }
        if (vm->port_host == index) {
            vm->port_host = -1;
        }
    }
}

void
sim_host_move(struct sim *s, int index)
{
    struct sim_host *host = &s->hosts[index];
    struct mat_call call = { .kind = MAT_REC_ENDPOINT };

    call.endpoint = endpoint_of(index, 1 + (int) sim_below(s, 60));
    sim_trace(s, "h%d gets another address", index);
    sim_address_changes(s, host, &call.endpoint);
    sim_call(s, host, &call);
}

/* MoAs, with the quarantine that keeps a stale peer from another VMN. */

struct mat_addr
sim_take_moa(struct sim *s, struct sim_host *host)
{
    for (uint32_t i = 0; i < SIM_MOAS; i++) {
        if (host->moa_free_us[i] <= s->now_us) {
            host->moa_free_us[i] = INT64_MAX;
            return moa_of(host, i);
        }
    }
    sim_fail(s, "h%d has no MoA left", host->index);
}

void
sim_release_moa(struct sim *s, struct sim_host *host,
                const struct mat_addr *moa)
{
    struct mat_addr first = moa_of(host, 0);
    uint32_t i = ((uint32_t) moa->b[14] << 8 | moa->b[15])
                 - ((uint32_t) first.b[14] << 8 | first.b[15]);

    MAT_ASSERT(i < SIM_MOAS);
    host->moa_free_us[i] = s->now_us + QUARANTINE_S * SIM_S;
}

/* Events. */

void
sim_host_schedule(struct sim *s, struct sim_host *host)
{
    int64_t at = mat_gossip_deadline_us(host->engine);

    if (at < s->now_us) {
        at = s->now_us;
    }
    if (at != MAT_TIMER_NEVER && at != host->tick_at_us) {
        struct sim_event event = {
            .kind = SIM_TICK, .at_us = at, .tick_at_us = at,
            .host = host->index
        };

        host->tick_at_us = at;
        sim_push_event(s, &event);
    }
}

static void
note_event(struct sim *s, struct sim_host *host, const struct mat_output *out)
{
    static const char *const names[] = {
        "lost", "conflict", "frozen", "thawed", "unknown"
    };

    host->n_events[out->event]++;
    sim_trace(s, "h%d: vm%d %s (h%d)", host->index,
              sim_vm_of_key(s, &out->key), names[out->event],
              sim_host_of_id(s, out->host));
}

void
sim_host_output(struct sim *s, struct sim_host *host,
                const struct mat_output *out)
{
    static const char *const states[] = { "alive", "suspect", "dead", "left" };

    switch (out->kind) {
    case MAT_OUT_SEND:
        sim_net_send(s, host, &out->to, out->bytes, out->size);
        break;
    case MAT_OUT_APPLY:
        sim_check_apply(s, host, out);
        break;
    case MAT_OUT_MEMBER:
        sim_trace(s, "h%d: h%d is %s", host->index,
                  sim_host_of_id(s, out->host), states[out->state]);
        break;
    case MAT_OUT_PUSHED:
        host->n_pushed++;
        host->last_push_us = out->elapsed_us;
        host->last_push_reached = out->n_reached;
        host->last_push_failed = out->n_failed;
        sim_trace(s, "h%d: vm%d pushed to %" PRIu32 " in %" PRId64 " us",
                  host->index, sim_vm_of_key(s, &out->key), out->n_reached,
                  out->elapsed_us);
        break;
    case MAT_OUT_VMN:
        note_event(s, host, out);
        break;
    case MAT_OUT_GENERATION:
        host->disk_generation = out->generation;
        break;
    }
}

void
sim_host_drain(struct sim *s, struct sim_host *host)
{
    struct mat_output out;

    while (mat_gossip_next(host->engine, &out)) {
        if (host->recorder) {
            sim_record_output(host->recorder, &out);
        }
        sim_host_output(s, host, &out);
    }
    if (host->recorder) {
        sim_record_drained(host->recorder, s->now_us);
    }
    sim_host_schedule(s, host);
}

enum mat_gossip_result
sim_call(struct sim *s, struct sim_host *host, struct mat_call *call)
{
    enum mat_gossip_result result;

    if (!host->is_up) {
        return MAT_GOSSIP_OK;   /* Nobody hears it. */
    }
    call->now_us = s->now_us;
    result = mat_call_make(host->engine, host->recorder, call);
    sim_host_drain(s, host);
    return result;
}

void
sim_dispatch(struct sim *s, struct sim_event *event)
{
    struct sim_host *host = &s->hosts[event->host];
    struct mat_call call = {
        .kind = MAT_REC_RECEIVE, .endpoint = event->from,
        .data = event->data, .size = event->size
    };

    switch (event->kind) {
    case SIM_DATAGRAM:
        if (!mat_endpoint_equal(&host->endpoint, &event->to)) {
            break;
        } else if (host->busy && host->is_up) {
            sim_busy_receive(s, host, event);
        } else {
            sim_call(s, host, &call);
        }
        break;
    case SIM_TICK:
        if (host->is_up && event->tick_at_us == host->tick_at_us) {
            host->tick_at_us = -1;
            if (host->busy) {
                sim_busy_tick(s, host);
                break;
            }
            call.kind = MAT_REC_TICK;
            sim_call(s, host, &call);
        }
        break;
    case SIM_CALL:
        event->call(s, event->a, event->b);
        break;
    }
}
