/* str.c — comparing, searching and converting borrowed views. */
#include "base/str.h"

#include "base/err.h"

enum { SAFE_DIGITS = 19 }; /* any such number fits 64 bits */

/* Compares n bytes without regard to ASCII case. */
static bool same_fold(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i] &&
            str_lower_char((unsigned char)a[i]) != str_lower_char((unsigned char)b[i])) {
            return false;
        }
    }
    return true;
}

bool str_ieq(str a, str b)
{
    return a.n == b.n && same_fold(a.p, b.p, a.n);
}

bool str_has_prefix(str s, str prefix)
{
    return prefix.n == 0 || (s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_has_suffix(str s, str suffix)
{
    return suffix.n == 0 ||
           (s.n >= suffix.n && memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

bool str_has_iprefix(str s, str prefix)
{
    return s.n >= prefix.n && same_fold(s.p, prefix.p, prefix.n);
}

size_t str_find(str s, char c, size_t from)
{
    if (from >= s.n) {
        return s.n;
    }
    const char *at = memchr(s.p + from, c, s.n - from);
    return at ? (size_t)(at - s.p) : s.n;
}

size_t str_search(str s, str needle)
{
    if (needle.n == 0) {
        return 0;
    }
    if (s.n < needle.n) {
        return s.n;
    }
    const char *at = memmem(s.p, s.n, needle.p, needle.n);
    return at ? (size_t)(at - s.p) : s.n;
}

str str_trim(str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

bool str_split(str *rest, char sep, str *out)
{
    if (rest->n == 0) {
        return false;
    }
    size_t at = str_find(*rest, sep, 0);
    *out = str_trim(str_of(rest->p, at));
    *rest = str_from(*rest, at + 1);
    return true;
}

int str_to_u64(str s, uint64_t *out)
{
    if (s.n == 0) {
        return ERR_INVALID;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9 || (i >= SAFE_DIGITS && v > (UINT64_MAX - digit) / 10)) {
            return ERR_INVALID;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return 0;
}

int str_to_i64(str s, int64_t *out)
{
    uint64_t v;
    int rc = str_to_u64(s, &v);
    if (rc < 0) {
        return rc;
    }
    if (v > (uint64_t)INT64_MAX) {
        return ERR_INVALID;
    }
    *out = (int64_t)v;
    return 0;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0) {
        return order;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}
