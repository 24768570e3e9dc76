/* str.h — a borrowed view of bytes: pointer and length, never owned, not NUL-terminated.
 * Whoever owns the bytes frees them; a str is valid as long as they are. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct str {
    const char *p;
    size_t n;
} str;

#define STR(literal) ((str){"" literal, sizeof(literal) - 1})
#define STR_EMPTY ((str){"", 0})
/* For printf's %.*s */
#define STR_ARG(s) (int)(s).n, (s).p

static inline str str_of(const char *p, size_t n)
{
    return (str){p, n};
}

static inline str str_c(const char *z)
{
    return (str){z, z ? strlen(z) : 0};
}

static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline str str_from(str s, size_t at)
{
    return at >= s.n ? (str){s.p + s.n, 0} : (str){s.p + at, s.n - at};
}

static inline unsigned char str_lower_char(unsigned char c)
{
    return (unsigned char)(c - 'A') < 26 ? (unsigned char)(c | 0x20) : c;
}

/* ASCII case-insensitive. */
bool str_ieq(str a, str b);
bool str_has_prefix(str s, str prefix);
bool str_has_suffix(str s, str suffix);
bool str_has_iprefix(str s, str prefix);
/* Index of the first `c` at or after `from`, or s.n. */
size_t str_find(str s, char c, size_t from);
/* Index of the first `needle`, or s.n. */
size_t str_search(str s, str needle);
/* Without leading and trailing SP and HTAB (RFC 9110 §5.6.3 OWS). */
str str_trim(str s);
/* Cuts the next element off *rest at `sep` and returns it trimmed; false when *rest is used up. */
bool str_split(str *rest, char sep, str *out);
/* Digits only, no sign, no overflow. 0, or ERR_INVALID and *out untouched. */
MUST_USE int str_to_u64(str s, uint64_t *out);
MUST_USE int str_to_i64(str s, int64_t *out);
/* <0, 0, >0 as memcmp, shorter first. */
int str_cmp(str a, str b);

#endif
