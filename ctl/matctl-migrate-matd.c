/* SPDX-License-Identifier: Apache-2.0 */

/* matctl migrate: what matd knows of VM and host, and hints. */

#include <config.h>
#include "matctl-migrate.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "matd-keys.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

/* The VM. */

static bool
has_card(const struct migration *m, const char *mac, const char *zone)
{
    for (size_t i = 0; i < m->n_cards; i++) {
        if (!strcasecmp(m->cards[i].mac, mac)
            && !strcmp(m->cards[i].zone, zone)) {
            return true;
        }
    }
    return false;
}

static void
add_card(struct migration *m, const struct json *vm)
{
    const char *mac = matctl_string(vm, "mac");
    char *zone = xasprintf("zone=%"PRId64, matctl_integer(vm, "zone"));

    if (m->n_cards < MIGRATE_CARDS_MAX && !has_card(m, mac, zone)) {
        m->cards[m->n_cards].mac = xstrdup(mac);
        m->cards[m->n_cards++].zone = zone;
    } else {
        free(zone);
    }
}

static bool
is_named(const struct migration *m, const struct json *vm)
{
    char *zone = xasprintf("zone=%"PRId64, matctl_integer(vm, "zone"));
    bool is_in_zone = !m->ctl->zone || !strcmp(zone, m->ctl->zone);

    free(zone);
    return is_in_zone && (!strcasecmp(m->vm, matctl_string(vm, "mac"))
                          || !strcmp(m->vm, matctl_string(vm, "hoa"))
                          || !strcmp(m->vm, matctl_string(vm, "port")));
}

/* Adds the cards here with 'mac', or, if that is null, the one that was asked
 * for. */
static enum matctl_status
add_cards(struct migration *m, const char *mac)
{
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(m->ctl, &reply, "mat/vms",
                                                 NULL);

    for (size_t i = 0; !status && i < matctl_count(reply, "vms"); i++) {
        const struct json *vm = matctl_item(reply, "vms", i);

        if (matctl_bool(vm, "here")
            && (mac ? !strcasecmp(mac, matctl_string(vm, "mac"))
                : !m->n_cards && is_named(m, vm))) {
            add_card(m, vm);
        }
    }
    json_destroy(reply);
    return status;
}

enum matctl_status
migrate_find_vm(struct migration *m)
{
    enum matctl_status status = add_cards(m, NULL);

    if (!status && !m->n_cards) {
        status = matctl_error("%s: no VM that runs on this host has this "
                              "home address, MAC or port; \"matctl vms\" "
                              "lists them", m->vm);
    }
    return status;
}

enum matctl_status
migrate_add_card(struct migration *m, const char *mac)
{
    return add_cards(m, mac);
}

/* The host. */

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

/* Is 'address' one of those that the name 'host' has? */
static bool
resolves_to(const char *host, const char *address)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    char name[NI_MAXHOST];
    bool found = false;

    if (getaddrinfo(host, NULL, &hints, &list)) {
        return false;
    }
    for (const struct addrinfo *a = list; a && !found; a = a->ai_next) {
        found = (!getnameinfo(a->ai_addr, a->ai_addrlen, name, sizeof name,
                              NULL, 0, NI_NUMERICHOST)
                 && !strcmp(name, address));
    }
    freeaddrinfo(list);
    return found;
}

/* Takes the first peer that 'host' fits: its id or the name in its
 * certificate, its address, or, at last, what the resolver says. */
static void
match_host(struct migration *m, const struct json *reply, bool resolve)
{
    char *id = xasprintf("0x%"PRIx64, matd_keys_host_id(m->host));

    for (size_t i = 0; !m->host_id && i < matctl_count(reply, "peers"); i++) {
        const struct json *peer = matctl_item(reply, "peers", i);
        char *address = address_of(matctl_string(peer, "address"));

        if (resolve ? resolves_to(m->host, address)
            : (!strcmp(id, matctl_string(peer, "host"))
               || !strcmp(m->host, address))) {
            m->host_id = xstrdup(matctl_string(peer, "host"));
            m->address = xstrdup(address);
        }
        free(address);
    }
    free(id);
}

