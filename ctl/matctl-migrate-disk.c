/* SPDX-License-Identifier: Apache-2.0 */

/* matctl migrate: local disks, by QEMU's NBD server and block jobs.
 *
 *     here                                 there
 *                                          NBD server, an export for each disk
 *     a mirror to each until it is ready
 *     ...memory, until the VM has stopped
 *     the mirrors end, with the rest
 *                                          NBD server ends: the VM's card has
 *                                          the disk for itself
 *     on with the migration
 *
 * A disk is the node that the VM's card has; it has the same name there. */

#include <config.h>
#include "matctl-migrate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

enum { END_MS = 10000 };        /* Of mirrors: there is little left. */

/* Names of jobs, exports and nodes of ours. */
static char *
our_name(const char *node)
{
    return xasprintf("mat-%s", node);
}

static struct json *
object(const char *name, const char *value)
{
    struct json *json = json_object_create();

    json_object_put_string(json, name, value);
    return json;
}

/* Finding. */

static bool
is_asked_for(const struct migration *m, const char *node,
             const struct json *disk)
{
    if (m->all_disks) {
        return !matctl_bool(disk, "removable")
               && !matctl_bool(disk, "inserted.ro");
    }
    for (size_t i = 0; i < m->n_disks; i++) {
        if (!strcmp(m->disks[i], node)
            || !strcmp(m->disks[i], matctl_string(disk, "device"))) {
            return true;
        }
    }
    return false;
}

enum matctl_status
migrate_find_disks(struct migration *m)
{
    struct json *disks;
    size_t n = 0;

    if (!m->n_disks && !m->all_disks) {
        return MATCTL_OK;
    } else if (!m->to_qmp) {
        return matctl_error("disks are copied with the help of the other "
                            "QEMU: give to-qmp=, too; nothing was changed");
    }
    disks = migrate_query(m->qmp, "query-block", NULL);
    for (size_t i = 0; i < matctl_count(disks, ""); i++) {
        const struct json *disk = matctl_item(disks, "", i);
        const char *node = matctl_string(disk, "inserted.node-name");

        if (*node && is_asked_for(m, node, disk)) {
            if (n < MIGRATE_DISKS_MAX) {
                m->nodes[m->n_nodes++] = xstrdup(node);
            }
            n++;
        }
    }
    json_destroy(disks);
    if (!disks) {
        return MATCTL_FAILED;
    } else if (n > MIGRATE_DISKS_MAX) {
        return matctl_error("%s: the VM has more than %d disks; nothing was "
                            "changed", m->vm, MIGRATE_DISKS_MAX);
    } else if (m->n_nodes < MAX(m->n_disks, 1)) {
        return matctl_error("%s: the VM has %"PRIuSIZE" of the disks: name "
                            "their nodes as query-block does; nothing was "
                            "changed", m->vm, m->n_nodes);
    }
    return MATCTL_OK;
}

/* There. */

static struct json *
server(const struct migration *m)
{
    char *port = xasprintf("%u", m->disk_port);
    struct json *json = object("host", m->address);

    json_object_put_string(json, "port", port);
    free(port);
    return json;
}

static enum matctl_status
serve(struct migration *m)
{
    struct json *addr = object("type", "inet");
    struct json *arguments = json_object_create();
    enum matctl_status status;

    json_object_put(addr, "data", server(m));
    json_object_put(arguments, "addr", addr);
    status = migrate_execute(m->to_qmp, "nbd-server-start", arguments);
    m->serves_disks = !status;
    return status;
}

static enum matctl_status
add_export(struct migration *m, const char *node)
{
    struct json *arguments = object("type", "nbd");
    char *name = our_name(node);
    enum matctl_status status;

    json_object_put_string(arguments, "id", name);
    json_object_put_string(arguments, "node-name", node);
    json_object_put_string(arguments, "name", node);
    json_object_put(arguments, "writable", json_boolean_create(true));
    status = migrate_execute(m->to_qmp, "block-export-add", arguments);
    free(name);
    return status;
}

static enum matctl_status
end_serving(struct migration *m)
{
    m->serves_disks = false;
    return migrate_execute(m->to_qmp, "nbd-server-stop", NULL);
}

/* Here. */

static enum matctl_status
add_mirror(struct migration *m, const char *node)
{
    char *name = our_name(node);
    struct json *target = object("driver", "nbd");
    struct json *address = server(m);
    struct json *job = object("job-id", name);
    enum matctl_status status;

    json_object_put_string(address, "type", "inet");
    json_object_put(target, "server", address);
    json_object_put_string(target, "node-name", name);
    json_object_put_string(target, "export", node);
    status = migrate_execute(m->qmp, "blockdev-add", target);
    if (status) {
        json_destroy(job);
        free(name);
        return status;
    }
    json_object_put_string(job, "device", node);
    json_object_put_string(job, "target", name);
    json_object_put_string(job, "sync", "full");
    if (m->bandwidth < MIGRATE_NO_LIMIT) {
        json_object_put(job, "speed", json_integer_create(
                            (long long int) m->bandwidth << 20));
    }
    status = migrate_execute(m->qmp, "blockdev-mirror", job);
    if (status) {
        json_destroy(migrate_query(m->qmp, "blockdev-del",
                                   object("node-name", name)));
    } else {
        m->n_mirrors++;
    }
    free(name);
    return status;
}

