/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MAT_RECORD_H
#define MAT_RECORD_H 1

/* Records: what hosts say about VMNs, pools and themselves, and which of two
 * statements wins.
 *
 * The atom is a *claim*: a host's signed statement about one key.  For each
 * key the claim with the greatest version wins, whatever the order in which
 * claims arrive (a last-writer-wins register, the simplest semilattice).
 *
 * The record of a home address is a product of such registers:
 *
 *     key VMN  (zone, HoA, length)         one live register
 *     key PREP (zone, HoA, length, host)   one per host that has prepared
 *
 * so that a prepared claim never displaces the live one.  A PREP claim counts
 * only while its epoch is above the live one's: the move that it prepares is
 * still to come.  Dropping it as soon as it does not count (mat-store.h) is a
 * function of the merged state alone, so all hosts still end up equal.
 *
 * Version = (epoch, seq, host).  A move raises the epoch, any other change
 * the seq.  Equal versions with different content can only come from a host
 * that lost its memory; then the content decides, and that host, seeing its
 * ghost, speaks again with a higher seq.
 *
 * Claims are immutable and counted by reference.  A *pool* lets several
 * engines of one process share equal claims, which is what makes a simulated
 * cluster of thousands fit in memory. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mat-addr.h"

enum mat_type {
    MAT_TYPE_HOST = 1,          /* A host: address, MTU, zones, identity. */
    MAT_TYPE_POOL,              /* Prefix that a host takes its MoAs from. */
    MAT_TYPE_REVOKE,            /* A certificate that counts no longer. */
    MAT_TYPE_VMN,               /* The VMN with this HoA is live here. */
    MAT_TYPE_PREP               /* It may become live here soon. */
};

enum mat_claim_state {
    MAT_CLAIM_LIVE = 1,
    MAT_CLAIM_GONE              /* Ended: VM destroyed, preparation undone. */
};

enum mat_claim_flags {
    MAT_CLAIM_CONTESTED = 1,    /* Taken back from one who gave no release. */
};

enum {
    MAT_ZONE_ALL = 0x1000000,   /* "Zone" of what concerns all hosts. */
    MAT_EPOCH_MAX = 1 << 30,    /* So that nobody can use epochs up. */
    MAT_CLAIM_BODY_MAX = 640,   /* A host claim with a full certificate. */
    MAT_SIGNATURE_SIZE = 64,
    MAT_HASH_SIZE = 16,         /* Of a node of the hash tree. */
    MAT_TREE_DEPTH_MAX = 3,     /* 8 claims under one signature: the paths and
                                 * an eighth of it are just less than 64. */
    MAT_VMN_BODY_SIZE = 16 + 6  /* MoA and MAC. */
};

struct mat_key {
    uint64_t host;              /* PREP only, else 0. */
    struct mat_addr addr;       /* HoA, prefix, or host id in bytes 8 to 15. */
    uint32_t zone;              /* VMN and PREP, else MAT_ZONE_ALL. */
    uint8_t type;               /* MAT_TYPE_*. */
    uint8_t plen;               /* In bits of the family of 'addr'. */
};

struct mat_version {
    uint32_t epoch, seq;
    uint64_t host;              /* Who speaks; who owns the record. */
};

/* A claim; also, on the stack with pointers into a datagram, a candidate for
 * one. */
struct mat_claim {
    struct mat_key key;
    struct mat_version version;
    uint64_t hash;              /* mat_key_hash(). */
    uint32_t sum;               /* Of all content but the signature. */
    uint8_t state;              /* MAT_CLAIM_LIVE or MAT_CLAIM_GONE. */
    uint8_t flags;              /* MAT_CLAIM_*. */
    uint8_t tree_depth;         /* Of the hash tree that is signed. */
    uint8_t tree_index;         /* Place of this claim in it. */
    uint16_t body_size;
    const uint8_t *body;
    const uint8_t *signature;   /* MAT_SIGNATURE_SIZE bytes. */
    const uint8_t *path;        /* tree_depth * MAT_HASH_SIZE bytes. */
};

/* Keys. */
struct mat_key mat_key_vmn(uint32_t zone, const struct mat_addr *hoa,
                           unsigned int plen);
struct mat_key mat_key_prep(const struct mat_key *vmn, uint64_t host);
struct mat_key mat_key_pool(const struct mat_addr *, unsigned int plen);
struct mat_key mat_key_host(uint64_t host);
struct mat_key mat_key_revoke(uint64_t host);
uint64_t mat_key_host_id(const struct mat_key *);   /* Of HOST, REVOKE. */
bool mat_key_equal(const struct mat_key *, const struct mat_key *);
bool mat_key_is_valid(const struct mat_key *);

/* The place of a key.  All keys of one HoA share the upper 40 bits. */
uint64_t mat_key_hash(const struct mat_key *);
#define MAT_HASH_GROUP_MASK (~UINT64_C(0xffffff))

/* Order. */
int mat_version_compare(const struct mat_version *,
                        const struct mat_version *);

/* Negative, 0 or positive as 'a' is older than, equal to or newer than 'b', a
 * claim of the same key.  A total order of contents. */
int mat_claim_compare(const struct mat_claim *a, const struct mat_claim *b);

/* Fills in 'hash' and 'sum' after the other members. */
void mat_claim_seal_sum(struct mat_claim *);

/* The bytes that are signed: all but signature and path.  'buf' must have
 * MAT_CLAIM_CANON_MAX bytes; returns how many were used. */
enum { MAT_CLAIM_CANON_MAX = 64 + MAT_CLAIM_BODY_MAX };
size_t mat_claim_canon(const struct mat_claim *, uint8_t *buf);

/* Body of VMN and PREP claims. */
struct mat_addr mat_claim_moa(const struct mat_claim *);
struct mat_mac mat_claim_mac(const struct mat_claim *);
void mat_vmn_body(uint8_t body[MAT_VMN_BODY_SIZE], const struct mat_addr *moa,
                  const struct mat_mac *);

/* Keeping.  mat_claim_copy() returns one that the caller must unref; from
 * 'pool', unless that is null, an equal one that is there already. */
struct mat_claim_pool;
struct mat_claim_pool *mat_claim_pool_create(void);
void mat_claim_pool_destroy(struct mat_claim_pool *);
size_t mat_claim_pool_bytes(const struct mat_claim_pool *);

const struct mat_claim *mat_claim_copy(struct mat_claim_pool *,
                                       const struct mat_claim *);
const struct mat_claim *mat_claim_ref(const struct mat_claim *);
void mat_claim_unref(const struct mat_claim *);     /* Null is accepted. */

#endif /* mat-record.h */
