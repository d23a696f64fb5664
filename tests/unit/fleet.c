/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mat-apply.h"
#include "table-config.h"

enum { UDP_PORT = 19777, EVER_S = 2000000000, NEVER_TURNS = 10000 };

/* Datagrams. */

static void
put_wire(struct fleet *f, struct fleet_host *from,
         const struct mat_output *out)
{
    struct fleet_wire *w;

    for (int i = 0; i < f->n_hosts; i++) {
        struct fleet_host *to = &f->hosts[i];

        if (!mat_endpoint_equal(&to->endpoint, &out->to) || from->is_cut
            || to->is_cut) {
            continue;
        }
        if (f->n_wires == f->wires_allocated) {
            f->wires_allocated = f->n_wires ? f->n_wires * 2 : 64;
            f->wires = realloc(f->wires,
                               f->wires_allocated * sizeof *f->wires);
        }
        w = &f->wires[f->n_wires++];
        *w = (struct fleet_wire) {
            f->now_us + FLEET_DELAY_US, i, from->endpoint,
            malloc(out->size), out->size
        };
        memcpy(w->data, out->bytes, out->size);
    }
}

static void
deliver(struct fleet *f, struct fleet_wire *w)
{
    struct fleet_host *host = &f->hosts[w->to];

    if (host->is_up && !host->is_cut) {
        mat_gossip_receive(host->gossip, f->now_us, &w->from, w->data,
                           w->size);
        fleet_drain(f, host);
    }
    free(w->data);
}

/* The switch. */

static bool
nothing_waits(void *aux, const struct mat_entry *e)
{
    (void) aux;
    (void) e;
    return false;
}

static void
new_table(struct fleet_host *host)
{
    host->table = test_table_create();
    host->apply = mat_apply_create(host->table, nothing_waits, NULL);
    host->instance++;
}

static void
free_table(struct fleet_host *host)
{
    mat_apply_destroy(host->apply);
    mat_table_destroy(host->table);
}

static bool
is_removal(const struct mat_op *op)
{
    return (op->type == MAT_OP_ENTRY_REMOVE || op->type == MAT_OP_PORT_REMOVE
            || op->type == MAT_OP_NEXTHOP_REMOVE
            || op->type == MAT_OP_ZONE_REMOVE
            || op->type == MAT_OP_POOL_REMOVE);
}

static void
do_op(struct fleet *f, struct fleet_host *host, const struct mat_op *op,
      uint64_t sequence)
{
    unsigned int reason;

    host->n_ops++;
    if (op->type == MAT_OP_INJECT) {
        assert_non_null(op->inject.frame);
        host->n_frames++;
        reason = MAT_UPDATE_GOOD;
    } else {
        reason = mat_apply_op(host->apply, op);
        mat_table_quiesce(host->table);
    }
    if (reason != MAT_UPDATE_GOOD) {
        /* After a comparison something may be removed that is gone. */
        if (!is_removal(op)
            || reason != MAT_UPDATE_TABLE_ERRORS + MAT_TABLE_NOT_FOUND) {
            host->n_refused++;
            print_message("host %d refuses type %d: %s\n", host->index,
                          op->type, mat_update_strerror(reason));
        }
        mat_agent_refused(host->agent, f->now_us, sequence, op, reason);
    }
    host->sequence = sequence;
    host->acked_at_us = f->now_us + FLEET_SWITCH_US;
}

static bool
next_item(struct mat_table *t, enum mat_update_dump kind, uint64_t *cursor,
          struct mat_op *op)
{
    switch (kind) {
    case MAT_UPDATE_DUMP_PORTS:
        return mat_table_next_port(t, cursor, &op->port);
    case MAT_UPDATE_DUMP_NEXTHOPS:
        return mat_table_next_nexthop(t, cursor, &op->nexthop);
    case MAT_UPDATE_DUMP_ZONES:
        return mat_table_next_zone(t, cursor, &op->zone);
    case MAT_UPDATE_DUMP_POOLS:
        return mat_table_next_pool(t, cursor, &op->pool);
    case MAT_UPDATE_DUMP_ENTRIES:
        return mat_table_next(t, cursor, &op->entry);
    case MAT_UPDATE_DUMP_HARVEST:
        return false;
    }
    return false;
}