enum matctl_status
migrate_find_host(struct migration *m)
{
    struct json *reply;
    enum matctl_status status = matctl_ask_pages(m->ctl, &reply, "mat/peers",
                                                 NULL);

    if (!status) {
        match_host(m, reply, false);
        match_host(m, reply, true);
    }
    json_destroy(reply);
    if (!status && !m->host_id) {
        status = matctl_error("%s: no host of the cluster has this id, name "
                              "or address; \"matctl peers\" lists them",
                              m->host);
    }
    return status;
}

/* What it has prepared. */

static bool
is_ours(const struct migration *m, const struct json *vm)
{
    char *zone = xasprintf("zone=%"PRId64, matctl_integer(vm, "zone"));
    bool found = has_card(m, matctl_string(vm, "mac"), zone);

    free(zone);
    return found && matctl_bool(vm, "here");
}

/* The number of the VM's home addresses that the host has not prepared for,
 * and the MAC of one; negative if that cannot be asked. */
static int
count_unprepared(struct migration *m, char **mac)
{
    struct json *reply;
    int n = 0;

    free(*mac);
    *mac = NULL;
    if (matctl_ask_pages(m->ctl, &reply, "mat/vms", NULL)) {
        return -1;
    }
    for (size_t i = 0; i < matctl_count(reply, "vms"); i++) {
        const struct json *vm = matctl_item(reply, "vms", i);

        if (is_ours(m, vm)
            && strcmp(matctl_string(vm, "prepared_host"), m->host_id)) {
            free(*mac);
            *mac = xstrdup(matctl_string(vm, "mac"));
            n++;
        }
    }
    json_destroy(reply);
    return n;
}

enum matctl_status
migrate_wait_prepared(struct migration *m)
{
    long long int end = time_msec() + m->wait_s * 1000LL;
    enum matctl_status status = MATCTL_OK;
    char *mac = NULL;
    int n = count_unprepared(m, &mac);

    while (n > 0 && !*m->interrupted && time_msec() < end) {
        usleep(MIGRATE_POLL_MS * 1000);
        n = count_unprepared(m, &mac);
    }
    if (n < 0) {
        status = MATCTL_FAILED;
    } else if (*m->interrupted) {
        status = matctl_error("interrupted: nothing was changed");
    } else if (n && !m->unprepared) {
        status = matctl_error(
            "%s has not prepared for %s within %u s, nothing was changed: "
            "start QEMU there with -incoming and put its port into the bridge "
            "with external_ids:attached-mac=%s; or say \"unprepared\" and "
            "lose what is sent to the VM while it is stopped", m->host, m->vm,
            m->wait_s, mac);
    }
    free(mac);
    return status;
}

/* Hints. */

static enum matctl_status
wait_table(struct migration *m)
{
    long long int end = time_msec() + MIGRATE_TABLE_MS;
    enum matctl_status status = MATCTL_OK;
    bool pending = true;

    while (!status && pending && time_msec() < end) {
        struct json *reply;

        status = matctl_ask(m->ctl, &reply, "mat/status", NULL);
        pending = !status && matctl_integer(reply, "pending") > 0;
        json_destroy(reply);
        if (pending) {
            usleep(200);
        }
    }
    return status;
}

enum matctl_status
migrate_hint(struct migration *m, const char *kind)
{
    enum matctl_status status = MATCTL_OK;

    for (size_t i = 0; i < m->n_cards; i++) {
        enum matctl_status one;
        char *mac = xasprintf("mac=%s", m->cards[i].mac);
        struct json *reply;

        one = matctl_ask(m->ctl, &reply, "mat/hint", kind, mac,
                         m->cards[i].zone, NULL);
        status = status ? status : one;
        free(mac);
        json_destroy(reply);
    }
    return status ? status : wait_table(m);
}
