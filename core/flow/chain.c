/* chain.c — see chain.h. Order of sinks: [body hook] → [filters] → [spool] → [filters behind it] → protocol. */
#include "flow/chain.h"

#include "base/err.h"
#include "flow/filter.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/tempfile.h"
#include "http/sink.h"

/* The spool is a sink that always takes everything; chain_wants() tells the pump when to stop. */
typedef struct spool {
    sink sink;
    req *r;
    sink *next;
    bufq q;
    tempfile file;
    size_t hold;  /* bytes held back until more come or the end */
    bool last;    /* the end was pushed */
    bool passed;  /* the end went on */
    bool blocked; /* next said AGAIN */
} spool;

struct chain {
    req *r;
    sink *head;
    bufq held;          /* what the first sink did not take */
    unsigned held_flags;
    bool blocked;       /* the first sink said AGAIN */
    bool last;          /* the end was pushed */
    bool last_taken;    /* and taken by the first sink */
    bool has_spool, plain;
    spool spool;
};

static int spool_pass(spool *s)
{
    if (s->passed || (bufq_is_empty(&s->q) && !s->last)) {
        return 0;
    }
    if (!s->last && s->q.bytes < s->hold) {
        return 0;
    }
    s->hold = 0;
    int rc = sink_push(s->next, &s->q, s->last ? SINK_LAST : 0);
    s->blocked = rc == ERR_AGAIN;
    if (rc == 0) {
        s->passed = s->last;
    }
    return rc;
}

static size_t memory_held(const spool *s)
{
    return s->file.file ? (size_t)s->r->route->c->buffer_memory : s->q.bytes;
}

static int spool_push(sink *sk, bufq *q, unsigned flags)
{
    spool *s = container_of(sk, spool, sink);
    const struct conf_route *c = s->r->route->c;
    s->last = s->last || (flags & SINK_LAST);
    bool spill = s->blocked && c->buffer_file && q->bytes && (int64_t)(memory_held(s) + q->bytes) > c->buffer_memory;
    if (spill) {
        int rc = tempfile_append(&s->file, s->r->plan->conf->g.temp_dir, q, &s->q);
        if (rc < 0) {
            return rc;
        }
    } else {
        bufq_move(&s->q, q);
    }
    if (s->blocked) {
        return 0;
    }
    int rc = spool_pass(s);
    return rc == ERR_AGAIN ? 0 : rc;
}

static void spool_abort(sink *sk, int err)
{
    spool *s = container_of(sk, spool, sink);
    /* what is complete up to here still goes out; the missing end shows that it was cut */
    if (!bufq_is_empty(&s->q)) {
        (void)!sink_push(s->next, &s->q, 0);
    }
    sink_abort(s->next, err);
}

static const struct sink_ops spool_ops = {.push = spool_push, .abort = spool_abort};

static bool wants_spool(const req *r)
{
    if (r->has_reply || r->no_buffer || !r->route || !r->route->c->buffer_response) {
        return false; /* an error before the routing has no route */
    }
    const field *type = headers_may_have(&r->res.h, TOKEN_CONTENT_TYPE) ? headers_find(&r->res.h, TOKEN_CONTENT_TYPE) : NULL;
    bool events = type && str_has_iprefix(type->value, STR("text/event-stream"));
    return !events || (r->route->c->hold_small && r->site->nested); /* nginx's dialect holds small pieces back whatever they are */
}

static void on_fini(void *arg)
{
    chain *c = arg;
    bufq_fini(&c->held);
    if (c->has_spool) {
        bufq_fini(&c->spool.q);
        tempfile_fini(&c->spool.file);
    }
}

static bool holds_small(const req *r)
{
    const struct conf_route *c = r->route->c;
    bool as_chunks = c->exchange.n && c->exchange.v[0].pass_chunks && r->fetch.res.body == MSG_BODY_CHUNKED;
    return c->hold_small && !as_chunks;
}

chain *chain_new(req *r)
{
    chain *c = pool_zalloc(&r->pool, sizeof *c);
    c->r = r;
    bufq_init(&c->held);
    pool_on_fini(&r->pool, on_fini, c);
    c->head = filter_sinks(r, r->proto->body_sink(r), true);
    if (wants_spool(r)) {
        c->has_spool = true;
        c->spool = (spool){.sink = {&spool_ops}, .r = r, .next = c->head};
        bufq_init(&c->spool.q);
        tempfile_init(&c->spool.file);
        c->spool.hold = holds_small(r) ? (size_t)r->route->c->buffer_head : 0;
        c->head = &c->spool.sink;
    }
    c->head = filter_sinks(r, c->head, false);
    c->plain = r->filters_on == 0;
    if (r->route && (r->route->hooks & (1u << PHASE_BODY))) {
        c->head = flow_hooks->body(r, c->head);
        c->plain = false;
    }
    return c;
}

int chain_push(chain *c, bufq *q, unsigned flags)
{
    if (flags & SINK_LAST) {
        c->last = true;
    }
    if (c->blocked) {
        bufq_move(&c->held, q);
        c->held_flags |= flags;
        return ERR_AGAIN;
    }
    int rc = sink_push(c->head, q, flags);
    if (rc == ERR_AGAIN) {
        c->blocked = true;
        bufq_move(&c->held, q);
        c->held_flags = flags;
        return rc;
    }
    c->last_taken = rc == 0 && c->last;
    return rc;
}

int chain_flush(chain *c)
{
    if (c->plain || c->blocked || c->last) {
        return 0;
    }
    bufq none;
    bufq_init(&none);
    return chain_push(c, &none, SINK_FLUSH);
}

static int drain_held(chain *c)
{
    if (!c->blocked) {
        return 0;
    }
    int rc = sink_push(c->head, &c->held, c->held_flags);
    if (rc == 0) {
        c->blocked = false;
        c->held_flags = 0;
        c->last_taken = c->last;
    }
    return rc;
}

int chain_drain(chain *c)
{
    if (c->has_spool) {
        int rc = spool_pass(&c->spool);
        if (rc < 0 && rc != ERR_AGAIN) {
            return rc;
        }
    }
    int rc = drain_held(c);
    if (rc == 0 && c->has_spool && !c->spool.blocked) {
        rc = spool_pass(&c->spool);
    }
    return rc == 0 && c->has_spool && c->spool.blocked ? ERR_AGAIN : rc;
}

void chain_abort(chain *c, int err)
{
    sink_abort(c->head, err);
}

bool chain_is_done(const chain *c)
{
    return c->last_taken && (!c->has_spool || c->spool.passed);
}

bool chain_wants(const chain *c)
{
    if (c->blocked || c->last) {
        return false;
    }
    if (!c->has_spool || !c->spool.blocked) {
        return true;
    }
    const struct conf_route *k = c->r->route->c;
    if (!k->buffer_file) {
        return (int64_t)c->spool.q.bytes < k->buffer_memory;
    }
    return c->spool.file.size < k->buffer_file;
}

bool chain_is_plain(const chain *c)
{
    return c->plain && (!c->has_spool || bufq_is_empty(&c->spool.q));
}
