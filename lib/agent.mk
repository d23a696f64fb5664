# SPDX-License-Identifier: Apache-2.0
#
# The agent's logic, part of lib/libmat.a; not compiled into Open vSwitch.

dist_doc_DATA += docs/agent.md
lib_libmat_a_SOURCES += \
	lib/mat-agent-await.c \
	lib/mat-agent-behind.c \
	lib/mat-agent-claim.c \
	lib/mat-agent-event.c \
	lib/mat-agent-hear.c \
	lib/mat-agent-hold.c \
	lib/mat-agent-home.c \
	lib/mat-agent-impl.h \
	lib/mat-agent-migration.c \
	lib/mat-agent-moa.c \
	lib/mat-agent-output.c \
	lib/mat-agent-port.c \
	lib/mat-agent-refresh.c \
	lib/mat-agent-renumber.c \
	lib/mat-agent-stay.c \
	lib/mat-agent-sync.c \
	lib/mat-agent-view.c \
	lib/mat-agent-way.c \
	lib/mat-agent.c \
	lib/mat-agent.h \
	lib/mat-life.c \
	lib/mat-life.h
