# SPDX-License-Identifier: Apache-2.0
#
# As root: moves of a real VM.  QUICK=1 for two minutes; else CASES='lan wan10
# wan40' (15 minutes) or all, MOVES=100 and MINUTES=4.5 at most for each case.
EXTRA_PROGRAMS += bench/bench-move-probe
CLEANFILES += bench/bench-move-probe move.json move.png move.svg move.txt
bench_bench_move_probe_SOURCES = bench/bench-move-probe.c
EXTRA_DIST += \
	bench/bench-move \
	bench/bench_move_measure.py \
	bench/bench_move_ofc.py \
	bench/bench_move_report.py \
	bench/bench_move_rig.py

dist_doc_DATA += docs/move.svg

.PHONY: bench-move
bench-move: all bench/bench-move-probe tests/relay/relay tests/vm/vmload
	$(PYTHON3) -B $(srcdir)/bench/bench-move --output=. \
		$(if $(CASES),--cases='$(CASES)') \
		$(if $(MOVES),--moves=$(MOVES)) \
		$(if $(MINUTES),--minutes=$(MINUTES)) \
		$(if $(QUICK),--quick)