static void
dump(struct fleet *f, struct fleet_host *host, enum mat_update_dump kind)
{
    struct mat_op op = { .type = MAT_OP_ENTRY_PUT };
    uint64_t cursor = 0;

    while (next_item(host->table, kind, &cursor, &op)) {
        mat_agent_dump_item(host->agent, f->now_us, kind, &op);
    }
    mat_agent_dump_end(host->agent, f->now_us, kind);
}

/* Draining. */

static int
owner_of_prefix(const struct mat_agent_output *out)
{
    return (mat_addr_is_v4(&out->addr) ? out->addr.b[14] : out->addr.b[7]) - 1;
}

static void
answer_route(struct fleet *f, struct fleet_host *host,
             const struct mat_agent_output *out)
{
    struct mat_agent_route route = {
        .src = { { 2, 0xee, 0, 0, 0, (uint8_t) host->index } },
        .dst = { { 2, 0xee, 0, 1, 0, (uint8_t) owner_of_prefix(out) } },
        .mtu = 1500
    };

    host->n_routes++;
    if (!f->no_routes) {
        mat_agent_route(host->agent, f->now_us, out->route_id, &route);
    }
}

static void
save(struct fleet_host *host)
{
    size_t cursor = 0;

    host->n_disk = 0;
    while (host->n_disk < 64
           && mat_agent_next_saved(host->agent, &cursor,
                                   &host->disk[host->n_disk])) {
        host->n_disk++;
    }
}

static void
take(struct fleet *f, struct fleet_host *host,
     const struct mat_agent_output *out)
{
    switch (out->kind) {
    case MAT_AGENT_SWITCH:
        do_op(f, host, &out->op, out->sequence);
        break;
    case MAT_AGENT_DUMP:
        dump(f, host, out->dump);
        break;
    case MAT_AGENT_WANT_ROUTE:
        answer_route(f, host, out);
        break;
    case MAT_AGENT_DROP_ROUTE:
        break;
    case MAT_AGENT_LOG:
        snprintf(host->log[host->n_log++ % FLEET_LOG_MAX],
                 MAT_AGENT_TEXT_SIZE, "%s", out->text);
        if (getenv("FLEET_VERBOSE")) {
            print_message("%9.6f host %d: %s\n", (double) f->now_us / 1e6,
                          host->index, out->text);
        }
        break;
    case MAT_AGENT_STATE:
        save(host);
        break;
    }
}

void
fleet_drain(struct fleet *f, struct fleet_host *host)
{
    struct mat_agent_output a;
    struct mat_output g;
    bool again;

    do {
        again = false;
        while (mat_agent_next(host->agent, &a)) {
            take(f, host, &a);
            again = true;
        }
        while (mat_gossip_next(host->gossip, &g)) {
            again = true;
            if (g.kind == MAT_OUT_SEND) {
                put_wire(f, host, &g);
            } else if (g.kind == MAT_OUT_GENERATION) {
                host->generation = g.generation;
            } else {
                mat_agent_gossip(host->agent, f->now_us, &g);
            }
        }
    } while (again);
}

/* Time. */

static int64_t
host_deadline(const struct fleet_host *host)
{
    int64_t at = INT64_MAX, x;

    if (!host->is_up) {
        return at;
    }
    at = mat_agent_deadline_us(host->agent);
    x = mat_gossip_deadline_us(host->gossip);
    at = x < at ? x : at;
    return host->acked_at_us && host->acked_at_us < at ? host->acked_at_us
                                                       : at;
}

static void
run_host(struct fleet *f, struct fleet_host *host)
{
    if (host->acked_at_us && host->acked_at_us <= f->now_us) {
        host->acked_at_us = 0;
        mat_agent_acked(host->agent, f->now_us, host->sequence);
    }
    mat_agent_tick(host->agent, f->now_us);
    mat_gossip_tick(host->gossip, f->now_us);
    fleet_drain(f, host);
}

