# SPDX-License-Identifier: Apache-2.0
#
# Tests in the patched Open vSwitch, see run-glue and "make help".

EXTRA_DIST += \
	tests/glue/affected \
	tests/glue/known-failures \
	tests/glue/mat-datapath.at \
	tests/glue/mat-macros.at \
	tests/glue/mat-testsuite.at \
	tests/glue/mat-table.at \
	tests/glue/mat-text.at \
	tests/glue/mat-xlate.at \
	tests/glue/run-glue

# The update socket of the patched vswitchd; part of check-glue.
EXTRA_DIST += tests/glue/test-update
.PHONY: check-update
check-update: ovs ctl/matsw
	@$(PYTHON3) -B $(srcdir)/tests/glue/test-update ovs ctl/matsw
check-glue: check-update
