/* SPDX-License-Identifier: Apache-2.0 */
/* The last migrations: a ring, in which number n has place n % size. */
#include "mat-agent-impl.h"

#include <inttypes.h>

static struct mat_agent_migration *
find(struct mat_agent *a, uint64_t id)
{
    struct mat_agent_migration *m = &a->migrations[id
                                                   % MAT_AGENT_MIGRATIONS_MAX];

    return id && m->id == id ? m : NULL;
}

struct mat_agent_migration *
mat_migration_last(struct mat_agent *a, const struct mat_home *home)
{
    return home->guest ? find(a, home->guest->migration) : NULL;
}

struct mat_agent_migration *
mat_migration_of(struct mat_agent *a, const struct mat_home *home)
{
    struct mat_agent_migration *m = mat_migration_last(a, home);

    return m && m->outcome == MAT_MIGRATION_RUNNING ? m : NULL;
}

/* 'home' has a MAC. */
struct mat_agent_migration *
mat_migration_start(struct mat_agent *a, struct mat_home *home,
                    enum mat_migration_kind kind, const char *trigger)
{
    uint64_t id = ++a->last_migration;
    struct mat_agent_migration *m = &a->migrations[id
                                                   % MAT_AGENT_MIGRATIONS_MAX];

    *m = (struct mat_agent_migration) {
        .id = id, .kind = kind, .trigger = trigger,
        .zone = home->key.zone, .hoa = home->key.addr,
        .n_hoas = home->guest->n_homes, .mac = home->guest->mac,
        .from = kind == MAT_MIGRATION_IN ? home->live_host : 0
    };
    m->at_us[MAT_MIGRATION_SEEN] = a->now_us;
    home->guest->migration = id;
    return m;
}

void
mat_migration_phase(struct mat_agent *a, struct mat_agent_migration *m,
                    enum mat_migration_phase phase)
{
    if (!m->at_us[phase] || phase == MAT_MIGRATION_PUSHED) {
        m->at_us[phase] = a->now_us;
    }
}

static int64_t
elapsed_us(const struct mat_agent_migration *m, enum mat_migration_phase phase)
{
    return (m->at_us[phase] ? m->at_us[phase] - m->at_us[MAT_MIGRATION_SEEN]
            : -1);
}

void
mat_migration_end(struct mat_agent *a, struct mat_agent_migration *m,
                  enum mat_migration_outcome outcome)
{
    char hoa[MAT_ADDR_STRLEN];

    if (m->outcome != MAT_MIGRATION_RUNNING) {
        return;
    }
    m->outcome = outcome;
    m->at_us[MAT_MIGRATION_ENDED] = a->now_us;
    mat_agent_log(a, MAT_AGENT_INFO,
                  "migration %" PRIu64 ": %s, %s: zone %" PRIu32 " %s, "
                  "prepared %" PRId64 ", claimed %" PRId64 ", table %" PRId64
                  ", pushed %" PRId64 " us after the first sign (%s); "
                  "%" PRIu32 " hosts reached, %" PRIu32 " not",
                  m->id, mat_migration_kind_name(m->kind),
                  mat_migration_outcome_name(outcome), m->zone,
                  mat_addr_format(&m->hoa, hoa),
                  elapsed_us(m, MAT_MIGRATION_PREPARED),
                  elapsed_us(m, MAT_MIGRATION_CLAIMED),
                  elapsed_us(m, MAT_MIGRATION_TABLE),
                  elapsed_us(m, MAT_MIGRATION_PUSHED), m->trigger,
                  m->n_reached, m->n_failed);
}

bool
mat_agent_next_migration(const struct mat_agent *a, size_t *cursor,
                         struct mat_agent_migration *out)
{
    uint64_t id;

    if (*cursor >= MAT_AGENT_MIGRATIONS_MAX || *cursor >= a->last_migration) {
        return false;
    }
    id = a->last_migration - (*cursor)++;
    *out = a->migrations[id % MAT_AGENT_MIGRATIONS_MAX];
    return true;
}

const char *
mat_migration_phase_name(enum mat_migration_phase phase)
{
    static const char *const names[MAT_N_MIGRATION_PHASES] = {
        "seen", "prepared", "stopped", "claimed", "table", "pushed", "ended"
    };

    return phase < MAT_N_MIGRATION_PHASES ? names[phase] : "?";
}

const char *
mat_migration_outcome_name(enum mat_migration_outcome outcome)
{
    static const char *const names[] = { "running", "done", "failed", "lost" };

    return outcome <= MAT_MIGRATION_LOST ? names[outcome] : "?";
}

const char *
mat_migration_kind_name(enum mat_migration_kind kind)
{
    static const char *const names[] = {
        "appeared", "in", "out", "local", "renumbered"
    };

    return kind <= MAT_MIGRATION_RENUMBERED ? names[kind] : "?";
}
