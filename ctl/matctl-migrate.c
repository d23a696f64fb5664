/* SPDX-License-Identifier: Apache-2.0 */

/* matctl migrate: the live migration of a QEMU guest, without libvirt.
 *
 *     here                                     there
 *     1. find the VM, and the host
 *     2. wait until the host has prepared  <-- matd sees the port of the QEMU
 *                                              that waits for the VM
 *     3. migrate, pausing before switchover
 *     4. the VM has stopped: hint "stopped",
 *        wait until the switch sends its
 *        packets to the new place, where they
 *        wait for it
 *     5. go on                             --> it runs: matd claims it
 *     6. hint "done", quit QEMU if asked
 *
 * Whatever fails before 5, or an interrupt, cancels: the VM goes on here and
 * the hint "failed" takes back what was said. */

#include <config.h>
#include "matctl.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "matctl-qmp.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

enum {
    POLL_MS = 100,
    PROGRESS_MS = 250,
    TABLE_MS = 2000,            /* For the switch to do as it was told. */
    DEFAULT_PORT = 49152,
    DEFAULT_DOWNTIME_MS = 50
};

struct migration {
    struct matctl *ctl;

    /* As asked for. */
    const char *vm, *host;
    const char *qmp_path, *to_qmp_path, *uri;
    unsigned int port, bandwidth, downtime, wait_s;
    bool unprepared, quit;

    /* As found. */
    char *mac, *zone;           /* "zone=N". */
    char *host_id, *address;

    struct matctl_qmp *qmp, *to_qmp;
    bool was_running;           /* It was not paused before. */
    bool is_told;               /* "stopped" was said. */
    bool is_over;               /* The VM is there. */
    long long int stopped_ms, started_ms;
    long long int drawn_ms;     /* When progress was printed last. */
};

static volatile sig_atomic_t interrupted;

static void
interrupt(int signal_number OVS_UNUSED)
{
    interrupted = 1;
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
        return !strcmp(word, "unprepared") || !strcmp(word, "quit");
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
                         "unprepared, quit", argv[i]);
            return MATCTL_USAGE;
        }
    }
    if (!m->qmp_path) {
        matctl_error("migrate: qmp= is missing: the socket of a monitor of "
                     "the VM's QEMU, other than the one that matd uses");
        return MATCTL_USAGE;
    }
    return MATCTL_OK;
}

/* What matd knows. */

static bool
is_it(const struct migration *m, const struct json *vm)
{
    return (!strcasecmp(m->vm, matctl_string(vm, "mac"))
            || !strcmp(m->vm, matctl_string(vm, "hoa"))
            || !strcmp(m->vm, matctl_string(vm, "port")));
}

static enum matctl_status
find_vm(struct migration *m)
{
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(m->ctl, &reply, "mat/vms",
                                                 NULL);

    for (size_t i = 0; !status && i < matctl_count(reply, "vms"); i++) {
        const struct json *vm = matctl_item(reply, "vms", i);
        char *zone = xasprintf("zone=%"PRId64, matctl_integer(vm, "zone"));

        if (is_it(m, vm) && matctl_bool(vm, "here") && !m->mac
            && (!m->ctl->zone || !strcmp(zone, m->ctl->zone))) {
            m->mac = xstrdup(matctl_string(vm, "mac"));
            m->zone = xstrdup(zone);
        }
        free(zone);
    }
    json_destroy(reply);
    if (!status && !m->mac) {
        status = matctl_error("%s: no VM that runs on this host has this "
                              "home address, MAC or port; \"matctl vms\" "
                              "lists them", m->vm);
    }
    return status;
}

/* The address without the port. */
static char *
address_of(const char *endpoint)
{
    const char *end = strrchr(endpoint, ':');

    if (*endpoint == '[') {
        endpoint++;
        end = strchr(endpoint, ']');
    }
    return end ? xmemdup0(endpoint, end - endpoint) : xstrdup(endpoint);
}

