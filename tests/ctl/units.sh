#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The systemd unit, as systemd reads it.

if ! command -v systemd-analyze > /dev/null ||
   ! test -e ctl/systemd/matd.service; then
    echo "1..0 # SKIP no systemd-analyze, or no unit is built"
    exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# The program need not be installed.
sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' ctl/systemd/matd.service \
    > "$tmp/matd.service"
verify()
{
    local said
    said=$(systemd-analyze verify --man=no --recursive-errors=no \
        "$tmp/matd.service" 2>&1) && test -z "$said" && return
    echo "$said" | sed 's/^/# /'
    return 1
}
ok()
{
    local status=$?
    test $status = 0 || { echo -n "not "; failed=1; }
    echo "ok $1"
}
verify
ok "1 - unit is well formed"
systemd-analyze security --offline=yes --threshold=25 "$tmp/matd.service" \
    > /dev/null 2>&1
ok "2 - exposure is at most 2.5"
! grep -q '@' <(grep -v '^SystemCallFilter' ctl/systemd/matd.service)
ok "3 - all paths are filled in"
echo 1..3
exit $failed
