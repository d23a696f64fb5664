/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "matd-qmp-vm.h"

#include <stdio.h>
#include <string.h>

#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "util.h"

static const char cmd_capabilities[] = "{\"execute\":\"qmp_capabilities\"}\n";
static const char cmd_events[] =
    "{\"execute\":\"migrate-set-capabilities\",\"arguments\":"
    "{\"capabilities\":[{\"capability\":\"events\",\"state\":true}]}}\n";
static const char cmd_migrate[] =
    "{\"execute\":\"query-migrate\",\"id\":\"mat-migrate\"}\n";
static const char cmd_status[] =
    "{\"execute\":\"query-status\",\"id\":\"mat-status\"}\n";

const char *
matd_qmp_hint_name(enum matd_qmp_hint hint)
{
    static const char *const names[] = {
#define MATD_QMP_HINT(ENUM, NAME) NAME,
        MATD_QMP_HINTS
#undef MATD_QMP_HINT
    };

    return hint < MATD_QMP_N_HINTS ? names[hint] : "?";
}

void
matd_qmp_vm_init(struct matd_qmp_vm *vm)
{
    *vm = (struct matd_qmp_vm) { .phase = MATD_QMP_GREETING };
}

static void
abort_parser(struct matd_qmp_vm *vm)
{
    if (vm->parser) {
        json_parser_abort(vm->parser);
        vm->parser = NULL;
    }
    vm->n_bytes = 0;
}

void
matd_qmp_vm_destroy(struct matd_qmp_vm *vm)
{
    abort_parser(vm);
}

/* Outputs. */

static void
give_hint(struct matd_qmp_vm *vm, enum matd_qmp_hint hint)
{
    if (hint == vm->last && hint != MATD_QMP_RESET) {
        return;
    }
    ovs_assert(vm->n_hints < MATD_QMP_OUT_MAX);
    vm->hints[vm->n_hints++] = hint;
    if (hint != MATD_QMP_RESET) {
        vm->last = hint;
    }
}

static void
give_command(struct matd_qmp_vm *vm, const char *command)
{
    ovs_assert(vm->n_commands < MATD_QMP_OUT_MAX);
    vm->commands[vm->n_commands++] = command;
}

/* Answers come in order, so the migration is known when the status comes. */
static void
ask(struct matd_qmp_vm *vm)
{
    give_command(vm, cmd_migrate);
    give_command(vm, cmd_status);
}

void
matd_qmp_vm_lost(struct matd_qmp_vm *vm)
{
    enum matd_qmp_hint last = vm->last;

    abort_parser(vm);
    matd_qmp_vm_init(vm);
    vm->last = last;
    if (last != MATD_QMP_NONE) {
        give_hint(vm, MATD_QMP_LOST);
    }
}

bool
matd_qmp_vm_is_waiting(const struct matd_qmp_vm *vm)
{
    return (vm->phase == MATD_QMP_READY
            && (vm->last == MATD_QMP_STOPPED || vm->last == MATD_QMP_FAILED
                || vm->last == MATD_QMP_INCOMING));
}

void
matd_qmp_vm_poll(struct matd_qmp_vm *vm)
{
    ask(vm);
}

/* JSON. */

static const struct json *
member(const struct json *object, const char *name)
{
    return (object && object->type == JSON_OBJECT
            ? shash_find_data(object->object, name) : NULL);
}

static const char *
string_member(const struct json *object, const char *name)
{
    const struct json *value = member(object, name);

    return value && value->type == JSON_STRING ? json_string(value) : "";
}

/* What the state means. */

static bool
is(const char *a, const char *b)
{
    return !strcmp(a, b);
}

static bool
is_running(const struct matd_qmp_vm *vm)
{
    return is(vm->runstate, "running");
}

static void
set_runstate(struct matd_qmp_vm *vm, const char *runstate)
{
    snprintf(vm->runstate, sizeof vm->runstate, "%s", runstate);
}

static void
judge_stop(struct matd_qmp_vm *vm)
{
    if (is(vm->runstate, "finish-migrate")
        || (vm->migration == MATD_QMP_MIG_SWITCHING && !vm->is_incoming)) {
        give_hint(vm, MATD_QMP_STOPPED);
    } else {
        give_hint(vm, MATD_QMP_PAUSED);
    }
}

/* The runstate is known. */
static void
judge(struct matd_qmp_vm *vm)
{
    if (is(vm->runstate, "running")) {
        vm->is_incoming = false;
        give_hint(vm, MATD_QMP_RUNNING);
    } else if (is(vm->runstate, "inmigrate")) {
        vm->is_incoming = true;
        give_hint(vm, MATD_QMP_INCOMING);
    } else if (is(vm->runstate, "postmigrate")) {
        give_hint(vm, MATD_QMP_MOVED);
    } else if (is(vm->runstate, "shutdown")) {
        give_hint(vm, MATD_QMP_SHUTDOWN);
    } else {
        judge_stop(vm);
    }
}

static enum matd_qmp_migration
migration_of(const char *status, enum matd_qmp_migration old)
{
    static const struct {
        const char *name;
        enum matd_qmp_migration migration;
    } all[] = {
        { "none", MATD_QMP_MIG_NONE },
        { "setup", MATD_QMP_MIG_ACTIVE },
        { "wait-unplug", MATD_QMP_MIG_ACTIVE },
        { "active", MATD_QMP_MIG_ACTIVE },
        { "pre-switchover", MATD_QMP_MIG_SWITCHING },
        { "device", MATD_QMP_MIG_SWITCHING },
        { "postcopy-active", MATD_QMP_MIG_SWITCHING },
        { "postcopy-paused", MATD_QMP_MIG_SWITCHING },
        { "postcopy-recover", MATD_QMP_MIG_SWITCHING },
        { "completed", MATD_QMP_MIG_DONE },
        { "failed", MATD_QMP_MIG_NONE },
        { "cancelled", MATD_QMP_MIG_NONE }
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (is(status, all[i].name)) {
            return all[i].migration;
        }
    }
    return old;                 /* "cancelling", and what is new. */
}

