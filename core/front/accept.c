/* accept.c — the front: listeners that turn descriptors into connections, limits, the flip to a new plan, drain. */
#include "base/err.h"
#include "conf/conf.h"
#include "flow/handshake.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "flow/tunnel.h"
#include "front/conn.h"
#include "shm/stats.h"

#include <stdlib.h>
#include <unistd.h>

enum { TIDY_MS = 150 };

/* What a burst left in the recyclers goes back about a second after it was last needed. */
static void on_tidy(timer *t)
{
    (void)t;
    mem_trim();
    pool_trim();
    req_trim();
}

static void on_idle(void *arg)
{
    front *f = arg;
    if (!timer_is_set(&f->tidy_timer) && (mem_has_spare() || pool_has_spare() || req_has_spare())) {
        timer_set(f->l, &f->tidy_timer, TIDY_MS);
    }
}

front *front_new(const struct front_args *a)
{
    front *f = calloc(1, sizeof *f);
    if (!f) {
        return NULL;
    }
    f->l = a->l;
    f->max_connections = a->max_connections;
    f->max_per_address = a->max_per_address;
    f->next_id = 1;
    list_init(&f->listeners);
    list_init(&f->conns);
    timer_init(&f->drain_timer, NULL);
    timer_init(&f->grace_timer, NULL);
    timer_init(&f->tidy_timer, on_tidy);
    loop_on_idle(f->l, on_idle, f);
    handshake_introduce = conn_tell;
    return f;
}

void front_set_limits(front *f, uint32_t max_connections, uint32_t max_per_address)
{
    f->max_connections = max_connections;
    f->max_per_address = max_per_address;
}

void front_listener_unref(front_listener *fl)
{
    if (--fl->refs == 0) {
        plan_unref(fl->plan);
        free(fl);
    }
}

static void forget_listener(front_listener *fl)
{
    listener_stop(&fl->ln, false);
    fl->gone = true;
    list_remove(&fl->node);
    front_listener_unref(fl);
}

void front_free(front *f)
{
    LIST_EACH_SAFE(it, &f->listeners)
    {
        forget_listener(list_item(it, front_listener, node));
    }
    timer_stop(&f->drain_timer);
    timer_stop(&f->grace_timer);
    timer_stop(&f->tidy_timer);
    plan_unref(f->plan);
    free(f);
}

static bool same_ip(const addr *a, const addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family) {
        return false;
    }
    switch (a->sa.sa_family) {
    case AF_INET:
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
    default:
        return true; /* clients of unix sockets have no names: they count as one */
    }
}

/* Counted by walking, only when a limit is set. */
bool front_address_is_full(const front *f, const addr *from, const conn *but)
{
    uint32_t n = 0;
    if (!f->max_per_address) {
        return false;
    }
    LIST_EACH(it, &f->conns)
    {
        const conn *c = list_item(it, conn, node);
        if (c != but && same_ip(&c->peer, from) && ++n >= f->max_per_address) {
            return true;
        }
    }
    return false;
}

/* The listener of the address that a connection came to, when that has one of its own; else the one it came in at. */
static front_listener *at_address(front_listener *fl, int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
        return fl;
    }
    addr local;
    addr_from_sockaddr(&local, (const struct sockaddr *)&ss, len);
    LIST_EACH(it, &fl->f->listeners)
    {
        front_listener *other = list_item(it, front_listener, node);
        if (other->ln.fd < 0 && other->plan == fl->plan && !other->gone && addr_eq(&other->at, &local)) {
            return other;
        }
    }
    return fl;
}

static void on_accept(listener *ln, int fd, const addr *from)
{
    front_listener *fl = ln->data;
    front *f = fl->f;
    if (UNLIKELY(fl->plan->listens[fl->index].shared)) {
        fl = at_address(fl, fd);
    }
    if ((f->max_connections && f->nconns >= f->max_connections) ||
        (!fl->plan->listens[fl->index].c->proxy_protocol && front_address_is_full(f, from, NULL))) {
        f->refused++;
        stats_add(STAT_CONNS_REFUSED, 1);
        close(fd);
        return;
    }
    conn_open(fl, fd, from);
}

/* By descriptor; one without (it shares another's) by its address. */
static front_listener *find_listener(front *f, int fd, str address)
{
    addr at;
    bool known = fd < 0 && addr_parse(address, 0, &at) == 0;
    LIST_EACH(it, &f->listeners)
    {
        front_listener *fl = list_item(it, front_listener, node);
        if (fd >= 0 ? fl->ln.fd == fd : known && fl->ln.fd < 0 && addr_eq(&fl->at, &at)) {
            return fl;
        }
    }
    return NULL;
}

