/* h1_client.c — HTTP/1 towards an upstream: writes what flow queued, reads head and body incrementally, without copying.
 *
 * The upstream is untrusted: bytes after a complete response close the connection, a short body is an error, never an end. */
#include "back/fetch.h"

#include "back/client.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/h1_chunk.h"
#include "http/h1_parse.h"
#include "net/stream.h"

enum { BODY_BUFFERED_MAX = 1 << 20, TRAILER_MAX = 8192 };

/* A server that answers early (413, 503) and closes makes our writes fail; its answer is in the socket all the same, before the reset. */
static void keep_reading(stream *s)
{
    bufq_clear(&s->out);
    s->flags = (uint16_t)((s->flags & ~STREAM_DEAD) | STREAM_READABLE | STREAM_PROBE);
}

static int h1_send(fetch *f)
{
    stream *s = fetch_stream(f);
    if (!bufq_is_empty(&f->upload)) {
        f->bytes_out += f->upload.bytes;
        stream_push(s, &f->upload);
    }
    int rc = stream_queued(s) ? stream_flush(s) : 0;
    if (rc < 0 && rc != ERR_AGAIN) {
        keep_reading(s);
    }
    return rc;
}

/* The head is parsed in place; its chunk is pinned until the response is done with. */
static int parse_head(fetch *f, stream *s)
{
    const h1_limits lim = {.head = f->head_max, .target = f->head_max, .fields = 1000};
    str in = stream_in(s);
    msg_init(&f->res, f->pool);
    int n = h1_parse_response(in, &lim, &f->scan, f->method, &f->res);
    if (n < 0) {
        return n;
    }
    f->scan = (h1_scan){0};
    if (!f->head_mem) {
        f->head_mem = mem_ref(s->in_mem);
    }
    stream_consume(s, (size_t)n);
    return 0;
}

/* A message that one read did not complete: a reset that shared its edge with the bytes is found by reading on (net/stream.h). */
static inline void probe(stream *s)
{
    if (!(s->flags & STREAM_PROBE)) {
        s->flags |= STREAM_READABLE | STREAM_PROBE;
    }
}

static void start_body(fetch *f)
{
    f->left = f->res.body == MSG_BODY_LENGTH ? f->res.length : 0;
    f->body_done = f->res.body == MSG_BODY_NONE || (f->res.body == MSG_BODY_LENGTH && f->left == 0);
    if (f->res.body == MSG_BODY_CHUNKED) {
        h1_chunk_init(&f->chunk);
    }
    if (f->res.body == MSG_BODY_CLOSE) {
        stream_expect_end(fetch_stream(f));
    }
}

static int take_head(fetch *f, stream *s)
{
    int rc = parse_head(f, s);
    if (rc < 0) {
        return rc;
    }
    if (f->res.status == 101) {
        f->tunnel = f->body_done = true;
        return 0;
    }
    if (f->res.status < 200) {
        if (++f->interim > FETCH_MAX_INTERIM) {
            return ERR_UPSTREAM_PROTOCOL;
        }
        mem_unref(f->head_mem); /* interim heads are passed on at once or dropped */
        f->head_mem = NULL;
        return 1;
    }
    start_body(f);
    return 0;
}

static int h1_read_head(fetch *f)
{
    stream *s = fetch_stream(f);
    for (;;) {
        if (stream_in(s).n) {
            int rc = take_head(f, s);
            if (rc != ERR_AGAIN) {
                return rc;
            }
            probe(s);
        }
        ssize_t n = stream_fill(s, f->head_max + 65536);
        if (n == ERR_EOF || n == ERR_RESET || n == ERR_TLS_EOF) {
            return stream_in(s).n ? ERR_UPSTREAM_HEAD : ERR_UPSTREAM_CLOSED;
        }
        if (n < 0) {
            return n == ERR_LIMIT ? ERR_UPSTREAM_HEAD : (int)n;
        }
        f->bytes_in += (uint64_t)n;
    }
}

static ssize_t fill_body(fetch *f, stream *s)
{
    probe(s);
    ssize_t n = stream_fill(s, BODY_BUFFERED_MAX);
    if (n > 0) {
        f->bytes_in += (uint64_t)n;
    }
    return n;
}

static ssize_t cut(fetch *f, ssize_t err)
{
    f->cut = true;
    return err == ERR_EOF || err == ERR_RESET || err == ERR_TLS_EOF ? ERR_UPSTREAM_CUT : err;
}

static ssize_t read_length(fetch *f, stream *s, bufq *q, size_t max)
{
    str in = stream_in(s);
    if (!in.n) {
        ssize_t n = fill_body(f, s);
        if (n < 0) {
            return n == ERR_AGAIN ? n : cut(f, n);
        }
        in = stream_in(s);
    }
    size_t n = in.n < max ? in.n : max;
    if ((int64_t)n > f->left) {
        n = (size_t)f->left;
    }
    stream_take(s, q, n);
    f->left -= (int64_t)n;
    f->body_done = f->left == 0;
    return (ssize_t)n;
}

