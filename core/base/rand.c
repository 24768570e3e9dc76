/* rand.c — xoshiro256** (Blackman and Vigna) for everything that is no secret. */
#include "base/rand.h"

#include "base/check.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t state[4];

void rand_secure(void *buf, size_t n)
{
    char *at = buf;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno != EINTR) {
            fatal("getrandom failed: errno %d", errno);
        }
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

void rand_seed(void)
{
    do {
        rand_secure(state, sizeof state);
    } while (
        !(state[0] | state[1] | state[2] | state[3])); /* the one state that never leaves itself */
}

static inline uint64_t rotl(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

uint64_t rand_u64(void)
{
    if (UNLIKELY(!(state[0] | state[1] | state[2] | state[3]))) {
        rand_seed();
    }
    uint64_t result = rotl(state[1] * 5, 7) * 9;
    uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotl(state[3], 45);
    return result;
}

uint32_t rand_below(uint32_t n)
{
    /* multiply and shift: the bias is below n / 2^32, nothing here can tell */
    return (uint32_t)(((rand_u64() >> 32) * n) >> 32);
}
