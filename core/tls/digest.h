/* digest.h — hashes and HMACs by name over OpenSSL's EVP: for bundles, session keys and scripts. */
#ifndef TLS_DIGEST_H
#define TLS_DIGEST_H

#include "base/str.h"

typedef struct digest digest;

enum { DIGEST_MAX = 64 };

/* `name` is one of OpenSSL's ("sha256", "md5"...); `key` empty: a plain hash, else an HMAC. NULL: unknown name or no memory. */
MUST_USE digest *digest_new(str name, str key);
void digest_update(digest *d, str bytes);
/* Writes the result (at most DIGEST_MAX bytes) and frees; returns its length, 0 when it failed or `cap` is too small. */
size_t digest_final(digest *d, uint8_t *out, size_t cap);
/* Frees without a result. */
void digest_free(digest *d);
/* All in one. */
MUST_USE size_t digest_once(str name, str key, str bytes, uint8_t out[DIGEST_MAX]);

#endif
