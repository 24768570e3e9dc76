/* hash.h — siphash-1-3 for tables whose keys a peer chooses, crc32c for consistent hashing and bundles' checks. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

/* Keyed with a per-process random seed (hash_seed once at start); not stable between processes. */
uint64_t hash_bytes(str s);
void hash_seed(uint64_t k0, uint64_t k1);
/* Same with an explicit key: stable, for shared memory and for hashes users see. */
uint64_t hash_keyed(str s, uint64_t k0, uint64_t k1);
uint32_t hash_crc32c(uint32_t crc, str s);
/* The CRC of zlib, for hashes that must agree with other programs'. */
uint32_t hash_crc32(uint32_t crc, str s);
/* MurmurHash2 with seed 0, which others share out clients with. */
uint32_t hash_murmur2(str s);

#endif
