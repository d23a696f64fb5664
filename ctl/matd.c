/* SPDX-License-Identifier: Apache-2.0 */

/* matd: the agent of a hypervisor; see matd(8). */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "command-line.h"
#include "daemon.h"
#include "dirs.h"
#include "fatal-signal.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "unixctl.h"
#include "util.h"

#include "matd-core.h"
#include "matd-keys.h"
#include "matd-notify.h"
#include "matd-state.h"

VLOG_DEFINE_THIS_MODULE(matd);

static void parse_options(int argc, char *argv[], struct matd_core_options *,
                          const char **unixctl_path);
static void become_daemon(void);

static void
exit_command(struct unixctl_conn *conn, int argc OVS_UNUSED,
             const char *argv[] OVS_UNUSED, void *exiting_)
{
    bool *exiting = exiting_;

    *exiting = true;
    unixctl_command_reply(conn, NULL);
}

/* SIGTERM and its like end it as "exit" does. */
static void
end(void *core)
{
    matd_notify_stopping();
    matd_core_destroy(core);
}

int
main(int argc, char *argv[])
{
    struct matd_core_options options = {
        .keys_dir = MATD_KEYS_DIR, .state_dir = MATD_STATE_DIR
    };
    const char *unixctl_path = NULL;
    struct unixctl_server *unixctl;
    bool exiting = false, told = false;
    struct matd_core *core;

    set_program_name(argv[0]);
    ovsthread_id_init();
    ovs_cmdl_proctitle_init(argc, argv);
    service_start(&argc, &argv);
    parse_options(argc, argv, &options, &unixctl_path);
    fatal_ignore_sigpipe();
    matd_notify_init();
    become_daemon();

    if (unixctl_server_create(unixctl_path, &unixctl)) {
        exit(EXIT_FAILURE);
    }
    unixctl_command_register("exit", "", 0, 0, exit_command, &exiting);
    core = matd_core_create(&options);
    if (!core) {
        exit(EXIT_FAILURE);
    }
    fatal_signal_add_hook(end, NULL, core, false);
    daemonize_complete();
    VLOG_INFO("matd "MAT_VERSION" begins");

    while (!exiting) {
        matd_core_run(core);
        unixctl_server_run(unixctl);
        if (!told && matd_core_is_ready(core)) {
            told = true;
            matd_notify_ready("serving");
        }
        matd_notify_run();

        matd_core_wait(core);
        unixctl_server_wait(unixctl);
        matd_notify_wait();
        if (exiting) {
            poll_immediate_wake();
        }
        poll_block();
    }
    end(core);
    unixctl_server_destroy(unixctl);
    service_stop();
    return 0;
}

/* Of what --user leaves to a daemon of Open vSwitch, only to look after
 * neighbours is needed here. */
static void
keep_one_capability(void)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2];

    if (!getuid() || syscall(SYS_capget, &header, data)) {
        return;
    }
    data[0].effective &= 1u << CAP_NET_ADMIN;
    data[0].permitted &= 1u << CAP_NET_ADMIN;
    data[0].inheritable = 0;
    memset(&data[1], 0, sizeof data[1]);
    if (syscall(SYS_capset, &header, data)) {
        VLOG_WARN("capabilities cannot be dropped: %s", ovs_strerror(errno));
    }
}

/* A later Open vSwitch also asks about access to hardware ports. */
static void
become_daemon(void)
{
    void (*start)(void) = (void (*)(void)) daemonize_start;

    if (__builtin_types_compatible_p(__typeof__(daemonize_start),
                                     void(bool))) {
        ((void (*)(bool)) start)(true);
    } else {
        ((void (*)(bool, bool)) start)(true, false);
    }
    keep_one_capability();
}

OVS_NO_RETURN static void
usage(void)
{
    printf("%s: the ovs-mat agent of a hypervisor\n"
           "usage: %s [OPTIONS] [DATABASE]\n"
           "where DATABASE is the socket of ovsdb-server (default: "
           "unix:%s/db.sock).\n"
           "  --keys=DIR      identity, certificate, join keys (default: %s)\n"
           "  --state=DIR     what is kept over restarts (default: %s)\n"
           "  --switch=PATH   update socket of the switch (default: "
           "%s/mat.sock)\n",
           program_name, program_name, ovs_rundir(), MATD_KEYS_DIR,
           MATD_STATE_DIR, ovs_rundir());
    daemon_usage();
    vlog_usage();
    printf("\nOther options:\n"
           "  --unixctl=SOCKET        override the control socket's name\n"
           "  -h, --help              display this help message\n"
           "  -V, --version           display version information\n");
    exit(EXIT_SUCCESS);
}

static void
parse_options(int argc, char *argv[], struct matd_core_options *options,
              const char **unixctl_path)
{
    enum {
        OPT_UNIXCTL = UCHAR_MAX + 1,
        OPT_KEYS,
        OPT_STATE,
        OPT_SWITCH,
        VLOG_OPTION_ENUMS,
        DAEMON_OPTION_ENUMS,
    };
    static const struct option long_options[] = {
        {"help",    no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"unixctl", required_argument, NULL, OPT_UNIXCTL},
        {"keys",    required_argument, NULL, OPT_KEYS},
        {"state",   required_argument, NULL, OPT_STATE},
        {"switch",  required_argument, NULL, OPT_SWITCH},
        DAEMON_LONG_OPTIONS,
        VLOG_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    char *short_options = ovs_cmdl_long_options_to_short_options(long_options);
    int c;

    while ((c = getopt_long(argc, argv, short_options, long_options, NULL))
           != -1) {
        switch (c) {
        case 'h':
            usage();
        case 'V':
            printf("matd (ovs-mat) "MAT_VERSION"\n");
            exit(EXIT_SUCCESS);
        case OPT_UNIXCTL:
            *unixctl_path = optarg;
            break;
        case OPT_KEYS:
            options->keys_dir = optarg;
            break;
        case OPT_STATE:
            options->state_dir = optarg;
            break;
        case OPT_SWITCH:
            options->switch_path = optarg;
            break;
        VLOG_OPTION_HANDLERS
        DAEMON_OPTION_HANDLERS
        case '?':
        default:
            exit(EXIT_FAILURE);
        }
    }
    free(short_options);
    if (argc - optind > 1) {
        VLOG_FATAL("at most one argument is taken, the database; use --help "
                   "for usage");
    }
    options->database = (optind < argc ? argv[optind]
                         : xasprintf("unix:%s/db.sock", ovs_rundir()));
}
