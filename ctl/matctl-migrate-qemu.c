/* SPDX-License-Identifier: Apache-2.0 */

/* matctl migrate: the VM's QEMU.
 *
 * QEMU stops the VM when what is left takes less than the downtime that it is
 * allowed, and then nobody reads the VM's ports.  So that packets wait in the
 * switch by then, QEMU is allowed next to nothing at first.  When the rest is
 * NEAR_MS or less, matd is told to hold them, and then QEMU is allowed what
 * was asked for: it stops the VM within its tenth of a second, or sooner at
 * the end of the round.  If the VM has written too much meanwhile, they are
 * let go, until the next time. */

#include <config.h>
#include "matctl-migrate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

enum {
    LOW_LIMIT_MS = 1,
    NEAR_MS = 20,
    HELD_MAX_MS = 1000,         /* matd does not hold for longer than 2 s. */
    DRAIN_MS = 5,               /* For the VM to read what its port has. */
    WATCH_MIN_MS = 2,
    DRAW_MS = 250,              /* On a terminal; else: */
    DRAW_LINE_MS = 2000
};

/* Asking. */

struct json *
migrate_query(struct matctl_qmp *qmp, const char *command,
              struct json *arguments)
{
    struct json *result;
    char *error;

    result = matctl_qmp_execute(qmp, command, arguments, &error);
    if (error) {
        matctl_error("%s", error);
        free(error);
    }
    return result;
}

enum matctl_status
migrate_execute(struct matctl_qmp *qmp, const char *command,
                struct json *arguments)
{
    struct json *result = migrate_query(qmp, command, arguments);

    json_destroy(result);
    return result ? MATCTL_OK : MATCTL_FAILED;
}

/* What is there. */

/* Finds all cards of the VM, by what QEMU has. */
static enum matctl_status
look_at_cards(struct migration *m)
{
    struct json *cards = migrate_query(m->qmp, "query-rx-filter", NULL);
    enum matctl_status status = cards ? MATCTL_OK : MATCTL_FAILED;
    size_t n = matctl_count(cards, "");
    bool found = !n;            /* Cards of some types do not tell. */

    for (size_t i = 0; i < n && !found; i++) {
        found = !strcasecmp(matctl_string(matctl_item(cards, "", i),
                                          "main-mac"), m->cards[0].mac);
    }
    if (!status && !found) {
        status = matctl_error("%s: the VM of this QEMU has no card %s: give "
                              "the monitor of %s; nothing was changed",
                              m->qmp_path, m->cards[0].mac, m->vm);
    }
    for (size_t i = 0; i < n && !status; i++) {
        status = migrate_add_card(m, matctl_string(matctl_item(cards, "", i),
                                                   "main-mac"));
    }
    json_destroy(cards);
    return status;
}

bool
migrate_is_under_way(const char *status)
{
    return (strcmp(status, "") && strcmp(status, "none")
            && strcmp(status, "completed") && strcmp(status, "failed")
            && strcmp(status, "cancelled"));
}

/* Whoever has paused the VM wants it to stay so. */
static enum matctl_status
look_at_vm(struct migration *m)
{
    struct json *vm = migrate_query(m->qmp, "query-status", NULL);
    struct json *info = vm ? migrate_query(m->qmp, "query-migrate", NULL)
                        : NULL;
    enum matctl_status status = info ? MATCTL_OK : MATCTL_FAILED;
    const char *state = matctl_string(vm, "status");
    const char *last = matctl_string(info, "status");

    m->was_running = matctl_bool(vm, "running");
    if (!status && (!strcmp(state, "postmigrate")
                    || !strcmp(state, "inmigrate"))) {
        status = matctl_error("%s: this QEMU has no VM (%s); nothing was "
                              "changed", m->qmp_path, state);
    } else if (!status && migrate_is_under_way(last)) {
        status = matctl_error("%s: a migration is under way already: wait, "
                              "or end it with migrate_cancel; nothing was "
                              "changed", m->qmp_path);
    }
    json_destroy(vm);
    json_destroy(info);
    return status;
}

static enum matctl_status
look_there(struct migration *m)
{
    struct json *vm = migrate_query(m->to_qmp, "query-status", NULL);
    enum matctl_status status = vm ? MATCTL_OK : MATCTL_FAILED;

    if (vm && strcmp(matctl_string(vm, "status"), "inmigrate")) {
        status = matctl_error("%s: this QEMU does not wait for a VM (%s): "
                              "start it with \"-incoming defer\"; nothing was "
                              "changed", m->to_qmp_path,
                              matctl_string(vm, "status"));
    }
    json_destroy(vm);
    return status;
}

