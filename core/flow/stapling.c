/* stapling.c — see stapling.h. One exchange at a time and certificate: GET with the question in the path (RFC 6960 appendix A.1), an answer of bounded size in bounded
 * time. While there is none nothing is stapled; after a failure nobody asks again for a while. */
#include "flow/stapling.h"

#include "back/client.h"
#include "back/dynamic.h"
#include "back/fetch.h"
#include "back/group.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "http/uri.h"
#include "net/loop.h"
#include "net/timer.h"
#include "tls/staple.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 64 * 1024, HEAD_MAX = 16384, PAUSE_MS = 60000, TIME_MS = 60000, POOL_BLOCK = 2048, WHY_MAX = 200 };

enum ask_step { ASK_IDLE, ASK_RESOLVE, ASK_CONNECT, ASK_HEAD, ASK_BODY };

/* One certificate's. */
struct ask {
    struct stapling *of;
    int i;
    str host, path; /* of the responder; host empty: there is none */
    uint8_t step;   /* enum ask_step */
    bool late;
    int64_t not_before_ms;
    group *g; /* reference */
    peer *p;  /* reference, in flight */
    fetch f;
    pool pool;
    job job;
    timer deadline;
    bufq body;
};

struct stapling {
    plan *plan;
    const struct conf_tlspolicy *c;
    str label;
    tls_server *server;
    int n;
    struct ask *v;
};

static loop *loop_of(const struct ask *a)
{
    return group_set_loop(a->g->set);
}

static void end(struct ask *a)
{
    if (a->step >= ASK_CONNECT) {
        a->f.want_close = true;
        fetch_end(&a->f);
    }
    if (a->p) {
        peer_done(a->p, &(struct peer_outcome){0}, clock_ms());
        peer_unref(a->p);
        a->p = NULL;
    }
    if (a->g) {
        group_wait_cancel(a->g, &a->job);
        timer_stop(&a->deadline);
        job_cancel(&a->job);
        group_unref(a->g);
        a->g = NULL;
    }
    bufq_fini(&a->body);
    bufq_init(&a->body);
    pool_reset(&a->pool);
    a->step = ASK_IDLE;
    a->late = false;
}

static str join_body(struct ask *a)
{
    char *all = pool_alloc(&a->pool, a->body.bytes + 1);
    return str_of(all, bufq_peek(&a->body, all, a->body.bytes));
}

static void finish(struct ask *a, int rc)
{
    char why[WHY_MAX];
    if (rc == 0) {
        rc = tls_staple_take(a->of->server, a->i, join_body(a), why, sizeof why);
    } else {
        snprintf(why, sizeof why, "%s", err_text(rc));
    }
    if (rc < 0) {
        log_error("OCSP response of %.*s for stapling: %s", STR_ARG(a->host), why);
        a->not_before_ms = clock_ms() + PAUSE_MS;
    }
    end(a);
}

/* The question, in base64 and with its "/", "+" and "=" escaped. */
static str target_of(struct ask *a)
{
    str q = tls_staple_question(a->of->server, a->i);
    if (!q.p) {
        return q;
    }
    str encoded = pool_dup(&a->pool, uri_encode_component(q, &a->pool));
    free((void *)(uintptr_t)q.p);
    bool slash = a->path.n && a->path.p[a->path.n - 1] == '/';
    const str parts[3] = {a->path, slash ? STR_EMPTY : STR("/"), encoded};
    return pool_join(&a->pool, parts, 3);
}

static int connect_to(struct ask *a)
{
    a->p = group_pick(a->g, &(struct pick_args){.now_ms = clock_ms()});
    if (!a->p) {
        a->step = ASK_RESOLVE;
        return group_wait_resolved(a->g, &a->job) ? ERR_AGAIN : ERR_RESOLVE;
    }
    fetch_init(&a->f, &a->pool, loop_of(a), &a->job);
    a->f.method = METHOD_GET;
    a->f.head_max = HEAD_MAX;
    a->step = ASK_CONNECT;
    return lease_start(&a->f.lease, loop_of(a), a->p, &(struct lease_args){.fresh = true, .user = &a->job});
}

static int send_question(struct ask *a)
{
    str target = target_of(a);
    if (!target.p) {
        return ERR_INVALID;
    }
    str head = pool_printf(&a->pool, "GET %.*s HTTP/1.0\r\nHost: %.*s\r\n\r\n", STR_ARG(target), STR_ARG(a->host));
    a->f.upload_done = true;
    bufq_push_copy(&a->f.upload, head);
    a->step = ASK_HEAD;
    return 0;
}

static int read_head(struct ask *a)
{
    int rc = a->f.ops->send(&a->f);
    if (rc < 0 && rc != ERR_AGAIN) {
        return rc;
    }
    do {
        rc = a->f.ops->read_head(&a->f);
    } while (rc == 1);
    if (rc == 0) {
        a->step = ASK_BODY;
    }
    return rc == 0 && a->f.res.status != 200 ? ERR_CHECK_STATUS : rc;
}

