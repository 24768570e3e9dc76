/* auth_request.c — asks a sub-request whether the client may pass: 2xx lets it, 401 and 403 refuse, anything else is our failure. Its head is enough:
 * the body is dropped while the request goes on. */
#include "flow/access.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/guard.h"
#include "flow/subreq.h"
#include "flow/tmpl.h"
#include "flow/uservar.h"

enum { BODY_MAX = 64 * 1024 };

/* Keeps what the request needs of the answer: it is gone when the request looks again. */
static void on_head(req *parent, req *sub, void *arg)
{
    const guard *g = arg;
    for (int i = 0; i < g->nsets; i++) {
        str v = tmpl_eval(g->sets[i].value, sub);
        uservar_set(parent, g->sets[i].index, pool_dup(&parent->pool, v.p ? v : STR_EMPTY));
    }
    const field *f = sub->res.status == 401 ? headers_get(&sub->res.h, STR("WWW-Authenticate")) : NULL;
    for (; f; f = headers_next(&sub->res.h, f)) {
        if (access_challenge(parent, STR("WWW-Authenticate"), pool_dup(&parent->pool, f->value)) < 0) {
            return; /* thousands of them: some are enough */
        }
    }
}

static int ask(req *r, const guard *g)
{
    const struct subreq_args a = {.path = g->c->ask, .query = {NULL, 0}, .sink = SUBREQ_DROP, .limit = BODY_MAX, .on_head = on_head, .arg = (void *)(uintptr_t)g};
    return subreq_start(r, &a, &guard_of(r)->asked);
}

int auth_request_check(req *r, const guard *g)
{
    if (!g->c->ask.n) {
        return ACCESS_NO_OPINION;
    }
    struct guard_state *st = guard_of(r);
    int rc = st->asked ? 0 : ask(r, g);
    if (rc < 0) {
        return rc;
    }
    int status = subreq_status(st->asked);
    if (!status && !subreq_is_over(st->asked)) {
        if (r->timed_out) {
            return ERR_TIMEOUT;
        }
        (void)req_wait_here(r, REQ_WAIT_SUBREQ, 0, 0);
        return ERR_AGAIN;
    }
    if (status == 401 || status == 403) {
        return status;
    }
    if (status >= 200 && status < 300) {
        return ACCESS_PASSES;
    }
    req_log(r, LOG_ERROR_, "auth request unexpected status: %d", status);
    return 500;
}
