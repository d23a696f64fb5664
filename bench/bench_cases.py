# SPDX-License-Identifier: Apache-2.0
"""The cases of bench-cycles: what is configured, what packets come in.

Every case has an input of 50,000 packets, one flow each in random order, over
'mappings' pairs of VMNs, and forwards all of them to net_null outputs.

    plain        in_port -> output: simple match, the floor
    mat-out      mat(out,zone=7),output:uplink; 8 VMNs behind the VM port
    mat-in       mat(in),LOCAL; 8 VMNs behind one VM port
    mat-in-8     the same, behind 8 VM ports
    mat-out-x    mat(out,zone=7,explicit),output:uplink
    mat-in-x     mat(in,explicit),output:VM
    set-field    a rule per pair: sets both addresses and the MAC
    vxlan-push   a rule per remote VMN: sets tunnel destination and VNI
    vxlan-pop    a remote tunnel end per mapping, delivered to one port
    ct-nat       source NAT of established connections
    rules, rules-8  8 rules on the destination, to one port and to 8: what
                 sending to more ports costs by itself, for mat-in-8
"""

import ipaddress
import random

import bench_packets as pk

N_PACKETS = 50000
N_LOCAL = 8                 # VMNs of each group on this host.
ZONE = 7
SIZES = (1, 1000, 10000, 100000, 1000000)
SIZES_FLOWS = (1, 1000, 10000)

# What the stock cases cannot do, printed with the table.
LIMITS = (
    "set-field, vxlan-push, vxlan-pop and ct-nat stop at 10k: each pair, peer "
    "or connection is a flow of its own there; the input has no more than "
    "50,000, and from 8,192 on (exact match cache) each packet costs a "
    "classifier lookup, as 10k shows. A million is beyond the datapath's "
    "limit of 200,000 flows (flow-limit).",
    "plain has no mappings: its rows are the floor of the rows above 1.",
    "1M IPv4 and 1M IPv6 mappings are loaded one after the other, not "
    "together.",
)

# OpenFlow ports, the same in all cases:
#   1 input   2 output   3 VXLAN (br0)   11... VM ports
N_VM_PORTS = 8

VM_MAC = "02:00:00:00:01:%02x"
GATEWAY_MAC = pk.mac("02:4d:41:54:00:01")
UPLINK_MAC = "02:00:00:00:02:01"
ROUTER_MAC = "02:00:00:00:02:02"


class Net:
    """The addresses of one family: home, mobile and plain ones."""

    def __init__(self, family):
        self.family = family
        if family == "v4":
            self.remote_hoa = ipaddress.ip_network("10.0.0.0/11")
            self.local_hoa = ipaddress.ip_network("10.255.0.0/16")
            self.remote_moa = ipaddress.ip_network("172.16.0.0/12")
            self.local_moa = ipaddress.ip_network("192.168.7.0/24")
            self.pool_plen = 22
            self.data = b"x" * 18               # 60-byte frames
            self.match, self.src, self.dst = "ip", "ip_src", "ip_dst"
        else:
            self.remote_hoa = ipaddress.ip_network("fd00:0:0:1::/64")
            self.local_hoa = ipaddress.ip_network("fd00:0:0:2::/64")
            self.remote_moa = ipaddress.ip_network("2001:db8:1::/108")
            self.local_moa = ipaddress.ip_network("2001:db8:2::/120")
            self.pool_plen = 118
            self.data = b"xx"                   # 64-byte frames
            self.match, self.src, self.dst = "ipv6", "ipv6_src", "ipv6_dst"

    def pools(self):
        """The peers' pools: together, all remote MoAs."""
        return [str(pool) for pool in
                self.remote_moa.subnets(new_prefix=self.pool_plen)]


NETS = {"v4": Net("v4"), "v6": Net("v6")}


class Case:
    """One row.  'setup' gives the switch its flows; 'frames' makes the input
    of port 'port' (always OpenFlow port 1) on 'bridge'."""

    def __init__(self, name, family, mappings, setup, frames, prime=None,
                 port="vmin", bridge="br0"):
        self.name = name
        self.port = port
        self.bridge = bridge
        self.family = family
        self.mappings = mappings
        self.setup = setup
        self.frames = frames
        self.prime = prime          # Frames to be sent before the others.
        self.is_mat = name.startswith("mat-")

    def key(self):
        return self.name, self.family, self.mappings

    def file_name(self):
        return "%s-%s-%d.pcap" % self.key()

    def write_input(self, frames, path):
        """The packets are the same in every run of the same case."""
        rng = random.Random("%s %s %d" % self.key())
        pk.write_pcap(path, frames(NETS[self.family], self.mappings, rng))


def spread_over(n, rng):
    """N_PACKETS indexes below 'n', in random order, all used if they fit."""
    picks = [i % n for i in range(N_PACKETS)] if n <= N_PACKETS else \
        rng.sample(range(n), N_PACKETS)
    rng.shuffle(picks)
    return picks


def sport(i):
    return 1024 + i % 60000


# Packets.

def frames_out(net, n, rng):
    """From local VMNs to remote ones, through the virtual gateway."""
    frames = []
    for i in spread_over(n, rng):
        j = rng.randrange(N_LOCAL)
        frames.append(pk.udp(pk.mac(VM_MAC % j), GATEWAY_MAC,
                             net.local_hoa[j + 1], net.remote_hoa[i + 1],
                             sport(i), 80, net.data))
    return frames


def frames_pairs(net, n, rng):
    """Fixed pairs: each remote address speaks with one local one."""
    return [pk.udp(pk.mac(VM_MAC % 0), GATEWAY_MAC,
                   net.local_hoa[i % N_LOCAL + 1], net.remote_hoa[i + 1],
                   sport(i), 80, net.data)
            for i in spread_over(n, rng)]


