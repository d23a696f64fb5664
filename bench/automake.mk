# SPDX-License-Identifier: Apache-2.0

EXTRA_DIST += \
	bench/bench-cycles \
	bench/bench_cases.py \
	bench/bench_ovs.py \
	bench/bench_packets.py \
	bench/bench_report.py \
	bench/bench_rig.py \
	bench/bench_svg.py \
	bench/bench_table.py
CLEANFILES += cycles.json cycles.svg cycles.txt

# As root.  REPS=5 repetitions; CASES='mat-.*/v4' as a regular expression;
# QUICK=1 for a minute's run.
.PHONY: bench-cycles
bench-cycles: all ovs-base
	$(PYTHON3) -B $(srcdir)/bench/bench-cycles --output=. \
		--ovs=ovs --ovs-base=ovs-base --matsw=ctl/matsw \
		$(if $(REPS),--reps=$(REPS)) $(if $(CASES),--cases='$(CASES)') \
		$(if $(QUICK),--quick)

# Without Open vSwitch and root: mat_switch() alone.
EXTRA_PROGRAMS += bench/bench-switch
CLEANFILES += bench/bench-switch
bench_bench_switch_SOURCES = bench/bench-switch.c
bench_bench_switch_LDADD = lib/libmat.a

.PHONY: bench-switch
bench-switch: bench/bench-switch
	bench/bench-switch 1 1000 10000 100000 1000000
