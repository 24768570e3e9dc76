/* idle.c — parked connections. While parked the stream's user is `watch`: the only events an idle connection has are the peer's end, which
 * drops it, stray bytes, which drop it too, and TLS records without data (session tickets), which the fill swallows. */
#include "net/idle.h"

#include "base/check.h"
#include "base/err.h"
#include "base/slice.h"
#include "net/idle_conn.h"
#include "net/loop_impl.h"
#include "net/stream.h"
#include "net/timer.h"

#include <stdlib.h>

static void unpark(idle_conn *c)
{
    list_remove(&c->node);
    c->pool->n--;
    if (c->pool->total) {
        --*c->pool->total;
    }
    c->pool = NULL;
    job_cancel(&c->watch);
    timer_clear(&c->age);
}

/* Nothing may come while nobody asked. Costs a read only when the stream is not known to be drained. */
static bool is_clean(idle_conn *c)
{
    if (c->idle_read) {
        return c->idle_read(c);
    }
    if (stream_queued(&c->s) || c->s.in_at < c->s.in_end || c->s.pause) {
        return false;
    }
    return stream_fill(&c->s, 1) == ERR_AGAIN;
}

static void watch_run(job *j)
{
    idle_conn *c = container_of(j, idle_conn, watch);
    if (!is_clean(c)) {
        idle_conn_free(c);
    }
}

static void on_age(timer *t)
{
    idle_conn *c = container_of(t, idle_conn, age);
    if (c->pool) {
        c->s.flags |= STREAM_DEAD;
        job_wake(c->s.l, &c->watch);
    }
}

idle_conn *idle_conn_new(void)
{
    idle_conn *c = calloc(1, sizeof *c);
    REQUIRE(c != NULL);
    list_init(&c->node);
    timer_init(&c->age, on_age);
    job_init(&c->watch, watch_run);
    c->s.fd = -1;
    c->born_ms = clock_ms();
    return c;
}

void idle_conn_free(idle_conn *c)
{
    if (!c) {
        return;
    }
    if (c->pool) {
        unpark(c);
    }
    job_cancel(&c->watch);
    timer_stop(&c->age);
    stream_close(&c->s);
    if (c->owner_free) {
        c->owner_free(c->owner_data);
    }
    free(c);
}

void idle_pool_init(idle_pool *p, uint32_t max, int64_t timeout_ms)
{
    list_init(&p->conns);
    p->n = 0;
    p->max = max;
    p->timeout_ms = timeout_ms;
    p->total = NULL;
}

void idle_pool_fini(idle_pool *p)
{
    while (!list_is_empty(&p->conns)) {
        idle_conn_free(list_item(p->conns.next, idle_conn, node));
    }
}

idle_conn *idle_take(idle_pool *p)
{
    while (!list_is_empty(&p->conns)) {
        idle_conn *c = list_item(p->conns.next, idle_conn, node);
        /* READABLE here: an event came whose watch did not run yet. */
        if ((c->s.flags & (STREAM_READABLE | STREAM_DEAD)) && !is_clean(c)) {
            idle_conn_free(c);
            continue;
        }
        unpark(c);
        c->s.user = NULL;
        return c;
    }
    return NULL;
}

void idle_park(loop *l, idle_pool *p, idle_conn *c)
{
    REQUIRE(!c->pool);
    if (p->max == 0 || !stream_is_open(&c->s) || !is_clean(c)) {
        idle_conn_free(c);
        return;
    }
    if (p->n >= p->max) {
        idle_conn_free(list_item(p->conns.prev, idle_conn, node));
    }
    stream_release_in(&c->s);
    bufq_shrink(&c->s.out);
    c->s.user = &c->watch;
    c->pool = p;
    list_push_front(&p->conns, &c->node);
    p->n++;
    if (p->total) {
        ++*p->total;
    }
    c->parked_ms = clock_ms();
    timer_set(l, &c->age, p->timeout_ms);
}
