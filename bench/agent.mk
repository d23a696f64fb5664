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
