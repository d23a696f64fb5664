/* SPDX-License-Identifier: Apache-2.0 */

/* The text that Prometheus reads.  Names begin with "ovs_mat_", units are
 * seconds and bytes; what is counted comes from the X-macros that count. */

#include <config.h>
#include "matd-metrics-private.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mat-verdict.h"
#include "matd-ctl.h"
#include "openvswitch/dynamic-string.h"
#include "util.h"

static void
put_head(struct ds *s, const char *name, const char *type, const char *help)
{
    ds_put_format(s, "# HELP ovs_mat_%s %s\n# TYPE ovs_mat_%s %s\n", name,
                  help, name, type);
}

/* 'name' as part of a metric's name or a label: lower case, no '-' or '.'. */
static char *
clean_name(const char *name)
{
    char *clean = xstrdup(name);

    for (char *p = clean; *p; p++) {
        *p = isalnum((unsigned char) *p) ? tolower((unsigned char) *p) : '_';
    }
    return clean;
}

static void
put_counter(struct ds *s, const char *group, const char *name,
            const char *help, uint64_t value)
{
    char *clean = clean_name(name);
    char *full = xasprintf("%s_%s_total", group, clean);

    put_head(s, full, "counter", help);
    ds_put_format(s, "ovs_mat_%s %"PRIu64"\n", full, value);
    free(full);
    free(clean);
}

static void
put_gauge(struct ds *s, const char *name, const char *help, int64_t value)
{
    put_head(s, name, "gauge", help);
    ds_put_format(s, "ovs_mat_%s %"PRId64"\n", name, value);
}

/* Agent. */

static void
put_agent(const struct mat_agent *agent, struct ds *s)
{
    struct mat_agent_summary summary;

    mat_agent_summarize(agent, &summary);
    put_head(s, "vmns", "gauge", "Home addresses of this host by state.");
    for (int i = 0; i < MAT_N_LIVES; i++) {
        ds_put_format(s, "ovs_mat_vmns{state=\"%s\"} %"PRIuSIZE"\n",
                      mat_life_name(i), summary.n_by_life[i]);
    }
    put_gauge(s, "home_addresses", "Home addresses known, of all hosts.",
              summary.n_homes);
    put_gauge(s, "ports", "Ports known.", summary.n_ports);
    put_gauge(s, "switch_entries", "Mappings that the switch should have.",
              summary.n_entries);
    put_gauge(s, "routes", "Next hops in use.", summary.n_routes);
    put_gauge(s, "switch_connected", "1 if the switch answers.",
              summary.is_connected);
    put_gauge(s, "switch_in_sync", "1 if the switch has what it should.",
              summary.is_in_sync);
    put_gauge(s, "switch_pending", "Changes not acknowledged yet.",
              summary.sequence - summary.acked);
    for (int i = 0; i < MAT_AGENT_N_COUNTERS; i++) {
        put_counter(s, "agent", mat_agent_counter_name(i),
                    mat_agent_counter_text(i), mat_agent_counter(agent, i));
    }
}

static void
put_moas(const struct mat_moa *moa, struct ds *s)
{
    struct mat_moa_stock stock;
    size_t cursor = 0;

    put_head(s, "moas", "gauge", "Mobile addresses of this host by state.");
    while (mat_moa_next_stock(moa, &cursor, &stock)) {
        const char *family = stock.v6 ? "ipv6" : "ipv4";

        for (int i = MAT_MOA_FREE; i < MAT_MOA_N_STATES; i++) {
            ds_put_format(s, "ovs_mat_moas{uplink=\"%s\",family=\"%s\","
                          "state=\"%s\"} %"PRIu64"\n", stock.uplink, family,
                          mat_moa_state_name(i), i == MAT_MOA_FREE
                          ? stock.n_free : stock.n[i]);
        }
    }
    for (int i = 0; i < MAT_MOA_N_COUNTERS; i++) {
        put_counter(s, "moa", mat_moa_counter_name(i),
                    mat_moa_counter_text(i), mat_moa_counter(moa, i));
    }
}

/* Gossip. */

static const char *const engine_names[] = {
#define MAT_COUNTER(NAME, TEXT) #NAME,
    MAT_COUNTERS
#undef MAT_COUNTER
};

static const char *const socket_names[] = {
#define MATD_GOSSIP_COUNTER(NAME, TEXT) #NAME,
    MATD_GOSSIP_COUNTERS
#undef MATD_GOSSIP_COUNTER
};

