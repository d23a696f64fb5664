/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_VERDICT_H
#define MAT_VERDICT_H 1

/* What the switch decided about a packet, and why.
 *
 * Every packet that meets the action gets exactly one verdict and every
 * verdict has a counter for each direction, so that no packet is ever lost
 * silently.  The table below is the only list: the enum, the names that
 * `mat/stats` prints, and the texts of `mat/trace` all come from it.
 *
 * The fate says what became of the packet:
 *
 *   pass     it stays in the batch for the actions that follow;
 *   deliver  the action sent it to a port itself, mostly a VMN's;
 *   reply    the switch answered it on the port where it came in;
 *   hold     it waits, unmodified, and comes again later;
 *   drop     it ends here. */

enum mat_fate {
    MAT_PASS,
    MAT_DELIVER,
    MAT_REPLY,
    MAT_HOLD,
    MAT_DROP
};

/* MAT_VERDICT(ENUM, "name", fate, "explanation") */
#define MAT_VERDICTS                                                        \
    MAT_VERDICT(TRANSLATED, "translated", MAT_PASS,                         \
                "HoAs were rewritten to MoAs")                              \
    MAT_VERDICT(OUTSIDE, "outside", MAT_PASS,                               \
                "correspondent outside the system, VMN's side rewritten")   \
    MAT_VERDICT(REDIRECTED, "redirected", MAT_DELIVER,                      \
                "VMN has left, packet sent on to its new MoA")              \
    MAT_VERDICT(LOCAL, "local", MAT_DELIVER,                                \
                "both VMNs are on this host, HoAs kept")                    \
    MAT_VERDICT(DELIVERED, "delivered", MAT_DELIVER,                        \
                "MoAs were rewritten to HoAs")                              \
    MAT_VERDICT(NOT_OURS, "not-ours", MAT_PASS,                             \
                "not for a VMN, left as it was")                            \
    MAT_VERDICT(ARP_ANSWERED, "arp-answered", MAT_REPLY,                    \
                "ARP answered from the table")                              \
    MAT_VERDICT(ND_ANSWERED, "nd-answered", MAT_REPLY,                      \
                "neighbour or router solicitation answered from the table") \
    MAT_VERDICT(DHCP_ANSWERED, "dhcp-answered", MAT_REPLY,                  \
                "DHCP answered with the VMN's own HoA")                     \
    MAT_VERDICT(ECHO_ANSWERED, "echo-answered", MAT_REPLY,                  \
                "echo request answered by the virtual gateway")             \
    MAT_VERDICT(ANNOUNCED, "announced", MAT_DROP,                           \
                "announcement of a VMN, told to the agent")                 \
    MAT_VERDICT(HELD, "held", MAT_HOLD,                                     \
                "VMN or mapping not ready, packet waits")                   \
    MAT_VERDICT(MISS, "miss", MAT_DROP,                                     \
                "no mapping is known, the agent was told")                  \
    MAT_VERDICT(TOO_BIG, "too-big", MAT_DROP,                               \
                "larger than the path or the port takes")                   \
    MAT_VERDICT(TTL, "ttl", MAT_DROP,                                       \
                "time to live or hop limit is over")                        \
    MAT_VERDICT(SPOOF, "spoof", MAT_DROP,                                   \
                "source address is not the sender's")                       \
    MAT_VERDICT(ZONE, "zone", MAT_DROP,                                     \
                "source and destination are in different zones")            \
    MAT_VERDICT(FORBIDDEN, "forbidden", MAT_DROP,                           \
                "what the zone does not allow: outsiders, ICMP redirects")  \
    MAT_VERDICT(UNASSIGNED, "unassigned", MAT_DROP,                         \
                "MoA of this host that no VMN has")                         \
    MAT_VERDICT(PORT_GONE, "port-gone", MAT_DROP,                           \
                "the VMN's port does not exist")                            \
    MAT_VERDICT(PORT_UNKNOWN, "port-unknown", MAT_DROP,                     \
                "the packet came from a port without a role")               \
    MAT_VERDICT(NO_NEXTHOP, "no-nexthop", MAT_DROP,                         \
                "the mapping's next hop is not known")                      \
    MAT_VERDICT(FLOODED, "flooded", MAT_DROP,                               \
                "broadcast or multicast of a VMN, kept off the underlay")   \
    MAT_VERDICT(ARP_IGNORED, "arp-ignored", MAT_DROP,                       \
                "ARP or ND of a VMN that wants no answer")                  \
    MAT_VERDICT(DHCP_IGNORED, "dhcp-ignored", MAT_DROP,                     \
                "DHCP of a VMN that gets no answer")                        \
    MAT_VERDICT(OTHER_PROTOCOL, "other-protocol", MAT_DROP,                 \
                "neither IP nor ARP, kept off the underlay")                \
    MAT_VERDICT(ADDRESS, "address", MAT_DROP,                               \
                "an address that cannot be a host's")                       \
    MAT_VERDICT(MALFORMED, "malformed", MAT_DROP,                           \
                "broken header or truncated packet")

enum mat_verdict {
#define MAT_VERDICT(ENUM, NAME, FATE, TEXT) MAT_V_##ENUM,
    MAT_VERDICTS
#undef MAT_VERDICT
    MAT_N_VERDICTS
};

const char *mat_verdict_name(enum mat_verdict);
const char *mat_verdict_text(enum mat_verdict);

/* What the verdict means for a packet, unless the caller is told otherwise
 * (an explicit action passes what it would otherwise deliver). */
enum mat_fate mat_verdict_fate(enum mat_verdict);

#endif /* mat-verdict.h */
