/* h2_stream.c — see h2_stream.h. The request pulls its body out of `in`, which credits the client's window; it pushes the response into `out`, whence the
 * session takes it as windows allow. */
#include "front/h2_stream.h"

#include "base/cells.h"
#include "base/clock.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/steps.h"

#include <stdlib.h>

enum {
    OUT_MAX = 64 * 1024,     /* queued response bytes: more is AGAIN */
    BODY_WINDOW = 64 * 1024, /* of a stream whose body is read */
    FAST_WINDOW = 256 * 1024, /* and whose body is large and taken as it comes */
    COPY_SHARE = 4,          /* pieces of less than this share of their chunk are copied: they must not pin it */
    SEND_MS = 60000,         /* where no route says it */
};

struct h2_late {
    pool pool;
    headers h;
};

static cells streams = CELLS((sizeof(h2_stream) + 15) / 16 * 16);
static const struct proto_ops h2_ops;
static const struct sink_ops h2_sink_ops;

h2_stream *h2_stream_open(h2_conn *h, int32_t id)
{
    conn *c = h->c;
    h2_stream *st = cells_take(&streams);
    if (!st) {
        return NULL;
    }
    memset(st, 0, sizeof *st);
    list_init(&st->work);
    list_push_back(&h->streams, &st->node);
    h->nstreams++;
    st->h = h;
    st->id = id;
    st->left = -1;
    st->send_ms = SEND_MS;
    st->frame_max = H2_FRAME_MAX;
    st->sink.ops = &h2_sink_ops;
    bufq_init(&st->in);
    bufq_init(&st->out);
    st->r = req_new(c->f->l, c->fl->plan, conn_listen(c), &h2_ops, st);
    return st;
}

void h2_stream_start(h2_stream *st)
{
    req *r = st->r;
    conn *c = st->h->c;
    st->started = true;
    conn_introduce(c, r);
    if (st->err) {
        r->in.version = HTTP_2;
        req_start_error(r, st->err);
    } else {
        req_start(r);
    }
}

void h2_stream_close(h2_stream *st, int err)
{
    req *r = st->r;
    st->r = NULL;
    if (st->in.bytes) {
        h2_forget(st->h->session, st->in.bytes);
    }
    bufq_fini(&st->in);
    bufq_fini(&st->out);
    if (st->late) {
        pool_fini(&st->late->pool);
        free(st->late);
    }
    list_remove(&st->node);
    list_remove(&st->work);
    st->h->nstreams--;
    if (r && st->started) {
        req_abort(r, err);
    } else if (r) {
        req_free(r);
    }
    cells_give(&streams, st);
}

/* ---- the request's body */

static void tell_tunnel(h2_stream *st, unsigned ready)
{
    if (st->tunnel) {
        st->tunnel->flags |= (uint16_t)ready;
    }
    if (st->r && st->started) {
        req_wake(st->r);
    }
}

/* No more is taken. Of a malformed body not even the rest that is here goes on (RFC 9113 §8.1.1). */
static void end_in(h2_stream *st, int err)
{
    if (err) {
        h2_forget(st->h->session, st->in.bytes);
        bufq_clear(&st->in);
    }
    st->ended = true;
    st->in_err = err;
    st->malformed = st->malformed || err;
    tell_tunnel(st, STREAM_READABLE);
}

void h2_stream_got(h2_stream *st, str bytes)
{
    conn *c = st->h->c;
    if (!st->r || st->ended || (st->left >= 0 && (int64_t)bytes.n > st->left)) {
        h2_forget(st->h->session, bytes.n);
        if (st->r && !st->ended) {
            end_in(st, ERR_BAD_LENGTH);
        }
        return;
    }
    if (st->left >= 0) {
        st->left -= (int64_t)bytes.n;
    }
    if (bytes.n * COPY_SHARE >= c->s.in_mem->cap) {
        bufq_push_mem(&st->in, c->s.in_mem, bytes.p, bytes.n);
    } else {
        bufq_push_copy(&st->in, bytes);
    }
    tell_tunnel(st, STREAM_READABLE);
}

static int copy_fields(headers *to, const headers *from)
{
    uint32_t at = 0;
    for (const field *f; (f = headers_each(from, &at)) != NULL;) {
        if (headers_add(to, pool_dup(to->pool, f->name), pool_dup(to->pool, f->value)) < 0) {
            return ERR_BAD_TRAILER;
        }
    }
    return 0;
}

void h2_stream_got_end(h2_stream *st, const headers *trailers, int err)
{
    if (st->ended) {
        return;
    }
    if (!err && st->left > 0) {
        err = ERR_BAD_LENGTH; /* RFC 9113 §8.1.1 */
    }
    if (!err && trailers && st->r) {
        headers_init(&st->r->trailers, &st->r->pool);
        err = copy_fields(&st->r->trailers, trailers);
    }
    end_in(st, err);
}

