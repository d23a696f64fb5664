# SPDX-License-Identifier: Apache-2.0
#
# Units of the agent's gossip I/O, keys and state: real files and sockets.

unit_tests += \
	tests/unit/test-mat-path \
	tests/unit/test-matd-gossip \
	tests/unit/test-matd-keys \
	tests/unit/test-matd-path \
	tests/unit/test-matd-state
MATDIO_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
tests_unit_test_matd_keys_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_unit_test_matd_keys_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_unit_test_matd_keys_SOURCES = tests/unit/test-matd-keys.c $(FOLDER)
FOLDER = tests/unit/folder.c tests/unit/folder.h
tests_unit_test_mat_path_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_unit_test_mat_path_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_unit_test_matd_path_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_unit_test_matd_path_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_unit_test_matd_path_SOURCES = tests/unit/test-matd-path.c \
	tests/unit/pair.c tests/unit/pair.h $(FOLDER)

# Finds no IPv6, or a full device, when it wants to.
tests_unit_test_matd_gossip_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_unit_test_matd_gossip_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_unit_test_matd_gossip_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=socket \
	-Wl,--wrap=sendmmsg
tests_unit_test_matd_gossip_SOURCES = tests/unit/test-matd-gossip.c \
	tests/unit/pair.c tests/unit/pair.h $(FOLDER)

# Dies or fails at a chosen system call.
tests_unit_test_matd_state_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_unit_test_matd_state_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_unit_test_matd_state_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=openat \
	-Wl,--wrap=write -Wl,--wrap=fsync -Wl,--wrap=close \
	-Wl,--wrap=renameat
tests_unit_test_matd_state_SOURCES = tests/unit/test-matd-state.c $(FOLDER)

# What needs Open vSwitch's library.
if BUILD_OVS
unit_tests += tests/unit/test-matd-qmp
tests_unit_test_matd_qmp_CPPFLAGS = $(OVS_CPPFLAGS) -I$(top_srcdir)/ctl
tests_unit_test_matd_qmp_CFLAGS = $(AM_CFLAGS) -Wno-sign-compare
tests_unit_test_matd_qmp_LDADD = $(MATDOVS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_matd_qmp_LINK = $(OVS_LINK)
tests_unit_test_matd_qmp_SOURCES = tests/unit/test-matd-qmp.c $(FOLDER)
$(tests_unit_test_matd_qmp_OBJECTS): $(OVS_LIB)
$(tests_unit_test_matd_qmp_OBJECTS): DEFS = -DHAVE_CONFIG_H
endif
