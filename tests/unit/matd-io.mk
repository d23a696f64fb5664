# SPDX-License-Identifier: Apache-2.0
#
# Units of the agent's gossip I/O, keys and state: real files and sockets.

unit_tests += \
	tests/unit/test-matd-keys
MATDIO_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
tests_unit_test_matd_keys_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_unit_test_matd_keys_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_unit_test_matd_keys_SOURCES = \
	tests/unit/test-matd-keys.c \
	tests/unit/folder.c \
	tests/unit/folder.h