static int64_t
next_time(const struct fleet *f)
{
    int64_t at = INT64_MAX;

    for (int i = 0; i < f->n_hosts; i++) {
        int64_t x = host_deadline(&f->hosts[i]);

        at = x < at ? x : at;
    }
    for (size_t i = 0; i < f->n_wires; i++) {
        at = f->wires[i].at_us < at ? f->wires[i].at_us : at;
    }
    return at;
}

static void
run_wires(struct fleet *f)
{
    for (size_t i = 0; i < f->n_wires; ) {
        struct fleet_wire w = f->wires[i];

        if (w.at_us > f->now_us) {
            i++;
            continue;
        }
        memmove(&f->wires[i], &f->wires[i + 1],
                (--f->n_wires - i) * sizeof *f->wires);
        deliver(f, &w);
    }
}

void
fleet_run(struct fleet *f, int64_t for_us)
{
    int64_t end = f->now_us + for_us;
    int turns = 0;

    for (int i = 0; i < f->n_hosts; i++) {
        if (f->hosts[i].is_up) {
            fleet_drain(f, &f->hosts[i]);
        }
    }
    for (;;) {
        int64_t at = next_time(f);

        if (at > end) {
            break;
        }
        turns = at <= f->now_us ? turns + 1 : 0;
        assert_true(turns < NEVER_TURNS);
        f->now_us = at > f->now_us ? at : f->now_us;
        run_wires(f);
        for (int i = 0; i < f->n_hosts; i++) {
            if (f->hosts[i].is_up && host_deadline(&f->hosts[i])
                                     <= f->now_us) {
                run_host(f, &f->hosts[i]);
            }
        }
    }
    f->now_us = end;
}

/* Hosts. */

static struct mat_addr
addr_of(const char *format, int host)
{
    char text[MAT_ADDR_STRLEN];

    snprintf(text, sizeof text, format, host + 1);
    return test_addr(text);
}

void
fleet_config(struct fleet *f, int host, struct mat_agent_config *config)
{
    char text[128], error[MAT_MOA_TEXT_MAX];

    *config = f->config;
    snprintf(text, sizeof text, "172.16.%d.64/26", host + 1);
    assert_true(mat_moa_parse(text, false, &config->pools[0], error));
    snprintf(text, sizeof text, "2001:db8:f:%d::1:0/112", host + 1);
    assert_true(mat_moa_parse(text, true, &config->pools[1], error));
}

static void
certify(struct fleet *f, struct fleet_host *host)
{
    struct mat_cert cert = {
        .host = (uint64_t) host->index + 1, .serial = 1,
        .not_after_s = EVER_S, .n_zones = 1, .zones = { { 0, 0xffffff } },
        .n_hoas = 3, .n_pools = 3
    };

    memcpy(cert.public_key, host->identity.public_key,
           sizeof cert.public_key);
    cert.hoas[0] = (struct mat_cert_prefix) { test_addr("10.0.0.0"), 8 };
    cert.hoas[1] = (struct mat_cert_prefix) { test_addr("fd00::"), 8 };
    cert.hoas[2] = (struct mat_cert_prefix) { test_addr("172.16.0.0"), 12 };
    cert.pools[0] = (struct mat_cert_prefix) { test_addr("172.16.0.0"), 12 };
    cert.pools[1] = (struct mat_cert_prefix) { test_addr("2001:db8::"), 32 };
    cert.pools[2] = (struct mat_cert_prefix) { test_addr("10.0.0.0"), 8 };
    host->cert_size = mat_cert_issue(&cert, &f->cluster.crypto, host->cert);
}

static void
give_uplink(struct fleet *f, struct fleet_host *host)
{
    struct mat_moa_uplink uplink = {
        .name = "eth0", .up = true,
        .mac = { { 2, 0xee, 0, 0, 0, (uint8_t) host->index } },
        .n_subnets = 2, .n_routers = { 1, 0 }
    };

    uplink.subnets[0] = (struct mat_moa_prefix) {
        addr_of("172.16.%d.1", host->index), 24
    };
    uplink.subnets[1] = (struct mat_moa_prefix) {
        addr_of("2001:db8:f:%d::1", host->index), 64
    };
    uplink.routers[0][0] = addr_of("172.16.%d.254", host->index);
    mat_agent_uplink(host->agent, f->now_us, &uplink, 1500);
}

