/* h1_server.c — HTTP/1 with a client: heads in, bodies in both directions, keepalive, pipelining, 100-continue.
 *
 * One request at a time; what is pipelined behind it stays in the in-buffer until it is over. The request pulls its body (h1_body.c) and pushes the
 * response into the sink; everything queued leaves in one send when the request waits or ends. */
#include "conf/conf.h"
#include "flow/plan.h"
#include "front/h1_body.h"

#include "base/clock.h"
#include "base/err.h"
#include "flow/steps.h"
#include "http/h1_chunk.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"
#include "tls/stream_tls.h"

#include <sys/socket.h>

enum {
    OUT_MAX = 64 * 1024,          /* queued response bytes: more is AGAIN */
    COPY_MAX = 4096,              /* smaller pieces are copied behind the head: one flat send */
    PIECE_MAX = 256 * 1024,       /* of a response, queued at once */
    WATCH_MAX = 64 * 1024,        /* pipelined bytes read while a request is under way */
    DISCARD_MAX = 256 * 1024,     /* unwanted request body that is read away to keep the connection */
    DISCARD_MS = 5000,
    SEND_MS = 60000,              /* where no route says it */
};

static const struct proto_ops h1_ops;
static const struct sink_ops h1_sink_ops;

static void next_request(conn *c);

/* -- ends */

static void close_soon(conn *c)
{
    bool quiet = c->body_state == 2 && stream_in(&c->s).n == 0 && !(c->s.flags & STREAM_READABLE);
    if ((quiet && !(c->s.flags & STREAM_TLS) && !c->times.linger_always) || c->times.linger_ms == 0) {
        conn_close(c); /* nothing unread: close(2) sends the queue and a FIN, no reset */
    } else {
        conn_linger(c);
    }
}