static enum matctl_status
find_host(struct migration *m)
{
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(m->ctl, &reply, "mat/peers",
                                                 NULL);

    for (size_t i = 0; !status && i < matctl_count(reply, "peers"); i++) {
        const struct json *peer = matctl_item(reply, "peers", i);
        char *address = address_of(matctl_string(peer, "address"));

        if (!m->host_id && (!strcmp(m->host, address)
                            || !strcmp(m->host,
                                       matctl_string(peer, "host")))) {
            m->host_id = xstrdup(matctl_string(peer, "host"));
            m->address = xstrdup(address);
        }
        free(address);
    }
    json_destroy(reply);
    if (!status && !m->host_id) {
        status = matctl_error("%s: no host of the cluster has this address or "
                              "id; \"matctl peers\" lists them", m->host);
    }
    return status;
}

/* The number of the VM's home addresses that the host has not prepared for;
 * negative if that cannot be asked. */
static int
count_unprepared(struct migration *m)
{
    struct json *reply;
    int n = 0;

    if (matctl_ask_pages(m->ctl, &reply, "mat/vms", m->zone, NULL)) {
        return -1;
    }
    for (size_t i = 0; i < matctl_count(reply, "vms"); i++) {
        const struct json *vm = matctl_item(reply, "vms", i);

        n += (!strcmp(matctl_string(vm, "mac"), m->mac)
              && matctl_bool(vm, "here")
              && strcmp(matctl_string(vm, "prepared_host"), m->host_id));
    }
    json_destroy(reply);
    return n;
}

static enum matctl_status
wait_prepared(struct migration *m)
{
    long long int end = time_msec() + m->wait_s * 1000LL;
    int n = count_unprepared(m);

    while (n > 0 && !interrupted && time_msec() < end) {
        usleep(POLL_MS * 1000);
        n = count_unprepared(m);
    }
    if (n > 0 && !interrupted && !m->unprepared) {
        return matctl_error(
            "%s has not prepared for %s within %u s: start QEMU there with "
            "-incoming and put its port into the bridge with "
            "external_ids:attached-mac=%s; or say \"unprepared\" and lose "
            "what is sent to the VM while it is stopped", m->host, m->vm,
            m->wait_s, m->mac);
    }
    return n < 0 || interrupted ? MATCTL_FAILED : MATCTL_OK;
}

/* Tells matd, and waits until the switch has done what follows from it. */
static enum matctl_status
hint(struct migration *m, const char *kind)
{
    long long int end = time_msec() + TABLE_MS;
    char *mac = xasprintf("mac=%s", m->mac);
    enum matctl_status status;
    struct json *reply;
    bool pending = true;

    status = matctl_ask(m->ctl, &reply, "mat/hint", kind, mac, m->zone, NULL);
    free(mac);
    json_destroy(reply);
    while (!status && pending && time_msec() < end) {
        status = matctl_ask(m->ctl, &reply, "mat/status", NULL);
        pending = !status && matctl_integer(reply, "pending") > 0;
        json_destroy(reply);
        if (pending) {
            usleep(200);
        }
    }
    return status;
}

/* QEMU. */

