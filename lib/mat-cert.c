/* SPDX-License-Identifier: Apache-2.0 */
#include "mat-cert.h"

#include "mat-mem.h"
#include "mat-wire.h"

enum { CERT_VERSION = 1 };

static void
put_prefixes(struct mat_writer *w, const struct mat_cert_prefix *prefixes,
             uint8_t n)
{
    mat_put_u8(w, n);
    for (uint8_t i = 0; i < n; i++) {
        mat_put_u8(w, prefixes[i].plen);
        mat_put_addr(w, &prefixes[i].addr);
    }
}

static void
put_cert(struct mat_writer *w, const struct mat_cert *cert)
{
    mat_put_u8(w, CERT_VERSION);
    mat_put_u64(w, cert->host);
    mat_put_bytes(w, cert->public_key, sizeof cert->public_key);
    mat_put_u32(w, cert->serial);
    mat_put_u64(w, (uint64_t) cert->not_after_s);
    mat_put_u32(w, cert->attributes);
    mat_put_u8(w, cert->n_zones);
    for (uint8_t i = 0; i < cert->n_zones; i++) {
        mat_put_u24(w, cert->zones[i].first);
        mat_put_u24(w, cert->zones[i].last);
    }
    put_prefixes(w, cert->hoas, cert->n_hoas);
    put_prefixes(w, cert->pools, cert->n_pools);
}

size_t
mat_cert_issue(const struct mat_cert *cert, const struct mat_crypto *cluster,
               uint8_t bytes[MAT_CERT_SIZE_MAX])
{
    struct mat_writer w = {
        .bytes = bytes, .max = MAT_CERT_SIZE_MAX - MAT_SIGNATURE_SIZE
    };

    put_cert(&w, cert);
    MAT_ASSERT(!w.overflow);
    cluster->sign(cluster->aux, bytes + w.n, bytes, w.n);
    return w.n + MAT_SIGNATURE_SIZE;
}

static uint8_t
get_count(struct mat_reader *r)
{
    uint8_t n = mat_get_u8(r);

    if (n > MAT_CERT_RANGES_MAX) {
        r->bad = true;
        n = 0;
    }
    return n;
}

static uint8_t
get_prefixes(struct mat_reader *r, struct mat_cert_prefix *prefixes)
{
    uint8_t n = get_count(r);

    for (uint8_t i = 0; i < n; i++) {
        prefixes[i].plen = mat_get_u8(r);
        prefixes[i].addr = mat_get_addr(r);
        if (prefixes[i].plen > mat_addr_bits(&prefixes[i].addr)) {
            r->bad = true;
            prefixes[i].plen = 0;
        }
    }
    return n;
}

bool
mat_cert_parse(const uint8_t *bytes, size_t size, struct mat_cert *cert)
{
    struct mat_reader r = { .bytes = bytes, .left = size };
    const uint8_t *key;

    *cert = (struct mat_cert) { .host = 0 };
    if (mat_get_u8(&r) != CERT_VERSION) {
        return false;
    }
    cert->host = mat_get_u64(&r);
    key = mat_get_bytes(&r, sizeof cert->public_key);
    if (key) {
        memcpy(cert->public_key, key, sizeof cert->public_key);
    }
    cert->serial = mat_get_u32(&r);
    cert->not_after_s = (int64_t) mat_get_u64(&r);
    cert->attributes = mat_get_u32(&r);
    cert->n_zones = get_count(&r);
    for (uint8_t i = 0; i < cert->n_zones; i++) {
        cert->zones[i].first = mat_get_u24(&r);
        cert->zones[i].last = mat_get_u24(&r);
    }
    cert->n_hoas = get_prefixes(&r, cert->hoas);
    cert->n_pools = get_prefixes(&r, cert->pools);
    mat_get_bytes(&r, MAT_SIGNATURE_SIZE);
    return !r.bad && !r.left && cert->host;
}

bool
mat_cert_verify(const uint8_t *bytes, size_t size,
                const struct mat_crypto *crypto,
                const uint8_t cluster_key[MAT_PUBLIC_KEY_SIZE])
{
    return (size > MAT_SIGNATURE_SIZE
            && crypto->verify(crypto->aux, cluster_key,
                              bytes + size - MAT_SIGNATURE_SIZE,
                              bytes, size - MAT_SIGNATURE_SIZE));
}

static bool
covers(const struct mat_cert_prefix *prefixes, uint8_t n,
       const struct mat_addr *addr, unsigned int plen)
{
    for (uint8_t i = 0; i < n; i++) {
        if (plen >= prefixes[i].plen
            && mat_addr_in_prefix(addr, &prefixes[i].addr,
                                  prefixes[i].plen)) {
            return true;
        }
    }
    return false;
}

static bool
covers_zone(const struct mat_cert *cert, uint32_t zone)
{
    for (uint8_t i = 0; i < cert->n_zones; i++) {
        if (zone >= cert->zones[i].first && zone <= cert->zones[i].last) {
            return true;
        }
    }
    return false;
}

bool
mat_cert_permits(const struct mat_cert *cert, const struct mat_claim *c)
{
    struct mat_addr moa;

    if (c->version.host != cert->host) {
        return false;
    }
    switch (c->key.type) {
    case MAT_TYPE_HOST:
        return true;
    case MAT_TYPE_POOL:
        return covers(cert->pools, cert->n_pools, &c->key.addr, c->key.plen);
    case MAT_TYPE_VMN:
    case MAT_TYPE_PREP:
        moa = mat_claim_moa(c);
        return (covers_zone(cert, c->key.zone)
                && covers(cert->hoas, cert->n_hoas, &c->key.addr, c->key.plen)
                && (covers(cert->pools, cert->n_pools, &moa,
                           mat_addr_bits(&moa))
                    || mat_addr_equal(&moa, &c->key.addr)));
    default:
        return false;           /* REVOKE is the cluster's alone. */
    }
}
