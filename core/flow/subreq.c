/* subreq.c — see subreq.h. */
#include "flow/subreq.h"

#include "base/err.h"
#include "base/mem.h"
#include "flow/body.h"
#include "flow/filter.h"
#include "flow/guard.h"
#include "flow/steps.h"
#include "flow/uservar.h"
#include "flow/var.h"
#include "http/sink.h"
#include "shm/stats.h"

#include <stdlib.h>

/* Held by both requests until their pools go. */
struct subreq {
    sink sink;
    req *r;      /* the sub-request; NULL: over */
    req *parent; /* NULL: detached, or over */
    struct subreq_args a;
    bufq q;
    size_t dropped;
    uint64_t main_id; /* of the request it all began with */
    int refs, depth, status;
    bool complete, full;
};

static const struct proto_ops sub_ops;
static const struct sink_ops sub_sink_ops;

static void unref(subreq *s)
{
    if (--s->refs == 0) {
        bufq_fini(&s->q);
        free(s);
    }
}

static void tell_parent(subreq *s)
{
    if (s->parent) {
        req_wake(s->parent);
    }
}

/* -- what flow asks of a protocol */

static int sub_send_info(req *r, const msg *info)
{
    (void)r;
    (void)info;
    return 0;
}

static int sub_send_head(req *r, bool last)
{
    subreq *s = r->sub;
    s->status = r->res.status;
    s->complete = last;
    if (s->parent && s->a.on_head) {
        s->a.on_head(s->parent, r, s->a.arg);
    }
    tell_parent(s);
    return 0;
}

static sink *sub_body_sink(req *r)
{
    return &r->sub->sink;
}

static ssize_t sub_read_body(req *r, bufq *q, size_t max)
{
    (void)r;
    (void)q;
    (void)max;
    return ERR_EOF;
}

static int sub_flush(req *r)
{
    (void)r;
    return 0;
}

static void sub_done(req *r)
{
    subreq *s = r->sub;
    s->r = NULL;
    tell_parent(s);
}

static const struct proto_ops sub_ops = {
    .name = "subrequest",
    .send_info = sub_send_info,
    .send_head = sub_send_head,
    .body_sink = sub_body_sink,
    .read_body = sub_read_body,
    .flush = sub_flush,
    .done = sub_done,
};

static int drop(subreq *s, bufq *q)
{
    s->dropped += q->bytes;
    bufq_clear(q);
    return s->dropped > s->a.limit ? ERR_LIMIT : 0;
}

static int sub_push(sink *sk, bufq *q, unsigned flags)
{
    subreq *s = container_of(sk, subreq, sink);
    s->r->sent_body += q->bytes;
    if (s->a.sink == SUBREQ_DROP) {
        int rc = drop(s, q);
        s->complete = s->complete || (rc == 0 && (flags & SINK_LAST));
        return rc;
    }
    if (s->q.bytes >= s->a.limit && q->bytes) {
        s->r->sent_body -= q->bytes;
        s->full = true;
        return ERR_AGAIN;
    }
    (void)bufq_keep_n(&s->q, q, q->bytes); /* read by the parent, when this request may be gone */
    s->complete = s->complete || (flags & SINK_LAST);
    tell_parent(s);
    return 0;
}

static void sub_abort(sink *sk, int err)
{
    (void)err;
    subreq *s = container_of(sk, subreq, sink);
    s->complete = false;
    tell_parent(s);
}

static const struct sink_ops sub_sink_ops = {.push = sub_push, .abort = sub_abort};

/* -- making one */

/* Bytes of the parent's head are pinned; what hooks put into its pool is copied. */
static str keep(const req *parent, req *r, str s)
{
    const mem *m = parent->head_mem;
    bool pinned = m && s.p >= (const char *)m->data && s.p + s.n <= (const char *)m->data + m->cap;
    return pinned || !s.p ? s : pool_dup(&r->pool, s);
}

static int copy_head(req *parent, req *r, const struct subreq_args *a)
{
    headers own = r->in.h;
    r->in = parent->in;
    r->in.h = own;
    uint32_t at = 0;
    for (const field *f; (f = headers_each(&parent->in.h, &at)) != NULL;) {
        int rc = headers_add(&r->in.h, keep(parent, r, f->name), keep(parent, r, f->value));
        if (rc < 0) {
            return rc;
        }
        r->in.h.v[r->in.h.n - 1].flags = f->flags;
    }
    r->in.target = keep(parent, r, parent->in.target);
    r->in.host = keep(parent, r, parent->in.host);
    r->in.upgrade = r->in.expect_continue = false;
    if (!a->like_parent) {
        r->in.method = METHOD_GET;
        r->in.method_name = STR("GET");
    } else {
        r->in.method_name = keep(parent, r, parent->in.method_name);
    }
    if (!a->with_body) {
        r->in.body = MSG_BODY_NONE;
        r->in.length = -1;
    }
    return 0;
}

