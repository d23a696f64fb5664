/* SPDX-License-Identifier: Apache-2.0 */

/* matctl trace and path: what becomes of packets, here and on the way. */

#include <config.h>
#include "matctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "matctl-table.h"
#include "openvswitch/json.h"
#include "util.h"

/* Asks the switch what it would do with a packet.  Null if it does not answer,
 * after saying why. */
static struct json *
ask_switch(const struct matctl *ctl, const char *src, const char *dst,
           const char *zone)
{
    char *args[4] = {
        CONST_CAST(char *, src),
        CONST_CAST(char *, dst),
        CONST_CAST(char *, zone ? zone : "zone=0"),
        CONST_CAST(char *, "--json"),
    };
    struct json *reply = NULL;
    char *text, *why;
    int error = matctl_ask_daemon(ctl->switch_target, "mat/trace", 4, args,
                                  &text, &why);

    if (error) {
        matctl_error("%s: %s%s", ctl->switch_target,
                     why ? why : ovs_strerror(error),
                     why && strstr(why, "not a valid command")
                     ? ": it is not patched, see \"matctl check\"" : "");
    } else {
        reply = json_from_string(text);
    }
    free(text);
    free(why);
    return reply;
}

/* A packet that this host sends out, or one that comes in from where 'from'
 * is.  Null if neither end is here. */
static struct json *
trace_one(const struct matctl *ctl, const struct json *from,
          const struct json *to)
{
    if (matctl_bool(from, "here")) {
        return ask_switch(ctl, matctl_string(from, "hoa"),
                          matctl_string(to, "hoa"), ctl->zone);
    } else if (matctl_bool(to, "here")) {
        return ask_switch(ctl, matctl_string(from, "moa"),
                          matctl_string(to, "moa"), ctl->zone);
    }
    return NULL;
}

static bool
goes_through(const struct json *trace)
{
    const char *fate = matctl_string(trace, "fate");

    return !strcmp(fate, "pass") || !strcmp(fate, "deliver");
}

static void
show_end(const char *title, const struct json *vm)
{
    printf("%s %s  MoA %s, %s %s, version %s%s%s\n", title,
           matctl_string(vm, "hoa"),
           *matctl_string(vm, "moa") ? matctl_string(vm, "moa") : "none",
           matctl_bool(vm, "here") ? "here on port" : "at host",
           matctl_bool(vm, "here") ? matctl_string(vm, "port")
           : *matctl_string(vm, "host") ? matctl_string(vm, "host")
           : "unknown",
           *matctl_string(vm, "version.text")
           ? matctl_string(vm, "version.text") : "none",
           matctl_bool(vm, "unreachable") ? ", HOST UNREACHABLE" : "",
           matctl_bool(vm, "frozen") ? ", FROZEN" : "");
}

static void
show_trace(const char *title, const struct json *trace)
{
    if (!trace) {
        return;
    }
    printf("%s: %s, %s: %s\n", title, matctl_string(trace, "verdict"),
           matctl_string(trace, "fate"), matctl_string(trace, "why"));
    if (*matctl_string(trace, "src")) {
        printf("        leaves as %s -> %s, to MAC %s\n",
               matctl_string(trace, "src"), matctl_string(trace, "dst"),
               matctl_string(trace, "eth_dst"));
    }
}

/* What the other host knows of the two, as [{"hoa": ..., "moa": ..., "agrees":
 * ...}, ...]; null if there is none. */
static struct json *
ask_peer(const struct matctl *ctl, const struct json *a, const struct json *b)
{
    const struct json *ends[] = { a, b };
    const struct json *far = matctl_bool(a, "here") ? b : a;
    struct json *all;

    if (matctl_bool(far, "here") || !*matctl_string(far, "host")) {
        return NULL;
    }
    all = json_array_create_empty();
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        const char *hoa = matctl_string(ends[i], "hoa");
        const char *moa = matctl_string(ends[i], "moa");
        struct json *known;

        if (matctl_ask(ctl, &known, "mat/ask", matctl_string(far, "host"),
                       hoa, ctl->zone, NULL) == MATCTL_OK) {
            json_object_put_string(known, "hoa", hoa);
            json_object_put(known, "agrees", json_boolean_create(
                *moa && !strcmp(matctl_string(known, "moa"), moa)));
            json_array_add(all, known);
        }
    }
    return all;
}

static bool
peer_agrees(const struct json *peer)
{
    for (size_t i = 0; peer && i < matctl_count(peer, ""); i++) {
        if (!matctl_bool(matctl_item(peer, "", i), "agrees")) {
            return false;
        }
    }
    return true;
}

