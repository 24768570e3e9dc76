/* filter_addition.c — see filter_addition.h. */
#include "flow/filter_addition.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req_log.h"
#include "flow/subreq.h"
#include "http/sink.h"

enum { QUEUE_MAX = 64 * 1024 };

enum part { PART_BEFORE, PART_BODY, PART_AFTER, PART_END };

typedef struct addition_sink {
    sink sink;
    sink *next;
    req *r;
    const struct conf_addition *c;
    uint8_t part; /* enum part */
    subreq *sub;  /* of PART_BEFORE or PART_AFTER */
    bufq out;
} addition_sink;

static bool wants(const route *rt)
{
    return rt->c->addition.n > 0;
}

static int head(req *r)
{
    const struct conf_addition *c = &r->route->c->addition.v[0];
    const field *type = headers_find(&r->res.h, TOKEN_CONTENT_TYPE);
    if (r->res.status != 200 || !type || !filter_is_type(&c->types, type->value, STR("text/html"))) {
        return 0;
    }
    filter_new_body(r);
    headers_remove_token(&r->res.h, TOKEN_LAST_MODIFIED); /* the parts have their own */
    headers_remove_token(&r->res.h, TOKEN_ETAG);
    if (r->res.body == MSG_BODY_NONE) {
        return 0; /* HEAD */
    }
    return r->in.method != METHOD_HEAD;
}

/* Asks for the answer of a path; false: it cannot be, and is left out. */
static bool start(addition_sink *f, str path)
{
    struct subreq_args a = {.path = path, .query = {NULL, 0}, .sink = SUBREQ_QUEUE, .limit = QUEUE_MAX};
    if (subreq_start(f->r, &a, &f->sub) < 0) {
        f->sub = NULL;
        req_log(f->r, LOG_ERROR_, "cannot add \"%.*s\"", STR_ARG(path));
        return false;
    }
    return true;
}

/* One of the two other paths: its answer goes to f->out. 0: it is complete; ERR_AGAIN. */
static int follow(addition_sink *f, str path)
{
    if (!f->sub && (!path.n || !start(f, path))) {
        return 0;
    }
    bool over = subreq_is_over(f->sub);
    (void)subreq_take(f->sub, &f->out);
    if (!over) {
        return ERR_AGAIN;
    }
    f->sub = NULL;
    return 0;
}

/* Goes on as far as it can. 0: give more. */
static int advance(addition_sink *f, bufq *q, unsigned flags)
{
    int rc = 0;
    if (f->part == PART_BEFORE) {
        rc = follow(f, f->c->before);
        f->part += rc == 0;
    }
    if (f->part == PART_BODY) {
        bufq_move(&f->out, q);
        f->part += (flags & SINK_LAST) != 0;
    }
    if (f->part == PART_AFTER) {
        rc = follow(f, f->c->after);
        f->part += rc == 0;
    }
    return rc;
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    addition_sink *f = container_of(sk, addition_sink, sink);
    int waits = advance(f, q, flags);
    bool last = f->part == PART_END;
    if (bufq_is_empty(&f->out) && !last && !(flags & SINK_FLUSH)) {
        return waits;
    }
    int rc = sink_push(f->next, &f->out, last ? SINK_LAST : flags & SINK_FLUSH);
    return rc < 0 ? rc : waits;
}

static void on_abort(sink *sk, int err)
{
    addition_sink *f = container_of(sk, addition_sink, sink);
    sink_abort(f->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static void on_fini(void *arg)
{
    bufq_fini(arg);
}

static sink *body(req *r, sink *next)
{
    addition_sink *f = pool_zalloc(&r->pool, sizeof *f);
    *f = (addition_sink){.sink = {&ops}, .next = next, .r = r, .c = &r->route->c->addition.v[0]};
    bufq_init(&f->out);
    pool_on_fini(&r->pool, on_fini, &f->out);
    return &f->sink;
}

const struct filter filter_addition = {.name = "addition", .wants = wants, .head = head, .body = body};
