/* SPDX-License-Identifier: Apache-2.0 */

/* matctl migrate: the live migration of a QEMU guest, without libvirt.
 *
 *     here                                     there
 *     1. find the VM with all its cards, and
 *        the host
 *     2. wait until the host has prepared  <-- matd sees the ports of the QEMU
 *                                              that waits for the VM
 *     3. copy disks, if asked for
 *     4. migrate, pausing before switchover
 *     5. just before the VM stops: hint
 *        "hold", its packets wait here
 *     6. the VM has stopped: hint "stopped",
 *        they go to the new place and wait
 *        for it there
 *     7. go on                             --> it runs: matd claims it
 *     8. hint "done", quit QEMU if asked
 *
 * Whatever fails before 7, or an interrupt, cancels: the VM goes on here and
 * the hint "failed" takes back what was said. */

#include <config.h>
#include "matctl-migrate.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

enum {
    DEFAULT_PORT = 49152,
    DEFAULT_DOWNTIME_MS = 50,
    CANCEL_MS = 10000
};

static volatile sig_atomic_t interrupted;

static void
interrupt(int signal_number OVS_UNUSED)
{
    interrupted = 1;
}

/* Whatever ends matctl must not leave the VM stopped.  nohup is heeded. */
static void
take_signals(void)
{
    const struct sigaction action = { .sa_handler = interrupt };
    struct sigaction old;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!sigaction(SIGHUP, NULL, &old) && old.sa_handler != SIG_IGN) {
        sigaction(SIGHUP, &action, NULL);
    }
}

/* Words. */

static bool
parse_number(const char *text, unsigned int max, unsigned int *value)
{
    return str_to_uint(text, 10, value) && *value && *value <= max;
}

static bool
parse_word(struct migration *m, const char *word)
{
    const char *value = strchr(word, '=');
    size_t n = value ? (size_t) (value++ - word) : 0;

#define IS(NAME) (n == strlen(NAME) && !strncmp(word, NAME, n))
    if (IS("qmp")) {
        m->qmp_path = value;
    } else if (IS("to-qmp")) {
        m->to_qmp_path = value;
    } else if (IS("uri")) {
        m->uri = value;
    } else if (IS("disk")) {
        if (m->n_disks == MIGRATE_DISKS_MAX) {
            return false;
        }
        m->disks[m->n_disks++] = value;
    } else if (IS("disk-port")) {
        return parse_number(value, 65535, &m->disk_port);
    } else if (IS("port")) {
        return parse_number(value, 65535, &m->port);
    } else if (IS("bandwidth")) {
        return parse_number(value, 1000000, &m->bandwidth);
    } else if (IS("downtime")) {
        return parse_number(value, 2000, &m->downtime);
    } else if (IS("wait")) {
        return parse_number(value, 86400, &m->wait_s);
    } else {
        m->unprepared |= !strcmp(word, "unprepared");
        m->quit |= !strcmp(word, "quit");
        m->all_disks |= !strcmp(word, "disks");
        return (!strcmp(word, "unprepared") || !strcmp(word, "quit")
                || !strcmp(word, "disks"));
    }
#undef IS
    return *value != '\0';
}

static enum matctl_status
parse_words(struct migration *m, int argc, char *argv[])
{
    m->vm = argv[1];
    m->host = argv[2];
    for (int i = 3; i < argc; i++) {
        if (!parse_word(m, argv[i])) {
            matctl_error("migrate: \"%s\": not one of qmp=SOCKET, "
                         "to-qmp=SOCKET, port=N, uri=URI, bandwidth=MB/s, "
                         "downtime=MS (2000 at most), wait=SECONDS, "
                         "disks, disk=NODE, disk-port=N, unprepared, quit",
                         argv[i]);
            return MATCTL_USAGE;
        }
    }
    if (!m->qmp_path) {
        matctl_error("migrate: qmp= is missing: the socket of a monitor of "
                     "the VM's QEMU, other than the one that matd uses");
        return MATCTL_USAGE;
    }
    if (!m->disk_port) {
        m->disk_port = m->port < 65535 ? m->port + 1 : m->port - 1;
    }
    return MATCTL_OK;
}

/* The stop, and what comes after it. */