static void
show_peer(const struct json *peer)
{
    for (size_t i = 0; peer && i < matctl_count(peer, ""); i++) {
        const struct json *known = matctl_item(peer, "", i);
        const char *moa = matctl_string(known, "moa");

        printf("other host: %s MoA %s, version %"PRId64".%"PRId64"%s%s: %s\n",
               matctl_string(known, "hoa"), *moa ? moa : "none",
               matctl_integer(known, "version.epoch"),
               matctl_integer(known, "version.seq"),
               matctl_bool(known, "in_sync") ? ""
               : ", SWITCH NOT IN SYNC",
               matctl_bool(known, "frozen") ? ", FROZEN" : "",
               matctl_bool(known, "agrees") ? "as here" : "NOT AS HERE");
    }
}

static enum matctl_status
show_both(const struct matctl *ctl, struct json *a, struct json *b)
{
    struct json *there = trace_one(ctl, a, b);
    struct json *back = trace_one(ctl, b, a);
    struct json *peer = ask_peer(ctl, a, b);
    bool ok = (there && back && goes_through(there) && goes_through(back)
               && peer_agrees(peer));

    if (ctl->json) {
        struct json *all = json_object_create();

        json_object_put(all, "from", json_clone(a));
        json_object_put(all, "to", json_clone(b));
        json_object_put(all, "there", there ? json_clone(there)
                        : json_null_create());
        json_object_put(all, "back", back ? json_clone(back)
                        : json_null_create());
        json_object_put(all, "peer", peer ? json_clone(peer)
                        : json_null_create());
        json_object_put(all, "ok", json_boolean_create(ok));
        matctl_print_json(all);
        json_destroy(all);
    } else {
        show_end("from ", a);
        show_end("to   ", b);
        show_trace("there", there);
        show_trace("back ", back);
        show_peer(peer);
    }
    json_destroy(peer);
    json_destroy(there);
    json_destroy(back);
    return ok ? MATCTL_OK : MATCTL_FAILED;
}

enum matctl_status
matctl_trace(struct matctl *ctl, int argc OVS_UNUSED, char *argv[])
{
    struct json *a, *b = NULL;
    enum matctl_status status = matctl_ask(ctl, &a, "mat/lookup", argv[1],
                                           ctl->zone, NULL);

    if (status == MATCTL_OK) {
        status = matctl_ask(ctl, &b, "mat/lookup", argv[2], ctl->zone, NULL);
    }
    if (status == MATCTL_OK
        && !matctl_bool(a, "here") && !matctl_bool(b, "here")) {
        status = matctl_error("neither %s nor %s is on this host: ask on "
                              "host %s or %s", argv[1], argv[2],
                              matctl_string(a, "host"),
                              matctl_string(b, "host"));
    } else if (status == MATCTL_OK) {
        status = show_both(ctl, a, b);
    }
    json_destroy(a);
    json_destroy(b);
    return status;
}

/* path. */

static void
show_rtt(const struct json *reply)
{
    char min[MATCTL_DURATION_MAX], avg[MATCTL_DURATION_MAX];
    char max[MATCTL_DURATION_MAX];

    if (matctl_get(reply, "rtt_avg_us")) {
        printf("round trip     %s, least %s, most %s\n",
               matctl_duration(matctl_integer(reply, "rtt_avg_us"), avg),
               matctl_duration(matctl_integer(reply, "rtt_min_us"), min),
               matctl_duration(matctl_integer(reply, "rtt_max_us"), max));
    }
    if (matctl_integer(reply, "mtu")) {
        printf("MTU            %"PRId64"\n", matctl_integer(reply, "mtu"));
    }
}

static void
show_path(const struct json *reply)
{
    static const char *const tests[][2] = {
        { "plain", "host to host" },
        { "own", "from our MoA" },
        { "foreign", "redirected" },
        { "mtu", "full size" },
    };

    printf("host           %s\n", matctl_string(reply, "host"));
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        char path[64];

        snprintf(path, sizeof path, "tests.%s", tests[i][0]);
        printf("%-14s %s\n", tests[i][1], matctl_string(reply, path));
    }
    show_rtt(reply);
    if (matctl_bool(reply, "translated")) {
        printf("translated     sent as %s, seen as %s\n",
               matctl_string(reply, "sent_as"),
               matctl_string(reply, "seen_as"));
    }
    if (*matctl_string(reply, "advice")) {
        printf("\n%s\n", matctl_string(reply, "advice"));
    }
}

enum matctl_status
matctl_path(struct matctl *ctl, int argc OVS_UNUSED, char *argv[])
{
    struct json *reply;
    enum matctl_status status = matctl_ask(ctl, &reply, "mat/path", argv[1],
                                           NULL);

    if (status != MATCTL_OK) {
        return status;
    }
    if (ctl->json) {
        matctl_print_json(reply);
    } else {
        show_path(reply);
    }
    status = matctl_bool(reply, "good") ? MATCTL_OK : MATCTL_FAILED;
    json_destroy(reply);
    return status;
}
