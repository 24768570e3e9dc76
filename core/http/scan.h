/* scan.h — finding the next byte that may not stand in a target or a field value, 16 bytes at a
 * time with SSE2 (8 without).
 *
 * `lo` is the lowest address that may be read: the last, short step reads the 16 bytes that end at
 * `end` again, so that no byte past the input is touched and short tails need no loop. Inline
 * because the parser calls it for every field. */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include "base/attr.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>

enum { SCAN_STEP = 16 };

/* Bit per byte that is <= top or DEL. */
static inline uint32_t scan_bits(const char *p, unsigned char top)
{
    __m128i x = _mm_loadu_si128((const __m128i_u *)p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)top)), x);
    __m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(low, del));
}

static inline unsigned scan_first(uint32_t bits)
{
    return (unsigned)__builtin_ctz(bits);
}

static inline uint32_t scan_skip(uint32_t bits, unsigned bytes)
{
    return bits >> bytes;
}
#else
enum { SCAN_STEP = 8 };

/* 0x80 in each byte that is <= top (< 0x80) or DEL. */
static inline uint64_t scan_bits(const char *p, unsigned char top)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t x;
    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    uint64_t low7 = x & ~highs;
    /* no carry leaves a byte: bit 7 of low7 + (127 - top) says low7 > top */
    uint64_t above = low7 + ones * (127u - top);
    uint64_t not_del = (low7 ^ ~highs) + ~highs;
    return ~(above & not_del) & ~x & highs;
}

static inline unsigned scan_first(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits) / 8;
}

static inline uint64_t scan_skip(uint64_t bits, unsigned bytes)
{
    return bits >> (8 * bytes);
}
#endif

/* scan_until for an input of at least SCAN_STEP bytes; last = end - SCAN_STEP. */
static inline const char *scan_long(const char *p, const char *last, const char *end,
                                    unsigned char top)
{
    while (LIKELY(p <= last)) {
        __typeof__(scan_bits(p, top)) bits = scan_bits(p, top);
        if (bits) {
            return p + scan_first(bits);
        }
        p += SCAN_STEP;
    }
    if (p >= end) {
        return end;
    }
    __typeof__(scan_bits(p, top)) bits = scan_skip(scan_bits(last, top), (unsigned)(p - last));
    return bits ? p + scan_first(bits) : end;
}

/* The first byte in [p, end) that is <= top (top < 0x7f) or DEL; `end` when there is none. lo <= p
 * <= end. */
static inline const char *scan_until(const char *lo, const char *p, const char *end,
                                     unsigned char top)
{
    if (LIKELY(end - lo >= SCAN_STEP)) {
        return scan_long(p, end - SCAN_STEP, end, top);
    }
    while (p < end && (unsigned char)*p > top && *p != 0x7f) {
        p++;
    }
    return p;
}

#endif
