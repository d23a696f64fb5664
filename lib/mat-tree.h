/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_TREE_H
#define MAT_TREE_H 1

/* Hash trees: one signature for up to eight claims.
 *
 * A claim that moves alone is signed alone (depth 0).  Claims that an owner
 * publishes together are the leaves of a binary tree whose root is signed;
 * each carries the hashes beside its way to the root, so it can be checked
 * alone, and whoever checks a second one of the same tree needs no public key
 * arithmetic.  So a relay cannot forge, and a host that takes over 100,000
 * records checks an eighth as many signatures. */

#include "mat-crypto.h"
#include "mat-record.h"

enum {
    MAT_TREE_LEAVES_MAX = 1 << MAT_TREE_DEPTH_MAX
};

/* Room for what mat_tree_sign() makes. */
struct mat_tree {
    uint8_t signature[MAT_SIGNATURE_SIZE];
    uint8_t paths[MAT_TREE_LEAVES_MAX][MAT_TREE_DEPTH_MAX * MAT_HASH_SIZE];
};

/* Signs 'n' claims, 1 to MAT_TREE_LEAVES_MAX, with the identity of 'crypto'.
 * They then point into '*tree'. */
void mat_tree_sign(struct mat_tree *tree, const struct mat_crypto *crypto,
                   struct mat_claim *claims[], size_t n);

/* The root to which the path of 'claim' leads, and whether 'signature' of
 * 'public_key' is good for it. */
void mat_tree_root(const struct mat_crypto *, const struct mat_claim *,
                   uint8_t root[MAT_HASH_SIZE]);
bool mat_tree_verify(const struct mat_crypto *,
                     const uint8_t public_key[MAT_PUBLIC_KEY_SIZE],
                     const uint8_t signature[MAT_SIGNATURE_SIZE],
                     const uint8_t root[MAT_HASH_SIZE]);

#endif /* mat-tree.h */
