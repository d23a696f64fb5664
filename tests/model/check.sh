#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks the model of a move (move.pml) for all orders of events: two moves
# without crash, and one move with a crash.  Needs spin; skipped without it.
set -u

top=${top_srcdir:-.}
if ! command -v spin > /dev/null; then
    echo "1..0 # SKIP spin is not installed"
    exit 0
fi
model=$(cd "$top/tests/model" && pwd)/move.pml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

# check MOVES CRASHES: one test.
check()
{
    spin -a -DMOVES="$1" -DCRASHES="$2" "$model" > log 2>&1 &&
        ${CC:-cc} -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -w -o pan pan.c &&
        ./pan -m1000000 > log 2>&1
    sed -n 's/^\(.*states, stored\|.*errors: .*\|pan:.*\)$/# \1/p' log
    grep -q 'errors: 0' log && ! grep -q 'max search depth too small' log
}

echo 1..2
check 2 0 && echo "ok 1 - two moves" || echo "not ok 1 - two moves"
check 1 1 && echo "ok 2 - a move and a crash" ||
    echo "not ok 2 - a move and a crash"