static ssize_t read_close(fetch *f, stream *s, bufq *q, size_t max)
{
    if (!stream_in(s).n) {
        ssize_t n = fill_body(f, s);
        if (n == ERR_EOF) {
            f->body_done = true;
            return ERR_EOF;
        }
        if (n < 0) {
            return n == ERR_AGAIN ? n : cut(f, n);
        }
    }
    size_t n = stream_in(s).n < max ? stream_in(s).n : max;
    stream_take(s, q, n);
    return (ssize_t)n;
}

/* After the last chunk: the trailer section, whose fields end up in f->trailers. */
static ssize_t read_trailers(fetch *f, stream *s)
{
    const h1_limits lim = {.head = TRAILER_MAX, .fields = 100};
    for (;;) {
        int n = stream_in(s).n ? h1_parse_trailers(stream_in(s), &lim, &f->trailers) : ERR_AGAIN;
        if (n > 0) {
            if (f->drop_trailers) {
                headers_init(&f->trailers, f->pool);
            }
            headers_pin(&f->trailers);
            stream_consume(s, (size_t)n);
            f->body_done = true;
            return ERR_EOF;
        }
        if (n != ERR_AGAIN) {
            return cut(f, ERR_UPSTREAM_PROTOCOL);
        }
        ssize_t got = fill_body(f, s);
        if (got < 0) {
            return got == ERR_AGAIN ? got : cut(f, got);
        }
    }
}

/* Decodes what is buffered; bytes moved, ERR_AGAIN when none are there, ERR_EOF when the last chunk was seen. */
static ssize_t decode_buffered(fetch *f, stream *s, bufq *q, size_t max)
{
    ssize_t moved = 0;
    while (stream_in(s).n && (size_t)moved < max) {
        str data;
        size_t used;
        int rc = h1_chunk_decode(&f->chunk, stream_in(s), &data, &used);
        if (rc < 0) {
            ssize_t err = cut(f, ERR_UPSTREAM_PROTOCOL);
            return moved ? moved : err; /* what was right still goes on; the next call says the rest */
        }
        if (data.n > H1_CHUNK_SMALL) {
            bufq_push_mem(q, s->in_mem, data.p, data.n);
        } else {
            bufq_push_copy(q, data); /* a slice for each would cost more than its bytes */
        }
        moved += (ssize_t)data.n;
        stream_consume(s, used);
        if (rc == 1) {
            f->trailers_state = 1;
            headers_init(&f->trailers, f->pool);
            return moved ? moved : ERR_EOF;
        }
        if (!used) {
            break;
        }
    }
    return moved ? moved : ERR_AGAIN;
}

static ssize_t read_chunked(fetch *f, stream *s, bufq *q, size_t max)
{
    for (;;) {
        if (f->cut) {
            return ERR_UPSTREAM_PROTOCOL;
        }
        if (f->trailers_state) {
            return read_trailers(f, s);
        }
        ssize_t moved = decode_buffered(f, s, q, max);
        if (moved > 0 && f->trailers_state) {
            /* usually the final CRLF is here too: finish now, so that the end travels with the last bytes */
            ssize_t end = read_trailers(f, s);
            return end == ERR_EOF || end == ERR_AGAIN ? moved : end;
        }
        if (moved == ERR_EOF) {
            continue;
        }
        if (moved != ERR_AGAIN) {
            return moved;
        }
        ssize_t n = fill_body(f, s);
        if (n < 0) {
            return n == ERR_AGAIN ? n : cut(f, n);
        }
    }
}

static ssize_t h1_read_body(fetch *f, bufq *q, size_t max)
{
    stream *s = fetch_stream(f);
    if (f->body_done) {
        return ERR_EOF;
    }
    switch ((enum msg_body)f->res.body) {
    case MSG_BODY_LENGTH:
        return read_length(f, s, q, max);
    case MSG_BODY_CHUNKED:
        return read_chunked(f, s, q, max);
    case MSG_BODY_CLOSE:
        return read_close(f, s, q, max);
    case MSG_BODY_NONE:
        break;
    }
    f->body_done = true;
    return ERR_EOF;
}

/* Reusable: both messages are over, nothing is left in either direction, and both sides want it (RFC 9112 §9.3). */
static bool h1_reusable(const fetch *f)
{
    const stream *s = fetch_stream(f);
    return f->lease.pooled && f->body_done && !f->cut && !f->tunnel && !f->want_close && f->upload_done &&
           f->res.keepalive && bufq_is_empty(&f->upload) && stream_queued(s) == 0 && stream_in(s).n == 0 &&
           !(s->flags & (STREAM_EOF | STREAM_DEAD));
}

const struct client_ops h1_client_ops = {
    .name = "http/1.1",
    .send = h1_send,
    .read_head = h1_read_head,
    .read_body = h1_read_body,
    .reusable = h1_reusable,
};
