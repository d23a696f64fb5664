# SPDX-License-Identifier: Apache-2.0
#
# User programs.  A program of Open vSwitch's libraries is added inside
# "if BUILD_OVS" with _CPPFLAGS = $(OVS_CPPFLAGS), _CFLAGS = $(OVS_CFLAGS),
# _LDADD = lib/libmat.a $(OVS_LIBS), and its objects depend on $(OVS_STAMP).
