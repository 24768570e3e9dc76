/* filter_range.c — see filter_range.h. A body that comes in one piece (a file, a text) is cut in any order, several parts too; one that streams passes through a
 * window, one range only. */
#include "flow/filter_range.h"

#include "base/err.h"
#include "base/rand.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/precondition.h"
#include "http/conditional.h"
#include "http/range.h"
#include "http/sink.h"

enum { BOUNDARY = 20 };

struct ranges {
    sink sink;
    sink *next;
    range *v;
    str *heads;   /* of the parts; NULL: one range, no parts */
    str tail;
    int64_t at;   /* bytes of the whole body that were seen */
    int n;
    bool cut;     /* the body came in one piece and was cut */
    bool ended;
    bufq out;
};

/* References of bytes [from, from + n) of a queue. */
static void copy_part(const bufq *q, int64_t from, int64_t n, bufq *to)
{
    int64_t at = 0;
    for (uint32_t i = 0; i < q->n && n > 0; i++) {
        const slice *s = bufq_at(q, i);
        int64_t skip = from > at ? from - at : 0;
        at += (int64_t)s->n;
        if (skip >= (int64_t)s->n) {
            continue;
        }
        int64_t take = (int64_t)s->n - skip;
        take = take < n ? take : n;
        if (!s->p) {
            bufq_push_file(to, s->file, s->off + skip, (size_t)take);
        } else if (s->mem) {
            bufq_push_mem(to, s->mem, s->p + skip, (size_t)take);
        } else {
            bufq_push_static(to, str_of(s->p + skip, (size_t)take));
        }
        n -= take;
        from += take;
    }
}

static void cut_whole(struct ranges *f, bufq *q)
{
    for (int i = 0; i < f->n; i++) {
        if (f->heads) {
            bufq_push_static(&f->out, f->heads[i]);
        }
        copy_part(q, f->v[i].from, f->v[i].end - f->v[i].from, &f->out);
    }
    if (f->heads) {
        bufq_push_static(&f->out, f->tail);
    }
    bufq_clear(q);
    f->cut = true;
    f->ended = true;
}

/* The window of the one range over a piece of a streamed body. */
static void cut_piece(struct ranges *f, bufq *q)
{
    const range *w = &f->v[0];
    int64_t n = (int64_t)q->bytes;
    int64_t from = w->from > f->at ? w->from - f->at : 0;
    int64_t end = w->end - f->at < n ? w->end - f->at : n;
    if (from < end) {
        copy_part(q, from, end - from, &f->out);
    }
    f->at += n;
    bufq_clear(q);
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    struct ranges *f = container_of(sk, struct ranges, sink);
    bool whole = f->at == 0 && !f->cut && (flags & SINK_LAST);
    if (whole) {
        cut_whole(f, q);
    } else if (!bufq_is_empty(q)) {
        cut_piece(f, q);
    }
    f->ended = f->ended || (flags & SINK_LAST);
    if (bufq_is_empty(&f->out) && !f->ended && !(flags & SINK_FLUSH)) {
        return 0;
    }
    return sink_push(f->next, &f->out, f->ended ? SINK_LAST : flags);
}

static void on_abort(sink *sk, int err)
{
    struct ranges *f = container_of(sk, struct ranges, sink);
    bufq_clear(&f->out);
    sink_abort(f->next, err);
}