static int start_listener(front *f, plan *p, uint32_t index, int fd)
{
    front_listener *fl = calloc(1, sizeof *fl);
    if (!fl) {
        return ERR_MEM;
    }
    fl->f = f;
    fl->plan = plan_ref(p);
    fl->index = index;
    fl->refs = 1;
    fl->ln.fd = -1;
    int rc = fd >= 0 ? listener_start(&fl->ln, f->l, fd, on_accept, fl)
                     : addr_parse(p->conf->g.listens.v[index].address, 0, &fl->at);
    if (rc < 0) {
        plan_unref(fl->plan);
        free(fl);
        return rc;
    }
    list_push_back(&f->listeners, &fl->node);
    return 0;
}

static void move_listener(front_listener *fl, plan *p, uint32_t index)
{
    plan *old = fl->plan;
    fl->plan = plan_ref(p);
    fl->index = index;
    plan_unref(old);
}


int front_commit(front *f, plan *p, const int *fds)
{
    uint32_t n = (uint32_t)p->conf->g.listens.n;
    for (uint32_t i = 0; i < n; i++) {
        front_listener *fl = find_listener(f, fds[i], p->conf->g.listens.v[i].address);
        if (fl) {
            move_listener(fl, p, i);
            continue;
        }
        int rc = f->draining ? 0 : start_listener(f, p, i, fds[i]);
        if (rc < 0) {
            return rc;
        }
    }
    LIST_EACH_SAFE(it, &f->listeners)
    {
        front_listener *fl = list_item(it, front_listener, node);
        if (fl->plan != p) {
            forget_listener(fl);
        }
    }
    plan *old = f->plan;
    f->plan = plan_ref(p);
    if (old) {
        plan_unref(old);
    }
    return 0;
}

plan *front_plan(const front *f)
{
    return f->plan;
}

/* Nothing of a request is here: between two, or before the first. */
static bool is_silent(const conn *c)
{
    bool before = c->state == CONN_HEAD || c->state == CONN_SNIFF;
    return c->idle || (before && !c->r && stream_in(&c->s).n == 0);
}

/* Silent connections that got no new request within the grace are closed; others close after the answer they are busy with. */
static void on_idle_grace(timer *t)
{
    front *f = container_of(t, front, drain_timer);
    LIST_EACH_SAFE(it, &f->conns)
    {
        conn *c = list_item(it, conn, node);
        if (c->h2) {
            h2_server_drain(c, true);
        } else if (is_silent(c)) {
            conn_close(c);
            if (it_next == &f->conns || f->nconns == 0) {
                return;
            }
        }
    }
}

/* Whatever it carries ends. */
static void cut(conn *c)
{
    if (c->h2) {
        h2_server_kill(c, ERR_SHUTDOWN);
    }
    if (c->r) {
        req *r = c->r;
        c->r = NULL;
        req_abort(r, ERR_SHUTDOWN);
    }
    conn_close(c);
}

uint64_t front_mark(const front *f)
{
    return f->next_id;
}

void front_cut_older(front *f, uint64_t mark)
{
    LIST_EACH_SAFE(it, &f->conns)
    {
        conn *c = list_item(it, conn, node);
        bool last = it_next == &f->conns || f->nconns == 1;
        if (c->id < mark && !(c->r && c->r->plan == f->plan)) {
            cut(c);
        }
        if (last) {
            return;
        }
    }
}

static void on_grace_over(timer *t)
{
    front *f = container_of(t, front, grace_timer);
    LIST_EACH_SAFE(it, &f->conns)
    {
        conn *c = list_item(it, conn, node);
        bool last = it_next == &f->conns;
        cut(c);
        if (last) {
            return;
        }
    }
}

void front_drain(front *f, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
    f->on_drained = done;
    f->on_drained_arg = arg;
    if (!f->draining) {
        f->draining = true;
        LIST_EACH_SAFE(it, &f->listeners)
        {
            listener_stop(&list_item(it, front_listener, node)->ln, false);
        }
        LIST_EACH(it, &f->conns)
        {
            conn *c = list_item(it, conn, node);
            if (c->h2) {
                h2_server_drain(c, false);
            }
        }
        timer_init(&f->drain_timer, on_idle_grace);
        timer_init(&f->grace_timer, on_grace_over);
        timer_set(f->l, &f->drain_timer, grace_ms < FRONT_IDLE_GRACE_MS ? grace_ms : FRONT_IDLE_GRACE_MS);
    }
    timer_set(f->l, &f->grace_timer, grace_ms);
    if (f->nconns == 0) {
        done(arg);
    }
}

void front_count(const front *f, struct front_counts *out)
{
    *out = (struct front_counts){
        .connections = f->nconns,
        .idle = f->nidle,
        .requests = req_count(),
        .tunnels = tunnel_count(),
        .accepted = f->accepted,
        .refused = f->refused,
    };
}
