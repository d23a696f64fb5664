# SPDX-License-Identifier: Apache-2.0
#
# A wide-area line for tests with real packets: see relay --help.

noinst_LIBRARIES += tests/relay/libshaper.a
tests_relay_libshaper_a_SOURCES = \
	tests/relay/shaper.c \
	tests/relay/shaper.h

check_PROGRAMS += tests/relay/relay
tests_relay_relay_SOURCES = tests/relay/relay.c
tests_relay_relay_LDADD = tests/relay/libshaper.a

unit_tests += tests/relay/test-relay-shaper
tests_relay_test_relay_shaper_LDADD = tests/relay/libshaper.a $(LDADD)
