/* filter_rate.c — see filter_rate.h. */
#include "flow/filter_rate.h"

#include "base/clock.h"
#include "base/err.h"
#include "flow/filter.h"
#include "flow/guard.h"
#include "flow/plan.h"
#include "flow/tmpl.h"
#include "http/sink.h"

enum { WAIT_MIN_MS = 10, PIECES_A_SECOND = 20 };

static const int64_t RATE_MAX = INT64_C(1) << 40; /* keeps the products below in 63 bits for years */

typedef struct rate_sink {
    sink sink;
    req *r;
    sink *next;
    timer timer;
    bufq held; /* paid for, but not taken yet */
    int64_t rate, after, given, since_us;
} rate_sink;

int64_t rate_parse(str text)
{
    unsigned shift = 0;
    switch (text.n ? text.p[text.n - 1] | 0x20 : 0) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    default:
        break;
    }
    text.n -= shift ? 1 : 0;
    uint64_t n;
    if (str_to_u64(text, &n) < 0 || n > (uint64_t)RATE_MAX >> shift) {
        return -1;
    }
    return (int64_t)(n << shift);
}

int64_t rate_allows(int64_t rate, int64_t since_us)
{
    int64_t elapsed = clock_us() - since_us;
    return rate + rate * (elapsed / 1000000) + rate * (elapsed % 1000000) / 1000000;
}

int64_t rate_wait_ms(int64_t rate, int64_t since_us, int64_t moved)
{
    int64_t piece = rate / PIECES_A_SECOND + 1;
    int64_t missing = moved + piece - rate_allows(rate, since_us);
    int64_t ms = missing / rate * 1000 + missing % rate * 1000 / rate + 1;
    return ms > WAIT_MIN_MS ? ms : WAIT_MIN_MS;
}

void rate_say(req *r, int64_t bytes_per_second)
{
    struct guard_state *st = guard_of(r);
    st->rate_said = true;
    st->rate = bytes_per_second < RATE_MAX ? bytes_per_second : RATE_MAX;
    r->filters |= FILTER_BIT(RATE);
}

void rate_say_after(req *r, int64_t bytes)
{
    struct guard_state *st = guard_of(r);
    st->rate_after_said = true;
    st->rate_after = bytes < RATE_MAX ? bytes : RATE_MAX;
}

static int64_t eval(const tmpl *t, req *r)
{
    int64_t n = t ? rate_parse(tmpl_eval(t, r)) : 0;
    return n > 0 ? n : 0; /* a variable that is no size limits nothing */
}

int64_t rate_now(req *r)
{
    if (r->guard && r->guard->rate_said) {
        return r->guard->rate;
    }
    return r->route ? eval(r->route->rate, r) : 0;
}

int64_t rate_upstream(req *r)
{
    const tmpl *t = r->route ? r->route->upstream_rate : NULL;
    return LIKELY(!t) ? 0 : eval(t, r);
}

static bool wants(const route *rt)
{
    return rt->rate != NULL;
}

static int head(req *r)
{
    return rate_now(r) > 0;
}

static void on_time(timer *t)
{
    req_wake(container_of(t, rate_sink, timer)->r);
}

static int later(rate_sink *s)
{
    if (!timer_is_set(&s->timer)) {
        timer_set(s->r->l, &s->timer, rate_wait_ms(s->rate, s->since_us, s->given - s->after));
    }
    return ERR_AGAIN;
}

/* As much of q as is paid for. */
static int pass(rate_sink *s, bufq *q, int64_t allowed)
{
    s->given += (int64_t)bufq_move_n(&s->held, q, (size_t)allowed);
    int rc = sink_push(s->next, &s->held, 0);
    return rc < 0 ? rc : later(s);
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    rate_sink *s = container_of(sk, rate_sink, sink);
    int rc = bufq_is_empty(&s->held) ? 0 : sink_push(s->next, &s->held, 0);
    if (rc < 0) {
        return rc;
    }
    int64_t allowed = rate_allows(s->rate, s->since_us) + s->after - s->given;
    if (q->bytes == 0 || allowed >= (int64_t)q->bytes) {
        int64_t before = (int64_t)q->bytes;
        rc = sink_push(s->next, q, flags);
        s->given += before - (int64_t)q->bytes;
        return rc;
    }
    return allowed > 0 ? pass(s, q, allowed) : later(s);
}

static void on_abort(sink *sk, int err)
{
    rate_sink *s = container_of(sk, rate_sink, sink);
    timer_stop(&s->timer);
    sink_abort(s->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static void on_fini(void *arg)
{
    rate_sink *s = arg;
    timer_stop(&s->timer);
    bufq_fini(&s->held);
}

static sink *body(req *r, sink *next)
{
    rate_sink *s = pool_zalloc(&r->pool, sizeof *s);
    s->sink.ops = &ops;
    s->r = r;
    s->next = next;
    s->rate = rate_now(r);
    s->after = r->guard && r->guard->rate_after_said ? r->guard->rate_after : r->route ? eval(r->route->rate_after, r) : 0;
    s->since_us = clock_us();
    s->given = (int64_t)r->sent_head;
    bufq_init(&s->held);
    timer_init(&s->timer, on_time);
    pool_on_fini(&r->pool, on_fini, s);
    return &s->sink;
}

const struct filter filter_rate = {.name = "rate", .wants = wants, .head = head, .body = body};
