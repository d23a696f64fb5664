/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes the poll loop for modules that do without Open vSwitch. */
#include <config.h>

#include "matd-wait.h"

#include <limits.h>

#include "matd-gossip.h"
#include "openvswitch/poll-loop.h"
#include "util.h"

void
matd_wait_until_us(int64_t now_us, int64_t deadline_us)
{
    int64_t ms;

    if (deadline_us == INT64_MAX) {
        return;
    } else if (deadline_us <= now_us) {
        poll_immediate_wake();
        return;
    }
    ms = (deadline_us - now_us + 999) / 1000;
    poll_timer_wait(ms < INT_MAX ? ms : INT_MAX);
}

void
matd_gossip_wait(struct matd_gossip *g, int64_t now_us)
{
    int fd = matd_gossip_fd(g);

    if (fd >= 0) {
        poll_fd_wait(fd, matd_gossip_events(g));
    }
    matd_wait_until_us(now_us, matd_gossip_deadline_us(g));
}

void
matd_state_wait(struct matd_state *state)
{
    poll_fd_wait(matd_state_fd(state), POLLIN);
}
