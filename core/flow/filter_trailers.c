/* filter_trailers.c — see filter_trailers.h. The body is framed so that something can follow: chunked, or frames of HTTP/2. */
#include "flow/filter_trailers.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/tmpl.h"
#include "http/sink.h"
#include "http/status.h"

typedef struct trailers_sink {
    sink sink;
    req *r;
    sink *next;
    bool made;
} trailers_sink;

static const headers *of_upstream(const req *r)
{
    const headers *t = &r->fetch.trailers;
    return r->has_reply || !r->fetched || !t->pool || !t->live ? NULL : t;
}

const headers *req_trailers(const req *r)
{
    return r->trailers_out ? r->trailers_out : of_upstream(r);
}

static bool wants(const route *rt)
{
    return rt->c->response_trailers.n > 0;
}

static bool applies(const req *r, const headerop *op)
{
    return op->always || msg_has_usual_status(&r->res);
}

static int head(req *r)
{
    msg *m = &r->res;
    bool carries = r->in.version >= HTTP_1_1 && r->in.method != METHOD_HEAD && m->body != MSG_BODY_NONE && r->route->c->chunked && !r->sub;
    bool any = false;
    for (int i = 0; i < r->route->ntrailer_ops && carries; i++) {
        any = any || applies(r, &r->route->trailer_ops[i]);
    }
    if (any && m->body == MSG_BODY_LENGTH) {
        headers_remove_token(&m->h, TOKEN_CONTENT_LENGTH);
        m->body = MSG_BODY_CHUNKED;
        m->length = -1;
    }
    return any;
}

/* Each sees those before it ($sent_trailer_NAME). */
static int make(req *r)
{
    const headers *given = of_upstream(r);
    headers *to = pool_alloc(&r->pool, sizeof *to);
    headers_init(to, &r->pool);
    uint32_t at = 0;
    int rc = 0;
    for (const field *f; given && rc == 0 && (f = headers_each(given, &at)) != NULL;) {
        rc = headers_add(to, f->name, f->value);
    }
    r->trailers_out = to;
    for (int i = 0; i < r->route->ntrailer_ops && rc == 0; i++) {
        const headerop *op = &r->route->trailer_ops[i];
        str v = applies(r, op) ? tmpl_eval(op->value, r) : STR_EMPTY;
        if (v.n && headers_value_is_ok(v)) {
            rc = headers_add(to, op->name, pool_dup(&r->pool, v));
        }
    }
    return rc;
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    trailers_sink *s = container_of(sk, trailers_sink, sink);
    if ((flags & SINK_LAST) && !s->made) {
        s->made = true;
        int rc = make(s->r);
        if (rc < 0) {
            return rc;
        }
    }
    return sink_push(s->next, q, flags);
}

static void on_abort(sink *sk, int err)
{
    sink_abort(container_of(sk, trailers_sink, sink)->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static sink *body(req *r, sink *next)
{
    trailers_sink *s = pool_zalloc(&r->pool, sizeof *s);
    s->sink.ops = &ops;
    s->r = r;
    s->next = next;
    return &s->sink;
}

const struct filter filter_trailers = {.name = "trailers", .wants = wants, .head = head, .body = body};
