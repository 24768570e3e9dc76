/* base64.h — base64 of RFC 4648, both alphabets, read as far as the first '='. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/str.h"

#include <stdint.h>
#include <sys/types.h>

/* Bytes that decoding `n` characters may need. */
static inline size_t base64_room(size_t n)
{
    return n / 4 * 3 + 3;
}

/* Writes at most base64_room(s.n) bytes; returns how many, or -1: a character that does not belong, or a length that cannot be. */
MUST_USE ssize_t base64_decode(str s, uint8_t *out);

#endif