def frames_replies(net, n, rng):
    """What the peers of frames_pairs() answer to the translated source."""
    return [pk.udp(GATEWAY_MAC, pk.mac(VM_MAC % 0), net.remote_hoa[i + 1],
                   net.local_moa[1], 80, sport(i), net.data)
            for i in spread_over(n, rng)]


def frames_in(group):
    """From remote MoAs to the MoAs of the local VMNs of 'group'."""
    def frames(net, n, rng):
        return [pk.udp(pk.mac(ROUTER_MAC), pk.mac(UPLINK_MAC),
                       net.remote_moa[i + 1],
                       net.local_moa[16 * group + rng.randrange(N_LOCAL) + 1],
                       sport(i), 80, net.data)
                for i in spread_over(n, rng)]
    return frames


def frames_vxlan(net, n, rng):
    """VXLAN from 'n' tunnel ends, an inner packet of the usual size."""
    v4 = NETS["v4"]
    return [pk.vxlan(pk.mac(ROUTER_MAC), pk.mac(UPLINK_MAC),
                     v4.remote_moa[i + 1], v4.local_moa[1], sport(i), ZONE,
                     pk.udp(GATEWAY_MAC, pk.mac(VM_MAC % 0),
                            net.remote_hoa[i + 1], net.local_hoa[1],
                            80, sport(i), net.data))
            for i in spread_over(n, rng)]


# Flows.  'b' is the bench_rig.Rig that the switch b.ovs stands in.

def setup_plain(b, net, n):
    b.ovs.flows("br0", ["in_port=1,actions=output:2"])


def setup_set_field(b, net, n):
    rules = []
    for i in range(n):
        match = "in_port=1,%s,%s=%s,%s=%s" % (
            net.match, net.src, net.local_hoa[i % N_LOCAL + 1],
            net.dst, net.remote_hoa[i + 1])
        rules.append("%s,actions=set_field:%s->%s,set_field:%s->%s,"
                     "set_field:%s->eth_dst,output:2"
                     % (match, net.local_moa[i % N_LOCAL + 1], net.src,
                        net.remote_moa[i + 1], net.dst, ROUTER_MAC))
    b.ovs.flows("br0", rules)


def setup_vxlan_push(b, net, n):
    v4, rules = NETS["v4"], []
    for i in range(n):
        match = "in_port=1" if n == 1 else "in_port=1,%s,%s=%s" % (
            net.match, net.dst, net.remote_hoa[i + 1])
        rules.append("%s,actions=set_field:%s->tun_dst,set_field:%d->tun_id,"
                     "output:3" % (match, v4.remote_moa[i + 1], ZONE))
    b.ovs.flows("br0", rules)
    b.ovs.flows("br-phy", ["in_port=LOCAL,actions=output:2"])


def setup_vxlan_pop(b, net, n):
    b.ovs.flows("br0", ["in_port=3,actions=output:2"])
    b.ovs.flows("br-phy", ["in_port=1,actions=LOCAL"])


def setup_rules(n_ports):
    """A rule for each VMN of the third group; see frames_in()."""
    def setup(b, net, n):
        b.ovs.flows("br0", ["in_port=1,%s,%s=%s,actions=output:%d" % (
            net.match, net.dst, net.local_moa[32 + j + 1], 11 + j % n_ports)
            for j in range(N_LOCAL)])
    return setup


def setup_ct_nat(b, net, n):
    b.ovs.appctl("dpctl/flush-conntrack")
    b.ovs.flows("br0", [
        "table=0,in_port=1,%s,actions=ct(table=1,zone=1,nat)" % net.match,
        "table=1,ct_state=+trk+est,actions=output:2",
        "table=1,%s,ct_state=+trk+new,actions=ct(commit,zone=1,nat(src=%s)),"
        "output:2" % (net.match, "%s" if net.family == "v4" else "[%s]")
        % net.local_moa[1]])


def setup_mat(actions):
    def setup(b, net, n):
        b.load_table(net, n)
        b.ovs.flows("br0", ["in_port=1,actions=" + actions])
    return setup


MAT_CASES = (
    ("mat-out", "mat(out,zone=7),output:2", frames_out, "vmin"),
    ("mat-in", "mat(in),LOCAL", frames_in(1), "upin"),
    ("mat-in-8", "mat(in),LOCAL", frames_in(2), "upin"),
    ("mat-out-x", "mat(out,zone=7,explicit),output:2", frames_out, "vmin"),
    ("mat-in-x", "mat(in,explicit),output:11", frames_in(1), "upin"),
)


def plain(family):
    return Case("plain", family, 1, setup_plain, frames_pairs)


def mat_group(family, n):
    """The cases that share one loaded table."""
    return [Case(name, family, n, setup_mat(actions), frames, port=port)
            for name, actions, frames, port in MAT_CASES]


def stock_group(family, n):
    """What Open vSwitch does without us."""
    cases = [Case("set-field", family, n, setup_set_field, frames_pairs),
             Case("vxlan-push", family, n, setup_vxlan_push, frames_pairs),
             Case("vxlan-pop", family, n, setup_vxlan_pop, frames_vxlan,
                  port="upin", bridge="br-phy"),
             Case("ct-nat", family, n, setup_ct_nat, frames_pairs,
                  prime=frames_replies)]
    if n == 1:
        cases += [Case("rules", family, n, setup_rules(1), frames_in(2),
                       port="upin"),
                  Case("rules-8", family, n, setup_rules(8), frames_in(2),
                       port="upin")]
    return cases
