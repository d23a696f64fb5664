/* SPDX-License-Identifier: Apache-2.0 */

/* Checks of matd and of what it knows about peers and pools. */

#include <config.h>
#include "matctl-check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mat-addr.h"
#include "openvswitch/json.h"
#include "util.h"

/* Like matctl_ask_pages(), one page, without complaints. */
static struct json *
ask(const struct matctl_check *check, const char *command, int *error)
{
    struct json *reply = NULL;
    char *text, *why;

    *error = matctl_ask_daemon(check->ctl->target, command, 0, NULL, &text,
                               &why);
    if (!*error) {
        reply = json_from_string(text);
    }
    free(text);
    free(why);
    return reply;
}

static void
check_runs(struct matctl_check *check)
{
    const char *version;
    int error;

    check->status = ask(check, "mat/status", &error);
    if (!check->status) {
        matctl_found(check, MATCTL_ERROR, "matd", "systemctl enable --now "
                     "matd; \"journalctl -u matd\" says what hinders it",
                     "it does not answer: %s", ovs_strerror(error));
        return;
    }
    version = matctl_string(check->status, "version");
    if (strcmp(version, MAT_VERSION)) {
        matctl_found(check, MATCTL_WARNING, "matd", "systemctl restart matd: "
                     "no packet is lost by it", "version %s runs, %s is "
                     "installed", version, MAT_VERSION);
    } else {
        matctl_found(check, MATCTL_GOOD, "matd", NULL, "it runs, version %s",
                     version);
    }
    if (!matctl_bool(check->status, "switch.connected")) {
        matctl_found(check, MATCTL_ERROR, "matd-switch", "if the switch "
                     "itself is good: is matd in the group that "
                     "OVS_MAT_SOCKET_GROUP names (ovs-mat(7))?",
                     "matd is not connected to the switch: %s",
                     matctl_string(check->status, "switch.problem"));
    }
    if (check->ovs && !matctl_bool(check->status, "database.connected")) {
        matctl_found(check, MATCTL_ERROR, "matd-database", "with the "
                     "packages: systemctl restart openvswitch-switch, once; "
                     "else give matd's user or group the right to use the "
                     "socket", "the database answers here, but not to matd");
    }
    if (!matctl_bool(check->status, "active")) {
        matctl_found(check, MATCTL_WARNING, "flows", "matctl activate",
                     "matd was deactivated: it installs no flows");
    }
}

/* What matd itself finds wrong: configuration, flows, VMs. */
static void
check_problems(struct matctl_check *check)
{
    size_t n = matctl_count(check->status, "problems");

    for (size_t i = 0; i < n; i++) {
        const struct json *p = matctl_item(check->status, "problems", i);

        matctl_found(check, MATCTL_ERROR, matctl_string(p, "part"), NULL,
                     "%s", matctl_string(p, "text"));
    }
    if (!n) {
        matctl_found(check, MATCTL_GOOD, "problems", NULL,
                     "matd reports none");
    }
}

static void
check_peers(struct matctl_check *check)
{
    int64_t alive = matctl_integer(check->status, "gossip.peers.alive");
    int64_t dead = matctl_integer(check->status, "gossip.peers.dead");

    if (!matctl_bool(check->status, "gossip.running")) {
        return;                 /* The keys were the problem. */
    }
    if (!alive && !*matctl_key_value(check, "mat-seeds")) {
        matctl_found(check, MATCTL_WARNING, "peers", "ovs-vsctl set "
                     "Open_vSwitch . external_ids:mat-seeds=ADDR, the address "
                     "of one or more other hosts", "none is known, and there "
                     "is no seed to ask");
    } else if (!alive) {
        matctl_found(check, MATCTL_ERROR, "peers", "does matd run there, do "
                     "filters let UDP port 19777 pass both ways, have both "
                     "hosts the same cluster.pub and join.key, is no address "
                     "translated between them?",
                     "no other host answers; seeds: %s",
                     matctl_key_value(check, "mat-seeds"));
    } else {
        matctl_found(check, dead ? MATCTL_WARNING : MATCTL_GOOD, "peers",
                     dead ? "\"matctl peers\" lists them" : NULL,
                     "%"PRId64" alive, %"PRId64" dead", alive, dead);
    }
}

/* Pools. */

struct prefix {
    struct mat_addr addr;
    unsigned int plen;
};

static bool
parse(const struct json *pool, struct prefix *p)
{
    return mat_prefix_parse(matctl_string(pool, "prefix"), &p->addr,
                            &p->plen);
}

static bool
overlap(const struct prefix *a, const struct prefix *b)
{
    return mat_addr_in_prefix(&a->addr, &b->addr, MIN(a->plen, b->plen));
}

static unsigned int
check_pool(struct matctl_check *check, const struct json *own)
{
    unsigned int n_bad = 0;
    struct prefix a, b;

    for (size_t i = 0; i < matctl_count(check->pools, "pools"); i++) {
        const struct json *other = matctl_item(check->pools, "pools", i);

        if (!matctl_bool(other, "own") && parse(own, &a) && parse(other, &b)
            && overlap(&a, &b)) {
            matctl_found(check, MATCTL_ERROR, "pools", "give each host "
                         "addresses of its own: mat-pool4, mat-pool6",
                         "%s of this host and %s of host %s overlap",
                         matctl_string(own, "prefix"),
                         matctl_string(other, "prefix"),
                         matctl_string(other, "host"));
            n_bad++;
        }
    }
    return n_bad;
}

static void
check_pools(struct matctl_check *check)
{
    unsigned int n = 0, n_bad = 0;
    int error;

    check->pools = ask(check, "mat/pools", &error);
    for (size_t i = 0; check->pools && i < matctl_count(check->pools, "pools");
         i++) {
        const struct json *pool = matctl_item(check->pools, "pools", i);

        if (matctl_bool(pool, "own")) {
            n++;
            n_bad += check_pool(check, pool);
        }
    }
    if (n && !n_bad) {
        matctl_found(check, MATCTL_GOOD, "pools", NULL,
                     "no other host has addresses of this one's");
    }
}

/* A host with a smaller MTU makes large packets of others too big. */
static void
check_peer_mtus(struct matctl_check *check)
{
    int64_t least = INT64_MAX, most = 0;
    int error;

    check->peers = ask(check, "mat/peers", &error);
    for (size_t i = 0; check->peers && i < matctl_count(check->peers, "peers");
         i++) {
        int64_t mtu = matctl_integer(matctl_item(check->peers, "peers", i),
                                     "mtu");

        if (mtu) {
            least = MIN(least, mtu);
            most = MAX(most, mtu);
        }
    }
    if (most > least) {
        matctl_found(check, MATCTL_WARNING, "peer-mtu", "\"matctl peers\" "
                     "shows which; one MTU for all is best", "hosts have MTUs "
                     "from %"PRId64" to %"PRId64": VMs are told by ICMP, "
                     "which they must heed", least, most);
    }
}

void
matctl_check_agent(struct matctl_check *check)
{
    check_runs(check);
    if (check->status) {
        check_peers(check);
        check_pools(check);
        check_peer_mtus(check);
        check_problems(check);
    }
}