static void make_reset(conn *c)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(c->s.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static void client_gone(conn *c, int err)
{
    req *r = c->r;
    c->r = NULL;
    if (r) {
        req_abort(r, err);
    }
    if (err == ERR_CLIENT_TIMEOUT && c->times.reset_late) {
        make_reset(c);
    }
    conn_close(c);
}

/* A cut body must not look complete, not even one that ends with the connection: reset instead of FIN or close_notify. */
static void close_broken(conn *c)
{
    if (c->to_close) {
        make_reset(c);
    }
    conn_close(c);
}

static void after_response(conn *c)
{
    if (c->broken) {
        close_broken(c);
    } else if (!c->keepalive) {
        close_soon(c);
    } else if (c->body_state != 2) {
        c->discarded = 0;
        conn_enter(c, CONN_DISCARD);
        c->s.flags |= STREAM_READABLE | STREAM_PROBE; /* as in conn_linger */
        timer_set(c->f->l, &c->timer, DISCARD_MS);
        job_wake(c->f->l, &c->job);
    } else {
        next_request(c);
    }
}

static uint32_t idle_ms(const conn *c)
{
    return c->times.idle_ms == CONN_TIMES_LISTENER ? (uint32_t)conn_listen(c)->c->idle_timeout : c->times.idle_ms;
}

static void next_request(conn *c)
{
    c->scan = (h1_scan){0};
    c->s.flags &= (uint16_t)~STREAM_PROBE;
    conn_enter(c, CONN_HEAD);
    c->pipelined = stream_in(&c->s).n > 0;
    if (stream_in(&c->s).n || (c->s.flags & (STREAM_READABLE | STREAM_BUFFERED))) {
        job_wake(c->f->l, &c->job);
    }
    stream_release_in(&c->s);
    bufq_shrink(&c->s.out);
    conn_set_idle(c, true);
    timer_set(c->f->l, &c->timer, c->f->draining ? FRONT_IDLE_GRACE_MS : idle_ms(c));
}

/* -- request heads */

static void begin(conn *c, req *r)
{
    c->r = r;
    c->keepalive = false;
    c->chunked_out = c->broken = c->to_close = c->want_drain_wake = c->raw = false;
    c->sink.ops = &h1_sink_ops;
    c->times.send_ms = SEND_MS; /* for interim answers; the final head brings the route's */
    conn_introduce(c, r);
    conn_enter(c, CONN_REQUEST);
    timer_clear(&c->timer);
}

static req *make_req(conn *c)
{
    return req_new(c->f->l, c->fl->plan, conn_listen(c), &h1_ops, c);
}

/* A head that cannot be parsed is answered by a request object too, so that it is logged and has the site's header fields. */
static void refuse_head(conn *c, req *r, int err)
{
    begin(c, r);
    r->in.version = HTTP_1_1;
    c->body_state = 0; /* unknown: what follows is not read as a request */
    req_start_error(r, err);
}

void h1_server_refuse(conn *c, int err)
{
    refuse_head(c, make_req(c), err);
}

/* 1: a request was started; 0: more bytes are needed. */
static int try_head(conn *c)
{
    h1_limits lim = conn_head_limits(c);
    req *r = make_req(c);
    int n = h1_parse_request(stream_in(&c->s), &lim, &c->scan, &r->in);
    if (n == ERR_AGAIN) {
        req_free(r);
        return 0;
    }
    r->head_mem = mem_ref(c->s.in_mem);
    if (n < 0) {
        refuse_head(c, r, n);
        return 1;
    }
    r->received = (uint64_t)n;
    h1_body_start(c, &r->in);
    stream_consume(&c->s, (size_t)n);
    begin(c, r);
    req_start(r);
    return 1;
}

static void run_head(conn *c)
{
    if (UNLIKELY(c->late)) {
        h1_server_refuse(c, ERR_CLIENT_TIMEOUT);
        return;
    }
    for (;;) {
        if (stream_in(&c->s).n) {
            bool was_idle = c->idle;
            conn_set_idle(c, false);
            conn_set_reading(c, false);
            if (try_head(c)) {
                return; /* usually the head comes in one piece: its deadline was never needed */
            }
            conn_set_reading(c, true);
            if (was_idle) {
                timer_set(c->f->l, &c->timer, conn_listen(c)->c->header_timeout);
            }
        }
        ssize_t n = stream_fill(&c->s, (size_t)conn_listen(c)->c->head_size + 65536);
        if (n == ERR_AGAIN) {
            return;
        }
        if (n < 0) {
            conn_close(c);
            return;
        }
    }
}

/* -- unwanted request bodies */

/* The rest of a body nobody wanted. */
static void run_discard(conn *c)
{
    headers dropped;
    pool p;
    pool_init(&p, 1024);
    headers_init(&dropped, &p);
    ssize_t n = 0;
    while (c->body_state != 2 && n >= 0) {
        n = h1_body_skip(c, &dropped);
        if (n > 0 && (c->discarded += (uint32_t)n) > DISCARD_MAX) {
            n = ERR_LIMIT;
        }
    }
    pool_fini(&p);
    if (c->body_state == 2) {
        next_request(c);
    } else if (n != ERR_AGAIN) {
        close_soon(c);
    }
}

/* -- responses */

/* Old MSIE loses the next request after a POST on a kept connection, and Safari some: what the configuration says of them. */
static bool is_bad_keeper(const req *r, const struct conf_route *rt)
{
    const field *agent = headers_find(&r->in.h, TOKEN_USER_AGENT);
    if (!agent) {
        return false;
    }
    str ua = agent->value;
    size_t at = str_search(ua, STR("MSIE "));
    if (at + 6 < ua.n) {
        bool old = ua.p[at + 6] == '.' && (ua.p[at + 5] == '4' || ua.p[at + 5] == '5' ||
                                           (ua.p[at + 5] == '6' && str_search(ua, STR("SV1")) == ua.n));
        return rt->no_keep_msie6 && old && r->in.method == METHOD_POST;
    }
    return rt->no_keep_safari && str_search(ua, STR("Safari/")) < ua.n && str_search(ua, STR("Mac OS X")) < ua.n &&
           str_search(ua, STR("Chrome/")) == ua.n;
}

static bool is_refused_by_route(const conn *c, const req *r, const struct conf_route *rt)
{
    if (rt->idle_timeout == 0 || (rt->connection_time && clock_ms() - c->opened_ms > rt->connection_time)) {
        return true;
    }
    return (rt->no_keep_safari || (rt->no_keep_msie6 && r->in.method == METHOD_POST)) && is_bad_keeper(r, rt);
}

static bool may_keep(const conn *c, const req *r)
{
    const struct conf_listen *l = conn_listen(c)->c;
    if (!r->in.keepalive || r->close || r->err_at_start || c->f->draining || c->fl->gone || r->res.status == 101) {
        return false;
    }
    if (c->body_state != 2 && (r->in.expect_continue && !c->sent_continue)) {
        return false; /* whether the body still comes is the client's choice: the connection is out of step */
    }
    if (c->body_state != 2 && r->has_reply && c->body == MSG_BODY_LENGTH && c->left > DISCARD_MAX) {
        return false; /* too much to be read away */
    }
    const struct conf_route *rt = r->route ? r->route->c : NULL;
    if (rt && UNLIKELY(r->route->picky) && is_refused_by_route(c, r, rt)) {
        return false;
    }
    return (int64_t)c->requests < (rt && rt->connection_requests >= 0 ? rt->connection_requests : l->keepalive_requests);
}

static void choose_framing(conn *c, req *r)
{
    msg *m = &r->res;
    c->keepalive = may_keep(c, r);
    if (m->body == MSG_BODY_CHUNKED || m->body == MSG_BODY_CLOSE) {
        if (r->in.version < HTTP_1_1 || (r->route && !r->route->c->chunked)) {
            m->body = MSG_BODY_CLOSE;
            c->keepalive = false;
            c->to_close = true;
        } else {
            m->body = MSG_BODY_CHUNKED;
            c->chunked_out = r->in.method != METHOD_HEAD;
        }
    }
}

static void write_keepalive(const req *r, fmt *f)
{
    fmt_put(f, STR("Connection: keep-alive\r\n"));
    if (r->route && r->route->c->idle_told) {
        fmt_put(f, STR("Keep-Alive: timeout="));
        fmt_u64(f, (uint64_t)r->route->c->idle_told / 1000);
        fmt_put(f, STR("\r\n"));
    }
}

static void write_head(const conn *c, const req *r, fmt *f)
{
    const msg *m = &r->res;
    h1_write_status(f, 1, m->status, m->reason);
    h1_write_fields(f, &m->h);
    if (m->status == 101) {
        const field *to = headers_find(&m->h, TOKEN_UPGRADE);
        h1_write_field(f, STR("Upgrade"), to ? to->value : STR("websocket"));
        fmt_put(f, STR("Connection: upgrade\r\n\r\n"));
        return;
    }
    if (!(r->in.method == METHOD_HEAD && headers_find(&m->h, TOKEN_CONTENT_LENGTH))) {
        h1_write_framing(f, m);
    }
    if (!c->keepalive) {
        fmt_put(f, STR("Connection: close\r\n"));
    } else if (r->in.version < HTTP_1_1 || (r->route && r->route->c->signature != CONF_SIGNATURE_MOONGATE)) {
        write_keepalive(r, f);
    }
    fmt_put(f, STR("\r\n"));
}

/* What the route says about the connection's waits and its end. */
static void take_times(conn *c, const req *r)
{
    if (LIKELY(r->route != NULL)) {
        c->times = r->route->times;
    } else {
        c->times.send_ms = SEND_MS;
        c->times.idle_ms = CONN_TIMES_LISTENER;
    }
}

static int h1_send_head(req *r, bool last)
{
    (void)last;
    conn *c = r->conn;
    take_times(c, r);
    choose_framing(c, r);
    mem *m = mem_new(MEM_16K);
    fmt f = fmt_of(m->data, m->cap);
    write_head(c, r, &f);
    if (UNLIKELY(f.cut)) {
        mem_unref(m);
        m = mem_try_new(h1_write_size(&r->res.h) + r->res.reason.n + 256);
        if (!m) {
            return ERR_MEM;
        }
        f = fmt_of(m->data, m->cap);
        write_head(c, r, &f);
    }
    r->sent_head = fmt_str(&f).n;
    bufq_push(&c->s.out, (slice){.p = m->data, .n = fmt_str(&f).n, .mem = m});
    return f.cut ? ERR_LIMIT : 0;
}

static int h1_send_info(req *r, const msg *info)
{
    conn *c = r->conn;
    char buf[8192];
    fmt f = fmt_of(buf, sizeof buf);
    h1_write_status(&f, 1, info->status, info->reason);
    h1_write_fields(&f, &info->h);
    fmt_put(&f, STR("\r\n"));
    return f.cut ? 0 : stream_send(&c->s, fmt_str(&f));
}

static void arm_write_deadline(conn *c)
{
    if (c->flushed_at != c->s.bytes_out || !timer_is_set(&c->timer)) {
        c->flushed_at = c->s.bytes_out;
        timer_set(c->f->l, &c->timer, c->times.send_ms);
    }
}

static int flush(conn *c)
{
    if (!stream_queued(&c->s)) {
        return 0;
    }
    int rc = stream_flush(&c->s);
    if (rc == ERR_AGAIN) {
        if (!c->tunnel) { /* that has its idle time */
            arm_write_deadline(c);
        }
    } else if (rc == 0 && c->state == CONN_REQUEST) {
        timer_clear(&c->timer);
    }
    return rc;
}

static sink *h1_body_sink(req *r)
{
    conn *c = r->conn;
    return &c->sink;
}

static int h1_flush(req *r)
{
    return flush(r->conn);
}

static bool is_small_memory(const bufq *q, size_t n)
{
    for (uint32_t i = 0; i < q->n && n <= COPY_MAX; i++) {
        if (!bufq_at(q, i)->p) {
            return false;
        }
    }
    return n <= COPY_MAX;
}

static void queue_piece(conn *c, bufq *q, size_t n)
{
    bufq *out = &c->s.out;
    if (c->chunked_out) {
        char head[H1_CHUNK_HEAD_MAX];
        bufq_push_copy(out, str_of(head, h1_chunk_head(head, n)));
    }
    if (n == q->bytes && is_small_memory(q, n)) {
        for (uint32_t i = 0; i < q->n; i++) {
            bufq_push_copy(out, str_of(bufq_at(q, i)->p, bufq_at(q, i)->n));
        }
        bufq_clear(q);
    } else {
        (void)bufq_keep_n(out, q, n); /* a slow client reads what is left of it when the request is gone */
    }
    if (c->chunked_out) {
        bufq_push_copy(out, STR("\r\n"));
    }
}

static void queue_end(conn *c, const req *r)
{
    if (!c->chunked_out) {
        return;
    }
    bufq *out = &c->s.out;
    const headers *t = req_trailers(r);
    if (!t) {
        bufq_push_copy(out, STR("0\r\n\r\n"));
        return;
    }
    bufq_push_copy(out, STR("0\r\n"));
    uint32_t at = 0;
    for (const field *v; (v = headers_each(t, &at)) != NULL;) {
        bufq_push_copy(out, v->name);
        bufq_push_copy(out, STR(": "));
        bufq_push_copy(out, v->value);
        bufq_push_copy(out, STR("\r\n"));
    }
    bufq_push_copy(out, STR("\r\n"));
}

static int h1_sink_push(sink *sk, bufq *q, unsigned flags)
{
    conn *c = container_of(sk, conn, sink);
    req *r = c->r;
    while (q->bytes) {
        size_t queued = stream_queued(&c->s);
        if (queued >= OUT_MAX) {
            int rc = flush(c);
            if (rc < 0 && rc != ERR_AGAIN) {
                return ERR_CLIENT_GONE;
            }
            queued = stream_queued(&c->s);
            if (queued >= OUT_MAX) {
                c->want_drain_wake = true;
                return ERR_AGAIN;
            }
        }
        size_t n = q->bytes < PIECE_MAX ? q->bytes : PIECE_MAX;
        r->sent_body += n;
        queue_piece(c, q, n);
    }
    if (flags & SINK_LAST) {
        queue_end(c, r);
    }
    return 0;
}

static void h1_sink_abort(sink *sk, int err)
{
    (void)err;
    conn *c = container_of(sk, conn, sink);
    c->broken = true;
    c->keepalive = false;
}

static stream *h1_raw(req *r)
{
    conn *c = r->conn;
    if (c->chunked_out || (c->s.flags & STREAM_TLS)) {
        return NULL;
    }
    c->raw = true;
    return &c->s;
}

static stream *h1_hijack(req *r)
{
    conn *c = r->conn;
    c->tunnel = true;
    c->keepalive = false;
    timer_clear(&c->timer);
    return &c->s;
}

static void h1_done(req *r)
{
    conn *c = r->conn;
    if (r->close) {
        c->keepalive = false;
    }
    c->tunnel = false;
    if (!c->keepalive) {
        req_log_early(r);
    }
    int rc = flush(c);
    c->r = NULL;
    if (rc == ERR_AGAIN) {
        conn_enter(c, CONN_DRAIN);
    } else if (rc < 0) {
        conn_close(c);
    } else {
        after_response(c);
    }
}

static const struct proto_ops h1_ops = {
    .name = "http/1.1",
    .send_info = h1_send_info,
    .send_head = h1_send_head,
    .body_sink = h1_body_sink,
    .read_body = h1_body_read,
    .flush = h1_flush,
    .raw = h1_raw,
    .hijack = h1_hijack,
    .done = h1_done,
};

static const struct sink_ops h1_sink_ops = {.push = h1_sink_push, .abort = h1_sink_abort};

/* -- readiness while a request is under way */

/* False: the connection is gone. */
static bool watch_writes(conn *c)
{
    int rc = flush(c);
    if (rc < 0 && rc != ERR_AGAIN) {
        client_gone(c, ERR_CLIENT_GONE);
        return false;
    }
    if (c->want_drain_wake && stream_queued(&c->s) < OUT_MAX / 2) {
        c->want_drain_wake = false;
        req_wake(c->r);
    }
    return true;
}

/* Body complete: only pipelined bytes or the client's end can come. */
static void watch_reads(conn *c)
{
    for (;;) {
        ssize_t n = stream_fill(&c->s, WATCH_MAX);
        if (n == ERR_AGAIN || n == ERR_LIMIT || (n == ERR_EOF && stream_in(&c->s).n)) {
            return; /* who pipelined and then shut its side still gets its answers */
        }
        if (n < 0) {
            client_gone(c, ERR_CLIENT_GONE);
            return;
        }
    }
}

static void run_request(conn *c)
{
    if (c->tunnel) {
        req_wake(c->r);
        return;
    }
    bool reading = c->body_state != 2;
    if (stream_queued(&c->s) && (c->s.flags & STREAM_WRITABLE)) {
        if (!watch_writes(c)) {
            return;
        }
    }
    if (c->raw && (c->s.flags & STREAM_WRITABLE)) {
        req_wake(c->r);
    }
    if (reading) {
        req_wake(c->r);
    } else if (c->s.flags & STREAM_READABLE) {
        watch_reads(c);
    }
}

void h1_server_run(conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_HEAD:
        run_head(c);
        break;
    case CONN_REQUEST:
        run_request(c);
        break;
    case CONN_DRAIN: {
        int rc = flush(c);
        if (rc == 0) {
            after_response(c);
        } else if (rc != ERR_AGAIN) {
            conn_close(c);
        }
        break;
    }
    case CONN_DISCARD:
        run_discard(c);
        break;
    case CONN_PROXY:
    case CONN_TLS:
    case CONN_SNIFF:
    case CONN_H2:
    case CONN_LINGER:
        break;
    }
}

void h1_server_timeout(conn *c)
{
    if (c->state == CONN_HEAD && stream_in(&c->s).n) {
        c->late = true;
        job_wake(c->f->l, &c->job);
    } else if (c->state == CONN_REQUEST) {
        client_gone(c, ERR_CLIENT_TIMEOUT); /* it takes no bytes of the response */
    } else {
        conn_close(c);
    }
}
