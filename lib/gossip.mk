# SPDX-License-Identifier: Apache-2.0
#
# The gossip engine, part of lib/libmat.a; not compiled into Open vSwitch.

lib_libmat_a_SOURCES += \
	lib/mat-accept.c \
	lib/mat-call.c \
	lib/mat-call.h \
	lib/mat-cert.c \
	lib/mat-cert.h \
	lib/mat-channel.c \
	lib/mat-channel.h \
	lib/mat-coord.c \
	lib/mat-coord.h \
	lib/mat-correspond.c \
	lib/mat-counter.h \
	lib/mat-crypto.h \
	lib/mat-damp.c \
	lib/mat-engine.h \
	lib/mat-gossip.c \
	lib/mat-gossip.h \
	lib/mat-heap.c \
	lib/mat-heap.h \
	lib/mat-host.c \
	lib/mat-host.h \
	lib/mat-index.c \
	lib/mat-index.h \
	lib/mat-mem.h \
	lib/mat-member.c \
	lib/mat-path.c \
	lib/mat-path.h \
	lib/mat-peer.c \
	lib/mat-probe.c \
	lib/mat-pull.c \
	lib/mat-push.c \
	lib/mat-record.c \
	lib/mat-record.h \
	lib/mat-recorder.c \
	lib/mat-recorder.h \
	lib/mat-rng.h \
	lib/mat-spread.c \
	lib/mat-store.c \
	lib/mat-store.h \
	lib/mat-sync.c \
	lib/mat-tree.c \
	lib/mat-tree.h \
	lib/mat-vmn.c \
	lib/mat-wire.c \
	lib/mat-wire.h