static enum matctl_status
switch_over(struct migration *m)
{
    struct json *arguments = json_object_create();
    enum matctl_status status;

    m->is_told = true;
    status = migrate_hint(m, "stopped");
    status = status ? status : migrate_finish_disks(m);
    if (!status && *m->interrupted) {
        status = matctl_error("interrupted: %s stays here", m->vm);
    }
    if (status) {
        json_destroy(arguments);
        return status;
    }
    json_object_put_string(arguments, "state", "pre-switchover");
    m->is_let_go = true;
    return migrate_execute(m->qmp, "migrate-continue", arguments);
}

static enum matctl_status
explain_failure(struct migration *m, const char *state)
{
    struct json *info = migrate_query(m->qmp, "query-migrate", NULL);
    const char *why = matctl_string(info, "error-desc");

    matctl_error("%s: the migration %s%s%s; QEMU at %s says more", m->vm,
                 state, *why ? ": " : "", why, m->host);
    json_destroy(info);
    return MATCTL_FAILED;
}

/* What an event means.  Sets '*done' at the end of the migration. */
static enum matctl_status
take_event(struct migration *m, const struct json *event, bool *done)
{
    const char *state = matctl_string(event, "data.status");

    if (strcmp(matctl_string(event, "event"), "MIGRATION")) {
        return MATCTL_OK;
    } else if (!strcmp(state, "pre-switchover")) {
        return switch_over(m);
    } else if (!strcmp(state, "completed")) {
        *done = true;
    } else if (!strcmp(state, "failed") || !strcmp(state, "cancelled")) {
        return explain_failure(m, state);
    }
    return MATCTL_OK;
}

/* After the stop there is no way back but QEMU's own, and little to wait
 * for. */
static enum matctl_status
follow(struct migration *m)
{
    enum matctl_status status = MATCTL_OK;
    int wait_ms = 0;
    bool done = false;

    while (!done && !status) {
        char *error;
        struct json *event;

        if (*m->interrupted && !m->is_told) {
            return matctl_error("interrupted: %s stays here", m->vm);
        }
        event = matctl_qmp_event(m->qmp, wait_ms, &error);
        if (error) {
            status = matctl_error("%s: %s", m->qmp_path, error);
            free(error);
        } else if (event) {
            status = take_event(m, event, &done);
            json_destroy(event);
        } else if (!m->is_told) {
            status = migrate_watch(m, &wait_ms);
        } else {
            wait_ms = MIGRATE_POLL_MS;
        }
    }
    return status;
}

/* Taking back. */

enum outcome {
    UNDER_WAY,
    HERE,                       /* It failed, or was cancelled. */
    THERE                       /* It was too late. */
};

/* Without having been let go it cannot be there: then another migration was
 * completed, perhaps that by which the VM came. */
static enum outcome
ask_outcome(struct migration *m, char **error)
{
    struct json *info = matctl_qmp_execute(m->qmp, "query-migrate", NULL,
                                           error);
    const char *state = matctl_string(info, "status");
    enum outcome outcome = (*error || migrate_is_under_way(state) ? UNDER_WAY
                            : m->is_let_go && !strcmp(state, "completed")
                            ? THERE : HERE);

    json_destroy(info);
    return outcome;
}

static enum outcome
cancel(struct migration *m, char **error)
{
    long long int end = time_msec() + CANCEL_MS;
    enum outcome outcome = UNDER_WAY;

    json_destroy(matctl_qmp_execute(m->qmp, "migrate_cancel", NULL, error));
    while (!*error) {
        outcome = ask_outcome(m, error);
        if (outcome != UNDER_WAY || *error) {
            break;
        } else if (time_msec() > end) {
            *error = xstrdup("the migration does not end");
        } else {
            usleep(MIGRATE_POLL_MS * 100);
        }
    }
    return outcome;
}

/* The VM goes on here, and everybody hears of that; or it is there already,
 * which is said by the result.  As long as that is not known it is not told to
 * go on, as it might run at both. */
