/* step_route.c — which site and which route a request belongs to, and what holds for it from there on. */
#include "base/err.h"
#include "base/fmt.h"
#include "conf/conf.h"
#include "flow/body.h"
#include "flow/client_cert.h"
#include "flow/error.h"
#include "flow/plan.h"
#include "flow/realip.h"
#include "flow/redirect.h"
#include "flow/rewrite.h"
#include "flow/route.h"
#include "flow/route_nginx.h"
#include "flow/steps.h"
#include "flow/uservar.h"

/* nginx takes a request with two of these for a mistake, though some of them are lists (RFC 9110 §13.1). */
static const enum token once[] = {TOKEN_IF_MODIFIED_SINCE, TOKEN_IF_UNMODIFIED_SINCE, TOKEN_IF_MATCH, TOKEN_IF_NONE_MATCH,
                                  TOKEN_IF_RANGE, TOKEN_CONTENT_RANGE, TOKEN_AUTHORIZATION};

static COLD bool repeats(const headers *h)
{
    for (size_t i = 0; i < ARRAY_LEN(once); i++) {
        const field *f = headers_find(h, once[i]);
        if (f && headers_next(h, f)) {
            return true;
        }
    }
    return false;
}

static inline bool has_any_of_once(const headers *h)
{
    uint64_t mask[2] = {0, 0}; /* folded by the compiler */
    for (size_t i = 0; i < ARRAY_LEN(once); i++) {
        mask[once[i] >> 6] |= 1ull << (once[i] & 63);
    }
    return (h->seen[0] & mask[0]) | (h->seen[1] & mask[1]);
}

/* What nginx refuses before anything is done with a request. */
static inline int judge_head(req *r)
{
    bool traces = r->in.method == METHOD_TRACE; /* nothing of a request is echoed */
    if (LIKELY(!traces && !(has_any_of_once(&r->in.h) && repeats(&r->in.h)))) {
        return 0;
    }
    r->route = r->site->fallback;
    r->close = true;
    return traces ? ERR_BAD_METHOD : ERR_BAD_FIELD_VALUE;
}

static int find_site(req *r)
{
    r->site = plan_site(r->listen, r->host, &r->pool, &r->host_match);
    if (!r->site) {
        return r->client.tls ? ERR_MISDIRECTED : ERR_NO_ROUTE;
    }
    if (UNLIKELY(!r->site->c->http2) && r->in.version == HTTP_2) {
        return ERR_MISDIRECTED;
    }
    if (r->site->trust) {
        realip_apply(r);
    }
    return 0;
}

static str allow_of(req *r, uint32_t mask)
{
    char buf[128];
    fmt f = fmt_of(buf, sizeof buf);
    for (int m = METHOD_GET; m < METHOD_COUNT; m++) {
        if (mask & (1u << m)) {
            fmt_put(&f, f.p > f.base ? STR(", ") : STR_EMPTY);
            fmt_put(&f, method_name((enum method)m));
        }
    }
    return pool_dup(&r->pool, fmt_str(&f));
}

/* A path that exists for other methods only: 405 with Allow (RFC 9110 §15.5.6). */
static int method_not_allowed(req *r, uint32_t allowed)
{
    req_reply(r, 405, STR("405 Method Not Allowed\n"), STR_EMPTY);
    int rc = headers_set(&r->res.h, STR("Allow"), allow_of(r, allowed));
    return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
}

static int apply_route(req *r)
{
    const struct conf_route *c = r->route->c;
    r->group = r->route->group;
    if (c->total_timeout && !timer_is_set(&r->total)) {
        timer_set(r->l, &r->total, c->total_timeout);
    }
    if (r->in.body != MSG_BODY_NONE) {
        bool told = r->err_status == 413; /* on the way to the page that says so */
        if (r->in.body == MSG_BODY_LENGTH && c->body_limit && r->in.length > c->body_limit && !told) {
            return ERR_BODY_TOO_LARGE;
        }
        if (!r->body && !told) {
            r->body = body_new(r);
        }
    }
    return r->route->straight ? STEP_JUMP | STEP_PICK : STEP_NEXT;
}

void req_take_route(req *r, const route *rt)
{
    bool keeps = !rt->except || (r->in.method != METHOD_OTHER && (rt->except_methods >> r->in.method & 1));
    r->route = keeps ? rt : rt->except;
}

/* The route by nginx's rules; what none takes is the server's own. */
static int route_nested(req *r)
{
    bool failed = false;
    const route *rt = route_nginx_find(r->site->nested, r, &failed);
    if (failed) {
        return ERR_LIMIT;
    }
    if (!rt) {
        r->route = r->site->fallback;
        return r->route ? apply_route(r) : ERR_NO_ROUTE;
    }
    req_take_route(r, rt);
    if (UNLIKELY(r->route->capture && r->captures)) {
        capture_take(r->route->capture, r, r->capture_subject, r->captures);
    }
    if (UNLIKELY(r->route->c->internal && !r->internal)) {
        return ERR_NOT_FOUND;
    }
    if (UNLIKELY(rt->c->slash_redirect) && rt->c->match != CONF_MATCH_REGEX && r->path.n + 1 == rt->c->pattern.n) {
        int rc = redirect_to_slash(r);
        return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
    }
    return apply_route(r);
}

/* A request comes in, or to another URI: the site, and what it does before a route is chosen. */
static int enter_site(req *r)
{
    if (!r->site || (r->redirects && !r->internal && !r->sub)) {
        int rc = find_site(r);
        if (rc < 0) {
            return rc;
        }
        if (r->site->nested && (rc = judge_head(r)) < 0) {
            return rc;
        }
        if (UNLIKELY(r->site->asks_cert) && r->client.tls && (rc = client_cert_judge(r)) > 0) {
            r->close = true;
            r->route = r->site->fallback; /* its logs and error pages */
            return error_status(r, rc);
        }
    }
    const route *own = r->site->fallback;
    if (LIKELY(!own || !own->rewrites) || !r->site->nested) {
        return STEP_NEXT;
    }
    r->route = own;
    int rc = rewrite_run(r, own->rewrites);
    r->uri_changed = false;
    return rc;
}

int step_route(req *r)
{
    if (LIKELY(!r->stay)) {
        int rc = enter_site(r);
        if (rc != STEP_NEXT) {
            return rc;
        }
    }
    r->stay = false;
    r->tried_below = false;
    if (r->site->nested) {
        return route_nested(r);
    }
    uint32_t allowed = 0;
    r->route = route_find(r->site->table, r, &allowed);
    if (UNLIKELY(!r->route)) {
        if (allowed == ROUTE_FAILED) {
            return ERR_LIMIT; /* the fallback is for what no route was meant for */
        }
        r->route = r->site->fallback;
        if (allowed) {
            return method_not_allowed(r, allowed);
        }
        if (!r->route) {
            return ERR_NO_ROUTE;
        }
    }
    return apply_route(r);
}
