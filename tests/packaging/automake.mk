# SPDX-License-Identifier: Apache-2.0
#
# The Debian packages: built (with Open vSwitch, the first time), looked at by
# lintian, installed and purged in a copy of this machine's root.

.PHONY: check-packaging
check-packaging:
	@$(top_srcdir)/tests/packaging/run packaging

EXTRA_DIST += tests/packaging/run debian
clean-local: clean-packaging
.PHONY: clean-packaging
clean-packaging:
	rm -rf packaging
