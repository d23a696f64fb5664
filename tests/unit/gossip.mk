# SPDX-License-Identifier: Apache-2.0
#
# Units of the gossip engine.

unit_tests += \
	tests/unit/test-mat-heap \
	tests/unit/test-mat-security \
	tests/unit/test-mat-store \
	tests/unit/test-mat-wire

noinst_LIBRARIES += tests/unit/libclaims.a
tests_unit_libclaims_a_SOURCES = \
	tests/unit/claims.c \
	tests/unit/claims.h
tests_unit_test_mat_security_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
tests_unit_test_mat_security_LDADD = tests/unit/libclaims.a \
	ctl/libmatcrypto.a $(LDADD) $(SODIUM_LIBS)
tests_unit_test_mat_store_LDADD = tests/unit/libclaims.a $(LDADD)
tests_unit_test_mat_wire_LDADD = tests/unit/libclaims.a $(LDADD)
