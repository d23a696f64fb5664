# SPDX-License-Identifier: Apache-2.0
#
# Units of the agent's logic.

unit_tests += \
	tests/unit/test-mat-agent \
	tests/unit/test-mat-agent-behind \
	tests/unit/test-mat-agent-pools \
	tests/unit/test-mat-agent-random \
	tests/unit/test-mat-agent-trouble \
	tests/unit/test-mat-agent-underlay \
	tests/unit/test-mat-agent-view \
	tests/unit/test-mat-life

noinst_LIBRARIES += tests/unit/libfleet.a
tests_unit_libfleet_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/sim
tests_unit_libfleet_a_SOURCES = \
	tests/unit/fleet-guest.c \
	tests/unit/fleet.c \
	tests/unit/fleet.h
FLEET_LIBS = tests/unit/libfleet.a tests/sim/libsim.a ctl/libmatcrypto.a \
	$(LDADD) $(SODIUM_LIBS)
tests_unit_test_mat_agent_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_LDADD = $(FLEET_LIBS)
tests_unit_test_mat_agent_behind_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_behind_LDADD = $(FLEET_LIBS)
tests_unit_test_mat_agent_pools_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_pools_LDADD = $(FLEET_LIBS)
tests_unit_test_mat_agent_trouble_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_trouble_LDADD = $(FLEET_LIBS)
tests_unit_test_mat_agent_underlay_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_underlay_LDADD = $(FLEET_LIBS)
tests_unit_test_mat_agent_random_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_random_LDADD = $(FLEET_LIBS)
tests_unit_test_mat_agent_view_CPPFLAGS = $(tests_unit_libfleet_a_CPPFLAGS)
tests_unit_test_mat_agent_view_LDADD = $(FLEET_LIBS)
