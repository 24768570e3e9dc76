/* token_wide.h — the parser's way into the token table: a name that ends in ":" among bytes of
 * which TOKEN_WIDE can be read, whatever stands after it, found with one hash, one multiply and one
 * vector comparison. Inline because it runs for every field; everyone else calls token_find. */
#ifndef HTTP_TOKEN_WIDE_H
#define HTTP_TOKEN_WIDE_H

#include "http/token.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { TOKEN_WIDE = 32, TOKEN_SLOT_BITS = 10 };

/* One entry of token.c's table. */
typedef struct token_entry {
    _Alignas(128) char name[TOKEN_WIDE]; /* lower case, a colon, NULs */
    char fold[TOKEN_WIDE];               /* 0x20 under letters, 0 elsewhere */
    char wire[TOKEN_WIDE];               /* as usually written */
    uint32_t mask; /* n + 1 bits; 0 in the entry of TOKEN_NONE, which so matches everything */
    uint32_t n;
    uint8_t flags;
} token_entry;
extern struct token_table {
    token_entry v[TOKEN_COUNT];
    uint32_t multiplier; /* 0: not set up */
    uint8_t slots[1 << TOKEN_SLOT_BITS];
} token_table;

static inline uint32_t token_slot(const char *p, size_t n, uint32_t multiplier)
{
    uint16_t first, last;
    memcpy(&first, p, 2);
    memcpy(&last, p + n - 2, 2);
    uint32_t key = (((uint32_t)last << 16 | first) | 0x20202020u) + (uint32_t)n * 0x01000193u;
    return (key * multiplier) >> (32 - TOKEN_SLOT_BITS);
}

#ifdef __SSE2__
static inline __m128i token_load(const char *p)
{
    return _mm_loadu_si128((const __m128i_u *)p);
}

static inline uint32_t token_equal(const char *p, __m128i want)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(token_load(p), want));
}

static inline uint32_t token_equal_folded(const char *p, const token_entry *e, size_t at)
{
    __m128i fold = _mm_load_si128((const __m128i *)(const void *)(e->fold + at));
    __m128i name = _mm_load_si128((const __m128i *)(const void *)(e->name + at));
    return (uint32_t)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_or_si128(token_load(p + at), fold), name));
}

/* Bit per byte in [low, low + count). */
static inline __m128i token_in_range(__m128i x, char low, char count)
{
    __m128i off = _mm_sub_epi8(x, _mm_set1_epi8(low));
    return _mm_cmpeq_epi8(_mm_min_epu8(off, _mm_set1_epi8((char)(count - 1))), off);
}

static inline uint32_t token_simple_bits(const char *p)
{
    __m128i x = token_load(p);
    __m128i letter = token_in_range(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 26);
    __m128i digit = token_in_range(x, '0', 10);
    __m128i dash = _mm_cmpeq_epi8(x, _mm_set1_epi8('-'));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), dash));
}

/* Length of the name at p: bytes before the first ":", 0 when there is none among TOKEN_WIDE. */
static inline size_t token_length(const char *p)
{
    __m128i colon = _mm_set1_epi8(':');
    uint32_t hit = token_equal(p, colon);
    if (UNLIKELY(!hit)) {
        hit = token_equal(p + 16, colon) << 16;
    }
    return hit ? (unsigned)__builtin_ctz(hit) : 0;
}

/* The name has only letters, digits and dashes and is not empty. */
static inline bool token_is_simple(const char *p, size_t n)
{
    uint32_t mask = ((uint32_t)1 << n) - 1;
    return n > 0 && (mask & ~(token_simple_bits(p) | token_simple_bits(p + 16) << 16)) == 0;
}
#else
static inline size_t token_length(const char *p)
{
    const char *colon = memchr(p, ':', TOKEN_WIDE);
    return colon ? (size_t)(colon - p) : 0;
}

static inline bool token_is_simple(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((unsigned char)((c | 0x20) - 'a') > 25 && (unsigned char)(c - '0') > 9 && c != '-') {
            return false;
        }
    }
    return n > 0;
}
#endif

/* token_find for a name that its colon follows at p[n]. The entry holds the colon too, so that one
 * comparison judges name and length. */
static inline enum token token_find_wide(const char *p, size_t n)
{
    if (UNLIKELY(n < 2)) {
        return TOKEN_NONE;
    }
    size_t t = token_table.slots[token_slot(p, n, token_table.multiplier)];
    const token_entry *e = &token_table.v[t];
#ifdef __SSE2__
    uint32_t same = token_equal_folded(p, e, 0);
    if (UNLIKELY(n >= 16)) {
        same |= token_equal_folded(p, e, 16) << 16;
    }
    return LIKELY((~same & e->mask) == 0) ? (enum token)t : TOKEN_NONE;
#else
    for (size_t i = 0; i <= n; i++) {
        if ((p[i] | e->fold[i]) != e->name[i]) {
            return TOKEN_NONE;
        }
    }
    return (enum token)t;
#endif
}

#endif
