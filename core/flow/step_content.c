/* step_content.c — answers that need no upstream, and the place of the cache lookup. */
#include "base/err.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/files.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/tmpl.h"

/* "/x" on a route "/x/": the client is sent to the path with its slash (query kept). */
static int slash_redirect(req *r)
{
    str parts[4] = {uri_encode_path(r->path, &r->pool), STR("/"), r->query.p ? STR("?") : STR_EMPTY, r->query};
    req_reply(r, 301, STR_EMPTY, STR_EMPTY);
    int rc = headers_set(&r->res.h, STR("Location"), pool_join(&r->pool, parts, 4));
    return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
}

static int fixed_reply(req *r)
{
    const struct conf_route *c = r->route->c;
    if (c->reply_reads && r->in.method != METHOD_GET && r->in.method != METHOD_HEAD) {
        return error_status(r, 405);
    }
    str body = r->route->reply_body ? tmpl_eval(r->route->reply_body, r) : STR_EMPTY;
    req_reply(r, (int)c->reply_status, body, body.n ? c->reply_type : STR_EMPTY);
    if (r->route->reply_location) {
        str to = tmpl_eval(r->route->reply_location, r);
        if (!headers_value_is_ok(to)) {
            return ERR_BAD_TARGET;
        }
        int rc = headers_set(&r->res.h, STR("Location"), to);
        if (rc < 0) {
            return rc;
        }
    }
    return STEP_JUMP | STEP_REPLY;
}

int step_content(req *r)
{
    const struct conf_route *c = r->route->c;
    if (c->slash_redirect && c->match == CONF_MATCH_PREFIX && r->path.n == c->pattern.n &&
        (r->path.n == 0 || r->path.p[r->path.n - 1] != '/')) {
        return slash_redirect(r);
    }
    if (c->try_files.n && !r->has_reply) {
        int rc = files_try(r);
        if (rc != STEP_NEXT) {
            return rc;
        }
    }
    if (r->group) {
        return STEP_NEXT;
    }
    if (c->action == CONF_ACTION_FILE) {
        return files_answer(r);
    }
    return c->action == CONF_ACTION_REPLY ? fixed_reply(r) : ERR_NO_ROUTE;
}

int step_lookup(req *r)
{
    (void)r; /* the cache's place in the order; there is no cache in this build */
    return STEP_NEXT;
}
