/* step_proxy.c — pick, lease, send, await: attempts at an upstream until one gives a response head.
 *
 * An attempt ends in attempt_end exactly once: that tells the peer's passive health. Whether it is repeated is decided in one place
 * (attempt_failed) by the pure rules of back/retry.c and the group's budget. */
#include "back/client.h"
#include "back/group.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/body.h"
#include "flow/forward.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/tmpl.h"
#include "flow/upload.h"

#include "back/retry.h"
#include "base/hash.h"
#include "net/stream.h"
#include "shm/stats.h"

static attempt *attempt_now(req *r)
{
    return &r->attempts[r->nattempts - 1];
}

static void attempt_new(req *r, peer *p)
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
    peer_done(a->peer, failed, clock_ms());
}

static enum retry_verdict judge(req *r, int err, int status)
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
        .attempts = r->nattempts - r->stale_retries,
        .stale_retries = r->stale_retries,
    };
    return retry_decide(r->route->c, &facts);
}

/* The attempt failed: the next row to run, or the error that the client gets. */
static int attempt_failed(req *r, int err)
{
    enum retry_verdict v = judge(r, err, 0);
    bool fits = r->nattempts < REQ_MAX_ATTEMPTS && !r->total_expired;
    attempt_end(r, err, v != RETRY_SAME && err != ERR_CLIENT_TIMEOUT);
    fetch_end(&r->fetch);
    r->fetching = false;
    if (v == RETRY_NO || !fits || (v == RETRY_NEXT && !group_may_retry(r->group, clock_ms()))) {
        return err;
    }
    if (v == RETRY_SAME) {
        r->stale_retries++;
        r->pick_fresh = true;
    }
    if (r->body) {
        body_rewind(r->body);
    }
    req_deadline(r, 0); /* a deadline that passed was this attempt's */
    return STEP_JUMP | STEP_PICK;
}

/* -- pick */

static peer *pick_peer(req *r)
{
    peer *tried[REQ_MAX_ATTEMPTS];
    int ntried = 0;
    if (r->pick_fresh && r->nattempts) {
        return group_pick_named(r->group, str_of(attempt_now(r)->peer->text, attempt_now(r)->peer->text_n), clock_ms());
    }
    for (int i = 0; i < r->nattempts; i++) {
        tried[ntried++] = r->attempts[i].peer;
    }
    if (r->pinned_peer.n) {
        str pinned = r->pinned_peer;
        r->pinned_peer = STR_EMPTY;
        return group_pick_named(r->group, pinned, clock_ms());
    }
    struct pick_args a = {.tried = tried, .ntried = ntried, .now_ms = clock_ms()};
    if (r->route->hash_key) {
        a.has_hash = true;
        a.hash = hash_keyed(tmpl_eval(r->route->hash_key, r), 0, 0);
    }
    return group_pick(r->group, &a);
}

/* The upstream is asked once the whole body is here: when the route says so, or when its length must be known (HTTP/1.0). */
static bool must_hold_body(const req *r)
{
    const struct conf_route *c = r->route->c;
    return r->body && (c->buffer_request || (c->upstream_http == 0 && r->in.body == MSG_BODY_CHUNKED));
}

static int hold_body(req *r)
{
    int rc = r->timed_out ? ERR_CLIENT_TIMEOUT : body_hold(r);
    if (rc == ERR_AGAIN) {
        return req_wait_here(r, REQ_WAIT_CLIENT_BODY, r->route->c->body_timeout, r->received);
    }
    req_deadline(r, 0);
    return rc;
}

static int run_balance_hook(req *r)
{
    int rc = flow_hooks->run(r, PHASE_BALANCE);
    if (rc == ERR_AGAIN) {
        r->wait = REQ_WAIT_SCRIPT;
        return STEP_WAIT_HERE;
    }
    return rc == HOOK_ANSWER ? STEP_JUMP | STEP_REPLY : rc < 0 ? rc : STEP_NEXT;
}

int step_pick(req *r)
{
    int rc = must_hold_body(r) ? hold_body(r) : 0;
    if (rc != 0) {
        return rc;
    }
    if ((r->route->hooks & (1u << PHASE_BALANCE)) && (rc = run_balance_hook(r)) != STEP_NEXT) {
        return rc;
    }
    if (r->timed_out) {
        return ERR_TIMEOUT;
    }
    if (!r->nattempts) {
        group_count_request(r->group, clock_ms());
    }
    peer *p = pick_peer(r);
    if (UNLIKELY(!p)) {
        if (r->group->unresolved && group_wait_resolved(r->group, &r->job)) {
            return req_wait_here(r, REQ_WAIT_RESOLVE, r->route->c->connect_timeout, 0);
        }
        return r->nattempts && attempt_now(r)->err < 0 ? attempt_now(r)->err : ERR_NO_PEER;
    }
    req_deadline(r, 0);
    attempt_new(r, p);
    r->lease_started = false;
    return STEP_NEXT;
}

/* -- lease */

static str tls_name(req *r)
{
    if (!r->group->tls) {
        return STR_EMPTY;
    }
    if (r->route->tls_name) {
        return tmpl_eval(r->route->tls_name, r);
    }
    return r->host.n ? r->host : r->group->name;
}

