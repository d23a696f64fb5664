/* SPDX-License-Identifier: Apache-2.0 */

/* Commands about VMs: where they are, and how they moved. */

#include <config.h>
#include "matd-ctl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mat-agent.h"
#include "mat-text.h"
#include "matd-ctl-json.h"
#include "openvswitch/json.h"
#include "unixctl.h"
#include "util.h"

enum { CLAIMS_PER_PAGE = 20000 };       /* Looked at for a page of peers. */

static void
put_flags(struct json *json, const struct mat_agent_vmn *vmn)
{
    matd_json_bool(json, "here", vmn->is_here);
    matd_json_bool(json, "home", vmn->is_home);
    matd_json_bool(json, "configured", vmn->is_configured);
    matd_json_bool(json, "frozen", vmn->is_frozen);
    matd_json_bool(json, "conflict", vmn->is_in_conflict);
    matd_json_bool(json, "unreachable", !vmn->is_here && vmn->host
                   && !vmn->is_reachable);
    matd_json_bool(json, "waiting_for_route", vmn->is_waiting_for_route);
}

static struct json *
vmn_to_json(const struct mat_agent_vmn *vmn)
{
    struct json *json = json_object_create();

    matd_json_int(json, "zone", vmn->zone);
    matd_json_addr(json, "hoa", &vmn->hoa);
    matd_json_int(json, "plen", vmn->plen);
    matd_json_addr(json, "moa", &vmn->moa);
    matd_json_addr(json, "own_moa", &vmn->own_moa);
    matd_json_mac(json, "mac", &vmn->mac);
    json_object_put_string(json, "state", mat_life_name(vmn->state));
    matd_json_host(json, "host", vmn->host);
    matd_json_string(json, "port", vmn->port);
    matd_json_age(json, "since_us", vmn->since_us);
    matd_json_int(json, "migration", vmn->migration);
    matd_json_int(json, "prepared_hosts", vmn->n_prepared);
    matd_json_host(json, "prepared_host", vmn->prepared_host);
    put_flags(json, vmn);
    return json;
}

static void
unixctl_vms(struct unixctl_conn *conn, int argc, const char *argv[],
            void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct matd_ctl_args args;
    struct matd_ctl_page page;
    struct mat_agent_vmn vmn;
    bool more = false;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    matd_ctl_page_begin(&page, "vms", args.cursor);
    while (matd_ctl_page_has_room(&page)
           && (more = mat_agent_next_vmn(ctl->agent, &page.cursor, !args.all,
                                         &vmn))) {
        matd_ctl_page_add(&page, vmn_to_json(&vmn));
    }
    matd_ctl_reply(conn, matd_ctl_page_end(&page, more));
}

/* The gossip engine's record: which of two statements wins. */
static void
put_version(const struct matd_ctl *ctl, struct json *json,
            const struct mat_agent_vmn *vmn)
{
    const struct mat_gossip *engine = matd_ctl_engine(ctl);
    const struct mat_claim *claim = (
        engine ? mat_gossip_lookup(engine, vmn->zone, &vmn->hoa) : NULL);
    struct json *version;

    if (!claim) {
        return;
    }
    version = json_object_create();
    matd_json_int(version, "epoch", claim->version.epoch);
    matd_json_int(version, "seq", claim->version.seq);
    matd_json_host(version, "host", claim->version.host);
    json_object_put_format(version, "text", "%"PRIu32".%"PRIu32" of 0x%"PRIx64,
                           claim->version.epoch, claim->version.seq,
                           claim->version.host);
    json_object_put(json, "version", version);
}

static void
unixctl_lookup(struct unixctl_conn *conn, int argc, const char *argv[],
               void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct matd_ctl_args args;
    struct mat_agent_vmn vmn;
    struct json *json;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    if (!args.has_addr) {
        unixctl_command_reply_error(conn, "an address is missing");
    } else if (!mat_agent_lookup(ctl->agent, args.zone, &args.addr, &vmn)) {
        char *why = xasprintf("%s: no VM in zone %"PRIu32" has this home "
                              "address, and none this mobile address; "
                              "\"matctl vms --all\" lists what is known",
                              argv[1], args.zone);

        unixctl_command_reply_error(conn, why);
        free(why);
    } else {
        json = vmn_to_json(&vmn);
        put_version(ctl, json, &vmn);
        matd_ctl_reply(conn, json);
    }
}

static struct json *
entry_to_json(const struct mat_entry *entry)
{
    struct json *json = json_object_create();

    matd_json_int(json, "zone", entry->zone);
    matd_json_addr(json, "hoa", &entry->hoa);
    matd_json_int(json, "plen", entry->plen);
    matd_json_addr(json, "moa", &entry->moa);
    matd_json_mac(json, "mac", &entry->mac);
    json_object_put_string(json, "state", mat_text_state(entry->state));
    matd_json_string(json, "port", entry->port);
    if (entry->state == MAT_STATE_REMOTE) {
        matd_json_int(json, "nexthop", entry->nexthop);
    }
    matd_json_bool(json, "hold", entry->hold);
    return json;
}

static void
unixctl_mappings(struct unixctl_conn *conn, int argc, const char *argv[],
                 void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct matd_ctl_args args;
    struct matd_ctl_page page;
    struct mat_entry entry;
    bool more = false;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    matd_ctl_page_begin(&page, "mappings", args.cursor);
    while (matd_ctl_page_has_room(&page)
           && (more = mat_agent_next_entry(ctl->agent, &page.cursor,
                                           &entry))) {
        matd_ctl_page_add(&page, entry_to_json(&entry));
    }
    matd_ctl_reply(conn, matd_ctl_page_end(&page, more));
}

/* Migrations. */

