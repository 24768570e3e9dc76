/* walk.c — see walk.h. Its own loop over the steps' functions: the real one would go on to connect. */
#include "script/walk.h"

#include "back/client.h"
#include "back/group.h"
#include "base/err.h"
#include "flow/attempt.h"
#include "flow/forward.h"
#include "flow/plan.h"
#include "flow/rewrite.h"
#include "flow/steps.h"
#include "flow/upload.h"

enum { TURNS_MAX = 64 };

static int keep_head(fetch *f, str head, const headers *trailers)
{
    (void)trailers;
    f->res.reason = pool_dup(f->pool, head); /* a place in the fetch that nothing else uses: no response ever comes */
    return 0;
}

static bool never(const fetch *f)
{
    (void)f;
    return false;
}

static const struct client_ops dry_ops = {.name = "dry", .start = keep_head, .reusable = never};

static void ask(req *r, struct walk *out)
{
    const attempt *a = attempt_now(r);
    out->peer = str_of(a->peer->text, a->peer->text_n);
    fetch_init(&r->fetch, &r->pool, r->l, &r->job);
    r->fetch.ops = &dry_ops;
    r->fetch.lease.p = a->peer;
    out->err = forward_request(r, upload_length(r));
    out->head = r->fetch.res.reason;
}

/* The configuration's own operations, not the hooks. */
static int rewrite(req *r)
{
    return r->route->rewrites ? rewrite_run(r, r->route->rewrites) : STEP_NEXT;
}

/* Hooks, limits and rules are passed by: what they say depends on when one asks. */
static int run_step(req *r, enum req_step s)
{
    return s == STEP_ADMIT     ? step_admit(r)
           : s == STEP_ROUTE   ? step_route(r)
           : s == STEP_REWRITE ? rewrite(r)
           : s == STEP_CONTENT ? step_content(r)
           : s == STEP_PICK    ? step_pick(r)
                               : STEP_NEXT;
}

void walk_request(req *r, struct walk *out)
{
    *out = (struct walk){0};
    r->in_run = true; /* wakes must not enter the step table */
    enum req_step s = STEP_ADMIT;
    for (int turn = 0; turn < TURNS_MAX && s != STEP_REPLY; turn++) {
        r->step = (uint8_t)s;
        int rc = run_step(r, s);
        if (rc < 0 || rc == STEP_WAIT_HERE || rc == STEP_WAIT_NEXT) {
            out->err = rc < 0 ? rc : ERR_AGAIN;
            break;
        }
        if (rc == STEP_NEXT && s == STEP_PICK) {
            ask(r, out);
            break;
        }
        s = rc & STEP_JUMP ? (enum req_step)(rc & ~STEP_JUMP) : (enum req_step)(s + 1);
    }
    out->answered = s == STEP_REPLY;
    r->in_run = false;
}