static void
start_gossip(struct fleet *f, struct fleet_host *host)
{
    struct mat_gossip_config c = {
        .id = (uint64_t) host->index + 1, .generation = ++host->generation,
        .salt = (uint64_t) f->now_us + 77u * (uint64_t) host->index,
        .seed = (uint64_t) host->index + 1, .endpoint = host->endpoint,
        .mtu = 1500, .label = 7, .cert = host->cert,
        .cert_size = host->cert_size, .n_seeds = 1, .wall_s = 1700000000,
        .crypto = host->identity.crypto
    };

    mat_gossip_tuning_default(&c.tuning);
    c.seeds[0] = f->hosts[host->index ? 0 : 1].endpoint;
    memcpy(c.cluster_key, f->cluster.public_key, sizeof c.cluster_key);
    memset(c.join_keys, 'j', sizeof c.join_keys);
    host->gossip = mat_gossip_create(&c, f->now_us);
    assert_non_null(host->gossip);
}

void
fleet_start_agent(struct fleet *f, int index)
{
    struct fleet_host *host = &f->hosts[index];
    struct mat_agent_config config;

    fleet_config(f, index, &config);
    host->agent = mat_agent_create((uint64_t) f->now_us + 5, &config,
                                   f->now_us);
    for (size_t i = 0; i < host->n_disk; i++) {
        mat_agent_restore(host->agent, f->now_us, &host->disk[i]);
    }
    start_gossip(f, host);
    mat_agent_set_gossip(host->agent, f->now_us, host->gossip, NULL,
                         (uint64_t) index + 1);
    give_uplink(f, host);
    host->is_up = true;
}

void
fleet_stop_agent(struct fleet *f, int index)
{
    struct fleet_host *host = &f->hosts[index];

    fleet_drain(f, host);
    mat_agent_destroy(host->agent);
    mat_gossip_destroy(host->gossip);
    host->is_up = false;
    host->acked_at_us = 0;
}

void
fleet_restart_switch(struct fleet *f, int index)
{
    struct fleet_host *host = &f->hosts[index];
    struct mat_table *old = host->table;
    struct mat_apply *old_apply = host->apply;
    struct mat_port port;
    uint64_t cursor = 0;

    mat_agent_switch_lost(host->agent, f->now_us);
    new_table(host);
    while (mat_table_next_port(old, &cursor, &port)) {
        mat_table_port_attached(host->table, port.name, port.odp_port,
                                &port.mac, 1500);
    }
    mat_apply_destroy(old_apply);
    mat_table_destroy(old);
    host->acked_at_us = 0;
    mat_agent_switch_connected(host->agent, f->now_us, host->instance);
}

void
fleet_init(struct fleet *f, int n_hosts)
{
    memset(f, 0, sizeof *f);
    f->now_us = 1000 * SIM_S;
    f->n_hosts = n_hosts;
    sim_identity_init(&f->cluster, 1, false);
    mat_agent_config_default(&f->config);
    f->config.zone = FLEET_ZONE;
    for (int i = 0; i < n_hosts; i++) {
        struct fleet_host *host = &f->hosts[i];

        host->index = i;
        host->endpoint = (struct mat_endpoint) {
            addr_of("172.16.%d.1", i), UDP_PORT
        };
        sim_identity_init(&host->identity, 1000 + (uint64_t) i, false);
        certify(f, host);
    }
    for (int i = 0; i < n_hosts; i++) {
        struct fleet_host *host = &f->hosts[i];
        struct mat_mac mac = fleet_mac(200);

        new_table(host);
        host->next_odp = 2;
        mat_table_port_attached(host->table, "eth0", 1, &mac, 1500);
        fleet_start_agent(f, i);
        mat_agent_ready(host->agent, f->now_us);
        mat_agent_switch_connected(host->agent, f->now_us, host->instance);
    }
    fleet_run(f, 5 * SIM_S);
}

