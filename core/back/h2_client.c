/* h2_client.c — HTTP/2 towards an upstream: one exchange at a time on a connection, which then goes back to the pool with its session.
 *
 * flow writes the request's head as HTTP/1 text, whatever the protocol; here it is taken apart again. So there is one place that decides what goes to an
 * upstream (flow/forward.c), at the price of scanning text that we wrote ourselves. */
#include "back/client.h"
#include "back/fetch.h"
#include "back/group.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/h2_client.h"
#include "net/idle_conn.h"
#include "net/loop.h"
#include "net/stream.h"

enum { SEND_MAX = 128 * 1024, FILL_MAX = 256 * 1024, IDLE_FILL_MAX = 16384 };

static h2_client *session_of(const fetch *f)
{
    return f->lease.c->owner_data;
}

static void free_session(void *p)
{
    h2_client_free(p);
}

/* -- between exchanges */

static int write_frames(h2_client *s, stream *st)
{
    for (;;) {
        int rc = stream_queued(st) < SEND_MAX ? h2_client_send(s, &st->out, SEND_MAX) : ERR_AGAIN;
        if (rc < 0 && rc != ERR_AGAIN) {
            return rc;
        }
        int sent = stream_queued(st) ? stream_flush(st) : 0;
        if (sent < 0 || rc == 0) {
            return sent;
        }
    }
}

/* A parked connection is asked things too: answers PING and SETTINGS. False: it is of no use any more. */
static bool read_idle(idle_conn *c)
{
    h2_client *s = c->owner_data;
    for (;;) {
        str in = stream_in(&c->s);
        if (in.n) {
            if (h2_client_recv(s, NULL, in) < 0) {
                return false;
            }
            stream_consume(&c->s, in.n);
            int rc = write_frames(s, &c->s);
            if (rc < 0) {
                return false; /* who asks while we are idle and does not read the answer is not worth keeping */
            }
        }
        ssize_t n = stream_fill(&c->s, IDLE_FILL_MAX);
        if (n == ERR_AGAIN) {
            return h2_client_is_usable(s);
        }
        if (n < 0) {
            return false;
        }
    }
}

int h2_client_attach(fetch *f)
{
    idle_conn *c = f->lease.c;
    if (!c->owner_data) {
        c->owner_data = h2_client_new();
        if (!c->owner_data) {
            return ERR_MEM;
        }
        c->owner_free = free_session;
        c->idle_read = read_idle;
    }
    f->ops = &h2_client_ops;
    f->h2 = pool_zalloc(f->pool, sizeof *f->h2);
    return 0;
}

/* -- the head */

/* "Name: value\r\n" off the text; false at the empty line. */
static bool next_line(str *text, str *name, str *value)
{
    size_t end = str_find(*text, '\n', 0);
    str line = str_of(text->p, end > 0 ? end - 1 : 0); /* without "\r" */
    *text = str_from(*text, end < text->n ? end + 1 : text->n);
    size_t colon = str_find(line, ':', 0);
    if (colon >= line.n) {
        return false;
    }
    *name = str_of(line.p, colon);
    *value = str_from(line, colon + 2 <= line.n ? colon + 2 : line.n);
    return true;
}

/* Fields of the connection, which HTTP/2 has no place for (RFC 9113 §8.2.2). */
static bool is_of_connection(str name)
{
    static const char *const names[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_ieq(name, str_c(names[i]))) {
            return true;
        }
    }
    return false;
}

struct fields {
    field *v;
    int n, cap;
};

static void put(struct fields *to, pool *p, str name, str value)
{
    if (to->n == to->cap) {
        int cap = to->cap ? to->cap * 2 : 32;
        field *v = pool_alloc(p, sizeof *v * (size_t)cap);
        if (to->n) {
            memcpy(v, to->v, sizeof *v * (size_t)to->n);
        }
        to->v = v;
        to->cap = cap;
    }
    to->v[to->n++] = (field){.name = name, .value = value};
}

static void take_apart(pool *p, str text, struct h2_client_request *q)
{
    struct fields all = {0};
    str name, value;
    size_t end = str_find(text, '\n', 0);
    str line = str_of(text.p, end - 1);
    text = str_from(text, end + 1);
    size_t a = str_find(line, ' ', 0), b = line.n - strlen(" HTTP/1.1");
    q->method = str_of(line.p, a);
    q->path = str_of(line.p + a + 1, b - a - 1);
    while (next_line(&text, &name, &value)) {
        if (str_ieq(name, STR("host"))) {
            q->authority = value;
        } else if (!is_of_connection(name)) {
            if (str_ieq(name, STR("content-type")) && str_has_iprefix(value, STR("application/grpc"))) {
                put(&all, p, STR("te"), STR("trailers")); /* gRPC servers insist on it */
            }
            put(&all, p, name, value);
        }
    }
    q->v = all.v;
    q->n = all.n;
}

