# SPDX-License-Identifier: Apache-2.0

script_tests += \
	tests/tidy/test-tidy.py \
	tests/tidy/tidy.sh
EXTRA_DIST += build-aux/tidy
