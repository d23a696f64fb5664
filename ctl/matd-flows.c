/* SPDX-License-Identifier: Apache-2.0 */

/* Two sets of flows, 'wanted' and 'present'.  The first is what the caller
 * says, the second what the flow monitor says, and only that: what we send
 * counts when the switch tells about it.  reconcile() sends what differs. */

#include <config.h>

#include "matd-flows.h"

#include <errno.h>

#include "byte-order.h"
#include "dirs.h"
#include "matd-flow-set.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-match.h"
#include "openvswitch/ofp-monitor.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/rconn.h"
#include "openvswitch/vconn.h"
#include "openvswitch/vlog.h"
#include "flow.h"
#include "timeval.h"
#include "util.h"

#include "mat-word.h"

VLOG_DEFINE_THIS_MODULE(matd_flows);

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 500,
    LEAVE_MS = 5000,            /* For the bridge before. */
    RESEND_MS = 1000,           /* What was sent and did not show up. */
    REPAIRS_PER_S = 5           /* Of one flow. */
};

struct matd_flows {
    char *bridge;               /* Or null. */
    struct rconn *rc;
    struct rconn *old_rc;       /* The bridge before, or null: until it has
                                 * done all that was asked... */
    int64_t old_until_ms;       /* ...but not beyond this. */
    bool any_version;           /* Else 1.0, which alone can stop floods. */
    int64_t retry_ms;
    int backoff_ms;
    unsigned int seqno;         /* Of the connection that is monitored. */
    ovs_be32 monitor_xid;
    bool is_known;              /* 'present' is complete. */
    bool is_dirty;
    int64_t again_ms;           /* When to reconcile again, or INT64_MAX. */

    bool install, normal;
    struct hmap wanted, present;        /* struct matd_flow */
    struct hmap next;           /* 'wanted' to be. */
    ofp_port_t out[MATD_FLOWS_LINKS_MAX];
    size_t n_out, n_spread;     /* The first uplink's; 0: none yet. */
    struct ofpbuf vms;          /* struct vm */
    struct ofpbuf quiet;        /* struct vm: no floods go there. */

    bool was_good;
    uint64_t n_repaired, n_removed;
    char problem[256];
};

struct vm {
    ofp_port_t port;
    uint32_t zone;
    struct mat_mac device;
};

static void leave_bridge(struct matd_flows *);
static void run_old(struct matd_flows *);
static void set_quiet(struct matd_flows *);
static void connect_bridge(struct matd_flows *);
static void start_monitor(struct matd_flows *);
static void handle_message(struct matd_flows *, const struct ofpbuf *);
static void send_flow_mod(struct matd_flows *, const struct matd_flow *,
                          enum ofp_flow_mod_command);
static void reconcile(struct matd_flows *);
static enum ofputil_protocol get_protocol(const struct matd_flows *);

struct matd_flows *
matd_flows_create(void)
{
    struct matd_flows *f = xzalloc(sizeof *f);

    /* Its lines about each attempt are noise here: we try often. */
    vlog_set_levels(vlog_module_from_name("rconn"), VLF_ANY_DESTINATION,
                    VLL_ERR);
    f->rc = rconn_create(5, 1, 0, 0);
    f->backoff_ms = BACKOFF_MIN_MS;
    f->again_ms = INT64_MAX;
    hmap_init(&f->wanted);
    hmap_init(&f->present);
    hmap_init(&f->next);
    ofpbuf_init(&f->vms, 0);
    ofpbuf_init(&f->quiet, 0);
    return f;
}

void
matd_flows_destroy(struct matd_flows *f)
{
    if (f) {
        rconn_destroy(f->rc);
        rconn_destroy(f->old_rc);
        matd_flow_clear(&f->wanted);
        matd_flow_clear(&f->present);
        matd_flow_clear(&f->next);
        hmap_destroy(&f->wanted);
        hmap_destroy(&f->present);
        hmap_destroy(&f->next);
        ofpbuf_uninit(&f->vms);
        ofpbuf_uninit(&f->quiet);
        free(f->bridge);
        free(f);
    }
}

/* What should be. */

