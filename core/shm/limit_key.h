/* limit_key.h — keys of limit tables in 48 fixed bytes. Private to limit*.c.
 *
 * Up to 47 bytes are kept as they are and compared exactly. A longer key is kept as its length, a
 * second hash with an independent secret and its first bytes; with the table's own 64-bit hash that
 * makes 128 bits which nobody outside can aim at. */
#ifndef SHM_LIMIT_KEY_H
#define SHM_LIMIT_KEY_H

#include "base/hash.h"
#include "base/rand.h"
#include "base/str.h"

enum { LIMIT_KEY_INLINE = 47, LIMIT_KEY_LONG = 255, LIMIT_KEY_HEAD = 31 };

typedef struct limit_key {
    uint8_t n; /* bytes, or LIMIT_KEY_LONG */
    char data[LIMIT_KEY_INLINE];
} limit_key;

typedef struct limit_secret {
    uint64_t hash[2];
    uint64_t second; /* mixed into the secret for the second hash */
} limit_secret;

static inline void limit_key_secret(limit_secret *secret)
{
    rand_secure(secret, sizeof *secret);
}

/* Never 0. */
static inline uint64_t limit_key_hash(const limit_secret *secret, str key)
{
    uint64_t hash = hash_keyed(key, secret->hash[0], secret->hash[1]);
    return hash != 0 ? hash : 1;
}

void limit_key_set(const limit_secret *secret, limit_key *at, str key);
/* For keys longer than LIMIT_KEY_INLINE. */
bool limit_key_is_long(const limit_secret *secret, const limit_key *at, str key);

static inline bool limit_key_is(const limit_secret *secret, const limit_key *at, str key)
{
    if (LIKELY(key.n <= LIMIT_KEY_INLINE)) {
        return at->n == key.n && memcmp(at->data, key.p, key.n) == 0;
    }
    return limit_key_is_long(secret, at, key);
}

#endif
