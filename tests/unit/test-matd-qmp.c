/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU says in its various ways of stopping a VM, and the socket. */
#include <config.h>

#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "matd-qmp.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n" \
                 "{\"return\": {}}\r\n{\"return\": {}}\r\n"
#define EVENT(NAME) \
    "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, " \
    "\"event\": \"" NAME "\"}\r\n"
#define MIGRATION(STATUS) \
    "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"" STATUS "\"}}\r\n"
#define STATUS(RUNSTATE) \
    "{\"return\": {\"running\": false, \"status\": \"" RUNSTATE "\"}, " \
    "\"id\": \"mat-status\"}\r\n"
#define MIGRATE(STATUS) \
    "{\"return\": {\"status\": \"" STATUS "\"}, \"id\": \"mat-migrate\"}\r\n"
#define NO_MIGRATE "{\"return\": {}, \"id\": \"mat-migrate\"}\r\n"

/* Feeds 'script', 'step' bytes at a time, and writes the hints as "a b c". */
static const char *
play(struct matd_qmp_vm *vm, const char *script, size_t step, char out[512])
{
    size_t n = strlen(script), used = 0;

    out[0] = '\0';
    while (used < n) {
        size_t chunk = MIN(step, n - used);
        size_t taken = matd_qmp_vm_feed(vm, script + used, chunk);

        assert_true(taken && taken <= chunk);
        used += taken;
        for (unsigned int i = 0; i < vm->n_hints; i++) {
            size_t at = strlen(out);

            snprintf(out + at, 512 - at, "%s%s", at ? " " : "",
                     matd_qmp_hint_name(vm->hints[i]));
        }
        vm->n_hints = vm->n_commands = 0;
        if (vm->error) {
            break;
        }
    }
    return out;
}

