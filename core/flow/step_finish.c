/* step_finish.c — the end of a request: its connections go their ways, hooks and logs hear of it. */
#include "base/clock.h"
#include "base/err.h"
#include "flow/access_log.h"
#include "flow/attempt.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/req_log.h"
#include "flow/steps.h"
#include "flow/subreq.h"
#include "flow/var.h"
#include "shm/stats.h"

enum { ANSWER_MAX = 16 * 1024 * 1024 };

int step_finish(req *r)
{
    req_deadline(r, 0);
    timer_clear(&r->total);
    if (r->fetching) {
        if (!r->fetch.body_done || !r->fetch.upload_done) {
            r->fetch.want_close = true;
        }
        attempt_end(r, r->err, false);
        attempt_let_go(r);
    }
    if (flow_hooks && r->script && r->client_gone) {
        flow_hooks->release(r);
    }
    r->end_us = clock_us();
    if (r->proto) {
        var_leave_connection(r);
        const struct proto_ops *proto = r->proto;
        proto->done(r);
        r->proto = NULL;
        r->conn = NULL;
    }
    return STEP_NEXT;
}

/* Sub-requests are a matter of the request they belong to. */
static bool is_logged(const req *r)
{
    return r->route && (!r->sub || r->route->c->log_subrequest);
}

static void write_logs(req *r)
{
    for (int i = 0; i < r->route->nlogs; i++) {
        access_log_write(r->route->logs[i], r);
    }
    r->logged = true;
}

void req_log_early(req *r)
{
    bool hooked = r->route && r->route->hooks & (1u << PHASE_LOG);
    if (r->logged || hooked || !is_logged(r) || r->plan->conf->g.manners != CONF_MANNERS_NGINX) {
        return;
    }
    write_logs(r);
    for (int i = 0; i < r->route->nlogs; i++) {
        access_log_settle(r->route->logs[i]);
    }
}

/* The request that the route wants to be made now. */
static void ask_after(req *r)
{
    const struct subreq_args a = {.path = r->route->c->after,
                                  .query = {NULL, 0},
                                  .like_parent = true,
                                  .detached = true,
                                  .sink = SUBREQ_DROP,
                                  .limit = ANSWER_MAX};
    int rc = subreq_start(r, &a, NULL);
    if (rc < 0) {
        req_log_error(r, rc, 500);
    }
}

/* False: the log hook waits. */
static COLD bool follow_up(req *r)
{
    if ((r->route->hooks & (1u << PHASE_LOG)) && flow_hooks && !r->log_hook_done) {
        if (flow_hooks->run(r, PHASE_LOG) == ERR_AGAIN) {
            r->wait = REQ_WAIT_SCRIPT;
            return false;
        }
        r->log_hook_done = true;
    }
    if ((r->route->hooks & ROUTE_FOLLOWED) && !r->sub && !r->err_at_start) {
        ask_after(r);
    }
    return true;
}

int step_log(req *r)
{
    if (!is_logged(r)) {
        return STEP_DETACHED;
    }
    if (UNLIKELY(r->route->hooks & (1u << PHASE_LOG | ROUTE_FOLLOWED)) && !follow_up(r)) {
        return STEP_WAIT_HERE;
    }
    if (LIKELY(!r->logged)) {
        write_logs(r);
    }
    stats_add(STAT_BYTES_IN, r->received);
    stats_add(STAT_BYTES_OUT, r->sent_head + r->sent_body);
    stats_duration(STAT_HIST_REQUEST_TIME, r->end_us - r->start_us);
    return STEP_DETACHED;
}
