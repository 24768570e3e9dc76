/* probe.c — see probe.h. */
#include "back/probe.h"

#include "back/client.h"
#include "back/fetch.h"
#include "back/health.h"
#include "back/origin.h"
#include "back/peer.h"
#include "back/retry.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/regex.h"
#include "shm/peers.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000, /* who leads, and which peers there are */
    BODY_MAX = 65536,
    HEAD_MAX = 16384,
    REQUEST_MAX = 8192,
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
    enum conf_check kind;
    int64_t every, timeout, jitter;
    uint32_t rise, fall;
    uint16_t port;
    char *line, *host, *fields; /* of the request: host may be NULL */
    struct conf_strs statuses;  /* owned; none: 2xx and 3xx */
    char *text;                 /* part of the body; NULL: any */
    regex *pattern;             /* instead of text */
    str tls_name;
    bool leads;
};

/* ---- configuration */

static char *copy(str s)
{
    char *z = strndup(s.n ? s.p : "", s.n);
    REQUIRE(z != NULL);
    return z;
}

static bool is_pattern(const struct conf_upstream *c)
{
    return str_has_prefix(c->check_body, STR("~"));
}

static regex *compile(const struct conf_upstream *c, char *err, size_t cap)
{
    size_t at;
    return regex_new(str_trim(str_from(c->check_body, 1)), 0, err, cap, &at);
}

int probe_check(const struct conf_upstream *c, char *err, size_t cap)
{
    char why[200];
    if (c->check == CONF_CHECK_OFF || !is_pattern(c)) {
        return 0;
    }
    regex *re = compile(c, why, sizeof why);
    if (!re) {
        snprintf(err, cap, "upstream %.*s: health: body: %s", STR_ARG(c->name), why);
        return ERR_CONF;
    }
    regex_free(re);
    return 0;
}

static void free_texts(struct probes *ps)
{
    free(ps->line);
    free(ps->host);
    free(ps->fields);
    free(ps->text);
    regex_free(ps->pattern);
    for (int i = 0; i < ps->statuses.n; i++) {
        free((void *)(uintptr_t)ps->statuses.v[i].p);
    }
    free(ps->statuses.v);
    free((void *)(uintptr_t)ps->tls_name.p);
}

static char *fields_of(const struct conf_upstream *c)
{
    char text[REQUEST_MAX];
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; i < c->check_headers.n && n < sizeof text; i++) {
        str one = c->check_headers.v[i];
        int more = snprintf(text + n, sizeof text - n, "%.*s\r\n", STR_ARG(one));
        n += more > 0 ? (size_t)more : 0;
    }
    return copy(str_c(text));
}

static void set_texts(struct probes *ps, const struct conf_upstream *c)
{
    char line[REQUEST_MAX];
    str method = c->check_method.n ? c->check_method : STR("GET");
    str path = c->check_path.n ? c->check_path : STR("/");
    snprintf(line, sizeof line, "%.*s %.*s HTTP/1.1\r\n", STR_ARG(method), STR_ARG(path));
    ps->line = copy(str_c(line));
    ps->host = c->check_host.n ? copy(c->check_host) : NULL;
    ps->fields = fields_of(c);
    ps->text = NULL;
    ps->pattern = NULL;
    if (c->check_body.n && is_pattern(c)) {
        char why[200];
        ps->pattern = compile(c, why, sizeof why); /* probe_check has seen it */
    } else if (c->check_body.n) {
        ps->text = copy(c->check_body);
    }
    ps->statuses.n = c->check_status.n;
    ps->statuses.v = calloc((size_t)c->check_status.n + 1, sizeof *ps->statuses.v);
    REQUIRE(ps->statuses.v != NULL);
    for (int i = 0; i < c->check_status.n; i++) {
        ps->statuses.v[i] = str_c(copy(c->check_status.v[i]));
    }
    bool fixed = c->tls_name.n && str_find(c->tls_name, '$', 0) == c->tls_name.n;
    ps->tls_name = str_c(copy(fixed ? c->tls_name : c->check_host));
}

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
    bool turn = bad != sick && st->streak >= (bad ? ps->fall : ps->rise);
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
    int64_t spread = ps->every * ps->jitter / 100;
    int64_t pause = ps->every + (spread ? (int64_t)rand_below((uint32_t)(2 * spread + 1)) - spread : 0);
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
    if (pr->of->host) {
        return str_c(pr->of->host);
    }
    return pr->p->origin && pr->p->origin->host.n ? pr->p->origin->host
                                                  : str_of(pr->p->text, pr->p->text_n);
}