static bool
is_ours(const struct matd_flow *e)
{
    return e->cookie == htonll(MATD_FLOWS_COOKIE);
}

static void
want(struct matd_flows *f, ofp_port_t in_port, const struct ofpbuf *ofpacts)
{
    struct match match;

    match_init_catchall(&match);
    match_set_in_port(&match, in_port);
    matd_flow_put(&f->next, &match, MATD_FLOWS_PRIORITY,
                  htonll(MATD_FLOWS_COOKIE), ofpacts->data, ofpacts->size);
}

static void
put_output(struct ofpbuf *ofpacts, ofp_port_t port)
{
    ofpact_put_OUTPUT(ofpacts)->port = port;
}

void
matd_flows_begin(struct matd_flows *f, const char *bridge, bool install,
                 bool normal)
{
    if (!nullable_string_is_equal(f->bridge, bridge)) {
        leave_bridge(f);
        f->bridge = nullable_xstrdup(bridge);
    }
    f->install = install;
    f->normal = normal;
    f->n_out = f->n_spread = 0;
    ofpbuf_clear(&f->vms);
    matd_flow_clear(&f->next);
}

void
matd_flows_add_uplink(struct matd_flows *f,
                      const struct matd_flows_uplink *uplink)
{
    if (!f->n_out && uplink->n_links) {
        memcpy(f->out, uplink->links, sizeof f->out);
        f->n_out = uplink->n_links;
        f->n_spread = MAX(1, MIN(uplink->n_spread, uplink->n_links));
    }
    for (size_t i = 0; f->install && i < uplink->n_links; i++) {
        uint64_t stub[64 / 8];
        struct ofpbuf ofpacts = OFPBUF_STUB_INITIALIZER(stub);

        ofpact_put_MAT(&ofpacts)->word = MAT_WORD_IN;
        put_output(&ofpacts, f->normal ? OFPP_NORMAL : OFPP_LOCAL);
        want(f, uplink->links[i], &ofpacts);
        ofpbuf_uninit(&ofpacts);
    }
}

void
matd_flows_add_vm(struct matd_flows *f, ofp_port_t port, uint32_t zone,
                  const struct mat_mac *device)
{
    struct vm vm = { .port = port, .zone = zone, .device = *device };

    ofpbuf_put(&f->vms, &vm, sizeof vm);
}

void
matd_flows_add_source(struct matd_flows *f, const struct mat_addr *prefix,
                      unsigned int plen, ofp_port_t link)
{
    if (f->install && !f->normal) {
        matd_flow_put_source(&f->next, prefix, plen, link);
    }
}

void
matd_flows_add_router(struct matd_flows *f, const struct mat_mac *mac,
                      ofp_port_t link)
{
    if (f->install && !f->normal) {
        matd_flow_put_router(&f->next, mac, link);
    }
}

static void
want_vm(struct matd_flows *f, const struct vm *vm)
{
    uint64_t stub[64 / 8];
    struct ofpbuf ofpacts = OFPBUF_STUB_INITIALIZER(stub);
    size_t link = f->n_spread ? ofp_to_u16(vm->port) % f->n_spread : 0;

    ofpact_put_MAT(&ofpacts)->word = vm->zone;
    if (f->n_out) {
        put_output(&ofpacts, f->out[link]);
    }
    want(f, vm->port, &ofpacts);
    ofpbuf_uninit(&ofpacts);
}

static void
want_local(struct matd_flows *f)
{
    uint64_t stub[64 / 8];
    struct ofpbuf ofpacts = OFPBUF_STUB_INITIALIZER(stub);

    put_output(&ofpacts, f->out[0]);
    want(f, OFPP_LOCAL, &ofpacts);
    ofpbuf_uninit(&ofpacts);
}

