/* step_reply.c — the head of the answer: the upstream's or ours, our fields, the header hook, framing. */
#include "base/clock.h"
#include "base/err.h"
#include "flow/answer.h"
#include "flow/attempt.h"
#include "flow/body.h"
#include "flow/filter.h"
#include "flow/grpc.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/validity.h"
#include "http/status.h"
#include "shm/stats.h"

/* -- reply */

enum { REPLY_FRESH, REPLY_HOOK, REPLY_SEND };

static bool has_header_hook(const req *r)
{
    return r->route && (r->route->hooks & (1u << PHASE_HEADER)) && flow_hooks && !r->reply_failed;
}

static bool is_head(const req *r)
{
    return r->in.method == METHOD_HEAD;
}

/* An upstream response that a local answer replaces: its connection is not read to the end. */
static void drop_upstream(req *r, int err)
{
    if (r->fetching) {
        r->fetch.want_close = true;
        attempt_end(r, err, false);
        attempt_let_go(r);
    }
}

static int frame_reply(req *r)
{
    msg *m = &r->res;
    if (m->status == 101 || (m->status >= 200 && status_has_no_body(m->status))) {
        m->body = MSG_BODY_NONE;
        return 0;
    }
    m->body = MSG_BODY_LENGTH;
    m->length = req_reply_length(r);
    return 0;
}

/* An answer of ours to a body that nobody read: nginx reads what is here of it first, and refuses what is malformed. */
static int check_unread_body(req *r)
{
    bool unread = r->in.body == MSG_BODY_CHUNKED && r->proto && !r->err_at_start && !r->err_status && (!r->body || !body_is_consumed(r));
    return UNLIKELY(unread) && r->plan->conf->g.manners == CONF_MANNERS_NGINX ? body_discard_here(r) : 0;
}

static int prepare(req *r)
{
    int rc = r->has_reply ? check_unread_body(r) : answer_from_upstream(r);
    if (UNLIKELY(r->err_status)) { /* a page made for an error tells that error */
        r->res.status = r->err_status;
        r->res.reason = STR_EMPTY;
        r->allows = 0;
    }
    if (rc == 0 && UNLIKELY(validity_matters(r))) {
        rc = validity_apply(r);
    }
    if (rc == 0 && r->has_reply && r->in.version == HTTP_2 && r->plan->conf->g.manners == CONF_MANNERS_NATIVE && grpc_is(r)) {
        rc = grpc_answer(r);
    }
    if (rc == 0) {
        rc = answer_finish_head(r);
    }
    r->reply_stage = has_header_hook(r) ? REPLY_HOOK : REPLY_SEND;
    return rc;
}

static int run_header_hook(req *r)
{
    bool had_reply = r->has_reply;
    int rc = flow_hooks->run(r, PHASE_HEADER);
    if (rc == ERR_AGAIN) {
        r->wait = REQ_WAIT_SCRIPT;
        return STEP_WAIT_HERE;
    }
    if (rc < 0) {
        return rc;
    }
    bool other = r->fetch_tunnel && (r->has_reply || r->res.status != 101); /* the switch of protocols does not take place */
    if ((r->has_reply && !had_reply) || other) {
        drop_upstream(r, 0);
    }
    r->fetch_tunnel = r->fetch_tunnel && !other;
    if (other && r->res.status == 101) {
        return ERR_UPSTREAM_PROTOCOL; /* a 101 with a body */
    }
    if (r->fetching && r->fetch.cut && !r->has_reply) {
        return ERR_UPSTREAM_CUT; /* the hook took a part of the body: the rest must not pass for the whole */
    }
    r->reply_stage = REPLY_SEND;
    return STEP_NEXT;
}

/* A header hook may have given the status another kind: the framing follows what goes out, or the client would read the body as
 * its next answer (RFC 9110 §6.4.1), or wait for one that does not come. */
static void frame_by_status(req *r)
{
    msg *m = &r->res;
    if (status_has_no_body(m->status)) {
        if (m->body != MSG_BODY_NONE || m->status == 204) {
            headers_remove_token(&m->h, TOKEN_CONTENT_LENGTH);
        }
        m->body = MSG_BODY_NONE;
        m->length = -1;
    } else if (m->body == MSG_BODY_NONE && !is_head(r)) {
        headers_remove_token(&m->h, TOKEN_CONTENT_LENGTH); /* a 304 tells that of another response */
        m->body = MSG_BODY_LENGTH;
        m->length = 0;
    }
}

/* Does a body follow the head? */
static bool head_is_all(const req *r)
{
    if (is_head(r) || r->res.body == MSG_BODY_NONE) {
        return true;
    }
    return r->res.body == MSG_BODY_LENGTH && r->res.length == 0;
}

/* No body goes to the client: what the upstream still sends (a HEAD answer has none) is not waited for. */
static void drop_unread(req *r)
{
    if (r->fetching && r->fetch.body_done && r->fetch.upload_done) {
        attempt_end(r, 0, false);
        fetch_end(&r->fetch);
        r->fetching = false;
    }
}

/* A body hook may change the length of an upstream's body and of an answer made here alike. */
static bool is_length_open(const req *r)
{
    if (!r->route || !(r->route->hooks & (1u << PHASE_BODY)) || r->res.body != MSG_BODY_LENGTH || is_head(r)) {
        return false;
    }
    return !r->has_reply || r->res.length > 0; /* an answer without a body stays one */
}

static int send_head(req *r)
{
    if (r->has_reply) {
        (void)frame_reply(r);
    } else if (!r->fetch_tunnel && has_header_hook(r)) {
        frame_by_status(r);
    }
    if (is_length_open(r)) {
        r->res.body = MSG_BODY_CHUNKED;
        r->res.length = -1;
    }
    r->filters_on = 0;
    if (UNLIKELY(filter_wanted(r) != 0) && !r->fetch_tunnel) {
        int failed = filter_heads(r);
        if (failed < 0) {
            return failed;
        }
    }
    r->first_byte_us = clock_us();
    stats_response(r->res.status);
    r->res_last = head_is_all(r) && !r->fetch_tunnel;
    int rc = r->proto->send_head(r, r->res_last);
    r->head_sent = true;
    if (rc < 0) {
        return rc;
    }
    if (r->res_last) {
        drop_unread(r);
        return STEP_JUMP | STEP_FINISH;
    }
    return STEP_NEXT;
}

int step_reply(req *r)
{
    if (r->has_reply && r->fetching) {
        drop_upstream(r, r->err);
    }
    r->fetch_tunnel = !r->has_reply && r->fetching && r->fetch.tunnel;
    if (r->reply_stage == REPLY_FRESH) {
        int rc = prepare(r);
        if (rc < 0) {
            return rc;
        }
    }
    if (r->reply_stage == REPLY_HOOK) {
        int rc = run_header_hook(r);
        if (rc != STEP_NEXT) {
            return rc;
        }
    }
    return send_head(r);
}
