# SPDX-License-Identifier: Apache-2.0
#
# User programs.  A program of Open vSwitch's libraries is added inside
# "if BUILD_OVS" with _CPPFLAGS = $(OVS_CPPFLAGS), _CFLAGS = $(OVS_CFLAGS),
# _LDADD = lib/libmat.a $(OVS_LIBS), and its objects depend on $(OVS_STAMP).

# The client's end of the update socket, for programs and tests.
noinst_LIBRARIES += ctl/libclient.a
ctl_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) \
	-DMAT_RUNDIR='"$(localstatedir)/run/openvswitch"'
ctl_libclient_a_SOURCES = \
	ctl/mat-switch-client.c \
	ctl/mat-switch-client.h

bin_PROGRAMS += ctl/matsw
ctl_matsw_CPPFLAGS = $(AM_CPPFLAGS) -DMAT_VERSION='"$(VERSION)"'
ctl_matsw_SOURCES = ctl/matsw.c
ctl_matsw_LDADD = ctl/libclient.a lib/libmat.a
dist_man_MANS += ctl/matsw.8
dist_doc_DATA += docs/update-socket.md
include ctl/crypto.mk
