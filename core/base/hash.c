/* hash.c — SipHash-1-3 (Aumasson and Bernstein; one round per word, three at the end, as in the
 * Rust and Python tables: enough against hash flooding, half the cost of 2-4) and CRC-32C by table.
 */
#include "base/hash.h"

#include "base/rand.h"

static struct {
    uint64_t k0, k1;
    bool is_set;
} seed;

typedef struct sip {
    uint64_t a, b, c, d;
} sip;

static inline uint64_t rotl(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(sip *s)
{
    s->a += s->b;
    s->b = rotl(s->b, 13) ^ s->a;
    s->a = rotl(s->a, 32);
    s->c += s->d;
    s->d = rotl(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotl(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotl(s->b, 17) ^ s->c;
    s->c = rotl(s->c, 32);
}

static inline uint64_t load_le64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* The last n % 8 bytes as a little-endian word, by overlapping loads: a loop over them was a
 * quarter of the hash of a short key. */
static inline uint64_t load_tail(const char *p, size_t n)
{
    size_t rest = n & 7;
    const unsigned char *tail = (const unsigned char *)p + (n - rest);
    if (rest == 0) {
        return 0;
    }
    if (n >= 8) {
        return load_le64(p + n - 8) >> (8 * (8 - rest));
    }
    if (rest >= 4) {
        uint64_t low =
            tail[0] | (uint64_t)tail[1] << 8 | (uint64_t)tail[2] << 16 | (uint64_t)tail[3] << 24;
        uint64_t high = tail[rest - 4] | (uint64_t)tail[rest - 3] << 8 |
                        (uint64_t)tail[rest - 2] << 16 | (uint64_t)tail[rest - 1] << 24;
        return low | high << (8 * (rest - 4));
    }
    return tail[0] | (uint64_t)tail[rest / 2] << (8 * (rest / 2)) |
           (uint64_t)tail[rest - 1] << (8 * (rest - 1));
}

uint64_t hash_keyed(str s, uint64_t k0, uint64_t k1)
{
    sip v = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
             k1 ^ 0x7465646279746573u};
    size_t whole = s.n & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = load_le64(s.p + i);
        v.d ^= word;
        sip_round(&v);
        v.a ^= word;
    }
    uint64_t last = (uint64_t)s.n << 56 | load_tail(s.p, s.n);
    v.d ^= last;
    sip_round(&v);
    v.a ^= last;
    v.c ^= 0xff;
    sip_round(&v);
    sip_round(&v);
    sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

void hash_seed(uint64_t k0, uint64_t k1)
{
    seed.k0 = k0;
    seed.k1 = k1;
    seed.is_set = true;
}

uint64_t hash_bytes(str s)
{
    if (UNLIKELY(!seed.is_set)) {
        uint64_t k[2];
        rand_secure(k, sizeof k);
        hash_seed(k[0], k[1]);
    }
    return hash_keyed(s, seed.k0, seed.k1);
}

/* Reflected CRC-32C polynomial (RFC 3720 §12.1). */
static const uint32_t *crc_table(uint32_t *table, uint32_t poly)
{
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++) {
                c = c & 1 ? c >> 1 ^ poly : c >> 1;
            }
            table[i] = c;
        }
    }
    return table;
}

static uint32_t crc_update(const uint32_t *table, uint32_t crc, str s)
{
    crc = ~crc;
    for (size_t i = 0; i < s.n; i++) {
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)s.p[i]) & 0xff];
    }
    return ~crc;
}

uint32_t hash_crc32c(uint32_t crc, str s)
{
    static uint32_t table[256];
    return crc_update(crc_table(table, 0x82f63b78u), crc, s);
}

uint32_t hash_crc32(uint32_t crc, str s)
{
    static uint32_t table[256];
    return crc_update(crc_table(table, 0xedb88320u), crc, s);
}

uint32_t hash_murmur2(str s)
{
    const uint32_t mul = 0x5bd1e995;
    uint32_t h = (uint32_t)s.n;
    const unsigned char *p = (const unsigned char *)s.p;
    size_t left = s.n;
    for (; left >= 4; p += 4, left -= 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= mul;
        k ^= k >> 24;
        h = h * mul ^ k * mul;
    }
    if (left) {
        for (size_t i = left; i-- > 0;) {
            h ^= (uint32_t)p[i] << 8 * i;
        }
        h *= mul;
    }
    h ^= h >> 13;
    h *= mul;
    return h ^ h >> 15;
}
