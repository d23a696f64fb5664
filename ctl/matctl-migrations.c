/* SPDX-License-Identifier: Apache-2.0 */

/* matctl migrations: the phases of the last moves. */

#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "matctl-table.h"
#include "openvswitch/json.h"
#include "util.h"

enum {
    FOLLOW_MS = 200,
    PATH_SIZE = 64,
    PHASE_TEXT_SIZE = MATCTL_DURATION_MAX + 1
};

static const char *const phases[] = {
    "prepared", "stopped", "claimed", "table", "pushed", "ended"
};

/* The path of phase 'i' in a migration. */
static const char *
phase_path(size_t i, char path[static PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "phases_us.%s", phases[i]);
    return path;
}

/* What follows the claim is told as the time since: microseconds there would
 * not show beside the seconds that a VM takes to come. */
static const char *
phase_text(const struct json *m, size_t i, char text[static PHASE_TEXT_SIZE])
{
    char path[PATH_SIZE], buf[MATCTL_DURATION_MAX];
    int64_t us = matctl_integer(m, phase_path(i, path));
    bool since_claim = (matctl_get(m, "phases_us.claimed")
                        && (!strcmp(phases[i], "table")
                            || !strcmp(phases[i], "pushed")));

    if (!matctl_get(m, path)) {
        return NULL;
    }
    if (since_claim) {
        us -= matctl_integer(m, "phases_us.claimed");
    }
    snprintf(text, PHASE_TEXT_SIZE, "%s%s", since_claim ? "+" : "",
             matctl_duration(us, buf));
    return text;
}

static void
put_phases(struct matctl_table *table, const struct json *m)
{
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        char text[PHASE_TEXT_SIZE];

        matctl_table_cell(table, phase_text(m, i, text));
    }
}

static struct matctl_table *
create_table(void)
{
    return matctl_table_create(
        ">ID", "SEEN", "KIND", "OUTCOME", "BY", ">ZONE", "HOA", "FROM", "TO",
        ">PREPARED", ">STOPPED", ">CLAIMED", ">TABLE", ">PUSHED", ">ENDED",
        ">TOLD", ">FAILED", NULL);
}

static void
put_migration(struct matctl_table *table, const struct json *m)
{
    matctl_put(table, m, "id");
    matctl_put(table, m, "seen_at");
    matctl_put(table, m, "kind");
    matctl_put(table, m, "outcome");
    matctl_put(table, m, "trigger");
    matctl_put(table, m, "zone");
    matctl_put(table, m, "hoa");
    matctl_put(table, m, "from");
    matctl_put(table, m, "to");
    put_phases(table, m);
    matctl_put(table, m, "reached");
    matctl_put(table, m, "failed");
}

static enum matctl_status
show_all(const struct matctl *ctl)
{
    struct matctl_table *table;
    struct json *reply;
    enum matctl_status status = matctl_ask(ctl, &reply, "mat/migrations",
                                           NULL);

    if (status != MATCTL_OK) {
        return status;
    }
    if (ctl->json) {
        matctl_print_json(reply);
        json_destroy(reply);
        return MATCTL_OK;
    }
    table = create_table();
    /* The newest last, where eyes are. */
    for (size_t i = matctl_count(reply, "migrations"); i-- > 0;) {
        put_migration(table, matctl_item(reply, "migrations", i));
    }
    matctl_table_print(table, stdout);
    if (!matctl_table_n_rows(table)) {
        puts("No VM has come or gone since matd was started.");
    }
    matctl_table_destroy(table);
    json_destroy(reply);
    return MATCTL_OK;
}

/* Following: what is known of the last one of each slot of matd's list. */

enum { FOLLOW_SLOTS = 256 };

struct follow {
    int64_t ids[FOLLOW_SLOTS];
    bool has_ended[FOLLOW_SLOTS];
};

/* One line for a phase that is reached, as they come. */
static void
follow_line(const struct matctl *ctl, const struct json *m)
{
    if (ctl->json) {
        char *text = json_to_string(m, JSSF_SORT);

        puts(text);
        free(text);
        return;
    }
    printf("%s  #%"PRId64" %s %s zone %"PRId64" %s -> %s by %s: %s",
           matctl_string(m, "seen_at"), matctl_integer(m, "id"),
           matctl_string(m, "kind"), matctl_string(m, "hoa"),
           matctl_integer(m, "zone"),
           *matctl_string(m, "from") ? matctl_string(m, "from") : "-",
           *matctl_string(m, "to") ? matctl_string(m, "to") : "-",
           matctl_string(m, "trigger"), matctl_string(m, "outcome"));
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        char text[PHASE_TEXT_SIZE];

        if (phase_text(m, i, text)) {
            printf(", %s %s", phases[i], text);
        }
    }
    putchar('\n');
}

/* Tells of those that are new, and of those that have ended. */
static void
follow_reply(const struct matctl *ctl, struct follow *follow,
             const struct json *reply, bool quietly)
{
    for (size_t i = matctl_count(reply, "migrations"); i-- > 0;) {
        const struct json *m = matctl_item(reply, "migrations", i);
        int64_t id = matctl_integer(m, "id");
        size_t slot = (size_t) id % FOLLOW_SLOTS;
        bool ended = strcmp(matctl_string(m, "outcome"), "running");

        if (follow->ids[slot] == id && follow->has_ended[slot] == ended) {
            continue;
        }
        follow->ids[slot] = id;
        follow->has_ended[slot] = ended;
        if (!quietly) {
            follow_line(ctl, m);
        }
    }
    fflush(stdout);
}

static enum matctl_status
follow_all(const struct matctl *ctl)
{
    static struct follow follow;
    bool first = true;

    for (;;) {
        struct json *reply;
        enum matctl_status status = matctl_ask(ctl, &reply, "mat/migrations",
                                               NULL);

        if (status != MATCTL_OK) {
            return status;
        }
        follow_reply(ctl, &follow, reply, first);
        first = false;
        json_destroy(reply);
        if (ferror(stdout)) {
            return MATCTL_FAILED;
        }
        poll(NULL, 0, FOLLOW_MS);
    }
}

enum matctl_status
matctl_migrations(struct matctl *ctl, int argc OVS_UNUSED,
                  char *argv[] OVS_UNUSED)
{
    return ctl->follow ? follow_all(ctl) : show_all(ctl);
}
