/* basic.c — see basic.h. */
#include "flow/basic.h"

#include "base/base64.h"

bool basic_read(req *r, struct basic *out)
{
    const field *f = headers_find(&r->in.h, TOKEN_AUTHORIZATION);
    if (!f || !str_has_iprefix(f->value, STR("basic "))) {
        return false;
    }
    str coded = str_trim(str_from(f->value, 6));
    char *plain = pool_alloc(&r->pool, base64_room(coded.n));
    ssize_t n = base64_decode(coded, (uint8_t *)plain);
    if (n < 0) {
        return false;
    }
    str pair = str_of(plain, (size_t)n);
    size_t colon = str_find(pair, ':', 0);
    if (colon == pair.n) {
        return false;
    }
    *out = (struct basic){str_of(pair.p, colon), str_from(pair, colon + 1)};
    return true;
}
