/* elsewhere.c — see elsewhere.h. What such an answer says about the content it stands for goes along with the request. */
#include "flow/elsewhere.h"

#include "base/err.h"
#include "flow/errand.h"
#include "flow/error.h"
#include "flow/exchange_impl.h"
#include "flow/reroute.h"

/* Into the answer that will be made; the upstream's bytes will be gone by then. */
static int take_along(req *r, const field *f)
{
    if (!r->extra.pool) {
        headers_init(&r->extra, &r->pool);
    }
    return headers_add(&r->extra, pool_dup(&r->pool, f->name), pool_dup(&r->pool, f->value));
}

static int take_all(req *r, str name)
{
    int rc = 0;
    for (const field *f = headers_get(&r->fetch.res.h, name); f && rc == 0; f = headers_next(&r->fetch.res.h, f)) {
        rc = take_along(r, f);
    }
    return rc;
}

/* A path that climbs is no place to send anybody. */
static bool is_safe(str path)
{
    str rest = path, part;
    while (str_split(&rest, '/', &part)) {
        if (str_eq(part, STR(".."))) {
            return false;
        }
    }
    return path.n > 0 && path.p[0] == '/' && memchr(path.p, '\0', path.n) == NULL;
}

static int follow(req *r, str to)
{
    static const char *const kept[] = {"Content-Type", "Set-Cookie", "Content-Disposition", "Cache-Control", "Expires", "Accept-Ranges"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        int rc = take_all(r, str_c(kept[i]));
        if (rc < 0) {
            return rc;
        }
    }
    errand_take_rate(r);
    to = pool_dup(&r->pool, to);
    if (to.p[0] == '@') {
        return reroute_named(r, to);
    }
    size_t end = str_find(to, '?', 0);
    str path = uri_decode(str_of(to.p, end), false, &r->pool);
    if (!is_safe(path)) {
        return error_status(r, 404);
    }
    if (r->in.method != METHOD_HEAD) {
        r->in.method = METHOD_GET;
        r->in.method_name = STR("GET");
    }
    return reroute_uri(r, path, str_from(to, end + 1));
}

int elsewhere(req *r)
{
    const struct exchange *x = r->route->exchange;
    const headers *h = &r->fetch.res.h;
    int status = r->fetch.res.status;
    if (x->c->intercept_errors && status >= 300 && reroute_has_error(r, status)) {
        int rc = status == 401 ? take_all(r, STR("WWW-Authenticate")) : 0;
        return rc < 0 ? rc : reroute_error(r, status);
    }
    const field *to = headers_find(h, TOKEN_X_ACCEL_REDIRECT);
    return to && to->value.n && exchange_heeds(r, TOKEN_X_ACCEL_REDIRECT) ? follow(r, to->value) : 0;
}
