/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-channel.h"

#include "mat-mem.h"

/* The replay window of RFC 6479: a ring of words, so that sliding it clears
 * words instead of shifting bits. */
bool
mat_replay_accept(struct mat_replay *window, uint64_t counter)
{
    const uint64_t n_words = MAT_REPLAY_WINDOW / 64;
    uint64_t word = counter / 64, bit = UINT64_C(1) << counter % 64;

    if (!counter || counter > UINT64_MAX / 2) {
        return false;
    }
    if (counter > window->top) {
        uint64_t steps = word - window->top / 64;

        for (uint64_t i = 0; i < steps && i < n_words; i++) {
            window->seen[(word - i) % n_words] = 0;
        }
        window->top = counter;
    } else if (window->top / 64 - word >= n_words) {
        return false;
    }
    if (window->seen[word % n_words] & bit) {
        return false;
    }
    window->seen[word % n_words] |= bit;
    return true;
}

bool
mat_channel_key(const struct mat_crypto *crypto,
                const uint8_t public_key[MAT_PUBLIC_KEY_SIZE], uint16_t label,
                uint64_t salt_of_lower_id, uint64_t salt_of_higher_id,
                uint8_t key[MAT_SECRET_SIZE])
{
    uint8_t text[8 + MAT_SECRET_SIZE + 2 + 16], secret[MAT_SECRET_SIZE];
    struct mat_writer w = { .bytes = text, .max = sizeof text };

    if (!crypto->shared(crypto->aux, public_key, secret)) {
        return false;
    }
    mat_put_bytes(&w, "mat-pair", 8);
    mat_put_bytes(&w, secret, sizeof secret);
    mat_put_u16(&w, label);
    mat_put_u64(&w, salt_of_lower_id);
    mat_put_u64(&w, salt_of_higher_id);
    MAT_ASSERT(w.n == sizeof text);
    crypto->hash(crypto->aux, key, text, w.n);
    return true;
}

size_t
mat_channel_head_size(uint8_t kind)
{
    return MAT_WIRE_HEAD_SIZE + (kind == MAT_DATAGRAM_HELLO ? 8u : 0u);
}

static void
make_nonce(const struct mat_datagram_head *head, uint64_t receiver,
           uint8_t nonce[MAT_NONCE_SIZE])
{
    struct mat_writer w = { .bytes = nonce, .max = MAT_NONCE_SIZE };

    mat_put_u64(&w, head->sender);
    mat_put_u64(&w, head->counter);
    mat_put_u64(&w, head->kind == MAT_DATAGRAM_HELLO ? head->salt : receiver);
}

size_t
mat_channel_seal(const struct mat_crypto *crypto,
                 const uint8_t key[MAT_SECRET_SIZE],
                 const struct mat_datagram_head *head, uint64_t receiver,
                 uint8_t *datagram, size_t body_size)
{
    struct mat_writer w = {
        .bytes = datagram, .max = mat_channel_head_size(head->kind)
    };
    uint8_t nonce[MAT_NONCE_SIZE];

    MAT_ASSERT(body_size <= MAT_WIRE_BODY_MAX);
    mat_put_u8(&w, MAT_WIRE_MAGIC);
    mat_put_u8(&w, head->kind);
    mat_put_u16(&w, head->label);
    mat_put_u64(&w, head->sender);
    mat_put_u64(&w, head->counter);
    if (head->kind == MAT_DATAGRAM_HELLO) {
        mat_put_u64(&w, head->salt);
    }
    make_nonce(head, receiver, nonce);
    crypto->seal(crypto->aux, key, nonce, datagram, w.n, datagram + w.n,
                 body_size);
    return w.n + body_size + MAT_TAG_SIZE;
}

bool
mat_channel_parse(const uint8_t *datagram, size_t size,
                  struct mat_datagram_head *head)
{
    struct mat_reader r = { .bytes = datagram, .left = size };

    if (size > MAT_WIRE_DATAGRAM_MAX || mat_get_u8(&r) != MAT_WIRE_MAGIC) {
        return false;
    }
    head->kind = mat_get_u8(&r);
    head->label = mat_get_u16(&r);
    head->sender = mat_get_u64(&r);
    head->counter = mat_get_u64(&r);
    if (head->kind == MAT_DATAGRAM_HELLO) {
        head->salt = mat_get_u64(&r);
    } else if (head->kind != MAT_DATAGRAM_DATA) {
        return false;
    }
    return !r.bad && r.left >= MAT_TAG_SIZE && head->sender;
}

bool
mat_channel_open(const struct mat_crypto *crypto,
                 const uint8_t key[MAT_SECRET_SIZE],
                 const struct mat_datagram_head *head, uint64_t receiver,
                 uint8_t *datagram, size_t size, struct mat_reader *body)
{
    size_t head_size = mat_channel_head_size(head->kind);
    uint8_t nonce[MAT_NONCE_SIZE];

    MAT_ASSERT(size >= head_size + MAT_TAG_SIZE);
    *body = (struct mat_reader) {
        .bytes = datagram + head_size,
        .left = size - head_size - MAT_TAG_SIZE
    };
    make_nonce(head, receiver, nonce);
    return crypto->unseal(crypto->aux, key, nonce, datagram, head_size,
                        datagram + head_size, body->left);
}