/* Counters whose names begin with 'prefix', as one metric with a label. */
static void
put_reasons(const struct mat_gossip *engine, const char *prefix,
            const char *metric, const char *label, const char *help,
            struct ds *s)
{
    put_head(s, metric, "counter", help);
    for (int i = 0; i < MAT_N_COUNTERS; i++) {
        if (!strncmp(engine_names[i], prefix, strlen(prefix))) {
            char *clean = clean_name(engine_names[i] + strlen(prefix));

            ds_put_format(s, "ovs_mat_%s{%s=\"%s\"} %"PRIu64"\n", metric,
                          label, clean, mat_gossip_counter(engine, i));
            free(clean);
        }
    }
}

static void
put_engine(const struct mat_gossip *engine, struct ds *s)
{
    static const char *const states[] = {
        [MAT_MEMBER_ALIVE] = "alive", [MAT_MEMBER_SUSPECT] = "suspect",
        [MAT_MEMBER_DEAD] = "dead", [MAT_MEMBER_LEFT] = "left"
    };

    put_head(s, "members", "gauge", "Other hosts of the cluster, by state.");
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        ds_put_format(s, "ovs_mat_members{state=\"%s\"} %"PRIuSIZE"\n",
                      states[i], mat_gossip_n_members(engine, i));
    }
    put_reasons(engine, "DROP_", "gossip_drops_total", "reason",
                "Datagrams and messages dropped.", s);
    put_reasons(engine, "REFUSE_", "gossip_refused_claims_total", "reason",
                "Claims refused.", s);
    put_reasons(engine, "LIMIT_", "gossip_limits_total", "limit",
                "Times that a limit was reached.", s);
    for (int i = 0; i < MAT_N_COUNTERS; i++) {
        if (strncmp(engine_names[i], "DROP_", 5)
            && strncmp(engine_names[i], "REFUSE_", 7)
            && strncmp(engine_names[i], "LIMIT_", 6)) {
            put_counter(s, "gossip", engine_names[i], mat_counter_text(i),
                        mat_gossip_counter(engine, i));
        }
    }
}

static void
put_gossip(const struct matd_ctl *ctl, struct ds *s)
{
    const struct mat_gossip *engine = (
        ctl->gossip ? matd_gossip_engine(ctl->gossip) : NULL);
    const struct matd_keys *keys = ctl->keys ? matd_keys_get(ctl->keys) : NULL;

    put_gauge(s, "gossip_running", "1 if there are keys and peers can be "
              "talked to.", engine != NULL);
    if (engine) {
        put_engine(engine, s);
    }
    if (ctl->gossip) {
        for (int i = 0; i < MATD_GOSSIP_N_COUNTERS; i++) {
            put_counter(s, "socket", socket_names[i],
                        matd_gossip_counter_text(i),
                        matd_gossip_counter(ctl->gossip, i));
        }
    }
    if (keys) {
        put_gauge(s, "certificate_end_seconds", "When the certificate of this "
                  "host ends, in seconds since 1970.",
                  keys->cert.not_after_s);
    }
}

/* Moves. */

static void
put_histogram(const char *name, const char *labels,
              const struct matd_histogram *h, struct ds *s)
{
    const char *comma = *labels ? "," : "";
    uint64_t sum = 0;

    for (unsigned int i = 0; i < MATD_HISTOGRAM_BUCKETS; i++) {
        sum += h->counts[i];
        ds_put_format(s, "ovs_mat_%s_bucket{%s%sle=\"%s\"} %"PRIu64"\n", name,
                      labels, comma, matd_histogram_bound_text(i), sum);
    }
    ds_put_format(s, "ovs_mat_%s_bucket{%s%sle=\"+Inf\"} %"PRIu64"\n", name,
                  labels, comma, h->n);
    ds_put_format(s, "ovs_mat_%s_sum%s%s%s %.6f\n", name, *labels ? "{" : "",
                  labels, *labels ? "}" : "", h->sum_us / 1e6);
    ds_put_format(s, "ovs_mat_%s_count%s%s%s %"PRIu64"\n", name,
                  *labels ? "{" : "", labels, *labels ? "}" : "", h->n);
}

static void
put_phases(const struct matd_moves *moves, struct ds *s)
{
    put_head(s, "migration_phase_seconds", "histogram", "From the first sign "
             "of a migration until a phase was reached.");
    for (int kind = 0; kind < MATD_METRICS_KINDS; kind++) {
        for (int i = MAT_MIGRATION_SEEN + 1; i < MAT_N_MIGRATION_PHASES;
             i++) {
            const struct matd_histogram *h = &moves->phases[kind][i];

            if (h->n) {
                char *labels = xasprintf("kind=\"%s\",phase=\"%s\"",
                                         mat_migration_kind_name(kind),
                                         mat_migration_phase_name(i));

                put_histogram("migration_phase_seconds", labels, h, s);
                free(labels);
            }
        }
    }
}