static enum matctl_status
look_at_capabilities(struct migration *m)
{
    struct json *list = migrate_query(m->qmp, "query-migrate-capabilities",
                                      NULL);
    enum matctl_status status = list ? MATCTL_OK : MATCTL_FAILED;

    for (size_t i = 0; i < matctl_count(list, ""); i++) {
        const struct json *one = matctl_item(list, "", i);
        const char *name = matctl_string(one, "capability");

        if (!strcmp(name, "x-ignore-shared")) {
            m->shares_ram = matctl_bool(one, "state");
        } else if (!strcmp(name, "events")) {
            m->had_events = matctl_bool(one, "state");
        } else if (!strcmp(name, "pause-before-switchover")) {
            m->had_pause = matctl_bool(one, "state");
        }
    }
    json_destroy(list);
    return status;
}

enum matctl_status
migrate_look(struct migration *m)
{
    enum matctl_status status = look_at_cards(m);

    status = status ? status : look_at_vm(m);
    status = status ? status : look_at_capabilities(m);
    return status || !m->to_qmp ? status : look_there(m);
}

/* Starting, and putting back what was set. */

static void
add_capability(struct json *list, const char *name, bool state)
{
    struct json *json = json_object_create();

    json_object_put_string(json, "capability", name);
    json_object_put(json, "state", json_boolean_create(state));
    json_array_add(list, json);
}

static enum matctl_status
set_capabilities(struct matctl_qmp *qmp, bool events, bool pause)
{
    struct json *list = json_array_create_empty();
    struct json *arguments = json_object_create();

    add_capability(list, "events", events);
    add_capability(list, "pause-before-switchover", pause);
    json_object_put(arguments, "capabilities", list);
    return migrate_execute(qmp, "migrate-set-capabilities", arguments);
}

/* 'bandwidth' negative: as it is. */
static enum matctl_status
set_parameters(struct migration *m, int64_t downtime, int64_t bandwidth)
{
    struct json *parameters = json_object_create();

    json_object_put(parameters, "downtime-limit",
                    json_integer_create(downtime));
    if (bandwidth >= 0) {
        json_object_put(parameters, "max-bandwidth",
                        json_integer_create(bandwidth));
    }
    return migrate_execute(m->qmp, "migrate-set-parameters", parameters);
}

static enum matctl_status
migrate_to(struct matctl_qmp *qmp, const char *command, const char *uri)
{
    struct json *arguments = json_object_create();

    json_object_put_string(arguments, "uri", uri);
    return migrate_execute(qmp, command, arguments);
}

static enum matctl_status
remember_parameters(struct migration *m)
{
    struct json *old = migrate_query(m->qmp, "query-migrate-parameters",
                                     NULL);

    m->has_old = old != NULL;
    m->old_downtime = matctl_integer(old, "downtime-limit");
    m->old_bandwidth = matctl_integer(old, "max-bandwidth");
    json_destroy(old);
    return old ? MATCTL_OK : MATCTL_FAILED;
}

void
migrate_put_back(struct migration *m)
{
    if (m->has_old) {
        set_parameters(m, m->old_downtime, m->old_bandwidth);
        set_capabilities(m->qmp, m->had_events, m->had_pause);
    }
}

/* Packets wait from now on; the VM reads what its ports have already. */
static enum matctl_status
hold(struct migration *m)
{
    enum matctl_status status = migrate_hint(m, "hold");

    m->is_held = true;
    m->held_ms = time_msec();
    m->held_round = m->last.rounds;
    return status;
}

enum matctl_status
migrate_start(struct migration *m)
{
    bool v6 = strchr(m->address, ':') != NULL;
    char *uri = (m->uri ? xstrdup(m->uri)
                 : xasprintf("tcp:%s%s%s:%u", v6 ? "[" : "", m->address,
                             v6 ? "]" : "", m->port));
    enum matctl_status status = remember_parameters(m);

    status = status ? status : set_capabilities(m->qmp, true, true);
    status = status ? status : set_parameters(
        m, m->shares_ram ? m->downtime : LOW_LIMIT_MS,
        (int64_t) m->bandwidth << 20);
    if (!status && m->to_qmp) {
        status = set_capabilities(m->to_qmp, true, false);
        status = status ? status : migrate_to(m->to_qmp, "migrate-incoming",
                                              uri);
    }
    if (!status && m->shares_ram && m->was_running) {
        /* There is nothing to be copied: it stops at once. */
        status = hold(m);
        usleep(DRAIN_MS * 1000);
    }
    status = status ? status : migrate_to(m->qmp, "migrate", uri);
    free(uri);
    return status;
}

