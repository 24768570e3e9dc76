/* probe.c — see probe.h. */
#include "back/probe.h"

#include "back/client.h"
#include "back/fetch.h"
#include "back/health.h"
#include "back/origin.h"
#include "back/peer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"
#include "shm/peers.h"

#include <stdlib.h>

enum {
    TICK_MS = 1000, /* who leads, and which peers there are */
    HEAD_MAX = 16384,
    POOL_BLOCK = 2048
};

enum probe_step { PROBE_IDLE, PROBE_CONNECT, PROBE_HEAD, PROBE_BODY };

struct probe {
    list node;
    struct probes *of;
    peer *p; /* reference */
    fetch f;
    pool pool;
    job job;
    timer next, deadline;
    enum probe_step step;
    bool late, due; /* set by the timers */
    bufq body;
};

/* The checks of a group. */
struct probes {
    group *g;
    list all;
    timer tick;
    job job;
    struct probe_spec spec;
    bool leads;
};

/* ---- verdicts */

static void went_down(peer *p, int err, int status)
{
    peer_flag(p, PEER_SICK, PEER_SLOW);
    if (status) {
        log_warn("upstream %.*s: peer %s is down: its check was answered with %d",
                 STR_ARG(p->g->name), p->text, status);
    } else {
        log_warn("upstream %.*s: peer %s is down: check: %s", STR_ARG(p->g->name), p->text,
                 err_text(err));
    }
}

static void came_back(peer *p, int64_t now)
{
    peer_flag(p, 0, PEER_SICK);
    passive_reset(p);
    health_recovered(p, now);
    log_notice("upstream %.*s: peer %s is up again", STR_ARG(p->g->name), p->text);
}

static void judge(struct probe *pr, int err, int status)
{
    peer *p = pr->p;
    peer_state *st = p->st;
    const struct probes *ps = pr->of;
    bool sick = (st->flags & PEER_SICK) != 0, bad = err < 0;
    int64_t now = clock_ms();
    peer_lock(p);
    st->checks++;
    st->check_err = err;
    st->check_status = (uint32_t)status;
    st->checked_at_ms = now;
    st->streak = bad != sick ? st->streak + 1 : 0;
    bool turn = bad != sick && st->streak >= (bad ? ps->spec.fall : ps->spec.rise);
    st->streak = turn ? 0 : st->streak;
    peer_unlock(p);
    if (turn && bad) {
        went_down(p, err, status);
    } else if (turn) {
        came_back(p, now);
    }
}

/* ---- one check */

static loop *loop_of(const struct probe *pr)
{
    return group_set_loop(pr->of->g->set);
}

static void schedule(struct probe *pr)
{
    const struct probes *ps = pr->of;
    int64_t spread = ps->spec.every * ps->spec.jitter / 100;
    int64_t pause = ps->spec.every + (spread ? (int64_t)rand_below((uint32_t)(2 * spread + 1)) - spread : 0);
    timer_set(loop_of(pr), &pr->next, pause > 1 ? pause : 1);
}

static void finish(struct probe *pr, int err, int status)
{
    timer_clear(&pr->deadline);
    pr->f.want_close = true;
    fetch_end(&pr->f);
    bufq_fini(&pr->body);
    bufq_init(&pr->body);
    pool_reset(&pr->pool);
    pr->step = PROBE_IDLE;
    pr->late = pr->due = false;
    judge(pr, err, status);
    schedule(pr);
}

static str host_of(const struct probe *pr)
{
    if (pr->of->spec.host) {
        return str_c(pr->of->spec.host);
    }
    return pr->p->origin && pr->p->origin->host.n ? pr->p->origin->host
                                                  : str_of(pr->p->text, pr->p->text_n);
}