static void
put_moves(const struct matd_moves *moves, struct ds *s)
{
    put_head(s, "migrations_total", "counter", "Migrations that have ended, "
             "by kind and outcome.");
    for (int kind = 0; kind < MATD_METRICS_KINDS; kind++) {
        for (int i = MAT_MIGRATION_RUNNING + 1; i < MATD_METRICS_OUTCOMES;
             i++) {
            ds_put_format(s, "ovs_mat_migrations_total{kind=\"%s\","
                          "outcome=\"%s\"} %"PRIu64"\n",
                          mat_migration_kind_name(kind),
                          mat_migration_outcome_name(i), moves->n[kind][i]);
        }
    }
    put_phases(moves, s);
    put_head(s, "migration_table_seconds", "histogram", "From the claim of "
             "a VM that came until this host's switch used it.");
    put_histogram("migration_table_seconds", "", &moves->table, s);
    put_head(s, "migration_convergence_seconds", "histogram", "From the "
             "claim of a VM that came until all its correspondents had it.");
    put_histogram("migration_convergence_seconds", "", &moves->convergence,
                  s);
}

/* Switch. */

/* The verdict of "in.miss" or "out.miss", or -1. */
static int
find_verdict(const char *name)
{
    const char *dot = strchr(name, '.');

    if (dot && (!strncmp(name, "in.", 3) || !strncmp(name, "out.", 4))) {
        for (int i = 0; i < MAT_N_VERDICTS; i++) {
            if (!strcmp(dot + 1, mat_verdict_name(i))) {
                return i;
            }
        }
    }
    return -1;
}

static void
put_verdicts(const struct matd_numbers *numbers, struct ds *s)
{
    static const char *const fates[] = {
        [MAT_PASS] = "pass", [MAT_DELIVER] = "deliver",
        [MAT_REPLY] = "reply", [MAT_HOLD] = "hold", [MAT_DROP] = "drop"
    };

    put_head(s, "packets_total", "counter", "Packets that met the action, by "
             "verdict and what became of them.");
    for (size_t i = 0; i < numbers->n; i++) {
        const char *name = numbers->items[i].name;
        int verdict = find_verdict(name);

        if (verdict >= 0) {
            ds_put_format(s, "ovs_mat_packets_total{direction=\"%.*s\","
                          "verdict=\"%s\",fate=\"%s\"} %"PRIu64"\n",
                          (int) strcspn(name, "."), name,
                          mat_verdict_name(verdict),
                          fates[mat_verdict_fate(verdict)],
                          numbers->items[i].value);
        }
    }
}

static void
put_switch(const struct matd_ctl *ctl, const struct matd_numbers *numbers,
           struct ds *s)
{
    struct matd_switch_stats stats;

    put_verdicts(numbers, s);
    put_head(s, "switch_number", "gauge", "What else the switch counts, see "
             "ovs-mat(7).");
    for (size_t i = 0; i < numbers->n; i++) {
        if (find_verdict(numbers->items[i].name) < 0) {
            ds_put_format(s, "ovs_mat_switch_number{name=\"%s\"} %"PRIu64"\n",
                          numbers->items[i].name, numbers->items[i].value);
        }
    }
    if (ctl->sw) {
        matd_switch_get_stats(ctl->sw, &stats);
        put_counter(s, "switch", "connections", "Connections to the switch.",
                    stats.n_connections);
        put_counter(s, "switch", "batches", "Batches of operations sent.",
                    stats.n_batches);
        put_counter(s, "switch", "refused", "Operations refused.",
                    stats.n_refused);
        put_counter(s, "switch", "events", "Events read.", stats.n_events);
        put_counter(s, "switch", "events_lost", "Events lost.",
                    stats.n_events_lost);
    }
}

static void
put_http(const struct matd_http_stats *stats, struct ds *s)
{
    put_counter(s, "http", "requests", "Requests for these numbers.",
                stats->n_requests);
    put_counter(s, "http", "bad", "Requests for something else.",
                stats->n_bad);
    put_counter(s, "http", "refused", "Connections closed, too many.",
                stats->n_refused);
    put_counter(s, "http", "timeouts", "Connections closed, too slow.",
                stats->n_timeouts);
}

void
matd_metrics_format(const struct matd_ctl *ctl,
                    const struct matd_moves *moves,
                    const struct matd_numbers *numbers,
                    const struct matd_http_stats *http, struct ds *s)
{
    put_head(s, "build_info", "gauge", "Version of matd.");
    ds_put_cstr(s, "ovs_mat_build_info{version=\"" MAT_VERSION "\"} 1\n");
    put_agent(ctl->agent, s);
    if (mat_agent_moa(ctl->agent)) {
        put_moas(mat_agent_moa(ctl->agent), s);
    }
    put_gossip(ctl, s);
    put_moves(moves, s);
    put_switch(ctl, numbers, s);
    put_http(http, s);
}
