/* SPDX-License-Identifier: Apache-2.0 */

/* matd: the agent of a hypervisor; see matd(8). */

#include <config.h>

#include <getopt.h>
#include <stdlib.h>

#include "daemon.h"
#include "dirs.h"
#include "fatal-signal.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "unixctl.h"
#include "util.h"

#include "matd-switch.h"

VLOG_DEFINE_THIS_MODULE(matd);

int
main(int argc, char *argv[])
{
    set_program_name(argv[0]);
    VLOG_INFO("%d", argc);
    return 0;
}