void
fleet_destroy(struct fleet *f)
{
    for (int i = 0; i < f->n_hosts; i++) {
        if (f->hosts[i].is_up) {
            fleet_stop_agent(f, i);
        }
        free_table(&f->hosts[i]);
        sim_identity_destroy(&f->hosts[i].identity);
    }
    for (size_t i = 0; i < f->n_wires; i++) {
        free(f->wires[i].data);
    }
    free(f->wires);
    sim_identity_destroy(&f->cluster);
}

/* What there is. */

bool
fleet_live(struct fleet *f, int index, const char *hoa,
           struct mat_entry *entry)
{
    struct mat_addr addr = test_addr(hoa);

    return mat_table_get_live(f->hosts[index].table, FLEET_ZONE, &addr,
                              entry);
}

bool
fleet_by_moa(struct fleet *f, int index, const struct mat_addr *moa,
             struct mat_entry *entry)
{
    return mat_table_get_by_moa(f->hosts[index].table, moa, entry);
}

static struct mat_agent_vmn
look_up(struct fleet *f, int index, const char *hoa)
{
    struct mat_addr addr = test_addr(hoa);
    struct mat_agent_vmn v = { .state = MAT_LIFE_ABSENT };

    mat_agent_lookup(f->hosts[index].agent, FLEET_ZONE, &addr, &v);
    return v;
}

enum mat_life
fleet_state(struct fleet *f, int index, const char *hoa)
{
    return look_up(f, index, hoa).state;
}

struct mat_addr
fleet_moa(struct fleet *f, int index, const char *hoa)
{
    return look_up(f, index, hoa).own_moa;
}

void
fleet_expect_at(struct fleet *f, int owner, const char *port,
                const char *hoa)
{
    struct mat_entry e, here;

    assert_true(fleet_live(f, owner, hoa, &here));
    assert_int_equal(here.state, MAT_STATE_LOCAL);
    assert_string_equal(here.port, port);
    assert_false(here.hold);
    assert_string_equal(mat_life_name(fleet_state(f, owner, hoa)), "live");
    for (int i = 0; i < f->n_hosts; i++) {
        if (i == owner || !f->hosts[i].is_up) {
            continue;
        }
        assert_true(fleet_live(f, i, hoa, &e));
        assert_int_equal(e.state, MAT_STATE_REMOTE);
        assert_true(mat_addr_equal(&e.moa, &here.moa));
        assert_true(mat_mac_equal(&e.mac, &here.mac));
    }
}

void
fleet_expect_logged(struct fleet *f, int index, const char *text)
{
    struct fleet_host *host = &f->hosts[index];

    for (size_t i = 0; i < host->n_log && i < FLEET_LOG_MAX; i++) {
        if (strstr(host->log[i], text)) {
            return;
        }
    }
    fail_msg("host %d has not logged \"%s\"", index, text);
}

struct mat_agent_migration
fleet_migration(struct fleet *f, int index, size_t n)
{
    struct mat_agent_migration m;
    size_t cursor = n;

    assert_true(mat_agent_next_migration(f->hosts[index].agent, &cursor,
                                         &m));
    return m;
}

static void
expect_same_entry(const struct mat_entry *a, const struct mat_entry *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->hold, b->hold);
    assert_int_equal(a->nexthop, b->nexthop);
    assert_string_equal(a->port, b->port);
    assert_true(mat_addr_equal(&a->hoa, &b->hoa));
    assert_true(mat_mac_equal(&a->mac, &b->mac));
}

void
fleet_expect_consistent(struct fleet *f)
{
    for (int i = 0; i < f->n_hosts; i++) {
        struct fleet_host *host = &f->hosts[i];
        struct mat_table_memory memory;
        struct mat_entry wanted, is;
        size_t cursor = 0, n = 0;

        assert_int_equal(host->n_refused, 0);
        if (!host->is_up) {
            continue;
        }
        while (mat_agent_next_entry(host->agent, &cursor, &wanted)) {
            assert_true(mat_table_get_by_moa(host->table, &wanted.moa, &is));
            expect_same_entry(&wanted, &is);
            n++;
        }
        mat_table_memory(host->table, &memory);
        assert_int_equal(n, memory.n_entries[0] + memory.n_entries[1]);
    }
}
