/* SPDX-License-Identifier: Apache-2.0 */

/* Commands that change something, or take time: hints, freezing, flows,
 * measuring a path, reading the flight recorder. */

#include <config.h>
#include "matd-ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mat-agent.h"
#include "mat-parse.h"
#include "mat-recorder.h"
#include "matd-ctl-json.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(matd_ctl);

static void
reply_text(struct unixctl_conn *conn, const char *format, ...)
    OVS_PRINTF_FORMAT(2, 3);

static void
reply_text(struct unixctl_conn *conn, const char *format, ...)
{
    struct json *reply = json_object_create();
    va_list args;
    char *text;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    json_object_put_string(reply, "text", text);
    VLOG_INFO("an operator's command: %s", text);
    free(text);
    matd_ctl_reply(conn, reply);
}

static void
reply_error(struct unixctl_conn *conn, const char *format, ...)
    OVS_PRINTF_FORMAT(2, 3);

static void
reply_error(struct unixctl_conn *conn, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    unixctl_command_reply_error(conn, text);
    free(text);
}

/* mat/hint. */

static bool
find_kind(const char *name, enum mat_agent_hint_kind *kind)
{
    for (int i = 0; i < MAT_N_HINTS; i++) {
        if (!strcmp(name, mat_agent_hint_name(i))) {
            *kind = i;
            return true;
        }
    }
    return false;
}

static bool
fill_hint(struct unixctl_conn *conn, const struct matd_ctl_args *args,
          struct mat_agent_hint *hint)
{
    hint->zone = args->zone;
    hint->any_zone = !args->has_zone;
    hint->has_hoa = args->has_addr;
    hint->hoa = args->addr;
    hint->has_mac = args->has_mac;
    hint->mac = args->mac;
    if ((args->iface_id && strlen(args->iface_id) >= sizeof hint->iface_id)
        || (args->port && strlen(args->port) >= sizeof hint->port)) {
        reply_error(conn, "the name of a port or interface is too long");
        return false;
    }
    ovs_strzcpy(hint->iface_id, args->iface_id ? args->iface_id : "",
                sizeof hint->iface_id);
    ovs_strzcpy(hint->port, args->port ? args->port : "", sizeof hint->port);
    return true;
}

static void
unixctl_hint(struct unixctl_conn *conn, int argc, const char *argv[],
             void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    struct mat_agent_hint hint = { .kind = MAT_HINT_PREPARE };
    struct matd_ctl_args args;
    int n;

    if (!find_kind(argv[1], &hint.kind)) {
        reply_error(conn, "\"%s\" is no hint: prepare, hold, stopped, "
                    "started, failed, done, park and release are", argv[1]);
        return;
    }
    if (!matd_ctl_parse(conn, argc, argv, 2, &args)
        || !fill_hint(conn, &args, &hint)) {
        return;
    }
    n = mat_agent_hint(ctl->agent, time_usec(), &hint);
    if (n < 0) {
        reply_error(conn, "a hint must name a VM by hoa=, mac=, iface-id= or "
                    "port=");
    } else if (n == MAT_HINT_AWAITED) {
        reply_text(conn, "prepare: its zone is not on this host, so peers are "
                   "asked for the VM");
    } else if (!n) {
        reply_error(conn, "no VM that is known, and no port of this host, "
                    "fits; \"matctl vms --all\" and \"matctl config\" list "
                    "them");
    } else {
        reply_text(conn, "%s: told of %d home address%s",
                   mat_agent_hint_name(hint.kind), n, n > 1 ? "es" : "");
    }
}

/* mat/freeze, mat/unfreeze, mat/activate, mat/deactivate. */

static void
unixctl_freeze(struct unixctl_conn *conn, int argc, const char *argv[],
               void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    bool freeze = !strcmp(argv[0], "mat/freeze");
    struct matd_ctl_args args;

    if (!matd_ctl_parse(conn, argc, argv, 1, &args)) {
        return;
    }
    if (!args.has_addr) {
        reply_error(conn, "a home address is missing");
    } else if (freeze ? mat_agent_freeze(ctl->agent, time_usec(), args.zone,
                                         &args.addr)
               : mat_agent_unfreeze(ctl->agent, time_usec(), args.zone,
                                    &args.addr)) {
        reply_text(conn, freeze ? "%s in zone %"PRIu32" is frozen: this host "
                   "makes no claims for it" : "%s in zone %"PRIu32" can be "
                   "claimed again", argv[1], args.zone);
    } else {
        reply_error(conn, "%s in zone %"PRIu32": %s", argv[1], args.zone,
                    freeze ? "not known here" : "not frozen here");
    }
}

static void
unixctl_activate(struct unixctl_conn *conn, int argc OVS_UNUSED,
                 const char *argv[], void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    bool active = !strcmp(argv[0], "mat/activate");

    if (!ctl->hooks || !ctl->hooks->activate) {
        reply_error(conn, "there are no flows to remove or put back");
        return;
    }
    ctl->hooks->activate(ctl->hooks->aux, active);
    reply_text(conn, active ? "the flows are put back" : "the flows are "
               "removed; VMs of this bridge have no network by ovs-mat until "
               "\"matctl activate\" or a restart of matd");
}