static const struct { const char *name, *script, *hints; } stories[] = {
    { "matd comes to a VM that runs",
      GREETING NO_MIGRATE STATUS("running"), "running" },
    { "migration, events on",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("setup") MIGRATION("active") EVENT("STOP")
      MIGRATION("device") MIGRATE("device") STATUS("finish-migrate")
      MIGRATION("completed") STATUS("postmigrate"),
      "running stopping stopped moved" },
    { "migration that libvirt holds before the switch-over",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") MIGRATION("pre-switchover") EVENT("STOP")
      MIGRATION("device") MIGRATION("completed"),
      "running stopped moved" },
    { "migration, no events",
      GREETING NO_MIGRATE STATUS("running")
      EVENT("STOP") MIGRATE("active") STATUS("finish-migrate")
      MIGRATE("completed") STATUS("postmigrate"),
      "running stopped moved" },
    { "matd comes when it has gone",
      GREETING MIGRATE("completed") STATUS("postmigrate"), "moved" },
    { "matd comes in the last phase",
      GREETING MIGRATE("device") STATUS("finish-migrate"), "stopped" },
    { "post-copy",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") EVENT("STOP") MIGRATION("postcopy-active")
      MIGRATE("postcopy-active") STATUS("finish-migrate")
      MIGRATION("completed"), "running stopping stopped moved" },
    { "plain pause",
      GREETING NO_MIGRATE STATUS("running")
      EVENT("STOP") NO_MIGRATE STATUS("paused") EVENT("RESUME"),
      "running paused running" },
    { "internal snapshot",
      GREETING NO_MIGRATE STATUS("running")
      EVENT("STOP") NO_MIGRATE STATUS("save-vm") EVENT("RESUME"),
      "running paused running" },
    { "disk error",
      GREETING NO_MIGRATE STATUS("running")
      EVENT("STOP") NO_MIGRATE STATUS("io-error"), "running paused" },
    { "pause while it migrates, then the last phase",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") EVENT("STOP") MIGRATE("active")
      STATUS("paused") MIGRATION("device") MIGRATION("completed"),
      "running stopping paused stopped moved" },
    { "pause while it migrates, and on",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") EVENT("STOP") MIGRATE("active")
      STATUS("paused") EVENT("RESUME"), "running stopping paused running" },
    { "saved to a file",
      GREETING NO_MIGRATE STATUS("running")
      EVENT("STOP") NO_MIGRATE STATUS("paused") MIGRATION("setup")
      MIGRATION("active") MIGRATION("completed"),
      "running paused moved" },
    { "live snapshot by a migration in the background",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("setup") MIGRATION("active") MIGRATION("completed")
      MIGRATE("completed") STATUS("running"), "running" },
    { "migration that fails in the last phase",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") EVENT("STOP") MIGRATION("device")
      MIGRATE("device") STATUS("finish-migrate") EVENT("RESUME")
      MIGRATION("failed") MIGRATE("failed") STATUS("running"),
      "running stopping stopped running failed running" },
    { "migration that fails, and stays stopped",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") EVENT("STOP") MIGRATE("active")
      STATUS("finish-migrate") MIGRATION("failed") MIGRATE("failed")
      STATUS("paused"), "running stopping stopped failed paused" },
    { "migration that is cancelled early",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") MIGRATION("cancelling")
      MIGRATION("cancelled") MIGRATE("cancelled") STATUS("running"),
      "running failed running" },
    { "stop after a migration that failed long ago",
      GREETING MIGRATE("failed") STATUS("running")
      EVENT("STOP") MIGRATE("failed") STATUS("paused"),
      "running paused" },
    { "destination",
      GREETING NO_MIGRATE STATUS("inmigrate")
      MIGRATION("setup") MIGRATION("active") MIGRATION("completed")
      EVENT("RESUME") MIGRATE("completed") STATUS("running"),
      "incoming running" },
    { "destination of a VM that was paused",
      GREETING NO_MIGRATE STATUS("inmigrate") MIGRATION("active")
      MIGRATION("completed") MIGRATE("completed") STATUS("paused")
      EVENT("RESUME"), "incoming paused running" },
    { "destination, and it fails",
      GREETING NO_MIGRATE STATUS("inmigrate") MIGRATION("active")
      MIGRATION("failed"), "incoming failed" },
    { "there and away again",
      GREETING NO_MIGRATE STATUS("inmigrate") MIGRATION("active")
      EVENT("RESUME") MIGRATION("completed") MIGRATION("setup")
      MIGRATION("active") EVENT("STOP") MIGRATION("device")
      MIGRATION("completed"), "incoming running stopping stopped moved" },
    { "QEMU ends after a migration",
      GREETING NO_MIGRATE STATUS("running")
      MIGRATION("active") EVENT("STOP") MIGRATION("device")
      MIGRATION("completed") EVENT("SHUTDOWN"),
      "running stopping stopped moved" },
    { "QEMU ends after a migration without events",
      GREETING NO_MIGRATE STATUS("running") EVENT("STOP")
      MIGRATE("active") STATUS("finish-migrate") EVENT("SHUTDOWN"),
      "running stopped moved" },
    { "destination that ends before the VM came",
      GREETING NO_MIGRATE STATUS("inmigrate") MIGRATION("active")
      EVENT("SHUTDOWN"), "incoming failed" },
    { "reset, shutdown",
      GREETING NO_MIGRATE STATUS("running") EVENT("RESET")
      EVENT("RESET") EVENT("SHUTDOWN") EVENT("STOP"),
      "running reset reset shutdown" },
    { "what is not known",
      GREETING NO_MIGRATE STATUS("running") EVENT("BALLOON_CHANGE")
      MIGRATION("teleporting") "{\"return\": 5, \"id\": 7}\r\n"
      "{\"return\": [], \"id\": \"mat-status\"}\n"
      "{\"event\": 1}\n{\"event\": \"MIGRATION\", \"data\": 3}\n"
      "{\"error\": {\"class\": \"GenericError\"}, "
      "\"id\": \"mat-status\"}\n{}\n[] {\"x\": null}\n", "running" }
};

static void
test_stories(void **state)
{
    char out[512];

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
        for (size_t step = 1; step < 5000; step = step * 3 + 1) {
            struct matd_qmp_vm vm;

            matd_qmp_vm_init(&vm);
            play(&vm, stories[i].script, step, out);
            if (strcmp(out, stories[i].hints)) {
                print_error("%s: '%s' instead of '%s'\n", stories[i].name,
                            out, stories[i].hints);
                fail();
            }
            matd_qmp_vm_destroy(&vm);
        }
    }
}

