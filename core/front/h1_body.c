/* h1_body.c — see h1_body.h. */
#include "front/h1_body.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "http/h1_chunk.h"
#include "http/h1_parse.h"

enum { TRAILER_MAX = 8192 };

void h1_body_start(conn *c, const msg *m)
{
    c->body = m->body;
    c->left = m->body == MSG_BODY_LENGTH ? m->length : 0;
    c->body_state = m->body == MSG_BODY_NONE || (m->body == MSG_BODY_LENGTH && m->length == 0) ? 2 : 0;
    c->sent_continue = false;
    if (m->body == MSG_BODY_CHUNKED) {
        h1_chunk_init(&c->chunk);
    }
}

static int send_continue(conn *c, const req *r)
{
    if (!r->in.expect_continue || c->sent_continue || r->head_sent) {
        return 0;
    }
    c->sent_continue = true;
    return stream_send(&c->s, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static ssize_t fill(conn *c)
{
    ssize_t n = stream_fill(&c->s, H1_BODY_FILL);
    return n < 0 && n != ERR_AGAIN ? ERR_CLIENT_GONE : n;
}

static ssize_t read_length(conn *c, bufq *q, size_t max)
{
    if (!stream_in(&c->s).n) {
        ssize_t got = fill(c);
        if (got < 0) {
            return got;
        }
    }
    size_t n = stream_in(&c->s).n;
    n = n < max ? n : max;
    n = (int64_t)n < c->left ? n : (size_t)c->left;
    stream_take(&c->s, q, n);
    c->left -= (int64_t)n;
    if (c->left == 0) {
        c->body_state = 2;
    }
    return (ssize_t)n;
}

static ssize_t read_trailers(conn *c, headers *into)
{
    const h1_limits lim = {.head = TRAILER_MAX, .fields = 100};
    for (;;) {
        int n = stream_in(&c->s).n ? h1_parse_trailers(stream_in(&c->s), &lim, into) : ERR_AGAIN;
        if (n > 0) {
            headers_pin(into);
            stream_consume(&c->s, (size_t)n);
            c->body_state = 2;
            return ERR_EOF;
        }
        if (n != ERR_AGAIN) {
            return n;
        }
        ssize_t got = fill(c);
        if (got < 0) {
            return got;
        }
    }
}

/* Bytes moved; 0: the in-buffer has no complete piece. */
static ssize_t decode(conn *c, bufq *q, size_t max)
{
    size_t moved = 0;
    while (stream_in(&c->s).n && moved < max && c->body_state == 0) {
        str data;
        size_t used;
        int rc = h1_chunk_decode(&c->chunk, stream_in(&c->s), &data, &used);
        if (rc < 0) {
            return rc;
        }
        if (data.n > H1_CHUNK_SMALL) {
            bufq_push_mem(q, c->s.in_mem, data.p, data.n);
        } else {
            bufq_push_copy(q, data); /* a slice for each would cost more than its bytes */
        }
        moved += data.n;
        stream_consume(&c->s, used);
        c->body_state = rc == 1 ? 1 : 0;
        if (rc == 0 && !used) {
            break;
        }
    }
    return (ssize_t)moved;
}

static ssize_t read_chunked(conn *c, req *r, bufq *q, size_t max)
{
    for (;;) {
        if (c->body_state == 1) {
            if (!r->trailers.pool) {
                headers_init(&r->trailers, &r->pool);
            }
            return read_trailers(c, &r->trailers);
        }
        ssize_t n = decode(c, q, max);
        if (n != 0) {
            return n;
        }
        if (c->body_state == 0) {
            n = fill(c);
            if (n < 0) {
                return n;
            }
        }
    }
}

/* A body of no bytes needs no 100; nginx sends one. */
static ssize_t greet_empty(conn *c, const req *r)
{
    bool greets = r->plan->conf->g.manners == CONF_MANNERS_NGINX;
    return greets && send_continue(c, r) < 0 ? ERR_CLIENT_GONE : ERR_EOF;
}

ssize_t h1_body_read(req *r, bufq *q, size_t max)
{
    conn *c = r->conn;
    if (c->body_state == 2) {
        return UNLIKELY(r->in.expect_continue && c->body == MSG_BODY_LENGTH && r->in.length == 0) ? greet_empty(c, r) : ERR_EOF;
    }
    if (!stream_in(&c->s).n && send_continue(c, r) < 0) {
        return ERR_CLIENT_GONE;
    }
    if (UNLIKELY(r->head_sent)) {
        stream_expect_end(&c->s); /* a reset behind the body would show in the answer, but that may be out already */
    }
    ssize_t n = c->body == MSG_BODY_CHUNKED ? read_chunked(c, r, q, max) : read_length(c, q, max);
    if (n < 0 && n != ERR_AGAIN && n != ERR_EOF) {
        r->close = true; /* where the next request begins is not known any more */
    }
    return n;
}

ssize_t h1_body_skip(conn *c, headers *trailers)
{
    bufq q;
    bufq_init(&q);
    ssize_t n = c->body_state == 1               ? read_trailers(c, trailers)
                : c->body == MSG_BODY_CHUNKED ? decode(c, &q, H1_BODY_FILL)
                                              : read_length(c, &q, H1_BODY_FILL);
    bufq_fini(&q);
    return n == 0 && c->body_state == 0 ? fill(c) : n;
}