static struct json *
phases_to_json(const struct mat_agent_migration *m)
{
    struct json *json = json_object_create();
    int64_t seen_us = m->at_us[MAT_MIGRATION_SEEN];

    for (int i = MAT_MIGRATION_SEEN + 1; i < MAT_N_MIGRATION_PHASES; i++) {
        if (m->at_us[i]) {
            matd_json_int(json, mat_migration_phase_name(i),
                          m->at_us[i] - seen_us);
        }
    }
    return json;
}

static struct json *
migration_to_json(const struct mat_agent_migration *m)
{
    struct json *json = json_object_create();

    matd_json_int(json, "id", m->id);
    matd_json_string(json, "kind", mat_migration_kind_name(m->kind));
    matd_json_string(json, "outcome", mat_migration_outcome_name(m->outcome));
    matd_json_string(json, "trigger", m->trigger);
    matd_json_int(json, "zone", m->zone);
    matd_json_addr(json, "hoa", &m->hoa);
    matd_json_int(json, "hoas", m->n_hoas);
    matd_json_mac(json, "mac", &m->mac);
    matd_json_host(json, "from", m->from);
    matd_json_host(json, "to", m->to);
    matd_json_wall(json, "seen_at", m->at_us[MAT_MIGRATION_SEEN]);
    matd_json_int(json, "seen_monotonic_us", m->at_us[MAT_MIGRATION_SEEN]);
    json_object_put(json, "phases_us", phases_to_json(m));
    matd_json_int(json, "reached", m->n_reached);
    matd_json_int(json, "failed", m->n_failed);
    matd_json_int(json, "redirected", m->n_redirected);
    return json;
}

/* All of them: there are no more than MAT_AGENT_MIGRATIONS_MAX. */
static void
unixctl_migrations(struct unixctl_conn *conn, int argc OVS_UNUSED,
                   const char *argv[] OVS_UNUSED, void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct mat_agent_migration m;
    struct matd_ctl_page page;

    matd_ctl_page_begin(&page, "migrations", 0);
    while (matd_ctl_page_has_room(&page)
           && mat_agent_next_migration(ctl->agent, &page.cursor, &m)) {
        matd_ctl_page_add(&page, migration_to_json(&m));
    }
    matd_ctl_reply(conn, matd_ctl_page_end(&page, false));
}

/* Peers. */

static struct json *
zones_to_json(const struct mat_host_info *info)
{
    struct json *json = json_array_create_empty();

    if (info->n_zones == MAT_HOST_ZONES_ALL) {
        json_array_add(json, json_string_create("all"));
    } else {
        for (uint8_t i = 0; i < info->n_zones; i++) {
            json_array_add(json, json_integer_create(info->zones[i]));
        }
    }
    return json;
}

static struct json *
peer_to_json(const struct mat_gossip *engine, uint64_t self, uint64_t host,
             const struct mat_host_info *info)
{
    struct json *json = json_object_create();
    int64_t rtt_us = mat_gossip_rtt_us(engine, self, host);
    struct mat_cert cert;

    matd_json_host(json, "host", host);
    matd_json_endpoint(json, "address", &info->endpoint);
    json_object_put_string(json, "state", mat_gossip_is_reachable(engine, host)
                           ? "alive" : "dead");
    if (rtt_us >= 0) {
        matd_json_int(json, "rtt_us", rtt_us);
    }
    matd_json_int(json, "mtu", info->mtu);
    json_object_put(json, "zones", zones_to_json(info));
    if (mat_cert_parse(info->cert, info->cert_size, &cert)) {
        matd_json_int(json, "serial", cert.serial);
        matd_json_int(json, "not_after_s", cert.not_after_s);
    }
    return json;
}

/* Hosts are among the claims, so a page ends when it has seen enough. */
static bool
add_peers(const struct mat_gossip *engine, uint64_t self,
          struct matd_ctl_page *page)
{
    for (int n = 0; n < CLAIMS_PER_PAGE && matd_ctl_page_has_room(page);
         n++) {
        const struct mat_claim *claim = mat_gossip_next_claim(engine,
                                                              &page->cursor);
        struct mat_host_info info;

        if (!claim) {
            return false;
        }
        if (claim->key.type == MAT_TYPE_HOST
            && claim->state == MAT_CLAIM_LIVE
            && mat_key_host_id(&claim->key) != self
            && mat_host_decode(claim->body, claim->body_size, &info)) {
            matd_ctl_page_add(page, peer_to_json(
                engine, self, mat_key_host_id(&claim->key), &info));
        }
    }
    return true;
}

static void
unixctl_peers(struct unixctl_conn *conn, int argc, const char *argv[],
              void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    const struct mat_gossip *engine = matd_ctl_engine(ctl);
    struct mat_agent_summary summary;
    struct matd_ctl_args args;
    struct matd_ctl_page page;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    mat_agent_summarize(ctl->agent, &summary);
    matd_ctl_page_begin(&page, "peers", args.cursor);
    matd_ctl_reply(conn, matd_ctl_page_end(
        &page, engine && add_peers(engine, summary.host, &page)));
}

void
matd_ctl_show_init(struct matd_ctl *ctl)
{
    unixctl_command_register("mat/vms", "[all] [cursor=N]", 0, 2, unixctl_vms,
                             ctl);
    unixctl_command_register("mat/lookup", "ADDR [zone=N]", 1, 2,
                             unixctl_lookup, ctl);
    unixctl_command_register("mat/mappings", "[cursor=N]", 0, 1,
                             unixctl_mappings, ctl);
    unixctl_command_register("mat/migrations", "", 0, 0, unixctl_migrations,
                             ctl);
    unixctl_command_register("mat/peers", "[cursor=N]", 0, 1, unixctl_peers,
                             ctl);
}
