/* cookie.c — pairs of a Cookie field. Lenient as servers are: no space after ";" is fine, a pair
 * without "=" is skipped, quotes around a value are taken off. */
#include "http/cookie.h"

bool cookie_next(str *rest, str *name, str *value)
{
    str pair;
    while (str_split(rest, ';', &pair)) {
        size_t eq = str_find(pair, '=', 0);
        if (eq == 0 || eq == pair.n) {
            continue;
        }
        *name = str_trim(str_of(pair.p, eq));
        *value = str_trim(str_from(pair, eq + 1));
        if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"') {
            *value = str_of(value->p + 1, value->n - 2);
        }
        return true;
    }
    return false;
}

bool cookie_get(const headers *h, str name, str *value)
{
    for (const field *f = headers_find(h, TOKEN_COOKIE); f; f = headers_next(h, f)) {
        str rest = f->value;
        str found;
        while (cookie_next(&rest, &found, value)) {
            if (str_eq(found, name)) {
                return true;
            }
        }
    }
    return false;
}

bool cookie_get_raw(const headers *h, str name, str *value)
{
    for (const field *f = headers_find(h, TOKEN_COOKIE); f; f = headers_next(h, f)) {
        str rest = f->value, found;
        while (cookie_next(&rest, &found, value)) {
            if (!str_ieq(found, name)) {
                continue;
            }
            if (value->p > f->value.p && value->p[-1] == '"') {
                *value = str_of(value->p - 1, value->n + 2); /* both quotes were taken off */
            }
            return true;
        }
    }
    return false;
}
