# SPDX-License-Identifier: Apache-2.0
"""Agents that set their hosts up, find each other and all VMs, and do as the
database says."""
import re

from agent_harness import test
from agent_rig import PATIENCE_S, reaches
from capture import Capture
from harness import assert_same
from switch import wait_until
from test_agent_moves import assert_reaches, sessions
from traffic import ping, udp_exchange

COOKIE = "0x6d617400"


@test
def hosts_find_each_other_and_all_vms_reach_all(rig):
    vms = [vm for vm in rig.vms.values() if vm.zone == 7]
    for one in vms:
        for other in vms:
            if one is not other:
                assert_reaches(one, other)
    for one, other in (rig.a1, rig.c1), (rig.m, rig.n):
        for family in 4, 6:
            assert_same("datagrams both ways", udp_exchange(
                one.namespace, one.address(family), other.namespace,
                other.address(family)), 20)


@test
def zones_with_the_same_addresses_and_macs_do_not_meet(rig):
    assert_reaches(rig.a9, rig.b9)
    assert_reaches(rig.a1, rig.b1)
    for one, other, stranger in ((rig.a9, rig.b9, rig.b1),
                                 (rig.a1, rig.b1, rig.b9)):
        with Capture(stranger.card()) as card:
            for family in 4, 6:
                assert ping(one.namespace, one.address(family),
                            other.address(family), size=77)
            seen = [str(frame) for frame in card.read()
                    if len(frame.data) > 77]
        assert_same("what the other zone saw", seen, [])
    assert not ping(rig.a9.namespace, rig.a9.v4, rig.c1.v4, timeout_s=0.5)


@test
def vms_of_one_host_talk_without_the_underlay(rig):
    with Capture(*rig.router.cables()) as cables:
        for family in 4, 6:
            assert ping(rig.a1.namespace, rig.a1.address(family),
                        rig.m.address(family), size=777)
        assert_same("frames on the underlay",
                    [str(f) for f in cables.read() if len(f.data) > 777], [])


@test
def a_vm_with_configured_addresses_is_known_before_it_speaks(rig):
    rig.b1.detach(rig.b)
    rig.b1.namespace.ip("link set dev eth0 down")
    rig.b1.attach(rig.b)
    rig.wait_seen(rig.b1)
    rig.b1.namespace.ip("link set dev eth0 up",
                        f"route replace default via {rig.b1.gateway4}",
                        f"addr replace {rig.b1.v6}/64 dev eth0 nodad",
                        f"route replace default via {rig.b1.gateway6}")
    assert_reaches(rig.a1, rig.b1)


@test
def a_port_without_an_agents_settings_is_left_alone(rig):
    """mat-ports is opt-in; mat=false beats all else."""
    rig.c1.detach(rig.c)
    rig.c1.attach(rig.c, mat="false")
    wait_until(lambda: not rig.c.mapping(7, rig.c1.v4),
               "c1 is forgotten", 2 * PATIENCE_S)
    assert "mat(out" not in flows_of(rig.c, "c1")
    rig.c.switch.vsctl("remove", "interface", "c1", "external_ids", "mat")
    rig.c1.announce()
    rig.wait_seen(rig.c1)


def flows_of(site, link):
    """Its flows in the bridge, as text."""
    number = site.switch.vsctl("get", "interface", link, "ofport").strip()
    return "\n".join(line for line in site.flows().splitlines()
                     if re.search(rf"in_port=({number}|\"?{link}\"?)\b",
                                  line))


def problems(site):
    return str(site.agent("status")["problems"])


@test
def a_wrong_value_is_named_and_the_last_good_one_stays(rig):
    good = rig.settings(rig.a)["mat_pool4"]
    with sessions((rig.a1, rig.c1)) as go_on:
        rig.a.configure(mat_pool4="10.77.1.128-banana", mat_age="soon",
                        mat_nonsense="1")
        for key in "mat-pool4", "mat-age", "mat-nonsense":
            wait_until(lambda: key in problems(rig.a),
                       lambda: f"{key} in {problems(rig.a)}", PATIENCE_S)
        go_on()
        rig.m.move(rig.b)
        rig.wait_seen(rig.m)
        rig.m.move(rig.a)           # A MoA of the last good pool is taken.
        rig.wait_seen(rig.m)
        rig.a.configure(mat_pool4=good, mat_age=None, mat_nonsense=None)
        wait_until(lambda: "mat-" not in problems(rig.a),
                   lambda: f"no problems: {problems(rig.a)}", PATIENCE_S)
    assert "mat-pool4" in rig.a.log()


