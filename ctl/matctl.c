/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "matctl.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fatal-signal.h"
#include "matctl-key.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

enum { TIMEOUT_S = 30 };

struct command {
    const char *name, *args, *help;
    matctl_command *run;
    int min_args, max_args;
};

static const struct command commands[] = {
    { "status", "", "what matd does, and what is wrong", matctl_status, 0, 0 },
    { "vms", "[--all]", "the VMs of this host; or all that are known",
      matctl_vms, 0, 0 },
    { "peers", "", "the other hosts of the cluster", matctl_peers, 0, 0 },
    { "lookup", "ADDR", "who has this home or mobile address", matctl_lookup,
      1, 1 },
    { "mappings", "", "what the switch is told of addresses", matctl_mappings,
      0, 0 },
    { "migrations", "[--follow]", "the last moves, and how long each part of "
      "them took", matctl_migrations, 0, 0 },
    { "pools", "[--moas]", "mobile addresses: stock and use", matctl_pools, 0,
      0 },
    { "config", "", "the configuration in force", matctl_config, 0, 0 },
    { "check", "", "find what is wrong with this host's set-up", matctl_check,
      0, 0 },
    { "path", "HOST", "measure the way to another host", matctl_path, 1, 1 },
    { "trace", "HOA1 HOA2", "what becomes of a packet, and why", matctl_trace,
      2, 2 },
    { "freeze", "HOA", "make no claims for a home address", matctl_change, 1,
      1 },
    { "unfreeze", "HOA", "let it be claimed again", matctl_change, 1, 1 },
    { "hint", "KIND [zone=N] hoa=A|mac=M|iface-id=I|port=P", "say what is to "
      "happen with a VM: prepare, hold, stopped,\n"
      "      started, failed, done, park, release", matctl_hint, 2, 6 },
    { "migrate", "VM HOST qmp=SOCKET [WORD]...", "move a VM of QEMU to "
      "another host while it runs; WORDs: matctl(8)", matctl_migrate, 3, 40 },
    { "key", "COMMAND ...", "make keys and certificates", NULL, 0, 0 },
    { "revoke", "FILE", "end a host's certificates: FILE is of \"key revoke\"",
      matctl_revoke, 1, 1 },
    { "metrics", "", "all numbers, as Prometheus reads them", matctl_metrics,
      0, 0 },
    { "bugreport", "[--output=FILE]", "collect what is needed to find a bug",
      matctl_bugreport, 0, 0 },
    { "deactivate", "", "remove the flows and touch no packet", matctl_change,
      0, 0 },
    { "activate", "", "put them back", matctl_change, 0, 0 },
};

enum matctl_status
matctl_error(const char *format, ...)
{
    va_list args;

    fputs("matctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
    return MATCTL_FAILED;
}

static void
usage(FILE *stream)
{
    fputs("usage: matctl [OPTION]... COMMAND [ARGUMENT]...\n\n", stream);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *c = &commands[i];

        fprintf(stream, "  %s%s%s\n      %s\n", c->name, *c->args ? " " : "",
                c->args, c->help);
    }
    fputs("\n"
          "  -j, --json           print JSON (docs/matctl-json.md)\n"
          "  -z, --zone=N         the zone of an address (default: 0)\n"
          "  -a, --all            vms: also those of other hosts\n"
          "  -f, --follow         migrations: go on as they happen\n"
          "  -m, --moas           pools: every address in use\n"
          "  -o, --output=FILE    bugreport: where to write it\n"
          "  -i, --input=FILE     show the JSON in FILE instead of asking\n"
          "  -t, --target=NAME    matd's name or socket (default: matd)\n"
          "  -s, --switch=NAME    that of ovs-vswitchd\n"
          "  -d, --db=SOCKET      that of ovsdb-server\n"
          "  -k, --keys=DIR       folder of keys (default: /etc/ovs-mat)\n"
          "  -T, --timeout=SECS   give up then (default: 30; 0: never)\n"
          "  -h, --help           print this\n"
          "  -V, --version        print the version\n\n"
          "exit status: 0 done, 1 failed or not found, 2 wrong usage,\n"
          "             3 matd does not run\n", stream);
}

static void
set_zone(struct matctl *ctl, const char *text)
{
    unsigned int zone;

    if (!str_to_uint(text, 0, &zone) || zone > 0xffffff) {
        matctl_error("--zone=%s: a zone is a number from 0 to 16777215",
                     text);
        exit(MATCTL_USAGE);
    }
    ctl->zone = xasprintf("zone=%u", zone);
}

static void
set_timeout(struct matctl *ctl, const char *text)
{
    if (!str_to_uint(text, 10, &ctl->timeout_s)) {
        matctl_error("--timeout=%s: not a number of seconds", text);
        exit(MATCTL_USAGE);
    }
}