static int start_lease(req *r)
{
    struct lease_args a = {
        .fresh = r->pick_fresh,
        .pooled = r->route->c->upstream_keepalive && !forward_upgrades(r),
        .tls_name = tls_name(r),
        .user = &r->job,
    };
    r->pick_fresh = false;
    r->lease_started = true;
    r->fetching = r->fetched = true;
    fetch_init(&r->fetch, &r->pool, r->l, &r->job);
    r->fetch.method = (enum method)r->in.method;
    r->fetch.head_max = (uint32_t)r->route->c->buffer_head;
    return lease_start(&r->fetch.lease, r->l, attempt_now(r)->peer, &a);
}

int step_lease(req *r)
{
    int rc = r->timed_out ? ERR_TIMEOUT : r->lease_started ? lease_wait(&r->fetch.lease) : start_lease(r);
    if (rc == ERR_AGAIN) {
        return req_wait_here(r, REQ_WAIT_CONNECT, r->route->c->connect_timeout, 0);
    }
    if (rc < 0) {
        return attempt_failed(r, rc);
    }
    attempt *a = attempt_now(r);
    a->reused = r->fetch.lease.reused;
    stats_add(a->reused ? STAT_UPSTREAM_REUSED : STAT_UPSTREAM_CONNECTS, 1);
    a->connect_us = clock_us();
    return STEP_NEXT;
}

/* -- send */

int step_send(req *r)
{
    int64_t length = upload_length(r);
    int rc = forward_request(r, length);
    r->fetch.chunked_upload = length == -1;
    r->fetch.upload_done = length == -2 || length == 0;
    if (rc < 0) {
        return attempt_failed(r, rc == ERR_HEAD_TOO_LARGE ? rc : ERR_UPSTREAM_CLOSED);
    }
    return STEP_NEXT;
}

/* -- await */

static int wait_for_head(req *r)
{
    const struct conf_route *c = r->route->c;
    fetch *f = &r->fetch;
    bool uploading = !f->upload_done || stream_queued(fetch_stream(f)) > 0;
    if (!uploading) {
        return req_wait_here(r, REQ_WAIT_HEAD, c->read_timeout, f->interim);
    }
    return r->upload_on_client ? req_wait_here(r, REQ_WAIT_CLIENT_BODY, c->body_timeout, r->received)
                               : req_wait_here(r, REQ_WAIT_SEND, c->send_timeout, fetch_stream(f)->bytes_out);
}

/* 100 is ours to send; other interim responses are passed on, 101 ends the exchange of messages. */
static int pass_interim(req *r)
{
    const msg *m = &r->fetch.res;
    if (m->status == 100 || r->in.version < HTTP_1_1) {
        return 0;
    }
    return r->proto->send_info(r, m);
}

static int accept_head(req *r)
{
    fetch *f = &r->fetch;
    attempt *a = attempt_now(r);
    a->status = f->res.status;
    a->head_us = clock_us();
    stats_duration(STAT_HIST_UPSTREAM_TIME, a->head_us - a->start_us);
    if (f->tunnel && !(forward_upgrades(r) && headers_lists(&f->res.h, TOKEN_UPGRADE, STR("websocket")))) {
        return attempt_failed(r, ERR_UPSTREAM_PROTOCOL);
    }
    if (retry_status_listed(&r->route->c->retry_status, f->res.status)) {
        bool may = judge(r, 0, f->res.status) == RETRY_NEXT && r->nattempts < REQ_MAX_ATTEMPTS &&
                   group_may_retry(r->group, clock_ms());
        attempt_end(r, 0, true);
        if (may) {
            f->want_close = true;
            fetch_end(f);
            r->fetching = false;
            if (r->body) {
                body_rewind(r->body);
            }
            return STEP_JUMP | STEP_PICK;
        }
    }
    req_deadline(r, 0);
    return STEP_NEXT;
}

int step_await(req *r)
{
    fetch *f = &r->fetch;
    if (r->timed_out) {
        bool client = r->armed_for == REQ_WAIT_CLIENT_BODY && !r->total_expired;
        return client ? ERR_CLIENT_TIMEOUT : attempt_failed(r, ERR_TIMEOUT);
    }
    bool uploaded = f->upload_done && bufq_is_empty(&f->upload) && stream_queued(fetch_stream(f)) == 0;
    int up = LIKELY(uploaded) ? 0 : upload_run(r);
    if (up < 0 && up != ERR_AGAIN && up != ERR_UPSTREAM_CLOSED) {
        return up; /* the client's fault: too large, too slow, gone */
    }
    for (;;) {
        int rc = f->ops->read_head(f);
        if (rc == 0) {
            return accept_head(r);
        }
        if (rc == 1) {
            rc = pass_interim(r);
            if (rc < 0) {
                return ERR_CLIENT_GONE;
            }
            continue;
        }
        if (rc != ERR_AGAIN) {
            return attempt_failed(r, rc);
        }
        if (up == ERR_UPSTREAM_CLOSED) {
            return attempt_failed(r, up); /* the write side broke and no early response came */
        }
        return wait_for_head(r);
    }
}
