/* step_reply.c — the answer: head, body, end, log. */
#include "back/client.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/access_log.h"
#include "flow/chain.h"
#include "flow/forward.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/relay.h"
#include "flow/steps.h"
#include "flow/var.h"
#include "flow/tunnel.h"
#include "flow/upload.h"
#include "http/sink.h"
#include "http/status.h"
#include "shm/stats.h"

enum { PUMP_PIECE = 256 * 1024, PUMP_TURNS = 16 };

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
        fetch_end(&r->fetch);
        r->fetching = false;
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
    m->length = (int64_t)r->reply_body.n;
    return 0;
}

static int prepare(req *r)
{
    int rc = r->has_reply ? 0 : forward_response(r);
    if (rc == 0) {
        rc = forward_finish_head(r);
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

/* -- stream */

/* The response is in: the upstream connection goes back at once, however slow the client is. */
static void release_upstream(req *r, int err)
{
    if (r->fetching && r->fetch.upload_done) {
        attempt_end(r, err, false);
        fetch_end(&r->fetch);
        r->fetching = false;
    }
}

static int stream_reply_body(req *r)
{
    bufq q;
    bufq_init(&q);
    bufq_push_static(&q, r->reply_body);
    r->reply_body = STR_EMPTY;
    int rc = chain_push(r->chain, &q, SINK_LAST);
    bufq_fini(&q);
    return rc;
}

/* One read from the upstream into the chain. 0 go on, ERR_AGAIN nothing to read, < 0 broken. */
static int pump_once(req *r)
{
    bufq q;
    bufq_init(&q);
    fetch *f = &r->fetch;
    ssize_t n = f->ops->read_body(f, &q, PUMP_PIECE);
    int rc = (int)(n > 0 ? 0 : n);
    if (n > 0 || n == ERR_EOF) {
        bool last = f->body_done;
        if (last) {
            release_upstream(r, 0);
        }
        rc = chain_push(r->chain, &q, last ? SINK_LAST : 0);
        rc = rc == ERR_AGAIN ? 0 : rc; /* chain_wants says so before the next read */
        if (rc < 0) {
            rc = ERR_CLIENT_GONE;
        }
    }
    bufq_fini(&q);
    return rc;
}

static int broken(req *r, int err)
{
    chain_abort(r->chain, err);
    r->fetch.want_close = true;
    attempt_end(r, err, err != ERR_CLIENT_GONE && err != ERR_CLIENT_TIMEOUT);
    return err;
}

/* Early response: the rest of the request body still goes up while the answer comes down. */
static int continue_upload(req *r)
{
    if (!r->fetching || r->fetch.upload_done) {
        return 0;
    }
    int rc = upload_run(r);
    if (rc == ERR_UPSTREAM_CLOSED) {
        r->fetch.upload_done = true; /* it answered without wanting the rest */
        r->fetch.want_close = true;
        rc = 0;
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

static int wait_in_stream(req *r)
{
    const struct conf_route *c = r->route ? r->route->c : NULL;
    if (r->fetching && chain_wants(r->chain)) {
        uint64_t moved = r->fetch.bytes_in + (r->fetch.upload_done ? 0 : r->received); /* a body that still goes up is no silence */
        return req_wait_here(r, REQ_WAIT_DATA, c->read_timeout, moved);
    }
    return req_wait_here(r, REQ_WAIT_CLIENT_WRITE, 0, 0); /* the protocol watches the client's time */
}

/* The end of a body that was spliced: the chain only learns that it is over. */
static int relay_finished(req *r)
{
    bufq none;
    bufq_init(&none);
    release_upstream(r, 0);
    int rc = chain_push(r->chain, &none, SINK_LAST);
    return rc < 0 && rc != ERR_AGAIN ? rc : RELAY_DONE;
}

/* The client does not read: what is in the pipe goes to the spool, which takes over. */
static int stop_relay(req *r)
{
    bufq q;
    bufq_init(&q);
    int rc = relay_salvage(r, &q);
    if (rc == 0) {
        rc = chain_push(r->chain, &q, r->fetch.left == 0 ? SINK_LAST : 0);
    }
    bufq_fini(&q);
    if (r->fetch.left == 0) {
        r->fetch.body_done = true;
        release_upstream(r, 0);
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

/* RELAY_OFF: the pump copies. RELAY_FULL, RELAY_EMPTY: wait. */
static int run_relay(req *r)
{
    bool patient = !r->route->c->buffer_response || r->no_buffer;
    if (r->relay_tired) {
        r->relay_tired = false;
        int rc = relay_holds(r) ? stop_relay(r) : 0;
        return rc < 0 ? rc : RELAY_OFF;
    }
    int rc = relay_run(r);
    if (rc == RELAY_DONE) {
        return relay_finished(r);
    }
    r->relay_waits = rc == RELAY_FULL && !patient;
    return rc;
}

static int wait_in_relay(req *r, int state)
{
    const struct conf_route *c = r->route->c;
    if (state == RELAY_EMPTY) {
        return req_wait_here(r, REQ_WAIT_DATA, c->read_timeout, r->fetch.bytes_in);
    }
    return req_wait_here(r, REQ_WAIT_CLIENT_WRITE, r->relay_waits ? RELAY_PATIENCE_MS : c->client_send_timeout, r->sent_body);
}

static int pump(req *r)
{
    int drained = chain_drain(r->chain);
    if (drained < 0 && drained != ERR_AGAIN) {
        return broken(r, ERR_CLIENT_GONE);
    }
    if (drained == 0 && r->fetching && !r->fetch.body_done) {
        int state = run_relay(r);
        if (state < 0) {
            return broken(r, state);
        }
        if (state == RELAY_EMPTY || state == RELAY_FULL) {
            return wait_in_relay(r, state);
        }
    }
    for (int turns = 0; r->fetching && !r->fetch.body_done && chain_wants(r->chain); turns++) {
        if (turns == PUMP_TURNS) {
            req_wake(r); /* let others run: one fast upstream must not hold the loop */
            return wait_in_stream(r);
        }
        int rc = pump_once(r);
        if (rc == ERR_AGAIN) {
            break;
        }
        if (rc < 0) {
            return broken(r, rc);
        }
    }
    if (chain_is_done(r->chain)) {
        return STEP_NEXT;
    }
    return wait_in_stream(r);
}

/* A body that is here already, with no filter in its way, needs no chain: it joins the head in the protocol's queue. STEP_NEXT: done. */
static int whole_body_at_once(req *r)
{
    if (r->has_reply || (r->route->hooks & (1u << PHASE_BODY)) || !r->fetch.upload_done) {
        return STEP_WAIT_HERE;
    }
    bufq q;
    bufq_init(&q);
    fetch *f = &r->fetch;
    ssize_t n = f->ops->read_body(f, &q, PUMP_PIECE);
    sink *out = r->proto->body_sink(r);
    if (n > 0 && f->body_done) {
        release_upstream(r, 0);
        if (sink_push(out, &q, SINK_LAST) == 0) {
            bufq_fini(&q);
            return STEP_NEXT;
        }
    }
    r->chain = chain_new(r);
    int rc = n > 0 || n == ERR_EOF ? chain_push(r->chain, &q, f->body_done ? SINK_LAST : 0) : n == ERR_AGAIN ? 0 : (int)n;
    if (f->body_done) {
        release_upstream(r, 0);
    }
    bufq_fini(&q);
    return rc < 0 && rc != ERR_AGAIN ? rc : STEP_WAIT_HERE;
}

static int start_stream(req *r)
{
    r->chain = chain_new(r);
    if (r->has_reply) {
        int rc = stream_reply_body(r);
        return rc == ERR_AGAIN ? 0 : rc;
    }
    if (r->fetch.body_done) { /* a complete but empty chunked body */
        bufq q;
        bufq_init(&q);
        release_upstream(r, 0);
        int rc = chain_push(r->chain, &q, SINK_LAST);
        return rc == ERR_AGAIN ? 0 : rc;
    }
    return 0;
}

int step_stream(req *r)
{
    if (r->fetch_tunnel) {
        return tunnel_step(r);
    }
    if (r->timed_out && r->relay_waits && !r->total_expired) {
        r->timed_out = r->relay_waits = false;
        r->relay_tired = true;
    }
    if (r->timed_out) {
        if (!r->chain) {
            r->chain = chain_new(r);
        }
        return broken(r, ERR_TIMEOUT);
    }
    if (!r->chain) {
        int rc = r->fetching && !r->fetch.body_done ? whole_body_at_once(r) : STEP_WAIT_HERE;
        if (rc == STEP_NEXT) {
            return rc;
        }
        rc = rc >= 0 && !r->chain ? start_stream(r) : rc;
        if (rc < 0) {
            return broken(r, rc);
        }
    }
    int rc = continue_upload(r);
    return rc < 0 ? broken(r, rc) : pump(r);
}

/* -- finish and log */

int step_finish(req *r)
{
    req_deadline(r, 0);
    timer_clear(&r->total);
    if (r->fetching) {
        if (!r->fetch.body_done || !r->fetch.upload_done) {
            r->fetch.want_close = true;
        }
        attempt_end(r, r->err, false);
        fetch_end(&r->fetch);
        r->fetching = false;
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

int step_log(req *r)
{
    if (r->route && (r->route->hooks & (1u << PHASE_LOG)) && flow_hooks && !r->log_hook_done) {
        int rc = flow_hooks->run(r, PHASE_LOG);
        if (rc == ERR_AGAIN) {
            r->wait = REQ_WAIT_SCRIPT;
            return STEP_WAIT_HERE;
        }
        r->log_hook_done = true;
    }
    if (r->route && r->route->log) {
        access_log_write(r->route->log, r);
    }
    stats_add(STAT_BYTES_IN, r->received);
    stats_add(STAT_BYTES_OUT, r->sent_head + r->sent_body);
    stats_duration(STAT_HIST_REQUEST_TIME, r->end_us - r->start_us);
    return STEP_DETACHED;
}
