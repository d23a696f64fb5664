/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_UNIXCTL_TRACE_H
#define MATX_UNIXCTL_TRACE_H 1

/* `ovs-appctl mat/trace SRC DST`: what would become of a packet between two
 * addresses, and why. */

void matx_unixctl_trace_init(void);

#endif /* matx-unixctl-trace.h */
