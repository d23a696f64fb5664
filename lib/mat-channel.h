/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_CHANNEL_H
#define MAT_CHANNEL_H 1

/* Sealing of datagrams (format: mat-wire.h) and the replay window.
 *
 * DATA is sealed by a key of the pair: hash of the Diffie-Hellman secret of
 * the two certified identities, the cluster's label and both hosts' salts.
 * No handshake is needed, so the first datagram to a host that is known from
 * gossip arrives in one one-way delay; the salts end the key when either host
 * restarts.  Nonce = sender, counter, receiver, so it never repeats.
 *
 * HELLO is sealed by the join key that all hosts share, with a nonce of
 * sender, counter and salt.  It carries only a host claim, which speaks for
 * itself by its signatures: the join key just keeps strangers quiet.  For
 * rotation a host accepts two join keys and uses the first. */

#include "mat-crypto.h"
#include "mat-wire.h"

enum { MAT_REPLAY_WINDOW = 1024 };      /* Datagrams; a multiple of 64. */

struct mat_replay {
    uint64_t top;               /* Greatest counter seen. */
    uint64_t seen[MAT_REPLAY_WINDOW / 64];
};

struct mat_datagram_head {
    uint8_t kind;
    uint16_t label;
    uint64_t sender;
    uint64_t counter;           /* From 1. */
    uint64_t salt;              /* HELLO only. */
};

/* Marks 'counter' as seen.  False if it was already or is too old to tell. */
bool mat_replay_accept(struct mat_replay *, uint64_t counter);

/* Derives the key of a pair of hosts. */
bool mat_channel_key(const struct mat_crypto *,
                     const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
                     uint16_t label, uint64_t salt_of_lower_id,
                     uint64_t salt_of_higher_id,
                     uint8_t key[MAT_SECRET_SIZE]);

/* Size of the head, which stands before the sealed part. */
size_t mat_channel_head_size(uint8_t kind);

/* Writes the head in front of the 'body_size' bytes that the caller has put
 * at mat_channel_head_size(), and seals them.  Returns the datagram's size. */
size_t mat_channel_seal(const struct mat_crypto *,
                        const uint8_t key[MAT_SECRET_SIZE],
                        const struct mat_datagram_head *, uint64_t receiver,
                        uint8_t *datagram, size_t body_size);

/* Reads the head of a datagram.  False if it cannot be one of ours. */
bool mat_channel_parse(const uint8_t *datagram, size_t size,
                       struct mat_datagram_head *);

/* Opens a datagram in place.  On success '*body' is its messages. */
bool mat_channel_open(const struct mat_crypto *,
                      const uint8_t key[MAT_SECRET_SIZE],
                      const struct mat_datagram_head *, uint64_t receiver,
                      uint8_t *datagram, size_t size,
                      struct mat_reader *body);

#endif /* mat-channel.h */