void
matd_flows_end(struct matd_flows *f)
{
    const struct vm *vms = f->vms.data;
    struct matd_flow *e;

    for (size_t i = 0; f->install && i < f->vms.size / sizeof *vms; i++) {
        want_vm(f, &vms[i]);
    }
    if (f->install && f->n_out && !f->normal) {
        want_local(f);
    }
    HMAP_FOR_EACH (e, node, &f->next) {
        struct matd_flow *old = matd_flow_find(&f->wanted, &e->match,
                                               e->priority);

        if (old && matd_flow_same_actions(e, old)) {
            e->sent_ms = old->sent_ms;
            e->window_ms = old->window_ms;
            e->n_repairs = old->n_repairs;
        }
    }
    matd_flow_clear(&f->wanted);
    hmap_swap(&f->wanted, &f->next);
    f->is_dirty = true;
    if (f->is_known) {
        set_quiet(f);
    }
}

/* Connection. */

void
matd_flows_hurry(struct matd_flows *f)
{
    f->retry_ms = 0;
    f->backoff_ms = BACKOFF_MIN_MS;
}

void
matd_flows_run(struct matd_flows *f)
{
    if (f->bridge && !rconn_is_alive(f->rc) && time_msec() >= f->retry_ms) {
        connect_bridge(f);
    }
    if (f->old_rc) {
        run_old(f);
    }
    rconn_run(f->rc);
    if (!rconn_is_connected(f->rc)) {
        if (f->is_known) {
            VLOG_WARN("flows: bridge %s does not answer any more", f->bridge);
            f->is_known = f->was_good = false;
            matd_flow_clear(&f->present);
        }
        return;
    }
    if (rconn_get_connection_seqno(f->rc) != f->seqno) {
        start_monitor(f);
    }
    for (int i = 0; i < 50; i++) {
        struct ofpbuf *msg = rconn_recv(f->rc);

        if (!msg) {
            break;
        }
        handle_message(f, msg);
        ofpbuf_delete(msg);
    }
    if (f->is_known && (f->is_dirty || time_msec() >= f->again_ms)) {
        reconcile(f);
        rconn_run(f->rc);
    }
}

void
matd_flows_wait(struct matd_flows *f)
{
    if (f->bridge && !rconn_is_alive(f->rc)) {
        poll_timer_wait_until(f->retry_ms);
    }
    if (f->old_rc) {
        rconn_run_wait(f->old_rc);
        rconn_recv_wait(f->old_rc);
        poll_timer_wait_until(f->old_until_ms);
    }
    rconn_run_wait(f->rc);
    rconn_recv_wait(f->rc);
    if (f->is_known && f->is_dirty) {
        poll_immediate_wake();
    } else if (f->is_known && f->again_ms != INT64_MAX) {
        poll_timer_wait_until(f->again_ms);
    }
}

static void
connect_bridge(struct matd_flows *f)
{
    char *target = xasprintf("unix:%s/%s.mgmt", ovs_rundir(), f->bridge);
    struct vconn *vconn;
    int error;

    f->any_version |= rconn_get_last_error(f->rc) == EPROTO;
    error = vconn_open(target, f->any_version ? 0 : 1u << OFP10_VERSION, 0,
                       &vconn);
    if (!error) {
        rconn_connect_unreliably(f->rc, vconn, f->bridge);
    }
    if (error) {
        snprintf(f->problem, sizeof f->problem, "bridge %s does not answer "
                 "at %s: %s", f->bridge, target, ovs_strerror(error));
    }
    f->retry_ms = time_msec() + f->backoff_ms;
    f->backoff_ms = MIN(2 * f->backoff_ms, BACKOFF_MAX_MS);
    free(target);
}

/* Takes our flows out of the bridge, as far as it answers, and forgets it. */
static void
leave_bridge(struct matd_flows *f)
{
    const struct matd_flow *e;

    f->install = f->normal = false;
    if (f->is_known) {
        VLOG_INFO("flows: removing ours from bridge %s", f->bridge);
        set_quiet(f);
        HMAP_FOR_EACH (e, node, &f->present) {
            if (is_ours(e)) {
                send_flow_mod(f, e, OFPFC_DELETE_STRICT);
            }
        }
        rconn_send(f->rc, ofputil_encode_barrier_request(
                       rconn_get_version(f->rc)), NULL);
        rconn_destroy(f->old_rc);
        f->old_rc = f->rc;
        f->old_until_ms = time_msec() + LEAVE_MS;
        f->rc = rconn_create(5, 1, 0, 0);
    } else {
        rconn_disconnect(f->rc);
    }
    free(f->bridge);
    f->bridge = NULL;
    f->retry_ms = 0;
    f->is_known = f->was_good = f->any_version = false;
    f->problem[0] = '\0';
    matd_flow_clear(&f->present);
    ofpbuf_clear(&f->quiet);
}