static int send_continue(h2_stream *st)
{
    msg m = {.status = 100};
    if (!st->r->in.expect_continue || st->sent_continue || st->head_sent) {
        return 0;
    }
    st->sent_continue = true;
    return h2_submit_info(st->h->session, st->id, &m);
}

/* A reader is there: the client may send more than the first window. */
static void widen(h2_stream *st)
{
    uint32_t first = (uint32_t)conn_listen(st->h->c)->c->http2_window;
    if (!st->widened && st->taken >= BODY_WINDOW) {
        st->widened = true;
        h2_widen(st->h->session, st->id, FAST_WINDOW);
    } else if (!st->widened && !st->taken && first < BODY_WINDOW) {
        h2_widen(st->h->session, st->id, BODY_WINDOW);
    }
}

static ssize_t take(h2_stream *st, bufq *q, size_t max)
{
    size_t n = bufq_move_n(q, &st->in, max);
    st->taken += n;
    if (st->ended) {
        h2_forget(st->h->session, n);
    } else {
        h2_credit(st->h->session, st->id, n);
    }
    widen(st);
    h2_server_dirty(st->h);
    return (ssize_t)n;
}

static ssize_t h2_read_body(req *r, bufq *q, size_t max)
{
    h2_stream *st = r->conn;
    if (st->in.bytes) {
        return take(st, q, max);
    }
    if (st->ended) {
        return st->in_err ? st->in_err : ERR_EOF;
    }
    if (send_continue(st) < 0) {
        return ERR_CLIENT_GONE;
    }
    widen(st);
    h2_server_dirty(st->h);
    return ERR_AGAIN;
}

/* ---- the response */

static int h2_send_info(req *r, const msg *info)
{
    h2_stream *st = r->conn;
    h2_server_dirty(st->h);
    return h2_submit_info(st->h->session, st->id, info);
}

static size_t head_size(const msg *m)
{
    size_t n = H2_FRAME_HEAD + 3;
    for (uint32_t i = 0; i < m->h.n; i++) {
        n += m->h.v[i].name.n + m->h.v[i].value.n;
    }
    return n;
}

/* What the route says about the connection as a whole. */
static void mind_connection(h2_stream *st, const struct conf_route *rt)
{
    const conn *c = st->h->c;
    bool worn = rt->connection_requests >= 0 && (int64_t)c->requests >= rt->connection_requests;
    bool old = rt->connection_time && clock_ms() - c->opened_ms > rt->connection_time;
    st->h->want_goaway |= worn || old || rt->idle_timeout == 0;
}

static int h2_send_head(req *r, bool last)
{
    h2_stream *st = r->conn;
    st->malformed |= r->err == ERR_CLIENT_TIMEOUT; /* what still comes of it is of no use */
    if (r->route) {
        mind_connection(st, r->route->c);
        st->send_ms = st->h->send_ms = (uint32_t)r->route->c->client_send_timeout;
        st->frame_max = (uint32_t)r->route->c->http2_frame;
        if (UNLIKELY(st->frame_max > H2_FRAME_MAX)) {
            h2_long_frames(st->h->session, st->frame_max);
        }
    }
    if (st->connect && r->res.status / 100 == 2) {
        r->res.status = 502; /* RFC 8441 §5: 2xx would open a tunnel that nobody is at the end of */
    }
    if (r->res.body == MSG_BODY_CLOSE) {
        r->res.body = MSG_BODY_CHUNKED;
    }
    st->head_sent = true;
    st->last = last;
    r->sent_head = head_size(&r->res);
    h2_server_dirty(st->h);
    return h2_submit_head(st->h->session, st->id, &r->res, last);
}

static sink *h2_body_sink(req *r)
{
    h2_stream *st = r->conn;
    return &st->sink;
}

/* What is queued leaves at the end of the turn. */
static int h2_flush(req *r)
{
    (void)r;
    return 0;
}

static void keep_response_trailers(h2_stream *st)
{
    const headers *from = req_trailers(st->r);
    if (!from || !from->live) {
        return;
    }
    st->late = malloc(sizeof *st->late);
    if (st->late) {
        pool_init(&st->late->pool, 1024);
        headers_init(&st->late->h, &st->late->pool);
        st->broken = copy_fields(&st->late->h, from) < 0;
    }
}

static void go_on(h2_stream *st)
{
    if (!list_is_linked(&st->work) && st->out.bytes) {
        st->moved_ms = clock_ms();
        list_push_back(&st->h->pending, &st->work);
    }
    h2_resume(st->h->session, st->id);
    h2_server_dirty(st->h);
}

