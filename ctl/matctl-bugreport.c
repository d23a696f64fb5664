/* SPDX-License-Identifier: Apache-2.0 */

/* matctl bugreport: what is needed to find a bug, in one archive.
 *
 * Everything goes into a folder of its own below $TMPDIR, which tar(1) packs.
 * Keys are never read; of the database's external_ids only those of ours are
 * taken.  What cannot be had is noted in the archive and does not stop the
 * rest. */

#include <config.h>
#include "matctl.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dirs.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/shash.h"
#include "util.h"

enum { LOG_TAIL_BYTES = 8 << 20 };

#define SERVICE_LOGDIR "/var/log/ovs-mat"

struct report {
    const struct matctl *ctl;
    char *dir;                  /* Of the files. */
    char *parent;               /* Its parent, made by mkdtemp(). */
    const char *name;           /* Last part of 'dir'. */
    unsigned int n_missing;
    bool has_matd;              /* It answers, as far as is known. */
};

static FILE *
create(struct report *report, const char *name)
{
    char *path = xasprintf("%s/%s", report->dir, name);
    FILE *file = fopen(path, "w");

    if (!file) {
        matctl_error("%s: %s", path, ovs_strerror(errno));
    }
    free(path);
    return file;
}

static void
put(struct report *report, const char *name, const char *text)
{
    FILE *file = create(report, name);

    if (file) {
        fputs(text, file);
        fclose(file);
    }
}

/* Notes that there is no 'name', and why. */
static void
missing(struct report *report, const char *name, const char *why)
{
    char *path = xasprintf("%s/missing", report->dir);
    FILE *file = fopen(path, "a");

    if (file) {
        fprintf(file, "%s: %s\n", name, why);
        fclose(file);
    }
    report->n_missing++;
    free(path);
}

/* A reply of a daemon, as it comes. */
static void
put_reply(struct report *report, const char *target, const char *name,
          const char *command, int argc, char *argv[])
{
    char *text, *why;
    int error = matctl_ask_daemon(target, command, argc, argv, &text, &why);

    if (error) {
        missing(report, name, why ? why : ovs_strerror(error));
    } else {
        put(report, name, text ? text : "");
    }
    free(text);
    free(why);
}

/* All pages of a list of matd.  That it does not answer is said once. */
static void
put_pages(struct report *report, const char *name, const char *command)
{
    enum matctl_status status = MATCTL_NO_MATD;
    struct json *reply = NULL;

    if (report->has_matd) {
        status = matctl_ask_pages(report->ctl, &reply, command, NULL);
        report->has_matd = status != MATCTL_NO_MATD;
    }
    if (status == MATCTL_OK) {
        char *text = json_to_string(reply, JSSF_PRETTY | JSSF_SORT);

        put(report, name, text);
        free(text);
        json_destroy(reply);
    } else {
        missing(report, name, report->has_matd ? "refused"
                : "matd does not answer");
    }
}

