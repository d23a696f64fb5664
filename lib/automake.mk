# SPDX-License-Identifier: Apache-2.0
#
# lib/libmat.a: pure code, no Open vSwitch, no I/O.

noinst_LIBRARIES += lib/libmat.a
lib_libmat_a_CFLAGS = $(AM_CFLAGS) $(STRICT_CFLAGS)
lib_libmat_a_SOURCES = \
	lib/mat-addr.c \
	lib/mat-addr.h \
	lib/mat-event.c \
	lib/mat-event.h \
	lib/mat-verdict.c \
	lib/mat-verdict.h