/* mat/revoke: a file of "matctl key revoke", as it is. */
static void
unixctl_revoke(struct unixctl_conn *conn, int argc OVS_UNUSED,
               const char *argv[], void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    char error[MATD_GOSSIP_ERROR_MAX] = "gossip does not run";

    if (ctl->gossip
        && matd_gossip_revoke(ctl->gossip, time_usec(), argv[1],
                              strlen(argv[1]), error)) {
        reply_text(conn, "taken over; it spreads to all hosts");
    } else {
        reply_error(conn, "revocation: %s", error);
    }
}

/* mat/path. */

/* A host by its id, its name when it was certified, or its address. */
static uint64_t
find_host(const struct mat_gossip *engine, const char *name)
{
    const struct mat_claim *claim;
    struct mat_host_info info;
    struct mat_addr addr;
    size_t cursor = 0;

    if (!mat_addr_parse(name, &addr)) {
        return matd_keys_host_id(name);
    }
    while ((claim = mat_gossip_next_claim(engine, &cursor)) != NULL) {
        if (claim->key.type == MAT_TYPE_HOST
            && claim->state == MAT_CLAIM_LIVE
            && mat_host_decode(claim->body, claim->body_size, &info)
            && mat_addr_equal(&info.endpoint.addr, &addr)) {
            return mat_key_host_id(&claim->key);
        }
    }
    return 0;
}

static struct json *
path_to_json(uint64_t host, const struct mat_path_result *result)
{
    struct json *json = json_object_create();
    struct json *tests = json_object_create();
    char advice[2048];

    for (int i = 0; i < MAT_PATH_N_TESTS; i++) {
        json_object_put_string(tests, mat_path_test_name(i),
                               mat_path_state_name(result->tests[i]));
    }
    matd_json_host(json, "host", host);
    json_object_put(json, "tests", tests);
    if (result->rtt_avg_us >= 0) {
        matd_json_int(json, "rtt_min_us", result->rtt_min_us);
        matd_json_int(json, "rtt_avg_us", result->rtt_avg_us);
        matd_json_int(json, "rtt_max_us", result->rtt_max_us);
    }
    matd_json_int(json, "sent", result->n_sent);
    matd_json_int(json, "answered", result->n_answered);
    matd_json_int(json, "mtu", result->mtu);
    matd_json_bool(json, "translated", result->is_translated);
    if (result->is_translated) {
        matd_json_endpoint(json, "sent_as", &result->sent_as);
        matd_json_endpoint(json, "seen_as", &result->seen_as);
    }
    matd_json_bool(json, "good", !result->is_translated
                   && result->tests[MAT_PATH_PLAIN] == MAT_PATH_CARRIED
                   && result->tests[MAT_PATH_OWN] != MAT_PATH_DROPPED);
    matd_path_explain(result, advice, sizeof advice);
    matd_json_string(json, "advice", advice);
    return json;
}

static void
path_done(void *conn, uint64_t host, const struct mat_path_result *result)
{
    if (result) {
        matd_ctl_reply(conn, path_to_json(host, result));
    } else {
        unixctl_command_reply_error(conn, "matd is ending");
    }
}

static void
unixctl_path(struct unixctl_conn *conn, int argc OVS_UNUSED,
             const char *argv[], void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    const struct matd_keys *keys = ctl->keys ? matd_keys_get(ctl->keys) : NULL;
    const struct matd_ctl_hooks *hooks = ctl->hooks;
    char error[MATD_GOSSIP_ERROR_MAX] = "no route to it is known";
    struct matd_path_request request = { .host = 0 };
    const struct mat_gossip *engine = matd_ctl_engine(ctl);

    if (!engine || !ctl->path || !keys) {
        reply_error(conn, "gossip does not run, so no other host is known: "
                    "\"matctl check\" says why");
        return;
    }
    request.host = find_host(engine, argv[1]);
    if (!request.host) {
        reply_error(conn, "%s: no host has this address; \"matctl peers\" "
                    "lists them", argv[1]);
    } else if (hooks && hooks->path && !hooks->path(hooks->aux, request.host,
                                                    &request, error)) {
        reply_error(conn, "%s: %s", argv[1], error);
    } else if (!matd_path_start(ctl->path, time_usec(), keys, &request,
                                path_done, conn, error)) {
        reply_error(conn, "%s: %s", argv[1], error);
    }
}

/* mat/ask: what another host knows of a HoA. */

static void
ask_done(void *conn, const struct matd_path_known *known)
{
    struct json *json;

    if (!known) {
        unixctl_command_reply_error(conn, "the host does not answer");
        return;
    }
    json = json_object_create();
    matd_json_addr(json, "moa", &known->moa);
    if (known->epoch) {
        struct json *version = json_object_create();

        matd_json_int(version, "epoch", known->epoch);
        matd_json_int(version, "seq", known->seq);
        json_object_put(json, "version", version);
    }
    matd_json_bool(json, "here", known->flags & MAT_PATH_KNOWS_HERE);
    matd_json_bool(json, "in_sync", known->flags & MAT_PATH_KNOWS_IN_SYNC);
    matd_json_bool(json, "frozen", known->flags & MAT_PATH_KNOWS_FROZEN);
    matd_ctl_reply(conn, json);
}

