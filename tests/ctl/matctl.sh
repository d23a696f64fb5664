#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# matctl without a matd: what it makes of replies (golden/), exit status,
# messages.  With --update, golden/*.txt are written anew: look at the
# difference before you commit it.

here=${top_srcdir-.}/tests/ctl
ctl=${top_srcdir-.}/ctl
matctl=ctl/matctl
n=0
failed=0

report()
{
    n=$((n + 1))
    if test "$1" = 0; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}

if ! test -x $matctl; then
    echo "1..0 # SKIP ctl/matctl is not built"
    exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Nothing of this machine's may be found.
export OVS_RUNDIR=$tmp OVS_MAT_SOCKET=$tmp/mat.sock

while read -r name arguments; do
    case $name in '' | '#'*) continue ;; esac
    # shellcheck disable=SC2086
    $matctl --input="$here/golden/$name.json" $arguments \
        > "$tmp/out" 2> "$tmp/err"
    status=$?
    if test "${1-}" = --update; then
        cp "$tmp/out" "$here/golden/$name.txt"
    fi
    diff "$here/golden/$name.txt" "$tmp/out" | sed 's/^/# /'
    cmp -s "$here/golden/$name.txt" "$tmp/out" && test $status = 0
    report $? "table of $name"
    # shellcheck disable=SC2086
    $matctl --json --input="$here/golden/$name.json" $arguments |
        "${PYTHON3-python3}" -c '
import json, sys
sys.exit(json.load(open(sys.argv[1])) != json.load(sys.stdin))
' "$here/golden/$name.json"
    report $? "JSON of $name is what came"
done < "$here/golden/cases"

# expect STATUS TEXT ARGUMENT...: on standard error.
expect()
{
    local status=$1 text=$2
    shift 2
    $matctl "$@" > "$tmp/out" 2> "$tmp/err"
    test $? = "$status" && grep -q -e "$text" "$tmp/out" "$tmp/err"
    report $? "matctl $*: status $status"
}

expect 3 'systemctl start matd' status
expect 3 'systemctl start matd' hint prepare hoa=10.0.0.1
expect 3 'systemctl start matd' freeze 10.0.0.1
expect 3 'is that the socket' --target="$tmp/none" vms
expect 2 'is no command' nonsense
expect 2 'usage: matctl lookup ADDR' lookup
expect 2 'usage: matctl vms' vms extra
expect 2 'Try' --nonsense
expect 2 'a zone is a number' --zone=x lookup 10.0.0.1
expect 2 'usage' hint prepare
expect 0 'exit status' --help
expect 0 'ovs-mat' --version
expect 1 'No such file' --input="$tmp/none" status
echo '{"vms":' > "$tmp/cut.json"
expect 1 'cut.json' --input="$tmp/cut.json" vms
expect 1 'database does not answer' check
expect 1 'cluster.pub' check --keys="$tmp"
expect 1 '"errors": [1-9]' check --json

# Every command that is in the table is in the manual page and completed.
$matctl --help |
    sed -n 's/^  \([a-z]\{1,\}\)\( .*\)\{0,1\}$/\1/p' > "$tmp/cmds"
missing=
while read -r command; do
    { grep -q "^\(\.B\|\.BR\)* *\(\\\\fB\)*$command" "$ctl/matctl.8" &&
        grep -q "\b$command\b" "$ctl/matctl.bash"; } ||
        missing="$missing $command"
done < "$tmp/cmds"
test -z "$missing" && test "$(wc -l < "$tmp/cmds")" -gt 15
report $? "all commands are in matctl(8) and the completion$missing"

if command -v groff > /dev/null; then
    test -z "$(groff -man -Tutf8 -ww "$ctl/matctl.8" 2>&1 \
        > /dev/null)"
    report $? "matctl(8) is well formed"
fi
echo "1..$n"
exit $failed
