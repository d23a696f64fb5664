# SPDX-License-Identifier: Apache-2.0
#
# As root: 50 hosts with an agent each, three of them with a real switch.
# QUICK=1 for 10 hosts and 10 moves, AGENTS='10 25 50', MOVES=50.
EXTRA_PROGRAMS += bench/bench-fifty-switches
CLEANFILES += bench/bench-fifty-switches fifty.json fifty.txt
bench_bench_fifty_switches_SOURCES = bench/bench-fifty-switches.c
bench_bench_fifty_switches_LDADD = lib/libmat.a
EXTRA_DIST += bench/bench-fifty

.PHONY: bench-fifty
bench-fifty: all bench/bench-fifty-switches
	$(PYTHON3) -B $(srcdir)/bench/bench-fifty --output=. --build=. \
		$(if $(AGENTS),--hosts $(AGENTS)) \
		$(if $(MOVES),--moves=$(MOVES)) $(if $(QUICK),--quick)
