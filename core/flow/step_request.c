/* step_request.c — admit, route, rewrite, limit, access: from a parsed head to a request that may go on. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fmt.h"
#include "flow/body.h"
#include "flow/hook.h"
#include "flow/limits.h"
#include "flow/plan.h"
#include "flow/realip.h"
#include "flow/redirect.h"
#include "flow/route.h"
#include "flow/route_nginx.h"
#include "flow/steps.h"
#include "shm/stats.h"

enum { MAX_REROUTES = 10 };

/* The target is split once; an absolute-form target replaces Host (RFC 9112 §3.2.2). */
static int split_target(req *r)
{
    int rc = uri_parse(r->in.target, (enum method)r->in.method, r->listen->c->merge_slashes, &r->pool, &r->uri);
    if (rc < 0) {
        return rc;
    }
    if (UNLIKELY(r->uri.authority.n)) {
        r->host_field = r->uri.authority;
        rc = uri_host(r->host_field, &r->pool, &r->host, &r->port);
        field *said = headers_find(&r->in.h, TOKEN_HOST);
        if (said) {
            said->value = r->host_field; /* hooks and matchers must not see another host than the router */
        }
    } else {
        const field *host = headers_find(&r->in.h, TOKEN_HOST);
        r->host_field = host ? host->value : STR_EMPTY;
        r->host = r->in.host; /* the parser checked and lower-cased it */
        r->port = r->in.port;
    }
    r->path = r->uri.path;
    r->query = r->uri.query;
    return rc;
}

/* A request that goes no further is answered in the name of a site: its header fields, its log. */
static void choose_face(req *r)
{
    const field *host = r->host.n || !r->in.h.n ? NULL : headers_find(&r->in.h, TOKEN_HOST);
    if (host && uri_host(host->value, &r->pool, &r->host, &r->port) < 0) {
        r->host = STR_EMPTY;
    }
    site *s = plan_site(r->listen, r->host, &r->pool, &r->host_match);
    const struct conf_ints *all = &r->listen->c->sites;
    if (!s && all->n == 1) {
        s = &r->plan->sites[all->v[0]]; /* there is no other it could be meant for */
    }
    if (s) {
        r->site = s;
        r->route = s->fallback;
    }
}

int step_admit(req *r)
{
    stats_add(STAT_REQUESTS, 1);
    stats_add(STAT_REQUESTS_ACTIVE, 1);
    int rc = r->err_at_start;
    if (LIKELY(rc == 0)) {
        rc = r->in.method == METHOD_CONNECT ? ERR_BAD_METHOD : split_target(r);
    }
    if (UNLIKELY(rc < 0)) {
        choose_face(r);
        r->close = true; /* who gets this wrong gets more wrong */
    }
    return rc;
}

static int find_site(req *r)
{
    r->site = plan_site(r->listen, r->host, &r->pool, &r->host_match);
    if (!r->site) {
        return r->client.tls ? ERR_MISDIRECTED : ERR_NO_ROUTE;
    }
    if (r->site->ntrust) {
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

/* Between here and the upstream only hooks and answers of our own would have a say: without them the rows in between are not run. */
static bool goes_straight_up(const req *r)
{
    enum { BEFORE = 1u << PHASE_REWRITE | 1u << PHASE_ACCESS };
    return r->group && !r->route->guard && !(r->route->hooks & BEFORE) && (!r->route->c->slash_redirect || r->site->nested);
}

static int apply_route(req *r)
{
    const struct conf_route *c = r->route->c;
    r->group = r->route->group;
    if (c->total_timeout && !timer_is_set(&r->total)) {
        timer_set(r->l, &r->total, c->total_timeout);
    }
    if (r->in.body != MSG_BODY_NONE) {
        if (r->in.body == MSG_BODY_LENGTH && c->body_limit && r->in.length > c->body_limit) {
            return ERR_BODY_TOO_LARGE;
        }
        if (!r->body) {
            r->body = body_new(r);
        }
    }
    return goes_straight_up(r) ? STEP_JUMP | STEP_PICK : STEP_NEXT;
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
    if (UNLIKELY(rt->c->slash_redirect) && rt->c->match != CONF_MATCH_REGEX && r->path.n + 1 == rt->c->pattern.n) {
        int rc = redirect_to_slash(r);
        return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
    }
    return apply_route(r);
}

int step_route(req *r)
{
    if (!r->site || r->redirects) {
        int rc = find_site(r);
        if (rc < 0) {
            return rc;
        }
    }
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

/* What a hook decided, in terms of the table. */
static int after_hook(req *r, int verdict)
{
    if (LIKELY(verdict == HOOK_NEXT)) {
        return STEP_NEXT;
    }
    if (verdict == ERR_AGAIN) {
        r->wait = REQ_WAIT_SCRIPT;
        return STEP_WAIT_HERE;
    }
    if (verdict == HOOK_ANSWER) {
        return STEP_JUMP | STEP_REPLY;
    }
    if (verdict == HOOK_REROUTE) {
        return ++r->redirects > MAX_REROUTES ? ERR_LOOP : STEP_JUMP | STEP_ROUTE;
    }
    return verdict;
}

int step_rewrite(req *r)
{
    if (!(r->route->hooks & (1u << PHASE_REWRITE))) {
        return STEP_NEXT;
    }
    return after_hook(r, flow_hooks->run(r, PHASE_REWRITE));
}

int step_limit(req *r)
{
    return LIKELY(!r->route->guard) ? STEP_NEXT : limits_step(r);
}

int step_access(req *r)
{
    if (!(r->route->hooks & (1u << PHASE_ACCESS))) {
        return STEP_NEXT;
    }
    return after_hook(r, flow_hooks->run(r, PHASE_ACCESS));
}
