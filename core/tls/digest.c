/* digest.c — EVP contexts; an error inside is remembered and shows as a length of 0. */
#include "tls/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

struct digest {
    EVP_MD_CTX *hash; /* one of the two */
    EVP_MAC_CTX *mac;
    bool failed;
};

static EVP_MAC_CTX *digest_mac_new(char *name, str key)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_construct_end()};
    if (ctx && EVP_MAC_init(ctx, (const unsigned char *)key.p, key.n, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static EVP_MD_CTX *digest_hash_new(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
    EVP_MD_CTX *ctx = md ? EVP_MD_CTX_new() : NULL;
    if (ctx && EVP_DigestInit_ex2(ctx, md, NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MD_free(md);
    return ctx;
}

digest *digest_new(str name, str key)
{
    char z[32];
    if (name.n == 0 || name.n >= sizeof z) {
        return NULL;
    }
    memcpy(z, name.p, name.n);
    z[name.n] = 0;
    digest *d = calloc(1, sizeof *d);
    if (!d) {
        return NULL;
    }
    if (key.n > 0) {
        d->mac = digest_mac_new(z, key);
    } else {
        d->hash = digest_hash_new(z);
    }
    if (!d->mac && !d->hash) {
        free(d);
        return NULL;
    }
    return d;
}

void digest_update(digest *d, str bytes)
{
    int ok = d->mac ? EVP_MAC_update(d->mac, (const unsigned char *)bytes.p, bytes.n)
                    : EVP_DigestUpdate(d->hash, bytes.p, bytes.n);
    d->failed = d->failed || ok != 1;
}

size_t digest_final(digest *d, uint8_t *out, size_t cap)
{
    size_t n = 0;
    if (d->mac) {
        d->failed = d->failed || EVP_MAC_final(d->mac, out, &n, cap) != 1;
    } else {
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned got = 0;
        d->failed = d->failed || EVP_DigestFinal_ex(d->hash, raw, &got) != 1 || got > cap;
        n = got;
        if (!d->failed) {
            memcpy(out, raw, n);
        }
    }
    if (d->failed) {
        n = 0;
    }
    digest_free(d);
    return n;
}

void digest_free(digest *d)
{
    if (d) {
        EVP_MAC_CTX_free(d->mac);
        EVP_MD_CTX_free(d->hash);
        free(d);
    }
}

size_t digest_once(str name, str key, str bytes, uint8_t out[DIGEST_MAX])
{
    digest *d = digest_new(name, key);
    if (!d) {
        return 0;
    }
    digest_update(d, bytes);
    return digest_final(d, out, DIGEST_MAX);
}