static bool
is_ours(const struct migration *m, const char *name)
{
    for (size_t i = 0; i < m->n_mirrors; i++) {
        if (!strncmp(name, "mat-", 4) && !strcmp(name + 4, m->nodes[i])) {
            return true;
        }
    }
    return false;
}

struct jobs {
    size_t n, n_ready;
    int64_t done, total;        /* Bytes. */
};

static enum matctl_status
count_jobs(struct migration *m, struct jobs *jobs)
{
    struct json *list = migrate_query(m->qmp, "query-block-jobs", NULL);

    memset(jobs, 0, sizeof *jobs);
    for (size_t i = 0; i < matctl_count(list, ""); i++) {
        const struct json *job = matctl_item(list, "", i);

        if (is_ours(m, matctl_string(job, "device"))) {
            jobs->n++;
            jobs->n_ready += matctl_bool(job, "ready");
            jobs->done += matctl_integer(job, "offset");
            jobs->total += matctl_integer(job, "len");
        }
    }
    json_destroy(list);
    return list ? MATCTL_OK : MATCTL_FAILED;
}

static enum matctl_status
wait_ready(struct migration *m)
{
    struct jobs jobs = { .n = 0 };

    do {
        enum matctl_status status = count_jobs(m, &jobs);

        if (status) {
            return status;
        } else if (*m->interrupted) {
            return matctl_error("interrupted: %s stays here", m->vm);
        } else if (jobs.n < m->n_mirrors) {
            return matctl_error("%s: a disk could not be copied: is there "
                                "room at %s, and has the disk there the same "
                                "size?", m->vm, m->host);
        }
        migrate_draw_disks(m, jobs.done, jobs.total);
        usleep(MIGRATE_POLL_MS * 1000);
    } while (jobs.n_ready < m->n_mirrors);
    return MATCTL_OK;
}

enum matctl_status
migrate_copy_disks(struct migration *m)
{
    enum matctl_status status = m->n_nodes ? serve(m) : MATCTL_OK;

    for (size_t i = 0; i < m->n_nodes && !status; i++) {
        status = add_export(m, m->nodes[i]);
        status = status ? status : add_mirror(m, m->nodes[i]);
    }
    status = status || !m->n_nodes ? status : wait_ready(m);
    migrate_end_line(m);
    return status;
}

/* Has a job of ours failed?  Other events mean nothing while QEMU waits to be
 * told to go on. */
static bool
has_failed(struct migration *m)
{
    struct json *event;
    bool failed = false;
    char *error;

    while ((event = matctl_qmp_event(m->qmp, 0, &error)) != NULL) {
        failed |= (is_ours(m, matctl_string(event, "data.device"))
                   && *matctl_string(event, "data.error"));
        json_destroy(event);
    }
    free(error);
    return failed;
}

/* 'force': those that there are. */
static enum matctl_status
remove_targets(struct migration *m, bool force)
{
    enum matctl_status status = MATCTL_OK;

    for (size_t i = 0; i < m->n_mirrors && !status; i++) {
        char *name = our_name(m->nodes[i]), *error;

        json_destroy(matctl_qmp_execute(m->qmp, "blockdev-del",
                                        object("node-name", name), &error));
        if (error && !force) {
            status = matctl_error("%s", error);
        }
        free(error);
        free(name);
    }
    m->n_mirrors = status ? m->n_mirrors : 0;
    return status;
}

/* Ends all mirrors; 'force': at once, as what they have made is not used. */
static enum matctl_status
end_mirrors(struct migration *m, bool force)
{
    long long int end = time_msec() + END_MS;
    enum matctl_status status = MATCTL_OK;
    struct jobs jobs = { .n = m->n_mirrors };

    for (size_t i = 0; i < m->n_mirrors; i++) {
        char *name = our_name(m->nodes[i]), *error;
        struct json *arguments = object("device", name);

        json_object_put(arguments, "force", json_boolean_create(force));
        json_destroy(matctl_qmp_execute(m->qmp, "block-job-cancel", arguments,
                                        &error));
        if (error && !force) {
            status = matctl_error("%s: %s", m->nodes[i], error);
        }
        free(error);
        free(name);
    }
    while (!status && jobs.n && time_msec() < end) {
        status = count_jobs(m, &jobs);
        usleep(1000);
    }
    if (!status && (jobs.n || (!force && has_failed(m)))) {
        status = matctl_error("%s: a mirror of a disk %s", m->vm,
                              jobs.n ? "does not end" : "has failed");
    }
    return status ? status : remove_targets(m, force);
}

enum matctl_status
migrate_finish_disks(struct migration *m)
{
    enum matctl_status status;

    if (!m->n_nodes) {
        return MATCTL_OK;
    }
    status = end_mirrors(m, false);
    return status ? status : end_serving(m);
}

void
migrate_cancel_disks(struct migration *m)
{
    if (m->n_mirrors) {
        end_mirrors(m, true);
    }
    if (m->serves_disks) {
        end_serving(m);
    }
}
