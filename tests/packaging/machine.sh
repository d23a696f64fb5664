# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A machine that is a copy of this one's root, made of an overlay that is
# thrown away, booted with systemd as its first process.  Sourced by tests,
# which output TAP:
#
#     machine FOLDER      where "run" has built packages; ends with the test
#     prepare PACKAGE...  with these of the distribution
#     check TEXT COMMAND...
#     conclude

machine()
{
    work=$(cd "$1" && pwd)
    n=0 failed=0
    root=$work/booted
    name=matboot$$
    nspawn=
    trap 'halt; umount_root' EXIT

    ls "$work"/ovs-matd_*.deb > /dev/null || bail "no packages in $work"
    mount_root || bail "cannot make an overlay"
}

conclude()
{
    echo "1..$n"
    echo "$((n - failed)) passed, $failed failed"
    test $failed = 0
}

bail()
{
    echo "Bail out! $*"
    exit 1
}

# check TEXT COMMAND...: its output is shown if it fails.
check()
{
    local text=$1
    shift
    n=$((n + 1))
    if "$@" > "$work/log" 2>&1; then
        echo "ok $n - $text"
    else
        tail -n 40 "$work/log" | sed 's/^/# /'
        echo "not ok $n - $text"
        failed=$((failed + 1))
    fi
}

mount_root()
{
    mkdir -p "$root" "$work/booted.layers"
    mount -t tmpfs -o mode=755 none "$work/booted.layers" &&
        mkdir "$work/booted.layers/upper" "$work/booted.layers/work" &&
        mount -t overlay -o "lowerdir=/,upperdir=$work/booted.layers/upper,\
workdir=$work/booted.layers/work" none "$root"
}

umount_root()
{
    umount -q -R "$root" 2> /dev/null
    umount -q "$work/booted.layers" 2> /dev/null
}

# The distribution's packages, as on a machine that is to get ours; a cable;
# and only what belongs to that is started.
prepare()
{
    install_theirs "$@" > "$work/log" 2>&1 || bail "$(tail -n 3 "$work/log")"
    add_cable
}

install_theirs()
{
    rm -f "$root/usr/sbin/policy-rc.d"
    mkdir -p "$root/var/tmp/debs" && cp "$work"/*.deb "$root/var/tmp/debs" &&
        cat /etc/resolv.conf > "$root/var/tmp/resolv.conf" &&
        rm -f "$root/etc/resolv.conf" &&
        cp "$root/var/tmp/resolv.conf" "$root/etc/resolv.conf" &&
        mount -t proc none "$root/proc" &&
        DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" \
            apt-get -q install -y --no-install-recommends "$@" &&
        umount "$root/proc"
}

add_cable()
{
    cat > "$root/etc/systemd/system/cable.service" << 'END'
[Unit]
Description=A network card
Before=network.target openvswitch-switch.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip link add uplink type veth peer name cable; \
    ip link set uplink up; ip link set cable up'
[Install]
WantedBy=multi-user.target
END
    find "$root/etc/systemd/system/multi-user.target.wants" -type l \
        ! -name '*openvswitch*' ! -name '*libvirt*' -delete
    ln -s ../cable.service \
        "$root/etc/systemd/system/multi-user.target.wants/cable.service"
    ln -sf /lib/systemd/system/multi-user.target \
        "$root/etc/systemd/system/default.target"
}

# Not registered anywhere, since this machine need not run systemd itself.
boot()
{
    systemd-nspawn -q -D "$root" --machine="$name" --register=no \
        --keep-unit --link-journal=no --private-network --boot \
        --uuid=0f0e0d0c0b0a09080706050403020100 \
        --kill-signal=SIGRTMIN+3 < /dev/null > "$work/console" 2>&1 &
    nspawn=$!
    leader=
    for _ in $(seq 300); do
        leader=$(pgrep -P $nspawn) && in_state running && return
        kill -0 $nspawn || return 1
        sleep 0.2
    done
    inside systemctl --failed
    return 1
}

in_state()
{
    test "$(inside systemctl is-system-running 2> /dev/null)" = "$1"
}

halt()
{
    if test -n "$nspawn"; then
        kill $nspawn 2> /dev/null
        wait $nspawn 2> /dev/null
        nspawn=
    fi
}

inside()
{
    nsenter -t "$leader" -m -u -i -n -p -C -r -w -- env -i LC_ALL=C \
        DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

property()
{
    inside systemctl show -P "$2" "$1"
}

# eventually SECONDS COMMAND...
eventually()
{
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        test $SECONDS -lt $end || return 1
        sleep 0.2
    done
}

installed()
{
    inside sh -c 'dpkg -i /var/tmp/debs/openvswitch-mat_*.deb \
        /var/tmp/debs/ovs-matd_*.deb' &&
        inside systemctl restart openvswitch-switch
}

# Without keys and configuration it is ready to be told.
is_active()
{
    test "$(property matd ActiveState)" = active &&
        test "$(property matd Type)" = notify &&
        test "$(property matd StatusText)" = serving
}

configured()
{
    inside ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev \
        -- add-port br0 uplink &&
        inside matctl key new-cluster /root/cluster &&
        inside matctl key issue --cluster=/root/cluster --host=a \
            --hoas=10.0.0.0/24 --pools=192.0.2.0/24 --out=/etc/ovs-mat &&
        inside systemctl restart matd &&
        inside ovs-vsctl set Open_vSwitch . external_ids:mat-bridge=br0 \
            external_ids:mat-uplink=uplink \
            external_ids:mat-pool4=192.0.2.100-192.0.2.110 || return 1
    give_address && eventually 20 works
}

give_address()
{
    eventually 20 inside ip link set br0 up &&
        inside ip address replace 192.0.2.1/24 dev br0
}

works()
{
    inside matctl --json check > "$work/check.json"
    cat "$work/check.json"
    inside ovs-ofctl dump-flows br0 | grep 'mat(in)' &&
        python3 - "$work/check.json" << 'END'
import json
import sys
found = {one["check"]: one["result"]
         for one in json.load(open(sys.argv[1]))["checks"]}
wanted = ("database", "switch", "socket", "bridge", "uplink", "keys", "matd")
sys.exit(any(found.get(name) != "ok" for name in wanted)
         or "error" in found.values())
END
}
