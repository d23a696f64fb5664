# SPDX-License-Identifier: Apache-2.0

EXTRA_DIST += \
	bench/bench-cycles \
	bench/bench-event \
	bench/bench-update \
	bench/bench-update-ports.c \
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

# As root.  QUICK=1 for a run of seconds.
EXTRA_PROGRAMS += bench/bench-update-client
CLEANFILES += bench/bench-update-client bench/bench-update-ports.so \
	update.json update.txt
bench_bench_update_client_SOURCES = \
	bench/bench-update-client.c \
	bench/bench-update.h
bench_bench_update_client_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
bench_bench_update_client_LDADD = ctl/libclient.a lib/libmat.a

bench/bench-update-ports.so: bench/bench-update-ports.c bench/bench-update.h
	$(AM_V_CCLD)$(CC) $(AM_CFLAGS) -O2 -fPIC -shared \
		$$(pkg-config --cflags libdpdk) -o $@ \
		$(srcdir)/bench/bench-update-ports.c

.PHONY: bench-update
bench-update: all ovs-base bench/bench-update-client \
		bench/bench-update-ports.so
	$(PYTHON3) -B $(srcdir)/bench/bench-update --output=. \
		--ovs=ovs --ovs-base=ovs-base --matsw=ctl/matsw \
		$(if $(QUICK),--quick)

# As root: how soon an agent hears of an announcement.  QUICK=1 for seconds.
EXTRA_PROGRAMS += bench/bench-event-client
CLEANFILES += bench/bench-event-client event.json event.txt
bench_bench_event_client_SOURCES = bench/bench-event-client.c
bench_bench_event_client_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
bench_bench_event_client_LDADD = ctl/libclient.a lib/libmat.a

.PHONY: bench-event
bench-event: all bench/bench-event-client
	$(PYTHON3) -B $(srcdir)/bench/bench-event --output=. \
		--ovs=ovs --matsw=ctl/matsw $(if $(QUICK),--quick)

include bench/agent.mk
include bench/converge.mk
include bench/fifty.mk
include bench/move.mk
