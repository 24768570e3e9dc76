/* resolve_service.c — see resolve_service.h. c-ares cannot be told to forget a question: a query that is cancelled meanwhile is freed by the answer. */
#include "net/resolve_service.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/resolve_chase.h"
#include "net/resolve_impl.h"

#include <stdlib.h>

/* One SRV record whose target is being looked up. */
struct target {
    service_query *of;
    resolve_query *query;
    job job;
    struct chased_service said;
};

struct service_query {
    resolver *r;
    job *user;
    timer deadline;
    bool asking;    /* c-ares has the question */
    bool cancelled; /* nobody waits any more */
    bool done;
    int err;
    int pending, ntargets;
    struct target targets[SERVICE_MAX_TARGETS];
    service_answer out;
};

static void service_free(service_query *q)
{
    timer_stop(&q->deadline);
    for (int i = 0; i < q->ntargets; i++) {
        resolve_cancel(q->targets[i].query);
        job_cancel(&q->targets[i].job);
    }
    free(q);
}

static void finish(service_query *q, int err)
{
    if (q->done) {
        return;
    }
    q->done = true;
    q->err = err;
    timer_clear(&q->deadline);
    job_wake(q->r->l, q->user);
}

static int by_priority(const void *a, const void *b)
{
    const struct service_addr *x = a, *y = b;
    return (int)x->priority - (int)y->priority;
}

/* Every target was looked up. */
static void settle(service_query *q)
{
    if (q->out.n == 0) {
        finish(q, ERR_RESOLVE);
        return;
    }
    qsort(q->out.v, (size_t)q->out.n, sizeof q->out.v[0], by_priority);
    finish(q, 0);
}

static void add_target(service_query *q, const struct chased_service *said, int rc, const resolve_answer *a)
{
    service_answer *out = &q->out;
    if (rc < 0) {
        out->none |= rc == ERR_RESOLVE && a->none;
        return;
    }
    for (int i = 0; i < a->n && out->n < SERVICE_MAX_ADDRS; i++) {
        struct service_addr *one = &out->v[out->n++];
        *one = (struct service_addr){a->v[i], said->priority, said->weight};
        addr_set_port(&one->at, said->port);
    }
    out->ttl_ms = a->ttl_ms < out->ttl_ms ? a->ttl_ms : out->ttl_ms;
}

static void on_target(job *j)
{
    struct target *t = container_of(j, struct target, job);
    service_query *q = t->of;
    resolve_answer a = {.n = 0};
    int rc = t->query ? resolve_result(t->query, &a) : ERR_AGAIN;
    if (rc == ERR_AGAIN) {
        return;
    }
    t->query = NULL;
    add_target(q, &t->said, rc, &a);
    if (--q->pending == 0) {
        settle(q);
    }
}

static void look_up(service_query *q, const struct chased_service *said)
{
    resolve_answer a = {.n = 0};
    int rc = resolve_cached(q->r, str_c(said->name), &a);
    if (rc != ERR_AGAIN) {
        add_target(q, said, rc, &a);
        return;
    }
    struct target *t = &q->targets[q->ntargets++];
    t->of = q;
    t->said = *said;
    job_init(&t->job, on_target);
    t->query = resolve_start(q->r, str_c(said->name), &t->job);
    q->pending++;
}

static void on_records(void *arg, const struct chased *c)
{
    service_query *q = arg;
    q->asking = false;
    if (q->cancelled) {
        service_free(q);
        return;
    }
    if (q->done) {
        return;
    }
    if (c->status != ARES_SUCCESS || q->r->closing) {
        q->out.none = c->status == ARES_ENODATA || c->status == ARES_ENOTFOUND;
        finish(q, q->r->closing ? ERR_CANCELLED : c->status == ARES_ETIMEOUT ? ERR_TIMEOUT : ERR_RESOLVE);
        return;
    }
    q->out.ttl_ms = resolver_ttl_ms(q->r, c->ttl_s);
    q->pending = 1; /* until all were asked for */
    for (int i = 0; i < c->nservices; i++) {
        look_up(q, &c->services[i]);
    }
    if (--q->pending == 0) {
        settle(q);
    }
}

static void on_deadline(timer *t)
{
    finish(container_of(t, service_query, deadline), ERR_TIMEOUT);
}

service_query *service_start(resolver *r, str name, job *user)
{
    char z[RESOLVE_NAME_ROOM];
    service_query *q = calloc(1, sizeof *q);
    REQUIRE(q != NULL);
    q->r = r;
    q->user = user;
    timer_init(&q->deadline, on_deadline);
    if (resolver_normalise(name, z) == 0) {
        q->out.none = true;
        finish(q, ERR_RESOLVE);
        return q;
    }
    timer_set(r->l, &q->deadline, 2 * r->args.timeout_ms); /* two look-ups in a row */
    q->asking = true;
    chase_service(r, z, on_records, q);
    return q;
}

int service_result(service_query *q, service_answer *out)
{
    if (!q->done) {
        return ERR_AGAIN;
    }
    int err = q->err;
    *out = q->out;
    service_cancel(q);
    return err;
}

void service_cancel(service_query *q)
{
    if (!q) {
        return;
    }
    if (q->asking) {
        q->cancelled = q->done = true;
        timer_stop(&q->deadline);
    } else {
        service_free(q);
    }
}