static void
test_what_is_not_qmp(void **state)
{
    static const char *const bad[] = {
        "{\"event\": \"STOP\"}", "[1]", "hello\n", "{\"QMP\": {}} ]",
        "{\"QMP\": {}} {\"error\": {}}", "{\"QMP\": {}, }",
        "HTTP/1.0 400 Bad Request\r\n"
    };
    static char big[MATD_QMP_MESSAGE_MAX + 100];
    struct matd_qmp_vm vm;
    char out[512];

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        matd_qmp_vm_init(&vm);
        play(&vm, bad[i], 1000, out);
        assert_non_null(vm.error);
        matd_qmp_vm_destroy(&vm);
    }
    memset(big, '[', sizeof big - 1);
    matd_qmp_vm_init(&vm);
    play(&vm, big, 4096, out);
    assert_non_null(vm.error);
    matd_qmp_vm_destroy(&vm);
    memset(big, ' ', sizeof big - 1);
    matd_qmp_vm_init(&vm);
    play(&vm, big, 4096, out);
    assert_non_null(vm.error);
    matd_qmp_vm_destroy(&vm);
}

static void
test_lost_and_back(void **state)
{
    struct matd_qmp_vm vm;
    char out[512];

    (void) state;
    matd_qmp_vm_init(&vm);
    matd_qmp_vm_lost(&vm);      /* Never there: no hint. */
    assert_int_equal(vm.n_hints, 0);
    play(&vm, GREETING NO_MIGRATE STATUS("running") "{\"half", 4096, out);
    matd_qmp_vm_lost(&vm);
    assert_int_equal(vm.n_hints, 1);
    assert_int_equal(vm.hints[0], MATD_QMP_LOST);
    vm.n_hints = 0;
    assert_string_equal(play(&vm, GREETING NO_MIGRATE STATUS("running"), 4096,
                             out), "running");
    matd_qmp_vm_destroy(&vm);
}

/* The socket: a QEMU that the test plays. */

struct qemu {
    int listener, fd;
    char path[FOLDER_PATH_MAX];
    char heard[8192];
    size_t n;
};

struct heard {
    char text[512];
    struct matd_qmp *qmp;
};

static void
take_hint(void *heard_, const char *port, enum matd_qmp_hint hint)
{
    struct heard *heard = heard_;
    size_t at = strlen(heard->text);

    snprintf(heard->text + at, sizeof heard->text - at, "%s%s:%s",
             at ? " " : "", port, matd_qmp_hint_name(hint));
    if (hint == MATD_QMP_SHUTDOWN) {
        matd_qmp_set(heard->qmp, port, NULL);
    }
}

static void
qemu_open(struct qemu *qemu, const char *dir, const char *name)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    memset(qemu, 0, sizeof *qemu);
    qemu->fd = -1;
    snprintf(qemu->path, sizeof qemu->path, "%s",
             folder_path(dir, name));
    snprintf(un.sun_path, sizeof un.sun_path, "%.100s", qemu->path);
    qemu->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(qemu->listener, (struct sockaddr *) &un,
                          sizeof un), 0);
    assert_int_equal(listen(qemu->listener, 4), 0);
}

static void
qemu_close(struct qemu *qemu)
{
    close(qemu->fd);
    close(qemu->listener);
    unlink(qemu->path);
}

static void
qemu_say(struct qemu *qemu, const char *what)
{
    assert_int_equal(write(qemu->fd, what, strlen(what)), strlen(what));
}

static void
qemu_run(struct qemu *qemu)
{
    ssize_t n;

    if (qemu->fd < 0) {
        qemu->fd = accept4(qemu->listener, NULL, NULL, SOCK_NONBLOCK);
    }
    n = qemu->fd < 0 ? -1 : read(qemu->fd, qemu->heard + qemu->n,
                                 sizeof qemu->heard - 1 - qemu->n);
    qemu->n += n > 0 ? n : 0;
    qemu->heard[qemu->n] = '\0';
}

/* Runs until the hints are 'text', or the time is up. */
static bool
run_until(struct heard *heard, struct qemu *qemu, const char *text, int ms)
{
    long long int end = time_msec() + ms;

    while (time_msec() < end) {
        matd_qmp_run(heard->qmp);
        qemu_run(qemu);
        if (text && !strcmp(heard->text, text)) {
            return true;
        }
        matd_qmp_wait(heard->qmp);
        poll_fd_wait(qemu->fd < 0 ? qemu->listener : qemu->fd, POLLIN);
        poll_timer_wait_until(end);
        poll_block();
    }
    return false;
}

static struct matd_qmp_status
status_of(const struct matd_qmp *q)
{
    struct matd_qmp_status status;
    void *cursor = NULL;

    assert_true(matd_qmp_next(q, &cursor, &status));
    return status;
}