/* 0: well; ERR_AGAIN; < 0. */
static int read_body(struct probe *pr)
{
    fetch *f = &pr->f;
    while (probe_spec_wants_body(&pr->of->spec) && pr->body.bytes < PROBE_BODY_MAX) {
        ssize_t n = f->ops->read_body(f, &pr->body, PROBE_BODY_MAX - pr->body.bytes);
        if (n == ERR_EOF) {
            break;
        }
        if (n < 0) {
            return (int)n;
        }
    }
    if (pr->of->spec.kind == CONF_CHECK_GRPC) {
        return probe_grpc_verdict(f, &pr->body);
    }
    return probe_spec_takes_body(&pr->of->spec, &pr->body, &pr->pool) ? 0 : ERR_CHECK_BODY;
}

static int read_head(struct probe *pr)
{
    fetch *f = &pr->f;
    int rc = f->ops->send(f);
    if (rc < 0 && rc != ERR_AGAIN) {
        return rc;
    }
    do {
        rc = f->ops->read_head(f);
    } while (rc == 1);
    if (rc == 0 && !probe_spec_takes_status(&pr->of->spec, f->res.status)) {
        return ERR_CHECK_STATUS;
    }
    return rc;
}

static int start(struct probe *pr)
{
    const struct probes *ps = pr->of;
    addr at = pr->p->at;
    if (ps->spec.port && at.sa.sa_family != AF_UNIX) {
        addr_set_port(&at, ps->spec.port);
    }
    struct lease_args a = {.fresh = true, .user = &pr->job, .at = &at, .tls = ps->g->tls, .h2 = ps->spec.h2};
    a.tls_name = !ps->g->tls ? STR_EMPTY : ps->spec.tls_name.n ? ps->spec.tls_name : host_of(pr);
    fetch_init(&pr->f, &pr->pool, loop_of(pr), &pr->job);
    pr->f.method = METHOD_GET;
    pr->f.head_max = HEAD_MAX;
    pr->step = PROBE_CONNECT;
    timer_set(loop_of(pr), &pr->deadline, ps->spec.timeout);
    return lease_start(&pr->f.lease, loop_of(pr), pr->p, &a);
}

/* The connection stands: the request goes out. */
static int ask(struct probe *pr)
{
    const struct probe_spec *spec = &pr->of->spec;
    fetch *f = &pr->f;
    str head = probe_spec_head(spec, host_of(pr), &pr->pool);
    pr->step = PROBE_HEAD;
    if (!f->lease.h2) {
        f->upload_done = true;
        bufq_push_copy(&f->upload, head);
        return spec->kind == CONF_CHECK_GRPC ? ERR_CHECK_GRPC : 0; /* the peer chose HTTP/1 */
    }
    int rc = h2_client_attach(f);
    f->upload_done = spec->kind != CONF_CHECK_GRPC;
    rc = rc < 0 ? rc : f->ops->start(f, head, NULL);
    if (!f->upload_done) {
        probe_grpc_write(spec->service, &f->upload);
        f->upload_done = true;
    }
    return rc;
}

/* Goes on as far as it can: 0 the check is passed, ERR_AGAIN, < 0 it is not. */
static int run(struct probe *pr)
{
    int rc = 0;
    if (pr->step == PROBE_IDLE) {
        rc = start(pr);
    } else if (pr->step == PROBE_CONNECT) {
        rc = lease_wait(&pr->f.lease);
    }
    if (rc < 0) {
        return rc;
    }
    if (pr->step == PROBE_CONNECT) {
        if (pr->of->spec.kind == CONF_CHECK_TCP) {
            return 0;
        }
        rc = ask(pr);
        if (rc < 0) {
            return rc;
        }
    }
    if (pr->step == PROBE_HEAD) {
        rc = read_head(pr);
        if (rc < 0) {
            return rc;
        }
        pr->step = PROBE_BODY;
    }
    return read_body(pr);
}

static void on_job(job *j)
{
    struct probe *pr = container_of(j, struct probe, job);
    if (pr->step == PROBE_IDLE && !pr->due) {
        return;
    }
    int rc = pr->late ? ERR_TIMEOUT : run(pr);
    if (rc != ERR_AGAIN) {
        int status = pr->step >= PROBE_HEAD && !pr->late ? pr->f.res.status : 0;
        finish(pr, rc, rc == ERR_CHECK_STATUS ? status : 0);
    }
}

