# SPDX-License-Identifier: Apache-2.0
#
# lib/libmat.a: pure code, no Open vSwitch, no I/O.

noinst_LIBRARIES += lib/libmat.a
lib_libmat_a_CFLAGS = $(AM_CFLAGS) $(STRICT_CFLAGS)
lib_libmat_a_SOURCES = \
	lib/mat-addr.c \
	lib/mat-addr.h \
	lib/mat-agent-config.c \
	lib/mat-agent-config.h \
	lib/mat-apply.c \
	lib/mat-apply.h \
	lib/mat-csum.c \
	lib/mat-csum.h \
	lib/mat-dhcp.c \
	lib/mat-dhcp.h \
	lib/mat-dhcp6.c \
	lib/mat-event.c \
	lib/mat-event.h \
	lib/mat-frame.c \
	lib/mat-frame.h \
	lib/mat-hold.c \
	lib/mat-hold.h \
	lib/mat-nd.c \
	lib/mat-learn-ask.c \
	lib/mat-learn-impl.h \
	lib/mat-learn-said.c \
	lib/mat-learn-store.c \
	lib/mat-learn.c \
	lib/mat-learn.h \
	lib/mat-map.c \
	lib/mat-map.h \
	lib/mat-moa-check.c \
	lib/mat-moa-hear.c \
	lib/mat-moa-impl.h \
	lib/mat-moa-range.c \
	lib/mat-moa-range.h \
	lib/mat-moa-record.c \
	lib/mat-moa-show.c \
	lib/mat-moa-text.c \
	lib/mat-moa-timer.c \
	lib/mat-moa.c \
	lib/mat-moa.h \
	lib/mat-multiplier.c \
	lib/mat-multiplier.h \
	lib/mat-nd.h \
	lib/mat-neighbor.c \
	lib/mat-neighbor.h \
	lib/mat-packet.c \
	lib/mat-packet.h \
	lib/mat-parse.c \
	lib/mat-parse.h \
	lib/mat-reply.c \
	lib/mat-reply.h \
	lib/mat-rewrite.c \
	lib/mat-rewrite.h \
	lib/mat-saved.c \
	lib/mat-saved.h \
	lib/mat-server.c \
	lib/mat-server.h \
	lib/mat-switch-fast.c \
	lib/mat-switch-internal.h \
	lib/mat-switch-ip.c \
	lib/mat-switch-link.c \
	lib/mat-switch.c \
	lib/mat-switch.h \
	lib/mat-table-config.c \
	lib/mat-table-hops.c \
	lib/mat-table-impl.h \
	lib/mat-table-pools.c \
	lib/mat-table-read.h \
	lib/mat-table.c \
	lib/mat-table.h \
	lib/mat-text.c \
	lib/mat-text.h \
	lib/mat-update.c \
	lib/mat-update.h \
	lib/mat-verdict.c \
	lib/mat-verdict.h \
	lib/mat-word.c \
	lib/mat-word.h
include lib/agent.mk
include lib/gossip.mk
