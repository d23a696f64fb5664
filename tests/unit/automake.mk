# SPDX-License-Identifier: Apache-2.0
#
# cmocka programs.  A new test is one line here, its source is the file of the
# same name with .c; one cmocka group a program (the output is read as TAP).

unit_tests += \
	tests/unit/test-mat-agent-config \
	tests/unit/test-mat-csum \
	tests/unit/test-mat-dhcp \
	tests/unit/test-mat-event \
	tests/unit/test-mat-golden \
	tests/unit/test-mat-hold \
	tests/unit/test-mat-learn \
	tests/unit/test-mat-learn-said \
	tests/unit/test-mat-map \
	tests/unit/test-mat-moa \
	tests/unit/test-mat-moa-claims \
	tests/unit/test-mat-moa-model \
	tests/unit/test-mat-moa-pool \
	tests/unit/test-mat-nd \
	tests/unit/test-mat-neighbor \
	tests/unit/test-mat-packet \
	tests/unit/test-mat-reply \
	tests/unit/test-mat-rewrite \
	tests/unit/test-mat-saved \
	tests/unit/test-mat-server \
	tests/unit/test-mat-switch \
	tests/unit/test-mat-switch-behind \
	tests/unit/test-mat-switch-dhcp \
	tests/unit/test-mat-table \
	tests/unit/test-mat-text \
	tests/unit/test-mat-update \
	tests/unit/test-mat-word

# Frames composed for tests, and what they should become.
noinst_LIBRARIES += tests/unit/libframes.a
tests_unit_libframes_a_SOURCES = \
	tests/unit/frames.c \
	tests/unit/frames.h \
	tests/unit/golden.c \
	tests/unit/golden.h \
	tests/unit/table-config.h \
	tests/unit/world.c \
	tests/unit/world.h
tests_unit_test_mat_csum_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_neighbor_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_packet_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_switch_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_switch_behind_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_switch_dhcp_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_rewrite_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_reply_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_nd_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_dhcp_LDADD = tests/unit/libframes.a $(LDADD)
tests_unit_test_mat_golden_LDADD = tests/unit/libframes.a $(LDADD) $(PCAP_LIBS)

# Writes tests/golden/ and the seeds of two fuzz targets: see its source.
EXTRA_PROGRAMS += tests/unit/golden-generate
tests_unit_golden_generate_LDADD = tests/unit/libframes.a $(LDADD) $(PCAP_LIBS)
EXTRA_DIST += tests/golden

# Operations of every type.
noinst_LIBRARIES += tests/unit/libsamples.a
tests_unit_libsamples_a_SOURCES = \
	tests/unit/update-samples.c \
	tests/unit/update-samples.h
tests_unit_test_mat_text_LDADD = tests/unit/libsamples.a $(LDADD)
tests_unit_test_mat_update_LDADD = tests/unit/libsamples.a $(LDADD)
include tests/unit/agent.mk

# A host with a stock of MoAs.
noinst_LIBRARIES += tests/unit/libstock.a
tests_unit_libstock_a_SOURCES = \
	tests/unit/stock.c \
	tests/unit/stock.h
tests_unit_test_mat_moa_claims_LDADD = tests/unit/libstock.a $(LDADD)
tests_unit_test_mat_moa_model_LDADD = tests/unit/libstock.a $(LDADD)
tests_unit_test_mat_moa_LDADD = tests/unit/libstock.a $(LDADD)
include tests/unit/gossip.mk
include tests/unit/matd-io.mk
