# SPDX-License-Identifier: Apache-2.0
#
# Tests of the user programs and of what is installed beside them.

unit_tests += \
	tests/ctl/test-matctl-table \
	tests/ctl/test-matd-histogram
tests_ctl_test_matctl_table_LDADD = ctl/libmatctl.a $(LDADD)
tests_ctl_test_matd_histogram_SOURCES = \
	tests/ctl/test-matd-histogram.c \
	ctl/matd-histogram.c
script_tests += \
	tests/ctl/completion.sh \
	tests/ctl/libvirt-hook.sh \
	tests/ctl/matctl.sh \
	tests/ctl/rpc.py \
	tests/ctl/units.sh
EXTRA_DIST += tests/ctl/golden