static void write_request(struct probe *pr)
{
    const struct probes *ps = pr->of;
    bufq *q = &pr->f.upload;
    bufq_push_copy(q, str_c(ps->line));
    bufq_push_copy(q, STR("Host: "));
    bufq_push_copy(q, host_of(pr));
    bufq_push_copy(q, STR("\r\nUser-Agent: moongate-health\r\nConnection: close\r\n"));
    bufq_push_copy(q, str_c(ps->fields));
    bufq_push_copy(q, STR("\r\n"));
    pr->f.upload_done = true;
}

static bool status_is_good(const struct probes *ps, int status)
{
    return ps->statuses.n ? retry_status_listed(&ps->statuses, status) : status < 400;
}

static bool body_is_good(struct probe *pr)
{
    const struct probes *ps = pr->of;
    if (!ps->text && !ps->pattern) {
        return true;
    }
    char *bytes = pool_alloc(&pr->pool, BODY_MAX);
    str body = str_of(bytes, bufq_peek(&pr->body, bytes, BODY_MAX));
    if (ps->pattern) {
        return regex_exec(ps->pattern, body, 0, NULL) == 1;
    }
    return memmem(body.p, body.n, ps->text, strlen(ps->text)) != NULL;
}

/* 0: well; ERR_AGAIN; < 0. */
static int read_body(struct probe *pr)
{
    fetch *f = &pr->f;
    bool wanted = pr->of->text || pr->of->pattern;
    while (wanted && pr->body.bytes < BODY_MAX) {
        ssize_t n = f->ops->read_body(f, &pr->body, BODY_MAX - pr->body.bytes);
        if (n == ERR_EOF) {
            break;
        }
        if (n < 0) {
            return (int)n;
        }
    }
    return body_is_good(pr) ? 0 : ERR_CHECK_BODY;
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
    if (rc == 0 && !status_is_good(pr->of, f->res.status)) {
        return ERR_CHECK_STATUS;
    }
    return rc;
}

static int start(struct probe *pr)
{
    const struct probes *ps = pr->of;
    addr at = pr->p->at;
    if (ps->port && at.sa.sa_family != AF_UNIX) {
        addr_set_port(&at, ps->port);
    }
    struct lease_args a = {.fresh = true, .user = &pr->job, .at = &at, .tls = ps->g->tls};
    a.tls_name = !ps->g->tls ? STR_EMPTY : ps->tls_name.n ? ps->tls_name : host_of(pr);
    fetch_init(&pr->f, &pr->pool, loop_of(pr), &pr->job);
    pr->f.method = METHOD_GET;
    pr->f.head_max = HEAD_MAX;
    pr->step = PROBE_CONNECT;
    timer_set(loop_of(pr), &pr->deadline, ps->timeout);
    return lease_start(&pr->f.lease, loop_of(pr), pr->p, &a);
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
        if (pr->of->kind == CONF_CHECK_TCP) {
            return 0;
        }
        pr->step = PROBE_HEAD;
        write_request(pr);
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
    free_texts(ps);
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
    ps->kind = (enum conf_check)c->check;
    ps->every = c->check_every > 10 ? c->check_every : 10;
    ps->timeout = c->check_timeout > 1 ? c->check_timeout : 1;
    ps->jitter = c->check_jitter < 0 ? 0 : c->check_jitter > 100 ? 100 : c->check_jitter;
    ps->rise = c->check_rise > 1 ? (uint32_t)c->check_rise : 1;
    ps->fall = c->check_fall > 1 ? (uint32_t)c->check_fall : 1;
    ps->port = (uint16_t)c->check_port;
    set_texts(ps, c);
    job_wake(group_set_loop(g->set), &ps->job);
}