static void
set_option(struct matctl *ctl, int c)
{
    switch (c) {
    case 'j':
        ctl->json = true;
        break;
    case 'a':
        ctl->all = true;
        break;
    case 'f':
        ctl->follow = true;
        break;
    case 'm':
        ctl->moas = true;
        break;
    case 'z':
        set_zone(ctl, optarg);
        break;
    case 'o':
        ctl->output = optarg;
        break;
    case 'i':
        ctl->input = optarg;
        break;
    case 't':
        ctl->target = optarg;
        break;
    case 's':
        ctl->switch_target = optarg;
        break;
    case 'd':
        ctl->database = optarg;
        break;
    case 'k':
        ctl->keys = optarg;
        break;
    case 'T':
        set_timeout(ctl, optarg);
        break;
    case 'h':
        usage(stdout);
        exit(MATCTL_OK);
    case 'V':
        puts("matctl (ovs-mat) " MAT_VERSION);
        exit(MATCTL_OK);
    default:
        fputs("Try \"matctl --help\".\n", stderr);
        exit(MATCTL_USAGE);
    }
}

/* With "+" in front of 'shorts', up to the first word that is no option. */
static void
parse_options(struct matctl *ctl, const char *shorts, int argc, char *argv[])
{
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "zone", required_argument, NULL, 'z' },
        { "all", no_argument, NULL, 'a' },
        { "follow", no_argument, NULL, 'f' },
        { "moas", no_argument, NULL, 'm' },
        { "output", required_argument, NULL, 'o' },
        { "input", required_argument, NULL, 'i' },
        { "target", required_argument, NULL, 't' },
        { "switch", required_argument, NULL, 's' },
        { "db", required_argument, NULL, 'd' },
        { "keys", required_argument, NULL, 'k' },
        { "timeout", required_argument, NULL, 'T' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    optind = 0;
    while ((c = getopt_long(argc, argv, shorts, options, NULL)) != -1) {
        set_option(ctl, c);
    }
}

/* Set by start_timeout(). */
static unsigned int timeout_s;
static long long int deadline_ms;

/* A fatal signal: the one that time_alarm() raises, or the user's. */
static void
say_timeout(void *aux OVS_UNUSED)
{
    if (time_msec() >= deadline_ms) {
        matctl_error("no answer within %u s: is the daemon stopped or very "
                     "busy?  --timeout=SECS waits longer", timeout_s);
        fflush(stdout);
        _exit(MATCTL_FAILED);
    }
}

static void
start_timeout(unsigned int seconds)
{
    timeout_s = seconds;
    deadline_ms = time_msec() + timeout_s * 1000LL;
    fatal_signal_add_hook(say_timeout, NULL, NULL, false);
    time_alarm(timeout_s);
}

static const struct command *
find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

static enum matctl_status
wrong_usage(const struct command *c)
{
    matctl_error("usage: matctl %s%s%s", c->name, *c->args ? " " : "",
                 c->args);
    return MATCTL_USAGE;
}

static enum matctl_status
run(struct matctl *ctl, int argc, char *argv[])
{
    const struct command *c = find_command(argv[0]);

    if (!c) {
        matctl_error("\"%s\" is no command of matctl; \"matctl --help\" lists "
                     "them", argv[0]);
        return MATCTL_USAGE;
    }
    if (!c->run) {
        return matctl_key(argc - 1, argv + 1, stdout, stderr);
    }
    parse_options(ctl, "jz:afmo:i:t:s:d:k:T:hV", argc, argv);
    argc -= optind;
    argv += optind;
    if (argc < c->min_args || argc > c->max_args) {
        return wrong_usage(c);
    }
    if (ctl->timeout_s && !ctl->follow && c->run != matctl_migrate) {
        start_timeout(ctl->timeout_s);
    }
    /* The name is before the words again: 'optind' is at least 1. */
    argv[-1] = CONST_CAST(char *, c->name);
    return c->run(ctl, argc + 1, argv - 1);
}

int
main(int argc, char *argv[])
{
    struct matctl ctl = {
        .target = "matd",
        .switch_target = "ovs-vswitchd",
        .timeout_s = TIMEOUT_S,
    };
    enum matctl_status status;

    set_program_name(argv[0]);
    signal(SIGPIPE, SIG_IGN);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    parse_options(&ctl, "+jz:afmo:i:t:s:d:k:T:hV", argc, argv);
    if (optind >= argc) {
        usage(stderr);
        return MATCTL_USAGE;
    }
    status = run(&ctl, argc - optind, argv + optind);
    if (fflush(stdout) || ferror(stdout)) {
        status = status ? status : MATCTL_FAILED;
    }
    return status;
}
