/* limit_key.c — the rare halves of limit_key.h. */
#include "shm/limit_key.h"

#include <string.h>

typedef struct limit_long {
    uint64_t hash;
    uint64_t n;
} limit_long;

_Static_assert(LIMIT_KEY_HEAD + sizeof(limit_long) == LIMIT_KEY_INLINE, "digest fills the key");

static limit_long limit_key_digest(const limit_secret *secret, str key)
{
    uint64_t hash = hash_keyed(key, secret->second, secret->hash[0] ^ secret->second);
    return (limit_long){hash, key.n};
}

void limit_key_set(const limit_secret *secret, limit_key *at, str key)
{
    if (key.n <= LIMIT_KEY_INLINE) {
        at->n = (uint8_t)key.n;
        if (key.n > 0) {
            memcpy(at->data, key.p, key.n);
        }
        return;
    }
    limit_long digest = limit_key_digest(secret, key);
    at->n = LIMIT_KEY_LONG;
    memcpy(at->data, key.p, LIMIT_KEY_HEAD);
    memcpy(at->data + LIMIT_KEY_HEAD, &digest, sizeof digest);
}

bool limit_key_is_long(const limit_secret *secret, const limit_key *at, str key)
{
    if (at->n != LIMIT_KEY_LONG || memcmp(at->data, key.p, LIMIT_KEY_HEAD) != 0) {
        return false;
    }
    limit_long digest = limit_key_digest(secret, key);
    return memcmp(at->data + LIMIT_KEY_HEAD, &digest, sizeof digest) == 0;
}
