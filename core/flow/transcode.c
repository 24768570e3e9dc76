/* transcode.c — see transcode.h. A flush is passed on only when something came since the last one: codecs answer even an empty flush with bytes. */
#include "flow/transcode.h"

#include "base/err.h"
#include "base/mem.h"
#include "http/sink.h"

#include <unistd.h>

enum { SMALL = 2048 }; /* output that is copied together instead of holding a chunk each */

struct transcode {
    sink sink;
    sink *next;
    codec *codec;
    bufq out;
    bool dirty; /* bytes went in since the last flush */
    bool ended; /* the codec wrote its end */
    uint64_t took, made; /* bytes */
};

/* Runs the op over `in` until it is complete; output goes to f->out. */
static int convert(struct transcode *f, str in, enum codec_op op)
{
    int rc = 1;
    while (rc > 0) {
        mem *m = mem_new(MEM_16K);
        struct codec_io io = {.in = in, .out = m->data, .out_cap = m->cap};
        rc = codec_run(f->codec, &io, op);
        f->took += in.n - io.in.n;
        f->made += io.out_n;
        in = io.in;
        if (io.out_n > SMALL) {
            bufq_push(&f->out, (slice){.p = m->data, .n = io.out_n, .mem = m});
        } else {
            bufq_push_copy(&f->out, str_of(m->data, io.out_n));
            mem_unref(m);
        }
    }
    return rc;
}

/* The next piece of the queue, at most a chunk: bounded work between two looks at `next`. */
static int feed(struct transcode *f, bufq *q)
{
    const slice *s = bufq_at(q, 0);
    f->dirty = true;
    if (s->p) {
        size_t n = s->n < 65536 ? s->n : 65536;
        int rc = convert(f, str_of(s->p, n), CODEC_RUN);
        bufq_drop(q, n);
        return rc;
    }
    mem *m = mem_new(MEM_64K);
    ssize_t n = pread(s->file->fd, m->data, s->n < m->cap ? s->n : m->cap, s->off);
    int rc = n > 0 ? convert(f, str_of(m->data, (size_t)n), CODEC_RUN) : ERR_IO;
    if (n > 0) {
        bufq_drop(q, (size_t)n);
    }
    mem_unref(m);
    return rc;
}

static int give(struct transcode *f, unsigned flags)
{
    return bufq_is_empty(&f->out) && !flags ? 0 : sink_push(f->next, &f->out, flags);
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    struct transcode *f = container_of(sk, struct transcode, sink);
    for (;;) {
        int rc = give(f, f->ended ? SINK_LAST : 0);
        if (rc < 0 || f->ended) {
            return rc;
        }
        if (!bufq_is_empty(q)) {
            rc = feed(f, q);
        } else if (flags & SINK_LAST) {
            rc = convert(f, STR_EMPTY, CODEC_END);
            f->ended = rc == 0;
        } else if ((flags & SINK_FLUSH) && f->dirty) {
            rc = convert(f, STR_EMPTY, CODEC_FLUSH);
            f->dirty = false;
            rc = rc < 0 ? rc : give(f, SINK_FLUSH);
        } else {
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
    }
}

static void on_abort(sink *sk, int err)
{
    struct transcode *f = container_of(sk, struct transcode, sink);
    bufq_clear(&f->out);
    sink_abort(f->next, err);
}

static void on_fini(void *arg)
{
    struct transcode *f = arg;
    bufq_fini(&f->out);
    codec_free(f->codec);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

transcode *transcode_new(req *r, codec *c)
{
    transcode *f = pool_zalloc(&r->pool, sizeof *f);
    f->sink.ops = &ops;
    f->codec = c;
    bufq_init(&f->out);
    pool_on_fini(&r->pool, on_fini, f);
    return f;
}

uint64_t transcode_ratio(const transcode *t)
{
    return t->made ? (t->took * 1000 / t->made + 5) / 10 : 0;
}

sink *transcode_sink(transcode *t, sink *next)
{
    t->next = next;
    return &t->sink;
}
