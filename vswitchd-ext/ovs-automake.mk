# SPDX-License-Identifier: Apache-2.0
#
# Becomes mat/automake.mk inside the Open vSwitch tree, beside the sources of
# lib/ and vswitchd-ext/.  A new source file of either is one line here.

AM_CPPFLAGS += -I $(top_srcdir)/mat

lib_libopenvswitch_la_SOURCES += \
	mat/mat-addr.c \
	mat/mat-addr.h \
	mat/mat-apply.c \
	mat/mat-apply.h \
	mat/mat-csum.c \
	mat/mat-csum.h \
	mat/mat-dhcp.c \
	mat/mat-dhcp.h \
	mat/mat-dhcp6.c \
	mat/mat-event.c \
	mat/mat-event.h \
	mat/mat-frame.c \
	mat/mat-frame.h \
	mat/mat-hold.c \
	mat/mat-hold.h \
	mat/mat-map.c \
	mat/mat-map.h \
	mat/mat-multiplier.c \
	mat/mat-multiplier.h \
	mat/mat-nd.c \
	mat/mat-nd.h \
	mat/mat-packet.c \
	mat/mat-packet.h \
	mat/mat-parse.c \
	mat/mat-parse.h \
	mat/mat-reply.c \
	mat/mat-reply.h \
	mat/mat-rewrite.c \
	mat/mat-rewrite.h \
	mat/mat-server.c \
	mat/mat-server.h \
	mat/mat-switch-fast.c \
	mat/mat-switch-internal.h \
	mat/mat-switch-ip.c \
	mat/mat-switch-link.c \
	mat/mat-switch.c \
	mat/mat-switch.h \
	mat/mat-table-config.c \
	mat/mat-table-hops.c \
	mat/mat-table-impl.h \
	mat/mat-table-pools.c \
	mat/mat-table-read.h \
	mat/mat-table.c \
	mat/mat-table.h \
	mat/mat-text.c \
	mat/mat-text.h \
	mat/mat-update.c \
	mat/mat-update.h \
	mat/mat-verdict.c \
	mat/mat-verdict.h \
	mat/mat-word.c \
	mat/mat-word.h \
	mat/matx-action.c \
	mat/matx-compat.h \
	mat/matx-dpif.c \
	mat/matx-dpif.h \
	mat/matx-events.c \
	mat/matx-events.h \
	mat/matx-hold.c \
	mat/matx-hold.h \
	mat/matx-list.c \
	mat/matx-list.h \
	mat/matx-memory.c \
	mat/matx-memory.h \
	mat/matx-odp.c \
	mat/matx-server.c \
	mat/matx-server.h \
	mat/matx-socket.c \
	mat/matx-socket.h \
	mat/matx-table.h \
	mat/matx-thread.c \
	mat/matx-thread.h \
	mat/matx-trace.c \
	mat/matx-trace.h \
	mat/matx-unixctl-trace.c \
	mat/matx-unixctl-trace.h \
	mat/matx-unixctl.c \
	mat/matx-unixctl.h \
	mat/matx.c \
	mat/matx.h

EXTRA_DIST += \
	mat/matx-ofp.inc \
	mat/matx-scope.inc \
	mat/matx-xlate.inc
