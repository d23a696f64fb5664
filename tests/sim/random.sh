#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Random runs as part of "make check": 1000 seeds with fake crypto, a share of
# them with the real one, and a flight recording that must replay.  SIM_RUNS
# makes it another number of runs.
set -u

sim=tests/sim/sim
runs=${SIM_RUNS:-1000}
recording=$(mktemp)
trap 'rm -f "$recording"' EXIT
n=0

# check WHAT COMMAND...: one test.
check()
{
    n=$((n + 1))
    what=$1
    shift
    if "$@" 2>&1; then
        echo "ok $n - $what"
    else
        echo "not ok $n - $what"
    fi | sed '/^\(not \)\{0,1\}ok /!s/^\(# \)\{0,1\}/# /'
}

echo 1..4
check "$runs random runs" $sim --seed=1 --runs="$runs"
check "$((runs / 50)) with real crypto" \
    $sim --seed=1 --runs=$((runs / 50)) --real-crypto
check "a run is recorded" $sim --seed=7 --record="$recording"
check "the recording replays" $sim --replay="$recording"