/* Executes a command whose result does not matter. */
static enum matctl_status
execute(struct matctl_qmp *qmp, const char *command, struct json *arguments)
{
    char *error;

    json_destroy(matctl_qmp_execute(qmp, command, arguments, &error));
    if (error) {
        matctl_error("%s", error);
        free(error);
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

static struct json *
capability(const char *name)
{
    struct json *json = json_object_create();

    json_object_put_string(json, "capability", name);
    json_object_put(json, "state", json_boolean_create(true));
    return json;
}

static enum matctl_status
set_capabilities(struct matctl_qmp *qmp, bool source)
{
    struct json *list = json_array_create_1(capability("events"));
    struct json *arguments = json_object_create();

    if (source) {
        json_array_add(list, capability("pause-before-switchover"));
    }
    json_object_put(arguments, "capabilities", list);
    return execute(qmp, "migrate-set-capabilities", arguments);
}

static enum matctl_status
migrate_to(struct matctl_qmp *qmp, const char *command, const char *uri)
{
    struct json *arguments = json_object_create();

    json_object_put_string(arguments, "uri", uri);
    return execute(qmp, command, arguments);
}

/* Whoever has paused the VM wants it to stay so. */
static enum matctl_status
look_if_running(struct migration *m)
{
    struct json *status;
    char *error;

    status = matctl_qmp_execute(m->qmp, "query-status", NULL, &error);
    m->was_running = matctl_bool(status, "running");
    json_destroy(status);
    if (error) {
        matctl_error("%s", error);
        free(error);
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

static enum matctl_status
start(struct migration *m)
{
    bool v6 = strchr(m->address, ':') != NULL;
    char *uri = (m->uri ? xstrdup(m->uri)
                 : xasprintf("tcp:%s%s%s:%u", v6 ? "[" : "", m->address,
                             v6 ? "]" : "", m->port));
    struct json *parameters = json_object_create();
    enum matctl_status status = MATCTL_OK;

    json_object_put(parameters, "downtime-limit",
                    json_integer_create(m->downtime));
    json_object_put(parameters, "max-bandwidth",
                    json_integer_create((long long int) m->bandwidth << 20));
    if (m->to_qmp) {
        status = set_capabilities(m->to_qmp, false);
        status = status ? status : migrate_to(m->to_qmp, "migrate-incoming",
                                              uri);
    }
    status = status ? status : set_capabilities(m->qmp, true);
    if (status) {
        json_destroy(parameters);
    } else {
        status = execute(m->qmp, "migrate-set-parameters", parameters);
    }
    status = status ? status : migrate_to(m->qmp, "migrate", uri);
    free(uri);
    return status;
}

/* One line that is drawn again and again, if somebody looks. */
static void
draw(struct migration *m)
{
    struct json *info;
    int64_t total, left;
    char *error;

    if (!isatty(STDERR_FILENO) || m->ctl->json
        || time_msec() < m->drawn_ms + PROGRESS_MS) {
        return;
    }
    m->drawn_ms = time_msec();
    info = matctl_qmp_execute(m->qmp, "query-migrate", NULL, &error);
    free(error);
    total = matctl_integer(info, "ram.total");
    left = matctl_integer(info, "ram.remaining");
    if (total) {
        int done = (int) (20 * (total - left) / total);

        fprintf(stderr, "\r[%-20.*s] %"PRId64" of %"PRId64" MB, %"PRId64
                " MB/s, dirty %"PRId64" pages/s, expected stop %"PRId64
                " ms   ", done, "####################",
                (total - left) >> 20, total >> 20,
                matctl_integer(info, "ram.mbps") / 8,
                matctl_integer(info, "ram.dirty-pages-rate"),
                matctl_integer(info, "expected-downtime"));
    }
    json_destroy(info);
}

static void
end_line(const struct migration *m)
{
    if (m->drawn_ms) {
        putc('\n', stderr);
    }
}

/* What an event means.  Sets '*done' at the end of the migration. */
static enum matctl_status
take_event(struct migration *m, const struct json *event, bool *done)
{
    const char *name = matctl_string(event, "event");
    const char *state = matctl_string(event, "data.status");
    enum matctl_status status;

    if (!strcmp(name, "STOP")) {
        m->stopped_ms = time_msec();
    } else if (strcmp(name, "MIGRATION")) {
        return MATCTL_OK;
    } else if (!strcmp(state, "pre-switchover")) {
        struct json *arguments = json_object_create();

        m->is_told = true;
        status = hint(m, "stopped");
        json_object_put_string(arguments, "state", state);
        if (status) {
            json_destroy(arguments);
            return status;
        }
        return execute(m->qmp, "migrate-continue", arguments);
    } else if (!strcmp(state, "completed")) {
        *done = m->is_over = true;
    } else if (!strcmp(state, "failed") || !strcmp(state, "cancelled")) {
        struct json *info;
        char *error;

        info = matctl_qmp_execute(m->qmp, "query-migrate", NULL, &error);
        free(error);
        matctl_error("%s: the migration %s: %s", m->vm, state,
                     matctl_string(info, "error-desc"));
        json_destroy(info);
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

static enum matctl_status
follow(struct migration *m)
{
    enum matctl_status status = MATCTL_OK;
    bool done = false;

    while (!done && !status) {
        char *error;
        struct json *event;

        if (interrupted) {
            return matctl_error("interrupted: %s stays here", m->vm);
        }
        event = matctl_qmp_event(m->qmp, POLL_MS, &error);
        if (error) {
            status = matctl_error("%s: %s", m->qmp_path, error);
            free(error);
        } else if (event) {
            status = take_event(m, event, &done);
            json_destroy(event);
        } else if (!m->is_told) {
            draw(m);
        }
    }
    return status;
}

/* The VM goes on here, and everybody hears of that. */
static void
roll_back(struct migration *m)
{
    long long int end = time_msec() + TABLE_MS;
    bool cancelled = false;
    char *error;

    interrupted = 0;
    json_destroy(matctl_qmp_execute(m->qmp, "migrate_cancel", NULL, &error));
    while (!error && !cancelled && time_msec() < end) {
        struct json *info;

        info = matctl_qmp_execute(m->qmp, "query-migrate", NULL, &error);
        cancelled = (strcmp(matctl_string(info, "status"), "cancelling")
                     && strcmp(matctl_string(info, "status"), "active"));
        json_destroy(info);
        usleep(POLL_MS * 100);
    }
    if (!error && m->was_running) {
        /* It was stopped if it had got as far as that. */
        json_destroy(matctl_qmp_execute(m->qmp, "cont", NULL, &error));
    }
    if (error) {
        matctl_error("%s: %s: look whether the VM runs", m->vm, error);
        free(error);
    }
    hint(m, "failed");
}

static void
report(const struct migration *m, long long int began_ms)
{
    long long int took = time_msec() - began_ms;
    struct json *info, *json;
    char *error;

    info = matctl_qmp_execute(m->qmp, "query-migrate", NULL, &error);
    free(error);
    if (m->ctl->json) {
        json = json_object_create();
        json_object_put_string(json, "vm", m->vm);
        json_object_put_string(json, "mac", m->mac);
        json_object_put_string(json, "host", m->host_id);
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
    long long int began_ms;
    enum matctl_status status = wait_prepared(m);

    if (status) {
        return status;
    }
    began_ms = time_msec();
    status = look_if_running(m);
    if (status) {
        return status;
    }
    status = start(m);
    status = status ? status : follow(m);
    end_line(m);
    if (status) {
        roll_back(m);
        return status;
    }
    hint(m, "done");
    report(m, began_ms);
    if (m->quit) {
        status = execute(m->qmp, "quit", NULL);
    }
    return status;
}

static enum matctl_status
open_monitor(const char *path, struct matctl_qmp **qmp)
{
    char *error;

    *qmp = matctl_qmp_open(path, &interrupted, &error);
    if (!*qmp) {
        matctl_error("%s: %s", path, error);
        free(error);
        return MATCTL_FAILED;
    }
    return MATCTL_OK;
}

enum matctl_status
matctl_migrate(struct matctl *ctl, int argc, char *argv[])
{
    struct sigaction action = { .sa_handler = interrupt };
    struct migration m = {
        .ctl = ctl, .port = DEFAULT_PORT, .downtime = DEFAULT_DOWNTIME_MS,
        .bandwidth = 100000, .wait_s = 10,
    };
    enum matctl_status status = parse_words(&m, argc, argv);

    if (status) {
        return status;
    }
    time_alarm(UINT_MAX);       /* It takes as long as it takes. */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = find_vm(&m);
    status = status ? status : find_host(&m);
    status = status ? status : open_monitor(m.qmp_path, &m.qmp);
    if (!status && m.to_qmp_path) {
        status = open_monitor(m.to_qmp_path, &m.to_qmp);
    }
    status = status ? status : move(&m);
    matctl_qmp_close(m.qmp);
    matctl_qmp_close(m.to_qmp);
    free(m.mac);
    free(m.zone);
    free(m.host_id);
    free(m.address);
    return status;
}
