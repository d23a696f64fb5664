# SPDX-License-Identifier: Apache-2.0
#
# The agent's gossip I/O, keys and state, which need no Open vSwitch, and
# what does: for matd and matctl, and for their tests.

noinst_LIBRARIES += ctl/libmatdio.a
ctl_libmatdio_a_SOURCES = \
	ctl/matctl-files.c \
	ctl/matctl-files.h \
	ctl/matctl-key.c \
	ctl/matctl-key.h \
	ctl/matd-armour.c \
	ctl/matd-gossip.c \
	ctl/matd-gossip.h \
	ctl/matd-keys.c \
	ctl/matd-keys.h \
	ctl/matd-path.c \
	ctl/matd-path.h \
	ctl/matd-recording.c \
	ctl/matd-recording.h \
	ctl/matd-state-file.c \
	ctl/matd-state-file.h \
	ctl/matd-state.c \
	ctl/matd-state.h \
	ctl/matd-udp.c \
	ctl/matd-udp.h
MATDIO_LIBS = ctl/libmatdio.a ctl/libmatcrypto.a lib/libmat.a \
	$(SODIUM_LIBS) -lpthread

if BUILD_OVS
noinst_LIBRARIES += ctl/libmatdovs.a
ctl_libmatdovs_a_CPPFLAGS = $(OVS_CPPFLAGS)
ctl_libmatdovs_a_CFLAGS = $(AM_CFLAGS) -Wno-sign-compare
ctl_libmatdovs_a_SOURCES = \
	ctl/matd-qmp-vm.c \
	ctl/matd-qmp-vm.h \
	ctl/matd-qmp.c \
	ctl/matd-qmp.h \
	ctl/matd-wait.c \
	ctl/matd-wait.h
$(ctl_libmatdovs_a_OBJECTS): $(OVS_LIB)
$(ctl_libmatdovs_a_OBJECTS): DEFS = -DHAVE_CONFIG_H
MATDOVS_LIBS = ctl/libmatdovs.a $(MATDIO_LIBS) $(OVS_LIB)
endif
dist_doc_DATA += docs/keys.md