/* Messages. */

static void
take_migration_event(struct matd_qmp_vm *vm, const char *status)
{
    bool has_ended = is(status, "failed") || is(status, "cancelled");
    bool was_known = vm->migration == MATD_QMP_MIG_ACTIVE
                     || vm->migration == MATD_QMP_MIG_SWITCHING
                     || vm->last == MATD_QMP_STOPPED || vm->is_incoming;

    vm->migration = migration_of(status, vm->migration);
    if (has_ended && was_known) {
        give_hint(vm, MATD_QMP_FAILED);
        ask(vm);
    } else if (vm->is_incoming) {
        /* That it goes on is no news; when it is here it will run or not. */
        if (vm->migration == MATD_QMP_MIG_DONE) {
            ask(vm);
        }
    } else if (vm->migration == MATD_QMP_MIG_DONE) {
        /* A live snapshot ends like this too, but the VM runs on. */
        if (!is_running(vm) && vm->runstate[0]) {
            give_hint(vm, MATD_QMP_MOVED);
        } else {
            ask(vm);
        }
    } else if (vm->migration == MATD_QMP_MIG_SWITCHING && !is_running(vm)
               && vm->runstate[0]) {
        give_hint(vm, MATD_QMP_STOPPED);
    }
}

static void
take_stop(struct matd_qmp_vm *vm)
{
    set_runstate(vm, "stopped");        /* Which one is asked for. */
    if (vm->migration == MATD_QMP_MIG_SWITCHING && !vm->is_incoming) {
        give_hint(vm, MATD_QMP_STOPPED);
    } else if (vm->migration == MATD_QMP_MIG_ACTIVE && !vm->is_incoming) {
        give_hint(vm, MATD_QMP_STOPPING);
    }
    ask(vm);
}

/* QEMU also ends when its VM has gone, or could not come. */
static void
take_shutdown(struct matd_qmp_vm *vm)
{
    if (vm->last == MATD_QMP_STOPPED) {
        give_hint(vm, MATD_QMP_MOVED);
    } else if (vm->is_incoming) {
        give_hint(vm, MATD_QMP_FAILED);
    } else if (vm->last != MATD_QMP_MOVED) {
        give_hint(vm, MATD_QMP_SHUTDOWN);
    }
}

static void
take_event(struct matd_qmp_vm *vm, const char *event,
           const struct json *data)
{
    if (is(event, "STOP")) {
        take_stop(vm);
    } else if (is(event, "RESUME")) {
        set_runstate(vm, "running");
        judge(vm);
    } else if (is(event, "MIGRATION")) {
        take_migration_event(vm, string_member(data, "status"));
    } else if (is(event, "RESET")) {
        give_hint(vm, MATD_QMP_RESET);
    } else if (is(event, "SHUTDOWN")) {
        take_shutdown(vm);
    }
}

static void
take_answer(struct matd_qmp_vm *vm, const char *id,
            const struct json *answer)
{
    if (is(id, "mat-migrate")) {
        vm->migration = migration_of(string_member(answer, "status"),
                                     vm->migration);
    } else if (is(id, "mat-status") && string_member(answer, "status")[0]) {
        set_runstate(vm, string_member(answer, "status"));
        judge(vm);
    }
}

static void
take_negotiation(struct matd_qmp_vm *vm, const struct json *message)
{
    if (member(message, "return")) {
        vm->phase = MATD_QMP_READY;
        give_command(vm, cmd_events);
        ask(vm);
    } else if (member(message, "error")) {
        vm->error = "it refuses to talk (qmp_capabilities)";
    }
}

static void
take_message(struct matd_qmp_vm *vm, const struct json *message)
{
    const char *event = string_member(message, "event");

    if (message->type != JSON_OBJECT) {
        vm->error = "it does not speak QMP";
    } else if (vm->phase == MATD_QMP_GREETING) {
        if (member(message, "QMP")) {
            vm->phase = MATD_QMP_NEGOTIATING;
            give_command(vm, cmd_capabilities);
        } else {
            vm->error = "it does not greet as QMP does";
        }
    } else if (event[0]) {
        take_event(vm, event, member(message, "data"));
    } else if (vm->phase == MATD_QMP_NEGOTIATING) {
        take_negotiation(vm, message);
    } else {
        take_answer(vm, string_member(message, "id"),
                    member(message, "return"));
    }
}

size_t
matd_qmp_vm_feed(struct matd_qmp_vm *vm, const char *bytes, size_t n)
{
    struct json *message;
    size_t used;

    if (!vm->parser) {
        vm->parser = json_parser_create(0);
        vm->n_bytes = 0;
    }
    used = json_parser_feed(vm->parser, bytes, n);
    vm->n_bytes += used;
    if (!json_parser_is_done(vm->parser)) {
        if (vm->n_bytes > MATD_QMP_MESSAGE_MAX) {
            abort_parser(vm);
            vm->error = "it sends a message without end";
        }
        return n;
    }
    message = json_parser_finish(vm->parser);
    vm->parser = NULL;
    vm->n_bytes = 0;
    take_message(vm, message);
    json_destroy(message);
    return vm->error ? n : used;
}
