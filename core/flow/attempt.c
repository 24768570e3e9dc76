/* attempt.c — see attempt.h. Whether an attempt is repeated is decided by the pure rules of back/retry.c and the group's budget. */
#include "flow/attempt.h"

#include "back/group.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "flow/body.h"
#include "flow/errand.h"
#include "flow/plan.h"
#include "flow/req_log.h"
#include "flow/steps.h"
#include "shm/stats.h"

attempt *attempt_now(req *r)
{
    return &r->attempts[r->nattempts - 1];
}

void attempt_new(req *r, peer *p)
{
    if (r->nattempts == r->cap_attempts) {
        int cap = r->cap_attempts ? r->cap_attempts * 2 : 2;
        attempt *more = pool_alloc(&r->pool, sizeof *more * (size_t)cap);
        if (r->nattempts) {
            memcpy(more, r->attempts, sizeof *more * (size_t)r->nattempts);
        }
        r->attempts = more;
        r->cap_attempts = cap;
    }
    stats_add(STAT_UPSTREAM_ATTEMPTS, 1);
    stats_add(STAT_UPSTREAM_RETRIES, r->nattempts > 0);
    r->attempts[r->nattempts++] = (attempt){.peer = p, .open = true, .start_us = clock_us()};
}

void attempt_refused(req *r)
{
    attempt_new(r, NULL);
    attempt *a = attempt_now(r);
    a->open = false;
    a->err = ERR_NO_PEER;
    a->group_name = pool_dup(&r->pool, r->group->name); /* the group may be dropped before this is read */
    a->status = 502;
    a->end_us = a->start_us;
}

void attempt_heard(attempt *a)
{
    a->head_us = clock_us();
    peer_heard(a->peer, a->head_us - a->start_us);
}

void attempt_end(req *r, int err, bool failed)
{
    if (!r->nattempts || !attempt_now(r)->open) {
        return;
    }
    attempt *a = attempt_now(r);
    a->open = false;
    a->err = err;
    a->end_us = clock_us();
    a->bytes_in = r->fetch.bytes_in;
    a->bytes_out = r->fetch.bytes_out;
    stats_add(STAT_UPSTREAM_FAILURES, failed);
    stats_add(STAT_UPSTREAM_BYTES_IN, a->bytes_in);
    stats_add(STAT_UPSTREAM_BYTES_OUT, a->bytes_out);
    if (LIKELY(!failed && peer_leave(a->peer))) {
        return;
    }
    struct peer_outcome o = {
        .failed = failed,
        .status = a->status,
        .header_us = a->head_us ? a->head_us - a->start_us : 0,
        .total_us = a->end_us - a->start_us,
    };
    peer_done(a->peer, &o, clock_ms());
}

/* Does the route say exactly which failures are repeated? */
static bool is_listed(const req *r)
{
    return r->route->exchange && r->route->c->exchange.v[0].retry_on;
}

enum retry_verdict attempt_judge(req *r, int err, int status)
{
    const fetch *f = &r->fetch;
    struct retry_facts facts = {
        .method = (enum method)r->in.method,
        .err = err,
        .status = status,
        .connected = attempt_now(r)->connect_us != 0,
        .sent = f->bytes_out > 0,
        .got_bytes = f->bytes_in > 0,
        .reused = attempt_now(r)->reused,
        .body_replayable = !r->body || body_is_replayable(r->body),
        .attempts = r->nattempts - errand_first(r) - r->stale_retries,
        .stale_retries = r->stale_retries,
    };
    if (UNLIKELY(is_listed(r))) {
        facts.peers = (int)(r->group->tiers[0].n + r->group->tiers[1].n);
        facts.spent_ms = (clock_us() - r->attempts[errand_first(r)].start_us) / 1000;
        facts.streamed = r->body && !body_is_held(r->body);
        return retry_decide_listed(r->route->c, &facts);
    }
    return retry_decide(r->route->c, &facts);
}

void attempt_broken(const req *r, int err)
{
    if (r->fetching) {
        req_log_attempt(r, err);
    }
}

void attempt_let_go(req *r)
{
    fetch *f = &r->fetch;
    if (f->head_mem && f->head_mem != r->res_mem) {
        mem_unref(r->res_mem);
        r->res_mem = mem_ref(f->head_mem);
    }
    fetch_end(f);
    r->fetching = false;
}

/* nginx's dialect makes as many attempts as there are peers that are not configured to be down. */
static bool has_more_peers(const req *r)
{
    return r->group->own.passive != CONF_PASSIVE_NGINX || r->nattempts - r->stale_retries < group_tries(r->group);
}

/* The attempt failed: the next row to run, or the error that the client gets. */
int attempt_failed(req *r, int err)
{
    enum retry_verdict v = attempt_judge(r, err, 0);
    bool fits = r->nattempts < REQ_MAX_ATTEMPTS && !r->total_expired && (v != RETRY_NEXT || has_more_peers(r));
    if (v != RETRY_SAME) {
        req_log_attempt(r, err);
    }
    attempt_end(r, err, v != RETRY_SAME && err != ERR_CLIENT_TIMEOUT && err != ERR_IDENTITY);
    attempt_let_go(r);
    if (v == RETRY_NO || !fits || (v == RETRY_NEXT && !group_may_retry(r->group, clock_ms()))) {
        return err_status(err) >= 400 ? err : ERR_UPSTREAM_CLOSED; /* an end is told as what it means here */
    }
    if (v == RETRY_SAME || v == RETRY_FREE) {
        r->stale_retries++;
        r->pick_fresh = v == RETRY_SAME;
    }
    if (r->body) {
        body_rewind(r->body);
    }
    req_deadline(r, 0); /* a deadline that passed was this attempt's */
    return STEP_JUMP | STEP_PICK;
}

/* The rest of this answer is not read; the body goes up anew. */
static void go_again(req *r)
{
    r->fetch.want_close = true;
    attempt_let_go(r);
    if (r->body) {
        body_rewind(r->body);
    }
}

/* A status that the route's list repeats: one that is passed on is no failure, and neither are 403 and 404. */
static bool listed_status_fails(req *r, int status)
{
    if (!((unsigned)r->route->c->exchange.v[0].retry_on & retry_reason_of_status(status)) || r->nattempts >= REQ_MAX_ATTEMPTS ||
        !has_more_peers(r) ||
        attempt_judge(r, 0, status) != RETRY_NEXT || !group_may_retry(r->group, clock_ms())) {
        return false;
    }
    attempt_end(r, 0, status != 403 && status != 404);
    go_again(r);
    return true;
}

bool attempt_status_fails(req *r, int status)
{
    if (UNLIKELY(is_listed(r))) {
        return listed_status_fails(r, status);
    }
    if (LIKELY(!r->route->c->retry_status.n) || !retry_status_listed(&r->route->c->retry_status, status)) {
        return false;
    }
    bool again = attempt_judge(r, 0, status) == RETRY_NEXT && r->nattempts < REQ_MAX_ATTEMPTS &&
                 group_may_retry(r->group, clock_ms());
    attempt_end(r, 0, true);
    if (!again) {
        return false;
    }
    go_again(r);
    return true;
}

int attempt_prepare(req *r)
{
    return errand_prepare(r);
}

bool attempt_passes_interim(req *r)
{
    return !r->route->exchange || errand_passes_interim(r);
}

int attempt_first(const req *r)
{
    return errand_first(r);
}

int attempt_count(const req *r)
{
    return r->nattempts - errand_first(r);
}