static void
unixctl_ask(struct unixctl_conn *conn, int argc, const char *argv[],
            void *ctl_)
{
    const struct matd_ctl *ctl = ctl_;
    const struct matd_keys *keys = ctl->keys ? matd_keys_get(ctl->keys) : NULL;
    const struct mat_gossip *engine = matd_ctl_engine(ctl);
    char error[MATD_GOSSIP_ERROR_MAX];
    struct matd_ctl_args args;

    if (!matd_ctl_parse(conn, argc, argv, 2, &args)) {
        return;
    } else if (!engine || !ctl->path || !args.has_addr) {
        reply_error(conn, "%s", args.has_addr ? "gossip does not run"
                    : "an address is missing");
    } else if (!matd_path_ask(ctl->path, time_usec(), keys,
                              find_host(engine, argv[1]), args.zone,
                              &args.addr, ask_done, conn, error)) {
        reply_error(conn, "%s: %s", argv[1], error);
    }
}

/* mat/recording: the bytes at OFFSET of a copy that is taken at offset 0, so
 * that no reply is long. */

static struct {
    uint8_t *bytes;
    size_t size;
} copy;

/* Join keys are nobody's business: zeros are in their place. */
static void
wipe_secrets(void)
{
    struct mat_recorder_entry entry;
    size_t cursor = 0;
    uint64_t n_lost;

    while (mat_recorder_next(copy.bytes, copy.size, &cursor, &n_lost,
                             &entry)) {
        if (entry.kind == MAT_REC_JOIN_KEYS) {
            memset(CONST_CAST(uint8_t *, entry.data), 0, entry.size);
        }
    }
}

static void
take_copy(const struct mat_recorder *recorder)
{
    free(copy.bytes);
    copy.size = mat_recorder_size(recorder);
    copy.bytes = xmalloc(copy.size ? copy.size : 1);
    mat_recorder_write(recorder, copy.bytes);
    wipe_secrets();
}

static void
unixctl_recording(struct unixctl_conn *conn, int argc, const char *argv[],
                  void *ctl_)
{
    static const char digits[] = "0123456789abcdef";
    const struct matd_ctl *ctl = ctl_;
    const struct mat_recorder *recorder = (
        ctl->gossip ? matd_gossip_recorder(ctl->gossip) : NULL);
    struct ds hex = DS_EMPTY_INITIALIZER;
    struct json *reply;
    uint64_t offset = 0;
    size_t n;

    if (!recorder) {
        reply_error(conn, "gossip does not run, so nothing is recorded");
        return;
    }
    if (argc > 1 && !mat_parse_number(argv[1], SIZE_MAX, &offset)) {
        reply_error(conn, "\"%s\" is not an offset", argv[1]);
        return;
    }
    if (!offset || !copy.bytes) {
        take_copy(recorder);
    }
    offset = MIN(offset, copy.size);
    n = MIN(copy.size - offset, MATD_CTL_RECORDING_CHUNK);
    for (size_t i = 0; i < n; i++) {
        ds_put_char(&hex, digits[copy.bytes[offset + i] >> 4]);
        ds_put_char(&hex, digits[copy.bytes[offset + i] & 15]);
    }
    reply = json_object_create();
    matd_json_int(reply, "size", copy.size);
    matd_json_int(reply, "offset", offset);
    json_object_put_string(reply, "data", ds_cstr(&hex));
    ds_destroy(&hex);
    if (offset + n == copy.size) {
        free(copy.bytes);
        copy.bytes = NULL;
    }
    matd_ctl_reply(conn, reply);
}

void
matd_ctl_change_init(struct matd_ctl *ctl)
{
    unixctl_command_register("mat/hint", "KIND [zone=N] hoa=A|mac=M|"
                             "iface-id=I|port=P", 2, 6, unixctl_hint, ctl);
    unixctl_command_register("mat/freeze", "HOA [zone=N]", 1, 2,
                             unixctl_freeze, ctl);
    unixctl_command_register("mat/unfreeze", "HOA [zone=N]", 1, 2,
                             unixctl_freeze, ctl);
    unixctl_command_register("mat/deactivate", "", 0, 0, unixctl_activate,
                             ctl);
    unixctl_command_register("mat/activate", "", 0, 0, unixctl_activate, ctl);
    unixctl_command_register("mat/revoke", "TEXT", 1, 1, unixctl_revoke, ctl);
    unixctl_command_register("mat/path", "HOST", 1, 1, unixctl_path, ctl);
    unixctl_command_register("mat/ask", "HOST HOA [zone=N]", 2, 3,
                             unixctl_ask, ctl);
    unixctl_command_register("mat/recording", "[OFFSET]", 0, 1,
                             unixctl_recording, ctl);
}
