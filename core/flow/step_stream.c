/* step_stream.c — the body of the answer: from the upstream (or from here) through the chain, spliced where nothing filters it; or the tunnel. */
#include "back/client.h"
#include "base/err.h"
#include "flow/attempt.h"
#include "flow/chain.h"
#include "flow/filter_rate.h"
#include "flow/plan.h"
#include "flow/relay.h"
#include "flow/steps.h"
#include "flow/tunnel.h"
#include "flow/upload.h"
#include "http/sink.h"

enum { PUMP_PIECE = 256 * 1024, PUMP_TURNS = 16 };

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
    if (r->reply_file) {
        bufq_push_file(&q, r->reply_file->file, 0, (size_t)r->reply_file->size);
    } else {
        bufq_push_static(&q, r->reply_body); /* the request's, or longer-lived: protocols copy what they hold longer (bufq_keep_n) */
    }
    r->reply_body = STR_EMPTY;
    int rc = chain_push(r->chain, &q, SINK_LAST);
    bufq_fini(&q);
    return rc;
}

/* One read from the upstream into the chain. 0 go on, ERR_AGAIN nothing to read, < 0 broken. */
static int pump_once(req *r, size_t piece)
{
    bufq q;
    bufq_init(&q);
    fetch *f = &r->fetch;
    ssize_t n = f->ops->read_body(f, &q, piece);
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
    attempt_broken(r, err);
    attempt_end(r, err, err != ERR_CLIENT_GONE && err != ERR_CLIENT_TIMEOUT);
    return err;
}

/* Early response: the rest of the request body still goes up while the answer comes down. */
static int continue_upload(req *r)
{
    if (!r->fetching) {
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

/* What may be read from the upstream at once; 0: the route's rate says wait. */
static size_t piece_now(req *r, int64_t rate)
{
    if (!rate) {
        return PUMP_PIECE;
    }
    int64_t left = rate_allows(rate, r->first_byte_us) - (int64_t)r->fetch.bytes_in;
    return left <= 0 ? 0 : left < PUMP_PIECE ? (size_t)left : PUMP_PIECE;
}

static int wait_for_rate(req *r, int64_t rate)
{
    return req_wait_here(r, REQ_WAIT_TURN, rate_wait_ms(rate, r->first_byte_us, (int64_t)r->fetch.bytes_in), r->fetch.bytes_in);
}

static int pump(req *r)
{
    int64_t rate = rate_upstream(r);
    int drained = chain_drain(r->chain);
    if (drained < 0 && drained != ERR_AGAIN) {
        return broken(r, ERR_CLIENT_GONE);
    }
    if (drained == 0 && !rate && r->fetching && !r->fetch.body_done) {
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
        size_t piece = piece_now(r, rate);
        if (!piece) {
            return wait_for_rate(r, rate);
        }
        int rc = pump_once(r, piece);
        if (rc == ERR_AGAIN) {
            rc = chain_flush(r->chain);
            if (rc < 0 && rc != ERR_AGAIN) {
                return broken(r, ERR_CLIENT_GONE);
            }
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
    if (r->has_reply || r->filters_on || r->route->upstream_rate || (r->route->hooks & (1u << PHASE_BODY)) || !r->fetch.upload_done) {
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
    if (r->timed_out && r->armed_for == REQ_WAIT_TURN && !r->total_expired) {
        r->timed_out = false;
        r->armed_for = REQ_WAIT_NONE;
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
