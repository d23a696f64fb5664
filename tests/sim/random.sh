#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Random runs as part of "make check": 1000 seeds with fake crypto, a share of
# them with the real one, and flight recordings that must replay.  SIM_RUNS
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

# Each seed has other troubles: restarts, other addresses, attacks.
replay_many()
{
    for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        $sim --seed=$seed --record="$recording" >/dev/null \
            && $sim --replay="$recording" || return 1
    done
    $sim --seed=5 --real-crypto --record="$recording" >/dev/null \
        && $sim --replay="$recording"
}

# The last entry is the hash of all outputs.
refuse_mistaken()
{
    size=$(wc -c < "$recording")
    printf mistaken | dd of="$recording" bs=1 seek=$((size - 8)) \
        conv=notrunc 2>/dev/null
    ! $sim --replay="$recording" && ! $sim --replay=/dev/null
}

echo 1..5
check "$runs random runs" $sim --seed=1 --runs="$runs"
check "$((runs / 50)) with real crypto" \
    $sim --seed=1 --runs=$((runs / 50)) --real-crypto
check "a run is recorded" $sim --seed=7 --record="$recording"
check "recordings replay" replay_many
check "a recording with other outputs is refused" refuse_mistaken
