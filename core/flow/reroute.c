/* reroute.c — see reroute.h. */
#include "flow/reroute.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/attempt.h"
#include "flow/body.h"
#include "flow/errand.h"
#include "flow/error.h"
#include "flow/plan.h"
#include "flow/redirect.h"
#include "flow/route.h"
#include "flow/signature.h"
#include "flow/steps.h"
#include "flow/tmpl.h"

#include <stdio.h>

struct error_pages {
    int n;
    struct error_entry {
        int status, last, answer;
        tmpl *target;
    } v[];
};

error_pages *error_pages_new(const struct conf_errorpages *c, const route *rt, pool *p, char *err, size_t errcap)
{
    error_pages *e = pool_zalloc(p, sizeof *e + sizeof e->v[0] * (size_t)c->n);
    for (int i = 0; i < c->n; i++) {
        struct error_entry *to = &e->v[e->n++];
        int status = (int)c->v[i].status, last = (int)c->v[i].last;
        *to = (struct error_entry){.status = status, .last = last ? last : status, .answer = (int)c->v[i].answer};
        to->target = tmpl_compile_for(c->v[i].target.p ? c->v[i].target : STR_EMPTY, rt, p, err, errcap);
        if (!to->target) {
            return NULL;
        }
    }
    return e;
}

static const struct error_entry *entry_of(const req *r, int status)
{
    const error_pages *e = r->route ? r->route->error_pages : NULL;
    if (!e || r->in_error_page || r->redirects >= REROUTES_MAX) {
        return NULL;
    }
    for (int i = 0; i < e->n; i++) {
        if (status >= e->v[i].status && status <= e->v[i].last) {
            return &e->v[i];
        }
    }
    return NULL;
}

bool reroute_has_error(const req *r, int status)
{
    return entry_of(r, status) != NULL;
}

/* ---- letting go of what was on its way to become the answer */

static void drop_upstream(req *r)
{
    if (r->fetching) {
        r->fetch.want_close |= !r->fetch.body_done || !r->fetch.upload_done;
        attempt_end(r, 0, false);
        attempt_let_go(r);
    }
    r->lease_started = r->pick_fresh = r->upload_on_client = r->fetch_tunnel = false;
    r->pinned_peer = STR_EMPTY;
    if (r->body && body_is_replayable(r->body)) {
        body_rewind(r->body);
    }
    errand_anew(r);
}

static int keep_location(req *r)
{
    const field *f = r->res.h.pool && r->has_reply ? headers_get(&r->res.h, STR("Location")) : NULL;
    if (!f) {
        return 0;
    }
    if (!r->extra.pool) {
        headers_init(&r->extra, &r->pool);
    }
    return headers_set(&r->extra, STR("Location"), f->value);
}

static int drop_answer(req *r)
{
    int rc = keep_location(r);
    drop_upstream(r);
    msg_init(&r->res, &r->pool);
    r->has_reply = r->error_page = r->no_buffer = false;
    r->reply_body = STR_EMPTY;
    r->reply_stage = 0;
    r->allows = 0;
    r->err = 0;
    r->timed_out = r->total_expired;
    return rc;
}

static int count(req *r, const char *what, str where)
{
    if (++r->redirects > REROUTES_MAX) {
        req_log(r, LOG_ERROR_, "rewrite or internal redirection cycle while %s \"%.*s\"", what, STR_ARG(where));
        return ERR_LOOP;
    }
    r->internal = true;
    r->uri_changed = false;
    return 0;
}

/* ---- where to */

int reroute_again(req *r)
{
    int rc = count(r, "processing", r->path);
    r->stay = true;
    return rc < 0 ? rc : STEP_JUMP | STEP_ROUTE;
}

int reroute_uri(req *r, str path, str args)
{
    int rc = count(r, "internally redirecting to", path);
    rc = rc ? rc : drop_answer(r);
    if (rc < 0) {
        return rc;
    }
    r->path = path;
    r->query = args.n ? args : (str){NULL, 0};
    r->path_changed = r->query_changed = true;
    r->path_kept = r->stay = false;
    return STEP_JUMP | STEP_ROUTE;
}

int reroute_text(req *r, str text)
{
    size_t at = str_find(text, '?', 0);
    return reroute_uri(r, str_of(text.p, at), str_from(text, at + 1));
}

int reroute_named(req *r, str name)
{
    int rc = count(r, "redirect to named location", name);
    rc = rc ? rc : drop_answer(r);
    if (rc < 0) {
        return rc;
    }
    const route *rt = r->site ? route_named(r->site, name) : NULL;
    if (!rt || !r->path.n) {
        req_log(r, LOG_ERROR_, rt ? "empty URI in redirect to named location \"%.*s\"" : "could not find named location \"%.*s\"", STR_ARG(name));
        return ERR_LOOP;
    }
    req_take_route(r, rt);
    r->group = r->route->group;
    return STEP_JUMP | STEP_REWRITE;
}

/* ---- error pages */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The client is sent away. */
static int send_away(req *r, str to, int status)
{
    int rc = drop_answer(r);
    if (rc < 0) {
        return rc;
    }
    if (r->extra.pool) {
        headers_remove(&r->extra, STR("Location"));
    }
    r->err_status = (uint16_t)(is_redirect(status) ? status : 302);
    req_reply(r, r->err_status, signature_page(r, r->err_status), STR("text/html"));
    rc = headers_value_is_ok(to) ? headers_set(&r->res.h, STR("Location"), redirect_target(r, to)) : ERR_INVALID;
    return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
}

/* Statuses that exist inside only. */
static int outer_status(int status)
{
    return status >= 494 && status <= 497 ? 400 : status;
}

int reroute_error(req *r, int status)
{
    const struct error_entry *e = entry_of(r, status);
    r->err_status = (uint16_t)outer_status(status);
    if (!e) {
        return 0;
    }
    r->in_error_page = !r->route->c->recursive_errors;
    if (e->answer >= 0) {
        r->err_status = (uint16_t)e->answer;
    }
    str to = pool_dup(&r->pool, tmpl_eval(e->target, r));
    if (to.n && to.p[0] == '@') {
        return reroute_named(r, to);
    }
    if (!to.n || to.p[0] != '/') {
        return send_away(r, to, e->answer);
    }
    if (r->in.method != METHOD_HEAD) {
        r->in.method = METHOD_GET; /* the page is fetched, whatever the request was */
        r->in.method_name = STR("GET");
    }
    return reroute_text(r, to);
}
