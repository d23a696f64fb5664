#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bench-gossip-core.sh PROGRAM
#
# What one core handles of gossip: time (the best of 20 rounds, since the
# machine may be busy with other things) and instructions (callgrind), as a
# table.
set -u

program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# instructions SECTION N: for each of N.
instructions()
{
    if ! command -v valgrind > /dev/null; then
        echo "-"
        return
    fi
    valgrind --tool=callgrind --toggle-collect=measured \
        --callgrind-out-file="$folder/out" "$program" "$1" \
        > "$folder/log" 2>&1
    awk -v n="$2" '/^totals:/ { printf "%d", $2 / n }' "$folder/out"
}

echo "| one core | us | a second | instructions |"
echo "|---|---|---|---|"
tab=$(printf '\t')
"$program" | while IFS=$tab read -r name n us rate what; do
    echo "| $what | $us | $rate | $(instructions "$name" "$n") |"
done
