# SPDX-License-Identifier: Apache-2.0
#
# Tests in the patched Open vSwitch, see run-glue and "make help".

EXTRA_DIST += \
	tests/glue/affected \
	tests/glue/known-failures \
	tests/glue/mat-datapath.at \
	tests/glue/mat-macros.at \
	tests/glue/mat-testsuite.at \
	tests/glue/mat-text.at \
	tests/glue/mat-xlate.at \
	tests/glue/run-glue
