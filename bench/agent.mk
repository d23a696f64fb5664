# SPDX-License-Identifier: Apache-2.0
#
# Without Open vSwitch and root: the agent's logic alone.

EXTRA_PROGRAMS += bench/bench-agent
CLEANFILES += bench/bench-agent
bench_bench_agent_SOURCES = bench/bench-agent.c
bench_bench_agent_LDADD = lib/libmat.a

.PHONY: bench-agent
bench-agent: bench/bench-agent
	bench/bench-agent 10 100 1000 10000 100000

# As root: from a RARP on the cable to the table.  QUICK=1 for less.
EXTRA_PROGRAMS += bench/bench-peer
EXTRA_DIST += bench/bench-event-table
CLEANFILES += bench/bench-peer event-table.json event-table.txt
bench_bench_peer_SOURCES = bench/bench-peer.c
bench_bench_peer_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
bench_bench_peer_LDADD = $(MATDIO_LIBS)

.PHONY: bench-event-table
bench-event-table: all bench/bench-peer tests/relay/relay
	$(PYTHON3) -B $(srcdir)/bench/bench-event-table --output=. \
		$(if $(QUICK),--quick)
