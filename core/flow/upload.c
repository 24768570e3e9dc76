/* upload.c — see upload.h. */
#include "flow/upload.h"

#include "back/client.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/attempt.h"
#include "flow/body.h"
#include "flow/exchange_impl.h"
#include "http/h1_chunk.h"
#include "net/stream.h"

enum { UPLOAD_PIECE = 256 * 1024, UPLOAD_QUEUED_MAX = 128 * 1024, UPLOAD_TURNS = 16 };

int64_t upload_length(const req *r)
{
    if (!r->body || UNLIKELY(r->route->exchange && !r->route->exchange->c->send_body && !r->route->exchange->body)) {
        if (r->body) {
            return -2;
        }
        return r->in.body == MSG_BODY_LENGTH ? 0 : -2;
    }
    int64_t held = body_size(r->body);
    if (held >= 0) {
        return held;
    }
    return r->in.body == MSG_BODY_LENGTH ? r->in.length : -1;
}

static void queue_piece(fetch *f, bufq *piece)
{
    if (f->chunked_upload && piece->bytes) {
        char head[H1_CHUNK_HEAD_MAX];
        bufq_push_copy(&f->upload, str_of(head, h1_chunk_head(head, piece->bytes)));
        bufq_move(&f->upload, piece);
        bufq_push_static(&f->upload, STR("\r\n"));
        return;
    }
    bufq_move(&f->upload, piece);
}

static void finish(const req *r, fetch *f)
{
    f->upload_done = true;
    if (!f->chunked_upload) {
        return;
    }
    bufq_push_static(&f->upload, STR("0\r\n"));
    uint32_t at = 0;
    for (const field *t; r->trailers.pool && (t = headers_each(&r->trailers, &at)) != NULL;) {
        bufq_push_copy(&f->upload, t->name);
        bufq_push_copy(&f->upload, STR(": "));
        bufq_push_copy(&f->upload, t->value);
        bufq_push_copy(&f->upload, STR("\r\n"));
    }
    bufq_push_static(&f->upload, STR("\r\n"));
}

/* One piece from the client into the fetch's queue. 0, ERR_AGAIN, < 0. */
static int next_piece(req *r, fetch *f)
{
    bufq piece;
    bufq_init(&piece);
    ssize_t n = body_read(r, &piece, UPLOAD_PIECE);
    if (n > 0) {
        queue_piece(f, &piece);
        if (body_is_given(r->body)) {
            n = ERR_EOF; /* the end goes with the last bytes */
        } else if (f->lease.h2) { /* in the frame of the last bytes, if it is there already */
            n = body_read(r, &piece, UPLOAD_PIECE);
            bufq_move(&f->upload, &piece);
            n = n == ERR_AGAIN ? 1 : n;
        }
    }
    if (n == ERR_EOF) {
        finish(r, f);
    }
    bufq_fini(&piece);
    return n > 0 || n == ERR_EOF ? 0 : (int)n;
}

/* The upstream takes no more; what it said before may still be read. */
static int refused(fetch *f)
{
    f->want_close = true;
    f->upload_done = true;
    bufq_clear(&f->upload);
    return ERR_UPSTREAM_CLOSED;
}

int upload_begin(req *r)
{
    fetch *f = &r->fetch;
    int rc = next_piece(r, f);
    if (f->lease.h2 && f->upload_done && bufq_is_empty(&f->upload)) {
        int sent = f->ops->send(f); /* no byte, but an end: nobody would look for it later */
        return sent < 0 && sent != ERR_AGAIN ? attempt_failed(r, ERR_UPSTREAM_CLOSED) : 0;
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

int upload_run(req *r)
{
    fetch *f = &r->fetch;
    if (f->upload_done && bufq_is_empty(&f->upload) && stream_queued(fetch_stream(f)) == 0) {
        return 0;
    }
    for (int turn = 0;; turn++) {
        int rc = f->ops->send(f);
        if (rc < 0 && rc != ERR_AGAIN) {
            return refused(f);
        }
        if (rc == 0 && f->upload_done) {
            return 0;
        }
        if (rc == ERR_AGAIN && (f->upload_done || stream_queued(fetch_stream(f)) + f->upload.bytes >= UPLOAD_QUEUED_MAX)) {
            r->upload_on_client = false;
            return ERR_AGAIN;
        }
        if (turn == UPLOAD_TURNS) {
            req_wake(r); /* two fast ends must not hold the loop */
            r->upload_on_client = false;
            return ERR_AGAIN;
        }
        int got = next_piece(r, f);
        if (got == ERR_AGAIN) {
            r->upload_on_client = rc == 0;
        }
        if (got < 0) {
            return got;
        }
    }
}