static void
put_matd(struct report *report)
{
    static const char *const lists[][2] = {
        { "status.json", "mat/status" }, { "config.json", "mat/config" },
        { "vms.json", "mat/vms" }, { "peers.json", "mat/peers" },
        { "mappings.json", "mat/mappings" }, { "pools.json", "mat/pools" },
        { "moas.json", "mat/moas" }, { "migrations.json", "mat/migrations" },
        { "metrics.json", "mat/metrics" },
    };
    static const char *const plain[][2] = {
        { "matd-memory.txt", "memory/show" },
        { "matd-coverage.txt", "coverage/show" },
        { "matd-version.txt", "version" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        put_pages(report, lists[i][0], lists[i][1]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        put_reply(report, report->ctl->target, plain[i][0], plain[i][1], 0,
                  NULL);
    }
}

static void
put_switch(struct report *report)
{
    static const char *const commands[][2] = {
        { "switch-version.txt", "version" },
        { "switch-mat.txt", "mat/show" },
        { "switch-stats.txt", "mat/stats" },
        { "switch-memory.txt", "memory/show" },
        { "switch-coverage.txt", "coverage/show" },
        { "switch-ports.txt", "dpif/show" },
        { "switch-pmd.txt", "dpif-netdev/pmd-stats-show" },
    };
    const char *bridge;
    struct json *status;

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        put_reply(report, report->ctl->switch_target, commands[i][0],
                  commands[i][1], 0, NULL);
    }
    if (report->has_matd
        && matctl_ask(report->ctl, &status, "mat/status", NULL) == MATCTL_OK) {
        bridge = matctl_string(status, "bridge");
        if (*bridge) {
            char *args[1] = { CONST_CAST(char *, bridge) };

            put_reply(report, report->ctl->switch_target, "switch-flows.txt",
                      "bridge/dump-flows", 1, args);
        }
        json_destroy(status);
    }
}

/* Our own keys of external_ids, of Open_vSwitch and every interface. */
static void
put_rows(struct report *report, FILE *file, const char *table)
{
    char *why;
    struct json *rows = matctl_select(report->ctl, table, &why);

    for (size_t i = 0; rows && i < matctl_count(rows, ""); i++) {
        const struct json *row = matctl_item(rows, "", i);
        const struct json *map = matctl_get(row, "external_ids");
        const struct json *pairs = map ? matctl_item(map, "", 1) : NULL;

        fprintf(file, "%s %s\n", table, matctl_string(row, "name"));
        for (size_t j = 0; pairs && j < matctl_count(pairs, ""); j++) {
            const struct json *pair = matctl_item(pairs, "", j);
            char *key = matctl_text(matctl_item(pair, "", 0), "");
            char *value = matctl_text(matctl_item(pair, "", 1), "");

            if (!strncmp(key, "mat", 3) || !strcmp(key, "attached-mac")
                || !strcmp(key, "iface-id")) {
                fprintf(file, "    %s=%s\n", key, value);
            }
            free(key);
            free(value);
        }
    }
    if (!rows) {
        missing(report, table, why ? why : "no rows");
    }
    free(why);
    json_destroy(rows);
}

static void
put_database(struct report *report)
{
    FILE *file = create(report, "external-ids.txt");

    if (file) {
        put_rows(report, file, "Open_vSwitch");
        put_rows(report, file, "Interface");
        fclose(file);
    }
}

/* The end of a log: in the folder of Open vSwitch's or of matd.service's. */
static void
put_log(struct report *report, const char *dir, const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *from = fopen(path, "r"), *to;
    static char buf[65536];
    size_t n;

    if (!from) {
        missing(report, path, ovs_strerror(errno));
    } else {
        if (fseeko(from, -LOG_TAIL_BYTES, SEEK_END)) {
            rewind(from);
        }
        to = create(report, name);
        while (to && (n = fread(buf, 1, sizeof buf, from)) > 0) {
            fwrite(buf, 1, n, to);
        }
        if (to) {
            fclose(to);
        }
        fclose(from);
    }
    free(path);
}

static void
put_logs(struct report *report)
{
    bool is_service = (!getenv("OVS_LOGDIR")
                       && !access(SERVICE_LOGDIR "/matd.log", F_OK));

    put_log(report, is_service ? SERVICE_LOGDIR : ovs_logdir(), "matd.log");
    put_log(report, ovs_logdir(), "ovs-vswitchd.log");
}

/* Runs a program with its output in a file, or where ours goes. */
static int
run_program(struct report *report, const char *name, const char *const argv[])
{
    char *path = name ? xasprintf("%s/%s", report->dir, name) : NULL;
    int status = -1;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (!pid) {
        int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

        if (fd >= 0) {
            dup2(fd, STDOUT_FILENO);
            dup2(fd, STDERR_FILENO);
        }
        execvp(argv[0], (char *const *) argv);
        _exit(127);
    }
    if (pid > 0) {
        waitpid(pid, &status, 0);
    }
    if (name && (status < 0 || WEXITSTATUS(status) == 127)) {
        missing(report, name, "cannot be run");
    }
    free(path);
    return status;
}

static void
put_host(struct report *report)
{
    static const char *const commands[][6] = {
        { "host-uname.txt", "uname", "-a", NULL },
        { "host-addresses.txt", "ip", "address", NULL },
        { "host-routes.txt", "ip", "route", NULL },
        { "host-routes6.txt", "ip", "-6", "route", NULL },
        { "host-neighbours.txt", "ip", "neighbour", NULL },
        { "matd-unit.txt", "systemctl", "status", "--no-pager", "matd" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const char *argv[6] = { NULL };

        memcpy(argv, &commands[i][1], 5 * sizeof *argv);
        run_program(report, commands[i][0], argv);
    }
}

/* The flight recorder's bytes come in pieces, in hexadecimal. */

static size_t
put_hex(const char *hex, FILE *file)
{
    size_t n = 0;

    for (; hex[0] && hex[1]; hex += 2, n++) {
        bool ok;

        putc(hexits_value(hex, 2, &ok), file);
        if (!ok) {
            return 0;
        }
    }
    return n;
}

static void
put_recording(struct report *report)
{
    int64_t offset = 0, size = 1;
    FILE *file;

    if (!report->has_matd) {
        missing(report, "recording.bin", "matd does not answer");
        return;
    }
    file = create(report, "recording.bin");
    while (file && offset < size) {
        char *arg = xasprintf("%"PRId64, offset);
        enum matctl_status status;
        struct json *reply;
        size_t n = 0;

        status = matctl_ask(report->ctl, &reply, "mat/recording", arg, NULL);
        free(arg);
        if (status == MATCTL_OK) {
            size = matctl_integer(reply, "size");
            n = put_hex(matctl_string(reply, "data"), file);
            json_destroy(reply);
        }
        if (!n) {
            if (offset < size) {
                missing(report, "recording.bin", "incomplete");
            }
            break;
        }
        offset += n;
    }
    if (file) {
        fclose(file);
    }
}

/* The archive. */

static int
remove_one(const char *path, const struct stat *s OVS_UNUSED,
           int flag OVS_UNUSED, struct FTW *ftw OVS_UNUSED)
{
    return remove(path);
}

static bool
open_report(struct report *report)
{
    const char *tmp = getenv("TMPDIR");
    time_t now = time(NULL);
    char stamp[32];
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    report->parent = xasprintf("%s/matctl-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(report->parent)) {
        matctl_error("%s: %s", report->parent, ovs_strerror(errno));
        return false;
    }
    report->dir = xasprintf("%s/ovs-mat-%s", report->parent, stamp);
    report->name = strrchr(report->dir, '/') + 1;
    if (mkdir(report->dir, 0700)) {
        matctl_error("%s: %s", report->dir, ovs_strerror(errno));
        return false;
    }
    return true;
}

static enum matctl_status
pack(struct report *report)
{
    char *file = (report->ctl->output ? xstrdup(report->ctl->output)
                  : xasprintf("%s.tar.gz", report->name));
    const char *argv[] = {
        "tar", "-czf", file, "-C", report->parent, report->name, NULL
    };
    int status;

    umask(077);
    status = run_program(report, NULL, argv);
    if (status) {
        matctl_error("%s: tar failed", file);
    } else {
        printf("%s\n", file);
        if (report->n_missing) {
            printf("%u parts are missing; the file \"missing\" in it says "
                   "why\n", report->n_missing);
        }
    }
    free(file);
    return status ? MATCTL_FAILED : MATCTL_OK;
}

static void
collect(struct report *report)
{
    put(report, "matctl-version.txt", "matctl (ovs-mat) " MAT_VERSION "\n");
    put_matd(report);
    put_switch(report);
    put_database(report);
    put_logs(report);
    put_host(report);
    put_recording(report);
}

enum matctl_status
matctl_bugreport(struct matctl *ctl, int argc OVS_UNUSED,
                 char *argv[] OVS_UNUSED)
{
    struct report report = { .ctl = ctl, .has_matd = true };
    enum matctl_status status = MATCTL_FAILED;

    if (open_report(&report)) {
        collect(&report);
        status = pack(&report);
    }
    nftw(report.parent, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(report.dir);
    free(report.parent);
    return status;
}