/* While it goes on. */

static void
take_progress(struct migration *m, const struct json *info)
{
    struct migrate_progress p = {
        .total = matctl_integer(info, "ram.total"),
        .left = matctl_integer(info, "ram.remaining"),
        .sent = matctl_integer(info, "ram.transferred"),
        .rate = matctl_integer(info, "ram.mbps") * 125,
        .dirty = matctl_integer(info, "ram.dirty-pages-rate"),
        .rounds = matctl_integer(info, "ram.dirty-sync-count"),
        .stop_ms = matctl_integer(info, "expected-downtime")
    };
    long long int now = time_msec();

    /* QEMU's own is of a tenth of a second, and there is none before that. */
    if (m->last_ms && now > m->last_ms) {
        p.rate = MAX(p.rate, (p.sent - m->last.sent) / (now - m->last_ms));
    }
    m->last = p;
    m->last_ms = now;
}

/* How long QEMU takes for what is left; -1: not known. */
static int64_t
left_ms(const struct migration *m)
{
    return m->last.rate > 0 ? m->last.left / m->last.rate : -1;
}

static enum matctl_status
judge(struct migration *m)
{
    int64_t left = left_ms(m);
    enum matctl_status status;

    if (!m->was_running || m->shares_ram || left < 0) {
        return MATCTL_OK;
    } else if (!m->is_held && left <= MIN(NEAR_MS, m->downtime)) {
        status = hold(m);
        return status ? status : set_parameters(m, m->downtime, -1);
    } else if (m->is_held
               && ((left > m->downtime && m->last.rounds > m->held_round)
                   || time_msec() > m->held_ms + HELD_MAX_MS)) {
        m->is_held = false;
        status = migrate_hint(m, "failed");
        return status ? status : set_parameters(m, LOW_LIMIT_MS, -1);
    }
    return MATCTL_OK;
}

/* One line that is drawn again and again on a terminal, or a line each time.
 * False if it is not yet time for it. */
static bool
begin_line(struct migration *m, const char *what, int64_t done, int64_t total)
{
    bool tty = isatty(STDERR_FILENO);
    long long int now = time_msec();

    if (m->ctl->json || total <= 0
        || now < m->drawn_ms + (tty ? DRAW_MS : DRAW_LINE_MS)) {
        return false;
    }
    m->drawn_ms = now;
    m->is_drawn = tty;
    fputs(tty ? "\r" : "", stderr);
    fputs(what, stderr);
    if (tty) {
        fprintf(stderr, " [%-20.*s]", (int) (20 * done / total),
                "####################");
    }
    fprintf(stderr, " %"PRId64" of %"PRId64" MB", done >> 20, total >> 20);
    return true;
}

static void
finish_line(const struct migration *m)
{
    fputs(m->is_drawn ? "   " : "\n", stderr);
}

static void
draw(struct migration *m)
{
    const struct migrate_progress *p = &m->last;

    if (begin_line(m, "memory", p->total - p->left, p->total)) {
        fprintf(stderr, ", %"PRId64" MB/s, dirty %"PRId64" pages/s, "
                "round %"PRId64", expected stop %"PRId64" ms",
                (p->rate * 1000) >> 20, p->dirty, p->rounds, p->stop_ms);
        finish_line(m);
    }
}

void
migrate_draw_disks(struct migration *m, int64_t done, int64_t total)
{
    if (begin_line(m, "disks", done, total)) {
        finish_line(m);
    }
}

void
migrate_end_line(struct migration *m)
{
    if (m->is_drawn) {
        putc('\n', stderr);
        m->is_drawn = false;
    }
}

enum matctl_status
migrate_watch(struct migration *m, int *wait_ms)
{
    struct json *info = migrate_query(m->qmp, "query-migrate", NULL);
    enum matctl_status status = info ? MATCTL_OK : MATCTL_FAILED;
    int64_t left;

    if (!strcmp(matctl_string(info, "status"), "active")) {
        take_progress(m, info);
        status = judge(m);
        draw(m);
    }
    json_destroy(info);
    left = left_ms(m);
    *wait_ms = MAX(WATCH_MIN_MS, MIN(left / 4, MIGRATE_POLL_MS));
    return status;
}
