/* mirror.c — the mirror step: copies of a request that was let in go to other places; their answers are read and dropped. The request waits for its own
 * body at most, never for a copy: copies live on when it is over. */
#include "base/err.h"
#include "conf/conf.h"
#include "flow/body.h"
#include "flow/guard.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/subreq.h"

enum { ANSWER_MAX = 16 * 1024 * 1024 };

static int hold(req *r)
{
    int rc = r->timed_out ? ERR_CLIENT_TIMEOUT : body_hold(r);
    if (rc == ERR_AGAIN) {
        return req_wait_here(r, REQ_WAIT_CLIENT_BODY, r->route->c->body_timeout, r->received);
    }
    req_deadline(r, 0);
    return rc;
}

int step_mirror(req *r)
{
    const guard *g = r->route->guard;
    if (LIKELY(!g) || !g->c->mirrors.n || r->sub || guard_of(r)->mirrored == r->redirects + 1) {
        return STEP_NEXT;
    }
    bool with_body = g->c->mirror_body && r->body;
    int rc = with_body ? hold(r) : 0;
    for (int i = 0; rc == 0 && i < g->c->mirrors.n; i++) {
        const struct subreq_args a = {.path = g->c->mirrors.v[i],
                                      .query = r->query,
                                      .like_parent = true,
                                      .with_body = with_body,
                                      .detached = true,
                                      .sink = SUBREQ_DROP,
                                      .limit = ANSWER_MAX};
        rc = subreq_start(r, &a, NULL);
    }
    if (rc == 0) {
        guard_of(r)->mirrored = r->redirects + 1;
    }
    return rc;
}
