# SPDX-License-Identifier: Apache-2.0
#
# In the simulator: no root, no Open vSwitch.  CASES='lan wan' for some.
EXTRA_PROGRAMS += bench/bench-converge
CLEANFILES += bench/bench-converge
bench_bench_converge_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/sim
bench_bench_converge_SOURCES = bench/bench-converge.c
bench_bench_converge_LDADD = $(SIM_LIBS)

.PHONY: bench-converge
bench-converge: bench/bench-converge
	bench/bench-converge $(CASES)
