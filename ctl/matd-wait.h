/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATD_WAIT_H
#define MATD_WAIT_H 1

/* Waits of modules that know nothing of Open vSwitch, in the manner of its
 * poll loop: to be called before poll_block(). */

#include <stdint.h>

#include "matd-state.h"

/* Wakes it at 'deadline_us'; INT64_MAX is never. */
void matd_wait_until_us(int64_t now_us, int64_t deadline_us);

void matd_state_wait(struct matd_state *);

#endif /* matd-wait.h */
