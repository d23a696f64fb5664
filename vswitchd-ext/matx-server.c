/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matx-server.h"

#include <stdio.h>

#include "matx-dpif.h"
#include "matx-events.h"
#include "matx-hold.h"
#include "matx-socket.h"
#include "matx-table.h"
#include "matx-thread.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "random.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(mat_server);

/* Taken before 'matx_mutex'. */
static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct mat_server *server OVS_GUARDED_BY(mutex);

static void
hook_lock(void *aux OVS_UNUSED)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    ovs_mutex_lock(&matx_mutex);
}

static void
hook_unlock(void *aux OVS_UNUSED)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    ovs_mutex_unlock(&matx_mutex);
}

static bool
hook_waits(void *aux OVS_UNUSED, const struct mat_entry *entry)
{
    return matx_hold_waits(entry);
}

static void
hook_changed(void *aux OVS_UNUSED, const struct mat_entry *entry, bool kept)
{
    matx_hold_changed(entry, kept);
}

static void
hook_release(void *aux OVS_UNUSED, uint32_t zone, const struct mat_addr *addr)
{
    matx_hold_release(zone, addr);
}

static void
hook_discard(void *aux OVS_UNUSED, uint32_t zone, const struct mat_addr *addr)
{
    matx_hold_discard(zone, addr);
}

static uint32_t
find_port(const char *name)
{
    uint32_t odp_port = MAT_TABLE_NO_PORT;
    struct mat_port port;
    uint64_t cursor = 0;

    ovs_mutex_lock(&matx_mutex);
    while (mat_table_next_port(matx_table, &cursor, &port)) {
        if (!strcmp(port.name, name)) {
            odp_port = port.odp_port;
            break;
        }
    }
    ovs_mutex_unlock(&matx_mutex);
    return odp_port;
}

/* Only messages carry frames, so this is the update thread. */
static void
hook_inject(void *aux OVS_UNUSED, const char *port, const void *frame,
            size_t size)
{
    uint32_t odp_port = find_port(port);

    if (odp_port != MAT_TABLE_NO_PORT) {
        matx_dpif_output(odp_port, frame, size);
    }
}

static bool
hook_counter(void *aux OVS_UNUSED, unsigned int i,
             char name[static MAT_PORT_NAME_SIZE], uint64_t *value)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    return matx_server_counter(i, name, value);
}

static void
hook_clear_counters(void *aux OVS_UNUSED)
{
    matx_server_clear_counters();
}

static enum mat_update_reason
hook_subscribe(void *aux OVS_UNUSED, void *client, uint64_t *size)
{
    return matx_socket_subscribe(client, size);
}

void
matx_server_init(void)
{
    const struct mat_server_hooks hooks = {
        .lock = hook_lock,
        .unlock = hook_unlock,
        .waits = hook_waits,
        .changed = hook_changed,
        .release = hook_release,
        .discard = hook_discard,
        .inject = hook_inject,
        .counter = hook_counter,
        .clear_counters = hook_clear_counters,
        .subscribe = hook_subscribe,
    };

    ovs_mutex_lock(&mutex);
    server = mat_server_create(matx_table, &hooks, random_uint64());
    if (!server) {
        VLOG_FATAL("no memory for the update server");
    }
    ovs_mutex_unlock(&mutex);
}

void
matx_server_destroy(void)
{
    ovs_mutex_lock(&mutex);
    mat_server_destroy(server);
    server = NULL;
    ovs_mutex_unlock(&mutex);
}

struct mat_server_reply
matx_server_handle(struct matx_client *client, const void *message,
                   size_t size, void *buffer)
{
    struct mat_server_reply reply;

    ovs_mutex_lock(&mutex);
    reply = mat_server_handle(server, client, message, size, buffer);
    ovs_mutex_unlock(&mutex);
    return reply;
}

unsigned int
matx_server_do(const struct mat_op *op)
{
    unsigned int reason;

    ovs_mutex_lock(&mutex);
    reason = mat_server_do(server, op);
    ovs_mutex_unlock(&mutex);
    return reason;
}

void
matx_server_flush(void)
{
    ovs_mutex_lock(&mutex);
    mat_server_flush(server);
    ovs_mutex_unlock(&mutex);
}

/* Counters.  Each of these takes its own part of the numbers and, if 'i' is
 * beyond that, takes the size of the part off 'i'. */

static bool
verdict_counter(unsigned int *i, char name[static MAT_PORT_NAME_SIZE],
                uint64_t *value)
{
    enum { N = 2 * MAT_N_VERDICTS + 3 };
    struct matx_counters sum;
    unsigned int n = *i;

    if (n >= N) {
        *i -= N;
        return false;
    }
    matx_threads_sum(&sum);
    if (n < 2 * MAT_N_VERDICTS) {
        unsigned int in = n / MAT_N_VERDICTS, v = n % MAT_N_VERDICTS;

        snprintf(name, MAT_PORT_NAME_SIZE, "%s.%s", in ? "in" : "out",
                 mat_verdict_name(v));
        *value = sum.n_packets[in][v];
    } else if (n == N - 1) {
        ovs_strlcpy(name, "threads.refused-packets", MAT_PORT_NAME_SIZE);
        *value = sum.n_no_thread;
    } else {
        bool errors = n == 2 * MAT_N_VERDICTS;

        snprintf(name, MAT_PORT_NAME_SIZE, "suppressed.%s",
                 errors ? "icmp-errors" : "events");
        *value = errors ? sum.n_errors_suppressed : sum.n_events_suppressed;
    }
    return true;
}

static bool
event_counter(unsigned int *i, char name[static MAT_PORT_NAME_SIZE],
              uint64_t *value)
{
    if (*i >= 2) {
        *i -= 2;
        return false;
    }
    snprintf(name, MAT_PORT_NAME_SIZE, "events.%s",
             *i ? "subscribers" : "put");
    *value = *i ? matx_events_n_subscribers() : matx_events_n_put();
    return true;
}

static bool
hold_counter(unsigned int *i, char name[static MAT_PORT_NAME_SIZE],
             uint64_t *value)
{
    if (matx_hold_counter(*i, name, value)) {
        return true;
    }
    *i -= MATX_HOLD_N_COUNTERS;
    return false;
}

static bool
socket_counter(unsigned int *i, char name[static MAT_PORT_NAME_SIZE],
               uint64_t *value)
{
    if (matx_socket_counter(*i, name, value)) {
        return true;
    }
    *i -= MATX_SOCKET_N_COUNTERS;
    return false;
}

/* Under 'mutex' when it comes from a request; else without, which can at worst
 * show a counter that is being written. */
bool
matx_server_counter(unsigned int i, char name[static MAT_PORT_NAME_SIZE],
                    uint64_t *value)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    return (verdict_counter(&i, name, value)
            || event_counter(&i, name, value)
            || hold_counter(&i, name, value)
            || socket_counter(&i, name, value)
            || mat_server_counter(server, i, name, value));
}

void
matx_server_clear_counters(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    matx_threads_clear();
    matx_hold_clear_counters();
    matx_socket_clear_counters();
    mat_server_clear_counters(server);
}
