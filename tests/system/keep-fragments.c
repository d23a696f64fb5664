/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded into ovs-vswitchd by the rig: IPv4 fragments as they came.
 *
 * DPDK 22.11's net_af_packet asks the kernel to put IPv4 fragments together
 * before it hands them over (PACKET_FANOUT_FLAG_DEFRAG) and has no option
 * against it.  No physical or vhost port does such a thing, and the packet
 * would not fit into the port's buffers any more.  So the flag is taken out
 * of the one system call that carries it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

typedef int setsockopt_function(int, int, int, const void *, socklen_t);

int
setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    setsockopt_function *next;
    unsigned int fanout;

    next = (setsockopt_function *) dlsym(RTLD_NEXT, "setsockopt");
    if (level == SOL_PACKET && option == PACKET_FANOUT
        && size == sizeof fanout) {
        memcpy(&fanout, value, sizeof fanout);
        fanout &= ~((unsigned int) PACKET_FANOUT_FLAG_DEFRAG << 16);
        return next(fd, level, option, &fanout, sizeof fanout);
    }
    return next(fd, level, option, value, size);
}
