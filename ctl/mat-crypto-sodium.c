/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-crypto-sodium.h"

#include <sodium.h>
#include <stdlib.h>

_Static_assert(crypto_sign_PUBLICKEYBYTES == MAT_PUBLIC_KEY_SIZE, "");
_Static_assert(crypto_sign_SEEDBYTES == MAT_SODIUM_SEED_SIZE, "");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
               == MAT_NONCE_SIZE, "");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == MAT_TAG_SIZE, "");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES
               == MAT_SECRET_SIZE, "");

bool
mat_sodium_identity_init(struct mat_sodium_identity *identity,
                         const uint8_t seed[MAT_SODIUM_SEED_SIZE])
{
    return (sodium_init() >= 0
            && !crypto_sign_seed_keypair(identity->public_key,
                                         identity->secret_key, seed)
            && !crypto_sign_ed25519_sk_to_curve25519(identity->exchange_key,
                                                     identity->secret_key));
}

void
mat_sodium_identity_clear(struct mat_sodium_identity *identity)
{
    sodium_memzero(identity, sizeof *identity);
}

static void
do_hash(void *aux, uint8_t digest[MAT_DIGEST_SIZE],
        const void *data, size_t size)
{
    (void) aux;
    crypto_generichash(digest, MAT_DIGEST_SIZE, data, size, NULL, 0);
}

static void
do_sign(void *identity_, uint8_t signature[64], const void *data, size_t size)
{
    const struct mat_sodium_identity *identity = identity_;

    crypto_sign_detached(signature, NULL, data, size, identity->secret_key);
}

static bool
do_verify(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
          const uint8_t signature[64], const void *data, size_t size)
{
    (void) aux;
    return !crypto_sign_verify_detached(signature, data, size, public_key);
}

static bool
do_shared(void *identity_, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
          uint8_t secret[MAT_SECRET_SIZE])
{
    const struct mat_sodium_identity *identity = identity_;
    uint8_t exchange_public[crypto_scalarmult_BYTES];

    return (!crypto_sign_ed25519_pk_to_curve25519(exchange_public, public_key)
            && !crypto_scalarmult(secret, identity->exchange_key,
                                  exchange_public));
}

static void
do_seal(void *aux, const uint8_t key[MAT_SECRET_SIZE],
        const uint8_t nonce[MAT_NONCE_SIZE], const void *ad, size_t ad_size,
        uint8_t *text, size_t size)
{
    (void) aux;
    crypto_aead_xchacha20poly1305_ietf_encrypt(text, NULL, text, size,
                                               ad, ad_size, NULL, nonce, key);
}

static bool
do_open(void *aux, const uint8_t key[MAT_SECRET_SIZE],
        const uint8_t nonce[MAT_NONCE_SIZE], const void *ad, size_t ad_size,
        uint8_t *text, size_t size)
{
    (void) aux;
    return !crypto_aead_xchacha20poly1305_ietf_decrypt(
        text, NULL, NULL, text, size + MAT_TAG_SIZE, ad, ad_size, nonce, key);
}

struct mat_crypto
mat_sodium_crypto(struct mat_sodium_identity *identity)
{
    return (struct mat_crypto) {
        .aux = identity,
        .hash = do_hash,
        .sign = do_sign,
        .verify = do_verify,
        .shared = do_shared,
        .seal = do_seal,
        .unseal = do_open
    };
}