static void on_next(timer *t)
{
    struct probe *pr = container_of(t, struct probe, next);
    pr->due = true;
    job_wake(loop_of(pr), &pr->job);
}

static void on_deadline(timer *t)
{
    struct probe *pr = container_of(t, struct probe, deadline);
    pr->late = true;
    job_wake(loop_of(pr), &pr->job);
}

/* ---- the peers of a group */

static void probe_free(struct probe *pr)
{
    timer_stop(&pr->next);
    timer_stop(&pr->deadline);
    if (pr->step != PROBE_IDLE) {
        pr->f.want_close = true;
        fetch_end(&pr->f);
    }
    job_cancel(&pr->job);
    bufq_fini(&pr->body);
    pool_fini(&pr->pool);
    list_remove(&pr->node);
    peer_unref(pr->p);
    free(pr);
}

static void probe_new(struct probes *ps, peer *p)
{
    struct probe *pr = calloc(1, sizeof *pr);
    REQUIRE(pr != NULL);
    pr->of = ps;
    pr->p = peer_ref(p);
    pool_init(&pr->pool, POOL_BLOCK);
    job_init(&pr->job, on_job);
    timer_init(&pr->next, on_next);
    timer_init(&pr->deadline, on_deadline);
    bufq_init(&pr->body);
    list_push_back(&ps->all, &pr->node);
    pr->due = true;
    job_wake(loop_of(pr), &pr->job);
}

static bool is_watched(const struct probes *ps, const peer *p)
{
    LIST_EACH(it, &ps->all)
    {
        if (list_item(it, struct probe, node)->p == p) {
            return true;
        }
    }
    return false;
}

static void follow_peers(struct probes *ps)
{
    LIST_EACH_SAFE(it, &ps->all)
    {
        struct probe *pr = list_item(it, struct probe, node);
        if (!ps->leads || pr->p->gone || (pr->p->down && !pr->p->drained)) {
            probe_free(pr);
        }
    }
    LIST_EACH(it, &ps->g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (ps->leads && (!p->down || p->drained) && !is_watched(ps, p)) {
            probe_new(ps, p);
        }
    }
}

static void on_tick_job(job *j)
{
    struct probes *ps = container_of(j, struct probes, job);
    ps->leads = !ps->g->shared || peers_lead(ps->g->shared, clock_ms());
    follow_peers(ps);
    timer_set(group_set_loop(ps->g->set), &ps->tick, TICK_MS);
}

static void on_tick(timer *t)
{
    struct probes *ps = container_of(t, struct probes, tick);
    job_wake(group_set_loop(ps->g->set), &ps->job);
}

static struct probes *probes_new(group *g)
{
    struct probes *ps = calloc(1, sizeof *ps);
    REQUIRE(ps != NULL);
    ps->g = g;
    list_init(&ps->all);
    timer_init(&ps->tick, on_tick);
    job_init(&ps->job, on_tick_job);
    return ps;
}

void probe_stop(group *g)
{
    struct probes *ps = g->probes;
    if (!ps) {
        return;
    }
    while (!list_is_empty(&ps->all)) {
        probe_free(list_item(ps->all.next, struct probe, node));
    }
    if (ps->leads && g->shared) {
        peers_resign(g->shared);
    }
    timer_stop(&ps->tick);
    job_cancel(&ps->job);
    probe_spec_fini(&ps->spec);
    free(ps);
    g->probes = NULL;
}

static void forget_opinions(group *g)
{
    LIST_EACH(it, &g->peers)
    {
        peer_flag(list_item(it, peer, node), 0, PEER_SICK);
    }
}

void probe_apply(group *g, const struct conf_upstream *c)
{
    probe_stop(g);
    if (c->check == CONF_CHECK_OFF) {
        forget_opinions(g);
        return;
    }
    struct probes *ps = g->probes = probes_new(g);
    probe_spec_init(&ps->spec, c);
    job_wake(group_set_loop(g->set), &ps->job);
}
