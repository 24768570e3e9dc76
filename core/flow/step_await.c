/* step_await.c — the head of the response comes back while the body still goes up; interim responses are passed on. */
#include "back/client.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/attempt.h"
#include "flow/elsewhere.h"
#include "flow/forward.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/upload.h"
#include "net/stream.h"
#include "shm/stats.h"

static NOINLINE int wait_for_head(req *r)
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
    if (m->status == 100 || r->in.version < HTTP_1_1 || !attempt_passes_interim(r)) {
        return 0;
    }
    return r->proto->send_info(r, m);
}

/* A switch of protocols that may not be: an error; to a client that did not ask for one nginx passes its head. Nothing follows it, whatever the upstream
 * sends, and both connections end, so that neither side can take what comes for more than it is. */
static COLD int refuse_switch(req *r)
{
    fetch *f = &r->fetch;
    const struct conf_exchanges *x = &r->route->c->exchange;
    if (!x->n || !x->v[0].own_connection || !r->proto || !r->proto->hijack || r->in.version != HTTP_1_1) {
        return attempt_failed(r, ERR_UPSTREAM_PROTOCOL);
    }
    f->tunnel = false;
    f->res.body = MSG_BODY_NONE;
    f->body_done = f->upload_done = f->want_close = true;
    r->close = true;
    return STEP_NEXT;
}

static NOINLINE int accept_head(req *r)
{
    fetch *f = &r->fetch;
    attempt *a = attempt_now(r);
    a->status = f->res.status;
    attempt_heard(a);
    size_t behind = stream_in(fetch_stream(f)).n; /* of the body, read together with the head */
    a->head_bytes = f->bytes_in > behind ? (uint32_t)(f->bytes_in - behind) : 0;
    stats_duration(STAT_HIST_UPSTREAM_TIME, a->head_us - a->start_us);
    if (f->tunnel && !forward_may_tunnel(r)) {
        return refuse_switch(r);
    }
    if (attempt_status_fails(r, f->res.status)) {
        return STEP_JUMP | STEP_PICK;
    }
    req_deadline(r, 0);
    return UNLIKELY(r->route->exchange && !f->tunnel) ? elsewhere(r) : STEP_NEXT;
}

/* The usual ends are above; here is what is left: interim responses, and what went wrong. */
static COLD int await_on(req *r, int rc, int up)
{
    while (rc == 1) {
        if (pass_interim(r) < 0) {
            return ERR_CLIENT_GONE;
        }
        rc = r->fetch.ops->read_head(&r->fetch);
    }
    if (rc == 0) {
        return accept_head(r);
    }
    if (rc != ERR_AGAIN) {
        return attempt_failed(r, rc);
    }
    return up == ERR_UPSTREAM_CLOSED ? attempt_failed(r, up) /* the write side broke and no early response came */
                                     : wait_for_head(r);
}

static COLD int give_up(req *r)
{
    bool client = r->armed_for == REQ_WAIT_CLIENT_BODY && !r->total_expired;
    return client ? ERR_CLIENT_TIMEOUT : attempt_failed(r, ERR_TIMEOUT);
}

int step_await(req *r)
{
    fetch *f = &r->fetch;
    if (UNLIKELY(r->timed_out)) {
        return give_up(r);
    }
    bool uploaded = f->upload_done && bufq_is_empty(&f->upload) && stream_queued(fetch_stream(f)) == 0;
    int up = LIKELY(uploaded) ? 0 : upload_run(r);
    if (up < 0 && up != ERR_AGAIN && up != ERR_UPSTREAM_CLOSED) {
        return up; /* the client's fault: too large, too slow, gone */
    }
    int rc = f->ops->read_head(f);
    if (LIKELY(rc == 0)) {
        return accept_head(r);
    }
    return LIKELY(rc == ERR_AGAIN && up != ERR_UPSTREAM_CLOSED) ? wait_for_head(r) : await_on(r, rc, up);
}