static void on_fini(void *arg)
{
    struct ranges *f = arg;
    bufq_fini(&f->out);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static sink *body(req *r, sink *next)
{
    struct ranges *f = r->ranges;
    f->sink.ops = &ops;
    f->next = next;
    bufq_init(&f->out);
    pool_on_fini(&r->pool, on_fini, f);
    return &f->sink;
}

/* -- head */

static bool if_range_holds(const req *r)
{
    const field *f = headers_may_have(&r->in.h, TOKEN_IF_RANGE) ? headers_find(&r->in.h, TOKEN_IF_RANGE) : NULL;
    return !f || conditional_if_range(f->value, precondition_etag(r), precondition_modified(r));
}

/* The Range field that counts; a repeated one has no meaning (§14.2: one value). */
static const field *range_field(const req *r)
{
    const field *f = headers_may_have(&r->in.h, TOKEN_RANGE) ? headers_find(&r->in.h, TOKEN_RANGE) : NULL;
    return f && !headers_next(&r->in.h, f) ? f : NULL;
}

static str content_range(req *r, const range *one, int64_t size)
{
    return pool_printf(&r->pool, "bytes %lld-%lld/%lld", (long long)one->from, (long long)one->end - 1, (long long)size);
}

static int make_single(req *r, struct ranges *f)
{
    int rc = headers_set(&r->res.h, STR("Content-Range"), content_range(r, &f->v[0], r->res.length));
    r->res.length = f->v[0].end - f->v[0].from;
    return rc;
}

static int make_multipart(req *r, struct ranges *f)
{
    headers *h = &r->res.h;
    char boundary[BOUNDARY + 1];
    for (int i = 0; i < BOUNDARY; i++) {
        boundary[i] = (char)('0' + rand_u64() % 10);
    }
    boundary[BOUNDARY] = '\0';
    const field *type = headers_find(h, TOKEN_CONTENT_TYPE);
    str t = type ? type->value : STR_EMPTY;
    f->heads = pool_alloc(&r->pool, sizeof *f->heads * (size_t)f->n);
    int64_t total = 0;
    for (int i = 0; i < f->n; i++) {
        f->heads[i] = pool_printf(&r->pool, "\r\n--%s%s%.*s\r\nContent-Range: %s\r\n\r\n", boundary, t.n ? "\r\nContent-Type: " : "",
                                  STR_ARG(t), content_range(r, &f->v[i], r->res.length).p);
        total += (int64_t)f->heads[i].n + f->v[i].end - f->v[i].from;
    }
    f->tail = pool_printf(&r->pool, "\r\n--%s--\r\n", boundary);
    r->res.length = total + (int64_t)f->tail.n;
    return headers_set(h, STR("Content-Type"), pool_printf(&r->pool, "multipart/byteranges; boundary=%s", boundary));
}

/* 416 tells the size (§15.5.17). */
static int refuse(req *r)
{
    if (!r->extra.pool) {
        headers_init(&r->extra, &r->pool);
    }
    int rc = headers_set(&r->extra, STR("Content-Range"), pool_printf(&r->pool, "bytes */%lld", (long long)r->res.length));
    return rc < 0 ? rc : ERR_RANGE;
}

static int make_partial(req *r, struct ranges *f)
{
    r->res.status = 206;
    r->res.reason = STR_EMPTY;
    headers_remove_token(&r->res.h, TOKEN_CONTENT_LENGTH); /* of a HEAD answer: framing says it anew */
    int rc = f->n == 1 ? make_single(r, f) : make_multipart(r, f);
    r->ranges = f;
    return rc < 0 ? rc : 1;
}

/* Does the body still stand as its maker made it? */
static bool may_cut(const req *r)
{
    const msg *m = &r->res;
    bool hooked = r->route && (r->route->hooks & (1u << PHASE_BODY));
    return (r->allows & REQ_ALLOWS_RANGES) && m->status == 200 && m->body == MSG_BODY_LENGTH && !hooked;
}

static int head(req *r)
{
    int64_t limit = r->route ? r->route->c->max_ranges : -1;
    if (!may_cut(r) || limit == 0) {
        return 0;
    }
    const field *f = range_field(r);
    if (f && if_range_holds(r)) {
        int max = limit < 0 || limit > RANGE_MAX ? RANGE_MAX : (int)limit;
        max = r->allows & REQ_ALLOWS_ONE_RANGE ? 1 : max;
        int room = range_count(f->value);
        struct ranges *to = pool_zalloc(&r->pool, sizeof *to);
        to->v = pool_alloc(&r->pool, sizeof *to->v * (size_t)room);
        to->n = range_parse(f->value, r->res.length, max < room ? max : room, limit < 0, to->v);
        if (to->n == RANGE_UNSATISFIABLE) {
            return refuse(r);
        }
        if (to->n > 0) {
            return make_partial(r, to);
        }
    }
    return headers_set(&r->res.h, STR("Accept-Ranges"), STR("bytes"));
}

const struct filter filter_range = {.name = "range", .head = head, .body = body};