static int h2_sink_push(sink *sk, bufq *q, unsigned flags)
{
    h2_stream *st = container_of(sk, h2_stream, sink);
    if (q->bytes && st->out.bytes >= OUT_MAX) {
        st->want_wake = true;
        return ERR_AGAIN;
    }
    if (q->bytes) {
        st->r->sent_body += q->bytes;
        (void)bufq_keep_n(&st->out, q, q->bytes); /* the request may be gone before the session writes it */
    }
    if (UNLIKELY((flags & SINK_LAST) && st->r->holds_slot && st->out.bytes)) {
        st->want_wake = true;
        go_on(st);
        return ERR_AGAIN;
    }
    if (flags & SINK_LAST) {
        st->last = true;
        keep_response_trailers(st);
    }
    go_on(st);
    return 0;
}

static void h2_sink_abort(sink *sk, int err)
{
    (void)err;
    h2_stream *st = container_of(sk, h2_stream, sink);
    st->broken = true;
    go_on(st);
}

static const struct sink_ops h2_sink_ops = {.push = h2_sink_push, .abort = h2_sink_abort};

void h2_stream_supply(const h2_stream *st, size_t max, struct h2_supply *s)
{
    size_t most = max < st->frame_max ? max : st->frame_max;
    s->n = st->out.bytes < most ? st->out.bytes : most;
    s->broken = st->broken;
    s->last = st->last && !st->broken && s->n == st->out.bytes;
    s->trailers = s->last && st->late ? &st->late->h : NULL;
}

void h2_stream_moved(h2_stream *st)
{
    st->moved_ms = clock_ms();
    if (!st->out.bytes) {
        list_remove(&st->work);
    }
    if (st->out.bytes < OUT_MAX / 2 && (st->want_wake || st->tunnel)) {
        st->want_wake = false;
        tell_tunnel(st, STREAM_WRITABLE);
    }
}

/* ---- tunnels (RFC 8441): DATA frames in both directions are the stream */

static ssize_t tunnel_read(stream *s, void *buf, size_t n)
{
    h2_stream *st = s->tls;
    size_t got = bufq_peek(&st->in, buf, n);
    if (got) {
        bufq_drop(&st->in, got);
        st->taken += got;
        h2_credit(st->h->session, st->id, got);
        widen(st);
        h2_server_dirty(st->h);
        return (ssize_t)got;
    }
    if (st->ended) {
        return ERR_EOF;
    }
    s->flags &= (uint16_t)~STREAM_READABLE;
    return ERR_AGAIN;
}

static ssize_t tunnel_write(stream *s, const struct iovec *v, int n, bool more)
{
    h2_stream *st = s->tls;
    ssize_t took = 0;
    (void)more;
    if (st->out.bytes >= OUT_MAX) {
        s->flags &= (uint16_t)~STREAM_WRITABLE;
        return ERR_AGAIN;
    }
    for (int i = 0; i < n; i++) {
        bufq_push_copy(&st->out, str_of(v[i].iov_base, v[i].iov_len));
        took += (ssize_t)v[i].iov_len;
    }
    go_on(st);
    return took;
}

static int tunnel_shut(stream *s)
{
    h2_stream *st = s->tls;
    st->last = true;
    go_on(st);
    return 0;
}

static const struct stream_ops tunnel_ops = {.name = "h2-tunnel", .read = tunnel_read, .write = tunnel_write, .shut = tunnel_shut};

static void close_tunnel(void *arg)
{
    stream_close(arg);
}

static stream *h2_hijack(req *r)
{
    h2_stream *st = r->conn;
    st->tunnel = pool_alloc(&r->pool, sizeof *st->tunnel);
    stream_open_virtual(st->tunnel, r->l, &tunnel_ops, &r->job);
    st->tunnel->tls = st;
    pool_on_fini(&r->pool, close_tunnel, st->tunnel);
    return st->tunnel;
}

/* ---- the end */

static void h2_done(req *r)
{
    h2_stream *st = r->conn;
    st->r = NULL;
    st->tunnel = NULL;
    if (st->in.bytes) {
        h2_forget(st->h->session, st->in.bytes);
        bufq_clear(&st->in);
    }
    if (!st->head_sent) {
        h2_reset(st->h->session, st->id, r->err == ERR_CLIENT_TIMEOUT ? H2_PROTOCOL_ERROR : r->err ? H2_INTERNAL_ERROR : H2_NO_ERROR);
    } else if (!st->last) {
        st->broken = true;
        h2_resume(st->h->session, st->id);
    }
    h2_server_dirty(st->h);
}

static const struct proto_ops h2_ops = {
    .name = "http/2",
    .send_info = h2_send_info,
    .send_head = h2_send_head,
    .body_sink = h2_body_sink,
    .read_body = h2_read_body,
    .flush = h2_flush,
    .hijack = h2_hijack,
    .done = h2_done,
};