/* Waits for the reply to the barrier: a connection that is closed earlier is
 * as good as never made. */
static void
run_old(struct matd_flows *f)
{
    bool is_done = false;
    struct ofpbuf *msg;

    rconn_run(f->old_rc);
    while (!is_done && (msg = rconn_recv(f->old_rc))) {
        enum ofptype type;

        is_done = (!ofptype_decode(&type, msg->data)
                   && type == OFPTYPE_BARRIER_REPLY);
        ofpbuf_delete(msg);
    }
    if (is_done || !rconn_is_connected(f->old_rc)
        || time_msec() >= f->old_until_ms) {
        rconn_destroy(f->old_rc);
        f->old_rc = NULL;
    }
}

/* In 1.0, the extended form of flows, which knows IPv6. */
static enum ofputil_protocol
get_protocol(const struct matd_flows *f)
{
    int version = rconn_get_version(f->rc);

    return (version == OFP10_VERSION ? OFPUTIL_P_OF10_NXM
            : ofputil_protocol_from_ofp_version(version));
}

/* Open vSwitch takes "only own" to mean: own changes in full, too. */
static void
start_monitor(struct matd_flows *f)
{
    struct ofputil_flow_monitor_request request = {
        .id = 1,
        .command = OFPFMC_ADD,
        .flags = (OFPFMF_INITIAL | OFPFMF_ADD | OFPFMF_REMOVED | OFPFMF_MODIFY
                  | OFPFMF_INSTRUCTIONS | OFPFMF_ONLY_OWN),
        .out_port = OFPP_NONE,
        .out_group = OFPG_ANY,
        .table_id = 0xff,
        .match = MATCH_CATCHALL_INITIALIZER,
    };
    struct ofpbuf *msg = ofpbuf_new(0);

    f->seqno = rconn_get_connection_seqno(f->rc);
    f->backoff_ms = BACKOFF_MIN_MS;
    f->is_known = false;
    f->problem[0] = '\0';
    matd_flow_clear(&f->present);
    ofpbuf_clear(&f->quiet);
    set_quiet(f);
    ofputil_append_flow_monitor_request(&request, msg, get_protocol(f));
    f->monitor_xid = ((const struct ofp_header *) msg->data)->xid;
    rconn_send(f->rc, msg, NULL);
}

/* What is. */

/* A flow that is ours, or in the place of one of ours, has come. */
static void
handle_added(struct matd_flows *f, const struct ofputil_flow_update *update)
{
    bool ours = update->cookie == htonll(MATD_FLOWS_COOKIE);

    if (ours || update->priority == MATD_FLOWS_PRIORITY) {
        matd_flow_put(&f->present, &update->match, update->priority,
                      update->cookie, update->ofpacts, update->ofpacts_len);
    }
}

static void
handle_removed(struct matd_flows *f, const struct ofputil_flow_update *update)
{
    struct matd_flow *e = matd_flow_find(&f->present, &update->match,
                                         update->priority);
    struct matd_flow *wanted = matd_flow_find(&f->wanted, &update->match,
                                              update->priority);

    if (e && wanted && is_ours(e) && f->is_known) {
        if (time_msec() - wanted->window_ms > 1000) {
            wanted->window_ms = time_msec();
            wanted->n_repairs = 0;
        }
        wanted->n_repairs++;
        wanted->sent_ms = 0;
        f->n_repaired++;
        VLOG_WARN("flows: bridge %s: somebody has deleted one of our flows",
                  f->bridge);
    }
    if (e) {
        matd_flow_remove(&f->present, e);
    }
}

/* Some versions of OpenFlow say that packets are of Ethernet, others not. */
static void
normalize(struct match *match)
{
    if (match->flow.packet_type == htonl(PT_ETH)) {
        match->wc.masks.packet_type = 0;
    }
}

