/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATX_TABLE_H
#define MATX_TABLE_H 1

/* The table of this process and the lock of its writers.
 *
 * Data path threads read 'matx_table' inside a read section (matx-thread.h)
 * and never take the lock.  Everybody else takes it.  Nobody may call into the
 * datapath (dpif, netdev, ofproto) with the lock held, because the datapath
 * takes it when ports come and go. */

#include "mat-table.h"
#include "openvswitch/thread.h"

extern struct ovs_mutex matx_mutex;

/* Null in programs that have no matx_init(). */
extern struct mat_table *matx_table;

#endif /* matx-table.h */
