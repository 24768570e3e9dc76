/* errand.c — see errand.h. */
#include "flow/errand.h"

#include "base/err.h"
#include "flow/body.h"
#include "flow/exchange_impl.h"
#include "flow/filter_rate.h"
#include "flow/retouch.h"
#include "flow/target.h"
#include "flow/tmpl.h"
#include "http/status.h"

int errand_first(const req *r)
{
    return r->errand ? r->errand->first : 0;
}

struct errand *errand_of(req *r)
{
    if (!r->errand || r->errand->route != r->route) {
        r->errand = pool_zalloc(&r->pool, sizeof *r->errand);
        r->errand->route = r->route;
        r->errand->first = r->nattempts;
        r->stale_retries = 0;
        r->fetch_method = STR_EMPTY;
    }
    return r->errand;
}

void errand_anew(req *r)
{
    if (r->nattempts) {
        r->errand = pool_zalloc(&r->pool, sizeof *r->errand);
        r->errand->first = r->nattempts;
        r->stale_retries = 0;
        r->fetch_method = STR_EMPTY;
    }
}

/* The client's body is taken in first: the template may look at it, and the connection must be free of it afterwards. */
static int replace_body(req *r, const struct exchange *x)
{
    struct errand *e = errand_of(r);
    if (e->replaced || (!x->body && x->c->send_body)) {
        return 0;
    }
    int rc = r->body ? body_hold(r) : 0;
    if (rc < 0) {
        return rc;
    }
    e->replaced = true;
    if (x->body) {
        body_replace(r, tmpl_eval(x->body, r));
    } else if (r->body) {
        body_replace(r, STR_EMPTY);
    }
    return 0;
}

int errand_prepare(req *r)
{
    const struct exchange *x = r->route->exchange;
    (void)errand_of(r);
    int rc = replace_body(r, x);
    return rc == 0 && x->target ? target_evaluate(r) : rc;
}

bool errand_passes_interim(req *r)
{
    const struct exchange *x = r->route->exchange;
    if (!x || x->c->interim) {
        return true;
    }
    for (int i = 0; i < x->c->hints.n; i++) {
        str v = tmpl_eval(x->hints[i], r);
        if (v.n && !str_eq(v, STR("0"))) {
            return true;
        }
    }
    return false;
}

void errand_take_rate(req *r)
{
    const field *limit = headers_find(&r->fetch.res.h, TOKEN_X_ACCEL_LIMIT_RATE);
    if (limit && exchange_heeds(r, TOKEN_X_ACCEL_LIMIT_RATE) && rate_parse(limit->value) >= 0) {
        rate_say(r, rate_parse(limit->value));
    }
}

void errand_change_head(req *r)
{
    const struct exchange *x = r->route->exchange;
    if (x->retouch) {
        retouch_apply(x->retouch, r);
    }
    r->fetch.drop_trailers = !x->c->trailers;
    errand_take_rate(r);
    if (x->c->force_ranges) {
        r->allows |= REQ_ALLOWS_RANGES | REQ_ALLOWS_ONE_RANGE;
    }
    if (r->fetch.method == METHOD_HEAD && r->in.method != METHOD_HEAD && !status_has_no_body(r->res.status)) {
        headers_remove_token(&r->res.h, TOKEN_CONTENT_LENGTH); /* it tells of a body that was not asked for */
        r->res.body = MSG_BODY_LENGTH;
        r->res.length = 0;
    }
}
