/* SPDX-License-Identifier: Apache-2.0 */
/* Fake crypto: keyed sums that only this file can make.
 *
 * A "signature" is a sum over public key and data with a constant that no
 * player of the simulation uses elsewhere; a pair's "secret" is a sum over
 * both public keys.  Text is not hidden.  So whoever has not got a key cannot
 * make what it makes, which is all that the simulation needs, a hundred times
 * faster than the real thing. */
#include "mat-crypto-sodium.h"
#include "mat-mem.h"
#include "sim.h"

static uint64_t
sum(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;

    h ^= size * UINT64_C(0x9e3779b97f4a7c15);
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t x;

        memcpy(&x, p, 8);
        h = (h ^ x) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    for (; size; size--) {
        h = (h ^ *p++) * UINT64_C(0xff51afd7ed558ccd);
    }
    return mat_mix64(h);
}

static void
expand(uint64_t h, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t x = mat_mix64(h + i);

        memcpy(bytes + i, &x, 8);
    }
}

static void
fake_hash(void *aux, uint8_t digest[MAT_DIGEST_SIZE], const void *data,
          size_t size)
{
    (void) aux;
    expand(sum(1, data, size), digest, MAT_DIGEST_SIZE);
}

static void
fake_signature(const uint8_t *public_key, uint8_t signature[64],
               const void *data, size_t size)
{
    expand(sum(sum(UINT64_C(0x7369676e61747572), public_key,
                   MAT_PUBLIC_KEY_SIZE), data, size), signature, 64);
}

static void
fake_sign(void *identity_, uint8_t signature[64], const void *data,
          size_t size)
{
    const struct sim_identity *identity = identity_;

    fake_signature(identity->public_key, signature, data, size);
}

static bool
fake_verify(void *aux, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
            const uint8_t signature[64], const void *data, size_t size)
{
    uint8_t good[64];

    (void) aux;
    fake_signature(public_key, good, data, size);
    return !memcmp(good, signature, sizeof good);
}

static bool
fake_shared(void *identity_, const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
            uint8_t secret[MAT_SECRET_SIZE])
{
    const struct sim_identity *identity = identity_;
    uint64_t a = sum(2, identity->public_key, MAT_PUBLIC_KEY_SIZE);
    uint64_t b = sum(2, public_key, MAT_PUBLIC_KEY_SIZE);

    expand(a ^ b, secret, MAT_SECRET_SIZE);
    return true;
}

static void
fake_tag(const uint8_t *key, const uint8_t *nonce, const void *ad,
         size_t ad_size, const uint8_t *text, size_t size, uint8_t tag[16])
{
    uint64_t h = sum(3, key, MAT_SECRET_SIZE);

    h = sum(h, nonce, MAT_NONCE_SIZE);
    h = sum(h, ad, ad_size);
    expand(sum(h, text, size), tag, MAT_TAG_SIZE);
}

static void
fake_seal(void *aux, const uint8_t key[MAT_SECRET_SIZE],
          const uint8_t nonce[MAT_NONCE_SIZE], const void *ad, size_t ad_size,
          uint8_t *text, size_t size)
{
    (void) aux;
    fake_tag(key, nonce, ad, ad_size, text, size, text + size);
}

static bool
fake_open(void *aux, const uint8_t key[MAT_SECRET_SIZE],
          const uint8_t nonce[MAT_NONCE_SIZE], const void *ad, size_t ad_size,
          uint8_t *text, size_t size)
{
    uint8_t tag[MAT_TAG_SIZE];

    (void) aux;
    fake_tag(key, nonce, ad, ad_size, text, size, tag);
    return !memcmp(tag, text + size, sizeof tag);
}

static void
init_real(struct sim_identity *identity)
{
    struct mat_sodium_identity *real = mat_xcalloc(1, sizeof *real);
    uint8_t seed[MAT_SODIUM_SEED_SIZE];

    expand(mat_mix64(identity->number), seed, sizeof seed);
    MAT_ASSERT(mat_sodium_identity_init(real, seed));
    identity->real = real;
    identity->crypto = mat_sodium_crypto(real);
    memcpy(identity->public_key, real->public_key, sizeof real->public_key);
}

void
sim_identity_init(struct sim_identity *identity, uint64_t number, bool real)
{
    *identity = (struct sim_identity) {
        .number = number,
        .crypto = {
            .aux = identity, .hash = fake_hash, .sign = fake_sign,
            .verify = fake_verify, .shared = fake_shared, .seal = fake_seal,
            .unseal = fake_open
        }
    };
    if (real) {
        init_real(identity);
    } else {
        expand(mat_mix64(number ^ UINT64_C(0x6b6579)), identity->public_key,
               MAT_PUBLIC_KEY_SIZE);
    }
}

void
sim_identity_destroy(struct sim_identity *identity)
{
    free(identity->real);
}
