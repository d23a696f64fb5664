/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-tree.h"

#include "mat-mem.h"

/* Leaves and inner nodes begin with different bytes (RFC 6962, 2.1), so that
 * none can pass for the other; so does the text that is signed. */
enum { TAG_LEAF = 0, TAG_NODE = 1 };
static const char tag_root[8] = "mat-root";

static void
hash16(const struct mat_crypto *crypto, const void *data, size_t size,
       uint8_t hash[MAT_HASH_SIZE])
{
    uint8_t digest[MAT_DIGEST_SIZE];

    crypto->hash(crypto->aux, digest, data, size);
    memcpy(hash, digest, MAT_HASH_SIZE);
}

static void
hash_leaf(const struct mat_crypto *crypto, const struct mat_claim *c,
          uint8_t hash[MAT_HASH_SIZE])
{
    uint8_t canon[1 + MAT_CLAIM_CANON_MAX];

    canon[0] = TAG_LEAF;
    hash16(crypto, canon, 1 + mat_claim_canon(c, canon + 1), hash);
}

static void
hash_node(const struct mat_crypto *crypto, const uint8_t *left,
          const uint8_t *right, uint8_t hash[MAT_HASH_SIZE])
{
    uint8_t node[1 + 2 * MAT_HASH_SIZE];

    node[0] = TAG_NODE;
    memcpy(node + 1, left, MAT_HASH_SIZE);
    memcpy(node + 1 + MAT_HASH_SIZE, right, MAT_HASH_SIZE);
    hash16(crypto, node, sizeof node, hash);
}

static void
root_text(const uint8_t root[MAT_HASH_SIZE],
          uint8_t text[sizeof tag_root + MAT_HASH_SIZE])
{
    memcpy(text, tag_root, sizeof tag_root);
    memcpy(text + sizeof tag_root, root, MAT_HASH_SIZE);
}

static uint8_t
depth_for(size_t n)
{
    uint8_t depth = 0;

    while ((size_t) 1 << depth < n) {
        depth++;
    }
    return depth;
}

void
mat_tree_sign(struct mat_tree *tree, const struct mat_crypto *crypto,
              struct mat_claim *claims[], size_t n)
{
    uint8_t level[MAT_TREE_LEAVES_MAX][MAT_HASH_SIZE] = { { 0 } };
    uint8_t text[sizeof tag_root + MAT_HASH_SIZE];
    uint8_t depth = depth_for(n);

    MAT_ASSERT(n && n <= MAT_TREE_LEAVES_MAX);
    for (size_t i = 0; i < n; i++) {
        hash_leaf(crypto, claims[i], level[i]);
    }
    for (unsigned int d = 0; d < depth; d++) {
        for (size_t i = 0; i < n; i++) {
            memcpy(&tree->paths[i][d * MAT_HASH_SIZE], level[(i >> d) ^ 1],
                   MAT_HASH_SIZE);
        }
        for (size_t i = 0; i < (size_t) 1 << (depth - d - 1); i++) {
            hash_node(crypto, level[2 * i], level[2 * i + 1], level[i]);
        }
    }
    root_text(level[0], text);
    crypto->sign(crypto->aux, tree->signature, text, sizeof text);
    for (size_t i = 0; i < n; i++) {
        claims[i]->tree_depth = depth;
        claims[i]->tree_index = (uint8_t) i;
        claims[i]->signature = tree->signature;
        claims[i]->path = tree->paths[i];
    }
}

void
mat_tree_root(const struct mat_crypto *crypto, const struct mat_claim *c,
              uint8_t root[MAT_HASH_SIZE])
{
    MAT_ASSERT(c->tree_depth <= MAT_TREE_DEPTH_MAX);
    hash_leaf(crypto, c, root);
    for (unsigned int d = 0; d < c->tree_depth; d++) {
        const uint8_t *beside = c->path + d * MAT_HASH_SIZE;

        if (c->tree_index >> d & 1) {
            hash_node(crypto, beside, root, root);
        } else {
            hash_node(crypto, root, beside, root);
        }
    }
}

bool
mat_tree_verify(const struct mat_crypto *crypto,
                const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
                const uint8_t signature[MAT_SIGNATURE_SIZE],
                const uint8_t root[MAT_HASH_SIZE])
{
    uint8_t text[sizeof tag_root + MAT_HASH_SIZE];

    root_text(root, text);
    return crypto->verify(crypto->aux, public_key, signature,
                          text, sizeof text);
}