static void
test_socket(void **state)
{
    struct heard heard = { .text = "" };
    struct qemu qemu;

    heard.qmp = matd_qmp_create(take_hint, &heard);
    assert_true(matd_qmp_set(heard.qmp, "vm1", folder_path(*state, "qmp")));
    matd_qmp_run(heard.qmp);
    assert_non_null(strstr(status_of(heard.qmp).error, "No such file"));

    /* It comes up: connected within the first wait. */
    qemu_open(&qemu, *state, "qmp");
    run_until(&heard, &qemu, NULL, 700);
    assert_true(qemu.fd >= 0);
    qemu_say(&qemu, "{\"QMP\": {}}\r\n");
    run_until(&heard, &qemu, NULL, 50);
    assert_non_null(strstr(qemu.heard, "qmp_capabilities"));
    assert_null(strstr(qemu.heard, "query-status"));
    qemu_say(&qemu, "{\"return\": {}}\r\n");
    run_until(&heard, &qemu, NULL, 50);
    assert_non_null(strstr(qemu.heard, "query-status"));
    qemu_say(&qemu, NO_MIGRATE STATUS("running"));
    assert_true(run_until(&heard, &qemu, "vm1:running", 1000));
    assert_true(status_of(heard.qmp).is_connected);
    assert_null(status_of(heard.qmp).error);

    /* While it is stopped for a migration it is polled. */
    qemu_say(&qemu, EVENT("STOP") NO_MIGRATE STATUS("finish-migrate"));
    assert_true(run_until(&heard, &qemu, "vm1:running vm1:stopped", 1000));
    run_until(&heard, &qemu, NULL, 50);
    qemu.n = 0;
    run_until(&heard, &qemu, NULL, 1300);
    assert_non_null(strstr(qemu.heard, "query-status"));

    /* It goes away, and comes back. */
    qemu_close(&qemu);
    heard.text[0] = '\0';
    qemu_open(&qemu, *state, "qmp");
    run_until(&heard, &qemu, NULL, 700);
    assert_string_equal(heard.text, "vm1:lost");
    qemu_say(&qemu, GREETING NO_MIGRATE STATUS("running"));
    assert_true(run_until(&heard, &qemu, "vm1:lost vm1:running", 1000));
    assert_int_equal(status_of(heard.qmp).n_connects, 2);

    /* The hint's taker may end it. */
    qemu_say(&qemu, EVENT("SHUTDOWN") EVENT("RESET"));
    run_until(&heard, &qemu, NULL, 100);
    assert_non_null(strstr(heard.text, "vm1:shutdown vm1:reset"));
    matd_qmp_run(heard.qmp);
    qemu_close(&qemu);
    matd_qmp_destroy(heard.qmp);
}

/* One that floods, one that never reads, and many that are not there. */
static void
test_bad_company(void **state)
{
    static char junk[60000];
    struct heard heard = { .text = "" };
    struct qemu qemu;
    long long int start;

    qemu_open(&qemu, *state, "qmp");
    heard.qmp = matd_qmp_create(take_hint, &heard);
    assert_true(matd_qmp_set(heard.qmp, "vm1", qemu.path));
    run_until(&heard, &qemu, NULL, 50);
    memset(junk, ' ', sizeof junk - 1);
    for (int i = 0; i < 10; i++) {
        if (write(qemu.fd, junk, sizeof junk - 1) < 0) {
            break;
        }
        matd_qmp_run(heard.qmp);
    }
    run_until(&heard, &qemu, NULL, 20);
    assert_string_equal(status_of(heard.qmp).error,
                        "it sends a message without end");
    assert_string_equal(heard.text, "");
    matd_qmp_set(heard.qmp, "vm1", NULL);

    for (int i = 0; i < MATD_QMP_PORTS_MAX; i++) {
        char name[32];

        snprintf(name, sizeof name, "vm%d", i);
        assert_true(matd_qmp_set(heard.qmp, name, "/nonexistent"));
    }
    assert_false(matd_qmp_set(heard.qmp, "more", "/nonexistent"));
    matd_qmp_run(heard.qmp);
    start = time_usec();
    for (int i = 0; i < 100; i++) {
        matd_qmp_run(heard.qmp);
    }
    print_message("# 100 runs with %d quiet ports take %lld us\n",
                  MATD_QMP_PORTS_MAX, time_usec() - start);
    qemu_close(&qemu);
    matd_qmp_destroy(heard.qmp);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_what_is_not_qmp),
        cmocka_unit_test(test_lost_and_back),
        cmocka_unit_test_setup_teardown(test_socket, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(test_bad_company, folder_setup,
                                        folder_teardown)
    };

    signal(SIGPIPE, SIG_IGN);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
