# SPDX-License-Identifier: Apache-2.0
#
# libFuzzer targets tests/fuzz/fuzz-NAME.c: a new one is one line here.
# "make check" links each with replay.c and feeds it tests/fuzz/corpus/NAME/*
# and tests/fuzz/regress/NAME/*.

fuzz_targets += \
	tests/fuzz/fuzz-mat-agent-config \
	tests/fuzz/fuzz-mat-learn \
	tests/fuzz/fuzz-mat-moa \
	tests/fuzz/fuzz-mat-parse \
	tests/fuzz/fuzz-mat-reply \
	tests/fuzz/fuzz-mat-rewrite \
	tests/fuzz/fuzz-mat-saved \
	tests/fuzz/fuzz-mat-switch \
	tests/fuzz/fuzz-mat-update \
	tests/fuzz/fuzz-mat-word

noinst_LIBRARIES += tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c
if !FUZZ
LDADD += tests/fuzz/libreplay.a
endif

EXTRA_DIST += tests/fuzz/corpus tests/fuzz/regress
include tests/fuzz/agent.mk
include tests/fuzz/gossip.mk
include tests/fuzz/matd-io.mk
