# SPDX-License-Identifier: Apache-2.0
#
# The simulator of whole clusters.
#
#   make check-sim SEED=n RUNS=m HOSTS=h [CRYPTO=1]   random runs
#   make replay FILE=recording                        of a flight recorder
#   make check-mutants                                tests of the tests
#   make check-model                                  the protocol, by spin

noinst_LIBRARIES += tests/sim/libsim.a
tests_sim_libsim_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/ctl
tests_sim_libsim_a_SOURCES = \
	tests/sim/sim-busy.c \
	tests/sim/sim-check.c \
	tests/sim/sim-crypto.c \
	tests/sim/sim-host.c \
	tests/sim/sim-net.c \
	tests/sim/sim-random.c \
	tests/sim/sim-replay.c \
	tests/sim/sim-story.c \
	tests/sim/sim-story.h \
	tests/sim/sim-vm.c \
	tests/sim/sim.h
SIM_LIBS = tests/sim/libsim.a ctl/libmatcrypto.a $(LDADD) $(SODIUM_LIBS)

check_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = tests/sim/sim-main.c
tests_sim_sim_LDADD = $(SIM_LIBS)

unit_tests += \
	tests/sim/test-sim-bounds \
	tests/sim/test-sim-members \
	tests/sim/test-sim-moves \
	tests/sim/test-sim-security
tests_sim_test_sim_bounds_LDADD = $(SIM_LIBS)
tests_sim_test_sim_members_LDADD = $(SIM_LIBS)
tests_sim_test_sim_moves_LDADD = $(SIM_LIBS)
tests_sim_test_sim_security_LDADD = $(SIM_LIBS)

script_tests += tests/sim/random.sh

SEED = 1
RUNS = 1000
HOSTS = 20
.PHONY: check-sim replay
check-sim: tests/sim/sim
	tests/sim/sim --seed=$(SEED) --runs=$(RUNS) --hosts=$(HOSTS) \
		$(if $(CRYPTO),--real-crypto) $(if $(VERBOSE),--verbose)
replay: tests/sim/sim
	tests/sim/sim --replay=$(FILE)

# Not in "make check", for it takes minutes.  MUTANTS='name' for some.
.PHONY: check-mutants
check-mutants: tests/sim/sim tests/sim/test-sim-bounds \
		tests/sim/test-sim-members tests/sim/test-sim-moves \
		tests/sim/test-sim-security \
		tests/unit/test-mat-security tests/unit/test-mat-store
	CC='$(CC)' $(PYTHON3) -B $(srcdir)/tests/sim/mutants.py $(srcdir) . \
		$(if $(MUTANTS),'$(MUTANTS)')
EXTRA_DIST += tests/sim/mutants.py
dist_doc_DATA += docs/gossip.md

# The model, also in "make check".
script_tests += tests/model/check.sh
EXTRA_DIST += tests/model/move.pml
.PHONY: check-model
check-model:
	top_srcdir='$(top_srcdir)' CC='$(CC)' sh $(srcdir)/tests/model/check.sh
