#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What libvirt's hook tells matd, and that it never fails or prints.

hook=${top_srcdir-.}/ctl/libvirt-hook
n=0
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat > "$tmp/matctl" << END
#!/bin/sh
echo "\$*" >> "$tmp/calls"
echo noise
exit 1
END
chmod +x "$tmp/matctl"
export MATCTL=$tmp/matctl LIBVIRT_SAVES=$tmp/saves
mkdir "$tmp/saves"
touch "$tmp/saves/saved.save"

cat > "$tmp/domain.xml" << 'END'
<domain type='kvm'>
  <name>guest</name>
  <devices>
    <interface type='bridge'>
      <mac address='52:54:00:00:00:01'/>
      <source bridge='br0'/>
      <virtualport type='openvswitch'/>
    </interface>
    <disk><mac address='00:00:00:00:00:00'/></disk>
    <interface type="vhostuser"><mac address="52:54:00:00:00:02"/>
    </interface>
  </devices>
</domain>
END

# check TEXT EXPECTED-CALLS ARGUMENT...
check()
{
    local text=$1 expected=$2 status output
    shift 2
    : > "$tmp/calls"
    output=$("$hook" "$@" < "$tmp/domain.xml" 2>&1)
    status=$?
    n=$((n + 1))
    if test "$status$output" = 0 &&
       test "$(tr '\n' ';' < "$tmp/calls")" = "$expected"; then
        echo "ok $n - $text"
    else
        echo "# status $status, output \"$output\", calls:"
        sed 's/^/# /' "$tmp/calls"
        echo "not ok $n - $text"
        failed=1
    fi
}

one='--timeout=2 hint'
check "incoming migration" \
    "$one prepare mac=52:54:00:00:00:01;$one prepare mac=52:54:00:00:00:02;" \
    guest migrate begin -
check "restored VM" \
    "$one prepare mac=52:54:00:00:00:01;$one prepare mac=52:54:00:00:00:02;" \
    guest restore begin -
check "saved VM" \
    "$one park mac=52:54:00:00:00:01;$one park mac=52:54:00:00:00:02;" \
    saved stopped end -
check "stopped VM" "" guest stopped end -
check "started VM" "" guest started begin -
echo '<domain/>' > "$tmp/domain.xml"
check "VM without interfaces" "" guest migrate begin -
echo "1..$n"
exit $failed
