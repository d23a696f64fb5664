/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_WIRE_H
#define MAT_WIRE_H 1

/* The datagrams of the gossip engine, as bytes.  All numbers big-endian.
 *
 * Datagram (mat-channel.h seals and opens it):
 *
 *     0       1       2               4                12               20
 *     +-------+-------+---------------+----------------+----------------+
 *     | magic | kind  | cluster label | sender         | counter        |
 *     +-------+-------+---------------+----------------+----------------+
 *     | HELLO only: salt (8) | sealed: messages ...    | tag (16)       |
 *     +----------------------+-------------------------+----------------+
 *
 * Message:     | type (1) | size (2) | payload (size) |
 *
 *     PROBE    nonce (4)
 *     NACK     nonce (4)                    "I get no answer from it either"
 *     PROBE_ACK nonce (4), coordinate (20)
 *     PROBE_REQ nonce (4), target (8)
 *     RUMORS   n x { host (8), by (8), generation (4), incarnation (4),
 *                    state (1) }
 *     ACKS     n x { counter (8) }          datagrams with RELIABLE claims
 *     CLAIMS   flags (1), zone (4), lo (8), hi (8), claims to the end.
 *              RELIABLE asks for an ack.  SPREAD makes the receiver
 *              responsible for hosts with ids lo to hi that have the zone.
 *              WANT_HELLO, in a HELLO, asks for one in return.
 *     SYNC_ROOT  members (8), n x { zone (4), claims (4), root (8) }
 *     SYNC_SUMS  zone (4), claims (4), 256 x sum (4)
 *     SYNC_LEAF  zone (4), bits (1), prefix (8),
 *                n x { hash (8), epoch (4), sum (4) }
 *     SYNC_DONE  zone (4), bits (1), prefix (8), sum of the leaf (8)
 *     SYNC_NEED  n x { hash (8) }
 *     PULL       nonce (4), kind (1), zone (4), address
 *     PULL_MISS  nonce (4)
 *     INTEREST   n x { zone (3), plen (1), address }
 *     CORRESPONDENTS zone (3), plen (1), address, n x { host (8) }
 *     CHALLENGE, KEEP, CONCEDE  zone (3), plen (1), address
 *
 * Address:     | size: 4 or 16 (1) | bytes |
 *
 * Claim:
 *
 *     | type (1) | bits (1) | tree index (1) |
 *     HOST, REVOKE:    | host id (8) |
 *     POOL:            | plen (1) | address |
 *     VMN, PREP:       | plen (1) | zone (3) | address |
 *     | version: host (8), epoch (4), seq (4) |
 *     VMN, PREP:       | MoA: address | MAC (6) |
 *     HOST, POOL, REVOKE: | size (2) | body |
 *     | signature (64), unless SAME | path: depth x 16 |
 *
 *     bits: 0-1 state, 2 contested, 3 reserved (a release signature of the
 *     old owner will follow), 4 reserved, 5-6 tree depth, 7 SAME: signature
 *     of the previous claim in this message.
 *
 * Decoders never read past the end, allocate nothing and accept exactly what
 * the encoders write, so that decode and encode give the same bytes. */

#include "mat-record.h"

enum {
    MAT_WIRE_MAGIC = 0x4d,
    MAT_WIRE_DATAGRAM_MAX = 1400,
    MAT_WIRE_HEAD_SIZE = 20,
    MAT_WIRE_TAG_SIZE = 16,
    MAT_WIRE_BODY_MAX = (MAT_WIRE_DATAGRAM_MAX - MAT_WIRE_HEAD_SIZE
                         - 8 - MAT_WIRE_TAG_SIZE),
    MAT_WIRE_IP_UDP = 48,       /* Around a datagram, with IPv6. */
    MAT_WIRE_MESSAGE_HEAD = 3,
    MAT_WIRE_CLAIMS_HEAD = 21,
    /* What claims may take of a datagram. */
    MAT_WIRE_CLAIMS_MAX = (MAT_WIRE_BODY_MAX - MAT_WIRE_MESSAGE_HEAD
                           - MAT_WIRE_CLAIMS_HEAD),
    MAT_WIRE_LEAF_MAX = 80      /* Entries of a SYNC_LEAF. */
};

