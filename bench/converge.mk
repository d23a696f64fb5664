# SPDX-License-Identifier: Apache-2.0
#
# In the simulator: no root, no Open vSwitch.  CASES='lan wan' for some.
EXTRA_PROGRAMS += bench/bench-converge bench/bench-gossip-core
CLEANFILES += bench/bench-converge bench/bench-gossip-core
bench_bench_converge_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/sim
bench_bench_converge_SOURCES = bench/bench-converge.c
bench_bench_converge_LDADD = $(SIM_LIBS)

.PHONY: bench-converge
bench-converge: bench/bench-converge
	bench/bench-converge $(CASES)

# Time and, with valgrind, instructions of datagrams, moves and signatures.
bench_bench_gossip_core_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/sim
bench_bench_gossip_core_SOURCES = bench/bench-gossip-core.c
bench_bench_gossip_core_LDADD = $(SIM_LIBS)
EXTRA_DIST += bench/bench-gossip-core.sh

.PHONY: bench-gossip-core
bench-gossip-core: bench/bench-gossip-core
	$(SHELL) $(srcdir)/bench/bench-gossip-core.sh bench/bench-gossip-core

# Real serf agents beside it, in a network namespace (root, package serf).
EXTRA_DIST += bench/bench-serf
.PHONY: bench-serf
bench-serf:
	$(PYTHON3) -B $(srcdir)/bench/bench-serf