static void
handle_updates(struct matd_flows *f, const struct ofpbuf *original)
{
    const struct ofp_header *oh = original->data;
    struct ofpbuf *msg = ofpbuf_clone(original);
    struct ofpbuf ofpacts;
    int error;

    ofpbuf_init(&ofpacts, 0);
    msg->header = msg->msg = NULL;
    for (;;) {
        struct ofputil_flow_update update;

        error = ofputil_decode_flow_update(&update, msg, &ofpacts);
        if (error) {
            break;
        }
        normalize(&update.match);
        if (update.event == OFPFME_REMOVED) {
            handle_removed(f, &update);
        } else if (update.event != OFPFME_ABBREV && !update.table_id) {
            handle_added(f, &update);
        }
    }
    ofpbuf_uninit(&ofpacts);
    ofpbuf_delete(msg);
    if (error != EOF) {
        VLOG_WARN("flows: bridge %s says something that is not understood: %s",
                  f->bridge, ofperr_to_string(error));
    }
    if (oh->xid == f->monitor_xid && !ofpmp_more(oh)) {
        f->is_known = true;
    }
    f->is_dirty = true;
}

static void
handle_error(struct matd_flows *f, const struct ofpbuf *msg)
{
    enum ofperr error = ofperr_decode_msg(msg->data, NULL);

    if (error == OFPERR_OFPPMFC_BAD_PORT
        || error == OFPERR_OFPPMFC_BAD_HW_ADDR) {
        return;                         /* The port has just gone. */
    }
    snprintf(f->problem, sizeof f->problem, "bridge %s refuses a flow: %s%s",
             f->bridge, ofperr_to_string(error),
             error == OFPERR_OFPBAC_BAD_TYPE
             || error == OFPERR_OFPBAC_BAD_VENDOR_TYPE
             ? " (is it a patched ovs-vswitchd, and datapath_type=netdev?)"
             : "");
    VLOG_WARN("flows: %s", f->problem);
}

static void
handle_message(struct matd_flows *f, const struct ofpbuf *msg)
{
    enum ofptype type;

    if (ofptype_decode(&type, msg->data)) {
        return;
    }
    if (type == OFPTYPE_FLOW_MONITOR_STATS_REPLY) {
        handle_updates(f, msg);
    } else if (type == OFPTYPE_ECHO_REQUEST) {
        rconn_send(f->rc, ofputil_encode_echo_reply(msg->data), NULL);
    } else if (type == OFPTYPE_ERROR) {
        handle_error(f, msg);
    }
}

/* Making one the other. */

static void
send_flow_mod(struct matd_flows *f, const struct matd_flow *e,
              enum ofp_flow_mod_command command)
{
    struct ofputil_flow_mod fm = {
        .priority = e->priority,
        .table_id = 0,
        .command = command,
        .new_cookie = command == OFPFC_ADD ? e->cookie : OVS_BE64_MAX,
        .cookie = command == OFPFC_ADD ? 0 : e->cookie,
        .cookie_mask = command == OFPFC_ADD ? 0 : OVS_BE64_MAX,
        .buffer_id = UINT32_MAX,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .ofpacts = e->ofpacts.data,
        .ofpacts_len = command == OFPFC_ADD ? e->ofpacts.size : 0,
    };

    minimatch_init(&fm.match, &e->match);
    rconn_send(f->rc, ofputil_encode_flow_mod(&fm, get_protocol(f)), NULL);
    minimatch_destroy(&fm.match);
}

/* Floods. */

static const struct vm *
find_vm(const struct ofpbuf *vms, ofp_port_t port)
{
    const struct vm *vm = vms->data;

    for (size_t i = 0; i < vms->size / sizeof *vm; i++) {
        if (vm[i].port == port) {
            return &vm[i];
        }
    }
    return NULL;
}

static void
send_port_mod(struct matd_flows *f, const struct vm *vm, bool quiet)
{
    struct ofputil_port_mod pm = {
        .port_no = vm->port,
        .config = quiet ? OFPUTIL_PC_NO_FLOOD : 0,
        .mask = OFPUTIL_PC_NO_FLOOD,
    };

    memcpy(pm.hw_addr.ea, vm->device.ea, sizeof pm.hw_addr.ea);
    rconn_send(f->rc, ofputil_encode_port_mod(&pm, get_protocol(f)), NULL);
}

