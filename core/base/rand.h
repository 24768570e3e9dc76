/* rand.h — fast per-process PRNG (balancing, jitter, ids) seeded by getrandom(2); rand_secure for secrets. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Once per process, again after fork. */
void rand_seed(void);
uint64_t rand_u64(void);
/* 0 <= x < n, n > 0. */
uint32_t rand_below(uint32_t n);
void rand_secure(void *buf, size_t n);

#endif