@test
def other_pools_give_all_vms_other_addresses_and_sessions_live(rig):
    first, last = f"{rig.a.subnet4}.30", f"{rig.a.subnet4}.60"
    old = rig.a.mapping(7, rig.a1.v4)["moa"]
    with sessions((rig.a1, rig.c1), (rig.b1, rig.a1), (rig.m, rig.a1)) as on:
        rig.a.configure(mat_pool4=f"{first}-{last}")
        for site in rig.sites:
            wait_until(lambda: 30 <= int(site.mapping(7, rig.a1.v4)["moa"]
                                         .rsplit(".", 1)[1]) <= 60,
                       f"{site.name} has a MoA of the new pool", PATIENCE_S)
        on()
        rig.a.configure(**rig.settings(rig.a))
        for site in rig.sites:
            wait_until(lambda: int(site.mapping(7, rig.a1.v4)["moa"]
                                   .rsplit(".", 1)[1]) >= 128,
                       f"{site.name} has a MoA of the old pool", PATIENCE_S)
    assert old


@test
def flows_that_somebody_deletes_come_back_and_others_are_left_alone(rig):
    rig.a.switch.ofctl("add-flow", "br0",
                       "cookie=0x77,priority=1,in_port=77,actions=drop")
    with sessions((rig.a1, rig.c1)) as go_on:
        before = our_flows(rig.a)
        assert before, rig.a.flows()
        rig.a.switch.ofctl("del-flows", "br0", f"cookie={COOKIE}/-1")
        wait_until(lambda: our_flows(rig.a) == before, lambda:
                   f"flows as before: {rig.a.flows()}", PATIENCE_S)
        go_on()
        rig.a.switch.ofctl("--strict", "del-flows", "br0",
                           "priority=1,in_port=77")
        rig.a.switch.ofctl("del-flows", "br0")
        wait_until(lambda: our_flows(rig.a) == before, lambda:
                   f"flows as before: {rig.a.flows()}", PATIENCE_S)
        go_on()


def our_flows(site):
    """Without what changes by itself."""
    return sorted(re.sub(r"(duration|n_packets|n_bytes|idle_age|hard_age)"
                         r"=[^,]*, ?", "", line)
                  for line in site.flows().splitlines() if COOKIE in line)


@test
def deactivate_takes_the_flows_away_and_a_restart_brings_them_back(rig):
    rig.c.switch.ofctl("add-flow", "br0",
                       "cookie=0x77,priority=1,in_port=77,actions=drop")
    rig.c.agent("deactivate")
    wait_until(lambda: not our_flows(rig.c), "no flows of ours", PATIENCE_S)
    assert "cookie=0x77" in rig.c.flows(), "a foreign flow is gone"
    rig.c.stop_agent()
    rig.c.start_agent()
    wait_until(lambda: our_flows(rig.c), "flows", PATIENCE_S)
    assert_reaches(rig.c1, rig.a1)
    rig.c.switch.ofctl("--strict", "del-flows", "br0", "priority=1,in_port=77")


@test
def shadow_mode_touches_no_packet(rig):
    rig.c.configure(mat_mode="shadow")
    try:
        wait_until(lambda: "mat(" not in rig.c.flows(),
                   lambda: f"flows without mat: {rig.c.flows()}", PATIENCE_S)
        before = rig.c.table()["mappings"]
        assert not reaches(rig.c1, rig.a1, 0.3)
        rig.m.move(rig.b)
        rig.wait_seen(rig.m, by=[rig.a, rig.b])
        assert_same("what the switch has", rig.c.table()["mappings"], before)
    finally:
        rig.c.configure(mat_mode=None)
    rig.wait_seen(rig.m)
    assert_reaches(rig.c1, rig.m)
