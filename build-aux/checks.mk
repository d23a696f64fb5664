# SPDX-License-Identifier: Apache-2.0
#
# Checks beside "make check".

# Those of lib/ configure and build in folders of their own, check-NAME.d.
CHECK_LIB = $(top_srcdir)/build-aux/check-lib $(abs_top_srcdir) $@.d
AT_JOBS = 4
FUZZ_SECONDS = 20

.PHONY: check-clang check-asan check-tsan check-ubsan check-fuzz
check-clang:
	+@$(CHECK_LIB) check-programs CC=clang
check-asan:
	+@$(CHECK_LIB) check-programs --enable-sanitizers=address,undefined
check-ubsan:
	+@$(CHECK_LIB) check-programs --enable-sanitizers=undefined CC=clang
check-tsan:
	+@$(CHECK_LIB) check-programs --enable-sanitizers=thread
check-fuzz:
	+@$(CHECK_LIB) run-fuzz --enable-fuzz CC=clang \
		--enable-sanitizers=address,undefined

# Fuzz targets, FUZZ_SECONDS each, from the corpus (in a build with
# --enable-fuzz).  What crashes one is left here as crash-*.
.PHONY: run-fuzz
run-fuzz: $(fuzz_targets)
	@$(top_srcdir)/build-aux/run-fuzz $(abs_top_srcdir) $(FUZZ_SECONDS) \
		$(fuzz_targets)

# Tests in the patched Open vSwitch: ours, its own that have to do with
# actions, all of its own (against what fails unpatched too).
RUN_GLUE = $(top_srcdir)/tests/glue/run-glue
.PHONY: check-glue check-ovs check-ovs-all
check-glue: ovs
	@$(RUN_GLUE) ovs -j$(AT_JOBS) $(TESTSUITEFLAGS)
check-ovs: ovs
	@$(RUN_GLUE) --suite=affected ovs -j$(AT_JOBS) $(TESTSUITEFLAGS)
check-ovs-all: ovs ovs-base
	@$(RUN_GLUE) --suite=all --base=ovs-base ovs -j$(AT_JOBS) \
		$(TESTSUITEFLAGS)

# The patch series: see check-patches there.
CHECK_PATCHES = $(top_srcdir)/build-aux/check-patches
.PHONY: check-patches check-patches-style check-patches-steps \
	check-patches-newer
check-patches: check-patches-style check-patches-steps check-patches-newer
check-patches-style:
	@$(CHECK_PATCHES) style $(abs_top_srcdir) $(OVS_SOURCE)
check-patches-steps:
	+@$(CHECK_PATCHES) steps $(abs_top_srcdir) $(OVS_SOURCE) \
		$(OVS_OPTIONS) CFLAGS='$(OVS_CFLAGS)'
check-patches-newer:
	+@$(CHECK_PATCHES) newer $(abs_top_srcdir) - CFLAGS='$(OVS_CFLAGS)'

.PHONY: help
help:
	@sed -n 's/^#  *make /make /p' $(top_srcdir)/Makefile.am

EXTRA_DIST += build-aux/check-lib build-aux/check-patches build-aux/count \
	build-aux/deps build-aux/drive build-aux/fetch-deb \
	build-aux/run-fuzz tests/stages
