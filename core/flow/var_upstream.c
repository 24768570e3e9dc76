/* var_upstream.c — variables of the last upstream answer: its cookies, its trailers; and trailers of ours. */
#include "flow/var_impl.h"

/* Tabs are a part of names and values here. */
static str without_blanks(str s)
{
    while (s.n && s.p[0] == ' ') {
        s = str_from(s, 1);
    }
    while (s.n && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    return s;
}

/* The value of a cookie that Set-Cookie fields of the answer set. */
str var_get_upstream_cookie(req *r, str arg)
{
    const headers *h = &r->fetch.res.h;
    const field *f = r->fetched && h->v ? headers_get(h, STR("Set-Cookie")) : NULL;
    for (; f; f = headers_next(h, f)) {
        str pair = str_of(f->value.p, str_find(f->value, ';', 0));
        size_t eq = str_find(pair, '=', 0);
        if (eq < pair.n && str_ieq(without_blanks(str_of(pair.p, eq)), arg)) {
            return without_blanks(str_from(pair, eq + 1));
        }
    }
    return VAR_ABSENT;
}

str var_get_upstream_trailer(req *r, str arg)
{
    return r->fetched && r->fetch.trailers.v ? var_field(r, &r->fetch.trailers, arg) : VAR_ABSENT;
}

str var_get_sent_trailer(req *r, str arg)
{
    const headers *t = req_trailers(r);
    return t ? var_field(r, t, arg) : VAR_ABSENT;
}

/* There is no cache in this build: nothing was looked up. */
str var_get_upstream_cache_status(req *r, str arg)
{
    (void)r;
    (void)arg;
    return VAR_ABSENT;
}
