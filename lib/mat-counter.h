/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_COUNTER_H
#define MAT_COUNTER_H 1

/* What the gossip engine counts: MAT_COUNTER(NAME, "text").  Everything that
 * is dropped or refused is in here under its reason. */

#define MAT_COUNTERS                                                        \
    MAT_COUNTER(SENT, "datagrams sent")                                     \
    MAT_COUNTER(SENT_BYTES, "bytes sent")                                   \
    MAT_COUNTER(RECEIVED, "datagrams received")                             \
    MAT_COUNTER(RECEIVED_BYTES, "bytes received")                           \
    MAT_COUNTER(RETRANSMITTED, "parcels sent again")                        \
    MAT_COUNTER(VERIFIED, "signatures checked")                             \
    MAT_COUNTER(SIGNED, "signatures made")                                  \
    MAT_COUNTER(PUSHES, "moves pushed")                                     \
    MAT_COUNTER(PULLS, "addresses asked for")                               \
    MAT_COUNTER(SYNC_LEAVES, "digest leaves compared")                      \
    MAT_COUNTER(SUSPICIONS, "suspicions raised here")                       \
    MAT_COUNTER(REFUTATIONS, "suspicions of this host refuted")             \
    MAT_COUNTER(CONTESTED, "contested claims seen")                         \
    MAT_COUNTER(CHALLENGES, "challenges sent")                              \
    MAT_COUNTER(GHOSTS, "own forgotten claims ended or renewed")            \
    /* Datagrams dropped. */                                                \
    MAT_COUNTER(DROP_MALFORMED, "datagram: not one of ours")                \
    MAT_COUNTER(DROP_LABEL, "datagram: other cluster")                      \
    MAT_COUNTER(DROP_SELF, "datagram: from itself")                         \
    MAT_COUNTER(DROP_UNKNOWN, "datagram: unknown sender")                   \
    MAT_COUNTER(DROP_UNOPENED, "datagram: forged or for an old key")        \
    MAT_COUNTER(DROP_REPLAY, "datagram: replayed")                          \
    MAT_COUNTER(DROP_TRANSLATED, "datagram: address translated on the way") \
    MAT_COUNTER(DROP_REVOKED, "datagram: sender revoked or expired")        \
    MAT_COUNTER(DROP_MESSAGE, "message: malformed")                         \
    MAT_COUNTER(DROP_OVERFLOW, "message: no room in a datagram")            \
    /* Claims refused. */                                                   \
    MAT_COUNTER(REFUSE_UNKNOWN, "claim: owner unknown")                     \
    MAT_COUNTER(REFUSE_CERT, "claim: bad certificate")                      \
    MAT_COUNTER(REFUSE_EXPIRED, "claim: certificate expired or revoked")    \
    MAT_COUNTER(REFUSE_RIGHT, "claim: outside its owner's certificate")     \
    MAT_COUNTER(REFUSE_SIGNATURE, "claim: bad signature")                   \
    MAT_COUNTER(REFUSE_ZONE, "claim: zone not present here")                \
    MAT_COUNTER(REFUSE_FULL, "claim: store full")                           \
    /* Limits reached. */                                                   \
    MAT_COUNTER(LIMIT_MEMBERS, "members: table full")                       \
    MAT_COUNTER(LIMIT_PARCELS, "parcels: pool empty")                       \
    MAT_COUNTER(LIMIT_OUTPUTS, "outputs: queue full")                       \
    MAT_COUNTER(LIMIT_RUMORS, "rumors: queue full")                         \
    MAT_COUNTER(LIMIT_VMNS, "local VMNs: table full")                       \
    MAT_COUNTER(LIMIT_INTERESTS, "interests: table full")                   \
    MAT_COUNTER(LIMIT_CORRESPONDENTS, "correspondents: list full")          \
    MAT_COUNTER(LIMIT_PULLS, "pulls: table full or rate exceeded")          \
    MAT_COUNTER(LIMIT_HELLO, "hellos: rate exceeded")                       \
    MAT_COUNTER(LIMIT_CATCHUP, "catch-up: rate exceeded")                   \
    MAT_COUNTER(LIMIT_REPLIES, "replies: rate exceeded")                    \
    MAT_COUNTER(LIMIT_STORM, "storm: claims or repair wait, bytes a second") \
    MAT_COUNTER(LIMIT_IDLE, "idle: rounds left out, bytes a second")        \
    MAT_COUNTER(LIMIT_DAMPING, "damping: table full")                       \
    MAT_COUNTER(LIMIT_POOLS, "pools: table full")                           \
    MAT_COUNTER(PARCEL_LOST, "parcels given up")                            \
    MAT_COUNTER(CHALLENGE_LOST, "challenges without answer")                \
    MAT_COUNTER(EXPIRED_RECORDS, "records of dead hosts timed out")

enum mat_counter {
#define MAT_COUNTER(NAME, TEXT) MAT_C_##NAME,
    MAT_COUNTERS
#undef MAT_COUNTER
    MAT_N_COUNTERS
};

const char *mat_counter_text(enum mat_counter);

#endif /* mat-counter.h */