static int read_body(struct ask *a)
{
    while (a->body.bytes < ANSWER_MAX) {
        ssize_t n = a->f.ops->read_body(&a->f, &a->body, ANSWER_MAX - a->body.bytes);
        if (n < 0) {
            return n == ERR_EOF ? 0 : (int)n;
        }
    }
    return ERR_LIMIT;
}

/* Goes on as far as it can: 0 the answer is here, ERR_AGAIN, < 0. */
static int run(struct ask *a)
{
    int rc = a->step == ASK_RESOLVE ? connect_to(a) : a->step == ASK_CONNECT ? lease_wait(&a->f.lease) : 0;
    if (rc == 0 && a->step == ASK_CONNECT) {
        rc = send_question(a);
    }
    if (rc == 0 && a->step == ASK_HEAD) {
        rc = read_head(a);
    }
    return rc == 0 && a->step == ASK_BODY ? read_body(a) : rc;
}

static void on_job(job *j)
{
    struct ask *a = container_of(j, struct ask, job);
    if (a->step != ASK_IDLE) {
        int rc = a->late ? ERR_TIMEOUT : run(a);
        if (rc != ERR_AGAIN) {
            finish(a, rc);
        }
    }
}

static void on_deadline(timer *t)
{
    struct ask *a = container_of(t, struct ask, deadline);
    a->late = true;
    job_wake(loop_of(a), &a->job);
}

/* Called from a handshake: the rest is done in a job. */
static void on_wanted(void *arg, int i)
{
    struct stapling *s = arg;
    struct ask *a = &s->v[i];
    if (a->step != ASK_IDLE || !a->host.n || clock_ms() < a->not_before_ms) {
        return;
    }
    group *like = s->plan->groups[s->c->staple_like];
    struct dynamic_args args = {.like = like, .address = a->host, .port = 80,
                                .names = s->c->staple_resolver >= 0 ? s->plan->names[s->c->staple_resolver] : NULL};
    if (group_set_dynamic(like->set, &args, &a->g) < 0) {
        a->not_before_ms = clock_ms() + PAUSE_MS;
        log_error("OCSP responder %.*s: not an address, or no resolver is defined", STR_ARG(a->host));
        return;
    }
    a->step = ASK_RESOLVE;
    timer_set(loop_of(a), &a->deadline, TIME_MS);
    job_wake(loop_of(a), &a->job);
}

/* ---- life */

static void take_url(struct stapling *s, struct ask *a)
{
    str own = s->c->staple_responder.n ? (str){NULL, 0} : tls_staple_responder(s->server, a->i);
    str url = s->c->staple_responder.n ? s->c->staple_responder : own.p ? own : STR_EMPTY;
    if (!str_has_iprefix(url, STR("http://"))) {
        log_warn("%.*s: nothing is stapled: the certificate names no OCSP responder over HTTP", STR_ARG(s->label));
        free((void *)(uintptr_t)own.p);
        return;
    }
    str rest = str_from(url, 7);
    size_t slash = str_find(rest, '/', 0);
    a->host = pool_dup(&s->plan->pool, str_of(rest.p, slash));
    a->path = pool_dup(&s->plan->pool, str_from(rest, slash));
    free((void *)(uintptr_t)own.p);
}

static void on_fini(void *arg)
{
    struct stapling *s = arg;
    for (int i = 0; i < s->n; i++) {
        end(&s->v[i]);
        pool_fini(&s->v[i].pool);
    }
}

void stapling_use(plan *p, const site *site_of, tls_server *t)
{
    const struct conf_tlspolicy *c = &site_of->c->tls_policy.v[0];
    struct stapling *s = pool_zalloc(&p->pool, sizeof *s);
    *s = (struct stapling){.plan = p, .c = c, .server = t, .label = site_of->c->label.n ? site_of->c->label : STR("site")};
    bool fixed = c->staple_file.n > 0;
    struct tls_staple_args args = {.fixed = fixed ? c->staple_file : STR_EMPTY, .verify = c->staple_verify,
                                   .wanted = fixed ? NULL : on_wanted, .arg = s};
    int n = tls_staple_use(t, &args);
    if (fixed) {
        return;
    }
    s->v = pool_zalloc(&p->pool, sizeof *s->v * (size_t)(n + 1));
    for (s->n = 0; s->n < n; s->n++) {
        struct ask *a = &s->v[s->n];
        a->of = s;
        a->i = s->n;
        pool_init(&a->pool, POOL_BLOCK);
        job_init(&a->job, on_job);
        timer_init(&a->deadline, on_deadline);
        bufq_init(&a->body);
        take_url(s, a);
    }
    pool_on_fini(&p->pool, on_fini, s);
}
