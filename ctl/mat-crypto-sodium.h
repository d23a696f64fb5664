/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_CRYPTO_SODIUM_H
#define MAT_CRYPTO_SODIUM_H 1

/* The real cryptography of the gossip engine, by libsodium: BLAKE2b, Ed25519,
 * X25519 between the same identities converted, XChaCha20-Poly1305. */

#include "mat-crypto.h"

enum { MAT_SODIUM_SEED_SIZE = 32 };

struct mat_sodium_identity {
    uint8_t public_key[MAT_PUBLIC_KEY_SIZE];
    uint8_t secret_key[64];     /* Ed25519: seed and public key. */
    uint8_t exchange_key[32];   /* X25519 secret of the same identity. */
};

/* Makes the identity that 'seed', 32 secret random bytes, stands for.  False
 * if libsodium cannot be used. */
bool mat_sodium_identity_init(struct mat_sodium_identity *,
                              const uint8_t seed[MAT_SODIUM_SEED_SIZE]);

/* Wipes the secrets. */
void mat_sodium_identity_clear(struct mat_sodium_identity *);

/* The table of functions for 'identity', which must outlive its use. */
struct mat_crypto mat_sodium_crypto(struct mat_sodium_identity *);

#endif /* mat-crypto-sodium.h */