static void copy_client(req *parent, req *r)
{
    var_know_connection(parent);
    r->client = parent->client;
    r->client.stream = NULL;
    r->client.facts = NULL;
    r->client.ip = STR_EMPTY; /* made anew when asked for: the parent's lies in the parent */
    r->client.tls_protocol = pool_dup(&r->pool, parent->client.tls_protocol);
    r->client.tls_cipher = pool_dup(&r->pool, parent->client.tls_cipher);
    r->client.tls_name = pool_dup(&r->pool, parent->client.tls_name);
    r->client_known = true;
    r->proxy = parent->proxy ? mem_ref(parent->proxy) : NULL;
}

static void copy_place(const req *parent, req *r, const struct subreq_args *a)
{
    r->host_field = keep(parent, r, parent->host_field);
    r->host = keep(parent, r, parent->host);
    r->port = parent->port;
    r->uri = parent->uri;
    r->uri.raw = keep(parent, r, parent->uri.raw);
    r->uri.raw_path = r->uri.path = r->path = pool_dup(&r->pool, a->path);
    r->uri.query = r->query = a->query.p ? pool_dup(&r->pool, a->query) : a->query;
    r->uri.authority = r->uri.scheme = STR_EMPTY;
    r->uri.is_plain = false;
    r->path_changed = r->query_changed = r->internal = true;
    r->site = parent->site;
    uservars_copy(parent, r);
    r->filters_off = (uint16_t)~(FILTER_BIT(SSI) | FILTER_BIT(GUNZIP) | FILTER_BIT(REPLACE)); /* what the answer is embedded in has its own */
    if (parent->guard) {
        struct guard_state *st = guard_of(r);
        st->rate_status = parent->guard->rate_status;
        st->conn_status = parent->guard->conn_status;
        st->ssi = a->detached ? NULL : parent->guard->ssi;
    }
}

static void on_parent_fini(void *arg)
{
    subreq *s = arg;
    s->parent = NULL;
    if (!s->a.detached) {
        subreq_cancel(s);
    }
    unref(s);
}

static void on_own_fini(void *arg)
{
    subreq *s = arg;
    s->r = NULL;
    unref(s);
}

static int depth_of(const req *parent)
{
    return parent->sub ? parent->sub->depth : 0;
}

uint64_t subreq_main_id(const req *r)
{
    return r->sub ? r->sub->main_id : r->id;
}

int subreq_start(req *parent, const struct subreq_args *a, subreq **out)
{
    if (out) {
        *out = NULL;
    }
    if (depth_of(parent) >= SUBREQ_DEPTH) {
        return ERR_LIMIT;
    }
    subreq *s = calloc(1, sizeof *s);
    if (!s) {
        return ERR_MEM;
    }
    s->sink.ops = &sub_sink_ops;
    s->a = *a;
    s->depth = depth_of(parent) + 1;
    s->main_id = subreq_main_id(parent);
    s->refs = 2;
    bufq_init(&s->q);
    req *r = req_new(parent->l, parent->plan, parent->listen, &sub_ops, NULL);
    r->head_mem = parent->head_mem ? mem_ref(parent->head_mem) : NULL;
    r->sub = s;
    r->id = parent->id; /* one exchange, in logs and as $request_id */
    pool_on_fini(&r->pool, on_own_fini, s);
    int rc = copy_head(parent, r, a);
    if (rc < 0) {
        req_free(r);
        unref(s);
        return rc;
    }
    copy_client(parent, r);
    copy_place(parent, r, a);
    if (r->in.body != MSG_BODY_NONE) {
        body_share(parent, r);
    }
    s->r = r;
    s->parent = parent;
    pool_on_fini(&parent->pool, on_parent_fini, s);
    if (out) {
        *out = s;
    }
    stats_add(STAT_REQUESTS_ACTIVE, 1);
    r->step = STEP_ROUTE;
    req_wake(r);
    return 0;
}

int subreq_status(const subreq *s)
{
    return s->status;
}

bool subreq_is_over(const subreq *s)
{
    return !s->r;
}

bool subreq_is_complete(const subreq *s)
{
    return s->complete;
}

size_t subreq_take(subreq *s, bufq *q)
{
    size_t n = s->q.bytes;
    bufq_move(q, &s->q);
    if (s->full && s->r) {
        s->full = false;
        req_wake(s->r);
    }
    return n;
}

void subreq_cancel(subreq *s)
{
    req *r = s->r;
    if (!r) {
        return;
    }
    s->r = NULL;
    req_abort(r, ERR_CANCELLED); /* the run loop ends it without asking its protocol again */
}
