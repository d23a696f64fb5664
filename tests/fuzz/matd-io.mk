# SPDX-License-Identifier: Apache-2.0
#
# What the agent reads from disk, from QEMU and from peers beside the gossip.

fuzz_targets += \
	tests/fuzz/fuzz-mat-path \
	tests/fuzz/fuzz-matd-keys \
	tests/fuzz/fuzz-matd-state
tests_fuzz_fuzz_matd_keys_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_fuzz_fuzz_matd_keys_LDADD = $(MATDIO_LIBS) $(LDADD)
tests_fuzz_fuzz_matd_state_CPPFLAGS = $(MATDIO_CPPFLAGS)
tests_fuzz_fuzz_matd_state_LDADD = $(MATDIO_LIBS) $(LDADD)

if BUILD_OVS
fuzz_targets += tests/fuzz/fuzz-matd-qmp
tests_fuzz_fuzz_matd_qmp_CPPFLAGS = $(OVS_CPPFLAGS) -I$(top_srcdir)/ctl
tests_fuzz_fuzz_matd_qmp_CFLAGS = $(AM_CFLAGS) -Wno-sign-compare
tests_fuzz_fuzz_matd_qmp_LDADD = $(MATDOVS_LIBS) $(LDADD)
tests_fuzz_fuzz_matd_qmp_LINK = $(OVS_LINK) $(AM_LDFLAGS)
$(tests_fuzz_fuzz_matd_qmp_OBJECTS): $(OVS_LIB)
$(tests_fuzz_fuzz_matd_qmp_OBJECTS): DEFS = -DHAVE_CONFIG_H
endif
