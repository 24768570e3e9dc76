/* access.c — see access.h. */
#include "flow/access.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/guard.h"
#include "flow/plan.h"
#include "flow/steps.h"

static int check_rules(req *r, const guard *g)
{
    for (int i = 0; i < g->nrules; i++) {
        const access_rule *rule = &g->rules[i];
        if (!rule->all && !cidr_has(&rule->from, &r->client.addr)) {
            continue;
        }
        if (rule->allow) {
            return ACCESS_PASSES;
        }
        if (g->c->satisfy == CONF_SATISFY_ALL) {
            req_log(r, LOG_ERROR_, "access forbidden by rule");
        }
        return 403;
    }
    return ACCESS_NO_OPINION;
}

static int (*const checks[])(req *r, const guard *g) = {check_rules, auth_basic_check, auth_request_check};

int access_challenge(req *r, str name, str value)
{
    if (!r->extra.pool) {
        headers_init(&r->extra, &r->pool);
    }
    return headers_add(&r->extra, name, value);
}

static int refuse_now(req *r, int status)
{
    return error_answer(r, status);
}

/* Every 401 of a route takes as long, whatever was wrong. */
static int refuse(req *r, const guard *g, int status)
{
    struct guard_state *st = guard_of(r);
    if (status == 401 && g->c->delay > 0) {
        req_log(r, LOG_INFO_, "delaying unauthorized request");
        st->refusing = true;
        return req_wait_here(r, REQ_WAIT_TURN, g->c->delay, 0);
    }
    return refuse_now(r, status);
}

static int wait_to_refuse(req *r, struct guard_state *st)
{
    if (!r->timed_out) {
        return req_wait_here(r, REQ_WAIT_TURN, 1, 0);
    }
    if (r->total_expired) {
        return ERR_TIMEOUT;
    }
    st->refusing = r->timed_out = false;
    r->armed_for = REQ_WAIT_NONE;
    return refuse_now(r, 401);
}

static int admit(req *r, struct guard_state *st)
{
    if (st->code && r->extra.pool) {
        headers_remove(&r->extra, STR("WWW-Authenticate"));
    }
    st->stage = ARRAY_LEN(checks);
    st->code = 0;
    return STEP_NEXT;
}

static int run_checks(req *r, const guard *g, struct guard_state *st)
{
    bool any = g->c->satisfy == CONF_SATISFY_ANY;
    for (; st->stage < ARRAY_LEN(checks); st->stage++) {
        int rc = checks[st->stage](r, g);
        if (rc == ERR_AGAIN) {
            return STEP_WAIT_HERE;
        }
        if (rc < 0) {
            return rc;
        }
        if (any && rc == ACCESS_PASSES) {
            return admit(r, st);
        }
        if (rc >= 400 && !(any && (rc == 401 || rc == 403))) {
            return refuse(r, g, rc);
        }
        if (rc >= 400 && st->code != 401) {
            st->code = (uint16_t)rc;
        }
    }
    if (st->code == 403) {
        req_log(r, LOG_ERROR_, "access forbidden by rule");
    }
    return st->code ? refuse(r, g, st->code) : admit(r, st);
}

int access_step(req *r)
{
    const guard *g = r->route->guard;
    if (!g->has_access || r->sub) {
        return STEP_NEXT; /* who made a sub-request was let in already */
    }
    struct guard_state *st = guard_of(r);
    if (st->refusing) {
        return wait_to_refuse(r, st);
    }
    if (st->guard != g) { /* routed anew: another guard asks anew */
        st->guard = g;
        st->asked = NULL;
        st->stage = 0;
        st->code = 0;
    }
    return run_checks(r, g, st);
}
