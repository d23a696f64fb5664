/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_CRYPTO_H
#define MAT_CRYPTO_H 1

/* What the gossip engine needs of cryptography, as a table of functions.
 *
 * The real one is made of libsodium, outside lib/; most simulations use a
 * fast fake with the same properties against the attackers that they play.
 * 'aux' holds the identity, an Ed25519 key pair, of the host. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAT_PUBLIC_KEY_SIZE = 32,
    MAT_SECRET_SIZE = 32,       /* Of symmetric keys and shared secrets. */
    MAT_NONCE_SIZE = 24,
    MAT_TAG_SIZE = 16,
    MAT_DIGEST_SIZE = 32
};

struct mat_crypto {
    void *aux;

    void (*hash)(void *aux, uint8_t digest[MAT_DIGEST_SIZE],
                 const void *data, size_t size);

    /* Signature by the host's own identity, and check of anyone's. */
    void (*sign)(void *aux, uint8_t signature[64],
                 const void *data, size_t size);
    bool (*verify)(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
                   const uint8_t signature[64],
                   const void *data, size_t size);

    /* The secret that only this host and the owner of 'public_key' can
     * compute.  False if the key is not a good one. */
    bool (*shared)(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
                   uint8_t secret[MAT_SECRET_SIZE]);

    /* Authenticated encryption in place.  seal() appends MAT_TAG_SIZE bytes
     * to the 'size' bytes of 'text'; unseal() takes 'size' without them. */
    void (*seal)(void *aux, const uint8_t key[MAT_SECRET_SIZE],
                 const uint8_t nonce[MAT_NONCE_SIZE],
                 const void *ad, size_t ad_size, uint8_t *text, size_t size);
    bool (*unseal)(void *aux, const uint8_t key[MAT_SECRET_SIZE],
                 const uint8_t nonce[MAT_NONCE_SIZE],
                 const void *ad, size_t ad_size, uint8_t *text, size_t size);
};

#endif /* mat-crypto.h */
