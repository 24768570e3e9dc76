/* relay.c — see relay.h. */
#include "flow/relay.h"

#include "base/err.h"
#include "flow/chain.h"
#include "net/splice.h"

#include <unistd.h>

enum { RELAY_MIN = 256 * 1024, RELAY_TURNS = 16 };

static bool is_possible(req *r, stream *up)
{
    const fetch *f = &r->fetch;
    return f->res.body == MSG_BODY_LENGTH && f->left >= RELAY_MIN && chain_is_plain(r->chain) && !(up->flags & STREAM_TLS);
}

/* The client's stream when raw bytes may follow what was sent; everything queued must be out. */
static stream *client_stream(req *r)
{
    stream *to = r->proto->raw ? r->proto->raw(r) : NULL;
    if (to && stream_queued(to) && r->proto->flush(r) < 0) {
        return NULL;
    }
    return to;
}

static int ended(req *r, const stream *up, ssize_t rc)
{
    if (rc == ERR_AGAIN) {
        return relay_holds(r) ? RELAY_FULL : RELAY_EMPTY;
    }
    if (rc == ERR_EOF || (up->flags & STREAM_DEAD)) {
        r->fetch.cut = true;
        return ERR_UPSTREAM_CUT;
    }
    return ERR_CLIENT_GONE;
}

/* One splice, accounted. Only ERR_AGAIN means that a side is drained or full. */
static ssize_t move(req *r, stream *up, stream *to)
{
    fetch *f = &r->fetch;
    size_t held = r->relay->held;
    ssize_t n = stream_splice(up, to, r->relay, (size_t)f->left + held);
    size_t given = n > 0 ? (size_t)n : 0;
    size_t taken = given + r->relay->held - held;
    r->sent_body += given;
    f->left -= (int64_t)taken;
    f->bytes_in += taken;
    return n;
}

static void on_fini(void *arg)
{
    req *r = arg;
    splice_pipe_put(r->l, r->relay);
}

int relay_run(req *r)
{
    fetch *f = &r->fetch;
    stream *up = fetch_stream(f);
    if (!relay_holds(r) && !is_possible(r, up)) {
        return RELAY_OFF;
    }
    stream *to = client_stream(r);
    if (!to || !splice_can(up, to)) {
        return RELAY_OFF;
    }
    if (!r->relay) {
        r->relay = splice_pipe_get(r->l);
        if (!r->relay) {
            return RELAY_OFF;
        }
        pool_on_fini(&r->pool, on_fini, r);
    }
    for (int turn = 0; turn < RELAY_TURNS; turn++) {
        ssize_t n = move(r, up, to);
        if (f->left == 0 && !r->relay->held) {
            f->body_done = true;
            return RELAY_DONE;
        }
        if (n < 0) {
            return ended(r, up, n);
        }
    }
    req_wake(r); /* others first */
    return RELAY_EMPTY;
}

bool relay_holds(const req *r)
{
    return r->relay && r->relay->held > 0;
}

int relay_salvage(req *r, bufq *q)
{
    while (r->relay->held) {
        mem *m = mem_new(MEM_64K);
        size_t want = r->relay->held < m->cap ? r->relay->held : m->cap;
        ssize_t n = read(r->relay->rd, m->data, want);
        if (n <= 0) {
            mem_unref(m);
            return ERR_IO;
        }
        r->relay->held -= (size_t)n;
        bufq_push(q, (slice){.p = m->data, .n = (size_t)n, .mem = m});
    }
    return 0;
}