static bool
roll_back(struct migration *m)
{
    enum outcome outcome;
    bool is_known;
    char *error;

    migrate_cancel_disks(m);
    outcome = cancel(m, &error);
    if (outcome == THERE) {
        return true;
    }
    if (!error && m->was_running) {
        /* It was stopped if it had got as far as that. */
        json_destroy(matctl_qmp_execute(m->qmp, "cont", NULL, &error));
    }
    is_known = !error || !m->is_let_go;
    if (error) {
        matctl_error("%s: %s: look whether the VM runs%s", m->vm, error,
                     is_known ? "" : ", here or there");
        free(error);
    } else {
        migrate_put_back(m);
    }
    if (is_known && (m->is_held || m->is_told)) {
        migrate_hint(m, "failed");
    }
    return false;
}

static void
report(struct migration *m, long long int began_ms)
{
    long long int took = time_msec() - began_ms;
    struct json *info = migrate_query(m->qmp, "query-migrate", NULL), *json;

    if (m->ctl->json) {
        json = json_object_create();
        json_object_put_string(json, "vm", m->vm);
        json_object_put_string(json, "mac", m->cards[0].mac);
        json_object_put_string(json, "host", m->host_id);
        json_object_put(json, "cards", json_integer_create(m->n_cards));
        json_object_put(json, "disks", json_integer_create(m->n_nodes));
        json_object_put(json, "held", json_boolean_create(m->is_held));
        json_object_put(json, "total_ms", json_integer_create(took));
        json_object_put(json, "downtime_ms", json_integer_create(
                            matctl_integer(info, "downtime")));
        json_object_put(json, "bytes", json_integer_create(
                            matctl_integer(info, "ram.transferred")));
        matctl_print_json(json);
        json_destroy(json);
    } else {
        printf("%s runs on %s: %lld ms in all, stopped for %"PRId64" ms, "
               "%"PRId64" MB\n", m->vm, m->host, took,
               matctl_integer(info, "downtime"),
               matctl_integer(info, "ram.transferred") >> 20);
    }
    json_destroy(info);
}

static enum matctl_status
move(struct migration *m)
{
    long long int began_ms = time_msec();
    enum matctl_status status = migrate_copy_disks(m);

    status = status ? status : migrate_start(m);
    status = status ? status : follow(m);
    migrate_end_line(m);
    if (status && !roll_back(m)) {
        return status;
    }
    migrate_hint(m, "done");
    report(m, began_ms);
    return m->quit ? migrate_execute(m->qmp, "quit", NULL) : MATCTL_OK;
}

static enum matctl_status
open_monitor(const char *path, struct matctl_qmp **qmp)
{
    char *error;

    *qmp = matctl_qmp_open(path, &interrupted, &error);
    if (!*qmp) {
        matctl_error("%s: %s; nothing was changed", path, error);
        free(error);
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

/* Everything that can be known to be wrong before anything is changed. */
static enum matctl_status
prepare(struct migration *m)
{
    enum matctl_status status = migrate_find_vm(m);

    status = status ? status : migrate_find_host(m);
    status = status ? status : open_monitor(m->qmp_path, &m->qmp);
    if (!status && m->to_qmp_path) {
        status = open_monitor(m->to_qmp_path, &m->to_qmp);
    }
    status = status ? status : migrate_look(m);
    status = status ? status : migrate_find_disks(m);
    return status ? status : migrate_wait_prepared(m);
}

static void
clean(struct migration *m)
{
    matctl_qmp_close(m->qmp);
    matctl_qmp_close(m->to_qmp);
    for (size_t i = 0; i < m->n_cards; i++) {
        free(m->cards[i].mac);
        free(m->cards[i].zone);
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        free(m->nodes[i]);
    }
    free(m->host_id);
    free(m->address);
}

enum matctl_status
matctl_migrate(struct matctl *ctl, int argc, char *argv[])
{
    struct migration m = {
        .ctl = ctl, .interrupted = &interrupted, .port = DEFAULT_PORT,
        .downtime = DEFAULT_DOWNTIME_MS, .bandwidth = MIGRATE_NO_LIMIT,
        .wait_s = 10,
    };
    enum matctl_status status = parse_words(&m, argc, argv);

    if (status) {
        return status;
    }
    time_alarm(UINT_MAX);       /* It takes as long as it takes. */
    take_signals();
    status = prepare(&m);
    status = status ? status : move(&m);
    clean(&m);
    return status;
}