static int start(fetch *f, str head, const headers *trailers)
{
    h2_client *s = session_of(f);
    h2_exchange *x = f->h2;
    str text = pool_dup(f->pool, head); /* a retry must not find it gone, nor nghttp2 on the stack of the caller */
    struct h2_client_request q = {.scheme = f->lease.p->g->tls ? STR("https") : STR("http"),
                                  .no_body = f->upload_done,
                                  .is_head = f->method == METHOD_HEAD};
    take_apart(f->pool, text, &q);
    x->pool = f->pool;
    x->head_max = f->head_max;
    x->upload = &f->upload;
    x->upload_done = &f->upload_done;
    x->upload_trailers = trailers;
    if (h2_client_begin(s, x, &q) < 0) {
        return ERR_UPSTREAM_CLOSED;
    }
    int rc = write_frames(s, fetch_stream(f));
    return rc == ERR_AGAIN ? 0 : rc;
}

/* -- client_ops */

static int h2_send(fetch *f)
{
    stream *st = fetch_stream(f);
    size_t before = f->upload.bytes;
    h2_client_resume(session_of(f));
    int rc = write_frames(session_of(f), st);
    f->bytes_out += before - f->upload.bytes;
    if (rc < 0 && rc != ERR_AGAIN) {
        st->flags |= STREAM_READABLE | STREAM_PROBE; /* an early answer may be there all the same */
        return rc;
    }
    return rc == ERR_AGAIN || f->upload.bytes ? ERR_AGAIN : 0;
}

/* What was read may have opened a window: the upload goes on. */
static int answer_frames(fetch *f)
{
    size_t before = f->upload.bytes;
    int rc = write_frames(session_of(f), fetch_stream(f));
    if (f->upload.bytes < before) {
        f->bytes_out += before - f->upload.bytes;
        if (!f->upload_done) {
            job_wake(f->l, f->user);
        }
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

/* Reads once. 0, ERR_AGAIN, < 0: the connection is over. */
static int read_frames(fetch *f)
{
    stream *st = fetch_stream(f);
    str in = stream_in(st);
    if (!in.n) {
        ssize_t n = stream_fill(st, FILL_MAX);
        if (n < 0) {
            return n == ERR_EOF || n == ERR_RESET || n == ERR_TLS_EOF ? ERR_UPSTREAM_CLOSED : (int)n;
        }
        f->bytes_in += (uint64_t)n;
        in = stream_in(st);
    }
    int rc = h2_client_recv(session_of(f), st->in_mem, in);
    stream_consume(st, in.n);
    return rc < 0 ? rc : answer_frames(f);
}

static int failed(fetch *f, int err)
{
    if (f->h2->refused) {
        f->bytes_out = 0; /* the peer says that nothing was done: any method may be repeated */
        f->bytes_in = 0;
    }
    return err;
}

static int h2_read_head(fetch *f)
{
    h2_exchange *x = f->h2;
    for (;;) {
        if (x->interim_at < x->ninterim) {
            f->res = x->interim[x->interim_at++];
            f->interim++;
            return 1;
        }
        if (x->has_head) {
            f->res = x->res;
            f->body_done = x->ended && bufq_is_empty(&x->in);
            f->trailers = x->trailers;
            return 0;
        }
        if (x->err) {
            return failed(f, x->err);
        }
        int rc = read_frames(f);
        if (rc < 0 && !x->has_head && !x->err) {
            return rc;
        }
    }
}

static ssize_t cut(fetch *f, int err)
{
    f->cut = true;
    return err == ERR_UPSTREAM_CLOSED ? ERR_UPSTREAM_CUT : err;
}

static ssize_t h2_read_body(fetch *f, bufq *q, size_t max)
{
    h2_exchange *x = f->h2;
    for (;;) {
        size_t n = bufq_move_n(q, &x->in, max);
        if (n) {
            h2_client_took(session_of(f), n); /* to the last byte: the connection's window is for those who come after */
        }
        if (x->ended && bufq_is_empty(&x->in)) {
            f->body_done = true;
            f->trailers = x->trailers;
            return n ? (ssize_t)n : ERR_EOF;
        }
        if (n) {
            int rc = answer_frames(f);
            return rc < 0 && !x->ended ? cut(f, rc) : (ssize_t)n;
        }
        if (x->err) {
            return cut(f, x->err);
        }
        int rc = read_frames(f);
        if (rc < 0 && !x->ended && !x->in.bytes) {
            return rc == ERR_AGAIN ? rc : cut(f, x->err ? x->err : rc);
        }
    }
}

static void h2_end(fetch *f)
{
    h2_client_end(session_of(f));
}

static bool h2_reusable(const fetch *f)
{
    const stream *st = fetch_stream(f);
    return f->lease.pooled && f->body_done && !f->cut && !f->want_close && f->upload_done && bufq_is_empty(&f->upload) &&
           h2_client_is_usable(session_of(f)) && stream_queued(st) == 0 && !(st->flags & (STREAM_EOF | STREAM_DEAD));
}

const struct client_ops h2_client_ops = {
    .name = "h2",
    .start = start,
    .send = h2_send,
    .read_head = h2_read_head,
    .read_body = h2_read_body,
    .end = h2_end,
    .reusable = h2_reusable,
};
