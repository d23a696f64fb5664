# SPDX-License-Identifier: Apache-2.0
#
# matctl, the agent's command line.

# Its tables, which need no Open vSwitch.
noinst_LIBRARIES += ctl/libmatctl.a
ctl_libmatctl_a_SOURCES = \
	ctl/matctl-table.c \
	ctl/matctl-table.h

if BUILD_OVS
bin_PROGRAMS += ctl/matctl
ctl_matctl_CPPFLAGS = $(OVS_CPPFLAGS) -DMAT_VERSION='"$(VERSION)"'
ctl_matctl_CFLAGS = $(AM_CFLAGS) -Wno-sign-compare
ctl_matctl_SOURCES = \
	ctl/matctl-bugreport.c \
	ctl/matctl-change.c \
	ctl/matctl-check-agent.c \
	ctl/matctl-check-host.c \
	ctl/matctl-check-switch.c \
	ctl/matctl-check.c \
	ctl/matctl-check.h \
	ctl/matctl-json.c \
	ctl/matctl-migrate-disk.c \
	ctl/matctl-migrate-matd.c \
	ctl/matctl-migrate-qemu.c \
	ctl/matctl-migrate.c \
	ctl/matctl-migrate.h \
	ctl/matctl-migrations.c \
	ctl/matctl-ovsdb.c \
	ctl/matctl-pools.c \
	ctl/matctl-qmp.c \
	ctl/matctl-qmp.h \
	ctl/matctl-rpc.c \
	ctl/matctl-show.c \
	ctl/matctl-trace.c \
	ctl/matctl.c \
	ctl/matctl.h
ctl_matctl_LDADD = ctl/libmatctl.a ctl/libclient.a $(MATDIO_LIBS) $(OVS_LIB)
ctl_matctl_LINK = $(OVS_LINK)
$(ctl_matctl_OBJECTS): $(OVS_LIB)
$(ctl_matctl_OBJECTS): DEFS = -DHAVE_CONFIG_H
endif