/* In a bridge that floods, our ports get nothing of that. */
static void
set_quiet(struct matd_flows *f)
{
    bool wanted = f->install && f->normal;
    const struct vm *vms = f->vms.data, *quiet = f->quiet.data;

    for (size_t i = 0; i < f->quiet.size / sizeof *quiet; i++) {
        if (!wanted || !find_vm(&f->vms, quiet[i].port)) {
            send_port_mod(f, &quiet[i], false);
        }
    }
    for (size_t i = 0; wanted && i < f->vms.size / sizeof *vms; i++) {
        if (!find_vm(&f->quiet, vms[i].port)) {
            send_port_mod(f, &vms[i], true);
        }
    }
    ofpbuf_clear(&f->quiet);
    if (wanted) {
        ofpbuf_put(&f->quiet, vms, f->vms.size);
    }
}

static void
retry_at(struct matd_flows *f, int64_t when_ms)
{
    f->again_ms = MIN(f->again_ms, when_ms);
}

/* Returns true if 'wanted' is there as it should be. */
static bool
reconcile_wanted(struct matd_flows *f, struct matd_flow *wanted)
{
    const struct matd_flow *e = matd_flow_find(&f->present, &wanted->match,
                                               wanted->priority);
    int64_t now = time_msec();

    if (e && !is_ours(e)) {
        snprintf(f->problem, sizeof f->problem, "bridge %s: somebody else's "
                 "flow with priority %d is in the place of ours for in_port "
                 "%"PRIu32": remove it", f->bridge, wanted->priority,
                 wanted->match.flow.in_port.ofp_port);
        return false;
    }
    if (e && matd_flow_same_actions(e, wanted)) {
        wanted->sent_ms = 0;
        return true;
    }
    if (wanted->n_repairs > REPAIRS_PER_S
        && now < wanted->window_ms + 1000) {
        snprintf(f->problem, sizeof f->problem, "bridge %s: somebody keeps "
                 "deleting our flows (cookie %#x)", f->bridge,
                 MATD_FLOWS_COOKIE);
        retry_at(f, wanted->window_ms + 1000);
    } else if (!wanted->sent_ms || now >= wanted->sent_ms + RESEND_MS) {
        send_flow_mod(f, wanted, OFPFC_ADD);
        wanted->sent_ms = now;
        retry_at(f, now + RESEND_MS);
    } else {
        retry_at(f, wanted->sent_ms + RESEND_MS);
    }
    return false;
}

static void
reconcile(struct matd_flows *f)
{
    struct matd_flow *e;
    bool good = true;

    f->is_dirty = false;
    f->again_ms = INT64_MAX;
    HMAP_FOR_EACH (e, node, &f->wanted) {
        good &= reconcile_wanted(f, e);
    }
    HMAP_FOR_EACH (e, node, &f->present) {
        if (is_ours(e)
            && !matd_flow_find(&f->wanted, &e->match, e->priority)) {
            good = false;
            if (!e->sent_ms) {
                send_flow_mod(f, e, OFPFC_DELETE_STRICT);
                e->sent_ms = time_msec();
                f->n_removed++;
            }
        }
    }
    if (good) {
        f->problem[0] = '\0';
    }
    if (good && !f->was_good) {
        VLOG_INFO("flows: bridge %s has our %"PRIuSIZE" flows", f->bridge,
                  hmap_count(&f->wanted));
    }
    f->was_good = good;
}

void
matd_flows_get_status(const struct matd_flows *f,
                      struct matd_flows_status *status)
{
    const struct matd_flow *e;

    *status = (struct matd_flows_status) {
        .bridge = f->bridge,
        .is_connected = f->is_known,
        .is_good = f->is_known && f->was_good,
        .n_wanted = hmap_count(&f->wanted),
        .n_repaired = f->n_repaired,
        .n_removed = f->n_removed,
        .problem = f->problem[0] ? f->problem : NULL,
    };
    HMAP_FOR_EACH (e, node, &f->present) {
        status->n_installed += is_ours(e);
    }
}
