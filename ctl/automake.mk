# SPDX-License-Identifier: Apache-2.0
#
# User programs.  A program of Open vSwitch's libraries is added inside
# "if BUILD_OVS" as ctl/matd is; see build-aux/ovs.mk.

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

# The agent.  It takes what configure found out from Open vSwitch's config.h;
# the headers do not pass all of our warnings.
if BUILD_OVS
sbin_PROGRAMS += ctl/matd
dist_man_MANS += ctl/matd.8
ctl_matd_CPPFLAGS = $(OVS_CPPFLAGS) -DMAT_VERSION='"$(VERSION)"'
ctl_matd_CFLAGS = $(AM_CFLAGS) -Wno-sign-compare
ctl_matd_SOURCES = \
	$(MATD_CTL_SOURCES) \
	ctl/matd-config.c \
	ctl/matd-config.h \
	ctl/matd-core-gossip.c \
	ctl/matd-core-impl.h \
	ctl/matd-core-status.c \
	ctl/matd-core-uplinks.c \
	ctl/matd-core.c \
	ctl/matd-core.h \
	ctl/matd-flow-set.c \
	ctl/matd-flow-set.h \
	ctl/matd-flows.c \
	ctl/matd-flows.h \
	ctl/matd-links.c \
	ctl/matd-links.h \
	ctl/matd-neighbours.c \
	ctl/matd-neighbours.h \
	ctl/matd-netlink.c \
	ctl/matd-netlink.h \
	ctl/matd-notify.c \
	ctl/matd-notify.h \
	ctl/matd-routers.c \
	ctl/matd-routers.h \
	ctl/matd-routes.c \
	ctl/matd-routes.h \
	ctl/matd-switch.c \
	ctl/matd-switch.h \
	ctl/matd.c
ctl_matd_LDADD = $(MATDOVS_LIBS)
ctl_matd_LINK = $(OVS_LINK)
$(ctl_matd_OBJECTS): $(OVS_LIB)
$(ctl_matd_OBJECTS): DEFS = -DHAVE_CONFIG_H
endif
include ctl/matd-io.mk
include ctl/matctl.mk
include ctl/matd-ctl.mk
include ctl/dist.mk
