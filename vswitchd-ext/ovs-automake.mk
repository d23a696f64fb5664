# SPDX-License-Identifier: Apache-2.0
#
# Becomes mat/automake.mk inside the Open vSwitch tree, beside the sources of
# lib/ and vswitchd-ext/.  A new source file of either is one line here.

AM_CPPFLAGS += -I $(top_srcdir)/mat

lib_libopenvswitch_la_SOURCES += \
	mat/mat-word.c \
	mat/mat-word.h \
	mat/matx-compat.h \
	mat/matx-odp.c \
	mat/matx.h

EXTRA_DIST += \
	mat/matx-ofp.inc \
	mat/matx-scope.inc \
	mat/matx-xlate.inc
