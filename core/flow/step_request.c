/* step_request.c — admit, rewrite, limit, access: from a parsed head to a request that may go on. */
#include "base/clock.h"
#include "base/err.h"
#include "flow/access.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/reroute.h"
#include "flow/rewrite.h"
#include "flow/steps.h"
#include "shm/stats.h"

/* A fragment has no place in a target (RFC 9112 §3.2); nginx takes one and forgets it. */
static COLD int without_fragment(req *r, int err)
{
    str target = r->in.target;
    size_t at = str_find(target, '#', 0);
    if (at == target.n || r->plan->conf->g.manners != CONF_MANNERS_NGINX) {
        return err;
    }
    return uri_parse(str_of(target.p, at), (enum method)r->in.method, r->listen->c->merge_slashes, &r->pool, &r->uri);
}

/* The target is split once; an absolute-form target replaces Host (RFC 9112 §3.2.2). */
static int split_target(req *r)
{
    int rc = uri_parse(r->in.target, (enum method)r->in.method, r->listen->c->merge_slashes, &r->pool, &r->uri);
    if (UNLIKELY(rc < 0)) {
        rc = without_fragment(r, rc);
        if (rc < 0) {
            return rc;
        }
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
        rc = split_target(r);
        rc = rc == 0 && UNLIKELY(r->in.method == METHOD_CONNECT) ? ERR_BAD_METHOD : rc;
    }
    if (UNLIKELY(rc < 0)) {
        choose_face(r);
        r->close = true; /* who gets this wrong gets more wrong */
    }
    return rc;
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
        return ++r->redirects > REROUTES_MAX ? ERR_LOOP : STEP_JUMP | STEP_ROUTE;
    }
    return verdict;
}

/* Ops of the chosen route; those of the site itself were run before it was. */
static int run_ops(req *r)
{
    if (r->route == r->site->fallback && r->site->nested) {
        return STEP_NEXT;
    }
    int rc = rewrite_run(r, r->route->rewrites);
    return rc == STEP_NEXT && r->uri_changed ? reroute_again(r) : rc;
}

int step_rewrite(req *r)
{
    if (UNLIKELY(r->route->rewrites)) {
        int rc = run_ops(r);
        if (rc != STEP_NEXT) {
            return rc;
        }
    }
    if (!(r->route->hooks & (1u << PHASE_REWRITE))) {
        return STEP_NEXT;
    }
    return after_hook(r, flow_hooks->run(r, PHASE_REWRITE));
}

int step_access(req *r)
{
    if (UNLIKELY(r->route->guard)) {
        int rc = access_step(r);
        if (rc != STEP_NEXT) {
            return rc;
        }
    }
    if (!(r->route->hooks & (1u << PHASE_ACCESS))) {
        return STEP_NEXT;
    }
    return after_hook(r, flow_hooks->run(r, PHASE_ACCESS));
}