enum mat_datagram_kind {
    MAT_DATAGRAM_HELLO = 1,     /* Sealed by the join key. */
    MAT_DATAGRAM_DATA           /* Sealed by the key of the pair. */
};

enum mat_message {
    MAT_MSG_PROBE = 1,
    MAT_MSG_PROBE_ACK,
    MAT_MSG_PROBE_REQ,
    MAT_MSG_NACK,
    MAT_MSG_RUMORS,
    MAT_MSG_ACKS,
    MAT_MSG_CLAIMS,
    MAT_MSG_SYNC_ROOT,
    MAT_MSG_SYNC_SUMS,
    MAT_MSG_SYNC_LEAF,
    MAT_MSG_SYNC_DONE,
    MAT_MSG_SYNC_NEED,
    MAT_MSG_PULL,
    MAT_MSG_PULL_MISS,
    MAT_MSG_INTEREST,
    MAT_MSG_CORRESPONDENTS,
    MAT_MSG_CHALLENGE,
    MAT_MSG_KEEP,
    MAT_MSG_CONCEDE,
    MAT_N_MSGS
};

enum mat_claims_flags {
    MAT_CLAIMS_RELIABLE = 1,
    MAT_CLAIMS_SPREAD = 2,
    MAT_CLAIMS_WANT_HELLO = 4,
    MAT_CLAIMS_ALL_FLAGS = 7
};

struct mat_claims_head {
    uint8_t flags;
    uint32_t zone;
    uint64_t lo, hi;
};

/* Writing.  What does not fit is not written and sets 'overflow'. */
struct mat_writer {
    uint8_t *bytes;
    size_t n, max;
    bool overflow;
};

void mat_put_u8(struct mat_writer *, uint8_t);
void mat_put_u16(struct mat_writer *, uint16_t);
void mat_put_u24(struct mat_writer *, uint32_t);
void mat_put_u32(struct mat_writer *, uint32_t);
void mat_put_u64(struct mat_writer *, uint64_t);
void mat_put_bytes(struct mat_writer *, const void *, size_t);
void mat_put_addr(struct mat_writer *, const struct mat_addr *);
void mat_put_claims_head(struct mat_writer *, const struct mat_claims_head *);
void mat_put_vmn_key(struct mat_writer *, const struct mat_key *);

/* 'previous' is the claim before in the same message, or null. */
void mat_put_claim(struct mat_writer *, const struct mat_claim *,
                   const struct mat_claim *previous);
size_t mat_claim_wire_size(const struct mat_claim *,
                           const struct mat_claim *previous);

/* Reading.  What is not there reads as 0 and sets 'bad', for good. */
struct mat_reader {
    const uint8_t *bytes;
    size_t left;
    bool bad;
};

uint8_t mat_get_u8(struct mat_reader *);
uint16_t mat_get_u16(struct mat_reader *);
uint32_t mat_get_u24(struct mat_reader *);
uint32_t mat_get_u32(struct mat_reader *);
uint64_t mat_get_u64(struct mat_reader *);
const uint8_t *mat_get_bytes(struct mat_reader *, size_t);
struct mat_addr mat_get_addr(struct mat_reader *);
struct mat_claims_head mat_get_claims_head(struct mat_reader *);
struct mat_key mat_get_vmn_key(struct mat_reader *);

/* Takes the next message off 'body'.  False at the end or if it is bad. */
bool mat_get_message(struct mat_reader *body, uint8_t *type,
                     struct mat_reader *payload);

/* Reads a claim into '*claim', which then points into the datagram and into
 * 'body', which is scratch space.  '*signature' carries the signature from
 * claim to claim; it must be null before the first.  Returns false, and the
 * reader is bad, if the claim is not well formed. */
bool mat_get_claim(struct mat_reader *, struct mat_claim *claim,
                   uint8_t body[MAT_VMN_BODY_SIZE],
                   const uint8_t **signature);

#endif /* mat-wire.h */
